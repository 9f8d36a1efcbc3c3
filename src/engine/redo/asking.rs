//! Asking: whether what was made with other constants than those in force shall be made again is,
//! where its task's rule says so, for a person to say.
//!
//! In come runs as they are, out comes one alarm a tag that counts what is concerned and names the
//! verb; and from a person who accepts the constants, the jobs that are made again. Nothing is
//! asked about what is on its way, or what somebody has given up.

use super::{Chain, Concerned, again};
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::command::{Intent, JobVerb, Order, Preview, Reply};
use model::ids::{JobId, OutputId, RunNumber};
use model::job::{Job, JobState};
use model::names::TagName;
use model::ruling::RulingKind;
use model::time::Moment;
use pipelines::release::Outdated;
use std::collections::{BTreeMap, BTreeSet};

/// Jobs that one command has made again at most, so that no step is long: the others stay asked
/// about.
const JOBS_AT_ONCE_MAX: usize = 10_000;
/// Runs that the alarm names one by one.
const RUNS_NAMED_MAX: usize = 10;
/// How the keys of alarms that ask begin.
pub(super) const ASKED: &str = "redo-asked/";

impl Engine {
    /// Brings up to date what a person is asked about a run.
    pub(super) fn note_asked(&mut self, number: RunNumber) {
        let mut asked: BTreeMap<TagName, Concerned> = BTreeMap::new();
        let jobs: BTreeSet<JobId> = self.asked_about(number, None).into_iter().collect();
        for job in &jobs {
            let job = &self.jobs[job];
            let Some(index) = self.plan_of(job) else {
                continue;
            };
            for tag in self.outdated_tags(job, index) {
                asked.entry(tag).or_default();
            }
        }
        for (tag, concerned) in &mut asked {
            let mut now = self.concerned_where(number, |job, index| {
                jobs.contains(&job.id) && self.outdated_tags(job, index).contains(tag)
            });
            // What a later run has measured from it is never made again.
            let is_own = |id: &OutputId| self.outputs[id].run == number;
            now.behind.retain(is_own);
            *concerned = now;
        }
        let known = self.redo.asked.keys().cloned();
        let tags: BTreeSet<TagName> = known.chain(asked.keys().cloned()).collect();
        for tag in tags {
            let now = asked.remove(&tag);
            let of_tag = self.redo.asked.entry(tag.clone()).or_default();
            let before = match now {
                Some(now) => of_tag.insert(number, now.clone()) != Some(now),
                None => of_tag.remove(&number).is_some(),
            };
            if of_tag.is_empty() {
                self.redo.asked.remove(&tag);
            }
            if before {
                self.redo.retell.insert(tag);
            }
        }
    }

    /// Whether a person is asked about a job.
    fn is_asked(&self, job: &Job, index: usize) -> bool {
        matches!(job.state, JobState::Done { .. })
            && !self.is_final(job, index)
            && self
                .runs
                .get(&job.run)
                .is_some_and(|work| work.run.run_type.publishes())
            && self.rule_on(job, index) == Outdated::Asked
    }

    /// Jobs of a run that other constants (of one tag as stored, or of any) concern and that are
    /// made again only when a person says so.
    fn asked_about(&self, number: RunNumber, tag: Option<&TagName>) -> Vec<JobId> {
        let again = again(self, number);
        let jobs = self.jobs_of(number);
        let done = jobs.filter(|job| matches!(job.state, JobState::Done { .. }));
        let meant = done.filter(|job| {
            let Some(index) = self.plan_of(job).filter(|index| self.is_asked(job, *index)) else {
                return false;
            };
            // Nobody is asked again about what is on its way, or what a person has given up.
            let second = again.get(&job.id).and_then(|second| self.jobs.get(second));
            let answered =
                second.is_some_and(|second| !matches!(second.state, JobState::Failed { .. }));
            !answered && self.is_outdated_in(job, index, tag)
        });
        meant.map(|job| job.id).collect()
    }

    /// At the end of a batch: says what is asked as it is now.
    pub(crate) fn tell_redo(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while let Some(tag) = self.redo.retell.pop_first() {
            let key = format!("{ASKED}{tag}");
            match self.redo.asked.get(&tag) {
                Some(runs) => {
                    let text = asked_in_words(&tag, runs);
                    self.restate_alarm(now, key, Severity::Medium, text, effects);
                }
                None => self.clear_alarm(now, &key, effects),
            }
        }
    }

    /// Forgets what was asked about a run that has left.
    pub(crate) fn forget_redo(&mut self, number: RunNumber) {
        self.redo.look.remove(&number);
        self.redo.held.remove(&number);
        let mut over = Vec::new();
        for (tag, runs) in &mut self.redo.asked {
            if runs.remove(&number).is_some() {
                over.push(tag.clone());
            }
        }
        self.redo.asked.retain(|_, runs| !runs.is_empty());
        self.redo.retell.extend(over);
    }

    /// A person accepts constants: what is held of them is put; where nothing is held, what was
    /// made with others than those in force is made again.
    pub(crate) fn accept_constants(
        &mut self,
        now: Moment,
        order: &Order,
        tag: &TagName,
        run: Option<RunNumber>,
        effects: &mut Vec<Effect>,
    ) -> Reply {
        if let Some(run) = run.filter(|run| !self.runs.contains_key(run)) {
            return Reply::Refused(if self.archive.knows(run) {
                crate::archive::refusal(run)
            } else {
                format!("run {run} is not known; `tier0 run ls` lists those that are")
            });
        }
        if let Some(reply) = self.accept_proposals(now, order, tag, run, effects) {
            return reply;
        }
        if !self.constants.iovs.contains_key(tag) {
            return Reply::Refused(format!(
                "nothing is in force of a tag {tag}; `tier0 calib tags` lists the tags"
            ));
        }
        let runs: Vec<RunNumber> = match run {
            Some(run) => vec![run],
            None => self.runs.keys().copied().collect(),
        };
        let meant = runs
            .iter()
            .flat_map(|run| self.asked_about(*run, Some(tag)));
        let (held, mut meant): (Vec<JobId>, Vec<JobId>) =
            meant.partition(|job| self.is_held(&self.jobs[job]));
        if let (Some(first), true) = (held.first(), meant.is_empty()) {
            let job = &self.jobs[first];
            let of_run = self.rulings.get(&(job.task.clone(), Some(job.run)));
            let path = match of_run.filter(|ruling| ruling.kind == RulingKind::Held) {
                Some(_) => format!("{} --run {}", job.task, job.run),
                None => job.task.to_string(),
            };
            return Reply::Refused(format!(
                "all {} jobs that are meant are of tasks that a person holds; `tier0 calib accept \
                 {path}` lets the task go, then ask once more",
                held.len()
            ));
        }
        let more = meant.len().saturating_sub(JOBS_AT_ONCE_MAX);
        meant.truncate(JOBS_AT_ONCE_MAX);
        if let Some(expected) = order.expect_count.filter(|n| *n != meant.len() as u64) {
            return Reply::Refused(format!(
                "jobs expected: {expected}, meant: {}; nothing was changed. Look again with \
                 --dry-run and ask with the count that it shows",
                meant.len()
            ));
        }
        let mut what = format!(
            "{} jobs that were given other constants of {tag}",
            meant.len()
        );
        if more > 0 {
            what.push_str(&format!(
                " (of {}: ask again for the rest)",
                meant.len() + more
            ));
        }
        if order.intent == Intent::Preview {
            let named = |id: &JobId| format!("job/{id}");
            return Reply::Would(Preview {
                would: format!("make again {what}, and all that was made from their outputs"),
                count: meant.len() as u64,
                objects: meant.iter().map(named).collect(),
            });
        }
        if meant.is_empty() {
            return Reply::Done(format!(
                "nothing is asked about {tag}: work was done with the constants in force, is on its \
                 way to be done again, or its rule says that it stays"
            ));
        }
        self.begin_again(now, &meant, effects);
        for run in runs {
            self.look_for_redo(run);
        }
        let done = format!("made again: {what}; then all that was made from their outputs");
        let object = format!("tag/{tag}");
        let before = "done with other constants than those in force".to_owned();
        self.audit(now, order, object, before, done.clone(), effects);
        Reply::Done(done)
    }

    /// Begins with some jobs: second ones, or further attempts of second ones that failed. A job
    /// that reads what is made again waits for that, and follows by itself.
    fn begin_again(&mut self, now: Moment, meant: &[JobId], effects: &mut Vec<Effect>) {
        let runs = meant.chunk_by(|one, next| self.jobs[one].run == self.jobs[next].run);
        let free: Vec<_> = runs.flat_map(|run| self.first_of_chain(run)).collect();
        for (id, second) in free {
            match second {
                Some(second) => {
                    self.change_job(now, second, JobVerb::Retry, effects);
                }
                None => {
                    let inputs = self.inputs_now(&self.jobs[&id]);
                    self.make_again(now, id, inputs);
                }
            }
        }
    }

    /// Of jobs of one run those that wait for none of the others, each with who does its work again
    /// already.
    fn first_of_chain(&self, meant: &[JobId]) -> Vec<(JobId, Option<JobId>)> {
        let Some(first) = meant.first() else {
            return Vec::new();
        };
        let mut chain = Chain::new(self, self.jobs[first].run);
        chain.unsettled.extend(meant.iter().map(|id| (*id, true)));
        let free = meant.iter().filter(|id| !chain.waits(&self.jobs[*id]));
        let free: Vec<JobId> = free.copied().collect();
        let with_second = free
            .into_iter()
            .map(|id| (id, chain.again.get(&id).copied()));
        with_second.collect()
    }
}

fn asked_in_words(tag: &TagName, runs: &BTreeMap<RunNumber, Concerned>) -> String {
    let outputs: usize = runs.values().map(|run| run.outputs.len()).sum();
    let behind: usize = runs.values().map(|run| run.behind.len()).sum();
    let named = runs.iter().take(RUNS_NAMED_MAX);
    let named = named.map(|(run, concerned)| {
        let (outputs, behind) = (concerned.outputs.len(), concerned.behind.len());
        format!("run {run}: {outputs} and {behind}")
    });
    let mut named = named.collect::<Vec<_>>().join("; ");
    if runs.len() > RUNS_NAMED_MAX {
        named.push_str(&format!("; {} runs more", runs.len() - RUNS_NAMED_MAX));
    }
    format!(
        "Constants of {tag} are in force with which {outputs} published outputs were not made; \
         {behind} more were made from those ({named}). Nothing is made again by itself: \
         `tier0 calib accept {tag}` has all of it made again, --run N that of one run (where the \
         tag is held it puts what was proposed: ask once more); `tier0 calib show --json` lists \
         the outputs. Runs that are archived are not made again."
    )
}
