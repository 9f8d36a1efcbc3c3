//! Where journals lie: files of one folder, several parts to an epoch, and never more of them than
//! people gave room for.
//!
//! An epoch's parts are replayed in order, from the first: only there stands what the engine was
//! restored from, and the state of an engine at work is more than its rows. So parts of an epoch
//! are kept or removed together. To make room the oldest epochs go; an epoch that fills all the
//! room alone ends its journal.

use super::record::{Build, Heading, Record, SCHEMA, line_of};
use model::ids::{AgentNumber, Epoch};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A part that is longer is followed by another: a size that is easily copied and looked into.
const PART_BYTES: u64 = 32 << 20;

/// Why a journal goes on no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Full {
    /// The program does not know itself.
    #[error("reading the file of this program: {0}")]
    Build(io::Error),
    /// The room is used up by this epoch alone.
    #[error("it has filled the {0} bytes of instance.journal")]
    Room(u64),
    /// The operating system.
    #[error("{tried} {path}: {source}")]
    System {
        /// What was tried.
        tried: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A bug.
    #[error("a record could not be written as JSON: {0}")]
    Record(#[from] serde_json::Error),
}

/// The name of a part.
pub(super) fn name_of(epoch: Epoch, part: u32) -> String {
    format!("epoch{:06}.part{part:04}.journal", epoch.0)
}

/// Epoch and part of a file's name.
fn named(name: &str) -> Option<(i64, u32)> {
    let (epoch, part) = name.strip_prefix("epoch")?.split_once(".part")?;
    let part = part.strip_suffix(".journal")?;
    Some((epoch.parse().ok()?, part.parse().ok()?))
}

/// The file that follows a part of the same epoch.
pub(super) fn next_part(path: &Path) -> Option<PathBuf> {
    let (epoch, part) = named(path.file_name()?.to_str()?)?;
    let next = path.with_file_name(name_of(Epoch(epoch), part.checked_add(1)?));
    next.is_file().then_some(next)
}

/// The journal of an epoch, being written.
pub(super) struct Parts {
    folder: PathBuf,
    /// Of all epochs together.
    bytes_max: u64,
    pub(super) part_bytes_max: u64,
    heading: Heading,
    path: PathBuf,
    file: BufWriter<File>,
    /// Checksum of the last line.
    last: u64,
    part_bytes: u64,
    /// Of all parts of this epoch.
    own_bytes: u64,
    /// Bytes of older epochs.
    older: BTreeMap<i64, u64>,
}

impl Parts {
    /// Begins the journal of an epoch.
    pub(super) fn begin(
        folder: &Path,
        bytes_max: u64,
        of: (AgentNumber, Epoch),
        configuration: &str,
        build: Build,
    ) -> Result<Self, Full> {
        fs::create_dir_all(folder).map_err(at("making the folder", folder))?;
        let mut older = sizes(folder).map_err(at("listing", folder))?;
        if older.remove(&of.1.0).is_some() {
            // The store is as in a backup: that epoch is another one's past.
            remove(folder, of.1.0)?;
        }
        let heading = Heading {
            schema: SCHEMA.to_owned(),
            agent: of.0,
            epoch: of.1,
            part: 1,
            follows: 0,
            build,
            configuration: configuration.to_owned(),
        };
        let (path, file) = create(folder, &heading)?;
        let mut parts = Self {
            folder: folder.to_owned(),
            bytes_max,
            part_bytes_max: PART_BYTES,
            heading,
            path,
            file,
            last: 0,
            part_bytes: 0,
            own_bytes: 0,
            older,
        };
        parts.put(&Record::Heading(parts.heading.clone()))?;
        Ok(parts)
    }

    /// Writes a line. A part that is long enough is followed by the next one first.
    pub(super) fn write(&mut self, record: &Record) -> Result<(), Full> {
        if self.part_bytes > self.part_bytes_max {
            self.flush()?;
            self.heading.part += 1;
            self.heading.follows = self.last;
            (self.path, self.file) = create(&self.folder, &self.heading)?;
            (self.part_bytes, self.last) = (0, 0);
            self.put(&Record::Heading(self.heading.clone()))?;
        }
        self.put(record)
    }

    fn put(&mut self, record: &Record) -> Result<(), Full> {
        let (line, checksum) = line_of(record, self.last)?;
        let bytes = line.len() as u64;
        self.make_room(bytes)?;
        let written = self.file.write_all(line.as_bytes());
        written.map_err(at("writing", &self.path))?;
        self.last = checksum;
        self.part_bytes += bytes;
        self.own_bytes += bytes;
        Ok(())
    }

    /// Whoever reads the file sees what was written so far; nothing is synced.
    pub(super) fn flush(&mut self) -> Result<(), Full> {
        self.file.flush().map_err(at("writing", &self.path))
    }

    /// Removes the oldest epochs until so many bytes more have room.
    fn make_room(&mut self, bytes: u64) -> Result<(), Full> {
        let fits = |older: &BTreeMap<i64, u64>| {
            self.own_bytes + bytes + older.values().sum::<u64>() <= self.bytes_max
        };
        while !fits(&self.older) {
            let Some((epoch, _)) = self.older.pop_first() else {
                return Err(Full::Room(self.bytes_max));
            };
            remove(&self.folder, epoch)?;
        }
        Ok(())
    }
}

fn at(tried: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Full {
    let path = path.to_owned();
    move |source| Full::System {
        tried,
        path,
        source,
    }
}

fn create(folder: &Path, heading: &Heading) -> Result<(PathBuf, BufWriter<File>), Full> {
    let path = folder.join(name_of(heading.epoch, heading.part));
    let file = File::create_new(&path).map_err(at("making", &path))?;
    Ok((path, BufWriter::new(file)))
}

/// Removes all parts of an epoch, the last first: what is left is replayed as far as it goes.
fn remove(folder: &Path, epoch: i64) -> Result<(), Full> {
    let mut names = parts_of(folder).map_err(at("listing", folder))?;
    names.retain(|name| named(name).is_some_and(|(of, _)| of == epoch));
    names.sort();
    for name in names.iter().rev() {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(at("removing", &path))?;
    }
    Ok(())
}

/// Names of all parts of all epochs.
fn parts_of(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .filter(|name| named(name).is_some())
                .map(str::to_owned),
        );
    }
    Ok(names)
}

/// Bytes of each epoch.
fn sizes(folder: &Path) -> io::Result<BTreeMap<i64, u64>> {
    let mut sizes = BTreeMap::new();
    for name in parts_of(folder)? {
        if let Some((epoch, _)) = named(&name) {
            *sizes.entry(epoch).or_default() += fs::metadata(folder.join(&name))?.len();
        }
    }
    Ok(sizes)
}
