//! What was measured for a tag, run by run, as a line of text for a terminal.
//!
//! In: decisions. Out: for each quantity one line of blocks, low to high, one a run in order, with
//! a caret below each run that brought a new constant. It must never stand for a number: those are
//! in the table above it.

use std::collections::BTreeSet;
use view::conditions::DecisionView;

/// Blocks by height.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Stands for a run that measured nothing.
const NOTHING: char = '·';
/// As many of the last runs are shown as fit on a line.
const RUNS_MAX: usize = 60;
/// The outcome that brings a new constant.
const UPDATE: &str = "update";

/// The lines; none where fewer than two runs measured something.
pub(super) fn lines(decisions: &[DecisionView]) -> Vec<String> {
    let mut by_run: Vec<&DecisionView> = decisions.iter().collect();
    by_run.sort_by_key(|decision| decision.run);
    let shown = &by_run[by_run.len().saturating_sub(RUNS_MAX)..];
    let names: BTreeSet<&String> = shown
        .iter()
        .flat_map(|decision| decision.values.keys())
        .collect();
    let widest = names.iter().map(|name| name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for name in names {
        let values: Vec<Option<f64>> = shown.iter().map(|d| d.values.get(name).copied()).collect();
        let known = || values.iter().flatten().copied();
        if known().count() < 2 {
            continue;
        }
        let (low, high) = (
            known().fold(f64::MAX, f64::min),
            known().fold(f64::MIN, f64::max),
        );
        let block = |value: &Option<f64>| value.map_or(NOTHING, |value| block(value, low, high));
        let blocks: String = values.iter().map(block).collect();
        lines.push(format!("{name:widest$}  {blocks}  {low} to {high}"));
    }
    if let (false, [first, .., last]) = (lines.is_empty(), shown) {
        let caret = |decision: &&DecisionView| if decision.outcome == UPDATE { '^' } else { ' ' };
        let carets: String = shown.iter().map(caret).collect();
        let (first, last) = (first.run, last.run);
        lines.push(format!(
            "{:widest$}  {carets}  ^ new constant; runs {first} to {last}",
            ""
        ));
    }
    lines
}

fn block(value: f64, low: f64, high: f64) -> char {
    let share = if high > low {
        (value - low) / (high - low)
    } else {
        0.5
    };
    BLOCKS[((share * BLOCKS.len() as f64) as usize).min(BLOCKS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(run: u32, outcome: &str, values: &[(&str, f64)]) -> DecisionView {
        let values: serde_json::Map<String, serde_json::Value> = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        serde_json::from_value(serde_json::json!({
            "run": run, "tag": "beamspot", "outcome": outcome, "reason": "", "n": 1,
            "values": values, "errors": {}, "at": "2026-11-27T19:48:13Z",
        }))
        .unwrap()
    }

    #[test]
    fn each_quantity_is_a_line_from_low_to_high_in_order_of_runs() {
        let decisions = [
            decision(12, "no-change", &[("x0_cm", 0.08), ("y", 5.0)]),
            decision(10, "update", &[("x0_cm", 0.07), ("y", 5.0)]),
            decision(11, "collecting", &[]),
            decision(13, "update", &[("x0_cm", 0.09), ("y", 5.0)]),
        ];
        assert_eq!(
            lines(&decisions),
            [
                "x0_cm  ▁·▅█  0.07 to 0.09",
                "y      ▅·▅▅  5 to 5",
                "       ^  ^  ^ new constant; runs 10 to 13",
            ]
        );
    }

    #[test]
    fn one_run_is_no_trend_and_only_the_last_runs_are_shown() {
        assert_eq!(lines(&[]), Vec::<String>::new());
        assert_eq!(
            lines(&[decision(1, "update", &[("k", 1.0)])]),
            Vec::<String>::new()
        );
        let many: Vec<DecisionView> = (0..200)
            .map(|run| decision(run, "no-change", &[("k", f64::from(run))]))
            .collect();
        let lines = lines(&many);
        assert_eq!(
            lines[0].chars().filter(|c| BLOCKS.contains(c)).count(),
            RUNS_MAX
        );
        assert!(lines[0].ends_with("140 to 199"), "{}", lines[0]);
    }
}
