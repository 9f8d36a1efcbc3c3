//! Events of one file at a time.
//!
//! In come the window and the number of events, out come for each file jobs of so many of its
//! events, the last with the rest. A job never has two files, so no file waits for another one or
//! for its lumi. A file without events is one job all the same: its other content is to be seen.

use super::{Cut, CutJob, Groups, Window, estimate, groups};
use model::job::Slice;

/// How files become jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Events a job.
    pub events_per_job: u64,
}

/// Cuts every file of the window.
pub(super) fn split(parameters: Event, window: &Window<'_>) -> Cut {
    let per_job = parameters.events_per_job.max(1);
    let Groups { together, nowhere } = groups(window, 0..window.items.len());
    let mut cut = Cut {
        quarantined: nowhere,
        ..Cut::default()
    };
    for at in together.into_iter().flatten() {
        let events = window.items[at].events.0;
        let mut first = 0;
        loop {
            let taken = per_job.min(events - first);
            let last = first + taken.saturating_sub(1);
            let whole = taken == events;
            cut.jobs.push(CutJob {
                items: vec![at],
                slice: (!whole).then_some(Slice::Events { first, last }),
                estimate: Some(estimate(&window.cost, taken)),
                ..CutJob::default()
            });
            first += taken;
            if first >= events {
                break;
            }
        }
    }
    cut
}
