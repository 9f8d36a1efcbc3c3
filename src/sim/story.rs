//! What happened: counts of everything (so that a campaign can prove what it met), a hash of the
//! course of events, and, when a seed is told again, its last events in words.
//!
//! In comes what happens, out come numbers and sentences. It must not change what happens.

use model::dataset::{BlockState, Closing, Route};
use model::fact::Fact;
use model::job::JobState;
use model::run::RunState;
use model::time::Moment;
use std::collections::{BTreeMap, VecDeque};

/// Sentences kept.
const LINES_MAX: usize = 60;

/// The record of one seed.
#[derive(Debug)]
pub(crate) struct Story {
    counts: BTreeMap<&'static str, u64>,
    hash: u64,
    lines: Option<VecDeque<String>>,
}

impl Story {
    pub(crate) fn new(in_words: bool) -> Self {
        Self {
            counts: BTreeMap::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            lines: in_words.then(VecDeque::new),
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn mix(&mut self, value: u64) {
        self.hash = crate::random::mix(self.hash ^ value);
    }

    pub(crate) fn tell(&mut self, now: Moment, sentence: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(format!("{now} {}", sentence()));
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

    pub(crate) fn into_parts(self) -> (BTreeMap<&'static str, u64>, Vec<String>) {
        (self.counts, self.lines.into_iter().flatten().collect())
    }
}
