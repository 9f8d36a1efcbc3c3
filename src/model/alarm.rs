//! Alarms: something a person should know. One per key; raised once, cleared once, never repeated
//! by polling.

use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// How much of a hurry there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Data or promises are at risk.
    High,
    /// Something needs a decision soon.
    Medium,
    /// Worth knowing.
    Low,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What it is about: kind and object, e.g. `lumi-disputed/402144/Muons/137`.
    pub key: String,
    /// How much of a hurry there is.
    pub severity: Severity,
    /// What happened, on what, why it matters, what to do.
    pub text: String,
    /// Since when.
    pub raised_at: Moment,
    /// When it was over.
    pub cleared_at: Option<Moment>,
}
