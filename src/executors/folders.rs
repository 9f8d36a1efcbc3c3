//! Folders of attempts: made ahead, taken by a rename, used again in the background, the last
//! failed ones kept.
//!
//! A folder that is as it was made is used again, because making files is dear where files were
//! just removed: ext4 passes over every inode that was freed in the last minute
//! (`recently_deleted`, fs/ext4/ialloc.c), one by one, which is soon a millisecond of processor
//! time a file.
//!
//! In: tokens. Out: `work/<epoch>/ahead-<n>` with `job.json`, `stdout` and `stderr` in it for an
//! attempt that runs, `work/<epoch>/<job>-<attempt>` for one whose outputs wait to be put in place,
//! and `work/failed/<epoch>-<job>-<attempt>` for people who ask why. Nothing here is ever needed
//! for recovery.

use crate::ExecutorError;
use model::ids::{Epoch, Token};
use ports::failpoint::{Point, pass};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Files that a folder is made with.
const FILES: [&str; 3] = ["job.json", "stdout", "stderr"];
/// What a program may add without spoiling the folder for the next.
const REPORT: &str = "report.json";
/// Used folders that are kept ready, where fewer are wanted ahead: what a burst left serves the
/// next one.
const USED_MAX: usize = 256;
/// What is kept of a failed attempt.
const KEPT: [&str; 4] = ["job.json", "stdout", "stderr", "report.json"];

/// The folder of an attempt that has ended, until its outputs are in place.
pub fn attempt_folder(work_dir: &Path, token: Token) -> PathBuf {
    work_dir
        .join(token.epoch.to_string())
        .join(format!("{}-{}", token.job, token.attempt))
}

/// Where `job.json`, `stdout`, `stderr` and `report.json` of a failed attempt are kept, if it is
/// among the last.
pub fn kept_folder(work_dir: &Path, token: Token) -> PathBuf {
    work_dir.join("failed").join(token.to_string())
}

enum Chore {
    Refill,
    Remove {
        folder: PathBuf,
        keep_as: Option<PathBuf>,
    },
    UseAgain(PathBuf),
    Flush(Sender<()>),
}

/// Removes what attempts leave behind, in the background. Cheap to clone.
#[derive(Clone)]
pub struct Cleaner {
    chores: Sender<Chore>,
}

impl Cleaner {
    /// The folder is needed no more: its outputs are in place, or will never be. With `keep_as`,
    /// what people need to understand a failure stays there for a while.
    pub(crate) fn remove(&self, folder: PathBuf, keep_as: Option<PathBuf>) {
        // After the end of the executor nobody cleans; the next epoch removes all.
        let _ = self.chores.send(Chore::Remove { folder, keep_as });
    }

    /// The same for a folder whose attempt went well and left no process behind: another may have
    /// it.
    pub(crate) fn use_again(&self, folder: PathBuf) {
        let _ = self.chores.send(Chore::UseAgain(folder));
    }

    /// Waits until everything asked for so far is done.
    pub fn flush(&self) {
        let (sender, receiver) = channel();
        let _ = self.chores.send(Chore::Flush(sender));
        let _ = receiver.recv();
    }
}

/// Folders made ahead.
pub(crate) struct Folders {
    work_dir: PathBuf,
    epoch_dir: PathBuf,
    ready: Arc<Ready>,
    cleaner: Cleaner,
}

struct Ready {
    epoch_dir: PathBuf,
    folders: Mutex<(Vec<PathBuf>, u64)>,
    wanted: usize,
    /// Rights of files as we make them; known once one was made.
    file_mode: OnceLock<u32>,
}

/// How many of each are kept.
pub(crate) struct Stock {
    /// Folders made ahead.
    pub(crate) ahead: usize,
    /// Failed attempts.
    pub(crate) failed: usize,
    /// Bytes of a capture file.
    pub(crate) capture_bytes_max: u64,
}

impl Folders {
    /// Makes the epoch's folder and the first folders in it, and starts the thread that does the
    /// rest.
    pub(crate) fn open(work_dir: &Path, epoch: Epoch, stock: Stock) -> Result<Self, ExecutorError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| ExecutorError::Folder {
                what: "making the folder",
                path,
                source,
            }
        };
        let epoch_dir = work_dir.join(epoch.to_string());
        let failed_dir = work_dir.join("failed");
        for folder in [&epoch_dir, &failed_dir] {
            fs::create_dir_all(folder).map_err(failed(folder))?;
        }
        pass(Point::EpochFolderMade);
        let ready = Arc::new(Ready {
            epoch_dir: epoch_dir.clone(),
            folders: Mutex::new((Vec::new(), 0)),
            wanted: stock.ahead,
            file_mode: OnceLock::new(),
        });
        ready.refill().map_err(failed(&epoch_dir))?;
        let (chores, todo) = channel();
        let keeper = Arc::clone(&ready);
        std::thread::Builder::new()
            .name("tier0-folders".into())
            .spawn(move || work(&todo, &keeper, &failed_dir, &stock))
            .map_err(|source| ExecutorError::Thread {
                name: "tier0-folders",
                source,
            })?;
        let cleaner = Cleaner { chores };
        Ok(Self {
            work_dir: work_dir.to_path_buf(),
            epoch_dir,
            ready,
            cleaner,
        })
    }

    /// A folder for an attempt, with its files in it. It has no name of its own yet: giving it one
    /// is not worth the time of whoever waits for the start.
    pub(crate) fn take(&self) -> io::Result<PathBuf> {
        let (made, left) = {
            let mut folders = self.ready.lock();
            (folders.0.pop(), folders.0.len())
        };
        if left == self.ready.wanted / 2 {
            let _ = self.cleaner.chores.send(Chore::Refill);
        }
        match made {
            Some(made) => Ok(made),
            None => self.ready.make(),
        }
    }

    /// Gives a folder the name of its attempt, where the storage of outputs looks for it.
    pub(crate) fn name(&self, folder: &Path, token: Token) -> io::Result<PathBuf> {
        let named = attempt_folder(&self.work_dir, token);
        // A token's folder is new: its number was never used in this epoch.
        fs::rename(folder, &named)?;
        Ok(named)
    }

    /// A folder of another name, for a worker.
    pub(crate) fn named(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.epoch_dir.join(name);
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    pub(crate) fn cleaner(&self) -> &Cleaner {
        &self.cleaner
    }
}

impl Ready {
    fn lock(&self) -> std::sync::MutexGuard<'_, (Vec<PathBuf>, u64)> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self) -> io::Result<PathBuf> {
        let number = {
            let mut folders = self.lock();
            folders.1 += 1;
            folders.1
        };
        let folder = self.epoch_dir.join(format!("ahead-{number}"));
        fs::create_dir(&folder)?;
        pass(Point::FolderMade);
        for name in FILES {
            let file = File::create(folder.join(name))?;
            if self.file_mode.get().is_none() {
                self.file_mode
                    .get_or_init(|| file.metadata().map_or(0, |found| found.mode()));
            }
        }
        pass(Point::FolderFurnished);
        Ok(folder)
    }

    /// Makes a folder of an attempt that went well ready for another, if it is as it was made but
    /// for what stands in its files: nothing of one attempt may reach the next. Tells whether it
    /// is.
    fn use_again(&self, folder: &Path) -> io::Result<bool> {
        let number = {
            let mut folders = self.lock();
            if folders.0.len() >= self.wanted.max(USED_MAX) {
                return Ok(false);
            }
            folders.1 += 1;
            folders.1
        };
        let own = fs::symlink_metadata(folder)?;
        let parent = fs::symlink_metadata(&self.epoch_dir)?;
        if !own.is_dir() || own.mode() != parent.mode() || own.uid() != parent.uid() {
            return Ok(false);
        }
        let mut found = 0;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let file = entry.metadata()?;
            let name = entry.file_name();
            let ours = FILES.iter().any(|ours| name == *ours);
            // A second name elsewhere, or other rights, would outlive the attempt.
            if !file.is_file() || file.nlink() != 1 || !(ours || name == REPORT) {
                return Ok(false);
            }
            if !ours {
                fs::remove_file(entry.path())?;
                continue;
            }
            if Some(&file.mode()) != self.file_mode.get() || file.uid() != own.uid() {
                return Ok(false);
            }
            // A job file is overwritten; a capture file is appended to.
            if name != FILES[0] && file.len() > 0 {
                File::options().write(true).open(entry.path())?.set_len(0)?;
            }
            found += 1;
        }
        if found != FILES.len() {
            return Ok(false);
        }
        let ready = self.epoch_dir.join(format!("ahead-{number}"));
        fs::rename(folder, &ready)?;
        pass(Point::FolderReused);
        self.lock().0.push(ready);
        Ok(true)
    }

    fn refill(&self) -> io::Result<()> {
        while self.lock().0.len() < self.wanted {
            let folder = self.make()?;
            self.lock().0.push(folder);
        }
        Ok(())
    }
}

fn work(todo: &Receiver<Chore>, ready: &Ready, failed_dir: &Path, stock: &Stock) {
    let mut kept = kept_before(failed_dir);
    for chore in todo {
        match chore {
            // A full disk shows where it hurts: when a folder is taken.
            Chore::Refill => drop(ready.refill()),
            Chore::Remove { folder, keep_as } => {
                if let Some(place) = keep_as
                    && keep(&folder, &place, stock.capture_bytes_max).is_ok()
                {
                    kept.push_back(place);
                }
                while kept.len() > stock.failed {
                    if let Some(oldest) = kept.pop_front() {
                        let _ = fs::remove_dir_all(oldest);
                    }
                }
                pass(Point::FolderRemoving);
                let _ = fs::remove_dir_all(folder);
            }
            // It is, or it is removed as it stands.
            Chore::UseAgain(folder) => {
                if !ready.use_again(&folder).unwrap_or(false) {
                    let _ = fs::remove_dir_all(folder);
                }
            }
            Chore::Flush(done) => drop(done.send(())),
        }
    }
}

/// Kept folders of earlier lives, oldest first.
fn kept_before(failed_dir: &Path) -> VecDeque<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(failed_dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

fn keep(folder: &Path, place: &Path, capture_bytes_max: u64) -> io::Result<()> {
    pass(Point::KeepWanted);
    fs::create_dir(place)?;
    for name in KEPT {
        let path = folder.join(name);
        // Regular files only: a program may have put anything there.
        let Ok(found) = fs::symlink_metadata(&path) else {
            continue;
        };
        if !found.is_file() {
            continue;
        }
        if found.len() > capture_bytes_max {
            File::options()
                .write(true)
                .open(&path)?
                .set_len(capture_bytes_max)?;
        }
        fs::rename(&path, place.join(name))?;
    }
    pass(Point::Kept);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::{AttemptNumber, JobId};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_what_is_as_it_was_made_is_used_again() {
        let work = tempfile::tempdir().unwrap();
        let stock = Stock {
            ahead: 1,
            failed: 0,
            capture_bytes_max: 1_000,
        };
        let folders = Folders::open(work.path(), Epoch(3), stock).unwrap();
        let mut job = 0;
        let mut check = |what: &str, spoil: &dyn Fn(&Path), again: bool| {
            job += 1;
            let token = Token {
                epoch: Epoch(3),
                job: JobId(job),
                attempt: AttemptNumber::FIRST,
            };
            let mut folder = folders.take().unwrap();
            if job % 2 == 0 {
                folder = folders.name(&folder, token).unwrap();
            }
            let inode = fs::metadata(&folder).unwrap().ino();
            spoil(&folder);
            folders.cleaner().use_again(folder.clone());
            folders.cleaner().flush();
            assert!(
                job % 2 == 1 || !folder.exists(),
                "{what}: it is gone under its own name"
            );
            let ready = folders.ready.lock().0.clone();
            let found = ready
                .iter()
                .any(|path| fs::metadata(path).unwrap().ino() == inode);
            assert_eq!(found, again, "{what}");
            for path in ready {
                let stdout = fs::metadata(path.join("stdout")).unwrap();
                assert_eq!((stdout.len(), stdout.nlink()), (0, 1), "{what}");
                assert_eq!(fs::read_dir(&path).unwrap().count(), FILES.len(), "{what}");
            }
        };
        check("untouched", &|_| {}, true);
        check(
            "it spoke and reported",
            &|folder| {
                fs::write(folder.join("stdout"), "words").unwrap();
                fs::write(folder.join(REPORT), "{}").unwrap();
            },
            true,
        );
        check(
            "a file more",
            &|folder| fs::write(folder.join("x"), "").unwrap(),
            false,
        );
        check(
            "a file less",
            &|folder| fs::remove_file(folder.join("stderr")).unwrap(),
            false,
        );
        let elsewhere = work.path().join("elsewhere");
        check(
            "a second name",
            &|folder| fs::hard_link(folder.join("stdout"), &elsewhere).unwrap(),
            false,
        );
        check(
            "a link",
            &|folder| {
                fs::remove_file(folder.join("stdout")).unwrap();
                symlink("/dev/null", folder.join("stdout")).unwrap();
            },
            false,
        );
        for (what, name) in [("a file's rights", "stdout"), ("the folder's rights", "")] {
            let rights = |folder: &Path| {
                let rights = fs::Permissions::from_mode(0o770);
                fs::set_permissions(folder.join(name), rights).unwrap();
            };
            check(what, &rights, false);
        }
        check("still fine", &|_| {}, true);
    }
}
