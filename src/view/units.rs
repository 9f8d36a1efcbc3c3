//! Units inside files, as programs have accounted for them: time slices, frames, spills.
//!
//! In: the accounts of done jobs. Out: [`UnitAccountView`], [`RunUnitsView`]. Must never say that
//! nothing is missing when a count does; lists are bounded, counts never are.

use model::account::UnitAccount;
use model::job::Job;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Accounts that a run's view shows of one kind: the incomplete ones of the earliest jobs.
const LACKING_MAX: usize = 100;

/// Units of one kind within the input of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitAccountView {
    /// The job whose program has counted.
    pub job: i64,
    /// Units that should be there.
    pub expected: u64,
    /// Units that are.
    pub present: u64,
    /// Units that are not.
    pub absent: u64,
    /// Units that lack a part.
    pub partial: u64,
    /// Further copies of units.
    pub repeated: u64,
    /// Units that came after one of a higher number.
    pub out_of_order: u64,
    /// Numbers of absent units, closed ranges; not all of them where they are too many.
    pub absent_ranges: Vec<(u64, u64)>,
    /// Numbers of units that lack a part, closed ranges; not all of them where they are too many.
    pub partial_ranges: Vec<(u64, u64)>,
    /// What is counted.
    pub units: String,
    /// The account in one sentence.
    pub summary: String,
    /// What else has to be known to read the numbers rightly.
    pub note: String,
}

/// Units of one kind within a run, as one task has counted them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunUnitsView {
    /// The pipeline whose programs have counted.
    pub pipeline: String,
    /// Its task.
    pub task: String,
    /// What is counted.
    pub units: String,
    /// Whether nothing is missing.
    pub complete: bool,
    /// Jobs that gave an account.
    pub accounts: u64,
    /// Units that should be there.
    pub expected: u64,
    /// Units that are.
    pub present: u64,
    /// Units that are not.
    pub absent: u64,
    /// Units that lack a part.
    pub partial: u64,
    /// Further copies of units.
    pub repeated: u64,
    /// Units that came after one of a higher number.
    pub out_of_order: u64,
    /// The accounts in which something is missing, at most a hundred.
    pub lacking: Vec<UnitAccountView>,
}

impl UnitAccountView {
    /// From a job's account.
    pub fn of(job: &Job, account: &UnitAccount) -> Self {
        Self {
            job: job.id.0,
            expected: account.expected,
            present: account.present,
            absent: account.absent,
            partial: account.partial,
            repeated: account.repeated,
            out_of_order: account.out_of_order,
            absent_ranges: account.absent_ranges.clone(),
            partial_ranges: account.partial_ranges.clone(),
            units: account.units.clone(),
            summary: account.sentence(),
            note: account.note.clone(),
        }
    }
}

/// The accounts of a run, added up job by job.
#[derive(Debug, Default)]
pub struct RunUnits {
    rows: BTreeMap<(String, String, String), RunUnitsView>,
}

impl RunUnits {
    /// Adds what a job has counted.
    pub fn add(&mut self, job: &Job) {
        for account in &job.units {
            let (pipeline, task) = (job.task.pipeline.to_string(), job.task.task.to_string());
            let key = (pipeline.clone(), task.clone(), account.units.clone());
            let row = self.rows.entry(key).or_insert_with(|| RunUnitsView {
                pipeline,
                task,
                units: account.units.clone(),
                complete: true,
                accounts: 0,
                expected: 0,
                present: 0,
                absent: 0,
                partial: 0,
                repeated: 0,
                out_of_order: 0,
                lacking: Vec::new(),
            });
            row.accounts += 1;
            for (sum, of_job) in [
                (&mut row.expected, account.expected),
                (&mut row.present, account.present),
                (&mut row.absent, account.absent),
                (&mut row.partial, account.partial),
                (&mut row.repeated, account.repeated),
                (&mut row.out_of_order, account.out_of_order),
            ] {
                *sum = sum.saturating_add(of_job);
            }
            row.complete &= account.is_complete();
            if !account.is_complete() && row.lacking.len() < LACKING_MAX {
                row.lacking.push(UnitAccountView::of(job, account));
            }
        }
    }

    /// One row for each task and kind of unit.
    pub fn rows(self) -> Vec<RunUnitsView> {
        self.rows.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_add_up_and_the_incomplete_ones_are_shown() {
        let account = |absent: u64| UnitAccount {
            units: "spills".into(),
            expected: 10,
            present: 10 - absent,
            absent,
            partial: 0,
            repeated: 1,
            out_of_order: 2,
            absent_ranges: Vec::new(),
            partial_ranges: Vec::new(),
            note: String::new(),
        };
        let mut units = RunUnits::default();
        for (id, absent) in [(1, 0), (2, 3), (3, 0)] {
            units.add(&crate::latency::a_job(id, vec![account(absent)]));
        }
        let [row] = &units.rows()[..] else {
            panic!("one kind")
        };
        assert_eq!((row.accounts, row.expected, row.absent), (3, 30, 3));
        assert_eq!((row.repeated, row.out_of_order), (3, 6));
        assert!(!row.complete);
        let shown: Vec<i64> = row.lacking.iter().map(|account| account.job).collect();
        assert_eq!(shown, [2]);
    }
}
