//! Standing: which output stands where another stood that was made again, and who has it.
//!
//! In: an output that takes another's place. Out: windows and jobs that have not begun have the new
//! one; a harvest that read the old one while the new one came is made again, and of constants that
//! were measured before somebody is told. Under its first name an input is taken once, whatever
//! stands there by then.

use crate::constants::stored_tag;
use crate::outputs::item_of_output;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::conditions::GateOutcome;
use model::dataset::Output;
use model::ids::{JobId, OutputId};
use model::job::{InputId, Job, JobState};
use model::names::TagName;
use model::time::Moment;
use pipelines::splitting::Item;

/// The alarm's kind about constants that were measured from what was made again; its key is that
/// and the job.
pub(crate) const MEASURED_BEFORE: &str = "measured-before";

impl Engine {
    /// The input that stands where this one stood.
    pub(crate) fn standing_for(&self, input: InputId) -> InputId {
        let mut now = input;
        while let InputId::Output(id) = now
            && let Some(next) = self.outputs.get(&id).and_then(|it| it.superseded_by)
        {
            now = InputId::Output(next);
        }
        now
    }

    /// What stands where an output stood, as a splitter sees it: it has waited as long.
    pub(crate) fn item_standing_for(&self, output: &Output) -> Item {
        let standing = match self.standing_for(InputId::Output(output.id)) {
            InputId::Output(id) => &self.outputs[&id],
            InputId::File(_) => output,
        };
        Item {
            came_at: output.committed_at,
            ..item_of_output(standing)
        }
    }

    /// Windows that hold what an output takes the place of have that output.
    pub(crate) fn stand_in_windows(&mut self, output: &Output, before: OutputId) {
        let item = item_of_output(output);
        let Some(work) = self.runs.get_mut(&output.run) else {
            return;
        };
        for (index, task) in &mut work.tasks {
            if task.replace(InputId::Output(before), item.clone()) {
                self.look_at.insert((output.run, *index));
            }
        }
    }

    /// A job that is about to begin reads what stands in the place of what was made again since it
    /// was made.
    pub(crate) fn read_what_stands(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let inputs = self.inputs_now(job);
        if inputs != job.inputs && !self.is_cut_otherwise(job) {
            self.give_inputs(id, inputs);
        }
    }

    /// Whether a job measured constants from what was made again while it did: nobody measures
    /// twice, so it must not count.
    pub(crate) fn has_measured_before(&self, job: &Job, index: usize) -> bool {
        let is_stale = |input: &InputId| self.standing_for(*input) != *input;
        !self.plans[index].task.calibrates.is_empty() && job.inputs.iter().any(is_stale)
    }

    /// Says which constants were measured from an output in whose place another stands now.
    pub(crate) fn tell_measured_before(
        &mut self,
        now: Moment,
        output: OutputId,
        effects: &mut Vec<Effect>,
    ) {
        let readers = self.readers(output);
        let done = readers.filter(|job| matches!(job.state, JobState::Done { .. }));
        let measured = done.filter_map(|job| {
            let rules = &self.plans[self.plan_of(job)?].task.calibrates;
            let decided = rules
                .iter()
                .filter(|rule| self.is_measured_by(job, &rule.tag));
            let tags: Vec<&str> = decided.map(|rule| rule.tag.as_str()).collect();
            (!tags.is_empty()).then(|| (job.id, job.run, tags.join(", ")))
        });
        for (id, run, tags) in measured.collect::<Vec<_>>() {
            let text = format!(
                "Job {id} measured constants of run {run} ({tags}) from outputs that were made \
                 again since. Nothing is measured twice: what was decided stays. `tier0 calib \
                 show` shows it; if it must change, `tier0 calib put` puts another constant, or \
                 process the run again under a new processing."
            );
            let key = format!("{MEASURED_BEFORE}/{id}");
            self.alarm(now, key, Severity::Medium, text, effects);
        }
    }

    /// Whether a harvest that is done may have decided on a tag: one that only collected, or had
    /// nothing to say, has not.
    fn is_measured_by(&self, job: &Job, tag: &TagName) -> bool {
        let label = self.runs.get(&job.run).map(|work| work.run.label);
        let Some(stored) = label.map(|label| stored_tag(tag, label)) else {
            return false;
        };
        let decision = self.constants.decisions.get(&(stored.clone(), job.run));
        let collects = decision.is_none_or(|it| it.outcome == GateOutcome::Collecting);
        let only_read = job.consumed == 0;
        !collects && (!only_read || self.is_measured(job.run, &stored))
    }

    /// The output that stood first where this one stands.
    pub(crate) fn first_of(&self, input: InputId) -> InputId {
        let mut first = input;
        while let InputId::Output(id) = first
            && let Some(before) = self.outputs.get(&id).and_then(|it| it.replaces)
        {
            first = InputId::Output(before);
        }
        first
    }
}
