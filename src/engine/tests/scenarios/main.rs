//! The engine's behaviour as tables: what happens on the left, what the engine says of it on the
//! right.
//!
//! In come rows of (input, what follows), played one after the other against the pipelines that
//! come with the program; the words are explained in `play.rs`. A row that differs prints the whole
//! table as it is now. The simulator finds what nobody thought of; these rows say what everybody
//! should know.

mod blocks;
mod completeness;
mod configuration;
mod constants;
mod failures;
mod faults;
mod flow;
mod global_tags;
mod imports;
mod judging;
mod lumis;
mod pathologies;
mod play;
mod reconciling;
mod redo;
mod resuming;
mod retries;
#[path = "../shelf/mod.rs"]
mod shelf;
mod sources;
mod split_plugins;
mod splitting;
mod tag_limits;
mod tags;
mod trouble;
mod uploads;
mod verdicts;

use play::Play;

/// Plays the rows and compares what follows with what is said to follow.
fn check(rows: &[(&str, &str)]) {
    check_with(Play::new(), rows);
}

fn check_with(mut play: Play, rows: &[(&str, &str)]) {
    let now: Vec<(&str, String)> = rows.iter().map(|(row, _)| (*row, play.row(row))).collect();
    let same = now
        .iter()
        .zip(rows)
        .all(|((_, got), (_, expect))| got == expect);
    let table: Vec<String> = now
        .iter()
        .map(|(row, got)| format!("        ({row:?}, {got:?}),"))
        .collect();
    assert!(same, "the table is now\n{}\n", table.join("\n"));
    assert_eq!(play.broken(), [], "every promise holds at the end");
}
