//! `tier0 demo`: a thin call into the room `demo`.
//!
//! In: arguments. Out: what happens, as it happens, then the summary or its document.

use super::Desk;
use super::outcome::{Exit, Failure};
use crate::demo::{DemoOptions, run};
use clap::Args;
use std::path::PathBuf;

const DEMO_EXAMPLES: &str = "\
Examples:
  tier0 demo                             acts whose data can be had, and the simulated one
  tier0 demo --data DIR --json           with data sets that are here already
  tier0 demo --acts 2 --seed 7           the simulated act alone";

/// Plays the demo.
#[derive(Debug, Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub struct DemoArgs {
    /// Folder with data sets that are here already
    #[arg(long, value_name = "DIR", env = "TIER0_DATA")]
    data: Option<PathBuf>,
    /// Acts to play, e.g. 1,2; all by default
    #[arg(long, value_delimiter = ',', value_name = "ACTS")]
    acts: Vec<u8>,
    /// Seed of the simulated data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder that gets everything; replaced
    #[arg(long, value_name = "DIR", default_value = "tier0-demo")]
    dir: PathBuf,
}

pub(super) fn demo(arguments: &DemoArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::Start(format!("finding the path of this program: {error}")))?;
    let here = std::env::current_dir()
        .map_err(|error| Failure::Start(format!("finding the current folder: {error}")))?;
    let options = DemoOptions {
        data: arguments.data.clone(),
        acts: arguments.acts.clone(),
        seed: arguments.seed,
        folder: here.join(&arguments.dir),
        program,
    };
    let summary = run(&options, &mut |line| desk.say(line))
        .map_err(|error| Failure::Start(error.to_string()))?;
    if desk.common.json {
        let document = serde_json::to_value(&summary)
            .map_err(|error| Failure::Bug(format!("writing the summary: {error}")))?;
        desk.document(&document)?;
    } else {
        write!(desk.out, "{}", summary.text())?;
        writeln!(
            desk.out,
            "\nreport: {}",
            options.folder.join("report.html").display()
        )?;
    }
    Ok(if summary.is_fine() {
        Exit::Fine
    } else {
        Exit::Problems
    })
}
