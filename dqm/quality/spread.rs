//! Tests of how contents lie around each other: within what is expected, against the median of
//! their row, the last one filled, their variance. In come histograms and profiles, out come shares
//! of good bins or why there are none. After `QTest.cc`; where that has a pass for "nothing there",
//! this says that there is nothing.

use super::{CannotRun, Measured, share_of_good};
use crate::histogram::Histogram;
use crate::histogram2d::Histogram2d;
use crate::profile::Profile;
use serde::{Deserialize, Serialize};

/// What contents are expected to be. Ranges include their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentExpectation {
    /// Range of a content (of a profile: of a mean).
    pub mean: Option<[f64; 2]>,
    /// Range of its error.
    pub rms: Option<[f64; 2]>,
    /// How far it may be from the average of all, relative to that.
    pub tolerance: Option<f64>,
    /// With fewer entries in all the test does not run; a bin of a profile is judged from this
    /// over the number of bins on.
    pub min_entries: u64,
    /// Cells without content are left out, and only `mean` is looked at ("AS" in `QTest.cc`).
    pub filled_only: bool,
}

/// A bin or cell that is judged.
struct Cell {
    place: usize,
    content: f64,
    error: f64,
}

impl ContentExpectation {
    const TEST: &'static str = "contents_within_expected";

    /// The share of good ones of all bins; those that are not among the cells are good. It takes
    /// one cell that was judged at least: without any nobody has looked.
    fn share(&self, name: &str, all: usize, cells: &[Cell]) -> Result<Measured, CannotRun> {
        let is_judged = |cell: &&Cell| !self.filled_only || cell.content != 0.0;
        let judged = cells.iter().filter(is_judged).count();
        too_few(Self::TEST, name, judged as u64, 1)?;
        let average = cells.iter().map(|cell| cell.content).sum::<f64>() / cells.len() as f64;
        let outside = |range: Option<[f64; 2]>, v: f64| {
            range.is_some_and(|[low, high]| !(low..=high).contains(&v))
        };
        let bad = |cell: &&Cell| {
            let far = |tolerance| (cell.content - average).abs() > tolerance * average.abs();
            if self.filled_only {
                return cell.content != 0.0 && outside(self.mean, cell.content);
            }
            outside(self.mean, cell.content)
                || outside(self.rms, cell.error)
                || self.tolerance.is_some_and(far)
        };
        let bad = cells.iter().filter(bad).map(|cell| cell.place).collect();
        Ok(share_of_good(all, bad))
    }

    fn enough(&self, name: &str, entries: u64) -> Result<(), CannotRun> {
        too_few(Self::TEST, name, entries, self.min_entries.max(1))
    }
}

fn too_few(test: &'static str, name: &str, entries: u64, needed: u64) -> Result<(), CannotRun> {
    if entries >= needed {
        return Ok(());
    }
    let histogram = name.to_owned();
    Err(CannotRun::TooFewEntries {
        test,
        histogram,
        entries,
        needed,
    })
}

/// The share of cells whose content and error are as expected. A map with nothing between its edges
/// is not judged.
pub fn contents_within_expected(
    histogram: &Histogram2d,
    expected: &ContentExpectation,
) -> Result<Measured, CannotRun> {
    expected.enough(histogram.name(), histogram.entries())?;
    let cell = |place: usize| Cell {
        place,
        content: histogram.contents()[place],
        error: histogram.variances()[place].sqrt(),
    };
    let mut cells: Vec<Cell> = histogram.inside().map(cell).collect();
    let all = cells.len();
    if cells
        .iter()
        .all(|cell| cell.content == 0.0 && cell.error == 0.0)
    {
        cells.clear();
    }
    expected.share(histogram.name(), all, &cells)
}

/// The share of bins whose mean and error are as expected. Bins with too few entries are good, but
/// not all of them can be.
pub fn means_within_expected(
    profile: &Profile,
    expected: &ContentExpectation,
) -> Result<Measured, CannotRun> {
    expected.enough(profile.name(), profile.entries())?;
    let bins = profile.booking().axis.bins;
    let least = expected.min_entries as f64 / bins as f64;
    let cell = |place: usize| {
        let (content, error) = (profile.mean(place)?, profile.error(place)?);
        (profile.weights()[place] >= least).then_some(Cell {
            place,
            content,
            error,
        })
    };
    let cells: Vec<Cell> = (1..=bins).filter_map(cell).collect();
    expected.share(profile.name(), bins, &cells)
}

/// Cuts on contents of a row (all ordinates of one bin of the abscissa) and its median.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MedianCuts {
    /// Least and greatest content, over the median.
    pub relative: [f64; 2],
    /// Least and greatest median; outside of it every filled cell of the row is bad. When the
    /// median is 0, the same range holds for the contents.
    pub median: [f64; 2],
    /// Rows with fewer effective entries are not judged.
    pub min_statistic: f64,
    /// Whether empty cells count.
    pub use_empty_bins: bool,
}

/// The share of cells that agree with the median of their row.
pub fn compare_to_median(
    histogram: &Histogram2d,
    cuts: &MedianCuts,
) -> Result<Measured, CannotRun> {
    let [x, y] = histogram.axes();
    let (mut judged, mut bad) = (0, Vec::new());
    for column in 1..=x.bins {
        let row = (1..=y.bins).map(|row| {
            let place = histogram.cell(column, row);
            (
                place,
                histogram.contents()[place],
                histogram.variances()[place],
            )
        });
        let row: Vec<(usize, f64, f64)> = row
            .filter(|(_, content, _)| cuts.use_empty_bins || *content != 0.0)
            .collect();
        let (sum, squares) = row.iter().fold((0.0, 0.0), |(sum, squares), (_, c, v)| {
            (sum + c, squares + v)
        });
        let statistic = if squares > 0.0 {
            sum * sum / squares
        } else {
            0.0
        };
        let mut contents: Vec<f64> = row.iter().map(|(_, content, _)| *content).collect();
        contents.sort_by(f64::total_cmp);
        let Some(median) = contents.get(contents.len() / 2).copied() else {
            continue;
        };
        if statistic < cuts.min_statistic {
            continue;
        }
        judged += row.len();
        let within = |[low, high]: [f64; 2], value: f64| (low..=high).contains(&value);
        let good = |content: f64| {
            if median == 0.0 {
                within(cuts.median, content)
            } else {
                within(cuts.median, median)
                    && within(cuts.relative.map(|cut| cut * median), content)
            }
        };
        let of_row = row.iter().filter(|(_, content, _)| !good(*content));
        bad.extend(of_row.map(|(place, _, _)| *place));
    }
    too_few("compare_to_median", histogram.name(), judged as u64, 1)?;
    Ok(share_of_good(judged, bad))
}

/// A content in (`low`, `high`], in which the last filled bin has to lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastBinCuts {
    /// A bin with more than this is filled.
    pub above: f64,
    /// Lower end, not included.
    pub low: f64,
    /// Upper end, included.
    pub high: f64,
}

impl LastBinCuts {
    fn judge(&self, place: usize, content: f64) -> Measured {
        let good = content > self.low && content <= self.high;
        Measured {
            value: f64::from(u8::from(good)),
            bad_bins: if good { Vec::new() } else { vec![place] },
            detail: format!("last filled bin has {content}"),
        }
    }
}

/// Whether the content of the last filled bin lies in a range.
pub fn compare_last_filled_bin(
    histogram: &Histogram,
    cuts: &LastBinCuts,
) -> Result<Measured, CannotRun> {
    let last = histogram
        .inside()
        .iter()
        .rposition(|content| *content > cuts.above);
    let Some(last) = last else {
        return Err(nothing_filled(histogram.name(), histogram.entries()));
    };
    Ok(cuts.judge(last + 1, histogram.inside()[last]))
}

/// The same where the last filled column meets the last filled row.
pub fn compare_last_filled_bin_2d(
    histogram: &Histogram2d,
    cuts: &LastBinCuts,
) -> Result<Measured, CannotRun> {
    let [x, y] = histogram.axes();
    let filled = |column, row| histogram.contents()[histogram.cell(column, row)] > cuts.above;
    let column = (1..=x.bins).rfind(|column| (1..=y.bins).any(|row| filled(*column, row)));
    let row = (1..=y.bins).rfind(|row| (1..=x.bins).any(|column| filled(column, *row)));
    let (Some(column), Some(row)) = (column, row) else {
        return Err(nothing_filled(histogram.name(), histogram.entries()));
    };
    let place = histogram.cell(column, row);
    Ok(cuts.judge(place, histogram.contents()[place]))
}

fn nothing_filled(name: &str, entries: u64) -> CannotRun {
    CannotRun::TooFewEntries {
        test: "compare_last_filled_bin",
        histogram: name.to_owned(),
        entries,
        needed: entries.saturating_add(1),
    }
}

/// The root of the variance of contents. With a limit 1 up to it and the limit over the root
/// beyond; without one the root itself, as upstream has it, which is no number between 0 and 1.
pub fn check_variance(
    name: &str,
    entries: u64,
    contents: &[f64],
    limit: Option<f64>,
) -> Result<Measured, CannotRun> {
    let sum: f64 = contents.iter().sum();
    if sum == 0.0 {
        too_few("check_variance", name, 0, entries.max(1))?;
    }
    let bins = contents.len() as f64;
    let mean = sum / bins;
    let deviations = contents.iter().map(|content| (content - mean).powi(2));
    let root = (deviations.sum::<f64>() / bins).sqrt();
    let value = match limit {
        None => root,
        Some(limit) if root <= limit => 1.0,
        Some(limit) => limit / root,
    };
    let detail = format!("root of the variance of contents {root:.4}");
    Ok(Measured {
        value,
        bad_bins: Vec::new(),
        detail,
    })
}
