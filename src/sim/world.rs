//! The world of one seed: a virtual clock and a heap of what will happen.
//!
//! In come a seed and its faults, out comes what happened. The driver is in [`crate::driver`]; here
//! is the order in which things happen.

use crate::backing::Backing;
use crate::chance::{Chance, Decision};
use crate::coverage::Coverage;
use crate::definitions::{configurations, longest_wait};
use crate::detector::{Cut, Detector, Kind, Sighting, in_words};
use crate::executor::Executor;
use crate::facts::Truth;
use crate::faults::Faults;
use crate::random::{Random, mix};
use crate::sources::Sources;
use crate::storage::Storage;
use crate::store::{Batch, Store};
use crate::story::{Story, short};
use crate::tables::Tables;
use crate::told::Life;
use engine::{Effect, Engine, Input, ReleasePolicy, Setup};
use model::arrival::{Arrival, Seen};
use model::command::Reply;
use model::fact::Fact;
use model::ids::{AgentNumber, Epoch, FileId, RunNumber, Token};
use model::plugin::SplitKey;
use model::recall::Recalled;
use model::run::RunType;
use model::source::{CopyPlace, SourceNews};
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
/// More turns than any seed takes.
const TURNS_MAX: u64 = 100_000;
/// A turn takes so many inputs at most.
const GATHER_MAX: u64 = 8;
/// Longest chain of what follows from the end of the faults, without waits for constants and
/// blocks.
const SETTLES_WITHIN: Span = Span::from_secs(1_800);

/// All batches of one seed in so many are replayed in the end.
const REPLAYED_EVERY: u64 = 16;

/// A broken store loses a row of so many commits in a thousand.
const ROW_LOST: u64 = 100;

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
    Source(FileId, SourceNews),
    /// A splitter has answered.
    Split(SplitKey, Result<Vec<Vec<u32>>, String>),
    Vanish(CopyPlace, String),
    /// What the executor has, as asked for at that moment.
    Listed(Moment, Option<Vec<Token>>),
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

/// How a seed is gone through.
#[derive(Clone, Debug)]
pub(crate) struct Way<'a> {
    pub(crate) seed: u64,
    /// How long the faults last, in steps of 40 virtual milliseconds.
    pub(crate) steps: u64,
    pub(crate) definitions: &'a [Definition],
    /// How much of the seed's data there is.
    pub(crate) cut: Cut,
    /// The only faults that happen, where not all of the seed do.
    pub(crate) only: Option<&'a [Decision]>,
    /// Everything is checked after each turn.
    pub(crate) is_strict: bool,
    /// The world itself is broken: its store loses rows that it took. For tests of those who look.
    pub(crate) is_broken: bool,
}

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
    /// Who is asked whether a fault happens.
    pub(crate) chance: Chance,
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    /// Everything that was said, durable or not.
    pub(crate) shadow: Tables,
    pub(crate) detector: Detector,
    pub(crate) storage: Storage,
    pub(crate) sources: Sources,
    pub(crate) story: Story,
    pub(crate) coverage: Coverage,
    /// Another store that gets the same batches, and that restarts read.
    pub(crate) backing: Option<Box<dyn Backing>>,
    /// Nothing is checked on the way, and nothing can be lost: an undisturbed pass is only for its
    /// results, so whatever is said goes for durable.
    pub(crate) quiet: bool,
    /// Everything is checked after each turn, so that what is wrong is seen at once.
    pub(crate) strict: bool,
    /// Effects of the step under way; kept for its room.
    pub(crate) effects: Vec<Effect>,
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
    /// How often each file was read back.
    pub(crate) reads: BTreeMap<FileId, u64>,
    pub(crate) spool: Vec<Seen>,
    pub(crate) held_back: Vec<Seen>,
    /// Runs of which a person, or a time-out, said what is not so: they may close without a file.
    pub(crate) declared: BTreeSet<RunNumber>,
    pub(crate) truth: Truth,
    /// How long prompt work waits for its constants once its run is closed.
    pub(crate) prompt_waits: Span,
    /// What the engine last answered.
    pub(crate) reply: Option<Reply>,
    /// Jobs that somebody wanted after all.
    /// How long people wait before they go round again.
    pub(crate) round: Span,
    pub(crate) wanted: u32,
    /// How often somebody accepted better constants after the faults.
    pub(crate) accepted: u32,
    /// What its engines were told, if somebody wants to tell it again.
    pub(crate) told: Option<Vec<Life>>,
}

impl World {
    /// The world of a seed before anything has happened.
    pub(crate) fn new(way: &Way<'_>, faults: &Faults, in_words: bool) -> Self {
        let (seed, mut faults) = (way.seed, *faults);
        let data_seed = mix(seed);
        let detector = Detector::draw(data_seed, BEGINS_AT, faults.harsh, &way.cut);
        let mut chance = Chance::new(seed, BEGINS_AT);
        if in_words {
            chance.write_down();
        }
        if let Some(decisions) = way.only {
            chance.only(decisions);
        }
        faults.row_lost = if way.is_broken { ROW_LOST } else { 0 };
        faults.any_order = faults.any_order && chance.of("any_order", 0, 1_000);
        let mut random = chance.random("world", 0);
        let (mut configurations, prompt_waits) = configurations(
            way.definitions,
            detector.later_run,
            faults.harsh,
            &mut Random::new(data_seed ^ 1),
        );
        let mut store = Store::new(&mut random, data_seed.is_multiple_of(REPLAYED_EVERY));
        let sources = Sources::new(&mut random);
        let soak = sources.soak;
        let release = (faults.release > 0).then_some(ReleasePolicy { soak });
        let archive_after = crate::history::archive_after(&mut Random::new(data_seed ^ 2));
        let setup = Setup {
            completions: crate::detector::completions(),
            agent: AgentNumber((seed % 1_024) as u16),
            epoch: store.raise_epoch(),
            configuration: configurations.remove(0),
            earlier: configurations,
            cores: random.between(1, 8) as u32,
            default_run_type: RunType::Physics,
            release,
            archive_after,
        };
        let (coming, held_back) = detector.disturbed(&faults, &mut chance);
        let storage = Storage::new(&mut random);
        let declared = detector.runs.iter().filter(|run| run.by_time_out);
        let declared = declared.map(|run| run.number).collect();
        let mut world = Self {
            now: BEGINS_AT,
            faults,
            chance,
            engine: Engine::new(setup.clone(), None),
            store,
            shadow: Tables::default(),
            detector,
            storage,
            sources,
            story: Story::new(in_words, BEGINS_AT),
            coverage: Coverage::default(),
            backing: None,
            quiet: false,
            strict: way.is_strict,
            effects: Vec::new(),
            healed: false,
            longest_wait: longest_wait(prompt_waits) + archive_after.unwrap_or(Span::ZERO),
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
            executor: Executor::default(),
            attempts: BTreeMap::new(),
            early_news: Vec::new(),
            reads: BTreeMap::new(),
            spool: Vec::new(),
            held_back,
            declared,
            truth: Truth::default(),
            prompt_waits,
            reply: None,
            round: crate::operators::ROUND,
            wanted: 0,
            accepted: 0,
            told: None,
        };
        for Sighting { at, seen, kind } in coming {
            world.at(at, Event::Seen(seen, kind));
        }
        let lasts = Span::from_millis(40 * way.steps as i64) + world.faults.lasts;
        world.at(BEGINS_AT + lasts, Event::Heal);
        world
    }

    /// The data of this world, in a few lines.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let cores = self.setup.cores;
        let mut lines = vec![format!("{cores} cores, {}", self.faults.pace.as_str())];
        lines.extend(self.detector.runs.iter().map(|run| {
            let (number, lumis, files) = (run.number, run.last_lumi, run.files.len());
            let (kind, label, instances) = (run.run_type, run.label, run.instances.len());
            let end = if run.by_time_out {
                ", ended by a time-out"
            } else {
                ""
            };
            format!(
                "run {number}: {kind}, {label}, lumis {lumis}, files {files}, \
                 instances {instances}{end}"
            )
        }));
        lines
    }

    /// The first process: it counts what kind of world it has come into.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        self.story.count(self.faults.pace.as_str());
        if let Some(backing) = &mut self.backing {
            backing.raise_epoch()?;
        }
        Ok(())
    }

    /// What is durable.
    pub(crate) fn kept(&self) -> &Tables {
        if self.quiet {
            &self.shadow
        } else {
            &self.store.tables
        }
    }

    /// Until nothing more will happen, or a promise is broken.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        while let Some((at, event)) = self.pop() {
            self.now = self.now.max(at);
            self.turns += 1;
            if self.turns > TURNS_MAX {
                return Err("liveness: it goes round and round and comes to no end".to_owned());
            }
            if self.healed && self.now > self.healed_at + self.longest_wait + SETTLES_WITHIN {
                return Err("liveness: work goes on long after the faults have ended".to_owned());
            }
            self.take(event)?;
            let gather = self.chance.draw("gather", self.turns) % GATHER_MAX;
            for _ in 0..gather {
                if self.next_at().is_none_or(|at| at > self.now + GATHER) {
                    break;
                }
                if let Some((at, event)) = self.pop() {
                    self.now = self.now.max(at);
                    self.take(event)?;
                }
            }
            self.ask_something()?;
            self.tick()?;
            let (now, turn, rate) = (self.now, self.turns, self.faults.crash);
            if !self.healed
                && let Some(key) = self.chance.at("crash", now, turn, rate)
            {
                let power_cut = self.chance.of("power_cut", key, self.faults.power_cut);
                self.crash(power_cut, key)?;
            }
        }
        Ok(())
    }

    /// F53: a file again whose source is gone, or another one of a run whose sources are.
    fn count_after_release(&mut self, arrival: &Arrival) {
        if self.sources.is_removed(&arrival.profile, &arrival.name) {
            self.story
                .count("file reported again after its source was removed");
            return;
        }
        let mut rows = self.shadow.sources.values();
        let key = (arrival.profile.clone(), arrival.name.clone());
        if !self.shadow.file_names.contains_key(&key)
            && rows.any(|row| row.run == arrival.run && row.state.is_released())
        {
            self.story
                .count("late file after sources of its run were released");
        }
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
        let tie = self.chance.draw("tie", self.made as u64 ^ at.0 as u64);
        let place = Place(at, tie, self.made as u64);
        self.heap.push(Reverse((place, self.made)));
        self.events.insert(self.made, (at, event));
        self.made += 1;
    }

    /// When the next thing happens: what a crash has made undone does not count.
    fn next_at(&mut self) -> Option<Moment> {
        while let Some(Reverse((Place(at, ..), number))) = self.heap.peek() {
            if self.events.contains_key(number) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
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
        match &event {
            Event::Round => {}
            Event::Wake | Event::Committed(..) | Event::Read(_, Ok(_)) => {
                self.story.tell_routine(now, || told(&event));
            }
            _ => self.story.tell(now, || told(&event)),
        }
        match event {
            Event::Seen(seen, kind) => self.sighted(seen, kind),
            Event::News(token, news, what) => self.hear(token, news, what),
            Event::Stored(token, result, what) => {
                self.story.count(what);
                if result.is_err() {
                    self.truth.spoilt.insert(token);
                }
                self.storage.finish(token)?;
                self.step(Input::Stored { token, result })
            }
            Event::Read(file, result) => {
                self.story.count("file read back");
                self.note_read(file, &result);
                self.step(Input::ReadBack { file, result })
            }
            Event::Source(file, news) => {
                self.sources.finish(file);
                if let SourceNews::Copied(_, found) = &news {
                    let found = found.as_ref().copied().map_err(|it| it.message.clone());
                    self.note_read(file, &found);
                }
                self.step(Input::Source { file, news })
            }
            Event::Split(key, groups) => self.step(Input::Split { key, groups }),
            Event::Vanish(..) => {
                self.copies_vanish();
                Ok(())
            }
            Event::Listed(asked_at, tokens) => self.listed(asked_at, tokens),
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
        if let Seen::File(arrival) = &seen
            && self.setup.release.is_some()
        {
            self.count_after_release(arrival);
        }
        self.count_overlap(&seen);
        if kind != Kind::Extra {
            self.spool.push(seen.clone());
        }
        self.note_announced(&seen);
        let again = match &seen {
            Seen::File(arrival) => Some(arrival.clone()),
            _ => None,
        };
        self.step(Input::Seen(seen))?;
        again.map_or(Ok(()), |again| self.check_conflict(&again))
    }

    /// A report besides the truth comes only of what the store knows: whoever is first is right,
    /// and that is not it.
    fn is_durably_known(&self, seen: &Seen) -> bool {
        let Seen::File(arrival) = seen else {
            return true;
        };
        let key = (arrival.profile.clone(), arrival.name.clone());
        let tables = self.kept();
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
        Event::Seen(seen, Kind::Again) => format!("seen again: {}", in_words(seen)),
        Event::Seen(seen, Kind::Extra | Kind::Surplus) => {
            format!("seen besides: {}", in_words(seen))
        }
        Event::Seen(seen, Kind::True | Kind::First) => format!("seen: {}", in_words(seen)),
        Event::News(token, _, what) => {
            let (job, attempt, epoch) = (short(token.job.0), token.attempt, token.epoch);
            format!("attempt {attempt} of job {job} of epoch {epoch}: {what}")
        }
        Event::Stored(token, _, what) => format!("outputs of job {}: {what}", short(token.job.0)),
        Event::Committed(epoch, number) => format!("batch {number} of epoch {epoch} is committed"),
        Event::Split(key, groups) => {
            format!(
                "the splitter of {} answers for run {}: {groups:?}",
                key.task, key.run
            )
        }
        Event::Read(file, result) => format!("file {file} is read back: {result:?}"),
        Event::Source(file, news) => format!("source of file {file}: {news:?}"),
        Event::Vanish(place, name) => format!("copy {place} of {name} vanishes"),
        Event::Listed(asked_at, None) => format!("list of {asked_at}: nobody knows"),
        Event::Listed(asked_at, Some(tokens)) => {
            let tokens: Vec<String> = tokens.iter().map(ToString::to_string).collect();
            format!("list of {asked_at}: {}", tokens.join(" "))
        }
        Event::Slice(_, run) => format!("a slice of run {run} is moved"),
        Event::Sliced(run, is_all) => format!("a slice of run {run} was moved, all: {is_all}"),
        Event::Recall(arrival) => format!("{} is looked up", arrival.name),
        Event::Recalled(it) => format!("{} is known: {:?}", it.arrival.name, it.file),
        Event::Wake => "wake".to_owned(),
        Event::Heal => "the faults end".to_owned(),
        Event::Round => "somebody looks what waits for a person".to_owned(),
    }
}
