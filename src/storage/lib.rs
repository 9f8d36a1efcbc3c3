//! Output commit: verify, sync, rename; checksums; copies of sources, and their removal.
//!
//! In: plans that name outputs in the folders of attempts. Out: the same files under names that are
//! never used again, surviving a power cut, with sizes and checksums that were measured and not
//! believed (D9). Nothing here makes a file visible: that is a row of the store.

mod checksum;
mod disk;
mod posix;
mod sources;

pub use checksum::{adler32_of, read_back};
pub use disk::PosixDisk;
pub use posix::{HALF, PosixStorage};
pub use sources::{PosixSources, SidecarOf, Spool};
