//! The catalogue on SQLite: questions answered from a pool of connections that can only read. In
//! come questions, out go values of the model. The writer never waits for a reader, nor a reader
//! for the writer (WAL), and every answer shows committed rows only.

use crate::blocking::Blocking;
use crate::errors::from_sqlite;
use crate::read::{arguments, bodies};
use crate::rows::Cell;
use crate::sqlite::DATABASE_NAME;
use crate::states::{self, JOB_DONE, JOB_FAILED, JOB_WORDS};
use model::alarm::Alarm;
use model::arrival::SetAside;
use model::audit::Audit;
use model::conditions::{ConditionsPayload, GateDecision, Iov};
use model::dataset::{Block, Output};
use model::file::File;
use model::ids::{FileId, JobId, RunNumber};
use model::job::{FailedAttempt, Job};
use model::lumi::LumiRecord;
use model::quality::RunQuality;
use model::run::Run;
use ports::catalogue::{Catalogue, Page, RunCounts};
use ports::store::StoreError;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, Row as _};
use std::path::Path;
use std::time::Duration;

/// Questions answered at the same time, at most; further ones wait.
const CONNECTIONS_MAX: u32 = 4;
/// How long a question waits for its turn before it is told that the store is busy.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a statement waits for a lock, which readers meet only while the writer recovers after a
/// crash.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows of one answer, at most.
const ROWS_MAX: u32 = 10_000;

/// The reading end of the store on SQLite. Calls block; they may come from any thread, but not from
/// inside an asynchronous task (use `spawn_blocking`).
#[derive(Debug)]
pub struct SqliteCatalogue {
    pool: SqlitePool,
    blocking: Blocking,
    /// The file, for messages.
    store: String,
}

impl SqliteCatalogue {
    /// Opens the store in a state folder for reading. Its writer may be at work or not; it must
    /// have been there once.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(DATABASE_NAME);
        let store = path.display().to_string();
        let tried = format!("open the store {store} for reading");
        if !path.exists() {
            let detail = "no store is here; check the state folder, or start the agent in it once";
            return Err(StoreError::Other {
                tried,
                detail: detail.to_owned(),
            });
        }
        let blocking = Blocking::new(&tried)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("query_only", "1")
            .row_buffer_size(1_024)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(TURN_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false);
        let pool = blocking.wait(async { pool.connect_with(options).await });
        let pool = pool.map_err(|error| from_sqlite(&tried, error))?;
        Ok(Self {
            pool,
            blocking,
            store,
        })
    }

    fn failed(&self, what: &str, error: sqlx::Error) -> StoreError {
        from_sqlite(&format!("read {what} from {}", self.store), error)
    }

    /// All rows that a query of bodies gives; `what` names them in messages.
    fn list<T: DeserializeOwned + Send + Unpin>(
        &self,
        what: &str,
        sql: &'static str,
        cells: &[Cell],
    ) -> Result<Vec<T>, StoreError> {
        let answer = self.blocking.wait(async {
            let mut connection = self.pool.acquire().await?;
            bodies(&mut connection, sql, cells.iter().cloned()).await
        });
        answer.map_err(|error| self.failed(what, error))
    }

    fn one<T: DeserializeOwned + Send + Unpin>(
        &self,
        what: &str,
        sql: &'static str,
        key: Cell,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.list(what, sql, &[key])?.pop())
    }

    /// A page of a list that has a form for one run and a form for all.
    fn paged<T: DeserializeOwned + Send + Unpin>(
        &self,
        what: &str,
        [of_all, of_run]: [&'static str; 2],
        run: Option<RunNumber>,
        page: Page,
    ) -> Result<Vec<T>, StoreError> {
        match run {
            None => self.list(what, of_all, &[after(page), limit(page)]),
            Some(run) => self.list(what, of_run, &[run.into(), after(page), limit(page)]),
        }
    }
}

fn after(page: Page) -> Cell {
    Cell::Number(page.after.unwrap_or(i64::MIN))
}

fn limit(page: Page) -> Cell {
    Cell::from(page.limit.clamp(1, ROWS_MAX))
}

impl Catalogue for SqliteCatalogue {
    fn runs(&self, page: Page) -> Result<Vec<Run>, StoreError> {
        let sql = "SELECT body FROM run WHERE number > ? ORDER BY number LIMIT ?";
        self.list("runs", sql, &[after(page), limit(page)])
    }

    fn run(&self, run: RunNumber) -> Result<Option<Run>, StoreError> {
        self.one("a run", "SELECT body FROM run WHERE number = ?", run.into())
    }

    fn run_counts(&self, run: RunNumber) -> Result<RunCounts, StoreError> {
        let files = "SELECT COUNT(*), COALESCE(SUM(events), 0) FROM file WHERE run = ?";
        let jobs = "SELECT state, COUNT(*) FROM job WHERE run = ? GROUP BY state";
        let counted = self.blocking.wait(async {
            // One transaction, so that files and jobs are counted at the same moment.
            let mut transaction = self.pool.begin().await?;
            let files = sqlx::query_with(files, arguments([Cell::from(run)])?);
            let files = files.fetch_one(&mut *transaction).await?;
            let mut counts = RunCounts {
                files: files.try_get::<i64, _>(0)? as u64,
                events_in: files.try_get::<i64, _>(1)? as u64,
                ..RunCounts::default()
            };
            let jobs = sqlx::query_with(jobs, arguments([Cell::from(run)])?);
            for row in jobs.fetch_all(&mut *transaction).await? {
                let (state, rows) = (row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)? as u64);
                counts.jobs += rows;
                match state {
                    JOB_DONE => counts.jobs_done += rows,
                    JOB_FAILED => counts.jobs_failed += rows,
                    _ => {}
                }
            }
            transaction.rollback().await?;
            Ok(counts)
        });
        counted.map_err(|error| self.failed("counts of a run", error))
    }

    fn lumis(&self, run: RunNumber) -> Result<Vec<LumiRecord>, StoreError> {
        let sql = "SELECT body FROM lumi WHERE run = ? ORDER BY lumi";
        self.list("lumis", sql, &[run.into()])
    }

    fn files(&self, run: Option<RunNumber>, page: Page) -> Result<Vec<File>, StoreError> {
        let of_all = "SELECT body FROM file WHERE id > ? ORDER BY id LIMIT ?";
        let of_run = "SELECT body FROM file WHERE run = ? AND id > ? ORDER BY id LIMIT ?";
        self.paged("files", [of_all, of_run], run, page)
    }

    fn file(&self, id: FileId) -> Result<Option<File>, StoreError> {
        self.one("a file", "SELECT body FROM file WHERE id = ?", id.0.into())
    }

    fn jobs(
        &self,
        run: Option<RunNumber>,
        state: Option<&str>,
        page: Page,
    ) -> Result<Vec<Job>, StoreError> {
        let Some(word) = state else {
            let of_all = "SELECT body FROM job WHERE id > ? ORDER BY id LIMIT ?";
            let of_run = "SELECT body FROM job WHERE run = ? AND id > ? ORDER BY id LIMIT ?";
            return self.paged("jobs", [of_all, of_run], run, page);
        };
        let Some(state) = states::job_by_word(word) else {
            let tried = format!("read jobs in state \"{word}\" from {}", self.store);
            let detail = format!("no such state; ask for one of {}", JOB_WORDS.join(", "));
            return Err(StoreError::Other { tried, detail });
        };
        let state = Cell::Number(state);
        match run {
            None => {
                let sql = "SELECT body FROM job WHERE state = ? AND id > ? ORDER BY id LIMIT ?";
                self.list("jobs", sql, &[state, after(page), limit(page)])
            }
            Some(run) => {
                let sql = "SELECT body FROM job WHERE run = ? AND state = ? AND id > ? \
                           ORDER BY id LIMIT ?";
                self.list("jobs", sql, &[run.into(), state, after(page), limit(page)])
            }
        }
    }

    fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.one("a job", "SELECT body FROM job WHERE id = ?", id.0.into())
    }

    fn failed_attempts(&self, job: JobId) -> Result<Vec<FailedAttempt>, StoreError> {
        let sql = "SELECT body FROM failed_attempt WHERE job = ? ORDER BY attempt";
        self.list("failed attempts", sql, &[job.0.into()])
    }

    fn outputs(&self, run: Option<RunNumber>, page: Page) -> Result<Vec<Output>, StoreError> {
        let of_all = "SELECT body FROM output WHERE id > ? ORDER BY id LIMIT ?";
        let of_run = "SELECT body FROM output WHERE run = ? AND id > ? ORDER BY id LIMIT ?";
        self.paged("outputs", [of_all, of_run], run, page)
    }

    fn blocks(&self, run: Option<RunNumber>, page: Page) -> Result<Vec<Block>, StoreError> {
        let of_all = "SELECT body FROM block WHERE id > ? ORDER BY id LIMIT ?";
        let of_run = "SELECT body FROM block WHERE run = ? AND id > ? ORDER BY id LIMIT ?";
        self.paged("blocks", [of_all, of_run], run, page)
    }

    fn decisions(&self) -> Result<Vec<GateDecision>, StoreError> {
        self.list(
            "decisions",
            "SELECT body FROM decision ORDER BY run, tag",
            &[],
        )
    }

    fn iovs(&self) -> Result<Vec<Iov>, StoreError> {
        self.list(
            "intervals",
            "SELECT body FROM iov ORDER BY tag, since, sequence",
            &[],
        )
    }

    fn payload(&self, hash: &str) -> Result<Option<ConditionsPayload>, StoreError> {
        self.one(
            "a constant",
            "SELECT body FROM payload WHERE hash = ?",
            hash.into(),
        )
    }

    fn quality(&self) -> Result<Vec<RunQuality>, StoreError> {
        self.list("verdicts", "SELECT body FROM quality ORDER BY run", &[])
    }

    fn set_aside(&self) -> Result<Vec<SetAside>, StoreError> {
        let sql = "SELECT body FROM set_aside ORDER BY profile, name";
        self.list("things set aside", sql, &[])
    }

    fn alarms(&self, standing_only: bool) -> Result<Vec<Alarm>, StoreError> {
        let sql = if standing_only {
            "SELECT body FROM alarm WHERE cleared_us IS NULL ORDER BY alarm_key, agent"
        } else {
            "SELECT body FROM alarm ORDER BY alarm_key, agent"
        };
        self.list("alarms", sql, &[])
    }

    fn audits(&self, page: Page) -> Result<Vec<Audit>, StoreError> {
        let sql = "SELECT body FROM audit WHERE id > ? ORDER BY id LIMIT ?";
        self.list("the audit", sql, &[after(page), limit(page)])
    }
}
