//! Quality tests of one monitor element, alone or against a reference.
//!
//! In come a test with its parameters and elements; out comes a number between 0 (surely bad) and
//! 1 (nothing to object), or the reason why the test cannot run. Definitions after CMS
//! `DQMServices/Core/src/QTest.cc`. Where the code there is not the textbook's, both are offered
//! and the one "as coded" is named so. Which number is an error is decided by [`crate::verdict`].

mod channels;
mod chi2;
mod chi2_test;
mod contents;
mod elements;
mod kolmogorov;
mod spread;

pub use channels::{dead_channel, dead_channel_2d, noisy_channel, noisy_channel_2d};
pub use chi2::{Chi2, chi2_test_unweighted, comp2ref_chi2};
pub use chi2_test::{chi2_test, chi2_test_2d};
pub use contents::{
    Expectation, comp2ref_equal, contents_x_range, contents_y_range, mean_within_expected,
};
pub use kolmogorov::{Kolmogorov, comp2ref_kolmogorov};
pub use spread::{
    ContentExpectation, LastBinCuts, MedianCuts, check_variance, compare_last_filled_bin,
    compare_last_filled_bin_2d, compare_to_median, contents_within_expected, means_within_expected,
};

use crate::histogram::{Histogram, HistogramError};
use serde::{Deserialize, Serialize};

/// What a test found.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// 0 to 1.
    pub value: f64,
    /// Bins to look at, 1 being the first, 0 the underflow; of two coordinates the places of cells.
    pub bad_bins: Vec<usize>,
    /// The statistic behind the value, for people.
    pub detail: String,
}

/// Why a test did not run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CannotRun {
    /// The test compares, and there is nothing to compare with.
    #[error("{test} of {histogram}: no reference; name a reference run for this histogram")]
    NoReference {
        /// Name of the test.
        test: &'static str,
        /// Name of the histogram.
        histogram: String,
    },
    /// A histogram has too little in it.
    #[error("{test} of {histogram}: {entries} entries, {needed} needed; add more runs or lumis")]
    TooFewEntries {
        /// Name of the test.
        test: &'static str,
        /// Name of the histogram.
        histogram: String,
        /// What it has.
        entries: u64,
        /// What the test needs.
        needed: u64,
    },
    /// A cell cannot be compared: it holds something, and no error says how well it is known.
    #[error(
        "{test} of {histogram}: the content of bin {bin}, or of its reference, has no error; keep \
         the sums of squared weights, or correct the program that made it"
    )]
    NoError {
        /// Name of the test.
        test: &'static str,
        /// Name of the histogram.
        histogram: String,
        /// The bin, 1 being the first; of two coordinates the place of the cell.
        bin: usize,
    },
    /// The test makes no sense of such an element.
    #[error("{test} of {histogram}: there is no such test of this kind of element; drop it")]
    Unsuited {
        /// Name of the test.
        test: &'static str,
        /// Name of the element.
        histogram: String,
    },
    /// The parameters of the test make no sense.
    #[error("{test} of {histogram}: {why}; correct the definition of the test")]
    Parameters {
        /// Name of the test.
        test: &'static str,
        /// Name of the element.
        histogram: String,
        /// What is wrong with them.
        why: String,
    },
    /// The reference is booked differently.
    #[error(transparent)]
    Mismatch(#[from] HistogramError),
}

/// A test with its parameters. Ranges are in the unit of the histogram's abscissa, thresholds and
/// y ranges in entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "test", rename_all = "snake_case")]
pub enum QualityTest {
    /// Every bin equal to the reference's.
    Comp2refEqual,
    /// The chi-square probability of the normalised difference.
    Comp2refChi2 {
        /// The probability of half the chi-square with half the degrees, as upstream computes it.
        as_coded: bool,
    },
    /// ROOT's `Chi2Test` of two unweighted histograms.
    Chi2TestUnweighted,
    /// ROOT's `Chi2Test`, weights regarded where there are any.
    Chi2Test,
    /// The same in two coordinates.
    #[serde(rename = "comp2ref_2d_chi2")]
    Comp2ref2dChi2 {
        /// With fewer entries the test does not run.
        min_entries: u64,
    },
    /// The Kolmogorov probability.
    Comp2refKolmogorov {
        /// Under- and overflow take part, as upstream computes it; else ROOT's default.
        as_coded: bool,
    },
    /// The share of entries whose bin centre lies in a range.
    ContentsXRange {
        /// Lower end, included.
        low: f64,
        /// Upper end, included.
        high: f64,
    },
    /// The share of bins whose content lies in a range.
    ContentsYRange {
        /// Least content.
        low: f64,
        /// Greatest content.
        high: f64,
        /// Whether empty bins count.
        use_empty_bins: bool,
    },
    /// The share of bins above a threshold.
    DeadChannel {
        /// A bin with this content or less is dead.
        threshold: f64,
    },
    /// The share of bins that do not stick out of their neighbours.
    NoisyChannel {
        /// How far a bin may exceed the average of its neighbours, relative to it.
        tolerance: f64,
        /// Neighbours on each side.
        neighbours: usize,
    },
    /// The mean where it should be.
    MeanWithinExpected {
        /// What is expected.
        expected: Expectation,
        /// With fewer entries the test does not run.
        min_entries: u64,
    },
    /// The share of cells, or bins of a profile, that are as expected.
    ContentsWithinExpected(ContentExpectation),
    /// The share of cells that agree with the median of their row.
    CompareToMedian(MedianCuts),
    /// The content of the last filled bin in a range.
    CompareLastFilledBin(LastBinCuts),
    /// The root of the variance of contents.
    CheckVariance {
        /// Up to this it is good; without one the root itself is the value, as upstream has it.
        limit: Option<f64>,
    },
}

impl QualityTest {
    /// Its name, as in definitions.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Comp2refEqual => "comp2ref_equal",
            Self::Comp2refChi2 { .. } => "comp2ref_chi2",
            Self::Chi2TestUnweighted => "chi2_test_unweighted",
            Self::Comp2refKolmogorov { .. } => "comp2ref_kolmogorov",
            Self::ContentsXRange { .. } => "contents_x_range",
            Self::ContentsYRange { .. } => "contents_y_range",
            Self::DeadChannel { .. } => "dead_channel",
            Self::NoisyChannel { .. } => "noisy_channel",
            Self::MeanWithinExpected { .. } => "mean_within_expected",
            Self::Chi2Test => "chi2_test",
            Self::Comp2ref2dChi2 { .. } => "comp2ref_2d_chi2",
            Self::ContentsWithinExpected(_) => "contents_within_expected",
            Self::CompareToMedian(_) => "compare_to_median",
            Self::CompareLastFilledBin(_) => "compare_last_filled_bin",
            Self::CheckVariance { .. } => "check_variance",
        }
    }

    fn no_reference(&self, histogram: &str) -> CannotRun {
        let (test, histogram) = (self.name(), histogram.to_owned());
        CannotRun::NoReference { test, histogram }
    }

    fn unsuited(&self, histogram: &str) -> CannotRun {
        let (test, histogram) = (self.name(), histogram.to_owned());
        CannotRun::Unsuited { test, histogram }
    }

    fn enough(&self, histogram: &str, entries: u64, needed: u64) -> Result<(), CannotRun> {
        if entries >= needed {
            return Ok(());
        }
        let (test, histogram) = (self.name(), histogram.to_owned());
        Err(CannotRun::TooFewEntries {
            test,
            histogram,
            entries,
            needed,
        })
    }

    /// Refuses parameters that are not numbers, and ranges that hold nothing.
    fn sensible(&self, histogram: &str) -> Result<(), CannotRun> {
        let pairs = |ranges: &[Option<[f64; 2]>]| ranges.iter().flatten().copied().collect();
        let (numbers, ranges): (Vec<f64>, Vec<[f64; 2]>) = match *self {
            Self::Comp2refEqual
            | Self::Comp2refChi2 { .. }
            | Self::Chi2TestUnweighted
            | Self::Chi2Test
            | Self::Comp2ref2dChi2 { .. }
            | Self::Comp2refKolmogorov { .. } => return Ok(()),
            Self::ContentsXRange { low, high } | Self::ContentsYRange { low, high, .. } => {
                (vec![], vec![[low, high]])
            }
            Self::DeadChannel { threshold } => (vec![threshold], vec![]),
            Self::NoisyChannel { tolerance, .. } => (vec![tolerance], vec![]),
            Self::MeanWithinExpected { expected, .. } => match expected {
                Expectation::Range { low, high } => (vec![], vec![[low, high]]),
                Expectation::Sigma { mean, sigma } => (vec![mean], vec![[0.0, sigma]]),
                Expectation::Rms { mean } => (vec![mean], vec![]),
            },
            Self::ContentsWithinExpected(it) => (
                it.tolerance.into_iter().collect(),
                pairs(&[it.mean, it.rms]),
            ),
            Self::CompareToMedian(it) => (vec![it.min_statistic], vec![it.relative, it.median]),
            Self::CompareLastFilledBin(it) => (vec![it.above], vec![[it.low, it.high]]),
            Self::CheckVariance { limit } => (vec![], pairs(&[limit.map(|limit| [0.0, limit])])),
        };
        let bad = ranges
            .iter()
            .find(|[low, high]| low.partial_cmp(high).is_none_or(|o| o.is_gt()));
        let why = match bad {
            Some(range) => format!("the range {range:?} holds nothing"),
            None if numbers.iter().any(|number| number.is_nan()) => "NaN is no cut".to_owned(),
            None => return Ok(()),
        };
        let (test, histogram) = (self.name(), histogram.to_owned());
        Err(CannotRun::Parameters {
            test,
            histogram,
            why,
        })
    }

    /// Runs the test on a histogram of one coordinate, against `reference` where it compares.
    pub fn run(
        &self,
        histogram: &Histogram,
        reference: Option<&Histogram>,
    ) -> Result<Measured, CannotRun> {
        let name = histogram.name();
        self.sensible(name)?;
        let needed = || reference.ok_or_else(|| self.no_reference(name));
        match self {
            Self::Comp2refEqual => comp2ref_equal(histogram, needed()?),
            Self::Comp2refChi2 { as_coded } => {
                let chi2 = comp2ref_chi2(histogram, needed()?)?;
                let value = if *as_coded {
                    chi2.as_coded()
                } else {
                    chi2.probability()
                };
                Ok(chi2.measured(value))
            }
            Self::Chi2TestUnweighted => {
                let chi2 = chi2_test_unweighted(histogram, needed()?)?;
                Ok(chi2.measured(chi2.probability()))
            }
            Self::Comp2refKolmogorov { as_coded } => {
                comp2ref_kolmogorov(histogram, needed()?, *as_coded).map(|it| it.measured())
            }
            Self::ContentsXRange { low, high } => Ok(contents_x_range(histogram, *low, *high)),
            Self::ContentsYRange {
                low,
                high,
                use_empty_bins,
            } => Ok(contents_y_range(histogram, *low, *high, *use_empty_bins)),
            Self::DeadChannel { threshold } => Ok(dead_channel(histogram, *threshold)),
            Self::NoisyChannel {
                tolerance,
                neighbours,
            } => Ok(noisy_channel(histogram, *tolerance, *neighbours)),
            Self::MeanWithinExpected {
                expected,
                min_entries,
            } => mean_within_expected(histogram, expected, *min_entries),
            Self::Chi2Test => {
                let chi2 = chi2_test(histogram, needed()?)?;
                Ok(chi2.measured(chi2.probability()))
            }
            Self::CompareLastFilledBin(cuts) => compare_last_filled_bin(histogram, cuts),
            Self::CheckVariance { limit } => {
                check_variance(name, histogram.entries(), histogram.inside(), *limit)
            }
            Self::Comp2ref2dChi2 { .. }
            | Self::ContentsWithinExpected(_)
            | Self::CompareToMedian(_) => Err(self.unsuited(name)),
        }
    }
}

/// The sum between the edges, or why there is none to normalise with.
fn positive_sum(test: &'static str, histogram: &Histogram) -> Result<f64, CannotRun> {
    let sum: f64 = histogram.inside().iter().sum();
    if sum > 0.0 {
        return Ok(sum);
    }
    let entries = histogram.entries();
    let histogram = histogram.name().to_owned();
    Err(CannotRun::TooFewEntries {
        test,
        histogram,
        entries,
        needed: 1,
    })
}

/// A share of good bins, with the bad ones.
fn share_of_good(bins: usize, bad_bins: Vec<usize>) -> Measured {
    let value = (bins - bad_bins.len()) as f64 / bins as f64;
    let detail = format!("{} of {bins} bins bad", bad_bins.len());
    Measured {
        value,
        bad_bins,
        detail,
    }
}

#[cfg(test)]
#[path = "quality/quality_tests.rs"]
mod tests;
