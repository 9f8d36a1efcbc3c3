//! The momentum scale from a resonance: a peak fit and the factor that puts the peak in its place.
//!
//! In comes the mass histogram of a [`PeakModel`], which may be the sum of any number of lumis or
//! runs; out comes the peak with errors and k = m(PDG) / m(fit), because a mass is linear in a
//! common scale of both momenta. The estimator is the Baker-Cousins Poisson likelihood ratio
//! (S. Baker and R. D. Cousins, Nucl. Instr. Meth. 221 (1984) 437), with errors from the inverse
//! of its second derivatives. Whether k is used is decided by the gate, not here.

pub use crate::peak_model::{Background, PeakModel};

use crate::peak_model::{LEVEL, MASS, MAX_PARAMETERS, SIGMA, YIELD};
use crate::voigt::Faddeeva;
use crate::{FitError, matrix};

/// Steps of one attempt at most; good starts need about ten.
const MAX_STEPS: u32 = 300;
/// Expected distance to the minimum, in units of -2 ln L, at which the search ends.
const CLOSE_ENOUGH: f64 = 1e-9;
/// The resolution is tried from these multiples of the model's start value.
const STARTS: [f64; 4] = [1.0, 0.6, 1.6, 0.3];

/// A fitted parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// `yield` (pairs), `mass_gev`, `sigma_gev`, `level` and `slope` of the background.
    pub name: &'static str,
    /// Fitted value.
    pub value: f64,
    /// One standard deviation; 0 for a parameter that ended on its bound.
    pub error: f64,
}

/// A fitted peak.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// Mass of the resonance in the tables, GeV.
    pub pdg_mass_gev: f64,
    /// Position of the peak, GeV.
    pub mass_gev: f64,
    /// Its error, GeV.
    pub mass_err_gev: f64,
    /// Gaussian resolution, GeV.
    pub sigma_gev: f64,
    /// Its error, GeV.
    pub sigma_err_gev: f64,
    /// Entries of the histogram.
    pub n_in_window: u64,
    /// -2 ln of the likelihood ratio at the minimum: a goodness of fit.
    pub min2nll: f64,
    /// Bins less parameters.
    pub ndf: u32,
    /// All parameters, in the model's order.
    pub parameters: Vec<Parameter>,
}

impl Peak {
    /// The fitted curve, for pictures: masses in GeV over the window of `model`, `per_bin` to a
    /// bin, each with the entries that a bin around it should have. `model` is the one that was
    /// fitted.
    pub fn curve(&self, model: &PeakModel, per_bin: usize) -> Vec<(f64, f64)> {
        let faddeeva = Faddeeva::new();
        let parameters: Vec<f64> = self.parameters.iter().map(|p| p.value).collect();
        let (low, high) = model.range_gev;
        let steps = model.bins * per_bin.max(1);
        (0..=steps)
            .map(|n| low + (high - low) * n as f64 / steps as f64)
            .map(|mass| (mass, model.expected_at(&faddeeva, &parameters, mass).0))
            .collect()
    }
}

/// A momentum scale: pt(corrected) = k pt.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scale {
    /// The factor, near 1.
    pub k: f64,
    /// Its error.
    pub k_err: f64,
}

/// The scale that moves `peak` to the mass in the tables.
pub fn scale_of(peak: &Peak) -> Scale {
    let k = peak.pdg_mass_gev / peak.mass_gev;
    Scale {
        k,
        k_err: k * peak.mass_err_gev / peak.mass_gev,
    }
}

/// Fits `counts`, the contents of the model's histogram.
pub fn fit(model: &PeakModel, counts: &[u64]) -> Result<Peak, FitError> {
    if counts.len() != model.bins {
        let (got, expected) = (counts.len(), model.bins);
        return Err(FitError::WrongBins {
            what: model.name,
            got,
            expected,
        });
    }
    let search = Search {
        model,
        counts,
        faddeeva: Faddeeva::new(),
    };
    let used = counts.iter().sum();
    let needed = 2 * search.size() as u64;
    if used < needed {
        return Err(FitError::TooFew {
            what: model.name,
            used,
            offered: used,
            needed,
        });
    }
    let best = STARTS
        .iter()
        .filter_map(|factor| search.minimise(search.start(factor * model.start_sigma_gev)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let failed = FitError::NotConverged {
        what: model.name,
        steps: MAX_STEPS,
    };
    let Some((min2nll, at)) = best else {
        return Err(failed);
    };
    let errors = search.errors(&at).ok_or(failed)?;
    let names = model.parameter_names();
    let parameters = (0..names.len())
        .map(|i| Parameter {
            name: names[i],
            value: at[i],
            error: errors[i],
        })
        .collect();
    Ok(Peak {
        pdg_mass_gev: model.pdg_mass_gev,
        mass_gev: at[MASS],
        mass_err_gev: errors[MASS],
        sigma_gev: at[SIGMA],
        sigma_err_gev: errors[SIGMA],
        n_in_window: used,
        min2nll,
        ndf: (model.bins - names.len()) as u32,
        parameters,
    })
}

/// The function to be minimised.
struct Search<'a> {
    model: &'a PeakModel,
    counts: &'a [u64],
    faddeeva: Faddeeva,
}

/// Gradient and expected second derivatives (Fisher information) of -2 ln L.
type Slopes = (Vec<f64>, Vec<Vec<f64>>);

impl Search<'_> {
    fn size(&self) -> usize {
        self.model.parameter_names().len()
    }

    /// A first guess: background from the edges of the window, peak where five bins hold most.
    fn start(&self, sigma_gev: f64) -> Vec<f64> {
        let bins = self.counts.len();
        let edge = (bins / 10).max(1);
        let at_edges: u64 = self.counts[..edge]
            .iter()
            .chain(&self.counts[bins - edge..])
            .sum();
        let per_bin = at_edges as f64 / (2 * edge) as f64;
        let sum_at = |bin: usize| -> u64 {
            self.counts[bin.saturating_sub(2)..(bin + 3).min(bins)]
                .iter()
                .sum()
        };
        let highest = (0..bins).max_by_key(|bin| sum_at(*bin)).unwrap_or(bins / 2);
        let total = self.counts.iter().sum::<u64>() as f64;
        let mut parameters = vec![0.0; self.size()];
        parameters[YIELD] = (total - per_bin * bins as f64).max(total / 10.0);
        parameters[MASS] = self.model.centre_gev(highest);
        parameters[SIGMA] = sigma_gev;
        parameters[LEVEL] = (per_bin / self.model.bin_width_gev()).max(total * 1e-4);
        parameters
    }

    /// -2 ln of the likelihood ratio; infinite where the model is not positive in every bin.
    fn value(&self, parameters: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (bin, count) in self.counts.iter().enumerate() {
            let (expected, _) = self.model.expected(&self.faddeeva, parameters, bin);
            if !(expected > 0.0 && expected.is_finite()) {
                return f64::INFINITY;
            }
            let n = *count as f64;
            sum += 2.0 * (expected - n);
            if *count > 0 {
                sum += 2.0 * n * (n / expected).ln();
            }
        }
        sum
    }

    fn slopes(&self, parameters: &[f64]) -> Slopes {
        let size = self.size();
        let mut gradient = vec![0.0; size];
        let mut second = vec![vec![0.0; size]; size];
        for (bin, count) in self.counts.iter().enumerate() {
            let (expected, by): (f64, [f64; MAX_PARAMETERS]) =
                self.model.expected(&self.faddeeva, parameters, bin);
            let pull = 2.0 * (1.0 - *count as f64 / expected);
            for i in 0..size {
                gradient[i] += pull * by[i];
                for j in 0..size {
                    second[i][j] += 2.0 * by[i] * by[j] / expected;
                }
            }
        }
        (gradient, second)
    }

    /// Parameters that are not held by their bound.
    fn free(&self, parameters: &[f64], gradient: &[f64]) -> Vec<usize> {
        (0..self.size())
            .filter(|i| parameters[*i] > self.model.lower_bound(*i) || gradient[*i] < 0.0)
            .collect()
    }

    /// Levenberg-Marquardt (D. W. Marquardt, J. SIAM 11 (1963) 431) with lower bounds.
    fn minimise(&self, start: Vec<f64>) -> Option<(f64, Vec<f64>)> {
        let mut at = start;
        let mut value = self.value(&at);
        let mut damping = 1e-3;
        for _ in 0..MAX_STEPS {
            let (gradient, second) = self.slopes(&at);
            let free = self.free(&at, &gradient);
            let full = step(&free, &gradient, &second, 0.0);
            // Half the gradient times the full step is the expected distance to the minimum.
            let distance = full.map(|full| {
                free.iter()
                    .zip(&full)
                    .map(|(i, by)| -0.5 * gradient[*i] * by)
                    .sum::<f64>()
            });
            if distance.is_some_and(|distance| distance < CLOSE_ENOUGH) {
                return Some((value, at));
            }
            loop {
                let mut next = at.clone();
                for (i, by) in free.iter().zip(step(&free, &gradient, &second, damping)?) {
                    next[*i] = (next[*i] + by).max(self.model.lower_bound(*i));
                }
                let reached = self.value(&next);
                if reached < value {
                    (at, value) = (next, reached);
                    damping = (damping * 0.1).max(1e-9);
                    break;
                }
                damping *= 10.0;
                if damping > 1e12 {
                    // No step goes down any more: the rounding floor, if it is near the minimum.
                    return distance.is_some_and(|d| d < 1e-5).then_some((value, at));
                }
            }
        }
        None
    }

    /// Errors from the second derivatives at the minimum, taken as differences of the exact
    /// gradient over a fiftieth of the expected errors. -2 ln L rises by 1 at one error, so the
    /// covariance is twice the inverse.
    fn errors(&self, at: &[f64]) -> Option<Vec<f64>> {
        let (gradient, expected) = self.slopes(at);
        let free = self.free(at, &gradient);
        let rough = matrix::invert(&restrict(&expected, &free))?;
        let mut second = vec![vec![0.0; free.len()]; free.len()];
        for (row, i) in free.iter().enumerate() {
            let size = 0.02 * (2.0 * rough[row][row]).sqrt();
            // Where the bound is nearer than the step, the difference is one-sided by a little.
            let (mut low, mut high) = (at.to_vec(), at.to_vec());
            low[*i] = (at[*i] - size).max(self.model.lower_bound(*i));
            high[*i] = at[*i] + size;
            let (below, above) = (self.slopes(&low).0, self.slopes(&high).0);
            for (column, j) in free.iter().enumerate() {
                second[row][column] = (above[*j] - below[*j]) / (high[*i] - low[*i]);
            }
        }
        let symmetric: Vec<Vec<f64>> = (0..free.len())
            .map(|i| {
                (0..free.len())
                    .map(|j| 0.5 * (second[i][j] + second[j][i]))
                    .collect()
            })
            .collect();
        let inverse = matrix::invert(&symmetric)?;
        let mut errors = vec![0.0; at.len()];
        for (place, i) in free.iter().enumerate() {
            errors[*i] = (2.0 * inverse[place][place]).sqrt();
        }
        Some(errors)
    }
}

fn restrict(full: &[Vec<f64>], free: &[usize]) -> Vec<Vec<f64>> {
    free.iter()
        .map(|i| free.iter().map(|j| full[*i][*j]).collect())
        .collect()
}

/// The damped Newton step of the free parameters.
fn step(free: &[usize], gradient: &[f64], second: &[Vec<f64>], damping: f64) -> Option<Vec<f64>> {
    let mut damped = restrict(second, free);
    for (i, row) in damped.iter_mut().enumerate() {
        row[i] *= 1.0 + damping;
    }
    let right: Vec<f64> = free.iter().map(|i| -gradient[*i]).collect();
    Some(matrix::multiply(&matrix::invert(&damped)?, &right))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What iminuit was asked to fit to two small samples.
    const FLAT: PeakModel = PeakModel {
        background: Background::KnownSlope {
            reference_gev: 90.0,
            slope_per_gev: 0.0,
        },
        ..PeakModel::Z_SMALL_SAMPLE
    };

    /// The expected contents of a model, rounded.
    fn made(model: &PeakModel, parameters: &[f64]) -> Vec<u64> {
        let faddeeva = Faddeeva::new();
        (0..model.bins)
            .map(|bin| model.expected(&faddeeva, parameters, bin).0.round() as u64)
            .collect()
    }

    #[test]
    fn what_was_put_in_comes_out() {
        for (model, truth) in [
            (PeakModel::Z, vec![2e6, 90.8, 1.33, 5000.0, 0.05]),
            (PeakModel::Z_SMALL_SAMPLE, vec![2e6, 91.4, 1.1, 5000.0]),
            (FLAT, vec![2e6, 91.4, 1.1, 5000.0]),
            (PeakModel::UPSILON_1S, vec![8e6, 9.446, 0.085, 1.6e7, 7e6]),
            (PeakModel::PSI_2S, vec![1e6, 3.682, 0.032, 7e6, -7e6]),
        ] {
            let peak = fit(&model, &made(&model, &truth)).unwrap();
            for (parameter, expect) in peak.parameters.iter().zip(&truth) {
                let off = (parameter.value - expect) / parameter.error;
                assert!(
                    off.abs() < 0.1,
                    "{} {parameter:?} expected {expect}",
                    model.name
                );
            }
            assert!(peak.min2nll < 10.0, "{peak:?}");
        }
    }

    #[test]
    fn the_error_of_the_mass_falls_with_the_root_of_the_sample() {
        let fitted = |pairs: f64| {
            let truth = [pairs, 90.8, 1.33, pairs * 0.0025];
            fit(
                &PeakModel::Z_SMALL_SAMPLE,
                &made(&PeakModel::Z_SMALL_SAMPLE, &truth),
            )
            .unwrap()
        };
        let ratio = fitted(1e6).mass_err_gev / fitted(4e6).mass_err_gev;
        assert!((ratio - 2.0).abs() < 0.01, "{ratio}");
    }

    #[test]
    fn a_background_of_nothing_ends_on_its_bound() {
        let mut counts = vec![0; 60];
        for (bin, count) in [(29, 40), (30, 60), (31, 70), (32, 50), (33, 30)] {
            counts[bin] = count;
        }
        let peak = fit(&PeakModel::Z_SMALL_SAMPLE, &counts).unwrap();
        assert_eq!(peak.parameters[LEVEL].value, 0.0);
        assert_eq!(peak.parameters[LEVEL].error, 0.0);
        assert!(
            peak.mass_err_gev > 0.05 && peak.mass_err_gev < 0.5,
            "{peak:?}"
        );
    }

    #[test]
    fn the_curve_goes_through_the_bins() {
        let model = PeakModel::Z_SMALL_SAMPLE;
        let peak = fit(&model, &made(&model, &[1e6, 90.776, 1.3, 100.0])).unwrap();
        // Every second point is the centre of a bin: together they are the histogram.
        let curve = peak.curve(&model, 2);
        assert_eq!((curve.len(), curve[0].0, curve[120].0), (121, 75.0, 105.0));
        let sum: f64 = curve.iter().skip(1).step_by(2).map(|point| point.1).sum();
        assert!((sum / peak.n_in_window as f64 - 1.0).abs() < 1e-6, "{sum}");
        let top = curve.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert!((top.0 - 90.776).abs() < 0.25, "{top:?}");
    }

    #[test]
    fn the_scale_moves_the_peak_to_the_table() {
        let truth = [1e6, 90.776, 1.3, 100.0];
        let counts = made(&PeakModel::Z_SMALL_SAMPLE, &truth);
        let scale = scale_of(&fit(&PeakModel::Z_SMALL_SAMPLE, &counts).unwrap());
        assert!((scale.k - 91.1876 / 90.776).abs() < 1e-5, "{scale:?}");
        assert!(scale.k_err > 1e-5 && scale.k_err < 1e-4, "{scale:?}");
    }

    /// Z candidates of two real CMS runs of 2010 (first row of each event), and what iminuit 2.33
    /// makes of them.
    const RUN_148029: [u64; 60] = [
        1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 2, 1, 1, 0, 0, 0, 2, 1, 0, 0, 1, 5, 1, 2, 2, 9, 7, 5, 7, 14,
        12, 11, 11, 5, 11, 3, 4, 2, 4, 3, 2, 0, 1, 0, 2, 0, 0, 0, 2, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0,
        0,
    ];
    const RUN_148031: [u64; 60] = [
        1, 0, 1, 0, 1, 1, 2, 1, 1, 3, 2, 2, 2, 0, 4, 0, 0, 1, 4, 3, 3, 4, 5, 7, 5, 9, 7, 13, 11,
        23, 28, 30, 26, 19, 18, 17, 14, 10, 10, 10, 6, 3, 0, 2, 1, 2, 1, 1, 1, 1, 2, 0, 0, 0, 0, 0,
        0, 0, 0, 1,
    ];

    #[test]
    fn two_real_runs_of_a_few_hundred_pairs() {
        let check = |counts: &[u64], n: u64, mass: f64, mass_err: f64, sigma: f64, min2nll: f64| {
            let peak = fit(&FLAT, counts).unwrap();
            assert_eq!(peak.n_in_window, n);
            assert!((peak.mass_gev - mass).abs() < 0.01 * mass_err, "{peak:?}");
            assert!(
                (peak.mass_err_gev / mass_err - 1.0).abs() < 0.01,
                "{peak:?}"
            );
            assert!((peak.sigma_gev - sigma).abs() < 0.005, "{peak:?}");
            assert!((peak.min2nll - min2nll).abs() < 0.001, "{peak:?}");
            peak
        };
        let both: Vec<u64> = RUN_148029
            .iter()
            .zip(&RUN_148031)
            .map(|(a, b)| a + b)
            .collect();
        let first = check(&RUN_148029, 140, 90.34725, 0.23630, 1.32102, 58.28428);
        let second = check(&RUN_148031, 319, 90.96044, 0.16135, 1.39830, 58.82169);
        let peak = check(&both, 459, 90.77112, 0.13535, 1.43193, 62.92780);
        let scale = scale_of(&peak);
        assert_eq!(
            format!("{:.4} {:.4}", scale.k, scale.k_err),
            "1.0046 0.0015"
        );
        let apart =
            (second.mass_gev - first.mass_gev) / second.mass_err_gev.hypot(first.mass_err_gev);
        assert_eq!(format!("{apart:.1}"), "2.1");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let refused = |counts: &[u64]| fit(&PeakModel::Z_SMALL_SAMPLE, counts).unwrap_err();
        assert!(matches!(
            refused(&[1; 10]),
            FitError::WrongBins {
                got: 10,
                expected: 60,
                ..
            }
        ));
        assert!(matches!(
            refused(&[0; 60]),
            FitError::TooFew {
                used: 0,
                needed: 8,
                ..
            }
        ));
    }

    #[test]
    fn masses_fall_into_half_open_bins() {
        let model = PeakModel::Z_SMALL_SAMPLE;
        for (mass, bin) in [
            (75.0, Some(0)),
            (75.5, Some(1)),
            (104.999_999, Some(59)),
            (105.0, None),
            (74.9, None),
            (f64::NAN, None),
        ] {
            assert_eq!(model.bin_of(mass), bin, "{mass}");
        }
        assert_eq!(
            model
                .histogram(&[75.1, 75.2, 90.0, 200.0])
                .iter()
                .sum::<u64>(),
            3
        );
    }
}
