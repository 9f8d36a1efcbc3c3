//! Tables for people: columns aligned by hand, nothing else.
//!
//! In: a header and rows of text. Out: lines. Must never cut a value: a wide terminal can be
//! scrolled, a cut identity cannot be used.

use std::io::{self, Write};

/// A table under construction. A column whose title begins with `>` is aligned to the right.
pub(crate) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(titles: &[&'static str]) -> Self {
        Self {
            titles: titles.to_vec(),
            rows: Vec::new(),
        }
    }

    /// One more row; as many cells as there are titles.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(
            cells.len(),
            self.titles.len(),
            "a row has a cell for each title"
        );
        self.rows.push(cells);
    }

    /// Writes it; `nothing` stands in for an empty one.
    pub(crate) fn write(&self, out: &mut dyn Write, nothing: &str) -> io::Result<()> {
        if self.rows.is_empty() {
            return writeln!(out, "{nothing}");
        }
        let title = |column: usize| self.titles[column].trim_start_matches('>');
        let widths: Vec<usize> = (0..self.titles.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[column].chars().count());
                cells
                    .chain([title(column).chars().count()])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let titles: Vec<&str> = (0..widths.len()).map(title).collect();
        self.line(out, &titles, &widths)?;
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            self.line(out, &cells, &widths)?;
        }
        Ok(())
    }

    fn line(&self, out: &mut dyn Write, cells: &[&str], widths: &[usize]) -> io::Result<()> {
        let mut line = String::new();
        for ((cell, width), title) in cells.iter().zip(widths).zip(&self.titles) {
            let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
            if !line.is_empty() {
                line.push_str("  ");
            }
            if title.starts_with('>') {
                line.push_str(&pad);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&pad);
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// Names and values below each other, for one object.
pub(crate) fn facts(out: &mut dyn Write, facts: &[(&str, String)]) -> io::Result<()> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in facts {
        for (n, line) in value.lines().enumerate() {
            writeln!(out, "{:width$}  {line}", if n == 0 { name } else { "" })?;
        }
    }
    Ok(())
}

/// A value, or a dash.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A moment to the second: `2026-11-23T22:11:06Z`.
pub(crate) fn to_second(moment: &str) -> String {
    match moment.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => moment.to_owned(),
    }
}

/// Seconds with three significant digits or more.
pub(crate) fn seconds(value: f64) -> String {
    match value.abs() {
        x if x >= 100.0 => format!("{value:.0} s"),
        x if x >= 1.0 => format!("{value:.2} s"),
        x if x >= 1e-3 => format!("{:.2} ms", value * 1e3),
        _ => format!("{:.0} us", value * 1e6),
    }
}

/// Lumi ranges: `1-20,22`.
pub(crate) fn lumis(ranges: &[(u32, u32)]) -> String {
    let range = |&(first, last): &(u32, u32)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    let text: Vec<String> = ranges.iter().map(range).collect();
    if text.is_empty() {
        "-".to_owned()
    } else {
        text.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_is_cut() {
        let mut table = Table::new(&["RUN", ">EVENTS", "STATE"]);
        table.row(vec!["1".into(), "10583".into(), "open".into()]);
        table.row(vec!["160957".into(), "7".into(), String::new()]);
        let mut out = Vec::new();
        table.write(&mut out, "none").unwrap();
        let expect = "RUN     EVENTS  STATE\n1        10583  open\n160957       7\n";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
        let mut out = Vec::new();
        Table::new(&["RUN"]).write(&mut out, "no runs").unwrap();
        assert_eq!(out, b"no runs\n");
    }

    #[test]
    fn values_are_written_as_people_read_them() {
        let check = |got: String, expect: &str| assert_eq!(got, expect);
        check(seconds(0.000_012), "12 us");
        check(seconds(0.0123), "12.30 ms");
        check(seconds(1.5), "1.50 s");
        check(seconds(345.6), "346 s");
        check(
            to_second("2026-11-23T22:11:06.123456Z"),
            "2026-11-23T22:11:06Z",
        );
        check(lumis(&[(1, 20), (22, 22)]), "1-20,22");
        check(lumis(&[]), "-");
        check(or_dash(None::<u32>), "-");
    }
}
