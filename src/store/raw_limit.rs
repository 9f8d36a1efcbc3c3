//! The yardstick: what the database does with the same number of rows when nothing of ours stands
//! between. Rows of ready texts come in, durable transactions go out; what a restart reads is read
//! by a plain loop. It knows no fence, no upsert and no model, and is never used for work.

use crate::blocking::Blocking;
use crate::database::DATABASE_NAME;
use crate::dialect::Dialect;
use crate::errors::from_database;
use ports::store::StoreError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};
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

/// The tables with most of the rows that a restart reads.
const READ_BACK: [&str; 6] = ["run", "witness", "file", "job", "consumed", "output"];

/// Reads the bodies that a restart reads, of runs that are not history, one statement a table and
/// row by row; what is in them is not looked at. Gives rows and bytes.
pub fn read_back(dir: &Path) -> Result<(u64, u64), StoreError> {
    let path = dir.join(DATABASE_NAME);
    let tried = format!("read {} row by row", path.display());
    let blocking = Blocking::new(&tried)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .disable_statement_logging();
    let read = blocking.wait(async {
        let mut connection = options.connect().await?;
        let (mut rows, mut bytes) = (0, 0);
        for table in READ_BACK {
            let own = "SELECT number FROM run WHERE state < 5";
            let column = if table == "run" { "number" } else { "run" };
            let sql = format!("SELECT body FROM {table} WHERE {column} IN ({own})");
            let length = |row: SqliteRow| row.try_get(0).map(|body: &str| body.len() as u64);
            let query = sqlx::query(AssertSqlSafe(sql)).try_map(length);
            let lengths = query.fetch_all(&mut connection).await?;
            rows += lengths.len() as u64;
            bytes += lengths.iter().sum::<u64>();
        }
        Ok((rows, bytes))
    });
    read.map_err(|error| from_database(Dialect::Sqlite, &tried, error))
}
