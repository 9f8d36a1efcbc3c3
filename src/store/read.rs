//! Reading bodies back. In comes a query whose only column is `body`, out go values of the model. A
//! body that cannot be read, an unknown state among them, is an error that quotes it; it is never
//! skipped.

use crate::rows::Cell;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, Row as _};

/// Cells as the driver takes them, in order.
pub(crate) fn arguments(
    cells: impl IntoIterator<Item = Cell>,
) -> Result<SqliteArguments, sqlx::Error> {
    let cells = cells.into_iter();
    let mut arguments = SqliteArguments::default();
    arguments.reserve(cells.size_hint().0, 0);
    for cell in cells {
        match cell {
            Cell::Nothing => arguments.add(None::<i64>),
            Cell::Number(number) => arguments.add(number),
            Cell::Text(text) => arguments.add(text),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
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
    sqlx::query_with(sql, arguments(cells)?)
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
