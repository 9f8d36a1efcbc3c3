//! What the drivers say, in the words of the port. In come errors of the three databases, out go
//! `StoreError`s that say whether the same batch is tried again. An error that is not understood is
//! never taken for a harmless one.
//!
//! Trying a batch again is safe whatever happened to it (the fence tells), so what decides is only
//! whether waiting can mend it.

use crate::dialect::Dialect;
use ports::store::StoreError;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;

/// What an error means for whoever tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Somebody else has it, or was preferred: the same again.
    Busy,
    /// The server is not there, or not for us: the same again when it is back.
    Away,
    /// No space left.
    Full,
    /// A write was refused: the disk says why.
    Unwritten,
    /// The storage below cannot be trusted.
    Suspect,
    /// A row contradicts another, or a file is damaged.
    Corrupt,
    /// Anything else, with what to do about it where that is known.
    Other(&'static str),
}

const NO_HINT: &str = "";
const ACCESS: &str = "; check user and password of the store, and what the user may do";
const NO_DATABASE: &str = "; make the database first, or name another one in store.url";
const TOO_LARGE: &str = "; raise max_allowed_packet of the server to 16 MiB or more";

/// Result codes of SQLite (<https://www.sqlite.org/rescode.html>); the low byte is the primary
/// code. A shared-memory file that cannot grow (IOERR_SHMSIZE) is what a full disk looks like
/// before anything is written.
fn of_sqlite(number: i32) -> Class {
    const IOERR_SHMSIZE: i32 = 0x130a;
    const IOERR_WRITE: i32 = 0x030a;
    match (number, number & 0xff) {
        (IOERR_SHMSIZE, _) | (_, 13) => Class::Full,
        (_, 5 | 6) => Class::Busy,
        (IOERR_WRITE, _) | (_, 8 | 14) => Class::Unwritten,
        (_, 10) => Class::Suspect,
        (_, 11 | 26) => Class::Corrupt,
        _ => Class::Other(NO_HINT),
    }
}

/// Numbers of MariaDB (<https://mariadb.com/kb/en/mariadb-error-code-reference/>).
fn of_mariadb(number: u16, message: &str) -> Class {
    match number {
        // Lock wait timeout, deadlock, changed since read, query killed, statement timeout, too
        // many connections.
        1205 | 1213 | 1020 | 1317 | 1969 | 1040 | 1203 => Class::Busy,
        // Shutdown, connection killed or broken, not ready in a cluster, read-only after a
        // failover.
        1053 | 1077..=1080 | 1152 | 1158..=1161 | 1184 | 1927 | 1047 | 1290 | 1836 => Class::Away,
        1021 | 1114 => Class::Full,
        // Error on write, with the reason of the operating system.
        1026 if message.contains("28") => Class::Full,
        // Marked as crashed, index damaged.
        1194 | 1195 | 1712 | 1877 => Class::Corrupt,
        1044 | 1045 | 1142 | 1227 | 1698 => Class::Other(ACCESS),
        1049 => Class::Other(NO_DATABASE),
        1153 => Class::Other(TOO_LARGE),
        _ => Class::Other(NO_HINT),
    }
}

/// SQLSTATE of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn of_postgres(state: &str) -> Class {
    match state {
        // Serialization, deadlock, lock not available, cancelled, too many connections, no memory.
        "40001" | "40P01" | "55P03" | "57014" | "53300" | "53200" => Class::Busy,
        // Shutdown, crash, not yet up, idle in a transaction for too long, read-only standby.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006" => Class::Away,
        "53100" => Class::Full,
        "58030" => Class::Suspect,
        "XX001" | "XX002" => Class::Corrupt,
        "42501" => Class::Other(ACCESS),
        "3D000" => Class::Other(NO_DATABASE),
        state if state.starts_with("08") => Class::Away,
        state if state.starts_with("28") => Class::Other(ACCESS),
        _ => Class::Other(NO_HINT),
    }
}

fn of_database(error: &dyn DatabaseError) -> Class {
    if error.is_unique_violation() {
        return Class::Corrupt;
    }
    if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return of_mariadb(error.number(), error.message());
    }
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        return of_postgres(error.code());
    }
    let code = error.code();
    of_sqlite(code.and_then(|code| code.parse().ok()).unwrap_or(0))
}

fn class_of(dialect: Dialect, error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Database(error) => of_database(error.as_ref()),
        // Whoever asks a server waits for its answer; SQLite's files answer or are broken.
        sqlx::Error::Io(_) if dialect == Dialect::Sqlite => Class::Suspect,
        sqlx::Error::Io(_) => Class::Away,
        // What a server said while it went down came out of turn.
        sqlx::Error::Protocol(_) if dialect != Dialect::Sqlite => Class::Away,
        sqlx::Error::PoolTimedOut => Class::Busy,
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => Class::Corrupt,
        _ => Class::Other(NO_HINT),
    }
}

/// Whether a server went away, so that a new connection may find it.
pub(crate) fn is_away(dialect: Dialect, error: &sqlx::Error) -> bool {
    class_of(dialect, error) == Class::Away
}

/// Whether MariaDB refused to set a column to nothing: how an upsert of ours says that a row
/// contradicts one on record.
pub(crate) fn is_refused_column(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    let database = database.and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    database.is_some_and(|error| error.number() == 1048)
}

/// Translates an error of a driver; `tried` says what was tried, on what.
pub(crate) fn from_database(dialect: Dialect, tried: &str, error: sqlx::Error) -> StoreError {
    let class = class_of(dialect, &error);
    let contradicts = error
        .as_database_error()
        .is_some_and(DatabaseError::is_unique_violation);
    let detail = match &error {
        // Without the words that the driver puts before it.
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    };
    let tried = tried.to_owned();
    match class {
        Class::Busy => StoreError::Busy { tried, detail },
        Class::Away => StoreError::Away { tried, detail },
        Class::Full => StoreError::Full { tried, detail },
        Class::Unwritten => StoreError::Unwritten { tried, detail },
        Class::Suspect => StoreError::Suspect { tried, detail },
        Class::Corrupt if contradicts => StoreError::Corrupt {
            tried,
            detail: format!("a row contradicts one on record ({detail})"),
        },
        Class::Corrupt => StoreError::Corrupt { tried, detail },
        Class::Other(hint) => StoreError::Other {
            tried,
            detail: detail + hint,
        },
    }
}

/// Translates an error of the migrations.
pub(crate) fn from_migration(dialect: Dialect, tried: &str, error: MigrateError) -> StoreError {
    let detail = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            return from_database(dialect, tried, error);
        }
        MigrateError::VersionMissing(version) => format!(
            "it has migration {version}, which this program does not know: a newer program made \
             it; use that one"
        ),
        MigrateError::VersionMismatch(version) => format!(
            "its migration {version} is not the one of this program: another program made it; use \
             that one, or restore the store from a backup"
        ),
        MigrateError::Source(detail) => detail.to_string(),
        other => other.to_string(),
    };
    StoreError::Other {
        tried: tried.to_owned(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_sqlite_become_words_of_the_port() {
        let check = |number, expect| assert_eq!(of_sqlite(number), expect, "{number}");
        check(5, Class::Busy);
        check(0x0205, Class::Busy);
        check(6, Class::Busy);
        check(13, Class::Full);
        check(0x130a, Class::Full);
        check(10, Class::Suspect);
        check(0x040a, Class::Suspect);
        check(11, Class::Corrupt);
        check(26, Class::Corrupt);
        check(0x030a, Class::Unwritten);
        check(8, Class::Unwritten);
        check(14, Class::Unwritten);
        check(1, Class::Other(NO_HINT));
    }

    #[test]
    fn codes_of_servers_become_words_of_the_port() {
        let check = |number, expect| assert_eq!(of_mariadb(number, ""), expect, "{number}");
        check(1213, Class::Busy);
        check(1205, Class::Busy);
        check(1927, Class::Away);
        check(1053, Class::Away);
        check(1114, Class::Full);
        check(1045, Class::Other(ACCESS));
        check(1064, Class::Other(NO_HINT));
        let full = "Error writing file (Errcode: 28 \"No space left on device\")";
        assert_eq!(of_mariadb(1026, full), Class::Full);
        let check = |state, expect| assert_eq!(of_postgres(state), expect, "{state}");
        check("40001", Class::Busy);
        check("40P01", Class::Busy);
        check("57P01", Class::Away);
        check("08006", Class::Away);
        check("53100", Class::Full);
        check("58030", Class::Suspect);
        check("28P01", Class::Other(ACCESS));
        check("42601", Class::Other(NO_HINT));
    }
}
