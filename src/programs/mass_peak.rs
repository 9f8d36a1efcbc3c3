//! Whether the Z of a run stands where the tables have it: a scale that is wrong shows here.
//!
//! In: the histogram of corrected dimuon masses. Out: a quality test's value, 1 or 0, with the peak
//! in words. The fit is that of the harvest. It never says anything about a run with few pairs.

use calibration::scale::{self, PeakModel};
use dqm::histogram::Histogram;
use dqm::quality::{CannotRun, Measured};

/// The peak is within this many GeV of the table: half of the resolution, and five times the error
/// that the gate's 400 pairs give it.
pub(crate) const MASS_PEAK_GEV: f64 = 0.7;
/// With fewer pairs the gate has no scale either.
const PAIRS_MIN: u64 = 400;
const MODEL: PeakModel = PeakModel::Z_SMALL_SAMPLE;

/// The test of `masses`, whose bins have to be those of the model; `within_gev` of the table is
/// good.
pub(crate) fn mass_peak(masses: &Histogram, within_gev: f64) -> Result<Measured, CannotRun> {
    let entries = masses.inside().iter().sum::<f64>() as u64;
    if entries < PAIRS_MIN {
        return Err(CannotRun::TooFewEntries {
            test: "mass_peak",
            histogram: masses.name().to_owned(),
            entries,
            needed: PAIRS_MIN,
        });
    }
    let Some(counts) = window(masses) else {
        return Err(CannotRun::Parameters {
            test: "mass_peak",
            histogram: masses.name().to_owned(),
            why: "its bins are not those of the fit".to_owned(),
        });
    };
    let (value, detail) = match scale::fit(&MODEL, &counts) {
        Ok(peak) => {
            let off_gev = peak.mass_gev - MODEL.pdg_mass_gev;
            let (mass, error) = (peak.mass_gev, peak.mass_err_gev);
            let good = off_gev.abs() <= within_gev;
            let detail = format!(
                "peak at {mass:.2} +- {error:.2} GeV, {off_gev:+.2} GeV from the table's {:.2}, \
                 {within_gev} GeV allowed",
                MODEL.pdg_mass_gev
            );
            (f64::from(u8::from(good)), detail)
        }
        // So many pairs, and no Z among them.
        Err(error) => (0.0, error.to_string()),
    };
    Ok(Measured {
        value,
        bad_bins: Vec::new(),
        detail,
    })
}

/// The contents in the window of the model.
fn window(masses: &Histogram) -> Option<Vec<u64>> {
    /// Edges are the same when they differ by less than this share of a bin.
    const SAME: f64 = 1e-6;
    let (axis, width) = (masses.axis(), MODEL.bin_width_gev());
    let first = (MODEL.range_gev.0 - axis.low) / width;
    let off = (axis.width() / width - 1.0)
        .abs()
        .max((first - first.round()).abs());
    if off > SAME || first < 0.0 {
        return None;
    }
    let first = first.round() as usize;
    let found = masses.inside().get(first..first + MODEL.bins)?;
    Some(found.iter().map(|content| *content as u64).collect())
}
