//! How a store is: which migrations it has, whether every row can be read, whether the server keeps
//! what it says it keeps. In comes a database, out go plain values for people. Nothing is written
//! but by `migrate`.

use crate::blocking::Blocking;
use crate::connection::{Connection, Fields};
use crate::database::{Database, Purpose};
use crate::dialect::Dialect;
use crate::errors::{from_database, from_migration};
use crate::ledger::restore;
use crate::lock::StateLock;
use crate::migrations::{self, Standing};
use crate::rows::Cell;
use ports::store::StoreError;
use std::path::Path;

/// What is found in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Kind and version of the database.
    pub server: String,
    /// Migrations that this program knows: number, name, whether they were run.
    pub migrations: Vec<(i64, &'static str, bool)>,
    /// What is wrong, in sentences.
    pub problems: Vec<String>,
}

impl Database {
    /// Looks at everything. An instance may be at work meanwhile.
    pub fn condition(&self) -> Result<Condition, StoreError> {
        let tried = format!("look at the store {self}");
        self.must_exist(&tried)?;
        let blocking = Blocking::new(&tried)?;
        let found = blocking.wait(async {
            let mut connection = self.connect(Purpose::Read).await?;
            look(&mut connection).await
        });
        found.map_err(|error| from_database(self.dialect(), &tried, error))
    }

    /// Brings the tables up to date, as the start of an instance does. A SQLite store is made if
    /// there is none; no instance may have it at that time.
    pub fn migrate(&self, state_dir: &Path) -> Result<(), StoreError> {
        let tried = format!("bring the tables of {self} up to date");
        let _lock = StateLock::take(state_dir)?;
        let blocking = Blocking::new(&tried)?;
        let connection = blocking.wait(self.connect(Purpose::Write));
        let mut connection =
            connection.map_err(|error| from_database(self.dialect(), &tried, error))?;
        let done = blocking.wait(migrations::run(&mut connection));
        done.map_err(|error| from_migration(self.dialect(), &tried, error))
    }

    pub(crate) fn must_exist(&self, tried: &str) -> Result<(), StoreError> {
        if self.file().is_none_or(Path::exists) {
            return Ok(());
        }
        let detail = "no store is here; check the state folder, or start the agent in it once";
        Err(StoreError::Other {
            tried: tried.to_owned(),
            detail: detail.to_owned(),
        })
    }
}

/// What each database says of itself, what it must say, and why.
type Asked = (&'static str, &'static str, &'static str);

const SQLITE: &[Asked] = &[(
    "PRAGMA integrity_check(5)",
    "ok",
    "the file is damaged: restore it from a backup",
)];
const MARIADB: &[Asked] = &[
    (
        "SELECT CAST(@@innodb_flush_log_at_trx_commit AS CHAR)",
        "1",
        "innodb_flush_log_at_trx_commit must be 1, or what was committed may be lost",
    ),
    (
        "SELECT IF(@@innodb_doublewrite IN ('OFF', '0'), 'off', 'on')",
        "on",
        "innodb_doublewrite must be on, or a page half written cannot be mended",
    ),
    (
        "SELECT IF(@@max_allowed_packet >= 16777216, 'enough', 'less')",
        "enough",
        "max_allowed_packet must be 16 MiB or more, or large rows are refused",
    ),
];
const POSTGRES: &[Asked] = &[
    (
        "SELECT current_setting('fsync')",
        "on",
        "fsync must be on, or what was committed may be lost with the power",
    ),
    (
        "SELECT current_setting('full_page_writes')",
        "on",
        "full_page_writes must be on, or a page half written cannot be mended",
    ),
];

async fn look(connection: &mut Connection) -> Result<Condition, sqlx::Error> {
    let none: [Cell; 0] = [];
    let text = |row: &Fields| row.text(0).map(str::to_owned);
    let (version, asked) = match connection.dialect() {
        Dialect::Sqlite => ("SELECT 'SQLite ' || sqlite_version()", SQLITE),
        Dialect::Mariadb => ("SELECT VERSION()", MARIADB),
        Dialect::Postgres => ("SELECT version()", POSTGRES),
    };
    let server = connection.rows(version, none.clone(), text).await?.join("");
    let mut problems = Vec::new();
    for (question, expect, meaning) in asked {
        let said = connection.rows(*question, none.clone(), text).await?;
        let said = said.join("; ");
        if said != *expect {
            problems.push(format!("{meaning} (it says {said})"));
        }
    }
    let (migrations, wrong) = migrations::standing(connection).await?;
    problems.extend(wrong);
    let is_whole = migrations
        .iter()
        .all(|(.., standing)| *standing == Standing::Done);
    if is_whole && problems.is_empty() {
        let agents = connection.rows("SELECT id FROM agent ORDER BY id", none, |row| {
            row.number(0)
        });
        for agent in agents.await? {
            match restore(connection, Cell::Number(agent)).await {
                Ok(_) => {}
                Err(sqlx::Error::Decode(unreadable)) => {
                    problems.push(format!(
                        "a row of agent {agent} cannot be read: {unreadable}"
                    ));
                }
                Err(error) => return Err(error),
            }
        }
    }
    let told = |(number, name, standing)| (number, name, standing == Standing::Done);
    Ok(Condition {
        server,
        migrations: migrations.into_iter().map(told).collect(),
        problems,
    })
}
