//! A two-dimensional histogram with equal bins.
//!
//! In come pairs of values and weights; out come contents cell by cell with under- and overflow in
//! both coordinates. It merges like the one-dimensional one: to the same bits in any order, and
//! only with what is booked alike.

use crate::bins::Bins;
use crate::exact::{MAX_MAGNITUDE, Steps, Sums};
use crate::histogram::{Axis, HistogramError, MAX_BINS};

/// Sums over the entries between all edges, from the values themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments2d {
    /// Sum of weights.
    pub weight: f64,
    /// Sum of weight times abscissa.
    pub x: f64,
    /// Sum of weight times abscissa squared.
    pub x2: f64,
    /// Sum of weight times ordinate.
    pub y: f64,
    /// Sum of weight times ordinate squared.
    pub y2: f64,
    /// Sum of weight times abscissa times ordinate.
    pub xy: f64,
}

/// A histogram in two coordinates.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram2d {
    name: String,
    title: String,
    units: [String; 2],
    axes: [Axis; 2],
    /// As in [`Moments2d`], in its order.
    sums: Sums<6>,
    bins: Bins,
}

impl Histogram2d {
    /// An empty histogram with the units and axes of abscissa and ordinate.
    pub fn new(
        name: &str,
        title: &str,
        units: [&str; 2],
        axes: [Axis; 2],
    ) -> Result<Self, HistogramError> {
        let [x, y] = [axes[0].checked(name)?, axes[1].checked(name)?];
        let cells = (x.bins + 2) * (y.bins + 2);
        if cells > MAX_BINS {
            let (name, why) = (
                name.to_owned(),
                format!("{cells} cells, at most {MAX_BINS}"),
            );
            return Err(HistogramError::Contents { name, why });
        }
        let (of_x, of_y) = (x.steps(), y.steps());
        let steps = [
            Steps::ONES,
            of_x,
            of_x.times(of_x),
            of_y,
            of_y.times(of_y),
            of_x.times(of_y),
        ];
        Ok(Self {
            name: name.to_owned(),
            title: title.to_owned(),
            units: units.map(str::to_owned),
            axes,
            sums: Sums::new(steps),
            bins: Bins::new(cells),
        })
    }

    /// This empty histogram with contents made elsewhere, in the order of [`Self::cell`], with
    /// variances if they were weighted. The moments are those of the bin centres unless given.
    pub fn with_contents(
        self,
        contents: Vec<f64>,
        variances: Option<Vec<f64>>,
        entries: Option<u64>,
        moments: Option<Moments2d>,
    ) -> Result<Self, HistogramError> {
        let refuse = |why| {
            let name = self.name.clone();
            HistogramError::Contents { name, why }
        };
        let cells = self.bins.contents().len();
        let bins = Bins::made_of(contents, variances, entries, cells).map_err(refuse)?;
        let found = moments.unwrap_or_else(|| self.moments_of_centres(bins.contents()));
        let Moments2d {
            weight,
            x,
            x2,
            y,
            y2,
            xy,
        } = found;
        let sums = [weight, x, x2, y, y2, xy];
        if !sums.iter().all(|moment| moment.is_finite()) {
            return Err(refuse(format!("moments {sums:?}")));
        }
        Ok(self.with_sums(bins, &sums.map(|sum| vec![sum])))
    }

    /// This empty histogram with cells and the six sums as lists of numbers.
    pub(crate) fn with_sums(self, bins: Bins, sums: &[Vec<f64>; 6]) -> Self {
        let sums = Sums::of(sums, self.sums.steps());
        Self { sums, bins, ..self }
    }

    fn moments_of_centres(&self, contents: &[f64]) -> Moments2d {
        let mut moments = Moments2d::default();
        let [of_x, of_y] = self.axes;
        for place in 1..=of_x.bins {
            for row in 1..=of_y.bins {
                let content = contents[self.cell(place, row)];
                let (x, y) = (of_x.centre(place), of_y.centre(row));
                moments.weight += content;
                moments.x += content * x;
                moments.x2 += content * x * x;
                moments.y += content * y;
                moments.y2 += content * y * y;
                moments.xy += content * x * y;
            }
        }
        moments
    }

    /// The place of a cell among the contents: bins along the abscissa are neighbours, as in ROOT.
    /// 0 is the underflow of either, the number of bins and one the overflow.
    pub fn cell(&self, x_bin: usize, y_bin: usize) -> usize {
        x_bin + (self.axes[0].bins + 2) * y_bin
    }

    /// Adds an entry of weight 1. Infinite values go to the flow bins.
    pub fn fill(&mut self, x: f64, y: f64) -> Result<(), HistogramError> {
        if x.is_nan() || y.is_nan() {
            return Err(self.not_a_number(x, y, 1.0));
        }
        let (x_bin, y_bin) = (self.axes[0].bin_of(x), self.axes[1].bin_of(y));
        self.bins.add_one(self.cell(x_bin, y_bin));
        if self.axes[0].holds(x_bin) && self.axes[1].holds(y_bin) {
            self.sums.count([x, x * x, y, y * y, x * y]);
        }
        Ok(())
    }

    /// Adds an entry of any weight.
    pub fn fill_weighted(&mut self, x: f64, y: f64, weight: f64) -> Result<(), HistogramError> {
        if weight == 1.0 {
            return self.fill(x, y);
        }
        if x.is_nan() || y.is_nan() || weight.is_nan() || weight.abs() > MAX_MAGNITUDE {
            return Err(self.not_a_number(x, y, weight));
        }
        let (x_bin, y_bin) = (self.axes[0].bin_of(x), self.axes[1].bin_of(y));
        self.bins.add(self.cell(x_bin, y_bin), weight);
        if self.axes[0].holds(x_bin) && self.axes[1].holds(y_bin) {
            let (wx, wy) = (weight * x, weight * y);
            self.sums.add([weight, wx, wx * x, wy, wy * y, wx * y]);
        }
        Ok(())
    }

    #[cold]
    fn not_a_number(&self, x: f64, y: f64, weight: f64) -> HistogramError {
        let name = self.name.clone();
        let value = if x.is_nan() { x } else { y };
        HistogramError::NotANumber {
            name,
            value,
            weight,
        }
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
        Ok(())
    }

    /// Refuses a histogram with another axis or unit.
    pub fn must_be_like(&self, other: &Self) -> Result<(), HistogramError> {
        if self.axes == other.axes && self.units == other.units {
            return Ok(());
        }
        let (ours, theirs) = (self.booking(), other.booking());
        let name = self.name.clone();
        Err(HistogramError::Mismatch { name, ours, theirs })
    }

    pub(crate) fn booking(&self) -> String {
        let [x, y] = [0, 1].map(|which| self.axes[which].shown(&self.units[which]));
        format!("{x} times {y}")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its title, for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The units of abscissa and ordinate, empty for pure numbers.
    pub fn units(&self) -> [&str; 2] {
        [&self.units[0], &self.units[1]]
    }

    /// Its axes: abscissa, ordinate.
    pub fn axes(&self) -> [Axis; 2] {
        self.axes
    }

    /// All contents, in the order of [`Self::cell`].
    pub fn contents(&self) -> &[f64] {
        self.bins.contents()
    }

    /// Squared errors, in the order of [`Self::cell`].
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

    /// The sums that means and widths come from.
    pub fn moments(&self) -> Moments2d {
        let [weight, x, x2, y, y2, xy] = self.sums.values();
        Moments2d {
            weight,
            x,
            x2,
            y,
            y2,
            xy,
        }
    }

    /// The cells between all edges in the order of the contents, as their places.
    pub(crate) fn inside(&self) -> impl Iterator<Item = usize> + '_ {
        let [x, y] = self.axes;
        (1..=y.bins).flat_map(move |row| (1..=x.bins).map(move |place| self.cell(place, row)))
    }

    pub(crate) fn bins(&self) -> &Bins {
        &self.bins
    }

    pub(crate) fn sums(&self) -> &Sums<6> {
        &self.sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booked() -> Histogram2d {
        let x = Axis {
            bins: 2,
            low: 0.0,
            high: 2.0,
        };
        let y = Axis {
            bins: 3,
            low: -3.0,
            high: 3.0,
        };
        Histogram2d::new("map", "Map", ["cm", ""], [x, y]).unwrap()
    }

    #[test]
    fn pairs_fall_into_their_cells() {
        for ((x, y), cell) in [
            ((0.0, -3.0), (1, 1)),
            ((1.5, 2.9), (2, 3)),
            ((-1.0, 0.0), (0, 2)),
            ((2.0, 3.0), (3, 4)),
            ((f64::INFINITY, f64::NEG_INFINITY), (3, 0)),
        ] {
            let mut histogram = booked();
            histogram.fill(x, y).unwrap();
            let place = histogram.cell(cell.0, cell.1);
            assert_eq!(histogram.contents()[place], 1.0, "{x} {y}");
            assert_eq!(histogram.contents().iter().sum::<f64>(), 1.0);
            let inside = histogram.inside().any(|inside| inside == place);
            assert_eq!(histogram.moments().weight, f64::from(u8::from(inside)));
        }
    }

    #[test]
    fn moments_are_of_the_values_inside() {
        let mut histogram = booked();
        histogram.fill(0.25, 1.0).unwrap();
        histogram.fill_weighted(1.5, -2.0, 0.5).unwrap();
        histogram.fill(1.5, 7.0).unwrap();
        let expect = Moments2d {
            weight: 1.5,
            x: 1.0,
            x2: 1.1875,
            y: 0.0,
            y2: 3.0,
            xy: -1.25,
        };
        assert_eq!(histogram.moments(), expect);
        assert_eq!((histogram.entries(), histogram.is_weighted()), (3, true));
    }

    #[test]
    fn nonsense_is_refused_and_leaves_no_trace() {
        let mut histogram = booked();
        let before = histogram.clone();
        for (x, y, weight) in [
            (f64::NAN, 0.0, 1.0),
            (0.0, f64::NAN, 2.0),
            (0.0, 0.0, f64::INFINITY),
        ] {
            assert!(histogram.fill_weighted(x, y, weight).is_err());
        }
        let [x, y] = histogram.axes();
        for (units, axes) in [
            (["cm", "s"], [x, y]),
            (["cm", ""], [y, y]),
            (["cm", ""], [x, x]),
        ] {
            let other = Histogram2d::new("map", "", units, axes).unwrap();
            let refused = histogram.merge(&other);
            assert!(matches!(refused, Err(HistogramError::Mismatch { .. })));
        }
        assert_eq!(histogram, before);
        let many = Axis { bins: 1_000, ..x };
        assert!(Histogram2d::new("map", "", ["", ""], [many, many]).is_err());
    }
}
