//! Cutting: closed input becomes jobs. The engine keeps the windows; the splitters in the wing
//! `pipelines` decide.
//!
//! A task is looked at when its window changed, its wait may be over, or its splitter asked for it.
//! Consumed input leaves the window in the same step that makes the job, and a row says so: exactly
//! once (D10, D14).

use crate::timers::Timer;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::fact::{Consumed, Fact};
use model::ids::{AttemptNumber, JobId, LumiNumber, RunNumber};
use model::job::{ExitClass, InputId, Job, JobState, Stamps};
use model::time::Moment;
use pipelines::release::{Released, released};
use pipelines::splitting::{Cut, Item, Window, split};

impl Engine {
    /// Looks at one task of one run: releases, cuts, ends it.
    pub(crate) fn cut(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        effects: &mut Vec<Effect>,
    ) {
        let provisional = match self.release(number, index, now) {
            Some(Released::Yes { provisional }) => provisional,
            Some(Released::Waits { until, .. }) => {
                if let Some(until) = until {
                    self.timers.set(until, Timer::Look(number, index));
                }
                return;
            }
            None => return,
        };
        let cut = self.ask_splitter(now, number, index);
        if let Some(wake) = cut.wake {
            self.timers.set(wake, Timer::Look(number, index));
        }
        if !cut.jobs.is_empty() || !cut.quarantined.is_empty() {
            self.take_cut(now, number, index, provisional, cut, effects);
        }
        self.conclude.insert(number);
    }

    /// Whether the task's jobs may exist; `None` when there is no such task.
    pub(crate) fn release(&self, number: RunNumber, index: usize, now: Moment) -> Option<Released> {
        let work = self.runs.get(&number)?;
        let task = work.tasks.get(&index)?;
        let plan = &self.plans[index];
        if task.ended {
            return None;
        }
        if let Some(reason) = self.waits_for_earlier_run(number, index) {
            return Some(Released::Waits {
                reason,
                until: None,
            });
        }
        let closed_at = match work.run.state {
            model::run::RunState::Closed { at } => Some(at),
            model::run::RunState::Finished { closed_at, .. } => Some(closed_at),
            model::run::RunState::Open | model::run::RunState::Ending => None,
        };
        Some(released(
            &plan.task.release,
            |tag| !work.decided.contains(tag),
            closed_at,
            now,
        ))
    }

    fn ask_splitter(&mut self, now: Moment, number: RunNumber, index: usize) -> Cut {
        let plan = &self.plans[index];
        let Some(work) = self.runs.get_mut(&number) else {
            return Cut::default();
        };
        let Some(task) = work.tasks.get_mut(&index) else {
            return Cut::default();
        };
        if task.items.is_empty() {
            return Cut::default();
        }
        task.sort();
        let frontier = match plan.upstream {
            None => work
                .streams
                .get(&plan.stream)
                .map(|stream| &stream.frontier),
            Some(_) => None,
        };
        let window = Window::new(number, &task.items, frontier);
        split(&plan.task.splitter, &window, task.input_closed, now)
    }

    /// Makes the jobs of a cut and takes their input out of the window.
    fn take_cut(
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
        let mut slots: Vec<Option<Item>> = items.into_iter().map(Some).collect();
        for job in cut.jobs {
            let taken: Vec<Item> = job
                .items
                .iter()
                .filter_map(|at| slots[*at].take())
                .collect();
            assert_eq!(
                taken.len(),
                job.items.len(),
                "a splitter gives each input away once"
            );
            let id = self.make_job(now, number, index, &taken, provisional, effects);
            self.enqueue(id);
        }
        for (at, reason) in cut.quarantined {
            if let Some(item) = slots[at].take() {
                self.quarantine(now, number, index, item, &reason, effects);
            }
        }
        if let Some(task) = self
            .runs
            .get_mut(&number)
            .and_then(|work| work.tasks.get_mut(&index))
        {
            task.items = slots.into_iter().flatten().collect();
        }
    }

    fn make_job(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        items: &[Item],
        provisional: bool,
        effects: &mut Vec<Effect>,
    ) -> JobId {
        let id = JobId(self.ids.take());
        let plan = &self.plans[index];
        let seen = items.iter().map(|item| item.seen_at).min().unwrap_or(now);
        let mut inputs: Vec<InputId> = items.iter().map(|item| item.id).collect();
        for input in &inputs {
            let consumed = Consumed {
                task: plan.path.clone(),
                input: *input,
                run: number,
                job: id,
            };
            effects.push(Effect::Record(Fact::ConsumedIs(consumed)));
        }
        let consumed = inputs.len() as u32;
        inputs.extend(self.inputs_still_collecting(number, index));
        let job = Job {
            id,
            run: number,
            task: plan.path.clone(),
            class: plan.class,
            inputs,
            consumed,
            lumis: ranges(items.iter().flat_map(|item| self.lumis_of(item))),
            deadline: plan.budget.map(|budget| budget.deadline(seen)),
            failures: 0,
            last_error: None,
            stamps: Stamps {
                seen,
                made: now,
                ..Stamps::default()
            },
            provisional,
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
        }
        self.jobs.insert(id, job);
        self.changed_jobs.insert(id);
        id
    }

    /// The lumis an input holds: those of an output need not follow each other.
    fn lumis_of(&self, item: &Item) -> Vec<(LumiNumber, LumiNumber)> {
        match item.id {
            InputId::File(_) => vec![(item.lumi, item.last_lumi)],
            InputId::Output(id) => self.outputs[&id].lumis.clone(),
        }
    }

    /// An input that no job can work on: a job that has failed, so that it is visible, accounted
    /// for and can be tried again.
    fn quarantine(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        item: Item,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) {
        let name = item.name.clone();
        let id = self.make_job(now, number, index, &[item], false, effects);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.last_error = Some(reason.to_owned());
            job.state = JobState::Failed {
                attempt: AttemptNumber::FIRST,
                class: ExitClass::Input,
            };
        }
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
            format!("quarantined/{path}/{name}"),
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
    let mut sorted: Vec<(LumiNumber, LumiNumber)> = lumis.collect();
    sorted.sort_unstable();
    let mut merged: Vec<(LumiNumber, LumiNumber)> = Vec::new();
    for (first, last) in sorted {
        match merged.last_mut() {
            Some((_, end)) if first.0 <= end.0.saturating_add(1) => *end = (*end).max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lumi_ranges_merge_where_they_touch() {
        let check = |lumis: &[(u32, u32)], expect: &[(u32, u32)]| {
            let lumi = |(a, b): &(u32, u32)| (LumiNumber(*a), LumiNumber(*b));
            let expect: Vec<_> = expect.iter().map(lumi).collect();
            assert_eq!(ranges(lumis.iter().map(lumi)), expect);
        };
        check(&[], &[]);
        check(&[(3, 3), (1, 1), (2, 2)], &[(1, 3)]);
        check(&[(1, 4), (2, 3), (6, 6)], &[(1, 4), (6, 6)]);
    }
}
