//! What the driver says, in the words of the port. In come errors of SQLite through its driver, out
//! go `StoreError`s that say whether the same batch is tried again. An error that is not understood
//! is never taken for a harmless one.

use ports::store::StoreError;
use sqlx::migrate::MigrateError;

/// Result codes of SQLite (<https://www.sqlite.org/rescode.html>); the low byte is the primary
/// code.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
    /// The shared-memory file could not grow: what a full disk looks like before anything is
    /// written.
    pub(super) const IOERR_SHMSIZE: i32 = IOERR | (19 << 8);
}

/// Translates an error of SQLite's driver; `tried` says what was tried, on what.
pub(crate) fn from_sqlite(tried: &str, error: sqlx::Error) -> StoreError {
    let (tried, detail) = (tried.to_owned(), error.to_string());
    match error {
        sqlx::Error::Database(database) => {
            if database.is_unique_violation() {
                let detail = format!("a row contradicts one on record ({detail})");
                return StoreError::Corrupt { tried, detail };
            }
            let number = database
                .code()
                .and_then(|code| code.parse().ok())
                .unwrap_or(0);
            from_code(tried, detail, number)
        }
        sqlx::Error::PoolTimedOut => StoreError::Busy { tried, detail },
        sqlx::Error::Io(_) => StoreError::Suspect { tried, detail },
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
            StoreError::Corrupt { tried, detail }
        }
        _ => StoreError::Other { tried, detail },
    }
}

fn from_code(tried: String, detail: String, number: i32) -> StoreError {
    if number == code::IOERR_SHMSIZE {
        return StoreError::Full { tried, detail };
    }
    match number & 0xff {
        code::BUSY | code::LOCKED => StoreError::Busy { tried, detail },
        code::FULL => StoreError::Full { tried, detail },
        code::IOERR => StoreError::Suspect { tried, detail },
        code::CORRUPT | code::NOTADB => StoreError::Corrupt { tried, detail },
        code::READONLY | code::CANTOPEN => StoreError::Other {
            tried,
            detail: format!("{detail}; check owner, permissions and mount of the state folder"),
        },
        _ => StoreError::Other { tried, detail },
    }
}

/// Translates an error of the migrations.
pub(crate) fn from_migration(tried: &str, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            from_sqlite(tried, error)
        }
        MigrateError::VersionMissing(version) => StoreError::Other {
            tried: tried.to_owned(),
            detail: format!(
                "it has migration {version}, which this program does not know: a newer program \
                 made it; use that one"
            ),
        },
        other => StoreError::Other {
            tried: tried.to_owned(),
            detail: other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_sqlite_become_words_of_the_port() {
        let check = |number: i32, expect: &str| {
            let error = from_code("commit".to_owned(), "it".to_owned(), number);
            assert!(
                format!("{error:?}").starts_with(expect),
                "{number}: {error:?}"
            );
        };
        check(5, "Busy");
        check(0x0205, "Busy");
        check(6, "Busy");
        check(13, "Full");
        check(0x130a, "Full");
        check(10, "Suspect");
        check(0x040a, "Suspect");
        check(11, "Corrupt");
        check(26, "Corrupt");
        check(8, "Other");
        check(1, "Other");
    }
}
