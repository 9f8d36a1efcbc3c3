//! Histograms of a run as published documents hold them.
//!
//! In: a run and the name of a histogram. Out: the histogram as UHI JSON, with the document that it
//! stands in. What programs call their documents is theirs: any published JSON document is looked
//! into, those with most lumis first, so that a merged histogram comes before its parts. Must never
//! read a document of any size, and never add up: what is shown is what is published.

use crate::ApiParts;
use crate::problem::{Outcome, Trouble};
use crate::query::{Asked, LIMIT_MAX, OfElement};
use crate::reads::{ask, one};
use axum::extract::State;
use model::dataset::Output;
use model::ids::RunNumber;
use model::lumi;
use ports::catalogue::{Catalogue, Page, WhichOutputs};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use view::dataset::OutputView;
use view::quality::MonitorElementView;

/// A document of histograms has kilobytes; more is something else.
const DOCUMENT_BYTES_MAX: u64 = 16 << 20;
/// Documents that one question looks into: those of a whole run come first.
const DOCUMENTS_MAX: usize = 200;
/// Names that a refusal lists.
const NAMES_MAX: usize = 20;
/// Documents nest a few levels deep.
const DEPTH_MAX: usize = 8;

/// `GET /api/v1/dqm/objects`: one histogram.
pub(crate) async fn object(
    State(parts): State<ApiParts>,
    Asked(asked): Asked<OfElement>,
) -> Outcome {
    let documents = parts.documents.clone();
    let view = ask(&parts, move |catalogue| {
        let run = RunNumber(asked.run);
        let known = catalogue.run(run)?.ok_or_else(|| {
            let detail = format!("run {run} is not known here");
            Trouble::not_found(
                detail,
                "`tier0 run ls` lists the runs; over HTTP GET /api/v1/runs",
            )
        })?;
        let mut seen = BTreeSet::new();
        for output in candidates(catalogue, run)? {
            let text = documents.document(&output.name, DOCUMENT_BYTES_MAX);
            let text = text.map_err(|detail| {
                let hint = "`tier0 file verify` says whether it is what was recorded";
                Trouble::not_found(detail, hint)
            })?;
            // What is no JSON has no histograms.
            let document = serde_json::from_str(&text).unwrap_or(Value::Null);
            let mut found = Vec::new();
            histograms("", &document, 0, &mut found);
            let wanted = found.iter().find(|(path, _)| is_meant(path, &asked.name));
            if let Some((path, histogram)) = wanted {
                let output = OutputView::from(&output);
                return Ok(MonitorElementView {
                    run: run.0,
                    label: known.label.as_str().to_owned(),
                    dataset: output.dataset,
                    file: output.name,
                    lumis: output.lumis,
                    path: path.clone(),
                    histogram: (*histogram).clone(),
                });
            }
            seen.extend(found.into_iter().map(|(path, _)| path));
        }
        Err(nothing(run, &asked.name, &seen))
    })
    .await?;
    Ok(one(&parts, view))
}

/// Published documents of a run: most lumis first, of equals the last.
fn candidates(catalogue: &dyn Catalogue, run: RunNumber) -> Result<Vec<Output>, Trouble> {
    let which = WhichOutputs {
        run: Some(run),
        published: Some(true),
        ..WhichOutputs::default()
    };
    let mut found = Vec::new();
    let mut page = Page {
        after: None,
        limit: LIMIT_MAX,
    };
    loop {
        let rows = catalogue.which_outputs(&which, page)?;
        page.after = rows.last().map(|output| output.id.0);
        let last = rows.len() < LIMIT_MAX as usize;
        found.extend(rows.into_iter().filter(|output| {
            output.name.as_str().rsplit('.').next() == Some("json")
                && output.bytes.0 <= DOCUMENT_BYTES_MAX
        }));
        if last {
            break;
        }
    }
    found.sort_by_key(|output| Reverse((lumi::count(&output.lumis), output.id)));
    found.truncate(DOCUMENTS_MAX);
    Ok(found)
}

/// Every histogram of a document with the names that lead to it.
fn histograms<'a>(
    path: &str,
    value: &'a Value,
    depth: usize,
    found: &mut Vec<(String, &'a Value)>,
) {
    let Value::Object(members) = value else {
        return;
    };
    if members.contains_key("uhi_schema") {
        found.push((path.to_owned(), value));
        return;
    }
    if depth == DEPTH_MAX {
        return;
    }
    for (name, member) in members {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}/{name}")
        };
        histograms(&path, member, depth + 1, found);
    }
}

/// A name is meant by its whole path or by the end of it.
fn is_meant(path: &str, name: &str) -> bool {
    let before = path.strip_suffix(name);
    !name.is_empty() && before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

fn nothing(run: RunNumber, name: &str, seen: &BTreeSet<String>) -> Trouble {
    let names: Vec<&str> = seen.iter().take(NAMES_MAX).map(String::as_str).collect();
    let more = seen.len().saturating_sub(NAMES_MAX);
    let has = match (names.is_empty(), more) {
        (true, _) => "its published documents have none".to_owned(),
        (false, 0) => format!("it has {}", names.join(", ")),
        (false, more) => format!("it has {} and {more} more", names.join(", ")),
    };
    Trouble::not_found(
        format!("run {run} has no published histogram {name}; {has}"),
        "name one by its path or the end of it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn histograms_are_found_wherever_they_stand() {
        let document = json!({
            "label": "real",
            "parts": { "prompt": { "events": 3, "histograms": {
                "mass": { "uhi_schema": 1, "axes": [{ "uhi_schema": 1 }] },
            } } },
            "rates/pmt": { "uhi_schema": 1 },
        });
        let mut found = Vec::new();
        histograms("", &document, 0, &mut found);
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["parts/prompt/histograms/mass", "rates/pmt"]);
        let check = |path: &str, name: &str, expect: bool| {
            assert_eq!(is_meant(path, name), expect, "{path} as {name}");
        };
        check("parts/prompt/histograms/mass", "mass", true);
        check("parts/prompt/histograms/mass", "histograms/mass", true);
        check("parts/prompt/histograms/mass", "ass", false);
        check("parts/prompt/histograms/mass", "", false);
        check("rates/pmt", "rates/pmt", true);
        check("rates/pmt", "pmt", true);
    }

    #[test]
    fn a_document_that_nests_without_end_is_left_alone() {
        let mut value = json!({ "uhi_schema": 1 });
        for _ in 0..100 {
            value = json!({ "a": value });
        }
        let mut found = Vec::new();
        histograms("", &value, 0, &mut found);
        assert!(found.is_empty());
    }
}
