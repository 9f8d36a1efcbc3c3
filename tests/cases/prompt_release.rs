//! When prompt reconstruction of a run is locked and released, against the field's rule. In comes
//! one item of the case; out comes its judgement. Upstream looks at the smallest unlocked run only,
//! one a pass: what it then refuses to later runs is its quirk, named and not copied.

use crate::judging::{Comparison, Item, Outcome, count, id_of, list};
use model::ids::RunNumber;
use model::time::{Moment, Span};
use pipelines::definition::Release;
use pipelines::release::{Released, RunFacts, locked_from, released};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is asked of each run.
struct Asked {
    run: RunNumber,
    was_locked: bool,
    locked: bool,
    released: bool,
}

pub(crate) fn item(case: &Value) -> Item {
    let rule = Release {
        delay: seconds(&case["delay_s"]),
        lock: seconds(&case["lock_offset_s"]),
        ..Release::ALWAYS
    };
    let now = Moment(0) + seconds(&case["now"]);
    let mut runs: Vec<Asked> = list(&case["runs"])
        .iter()
        .map(|run| ask(&rule, run, now))
        .collect();
    runs.sort_by_key(|run| run.run);
    let of = |wanted: &dyn Fn(&Asked) -> bool| -> Vec<u64> {
        runs.iter()
            .filter(|run| wanted(run))
            .map(|run| u64::from(run.run.0))
            .collect()
    };
    let newly_locked = of(&|run| run.locked && !run.was_locked);
    let all_released = of(&|run| run.released);
    let expect = |key: &str| -> Vec<u64> { list(&case[key]).iter().map(count).collect() };
    let mut comparison = Comparison::default();
    comparison.equal("newly locked", newly_locked, expect("expect_newly_locked"));
    comparison.equal("released", all_released, expect("expect_released"));
    let item = comparison.item(id_of(case));
    let (locked, out) = one_lock_a_pass(&runs);
    let as_upstream = locked == expect("expect_newly_locked") && out == expect("expect_released");
    match item.outcome {
        Outcome::Differs(_) if as_upstream => Item {
            outcome: Outcome::Quirk("the oldest unlocked run holds all later ones".to_owned()),
            ..item
        },
        _ => item,
    }
}

/// Upstream's pass: of the runs without a lock only the smallest is looked at, and what is not
/// locked is not released.
fn one_lock_a_pass(runs: &[Asked]) -> (Vec<u64>, Vec<u64>) {
    let first = runs.iter().find(|run| !run.was_locked);
    let newly: BTreeSet<u32> = first
        .filter(|run| run.locked)
        .map(|run| run.run.0)
        .into_iter()
        .collect();
    let is_locked = |run: &&Asked| run.was_locked || newly.contains(&run.run.0);
    let released = runs.iter().filter(is_locked).filter(|run| run.released);
    let released = released.map(|run| u64::from(run.run.0)).collect();
    (newly.into_iter().map(u64::from).collect(), released)
}

fn ask(rule: &Release, run: &Value, now: Moment) -> Asked {
    let stop = seconds(&run["stop"]);
    let facts = RunFacts {
        opened_at: Moment(0),
        announced: true,
        // Upstream writes 0 for a stop that nobody knows.
        ended_at: (stop > Span::ZERO).then(|| Moment(0) + stop),
        closed_at: None,
        verdict_good: None,
        is_undecided: &|_| false,
    };
    let locked = locked_from(rule, &facts).is_some_and(|from| from <= now);
    Asked {
        run: RunNumber(u32::try_from(count(&run["run"])).expect("a run's number")),
        was_locked: run["locked"].as_bool() == Some(true),
        locked,
        released: matches!(released(rule, &facts, now), Released::Yes { .. }),
    }
}

fn seconds(value: &Value) -> Span {
    Span::from_secs(i64::try_from(count(value)).expect("seconds fit"))
}
