//! What constants are judged against: the interval that runs may still join, or what a person or an
//! import has put into force meanwhile; and the runs that are still collecting.
//!
//! In come decisions, live or as rows; out comes, for the next candidate, what it is compared with.
//! The order in which runs are decided makes no difference, so a restart may take them in any.
//! Whether a candidate is good is said by the wing `calibration`.

use crate::Engine;
use crate::constants::{Constants, stored_tag};
use calibration::conditions::payload;
use calibration::gate::{Candidate, Decision, OpenIov, Outcome, Quantity, Rule, judge};
use calibration::thresholds::{self, Coordinate, Thresholds};
use model::conditions::{
    Against, CandidateConstant, GateDecision, GateOutcome, MeasuredQuantity, Since, TimeType,
};
use model::ids::RunNumber;
use model::job::{InputId, Job, JobState};
use model::names::TagName;
use pipelines::definition::{DecisionTable, DepartureRule, GateBy, GateRule};

/// The interval that runs of a tag may still join, as it was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) iov: OpenIov,
    /// The hash of its constant; none where the row of the decision does not tell.
    payload: Option<String>,
}

impl Open {
    /// Whether a constant is the one it began with.
    fn is_of(&self, hash: &str) -> bool {
        self.payload.as_deref().is_none_or(|own| own == hash)
    }
}

impl Constants {
    /// Takes a decision in: what later runs are judged against. It is what the decisions are in the
    /// order of runs: the order in which they were taken makes no difference, nor does a restart.
    pub(crate) fn take(&mut self, decision: GateDecision) {
        let tag = decision.tag.clone();
        let from = (tag.clone(), decision.run);
        let behind = self.decisions.range(from.clone()..).next();
        let is_last = behind.is_none_or(|((of, _), _)| *of != tag);
        self.decisions.insert(from, decision.clone());
        if is_last {
            self.count(&tag, &decision);
            return;
        }
        self.open.remove(&tag);
        self.collecting.remove(&tag);
        let of_tag = self.decisions.range((tag.clone(), RunNumber(0))..);
        let of_tag = of_tag.take_while(|((of, _), _)| *of == tag);
        let all: Vec<GateDecision> = of_tag.map(|(_, decision)| decision.clone()).collect();
        for decision in &all {
            self.count(&tag, decision);
        }
    }

    /// What the decision on the last run of a tag makes of it.
    fn count(&mut self, tag: &TagName, decision: &GateDecision) {
        let run = decision.run;
        match decision.outcome {
            GateOutcome::Collecting if !decision.late => self.collect(tag, run),
            GateOutcome::Update | GateOutcome::NoChange => {
                if let Some(collecting) = self.collecting.get_mut(tag) {
                    collecting.retain(|other| *other > run);
                }
                // A late one holds only before a run that is decided already.
                if !decision.late {
                    self.follow(tag, decision);
                }
            }
            GateOutcome::Collecting
            | GateOutcome::Veto
            | GateOutcome::NotApplicable
            | GateOutcome::Abandoned
            | GateOutcome::Held => {}
        }
    }

    /// Brings the open interval up to a decision: as it was taken then, whatever rule would hold
    /// now.
    fn follow(&mut self, tag: &TagName, decision: &GateDecision) {
        let candidate = candidate_of(decision);
        let open = self.open.get(tag);
        let last = open.and_then(|open| open.iov.runs.last());
        if last.is_some_and(|last| *last >= candidate.run) || candidate.quantities.is_empty() {
            return;
        }
        let against = decision.against.as_ref();
        let before = self.judged_against(tag, against, &candidate);
        let next = match (decision.outcome, before) {
            (GateOutcome::Update, before) => Open {
                iov: match before {
                    None => OpenIov::open(&candidate),
                    Some(before) => before.iov.followed_by(&candidate),
                },
                payload: decision.put.clone(),
            },
            (_, Some(before)) => Open {
                iov: before.iov.join_known(&candidate),
                payload: before.payload,
            },
            // Nothing is in force that it could agree with.
            (_, None) => return,
        };
        self.open.insert(tag.clone(), next);
    }

    /// What a candidate is judged against: the open interval, unless a person or an import has put
    /// another constant into force, which then counts as it is written. One whose numbers cannot be
    /// read stays in force as long as the runs agree with the open interval.
    fn judged_against(
        &self,
        tag: &TagName,
        against: Option<&Against>,
        candidate: &Candidate,
    ) -> Option<Open> {
        let open = self.open.get(tag);
        let put = against.filter(|against| !open.is_some_and(|open| open.is_of(&against.hash)));
        let put = put.and_then(|put| {
            let text = self.payloads.get(&put.hash)?;
            let names: Vec<&str> = candidate
                .quantities
                .iter()
                .map(|one| one.name.as_str())
                .collect();
            let values = payload::numbers_nano(text, names.iter().copied())?;
            let measured = names.iter().copied().zip(values);
            // What this run does not measure is in force as well.
            let known = open.into_iter().flat_map(|open| &open.iov.quantities);
            let others = known.map(|sums| sums.name.as_str());
            let others = others.filter(|name| !names.contains(name));
            let others = others.filter_map(|name| {
                let values = payload::numbers_nano(text, [name])?;
                Some((name, *values.first()?))
            });
            let values = measured
                .chain(others)
                .map(|(name, value)| (name.to_owned(), value));
            Some(Open {
                iov: OpenIov::of_constant(put.since.0, values),
                payload: Some(put.hash.clone()),
            })
        });
        put.or_else(|| open.cloned())
    }

    /// A decision of a row that does not say yet which constant it put: that of the interval which
    /// was inserted with it.
    pub(crate) fn with_what_it_put(&self, mut decision: GateDecision) -> GateDecision {
        if decision.outcome == GateOutcome::Update && decision.put.is_none() {
            let index = self.iovs.get(&decision.tag);
            let rows = index.map(|index| index.with_since(Since::run(decision.run)));
            let at_us = decision.at.as_micros();
            let mut own = rows.into_iter().flatten();
            let own = own.find(|row| row.inserted_us == at_us);
            decision.put = own.map(|row| row.payload.clone());
        }
        decision
    }

    /// What the gate says of a candidate of a run, with its sentence. A late one is compared with
    /// nothing.
    pub(crate) fn compare(
        &self,
        rule: &GateRule,
        (tag, run): (&TagName, RunNumber),
        candidate: &CandidateConstant,
        against: Option<&Against>,
        is_late: bool,
    ) -> (GateOutcome, String) {
        let asked = Candidate {
            tag: tag.to_string(),
            run: run.0,
            n: candidate.n,
            quantities: candidate.quantities.iter().map(quantity_of).collect(),
        };
        let judged_against = || self.judged_against(tag, against, &asked);
        let open = (!is_late).then(judged_against).flatten();
        let iov = open.as_ref().map(|open| &open.iov);
        let decision = decision_of(rule, iov, &asked, &candidate.quantities);
        let unread = against.filter(|put| open.is_some_and(|open| !open.is_of(&put.hash)));
        let unread = unread.map_or_else(String::new, |put| {
            format!(
                "; in force since run {} is a constant that was put, whose numbers are not those \
                 measured",
                put.since
            )
        });
        (outcome_of(decision.outcome), decision.reason + &unread)
    }

    /// The constant of a tag as stored that is in force for a run.
    pub(crate) fn in_force_of(&self, tag: &TagName, run: RunNumber) -> Option<Against> {
        let (since, row) = self.iovs.get(tag)?.at(Since::run(run))?;
        Some(Against {
            since: since.run_number(TimeType::Run)?,
            hash: row.payload.clone(),
        })
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

    /// The last run before this one of which something is held of a tag as stored.
    fn held_before(&self, tag: &TagName, run: RunNumber) -> Option<RunNumber> {
        let of_tag = self
            .decisions
            .range((tag.clone(), RunNumber(0))..(tag.clone(), run));
        let mut held = of_tag.filter(|(_, decision)| decision.outcome == GateOutcome::Held);
        held.next_back().map(|((_, run), _)| *run)
    }

    /// Keeps a run for later harvests, unless a later run was decided without it.
    fn collect(&mut self, tag: &TagName, run: RunNumber) {
        let open = self.open.get(tag).and_then(|open| open.iov.runs.last());
        let collecting = self.collecting.entry(tag.clone()).or_default();
        if open.is_none_or(|last| *last < run.0) {
            let at = collecting.partition_point(|other| *other < run);
            collecting.insert(at, run);
        }
    }
}

/// What the wing of calibration says of a candidate.
fn decision_of(
    rule: &GateRule,
    open: Option<&OpenIov>,
    candidate: &Candidate,
    measured: &[MeasuredQuantity],
) -> Decision {
    let told_nano = |name: &str| {
        let mut own = measured.iter().filter(|quantity| quantity.name == name);
        own.next().and_then(|quantity| quantity.moved_nano)
    };
    match &rule.by {
        GateBy::Departure(rule) => judge(&rule_of(rule), open, candidate).0,
        GateBy::Table(table) => {
            thresholds::judge(&thresholds_of(table), open, candidate, told_nano)
        }
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
pub(crate) fn has_failed(rule: &GateRule, candidate: &CandidateConstant) -> bool {
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
            .flat_map(|rule| {
                let tag = stored_tag(&rule.tag, label);
                // What a held proposal was measured from is its own until it is refused.
                let taken = self.constants.held_before(&tag, number);
                let collecting = self.constants.collecting.get(&tag).into_iter().flatten();
                let left = collecting.filter(move |run| taken.is_none_or(|taken| **run > taken));
                left.copied()
            })
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::conditions::Iov;
    use model::time::Moment;

    #[test]
    fn an_older_row_put_the_constant_that_was_inserted_with_it() {
        let tag = TagName::new("scale");
        let mut constants = Constants::default();
        for (hash, sequence, at) in [("put", 1, 5_000), ("own", 2, 9_000), ("later", 3, 11_000)] {
            constants.keep(&Iov {
                tag: tag.clone(),
                since: Since::run(RunNumber(7)),
                hash: hash.to_owned(),
                sequence,
                inserted_at: Moment(at),
            });
        }
        let row = GateDecision {
            tag,
            run: RunNumber(7),
            outcome: GateOutcome::Update,
            reason: String::new(),
            n: 1,
            quantities: Vec::new(),
            late: false,
            proposed: None,
            against: None,
            put: None,
            at: Moment(9_000),
        };
        let known = constants.with_what_it_put(row);
        assert_eq!(known.put.as_deref(), Some("own"));
    }
}
