//! Rows as an instance leaves them that has been at work for a long time: runs that are over, and
//! jobs that wait.
//!
//! In: how many files and jobs. Out: a store, made by a real engine and the store's own writer, a
//! few thousand lives a transaction, without a program or a file being there; and the order in
//! which the jobs wait. Nothing is written that an instance would not have written.

use super::BenchError;
use super::rooms::Rooms;
use crate::check::{Checked, check};
use crate::config::Layers;
use engine::{Effect, Engine, Input, Setup};
use model::arrival::{Arrival, Counts, LumiEnd, RunEnd, Seen};
use model::fact::Fact;
use model::ids::{FileId, JobId, LumiNumber, RunNumber, Token};
use model::job::{ExitClass, InputId};
use model::lumi::Expected;
use model::names::{DataLabel, FileName, ProfileName, StreamName};
use model::run::RunType;
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use model::witness::{Instance, Source};
use model::work::{AttemptNews, AttemptReport};
use ports::store::{Batch, Ledger, Rows, Standing};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};
use store::{Database, SqlLedger};

/// Files of a run, and of a lumi.
const RUN_FILES: u32 = 10_000;
const LUMI_FILES: u32 = 100;
/// Files whose lives go into one transaction.
const BATCH_FILES: u32 = 5_000;
/// Rows that become history in one transaction.
const SLICE_ROWS: usize = 50_000;
/// Events of each file.
const EVENTS: u64 = 100;
/// Files that wait were seen within so many nanoseconds, in no order: multiplicative hashing
/// (Knuth, TAOCP 3, 6.4).
const SCATTER_NS: i64 = 3_600_000_000_000;
const SCATTER: i64 = 2_654_435_761;
/// Added to the head of the pipeline, so that each job has a deadline and nobody is late.
pub(super) const BUDGET: &str = "budget = { seen_to_published = \"24h\", target = 0.99 }\n";

/// What is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Files of runs that are over.
    pub(super) past: u32,
    /// Files whose jobs wait, in runs that are open.
    pub(super) waiting: u32,
    /// Whether runs that are over become history.
    pub(super) archived: bool,
}

/// What a restart made of the rows, and how long it took.
pub(super) struct ReadBack {
    engine: Engine,
    pub(super) rows: u64,
    pub(super) reading: Duration,
    pub(super) restoring: Duration,
    /// Names of the files whose jobs wait, in the order in which they are served.
    pub(super) order: Vec<String>,
}

/// Makes the rows. Gives the names of the waiting files in the order in which their jobs are
/// served.
pub(super) fn make(rooms: &Rooms, wanted: Wanted) -> Result<Vec<String>, BenchError> {
    let checked = checked(rooms)?;
    let (ledger, standing) = open(rooms, &checked)?;
    let setup = Setup {
        cores: u32::MAX,
        archive_after: wanted.archived.then_some(Span(0)),
        ..setup(&checked, standing)
    };
    let mut past = Maker::new(ledger, Engine::new(setup, standing.next_id), standing);
    let runs = wanted.past.div_ceil(RUN_FILES);
    for run in 1..=runs {
        let before = (run - 1) * RUN_FILES;
        past.run(RunNumber(run), (wanted.past - before).min(RUN_FILES))?;
    }
    drop(past);
    let (ledger, standing) = open(rooms, &checked)?;
    let (ledger, back) = read(ledger, &checked, standing)?;
    let mut maker = Maker::new(ledger, back.engine, standing);
    for first in (0..wanted.waiting).step_by(BATCH_FILES as usize) {
        let run = RunNumber(runs + 1 + first / RUN_FILES);
        let from = first % RUN_FILES;
        maker.seen(
            run,
            from,
            BATCH_FILES.min(wanted.waiting - first),
            SCATTER_NS,
        );
        maker.commit()?;
    }
    let order = maker.engine.queue_order(maker.now);
    Ok(order.iter().map(|job| maker.name_of(*job)).collect())
}

/// Reads the rows back as a restart does.
pub(super) fn look(rooms: &Rooms) -> Result<ReadBack, BenchError> {
    let checked = checked(rooms)?;
    let (ledger, standing) = open(rooms, &checked)?;
    Ok(read(ledger, &checked, standing)?.1)
}

fn read(
    mut ledger: SqlLedger,
    checked: &Checked,
    standing: Standing,
) -> Result<(SqlLedger, ReadBack), BenchError> {
    let began = Instant::now();
    let rows = ledger.restore()?;
    let reading = began.elapsed();
    let count = count(&rows);
    let names = rows.files.iter();
    let names: BTreeMap<InputId, FileName> = names
        .map(|file| (InputId::File(file.id), file.arrival.name.clone()))
        .collect();
    let inputs = rows.jobs.iter();
    let inputs: BTreeMap<JobId, InputId> = inputs
        .filter_map(|job| Some((job.id, *job.inputs.first()?)))
        .collect();
    let setup = setup(checked, standing);
    let began = Instant::now();
    let engine = Engine::restore(setup, standing.next_id, rows, now());
    let restoring = began.elapsed();
    let name = |job: &JobId| names[&inputs[job]].as_str().to_owned();
    let back = ReadBack {
        rows: count,
        reading,
        restoring,
        order: engine.queue_order(now()).iter().map(name).collect(),
        engine,
    };
    Ok((ledger, back))
}

fn count(rows: &Rows) -> u64 {
    let many = [rows.files.len(), rows.jobs.len(), rows.consumed.len()];
    let few = [rows.runs.len(), rows.witnesses.len(), rows.outputs.len()];
    many.into_iter().chain(few).sum::<usize>() as u64
}

fn open(rooms: &Rooms, checked: &Checked) -> Result<(SqlLedger, Standing), BenchError> {
    let state = rooms.room("state")?;
    let database = Database::in_folder(&state);
    let mut ledger = SqlLedger::open(&database, &state, checked.config.instance.agent)?;
    let standing = ledger.raise_epoch()?;
    Ok((ledger, standing))
}

fn checked(rooms: &Rooms) -> Result<Checked, BenchError> {
    let site = rooms.path("site.toml");
    let checked = Layers::from_file(Some(&site), &[], &[]).and_then(|layers| check(&layers, &[]));
    checked.map_err(|found| {
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        BenchError::Configuration(texts.join("\n"))
    })
}

/// As the instance of the bench has it, but for cores and history.
fn setup(checked: &Checked, standing: Standing) -> Setup {
    Setup {
        completions: BTreeMap::new(),
        agent: checked.config.instance.agent,
        epoch: standing.epoch,
        configuration: crate::serve::configuration(checked, &checked.config.instance.state),
        earlier: Vec::new(),
        cores: 0,
        archive_after: None,
        default_run_type: RunType::Test,
        release: None,
    }
}

fn now() -> Moment {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Moment(since_1970.map_or(0, |since| since.as_nanos() as i64))
}

/// An engine whose world is the store alone.
struct Maker {
    ledger: SqlLedger,
    engine: Engine,
    batch: i64,
    now: Moment,
    facts: Vec<Fact>,
    started: Vec<Token>,
    leaving: Vec<RunNumber>,
    /// Names of files, and files of jobs, that are new.
    names: BTreeMap<FileId, FileName>,
    inputs: BTreeMap<JobId, FileId>,
}

impl Maker {
    fn new(ledger: SqlLedger, engine: Engine, standing: Standing) -> Self {
        Self {
            ledger,
            engine,
            batch: standing.last_batch,
            now: now(),
            facts: Vec::new(),
            started: Vec::new(),
            leaving: Vec::new(),
            names: BTreeMap::new(),
            inputs: BTreeMap::new(),
        }
    }

    fn step(&mut self, input: Input) {
        self.now = self.now.max(now());
        let mut effects = Vec::new();
        self.engine.step(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Record(fact) => self.facts.push(fact),
                Effect::Start(spec) => self.started.push(spec.token),
                Effect::Archive(run) => self.leaving.push(run),
                _ => {}
            }
        }
    }

    /// Writes what was decided, and lets runs leave that may.
    fn commit(&mut self) -> Result<(), BenchError> {
        self.step(Input::Tick);
        self.batch += 1;
        for fact in &self.facts {
            match fact {
                Fact::FileIs(file) => {
                    self.names.insert(file.id, file.arrival.name.clone());
                }
                Fact::ConsumedIs(consumed) => {
                    if let InputId::File(file) = consumed.input {
                        self.inputs.insert(consumed.job, file);
                    }
                }
                _ => {}
            }
        }
        self.ledger.commit(&Batch {
            number: self.batch,
            next_id: self.engine.next_id(),
            moment: self.now,
            facts: std::mem::take(&mut self.facts),
        })?;
        while let Some(run) = self.leaving.pop() {
            while !self.ledger.archive(run, SLICE_ROWS)?.is_all {}
            self.step(Input::Archived { run, is_all: true });
            self.commit()?;
        }
        Ok(())
    }

    /// The name of the file that a new job reads.
    fn name_of(&self, job: JobId) -> String {
        self.names[&self.inputs[&job]].as_str().to_owned()
    }

    /// Files of a run come, seen within so many nanoseconds before now.
    fn seen(&mut self, run: RunNumber, first: u32, files: u32, within_ns: i64) {
        for file in first..first + files {
            let place = i64::from(run.0) * i64::from(RUN_FILES) + i64::from(file);
            let at = now() - Span(place.wrapping_mul(SCATTER).rem_euclid(within_ns));
            self.step(Input::Seen(Seen::File(Arrival {
                profile: ProfileName::new("spool"),
                name: FileName::new(&format!("run{run}-{file:06}")),
                run,
                lumi: LumiNumber(1 + file / LUMI_FILES),
                stream: StreamName::new("Bench"),
                label: DataLabel::Simulated,
                bytes: Bytes(10),
                inode: u64::from(file),
                mtime: at,
                counts: Some(Counts {
                    processed: EVENTS,
                    accepted: EVENTS,
                    errors: 0,
                }),
                checksum: None,
                empty: false,
                seen_at: at,
            })));
        }
    }

    /// The attempts that are under way end well.
    fn end_attempts(&mut self) {
        self.step(Input::Tick);
        for token in std::mem::take(&mut self.started) {
            let at = self.now;
            let news = AttemptNews::Started { at };
            self.step(Input::News { token, news });
            let report = AttemptReport {
                events_read: Events(EVENTS),
                ..AttemptReport::failed(ExitClass::Ok, String::new(), at, at)
            };
            let news = AttemptNews::Ended(Box::new(report));
            self.step(Input::News { token, news });
        }
    }

    /// A run from its first file to its end.
    fn run(&mut self, run: RunNumber, files: u32) -> Result<(), BenchError> {
        let (source, instance, label) = (Source::Record, Instance::ONLY, DataLabel::Simulated);
        self.names.clear();
        self.inputs.clear();
        for first in (0..files).step_by(BATCH_FILES as usize) {
            self.seen(run, first, BATCH_FILES.min(files - first), 1);
            self.end_attempts();
            self.commit()?;
        }
        for first in (0..files).step_by(LUMI_FILES as usize) {
            let here = u64::from((files - first).min(LUMI_FILES));
            self.step(Input::Seen(Seen::LumiEnd(LumiEnd {
                run,
                lumi: LumiNumber(1 + first / LUMI_FILES),
                stream: Some(StreamName::new("Bench")),
                expected: Expected::Events(here * EVENTS),
                source,
                instance,
                label,
            })));
        }
        self.step(Input::Seen(Seen::RunEnd(RunEnd {
            run,
            last_lumi: files.div_ceil(LUMI_FILES),
            source,
            instance,
            events: None,
            label,
        })));
        self.commit()
    }
}
