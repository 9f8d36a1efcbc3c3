//! How likely a difference is: the chi-square and the Kolmogorov probability.
//!
//! In come a statistic and its degrees of freedom, out comes a number between 0 and 1. The
//! definitions are those of ROOT's `TMath::Prob` and `TMath::KolmogorovProb`, with which the tests
//! of the case files agree to 10^-9.

/// The probability that chi-square with `ndof` degrees of freedom exceeds `chi2`; 0 for a negative
/// `chi2` or no degree of freedom.
pub fn chi2_probability(chi2: f64, ndof: u32) -> f64 {
    if ndof == 0 || chi2.is_nan() || chi2 < 0.0 {
        return 0.0;
    }
    if chi2 == 0.0 {
        return 1.0;
    }
    upper_gamma(f64::from(ndof) / 2.0, chi2 / 2.0)
}

/// The probability of at most `n` counts where `mean` are expected (Poisson).
pub fn at_most(n: u64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    upper_gamma(n as f64 + 1.0, mean)
}

/// The probability of at least `n` counts where `mean` are expected (Poisson).
pub fn at_least(n: u64, mean: f64) -> f64 {
    match n {
        0 => 1.0,
        _ if mean <= 0.0 => 0.0,
        _ => 1.0 - upper_gamma(n as f64, mean),
    }
}

/// The regularised upper incomplete gamma function Q(a, x), by its series below a + 1 and by its
/// continued fraction above (W. H. Press et al., Numerical Recipes, 3rd edition, section 6.2).
fn upper_gamma(a: f64, x: f64) -> f64 {
    const STEPS: u32 = 10_000;
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..STEPS {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * f64::EPSILON {
                break;
            }
        }
        return 1.0 - sum * front;
    }
    // Lentz's method; the tiny number stands for a denominator of zero.
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut h = d;
    for step in 1..STEPS {
        let i = f64::from(step);
        let factor = -i * (i - a);
        b += 2.0;
        d = factor * d + b;
        d = if d.abs() < TINY { TINY } else { d }.recip();
        c = b + factor / c;
        c = if c.abs() < TINY { TINY } else { c };
        h *= d * c;
        if (d * c - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    front * h
}

/// ln of the gamma function for x > 0 (Lanczos, g = 7, nine terms; P. Godfrey's coefficients).
fn ln_gamma(x: f64) -> f64 {
    const FIRST: f64 = 0.999_999_999_999_809_9;
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // Reflection: gamma(x) gamma(1 - x) = pi / sin(pi x).
        let sine = (std::f64::consts::PI * x).sin();
        return (std::f64::consts::PI / sine).ln() - ln_gamma(1.0 - x);
    }
    let below = x - 1.0;
    let mut sum = FIRST;
    for (place, term) in TERMS.iter().enumerate() {
        sum += term / (below + place as f64 + 1.0);
    }
    let t = below + 7.5;
    0.5 * std::f64::consts::TAU.ln() + (below + 0.5) * t.ln() - t + sum.ln()
}

/// The probability that the Kolmogorov statistic exceeds `z` = D sqrt(n1 n2 / (n1 + n2)), with the
/// branches and the rounded constant of ROOT, so that both give the same digits.
pub fn kolmogorov_probability(z: f64) -> f64 {
    const ROOT_OF_TAU: f64 = 2.506_628_27;
    let u = z.abs();
    if u < 0.2 {
        return 1.0;
    }
    if u < 0.755 {
        let v = -std::f64::consts::PI.powi(2) / 8.0 / (u * u);
        return 1.0 - ROOT_OF_TAU * (v.exp() + (9.0 * v).exp() + (25.0 * v).exp()) / u;
    }
    if u >= 6.8116 {
        return 0.0;
    }
    let terms = (3.0 / u).round().max(1.0) as i32;
    let sum: f64 = (1..=terms.min(4))
        .map(|j| {
            let sign = if j % 2 == 1 { 1.0 } else { -1.0 };
            sign * (-2.0 * f64::from(j * j) * u * u).exp()
        })
        .sum();
    2.0 * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of scipy 1.17 `stats.chi2.sf`.
    #[test]
    fn the_chi_square_probability_agrees_with_an_outside_table() {
        for (chi2, ndof, expect) in [
            (49.44160288, 59, 0.8079089679),
            (208.5065006, 50, 2.9984348965450975e-21),
            (1.0, 1, 0.31731050786291115),
            (0.5, 10, 0.999993388289439),
            (1000.0, 1000, 0.49405285382923964),
            (0.0, 5, 1.0),
            (-1.0, 5, 0.0),
            (1.0, 0, 0.0),
        ] {
            let got = chi2_probability(chi2, ndof);
            assert!(
                (got - expect).abs() <= 1e-9 * expect.max(1e-30),
                "{chi2} {ndof}: {got}"
            );
        }
    }

    const TABLE: [(u64, f64, f64, f64); 5] = [
        (0, 7.1, 0.0008251049232659046, 1.000000000000001),
        (8, 9.5, 0.39182348254494004, 0.7313368182161583),
        (24, 12.35, 0.9989856578111864, 0.002120365958717076),
        (629, 683.0, 0.019306224057184185, 0.9824679319793793),
        (3, 0.01, 0.9999999995866529, 1.654216528074876e-07),
    ];

    /// Sums of the terms, worked out with Python's `math.fsum`.
    #[test]
    fn counts_are_as_likely_as_an_outside_table_says() {
        for (n, mean, most, least) in TABLE {
            assert!(
                (at_most(n, mean) - most).abs() < 1e-12,
                "at most {n} of {mean}"
            );
            assert!(
                (at_least(n, mean) - least).abs() < 1e-12,
                "at least {n} of {mean}"
            );
        }
        assert_eq!(
            (at_most(0, 0.0), at_least(0, 0.0), at_least(1, 0.0)),
            (1.0, 1.0, 0.0)
        );
    }

    /// The branches must meet, and the two ends are certain.
    #[test]
    fn the_kolmogorov_probability_is_continuous() {
        for (z, expect) in [(0.1, 1.0), (7.0, 0.0), (0.371015645, 0.9991342989)] {
            assert!((kolmogorov_probability(z) - expect).abs() < 1e-9, "{z}");
        }
        for edge in [0.2, 0.755, 6.8116] {
            let (below, above) = (edge - 1e-9, edge + 1e-9);
            let step = kolmogorov_probability(below) - kolmogorov_probability(above);
            assert!(step.abs() < 1e-7, "{edge}: {step}");
        }
    }
}
