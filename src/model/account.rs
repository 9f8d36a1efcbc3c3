//! What a program found of the units inside its input: time slices, frames, spills, pulses. The
//! system sees files; only a program that reads them knows which units a detector has left out.
//!
//! An account is believed when its numbers agree with each other, and kept with the job that gave
//! it, so that a run with holes can be closed and yet says for ever what it lacks.

use serde::{Deserialize, Serialize};

/// Units of one kind within the input of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitAccount {
    /// What is counted, in the detector's words and in the plural: `time slices`.
    pub units: String,
    /// Units that should be there.
    pub expected: u64,
    /// Units that are, each counted once.
    pub present: u64,
    /// Units that are not.
    pub absent: u64,
    /// Units that are there and lack a part.
    #[serde(default)]
    pub partial: u64,
    /// Further copies of units that are there.
    #[serde(default)]
    pub repeated: u64,
    /// Units that came after one of a higher number.
    #[serde(default)]
    pub out_of_order: u64,
    /// The numbers of those that are absent, as closed ranges in order.
    #[serde(default)]
    pub absent_ranges: Vec<(u64, u64)>,
    /// The numbers of those that lack a part, as closed ranges in order.
    #[serde(default)]
    pub partial_ranges: Vec<(u64, u64)>,
    /// What else has to be known to read the numbers rightly.
    #[serde(default)]
    pub note: String,
}

impl UnitAccount {
    /// Kinds of units a job may account for.
    pub const KINDS_MAX: usize = 8;
    /// Ranges a list may have: an account is for people and for asking again, the whole list of a
    /// detector in pieces belongs into an output.
    pub const RANGES_MAX: usize = 256;

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.absent == 0 && self.partial == 0
    }

    /// What contradicts itself, as the end of a sentence.
    pub fn check(&self) -> Result<(), String> {
        let units = &self.units;
        if units.is_empty() || units.chars().count() > 64 {
            return Err("the units need a name of at most 64 characters".into());
        }
        if self.present.checked_add(self.absent) != Some(self.expected) {
            return Err(format!(
                "{} present and {} absent {units} are not the {} expected",
                self.present, self.absent, self.expected
            ));
        }
        if self.partial > self.present {
            let (partial, present) = (self.partial, self.present);
            return Err(format!("{partial} of {present} {units} are partial"));
        }
        for (ranges, count, what) in [
            (&self.absent_ranges, self.absent, "absent"),
            (&self.partial_ranges, self.partial, "partial"),
        ] {
            if ranges.len() > Self::RANGES_MAX {
                return Err(format!(
                    "{} ranges of {what} {units} are more than {}; leave out the last ones, the \
                     count says that they are not all",
                    ranges.len(),
                    Self::RANGES_MAX
                ));
            }
            let in_order = ranges.iter().all(|(first, last)| first <= last)
                && ranges.windows(2).all(|pair| pair[0].1 < pair[1].0);
            if !in_order {
                return Err(format!("the ranges of {what} {units} are not in order"));
            }
            let listed = Self::listed(ranges);
            if listed > count {
                return Err(format!(
                    "{listed} {what} {units} are listed, {count} counted"
                ));
            }
        }
        Ok(())
    }

    fn listed(ranges: &[(u64, u64)]) -> u64 {
        let width = |(first, last): &(u64, u64)| (last - first).saturating_add(1);
        ranges.iter().map(width).fold(0, u64::saturating_add)
    }

    /// One sentence for people: `63 of 1063 time slices are absent (31-39, 41-49), 10 are partial`.
    pub fn sentence(&self) -> String {
        let mut said = Vec::new();
        let which = |ranges: &[(u64, u64)], count: u64| {
            let shown: Vec<String> = ranges.iter().take(Self::SHOWN).map(range).collect();
            match shown.len() {
                0 => String::new(),
                n if n == ranges.len() && Self::listed(ranges) == count => {
                    format!(" ({})", shown.join(", "))
                }
                _ => format!(" ({}, ...)", shown.join(", ")),
            }
        };
        if self.absent > 0 {
            let ranges = which(&self.absent_ranges, self.absent);
            said.push(format!("{} absent{ranges}", self.absent));
        }
        if self.partial > 0 {
            let ranges = which(&self.partial_ranges, self.partial);
            said.push(format!("{} partial{ranges}", self.partial));
        }
        if self.repeated > 0 {
            said.push(format!("{} repeated", self.repeated));
        }
        if self.out_of_order > 0 {
            said.push(format!("{} out of order", self.out_of_order));
        }
        if said.is_empty() {
            said.push("complete".into());
        }
        format!(
            "{} of {} {}: {}",
            self.present,
            self.expected,
            self.units,
            said.join(", ")
        )
    }

    /// Ranges that a sentence names.
    const SHOWN: usize = 4;
}

fn range((first, last): &(u64, u64)) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> UnitAccount {
        UnitAccount {
            units: "time slices".into(),
            expected: 12,
            present: 9,
            absent: 3,
            partial: 2,
            repeated: 0,
            out_of_order: 4,
            absent_ranges: vec![(3, 4), (9, 9)],
            partial_ranges: vec![(1, 2)],
            note: String::new(),
        }
    }

    #[test]
    fn an_account_that_contradicts_itself_is_refused() {
        assert_eq!(account().check(), Ok(()));
        let check = |change: fn(&mut UnitAccount), part: &str| {
            let mut changed = account();
            change(&mut changed);
            let why = changed.check().expect_err(part);
            assert!(why.contains(part), "{why}");
        };
        check(|a| a.units = String::new(), "need a name");
        check(|a| a.absent = 4, "are not the 12 expected");
        check(|a| a.present = u64::MAX, "are not the 12 expected");
        check(|a| a.partial = 10, "10 of 9");
        check(|a| a.absent_ranges = vec![(9, 9), (3, 4)], "not in order");
        check(|a| a.absent_ranges = vec![(4, 3)], "not in order");
        check(
            |a| a.absent_ranges = vec![(3, 6)],
            "4 absent time slices are listed, 3 counted",
        );
        check(
            |a| a.partial_ranges = vec![(0, u64::MAX)],
            "are listed, 2 counted",
        );
        let many = |a: &mut UnitAccount| {
            a.absent_ranges = (0..300).map(|n| (2 * n, 2 * n)).collect();
        };
        check(many, "more than 256");
    }

    #[test]
    fn the_sentence_says_what_is_missing_and_which() {
        let check = |change: fn(&mut UnitAccount), expect: &str| {
            let mut changed = account();
            change(&mut changed);
            assert_eq!(changed.sentence(), expect);
        };
        check(
            |_| {},
            "9 of 12 time slices: 3 absent (3-4, 9), 2 partial (1-2), 4 out of order",
        );
        // A list that was cut short does not pretend to be whole.
        check(
            |a| a.absent_ranges = vec![(3, 4)],
            "9 of 12 time slices: 3 absent (3-4, ...), 2 partial (1-2), 4 out of order",
        );
        let whole = |a: &mut UnitAccount| {
            *a = UnitAccount {
                expected: 9,
                absent: 0,
                partial: 0,
                out_of_order: 0,
                absent_ranges: Vec::new(),
                partial_ranges: Vec::new(),
                ..account()
            };
        };
        check(whole, "9 of 9 time slices: complete");
    }
}
