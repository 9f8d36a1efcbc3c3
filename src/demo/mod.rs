//! `tier0 demo`: the main job with embedded parts, in short acts, each headed by what it is.
//!
//! An act is an instance of its own (SQLite, local programs) in a folder of its own, so real and
//! simulated data never meet. Data are played into its spool as a data acquisition would; what is
//! told afterwards is read from the instance's own catalogue and published files. Nothing is
//! printed that was not measured, and an act without data says so and how to get them.

mod act;
mod collect;
mod export;
mod figures;
mod physics;
mod report;
mod summary;
mod telescope;

pub use summary::{ActSummary, Summary};

use crate::data::{self, FetchOptions};
use model::names::DataLabel;
use programs::mc::{self, McOptions};
use std::path::{Path, PathBuf};

/// What the demo is asked for.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Folder with data sets that are here already.
    pub data: Option<PathBuf>,
    /// Acts to play; all if empty.
    pub acts: Vec<u8>,
    /// Seed of the simulated data.
    pub seed: u64,
    /// Folder that gets everything; replaced.
    pub folder: PathBuf,
    /// This program: the spawner and `{tier0}`.
    pub program: PathBuf,
}

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A folder or file.
    #[error("{tried}: {source}; free space or name another folder with --dir")]
    File {
        /// What was tried.
        tried: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The folder holds something that the demo did not make.
    #[error(
        "clearing {}: it holds files that the demo did not make; name an empty or new folder with \
         --dir", .folder.display()
    )]
    NotOurs {
        /// Which.
        folder: PathBuf,
    },
    /// The act could not be played.
    #[error("act {act}: {detail}")]
    Act {
        /// Which.
        act: u8,
        /// What happened.
        detail: String,
    },
}

/// An act that can be played.
pub(crate) struct Play {
    number: u8,
    label: &'static str,
    data_label: DataLabel,
    source: PathBuf,
    truth: Option<PathBuf>,
    folder: PathBuf,
}

/// An act of the programme.
struct Programme {
    number: u8,
    label: &'static str,
    /// File name of its data set; none if it is made here.
    data: Option<&'static str>,
    how_to_get: &'static str,
}

const PROGRAMME: [Programme; 4] = [
    Programme {
        number: 1,
        label: "REAL, CMS 2010",
        data: Some("uproot-Zmumu.root"),
        how_to_get: "`tier0 data fetch` gets it with Python's pip (80 MB, 0.2 MB are kept)",
    },
    Programme {
        number: 2,
        label: "SIMULATED, truth known",
        data: None,
        how_to_get: "",
    },
    Programme {
        number: 3,
        label: "REAL, KM3NeT",
        data: None,
        how_to_get: "`tier0 data fetch km3net` gets its data with Python's pip (79 MB, 0.7 MB are \
                     kept); its program needs the Python package uproot (22 MB)",
    },
    Programme {
        number: 4,
        label: "REAL, CMS 2011",
        data: Some("Zmumu_Run2011A.csv"),
        how_to_get: "`tier0 demo --data DIR` with Zmumu_Run2011A.csv in it, or `tier0 data fetch`",
    },
];

/// Plays the acts; `happens` hears what happens as it happens.
pub fn run(options: &DemoOptions, happens: &mut dyn FnMut(&str)) -> Result<Summary, DemoError> {
    clear(&options.folder)?;
    let mut acts = Vec::new();
    for programme in &PROGRAMME {
        if options.acts.is_empty() || options.acts.contains(&programme.number) {
            acts.push(play_or_say_why(programme, options, happens)?);
        }
    }
    let summary = Summary::of(acts);
    let asked = |programme: &&Programme| summary.acts.iter().any(|act| act.act == programme.number);
    let not_asked: Vec<ActSummary> = PROGRAMME
        .iter()
        .filter(|programme| !asked(programme))
        .map(|programme| {
            ActSummary::not_run(programme.number, programme.label, not_asked_for(programme))
        })
        .collect();
    report::write(&summary, &not_asked, &options.folder.join("report.html"))?;
    Ok(summary)
}

/// Why an act is not in the report that nobody asked for, and how to get it.
fn not_asked_for(programme: &Programme) -> String {
    let data = match programme.how_to_get {
        "" => "its data are made".to_owned(),
        how => how.to_owned(),
    };
    format!(
        "not asked for; `tier0 demo --acts {}` plays it ({data})",
        programme.number
    )
}

/// Marks a folder as one that the demo made and may replace.
const MARK: &str = ".tier0-demo";

/// An empty folder that carries the mark. A folder that somebody else filled is left alone.
fn clear(folder: &Path) -> Result<(), DemoError> {
    let failed = |what: &str| {
        let tried = format!("{what} {}", folder.display());
        move |source| DemoError::File { tried, source }
    };
    let filled = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if filled && !folder.join(MARK).exists() {
        return Err(DemoError::NotOurs {
            folder: folder.to_owned(),
        });
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(failed("clearing"))?;
    }
    std::fs::create_dir_all(folder).map_err(failed("making"))?;
    std::fs::write(
        folder.join(MARK),
        "The demo replaces this folder each time.\n",
    )
    .map_err(failed("marking"))
}

fn play_or_say_why(
    programme: &Programme,
    options: &DemoOptions,
    happens: &mut dyn FnMut(&str),
) -> Result<ActSummary, DemoError> {
    let folder = options.folder.join(format!("act{}", programme.number));
    happens(&format!("== act {}: {}", programme.number, programme.label));
    let not_run = |reason: String, happens: &mut dyn FnMut(&str)| {
        let reason = format!("{reason} ({})", programme.how_to_get);
        happens(&format!("   not run: {reason}"));
        ActSummary::not_run(programme.number, programme.label, reason)
    };
    let failed = |detail| DemoError::Act {
        act: programme.number,
        detail,
    };
    let mut play = Play {
        number: programme.number,
        label: programme.label,
        data_label: DataLabel::Real,
        source: PathBuf::from(telescope::SET),
        truth: None,
        folder,
    };
    match (programme.data, programme.number) {
        (Some(name), _) => match get(name, options, happens) {
            Ok(path) => play.source = path,
            Err(reason) => return Ok(not_run(reason, happens)),
        },
        (None, 2) => {
            let (source, truth) = simulate(&play.folder, options.seed, happens)?;
            (play.source, play.truth) = (source, Some(truth));
            play.data_label = DataLabel::Simulated;
        }
        (None, _) => {
            let played = telescope::play(play, options, happens).map_err(failed)?;
            return Ok(played.unwrap_or_else(|reason| not_run(reason, happens)));
        }
    }
    act::play(&play, &options.program, happens).map_err(failed)
}

/// The path of a data set: where somebody says, in the cache, or fetched.
fn get(
    name: &str,
    options: &DemoOptions,
    happens: &mut dyn FnMut(&str),
) -> Result<PathBuf, String> {
    let folders: Vec<PathBuf> = options.data.iter().cloned().collect();
    if let Some(path) = data::find(name, &folders) {
        return Ok(path);
    }
    let mut talk = |line: &str| happens(&format!("   {line}"));
    let mut paths = data::fetch(name, &FetchOptions::default(), &mut talk)
        .map_err(|error| error.to_string())?;
    Ok(paths.remove(0))
}

/// Makes the simulated data; the truth goes into a file that only the summary opens.
fn simulate(
    folder: &Path,
    seed: u64,
    happens: &mut dyn FnMut(&str),
) -> Result<(PathBuf, PathBuf), DemoError> {
    std::fs::create_dir_all(folder).map_err(|source| DemoError::File {
        tried: format!("making {}", folder.display()),
        source,
    })?;
    let (csv, truth) = (folder.join("simulated.csv"), folder.join("truth.json"));
    let options = McOptions::new(csv.clone(), truth.clone(), seed);
    let mut talk = |line: &str| happens(&format!("   {line}"));
    mc::write(&options, &mut talk).map_err(|error| DemoError::Act {
        act: 2,
        detail: error.to_string(),
    })?;
    Ok((csv, truth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_the_demos_own_is_replaced() {
        let place = tempfile::tempdir().expect("a folder can be made");
        let (ours, theirs) = (place.path().join("ours"), place.path().join("theirs"));
        std::fs::create_dir(&theirs).expect("a folder can be made");
        std::fs::write(theirs.join("thesis.tex"), "years of work").expect("a file can be written");
        assert!(matches!(clear(&theirs), Err(DemoError::NotOurs { .. })));
        assert!(theirs.join("thesis.tex").exists());
        clear(&ours).expect("a new folder is made");
        std::fs::write(ours.join("old"), "of the last time").expect("a file can be written");
        clear(&ours).expect("its own folder is replaced");
        assert!(!ours.join("old").exists());
    }
}
