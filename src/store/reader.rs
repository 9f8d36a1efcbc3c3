//! The catalogue: questions answered from a few connections that can only read. In come questions,
//! out go values of the model. The writer never waits for a reader, nor a reader for the writer
//! (WAL on SQLite, row versions on the servers), and every answer shows committed rows only.

use crate::blocking::Blocking;
use crate::both::Both;
use crate::connection::{Connection, Fields};
use crate::database::Database;
use crate::dialect::Dialect;
use crate::errors::from_database;
use crate::pool::Pool;
use crate::read::bodies;
use crate::rows::Cell;
use crate::states::{self, JOB_CANCELLED, JOB_DONE, JOB_FAILED, JOB_WORDS};
use model::alarm::Alarm;
use model::arrival::SetAside;
use model::audit::Audit;
use model::conditions::{ConditionsPayload, ConditionsTag, GateDecision, GlobalTag, Iov};
use model::dataset::{Block, Output};
use model::file::File;
use model::ids::{FileId, JobId, RunNumber};
use model::job::{FailedAttempt, Job};
use model::lumi::LumiRecord;
use model::quality::RunQuality;
use model::run::Run;
use model::witness::Witness;
use ports::catalogue::{Catalogue, Page, RunCounts};
use ports::store::StoreError;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// Rows of one answer, at most.
pub(crate) const ROWS_MAX: u32 = 10_000;

/// The reading end of the store. Calls block; they may come from any thread, but not from inside an
/// asynchronous task (use `spawn_blocking`).
#[derive(Debug)]
pub struct SqlCatalogue {
    pool: Pool,
    blocking: Blocking,
    /// The store, for messages.
    store: String,
    dialect: Dialect,
}

impl SqlCatalogue {
    /// Opens the store for reading. Its writer may be at work or not; it must have been there once.
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        let tried = format!("open the store {database} for reading");
        database.must_exist(&tried)?;
        let catalogue = Self {
            pool: Pool::new(database.clone()),
            blocking: Blocking::new(&tried)?,
            store: database.to_string(),
            dialect: database.dialect(),
        };
        let connected = catalogue.blocking.wait(catalogue.pool.connect());
        connected.map_err(|error| from_database(catalogue.dialect, &tried, error))?;
        Ok(catalogue)
    }

    fn failed(&self, what: &str, error: sqlx::Error) -> StoreError {
        let tried = format!("read {what} from {}", self.store);
        from_database(self.dialect, &tried, error)
    }

    /// All rows that a query of bodies gives; `what` names them in messages.
    pub(crate) fn list<T: DeserializeOwned + Send + Unpin>(
        &self,
        what: &str,
        sql: impl Into<Cow<'static, str>>,
        cells: &[Cell],
    ) -> Result<Vec<T>, StoreError> {
        let sql = sql.into();
        let asked = self.pool.ask(async |connection: &mut Connection| {
            bodies(connection, sql.clone(), cells.iter().cloned()).await
        });
        let answer = self.blocking.wait(asked);
        answer.map_err(|error| self.failed(what, error))
    }

    /// Rows of whole numbers that a query gives; `what` names them in messages.
    pub(crate) fn numbers<const N: usize>(
        &self,
        what: &str,
        sql: impl Into<Cow<'static, str>>,
        cells: &[Cell],
    ) -> Result<Vec<[i64; N]>, StoreError> {
        let sql = sql.into();
        let row = |row: &Fields| {
            let mut numbers = [0; N];
            for (place, number) in numbers.iter_mut().enumerate() {
                *number = row.number(place)?;
            }
            Ok(numbers)
        };
        let asked = self.pool.ask(async |connection: &mut Connection| {
            let cells = cells.iter().cloned();
            connection.rows(sql.clone(), cells, row).await
        });
        let answer = self.blocking.wait(asked);
        answer.map_err(|error| self.failed(what, error))
    }

    /// The row with this number in its column `id`, at work or history.
    pub(crate) fn by_id<T: DeserializeOwned + Send + Unpin>(
        &self,
        what: &str,
        table: &'static str,
        id: i64,
    ) -> Result<Option<T>, StoreError> {
        let (sql, cells) = Both::of(table, "id = ?", vec![id.into()]).in_order("id");
        Ok(self.list(what, sql, &cells)?.pop())
    }

    pub(crate) fn one<T: DeserializeOwned + Send + Unpin>(
        &self,
        what: &str,
        sql: &'static str,
        key: Cell,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.list(what, sql, &[key])?.pop())
    }

    /// A page of a list of one run or of all, at work or history.
    fn paged<T: DeserializeOwned + Send + Unpin>(
        &self,
        what: &str,
        table: &'static str,
        run: Option<RunNumber>,
        page: Page,
    ) -> Result<Vec<T>, StoreError> {
        let both = match run {
            None => Both::of(table, "id > ?", vec![after(page)]),
            Some(run) => Both::of(table, "run = ? AND id > ?", vec![run.into(), after(page)]),
        };
        let (sql, cells) = both.page("id", page);
        self.list(what, sql, &cells)
    }
}

pub(crate) fn after(page: Page) -> Cell {
    Cell::Number(page.after.unwrap_or(i64::MIN))
}

pub(crate) fn limit(page: Page) -> Cell {
    Cell::from(page.limit.clamp(1, ROWS_MAX))
}

impl Catalogue for SqlCatalogue {
    fn runs(&self, page: Page) -> Result<Vec<Run>, StoreError> {
        let sql = "SELECT body FROM run WHERE number > ? ORDER BY number LIMIT ?";
        self.list("runs", sql, &[after(page), limit(page)])
    }

    fn run(&self, run: RunNumber) -> Result<Option<Run>, StoreError> {
        self.one("a run", "SELECT body FROM run WHERE number = ?", run.into())
    }

    fn run_counts(&self, run: RunNumber) -> Result<RunCounts, StoreError> {
        // One statement, so that files and jobs are counted at the same moment. No job has state 0.
        let sql = "SELECT 0, COUNT(*), CAST(COALESCE(SUM(events), 0) AS BIGINT) FROM file \
                   WHERE run = ? UNION ALL \
                   SELECT 0, COUNT(*), CAST(COALESCE(SUM(events), 0) AS BIGINT) FROM file_history \
                   WHERE run = ? UNION ALL \
                   SELECT state, COUNT(*), 0 FROM job WHERE run = ? GROUP BY state UNION ALL \
                   SELECT state, COUNT(*), 0 FROM job_history WHERE run = ? GROUP BY state";
        let row = |row: &Fields| {
            let number = |place| row.number(place).map(|number| number as u64);
            Ok((row.number(0)?, number(1)?, number(2)?))
        };
        let asked = self.pool.ask(async |connection: &mut Connection| {
            connection.rows(sql, [run; 4].map(Cell::from), row).await
        });
        let counted = self.blocking.wait(asked).map(|rows| {
            let mut counts = RunCounts::default();
            for (state, rows, events) in rows {
                match state {
                    0 => {
                        (counts.files, counts.events_in) =
                            (counts.files + rows, counts.events_in + events);
                    }
                    JOB_DONE => counts.jobs_done += rows,
                    JOB_FAILED => counts.jobs_failed += rows,
                    JOB_CANCELLED => counts.jobs_cancelled += rows,
                    _ => {}
                }
                counts.jobs += if state == 0 { 0 } else { rows };
            }
            counts
        });
        counted.map_err(|error| self.failed("counts of a run", error))
    }

    fn witnesses(&self, run: RunNumber) -> Result<Vec<Witness>, StoreError> {
        let of_run = |table| Both::of(table, "run = ?", vec![run.into()]);
        let (sql, cells) = of_run("lumi").in_order("lumi");
        let older: Vec<LumiRecord> = self.list("older announcements", sql, &cells)?;
        let (sql, cells) = of_run("witness").in_order("id");
        let mut all: Vec<Witness> = self.list("witnesses", sql, &cells)?;
        all.extend(older.into_iter().map(Witness::from));
        all.sort_by_key(|witness| witness.id);
        Ok(all)
    }

    fn files(&self, run: Option<RunNumber>, page: Page) -> Result<Vec<File>, StoreError> {
        self.paged("files", "file", run, page)
    }

    fn file(&self, id: FileId) -> Result<Option<File>, StoreError> {
        self.by_id("a file", "file", id.0)
    }

    fn jobs(
        &self,
        run: Option<RunNumber>,
        state: Option<&str>,
        page: Page,
    ) -> Result<Vec<Job>, StoreError> {
        let Some(word) = state else {
            return self.paged("jobs", "job", run, page);
        };
        let Some(state) = states::job_by_word(word) else {
            let tried = format!("read jobs in state \"{word}\" from {}", self.store);
            let detail = format!("no such state; ask for one of {}", JOB_WORDS.join(", "));
            return Err(StoreError::Other { tried, detail });
        };
        let state = Cell::Number(state);
        let both = match run {
            None => Both::of("job", "state = ? AND id > ?", vec![state, after(page)]),
            Some(run) => Both::of(
                "job",
                "run = ? AND state = ? AND id > ?",
                vec![run.into(), state, after(page)],
            ),
        };
        let (sql, cells) = both.page("id", page);
        self.list("jobs", sql, &cells)
    }

    fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.by_id("a job", "job", id.0)
    }

    fn failed_attempts(&self, job: JobId) -> Result<Vec<FailedAttempt>, StoreError> {
        let both = Both::of("failed_attempt", "job = ?", vec![job.0.into()]);
        let (sql, cells) = both.in_order("attempt");
        self.list("failed attempts", sql, &cells)
    }

    fn outputs(&self, run: Option<RunNumber>, page: Page) -> Result<Vec<Output>, StoreError> {
        self.paged("outputs", "output", run, page)
    }

    fn blocks(&self, run: Option<RunNumber>, page: Page) -> Result<Vec<Block>, StoreError> {
        let of_all = "SELECT body FROM block WHERE id > ? ORDER BY id LIMIT ?";
        let of_run = "SELECT body FROM block WHERE run = ? AND id > ? ORDER BY id LIMIT ?";
        match run {
            None => self.list("blocks", of_all, &[after(page), limit(page)]),
            Some(run) => self.list("blocks", of_run, &[run.into(), after(page), limit(page)]),
        }
    }

    fn decisions(&self) -> Result<Vec<GateDecision>, StoreError> {
        self.list(
            "decisions",
            "SELECT body FROM decision ORDER BY run, tag",
            &[],
        )
    }

    fn tags(&self) -> Result<Vec<ConditionsTag>, StoreError> {
        let sql = "SELECT body FROM conditions_tag ORDER BY name";
        self.list("tags", sql, &[])
    }

    fn global_tags(&self) -> Result<Vec<GlobalTag>, StoreError> {
        let sql = "SELECT body FROM global_tag ORDER BY name";
        self.list("global tags", sql, &[])
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
