//! Reading bodies back. In comes a query whose only column is `body`, out go values of the model. A
//! body that cannot be read, an unknown state among them, is an error that quotes it; it is never
//! skipped.

use crate::connection::{Connection, Fields};
use crate::rows::Cell;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// All rows of a query, in its order.
pub(crate) async fn bodies<T>(
    connection: &mut Connection,
    sql: impl Into<Cow<'static, str>>,
    cells: impl IntoIterator<Item = Cell>,
) -> Result<Vec<T>, sqlx::Error>
where
    T: DeserializeOwned + Send + Unpin,
{
    connection.rows(sql, cells, parse).await
}

/// Characters of a bad body that are quoted.
const QUOTED_MAX: usize = 300;

fn parse<T: DeserializeOwned>(row: &Fields) -> Result<T, sqlx::Error> {
    let body = row.text(0)?;
    serde_json::from_str(body).map_err(|error| {
        let quoted: String = body.chars().take(QUOTED_MAX).collect();
        sqlx::Error::Decode(format!("{error} in the body {quoted}").into())
    })
}
