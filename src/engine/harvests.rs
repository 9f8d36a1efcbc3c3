//! Harvests before the end of a run: jobs that read a task's window and leave it as it is.
//!
//! Kept here is what the splitter is told about them; which jobs they are is derived, because a job
//! that consumed nothing is one. What an early harvest measures counts only where it is a result:
//! it never ends the collecting of a run, and the last harvest of the run does not measure again
//! what is in force already.

use crate::Engine;
use model::conditions::GateOutcome;
use model::ids::{JobId, RunNumber};
use model::job::{InputId, JobState};
use model::names::TagName;
use pipelines::splitting::{HarvestState, Harvested};
use std::collections::BTreeSet;

impl Engine {
    /// The latest job of a task in a run that only read its window; at work as long as any is.
    pub(crate) fn harvested(&self, number: RunNumber, index: usize) -> Option<Harvested> {
        let work = self.runs.get(&number)?;
        let task = work.tasks.get(&index)?;
        let latest = &self.jobs[task.readers.last()?];
        let here: BTreeSet<InputId> = task.items.iter().map(|item| item.id).collect();
        let inputs = latest.inputs.iter().filter(|id| here.contains(id)).count();
        let ended_at = latest.stamps.done.or(latest.stamps.reported);
        let ended_at = ended_at.unwrap_or(latest.stamps.made);
        let at_work = |id: &JobId| !self.jobs[id].state.is_terminal();
        let rules = &self.plans[index].task.calibrates;
        // A harvest that decided nothing must not keep the last one from trying.
        let decided = rules.iter().all(|rule| self.has_spoken(number, &rule.tag));
        let state = match latest.state {
            _ if task.readers.iter().any(at_work) => HarvestState::Running,
            JobState::Done { .. } if decided => HarvestState::Done(ended_at),
            _ => HarvestState::Failed(ended_at),
        };
        Some(Harvested { inputs, state })
    }

    /// Whether a job only read its task's window.
    pub(crate) fn only_reads(&self, id: JobId) -> bool {
        self.jobs[&id].consumed == 0
    }

    /// Whether a constant of the run was measured before: by an early harvest.
    pub(crate) fn is_measured(&self, number: RunNumber, tag: &TagName) -> bool {
        let decision = self.constants.decisions.get(&(tag.clone(), number));
        decision.is_some_and(|decision| is_result(decision.outcome))
    }
}

/// Whether this outcome says what the constant of the run is.
pub(crate) fn is_result(outcome: GateOutcome) -> bool {
    matches!(outcome, GateOutcome::Update | GateOutcome::NoChange)
}
