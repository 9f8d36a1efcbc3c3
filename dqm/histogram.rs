//! A one-dimensional histogram with equal bins, its statistics and its merging.
//!
//! In come values and weights; out come contents with under- and overflow. Histograms merge to the
//! same bits in any order and from any split ([`crate::exact`]). Bounded in size, and never in
//! doubt: what is not a number, or does not belong together, is refused with a reason.

use crate::bins::Bins;
use crate::exact::{MAX_MAGNITUDE, Steps, Sums};

/// More bins than this are a mistake, not a histogram.
pub const MAX_BINS: usize = 100_000;

/// A value that is nearer than this to the edge of its bin, in bins, is placed by division.
const NEAR_AN_EDGE: f64 = 1e-10;

/// A histogram that cannot be made, filled or merged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// The axis makes no sense.
    #[error(
        "histogram {name}: an axis of {bins} bins from {low} to {high} is not possible; \
         use 1 to {MAX_BINS} bins and two edges in ascending order, at most {MAX_MAGNITUDE:e}"
    )]
    Axis {
        /// Name of the histogram.
        name: String,
        /// Bins asked for.
        bins: usize,
        /// Lower edge asked for.
        low: f64,
        /// Upper edge asked for.
        high: f64,
    },
    /// A value or weight is not a number, or too large to be summed.
    #[error(
        "histogram {name}: value {value} with weight {weight} cannot be filled; \
         leave out what is no number or above {MAX_MAGNITUDE:e}, and count it apart"
    )]
    NotANumber {
        /// Name of the histogram.
        name: String,
        /// Value given.
        value: f64,
        /// Weight given.
        weight: f64,
    },
    /// Contents that do not fit the axis or are not finite.
    #[error("histogram {name}: contents cannot be taken over, {why}; write the file again")]
    Contents {
        /// Name of the histogram.
        name: String,
        /// What is wrong with them.
        why: String,
    },
    /// Two histograms that are not of one kind.
    #[error(
        "histogram {name}: {ours} cannot be merged or compared with {theirs}; \
         both sides must be booked alike"
    )]
    Mismatch {
        /// Name of the histogram.
        name: String,
        /// Axis and unit of this one.
        ours: String,
        /// Axis and unit of the other one.
        theirs: String,
    },
}

/// Equal bins from `low` to `high`; the lower edge of a bin belongs to it, the upper to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    /// Bins between the edges.
    pub bins: usize,
    /// Lower edge, in the histogram's unit.
    pub low: f64,
    /// Upper edge, in the histogram's unit.
    pub high: f64,
}

impl Axis {
    /// Width of a bin, in the histogram's unit.
    pub fn width(&self) -> f64 {
        (self.high - self.low) / self.bins as f64
    }

    /// Centre of bin `bin`, where 1 is the first.
    pub fn centre(&self, bin: usize) -> f64 {
        self.low + (bin as f64 - 0.5) * self.width()
    }

    /// The bin of `value`: 0 is the underflow, `bins + 1` the overflow.
    #[inline]
    pub(crate) fn bin_of(&self, value: f64) -> usize {
        if value < self.low {
            0
        } else if value >= self.high {
            self.bins + 1
        } else {
            let place = (value - self.low) / (self.high - self.low) * self.bins as f64;
            (place as usize).min(self.bins - 1) + 1
        }
    }

    /// Whether a bin lies between the edges.
    #[inline]
    pub(crate) fn holds(&self, bin: usize) -> bool {
        bin.wrapping_sub(1) < self.bins
    }

    /// The steps in which coordinates between the edges are summed.
    pub(crate) fn steps(&self) -> Steps {
        Steps::up_to(self.low.abs().max(self.high.abs()))
    }

    /// Refuses an axis that makes no sense.
    pub(crate) fn checked(self, name: &str) -> Result<Self, HistogramError> {
        let Self { bins, low, high } = self;
        let finite = low.abs() <= MAX_MAGNITUDE && high.abs() <= MAX_MAGNITUDE;
        if (1..=MAX_BINS).contains(&bins) && finite && low < high {
            return Ok(self);
        }
        let name = name.to_owned();
        Err(HistogramError::Axis {
            name,
            bins,
            low,
            high,
        })
    }

    pub(crate) fn shown(&self, unit: &str) -> String {
        let Self { bins, low, high } = self;
        format!("{bins} bins from {low} to {high} [{unit}]")
    }
}

/// Sums over the entries inside the axis, from the values themselves and not from bin centres.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Sum of weights.
    pub weight: f64,
    /// Sum of weight times value.
    pub x: f64,
    /// Sum of weight times value squared.
    pub x2: f64,
}

/// A histogram. Contents and variances hold the underflow first and the overflow last.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    name: String,
    title: String,
    unit: String,
    /// The first letters of the unit, which are all of most.
    unit_start: u64,
    axis: Axis,
    bins_a_unit: f64,
    /// Weight, weight times value, weight times value squared, of entries between the edges.
    sums: Sums<3>,
    bins: Bins,
}

/// Up to eight letters in one word.
fn start_of(text: &str) -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    bytes
        .iter_mut()
        .zip(text.bytes())
        .for_each(|(into, byte)| *into = byte);
    u64::from_le_bytes(bytes)
}

impl Histogram {
    /// An empty histogram. `unit` is that of the abscissa, empty for a pure number.
    pub fn new(name: &str, title: &str, unit: &str, axis: Axis) -> Result<Self, HistogramError> {
        let axis = axis.checked(name)?;
        let steps = axis.steps();
        Ok(Self {
            name: name.to_owned(),
            title: title.to_owned(),
            unit: unit.to_owned(),
            unit_start: start_of(unit),
            axis,
            bins_a_unit: axis.bins as f64 / (axis.high - axis.low),
            sums: Sums::new([Steps::ONES, steps, steps.times(steps)]),
            bins: Bins::new(axis.bins + 2),
        })
    }

    /// This empty histogram with contents made elsewhere (under- and overflow included), with
    /// variances if they were weighted; contents that are not whole numbers were. The moments are
    /// those of the bin centres unless given.
    pub fn with_contents(
        self,
        contents: Vec<f64>,
        variances: Option<Vec<f64>>,
        entries: Option<u64>,
        moments: Option<Moments>,
    ) -> Result<Self, HistogramError> {
        let bins = Bins::made_of(contents, variances, entries, self.axis.bins + 2);
        let bins = bins.map_err(|why| self.refuse(why))?;
        let Moments { weight, x, x2 } =
            moments.unwrap_or_else(|| self.moments_of_centres(bins.contents()));
        if ![weight, x, x2].iter().all(|moment| moment.is_finite()) {
            return Err(self.refuse(format!("moments {weight}, {x}, {x2}")));
        }
        let sums = [vec![weight], vec![x], vec![x2]];
        Ok(self.with_sums(bins, &sums))
    }

    /// This empty histogram with cells and the three sums as lists of numbers.
    pub(crate) fn with_sums(self, bins: Bins, sums: &[Vec<f64>; 3]) -> Self {
        let sums = Sums::of(sums, self.sums.steps());
        Self { sums, bins, ..self }
    }

    fn refuse(&self, why: String) -> HistogramError {
        let name = self.name.clone();
        HistogramError::Contents { name, why }
    }

    fn moments_of_centres(&self, contents: &[f64]) -> Moments {
        let mut moments = Moments::default();
        for (bin, content) in contents.iter().enumerate().skip(1).take(self.axis.bins) {
            let centre = self.axis.centre(bin);
            moments.weight += content;
            moments.x += content * centre;
            moments.x2 += content * centre * centre;
        }
        moments
    }

    /// Adds an entry of weight 1. Infinite values go to the under- or overflow; what is not a
    /// number is refused.
    #[expect(
        clippy::inline_always,
        reason = "jobs spend their time here, and a call costs a third"
    )]
    #[inline(always)]
    pub fn fill(&mut self, value: f64) -> Result<(), HistogramError> {
        let Axis { low, high, .. } = self.axis;
        // The way of an entry between the edges comes first. Its bin is that of `Axis::bin_of`,
        // which divides: the product is off by less than 5e-11 of a bin, so only near an edge can
        // it differ.
        if value >= low && value < high {
            let place = (value - low) * self.bins_a_unit;
            // Bins fit into 32 bits, whose conversion is the cheapest.
            let bin = place as u32;
            let from_middle = place - f64::from(bin) - 0.5;
            if from_middle.abs() < 0.5 - NEAR_AN_EDGE {
                self.sums.count([value, value * value]);
                self.bins.add_one(bin as usize + 1);
                return Ok(());
            }
        }
        self.fill_anywhere(value)
    }

    #[cold]
    #[inline(never)]
    fn fill_anywhere(&mut self, value: f64) -> Result<(), HistogramError> {
        if value.is_nan() {
            return Err(self.not_a_number(value, 1.0));
        }
        let bin = self.axis.bin_of(value);
        if self.axis.holds(bin) {
            self.sums.count([value, value * value]);
        }
        self.bins.add_one(bin);
        Ok(())
    }

    /// Adds an entry of any weight.
    pub fn fill_weighted(&mut self, value: f64, weight: f64) -> Result<(), HistogramError> {
        if weight == 1.0 {
            return self.fill(value);
        }
        if value.is_nan() || weight.is_nan() || weight.abs() > MAX_MAGNITUDE {
            return Err(self.not_a_number(value, weight));
        }
        let bin = self.axis.bin_of(value);
        self.bins.add(bin, weight);
        if self.axis.holds(bin) {
            self.sums
                .add([weight, weight * value, weight * value * value]);
        }
        Ok(())
    }

    #[cold]
    fn not_a_number(&self, value: f64, weight: f64) -> HistogramError {
        let name = self.name.clone();
        HistogramError::NotANumber {
            name,
            value,
            weight,
        }
    }

    /// Adds the entries of `other`, which must be booked alike.
    pub fn merge(&mut self, other: &Self) -> Result<(), HistogramError> {
        self.must_be_like(other)?;
        self.bins
            .fits(&other.bins)
            .map_err(|why| self.refuse(why))?;
        self.bins.merge(&other.bins);
        self.sums.merge(&other.sums);
        Ok(())
    }

    /// Refuses a histogram with another axis or unit.
    pub fn must_be_like(&self, other: &Self) -> Result<(), HistogramError> {
        // Nearly always all of it is the same to the bit, and that is one comparison.
        let words = |of: &Self| {
            let Axis { bins, low, high } = of.axis;
            [
                bins as u64,
                low.to_bits(),
                high.to_bits(),
                of.unit.len() as u64,
                of.unit_start,
            ]
        };
        let (ours, theirs) = (words(self), words(other));
        let mut differ = 0;
        for (a, b) in ours.into_iter().zip(theirs) {
            differ |= a ^ b;
        }
        let short = self.unit.len() <= size_of::<u64>();
        if differ == 0 && short || self.axis == other.axis && self.unit == other.unit {
            return Ok(());
        }
        Err(self.mismatch(other))
    }

    #[cold]
    fn mismatch(&self, other: &Self) -> HistogramError {
        let (ours, theirs) = (self.booking(), other.booking());
        let name = self.name.clone();
        HistogramError::Mismatch { name, ours, theirs }
    }

    pub(crate) fn booking(&self) -> String {
        self.axis.shown(&self.unit)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its title, for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The unit of the abscissa, empty for a pure number.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Its axis.
    pub fn axis(&self) -> Axis {
        self.axis
    }

    /// Contents, underflow first and overflow last.
    pub fn contents(&self) -> &[f64] {
        self.bins.contents()
    }

    /// Contents between the edges; the first is bin 1.
    pub fn inside(&self) -> &[f64] {
        &self.contents()[1..=self.axis.bins]
    }

    /// Squared errors, underflow first and overflow last.
    pub fn variances(&self) -> &[f64] {
        self.bins.variances()
    }

    /// Whether some weight was not 1.
    pub fn is_weighted(&self) -> bool {
        self.bins.is_weighted()
    }

    /// Entries filled, flow bins included, whatever their weights.
    pub fn entries(&self) -> u64 {
        self.bins.entries()
    }

    /// The sums that mean and width come from.
    pub fn moments(&self) -> Moments {
        let [weight, x, x2] = self.sums.values();
        Moments { weight, x, x2 }
    }

    pub(crate) fn bins(&self) -> &Bins {
        &self.bins
    }

    pub(crate) fn sums(&self) -> &Sums<3> {
        &self.sums
    }

    /// Effective entries between the edges: (sum of weights)^2 / sum of squared weights.
    pub fn effective_entries(&self) -> f64 {
        let sum: f64 = self.inside().iter().sum();
        let squares: f64 = self.variances()[1..=self.axis.bins].iter().sum();
        if squares > 0.0 {
            sum * sum / squares
        } else {
            0.0
        }
    }

    /// Mean of the entries between the edges; none when their weights add up to nothing.
    pub fn mean(&self) -> Option<f64> {
        let Moments { weight, x, .. } = self.moments();
        (weight > 0.0).then(|| x / weight)
    }

    /// Standard deviation of the entries between the edges (divided by n, as ROOT does).
    pub fn rms(&self) -> Option<f64> {
        let mean = self.mean()?;
        let Moments { weight, x2, .. } = self.moments();
        Some((x2 / weight - mean * mean).max(0.0).sqrt())
    }

    /// Error of the mean.
    pub fn mean_error(&self) -> Option<f64> {
        Some(self.rms()? / self.effective_entries().sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    const AXIS: Axis = Axis {
        bins: 4,
        low: 0.0,
        high: 2.0,
    };

    fn filled(values: &[(f64, f64)]) -> Histogram {
        let mut histogram = Histogram::new("h", "H", "GeV", AXIS).unwrap();
        for (value, weight) in values {
            histogram.fill_weighted(*value, *weight).unwrap();
        }
        histogram
    }

    #[test]
    fn values_fall_into_their_bins() {
        for (value, bin) in [
            (-0.1, 0),
            (f64::NEG_INFINITY, 0),
            (0.0, 1),
            (0.499, 1),
            (0.5, 2),
            (1.999, 4),
            (2.0, 5),
            (f64::INFINITY, 5),
        ] {
            let histogram = filled(&[(value, 1.0)]);
            let mut expect = vec![0.0; 6];
            expect[bin] = 1.0;
            assert_eq!(histogram.contents(), expect, "{value}");
            assert_eq!(
                histogram.mean().is_some(),
                (1..=4).contains(&bin),
                "{value}"
            );
        }
    }

    #[test]
    fn every_value_falls_where_the_axis_says_it_does() {
        let axis = |bins, low, high| Axis { bins, low, high };
        for axis in [
            AXIS,
            axis(100, 60.0, 120.0),
            axis(7, -0.1, 0.3),
            axis(MAX_BINS, -PI, PI),
            axis(3, 1e-300, 1e-299),
            axis(3, 0.0, f64::MIN_POSITIVE),
            axis(MAX_BINS, 1e59, 1e60),
        ] {
            let empty = Histogram::new("h", "", "", axis).unwrap();
            let steps = axis.bins.min(1_000);
            let edge = |n: usize| axis.low + (axis.high - axis.low) * (n as f64 / steps as f64);
            for n in 0..=steps {
                for value in [
                    edge(n),
                    edge(n).next_down(),
                    edge(n).next_up(),
                    edge(n) * 1.000_1,
                ] {
                    let mut histogram = empty.clone();
                    histogram.fill(value).unwrap();
                    let bin = axis.bin_of(value);
                    assert_eq!(histogram.contents()[bin], 1.0, "{value} on {axis:?}");
                    assert_eq!(
                        histogram.mean().is_some(),
                        axis.holds(bin),
                        "{value} on {axis:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn units_that_differ_are_told_apart_however_long_they_are() {
        for (ours, theirs) in [
            ("GeV", "MeV"),
            ("GeV", "GeV2"),
            ("", "\0"),
            ("micrometre", "micrometres"),
            ("micrometre", "micrometer"),
            ("micromet", "micrometre"),
        ] {
            let booked = |unit| Histogram::new("h", "", unit, AXIS).unwrap();
            assert!(booked(ours).must_be_like(&booked(ours)).is_ok(), "{ours}");
            assert!(
                booked(ours).must_be_like(&booked(theirs)).is_err(),
                "{ours} {theirs}"
            );
        }
        let zero = |low| Histogram::new("h", "", "", Axis { low, ..AXIS }).unwrap();
        assert!(zero(0.0).must_be_like(&zero(-0.0)).is_ok());
    }

    #[test]
    fn statistics_are_of_the_values_inside() {
        let histogram = filled(&[(0.1, 1.0), (1.1, 1.0), (1.8, 2.0), (7.0, 1.0)]);
        assert_eq!(histogram.entries(), 4);
        assert!((histogram.mean().unwrap() - 1.2).abs() < 1e-12);
        let variance: f64 = (1.1 * 1.1 + 0.1 * 0.1 + 2.0 * 0.6 * 0.6) / 4.0;
        assert!((histogram.rms().unwrap() - variance.sqrt()).abs() < 1e-12);
        assert!((histogram.effective_entries() - 16.0 / 6.0).abs() < 1e-12);
        assert_eq!(histogram.variances(), [0.0, 1.0, 0.0, 1.0, 4.0, 1.0]);
    }

    #[test]
    fn any_split_merges_to_the_same_histogram() {
        // Multiples of an eighth add up without rounding, so equality is exact.
        let entry = |i: i32| {
            (
                f64::from(i % 23) / 8.0 - 0.25,
                if i % 3 == 0 { 0.5 } else { 1.0 },
            )
        };
        let all: Vec<(f64, f64)> = (0..200).map(entry).collect();
        for parts in [1, 2, 7, 200] {
            let mut merged = filled(&[]);
            for part in (0..parts).rev() {
                let some: Vec<_> = all.iter().copied().skip(part).step_by(parts).collect();
                merged.merge(&filled(&some)).unwrap();
            }
            assert_eq!(merged, filled(&all), "{parts}");
        }
    }

    #[test]
    fn nonsense_is_refused_and_leaves_no_trace() {
        let mut histogram = filled(&[(1.0, 1.0)]);
        let before = histogram.clone();
        for (value, weight) in [(f64::NAN, 1.0), (1.0, f64::NAN), (1.0, f64::INFINITY)] {
            assert!(histogram.fill_weighted(value, weight).is_err());
        }
        let finer = Histogram::new("h", "H", "GeV", Axis { bins: 5, ..AXIS }).unwrap();
        let in_cm = Histogram::new("h", "H", "cm", AXIS).unwrap();
        for other in [finer, in_cm] {
            assert!(matches!(
                histogram.merge(&other),
                Err(HistogramError::Mismatch { .. })
            ));
        }
        assert_eq!(histogram, before);
        for axis in [
            Axis { bins: 0, ..AXIS },
            Axis {
                bins: MAX_BINS + 1,
                ..AXIS
            },
            Axis { high: 0.0, ..AXIS },
            Axis {
                low: f64::NAN,
                ..AXIS
            },
            Axis {
                high: f64::INFINITY,
                ..AXIS
            },
        ] {
            assert!(Histogram::new("h", "", "", axis).is_err(), "{axis:?}");
        }
        for (contents, variances) in [
            (vec![0.0; 5], None),
            (vec![f64::NAN; 6], None),
            (vec![-1.0; 6], None),
            (vec![1.0; 6], Some(vec![1.0; 7])),
            (vec![1.0; 6], Some(vec![-1.0; 6])),
        ] {
            let made = filled(&[]).with_contents(contents, variances, None, None);
            assert!(matches!(made, Err(HistogramError::Contents { .. })));
        }
    }
}
