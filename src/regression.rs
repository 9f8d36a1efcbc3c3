//! A failing seed made small, as a file: `tests/regressions/` keeps one for each bug that a
//! simulated world has found, and every run of the tests plays them again.
//!
//! In comes what the simulator has left of a seed and its story, out comes TOML with the story in
//! front as a comment, and back. It must never read a file as another world than the one that was
//! written.

use model::time::Span;
use serde::{Deserialize, Serialize};
use sim::{Cut, Decision, Small};
use std::fmt::Write;

/// What a file holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    promise: String,
    seed: u64,
    steps: u64,
    strict: bool,
    without_runs: Vec<u32>,
    lumis_max: u32,
    streams_max: u32,
    files_max: u32,
    #[serde(default)]
    decision: Vec<Row>,
}

/// A fault that happens. Keys are hexadecimal, because TOML has no numbers of 64 bits without a
/// sign.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    fault: String,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_ns: Option<i64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    words: String,
}

/// The file of a small seed, its story in front.
pub fn to_text(small: &Small, story: &str) -> String {
    let mut text = String::new();
    for line in story.lines() {
        let _ = writeln!(text, "# {line}");
    }
    let row = |decision: &Decision| Row {
        fault: decision.fault.clone(),
        key: format!("{:016x}", decision.key),
        after_ns: decision.after.map(|after| after.0),
        words: decision.words.clone(),
    };
    let document = Document {
        promise: small.promise.clone(),
        seed: small.seed,
        steps: small.steps,
        strict: small.is_strict,
        without_runs: small.cut.without_runs.clone(),
        lumis_max: small.cut.lumis_max,
        streams_max: small.cut.streams_max,
        files_max: small.cut.files_max,
        decision: small.decisions.iter().map(row).collect(),
    };
    match toml::to_string(&document) {
        Ok(document) => text.push_str(&document),
        Err(error) => {
            let _ = writeln!(text, "# cannot be written: {error}");
        }
    }
    text
}

/// Reads a file; the message says what is wrong with it.
pub fn from_text(text: &str) -> Result<Small, String> {
    let document: Document = toml::from_str(text).map_err(|error| error.to_string())?;
    let decision = |row: Row| {
        let key = u64::from_str_radix(&row.key, 16)
            .map_err(|error| format!("the key {:?} of {}: {error}", row.key, row.fault))?;
        Ok(Decision {
            fault: row.fault,
            key,
            after: row.after_ns.map(Span),
            words: row.words,
        })
    };
    let decisions: Result<Vec<Decision>, String> =
        document.decision.into_iter().map(decision).collect();
    Ok(Small {
        seed: document.seed,
        steps: document.steps,
        cut: Cut {
            without_runs: document.without_runs,
            lumis_max: document.lumis_max,
            streams_max: document.streams_max,
            files_max: document.files_max,
        },
        decisions: decisions?,
        is_strict: document.strict,
        promise: document.promise,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Small {
        let decision = |fault: &str, key, after, words: &str| Decision {
            fault: fault.to_owned(),
            key,
            after,
            words: words.to_owned(),
        };
        Small {
            seed: 243,
            steps: 7,
            cut: Cut {
                without_runs: vec![0, 2],
                lumis_max: 1,
                streams_max: 2,
                files_max: 3,
            },
            decisions: vec![
                decision("crash", 12, Some(Span(3_000_000_001)), ""),
                decision("held", u64::MAX, None, "file \"a\" of run 7"),
            ],
            is_strict: true,
            promise: "I14".to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let text = to_text(&small(), "I14: run 7 closed\nwithout a file");
        assert!(
            text.starts_with("# I14: run 7 closed\n# without a file\n"),
            "{text}"
        );
        assert_eq!(from_text(&text), Ok(small()));
    }

    #[test]
    fn what_nobody_wrote_is_not_read() {
        let text = to_text(&small(), "");
        let key = text.replace("ffffffffffffffff", "fffffffffffffffff");
        let error = from_text(&key).expect_err("a key of 68 bits");
        assert!(error.contains("of held"), "{error}");
        let error = from_text(&text.replace("seed", "sead")).expect_err("a key that is no key");
        assert!(error.contains("sead"), "{error}");
    }
}
