//! The audit: who asked for what, when and why, and what became of it. One row an act, never
//! changed.

use crate::ids::AuditId;
use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// One act of a person or program that changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Our identity for it; grows with time.
    pub id: AuditId,
    /// When.
    pub at: Moment,
    /// Who, as far as the window that took the order knows.
    pub by: String,
    /// What was asked for, e.g. `run close`.
    pub verb: String,
    /// Of what, e.g. `run/402144`.
    pub object: String,
    /// How the object stood.
    pub before: String,
    /// How it stands now.
    pub after: String,
    /// Why, in the words of whoever asked.
    pub reason: String,
}
