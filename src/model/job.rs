//! A job: a piece of work with fixed input, and the attempts made at it.
//!
//! Only the engine makes attempts (D16). What an executor reports is classed by [`ExitClass`]; what
//! follows from a class is data in the task's retry policy, never a comparison of texts.

use crate::account::UnitAccount;
use crate::conditions::{Since, TimeType};
use crate::failure::Fingerprint;
use crate::ids::{AttemptNumber, FileId, JobId, LumiNumber, OutputId, RunNumber};
use crate::names::{TagName, TaskPath};
use crate::resource::{Estimate, Needs, Used};
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

/// Why a job waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ParkReason {
    /// Its task's policy parks it after so many failures.
    Policy,
    /// It failed twice in the same way.
    SameFailure,
    /// It ran out of memory with as much as it may have.
    MemoryLimit,
    /// It ran out of time with as much as it may have.
    TimeLimit,
    /// Somebody asked.
    Person,
}

impl ParkReason {
    /// All reasons.
    pub const ALL: [Self; 5] = [
        Self::Policy,
        Self::SameFailure,
        Self::MemoryLimit,
        Self::TimeLimit,
        Self::Person,
    ];

    /// A short word for rows and screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::SameFailure => "same-failure",
            Self::MemoryLimit => "memory-limit",
            Self::TimeLimit => "time-limit",
            Self::Person => "person",
        }
    }

    /// The end of a sentence that begins with "it is parked: ".
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Policy => "its task's policy wants a person to look after so many failures",
            Self::SameFailure => "it failed twice in the same way",
            Self::MemoryLimit => "it ran out of memory with as much as it may have",
            Self::TimeLimit => "it ran out of time with as much as it may have",
            Self::Person => "somebody asked for it",
        }
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
    /// Waits for a person; its run stays open.
    Parked {
        /// The attempt that will be made when it is released.
        attempt: AttemptNumber,
        /// Why.
        reason: ParkReason,
    },
    /// Other jobs have its inputs now.
    Superseded {
        /// The last attempt, or the one that would have been made.
        attempt: AttemptNumber,
    },
    /// Given up by a person.
    Cancelled {
        /// The last attempt, or the one that would have been made.
        attempt: AttemptNumber,
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
    /// The attempt failed and a person shall decide.
    FailedParked(ParkReason),
    /// Somebody asks for another attempt of a job that has none coming.
    RetryAsked(Moment),
    /// Somebody ends a job's pause.
    ReleaseAsked(Moment),
    /// Somebody asks that no attempt is made for now.
    ParkAsked,
    /// Somebody gives the job up.
    CancelAsked,
    /// Other jobs take its inputs.
    Replaced,
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
            (
                S::Sent { attempt, .. }
                | S::Running { attempt, .. }
                | S::Committing { attempt, .. },
                E::FailedParked(reason),
            ) => Ok(S::Parked {
                attempt: attempt.next(),
                reason,
            }),
            (S::Failed { attempt, .. } | S::Cancelled { attempt }, E::RetryAsked(not_before)) => {
                Ok(S::Ready {
                    attempt: attempt.next(),
                    not_before,
                })
            }
            (
                S::Parked { attempt, .. },
                E::RetryAsked(not_before) | E::ReleaseAsked(not_before),
            )
            | (S::Ready { attempt, .. }, E::ReleaseAsked(not_before)) => Ok(S::Ready {
                attempt,
                not_before,
            }),
            (S::Ready { attempt, .. } | S::Parked { attempt, .. }, E::ParkAsked) => Ok(S::Parked {
                attempt,
                reason: ParkReason::Person,
            }),
            // The attempt under way is ended; outputs on their way to their names are not stopped.
            (S::Sent { attempt, .. } | S::Running { attempt, .. }, E::ParkAsked) => Ok(S::Parked {
                attempt: attempt.next(),
                reason: ParkReason::Person,
            }),
            (
                S::Ready { attempt, .. }
                | S::Sent { attempt, .. }
                | S::Running { attempt, .. }
                | S::Failed { attempt, .. }
                | S::Parked { attempt, .. }
                | S::Cancelled { attempt },
                E::CancelAsked,
            ) => Ok(S::Cancelled { attempt }),
            // A policy may replace a job in the step in which its attempt fails; one that is done
            // is replaced in the step in which it is made again.
            (
                S::Done { attempt }
                | S::Ready { attempt, .. }
                | S::Sent { attempt, .. }
                | S::Running { attempt, .. }
                | S::Committing { attempt, .. }
                | S::Failed { attempt, .. }
                | S::Parked { attempt, .. }
                | S::Cancelled { attempt },
                E::Replaced,
            ) => Ok(S::Superseded { attempt }),
            (
                S::Ready { .. }
                | S::Sent { .. }
                | S::Running { .. }
                | S::Committing { .. }
                | S::Done { .. }
                | S::Failed { .. }
                | S::Parked { .. }
                | S::Superseded { .. }
                | S::Cancelled { .. },
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
            | Self::Failed { attempt, .. }
            | Self::Parked { attempt, .. }
            | Self::Superseded { attempt }
            | Self::Cancelled { attempt } => attempt,
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
        match self {
            Self::Done { .. }
            | Self::Failed { .. }
            | Self::Superseded { .. }
            | Self::Cancelled { .. } => true,
            Self::Ready { .. }
            | Self::Sent { .. }
            | Self::Running { .. }
            | Self::Committing { .. }
            | Self::Parked { .. } => false,
        }
    }

    /// The words of all states, in the order in which a job may pass them.
    pub const WORDS: [&str; 9] = [
        "ready",
        "sent",
        "running",
        "committing",
        "done",
        "failed",
        "parked",
        "superseded",
        "cancelled",
    ];

    /// A short word for rows and screens.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Sent { .. } => "sent",
            Self::Running { .. } => "running",
            Self::Committing { .. } => "committing",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Parked { .. } => "parked",
            Self::Superseded { .. } => "superseded",
            Self::Cancelled { .. } => "cancelled",
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

/// How a job failed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// How the attempt ended.
    pub class: ExitClass,
    /// The program's exit code, where it had one.
    pub code: Option<i32>,
    /// The mark of its cause.
    pub fingerprint: Fingerprint,
    /// How often in a row it failed like this.
    pub same: u32,
}

/// Jobs that had a job's inputs before it and after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The job that was split into this one and others.
    pub split_from: Option<JobId>,
    /// The jobs that have its inputs now.
    pub replaced_by: Vec<JobId>,
    /// The job whose work this one does again, with better constants or on input that was made
    /// again. Until this one is done that one has the inputs, and what it made stays published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redoes: Option<JobId>,
}

/// A constant that an attempt was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UsedConstant {
    /// The tag.
    pub tag: TagName,
    /// What it counts by.
    #[serde(default, skip_serializing_if = "TimeType::is_run")]
    pub time_type: TimeType,
    /// Where it begins, in that count.
    pub since: Since,
    /// The payload's sha256 in hex.
    pub hash: String,
}

/// What an attempt was made with, beside its input: enough to make it again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Recipe {
    /// Program and arguments; of the program's path only the last part.
    pub program: String,
    /// Hash of the definitions in force for its run.
    pub config_hash: String,
    /// The global tag that led to its constants, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_tag: Option<String>,
    /// Constants, by tag; of a tag that counts by lumi each interval that a lumi of the job is in.
    pub constants: Vec<UsedConstant>,
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
    /// How it failed last.
    #[serde(default)]
    pub failure: Option<LastFailure>,
    /// What the next attempt gets, where that is more than its task asks for.
    #[serde(default)]
    pub needs: Option<Needs>,
    /// Where its inputs came from and went, if it was split or made again.
    #[serde(default)]
    pub lineage: Lineage,
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
    /// What its last attempt was made with; none before the first.
    #[serde(default)]
    pub recipe: Option<Recipe>,
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
    /// The program's exit code, where it had one.
    #[serde(default)]
    pub code: Option<i32>,
    /// The mark of its cause; none in rows of older versions.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// What it said, bounded.
    pub message: String,
    /// When.
    pub at: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> [JobState; 9] {
        let (attempt, t) = (AttemptNumber::FIRST, Moment(0));
        let (class, reason) = (ExitClass::Program, ParkReason::Policy);
        [
            JobState::Ready {
                attempt,
                not_before: t,
            },
            JobState::Sent { attempt, at: t },
            JobState::Running { attempt, since: t },
            JobState::Committing { attempt, since: t },
            JobState::Done { attempt },
            JobState::Failed { attempt, class },
            JobState::Parked { attempt, reason },
            JobState::Superseded { attempt },
            JobState::Cancelled { attempt },
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
            JobEvent::FailedParked(ParkReason::Policy),
            JobEvent::RetryAsked(t),
            JobEvent::ReleaseAsked(t),
            JobEvent::ParkAsked,
            JobEvent::CancelAsked,
            JobEvent::Replaced,
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
                "ready: sent - - - - - - - ready parked cancelled superseded",
                "sent: - running committing - ready failed parked - - parked cancelled superseded",
                "running: - - committing - ready failed parked - - parked cancelled superseded",
                "committing: - - - done ready failed parked - - - - superseded",
                "done: - - - - - - - - - - - superseded",
                "failed: - - - - - - - ready - - cancelled superseded",
                "parked: - - - - - - - ready ready parked cancelled superseded",
                "superseded: - - - - - - - - - - - -",
                "cancelled: - - - - - - - ready - - cancelled superseded",
            ]
        );
        assert_eq!(states().map(|state| state.word()), JobState::WORDS);
    }

    #[test]
    fn only_a_failure_raises_the_attempt() {
        let raised = |state: &JobState, event| {
            let next = state.next(event).ok()?;
            Some(next.attempt() == state.attempt().next())
        };
        let reason = ParkReason::SameFailure;
        for state in states() {
            for event in [
                JobEvent::FailedRetry(Moment(5)),
                JobEvent::FailedParked(reason),
            ] {
                assert_ne!(raised(&state, event), Some(false), "{state:?} {event:?}");
            }
            let released = raised(&state, JobEvent::ReleaseAsked(Moment(5)));
            assert_ne!(released, Some(true), "{state:?}");
        }
    }
}
