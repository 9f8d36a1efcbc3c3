//! What each fact must agree with, as far as somebody outside the engine can tell: looked at as it
//! is said, before it is applied to the shadow of the store.
//!
//! In comes a fact and what the world knows better than the engine (what an attempt truly did, what
//! a reader truly found), out comes the sentence that says which promise the fact breaks. Nothing
//! here asks the engine.

use crate::definitions::HELD;
use crate::settled::stored;
use crate::world::World;
use model::arrival::{Arrival, Checksum, Refusal, Seen};
use model::conditions::{GateDecision, GateOutcome, Since};
use model::dataset::{BlockState, Output};
use model::fact::Fact;
use model::file::{Content, File};
use model::ids::{FileId, RunNumber, Token};
use model::job::{InputId, Job, JobState};
use model::names::{TagName, TaskPath};
use model::quality::RunVerdict;
use model::ruling::{Ruling, RulingKind};
use model::run::{Run, RunState, RunType};
use model::units::Bytes;
use model::witness::{Source, Witness};
use std::collections::BTreeSet;

/// Tags that are decided before prompt work begins.
const TAGS: [&str; 2] = ["beamspot", "scale"];
/// The one for which runs are added up until there is enough.
const ACCUMULATES: &str = "scale";

/// What the world knows better than the engine.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Files that were read back and found to be what was claimed.
    pub(crate) proven: BTreeSet<FileId>,
    /// Attempts that did not do what they should, whatever they say.
    pub(crate) spoilt: BTreeSet<Token>,
    /// A record has said what this run is for, before anything was made of it.
    pub(crate) announced: Option<(RunNumber, RunType)>,
    /// The turn in which somebody last asked for something.
    pub(crate) asked_at: Option<u64>,
    /// Cores of the attempt that was sent last in the step under way.
    pub(crate) last_sent: Option<u32>,
}

impl World {
    /// A reader has found something.
    pub(crate) fn note_read(&mut self, id: FileId, result: &Result<(Bytes, u32), String>) {
        let arrival = self.shadow.files.get(&id).map(|file| &file.arrival);
        let claims = arrival.and_then(|a| Some((a.bytes, a.checksum?)));
        let right = result
            .as_ref()
            .ok()
            .is_some_and(|(bytes, sum)| claims == Some((*bytes, Checksum::Adler32(*sum))));
        if right {
            self.truth.proven.insert(id);
        }
    }

    /// A record is about to say what a run is for: that counts while nothing was made of the run.
    pub(crate) fn note_announced(&mut self, seen: &Seen) {
        let Seen::RunBegin(begin) = seen else {
            return;
        };
        let known = self.shadow.runs.get(&begin.run);
        let in_time = known.is_none_or(|run| !run.state.is_closed() && run.label == begin.label);
        let made = self.shadow.jobs.values().any(|job| job.run == begin.run);
        if let Some(run_type) = begin.run_type.filter(|_| in_time && !made) {
            self.truth.announced = Some((begin.run, run_type));
        }
    }

    /// A name that comes again with other content is set aside.
    pub(crate) fn check_conflict(&self, again: &Arrival) -> Result<(), String> {
        let tables = &self.shadow;
        let name = (again.profile.clone(), again.name.clone());
        let known = tables.file_names.get(&name);
        let known = known.and_then(|id| tables.files.get(id));
        let key = (name.0, name.1, Refusal::NameConflict);
        // What comes for a run that is history is looked up first, and told when that is answered.
        let kept = tables.set_aside.contains_key(&key) || !tables.is_at_work(again.run);
        if !self.quiet && !kept && known.is_some_and(|known| !known.same_content(again)) {
            let name = &again.name;
            return Err(format!(
                "P13: {name} came with other content, and nobody is told"
            ));
        }
        Ok(())
    }

    /// Looks at a fact before it is applied.
    pub(crate) fn check_fact(&self, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::FileIs(file) => self.check_proof(file),
            Fact::RunIs(run) => self.check_run_row(run),
            Fact::WitnessIs(witness) => self.check_statement(witness),
            Fact::JobIs(job) => self.check_job_row(job),
            Fact::OutputIs(output) => self.check_winner(output),
            Fact::DecisionIs(decision) => self.check_decision(decision),
            Fact::IovIs(iov) => self.check_put(iov),
            _ => Ok(()),
        }
    }

    /// D10: only who has read a file can say that it is what was claimed.
    fn check_proof(&self, file: &File) -> Result<(), String> {
        if file.content == Content::Verified && !self.truth.proven.contains(&file.id) {
            let name = &file.arrival.name;
            return Err(format!(
                "D10: {name} is called verified, and nobody read it"
            ));
        }
        Ok(())
    }

    /// D18: each channel says a thing once, however often its record is found.
    fn check_statement(&self, witness: &Witness) -> Result<(), String> {
        let known = self.shadow.witnesses.values();
        let mut of_run = known.filter(|known| known.run == witness.run && known.id != witness.id);
        if witness.source != Source::Operator && of_run.any(|known| known.repeats(witness)) {
            let (run, says) = (witness.run, &witness.says);
            return Err(format!("D18: of run {run} {says:?} was recorded twice"));
        }
        Ok(())
    }

    fn check_run_row(&self, run: &Run) -> Result<(), String> {
        let number = run.number;
        if !self.shadow.configurations.contains_key(&run.config_hash) {
            return Err(format!(
                "P14: the configuration of run {number} is not on record"
            ));
        }
        let known = self.shadow.runs.get(&number);
        if known.is_some_and(|known| known.part < run.part) {
            let mut files = self.shadow.files.values();
            if !files.any(|file| file.arrival.run == number && file.part == run.part) {
                let part = run.part;
                return Err(format!("D18: part {part} of run {number} has no file"));
            }
        }
        let mut blocks = self.shadow.blocks.values();
        let open = blocks.find(|b| b.run == number && b.state == BlockState::Open);
        match open.filter(|_| matches!(run.state, RunState::Finished { .. })) {
            Some(block) => Err(format!(
                "I8: run {number} has finished, its block {} is open",
                block.id
            )),
            None => Ok(()),
        }
    }

    fn check_job_row(&self, job: &Job) -> Result<(), String> {
        let Some(before) = self.shadow.jobs.get(&job.id) else {
            return match job.lineage.split_from {
                None => self
                    .check_made(job)
                    .and_then(|()| self.check_made_again(job)),
                Some(_) => Ok(()),
            };
        };
        if matches!(job.state, JobState::Sent { .. }) && before.state != job.state {
            self.check_given(job)?;
        }
        self.check_reads_what_stands(before, job)?;
        // R21: after a failure that counts there is a pause, unless somebody has ended it.
        if let JobState::Ready { not_before, .. } = job.state
            && before.state.is_out()
            && job.failures > before.failures
            && not_before <= self.now
            && self.truth.asked_at != Some(self.turns)
        {
            let id = job.id;
            return Err(format!("R21: job {id} failed and is tried again at once"));
        }
        let given_up = matches!(
            before.state,
            JobState::Failed { .. } | JobState::Cancelled { .. }
        );
        let run = self.shadow.runs.get(&job.run);
        let finished = run.is_some_and(|run| matches!(run.state, RunState::Finished { .. }));
        let measures = job.task.pipeline.as_str() == "calibration";
        if given_up && !job.state.is_terminal() && finished && measures {
            let (id, run) = (job.id, job.run);
            return Err(format!(
                "D17: job {id} measures constants of run {run} again, which were decided without it"
            ));
        }
        Ok(())
    }

    /// A job is made only when nothing holds its task, and of what is free for it.
    fn check_made(&self, job: &Job) -> Result<(), String> {
        let ruling = self.ruling_on(job);
        if ruling.is_some_and(|ruling| ruling.kind == RulingKind::Held) {
            let (id, task) = (job.id, &job.task);
            return Err(format!("D17: job {id} was made, and {task} is held"));
        }
        self.check_heeded(job, ruling)?;
        match job.task.pipeline.as_str() {
            "prompt" => self.check_released(job, ruling),
            "calibration" => self.check_collected(job),
            _ => Ok(()),
        }
    }

    /// A verdict that is not good holds what it may until somebody has looked or its time is over;
    /// what nobody looked at is marked.
    fn check_heeded(&self, job: &Job, ruling: Option<&Ruling>) -> Result<(), String> {
        let (pipeline, task) = (job.task.pipeline.as_str(), job.task.task.as_str());
        let Some(quality) = self.shadow.quality.get(&job.run) else {
            return Ok(());
        };
        let is_bad = matches!(quality.verdict, RunVerdict::Bad | RunVerdict::Warning);
        if !is_bad || !HELD.contains(&(pipeline, task)) {
            return Ok(());
        }
        let look = (TaskPath::new("dqm", "harvest"), Some(job.run));
        let look = self.shadow.rulings.get(&look);
        if look.is_some_and(|look| is_look(look.kind) && look.at >= quality.at) {
            return Ok(());
        }
        let accepted = ruling.is_some_and(|ruling| ruling.kind == RulingKind::Accepted);
        let over = self.now >= quality.at + self.prompt_waits;
        let (id, number) = (job.id, job.run);
        // Work that is made again is not held: it stands in the place of what is there.
        if !accepted && !over && job.lineage.redoes.is_none() {
            return Err(format!(
                "D17: job {id} was made, and the verdict on run {number} holds {pipeline}.{task}"
            ));
        }
        if !job.provisional {
            return Err(format!(
                "D17: job {id} carries no mark, and nobody has looked at the verdict on run {number}"
            ));
        }
        Ok(())
    }

    /// What a person has ruled on a job's task: on its run before all runs.
    fn ruling_on(&self, job: &Job) -> Option<&Ruling> {
        let rulings = &self.shadow.rulings;
        let on_run = rulings.get(&(job.task.clone(), Some(job.run)));
        let on_run = on_run.filter(|ruling| ruling.kind != RulingKind::Seen);
        let stands = on_run.or_else(|| rulings.get(&(job.task.clone(), None)));
        stands.filter(|ruling| ruling.kind != RulingKind::Lifted)
    }

    /// Prompt work is done with the run's constants, or is marked and has a reason.
    fn check_released(&self, job: &Job, ruling: Option<&Ruling>) -> Result<(), String> {
        let Some(run) = self.shadow.runs.get(&job.run) else {
            return Ok(());
        };
        let decided = TAGS.iter().all(|tag| {
            let key = (stored(tag, run.label), run.number);
            let decision = self.shadow.decisions.get(&key);
            decision.is_some_and(|decision| decision.outcome != GateOutcome::Held)
        });
        let (id, number) = (job.id, run.number);
        if !job.provisional && !decided {
            return Err(format!(
                "D17: job {id} of run {number} counts as done with constants that are not decided"
            ));
        }
        let accepted = ruling.is_some_and(|ruling| ruling.kind == RulingKind::Accepted);
        let closed_at = match run.state {
            RunState::Closed { at } => Some(at),
            RunState::Finished { closed_at, .. }
            | RunState::Archiving { closed_at, .. }
            | RunState::Archived { closed_at, .. } => Some(closed_at),
            RunState::Open | RunState::Ending => None,
        };
        let waited = closed_at.is_some_and(|at| self.now >= at + self.prompt_waits);
        if job.provisional && !accepted && !waited {
            return Err(format!(
                "D17: job {id} of run {number} did not wait for its constants, and nobody let it go"
            ));
        }
        Ok(())
    }

    /// A harvest reads earlier runs only while they are still being added up.
    fn check_collected(&self, job: &Job) -> Result<(), String> {
        let tables = &self.shadow;
        let Some(label) = tables.runs.get(&job.run).map(|run| run.label) else {
            return Ok(());
        };
        let tag = stored(ACCUMULATES, label);
        let decision = |run: RunNumber| tables.decisions.get(&(tag.clone(), run));
        let is_result =
            |d: &GateDecision| matches!(d.outcome, GateOutcome::Update | GateOutcome::NoChange);
        for input in job.inputs.iter().skip(job.consumed as usize) {
            let InputId::Output(id) = input else { continue };
            let Some(run) = tables.outputs.get(id).map(|output| output.run) else {
                continue;
            };
            // A harvest before the end of its run reads that run's own data and leaves them there.
            if run == job.run {
                continue;
            }
            let collecting = decision(run).is_some_and(|d| d.outcome == GateOutcome::Collecting);
            let mut between = tables.runs.range(run..job.run).map(|(run, _)| *run);
            let used =
                between.find(|other| decision(*other).is_some_and(|d| is_result(d) && !d.late));
            if let Some(other) = used.filter(|other| *other != run) {
                let own = job.run;
                return Err(format!(
                    "D17: run {own} is measured with data of run {run}, which run {other} has used"
                ));
            }
            if !collecting {
                let own = job.run;
                return Err(format!(
                    "D17: run {own} is measured with data of run {run}, which needs nobody's help"
                ));
            }
        }
        Ok(())
    }

    /// D9, D10: an output is of an attempt that did what it should, on input that is what it
    /// should be.
    fn check_winner(&self, output: &Output) -> Result<(), String> {
        let token = Token {
            epoch: self.setup.epoch,
            job: output.job,
            attempt: output.attempt,
        };
        if self.truth.spoilt.contains(&token) {
            let name = &output.name;
            return Err(format!(
                "D9: {name} is of {token}, which did not do its work"
            ));
        }
        let inputs = self.shadow.jobs.get(&output.job).map(|job| &job.inputs);
        let unsure =
            inputs.into_iter().flatten().find(|input| match input {
                InputId::File(id) => self.shadow.files.get(id).is_none_or(|file| {
                    !matches!(file.content, Content::Verified | Content::Unclaimed)
                }),
                InputId::Output(_) => false,
            });
        match unsure {
            Some(input) => Err(format!(
                "D10: {} rests on {input:?}, which nobody has found to be right",
                output.name
            )),
            None => Ok(()),
        }
    }

    /// Test runs change no constants; what comes late changes nothing for those who did not wait.
    fn check_decision(&self, decision: &GateDecision) -> Result<(), String> {
        let tables = &self.shadow;
        let (run, tag): (RunNumber, &TagName) = (decision.run, &decision.tag);
        let result = matches!(
            decision.outcome,
            GateOutcome::Update | GateOutcome::NoChange | GateOutcome::Collecting
        );
        let run_type = tables.runs.get(&run).map(|run| run.run_type);
        if result && run_type == Some(RunType::Test) {
            return Err(format!(
                "D17: test run {run} is {:?} of {tag}",
                decision.outcome
            ));
        }
        if !decision.late || decision.outcome != GateOutcome::Update {
            return Ok(());
        }
        let from = (tag.clone(), RunNumber(run.0.saturating_add(1)));
        // Where nothing was in force there is nothing to go back to.
        let (first, own) = ((tag.clone(), Since(0)), (tag.clone(), Since::run(run)));
        let mut earlier = tables.in_force.range(first..own);
        if earlier.next().is_none() {
            return Ok(());
        }
        let mut later = tables.decisions.range(from..);
        // What is held is no decision.
        let next = later.find(|((of, _), d)| of != tag || d.outcome != GateOutcome::Held);
        let next = next.filter(|((of, _), _)| of == tag);
        let ends = next.is_some_and(|((tag, next), _)| {
            let behind = |since| (tag.clone(), since);
            let (from, to) = (Since(Since::run(run).0 + 1), Since::run(*next));
            tables.in_force.range(behind(from)..=behind(to)).count() > 0
        });
        if ends {
            Ok(())
        } else {
            Err(format!(
                "D17: {tag} of run {run} came late and holds for later runs that did without it"
            ))
        }
    }

    /// What a record has said a run is for, it is for, if that was said in time.
    pub(crate) fn check_announced(&mut self) -> Result<(), String> {
        let Some((number, said)) = self.truth.announced.take() else {
            return Ok(());
        };
        let known = self.shadow.runs.get(&number).map(|run| run.run_type);
        match known.filter(|known| *known != said) {
            Some(known) => Err(format!(
                "run {number} is {said}, its record said so before its first job; it is {known}"
            )),
            None => Ok(()),
        }
    }

    /// A job is sent only while a core is free.
    pub(crate) fn check_cores(&mut self) -> Result<(), String> {
        let (used, cores) = (self.engine.cores_used(), self.setup.cores);
        match self.truth.last_sent.take() {
            Some(sent) if used - sent.min(used) >= cores => Err(format!(
                "cores: an attempt was sent while {} of {cores} were used",
                used - sent
            )),
            _ => Ok(()),
        }
    }

    /// A block that is as old as it may be is closed.
    pub(crate) fn check_block_ages(&self) -> Result<(), String> {
        let mut blocks = self.shadow.blocks.values();
        let old = blocks.find(|b| b.state == BlockState::Open && b.closes_at < self.now);
        match old {
            Some(block) => Err(format!("block {} should have closed with age", block.id)),
            None => Ok(()),
        }
    }

    /// Who died took with it what was not durable: what was read must be read again.
    pub(crate) fn forget_proofs(&mut self) {
        let files = self.store.tables.files.values();
        let verified = files.filter(|file| file.content == Content::Verified);
        self.truth = Truth {
            proven: verified.map(|file| file.id).collect(),
            ..Truth::default()
        };
    }
}

/// Whether a ruling on the certifying task of a run says that somebody has looked at the verdict.
fn is_look(kind: RulingKind) -> bool {
    matches!(kind, RulingKind::Seen | RulingKind::Accepted)
}
