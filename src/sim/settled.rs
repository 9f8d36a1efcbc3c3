//! What must be true once the faults have ended and everything has come to its end: nothing is left
//! open, every message was said, every decision was taken, and work was done with the constants
//! that were in force.
//!
//! In comes the durable content, out comes the sentence that says which promise is broken.

use crate::redone::given_at;
use crate::tables::Tables;
use crate::world::World;
use model::conditions::Iov;
use model::dataset::{BlockState, Output};
use model::ids::RunNumber;
use model::job::{Job, JobState};
use model::names::{DataLabel, TagName};
use model::run::{Run, RunType};
use model::time::{Moment, Span};
use std::sync::Arc;

/// Alarms of which none may stand when all runs have finished.
const NOT_LEFT: [&str; 10] = [
    "copy-bad/",
    "copy-folder/",
    "source-kept/",
    "source-lost/",
    "source-unread/",
    "lumi-disputed/",
    "end-disputed/",
    "lumis-missing/",
    "late-file/",
    "job-parked/",
];

impl World {
    /// All runs have finished: looks at what is left.
    pub(crate) fn check_settled(&self) -> Result<(), String> {
        let tables = self.kept();
        tables.check_blocks()?;
        tables.check_messages()?;
        tables.check_alarms()?;
        tables.check_verdicts(self.now, self.prompt_waits)?;
        self.check_sources_settled()?;
        self.check_made_again_settled()?;
        for run in tables.runs.values() {
            tables.check_decided(run)?;
        }
        for job in tables.jobs.values() {
            tables.check_constants(job)?;
            if !job.state.is_terminal() {
                let (id, word) = (job.id, job.state.word());
                return Err(format!("I8: job {id} is {word}, its run has finished"));
            }
        }
        Ok(())
    }
}

impl Tables {
    fn check_blocks(&self) -> Result<(), String> {
        let mut blocks = self.blocks.values();
        match blocks.find(|block| block.state == BlockState::Open) {
            Some(block) => Err(format!("I8: block {} is open for ever", block.id)),
            None => Ok(()),
        }
    }

    /// I9: each change that strangers wait for was told.
    fn check_messages(&self) -> Result<(), String> {
        let was = |output: &&Output| output.block.is_some() || output.superseded_by.is_some();
        let publishes = |output: &&Output| self.runs[&output.run].run_type != RunType::Test;
        let published = self.outputs.values().filter(was).filter(publishes).count();
        let parts: usize = self.runs.values().map(|run| run.part as usize).sum();
        let wanted = [
            ("run.started", self.runs.len()),
            ("run.closed", parts),
            ("output.published", published),
            ("block.closed", self.blocks.len()),
        ];
        for (kind, times) in wanted {
            let said = self.said.iter().filter(|(known, _)| *known == kind).count();
            if said != times {
                return Err(format!("I9: {kind} was said {said} times, not {times}"));
            }
        }
        Ok(())
    }

    /// An alarm stands only while its cause does.
    fn check_alarms(&self) -> Result<(), String> {
        let standing = self.alarms.values().filter(|a| a.cleared_at.is_none());
        for alarm in standing {
            // Only of a run that is history may late files wait for ever.
            let late = alarm.key.strip_prefix("late-file/");
            let late = late.and_then(|rest| rest.split('/').next()?.parse().ok());
            let of_history = late.is_some_and(|run| !self.is_at_work(RunNumber(run)));
            let left = NOT_LEFT.iter().any(|key| alarm.key.starts_with(key)) && !of_history;
            let job = alarm.key.strip_prefix("job-failed/");
            let job = job.and_then(|id| id.parse().ok()).map(model::ids::JobId);
            let failed = |job: &Arc<Job>| matches!(job.state, JobState::Failed { .. });
            let mended = job.is_some_and(|id| !self.jobs.get(&id).is_some_and(failed));
            if left || mended {
                return Err(format!(
                    "I8: the alarm {} stands without a cause",
                    alarm.key
                ));
            }
        }
        Ok(())
    }

    /// Nobody is asked to look at a verdict for longer than its time; `LATE` is for what was under
    /// way.
    fn check_verdicts(&self, now: Moment, at_most: Span) -> Result<(), String> {
        const LATE: Span = Span::from_secs(60);
        for alarm in self.alarms.values().filter(|a| a.cleared_at.is_none()) {
            let (kind, of) = alarm.key.split_once('/').unwrap_or_default();
            let asks = ["verdict-hold", "verdict-calibrate", "verdict-page"].contains(&kind);
            let run = of.parse().ok().map(RunNumber).filter(|_| asks);
            let quality = run.and_then(|run| self.quality.get(&run));
            if quality.is_some_and(|quality| quality.at + at_most + LATE < now) {
                let key = &alarm.key;
                return Err(format!("D17: the alarm {key} stands longer than it may"));
            }
        }
        Ok(())
    }

    /// A run that has finished has every decision and its verdict.
    fn check_decided(&self, run: &Run) -> Result<(), String> {
        let works = |pipeline: &str| run.pipelines.iter().any(|p| p.as_str() == pipeline);
        let number = run.number;
        for tag in ["beamspot", "scale"] {
            let key = (stored(tag, run.label), number);
            if works("calibration") && !self.decisions.contains_key(&key) {
                return Err(format!("D17: {} of run {number} is not decided", key.0));
            }
        }
        if works("dqm") && !self.quality.contains_key(&number) {
            return Err(format!("I8: run {number} has finished without a verdict"));
        }
        Ok(())
    }

    /// D17: a job is done with the constants that were in force when its attempt was sent.
    fn check_constants(&self, job: &Job) -> Result<(), String> {
        let (Some(recipe), Some(sent)) = (&job.recipe, job.stamps.sent) else {
            return Ok(());
        };
        let Some(run) = self.runs.get(&job.run) else {
            return Err(format!("I8: job {} is of no run", job.id));
        };
        for used in &recipe.constants {
            let tag = stored(used.tag.as_str(), run.label);
            for at in self.points(&tag, job) {
                let own = self
                    .iovs
                    .values()
                    .filter(|iov| iov.tag == tag && iov.since <= at);
                let own: Vec<&Iov> = own.collect();
                // Of what came in the very moment, that it was in time was seen when the job was
                // sent.
                if own.iter().any(|iov| iov.inserted_at == sent) {
                    continue;
                }
                let by_then = own.into_iter().filter(|iov| iov.inserted_at <= sent);
                let best = by_then.max_by_key(|iov| (iov.since, iov.sequence));
                let given = given_at(recipe, &used.tag, at);
                if best.map(|iov| &iov.hash) != given.map(|given| &given.hash) {
                    let (id, hash) = (job.id, &used.hash);
                    return Err(format!(
                        "D17: job {id} used {tag} {hash}, in force was {best:?}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// A tag as stored: simulated constants never meet real ones.
pub(crate) fn stored(tag: &str, label: DataLabel) -> TagName {
    match label {
        DataLabel::Real => TagName::new(tag),
        DataLabel::Simulated => TagName::new(&format!("{tag}/SIM")),
    }
}
