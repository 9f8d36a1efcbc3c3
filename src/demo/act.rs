//! One act: an instance, the data played into its spool, the wait for its runs, the summary.

use super::collect;
use super::{ActSummary, Play};
use crate::check::check;
use crate::config::Layers;
use crate::serve::Instance;
use model::account::UnitAccount;
use model::names::DataLabel;
use ports::catalogue::{Catalogue, Page};
use programs::format::Label;
use programs::inject::{self, InjectOptions, Played};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use store::{Database, SqlCatalogue};

/// A data acquisition needs some time for a file and for the next run; the demo plays it faster.
const PAUSE_FILE: Duration = Duration::from_millis(10);
const PAUSE_RUN: Duration = Duration::from_millis(150);
/// How often the summary looks whether a run has finished.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// A run that has not finished so long after the last file is reported as it is.
const PATIENCE: Duration = Duration::from_mins(2);
/// Rows asked for at once; a demo has far fewer.
const ALL: Page = Page {
    after: None,
    limit: 10_000,
};

/// The act of two runs of 2010, whose few pairs are fitted on a flat background: nobody has
/// measured how that of 2010 falls, and the slope of 2011 moves the peak by a fourth of its error.
const FLAT_ACT: u8 = 1;
const FLAT: &str = "\n[pipelines.calibration.task.harvest]\n\
                    parameters = { mass_background_per_gev = \"0\" }\n";

/// Plays one act of dimuons to its end.
pub(super) fn play(
    play: &Play,
    program: &Path,
    happens: &mut dyn FnMut(&str),
) -> Result<ActSummary, String> {
    let daq = |instance: &Instance, happens: &mut dyn FnMut(&str)| run(play, instance, happens);
    play_by(play, program, &config_of(play), daq, happens)
}

/// Plays an act by what its data acquisition does, which returns when all runs have finished.
pub(super) fn play_by(
    play: &Play,
    program: &Path,
    settings: &str,
    daq: impl FnOnce(&Instance, &mut dyn FnMut(&str)) -> Result<Played, String>,
    happens: &mut dyn FnMut(&str),
) -> Result<ActSummary, String> {
    std::fs::create_dir_all(play.folder.join("spool"))
        .map_err(|error| format!("making {}: {error}", play.folder.display()))?;
    let config = play.folder.join("tier0.toml");
    std::fs::write(&config, settings)
        .map_err(|error| format!("writing {}: {error}", config.display()))?;
    let checked = Layers::from_file(Some(&config), &[], &[])
        .and_then(|layers| check(&layers, &[]))
        .map_err(|found| {
            found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        })?;
    let storage = checked.config.instance.storage.clone();
    let instance = Instance::start(checked, program, None).map_err(|error| error.to_string())?;
    instance.wait_until_scanned();
    let address = instance
        .address()
        .map_or_else(String::new, |a| a.to_string());
    happens(&format!(
        "   instance at http://{address}, data from {}",
        play.source.display()
    ));
    let started = Instant::now();
    let result = daq(&instance, happens)
        .and_then(|played| tell(play, &instance, &storage, &played, started));
    instance.stop().map_err(|error| error.to_string())?;
    result
}

fn tell(
    play: &Play,
    instance: &Instance,
    storage: &Path,
    played: &Played,
    started: Instant,
) -> Result<ActSummary, String> {
    let catalogue = SqlCatalogue::open(&Database::in_folder(instance.state()))
        .map_err(|error| error.to_string())?;
    let from = collect::From {
        catalogue: &catalogue,
        storage,
        played,
        good_runs: &instance.state().join("good-runs.json"),
        wall_s: started.elapsed().as_secs_f64(),
    };
    collect::act(play, &from)
}

fn config_of(play: &Play) -> String {
    let harvest = match play.number {
        FLAT_ACT => FLAT,
        _ => "",
    };
    format!(
        "# The instance of act {}, as any site would write it.\n\
         [instance]\nname = \"demo-act{}\"\nstate = \"state\"\n\n\
         [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"cms\"\nlabel = \"{}\"\n{harvest}",
        play.number, play.number, play.data_label
    )
}

fn run(play: &Play, instance: &Instance, happens: &mut dyn FnMut(&str)) -> Result<Played, String> {
    let catalogue = SqlCatalogue::open(&Database::in_folder(instance.state()))
        .map_err(|error| error.to_string())?;
    let mut options = InjectOptions::new(play.folder.join("spool"), play.source.clone());
    options.pause_file = PAUSE_FILE;
    options.pause_run = PAUSE_RUN;
    options.label = Some(match play.data_label {
        DataLabel::Real => Label::Real,
        DataLabel::Simulated => Label::Simulated,
    });
    let daq = std::thread::Builder::new()
        .name("daq".to_owned())
        .spawn(move || inject::play(&options, &mut |_| {}))
        .map_err(|error| format!("starting the data acquisition: {error}"))?;
    let mut told = BTreeSet::new();
    while !daq.is_finished() {
        std::thread::sleep(LOOK);
        tell_finished(&catalogue, &mut told, happens)?;
    }
    let played = daq
        .join()
        .map_err(|_| "a bug: the data acquisition panicked".to_owned())?
        .map_err(|error| error.to_string())?;
    wait_for_runs(&catalogue, &played, instance, &mut told, happens)?;
    Ok(played)
}

/// Waits until every run that was played has finished; says what is in the way if one has not.
pub(super) fn wait_for_runs(
    catalogue: &SqlCatalogue,
    played: &Played,
    instance: &Instance,
    told: &mut BTreeSet<u32>,
    happens: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    while told.len() < played.runs.len() {
        if Instant::now() > until {
            for wait in instance
                .commands()
                .waits()
                .map_err(|error| error.to_string())?
            {
                happens(&format!("   {} waits: {}", wait.object, wait.reason));
            }
            let late = played.runs.len() - told.len();
            return Err(format!(
                "{late} runs have not finished after {} s",
                PATIENCE.as_secs()
            ));
        }
        std::thread::sleep(LOOK);
        tell_finished(catalogue, told, happens)?;
    }
    Ok(())
}

/// Says which runs have finished since the last look, with what was decided on their constants.
pub(super) fn tell_finished(
    catalogue: &SqlCatalogue,
    told: &mut BTreeSet<u32>,
    happens: &mut dyn FnMut(&str),
) -> Result<(), String> {
    for run in catalogue.runs(ALL).map_err(|error| error.to_string())? {
        if !run.state.is_finished() || !told.insert(run.number.0) {
            continue;
        }
        let decisions = catalogue.decisions().map_err(|error| error.to_string())?;
        let mut said = Vec::new();
        for decision in decisions
            .iter()
            .filter(|decision| decision.run == run.number)
        {
            said.push(format!("{} {}", decision.tag, decision.outcome.as_str()));
        }
        let quality = catalogue.quality().map_err(|error| error.to_string())?;
        let verdict = quality.iter().find(|quality| quality.run == run.number);
        if let Some(verdict) = verdict {
            said.push(format!("verdict {}", verdict.verdict.as_str()));
        }
        let jobs = catalogue.jobs(Some(run.number), Some("done"), ALL);
        let jobs = jobs.map_err(|error| error.to_string())?;
        let units = jobs.iter().flat_map(|job| &job.units);
        let lacking = units.clone().any(|account| !account.is_complete());
        said.extend(units.map(UnitAccount::sentence));
        let how = if lacking {
            "finished, incomplete"
        } else {
            "finished"
        };
        happens(&format!("   run {} {how}: {}", run.number, said.join("; ")));
    }
    Ok(())
}
