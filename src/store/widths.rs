//! How many characters a text column takes, as the migrations say. In come cells of a row, out go
//! cells that fit: SQLite takes any text, the servers refuse a longer one and with it its whole
//! batch, which no waiting would mend. The body always keeps the whole value.

use crate::dialect::{Piece, statements};
use crate::rows::{Cell, Table};
use std::collections::BTreeMap;

/// Widths of the text columns of each table.
#[derive(Debug)]
pub(crate) struct Widths(BTreeMap<String, BTreeMap<String, usize>>);

impl Widths {
    /// What migration files say.
    pub(crate) fn of<'a>(files: impl Iterator<Item = &'a str>) -> Self {
        let mut widths: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for statement in files.flat_map(statements) {
            let words: Vec<&str> = statement
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Word(word) => Some(*word),
                    Piece::Quoted(_) | Piece::Other(_) => None,
                })
                .collect();
            let [_, "TABLE", table, columns @ ..] = &words[..] else {
                continue;
            };
            // name VARCHAR width
            for words in columns.windows(3).filter(|words| words[1] == "VARCHAR") {
                if let Ok(width) = words[2].parse() {
                    let of_table = widths.entry((*table).to_owned()).or_default();
                    of_table.insert(words[0].to_owned(), width);
                }
            }
        }
        Self(widths)
    }

    /// Makes the cells of a table's columns fit.
    pub(crate) fn fit(&self, table: &Table, cells: &mut [Cell]) {
        let Some(widths) = self.0.get(table.name) else {
            return;
        };
        for (column, cell) in table.columns.iter().zip(cells) {
            if let (Cell::Text(text), Some(width)) = (cell, widths.get(*column))
                && let Some(short) = shortened(text, *width)
            {
                *text = short;
            }
        }
    }
}

/// A text that does not fit, shortened: its end is a number made from all of it, so that two texts
/// with one beginning stay two. None for a text that fits.
fn shortened(text: &str, width: usize) -> Option<String> {
    const NUMBER_CHARACTERS: usize = 17;
    // A text has no more characters than bytes.
    if text.len() <= width || text.chars().nth(width).is_none() {
        return None;
    }
    let kept = text.chars().take(width.saturating_sub(NUMBER_CHARACTERS));
    // FNV-1a: rows outlive programs, so it must never change.
    let number = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |number, byte| {
            (number ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    Some(format!("{}~{number:016x}", kept.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations;
    use crate::rows::Row;
    use model::arrival::SetAside;

    #[test]
    fn the_migrations_say_how_long_a_text_may_be() {
        let widths = migrations::widths();
        let width = |table: &str, column: &str| widths.0.get(table)?.get(column).copied();
        assert_eq!(width("file", "name"), Some(512));
        assert_eq!(width("alarm", "alarm_key"), Some(700));
        assert_eq!(width("file", "body"), None);
        assert_eq!(width("file", "bytes"), None);
        let added = "ALTER TABLE a ADD COLUMN b VARCHAR(20) NOT NULL DEFAULT \'\'";
        let widths = Widths::of([added].into_iter());
        assert_eq!(widths.0["a"]["b"], 20);
    }

    #[test]
    fn what_does_not_fit_is_shortened_and_stays_itself() {
        let check = |name: &str, expect: &str| {
            let mut cells = ["p", name, "r"].map(Cell::from);
            migrations::widths().fit(&SetAside::TABLE, &mut cells);
            assert_eq!(cells[1], Cell::from(expect));
        };
        let fits = "\u{1f980}".repeat(512);
        check(&fits, &fits);
        let (kept, long) = ("a".repeat(495), "a".repeat(600));
        check(&long, &format!("{kept}~23a5c31121d69d9d"));
        check(&format!("{long}b"), &format!("{kept}~6948751c7fae784d"));
    }
}
