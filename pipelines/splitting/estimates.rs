//! What jobs of the Tier-0 will probably use: its formulas, in whole numbers.
//!
//! In come sizes, events and what an event costs, out come estimates. Time is counted in
//! nanoseconds and rounded down, so that the same job always has the same estimate. The speeds are
//! those of dmwm/T0:src/python/T0/JobSplitting.

use super::{Cost, Estimate, Item};
use model::resource::WALL_MAX;
use model::time::Span;
use model::units::Bytes;

/// A job gets another core for each so many bytes of disk.
const BYTES_A_CORE: u64 = 20_000_000_000;
/// A job of more cores than this finds no place.
pub(super) const CORES_MAX: u32 = 8;
/// Memory of a merge: 1000 MB.
const MERGE_MEMORY: Bytes = Bytes(1_000 << 20);
/// The most scratch space that express asks for: 20e6 KiB.
const EXPRESS_DISK_MAX: u64 = 20_000_000 << 10;

/// Starting, and setting up the framework.
const START: i128 = 300_000_000_000;
/// Checksum, stage-out, copying at 5 MB/s: nanoseconds a byte.
const SLOW_NS: i128 = 200;
/// Express repacks at 0.5 MB/s: nanoseconds a byte.
const EXPRESS_REPACK_NS: i128 = 2_000;

/// What a job reads, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) bytes: u64,
    pub(super) events: u64,
    /// The largest of its files.
    pub(super) largest: u64,
}

impl Load {
    pub(super) fn of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let none = Self::default();
        items.into_iter().fold(none, |sum, item| Self {
            bytes: sum.bytes.saturating_add(item.bytes.0),
            events: sum.events.saturating_add(item.events.0),
            largest: sum.largest.max(item.bytes.0),
        })
    }
}

fn span(nanoseconds: i128) -> Span {
    Span(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
}

fn cores(disk: u64) -> u32 {
    u32::try_from(1 + disk / BYTES_A_CORE).unwrap_or(u32::MAX)
}

/// Repacking: start, 1.5 MB/s, then checksum and stage-out.
pub(super) fn repack(load: Load, cost: &Cost) -> Estimate {
    // 1 s for 1.5 MB is 2000/3 ns a byte.
    let work = i128::from(load.bytes) * (2_000 + 3 * 2 * SLOW_NS) / 3;
    Estimate {
        wall: span(START + work),
        disk: Bytes(load.bytes),
        memory: cost.memory,
        cores: cores(load.bytes),
    }
}

/// Merging: start, then copy, checksum and stage-out. The largest file lies beside the output.
pub(super) fn merge(load: Load) -> Estimate {
    let disk = load.bytes.saturating_add(load.largest);
    Estimate {
        wall: span(START + i128::from(load.bytes) * 3 * SLOW_NS),
        disk: Bytes(disk),
        memory: MERGE_MEMORY,
        cores: cores(disk),
    }
}

/// Express: start twice, repack, reconstruct, then checksum and stage-out of what an event leaves,
/// counted in KiB as upstream counts it.
pub(super) fn express(load: Load, cost: &Cost) -> Estimate {
    let events = i128::from(load.events);
    let left = events * i128::from(cost.bytes_per_event.0);
    let work = i128::from(load.bytes) * EXPRESS_REPACK_NS
        + events * i128::from(cost.time_per_event.0)
        + left * 2 * SLOW_NS / 1_024;
    let disk = i128::from(load.bytes) + left;
    Estimate {
        wall: span(2 * START + work).min(WALL_MAX),
        disk: Bytes(
            u64::try_from(disk).map_or(EXPRESS_DISK_MAX, |disk| disk.min(EXPRESS_DISK_MAX)),
        ),
        memory: cost.memory,
        cores: 1,
    }
}
