//! The Voigt profile: a Breit-Wigner resonance seen with Gaussian resolution, and its derivatives.
//! In come a distance from the peak, a resolution and a natural half width in one unit; out come
//! densities per that unit. Precise to about 10^-12 of the peak; it knows nothing about fits.

/// Terms of the expansion; 32 give about 12 digits (Weideman, table 1).
const TERMS: usize = 32;

/// A Voigt profile at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Density {
    /// The density, per unit of the abscissa.
    pub value: f64,
    /// Its derivative by the abscissa.
    pub by_x: f64,
    /// Its derivative by the Gaussian width.
    pub by_sigma: f64,
}

/// The Faddeeva function w(z) = exp(-z^2) erfc(-iz) on the upper half plane, with the coefficients
/// of its rational expansion: J. A. C. Weideman, SIAM J. Numer. Anal. 31 (1994) 1497.
#[derive(Clone, Debug)]
pub struct Faddeeva {
    /// Coefficients from the highest power down.
    coefficients: [f64; TERMS],
    /// Scale of the mapping, sqrt(TERMS / sqrt 2).
    length: f64,
}

impl Faddeeva {
    /// Computes the coefficients: a discrete cosine transform of exp(-t^2)(L^2 + t^2).
    pub fn new() -> Self {
        let length = (TERMS as f64 / std::f64::consts::SQRT_2).sqrt();
        let points = 2 * TERMS as i32;
        let coefficient = |n: usize| {
            let sum: f64 = (1 - points..points)
                .map(|k| {
                    let angle = f64::from(k) * std::f64::consts::PI / f64::from(points);
                    let t = length * (angle / 2.0).tan();
                    (-t * t).exp() * (length * length + t * t) * (n as f64 * angle).cos()
                })
                .sum();
            sum / f64::from(2 * points)
        };
        let mut coefficients = [0.0; TERMS];
        for (place, value) in coefficients.iter_mut().enumerate() {
            *value = coefficient(TERMS - place);
        }
        Self {
            coefficients,
            length,
        }
    }

    /// w(x + iy) as (real, imaginary); `y` must not be negative.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        // l - iz and l + iz, with z = x + iy.
        let below = (self.length + y, -x);
        let mapped = divide((self.length - y, x), below);
        let mut sum = (0.0, 0.0);
        for coefficient in self.coefficients {
            sum = times(sum, mapped);
            sum.0 += coefficient;
        }
        let first = divide((2.0 * sum.0, 2.0 * sum.1), times(below, below));
        let second = divide((std::f64::consts::PI.sqrt().recip(), 0.0), below);
        (first.0 + second.0, first.1 + second.1)
    }

    /// The Voigt profile at distance `x` from its peak: `sigma` > 0 is the Gaussian standard
    /// deviation, `gamma` >= 0 the half width at half maximum of the resonance (0: a Gaussian).
    ///
    /// V = Re w(z) / (sigma sqrt(2 pi)), z = (x + i gamma) / (sigma sqrt 2), and
    /// w' = -2zw + 2i / sqrt(pi).
    pub fn voigt(&self, x: f64, sigma: f64, gamma: f64) -> Density {
        let unit = sigma * std::f64::consts::SQRT_2;
        let z = (x / unit, gamma / unit);
        // On the real axis the expansion would leave 10^-13 where exp(-x^2) vanishes.
        let w = if gamma == 0.0 {
            ((-z.0 * z.0).exp(), 0.0)
        } else {
            self.at(z.0, z.1)
        };
        let zw = times(z, w);
        let slope = if gamma == 0.0 {
            (-2.0 * zw.0, 0.0)
        } else {
            (-2.0 * zw.0, -2.0 * zw.1 + 2.0 / std::f64::consts::PI.sqrt())
        };
        let norm = 1.0 / (sigma * std::f64::consts::TAU.sqrt());
        Density {
            value: norm * w.0,
            by_x: norm * slope.0 / unit,
            by_sigma: -norm * (times(slope, z).0 + w.0) / sigma,
        }
    }
}

impl Default for Faddeeva {
    fn default() -> Self {
        Self::new()
    }
}

type Complex = (f64, f64);

fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn divide(a: Complex, b: Complex) -> Complex {
    let size = b.0 * b.0 + b.1 * b.1;
    (
        (a.0 * b.0 + a.1 * b.1) / size,
        (a.1 * b.0 - a.0 * b.1) / size,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of scipy 1.17 `special.wofz`.
    #[test]
    fn the_faddeeva_function_agrees_with_an_outside_table() {
        let table = [
            (0.0, 0.0, 1.0, 0.0),
            (0.5, 0.0, 0.7788007830714049, 0.4789251729010434),
            (1.0, 0.3, 0.3693863377704871, 0.42722473632062885),
            (2.0, 0.1, 0.040201398161451296, 0.3315826873345632),
            (3.0, 0.001, 0.00020197242455732037, 0.20115654204559785),
            (0.1, 4.0, 0.13692484031096008, 0.003236670226163307),
            (10.0, 0.5, 0.002856953699322313, 0.05656032893530876),
            (-2.0, 0.7, 0.12257447905554397, -0.2590308931942296),
            (20.0, 2.0, 0.002803313124932209, 0.027963489374117214),
        ];
        let faddeeva = Faddeeva::new();
        for (x, y, real, imaginary) in table {
            let got = faddeeva.at(x, y);
            assert!((got.0 - real).abs() < 2e-12, "{x} {y}: {got:?}");
            assert!((got.1 - imaginary).abs() < 2e-12, "{x} {y}: {got:?}");
        }
    }

    /// Values of scipy 1.17 `special.voigt_profile`, and derivatives against differences.
    #[test]
    fn the_profile_and_its_derivatives_are_right() {
        let faddeeva = Faddeeva::new();
        for (x, sigma, gamma, expect) in [
            (0.0, 1.3, 1.2476, 0.16400682306353137),
            (3.3, 1.3, 1.2476, 0.046226968723606085),
            (-12.0, 0.5, 1.2476, 0.0027422855045279395),
            (0.0, 2.0, 0.0, 0.19947114020071635),
        ] {
            let value = |x, sigma| faddeeva.voigt(x, sigma, gamma).value;
            let got = faddeeva.voigt(x, sigma, gamma);
            assert!(
                (got.value - expect).abs() < 1e-12,
                "{x} {sigma} {gamma}: {got:?}"
            );
            let by_x = (value(x + 1e-5, sigma) - value(x - 1e-5, sigma)) / 2e-5;
            let by_sigma = (value(x, sigma + 1e-5) - value(x, sigma - 1e-5)) / 2e-5;
            assert!((got.by_x - by_x).abs() < 1e-9, "{x}: {got:?} {by_x}");
            assert!(
                (got.by_sigma - by_sigma).abs() < 1e-9,
                "{x}: {got:?} {by_sigma}"
            );
        }
    }
}
