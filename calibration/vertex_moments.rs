//! The beam spot from positions of primary vertices alone: clipped means, widths and slopes.
//!
//! In come positions without errors; out come where the beam is, how wide the vertices spread
//! (beam and vertex resolution together) and how it is tilted. Where vertices have errors, the
//! likelihood of [`crate::vertex_likelihood`] separates the two. It never decides whether the
//! result is good enough: that is the gate's.

use crate::FitError;
use serde::{Deserialize, Serialize};

/// Positions further from the mean than this many standard deviations are usually clipped.
pub const CLIP_SIGMAS: f64 = 4.0;
/// What was being fitted, for errors.
const WHAT: &str = "the beam spot from vertices";
/// Positions that differ by less than this share of their mean are the same but for roundings.
pub(crate) const SAME: f64 = 1e-12;
/// Two parameters of a line and one degree of freedom to judge them by.
const MIN_VERTICES: u64 = 3;

/// Mean and width of one coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Mean, cm.
    pub mean_cm: f64,
    /// Its standard error, cm.
    pub mean_err_cm: f64,
    /// Standard deviation, cm.
    pub sigma_cm: f64,
    /// Its standard error for a normal distribution, sigma / sqrt(2 (n - 1)), cm.
    pub sigma_err_cm: f64,
    /// Values within the clip.
    pub n: u64,
}

impl Moments {
    fn holds(&self, value_cm: f64, clip_sigmas: f64) -> bool {
        (value_cm - self.mean_cm).abs() < clip_sigmas * self.sigma_cm
    }
}

/// A slope with its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// The slope.
    pub value: f64,
    /// Its standard error, from the residuals.
    pub error: f64,
}

/// The luminous region as vertices show it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LuminousRegion {
    /// Horizontal.
    pub x: Moments,
    /// Vertical.
    pub y: Moments,
    /// Along the beam.
    pub z: Moments,
    /// Horizontal tilt.
    pub dxdz: Slope,
    /// Vertical tilt.
    pub dydz: Slope,
    /// Vertices within the clip in all three coordinates, which the slopes are from.
    pub n_joint: u64,
    /// Vertices given.
    pub n_vertices: u64,
}

/// Mean and width of `values_cm`, clipped at so many standard deviations until nothing more falls
/// out.
pub fn clipped(values_cm: &[f64], clip_sigmas: f64) -> Result<Moments, FitError> {
    let offered = values_cm.len() as u64;
    let mut kept: Vec<f64> = values_cm
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    loop {
        let n = kept.len() as u64;
        if n < MIN_VERTICES {
            return Err(FitError::TooFew {
                what: WHAT,
                used: n,
                offered,
                needed: MIN_VERTICES,
            });
        }
        let mean_cm = kept.iter().sum::<f64>() / n as f64;
        let squares: f64 = kept.iter().map(|value| (value - mean_cm).powi(2)).sum();
        let sigma_cm = (squares / (n - 1) as f64).sqrt();
        let moments = Moments {
            mean_cm,
            mean_err_cm: sigma_cm / (n as f64).sqrt(),
            sigma_cm,
            sigma_err_cm: sigma_cm / (2.0 * (n - 1) as f64).sqrt(),
            n,
        };
        if sigma_cm <= SAME * mean_cm.abs() {
            return Err(FitError::Degenerate {
                what: WHAT,
                used: n,
            });
        }
        kept.retain(|value| moments.holds(*value, clip_sigmas));
        // Each round takes away at least one, so this ends.
        if kept.len() as u64 == n {
            return Ok(moments);
        }
    }
}

/// The luminous region of vertices at (x, y, z), cm, clipped at so many standard deviations.
pub fn fit(vertices_cm: &[[f64; 3]], clip_sigmas: f64) -> Result<LuminousRegion, FitError> {
    let coordinate = |axis: usize| {
        let values: Vec<f64> = vertices_cm.iter().map(|vertex| vertex[axis]).collect();
        clipped(&values, clip_sigmas)
    };
    let (x, y, z) = (coordinate(0)?, coordinate(1)?, coordinate(2)?);
    let inside = |vertex: &&[f64; 3]| {
        let holds = |moments: &Moments, axis: usize| moments.holds(vertex[axis], clip_sigmas);
        holds(&x, 0) && holds(&y, 1) && holds(&z, 2)
    };
    let joint: Vec<&[f64; 3]> = vertices_cm.iter().filter(inside).collect();
    let line = |axis: usize| {
        let points: Vec<(f64, f64)> = joint
            .iter()
            .map(|vertex| (vertex[2], vertex[axis]))
            .collect();
        slope(&points, vertices_cm.len() as u64)
    };
    Ok(LuminousRegion {
        x,
        y,
        z,
        dxdz: line(0)?,
        dydz: line(1)?,
        n_joint: joint.len() as u64,
        n_vertices: vertices_cm.len() as u64,
    })
}

/// The slope of a straight line through points (abscissa, ordinate) by least squares.
fn slope(points: &[(f64, f64)], offered: u64) -> Result<Slope, FitError> {
    let used = points.len() as u64;
    if used < MIN_VERTICES {
        return Err(FitError::TooFew {
            what: WHAT,
            used,
            offered,
            needed: MIN_VERTICES,
        });
    }
    let n = used as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (at, height) = (mean(|point| point.0), mean(|point| point.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        points
            .iter()
            .map(|point| of(point.0 - at, point.1 - height))
            .sum()
    };
    let spread = sum(&|x, _| x * x);
    if spread <= 0.0 {
        return Err(FitError::Degenerate { what: WHAT, used });
    }
    let value = sum(&|x, y| x * y) / spread;
    let squares = sum(&|x, y| (y - value * x).powi(2));
    Ok(Slope {
        value,
        error: (squares / (n - 2.0) / spread).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn vertices(seed: u64, n: usize) -> Vec<[f64; 3]> {
        let mut random = Random::new(seed);
        (0..n)
            .map(|_| {
                let z = 5.0 * random.normal() - 0.3;
                let far = if random.chance(0.02) { 0.1 } else { 0.0 };
                let x = 0.07 + 1e-4 * z + 0.0025 * random.normal() + far;
                [x, 0.06 - 5e-5 * z + 0.002 * random.normal(), z]
            })
            .collect()
    }

    #[test]
    fn over_many_samples_the_truth_is_within_the_errors() {
        let mut pulls = Vec::new();
        for seed in 0..100 {
            let found = fit(&vertices(seed, 600), CLIP_SIGMAS).unwrap();
            assert!(
                found.x.n > 570 && found.x.n < 600,
                "far vertices are clipped: {found:?}"
            );
            pulls.extend([
                (found.x.mean_cm - 0.07 + 1e-4 * 0.3) / found.x.mean_err_cm,
                (found.y.mean_cm - 0.06 - 5e-5 * 0.3) / found.y.mean_err_cm,
                (found.z.sigma_cm - 5.0) / found.z.sigma_err_cm,
                (found.dxdz.value - 1e-4) / found.dxdz.error,
                (found.dydz.value + 5e-5) / found.dydz.error,
            ]);
        }
        let n = pulls.len() as f64;
        let mean = pulls.iter().sum::<f64>() / n;
        let width = (pulls.iter().map(|pull| pull * pull).sum::<f64>() / n).sqrt();
        assert!(mean.abs() < 0.15, "mean of pulls {mean}");
        assert!((width - 1.0).abs() < 0.12, "width of pulls {width}");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        assert!(matches!(
            fit(&[], CLIP_SIGMAS),
            Err(FitError::TooFew { used: 0, .. })
        ));
        let bad = [[f64::NAN, 0.0, 0.0], [0.1, 0.0, 1.0], [0.2, 0.0, 2.0]];
        assert!(matches!(
            fit(&bad, CLIP_SIGMAS),
            Err(FitError::TooFew {
                used: 2,
                offered: 3,
                ..
            })
        ));
        let same = [[0.1, 0.1, 0.1]; 9];
        assert!(matches!(
            fit(&same, CLIP_SIGMAS),
            Err(FitError::Degenerate { used: 9, .. })
        ));
    }
}
