//! What differs between two tags, or two global tags, over a range.
//!
//! In come two names and where to look; out come stretches with the payload of either side. Where
//! both have the same payload nothing is said, however differently their intervals are cut.

use super::register::{Kept, Point, Register};
use super::{Index, Refusal};
use model::conditions::{GlobalTag, Since};
use model::names::TagName;
use std::collections::BTreeSet;

/// A stretch on which two tags differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it begins.
    pub from: Since,
    /// Where it has ended; none at the end of the range.
    pub until: Option<Since>,
    /// The payload on one side; none before its first since.
    pub left: Option<String>,
    /// The payload on the other.
    pub right: Option<String>,
}

/// What differs for one record of two global tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordDifference {
    /// The record.
    pub record: String,
    /// Its label.
    pub label: String,
    /// The tag on one side; none when it has no such record.
    pub left: Option<TagName>,
    /// The tag on the other.
    pub right: Option<TagName>,
    /// The stretches; empty when only one side has the record.
    pub differences: Vec<Difference>,
}

/// From a point up to and with another.
pub type Range = (Point, Point);

impl Register {
    /// Where two tags differ, both as of their moment (microseconds UTC).
    pub fn difference(
        &self,
        (left, left_us): (&TagName, i64),
        (right, right_us): (&TagName, i64),
        range: Range,
    ) -> Result<Vec<Difference>, Refusal> {
        let (left, right) = (self.tag(left)?, self.tag(right)?);
        if left.tag.time_type != right.tag.time_type {
            return Err(Refusal::OtherCount {
                left: left.tag.name.clone(),
                left_by: left.tag.time_type,
                right: right.tag.name.clone(),
                right_by: right.tag.time_type,
            });
        }
        let by = left.tag.time_type;
        let (from, to) = (range.0.since(by), range.1.since(by));
        Ok(stretches((left, left_us), (right, right_us), (from, to)))
    }

    /// Where two global tags differ, each as of its own snapshot.
    pub fn global_difference(
        &self,
        left: &str,
        right: &str,
        range: Range,
    ) -> Result<Vec<RecordDifference>, Refusal> {
        let (left, right) = (self.global_tag(left)?, self.global_tag(right)?);
        let records = left.tags.iter().chain(&right.tags);
        let records: BTreeSet<_> = records.map(|one| (&one.record, &one.label)).collect();
        let mut found = Vec::new();
        for key in records {
            let of = |global: &GlobalTag| global.tag_of(key.0, key.1).cloned();
            let (one, other) = (of(left), of(right));
            let moment = |global: &GlobalTag| global.snapshot_at.as_micros();
            let differences = match (&one, &other) {
                (Some(one), Some(other)) => {
                    self.difference((one, moment(left)), (other, moment(right)), range)?
                }
                _ => Vec::new(),
            };
            if one.is_none() || other.is_none() || !differences.is_empty() {
                found.push(RecordDifference {
                    record: key.0.clone(),
                    label: key.1.clone(),
                    left: one,
                    right: other,
                    differences,
                });
            }
        }
        Ok(found)
    }
}

fn stretches(
    (left, left_us): (&Kept, i64),
    (right, right_us): (&Kept, i64),
    (from, to): (Since, Since),
) -> Vec<Difference> {
    let mut cuts = BTreeSet::from([from]);
    for kept in [left, right] {
        cuts.extend(kept.index.sinces_within(from, to));
        let end = kept
            .tag
            .end_of_validity
            .map(|end| Since(end.0.saturating_add(1)));
        cuts.extend(end.filter(|end| (from..=to).contains(end)));
    }
    let mut found: Vec<Difference> = Vec::new();
    // Whether the last stretch found reaches the cut that is looked at.
    let mut reaches = false;
    for cut in cuts.into_iter().filter(|cut| *cut <= to) {
        let left = payload(left, &left.index, cut, left_us);
        let right = payload(right, &right.index, cut, right_us);
        let last = found.last_mut().filter(|_| reaches);
        match last {
            Some(last) if last.left == left && last.right == right => continue,
            Some(last) => last.until = Some(cut),
            None => {}
        }
        reaches = left != right;
        if reaches {
            found.push(Difference {
                from: cut,
                until: None,
                left,
                right,
            });
        }
    }
    found
}

fn payload(kept: &Kept, index: &Index<String>, at: Since, snapshot_us: i64) -> Option<String> {
    let is_over = kept.tag.end_of_validity.is_some_and(|end| at > end);
    let found = index.as_of(at, snapshot_us).filter(|_| !is_over);
    found.map(|(_, row)| row.payload.clone())
}
