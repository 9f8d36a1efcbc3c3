//! How much room a disk has, asked of the kernel, and a file that keeps some of it back.
//!
//! In: a folder. Out: whether a file can be written there, in words if not. The numbers of statvfs
//! know nothing of quotas and little of mounts, so a look also writes a small file and removes it.

use model::trouble::Hindrance;
use model::units::Bytes;
use ports::disk::{Disk, Hindered};
use rustix::fs::{FallocateFlags, StatVfs, StatVfsMountFlags, fallocate, statvfs};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The small file that is written to see whether that is possible.
const PROBE: &str = ".probe";
/// Room that must be free before work goes on: enough for a commit with its write-ahead file, and
/// for the captures of some attempts...
const ROOM_WANTED_MAX: u64 = 64 << 20;
/// ... or this part of a small disk.
const ROOM_WANTED_PART: u64 = 16;
/// Below this part of the wanted room somebody should look.
const LOW_PART: u64 = 4;
/// New files that must be possible, where a file system bounds their number: a few folders of
/// attempts.
const FILES_WANTED: u64 = 64;
/// What a look writes: one block of most file systems.
const PROBE_BYTES: usize = 4_096;

/// A disk on a POSIX file system.
#[derive(Debug)]
pub struct PosixDisk {
    folder: PathBuf,
    reserve: Option<PathBuf>,
}

impl PosixDisk {
    /// The disk below a folder.
    pub fn below(folder: &Path) -> Self {
        // What a process that was killed in the middle of a look has left.
        let _ = fs::remove_file(folder.join(PROBE));
        Self {
            folder: folder.to_path_buf(),
            reserve: None,
        }
    }

    /// The same, with some room kept back in the file `reserve` of that folder.
    pub fn with_reserve(folder: &Path) -> Self {
        Self {
            reserve: Some(folder.join("reserve")),
            ..Self::below(folder)
        }
    }

    fn numbers(&self) -> Option<StatVfs> {
        // Who cannot ask cannot write either, and the look's own file says why.
        statvfs(&self.folder).ok()
    }

    /// Under one name, so that what a killed process leaves is found.
    fn probe(&self) -> io::Result<()> {
        let path = self.folder.join(PROBE);
        let written = File::create(&path).and_then(|mut file| file.write_all(&[0; PROBE_BYTES]));
        // One that could not be made is not there.
        let _ = fs::remove_file(&path);
        written
    }
}

fn free(numbers: &StatVfs) -> u64 {
    numbers.f_bavail.saturating_mul(numbers.f_frsize)
}

fn wanted(numbers: &StatVfs) -> u64 {
    (size(numbers) / ROOM_WANTED_PART).min(ROOM_WANTED_MAX)
}

fn size(numbers: &StatVfs) -> u64 {
    numbers.f_blocks.saturating_mul(numbers.f_frsize)
}

fn full(short: String) -> Hindered {
    let hindrance = Hindrance::Full;
    Hindered { hindrance, short }
}

fn shortage(numbers: &StatVfs, wanted: u64) -> Option<Hindered> {
    if numbers.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Some(Hindered {
            hindrance: Hindrance::ReadOnly,
            short: "it is mounted read-only".to_owned(),
        });
    }
    let free = free(numbers);
    if free < wanted {
        let (free, size, wanted) = (Bytes(free), Bytes(size(numbers)), Bytes(wanted));
        let short = format!("{free} of {size} are free, {wanted} are wanted");
        return Some(full(short));
    }
    let files = numbers.f_favail;
    (numbers.f_files > 0 && files < FILES_WANTED).then(|| {
        full(format!(
            "only {files} more files can be made on it, {FILES_WANTED} are wanted"
        ))
    })
}

/// What hinders, if the error is one that waiting may mend.
pub(crate) fn hindrance_of(error: &io::Error) -> Option<Hindrance> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Hindrance::Full),
        io::ErrorKind::ReadOnlyFilesystem => Some(Hindrance::ReadOnly),
        _ => None,
    }
}

impl Disk for PosixDisk {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn look(&self) -> Result<(), Hindered> {
        if let Some(numbers) = self.numbers() {
            let wanted = wanted(&numbers);
            // What is to be kept back again comes on top.
            let released = self.reserve.as_ref().is_some_and(|path| !path.exists());
            let wanted = if released { 2 * wanted } else { wanted };
            if let Some(hindered) = shortage(&numbers, wanted) {
                return Err(hindered);
            }
        }
        let Err(error) = self.probe() else {
            return Ok(());
        };
        match hindrance_of(&error) {
            Some(hindrance) => Err(Hindered {
                hindrance,
                short: format!("writing a small file there says: {error}"),
            }),
            None => Ok(()),
        }
    }

    fn is_low(&self) -> bool {
        self.numbers().is_some_and(|numbers| {
            free(&numbers) < wanted(&numbers) / LOW_PART
                || (numbers.f_files > 0 && numbers.f_favail < FILES_WANTED / LOW_PART)
        })
    }

    fn room_wanted(&self) -> u64 {
        self.numbers().as_ref().map_or(ROOM_WANTED_MAX, wanted)
    }

    fn size(&self) -> u64 {
        self.numbers().as_ref().map_or(u64::MAX, size)
    }

    fn take_reserve(&self) -> bool {
        let Some(path) = &self.reserve else {
            return true;
        };
        let wanted = self.room_wanted();
        let take = || -> io::Result<()> {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            if file.metadata()?.len() < wanted {
                fallocate(&file, FallocateFlags::empty(), 0, wanted)?;
            }
            Ok(())
        };
        match take() {
            Ok(()) => true,
            // A file system that cannot set room aside is used without.
            Err(error) => error.kind() == io::ErrorKind::Unsupported,
        }
    }

    fn release_reserve(&self) {
        if let Some(path) = &self.reserve {
            // One that is gone has been released.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_with_room_keeps_some_back_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let disk = PosixDisk::with_reserve(folder.path());
        assert_eq!(disk.look(), Ok(()));
        assert!(disk.take_reserve() && disk.take_reserve());
        let kept = fs::metadata(folder.path().join("reserve")).unwrap().len();
        assert_eq!(kept, disk.room_wanted());
        disk.release_reserve();
        disk.release_reserve();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_what_waiting_mends_is_a_hindrance() {
        let check = |errno, expect| {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(hindrance_of(&error), expect, "{error}");
        };
        check(28, Some(Hindrance::Full));
        check(122, Some(Hindrance::Full));
        check(30, Some(Hindrance::ReadOnly));
        check(5, None);
        check(13, None);
    }
}
