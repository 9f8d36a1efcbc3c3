//! Express: closed lumis only, never across lumis, greedy by events.
//!
//! In come the window and the two limits, out come the jobs of every closed lumi, or all its files
//! set aside where it has more events than express can take. A lumi that is not closed is never
//! touched before the input is complete, and is passed over by one binary search, so that a hole in
//! front costs nothing.
//!
//! After dmwm/T0:src/python/T0/JobSplitting/Express.py.

use super::estimates::{Load, express};
use super::first_fit::{Limits, fill};
use super::{Cut, CutJob, SplitLumi, Window};
use std::ops::Range;

/// Cuts the closed lumis of the window.
pub(super) fn split(
    max_events: u64,
    max_input_rate: u64,
    window: &Window<'_>,
    closed: bool,
) -> Cut {
    let mut cut = Cut::default();
    let end = window.end_of_closed(closed);
    let mut start = 0;
    while start < end {
        let first = &window.items[start];
        let rest = &window.items[start..end];
        let length = rest.partition_point(|item| item.lumi == first.lumi);
        // The first file speaks for a lumi that is not closed: its other files need no look.
        if window.is_whole(first, closed) {
            let lumi = &rest[..length];
            if lumi.iter().all(|item| window.is_whole(item, closed)) {
                cut_lumi(
                    max_events,
                    max_input_rate,
                    window,
                    start..start + length,
                    &mut cut,
                );
            }
        }
        start += length;
    }
    cut
}

/// Cuts one whole lumi, whose files stand at `place` in the window.
fn cut_lumi(
    max_events: u64,
    max_input_rate: u64,
    window: &Window<'_>,
    place: Range<usize>,
    cut: &mut Cut,
) {
    let (start, lumi) = (place.start, &window.items[place]);
    let events = lumi
        .iter()
        .fold(0_u64, |sum, item| sum.saturating_add(item.events.0));
    if events > max_input_rate {
        let reason = format!(
            "lumi {} has {events} events, more than the {max_input_rate} that express takes \
             (max_input_rate): its {} file(s) are set aside; raise max_input_rate and release them",
            lumi[0].lumi,
            lumi.len(),
        );
        cut.quarantined
            .extend((start..start + lumi.len()).map(|at| (at, reason.clone())));
        return;
    }
    let limits = Limits {
        bytes: u64::MAX,
        events: max_events,
    };
    let jobs = fill(window.items, start..start + lumi.len(), limits);
    if jobs.len() > 1 {
        cut.split_lumis.push(SplitLumi {
            lumi: lumi[0].lumi,
            files: lumi.len() as u32,
        });
    }
    cut.jobs.extend(jobs.into_iter().map(|items| {
        let load = Load::of(items.iter().map(|at| &window.items[*at]));
        CutJob {
            items,
            estimate: Some(express(load, &window.cost)),
            ..CutJob::default()
        }
    }));
}
