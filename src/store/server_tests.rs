//! MariaDB and PostgreSQL against the conformance suite, and what only servers have: connections
//! that are cut, a server that is killed and comes back, two instances that make the tables at
//! once.
//!
//! The servers' addresses stand in the environment (`TIER0_MARIADB_URL`, `TIER0_POSTGRESQL_URL`;
//! `tests/run` sets them). Without one a test says so and has shown nothing; with
//! TIER0_REQUIRE_SERVICES=1 that is a failure. Each test has databases of its own.

use crate::blocking::Blocking;
use crate::conformance::{self, Oracle, Place, connected};
use crate::connection::Fields;
use crate::database::{Database, Purpose};
use crate::dialect::Dialect;
use crate::ledger::SqlLedger;
use crate::lock::StateLock;
use crate::migrations;
use crate::reader::SqlCatalogue;
use crate::samples::{KINDS, fact};
use model::fact::Fact;
use model::ids::AgentNumber;
use model::time::Moment;
use ports::catalogue::{Catalogue, Page};
use ports::store::{Batch, Ledger, StoreError};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const AGENT: AgentNumber = AgentNumber(3);

/// A kind of server: its script under tests/services, and the name of its address.
#[derive(Clone, Copy)]
struct Service {
    script: &'static str,
    variable: &'static str,
}

const MARIADB: Service = Service {
    script: "mariadb",
    variable: "TIER0_MARIADB_URL",
};
const POSTGRESQL: Service = Service {
    script: "postgresql",
    variable: "TIER0_POSTGRESQL_URL",
};

impl Service {
    /// The address of a server, if one is there for tests.
    fn address(self) -> Option<String> {
        let address = std::env::var(self.variable).ok();
        if address.is_none() {
            let text = format!("not run: {} names no {} server", self.variable, self.script);
            let is_required = std::env::var("TIER0_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
            assert!(
                !is_required,
                "{text}; start one with tests/services/{}",
                self.script
            );
            eprintln!("{text}");
        }
        address
    }
}

/// A database of its own on a server; it is removed with this value.
struct ServerPlace {
    admin: Database,
    name: String,
    database: Database,
    locks: TempDir,
}

fn command(on: &Database, sql: &str) {
    let (blocking, mut connection) = connected(on);
    blocking.wait(connection.command(sql)).unwrap();
}

impl ServerPlace {
    fn new(address: &str) -> Self {
        // Written by tests of one process and read nowhere else: a number is only used once.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t0_{}_{count}", std::process::id());
        let admin = Database::at(address, None).unwrap();
        command(&admin, &format!("CREATE DATABASE {name}"));
        let (server, _) = address.rsplit_once('/').unwrap();
        Self {
            admin,
            database: Database::at(&format!("{server}/{name}"), None).unwrap(),
            name,
            locks: tempfile::tempdir().unwrap(),
        }
    }

    fn try_handle(&self) -> Result<SqlLedger, StoreError> {
        let own = tempfile::tempdir_in(self.locks.path()).unwrap();
        let lock = StateLock::take(own.path()).unwrap();
        SqlLedger::open_locked(&self.database, AGENT, lock)
    }

    fn reader(&self) -> SqlCatalogue {
        SqlCatalogue::open(&self.database).unwrap()
    }

    /// Which migrations are on record, with their checksums in hexadecimal digits.
    fn recorded(&self) -> Vec<(i64, String)> {
        let (blocking, mut connection) = self.questions();
        let sql = "SELECT version, HEX(checksum) FROM _sqlx_migrations ORDER BY version";
        let row = |row: &Fields| Ok((row.number(0)?, row.text(1)?.to_owned()));
        blocking.wait(connection.rows(sql, [], row)).unwrap()
    }

    fn record(&self, version: i64, checksum: &str) {
        let sql = format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES ({version}, 'file', TRUE, X'{checksum}', 0)"
        );
        command(&self.database, &sql);
    }

    /// A MariaDB as new, but for an empty record of migrations.
    fn empty(&self) {
        let name = &self.name;
        command(&self.admin, &format!("DROP DATABASE {name}"));
        command(&self.admin, &format!("CREATE DATABASE {name}"));
        let record = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, \
                      description TEXT NOT NULL, \
                      installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, \
                      success BOOLEAN NOT NULL, checksum BLOB NOT NULL, \
                      execution_time BIGINT NOT NULL)";
        command(&self.database, record);
    }

    /// Cuts every connection to the database but the one that does it.
    fn cut_connections(&self) {
        let (blocking, mut connection) = connected(&self.admin);
        let name = &self.name;
        match self.database.dialect() {
            Dialect::Postgres => {
                let sql = format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = '{name}'"
                );
                blocking.wait(connection.command(&sql)).unwrap();
            }
            _ => {
                let sql =
                    format!("SELECT id FROM information_schema.processlist WHERE db = '{name}'");
                let ids = blocking
                    .wait(connection.rows(sql, [], |row| row.number(0)))
                    .unwrap();
                for id in ids {
                    // One that has gone by itself is no trouble.
                    let _ = blocking.wait(connection.command(&format!("KILL CONNECTION {id}")));
                }
            }
        }
    }
}

impl Drop for ServerPlace {
    fn drop(&mut self) {
        self.cut_connections();
        command(&self.admin, &format!("DROP DATABASE {}", self.name));
    }
}

impl Place for ServerPlace {
    fn try_ledger(&self) -> Result<Box<dyn Ledger>, StoreError> {
        Ok(Box::new(self.try_handle()?))
    }

    fn catalogue(&self) -> Box<dyn Catalogue> {
        drop(self.try_handle().unwrap());
        Box::new(self.reader())
    }

    fn database(&self) -> Database {
        self.database.clone()
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

fn jobs_of(reader: &SqlCatalogue) -> Vec<i64> {
    let all = Page {
        after: None,
        limit: 10_000,
    };
    let jobs = reader.jobs(None, None, all).unwrap();
    jobs.iter().map(|job| job.id.0).collect()
}

#[test]
fn mariadb_conforms() {
    if let Some(address) = MARIADB.address() {
        conformance::conforms(|| ServerPlace::new(&address));
    }
}

#[test]
fn postgresql_conforms() {
    if let Some(address) = POSTGRESQL.address() {
        conformance::conforms(|| ServerPlace::new(&address));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn servers_remember_like_the_oracle(
        batches in prop::collection::vec(
            prop::collection::vec((0..KINDS, 0_u8..6, any::<u16>()), 0..40),
            1..6,
        )
    ) {
        let facts = |batch: &Vec<(u8, u8, u16)>| {
            batch.iter().map(|(kind, key, value)| fact(*kind, *key, *value)).collect()
        };
        let batches: Vec<Vec<Fact>> = batches.iter().map(facts).collect();
        for address in [MARIADB, POSTGRESQL].into_iter().filter_map(Service::address) {
            let place = ServerPlace::new(&address);
            conformance::a_store_remembers_like_the_oracle(&place, &batches);
        }
    }
}

/// Runs a test on each server that is there.
fn on_each(test: impl Fn(&ServerPlace)) {
    for service in [MARIADB, POSTGRESQL] {
        if let Some(address) = service.address() {
            test(&ServerPlace::new(&address));
        }
    }
}

/// Commits as the writer does: the same batch again for as long as that may help.
fn commit_at_last(ledger: &mut SqlLedger, batch: &Batch) -> Vec<StoreError> {
    let (mut errors, started) = (Vec::new(), Instant::now());
    while let Err(error) = ledger.commit(batch) {
        assert!(error.retry(), "{error:?}");
        assert!(started.elapsed() < Duration::from_mins(1), "{errors:?}");
        errors.push(error);
        std::thread::sleep(Duration::from_millis(20));
    }
    errors
}

#[test]
fn a_cut_connection_costs_a_second_try() {
    on_each(|place| {
        let mut ledger = place.try_handle().unwrap();
        ledger.raise_epoch().unwrap();
        ledger.commit(&batch(1, vec![fact(4, 0, 0)])).unwrap();
        let reader = place.reader();
        assert_eq!(jobs_of(&reader), [1]);
        place.cut_connections();
        let errors = commit_at_last(&mut ledger, &batch(2, vec![fact(4, 1, 0)]));
        let is_away = |error: &StoreError| matches!(error, StoreError::Away { .. });
        assert!(
            errors.len() == 1 && errors.iter().all(is_away),
            "{errors:?}"
        );
        // A reader's connection that stood idle is replaced within the question.
        assert_eq!(jobs_of(&reader), [1, 2]);
    });
}

#[test]
fn a_commit_whose_answer_was_lost_is_not_done_twice() {
    on_each(|place| {
        let mut ledger = place.try_handle().unwrap();
        ledger.raise_epoch().unwrap();
        let first = batch(1, vec![fact(4, 0, 0)]);
        ledger.commit(&first).unwrap();
        // Nobody heard of it: the connection is gone, and the row is changed by hand so that a
        // second writing would be seen.
        let (blocking, mut connection) = place.questions();
        let sql = "UPDATE job SET attempt = 77 WHERE id = 1";
        assert_eq!(blocking.wait(connection.execute(sql, [])).unwrap(), 1);
        place.cut_connections();
        commit_at_last(&mut ledger, &first);
        let (blocking, mut connection) = place.questions();
        let attempts = connection.rows("SELECT attempt FROM job", [], |row| row.number(0));
        assert_eq!(blocking.wait(attempts).unwrap(), [77]);
        ledger.commit(&batch(2, vec![])).unwrap();
    });
}

#[test]
fn a_foreign_lock_is_waited_for_and_the_same_batch_passes_later() {
    on_each(|place| {
        let mut ledger = place.try_handle().unwrap();
        ledger.raise_epoch().unwrap();
        ledger.commit(&batch(1, vec![fact(4, 0, 0)])).unwrap();
        let (blocking, mut connection) = place.questions();
        blocking.wait(connection.command("BEGIN")).unwrap();
        let sql = "UPDATE job SET attempt = 77 WHERE id = 1";
        assert_eq!(blocking.wait(connection.execute(sql, [])).unwrap(), 1);
        let second = batch(2, vec![fact(4, 0, 1), fact(4, 1, 0)]);
        let error = ledger.commit(&second).unwrap_err();
        assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
        assert_eq!(jobs_of(&place.reader()), [1]);
        blocking.wait(connection.command("ROLLBACK")).unwrap();
        assert_eq!(commit_at_last(&mut ledger, &second), []);
        assert_eq!(jobs_of(&place.reader()), [1, 2]);
    });
}

/// Two writers that lock rows in opposite orders: the database ends one of them, and both get their
/// way in the end.
#[test]
fn a_deadlock_is_tried_again() {
    on_each(|place| {
        let mut ledger = place.try_handle().unwrap();
        ledger.raise_epoch().unwrap();
        let both = |value| vec![fact(0, 0, value), fact(4, 0, value)];
        ledger.commit(&batch(1, both(0))).unwrap();
        let (blocking, mut connection) = place.questions();
        // Ours locks the run's row first, then the job's.
        blocking.wait(connection.command("BEGIN")).unwrap();
        let sql = "UPDATE job SET attempt = attempt WHERE id = 1";
        assert_eq!(blocking.wait(connection.execute(sql, [])).unwrap(), 1);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| commit_at_last(&mut ledger, &batch(2, both(2))));
            std::thread::sleep(Duration::from_millis(300));
            let sql = "UPDATE run SET opened_us = opened_us WHERE number = 1";
            let theirs = blocking.wait(connection.execute(sql, []));
            blocking.wait(connection.command("ROLLBACK")).unwrap();
            let errors = writer.join().unwrap();
            assert!(theirs.is_err() || !errors.is_empty(), "nobody was refused");
            let is_busy = |error: &StoreError| matches!(error, StoreError::Busy { .. });
            assert!(errors.iter().all(is_busy), "{errors:?}");
        });
        ledger.commit(&batch(3, both(3))).unwrap();
    });
}

#[test]
fn two_instances_may_make_the_tables_at_once() {
    on_each(|place| {
        let standings: Vec<_> = std::thread::scope(|scope| {
            let open = || place.try_handle().unwrap().raise_epoch().unwrap().epoch.0;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let mut sorted = standings.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3, 4], "each start has an epoch of its own");
    });
}

/// As if a program had been killed while it made the tables: so many statements of a file are done,
/// the last of them counted or not.
fn cut_short(place: &ServerPlace, file: &migrations::File, done: usize, counted: bool) {
    let statements = Dialect::Mariadb.migration(file.2);
    for statement in &statements[..done] {
        command(&place.database, statement);
    }
    let count = done - usize::from(!counted && done > 0);
    let sql = format!(
        "UPDATE _sqlx_migrations SET success = FALSE, execution_time = {count} \
         WHERE version = {}",
        file.0
    );
    command(&place.database, &sql);
}

/// MariaDB cannot take definitions back: making the tables goes on where it was cut short.
#[test]
fn making_the_tables_goes_on_where_it_was_cut_short() {
    let Some(address) = MARIADB.address() else {
        return;
    };
    let is_complete = |place: &ServerPlace| {
        conformance::every_kind_comes_back(place);
        let (blocking, mut connection) = place.questions();
        let sql = "SELECT COUNT(*) FROM _sqlx_migrations WHERE success = TRUE";
        let done = blocking.wait(connection.rows(sql, [], |row| row.number(0)));
        assert_eq!(done.unwrap(), [migrations::FILES.len() as i64]);
    };
    // The first, the one that rebuilds a table, and the newest: each costs some databases.
    let newest = migrations::FILES.len() - 1;
    for at in [0, 1, newest] {
        let file = &migrations::FILES[at];
        let statements = Dialect::Mariadb.migration(file.2).len();
        for (done, counted) in (0..=statements).flat_map(|done| [(done, true), (done, false)]) {
            // The first file is long and simple: a look here and there is enough.
            if file.0 == 1 && !done.is_multiple_of(7) {
                continue;
            }
            let place = ServerPlace::new(&address);
            drop(place.try_handle().unwrap());
            // The database as it was before this file, with the file's own row.
            let checksums = place.recorded();
            place.empty();
            for (number, checksum) in checksums.into_iter().take(at + 1) {
                place.record(number, &checksum);
            }
            for (_, _, earlier) in &migrations::FILES[..at] {
                for statement in Dialect::Mariadb.migration(earlier) {
                    command(&place.database, &statement);
                }
            }
            cut_short(&place, file, done, counted);
            is_complete(&place);
        }
    }
}

/// A server of a test's own, started and killed by its script.
struct OwnServer {
    service: Service,
    folder: TempDir,
}

impl OwnServer {
    fn script(&self, verb: &str) -> String {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let script: PathBuf = here.join("../../tests/services").join(self.service.script);
        let mut command = Command::new(script);
        let output = command.arg(verb).arg(self.folder.path()).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{verb}: {talk}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn start(&self) -> String {
        let line = self.script("start");
        line.trim().split_once('=').unwrap().1.to_owned()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.script("crash");
    }
}

fn killed_in_the_middle(service: Service) {
    if service.address().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The server may run as a user of its own, who has to get in.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let server = OwnServer { service, folder };
    let address = server.start();
    let database = Database::at(&address, None).unwrap();
    let locks = tempfile::tempdir().unwrap();
    let mut ledger = SqlLedger::open(&database, locks.path(), AGENT).unwrap();
    ledger.raise_epoch().unwrap();
    let mut oracle = Oracle::default();
    let facts = |number: i64| -> Vec<Fact> {
        let key = (number % 200) as u8;
        [0, 2, 4, 7]
            .map(|kind| fact(kind, key, number as u16))
            .to_vec()
    };
    // Killed while batches are on their way, and started again under the writer's feet.
    let errors = std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            for _ in 0..2 {
                std::thread::sleep(Duration::from_millis(200));
                server.script("crash");
                std::thread::sleep(Duration::from_millis(100));
                server.start();
            }
        });
        let mut errors = Vec::new();
        for number in 1.. {
            errors.extend(commit_at_last(&mut ledger, &batch(number, facts(number))));
            oracle.take(&facts(number));
            if killer.is_finished() && number >= 50 {
                break;
            }
        }
        killer.join().unwrap();
        errors
    });
    assert!(
        !errors.is_empty(),
        "the server was killed and nobody noticed"
    );
    assert_eq!(ledger.restore().unwrap(), oracle.rows());
}

#[test]
fn a_killed_mariadb_comes_back_and_nothing_is_lost_or_doubled() {
    killed_in_the_middle(MARIADB);
}

#[test]
fn a_killed_postgresql_comes_back_and_nothing_is_lost_or_doubled() {
    killed_in_the_middle(POSTGRESQL);
}

/// A server that takes connections and says nothing.
#[test]
fn a_server_that_says_nothing_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["mariadb", "postgresql"] {
        let url = format!("{scheme}://nobody@127.0.0.1:{port}/t0");
        let database = Database::at(&url, None).unwrap();
        let blocking = Blocking::new("test").unwrap();
        let error = blocking.wait(database.connect(Purpose::Write)).unwrap_err();
        assert!(
            error.to_string().contains("no connection within"),
            "{error}"
        );
    }
}
