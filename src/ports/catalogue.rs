//! The store as its readers see it: questions of people and programs, answered from a pool of its
//! own, so that no question ever makes the writer wait (D19).

use crate::store::StoreError;
use model::alarm::Alarm;
use model::arrival::SetAside;
use model::audit::Audit;
use model::conditions::{ConditionsPayload, GateDecision, Iov};
use model::dataset::{Block, Output};
use model::file::File;
use model::ids::{FileId, JobId, RunNumber};
use model::job::{FailedAttempt, Job};
use model::quality::RunQuality;
use model::run::Run;
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
}

/// Read-only questions. Every list is in the order of its key.
pub trait Catalogue: Send + Sync {
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
