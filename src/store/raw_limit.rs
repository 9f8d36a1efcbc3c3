//! The yardstick: what the database does with the same number of rows when nothing of ours stands
//! between. Rows of ready texts come in, durable transactions go out. It knows no fence, no upsert
//! and no model, and is never used for work.

use crate::blocking::Blocking;
use crate::dialect::Dialect;
use crate::errors::from_database;
use ports::store::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use std::path::Path;
use std::sync::Arc;

/// A table of six columns and two indexes, filled by one multi-row insert for each transaction.
#[derive(Debug)]
pub struct RawTable {
    connection: SqliteConnection,
    blocking: Blocking,
    next: i64,
    insert: Arc<str>,
    rows: usize,
}

impl RawTable {
    /// Makes the table in a file of its own (`raw.db`), for transactions of so many rows (1 to
    /// 5,000).
    pub fn open(dir: &Path, rows: usize) -> Result<Self, StoreError> {
        let tried = format!("open {}", dir.join("raw.db").display());
        let blocking = Blocking::new(&tried)?;
        let options = SqliteConnectOptions::new()
            .filename(dir.join("raw.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let table = "CREATE TABLE raw_row (id BIGINT NOT NULL PRIMARY KEY, run BIGINT NOT NULL, \
                     lumi BIGINT NOT NULL, state BIGINT NOT NULL, bytes BIGINT NOT NULL, \
                     body TEXT NOT NULL); \
                     CREATE INDEX raw_run ON raw_row (run, id);";
        let connection = blocking.wait(async {
            let mut connection = options.connect().await?;
            sqlx::query(table).execute(&mut connection).await?;
            Ok(connection)
        });
        let connection =
            connection.map_err(|error| from_database(Dialect::Sqlite, &tried, error))?;
        let values = vec!["(?,?,?,?,?,?)"; rows].join(",");
        let insert = format!("INSERT INTO raw_row VALUES {values}").into();
        Ok(Self {
            connection,
            blocking,
            next: 1,
            insert,
            rows,
        })
    }

    /// Inserts one transaction of rows that all have this body.
    pub fn commit(&mut self, body: &Arc<str>) -> Result<(), StoreError> {
        let mut query = sqlx::query(AssertSqlSafe(self.insert.clone()));
        for id in (self.next..).take(self.rows) {
            query = query
                .bind(id)
                .bind(402_144_i64)
                .bind(id / 30)
                .bind(1_i64)
                .bind(4_096_i64);
            query = query.bind(body.clone());
        }
        self.next += self.rows as i64;
        let done = self.blocking.wait(query.execute(&mut self.connection));
        done.map(|_| ())
            .map_err(|error| from_database(Dialect::Sqlite, "insert raw rows", error))
    }
}
