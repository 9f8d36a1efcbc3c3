//! Whether an alignment is taken into force: a decision table with the reason of every row.
//!
//! In come thresholds and what a solver found: how far each structure moved in each coordinate,
//! with errors, the number of records and the solver's exit code; out come `none`, `update` or
//! `veto`, and the row by row account of it. The rules are those of the prompt calibration loop of
//! CMS (SiPixelAli; `Alignment/MillePedeAlignmentAlgorithm/src/MillePedeFileReader.cc`), with two
//! differences: the records are counted last, so that too few of them always block, and an exit
//! code other than 0 blocks. All arithmetic is on integers in units of 10^-9 ("nano") of the
//! coordinate's unit: there is no number here that is not a number. It stores and publishes
//! nothing.

use crate::gate::{self, Candidate, Nano, OpenIov};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What one coordinate demands, of all structures alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordinate {
    /// Name with its unit, such as `x_um`.
    pub name: String,
    /// A move of no more than this is none, 10^-9 of the unit.
    pub cut_nano: i64,
    /// A move of more than this is not believed, 10^-9 of the unit.
    pub max_move_nano: i64,
    /// A move over the cut with a greater error is not believed, 10^-9 of the unit.
    pub max_error_nano: i64,
    /// A move over the cut counts from this many thousandths of its error on: 2500 is 2.5 sigma.
    pub significance_milli: u32,
    /// The share of the structures that must count for an update, in thousandths; with 0 one
    /// suffices.
    pub share_permille: u32,
}

/// What an alignment demands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// From fewer records nothing is taken into force.
    pub records_min: u64,
    /// The coordinates that are judged.
    pub coordinates: Vec<Coordinate>,
}

/// How far the solver moved one structure in one coordinate from where it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// Name of the structure.
    pub structure: String,
    /// Name of the coordinate.
    pub coordinate: String,
    /// The move, 10^-9 of the unit.
    pub moved_nano: i64,
    /// Its standard deviation, 10^-9 of the unit; more than 0.
    pub error_nano: i64,
}

/// What a solver found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Solved {
    /// Its exit code, as in `millepede.end`; 0 is a normal end.
    pub end_code: i32,
    /// Records that it used.
    pub records: u64,
    /// All free parameters. One that was held fixed has not moved and is left out.
    pub movements: Vec<Movement>,
}

/// What a row of the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOutcome {
    /// The move is not believed: no payload at all.
    Veto,
    /// The move is within the cut.
    Still,
    /// The move is over the cut, but within what its error allows.
    Insignificant,
    /// The move counts.
    Counts,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What was judged.
    pub movement: Movement,
    /// What the row says.
    pub outcome: RowOutcome,
    /// Why, as a sentence with numbers.
    pub reason: String,
}

/// How many structures count in one coordinate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Name of the coordinate.
    pub coordinate: String,
    /// Structures that count.
    pub counting: u64,
    /// Structures judged.
    pub judged: u64,
    /// The share needed, in thousandths.
    pub needed_permille: u32,
    /// Whether that is enough for an update.
    pub triggers: bool,
}

/// What the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The alignment in force describes this run as well.
    None,
    /// A new payload.
    Update,
    /// Not believed; a person has to look.
    Veto,
}

/// A decision with all that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// What is decided.
    pub outcome: Outcome,
    /// Why, as a sentence with numbers.
    pub reason: String,
    /// A row each movement, in their order.
    pub rows: Vec<Row>,
    /// A line each coordinate, in the order of the thresholds.
    pub shares: Vec<Share>,
}

/// Prints thousandths as `2.5`.
struct Milli(u32);

impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Nano(i64::from(self.0) * 1_000_000).fmt(f)
    }
}

/// Judges what a solver found. In this order: the solver must have ended normally and moved
/// something; no row may be a veto; some coordinate must trigger, or there is nothing to do; the
/// records must suffice, whatever the rows say.
pub fn decide(thresholds: &Thresholds, solved: &Solved) -> Table {
    let rows: Vec<Row> = solved
        .movements
        .iter()
        .map(|movement| judge_row(thresholds, movement))
        .collect();
    let shares: Vec<Share> = thresholds
        .coordinates
        .iter()
        .map(|coordinate| share(coordinate, &rows))
        .collect();
    let (outcome, reason) = conclude(thresholds, solved, &rows, &shares);
    Table {
        outcome,
        reason,
        rows,
        shares,
    }
}

/// Judges the constants of a run by how far they moved: as the solver tells (`told_nano`), which
/// knows what it was given, or else from those in force, which are the first ones of the open IOV;
/// what is not in force moved from zero. A quantity is named by structure and coordinate, as
/// `plane7_offset_cm`: the structure is what stands before the first underscore. A solver that has
/// not ended normally brings no candidate.
pub fn judge(
    thresholds: &Thresholds,
    open: Option<&OpenIov>,
    candidate: &Candidate,
    told_nano: impl Fn(&str) -> Option<i64>,
) -> gate::Decision {
    let moved_nano = |quantity: &gate::Quantity| {
        let name = quantity.name.as_str();
        let in_force = || open.and_then(|open| open.in_force_nano(name)).unwrap_or(0);
        told_nano(name).unwrap_or_else(|| quantity.value_nano.saturating_sub(in_force()))
    };
    let movements = candidate.quantities.iter().map(|quantity| {
        let name = quantity.name.as_str();
        let (structure, coordinate) = name.split_once('_').unwrap_or((name, ""));
        Movement {
            structure: structure.to_owned(),
            coordinate: coordinate.to_owned(),
            moved_nano: moved_nano(quantity),
            error_nano: quantity.error_nano,
        }
    });
    let solved = Solved {
        end_code: 0,
        records: candidate.n,
        movements: movements.collect(),
    };
    let table = decide(thresholds, &solved);
    let outcome = match table.outcome {
        Outcome::None => gate::Outcome::NoChange,
        Outcome::Update => gate::Outcome::Update,
        Outcome::Veto => gate::Outcome::Veto,
    };
    gate::Decision {
        outcome,
        reason: table.reason,
    }
}

fn conclude(
    thresholds: &Thresholds,
    solved: &Solved,
    rows: &[Row],
    shares: &[Share],
) -> (Outcome, String) {
    let (records, needed) = (solved.records, thresholds.records_min);
    if solved.end_code != 0 {
        let code = solved.end_code;
        let reason = format!("the solver ended with code {code}, 0 is a normal end: not believed");
        return (Outcome::Veto, reason);
    }
    if rows.is_empty() {
        let reason = "the solver moved nothing: there is nothing to judge".to_owned();
        return (Outcome::Veto, reason);
    }
    let mut vetoes = rows.iter().filter(|row| row.outcome == RowOutcome::Veto);
    if let Some(first) = vetoes.next() {
        let further = match vetoes.count() {
            0 => String::new(),
            more => format!(" (and {more} further rows)"),
        };
        return (Outcome::Veto, format!("{}{further}", first.reason));
    }
    if records < needed {
        let reason = format!("{records} of {needed} records needed: not believed");
        return (Outcome::Veto, reason);
    }
    match shares.iter().find(|share| share.triggers) {
        Some(share) => {
            let (counting, judged, name) = (share.counting, share.judged, &share.coordinate);
            let reason = format!("{counting} of {judged} structures moved in {name}: update");
            (Outcome::Update, reason)
        }
        None => {
            let counting: u64 = shares.iter().map(|share| share.counting).sum();
            let judged = rows.len();
            let reason = format!("{counting} of {judged} moves count, too few: no new payload");
            (Outcome::None, reason)
        }
    }
}

fn share(coordinate: &Coordinate, rows: &[Row]) -> Share {
    let own = || {
        rows.iter()
            .filter(|row| row.movement.coordinate == coordinate.name)
    };
    let judged = own().count() as u64;
    let counting = own()
        .filter(|row| row.outcome == RowOutcome::Counts)
        .count() as u64;
    let needed_permille = coordinate.share_permille;
    let enough = counting * 1000 >= judged * u64::from(needed_permille);
    Share {
        coordinate: coordinate.name.clone(),
        counting,
        judged,
        needed_permille,
        triggers: counting > 0 && enough,
    }
}

/// One row: the first condition that holds says it.
fn judge_row(thresholds: &Thresholds, movement: &Movement) -> Row {
    let (outcome, reason) = outcome_of(thresholds, movement);
    Row {
        movement: movement.clone(),
        outcome,
        reason,
    }
}

fn outcome_of(thresholds: &Thresholds, movement: &Movement) -> (RowOutcome, String) {
    let what = format!("{} {}", movement.structure, movement.coordinate);
    let (moved, error) = (Nano(movement.moved_nano), Nano(movement.error_nano));
    let known = thresholds
        .coordinates
        .iter()
        .find(|coordinate| coordinate.name == movement.coordinate);
    let Some(limits) = known else {
        let reason = format!("{what} has no thresholds: it cannot be judged");
        return (RowOutcome::Veto, reason);
    };
    if movement.error_nano <= 0 {
        let reason = format!("{what} has no error: the solution is not valid");
        return (RowOutcome::Veto, reason);
    }
    let size = movement.moved_nano.unsigned_abs();
    let exceeds = |limit_nano: i64| size > limit_nano.max(0).unsigned_abs();
    if exceeds(limits.max_move_nano) {
        let most = Nano(limits.max_move_nano);
        let reason = format!("{what} moved by {moved}, {most} allowed: not believed");
        return (RowOutcome::Veto, reason);
    }
    if !exceeds(limits.cut_nano) {
        let cut = Nano(limits.cut_nano);
        let reason = format!("{what} moved by {moved}, within the cut of {cut}");
        return (RowOutcome::Still, reason);
    }
    if movement.error_nano > limits.max_error_nano {
        let most = Nano(limits.max_error_nano);
        let reason = format!("{what} has an error of {error}, {most} allowed: not believed");
        return (RowOutcome::Veto, reason);
    }
    let sigmas = Milli(limits.significance_milli);
    let needed =
        u128::from(movement.error_nano.unsigned_abs()) * u128::from(limits.significance_milli);
    if u128::from(size) * 1000 < needed {
        let reason = format!("{what} moved by {moved} +- {error}, less than {sigmas} sigma");
        return (RowOutcome::Insignificant, reason);
    }
    let reason = format!("{what} moved by {moved} +- {error}, {sigmas} sigma or more: it counts");
    (RowOutcome::Counts, reason)
}

#[cfg(test)]
#[path = "thresholds_tests.rs"]
mod tests;
