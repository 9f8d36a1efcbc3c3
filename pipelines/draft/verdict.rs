//! What a verdict does, as people typed it: `[[task.on_verdict]]` of a task that certifies.
//!
//! In come the tables, out come the actions with every limit checked. Whether the tasks they hold
//! exist shows only among all pipelines.

use crate::definition::{Act, VerdictAction};
use crate::document::Node;
use crate::reader::{Keys, Reader};
use model::names::{TaskName, TaskPath};
use model::quality::RunVerdict;

const ACTION_KEYS: &[&str] = &["when", "do", "of", "at_most", "then"];

const VERDICTS: [(&str, RunVerdict); 3] = [
    ("bad", RunVerdict::Bad),
    ("warning", RunVerdict::Warning),
    ("not_run", RunVerdict::NotRun),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Hold,
    Calibrate,
    Page,
}

pub(super) fn read_actions<'d>(
    reader: &Reader<'d>,
    keys: &Keys<'d>,
    certifies: bool,
) -> Vec<VerdictAction> {
    let Some(node) = keys.get("on_verdict") else {
        return Vec::new();
    };
    if !certifies {
        let message = "only a task that certifies gives a verdict";
        reader.mistake(node, "T008", message, "remove it, or add certifies = true");
    }
    let mut actions: Vec<VerdictAction> = Vec::new();
    for node in reader.list(node, "actions (written as [[task.on_verdict]])") {
        let Some(action) = read_action(reader, node) else {
            continue;
        };
        let same = |other: &&VerdictAction| {
            let mut verdicts = action.when.iter();
            other.act.word() == action.act.word() && verdicts.any(|v| other.when.contains(v))
        };
        if actions.iter().find(same).is_some() {
            let message = format!("two actions {} at one verdict", action.act.word());
            reader.mistake(node, "P002", message, "make one of them");
        }
        actions.push(action);
    }
    actions
}

fn read_action<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<VerdictAction> {
    let keys = reader.table(node, "an action on a verdict", ACTION_KEYS)?;
    let when = keys
        .required(reader, "when", "when = \"bad\"")
        .map(|n| reader.one_or_more(n).iter())
        .into_iter()
        .flatten()
        .filter_map(|n| reader.word(n, "verdict that acts", &VERDICTS));
    let when: Vec<RunVerdict> = when.collect();
    let words = [
        ("hold", Word::Hold),
        ("calibrate", Word::Calibrate),
        ("page", Word::Page),
    ];
    let word = keys
        .required(reader, "do", "do = \"hold\"")
        .and_then(|n| reader.word(n, "action on a verdict", &words));
    let hint = "at_most = \"12h\": no action is without an end";
    let at_most = keys
        .required(reader, "at_most", hint)
        .and_then(|n| reader.span(n));
    let word = word?;
    let end = match word {
        Word::Hold => "provisional",
        Word::Calibrate | Word::Page => "note",
    };
    if let Some(then) = keys.get("then") {
        reader.word(then, "end of this action", &[(end, ())]);
    }
    let act = match (word, keys.get("of")) {
        (Word::Hold, _) => Act::Hold(read_held(reader, &keys)),
        (Word::Calibrate, None) => Act::Calibrate,
        (Word::Page, None) => Act::Page,
        (_, Some(node)) => {
            let message = "of has no meaning here: only do = \"hold\" holds tasks";
            reader.mistake(node, "T008", message, "remove it");
            return None;
        }
    };
    let at_most = at_most?;
    (!when.is_empty()).then_some(VerdictAction { when, act, at_most })
}

fn read_held<'d>(reader: &Reader<'d>, keys: &Keys<'d>) -> Vec<TaskPath> {
    let Some(node) = keys.required(reader, "of", "of = [\"pipeline.task\"]") else {
        return Vec::new();
    };
    let mut tasks = Vec::new();
    for node in reader.one_or_more(node) {
        let Some(text) = reader.text(node) else {
            continue;
        };
        match text.split_once('.') {
            Some((pipeline, task)) if !pipeline.is_empty() && !task.is_empty() => {
                tasks.push(TaskPath {
                    pipeline: pipeline.into(),
                    task: TaskName::new(task),
                });
            }
            _ => {
                let hint = "write pipeline.task, as in \"prompt.reco\"";
                reader.mistake(node, "P012", format!("{text:?} names no task"), hint);
            }
        }
    }
    if tasks.is_empty() && reader.one_or_more(node).is_empty() {
        reader.mistake(node, "T008", "it holds no task", "name one");
    }
    tasks
}
