//! Whole lumis, as many a job as come to about so many events.
//!
//! In come the window and the number of events, out come jobs of lumis; how many lumis make a job
//! follows from the events that a lumi of each file has on average. A lumi is never divided, so one
//! with more events than wanted is a job by itself. A file whose only lumi would take longer than a
//! job may is set aside instead of being tried in vain; only this file, and nothing joins it.

use super::lumi_jobs::{self, Boundaries, Filled, Filling, Total, WalkedFile};
use super::{Cost, Cut, Window, times};
use model::time::Span;

/// How lumis become jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventAwareLumi {
    /// Events a job, about.
    pub events_per_job: u64,
    /// Longer than this no job may take.
    pub job_time_limit: Span,
    /// Whether a lumi that would take longer is set aside; else it is tried all the same.
    pub allow_creation_failure: bool,
    /// Events in all; 0 for no limit.
    pub total_events: u64,
    /// What jobs respect.
    pub boundaries: Boundaries,
}

/// Cuts jobs of about so many events.
pub(super) fn split(parameters: &EventAwareLumi, window: &Window<'_>, closed: bool) -> Cut {
    let total = match parameters.total_events {
        0 => Total::Everything,
        events => Total::Events(events),
    };
    let filling =
        |file: &WalkedFile, in_hand: Filled| fill(parameters, &window.cost, file, in_hand);
    lumi_jobs::split(&parameters.boundaries, total, window, closed, &filling)
}

fn fill(parameters: &EventAwareLumi, cost: &Cost, file: &WalkedFile, in_hand: Filled) -> Filling {
    let takes = times(cost.time_per_event, file.events_a_lumi);
    if takes > parameters.job_time_limit && file.lumis == 1 {
        return if parameters.allow_creation_failure {
            Filling::Refused(format!(
                "its only lumi has {} events and would take {} s, longer than the {} s that a job \
                 may (job_time_limit): raise the limit, or try it all the same \
                 (allow_creation_failure = false)",
                file.events_a_lumi,
                takes.0 / 1_000_000_000,
                parameters.job_time_limit.0 / 1_000_000_000,
            ))
        } else {
            Filling::Alone(1)
        };
    }
    let lumis_with = |events: u64| events.checked_div(file.events_a_lumi);
    let fresh = lumis_with(parameters.events_per_job).map_or(file.lumis, |lumis| lumis.max(1));
    let room = parameters.events_per_job.saturating_sub(in_hand.events);
    let joining = lumis_with(room).unwrap_or(file.lumis);
    Filling::Joins {
        in_hand: (in_hand.lumis + joining).max(1),
        fresh,
    }
}
