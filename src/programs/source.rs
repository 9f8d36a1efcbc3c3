//! Data sets to be replayed: CSV files of dimuons (recorded or made by `mc`) or of chamber tracks
//! (made by `mc --chamber`), the same columns as Parquet, `uproot-Zmumu.root`, NanoAOD, and event
//! tables of these programs (Parquet).
//!
//! In: a path. Out: events in run order and in each run by event number, with their rows as text,
//! every row already checked to be readable. A malformed row is an error that names the file and
//! the line; nothing is skipped in silence: NanoAOD events without a pair are counted. It never
//! writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::chamber_rows;
use crate::event::{Layout, RowError};
use crate::event_rows;
use crate::foreign_table;
use crate::format::{Label, RawEvent};
use crate::root_file;

/// Runs from here on are simulated: `mc` numbers its runs above, no collider run comes near. The
/// label of a data set is therefore known even when nobody says it.
pub const SIMULATED_RUN_MIN: u32 = 900_001;
/// Tree that holds the events of a ROOT data set.
const TREE: &str = "events";

/// A data set in memory.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// File name without its ending.
    pub name: String,
    /// Column names in order.
    pub columns: Vec<String>,
    /// Runs in order, each with its events by rising number.
    pub runs: BTreeMap<u32, Vec<RawEvent>>,
    /// Events of the file without a pair of muons, which are not among them.
    pub without_pair: u64,
}

/// Why a data set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be opened or read.
    #[error("cannot read data set {}; check the path and its rights", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither `.csv` nor `.root` nor `.parquet`.
    #[error("data set {} is neither .csv, .root nor .parquet; give Zmumu_Run2011A.csv, \
             uproot-Zmumu.root or a file of `tier0 program mc`", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// The ROOT reader could not read it.
    #[error("cannot read ROOT data set {}: {reason}; get the file again", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The Parquet file is no event table.
    #[error("cannot read event table {}: {reason}; give a RECO, AOD, RAW or SKIM file, or one \
             with the columns of a CSV data set", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A row that is no event. Lines count from 1; in a ROOT file the line is the entry plus 2.
    #[error("{}:{line}: {row}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong.
        row: RowError,
    },
    /// A file with a header only.
    #[error("data set {} has no events; get the file again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Real and simulated runs in one file.
    #[error("data set {} holds real runs (up to {real}) and simulated runs (from {simulated}); \
             split it: the two are never mixed", path.display())]
    Mixed {
        /// The file.
        path: PathBuf,
        /// Largest real run.
        real: u32,
        /// Smallest simulated run.
        simulated: u32,
    },
}

/// Reads a data set.
pub fn read(path: &Path) -> Result<DataSet, SourceError> {
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or("");
    let mut without_pair = 0;
    let (columns, rows) = match ending {
        "csv" => read_csv(path)?,
        "parquet" => read_parquet(path).map_err(|reason| SourceError::Table {
            path: path.to_owned(),
            reason,
        })?,
        "root" => {
            // Opened first, so that an absent file is reported as such and not by the reader.
            std::fs::File::open(path).map_err(|source| SourceError::Read {
                path: path.to_owned(),
                source,
            })?;
            let rows = root_file::read(path, TREE).map_err(|reason| SourceError::Root {
                path: path.to_owned(),
                reason,
            })?;
            without_pair = rows.without_pair;
            (rows.columns, rows.rows)
        }
        _ => {
            return Err(SourceError::Kind {
                path: path.to_owned(),
            });
        }
    };
    let runs = group(path, &columns, rows)?;
    let name = path
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into());
    let data = DataSet {
        name,
        columns,
        runs,
        without_pair,
    };
    data.label(path)?;
    Ok(data)
}

/// What the rows of a data set are; the columns tell.
enum RowKind {
    Dimuons(Layout),
    Tracks,
}

impl RowKind {
    fn of(columns: &[String]) -> Result<Self, RowError> {
        if chamber_rows::are_planes(columns) {
            return chamber_rows::check_columns(columns).map(|()| Self::Tracks);
        }
        Layout::of(columns).map(Self::Dimuons)
    }

    fn check(&self, row: &str) -> Result<(), RowError> {
        match self {
            Self::Dimuons(layout) => layout.dimuon(row).map(|_| ()),
            Self::Tracks => chamber_rows::hits(row).map(|_| ()),
        }
    }
}

impl DataSet {
    /// Real or simulated, by the run numbers; an error when both are there. `path` is for the
    /// message only.
    pub fn label(&self, path: &Path) -> Result<Label, SourceError> {
        let path = path.to_owned();
        let real = self
            .runs
            .range(..SIMULATED_RUN_MIN)
            .next_back()
            .map(|(run, _)| *run);
        let simulated = self
            .runs
            .range(SIMULATED_RUN_MIN..)
            .next()
            .map(|(run, _)| *run);
        match (real, simulated) {
            (Some(real), Some(simulated)) => Err(SourceError::Mixed {
                path,
                real,
                simulated,
            }),
            (None, Some(_)) => Ok(Label::Simulated),
            (Some(_), None) => Ok(Label::Real),
            (None, None) => Err(SourceError::Empty { path }),
        }
    }
}

fn read_parquet(path: &Path) -> Result<(Vec<String>, Vec<String>), String> {
    match foreign_table::read(path)? {
        Some(read) => Ok(read),
        None => event_rows::read(path),
    }
}

fn read_csv(path: &Path) -> Result<(Vec<String>, Vec<String>), SourceError> {
    let text = std::fs::read_to_string(path).map_err(|source| SourceError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut lines = text.lines();
    let header = lines.next().ok_or_else(|| SourceError::Empty {
        path: path.to_owned(),
    })?;
    let columns = header
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    Ok((columns, lines.map(str::to_owned).collect()))
}

/// Sorts rows into runs and events; each row is checked on the way.
fn group(
    path: &Path,
    columns: &[String],
    rows: Vec<String>,
) -> Result<BTreeMap<u32, Vec<RawEvent>>, SourceError> {
    let at = |line, row| SourceError::Row {
        path: path.to_owned(),
        line,
        row,
    };
    let kind = RowKind::of(columns).map_err(|row| at(1, row))?;
    let column = |name: &str| {
        columns
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| {
                at(
                    1,
                    RowError::Column {
                        name: name.to_owned(),
                        have: columns.join(" "),
                        needed: "Run Event",
                    },
                )
            })
    };
    let (run_column, event_column) = (column("Run")?, column("Event")?);
    let mut runs: BTreeMap<u32, BTreeMap<u64, Vec<String>>> = BTreeMap::new();
    for (index, row) in rows.into_iter().enumerate() {
        let line = index + 2;
        kind.check(&row).map_err(|error| at(line, error))?;
        // The row has as many fields as the header: that has just been checked.
        let fields: Vec<&str> = row.split(',').collect();
        let refuse = |column: usize, reason| {
            let (name, text) = (columns[column].clone(), fields[column].to_owned());
            at(line, RowError::Value { name, text, reason })
        };
        let run: u32 = fields[run_column]
            .trim()
            .parse()
            .map_err(|_| refuse(run_column, "not a run number (0 to 4294967295)"))?;
        let event: u64 = fields[event_column]
            .trim()
            .parse()
            .map_err(|_| refuse(event_column, "not an event number (0 to 2^64 - 1)"))?;
        runs.entry(run)
            .or_default()
            .entry(event)
            .or_default()
            .push(row);
    }
    let listed = |events: BTreeMap<u64, Vec<String>>| {
        events
            .into_iter()
            .map(|(event, rows)| RawEvent { event, rows })
            .collect()
    };
    Ok(runs
        .into_iter()
        .map(|(run, events)| (run, listed(events)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Run,Event,pt1,eta1,phi1,Q1,dxy1,iso1,pt2,eta2,phi2,Q2,dxy2,iso2";
    const MUONS: &str = "50,0.1,0.2,1,0.01,0,40,-0.1,3.1,-1,0.02,0";

    fn written(text: &str, name: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn events_are_sorted_into_runs_by_number() {
        let text = format!("{HEADER}\n7,30,{MUONS}\n7,4,{MUONS}\n5,9,{MUONS}\n7,4,{MUONS}\n");
        let (_folder, path) = written(&text, "small.csv");
        let data = read(&path).unwrap();
        assert_eq!(data.name, "small");
        let seen: Vec<_> = data
            .runs
            .iter()
            .flat_map(|(run, events)| events.iter().map(|e| (*run, e.event, e.rows.len())))
            .collect();
        assert_eq!(seen, [(5, 9, 1), (7, 4, 2), (7, 30, 1)]);
        assert_eq!(data.label(&path).unwrap(), Label::Real);
    }

    #[test]
    fn malformed_data_sets_name_file_and_line() {
        let check = |text: String, name: &str, expect: &str| {
            let (_folder, path) = written(&text, name);
            let message = read(&path).unwrap_err().to_string();
            assert!(message.contains(expect), "{message:?} lacks {expect:?}");
        };
        check(String::new(), "a.csv", "has no events");
        check(format!("{HEADER}\n"), "a.csv", "has no events");
        check(
            format!("{HEADER}\n5,9,{MUONS}\n5,-1,{MUONS}\n"),
            "a.csv",
            "a.csv:3: field Event",
        );
        let wide = format!("{HEADER}\n99999999999999999999,9,{MUONS}\n");
        check(
            wide,
            "a.csv",
            "a.csv:2: field Run is \"99999999999999999999\": not a run number",
        );
        check(
            format!("{HEADER}\n5,9,{MUONS},7\n"),
            "a.csv",
            "a.csv:2: 15 fields",
        );
        check(
            "Run,pt1\n".into(),
            "a.csv",
            "a.csv:1: column \"eta1\" is missing",
        );
        check(
            format!("{HEADER}\n5,9,{MUONS}\n900005,1,{MUONS}\n"),
            "a.csv",
            "never mixed",
        );
        check("x".into(), "a.txt", "neither .csv, .root nor .parquet");
        check(
            "this is not a ROOT file".into(),
            "a.root",
            "cannot read ROOT data set",
        );
        check(String::new(), "a.root", "cannot read ROOT data set");
        let absent = read(Path::new("absent/a.csv")).unwrap_err().to_string();
        assert!(
            absent.contains("cannot read data set absent/a.csv"),
            "{absent}"
        );
    }
}
