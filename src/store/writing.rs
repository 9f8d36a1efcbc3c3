//! One batch on its way into the database: fence, rows, commit, in one transaction. In come the
//! last values of a batch, out goes "durable" or why not. After an error the connection must not be
//! used again.
//!
//! While the database works on one statement, the values of the next are put down here, so that
//! JSON costs no time on a machine with a second core.
//!
//! Whatever happens on the way, the same batch may come again: the fence tells one that is on
//! record from one that is not, also when a connection was lost in the middle of the commit.

use crate::batch::{LastValues, Rows};
use crate::connection::{Connection, Fields, Values};
use crate::dialect::Dialect;
use crate::errors::{from_database, is_refused_column};
use crate::rows::{Cell, Contents, Table};
use crate::upsert::Upserts;
use model::ids::Epoch;
use model::time::Moment;
use ports::failpoint::{Point, pass};
use ports::store::{Batch, StoreError};
use std::sync::Arc;

/// Bytes of bodies in one statement, at most: a server takes 16 MiB at once (`max_allowed_packet`
/// of MariaDB) where nobody has set it lower.
const PIECE_BYTES_MAX: usize = 4 << 20;

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
    values: Values,
}

/// Cuts the rows of a batch into statements, one at a time.
struct Cutter<'a> {
    agent: i64,
    dialect: Dialect,
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
        let mut bodies = Vec::new();
        let mut bytes = 0;
        for row in &rest[..Upserts::cut(rest.len())] {
            let body = row.body();
            let body = body.map_err(|error| sqlx::Error::Encode(error.into()))?;
            bytes += body.len();
            if bytes > PIECE_BYTES_MAX && !bodies.is_empty() {
                break;
            }
            bodies.push(body);
        }
        let rows = &rest[..Upserts::cut(bodies.len())];
        self.done += rows.len();
        if rows.len() == rest.len() {
            (self.tables, self.done) = (later, 0);
        }
        let mut cells = Vec::with_capacity(rows.len() * table.width());
        for (row, body) in rows.iter().zip(bodies) {
            cells.push(Cell::Number(self.agent));
            self.upserts.cells(&table, *row, &mut cells);
            cells.push(Cell::Text(body));
        }
        let sql = self.upserts.text(&table, rows.len());
        Ok(Some(Piece {
            table,
            rows,
            sql,
            values: Values::of(self.dialect, cells)?,
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
    pub(crate) connection: &'w mut Connection,
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
        let dialect = self.connection.dialect();
        let mut cutter = Cutter {
            agent,
            dialect,
            tables: &tables,
            done: 0,
            upserts,
        };
        let failed = |error| from_database(dialect, tried, error);
        let (fence, first) =
            tokio::join!(biased; self.begin(epoch, batch), async { cutter.next() });
        match fence? {
            Fence::Open => pass(Point::CommitFenced),
            Fence::AlreadyDone => return self.command("ROLLBACK").await,
        }
        let mut next = first.map_err(failed)?;
        while let Some(piece) = next {
            let (written, following) =
                tokio::join!(biased; self.write(piece), async { cutter.next() });
            written?;
            pass(Point::CommitRows);
            next = following.map_err(failed)?;
        }
        pass(Point::CommitWritten);
        self.command("COMMIT").await?;
        pass(Point::Committed);
        Ok(())
    }

    async fn begin(&mut self, epoch: Epoch, batch: &Batch) -> Result<Fence, StoreError> {
        self.command("BEGIN").await?;
        pass(Point::CommitBegun);
        self.fence(epoch, batch).await
    }

    /// The fence of D2: only the next batch of the epoch that holds may pass, and only once.
    async fn fence(&mut self, epoch: Epoch, batch: &Batch) -> Result<Fence, StoreError> {
        let moved = self.connection.execute(
            "UPDATE agent SET last_batch = ?, next_id = ?, moment_us = ? \
             WHERE id = ? AND epoch = ? AND last_batch = ?",
            [
                batch.number,
                batch.next_id,
                micros_not_before(batch.moment),
                self.agent,
                epoch.0,
                batch.number - 1,
            ]
            .map(Cell::Number),
        );
        if moved.await.map_err(|error| self.failed(error))? == 1 {
            return Ok(Fence::Open);
        }
        let row = self.connection.rows(
            "SELECT epoch, last_batch FROM agent WHERE id = ?",
            [Cell::Number(self.agent)],
            |row| Ok((row.number(0)?, row.number(1)?)),
        );
        let row = row.await.map_err(|error| self.failed(error))?.pop();
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
        let written = self.connection.execute_spelt(piece.sql, piece.values).await;
        // MariaDB refuses what the others pass over, and counts a replaced row twice.
        let is_refused = match &written {
            Ok(rows) => {
                self.connection.dialect() != Dialect::Mariadb && *rows < piece.rows.len() as u64
            }
            Err(error) => is_refused_column(error),
        };
        if is_refused && let Some(fixed) = piece.table.fixed {
            let refusal = self.refusal(piece.table, fixed, piece.rows).await;
            let detail = refusal.map_err(|error| self.failed(error))?;
            let tried = self.tried.to_owned();
            return Err(StoreError::Corrupt { tried, detail });
        }
        match written {
            Err(error) if is_refused => Err(StoreError::Corrupt {
                tried: self.tried.to_owned(),
                detail: format!(
                    "table {}: a row contradicts one on record ({error})",
                    piece.table.name
                ),
            }),
            written => written.map(|_| ()).map_err(|error| self.failed(error)),
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
        let sql = format!(
            "SELECT body FROM {} WHERE {keys} AND {fixed} <> ?",
            table.name
        );
        let texts = Upserts::new(self.connection.dialect());
        let place = |sought: &&str| table.columns.iter().position(|column| column == sought);
        for row in rows {
            let mut cells = Vec::new();
            texts.cells(&table, *row, &mut cells);
            let sought = table.key.iter().chain([&fixed]).filter_map(place);
            let sought: Vec<Cell> = sought.map(|place| cells[place].clone()).collect();
            let text = |row: &Fields| row.text(0).map(str::to_owned);
            let found = self.connection.rows(sql.clone(), sought, text).await?;
            if let Some(on_record) = found.first() {
                return Ok(format!(
                    "table {} has {on_record} on record and was offered {}: the {fixed} of a row \
                     never changes",
                    table.name,
                    row.body().unwrap_or_default()
                ));
            }
        }
        Ok(format!(
            "table {} refused a row that cannot be found",
            table.name
        ))
    }

    async fn command(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let done = self.connection.command(sql).await;
        done.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        from_database(self.connection.dialect(), self.tried, error)
    }
}
