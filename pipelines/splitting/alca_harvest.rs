//! One harvest of constants a run: everything that was made for it, in one job, when nothing more
//! will come; and once before that, if the run ended long ago and its work does not.
//!
//! In comes the window, out comes one job or none. The early harvest only reads what is there so
//! far; the last one takes all files, those that the early one read too, because a constant of half
//! a run is not the run's. If nothing came after the early harvest, there is nothing to harvest
//! again. A run without input has no harvest; the engine then decides its tags.

use super::{Cut, CutJob, HarvestState, Holding, HoldingKind, Window, just_after};
use model::time::{Moment, Span};

/// When a run is harvested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlcaHarvest {
    /// How long after the end of the run an early harvest is made; none for never.
    pub timeout: Option<Span>,
}

/// Cuts the whole window into one job, once the input is complete or late.
pub(super) fn split(
    parameters: AlcaHarvest,
    window: &Window<'_>,
    closed: bool,
    now: Moment,
) -> Cut {
    let mut cut = Cut::default();
    let everything = || CutJob {
        items: (0..window.items.len()).collect(),
        ..CutJob::default()
    };
    if window.items.is_empty() {
        return cut;
    }
    if closed {
        match window.harvested {
            Some(early) if matches!(early.state, HarvestState::Running) => {
                cut.holding = Some(held(window, "the early harvest is still at work", None));
            }
            Some(early)
                if matches!(early.state, HarvestState::Done(_))
                    && early.inputs == window.items.len() =>
            {
                let reason = "the early harvest read it, and nothing came after it";
                let all = (0..window.items.len()).map(|at| (at, reason.to_owned()));
                cut.declined.extend(all);
            }
            Some(_) | None => cut.jobs.push(everything()),
        }
        return cut;
    }
    let due = match (parameters.timeout, window.run_ended_at) {
        (Some(timeout), Some(ended)) if window.harvested.is_none() => ended + timeout,
        _ => return cut,
    };
    if now > due {
        cut.jobs.push(CutJob {
            reads_only: true,
            ..everything()
        });
    } else {
        cut.wake = Some(just_after(due));
        let reason = "a run is harvested when all its input is there, or early when it ended so \
                      long ago (timeout)";
        cut.holding = Some(held(window, reason, cut.wake));
    }
    cut
}

/// A wait of the whole window.
pub(super) fn held(window: &Window<'_>, reason: &str, until: Option<Moment>) -> Holding {
    let came = window.items.iter().map(|item| item.came_at);
    Holding {
        by: HoldingKind::Delay,
        reason: reason.to_owned(),
        since: came.min().unwrap_or_default(),
        until,
    }
}
