//! A one-dimensional histogram with equal bins, its statistics and its merging.
//!
//! In come values and weights; out come contents with under- and overflow. Bounded in size, and
//! never in doubt: what is not a number, or does not belong together, is refused with a reason.

/// More bins than this are a mistake, not a histogram.
pub const MAX_BINS: usize = 100_000;

/// A histogram that cannot be made, filled or merged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// The axis makes no sense.
    #[error(
        "histogram {name}: an axis of {bins} bins from {low} to {high} is not possible; \
         use 1 to {MAX_BINS} bins and two finite edges in ascending order"
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
    /// A value or weight is not a number.
    #[error(
        "histogram {name}: value {value} with weight {weight} cannot be filled; \
         leave such entries out and count them apart"
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
    fn bin_of(&self, value: f64) -> usize {
        if value < self.low {
            0
        } else if value >= self.high {
            self.bins + 1
        } else {
            let place = (value - self.low) / (self.high - self.low) * self.bins as f64;
            (place as usize).min(self.bins - 1) + 1
        }
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
    axis: Axis,
    contents: Vec<f64>,
    /// Sums of squared weights; absent while every weight is 1, when they equal the contents.
    variances: Option<Vec<f64>>,
    entries: u64,
    moments: Moments,
}

impl Histogram {
    /// An empty histogram. `unit` is that of the abscissa, empty for a pure number.
    pub fn new(name: &str, title: &str, unit: &str, axis: Axis) -> Result<Self, HistogramError> {
        let Axis { bins, low, high } = axis;
        let possible = (1..=MAX_BINS).contains(&bins) && low.is_finite() && high.is_finite();
        if !possible || low >= high {
            return Err(HistogramError::Axis {
                name: name.to_owned(),
                bins,
                low,
                high,
            });
        }
        Ok(Self {
            name: name.to_owned(),
            title: title.to_owned(),
            unit: unit.to_owned(),
            axis,
            contents: vec![0.0; bins + 2],
            variances: None,
            entries: 0,
            moments: Moments::default(),
        })
    }

    /// This empty histogram with contents made elsewhere (under- and overflow included), with
    /// variances if they were weighted. The moments are those of the bin centres unless given.
    pub fn with_contents(
        self,
        contents: Vec<f64>,
        variances: Option<Vec<f64>>,
        entries: Option<u64>,
        moments: Option<Moments>,
    ) -> Result<Self, HistogramError> {
        let refuse = |why: String| HistogramError::Contents {
            name: self.name.clone(),
            why,
        };
        let expected = self.axis.bins + 2;
        for values in [Some(&contents), variances.as_ref()].into_iter().flatten() {
            if values.len() != expected {
                return Err(refuse(format!(
                    "{} values for {expected} bins",
                    values.len()
                )));
            }
            if let Some(bin) = values.iter().position(|value| !value.is_finite()) {
                return Err(refuse(format!("bin {bin} is {}", values[bin])));
            }
        }
        let negative = variances
            .as_ref()
            .unwrap_or(&contents)
            .iter()
            .position(|v| *v < 0.0);
        if let Some(bin) = negative {
            return Err(refuse(format!("bin {bin} has a negative variance")));
        }
        let entries = entries.unwrap_or_else(|| contents.iter().sum::<f64>().round() as u64);
        let moments = moments.unwrap_or_else(|| self.moments_of_centres(&contents));
        Ok(Self {
            contents,
            variances,
            entries,
            moments,
            ..self
        })
    }

    fn moments_of_centres(&self, contents: &[f64]) -> Moments {
        let mut moments = Moments::default();
        for (bin, content) in contents.iter().enumerate().skip(1).take(self.axis.bins) {
            moments.add(self.axis.centre(bin), *content);
        }
        moments
    }

    /// Adds an entry of weight 1.
    pub fn fill(&mut self, value: f64) -> Result<(), HistogramError> {
        self.fill_weighted(value, 1.0)
    }

    /// Adds an entry. Infinite values go to the under- or overflow; what is not a number is
    /// refused.
    pub fn fill_weighted(&mut self, value: f64, weight: f64) -> Result<(), HistogramError> {
        if value.is_nan() || !weight.is_finite() {
            let name = self.name.clone();
            return Err(HistogramError::NotANumber {
                name,
                value,
                weight,
            });
        }
        let bin = self.axis.bin_of(value);
        if weight != 1.0 && self.variances.is_none() {
            self.variances = Some(self.contents.clone());
        }
        self.contents[bin] += weight;
        if let Some(variances) = &mut self.variances {
            variances[bin] += weight * weight;
        }
        self.entries += 1;
        if (1..=self.axis.bins).contains(&bin) {
            self.moments.add(value, weight);
        }
        Ok(())
    }

    /// Adds the entries of `other`, which must be booked alike.
    pub fn merge(&mut self, other: &Self) -> Result<(), HistogramError> {
        self.must_be_like(other)?;
        if let (None, Some(_)) = (&self.variances, &other.variances) {
            self.variances = Some(self.contents.clone());
        }
        if let Some(variances) = &mut self.variances {
            let added = other.variances.as_ref().unwrap_or(&other.contents);
            variances
                .iter_mut()
                .zip(added)
                .for_each(|(ours, theirs)| *ours += theirs);
        }
        self.contents
            .iter_mut()
            .zip(&other.contents)
            .for_each(|(ours, theirs)| *ours += theirs);
        self.entries += other.entries;
        self.moments.weight += other.moments.weight;
        self.moments.x += other.moments.x;
        self.moments.x2 += other.moments.x2;
        Ok(())
    }

    /// Refuses a histogram with another axis or unit.
    pub fn must_be_like(&self, other: &Self) -> Result<(), HistogramError> {
        if self.axis == other.axis && self.unit == other.unit {
            return Ok(());
        }
        let (ours, theirs) = (self.booking(), other.booking());
        Err(HistogramError::Mismatch {
            name: self.name.clone(),
            ours,
            theirs,
        })
    }

    fn booking(&self) -> String {
        let Axis { bins, low, high } = self.axis;
        format!("{bins} bins from {low} to {high} [{}]", self.unit)
    }

    /// Its name, a path such as `muons/mass`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its title, for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The unit of the abscissa.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Its axis.
    pub fn axis(&self) -> Axis {
        self.axis
    }

    /// Contents, underflow first and overflow last.
    pub fn contents(&self) -> &[f64] {
        &self.contents
    }

    /// Contents between the edges; the first is bin 1.
    pub fn inside(&self) -> &[f64] {
        &self.contents[1..=self.axis.bins]
    }

    /// Squared errors, underflow first and overflow last.
    pub fn variances(&self) -> &[f64] {
        self.variances.as_ref().unwrap_or(&self.contents)
    }

    /// Whether some weight was not 1.
    pub fn is_weighted(&self) -> bool {
        self.variances.is_some()
    }

    /// Entries filled, flow bins included, whatever their weights.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The sums that mean and width come from.
    pub fn moments(&self) -> Moments {
        self.moments
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
        (self.moments.weight > 0.0).then(|| self.moments.x / self.moments.weight)
    }

    /// Standard deviation of the entries between the edges (divided by n, as ROOT does).
    pub fn rms(&self) -> Option<f64> {
        let mean = self.mean()?;
        Some(
            (self.moments.x2 / self.moments.weight - mean * mean)
                .max(0.0)
                .sqrt(),
        )
    }

    /// Error of the mean.
    pub fn mean_error(&self) -> Option<f64> {
        Some(self.rms()? / self.effective_entries().sqrt())
    }
}

impl Moments {
    fn add(&mut self, value: f64, weight: f64) {
        self.weight += weight;
        self.x += weight * value;
        self.x2 += weight * value * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
