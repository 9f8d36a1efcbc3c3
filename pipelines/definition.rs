//! A pipeline as it is used: checked, every name resolved, every limit positive.
//!
//! The typed end of a definition; what people typed is a `Draft` (`draft.rs`), which becomes a
//! [`Definition`] in one place that finds all mistakes at once.

use crate::retry::RetryPolicy;
use crate::splitting::Splitter;
use model::budget::Budget;
use model::conditions::RecordName;
use model::job::Class;
use model::names::{OutputLabel, PipelineName, StreamName, TagName, TaskName, TaskPath};
use model::plugin::Plugin;
use model::quality::RunVerdict;
use model::resource::{Mode, Needs};
use model::run::RunType;
use model::time::Span;
use model::units::{Bytes, Events};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A pipeline: tasks in an order in which each stands behind those it reads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: PipelineName,
    /// Who is served first.
    pub class: Class,
    /// What sets it going.
    pub trigger: Trigger,
    /// Run types it works on.
    pub run_types: Vec<RunType>,
    /// Its latency budget, if it declares one.
    pub budget: Option<Budget>,
    /// The middle part of its datasets' names, e.g. `Express-v1`.
    pub processing: String,
    /// The first part of its datasets' names; where nothing is said, the stream at the root.
    pub primary: Option<String>,
    /// When the blocks of its datasets close.
    pub blocks: BlockLimits,
    /// Its tasks; shared with whoever plans their work.
    pub tasks: Vec<Arc<Task>>,
}

/// When a block closes, if its task does not end before (limits of
/// WMCore:src/python/WMCore/WMSpec/StdSpecs/StdBase.py; `blockCloseDelay` of
/// dmwm/T0:etc/ProdOfflineConfiguration.py).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// Outputs in it at most.
    pub max_files: u64,
    /// Their events together at most, unless one output alone has more.
    pub max_events: Events,
    /// Their size together at most, unless one output alone is larger.
    pub max_bytes: Bytes,
    /// How long it may be open.
    pub close_after: Span,
}

impl BlockLimits {
    /// What holds where a definition says nothing.
    pub const DEFAULT: Self = Self {
        max_files: 500,
        max_events: Events(25_000_000),
        max_bytes: Bytes(5_000_000_000_000),
        close_after: Span::from_secs(24 * 3_600),
    };
}

/// What sets a pipeline going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Files of a stream; `*` is any stream.
    Stream(StreamName),
    /// An output of another pipeline's task.
    Output(TaskPath, OutputLabel),
}

/// Where a task's input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskInput {
    /// Files of the pipeline's stream.
    Stream(StreamName),
    /// An output of a task of this or another pipeline.
    Output(TaskPath, OutputLabel),
}

/// One task of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub name: TaskName,
    /// Where its input comes from.
    pub input: TaskInput,
    /// How input becomes jobs.
    pub splitter: Splitter,
    /// Program and arguments; `{program:NAME}` and `{tier0}` fill whole arguments.
    pub program: Vec<String>,
    /// A process for each attempt, or a worker that stays.
    pub mode: Mode,
    /// What one attempt may use.
    pub needs: Needs,
    /// Tags whose constants in force travel with each job: of a tag that counts by run the one for
    /// its run, by time the one at the moment when its run began, by lumi each that one of its
    /// lumis is in (the first lumi of its run, where it has none).
    pub conditions: Vec<TagName>,
    /// Or by which global tag, and which of its records.
    pub global_tag: Option<ByGlobalTag>,
    /// Outputs by label, with the kind of file (`parquet`, `uhi`, `json`, ...), which is its
    /// extension too.
    pub outputs: BTreeMap<OutputLabel, String>,
    /// What follows from a failed attempt.
    pub retry: RetryPolicy,
    /// What must be true of the run before its jobs may start.
    pub release: Release,
    /// Constants that its jobs propose, and the rule each is judged by.
    pub calibrates: Vec<GateRule>,
    /// How long after its end an earlier run without a decision may hold a calibrating task back.
    pub upload_wait: Span,
    /// Whether its jobs' quality tests make the run's verdict.
    pub certifies: bool,
    /// What follows from the verdict besides the good-run list, where it certifies.
    pub on_verdict: Vec<VerdictAction>,
    /// Free parameters handed to the program.
    pub parameters: BTreeMap<String, String>,
    /// Plugins that its program asks.
    pub plugins: Vec<Plugin>,
    /// Whether attempts may begin while their record is still being written (D3).
    pub early: bool,
}

/// Constants that are read by a global tag: each record leads to a tag, as of the moment that the
/// global tag names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByGlobalTag {
    /// The global tag.
    pub name: String,
    /// The records to read; never empty.
    pub records: Vec<RecordName>,
}

/// What must be true of a run before a task's jobs may start (D17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// What.
    pub when: When,
    /// Not before so long after the end of the run (the field's delay of prompt reconstruction).
    pub delay: Span,
    /// How long the wait may last; then the work is done provisionally. None waits until somebody
    /// says. Counted from the moment that [`crate::release`] names for each rule.
    pub at_most: Option<Span>,
    /// So long before the wait ends by itself nothing new can be promised to reach the run: it is
    /// locked.
    pub lock: Span,
    /// What follows when other constants come after its jobs ran.
    pub redo: Redo,
}

/// What follows when other constants are in force for a run than those that a job was given (D17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redo {
    /// What was made stays as it is.
    Never,
    /// What was made provisionally is made again; for better constants a person is asked.
    Ask,
    /// It is made again.
    Auto,
}

/// What a release waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing.
    Always,
    /// Somebody has announced the run and what it is for.
    RunKnown,
    /// The run's data are complete.
    RunClosed,
    /// A decision on each of these tags has been taken for the run.
    Conditions(Vec<TagName>),
    /// A person accepts the run.
    Approved,
    /// The run's quality tests found nothing wrong.
    Verdict,
}

impl Release {
    /// Waits for nothing.
    pub const ALWAYS: Self = Self {
        when: When::Always,
        delay: Span::ZERO,
        at_most: None,
        lock: Span::ZERO,
        redo: Redo::Never,
    };
}

/// What a verdict does, until somebody has looked at it or its time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictAction {
    /// At which verdicts.
    pub when: Vec<RunVerdict>,
    /// What is done.
    pub act: Act,
    /// So long after the verdict it ends by itself: what was held goes on provisionally, and a note
    /// stays that nobody has looked.
    pub at_most: Span,
}

/// What is done at a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// These tasks of the run make no more jobs.
    Hold(Vec<TaskPath>),
    /// Whoever calibrates is asked.
    Calibrate,
    /// Whoever is on call is asked at once.
    Page,
}

impl Act {
    /// As people write it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Hold(_) => "hold",
            Self::Calibrate => "calibrate",
            Self::Page => "page",
        }
    }
}

/// How a proposed constant is judged; whole numbers only, in nano-units of each quantity (D4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateRule {
    /// The tag.
    pub tag: TagName,
    /// By what it is judged.
    pub by: GateBy,
}

/// By what a proposed constant is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateBy {
    /// By how far it departs from the interval that is open.
    Departure(DepartureRule),
    /// By how far each structure of a detector moved in each coordinate.
    Table(DecisionTable),
}

/// The thresholds by which an alignment is judged row by row (none, update, veto).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionTable {
    /// Fewer records than this: refused.
    pub n_min: u64,
    /// The coordinates that are judged.
    pub coordinates: Vec<CoordinateRule>,
}

/// What one coordinate demands, of all structures alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinateRule {
    /// Name with its unit.
    pub name: String,
    /// A move of no more than this is none.
    pub cut_nano: i64,
    /// A greater move than this: refused.
    pub max_move_nano: i64,
    /// A move over the cut with a greater error than this: refused.
    pub max_error_nano: i64,
    /// A move over the cut counts from this many thousandths of its error on.
    pub min_sigma_milli: u32,
    /// The share of the structures that must count for an update, in thousandths.
    pub min_share_permille: u32,
}

/// What a constant must fulfil that is judged by its departure from the open interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartureRule {
    /// So many measurements at least.
    pub n_min: u64,
    /// Departure from the open interval, in standard errors, that opens a new one.
    pub max_sigma: u32,
    /// Further from the constant in force than this: refused.
    pub max_move_nano: Option<i64>,
    /// A larger error than this: refused.
    pub max_error_nano: Option<i64>,
    /// Whether runs with too few measurements are added up until there are enough.
    pub accumulate: bool,
}

impl GateRule {
    /// Whether runs with too few measurements are added up until there are enough.
    pub fn accumulates(&self) -> bool {
        matches!(&self.by, GateBy::Departure(rule) if rule.accumulate)
    }
}

impl Definition {
    /// One of its tasks.
    pub fn task(&self, name: &TaskName) -> Option<&Task> {
        let mut tasks = self.tasks.iter();
        tasks.find(|task| task.name == *name).map(|task| &**task)
    }
}
