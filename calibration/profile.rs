//! A mean against a direction, and its first harmonic: the weak-mode view of a mass peak. A
//! sagitta bias of the tracker moves the mass of pairs up where one charge goes and down on the
//! other side, so the sine and cosine terms of M against phi must be compatible with none. In come
//! points, out come bin means with errors and three coefficients. It never corrects anything.

use crate::{FitError, matrix};

/// The mean of one bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProfileBin {
    /// Lower edge, in the unit of the abscissa; included.
    pub low: f64,
    /// Upper edge; not included.
    pub high: f64,
    /// Points in the bin.
    pub n: u64,
    /// Mean ordinate of the points; not a number without points.
    pub mean: f64,
    /// Error of the mean, standard deviation (n - 1) over sqrt(n); not a number below two points.
    pub err: f64,
}

/// The profile of `points` (abscissa, ordinate) in `bins` equal bins of `range`; points outside the
/// range are left out.
pub fn profile(points: &[(f64, f64)], range: (f64, f64), bins: usize) -> Vec<ProfileBin> {
    let (low, high) = range;
    let edge = |bin: usize| low + (high - low) * bin as f64 / bins as f64;
    (0..bins)
        .map(|bin| {
            let (from, to) = (edge(bin), edge(bin + 1));
            let inside: Vec<f64> = points
                .iter()
                .filter(|(x, _)| *x >= from && *x < to)
                .map(|(_, y)| *y)
                .collect();
            let n = inside.len() as f64;
            let mean = inside.iter().sum::<f64>() / n;
            let squares: f64 = inside.iter().map(|y| (y - mean) * (y - mean)).sum();
            let err = (squares / (n - 1.0) / n).sqrt();
            ProfileBin {
                low: from,
                high: to,
                n: inside.len() as u64,
                mean,
                err,
            }
        })
        .collect()
}

/// y = constant + sin_term sin(phi) + cos_term cos(phi).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Harmonic {
    /// Constant term, in the unit of the ordinate.
    pub constant: f64,
    /// Coefficient of sin(phi).
    pub sin_term: f64,
    /// Coefficient of cos(phi).
    pub cos_term: f64,
    /// Errors of the three, in this order, from the spread of the residuals.
    pub errors: [f64; 3],
}

/// The unweighted least-squares harmonic of `points` (phi in radians, ordinate).
pub fn fit_harmonic(points: &[(f64, f64)]) -> Result<Harmonic, FitError> {
    const WHAT: &str = "the harmonic of a profile";
    let n = points.len() as u64;
    if n < 4 {
        return Err(FitError::TooFew {
            what: WHAT,
            used: n,
            offered: n,
            needed: 4,
        });
    }
    let row = |phi: f64| [1.0, phi.sin(), phi.cos()];
    let mut normal = vec![vec![0.0; 3]; 3];
    let mut right = [0.0; 3];
    for (phi, y) in points {
        let a = row(*phi);
        for i in 0..3 {
            right[i] += a[i] * y;
            for j in 0..3 {
                normal[i][j] += a[i] * a[j];
            }
        }
    }
    let inverse = matrix::invert(&normal).ok_or(FitError::Degenerate {
        what: WHAT,
        used: n,
    })?;
    let p = matrix::multiply(&inverse, &right);
    let residual = |phi: f64, y: f64| y - row(phi).iter().zip(&p).map(|(a, b)| a * b).sum::<f64>();
    let squares: f64 = points
        .iter()
        .map(|(phi, y)| residual(*phi, *y).powi(2))
        .sum();
    let variance = squares / (n - 3) as f64;
    let error = |i: usize| (inverse[i][i] * variance).sqrt();
    Ok(Harmonic {
        constant: p[0],
        sin_term: p[1],
        cos_term: p[2],
        errors: [error(0), error(1), error(2)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harmonic_is_found_and_profiled() {
        let points: Vec<(f64, f64)> = (0..360)
            .map(|i| f64::from(i).to_radians())
            .map(|phi| (phi, 90.0 + 0.3 * phi.sin() - 0.2 * phi.cos()))
            .collect();
        let fitted = fit_harmonic(&points).unwrap();
        for (got, expect) in [
            (fitted.constant, 90.0),
            (fitted.sin_term, 0.3),
            (fitted.cos_term, -0.2),
        ] {
            assert!((got - expect).abs() < 1e-10, "{got} {expect}");
        }
        let bins = profile(&points, (0.0, std::f64::consts::PI), 2);
        assert_eq!(bins.iter().map(|bin| bin.n).collect::<Vec<_>>(), [90, 90]);
        assert!(bins[0].mean < bins[1].mean && bins[0].err > 0.0);
    }

    #[test]
    fn too_few_points_and_one_direction_are_refused() {
        assert!(matches!(
            fit_harmonic(&[(0.0, 1.0); 3]),
            Err(FitError::TooFew { .. })
        ));
        assert!(matches!(
            fit_harmonic(&[(0.0, 1.0); 9]),
            Err(FitError::Degenerate { .. })
        ));
    }
}
