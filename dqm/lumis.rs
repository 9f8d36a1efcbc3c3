//! Lists of lumis, in the form of certification files: `{"run": [[first, last], ...]}`.
//!
//! In come texts, single lumis or other lists; out come lists whose ranges are closed, ascending,
//! apart from each other and not empty. Integers only. It does not know what a list means.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Ranges (first, last) of one run.
type Ranges = Vec<(u32, u32)>;

/// A set of (run, lumi).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<u32, Ranges>", into = "BTreeMap<u32, Ranges>")]
pub struct LumiList(BTreeMap<u32, Ranges>);

/// A text that is not a list of lumis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LumiListError {
    /// Not JSON of the form.
    #[error(
        "reading a lumi list: {message}; the form is {{\"run\": [[first, last], ...]}} with whole \
         numbers"
    )]
    Text {
        /// What the parser says.
        message: String,
    },
    /// A range that ends before it begins, or a lumi 0.
    #[error(
        "reading a lumi list: range [{first}, {last}] of run {run} is empty; lumis count from 1"
    )]
    Range {
        /// Run of the range.
        run: u32,
        /// Its first lumi.
        first: u32,
        /// Its last lumi.
        last: u32,
    },
}

impl LumiList {
    /// The list of these lumis, in any order, however often.
    pub fn from_lumis(lumis: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut runs: BTreeMap<u32, Ranges> = BTreeMap::new();
        for (run, lumi) in lumis {
            runs.entry(run).or_default().push((lumi, lumi));
        }
        Self(runs).tidied()
    }

    /// The list of a certification file. Ranges may come unsorted and overlapping.
    pub fn parse(text: &str) -> Result<Self, LumiListError> {
        let runs: BTreeMap<u32, Ranges> =
            serde_json::from_str(text).map_err(|error| LumiListError::Text {
                message: error.to_string(),
            })?;
        Self::try_from(runs)
    }

    /// Sorted, joined where ranges touch or overlap, without empty runs.
    fn tidied(mut self) -> Self {
        for ranges in self.0.values_mut() {
            ranges.sort_unstable();
            let mut joined: Ranges = Vec::with_capacity(ranges.len());
            for (first, last) in ranges.drain(..) {
                match joined.last_mut() {
                    Some(before) if first <= before.1.saturating_add(1) => {
                        before.1 = before.1.max(last);
                    }
                    _ => joined.push((first, last)),
                }
            }
            *ranges = joined;
        }
        self.0.retain(|_, ranges| !ranges.is_empty());
        self
    }

    /// Lumis of either list.
    pub fn union(&self, other: &Self) -> Self {
        let mut runs = self.0.clone();
        for (run, ranges) in &other.0 {
            runs.entry(*run).or_default().extend(ranges);
        }
        Self(runs).tidied()
    }

    /// Lumis of both lists.
    pub fn intersection(&self, other: &Self) -> Self {
        let of_run = |(run, ours): (&u32, &Ranges)| {
            let theirs = other.0.get(run)?;
            let mut common = Vec::new();
            let (mut i, mut j) = (0, 0);
            while let (Some(a), Some(b)) = (ours.get(i), theirs.get(j)) {
                let (first, last) = (a.0.max(b.0), a.1.min(b.1));
                if first <= last {
                    common.push((first, last));
                }
                // The range that ends first cannot meet another one.
                if a.1 < b.1 { i += 1 } else { j += 1 }
            }
            (!common.is_empty()).then_some((*run, common))
        };
        Self(self.0.iter().filter_map(of_run).collect())
    }

    /// Lumis of this list that are not in the other.
    pub fn difference(&self, other: &Self) -> Self {
        let of_run = |(run, ours): (&u32, &Ranges)| {
            let without = other.0.get(run).map_or(&[][..], Vec::as_slice);
            let left: Ranges = ours.iter().flat_map(|range| cut(*range, without)).collect();
            (!left.is_empty()).then_some((*run, left))
        };
        Self(self.0.iter().filter_map(of_run).collect())
    }

    /// Whether a lumi is in the list.
    pub fn contains(&self, run: u32, lumi: u32) -> bool {
        let Some(ranges) = self.0.get(&run) else {
            return false;
        };
        let after = ranges.partition_point(|(first, _)| *first <= lumi);
        after > 0 && ranges[after - 1].1 >= lumi
    }

    /// Lumis in the list.
    pub fn count(&self) -> u64 {
        let length = |(first, last): &(u32, u32)| u64::from(last - first) + 1;
        self.0.values().flatten().map(length).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs with their ranges, ascending.
    pub fn runs(&self) -> impl Iterator<Item = (u32, &[(u32, u32)])> {
        self.0.iter().map(|(run, ranges)| (*run, ranges.as_slice()))
    }
}

/// What is left of a range after the ascending ranges `without` are taken away.
fn cut((first, last): (u32, u32), without: &[(u32, u32)]) -> Ranges {
    let mut left = Vec::new();
    let mut next = first;
    for (from, to) in without {
        if *to < next {
            continue;
        }
        if *from > last {
            break;
        }
        if *from > next {
            left.push((next, from - 1));
        }
        match to.checked_add(1) {
            Some(after) if after <= last => next = after,
            _ => return left,
        }
    }
    left.push((next, last));
    left
}

impl TryFrom<BTreeMap<u32, Ranges>> for LumiList {
    type Error = LumiListError;

    fn try_from(runs: BTreeMap<u32, Ranges>) -> Result<Self, LumiListError> {
        for (run, ranges) in &runs {
            for (first, last) in ranges {
                if first > last || *first == 0 {
                    let (run, first, last) = (*run, *first, *last);
                    return Err(LumiListError::Range { run, first, last });
                }
            }
        }
        Ok(Self(runs).tidied())
    }
}

impl From<LumiList> for BTreeMap<u32, Ranges> {
    fn from(list: LumiList) -> Self {
        list.0
    }
}

/// Prints the form of certification files, runs ascending: `{"1": [[1, 3], [5, 7]]}`.
impl fmt::Display for LumiList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (place, (run, ranges)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let ranges: Vec<String> = ranges
                .iter()
                .map(|(first, last)| format!("[{first}, {last}]"))
                .collect();
            write!(f, "{comma}\"{run}\": [{}]", ranges.join(", "))?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn lists_are_read_tidied_and_printed() {
        for (text, expect) in [
            ("{}", "{}"),
            (r#"{"1": []}"#, "{}"),
            (
                r#"{"10":[[1,2]],"9":[[5,7],[1,3],[4,4],[6,9],[12,12]]}"#,
                r#"{"9": [[1, 9], [12, 12]], "10": [[1, 2]]}"#,
            ),
            (
                r#"{"1":[[4294967295,4294967295],[1,4294967294]]}"#,
                r#"{"1": [[1, 4294967295]]}"#,
            ),
        ] {
            let list = LumiList::parse(text).unwrap();
            assert_eq!(list.to_string(), expect);
            assert_eq!(LumiList::parse(expect).unwrap(), list);
            let json = serde_json::to_string(&list).unwrap();
            assert_eq!(serde_json::from_str::<LumiList>(&json).unwrap(), list);
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "",
            "[]",
            r#"{"a":[[1,2]]}"#,
            r#"{"1":[[1,2,3]]}"#,
            r#"{"1":[[2,1]]}"#,
            r#"{"1":[[0,1]]}"#,
            r#"{"1":[[-1,1]]}"#,
            r#"{"1":[[1.5,2]]}"#,
            r#"{"1":[1,2]}"#,
        ] {
            assert!(LumiList::parse(text).is_err(), "{text}");
        }
    }

    /// Sets of single lumis are the oracle.
    #[test]
    fn the_algebra_is_that_of_sets() {
        let mut state = 42_u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for _ in 0..300 {
            let mut set = || -> BTreeSet<(u32, u32)> {
                let lumis = random(40);
                (0..lumis)
                    .map(|_| (random(3) as u32, 1 + random(30) as u32))
                    .collect()
            };
            let (a, b) = (set(), set());
            let list = |of: &BTreeSet<(u32, u32)>| LumiList::from_lumis(of.iter().copied());
            let (x, y) = (list(&a), list(&b));
            assert_eq!(x.union(&y), list(&(&a | &b)));
            assert_eq!(x.intersection(&y), list(&(&a & &b)));
            assert_eq!(x.difference(&y), list(&(&a - &b)));
            assert_eq!(x.count(), a.len() as u64);
            assert_eq!(x.is_empty(), a.is_empty());
            for run in 0..3 {
                for lumi in 0..33 {
                    assert_eq!(x.contains(run, lumi), a.contains(&(run, lumi)));
                }
            }
        }
    }
}
