//! Splitting by plugin: a task's complete input is shown to somebody's program, which says what
//! goes together.
//!
//! The engine asks by an effect and is answered by an input; it believes an answer only if it is to
//! the question that stands, and if it puts every input into exactly one job. What is not answered,
//! or answered with anything else, is asked again after a pause that grows up to ten minutes, with
//! an alarm that says what the plugin did; a person may let the task go with one job of everything
//! (`calib accept`). Nothing of a question is a row: only the jobs of a good answer are, and after
//! a restart it is asked again.

use crate::timers::Timer;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::ids::RunNumber;
use model::job::InputId;
use model::plugin::{SplitInput, SplitKey, SplitQuestion};
use model::time::{Moment, Span};
use pipelines::release::Released;
use pipelines::splitting::plugin::{all_in_one, judge};
use pipelines::splitting::{Holding, HoldingKind, Item, Plugin, Splitter};
use std::collections::BTreeMap;

/// Whoever asks plugins asks several at once and ends each in its time; what has not answered so
/// long after that was never asked.
const LOST_AFTER: Span = Span::from_secs(600);
/// The pause after the first bad answer; after the n-th it is n squared times as long.
const PAUSE: Span = Span::from_secs(10);
/// The longest pause: somebody may have mended the plugin meanwhile.
const PAUSE_MAX: Span = Span::from_secs(600);
/// The alarm's kind; its key is that, the run and the task.
pub(crate) const ALARM: &str = "splitter-fails";

/// Questions to splitters, by run and task.
pub(crate) type Splitters = BTreeMap<(RunNumber, usize), Asking>;

/// How far one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asking {
    /// What it was asked about.
    inputs: Vec<InputId>,
    /// When it was asked; none during a pause.
    asked_at: Option<Moment>,
    /// When it is looked at again.
    until: Moment,
    /// Bad answers so far.
    failures: u32,
    /// What the plugin did last.
    said: String,
}

impl Engine {
    /// Looks at a task whose splitter is a plugin and whose jobs may be made.
    pub(crate) fn cut_by_plugin(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        provisional: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Splitter::Plugin(by) = &self.plans[index].task.splitter else {
            return;
        };
        let by = by.clone();
        let accepted = self.is_accepted(&self.plans[index].path, number);
        let work = self.runs.get_mut(&number);
        let Some(task) = work.and_then(|work| work.tasks.get_mut(&index)) else {
            return;
        };
        task.sort();
        task.holding = None;
        let Some(since) = task.items.iter().map(|item| item.came_at).min() else {
            return;
        };
        if accepted {
            let cut = all_in_one(task.items.len());
            self.end_asking(now, number, index, effects);
            self.take_cut(now, number, index, provisional, cut, effects);
            return;
        }
        if !task.input_closed {
            task.holding = Some(Holding {
                by: HoldingKind::MoreInput,
                reason: "its plugin splits the input when it is complete".to_owned(),
                since,
                until: None,
            });
            return;
        }
        let inputs: Vec<InputId> = task.items.iter().map(|item| item.id).collect();
        self.ask_in_time(now, number, index, &by, inputs, effects);
        let asking = &self.splitters[&(number, index)];
        let (until, name) = (asking.until, &by.name);
        let reason = match (asking.asked_at, asking.failures) {
            (Some(_), 0) => format!("plugin {name} is asked which inputs go together"),
            (Some(_), _) => format!("plugin {name} is asked again; before, it {}", asking.said),
            (None, _) => format!("plugin {name} {}; it is asked again", asking.said),
        };
        let work = self.runs.get_mut(&number);
        if let Some(task) = work.and_then(|work| work.tasks.get_mut(&index)) {
            task.holding = Some(Holding {
                by: HoldingKind::Plugin,
                reason,
                since,
                until: Some(until),
            });
        }
        self.timers.set(until, Timer::Look(number, index));
    }

    /// Asks if nobody does, or what was asked is no longer what is here, or the time is over.
    fn ask_in_time(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        by: &Plugin,
        inputs: Vec<InputId>,
        effects: &mut Vec<Effect>,
    ) {
        let known = self.splitters.get(&(number, index));
        let (failures, said) = match known.filter(|known| known.inputs == inputs) {
            Some(known) if known.until > now => return,
            Some(known) if known.asked_at.is_some() => {
                return self.fail_split(now, number, index, "gave no answer", effects);
            }
            Some(known) => (known.failures, known.said.clone()),
            None => (0, String::new()),
        };
        let key = SplitKey {
            run: number,
            task: self.plans[index].path.clone(),
            asked_at: now,
        };
        let shown = |item: &Item| SplitInput {
            name: item.name.clone(),
            first_lumi: item.lumi,
            last_lumi: item.last_lumi.max(item.lumi),
            bytes: item.bytes,
            events: item.events,
        };
        let items = &self.runs[&number].tasks[&index].items;
        effects.push(Effect::AskSplitter(SplitQuestion {
            key,
            name: by.name.clone(),
            program: by.program.clone(),
            within: by.within,
            parameters: by.parameters.clone(),
            inputs: items.iter().map(shown).collect(),
        }));
        let asking = Asking {
            inputs,
            asked_at: Some(now),
            until: now + by.within + LOST_AFTER,
            failures,
            said,
        };
        self.splitters.insert((number, index), asking);
    }

    /// A plugin has answered.
    pub(crate) fn was_split(
        &mut self,
        now: Moment,
        key: &SplitKey,
        groups: Result<Vec<Vec<u32>>, String>,
        effects: &mut Vec<Effect>,
    ) {
        let number = key.run;
        let Some(index) = self.plan_at(number, &key.task) else {
            return;
        };
        let asking = self.splitters.get(&(number, index));
        // An answer that comes twice, or to a question that was given up, is to nobody.
        let Some(asking) = asking.filter(|asking| asking.asked_at == Some(key.asked_at)) else {
            return;
        };
        let items = self
            .runs
            .get(&number)
            .and_then(|work| work.tasks.get(&index));
        let items = items.map_or(&[][..], |task| &task.items);
        let same = items
            .iter()
            .map(|item| item.id)
            .eq(asking.inputs.iter().copied());
        self.look_at.insert((number, index));
        let released = self.release(number, index, now);
        let may = match released {
            Some(Released::Yes { provisional }) if !self.is_quarantined(number) => provisional,
            // It is asked again once its jobs may be made.
            _ => {
                self.splitters.remove(&(number, index));
                return;
            }
        };
        if !same {
            self.splitters.remove(&(number, index));
            return;
        }
        match groups.and_then(|groups| judge(&groups, items.len())) {
            Ok(cut) => {
                self.end_asking(now, number, index, effects);
                self.take_cut(now, number, index, may, cut, effects);
            }
            Err(did) => self.fail_split(now, number, index, &did, effects),
        }
        self.conclude.insert(number);
    }

    /// A question came to nothing: it is asked again later, and somebody is told.
    fn fail_split(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        did: &str,
        effects: &mut Vec<Effect>,
    ) {
        let Some(asking) = self.splitters.get_mut(&(number, index)) else {
            return;
        };
        asking.failures = asking.failures.saturating_add(1);
        asking.asked_at = None;
        did.clone_into(&mut asking.said);
        let times = i64::from(asking.failures);
        let pause = Span(PAUSE.0.saturating_mul(times.saturating_mul(times)));
        asking.until = now + pause.min(PAUSE_MAX);
        let (failures, until, inputs) = (asking.failures, asking.until, asking.inputs.len());
        self.timers.set(until, Timer::Look(number, index));
        let plan = &self.plans[index];
        let (path, name) = (&plan.path, plan.task.splitter.plugin_name());
        let text = format!(
            "Plugin {name}, which splits the input of {path}, {did}, {failures} times so far. The \
             {inputs} inputs of run {number} wait; it is asked again at {until}. Correct it in its \
             place, or `tier0 calib accept {path} --run {number}` makes one job of them."
        );
        let key = format!("{ALARM}/{number}/{path}");
        self.restate_alarm(now, key, Severity::Medium, text, effects);
    }

    /// The task is split, or need not be.
    fn end_asking(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        effects: &mut Vec<Effect>,
    ) {
        self.splitters.remove(&(number, index));
        let key = format!("{ALARM}/{number}/{}", self.plans[index].path);
        self.clear_alarm(now, &key, effects);
    }

    /// Whether a plugin is asked about a task's input, or will be.
    pub(crate) fn is_being_split(&self, number: RunNumber, index: usize) -> bool {
        let asking = self.splitters.get(&(number, index));
        asking.is_some_and(|asking| {
            let timer = Timer::Look(number, index);
            self.timers.is_set(asking.until, timer)
        })
    }
}
