//! The three dialects, and how one SQL is spelt in each (D11). In come statements and migrations in
//! the store's own spelling (`?` for values, BIGINT, VARCHAR and TEXT), out goes what the database
//! reads. Only words are exchanged here: a statement means the same everywhere.
//!
//! Texts compare byte by byte whatever the database was made with: on MariaDB each table says so
//! (`utf8mb4_nopad_bin`, which also tells "a" from "a "), on PostgreSQL each column does (`"C"`).

use std::borrow::Cow;

/// The dialects that the store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite 3.24 and later (<https://www.sqlite.org/lang_upsert.html>).
    Sqlite,
    /// MariaDB 10.6 and later.
    Mariadb,
    /// PostgreSQL 13 and later.
    Postgres,
}

/// What every table of MariaDB is made with: transactions, and texts that compare by bytes.
const MARIADB_TABLE: &str = " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin";

impl Dialect {
    /// A statement with its places for values.
    pub(crate) fn spell(self, sql: impl Into<Cow<'static, str>>) -> Cow<'static, str> {
        let sql = sql.into();
        match self {
            // The same type under another name, in casts alone.
            Self::Mariadb if sql.contains(" AS BIGINT)") => {
                Cow::Owned(sql.replace(" AS BIGINT)", " AS SIGNED)"))
            }
            Self::Postgres if sql.contains('?') => Cow::Owned(numbered(&sql)),
            Self::Sqlite | Self::Mariadb | Self::Postgres => sql,
        }
    }

    /// A migration file, statement by statement.
    pub(crate) fn migration(self, file: &str) -> Vec<String> {
        let statements = statements(file).into_iter();
        statements.map(|pieces| self.definition(&pieces)).collect()
    }

    /// One statement of a migration.
    fn definition(self, pieces: &[Piece<'_>]) -> String {
        let mut text = String::new();
        let mut pieces = pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            match (self, piece) {
                (Self::Mariadb, Piece::Word("TEXT")) => text.push_str("LONGTEXT"),
                (Self::Postgres, Piece::Word("TEXT")) => text.push_str("TEXT COLLATE \"C\""),
                (Self::Postgres, Piece::Word("VARCHAR")) => {
                    text.push_str("VARCHAR");
                    for piece in pieces.by_ref() {
                        text.push_str(piece.text());
                        if piece.text() == ")" {
                            break;
                        }
                    }
                    text.push_str(" COLLATE \"C\"");
                }
                _ => text.push_str(piece.text()),
            }
        }
        // Only there does an index belong to its table.
        if self != Self::Mariadb
            && text.starts_with("DROP INDEX ")
            && let Some(at) = text.find(" ON ")
        {
            text.truncate(at);
        }
        if self == Self::Mariadb && text.starts_with("CREATE TABLE") {
            text.push_str(MARIADB_TABLE);
        }
        text
    }
}

/// `$1`, `$2` ... for each `?`. Statements of this room hold no `?` that means anything else.
fn numbered(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 16);
    for (number, part) in sql.split('?').enumerate() {
        if number > 0 {
            text.push('$');
            text.push_str(&number.to_string());
        }
        text.push_str(part);
    }
    text
}

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A word of SQL.
    Word(&'a str),
    /// A text in quotes, with them.
    Quoted(&'a str),
    /// Anything else: blanks, signs.
    Other(&'a str),
}

impl<'a> Piece<'a> {
    fn text(&self) -> &'a str {
        match self {
            Self::Word(text) | Self::Quoted(text) | Self::Other(text) => text,
        }
    }
}

/// The next piece and what follows it; a comment is a blank.
fn piece(rest: &str) -> (Piece<'_>, &str) {
    if rest.starts_with("--") {
        let end = rest.find('\n').unwrap_or(rest.len());
        return (Piece::Other(" "), &rest[end..]);
    }
    if let Some(behind) = rest.strip_prefix('\'') {
        let end = behind.find('\'').map_or(rest.len(), |end| end + 2);
        return (Piece::Quoted(&rest[..end]), &rest[end..]);
    }
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
    if end > 0 {
        return (Piece::Word(&rest[..end]), &rest[end..]);
    }
    let end = rest.chars().next().map_or(0, char::len_utf8);
    (Piece::Other(&rest[..end]), &rest[end..])
}

/// Cuts a file into its statements, without comments and the blanks around them.
pub(crate) fn statements(file: &str) -> Vec<Vec<Piece<'_>>> {
    let (mut found, mut statement, mut rest) = (Vec::new(), Vec::new(), file);
    while !rest.is_empty() {
        let (next, behind) = piece(rest);
        rest = behind;
        let is_blank = next.text().trim().is_empty();
        match next {
            Piece::Other(";") => found.push(std::mem::take(&mut statement)),
            _ if is_blank && statement.is_empty() => {}
            _ => statement.push(next),
        }
    }
    found.push(statement);
    found.retain(|statement| !statement.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_for_values_are_spelt_as_each_database_reads_them() {
        let sql = "SELECT CAST(SUM(events) AS BIGINT) FROM file WHERE run = ? AND id > ?";
        assert_eq!(Dialect::Sqlite.spell(sql), sql);
        assert_eq!(
            Dialect::Mariadb.spell(sql),
            "SELECT CAST(SUM(events) AS SIGNED) FROM file WHERE run = ? AND id > ?"
        );
        assert_eq!(
            Dialect::Postgres.spell(sql),
            "SELECT CAST(SUM(events) AS BIGINT) FROM file WHERE run = $1 AND id > $2"
        );
    }

    #[test]
    fn a_migration_is_cut_and_spelt() {
        let file = "-- It's a comment; with a semicolon.\n\
                    CREATE TABLE a (name VARCHAR(12) NOT NULL, -- TEXT\n body TEXT NOT NULL);\n\
                    INSERT INTO a VALUES ('TEXT; it''s', ';');\n\
                    DROP INDEX a_name ON a;\n\n";
        let check = |dialect: Dialect, table: &str| {
            let insert = "INSERT INTO a VALUES ('TEXT; it''s', ';')";
            let drop = match dialect {
                Dialect::Mariadb => "DROP INDEX a_name ON a",
                Dialect::Sqlite | Dialect::Postgres => "DROP INDEX a_name",
            };
            assert_eq!(
                dialect.migration(file),
                [table, insert, drop],
                "{dialect:?}"
            );
        };
        check(
            Dialect::Sqlite,
            "CREATE TABLE a (name VARCHAR(12) NOT NULL,  \n body TEXT NOT NULL)",
        );
        check(
            Dialect::Mariadb,
            "CREATE TABLE a (name VARCHAR(12) NOT NULL,  \n body LONGTEXT NOT NULL) \
             ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin",
        );
        check(
            Dialect::Postgres,
            "CREATE TABLE a (name VARCHAR(12) COLLATE \"C\" NOT NULL,  \n \
             body TEXT COLLATE \"C\" NOT NULL)",
        );
    }
}
