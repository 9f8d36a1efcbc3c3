//! Dead and noisy channels: every bin is a channel. In comes a histogram, out come the share of
//! good bins and the list of the others.

use super::{Measured, share_of_good};
use crate::histogram::Histogram;

/// A bin with `threshold` entries or less is dead.
pub fn dead_channel(histogram: &Histogram, threshold: f64) -> Measured {
    let inside = histogram.inside();
    let bad_bins = (1..=inside.len())
        .filter(|bin| inside[bin - 1] <= threshold)
        .collect();
    share_of_good(inside.len(), bad_bins)
}

/// A bin is noisy when it exceeds the average of `neighbours` bins on each side by more than
/// `tolerance` times that average. The edges wrap round (`QTest.cc`, getAverage); an average of
/// nothing accuses nobody.
pub fn noisy_channel(histogram: &Histogram, tolerance: f64, neighbours: usize) -> Measured {
    let inside = histogram.inside();
    let bins = inside.len();
    // More than all other bins on each side would only count them again.
    let reach = neighbours.min(bins);
    let noisy = |place: usize| {
        let left = (1..=reach).map(|by| inside[(place + bins - by) % bins]);
        let right = (1..=reach).map(|by| inside[(place + by) % bins]);
        let average = left.chain(right).sum::<f64>() / (2 * reach) as f64;
        reach > 0 && average != 0.0 && (inside[place] - average) / average.abs() > tolerance
    };
    let bad_bins = (1..=bins).filter(|bin| noisy(bin - 1)).collect();
    share_of_good(bins, bad_bins)
}
