//! One connection to any of the three databases. In come statements in the store's spelling and
//! cells, out come counts and rows whose fields are numbers and texts. Everything above this file
//! says what it wants once.

use crate::dialect::Dialect;
use crate::rows::Cell;
use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlRow};
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgConnection, PgRow, PgTypeInfo};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Row as _};
use std::borrow::Cow;
use std::sync::Arc;

/// A connection that is open.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Mariadb(Box<MySqlConnection>),
    Postgres(Box<PgConnection>),
}

/// Values as a driver takes them.
pub(crate) enum Values {
    Sqlite(SqliteArguments),
    Mariadb(MySqlArguments),
    Postgres(PgArguments),
}

/// No value of no type in particular: PostgreSQL takes the column's.
struct Nothing;

impl sqlx::Type<sqlx::Postgres> for Nothing {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl sqlx::Encode<'_, sqlx::Postgres> for Nothing {
    fn encode_by_ref(
        &self,
        _: &mut PgArgumentBuffer,
    ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
        Ok(sqlx::encode::IsNull::Yes)
    }
}

/// Puts cells down in order; what stands for "nothing" differs.
macro_rules! put_down {
    ($kind:ident, $nothing:expr, $cells:expr) => {{
        let mut arguments = $kind::default();
        arguments.reserve($cells.len(), 0);
        for cell in $cells {
            match cell {
                Cell::Nothing => arguments.add($nothing),
                Cell::Number(number) => arguments.add(number),
                Cell::Text(text) => arguments.add(text),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        arguments
    }};
}

impl Values {
    /// Cells for a dialect, in order.
    pub(crate) fn of(dialect: Dialect, cells: Vec<Cell>) -> Result<Self, sqlx::Error> {
        Ok(match dialect {
            Dialect::Sqlite => Self::Sqlite(put_down!(SqliteArguments, None::<i64>, cells)),
            Dialect::Mariadb => Self::Mariadb(put_down!(MySqlArguments, None::<i64>, cells)),
            Dialect::Postgres => Self::Postgres(put_down!(PgArguments, Nothing, cells)),
        })
    }
}

/// A row that was read.
pub(crate) enum Fields {
    Sqlite(SqliteRow),
    Mariadb(MySqlRow),
    Postgres(PgRow),
}

impl Fields {
    /// A number that is there.
    pub(crate) fn number(&self, place: usize) -> Result<i64, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(place),
            Self::Mariadb(row) => row.try_get(place),
            Self::Postgres(row) => row.try_get(place),
        }
    }

    /// A number that may be absent.
    pub(crate) fn number_if_any(&self, place: usize) -> Result<Option<i64>, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(place),
            Self::Mariadb(row) => row.try_get(place),
            Self::Postgres(row) => row.try_get(place),
        }
    }

    /// A text.
    pub(crate) fn text(&self, place: usize) -> Result<&str, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(place),
            Self::Mariadb(row) => row.try_get(place),
            Self::Postgres(row) => row.try_get(place),
        }
    }
}

/// Runs one expression for whichever driver it is, given values of its own.
macro_rules! with_driver {
    (
        $connection:expr, $sql:expr, $values:expr,
        |$query:ident, $to:ident, $fields:ident| $run:expr
    ) => {
        match ($connection, $values) {
            (Connection::Sqlite($to), Values::Sqlite(values)) => {
                let ($query, $fields) = (sqlx::query_with($sql, values), Fields::Sqlite);
                $run
            }
            (Connection::Mariadb($to), Values::Mariadb(values)) => {
                let ($query, $fields) = (sqlx::query_with($sql, values), Fields::Mariadb);
                let $to = &mut **$to;
                $run
            }
            (Connection::Postgres($to), Values::Postgres(values)) => {
                let ($query, $fields) = (sqlx::query_with($sql, values), Fields::Postgres);
                let $to = &mut **$to;
                $run
            }
            _ => Err(sqlx::Error::InvalidArgument(
                "values of another dialect".to_owned(),
            )),
        }
    };
}

impl Connection {
    /// What it speaks.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Mariadb(_) => Dialect::Mariadb,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        cells: impl IntoIterator<Item = Cell>,
    ) -> Result<u64, sqlx::Error> {
        let dialect = self.dialect();
        let values = Values::of(dialect, cells.into_iter().collect())?;
        self.execute_spelt(dialect.spell(sql).into(), values).await
    }

    /// Runs a text that is spelt already; how many rows it changed, as the database counts them.
    pub(crate) async fn execute_spelt(
        &mut self,
        sql: Arc<str>,
        values: Values,
    ) -> Result<u64, sqlx::Error> {
        with_driver!(self, AssertSqlSafe(sql), values, |query, to, _fields| {
            query.execute(to).await.map(|done| done.rows_affected())
        })
    }

    /// Runs something that has no values and belongs to the connection rather than to its data.
    pub(crate) async fn command(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        // A text of its own each time: such statements are no use in a cache.
        let raw = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(to) => raw.execute(to).await.map(|_| ()),
            Self::Mariadb(to) => raw.execute(&mut **to).await.map(|_| ()),
            Self::Postgres(to) => raw.execute(&mut **to).await.map(|_| ()),
        }
    }

    /// All rows of a question, in its order.
    pub(crate) async fn rows<T: Send>(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        cells: impl IntoIterator<Item = Cell>,
        read: impl Fn(&Fields) -> Result<T, sqlx::Error> + Send + Sync,
    ) -> Result<Vec<T>, sqlx::Error> {
        let mut found = Vec::new();
        let mut take = |row: &Fields| read(row).map(|value| found.push(value));
        let cells = cells.into_iter().collect();
        self.each_row(sql.into(), cells, &mut take).await?;
        Ok(found)
    }

    /// Hands over the rows of a question one by one. Apart from `rows`, so that the drivers' code
    /// is made once and not again for every kind of row.
    async fn each_row(
        &mut self,
        sql: Cow<'static, str>,
        cells: Vec<Cell>,
        take: &mut (dyn FnMut(&Fields) -> Result<(), sqlx::Error> + Send),
    ) -> Result<(), sqlx::Error> {
        let dialect = self.dialect();
        let (sql, values) = (dialect.spell(sql), Values::of(dialect, cells)?);
        with_driver!(self, AssertSqlSafe(sql), values, |query, to, fields| {
            let rows = query.try_map(|row| take(&fields(row))).fetch_all(to);
            rows.await.map(|_: Vec<()>| ())
        })
    }
}
