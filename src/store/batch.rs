//! A batch of facts, sorted into rows: of several values of one object only the last is kept. In
//! comes a batch, out go lists for each table in the order of their keys (which is also kind to the
//! database's trees). Two jobs for one input within a batch are refused here, because keeping the
//! last would hide them.

use crate::rows::{Contents, Row, Table};
use model::alarm::Alarm;
use model::arrival::SetAside;
use model::audit::Audit;
use model::conditions::{ConditionsPayload, ConditionsTag, GateDecision, GlobalTag, Iov};
use model::configuration::ConfigurationText;
use model::dataset::{Block, Dataset, LumiContent, Output};
use model::fact::{Consumed, Fact, OutboxMessage};
use model::file::File;
use model::job::{FailedAttempt, Job};
use model::quality::RunQuality;
use model::ruling::Ruling;
use model::run::Run;
use model::source::{Evidence, Source};
use model::usage::TaskUsage;
use model::witness::Witness;
use std::collections::BTreeMap;

type Last<'a, T> = BTreeMap<<T as Row>::Key<'a>, &'a T>;

/// Rows of one table, in the order of their keys.
pub(crate) struct Rows<'a> {
    pub(crate) table: Table,
    pub(crate) rows: Vec<&'a dyn Contents>,
}

/// The last values of a batch, by table.
#[derive(Default)]
pub(crate) struct LastValues<'a> {
    configurations: Last<'a, ConfigurationText>,
    runs: Last<'a, Run>,
    witnesses: Last<'a, Witness>,
    files: Last<'a, File>,
    set_aside: Last<'a, SetAside>,
    jobs: Last<'a, Job>,
    consumed: Last<'a, Consumed>,
    failed_attempts: Last<'a, FailedAttempt>,
    outputs: Last<'a, Output>,
    blocks: Last<'a, Block>,
    datasets: Last<'a, Dataset>,
    contents: Last<'a, LumiContent>,
    decisions: Last<'a, GateDecision>,
    tags: Last<'a, ConditionsTag>,
    global_tags: Last<'a, GlobalTag>,
    iovs: Last<'a, Iov>,
    payloads: Last<'a, ConditionsPayload>,
    quality: Last<'a, RunQuality>,
    alarms: Last<'a, Alarm>,
    messages: Last<'a, OutboxMessage>,
    audits: Last<'a, Audit>,
    rulings: Last<'a, Ruling>,
    sources: Last<'a, Source>,
    evidence: Last<'a, Evidence>,
    usage: Last<'a, TaskUsage>,
}

impl<'a> LastValues<'a> {
    /// Sorts the facts of a batch; says in words what contradicts itself.
    pub(crate) fn of(facts: &'a [Fact]) -> Result<Self, String> {
        let mut last = Self::default();
        for fact in facts {
            last.take(fact)?;
        }
        Ok(last)
    }

    fn take(&mut self, fact: &'a Fact) -> Result<(), String> {
        fn put<'a, T: Row>(values: &mut Last<'a, T>, value: &'a T) {
            values.insert(value.key(), value);
        }
        match fact {
            Fact::ConfigurationIs(row) => put(&mut self.configurations, row),
            Fact::RunIs(run) => put(&mut self.runs, run),
            Fact::WitnessIs(witness) => put(&mut self.witnesses, witness),
            Fact::FileIs(file) => put(&mut self.files, file),
            Fact::SetAsideIs(thing) => put(&mut self.set_aside, thing),
            Fact::JobIs(job) => put(&mut self.jobs, job),
            Fact::ConsumedIs(consumed) => {
                let before = self.consumed.insert(consumed.key(), consumed);
                if let Some(before) = before.filter(|before| before.job != consumed.job) {
                    return Err(format!(
                        "input {:?} of {} is given to job {} and to job {} in one batch",
                        consumed.input, consumed.task, before.job, consumed.job
                    ));
                }
            }
            Fact::AttemptFailedIs(failed) => put(&mut self.failed_attempts, failed),
            Fact::OutputIs(output) => put(&mut self.outputs, output),
            Fact::BlockIs(block) => put(&mut self.blocks, block),
            Fact::DatasetIs(dataset) => put(&mut self.datasets, dataset),
            Fact::ContentIs(content) => put(&mut self.contents, content),
            Fact::DecisionIs(decision) => put(&mut self.decisions, decision),
            Fact::TagIs(tag) => put(&mut self.tags, tag),
            Fact::GlobalTagIs(global) => put(&mut self.global_tags, global),
            Fact::IovIs(iov) => put(&mut self.iovs, iov),
            Fact::PayloadIs(payload) => put(&mut self.payloads, payload),
            Fact::QualityIs(quality) => put(&mut self.quality, quality),
            Fact::AlarmIs(alarm) => put(&mut self.alarms, alarm),
            Fact::MessageIs(message) => put(&mut self.messages, message),
            Fact::AuditIs(audit) => put(&mut self.audits, audit),
            Fact::RulingIs(ruling) => put(&mut self.rulings, ruling),
            Fact::SourceIs(source) => put(&mut self.sources, source),
            Fact::EvidenceIs(evidence) => put(&mut self.evidence, evidence),
            Fact::UsageIs(usage) => put(&mut self.usage, usage),
        }
        Ok(())
    }
    /// The rows of each table that has any, in the order in which tables are written.
    pub(crate) fn tables(&self) -> Vec<Rows<'a>> {
        fn rows<'a, T: Row>(values: &Last<'a, T>) -> Rows<'a> {
            let rows = values
                .values()
                .map(|value| *value as &dyn Contents)
                .collect();
            Rows {
                table: T::TABLE,
                rows,
            }
        }
        let mut tables = vec![
            rows(&self.configurations),
            rows(&self.runs),
            rows(&self.witnesses),
            rows(&self.files),
            rows(&self.set_aside),
            rows(&self.jobs),
            rows(&self.consumed),
            rows(&self.failed_attempts),
            rows(&self.outputs),
            rows(&self.blocks),
            rows(&self.datasets),
            rows(&self.contents),
            rows(&self.decisions),
            rows(&self.tags),
            rows(&self.global_tags),
            rows(&self.iovs),
            rows(&self.payloads),
            rows(&self.quality),
            rows(&self.alarms),
            rows(&self.messages),
            rows(&self.audits),
            rows(&self.rulings),
            rows(&self.sources),
            rows(&self.evidence),
            rows(&self.usage),
        ];
        tables.retain(|rows| !rows.rows.is_empty());
        tables
    }
}
