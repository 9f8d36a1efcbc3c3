//! A job: a piece of work with fixed input, and the attempts made at it.
//!
//! Only the engine makes attempts (D16). What an executor reports is classed by [`ExitClass`]; what
//! follows from a class is data in the task's retry policy, never a comparison of texts.

use crate::account::UnitAccount;
use crate::ids::{AttemptNumber, FileId, JobId, LumiNumber, OutputId, RunNumber};
use crate::names::TaskPath;
use crate::resource::{Estimate, Used};
use crate::step::IllegalStep;
use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// Who is served first: live work before everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Runs as they are taken.
    Live,
    /// Requests: reprocessing, skims, Monte Carlo.
    Offline,
}

/// How an attempt ended, as far as anybody must act differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ExitClass {
    /// Reported success; its outputs still have to be committed.
    Ok,
    /// May well work the next time.
    Transient,
    /// The input cannot be read or is wrong.
    Input,
    /// It needed more memory than it had.
    Memory,
    /// It ran longer than it may.
    Time,
    /// The program is wrong, is missing, or broke its contract.
    Program,
    /// The place is at fault, not the job.
    Site,
    /// Nobody knows: the attempt was lost with its executor, or ended with an older epoch.
    Lost,
}

impl ExitClass {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Transient,
        Self::Input,
        Self::Memory,
        Self::Time,
        Self::Program,
        Self::Site,
        Self::Lost,
    ];

    /// As written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Transient => "transient",
            Self::Input => "input",
            Self::Memory => "memory",
            Self::Time => "time",
            Self::Program => "program",
            Self::Site => "site",
            Self::Lost => "lost",
        }
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// Whether another attempt may help: retry is data (R21).
    pub fn may_retry(self) -> bool {
        match self {
            Self::Transient | Self::Memory | Self::Time | Self::Site | Self::Lost => true,
            Self::Ok | Self::Input | Self::Program => false,
        }
    }

    /// Whether the attempt counts against the task's limit: an attempt that our own restart ended
    /// does not.
    pub fn costs_an_attempt(self) -> bool {
        self != Self::Lost
    }
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JobState {
    /// May be placed once `not_before` has passed.
    Ready {
        /// The attempt that will be made.
        attempt: AttemptNumber,
        /// Backoff after a failure.
        not_before: Moment,
    },
    /// Given to an executor.
    Sent {
        /// The attempt under way.
        attempt: AttemptNumber,
        /// Since when.
        at: Moment,
    },
    /// The executor says that the program runs.
    Running {
        /// The attempt under way.
        attempt: AttemptNumber,
        /// Since when.
        since: Moment,
    },
    /// Reported success; outputs are being verified, synced and renamed.
    Committing {
        /// The attempt under way.
        attempt: AttemptNumber,
        /// Since when.
        since: Moment,
    },
    /// The outputs of this attempt are recorded.
    Done {
        /// The winner.
        attempt: AttemptNumber,
    },
    /// No further attempt will be made unless somebody asks.
    Failed {
        /// The last attempt.
        attempt: AttemptNumber,
        /// How it ended.
        class: ExitClass,
    },
}

/// What can happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobEvent {
    /// Dispatch gave it a place.
    Sent(Moment),
    /// The program runs.
    Started(Moment),
    /// The attempt reported success.
    Reported(Moment),
    /// Its outputs are in place.
    Committed,
    /// The attempt failed and another shall be made, not before then.
    FailedRetry(Moment),
    /// The attempt failed for good.
    FailedForGood(ExitClass),
    /// Somebody asks for another attempt of a failed job.
    RetryAsked(Moment),
}

impl JobState {
    /// The only place where a job changes state.
    pub fn next(&self, event: JobEvent) -> Result<Self, IllegalStep> {
        use {JobEvent as E, JobState as S};
        match (*self, event) {
            (S::Ready { attempt, .. }, E::Sent(at)) => Ok(S::Sent { attempt, at }),
            (S::Sent { attempt, .. }, E::Started(since)) => Ok(S::Running { attempt, since }),
            // A report may overtake the news of the start.
            (S::Sent { attempt, .. } | S::Running { attempt, .. }, E::Reported(since)) => {
                Ok(S::Committing { attempt, since })
            }
            (S::Committing { attempt, .. }, E::Committed) => Ok(S::Done { attempt }),
            (
                S::Sent { attempt, .. }
                | S::Running { attempt, .. }
                | S::Committing { attempt, .. },
                E::FailedRetry(not_before),
            ) => Ok(S::Ready {
                attempt: attempt.next(),
                not_before,
            }),
            (
                S::Sent { attempt, .. }
                | S::Running { attempt, .. }
                | S::Committing { attempt, .. },
                E::FailedForGood(class),
            ) => Ok(S::Failed { attempt, class }),
            (S::Failed { attempt, .. }, E::RetryAsked(not_before)) => Ok(S::Ready {
                attempt: attempt.next(),
                not_before,
            }),
            (
                S::Ready { .. }
                | S::Sent { .. }
                | S::Running { .. }
                | S::Committing { .. }
                | S::Done { .. }
                | S::Failed { .. },
                _,
            ) => Err(IllegalStep::new("job", self, &event)),
        }
    }

    /// The attempt this state speaks of.
    pub fn attempt(&self) -> AttemptNumber {
        match *self {
            Self::Ready { attempt, .. }
            | Self::Sent { attempt, .. }
            | Self::Running { attempt, .. }
            | Self::Committing { attempt, .. }
            | Self::Done { attempt }
            | Self::Failed { attempt, .. } => attempt,
        }
    }

    /// Whether an executor may hold it now.
    pub fn is_out(&self) -> bool {
        matches!(
            self,
            Self::Sent { .. } | Self::Running { .. } | Self::Committing { .. }
        )
    }

    /// Whether nothing more will happen by itself.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed { .. })
    }

    /// A short word for rows and screens.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Sent { .. } => "sent",
            Self::Running { .. } => "running",
            Self::Committing { .. } => "committing",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
        }
    }
}

/// What a job reads: a file of the detector, or an output of another job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InputId {
    /// A file of the detector.
    File(FileId),
    /// An output of another job.
    Output(OutputId),
}

/// A part of an input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Slice {
    /// Events by their position in the file from 0, both ends included.
    Events {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Lumis by run, closed ranges in order.
    Lumis(Vec<(RunNumber, LumiNumber, LumiNumber)>),
    /// Events that are still to be made, by their numbers, in lumis of their own; all ends
    /// included.
    Generated {
        /// The first event.
        first: u64,
        /// The last event.
        last: u64,
        /// The first lumi.
        first_lumi: LumiNumber,
        /// The last lumi.
        last_lumi: LumiNumber,
    },
}

impl Slice {
    /// A number that no other slice of the same input has: slices do not overlap, so it is where
    /// this one begins (D10). For lumis it is run and lumi in one number.
    pub fn first(&self) -> u64 {
        match self {
            Self::Events { first, .. } | Self::Generated { first, .. } => *first,
            Self::Lumis(ranges) => ranges.first().map_or(0, |(run, lumi, _)| {
                u64::from(run.0) << 32 | u64::from(lumi.0)
            }),
        }
    }
}

impl InputId {
    /// The number behind it; ids of one agent never meet, whatever they name.
    pub fn number(self) -> i64 {
        match self {
            Self::File(id) => id.0,
            Self::Output(id) => id.0,
        }
    }
}

/// When a job passed each hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamps {
    /// Its earliest input was seen by the watcher.
    pub seen: Moment,
    /// The job was made.
    pub made: Moment,
    /// The winning attempt was sent.
    pub sent: Option<Moment>,
    /// The winning attempt's program started.
    pub started: Option<Moment>,
    /// The winning attempt's program ended.
    pub reported: Option<Moment>,
    /// Its outputs were recorded.
    pub done: Option<Moment>,
}

/// One job. Its row holds everything a restart needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Our identity for it.
    pub id: JobId,
    /// The run it works on.
    pub run: RunNumber,
    /// The task that made it.
    pub task: TaskPath,
    /// Who is served first.
    pub class: Class,
    /// What it reads, in order. The first `consumed` of them are consumed by it; others are only
    /// read.
    pub inputs: Vec<InputId>,
    /// How many of `inputs` it consumes.
    pub consumed: u32,
    /// The lumis it covers, as closed ranges.
    pub lumis: Vec<(LumiNumber, LumiNumber)>,
    /// When its output must be out; none without a budget.
    pub deadline: Option<Moment>,
    /// Attempts that failed and count.
    pub failures: u32,
    /// What the last failed attempt said.
    pub last_error: Option<String>,
    /// When it passed each hop.
    pub stamps: Stamps,
    /// Whether a constant it was released for was replaced by a wait that ended.
    pub provisional: bool,
    /// The part of its one consumed input that it works on, if not all of it.
    #[serde(default)]
    pub slice: Option<Slice>,
    /// What its splitter expects it to use, where the splitter has a rule.
    #[serde(default)]
    pub estimate: Option<Estimate>,
    /// Whether its outputs go to the error dataset of their primary, out of the way of analyses.
    #[serde(default)]
    pub to_error_dataset: bool,
    /// When it must start at the latest to be in time; fixed when it was made, so that the queue's
    /// order survives a restart. None without a deadline.
    #[serde(default)]
    pub latest_start: Option<Moment>,
    /// What it has used, once it is done.
    #[serde(default)]
    pub used: Option<Used>,
    /// What its program found of the units inside its input, once it is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitAccount>,
    /// How far it has come.
    pub state: JobState,
}

/// A failed attempt, kept for people; the winning one lives in the job's row (D4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// The job.
    pub job: JobId,
    /// Which try.
    pub attempt: AttemptNumber,
    /// How it ended.
    pub class: ExitClass,
    /// What it said, bounded.
    pub message: String,
    /// When.
    pub at: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> [JobState; 6] {
        let (attempt, t) = (AttemptNumber::FIRST, Moment(0));
        [
            JobState::Ready {
                attempt,
                not_before: t,
            },
            JobState::Sent { attempt, at: t },
            JobState::Running { attempt, since: t },
            JobState::Committing { attempt, since: t },
            JobState::Done { attempt },
            JobState::Failed {
                attempt,
                class: ExitClass::Program,
            },
        ]
    }

    #[test]
    fn every_state_meets_every_event() {
        let t = Moment(1);
        let events = [
            JobEvent::Sent(t),
            JobEvent::Started(t),
            JobEvent::Reported(t),
            JobEvent::Committed,
            JobEvent::FailedRetry(t),
            JobEvent::FailedForGood(ExitClass::Input),
            JobEvent::RetryAsked(t),
        ];
        let table: Vec<String> = states()
            .iter()
            .map(|state| {
                let row = events
                    .iter()
                    .map(|e| state.next(*e).map_or("-", |next| next.word()));
                format!("{}: {}", state.word(), row.collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(
            table,
            [
                "ready: sent - - - - - -",
                "sent: - running committing - ready failed -",
                "running: - - committing - ready failed -",
                "committing: - - - done ready failed -",
                "done: - - - - - - -",
                "failed: - - - - - - ready",
            ]
        );
    }

    #[test]
    fn only_a_failure_raises_the_attempt() {
        for state in states() {
            let next = state.next(JobEvent::FailedRetry(Moment(5)));
            if let Ok(next) = next {
                assert_eq!(next.attempt(), state.attempt().next());
            }
        }
    }
}
