//! Everything in one job, a fixed time after the run ended.
//!
//! In come the window, the moment at which the run ended and the delay, out comes one job with
//! whatever is there once the time has passed. What comes later is taken as it comes. A run whose
//! end nobody announced has no such time: then the job is made when its input is complete and its
//! end is known.

use super::{Cut, CutJob, Holding, HoldingKind, Window};
use model::time::{Moment, Span};

/// When everything is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedDelay {
    /// How long after the end of the run.
    pub delay: Span,
}

/// Cuts everything once the time has passed.
pub(super) fn split(parameters: FixedDelay, window: &Window<'_>, now: Moment) -> Cut {
    let mut cut = Cut::default();
    let Some(since) = window.items.iter().map(|item| item.came_at).min() else {
        return cut;
    };
    let due = window.run_ended_at.map(|ended| ended + parameters.delay);
    let is_due = window.at_once || due.is_some_and(|due| now > due);
    match due {
        _ if is_due => cut.jobs.push(CutJob {
            items: (0..window.items.len()).collect(),
            ..CutJob::default()
        }),
        _ => {
            let wake = due.map(super::just_after);
            cut.wake = wake;
            cut.holding = Some(Holding {
                by: HoldingKind::Delay,
                reason: match due {
                    Some(_) => "everything is taken a fixed time after the end of the run (delay)",
                    None => "the end of the run is not known, and the delay is counted from it",
                }
                .to_owned(),
                since,
                until: wake,
            });
        }
    }
    cut
}
