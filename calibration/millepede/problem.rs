//! Which parameters a fit has, which of them are free, and what conditions bind them.
//!
//! In come the steering and how often each label stands in the records; out comes the numbering
//! that the sums use, with start values and weights. It knows no record.

use super::records::Records;
use super::steering::{Condition, Entry, Steering};
use super::{MillepedeError, steering::Start};
use std::collections::{BTreeMap, BTreeSet};

/// Labels below this are counted and looked up in a table, the others in a map. Detectors number
/// their parameters from small numbers up; a table this long is 8 MiB.
const TABLE_LABELS_MAX: i32 = 1 << 20;
/// No parameter, or none that is free.
pub(crate) const NONE: u32 = u32::MAX;

/// How often labels stand in records. The counts of parts add up to those of the whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entries {
    low: Vec<u64>,
    high: BTreeMap<i32, u64>,
    entry: Entry,
    /// Records counted.
    pub records: u64,
    /// Measurements counted.
    pub measurements: u64,
}

impl Entries {
    /// Nothing counted yet, for a fit that is told this.
    pub fn of(steering: &Steering) -> Self {
        Self {
            entry: steering.entry,
            ..Self::default()
        }
    }

    /// Counts the labels of some records.
    pub fn add(&mut self, records: &Records) {
        self.records += records.len() as u64;
        let mut counted = BTreeSet::new();
        for record in 0..records.len() {
            counted.clear();
            for measurement in records.measurements(record) {
                self.measurements += 1;
                for label in measurement.labels {
                    if self.entry == Entry::Measurement || counted.insert(*label) {
                        self.count(*label, 1);
                    }
                }
            }
        }
    }

    /// Adds the counts of other records.
    pub fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.measurements += other.measurements;
        for (label, count) in other.labels() {
            self.count(label, count);
        }
    }

    fn count(&mut self, label: i32, by: u64) {
        if label < TABLE_LABELS_MAX {
            let place = label as usize;
            if place >= self.low.len() {
                self.low.resize(place + 1, 0);
            }
            self.low[place] += by;
        } else {
            *self.high.entry(label).or_default() += by;
        }
    }

    fn labels(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        let low = self
            .low
            .iter()
            .enumerate()
            .map(|(label, count)| (label as i32, *count));
        low.filter(|(_, count)| *count > 0)
            .chain(self.high.iter().map(|(label, count)| (*label, *count)))
    }
}

/// A condition by places of parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) sigma: f64,
    /// Place among all parameters, and factor.
    pub(crate) terms: Vec<(usize, f64)>,
}

impl Bound {
    /// What is missing to the condition.
    pub(crate) fn rest(&self, values: &[f64]) -> f64 {
        let has: f64 = self
            .terms
            .iter()
            .map(|(place, factor)| factor * values[*place])
            .sum();
        self.value - has
    }
}

/// The parameters of a fit.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(crate) steering: Steering,
    /// All labels, rising; a parameter's place is its place here.
    pub(crate) labels: Vec<i32>,
    /// Entries of each parameter.
    pub(crate) entries: Vec<u64>,
    /// Start of each parameter.
    pub(crate) starts: Vec<Start>,
    /// Number among the free parameters, or [`NONE`].
    pub(crate) free_number: Vec<u32>,
    /// Place of each free parameter.
    pub(crate) free: Vec<usize>,
    /// Weight of each free parameter's presigma.
    pub(crate) weights: Vec<f64>,
    pub(crate) constraints: Vec<Bound>,
    pub(crate) measurements: Vec<Bound>,
    pub(crate) records: u64,
    pub(crate) measured: u64,
    /// Places by label from `labels[0]`, if that is short.
    table: Vec<u32>,
}

impl Problem {
    /// The parameters that `steering` and the records with these `entries` make.
    pub fn new(steering: &Steering, entries: &Entries) -> Result<Self, MillepedeError> {
        if entries.records == 0 {
            return Err(MillepedeError::NoRecords {
                files: steering.data.len(),
            });
        }
        let mut all: BTreeMap<i32, u64> = entries.labels().collect();
        // As in pede, what only the texts name is a parameter without entries, and so fixed: a part
        // of a detector that is dead in these records does not stop the rest from being aligned.
        let conditions = steering.constraints.iter().chain(&steering.measurements);
        let named = conditions.flat_map(|condition| condition.terms.iter().map(|(label, _)| label));
        for label in steering.starts.keys().chain(named) {
            all.entry(*label).or_default();
        }
        let nothing_said = Start {
            value: 0.0,
            presigma: 0.0,
        };
        let start = |label: &i32| steering.starts.get(label).copied().unwrap_or(nothing_said);
        let mut problem = Self {
            steering: steering.clone(),
            labels: all.keys().copied().collect(),
            entries: all.values().copied().collect(),
            starts: all.keys().map(start).collect(),
            free_number: vec![NONE; all.len()],
            free: Vec::new(),
            weights: Vec::new(),
            constraints: Vec::new(),
            measurements: Vec::new(),
            records: entries.records,
            measured: entries.measurements,
            table: Vec::new(),
        };
        problem.make_table();
        problem.set_free()?;
        problem.measurements = problem.bind(&steering.measurements);
        let constraints = problem.bind(&steering.constraints);
        for (place, constraint) in constraints.into_iter().enumerate() {
            if constraint
                .terms
                .iter()
                .any(|(place, factor)| problem.free_number[*place] != NONE && *factor != 0.0)
            {
                problem.constraints.push(constraint);
            } else if !steering.skip_empty_constraints {
                return Err(MillepedeError::EmptyConstraint {
                    constraint: place + 1,
                });
            }
        }
        Ok(problem)
    }

    fn make_table(&mut self) {
        let (Some(first), Some(last)) = (self.labels.first(), self.labels.last()) else {
            return;
        };
        let span = i64::from(*last) - i64::from(*first);
        if span < i64::from(TABLE_LABELS_MAX) {
            self.table = vec![NONE; span as usize + 1];
            for (place, label) in self.labels.iter().enumerate() {
                self.table[(label - first) as usize] = place as u32;
            }
        }
    }

    /// Free are parameters with enough entries that are not fixed by a negative presigma.
    fn set_free(&mut self) -> Result<(), MillepedeError> {
        let steering = &self.steering;
        for (place, start) in self.starts.iter().enumerate() {
            if self.entries[place] < steering.entries_min.max(1) || start.presigma < 0.0 {
                continue;
            }
            let presigma = if start.presigma > 0.0 {
                start.presigma
            } else {
                steering.default_presigma
            };
            let weight = if presigma > 0.0 {
                steering.regularisation / presigma.powi(2)
            } else {
                0.0
            };
            self.free_number[place] = self.free.len() as u32;
            self.free.push(place);
            self.weights.push(weight);
        }
        if self.free.is_empty() {
            let most = self.entries.iter().copied().max().unwrap_or(0);
            let place = self
                .entries
                .iter()
                .position(|entries| *entries == most)
                .unwrap_or(0);
            return Err(MillepedeError::TooFewEntries {
                labels: self.labels.len(),
                needed: steering.entries_min,
                label: self.labels.get(place).copied().unwrap_or(0),
                most,
            });
        }
        Ok(())
    }

    fn bind(&self, conditions: &[Condition]) -> Vec<Bound> {
        let bound = |condition: &Condition| {
            let term = |(label, factor): &(i32, f64)| {
                let place = self
                    .place(*label)
                    .expect("what conditions name was made a parameter");
                let entries = if condition.by_entries {
                    self.entries[place] as f64
                } else {
                    1.0
                };
                (place, factor * entries)
            };
            Bound {
                value: condition.value,
                sigma: condition.sigma,
                terms: condition.terms.iter().map(term).collect(),
            }
        };
        conditions.iter().map(bound).collect()
    }

    /// The place of a label.
    pub(crate) fn place(&self, label: i32) -> Option<usize> {
        if self.table.is_empty() {
            return self.labels.binary_search(&label).ok();
        }
        let at = usize::try_from(i64::from(label) - i64::from(*self.labels.first()?)).ok()?;
        let place = *self.table.get(at)?;
        (place != NONE).then_some(place as usize)
    }
}
