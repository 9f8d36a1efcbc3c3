//! The envelopes: one object, one page of a list, one problem.
//!
//! In: shapes of this room. Out: JSON documents that say their schema and the moment they were
//! true. Must never carry anything that is not in a shape.

use crate::SCHEMA;
use model::time::Moment;
use serde::{Deserialize, Serialize};

/// One object, with when it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer<T> {
    /// Version of the shape.
    pub schema: u32,
    /// When the answer was true, RFC 3339 in UTC.
    pub as_of: String,
    /// The object; its fields stand beside the two above.
    #[serde(flatten)]
    pub item: T,
}

impl<T> Answer<T> {
    /// Wraps an object.
    pub fn new(as_of: Moment, item: T) -> Self {
        Self {
            schema: SCHEMA,
            as_of: as_of.to_string(),
            item,
        }
    }
}

/// One page of a list. Its cursor is a number, or a name where names are the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListAnswer<T, K = i64> {
    /// Version of the shape.
    pub schema: u32,
    /// When the answer was true, RFC 3339 in UTC.
    pub as_of: String,
    /// The rows, in the order of their key.
    pub items: Vec<T>,
    /// What to give as `after` for the rows behind these; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_after: Option<K>,
}

impl<T, K> ListAnswer<T, K> {
    /// Wraps rows.
    pub fn new(as_of: Moment, items: Vec<T>, next_after: Option<K>) -> Self {
        Self {
            schema: SCHEMA,
            as_of: as_of.to_string(),
            items,
            next_after,
        }
    }
}

/// What went wrong, as RFC 9457 (problem details for HTTP APIs) has it, with a code and a hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Names the kind of problem; `urn:tier0:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was tried, on what, why it failed.
    pub detail: String,
    /// A stable word for programs.
    pub code: String,
    /// What to do next.
    pub hint: String,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(status: u16, code: &str, title: &str, detail: String, hint: &str) -> Self {
        Self {
            kind: format!("urn:tier0:problem:{code}"),
            title: title.to_owned(),
            status,
            detail,
            code: code.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

/// What became of something that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyView {
    /// What was done, in words; durable when it is heard.
    pub done: String,
}

/// What an order would do; nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewView {
    /// In words.
    pub would: String,
    /// How many objects are concerned; given back as `expect_count`, the order is refused when it
    /// is another number by then.
    pub count: u64,
    /// Which: one line an object, or a range of them.
    pub objects: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_what_scripts_read() {
        let check = |value: serde_json::Value, expect: &str| assert_eq!(value.to_string(), expect);
        let reply = ReplyView {
            done: "run 1 is open".into(),
        };
        check(
            serde_json::to_value(Answer::new(Moment(0), reply.clone())).unwrap(),
            r#"{"as_of":"1970-01-01T00:00:00.000000Z","done":"run 1 is open","schema":1}"#,
        );
        check(
            serde_json::to_value(ListAnswer::new(Moment(0), vec![7], Some(7))).unwrap(),
            r#"{"as_of":"1970-01-01T00:00:00.000000Z","items":[7],"next_after":7,"schema":1}"#,
        );
        check(
            serde_json::to_value(ListAnswer::<u8, i64>::new(Moment(0), vec![], None)).unwrap(),
            r#"{"as_of":"1970-01-01T00:00:00.000000Z","items":[],"schema":1}"#,
        );
        let problem = Problem::new(
            404,
            "not-found",
            "Not found",
            "no run 7".into(),
            "list runs",
        );
        let text = serde_json::to_string(&problem).unwrap();
        for part in [
            r#""type":"urn:tier0:problem:not-found""#,
            r#""status":404"#,
            r#""code":"not-found""#,
            r#""detail":"no run 7""#,
            r#""hint":"list runs""#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn an_older_client_reads_a_newer_answer() {
        let text = r#"{"schema":1,"as_of":"x","done":"yes","a_later_field":[1]}"#;
        let answer: Answer<ReplyView> = serde_json::from_str(text).unwrap();
        assert_eq!(answer.item.done, "yes");
    }
}
