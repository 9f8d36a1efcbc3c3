//! The beam spot from the impact parameters of tracks (the d0-phi method).
//!
//! A track that comes from a beam at (x0, y0) passes the detector origin at
//! `dxy = -x0 sin(phi) + y0 cos(phi)`, so a linear least-squares fit over many tracks finds the
//! beam. In come tracks, or the sums of their normal equations collected lumi by lumi; out comes
//! the beam spot with errors. After CMS `RecoVertex/BeamSpotProducer/src/BSFitter.cc`, whose d0 is
//! -dxy. It never decides whether the result is good enough: that is the gate's.

use crate::FitError;
use serde::{Deserialize, Serialize};

/// Tracks further out than this are no beam tracks, cm.
pub const MAX_DXY_CM: f64 = 0.5;
/// Residuals beyond this many robust standard deviations are clipped.
pub const CLIP_SIGMAS: f64 = 5.0;
/// The standard deviation of a normal distribution over its median absolute deviation.
const SIGMA_OF_MAD: f64 = 1.4826;
/// Clipping passes at most; real runs settle in about ten.
pub const MAX_PASSES: u32 = 50;
/// Two parameters and one degree of freedom to judge them by.
const MIN_TRACKS: u64 = 3;

/// What the fit needs of a track.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Azimuth of the track's momentum, radians.
    pub phi_rad: f64,
    /// Transverse impact parameter with respect to the detector origin, cm, signed.
    pub dxy_cm: f64,
}

/// Which tracks a fit keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipping {
    /// Tracks further out than this are no beam tracks, cm.
    pub max_dxy_cm: f64,
    /// Residuals beyond this many robust standard deviations are clipped.
    pub sigmas: f64,
    /// Passes at most.
    pub max_passes: u32,
}

impl Clipping {
    /// What [`fit`] uses.
    pub const USUAL: Self = Self {
        max_dxy_cm: MAX_DXY_CM,
        sigmas: CLIP_SIGMAS,
        max_passes: MAX_PASSES,
    };

    fn is_usable(&self, track: &Track) -> bool {
        track.phi_rad.is_finite() && track.dxy_cm.abs() < self.max_dxy_cm
    }
}

/// A fitted beam spot in the transverse plane.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeamSpot {
    /// Horizontal position, cm.
    pub x0_cm: f64,
    /// Vertical position, cm.
    pub y0_cm: f64,
    /// Error of `x0_cm`, from the spread of the residuals.
    pub x0_err_cm: f64,
    /// Error of `y0_cm`, from the spread of the residuals.
    pub y0_err_cm: f64,
    /// Correlation of the two positions, -1 to 1.
    pub corr: f64,
    /// Tracks in the last fit.
    pub n_used: u64,
    /// Tracks given.
    pub n_tracks: u64,
    /// Spread of the residuals of the used tracks, sqrt(sum r^2 / (n - 2)), cm.
    pub resid_rms_cm: f64,
}

/// Where a track of azimuth `phi_rad` from a beam at (`x0_cm`, `y0_cm`) passes the origin, cm.
pub fn predicted_dxy_cm(x0_cm: f64, y0_cm: f64, phi_rad: f64) -> f64 {
    -x0_cm * phi_rad.sin() + y0_cm * phi_rad.cos()
}

/// Sums of the normal equations: what has to be kept of tracks so that any split into jobs, lumis
/// or runs gives the same beam spot. They hold no list, so they cannot be clipped afterwards; only
/// tracks within [`MAX_DXY_CM`] are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Tracks added, within the cut.
    pub n: u64,
    /// Tracks offered.
    pub n_offered: u64,
    /// A^T A, element (0, 0): sum of sin^2(phi).
    pub a00: f64,
    /// A^T A, element (0, 1): sum of -sin(phi) cos(phi).
    pub a01: f64,
    /// A^T A, element (1, 1): sum of cos^2(phi).
    pub a11: f64,
    /// A^T b, element 0: sum of -sin(phi) dxy, cm.
    pub b0_cm: f64,
    /// A^T b, element 1: sum of cos(phi) dxy, cm.
    pub b1_cm: f64,
    /// Sum of dxy^2, cm^2.
    pub dxy2_cm2: f64,
}

impl Sums {
    /// Adds a track. A track outside the cut, or not a number, is only counted as offered.
    pub fn add(&mut self, track: &Track) {
        self.n_offered += 1;
        if Clipping::USUAL.is_usable(track) {
            self.add_kept(track);
        }
    }

    fn add_kept(&mut self, track: &Track) {
        let (sin, cos) = track.phi_rad.sin_cos();
        self.n += 1;
        self.a00 += sin * sin;
        self.a01 -= sin * cos;
        self.a11 += cos * cos;
        self.b0_cm -= sin * track.dxy_cm;
        self.b1_cm += cos * track.dxy_cm;
        self.dxy2_cm2 += track.dxy_cm * track.dxy_cm;
    }

    /// Adds the tracks of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.n_offered += other.n_offered;
        self.a00 += other.a00;
        self.a01 += other.a01;
        self.a11 += other.a11;
        self.b0_cm += other.b0_cm;
        self.b1_cm += other.b1_cm;
        self.dxy2_cm2 += other.dxy2_cm2;
    }

    /// The beam spot of all tracks added, without clipping.
    pub fn solve(&self) -> Result<BeamSpot, FitError> {
        let (x0_cm, y0_cm) = self.position()?;
        let squares = self.dxy2_cm2 - x0_cm * self.b0_cm - y0_cm * self.b1_cm;
        Ok(self.with_residuals(x0_cm, y0_cm, squares.max(0.0)))
    }

    fn determinant(&self) -> f64 {
        self.a00 * self.a11 - self.a01 * self.a01
    }

    fn position(&self) -> Result<(f64, f64), FitError> {
        const WHAT: &str = "the beam spot";
        if self.n < MIN_TRACKS {
            let (used, offered) = (self.n, self.n_offered);
            return Err(FitError::TooFew {
                what: WHAT,
                used,
                offered,
                needed: MIN_TRACKS,
            });
        }
        let determinant = self.determinant();
        // a00 + a11 = n, so a well spread sample has a determinant near n^2 / 4.
        let n = self.n as f64;
        if determinant <= 1e-10 * n * n {
            return Err(FitError::Degenerate {
                what: WHAT,
                used: self.n,
            });
        }
        let x0_cm = (self.a11 * self.b0_cm - self.a01 * self.b1_cm) / determinant;
        let y0_cm = (self.a00 * self.b1_cm - self.a01 * self.b0_cm) / determinant;
        Ok((x0_cm, y0_cm))
    }

    /// `squares_cm2`: the sum of the squared residuals of the tracks added.
    fn with_residuals(&self, x0_cm: f64, y0_cm: f64, squares_cm2: f64) -> BeamSpot {
        let variance_cm2 = squares_cm2 / (self.n - 2) as f64;
        let determinant = self.determinant();
        BeamSpot {
            x0_cm,
            y0_cm,
            x0_err_cm: (self.a11 / determinant * variance_cm2).sqrt(),
            y0_err_cm: (self.a00 / determinant * variance_cm2).sqrt(),
            corr: -self.a01 / (self.a00 * self.a11).sqrt(),
            n_used: self.n,
            n_tracks: self.n_offered,
            resid_rms_cm: variance_cm2.sqrt(),
        }
    }
}

/// Fits the beam spot with iterated clipping: fit, take s = 1.4826 x the median absolute deviation
/// of the kept residuals, keep |residual| < 5 s, until the kept set does not change.
pub fn fit(tracks: &[Track]) -> Result<BeamSpot, FitError> {
    fit_clipped(tracks, &Clipping::USUAL)
}

/// The same with a clipping of the caller's.
pub fn fit_clipped(tracks: &[Track], clipping: &Clipping) -> Result<BeamSpot, FitError> {
    let usable = |track: &Track| clipping.is_usable(track);
    let mut kept: Vec<bool> = tracks.iter().map(usable).collect();
    let mut last = fit_kept(tracks, &kept)?;
    for _ in 0..clipping.max_passes {
        let residuals: Vec<f64> = tracks
            .iter()
            .map(|track| residual_cm(&last, track))
            .collect();
        let mut of_kept: Vec<f64> = pick(&residuals, &kept);
        let middle = median(&mut of_kept);
        let mut deviations: Vec<f64> = of_kept.iter().map(|r| (r - middle).abs()).collect();
        let width_cm = clipping.sigmas * SIGMA_OF_MAD * median(&mut deviations);
        let next: Vec<bool> = tracks
            .iter()
            .zip(&residuals)
            .map(|(track, residual)| usable(track) && residual.abs() < width_cm)
            .collect();
        // A width of zero (all tracks agree to the last digit) leaves nothing to clip.
        if width_cm == 0.0 || next == kept {
            break;
        }
        kept = next;
        last = fit_kept(tracks, &kept)?;
    }
    Ok(last)
}

/// The share of a normal distribution below minus one standard deviation, per cent.
const BELOW_ONE_SIGMA_PERCENT: f64 = 15.865_525_393_145_708;

/// Half of the span that holds the middle 68.27 % of `residuals` (one standard deviation either
/// way if they were normal; linear between neighbours), in their unit; sorts them. Not a number
/// when there are none.
pub fn half_width_68_cm(residuals: &mut [f64]) -> f64 {
    residuals.sort_by(f64::total_cmp);
    let above = percentile(residuals, 100.0 - BELOW_ONE_SIGMA_PERCENT);
    (above - percentile(residuals, BELOW_ONE_SIGMA_PERCENT)) / 2.0
}

fn residual_cm(spot: &BeamSpot, track: &Track) -> f64 {
    track.dxy_cm - predicted_dxy_cm(spot.x0_cm, spot.y0_cm, track.phi_rad)
}

/// The fit of the kept tracks. The squares are summed from the residuals themselves, because the
/// short form of [`Sums::solve`] loses digits where the residuals are much smaller than dxy.
fn fit_kept(tracks: &[Track], kept: &[bool]) -> Result<BeamSpot, FitError> {
    let mut sums = Sums::default();
    let chosen: Vec<Track> = pick(tracks, kept);
    for track in &chosen {
        sums.add_kept(track);
    }
    sums.n_offered = tracks.len() as u64;
    let (x0_cm, y0_cm) = sums.position()?;
    let residual = |track: &Track| track.dxy_cm - predicted_dxy_cm(x0_cm, y0_cm, track.phi_rad);
    let squares = chosen.iter().map(residual).map(|r| r * r).sum();
    Ok(sums.with_residuals(x0_cm, y0_cm, squares))
}

fn pick<T: Copy>(from: &[T], kept: &[bool]) -> Vec<T> {
    from.iter()
        .zip(kept)
        .filter_map(|(item, keep)| keep.then_some(*item))
        .collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(values, 50.0)
}

/// The percentile of sorted values, linear between neighbours (numpy's default definition).
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = percent / 100.0 * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (place - place.floor()) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small linear congruential generator (Knuth, MMIX), 0 to 1.
    fn random(state: &mut u64) -> f64 {
        *state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (*state >> 11) as f64 / (1u64 << 53) as f64
    }

    fn tracks(n: usize, seed: u64) -> Vec<Track> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                let phi_rad = (random(&mut state) - 0.5) * std::f64::consts::TAU;
                // A sum of twelve uniform numbers is near enough to normal.
                let normal: f64 = (0..12).map(|_| random(&mut state)).sum::<f64>() - 6.0;
                let far = if random(&mut state) < 0.03 { 0.3 } else { 0.0 };
                Track {
                    phi_rad,
                    dxy_cm: predicted_dxy_cm(0.075, 0.042, phi_rad) + 0.003 * normal + far,
                }
            })
            .collect()
    }

    #[test]
    fn the_fit_finds_the_truth_and_clips_what_is_far() {
        let mut pulls = 0.0;
        for seed in 1..=40 {
            let spot = fit(&tracks(1000, seed)).unwrap();
            assert!(spot.n_used > 940 && spot.n_used < 995, "{spot:?}");
            assert!((spot.resid_rms_cm - 0.003).abs() < 0.0003, "{spot:?}");
            pulls += ((spot.x0_cm - 0.075) / spot.x0_err_cm).powi(2);
            pulls += ((spot.y0_cm - 0.042) / spot.y0_err_cm).powi(2);
        }
        assert!(pulls > 50.0 && pulls < 115.0, "chi2 of 80 pulls: {pulls}");
    }

    #[test]
    fn a_clipping_of_the_callers_decides_what_is_kept() {
        let all = tracks(2000, 5);
        let usual = fit(&all).unwrap();
        assert_eq!(fit_clipped(&all, &Clipping::USUAL).unwrap(), usual);
        let kept = |clipping: Clipping| fit_clipped(&all, &clipping).unwrap().n_used;
        let tight = kept(Clipping {
            sigmas: 2.0,
            ..Clipping::USUAL
        });
        assert!(tight < usual.n_used, "{tight} of {}", usual.n_used);
        // Without a pass nothing is clipped: what is near enough is kept, and only that.
        for max_dxy_cm in [0.05, 0.2, 0.5, 9.0] {
            let near = all.iter().filter(|track| track.dxy_cm.abs() < max_dxy_cm);
            let expect = near.count() as u64;
            let unclipped = Clipping {
                max_dxy_cm,
                max_passes: 0,
                ..Clipping::USUAL
            };
            assert_eq!(kept(unclipped), expect, "within {max_dxy_cm} cm");
        }
    }

    #[test]
    fn any_split_gives_the_same_sums() {
        let all = tracks(3000, 7);
        let mut whole = Sums::default();
        for track in &all {
            whole.add(track);
        }
        for parts in [1, 2, 3, 7, 100, 3000] {
            let mut merged = Sums::default();
            // Parts by stride and merged from the back: another order, the same tracks.
            for part in (0..parts).rev() {
                let mut sums = Sums::default();
                all.iter()
                    .skip(part)
                    .step_by(parts)
                    .for_each(|track| sums.add(track));
                merged.merge(&sums);
            }
            assert_eq!((merged.n, merged.n_offered), (whole.n, whole.n_offered));
            let (a, b) = (merged.solve().unwrap(), whole.solve().unwrap());
            for (got, expect) in [
                (a.x0_cm, b.x0_cm),
                (a.y0_cm, b.y0_cm),
                (a.x0_err_cm, b.x0_err_cm),
                (a.y0_err_cm, b.y0_err_cm),
                (a.resid_rms_cm, b.resid_rms_cm),
            ] {
                assert!(
                    (got - expect).abs() < 1e-10 * expect.abs(),
                    "{parts}: {got} {expect}"
                );
            }
        }
    }

    #[test]
    fn the_sums_agree_with_the_fit_where_nothing_is_clipped() {
        let some: Vec<Track> = tracks(500, 3)
            .into_iter()
            .filter(|t| t.dxy_cm < 0.2)
            .collect();
        let mut sums = Sums::default();
        for track in &some {
            sums.add(track);
        }
        let (a, b) = (sums.solve().unwrap(), fit(&some).unwrap());
        assert_eq!(b.n_used, some.len() as u64);
        assert!(
            (a.x0_cm - b.x0_cm).abs() < 1e-12 && (a.x0_err_cm / b.x0_err_cm - 1.0).abs() < 1e-9
        );
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let track = |phi_rad, dxy_cm| Track { phi_rad, dxy_cm };
        assert!(matches!(
            fit(&[]),
            Err(FitError::TooFew {
                used: 0,
                offered: 0,
                ..
            })
        ));
        let bad = [
            track(f64::NAN, 0.0),
            track(0.1, f64::NAN),
            track(0.2, 0.6),
            track(0.3, 0.1),
        ];
        assert!(matches!(
            fit(&bad),
            Err(FitError::TooFew {
                used: 1,
                offered: 4,
                ..
            })
        ));
        let one_direction = [track(0.5, 0.1); 10];
        assert!(matches!(
            fit(&one_direction),
            Err(FitError::Degenerate { used: 10, .. })
        ));
    }

    #[test]
    fn percentiles_are_linear_between_neighbours() {
        let check = |mut values: Vec<f64>, expect: f64| {
            let got = half_width_68_cm(&mut values);
            assert!((got - expect).abs() < 1e-12, "{got} {expect}");
        };
        check(
            (0..=100).rev().map(f64::from).collect(),
            34.134_474_606_854_29,
        );
        check(vec![4.0], 0.0);
        check(vec![1.0, 0.0], 0.341_344_746_068_542_9);
        assert!(half_width_68_cm(&mut []).is_nan());
    }
}
