//! What quality tests said of a run, and which of its lumis are certified.

use crate::ids::{JobId, RunNumber};
use crate::time::{Moment, Span};
use serde::{Deserialize, Serialize};

/// One quality test's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestAnswer {
    /// The test, e.g. `contents_x_range`.
    pub name: String,
    /// What it looked at.
    pub histogram: String,
    /// Status number, as in cms-sw/cmssw:DQMServices/Core/interface/DQMDefinitions.h.
    pub status: u32,
    /// The answer in millionths of the best one.
    pub value_ppm: u32,
    /// The sentence for people.
    pub message: String,
}

/// What the tests of a run add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RunVerdict {
    /// Every test is content.
    Good,
    /// Usable; somebody should look.
    Warning,
    /// Not usable.
    Bad,
    /// Nothing could be tested.
    NotRun,
}

impl RunVerdict {
    /// A stable word for rows and screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::NotRun => "not-run",
        }
    }
}

/// The verdict on a run and what follows for the good-run list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunQuality {
    /// The run.
    pub run: RunNumber,
    /// What the tests add up to.
    pub verdict: RunVerdict,
    /// The tests.
    pub tests: Vec<TestAnswer>,
    /// Which job ran how many of them, in their order: when it is made again, its new answers take
    /// the place of the old ones. Empty in rows of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tested_by: Vec<(JobId, u32)>,
    /// Certified lumis as closed ranges; empty when refused.
    pub certified: Vec<(u32, u32)>,
    /// Why the run is not in the good-run list, when it is not.
    pub refused: Option<String>,
    /// When the last file of the run was seen.
    pub last_file_seen_at: Moment,
    /// When the verdict was recorded.
    pub at: Moment,
    /// Programs' own time on the longest chain of jobs that led here.
    pub chain: Span,
}
