//! Reading bodies back. In comes a query whose only column is `body`, out go values of the model. A body that cannot be
//! read, an unknown state among them, is an error that quotes it; it is never skipped.

use crate::rows::Cell;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};

/// Binds cells to a statement, in order.
pub(crate) fn bind(
    mut query: sqlx::query::Query<'_, Sqlite, SqliteArguments>,
    cells: impl IntoIterator<Item = Cell>,
) -> sqlx::query::Query<'_, Sqlite, SqliteArguments> {
    for cell in cells {
        query = match cell {
            Cell::Nothing => query.bind(None::<i64>),
            Cell::Number(number) => query.bind(number),
            Cell::Text(text) => query.bind(text),
        };
    }
    query
}

/// All rows of a query, in its order.
pub(crate) async fn bodies<T>(
    connection: &mut SqliteConnection,
    sql: &'static str,
    cells: impl IntoIterator<Item = Cell>,
) -> Result<Vec<T>, sqlx::Error>
where
    T: DeserializeOwned + Send + Unpin,
{
    bind(sqlx::query(sql), cells)
        .try_map(|row| parse(&row))
        .fetch_all(connection)
        .await
}

/// Characters of a bad body that are quoted.
const QUOTED_MAX: usize = 300;

fn parse<T: DeserializeOwned>(row: &SqliteRow) -> Result<T, sqlx::Error> {
    let body: &str = row.try_get(0)?;
    serde_json::from_str(body).map_err(|error| {
        let quoted: String = body.chars().take(QUOTED_MAX).collect();
        sqlx::Error::Decode(format!("{error} in the body {quoted}").into())
    })
}
