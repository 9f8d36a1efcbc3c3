//! What people and programs may ask of a running engine, and what it answers.

use crate::conditions::{ConditionsPayload, Protection, Since, Synchronisation, TimeType};
use crate::conditions_document::ConditionsDocument;
use crate::failure::Fingerprint;
use crate::ids::{JobId, LumiNumber, RunNumber};
use crate::job::ExitClass;
use crate::names::{DataLabel, FileName, StreamName, TagName, TaskPath};
use crate::ruling::RulingKind;
use crate::run::RunType;
use crate::wait::Object;
use serde::{Deserialize, Serialize};

/// Something asked of the engine. Asking twice does no more than asking once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A run begins (or is known to have begun).
    RunStart {
        /// The run.
        run: RunNumber,
        /// What it is for.
        run_type: RunType,
        /// Real or simulated.
        label: DataLabel,
    },
    /// A run has ended with this lumi.
    RunStop {
        /// The run.
        run: RunNumber,
        /// Its last lumi.
        last_lumi: u32,
    },
    /// A person rules on the work of a task.
    Rule {
        /// The task.
        task: TaskPath,
        /// The run; none for every run without a ruling of its own.
        run: Option<RunNumber>,
        /// What is ruled.
        kind: RulingKind,
    },
    /// The configuration is read again and taken as a whole, or refused as a whole. Whoever reads
    /// it does so before the engine hears of it.
    ConfigReload,
    /// Every lumi of the run that is open is declared: by default lost, which closes the run with
    /// what is here.
    RunClose {
        /// The run.
        run: RunNumber,
        /// Only lumis of this stream.
        stream: Option<StreamName>,
        /// Only these lumis.
        lumis: Option<(LumiNumber, LumiNumber)>,
        /// What they are declared to be.
        declared: Declared,
    },
    /// The late files of a closed run become a new part of it and are worked on.
    RunReopen {
        /// The run.
        run: RunNumber,
    },
    /// Lumis, or named files, will never come.
    FileDeclareLost {
        /// The run.
        run: RunNumber,
        /// Only of this stream.
        stream: Option<StreamName>,
        /// These lumis.
        lumis: (LumiNumber, LumiNumber),
        /// These files of the one lumi and stream; without any, whatever of the lumis is missing.
        names: Vec<FileName>,
        /// Events that each of the files held, counted as lost.
        events: u64,
    },
    /// Something shall happen to jobs.
    Jobs(JobsAsked),
    /// A constant shall be in force from some point on.
    Put(Box<ConstantPut>),
    /// Whether a tag takes new intervals.
    Protect {
        /// The tag as stored.
        tag: TagName,
        /// What it shall be.
        protection: Protection,
    },
    /// Tags, intervals, payloads and global tags that were made elsewhere, all of them or none.
    /// Whoever asks has seen that payloads are what their hashes say.
    Import(Box<ConditionsDocument>),
    /// A tag is held: what gates would put into it is kept as a proposal; or, with a run, the
    /// proposal of that run is refused.
    Hold {
        /// The tag as stored: that of simulated runs ends in `/SIM`.
        tag: TagName,
        /// The run whose proposal is refused.
        run: Option<RunNumber>,
    },
    /// Constants are accepted: proposals that are held are put, and what was made with others than
    /// those in force is made again.
    Accept {
        /// The tag as stored: that of simulated runs ends in `/SIM`.
        tag: TagName,
        /// Only for this run.
        run: Option<RunNumber>,
    },
}

/// A constant that somebody puts into a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConstantPut {
    /// The tag as stored: that of simulated runs ends in `/SIM`.
    pub tag: TagName,
    /// Where it shall begin.
    pub since: Since,
    /// What that counts by, if it was said: another count than the tag's is refused, and a new tag
    /// counts so; by run, where nobody says it.
    #[serde(default)]
    pub time_type: Option<TimeType>,
    /// The constant.
    pub payload: ConditionsPayload,
    /// What the tag is; makes it, where there is none.
    pub make: Option<NewTag>,
}

/// What a tag shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTag {
    /// What it is for.
    pub synchronisation: Synchronisation,
    /// What its payloads are; may be empty.
    pub object_type: String,
    /// In words; may be empty.
    pub description: String,
}

/// What shall happen to which jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobsAsked {
    /// What.
    pub verb: JobVerb,
    /// To which.
    pub which: JobFilter,
}

impl JobsAsked {
    /// For one job.
    pub fn one(verb: JobVerb, job: JobId) -> Self {
        Self {
            verb,
            which: JobFilter {
                job: Some(job),
                ..JobFilter::default()
            },
        }
    }
}

/// What can be asked of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobVerb {
    /// Another attempt at a failed, cancelled or parked job, its failures forgotten.
    Retry,
    /// Smaller jobs instead.
    Split(SplitInto),
    /// No attempt for now; one under way is ended.
    Park,
    /// The end of a pause, whoever began it.
    Release,
    /// No attempt any more; one under way is ended.
    Cancel,
}

/// How small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SplitInto {
    /// Two jobs.
    #[default]
    Halves,
    /// A job for each input.
    Singles,
}

/// Which jobs: one by its id, or all that meet everything said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFilter {
    /// This one, whatever else is said.
    pub job: Option<JobId>,
    /// Of this run.
    pub run: Option<RunNumber>,
    /// Of this task (`express.reco`) or pipeline (`express`).
    pub task: Option<String>,
    /// In this state; where nothing is said, in those that the verb is usually for.
    pub state: Option<String>,
    /// That failed like this last.
    pub class: Option<ExitClass>,
    /// That failed for this cause last.
    pub fingerprint: Option<Fingerprint>,
}

impl Command {
    /// As the audit names it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::RunStart { .. } => "run start",
            Self::RunStop { .. } => "run stop",
            Self::Rule { kind, .. } => kind.verb(),
            Self::RunClose { .. } => "run close",
            Self::RunReopen { .. } => "run reopen",
            Self::FileDeclareLost { .. } => "file declare-lost",
            Self::ConfigReload => "config reload",
            Self::Put(_) => "calib put",
            Self::Protect { .. } => "calib protect",
            Self::Import(_) => "calib import",
            Self::Hold { .. } => "calib hold",
            Self::Accept { .. } => "calib accept",
            Self::Jobs(asked) => match asked.verb {
                JobVerb::Retry => "job retry",
                JobVerb::Split(_) => "job split",
                JobVerb::Park => "job park",
                JobVerb::Release => "job release",
                JobVerb::Cancel => "job cancel",
            },
        }
    }

    /// What it is about, where that is one object.
    pub fn object(&self) -> Option<Object> {
        Some(match self {
            Self::Rule { task, run, .. } => match run {
                Some(run) => Object::Task(*run, task.clone()),
                None => Object::Gate(task.clone()),
            },
            Self::RunStart { run, .. }
            | Self::RunStop { run, .. }
            | Self::RunClose { run, .. }
            | Self::RunReopen { run }
            | Self::FileDeclareLost { run, .. } => Object::Run(*run),
            Self::Jobs(asked) => Object::Job(asked.which.job?),
            Self::ConfigReload
            | Self::Put(_)
            | Self::Protect { .. }
            | Self::Import(_)
            | Self::Hold { .. }
            | Self::Accept { .. } => {
                return None;
            }
        })
    }
}

/// What a person declares an open lumi to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Declared {
    /// What is missing of it is lost.
    Lost,
    /// There was nothing to write.
    Empty,
    /// What is here is right: settles a dispute.
    Here,
}

impl Declared {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lost, Self::Empty, Self::Here];

    /// As written in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Empty => "empty",
            Self::Here => "here",
        }
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// Who asked, when nobody said: the address of a program on this host names no person.
pub const NAMELESS: &str = "nameless";

/// Whether an order is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// Do it.
    Do,
    /// Only say what would be done, and to what.
    Preview,
}

/// A command with whoever gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub command: Command,
    /// Whether it is meant.
    pub intent: Intent,
    /// Who asks, as far as the window that took it knows.
    pub by: String,
    /// Why, in their words; may be empty where nothing is declared.
    pub reason: String,
    /// How many objects the asker believes to be concerned: another number refuses the order.
    pub expect_count: Option<u64>,
}

impl Order {
    /// An order that is meant, without a reason.
    pub fn new(command: Command, by: &str) -> Self {
        Self {
            command,
            intent: Intent::Do,
            by: by.to_owned(),
            reason: String::new(),
            expect_count: None,
        }
    }
}

/// What an order would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// In words.
    pub would: String,
    /// How many objects are concerned.
    pub count: u64,
    /// Which: one line an object, or a range of them.
    pub objects: Vec<String>,
}

/// What the engine answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done, in words; durable when it is heard.
    Done(String),
    /// Nothing was done: this is what would be.
    Would(Preview),
    /// Done to these jobs.
    Jobs(JobsReply),
    /// In a tag, or it was there before.
    Put(PutReply),
    /// Refused: the role or the state does not allow it; says why and what to do.
    Refused(String),
}

/// What became of a constant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutReply {
    /// In words.
    pub done: String,
    /// The tag.
    pub tag: TagName,
    /// Where it should begin.
    pub since_given: Since,
    /// Where it begins.
    pub since: Since,
    /// Its sha256 in hex.
    pub hash: String,
    /// Whether there was no such interval before.
    pub is_new: bool,
}

/// What was done to jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobsReply {
    /// In words.
    pub done: String,
    /// The jobs changed.
    pub jobs: Vec<JobId>,
    /// Jobs that meet the filter and cannot be changed.
    pub skipped_count: u64,
    /// The first of them, with why.
    pub skipped: Vec<SkippedJob>,
    /// Jobs that were made instead of split ones.
    pub made: Vec<JobId>,
}

/// A job that meets a filter and cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedJob {
    /// The job.
    pub job: JobId,
    /// Why it is left as it is.
    pub why: String,
}
