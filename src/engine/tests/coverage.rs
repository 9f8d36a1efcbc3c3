//! Every event of a closed run is in exactly one output of each task, whatever the splitters, the
//! order of arrival, the failures and the restarts.
//!
//! In come seeds; each draws pipelines, a run's files, an order, failures that are tried again, and
//! moments at which the engine is forgotten and restored from what it recorded. Out comes, for each
//! task, which part of which file of the detector each of its published outputs holds: worked out
//! here from the recorded jobs alone. A failure prints its seed.

mod shelf;

use model::arrival::{Arrival, Checksum, Counts, LumiEnd, RunEnd, Seen};
use model::dataset::{Block, BlockState, Dataset, LumiContent, Output};
use model::ids::{AgentNumber, Epoch, FileId, JobId, LumiNumber, RunNumber, Token};
use model::job::{ExitClass, InputId, Job, JobState, Slice};
use model::lumi::Expected;
use model::names::DataLabel;
use model::rows::Rows;
use model::run::{RunState, RunType};
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use model::witness::{Instance, Source};
use model::work::{AttemptNews, AttemptReport, AttemptSpec, ReportedOutput, StoredOutput};
use pipelines::definition::Definition;
use shelf::Shelf;
use std::collections::BTreeMap;
use tier0_engine::{Configuration, Effect, Engine, Input, Setup};

const SEEDS: u64 = 400;
const BEGIN: Moment = Moment(1_798_761_600_000_000_000);
/// Failures of one job at most: one less than its task allows.
const FAILURES_MAX: u32 = 2;
/// How a task may cut the files of a stream.
const OF_FILES: [&str; 10] = [
    r#"{ by = "file", files_per_job = 1 }"#,
    r#"{ by = "file", files_per_job = 3 }"#,
    r#"{ by = "express", max_events = 40 }"#,
    r#"{ by = "event", events_per_job = 30 }"#,
    r#"{ by = "event", events_per_job = 7 }"#,
    r#"{ by = "event_aware_file", max_events = 60 }"#,
    r#"{ by = "lumi", lumis_per_job = 2 }"#,
    r#"{ by = "min_file", files_per_job = 2 }"#,
    r#"{ by = "size", size_per_job = "4kB" }"#,
    r#"{ by = "run", files_per_job = 2 }"#,
];
/// How a task may cut what another has made. By lumis is left out: who knows how many events of an
/// output are in which of its lumis?
const OF_OUTPUTS: [&str; 5] = [
    r#"{ by = "file", files_per_job = 2 }"#,
    r#"{ by = "event", events_per_job = 25 }"#,
    r#"{ by = "event_aware_file", max_events = 70 }"#,
    r#"{ by = "min_file", files_per_job = 2 }"#,
    r#"{ by = "run", files_per_job = 3 }"#,
];

/// `SplitMix64`: one number after another, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len() as u64) as usize]
    }

    fn shuffle<T>(&mut self, things: &mut [T]) {
        for at in (1..things.len()).rev() {
            things.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

fn definitions(chance: &mut Chance) -> Vec<Definition> {
    let (one, two, three) = (
        chance.one_of(&OF_FILES),
        chance.one_of(&OF_OUTPUTS),
        chance.one_of(&OF_FILES),
    );
    let files = 1 + chance.below(4);
    let task = |name: &str, input: &str, split: &str, label: &str| {
        format!(
            "[[task]]\nname = \"{name}\"\ninput = \"{input}\"\nsplit = {split}\n\
             program = [\"{name}\"]\noutputs = {{ {label} = \"dat\" }}\n\
             retry = {{ attempts = 3, policy = \"constant\", base = \"1s\" }}\n"
        )
    };
    let pipeline = |name: &str| {
        format!(
            "[pipeline]\nname = \"{name}\"\ntrigger = {{ stream = \"S\" }}\n\
             blocks = {{ max_files = {files}, close_after = \"3s\" }}\n"
        )
    };
    let a =
        pipeline("a") + &task("one", "trigger", one, "ONE") + &task("two", "one.ONE", two, "TWO");
    let b = pipeline("b") + &task("three", "trigger", three, "THREE");
    pipelines::link::load(&[("a.toml", &a), ("b.toml", &b)]).expect("right definitions")
}

/// One seed at work.
struct World {
    chance: Chance,
    setup: Setup,
    engine: Engine,
    now: Moment,
    recorded: Shelf,
    under_way: Vec<AttemptSpec>,
    failures: BTreeMap<JobId, u32>,
}

impl World {
    fn step(&mut self, input: Input) -> Vec<(Token, Vec<model::work::PlannedOutput>)> {
        let (mut effects, mut plans, mut read) = (Vec::new(), Vec::new(), Vec::new());
        self.engine.step(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Record(fact) => self.recorded.take(&fact),
                Effect::Start(spec) => self.under_way.push(spec),
                Effect::Store(plan) => plans.push((plan.token, plan.outputs)),
                Effect::ReadBack(file, _) => read.push(file),
                _ => {}
            }
        }
        for file in read {
            let result = Ok(self.recorded.claimed(file));
            plans.extend(self.step(Input::ReadBack { file, result }));
        }
        plans
    }

    fn tick(&mut self) {
        assert!(self.step(Input::Tick).is_empty(), "a tick stores nothing");
        assert_eq!(self.engine.check(), [], "every promise holds");
    }

    /// The instance dies and starts again: what was under way is lost, and costs nothing.
    fn restart(&mut self) {
        self.setup.epoch = Epoch(self.setup.epoch.0 + 1);
        let (setup, next_id) = (self.setup.clone(), self.engine.next_id());
        self.engine = Engine::restore(setup, Some(next_id), self.recorded.rows(), self.now);
        self.under_way.clear();
        let out = self.engine.jobs_out();
        self.step(Input::AttemptsLost(out));
        self.tick();
    }

    /// One attempt ends, well or badly; without any, time passes. Says whether something happened.
    fn go_on(&mut self) -> bool {
        if self.under_way.is_empty() {
            let Some(at) = self.engine.next_wakeup() else {
                return false;
            };
            self.now = self.now.max(at);
            self.tick();
            return true;
        }
        self.now = self.now + Span::from_millis(self.chance.below(700) as i64);
        let which = self.chance.below(self.under_way.len() as u64) as usize;
        let spec = self.under_way.swap_remove(which);
        let failures = self.failures.entry(spec.token.job).or_default();
        if *failures < FAILURES_MAX && self.chance.below(4) == 0 {
            *failures += 1;
            let report =
                AttemptReport::failed(ExitClass::Transient, "no".to_owned(), self.now, self.now);
            self.news(spec.token, report);
        } else {
            let report = self.success(&spec);
            for (token, planned) in self.news(spec.token, report) {
                let stored = planned.into_iter().map(|output| StoredOutput {
                    name: output.name,
                    bytes: Bytes(10),
                    adler32: 1,
                });
                let result = Ok(stored.collect());
                self.step(Input::Stored { token, result });
            }
        }
        self.tick();
        true
    }

    fn news(
        &mut self,
        token: Token,
        report: AttemptReport,
    ) -> Vec<(Token, Vec<model::work::PlannedOutput>)> {
        let news = AttemptNews::Ended(Box::new(report));
        self.step(Input::News { token, news })
    }

    fn success(&self, spec: &AttemptSpec) -> AttemptReport {
        let of_input =
            |input: &model::work::AttemptInput| match (input.first_event, input.last_event) {
                (Some(first), Some(last)) => last - first + 1,
                _ => input.events.map_or(0, |events| events.0),
            };
        let events = Events(spec.inputs.iter().map(of_input).sum());
        let outputs = spec.plan.outputs.iter().map(|wanted| ReportedOutput {
            label: wanted.label.clone(),
            path: wanted.path.clone(),
            bytes: None,
            adler32: None,
            events,
            lumis: Vec::new(),
        });
        AttemptReport {
            outputs: outputs.collect(),
            events_read: events,
            events_written: events,
            ..AttemptReport::failed(ExitClass::Ok, String::new(), self.now, self.now)
        }
    }
}

fn arrival(lumi: u32, part: u64, events: u64) -> Arrival {
    Arrival {
        profile: "spool".into(),
        name: format!("ls{lumi}_part{part}").as_str().into(),
        run: RunNumber(1),
        lumi: LumiNumber(lumi),
        stream: "S".into(),
        label: DataLabel::Real,
        bytes: Bytes(events * 100),
        inode: 1,
        mtime: BEGIN,
        counts: Some(Counts {
            processed: events,
            accepted: events,
            errors: 0,
        }),
        checksum: Some(Checksum::Adler32(
            (lumi * 1_000) ^ (part as u32) << 16 ^ events as u32,
        )),
        empty: events == 0,
        seen_at: BEGIN,
    }
}

/// What a detector says of one run, in any order, some of it twice.
fn said(chance: &mut Chance) -> Vec<Seen> {
    let mut said = Vec::new();
    let lumis = 1 + chance.below(6) as u32;
    for lumi in 1..=lumis {
        let mut sum = 0;
        for part in 0..chance.below(5) {
            let events = 1 + chance.below(50);
            sum += events;
            said.push(Seen::File(arrival(lumi, part, events)));
        }
        if sum == 0 {
            said.push(Seen::File(arrival(lumi, 0, 0)));
        }
        said.push(Seen::LumiEnd(LumiEnd {
            run: RunNumber(1),
            lumi: LumiNumber(lumi),
            stream: None,
            expected: Expected::Events(sum),
            source: Source::Record,
            instance: Instance::ONLY,
            label: DataLabel::Real,
        }));
    }
    said.push(Seen::RunEnd(RunEnd {
        run: RunNumber(1),
        last_lumi: lumis,
        events: None,
        source: Source::Record,
        instance: Instance::ONLY,
        label: DataLabel::Real,
    }));
    let again = said[chance.below(said.len() as u64) as usize].clone();
    said.push(again);
    chance.shuffle(&mut said);
    said
}

/// Plays a seed to its end; what is recorded then.
fn play(seed: u64) -> Rows {
    let mut chance = Chance(seed);
    let setup = Setup {
        completions: BTreeMap::new(),
        agent: AgentNumber(0),
        epoch: Epoch(1),
        configuration: Configuration::fixed("0123456789abcdef", definitions(&mut chance)),
        earlier: Vec::new(),
        cores: 1 + chance.below(6) as u32,
        archive_after: None,
        default_run_type: RunType::Physics,
        release: None,
    };
    let said = said(&mut chance);
    let mut world = World {
        engine: Engine::new(setup.clone(), None),
        setup,
        chance,
        now: BEGIN,
        recorded: Shelf::default(),
        under_way: Vec::new(),
        failures: BTreeMap::new(),
    };
    for seen in said {
        world.step(Input::Seen(seen));
        world.tick();
        for _ in 0..world.chance.below(3) {
            world.go_on();
        }
        if world.chance.below(20) == 0 {
            world.restart();
        }
    }
    let mut turns = 0;
    while world.go_on() {
        turns += 1;
        assert!(turns < 10_000, "seed {seed}: it never ends");
    }
    world.recorded.rows()
}

/// Events of files that stand behind a job, in the order in which it reads them: file, first, one
/// behind the last.
fn behind(rows: &Rows, job: &Job) -> Vec<(FileId, u64, u64)> {
    let mut parts = Vec::new();
    for input in job.inputs.iter().take(job.consumed as usize) {
        let whole = match input {
            InputId::File(id) => {
                let file = rows.files.iter().find(|file| file.id == *id);
                let counts = file.and_then(|file| file.arrival.counts);
                vec![(*id, 0, counts.map_or(0, |counts| counts.accepted))]
            }
            InputId::Output(id) => {
                let output = rows.outputs.iter().find(|output| output.id == *id);
                let maker = output.and_then(|o| rows.jobs.iter().find(|job| job.id == o.job));
                maker.map_or_else(Vec::new, |maker| behind(rows, maker))
            }
        };
        match &job.slice {
            None => parts.extend(whole),
            Some(Slice::Events { first, last }) => parts.extend(slice(&whole, *first, last + 1)),
            Some(other) => panic!("no splitter of this test cuts {other:?}"),
        }
    }
    parts
}

/// Events by their position in parts that follow each other.
fn slice(parts: &[(FileId, u64, u64)], first: u64, end: u64) -> Vec<(FileId, u64, u64)> {
    let (mut cut, mut before) = (Vec::new(), 0);
    for (file, from, to) in parts {
        let length = to - from;
        let (start, stop) = (first.max(before) - before, end.min(before + length));
        if before + start < stop {
            cut.push((*file, from + start, from + stop - before));
        }
        before += length;
    }
    cut
}

/// Every event of every file once, in each dataset.
fn check_once(seed: u64, rows: &Rows) {
    let mut expect: Vec<(FileId, u64)> = Vec::new();
    for file in rows.files.iter().filter(|file| !file.arrival.empty) {
        let events = file.arrival.counts.map_or(0, |counts| counts.accepted);
        expect.extend((0..events).map(|event| (file.id, event)));
    }
    let datasets: Vec<&Dataset> = rows.datasets.iter().collect();
    assert_eq!(
        datasets.len(),
        if expect.is_empty() { 0 } else { 3 },
        "seed {seed}"
    );
    for dataset in datasets {
        let published = |output: &&Output| output.dataset == dataset.name && output.block.is_some();
        let mut found: Vec<(FileId, u64)> = Vec::new();
        let mut events = 0;
        for output in rows.outputs.iter().filter(published) {
            let job = rows.jobs.iter().find(|job| job.id == output.job);
            let job = job.expect("an output has a job");
            assert!(matches!(job.state, JobState::Done { .. }), "seed {seed}");
            for (file, first, end) in behind(rows, job) {
                found.extend((first..end).map(|event| (file, event)));
            }
            events += output.events.0;
        }
        found.sort_unstable();
        assert_eq!(found, expect, "seed {seed}: {}", dataset.name);
        assert_eq!(events, expect.len() as u64, "seed {seed}: {}", dataset.name);
        assert_eq!(dataset.closed.events.0, events, "seed {seed}");
        assert_eq!(dataset.closed.duplicate_lumis, 0, "seed {seed}");
        check_lumis(seed, rows, dataset);
    }
}

/// The content of the run is the lumis with events, and every block is closed.
fn check_lumis(seed: u64, rows: &Rows, dataset: &Dataset) {
    let with_events = rows.files.iter().filter(|file| !file.arrival.empty);
    let expect = model::lumi::union(with_events.map(|f| (f.arrival.lumi, f.arrival.lumi)));
    let of_dataset = |content: &&LumiContent| content.dataset == dataset.name;
    let content = rows.contents.iter().find(of_dataset);
    assert_eq!(content.map(|c| &c.lumis), Some(&expect), "seed {seed}");
    let open = |block: &&Block| block.state == BlockState::Open;
    assert_eq!(rows.blocks.iter().find(open), None, "seed {seed}");
}

#[test]
fn every_event_of_a_closed_run_is_in_one_output_of_each_task() {
    let mut events = 0;
    for seed in 0..SEEDS {
        let rows = play(seed);
        let state = rows.runs.first().map(|run| run.state);
        let finished = matches!(state, Some(RunState::Finished { .. }));
        assert!(finished, "seed {seed}: the run is {state:?}");
        let failed = rows
            .jobs
            .iter()
            .find(|job| !matches!(job.state, JobState::Done { .. }));
        assert!(failed.is_none(), "seed {seed}: {failed:?}");
        check_once(seed, &rows);
        events += rows
            .outputs
            .iter()
            .map(|output| output.events.0)
            .sum::<u64>();
    }
    assert!(events > 10_000, "the seeds have something to do: {events}");
}
