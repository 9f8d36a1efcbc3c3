//! What a row of a chamber data set says: the hits of one track.
//!
//! In: column names and text rows. Out: typed hits, and rows from hits. After `Run` and `Event`
//! comes a column for each plane, `plane1` to `plane100`: empty where the plane saw nothing, else
//! the cell, counted from 0, and the signed drift length in cm at the nominal drift velocity, as in
//! `12:-1.23456`. It never corrects and never guesses.

use std::fmt::Write as _;

use crate::event::RowError;
use calibration::chamber::{CELLS, PLANES};
use calibration::chamber_track::Hit;

/// Column by which a chamber data set is known.
const FIRST_PLANE: &str = "plane1";
/// Columns in front of the planes.
const KEYS: usize = 2;
const NEEDED_COLUMNS: &str = "Run Event plane1 to plane100";

/// The names of all columns.
pub(crate) fn columns() -> Vec<String> {
    let planes = (1..=PLANES).map(|plane| format!("plane{plane}"));
    ["Run".to_owned(), "Event".to_owned()]
        .into_iter()
        .chain(planes)
        .collect()
}

/// The row of a track.
pub(crate) fn row(run: u32, event: u64, hits: &[Hit]) -> String {
    let mut fields = vec![String::new(); PLANES];
    for hit in hits {
        write!(fields[hit.plane], "{}:{:.5}", hit.cell, hit.drift_cm)
            .expect("writing to a String cannot fail");
    }
    format!("{run},{event},{}", fields.join(","))
}

/// Whether columns are those of a chamber, complete or not.
pub(crate) fn are_planes(columns: &[String]) -> bool {
    columns.iter().any(|column| column == FIRST_PLANE)
}

/// Checks the columns of a data set: all planes in order, and nothing else.
pub(crate) fn check_columns(columns: &[String]) -> Result<(), RowError> {
    let expected = self::columns();
    let missing = |(at, name): (usize, &String)| columns.get(at) != Some(name);
    let wrong = expected.iter().enumerate().find(|pair| missing(*pair));
    if let Some((_, name)) = wrong {
        let (name, have, needed) = (name.clone(), columns.join(" "), NEEDED_COLUMNS);
        return Err(RowError::Column { name, have, needed });
    }
    if columns.len() > expected.len() {
        let (found, expected) = (columns.len(), expected.len());
        return Err(RowError::Fields { found, expected });
    }
    Ok(())
}

/// Reads one row.
pub(crate) fn hits(row: &str) -> Result<Vec<Hit>, RowError> {
    let found = row.split(',').count();
    let expected = KEYS + PLANES;
    if found != expected {
        return Err(RowError::Fields { found, expected });
    }
    let planes = row.split(',').skip(KEYS).map(str::trim).enumerate();
    planes
        .filter(|(_, text)| !text.is_empty())
        .map(|(plane, text)| read_hit(plane, text))
        .collect()
}

fn read_hit(plane: usize, text: &str) -> Result<Hit, RowError> {
    let refuse = |reason| RowError::Value {
        name: format!("plane{}", plane + 1),
        text: text.to_owned(),
        reason,
    };
    let (cell, drift) = text
        .split_once(':')
        .ok_or_else(|| refuse("not a cell and a drift length with a colon between them"))?;
    let cell = cell.parse().map_err(|_| refuse("not a cell number"))?;
    if cell >= CELLS {
        return Err(refuse("a plane has the cells 0 to 24"));
    }
    let drift_cm = drift
        .parse()
        .map_err(|_| refuse("not a drift length in cm"))?;
    let hit = Hit {
        plane,
        cell,
        drift_cm,
    };
    if hit.is_possible() {
        Ok(hit)
    } else {
        Err(refuse("a drift length is within the 100 cm of a plane"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_to_a_tenth_of_a_micrometre() {
        let hits = [(0, 3, 1.234_567), (99, 24, -0.000_04)].map(|(plane, cell, drift_cm)| Hit {
            plane,
            cell,
            drift_cm,
        });
        check_columns(&columns()).unwrap();
        let row = row(900_001, 7, &hits);
        assert!(row.starts_with("900001,7,3:1.23457,,"), "{row}");
        let back = super::hits(&row).unwrap();
        assert_eq!(back.len(), 2);
        for (back, hit) in back.iter().zip(&hits) {
            assert_eq!((back.plane, back.cell), (hit.plane, hit.cell));
            assert!((back.drift_cm - hit.drift_cm).abs() < 6e-6);
        }
    }

    #[test]
    fn rows_and_columns_that_are_none_are_refused_in_words() {
        let check = |first: &str, expect: &str| {
            let row = format!("900001,7,{first}{}", ",".repeat(PLANES - 1));
            let message = super::hits(&row).unwrap_err().to_string();
            assert!(message.contains(expect), "{message:?} lacks {expect:?}");
        };
        check("3", "field plane1 is \"3\": not a cell and a drift length");
        check("x:1", "not a cell number");
        check("25:1", "the cells 0 to 24");
        check("-1:1", "not a cell number");
        check("3:x", "not a drift length");
        check("3:nan", "within the 100 cm of a plane");
        check("3:-1e304", "within the 100 cm of a plane");
        check("3:1,", "103 fields, the header has 102");
        let mut short = columns();
        short.remove(40);
        assert!(are_planes(&short));
        let message = check_columns(&short).unwrap_err().to_string();
        assert!(message.contains("\"plane39\" is missing"), "{message}");
        short = columns();
        short.push("more".into());
        assert!(check_columns(&short).is_err());
    }
}
