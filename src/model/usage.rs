//! What the jobs of a task have used, added up over runs that are history: estimates go on resting
//! on it when the jobs themselves are forgotten.

use crate::names::TaskPath;
use serde::{Deserialize, Serialize};

/// Sums over the jobs of a task that are done, of all runs that are history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskUsage {
    /// The task.
    pub task: TaskPath,
    /// Jobs.
    pub jobs: u64,
    /// Events that they read.
    pub events: u64,
    /// Time that they ran, in nanoseconds.
    pub wall_ns: i64,
    /// Bytes that they made.
    pub output_bytes: u64,
}
