//! Which payload is in force for a run, and from which run on a new one may still count.
//!
//! In come the IOVs of a tag and the runs known; out comes one IOV or one run. An IOV has no end:
//! it lasts until the next since, and inserting the same since again is a newer row that wins, so
//! what was in force at any earlier moment can always be found again. (After CondDB, CMS
//! `CondCore/Utilities/python/conddblib.py`.) Nothing is stored here, and nothing is ever removed.

use serde::{Deserialize, Serialize};

/// A row of the conditions store: from run `since` on, this payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Iov {
    /// The tag it belongs to.
    pub tag: String,
    /// First run it is for.
    pub since: u32,
    /// Content address of the payload.
    pub payload_hash: String,
    /// When it was inserted, microseconds UTC since 1970.
    pub inserted: i64,
    /// Number of the insertion: a later row has a greater one.
    pub sequence: i64,
}

/// The IOV of `iovs` (one tag, any order) in force for `run`; none before the first since.
pub fn in_force(iovs: &[Iov], run: u32) -> Option<&Iov> {
    iovs.iter()
        .filter(|iov| iov.since <= run)
        .max_by_key(|iov| (iov.since, iov.sequence))
}

/// As [`in_force`], but only of the rows inserted up to `snapshot_us` (microseconds UTC): what a
/// job with that snapshot used, however many rows came later.
pub fn in_force_as_of(iovs: &[Iov], run: u32, snapshot_us: i64) -> Option<&Iov> {
    iovs.iter()
        .filter(|iov| iov.since <= run && iov.inserted <= snapshot_us)
        .max_by_key(|iov| (iov.since, iov.sequence))
}

/// The first run whose prompt processing has not taken its conditions yet: the smallest run that
/// is known, not locked and above the largest locked run; when there is none, the largest run
/// known plus one. A payload with an earlier since would come too late. (After CMS t0wmadatasvc
/// `DataFirstConditionSafeRun`.)
pub fn first_condition_safe_run(locked: &[u32], known: &[u32]) -> u32 {
    let largest_locked = locked.iter().max();
    let waiting = known
        .iter()
        .filter(|run| largest_locked.is_none_or(|largest| *run > largest));
    match waiting.min() {
        Some(run) => *run,
        None => known
            .iter()
            .chain(locked)
            .max()
            .map_or(1, |run| run.saturating_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iov(since: u32, sequence: i64, payload_hash: &str) -> Iov {
        let payload_hash = payload_hash.to_owned();
        Iov {
            tag: "beamspot".to_owned(),
            since,
            payload_hash,
            inserted: sequence * 10,
            sequence,
        }
    }

    #[test]
    fn the_last_since_wins_and_a_second_insertion_of_it_too() {
        let rows = [
            iov(10, 1, "a"),
            iov(20, 2, "b"),
            iov(15, 3, "c"),
            iov(20, 4, "d"),
        ];
        for (run, expect) in [
            (9, None),
            (10, Some("a")),
            (14, Some("a")),
            (15, Some("c")),
            (19, Some("c")),
            (20, Some("d")),
            (u32::MAX, Some("d")),
        ] {
            let got = in_force(&rows, run).map(|row| row.payload_hash.as_str());
            assert_eq!(got, expect, "run {run}");
        }
        assert_eq!(in_force(&[], 1), None);
    }

    #[test]
    fn a_snapshot_does_not_see_later_rows() {
        let rows = [
            iov(10, 1, "a"),
            iov(20, 2, "b"),
            iov(15, 3, "c"),
            iov(20, 4, "d"),
        ];
        for (snapshot_us, run, expect) in [
            (9, 30, None),
            (10, 30, Some("a")),
            (20, 30, Some("b")),
            (39, 30, Some("b")),
            (40, 30, Some("d")),
            (20, 17, Some("a")),
            (30, 17, Some("c")),
        ] {
            let got = in_force_as_of(&rows, run, snapshot_us).map(|row| row.payload_hash.as_str());
            assert_eq!(got, expect, "run {run} at {snapshot_us}");
        }
    }

    #[test]
    fn the_first_safe_run_is_the_first_that_is_still_open() {
        for (locked, known, expect) in [
            (&[][..], &[][..], 1),
            (&[], &[5, 7], 5),
            (&[5], &[5, 7], 7),
            (&[7], &[5, 7], 8),
            // Run 6 was never locked, but 7 was: what comes now is too late for 6.
            (&[5, 7], &[9, 8, 7, 6, 5], 8),
            (&[5], &[], 6),
        ] {
            assert_eq!(
                first_condition_safe_run(locked, known),
                expect,
                "{locked:?} {known:?}"
            );
        }
    }
}
