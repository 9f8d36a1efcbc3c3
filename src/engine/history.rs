//! Measured history: what jobs of each task have used, so that estimates and predicted times rest
//! on it as soon as there is enough.
//!
//! Added up from the rows of jobs that are done, so a restart knows as much as before. Sums only:
//! whole numbers, in no order.

use crate::Engine;
use model::job::{Job, JobState};
use model::time::Span;
use model::units::Bytes;
use model::usage::TaskUsage;
use pipelines::splitting::{Cost, DEFAULT_PREDICTED_RUN};

/// Jobs of a task that must be done before their figures are believed.
const JOBS_MIN: u64 = 20;

/// What the jobs of a task have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    jobs: u64,
    events: u64,
    wall: i64,
    output: u64,
}

impl History {
    fn is_enough(&self) -> bool {
        self.jobs >= JOBS_MIN
    }

    /// How long a job runs.
    fn run(&self) -> Option<Span> {
        let jobs = i64::try_from(self.jobs).ok().filter(|_| self.is_enough())?;
        Some(Span(self.wall / jobs.max(1)))
    }
}

impl Engine {
    /// Adds a job that is done.
    pub(crate) fn learn_from(&mut self, job: &Job) {
        // One whose work was done again has used it all the same.
        let (JobState::Done { .. } | JobState::Superseded { .. }, Some(used)) =
            (&job.state, job.used)
        else {
            return;
        };
        let history = self.history.entry(job.task.clone()).or_default();
        history.jobs += 1;
        history.events = history.events.saturating_add(used.events.0);
        history.wall = history.wall.saturating_add(used.wall.0.max(0));
        history.output = history.output.saturating_add(used.output.0);
    }

    /// Adds what jobs of runs that are history have used.
    pub(crate) fn learn_usage(&mut self, usage: &TaskUsage) {
        let history = self.history.entry(usage.task.clone()).or_default();
        history.jobs += usage.jobs;
        history.events = history.events.saturating_add(usage.events);
        history.wall = history.wall.saturating_add(usage.wall_ns);
        history.output = history.output.saturating_add(usage.output_bytes);
    }

    /// What an event costs in a task: as measured, or the defaults of the field until there is
    /// enough; memory is what the task asks for.
    pub(crate) fn cost_of(&self, index: usize) -> Cost {
        let plan = &self.plans[index];
        let declared = Cost {
            memory: plan.task.needs.memory,
            ..Cost::default()
        };
        let history = self.history.get(&plan.path);
        let history = history.filter(|history| history.is_enough() && history.events > 0);
        history.map_or(declared, |history| {
            let events = i64::try_from(history.events).unwrap_or(i64::MAX);
            Cost {
                time_per_event: Span(history.wall / events),
                bytes_per_event: Bytes(history.output / history.events),
                ..declared
            }
        })
    }

    /// How long the rest of the chain within a task's pipeline will probably take, its own job
    /// included.
    pub(crate) fn rest_of(&self, index: usize) -> Span {
        let plan = &self.plans[index];
        let history = self.history.get(&plan.path);
        let own = history
            .and_then(History::run)
            .unwrap_or(DEFAULT_PREDICTED_RUN);
        let behind = plan.consumers.iter().map(|(_, next)| *next);
        let behind = behind.filter(|next| self.plans[*next].path.pipeline == plan.path.pipeline);
        let longest = behind.map(|next| self.rest_of(next)).max();
        own + longest.unwrap_or(Span::ZERO)
    }
}
