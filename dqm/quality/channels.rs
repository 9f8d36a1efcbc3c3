//! Dead and noisy channels: every bin is a channel. In comes a histogram of one or two coordinates,
//! out come the share of good bins and the list of the others; of two coordinates the places of
//! cells ([`Histogram2d::cell`]).

use super::{Measured, share_of_good};
use crate::histogram::Histogram;
use crate::histogram2d::Histogram2d;

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

/// A cell with `threshold` entries or less is dead.
pub fn dead_channel_2d(histogram: &Histogram2d, threshold: f64) -> Measured {
    let dead = |cell: &usize| histogram.contents()[*cell] <= threshold;
    share_of_good(
        histogram.inside().count(),
        histogram.inside().filter(dead).collect(),
    )
}

/// A cell is noisy when it exceeds the average of the cells around it by more than `tolerance`
/// times that average. Around it are those up to `neighbours` away in both coordinates; at an edge
/// the square is moved inwards, not wrapped (`QTest.cc`, getAverage2D).
pub fn noisy_channel_2d(histogram: &Histogram2d, tolerance: f64, neighbours: usize) -> Measured {
    let [x, y] = histogram.axes();
    let contents = histogram.contents();
    let around = |bin: usize, bins: usize| {
        let size = neighbours.saturating_mul(2).saturating_add(1).min(bins);
        let first = bin.saturating_sub(neighbours).clamp(1, bins + 1 - size);
        first..first + size
    };
    let mut bad = Vec::new();
    for row in 1..=y.bins {
        for place in 1..=x.bins {
            let (columns, rows) = (around(place, x.bins), around(row, y.bins));
            let others = columns.len() * rows.len() - 1;
            let of_row =
                |row: usize| &contents[histogram.cell(columns.start, row)..][..columns.len()];
            let sum: f64 = rows.flat_map(of_row).sum();
            let cell = histogram.cell(place, row);
            let average = (sum - contents[cell]) / others as f64;
            let excess = (contents[cell] - average) / average.abs();
            if others > 0 && average != 0.0 && excess > tolerance {
                bad.push(cell);
            }
        }
    }
    share_of_good(x.bins * y.bins, bad)
}
