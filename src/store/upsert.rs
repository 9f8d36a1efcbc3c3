//! One helper for all upserts: the text of a multi-row statement in the dialect of a database, made
//! once per table and number of rows and kept. In come tables, out goes SQL. No other place in the
//! room may spell an upsert.

use crate::rows::Table;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The dialects that the store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite 3.24 and later (<https://www.sqlite.org/lang_upsert.html>).
    Sqlite,
}

impl Dialect {
    /// Rows of one statement, at most: enough to hide the way to the driver's thread (about 20 us),
    /// few enough to keep every statement's text and values small. 512 rows of 14 columns stay
    /// below SQLite's 32,766 values.
    const ROWS_MAX: usize = 512;

    /// One row's values, to be repeated.
    fn values(self, columns: usize) -> String {
        match self {
            Self::Sqlite => format!("({})", vec!["?"; columns].join(",")),
        }
    }

    /// What happens to a row whose key exists already: its value is replaced, unless a fixed column
    /// differs. Then the row is left as it is and not counted as changed.
    fn on_conflict(self, table: &Table) -> String {
        let columns = ["agent"].iter().chain(table.columns).chain(&["body"]);
        let changed = columns.filter(|column| {
            !table.key.contains(column) && table.fixed.is_none_or(|fixed| fixed != **column)
        });
        match self {
            Self::Sqlite => {
                let set: Vec<String> = changed.map(|c| format!("{c}=excluded.{c}")).collect();
                let unless = table.fixed.map_or(String::new(), |fixed| {
                    format!(" WHERE {}.{fixed}=excluded.{fixed}", table.name)
                });
                let (key, set) = (table.key.join(","), set.join(","));
                format!(" ON CONFLICT ({key}) DO UPDATE SET {set}{unless}")
            }
        }
    }

    fn upsert(self, table: &Table, rows: usize) -> String {
        let values = vec![self.values(table.width()); rows].join(",");
        format!(
            "INSERT INTO {} (agent,{},body) VALUES {values}{}",
            table.name,
            table.columns.join(","),
            self.on_conflict(table)
        )
    }
}

/// Texts of upserts, made once.
///
/// Rows are cut into powers of two, so that there are only ten texts for each table and every one
/// of them is prepared once by the driver, whatever the size of a batch.
#[derive(Debug)]
pub(crate) struct Upserts {
    dialect: Dialect,
    texts: BTreeMap<(&'static str, usize), Arc<str>>,
}

impl Upserts {
    /// Texts that exist at most: what the driver's cache of prepared statements must hold.
    pub(crate) const TEXTS_MAX: usize = 16 * (Dialect::ROWS_MAX.ilog2() as usize + 1);

    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            texts: BTreeMap::new(),
        }
    }

    /// How many of so many rows the next statement takes.
    pub(crate) fn cut(rows: usize) -> usize {
        let bounded = rows.clamp(1, Dialect::ROWS_MAX);
        1 << bounded.ilog2()
    }

    /// The text for so many rows of a table.
    pub(crate) fn text(&mut self, table: &Table, rows: usize) -> Arc<str> {
        let dialect = self.dialect;
        let text = self.texts.entry((table.name, rows));
        text.or_insert_with(|| Arc::from(dialect.upsert(table, rows)))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Row;
    use model::fact::Consumed;
    use model::lumi::LumiRecord;

    #[test]
    fn an_upsert_replaces_the_value_and_never_the_key_or_a_fixed_column() {
        let check = |table: &Table, rows, expect: &str| {
            assert_eq!(&*Upserts::new(Dialect::Sqlite).text(table, rows), expect);
        };
        check(
            &LumiRecord::TABLE,
            2,
            "INSERT INTO lumi (agent,run,lumi,ended_us,body) VALUES (?,?,?,?,?),(?,?,?,?,?) \
             ON CONFLICT (run,lumi) DO UPDATE SET \
             agent=excluded.agent,ended_us=excluded.ended_us,body=excluded.body",
        );
        check(
            &Consumed::TABLE,
            1,
            "INSERT INTO consumed (agent,pipeline,task,input_kind,input,first_event,run,job,body) \
             VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT \
             (pipeline,task,input_kind,input,first_event) DO UPDATE SET \
             agent=excluded.agent,run=excluded.run,body=excluded.body \
             WHERE consumed.job=excluded.job",
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
