//! One helper for all upserts: the text of a multi-row statement in the dialect of a database, made
//! once per table and number of rows and kept. In come tables, out goes SQL. No other place in the
//! room may spell an upsert.

use crate::dialect::Dialect;
use crate::migrations;
use crate::rows::{Cell, Contents, Table};
use crate::widths::Widths;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of one statement, at most: enough to hide the way to the driver's thread or to a server
/// (20 to 100 us), few enough to keep every statement's text and values small. 512 rows of 14
/// columns stay below SQLite's 32,766 values.
const ROWS_MAX: usize = 512;

/// One row's places for values; `number` counts them where the dialect numbers them.
fn places(dialect: Dialect, columns: usize, number: &mut usize) -> String {
    let place = |_| match dialect {
        Dialect::Sqlite | Dialect::Mariadb => "?".to_owned(),
        Dialect::Postgres => {
            *number += 1;
            format!("${number}")
        }
    };
    format!(
        "({})",
        (0..columns).map(place).collect::<Vec<_>>().join(",")
    )
}

/// What happens to a row whose key exists already: its value is replaced, unless a fixed column
/// differs or another row has what must be its own.
///
/// SQLite and PostgreSQL then leave the row as it is and do not count it, or say which unique index
/// was hurt. MariaDB would take a match of *any* unique index for the same row: so each column that
/// may not change is set to nothing where it would, which the database refuses.
fn on_conflict(dialect: Dialect, table: &Table) -> String {
    let columns = ["agent"].iter().chain(table.columns).chain(&["body"]);
    let kept = |column: &str| table.key.contains(&column) || table.fixed == Some(column);
    let changed = columns.filter(|column| !kept(column));
    match dialect {
        Dialect::Sqlite | Dialect::Postgres => {
            let set: Vec<String> = changed.map(|c| format!("{c}=excluded.{c}")).collect();
            let unless = table.fixed.map_or(String::new(), |fixed| {
                format!(" WHERE {}.{fixed}=excluded.{fixed}", table.name)
            });
            let (key, set) = (table.key.join(","), set.join(","));
            format!(" ON CONFLICT ({key}) DO UPDATE SET {set}{unless}")
        }
        Dialect::Mariadb => {
            let kept = table.key.iter().chain(&table.fixed);
            let guards = kept.map(|c| format!("{c}=IF({c}=VALUES({c}),{c},NULL)"));
            let set: Vec<String> = guards
                .chain(changed.map(|c| format!("{c}=VALUES({c})")))
                .collect();
            format!(" ON DUPLICATE KEY UPDATE {}", set.join(","))
        }
    }
}

fn upsert(dialect: Dialect, table: &Table, rows: usize) -> String {
    let mut number = 0;
    let values = (0..rows).map(|_| places(dialect, table.width(), &mut number));
    format!(
        "INSERT INTO {} (agent,{},body) VALUES {}{}",
        table.name,
        table.columns.join(","),
        values.collect::<Vec<_>>().join(","),
        on_conflict(dialect, table)
    )
}

/// Texts of upserts, made once.
///
/// Rows are cut into powers of two, so that there are only ten texts for each table and every one
/// of them is prepared once by the driver, whatever the size of a batch.
#[derive(Debug)]
pub(crate) struct Upserts {
    dialect: Dialect,
    texts: BTreeMap<(&'static str, usize), Arc<str>>,
    widths: Widths,
}

impl Upserts {
    /// Texts that exist at most, for up to 32 tables: what the driver's cache of prepared
    /// statements must hold.
    pub(crate) const TEXTS_MAX: usize = 32 * (ROWS_MAX.ilog2() as usize + 1);

    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            texts: BTreeMap::new(),
            widths: migrations::widths(),
        }
    }

    /// How many of so many rows the next statement takes.
    pub(crate) fn cut(rows: usize) -> usize {
        let bounded = rows.clamp(1, ROWS_MAX);
        1 << bounded.ilog2()
    }

    /// Puts down the cells of a row's columns, made to fit.
    pub(crate) fn cells(&self, table: &Table, row: &dyn Contents, cells: &mut Vec<Cell>) {
        let before = cells.len();
        row.cells(cells);
        self.widths.fit(table, &mut cells[before..]);
    }

    /// The text for so many rows of a table.
    pub(crate) fn text(&mut self, table: &Table, rows: usize) -> Arc<str> {
        let dialect = self.dialect;
        let text = self.texts.entry((table.name, rows));
        text.or_insert_with(|| Arc::from(upsert(dialect, table, rows)))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THING: Table = Table {
        name: "thing",
        columns: &["a", "b", "c", "d"],
        key: &["a", "b"],
        fixed: Some("d"),
    };

    #[test]
    fn an_upsert_replaces_the_value_and_never_the_key_or_a_fixed_column() {
        let check = |dialect, table: &Table, rows, expect: &str| {
            assert_eq!(&*Upserts::new(dialect).text(table, rows), expect);
        };
        check(
            Dialect::Sqlite,
            &THING,
            2,
            "INSERT INTO thing (agent,a,b,c,d,body) VALUES (?,?,?,?,?,?),(?,?,?,?,?,?) \
             ON CONFLICT (a,b) DO UPDATE SET agent=excluded.agent,c=excluded.c,body=excluded.body \
             WHERE thing.d=excluded.d",
        );
        let free = Table {
            fixed: None,
            ..THING
        };
        check(
            Dialect::Postgres,
            &free,
            2,
            "INSERT INTO thing (agent,a,b,c,d,body) VALUES ($1,$2,$3,$4,$5,$6),\
             ($7,$8,$9,$10,$11,$12) ON CONFLICT (a,b) DO UPDATE SET \
             agent=excluded.agent,c=excluded.c,d=excluded.d,body=excluded.body",
        );
        check(
            Dialect::Mariadb,
            &THING,
            1,
            "INSERT INTO thing (agent,a,b,c,d,body) VALUES (?,?,?,?,?,?) ON DUPLICATE KEY UPDATE \
             a=IF(a=VALUES(a),a,NULL),b=IF(b=VALUES(b),b,NULL),d=IF(d=VALUES(d),d,NULL),\
             agent=VALUES(agent),c=VALUES(c),body=VALUES(body)",
        );
    }

    #[test]
    fn rows_are_cut_into_powers_of_two() {
        let check = |mut rows: usize, expect: &[usize]| {
            let mut cuts = Vec::new();
            while rows > 0 {
                cuts.push(Upserts::cut(rows));
                rows -= Upserts::cut(rows);
            }
            assert_eq!(cuts, expect);
        };
        check(1, &[1]);
        check(7, &[4, 2, 1]);
        check(512, &[512]);
        check(1_030, &[512, 512, 4, 2]);
    }
}
