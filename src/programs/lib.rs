//! Reference job programs of the demo experiment: real dimuon data, thin physics, honest counts.
//!
//! What comes in: data sets (recorded, or made by [`mc`]) that [`inject`] plays into a spool like a
//! data acquisition, and jobs as `job.json`. What goes out: a spool, output files and
//! `report.json`. The chain is express (events, histograms, sums), harvest (constants), prompt
//! (corrected events), dqm (quality of a run); beside it repack (raw events as a table) and skim
//! (the events of a window). Everything is deterministic: the same input and constants give the
//! same bytes. The programs know nothing of the house that runs them but the job contract, decide
//! nothing about publication, and never put real and simulated data into one product.

mod arguments;
mod chamber_harvest;
mod chamber_jobs;
pub mod chamber_mc;
mod chamber_payload;
mod chamber_quality;
mod chamber_rows;
pub mod event;
mod event_rows;
mod foreign_table;
mod express;
pub mod format;
mod harvest;
pub mod inject;
mod input;
pub mod job;
mod mass_peak;
pub mod mc;
mod monitor;
mod nano;
mod outputs;
mod plugin;
pub mod product;
mod prompt;
mod quality;
mod questions;
mod repack;
mod root_file;
mod sidecar;
mod skim;
pub mod source;
pub mod splitter;
mod table;
mod worker;

#[cfg(test)]
mod alignment_tests;
#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod chamber_quality_tests;
#[cfg(test)]
mod channel_tests;
#[cfg(test)]
mod plugin_tests;
#[cfg(test)]
mod pulls_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod skim_tests;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod wrong_constants_tests;

use std::path::PathBuf;

use arguments::Arguments;
use chamber_mc::ChamberOptions;
use mc::McOptions;
use questions::Asks;
use worker::{Program, USAGE, WORKER, say};

/// The programs that take jobs.
const PROGRAMS: [Program; 6] = [
    Program {
        name: "repack",
        asks: Asks::Nothing,
        run: repack::run,
    },
    Program {
        name: "express",
        asks: Asks::Nothing,
        run: express::run,
    },
    Program {
        name: "harvest",
        asks: Asks::Constants,
        run: harvest::run,
    },
    Program {
        name: "prompt",
        asks: Asks::Nothing,
        run: prompt::run,
    },
    Program {
        name: "dqm",
        asks: Asks::Tests,
        run: quality::run,
    },
    Program {
        name: "skim",
        asks: Asks::Nothing,
        run: skim::run,
    },
];

/// Flag of `mc` that makes chamber tracks instead of dimuons.
const CHAMBER: &str = "--chamber";

/// Runs `tier0 program NAME ARGS`; gives the exit code of the process. Results go to files or, from
/// a warm worker, to stdout as protocol lines; talk goes to stderr.
pub fn run(name: &str, args: &[String]) -> i32 {
    if name == "mc" {
        return make(args);
    }
    let Some(program) = PROGRAMS.iter().find(|program| program.name == name) else {
        say(&format!(
            "program {name:?} is not known; known are repack, express, harvest, prompt, dqm, \
             skim, mc"
        ));
        return USAGE;
    };
    match args {
        [] => program.process(),
        [flag] if flag == WORKER => {
            program.worker(std::io::stdin().lock(), std::io::stdout().lock())
        }
        _ => {
            say(&format!(
                "program {name} takes no arguments but {WORKER}, not {args:?}"
            ));
            USAGE
        }
    }
}

/// `tier0 program mc`.
fn make(args: &[String]) -> i32 {
    let made = if args.iter().any(|arg| arg == CHAMBER) {
        let rest: Vec<String> = args.iter().filter(|arg| *arg != CHAMBER).cloned().collect();
        chamber_options(&rest).map(|options| chamber_mc::write(&options, &mut say))
    } else {
        mc_options(args).map(|options| mc::write(&options, &mut say))
    };
    let made = made
        .map_err(|message| (USAGE, message))
        .and_then(|made| made.map_err(|error| (1, error.to_string())));
    match made {
        Ok(_) => 0,
        Err((code, message)) => {
            say(&format!("program mc: {message}"));
            code
        }
    }
}

/// Where the data and their truth go, and the seed: what every generator asks for.
fn wanted(args: &Arguments) -> Result<(PathBuf, PathBuf, u64), String> {
    let place = |name: &str| args.text(name).map(PathBuf::from);
    Ok((place("out")?, place("truth")?, args.value("seed", 1)?))
}

fn mc_options(args: &[String]) -> Result<McOptions, String> {
    let known = [
        "out",
        "truth",
        "seed",
        "runs",
        "events-per-run",
        "drift-um",
        "step-um",
    ];
    let args = Arguments::read(args, &known)?;
    let (out, truth, seed) = wanted(&args)?;
    let plain = McOptions::new(out, truth, seed);
    Ok(McOptions {
        runs: args.value("runs", plain.runs)?,
        events_per_run: args.value("events-per-run", plain.events_per_run)?,
        drift_um: args.value("drift-um", plain.drift_um)?,
        step_um: args.value("step-um", plain.step_um)?,
        ..plain
    })
}

fn chamber_options(args: &[String]) -> Result<ChamberOptions, String> {
    let known = [
        "out",
        "truth",
        "seed",
        "runs",
        "events-per-run",
        "offset-um",
        "velocity-permille",
        "step-um",
    ];
    let args = Arguments::read(args, &known)?;
    let (out, truth, seed) = wanted(&args)?;
    let plain = ChamberOptions::new(out, truth, seed);
    Ok(ChamberOptions {
        runs: args.value("runs", plain.runs)?,
        tracks_per_run: args.value("events-per-run", plain.tracks_per_run)?,
        offset_um: args.value("offset-um", plain.offset_um)?,
        velocity_permille: args.value("velocity-permille", plain.velocity_permille)?,
        step_um: args.value("step-um", plain.step_um)?,
        ..plain
    })
}
