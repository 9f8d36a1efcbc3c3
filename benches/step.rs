//! Protects: with 100,000 jobs live, the engine carries at least 30,000 whole file lives a second
//! (goal: 60,000), and no step takes longer than 10 ms.
//!
//! A life is seven inputs: a file is seen, a tick makes and sends its job, it starts, a tick
//! records that, it ends, its output is in place, a tick records the winner. In: nothing. Out:
//! criterion's lines, and the worst step.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::{Configuration, Effect, Engine, Input, Setup};
use model::arrival::{Arrival, Checksum, Counts, Seen};
use model::ids::{AgentNumber, Epoch, LumiNumber, RunNumber, Token};
use model::job::ExitClass;
use model::names::{DataLabel, FileName, ProfileName, StreamName};
use model::run::RunType;
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use model::work::{AttemptNews, AttemptReport, ReportedOutput, StoredOutput};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Jobs under way all the time.
const LIVE_JOBS: u64 = 100_000;
/// Runs that they belong to.
const RUNS: u64 = 10;
/// Files that come together in the batched case.
const BATCH: u64 = 64;

const PIPELINE: &str = r#"
[pipeline]
name       = "monitor"
class      = "live"
trigger    = { stream = "Muons" }
budget     = { seen_to_published = "60s", target = 0.99 }
run_types  = ["physics"]
processing = "Monitor-v1"

[[task]]
name    = "look"
input   = "trigger"
split   = { by = "file", files_per_job = 1 }
program = ["{tier0}", "look"]
outputs = { LOOK = "json" }
retry   = { attempts = 3, policy = "squared", base = "1s" }
"#;

/// The engine, and what the world around it must remember.
struct World {
    engine: Engine,
    now: Moment,
    files: u64,
    effects: Vec<Effect>,
    worst: (Duration, &'static str),
}

impl World {
    fn new() -> Self {
        let definitions = pipelines::link::load(&[("monitor.toml", PIPELINE)])
            .unwrap_or_else(|found| panic!("the bench's pipeline is right: {found:?}"));
        let setup = Setup {
            completions: std::collections::BTreeMap::new(),
            agent: AgentNumber(1),
            epoch: Epoch(1),
            configuration: Configuration::fixed("0123456789abcdef", definitions),
            earlier: Vec::new(),
            cores: u32::MAX,
            archive_after: None,
            default_run_type: RunType::Physics,
            release: None,
        };
        let mut world = Self {
            engine: Engine::new(setup, None),
            now: Moment(1_798_761_600_000_000_000),
            files: 0,
            effects: Vec::new(),
            worst: (Duration::ZERO, "none"),
        };
        for _ in 0..LIVE_JOBS {
            world.file();
        }
        world.step(Input::Tick);
        let sent = world.take_tokens();
        assert_eq!(
            sent.len() as u64,
            LIVE_JOBS,
            "every file is a job under way"
        );
        world.worst = (Duration::ZERO, "none");
        world
    }

    fn step(&mut self, input: Input) {
        self.now = self.now + Span(1_000);
        let kind = kind_of(&input);
        let began = Instant::now();
        self.engine.step(self.now, input, &mut self.effects);
        self.worst = self.worst.max((began.elapsed(), kind));
    }

    fn file(&mut self) {
        let number = self.files;
        self.files += 1;
        self.step(Input::Seen(Seen::File(Arrival {
            profile: ProfileName::new("spool"),
            name: FileName::new(&format!("run{}/file{number:09}.raw", number % RUNS)),
            run: RunNumber(1 + (number % RUNS) as u32),
            lumi: LumiNumber(1 + (number / RUNS / 8) as u32),
            stream: StreamName::new("Muons"),
            label: DataLabel::Real,
            bytes: Bytes(1_000),
            inode: number,
            mtime: self.now,
            counts: Some(Counts {
                processed: 100,
                accepted: 100,
                errors: 0,
            }),
            checksum: Some(Checksum::Adler32(number as u32)),
            empty: false,
            seen_at: self.now,
        })));
    }

    fn take_tokens(&mut self) -> Vec<Token> {
        let sent = self.effects.drain(..).filter_map(|effect| match effect {
            Effect::Start(spec) => Some(spec.token),
            _ => None,
        });
        sent.collect()
    }

    /// Lives from file to winner, `together` at a time.
    fn live(&mut self, together: u64) {
        for _ in 0..together {
            self.file();
        }
        self.step(Input::Tick);
        let tokens = self.take_tokens();
        assert_eq!(tokens.len() as u64, together, "each file is one job");
        for token in &tokens {
            let news = AttemptNews::Started { at: self.now };
            self.step(Input::News {
                token: *token,
                news,
            });
        }
        self.step(Input::Tick);
        for token in &tokens {
            let news = AttemptNews::Ended(Box::new(self.report()));
            self.step(Input::News {
                token: *token,
                news,
            });
        }
        let plans: Vec<_> = self.effects.drain(..).collect();
        for effect in plans {
            if let Effect::Store(plan) = effect {
                let stored = plan.outputs.iter().map(|output| StoredOutput {
                    name: output.name.clone(),
                    bytes: Bytes(500),
                    adler32: 9,
                });
                let result = Ok(stored.collect());
                self.step(Input::Stored {
                    token: plan.token,
                    result,
                });
            }
        }
        self.step(Input::Tick);
        black_box(self.effects.drain(..).count());
    }

    fn report(&self) -> AttemptReport {
        AttemptReport {
            outputs: vec![ReportedOutput {
                label: "LOOK".into(),
                path: "LOOK.json".to_owned(),
                bytes: Some(Bytes(500)),
                adler32: Some(9),
                events: Events(100),
                lumis: Vec::new(),
            }],
            events_read: Events(100),
            events_written: Events(100),
            ..AttemptReport::failed(ExitClass::Ok, String::new(), self.now, self.now)
        }
    }
}

fn kind_of(input: &Input) -> &'static str {
    match input {
        Input::Seen(_) => "sighting",
        Input::News { .. } => "report",
        Input::Stored { .. } => "commit",
        Input::ReadBack { .. } => "file read back",
        Input::Split { .. } => "split",
        Input::Listed { .. } => "list",
        Input::Source { .. } => "source",
        Input::Trouble(_) | Input::TroubleOver(_) => "trouble",
        Input::Tick => "tick",
        Input::Archived { .. } | Input::Recalled(_) => "history",
        Input::AttemptsLost(_) | Input::Asked { .. } | Input::Reconfigured { .. } => "question",
    }
}

fn lives(c: &mut Criterion) {
    let mut group = c.benchmark_group("step/lives_with_100000_jobs_live");
    group.throughput(Throughput::Elements(1));
    let mut worst = (Duration::ZERO, "none");
    for (name, together) in [("one_by_one", 1), ("in_batches_of_64", BATCH)] {
        let mut world = World::new();
        group.bench_function(name, |b| {
            b.iter_custom(|lives| {
                let rounds = lives.div_ceil(together);
                let began = Instant::now();
                for _ in 0..rounds {
                    world.live(together);
                }
                // Time for the lives asked for, not for the whole batches they were done in.
                began
                    .elapsed()
                    .mul_f64(lives as f64 / (rounds * together) as f64)
            });
        });
        worst = worst.max(world.worst);
    }
    group.finish();
    report_worst(worst);
}

#[expect(clippy::print_stdout, reason = "a bench prints what it found")]
fn report_worst((worst, kind): (Duration, &'static str)) {
    println!("step/worst_step              {worst:?}, a {kind} (wall time; promised: 10 ms)");
}

criterion_group!(benches, lives);
criterion_main!(benches);
