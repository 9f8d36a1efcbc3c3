//! One batch on its way into the database: fence, rows, commit, in one transaction. In come the
//! last values of a batch, out goes "durable" or why not. After an error the connection must not be
//! used again.
//!
//! The driver keeps a thread for the database. While it works on one statement, the values of the
//! next are put down here, so that JSON costs no time on a machine with a second core.

use crate::batch::{LastValues, Rows};
use crate::errors::from_sqlite;
use crate::read::arguments;
use crate::rows::{Cell, Contents, Table};
use crate::upsert::Upserts;
use model::ids::Epoch;
use model::time::Moment;
use ports::store::{Batch, StoreError};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Row as _};
use std::sync::Arc;

/// The first microsecond that is not before a moment: no restart may begin before what is on record
/// (D20).
fn micros_not_before(moment: Moment) -> i64 {
    moment.as_micros() + i64::from(moment.0.rem_euclid(1_000) != 0)
}

/// What the fence says of a batch.
enum Fence {
    /// It is the next one.
    Open,
    /// It is on record.
    AlreadyDone,
}

/// One statement, ready to run.
struct Piece<'a> {
    table: Table,
    rows: &'a [&'a dyn Contents],
    sql: Arc<str>,
    arguments: SqliteArguments,
}

/// Cuts the rows of a batch into statements, one at a time.
struct Cutter<'a> {
    agent: i64,
    tables: &'a [Rows<'a>],
    /// Rows of the first table that are cut already.
    done: usize,
    upserts: &'a mut Upserts,
}

impl<'a> Cutter<'a> {
    /// The next statement; none after the last.
    fn next(&mut self) -> Result<Option<Piece<'a>>, sqlx::Error> {
        let Some((first, later)) = self.tables.split_first() else {
            return Ok(None);
        };
        let (table, rest) = (first.table, &first.rows[self.done..]);
        let rows = &rest[..Upserts::cut(rest.len())];
        self.done += rows.len();
        if rows.len() == rest.len() {
            (self.tables, self.done) = (later, 0);
        }
        let mut cells = Vec::with_capacity(rows.len() * table.width());
        for row in rows {
            cells.push(Cell::Number(self.agent));
            row.cells(&mut cells);
            let body = row
                .body()
                .map_err(|error| sqlx::Error::Encode(error.into()))?;
            cells.push(Cell::Text(body));
        }
        let sql = self.upserts.text(&table, rows.len());
        Ok(Some(Piece {
            table,
            rows,
            sql,
            arguments: arguments(cells)?,
        }))
    }
}

/// One batch on its way.
pub(crate) struct Writing<'w> {
    /// The words that begin every error.
    pub(crate) tried: &'w str,
    /// Whose batch it is.
    pub(crate) agent: i64,
    /// A connection without a transaction.
    pub(crate) connection: &'w mut SqliteConnection,
}

impl Writing<'_> {
    /// Commits the last values of a batch. After an error the connection may hold half a
    /// transaction: throw it away.
    pub(crate) async fn commit(
        mut self,
        epoch: Epoch,
        batch: &Batch,
        last: &LastValues<'_>,
        upserts: &mut Upserts,
    ) -> Result<(), StoreError> {
        let (agent, tried) = (self.agent, self.tried);
        let tables = last.tables();
        let mut cutter = Cutter {
            agent,
            tables: &tables,
            done: 0,
            upserts,
        };
        let failed = |error| from_sqlite(tried, error);
        let (fence, first) =
            tokio::join!(biased; self.begin(epoch, batch), async { cutter.next() });
        match fence? {
            Fence::Open => {}
            Fence::AlreadyDone => return self.execute("ROLLBACK").await,
        }
        let mut next = first.map_err(failed)?;
        while let Some(piece) = next {
            let (written, following) =
                tokio::join!(biased; self.write(piece), async { cutter.next() });
            written?;
            next = following.map_err(failed)?;
        }
        self.execute("COMMIT").await
    }

    async fn begin(&mut self, epoch: Epoch, batch: &Batch) -> Result<Fence, StoreError> {
        self.execute("BEGIN").await?;
        self.fence(epoch, batch).await
    }

    /// The fence of D2: only the next batch of the epoch that holds may pass, and only once.
    async fn fence(&mut self, epoch: Epoch, batch: &Batch) -> Result<Fence, StoreError> {
        let moved = sqlx::query(
            "UPDATE agent SET last_batch = ?, next_id = ?, moment_us = ? \
             WHERE id = ? AND epoch = ? AND last_batch = ?",
        )
        .bind(batch.number)
        .bind(batch.next_id)
        .bind(micros_not_before(batch.moment))
        .bind(self.agent)
        .bind(epoch.0)
        .bind(batch.number - 1)
        .execute(&mut *self.connection)
        .await
        .map_err(|error| from_sqlite(self.tried, error))?;
        if moved.rows_affected() == 1 {
            return Ok(Fence::Open);
        }
        let row: Option<(i64, i64)> =
            sqlx::query_as("SELECT epoch, last_batch FROM agent WHERE id = ?")
                .bind(self.agent)
                .fetch_optional(&mut *self.connection)
                .await
                .map_err(|error| from_sqlite(self.tried, error))?;
        let tried = self.tried.to_owned();
        match row {
            None => {
                let detail = format!("the row of agent {} is gone", self.agent);
                Err(StoreError::Corrupt { tried, detail })
            }
            Some((theirs, _)) if theirs != epoch.0 => Err(StoreError::Fenced {
                tried,
                ours: epoch,
                theirs: Epoch(theirs),
            }),
            Some((_, on_record)) if on_record == batch.number => Ok(Fence::AlreadyDone),
            Some((_, on_record)) => {
                let detail = format!("the last batch on record is {on_record}, not the one before");
                Err(StoreError::Corrupt { tried, detail })
            }
        }
    }

    async fn write(&mut self, piece: Piece<'_>) -> Result<(), StoreError> {
        let query = sqlx::query_with(AssertSqlSafe(piece.sql), piece.arguments);
        let written = query.execute(&mut *self.connection).await;
        let written = written
            .map_err(|error| from_sqlite(self.tried, error))?
            .rows_affected();
        match piece.table.fixed {
            Some(fixed) if written < piece.rows.len() as u64 => {
                let refusal = self.refusal(piece.table, fixed, piece.rows).await;
                let detail = refusal.map_err(|error| from_sqlite(self.tried, error))?;
                Err(StoreError::Corrupt {
                    tried: self.tried.to_owned(),
                    detail,
                })
            }
            _ => Ok(()),
        }
    }

    /// Names the row that was left as it is because its fixed column differs.
    async fn refusal(
        &mut self,
        table: Table,
        fixed: &str,
        rows: &[&dyn Contents],
    ) -> Result<String, sqlx::Error> {
        let keys: Vec<String> = table.key.iter().map(|key| format!("{key} = ?")).collect();
        let keys = keys.join(" AND ");
        let sql: Arc<str> = format!(
            "SELECT body FROM {} WHERE {keys} AND {fixed} <> ?",
            table.name
        )
        .into();
        let place = |sought: &&str| table.columns.iter().position(|column| column == sought);
        for row in rows {
            let mut cells = Vec::new();
            row.cells(&mut cells);
            let sought = table.key.iter().chain([&fixed]).filter_map(place);
            let sought = arguments(sought.map(|place| cells[place].clone()))?;
            let query = sqlx::query_with(AssertSqlSafe(sql.clone()), sought);
            if let Some(found) = query.fetch_optional(&mut *self.connection).await? {
                let (on_record, offered) = (found.try_get::<String, _>(0)?, row.body());
                return Ok(format!(
                    "table {} has {on_record} on record and was offered {}: the {fixed} of a row \
                     never changes",
                    table.name,
                    offered.unwrap_or_default()
                ));
            }
        }
        Ok(format!(
            "table {} refused a row that cannot be found",
            table.name
        ))
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let done = sqlx::query(sql).execute(&mut *self.connection).await;
        done.map(|_| ())
            .map_err(|error| from_sqlite(self.tried, error))
    }
}
