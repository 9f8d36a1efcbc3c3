//! Cutting: closed input becomes jobs. The engine keeps the windows; the splitters in the wing
//! `pipelines` decide.
//!
//! A task is looked at when its window changed, its wait may be over, or its splitter asked for it.
//! Consumed input leaves the window in the same step that makes the job, and a row says so: exactly
//! once (D10, D14).

use crate::lumi_work::LumiWork;
use crate::timers::Timer;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::fact::{Consumed, Fact};
use model::frontier::Frontier;
use model::ids::{AttemptNumber, JobId, LumiNumber, RunNumber};
use model::job::{ExitClass, InputId, Job, JobState, Lineage, Slice, Stamps};
use model::time::Moment;
use pipelines::release::Released;
use pipelines::splitting::{Cut, CutJob, Item, Splitter, Window, split};
use std::collections::BTreeSet;

/// No lumi is passed.
static NOTHING_PASSED: Frontier = Frontier::new();

impl Engine {
    /// Looks at one task of one run: releases, cuts, ends it.
    pub(crate) fn cut(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        effects: &mut Vec<Effect>,
    ) {
        self.settle_lumis(number, index);
        if self.is_quarantined(number) {
            self.conclude.insert(number);
            return;
        }
        let released = self.release(number, index, now);
        self.tell_global_tag(now, number, index, released.as_ref(), effects);
        let provisional = match released {
            Some(Released::Yes { provisional }) => provisional,
            Some(Released::Waits { until, .. }) => {
                if let Some(until) = until {
                    self.timers.set(until, Timer::Look(number, index));
                }
                // One that has nothing to do may end all the same.
                self.conclude.insert(number);
                return;
            }
            None => return,
        };
        if matches!(self.plans[index].task.splitter, Splitter::Plugin(_)) {
            self.cut_by_plugin(now, number, index, provisional, effects);
            self.conclude.insert(number);
            return;
        }
        loop {
            let mut cut = self.ask_splitter(now, number, index);
            // What is left may be older by itself than it was together with what is taken now.
            let again = cut.wake.is_some_and(|wake| wake <= now);
            self.note_wait(now, number, index, &mut cut);
            if cut.jobs.is_empty() && cut.quarantined.is_empty() && cut.declined.is_empty() {
                break;
            }
            self.take_cut(now, number, index, provisional, cut, effects);
            if !again {
                break;
            }
        }
        self.conclude.insert(number);
    }

    /// Keeps what the splitter waits for, and sees to it that it is asked again.
    fn note_wait(&mut self, now: Moment, number: RunNumber, index: usize, cut: &mut Cut) {
        let work = self.runs.get_mut(&number);
        let Some(task) = work.and_then(|work| work.tasks.get_mut(&index)) else {
            return;
        };
        task.holding = cut.holding.take();
        // One timer a task is enough: when it fires, the splitter says when to ask again.
        let covered = |wake: Moment| task.wake.is_some_and(|at| at > now && at <= wake);
        if let Some(wake) = cut.wake.filter(|wake| !covered(*wake)) {
            task.wake = Some(wake);
            self.timers.set(wake, Timer::Look(number, index));
        }
    }

    fn ask_splitter(&mut self, now: Moment, number: RunNumber, index: usize) -> Cut {
        let work = self.runs.get_mut(&number);
        if let Some(task) = work.and_then(|work| work.tasks.get_mut(&index)) {
            task.sort();
        }
        self.would_cut(now, number, index)
    }

    /// What the splitter makes of a window that is in order.
    pub(crate) fn would_cut(&self, now: Moment, number: RunNumber, index: usize) -> Cut {
        let plan = &self.plans[index];
        let cost = self.cost_of(index);
        let work = self.runs.get(&number);
        let Some((work, task)) = work.and_then(|work| Some((work, work.tasks.get(&index)?))) else {
            return Cut::default();
        };
        let Some(first) = task.items.first().map(|item| item.lumi) else {
            return Cut::default();
        };
        let harvested = self.harvested(number, index);
        let (frontier, split_active) = match &plan.upstream {
            None => (
                work.streams
                    .get(&plan.stream)
                    .map(|stream| &stream.frontier),
                BTreeSet::new(),
            ),
            Some((upstream, _)) if plan.tracks_lumis => {
                let upstream = work.tasks.get(upstream);
                let upstream = upstream.and_then(|task| task.lumi_work.as_ref());
                let last = task.items.iter().map(|item| item.last_lumi).max();
                let last = last.unwrap_or(first).max(first);
                let under_way = upstream.map(|work| work.under_way(first, last));
                (
                    upstream.map(LumiWork::settled),
                    under_way.unwrap_or_default(),
                )
            }
            Some(_) => (None, BTreeSet::new()),
        };
        let window = Window {
            passed: task
                .lumi_work
                .as_ref()
                .map_or(&NOTHING_PASSED, LumiWork::passed),
            split_active: &split_active,
            run_ended_at: work.run.ended_at,
            cost,
            oldest: task.oldest,
            harvested,
            at_once: self.is_accepted(&plan.path, number),
            ..Window::new(number, &task.items, frontier)
        };
        split(&plan.task.splitter, &window, task.input_closed, now)
    }

    /// Makes the jobs of a cut and takes their input out of the window.
    pub(crate) fn take_cut(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        provisional: bool,
        cut: Cut,
        effects: &mut Vec<Effect>,
    ) {
        let Some(task) = self
            .runs
            .get_mut(&number)
            .and_then(|work| work.tasks.get_mut(&index))
        else {
            return;
        };
        let items = std::mem::take(&mut task.items);
        let mut taken: BTreeSet<usize> = BTreeSet::new();
        let mut parts: BTreeSet<(usize, u64)> = BTreeSet::new();
        for job in &cut.jobs {
            for at in job.items.iter().filter(|_| !job.reads_only) {
                let once = match &job.slice {
                    Some(slice) => !taken.contains(at) && parts.insert((*at, slice.first())),
                    None => taken.insert(*at),
                };
                assert!(
                    once,
                    "a splitter gives each input, or part of one, away once"
                );
            }
            let inputs: Vec<&Item> = job.items.iter().map(|at| &items[*at]).collect();
            let id = self.make_job(now, number, index, &inputs, job, provisional, effects);
            self.follow_job(id, index);
            self.tell_of_job(now, id, index, effects);
            self.enqueue(id);
        }
        // All parts of an input are cut at once.
        taken.extend(parts.iter().map(|(at, _)| *at));
        for (at, _) in &cut.declined {
            if taken.insert(*at) {
                self.decline(number, index, &items[*at], effects);
            }
        }
        for (at, reason) in &cut.quarantined {
            if taken.insert(*at) {
                self.quarantine(now, number, index, &items[*at], reason, effects);
            }
        }
        if let Some(task) = self
            .runs
            .get_mut(&number)
            .and_then(|work| work.tasks.get_mut(&index))
        {
            task.items = items;
            task.take_out(&taken);
        }
        self.settle_lumis(number, index);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a job is made of, and where it goes"
    )]
    fn make_job(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        items: &[&Item],
        cut: &CutJob,
        provisional: bool,
        effects: &mut Vec<Effect>,
    ) -> JobId {
        let id = JobId(self.ids.take());
        let plan = &self.plans[index];
        let seen = items.iter().map(|item| item.seen_at).min().unwrap_or(now);
        let mut inputs: Vec<InputId> = items.iter().map(|item| item.id).collect();
        for item in items.iter().filter(|_| !cut.reads_only) {
            let consumed = Consumed {
                task: plan.path.clone(),
                input: self.first_of(item.id),
                first_event: cut.slice.as_ref().map_or(item.first_event, Slice::first),
                run: number,
                job: id,
            };
            effects.push(Effect::Record(Fact::ConsumedIs(consumed)));
        }
        let consumed = if cut.reads_only {
            0
        } else {
            inputs.len() as u32
        };
        inputs.extend(self.inputs_still_collecting(number, index));
        let deadline = plan.budget.map(|budget| budget.deadline(seen));
        let job = Job {
            id,
            run: number,
            task: plan.path.clone(),
            class: plan.class,
            inputs,
            consumed,
            lumis: self.lumis_of(number, items, cut),
            deadline,
            failures: 0,
            last_error: None,
            failure: None,
            needs: None,
            lineage: Lineage::default(),
            stamps: Stamps {
                seen,
                made: now,
                ..Stamps::default()
            },
            provisional,
            slice: cut.slice.clone(),
            estimate: cut.estimate,
            to_error_dataset: cut.to_error_dataset,
            latest_start: deadline.map(|deadline| deadline - self.rest_of(index)),
            used: None,
            units: Vec::new(),
            recipe: None,
            state: JobState::Ready {
                attempt: AttemptNumber::FIRST,
                not_before: now,
            },
        };
        if let Some(task) = self
            .runs
            .get_mut(&number)
            .and_then(|work| work.tasks.get_mut(&index))
        {
            task.live_jobs += 1;
            task.made_jobs += 1;
            if cut.reads_only {
                task.readers.insert(id);
            }
        }
        self.keep_job(job);
        self.changed_jobs.insert(id);
        id
    }

    /// The lumis that a job covers: those of an output need not follow each other, and a slice may
    /// say which of them are meant.
    fn lumis_of(
        &self,
        number: RunNumber,
        items: &[&Item],
        cut: &CutJob,
    ) -> Vec<(LumiNumber, LumiNumber)> {
        let of_run = |content: &[(RunNumber, LumiNumber, LumiNumber)]| {
            let own = content.iter().filter(|(run, ..)| *run == number);
            own.map(|(_, first, last)| (*first, *last))
                .collect::<Vec<_>>()
        };
        match &cut.slice {
            Some(Slice::Lumis(lumis)) => return ranges(of_run(lumis).into_iter()),
            Some(Slice::Generated {
                first_lumi,
                last_lumi,
                ..
            }) => return vec![(*first_lumi, *last_lumi)],
            Some(Slice::Events { .. }) | None => {}
        }
        ranges(items.iter().flat_map(|item| match item.id {
            _ if !item.content.is_empty() => of_run(&item.content),
            InputId::File(_) => vec![(item.lumi, item.last_lumi)],
            InputId::Output(id) => self.outputs[&id].lumis.clone(),
        }))
    }

    /// An input that no job shall work on: a row says so, or a restart would ask again.
    fn decline(&mut self, number: RunNumber, index: usize, item: &Item, effects: &mut Vec<Effect>) {
        let consumed = Consumed {
            task: self.plans[index].path.clone(),
            input: self.first_of(item.id),
            first_event: item.first_event,
            run: number,
            job: JobId::NOBODY,
        };
        self.declined
            .insert((consumed.task.clone(), consumed.input));
        effects.push(Effect::Record(Fact::ConsumedIs(consumed)));
    }

    /// An input that no job can work on: a job that has failed, so that it is visible, accounted
    /// for and can be tried again.
    fn quarantine(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        item: &Item,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) {
        let name = item.name.clone();
        let whole = CutJob::default();
        let id = self.make_job(now, number, index, &[item], &whole, false, effects);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.last_error = Some(reason.to_owned());
            job.state = JobState::Failed {
                attempt: AttemptNumber::FIRST,
                class: ExitClass::Input,
            };
        }
        self.follow_job(id, index);
        if let Some(task) = self
            .runs
            .get_mut(&number)
            .and_then(|work| work.tasks.get_mut(&index))
        {
            task.live_jobs -= 1;
        }
        let path = &self.plans[index].path;
        let text = format!(
            "{path} cannot work on {name} of run {number}: {reason}. It is kept as failed job \
             {id}; `tier0 job retry {id}` tries it all the same."
        );
        self.alarm(
            now,
            format!("quarantined/{id}"),
            Severity::High,
            text,
            effects,
        );
    }
}

/// Lumi ranges merged where they touch, in order.
pub(crate) fn ranges(
    lumis: impl Iterator<Item = (LumiNumber, LumiNumber)>,
) -> Vec<(LumiNumber, LumiNumber)> {
    model::lumi::union(lumis)
}
