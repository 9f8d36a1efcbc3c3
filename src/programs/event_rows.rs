//! Event tables of these programs as text rows, so that they can be played again.
//!
//! In: a Parquet file with the columns that `express` (RECO), `prompt` (AOD), `repack` (RAW) and
//! `skim` write. Out: column names of a dimuon data set and rows of comma separated text: what was
//! read, not what was corrected. Numbers have the shortest form that reads back to the same value.
//! It never mixes files.

use std::path::Path;

use crate::table::Table;

/// Reads the table; the error is the reason in words.
pub(crate) fn read(path: &Path) -> Result<(Vec<String>, Vec<String>), String> {
    let table = Table::read(path)?;
    let mut columns = vec!["Run".to_owned(), "Event".to_owned()];
    let mut parts = vec![texts(table.u32s("run")?), texts(table.u64s("event")?)];
    for n in [1, 2] {
        for name in ["pt", "eta", "phi"] {
            columns.push(format!("{name}{n}"));
            parts.push(texts(table.f64s(&format!("{name}{n}"))?));
        }
        columns.push(format!("Q{n}"));
        parts.push(texts(table.i32s(&format!("q{n}"))?));
        let dxy = table.optional(&format!("dxy{n}"))?;
        // A data set has impact parameters of all its muons or of none.
        if !dxy.is_empty() && dxy.iter().all(Option::is_some) {
            columns.push(format!("dxy{n}"));
            parts.push(dxy.iter().flatten().map(ToString::to_string).collect());
        }
    }
    let row = |row: usize| {
        let fields: Vec<&str> = parts
            .iter()
            .map(|part: &Vec<String>| part[row].as_str())
            .collect();
        fields.join(",")
    };
    Ok((columns, (0..table.rows()).map(row).collect()))
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}
