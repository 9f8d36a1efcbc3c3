//! The relations of a few objects only: what a step has changed is looked at again, at a cost that
//! does not grow with what is under way. What these cannot see, [`Engine::check`] sees in its time.
//!
//! In come the facts of a step, out comes what does not hold.

use super::Broken;
use crate::Engine;
use model::dataset::{Block, BlockState, Output};
use model::fact::Fact;
use model::file::File;
use model::ids::RunNumber;
use model::job::Job;
use model::run::RunState;

impl Engine {
    /// Looks at the objects that facts speak of; to be asked when all facts of a batch of inputs
    /// are known.
    pub fn check_touched(&self, facts: &[Fact]) -> Vec<Broken> {
        let mut broken = Vec::new();
        let mut say = |invariant, what| broken.push(Broken { invariant, what });
        for fact in facts {
            if let Fact::RunIs(run) = fact
                && !self.archive.knows(run.number)
                && self.runs.get(&run.number).map(|work| &work.run) != Some(run)
            {
                say("D4", format!("run {} is not as recorded last", run.number));
            }
            self.check_object(fact, &mut say);
        }
        broken
    }

    /// Looks at the object that a fact speaks of.
    pub(crate) fn check_object(&self, fact: &Fact, say: &mut impl FnMut(&'static str, String)) {
        // What was said of a run that has left since is in the store alone.
        let has_left = |run: &RunNumber| self.archive.knows(*run);
        match fact {
            Fact::FileIs(file) if has_left(&file.arrival.run) => {}
            Fact::JobIs(job) if has_left(&job.run) => {}
            Fact::OutputIs(output) if has_left(&output.run) => {}
            Fact::BlockIs(block) if has_left(&block.run) => {}
            Fact::SourceIs(source) if has_left(&source.run) => {}
            Fact::FileIs(file) => self.check_file(file, say),
            Fact::RunIs(run) => self.check_run(run.number, say),
            Fact::JobIs(job) => self.check_job(job, say),
            Fact::OutputIs(output) => self.check_output(output, say),
            Fact::BlockIs(block) => self.check_block(block, say),
            Fact::SourceIs(source) => {
                if let Some(what) = self.broken_source(source) {
                    say("I2", what);
                }
            }
            _ => {}
        }
    }

    /// I1: what was accepted is in the catalogue under its name.
    fn check_file(&self, file: &File, say: &mut impl FnMut(&'static str, String)) {
        let key = (file.arrival.profile.clone(), file.arrival.name.clone());
        let id = self.file_names.get(&key);
        if id != Some(&file.id) || !self.files.contains_key(&file.id) {
            say(
                "I1",
                format!("{} is not kept as accepted", file.arrival.name),
            );
        }
    }

    /// I14: a run is closed exactly when complete, and finished exactly when its tasks have ended.
    pub(super) fn check_run(&self, number: RunNumber, say: &mut impl FnMut(&'static str, String)) {
        let Some(work) = self.runs.get(&number) else {
            return;
        };
        let closed = work.run.state.is_closed();
        if closed != work.is_complete() {
            let what = format!("run {number}: closed {closed}, complete {}", !closed);
            say("I14", what);
        }
        let finished = matches!(work.run.state, RunState::Finished { .. });
        let ended = closed && work.tasks.values().all(|task| task.ended);
        if finished != ended {
            let what = format!("run {number}: finished {finished}, tasks ended {ended}");
            say("I14", what);
        }
    }

    /// A job is in the queue exactly while it is ready and its pause is over; its row is what it
    /// is.
    fn check_job(&self, recorded: &Job, say: &mut impl FnMut(&'static str, String)) {
        let id = recorded.id;
        let Some(job) = self.jobs.get(&id) else {
            say("D4", format!("job {id} is recorded and not known"));
            return;
        };
        let task = self.plan_of(job).and_then(|index| {
            let work = self.runs.get(&job.run)?;
            work.tasks.get(&index)
        });
        if task.is_some_and(|task| task.ended) && !job.state.is_terminal() {
            let word = job.state.word();
            say(
                "live-jobs",
                format!("job {id} is {word}, its task has ended"),
            );
        }
        // What an earlier run left may be history once nobody reads it any more.
        let read = if job.state.is_terminal() {
            job.consumed as usize
        } else {
            job.inputs.len()
        };
        let inputs = job.inputs.iter().take(read);
        let here = |input: &model::job::InputId| match input {
            model::job::InputId::File(id) => self.files.contains_key(id),
            model::job::InputId::Output(id) => self.outputs.contains_key(id),
        };
        if let Some(missing) = inputs.clone().find(|input| !here(input)) {
            say(
                "I4",
                format!("job {id} reads {missing:?}, which is not known"),
            );
        }
    }

    /// I3: an output is of the winning attempt of its job.
    fn check_output(&self, output: &Output, say: &mut impl FnMut(&'static str, String)) {
        // As it is now: what a batch has superseded it may have published before.
        let now = self.outputs.get(&output.id).unwrap_or(output);
        if !self.is_of_winner(now) {
            let what = format!("output {} is not of a winning attempt", output.name);
            say("I3", what);
        }
    }

    /// Only open blocks are at work.
    fn check_block(&self, recorded: &Block, say: &mut impl FnMut(&'static str, String)) {
        let Some(block) = self.blocks.get(&recorded.id) else {
            say("blocks", format!("block {} is not known", recorded.id));
            return;
        };
        let at_work = self.runs.get(&block.run).map(|work| &work.blocks);
        let at_work = at_work.and_then(|open| open.get(&block.dataset)) == Some(&block.id);
        if at_work != (block.state == BlockState::Open) {
            let (id, state) = (block.id, block.state);
            say(
                "blocks",
                format!("block {id} is {state:?}, at work {at_work}"),
            );
        }
    }

    /// How often the premise of each invariant is true just now: an invariant about nothing says
    /// nothing.
    pub fn premises(&self) -> [(&'static str, u64); 12] {
        let runs = || self.runs.values();
        let count = |n: usize| n as u64;
        let out = self.jobs.values().filter(|job| job.state.is_out()).count();
        let blocks = self.blocks.values();
        let closed = blocks.filter(|block| block.state != BlockState::Open);
        let published = self.outputs.values().filter(|o| o.block.is_some());
        let (released, removed) = self.sources_released();
        [
            ("I2: sources released", released),
            ("I2: sources removed", removed),
            ("I1: accepted files", count(self.files.len())),
            ("I3: winners", count(self.outputs.len())),
            (
                "I4: inputs of jobs",
                self.jobs.values().map(|job| u64::from(job.consumed)).sum(),
            ),
            ("I4: published outputs", count(published.count())),
            (
                "I14: closed runs",
                count(runs().filter(|w| w.run.state.is_closed()).count()),
            ),
            (
                "I14: runs at work",
                count(runs().filter(|w| !w.run.state.is_closed()).count()),
            ),
            (
                "I8: jobs that are not over",
                count(
                    self.jobs
                        .values()
                        .filter(|job| !job.state.is_terminal())
                        .count(),
                ),
            ),
            ("blocks: closed blocks", count(closed.count())),
            ("cores: attempts out", count(out)),
            ("queue: jobs that wait", count(self.queue.len())),
        ]
    }
}
