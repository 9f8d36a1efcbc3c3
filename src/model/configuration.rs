//! A configuration that runs are opened with: kept as it was typed, so that a run that is not
//! finished still knows after a restart what it was opened with.

use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// A configuration by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationText {
    /// Hash of what it means, 16 hex digits; runs name it.
    pub hash: String,
    /// What to read it from again.
    pub text: String,
    /// When it was taken first.
    pub taken_at: Moment,
}
