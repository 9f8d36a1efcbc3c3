//! What happened: counts of everything (so that a campaign can prove what it met), a hash of the
//! course of events, and, when a seed is told again, its events in words.
//!
//! In comes what happens, out come numbers and sentences. It must not change what happens.

use crate::tables::Tables;
use model::dataset::{BlockState, Closing, Route};
use model::fact::Fact;
use model::job::JobState;
use model::run::RunState;
use model::time::Moment;
use std::collections::BTreeMap;
use std::iter::repeat_n;

/// Ids of objects without the agent's part: a seed has one agent.
pub(crate) fn short(id: i64) -> i64 {
    id & ((1 << 43) - 1)
}

/// One event in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Whether a reader of a short story can do without it.
    pub(crate) is_routine: bool,
    pub(crate) words: String,
}

/// Slots for counts: many more than there are sentences that are counted.
const SLOTS: usize = 512;

/// Counts by sentence. Something is counted for nearly every input, so a sentence is found by where
/// it stands in the program; the same words may stand there twice, and are one at the end.
#[derive(Debug)]
struct Counts {
    slots: Vec<(&'static str, u64)>,
    used: usize,
}

impl Counts {
    fn new() -> Self {
        Self {
            slots: repeat_n(("", 0), SLOTS).collect(),
            used: 0,
        }
    }

    fn add(&mut self, what: &'static str) {
        let place = what.as_ptr() as usize;
        let mut at = (place ^ place >> 10) % SLOTS;
        loop {
            let slot = &mut self.slots[at];
            if slot.1 == 0 {
                self.used += 1;
                assert!(self.used < SLOTS, "there are fewer sentences than slots");
                *slot = (what, 1);
                return;
            }
            if std::ptr::eq(slot.0, what) {
                slot.1 += 1;
                return;
            }
            at = (at + 1) % SLOTS;
        }
    }

    fn by_sentence(self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for (what, times) in self.slots.into_iter().filter(|(_, times)| *times > 0) {
            *counts.entry(what).or_default() += times;
        }
        counts
    }
}

/// The record of one seed.
#[derive(Debug)]
pub(crate) struct Story {
    counts: Counts,
    hash: u64,
    lines: Option<Vec<Line>>,
    begins_at: Moment,
}

impl Story {
    pub(crate) fn new(in_words: bool, begins_at: Moment) -> Self {
        Self {
            counts: Counts::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            lines: in_words.then(Vec::new),
            begins_at,
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        self.counts.add(what);
    }

    pub(crate) fn mix(&mut self, value: u64) {
        self.hash = crate::random::mix(self.hash ^ value);
    }

    pub(crate) fn tell(&mut self, now: Moment, sentence: impl FnOnce() -> String) {
        self.push(now, false, sentence);
    }

    /// The same, for what happens all the time.
    pub(crate) fn tell_routine(&mut self, now: Moment, sentence: impl FnOnce() -> String) {
        self.push(now, true, sentence);
    }

    fn push(&mut self, now: Moment, is_routine: bool, sentence: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let after = now.since(self.begins_at).as_secs_f64();
            let words = format!("{after:9.3} s  {}", sentence());
            lines.push(Line { is_routine, words });
        }
    }

    /// What the engine says of runs and jobs, where it says something new.
    pub(crate) fn tell_fact(&mut self, now: Moment, before: &Tables, fact: &Fact) {
        if self.lines.is_none() {
            return;
        }
        match fact {
            Fact::RunIs(run) => {
                let known = before.runs.get(&run.number);
                let (number, word) = (run.number, run.state.word());
                if known.is_none_or(|known| known.state.word() != word) {
                    self.tell(now, || format!("    the engine: run {number} is {word}"));
                }
            }
            Fact::JobIs(job) => {
                let known = before.jobs.get(&job.id);
                let (id, word, run) = (short(job.id.0), job.state.word(), job.run);
                if known.is_none_or(|known| known.state.word() != word) {
                    let task = &job.task;
                    self.tell(now, || {
                        format!("    the engine: job {id} ({task}, run {run}) is {word}")
                    });
                }
            }
            Fact::AlarmIs(alarm) => {
                let word = if alarm.cleared_at.is_some() {
                    "cleared"
                } else {
                    "raised"
                };
                self.tell(now, || {
                    format!("    the engine: alarm {} {word}", alarm.key)
                });
            }
            Fact::OutputIs(output) if !before.outputs.contains_key(&output.id) => {
                let (id, label, job) = (short(output.id.0), &output.label, short(output.job.0));
                self.tell(now, || {
                    format!("    the engine: output {id} is {label} of job {job}")
                });
            }
            Fact::AttemptFailedIs(failed) => {
                let (job, attempt) = (short(failed.job.0), failed.attempt);
                self.tell(now, || {
                    format!("    the engine: attempt {attempt} of job {job} failed")
                });
            }
            _ => {}
        }
    }

    /// Counts the states that are recorded: which steps of the machines a campaign has met.
    pub(crate) fn fact(&mut self, fact: &Fact) {
        let what = match fact {
            Fact::JobIs(job) => match job.state {
                JobState::Ready { .. } => "job ready",
                JobState::Sent { .. } => "job sent",
                JobState::Running { .. } => "job running",
                JobState::Committing { .. } => "job committing",
                JobState::Done { .. } if job.provisional => "job done provisionally",
                JobState::Done { .. } => "job done",
                JobState::Failed { .. } => "job failed",
                JobState::Parked { .. } => "job parked",
                JobState::Superseded { .. } if job.stamps.done.is_some() => "job made again",
                JobState::Superseded { .. } => "job split",
                JobState::Cancelled { .. } => "job cancelled",
            },
            Fact::RunIs(run) => match run.state {
                RunState::Open => "run open",
                RunState::Ending => "run ending",
                RunState::Closed { .. } => "run closed",
                RunState::Finished { .. } => "run finished",
                RunState::Archiving { .. } => "run archiving",
                RunState::Archived { .. } => "run archived",
            },
            Fact::FileIs(file) if file.late => "late file",
            Fact::UsageIs(_) => "usage counted",
            Fact::SetAsideIs(item) => item.refusal.code(),
            Fact::BlockIs(block) => match block.state {
                BlockState::Open => return,
                BlockState::Closed { closing, .. } => match closing {
                    Closing::Complete => "block closed complete",
                    Closing::Full => "block closed full",
                    Closing::Aged => "block closed aged",
                },
            },
            Fact::DecisionIs(decision) => decision.outcome.as_str(),
            Fact::QualityIs(quality) => quality.verdict.as_str(),
            Fact::AlarmIs(alarm) if alarm.cleared_at.is_some() => "alarm cleared",
            Fact::AlarmIs(alarm) if alarm.key.starts_with("merged-without/") => {
                "merged without a piece"
            }
            Fact::AlarmIs(_) => "alarm raised",
            Fact::OutputIs(output) => match output.route {
                Route::Onward => return,
                Route::Merged(..) => "output passed a merge by",
                Route::Error => "output set apart",
            },
            Fact::RulingIs(ruling) => ruling.kind.as_str(),
            _ => return,
        };
        self.count(what);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_parts(self) -> (BTreeMap<&'static str, u64>, Vec<Line>) {
        (self.counts.by_sentence(), self.lines.unwrap_or_default())
    }
}
