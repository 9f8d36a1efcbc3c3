//! The world of one seed: a virtual clock, a heap of what will happen, and the driver around the
//! engine.
//!
//! In come a seed and its faults, out comes what happened. The driver keeps the same order as the
//! real one (D1, D3): inputs are stepped while the last batch is committed, a batch is durable as a
//! whole, and everything but early starts and the storage waits for it. Whatever the engine says is
//! applied to a shadow of the store at once, so that the law of D4 can be asked at every turn.

use crate::definitions::configurations;
use crate::detector::{Detector, Kind, Sighting};
use crate::executor::{Executor, Storage};
use crate::faults::Faults;
use crate::random::{Random, mix, mix_text};
use crate::store::{Batch, Committed, Store};
use crate::story::Story;
use crate::tables::Tables;
use engine::{Effect, Engine, Input, Setup};
use model::arrival::{Checksum, Seen};
use model::fact::Fact;
use model::ids::{AgentNumber, Epoch, FileId, RunNumber, Token};
use model::run::RunType;
use model::time::{Moment, Span};
use model::units::Bytes;
use model::wait::WaitKind;
use model::work::{AttemptNews, AttemptSpec};
use pipelines::definition::Definition;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

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
    Wake,
    Heal,
}

/// Orders the heap: time, then chance, then the order of making.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Moment, u64, u64);

/// A batch that forms, and what waits for it.
#[derive(Debug, Default)]
pub(crate) struct Forming {
    pub(crate) facts: Vec<Fact>,
    pub(crate) held: Vec<Effect>,
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
    pub(crate) healed: bool,
    /// The longest wait for constants of any task, or for the end of a block.
    pub(crate) longest_wait: Span,
    pub(crate) turns: u64,
    pub(crate) healed_at: Moment,
    pub(crate) setup: Setup,
    data_seed: u64,
    heap: BinaryHeap<Reverse<(Place, usize)>>,
    pub(crate) events: BTreeMap<usize, (Moment, Event)>,
    made: usize,
    pub(crate) wakes_at: Option<Moment>,
    /// The last batch that the driver knows to be durable.
    pub(crate) durable: i64,
    pub(crate) forming: Forming,
    pub(crate) committing: Option<(Batch, Vec<Effect>)>,
    executor: Executor,
    /// Attempts of this epoch: what was asked, and the batch that records it.
    pub(crate) attempts: BTreeMap<Token, (AttemptSpec, i64)>,
    /// News that came before the attempt's own record was durable.
    pub(crate) early_news: Vec<(i64, Event)>,
    pub(crate) spool: Vec<Seen>,
    pub(crate) held_back: Vec<Seen>,
    /// Runs that somebody stopped with lumis that the detector never had: only a person ends the
    /// wait for them.
    pub(crate) stopped_long: BTreeSet<RunNumber>,
}

impl World {
    /// The world of a seed before anything has happened.
    pub(crate) fn new(
        seed: u64,
        definitions: &[Definition],
        faults: Faults,
        steps: u64,
        story: Story,
    ) -> Self {
        let data_seed = mix(seed);
        let detector = Detector::draw(&mut Random::new(data_seed), BEGINS_AT);
        let mut random = Random::new(seed ^ 0x7469_6572_3000_0000);
        let later_run = detector.runs[detector.runs.len() / 2].number;
        let (mut configurations, longest_wait) =
            configurations(definitions, later_run, &mut Random::new(data_seed ^ 1));
        let mut store = Store::default();
        let setup = Setup {
            completions: std::collections::BTreeMap::new(),
            agent: AgentNumber((seed % 1_024) as u16),
            epoch: store.raise_epoch(),
            configuration: configurations.remove(0),
            earlier: configurations,
            cores: random.between(1, 8) as u32,
            default_run_type: RunType::Physics,
        };
        let (coming, held_back) = detector.disturbed(&faults, &mut random.fork());
        let mut world = Self {
            now: BEGINS_AT,
            faults,
            random,
            engine: Engine::new(setup.clone(), None),
            store,
            shadow: Tables::default(),
            detector,
            storage: Storage::default(),
            story,
            healed: false,
            longest_wait,
            turns: 0,
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
            spool: Vec::new(),
            held_back,
            stopped_long: BTreeSet::new(),
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
                self.crash()?;
            }
        }
        Ok(())
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
        self.story.tell(now, || told(&event));
        match event {
            Event::Seen(seen, kind) => self.sighted(seen, kind),
            Event::News(token, news, what) => self.hear(token, news, what),
            Event::Stored(token, result, what) => {
                self.story.count(what);
                self.step(Input::Stored { token, result })
            }
            Event::Read(file, result) => {
                self.story.count("file read back");
                self.step(Input::ReadBack { file, result })
            }
            Event::Committed(epoch, number) => self.committed(epoch, number),
            Event::Wake => {
                self.wakes_at = None;
                Ok(())
            }
            Event::Heal => {
                self.heal();
                Ok(())
            }
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
            .any(|run| run.files.contains(&arrival.name));
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

    /// Steps one input and takes apart what follows.
    pub(crate) fn step(&mut self, input: Input) -> Result<(), String> {
        let mut effects = Vec::new();
        self.engine.step(self.now, input, &mut effects);
        self.story.mix(self.now.0 as u64 ^ effects.len() as u64);
        self.story.mix(self.engine.next_id() as u64);
        for effect in effects {
            self.perform(effect)?;
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Record(fact) => {
                self.story.fact(&fact);
                self.shadow.apply(&fact)?;
                self.forming.facts.push(fact);
            }
            Effect::Start(spec) if spec.plan.early => self.start(spec)?,
            Effect::Store(plan) => {
                self.check_store(plan.token)?;
                let Some((spec, _)) = self.attempts.get(&plan.token) else {
                    return Err(format!(
                        "I5: outputs of {}, which this epoch never started",
                        plan.token
                    ));
                };
                let answer = self.storage.commit(
                    &plan,
                    spec,
                    &mut self.executor,
                    &self.faults,
                    &mut self.random,
                )?;
                let event = Event::Stored(plan.token, answer.result, answer.what);
                self.at(self.now + answer.after, event);
            }
            Effect::ReadBack(file, _) => {
                let after = Span::from_millis(self.random.between(1, 400) as i64);
                let result = self.read_back(file);
                self.at(self.now + after, Event::Read(file, result));
            }
            other => self.forming.held.push(other),
        }
        Ok(())
    }

    /// What a reader finds in a file of the spool: what its sender claims, or an error that passes.
    fn read_back(&mut self, file: FileId) -> Result<(Bytes, u32), String> {
        if self.random.per_mille(self.faults.unreadable) {
            self.story.count("file unreadable for a while");
            return Err("reading it back: input/output error; look at the disk".to_owned());
        }
        let arrival = &self.shadow.files[&file].arrival;
        let Some(Checksum::Adler32(claimed)) = arrival.checksum else {
            return Err("nothing is claimed of it".to_owned());
        };
        let corrupt = mix_text(arrival.name.as_str()) % 1_000 < self.faults.corrupt;
        if corrupt {
            self.story.count("file is not what was claimed");
        }
        Ok((arrival.bytes, claimed ^ u32::from(corrupt)))
    }

    /// The number that the forming batch will have.
    fn forming_number(&self) -> i64 {
        self.durable + 1 + i64::from(self.committing.is_some())
    }

    fn start(&mut self, spec: AttemptSpec) -> Result<(), String> {
        let number = if spec.plan.early {
            self.forming_number()
        } else {
            self.durable
        };
        let token = spec.token;
        if token.epoch != self.setup.epoch {
            return Err(format!("I5: attempt {token} is of an old epoch"));
        }
        self.check_inputs(&spec)?;
        let (faults, data_seed) = (self.faults, self.data_seed);
        let random = &mut self.random;
        let coming = self
            .executor
            .begin(self.now, &spec, data_seed, &faults, random)?;
        self.attempts.insert(token, (spec, number));
        for news in coming {
            self.at(
                self.now + news.after,
                Event::News(token, news.news, news.what),
            );
        }
        Ok(())
    }

    /// An attempt reads only what is there.
    fn check_inputs(&self, spec: &AttemptSpec) -> Result<(), String> {
        for input in &spec.inputs {
            if let model::work::Location::Storage { name } = &input.location
                && !self.storage.has(name)
            {
                return Err(format!(
                    "D9: attempt {} reads {name}, which is not there",
                    spec.token
                ));
            }
        }
        Ok(())
    }

    /// Outputs get final names only when what they rest on is durable (D3).
    fn check_store(&self, token: Token) -> Result<(), String> {
        let job = self.store.tables.jobs.get(&token.job);
        let job = job.filter(|job| job.state.attempt() == token.attempt && job.state.is_out());
        let Some(job) = job else {
            return Err(format!(
                "D3: outputs of {token} are stored before its record is durable"
            ));
        };
        let known = |input: &model::job::InputId| match input {
            model::job::InputId::File(id) => self.store.tables.files.contains_key(id),
            model::job::InputId::Output(id) => self.store.tables.outputs.contains_key(id),
        };
        if job.inputs.iter().all(known) {
            Ok(())
        } else {
            Err(format!(
                "D3: outputs of {token} rest on something that is not durable"
            ))
        }
    }

    /// The end of a batch of inputs: cut, place, conclude; then check, and commit if nothing is
    /// being committed.
    pub(crate) fn tick(&mut self) -> Result<(), String> {
        self.step(Input::Tick)?;
        self.check_turn()?;
        self.begin_commit();
        if let Some(at) = self.engine.next_wakeup()
            && self.wakes_at.is_none_or(|known| at < known)
        {
            self.wakes_at = Some(at);
            self.at(at, Event::Wake);
        }
        Ok(())
    }

    fn begin_commit(&mut self) {
        let idle = self.forming.facts.is_empty() && self.forming.held.is_empty();
        if self.committing.is_some() || idle {
            return;
        }
        let forming = std::mem::take(&mut self.forming);
        let batch = Batch {
            epoch: self.setup.epoch,
            number: self.durable + 1,
            next_id: self.engine.next_id(),
            facts: forming.facts,
        };
        let (epoch, number) = (batch.epoch, batch.number);
        self.committing = Some((batch, forming.held));
        let mut takes = Span(self.random.between(200_000, 12_000_000) as i64);
        if self.random.per_mille(self.faults.slow_commit) {
            self.story.count("slow commit");
            takes += Span::from_millis(self.random.below(2_000) as i64);
        }
        self.at(self.now + takes, Event::Committed(epoch, number));
    }

    fn committed(&mut self, epoch: Epoch, number: i64) -> Result<(), String> {
        let current = |batch: &Batch| batch.epoch == epoch && batch.number == number;
        let Some((batch, held)) = self.committing.take_if(|(batch, _)| current(batch)) else {
            return Ok(());
        };
        let again = self.now + Span::from_millis(self.random.between(1, 80) as i64);
        if self.random.per_mille(self.faults.busy) {
            self.story.count("store busy");
            self.committing = Some((batch, held));
            self.at(again, Event::Committed(epoch, number));
            return Ok(());
        }
        if self.random.per_mille(self.faults.unknown) {
            self.story.count("result unknown");
            if self.random.per_mille(500) {
                self.store.commit(&batch)?;
            }
            self.committing = Some((batch, held));
            self.at(again, Event::Committed(epoch, number));
            return Ok(());
        }
        if self.store.commit(&batch)? == Committed::Fenced {
            return Err(format!("I5: batch {number} of the living epoch was fenced"));
        }
        self.durable = number;
        self.release(held)
    }

    /// What waited for a batch that is durable now.
    fn release(&mut self, held: Vec<Effect>) -> Result<(), String> {
        for effect in held {
            if let Effect::Start(spec) = effect {
                self.story.count("start after the record");
                self.start(spec)?;
            }
        }
        let durable = self.durable;
        let (now_known, still): (Vec<_>, Vec<_>) = std::mem::take(&mut self.early_news)
            .into_iter()
            .partition(|(batch, _)| *batch <= durable);
        self.early_news = still;
        for (_, event) in now_known {
            self.at(self.now, event);
        }
        Ok(())
    }

    /// What a restart would make of everything said so far.
    pub(crate) fn restored(&self) -> Engine {
        let rows = self.shadow.rows();
        let next_id = Some(self.engine.next_id());
        Engine::restore(self.setup.clone(), next_id, rows, self.now)
    }

    /// Whether a wait of this kind may be left when nothing more will happen: only a person ends
    /// it, and this seed has a cause for one.
    pub(crate) fn may_be_left(&self, kind: WaitKind) -> bool {
        match kind {
            WaitKind::LumiDisputed => self.has_surplus(),
            WaitKind::EndDisputed => self.faults.harsh,
            _ => false,
        }
    }

    fn has_surplus(&self) -> bool {
        self.spool.iter().any(|seen| match seen {
            Seen::File(arrival) => arrival.name.as_str().ends_with("_surplus.raw"),
            _ => false,
        })
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
        Event::Wake => "wake".to_owned(),
        Event::Heal => "the faults end".to_owned(),
    }
}
