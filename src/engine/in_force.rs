//! What is in force of a tag for a job: where a job looks, and which intervals it reads.
//!
//! In come the intervals of tags and a job's place; out come the intervals that the job reads, and
//! whether they are those that it was given. Of a tag that counts by run that is the one in force
//! for the run; by time, the one in force at the moment when the run began; by lumi, every one that
//! some lumi of the job is in. Whoever asks twice with the same rows must get the same answer: a
//! run's moment and a job's lumis never change.

use crate::constants::{Constants, stored_tag};
use calibration::conditions::Insertion;
use model::conditions::{GlobalTag, Since, TimeType};
use model::ids::{LumiNumber, RunNumber};
use model::job::UsedConstant;
use model::names::{DataLabel, TagName};
use model::run::Run;
use model::time::Moment;
use std::borrow::Cow;
use std::sync::Arc;

/// The first lumi of a run: where a job looks that has no lumis, and a run as a whole.
const FIRST_LUMI: (LumiNumber, LumiNumber) =
    (LumiNumber(Since::FIRST_LUMI), LumiNumber(Since::FIRST_LUMI));

/// Where a job looks for its constants.
#[derive(Clone, Copy)]
pub(crate) struct Place<'j> {
    run: RunNumber,
    label: DataLabel,
    began_at: Moment,
    /// Never empty.
    lumis: &'j [(LumiNumber, LumiNumber)],
}

impl<'j> Place<'j> {
    /// Of a job of a run that covers these lumis; one without any looks at the first of the run.
    pub(crate) fn of(run: &Run, lumis: &'j [(LumiNumber, LumiNumber)]) -> Self {
        Self {
            run: run.number,
            label: run.label,
            began_at: run.opened_at,
            lumis: if lumis.is_empty() {
                &[FIRST_LUMI]
            } else {
                lumis
            },
        }
    }

    /// The name under which a tag that a task names is stored for it.
    pub(crate) fn stored<'t>(&self, tag: &'t TagName) -> Cow<'t, TagName> {
        match self.label {
            DataLabel::Real => Cow::Borrowed(tag),
            DataLabel::Simulated => Cow::Owned(stored_tag(tag, self.label)),
        }
    }

    /// The first of its lumis that an interval of a tag by lumi can hold for.
    fn first_lumi_from(&self, since: Since) -> Option<LumiNumber> {
        let begins = |lumi: LumiNumber| Since::lumi(self.run, lumi.0);
        let mut ranges = self.lumis.iter();
        let (first, _) = ranges.find(|(_, last)| begins(*last) >= since)?;
        // What began before the range, perhaps in an earlier run, holds from its first lumi on.
        let is_inside = since > begins(*first);
        Some(if is_inside {
            LumiNumber(since.0 as u32)
        } else {
            *first
        })
    }
}

/// An interval that a job reads.
#[derive(Clone, Copy)]
pub(crate) struct InForce<'c> {
    pub(crate) since: Since,
    pub(crate) hash: &'c str,
    pub(crate) text: &'c Arc<str>,
}

impl Constants {
    /// What a tag as stored counts by; those that tasks measure and nobody made, by run.
    pub(crate) fn time_type(&self, tag: &TagName) -> TimeType {
        self.tags
            .get(tag)
            .map_or(TimeType::Run, |tag| tag.time_type)
    }

    /// The intervals of a tag as stored that a job reads, in the order in which they begin; by a
    /// global tag, only what its moment leaves in force.
    pub(crate) fn in_force(
        &self,
        tag: &TagName,
        place: Place<'_>,
        by: Option<&GlobalTag>,
    ) -> Vec<InForce<'_>> {
        let since = match self.time_type(tag) {
            TimeType::Run => Since::run(place.run),
            TimeType::Time => Since::time(place.began_at),
            TimeType::Lumi => return self.in_force_by_lumi(tag, place, by),
        };
        self.in_force_at(tag, since, by).into_iter().collect()
    }

    fn in_force_at(&self, tag: &TagName, at: Since, by: Option<&GlobalTag>) -> Option<InForce<'_>> {
        if self.end_of(tag, by).is_some_and(|end| at > end) {
            return None;
        }
        let (since, row) = self.iovs.get(tag)?.as_of(at, moment_us(by))?;
        self.read(since, row)
    }

    fn in_force_by_lumi(
        &self,
        tag: &TagName,
        place: Place<'_>,
        by: Option<&GlobalTag>,
    ) -> Vec<InForce<'_>> {
        let Some(index) = self.iovs.get(tag) else {
            return Vec::new();
        };
        let end = self.end_of(tag, by).unwrap_or(Since(u64::MAX));
        let stretches = place.lumis.iter().map(|(first, last)| {
            let (first, last) = (first.0, last.0);
            (
                Since::lumi(place.run, first),
                Since::lumi(place.run, last).min(end),
            )
        });
        let stretches = stretches.filter(|(first, last)| first <= last);
        let rows = stretches.flat_map(|stretch| index.within(stretch, moment_us(by)));
        let mut read: Vec<InForce<'_>> = rows
            .filter_map(|(since, row)| self.read(since, row))
            .collect();
        // One that holds for lumis of several stretches is read once.
        read.dedup_by_key(|one| one.since);
        read
    }

    fn read<'c>(&'c self, since: Since, row: &'c Insertion<String>) -> Option<InForce<'c>> {
        let text = self.payloads.get(&row.payload)?;
        let hash = &row.payload;
        Some(InForce { since, hash, text })
    }

    /// Where a tag ends for whoever reads it by a global tag.
    fn end_of(&self, tag: &TagName, by: Option<&GlobalTag>) -> Option<Since> {
        by.and_then(|_| self.tags.get(tag)?.end_of_validity)
    }

    /// Whether a job was given of a tag as stored what is in force for it now: the same payloads
    /// for the same lumis, however the intervals are cut.
    pub(crate) fn is_as_given<'g>(
        &self,
        tag: &TagName,
        place: Place<'_>,
        by: Option<&GlobalTag>,
        given: impl Iterator<Item = &'g UsedConstant>,
    ) -> bool {
        let since = match self.time_type(tag) {
            TimeType::Run => Since::run(place.run),
            TimeType::Time => Since::time(place.began_at),
            TimeType::Lumi => {
                let now = self.in_force_by_lumi(tag, place, by);
                let now = now.iter().map(|one| (one.since, one.hash));
                let given = given.map(|used| (used.since, used.hash.as_str()));
                return by_first_lumi(place, now) == by_first_lumi(place, given);
            }
        };
        let now = self.in_force_at(tag, since, by).map(|one| one.hash);
        given.map(|used| used.hash.as_str()).next() == now
    }
}

/// The payloads of a tag by lumi, each with the first lumi of a job that has it; an interval with
/// the payload of the one before it makes no difference.
fn by_first_lumi<'h>(
    place: Place<'_>,
    intervals: impl Iterator<Item = (Since, &'h str)>,
) -> Vec<(LumiNumber, &'h str)> {
    let mut intervals: Vec<(Since, &str)> = intervals.collect();
    // Two records of a global tag may lead to one tag.
    intervals.sort_unstable();
    let from = |(since, hash)| Some((place.first_lumi_from(since)?, hash));
    let mut payloads: Vec<(LumiNumber, &str)> = intervals.into_iter().filter_map(from).collect();
    payloads.dedup_by_key(|(_, hash)| *hash);
    payloads
}

/// Nothing inserted later counts, microseconds UTC.
fn moment_us(by: Option<&GlobalTag>) -> i64 {
    by.map_or(i64::MAX, |global| global.snapshot_at.as_micros())
}
