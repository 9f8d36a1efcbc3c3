//! A store for tests of the engine: keeps the last value of everything recorded and gives it back
//! as rows.

use model::arrival::Checksum;
use model::fact::Fact;
use model::ids::FileId;
use model::rows::Rows;
use model::units::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that was recorded, in its order.
#[derive(Default)]
pub(crate) struct Shelf {
    facts: Vec<Fact>,
    claims: BTreeMap<FileId, (Bytes, u32)>,
}

impl Shelf {
    pub(crate) fn take(&mut self, fact: &Fact) {
        if let Fact::FileIs(file) = fact
            && let Some(Checksum::Adler32(claimed)) = file.arrival.checksum
        {
            self.claims.insert(file.id, (file.arrival.bytes, claimed));
        }
        self.facts.push(fact.clone());
    }

    /// What a reader finds in a file that is what its sender claims.
    pub(crate) fn claimed(&self, file: FileId) -> (Bytes, u32) {
        self.claims[&file]
    }

    /// What a restart reads: of each object its last value, sorted by key.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        for fact in self.facts.iter().cloned() {
            match fact {
                Fact::RunIs(run) => put(&mut rows.runs, run, |run| run.number),
                Fact::WitnessIs(said) => put(&mut rows.witnesses, said, |said| said.id),
                Fact::FileIs(file) => put(&mut rows.files, file, |file| file.id),
                Fact::JobIs(job) => put(&mut rows.jobs, Arc::unwrap_or_clone(job), |job| job.id),
                Fact::ConsumedIs(row) => put(&mut rows.consumed, row, |row| {
                    (row.task.clone(), row.input, row.first_event)
                }),
                Fact::OutputIs(output) => put(&mut rows.outputs, output, |output| output.id),
                Fact::BlockIs(block) => put(&mut rows.blocks, block, |block| block.id),
                Fact::DatasetIs(row) => put(&mut rows.datasets, row, |row| row.name.clone()),
                Fact::ContentIs(row) => put(&mut rows.contents, row, |row| {
                    (row.dataset.clone(), row.run)
                }),
                Fact::SetAsideIs(item) => put(&mut rows.set_aside, item, |item| {
                    (item.profile.clone(), item.name.clone(), item.refusal)
                }),
                Fact::AlarmIs(alarm) => put(&mut rows.alarms, alarm, |alarm| alarm.key.clone()),
                Fact::RulingIs(ruling) => put(&mut rows.rulings, ruling, |ruling| {
                    (ruling.task.clone(), ruling.run)
                }),
                Fact::DecisionIs(row) => {
                    put(&mut rows.decisions, row, |row| (row.tag.clone(), row.run));
                }
                Fact::TagIs(tag) => put(&mut rows.tags, tag, |tag| tag.name.clone()),
                Fact::GlobalTagIs(global) => {
                    put(&mut rows.global_tags, global, |global| global.name.clone());
                }
                Fact::IovIs(iov) => put(&mut rows.iovs, iov, |iov| {
                    (iov.tag.clone(), iov.since, iov.sequence)
                }),
                Fact::PayloadIs(row) => put(&mut rows.payloads, row, |row| row.hash.clone()),
                Fact::QualityIs(row) => put(&mut rows.quality, row, |row| row.run),
                Fact::ConfigurationIs(text) => {
                    put(&mut rows.configurations, text, |text| text.hash.clone());
                }
                Fact::SourceIs(row) => put(&mut rows.sources, row, |row| row.file),
                // The tables that restart need no others.
                _ => {}
            }
        }
        rows.alarms.retain(|alarm| alarm.cleared_at.is_none());
        rows
    }
}

fn put<T, K: Ord>(rows: &mut Vec<T>, row: T, key: impl Fn(&T) -> K) {
    match rows.binary_search_by_key(&key(&row), &key) {
        Ok(at) => rows[at] = row,
        Err(at) => rows.insert(at, row),
    }
}
