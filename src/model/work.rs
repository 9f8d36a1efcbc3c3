//! What travels between the engine and those who do the work: attempts to start, reports that come
//! back, outputs to put in place. The same shapes serve local programs, batch systems and the
//! simulator's models of both.

use crate::account::UnitAccount;
use crate::conditions::{CandidateConstant, RecordName, Since, TimeType};
use crate::ids::{LumiNumber, RunNumber, Token};
use crate::job::ExitClass;
use crate::names::{DataLabel, FileName, OutputLabel, ProfileName, TagName, TaskPath};
use crate::plugin::Plugin;
use crate::quality::TestAnswer;
use crate::resource::{Mode, Needs};
use crate::run::RunType;
use crate::source::CopyPlace;
use crate::time::Moment;
use crate::trouble::Hindrance;
use crate::units::{Bytes, Events};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where an input lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// In the folder of a stream profile.
    Spool {
        /// Whose folder.
        profile: ProfileName,
        /// The name in it.
        name: FileName,
    },
    /// In the storage of outputs.
    Storage {
        /// The name relative to it.
        name: FileName,
    },
    /// A copy of a file whose source may be gone.
    Copy {
        /// In which of the folders of copies.
        place: CopyPlace,
        /// By whose folder it came.
        profile: ProfileName,
        /// The name that it had there.
        name: FileName,
    },
}

/// One input of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptInput {
    /// Where it lies.
    pub location: Location,
    /// Its size.
    pub bytes: Bytes,
    /// Its adler32, claimed or verified, where somebody said one.
    pub adler32: Option<u32>,
    /// Events in it, where somebody said so.
    pub events: Option<Events>,
    /// Lumis in it, as closed ranges: those to work on, where that is not all of it.
    pub lumis: Vec<(LumiNumber, LumiNumber)>,
    /// The first event to work on, counted from 0, where that is not all of it.
    #[serde(default)]
    pub first_event: Option<u64>,
    /// The last event to work on.
    #[serde(default)]
    pub last_event: Option<u64>,
}

/// The global tag by which an attempt reads its constants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptGlobalTag {
    /// Its name.
    pub name: String,
    /// Nothing inserted later counts; none where nobody here knows the global tag.
    pub snapshot_at: Option<Moment>,
}

/// A constant in force for an attempt. Of a tag that counts by lumi there may be several, each for
/// other lumis of the attempt, in the order in which they begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptConstant {
    /// The record that led to it, by the global tag; none where the task names the tag itself.
    #[serde(default)]
    pub record: Option<RecordName>,
    /// The tag.
    pub tag: TagName,
    /// What the tag counts by.
    #[serde(default)]
    pub time_type: TimeType,
    /// Where it begins, in that count.
    pub since: Since,
    /// The payload's sha256 in hex.
    pub hash: String,
    /// The payload's text.
    pub text: Arc<str>,
}

/// An output that an attempt shall make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedOutput {
    /// What the task calls it.
    pub label: OutputLabel,
    /// File name relative to the attempt's folder.
    pub path: String,
}

/// What is the same for every attempt of a task in one run: made once, shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptPlan {
    /// The task.
    pub task: TaskPath,
    /// Program and arguments, placeholders filled.
    pub program: Vec<String>,
    /// A process for each attempt, or a worker that stays.
    pub mode: Mode,
    /// What one attempt may use at least.
    pub needs: Needs,
    /// The outputs to make.
    pub outputs: Vec<WantedOutput>,
    /// Free parameters of the task.
    pub parameters: BTreeMap<String, String>,
    /// Plugins that its program asks.
    #[serde(default)]
    pub plugins: Vec<Plugin>,
    /// Whether an attempt may begin while the record of it is still being written (D3).
    pub early: bool,
}

/// One attempt to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptSpec {
    /// Its key everywhere outside.
    pub token: Token,
    /// What it shares with other attempts of its task.
    pub plan: Arc<AttemptPlan>,
    /// The run.
    pub run: RunNumber,
    /// What the run is for.
    pub run_type: RunType,
    /// Real or simulated.
    pub label: DataLabel,
    /// Lumis it covers, as closed ranges.
    pub lumis: Vec<(LumiNumber, LumiNumber)>,
    /// What it reads.
    pub inputs: Vec<AttemptInput>,
    /// By which global tag it reads its constants, if by one.
    #[serde(default)]
    pub global_tag: Option<AttemptGlobalTag>,
    /// Constants in force for its run, or for its lumis.
    pub constants: Vec<AttemptConstant>,
    /// When its outputs must be out.
    pub deadline: Option<Moment>,
    /// What it may use: what its task asks for, or more.
    pub needs: Needs,
}

/// An output that a program says it made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedOutput {
    /// What the task calls it.
    pub label: OutputLabel,
    /// File name relative to the attempt's folder.
    pub path: String,
    /// Its size as reported, if it was.
    pub bytes: Option<Bytes>,
    /// Its adler32 as reported, if it was.
    pub adler32: Option<u32>,
    /// Events in it.
    pub events: Events,
    /// Lumis in it, as closed ranges.
    pub lumis: Vec<(LumiNumber, LumiNumber)>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptReport {
    /// How, as far as anybody must act differently.
    pub class: ExitClass,
    /// The program's exit code, where it had one.
    #[serde(default)]
    pub code: Option<i32>,
    /// What the program or its keeper says, bounded.
    pub message: String,
    /// What it made; believed only after the commit has looked.
    pub outputs: Vec<ReportedOutput>,
    /// Events read.
    pub events_read: Events,
    /// Events written.
    pub events_written: Events,
    /// Constants that it proposes.
    pub candidates: Vec<CandidateConstant>,
    /// Quality tests that it ran.
    pub tests: Vec<TestAnswer>,
    /// What it found of the units inside its input.
    pub units: Vec<UnitAccount>,
    /// When the program started (or the worker took the job).
    pub started_at: Moment,
    /// When it ended.
    pub ended_at: Moment,
}

impl AttemptReport {
    /// The report of an attempt that failed before or without one of its own.
    pub fn failed(class: ExitClass, message: String, started_at: Moment, ended_at: Moment) -> Self {
        Self {
            class,
            code: None,
            message,
            outputs: Vec::new(),
            events_read: Events(0),
            events_written: Events(0),
            candidates: Vec::new(),
            tests: Vec::new(),
            units: Vec::new(),
            started_at,
            ended_at,
        }
    }
}

/// What an executor says of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptNews {
    /// Its program runs.
    Started {
        /// Since when.
        at: Moment,
    },
    /// It has ended. Boxed, because it is large and rare beside the other.
    Ended(Box<AttemptReport>),
}

/// One output to verify, sync and rename to its final name (D9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOutput {
    /// What the program says of it.
    pub reported: ReportedOutput,
    /// Its final name relative to the storage; holds job and attempt.
    pub name: FileName,
}

/// The outputs of one attempt to put in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPlan {
    /// Whose outputs.
    pub token: Token,
    /// Which.
    pub outputs: Vec<PlannedOutput>,
}

/// An output that is in place: synced, renamed, its folder synced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOutput {
    /// Its final name.
    pub name: FileName,
    /// Its size, measured.
    pub bytes: Bytes,
    /// Its adler32, computed while reading it.
    pub adler32: u32,
}

/// Why outputs could not be put in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitFailure {
    /// What to do about it.
    pub class: ExitClass,
    /// The sentence for people.
    pub message: String,
    /// What hindered it, where waiting may mend it and the same again is then right.
    #[serde(default)]
    pub hindrance: Option<Hindrance>,
}
