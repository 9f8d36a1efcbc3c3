//! Simulated dimuons with known truth: `tier0 program mc`.
//!
//! In: a seed and the size of the sample. Out: a CSV file with the columns of the recorded dimuon
//! set (run numbers from 900001 on, so that nobody takes it for one) and a truth file that only a
//! judge opens. The physics is thin and honest: a Breit-Wigner Z with momentum resolution and a
//! momentum scale that is slightly low, a falling background, a beam spot that drifts slowly from
//! run to run and once makes a step. Final-state radiation and trigger bias are absent. The same
//! seed gives the same bytes. It must never put the truth into the CSV file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::event::{MUON_MASS_GEV, Muon, mass_gev};
use crate::source::SIMULATED_RUN_MIN;
use calibration::random::Random;

/// Mass and width of the Z boson in GeV (PDG 2024).
const Z_MASS_GEV: f64 = 91.1880;
const Z_WIDTH_GEV: f64 = 2.4955;
/// Masses generated and kept, in GeV.
const MASS_RANGE_GEV: (f64, f64) = (60.0, 120.0);
/// Share of pairs that are no Z.
const BACKGROUND: f64 = 0.12;
/// Slope of the background's exponential in 1/GeV.
const BACKGROUND_SLOPE: f64 = 0.05;
/// Relative resolution of each transverse momentum; gives 1.3 GeV at the Z, as recorded data have.
const PT_RESOLUTION: f64 = 0.02;
/// True momentum over measured momentum: what the calibration of the scale has to find.
const SCALE_TRUE: f64 = 1.004;
/// Resolution of the impact parameter in cm, and of its tail.
const DXY_RESOLUTION_CM: f64 = 0.003;
const DXY_TAIL_CM: f64 = 0.015;
/// Share of tracks in the tail.
const DXY_TAIL: f64 = 0.03;
/// Acceptance of a muon.
const ETA_MAX: f64 = 2.4;
const PT_MIN_GEV: f64 = 20.0;
const CM_PER_UM: f64 = 1e-4;

/// How much to make, and where to.
#[derive(Clone, Debug)]
pub struct McOptions {
    /// CSV file to write.
    pub out: PathBuf,
    /// Truth file to write.
    pub truth: PathBuf,
    /// Seed; the same seed gives the same files.
    pub seed: u64,
    /// Number of runs, at least 3 (the step needs neighbours on both sides).
    pub runs: u32,
    /// Events in each run.
    pub events_per_run: u32,
    /// Width of the random walk of x0 and of y0 from run to run, in um. Keep it well below the
    /// fit's error (30 um times the square root of 2 over the number of tracks).
    pub drift_um: f64,
    /// Length of the one step, in um, in a direction drawn from the seed.
    pub step_um: f64,
}

impl McOptions {
    /// A dozen runs of 600 events with a drift of 0.3 um a run and one step of 60 um.
    pub fn new(out: PathBuf, truth: PathBuf, seed: u64) -> Self {
        Self {
            out,
            truth,
            seed,
            runs: 12,
            events_per_run: 600,
            drift_um: 0.3,
            step_um: 60.0,
        }
    }
}

/// Where the beam spot of a run truly was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrueRun {
    /// Run number.
    pub run: u32,
    /// Beam spot in cm.
    pub x0_cm: f64,
    /// Beam spot in cm.
    pub y0_cm: f64,
}

/// The truth file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Version, now 1.
    pub schema: u32,
    /// Always `simulated`.
    pub label: String,
    /// Seed of the sample.
    pub seed: u64,
    /// First run after the step.
    pub step_run: u32,
    /// Factor that brings measured momenta back to true ones.
    pub scale_k: f64,
    /// Beam spots by run.
    pub runs: Vec<TrueRun>,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum McError {
    /// Options that make no sample.
    #[error("cannot simulate: {option} is {value}; {hint}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        hint: &'static str,
    },
    /// A file cannot be written.
    #[error("cannot simulate: writing {} failed: {source}; check the folder and its rights",
            path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Events in the CSV file.
    pub events: u64,
    /// First and last run.
    pub runs: (u32, u32),
}

/// Makes the sample and writes both files. `progress` hears one line.
pub fn write(options: &McOptions, progress: &mut dyn FnMut(&str)) -> Result<Made, McError> {
    let (csv, truth) = generate(options)?;
    let json = serde_json::to_string_pretty(&truth).expect("the truth is numbers and words") + "\n";
    save(&options.out, &csv)?;
    save(&options.truth, &json)?;
    let events = csv.lines().count() as u64 - 1;
    let runs = (SIMULATED_RUN_MIN, SIMULATED_RUN_MIN + options.runs - 1);
    progress(&format!(
        "simulated {events} events in runs {} to {}",
        runs.0, runs.1
    ));
    Ok(Made { events, runs })
}

/// Writes one of the files.
pub(crate) fn save(path: &Path, text: &str) -> Result<(), McError> {
    std::fs::write(path, text).map_err(|source| McError::Write {
        path: path.to_owned(),
        source,
    })
}

/// The CSV text and the truth.
pub fn generate(options: &McOptions) -> Result<(String, Truth), McError> {
    check(options)?;
    let mut random = Random::new(options.seed);
    let truth = draw_truth(options, &mut random);
    let mut csv = String::from("Run,Event,pt1,eta1,phi1,Q1,dxy1,iso1,pt2,eta2,phi2,Q2,dxy2,iso2\n");
    for spot in &truth.runs {
        let mut event = 1_000_000 + random.below(9_000_000);
        for _ in 0..options.events_per_run {
            event += 1 + random.below(5_000);
            let row = draw_event(spot, event, &mut random);
            writeln!(csv, "{row}").expect("writing to a String cannot fail");
        }
    }
    Ok((csv, truth))
}

/// Refuses an option.
pub(crate) fn refuse(
    option: &'static str,
    value: String,
    hint: &'static str,
) -> Result<(), McError> {
    Err(McError::Option {
        option,
        value,
        hint,
    })
}

fn check(options: &McOptions) -> Result<(), McError> {
    if !(3..=10_000).contains(&options.runs) {
        return refuse("runs", options.runs.to_string(), "give 3 to 10000 runs");
    }
    if !(1..=1_000_000).contains(&options.events_per_run) {
        let value = options.events_per_run.to_string();
        return refuse("events per run", value, "give 1 to 1000000 events");
    }
    for (option, value) in [("drift", options.drift_um), ("step", options.step_um)] {
        if !(0.0..=1000.0).contains(&value) {
            return refuse(option, value.to_string(), "give 0 to 1000 um");
        }
    }
    Ok(())
}

fn draw_truth(options: &McOptions, random: &mut Random) -> Truth {
    let mut x0_cm = 0.075 + random.between(-0.01, 0.01);
    let mut y0_cm = 0.040 + random.between(-0.01, 0.01);
    let step_index = 1 + random.below(u64::from(options.runs) - 1) as u32;
    let (sine, cosine) = random.between(0.0, std::f64::consts::TAU).sin_cos();
    let mut runs = Vec::new();
    for index in 0..options.runs {
        if index == step_index {
            x0_cm += options.step_um * CM_PER_UM * cosine;
            y0_cm += options.step_um * CM_PER_UM * sine;
        } else if index > 0 {
            x0_cm += options.drift_um * CM_PER_UM * random.normal();
            y0_cm += options.drift_um * CM_PER_UM * random.normal();
        }
        runs.push(TrueRun {
            run: SIMULATED_RUN_MIN + index,
            x0_cm,
            y0_cm,
        });
    }
    Truth {
        schema: 1,
        label: "simulated".into(),
        seed: options.seed,
        step_run: SIMULATED_RUN_MIN + step_index,
        scale_k: SCALE_TRUE,
        runs,
    }
}

/// One row of the CSV file.
fn draw_event(spot: &TrueRun, event: u64, random: &mut Random) -> String {
    let muons = loop {
        let muons = draw_pair(random);
        let mass = mass_gev(&muons);
        let seen = |muon: &Muon| muon.eta.abs() < ETA_MAX && muon.pt_gev > PT_MIN_GEV;
        if muons.iter().all(seen) && mass > MASS_RANGE_GEV.0 && mass < MASS_RANGE_GEV.1 {
            break muons;
        }
    };
    let mut row = format!("{},{event}", spot.run);
    for muon in muons {
        let (sine, cosine) = muon.phi_rad.sin_cos();
        let width_cm = if random.chance(DXY_TAIL) {
            DXY_TAIL_CM
        } else {
            DXY_RESOLUTION_CM
        };
        let dxy_cm = -spot.x0_cm * sine + spot.y0_cm * cosine + width_cm * random.normal();
        let isolation = if random.chance(0.6) {
            0.0
        } else {
            random.exponential()
        };
        write!(
            row,
            ",{:.4},{:.6},{:.6},{},{dxy_cm:.7},{isolation:.6}",
            muon.pt_gev, muon.eta, muon.phi_rad, muon.charge
        )
        .expect("writing to a String cannot fail");
    }
    row
}

/// Two muons as a detector would measure them, before acceptance.
fn draw_pair(random: &mut Random) -> [Muon; 2] {
    let mass = draw_mass(random);
    let pt = 7.0 * (random.exponential() + random.exponential());
    let rapidity = 1.1 * random.normal();
    let (sine, cosine) = random.between(0.0, std::f64::consts::TAU).sin_cos();
    let transverse = mass.hypot(pt);
    let parent = [
        transverse * rapidity.cosh(),
        pt * cosine,
        pt * sine,
        transverse * rapidity.sinh(),
    ];
    // The lepton angle of a vector boson: 1 + cos^2.
    let cos_star = loop {
        let value = random.between(-1.0, 1.0);
        if random.between(0.0, 2.0) < 1.0 + value * value {
            break value;
        }
    };
    let sin_star = (1.0 - cos_star * cos_star).sqrt();
    let (sine, cosine) = random.between(0.0, std::f64::consts::TAU).sin_cos();
    let momentum = (0.25 * mass * mass - MUON_MASS_GEV * MUON_MASS_GEV).sqrt();
    let star = [sin_star * cosine, sin_star * sine, cos_star].map(|part| momentum * part);
    let charge = if random.chance(0.5) { 1 } else { -1 };
    let first = measure(boost(parent, mass, star), charge, random);
    let second = measure(boost(parent, mass, star.map(|part| -part)), -charge, random);
    if first.pt_gev >= second.pt_gev {
        [first, second]
    } else {
        [second, first]
    }
}

/// A true mass between the limits: Breit-Wigner by its inverse distribution function, or
/// background.
fn draw_mass(random: &mut Random) -> f64 {
    let (low, high) = MASS_RANGE_GEV;
    let u = random.uniform();
    if random.chance(BACKGROUND) {
        let tail = (-BACKGROUND_SLOPE * (high - low)).exp();
        return low - (1.0 - u * (1.0 - tail)).ln() / BACKGROUND_SLOPE;
    }
    let angle = |mass: f64| (2.0 * (mass - Z_MASS_GEV) / Z_WIDTH_GEV).atan();
    let (from, to) = (angle(low), angle(high));
    Z_MASS_GEV + 0.5 * Z_WIDTH_GEV * (from + u * (to - from)).tan()
}

/// Brings a momentum from the rest frame of `parent` (E, px, py, pz; mass) into its frame.
fn boost(parent: [f64; 4], mass: f64, star: [f64; 3]) -> [f64; 3] {
    let [energy, px, py, pz] = parent;
    let along = px * star[0] + py * star[1] + pz * star[2];
    let factor = along / (mass * (energy + mass)) + 0.5;
    [
        star[0] + factor * px,
        star[1] + factor * py,
        star[2] + factor * pz,
    ]
}

/// Applies resolution and the wrong scale to a true momentum.
fn measure(momentum: [f64; 3], charge: i32, random: &mut Random) -> Muon {
    let pt_true = momentum[0].hypot(momentum[1]);
    let pt_gev = pt_true * (1.0 + PT_RESOLUTION * random.normal()) / SCALE_TRUE;
    Muon {
        pt_gev,
        eta: (momentum[2] / pt_true).asinh(),
        phi_rad: momentum[1].atan2(momentum[0]),
        charge,
        dxy_cm: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Layout;
    use calibration::beamspot::{BeamSpot, Track, fit};
    use std::collections::BTreeMap;

    fn options(seed: u64) -> McOptions {
        McOptions::new(PathBuf::new(), PathBuf::new(), seed)
    }

    /// Tracks and masses of each run, read as any program reads them.
    fn fits(csv: &str) -> (BTreeMap<u32, BeamSpot>, Vec<f64>) {
        let mut lines = csv.lines();
        let columns: Vec<String> = lines
            .next()
            .unwrap()
            .split(',')
            .map(str::to_owned)
            .collect();
        let layout = Layout::of(&columns).unwrap();
        let mut tracks: BTreeMap<u32, Vec<Track>> = BTreeMap::new();
        let mut masses = Vec::new();
        for line in lines {
            let run: u32 = line.split(',').next().unwrap().parse().unwrap();
            let dimuon = layout.dimuon(line).unwrap();
            masses.push(dimuon.mass_gev);
            for muon in dimuon.muons {
                let dxy_cm = muon.dxy_cm.unwrap();
                tracks.entry(run).or_default().push(Track {
                    phi_rad: muon.phi_rad,
                    dxy_cm,
                });
            }
        }
        (
            tracks
                .into_iter()
                .map(|(run, tracks)| (run, fit(&tracks).unwrap()))
                .collect(),
            masses,
        )
    }

    #[test]
    fn the_same_seed_gives_the_same_sample_and_another_seed_another() {
        let (first, truth) = generate(&options(4)).unwrap();
        assert_eq!((first.clone(), truth), generate(&options(4)).unwrap());
        assert_ne!(first, generate(&options(5)).unwrap().0);
        assert_eq!(first.lines().count(), 12 * 600 + 1);
    }

    #[test]
    fn over_50_seeds_the_fit_finds_the_truth_and_the_step() {
        let mut pulls = Vec::new();
        for seed in 1..=50 {
            let (csv, truth) = generate(&options(seed)).unwrap();
            let (fits, _) = fits(&csv);
            for (index, spot) in truth.runs.iter().enumerate() {
                let got = &fits[&spot.run];
                pulls.push((got.x0_cm - spot.x0_cm) / got.x0_err_cm);
                pulls.push((got.y0_cm - spot.y0_cm) / got.y0_err_cm);
                if index == 0 {
                    continue;
                }
                let last = &fits[&truth.runs[index - 1].run];
                let apart_x = (got.x0_cm - last.x0_cm) / got.x0_err_cm.hypot(last.x0_err_cm);
                let apart_y = (got.y0_cm - last.y0_cm) / got.y0_err_cm.hypot(last.y0_err_cm);
                let apart = apart_x.hypot(apart_y);
                if spot.run == truth.step_run {
                    assert!(apart > 20.0, "seed {seed}: the step is only {apart} sigma");
                } else {
                    assert!(
                        apart < 6.0,
                        "seed {seed}: run {} moved {apart} sigma",
                        spot.run
                    );
                }
            }
        }
        let n = pulls.len() as f64;
        let mean = pulls.iter().sum::<f64>() / n;
        let width = (pulls.iter().map(|pull| (pull - mean).powi(2)).sum::<f64>() / n).sqrt();
        println!("pulls of x0, y0 over 50 seeds: n {n}, mean {mean:.3}, width {width:.3}");
        assert!(
            mean.abs() < 0.1 && (0.9..1.1).contains(&width),
            "mean {mean}, width {width}"
        );
    }

    #[test]
    fn the_peak_is_low_by_the_true_scale_and_stands_on_a_background() {
        let (csv, truth) = generate(&options(11)).unwrap();
        let (_, masses) = fits(&csv);
        let mut window: Vec<f64> = masses
            .iter()
            .copied()
            .filter(|mass| (86.0..96.0).contains(mass))
            .collect();
        window.sort_by(f64::total_cmp);
        let median = window[window.len() / 2];
        assert!(
            (median - Z_MASS_GEV / truth.scale_k).abs() < 0.1,
            "median {median}"
        );
        let low = masses
            .iter()
            .filter(|mass| (60.0..75.0).contains(*mass))
            .count();
        let share = low as f64 / masses.len() as f64;
        assert!(
            (0.02..0.15).contains(&share),
            "share between 60 and 75 GeV is {share}"
        );
    }

    #[test]
    fn impossible_options_are_refused_in_words() {
        let check = |change: fn(&mut McOptions), expect: &str| {
            let mut options = options(1);
            change(&mut options);
            let message = generate(&options).unwrap_err().to_string();
            assert!(message.contains(expect), "{message:?} lacks {expect:?}");
        };
        check(|o| o.runs = 2, "runs is 2; give 3 to 10000 runs");
        check(|o| o.events_per_run = 0, "events per run is 0");
        check(|o| o.drift_um = f64::NAN, "drift is NaN");
        check(|o| o.step_um = -1.0, "step is -1");
    }
}
