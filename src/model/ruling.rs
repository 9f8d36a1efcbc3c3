//! What a person has ruled on the work of a task: kept as rows, so that a restart forgets nobody's
//! word.

use crate::ids::{OutputId, RunNumber};
use crate::names::TaskPath;
use crate::time::Moment;
use crate::wait::Wait;
use serde::{Deserialize, Serialize};

/// What was ruled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RulingKind {
    /// No jobs are made.
    Held,
    /// Jobs are made now, whatever the rule still waits for.
    Accepted,
    /// The rule decides again.
    Lifted,
    /// Somebody has looked at the verdict that the task gave.
    Seen,
}

impl RulingKind {
    /// The verb that says so.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Held => "calib hold",
            Self::Accepted | Self::Lifted | Self::Seen => "calib accept",
        }
    }

    /// A stable word for rows and screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Accepted => "accepted",
            Self::Lifted => "left to its rule",
            Self::Seen => "looked at",
        }
    }
}

/// A person's word on a task, for one run or for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// The task.
    pub task: TaskPath,
    /// The run; none for every run that has no ruling of its own.
    pub run: Option<RunNumber>,
    /// What was ruled.
    pub kind: RulingKind,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Moment,
}

/// What the gate of one task says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateState {
    /// The task.
    pub task: TaskPath,
    /// What a person has ruled for all runs.
    pub ruling: Option<Ruling>,
    /// The first run that constants can still reach; none when the task waits for no constants.
    pub first_condition_safe_run: Option<RunNumber>,
    /// Its runs at work, in order.
    pub runs: Vec<GateRun>,
}

/// What a gate says of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateRun {
    /// The run.
    pub run: RunNumber,
    /// What its jobs wait for; none when they may be made.
    pub wait: Option<Wait>,
    /// Whether nothing new can be promised to reach it any more.
    pub locked: bool,
    /// What a person has ruled for this run.
    pub ruling: Option<Ruling>,
    /// Published outputs of the task that were made with another payload of some tag than the one
    /// that is in force for the run.
    pub outdated: Vec<OutputId>,
    /// Published outputs, of whatever task, that were made from those.
    pub made_from_outdated: Vec<OutputId>,
}
