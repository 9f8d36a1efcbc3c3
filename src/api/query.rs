//! What a request may say: parameters, pages, numbers in paths.
//!
//! In: the address of a request. Out: typed values, or a problem that names the parameter. Must
//! never take a parameter it does not know: a filter that is misspelt would answer with everything.

use crate::problem::Trouble;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use model::command::{Command, Intent, Order};
use ports::catalogue::Page;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Rows of a page when nothing is said.
pub(crate) const LIMIT_DEFAULT: u32 = 100;

/// Rows of a page at most: what the catalogue's contract allows.
pub(crate) const LIMIT_MAX: u32 = 10_000;

/// Who asked, when nobody said: the address of a program on this host names no person.
pub(crate) const NAMELESS: &str = "nameless";

/// Typed parameters of a request.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Trouble::bad_request(
                format!("{}: {}", parts.uri, rejection.body_text()),
                "numbers are whole and positive; a parameter that is not listed is an error",
            )),
        }
    }
}

/// No parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// A page of everything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paged {
    pub(crate) after: Option<i64>,
    pub(crate) limit: Option<u32>,
}

/// A page of jobs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfJobs {
    pub(crate) run: Option<u32>,
    pub(crate) state: Option<String>,
    pub(crate) after: Option<i64>,
    pub(crate) limit: Option<u32>,
}

/// A page of the detector's files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfFiles {
    pub(crate) run: Option<u32>,
    pub(crate) stream: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) after: Option<i64>,
    pub(crate) limit: Option<u32>,
}

/// A page of datasets: in the order of names, so the cursor is one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfDatasets {
    pub(crate) run: Option<u32>,
    pub(crate) after: Option<String>,
    pub(crate) limit: Option<u32>,
}

/// A page of blocks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfBlocks {
    pub(crate) run: Option<u32>,
    pub(crate) dataset: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) after: Option<i64>,
    pub(crate) limit: Option<u32>,
}

/// Of what lumis are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    Run,
    Block,
    File,
}

/// A page of the lumis of a dataset.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfLumis {
    pub(crate) run: Option<u32>,
    pub(crate) per: Option<String>,
    pub(crate) after: Option<i64>,
    pub(crate) limit: Option<u32>,
}

/// A page of outputs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfOutputs {
    pub(crate) run: Option<u32>,
    pub(crate) dataset: Option<String>,
    pub(crate) block: Option<i64>,
    pub(crate) job: Option<i64>,
    pub(crate) state: Option<String>,
    pub(crate) after: Option<i64>,
    pub(crate) limit: Option<u32>,
}

/// One run, or none said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneRun {
    pub(crate) run: Option<u32>,
}

/// A histogram of a run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfElement {
    pub(crate) run: u32,
    pub(crate) name: String,
}

/// One tag, one run, or none said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfTag {
    pub(crate) tag: Option<String>,
    pub(crate) run: Option<u32>,
}

/// Which intervals.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfIovs {
    pub(crate) tag: Option<String>,
    pub(crate) run: Option<u32>,
    pub(crate) as_of: Option<String>,
}

/// Real or simulated.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfLabel {
    pub(crate) label: Option<String>,
}

/// Which alarms.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfAlarms {
    #[serde(default)]
    pub(crate) cleared: bool,
}

/// The page asked for, within its limits.
pub(crate) fn page(after: Option<i64>, limit: Option<u32>) -> Result<Page, Trouble> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if (1..=LIMIT_MAX).contains(&limit) {
        Ok(Page { after, limit })
    } else {
        Err(Trouble::bad_request(
            format!("limit={limit} is not between 1 and {LIMIT_MAX}"),
            "ask for a page of a legal size and follow next_after",
        ))
    }
}

/// How an order is meant, and by whom.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manner {
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
    /// Refuse when another number of objects is concerned.
    expect_count: Option<u64>,
    /// Who asks.
    by: Option<String>,
    /// Why.
    reason: Option<String>,
}

/// A name or a reason longer than this is no name or reason.
const WORDS_BYTES_MAX: usize = 500;

impl Manner {
    /// The order.
    pub(crate) fn order(self, command: Command) -> Result<Order, Trouble> {
        let words = |what: &str, text: Option<String>| {
            let text = text.unwrap_or_default().trim().to_owned();
            if text.len() > WORDS_BYTES_MAX || text.chars().any(char::is_control) {
                let detail =
                    format!("{what} is longer than {WORDS_BYTES_MAX} bytes or no plain text");
                return Err(Trouble::bad_request(detail, "say it in one line"));
            }
            Ok(text)
        };
        let by = words("by", self.by)?;
        Ok(Order {
            command,
            intent: if self.dry_run {
                Intent::Preview
            } else {
                Intent::Do
            },
            by: if by.is_empty() {
                NAMELESS.to_owned()
            } else {
                by
            },
            reason: words("reason", self.reason)?,
            expect_count: self.expect_count,
        })
    }
}

/// A word of a short list, where one is said.
pub(crate) fn word<T: Copy>(
    parameter: &str,
    said: Option<&str>,
    words: &[(&str, T)],
) -> Result<Option<T>, Trouble> {
    let Some(said) = said else {
        return Ok(None);
    };
    match words.iter().find(|(word, _)| *word == said) {
        Some((_, meaning)) => Ok(Some(*meaning)),
        None => {
            let legal: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let detail = format!("{parameter}=\"{said}\" is none of its words");
            let hint = format!("use {}", legal.join(" or "));
            Err(Trouble::bad_request(detail, &hint))
        }
    }
}

/// A number in a path.
pub(crate) fn number<N: std::str::FromStr>(kind: &str, text: &str) -> Result<N, Trouble> {
    text.parse().map_err(|_| {
        Trouble::bad_request(
            format!("\"{text}\" is not the number of a {kind}"),
            "give it in decimal digits, as the lists show it",
        )
    })
}

/// The cursor behind a page that is full; none when it was the last one.
pub(crate) fn next_after<T>(rows: &[T], page: Page, key: impl Fn(&T) -> i64) -> Option<i64> {
    (rows.len() >= page.limit as usize)
        .then(|| rows.last().map(key))
        .flatten()
}
