//! Express: closed lumis only, never across lumis, greedy by events.
//!
//! In come the window and the two limits, out come the jobs of every closed lumi, or all its files
//! set aside where it has more events than express can take. A lumi that is not closed is never
//! touched before the input is complete, and is passed over by one binary search, so that a hole in
//! front costs nothing.
//!
//! Algorithm: first-fit in window order, as dmwm/T0:src/python/T0/JobSplitting/Express.py does it
//! with one job after the other ("take the first file, then every later one that still fits");
//! filling all open jobs side by side gives the same jobs in one pass. A file that alone exceeds
//! the limit is a job by itself.

use super::{Cut, CutJob, Item, Window};

/// Cuts the closed lumis of the window.
pub(super) fn split(
    max_events: u64,
    max_input_rate: u64,
    window: &Window<'_>,
    closed: bool,
) -> Cut {
    let mut cut = Cut::default();
    let end = end_of_closed(window, closed);
    let mut start = 0;
    while start < end {
        let first = &window.items[start];
        let rest = &window.items[start..end];
        let length = rest.partition_point(|item| item.lumi == first.lumi);
        // The first file speaks for a lumi that is not closed: its other files need no look.
        if window.is_whole(first, closed) {
            let lumi = &rest[..length];
            if lumi.iter().all(|item| window.is_whole(item, closed)) {
                cut_lumi(max_events, max_input_rate, start, lumi, &mut cut);
            }
        }
        start += length;
    }
    cut
}

/// Behind this position nothing is closed. With a hole in front that is the end of the window: then
/// every lumi in it is looked at, which are those in the making, because closed ones are cut when
/// they close.
fn end_of_closed(window: &Window<'_>, closed: bool) -> usize {
    match window.frontier {
        _ if closed => window.items.len(),
        None => 0,
        Some(frontier) if frontier.hole().is_some() => window.items.len(),
        Some(frontier) => window
            .items
            .partition_point(|i| i.lumi.0 <= frontier.reached()),
    }
}

/// Cuts one whole lumi, whose first file stands at `start` in the window.
fn cut_lumi(max_events: u64, max_input_rate: u64, start: usize, lumi: &[Item], cut: &mut Cut) {
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
    let mut open: Vec<(u64, CutJob)> = Vec::new();
    // Jobs in front of this one are full: no file with events fits into them.
    let mut first_with_room = 0;
    for (offset, item) in lumi.iter().enumerate() {
        let candidates = if item.events.0 == 0 {
            0
        } else {
            first_with_room
        };
        let fits = |filled: u64| filled.saturating_add(item.events.0) <= max_events;
        match open[candidates..]
            .iter_mut()
            .find(|(filled, _)| fits(*filled))
        {
            Some((filled, job)) => {
                *filled += item.events.0;
                job.items.push(start + offset);
            }
            None => open.push((
                item.events.0,
                CutJob {
                    items: vec![start + offset],
                    ..CutJob::default()
                },
            )),
        }
        while open
            .get(first_with_room)
            .is_some_and(|(filled, _)| *filled >= max_events)
        {
            first_with_room += 1;
        }
    }
    cut.jobs.extend(open.into_iter().map(|(_, job)| job));
}
