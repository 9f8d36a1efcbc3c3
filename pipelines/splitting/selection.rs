//! Which lumis of an input a task wants: lists of runs, and a mask of lumis by run.
//!
//! In comes an input, out come its lumis as closed ranges by run, and those of them that are
//! wanted. An empty list or mask wants everything.

use super::{Item, Window};
use model::ids::{LumiNumber, RunNumber};
use std::collections::{BTreeMap, BTreeSet};

/// Closed ranges of lumis by run, in order.
pub type Lumis = Vec<(RunNumber, LumiNumber, LumiNumber)>;

/// The runs and lumis a task wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these runs; empty for all.
    pub runs: BTreeSet<RunNumber>,
    /// Not these runs.
    pub not_runs: BTreeSet<RunNumber>,
    /// Only these lumis, as closed ranges in order; empty for all.
    pub lumis: BTreeMap<RunNumber, Vec<(LumiNumber, LumiNumber)>>,
}

impl Selection {
    /// Whether it wants everything.
    pub fn is_everything(&self) -> bool {
        self.runs.is_empty() && self.not_runs.is_empty() && self.lumis.is_empty()
    }

    fn wants_run(&self, run: RunNumber) -> bool {
        (self.runs.is_empty() || self.runs.contains(&run))
            && !self.not_runs.contains(&run)
            && (self.lumis.is_empty() || self.lumis.contains_key(&run))
    }

    /// What is wanted of these lumis.
    pub(super) fn of(&self, lumis: &Lumis) -> Lumis {
        let mut wanted = Lumis::new();
        for (run, first, last) in lumis.iter().filter(|(run, ..)| self.wants_run(*run)) {
            let Some(mask) = self.lumis.get(run) else {
                wanted.push((*run, *first, *last));
                continue;
            };
            for (from, to) in mask {
                if from <= last && first <= to {
                    wanted.push((*run, *first.max(from), *last.min(to)));
                }
            }
        }
        wanted
    }
}

/// All lumis of an input.
pub(super) fn lumis_of(item: &Item, window: &Window<'_>) -> Lumis {
    if item.content.is_empty() {
        vec![(window.run, item.lumi, item.last_lumi.max(item.lumi))]
    } else {
        merged(item.content.clone())
    }
}

/// Ranges put in order and joined where they touch.
pub(super) fn merged(mut lumis: Lumis) -> Lumis {
    lumis.sort_unstable();
    let mut joined = Lumis::new();
    for (run, first, last) in lumis {
        match joined.last_mut() {
            Some((of, _, end)) if *of == run && first.0 <= end.0.saturating_add(1) => {
                *end = (*end).max(last);
            }
            _ => joined.push((run, first, last)),
        }
    }
    joined
}

/// Whether two lists of ranges in order share a lumi.
pub(super) fn overlap(one: &Lumis, other: &Lumis) -> bool {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    while let (Some((run_a, first_a, last_a)), Some((run_b, first_b, last_b))) =
        (one.peek(), other.peek())
    {
        if (run_a, first_a) <= (run_b, last_b) && (run_b, first_b) <= (run_a, last_a) {
            return true;
        }
        if (run_a, last_a) < (run_b, last_b) {
            one.next();
        } else {
            other.next();
        }
    }
    false
}

/// How many lumis these are.
pub(super) fn count(lumis: &Lumis) -> u64 {
    lumis
        .iter()
        .map(|(_, first, last)| u64::from(last.0.saturating_sub(first.0)) + 1)
        .sum()
}

/// Events a lumi of an input has on average, in whole events; a half goes to the even number, as it
/// does in the tools whose jobs these are compared with.
pub(super) fn events_a_lumi(events: u64, lumis: u64) -> u64 {
    let (whole, rest) = (events / lumis.max(1), events % lumis.max(1));
    let up = match (rest * 2).cmp(&lumis) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => whole % 2,
        std::cmp::Ordering::Greater => 1,
    };
    whole + up
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(text: &str) -> Lumis {
        let number = |t: &str| t.parse::<u32>().expect("a number");
        let read = |part: &str| {
            let (run, lumis) = part.split_once(':').expect("run:first-last");
            let (first, last) = lumis.split_once('-').expect("first-last");
            let lumi = |t| LumiNumber(number(t));
            (RunNumber(number(run)), lumi(first), lumi(last))
        };
        text.split_whitespace().map(read).collect()
    }

    #[test]
    fn a_mask_breaks_ranges_and_lists_choose_runs() {
        let mask = Selection {
            lumis: BTreeMap::from([(
                RunNumber(1),
                vec![
                    (LumiNumber(1), LumiNumber(2)),
                    (LumiNumber(5), LumiNumber(9)),
                ],
            )]),
            ..Selection::default()
        };
        assert_eq!(mask.of(&ranges("1:1-10 2:1-3")), ranges("1:1-2 1:5-9"));
        let lists = Selection {
            runs: BTreeSet::from([RunNumber(1), RunNumber(2)]),
            not_runs: BTreeSet::from([RunNumber(2)]),
            ..Selection::default()
        };
        assert_eq!(lists.of(&ranges("1:1-1 2:1-1 3:1-1")), ranges("1:1-1"));
        assert!(Selection::default().is_everything());
        assert_eq!(merged(ranges("2:4-4 1:3-3 1:1-2")), ranges("1:1-3 2:4-4"));
        assert!(overlap(
            &ranges("1:1-2 1:8-9 2:4-4"),
            &ranges("1:3-7 2:1-4")
        ));
        assert!(!overlap(
            &ranges("1:1-2 1:8-9 2:4-4"),
            &ranges("1:3-7 2:1-3")
        ));
    }

    #[test]
    fn averages_are_whole_and_halves_go_to_the_even_number() {
        let check = |events, lumis, expect| assert_eq!(events_a_lumi(events, lumis), expect);
        check(100, 3, 33);
        check(151, 3, 50);
        check(5, 2, 2);
        check(7, 2, 4);
        check(200, 3, 67);
        check(0, 7, 0);
    }
}
