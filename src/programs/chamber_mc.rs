//! Simulated tracks through a misaligned drift chamber: `tier0 program mc --chamber`.
//!
//! In: a seed and the size of the sample. Out: a CSV file with a row a track (see `chamber_rows`;
//! run numbers from 900001 on) and a truth file that only a judge opens. Each plane has an offset
//! and a drift velocity of its own, and at one run all planes move once more. The same seed gives
//! the same bytes. It must never put the truth into the CSV file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::chamber_rows;
use crate::mc::{Made, McError, refuse, save};
use crate::source::SIMULATED_RUN_MIN;
use calibration::chamber::Truth;
use calibration::random::Random;

const CM_PER_UM: f64 = 1e-4;

/// How much to make, and where to.
#[derive(Clone, Debug)]
pub struct ChamberOptions {
    /// CSV file to write.
    pub out: PathBuf,
    /// Truth file to write.
    pub truth: PathBuf,
    /// Seed; the same seed gives the same files.
    pub seed: u64,
    /// Number of runs, at least 3 (the step needs neighbours on both sides).
    pub runs: u32,
    /// Tracks in each run.
    pub tracks_per_run: u32,
    /// Width of the planes' offsets from the first run on, in um.
    pub offset_um: f64,
    /// Width of the relative deviations of the planes' drift velocities, in thousandths.
    pub velocity_permille: f64,
    /// Width of the move that all planes make at one run, in um.
    pub step_um: f64,
}

impl ChamberOptions {
    /// Six runs of 2,000 tracks with offsets of 1 mm, drift velocities of 2 % and a step of 0.2 mm.
    pub fn new(out: PathBuf, truth: PathBuf, seed: u64) -> Self {
        Self {
            out,
            truth,
            seed,
            runs: 6,
            tracks_per_run: 2000,
            offset_um: 1000.0,
            velocity_permille: 20.0,
            step_um: 200.0,
        }
    }
}

/// Where the planes of a run truly were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrueRun {
    /// Run number.
    pub run: u32,
    /// Offset of each plane in cm.
    pub offsets_cm: Vec<f64>,
}

/// The truth file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChamberTruth {
    /// Version, now 1.
    pub schema: u32,
    /// Always `simulated`.
    pub label: String,
    /// Seed of the sample.
    pub seed: u64,
    /// First run after the step.
    pub step_run: u32,
    /// Relative deviation of each plane's drift velocity.
    pub drifts: Vec<f64>,
    /// Offsets by run.
    pub runs: Vec<TrueRun>,
}

/// Makes the sample and writes both files. `progress` hears one line.
pub fn write(options: &ChamberOptions, progress: &mut dyn FnMut(&str)) -> Result<Made, McError> {
    let (csv, truth) = generate(options)?;
    let json = serde_json::to_string_pretty(&truth).expect("the truth is numbers and words") + "\n";
    save(&options.out, &csv)?;
    save(&options.truth, &json)?;
    let events = u64::from(options.runs) * u64::from(options.tracks_per_run);
    let runs = (SIMULATED_RUN_MIN, SIMULATED_RUN_MIN + options.runs - 1);
    progress(&format!(
        "simulated {events} chamber tracks in runs {} to {}",
        runs.0, runs.1
    ));
    Ok(Made { events, runs })
}

/// The CSV text and the truth.
pub fn generate(options: &ChamberOptions) -> Result<(String, ChamberTruth), McError> {
    check(options)?;
    let mut random = Random::new(options.seed);
    let (first, second) = (random.bits(), random.bits());
    let velocity = options.velocity_permille * 1e-3;
    let before = Truth::draw_with(first, options.offset_um * CM_PER_UM, velocity);
    let step = Truth::draw_with(second, options.step_um * CM_PER_UM, 0.0);
    let mut after = before.clone();
    for (offset, step) in after.offsets_cm.iter_mut().zip(&step.offsets_cm) {
        *offset += step;
    }
    let step_run = SIMULATED_RUN_MIN + 1 + random.below(u64::from(options.runs) - 2) as u32;
    let mut csv = chamber_rows::columns().join(",") + "\n";
    let mut runs = Vec::new();
    for run in SIMULATED_RUN_MIN..SIMULATED_RUN_MIN + options.runs {
        let chamber = if run < step_run { &before } else { &after };
        let mut event = 1_000_000 + random.below(9_000_000);
        for _ in 0..options.tracks_per_run {
            event += 1 + random.below(5_000);
            csv.push_str(&chamber_rows::row(run, event, &chamber.hits(&mut random)));
            csv.push('\n');
        }
        runs.push(TrueRun {
            run,
            offsets_cm: chamber.offsets_cm.clone(),
        });
    }
    let truth = ChamberTruth {
        schema: 1,
        label: "simulated".into(),
        seed: options.seed,
        step_run,
        drifts: before.drifts,
        runs,
    };
    Ok((csv, truth))
}

fn check(options: &ChamberOptions) -> Result<(), McError> {
    if !(3..=10_000).contains(&options.runs) {
        return refuse("runs", options.runs.to_string(), "give 3 to 10000 runs");
    }
    if !(1..=100_000).contains(&options.tracks_per_run) {
        let value = options.tracks_per_run.to_string();
        return refuse("events per run", value, "give 1 to 100000 tracks");
    }
    for (option, value) in [("offset", options.offset_um), ("step", options.step_um)] {
        if !(0.0..=5000.0).contains(&value) {
            return refuse(option, value.to_string(), "give 0 to 5000 um");
        }
    }
    let velocity = options.velocity_permille;
    if !(0.0..=100.0).contains(&velocity) {
        return refuse("velocity", velocity.to_string(), "give 0 to 100 permille");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(seed: u64) -> ChamberOptions {
        ChamberOptions {
            tracks_per_run: 20,
            ..ChamberOptions::new(PathBuf::new(), PathBuf::new(), seed)
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_sample_and_all_planes_move_at_one_run() {
        let (csv, truth) = generate(&options(4)).unwrap();
        assert_eq!((csv.clone(), truth.clone()), generate(&options(4)).unwrap());
        assert_ne!(csv, generate(&options(5)).unwrap().0);
        assert_eq!(csv.lines().count(), 6 * 20 + 1);
        for pair in truth.runs.windows(2) {
            let moved = pair[0].offsets_cm != pair[1].offsets_cm;
            assert_eq!(moved, pair[1].run == truth.step_run);
        }
    }

    #[test]
    fn impossible_options_are_refused_in_words() {
        let check = |change: fn(&mut ChamberOptions), expect: &str| {
            let mut options = options(1);
            change(&mut options);
            let message = generate(&options).unwrap_err().to_string();
            assert!(message.contains(expect), "{message:?} lacks {expect:?}");
        };
        check(|o| o.runs = 2, "runs is 2; give 3 to 10000 runs");
        check(|o| o.tracks_per_run = 0, "events per run is 0");
        check(|o| o.offset_um = f64::NAN, "offset is NaN");
        check(|o| o.step_um = -1.0, "step is -1");
        check(|o| o.velocity_permille = 200.0, "velocity is 200");
    }
}
