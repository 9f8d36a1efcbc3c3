//! Straight tracks of the drift chamber: what is read out, how constants correct it, and the fit.
//!
//! In come hits and the constants of the planes; out come corrected heights, a line with its
//! residuals, and the Mille record of a track. A height is that of the wire plus the drift length,
//! less the drift length times the plane's drift correction, less the plane's offset: linear in
//! both constants, so one solution is enough. The drift length in the derivative is the measured
//! one, whose noise draws drift corrections towards less noise by error^2 over the mean square of
//! drift lengths, 0.00017 in a good plane; offsets are not touched, as drift lengths have no mean.
//! Nothing here knows the truth.

use crate::chamber::{
    CELLS, HEIGHT_CM, PLANES, drift_label, offset_label, position_cm, sigma_cm, wire_cm,
};
use crate::millepede::{MillepedeError, Records};

/// Hits below which a line has no degree of freedom.
const HITS_MIN: usize = 3;

/// What a plane reads out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Plane, from 0.
    pub plane: usize,
    /// Cell, from 0.
    pub cell: u32,
    /// Drift length at the nominal drift velocity, cm; positive above the wire.
    pub drift_cm: f64,
}

/// The constants of the planes.
#[derive(Clone, Debug, PartialEq)]
pub struct Constants {
    /// Offset of each plane, cm.
    pub offsets_cm: Vec<f64>,
    /// Share of the drift length that is taken off in each plane.
    pub drifts: Vec<f64>,
}

/// A fitted track.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Height at the start of the chamber, cm.
    pub at_zero_cm: f64,
    /// Change of height along the chamber.
    pub slope: f64,
    /// Sum of squared residuals over their errors.
    pub chi_square: f64,
    /// Corrected less fitted height of each hit, cm, in the order of the hits.
    pub residuals_cm: Vec<f64>,
}

impl Hit {
    /// Whether a chamber has such a hit: plane and cell exist, the drift ends within the plane.
    pub fn is_possible(&self) -> bool {
        self.plane < PLANES && self.cell < CELLS && self.drift_cm.abs() <= HEIGHT_CM
    }

    /// Height without any correction, cm.
    pub fn measured_cm(&self) -> f64 {
        wire_cm(self.cell) + self.drift_cm
    }
}

impl Constants {
    /// The chamber as it was drawn.
    pub fn nominal() -> Self {
        Self {
            offsets_cm: vec![0.0; PLANES],
            drifts: vec![0.0; PLANES],
        }
    }

    /// Height of a hit, cm; its plane must exist.
    pub fn corrected_cm(&self, hit: &Hit) -> f64 {
        hit.measured_cm() - self.offsets_cm[hit.plane] - self.drifts[hit.plane] * hit.drift_cm
    }

    /// The weighted straight line through `hits`; none for fewer than three.
    pub fn fit(&self, hits: &[Hit]) -> Option<Line> {
        if hits.len() < HITS_MIN {
            return None;
        }
        let weight = |hit: &Hit| sigma_cm(hit.plane).powi(-2);
        let total: f64 = hits.iter().map(weight).sum();
        let mean = |of: &dyn Fn(&Hit) -> f64| {
            hits.iter().map(|hit| weight(hit) * of(hit)).sum::<f64>() / total
        };
        let x_mean = mean(&|hit| position_cm(hit.plane));
        let y_mean = mean(&|hit| self.corrected_cm(hit));
        let away = |hit: &Hit| position_cm(hit.plane) - x_mean;
        let slope = mean(&|hit| away(hit) * (self.corrected_cm(hit) - y_mean))
            / mean(&|hit| away(hit).powi(2));
        let residual = |hit: &Hit| self.corrected_cm(hit) - y_mean - slope * away(hit);
        let residuals_cm: Vec<f64> = hits.iter().map(residual).collect();
        let chi_square = hits
            .iter()
            .zip(&residuals_cm)
            .map(|(hit, residual)| weight(hit) * residual * residual)
            .sum();
        Some(Line {
            at_zero_cm: y_mean - slope * x_mean,
            slope,
            chi_square,
            residuals_cm,
        })
    }
}

/// Adds the Mille record of a track, with `special` words in front of its measurements.
pub fn record(
    hits: &[Hit],
    special: &[(i32, f64)],
    records: &mut Records,
) -> Result<(), MillepedeError> {
    records.special(special);
    for hit in hits {
        let local = [(1, 1.0), (2, position_cm(hit.plane))];
        let global = [
            (offset_label(hit.plane), 1.0),
            (drift_label(hit.plane), hit.drift_cm),
        ];
        records.measure(hit.measured_cm(), sigma_cm(hit.plane), &local, &global)?;
    }
    records.end_record();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chamber::Truth;
    use crate::random::Random;

    #[test]
    fn a_line_goes_through_hits_without_noise_and_constants_bring_them_back() {
        let mut constants = Constants::nominal();
        (constants.offsets_cm[3], constants.drifts[3]) = (0.2, 0.05);
        let hits: Vec<Hit> = [0, 3, 50, 99]
            .into_iter()
            .map(|plane| {
                let true_cm = 40.0 + 0.01 * position_cm(plane);
                let seen_cm = true_cm + constants.offsets_cm[plane];
                let cell = (seen_cm / 4.0) as u32;
                let drift_cm = (seen_cm - wire_cm(cell)) / (1.0 - constants.drifts[plane]);
                Hit {
                    plane,
                    cell,
                    drift_cm,
                }
            })
            .collect();
        assert!(hits.iter().all(Hit::is_possible));
        let line = constants.fit(&hits).unwrap();
        assert!((line.at_zero_cm - 40.0).abs() < 1e-9 && (line.slope - 0.01).abs() < 1e-12);
        assert!(line.chi_square < 1e-12, "{}", line.chi_square);
        assert!(Constants::nominal().fit(&hits).unwrap().chi_square > 10.0);
        assert_eq!(constants.fit(&hits[..2]), None);
    }

    #[test]
    fn the_perfect_chamber_has_one_chi_square_for_each_degree_of_freedom() {
        let truth = Truth::draw_with(4, 0.0, 0.0);
        let mut random = Random::new(9);
        let (mut chi_square, mut freedom) = (0.0, 0);
        for _ in 0..500 {
            let hits = truth.hits(&mut random);
            chi_square += Constants::nominal().fit(&hits).unwrap().chi_square;
            freedom += hits.len() - 2;
        }
        let reduced = chi_square / freedom as f64;
        assert!((reduced - 1.0).abs() < 0.025, "{reduced}");
    }
}
