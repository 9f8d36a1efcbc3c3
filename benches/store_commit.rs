//! How fast facts become durable: batches of (file, job, consumed) through the store, beside the
//! database's own limit for as many rows in one plain multi-row insert. Stores lie in the folder
//! for temporary files: choose the disk to measure with `TMPDIR`. Prints, first, whole commits with
//! their tails and a restart, then what criterion makes of single batches.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use model::arrival::{Arrival, Checksum, Counts};
use model::fact::{Consumed, Fact};
use model::file::File;
use model::ids::{AgentNumber, AttemptNumber, FileId, JobId, LumiNumber, RunNumber};
use model::job::{Class, InputId, Job, JobState, Lineage, Stamps};
use model::names::{DataLabel, TaskPath};
use model::run::{Run, RunState, RunType, StartedBy};
use model::time::Moment;
use model::units::Bytes;
use ports::store::{Batch, Ledger};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::raw_limit::RawTable;
use store::{Database, SqlLedger};

/// Rows that one file makes on its way to its first job.
const ROWS_PER_FILE: i64 = 3;

/// Batches of files that were never there before.
struct Source {
    ledger: SqlLedger,
    number: i64,
    next: i64,
    _state: tempfile::TempDir,
}

impl Source {
    fn new() -> Self {
        let state = tempfile::tempdir().expect("a folder for temporary files exists");
        let database = Database::in_folder(state.path());
        let mut ledger =
            SqlLedger::open(&database, state.path(), AgentNumber(0)).expect("a new store opens");
        ledger.raise_epoch().expect("a new store has an epoch");
        Self {
            ledger,
            number: 0,
            next: 1,
            _state: state,
        }
    }

    fn batch(&mut self, files: i64) -> Batch {
        self.number += 1;
        let first = self.next;
        self.next += 2 * files;
        let mut facts: Vec<Fact> = (0..files).flat_map(|k| triple(first + 2 * k)).collect();
        if self.number == 1 {
            facts.push(Fact::RunIs(run()));
        }
        Batch {
            number: self.number,
            next_id: self.next,
            moment: Moment(first),
            facts,
        }
    }

    fn commit(&mut self, batch: &Batch) {
        self.ledger.commit(batch).expect("a new batch is committed");
    }
}

/// The run of all files, open, so that a restart needs them.
fn run() -> Run {
    Run {
        number: RunNumber(402_144),
        run_type: RunType::Physics,
        label: DataLabel::Simulated,
        started_by: StartedBy::FirstFile,
        opened_at: Moment(1),
        pipelines: vec!["express".into()],
        config_hash: String::new(),
        last_lumi: None,
        part: 1,
        announced_events: None,
        ended_at: None,
        announced: false,
        last_file_seen_at: Moment(1),
        resumed: 0,
        sliced_from: None,
        quarantined: None,
        state: RunState::Open,
    }
}

/// A file, its job, and the row that binds them.
fn triple(id: i64) -> [Fact; 3] {
    let (file, job, run) = (FileId(id), JobId(id + 1), RunNumber(402_144));
    let lumi = LumiNumber(u32::try_from(id / 60).expect("a bench is short") + 1);
    let (task, at) = (
        TaskPath::new("express", "reco"),
        Moment(1_795_478_399_123_456_789 + id),
    );
    let name = format!(
        "run402144/run402144_ls{:06}_streamMuons_{id:09}.dat",
        lumi.0
    );
    let arrival = Arrival {
        profile: "hlt".into(),
        name: name.as_str().into(),
        run,
        lumi,
        stream: "Muons".into(),
        label: DataLabel::Simulated,
        bytes: Bytes(3_141_592),
        inode: 13_000_000,
        mtime: at,
        counts: Some(Counts {
            processed: 1_000,
            accepted: 250,
            errors: 0,
        }),
        checksum: Some(Checksum::Adler32(0xdead_beef)),
        empty: false,
        seen_at: at,
    };
    let input = InputId::File(file);
    let made = Job {
        id: job,
        run,
        task: task.clone(),
        class: Class::Live,
        inputs: vec![input],
        consumed: 1,
        lumis: vec![(lumi, lumi)],
        deadline: Some(at),
        failures: 0,
        last_error: None,
        failure: None,
        needs: None,
        lineage: Lineage::default(),
        stamps: Stamps {
            seen: at,
            made: at,
            ..Stamps::default()
        },
        provisional: false,
        slice: None,
        estimate: None,
        to_error_dataset: false,
        latest_start: None,
        used: None,
        units: Vec::new(),
        recipe: None,
        state: JobState::Ready {
            attempt: AttemptNumber::FIRST,
            not_before: at,
        },
    };
    [
        Fact::FileIs(File {
            id: file,
            arrival,
            late: false,
            part: 1,
            content: model::file::Content::Verified,
        }),
        Fact::JobIs(Arc::new(made)),
        Fact::ConsumedIs(Consumed {
            task,
            input,
            first_event: 0,
            run,
            job,
        }),
    ]
}

/// A text as long as the mean body of a triple.
fn mean_body() -> Arc<str> {
    let bodies: usize = triple(1_000_000)
        .iter()
        .map(|fact| {
            serde_json::to_string(fact)
                .expect("facts have a JSON form")
                .len()
        })
        .sum();
    "x".repeat(bodies / 3).into()
}

fn raw_table(rows: i64) -> (tempfile::TempDir, RawTable) {
    let dir = tempfile::tempdir().expect("a folder for temporary files exists");
    let rows = usize::try_from(rows).expect("a batch is small");
    let table = RawTable::open(dir.path(), rows).expect("a new table opens");
    (dir, table)
}

/// Prints rows a second and the tail of commit times: the tail shows what a checkpoint costs.
#[expect(
    clippy::print_stdout,
    reason = "a bench reports on its standard output"
)]
fn report(what: &str, rows: i64, mut times: Vec<Duration>) {
    times.sort();
    let total: Duration = times.iter().sum();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let rate = rows as f64 * times.len() as f64 / total.as_secs_f64();
    println!(
        "{what:>5} {rows:>5} rows a commit: {rate:>9.0} rows/s   \
         p50 {:.2} ms   p99 {:.2} ms   max {:.2} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// Prints what a restart costs after those commits.
#[expect(
    clippy::print_stdout,
    reason = "a bench reports on its standard output"
)]
fn restored(source: &mut Source) {
    let begin = Instant::now();
    let rows = source
        .ledger
        .restore()
        .expect("what was committed can be read");
    let (n, time) = (
        rows.files.len() + rows.jobs.len() + rows.consumed.len(),
        begin.elapsed(),
    );
    println!(
        "      restore of {n} rows: {:.0} ms",
        time.as_secs_f64() * 1e3
    );
}

/// Commits so many batches of so many files, ours and raw.
fn tails(files: i64, batches: i64) {
    let rows = files * ROWS_PER_FILE;
    let mut source = Source::new();
    let ours = (0..batches).map(|_| {
        let batch = source.batch(files);
        let begin = Instant::now();
        source.commit(&batch);
        begin.elapsed()
    });
    report("ours", rows, ours.collect());
    restored(&mut source);
    let (_dir, mut table) = raw_table(rows);
    let body = mean_body();
    let raw = (0..batches).map(|_| {
        let begin = Instant::now();
        table.commit(&body).expect("a new row is inserted");
        begin.elapsed()
    });
    report("raw", rows, raw.collect());
}

fn store_commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store_commit");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    for files in [1_i64, 33, 333, 1_000] {
        let rows = files * ROWS_PER_FILE;
        group.throughput(Throughput::Elements(rows.unsigned_abs()));
        let source = std::cell::RefCell::new(Source::new());
        group.bench_function(BenchmarkId::new("ours", rows), |bencher| {
            bencher.iter_batched(
                || source.borrow_mut().batch(files),
                |batch| {
                    source.borrow_mut().commit(&batch);
                    batch
                },
                BatchSize::PerIteration,
            );
        });
        let (_dir, mut table) = raw_table(rows);
        let body = mean_body();
        group.bench_function(BenchmarkId::new("raw", rows), |bencher| {
            bencher.iter(|| {
                table
                    .commit(black_box(&body))
                    .expect("a new row is inserted");
            });
        });
    }
    group.finish();
}

fn main() {
    for (files, batches) in [(1, 1_000), (333, 300), (1_000, 200)] {
        tails(files, batches);
    }
    let mut criterion = Criterion::default().configure_from_args();
    store_commit(&mut criterion);
    criterion.final_summary();
}
