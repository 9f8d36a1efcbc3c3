//! A lumi section: what one witness says it holds, what has come, and whether it is accounted for
//! (D18). What several witnesses add up to is in [`crate::witness`].
//!
//! Statements are rows; what has come is counted from the files, so nothing is counted twice. The
//! state of a lumi follows from the two and from nothing else, so it does not depend on the order
//! in which anything came.

use crate::ids::{LumiNumber, RunNumber};
use crate::time::Moment;
use crate::witness::{Counted, Merged};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What one witness says a lumi holds, for each stream it speaks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expected {
    /// It has ended; nothing is said of how much it holds.
    #[default]
    Unknown,
    /// So many events were read out; the processed and lost events of each stream's sidecars add up
    /// to it.
    Events(u64),
    /// So many files a stream.
    Files(u64),
    /// What is here is all there is: a marker of a profile without counts, a person, a time-out.
    Declared,
    /// What is missing is lost: a person.
    Lost,
    /// It holds nothing: a person.
    Empty,
    /// Exactly this was here when a person looked and accepted it.
    Accepted {
        /// Files, reports of empty ones included.
        files: u64,
        /// Events accounted for.
        events: u64,
    },
}

/// What has come for one (run, stream, lumi).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Files, reports of empty ones included.
    pub files: u64,
    /// Of them, reports that there is nothing.
    pub reports: u64,
    /// Events accounted for by sidecars: processed and lost in processing.
    pub events_accounted: u64,
}

/// How far a lumi of one stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LumiState {
    /// Something is still to come, or nobody has said what.
    Open,
    /// All that was announced is here, or declared.
    Closed,
    /// More is here than was announced, or the announcements contradict each other: neither hangs
    /// nor passes; an alarm stands until a person has settled it.
    Disputed,
}

impl LumiState {
    /// What a lumi is, given what its witnesses add up to and what has come.
    pub fn of(merged: &Merged, received: Received) -> Self {
        match merged {
            Merged::Unknown | Merged::Partly(_) => Self::Open,
            Merged::Contradiction(_) => Self::Disputed,
            Merged::Here(_) => Self::Closed,
            Merged::Empty if received.files == received.reports => Self::Closed,
            Merged::Empty => Self::Disputed,
            Merged::Counted(counted) => match compare(*counted, received) {
                Ordering::Less => Self::Open,
                Ordering::Equal => Self::Closed,
                Ordering::Greater => Self::Disputed,
            },
            Merged::Lost(counted) => match compare(*counted, received) {
                Ordering::Less | Ordering::Equal => Self::Closed,
                Ordering::Greater => Self::Disputed,
            },
            Merged::Accepted { files, events } => {
                if received.files > *files || received.events_accounted > *events {
                    Self::Disputed
                } else {
                    Self::Closed
                }
            }
        }
    }

    /// A short word for screens.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Disputed => "disputed",
        }
    }
}

/// Compares what is here with counts; more in one unit is more. All files with too few events is
/// more as well: nothing else can come, so waiting would be for ever.
fn compare(counted: Counted, received: Received) -> Ordering {
    let files = counted.files.map(|files| received.files.cmp(&files));
    let events = counted
        .events
        .map(|events| received.events_accounted.cmp(&events));
    match (files, events) {
        (Some(Ordering::Greater), _) | (_, Some(Ordering::Greater)) => Ordering::Greater,
        (Some(Ordering::Equal), Some(Ordering::Less)) => Ordering::Greater,
        (Some(Ordering::Less), _) | (_, Some(Ordering::Less)) => Ordering::Less,
        (None | Some(Ordering::Equal), None | Some(Ordering::Equal)) => Ordering::Equal,
    }
}

/// Parts of a lumi that was cut into several jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SplitLumi {
    /// Files it has.
    pub files: u64,
    /// Of them, those whose jobs are done.
    pub complete: u64,
    /// Of them, those given up: failed for good, and a person or a policy has said so.
    pub given_up: u64,
}

impl SplitLumi {
    /// Whether its outputs may be merged: every file has come to its end. One that failed keeps the
    /// others back only until it is given up, not for ever.
    pub fn may_merge(self) -> bool {
        self.complete + self.given_up >= self.files
    }
}

/// What was announced for a lumi, as the first version kept it: read from older stores, never
/// written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LumiRecord {
    /// The run.
    pub run: RunNumber,
    /// The lumi.
    pub lumi: LumiNumber,
    /// What its end-of-lumi record says.
    pub expected: Expected,
    /// When the record came.
    pub ended_at: Moment,
}

/// Closed ranges in any order as closed ranges in order, merged where they touch.
pub fn union(
    ranges: impl IntoIterator<Item = (LumiNumber, LumiNumber)>,
) -> Vec<(LumiNumber, LumiNumber)> {
    let mut merged: Vec<(LumiNumber, LumiNumber)> = ranges.into_iter().collect();
    merged.sort_unstable();
    merged.dedup_by(|(first, last), (_, end)| {
        let joins = first.0 <= end.0.saturating_add(1);
        if joins {
            *end = (*end).max(*last);
        }
        joins
    });
    merged
}

/// What is in the first list of ranges and not in the second; both as [`union`] gives them.
pub fn difference(
    of: &[(LumiNumber, LumiNumber)],
    without: &[(LumiNumber, LumiNumber)],
) -> Vec<(LumiNumber, LumiNumber)> {
    let mut left = Vec::new();
    for (first, last) in of {
        // The first lumi of this range that is not dealt with; none behind the last there can be.
        let mut from = Some(first.0);
        let met = without.iter().skip_while(|range| range.1 < *first);
        for (start, end) in met.take_while(|range| range.0 <= *last) {
            if let Some(from) = from.filter(|from| start.0 > *from) {
                left.push((LumiNumber(from), LumiNumber(start.0 - 1)));
            }
            from = end.0.checked_add(1);
        }
        if let Some(from) = from.filter(|from| *from <= last.0) {
            left.push((LumiNumber(from), *last));
        }
    }
    left
}

/// How many lumis are in ranges that do not overlap.
pub fn count(ranges: &[(LumiNumber, LumiNumber)]) -> u64 {
    let lumis = |range: &(LumiNumber, LumiNumber)| u64::from(range.1.0 - range.0.0) + 1;
    ranges.iter().map(lumis).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::Source;

    type Ranges = Vec<(LumiNumber, LumiNumber)>;

    fn ranges(numbers: &[(u32, u32)]) -> Ranges {
        let lumis = |(a, b): &(u32, u32)| (LumiNumber(*a), LumiNumber(*b));
        numbers.iter().map(lumis).collect()
    }

    #[test]
    fn ranges_merge_where_they_touch() {
        let check = |of: &[(u32, u32)], expect: &[(u32, u32)]| {
            assert_eq!(union(ranges(of)), ranges(expect));
        };
        check(&[], &[]);
        check(&[(3, 3), (1, 1), (2, 2)], &[(1, 3)]);
        check(&[(1, 4), (2, 3), (6, 6)], &[(1, 4), (6, 6)]);
    }

    #[test]
    fn a_difference_is_what_is_left() {
        let check = |of: &[(u32, u32)], without: &[(u32, u32)], expect: &[(u32, u32)]| {
            let left = difference(&ranges(of), &ranges(without));
            assert_eq!(left, ranges(expect), "{of:?} - {without:?}");
            assert_eq!(
                count(&left),
                expect.iter().map(|(a, b)| u64::from(b - a) + 1).sum()
            );
        };
        check(&[(1, 9)], &[], &[(1, 9)]);
        check(&[(1, 9)], &[(1, 9)], &[]);
        check(&[(1, 9)], &[(0, 2), (5, 5), (8, 20)], &[(3, 4), (6, 7)]);
        check(&[(1, 3), (7, 9)], &[(2, 8)], &[(1, 1), (9, 9)]);
        check(&[(1, 1)], &[(2, 3)], &[(1, 1)]);
        check(&[(4, u32::MAX)], &[(5, u32::MAX)], &[(4, 4)]);
    }

    #[test]
    fn a_lumi_is_what_was_said_and_what_has_come() {
        use LumiState::{Closed, Disputed, Open};
        let received = Received {
            files: 2,
            reports: 0,
            events_accounted: 300,
        };
        let check = |merged: Merged, expect: LumiState| {
            assert_eq!(LumiState::of(&merged, received), expect, "{merged:?}");
        };
        let counted = |files, events| Merged::Counted(Counted { files, events });
        let lost = |files, events| Merged::Lost(Counted { files, events });
        check(Merged::Unknown, Open);
        check(Merged::Partly(vec![1]), Open);
        check(counted(None, Some(301)), Open);
        check(counted(None, Some(300)), Closed);
        check(counted(None, Some(299)), Disputed);
        check(counted(Some(3), None), Open);
        check(counted(Some(2), None), Closed);
        check(counted(Some(1), None), Disputed);
        check(counted(Some(3), Some(300)), Open);
        check(counted(Some(2), Some(300)), Closed);
        check(counted(Some(2), Some(301)), Disputed);
        check(counted(Some(3), Some(299)), Disputed);
        check(Merged::Here(Source::Timeout), Closed);
        check(lost(None, None), Closed);
        check(lost(Some(3), None), Closed);
        check(lost(Some(1), None), Disputed);
        check(Merged::Empty, Disputed);
        let accepted = |files, events| Merged::Accepted { files, events };
        check(accepted(2, 300), Closed);
        check(accepted(1, 300), Disputed);
        check(Merged::Contradiction("they differ".into()), Disputed);
        let report = Received {
            files: 1,
            reports: 1,
            events_accounted: 0,
        };
        assert_eq!(LumiState::of(&Merged::Empty, report), Closed);
    }

    #[test]
    fn a_failed_file_holds_a_split_lumi_until_it_is_given_up() {
        let check = |files, complete, given_up, expect| {
            let lumi = SplitLumi {
                files,
                complete,
                given_up,
            };
            assert_eq!(lumi.may_merge(), expect, "{lumi:?}");
        };
        check(4, 4, 0, true);
        check(4, 3, 0, false);
        check(4, 3, 1, true);
    }
}
