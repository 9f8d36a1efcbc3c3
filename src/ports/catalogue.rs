//! The store as its readers see it: questions of people and programs, answered from a pool of its
//! own, so that no question ever makes the writer wait (D19).

use crate::store::StoreError;
use model::alarm::Alarm;
use model::arrival::SetAside;
use model::audit::Audit;
use model::conditions::{ConditionsPayload, ConditionsTag, GateDecision, GlobalTag, Iov};
use model::dataset::{Block, Dataset, LumiContent, Output};
use model::fact::Consumed;
use model::file::File;
use model::ids::{BlockId, FileId, JobId, LumiNumber, OutputId, RunNumber};
use model::job::{FailedAttempt, InputId, Job};
use model::names::TaskPath;
use model::quality::RunQuality;
use model::run::Run;
use model::source::{Evidence, Source};
use model::witness::Witness;

/// Which rows of a long list: those after a key, at most so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last key already seen; none to begin.
    pub after: Option<i64>,
    /// At most so many rows, 1 to 10,000.
    pub limit: u32,
}

/// How many rows of each kind a run has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Accepted files, reports of empty lumis included.
    pub files: u64,
    /// Events in those files, as their sidecars say.
    pub events_in: u64,
    /// Jobs made.
    pub jobs: u64,
    /// Jobs done.
    pub jobs_done: u64,
    /// Jobs failed for good.
    pub jobs_failed: u64,
    /// Jobs that a person has given up.
    pub jobs_cancelled: u64,
}

/// Which of the detector's files; what is not said is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhichFiles {
    /// Of this run.
    pub run: Option<RunNumber>,
    /// Of this stream.
    pub stream: Option<String>,
    /// Only those that came after their run was closed, or only the others.
    pub late: Option<bool>,
}

/// Which outputs; what is not said is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhichOutputs {
    /// Of this run.
    pub run: Option<RunNumber>,
    /// Of this dataset.
    pub dataset: Option<String>,
    /// In this block.
    pub block: Option<BlockId>,
    /// Made by this job.
    pub job: Option<JobId>,
    /// Only those in a block, or only the others.
    pub published: Option<bool>,
}

/// Which blocks; what is not said is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhichBlocks {
    /// Of this run.
    pub run: Option<RunNumber>,
    /// Of this dataset.
    pub dataset: Option<String>,
    /// Only those that take outputs, or only the others.
    pub open: Option<bool>,
}

/// What the accepted files of one lumi of a stream add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LumiOfFiles {
    /// The lumi.
    pub lumi: LumiNumber,
    /// Files that tasks work on.
    pub files: u64,
    /// Events in them, as their sidecars say.
    pub events: u64,
}

/// Questions about what datasets hold and where it comes from.
pub trait Holdings {
    /// Datasets behind a name, in the order of their names; what several agents have of one is
    /// added up.
    fn datasets(&self, after: Option<&str>, limit: u32) -> Result<Vec<Dataset>, StoreError>;
    /// One dataset.
    fn dataset(&self, name: &str) -> Result<Option<Dataset>, StoreError>;
    /// What the closed blocks of a dataset hold, by run.
    fn contents(&self, dataset: &str, page: Page) -> Result<Vec<LumiContent>, StoreError>;
    /// What closed blocks hold of a run, by dataset.
    fn contents_of_run(&self, run: RunNumber) -> Result<Vec<LumiContent>, StoreError>;
    /// Files, by id.
    fn which_files(&self, which: &WhichFiles, page: Page) -> Result<Vec<File>, StoreError>;
    /// Outputs, by id.
    fn which_outputs(&self, which: &WhichOutputs, page: Page) -> Result<Vec<Output>, StoreError>;
    /// Blocks, by id.
    fn which_blocks(&self, which: &WhichBlocks, page: Page) -> Result<Vec<Block>, StoreError>;
    /// One output.
    fn output(&self, id: OutputId) -> Result<Option<Output>, StoreError>;
    /// How far a file's source is on its way to removal; none for one that has only landed.
    fn source(&self, file: FileId) -> Result<Option<Source>, StoreError>;
    /// What the steps of a file's source rest on, by step.
    fn evidence(&self, file: FileId) -> Result<Vec<Evidence>, StoreError>;
    /// Who consumed an input, by task.
    fn consumers(&self, input: InputId) -> Result<Vec<Consumed>, StoreError>;
    /// Lumis of a run with files that tasks work on, of one stream or of all.
    fn lumis_of_files(
        &self,
        run: RunNumber,
        stream: Option<&str>,
    ) -> Result<Vec<LumiOfFiles>, StoreError>;
    /// Jobs of a task in a run that are not done, by id.
    fn jobs_not_done(&self, run: RunNumber, task: &TaskPath) -> Result<Vec<Job>, StoreError>;
    /// Inputs of a run that more than one job behind the published outputs of a dataset consumed:
    /// counted from the rows of both.
    fn repeated_inputs(&self, dataset: &str, run: RunNumber) -> Result<u64, StoreError>;
}

/// Read-only questions. Every list is in the order of its key.
pub trait Catalogue: Holdings + Send + Sync {
    /// All runs, by number.
    fn runs(&self, page: Page) -> Result<Vec<Run>, StoreError>;
    /// One run.
    fn run(&self, run: RunNumber) -> Result<Option<Run>, StoreError>;
    /// How many rows of each kind a run has.
    fn run_counts(&self, run: RunNumber) -> Result<RunCounts, StoreError>;
    /// What was said of a run's lumis and its end, by id.
    fn witnesses(&self, run: RunNumber) -> Result<Vec<Witness>, StoreError>;
    /// Accepted files, of one run or of all.
    fn files(&self, run: Option<RunNumber>, page: Page) -> Result<Vec<File>, StoreError>;
    /// One accepted file.
    fn file(&self, id: FileId) -> Result<Option<File>, StoreError>;
    /// Jobs, of one run or of all, in one state (its word) or any.
    fn jobs(
        &self,
        run: Option<RunNumber>,
        state: Option<&str>,
        page: Page,
    ) -> Result<Vec<Job>, StoreError>;
    /// One job.
    fn job(&self, id: JobId) -> Result<Option<Job>, StoreError>;
    /// Failed attempts of a job.
    fn failed_attempts(&self, job: JobId) -> Result<Vec<FailedAttempt>, StoreError>;
    /// Outputs, of one run or of all.
    fn outputs(&self, run: Option<RunNumber>, page: Page) -> Result<Vec<Output>, StoreError>;
    /// Blocks, of one run or of all.
    fn blocks(&self, run: Option<RunNumber>, page: Page) -> Result<Vec<Block>, StoreError>;
    /// Decisions on constants, by run and tag.
    fn decisions(&self) -> Result<Vec<GateDecision>, StoreError>;
    /// Tags that somebody made, by name.
    fn tags(&self) -> Result<Vec<ConditionsTag>, StoreError>;
    /// Global tags, by name.
    fn global_tags(&self) -> Result<Vec<GlobalTag>, StoreError>;
    /// Intervals of validity, by tag and since.
    fn iovs(&self) -> Result<Vec<Iov>, StoreError>;
    /// One constant.
    fn payload(&self, hash: &str) -> Result<Option<ConditionsPayload>, StoreError>;
    /// Verdicts, by run.
    fn quality(&self) -> Result<Vec<RunQuality>, StoreError>;
    /// Things set aside, by profile and name.
    fn set_aside(&self) -> Result<Vec<SetAside>, StoreError>;
    /// Alarms, standing or all.
    fn alarms(&self, standing_only: bool) -> Result<Vec<Alarm>, StoreError>;
    /// What people and programs did, oldest first.
    fn audits(&self, page: Page) -> Result<Vec<Audit>, StoreError>;
}
