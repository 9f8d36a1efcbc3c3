//! Latencies as strangers see them: quantiles of a hop, against the budget where there is one.
//!
//! In: jobs with their stamps, or rows that the measures of a running instance hold. Out:
//! [`LatencyView`]. Must never interpolate: every quantile is a value that was measured (nearest
//! rank).

use model::job::Job;
use model::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Quantiles of one hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyView {
    /// The run, when the row is about one.
    pub run: Option<u32>,
    /// The pipeline; absent for a hop of the instance as a whole.
    pub pipeline: Option<String>,
    /// The task; absent for the pipeline as a whole.
    pub task: Option<String>,
    /// The hop, e.g. `seen_to_published`.
    pub hop: String,
    /// How many were measured.
    pub n: u64,
    /// Half of them took no longer.
    pub p50_s: f64,
    /// 90% of them took no longer.
    pub p90_s: f64,
    /// 99% of them took no longer.
    pub p99_s: f64,
    /// The longest.
    pub max_s: f64,
    /// The declared budget of this hop.
    pub budget_s: Option<f64>,
    /// How many were over it.
    pub missed: Option<u64>,
}

/// Collects the hops of a run's done jobs.
#[derive(Debug, Default)]
pub struct JobLatencies {
    hops: BTreeMap<HopKey, Vec<f64>>,
    budgets: BTreeMap<String, (Span, u64)>,
}

/// Pipeline, task (none for the pipeline as a whole), place in the flow, name of the hop.
type HopKey = (String, Option<String>, usize, &'static str);

/// The hop that budgets speak of.
const WHOLE: &str = "seen_to_published";

impl JobLatencies {
    /// Takes a job; one that is not done says nothing.
    pub fn add(&mut self, job: &Job) {
        let Some(done) = job.stamps.done else { return };
        let pipeline = job.task.pipeline.to_string();
        for (place, (hop, seconds)) in crate::job::HopsView::from(&job.stamps)
            .named()
            .into_iter()
            .enumerate()
        {
            let Some(seconds) = seconds else { continue };
            let task = Some(job.task.task.to_string());
            self.hops
                .entry((pipeline.clone(), task, place, hop))
                .or_default()
                .push(seconds);
            if hop == WHOLE {
                self.hops
                    .entry((pipeline.clone(), None, place, hop))
                    .or_default()
                    .push(seconds);
            }
        }
        if let Some(deadline) = job.deadline {
            let budget = deadline.since(job.stamps.seen);
            let (smallest, missed) = self.budgets.entry(pipeline).or_insert((budget, 0));
            *smallest = budget.min(*smallest);
            *missed += u64::from(done > deadline);
        }
    }

    /// One row for each pipeline: from file seen to output published.
    pub fn pipelines(&self, run: u32) -> Vec<LatencyView> {
        self.rows(run)
            .into_iter()
            .filter(|row| row.task.is_none())
            .collect()
    }

    /// Rows for each pipeline, then for each hop of each of its tasks.
    pub fn rows(&self, run: u32) -> Vec<LatencyView> {
        let row = |(key, seconds): (&HopKey, &Vec<f64>)| {
            let (pipeline, task, _, hop) = key;
            let budget = self.budgets.get(pipeline).filter(|_| task.is_none());
            let mut sorted = seconds.clone();
            sorted.sort_by(f64::total_cmp);
            LatencyView {
                run: Some(run),
                pipeline: Some(pipeline.clone()),
                task: task.clone(),
                hop: (*hop).to_owned(),
                n: sorted.len() as u64,
                p50_s: nearest_rank(&sorted, 50),
                p90_s: nearest_rank(&sorted, 90),
                p99_s: nearest_rank(&sorted, 99),
                max_s: nearest_rank(&sorted, 100),
                budget_s: budget.map(|(span, _)| span.as_secs_f64()),
                missed: budget.map(|(_, missed)| *missed),
            }
        };
        self.hops.iter().map(row).collect()
    }
}

/// The smallest value that at least `percent` of the sorted values do not exceed (nearest-rank
/// quantile).
fn nearest_rank(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
pub(crate) fn a_job(id: i64, units: Vec<model::account::UnitAccount>) -> Job {
    let job = tests::job("reco", 1, None);
    let id = model::ids::JobId(id);
    Job { id, units, ..job }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::{AttemptNumber, JobId, RunNumber};
    use model::job::{Class, JobState, Lineage, Stamps};
    use model::names::TaskPath;
    use model::time::Moment;

    pub(super) fn job(task: &str, took_s: i64, budget_s: Option<i64>) -> Job {
        let seen = Moment(0);
        Job {
            id: JobId(1),
            run: RunNumber(1),
            task: TaskPath::new("express", task),
            class: Class::Live,
            inputs: vec![],
            consumed: 0,
            lumis: vec![],
            deadline: budget_s.map(|s| seen + Span::from_secs(s)),
            failures: 0,
            last_error: None,
            failure: None,
            needs: None,
            lineage: Lineage::default(),
            stamps: Stamps {
                seen,
                done: Some(seen + Span::from_secs(took_s)),
                ..Stamps::default()
            },
            provisional: false,
            slice: None,
            estimate: None,
            to_error_dataset: false,
            latest_start: None,
            used: None,
            units: Vec::new(),
            recipe: None,
            state: JobState::Done {
                attempt: AttemptNumber::FIRST,
            },
        }
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let check = |values: &[f64], expect: [f64; 4]| {
            assert_eq!(
                [50, 90, 99, 100].map(|percent| nearest_rank(values, percent)),
                expect
            );
        };
        check(&[], [0.0; 4]);
        check(&[3.0], [3.0; 4]);
        check(&[1.0, 2.0], [1.0, 2.0, 2.0, 2.0]);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        check(&hundred, [50.0, 90.0, 99.0, 100.0]);
    }

    #[test]
    fn the_budget_belongs_to_the_pipeline_and_late_jobs_are_counted() {
        let mut latencies = JobLatencies::default();
        for took_s in [5, 30, 61] {
            latencies.add(&job("reco", took_s, Some(60)));
        }
        latencies.add(&job("merge", 59, Some(60)));
        let mut unfinished = job("reco", 1, Some(60));
        unfinished.stamps.done = None;
        latencies.add(&unfinished);
        let pipelines = latencies.pipelines(7);
        assert_eq!(pipelines.len(), 1);
        let whole = &pipelines[0];
        assert_eq!((whole.n, whole.p50_s, whole.p99_s), (4, 30.0, 61.0));
        assert_eq!((whole.budget_s, whole.missed), (Some(60.0), Some(1)));
        let of_tasks: Vec<_> = latencies
            .rows(7)
            .into_iter()
            .filter(|row| row.task.is_some())
            .collect();
        assert!(
            of_tasks
                .iter()
                .all(|row| row.budget_s.is_none() && row.run == Some(7))
        );
        assert!(
            of_tasks
                .iter()
                .any(|r| r.task.as_deref() == Some("merge") && r.hop == WHOLE)
        );
    }
}
