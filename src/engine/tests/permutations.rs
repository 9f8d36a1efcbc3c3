//! Whatever order files, end-of-lumi and end-of-run records come in, however often, and whichever
//! of them never come: the ledger in the end is the same, or somebody is told by name what is
//! waited for. In comes a drawn run, out comes what the engine recorded of it; every job succeeds.

use model::arrival::{Arrival, Checksum, Counts, LumiEnd, RunEnd, Seen};
use model::command::{Command, Order};
use model::fact::Fact;
use model::ids::{AgentNumber, Epoch, FileId, LumiNumber, RunNumber};
use model::job::ExitClass;
use model::lumi::Expected;
use model::names::{DataLabel, FileName, ProfileName, StreamName};
use model::run::{RunState, RunType};
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use model::wait::{Object, Wait};
use model::witness::{Instance, Source};
use model::work::{AttemptNews, AttemptReport, AttemptSpec, ReportedOutput, StoredOutput};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tier0_engine::{Configuration, Effect, Engine, Input, Setup};

const RUN: RunNumber = RunNumber(7);

/// What is left in the end, without identities, times and parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ledger {
    finished: bool,
    last_lumi: Option<u32>,
    files: BTreeSet<String>,
    /// Events and lumis of each dataset.
    datasets: BTreeMap<String, (u64, BTreeSet<u32>)>,
    decisions: BTreeSet<String>,
}

/// An engine whose jobs all succeed at once.
struct World {
    engine: Engine,
    now: Moment,
    ledger: Ledger,
    started: VecDeque<AttemptSpec>,
    /// What readers find in files.
    claims: BTreeMap<FileId, (Bytes, u32)>,
}

impl World {
    fn new() -> Self {
        let definitions = pipelines::link::load(pipelines::EMBEDDED)
            .expect("what comes with the program is right");
        let setup = Setup {
            agent: AgentNumber(0),
            epoch: Epoch(1),
            configuration: Configuration::fixed("0123456789abcdef", definitions),
            earlier: Vec::new(),
            completions: BTreeMap::new(),
            cores: 8,
            archive_after: None,
            default_run_type: RunType::Physics,
            release: None,
        };
        Self {
            engine: Engine::new(setup, None),
            now: Moment(1_798_761_600_000_000_000),
            ledger: Ledger::default(),
            started: VecDeque::new(),
            claims: BTreeMap::new(),
        }
    }

    /// Plays sightings one after the other, each with all that follows from it.
    fn play(seen: &[Seen]) -> Self {
        let mut world = Self::new();
        for seen in seen {
            world.now = world.now + Span::from_secs(1);
            let mut seen = seen.clone();
            if let Seen::File(arrival) = &mut seen {
                arrival.seen_at = world.now;
            }
            world.step(Input::Seen(seen));
            world.settle();
        }
        world
    }

    fn settle(&mut self) {
        self.step(Input::Tick);
        while let Some(spec) = self.started.pop_front() {
            self.succeed(&spec);
            self.step(Input::Tick);
        }
        assert_eq!(self.engine.check(), [], "every promise holds");
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let (mut effects, mut read) = (Vec::new(), Vec::new());
        self.engine.step(self.now, input, &mut effects);
        for effect in &effects {
            match effect {
                Effect::Record(fact) => {
                    if let Fact::FileIs(file) = fact
                        && let Some(Checksum::Adler32(claimed)) = file.arrival.checksum
                    {
                        self.claims.insert(file.id, (file.arrival.bytes, claimed));
                    }
                    self.ledger.take(fact);
                }
                Effect::Start(spec) => self.started.push_back(spec.clone()),
                Effect::ReadBack(file, _) => read.push(*file),
                _ => {}
            }
        }
        for file in read {
            let result = Ok(self.claims[&file]);
            effects.extend(self.step(Input::ReadBack { file, result }));
        }
        effects
    }

    fn succeed(&mut self, spec: &AttemptSpec) {
        let read = spec.inputs.iter().filter_map(|input| input.events);
        let events = Events(read.map(|events| events.0).sum());
        let outputs = spec.plan.outputs.iter().map(|wanted| ReportedOutput {
            label: wanted.label.clone(),
            path: wanted.path.clone(),
            bytes: None,
            adler32: None,
            events,
            lumis: Vec::new(),
        });
        let report = AttemptReport {
            outputs: outputs.collect(),
            ..AttemptReport::failed(ExitClass::Ok, String::new(), self.now, self.now)
        };
        let (token, news) = (spec.token, AttemptNews::Ended(Box::new(report)));
        for effect in self.step(Input::News { token, news }) {
            if let Effect::Store(plan) = effect {
                let stored = plan.outputs.iter().map(|output| StoredOutput {
                    name: output.name.clone(),
                    bytes: Bytes(10),
                    adler32: 3,
                });
                let result = Ok(stored.collect());
                self.step(Input::Stored { token, result });
            }
        }
    }

    fn waits(&self) -> Vec<Wait> {
        let why = self.engine.why(self.now, &Object::Run(RUN));
        why.map_or_else(Vec::new, |why| why.waits)
    }

    fn reopen(&mut self) {
        let mut order = Order::new(Command::RunReopen { run: RUN }, "shifter");
        "they were found".clone_into(&mut order.reason);
        self.step(Input::Asked { ticket: 1, order });
        self.settle();
    }
}

impl Ledger {
    fn take(&mut self, fact: &Fact) {
        match fact {
            Fact::RunIs(run) => {
                self.finished = matches!(run.state, RunState::Finished { .. });
                self.last_lumi = run.last_lumi;
            }
            // A report of nothing adds nothing.
            Fact::FileIs(file) if file.arrival.empty => {}
            Fact::FileIs(file) => {
                self.files.insert(file.arrival.name.to_string());
            }
            Fact::OutputIs(output) => {
                let entry = self.datasets.entry(output.dataset.to_string()).or_default();
                entry.0 += output.events.0;
                let lumis = output
                    .lumis
                    .iter()
                    .flat_map(|(first, last)| first.0..=last.0);
                entry.1.extend(lumis);
            }
            Fact::DecisionIs(decision) => {
                let (tag, outcome) = (&decision.tag, decision.outcome.as_str());
                self.decisions.insert(format!("{tag} {outcome}"));
            }
            _ => {}
        }
    }
}

/// A run as it is meant: for each lumi and stream, the events of its files.
#[derive(Clone, Debug)]
struct Meant {
    lumis: Vec<Vec<Vec<u32>>>,
    instances: u32,
    /// Whether the bus says the same as the records.
    messages: bool,
}

const STREAMS: [&str; 2] = ["Muons", "Tracks"];

impl Meant {
    /// Everything that is to be seen of it.
    fn seen(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (lumi, streams) in (1..).zip(&self.lumis) {
            for (stream, files) in STREAMS.iter().zip(streams) {
                for (part, events) in files.iter().enumerate() {
                    seen.push(file(lumi, stream, part, *events));
                }
                seen.extend(self.records(lumi, stream, files));
            }
        }
        let last_lumi = self.lumis.len() as u32;
        for number in 0..self.instances {
            seen.push(Seen::RunEnd(RunEnd {
                run: RUN,
                // All but the first instance end one lumi early, of which they record nothing.
                last_lumi: last_lumi - u32::from(number > 0),
                events: None,
                source: Source::Record,
                instance: self.instance(number),
                label: DataLabel::Real,
            }));
        }
        seen
    }

    fn streams(&self) -> &[&str] {
        &STREAMS[..self.lumis[0].len()]
    }

    fn instance(&self, number: u32) -> Instance {
        let of = self.instances;
        Instance { number, of }
    }

    /// Each instance has seen a share of the files; the bus knows the sum of the events.
    fn records(&self, lumi: u32, stream: &str, files: &[u32]) -> Vec<Seen> {
        let end = |expected, source, instance| {
            Seen::LumiEnd(LumiEnd {
                run: RUN,
                lumi: LumiNumber(lumi),
                stream: Some(StreamName::new(stream)),
                expected,
                source,
                instance,
                label: DataLabel::Real,
            })
        };
        let is_last = lumi as usize == self.lumis.len();
        let speakers = if is_last { 1 } else { self.instances };
        let mut records: Vec<Seen> = (0..speakers)
            .map(|number| {
                let own = (0..files.len() as u32).filter(|part| part % speakers == number);
                let counted = Expected::Files(own.count() as u64);
                end(counted, Source::Record, self.instance(number))
            })
            .collect();
        if self.messages {
            let events = files.iter().map(|events| u64::from(*events)).sum();
            let counted = Expected::Events(events);
            records.push(end(counted, Source::Message, Instance::ONLY));
        }
        records
    }
}

fn is_of(seen: &Seen, stream: &str) -> bool {
    match seen {
        Seen::File(arrival) => arrival.stream.as_str() == stream,
        Seen::LumiEnd(end) => end
            .stream
            .as_ref()
            .is_some_and(|name| name.as_str() == stream),
        _ => false,
    }
}

fn file(lumi: u32, stream: &str, part: usize, events: u32) -> Seen {
    let events = u64::from(events);
    Seen::File(Arrival {
        profile: ProfileName::new("spool"),
        name: FileName::new(&format!("ls{lumi:04}_{stream}_{part}.raw")),
        run: RUN,
        lumi: LumiNumber(lumi),
        stream: StreamName::new(stream),
        label: DataLabel::Real,
        bytes: Bytes(events * 10),
        inode: 1,
        mtime: Moment(0),
        counts: Some(Counts {
            processed: events,
            accepted: events,
            errors: 0,
        }),
        checksum: Some(Checksum::Adler32(
            (lumi * 1_000) ^ ((part as u32) << 16) ^ events as u32,
        )),
        empty: events == 0,
        seen_at: Moment(0),
    })
}

fn meant() -> impl Strategy<Value = Meant> {
    let files = prop::collection::vec(0_u32..300, 0..4);
    let streams = 1_usize..=STREAMS.len();
    let lumis = streams.prop_flat_map(move |streams| {
        let lumi = prop::collection::vec(files.clone(), streams);
        prop::collection::vec(lumi, 1..5)
    });
    let rest = (1_u32..=2, any::<bool>());
    (lumis, rest).prop_map(|(lumis, (instances, messages))| Meant {
        lumis,
        instances,
        messages,
    })
}

/// A run, its sightings in some order with some of them twice, and which of them never come.
fn disturbed() -> impl Strategy<Value = (Meant, Vec<Seen>, Vec<bool>)> {
    meant().prop_flat_map(|meant| {
        let seen = meant.seen();
        let twice = seen.clone();
        let again = prop::collection::vec(prop::sample::select(twice), 0..6);
        let again = again.prop_flat_map(move |again| {
            let mut all = seen.clone();
            all.extend(again);
            Just(all).prop_shuffle()
        });
        let count = meant.seen().len();
        let absent = prop::collection::vec(prop::bool::weighted(0.1), count);
        (Just(meant), again, absent)
    })
}

proptest! {
    #[test]
    fn any_order_and_repetition_gives_one_ledger((meant, seen, _) in disturbed()) {
        let expect = World::play(&meant.seen());
        prop_assert!(expect.ledger.finished, "{:?}", expect.waits());
        let mut got = World::play(&seen);
        // A stream of which nothing was heard before the others were complete comes late: it is
        // named, and a part of its own makes up for it.
        if got.ledger != expect.ledger {
            prop_assert!(!got.waits().is_empty(), "{:?} against {:?}", got.ledger, expect.ledger);
            got.reopen();
        }
        prop_assert_eq!(&got.ledger, &expect.ledger);
    }

    #[test]
    fn whatever_is_missing_is_waited_for_by_name((meant, seen, absent) in disturbed()) {
        let expect = World::play(&meant.seen());
        let all = meant.seen();
        let missing = all.iter().zip(&absent).filter_map(|(s, a)| a.then_some(s));
        let missing: Vec<&Seen> = missing.collect();
        let coming: Vec<Seen> = seen.iter().filter(|s| !missing.contains(s)).cloned().collect();
        // Of a stream that nobody ever mentions, nobody can know.
        prop_assume!(meant.streams().iter().all(|name| coming.iter().any(|s| is_of(s, name))));
        let got = World::play(&coming);
        let waits = got.waits();
        for wait in &waits {
            prop_assert!(!wait.reason.is_empty() && wait.remedy.contains("tier0 "), "{wait:?}");
        }
        if got.ledger != expect.ledger {
            prop_assert!(!waits.is_empty(), "{:?} without {missing:?}", got.ledger);
        }
    }

    #[test]
    fn every_event_of_a_closed_run_is_in_each_dataset_once((meant, seen, _) in disturbed()) {
        let mut world = World::play(&seen);
        if !world.waits().is_empty() {
            world.reopen();
        }
        let files = meant.lumis.iter().flat_map(|streams| &streams[0]);
        let events: u64 = files.map(|events| u64::from(*events)).sum();
        for (dataset, (published, _)) in &world.ledger.datasets {
            let per_stream = dataset.starts_with("/Muons/express") || dataset.contains("AOD");
            prop_assert!(!per_stream || *published == events, "{dataset}: {published} of {events}");
        }
    }
}
