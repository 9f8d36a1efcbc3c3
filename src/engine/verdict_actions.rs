//! Verdicts that act: a verdict that is not good holds tasks of its run, asks whoever calibrates,
//! or calls whoever is on call, as the certifying task's definition says, until somebody has looked
//! or the time is over.
//!
//! Everything is derived from rows: which verdict was given when, what was ruled, which alarms
//! stand. `calib accept` on the certifying task for the run says that somebody has looked. Once the
//! time is over, what was held goes on provisionally, and a note stays that nobody looked. Nothing
//! is ever held without an end, and no constant is touched.

use crate::setup::TaskPlan;
use crate::timers::Timer;
use crate::{Effect, Engine};
use dqm::verdict::Status;
use model::alarm::Severity;
use model::ids::RunNumber;
use model::names::TaskPath;
use model::quality::{RunQuality, RunVerdict};
use model::ruling::{Ruling, RulingKind};
use model::time::Moment;
use model::wait::{Object, Wait, WaitKind};
use pipelines::definition::{Act, VerdictAction};
use std::collections::BTreeMap;

/// Kinds of the alarms about verdicts; each alarm's key is its kind and the run.
pub(crate) const ALARMS: [&str; 4] = [HOLD, CALIBRATE, PAGE, UNHEEDED];
const HOLD: &str = "verdict-hold";
const CALIBRATE: &str = "verdict-calibrate";
const PAGE: &str = "verdict-page";
const UNHEEDED: &str = "verdict-unheeded";
/// Failed tests that an alarm names one by one.
const TESTS_NAMED_MAX: usize = 3;

/// A verdict's hold on a task that nobody has ended.
pub(crate) struct Hold<'e> {
    /// The task that gave the verdict.
    pub(crate) by: &'e TaskPath,
    /// When it ends by itself.
    pub(crate) until: Moment,
    /// What is wrong, in words.
    pub(crate) reason: String,
}

/// Whether a ruling on a run says that somebody has looked at its verdict.
fn is_look(kind: RulingKind) -> bool {
    matches!(kind, RulingKind::Seen | RulingKind::Accepted)
}

/// An action on the verdict of a run.
struct Action<'e> {
    plan: &'e TaskPlan,
    what: &'e VerdictAction,
    quality: &'e RunQuality,
    until: Moment,
}

impl Engine {
    /// What a run's verdict does, or did until its time was over; nothing that somebody has looked
    /// at.
    fn unseen(&self, number: RunNumber) -> impl Iterator<Item = Action<'_>> {
        let actions = self.actions(number);
        actions.filter(|action| !self.was_seen(&action.plan.path, action.quality))
    }

    /// What a run's verdict does, if nobody looks.
    fn actions(&self, number: RunNumber) -> impl Iterator<Item = Action<'_>> {
        let (work, quality) = (self.runs.get(&number), self.quality.get(&number));
        let known = work.zip(quality).into_iter();
        known.flat_map(move |(work, quality)| {
            let plans = work.tasks.keys().map(|index| &self.plans[*index]);
            plans.flat_map(move |plan| {
                let actions = plan.task.on_verdict.iter();
                let acting = actions.filter(|action| action.when.contains(&quality.verdict));
                acting.map(move |action| Action {
                    plan,
                    what: action,
                    quality,
                    until: quality.at + action.at_most,
                })
            })
        })
    }

    /// Whether a ruling says only what was said before.
    pub(crate) fn is_said_already(&self, ruling: &Ruling) -> bool {
        let known = self.rulings.get(&(ruling.task.clone(), ruling.run));
        let unseen = |run| {
            let quality = self.quality.get(&run);
            self.acts(run, &ruling.task)
                && quality.is_some_and(|quality| !self.was_seen(&ruling.task, quality))
        };
        known.is_some_and(|known| known.kind == ruling.kind)
            && !(is_look(ruling.kind) && ruling.run.is_some_and(unseen))
    }

    /// Whether somebody has looked at a verdict since it was given.
    fn was_seen(&self, task: &TaskPath, quality: &RunQuality) -> bool {
        let ruling = self.rulings.get(&(task.clone(), Some(quality.run)));
        ruling.is_some_and(|ruling| is_look(ruling.kind) && ruling.at >= quality.at)
    }

    /// Whether the verdict that a task gave on a run acts.
    fn acts(&self, run: RunNumber, task: &TaskPath) -> bool {
        let mut actions = self.actions(run);
        actions.any(|action| action.plan.path == *task)
    }

    /// Accepting a task whose verdict acts is to have looked at the verdict, and no more than that,
    /// unless the task is held for all runs: then it is let go for this one too.
    pub(crate) fn as_a_look(&self, ruling: Ruling) -> Ruling {
        let of_all = self.rulings.get(&(ruling.task.clone(), None));
        let held = of_all.is_some_and(|of_all| of_all.kind == RulingKind::Held);
        match (ruling.kind, ruling.run) {
            (RulingKind::Accepted, Some(run)) if !held && self.acts(run, &ruling.task) => Ruling {
                kind: RulingKind::Seen,
                ..ruling
            },
            _ => ruling,
        }
    }

    /// What holds a task of a run because of its verdict; one whose time is over no longer holds,
    /// but leaves its mark on the work. Of several the one that ends last.
    pub(crate) fn held_by_verdict(&self, number: RunNumber, index: usize) -> Option<Hold<'_>> {
        let path = &self.plans[index].path;
        let holds = self.unseen(number).filter(|unseen| match &unseen.what.act {
            Act::Hold(of) => of.contains(path),
            Act::Calibrate | Act::Page => false,
        });
        let last = holds.max_by_key(|unseen| unseen.until)?;
        Some(Hold {
            by: &last.plan.path,
            until: last.until,
            reason: last.in_words(),
        })
    }

    /// Raises, restates and ends the alarms about a run's verdict as it now stands, and looks again
    /// when the next action is over.
    pub(crate) fn heed_verdict(
        &mut self,
        now: Moment,
        number: RunNumber,
        effects: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get(&number) else {
            return;
        };
        // Whatever was held, or is from now on, asks anew whether its jobs may be made.
        let tasks = work.tasks.keys().map(|index| (number, *index));
        self.look_at.extend(tasks);
        let mut wanted: BTreeMap<&str, (Severity, String)> = BTreeMap::new();
        let mut next = None;
        let mut over: BTreeMap<(String, TaskPath), Vec<String>> = BTreeMap::new();
        for unseen in self.unseen(number) {
            if unseen.until > now {
                let (kind, severity, text) = unseen.alarm();
                let standing = wanted.entry(kind).or_insert((severity, String::new()));
                let gap = if standing.1.is_empty() { "" } else { " " };
                standing.1.push_str(&format!("{gap}{text}"));
                next = next.into_iter().chain([unseen.until]).min();
            } else {
                let (verdict, task) = (unseen.in_words(), unseen.plan.path.clone());
                over.entry((verdict, task))
                    .or_default()
                    .push(unseen.outcome());
            }
        }
        let notes = over.iter().map(|((verdict, task), outcomes)| {
            let outcomes = outcomes.join("; ");
            format!(
                "Run {number}: {verdict}, and nobody has looked in time: {outcomes}. `tier0 calib \
                 accept {task} --run {number}` says that somebody has looked."
            )
        });
        if !over.is_empty() {
            let text = notes.collect::<Vec<String>>().join(" ");
            wanted.insert(UNHEEDED, (Severity::Low, text));
        }
        for kind in ALARMS {
            let key = format!("{kind}/{number}");
            match wanted.remove(kind) {
                Some((severity, text)) => self.restate_alarm(now, key, severity, text, effects),
                None => self.clear_alarm(now, &key, effects),
            }
        }
        if let Some(next) = next {
            self.timers.set(next, Timer::Verdict(number));
        }
        self.archive.look_again();
    }

    /// Whether a verdict of a run still waits for somebody to look at it.
    pub(crate) fn waits_for_a_look(&self, number: RunNumber) -> bool {
        let standing = [HOLD, CALIBRATE, PAGE];
        let mut keys = standing.iter().map(|kind| format!("{kind}/{number}"));
        keys.any(|key| self.alarms.contains_key(&key))
    }

    /// Whom a run's verdict asks to look, besides what it holds: nothing stands still for it, but
    /// whoever asks about the run wants to know.
    pub(crate) fn waits_for_lookers(&self, number: RunNumber, now: Moment) -> Vec<Wait> {
        let unseen = self.unseen(number).filter(|unseen| unseen.until > now);
        let asks = unseen.filter(|unseen| !matches!(unseen.what.act, Act::Hold(_)));
        asks.map(|unseen| {
            let whom = match unseen.what.act {
                Act::Page => "whoever is on call",
                Act::Calibrate | Act::Hold(_) => "whoever calibrates",
            };
            Wait {
                object: Object::Run(number),
                run: number,
                kind: WaitKind::Verdict,
                reason: format!("{}; {whom} is asked to look", unseen.in_words()),
                since: Some(unseen.quality.at),
                until: Some(unseen.until),
                remedy: looked(&unseen.plan.path, number),
            }
        })
        .collect()
    }
}

/// How somebody says that they have looked.
pub(crate) fn looked(task: &TaskPath, number: RunNumber) -> String {
    format!("tier0 calib accept {task} --run {number} says that somebody has looked")
}

impl Action<'_> {
    /// The verdict and the tests behind it.
    fn in_words(&self) -> String {
        let task = &self.plan.path;
        let verdict = match self.quality.verdict {
            RunVerdict::Good => "good",
            RunVerdict::Warning => "a warning",
            RunVerdict::Bad => "bad",
            RunVerdict::NotRun => "that nothing was tested",
        };
        let worst = match self.quality.verdict {
            RunVerdict::Bad => Status::Error,
            _ => Status::Warning,
        };
        let tests = self.quality.tests.iter();
        let found = tests.filter(|test| test.status == worst.code());
        let named: Vec<String> = found
            .clone()
            .take(TESTS_NAMED_MAX)
            .map(|test| format!("{} of {}", test.name, test.histogram))
            .collect();
        let more = found.count().saturating_sub(named.len());
        match (named.is_empty(), more) {
            (true, _) => format!("the verdict of {task} is {verdict}"),
            (false, 0) => format!("the verdict of {task} is {verdict}: {}", named.join(", ")),
            (false, more) => {
                let named = named.join(", ");
                format!("the verdict of {task} is {verdict}: {named} and {more} more")
            }
        }
    }

    fn held(&self) -> String {
        match &self.what.act {
            Act::Hold(of) => {
                let of: Vec<String> = of.iter().map(ToString::to_string).collect();
                of.join(", ")
            }
            Act::Calibrate | Act::Page => String::new(),
        }
    }

    /// While somebody may still look: kind, severity and text.
    fn alarm(&self) -> (&'static str, Severity, String) {
        let (run, until, verdict) = (self.quality.run, self.until, self.in_words());
        let task = &self.plan.path;
        let begin = format!("Run {run}: {verdict}.");
        let end = format!(
            "`tier0 dqm show {run}` has the tests; `tier0 calib accept {task} --run {run}` says \
             that somebody has looked."
        );
        match self.what.act {
            Act::Hold(_) => {
                let held = self.held();
                let text = format!(
                    "{begin} No more jobs of {held} are made for it until {until}; then they are, \
                     provisionally. {end}"
                );
                (HOLD, Severity::Medium, text)
            }
            Act::Calibrate => {
                let text = format!(
                    "{begin} Its constants are in doubt: whoever calibrates is asked to look at \
                     `tier0 calib show` until {until}. {end}"
                );
                (CALIBRATE, Severity::Medium, text)
            }
            Act::Page => {
                let text =
                    format!("{begin} Whoever is on call is asked to look until {until}. {end}");
                (PAGE, Severity::High, text)
            }
        }
    }

    /// When its time is over: what follows.
    fn outcome(&self) -> String {
        let until = self.until;
        match self.what.act {
            Act::Hold(_) => format!("{} goes on provisionally since {until}", self.held()),
            Act::Calibrate => format!("its constants stay as they are since {until}"),
            Act::Page => format!("nobody is called any more since {until}"),
        }
    }
}
