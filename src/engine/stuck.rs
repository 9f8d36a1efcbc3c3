//! The stuck detector: looks, while there is work, whether everything unfinished still has a reason
//! to wait, and raises an alarm for what has none, with what is missing and what to do (I8).
//!
//! It looks a while after something has happened and never without that: whatever nothing has
//! touched stands as it stood. A look goes over many objects in slices (D15). It decides nothing
//! and mends nothing; an alarm is over when a later look finds a reason again.

use crate::stalls::{LUMIS_LOOKED_AT_MAX, Stall};
use crate::timers::Timer;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::ids::{BlockId, JobId, RunNumber};
use model::run::RunState;
use model::time::{Moment, Span};
use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

/// From something that happened to the next look: half of the time within which a stall is told.
const LOOK_AFTER: Span = Span::from_secs(15);
/// Objects of one slice of a look (D15).
const OBJECTS_AT_ONCE: usize = 1_000;
/// Keys of these alarms begin with this.
const STUCK: &str = "stuck/";

/// Where the detector is.
#[derive(Debug, Default)]
pub(crate) struct Detector {
    /// When it looks next: a timer is set.
    next: Option<Moment>,
    /// Its moment has come.
    is_due: bool,
    /// How far the look under way has come.
    place: Place,
    /// Keys of what it has found.
    found: BTreeSet<String>,
    /// Something has happened since the look began.
    looks_again: bool,
}

/// How far a look is: the last object that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Runs(Option<RunNumber>),
    Jobs(Option<JobId>),
    Blocks(Option<BlockId>),
}

impl Default for Place {
    fn default() -> Self {
        Self::Runs(None)
    }
}

impl Engine {
    /// Something has happened: somebody looks a while later.
    pub(crate) fn stir(&mut self, now: Moment) {
        if self.detector.place != Place::default() {
            self.detector.looks_again = true;
        } else if self.detector.next.is_none() {
            self.look_for_stuck_at(now + LOOK_AFTER);
        }
    }

    fn look_for_stuck_at(&mut self, at: Moment) {
        self.detector.next = Some(at);
        self.timers.set(at, Timer::Stuck);
    }

    /// The moment of a look has come; it is made at the end of the batch, when nothing is half
    /// done.
    pub(crate) fn stuck_is_due(&mut self) {
        self.detector.next = None;
        self.detector.is_due = true;
    }

    /// Looks at a slice of what there is, if it is time.
    pub(crate) fn look_for_stuck(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if !std::mem::take(&mut self.detector.is_due) {
            return;
        }
        let begins = self.detector.place == Place::default();
        if begins && !self.has_work() && self.stuck_alarms().next().is_none() {
            return;
        }
        let mut left = OBJECTS_AT_ONCE;
        while left > 0 {
            let stalls = match self.detector.place {
                Place::Runs(last) => self.look_at_run(now, last, &mut left),
                Place::Jobs(last) => self.look_at_jobs(now, last, &mut left),
                Place::Blocks(last) => match self.look_at_blocks(last, &mut left) {
                    Some(stalls) => stalls,
                    None => return self.end_look(now, effects),
                },
            };
            for stall in stalls {
                self.tell_stuck(now, &stall, effects);
            }
        }
        // The rest follows at once, after whatever else has happened.
        self.look_for_stuck_at(now + Span(1));
    }

    fn has_work(&self) -> bool {
        let mut runs = self.runs.values();
        runs.any(|work| !matches!(work.run.state, RunState::Finished { .. }))
    }

    fn look_at_run(
        &mut self,
        now: Moment,
        last: Option<RunNumber>,
        left: &mut usize,
    ) -> Vec<Stall> {
        let after = last.map_or(Unbounded, Excluded);
        let Some((number, work)) = self.runs.range((after, Unbounded)).next() else {
            self.detector.place = Place::Jobs(None);
            return Vec::new();
        };
        let streams = work.streams.values();
        let lumis = streams.map(|stream| 1 + stream.lumis.len().min(LUMIS_LOOKED_AT_MAX));
        let objects = 1 + work.tasks.len() + lumis.sum::<usize>();
        *left = left.saturating_sub(objects);
        let number = *number;
        self.detector.place = Place::Runs(Some(number));
        self.stalls_of_run(number, now)
    }

    fn look_at_jobs(&mut self, now: Moment, last: Option<JobId>, left: &mut usize) -> Vec<Stall> {
        let after = last.map_or(Unbounded, Excluded);
        let jobs = self.jobs.range((after, Unbounded)).take(*left);
        let (mut stalls, mut last, mut seen) = (Vec::new(), None, 0);
        for (id, job) in jobs {
            seen += 1;
            last = Some(*id);
            stalls.extend(self.stall_of_job(job, now));
        }
        let all = seen < *left;
        *left -= seen;
        self.detector.place = if all {
            Place::Blocks(None)
        } else {
            Place::Jobs(last)
        };
        stalls
    }

    /// None when there is nothing more to look at.
    fn look_at_blocks(&mut self, last: Option<BlockId>, left: &mut usize) -> Option<Vec<Stall>> {
        let after = last.map_or(Unbounded, Excluded);
        let blocks = self.blocks.range((after, Unbounded)).take(*left);
        let (mut stalls, mut last, mut seen) = (Vec::new(), None, 0);
        for (id, block) in blocks {
            seen += 1;
            last = Some(*id);
            stalls.extend(self.stall_of_block(block));
        }
        *left -= seen;
        self.detector.place = Place::Blocks(Some(last?));
        Some(stalls)
    }

    /// Everything was looked at: what was not found has a reason again.
    fn end_look(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.detector.place = Place::default();
        let found = std::mem::take(&mut self.detector.found);
        let over = self.stuck_alarms().filter(|key| !found.contains(*key));
        let over: Vec<String> = over.cloned().collect();
        for key in over {
            self.clear_alarm(now, &key, effects);
        }
        if std::mem::take(&mut self.detector.looks_again) {
            self.stir(now);
        }
    }

    fn stuck_alarms(&self) -> impl Iterator<Item = &String> {
        let alarms = self.alarms.range(STUCK.to_owned()..);
        let keys = alarms.map(|(key, _)| key);
        keys.take_while(|key| key.starts_with(STUCK))
    }

    fn tell_stuck(&mut self, now: Moment, stall: &Stall, effects: &mut Vec<Effect>) {
        let Stall {
            object,
            cause,
            remedy,
        } = stall;
        let key = format!("{STUCK}{object}");
        self.detector.found.insert(key.clone());
        let text = format!(
            "{object} stands still: {cause}. That is a mistake of this program, and nothing will \
             move it by itself. To go on: {remedy}."
        );
        self.restate_alarm(now, key, Severity::High, text, effects);
    }
}
