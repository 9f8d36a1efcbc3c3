//! A profile: the mean of one quantity in bins of another.
//!
//! In come pairs of values and weights; out come per bin the mean of the ordinate and its error.
//! Kept are the sums of weights, of weight times ordinate and of weight times its square, all exact
//! until they are looked at, so that profiles too merge to the same bits in any order.

use crate::bins::Bins;
use crate::exact::{ExactSum, MAX_MAGNITUDE, Steps, Sums};
use crate::histogram::{Axis, HistogramError, Moments};

/// What the error of a bin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOption {
    /// The error of the mean: the spread over the root of the effective entries.
    Mean,
    /// The spread of the ordinate (option "s" of ROOT).
    Spread,
}

/// How a profile is booked.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileBooking {
    /// Unit of the abscissa, empty for a pure number.
    pub unit: String,
    /// Unit of the ordinate.
    pub ordinate_unit: String,
    /// Bins of the abscissa.
    pub axis: Axis,
    /// Ordinates outside of these two, which are included, are left out and not counted.
    pub ordinates: Option<[f64; 2]>,
    /// What the error of a bin is.
    pub error: ErrorOption,
}

/// A profile. Lists hold the underflow first and the overflow last.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    name: String,
    title: String,
    booking: ProfileBooking,
    /// Weight, weight times abscissa, weight times its square, of entries between the edges.
    sums: Sums<3>,
    /// Weights.
    bins: Bins,
    /// Weight times ordinate.
    y: Vec<ExactSum>,
    /// Weight times ordinate squared.
    y2: Vec<ExactSum>,
}

impl Profile {
    /// An empty profile.
    pub fn new(name: &str, title: &str, booking: ProfileBooking) -> Result<Self, HistogramError> {
        let axis = booking.axis.checked(name)?;
        if let Some([low, high]) = booking.ordinates {
            Axis { bins: 1, low, high }.checked(name)?;
        }
        let steps = axis.steps();
        Ok(Self {
            name: name.to_owned(),
            title: title.to_owned(),
            booking,
            sums: Sums::new([Steps::ONES, steps, steps.times(steps)]),
            bins: Bins::new(axis.bins + 2),
            y: vec![ExactSum::default(); axis.bins + 2],
            y2: vec![ExactSum::default(); axis.bins + 2],
        })
    }

    /// This empty profile with sums made elsewhere; `sums` are lists of numbers.
    pub(crate) fn with_sums(
        self,
        bins: Bins,
        [y, y2]: [Vec<ExactSum>; 2],
        sums: &[Vec<f64>; 3],
    ) -> Self {
        let sums = Sums::of(sums, self.sums.steps());
        Self {
            sums,
            bins,
            y,
            y2,
            ..self
        }
    }

    /// Adds an entry of weight 1. An abscissa that is infinite goes to a flow bin.
    pub fn fill(&mut self, x: f64, y: f64) -> Result<(), HistogramError> {
        self.fill_weighted(x, y, 1.0)
    }

    /// Adds an entry of any weight.
    pub fn fill_weighted(&mut self, x: f64, y: f64, weight: f64) -> Result<(), HistogramError> {
        let sane = y.abs() <= MAX_MAGNITUDE && weight.abs() <= MAX_MAGNITUDE;
        if x.is_nan() || !sane {
            let name = self.name.clone();
            let value = if x.is_nan() { x } else { y };
            return Err(HistogramError::NotANumber {
                name,
                value,
                weight,
            });
        }
        if let Some([low, high]) = self.booking.ordinates
            && !(low..=high).contains(&y)
        {
            return Ok(());
        }
        let axis = self.booking.axis;
        let bin = axis.bin_of(x);
        self.y[bin].add(weight * y);
        self.y2[bin].add(weight * y * y);
        if weight == 1.0 {
            self.bins.add_one(bin);
            if axis.holds(bin) {
                self.sums.count([x, x * x]);
            }
        } else {
            self.bins.add(bin, weight);
            if axis.holds(bin) {
                self.sums.add([weight, weight * x, weight * x * x]);
            }
        }
        Ok(())
    }

    /// Adds the entries of `other`, which must be booked alike.
    pub fn merge(&mut self, other: &Self) -> Result<(), HistogramError> {
        self.must_be_like(other)?;
        self.bins.fits(&other.bins).map_err(|why| {
            let name = self.name.clone();
            HistogramError::Contents { name, why }
        })?;
        self.bins.merge(&other.bins);
        self.sums.merge(&other.sums);
        for (ours, theirs) in [(&mut self.y, &other.y), (&mut self.y2, &other.y2)] {
            ours.iter_mut()
                .zip(theirs)
                .for_each(|(ours, theirs)| ours.merge(theirs));
        }
        Ok(())
    }

    /// Refuses a profile that is booked otherwise.
    pub fn must_be_like(&self, other: &Self) -> Result<(), HistogramError> {
        if self.booking == other.booking {
            return Ok(());
        }
        let (ours, theirs) = (self.booked(), other.booked());
        let name = self.name.clone();
        Err(HistogramError::Mismatch { name, ours, theirs })
    }

    pub(crate) fn booked(&self) -> String {
        let ProfileBooking {
            unit,
            ordinate_unit,
            axis,
            ordinates,
            error,
        } = &self.booking;
        let axis = axis.shown(unit);
        format!("a profile of {axis}, ordinates {ordinates:?} [{ordinate_unit}], {error:?}")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its title, for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// How it is booked.
    pub fn booking(&self) -> &ProfileBooking {
        &self.booking
    }

    /// Entries taken, flow bins included, whatever their weights.
    pub fn entries(&self) -> u64 {
        self.bins.entries()
    }

    /// Whether some weight was not 1.
    pub fn is_weighted(&self) -> bool {
        self.bins.is_weighted()
    }

    /// Sums of weights of the bins.
    pub fn weights(&self) -> &[f64] {
        self.bins.contents()
    }

    /// Sums of squared weights of the bins.
    pub fn squared_weights(&self) -> &[f64] {
        self.bins.variances()
    }

    /// Sum of weight times ordinate of a bin.
    pub fn y(&self, bin: usize) -> f64 {
        self.y[bin].value()
    }

    /// Sum of weight times ordinate squared of a bin.
    pub fn y2(&self, bin: usize) -> f64 {
        self.y2[bin].value()
    }

    /// The mean ordinate of a bin; none where the weights add up to nothing.
    pub fn mean(&self, bin: usize) -> Option<f64> {
        let weight = self.weights()[bin];
        (weight != 0.0).then(|| self.y(bin) / weight)
    }

    /// The spread of the ordinate in a bin, divided by n as in ROOT.
    pub fn spread(&self, bin: usize) -> Option<f64> {
        let mean = self.mean(bin)?;
        Some(
            (self.y2(bin) / self.weights()[bin] - mean * mean)
                .abs()
                .sqrt(),
        )
    }

    /// The error of a bin under the option it is booked with (`TProfile::GetBinError`).
    pub fn error(&self, bin: usize) -> Option<f64> {
        let spread = self.spread(bin)?;
        Some(match self.booking.error {
            ErrorOption::Spread => spread,
            ErrorOption::Mean => spread / self.effective_entries(bin)?.sqrt(),
        })
    }

    /// (Sum of weights)^2 / sum of squared weights of a bin.
    fn effective_entries(&self, bin: usize) -> Option<f64> {
        let squares = self.squared_weights()[bin];
        (squares > 0.0).then(|| self.weights()[bin].powi(2) / squares)
    }

    /// Sums over the entries between the edges: of the abscissa.
    pub fn moments(&self) -> Moments {
        let [weight, x, x2] = self.sums.values();
        Moments { weight, x, x2 }
    }

    /// Sums over the entries between the edges: weight times ordinate, and its square.
    pub fn ordinate_moments(&self) -> [f64; 2] {
        [&self.y, &self.y2].map(|of| {
            let mut total = ExactSum::default();
            of[1..=self.booking.axis.bins]
                .iter()
                .for_each(|sum| total.merge(sum));
            total.value()
        })
    }

    pub(crate) fn bins(&self) -> &Bins {
        &self.bins
    }

    pub(crate) fn sums(&self) -> &Sums<3> {
        &self.sums
    }

    pub(crate) fn ordinate_sums(&self) -> [&[ExactSum]; 2] {
        [&self.y, &self.y2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booked(error: ErrorOption, ordinates: Option<[f64; 2]>) -> Profile {
        let booking = ProfileBooking {
            unit: String::new(),
            ordinate_unit: "GeV".to_owned(),
            axis: Axis {
                bins: 2,
                low: 0.0,
                high: 2.0,
            },
            ordinates,
            error,
        };
        Profile::new("p", "P", booking).unwrap()
    }

    /// Numbers of ROOT 6.40: `TProfile p("p","",2,0,2); p.Fill(.5,3); p.Fill(.5,5);
    /// p.Fill(1.5,2,.5)`.
    #[test]
    fn means_and_errors_are_those_of_root() {
        let mut profile = booked(ErrorOption::Mean, None);
        let mut spread = booked(ErrorOption::Spread, None);
        for (x, y, weight) in [(0.5, 3.0, 1.0), (0.5, 5.0, 1.0), (1.5, 2.0, 0.5)] {
            profile.fill_weighted(x, y, weight).unwrap();
            spread.fill_weighted(x, y, weight).unwrap();
        }
        assert_eq!((profile.mean(1), profile.mean(2)), (Some(4.0), Some(2.0)));
        assert_eq!(profile.error(1), Some(1.0 / 2.0_f64.sqrt()));
        assert_eq!(
            (spread.error(1), spread.error(2), spread.error(0)),
            (Some(1.0), Some(0.0), None)
        );
        assert_eq!(
            profile.moments(),
            Moments {
                weight: 2.5,
                x: 1.75,
                x2: 1.625
            }
        );
        assert_eq!(profile.ordinate_moments(), [9.0, 36.0]);
        assert_eq!(profile.squared_weights(), [0.0, 2.0, 0.25, 0.0]);
        assert!(profile.merge(&spread).is_err());
    }

    #[test]
    fn ordinates_outside_are_left_out_and_nonsense_is_refused() {
        let mut profile = booked(ErrorOption::Mean, Some([0.0, 4.0]));
        for (x, y) in [(0.5, 4.0), (0.5, 4.5), (0.5, -0.5)] {
            profile.fill(x, y).unwrap();
        }
        assert_eq!((profile.entries(), profile.mean(1)), (1, Some(4.0)));
        for (x, y) in [(f64::NAN, 1.0), (0.5, f64::NAN), (0.5, f64::INFINITY)] {
            assert!(profile.fill(x, y).is_err());
        }
        assert_eq!(profile.entries(), 1);
        let backwards = booked(ErrorOption::Mean, None).booking.clone();
        let backwards = ProfileBooking {
            ordinates: Some([1.0, 0.0]),
            ..backwards
        };
        assert!(Profile::new("p", "", backwards).is_err());
    }
}
