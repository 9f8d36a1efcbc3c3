//! Late files of runs that are history: the engine has forgotten such a run, so whether a file of
//! it is known is asked of the store.

use crate::arrival::Arrival;
use crate::file::File;
use crate::run::Run;
use serde::{Deserialize, Serialize};

/// What the store knows of a file that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recalled {
    /// What was seen.
    pub arrival: Arrival,
    /// Its run.
    pub run: Run,
    /// The file accepted under its name, if there is one.
    pub file: Option<File>,
}
