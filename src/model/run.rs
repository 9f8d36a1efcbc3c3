//! A run: what started it, what is known of its end, and how far it has come.

use crate::ids::RunNumber;
use crate::names::{DataLabel, PipelineName};
use crate::step::IllegalStep;
use crate::time::Moment;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a run is for; selects pipelines and budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RunType {
    /// Collisions (or whatever the experiment is for).
    Physics,
    /// Cosmic rays, between physics.
    Cosmics,
    /// Taken to calibrate.
    Calibration,
    /// Never reaches publication or good-run lists.
    Test,
}

impl RunType {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Physics, Self::Cosmics, Self::Calibration, Self::Test];

    /// As written in records, commands and definitions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Physics => "physics",
            Self::Cosmics => "cosmics",
            Self::Calibration => "calibration",
            Self::Test => "test",
        }
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether outputs of such a run may be published and its lumis certified.
    pub fn publishes(self) -> bool {
        self != Self::Test
    }
}

impl fmt::Display for RunType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who said first that a run exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartedBy {
    /// Its first file.
    FirstFile,
    /// A begin-of-run record in the spool.
    Record,
    /// `tier0 run start`, `POST /api/v1/runs`.
    Command,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunState {
    /// Data arrive.
    Open,
    /// The end record is here; lumis up to `last_lumi` are awaited.
    Ending,
    /// Every announced lumi of every stream is accounted for.
    Closed {
        /// When the last of them was.
        at: Moment,
    },
    /// Closed, and every task of every pipeline has ended.
    Finished {
        /// When the data were complete.
        closed_at: Moment,
        /// When the last task ended.
        at: Moment,
    },
    /// Finished for long enough: its rows are moved to the history, and nobody works with them.
    Archiving {
        /// When the data were complete.
        closed_at: Moment,
        /// When the last task ended.
        finished_at: Moment,
    },
    /// Everything of it but this row is history.
    Archived {
        /// When the data were complete.
        closed_at: Moment,
        /// When the last task ended.
        finished_at: Moment,
        /// When its last row was moved.
        at: Moment,
    },
}

/// What can happen to a run as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunEvent {
    /// The end record (or command) came.
    EndAnnounced,
    /// Every announced lumi of every stream is accounted for.
    Complete(Moment),
    /// Every task has ended, and so has everything that rests on it.
    TasksEnded(Moment),
    /// Its late files shall be worked on, as a new part.
    Reopened,
    /// Work that had ended is taken up again, with the data that are here.
    Resumed,
    /// Nothing of it was asked for in a while: its rows leave.
    Soaked,
    /// Its last row is history.
    Moved(Moment),
    /// A late file was kept, whose row has to follow the others.
    LateFileKept,
}

impl RunState {
    /// The only place where a run changes state.
    pub fn next(&self, event: RunEvent) -> Result<Self, IllegalStep> {
        use {RunEvent as E, RunState as S};
        match (self, event) {
            // A second end record says nothing new.
            (S::Open | S::Ending, E::EndAnnounced) => Ok(S::Ending),
            (S::Ending, E::Complete(at)) => Ok(S::Closed { at }),
            (S::Closed { at: closed_at }, E::TasksEnded(at)) => Ok(S::Finished {
                closed_at: *closed_at,
                at,
            }),
            (S::Closed { .. } | S::Finished { .. }, E::Reopened) => Ok(S::Ending),
            (S::Closed { at } | S::Finished { closed_at: at, .. }, E::Resumed) => {
                Ok(S::Closed { at: *at })
            }
            (S::Finished { closed_at, at }, E::Soaked) => Ok(S::Archiving {
                closed_at: *closed_at,
                finished_at: *at,
            }),
            (
                S::Archiving {
                    closed_at,
                    finished_at,
                },
                E::Moved(at),
            ) => Ok(S::Archived {
                closed_at: *closed_at,
                finished_at: *finished_at,
                at,
            }),
            (
                S::Archiving {
                    closed_at,
                    finished_at,
                }
                | S::Archived {
                    closed_at,
                    finished_at,
                    ..
                },
                E::LateFileKept,
            ) => Ok(S::Archiving {
                closed_at: *closed_at,
                finished_at: *finished_at,
            }),
            (
                S::Open
                | S::Ending
                | S::Closed { .. }
                | S::Finished { .. }
                | S::Archiving { .. }
                | S::Archived { .. },
                _,
            ) => Err(IllegalStep::new("run", self, &event)),
        }
    }

    /// A short word for rows and screens.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ending => "ending",
            Self::Closed { .. } => "closed",
            Self::Finished { .. } => "finished",
            Self::Archiving { .. } => "archiving",
            Self::Archived { .. } => "archived",
        }
    }

    /// Whether all data are here.
    pub fn is_closed(&self) -> bool {
        !matches!(self, Self::Open | Self::Ending)
    }

    /// Whether every task has ended.
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Finished { .. }) || self.is_history()
    }

    /// Whether its rows are history, or on the way there.
    pub fn is_history(&self) -> bool {
        matches!(self, Self::Archiving { .. } | Self::Archived { .. })
    }

    /// When its data were complete.
    pub fn closed_at(&self) -> Option<Moment> {
        match self {
            Self::Open | Self::Ending => None,
            Self::Closed { at } => Some(*at),
            Self::Finished { closed_at, .. }
            | Self::Archiving { closed_at, .. }
            | Self::Archived { closed_at, .. } => Some(*closed_at),
        }
    }

    /// When its last task ended.
    pub fn finished_at(&self) -> Option<Moment> {
        match self {
            Self::Open | Self::Ending | Self::Closed { .. } => None,
            Self::Finished { at, .. } => Some(*at),
            Self::Archiving { finished_at, .. } | Self::Archived { finished_at, .. } => {
                Some(*finished_at)
            }
        }
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The detector's number.
    pub number: RunNumber,
    /// What it is for.
    pub run_type: RunType,
    /// Real or simulated; never changes once the run is open.
    pub label: DataLabel,
    /// Who said first that it exists.
    pub started_by: StartedBy,
    /// When that was.
    pub opened_at: Moment,
    /// Pipelines that work on it, pinned when it opened.
    pub pipelines: Vec<PipelineName>,
    /// Hash of the definitions pinned, 16 hex digits.
    pub config_hash: String,
    /// The last lumi, once the end is announced.
    pub last_lumi: Option<u32>,
    /// Events over all streams' inputs as the end record says, if it does.
    pub announced_events: Option<u64>,
    /// When its end was first said.
    #[serde(default)]
    pub ended_at: Option<Moment>,
    /// Whether a record or a person said that it exists and what it is for, not only its files.
    #[serde(default)]
    pub announced: bool,
    /// The part at work: each time the run is reopened, late files become the next one.
    #[serde(default = "crate::file::first_part")]
    pub part: u32,
    /// How often it had finished and work on it was taken up again: a failed job was retried.
    #[serde(default)]
    pub resumed: u32,
    /// When the last file of the run was seen.
    pub last_file_seen_at: Moment,
    /// Where lumis that are slices of the run's time begin, once there is one.
    #[serde(default)]
    pub sliced_from: Option<Moment>,
    /// Why nothing more of it is published or certified, if an invariant was found broken.
    #[serde(default)]
    pub quarantined: Option<String>,
    /// How far it has come.
    pub state: RunState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_meets_every_event() {
        let t = Moment(7);
        let states = [
            RunState::Open,
            RunState::Ending,
            RunState::Closed { at: t },
            RunState::Finished {
                closed_at: t,
                at: t,
            },
            RunState::Archiving {
                closed_at: t,
                finished_at: t,
            },
            RunState::Archived {
                closed_at: t,
                finished_at: t,
                at: t,
            },
        ];
        let events = [
            RunEvent::EndAnnounced,
            RunEvent::Complete(t),
            RunEvent::TasksEnded(t),
            RunEvent::Reopened,
            RunEvent::Resumed,
            RunEvent::Soaked,
            RunEvent::Moved(t),
            RunEvent::LateFileKept,
        ];
        let table: Vec<String> = states
            .iter()
            .map(|state| {
                let row = events.iter().map(|event| match state.next(*event) {
                    Ok(next) => next.word().to_owned(),
                    Err(_) => "-".to_owned(),
                });
                format!("{}: {}", state.word(), row.collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(
            table,
            [
                "open: ending - - - - - - -",
                "ending: ending closed - - - - - -",
                "closed: - - finished ending closed - - -",
                "finished: - - - ending closed archiving - -",
                "archiving: - - - - - - archived archiving",
                "archived: - - - - - - - archiving",
            ]
        );
    }
}
