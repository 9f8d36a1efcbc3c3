//! Constants: what harvests propose is judged in the order of runs, becomes an interval of
//! validity, and releases the work that waits for it (D17).
//!
//! Whether a constant is good is decided by the wing `calibration`; here is kept what it is judged
//! against. The order matters: a run is judged only when every earlier run at work has its
//! decision, so the intervals do not depend on which harvest happens to end first. Simulated runs
//! have tags of their own.

use crate::harvests::is_result;
use crate::judging::{Open, has_failed};
use crate::{Effect, Engine};
use calibration::conditions::{Index, Insertion};
use model::conditions::{
    CandidateConstant, ConditionsPayload, ConditionsTag, GateDecision, GateOutcome, GlobalTag, Iov,
    Since, TimeType,
};
use model::fact::Fact;
use model::file::FIRST_PART;
use model::ids::{JobId, RunNumber};
use model::names::{DataLabel, TagName};
use model::time::Moment;
use model::work::AttemptReport;
use pipelines::definition::GateRule;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything known about constants, by tag as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Constants {
    /// Tags that somebody made.
    pub(crate) tags: BTreeMap<TagName, ConditionsTag>,
    pub(crate) global_tags: BTreeMap<String, GlobalTag>,
    /// Intervals by the hashes of their payloads.
    pub(crate) iovs: BTreeMap<TagName, Index<String>>,
    pub(crate) payloads: BTreeMap<String, Arc<str>>,
    pub(crate) decisions: BTreeMap<(TagName, RunNumber), GateDecision>,
    /// The interval that runs may still join; derived from the decisions.
    pub(crate) open: BTreeMap<TagName, Open>,
    /// Runs that were too small to decide and whose data the next harvest reads too; derived.
    pub(crate) collecting: BTreeMap<TagName, Vec<RunNumber>>,
}

/// A tag as stored: simulated constants have a name of their own and never meet real ones.
pub(crate) fn stored_tag(tag: &TagName, label: DataLabel) -> TagName {
    match label {
        DataLabel::Real => tag.clone(),
        DataLabel::Simulated => TagName::new(&format!("{tag}/SIM")),
    }
}

impl Constants {
    /// Keeps an interval in its place, whenever it was decided or read.
    pub(crate) fn keep(&mut self, iov: &Iov) {
        let iovs = self.iovs.entry(iov.tag.clone()).or_default();
        let row = Insertion {
            inserted_us: iov.inserted_at.as_micros(),
            sequence: iov.sequence,
            payload: iov.hash.clone(),
        };
        iovs.insert(iov.since, row);
    }
}

impl Engine {
    /// Whether a task of the list decides on a tag.
    pub(crate) fn calibrates(&self, task: usize, tag: &TagName) -> bool {
        let rules = &self.plans[task].task.calibrates;
        rules.iter().any(|rule| rule.tag == *tag)
    }

    /// Judges the constants that a harvest proposes.
    pub(crate) fn judge_candidates(
        &mut self,
        now: Moment,
        id: JobId,
        index: usize,
        report: &AttemptReport,
        effects: &mut Vec<Effect>,
    ) {
        let number = self.jobs[&id].run;
        let rules = self.plans[index].task.calibrates.clone();
        for rule in &rules {
            let stored = stored_tag(&rule.tag, self.runs[&number].run.label);
            if self.is_decided_before(id, &rule.tag, &stored) {
                continue;
            }
            let Some(candidate) = report.candidates.iter().find(|c| c.tag == rule.tag) else {
                continue;
            };
            if !self.is_measured(number, &stored) {
                let candidate = self.as_moved_from_what_is_in_force(id, rule, candidate);
                self.judge_candidate(now, id, rule, &candidate, effects);
            }
        }
    }

    /// A candidate whose moves are from another constant than the one in force, which was put after
    /// its harvest had begun, says nothing of how far it moved.
    fn as_moved_from_what_is_in_force(
        &self,
        harvest: JobId,
        rule: &GateRule,
        candidate: &CandidateConstant,
    ) -> CandidateConstant {
        let job = &self.jobs[&harvest];
        let stored = stored_tag(&rule.tag, self.runs[&job.run].run.label);
        let recipe = job.recipe.iter().flat_map(|recipe| &recipe.constants);
        let mut given = recipe.filter(|used| used.tag == rule.tag);
        let given = given.next().map(|used| &used.hash);
        let in_force = self.constants.in_force_of(&stored, job.run);
        let mut candidate = candidate.clone();
        if given != in_force.as_ref().map(|in_force| &in_force.hash) {
            for quantity in &mut candidate.quantities {
                quantity.moved_nano = None;
            }
        }
        candidate
    }

    /// Whether what a harvest would measure was decided already, by another harvest or with an
    /// earlier part of its run: that stands (D18).
    fn is_decided_before(&self, harvest: JobId, tag: &TagName, stored: &TagName) -> bool {
        let job = &self.jobs[&harvest];
        let work = &self.runs[&job.run];
        let decided = self
            .constants
            .decisions
            .contains_key(&(stored.clone(), job.run));
        work.decided.contains(tag) && (decided || work.run.part > FIRST_PART)
    }

    fn judge_candidate(
        &mut self,
        now: Moment,
        job: JobId,
        rule: &GateRule,
        candidate: &CandidateConstant,
        effects: &mut Vec<Effect>,
    ) {
        let number = self.jobs[&job].run;
        let run = &self.runs[&number].run;
        let label = run.label;
        let tag = stored_tag(&rule.tag, label);
        let before = self.constants.decided_after(&tag, number);
        let against = self.constants.in_force_of(&tag, number);
        let (mut outcome, mut reason) = if let Some(reason) = &candidate.not_applicable {
            (GateOutcome::NotApplicable, reason.clone())
        } else if let Some(why) = self.closed_to_gates(&tag) {
            (GateOutcome::Veto, why)
        } else if !run.run_type.publishes() {
            (
                GateOutcome::Veto,
                "a test run changes no constants".to_owned(),
            )
        } else if has_failed(rule, candidate) {
            (GateOutcome::Veto, "the measurement failed".to_owned())
        } else {
            let is_late = before.is_some();
            self.constants
                .compare(rule, (&tag, number), candidate, against.as_ref(), is_late)
        };
        if self.only_reads(job) && !is_result(outcome) {
            return;
        }
        let held = (outcome == GateOutcome::Update)
            .then(|| self.hold_on(&tag))
            .flatten();
        if let Some(hold) = held {
            self.keep_proposal(candidate, effects);
            reason = format!("held by {}: {}; {reason}", hold.by, hold.reason);
            outcome = GateOutcome::Held;
        }
        if outcome == GateOutcome::Update
            && let Some(next) = before
            && !self.end_late_iov(now, &tag, number, next, effects)
        {
            if self.only_reads(job) {
                return;
            }
            reason = format!(
                "run {next} was decided and nothing was in force for it: this constant would reach \
                 it, and what was released stays; {reason}"
            );
            outcome = GateOutcome::Veto;
        }
        if outcome == GateOutcome::Update {
            self.keep_proposal(candidate, effects);
            self.insert_iov(now, number, &tag, &candidate.hash, effects);
        }
        if outcome == GateOutcome::Collecting && before.is_some() {
            // Nobody will add to it any more.
            outcome = GateOutcome::NotApplicable;
        }
        if let Some(next) = before {
            reason = match outcome {
                GateOutcome::Update => {
                    format!("late, so it holds only before run {next}: {reason}")
                }
                _ => format!("late: {reason}"),
            };
        }
        let decision = GateDecision {
            tag,
            run: number,
            outcome,
            reason,
            n: candidate.n,
            quantities: candidate.quantities.clone(),
            late: before.is_some(),
            proposed: (outcome == GateOutcome::Held).then(|| candidate.hash.clone()),
            against,
            put: (outcome == GateOutcome::Update).then(|| candidate.hash.clone()),
            at: now,
        };
        self.decide(number, &rule.tag, decision, effects);
        self.tell_held(now, number, &stored_tag(&rule.tag, label), effects);
    }

    /// A constant comes after a later run was decided and worked on with what was in force: what
    /// was released stays, so the late one ends where that run begins. Whether it can: nothing ends
    /// an interval where nothing was in force before.
    pub(crate) fn end_late_iov(
        &mut self,
        now: Moment,
        tag: &TagName,
        number: RunNumber,
        next: RunNumber,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(iovs) = self.constants.iovs.get(tag) else {
            return false;
        };
        let (this, next_since) = (Since::run(number), Since::run(next));
        if !iovs.sinces_within(this, next_since).is_empty() {
            return true;
        }
        let Some((_, stays)) = iovs.at(next_since) else {
            return false;
        };
        let iov = Iov {
            tag: tag.clone(),
            since: next_since,
            hash: stays.payload.clone(),
            sequence: self.ids.take(),
            inserted_at: now,
        };
        self.constants.keep(&iov);
        effects.push(Effect::Record(Fact::IovIs(iov)));
        self.look_for_redo_since(next_since, TimeType::Run);
        true
    }

    /// Keeps what a harvest proposes, in force or not.
    fn keep_proposal(&mut self, candidate: &CandidateConstant, effects: &mut Vec<Effect>) {
        let payload = ConditionsPayload {
            hash: candidate.hash.clone(),
            text: candidate.payload.clone(),
        };
        let text: Arc<str> = Arc::from(candidate.payload.as_str());
        self.constants.payloads.insert(payload.hash.clone(), text);
        effects.push(Effect::Record(Fact::PayloadIs(payload)));
    }

    /// Puts what was measured on a run into its tag, from that run on.
    pub(crate) fn insert_iov(
        &mut self,
        now: Moment,
        number: RunNumber,
        tag: &TagName,
        hash: &str,
        effects: &mut Vec<Effect>,
    ) {
        let since = Since::run(number);
        let iov = Iov {
            tag: tag.clone(),
            since,
            hash: hash.to_owned(),
            sequence: self.ids.take(),
            inserted_at: now,
        };
        self.constants.keep(&iov);
        effects.push(Effect::Record(Fact::IovIs(iov)));
        self.look_for_redo_since(since, TimeType::Run);
        self.announce_interval(now, tag, since, effects);
    }

    /// Records a decision and looks again at whatever may have waited for it. What is held is no
    /// decision for those who wait.
    pub(crate) fn decide(
        &mut self,
        number: RunNumber,
        tag: &TagName,
        decision: GateDecision,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Record(Fact::DecisionIs(decision.clone())));
        let is_held = decision.outcome == GateOutcome::Held;
        self.constants.take(decision);
        self.archive.look_again();
        self.look_for_redo(number);
        if let Some(work) = self.runs.get_mut(&number) {
            if !is_held {
                work.decided.insert(tag.clone());
            }
            self.look_at
                .extend(work.tasks.keys().map(|index| (number, *index)));
        }
        // Harvests of later runs may have waited for this one.
        self.look_at_later_harvests(number);
    }

    /// Looks again at whatever calibrates in runs after this one.
    pub(crate) fn look_at_later_harvests(&mut self, number: RunNumber) {
        for (later, work) in self.runs.range(RunNumber(number.0.saturating_add(1))..) {
            for index in work.tasks.keys() {
                if !self.plans[*index].task.calibrates.is_empty() {
                    self.look_at.insert((*later, *index));
                }
            }
        }
    }

    /// A calibrating task has ended without proposing some constant: what is in force stays, and
    /// nobody waits.
    pub(crate) fn abandon_undecided(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        effects: &mut Vec<Effect>,
    ) {
        let rules = self.plans[index].task.calibrates.clone();
        for rule in &rules {
            let work = &self.runs[&number];
            if self.has_spoken(number, &rule.tag) {
                continue;
            }
            let reason = match work.tasks.get(&index).map_or(0, |task| task.made_jobs) {
                0 => "the run has no data to measure it from",
                _ => "the harvest ended without proposing it",
            };
            let decision = GateDecision {
                tag: stored_tag(&rule.tag, work.run.label),
                run: number,
                outcome: GateOutcome::Abandoned,
                reason: reason.to_owned(),
                n: 0,
                quantities: Vec::new(),
                late: false,
                proposed: None,
                against: None,
                put: None,
                at: now,
            };
            self.decide(number, &rule.tag, decision, effects);
        }
    }
}
