//! Questions about rows that are at work or history: the same condition on a table and on its
//! history, in one statement, so that what moves in between is seen once. Each side is cut before
//! they are laid together: neither is read further than the answer goes.

use crate::reader::limit;
use crate::rows::Cell;
use ports::catalogue::Page;

/// Bodies of a table and its history behind a condition.
pub(crate) struct Both {
    table: &'static str,
    condition: String,
    cells: Vec<Cell>,
}

impl Both {
    /// Rows for which a condition holds. Its text is made of our own words alone.
    pub(crate) fn of(table: &'static str, condition: impl Into<String>, cells: Vec<Cell>) -> Self {
        Self {
            table,
            condition: condition.into(),
            cells,
        }
    }

    /// All of them, in the order of some columns.
    pub(crate) fn in_order(self, key: &str) -> (String, Vec<Cell>) {
        let Self {
            table, condition, ..
        } = &self;
        let sql = format!(
            "SELECT body, {key} FROM {table} WHERE {condition} UNION ALL \
             SELECT body, {key} FROM {table}_history WHERE {condition} ORDER BY {key}"
        );
        let cells = [&self.cells[..], &self.cells].concat();
        (sql, cells)
    }

    /// As many as a page may have, in the order of its key.
    pub(crate) fn page(self, key: &str, page: Page) -> (String, Vec<Cell>) {
        let Self {
            table, condition, ..
        } = &self;
        let sql = format!(
            "SELECT body, {key} FROM (SELECT body, {key} FROM {table} WHERE {condition} \
             ORDER BY {key} LIMIT ?) at_work UNION ALL \
             SELECT body, {key} FROM (SELECT body, {key} FROM {table}_history WHERE {condition} \
             ORDER BY {key} LIMIT ?) moved ORDER BY {key} LIMIT ?"
        );
        let most = [limit(page)];
        let cells = [&self.cells[..], &most, &self.cells, &most, &most].concat();
        (sql, cells)
    }
}
