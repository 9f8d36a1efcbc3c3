//! Whole files, as many a job as come to at most so many events, over lumis in order.
//!
//! In come the window and the limit, out come jobs of neighbours, none of more events than the
//! limit unless one file alone has more. A job is cut when the next file would take it over the
//! limit (or it is exactly full), so the same files give the same jobs however they came. Only the
//! last, unfilled job of the settled part is looked at again. Files are never divided: dividing
//! them is what `event` and `event_aware_lumi` are for.

use super::{Cut, CutJob, Window};

/// How files become jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventAwareFile {
    /// Events a job at most.
    pub max_events: u64,
}

/// Cuts runs of neighbours of at most `max_events` events.
pub(super) fn split(parameters: EventAwareFile, window: &Window<'_>, closed: bool) -> Cut {
    let max_events = parameters.max_events;
    let mut cut = Cut::default();
    let (mut start, mut events) = (0, 0_u64);
    for (position, item) in window.items.iter().enumerate() {
        if !window.is_settled(item, closed) {
            return cut;
        }
        let with_this = events.saturating_add(item.events.0);
        if with_this > max_events && position > start {
            cut.jobs.push(CutJob {
                items: (start..position).collect(),
                ..CutJob::default()
            });
            (start, events) = (position, item.events.0);
        } else {
            events = with_this;
        }
        // Exactly full (or one large file): no later file can join, except one without events,
        // which would make the job depend on when we are asked; so it goes to the next one.
        if events >= max_events {
            cut.jobs.push(CutJob {
                items: (start..=position).collect(),
                ..CutJob::default()
            });
            (start, events) = (position + 1, 0);
        }
    }
    if closed && start < window.items.len() {
        cut.jobs.push(CutJob {
            items: (start..window.items.len()).collect(),
            ..CutJob::default()
        });
    }
    cut
}
