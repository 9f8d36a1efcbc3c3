//! A lumi section: what was announced for it, what has come, and whether it is accounted for (D18).
//!
//! Announcements are rows of their own; what has come is counted from the files, so nothing is
//! counted twice.

use crate::ids::{LumiNumber, RunNumber};
use crate::step::IllegalStep;
use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// What the detector said a lumi holds, for each of its streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expected {
    /// Nobody has said.
    #[default]
    Unknown,
    /// So many events were read out; the processed and lost events of each stream's sidecars add up
    /// to it.
    Events(u64),
    /// So many files a stream.
    Files(u64),
    /// What is here is all there is: said by a person, or by a profile without announcements.
    Declared,
}

/// What has come for one (run, stream, lumi).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Files, reports of empty ones included.
    pub files: u64,
    /// Events accounted for by sidecars: processed and lost in processing.
    pub events_accounted: u64,
}

/// How far a lumi of one stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LumiState {
    /// Something is still to come, or nobody has said what.
    Open,
    /// All that was announced is here.
    Closed,
    /// More is here than was announced: neither hangs nor passes; an alarm stands.
    Disputed,
}

/// What can happen to a lumi of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LumiEvent {
    /// Received and expected were compared: less here than announced (or nothing announced).
    Short,
    /// As much as announced.
    Matches,
    /// More than announced.
    Surplus,
}

impl LumiState {
    /// The only place where a lumi changes state.
    pub fn next(&self, event: LumiEvent) -> Result<Self, IllegalStep> {
        use {LumiEvent as E, LumiState as S};
        match (self, event) {
            (S::Open, E::Short) => Ok(S::Open),
            (S::Open | S::Closed, E::Matches) => Ok(S::Closed),
            (S::Open | S::Closed | S::Disputed, E::Surplus) => Ok(S::Disputed),
            // A corrected announcement settles the dispute.
            (S::Disputed, E::Matches) => Ok(S::Closed),
            // What was complete cannot become short: a smaller count would have to vanish first.
            (S::Closed | S::Disputed, E::Short) => Err(IllegalStep::new("lumi", self, &event)),
        }
    }
}

impl Expected {
    /// Compares an announcement with what has come.
    pub fn compare(self, received: Received) -> LumiEvent {
        let (announced, here) = match self {
            Self::Unknown => return LumiEvent::Short,
            Self::Declared => return LumiEvent::Matches,
            Self::Events(events) => (events, received.events_accounted),
            Self::Files(files) => (files, received.files),
        };
        match here.cmp(&announced) {
            std::cmp::Ordering::Less => LumiEvent::Short,
            std::cmp::Ordering::Equal => LumiEvent::Matches,
            std::cmp::Ordering::Greater => LumiEvent::Surplus,
        }
    }
}

/// What was announced for a lumi, for all streams of its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LumiRecord {
    /// The run.
    pub run: RunNumber,
    /// The lumi.
    pub lumi: LumiNumber,
    /// What its end-of-lumi record says.
    pub expected: Expected,
    /// When the record came.
    pub ended_at: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_meets_every_event() {
        use {LumiEvent as E, LumiState as S};
        let check = |from: S, event: E, expect: Option<S>| {
            assert_eq!(from.next(event).ok(), expect, "{from:?} {event:?}");
        };
        check(S::Open, E::Short, Some(S::Open));
        check(S::Open, E::Matches, Some(S::Closed));
        check(S::Open, E::Surplus, Some(S::Disputed));
        check(S::Closed, E::Short, None);
        check(S::Closed, E::Matches, Some(S::Closed));
        check(S::Closed, E::Surplus, Some(S::Disputed));
        check(S::Disputed, E::Short, None);
        check(S::Disputed, E::Matches, Some(S::Closed));
        check(S::Disputed, E::Surplus, Some(S::Disputed));
    }

    #[test]
    fn announcements_compare_in_their_own_unit() {
        let received = Received {
            files: 2,
            events_accounted: 300,
        };
        let check = |expected: Expected, event| assert_eq!(expected.compare(received), event);
        check(Expected::Unknown, LumiEvent::Short);
        check(Expected::Events(301), LumiEvent::Short);
        check(Expected::Events(300), LumiEvent::Matches);
        check(Expected::Files(2), LumiEvent::Matches);
        check(Expected::Files(1), LumiEvent::Surplus);
        check(Expected::Declared, LumiEvent::Matches);
    }
}
