//! Tests of contents and mean. In comes a histogram, for equality also a reference; out comes the
//! share of what is as it should be, or a probability.

use super::elements::all_equal;
use super::{CannotRun, Measured, share_of_good};
use crate::chance::chi2_probability;
use crate::histogram::Histogram;
use serde::{Deserialize, Serialize};

/// 1 when all bins equal the reference's, flow bins included; else 0 with the bins that differ.
pub fn comp2ref_equal(histogram: &Histogram, reference: &Histogram) -> Result<Measured, CannotRun> {
    histogram.must_be_like(reference)?;
    Ok(all_equal(histogram.contents(), reference.contents()))
}

/// The share of all entries, flow bins counted, whose bin centre lies in [low, high]. An empty
/// histogram has nothing outside: 1.
pub fn contents_x_range(histogram: &Histogram, low: f64, high: f64) -> Measured {
    let axis = histogram.axis();
    let total: f64 = histogram.contents().iter().sum();
    let mut inside = 0.0;
    let mut bad_bins = Vec::new();
    for (bin, content) in histogram.contents().iter().enumerate() {
        let centre = axis.centre(bin);
        let flow = bin == 0 || bin > axis.bins;
        if !flow && centre >= low && centre <= high {
            inside += content;
        } else if *content != 0.0 {
            bad_bins.push(bin);
        }
    }
    let value = if total > 0.0 { inside / total } else { 1.0 };
    let detail = format!("{inside} of {total} entries from {low} to {high}");
    Measured {
        value,
        bad_bins,
        detail,
    }
}

/// The share of bins whose content lies in [low, high]; empty bins count only when asked for.
pub fn contents_y_range(
    histogram: &Histogram,
    low: f64,
    high: f64,
    use_empty_bins: bool,
) -> Measured {
    let bad =
        |content: f64| (use_empty_bins || content != 0.0) && !(content >= low && content <= high);
    let inside = histogram.inside();
    let bad_bins = (1..=inside.len())
        .filter(|bin| bad(inside[bin - 1]))
        .collect();
    share_of_good(inside.len(), bad_bins)
}

/// Where a mean should be, in the unit of the histogram's abscissa.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// Anywhere in a range: 1 or 0.
    Range {
        /// Lower end, included.
        low: f64,
        /// Upper end, included.
        high: f64,
    },
    /// At a value with a given error: the probability of a larger departure.
    Sigma {
        /// Expected mean.
        mean: f64,
        /// Its error.
        sigma: f64,
    },
    /// At a value, the width of the histogram taken as its error.
    Rms {
        /// Expected mean.
        mean: f64,
    },
}

/// Whether the mean is where it is expected.
pub fn mean_within_expected(
    histogram: &Histogram,
    expected: &Expectation,
    min_entries: u64,
) -> Result<Measured, CannotRun> {
    let entries = histogram.entries();
    let too_few = || CannotRun::TooFewEntries {
        test: "mean_within_expected",
        histogram: histogram.name().to_owned(),
        entries,
        needed: min_entries.max(1),
    };
    if entries < min_entries {
        return Err(too_few());
    }
    let (Some(found), Some(rms)) = (histogram.mean(), histogram.rms()) else {
        return Err(too_few());
    };
    let chance = |mean: f64, sigma: f64| chi2_probability(((found - mean) / sigma).powi(2), 1);
    let (value, wanted) = match *expected {
        Expectation::Range { low, high } => {
            let within = found >= low && found <= high;
            (f64::from(u8::from(within)), format!("{low} to {high}"))
        }
        Expectation::Sigma { mean, sigma } => (chance(mean, sigma), format!("{mean} +- {sigma}")),
        Expectation::Rms { mean } => (chance(mean, rms), format!("{mean} +- {rms:.4}")),
    };
    Ok(Measured {
        value,
        bad_bins: Vec::new(),
        detail: format!("mean {found:.4}, expected {wanted}"),
    })
}
