//! SQLite against the conformance suite, and what only SQLite has: the lock, the file, a full disk,
//! a foreign lock, a process that is killed.

use super::*;
use crate::conformance::{self, Oracle, Place};
use crate::connection::Fields;
use crate::database::DATABASE_NAME;
use crate::reader::SqlCatalogue;
use crate::samples::{self, KINDS, fact};
use model::fact::Fact;
use model::ids::{JobId, RunNumber};
use ports::catalogue::{Catalogue, Page};
use proptest::prelude::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const AGENT: AgentNumber = AgentNumber(3);
const ALL: Page = Page {
    after: None,
    limit: 10_000,
};

/// A state folder; each handle brings a lock of its own, as if nobody had looked at the folder's.
struct SqlitePlace {
    state: TempDir,
    locks: TempDir,
}

impl SqlitePlace {
    fn new() -> Self {
        Self {
            state: tempfile::tempdir().unwrap(),
            locks: tempfile::tempdir().unwrap(),
        }
    }

    fn try_handle(&self) -> Result<SqlLedger, StoreError> {
        let own = tempfile::tempdir_in(self.locks.path()).unwrap();
        let lock = StateLock::take(own.path()).unwrap();
        SqlLedger::open_locked(&self.database(), AGENT, lock)
    }

    fn handle(&self) -> SqlLedger {
        self.try_handle().unwrap()
    }

    fn reader(&self) -> SqlCatalogue {
        SqlCatalogue::open(&self.database()).unwrap()
    }
}

/// Opens the store in a folder as `serve` does.
fn open(state: &Path) -> Result<SqlLedger, StoreError> {
    SqlLedger::open(&Database::in_folder(state), state, AGENT)
}

impl Place for SqlitePlace {
    fn try_ledger(&self) -> Result<Box<dyn Ledger>, StoreError> {
        Ok(Box::new(self.try_handle()?))
    }

    fn catalogue(&self) -> Box<dyn Catalogue> {
        drop(self.handle());
        Box::new(self.reader())
    }

    fn database(&self) -> Database {
        Database::in_folder(self.state.path())
    }
}

fn batch(number: i64, facts: Vec<Fact>) -> Batch {
    Batch {
        number,
        next_id: 1,
        moment: Moment(0),
        facts,
    }
}

fn other_part(error: StoreError) -> String {
    match error {
        StoreError::Held { .. } | StoreError::Other { .. } => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sqlite_conforms() {
    conformance::conforms(SqlitePlace::new);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_remembers_like_the_oracle(
        batches in prop::collection::vec(
            prop::collection::vec((0..KINDS, 0_u8..6, any::<u16>()), 0..40),
            1..6,
        )
    ) {
        let facts = |batch: &Vec<(u8, u8, u16)>| {
            batch.iter().map(|(kind, key, value)| fact(*kind, *key, *value)).collect()
        };
        let batches: Vec<Vec<Fact>> = batches.iter().map(facts).collect();
        conformance::a_store_remembers_like_the_oracle(&SqlitePlace::new(), &batches);
    }
}

#[test]
fn a_second_process_is_told_who_is_first() {
    let state = tempfile::tempdir().unwrap();
    let first = open(state.path()).unwrap();
    let message = other_part(open(state.path()).unwrap_err());
    let own = std::process::id().to_string();
    assert!(
        message.contains(&own) && message.contains("stop it first"),
        "{message}"
    );
    drop(first);
    open(state.path()).unwrap();
}

#[test]
fn a_store_is_opened_where_one_is() {
    let state = tempfile::tempdir().unwrap();
    let message = other_part(SqlCatalogue::open(&Database::in_folder(state.path())).unwrap_err());
    assert!(message.contains("no store is here"), "{message}");
    let gone = state.path().join("gone");
    let message = other_part(open(&gone).unwrap_err());
    assert!(message.contains("state folder exists"), "{message}");
    std::fs::write(state.path().join(DATABASE_NAME), vec![b'x'; 10_000]).unwrap();
    let error = open(state.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

/// Runs a statement on the ledger's own connection.
fn on_connection(ledger: &mut SqlLedger, sql: &'static str) {
    let mut connection = ledger.take_connection("test").unwrap();
    ledger.blocking.wait(connection.command(sql)).unwrap();
    ledger.connection = Some(connection);
}

#[test]
fn repeated_inputs_are_counted_in_one_pass_over_the_run() {
    let place = SqlitePlace::new();
    let mut ledger = place.handle();
    let mut connection = ledger.take_connection("test").unwrap();
    let sql = format!("EXPLAIN QUERY PLAN {}", crate::holdings::REPEATED_INPUTS);
    let cells: [Cell; 2] = [Cell::from(RunNumber(1)), "A".into()];
    let cells = [&cells[..]; 4].concat();
    let step = |row: &Fields| row.text(3).map(str::to_owned);
    let asked = connection.rows(sql, cells, step);
    let steps = ledger.blocking.wait(asked).unwrap();
    let reads: Vec<&str> = steps
        .iter()
        .filter_map(|step| step.split("INDEX ").nth(1))
        .collect();
    assert_eq!(
        reads,
        [
            "consumed_run_input (run=?)",
            "output_job (job=?)",
            "consumed_run_input (run=?)",
            "output_history_job (job=?)",
            "sqlite_autoindex_consumed_history_1 (run=?)",
            "output_job (job=?)",
            "sqlite_autoindex_consumed_history_1 (run=?)",
            "output_history_job (job=?)",
        ],
        "{steps:?}"
    );
}

#[test]
fn a_full_disk_leaves_nothing_and_the_same_batch_passes_later() {
    let place = SqlitePlace::new();
    let mut ledger = place.handle();
    ledger.raise_epoch().unwrap();
    ledger.commit(&batch(1, vec![fact(4, 0, 0)])).unwrap();
    // The size at which SQLite says "full" is a property of the connection.
    on_connection(&mut ledger, "PRAGMA max_page_count = 1");
    let large = batch(2, (0..250).map(|key| fact(2, key, 0)).collect());
    let error = ledger.commit(&large).unwrap_err();
    assert!(
        matches!(error, StoreError::Full { .. }) && error.retry(),
        "{error:?}"
    );
    let reader = place.reader();
    assert_eq!(reader.files(None, ALL).unwrap(), []);
    ledger.commit(&large).unwrap();
    assert_eq!(reader.files(None, ALL).unwrap().len(), 250);
}

#[test]
fn a_foreign_lock_is_waited_for_and_the_same_batch_passes_later() {
    let place = SqlitePlace::new();
    let (mut ledger, mut foreign) = (place.handle(), place.handle());
    ledger.raise_epoch().unwrap();
    on_connection(&mut foreign, "BEGIN IMMEDIATE");
    let error = ledger.commit(&batch(1, vec![fact(4, 0, 0)])).unwrap_err();
    assert!(
        matches!(error, StoreError::Busy { .. }) && error.retry(),
        "{error:?}"
    );
    on_connection(&mut foreign, "ROLLBACK");
    ledger.commit(&batch(1, vec![fact(4, 0, 0)])).unwrap();
}

#[test]
fn half_a_transaction_is_never_seen() {
    let place = SqlitePlace::new();
    let mut ledger = place.handle();
    ledger.raise_epoch().unwrap();
    ledger
        .commit(&batch(1, vec![fact(0, 0, 0), fact(4, 0, 0)]))
        .unwrap();
    let reader = place.reader();
    on_connection(&mut ledger, "BEGIN");
    on_connection(&mut ledger, "DELETE FROM job");
    assert_eq!(
        reader.jobs(None, None, ALL).unwrap().len(),
        1,
        "not committed, not seen"
    );
    drop(ledger);
    let rows = place.handle().restore().unwrap();
    assert_eq!(rows.jobs, [samples::job(0, 0)]);
}

#[test]
fn readers_ask_from_many_threads_while_the_writer_works() {
    let place = SqlitePlace::new();
    let mut ledger = place.handle();
    ledger.raise_epoch().unwrap();
    let reader = place.reader();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut last = 0;
                while last < 40 {
                    let jobs = reader.jobs(None, None, ALL).unwrap().len();
                    // Two jobs a batch: an odd number would be half a batch.
                    assert!(
                        jobs >= last && jobs.is_multiple_of(2),
                        "{jobs} after {last}"
                    );
                    last = jobs;
                }
            });
        }
        for number in 1..=20_u8 {
            let facts = vec![fact(4, 2 * number, 0), fact(4, 2 * number + 1, 0)];
            ledger.commit(&batch(i64::from(number), facts)).unwrap();
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let reader = std::sync::Arc::new(reader);
    let asked = reader.clone();
    let jobs = runtime.block_on(async move {
        tokio::task::spawn_blocking(move || asked.job(JobId(3)).unwrap())
            .await
            .unwrap()
    });
    assert_eq!(jobs.map(|job| job.id), Some(JobId(3)));
    // The last handle may go inside an asynchronous task.
    runtime.block_on(async move { drop(reader) });
}

#[test]
fn a_reader_needs_no_writer() {
    let place = SqlitePlace::new();
    let mut ledger = place.handle();
    ledger.raise_epoch().unwrap();
    ledger.commit(&batch(1, vec![fact(0, 0, 0)])).unwrap();
    drop(ledger);
    let reader = place.reader();
    assert_eq!(reader.run(RunNumber(1)).unwrap(), Some(samples::run(0, 0)));
}

/// Names the state folder to the process that is to be killed.
const VICTIM: &str = "STORE_TEST_VICTIM_FOLDER";

#[test]
fn a_killed_writer_keeps_what_it_said_it_had() {
    if let Ok(state) = std::env::var(VICTIM) {
        return write_until_killed(Path::new(&state));
    }
    let state = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "ledger::tests::a_killed_writer_keeps_what_it_said_it_had",
        ])
        .env(VICTIM, state.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let numbers = lines
        .map_while(Result::ok)
        .filter_map(|line| line.parse::<i64>().ok());
    let said = numbers.take(100).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut ledger = open(state.path()).unwrap();
    let standing = ledger.raise_epoch().unwrap();
    assert!(
        standing.last_batch >= said && said == 100,
        "{standing:?}, said {said}"
    );
    let mut oracle = Oracle::default();
    (1..=standing.last_batch).for_each(|number| oracle.take(&victims_facts(number)));
    assert_eq!(ledger.restore().unwrap(), oracle.rows());
}

fn victims_facts(number: i64) -> Vec<Fact> {
    let (key, value) = ((number % 200) as u8, (number % 60_000) as u16);
    vec![
        fact(0, key, 4),
        fact(2, key, value),
        fact(4, key, value),
        fact(7, key, value),
    ]
}

fn write_until_killed(state: &Path) {
    let mut ledger = open(state).unwrap();
    ledger.raise_epoch().unwrap();
    for number in 1.. {
        ledger
            .commit(&batch(number, victims_facts(number)))
            .unwrap();
        println!("{number}");
    }
}
