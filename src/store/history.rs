//! The history of a run (D12): its rows leave the tables that a restart reads for tables of the
//! same shape, a slice in a transaction of its own. In comes a run whose row says that it is on its
//! way, out goes how many rows were moved and whether any is left.
//!
//! Whoever is cut short between two slices goes on with the next: what was moved is no longer there
//! to be moved. Every slice begins with the fence, so that an instance that was replaced moves
//! nothing.

use crate::connection::{Connection, Values};
use crate::errors::from_database;
use crate::rows::{Cell, Row, Table};
use crate::states::{RUN_ARCHIVED, RUN_ARCHIVING};
use model::dataset::Output;
use model::fact::Consumed;
use model::file::File;
use model::ids::{Epoch, RunNumber};
use model::job::{FailedAttempt, Job};
use model::witness::Witness;
use ports::failpoint::{Point, pass};
use ports::store::{Moved, StoreError};

/// Rows that leave one table, and the order in which they do.
struct Shelf {
    table: &'static str,
    columns: &'static [&'static str],
    /// Two numbers that tell nearly all rows of a run apart, with an index behind `run`.
    order: [&'static str; 2],
}

/// A table whose rows have one number of their own.
const fn by_id(table: Table) -> Shelf {
    Shelf {
        table: table.name,
        columns: table.columns,
        order: ["id", "id"],
    }
}

const CONSUMED: Shelf = Shelf {
    table: Consumed::TABLE.name,
    columns: Consumed::TABLE.columns,
    order: ["input", "first_event"],
};

/// Announcements of the first version.
const LUMIS: Shelf = Shelf {
    table: "lumi",
    columns: &["run", "lumi", "ended_us"],
    order: ["lumi", "lumi"],
};

const JOBS: Shelf = by_id(Job::TABLE);

/// The tables that have rows of a run, but for its jobs and their failed attempts.
const SHELVES: [Shelf; 5] = [
    CONSUMED,
    by_id(Output::TABLE),
    by_id(Witness::TABLE),
    LUMIS,
    by_id(File::TABLE),
];

/// Where a slice ends: behind the rows before these two numbers; none for all that is left.
type Bound = Option<[i64; 2]>;

impl Shelf {
    /// Which rows of a run are in front of a bound.
    fn condition(&self, bound: Bound) -> String {
        let [first, second] = self.order;
        match bound {
            None => "run = ?".to_owned(),
            // The first half is for the index.
            Some(_) => format!("run = ? AND {first} <= ? AND ({first} < ? OR {second} < ?)"),
        }
    }

    fn cells(run: RunNumber, bound: Bound) -> Vec<Cell> {
        let bound = bound
            .into_iter()
            .flat_map(|[first, second]| [first, first, second]);
        std::iter::once(Cell::from(run))
            .chain(bound.map(Cell::Number))
            .collect()
    }
}

/// A slice under way.
pub(crate) struct Slice<'s> {
    /// The words that begin every error.
    pub(crate) tried: &'s str,
    /// Whose run it is.
    pub(crate) agent: i64,
    /// A connection without a transaction.
    pub(crate) connection: &'s mut Connection,
    /// Which.
    pub(crate) run: RunNumber,
}

impl Slice<'_> {
    /// Moves at most so many rows. After an error the connection may hold half a transaction: throw
    /// it away.
    pub(crate) async fn moved(
        mut self,
        epoch: Epoch,
        rows_max: usize,
    ) -> Result<Moved, StoreError> {
        let dialect = self.connection.dialect();
        let tried = self.tried;
        let failed = |error| from_database(dialect, tried, error);
        self.connection.command("BEGIN").await.map_err(failed)?;
        self.fence(epoch).await?;
        pass(Point::SliceBegun);
        let mut left = rows_max;
        left -= self.jobs(left).await.map_err(failed)?;
        for shelf in &SHELVES {
            if left > 0 {
                left -= self.shelf(shelf, left).await.map_err(failed)?;
            }
        }
        pass(Point::SliceMoved);
        self.connection.command("COMMIT").await.map_err(failed)?;
        pass(Point::SliceDurable);
        Ok(Moved {
            rows: (rows_max - left) as u64,
            // A slice that is full may have been the last: the next one will say so.
            is_all: left > 0,
        })
    }

    /// Only the epoch that holds moves anything, and only of a run that is on its way.
    async fn fence(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        let dialect = self.connection.dialect();
        let tried = self.tried.to_owned();
        let failed = |error| from_database(dialect, &tried, error);
        let held = self.connection.execute(
            "UPDATE agent SET epoch = epoch WHERE id = ? AND epoch = ?",
            [self.agent, epoch.0].map(Cell::Number),
        );
        if held.await.map_err(failed)? != 1 {
            let sql = "SELECT epoch FROM agent WHERE id = ?";
            let own = [Cell::Number(self.agent)];
            let theirs = self.connection.rows(sql, own, |row| row.number(0));
            let theirs = theirs.await.map_err(failed)?.pop().unwrap_or_default();
            return Err(StoreError::Fenced {
                tried,
                ours: epoch,
                theirs: Epoch(theirs),
            });
        }
        let sql = "SELECT state FROM run WHERE number = ? AND agent = ?";
        let cells = [self.run.into(), Cell::Number(self.agent)];
        let state = self.connection.rows(sql, cells, |row| row.number(0));
        match state.await.map_err(failed)?.pop() {
            Some(RUN_ARCHIVING | RUN_ARCHIVED) => Ok(()),
            state => Err(StoreError::Corrupt {
                detail: format!(
                    "run {} is in state {state:?} and not on its way to the history",
                    self.run
                ),
                tried,
            }),
        }
    }

    /// Where a slice of so many rows ends.
    async fn bound(&mut self, shelf: &Shelf, rows: usize) -> Result<Bound, sqlx::Error> {
        let [first, second] = shelf.order;
        let sql = format!(
            "SELECT {first}, {second} FROM {} WHERE run = ? ORDER BY {first}, {second} \
             LIMIT 1 OFFSET ?",
            shelf.table
        );
        let cells = [self.run.into(), Cell::from(rows as u64)];
        let read = self
            .connection
            .rows(sql, cells, |row| Ok([row.number(0)?, row.number(1)?]));
        Ok(read.await?.pop())
    }

    /// Moves the rows in front of a bound; how many.
    async fn take(&mut self, shelf: &Shelf, bound: Bound) -> Result<usize, sqlx::Error> {
        let (table, columns) = (shelf.table, shelf.columns.join(","));
        let condition = shelf.condition(bound);
        let copy = format!(
            "INSERT INTO {table}_history (agent,{columns},body) \
             SELECT agent,{columns},body FROM {table} WHERE {condition}"
        );
        let copied = self.run_text(copy, Shelf::cells(self.run, bound)).await?;
        if copied > 0 {
            let remove = format!("DELETE FROM {table} WHERE {condition}");
            let removed = self.run_text(remove, Shelf::cells(self.run, bound)).await?;
            if removed != copied {
                let text = format!("{copied} rows of {table} were copied, {removed} removed");
                return Err(sqlx::Error::Protocol(text));
            }
        }
        Ok(copied as usize)
    }

    /// Moves rows of one table, at most so many.
    async fn shelf(&mut self, shelf: &Shelf, rows: usize) -> Result<usize, sqlx::Error> {
        let bound = self.bound(shelf, rows).await?;
        self.take(shelf, bound).await
    }

    /// Moves jobs with their failed attempts, which are found by their jobs: at most so many rows
    /// of both.
    async fn jobs(&mut self, rows: usize) -> Result<usize, sqlx::Error> {
        let mut jobs = rows;
        loop {
            let bound = self.bound(&JOBS, jobs).await?;
            let attempts = self.attempts(bound).await?;
            if bound.is_none() && attempts == 0 {
                return self.take(&JOBS, bound).await;
            }
            let counted = self.count(&JOBS, bound).await?;
            if attempts + counted <= rows || jobs == 1 {
                self.take_attempts(bound).await?;
                // One job alone may have more attempts than a slice has rows.
                return Ok((attempts + self.take(&JOBS, bound).await?).min(rows));
            }
            jobs = (jobs / 2).max(1);
        }
    }

    async fn count(&mut self, shelf: &Shelf, bound: Bound) -> Result<usize, sqlx::Error> {
        let (table, condition) = (shelf.table, shelf.condition(bound));
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE {condition}");
        let cells = Shelf::cells(self.run, bound);
        let counted = self.connection.rows(sql, cells, |row| row.number(0));
        Ok(counted.await?.pop().unwrap_or_default() as usize)
    }

    /// How many failed attempts the jobs in front of a bound have.
    async fn attempts(&mut self, bound: Bound) -> Result<usize, sqlx::Error> {
        let sql = format!(
            "SELECT COUNT(*) FROM failed_attempt WHERE {}",
            of_jobs(bound)
        );
        let cells = Shelf::cells(self.run, bound);
        let counted = self.connection.rows(sql, cells, |row| row.number(0));
        Ok(counted.await?.pop().unwrap_or_default() as usize)
    }

    async fn take_attempts(&mut self, bound: Bound) -> Result<(), sqlx::Error> {
        let columns = FailedAttempt::TABLE.columns;
        let own: Vec<String> = columns
            .iter()
            .map(|c| format!("failed_attempt.{c}"))
            .collect();
        let copy = format!(
            "INSERT INTO failed_attempt_history (run,agent,{},body) \
             SELECT job.run,failed_attempt.agent,{},failed_attempt.body \
             FROM job JOIN failed_attempt ON failed_attempt.job = job.id WHERE {}",
            columns.join(","),
            own.join(","),
            JOBS.condition(bound)
        );
        self.run_text(copy, Shelf::cells(self.run, bound)).await?;
        let remove = format!("DELETE FROM failed_attempt WHERE {}", of_jobs(bound));
        self.run_text(remove, Shelf::cells(self.run, bound)).await?;
        Ok(())
    }

    async fn run_text(&mut self, sql: String, cells: Vec<Cell>) -> Result<u64, sqlx::Error> {
        let dialect = self.connection.dialect();
        let (sql, values) = (dialect.spell(sql), Values::of(dialect, cells)?);
        self.connection.execute_spelt(sql.into(), values).await
    }
}

/// Which failed attempts are of jobs in front of a bound.
fn of_jobs(bound: Bound) -> String {
    format!(
        "job IN (SELECT id FROM job WHERE {})",
        JOBS.condition(bound)
    )
}
