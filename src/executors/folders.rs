//! Folders of attempts: made ahead, taken by a rename, removed in the background, the last failed ones kept.
//!
//! In: tokens. Out: `work/<epoch>/<job>-<attempt>` with `job.json`, `stdout` and `stderr` in it, and
//! `work/failed/<epoch>-<job>-<attempt>` for people who ask why. Nothing here is ever needed for recovery.

use crate::ExecutorError;
use model::ids::{Epoch, Token};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// What is kept of a failed attempt.
const KEPT: [&str; 4] = ["job.json", "stdout", "stderr", "report.json"];

/// The folder of an attempt while it runs and until its outputs are in place.
pub fn attempt_folder(work_dir: &Path, token: Token) -> PathBuf {
    work_dir
        .join(token.epoch.to_string())
        .join(format!("{}-{}", token.job, token.attempt))
}

/// Where `job.json`, `stdout`, `stderr` and `report.json` of a failed attempt are kept, if it is among the last.
pub fn kept_folder(work_dir: &Path, token: Token) -> PathBuf {
    work_dir.join("failed").join(token.to_string())
}

enum Chore {
    Refill,
    Remove {
        folder: PathBuf,
        keep_as: Option<PathBuf>,
    },
    Flush(Sender<()>),
}

/// Removes what attempts leave behind, in the background. Cheap to clone.
#[derive(Clone)]
pub struct Cleaner {
    work_dir: PathBuf,
    chores: Sender<Chore>,
}

impl Cleaner {
    /// The attempt's folder is needed no more: its outputs are in place, or will never be. With `keep`, what people
    /// need to understand a failure stays for a while.
    pub fn forget(&self, token: Token, keep: bool) {
        let keep_as = keep.then(|| kept_folder(&self.work_dir, token));
        self.remove(attempt_folder(&self.work_dir, token), keep_as);
    }

    pub(crate) fn remove(&self, folder: PathBuf, keep_as: Option<PathBuf>) {
        // After the end of the executor nobody cleans; the next epoch removes all.
        let _ = self.chores.send(Chore::Remove { folder, keep_as });
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
    /// Makes the epoch's folder and the first folders in it, and starts the thread that does the rest.
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
        let ready = Arc::new(Ready {
            epoch_dir: epoch_dir.clone(),
            folders: Mutex::new((Vec::new(), 0)),
            wanted: stock.ahead,
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
        let cleaner = Cleaner {
            work_dir: work_dir.to_path_buf(),
            chores,
        };
        Ok(Self {
            work_dir: work_dir.to_path_buf(),
            epoch_dir,
            ready,
            cleaner,
        })
    }

    /// The folder of an attempt, under its own name, with its files in it.
    pub(crate) fn take(&self, token: Token) -> io::Result<PathBuf> {
        let folder = attempt_folder(&self.work_dir, token);
        let (made, left) = {
            let mut folders = self.ready.lock();
            (folders.0.pop(), folders.0.len())
        };
        if left == self.ready.wanted / 2 {
            let _ = self.cleaner.chores.send(Chore::Refill);
        }
        let made = match made {
            Some(made) => made,
            None => self.ready.make()?,
        };
        // A token's folder is new: its number was never used in this epoch.
        fs::rename(made, &folder)?;
        Ok(folder)
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
        for name in ["job.json", "stdout", "stderr"] {
            File::create(folder.join(name))?;
        }
        Ok(folder)
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
                let _ = fs::remove_dir_all(folder);
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
    Ok(())
}
