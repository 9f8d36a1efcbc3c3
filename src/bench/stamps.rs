//! Stamps that started programs leave in one file: "nanoseconds name", a line each.
//!
//! In: the file as it grows. Out: when each file's program began, first of all starts, and how
//! often it did. A half line is read when it is whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// The stamps of one target.
pub(super) struct Stamps {
    path: PathBuf,
    /// Bytes read already, whole lines only.
    read: u64,
    /// First start and number of starts of each name.
    starts: BTreeMap<String, (i64, u32)>,
}

impl Stamps {
    /// Of a file that may not be there yet.
    pub(super) fn of(path: PathBuf) -> Self {
        Self {
            path,
            read: 0,
            starts: BTreeMap::new(),
        }
    }

    /// Reads what has come since.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        self.take(&text);
        Ok(())
    }

    fn take(&mut self, text: &str) {
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        for line in text[..whole].lines() {
            let Some((at, name)) = line.split_once(' ') else {
                continue;
            };
            let Ok(at) = at.parse::<i64>() else { continue };
            let start = self.starts.entry(name.to_owned()).or_insert((at, 0));
            start.0 = start.0.min(at);
            start.1 += 1;
        }
    }

    /// When the program of a file began first, in nanoseconds of the monotonic clock.
    pub(super) fn first(&self, name: &str) -> Option<i64> {
        self.starts.get(name).map(|(at, _)| *at)
    }

    /// Names in the order of their first starts.
    pub(super) fn in_order(&self) -> Vec<String> {
        let mut starts: Vec<_> = self.starts.iter().collect();
        starts.sort_by_key(|(_, (at, _))| *at);
        starts.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// How often a program was started for a file.
    pub(super) fn count(&self, name: &str) -> u32 {
        self.starts.get(name).map_or(0, |(_, count)| *count)
    }

    /// For how many files a program was started.
    pub(super) fn files(&self) -> usize {
        self.starts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_count_and_the_first_start_wins() {
        let mut stamps = Stamps::of(PathBuf::from("none"));
        stamps.look().unwrap();
        stamps.take("20 a\n5 b\nnonsense\nx y\n7 a\n9 c");
        assert_eq!(stamps.first("a"), Some(7));
        assert_eq!(
            (stamps.count("a"), stamps.count("b"), stamps.count("c")),
            (2, 1, 0)
        );
        assert_eq!(stamps.files(), 2);
        assert_eq!(stamps.in_order(), ["b", "a"]);
        assert_eq!(stamps.read, "20 a\n5 b\nnonsense\nx y\n7 a\n".len() as u64);
    }
}
