//! The result of a Millepede fit, and the texts that `pede` would have written of it.
//!
//! In come parameters with errors; out come `millepede.res` and `millepede.end`, so that programs
//! that read those (CMS `MillePedeFileReader`, the alignment gate) need not be changed. No file is
//! written here.

use super::steering::Method;
use super::sums::Rejects;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Mean of Huber's objective over that of the square, for normal residuals.
const HUBER_MEAN: f64 = 0.9326;

/// A fitted or fixed parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its value.
    pub value: f64,
    /// Its presigma; negative where it was fixed by hand.
    pub presigma: f64,
    /// How far it moved from its start; nothing when it was fixed.
    pub difference: Option<f64>,
    /// Its standard deviation, where it was fitted by a method that gives one.
    pub error: Option<f64>,
    /// Measurements that depend on it.
    pub entries: u64,
    /// Those of records that were used.
    pub entries_used: u64,
}

/// A fit that has converged.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Parameters by label.
    pub parameters: BTreeMap<i32, Parameter>,
    /// How they were found.
    pub method: Method,
    /// Whether outliers were down-weighted.
    pub downweighted: bool,
    /// Records given.
    pub records: u64,
    /// Measurements given.
    pub measurements: u64,
    /// Free parameters.
    pub free: usize,
    /// Constraints on them.
    pub constraints: usize,
    /// Constraints left out because nothing in them can move.
    pub empty_constraints: usize,
    /// Entries in records that were used below which a fitted parameter is doubtful.
    pub entries_used_min: u64,
    /// Records not used in the last pass.
    pub rejects: Rejects,
    /// Solutions made.
    pub iterations: u32,
    /// The objective before the first step.
    pub chi_square_start: f64,
    /// The objective at the end. As in `pede`, a record beyond the cut adds the limit that it
    /// exceeded, and one beyond the huge cut nothing.
    pub chi_square: f64,
    /// Degrees of freedom of all local fits, less free parameters, plus constraints.
    pub ndf: i64,
}

/// How well a fit ended, as `millepede.end` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// 0: nothing to say.
    Normal,
    /// 1: the chi-square is not near its degrees of freedom, more than 1 % of the records were
    /// rejected, or a constraint was empty.
    BadMeasurements,
    /// 2: parameters have too few entries in records that were used.
    InsufficientMeasurements,
}

impl Ending {
    /// The exit code in `millepede.end`.
    pub fn code(self) -> i32 {
        match self {
            Self::Normal => 0,
            Self::BadMeasurements => 1,
            Self::InsufficientMeasurements => 2,
        }
    }
}

impl Fit {
    /// The objective for each degree of freedom, near 1 when errors are right; corrected for
    /// down-weighting.
    pub fn chi_square_per_ndf(&self) -> f64 {
        let correction = if self.downweighted { HUBER_MEAN } else { 1.0 };
        self.chi_square / self.ndf as f64 / correction
    }

    /// How well it ended.
    pub fn ending(&self) -> Ending {
        let few = |parameter: &Parameter| {
            parameter.difference.is_some() && parameter.entries_used < self.entries_used_min
        };
        if self.parameters.values().any(few) {
            return Ending::InsufficientMeasurements;
        }
        let rejected = self.rejects.total() as f64 / self.records as f64;
        let good = (0.895..1.105).contains(&self.chi_square_per_ndf()) && rejected <= 0.01;
        if good && self.empty_constraints == 0 {
            Ending::Normal
        } else {
            Ending::BadMeasurements
        }
    }

    /// The text of `millepede.end`.
    pub fn end_text(&self) -> String {
        let code = self.ending().code();
        let words = match self.ending() {
            Ending::Normal => "Ended normally",
            Ending::BadMeasurements => "Ended with warnings (bad measurements)",
            Ending::InsufficientMeasurements => {
                "Ended with severe warnings (insufficient measurements)"
            }
        };
        format!(" {code:4}   {words}\n")
    }

    /// The text of `millepede.res`: label, value, presigma, and for a fitted parameter its
    /// difference and error. Given as a text file, it starts another fit.
    pub fn res_text(&self) -> String {
        let mut text = String::from(
            " Parameter   ! first 3 elements per line are significant (if used as input)\n",
        );
        for (label, parameter) in &self.parameters {
            let mut numbers = vec![parameter.value, parameter.presigma];
            numbers.extend(parameter.difference);
            numbers.extend(parameter.error);
            let _ = write!(text, "{label:10}  ");
            for number in numbers {
                text.push_str(&general(number));
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }
}

/// A number as Fortran's `G14.5` writes it: five digits, as a decimal fraction where it is from 0.1
/// to 100,000, otherwise with an exponent.
fn general(number: f64) -> String {
    if number == 0.0 {
        return format!("{:>10}    ", "0.0000");
    }
    let scientific = format!("{number:.4e}");
    // Rust writes the digits as d.dddde-n; Fortran's exponent is one larger, 0.ddddd.
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent = exponent.parse::<i32>().unwrap_or(0) + 1;
    if (0..=5).contains(&exponent) {
        let decimals = (5 - exponent) as usize;
        let point = if decimals == 0 { "." } else { "" };
        return format!("{:>10}    ", format!("{number:.decimals$}{point}"));
    }
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let digits = digits.replace('.', "");
    let mark = if exponent < 0 { '-' } else { '+' };
    let exponent = exponent.unsigned_abs();
    // Three digits leave no room for the letter.
    let letter = if exponent < 100 { "E" } else { "" };
    format!(
        "{:>14}",
        format!("{sign}0.{digits}{letter}{mark}{exponent:02}")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_fortran_does() {
        let table = [
            (0.0, "    0.0000    "),
            (0.1286572415, "   0.12866    "),
            (-0.009461852585, "  -0.94619E-02"),
            (0.09999999, "   0.10000    "),
            (0.1, "   0.10000    "),
            (-12.5, "   -12.500    "),
            (99999.0, "    99999.    "),
            (123456.0, "   0.12346E+06"),
            (1e-120, "   0.10000-119"),
        ];
        for (number, text) in table {
            assert_eq!(general(number), text, "{number}");
            assert_eq!(text.len(), 14);
        }
    }
}
