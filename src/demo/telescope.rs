//! Act 3: files of a neutrino telescope's data acquisition, and a plain Python program.
//!
//! Nothing here is of CMS: names, runs without lumis, one file a run, time slices in it that come
//! in any order, some never. The program counts them; what it reports is in the ledger and is told
//! from there. Run control says over HTTP when a run begins and ends, as it would for real.

use super::summary::{ActSummary, PhotomultiplierSummary};
use super::{DemoOptions, Play, act};
use crate::data::{self, PythonPackage};
use crate::serve::Instance;
use model::dataset::Output;
use model::ids::RunNumber;
use ports::catalogue::Catalogue;
use programs::format::Label;
use programs::inject::{Played, PlayedRun};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use store::{Database, SqlCatalogue};

/// The data set, as the manifest calls it.
pub(super) const SET: &str = "km3net";
const PIPELINE: &str = include_str!("../../pipelines/examples/km3net/slices.toml");
const PROGRAM: &str = include_str!("../../pipelines/examples/km3net/slices.py");
/// What the program needs.
const UPROOT: PythonPackage = PythonPackage {
    name: "uproot",
    version: "5.7.7",
    download_bytes: 21_897_000,
};
/// Run control waits so long for an answer; it comes within milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A file that has not been accepted after so long never will be.
const ACCEPT_MAX: Duration = Duration::from_mins(1);

/// A file as the package has it, and as the data acquisition names it.
struct DaqFile {
    name: &'static str,
    run: u32,
    /// Time slices in it.
    slices: u64,
    /// What a reader of the numbers has to know.
    told: &'static str,
}

const FILES: [DaqFile; 2] = [
    DaqFile {
        name: "KM3NeT_00000029_00003246.root",
        run: 3246,
        slices: 1000,
        told: "run 3246: a cut of 1,000 time slices out of a longer run, called summaryslices.root \
               in the package; it arrives under the name that its headers give it",
    },
    DaqFile {
        name: "KM3NeT_00000267_00025291_JDAQEvent_JDAQSummaryslice.root",
        run: 25291,
        slices: 13,
        told: "run 25291: a cut of 13 time slices of the whole detector",
    },
];

/// Plays the act, or says why it cannot be.
pub(super) fn play(
    mut play: Play,
    options: &DemoOptions,
    happens: &mut dyn FnMut(&str),
) -> Result<Result<ActSummary, String>, String> {
    let mut talk = |line: &str| happens(&format!("   {line}"));
    let folders: Vec<PathBuf> = options.data.iter().cloned().collect();
    let got = data::get_all(SET, &folders, &mut talk)
        .and_then(|sources| Ok((sources, data::python_package(&UPROOT, &mut talk)?)));
    let (sources, packages) = match got {
        Ok(got) => got,
        Err(error) => return Ok(Err(error.to_string())),
    };
    lay_out(&play.folder, packages.as_deref())?;
    for file in &FILES {
        talk(file.told);
    }
    if let Some(folder) = sources.first().and_then(|source| source.parent()) {
        folder.clone_into(&mut play.source);
    }
    let daq = |instance: &Instance, happens: &mut dyn FnMut(&str)| {
        take_runs(&play, instance, &sources, happens)
    };
    act::play_by(&play, &options.program, &config_of(&play), daq, happens).map(Ok)
}

fn config_of(play: &Play) -> String {
    format!(
        "# The instance of act {0}, as any site would write it.\n\
         [instance]\nname = \"demo-act{0}\"\nstate = \"state\"\n\n\
         [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"km3net\"\nlabel = \"{1}\"\n\n\
         [programs]\nkm3net_slices = \"programs/slices.py\"\n\n\
         [pipelines]\nfolder = \"pipelines\"\n",
        play.number, play.data_label
    )
}

/// The program, what it imports, and the pipeline that calls it.
fn lay_out(folder: &Path, packages: Option<&Path>) -> Result<(), String> {
    let (programs, pipelines) = (folder.join("programs"), folder.join("pipelines"));
    let program = programs.join("slices.py");
    let made = (|| {
        for folder in [&programs, &pipelines] {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(pipelines.join("slices.toml"), PIPELINE)?;
        std::fs::write(&program, PROGRAM)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        packages.map_or(Ok(()), |packages| {
            std::os::unix::fs::symlink(packages, programs.join("packages"))
        })
    })();
    made.map_err(|error: std::io::Error| format!("laying out {}: {error}", folder.display()))
}

/// The data acquisition and run control: each run begins, its file is renamed into the spool, and
/// when it has been taken the run ends. The names hold no lumi, so the run is one.
fn take_runs(
    play: &Play,
    instance: &Instance,
    sources: &[PathBuf],
    happens: &mut dyn FnMut(&str),
) -> Result<Played, String> {
    let catalogue = SqlCatalogue::open(&Database::in_folder(instance.state()))
        .map_err(|error| error.to_string())?;
    let control = RunControl::of(instance)?;
    let mut told = BTreeSet::new();
    let mut runs = Vec::new();
    for (file, source) in FILES.iter().zip(sources) {
        let begin =
            json!({ "run": file.run, "run_type": "physics", "label": play.data_label.as_str() });
        control.say("runs", &begin)?;
        let spool = play.folder.join("spool");
        let (hidden, place) = (spool.join(format!(".{}", file.name)), spool.join(file.name));
        std::fs::copy(source, &hidden)
            .and_then(|_| std::fs::rename(&hidden, &place))
            .map_err(|error| format!("writing {}: {error}", place.display()))?;
        accepted(&catalogue, RunNumber(file.run))?;
        control.say(
            &format!("runs/{}:stop", file.run),
            &json!({ "last_lumi": 1 }),
        )?;
        runs.push(PlayedRun {
            run: file.run,
            files: 1,
            events: file.slices,
        });
        act::tell_finished(&catalogue, &mut told, happens)?;
    }
    let played = Played {
        source: SET.to_owned(),
        label: Label::Real,
        runs,
        files_present: 0,
    };
    act::wait_for_runs(&catalogue, &played, instance, &mut told, happens)?;
    Ok(played)
}

/// Waits until the one file of a run is in the ledger.
fn accepted(catalogue: &SqlCatalogue, run: RunNumber) -> Result<(), String> {
    let until = Instant::now() + ACCEPT_MAX;
    loop {
        let counts = catalogue.run_counts(run);
        if counts.map_err(|error| error.to_string())?.files > 0 {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("the file of run {run} has not been accepted"));
        }
        std::thread::sleep(act::LOOK);
    }
}

/// Run control, as an outside program that speaks to the instance.
struct RunControl {
    agent: ureq::Agent,
    base: String,
}

impl RunControl {
    fn of(instance: &Instance) -> Result<Self, String> {
        let address = instance.address();
        let address = address.ok_or("the instance has no address for run control")?;
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_MAX));
        Ok(Self {
            agent: config.build().into(),
            base: format!("http://{address}/api/v1"),
        })
    }

    fn say(&self, to: &str, body: &Value) -> Result<(), String> {
        let address = format!("{}/{to}", self.base);
        let request = self.agent.post(&address);
        let answer = request
            .header("content-type", "application/json")
            .send(body.to_string());
        match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("run control, POST {address}: {error}")),
        }
    }
}

/// What a published account says of a run's photomultipliers.
pub(super) fn photomultipliers(
    outputs: &[&Output],
    storage: &Path,
) -> Result<Option<PhotomultiplierSummary>, String> {
    let Some(account) = outputs.iter().find(|o| o.label.as_str() == "ACCOUNT") else {
        return Ok(None);
    };
    let path = storage.join(account.name.as_str());
    let wrong = |why: String| format!("reading {}: {why}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let document: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let of = &document["photomultipliers"];
    let number = |name: &str| {
        let found = of[name].as_u64();
        found.ok_or_else(|| wrong(format!("photomultipliers.{name} is missing")))
    };
    Ok(Some(PhotomultiplierSummary {
        photomultipliers: number("photomultipliers")?,
        silent: number("silent")?,
        silent_and_vetoed: number("silent_and_vetoed")?,
        readings: number("readings")?,
        readings_vetoed: number("readings_vetoed")?,
        readings_vetoed_below_20_khz: number("readings_vetoed_below_20_khz")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::config::Layers;
    use model::names::DataLabel;

    #[test]
    fn what_is_laid_out_is_a_valid_instance() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("act3");
        let play = Play {
            number: 3,
            label: "REAL, KM3NeT",
            data_label: DataLabel::Real,
            source: PathBuf::new(),
            truth: None,
            folder: folder.clone(),
        };
        lay_out(&folder, Some(place.path())).unwrap();
        std::fs::create_dir(folder.join("spool")).unwrap();
        let config = folder.join("tier0.toml");
        std::fs::write(&config, config_of(&play)).unwrap();
        let layers = Layers::from_file(Some(&config), &[], &[]).unwrap();
        let checked = check(&layers, &[]).unwrap();
        assert_eq!(
            checked.pipelines.definitions.resolve(RunNumber(3246)).len(),
            1
        );
        assert!(folder.join("programs/packages").is_dir());
        // Every name that is played is one of the shipped profile's.
        let pattern = checked.config.streams[0].pattern.as_deref().unwrap();
        let pattern = watch::NamePattern::parse(pattern).unwrap();
        for file in &FILES {
            let run = pattern.read(file.name.as_bytes()).unwrap().run;
            assert_eq!(run, Some(RunNumber(file.run)));
        }
    }
}
