//! Bringing the tables up to date: the same files for all three databases, each spelt in its
//! dialect, each run once and recognised by its checksum afterwards. In comes a connection that may
//! write, out go tables as this program knows them, or why not: a version that is not known here,
//! or a file that was changed after it was run.
//!
//! SQLite and PostgreSQL run a file in one transaction. MariaDB commits each definition by itself:
//! there the statements that are done are counted, and a run that was cut short goes on behind
//! them.

use crate::connection::{Connection, Fields};
use crate::dialect::Dialect;
use crate::rows::Cell;
use crate::widths::Widths;
use ports::failpoint::{Point, pass};
use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType, Migrator};
use sqlx::mysql::MySqlDatabaseError;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
use std::borrow::Cow;
use std::fmt::Write as _;

/// A migration: its number, its name, its statements in the store's own spelling.
pub(crate) type File = (i64, &'static str, &'static str);

/// All of them, in order. A file that was released is never changed.
pub(crate) const FILES: &[File] = &[
    (1, "ledger", include_str!("migrations/0001_ledger.sql")),
    (
        2,
        "splitting",
        include_str!("migrations/0002_splitting.sql"),
    ),
    (
        3,
        "completeness",
        include_str!("migrations/0003_completeness.sql"),
    ),
    (
        4,
        "configuration",
        include_str!("migrations/0004_configuration.sql"),
    ),
    (5, "retries", include_str!("migrations/0005_retries.sql")),
    (6, "datasets", include_str!("migrations/0006_datasets.sql")),
    (7, "rulings", include_str!("migrations/0007_rulings.sql")),
    (8, "history", include_str!("migrations/0008_history.sql")),
    (9, "sources", include_str!("migrations/0009_sources.sql")),
    (
        10,
        "conditions",
        include_str!("migrations/0010_conditions.sql"),
    ),
    (
        11,
        "global_tags",
        include_str!("migrations/0011_global_tags.sql"),
    ),
];

/// How long the texts of columns may be.
pub(crate) fn widths() -> Widths {
    Widths::of(FILES.iter().map(|(_, _, file)| *file))
}

/// The table that says which migrations were run, as the driver's migrator makes it.
const RECORD: &str = "_sqlx_migrations";

/// Whoever migrates on MariaDB holds this lock, at most so long.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('tier0.migrations.', DATABASE()), 60)";
const UNLOCK: &str = "SELECT RELEASE_LOCK(CONCAT('tier0.migrations.', DATABASE()))";

/// What this program knows, spelt for a dialect; checksums are those of the files.
fn known(dialect: Dialect) -> Migrator {
    let migration = |(version, name, file): &File| {
        let text = |sql: Cow<'static, str>| {
            let (name, kind) = (Cow::Borrowed(*name), MigrationType::Simple);
            Migration::new(
                *version,
                name,
                kind,
                AssertSqlSafe(sql).into_sql_str(),
                false,
            )
        };
        let spelt = dialect.migration(file).join(";\n");
        Migration {
            checksum: text(Cow::Borrowed(file)).checksum,
            ..text(Cow::Owned(spelt))
        }
    };
    let mut migrator = Migrator::with_migrations(FILES.iter().map(migration).collect());
    // MariaDB's lock is taken here: the driver asks for it with a time that MariaDB refuses.
    migrator.set_locking(dialect == Dialect::Postgres);
    migrator
}

/// Bytes as hexadecimal digits.
fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// How far a store is with a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Waiting,
    Begun,
    Done,
}

/// The migrations of this program as a store has them, and what of its record is wrong.
pub(crate) async fn standing(
    connection: &mut Connection,
) -> Result<(Vec<(i64, &'static str, Standing)>, Vec<String>), sqlx::Error> {
    let sql = match connection.dialect() {
        Dialect::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
        Dialect::Mariadb => {
            "SELECT COUNT(*) FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name = '_sqlx_migrations'"
        }
        Dialect::Postgres => "SELECT COUNT(*) FROM pg_tables WHERE tablename = '_sqlx_migrations'",
    };
    let tables = connection.rows(sql, [], |row| row.number(0)).await?;
    let recorded = if tables == [0] {
        Vec::new()
    } else {
        let checksum = match connection.dialect() {
            Dialect::Sqlite | Dialect::Mariadb => "LOWER(HEX(checksum))",
            Dialect::Postgres => "ENCODE(checksum, 'hex')",
        };
        let sql = format!(
            "SELECT version, CASE WHEN success THEN 'done' ELSE 'begun' END, {checksum} \
             FROM _sqlx_migrations ORDER BY version"
        );
        let row = |row: &Fields| {
            Ok((
                row.number(0)?,
                row.text(1)? == "done",
                row.text(2)?.to_owned(),
            ))
        };
        connection.rows(sql, [], row).await?
    };
    let known = known(connection.dialect());
    let mut problems = Vec::new();
    for (version, is_done, checksum) in &recorded {
        match known.iter().find(|known| known.version == *version) {
            None => problems.push(format!(
                "migration {version} is not known: a newer program made it; use that one"
            )),
            Some(known) if digits(&known.checksum) != *checksum => problems.push(format!(
                "migration {version} is not the one of this program: another one made it"
            )),
            Some(_) if !is_done => problems.push(format!(
                "migration {version} was cut short: tier0 db migrate goes on with it"
            )),
            Some(_) => {}
        }
    }
    let standing = |(number, name, _): &File| {
        let found = recorded.iter().find(|recorded| recorded.0 == *number);
        let standing = match found {
            None => Standing::Waiting,
            Some((_, false, _)) => Standing::Begun,
            Some((_, true, _)) => Standing::Done,
        };
        (*number, *name, standing)
    };
    Ok((FILES.iter().map(standing).collect(), problems))
}

/// Brings the tables up to date.
pub(crate) async fn run(connection: &mut Connection) -> Result<(), MigrateError> {
    let migrator = known(connection.dialect());
    match connection {
        Connection::Sqlite(connection) => run_on_sqlite(connection, &migrator).await,
        Connection::Postgres(_) => run_on_postgres(connection, &migrator).await,
        Connection::Mariadb(_) => run_on_mariadb(connection, &migrator).await,
    }
}

/// One after the other: each is a transaction of its own.
async fn run_on_sqlite(
    connection: &mut SqliteConnection,
    migrator: &Migrator,
) -> Result<(), MigrateError> {
    for known in migrator.iter() {
        pass(Point::MigrationWanted);
        migrator.run_to(known.version, &mut *connection).await?;
        pass(Point::MigrationDone);
    }
    Ok(())
}

async fn run_on_postgres(
    connection: &mut Connection,
    migrator: &Migrator,
) -> Result<(), MigrateError> {
    let sql = "SELECT current_setting('server_encoding')";
    let encoding = connection.rows(sql, [], |row| row.text(0).map(str::to_owned));
    let encoding = encoding.await?.join("");
    if encoding != "UTF8" {
        let detail = format!(
            "the database keeps texts as {encoding}; make one with ENCODING 'UTF8' TEMPLATE \
             template0"
        );
        return Err(MigrateError::Source(detail.into()));
    }
    match connection {
        Connection::Postgres(driver) => migrator.run(&mut **driver).await,
        Connection::Sqlite(_) | Connection::Mariadb(_) => Ok(()),
    }
}

async fn run_on_mariadb(
    connection: &mut Connection,
    migrator: &Migrator,
) -> Result<(), MigrateError> {
    let none: [Cell; 0] = [];
    let version = |row: &Fields| row.text(0).map(str::to_owned);
    let version = connection.rows("SELECT VERSION()", none.clone(), version);
    if let Some(other) = version
        .await?
        .pop()
        .filter(|name| !name.contains("MariaDB"))
    {
        let detail = format!("the server calls itself {other}; a MariaDB is needed here");
        return Err(MigrateError::Source(detail.into()));
    }
    let got = connection.rows(LOCK, none.clone(), |row| row.number_if_any(0));
    if got.await?.pop().flatten() != Some(1) {
        let detail = "another instance is making the tables and did not end within 60 s";
        return Err(MigrateError::Source(detail.into()));
    }
    if let Connection::Mariadb(driver) = connection {
        driver.ensure_migrations_table(RECORD).await?;
        let applied = driver.list_applied_migrations(RECORD).await?;
        for applied in &applied {
            let known = migrator
                .iter()
                .find(|known| known.version == applied.version);
            match known {
                None => return Err(MigrateError::VersionMissing(applied.version)),
                Some(known) if known.checksum != applied.checksum => {
                    return Err(MigrateError::VersionMismatch(applied.version));
                }
                Some(_) => {}
            }
        }
    }
    for migration in migrator.iter() {
        run_file(connection, migration).await?;
    }
    connection.rows(UNLOCK, none, |_| Ok(())).await?;
    Ok(())
}

/// Runs what is left of a file. While it is at work, its row is not yet a success and
/// `execution_time` counts its statements that are done.
async fn run_file(connection: &mut Connection, migration: &Migration) -> Result<(), MigrateError> {
    let version = Cell::Number(migration.version);
    let standing = connection.rows(
        "SELECT CAST(success AS BIGINT), execution_time FROM _sqlx_migrations WHERE version = ?",
        [version.clone()],
        |row| Ok((row.number(0)? != 0, row.number(1)?)),
    );
    let begun = match standing.await?.pop() {
        Some((true, _)) => return Ok(()),
        Some((false, done)) => Some(done),
        None => None,
    };
    if begun.is_none()
        && let Connection::Mariadb(driver) = connection
    {
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (?, ?, FALSE, ?, 0)",
        )
        .bind(migration.version)
        .bind(&*migration.description)
        .bind(&*migration.checksum)
        .execute(&mut **driver)
        .await?;
    }
    let file = FILES
        .iter()
        .find(|(number, ..)| *number == migration.version);
    let statements = file.map_or(Vec::new(), |file| Dialect::Mariadb.migration(file.2));
    let done = begun.unwrap_or(0) as usize;
    for (number, statement) in statements.iter().enumerate().skip(done) {
        let run = connection.command(statement).await;
        // Only the first of a second run may have been done without anybody noting it.
        let is_again = begun.is_some() && number == done;
        match run {
            Err(error) if is_again && is_done_already(&error) => {}
            run => run.map_err(|error| MigrateError::ExecuteMigration(error, migration.version))?,
        }
        let sql = "UPDATE _sqlx_migrations SET execution_time = ? WHERE version = ?";
        let count = Cell::Number(number as i64 + 1);
        connection.execute(sql, [count, version.clone()]).await?;
    }
    let sql = "UPDATE _sqlx_migrations SET success = TRUE WHERE version = ?";
    connection.execute(sql, [version]).await?;
    Ok(())
}

/// Whether MariaDB says that a statement was done before: what it makes is there (table or view,
/// column, index, row), or what it removes or renames is gone.
fn is_done_already(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    let database = database.and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    let number = database.map_or(0, MySqlDatabaseError::number);
    matches!(number, 1050 | 1051 | 1060 | 1061 | 1062 | 1091 | 1146)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let names = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let listed = FILES
            .iter()
            .map(|(number, name, _)| format!("{number:04}_{name}.sql"));
        assert_eq!(
            listed.collect::<Vec<_>>(),
            names,
            "migrations.rs lists the files to run"
        );
    }

    #[test]
    fn checksums_do_not_depend_on_the_dialect() {
        let of = |dialect| {
            let known = known(dialect);
            known
                .iter()
                .map(|known| known.checksum.to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(Dialect::Sqlite), of(Dialect::Mariadb));
        assert_eq!(of(Dialect::Sqlite), of(Dialect::Postgres));
    }
}
