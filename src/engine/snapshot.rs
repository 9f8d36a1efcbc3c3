//! A read-only picture for windows, drivers and tests: what is under way, what waits and why.

use crate::Engine;
use model::ids::{JobId, RunNumber, Token};
use model::names::TaskPath;
use model::time::Moment;
use pipelines::release::Released;

/// Something that waits, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The run.
    pub run: RunNumber,
    /// The task that waits; none when it is the run itself.
    pub task: Option<TaskPath>,
    /// For what.
    pub reason: String,
    /// When the wait ends by itself, if it does.
    pub until: Option<Moment>,
}

impl Engine {
    /// Jobs that an executor may hold now.
    pub fn jobs_out(&self) -> Vec<JobId> {
        self.jobs
            .values()
            .filter(|job| job.state.is_out())
            .map(|job| job.id)
            .collect()
    }

    /// Whether this attempt is under way.
    pub fn is_out(&self, token: Token) -> bool {
        let job = self.jobs.get(&token.job);
        job.is_some_and(|job| job.state.is_out() && self.token(job) == token)
    }

    /// Ready jobs that wait for a core.
    pub fn queue_length(&self) -> usize {
        self.queue.len()
    }

    /// Cores in use.
    pub fn cores_used(&self) -> u32 {
        self.cores_used
    }

    /// Runs that are not finished, and jobs that are neither done nor failed.
    pub fn live(&self) -> (u64, u64) {
        let finished = |work: &&crate::RunWork| {
            !matches!(work.run.state, model::run::RunState::Finished { .. })
        };
        let runs = self.runs.values().filter(finished);
        runs.fold((0, 0), |(runs, jobs), work| {
            let live: u32 = work.tasks.values().map(|task| task.live_jobs).sum();
            (runs + 1, jobs + u64::from(live))
        })
    }

    /// The good-run list as it is now.
    pub fn good_runs(&self) -> String {
        self.good_run_list()
    }

    /// What waits, and for what: runs for their data, tasks for their release.
    pub fn waits(&self, now: Moment) -> Vec<Wait> {
        let mut waits = Vec::new();
        for (number, work) in &self.runs {
            if !work.run.state.is_closed() {
                let reason = self.why_open(*number);
                waits.push(Wait {
                    run: *number,
                    task: None,
                    reason,
                    until: None,
                });
            }
            for index in work.tasks.keys() {
                if let Some(Released::Waits { reason, until }) = self.release(*number, *index, now)
                {
                    let task = Some(self.plans[*index].path.clone());
                    waits.push(Wait {
                        run: *number,
                        task,
                        reason,
                        until,
                    });
                }
            }
        }
        waits
    }

    /// Why a run is not closed.
    fn why_open(&self, number: RunNumber) -> String {
        let work = &self.runs[&number];
        let Some(last) = work.run.last_lumi else {
            return "its end was not announced yet".to_owned();
        };
        let short = work
            .streams
            .iter()
            .find(|(_, stream)| stream.frontier.reached() < last);
        match short {
            Some((name, stream)) => {
                let missing = stream.frontier.reached() + 1;
                format!("lumi {missing} of stream {name} is not complete")
            }
            None => "no file of any stream has come".to_owned(),
        }
    }
}
