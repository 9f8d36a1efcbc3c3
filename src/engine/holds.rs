//! Holds: a person holds a tag, and what a gate would put into it is kept as a proposal until an
//! expert accepts or refuses it (D17).
//!
//! In come people's words on tags, out come decisions. While a proposal is held, nobody who waits
//! for the run's constants goes on before their own wait is over; why says who holds. The gate's
//! sentence stays with the decision, whatever becomes of it.

use crate::constants::stored_tag;
use crate::uploads::parts;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::command::{Intent, NAMELESS, Order, Preview, Reply};
use model::conditions::{GateDecision, GateOutcome, Hold};
use model::fact::Fact;
use model::ids::RunNumber;
use model::names::TagName;
use model::time::Moment;
use model::wait::WaitKind;
use pipelines::definition::{Release, When};
use pipelines::release::Released;

impl Engine {
    /// Who holds a tag as stored.
    pub(crate) fn hold_on(&self, tag: &TagName) -> Option<Hold> {
        self.constants.tags.get(tag)?.held.clone()
    }

    /// Whether a tag is decided for a run, or what was proposed for it is held.
    pub(crate) fn has_spoken(&self, number: RunNumber, tag: &TagName) -> bool {
        let Some(work) = self.runs.get(&number) else {
            return false;
        };
        work.decided.contains(tag) || self.proposal(number, tag).is_some()
    }

    /// What is held of a tag (as tasks name it) for a run.
    fn proposal(&self, number: RunNumber, tag: &TagName) -> Option<&GateDecision> {
        let label = self.runs.get(&number)?.run.label;
        let decision = self
            .constants
            .decisions
            .get(&(stored_tag(tag, label), number));
        decision.filter(|decision| decision.outcome == GateOutcome::Held)
    }

    /// Whether something that was proposed for a run is held.
    pub(crate) fn has_proposals(&self, number: RunNumber) -> bool {
        let tasks = self.runs.get(&number).map(|work| work.tasks.keys());
        let rules = tasks.into_iter().flatten();
        let mut rules = rules.flat_map(|index| &self.plans[*index].task.calibrates);
        rules.any(|rule| self.proposal(number, &rule.tag).is_some())
    }

    /// Runs with something held of a tag as stored, in order.
    fn runs_with_proposals(&self, tag: &TagName) -> Vec<RunNumber> {
        let of_tag = self
            .constants
            .decisions
            .range((tag.clone(), RunNumber(0))..);
        let of_tag = of_tag.take_while(|((of, _), _)| of == tag);
        let held = of_tag.filter(|(_, decision)| decision.outcome == GateOutcome::Held);
        held.map(|((_, run), _)| *run).collect()
    }

    /// Whoever waits for constants that are held is told who holds them.
    pub(crate) fn with_holders(
        &self,
        number: RunNumber,
        rule: &Release,
        released: Released,
    ) -> Released {
        let (
            Released::Waits {
                kind,
                reason,
                until,
            },
            When::Conditions(tags),
        ) = (&released, &rule.when)
        else {
            return released;
        };
        if *kind != WaitKind::Conditions {
            return released;
        }
        let mut reason = reason.clone();
        for tag in tags {
            if let Some(decision) = self.proposal(number, tag) {
                let tag = &decision.tag;
                reason.push_str(&format!(
                    "; {tag} is {}; `tier0 calib accept {tag} --run {number}` puts it",
                    decision.reason
                ));
            }
        }
        Released::Waits {
            kind: *kind,
            reason,
            until: *until,
        }
    }

    /// Somebody has to look at what is held.
    pub(crate) fn tell_held(
        &mut self,
        now: Moment,
        number: RunNumber,
        tag: &TagName,
        effects: &mut Vec<Effect>,
    ) {
        let key = format!("constant-held/{number}/{tag}");
        let decision = self.constants.decisions.get(&(tag.clone(), number));
        match decision.filter(|decision| decision.outcome == GateOutcome::Held) {
            Some(decision) => {
                let text = format!(
                    "The gate would put a constant of {tag} since run {number}, and it is {}. \
                     Work that waits for it waits no longer than its own rule says. `tier0 calib \
                     accept {tag} --run {number}` puts it, `tier0 calib hold {tag} --run {number}` \
                     refuses it: then what is in force stays.",
                    decision.reason
                );
                self.restate_alarm(now, key, Severity::Medium, text, effects);
            }
            None => self.clear_alarm(now, &key, effects),
        }
    }

    /// A person holds a tag, or refuses what is held of it for a run.
    pub(crate) fn hold_constants(
        &mut self,
        now: Moment,
        order: &Order,
        tag: &TagName,
        run: Option<RunNumber>,
        effects: &mut Vec<Effect>,
    ) -> Reply {
        let Some(mut row) = self.known_tag(tag) else {
            return Reply::Refused(format!(
                "no tag is called {tag}; `tier0 calib tags` lists the tags, and a task is named as \
                 PIPELINE.TASK"
            ));
        };
        if order.by == NAMELESS || order.reason.is_empty() {
            return Reply::Refused(
                "who holds or refuses constants says so with their name and why (--by NAME \
                 --reason TEXT, by= and reason= of the request)"
                    .to_owned(),
            );
        }
        if let Some(run) = run {
            return self.refuse_proposal(now, order, tag, run, effects);
        }
        if let Some(hold) = &row.held {
            return Reply::Done(format!(
                "{tag} was already held by {}: {}",
                hold.by, hold.reason
            ));
        }
        let done = format!("{tag} is held: what gates would put into it waits for a person");
        if order.intent == Intent::Preview {
            return would(format!("hold {tag}"), 1);
        }
        row.held = Some(Hold {
            by: order.by.clone(),
            reason: order.reason.clone(),
            at: now,
        });
        effects.push(Effect::Record(Fact::TagIs(row.clone())));
        self.constants.tags.insert(tag.clone(), row);
        let object = format!("tag/{tag}");
        self.audit(now, order, object, "open".to_owned(), done.clone(), effects);
        Reply::Done(done)
    }

    fn refuse_proposal(
        &mut self,
        now: Moment,
        order: &Order,
        tag: &TagName,
        run: RunNumber,
        effects: &mut Vec<Effect>,
    ) -> Reply {
        if !self.runs_with_proposals(tag).contains(&run) {
            return Reply::Refused(format!(
                "nothing of {tag} is held for run {run}; `tier0 calib show {tag} --run {run}` \
                 shows what was decided"
            ));
        }
        if order.intent == Intent::Preview {
            return would(format!("refuse what is proposed of {tag} for run {run}"), 1);
        }
        let sentence = format!("refused by {}: {}", order.by, order.reason);
        self.settle_proposal(now, tag, run, GateOutcome::Veto, &sentence, effects);
        let done = format!("{tag} of run {run} is refused; what is in force stays");
        let object = format!("tag/{tag}");
        self.audit(now, order, object, "held".to_owned(), done.clone(), effects);
        Reply::Done(done)
    }

    /// A person accepts what is held of a tag, for a run or for all of them, and then holds the tag
    /// no longer. None where nothing is held: then it is about what is in force already.
    pub(crate) fn accept_proposals(
        &mut self,
        now: Moment,
        order: &Order,
        tag: &TagName,
        run: Option<RunNumber>,
        effects: &mut Vec<Effect>,
    ) -> Option<Reply> {
        let runs = self.runs_with_proposals(tag);
        let meant: Vec<RunNumber> = runs
            .into_iter()
            .filter(|held| run.is_none_or(|run| run == *held))
            .collect();
        let lifted = run.is_none() && self.hold_on(tag).is_some();
        if meant.is_empty() && !lifted {
            return None;
        }
        if let Some(why) = self.protection_of(tag).filter(|_| !meant.is_empty()) {
            return Some(Reply::Refused(format!("{tag}: {why}")));
        }
        let count = meant.len() as u64;
        if let Some(expected) = order.expect_count.filter(|expected| *expected != count) {
            return Some(Reply::Refused(format!(
                "proposals expected: {expected}, held: {count}; nothing was changed"
            )));
        }
        let named: Vec<String> = meant.iter().map(|run| format!("run {run}")).collect();
        let mut done = if named.is_empty() {
            format!("nothing of {tag} was proposed meanwhile")
        } else {
            format!("{tag} is put since {}", named.join(", "))
        };
        if lifted {
            done.push_str(&format!("; {tag} is held no longer"));
        }
        if order.intent == Intent::Preview {
            return Some(would(done, count));
        }
        if lifted && let Some(row) = self.constants.tags.get_mut(tag) {
            row.held = None;
            effects.push(Effect::Record(Fact::TagIs(row.clone())));
        }
        let sentence = format!("accepted by {}: {}", order.by, order.reason);
        for run in meant {
            self.settle_proposal(now, tag, run, GateOutcome::Update, &sentence, effects);
        }
        let object = format!("tag/{tag}");
        self.audit(now, order, object, "held".to_owned(), done.clone(), effects);
        Some(Reply::Done(done))
    }

    /// What was held of a run is put or not.
    fn settle_proposal(
        &mut self,
        now: Moment,
        tag: &TagName,
        run: RunNumber,
        outcome: GateOutcome,
        sentence: &str,
        effects: &mut Vec<Effect>,
    ) {
        let held = self.constants.decisions.get(&(tag.clone(), run)).cloned();
        let Some((mut decision, hash)) = held.and_then(|d| Some((d.clone(), d.proposed?))) else {
            return;
        };
        let before = self.constants.decided_after(tag, run);
        let is_put = outcome == GateOutcome::Update;
        // Where nothing was in force for later runs, the person has put it for them too.
        let mut is_late = before.is_some();
        if is_put {
            if let Some(next) = before {
                is_late = self.end_late_iov(now, tag, run, next, effects);
            }
            self.insert_iov(now, run, tag, &hash, effects);
        }
        decision.outcome = outcome;
        decision.reason = format!("{sentence}; it was {}", decision.reason);
        decision.late = if is_put {
            is_late
        } else {
            decision.late || is_late
        };
        decision.put = is_put.then_some(hash);
        decision.proposed = None;
        decision.at = now;
        let (base, _) = parts(tag);
        self.decide(run, &base, decision, effects);
        self.tell_held(now, run, tag, effects);
    }
}

fn would(what: String, count: u64) -> Reply {
    Reply::Would(Preview {
        would: what,
        count,
        objects: Vec::new(),
    })
}
