//! Which name was being read when the process ended without notice: a name that ends it again and
//! again is passed over from the third time on, or nothing behind it would ever be taken (F65).
//!
//! In: the name of each record before it is read, and that it was. Out: whether to leave it alone.
//! The note is in a file of the instance's state before the reading begins. It is not synced: it
//! must outlive the process, not the power. A name that is read well, or that has changed, is
//! forgotten. What cannot be noted is read all the same.

use crate::disk::Stamp;
use model::names::ProfileName;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Ends of the process at one name after which it is passed over: an innocent one was being read
/// when somebody killed the process, but hardly three times.
const CRASHES_MAX: u32 = 3;

/// What a record was when it was read.
type Mark = (i64, u64);

/// The memory of one profile's watcher.
#[derive(Debug, Default)]
pub(crate) struct Crashes {
    /// Holds the name that is being read just now.
    reading: Option<File>,
    /// Where the counts are kept.
    path: PathBuf,
    /// How often the process has ended at a name, and as what it was read.
    counts: BTreeMap<String, (u32, Mark)>,
}

fn mark_of(stamp: Stamp) -> Mark {
    (stamp.mtime.0, stamp.bytes)
}

/// `COUNT MTIME BYTES NAME`, or `MTIME BYTES NAME`.
fn parse<const N: usize>(line: &str) -> Option<([i64; N], &str)> {
    let mut parts = line.splitn(N + 1, ' ');
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = parts.next()?.parse().ok()?;
    }
    Some((numbers, parts.next()?))
}

impl Crashes {
    /// Reads what is remembered in a folder, and counts the name at which the process ended last.
    pub(crate) fn open(folder: &Path, profile: &ProfileName) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{profile}.crashes"));
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let counts = kept.lines().filter_map(|line| {
            let ([count, mtime, bytes], name) = parse(line)?;
            let (count, bytes) = (u32::try_from(count).ok()?, u64::try_from(bytes).ok()?);
            Some((name.to_owned(), (count, (mtime, bytes))))
        });
        let counts: BTreeMap<_, _> = counts.collect();
        let slot = folder.join(format!("{profile}.reading"));
        let last = fs::read_to_string(&slot).unwrap_or_default();
        let mut options = OpenOptions::new();
        let reading = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(slot)?;
        let mut crashes = Self {
            reading: Some(reading),
            path,
            counts,
        };
        if let Some(([mtime, bytes], name)) = last.lines().next().and_then(parse) {
            let mark = (mtime, u64::try_from(bytes).unwrap_or(0));
            let known = crashes.counts.get(name).filter(|(_, known)| *known == mark);
            let count = known.map_or(1, |(count, _)| count.saturating_add(1));
            crashes.counts.insert(name.to_owned(), (count, mark));
            crashes.keep()?;
            crashes.clear();
        }
        Ok(crashes)
    }

    /// Whether a name has ended the process so often that it is left alone.
    pub(crate) fn gives_up(&self, name: &str, stamp: Stamp) -> bool {
        let known = self.counts.get(name);
        known.is_some_and(|(count, mark)| *count >= CRASHES_MAX && *mark == mark_of(stamp))
    }

    /// A name is about to be read.
    pub(crate) fn begin(&self, name: &str, stamp: Stamp) {
        if let Some(reading) = &self.reading {
            let (mtime, bytes) = mark_of(stamp);
            let line = format!("{mtime} {bytes} {name}\n");
            let _ = reading.write_all_at(line.as_bytes(), 0);
        }
    }

    /// It was read, and the process is still there.
    pub(crate) fn end(&mut self, name: &str) {
        self.clear();
        if !self.counts.is_empty() && self.counts.remove(name).is_some() {
            let _ = self.keep();
        }
    }

    fn clear(&self) {
        if let Some(reading) = &self.reading {
            let _ = reading.write_all_at(b"\n", 0);
        }
    }

    fn keep(&self) -> io::Result<()> {
        let lines = self.counts.iter();
        let lines = lines
            .map(|(name, (count, (mtime, bytes)))| format!("{count} {mtime} {bytes} {name}\n"));
        let half = self.path.with_extension("crashes.half");
        fs::write(&half, lines.collect::<String>())?;
        fs::rename(half, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::Moment;

    fn stamp(mtime: i64) -> Stamp {
        Stamp {
            inode: 1,
            bytes: 7,
            mtime: Moment(mtime),
        }
    }

    #[test]
    fn a_name_is_given_up_after_three_ends_until_it_changes_or_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Crashes::open(folder.path(), &ProfileName::new("daq")).unwrap();
        let name = "run 7/a b.jsn";
        for ends in 0..3 {
            let mut crashes = open();
            assert!(!crashes.gives_up(name, stamp(5)), "after {ends}");
            // Others were read well before it.
            crashes.begin("a longer name than the other.jsn", stamp(1));
            crashes.end("a longer name than the other.jsn");
            crashes.begin(name, stamp(5));
        }
        let crashes = open();
        assert!(crashes.gives_up(name, stamp(5)));
        assert!(!crashes.gives_up(name, stamp(6)), "it has changed");
        assert!(!crashes.gives_up("other.jsn", stamp(5)));
        // An ordinary end counts nothing.
        drop(crashes);
        let mut crashes = open();
        assert!(crashes.gives_up(name, stamp(5)));
        crashes.begin(name, stamp(6));
        crashes.end(name);
        assert!(!open().gives_up(name, stamp(5)), "it was read well");
    }
}
