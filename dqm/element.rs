//! Monitor elements of a job, of a lumi or of a run, and how they become one.
//!
//! In come histograms, profiles, counters and texts by path, per lumi or per run; out comes their
//! sum, the same bits in whatever order jobs end. Elements of one path that are not of one kind, or
//! not booked alike, are refused.

use crate::histogram::{Histogram, HistogramError};
use crate::histogram2d::Histogram2d;
use crate::profile::Profile;
use std::collections::BTreeMap;

/// A text that differs between more pieces than this is no text of a run.
pub const MAX_TEXTS: usize = 100;

/// What is monitored.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// One coordinate.
    Histogram(Histogram),
    /// Two coordinates.
    Histogram2d(Histogram2d),
    /// A mean in bins.
    Profile(Profile),
    /// A number of things; merged by adding.
    Counter(i64),
    /// Texts with how many pieces said them; usually one.
    Text(BTreeMap<String, u64>),
}

impl Element {
    /// A text said once.
    pub fn text(said: &str) -> Self {
        Self::Text(BTreeMap::from([(said.to_owned(), 1)]))
    }

    fn kind(&self) -> String {
        match self {
            Self::Histogram(it) => it.booking(),
            Self::Histogram2d(it) => it.booking(),
            Self::Profile(it) => it.booked(),
            Self::Counter(_) => "a counter".to_owned(),
            Self::Text(_) => "a text".to_owned(),
        }
    }

    /// Adds another element of the same path and kind. After an error this one is unchanged.
    pub fn merge(&mut self, path: &str, other: &Self) -> Result<(), HistogramError> {
        let refuse = |why: &str| {
            let (name, why) = (path.to_owned(), why.to_owned());
            HistogramError::Contents { name, why }
        };
        match (&mut *self, other) {
            (Self::Histogram(ours), Self::Histogram(theirs)) => ours.merge(theirs),
            (Self::Histogram2d(ours), Self::Histogram2d(theirs)) => ours.merge(theirs),
            (Self::Profile(ours), Self::Profile(theirs)) => ours.merge(theirs),
            (Self::Counter(ours), Self::Counter(theirs)) => {
                *ours = ours
                    .checked_add(*theirs)
                    .ok_or_else(|| refuse("the counter is full"))?;
                Ok(())
            }
            (Self::Text(ours), Self::Text(theirs)) => {
                let new = theirs
                    .keys()
                    .filter(|text| !ours.contains_key(*text))
                    .count();
                if ours.len() + new > MAX_TEXTS {
                    return Err(refuse("too many different texts"));
                }
                for (text, times) in theirs {
                    let said = ours.entry(text.clone()).or_default();
                    *said = said.saturating_add(*times);
                }
                Ok(())
            }
            _ => Err(HistogramError::Mismatch {
                name: path.to_owned(),
                ours: self.kind(),
                theirs: other.kind(),
            }),
        }
    }
}

/// Elements by path; the parts of a path are divided by `/`, the first is the subsystem.
pub type Elements = BTreeMap<String, Element>;

/// What an element is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// Number of the run.
    pub run: u32,
    /// Number of the lumi; none for what is booked per run.
    pub lumi: Option<u32>,
}

/// Elements of several lumis and runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collection {
    scopes: BTreeMap<Scope, Elements>,
}

impl Collection {
    /// Adds an element to those of its scope and path.
    pub fn add(&mut self, scope: Scope, path: &str, added: &Element) -> Result<(), HistogramError> {
        merge_into(self.scopes.entry(scope).or_default(), path, added)
    }

    /// Adds all elements of another collection. The first that does not fit ends it.
    pub fn merge(&mut self, other: &Self) -> Result<(), HistogramError> {
        for (scope, elements) in &other.scopes {
            for (path, element) in elements {
                self.add(*scope, path, element)?;
            }
        }
        Ok(())
    }

    /// Elements by scope.
    pub fn scopes(&self) -> &BTreeMap<Scope, Elements> {
        &self.scopes
    }

    /// The sum over all lumis of a run, together with what is booked per run.
    pub fn harvest(&self, run: u32) -> Result<Elements, HistogramError> {
        let mut sum = Elements::new();
        let (first, last) = (
            Scope { run, lumi: None },
            Scope {
                run,
                lumi: Some(u32::MAX),
            },
        );
        for elements in self
            .scopes
            .range(first..=last)
            .map(|(_, elements)| elements)
        {
            for (path, element) in elements {
                merge_into(&mut sum, path, element)?;
            }
        }
        Ok(sum)
    }
}

fn merge_into(sum: &mut Elements, path: &str, added: &Element) -> Result<(), HistogramError> {
    if let Some(element) = sum.get_mut(path) {
        return element.merge(path, added);
    }
    sum.insert(path.to_owned(), added.clone());
    Ok(())
}

#[cfg(test)]
#[path = "element_tests.rs"]
mod tests;
