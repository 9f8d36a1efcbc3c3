//! A thousand simulated worlds on the real store: the batches of the engine go to SQLite, every
//! restart reads its rows, and they are those of the model store, to the last field.
//!
//! In comes nothing, out comes the verdict of the simulator (`src/sim`) with `src/store` behind it.
//! The databases lie in memory where the machine has a file system there; what a disk does to
//! SQLite is the business of `tests/kills.rs`.

use model::arrival::Arrival;
use model::fact::Fact;
use model::ids::{AgentNumber, Epoch, RunNumber};
use model::recall::Recalled;
use model::rows::Rows;
use model::time::Moment;
use ports::store::{Batch, Ledger, Recall};
use sim::{Backing, Options, Summary, simulate_backed};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use store::{Database, SqlCatalogue, SqlLedger};
use tempfile::TempDir;

const SEEDS: u64 = 1_000;
/// How long the faults of a seed last, in steps of 40 virtual milliseconds.
const STEPS: u64 = 100;
/// The agent of every one of these databases.
const AGENT: AgentNumber = AgentNumber(5);
/// A file system in memory, where there is one.
const IN_MEMORY: &str = "/dev/shm";
/// The empty database with all tables, made once and copied for each seed.
const TEMPLATE: &str = "tier0.db";

/// SQLite in a folder of its own.
struct Sqlite {
    ledger: Option<SqlLedger>,
    folder: TempDir,
}

fn folder() -> TempDir {
    let memory = Path::new(IN_MEMORY);
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a temporary folder can be made")
}

fn open(folder: &TempDir) -> Result<SqlLedger, String> {
    let database = Database::in_folder(folder.path());
    SqlLedger::open(&database, folder.path(), AGENT).map_err(|error| error.to_string())
}

impl Sqlite {
    fn new(template: &Path) -> Self {
        let folder = folder();
        std::fs::copy(template, folder.path().join(TEMPLATE)).expect("the template can be copied");
        let ledger = open(&folder).expect("a copied database opens");
        Self {
            ledger: Some(ledger),
            folder,
        }
    }

    fn ledger(&mut self) -> &mut SqlLedger {
        self.ledger
            .as_mut()
            .expect("it is open but while it is reopened")
    }
}

impl Backing for Sqlite {
    fn raise_epoch(&mut self) -> Result<Epoch, String> {
        let standing = self.ledger().raise_epoch();
        standing
            .map(|standing| standing.epoch)
            .map_err(|error| error.to_string())
    }

    fn commit(
        &mut self,
        number: i64,
        next_id: i64,
        moment: Moment,
        facts: &[Fact],
    ) -> Result<(), String> {
        let batch = Batch {
            number,
            next_id,
            moment,
            facts: facts.to_vec(),
        };
        self.ledger()
            .commit(&batch)
            .map_err(|error| error.to_string())
    }

    fn archive(&mut self, run: RunNumber, rows_max: usize) -> Result<bool, String> {
        let moved = self.ledger().archive(run, rows_max);
        let moved = moved.map_err(|error| error.to_string())?;
        if moved.rows > rows_max as u64 {
            return Err(format!("{} rows were moved, not {rows_max}", moved.rows));
        }
        Ok(moved.is_all)
    }

    fn recall(&mut self, seen: Arrival) -> Result<Option<Recalled>, String> {
        let database = Database::in_folder(self.folder.path());
        let catalogue = SqlCatalogue::open(&database).map_err(|error| error.to_string())?;
        let known = catalogue.recall(vec![seen]);
        Ok(known.map_err(|error| error.to_string())?.pop())
    }

    fn reopen(&mut self) -> Result<Rows, String> {
        self.ledger = None;
        let ledger = self.ledger.insert(open(&self.folder)?);
        ledger.restore().map_err(|error| error.to_string())
    }
}

#[test]
fn a_thousand_worlds_on_sqlite_keep_every_promise() {
    let empty = folder();
    drop(open(&empty).expect("a new database can be made"));
    let template = empty.path().join(TEMPLATE);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let mut summary = Summary::default();
    thread::scope(|scope| {
        let work = || {
            let mut sum = Summary::default();
            loop {
                let first_seed = next.fetch_add(1, Ordering::Relaxed);
                if first_seed >= SEEDS {
                    return sum;
                }
                let options = Options {
                    seeds: 1,
                    first_seed,
                    steps: STEPS,
                };
                let mut make = |_| Box::new(Sqlite::new(&template)) as Box<dyn Backing>;
                sum.add(simulate_backed(options, &mut make));
            }
        };
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in started {
            let sum = thread.join();
            summary.add(sum.expect("a broken promise is counted, not thrown"));
        }
    });
    if let Some(violation) = &summary.first_violation {
        panic!(
            "{} of {} seeds broke a promise; seed {}:\n{}",
            summary.violations, summary.seeds, violation.seed, violation.story
        );
    }
    assert_eq!(summary.seeds, SEEDS);
    let restarts = summary.coverage.get("crash").copied().unwrap_or(0);
    assert!(
        restarts > SEEDS / 2,
        "only {restarts} restarts read the store"
    );
    let read = summary.coverage.get("the real store was read");
    assert!(
        read.is_some_and(|read| *read > restarts),
        "it was read {read:?} times"
    );
}
