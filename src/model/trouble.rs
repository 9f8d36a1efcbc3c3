//! Troubles of an instance's own surroundings: a full disk, a store that somebody holds, a clock
//! that was set, a spool that is gone.
//!
//! Whoever meets one says so, once, and says when it is over; the engine makes an alarm of it, and
//! while a disk refuses to take anything it starts no job.

use crate::alarm::Severity;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What hinders writing where waiting may mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hindrance {
    /// No space, no more files, or a quota is used up.
    Full,
    /// Mounted so that nobody may write.
    ReadOnly,
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::ReadOnly => "read-only",
        })
    }
}

/// A disk that an instance writes to, by what is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskRole {
    /// The store and its lock.
    State,
    /// Folders of attempts.
    Work,
    /// Outputs that are in place.
    Output,
}

impl DiskRole {
    /// Its word in keys and sentences.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Work => "work",
            Self::Output => "output",
        }
    }

    /// The key of the alarm about it.
    pub fn key(self) -> String {
        format!("{DISK}{}", self.as_str())
    }
}

/// Keys of troubles with disks begin with this: while such an alarm stands, no job is started.
pub const DISK: &str = "disk/";
/// With what the keys of troubles begin: such an alarm is never older than the instance that
/// raised it.
const KINDS: [&str; 8] = [
    DISK,
    "store/",
    "clock/",
    "spool/",
    "spool-flat/",
    "good-runs/",
    "journal/",
    "storage/",
];

/// A trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What it is about, e.g. `disk/state`.
    pub key: String,
    /// How much of a hurry there is.
    pub severity: Severity,
    /// What was tried, on what, why it failed, what to do.
    pub text: String,
}

impl Trouble {
    /// A disk that takes nothing. `tried` says what was tried and what the system said, `short`
    /// what the disk lacks, `place` where it is.
    pub fn disk(
        role: DiskRole,
        hindrance: Hindrance,
        place: &str,
        tried: &str,
        short: &str,
    ) -> Self {
        let next = match hindrance {
            Hindrance::Full => "Free space there or make it larger",
            Hindrance::ReadOnly => {
                "Find out why (the kernel's log says), and mount it to be written"
            }
        };
        Self {
            key: role.key(),
            severity: Severity::High,
            text: format!(
                "The {} disk ({place}) is {hindrance}: {tried}; {short}. No job is started \
                 meanwhile, nothing that was accepted is lost, and work goes on by itself once it \
                 can be written. {next}.",
                role.as_str()
            ),
        }
    }
}

/// Whether an alarm of this key is about an instance's own surroundings.
pub fn is_trouble(key: &str) -> bool {
    KINDS.iter().any(|kind| key.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_are_told_from_other_alarms_by_their_keys() {
        let check = |key: &str, expect| assert_eq!(is_trouble(key), expect, "{key}");
        for role in [DiskRole::State, DiskRole::Work, DiskRole::Output] {
            assert!(role.key().starts_with(DISK));
            check(&role.key(), true);
        }
        check("store/busy", true);
        check("clock/jumped", true);
        check("storage/files", true);
        check("lumis-missing/7/A", false);
    }

    #[test]
    fn a_full_disk_is_named_with_what_to_do() {
        let said = "commit batch 7: database or disk is full";
        let trouble = Trouble::disk(DiskRole::State, Hindrance::Full, "/s", said, "0 B are free");
        for part in [
            "The state disk (/s) is full",
            said,
            "0 B are free",
            "Free space there",
        ] {
            assert!(trouble.text.contains(part), "{}", trouble.text);
        }
        assert_eq!(trouble.key, "disk/state");
    }
}
