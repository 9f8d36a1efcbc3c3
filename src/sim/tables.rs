//! State rows in memory: what a store holds after some facts, and which facts no store may ever
//! take (D2, D4, D10).
//!
//! In come facts, out come rows or the sentence that says which promise a fact breaks. Used twice:
//! as the model store's durable content, and as the shadow of everything the engine has said,
//! durable or not.

use crate::history::Moved;
use model::alarm::Alarm;
use model::arrival::{Refusal, SetAside};
use model::audit::Audit;
use model::conditions::{
    ConditionsPayload, ConditionsTag, GateDecision, GateOutcome, GlobalTag, Iov, Since,
};
use model::configuration::ConfigurationText;
use model::dataset::{Block, BlockState, Dataset, LumiContent, Output};
use model::fact::{Consumed, Fact, OutboxMessage};
use model::file::{Content, File};
use model::ids::{
    AttemptNumber, AuditId, BlockId, FileId, JobId, MessageId, OutputId, RunNumber, WitnessId,
};
use model::job::{FailedAttempt, InputId, Job, JobState};
use model::names::{DatasetName, FileName, OutputLabel, ProfileName, TagName, TaskPath};
use model::quality::RunQuality;
use model::rows::Rows;
use model::ruling::Ruling;
use model::run::{Run, RunState};
use model::source::{Evidence, Source};
use model::usage::TaskUsage;
use model::witness::Witness;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Messages of which there is one for each object, ever.
const ONCE: [&str; 6] = [
    "run.started",
    "run.closed",
    "run.finished",
    "output.published",
    "block.closed",
    "conditions.published",
];

/// Failures of a job that count, at most: every task that is simulated allows three attempts, and a
/// person one more whenever a job was parked.
const FAILURES_MAX: u32 = 3;

/// Rows by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tables {
    /// How often a person has let a parked job go on.
    released: BTreeMap<JobId, u32>,
    pub(crate) configurations: BTreeMap<String, ConfigurationText>,
    pub(crate) runs: BTreeMap<RunNumber, Run>,
    pub(crate) witnesses: BTreeMap<WitnessId, Witness>,
    pub(crate) files: BTreeMap<FileId, File>,
    pub(crate) file_names: BTreeMap<(ProfileName, FileName), FileId>,
    pub(crate) set_aside: BTreeMap<(ProfileName, FileName, Refusal), SetAside>,
    pub(crate) jobs: BTreeMap<JobId, Arc<Job>>,
    pub(crate) consumed: BTreeMap<(TaskPath, InputId, u64), Consumed>,
    pub(crate) outputs: BTreeMap<OutputId, Output>,
    winners: BTreeMap<(JobId, OutputLabel), OutputId>,
    pub(crate) blocks: BTreeMap<BlockId, Block>,
    datasets: BTreeMap<DatasetName, Dataset>,
    contents: BTreeMap<(DatasetName, RunNumber), LumiContent>,
    pub(crate) decisions: BTreeMap<(TagName, RunNumber), GateDecision>,
    pub(crate) tags: BTreeMap<TagName, ConditionsTag>,
    global_tags: BTreeMap<String, GlobalTag>,
    pub(crate) iovs: BTreeMap<(TagName, Since, i64), Iov>,
    /// Of several rows with one since the last.
    pub(crate) in_force: BTreeMap<(TagName, Since), Iov>,
    pub(crate) payloads: BTreeMap<String, ConditionsPayload>,
    pub(crate) quality: BTreeMap<RunNumber, RunQuality>,
    pub(crate) alarms: BTreeMap<String, Alarm>,
    pub(crate) rulings: BTreeMap<(TaskPath, Option<RunNumber>), Ruling>,
    messages: BTreeMap<MessageId, OutboxMessage>,
    audits: BTreeMap<AuditId, Audit>,
    pub(crate) said: BTreeSet<(&'static str, String)>,
    failed: BTreeMap<(JobId, AttemptNumber), FailedAttempt>,
    /// From which attempt on failures of a job count: a person who wants it again begins anew.
    begun: BTreeMap<JobId, AttemptNumber>,
    pub(crate) sources: BTreeMap<FileId, Source>,
    pub(crate) evidence: BTreeMap<(FileId, u32), Evidence>,
    usage: BTreeMap<TaskPath, TaskUsage>,
    /// Rows that no restart reads any more.
    pub(crate) history: BTreeSet<Moved>,
}

impl Tables {
    /// Takes a fact in, or says which promise it breaks.
    pub(crate) fn apply(&mut self, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::FileIs(file) => self.take_file(file),
            Fact::SetAsideIs(item) => {
                let key = (item.profile.clone(), item.name.clone(), item.refusal);
                once(&mut self.set_aside, key, item, "set aside twice")
            }
            Fact::ConfigurationIs(row) => {
                let (key, broken) = (row.hash.clone(), "a configuration was rewritten");
                once(&mut self.configurations, key, row, broken)
            }
            Fact::RunIs(run) => self.take_run(run),
            Fact::WitnessIs(witness) => {
                let broken = "a statement was replaced";
                once(&mut self.witnesses, witness.id, witness, broken)
            }
            Fact::JobIs(job) => self.take_job(job),
            Fact::ConsumedIs(row) => {
                let key = (row.task.clone(), row.input, row.first_event);
                let broken = "I4: an input was consumed twice";
                once(&mut self.consumed, key, row, broken)
            }
            Fact::AttemptFailedIs(attempt) => {
                let key = (attempt.job, attempt.attempt);
                once(&mut self.failed, key, attempt, "an attempt failed twice")?;
                self.count_failures(attempt.job)
            }
            Fact::OutputIs(output) => self.take_output(output),
            Fact::BlockIs(block) => self.take_block(block),
            Fact::DatasetIs(dataset) => {
                self.datasets.insert(dataset.name.clone(), dataset.clone());
                Ok(())
            }
            Fact::ContentIs(content) => {
                let key = (content.dataset.clone(), content.run);
                self.contents.insert(key, content.clone());
                Ok(())
            }
            Fact::DecisionIs(decision) => self.take_decision(decision),
            Fact::TagIs(tag) => self.take_tag(tag),
            Fact::GlobalTagIs(global) => {
                let broken = "a global tag was remade";
                once(&mut self.global_tags, global.name.clone(), global, broken)
            }
            Fact::IovIs(iov) => self.take_iov(iov),
            Fact::PayloadIs(payload) => {
                let key = payload.hash.clone();
                once(&mut self.payloads, key, payload, "a payload was rewritten")
            }
            Fact::QualityIs(quality) => {
                // A new part is judged together with what was tested before, and so is a job that
                // was retried after the verdict.
                let parts = self.runs.get(&quality.run).map_or(1, |run| run.part);
                let before = self.quality.get(&quality.run);
                let adds = before.is_some_and(|before| {
                    let (known, now) = (&before.tests, &quality.tests);
                    known.len() < now.len() && now.starts_with(known)
                });
                // One that was made again takes its answers back.
                let again = quality.tested_by.iter().any(|(job, _)| {
                    let job = self.jobs.get(job);
                    job.is_some_and(|job| job.lineage.redoes.is_some())
                });
                if parts > 1 || adds || again {
                    self.quality.insert(quality.run, quality.clone());
                    return Ok(());
                }
                let broken = "a run was judged twice";
                once(&mut self.quality, quality.run, quality, broken)
            }
            Fact::AlarmIs(alarm) => {
                self.alarms.insert(alarm.key.clone(), alarm.clone());
                Ok(())
            }
            Fact::MessageIs(message) => self.take_message(message),
            Fact::AuditIs(audit) => once(&mut self.audits, audit.id, audit, "an act was rewritten"),
            Fact::RulingIs(ruling) => {
                let key = (ruling.task.clone(), ruling.run);
                self.rulings.insert(key, ruling.clone());
                Ok(())
            }
            Fact::SourceIs(source) => self.take_source(source),
            Fact::EvidenceIs(row) => {
                let key = (row.file, row.step);
                once(&mut self.evidence, key, row, "P2: evidence was rewritten")
            }
            Fact::UsageIs(usage) => {
                self.usage.insert(usage.task.clone(), usage.clone());
                Ok(())
            }
        }
    }

    fn take_file(&mut self, file: &File) -> Result<(), String> {
        let key = (file.arrival.profile.clone(), file.arrival.name.clone());
        once(
            &mut self.file_names,
            key,
            &file.id,
            "I1: a name was accepted twice",
        )?;
        // Of an accepted file only one thing is learnt later: whether it is what was claimed. Only
        // one that is not may be sent again.
        let learnt = |before: &File| {
            let mut same = File {
                content: file.content,
                ..before.clone()
            };
            let again = matches!(before.content, Content::Differs { .. })
                && file.content == Content::Claimed;
            if again {
                (same.arrival.inode, same.arrival.mtime) = (file.arrival.inode, file.arrival.mtime);
            }
            (again || before.content == Content::Claimed) && same == *file
        };
        if self.files.get(&file.id).is_some_and(learnt) {
            self.files.insert(file.id, file.clone());
            return Ok(());
        }
        let broken = "I1: an accepted file was rewritten";
        once(&mut self.files, file.id, file, broken)
    }

    /// What was held is decided when somebody has looked, or another harvest has.
    fn take_decision(&mut self, decision: &GateDecision) -> Result<(), String> {
        let key = (decision.tag.clone(), decision.run);
        let was_held = |known: &GateDecision| known.outcome == GateOutcome::Held;
        if self.decisions.get(&key).is_some_and(was_held) {
            self.decisions.remove(&key);
        }
        let broken = "a constant was decided twice";
        once(&mut self.decisions, key, decision, broken)
    }

    /// Of a tag only one thing changes: who holds it.
    fn take_tag(&mut self, tag: &ConditionsTag) -> Result<(), String> {
        // Only whether it takes new intervals may change.
        if let Some(known) = self.tags.get_mut(&tag.name) {
            known.held.clone_from(&tag.held);
            known.protection = tag.protection;
        }
        once(&mut self.tags, tag.name.clone(), tag, "a tag was remade")
    }

    fn take_iov(&mut self, iov: &Iov) -> Result<(), String> {
        let key = (iov.tag.clone(), iov.since, iov.sequence);
        if self.iovs.get(&key) == Some(iov) {
            return Ok(());
        }
        let since = (iov.tag.clone(), iov.since);
        let before = self.in_force.insert(since, iov.clone());
        if before.is_some_and(|before| before.hash == iov.hash) {
            let (tag, since) = (&iov.tag, iov.since.0);
            return Err(format!(
                "D17: the same constant of {tag} since {since} is two rows"
            ));
        }
        once(&mut self.iovs, key, iov, "an interval was rewritten")
    }

    fn take_run(&mut self, run: &Run) -> Result<(), String> {
        let rank = |state: &RunState| match state {
            RunState::Open => 0,
            RunState::Ending => 1,
            RunState::Closed { .. } => 2,
            RunState::Finished { .. } => 3,
            // A late file makes it leave once more.
            RunState::Archiving { .. } | RunState::Archived { .. } => 4,
        };
        let before = self.runs.insert(run.number, run.clone());
        let pinned = |run: &Run| (run.label, run.config_hash.clone());
        if before
            .as_ref()
            .is_some_and(|b| pinned(b) != pinned(run) || b.part > run.part)
        {
            return Err(format!(
                "I12: run {} is not what it was opened as",
                run.number
            ));
        }
        let same_part = |before: &Run| (before.part, before.resumed) == (run.part, run.resumed);
        match before.filter(|before| same_part(before) && rank(&before.state) > rank(&run.state)) {
            Some(before) => Err(format!(
                "I12: run {} went back from {} to {}",
                run.number,
                before.state.word(),
                run.state.word()
            )),
            None => Ok(()),
        }
    }

    /// A source goes one step at a time, and never back from its release.
    fn take_source(&mut self, source: &Source) -> Result<(), String> {
        let before = self.sources.insert(source.file, source.clone());
        let Some(before) = before.filter(|before| before != source) else {
            return Ok(());
        };
        let (from, to) = (before.state, source.state);
        if source.steps != before.steps + 1 || (from.is_released() && !to.is_released()) {
            let file = source.file;
            return Err(format!("P2: source {file} went from {from:?} to {to:?}"));
        }
        Ok(())
    }

    fn take_job(&mut self, job: &Arc<Job>) -> Result<(), String> {
        let before = self.jobs.insert(job.id, job.clone());
        let Some(before) = before else {
            return Ok(());
        };
        let won = matches!(before.state, JobState::Done { .. });
        let redone = matches!(job.state, JobState::Superseded { .. })
            && job.lineage.replaced_by.len() == 1
            && job.lineage.replaced_by != before.lineage.replaced_by;
        if (won && !redone && before.state != job.state)
            || job.state.attempt() < before.state.attempt()
        {
            let (from, to) = (before.state, job.state);
            return Err(format!("I3: job {} went from {from:?} to {to:?}", job.id));
        }
        let parked = matches!(before.state, JobState::Parked { .. });
        let parks = matches!(job.state, JobState::Parked { .. });
        if parked && !parks {
            *self.released.entry(job.id).or_default() += 1;
        }
        let released = self.released.get(&job.id).copied().unwrap_or(0);
        if job.failures > FAILURES_MAX + released {
            let (id, failures) = (job.id, job.failures);
            return Err(format!("R21: job {id} failed {failures} times"));
        }
        let waited = matches!(
            before.state,
            JobState::Failed { .. } | JobState::Cancelled { .. } | JobState::Parked { .. }
        );
        // A person who wants it again forgets what was, be it in the very batch of the failure.
        let forgotten = job.failures == 0 && job.failure.is_some_and(|last| last.same == 0);
        if (waited && before.state != job.state) || job.failures < before.failures || forgotten {
            self.begun.insert(job.id, job.state.attempt());
        }
        if !self.same_inputs(&before, job) || (before.task != job.task) {
            return Err(format!("I3: job {} was given other work", job.id));
        }
        Ok(())
    }

    /// Failures that cost an attempt, counted here and not by the engine.
    fn count_failures(&self, job: JobId) -> Result<(), String> {
        let from = self.begun.get(&job).copied();
        let from = from.unwrap_or(AttemptNumber::FIRST);
        let since = self
            .failed
            .range((job, from)..=(job, AttemptNumber(u32::MAX)));
        let failures = since.filter(|(_, attempt)| attempt.class.costs_an_attempt());
        match failures.count() {
            count if count > FAILURES_MAX as usize => Err(format!(
                "R21: job {job} was tried again after {count} failures"
            )),
            _ => Ok(()),
        }
    }

    fn take_output(&mut self, output: &Output) -> Result<(), String> {
        let key = (output.job, output.label.clone());
        once(&mut self.winners, key, &output.id, "I3: a second winner")?;
        if let Some(before) = self.outputs.get_mut(&output.id)
            && before.superseded_by.is_none()
            && output.superseded_by.is_some()
        {
            before.superseded_by = output.superseded_by;
            before.block = None;
        }
        once(
            &mut self.outputs,
            output.id,
            output,
            "I3: an output was rewritten",
        )
    }

    fn take_block(&mut self, block: &Block) -> Result<(), String> {
        let before = self.blocks.insert(block.id, block.clone());
        // An output in whose place another stands leaves it.
        let left = |before: &Block| Block {
            files: before.files,
            bytes: before.bytes,
            events: before.events,
            lumis: before.lumis.clone(),
            ..block.clone()
        };
        let is_less = |before: &Block| block.files < before.files && left(before) == *before;
        let closed = before.filter(|before| before.state != BlockState::Open && before != block);
        match closed.filter(|before| !is_less(before)) {
            Some(before) => Err(format!("I3: closed block {} changed", before.id)),
            None => Ok(()),
        }
    }

    fn take_message(&mut self, message: &OutboxMessage) -> Result<(), String> {
        let broken = "a message's number was used twice";
        once(&mut self.messages, message.id, message, broken)?;
        let Some(kind) = ONCE.iter().find(|kind| **kind == message.kind) else {
            return Ok(());
        };
        // People may put several constants for the same run, one after the other.
        let is_new = self.said.insert((kind, message.subject.clone()));
        if is_new || (*kind == "conditions.published" && self.is_said_of_rows(message)) {
            Ok(())
        } else {
            Err(format!("I9: {kind} was said twice of {}", message.subject))
        }
    }

    /// Whether as many intervals with one since were recorded as a message was said of.
    fn is_said_of_rows(&self, message: &OutboxMessage) -> bool {
        let of = |iov: &&Iov| {
            let counts = self.tags.get(&iov.tag).map(|tag| tag.time_type);
            let since = iov.since.listed(counts.unwrap_or_default());
            format!("{} since {since}", iov.tag) == message.subject
        };
        let rows = self.iovs.values().filter(of).count();
        let said = self.messages.values();
        let said = said.filter(|m| m.kind == message.kind && m.subject == message.subject);
        said.count() <= rows
    }

    /// What a restart reads.
    pub(crate) fn rows(&self) -> Rows {
        fn values<K, V: Clone>(table: &BTreeMap<K, V>) -> Vec<V> {
            table.values().cloned().collect()
        }
        fn some<K, V: Clone>(table: &BTreeMap<K, V>, is_meant: impl Fn(&V) -> bool) -> Vec<V> {
            table
                .values()
                .filter(|row| is_meant(row))
                .cloned()
                .collect()
        }
        let alarms = self.alarms.values();
        let runs = self.runs.values();
        let (archived, runs): (Vec<&Run>, Vec<&Run>) =
            runs.partition(|run| matches!(run.state, RunState::Archived { .. }));
        let here = |run: RunNumber| self.is_at_work(run);
        Rows {
            configurations: values(&self.configurations),
            runs: runs.into_iter().cloned().collect(),
            archived: archived.into_iter().map(|run| run.number).collect(),
            witnesses: some(&self.witnesses, |row| here(row.run)),
            files: some(&self.files, |row| here(row.arrival.run)),
            set_aside: values(&self.set_aside),
            jobs: {
                let jobs = self.jobs.values().filter(|row| here(row.run));
                jobs.map(|job| (**job).clone()).collect()
            },
            consumed: some(&self.consumed, |row| here(row.run)),
            outputs: some(&self.outputs, |row| here(row.run)),
            blocks: some(&self.blocks, |row| here(row.run)),
            datasets: values(&self.datasets),
            contents: some(&self.contents, |row| here(row.run)),
            decisions: values(&self.decisions),
            rulings: values(&self.rulings),
            tags: values(&self.tags),
            global_tags: values(&self.global_tags),
            iovs: values(&self.iovs),
            payloads: values(&self.payloads),
            quality: values(&self.quality),
            sources: some(&self.sources, |row| here(row.run)),
            alarms: alarms
                .filter(|alarm| alarm.cleared_at.is_none())
                .cloned()
                .collect(),
            usage: values(&self.usage),
        }
    }
}

/// The first kind of rows in which two stores differ, with the first row that does.
pub(crate) fn difference(one: &Rows, other: &Rows) -> Option<String> {
    fn differ<R: PartialEq + std::fmt::Debug>(
        name: &str,
        one: &[R],
        other: &[R],
    ) -> Option<String> {
        let both = one.iter().zip(other).find(|(a, b)| a != b);
        let (a, b) = (one.len(), other.len());
        let lengths = || (a != b).then(|| format!("{name}: {a} and {b} of them"));
        both.map(|(a, b)| format!("{name}: {a:?} is {b:?}"))
            .or_else(lengths)
    }
    differ("configurations", &one.configurations, &other.configurations)
        .or_else(|| differ("runs", &one.runs, &other.runs))
        .or_else(|| differ("witnesses", &one.witnesses, &other.witnesses))
        .or_else(|| differ("files", &one.files, &other.files))
        .or_else(|| differ("set aside", &one.set_aside, &other.set_aside))
        .or_else(|| differ("jobs", &one.jobs, &other.jobs))
        .or_else(|| differ("consumed", &one.consumed, &other.consumed))
        .or_else(|| differ("outputs", &one.outputs, &other.outputs))
        .or_else(|| differ("blocks", &one.blocks, &other.blocks))
        .or_else(|| differ("datasets", &one.datasets, &other.datasets))
        .or_else(|| differ("contents", &one.contents, &other.contents))
        .or_else(|| differ("decisions", &one.decisions, &other.decisions))
        .or_else(|| differ("tags", &one.tags, &other.tags))
        .or_else(|| differ("global tags", &one.global_tags, &other.global_tags))
        .or_else(|| differ("intervals", &one.iovs, &other.iovs))
        .or_else(|| differ("payloads", &one.payloads, &other.payloads))
        .or_else(|| differ("verdicts", &one.quality, &other.quality))
        .or_else(|| differ("alarms", &one.alarms, &other.alarms))
        .or_else(|| differ("rulings", &one.rulings, &other.rulings))
        .or_else(|| differ("sources", &one.sources, &other.sources))
        .or_else(|| differ("runs that are history", &one.archived, &other.archived))
        .or_else(|| differ("usage", &one.usage, &other.usage))
}

/// Takes a row whose value never changes.
fn once<K, V>(table: &mut BTreeMap<K, V>, key: K, value: &V, broken: &str) -> Result<(), String>
where
    K: Ord + std::fmt::Debug,
    V: Clone + PartialEq + std::fmt::Debug,
{
    match table.get(&key) {
        Some(known) if known == value => Ok(()),
        Some(known) => Err(format!("{broken}: {key:?} is {known:?}, now {value:?}")),
        None => {
            table.insert(key, value.clone());
            Ok(())
        }
    }
}
