//! The lock on the state folder: exactly one process writes a SQLite store (D8). In comes the
//! folder, out goes a guard; the lock ends with the process that holds it, however it ends. Readers
//! do not need it.

use ports::failpoint::{Point, pass};
use ports::store::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// Name of the file that is locked; it holds the holder's process number, for people.
const LOCK_NAME: &str = "tier0.lock";

/// The lock, held as long as this value lives.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(state_dir: &Path) -> Result<Self, StoreError> {
        pass(Point::LockWanted);
        let path = state_dir.join(LOCK_NAME);
        let tried = format!("lock {}", path.display());
        let other = |error: std::io::Error| StoreError::Other {
            tried: tried.clone(),
            detail: format!("{error}; check that the state folder exists and may be written"),
        };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(other)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(other(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The number is a courtesy: without it the message still says what to do.
                let _ = (&mut file).take(32).read_to_string(&mut holder);
                let detail = format!(
                    "process {} works with this state folder and only one may; ask that one \
                     (its socket is in the folder), or stop it first",
                    holder.trim()
                );
                return Err(StoreError::Held { tried, detail });
            }
        }
        pass(Point::LockTaken);
        file.set_len(0).map_err(other)?;
        writeln!(file, "{}", std::process::id()).map_err(other)?;
        pass(Point::LockNamed);
        Ok(Self { _file: file })
    }
}
