//! Conditions as rows: payloads by hash, intervals of validity without an end, and what was decided
//! on each run.
//!
//! An IOV ends where the next one begins; a later row with the same `since` replaces the earlier
//! one, so a snapshot taken by insertion order reproduces the past (`CondDB`,
//! cms-sw/cmssw:CondCore/Utilities/python/conddblib.py).

use crate::ids::RunNumber;
use crate::names::TagName;
use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// A measured quantity in whole nano-units (1e-9 of its unit), so that decisions need no floating
/// point (D4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredQuantity {
    /// Its name with its unit, e.g. `x0_cm`.
    pub name: String,
    /// Its value.
    pub value_nano: i64,
    /// Its standard error.
    pub error_nano: i64,
}

/// A constant that a harvest proposes for one tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateConstant {
    /// The tag it is for.
    pub tag: TagName,
    /// What it was measured from, counted.
    pub n: u64,
    /// The measured quantities; empty when the measurement failed or does not apply.
    pub quantities: Vec<MeasuredQuantity>,
    /// Why there is nothing to measure, when there is not.
    pub not_applicable: Option<String>,
    /// The constant as text, as programs will read it.
    pub payload: String,
    /// Its sha256 in hex.
    pub hash: String,
}

/// What was decided for one (tag, run).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GateOutcome {
    /// A new interval begins with this run.
    Update,
    /// What is in force stays.
    NoChange,
    /// Not enough yet; later runs add to it.
    Collecting,
    /// Refused.
    Veto,
    /// The data have nothing to measure it from.
    NotApplicable,
    /// The harvest failed or the run was lost; what is in force stays.
    Abandoned,
}

impl GateOutcome {
    /// A stable word for rows and screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::NoChange => "no-change",
            Self::Collecting => "collecting",
            Self::Veto => "veto",
            Self::NotApplicable => "not-applicable",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The decision on one (tag, run), with what it was taken on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateDecision {
    /// The tag.
    pub tag: TagName,
    /// The run.
    pub run: RunNumber,
    /// What was decided.
    pub outcome: GateOutcome,
    /// The sentence for people.
    pub reason: String,
    /// What it was measured from, counted.
    pub n: u64,
    /// What was measured.
    pub quantities: Vec<MeasuredQuantity>,
    /// Whether it came after a later run was decided: then it says nothing of later runs.
    #[serde(default)]
    pub late: bool,
    /// When.
    pub at: Moment,
}

/// An interval of validity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Iov {
    /// The tag it belongs to.
    pub tag: TagName,
    /// The first run it holds for.
    pub since: RunNumber,
    /// The payload's sha256 in hex.
    pub hash: String,
    /// Orders insertions.
    pub sequence: i64,
    /// When it was inserted.
    pub inserted_at: Moment,
}

/// A constant, addressed by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionsPayload {
    /// sha256 of `text` in hex.
    pub hash: String,
    /// The constant as programs read it.
    pub text: String,
}
