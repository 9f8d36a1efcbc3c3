//! One batch on its way into the database: fence, rows, commit, in one transaction. In come the last values of a batch,
//! out goes "durable" or why not. After an error the connection must not be used again.

use crate::batch::LastValues;
use crate::errors::from_sqlite;
use crate::read::bind;
use crate::rows::{Cell, Row};
use crate::upsert::Upserts;
use model::ids::Epoch;
use model::time::Moment;
use ports::store::{Batch, StoreError};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The first microsecond that is not before a moment: no restart may begin before what is on record (D20).
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

/// One batch on its way.
pub(crate) struct Writing<'w> {
    tried: &'w str,
    agent: i64,
    upserts: &'w mut Upserts,
    connection: &'w mut SqliteConnection,
}

impl<'w> Writing<'w> {
    /// With the words that begin every error, for one agent, on a connection without a transaction.
    pub(crate) fn new(
        tried: &'w str,
        agent: i64,
        upserts: &'w mut Upserts,
        connection: &'w mut SqliteConnection,
    ) -> Self {
        Self {
            tried,
            agent,
            upserts,
            connection,
        }
    }

    /// Commits the last values of a batch. After an error the connection may hold half a transaction: throw it away.
    pub(crate) async fn commit(
        mut self,
        epoch: Epoch,
        batch: &Batch,
        last: &LastValues<'_>,
    ) -> Result<(), StoreError> {
        self.execute("BEGIN").await?;
        match self.fence(epoch, batch).await? {
            Fence::Open => {}
            Fence::AlreadyDone => return self.execute("ROLLBACK").await,
        }
        self.write(&last.runs).await?;
        self.write(&last.lumis).await?;
        self.write(&last.files).await?;
        self.write(&last.set_aside).await?;
        self.write(&last.jobs).await?;
        self.write(&last.consumed).await?;
        self.write(&last.failed_attempts).await?;
        self.write(&last.outputs).await?;
        self.write(&last.blocks).await?;
        self.write(&last.decisions).await?;
        self.write(&last.iovs).await?;
        self.write(&last.payloads).await?;
        self.write(&last.quality).await?;
        self.write(&last.alarms).await?;
        self.write(&last.messages).await?;
        self.execute("COMMIT").await
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

    /// Writes the rows of one table, as few statements as there are powers of two in their number.
    async fn write<T: Row>(&mut self, values: &BTreeMap<T::Key<'_>, &T>) -> Result<(), StoreError> {
        let values: Vec<&T> = values.values().copied().collect();
        let mut rest = values.as_slice();
        while !rest.is_empty() {
            let (rows, later) = rest.split_at(Upserts::cut(rest.len()));
            let sql = AssertSqlSafe(self.upserts.text(&T::TABLE, rows.len()));
            let mut cells = Vec::with_capacity(rows.len() * (T::TABLE.columns.len() + 2));
            for value in rows {
                cells.push(Cell::Number(self.agent));
                value.cells(&mut cells);
                cells.push(Cell::Text(self.body(value)?));
            }
            let written = bind(sqlx::query(sql), cells)
                .execute(&mut *self.connection)
                .await
                .map_err(|error| from_sqlite(self.tried, error))?;
            if let Some(fixed) = T::TABLE.fixed
                && written.rows_affected() < rows.len() as u64
            {
                return Err(self.refusal(fixed, rows).await);
            }
            rest = later;
        }
        Ok(())
    }

    fn body(&self, value: &impl serde::Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|error| StoreError::Other {
            tried: self.tried.to_owned(),
            detail: format!("a value has no JSON form: {error}"),
        })
    }

    /// Names the row that was left as it is because its fixed column differs.
    async fn refusal<T: Row>(&mut self, fixed: &str, rows: &[&T]) -> StoreError {
        let table = T::TABLE;
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
            let sought: Vec<Cell> = sought.map(|place| cells[place].clone()).collect();
            let query = bind(sqlx::query(AssertSqlSafe(sql.clone())), sought);
            let found = query.fetch_optional(&mut *self.connection).await;
            match found.and_then(|row| row.map(|row| row.try_get::<String, _>(0)).transpose()) {
                Err(error) => return from_sqlite(self.tried, error),
                Ok(None) => {}
                Ok(Some(on_record)) => {
                    let offered = self.body(row).unwrap_or_default();
                    let detail = format!(
                        "table {} has {on_record} on record and was offered {offered}: \
                         the {fixed} of a row never changes",
                        table.name
                    );
                    return StoreError::Corrupt {
                        tried: self.tried.to_owned(),
                        detail,
                    };
                }
            }
        }
        let detail = format!("table {} refused a row that cannot be found", table.name);
        StoreError::Corrupt {
            tried: self.tried.to_owned(),
            detail,
        }
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let done = sqlx::query(sql).execute(&mut *self.connection).await;
        done.map(|_| ())
            .map_err(|error| from_sqlite(self.tried, error))
    }
}
