//! The engine. Takes what has happened, says what must now be done.
//!
//! `step(now, input, &mut effects)` is all of it: the engine awaits nothing, reads no clock, opens
//! no file and never fails. Live, simulated, replayed and under test it is the same code. The flow,
//! in the order of the files: a file is seen ([`arrival`]) and accounted to its run and lumi
//! ([`bookkeeping`]); closed input is cut into jobs ([`cutting`]), which get their turn
//! ([`dispatch`]), are tried ([`execution`]) and leave outputs ([`outputs`]); their constants are
//! judged ([`constants`]), their histograms lead to a verdict ([`quality`]), and what is complete
//! is published ([`publication`]).
//!
//! Inputs are stepped as they come; cutting, placing and concluding happen once a batch, at
//! [`Input::Tick`], so that a hundred files seen together cost one look at their task.

mod input;
mod effect;
mod setup;
mod configurations;
mod lumi_work;
mod run_work;
mod timers;
mod arrival;
mod witness;
mod bookkeeping;
mod overdue;
mod cutting;
mod split_plugins;
pub mod dispatch;
mod execution;
mod reconciler;
mod harvests;
mod archive;
mod outputs;
mod verification;
mod sources;
mod routes;
mod history;
mod holds;
mod constants;
mod in_force;
mod uploads;
mod imports;
mod global_tags;
mod release;
mod redo;
mod links;
mod standing;
mod quality;
mod verdict_actions;
mod units;
mod publication;
mod quarantine;
mod commands;
mod job_commands;
mod judging;
mod resuming;
mod declarations;
mod restore;
mod check;
mod snapshot;
mod waits;
mod stalls;
mod stuck;
#[cfg(test)]
mod stuck_tests;
mod holdings;

pub use check::Broken;
pub use effect::{Effect, Observation};
pub use input::Input;
pub use redo::Concerned;
pub use setup::{Configuration, Setup};
pub use sources::ReleasePolicy;

use archive::Archive;
use configurations::Configurations;
use constants::Constants;
use dispatch::Queue;
use history::History;
use model::alarm::{Alarm, Severity};
use model::arrival::{Completion, Refusal, SetAside};
use model::dataset::{Block, Closing, Dataset, LumiContent, Output};
use model::fact::{Fact, OutboxMessage};
use model::file::File;
use model::ids::{
    AgentNumber, BlockId, Epoch, FileId, IdSource, JobId, MessageId, OutputId, RunNumber,
};
use model::job::{InputId, Job};
use model::names::{DatasetName, FileName, ProfileName, TaskPath};
use model::quality::RunQuality;
use model::ruling::Ruling;
use model::time::{Moment, Span};
use model::trouble::{DISK, Trouble, is_trouble};
use model::work::AttemptReport;
use reconciler::Reconciler;
use run_work::RunWork;
use setup::TaskPlan;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;
use stuck::Detector;
use timers::Timers;

/// All that an agent knows and decides.
pub struct Engine {
    agent: AgentNumber,
    epoch: Epoch,
    ids: IdSource,
    configurations: Configurations,
    default_run_type: model::run::RunType,
    completions: BTreeMap<ProfileName, Completion>,
    cores: u32,
    cores_used: u32,
    /// Tasks of all configurations that a run has; each run has a stretch of it.
    plans: Vec<TaskPlan>,
    runs: BTreeMap<RunNumber, RunWork>,
    files: BTreeMap<FileId, File>,
    file_names: BTreeMap<(ProfileName, FileName), FileId>,
    set_aside: BTreeMap<(ProfileName, FileName, Refusal), SetAside>,
    jobs: BTreeMap<JobId, Job>,
    outputs: BTreeMap<OutputId, Output>,
    links: links::Links,
    blocks: BTreeMap<BlockId, Block>,
    /// Inputs that a task's splitter declined: no job has them, and nothing is wrong.
    declined: BTreeSet<(TaskPath, InputId)>,
    datasets: BTreeMap<DatasetName, Dataset>,
    contents: BTreeMap<(RunNumber, DatasetName), LumiContent>,
    /// What jobs of each task have used.
    history: BTreeMap<TaskPath, History>,
    constants: Constants,
    quality: BTreeMap<RunNumber, RunQuality>,
    alarms: BTreeMap<String, Alarm>,
    rulings: BTreeMap<(TaskPath, Option<RunNumber>), Ruling>,
    /// Runs that are history.
    archive: Archive,
    archive_after: Option<Span>,
    /// What is made again, and what people are asked about that.
    redo: redo::Redo,
    queue: Queue,
    timers: Timers,
    reconciler: Reconciler,
    detector: Detector,
    /// Reports of attempts whose outputs are being put in place. Not a row: after a restart the
    /// attempt is made again.
    reports: BTreeMap<JobId, Box<AttemptReport>>,
    /// Files that are being read back, and attempts whose win waits for it. No rows either: jobs
    /// that are made again ask again.
    reading: BTreeSet<FileId>,
    unproven: BTreeMap<JobId, verification::Winner>,
    sources: sources::Sources,
    /// Splitters that are asked, or will be. Not a row: after a restart they are asked again.
    splitters: split_plugins::Splitters,
    /// Tasks to look at, and objects whose new value must be recorded, at the end of the batch.
    look_at: BTreeSet<(RunNumber, usize)>,
    conclude: BTreeSet<RunNumber>,
    changed_jobs: BTreeSet<JobId>,
    changed_runs: BTreeSet<RunNumber>,
}

impl Engine {
    /// An engine that knows nothing yet; `next_id` is what the store has on record, if anything.
    pub fn new(setup: Setup, next_id: Option<i64>) -> Self {
        let mut engine = Self {
            agent: setup.agent,
            epoch: setup.epoch,
            ids: next_id.map_or_else(|| IdSource::new(setup.agent), IdSource::resume),
            configurations: Configurations::new(setup.configuration, setup.earlier),
            default_run_type: setup.default_run_type,
            completions: setup.completions,
            cores: setup.cores,
            cores_used: 0,
            plans: Vec::new(),
            runs: BTreeMap::new(),
            files: BTreeMap::new(),
            file_names: BTreeMap::new(),
            set_aside: BTreeMap::new(),
            jobs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            links: links::Links::default(),
            blocks: BTreeMap::new(),
            declined: BTreeSet::new(),
            datasets: BTreeMap::new(),
            contents: BTreeMap::new(),
            history: BTreeMap::new(),
            constants: Constants::default(),
            quality: BTreeMap::new(),
            alarms: BTreeMap::new(),
            rulings: BTreeMap::new(),
            archive: Archive::default(),
            archive_after: setup.archive_after,
            redo: redo::Redo::default(),
            queue: Queue::default(),
            timers: Timers::default(),
            reconciler: Reconciler::default(),
            detector: Detector::default(),
            reports: BTreeMap::new(),
            reading: BTreeSet::new(),
            unproven: BTreeMap::new(),
            sources: sources::Sources::new(setup.release),
            splitters: split_plugins::Splitters::default(),
            look_at: BTreeSet::new(),
            conclude: BTreeSet::new(),
            changed_jobs: BTreeSet::new(),
            changed_runs: BTreeSet::new(),
        };
        engine.plan_in_force();
        engine
    }

    /// Takes one thing that has happened; pushes what must now be done. Never waits, never fails.
    pub fn step(&mut self, now: Moment, input: Input, effects: &mut Vec<Effect>) {
        if !matches!(input, Input::Tick) {
            self.stir(now);
        }
        match input {
            Input::Seen(seen) => self.seen(now, seen, effects),
            Input::News { token, news } => self.news(now, token, news, effects),
            Input::Stored { token, result } => self.stored(now, token, result, effects),
            Input::ReadBack { file, result } => self.was_read(now, file, result, effects),
            Input::Source { file, news } => self.source_news(now, file, news, effects),
            Input::Split { key, groups } => self.was_split(now, &key, groups, effects),
            Input::Listed { asked_at, tokens } => self.listed(now, asked_at, tokens, effects),
            Input::Archived { run, is_all } => self.slice_moved(now, run, is_all, effects),
            Input::Recalled(answer) => self.recalled(now, *answer, effects),
            Input::AttemptsLost(jobs) => self.attempts_lost(now, &jobs, effects),
            Input::Asked { ticket, order } => self.asked(now, ticket, &order, effects),
            Input::Reconfigured {
                ticket,
                order,
                configuration,
            } => self.reconfigure(now, ticket, &order, configuration, effects),
            Input::Trouble(trouble) => self.trouble(now, trouble, effects),
            Input::TroubleOver(key) => self.clear_alarm(now, &key, effects),
            Input::Tick => self.tick(now, effects),
        }
    }

    /// When the engine wants to hear [`Input::Tick`], if nothing else happens before.
    pub fn next_wakeup(&self) -> Option<Moment> {
        self.timers.next()
    }

    /// The id that will be given next; recorded with every batch (D2).
    pub fn next_id(&self) -> i64 {
        self.ids.peek()
    }

    /// Cuts, places and concludes: once a batch.
    fn tick(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.fire_timers(now, effects);
        self.follow_jobs();
        // Concluding one task may feed or release another, so this goes on until nothing is left to
        // look at.
        loop {
            while let Some((run, task)) = self.look_at.pop_first() {
                self.cut(now, run, task, effects);
            }
            if let Some(run) = self.next_redo() {
                self.mind_redo(now, run, effects);
                continue;
            }
            match self.conclude.pop_first() {
                Some(run) => self.conclude_run(now, run, effects),
                None => break,
            }
        }
        self.place(now, effects);
        self.release_sources(now, effects);
        self.order_sources(now, effects);
        self.look_for_stuck(now, effects);
        self.record_changes(effects);
        self.guard(now, effects);
        self.archive_due(now, effects);
        self.tell_redo(now, effects);
    }

    fn fire_timers(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while let Some(timer) = self.timers.pop_due(now) {
            if timer != timers::Timer::Stuck {
                self.stir(now);
            }
            match timer {
                timers::Timer::Backoff(job) => self.enqueue(job),
                timers::Timer::Look(run, task) => {
                    let work = self.runs.get_mut(&run);
                    if let Some(task) = work.and_then(|work| work.tasks.get_mut(&task)) {
                        task.wake = task.wake.filter(|at| *at > now);
                    }
                    self.look_at.insert((run, task));
                }
                timers::Timer::Overdue(run) => self.overdue(now, run, effects),
                timers::Timer::Archive(run) => self.soaked(now, run),
                timers::Timer::ReadBack(file) => self.read_again(file, effects),
                timers::Timer::Source(file) => self.source_again(now, file),
                timers::Timer::Verdict(run) => self.heed_verdict(now, run, effects),
                timers::Timer::Release(run) => self.look_at_sources(run),
                timers::Timer::Stuck => self.stuck_is_due(),
                timers::Timer::Reconcile => self.reconcile(now, effects),
                timers::Timer::BlockAge(block) => {
                    self.close_block(now, block, Closing::Aged, effects);
                }
            }
        }
    }

    /// Objects that changed several times in a batch are recorded once, with their last value (D4).
    fn record_changes(&mut self, effects: &mut Vec<Effect>) {
        while let Some(id) = self.changed_jobs.pop_first() {
            if let Some(job) = self.jobs.get(&id) {
                effects.push(Effect::Record(Fact::JobIs(Arc::new(job.clone()))));
            }
        }
        while let Some(number) = self.changed_runs.pop_first() {
            if let Some(work) = self.runs.get(&number) {
                effects.push(Effect::Record(Fact::RunIs(work.run.clone())));
            }
        }
    }

    /// Writes a message for the outside, in the same batch as what it speaks of.
    fn announce(
        &mut self,
        now: Moment,
        kind: &str,
        run: RunNumber,
        subject: String,
        effects: &mut Vec<Effect>,
    ) {
        let id = MessageId(self.ids.take());
        let message = OutboxMessage {
            id,
            kind: kind.to_owned(),
            run,
            subject,
            at: now,
        };
        effects.push(Effect::Record(Fact::MessageIs(message)));
    }

    /// Raises an alarm, once for each key.
    fn alarm(
        &mut self,
        now: Moment,
        key: String,
        severity: Severity,
        text: String,
        effects: &mut Vec<Effect>,
    ) {
        if self.alarms.contains_key(&key) {
            return;
        }
        let alarm = Alarm {
            key: key.clone(),
            severity,
            text,
            raised_at: now,
            cleared_at: None,
        };
        effects.push(Effect::Record(Fact::AlarmIs(alarm.clone())));
        self.alarms.insert(key, alarm);
    }

    /// Raises an alarm, or brings what a standing one says up to date.
    fn restate_alarm(
        &mut self,
        now: Moment,
        key: String,
        severity: Severity,
        text: String,
        effects: &mut Vec<Effect>,
    ) {
        match self.alarms.get_mut(&key) {
            Some(standing) if standing.text != text => {
                standing.text = text;
                effects.push(Effect::Record(Fact::AlarmIs(standing.clone())));
            }
            Some(_) => {}
            None => self.alarm(now, key, severity, text, effects),
        }
    }

    /// Something about the instance's own surroundings is wrong.
    fn trouble(&mut self, now: Moment, trouble: Trouble, effects: &mut Vec<Effect>) {
        let Trouble {
            key,
            severity,
            text,
        } = trouble;
        self.alarm(now, key, severity, text, effects);
    }

    /// Keys of the alarms about the instance's own surroundings: after a restart they are those of
    /// another instance, and whatever is still wrong is said again.
    pub fn troubles(&self) -> Vec<String> {
        let keys = self.alarms.keys();
        keys.filter(|key| is_trouble(key)).cloned().collect()
    }

    /// The alarm because of which no job is started.
    pub(crate) fn held_by(&self) -> Option<&Alarm> {
        let mut alarms = self.alarms.range::<str, _>((Included(DISK), Unbounded));
        let (key, alarm) = alarms.next()?;
        key.starts_with(DISK).then_some(alarm)
    }

    /// Clears an alarm whose cause is over.
    fn clear_alarm(&mut self, now: Moment, key: &str, effects: &mut Vec<Effect>) {
        if let Some(mut alarm) = self.alarms.remove(key) {
            alarm.cleared_at = Some(now);
            effects.push(Effect::Record(Fact::AlarmIs(alarm)));
        }
    }
}
