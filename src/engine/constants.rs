//! Constants: what harvests propose is judged in the order of runs, becomes an interval of
//! validity, and releases the work that waits for it (D17).
//!
//! Whether a constant is good is decided by the wing `calibration`; here is kept what it is judged
//! against. The order matters: a run is judged only when every earlier run at work has its
//! decision, so the intervals do not depend on which harvest happens to end first. Simulated runs
//! have tags of their own.

use crate::harvests::is_result;
use crate::{Effect, Engine};
use calibration::conditions::{Index, Insertion};
use calibration::gate::{Candidate, Decision, OpenIov, Outcome, Quantity, Rule, judge};
use calibration::thresholds::{self, Coordinate, Thresholds};
use model::conditions::{
    CandidateConstant, ConditionsPayload, ConditionsTag, GateDecision, GateOutcome, GlobalTag, Iov,
    MeasuredQuantity, Since, TimeType,
};
use model::fact::Fact;
use model::file::FIRST_PART;
use model::ids::{JobId, RunNumber};
use model::job::{InputId, Job, JobState};
use model::names::{DataLabel, TagName};
use model::time::Moment;
use model::work::AttemptReport;
use pipelines::definition::{DecisionTable, DepartureRule, GateBy, GateRule};
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
    pub(crate) open: BTreeMap<TagName, OpenIov>,
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

    /// Takes a decision in: what later runs are judged against. The order in which runs are decided
    /// makes no difference, so a restart may take them in any.
    pub(crate) fn take(&mut self, decision: GateDecision) {
        let tag = decision.tag.clone();
        let run = decision.run;
        match decision.outcome {
            _ if decision.late => {}
            GateOutcome::Collecting => self.collect(&tag, run),
            GateOutcome::Update | GateOutcome::NoChange => {
                if let Some(collecting) = self.collecting.get_mut(&tag) {
                    collecting.retain(|other| *other > run);
                }
                self.follow(&tag, &decision);
            }
            GateOutcome::Veto
            | GateOutcome::NotApplicable
            | GateOutcome::Abandoned
            | GateOutcome::Held => {}
        }
        self.decisions.insert((tag, run), decision);
    }

    /// Brings the open interval up to a decision: as it was taken then, whatever rule would hold
    /// now.
    fn follow(&mut self, tag: &TagName, decision: &GateDecision) {
        let candidate = candidate_of(decision);
        let open = self.open.get(tag);
        let is_after = |open: &OpenIov| open.runs.last().is_none_or(|last| *last < candidate.run);
        if !open.is_none_or(is_after) || candidate.quantities.is_empty() {
            return;
        }
        let joined = open.filter(|_| decision.outcome == GateOutcome::NoChange);
        let joined = joined.and_then(|open| open.join(&candidate));
        let open = joined.unwrap_or_else(|| OpenIov::open(&candidate));
        self.open.insert(tag.clone(), open);
    }

    /// The first run after this one that was decided on a tag as stored.
    pub(crate) fn decided_after(&self, tag: &TagName, run: RunNumber) -> Option<RunNumber> {
        let from = (tag.clone(), RunNumber(run.0.saturating_add(1)));
        let mut of_tag = self.decisions.range(from..);
        // What is held is no decision.
        let next =
            of_tag.find(|((of, _), decision)| of != tag || decision.outcome != GateOutcome::Held);
        next.filter(|((of, _), _)| of == tag)
            .map(|((_, run), _)| *run)
    }

    /// Keeps a run for later harvests, unless a later run was decided without it.
    fn collect(&mut self, tag: &TagName, run: RunNumber) {
        let open = self.open.get(tag).and_then(|open| open.runs.last());
        let collecting = self.collecting.entry(tag.clone()).or_default();
        if open.is_none_or(|last| *last < run.0) {
            let at = collecting.partition_point(|other| *other < run);
            collecting.insert(at, run);
        }
    }
}

/// What the wing of calibration says of a candidate.
fn decision_of(rule: &GateRule, open: Option<&OpenIov>, candidate: &Candidate) -> Decision {
    match &rule.by {
        GateBy::Departure(rule) => judge(&rule_of(rule), open, candidate).0,
        GateBy::Table(table) => thresholds::judge(&thresholds_of(table), open, candidate),
    }
}

fn thresholds_of(table: &DecisionTable) -> Thresholds {
    let coordinates = table.coordinates.iter().map(|rule| Coordinate {
        name: rule.name.clone(),
        cut_nano: rule.cut_nano,
        max_move_nano: rule.max_move_nano,
        max_error_nano: rule.max_error_nano,
        significance_milli: rule.min_sigma_milli,
        share_permille: rule.min_share_permille,
    });
    Thresholds {
        records_min: table.n_min,
        coordinates: coordinates.collect(),
    }
}

/// Whether a candidate without quantities has failed, and not only too little to be measured from.
fn has_failed(rule: &GateRule, candidate: &CandidateConstant) -> bool {
    let enough = match &rule.by {
        GateBy::Departure(rule) => candidate.n >= rule.n_min,
        GateBy::Table(_) => true,
    };
    candidate.quantities.is_empty() && enough
}

fn rule_of(rule: &DepartureRule) -> Rule {
    Rule {
        n_min: rule.n_min,
        counted: "entries".to_owned(),
        max_sigma: rule.max_sigma,
        max_move_nano: rule.max_move_nano,
        max_error_nano: rule.max_error_nano,
        limits: Vec::new(),
        accumulate: rule.accumulate,
    }
}

fn candidate_of(decision: &GateDecision) -> Candidate {
    Candidate {
        tag: decision.tag.to_string(),
        run: decision.run.0,
        n: decision.n,
        quantities: decision.quantities.iter().map(quantity_of).collect(),
    }
}

fn quantity_of(quantity: &MeasuredQuantity) -> Quantity {
    Quantity {
        name: quantity.name.clone(),
        value_nano: quantity.value_nano,
        error_nano: quantity.error_nano,
    }
}

fn outcome_of(outcome: Outcome) -> GateOutcome {
    match outcome {
        Outcome::Update => GateOutcome::Update,
        Outcome::NoChange => GateOutcome::NoChange,
        Outcome::Collecting => GateOutcome::Collecting,
        Outcome::Veto => GateOutcome::Veto,
        Outcome::NotApplicable => GateOutcome::NotApplicable,
    }
}

impl Engine {
    /// Inputs of earlier runs that were too small to decide and are read together with this one's.
    pub(crate) fn inputs_still_collecting(&self, number: RunNumber, index: usize) -> Vec<InputId> {
        let plan = &self.plans[index];
        let label = self.runs[&number].run.label;
        let mut runs: Vec<RunNumber> = plan
            .task
            .calibrates
            .iter()
            .filter(|rule| rule.accumulates())
            .filter_map(|rule| self.constants.collecting.get(&stored_tag(&rule.tag, label)))
            .flatten()
            .copied()
            .filter(|run| *run < number)
            .collect();
        runs.sort_unstable();
        runs.dedup();
        // The earlier run may have been opened with another configuration: what counts is who
        // measured the same tags.
        let measured = |job: &Job| {
            let mut tags = plan.task.calibrates.iter().map(|rule| &rule.tag);
            let task = self.plan_of(job);
            task.is_some_and(|task| tags.any(|tag| self.calibrates(task, tag)))
        };
        let of_run = |run: RunNumber| {
            self.jobs_of(run)
                .filter(move |job| measured(job))
                .filter(|job| !matches!(job.state, JobState::Superseded { .. }))
                .flat_map(|job| job.inputs.iter().take(job.consumed as usize).copied())
        };
        runs.into_iter().flat_map(of_run).collect()
    }

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
                self.judge_candidate(now, id, rule, candidate, effects);
            }
        }
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
            let quantities = candidate.quantities.iter().map(quantity_of).collect();
            let asked = Candidate {
                tag: tag.to_string(),
                run: number.0,
                n: candidate.n,
                quantities,
            };
            let open = self.constants.open.get(&tag).filter(|_| before.is_none());
            let decision = decision_of(rule, open, &asked);
            (outcome_of(decision.outcome), decision.reason)
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
        if outcome == GateOutcome::Update {
            if let Some(next) = before {
                self.end_late_iov(now, &tag, number, next, effects);
            }
            self.keep_proposal(candidate, effects);
            self.insert_iov(now, number, &tag, &candidate.hash, effects);
        }
        if outcome == GateOutcome::Collecting && before.is_some() {
            // Nobody will add to it any more.
            outcome = GateOutcome::NotApplicable;
        }
        if let Some(next) = before {
            reason = format!("late, so it holds only before run {next}: {reason}");
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
            at: now,
        };
        self.decide(number, &rule.tag, decision, effects);
        self.tell_held(now, number, &stored_tag(&rule.tag, label), effects);
    }

    /// A constant comes after a later run was decided and worked on with what was in force: what
    /// was released stays, so the late one ends where that run begins.
    pub(crate) fn end_late_iov(
        &mut self,
        now: Moment,
        tag: &TagName,
        number: RunNumber,
        next: RunNumber,
        effects: &mut Vec<Effect>,
    ) {
        let Some(iovs) = self.constants.iovs.get(tag) else {
            return;
        };
        let (this, next_since) = (Since::run(number), Since::run(next));
        if !iovs.sinces_within(this, next_since).is_empty() {
            return;
        }
        let Some((_, stays)) = iovs.at(next_since) else {
            return;
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
                at: now,
            };
            self.decide(number, &rule.tag, decision, effects);
        }
    }
}
