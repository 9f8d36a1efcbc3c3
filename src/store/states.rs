//! Small numbers for states, the one place where they are given (D11). In come states, out go the
//! numbers that columns and indexes hold. A number, once given, must never change its meaning: rows
//! outlive programs.

use model::alarm::Severity;
use model::dataset::BlockState;
use model::job::{InputId, JobState};
use model::run::RunState;

/// The number of a job that is done.
pub(crate) const JOB_DONE: i64 = 5;
/// The number of a job that failed for good.
pub(crate) const JOB_FAILED: i64 = 6;
/// The number of a job that was given up.
pub(crate) const JOB_CANCELLED: i64 = 9;

/// The number of a run whose rows are moved to the history.
pub(crate) const RUN_ARCHIVING: i64 = 5;
/// The number of a run whose rows are history.
pub(crate) const RUN_ARCHIVED: i64 = 6;

/// Words of a job's states, in the order of their numbers, which begin with 1.
pub(crate) const JOB_WORDS: [&str; 9] = JobState::WORDS;

pub(crate) fn run(state: &RunState) -> i64 {
    match state {
        RunState::Open => 1,
        RunState::Ending => 2,
        RunState::Closed { .. } => 3,
        RunState::Finished { .. } => 4,
        RunState::Archiving { .. } => RUN_ARCHIVING,
        RunState::Archived { .. } => RUN_ARCHIVED,
    }
}

pub(crate) fn job(state: &JobState) -> i64 {
    match state {
        JobState::Ready { .. } => 1,
        JobState::Sent { .. } => 2,
        JobState::Running { .. } => 3,
        JobState::Committing { .. } => 4,
        JobState::Done { .. } => JOB_DONE,
        JobState::Failed { .. } => JOB_FAILED,
        JobState::Parked { .. } => 7,
        JobState::Superseded { .. } => 8,
        JobState::Cancelled { .. } => JOB_CANCELLED,
    }
}

/// The number behind a job's word, as a question names it.
pub(crate) fn job_by_word(word: &str) -> Option<i64> {
    (1..)
        .zip(JOB_WORDS)
        .find(|(_, known)| *known == word)
        .map(|(number, _)| number)
}

/// The number of a block that takes outputs.
pub(crate) const BLOCK_OPEN: i64 = 1;

pub(crate) fn block(state: &BlockState) -> i64 {
    match state {
        BlockState::Open => BLOCK_OPEN,
        BlockState::Closed { .. } => 2,
    }
}

pub(crate) fn severity(severity: Severity) -> i64 {
    match severity {
        Severity::High => 1,
        Severity::Medium => 2,
        Severity::Low => 3,
    }
}

pub(crate) fn input_kind(input: InputId) -> i64 {
    match input {
        InputId::File(_) => 1,
        InputId::Output(_) => 2,
    }
}
