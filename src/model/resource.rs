//! What a job needs and what a place offers.

use crate::time::Span;
use crate::units::Bytes;
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
