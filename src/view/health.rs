//! How the instance itself fares: alarms and the system.
//!
//! In: `model::alarm`, and what the driver knows of itself. Out: [`AlarmView`], [`SystemView`].
//! Must never show a secret or an environment variable.

use model::alarm::{Alarm, Severity};
use serde::{Deserialize, Serialize};

/// One alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmView {
    /// Kind and object, e.g. `lumi-disputed/402144/Muons/137`.
    pub key: String,
    /// `high`, `medium` or `low`.
    pub severity: String,
    /// What happened, on what, why it matters, what to do.
    pub text: String,
    /// Since when.
    pub raised_at: String,
    /// When it was over; absent while it stands.
    pub cleared_at: Option<String>,
}

impl From<&Alarm> for AlarmView {
    fn from(alarm: &Alarm) -> Self {
        Self {
            key: alarm.key.clone(),
            severity: match alarm.severity {
                Severity::High => "high",
                Severity::Medium => "medium",
                Severity::Low => "low",
            }
            .to_owned(),
            text: alarm.text.clone(),
            raised_at: alarm.raised_at.to_string(),
            cleared_at: alarm.cleared_at.map(|at| at.to_string()),
        }
    }
}

/// The running instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SystemView {
    /// Version of the program.
    pub version: String,
    /// The agent's number among those that share a register.
    pub agent: u16,
    /// How often this agent has started.
    pub epoch: i64,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: String,
    /// How long ago that is.
    pub uptime_s: f64,
    /// Hash of the definitions in force.
    pub config_hash: String,
    /// Memory that it holds.
    pub rss_bytes: u64,
    /// Runs that are not finished.
    pub runs_live: u64,
    /// Jobs that are neither done nor failed.
    pub jobs_live: u64,
    /// Where jobs run.
    pub executors: Vec<ExecutorView>,
    /// Corridors between its threads.
    pub lanes: Vec<LaneView>,
}

/// One executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorView {
    /// Its name.
    pub name: String,
    /// Cores it offers at once.
    pub cores: u32,
    /// Attempts it has now.
    pub attempts: u64,
}

/// One corridor between threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneView {
    /// Its name.
    pub name: String,
    /// What waits in it now.
    pub length: u64,
    /// What it can hold.
    pub capacity: u64,
}
