//! What the database says after a kill: was every file accepted once, and done by one job?
//!
//! In: the names that were renamed, and the instance's own rows. Out: how many files were lost or
//! done twice. Rows are believed only here, where no program's word is needed.

use super::BenchError;
use model::ids::{FileId, RunNumber};
use model::job::{InputId, Job, JobState};
use ports::catalogue::{Catalogue, Page};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use store::{Database, SqlCatalogue};

/// The run of the bench's files.
const RUN: RunNumber = RunNumber(1);
const PAGE_ROWS: u32 = 10_000;
/// How long nothing may be done before the rest counts as lost.
const SILENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);

/// What became of the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// Files that were renamed in and are not accepted, or not done.
    pub(super) lost: u64,
    /// Files that were accepted more than once, or consumed by more than one job.
    pub(super) doubled: u64,
}

/// The instance's rows.
pub(super) struct Rows(SqlCatalogue);

impl Rows {
    pub(super) fn open(state: &Path) -> Result<Self, BenchError> {
        Ok(Self(SqlCatalogue::open(&Database::in_folder(state))?))
    }

    /// Waits until so many jobs are done; false if no more are.
    pub(super) fn wait_for_done(&self, jobs: u64) -> Result<bool, BenchError> {
        let mut last = (0, Instant::now());
        loop {
            let done = self.0.run_counts(RUN)?.jobs_done;
            if done >= jobs {
                return Ok(true);
            }
            if done > last.0 {
                last = (done, Instant::now());
            } else if last.1.elapsed() > SILENCE {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Compares with what was renamed in.
    pub(super) fn account(&self, names: &[String]) -> Result<Account, BenchError> {
        let mut accepted: BTreeMap<String, Vec<FileId>> = BTreeMap::new();
        for file in Self::pages(|page| self.0.files(Some(RUN), page), |file| file.id.0)? {
            let name = file.arrival.name.as_str().to_owned();
            accepted.entry(name).or_default().push(file.id);
        }
        let jobs = Self::pages(|page| self.0.jobs(Some(RUN), None, page), |job| job.id.0)?;
        Ok(account(names, &accepted, &jobs))
    }

    fn pages<T>(
        ask: impl Fn(Page) -> Result<Vec<T>, ports::store::StoreError>,
        key: impl Fn(&T) -> i64,
    ) -> Result<Vec<T>, BenchError> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(&key);
            let limit = PAGE_ROWS;
            let page = ask(Page { after, limit })?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}

fn account(names: &[String], accepted: &BTreeMap<String, Vec<FileId>>, jobs: &[Job]) -> Account {
    let mut done: BTreeMap<FileId, u64> = BTreeMap::new();
    let mut consumed: BTreeMap<FileId, u64> = BTreeMap::new();
    for job in jobs {
        for input in &job.inputs[..job.consumed as usize] {
            if let InputId::File(id) = input {
                *consumed.entry(*id).or_default() += 1;
                *done.entry(*id).or_default() +=
                    u64::from(matches!(job.state, JobState::Done { .. }));
            }
        }
    }
    let mut account = Account::default();
    for name in names {
        let ids = accepted.get(name).map_or(&[][..], Vec::as_slice);
        let jobs_done: u64 = ids.iter().filter_map(|id| done.get(id)).sum();
        account.lost += u64::from(jobs_done == 0);
        let jobs: u64 = ids.iter().filter_map(|id| consumed.get(id)).sum();
        account.doubled += u64::from(ids.len() > 1 || jobs > 1);
    }
    account
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::{AttemptNumber, JobId};
    use model::job::{Class, Lineage, Stamps};
    use model::names::TaskPath;
    use model::time::Moment;

    fn job(id: i64, file: i64, done: bool) -> Job {
        let attempt = AttemptNumber::FIRST;
        let (at, seen) = (Moment(0), Moment(0));
        Job {
            id: JobId(id),
            run: RUN,
            task: TaskPath::new("bench", "each"),
            class: Class::Live,
            inputs: vec![InputId::File(FileId(file))],
            consumed: 1,
            lumis: Vec::new(),
            deadline: None,
            failures: 0,
            last_error: None,
            failure: None,
            needs: None,
            lineage: Lineage::default(),
            stamps: Stamps {
                seen,
                made: seen,
                sent: None,
                started: None,
                reported: None,
                done: None,
            },
            provisional: false,
            slice: None,
            estimate: None,
            to_error_dataset: false,
            latest_start: None,
            used: None,
            units: Vec::new(),
            recipe: None,
            state: if done {
                JobState::Done { attempt }
            } else {
                JobState::Sent { attempt, at }
            },
        }
    }

    #[test]
    fn lost_and_doubled_files_are_counted() {
        let check = |accepted: &[(&str, &[i64])], jobs: &[(i64, bool)], lost, doubled| {
            let accepted = accepted
                .iter()
                .map(|(name, ids)| {
                    let ids = ids.iter().copied().map(FileId).collect();
                    ((*name).to_owned(), ids)
                })
                .collect();
            let jobs: Vec<Job> = (100..)
                .zip(jobs)
                .map(|(id, (file, done))| job(id, *file, *done))
                .collect();
            let names = ["a".to_owned(), "b".to_owned()];
            assert_eq!(
                account(&names, &accepted, &jobs),
                Account { lost, doubled },
                "{jobs:?}"
            );
        };
        check(&[("a", &[1]), ("b", &[2])], &[(1, true), (2, true)], 0, 0);
        check(&[("a", &[1])], &[(1, true)], 1, 0);
        check(&[("a", &[1]), ("b", &[2])], &[(1, true), (2, false)], 1, 0);
        check(
            &[("a", &[1, 3]), ("b", &[2])],
            &[(1, true), (2, true)],
            0,
            1,
        );
        check(
            &[("a", &[1]), ("b", &[2])],
            &[(1, true), (2, true), (2, false)],
            0,
            1,
        );
    }
}
