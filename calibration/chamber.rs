//! A drift chamber with known misalignment, whose tracks show whether Millepede finds it.
//!
//! In: seeds and a number of tracks. Out: offsets and drift velocities of the planes, and hits or
//! Mille records of straight tracks through them: the test chamber of Millepede-II (`pede -t`,
//! MillepedeII: mptest1.f90), with random numbers of our own. 100 planes, 10 cm apart, of 25 cells
//! 4 cm wide, measure y to 150 um with an efficiency of 90 %; plane 7 is bad on purpose (400 um,
//! 10 %). A measurement is y of the track, plus the plane's offset, plus drift length times its
//! relative drift velocity. Two constraints take out a common shift and a common tilt. The truth
//! never stands in a record.

use crate::chamber_track::Hit;
use crate::millepede::{Condition, Records, Steering};
use crate::random::Random;

/// Planes.
pub const PLANES: usize = 100;
/// Position of the first plane along the track and distance of planes, cm.
const PITCH_CM: f64 = 10.0;
/// Height of a plane, cm; no drift length and no offset is larger.
pub const HEIGHT_CM: f64 = 100.0;
/// Width of a cell; its wire is in the middle, cm.
const CELL_CM: f64 = 4.0;
/// Cells of a plane.
pub const CELLS: u32 = 25;
/// Error of a measurement, cm.
pub const SIGMA_CM: f64 = 0.015;
/// Efficiency of a plane.
pub const EFFICIENCY: f64 = 0.9;
/// The bad plane, from 0, its error in cm and its efficiency.
const BAD: (usize, f64, f64) = (6, 0.04, 0.1);
/// Width of the offsets, cm.
const OFFSET_CM: f64 = 0.1;
/// Width of the relative drift velocities.
const DRIFT: f64 = 0.02;

/// The misalignment that is to be found.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Offset of each plane, cm. Their sum is zero, and so is their tilt.
    pub offsets_cm: Vec<f64>,
    /// Relative deviation of each plane's drift velocity.
    pub drifts: Vec<f64>,
}

/// Label of a plane's offset; planes are counted from 0.
pub fn offset_label(plane: usize) -> i32 {
    12 + 2 * plane as i32
}

/// Label of a plane's drift velocity; planes are counted from 0.
pub fn drift_label(plane: usize) -> i32 {
    501 + plane as i32
}

/// Position of a plane along the track, cm; planes are counted from 0.
pub fn position_cm(plane: usize) -> f64 {
    PITCH_CM * (plane + 1) as f64
}

/// Height of a cell's wire in its plane, cm; cells are counted from 0.
pub fn wire_cm(cell: u32) -> f64 {
    CELL_CM * (f64::from(cell) + 0.5)
}

/// Error of a measurement in this plane, cm; planes are counted from 0.
pub fn sigma_cm(plane: usize) -> f64 {
    if plane == BAD.0 { BAD.1 } else { SIGMA_CM }
}

/// What a plane sees of a track, with the truth about it.
struct Seen {
    plane: usize,
    cell: u32,
    /// True drift length with its sign, cm.
    drift_cm: f64,
    /// Height measured by a chamber that knows nothing of its misalignment, cm.
    value_cm: f64,
}

/// Position along the track relative to the middle, -1 to 1.
fn lever(plane: usize) -> f64 {
    let half = 0.5 * (PLANES - 1) as f64;
    (plane as f64 - half) / half
}

impl Truth {
    /// A misalignment for this seed.
    pub fn draw(seed: u64) -> Self {
        Self::draw_with(seed, OFFSET_CM, DRIFT)
    }

    /// A misalignment for this seed with offsets (cm) and relative drift velocities of these
    /// widths; with two zeros it is the perfect chamber.
    pub fn draw_with(seed: u64, offset_cm: f64, drift: f64) -> Self {
        let mut random = Random::new(seed);
        let mut offsets_cm: Vec<f64> = (0..PLANES).map(|_| offset_cm * random.normal()).collect();
        let drifts = (0..PLANES).map(|_| drift * random.normal()).collect();
        // The levers sum to zero, so shift and tilt are taken out one by one.
        let shift = offsets_cm.iter().sum::<f64>() / PLANES as f64;
        let tilt = offsets_cm
            .iter()
            .enumerate()
            .map(|(plane, at)| lever(plane) * at)
            .sum::<f64>()
            / (0..PLANES).map(|plane| lever(plane).powi(2)).sum::<f64>();
        for (plane, offset) in offsets_cm.iter_mut().enumerate() {
            *offset -= shift + tilt * lever(plane);
        }
        Self { offsets_cm, drifts }
    }

    /// The true value of a label, if the chamber has it.
    pub fn value(&self, label: i32) -> Option<f64> {
        let offset = (0..PLANES).find(|plane| offset_label(*plane) == label);
        let drift = (0..PLANES).find(|plane| drift_label(*plane) == label);
        offset
            .map(|plane| self.offsets_cm[plane])
            .or_else(|| drift.map(|plane| self.drifts[plane]))
    }

    /// Mille records of `tracks` tracks. Jobs with seeds of their own give tracks of their own
    /// through the same chamber.
    pub fn tracks(&self, seed: u64, tracks: usize) -> Records {
        let mut random = Random::new(seed);
        let mut records = Records::default();
        for _ in 0..tracks {
            self.track(&mut random, &mut records);
        }
        records
    }

    fn track(&self, random: &mut Random, records: &mut Records) {
        self.cross(random, |seen| {
            let global = [
                (offset_label(seen.plane), 1.0),
                (drift_label(seen.plane), seen.drift_cm),
            ];
            let local = [(1, 1.0), (2, position_cm(seen.plane))];
            records
                .measure(seen.value_cm, sigma_cm(seen.plane), &local, &global)
                .expect("numbers of the chamber are finite and its labels positive");
        });
        records.end_record();
    }

    /// What the chamber reads out of one track.
    pub fn hits(&self, random: &mut Random) -> Vec<Hit> {
        let mut hits = Vec::with_capacity(PLANES);
        self.cross(random, |seen| {
            hits.push(Hit {
                plane: seen.plane,
                cell: seen.cell,
                drift_cm: seen.value_cm - wire_cm(seen.cell),
            });
        });
        hits
    }

    /// Sends a track through the chamber.
    fn cross(&self, random: &mut Random, mut see: impl FnMut(Seen)) {
        let at_zero_cm = HEIGHT_CM * (0.5 + 0.1 * (random.uniform() - 0.5));
        let slope = (random.uniform() - 0.5) * HEIGHT_CM / (PITCH_CM * (PLANES - 1) as f64);
        for plane in 0..PLANES {
            let efficiency = if plane == BAD.0 { BAD.2 } else { EFFICIENCY };
            if !random.chance(efficiency) {
                continue;
            }
            let seen_cm = at_zero_cm + slope * position_cm(plane) + self.offsets_cm[plane];
            if !(0.0..HEIGHT_CM).contains(&seen_cm) {
                // The track has left the chamber at its top or bottom.
                break;
            }
            let cell = (seen_cm / CELL_CM).floor() as u32;
            let drift_cm = seen_cm - wire_cm(cell);
            let noise_cm = sigma_cm(plane) * random.normal();
            see(Seen {
                plane,
                cell,
                drift_cm,
                value_cm: seen_cm + drift_cm * self.drifts[plane] + noise_cm,
            });
        }
    }
}

/// No common shift and no common tilt of the offsets.
pub fn constraints() -> Vec<Condition> {
    let with = |factor: fn(usize) -> f64| Condition {
        value: 0.0,
        sigma: 0.0,
        terms: (0..PLANES)
            .map(|plane| (offset_label(plane), factor(plane)))
            .collect(),
        by_entries: false,
    };
    vec![with(|_| 1.0), with(lever)]
}

/// The steering of a fit to this chamber: inversion, with its constraints.
pub fn steering() -> Steering {
    Steering {
        constraints: constraints(),
        iterations: 5,
        ..Steering::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::millepede::{Input, fit};

    #[test]
    fn the_same_seeds_give_the_same_tracks_and_others_others() {
        let truth = Truth::draw(1);
        assert_eq!(truth, Truth::draw(1));
        assert_ne!(truth, Truth::draw(2));
        assert_eq!(truth.tracks(5, 20), truth.tracks(5, 20));
        assert_ne!(truth.tracks(5, 20), truth.tracks(6, 20));
    }

    #[test]
    fn the_truth_meets_its_constraints_and_the_chamber_has_its_efficiency() {
        let truth = Truth::draw(3);
        for constraint in constraints() {
            let sum: f64 = constraint
                .terms
                .iter()
                .map(|(label, factor)| factor * truth.value(*label).unwrap())
                .sum();
            assert!(sum.abs() < 1e-12, "{sum}");
        }
        let records = truth.tracks(3, 500);
        let hits: usize = (0..500)
            .map(|record| records.measurements(record).count())
            .sum();
        let expect = 500.0 * (99.0 * EFFICIENCY + BAD.2);
        assert!(
            (hits as f64 / expect - 1.0).abs() < 0.01,
            "{hits} hits, {expect} expected"
        );
    }

    /// Over many chambers, a third of the offsets is off by more than a standard deviation and no
    /// more: neither values nor errors are biased.
    #[test]
    fn over_40_seeds_the_offsets_are_found_within_their_errors() {
        let (mut offsets, mut drifts, mut reduced) = (Vec::new(), Vec::new(), Vec::new());
        for seed in 0..40 {
            let truth = Truth::draw(seed);
            let records = truth.tracks(1000 + seed, 200);
            let fit = fit(
                &steering(),
                &[Input {
                    records: &records,
                    weight: 1.0,
                }],
            )
            .unwrap();
            reduced.push(fit.chi_square_per_ndf());
            for plane in 0..PLANES {
                for (label, pulls) in [
                    (offset_label(plane), &mut offsets),
                    (drift_label(plane), &mut drifts),
                ] {
                    let found = &fit.parameters[&label];
                    let error = found.error.unwrap();
                    pulls.push((found.value - truth.value(label).unwrap()) / error);
                }
            }
        }
        for (what, pulls) in [("offsets", offsets), ("drift velocities", drifts)] {
            let n = pulls.len() as f64;
            let mean = pulls.iter().sum::<f64>() / n;
            let width = (pulls.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
            println!("{what}: {n} pulls, mean {mean:.4}, width {width:.4}");
            assert!(mean.abs() < 0.06, "{what}: mean of pulls {mean}");
            assert!(
                (0.95..1.05).contains(&width),
                "{what}: width of pulls {width}"
            );
        }
        let mean = reduced.iter().sum::<f64>() / reduced.len() as f64;
        assert!(
            (mean - 1.0).abs() < 0.01,
            "chi-square over degrees of freedom {mean}"
        );
    }
}
