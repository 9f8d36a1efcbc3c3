//! `tier0 bench`: thin calls into the room `bench`.
//!
//! In: arguments. Out: what happens, as it happens, then a table or the document with the fields of
//! the contract. Exits with 1 if a file was lost or done twice, or a job changed its place.

use super::Desk;
use super::outcome::{Exit, Failure};
use crate::bench::{ArrivalOptions, RecoverOptions, arrival, recover};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  tier0 bench arrival                    a real instance against its raw limit
  tier0 bench arrival --rate 200 --json
  tier0 bench recover                    a restart with 1,000,000 files on record";

const ARRIVAL_EXAMPLES: &str = "\
Examples:
  tier0 bench arrival
  tier0 bench arrival --rate 200 --files 1000 --burst 10000 --json
  tier0 bench arrival --dir /mnt/disk    on another disk

Programs are C, compiled here with `cc -O2` from benches/raw. A program given with --program is
started by all targets instead of benches/raw/stamp.c and must stamp as that does: first thing in
its main it reads CLOCK_MONOTONIC, then appends one line \"nanoseconds name\" with one write to the
file named by its first argument; the name is its second argument or else the first \"lfn\" of the
job file named by TIER0_JOB, without its folder.";

const RECOVER_EXAMPLES: &str = "\
Examples:
  tier0 bench recover
  tier0 bench recover --files 10000 --jobs 1000 --json
  tier0 bench recover --finished         runs that are over have not become history yet

A store is made first, without programs: about a minute for 1,000,000 files. The raw limit reads
the rows that a restart reads with a plain loop.";

/// What can be measured of a whole instance.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum BenchVerb {
    /// From a renamed file to a started program: latency, bursts, a kill
    Arrival(ArrivalArgs),
    /// From the start of an instance to READY, with many files on record
    Recover(RecoverArgs),
}

/// How programs are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeWord {
    /// A process for each file.
    Process,
}

/// Measures arrival.
#[derive(Debug, Args)]
#[command(after_help = ARRIVAL_EXAMPLES)]
pub struct ArrivalArgs {
    /// How programs are started
    #[arg(long, value_enum, default_value_t = ModeWord::Process)]
    mode: ModeWord,
    /// Files a second for each target
    #[arg(long, default_value_t = 50.0, value_name = "HZ", value_parser = rate)]
    rate: f64,
    /// Paced files for each target in each of three repetitions
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    files: u32,
    /// Files of a burst
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
    /// Program to start instead of our own; must stamp by itself
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Folder for the bench's own folder, on the disk to measure [default: that of temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Measures a restart.
#[derive(Debug, Args)]
#[command(after_help = RECOVER_EXAMPLES)]
pub struct RecoverArgs {
    /// Files on record
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    files: u32,
    /// Of them, files whose job waits to be started
    #[arg(long, default_value_t = 100_000, value_name = "M", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: u32,
    /// Leave the runs that are over among those at work, as within archive_after
    #[arg(long)]
    finished: bool,
    /// Folder for the bench's own folder, on the disk to measure [default: that of temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.1 => Ok(rate),
        _ => Err("write a number of at least 0.1".to_owned()),
    }
}

pub(super) fn run(verb: &BenchVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let failed = |error: crate::bench::BenchError| Failure::Start(error.to_string());
    let (document, text, is_fine) = match verb {
        BenchVerb::Arrival(arguments) => {
            let options = arguments.options();
            let summary = arrival(&options, &mut |line| desk.say(line)).map_err(failed)?;
            (summary.document(), summary.text(), summary.is_fine())
        }
        BenchVerb::Recover(arguments) => {
            let options = arguments.options()?;
            let recovery = recover(&options, &mut |line| desk.say(line)).map_err(failed)?;
            (recovery.document(), recovery.text(), recovery.is_fine())
        }
    };
    if desk.common.json {
        desk.document(&document)?;
    } else {
        write!(desk.out, "{text}")?;
    }
    Ok(if is_fine { Exit::Fine } else { Exit::Problems })
}

impl ArrivalArgs {
    fn options(&self) -> ArrivalOptions {
        let ModeWord::Process = self.mode;
        ArrivalOptions {
            rate_hz: self.rate,
            files: self.files,
            burst: self.burst,
            program: self.program.clone(),
            parent: self.dir.clone().unwrap_or_else(std::env::temp_dir),
        }
    }
}

impl RecoverArgs {
    fn options(&self) -> Result<RecoverOptions, Failure> {
        if self.jobs > self.files {
            let text = format!(
                "{} jobs cannot wait for {} files; raise --files or lower --jobs",
                self.jobs, self.files
            );
            return Err(Failure::Usage(text));
        }
        Ok(RecoverOptions {
            files: self.files,
            jobs: self.jobs,
            finished: self.finished,
            parent: self.dir.clone().unwrap_or_else(std::env::temp_dir),
        })
    }
}
