//! The Kolmogorov comparison with a reference. In come two histograms booked alike; out come the
//! largest distance of their cumulative sums and its probability.

use super::{CannotRun, Measured, positive_sum};
use crate::chance::kolmogorov_probability;
use crate::histogram::Histogram;

/// A Kolmogorov comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kolmogorov {
    /// Largest distance of the two cumulative distributions, 0 to 1.
    pub distance: f64,
    /// The distance in units of its expected size.
    pub z: f64,
    /// Probability of a larger distance.
    pub probability: f64,
}

impl Kolmogorov {
    pub(super) fn measured(self) -> Measured {
        let detail = format!("distance {:.4}, z {:.2}", self.distance, self.z);
        Measured {
            value: self.probability,
            bad_bins: Vec::new(),
            detail,
        }
    }
}

/// Compares the cumulative sums of both histograms. `as_coded` takes the flow bins into the sums,
/// but not into the number of entries, as `QTest.cc` does; else both leave them out, as ROOT's
/// `TH1::KolmogorovTest` does by default.
pub fn comp2ref_kolmogorov(
    histogram: &Histogram,
    reference: &Histogram,
    as_coded: bool,
) -> Result<Kolmogorov, CannotRun> {
    const NAME: &str = "comp2ref_kolmogorov";
    histogram.must_be_like(reference)?;
    positive_sum(NAME, histogram)?;
    positive_sum(NAME, reference)?;
    let bins = |of: &Histogram| -> Vec<f64> {
        if as_coded {
            of.contents().to_vec()
        } else {
            of.inside().to_vec()
        }
    };
    let (ours, theirs) = (bins(histogram), bins(reference));
    let (our_sum, their_sum): (f64, f64) = (ours.iter().sum(), theirs.iter().sum());
    let (mut a, mut b, mut distance) = (0.0, 0.0, 0.0_f64);
    for (x, y) in ours.iter().zip(&theirs) {
        a += x / our_sum;
        b += y / their_sum;
        distance = distance.max((a - b).abs());
    }
    let (n1, n2) = (histogram.effective_entries(), reference.effective_entries());
    let z = distance * (n1 * n2 / (n1 + n2)).sqrt();
    Ok(Kolmogorov {
        distance,
        z,
        probability: kolmogorov_probability(z),
    })
}
