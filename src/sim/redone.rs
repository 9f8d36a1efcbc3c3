//! What must be true of work that is made again (D17): who does it again, when, and that what is
//! published is at every moment the one or the other, and in the end what the rules say.
//!
//! In come rows and the definitions of their runs, out comes the sentence that says which promise
//! is broken. Worked out from rows alone: nothing here asks the engine.

use crate::puts::ASKED;
use crate::settled::stored;
use crate::tables::Tables;
use crate::world::World;
use model::conditions::{Iov, Since, TimeType};
use model::dataset::Output;
use model::fact::Fact;
use model::ids::{JobId, OutputId, RunNumber};
use model::job::{InputId, Job, JobState, Recipe, Slice, UsedConstant};
use model::names::{OutputLabel, TagName, TaskPath};
use model::run::{RunState, RunType};
use model::time::Moment;
use pipelines::definition::{Redo, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Tables {
    /// Where a job reads a tag as stored: its run; of a tag that counts by lumi each of its lumis,
    /// the run's first where it has none.
    pub(crate) fn points(&self, tag: &TagName, job: &Job) -> Vec<Since> {
        let by_lumi = self
            .tags
            .get(tag)
            .is_some_and(|row| row.time_type == TimeType::Lumi);
        if !by_lumi {
            return vec![Since::run(job.run)];
        }
        let lumis = job.lumis.iter().flat_map(|(first, last)| first.0..=last.0);
        let points: Vec<Since> = lumis.map(|lumi| Since::lumi(job.run, lumi)).collect();
        if points.is_empty() {
            vec![Since::lumi(job.run, Since::FIRST_LUMI)]
        } else {
            points
        }
    }

    /// The interval in force of a tag as stored at a point.
    pub(crate) fn in_force_at(&self, tag: &TagName, point: Since) -> Option<&Iov> {
        let (first, last) = ((tag.clone(), Since(0)), (tag.clone(), point));
        let mut up_to = self.in_force.range(first..=last);
        up_to.next_back().map(|(_, iov)| iov)
    }

    /// After a transaction: an output and the one in its place are never both published, and never
    /// neither, where one was.
    pub(crate) fn check_places(&self, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            let Fact::OutputIs(output) = fact else {
                continue;
            };
            let Some(first) = output.replaces.map(|first| &self.outputs[&first]) else {
                continue;
            };
            let stands = &self.outputs[&output.id];
            let superseded = first.superseded_by == Some(output.id) && first.block.is_none();
            let publishes = self.runs[&output.run].run_type != RunType::Test;
            let published = stands.block.is_some() || stands.superseded_by.is_some();
            if !superseded || (publishes && !published) {
                let (old, new) = (&first.name, &output.name);
                return Err(format!(
                    "I4: readers see both or neither of {old} and {new}"
                ));
            }
            if (first.dataset != output.dataset) || (first.label != output.label) {
                return Err(format!("I4: {} stands in no place of its own", output.name));
            }
        }
        Ok(())
    }

    /// Whether a job has the inputs that it had, or what stands in the place of those of them that
    /// were made again.
    pub(crate) fn same_inputs(&self, before: &Job, job: &Job) -> bool {
        let is_same = |(before, now): (&InputId, &InputId)| {
            before == now || (self.first_of(*before) == self.first_of(*now) && before < now)
        };
        before.inputs.len() == job.inputs.len()
            && before.inputs.iter().zip(&job.inputs).all(is_same)
    }

    /// The output that stood first where this one stands.
    fn first_of(&self, input: InputId) -> InputId {
        match input {
            InputId::Output(id) => match self.outputs.get(&id).and_then(|it| it.replaces) {
                Some(before) => self.first_of(InputId::Output(before)),
                None => input,
            },
            InputId::File(_) => input,
        }
    }

    /// Never two outputs that stand over the same input.
    fn check_one_stands(&self) -> Result<(), String> {
        type Place<'t> = (&'t TaskPath, &'t OutputLabel, InputId, Option<&'t Slice>);
        let mut stand: BTreeMap<Place<'_>, OutputId> = BTreeMap::new();
        let standing = |output: &&Output| output.superseded_by.is_none();
        for output in self.outputs.values().filter(standing) {
            let job = &self.jobs[&output.job];
            for input in job.inputs.iter().take(job.consumed as usize) {
                let first = self.first_of(*input);
                let place = (&job.task, &output.label, first, job.slice.as_ref());
                if let Some(other) = stand.insert(place, output.id) {
                    let one = output.id;
                    return Err(format!(
                        "I4: outputs {other} and {one} stand over {first:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Tags as stored of which a job was given another payload than is in force at some point where
    /// it reads them; of what has come by a moment only, with one.
    fn outdated(&self, job: &Job, task: &Task, by: Option<Moment>) -> BTreeSet<TagName> {
        let (Some(recipe), Some(run)) = (&job.recipe, self.runs.get(&job.run)) else {
            return BTreeSet::new();
        };
        let tags = task.conditions.iter();
        let tags = tags.map(|tag| (tag, stored(tag.as_str(), run.label)));
        let is_other = |(tag, stored): &(&TagName, TagName)| {
            self.points(stored, job).into_iter().any(|point| {
                let now = self.in_force_at(stored, point);
                let given = given_at(recipe, tag, point);
                let in_time = by.is_none_or(|by| now.is_some_and(|iov| iov.inserted_at <= by));
                in_time && given.map(|used| &used.hash) != now.map(|iov| &iov.hash)
            })
        };
        tags.filter(is_other).map(|(_, stored)| stored).collect()
    }
}

/// What a job was given of a tag for a point.
pub(crate) fn given_at<'r>(
    recipe: &'r Recipe,
    tag: &TagName,
    point: Since,
) -> Option<&'r UsedConstant> {
    let of_tag = recipe.constants.iter().filter(|used| used.tag == *tag);
    let begun = of_tag.filter(|used| used.since <= point);
    begun.max_by_key(|used| used.since)
}

impl World {
    /// A job that does another's work again is like it, and the other is done.
    pub(crate) fn check_made_again(&self, job: &Job) -> Result<(), String> {
        let Some(first) = job.lineage.redoes else {
            return Ok(());
        };
        let tables = &self.shadow;
        let broken = |what: &str| {
            Err(format!(
                "D17: job {} makes job {first} again, {what}",
                job.id
            ))
        };
        let Some(known) = tables.jobs.get(&first) else {
            return broken("which nobody knows");
        };
        if !matches!(known.state, JobState::Done { .. }) {
            return broken("which is not done");
        }
        let first_inputs = |job: &Job| -> Vec<InputId> {
            job.inputs.iter().map(|it| tables.first_of(*it)).collect()
        };
        let same = (&known.task, known.run, known.consumed, &known.slice)
            == (&job.task, job.run, job.consumed, &job.slice);
        if !same || first_inputs(known) != first_inputs(job) {
            return broken("with other input");
        }
        let stale = job.inputs.iter().any(|input| match input {
            InputId::Output(id) => tables.outputs[id].superseded_by.is_some(),
            InputId::File(_) => false,
        });
        if stale {
            return broken("from input in whose place other stands");
        }
        let feeders = job.inputs.iter().filter_map(|input| match input {
            InputId::Output(id) => Some(tables.outputs[id].job),
            InputId::File(_) => None,
        });
        let feeders: BTreeSet<JobId> = feeders.collect();
        let mut under_way = tables.jobs.values().filter(|it| !it.state.is_terminal());
        if under_way.any(|it| it.lineage.redoes.is_some_and(|it| feeders.contains(&it))) {
            return broken("while what it reads is made again itself");
        }
        let mut others = tables.jobs.values();
        if others.any(|other| other.lineage.redoes == Some(first)) {
            return broken("and so does another");
        }
        Ok(())
    }

    /// A job begins with what stands in the place of what was made again, and what has measured
    /// constants has measured them from that.
    pub(crate) fn check_reads_what_stands(&self, before: &Job, job: &Job) -> Result<(), String> {
        let measures = job.task.pipeline.as_str() == "calibration";
        // Rows of a batch come at its end: what counts is what was so in the step that did it.
        let at = match job.state {
            _ if before.state == job.state => None,
            JobState::Sent { .. } if !matches!(job.slice, Some(Slice::Events { .. })) => {
                job.stamps.sent
            }
            JobState::Done { .. } if measures => job.stamps.done,
            _ => None,
        };
        let outputs = &self.shadow.outputs;
        let stale = job.inputs.iter().find(|input| match input {
            InputId::Output(id) => {
                let instead = outputs[id].superseded_by.and_then(|id| outputs.get(&id));
                instead.zip(at).is_some_and(|(it, at)| it.committed_at < at)
            }
            InputId::File(_) => false,
        });
        match stale {
            Some(input) => Err(format!(
                "D17: job {} of {} is {} from {input:?}, which was made again before",
                job.id,
                job.task,
                job.state.word()
            )),
            None => Ok(()),
        }
    }

    /// What the engine says that other constants concern is what going back from each published
    /// output to the detector says.
    pub(crate) fn check_concerned(&self) -> Result<(), String> {
        let tables = &self.shadow;
        let at_work = tables.runs.values().filter(|run| !run.state.is_history());
        for run in at_work {
            let concerned = self.engine.concerned(run.number, None);
            let published = tables.outputs.values().filter(|it| it.block.is_some());
            let mut known = BTreeMap::new();
            for output in published.filter(|output| tables.is_at_work(output.run)) {
                let away = self.jobs_away(run.number, output.job, &mut known);
                let said = (
                    concerned.outputs.contains(&output.id),
                    concerned.behind.contains(&output.id),
                );
                if said != (away == Some(0), away.is_some_and(|away| away > 0)) {
                    let (name, number) = (&output.name, run.number);
                    return Err(format!(
                        "D17: of constants of run {number} {name} is {away:?} jobs away, which \
                         the engine says otherwise: {said:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// How many jobs away the nearest is that was given other constants for a run; none if no job
    /// on any way back was. What is known already of jobs on the way is not worked out again.
    fn jobs_away(
        &self,
        run: RunNumber,
        job: JobId,
        known: &mut BTreeMap<JobId, Option<u32>>,
    ) -> Option<u32> {
        if let Some(away) = known.get(&job) {
            return *away;
        }
        let away = self.count_jobs_away(run, job, known);
        known.insert(job, away);
        away
    }

    fn count_jobs_away(
        &self,
        run: RunNumber,
        job: JobId,
        known: &mut BTreeMap<JobId, Option<u32>>,
    ) -> Option<u32> {
        let tables = &self.shadow;
        let job = tables.jobs.get(&job)?;
        if !matches!(job.state, JobState::Done { .. }) {
            return None;
        }
        let is_other = |task: &Arc<Task>| {
            let mut tags = tables.outdated(job, task, None).into_iter();
            let stored = |tag: &TagName| stored(tag.as_str(), tables.runs[&run].label);
            let measures = |tag: &TagName| {
                let mut rules = task.calibrates.iter();
                rules.any(|rule| stored(&rule.tag) == *tag)
            };
            tags.any(|tag| !measures(&tag))
        };
        if job.run == run && self.task_of(job, tables).as_ref().is_some_and(is_other) {
            return Some(0);
        }
        let feeders = job.inputs.iter().filter_map(|input| match input {
            InputId::Output(id) => tables.outputs.get(id),
            InputId::File(_) => None,
        });
        let nearest = feeders.filter_map(|feeder| self.jobs_away(run, feeder.job, known));
        nearest.min().map(|away| away + 1)
    }

    /// Once everything has settled: what is published was made with the constants in force and from
    /// what is published, or a rule or a person says that it stays.
    pub(crate) fn check_made_again_settled(&self) -> Result<(), String> {
        let tables = self.kept();
        tables.check_one_stands()?;
        let again: BTreeMap<JobId, &Arc<Job>> = tables
            .jobs
            .values()
            .filter_map(|job| Some((job.lineage.redoes?, job)))
            .collect();
        let mut asked: BTreeSet<TagName> = BTreeSet::new();
        for job in tables.jobs.values() {
            asked.extend(self.check_stands(job, &again)?);
        }
        let standing = tables.alarms.values().filter(|a| a.cleared_at.is_none());
        let told = standing.filter_map(|alarm| alarm.key.strip_prefix(ASKED));
        let told: BTreeSet<TagName> = told.map(TagName::new).collect();
        if told != asked {
            return Err(format!(
                "D17: people are asked about {told:?}, not {asked:?}"
            ));
        }
        for quality in tables.quality.values() {
            let mut by = quality.tested_by.iter().map(|(job, _)| &tables.jobs[job]);
            let gone = |job: &&Arc<Job>| !matches!(job.state, JobState::Done { .. });
            if let Some(job) = by.find(gone) {
                let (run, id, word) = (quality.run, job.id, job.state.word());
                return Err(format!(
                    "D17: the verdict on run {run} rests on job {id}, which is {word}"
                ));
            }
        }
        Ok(())
    }

    /// Looks at one job in the end; which tags a person is asked about because of it.
    fn check_stands(
        &self,
        job: &Job,
        again: &BTreeMap<JobId, &Arc<Job>>,
    ) -> Result<BTreeSet<TagName>, String> {
        let tables = self.kept();
        let run = &tables.runs[&job.run];
        let nothing = Ok(BTreeSet::new());
        let Some(task) = self.task_of(job, tables) else {
            return nothing;
        };
        let done = matches!(job.state, JobState::Done { .. });
        let changes = job.consumed > 0 && task.calibrates.is_empty();
        if !done || !changes || run.run_type == RunType::Test || run.quarantined.is_some() {
            return nothing;
        }
        let second = again.get(&job.id).map(|second| &second.state);
        if matches!(second, Some(JobState::Cancelled { .. })) {
            return nothing;
        }
        let failed = matches!(second, Some(JobState::Failed { .. }));
        let (id, path) = (job.id, &job.task);
        let reads_old = job.inputs.iter().any(|input| match input {
            InputId::Output(id) => tables.outputs[id].superseded_by.is_some(),
            InputId::File(_) => false,
        });
        if reads_old && !failed {
            return Err(format!(
                "D17: job {id} ({path}) stands on what was made again"
            ));
        }
        // What came when it may have left is not for it any more.
        let by = match run.state {
            RunState::Archiving { finished_at, .. } | RunState::Archived { finished_at, .. } => {
                Some(finished_at)
            }
            _ => None,
        };
        let outdated = tables.outdated(job, &task, by);
        match (task.release.redo, job.provisional) {
            _ if outdated.is_empty() => nothing,
            (Redo::Never, _) => nothing,
            (Redo::Ask, false) if tables.is_at_work(job.run) => Ok(outdated),
            (Redo::Ask, false) => nothing,
            (Redo::Auto, _) | (Redo::Ask, true) if failed => nothing,
            (Redo::Auto, _) | (Redo::Ask, true) => Err(format!(
                "D17: job {id} ({path}) has other constants than those in force: {outdated:?}"
            )),
        }
    }

    /// The definition that a job was made by; none if its run has no such task.
    fn task_of(&self, job: &Job, tables: &Tables) -> Option<Arc<Task>> {
        let run = tables.runs.get(&job.run)?;
        let earlier = self.setup.earlier.iter();
        let mut all = earlier.chain([&self.setup.configuration]);
        let own = all.find(|one| one.hash == run.config_hash)?;
        let mut definitions = own.definitions.resolve(job.run).iter();
        let own = definitions.find(|definition| definition.name == job.task.pipeline)?;
        own.tasks
            .iter()
            .find(|task| task.name == job.task.task)
            .cloned()
    }
}
