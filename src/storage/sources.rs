//! Sources in their spools and their copies in two other folders, on a POSIX file system (P2).
//!
//! In: orders to copy, to read back, to remove. Out: what was read, or why not. A copy grows under
//! another name beside its place, is synced, takes its name without replacing anything, and its
//! folder is synced; what is read back comes from the storage as far as the kernel lets us ask for
//! that. Doing anything again after a crash half-way ends the same way. Nothing but a source that
//! is what it was when it was copied is ever removed from a spool, and no link is followed.

use crate::disk::hindrance_of;
use adler32::Adler32;
use model::ids::FileId;
use model::names::{FileName, ProfileName};
use model::source::{CopyOrder, CopyPlace, Found, SourceFailure, SourceTrouble, UnlinkOrder};
use model::time::Moment;
use model::units::Bytes;
use model::work::Location;
use ports::failpoint::{Point, pass};
use ports::storage::SourceKeeper;
use rustix::fs::{
    Advice, AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags, fadvise, open, openat2,
    renameat_with, unlinkat,
};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Read and written at once: large enough that system calls cost nothing beside the sum, small
/// enough that a stop is soon noticed.
const CHUNK_BYTES: usize = 1 << 20;

/// The sidecar's name that belongs to a file's, both relative to the spool folder.
pub type SidecarOf = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A spool folder and how its sidecars are named.
pub struct Spool {
    /// The folder.
    pub folder: PathBuf,
    /// Which sidecar goes with a file.
    pub sidecar_of: SidecarOf,
}

/// A folder of copies and the disk that it was on when the instance started.
struct CopyFolder {
    path: PathBuf,
    device: Option<u64>,
}

/// Spools and folders of copies.
pub struct PosixSources {
    spools: BTreeMap<ProfileName, Spool>,
    copies: [CopyFolder; 2],
}

type Stop<'s> = &'s dyn Fn() -> bool;

impl PosixSources {
    /// Spools by profile, and the two folders of copies.
    pub fn new(spools: BTreeMap<ProfileName, Spool>, copies: [PathBuf; 2]) -> Self {
        let folder = |path: PathBuf| CopyFolder {
            device: fs::metadata(&path).ok().map(|found| found.dev()),
            path,
        };
        Self {
            spools,
            copies: copies.map(folder),
        }
    }

    /// The folder of a place, if it is on the disk that it must be on: copies that went to the
    /// disk under an empty mount point would not be where everybody believes them to be.
    fn place(&self, place: CopyPlace) -> Result<&Path, SourceFailure> {
        let folder = match place {
            CopyPlace::First => &self.copies[0],
            CopyPlace::Second => &self.copies[1],
        };
        let shown = folder.path.display();
        let found = fs::metadata(&folder.path).map_err(|error| SourceFailure {
            trouble: SourceTrouble::Place,
            message: format!("{shown} cannot be reached: {error}; mount it again"),
        })?;
        if folder.device.is_some_and(|device| device != found.dev()) {
            return Err(SourceFailure {
                trouble: SourceTrouble::Place,
                message: format!(
                    "{shown} is not on the disk that it was on when the instance started; mount \
                     that again, or restart the instance if the change is meant"
                ),
            });
        }
        Ok(&folder.path)
    }

    fn spool(&self, profile: &ProfileName, name: &FileName) -> Result<&Spool, SourceFailure> {
        self.spools.get(profile).ok_or_else(|| SourceFailure {
            trouble: SourceTrouble::Unreachable,
            message: format!(
                "{name} came by the stream profile {profile}, which the configuration no longer \
                 has; add it again"
            ),
        })
    }

    /// Opens what a copy is made of.
    fn original(&self, order: &CopyOrder) -> Result<File, SourceFailure> {
        let name = order.name.as_str();
        match &order.from {
            Location::Copy { place, profile, .. } => {
                let folder = self.place(*place)?;
                open_in(folder, &below(profile, name), SourceTrouble::Place)
            }
            Location::Spool { .. } | Location::Storage { .. } => {
                let spool = self.spool(&order.profile, &order.name)?;
                open_in(&spool.folder, name, SourceTrouble::Unreachable)
            }
        }
    }

    fn try_copy(&self, order: &CopyOrder, stop: Stop<'_>) -> Option<Found> {
        let prepared = self.prepare(order);
        let (mut original, root, target) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Some(Err(failure)),
        };
        let half = half_of(&target, order.file);
        let copied = File::create(&half)
            .map_err(|error| on_place("making", &half, &error))
            .and_then(|mut copy| {
                pass(Point::SourceCopyBegun);
                let found = pour(
                    &mut original,
                    Some((&mut copy, &half)),
                    order.name.as_str(),
                    stop,
                )?;
                pass(Point::SourceCopyWhole);
                copy.sync_all()
                    .map_err(|error| on_place("syncing", &half, &error))?;
                pass(Point::SourceCopySynced);
                Ok(found)
            });
        let done = match copied {
            Ok(Some(found)) => put(&half, &target, root).map(|()| Some(found)),
            other => other,
        };
        if !matches!(done, Ok(Some(_))) {
            // A half copy holds room that may be just what is lacking.
            let _ = fs::remove_file(&half);
        }
        done.transpose()
    }

    /// The original, open; the folder of copies; and where the copy goes, its folders made.
    fn prepare(&self, order: &CopyOrder) -> Result<(File, &Path, PathBuf), SourceFailure> {
        let root = self.place(order.to)?;
        let original = self.original(order)?;
        let target = root.join(below(&order.profile, order.name.as_str()));
        make_parents(root, &target)?;
        Ok((original, root, target))
    }

    fn try_unlink(&self, order: &UnlinkOrder) -> Result<(), SourceFailure> {
        let spool = self.spool(&order.profile, &order.name)?;
        let name = order.name.as_str();
        let path = spool.folder.join(name);
        match open_in(&spool.folder, name, SourceTrouble::Unreachable) {
            Ok(file) => is_the_one(file, order)?,
            // Removed before a crash, or by somebody else; its sidecar may be left.
            Err(failure) if failure.trouble == SourceTrouble::Missing => {}
            Err(failure) => return Err(failure),
        }
        pass(Point::UnlinkSure);
        // The sidecar is the mark that makes a file one: without it, whatever a crash leaves is
        // nothing that a scan would take.
        if let Some(sidecar) = (spool.sidecar_of)(name) {
            remove(&spool.folder.join(sidecar))?;
            pass(Point::UnlinkSidecar);
        }
        remove(&path)?;
        pass(Point::UnlinkSource);
        let parent = path.parent().unwrap_or(&spool.folder);
        let synced = File::open(parent).and_then(|folder| folder.sync_all());
        synced.map_err(|error| on_source("syncing", parent, &error))?;
        pass(Point::UnlinkDurable);
        Ok(())
    }
}

impl SourceKeeper for PosixSources {
    fn copy(&self, order: &CopyOrder, stop: Stop<'_>) -> Option<Found> {
        self.try_copy(order, stop)
    }

    fn read_copy(
        &self,
        place: CopyPlace,
        profile: &ProfileName,
        name: &FileName,
        stop: Stop<'_>,
    ) -> Option<Found> {
        let opened = self.place(place).and_then(|folder| {
            let path = below(profile, name.as_str());
            open_in(folder, &path, SourceTrouble::Place)
        });
        let read = opened.and_then(|mut file| {
            // What we wrote may still be in memory: the disk is asked, not the memory.
            let _ = fadvise(&file, 0, None, Advice::DontNeed);
            pour(&mut file, None, name.as_str(), stop).map_err(|failure| SourceFailure {
                trouble: SourceTrouble::Place,
                ..failure
            })
        });
        read.transpose()
    }

    fn unlink(&self, order: &UnlinkOrder) -> Result<(), SourceFailure> {
        self.try_unlink(order)
    }
}

/// A copy's name below its folder.
fn below(profile: &ProfileName, name: &str) -> String {
    format!("{profile}/{name}")
}

/// Where a copy grows: beside its place, under a name that nothing else has.
fn half_of(target: &Path, file: FileId) -> PathBuf {
    target.with_file_name(format!(".half-{file}"))
}

/// Whether the file under a source's name is the one that was copied.
fn is_the_one(mut file: File, order: &UnlinkOrder) -> Result<(), SourceFailure> {
    let name = order.name.as_str();
    let found = file
        .metadata()
        .map_err(|error| on_source("looking at", Path::new(name), &error))?;
    let mtime = Moment(found.mtime() * 1_000_000_000 + found.mtime_nsec());
    if (Bytes(found.len()), mtime) == (order.bytes, order.mtime) {
        return Ok(());
    }
    // Sent again, perhaps: then its content tells.
    let read = pour(&mut file, None, name, &|| false)?;
    if read == Some((order.bytes, order.adler32)) {
        return Ok(());
    }
    Err(SourceFailure {
        trouble: SourceTrouble::Differs,
        message: format!(
            "{name} is not the file that was copied ({} bytes, adler32:{:08x}): somebody has \
             written another one under its name, and it stays; give that one a name of its own",
            order.bytes.0, order.adler32
        ),
    })
}

/// Opens a plain file below a folder without following any symbolic link (openat2(2)); `trouble`
/// says what it means when that cannot be done.
fn open_in(folder: &Path, name: &str, trouble: SourceTrouble) -> Result<File, SourceFailure> {
    let failed = |what: &str, error: Errno| SourceFailure {
        trouble,
        message: format!("{what} failed: {error}; check its permissions, its mount and the disk"),
    };
    let shown = || format!("opening {} in {}", name, folder.display());
    let directory = open(folder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| failed(&format!("opening {}", folder.display()), error))?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = match openat2(directory, name, flags, Mode::empty(), resolve) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => {
            return Err(SourceFailure {
                trouble: SourceTrouble::Missing,
                message: format!("{name} is not there"),
            });
        }
        Err(error) => return Err(failed(&shown(), error)),
    };
    match file.metadata() {
        Ok(found) if found.is_file() => Ok(file),
        _ => Err(failed(&shown(), Errno::INVAL)),
    }
}

/// Reads all of a file, and writes it where a copy is wanted; none if somebody stops it.
fn pour(
    from: &mut File,
    mut to: Option<(&mut File, &Path)>,
    name: &str,
    stop: Stop<'_>,
) -> Result<Option<(Bytes, u32)>, SourceFailure> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut bytes, mut adler32) = (0, Adler32::new());
    while !stop() {
        let read = match from.read(&mut chunk) {
            Ok(0) => return Ok(Some((Bytes(bytes), adler32.finish()))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(on_source("reading", Path::new(name), &error)),
        };
        adler32.write(&chunk[..read]);
        if let Some((copy, path)) = &mut to {
            let written = copy.write_all(&chunk[..read]);
            written.map_err(|error| on_place("writing", path, &error))?;
        }
        bytes += read as u64;
    }
    Ok(None)
}

/// Gives a whole, synced copy its name and makes that certain. What lies under the name is an older
/// try of ours: it was found to be bad, or nobody has heard of it.
fn put(half: &Path, target: &Path, root: &Path) -> Result<(), SourceFailure> {
    let rename = || renameat_with(CWD, half, CWD, target, RenameFlags::NOREPLACE);
    let renamed = match rename() {
        Err(Errno::EXIST) => {
            let removed = fs::remove_file(target);
            removed.map_err(|error| on_place("removing the old", target, &error))?;
            pass(Point::SourceCopyOldRemoved);
            rename()
        }
        other => other,
    };
    renamed.map_err(|error| on_place("renaming to", target, &error.into()))?;
    pass(Point::SourceCopyRenamed);
    let parent = target.parent().unwrap_or(root);
    sync_folder(parent)?;
    pass(Point::SourceCopyDurable);
    Ok(())
}

/// Makes the folders above a copy; each new entry is certain before anything goes into it.
fn make_parents(root: &Path, target: &Path) -> Result<(), SourceFailure> {
    let parent = target.parent().unwrap_or(root);
    if parent == root || parent.is_dir() {
        return Ok(());
    }
    make_parents(root, parent)?;
    match fs::create_dir(parent) {
        Ok(()) => pass(Point::SourceCopyFolderMade),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(on_place("making the folder", parent, &error)),
    }
    sync_folder(parent.parent().unwrap_or(root))
}

fn sync_folder(folder: &Path) -> Result<(), SourceFailure> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| on_place("syncing", folder, &error))
}

/// Removes a name of a spool; one that is gone is as it should be.
fn remove(path: &Path) -> Result<(), SourceFailure> {
    match unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(on_source("removing", path, &error.into())),
    }
}

fn on_place(what: &str, path: &Path, error: &io::Error) -> SourceFailure {
    let next = match hindrance_of(error) {
        Some(_) => "free some room there or make it writable",
        None => "check its permissions, its mount and the disk",
    };
    SourceFailure {
        trouble: SourceTrouble::Place,
        message: format!("{what} {} failed: {error}; {next}", path.display()),
    }
}

fn on_source(what: &str, path: &Path, error: &io::Error) -> SourceFailure {
    SourceFailure {
        trouble: SourceTrouble::Unreachable,
        message: format!(
            "{what} {} failed: {error}; check its permissions, its mount and the disk",
            path.display()
        ),
    }
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
