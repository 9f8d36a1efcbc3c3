//! `tier0 bench`: a real instance against its raw limit, in one run, interleaved.
//!
//! In: how many files, how fast, or how many on record. Out: figures of ours and of the raw limits,
//! and their ratios: a ratio holds on any machine, a time only on the one it was taken on. What is
//! measured is what others see: a file is renamed, a program stamps the moment at which its own
//! main begins, an instance says READY. Must never print what it did not measure, nor leave a
//! process behind.

mod arrival;
mod catalogue;
mod crash;
mod figures;
mod machine;
mod recover;
mod rooms;
mod stamps;
mod targets;

pub use arrival::{ArrivalOptions, arrival};
pub use figures::Summary;
pub use recover::{RecoverOptions, Recovery, recover};

use std::path::PathBuf;

/// Why a bench gave no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file or folder of the bench.
    #[error("{tried} {path}: {source}; free space or name another folder with --dir")]
    File {
        /// What was tried.
        tried: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no compiler for the raw limits.
    #[error(
        "compiling the raw limit with `cc -O2`: {0}; install a C compiler (Debian: apt-get install \
         gcc libc6-dev), the bench has nothing to compare with otherwise"
    )]
    Compiler(String),
    /// A program of the bench did not start or did not stay.
    #[error("starting {what}: {detail}; its folder is kept: {folder}")]
    Start {
        /// Which.
        what: String,
        /// What it said.
        detail: String,
        /// Where to look.
        folder: PathBuf,
    },
    /// Programs were not started for all files.
    #[error(
        "{what}: {stamped} of {files} files led to a stamp within {waited_s} s; a program given \
         with --program must stamp as benches/raw/stamp.c does"
    )]
    Silent {
        /// Whose files.
        what: &'static str,
        /// How many were stamped.
        stamped: usize,
        /// How many there were.
        files: usize,
        /// How long nothing came.
        waited_s: u64,
    },
    /// The configuration of the bench, which is not the caller's.
    #[error("the bench's own configuration is refused: {0}; this is a bug of tier0")]
    Configuration(String),
    /// The instance's database.
    #[error(transparent)]
    Store(#[from] ports::store::StoreError),
}

/// Says what was tried on which path.
fn on(tried: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> BenchError {
    let path = path.into();
    move |source| BenchError::File {
        tried,
        path,
        source,
    }
}
