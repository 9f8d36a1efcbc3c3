//! The world of one seed: a virtual clock and a heap of what will happen.
//!
//! In come a seed and its faults, out comes what happened. The driver is in [`crate::driver`]; here
//! is the order in which things happen.

use crate::backing::Backing;
use crate::coverage::Coverage;
use crate::definitions::configurations;
use crate::detector::{Detector, Kind, Sighting};
use crate::executor::Executor;
use crate::faults::Faults;
use crate::random::{Random, mix};
use crate::storage::Storage;
use crate::store::{Batch, Store};
use crate::story::Story;
use crate::tables::Tables;
use engine::{Effect, Engine, Input, Setup};
use model::arrival::{Arrival, Seen};
use model::fact::Fact;
use model::ids::{AgentNumber, Epoch, FileId, RunNumber, Token};
use model::recall::Recalled;
use model::run::RunType;
use model::time::{Moment, Span};
use model::units::Bytes;
use model::work::{AttemptNews, AttemptSpec};
use pipelines::definition::Definition;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

/// When every seed begins: 2027-01-01.
const BEGINS_AT: Moment = Moment(1_798_761_600_000_000_000);
/// Inputs within this time of each other may share a turn.
const GATHER: Span = Span::from_millis(4);
/// A turn takes so many inputs at most.
const GATHER_MAX: u64 = 8;
/// Longest chain of what follows from the end of the faults, without waits for constants and
/// blocks.
const SETTLES_WITHIN: Span = Span::from_secs(1_800);

/// What will happen.
#[derive(Debug)]
pub(crate) enum Event {
    Seen(Seen, Kind),
    News(Token, AttemptNews, &'static str),
    Stored(
        Token,
        Result<Vec<model::work::StoredOutput>, model::work::CommitFailure>,
        &'static str,
    ),
    Read(FileId, Result<(Bytes, u32), String>),
    Committed(Epoch, i64),
    /// A slice of a run's rows is moved, and that is told.
    Slice(Epoch, RunNumber),
    Sliced(RunNumber, bool),
    /// A file is looked up in the history, and what is known of it is told.
    Recall(Box<Arrival>),
    Recalled(Box<Recalled>),
    Wake,
    Heal,
    /// After the faults: somebody looks what waits for a person.
    Round,
}

/// Orders the heap: time, then chance, then the order of making.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Moment, u64, u64);

/// A batch that forms, and what waits for it.
#[derive(Debug, Default)]
pub(crate) struct Forming {
    pub(crate) facts: Vec<Fact>,
    pub(crate) held: Vec<Effect>,
    /// Facts of earlier turns, which were looked at.
    pub(crate) looked_at: usize,
}

/// All of it.
pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) faults: Faults,
    pub(crate) random: Random,
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    /// Everything that was said, durable or not.
    pub(crate) shadow: Tables,
    pub(crate) detector: Detector,
    pub(crate) storage: Storage,
    pub(crate) story: Story,
    pub(crate) coverage: Coverage,
    /// Another store that gets the same batches, and that restarts read.
    pub(crate) backing: Option<Box<dyn Backing>>,
    /// Nothing is checked on the way: an undisturbed pass is only for its results.
    pub(crate) quiet: bool,
    pub(crate) healed: bool,
    /// The longest wait for constants of any task, or for the end of a block.
    pub(crate) longest_wait: Span,
    /// Batches of inputs so far, and inputs of the engine.
    pub(crate) turns: u64,
    pub(crate) steps: u64,
    pub(crate) healed_at: Moment,
    pub(crate) setup: Setup,
    pub(crate) data_seed: u64,
    heap: BinaryHeap<Reverse<(Place, usize)>>,
    pub(crate) events: BTreeMap<usize, (Moment, Event)>,
    made: usize,
    pub(crate) wakes_at: Option<Moment>,
    /// The last batch that the driver knows to be durable.
    pub(crate) durable: i64,
    pub(crate) forming: Forming,
    pub(crate) committing: Option<(Arc<Batch>, Vec<Effect>)>,
    pub(crate) executor: Executor,
    /// Attempts of this epoch: what was asked, and the batch that records it.
    pub(crate) attempts: BTreeMap<Token, (AttemptSpec, i64)>,
    /// News that came before the attempt's own record was durable.
    pub(crate) early_news: Vec<(i64, Event)>,
    pub(crate) spool: Vec<Seen>,
    pub(crate) held_back: Vec<Seen>,
    /// Runs of which a person, or a time-out, said what is not so: they may close without a file.
    pub(crate) declared: BTreeSet<RunNumber>,
}

impl World {
    /// The world of a seed before anything has happened.
    pub(crate) fn new(
        seed: u64,
        definitions: &[Definition],
        faults: &Faults,
        steps: u64,
        story: Story,
    ) -> Self {
        let data_seed = mix(seed);
        let detector = Detector::draw(&mut Random::new(data_seed), BEGINS_AT, faults.harsh);
        let mut random = Random::new(seed ^ 0x7469_6572_3000_0000);
        let later_run = detector.runs[detector.runs.len() / 2].number;
        let (mut configurations, longest_wait) = configurations(
            definitions,
            later_run,
            faults.harsh,
            &mut Random::new(data_seed ^ 1),
        );
        let mut store = Store::new(&mut random);
        let setup = Setup {
            completions: crate::detector::completions(),
            agent: AgentNumber((seed % 1_024) as u16),
            epoch: store.raise_epoch(),
            configuration: configurations.remove(0),
            earlier: configurations,
            cores: random.between(1, 8) as u32,
            default_run_type: RunType::Physics,
            archive_after: crate::history::archive_after(&mut Random::new(data_seed ^ 2)),
        };
        let longest_wait = longest_wait + setup.archive_after.unwrap_or(Span::ZERO);
        let (coming, held_back) = detector.disturbed(faults, &mut random.fork());
        let (storage, executor) = (
            Storage::new(&mut random),
            Executor::new(faults, &mut random),
        );
        let declared = detector.runs.iter().filter(|run| run.by_time_out);
        let declared = declared.map(|run| run.number).collect();
        let mut world = Self {
            now: BEGINS_AT,
            faults: *faults,
            random,
            engine: Engine::new(setup.clone(), None),
            store,
            shadow: Tables::default(),
            detector,
            storage,
            story,
            coverage: Coverage::default(),
            backing: None,
            quiet: false,
            healed: false,
            longest_wait,
            turns: 0,
            steps: 0,
            healed_at: BEGINS_AT,
            setup,
            data_seed,
            heap: BinaryHeap::new(),
            events: BTreeMap::new(),
            made: 0,
            wakes_at: None,
            durable: 0,
            forming: Forming::default(),
            committing: None,
            executor,
            attempts: BTreeMap::new(),
            early_news: Vec::new(),
            spool: Vec::new(),
            held_back,
            declared,
        };
        for Sighting { at, seen, kind } in coming {
            world.at(at, Event::Seen(seen, kind));
        }
        world.at(
            BEGINS_AT + Span::from_millis(40 * steps as i64),
            Event::Heal,
        );
        world
    }

    /// The first process: it counts what kind of world it has come into.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        self.story.count(self.faults.pace.as_str());
        if let Some(backing) = &mut self.backing {
            backing.raise_epoch()?;
        }
        Ok(())
    }

    /// Until nothing more will happen, or a promise is broken.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        while let Some((at, event)) = self.pop() {
            self.now = self.now.max(at);
            self.turns += 1;
            if self.healed && self.now > self.healed_at + self.longest_wait + SETTLES_WITHIN {
                return Err("liveness: work goes on long after the faults have ended".to_owned());
            }
            self.take(event)?;
            for _ in 0..self.random.below(GATHER_MAX) {
                let Some(Reverse((Place(at, ..), _))) = self.heap.peek() else {
                    break;
                };
                if *at > self.now + GATHER {
                    break;
                }
                if let Some((at, event)) = self.pop() {
                    self.now = self.now.max(at);
                    self.take(event)?;
                }
            }
            self.ask_something()?;
            self.tick()?;
            if !self.healed && self.random.per_mille(self.faults.crash) {
                let power_cut = self.random.per_mille(self.faults.power_cut);
                self.crash(power_cut)?;
            }
        }
        Ok(())
    }

    /// Whether a run that is seen now overlaps with another.
    fn count_overlap(&mut self, seen: &Seen) {
        let Seen::RunBegin(begin) = seen else {
            return;
        };
        let mut others = self.shadow.runs.values();
        if others.any(|run| run.number != begin.run && !run.state.is_closed()) {
            self.story.count("runs overlap");
        }
    }

    pub(crate) fn at(&mut self, at: Moment, event: Event) {
        let place = Place(at, self.random.next(), self.made as u64);
        self.heap.push(Reverse((place, self.made)));
        self.events.insert(self.made, (at, event));
        self.made += 1;
    }

    fn pop(&mut self) -> Option<(Moment, Event)> {
        while let Some(Reverse((_, number))) = self.heap.pop() {
            if let Some(known) = self.events.remove(&number) {
                return Some(known);
            }
        }
        None
    }

    fn take(&mut self, event: Event) -> Result<(), String> {
        let now = self.now;
        if !matches!(event, Event::Round) {
            self.story.tell(now, || told(&event));
        }
        match event {
            Event::Seen(seen, kind) => self.sighted(seen, kind),
            Event::News(token, news, what) => self.hear(token, news, what),
            Event::Stored(token, result, what) => {
                self.story.count(what);
                self.storage.finish(token)?;
                self.step(Input::Stored { token, result })
            }
            Event::Read(file, result) => {
                self.story.count("file read back");
                self.step(Input::ReadBack { file, result })
            }
            Event::Committed(epoch, number) => self.committed(epoch, number),
            Event::Slice(epoch, run) => self.move_slice(epoch, run),
            Event::Sliced(run, is_all) => self.slice_told(run, is_all),
            Event::Recall(arrival) => self.look_up(*arrival),
            Event::Recalled(answer) => self.step(Input::Recalled(answer)),
            Event::Wake => {
                self.wakes_at = None;
                Ok(())
            }
            Event::Heal => {
                self.tick()?;
                self.check_everything()?;
                self.heal();
                Ok(())
            }
            Event::Round => self.go_round(),
        }
    }

    fn sighted(&mut self, mut seen: Seen, kind: Kind) -> Result<(), String> {
        if matches!(kind, Kind::Extra | Kind::Surplus) && !self.is_durably_known(&seen) {
            return Ok(());
        }
        if let Seen::File(arrival) = &mut seen {
            arrival.seen_at = self.now;
        }
        self.story.count(match (&seen, kind) {
            (_, Kind::Surplus) => "surplus file",
            (Seen::File(_), Kind::Extra) => "file reported again",
            (Seen::SetAside(_), _) => "set aside",
            (Seen::Trouble(_) | Seen::TroubleOver(_), _) => "trouble with a folder",
            (Seen::File(arrival), _) if arrival.empty => "empty lumi",
            (Seen::File(_), _) => "file seen",
            (Seen::RunBegin(_), _) => "run begins",
            (Seen::LumiEnd(_), _) => "lumi ends",
            (Seen::RunEnd(_), _) => "run ends",
        });
        self.count_overlap(&seen);
        if kind != Kind::Extra {
            self.spool.push(seen.clone());
        }
        self.step(Input::Seen(seen))
    }

    /// A report besides the truth comes only of what the store knows: whoever is first is right,
    /// and that is not it.
    fn is_durably_known(&self, seen: &Seen) -> bool {
        let Seen::File(arrival) = seen else {
            return true;
        };
        let key = (arrival.profile.clone(), arrival.name.clone());
        let tables = &self.store.tables;
        let is_own = self
            .detector
            .runs
            .iter()
            .any(|run| run.files.iter().any(|(name, _)| *name == arrival.name));
        if is_own {
            tables.file_names.contains_key(&key)
        } else {
            tables.runs.contains_key(&arrival.run)
        }
    }

    /// News of an attempt; kept until the attempt's own record is durable (D3).
    fn hear(&mut self, token: Token, news: AttemptNews, what: &'static str) -> Result<(), String> {
        self.story.count(what);
        let recorded = self.attempts.get(&token).map(|(_, batch)| *batch);
        match recorded.filter(|batch| *batch > self.durable) {
            Some(batch) => {
                self.story.count("news before the record");
                self.early_news
                    .push((batch, Event::News(token, news, what)));
                Ok(())
            }
            None => self.step(Input::News { token, news }),
        }
    }
}

fn told(event: &Event) -> String {
    match event {
        Event::Seen(Seen::File(a), kind) => format!("seen {} {kind:?} empty {}", a.name, a.empty),
        Event::Seen(seen, kind) => format!("seen {seen:?} {kind:?}"),
        Event::News(token, _, what) => format!("attempt {token} {what}"),
        Event::Stored(token, _, what) => format!("outputs of {token}: {what}"),
        Event::Committed(epoch, number) => format!("batch {number} of epoch {epoch} is committed"),
        Event::Read(file, result) => format!("file {file} is read back: {result:?}"),
        Event::Slice(_, run) => format!("a slice of run {run} is moved"),
        Event::Sliced(run, is_all) => format!("a slice of run {run} was moved, all: {is_all}"),
        Event::Recall(arrival) => format!("{} is looked up", arrival.name),
        Event::Recalled(it) => format!("{} is known: {:?}", it.arrival.name, it.file),
        Event::Wake => "wake".to_owned(),
        Event::Heal => "the faults end".to_owned(),
        Event::Round => "somebody looks what waits for a person".to_owned(),
    }
}
