//! A journal read back: the parts of an epoch in their order, each line checked.
//!
//! In comes the path of the first part, out come records, and why there are no more. A line that
//! was cut by the end of its process is the end of the journal; anything else that is no line that
//! was written here is damage, and nothing behind it is believed.

use super::place::{name_of, next_part};
use super::record::{Build, Heading, Record, SCHEMA, record_of};
use super::replay::Refused;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A heading is short: a longer first line is not one, and is not read to its end.
const HEADING_BYTES_MAX: u64 = 64 << 10;

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// A record.
    Record(Record),
    /// Nothing: the last line is whole.
    End,
    /// The beginning of a line: so many bytes, cut when the process ended.
    Torn(u64),
    /// Bytes that are no line of this journal.
    Damaged(String),
}

/// The parts of an epoch, being read.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    pub(super) heading: Heading,
    pub(super) parts: u32,
    /// Checksum of the last line.
    last: u64,
    /// Where the next line begins.
    at_byte: u64,
}

impl Reader {
    /// Opens the first part of a journal that this program wrote.
    pub(super) fn open(path: &Path, build: &Build) -> Result<Self, Refused> {
        let unreadable = |source| Refused::Unreadable {
            path: path.to_owned(),
            source,
        };
        let is_none = |why: String| Refused::NoJournal {
            path: path.to_owned(),
            why,
        };
        let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
        let line = line_at_most(&mut file, HEADING_BYTES_MAX).map_err(unreadable)?;
        let (heading, last) = heading_of(&line).map_err(is_none)?;
        if heading.schema != SCHEMA {
            let schema = &heading.schema;
            return Err(is_none(format!("it is {schema:?}, not {SCHEMA:?}")));
        }
        if heading.build.hash != build.hash {
            return Err(Refused::OtherBuild {
                path: path.to_owned(),
                theirs: Box::new(heading.build),
                ours: Box::new(build.clone()),
            });
        }
        if heading.part != 1 {
            return Err(Refused::LaterPart {
                path: path.to_owned(),
                part: heading.part,
                first: path.with_file_name(name_of(heading.epoch, 1)),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            heading,
            parts: 1,
            last,
            at_byte: line.len() as u64,
        })
    }

    /// The next record, or why there is none.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        loop {
            let mut line = Vec::new();
            self.file.read_until(b'\n', &mut line)?;
            let Some(text) = line.strip_suffix(b"\n") else {
                let further = next_part(&self.path);
                return Ok(match (line.len() as u64, further) {
                    (0, None) => Next::End,
                    (0, Some(path)) => match self.turn_to(path)? {
                        None => continue,
                        Some(end) => end,
                    },
                    (torn, None) => Next::Torn(torn),
                    (_, Some(_)) => self.damaged("it is cut, and another part follows"),
                });
            };
            return Ok(match record_of(text, self.last) {
                Ok((record, checksum)) => {
                    self.last = checksum;
                    self.at_byte += line.len() as u64;
                    Next::Record(record)
                }
                Err(why) => self.damaged(why),
            });
        }
    }

    /// Goes on with the next part; says why not, if it cannot.
    fn turn_to(&mut self, path: PathBuf) -> io::Result<Option<Next>> {
        let mut file = BufReader::new(File::open(&path)?);
        let line = line_at_most(&mut file, HEADING_BYTES_MAX)?;
        if line.last() != Some(&b'\n') && (line.len() as u64) < HEADING_BYTES_MAX {
            return Ok(Some(Next::Torn(line.len() as u64)));
        }
        (self.path, self.at_byte) = (path, 0);
        let (heading, last) = match heading_of(&line) {
            Ok(heading) => heading,
            Err(why) => return Ok(Some(self.damaged(&why))),
        };
        let expected = Heading {
            part: self.heading.part + 1,
            follows: self.last,
            ..self.heading.clone()
        };
        if heading != expected {
            return Ok(Some(self.damaged("it does not follow the part before")));
        }
        (self.file, self.heading, self.last) = (file, heading, last);
        self.parts += 1;
        self.at_byte = line.len() as u64;
        Ok(None)
    }

    fn damaged(&self, why: &str) -> Next {
        let (path, at_byte) = (self.path.display(), self.at_byte);
        Next::Damaged(format!("{path}: the line at byte {at_byte}: {why}"))
    }
}

fn line_at_most(file: &mut BufReader<File>, bytes: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    file.take(bytes).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn heading_of(line: &[u8]) -> Result<(Heading, u64), String> {
    let text = line
        .strip_suffix(b"\n")
        .ok_or("its first line has no end")?;
    match record_of(text, 0) {
        Ok((Record::Heading(heading), checksum)) => Ok((heading, checksum)),
        Ok(_) => Err("its first line is no heading".to_owned()),
        Err(why) => Err(format!("its first line: {why}")),
    }
}
