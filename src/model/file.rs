//! A file of the detector that was accepted: identity is (profile, name), everything else are
//! attributes (D10).

use crate::arrival::{Arrival, Checksum};
use crate::ids::FileId;
use crate::units::Bytes;
use serde::{Deserialize, Serialize};

/// The part of a run that everything belongs to until the run is reopened.
pub const FIRST_PART: u32 = 1;

/// For rows written before runs had parts.
pub(crate) fn first_part() -> u32 {
    FIRST_PART
}

/// What is known of a file's content (D10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Nobody said what it must be.
    #[default]
    Unclaimed,
    /// Its sender claims a checksum, and nobody has looked.
    Claimed,
    /// It was read, and is what was claimed.
    Verified,
    /// It was read, and is something else.
    Differs {
        /// Its size as read.
        bytes: Bytes,
        /// Its checksum as read.
        adler32: u32,
    },
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
    /// What is known of its content.
    #[serde(default)]
    pub content: Content,
}

impl Content {
    /// What is known of what was just seen.
    pub fn of(arrival: &Arrival) -> Self {
        if arrival.checksum.is_some() && !arrival.empty {
            Self::Claimed
        } else {
            Self::Unclaimed
        }
    }
}

impl File {
    /// Whether what was read of it is what its sender claims.
    pub fn is_as_claimed(&self, bytes: Bytes, adler32: u32) -> bool {
        let claimed = self.arrival.checksum;
        let same = claimed.is_none_or(|claimed| claimed == Checksum::Adler32(adler32));
        same && bytes == self.arrival.bytes
    }

    /// Whether a second sighting of what was not as claimed is another try of its sender: the same
    /// claim for a file that was written anew.
    pub fn is_mended_by(&self, other: &Arrival) -> bool {
        let mine = &self.arrival;
        let differs = matches!(self.content, Content::Differs { .. });
        differs && (mine.mtime != other.mtime || mine.inode != other.inode)
    }

    /// Whether a second sighting under the same name shows the same content, as far as attributes
    /// can tell.
    ///
    /// A claimed checksum decides where both have one; otherwise size decides. Inode and mtime may
    /// differ: a copy that is sent again is still the same file. A report of an empty file is its
    /// counts, and has nothing else that could differ.
    pub fn same_content(&self, other: &Arrival) -> bool {
        let mine = &self.arrival;
        let same_bytes = || match (mine.checksum, other.checksum) {
            (Some(a), Some(b)) => a == b,
            (None, None) => mine.mtime == other.mtime || mine.inode == other.inode,
            (Some(_), None) | (None, Some(_)) => false,
        };
        mine.bytes == other.bytes
            && mine.counts == other.counts
            && mine.empty == other.empty
            && (mine.empty || same_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::Counts;
    use crate::ids::{LumiNumber, RunNumber};
    use crate::names::{DataLabel, FileName, ProfileName, StreamName};
    use crate::time::Moment;

    #[test]
    fn what_is_sent_again_is_the_same_file() {
        let arrival = |empty: bool, checksum: Option<u32>, inode: u32| Arrival {
            profile: ProfileName::new("daq"),
            name: FileName::new("f"),
            run: RunNumber(1),
            lumi: LumiNumber(1),
            stream: StreamName::new("Muons"),
            label: DataLabel::Real,
            bytes: Bytes(if empty { 0 } else { 9 }),
            inode: inode.into(),
            mtime: Moment(inode.into()),
            counts: Some(Counts {
                processed: 5,
                accepted: 0,
                errors: 0,
            }),
            checksum: checksum.map(Checksum::Adler32),
            empty,
            seen_at: Moment(0),
        };
        let check = |first: Arrival, again: &Arrival, expect: bool| {
            let file = File {
                id: FileId(1),
                content: Content::of(&first),
                arrival: first,
                late: false,
                part: FIRST_PART,
            };
            assert_eq!(file.same_content(again), expect, "{file:?} {again:?}");
        };
        let file = arrival(false, Some(7), 1);
        check(file.clone(), &arrival(false, Some(7), 2), true);
        check(file.clone(), &arrival(false, Some(8), 1), false);
        check(file.clone(), &arrival(false, None, 1), false);
        check(arrival(false, None, 1), &arrival(false, None, 1), true);
        // Nobody says whether another file of the same size is the same.
        check(arrival(false, None, 1), &arrival(false, None, 2), false);
        let report = arrival(true, None, 1);
        check(report.clone(), &arrival(true, None, 2), true);
        let mut other = arrival(true, None, 2);
        other.counts = None;
        check(report.clone(), &other, false);
        check(report, &file, false);
    }
}
