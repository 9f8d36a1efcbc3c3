//! Plays a data set into a spool folder as a data acquisition would, run by run.
//!
//! In: a data set and options. Out: for each run a folder with a begin-of-run record, stream files
//! with their sidecars, end-of-lumi records and an end-of-run record. A file is written under
//! `open/` and renamed into place, then its sidecar: the sidecar is the commit mark. The lumis are
//! slices of the replay by event number, not lumisections of the experiment: the data sets have
//! none.
//!
//! Playing the same input again into the same spool writes nothing and leaves the same names. It
//! must never overwrite a committed file, and never change what another option set has left there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::event::{Layout, RowError};
use crate::format::{Container, Header, Label, RawEvent, checksum};
use crate::sidecar;
use crate::source::{self, DataSet, SourceError};
use calibration::random::uniform_of;

/// What to play, where and how.
#[derive(Clone, Debug)]
pub struct InjectOptions {
    /// Spool folder; made if absent.
    pub spool: PathBuf,
    /// Data set: `.csv`, `.root` or `.parquet`.
    pub data: PathBuf,
    /// Stream name: letters and digits, not holding the word `stream`.
    pub stream: String,
    /// Type of the runs: `physics`, `cosmics`, `calibration` or `test`.
    pub run_type: String,
    /// Events a slice, at least 1.
    pub slice_events: usize,
    /// Pause after each committed file.
    pub pause_file: Duration,
    /// Pause after each run.
    pub pause_run: Duration,
    /// Moves the true vertex by (x, y) in cm.
    pub shift_vertex_cm: Option<(f64, f64)>,
    /// Runs that are left out.
    pub drop_runs: Vec<u32>,
    /// Seed of the choice of events when `fraction` is below 1.
    pub seed: u64,
    /// Share of events kept, above 0 and at most 1.
    pub fraction: f64,
    /// Real or simulated; `None`: by the run numbers. A claim the run numbers deny is refused.
    pub label: Option<Label>,
    /// Process number in the file names.
    pub pid: u32,
}

impl InjectOptions {
    /// Everything as a plain replay has it: stream `Muons`, physics runs, 200 events a slice, no
    /// pauses, nothing changed.
    pub fn new(spool: PathBuf, data: PathBuf) -> Self {
        Self {
            spool,
            data,
            stream: "Muons".into(),
            run_type: "physics".into(),
            slice_events: 200,
            pause_file: Duration::ZERO,
            pause_run: Duration::ZERO,
            shift_vertex_cm: None,
            drop_runs: Vec::new(),
            seed: 1,
            fraction: 1.0,
            label: None,
            pid: 1,
        }
    }
}

/// What was played of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayedRun {
    /// Run number.
    pub run: u32,
    /// Stream files of the run.
    pub files: u32,
    /// Events in them.
    pub events: u64,
}

/// What was played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// Name of the data set.
    pub source: String,
    /// Real or simulated.
    pub label: Label,
    /// The runs in the order they were played.
    pub runs: Vec<PlayedRun>,
    /// Stream files that were already committed with the same content.
    pub files_present: u32,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// An option no replay can follow.
    #[error("cannot inject: {option} is {value:?}; {hint}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        hint: &'static str,
    },
    /// The data set.
    #[error("cannot inject: {0}")]
    Source(#[from] SourceError),
    /// A row that cannot be shifted (never after a successful read, but not assumed).
    #[error("cannot shift event {event} of run {run}: {row}")]
    Shift {
        /// Run.
        run: u32,
        /// Event.
        event: u64,
        /// What is wrong with it.
        row: RowError,
    },
    /// No run or no event is left.
    #[error("cannot inject: the options leave no events of {}; drop fewer runs or keep a larger \
             fraction", data.display())]
    Nothing {
        /// The data set.
        data: PathBuf,
    },
    /// The spool holds another file under a name of this replay.
    #[error("cannot inject: {} is already committed with other content; use an empty spool or the \
             options of the first replay", path.display())]
    Conflict {
        /// The file in the spool.
        path: PathBuf,
    },
    /// The spool cannot be written.
    #[error("cannot inject: {what} {} failed: {source}; check rights and free space of the spool",
            path.display())]
    Spool {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Plays the data set. `progress` hears one line a run.
pub fn play(
    options: &InjectOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Played, InjectError> {
    check_options(options)?;
    let data = source::read(&options.data)?;
    if data.without_pair > 0 {
        let count = data.without_pair;
        progress(&format!(
            "{count} events without a pair of muons of opposite charge are left out"
        ));
    }
    let label = check_label(options, &data)?;
    let runs = choose(options, &data)?;
    if runs.is_empty() {
        return Err(InjectError::Nothing {
            data: options.data.clone(),
        });
    }
    let mut played = Played {
        source: data.name.clone(),
        label,
        runs: Vec::new(),
        files_present: 0,
    };
    let count = runs.len();
    for (index, (run, events)) in runs.into_iter().enumerate() {
        let mut replay = RunReplay {
            options,
            data: &data,
            label,
            run,
            files_present: 0,
        };
        let done = replay.play(&events)?;
        progress(&format!(
            "run {run} ({} of {count}): {} events in {} files, slices of the replay",
            index + 1,
            done.events,
            done.files
        ));
        played.files_present += replay.files_present;
        played.runs.push(done);
        if index + 1 < count {
            pause(options.pause_run);
        }
    }
    Ok(played)
}

fn check_options(options: &InjectOptions) -> Result<(), InjectError> {
    let refuse = |option, value: String, hint| {
        Err(InjectError::Option {
            option,
            value,
            hint,
        })
    };
    let stream = &options.stream;
    let plain = stream.chars().all(|c| c.is_ascii_alphanumeric());
    if stream.is_empty() || !plain || stream.contains("stream") {
        let hint = "a stream name is letters and digits and does not hold the word stream";
        return refuse("stream", stream.clone(), hint);
    }
    if !["physics", "cosmics", "calibration", "test"].contains(&options.run_type.as_str()) {
        let hint = "a run is physics, cosmics, calibration or test";
        return refuse("run type", options.run_type.clone(), hint);
    }
    if options.slice_events == 0 {
        return refuse("slice events", "0".into(), "a slice has at least one event");
    }
    if !(options.fraction > 0.0 && options.fraction <= 1.0) {
        let hint = "a fraction is above 0 and at most 1";
        return refuse("fraction", options.fraction.to_string(), hint);
    }
    if let Some((x, y)) = options.shift_vertex_cm
        && !(x.is_finite() && y.is_finite())
    {
        return refuse(
            "shift vertex",
            format!("{x},{y}"),
            "give two finite numbers in cm",
        );
    }
    Ok(())
}

fn check_label(options: &InjectOptions, data: &DataSet) -> Result<Label, InjectError> {
    let known = data.label(&options.data)?;
    match options.label {
        Some(claim) if claim != known => Err(InjectError::Option {
            option: "label",
            value: claim.as_str().into(),
            hint: "the run numbers say otherwise: runs from 900001 on are simulated, others real",
        }),
        _ => Ok(known),
    }
}

/// Leaves out dropped runs and events, and shifts the rest.
fn choose(
    options: &InjectOptions,
    data: &DataSet,
) -> Result<Vec<(u32, Vec<RawEvent>)>, InjectError> {
    // Only dimuons have a vertex: rows of anything else are refused when it is to be shifted.
    let shift = options.shift_vertex_cm.map(|shift_cm| {
        Layout::of(&data.columns)
            .map(|layout| (layout, shift_cm))
            .map_err(|row| SourceError::Row {
                path: options.data.clone(),
                line: 1,
                row,
            })
    });
    let shift = shift.transpose()?;
    let mut runs = Vec::new();
    for (run, events) in &data.runs {
        if options.drop_runs.contains(run) {
            continue;
        }
        let keep = |event: &&RawEvent| {
            uniform_of(&[options.seed, u64::from(*run), event.event]) < options.fraction
        };
        let mut kept: Vec<RawEvent> = events.iter().filter(keep).cloned().collect();
        if let Some((layout, (x_cm, y_cm))) = &shift {
            for event in &mut kept {
                for row in &mut event.rows {
                    *row = layout
                        .shifted(row, *x_cm, *y_cm)
                        .map_err(|row| InjectError::Shift {
                            run: *run,
                            event: event.event,
                            row,
                        })?;
                }
            }
        }
        if !kept.is_empty() {
            runs.push((*run, kept));
        }
    }
    Ok(runs)
}

/// The replay of one run.
struct RunReplay<'a> {
    options: &'a InjectOptions,
    data: &'a DataSet,
    label: Label,
    run: u32,
    files_present: u32,
}

impl RunReplay<'_> {
    fn play(&mut self, events: &[RawEvent]) -> Result<PlayedRun, InjectError> {
        let (run, pid) = (self.run, self.options.pid);
        let folder = self.options.spool.join(sidecar::run_folder(run));
        make_folder(&folder.join("open"))?;
        let begin = sidecar::begin_of_run(run, pid, &self.options.run_type, self.label.as_str());
        put(
            &folder,
            &sidecar::record_name(run, 0, "BoR"),
            begin.as_bytes(),
        )?;
        let mut files = 0;
        for slice in events.chunks(self.options.slice_events) {
            files += 1;
            let lumi = files;
            self.commit_slice(&folder, lumi, slice)?;
            let count = slice.len() as u64;
            let end = sidecar::end_of_lumi(run, pid, count, 1);
            put(
                &folder,
                &sidecar::record_name(run, lumi, "EoLS"),
                end.as_bytes(),
            )?;
            pause(self.options.pause_file);
        }
        let total = events.len() as u64;
        let end = sidecar::end_of_run(run, pid, total, files, files, files);
        put(
            &folder,
            &sidecar::record_name(run, 0, "EoR"),
            end.as_bytes(),
        )?;
        Ok(PlayedRun {
            run,
            files,
            events: total,
        })
    }

    /// Writes one stream file and then its sidecar, unless both are there with this content.
    fn commit_slice(
        &mut self,
        folder: &Path,
        lumi: u32,
        slice: &[RawEvent],
    ) -> Result<(), InjectError> {
        let container = Container {
            header: Header {
                schema: 1,
                source: self.data.name.clone(),
                label: self.label,
                run: self.run,
                lumi,
                stream: self.options.stream.clone(),
                columns: self.data.columns.clone(),
                events: slice.len() as u64,
            },
            events: slice.to_vec(),
        };
        let bytes = container.to_bytes();
        let (run, pid) = (self.run, self.options.pid);
        let stem = sidecar::stream_stem(run, lumi, &self.options.stream, pid);
        let (file, mark) = (format!("{stem}.dat"), format!("{stem}.jsn"));
        let size = bytes.len() as u64;
        let record = sidecar::stream(run, pid, slice.len() as u64, &file, size, checksum(&bytes));
        // The mark may outlive its file: whoever takes files out of a spool may leave sidecars.
        if present(&folder.join(&mark), record.as_bytes())? {
            self.files_present += 1;
            return Ok(());
        }
        write_and_rename(folder, &file, &bytes)?;
        write_and_rename(folder, &mark, record.as_bytes())
    }
}

/// Whether the file is there with these bytes; another content is a conflict.
fn present(path: &Path, bytes: &[u8]) -> Result<bool, InjectError> {
    match fs::read(path) {
        Ok(found) if found == bytes => Ok(true),
        Ok(_) => Err(InjectError::Conflict {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(InjectError::Spool {
            what: "reading",
            path: path.to_owned(),
            source,
        }),
    }
}

/// Puts a record into the folder unless it is there already.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), InjectError> {
    if present(&folder.join(name), bytes)? {
        return Ok(());
    }
    write_and_rename(folder, name, bytes)
}

/// Writes under `open/`, closes, renames into the folder: whoever sees the name sees all bytes.
fn write_and_rename(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), InjectError> {
    let open = folder.join("open").join(name);
    fs::write(&open, bytes).map_err(|source| InjectError::Spool {
        what: "writing",
        path: open.clone(),
        source,
    })?;
    fs::rename(&open, folder.join(name)).map_err(|source| InjectError::Spool {
        what: "renaming",
        path: open,
        source,
    })
}

fn make_folder(path: &Path) -> Result<(), InjectError> {
    fs::create_dir_all(path).map_err(|source| InjectError::Spool {
        what: "making folder",
        path: path.to_owned(),
        source,
    })
}

fn pause(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}

#[cfg(test)]
#[path = "inject_tests.rs"]
mod tests;
