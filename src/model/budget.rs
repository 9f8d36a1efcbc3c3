//! Latency budgets, the hops that eat them, and the deadlines that follow.

use crate::time::{Moment, Span};
use serde::{Deserialize, Serialize};

/// A declared latency budget of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// From a file seen to its output published.
    pub seen_to_published: Span,
    /// The share of files that must keep it, in millionths.
    pub target_ppm: u32,
}

impl Budget {
    /// When the output of a file seen then must be out.
    pub fn deadline(&self, seen_at: Moment) -> Moment {
        seen_at + self.seen_to_published
    }
}

/// A measured stretch of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Hop {
    /// The earliest input seen by the watcher, the job made.
    SeenToReady,
    /// A job made, given to its place.
    ReadyToSent,
    /// Given to its place, running there.
    SentToStarted,
    /// The program's own time.
    StartedToReported,
    /// Reported, outputs committed and recorded.
    ReportedToDone,
    /// The whole: earliest input seen, output published.
    SeenToPublished,
}

impl Hop {
    /// All hops in the order of the flow.
    pub const ALL: [Self; 6] = [
        Self::SeenToReady,
        Self::ReadyToSent,
        Self::SentToStarted,
        Self::StartedToReported,
        Self::ReportedToDone,
        Self::SeenToPublished,
    ];

    /// A stable name for metrics and screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SeenToReady => "seen_to_ready",
            Self::ReadyToSent => "ready_to_sent",
            Self::SentToStarted => "sent_to_started",
            Self::StartedToReported => "started_to_reported",
            Self::ReportedToDone => "reported_to_done",
            Self::SeenToPublished => "seen_to_published",
        }
    }
}
