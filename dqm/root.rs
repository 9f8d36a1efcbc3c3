//! Monitor elements as ROOT has them: files and JSON, without ROOT.
//!
//! In come elements by path, out come the bytes of a file that ROOT, uproot and JSROOT open, or the
//! text that ROOT's `TBufferJSON` would give. The classes are TH1D 3 on TH1 8, TH2D 4 on TH2 5,
//! TProfile 7 and TObjString 1, as ROOT 6.40 writes them. Pure functions: the same elements give
//! the same bytes. How an object looks is said once, in `objects`, for both forms.

mod bytes;
mod file;
mod infos;
mod json;
mod members;
mod objects;

pub use file::file;
pub use json::json;

/// Elements that cannot become a ROOT file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// A path that is no place in a file.
    #[error(
        "writing a ROOT file: the path {path:?} {why}; write Subsystem/folder/name with parts that \
         are not empty and have no ';'"
    )]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More than a file with 32 bit offsets holds.
    #[error("writing a ROOT file: {bytes} bytes, at most 2,000,000,000 fit; write fewer elements")]
    TooLarge {
        /// What it would have.
        bytes: usize,
    },
}

#[cfg(test)]
#[path = "root/root_tests.rs"]
mod tests;
