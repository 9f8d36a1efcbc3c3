//! First fit in the order of the files: each file goes to the first job that still has room.
//!
//! In come items with the limits of a job, out come the jobs' items. A file that alone exceeds a
//! limit is a job by itself. Filling all open jobs side by side gives the same jobs as upstream's
//! "take the first file, then every later one that still fits", in one pass.

use super::Item;

/// What a job may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: u64,
    pub(super) events: u64,
}

#[derive(Default)]
struct Filled {
    bytes: u64,
    events: u64,
    items: Vec<usize>,
}

/// Jobs of the items at these positions.
pub(super) fn fill(
    items: &[Item],
    positions: impl Iterator<Item = usize>,
    limits: Limits,
) -> Vec<Vec<usize>> {
    let mut open: Vec<Filled> = Vec::new();
    // Jobs in front of this one are full: no file with events and bytes fits into them.
    let mut first_with_room = 0;
    for at in positions {
        let (bytes, events) = (items[at].bytes.0, items[at].events.0);
        let fits = |job: &Filled| {
            job.bytes.saturating_add(bytes) <= limits.bytes
                && job.events.saturating_add(events) <= limits.events
        };
        let from = if bytes == 0 || events == 0 {
            0
        } else {
            first_with_room
        };
        let place = open[from..].iter().position(fits).map(|place| place + from);
        let place = place.unwrap_or_else(|| {
            open.push(Filled::default());
            open.len() - 1
        });
        let job = &mut open[place];
        job.bytes = job.bytes.saturating_add(bytes);
        job.events = job.events.saturating_add(events);
        job.items.push(at);
        let full = |job: &Filled| job.bytes >= limits.bytes || job.events >= limits.events;
        while open.get(first_with_room).is_some_and(full) {
            first_with_room += 1;
        }
    }
    open.into_iter().map(|job| job.items).collect()
}
