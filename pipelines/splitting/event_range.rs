//! Events that are still to be made, by their numbers and in lumis of their own.
//!
//! In come the window, whose inputs are ranges of events (first event, number of events, first
//! lumi), and two numbers; out come jobs of so many events, each with its own lumis, so that no two
//! jobs ever make the same event or share a lumi. Event numbers end at 2^32 - 1, as the field's
//! files have room for no more: a job that would pass it starts again at 1, where its lumis keep
//! its events apart from the first ones.

use super::{Cut, CutJob, Groups, Window, estimate, groups};
use model::ids::LumiNumber;
use model::job::Slice;

/// The largest event number.
const LAST_EVENT: u64 = u32::MAX as u64;

/// How ranges become jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRange {
    /// Events a job.
    pub events_per_job: u64,
    /// Events a lumi.
    pub events_per_lumi: u64,
}

/// Cuts every range of the window.
pub(super) fn split(parameters: EventRange, window: &Window<'_>) -> Cut {
    let per_job = parameters.events_per_job.clamp(1, LAST_EVENT);
    let per_lumi = parameters.events_per_lumi.max(1);
    let Groups { together, nowhere } = groups(window, 0..window.items.len());
    let mut cut = Cut {
        quarantined: nowhere,
        ..Cut::default()
    };
    for at in together.into_iter().flatten() {
        let item = &window.items[at];
        let lumis_needed = |events: u64| {
            events / per_job * per_job.div_ceil(per_lumi) + (events % per_job).div_ceil(per_lumi)
        };
        let lumis = lumis_needed(item.events.0);
        if u64::from(item.lumi.0) + lumis > u64::from(u32::MAX) {
            let reason = format!(
                "its {} events need {lumis} lumis from {} on, and lumi numbers end at {}: make \
                 fewer events, or more of them a lumi (events_per_lumi)",
                item.events.0,
                item.lumi,
                u32::MAX
            );
            cut.quarantined.push((at, reason));
            continue;
        }
        let (mut event, mut lumi, mut left) = (item.first_event, item.lumi.0, item.events.0);
        if left == 0 {
            let reason = "the range has no events: there is nothing to make".to_owned();
            cut.declined.push((at, reason));
        }
        while left > 0 {
            let taken = per_job.min(left);
            // Below 2^32, as the sum was found to be.
            let lumis = taken.div_ceil(per_lumi) as u32;
            if event + taken - 1 > LAST_EVENT {
                event = 1;
            }
            cut.jobs.push(CutJob {
                items: vec![at],
                slice: Some(Slice::Generated {
                    first: event,
                    last: event + taken - 1,
                    first_lumi: LumiNumber(lumi),
                    last_lumi: LumiNumber(lumi + lumis - 1),
                }),
                estimate: Some(estimate(&window.cost, taken)),
                ..CutJob::default()
            });
            event += taken;
            lumi += lumis;
            left -= taken;
        }
    }
    cut
}
