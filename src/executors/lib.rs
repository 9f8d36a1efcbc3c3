//! Local execution: programs run beside us, as a process for each attempt or in workers that stay.
//!
//! In: attempts from the engine's performers, through the port `Executor`. Out: news of starts and
//! ends, through the port's sink. A small copy of our own binary, the spawner, starts the programs,
//! so that neither our size nor our threads cost anything and our death ends everything it started
//! (D21). Nothing here decides whether an attempt is made again, and nothing an attempt writes is
//! believed before the storage has looked at it.
//!
//! Reading order is the order of the `mod` lines.

mod census;
mod folders;
mod job_file;
mod judge;
mod keeper;
mod launcher;
mod listing;
mod limits;
mod local;
mod report;
mod spawner;
mod room;
mod state;
mod warm;
mod wire;

pub use census::{EndedProcesses, end_older_epochs};
pub use folders::{Cleaner, attempt_folder, kept_folder};
pub use limits::LocalLimits;
pub use local::{LocalExecutor, LocalOptions};
pub use spawner::spawner_main;

use std::path::PathBuf;

/// Why local execution could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// A folder could not be made, listed or emptied.
    #[error("{what} {} failed: {source}; check that the folder's disk has room and belongs to this user",
            path.display())]
    Folder {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A path cannot stand in a job file.
    #[error("the path {} is not UTF-8 and cannot be written into job files; choose another folder",
            path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// The spawner could not be started.
    #[error("starting the spawner {} failed: {source}; check that this program's own file still exists",
            exe.display())]
    Spawner {
        /// Our own binary.
        exe: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Processes of an earlier life cannot be ended.
    #[error("{left} processes of an earlier epoch under {} do not end; end them by hand: {pids:?}",
            work_dir.display())]
    Survivors {
        /// Whose processes.
        work_dir: PathBuf,
        /// How many.
        left: usize,
        /// Which.
        pids: Vec<i32>,
    },
    /// A thread could not be started.
    #[error("starting the thread {name} failed: {source}; raise the limit of threads")]
    Thread {
        /// Which.
        name: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}
