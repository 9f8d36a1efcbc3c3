//! Tests of the vertex likelihood: its derivatives, its pulls over many samples, what is refused.

use super::*;
use crate::random::Random;

const TRUTH: Parameters = [
    0.0717, 0.0621, -0.32, 0.0022, 0.0017, 5.2, 1e-4, -6e-5, 0.25,
];

/// A normal vector with this covariance.
fn normal(random: &mut Random, covariance: Matrix3<f64>) -> Vector3<f64> {
    let factor = covariance.cholesky().unwrap().l();
    factor * Vector3::from_fn(|_, _| random.normal())
}

/// Vertices of a beam like that of CMS in 2012; each has an error of its own, about as large as
/// the beam is wide.
fn sample(seed: u64, n: usize) -> Vec<Vertex> {
    let mut random = Random::new(seed);
    let beam = beam(&TRUTH);
    (0..n)
        .map(|_| {
            let size = random.between(0.7, 2.5);
            let (x, y, z) = (0.0012 * size, 0.0012 * size, 0.002 * size);
            let tilt = random.between(-0.4, 0.4);
            let own = symmetric(x * x, tilt * x * y, y * y, 0.2 * x * z, 0.0, z * z);
            let middle = Vector3::from_column_slice(&TRUTH[..3]);
            let position = middle + normal(&mut random, beam) + normal(&mut random, own);
            Vertex {
                position_cm: position.into(),
                covariance_cm2: [
                    own[(0, 0)],
                    own[(0, 1)],
                    own[(1, 1)],
                    own[(0, 2)],
                    own[(1, 2)],
                    own[(2, 2)],
                ],
            }
        })
        .collect()
}

fn all_measured(spot: &BeamSpot3d) -> [Measured; PARAMETERS] {
    [
        spot.x0_cm,
        spot.y0_cm,
        spot.z0_cm,
        spot.sigma_x_cm,
        spot.sigma_y_cm,
        spot.sigma_z_cm,
        spot.dxdz,
        spot.dydz,
        spot.correlation_xy,
    ]
}

#[test]
fn over_200_samples_pulls_have_mean_zero_and_width_one() {
    const SAMPLES: u32 = 200;
    let mut pulls: [Vec<f64>; PARAMETERS] = Default::default();
    for seed in 0..SAMPLES {
        let spot = fit(&sample(u64::from(seed), 400), &Options::default()).unwrap();
        assert_eq!((spot.n_used, spot.n_vertices), (400, 400));
        for (k, measured) in all_measured(&spot).into_iter().enumerate() {
            pulls[k].push((measured.value - TRUTH[k]) / measured.error);
        }
    }
    let n = f64::from(SAMPLES);
    for (k, pulls) in pulls.iter().enumerate() {
        let mean = pulls.iter().sum::<f64>() / n;
        let width = (pulls.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        println!("parameter {k}: mean of pulls {mean:.3}, width {width:.3}");
        // Four standard errors of a mean and of a width of 200 normal numbers.
        assert!(
            mean.abs() < 4.0 / n.sqrt(),
            "parameter {k}: mean of pulls {mean}"
        );
        assert!(
            (width - 1.0).abs() < 4.0 / (2.0 * n).sqrt(),
            "parameter {k}: width {width}"
        );
    }
}

#[test]
fn derivatives_are_those_of_the_function() {
    let mut near = TRUTH;
    near[0] += 0.0003;
    near[4] *= 1.1;
    // A beam as wide as it is long, where every term counts.
    let wide = [0.1, -0.2, 0.3, 1.2, 0.9, 2.0, 0.3, -0.2, 0.4];
    for (at, scale) in [(near, 1.1), (wide, 500.0)] {
        let vertices: Vec<Scaled> = sample(3, 50)
            .iter()
            .map(|vertex| Scaled::new(vertex, scale).unwrap())
            .collect();
        let found = evaluate(&vertices, &at).unwrap();
        for k in 0..PARAMETERS {
            let width = 1e-4 * (2.0 / found.information[k][k]).sqrt();
            let function = |by: f64| {
                let mut moved = at;
                moved[k] += by;
                evaluate(&vertices, &moved).unwrap().function
            };
            let slope = (function(width) - function(-width)) / (2.0 * width);
            let size = found.information[k][k].sqrt();
            assert!(
                (slope - found.gradient[k]).abs() < 1e-4 * size,
                "{k}: {slope}"
            );
        }
    }
}

#[test]
fn what_is_far_is_clipped_and_the_error_scale_is_used() {
    let mut vertices = sample(9, 400);
    let clean = fit(&vertices, &Options::default()).unwrap();
    vertices[7].position_cm[0] += 3.0;
    vertices[8].position_cm[1] = f64::NAN;
    let options = Options {
        clip_widths: 10.0,
        ..Options::default()
    };
    let spot = fit(&vertices, &options).unwrap();
    assert_eq!((spot.n_used, spot.n_vertices), (398, 400));
    let off = (spot.sigma_x_cm.value - clean.sigma_x_cm.value).abs();
    assert!(off < clean.sigma_x_cm.error, "{off}");
    let wide = Options {
        error_scale: 1.2,
        ..Options::default()
    };
    let narrower = fit(&sample(9, 400), &wide).unwrap();
    assert!(narrower.sigma_x_cm.value < clean.sigma_x_cm.value - clean.sigma_x_cm.error);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let few = fit(&sample(1, 9), &Options::default()).unwrap_err();
    assert!(
        matches!(
            few,
            FitError::TooFew {
                used: 9,
                needed: 10,
                ..
            }
        ),
        "{few}"
    );
    let mut same = sample(1, 20);
    for vertex in &mut same {
        vertex.position_cm = [0.1, 0.2, 0.3];
    }
    let flat = fit(&same, &Options::default()).unwrap_err();
    assert!(
        matches!(flat, FitError::Degenerate { used: 20, .. }),
        "{flat}"
    );
    let mut certain = sample(1, 20);
    for vertex in &mut certain {
        vertex.covariance_cm2 = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
    }
    let hidden = fit(&certain, &Options::default()).unwrap_err();
    assert!(
        !matches!(hidden, FitError::TooFew { .. }),
        "a beam narrower than its errors: {hidden}"
    );
}
