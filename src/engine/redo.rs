//! Redo: constants that come after work was done with others (D17).
//!
//! A job keeps which constants its attempt was given, so what other ones concern follows from rows:
//! the jobs of the run that were given another payload, and all that was made from what they left.
//! What was done provisionally is made again when everything it was to have is decided; for better
//! constants a person is asked, by an alarm that counts what is concerned.
//!
//! A job that is made again is another job over the same input. Until it is done the first one has
//! the input and what it left stays published; in the step in which the new one wins, the old one
//! is superseded, its outputs leave their blocks and the new ones take their place, so nobody sees
//! both or neither. What was made from the old outputs is made again in the same way, once
//! everything it reads has settled. Nothing is kept here that rows do not say, but for who is to be
//! looked at.

mod asking;

use crate::global_tags::Read;
use crate::in_force::Place;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::conditions::{Since, TimeType};
use model::dataset::{BlockState, Output};
use model::fact::Fact;
use model::ids::{AttemptNumber, BlockId, JobId, LumiNumber, OutputId, RunNumber};
use model::job::{InputId, Job, JobEvent, JobState, Lineage, Slice, Stamps};
use model::lumi;
use model::names::{OutputLabel, TagName};
use model::time::Moment;
use pipelines::release::{Outdated, Released, outdated};
use std::collections::{BTreeMap, BTreeSet};

/// Who is to be looked at, and what is asked. Derived; a restart looks at every run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redo {
    pub(crate) look: BTreeSet<RunNumber>,
    /// Tasks of runs whose work is to be made again and which a person holds.
    held: BTreeMap<RunNumber, BTreeSet<usize>>,
    /// What a person is asked about, by the tag as stored and the run.
    asked: BTreeMap<TagName, BTreeMap<RunNumber, Concerned>>,
    /// Tags of which the alarm may say something that is no longer so.
    retell: BTreeSet<TagName>,
}

/// Published outputs that constants concern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concerned {
    /// Made with another payload than the one in force.
    pub outputs: BTreeSet<OutputId>,
    /// Made from those, by however many tasks.
    pub behind: BTreeSet<OutputId>,
}

/// The jobs of a run as far as they are made again.
struct Chain<'e> {
    engine: &'e Engine,
    number: RunNumber,
    /// The job that does the work of this one again, whatever has become of it.
    again: BTreeMap<JobId, JobId>,
    /// Whether something is still to come of a job's being made again, or of those in front of it.
    unsettled: BTreeMap<JobId, bool>,
}

impl Engine {
    /// Constants have changed for a run, or a job that concerns others has ended.
    pub(crate) fn look_for_redo(&mut self, number: RunNumber) {
        self.redo.look.insert(number);
    }

    /// A payload is in force that was not: runs that it may hold for may wait for it, have been
    /// worked on without it, or with it and be asked about no more. By time, those are the runs
    /// that began with it or later, whatever their numbers: one under way reads what was in force
    /// when it began.
    pub(crate) fn look_for_redo_since(&mut self, since: Since, time_type: TimeType) {
        let asked = self.redo.asked.values().flat_map(BTreeMap::keys).copied();
        let runs: BTreeSet<RunNumber> = asked.chain(self.runs_to_look_at()).collect();
        let is_behind = |number: &RunNumber| match since.run_number(time_type) {
            Some(first) => *number >= first,
            None => {
                let work = self.runs.get(number);
                work.is_some_and(|work| Since::time(work.run.opened_at) >= since)
            }
        };
        let behind: Vec<RunNumber> = runs.into_iter().filter(is_behind).collect();
        self.redo.look.extend(behind);
        self.look_at_readers_by_global_tag();
    }

    /// After a restart: what is asked is not a row, its alarm is.
    pub(crate) fn restore_redo(&mut self) {
        self.redo.look = self.runs_to_look_at();
        let asked = self.alarms.keys();
        let asked = asked.filter_map(|key| key.strip_prefix(asking::ASKED));
        self.redo.retell = asked.map(TagName::new).collect();
    }

    /// Runs with work that may be made again: one look at each job, however many runs there are.
    fn runs_to_look_at(&self) -> BTreeSet<RunNumber> {
        let jobs = self.jobs.values();
        let done = jobs.filter(|job| matches!(job.state, JobState::Done { .. }));
        let some = done.filter(|job| self.may_be_made_again(job));
        some.map(|job| job.run).collect()
    }

    pub(crate) fn next_redo(&mut self) -> Option<RunNumber> {
        self.redo.look.pop_first()
    }

    /// Whether a job was given other constants, or input in whose place other stands, so that it
    /// is worth a look at its run; a job that does another's work always is, and any of a run that
    /// somebody is asked about.
    pub(crate) fn may_be_made_again(&self, job: &Job) -> bool {
        let mut asked = self.redo.asked.values();
        job.lineage.redoes.is_some()
            || asked.any(|runs| runs.contains_key(&job.run))
            || job
                .inputs
                .iter()
                .any(|input| self.standing_for(*input) != *input)
            || self
                .plan_of(job)
                .is_some_and(|index| self.is_outdated(job, index))
    }

    /// Tags, as stored, of which a job that is done was given another payload than the one that is
    /// in force for its run. Of jobs of older versions nobody knows.
    fn outdated_tags(&self, job: &Job, index: usize) -> Vec<TagName> {
        let label = self.runs.get(&job.run).map(|work| work.run.label);
        let stored = |tag: &TagName| label.map(|label| crate::constants::stored_tag(tag, label));
        if self.plans[index].task.global_tag.is_some() {
            let tags = self.outdated_by_global_tag(job, index);
            return tags.iter().filter_map(stored).collect();
        }
        self.outdated(job, index).filter_map(stored).collect()
    }

    /// Whether there is any such tag.
    fn is_outdated(&self, job: &Job, index: usize) -> bool {
        if self.plans[index].task.global_tag.is_some() {
            return !self.outdated_by_global_tag(job, index).is_empty();
        }
        self.outdated(job, index).next().is_some()
    }

    /// Whether this tag as stored is one of them; any, without one.
    fn is_outdated_in(&self, job: &Job, index: usize, tag: Option<&TagName>) -> bool {
        match tag {
            Some(tag) => self.outdated_tags(job, index).contains(tag),
            None => self.is_outdated(job, index),
        }
    }

    /// The same tags as their task names them, where it names them itself.
    fn outdated<'e>(&'e self, job: &'e Job, index: usize) -> impl Iterator<Item = &'e TagName> {
        let known = job.recipe.as_ref().zip(self.runs.get(&job.run));
        known.into_iter().flat_map(move |(recipe, work)| {
            let place = Place::of(&work.run, &job.lumis);
            let other = move |tag: &&TagName| {
                let given = recipe.constants.iter().filter(|used| used.tag == **tag);
                let stored = place.stored(tag);
                !self.constants.is_as_given(&stored, place, None, given)
            };
            // Whoever measures a constant was given the one before, and is not made with its own.
            let tags = self.plans[index].task.conditions.iter();
            let others = tags.filter(move |tag| !self.calibrates(index, tag));
            others.filter(other)
        })
    }

    /// The same tags where a global tag leads to them.
    fn outdated_by_global_tag(&self, job: &Job, index: usize) -> Vec<TagName> {
        let (Some(recipe), Some(work)) = (&job.recipe, self.runs.get(&job.run)) else {
            return Vec::new();
        };
        let place = Place::of(&work.run, &job.lumis);
        let other = |read: &Read<'_>| {
            let given = recipe.constants.iter().filter(|used| used.tag == read.tag);
            let constants = &self.constants;
            !constants.is_as_given(&read.stored, place, read.by, given)
        };
        let is_own = |read: &Read<'_>| self.calibrates(index, &read.tag);
        let read = self.constants.read_by(&self.plans[index].task, &work.run);
        let others = read.into_iter().filter(|read| !is_own(read));
        others.filter(other).map(|read| read.tag).collect()
    }

    /// Whether a job does the work of one that still has the input of both.
    pub(crate) fn is_only_second(&self, job: &Job) -> bool {
        let first = job.lineage.redoes.and_then(|id| self.jobs.get(&id));
        first.is_some_and(|first| matches!(first.state, JobState::Done { .. }))
    }

    /// Published outputs of a run that were made with another payload of a tag (as stored; of any,
    /// without one) than the one in force, and those made from them: exactly these are concerned by
    /// the constants in force.
    pub fn concerned(&self, number: RunNumber, tag: Option<&TagName>) -> Concerned {
        self.concerned_where(number, |job, index| self.is_outdated_in(job, index, tag))
    }

    /// Jobs that are done and were given other constants than those in force, by run and task.
    pub(crate) fn outdated_jobs(&self) -> BTreeMap<(RunNumber, usize), BTreeSet<JobId>> {
        let mut outdated: BTreeMap<(RunNumber, usize), BTreeSet<JobId>> = BTreeMap::new();
        for job in self.jobs.values() {
            if let JobState::Done { .. } = job.state
                && let Some(index) = self.plan_of(job)
                && self.is_outdated(job, index)
            {
                outdated.entry((job.run, index)).or_default().insert(job.id);
            }
        }
        outdated
    }

    fn concerned_where(
        &self,
        number: RunNumber,
        is_meant: impl Fn(&Job, usize) -> bool,
    ) -> Concerned {
        let is_done = |job: &&Job| matches!(job.state, JobState::Done { .. });
        let meant = |job: &&Job| self.plan_of(job).is_some_and(|index| is_meant(job, index));
        let of_run = self.jobs_of(number);
        let direct = of_run.filter(is_done).filter(meant).map(|job| job.id);
        self.concerned_by(&direct.collect())
    }

    /// Published outputs of some jobs, and those made from them by however many tasks.
    pub(crate) fn concerned_by(&self, direct: &BTreeSet<JobId>) -> Concerned {
        let mut concerned = Concerned::default();
        if direct.is_empty() {
            return concerned;
        }
        let mut reached = direct.clone();
        let mut todo: Vec<JobId> = direct.iter().copied().collect();
        while let Some(job) = todo.pop() {
            for output in self.left_by(job) {
                let readers = self.readers(output.id);
                let done = readers.filter(|job| matches!(job.state, JobState::Done { .. }));
                todo.extend(done.map(|job| job.id).filter(|job| reached.insert(*job)));
                if output.block.is_none() {
                    continue;
                }
                if direct.contains(&job) {
                    concerned.outputs.insert(output.id);
                } else {
                    concerned.behind.insert(output.id);
                }
            }
        }
        concerned
    }

    /// What the rule of its task says of a job that other constants concern.
    fn rule_on(&self, job: &Job, index: usize) -> Outdated {
        let rule = &self.plans[index].task.release;
        self.with_facts(job.run, |facts| outdated(rule, job.provisional, facts))
    }

    /// Looks at a run: has made again what is to be, and notes what a person is asked.
    pub(crate) fn mind_redo(&mut self, now: Moment, number: RunNumber, effects: &mut Vec<Effect>) {
        let (due, held) = self.due_again(number);
        let before = if held.is_empty() {
            self.redo.held.remove(&number)
        } else {
            self.redo.held.insert(number, held)
        };
        if before.is_some() {
            // It may leave, once nothing of it is held.
            self.archive.look_again();
        }
        for (job, inputs) in due {
            self.make_again(now, job, inputs);
        }
        self.note_asked(number);
        self.tell_cut_otherwise(now, number, effects);
    }

    /// Jobs to make again now, with what they read, in the order of their ids; and tasks that have
    /// some which a person holds.
    fn due_again(&self, number: RunNumber) -> (Vec<(JobId, Vec<InputId>)>, BTreeSet<usize>) {
        if self.is_quarantined(number) || !self.runs.contains_key(&number) {
            return (Vec::new(), BTreeSet::new());
        }
        let mut chain = Chain::new(self, number);
        let jobs = self.jobs_of(number);
        let wanted: Vec<&Job> = jobs.filter(|job| chain.is_wanted(job)).collect();
        let held = wanted.iter().filter(|job| self.is_held(job));
        let held = held.filter_map(|job| self.plan_of(job)).collect();
        let due = wanted.into_iter().filter(|job| !chain.waits(job));
        let due = due.map(|job| (job.id, self.inputs_now(job))).collect();
        (due, held)
    }

    /// Whether work of a task of a run is to be made again and a person holds it; of any task,
    /// without one.
    pub(crate) fn holds_redo(&self, number: RunNumber, index: Option<usize>) -> bool {
        let held = self.redo.held.get(&number);
        held.is_some_and(|held| index.is_none_or(|index| held.contains(&index)))
    }

    pub(crate) fn inputs_now(&self, job: &Job) -> Vec<InputId> {
        let inputs = job.inputs.iter();
        inputs.map(|input| self.standing_for(*input)).collect()
    }

    /// Whether work is never made again once it is done: what measured constants has decided, what
    /// only looked at a window left no mark on it, and nobody knows how work of a configuration
    /// was done that cannot be read any more.
    fn is_final(&self, job: &Job, index: usize) -> bool {
        let work = self.runs.get(&job.run);
        !self.plans[index].task.calibrates.is_empty()
            || job.consumed == 0
            || !work.is_some_and(|work| self.configurations.knows(&work.run.config_hash))
            || self.is_cut_otherwise(job)
    }

    /// Whether a job took some events of an output in whose place one with more or fewer stands:
    /// which of them it would take nobody can say.
    pub(crate) fn is_cut_otherwise(&self, job: &Job) -> bool {
        let Some(Slice::Events { .. }) = &job.slice else {
            return false;
        };
        let events = |input: InputId| match input {
            InputId::Output(id) => self.outputs.get(&id).map(|output| output.events),
            InputId::File(_) => None,
        };
        let own = job.inputs.iter().take(job.consumed as usize);
        own.copied()
            .any(|input| events(input) != events(self.standing_for(input)))
    }

    /// Says which jobs of a run stay as they are because of how they were cut.
    fn tell_cut_otherwise(&mut self, now: Moment, number: RunNumber, effects: &mut Vec<Effect>) {
        let jobs = self.jobs_of(number);
        let done = jobs.filter(|job| matches!(job.state, JobState::Done { .. }));
        let cut = done.filter(|job| self.is_cut_otherwise(job));
        let cut: Vec<(JobId, String)> = cut.map(|job| (job.id, job.task.to_string())).collect();
        for (id, path) in cut {
            let text = format!(
                "Job {id} of {path}, run {number}, took a part of an output by its events; that \
                 output was made again and has another number of them, so the job cannot be made \
                 again over the same part. What it made stays, from the output as it was. Process \
                 the run again under a new processing if that matters."
            );
            let key = format!("redo-cut/{id}");
            self.alarm(now, key, Severity::Medium, text, effects);
        }
    }

    /// A second job for the work of one that is done.
    fn make_again(&mut self, now: Moment, first: JobId, inputs: Vec<InputId>) {
        let Some(first) = self.jobs.get(&first).cloned() else {
            return;
        };
        let Some(index) = self.plan_of(&first) else {
            return;
        };
        let id = JobId(self.ids.take());
        let job = Job {
            id,
            inputs,
            // It has no budget: what was to be in time was.
            deadline: None,
            latest_start: None,
            failures: 0,
            last_error: None,
            failure: None,
            lineage: Lineage {
                redoes: Some(first.id),
                ..Lineage::default()
            },
            stamps: Stamps {
                seen: first.stamps.seen,
                made: now,
                ..Stamps::default()
            },
            // What a gate would not let go now, or only with a mark, is not held back from being
            // better, and has the mark.
            provisional: !matches!(
                self.ask_gate(first.run, index, now),
                Released::Yes { provisional: false }
            ),
            used: None,
            units: Vec::new(),
            recipe: None,
            state: JobState::Ready {
                attempt: AttemptNumber::FIRST,
                not_before: now,
            },
            ..first
        };
        let number = job.run;
        self.keep_job(job);
        self.changed_jobs.insert(id);
        self.resume_task(number, index);
        let work = self.runs.get_mut(&number);
        if let Some(task) = work.and_then(|work| work.tasks.get_mut(&index)) {
            task.live_jobs += 1;
            task.made_jobs += 1;
        }
        self.enqueue(id);
    }

    /// The job that was done first, and what it left by label, when another job does its work.
    pub(crate) fn outputs_of_first(&self, id: JobId) -> BTreeMap<OutputLabel, OutputId> {
        let Some(first) = self.jobs[&id].lineage.redoes else {
            return BTreeMap::new();
        };
        let of_first = self.left_by(first);
        of_first
            .map(|output| (output.label.clone(), output.id))
            .collect()
    }

    /// A job that does another's work is done: it has the input from now on.
    pub(crate) fn supersede_first(&mut self, id: JobId) {
        let Some(first) = self.jobs[&id].lineage.redoes else {
            return;
        };
        if let Some(job) = self.jobs.get_mut(&first)
            && let Ok(state) = job.state.next(JobEvent::Replaced)
        {
            job.state = state;
            job.lineage.replaced_by = vec![id];
            self.changed_jobs.insert(first);
        }
    }

    /// An output leaves its block for another that stands in its place.
    pub(crate) fn withdraw(&mut self, id: OutputId, for_another: OutputId) {
        let Some(output) = self.outputs.get_mut(&id) else {
            return;
        };
        output.superseded_by = Some(for_another);
        let output = output.clone();
        let Some(block) = output.block else {
            return;
        };
        let pieces = self.pieces_of(output.job);
        let work = self.runs.get_mut(&output.run);
        let published = work.and_then(|work| work.published.get_mut(&output.dataset));
        if let Some(published) = published {
            published.retain(|piece, _| !pieces.contains_key(piece));
        }
        if let Some(output) = self.outputs.get_mut(&id) {
            output.block = None;
        }
        self.leave_block(&output, block);
    }

    fn leave_block(&mut self, output: &Output, id: BlockId) {
        let of_run = self.jobs_of(output.run);
        let of_run = of_run.flat_map(|job| self.left_by(job.id));
        let stay = of_run.filter(|it| it.block == Some(id));
        let stay = lumi::union(stay.flat_map(|it| it.lumis.iter().copied()));
        let Some(block) = self.blocks.get_mut(&id) else {
            return;
        };
        block.remove(output, stay);
        if block.state == BlockState::Open {
            return;
        }
        let blocks = self.blocks.values().filter(|block| {
            let is_closed = block.state != BlockState::Open;
            is_closed && block.run == output.run && block.dataset == output.dataset
        });
        let lumis: Vec<(LumiNumber, LumiNumber)> =
            lumi::union(blocks.flat_map(|block| block.lumis.iter().copied()));
        let key = (output.run, output.dataset.clone());
        if let Some(content) = self.contents.get_mut(&key)
            && let Some(dataset) = self.datasets.get_mut(&output.dataset)
        {
            content.remove(output, lumis, &mut dataset.closed);
        }
    }

    /// Writes down what an output has left.
    pub(crate) fn record_withdrawn(&self, before: &Output, effects: &mut Vec<Effect>) {
        if let Some(after) = self.outputs.get(&before.id) {
            effects.push(Effect::Record(Fact::OutputIs(after.clone())));
        }
        let block = before.block.and_then(|id| self.blocks.get(&id));
        let Some(block) = block.filter(|block| block.state != BlockState::Open) else {
            return;
        };
        effects.push(Effect::Record(Fact::BlockIs(block.clone())));
        let key = (before.run, before.dataset.clone());
        if let Some(content) = self.contents.get(&key) {
            effects.push(Effect::Record(Fact::ContentIs(content.clone())));
        }
        if let Some(dataset) = self.datasets.get(&before.dataset) {
            effects.push(Effect::Record(Fact::DatasetIs(dataset.clone())));
        }
    }
}

/// Jobs that do the work of others of a run again: the latest of each.
fn again(engine: &Engine, number: RunNumber) -> BTreeMap<JobId, JobId> {
    let jobs = engine.jobs_of(number);
    jobs.filter_map(|job| Some((job.lineage.redoes?, job.id)))
        .collect()
}

impl<'e> Chain<'e> {
    fn new(engine: &'e Engine, number: RunNumber) -> Self {
        Self {
            engine,
            number,
            again: again(engine, number),
            unsettled: BTreeMap::new(),
        }
    }

    /// Whether a second job is to be made for one that is done, now or when those in front of it
    /// have settled.
    fn is_wanted(&self, job: &Job) -> bool {
        let engine = self.engine;
        let is_done = matches!(job.state, JobState::Done { .. });
        let work = engine.runs.get(&self.number);
        let publishes = || work.is_some_and(|work| work.run.run_type.publishes());
        if !is_done || !publishes() || self.again.contains_key(&job.id) {
            return false;
        }
        let index = engine.plan_of(job);
        let Some(index) = index.filter(|index| !engine.is_final(job, *index)) else {
            return false;
        };
        let reads_other = |input: &InputId| engine.standing_for(*input) != *input;
        job.inputs.iter().any(reads_other)
            || (engine.rule_on(job, index) == Outdated::MadeAgain && engine.is_outdated(job, index))
    }

    /// Whether a job that is wanted again waits: a person holds its task, or something in front of
    /// it is still made again.
    fn waits(&mut self, job: &Job) -> bool {
        let held = self.engine.is_held(job);
        held || self
            .fed_by(job)
            .into_iter()
            .any(|feeder| self.is_unsettled(feeder))
    }

    /// Jobs of the run that made what a job would read now.
    fn fed_by(&self, job: &Job) -> BTreeSet<JobId> {
        let inputs = job.inputs.iter();
        let outputs = inputs.filter_map(|input| match self.engine.standing_for(*input) {
            InputId::Output(id) => self.engine.outputs.get(&id),
            InputId::File(_) => None,
        });
        let of_run = outputs.filter(|output| output.run == self.number);
        of_run.map(|output| output.job).collect()
    }

    fn is_unsettled(&mut self, id: JobId) -> bool {
        if let Some(known) = self.unsettled.get(&id) {
            return *known;
        }
        let Some(job) = self.engine.jobs.get(&id) else {
            return false;
        };
        let second = self.again.get(&id).and_then(|id| self.engine.jobs.get(id));
        let unsettled = second.is_some_and(|second| !second.state.is_terminal())
            || self.is_wanted(job)
            || self
                .fed_by(job)
                .into_iter()
                .any(|feeder| self.is_unsettled(feeder));
        self.unsettled.insert(id, unsettled);
        unsettled
    }
}
