//! The ledger on SQLite: one file, one writing connection, one fence. In come batches, out goes
//! "durable" or why not.
//!
//! The file `tier0.db` lies in the state folder beside the lock. It is written ahead (WAL) and
//! synced at every commit (`synchronous = FULL`), so that "committed" survives a loss of power.
//! Whatever went wrong with a connection, the next call begins on a new one: half a transaction can
//! never leak into the next batch.

use crate::batch::LastValues;
use crate::blocking::Blocking;
use crate::errors::{from_migration, from_sqlite};
use crate::lock::StateLock;
use crate::read::bodies;
use crate::rows::{Cell, Row};
use crate::upsert::{Dialect, Upserts};
use crate::writing::Writing;
use model::ids::{AgentNumber, Epoch};
use model::time::Moment;
use ports::store::{Batch, Ledger, Rows, Standing, StoreError};
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the database's file in the state folder.
pub(crate) const DATABASE_NAME: &str = "tier0.db";

/// How long a statement waits for a foreign lock (a person's shell, a backup) before the batch is
/// tried again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Pages of 4 KiB in the write-ahead file after which a commit also moves them into the database: 8
/// MiB.
///
/// That commit waits for the move and one more sync: some 20 to 40 ms on a disk of 400 MB/s, so the
/// number bounds the longest commit. Fewer pages would move the hot ones (ends of tables and
/// indexes) more often than needed.
const CHECKPOINT_PAGES: i64 = 2_000;

/// Pages kept in memory by the writing connection, in KiB (negative by SQLite's rule): 32 MiB hold
/// the inner nodes and hot ends of all indexes.
const CACHE_KIB: i64 = -32_768;

/// The writing end of the store on SQLite.
#[derive(Debug)]
pub struct SqliteLedger {
    // Before the lock, so that it is dropped before the lock is.
    connection: Option<SqliteConnection>,
    blocking: Blocking,
    path: PathBuf,
    agent: AgentNumber,
    /// The epoch raised by this handle; none before.
    epoch: Option<Epoch>,
    upserts: Upserts,
    _lock: StateLock,
}

impl SqliteLedger {
    /// Opens (or makes) the store in a state folder, takes the folder's lock and brings the tables
    /// up to date.
    ///
    /// A second process gets an error that names the first.
    pub fn open(state_dir: &Path, agent: AgentNumber) -> Result<Self, StoreError> {
        Self::open_locked(state_dir, agent, StateLock::take(state_dir)?)
    }

    /// As `open`, with a lock that is held already.
    pub(crate) fn open_locked(
        state_dir: &Path,
        agent: AgentNumber,
        lock: StateLock,
    ) -> Result<Self, StoreError> {
        let path = state_dir.join(DATABASE_NAME);
        let tried = format!("open the store {}", path.display());
        let mut ledger = Self {
            connection: None,
            blocking: Blocking::new(&tried)?,
            path,
            agent,
            epoch: None,
            upserts: Upserts::new(Dialect::Sqlite),
            _lock: lock,
        };
        let mut connection = ledger.take_connection(&tried)?;
        // The files are compiled in; a new one is noticed when this room is compiled again.
        let migrated = ledger
            .blocking
            .wait(sqlx::migrate!("./migrations").run(&mut connection));
        migrated.map_err(|error| from_migration(&tried, error))?;
        ledger.connection = Some(connection);
        Ok(ledger)
    }

    /// The connection, or a new one after an error. Whoever took it puts it back only when all went
    /// well.
    fn take_connection(&mut self, tried: &str) -> Result<SqliteConnection, StoreError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("cache_size", CACHE_KIB.to_string())
            .statement_cache_capacity(Upserts::TEXTS_MAX + 50)
            .row_buffer_size(1_024)
            .disable_statement_logging();
        self.blocking
            .wait(options.connect())
            .map_err(|error| from_sqlite(tried, error))
    }

    fn agent_cell(&self) -> Cell {
        Cell::Number(i64::from(self.agent.0))
    }
}

impl Ledger for SqliteLedger {
    fn raise_epoch(&mut self) -> Result<Standing, StoreError> {
        let tried = format!(
            "raise the epoch of agent {} in {}",
            self.agent.0,
            self.path.display()
        );
        let mut connection = self.take_connection(&tried)?;
        let raised = self
            .blocking
            .wait(raise(&mut connection, i64::from(self.agent.0)));
        let standing = raised.map_err(|error| from_sqlite(&tried, error))?;
        self.connection = Some(connection);
        self.epoch = Some(standing.epoch);
        Ok(standing)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let tried = format!("commit batch {} to {}", batch.number, self.path.display());
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
        self.blocking
            .wait(writing.commit(epoch, batch, &last, &mut self.upserts))?;
        self.connection = Some(connection);
        Ok(())
    }

    fn restore(&mut self) -> Result<Rows, StoreError> {
        let tried = format!(
            "restore agent {} from {}",
            self.agent.0,
            self.path.display()
        );
        let mut connection = self.take_connection(&tried)?;
        let restored = self
            .blocking
            .wait(restore(&mut connection, self.agent_cell()));
        let rows = restored.map_err(|error| from_sqlite(&tried, error))?;
        self.connection = Some(connection);
        Ok(rows)
    }
}

/// Raises the epoch of an agent, whose row is made if it has never run.
async fn raise(connection: &mut SqliteConnection, agent: i64) -> Result<Standing, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let raised = sqlx::query("UPDATE agent SET epoch = epoch + 1 WHERE id = ?")
        .bind(agent)
        .execute(&mut *transaction)
        .await?;
    if raised.rows_affected() == 0 {
        sqlx::query(
            "INSERT INTO agent (id, epoch, last_batch, next_id, moment_us) \
             VALUES (?, 1, 0, NULL, 0)",
        )
        .bind(agent)
        .execute(&mut *transaction)
        .await?;
    }
    let row = sqlx::query("SELECT epoch, last_batch, next_id, moment_us FROM agent WHERE id = ?")
        .bind(agent)
        .fetch_one(&mut *transaction)
        .await?;
    let standing = Standing {
        epoch: Epoch(row.try_get(0)?),
        last_batch: row.try_get(1)?,
        next_id: row.try_get(2)?,
        moment: Moment::from_micros(row.try_get(3)?),
    };
    transaction.commit().await?;
    Ok(standing)
}

/// Reads what a restart needs, each list sorted by its key.
async fn restore(connection: &mut SqliteConnection, agent: Cell) -> Result<Rows, sqlx::Error> {
    /// Bodies of one table for the runs of this agent.
    macro_rules! of_own_runs {
        ($table:literal) => {
            concat!(
                "SELECT body FROM ",
                $table,
                " WHERE run IN (SELECT number FROM run WHERE agent = ?)"
            )
        };
    }
    async fn sorted<T: Row + DeserializeOwned + Send + Unpin>(
        connection: &mut SqliteConnection,
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
    Ok(Rows {
        runs: sorted(c, "SELECT body FROM run WHERE agent = ?", own()).await?,
        lumis: sorted(c, of_own_runs!("lumi"), own()).await?,
        files: sorted(c, of_own_runs!("file"), own()).await?,
        set_aside: sorted(c, "SELECT body FROM set_aside WHERE agent = ?", own()).await?,
        jobs: sorted(c, of_own_runs!("job"), own()).await?,
        consumed: sorted(c, of_own_runs!("consumed"), own()).await?,
        outputs: sorted(c, of_own_runs!("output"), own()).await?,
        blocks: sorted(c, of_own_runs!("block"), own()).await?,
        decisions: sorted(c, "SELECT body FROM decision", none()).await?,
        iovs: sorted(c, "SELECT body FROM iov", none()).await?,
        payloads: sorted(c, "SELECT body FROM payload", none()).await?,
        quality: sorted(c, "SELECT body FROM quality", none()).await?,
        alarms: sorted(
            c,
            "SELECT body FROM alarm WHERE agent = ? AND cleared_us IS NULL",
            own(),
        )
        .await?,
    })
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
