//! Chi-square comparisons with a reference. In come two histograms booked alike; out come
//! chi-square and degrees of freedom, from which the caller takes the probability it means.

use super::{CannotRun, Measured, positive_sum};
use crate::chance::chi2_probability;
use crate::histogram::Histogram;

/// A chi-square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chi2 {
    /// The sum of squared, normalised differences.
    pub chi2: f64,
    /// Degrees of freedom.
    pub ndof: u32,
    /// Whether a compared bin of the histogram holds less than one entry; the probability is then
    /// only approximate (bit 0 of ROOT's `igood`).
    pub sparse: bool,
    /// The same for the reference (bit 1).
    pub reference_sparse: bool,
}

impl Chi2 {
    /// The p-value.
    pub fn probability(&self) -> f64 {
        chi2_probability(self.chi2, self.ndof)
    }

    /// What `QTest.cc` returns: half the chi-square with half the degrees of freedom. It is no
    /// p-value; it is here to compare with decisions made there.
    pub fn as_coded(&self) -> f64 {
        chi2_probability(self.chi2 / 2.0, self.ndof / 2)
    }

    pub(super) fn measured(&self, value: f64) -> Measured {
        let detail = format!("chi2 {:.2} / {}", self.chi2, self.ndof);
        Measured {
            value,
            bad_bins: Vec::new(),
            detail,
        }
    }
}

/// Both histograms scaled to unit area between the edges: the sum over bins of
/// (a - b)^2 / (error of a^2 + error of b^2). Bins empty in both take away a degree of freedom.
pub fn comp2ref_chi2(histogram: &Histogram, reference: &Histogram) -> Result<Chi2, CannotRun> {
    const NAME: &str = "comp2ref_chi2";
    histogram.must_be_like(reference)?;
    let (ours, theirs) = (
        positive_sum(NAME, histogram)?,
        positive_sum(NAME, reference)?,
    );
    let mut found = Chi2 {
        chi2: 0.0,
        ndof: 0,
        sparse: false,
        reference_sparse: false,
    };
    for bin in 1..=histogram.axis().bins {
        let (a, b) = (histogram.contents()[bin], reference.contents()[bin]);
        if a == 0.0 && b == 0.0 {
            continue;
        }
        let variance = histogram.variances()[bin] / (ours * ours)
            + reference.variances()[bin] / (theirs * theirs);
        if variance == 0.0 {
            return Err(no_error(NAME, histogram.name(), bin));
        }
        let difference = a / ours - b / theirs;
        found.chi2 += difference * difference / variance;
        found.ndof += 1;
        found.sparse |= a < 1.0;
        found.reference_sparse |= b < 1.0;
    }
    Ok(found)
}

/// Why a bin with content cannot be compared.
pub(super) fn no_error(test: &'static str, histogram: &str, bin: usize) -> CannotRun {
    CannotRun::NoError {
        test,
        histogram: histogram.to_owned(),
        bin,
    }
}

/// ROOT's `TH1::Chi2Test` with option UU, for two histograms of counts: the sum over bins of
/// (N2 n1 - N1 n2)^2 / (n1 + n2), over N1 N2; one degree less than bins that hold anything.
/// (N. Gagunashvili, physics/0605123.)
pub fn chi2_test_unweighted(
    histogram: &Histogram,
    reference: &Histogram,
) -> Result<Chi2, CannotRun> {
    const NAME: &str = "chi2_test_unweighted";
    histogram.must_be_like(reference)?;
    let (ours, theirs) = (
        positive_sum(NAME, histogram)?,
        positive_sum(NAME, reference)?,
    );
    let mut found = Chi2 {
        chi2: 0.0,
        ndof: 0,
        sparse: false,
        reference_sparse: false,
    };
    let pairs = histogram.inside().iter().zip(reference.inside());
    for (place, (a, b)) in pairs.enumerate() {
        if *a == 0.0 && *b == 0.0 {
            continue;
        }
        // Only weights can be negative; as counts they have no error.
        if a + b <= 0.0 {
            return Err(no_error(NAME, histogram.name(), place + 1));
        }
        let difference = theirs * a - ours * b;
        found.chi2 += difference * difference / (a + b) / (ours * theirs);
        found.ndof += 1;
        found.sparse |= *a < 1.0;
        found.reference_sparse |= *b < 1.0;
    }
    found.ndof = found.ndof.saturating_sub(1);
    Ok(found)
}
