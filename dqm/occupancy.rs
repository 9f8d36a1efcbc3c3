//! Channels that see too little or too much.
//!
//! In comes a histogram with one bin a channel, all of which see about the same; out come those
//! that do not. A channel is compared with the median of all, so that no reference run is needed
//! and a few bad channels do not hide each other. It is dead when so few counts are unlikely even
//! for a channel that sees a fifth less than the median, and hot when so many are unlikely even for
//! one that sees a quarter more: so much may real channels differ, and counts of small runs
//! scatter.

use crate::chance::{at_least, at_most};
use crate::histogram::Histogram;
use crate::quality::CannotRun;

/// Name of the test, as in messages.
const NAME: &str = "occupancy";

/// When a channel is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// A good channel sees at least this share of the median.
    pub share_min: f64,
    /// And at most this one.
    pub share_max: f64,
    /// Counts that are less likely than this for the least or the most that a good channel sees are
    /// not a good channel's.
    pub chance_min: f64,
}

impl Rule {
    /// For channels that cover the same by design, as sectors of a barrel do: with eight of them it
    /// takes a good run of a hundred counts for a bad one about once in a thousand runs.
    pub const USUAL: Self = Self {
        share_min: 0.8,
        share_max: 1.25,
        chance_min: 0.005,
    };

    /// Median counts at which a channel without any is found.
    fn median_min(self) -> f64 {
        -self.chance_min.ln() / self.share_min
    }
}

/// What is wrong with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It sees too little, or nothing.
    Dead,
    /// It sees too much.
    Hot,
}

/// A channel that does not see what the others do.
#[derive(Clone, Debug, PartialEq)]
pub struct BadChannel {
    /// Its bin, 1 being the first.
    pub bin: usize,
    /// What is wrong.
    pub kind: Kind,
    /// What it has counted.
    pub counts: u64,
    /// What the median channel has counted.
    pub median: f64,
}

/// The bad channels of an unweighted histogram, in the order of their bins. It needs so many
/// entries that a channel without any would be found.
pub fn bad_channels(histogram: &Histogram, rule: Rule) -> Result<Vec<BadChannel>, CannotRun> {
    let counts: Vec<u64> = histogram.inside().iter().map(|it| *it as u64).collect();
    let median = median(&counts);
    if median < rule.median_min() {
        return Err(CannotRun::TooFewEntries {
            test: NAME,
            histogram: histogram.name().to_owned(),
            entries: histogram.entries(),
            needed: (rule.median_min() * counts.len() as f64).ceil() as u64,
        });
    }
    let judged = counts.iter().enumerate().filter_map(|(index, counts)| {
        let is_dead = at_most(*counts, rule.share_min * median) < rule.chance_min;
        let is_hot = at_least(*counts, rule.share_max * median) < rule.chance_min;
        let kind = match (is_dead, is_hot) {
            (true, _) => Kind::Dead,
            (false, true) => Kind::Hot,
            (false, false) => return None,
        };
        Some(BadChannel {
            bin: index + 1,
            kind,
            counts: *counts,
            median,
        })
    });
    Ok(judged.collect())
}

fn median(counts: &[u64]) -> f64 {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let middle = |from_below: usize| sorted.get(from_below).copied().unwrap_or(0) as f64;
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        middle(half)
    } else {
        f64::midpoint(middle(half.saturating_sub(1)), middle(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Axis;

    fn with(counts: &[u32]) -> Histogram {
        let axis = Axis {
            bins: counts.len(),
            low: 0.0,
            high: counts.len() as f64,
        };
        let mut histogram = Histogram::new("sector", "Sector", "", axis).expect("it has bins");
        for (bin, n) in counts.iter().enumerate() {
            for _ in 0..*n {
                histogram.fill(bin as f64 + 0.5).expect("it is finite");
            }
        }
        histogram
    }

    fn found(counts: &[u32]) -> Vec<(usize, Kind)> {
        let bad = bad_channels(&with(counts), Rule::USUAL).expect("there is enough");
        bad.iter().map(|it| (it.bin, it.kind)).collect()
    }

    #[test]
    fn channels_that_stand_out_are_named_and_scatter_is_not() {
        assert_eq!(found(&[100, 92, 117, 101, 83, 120, 99, 108]), []);
        assert_eq!(
            found(&[100, 0, 117, 101, 83, 120, 99, 108]),
            [(2, Kind::Dead)]
        );
        assert_eq!(
            found(&[100, 92, 117, 101, 83, 120, 99, 324]),
            [(8, Kind::Hot)]
        );
        // Two of each do not hide each other.
        assert_eq!(
            found(&[0, 0, 300, 101, 83, 360, 99, 108]),
            [
                (1, Kind::Dead),
                (2, Kind::Dead),
                (3, Kind::Hot),
                (6, Kind::Hot)
            ]
        );
        // A few counts scatter more: half as much is nothing unusual where ten are expected.
        assert_eq!(found(&[10, 5, 12, 10, 17, 8, 11, 9]), []);
        assert_eq!(
            found(&[10, 0, 12, 10, 28, 8, 11, 9]),
            [(2, Kind::Dead), (5, Kind::Hot)]
        );
        // A channel may see a fifth less, however many counts there are.
        assert_eq!(found(&[10_000, 8_000, 10_000, 10_000, 10_000, 12_500]), []);
        assert_eq!(
            found(&[10_000, 7_600, 10_000, 10_000, 10_000]),
            [(2, Kind::Dead)]
        );
    }

    #[test]
    fn a_run_in_which_nothing_would_be_found_is_told() {
        for counts in [
            &[6, 6, 6, 0, 6, 6, 6, 6][..],
            &[0; 8],
            &[0, 0, 0, 0, 0, 0, 0, 900],
        ] {
            let got = bad_channels(&with(counts), Rule::USUAL);
            assert!(
                matches!(got, Err(CannotRun::TooFewEntries { needed: 53, .. })),
                "{counts:?}: {got:?}"
            );
        }
    }
}
