//! The loop of an agent: take what has happened, step, hand over (R26). It owns the engine and runs
//! on a thread of its own; everything it waits for comes through its lanes.

pub use crate::ending::AgentError;

use crate::batch::Batches;
use crate::clock::{self, SystemClock};
use crate::commands::Commands;
use crate::hands::{Hands, Lanes, Work};
use crate::journal::{JournalPlace, Journaled};
use crate::message::Message;
use crate::observing;
use crate::past::{self, Past};
use crate::perform::{self, EngineNews, ExecutorWork, Reading, Shelf, StorageWork};
use crate::sourcing::{self, SourceWork};
use crate::surroundings::Surroundings;
use crate::threads::{Performer, WORK_LANE, performer, spawn};
use crate::watchdog::Pulse;
use crate::writer::{Writer, Writing};
use engine::{Effect, Input, Setup};
use lanes::{Receiver, Refuse, Sender, Wait};
use meter::Meter;
use model::ids::{FileId, Token};
use model::resource::Mode;
use model::trouble::DiskRole;
use model::work::{AttemptNews, Location};
use ports::clock::Clock;
use ports::disk::Disk;
use ports::executor::{Executor, NewsSink};
use ports::failpoint::{Point, pass};
use ports::splitter::AskSplitter;
use ports::storage::{ReadBack, SourceKeeper, Storage};
use ports::store::{Ledger, Recall, Rows, Standing};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Messages taken in one go: bounds the time between two commits' hand-over.
const TAKE_MAX: usize = 2_048;
/// Files and records that may wait for the engine; a watcher waits when it is full, and the folder
/// is the buffer. Room is taken in advance, here and below.
const SEEN_LANE: usize = 4_096;
/// News and answers of performers that may wait for the engine: twice what it takes in one go.
const ANSWER_LANE: usize = 4_096;
const COMMAND_LANE: usize = 1_024;
/// When a performer's lane is full, how soon to try again.
const WORK_RETRY: Duration = Duration::from_millis(1);
/// A stop waits so long for the store to take what is decided; then it ends as a crash would, and
/// the restart makes it again.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// The writer has at most one batch and one slice of history to do.
const WRITER_LANE: usize = 2;
/// Threads that put outputs in place: their time goes into waiting for the disk.
const STORAGE_THREADS: [&str; 2] = ["storage", "storage-2"];

/// Makes an executor, given where its news go; or says why it cannot.
pub type MakeExecutor = Box<dyn FnOnce(Arc<dyn NewsSink>) -> Result<Box<dyn Executor>, String>>;

/// What an agent is made of.
pub struct Parts {
    /// The engine's birth certificate.
    pub setup: Setup,
    /// The epoch and what goes with it, raised durably already.
    pub standing: Standing,
    /// Rows of the store.
    pub rows: Rows,
    /// The writing end of the store.
    pub ledger: Box<dyn Ledger>,
    /// Makes the executor, given where its news go.
    pub executor: MakeExecutor,
    /// Where outputs live.
    pub storage: Arc<dyn Storage>,
    /// Looks up files of runs that are history.
    pub history: Arc<dyn Recall>,
    /// Reads files back.
    pub files: Arc<dyn ReadBack>,
    /// Asks splitters that are plugins.
    pub splitters: Arc<dyn AskSplitter>,
    /// Copies sources and removes them.
    pub sources: Arc<dyn SourceKeeper>,
    /// The disk under the outputs.
    pub output_disk: Arc<dyn Disk>,
    /// The disk under the store.
    pub state_disk: Arc<dyn Disk>,
    /// The agent's clock.
    pub clock: SystemClock,
    /// Where hops are measured.
    pub meter: Arc<Meter>,
    /// The good-run list that people read.
    pub good_runs: PathBuf,
    /// Where the journal is written, if there shall be one.
    pub journal: Option<JournalPlace>,
    /// Called once when the engine has ended, for whatever reason.
    pub on_end: Box<dyn FnOnce() + Send>,
}

/// What the loop tells about itself; written by the engine's thread, read by anybody, each value on
/// its own.
#[derive(Debug, Default)]
pub struct Status {
    /// Ready jobs that wait for a core.
    pub queue_length: AtomicU64,
    /// Cores in use.
    pub cores_used: AtomicU64,
    /// Runs that are not finished; told when nothing waits to become durable.
    pub runs_live: AtomicU64,
    /// Jobs that are neither done nor failed; told with `runs_live`.
    pub jobs_live: AtomicU64,
    /// Inputs stepped since the start.
    pub inputs: AtomicU64,
    /// Batches committed since the start.
    pub batches: AtomicU64,
    /// The worst step so far, in nanoseconds.
    pub worst_step_ns: AtomicU64,
    /// Whether the store refuses to write just now.
    pub store_stalled: Arc<AtomicBool>,
}

/// A running agent.
pub struct AgentHandle {
    /// The door for commands.
    pub commands: Commands,
    /// What is wrong around it.
    pub surroundings: Surroundings,
    /// What the loop tells about itself.
    pub status: Arc<Status>,
    /// The lane of files and records; one clone a watcher.
    pub seen: Sender<Message, Wait>,
    engine: JoinHandle<Result<(), AgentError>>,
}

impl AgentHandle {
    /// Waits until the agent has ended and says why.
    pub fn join(self) -> Result<(), AgentError> {
        drop(self.seen);
        self.engine.join().unwrap_or(Err(AgentError::Bug))
    }
}

/// Starts an agent: restores the engine, ends what an older epoch left, and goes to work.
pub fn start(parts: Parts) -> Result<AgentHandle, AgentError> {
    let (command_sender, command_lane) = lanes::refuse(COMMAND_LANE);
    let (answer_sender, answer_lane) = lanes::wait(ANSWER_LANE);
    let (seen_sender, seen_lane) = lanes::wait(SEEN_LANE);
    let commands = Commands::new(command_sender);
    let status = Arc::new(Status::default());
    let clock: Arc<dyn Clock> = Arc::new(parts.clock);

    let surroundings = Surroundings::new(answer_sender.clone(), clock.clone());
    let sink: Arc<dyn NewsSink> = Arc::new(EngineNews {
        engine: answer_sender.clone(),
        surroundings: surroundings.clone(),
    });
    let shelves = start_storage(&parts, &answer_sender, &surroundings)?;
    let (storage, storage_threads): (Vec<_>, Vec<_>) = shelves.into_iter().unzip();
    let executor = (parts.executor)(sink).map_err(AgentError::Executor)?;
    let (executor_sender, executor_lane) = lanes::refuse(WORK_LANE);
    let (answers, executor_clock) = (answer_sender.clone(), clock.clone());
    let executor_thread = performer("executor", &answer_sender, move || {
        perform::executor(executor, executor_lane, &answers, &executor_clock);
    })?;

    let (reader_sender, reader_lane) = lanes::refuse(WORK_LANE);
    let (answers, files) = (answer_sender.clone(), parts.files);
    let reader_thread = performer("reader", &answer_sender, move || {
        perform::reader(&files, reader_lane, &answers);
    })?;

    let splitters = perform::start_splitters(parts.splitters, &answer_sender)?;
    let sources = sourcing::start(parts.sources, &answer_sender, &surroundings)?;
    let (recall_sender, recall_thread) =
        past::start(parts.history, &answer_sender, surroundings.clone())?;

    let (batch_sender, batch_lane) = lanes::refuse(WRITER_LANE);
    let writer = Writer {
        ledger: parts.ledger,
        engine: answer_sender.clone(),
        stalled: status.store_stalled.clone(),
        surroundings: surroundings.clone(),
        disk: (DiskRole::State, parts.state_disk),
        was_full: false,
    };
    let writer_thread = performer("writer", &answer_sender, move || writer.run(batch_lane))?;
    drop(answer_sender);

    let pulse = watched()?;
    let now = clock.now();
    let born = (parts.setup, parts.standing.next_id, parts.rows);
    let (engine, journal) = Journaled::restore(parts.journal, born, now, &surroundings)?;
    pass(Point::EngineRestored);
    let runtime = Runtime {
        engine,
        batches: Batches::after(parts.standing.last_batch),
        lanes: Receiver::joined(vec![command_lane, answer_lane], vec![seen_lane]),
        past: Past::new(batch_sender.clone(), recall_sender),
        writer: batch_sender,
        hands: Hands::new(Lanes {
            executor: executor_sender,
            storage,
            reader: reader_sender,
            splitter: splitters.0,
            sources: sources.0,
        }),
        held_news: BTreeMap::new(),
        finished: BTreeMap::new(),
        clock: parts.clock,
        meter: parts.meter,
        commands: commands.clone(),
        status: status.clone(),
        surroundings: surroundings.clone(),
        pulse,
        lost_performer: None,
        intake_held: false,
        stopping: None,
    };
    let performers = [
        executor_thread,
        reader_thread,
        splitters.1,
        recall_thread,
        sources.1,
        writer_thread,
    ];
    let performers = storage_threads.into_iter().chain(performers);
    let performers = performers.chain(journal).collect();
    let on_end = parts.on_end;
    let engine = spawn("engine", move || {
        let result = live(runtime, performers);
        on_end();
        result
    })?;
    Ok(AgentHandle {
        commands,
        surroundings,
        status,
        seen: seen_sender,
        engine,
    })
}

/// Starts the threads that put outputs in place; gives their lanes and who joins them.
fn start_storage(
    parts: &Parts,
    engine: &Sender<Message, Wait>,
    surroundings: &Surroundings,
) -> Result<Vec<Performer<StorageWork>>, AgentError> {
    let mut shelves = Vec::new();
    for who in STORAGE_THREADS {
        let (sender, lane) = lanes::refuse(WORK_LANE);
        let shelf = Shelf {
            who,
            storage: parts.storage.clone(),
            engine: engine.clone(),
            good_runs: parts.good_runs.clone(),
            surroundings: surroundings.clone(),
            disk: (DiskRole::Output, parts.output_disk.clone()),
        };
        shelves.push((sender, performer(who, engine, move || shelf.run(lane))?));
    }
    Ok(shelves)
}

/// Somebody who sees whether the loop comes back.
fn watched() -> Result<Pulse, AgentError> {
    Pulse::start().map_err(|source| AgentError::Thread {
        name: "watchdog",
        source,
    })
}

/// Runs the loop to its end, then waits for the performers: their lanes are closed then, so they
/// end what they run and come home.
fn live(runtime: Runtime, performers: Vec<JoinHandle<()>>) -> Result<(), AgentError> {
    let surroundings = runtime.surroundings.clone();
    // A panic is told like any other end: whoever waits for the end must hear of it.
    let run = std::panic::AssertUnwindSafe(|| runtime.run());
    let result = std::panic::catch_unwind(run).unwrap_or(Err(AgentError::Bug));
    surroundings.end();
    for performer in performers {
        if performer.join().is_err() {
            return Err(AgentError::Bug);
        }
    }
    pass(Point::AgentEnded);
    result
}

struct Runtime {
    engine: Journaled,
    batches: Batches,
    lanes: Receiver<Message>,
    writer: Sender<Writing, Refuse>,
    past: Past,
    hands: Hands,
    /// News of attempts whose own record is not durable yet (D3).
    held_news: BTreeMap<Token, Vec<AttemptNews>>,
    /// Attempts that have ended; forgotten by the executor once that is durable.
    finished: BTreeMap<Token, i64>,
    clock: SystemClock,
    meter: Arc<Meter>,
    commands: Commands,
    status: Arc<Status>,
    surroundings: Surroundings,
    pulse: Pulse,
    /// A performer whose lane is closed: nothing given to it is done any more.
    lost_performer: Option<&'static str>,
    /// The state disk is full: what is under way may still be recorded, nothing new is taken in,
    /// and the folders are the buffer.
    intake_held: bool,
    /// Until when what is decided may still be recorded, once somebody asked to stop.
    stopping: Option<Instant>,
}

impl Runtime {
    fn run(mut self) -> Result<(), AgentError> {
        self.begin();
        let mut messages = Vec::new();
        loop {
            if let Some(until) = self.stopping
                && (self.batches.is_settled() || Instant::now() >= until)
            {
                pass(Point::StopSettled);
                return Ok(());
            }
            let deadline = self.deadline();
            let held = self.intake_held || self.past.is_crowded();
            let enough = self.batches.is_crowded() || held;
            let taken = if enough || self.stopping.is_some() {
                self.lanes
                    .recv_urgent_batch(&mut messages, TAKE_MAX, deadline)
            } else {
                self.lanes.recv_batch(&mut messages, TAKE_MAX, deadline)
            };
            if taken.is_err() {
                return Ok(());
            }
            self.pulse.beat();
            let decides = self.stopping.is_none();
            let mut effects = Vec::new();
            for message in messages.drain(..) {
                self.take(message, &mut effects)?;
            }
            if decides {
                self.look_at_clock(&mut effects);
                self.tick(effects);
            }
            if self.stopping.is_some() {
                self.batches.hurry();
                self.hand_over();
            }
            if let Some(name) = self.lost() {
                return Err(AgentError::Performer(name));
            }
            self.pulse.beat();
        }
    }

    /// After a restart: attempts of an older epoch are over, and so are its troubles, unless they
    /// are met again; the good-run list is written again.
    fn begin(&mut self) {
        let mut effects = Vec::new();
        let lost = self.engine.jobs_out();
        if !lost.is_empty() {
            self.engine
                .step(self.clock.now(), Input::AttemptsLost(lost), &mut effects);
        }
        for key in self.engine.troubles() {
            let now = self.clock.now();
            self.engine.step(now, Input::TroubleOver(key), &mut effects);
        }
        effects.push(Effect::GoodRuns(self.engine.good_runs()));
        pass(Point::EngineBegun);
        self.tick(effects);
    }

    /// Somebody may have set the machine's clock: this agent's own goes on, and says so.
    fn look_at_clock(&mut self, effects: &mut Vec<Effect>) {
        let input = match clock::jumped(self.clock.wall_ahead()) {
            Some(trouble) => self.surroundings.note("engine", trouble),
            None => self.surroundings.note_over("engine", clock::JUMPED),
        };
        if let Some(input) = input {
            self.step(input, effects);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.stopping.is_some() {
            return self.stopping;
        }
        let retry = self.hands.is_waiting().then(|| Instant::now() + WORK_RETRY);
        let timer = self
            .engine
            .next_wakeup()
            .map(|moment| self.clock.instant_of(moment));
        let commit = self
            .batches
            .due()
            .map(|moment| self.clock.instant_of(moment));
        retry.into_iter().chain(timer).chain(commit).min()
    }

    fn take(&mut self, message: Message, effects: &mut Vec<Effect>) -> Result<(), AgentError> {
        match message {
            // Whoever stops decides nothing more: a restart makes attempts under way again.
            Message::Input(_) if self.stopping.is_some() => {}
            Message::Input(Input::News { token, news }) if self.batches.is_undurable(token) => {
                self.held_news.entry(token).or_default().push(news);
            }
            Message::Input(input) => self.step(input, effects),
            Message::Durable(number) => self.durable(number, effects),
            Message::LookedUp => self.past.bunch_done(),
            Message::StoreLost(error) => return Err(error.into()),
            Message::AskWaits(answer) => {
                // Whoever asked may have given up.
                let _ = answer.try_send(self.engine.waits(self.clock.now()));
            }
            Message::AskWhy(object, answer) => {
                // Whoever asked may have given up.
                let _ = answer.try_send(self.engine.why(self.clock.now(), &object));
            }
            Message::AskGates(answer) => {
                // Whoever asked may have given up.
                let _ = answer.try_send(self.engine.gates(self.clock.now()));
            }
            Message::PerformerLost(name) => return Err(AgentError::Performer(name)),
            Message::Stop => {
                pass(Point::StopAsked);
                self.stopping = Some(Instant::now() + STOP_PATIENCE);
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match &input {
            Input::Trouble(trouble) if trouble.key == DiskRole::State.key() => {
                self.intake_held = true;
            }
            Input::TroubleOver(key) if *key == DiskRole::State.key() => self.intake_held = false,
            Input::Archived { .. } => self.past.slice_done(),
            _ => {}
        }
        if let Input::News {
            token,
            news: AttemptNews::Ended(_),
        } = &input
        {
            self.finished.insert(*token, self.batches.forming_number());
        }
        let now = self.clock.now();
        self.engine.step(now, input, effects);
        let took = u64::try_from(self.clock.now().since(now).0).unwrap_or(0);
        self.status.inputs.fetch_add(1, Ordering::Relaxed);
        self.status.worst_step_ns.fetch_max(took, Ordering::Relaxed);
        pass(Point::Stepped);
    }

    /// A batch is durable: its effects are released, and news that waited for it is heard.
    fn durable(&mut self, number: i64, effects: &mut Vec<Effect>) {
        self.status.batches.fetch_add(1, Ordering::Relaxed);
        pass(Point::DurableHeard);
        for effect in self.batches.durable(number) {
            self.release(effect);
        }
        pass(Point::Released);
        self.forget(number);
        let heard: Vec<Token> = self
            .held_news
            .keys()
            .filter(|t| !self.batches.is_undurable(**t))
            .copied()
            .collect();
        for token in heard {
            for news in self.held_news.remove(&token).unwrap_or_default() {
                pass(Point::NewsHeard);
                self.step(Input::News { token, news }, effects);
            }
        }
    }

    /// Ends the batch of inputs: cuts, places, hands facts to the writer and effects to where they
    /// belong.
    fn tick(&mut self, mut effects: Vec<Effect>) {
        self.step(Input::Tick, &mut effects);
        pass(Point::Ticked);
        for effect in effects {
            match effect {
                Effect::Record(fact) => self.batches.record(fact),
                Effect::Start(spec) => self.start(spec),
                Effect::Store(plan) => self.do_storage(StorageWork::Store(plan)),
                Effect::ReadBack(file, location) => self.hands.give(reading(file, location)),
                Effect::AskSplitter(question) => self.hands.give(Work::Split(question)),
                Effect::Prepare(plan, count) => {
                    self.do_executor(ExecutorWork::Prepare(plan, count));
                }
                Effect::Cancel(_)
                | Effect::CopySource(_)
                | Effect::Unlink(_)
                | Effect::List(_)
                | Effect::Archive(_)
                | Effect::Recall(_)
                | Effect::Release
                | Effect::Observe(_)
                | Effect::Reply { .. }
                | Effect::GoodRuns(_) => self.batches.defer(effect),
            }
        }
        self.hand_over();
        self.hands.retry();
        self.tell();
    }

    /// Gives the forming batch to the writer, if it is free.
    fn hand_over(&mut self) {
        let now = self.clock.now();
        if let Some(batch) = self.batches.hand_over(self.engine.next_id(), now) {
            if self.writer.offer(Writing::Batch(batch)).is_err() {
                // The lane has room for one and the writer has none, so it can only be gone.
                self.lost_performer = Some("writer");
            }
            pass(Point::BatchGiven);
        }
    }

    fn start(&mut self, spec: model::work::AttemptSpec) {
        let healthy = !self.status.store_stalled.load(Ordering::Relaxed);
        if spec.plan.early && healthy && self.batches.start_early(spec.token) {
            if spec.plan.mode == Mode::Process {
                self.batches.let_go_first(self.clock.now());
            }
            pass(Point::StartedEarly);
            self.do_executor(ExecutorWork::Submit(spec));
        } else {
            self.batches.defer(Effect::Start(spec));
        }
    }

    /// What waited for its batch, now durable.
    fn release(&mut self, effect: Effect) {
        match &effect {
            Effect::Start(_) => pass(Point::ReleaseStart),
            Effect::Cancel(_) => pass(Point::ReleaseCancel),
            Effect::Release => pass(Point::ReleaseWorkers),
            Effect::Reply { .. } => pass(Point::ReleaseReply),
            Effect::GoodRuns(_) => pass(Point::ReleaseGoodRuns),
            Effect::CopySource(_) => pass(Point::ReleaseCopy),
            Effect::Unlink(_) => pass(Point::ReleaseUnlink),
            Effect::Observe(_)
            | Effect::List(_)
            | Effect::Archive(_)
            | Effect::Recall(_)
            | Effect::Record(_)
            | Effect::Store(_)
            | Effect::ReadBack(..)
            | Effect::AskSplitter(_)
            | Effect::Prepare(..) => {}
        }
        match effect {
            Effect::Start(_) | Effect::CopySource(_) | Effect::Unlink(_)
                if self.stopping.is_some() => {}
            Effect::Start(spec) => self.do_executor(ExecutorWork::Submit(spec)),
            Effect::Cancel(token) => self.do_executor(ExecutorWork::Cancel(token)),
            Effect::List(asked_at) => self.do_executor(ExecutorWork::List(asked_at)),
            Effect::Archive(run) => self.past.archive(run),
            Effect::Recall(file) => self.past.look_up(file),
            Effect::Release => self.do_executor(ExecutorWork::Release),
            Effect::Observe(observation) => {
                observing::observe(&self.meter, &observation, self.clock.now());
            }
            Effect::Reply { ticket, reply } => self.commands.answer(ticket, reply),
            Effect::GoodRuns(text) => self.do_storage(StorageWork::GoodRuns(text)),
            Effect::CopySource(order) => self.hands.give(Work::Source(SourceWork::Copy(order))),
            Effect::Unlink(order) => self.hands.give(Work::Source(SourceWork::Unlink(order))),
            Effect::Record(_)
            | Effect::Store(_)
            | Effect::ReadBack(..)
            | Effect::AskSplitter(_)
            | Effect::Prepare(..) => {}
        }
    }

    fn do_executor(&mut self, work: ExecutorWork) {
        self.hands.give(Work::Executor(work));
    }

    fn do_storage(&mut self, work: StorageWork) {
        self.hands.give(Work::Storage(work));
    }

    /// Attempts whose end this batch made durable: nothing under way mentions them any more. One
    /// whose outputs are still being put in place is looked at again with a later batch.
    fn forget(&mut self, number: i64) {
        let ended: Vec<Token> = self
            .finished
            .iter()
            .filter(|(_, at)| **at <= number)
            .map(|(token, _)| *token)
            .collect();
        for token in ended {
            if self.engine.is_out(token) {
                self.finished.insert(token, self.batches.forming_number());
            } else if self.finished.remove(&token).is_some() {
                pass(Point::AttemptForgotten);
                self.do_executor(ExecutorWork::Forget(token));
            }
        }
    }

    /// A performer that is gone.
    fn lost(&self) -> Option<&'static str> {
        self.lost_performer
            .or(self.hands.lost())
            .or(self.past.lost())
    }

    fn tell(&self) {
        let status = &self.status;
        status
            .queue_length
            .store(self.engine.queue_length() as u64, Ordering::Relaxed);
        status
            .cores_used
            .store(u64::from(self.engine.cores_used()), Ordering::Relaxed);
        let (runs, jobs) = self.engine.live();
        status.runs_live.store(runs, Ordering::Relaxed);
        status.jobs_live.store(jobs, Ordering::Relaxed);
    }
}

/// Copies are read where copies are made; what jobs wait for has a reader of its own.
fn reading(file: FileId, location: Location) -> Work {
    match location {
        Location::Copy {
            place,
            profile,
            name,
        } => Work::Source(SourceWork::Read(file, place, profile, name)),
        _ => Work::Reading(Reading { file, location }),
    }
}
