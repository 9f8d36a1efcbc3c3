//! The sentences of this room: why something in a spool was set aside, and why a watcher cannot
//! start.
//!
//! Each says what was tried, on what, why it failed and what to do. People read them on screens and
//! in alarms.

use model::arrival::Refusal;
use model::names::ProfileName;
use model::units::Bytes;
use rustix::io::Errno;
use std::path::PathBuf;
use thiserror::Error;

/// Why an entry cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Trouble {
    #[error(
        "could not read the name \"{shown}\" (shown escaped): its bytes are no printable text; \
        rename the entry or \
         remove it"
    )]
    NotText { shown: String },
    #[error(
        "could not read the name \"{name}\" by the pattern \"{pattern}\": {why}; rename the file, \
        or correct the \
         profile's pattern or its ignore list"
    )]
    Name {
        name: String,
        pattern: String,
        why: String,
        out_of_range: bool,
    },
    #[error(
        "did not open \"{name}\": it is a {what}, and only plain files are taken; put the file \
        itself there or remove \
         the entry"
    )]
    NotAPlainFile { name: String, what: &'static str },
    #[error(
        "read the record \"{name}\", but {why}; write it anew and rename it into place, or remove \
        it"
    )]
    Record {
        name: String,
        why: String,
        refusal: Refusal,
    },
    #[error(
        "did not read the record \"{name}\": it has {bytes}, and at most {most} are read; check \
        what wrote it and \
         write it anew, or raise the profile's bound for sidecars"
    )]
    RecordTooLarge {
        name: String,
        bytes: Bytes,
        most: Bytes,
    },
    #[error(
        "compared \"{file}\" with its sidecar \"{sidecar}\": the file has {found} bytes, the \
        sidecar says {said}; send \
         the file again, or write a sidecar that fits it"
    )]
    SizeDiffers {
        file: String,
        sidecar: String,
        found: u64,
        said: u64,
    },
    #[error(
        "reading \"{name}\" met a bug of this program (its message is in the log): it is passed \
        over and the others are not; report it, and give the data another name once it is mended"
    )]
    Bug { name: String },
    #[error(
        "did not read \"{name}\": this program ended three times while it did; it is passed over \
        until it changes, and the others are not; report it, and write the data again once it is \
        mended"
    )]
    Poison { name: String },
    #[error(
        "could not {verb} \"{name}\": {why}; check its permissions and the disk under it; it is \
        tried again at each \
         scan"
    )]
    Unreachable {
        verb: &'static str,
        name: String,
        why: String,
    },
}

impl Trouble {
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::NotText { .. } => Refusal::NameUnreadable,
            Self::Name {
                out_of_range: true, ..
            } => Refusal::NumberOutOfRange,
            Self::Name { .. } => Refusal::NameUnreadable,
            Self::NotAPlainFile { .. } => Refusal::NotAPlainFile,
            Self::Record { refusal, .. } => *refusal,
            Self::RecordTooLarge { .. } => Refusal::RecordTooLarge,
            Self::SizeDiffers { .. } => Refusal::SizeDiffers,
            Self::Bug { .. } | Self::Poison { .. } => Refusal::RecordUnreadable,
            Self::Unreachable { .. } => Refusal::Unreachable,
        }
    }

    pub(crate) fn unreachable(verb: &'static str, name: &str, errno: Errno) -> Self {
        let why = std::io::Error::from(errno).to_string();
        Self::Unreachable {
            verb,
            name: name.to_owned(),
            why,
        }
    }
}

/// Why a watcher could not start, or how it ended.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The profile's values do not fit together.
    #[error("could not watch with profile {profile}: {why}")]
    Profile {
        /// The profile.
        profile: ProfileName,
        /// What is wrong and what to do.
        why: String,
    },
    /// The folder is not there, or is no folder.
    #[error(
        "could not watch {folder} for profile {profile}: {source}; make the folder and let this \
        user read it, or \
         correct the profile"
    )]
    Folder {
        /// The profile.
        profile: ProfileName,
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Kernel events cannot be had.
    #[error(
        "could not get kernel events for {folder} of profile {profile}: {source}; raise \
        fs.inotify.max_user_watches or \
         max_user_instances, or set the profile to poll"
    )]
    NoEvents {
        /// The profile.
        profile: ProfileName,
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The poller of the foreign library cannot be had.
    #[error("could not poll for profile {profile}: {why}; look at the folder's file system")]
    NoPolling {
        /// The profile.
        profile: ProfileName,
        /// What the library says.
        why: String,
    },
    /// No thread can be had.
    #[error(
        "could not start the watcher of profile {profile}: {source}; raise the limit of threads \
        of this user"
    )]
    NoThread {
        /// The profile.
        profile: ProfileName,
        /// What the system says.
        source: std::io::Error,
    },
    /// The watcher's thread died of a bug.
    #[error(
        "the watcher of profile {profile} ended by a bug; its message is in the log: report it \
        and restart"
    )]
    Died {
        /// The profile.
        profile: ProfileName,
    },
}
