//! What a job needs and what a place offers.

use crate::time::Span;
use crate::units::{Bytes, Events};
use serde::{Deserialize, Serialize};

/// What one attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Processor cores, at least 1.
    pub cores: u32,
    /// Memory.
    pub memory: Bytes,
    /// Wall time; an attempt that runs longer is ended.
    pub wall: Span,
}

impl Needs {
    /// What an attempt gets where a splitter expects more than the task asks for.
    ///
    /// Disk is not ours to give. No attempt gets more than [`WALL_MAX`].
    pub fn at_least(self, estimate: &Estimate) -> Self {
        Self {
            cores: self.cores.max(estimate.cores),
            memory: self.memory.max(estimate.memory),
            wall: self.wall.max(estimate.wall.min(WALL_MAX)),
        }
    }
}

/// The longest wall time that an estimate can give: batch systems of the field end jobs after 47 h.
pub const WALL_MAX: Span = Span::from_secs(47 * 3_600);

/// What a job will probably use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Wall time.
    pub wall: Span,
    /// Scratch space.
    pub disk: Bytes,
    /// Memory.
    pub memory: Bytes,
    /// Cores.
    pub cores: u32,
}

/// What a finished job has used: the measured history that estimates rest on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Events that the program read.
    pub events: Events,
    /// Wall time of the winning attempt.
    pub wall: Span,
    /// Bytes of its outputs.
    pub output: Bytes,
}

impl Default for Needs {
    fn default() -> Self {
        Self {
            cores: 1,
            memory: Bytes(1 << 30),
            wall: Span::from_secs(600),
        }
    }
}

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// A process for each attempt.
    Process,
    /// A worker that stays and takes one job after the other.
    Warm,
}
