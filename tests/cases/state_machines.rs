//! State machines of jobs and requests, against the field's own tables.
//!
//! Both are kept as tables of the field's words (`model::field`). Our jobs are another machine; how
//! its steps lie in the field's table, and which steps only ours has (a failed or cancelled job can
//! be tried again), is tested beside the table. Requests have no manager yet: what is judged is
//! the table that it will move them by.

use crate::judging::{Comparison, Data, Item, list, members, text};
use model::field::{FieldJob, RequestState};
use serde_json::Value;
use std::collections::BTreeSet;

/// A machine as the judge asks it: the words of the states that may follow a word.
struct Machine {
    name: &'static str,
    words: Vec<&'static str>,
    successors: fn(&str) -> Vec<&'static str>,
    is_legal: fn(&str, &str) -> bool,
}

pub(crate) fn judge(case: &Value, _: &Data) -> Vec<Item> {
    let job = Machine {
        name: "job",
        words: FieldJob::ALL.iter().map(|state| state.as_str()).collect(),
        successors: |from| {
            let states = FieldJob::parse(from).map_or(&[][..], FieldJob::successors);
            states.iter().map(|state| state.as_str()).collect()
        },
        is_legal: |from, to| {
            let states = FieldJob::parse(from).zip(FieldJob::parse(to));
            states.is_some_and(|(from, to)| from.next(to).is_ok())
        },
    };
    let request = Machine {
        name: "request",
        words: RequestState::ALL.iter().map(|s| s.as_str()).collect(),
        successors: |from| {
            let states = RequestState::parse(from).map_or(&[][..], RequestState::successors);
            states.iter().map(|state| state.as_str()).collect()
        },
        is_legal: |from, to| {
            let states = RequestState::parse(from).zip(RequestState::parse(to));
            states.is_some_and(|(from, to)| from.next(to).is_ok())
        },
    };
    let mut items = Vec::new();
    for machine in [&job, &request] {
        if !case[machine.name].is_null() {
            items.extend(machine.judge(&case[machine.name]));
        }
    }
    items.extend(requests(&case["request"]));
    if !case["counts"].is_null() {
        items.push(counts(&case["counts"], &[&job, &request]));
    }
    items
}

impl Machine {
    fn judge(&self, case: &Value) -> Vec<Item> {
        let pairs = |key: &str| -> Vec<(String, String)> {
            let rows = case[key].as_array().into_iter().flatten();
            rows.map(|pair| (text(&pair[0]).to_owned(), text(&pair[1]).to_owned()))
                .collect()
        };
        let mut items = Vec::new();
        if !case["states"].is_null() {
            let mut comparison = Comparison::default();
            let got: BTreeSet<&str> = self.words.iter().copied().collect();
            let expect: BTreeSet<&str> = list(&case["states"]).iter().map(text).collect();
            comparison.equal("states", got, expect);
            items.push(comparison.item(format!("{}: states", self.name)));
        }
        if !case["terminal"].is_null() {
            let mut comparison = Comparison::default();
            let ends = |word: &&str| (self.successors)(word).is_empty();
            let got: BTreeSet<&str> = self.words.iter().copied().filter(ends).collect();
            let expect: BTreeSet<&str> = list(&case["terminal"]).iter().map(text).collect();
            comparison.equal("terminal", got, expect);
            items.push(comparison.item(format!("{}: terminal", self.name)));
        }
        for (key, expect) in [("legal", true), ("illegal_samples", false)] {
            for (from, to) in pairs(key) {
                let mut comparison = Comparison::default();
                comparison.equal("legal", (self.is_legal)(&from, &to), expect);
                items.push(comparison.item(format!("{}: {from} to {to}", self.name)));
            }
        }
        items
    }

    fn steps(&self) -> u64 {
        let steps = self.words.iter().map(|word| (self.successors)(word).len());
        steps.sum::<usize>() as u64
    }
}

fn words(states: &[RequestState]) -> Vec<&'static str> {
    states.iter().map(|state| state.as_str()).collect()
}

/// Who may set which state of a request, where it goes by itself, what may be changed.
fn requests(case: &Value) -> Vec<Item> {
    let mut items = Vec::new();
    if !case["human_may_set"].is_null() {
        let mut comparison = Comparison::default();
        let by_people = RequestState::ALL.iter().filter(|s| s.is_set_by_people());
        let got: BTreeSet<&str> = by_people.map(|state| state.as_str()).collect();
        let expect: BTreeSet<&str> = list(&case["human_may_set"]).iter().map(text).collect();
        comparison.equal("set by people", got, expect);
        items.push(comparison.item("request: set by people"));
    }
    for key in [
        "automatic",
        "automatic_after_cancel",
        "editable_fields_by_state",
    ] {
        if case[key].is_null() {
            continue;
        }
        for (word, expect) in members(&case[key]) {
            let state = RequestState::parse(word);
            let got: Vec<&str> = match (key, state) {
                (_, None) => vec!["no state"],
                ("automatic", Some(state)) => words(state.comes_by_itself_to()),
                ("automatic_after_cancel", Some(state)) => {
                    let after = state.after_cancel();
                    after.into_iter().map(RequestState::as_str).collect()
                }
                (_, Some(state)) => state.editable_fields().to_vec(),
            };
            let expect: Vec<&str> = match expect.as_array() {
                Some(many) => many.iter().map(text).collect(),
                None => vec![text(expect)],
            };
            let mut comparison = Comparison::default();
            comparison.equal(key, got, expect);
            items.push(comparison.item(format!("request: {key} {word}")));
        }
    }
    items
}

fn counts(case: &Value, machines: &[&Machine]) -> Item {
    let mut comparison = Comparison::default();
    for machine in machines {
        let name = machine.name;
        let states = &case[format!("{name}_states")];
        comparison.count_asked("states", machine.words.len() as u64, states);
        let steps = &case[format!("{name}_transitions")];
        comparison.count_asked("transitions", machine.steps(), steps);
    }
    comparison.item("counts")
}
