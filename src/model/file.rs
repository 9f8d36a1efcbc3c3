//! A file of the detector that was accepted: identity is (profile, name), everything else are
//! attributes (D10).

use crate::arrival::Arrival;
use crate::ids::FileId;
use serde::{Deserialize, Serialize};

/// The part of a run that everything belongs to until the run is reopened.
pub const FIRST_PART: u32 = 1;

/// For rows written before runs had parts.
pub(crate) fn first_part() -> u32 {
    FIRST_PART
}

/// An accepted file, or the accepted report of an empty one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Our identity for it.
    pub id: FileId,
    /// What was seen.
    pub arrival: Arrival,
    /// Whether it came after its run was closed: accepted and kept, and worked on only when the run
    /// is reopened.
    pub late: bool,
    /// The part of its run that it belongs to: the next one, for a late file.
    #[serde(default = "first_part")]
    pub part: u32,
}

impl File {
    /// Whether a second sighting under the same name shows the same content, as far as attributes
    /// can tell.
    ///
    /// A claimed checksum decides where both have one; otherwise size decides. Inode and mtime may
    /// differ: a copy that is sent again is still the same file.
    pub fn same_content(&self, other: &Arrival) -> bool {
        let mine = &self.arrival;
        mine.bytes == other.bytes
            && mine.counts == other.counts
            && mine.empty == other.empty
            && match (mine.checksum, other.checksum) {
                (Some(a), Some(b)) => a == b,
                (None, None) => mine.mtime == other.mtime || mine.inode == other.inode,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }
}
