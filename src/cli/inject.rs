//! `tier0 inject` and `tier0 program`: thin calls into the room `programs`.
//!
//! In: arguments. Out: what was played, or the exit code of the program. Must never change what the
//! arguments say: a replay is only worth something if it does what it was told.

use super::Desk;
use super::outcome::{Exit, Failure};
use clap::{Args, ValueEnum};
use programs::format::Label;
use programs::inject::{InjectOptions, play};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

const INJECT_EXAMPLES: &str = "\
Examples:
  tier0 inject --data Zmumu_Run2011A.csv --spool spool
  tier0 inject --data Zmumu_Run2011A.csv --spool spool --shift-vertex 0.01,-0.02
  tier0 inject --data uproot-Zmumu.root --spool spool --run-type test --pause-ms 100
  tier0 inject --data Zmumu_Run2011A.csv --spool spool --drop-run 160957 --fraction 0.5 --seed 7";

/// Plays a data set.
#[derive(Debug, Args)]
#[command(after_help = INJECT_EXAMPLES)]
pub struct InjectArgs {
    /// Data set: .csv, .root (NanoAOD too) or .parquet; or its name, as `tier0 data ls` has it
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Spool folder; made if absent
    #[arg(long, value_name = "DIR")]
    spool: PathBuf,
    /// Stream name: letters and digits
    #[arg(long, default_value = "Muons")]
    stream: String,
    /// physics, cosmics, calibration or test
    #[arg(long, default_value = "physics")]
    run_type: String,
    /// Events a slice; a slice is played as a lumi
    #[arg(long, default_value_t = 200)]
    slice_events: usize,
    /// Pause after each file, in milliseconds
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// Pause after each run, in milliseconds
    #[arg(long, default_value_t = 0)]
    run_pause_ms: u64,
    /// Moves the true vertex, in cm
    #[arg(long, value_name = "X,Y", value_parser = pair, allow_hyphen_values = true)]
    shift_vertex: Option<(f64, f64)>,
    /// Runs that are left out
    #[arg(long, value_name = "RUN")]
    drop_run: Vec<u32>,
    /// Seed of the choice of events
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of events kept, above 0 and at most 1
    #[arg(long, default_value_t = 1.0)]
    fraction: f64,
    /// A claim about the data; refused if the run numbers deny it
    #[arg(long)]
    label: Option<LabelArg>,
}

/// Real or simulated.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LabelArg {
    /// Recorded by a detector
    Real,
    /// Made by a generator
    Simulated,
}

/// Runs a reference program.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tier0 program mc --out sim.csv --truth truth.json --seed 1\n  \
                  tier0 program mc --chamber --out tracks.csv --truth truth.json\n  \
                        TIER0_JOB=job.json TIER0_REPORT=report.json tier0 program express"
)]
pub struct ProgramArgs {
    /// repack, express, harvest, prompt, dqm, skim or mc
    name: String,
    /// Arguments of the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn pair(text: &str) -> Result<(f64, f64), String> {
    let number = |part: &str| match part.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("\"{part}\" is not a number of cm")),
    };
    let (x, y) = text
        .split_once(',')
        .ok_or("write X,Y in cm, as in 0.01,-0.02")?;
    Ok((number(x)?, number(y)?))
}

impl InjectArgs {
    fn options(&self) -> InjectOptions {
        // A name that is no file here may be one of the data sets on this machine.
        let found = || {
            self.data
                .to_str()
                .and_then(|name| crate::data::find(name, &[]))
        };
        let data = if self.data.exists() { None } else { found() };
        let mut options = InjectOptions::new(
            self.spool.clone(),
            data.unwrap_or_else(|| self.data.clone()),
        );
        options.stream.clone_from(&self.stream);
        options.run_type.clone_from(&self.run_type);
        options.slice_events = self.slice_events;
        options.pause_file = Duration::from_millis(self.pause_ms);
        options.pause_run = Duration::from_millis(self.run_pause_ms);
        options.shift_vertex_cm = self.shift_vertex;
        options.drop_runs.clone_from(&self.drop_run);
        options.seed = self.seed;
        options.fraction = self.fraction;
        options.label = self.label.map(|label| match label {
            LabelArg::Real => Label::Real,
            LabelArg::Simulated => Label::Simulated,
        });
        options
    }
}

pub(super) fn run(arguments: &InjectArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    let played = play(&arguments.options(), &mut |line| desk.say(line))?;
    let (files, events) = played
        .runs
        .iter()
        .fold((0, 0), |sum, run| (sum.0 + run.files, sum.1 + run.events));
    if desk.common.json {
        let runs: Vec<_> = played
            .runs
            .iter()
            .map(|run| json!({ "run": run.run, "files": run.files, "events": run.events }))
            .collect();
        return desk.document(&json!({
            "schema": view::SCHEMA,
            "source": played.source,
            "label": played.label.as_str(),
            "files": files,
            "events": events,
            "files_present": played.files_present,
            "runs": runs,
        }));
    }
    writeln!(
        desk.out,
        "{} ({}): {} runs, {files} files, {events} events; {} files were there already",
        played.source,
        played.label.as_str(),
        played.runs.len(),
        played.files_present
    )?;
    Ok(Exit::Fine)
}

pub(super) fn program(arguments: &ProgramArgs) -> Exit {
    let code = programs::run(&arguments.name, &arguments.arguments);
    Exit::Program(u8::try_from(code).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_two_numbers() {
        let check = |text: &str, expect: Option<(f64, f64)>| {
            assert_eq!(pair(text).ok(), expect, "{text}");
        };
        check("0.01,-0.02", Some((0.01, -0.02)));
        check("1, 2", Some((1.0, 2.0)));
        check("1", None);
        check("1,inf", None);
        check("a,b", None);
    }
}
