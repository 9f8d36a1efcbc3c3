//! What people and programs may ask of a running engine, and what it answers.

use crate::ids::{JobId, RunNumber};
use crate::names::DataLabel;
use crate::run::RunType;
use serde::{Deserialize, Serialize};

/// Something asked of the engine. Asking twice does no more than asking once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A run begins (or is known to have begun).
    RunStart {
        /// The run.
        run: RunNumber,
        /// What it is for.
        run_type: RunType,
        /// Real or simulated.
        label: DataLabel,
    },
    /// A run has ended with this lumi.
    RunStop {
        /// The run.
        run: RunNumber,
        /// Its last lumi.
        last_lumi: u32,
    },
    /// Another attempt at a failed job.
    JobRetry {
        /// The job.
        job: JobId,
    },
}

/// What the engine answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done, in words; durable when it is heard.
    Done(String),
    /// Refused: the role or the state does not allow it; says why and what to do.
    Refused(String),
}
