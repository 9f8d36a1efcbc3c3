//! ROOT's `Chi2Test` of two histograms of one or two coordinates, weighted or not: is one
//! distribution behind both? In come two histograms booked alike; out come chi-square, degrees of
//! freedom and whether cells are too thin for the probability to be more than approximate.
//! (N. Gagunashvili, physics/0605123, "Comparison of weighted and unweighted histograms".)

use super::chi2::no_error;
use super::{CannotRun, Chi2};
use crate::histogram::Histogram;
use crate::histogram2d::Histogram2d;

/// Contents and squared errors of the cells between the edges.
struct Sample<'a> {
    name: &'a str,
    entries: u64,
    weighted: bool,
    cells: Vec<(f64, f64)>,
    /// The place of each cell, as it is named to people.
    places: Vec<usize>,
    sum: f64,
}

impl Sample<'_> {
    /// Effective entries of a weighted cell below which its error is not normal.
    const EFFECTIVE: f64 = 10.0;

    fn needed(&self, test: &'static str) -> Result<(), CannotRun> {
        if self.sum > 0.0 {
            return Ok(());
        }
        Err(CannotRun::TooFewEntries {
            test,
            histogram: self.name.to_owned(),
            entries: self.entries,
            needed: 1,
        })
    }
}

/// `TH1::Chi2Test` with the option that fits: UU, UW or WW.
pub fn chi2_test(histogram: &Histogram, reference: &Histogram) -> Result<Chi2, CannotRun> {
    fn sample(of: &Histogram) -> Sample<'_> {
        let variances = &of.variances()[1..=of.axis().bins];
        Sample {
            name: of.name(),
            entries: of.entries(),
            weighted: of.is_weighted(),
            cells: of
                .inside()
                .iter()
                .copied()
                .zip(variances.iter().copied())
                .collect(),
            places: (1..=of.axis().bins).collect(),
            sum: of.inside().iter().sum(),
        }
    }
    histogram.must_be_like(reference)?;
    agreement("chi2_test", &sample(histogram), &sample(reference))
}

/// The same of two coordinates.
pub fn chi2_test_2d(histogram: &Histogram2d, reference: &Histogram2d) -> Result<Chi2, CannotRun> {
    fn sample(of: &Histogram2d) -> Sample<'_> {
        let cell = |cell: usize| (of.contents()[cell], of.variances()[cell]);
        Sample {
            name: of.name(),
            entries: of.entries(),
            weighted: of.is_weighted(),
            cells: of.inside().map(cell).collect(),
            places: of.inside().collect(),
            sum: of.inside().map(|cell| of.contents()[cell]).sum(),
        }
    }
    histogram.must_be_like(reference)?;
    agreement("comp2ref_2d_chi2", &sample(histogram), &sample(reference))
}

fn agreement(
    test: &'static str,
    ours: &Sample<'_>,
    theirs: &Sample<'_>,
) -> Result<Chi2, CannotRun> {
    ours.needed(test)?;
    theirs.needed(test)?;
    all_have_errors(test, ours, theirs)?;
    let mut found = Chi2 {
        chi2: 0.0,
        ndof: 0,
        sparse: false,
        reference_sparse: false,
    };
    let (mut our_count, mut their_count) = (ours.sum, theirs.sum);
    for (a, b) in ours.cells.iter().zip(&theirs.cells) {
        if a.0 == 0.0 && b.0 == 0.0 {
            continue;
        }
        found.ndof += 1;
        match (ours.weighted, theirs.weighted) {
            (false, false) => unweighted(&mut found, (a.0, ours.sum), (b.0, theirs.sum)),
            (true, true) => weighted(&mut found, (*a, ours.sum), (*b, theirs.sum)),
            (false, true) => {
                let [sparse, theirs_sparse] =
                    mixed(&mut found.chi2, (a.0, &mut our_count), *b, theirs);
                found.sparse |= sparse;
                found.reference_sparse |= theirs_sparse;
            }
            (true, false) => {
                let [theirs_sparse, sparse] =
                    mixed(&mut found.chi2, (b.0, &mut their_count), *a, ours);
                found.sparse |= sparse;
                found.reference_sparse |= theirs_sparse;
            }
        }
    }
    found.ndof = found.ndof.saturating_sub(1);
    Ok(found)
}

/// Refuses cells whose content nothing says the error of: of two weighted samples those with no
/// error in either, against counts those of the weighted one, whose share of the whole would
/// otherwise be known exactly, or be less than nothing.
fn all_have_errors(
    test: &'static str,
    ours: &Sample<'_>,
    theirs: &Sample<'_>,
) -> Result<(), CannotRun> {
    let bare = |(content, variance): (f64, f64)| content != 0.0 && variance == 0.0;
    let bad = ours.cells.iter().zip(&theirs.cells).position(|(a, b)| {
        match (ours.weighted, theirs.weighted) {
            (false, false) => false,
            (true, true) => a.1 == 0.0 && b.1 == 0.0 && (bare(*a) || bare(*b)),
            (false, true) => bare(*b),
            (true, false) => bare(*a),
        }
    });
    match bad {
        Some(cell) => Err(no_error(test, ours.name, ours.places[cell])),
        None => Ok(()),
    }
}

/// Two counts: (N2 n1 - N1 n2)^2 / (n1 + n2), over N1 N2.
fn unweighted(found: &mut Chi2, (a, all_a): (f64, f64), (b, all_b): (f64, f64)) {
    let difference = all_b * a - all_a * b;
    found.chi2 += difference * difference / (a + b) / (all_a * all_b);
    found.sparse |= a < 1.0;
    found.reference_sparse |= b < 1.0;
}

/// A cell with its error, and the sum of all.
type Weighted = ((f64, f64), f64);

/// Two sums of weights: (W2 w1 - W1 w2)^2 / (W1^2 s2^2 + W2^2 s1^2).
fn weighted(found: &mut Chi2, ((a, var_a), all_a): Weighted, ((b, var_b), all_b): Weighted) {
    let difference = all_b * a - all_a * b;
    let variance = all_a * all_a * var_b + all_b * all_b * var_a;
    found.chi2 += difference * difference / variance;
    found.sparse |= var_a > 0.0 && a * a / var_a < Sample::EFFECTIVE;
    found.reference_sparse |= var_b > 0.0 && b * b / var_b < Sample::EFFECTIVE;
}

/// A count and a sum of weights: both against the most likely common share of the cell. `all_n` is
/// the sum of counts, to which ROOT adds for good what it adds to a cell that has no share.
fn mixed(
    chi2: &mut f64,
    (n, all_n): (f64, &mut f64),
    (w, variance): (f64, f64),
    weights: &Sample<'_>,
) -> [bool; 2] {
    let all_w = weights.sum;
    let mut variance = variance;
    if w == 0.0 && variance == 0.0 {
        // An empty cell might have had one entry of the usual weight.
        let squares: f64 = weights.cells.iter().map(|(_, variance)| variance).sum();
        variance = squares / all_w;
    }
    let sparse = [
        n < 1.0,
        variance > 0.0 && w * w / variance < Sample::EFFECTIVE,
    ];
    let mut count = n;
    let mut share = likely_share(count, *all_n, (w, variance), all_w);
    // Without a share there is no expectation; one more count gives it one.
    if share == 0.0 {
        count += 1.0;
        *all_n += 1.0;
        share = likely_share(count, *all_n, (w, variance), all_w);
    }
    let (expected_n, expected_w) = (share * *all_n, share * all_w);
    *chi2 += (count - expected_n).powi(2) / expected_n;
    if variance > 0.0 {
        *chi2 += (w - expected_w).powi(2) / variance;
    }
    sparse
}

/// The most likely share of a cell with `count` of `all_n` counts and a weight of `all_w`: the
/// positive root of a quadratic equation, taken so that no digits cancel.
fn likely_share(count: f64, all_n: f64, (w, variance): (f64, f64), all_w: f64) -> f64 {
    let first = all_w * w - all_n * variance;
    let second = (first * first + 4.0 * all_w * all_w * count * variance).sqrt();
    if first > 0.0 {
        (first + second) / (2.0 * all_w * all_w)
    } else if count == 0.0 {
        0.0
    } else {
        2.0 * count * variance / (second - first)
    }
}
