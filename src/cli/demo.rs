//! `tier0 demo`: a thin call into the room `demo`.
//!
//! In: arguments. Out: what happens, as it happens, then the summary or its document.

use super::Desk;
use super::instance::Signals;
use super::outcome::{Exit, Failure};
use crate::check::check;
use crate::config::Layers;
use crate::demo::{DemoOptions, Summary, run};
use crate::serve::Instance;
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
    /// Keep the last act's instance running afterwards, until SIGINT
    #[arg(long)]
    hold: bool,
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
    if arguments.hold {
        hold(&summary, &options, desk)?;
    }
    Ok(if summary.is_fine() {
        Exit::Fine
    } else {
        Exit::Problems
    })
}

/// Runs the last act's instance again on what it left, for looking around.
fn hold(summary: &Summary, options: &DemoOptions, desk: &mut Desk) -> Result<(), Failure> {
    let Some(act) = summary.acts.iter().rfind(|act| act.status == "done") else {
        return Ok(());
    };
    let config = options
        .folder
        .join(format!("act{}", act.act))
        .join("tier0.toml");
    let checked = Layers::from_file(Some(&config), &[], &[])
        .and_then(|layers| check(&layers, &[]))
        .map_err(|found| {
            let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
            Failure::Configuration(texts.join("\n"))
        })?;
    let signals = Signals::listen()?;
    let instance = Instance::start(checked, &options.program, None)
        .map_err(|error| Failure::Start(error.to_string()))?;
    let address = instance
        .address()
        .map_or_else(String::new, |address| address.to_string());
    desk.say(&format!(
        "holding act {} at http://{address}/api/v1 until SIGINT",
        act.act
    ));
    signals.wait_for_end(&instance, desk);
    instance
        .stop()
        .map_err(|error| Failure::Start(error.to_string()))
}
