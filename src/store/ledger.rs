//! The ledger: one database, one writing connection, one fence. In come batches, out goes "durable"
//! or why not.
//!
//! On SQLite the file `tier0.db` lies in the state folder beside the lock. It is written ahead
//! (WAL) and synced at every commit (`synchronous = FULL`), so that "committed" survives a loss of
//! power; of servers the same is asked. Whatever went wrong with a connection, the next call begins
//! on a new one: half a transaction can never leak into the next batch.

use crate::batch::LastValues;
use crate::blocking::Blocking;
use crate::connection::{Connection, Fields};
use crate::database::{Database, Purpose};
use crate::errors::{from_database, from_migration};
use crate::history::Slice;
use crate::lock::StateLock;
use crate::migrations;
use crate::read::bodies;
use crate::rows::{Cell, Row};
use crate::upsert::Upserts;
use crate::writing::Writing;
use model::ids::{AgentNumber, Epoch, RunNumber};
use model::lumi::LumiRecord;
use model::time::Moment;
use model::witness::Witness;
use ports::failpoint::{Point, pass};
use ports::store::{Batch, Ledger, Moved, Rows, Standing, StoreError};
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;

/// How long a batch may take on a server before its connection is given up and the batch tried
/// again: some ten times what the largest batch (64,000 facts) takes on two busy processors, so
/// that only a server that has stopped is taken for one.
const COMMIT_TIMEOUT: Duration = Duration::from_mins(1);

/// The writing end of the store.
#[derive(Debug)]
pub struct SqlLedger {
    // Before the lock, so that it is dropped before the lock is.
    connection: Option<Connection>,
    blocking: Blocking,
    database: Database,
    agent: AgentNumber,
    /// The epoch raised by this handle; none before.
    epoch: Option<Epoch>,
    upserts: Upserts,
    _lock: StateLock,
}

impl SqlLedger {
    /// Opens (or makes) the store, takes the lock of the agent's state folder and brings the tables
    /// up to date.
    ///
    /// A second process on the same folder gets an error that names the first; one that works for
    /// the same agent elsewhere is stopped by the fence.
    pub fn open(
        database: &Database,
        state_dir: &Path,
        agent: AgentNumber,
    ) -> Result<Self, StoreError> {
        Self::open_locked(database, agent, StateLock::take(state_dir)?)
    }

    /// As `open`, with a lock that is held already.
    pub(crate) fn open_locked(
        database: &Database,
        agent: AgentNumber,
        lock: StateLock,
    ) -> Result<Self, StoreError> {
        let tried = format!("open the store {database}");
        let mut ledger = Self {
            connection: None,
            blocking: Blocking::new(&tried)?,
            database: database.clone(),
            agent,
            epoch: None,
            upserts: Upserts::new(database.dialect()),
            _lock: lock,
        };
        let mut connection = ledger.take_connection(&tried)?;
        pass(Point::StoreConnected);
        let migrated = ledger.blocking.wait(migrations::run(&mut connection));
        migrated.map_err(|error| from_migration(database.dialect(), &tried, error))?;
        ledger.connection = Some(connection);
        pass(Point::StoreOpened);
        Ok(ledger)
    }

    /// The connection, or a new one after an error. Whoever took it puts it back only when all went
    /// well.
    fn take_connection(&mut self, tried: &str) -> Result<Connection, StoreError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let connecting = self.database.connect(Purpose::Write);
        self.blocking
            .wait(connecting)
            .map_err(|error| self.failed(tried, error))
    }

    fn try_raise(&mut self, tried: &str) -> Result<Standing, StoreError> {
        let mut connection = self.take_connection(tried)?;
        let raised = raise(&mut connection, self.agent_cell());
        let standing = self.blocking.wait(raised);
        let standing = standing.map_err(|error| self.failed(tried, error))?;
        self.connection = Some(connection);
        Ok(standing)
    }

    fn agent_cell(&self) -> Cell {
        Cell::Number(i64::from(self.agent.0))
    }

    fn failed(&self, tried: &str, error: sqlx::Error) -> StoreError {
        from_database(self.database.dialect(), tried, error)
    }
}

impl Ledger for SqlLedger {
    fn raise_epoch(&mut self) -> Result<Standing, StoreError> {
        let tried = format!(
            "raise the epoch of agent {} in {}",
            self.agent.0, self.database
        );
        let mut raised = self.try_raise(&tried);
        if let Err(StoreError::Corrupt { .. }) = raised {
            // Another instance made the agent's row at the same moment: now there is one to raise.
            raised = self.try_raise(&tried);
        }
        self.epoch = Some(raised.clone()?.epoch);
        raised
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let tried = format!("commit batch {} to {}", batch.number, self.database);
        let Some(epoch) = self.epoch else {
            let detail = "the epoch was not raised before; raise it first".to_owned();
            return Err(StoreError::Other { tried, detail });
        };
        let last = LastValues::of(&batch.facts).map_err(|detail| StoreError::Corrupt {
            tried: tried.clone(),
            detail,
        })?;
        let mut connection = self.take_connection(&tried)?;
        let agent = i64::from(self.agent.0);
        let writing = Writing {
            tried: &tried,
            agent,
            connection: &mut connection,
        };
        let writing = writing.commit(epoch, batch, &last, &mut self.upserts);
        let done = match self.database.file() {
            // A statement that has begun must end before its connection is left.
            Some(_) => self.blocking.wait(writing),
            None => self.blocking.wait_at_most(COMMIT_TIMEOUT, &tried, writing),
        };
        done?;
        self.connection = Some(connection);
        Ok(())
    }

    fn archive(&mut self, run: RunNumber, rows_max: usize) -> Result<Moved, StoreError> {
        let tried = format!("move rows of run {run} to the history in {}", self.database);
        let Some(epoch) = self.epoch else {
            let detail = "the epoch was not raised before; raise it first".to_owned();
            return Err(StoreError::Other { tried, detail });
        };
        let mut connection = self.take_connection(&tried)?;
        let slice = Slice {
            tried: &tried,
            agent: i64::from(self.agent.0),
            connection: &mut connection,
            run,
        };
        let moving = slice.moved(epoch, rows_max);
        let moved = match self.database.file() {
            Some(_) => self.blocking.wait(moving),
            None => self.blocking.wait_at_most(COMMIT_TIMEOUT, &tried, moving),
        };
        let moved = moved?;
        self.connection = Some(connection);
        Ok(moved)
    }

    fn restore(&mut self) -> Result<Rows, StoreError> {
        let tried = format!("restore agent {} from {}", self.agent.0, self.database);
        let mut connection = self.take_connection(&tried)?;
        let restored = self
            .blocking
            .wait(restore(&mut connection, self.agent_cell()));
        let rows = restored.map_err(|error| self.failed(&tried, error))?;
        self.connection = Some(connection);
        pass(Point::RowsRead);
        Ok(rows)
    }
}

/// Raises the epoch of an agent, whose row is made if it has never run.
async fn raise(connection: &mut Connection, agent: Cell) -> Result<Standing, sqlx::Error> {
    let own = || [agent.clone()];
    connection.command("BEGIN").await?;
    pass(Point::EpochBegun);
    let raised = connection.execute("UPDATE agent SET epoch = epoch + 1 WHERE id = ?", own());
    if raised.await? == 0 {
        let sql = "INSERT INTO agent (id, epoch, last_batch, next_id, moment_us) \
                   VALUES (?, 1, 0, NULL, 0)";
        connection.execute(sql, own()).await?;
    }
    let sql = "SELECT epoch, last_batch, next_id, moment_us FROM agent WHERE id = ?";
    let standing = connection.rows(sql, own(), |row| {
        Ok(Standing {
            epoch: Epoch(row.number(0)?),
            last_batch: row.number(1)?,
            next_id: row.number_if_any(2)?,
            moment: Moment::from_micros(row.number(3)?),
        })
    });
    let standing = standing.await?.pop().ok_or(sqlx::Error::RowNotFound)?;
    pass(Point::EpochRaised);
    connection.command("COMMIT").await?;
    pass(Point::EpochDurable);
    Ok(standing)
}

/// Reads what a restart needs, each list sorted by its key.
pub(crate) async fn restore(connection: &mut Connection, agent: Cell) -> Result<Rows, sqlx::Error> {
    /// Bodies of one table for the runs of this agent that are not history: 5 is the first state
    /// of those that are.
    macro_rules! of_own_runs {
        ($table:literal) => {
            concat!(
                "SELECT body FROM ",
                $table,
                " WHERE run IN (SELECT number FROM run WHERE agent = ? AND state < 5)"
            )
        };
    }
    async fn sorted<T: Row + DeserializeOwned + Send + Unpin>(
        connection: &mut Connection,
        sql: &'static str,
        cells: impl IntoIterator<Item = Cell>,
    ) -> Result<Vec<T>, sqlx::Error> {
        let mut rows: Vec<T> = bodies(connection, sql, cells).await?;
        rows.sort_by(|a, b| a.key().cmp(&b.key()));
        Ok(rows)
    }
    let own = || [agent.clone()];
    let none = || -> [Cell; 0] { [] };
    let c = connection;
    let older: Vec<LumiRecord> = bodies(c, of_own_runs!("lumi"), own()).await?;
    let mut witnesses: Vec<Witness> = sorted(c, of_own_runs!("witness"), own()).await?;
    witnesses.extend(older.into_iter().map(Witness::from));
    witnesses.sort_by_key(|witness| witness.id);
    Ok(Rows {
        configurations: sorted(c, "SELECT body FROM configuration", none()).await?,
        runs: sorted(
            c,
            "SELECT body FROM run WHERE agent = ? AND state < 6",
            own(),
        )
        .await?,
        archived: archived(c, own()).await?,
        witnesses,
        files: sorted(c, of_own_runs!("file"), own()).await?,
        set_aside: sorted(c, "SELECT body FROM set_aside WHERE agent = ?", own()).await?,
        jobs: sorted(c, of_own_runs!("job"), own()).await?,
        consumed: sorted(c, of_own_runs!("consumed"), own()).await?,
        outputs: sorted(c, of_own_runs!("output"), own()).await?,
        blocks: sorted(c, of_own_runs!("block"), own()).await?,
        datasets: sorted(c, "SELECT body FROM dataset WHERE agent = ?", own()).await?,
        contents: sorted(c, of_own_runs!("lumi_content"), own()).await?,
        decisions: sorted(c, "SELECT body FROM decision", none()).await?,
        tags: sorted(c, "SELECT body FROM conditions_tag", none()).await?,
        global_tags: sorted(c, "SELECT body FROM global_tag", none()).await?,
        iovs: sorted(c, "SELECT body FROM iov", none()).await?,
        payloads: sorted(c, "SELECT body FROM payload", none()).await?,
        quality: sorted(c, "SELECT body FROM quality", none()).await?,
        alarms: sorted(
            c,
            "SELECT body FROM alarm WHERE agent = ? AND cleared_us IS NULL",
            own(),
        )
        .await?,
        rulings: sorted(c, "SELECT body FROM ruling WHERE agent = ?", own()).await?,
        sources: sorted(c, of_own_runs!("source_release"), own()).await?,
        usage: sorted(c, "SELECT body FROM task_usage WHERE agent = ?", own()).await?,
    })
}

/// Runs that are history, by number: read from an index alone.
async fn archived(
    connection: &mut Connection,
    own: [Cell; 1],
) -> Result<Vec<RunNumber>, sqlx::Error> {
    let sql = "SELECT number FROM run WHERE agent = ? AND state = 6 ORDER BY number";
    let number = |row: &Fields| {
        let number = u32::try_from(row.number(0)?);
        number
            .map(RunNumber)
            .map_err(|error| sqlx::Error::Decode(error.into()))
    };
    connection.rows(sql, own, number).await
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
