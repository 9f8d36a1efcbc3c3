//! A task's release as people typed it: what must be true of a run before its jobs may start.
//!
//! In comes the table, out comes the rule with its limits checked. Whether the tags it names exist
//! shows only among all pipelines.

use super::task::read_tags;
use crate::definition::{Redo, Release, When};
use crate::document::{Node, Value};
use crate::reader::{Keys, Reader};
use model::time::Span;

/// Half an hour before prompt reconstruction its settings are frozen (reco_delay_offset of
/// dmwm/T0:etc/ProdOfflineConfiguration.py).
const DEFAULT_LOCK: Span = Span::from_secs(30 * 60);

const RELEASE_KEYS: &[&str] = &["when", "of", "at_most", "then", "delay", "lock", "redo"];

const REDO_WORDS: [(&str, Redo); 3] = [
    ("auto", Redo::Auto),
    ("ask", Redo::Ask),
    ("never", Redo::Never),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    RunKnown,
    RunClosed,
    Conditions,
    Approved,
    Verdict,
}

const WORDS: [(&str, Word); 5] = [
    ("conditions", Word::Conditions),
    ("run_known", Word::RunKnown),
    ("run_closed", Word::RunClosed),
    ("approved", Word::Approved),
    ("verdict", Word::Verdict),
];

pub(super) fn read_release<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<Release> {
    let keys = reader.table(node, "release", RELEASE_KEYS)?;
    let when = keys.required(reader, "when", "when = \"conditions\"")?;
    let word = reader.word(when, "rule of release", &WORDS)?;
    let at_most_at = match word {
        Word::RunKnown | Word::Conditions | Word::Verdict => keys.required(
            reader,
            "at_most",
            "at_most = \"48h\": no wait is without an end",
        ),
        Word::Approved => keys.get("at_most"),
        Word::RunClosed => {
            refuse(
                reader,
                &keys,
                "at_most",
                "a run is closed when its data are complete",
            );
            None
        }
    };
    let when = match word {
        Word::Conditions => When::Conditions(read_of(reader, &keys)),
        other => {
            refuse(
                reader,
                &keys,
                "of",
                "only when = \"conditions\" waits for tags",
            );
            match other {
                Word::RunKnown => When::RunKnown,
                Word::RunClosed => When::RunClosed,
                Word::Approved => When::Approved,
                Word::Verdict | Word::Conditions => When::Verdict,
            }
        }
    };
    if let Some(then) = keys.get("then") {
        reader.word(then, "end of a wait", &[("provisional", ())])?;
    }
    let span = |key: &str| keys.get(key).and_then(|node| reader.span(node));
    let at_most = at_most_at.and_then(|node| reader.span(node));
    let delay = span("delay").unwrap_or(Span::ZERO);
    let lock = span("lock").unwrap_or(DEFAULT_LOCK);
    check_lock(
        reader,
        &keys,
        lock,
        delay.max(at_most.unwrap_or(Span::ZERO)),
    );
    if word_needs_bound(word) && at_most.is_none() {
        return None;
    }
    let redo = keys
        .get("redo")
        .and_then(|node| reader.word(node, "answer to other constants", &REDO_WORDS));
    // Who waits for constants wants them; who does not is not made again behind their back.
    let unsaid = match when {
        When::Conditions(_) => Redo::Ask,
        _ => Redo::Never,
    };
    Some(Release {
        when,
        delay,
        at_most,
        lock,
        redo: redo.unwrap_or(unsaid),
    })
}

fn word_needs_bound(word: Word) -> bool {
    matches!(word, Word::RunKnown | Word::Conditions | Word::Verdict)
}

/// A lock that begins before the run has ended locks nothing that anybody could still change.
fn check_lock<'d>(reader: &Reader<'d>, keys: &Keys<'d>, lock: Span, longest: Span) {
    if let Some(node) = keys.get("lock")
        && lock > longest
    {
        let hint = "make it shorter than delay and at_most";
        let message = "the run would be locked before it has ended".to_owned();
        reader.mistake(node, "T008", message, hint);
    }
}

fn refuse<'d>(reader: &Reader<'d>, keys: &Keys<'d>, key: &str, why: &str) {
    if let Some(node) = keys.get(key) {
        let message = format!("{key} has no meaning here: {why}");
        reader.mistake(node, "T008", message, "remove it");
    }
}

fn read_of<'d>(reader: &Reader<'d>, keys: &Keys<'d>) -> Vec<model::names::TagName> {
    let Some(node) = keys.required(reader, "of", "of = [\"beamspot\"]") else {
        return Vec::new();
    };
    if matches!(&node.value, Value::List(list) if list.is_empty()) {
        let hint = "name one, or remove release";
        reader.mistake(node, "T008", "it waits for no tag", hint);
    }
    read_tags(reader, node)
}
