//! What a watcher says it has seen: typed facts, already read from names and sidecars (D22).
//! Nothing here is believed yet; the engine decides.

use crate::ids::{LumiNumber, RunNumber};
use crate::lumi::Expected;
use crate::names::{DataLabel, FileName, ProfileName, StreamName};
use crate::run::RunType;
use crate::time::{Moment, Span};
use crate::trouble::Trouble;
use crate::units::Bytes;
use crate::witness::{Instance, Source};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A checksum somebody claims; verified before anything rests on it (D10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Checksum {
    /// Adler-32 as in RFC 1950, the checksum of CMS sidecars.
    Adler32(u32),
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adler32(value) => write!(f, "adler32:{value:08x}"),
        }
    }
}

/// Event counts as a sidecar reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counts {
    /// Events looked at.
    pub processed: u64,
    /// Events in the file.
    pub accepted: u64,
    /// Events lost on the way; they count as accounted for.
    pub errors: u64,
}

/// A complete file (or the report of an empty one), as the watcher saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Whose folder it lies in.
    pub profile: ProfileName,
    /// Its name relative to that folder: with the profile, its identity.
    pub name: FileName,
    /// The run it belongs to.
    pub run: RunNumber,
    /// The lumi it belongs to.
    pub lumi: LumiNumber,
    /// The stream it belongs to.
    pub stream: StreamName,
    /// Real or simulated, as the profile says.
    pub label: DataLabel,
    /// Its size; zero for the report of an empty lumi.
    pub bytes: Bytes,
    /// Its inode: together with `mtime`, tells a rewritten file from the same one.
    pub inode: u64,
    /// When it was last written.
    pub mtime: Moment,
    /// Counts of the sidecar, where there is one.
    pub counts: Option<Counts>,
    /// Checksum of the sidecar, where there is one.
    pub checksum: Option<Checksum>,
    /// Whether this is only a report: the lumi had nothing to write.
    pub empty: bool,
    /// When the watcher learnt that the file is complete.
    pub seen_at: Moment,
}

/// An end-of-lumi record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LumiEnd {
    /// The run.
    pub run: RunNumber,
    /// The lumi.
    pub lumi: LumiNumber,
    /// The stream it speaks of; every stream when none is named.
    pub stream: Option<StreamName>,
    /// What the stream's files must add up to.
    pub expected: Expected,
    /// Through which channel it came.
    pub source: Source,
    /// Which of the data acquisition instances says so.
    pub instance: Instance,
    /// Real or simulated, as the profile says: whoever is first to speak of a run opens it.
    pub label: DataLabel,
}

/// A begin-of-run record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBegin {
    /// The run.
    pub run: RunNumber,
    /// What it is for, if the record says so.
    pub run_type: Option<RunType>,
    /// Real or simulated, if the record says so; the profile's label otherwise.
    pub label: DataLabel,
}

/// An end-of-run record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The run.
    pub run: RunNumber,
    /// The last lumi of this instance.
    pub last_lumi: u32,
    /// Through which channel it came.
    pub source: Source,
    /// Which of the data acquisition instances says so.
    pub instance: Instance,
    /// Events read out in the whole run, if the record says so.
    pub events: Option<u64>,
    /// Real or simulated, as the profile says: whoever is first to speak of a run opens it.
    pub label: DataLabel,
}

/// What a stream profile says of its lumis and runs: what their files' names leave open, and when
/// they may be called complete without anybody having said so. That is only where the profile names
/// a time-out, and what then closes says that a time-out closed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// A lumi of a stream is complete when no file of it was seen for so long.
    pub lumi_timeout: Option<Span>,
    /// A run has ended when no file of it was seen for so long.
    pub run_timeout: Option<Span>,
    /// What a lumi is of which nothing came.
    pub absent_lumi: AbsentLumi,
    /// A run's time is cut into lumis of this length, from when its first file was written; files
    /// belong to the one in which they were last written, whatever their names say.
    pub lumi_slice: Option<Span>,
    /// What a run is for that one of its files opens.
    pub run_type: Option<RunType>,
}

/// What a lumi is of which nothing came, once a time-out has ended its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AbsentLumi {
    /// Missing: it keeps the run open until somebody declares it.
    #[default]
    Missing,
    /// There was nothing to write.
    Empty,
}

/// Why something in a spool was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// The name does not fit the profile's pattern.
    NameUnreadable,
    /// A number in the name or a record does not fit its type.
    NumberOutOfRange,
    /// Not a plain file: link, fifo, device, socket.
    NotAPlainFile,
    /// The sidecar or record cannot be read.
    RecordUnreadable,
    /// The sidecar or record is larger than the bound.
    RecordTooLarge,
    /// The file's size is not what its sidecar says, or it grew after the sidecar was written.
    SizeDiffers,
    /// The same name was seen before with other content.
    NameConflict,
    /// Another file of its lumi has the same content under another name.
    DuplicateContent,
    /// Its label is not its run's: real and simulated are never mixed.
    LabelConflict,
    /// It cannot be opened or asked about.
    Unreachable,
}

impl Refusal {
    /// A stable code for alarms, rows and screens.
    pub fn code(self) -> &'static str {
        match self {
            Self::NameUnreadable => "name-unreadable",
            Self::NumberOutOfRange => "number-out-of-range",
            Self::NotAPlainFile => "not-a-plain-file",
            Self::RecordUnreadable => "record-unreadable",
            Self::RecordTooLarge => "record-too-large",
            Self::SizeDiffers => "size-differs",
            Self::NameConflict => "name-conflict",
            Self::DuplicateContent => "duplicate-content",
            Self::LabelConflict => "label-conflict",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Something in a spool that cannot be taken: set aside, visible, and the line goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Whose folder it lies in.
    pub profile: ProfileName,
    /// Its name; bytes that are no text are shown escaped.
    pub name: FileName,
    /// Why.
    pub refusal: Refusal,
    /// The whole sentence for people: what was tried, on what, why it failed, what to do.
    pub detail: String,
    /// When it was noticed first.
    pub at: Moment,
}

/// Everything a watcher can say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// A complete file, or the report of an empty one.
    File(Arrival),
    /// A run begins.
    RunBegin(RunBegin),
    /// A lumi has ended.
    LumiEnd(LumiEnd),
    /// A run has ended.
    RunEnd(RunEnd),
    /// Something that cannot be taken.
    SetAside(SetAside),
    /// A folder cannot be read, or the watcher itself is in trouble.
    Trouble(Trouble),
    /// The trouble of that key is over.
    TroubleOver(String),
}
