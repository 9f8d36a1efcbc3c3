//! The modelled executor: a batch system whose places are fast and slow, lose attempts, refuse
//! them, fail them all, keep them for ever, and say things twice.
//!
//! In come attempts, out come news with their delays. It may do nothing twice (a token is started
//! once, I6), and nothing goes on in it for which nobody waits (D16).

use crate::chance::Chance;
use crate::faults::Faults;
use crate::programs;
use crate::random::{Random, mix, mix_text};
use crate::story::short;
use model::ids::{JobId, Token};
use model::job::ExitClass;
use model::time::{Moment, Span};
use model::units::Bytes;
use model::work::{AttemptNews, AttemptReport, AttemptSpec, Location};
use std::collections::{BTreeMap, BTreeSet};

/// Failures that cost an attempt, at most, for each job of a gentle seed: one less than any task's
/// limit.
const GENTLE_FAILURES_MAX: u32 = 2;
/// Places that take attempts.
const PLACES: u64 = 4;

/// How long attempts take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    #[default]
    Fast,
    Slow,
    /// Most are fast, some wait long for a place.
    Bimodal,
    /// A few run a hundred times longer than most.
    HeavyTail,
}

impl Pace {
    pub(crate) const ALL: [Self; 4] = [Self::Fast, Self::Slow, Self::Bimodal, Self::HeavyTail];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "places are fast",
            Self::Slow => "places are slow",
            Self::Bimodal => "places are fast or slow",
            Self::HeavyTail => "places have a heavy tail",
        }
    }

    /// Until an attempt starts, and how long it runs.
    fn draw(self, random: &mut Random) -> (Span, Span) {
        let crowded = random.per_mille(200);
        let (waits, runs) = match self {
            Self::Fast => ((1, 30), (120, 1_500)),
            Self::Slow => ((500, 4_000), (1_000, 9_000)),
            Self::Bimodal if crowded => ((2_000, 15_000), (120, 1_500)),
            Self::Bimodal => ((1, 30), (120, 1_500)),
            Self::HeavyTail => {
                // Pareto's law with exponent 1: up to a thousand times the shortest.
                let times = 1_000 / random.between(1, 1_000);
                ((1, 30), (120 * times, 120 * times))
            }
        };
        let mut within = |(first, last)| Span::from_millis(random.between(first, last) as i64);
        (within(waits), within(runs))
    }
}

/// What the executor remembers of all epochs.
#[derive(Debug, Default)]
pub(crate) struct Executor {
    started: BTreeSet<Token>,
    costly: BTreeMap<JobId, u32>,
    /// Attempts that a place holds, and until when.
    held: BTreeMap<Token, Moment>,
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
        chance: &mut Chance,
    ) -> Result<Vec<Coming>, String> {
        if !self.started.insert(spec.token) {
            return Err(format!("I6: attempt {} was started twice", spec.token));
        }
        let key = attempt_key(spec);
        chance.name(key, || in_words(spec));
        let random = &mut chance.random("attempt", key);
        let (starts, runs) = faults.pace.draw(random);
        if chance.of("refused", key, faults.refused) {
            let report = failed(ExitClass::Lost, "no place takes it", now);
            return Ok(vec![coming(starts, report, "refused")]);
        }
        let (started_at, mut ended_at) = (now + starts, now + starts + runs);
        let good = programs::report(data_seed, spec, started_at, ended_at);
        let (mut report, mut what) = self.outcome(spec, good, faults, chance);
        // One of the places fails whatever it is given.
        let falls = u64::from(faults.black_hole) * 1_000 / PLACES;
        if chance.of("black_hole", key, falls) && self.may_fail(spec.token.job, faults) {
            ended_at = started_at + Span::from_millis(5);
            report = failed(ExitClass::Site, "the node has no disk", ended_at);
            what = "fell into a black hole";
        } else if chance.of("ghost", key, faults.ghost) {
            // Its node is gone and nobody says so: what ends it is its wall time.
            ended_at = started_at + spec.needs.wall;
            let class = if self.may_fail(spec.token.job, faults) {
                ExitClass::Time
            } else {
                ExitClass::Lost
            };
            report = failed(class, "it was ended after its wall time", ended_at);
            what = "a ghost was ended";
        }
        report.started_at = started_at;
        report.ended_at = ended_at;
        self.held.insert(spec.token, ended_at);
        let started = Coming {
            after: starts,
            news: AttemptNews::Started { at: started_at },
            what: "started",
        };
        let ended = coming(ended_at.since(now), report, what);
        Ok(disturbed(vec![started, ended], key, faults, chance))
    }

    /// Whether another failure of this job leaves it an attempt.
    pub(crate) fn may_fail(&mut self, job: JobId, faults: &Faults) -> bool {
        let costly = self.costly.entry(job).or_default();
        if !faults.harsh && *costly >= GENTLE_FAILURES_MAX {
            return false;
        }
        *costly += 1;
        true
    }

    /// Ends an attempt; says whether there was one to end, and what will be heard of it.
    pub(crate) fn cancel(&mut self, now: Moment, token: Token) -> Option<Coming> {
        let ends = self.held.remove(&token)?;
        (ends > now).then(|| {
            let report = failed(ExitClass::Lost, "it was cancelled", now);
            coming(Span::from_millis(20), report, "cancelled")
        })
    }

    /// The spawner has died with its agent, and ended everything.
    pub(crate) fn end_all(&mut self) {
        self.held.clear();
    }

    /// Attempts that go on.
    pub(crate) fn held(&self, now: Moment) -> impl Iterator<Item = Token> {
        let going_on = self.held.iter().filter(move |(_, ends)| **ends > now);
        going_on.map(|(token, _)| *token)
    }

    fn outcome(
        &mut self,
        spec: &AttemptSpec,
        mut good: AttemptReport,
        faults: &Faults,
        chance: &mut Chance,
    ) -> (AttemptReport, &'static str) {
        let key = attempt_key(spec);
        let random = &mut chance.random("outcome", key);
        let ended_at = good.ended_at;
        let failed = |class: ExitClass| failed(class, class.as_str(), ended_at);
        if chance.of("lost", key, faults.lost) {
            return (failed(ExitClass::Lost), "lost");
        }
        if chance.of("transient", key, faults.transient) && self.may_fail(spec.token.job, faults) {
            let (class, what) = match random.below(4) {
                0 => (ExitClass::Transient, "failed transient"),
                1 => (ExitClass::Memory, "failed memory"),
                2 => (ExitClass::Time, "failed time"),
                _ => (ExitClass::Site, "failed site"),
            };
            return (failed(class), what);
        }
        if chance.of("permanent", key, faults.permanent) {
            return match random.below(2) {
                0 => (failed(ExitClass::Input), "failed input"),
                _ => (failed(ExitClass::Program), "failed program"),
            };
        }
        if !good.outputs.is_empty() {
            if chance.of("missing_output", key, faults.missing_output) {
                let at = random.below(good.outputs.len() as u64) as usize;
                good.outputs.remove(at);
                return (good, "output missing");
            }
            if chance.of("output_twice", key, faults.output_twice) {
                let again = good.outputs[0].clone();
                good.outputs.push(again);
                return (good, "output twice");
            }
            if chance.of("mismatch", key, faults.mismatch) {
                good.outputs[0].bytes = Some(Bytes(1));
                return (good, "output mismatch");
            }
        }
        (good, "ended")
    }
}

/// News come late and twice.
fn disturbed(
    mut news: Vec<Coming>,
    attempt: u64,
    faults: &Faults,
    chance: &mut Chance,
) -> Vec<Coming> {
    for position in 0..news.len() {
        let key = mix(attempt ^ (position as u64 + 1));
        let name = if position == 0 { "start" } else { "end" };
        chance.name_after(key, attempt, name);
        let random = &mut chance.random("news", key);
        if chance.of("late_news", key, faults.late_news) {
            let late = Span::from_millis(random.below(3_000) as i64);
            news[position].after += late;
        }
        if chance.of("duplicate_news", key, faults.duplicate_news) {
            let again = Span::from_millis(random.below(3_000) as i64);
            news.push(Coming {
                after: news[position].after + again,
                news: news[position].news.clone(),
                what: "said twice",
            });
        }
    }
    news
}

fn failed(class: ExitClass, message: &str, at: Moment) -> AttemptReport {
    AttemptReport::failed(class, message.to_owned(), at, at)
}

fn coming(after: Span, report: AttemptReport, what: &'static str) -> Coming {
    Coming {
        after,
        news: AttemptNews::Ended(Box::new(report)),
        what,
    }
}

/// A number for an attempt that does not depend on what other objects there are: made of what it
/// is to do.
pub(crate) fn attempt_key(spec: &AttemptSpec) -> u64 {
    let task = &spec.plan.task;
    let mut key = mix_text(task.pipeline.as_str()) ^ mix(mix_text(task.task.as_str()));
    let mut add = |value: u64| key = mix(key ^ value);
    add(u64::from(spec.run.0));
    add(u64::from(spec.token.attempt.0));
    for (first, last) in &spec.lumis {
        add(u64::from(first.0) << 32 | u64::from(last.0));
    }
    for input in &spec.inputs {
        match &input.location {
            Location::Spool { name, .. } => add(mix_text(name.as_str())),
            Location::Storage { .. } => add(input.events.map_or(0, |events| events.0)),
        }
        add(input.first_event.unwrap_or(0));
    }
    key
}

/// An attempt as people speak of it.
pub(crate) fn in_words(spec: &AttemptSpec) -> String {
    let lumis = spec.lumis.iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    let lumis: Vec<String> = lumis.collect();
    let (token, task, run) = (spec.token, &spec.plan.task, spec.run);
    let (job, attempt) = (short(token.job.0), token.attempt);
    format!(
        "attempt {attempt} of job {job}: {task} of run {run}, lumis {}",
        lumis.join(",")
    )
}
