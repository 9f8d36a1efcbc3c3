//! The modelled executor and the modelled storage: attempts run and report, outputs are put in
//! place, and both fail.
//!
//! In come attempts and commit plans, out come news with their delays. Neither may do anything
//! twice: a token is started once, a final name is given once (I6, D9).

use crate::faults::Faults;
use crate::programs;
use crate::random::Random;
use crate::tables::Tables;
use model::ids::{JobId, Token};
use model::job::ExitClass;
use model::names::FileName;
use model::time::{Moment, Span};
use model::units::Bytes;
use model::work::{
    AttemptNews, AttemptReport, AttemptSpec, CommitFailure, CommitPlan, StoredOutput,
};
use std::collections::{BTreeMap, BTreeSet};

/// Failures that cost an attempt, at most, for each job of a gentle seed: one less than any task's
/// limit.
const GENTLE_FAILURES_MAX: u32 = 2;

/// What the executor remembers of all epochs.
#[derive(Debug, Default)]
pub(crate) struct Executor {
    started: BTreeSet<Token>,
    costly: BTreeMap<JobId, u32>,
}

/// News of an attempt, and how long it takes to come.
pub(crate) struct Coming {
    pub(crate) after: Span,
    pub(crate) news: AttemptNews,
    pub(crate) what: &'static str,
}

impl Executor {
    /// Starts an attempt; says what will be heard of it.
    pub(crate) fn begin(
        &mut self,
        now: Moment,
        spec: &AttemptSpec,
        data_seed: u64,
        faults: &Faults,
        random: &mut Random,
    ) -> Result<Vec<Coming>, String> {
        if !self.started.insert(spec.token) {
            return Err(format!("I6: attempt {} was started twice", spec.token));
        }
        let starts = Span::from_millis(random.between(1, 30) as i64);
        let runs = Span::from_millis(random.between(120, 1_500) as i64);
        let (started_at, ended_at) = (now + starts, now + starts + runs);
        let good = programs::report(data_seed, spec, started_at, ended_at);
        let (report, what) = self.outcome(spec, good, faults, random);
        let mut coming = vec![
            Coming {
                after: starts,
                news: AttemptNews::Started { at: started_at },
                what: "started",
            },
            Coming {
                after: starts + runs,
                news: AttemptNews::Ended(Box::new(report)),
                what,
            },
        ];
        for position in 0..coming.len() {
            if random.per_mille(faults.late_news) {
                let late = Span::from_millis(random.below(3_000) as i64);
                coming[position].after += late;
            }
            if random.per_mille(faults.duplicate_news) {
                let again = Span::from_millis(random.below(3_000) as i64);
                coming.push(Coming {
                    after: coming[position].after + again,
                    news: coming[position].news.clone(),
                    what: "said twice",
                });
            }
        }
        Ok(coming)
    }

    /// Whether another failure of this job leaves it an attempt.
    fn may_fail(&mut self, job: JobId, faults: &Faults) -> bool {
        let costly = self.costly.entry(job).or_default();
        if !faults.harsh && *costly >= GENTLE_FAILURES_MAX {
            return false;
        }
        *costly += 1;
        true
    }

    fn outcome(
        &mut self,
        spec: &AttemptSpec,
        mut good: AttemptReport,
        faults: &Faults,
        random: &mut Random,
    ) -> (AttemptReport, &'static str) {
        let failed = |class: ExitClass, good: &AttemptReport| {
            let message = format!("{} it was", class.as_str());
            AttemptReport::failed(class, message, good.started_at, good.ended_at)
        };
        if random.per_mille(faults.lost) {
            return (failed(ExitClass::Lost, &good), "lost");
        }
        if random.per_mille(faults.transient) && self.may_fail(spec.token.job, faults) {
            let (class, what) = match random.below(4) {
                0 => (ExitClass::Transient, "failed transient"),
                1 => (ExitClass::Memory, "failed memory"),
                2 => (ExitClass::Time, "failed time"),
                _ => (ExitClass::Site, "failed site"),
            };
            return (failed(class, &good), what);
        }
        if random.per_mille(faults.permanent) {
            return match random.below(2) {
                0 => (failed(ExitClass::Input, &good), "failed input"),
                _ => (failed(ExitClass::Program, &good), "failed program"),
            };
        }
        if !good.outputs.is_empty() {
            if random.per_mille(faults.missing_output) {
                let at = random.below(good.outputs.len() as u64) as usize;
                good.outputs.remove(at);
                return (good, "output missing");
            }
            if random.per_mille(faults.output_twice) {
                let again = good.outputs[0].clone();
                good.outputs.push(again);
                return (good, "output twice");
            }
            if random.per_mille(faults.mismatch) {
                good.outputs[0].bytes = Some(Bytes(1));
                return (good, "output mismatch");
            }
        }
        (good, "ended")
    }
}

/// What the storage answers, and when.
pub(crate) struct Answer {
    pub(crate) after: Span,
    pub(crate) result: Result<Vec<StoredOutput>, CommitFailure>,
    pub(crate) what: &'static str,
}

/// Files under final names.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    shelf: BTreeMap<FileName, (Bytes, u32)>,
}

impl Storage {
    /// Puts outputs in place. They are there at once under names nobody knows; the answer takes its
    /// time.
    pub(crate) fn commit(
        &mut self,
        plan: &CommitPlan,
        spec: &AttemptSpec,
        executor: &mut Executor,
        faults: &Faults,
        random: &mut Random,
    ) -> Result<Answer, String> {
        let after = Span::from_millis(random.between(1, 150) as i64);
        if random.per_mille(faults.storage) && executor.may_fail(plan.token.job, faults) {
            let message = "no space left for a moment".to_owned();
            let class = ExitClass::Transient;
            return Ok(Answer {
                after,
                result: Err(CommitFailure {
                    class,
                    message,
                    hindrance: None,
                }),
                what: "storage failed",
            });
        }
        let mut stored = Vec::new();
        for output in &plan.outputs {
            let label = output.reported.label.as_str();
            let (bytes, adler32) = (
                programs::size_of(spec, label),
                programs::adler_of(spec, label),
            );
            let name = output.name.clone();
            if self.shelf.insert(name.clone(), (bytes, adler32)).is_some() {
                return Err(format!("D9: the final name {name} was given twice"));
            }
            stored.push(StoredOutput {
                name,
                bytes,
                adler32,
            });
        }
        Ok(Answer {
            after,
            result: Ok(stored),
            what: "stored",
        })
    }

    /// Removes what no row speaks of, as after a restart.
    pub(crate) fn collect_garbage(&mut self, rows: &Tables) -> usize {
        let known: BTreeSet<&FileName> = rows.outputs.values().map(|output| &output.name).collect();
        let before = self.shelf.len();
        self.shelf.retain(|name, _| known.contains(name));
        before - self.shelf.len()
    }

    /// Whether everything that the rows promise is there.
    pub(crate) fn check(&self, rows: &Tables) -> Result<(), String> {
        for output in rows.outputs.values() {
            let there = self.shelf.get(&output.name);
            if there != Some(&(output.bytes, output.adler32)) {
                let name = &output.name;
                return Err(format!(
                    "D9: {name} is promised, in the storage is {there:?}"
                ));
            }
        }
        Ok(())
    }

    /// Whether an output is there.
    pub(crate) fn has(&self, name: &FileName) -> bool {
        self.shelf.contains_key(name)
    }
}
