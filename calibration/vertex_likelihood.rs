//! The beam spot from vertices with errors, by the likelihood in three dimensions.
//!
//! In come positions of primary vertices with their covariances; out come position, widths, tilts
//! and correlation of the beam itself, free of the vertex resolution, with errors from the second
//! derivatives. A vertex is normal around the beam spot with the sum of its own covariance and
//! the beam's; -2 ln L is the sum of r^T C^-1 r + ln det C. (CMS `RecoVertex/BeamSpotProducer`,
//! `FcnBeamSpotFitPV.cc` and `PVFitter.cc`, with their three passes: without correlations, again
//! with what is far clipped, then with tilts and correlation.) It never decides whether the result
//! is good enough: that is the gate's.

use crate::FitError;
use crate::matrix;
use crate::vertex_moments::SAME;
use nalgebra::{Matrix3, Vector3};
use serde::{Deserialize, Serialize};

/// What was being fitted, for errors.
const WHAT: &str = "the beam spot by the vertex likelihood";
/// Parameters: x0, y0, z0, the three widths, dx/dz, dy/dz, the correlation of x and y.
const PARAMETERS: usize = 9;
/// Those of the first two passes, which come first.
const WITHOUT_CORRELATIONS: usize = 6;
/// Steps of a pass at most; scoring needs about ten.
const MAX_STEPS: u32 = 100;
/// Halvings of a step that does not lower the function.
const MAX_HALVINGS: u32 = 40;
/// A pass ends when a step promises to lower -2 ln L by less.
const SMALLEST_GAIN: f64 = 1e-9;

/// A vertex with its error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vertex {
    /// Position, cm.
    pub position_cm: [f64; 3],
    /// Covariance xx, xy, yy, xz, yz, zz, cm^2.
    pub covariance_cm2: [f64; 6],
}

/// How to fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Factor on the errors of vertices.
    pub error_scale: f64,
    /// After the first pass, vertices further out than this many widths are left out.
    pub clip_widths: f64,
    /// Vertices needed.
    pub vertices_min: u64,
}

impl Default for Options {
    /// As CMS `AlcaBeamSpotProducer`.
    fn default() -> Self {
        Self {
            error_scale: 1.0,
            clip_widths: 50.0,
            vertices_min: 10,
        }
    }
}

/// A value with its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The value.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

/// The beam, without the resolution of vertices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeamSpot3d {
    /// Horizontal position at `z0_cm`, cm.
    pub x0_cm: Measured,
    /// Vertical position at `z0_cm`, cm.
    pub y0_cm: Measured,
    /// Middle along the beam, cm.
    pub z0_cm: Measured,
    /// Horizontal width, cm.
    pub sigma_x_cm: Measured,
    /// Vertical width, cm.
    pub sigma_y_cm: Measured,
    /// Length, cm.
    pub sigma_z_cm: Measured,
    /// Horizontal tilt.
    pub dxdz: Measured,
    /// Vertical tilt.
    pub dydz: Measured,
    /// Correlation of x and y, -1 to 1.
    pub correlation_xy: Measured,
    /// -2 ln L at the minimum, without the constant.
    pub minus_2_ln_l: f64,
    /// Vertices in the last pass.
    pub n_used: u64,
    /// Vertices given.
    pub n_vertices: u64,
}

/// Fits the beam spot.
pub fn fit(vertices: &[Vertex], options: &Options) -> Result<BeamSpot3d, FitError> {
    let offered = vertices.len() as u64;
    let mut used: Vec<Scaled> = vertices
        .iter()
        .filter_map(|vertex| Scaled::new(vertex, options.error_scale))
        .collect();
    let enough = |used: &[Scaled]| {
        let (used, needed) = (
            used.len() as u64,
            options.vertices_min.max(PARAMETERS as u64),
        );
        if used < needed {
            return Err(FitError::TooFew {
                what: WHAT,
                used,
                offered,
                needed,
            });
        }
        Ok(())
    };
    enough(&used)?;
    let mut parameters = start(&used)?;
    minimise(&used, &mut parameters, WITHOUT_CORRELATIONS)?;
    used.retain(|vertex| {
        (0..3).all(|axis| {
            let off = (vertex.position[axis] - parameters[axis]).abs();
            // Widths of what is seen: of the beam and of the vertex together.
            let width = parameters[3 + axis].hypot(vertex.covariance[(axis, axis)].sqrt());
            off < options.clip_widths * width
        })
    });
    enough(&used)?;
    minimise(&used, &mut parameters, WITHOUT_CORRELATIONS)?;
    minimise(&used, &mut parameters, PARAMETERS)?;
    let errors = errors(&used, &parameters)?;
    let measured = |k: usize| Measured {
        value: parameters[k],
        error: errors[k],
    };
    Ok(BeamSpot3d {
        x0_cm: measured(0),
        y0_cm: measured(1),
        z0_cm: measured(2),
        sigma_x_cm: measured(3),
        sigma_y_cm: measured(4),
        sigma_z_cm: measured(5),
        dxdz: measured(6),
        dydz: measured(7),
        correlation_xy: measured(8),
        minus_2_ln_l: evaluate(&used, &parameters).map_or(f64::NAN, |found| found.function),
        n_used: used.len() as u64,
        n_vertices: offered,
    })
}

type Parameters = [f64; PARAMETERS];

/// A vertex as the likelihood wants it.
struct Scaled {
    position: Vector3<f64>,
    covariance: Matrix3<f64>,
}

impl Scaled {
    /// Nothing for a vertex that is not made of numbers.
    fn new(vertex: &Vertex, error_scale: f64) -> Option<Self> {
        let position = Vector3::from(vertex.position_cm);
        let [xx, xy, yy, xz, yz, zz] = vertex.covariance_cm2;
        let covariance = Matrix3::new(xx, xy, xz, xy, yy, yz, xz, yz, zz) * error_scale.powi(2);
        let numbers = position
            .iter()
            .chain(covariance.iter())
            .all(|number| number.is_finite());
        numbers.then_some(Self {
            position,
            covariance,
        })
    }
}

/// Means and standard deviations, less the mean error of vertices where that leaves anything.
fn start(vertices: &[Scaled]) -> Result<Parameters, FitError> {
    let n = vertices.len() as f64;
    let mut parameters = [0.0; PARAMETERS];
    for axis in 0..3 {
        let mean = vertices
            .iter()
            .map(|vertex| vertex.position[axis])
            .sum::<f64>()
            / n;
        let spread = |vertex: &Scaled| (vertex.position[axis] - mean).powi(2);
        let variance = vertices.iter().map(spread).sum::<f64>() / n;
        let error = |vertex: &Scaled| vertex.covariance[(axis, axis)];
        let resolution = vertices.iter().map(error).sum::<f64>() / n;
        if variance <= (SAME * mean).powi(2) {
            return Err(FitError::Degenerate {
                what: WHAT,
                used: vertices.len() as u64,
            });
        }
        parameters[axis] = mean;
        parameters[3 + axis] = (variance - resolution).max(0.1 * variance).sqrt();
    }
    Ok(parameters)
}

fn symmetric(xx: f64, xy: f64, yy: f64, xz: f64, yz: f64, zz: f64) -> Matrix3<f64> {
    Matrix3::new(xx, xy, xz, xy, yy, yz, xz, yz, zz)
}

/// The beam's covariance.
fn beam(parameters: &Parameters) -> Matrix3<f64> {
    let [_, _, _, sx, sy, sz, dxdz, dydz, rho] = *parameters;
    let xy = rho * sx * sy;
    let xz = dxdz * (sz * sz - sx * sx) - dydz * xy;
    let yz = dydz * (sz * sz - sy * sy) - dxdz * xy;
    symmetric(sx * sx, xy, sy * sy, xz, yz, sz * sz)
}

/// Its derivatives by the widths, the tilts and the correlation.
fn beam_derivatives(parameters: &Parameters) -> [Matrix3<f64>; 6] {
    let [_, _, _, sx, sy, sz, dxdz, dydz, rho] = *parameters;
    let (by_sx, by_sy, by_rho) = (rho * sy, rho * sx, sx * sy);
    let xy = rho * sx * sy;
    [
        symmetric(
            2.0 * sx,
            by_sx,
            0.0,
            -2.0 * sx * dxdz - dydz * by_sx,
            -dxdz * by_sx,
            0.0,
        ),
        symmetric(
            0.0,
            by_sy,
            2.0 * sy,
            -dydz * by_sy,
            -2.0 * sy * dydz - dxdz * by_sy,
            0.0,
        ),
        symmetric(0.0, 0.0, 0.0, 2.0 * sz * dxdz, 2.0 * sz * dydz, 2.0 * sz),
        symmetric(0.0, 0.0, 0.0, sz * sz - sx * sx, -xy, 0.0),
        symmetric(0.0, 0.0, 0.0, -xy, sz * sz - sy * sy, 0.0),
        symmetric(0.0, by_rho, 0.0, -dydz * by_rho, -dxdz * by_rho, 0.0),
    ]
}

/// -2 ln L with its first derivatives and the expectation of its second.
struct Evaluated {
    function: f64,
    gradient: Parameters,
    information: [[f64; PARAMETERS]; PARAMETERS],
}

/// Nothing where the parameters are no beam: a width that is not positive, or a covariance.
fn evaluate(vertices: &[Scaled], parameters: &Parameters) -> Option<Evaluated> {
    if parameters[3..6].iter().any(|width| *width <= 0.0) || parameters[8].abs() >= 1.0 {
        return None;
    }
    let (middle, beam) = (
        Vector3::from_column_slice(&parameters[..3]),
        beam(parameters),
    );
    let derivatives = beam_derivatives(parameters);
    let mut found = Evaluated {
        function: 0.0,
        gradient: [0.0; PARAMETERS],
        information: [[0.0; PARAMETERS]; PARAMETERS],
    };
    for vertex in vertices {
        let factor = (vertex.covariance + beam).cholesky()?;
        let weight = factor.inverse();
        let residual = vertex.position - middle;
        let pull = weight * residual;
        found.function += residual.dot(&pull) + factor.ln_determinant();
        for axis in 0..3 {
            found.gradient[axis] -= 2.0 * pull[axis];
            for other in 0..3 {
                found.information[axis][other] += 2.0 * weight[(axis, other)];
            }
        }
        let weighted = derivatives.map(|derivative| weight * derivative);
        for k in 0..6 {
            let shape = weighted[k].trace() - pull.dot(&(derivatives[k] * pull));
            found.gradient[3 + k] += shape;
            for j in 0..=k {
                let product = weighted[k].component_mul(&weighted[j].transpose()).sum();
                found.information[3 + k][3 + j] += product;
            }
        }
    }
    for k in 3..PARAMETERS {
        for j in 3..k {
            found.information[j][k] = found.information[k][j];
        }
    }
    found.function.is_finite().then_some(found)
}

fn degenerate(vertices: &[Scaled]) -> FitError {
    FitError::Degenerate {
        what: WHAT,
        used: vertices.len() as u64,
    }
}

/// Lowers -2 ln L in its first `free` parameters by the method of scoring, each step halved until
/// it lowers the function.
fn minimise(vertices: &[Scaled], parameters: &mut Parameters, free: usize) -> Result<(), FitError> {
    let not_settled = |steps| FitError::NotSettled {
        what: WHAT,
        steps,
        used: vertices.len() as u64,
    };
    let mut found = evaluate(vertices, parameters).ok_or_else(|| degenerate(vertices))?;
    for steps in 1..=MAX_STEPS {
        let information: Vec<Vec<f64>> = found.information[..free]
            .iter()
            .map(|row| row[..free].to_vec())
            .collect();
        let inverse = matrix::invert(&information).ok_or_else(|| degenerate(vertices))?;
        let step = matrix::multiply(&inverse, &found.gradient[..free]);
        let gain: f64 = step.iter().zip(&found.gradient).map(|(a, b)| a * b).sum();
        if gain < SMALLEST_GAIN {
            return Ok(());
        }
        let lower = (0..MAX_HALVINGS).find_map(|halvings| {
            let mut tried = *parameters;
            for (parameter, step) in tried.iter_mut().zip(&step) {
                *parameter -= step * 0.5f64.powi(halvings as i32);
            }
            let better = evaluate(vertices, &tried)?;
            (better.function < found.function).then_some((tried, better))
        });
        match lower {
            Some((tried, better)) => (*parameters, found) = (tried, better),
            // So near the minimum that roundings hide what is left.
            None if gain < 1e-6 => return Ok(()),
            None => return Err(not_settled(steps)),
        }
    }
    Err(not_settled(MAX_STEPS))
}

/// Standard errors: the roots of twice the diagonal of the inverse of the second derivatives, which
/// are differences of the first.
fn errors(vertices: &[Scaled], parameters: &Parameters) -> Result<Vec<f64>, FitError> {
    let found = evaluate(vertices, parameters).ok_or_else(|| degenerate(vertices))?;
    let mut hessian = vec![vec![0.0; PARAMETERS]; PARAMETERS];
    for k in 0..PARAMETERS {
        // A small part of the error that this parameter would have if the others were known.
        let width = 1e-3 * (2.0 / found.information[k][k]).sqrt();
        let gradient = |by: f64| {
            let mut moved = *parameters;
            moved[k] += by;
            evaluate(vertices, &moved).map(|found| found.gradient)
        };
        let (Some(above), Some(below)) = (gradient(width), gradient(-width)) else {
            return Err(degenerate(vertices));
        };
        for j in 0..PARAMETERS {
            let second = (above[j] - below[j]) / (2.0 * width);
            hessian[k][j] += 0.5 * second;
            hessian[j][k] += 0.5 * second;
        }
    }
    let inverse = matrix::invert(&hessian).ok_or_else(|| degenerate(vertices))?;
    Ok((0..PARAMETERS)
        .map(|k| (2.0 * inverse[k][k]).sqrt())
        .collect())
}

#[cfg(test)]
#[path = "vertex_likelihood_tests.rs"]
mod tests;
