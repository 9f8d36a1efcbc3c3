//! The frontier of a run's stream: every lumi at or before it is accounted for.

use crate::ids::LumiNumber;
use std::collections::BTreeSet;

/// Closed lumis of one stream, kept as "all up to here" and the few that closed ahead of their
/// turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    reached: u32,
    ahead: BTreeSet<u32>,
}

impl Frontier {
    /// Nothing is closed.
    pub const fn new() -> Self {
        Self {
            reached: 0,
            ahead: BTreeSet::new(),
        }
    }

    /// A lumi was closed; in any order, any number of times.
    pub fn close(&mut self, lumi: LumiNumber) {
        if lumi.0 > self.reached {
            self.ahead.insert(lumi.0);
        }
        while self.ahead.remove(&(self.reached + 1)) {
            self.reached += 1;
        }
    }

    /// A lumi that was closed is open again (a surplus file disputes it).
    pub fn reopen(&mut self, lumi: LumiNumber) {
        if lumi.0 > self.reached {
            self.ahead.remove(&lumi.0);
        } else {
            self.ahead.extend(lumi.0 + 1..=self.reached);
            self.reached = lumi.0.saturating_sub(1);
        }
    }

    /// The last lumi with nothing missing at or before it; 0 for none.
    pub fn reached(&self) -> u32 {
        self.reached
    }

    /// Lumis that were open before and are closed now, or the other way round.
    pub fn moved_since(&self, earlier: &Self) -> BTreeSet<LumiNumber> {
        let (less, more) = (
            self.reached.min(earlier.reached),
            self.reached.max(earlier.reached),
        );
        let between = less + 1..=more;
        let ahead = self.ahead.symmetric_difference(&earlier.ahead).copied();
        let suspects = between.chain(ahead).map(LumiNumber);
        suspects
            .filter(|lumi| self.is_closed(*lumi) != earlier.is_closed(*lumi))
            .collect()
    }

    /// The last lumi that is closed, whatever is missing before it.
    pub fn last(&self) -> Option<LumiNumber> {
        let reached = (self.reached > 0).then_some(self.reached);
        self.ahead.last().copied().or(reached).map(LumiNumber)
    }

    /// Whether this lumi is closed.
    pub fn is_closed(&self, lumi: LumiNumber) -> bool {
        lumi.0 <= self.reached || self.ahead.contains(&lumi.0)
    }

    /// The first lumi that holds everything behind it back, if something behind it is closed
    /// already.
    pub fn hole(&self) -> Option<LumiNumber> {
        (!self.ahead.is_empty()).then_some(LumiNumber(self.reached + 1))
    }
}

/// Why a stream of a run is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Nobody knows yet with which lumi the run ends.
    EndUnknown,
    /// Nothing was ever heard of the stream.
    Silent,
    /// The first lumi that is not accounted for.
    Lumi(LumiNumber),
    /// Something is known of a lumi after the last one.
    Beyond(LumiNumber),
    /// So many files are here that no task was given yet.
    Unfed(u64),
}

/// What a stream's completeness is judged by.
#[derive(Clone, Copy, Debug)]
pub struct StreamStanding<'a> {
    /// Its closed lumis.
    pub frontier: &'a Frontier,
    /// The last lumi of which anything is known; none for a stream nothing was heard of.
    pub heard: Option<LumiNumber>,
    /// The last lumi of the run, once that is known.
    pub last_lumi: Option<u32>,
    /// Files that are here and were not handed to their tasks.
    pub unfed: u64,
}

impl StreamStanding<'_> {
    /// What keeps the stream from being complete; none when every lumi of the run is accounted for.
    pub fn gap(&self) -> Option<Gap> {
        let Some(last) = self.last_lumi else {
            return Some(Gap::EndUnknown);
        };
        let Some(heard) = self.heard else {
            return Some(Gap::Silent);
        };
        if self.frontier.reached() < last {
            return Some(Gap::Lumi(LumiNumber(self.frontier.reached() + 1)));
        }
        if heard.0 > last {
            return Some(Gap::Beyond(heard));
        }
        (self.unfed > 0).then_some(Gap::Unfed(self.unfed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lumis_close_in_any_order() {
        let mut frontier = Frontier::default();
        let mut check = |close: u32, reached: u32, hole: Option<u32>| {
            frontier.close(LumiNumber(close));
            assert_eq!(
                (frontier.reached(), frontier.hole().map(|l| l.0)),
                (reached, hole)
            );
        };
        check(2, 0, Some(1));
        check(1, 2, None);
        check(4, 2, Some(3));
        check(4, 2, Some(3));
        check(3, 4, None);
        let before = frontier.clone();
        frontier.reopen(LumiNumber(2));
        assert_eq!(
            frontier.moved_since(&before),
            BTreeSet::from([LumiNumber(2)])
        );
        assert_eq!(
            frontier.moved_since(&Frontier::new()),
            BTreeSet::from([1, 3, 4].map(LumiNumber))
        );
        assert_eq!(frontier.last(), Some(LumiNumber(4)));
        assert_eq!(
            (frontier.reached(), frontier.hole()),
            (1, Some(LumiNumber(2)))
        );
        assert!(frontier.is_closed(LumiNumber(4)) && !frontier.is_closed(LumiNumber(2)));
    }
}
