//! Identities: small typed integers, so that a file can never be taken for a job.
//!
//! Ids are given out by the engine (never by the database): ten bits of agent number, forty-three
//! bits of counter, so every id stays below 2^53 and survives JavaScript. Run and lumi numbers come
//! from the detector and are not ids of ours.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(/// A file of the detector, or its report of an empty lumi.
    FileId);
id!(/// A piece of work with fixed input.
    JobId);
id!(/// A committed output of a winning attempt.
    OutputId);
id!(/// A unit of publication.
    BlockId);
id!(/// One message in the outbox; its text form is the stable `ce_id`.
    MessageId);
id!(/// One statement about a lumi or the end of a run.
    WitnessId);
id!(/// One row of the audit.
    AuditId);
id!(/// How often an agent has started: raised durably before anything else happens (D2).
    Epoch);

impl JobId {
    /// No job: who has an input that its task's splitter declined.
    pub const NOBODY: Self = Self(0);
}

/// Which of the agents that share a register this one is: 0 to 1023.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentNumber(pub u16);

impl AgentNumber {
    /// Ten bits of an id hold the agent.
    pub const MAX: u16 = 1023;
}

/// Gives out ids: agent number in the high bits, a counter that only grows below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdSource {
    next: i64,
}

impl IdSource {
    const COUNTER_BITS: u32 = 43;

    /// The first ids of an agent that has never run.
    pub fn new(agent: AgentNumber) -> Self {
        assert!(agent.0 <= AgentNumber::MAX, "an agent number has ten bits");
        Self {
            next: (i64::from(agent.0) << Self::COUNTER_BITS) + 1,
        }
    }

    /// Goes on where a recorded `next_id` left off.
    pub fn resume(next: i64) -> Self {
        assert!(next > 0, "a recorded next_id is positive");
        Self { next }
    }

    /// The id that will be given next; recorded with every batch (D2).
    pub fn peek(&self) -> i64 {
        self.next
    }

    /// Gives one id away.
    pub fn take(&mut self) -> i64 {
        let id = self.next;
        self.next += 1;
        id
    }
}

/// A run number, as the detector gives it: 1 to 4,294,967,295.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunNumber(pub u32);

/// A lumi section's number within its run: 1 and up; 0 belongs to the run as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LumiNumber(pub u32);

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LumiNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which try at a job: 1, 2, 3, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptNumber(pub u32);

impl AttemptNumber {
    /// The first try.
    pub const FIRST: Self = Self(1);

    /// The try after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for AttemptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The key of one try anywhere outside the engine: folders, processes, reports, batch systems.
///
/// The epoch keeps a number that is used again after a crash from ever meeting an orphan (D3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token {
    /// The agent's epoch in which the attempt was made.
    pub epoch: Epoch,
    /// The job tried.
    pub job: JobId,
    /// Which try.
    pub attempt: AttemptNumber,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.epoch, self.job, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_two_agents_never_meet_and_stay_below_2_to_53() {
        let mut zero = IdSource::new(AgentNumber(0));
        let mut last = IdSource::new(AgentNumber(AgentNumber::MAX));
        assert_eq!((zero.take(), zero.take()), (1, 2));
        assert!(last.take() < 1 << 53);
        assert!(IdSource::new(AgentNumber(1)).peek() > 1 << 43);
        assert_eq!(IdSource::resume(zero.peek()).take(), 3);
    }
}
