//! Which database the store is in, and how a connection to it is set up. In come a folder (SQLite)
//! or an address (MariaDB, PostgreSQL), out come connections that are durable, strict and bounded
//! in time whatever the server's defaults are. A password is never shown.

use crate::connection::Connection;
use crate::dialect::Dialect;
use crate::upsert::Upserts;
use ports::store::StoreError;
use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the database's file in the state folder.
pub(crate) const DATABASE_NAME: &str = "tier0.db";

/// How long a statement of the writer waits for a foreign lock (a person's shell, a backup) before
/// the batch is tried again.
const WRITER_WAITS: Duration = Duration::from_secs(1);
/// How long a question waits for a lock, which readers of SQLite meet only while the writer
/// recovers after a crash.
const READER_WAITS: Duration = Duration::from_secs(5);
/// How long a server has to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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

/// What each connection to MariaDB is told. READ COMMITTED: the fence is what orders writers, so no
/// gaps need be locked. A transaction whose client is gone is ended by the server, so that its row
/// of the fence does not stay locked.
const MARIADB_SETUP: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,\
     PIPES_AS_CONCAT,ERROR_FOR_DIVISION_BY_ZERO,NO_BACKSLASH_ESCAPES', \
     SESSION tx_isolation = 'READ-COMMITTED', SESSION innodb_lock_wait_timeout = 2, \
     SESSION idle_write_transaction_timeout = 60";
const MARIADB_READER: &str = "SET SESSION TRANSACTION READ ONLY";

/// The same for PostgreSQL; a commit that would not be durable is made so.
const POSTGRES_SETUP: &str = "SET default_transaction_isolation = 'read committed'; \
     SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '60s'; \
     SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') = 'off'";
const POSTGRES_READER: &str = "SET default_transaction_read_only = on";

/// Which database the store is in.
#[derive(Clone)]
pub struct Database {
    kind: Kind,
    /// What messages call it.
    shown: String,
}

#[derive(Clone)]
enum Kind {
    Sqlite(PathBuf),
    Mariadb(Box<MySqlConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Write,
    Read,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.shown).finish()
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Database {
    /// SQLite in a state folder.
    pub fn in_folder(state_dir: &Path) -> Self {
        let path = state_dir.join(DATABASE_NAME);
        Self {
            shown: path.display().to_string(),
            kind: Kind::Sqlite(path),
        }
    }

    /// A server: `mariadb://user@host:port/database` or `postgresql://...`.
    ///
    /// To another machine the connection is encrypted and the server's certificate checked, to this
    /// one it is not; `?ssl-mode=...` says otherwise. Nothing is connected yet.
    pub fn at(url: &str, password: Option<&str>) -> Result<Self, StoreError> {
        let tried = "read the address of the store".to_owned();
        let refused = |detail: String| StoreError::Other {
            tried: tried.clone(),
            detail: format!(
                "{detail}; write mariadb://user@host:port/database or \
                 postgresql://user@host:port/database"
            ),
        };
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        let chosen = url.contains("sslmode=") || url.contains("ssl-mode=");
        let wrong = |error: sqlx::Error| refused(error.to_string());
        match scheme {
            "mariadb" | "mysql" => {
                let options: MySqlConnectOptions = url.parse().map_err(wrong)?;
                Self::mariadb(options, password, chosen)
            }
            "postgresql" | "postgres" => {
                let options: PgConnectOptions = url.parse().map_err(wrong)?;
                Self::postgres(options, password, chosen)
            }
            _ => return Err(refused("it begins with no database's name".to_owned())),
        }
        .ok_or_else(|| refused("it names no database".to_owned()))
    }

    fn mariadb(
        mut options: MySqlConnectOptions,
        password: Option<&str>,
        chosen: bool,
    ) -> Option<Self> {
        let host = options.get_host().to_owned();
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{host}:{}", options.get_port()),
        };
        if !chosen && (options.get_socket().is_some() || is_this_machine(&host)) {
            options = options.ssl_mode(MySqlSslMode::Disabled);
        } else if !chosen {
            options = options.ssl_mode(MySqlSslMode::VerifyIdentity);
        }
        if let Some(password) = password {
            options = options.password(password);
        }
        let shown = format!("mariadb {}@{place}", options.get_username());
        let shown = format!("{shown}/{}", options.get_database()?);
        let options = options
            .charset("utf8mb4")
            .collation("utf8mb4_nopad_bin")
            .statement_cache_capacity(Upserts::TEXTS_MAX + 50)
            .disable_statement_logging();
        let kind = Kind::Mariadb(Box::new(options));
        Some(Self { kind, shown })
    }

    fn postgres(
        mut options: PgConnectOptions,
        password: Option<&str>,
        chosen: bool,
    ) -> Option<Self> {
        let host = options.get_host().to_owned();
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{host}:{}", options.get_port()),
        };
        if !chosen && (options.get_socket().is_some() || is_this_machine(&host)) {
            options = options.ssl_mode(PgSslMode::Disable);
        } else if !chosen {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        if let Some(password) = password {
            options = options.password(password);
        }
        let shown = format!("postgresql {}@{place}", options.get_username());
        let shown = format!("{shown}/{}", options.get_database()?);
        let options = options
            .application_name("tier0")
            .statement_cache_capacity(Upserts::TEXTS_MAX + 50)
            .disable_statement_logging();
        let kind = Kind::Postgres(Box::new(options));
        Some(Self { kind, shown })
    }

    /// The file of a SQLite store; none where a server has it.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Sqlite(path) => Some(path),
            Kind::Mariadb(_) | Kind::Postgres(_) => None,
        }
    }

    /// What it speaks.
    pub(crate) fn dialect(&self) -> Dialect {
        match &self.kind {
            Kind::Sqlite(_) => Dialect::Sqlite,
            Kind::Mariadb(_) => Dialect::Mariadb,
            Kind::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A new connection.
    pub(crate) async fn connect(&self, purpose: Purpose) -> Result<Connection, sqlx::Error> {
        if let Kind::Sqlite(path) = &self.kind {
            let connection = sqlite(path, purpose).connect().await?;
            return Ok(Connection::Sqlite(connection));
        }
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.connect_to_server(purpose));
        connecting.await.unwrap_or_else(|_| {
            let kind = std::io::ErrorKind::TimedOut;
            let text = format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
            Err(sqlx::Error::Io(std::io::Error::new(kind, text)))
        })
    }

    async fn connect_to_server(&self, purpose: Purpose) -> Result<Connection, sqlx::Error> {
        let (mut connection, setup, reader) = match &self.kind {
            Kind::Mariadb(options) => {
                let connection = Connection::Mariadb(Box::new(options.connect().await?));
                (connection, MARIADB_SETUP, MARIADB_READER)
            }
            Kind::Postgres(options) => {
                let connection = Connection::Postgres(Box::new(options.connect().await?));
                (connection, POSTGRES_SETUP, POSTGRES_READER)
            }
            Kind::Sqlite(path) => {
                let connection = sqlite(path, purpose).connect().await?;
                return Ok(Connection::Sqlite(connection));
            }
        };
        connection.command(setup).await?;
        if purpose == Purpose::Read {
            connection.command(reader).await?;
        }
        Ok(connection)
    }
}

fn sqlite(path: &Path, purpose: Purpose) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .row_buffer_size(1_024)
        .disable_statement_logging();
    match purpose {
        Purpose::Write => options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(WRITER_WAITS)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("cache_size", CACHE_KIB.to_string())
            .statement_cache_capacity(Upserts::TEXTS_MAX + 50),
        Purpose::Read => options
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(READER_WAITS)
            .pragma("query_only", "1"),
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_secrets() {
        let check = |url: &str, expect: &str| {
            let shown = match Database::at(url, Some("secret")) {
                Ok(database) => format!("{database} {database:?}"),
                Err(error) => error.to_string(),
            };
            assert!(shown.contains(expect), "{url}: {shown}");
            assert!(
                !shown.contains("secret") && !shown.contains("word"),
                "{shown}"
            );
        };
        check(
            "mariadb://a:word@db.example:3307/t0",
            "mariadb a@db.example:3307/t0",
        );
        check("mysql://a@[::1]/t0", "mariadb a@[::1]:3306/t0");
        check(
            "postgresql://a:word@127.0.0.1:5433/t0",
            "postgresql a@127.0.0.1:5433/t0",
        );
        check("mariadb://a@127.0.0.1:3306", "names no database");
        check("oracle://a@127.0.0.1/t0", "begins with no database's name");
        check("store.db", "postgresql://user@host:port/database");
    }

    #[test]
    fn another_machine_is_spoken_to_in_secret_unless_said_otherwise() {
        let check = |url: &str, chosen: [&str; 2], mariadb: &str, postgres: &str| {
            let mode = |scheme: &str, chosen| match Database::at(
                &format!("{scheme}://a@{url}{chosen}"),
                None,
            ) {
                Ok(Database {
                    kind: Kind::Mariadb(options),
                    ..
                }) => {
                    format!("{:?}", options.get_ssl_mode())
                }
                Ok(Database {
                    kind: Kind::Postgres(options),
                    ..
                }) => {
                    format!("{:?}", options.get_ssl_mode())
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(mode("mariadb", chosen[0]), mariadb, "{url}");
            assert_eq!(mode("postgresql", chosen[1]), postgres, "{url}");
        };
        let none = ["", ""];
        check("127.0.0.1/t0", none, "Disabled", "Disable");
        check("[::1]/t0", none, "Disabled", "Disable");
        check("localhost/t0", none, "Disabled", "Disable");
        check("db.example/t0", none, "VerifyIdentity", "VerifyFull");
        let required = ["?ssl-mode=required", "?sslmode=require"];
        check("10.1.2.3/t0", required, "Required", "Require");
        check("127.0.0.1/t0", required, "Required", "Require");
    }
}
