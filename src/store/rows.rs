//! Each kind of fact as a row: its table, its key, and the plain columns beside the body. In come
//! values of the model, out go cells in the order of the table's columns. No SQL is written here
//! and no value is changed on its way.

use crate::states;
use model::alarm::Alarm;
use model::arrival::SetAside;
use model::audit::Audit;
use model::conditions::{ConditionsPayload, ConditionsTag, GateDecision, GlobalTag, Iov, Since};
use model::configuration::ConfigurationText;
use model::dataset::{Block, Dataset, LumiContent, Output};
use model::fact::{Consumed, OutboxMessage};
use model::file::File;
use model::ids::{JobId, LumiNumber, RunNumber};
use model::job::{FailedAttempt, InputId, Job};
use model::names::TaskPath;
use model::quality::RunQuality;
use model::ruling::Ruling;
use model::run::Run;
use model::source::{CopyPlace, Evidence, Source};
use model::time::Moment;
use model::usage::TaskUsage;
use model::witness::{Says, Witness};
use serde::Serialize;

/// One value of a row, in the three shapes that every database has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// No value.
    Nothing,
    /// A number; times are microseconds since 1970.
    Number(i64),
    /// A text.
    Text(String),
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<u64> for Cell {
    /// Sizes and counts above 2^63 cannot exist; the body keeps the exact value all the same.
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<RunNumber> for Cell {
    fn from(run: RunNumber) -> Self {
        Self::from(run.0)
    }
}

impl From<LumiNumber> for Cell {
    fn from(lumi: LumiNumber) -> Self {
        Self::from(lumi.0)
    }
}

impl From<Moment> for Cell {
    fn from(moment: Moment) -> Self {
        Self::Number(moment.as_micros())
    }
}

impl From<&str> for Cell {
    /// PostgreSQL takes no text with a zero byte, so a column never has one; the body keeps it.
    fn from(text: &str) -> Self {
        Self::Text(text.replace('\0', "\u{fffd}"))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

/// Where rows of one kind go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its columns between `agent` and `body`.
    pub(crate) columns: &'static [&'static str],
    /// Columns of the key.
    pub(crate) key: &'static [&'static str],
    /// A column that may never change once the row exists: another value under the same key is
    /// refused.
    pub(crate) fixed: Option<&'static str>,
}

impl Table {
    /// How many values a row has: the columns, `agent` before and `body` after them.
    pub(crate) fn width(&self) -> usize {
        self.columns.len() + 2
    }
}

/// What a row holds, whatever its kind.
pub(crate) trait Contents {
    /// Puts down the cells of the table's columns, in their order.
    fn cells(&self, cells: &mut Vec<Cell>);

    /// The whole value as JSON.
    fn body(&self) -> serde_json::Result<String>;
}

/// A value that is kept as a row.
pub(crate) trait Row: Contents {
    /// Where it goes.
    const TABLE: Table;
    /// Identity: of several values under one key only the last is written.
    type Key<'a>: Ord
    where
        Self: 'a;

    /// Its identity, which is also its place in a sorted list.
    fn key(&self) -> Self::Key<'_>;
}

/// Room for most bodies, so that a text does not grow in steps.
const BODY_BYTES: usize = 1_024;

fn to_json(value: &impl Serialize) -> serde_json::Result<String> {
    let mut bytes = Vec::with_capacity(BODY_BYTES);
    serde_json::to_writer(&mut bytes, value)?;
    Ok(String::from_utf8(bytes).expect("JSON is written as UTF-8"))
}

/// Implements [`Row`] and [`Contents`]: columns and cells stand side by side, so that they can be
/// compared at a glance.
macro_rules! row {
    (
        $table:literal holds $kind:ty,
        key [$($key_column:literal),+] as $key_type:ty: |$of:ident| $key:expr,
        fixed $fixed:expr,
        columns |$it:ident| { $($column:literal: $cell:expr,)+ }
    ) => {
        impl Row for $kind {
            const TABLE: Table = Table {
                name: $table,
                columns: &[$($column),+],
                key: &[$($key_column),+],
                fixed: $fixed,
            };
            type Key<'a> = $key_type;

            fn key(&self) -> Self::Key<'_> {
                let $of = self;
                $key
            }
        }

        impl Contents for $kind {
            fn cells(&self, cells: &mut Vec<Cell>) {
                let $it = self;
                cells.extend([$(Cell::from($cell)),+]);
            }

            fn body(&self) -> serde_json::Result<String> {
                to_json(self)
            }
        }
    };
}

row! {
    "configuration" holds ConfigurationText,
    key ["hash"] as &'a str: |configuration| configuration.hash.as_str(),
    fixed None,
    columns |configuration| {
        "hash": configuration.hash.as_str(),
        "taken_us": configuration.taken_at,
    }
}

row! {
    "run" holds Run,
    key ["number"] as RunNumber: |run| run.number,
    fixed None,
    columns |run| {
        "number": run.number,
        "run_type": run.run_type.as_str(),
        "label": run.label.as_str(),
        "state": states::run(&run.state),
        "last_lumi": run.last_lumi,
        "opened_us": run.opened_at,
    }
}

row! {
    "witness" holds Witness,
    key ["id"] as i64: |witness| witness.id.0,
    fixed None,
    columns |witness| {
        "id": witness.id.0,
        "run": witness.run,
        "first_lumi": lumis_of(witness).0,
        "last_lumi": lumis_of(witness).1,
        "stream": stream_of(witness),
        "source": witness.source.as_str(),
        "instance": witness.instance.number,
        "at_us": witness.at,
        "said_by": witness.by.as_str(),
    }
}

/// The lumis that a statement is about; 0 for the end of a run.
fn lumis_of(witness: &Witness) -> (LumiNumber, LumiNumber) {
    match &witness.says {
        Says::Lumis { first, last, .. } => (*first, *last),
        Says::LostFile { lumi, .. } => (*lumi, *lumi),
        Says::End { .. } => (LumiNumber(0), LumiNumber(0)),
    }
}

/// The stream that a statement names; empty for all of them.
fn stream_of(witness: &Witness) -> &str {
    match &witness.says {
        Says::Lumis {
            stream: Some(stream),
            ..
        }
        | Says::LostFile { stream, .. } => stream.as_str(),
        Says::Lumis { stream: None, .. } | Says::End { .. } => "",
    }
}

row! {
    "file" holds File,
    key ["id"] as i64: |file| file.id.0,
    fixed None,
    columns |file| {
        "id": file.id.0,
        "profile": file.arrival.profile.as_str(),
        "name": file.arrival.name.as_str(),
        "run": file.arrival.run,
        "lumi": file.arrival.lumi,
        "stream": file.arrival.stream.as_str(),
        "bytes": file.arrival.bytes.0,
        "events": file.arrival.counts.map_or(0, |counts| counts.accepted),
        "seen_us": file.arrival.seen_at,
        "late": i64::from(file.late),
    }
}

row! {
    "set_aside" holds SetAside,
    key ["profile", "name"] as (&'a str, &'a str):
        |thing| (thing.profile.as_str(), thing.name.as_str()),
    fixed None,
    columns |thing| {
        "profile": thing.profile.as_str(),
        "name": thing.name.as_str(),
        "refusal": thing.refusal.code(),
        "at_us": thing.at,
    }
}

row! {
    "job" holds Job,
    key ["id"] as JobId: |job| job.id,
    fixed None,
    columns |job| {
        "id": job.id.0,
        "run": job.run,
        "pipeline": job.task.pipeline.as_str(),
        "task": job.task.task.as_str(),
        "state": states::job(&job.state),
        "attempt": job.state.attempt().0,
        "deadline_us": job.deadline,
        "seen_us": job.stamps.seen,
    }
}

row! {
    "consumed" holds Consumed,
    key ["pipeline", "task", "input_kind", "input", "first_event"] as (&'a TaskPath, InputId, u64):
        |consumed| (&consumed.task, consumed.input, consumed.first_event),
    fixed Some("job"),
    columns |consumed| {
        "pipeline": consumed.task.pipeline.as_str(),
        "task": consumed.task.task.as_str(),
        "input_kind": states::input_kind(consumed.input),
        "input": consumed.input.number(),
        "first_event": consumed.first_event,
        "run": consumed.run,
        "job": consumed.job.0,
    }
}

row! {
    "failed_attempt" holds FailedAttempt,
    key ["job", "attempt"] as (JobId, u32): |failed| (failed.job, failed.attempt.0),
    fixed None,
    columns |failed| {
        "job": failed.job.0,
        "attempt": failed.attempt.0,
        "exit_class": failed.class.as_str(),
        "exit_code": failed.code.map(i64::from),
        "fingerprint": failed.fingerprint.map(|mark| mark.to_string()),
        "at_us": failed.at,
    }
}

row! {
    "output" holds Output,
    key ["id"] as i64: |output| output.id.0,
    fixed None,
    columns |output| {
        "id": output.id.0,
        "job": output.job.0,
        "label": output.label.as_str(),
        "run": output.run,
        "pipeline": output.task.pipeline.as_str(),
        "task": output.task.task.as_str(),
        "dataset": output.dataset.as_str(),
        "name": output.name.as_str(),
        "bytes": output.bytes.0,
        "events": output.events.0,
        "block": output.block.map(|block| block.0),
        "committed_us": output.committed_at,
    }
}

row! {
    "block" holds Block,
    key ["id"] as i64: |block| block.id.0,
    fixed None,
    columns |block| {
        "id": block.id.0,
        "run": block.run,
        "dataset": block.dataset.as_str(),
        "state": states::block(&block.state),
        "files": block.files,
        "bytes": block.bytes.0,
        "events": block.events.0,
    }
}

// Several agents may fill one dataset: each has a row of its own, and readers add them up.
row! {
    "dataset" holds Dataset,
    key ["agent", "name"] as &'a str: |dataset| dataset.name.as_str(),
    fixed None,
    columns |dataset| {
        "name": dataset.name.as_str(),
        "primary_name": dataset.primary.as_str(),
        "processed": dataset.processed.as_str(),
        "tier": dataset.tier.as_str(),
        "label": dataset.label.as_str(),
        "pipeline": dataset.task.pipeline.as_str(),
        "task": dataset.task.task.as_str(),
        "runs": dataset.closed.runs,
        "blocks": dataset.closed.blocks,
        "files": dataset.closed.files,
        "bytes": dataset.closed.bytes.0,
        "events": dataset.closed.events.0,
        "lumis": dataset.closed.lumis,
        "duplicate_lumis": dataset.closed.duplicate_lumis,
        "created_us": dataset.created_at,
    }
}

row! {
    "lumi_content" holds LumiContent,
    key ["agent", "dataset", "run"] as (&'a str, RunNumber):
        |content| (content.dataset.as_str(), content.run),
    fixed None,
    columns |content| {
        "dataset": content.dataset.as_str(),
        "run": content.run,
        "blocks": content.blocks,
        "files": content.files,
        "bytes": content.bytes.0,
        "events": content.events.0,
        "lumis": model::lumi::count(&content.lumis),
        "duplicate_lumis": model::lumi::count(&content.duplicate_lumis),
    }
}

row! {
    "decision" holds GateDecision,
    key ["tag", "run"] as (&'a str, RunNumber): |decision| (decision.tag.as_str(), decision.run),
    fixed None,
    columns |decision| {
        "tag": decision.tag.as_str(),
        "run": decision.run,
        "outcome": decision.outcome.as_str(),
        "at_us": decision.at,
    }
}

row! {
    "conditions_tag" holds ConditionsTag,
    key ["name"] as &'a str: |tag| tag.name.as_str(),
    fixed None,
    columns |tag| {
        "name": tag.name.as_str(),
        "synchronisation": tag.synchronisation.as_str(),
        "inserted_us": tag.inserted_at,
    }
}

row! {
    "global_tag" holds GlobalTag,
    key ["name"] as &'a str: |global| global.name.as_str(),
    fixed None,
    columns |global| {
        "name": global.name.as_str(),
        "inserted_us": global.inserted_at,
    }
}

row! {
    "iov" holds Iov,
    key ["tag", "since", "sequence"] as (&'a str, Since, i64):
        |iov| (iov.tag.as_str(), iov.since, iov.sequence),
    fixed None,
    columns |iov| {
        "tag": iov.tag.as_str(),
        "since": iov.since.0,
        "sequence": iov.sequence,
        "hash": iov.hash.as_str(),
        "inserted_us": iov.inserted_at,
    }
}

row! {
    "payload" holds ConditionsPayload,
    key ["hash"] as &'a str: |payload| payload.hash.as_str(),
    fixed None,
    columns |payload| {
        "hash": payload.hash.as_str(),
        "bytes": payload.text.len() as u64,
    }
}

row! {
    "quality" holds RunQuality,
    key ["run"] as RunNumber: |quality| quality.run,
    fixed None,
    columns |quality| {
        "run": quality.run,
        "verdict": quality.verdict.as_str(),
        "at_us": quality.at,
    }
}

// An alarm belongs to the agent that raised it, so `agent` is part of its key in the table.
row! {
    "alarm" holds Alarm,
    key ["agent", "alarm_key"] as &'a str: |alarm| alarm.key.as_str(),
    fixed None,
    columns |alarm| {
        "alarm_key": alarm.key.as_str(),
        "severity": states::severity(alarm.severity),
        "raised_us": alarm.raised_at,
        "cleared_us": alarm.cleared_at,
    }
}

row! {
    "message" holds OutboxMessage,
    key ["id"] as i64: |message| message.id.0,
    fixed None,
    columns |message| {
        "id": message.id.0,
        "kind": message.kind.as_str(),
        "run": message.run,
        "subject": message.subject.as_str(),
        "at_us": message.at,
    }
}

row! {
    "audit" holds Audit,
    key ["id"] as i64: |audit| audit.id.0,
    fixed None,
    columns |audit| {
        "id": audit.id.0,
        "at_us": audit.at,
        "asked_by": audit.by.as_str(),
        "verb": audit.verb.as_str(),
        "object": audit.object.as_str(),
    }
}

row! {
    "ruling" holds Ruling,
    key ["pipeline", "task", "run"] as (&'a TaskPath, Option<RunNumber>):
        |ruling| (&ruling.task, ruling.run),
    fixed None,
    columns |ruling| {
        "pipeline": ruling.task.pipeline.as_str(),
        "task": ruling.task.task.as_str(),
        "run": ruling.run.unwrap_or(RunNumber(0)),
        "kind": ruling.kind.as_str(),
        "at_us": ruling.at,
    }
}

row! {
    "source_release" holds Source,
    key ["file"] as i64: |source| source.file.0,
    fixed None,
    columns |source| {
        "file": source.file.0,
        "run": source.run,
        "state": source.state.number(),
        "steps": source.steps,
    }
}

row! {
    "source_evidence" holds Evidence,
    key ["file", "step"] as (i64, u32): |evidence| (evidence.file.0, evidence.step),
    fixed None,
    columns |evidence| {
        "file": evidence.file.0,
        "step": evidence.step,
        "run": evidence.run,
        "place": evidence.copy.map(CopyPlace::number),
        "at_us": evidence.at,
    }
}

row! {
    "task_usage" holds TaskUsage,
    key ["agent", "pipeline", "task"] as &'a TaskPath: |usage| &usage.task,
    fixed None,
    columns |usage| {
        "pipeline": usage.task.pipeline.as_str(),
        "task": usage.task.task.as_str(),
        "jobs": usage.jobs,
    }
}
