//! Releases: whether a task's jobs may exist for a run, and what a person has ruled on it (D17).
//!
//! The rule is data of the wing `pipelines`; here is known what it asks about. Two more things have
//! a say: earlier runs whose constants are decided first, for a bounded time, and rulings of
//! people, which stand above every rule. A ruling is a row: `held` keeps jobs of a task from being
//! made (for one run, or for all), `accepted` lets them be made now, whatever the rule still waits
//! for.

use crate::setup::TaskPlan;
use crate::{Effect, Engine};
use model::command::Reply;
use model::fact::Fact;
use model::ids::{JobId, RunNumber};
use model::job::Job;
use model::names::{TagName, TaskPath};
use model::quality::RunVerdict;
use model::ruling::{GateRun, GateState, Ruling, RulingKind};
use model::run::RunState;
use model::time::Moment;
use model::wait::WaitKind;
use pipelines::definition::When;
use pipelines::release::{
    Released, RunFacts, Undecided, first_condition_safe_run, held_back, locked_from, released,
};
use std::collections::{BTreeMap, BTreeSet};

impl Engine {
    /// Whether the task's jobs may exist; `None` when there is no such task or it has ended.
    pub(crate) fn release(&self, number: RunNumber, index: usize, now: Moment) -> Option<Released> {
        let task = self.runs.get(&number)?.tasks.get(&index)?;
        // One that has ended is asked all the same while its work is to be made again.
        let asked = !task.ended || self.holds_redo(number, Some(index));
        asked.then(|| self.ask_gate(number, index, now))
    }

    pub(crate) fn ask_gate(&self, number: RunNumber, index: usize, now: Moment) -> Released {
        let plan = &self.plans[index];
        let ruled = self.ruling(&plan.path, number);
        let rule = &plan.task.release;
        // What nobody has brought is told first: no bound ends that wait.
        let by_rule = || {
            let waits = self.waits_for_global_tag(number, index);
            waits.unwrap_or_else(|| self.with_facts(number, |facts| released(rule, facts, now)))
        };
        match ruled {
            Some(ruling) if ruling.kind == RulingKind::Held => Released::Waits {
                kind: WaitKind::Held,
                reason: format!("held by {}: {}", ruling.by, ruling.reason),
                until: None,
            },
            Some(_) => {
                let as_asked = match by_rule() {
                    Released::Yes { provisional } => !provisional,
                    Released::Waits { kind, .. } => {
                        rule.when == When::Approved && kind != WaitKind::GlobalTag
                    }
                };
                let as_asked = as_asked && self.held_by_verdict(number, index).is_none();
                Released::Yes {
                    provisional: !as_asked,
                }
            }
            None => self
                .waits_for_earlier_run(number, index, now)
                .unwrap_or_else(|| {
                    let by_rule = || self.with_holders(number, rule, by_rule());
                    self.by_verdict(number, index, now, by_rule)
                }),
        }
    }

    /// What a verdict holds waits; what nobody looked at in time goes on with a mark.
    fn by_verdict(
        &self,
        number: RunNumber,
        index: usize,
        now: Moment,
        by_rule: impl FnOnce() -> Released,
    ) -> Released {
        let Some(hold) = self.held_by_verdict(number, index) else {
            return by_rule();
        };
        if hold.until > now {
            return Released::Waits {
                kind: WaitKind::Verdict,
                reason: hold.reason,
                until: Some(hold.until),
            };
        }
        match by_rule() {
            Released::Yes { .. } => Released::Yes { provisional: true },
            waits @ Released::Waits { .. } => waits,
        }
    }

    /// What stands for a task of a run: a ruling on the run before one on all runs.
    fn ruling(&self, task: &TaskPath, number: RunNumber) -> Option<&Ruling> {
        let of_run = self.rulings.get(&(task.clone(), Some(number)));
        let of_run = of_run.filter(|ruling| ruling.kind != RulingKind::Seen);
        let stands = of_run.or_else(|| self.rulings.get(&(task.clone(), None)));
        stands.filter(|ruling| ruling.kind != RulingKind::Lifted)
    }

    /// Whether a person holds the task of a job.
    pub(crate) fn is_held(&self, job: &Job) -> bool {
        let ruling = self.ruling(&job.task, job.run);
        ruling.is_some_and(|ruling| ruling.kind == RulingKind::Held)
    }

    /// Whether a person has said that a task of a run goes on with what is here.
    pub(crate) fn is_accepted(&self, task: &TaskPath, number: RunNumber) -> bool {
        let ruling = self.ruling(task, number);
        ruling.is_some_and(|ruling| ruling.kind == RulingKind::Accepted)
    }

    pub(crate) fn with_facts<T>(
        &self,
        number: RunNumber,
        ask: impl FnOnce(&RunFacts<'_>) -> T,
    ) -> T {
        let work = &self.runs[&number];
        let verdict = self.quality.get(&number).map(|quality| quality.verdict);
        let closed_at = work.run.state.closed_at();
        ask(&RunFacts {
            opened_at: work.run.opened_at,
            announced: work.run.announced,
            ended_at: work.run.ended_at,
            closed_at,
            verdict_good: verdict.map(|verdict| verdict == RunVerdict::Good),
            is_undecided: &|tag| !work.decided.contains(tag),
        })
    }

    /// Whether a calibrating task must wait for an earlier run, and until when.
    fn waits_for_earlier_run(
        &self,
        number: RunNumber,
        index: usize,
        now: Moment,
    ) -> Option<Released> {
        let task = &self.plans[index].task;
        if task.calibrates.is_empty() {
            return None;
        }
        let label = self.runs[&number].run.label;
        let undecided = self.runs.range(..number).filter(|(_, work)| {
            let mut rules = task.calibrates.iter();
            let owes = |tag: &TagName| {
                let mut tasks = work.tasks.keys();
                !work.decided.contains(tag) && tasks.any(|task| self.calibrates(*task, tag))
            };
            work.run.label == label && rules.any(|rule| owes(&rule.tag))
        });
        let earlier = undecided.map(|(run, work)| Undecided {
            run: *run,
            // A run that nobody ended counts from its last sign of life.
            ended_at: work.run.ended_at.unwrap_or(work.run.last_file_seen_at),
        });
        let (run, until) = held_back(earlier, task.upload_wait, now)?;
        Some(Released::Waits {
            kind: WaitKind::EarlierRun,
            reason: format!("constants of run {run} are decided first"),
            until: Some(until),
        })
    }

    /// Until when a calibrating task that has nothing to do may not say so: that nothing is
    /// measured is a decision like any other, and decisions are taken in the order of runs. None
    /// when its turn has come, or a person has accepted it.
    pub(crate) fn waits_its_turn(
        &self,
        number: RunNumber,
        index: usize,
        now: Moment,
    ) -> Option<Moment> {
        let ruling = self.ruling(&self.plans[index].path, number);
        let accepted = ruling.is_some_and(|ruling| ruling.kind == RulingKind::Accepted);
        if accepted || self.has_decided(number, index) {
            return None;
        }
        match self.waits_for_earlier_run(number, index, now)? {
            Released::Waits { until, .. } => until,
            Released::Yes { .. } => None,
        }
    }

    /// Whether every constant that a task measures is decided for a run, or held by a person.
    pub(crate) fn has_decided(&self, number: RunNumber, index: usize) -> bool {
        let mut rules = self.plans[index].task.calibrates.iter();
        rules.all(|rule| self.has_spoken(number, &rule.tag))
    }

    /// Takes a person's ruling on a task, for one run or for all.
    pub(crate) fn rule(&mut self, ruling: Ruling, effects: &mut Vec<Effect>) -> Reply {
        let path = ruling.task.clone();
        if !self.plans_at_work().any(|plan| plan.path == path) {
            return Reply::Refused(format!(
                "no task is called {path}; `tier0 calib show` lists the gates"
            ));
        }
        if let Some(run) = ruling.run
            && !self.runs.contains_key(&run)
        {
            return Reply::Refused(if self.archive.knows(run) {
                crate::archive::refusal(run)
            } else {
                format!("run {run} is not known; `tier0 run ls` lists those that are")
            });
        }
        let ruling = self.as_a_look(ruling);
        let key = (path.clone(), ruling.run);
        let object = match ruling.run {
            Some(run) => format!("{path} of run {run}"),
            None => format!("{path} of every run"),
        };
        if self.is_said_already(&ruling) {
            return Reply::Done(format!("{object} was already {}", ruling.kind.as_str()));
        }
        let said = format!("{object} is {}", ruling.kind.as_str());
        let runs: Vec<RunNumber> = match ruling.run {
            Some(run) => vec![run],
            None => self.runs.keys().copied().collect(),
        };
        effects.push(Effect::Record(Fact::RulingIs(ruling.clone())));
        let (at, of_run) = (ruling.at, ruling.run.is_some());
        self.rulings.insert(key, ruling);
        self.look_at_task(&path, &runs);
        if of_run {
            self.heed_verdict(at, runs[0], effects);
        }
        Reply::Done(said)
    }

    /// Looks again at a task of these runs, and at nothing that does not exist.
    fn look_at_task(&mut self, path: &TaskPath, runs: &[RunNumber]) {
        for run in runs {
            let Some(work) = self.runs.get(run) else {
                continue;
            };
            let indexes = work
                .tasks
                .keys()
                .filter(|index| self.plans[**index].path == *path);
            self.look_at.extend(indexes.map(|index| (*run, *index)));
            self.look_for_redo(*run);
        }
    }

    /// What every gate says now: tasks whose release waits for something, and whatever a person has
    /// ruled on.
    pub fn gates(&self, now: Moment) -> Vec<GateState> {
        let gated = self.plans_at_work().filter(|plan| {
            plan.task.release != pipelines::definition::Release::ALWAYS
                || !plan.task.calibrates.is_empty()
                || plan.task.global_tag.is_some()
                || self.rulings.keys().any(|(path, _)| *path == plan.path)
        });
        // Runs with another configuration may have the same gate: it is told once.
        let mut told = BTreeSet::new();
        let outdated = self.outdated_jobs();
        gated
            .filter(|plan| told.insert(&plan.path))
            .map(|plan| self.gate_state(plan, now, &outdated))
            .collect()
    }

    /// Tasks that new runs get, then those of runs that are not finished, or of which work that is
    /// to be made again is held.
    fn plans_at_work(&self) -> impl Iterator<Item = &TaskPlan> {
        let open = self.runs.values().filter(|work| {
            let is_finished = matches!(work.run.state, RunState::Finished { .. });
            !is_finished || self.holds_redo(work.run.number, None)
        });
        let ranges: BTreeSet<(usize, usize)> = open
            .map(|work| (work.plans.start, work.plans.end))
            .collect();
        let own = ranges
            .into_iter()
            .flat_map(|(first, end)| &self.plans[first..end]);
        self.plans_in_force().iter().chain(own)
    }

    fn gate_state(
        &self,
        plan: &TaskPlan,
        now: Moment,
        outdated: &BTreeMap<(RunNumber, usize), BTreeSet<JobId>>,
    ) -> GateState {
        let with_task = self.runs.iter().filter_map(|(run, work)| {
            let index = self.plan_at(*run, &plan.path)?;
            work.tasks.contains_key(&index).then_some((*run, index))
        });
        let with_task: Vec<(RunNumber, usize)> = with_task.collect();
        let locks = with_task
            .iter()
            .map(|(run, index)| (*run, self.is_locked(*run, *index, now)));
        let for_constants = matches!(plan.task.release.when, When::Conditions(_));
        let of_run = |(run, index): &(RunNumber, usize)| {
            let direct = outdated.get(&(*run, *index));
            let concerned = direct.map(|jobs| self.concerned_by(jobs));
            let concerned = concerned.unwrap_or_default();
            let outdated: Vec<_> = concerned.outputs.into_iter().collect();
            if self.release(*run, *index, now).is_none() && outdated.is_empty() {
                return None;
            }
            Some(GateRun {
                outdated,
                made_from_outdated: concerned.behind.into_iter().collect(),
                run: *run,
                wait: self.wait_for_release(*run, *index, now),
                locked: self.is_locked(*run, *index, now),
                ruling: self.rulings.get(&(plan.path.clone(), Some(*run))).cloned(),
            })
        };
        GateState {
            task: plan.path.clone(),
            ruling: self.rulings.get(&(plan.path.clone(), None)).cloned(),
            first_condition_safe_run: for_constants
                .then(|| first_condition_safe_run(locks))
                .flatten(),
            runs: with_task.iter().filter_map(of_run).collect(),
        }
    }

    /// Whether nothing new can be promised to reach a task of a run: its jobs were made, it has
    /// ended, or the moment of its lock has come.
    pub(crate) fn is_locked(&self, number: RunNumber, index: usize, now: Moment) -> bool {
        let task = &self.runs[&number].tasks[&index];
        let rule = &self.plans[index].task.release;
        task.ended
            || task.made_jobs > 0
            || self.with_facts(number, |facts| {
                locked_from(rule, facts).is_some_and(|from| from <= now)
            })
    }
}
