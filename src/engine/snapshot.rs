//! A read-only picture for windows, drivers and tests: what is under way.

use crate::Engine;
use model::ids::{JobId, LumiNumber, RunNumber, Token};
use model::lumi::LumiState;
use model::names::StreamName;
use model::time::Moment;

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

    /// Ready jobs that wait for a core, in the order in which they would get one now.
    pub fn queue_order(&self, now: Moment) -> Vec<JobId> {
        let mut queue = self.queue.clone();
        std::iter::from_fn(|| queue.pop(now)).collect()
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

    /// How far the lumis of a run are of which anything is known.
    pub fn lumi_states(
        &self,
        run: RunNumber,
    ) -> impl Iterator<Item = (&StreamName, LumiNumber, LumiState)> {
        let streams = self
            .runs
            .get(&run)
            .into_iter()
            .flat_map(|work| &work.streams);
        streams.flat_map(|(name, stream)| {
            let lumis = stream.lumis.iter();
            lumis.map(move |(lumi, entry)| (name, *lumi, entry.state))
        })
    }

    /// The good-run list as it is now.
    pub fn good_runs(&self) -> String {
        self.good_run_list()
    }
}
