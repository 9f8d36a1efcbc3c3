//! What rounding would lose of the sums of a record: `name=number,number;...`, each list the
//! canonical one of an exact sum. In come elements or the text, out come the text or the sums. A
//! sum that is a single number stands in the record already and is not listed.

use crate::bins::Bins;
use crate::exact::{ExactSum, Sums};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Exact sums by name.
#[derive(Default)]
pub(super) struct Exact(BTreeMap<String, Vec<f64>>);

impl Exact {
    /// Contents and squared weights of cells.
    pub(super) fn cells(&mut self, bins: &Bins) {
        if let Some((contents, squares)) = bins.sums() {
            for (cell, (content, square)) in contents.iter().zip(squares).enumerate() {
                self.unless_one(format!("content[{cell}]"), content);
                self.unless_one(format!("variance[{cell}]"), square);
            }
        }
    }

    /// Sums over the entries inside.
    pub(super) fn sums<const N: usize>(&mut self, names: [&str; N], sums: &Sums<N>) {
        for (which, name) in names.into_iter().enumerate() {
            self.unless_one(name.to_owned(), &sums.total(which));
        }
    }

    fn unless_one(&mut self, name: String, sum: &ExactSum) {
        let parts = sum.canonical();
        if parts.len() > 1 {
            self.0.insert(name, parts);
        }
    }

    /// A sum that the record has nowhere else.
    pub(super) fn always(&mut self, name: String, sum: &ExactSum) {
        self.0.insert(name, sum.canonical());
    }

    /// The text, if there is anything to say.
    pub(super) fn text(&self) -> Option<String> {
        let mut text = String::new();
        for (name, parts) in &self.0 {
            let gap = if text.is_empty() { "" } else { ";" };
            let parts: Vec<String> = parts.iter().map(|part| format!("{part:e}")).collect();
            write!(text, "{gap}{name}={}", parts.join(",")).expect("a string takes everything");
        }
        (!text.is_empty()).then_some(text)
    }

    /// Reads the text; none if it is not of that form.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut found = BTreeMap::new();
        for item in text.split(';') {
            let (name, list) = item.split_once('=')?;
            let mut parts = Vec::new();
            for part in list.split(',').filter(|part| !part.is_empty()) {
                let part: f64 = part.parse().ok()?;
                parts.push(Some(part).filter(|part| part.abs() <= 1e200)?);
            }
            found.insert(name.to_owned(), parts);
        }
        Some(Self(found))
    }

    /// Sums as lists: those given here, else the rounded ones.
    pub(super) fn given<const N: usize>(&self, rounded: [(&str, f64); N]) -> [Vec<f64>; N] {
        rounded.map(|(name, value)| self.0.get(name).cloned().unwrap_or_else(|| vec![value]))
    }

    /// One sum, else the rounded one.
    pub(super) fn sum(&self, name: &str, rounded: f64) -> ExactSum {
        self.0
            .get(name)
            .map_or_else(|| ExactSum::of(&[rounded]), |parts| ExactSum::of(parts))
    }

    /// Cells with the sums given here instead of the rounded ones.
    pub(super) fn bins(&self, rounded: &Bins) -> Bins {
        let Some((contents, squares)) = rounded.sums() else {
            return rounded.clone();
        };
        let replaced = |of: &[ExactSum], what: &str| -> Vec<ExactSum> {
            let one = |(cell, sum): (usize, &ExactSum)| {
                let given = self.0.get(&format!("{what}[{cell}]"));
                given.map_or_else(|| sum.clone(), |parts| ExactSum::of(parts))
            };
            of.iter().enumerate().map(one).collect()
        };
        let sums = (replaced(contents, "content"), replaced(squares, "variance"));
        Bins::from_sums(sums, rounded.entries())
    }
}
