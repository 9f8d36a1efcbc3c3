//! What is worth recording: the closed list behind `Effect::Record`.
//!
//! A fact is the new whole value of one object, never a change (D4): within a batch only the last
//! value of an object is written, and writing one twice does no harm.

use crate::alarm::Alarm;
use crate::arrival::SetAside;
use crate::audit::Audit;
use crate::conditions::{ConditionsPayload, ConditionsTag, GateDecision, GlobalTag, Iov};
use crate::configuration::ConfigurationText;
use crate::dataset::{Block, Dataset, LumiContent, Output};
use crate::file::File;
use crate::ids::{JobId, MessageId, RunNumber};
use crate::job::{FailedAttempt, InputId, Job};
use crate::names::TaskPath;
use crate::quality::RunQuality;
use crate::ruling::Ruling;
use crate::run::Run;
use crate::source::{Evidence, Source};
use crate::time::Moment;
use crate::usage::TaskUsage;
use crate::witness::Witness;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One input consumed once by a task: the row that makes splitting exactly-once (D10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumed {
    /// The task.
    pub task: TaskPath,
    /// The input.
    pub input: InputId,
    /// Where the consumed part of it begins; 0 for all of it. All parts of an input are consumed
    /// together.
    #[serde(default)]
    pub first_event: u64,
    /// The run whose instance of the task consumed it.
    pub run: RunNumber,
    /// The job that has it.
    pub job: JobId,
}

/// A message for the outside, written in the same transaction as what it speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxMessage {
    /// Stable identity: whoever keeps it sees each message once.
    pub id: MessageId,
    /// CloudEvents type without prefix, e.g. `block.closed`.
    pub kind: String,
    /// The run it is about: the key of the topic.
    pub run: RunNumber,
    /// The object it is about, in words.
    pub subject: String,
    /// When.
    pub at: Moment,
}

/// Everything that is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A configuration was taken.
    ConfigurationIs(ConfigurationText),
    /// A file was accepted.
    FileIs(File),
    /// Something was set aside.
    SetAsideIs(SetAside),
    /// A run.
    RunIs(Run),
    /// Somebody said how much a lumi holds, or when a run ends.
    WitnessIs(Witness),
    /// A job. Shared, because it is much larger than the others and is recorded several times.
    JobIs(Arc<Job>),
    /// An input was consumed.
    ConsumedIs(Consumed),
    /// An attempt failed.
    AttemptFailedIs(FailedAttempt),
    /// An output was committed.
    OutputIs(Output),
    /// A block.
    BlockIs(Block),
    /// A dataset.
    DatasetIs(Dataset),
    /// What a dataset holds of a run.
    ContentIs(LumiContent),
    /// A decision on a constant.
    DecisionIs(GateDecision),
    /// A tag of the conditions.
    TagIs(ConditionsTag),
    /// A global tag.
    GlobalTagIs(GlobalTag),
    /// An interval of validity.
    IovIs(Iov),
    /// A constant.
    PayloadIs(ConditionsPayload),
    /// A verdict on a run.
    QualityIs(RunQuality),
    /// An alarm.
    AlarmIs(Alarm),
    /// A message for the outside.
    MessageIs(OutboxMessage),
    /// Somebody asked for something and it was done.
    AuditIs(Audit),
    /// A person's word on a task.
    RulingIs(Ruling),
    /// How far a source is on its way to removal.
    SourceIs(Source),
    /// What a step of a source rests on.
    EvidenceIs(Evidence),
    /// What jobs of a task have used in runs that are history.
    UsageIs(TaskUsage),
}
