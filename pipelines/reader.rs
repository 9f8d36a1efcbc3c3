//! Reads typed values out of a document and collects every mistake, instead of stopping at the
//! first.
//!
//! In come nodes, out come values or nothing; whoever gets nothing goes on with what else there is,
//! because the mistake is already noted. Nothing that was read while a mistake was noted may be
//! used: [`Reader::finish`] sees to that.

use crate::diagnosis::{Diagnosis, nearest};
use crate::document::{Document, Key, Node, Value};
use model::time::Span;
use model::units::Bytes;
use std::cell::RefCell;
use std::ops::RangeInclusive;

/// What is wanted of a count, for messages.
const WHOLE_NUMBER: &str = "a whole number";
/// What is wanted of a switch, for messages.
const TRUE_OR_FALSE: &str = "true or false";
/// Longest name of anything; far below what file systems allow for a whole path.
const NAME_CHARS_MAX: usize = 64;

/// Reads a document and notes mistakes.
#[derive(Debug)]
pub struct Reader<'d> {
    document: &'d Document,
    found: RefCell<Vec<Diagnosis>>,
}

/// A table whose keys are known to be legal.
#[derive(Debug)]
pub struct Keys<'d> {
    /// The table.
    pub node: &'d Node,
    what: String,
}

impl<'d> Reader<'d> {
    /// Begins to read.
    pub fn new(document: &'d Document) -> Self {
        Self {
            document,
            found: RefCell::default(),
        }
    }

    /// Ends reading: the value, or every mistake in the order of the text.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Diagnosis>> {
        let mut found = self.found.into_inner();
        found.sort();
        found.dedup();
        match value {
            Some(value) if found.is_empty() => Ok(value),
            Some(_) | None => {
                assert!(
                    !found.is_empty(),
                    "a value is missing only where a mistake was noted"
                );
                Err(found)
            }
        }
    }

    /// Notes a mistake at a node.
    pub fn mistake(
        &self,
        node: &Node,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.note(self.document.diagnose(node, code, message, hint));
    }

    /// Notes a mistake at a key.
    pub fn mistake_at(
        &self,
        key: &Key,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let source = &self.document.sources[key.source];
        self.note(source.diagnose(&key.at, code, message, hint));
    }

    /// Notes a mistake that was found elsewhere.
    pub fn note(&self, diagnosis: Diagnosis) {
        self.found.borrow_mut().push(diagnosis);
    }

    /// Notes mistakes that were found elsewhere.
    pub fn note_all(&self, found: Vec<Diagnosis>) {
        self.found.borrow_mut().extend(found);
    }

    fn wrong_kind(&self, node: &Node, wanted: &str) {
        let message = match &node.value {
            Value::Untyped(text) => format!("{wanted} is wanted here, this is {text:?}"),
            value => format!("{wanted} is wanted here, this is {}", value.kind()),
        };
        let hint = match &node.value {
            Value::Text(text) if is_bare(text, wanted) => format!("write {text} without quotes"),
            _ => format!("write {wanted}"),
        };
        self.mistake(node, "T004", message, hint);
    }

    /// A table; every key that is not among the legal ones is noted.
    pub fn table(&self, node: &'d Node, what: &str, legal: &[&str]) -> Option<Keys<'d>> {
        let Value::Table(entries) = &node.value else {
            let message = format!("{what} is a table, this is {}", node.value.kind());
            let hint = format!("write {{ .. }} with keys out of {}", legal.join(", "));
            self.mistake(node, "T004", message, hint);
            return None;
        };
        for (key, _) in entries
            .iter()
            .filter(|(key, _)| !legal.contains(&key.text.as_str()))
        {
            self.unknown_key(key, what, legal);
        }
        Some(Keys {
            node,
            what: what.to_owned(),
        })
    }

    /// Notes an unknown key with the nearest legal one.
    pub fn unknown_key(&self, key: &Key, what: &str, legal: &[&str]) {
        let hint = match nearest(&key.text, legal.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if legal.is_empty() => "it takes none".to_owned(),
            None => format!("its keys are {}", legal.join(", ")),
        };
        let message = format!("{what} has no key \"{}\"", key.text);
        self.mistake_at(key, "T002", message, hint);
    }

    /// The entries of a table with free keys.
    pub fn entries(&self, node: &'d Node, what: &str) -> &'d [(Key, Node)] {
        if let Value::Table(entries) = &node.value {
            entries
        } else {
            let message = format!("{what} are a table, this is {}", node.value.kind());
            self.mistake(node, "T004", message, "write { name = value, .. }");
            &[]
        }
    }

    /// A text; may be empty.
    pub fn text(&self, node: &'d Node) -> Option<&'d str> {
        if let Value::Text(text) | Value::Untyped(text) = &node.value {
            Some(text)
        } else {
            self.wrong_kind(node, "a text in quotes");
            None
        }
    }

    /// A name: letters, digits, `_` and `-`, and what else `also` allows.
    pub fn name(&self, node: &'d Node, also: &str) -> Option<&'d str> {
        let text = self.text(node)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || also.contains(c);
        if !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.chars().all(legal) {
            return Some(text);
        }
        let message = format!("{text:?} cannot be a name");
        let hint = format!("use 1 to {NAME_CHARS_MAX} letters, digits, \"_\" and \"-\"");
        self.mistake(node, "T005", message, hint);
        None
    }

    /// One of some words.
    pub fn word<T: Clone>(&self, node: &'d Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(value.clone());
        }
        let legal: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let near = nearest(text, legal.iter().copied());
        let near = near.map_or(String::new(), |near| format!("did you mean \"{near}\"? "));
        let hint = format!("{near}legal: {}", legal.join(", "));
        self.mistake(node, "T009", format!("{text:?} is no {what}"), hint);
        None
    }

    /// True or false.
    pub fn flag(&self, node: &Node) -> Option<bool> {
        match &node.value {
            Value::Flag(flag) => Some(*flag),
            Value::Untyped(text) if text == "true" => Some(true),
            Value::Untyped(text) if text == "false" => Some(false),
            _ => {
                self.wrong_kind(node, TRUE_OR_FALSE);
                None
            }
        }
    }

    /// A whole number within limits.
    pub fn count(&self, node: &Node, limits: RangeInclusive<u64>) -> Option<u64> {
        let (Value::Integer(text) | Value::Untyped(text)) = &node.value else {
            self.wrong_kind(node, WHOLE_NUMBER);
            return None;
        };
        if !is_bare(text, WHOLE_NUMBER) {
            let message = format!("{WHOLE_NUMBER} is wanted here, this is {text:?}");
            self.mistake(
                node,
                "T004",
                message,
                "write it in decimal digits, as in 16",
            );
            return None;
        }
        match text.parse::<u64>() {
            Ok(number) if limits.contains(&number) => Some(number),
            _ => {
                let message = format!("{text} is outside the limits");
                let (low, high) = limits.into_inner();
                let hint = match high {
                    u64::MAX => format!("write a whole number of at least {low}"),
                    _ => format!("write a whole number from {low} to {high}"),
                };
                self.mistake(node, "T008", message, hint);
                None
            }
        }
    }

    /// A whole number of 32 bits within limits.
    pub fn count_u32(&self, node: &Node, limits: RangeInclusive<u32>) -> Option<u32> {
        let number = self.count(node, u64::from(*limits.start())..=u64::from(*limits.end()))?;
        Some(u32::try_from(number).expect("the limits have 32 bits"))
    }

    /// A duration longer than none.
    pub fn span(&self, node: &'d Node) -> Option<Span> {
        match self.span_or_none(node) {
            Some(Span::ZERO) => {
                let hint = "write a duration of at least \"1us\"";
                self.mistake(node, "T008", "a duration of nothing", hint);
                None
            }
            span => span,
        }
    }

    /// A duration, which may be none at all: `"0s"`.
    pub fn span_or_none(&self, node: &'d Node) -> Option<Span> {
        if !matches!(node.value, Value::Text(_) | Value::Untyped(_)) {
            let message = format!("a duration carries its unit; this is {}", node.value.kind());
            self.mistake(
                node,
                "T006",
                message,
                "write it in quotes with a unit, as in \"60s\"",
            );
            return None;
        }
        let text = self.text(node)?;
        if text.trim_start().starts_with('-') {
            let message = format!("a duration is never negative, this is {text:?}");
            self.mistake(node, "T008", message, "write it without the sign");
            return None;
        }
        match Span::parse(text) {
            Ok(span) => Some(span.max(Span::ZERO)),
            Err(why) => {
                let hint = "units are us, ms, s, m, h, d";
                self.mistake(node, "T006", format!("this is no duration: {why}"), hint);
                None
            }
        }
    }

    /// A size of at least a byte.
    pub fn bytes(&self, node: &'d Node) -> Option<Bytes> {
        let without_unit = |what: &str| {
            let message = format!("a size carries its unit; this is {what}");
            let hint = "write it in quotes with a unit, as in \"4GiB\"";
            self.mistake(node, "T007", message, hint);
        };
        let (Value::Text(text) | Value::Untyped(text)) = &node.value else {
            without_unit(node.value.kind());
            return None;
        };
        // Four thousand bytes are never meant where somebody writes a memory of "4000".
        if text.trim_end().ends_with(|c: char| c.is_ascii_digit()) {
            without_unit(&format!("{text:?}"));
            return None;
        }
        if text.trim_start().starts_with('-') {
            let message = format!("a size is never negative, this is {text:?}");
            self.mistake(node, "T008", message, "write it without the sign");
            return None;
        }
        match Bytes::parse(text) {
            Ok(bytes) if bytes > Bytes(0) => Some(bytes),
            Ok(_) => {
                self.mistake(
                    node,
                    "T008",
                    "a size of nothing",
                    "write a size as in \"4GiB\"",
                );
                None
            }
            Err(why) => {
                let hint = "units are B, KiB, MiB, GiB, TiB";
                self.mistake(node, "T007", format!("this is no size: {why}"), hint);
                None
            }
        }
    }

    /// A decimal number in whole units of 10^-`digits`, read without floating point.
    pub fn decimal(&self, node: &Node, digits: u32) -> Option<i64> {
        let (Value::Text(text)
        | Value::Integer(text)
        | Value::Decimal(text)
        | Value::Untyped(text)) = &node.value
        else {
            self.wrong_kind(node, "a decimal number");
            return None;
        };
        let read = scaled(text, digits);
        if read.is_none() {
            let hint = format!("write digits and a point, at most {digits} behind it: \"0.01\"");
            self.mistake(node, "T010", format!("{text:?} is no decimal number"), hint);
        }
        read
    }

    /// The members of a list.
    pub fn list(&self, node: &'d Node, what: &str) -> &'d [Node] {
        if let Value::List(list) = &node.value {
            list
        } else {
            let message = format!(
                "a list of {what} is wanted here, this is {}",
                node.value.kind()
            );
            let hint = match what.split_once("(written as ") {
                Some((_, written)) => {
                    let written = written.trim_end_matches(')');
                    format!("write {written}, with two brackets, over each of them")
                }
                None => "write [ .., .. ]".to_owned(),
            };
            self.mistake(node, "T004", message, hint);
            &[]
        }
    }

    /// Members of a list, or the one value that stands for a list of one.
    pub fn one_or_more(&self, node: &'d Node) -> &'d [Node] {
        match &node.value {
            Value::List(list) => list,
            _ => std::slice::from_ref(node),
        }
    }
}

impl<'d> Keys<'d> {
    /// The value of a key, if it is there.
    pub fn get(&self, key: &str) -> Option<&'d Node> {
        self.node.get(key)
    }

    /// The value of a key that must be there.
    pub fn required(&self, reader: &Reader<'d>, key: &str, example: &str) -> Option<&'d Node> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("{} lacks \"{key}\"", self.what);
            reader.mistake(self.node, "T003", message, format!("add {example}"));
        }
        found
    }
}

/// Whether a text is what is wanted, but for the quotes around it.
fn is_bare(text: &str, wanted: &str) -> bool {
    match wanted {
        WHOLE_NUMBER => {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
        TRUE_OR_FALSE => matches!(text, "true" | "false"),
        _ => false,
    }
}

/// `"-1.25"` in units of 10^-`digits`; none if it is no number, has more digits, or does not fit.
fn scaled(text: &str, digits: u32) -> Option<i64> {
    let (negative, number) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, behind) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !all_digits(whole)
        || !all_digits(behind)
        || behind.len() > digits as usize
    {
        return None;
    }
    let scale = 10_i64.checked_pow(digits)?;
    let missing = digits - u32::try_from(behind.len()).ok()?;
    let behind: i64 = if behind.is_empty() {
        0
    } else {
        behind.parse().ok()?
    };
    let value = whole.parse::<i64>().ok()?.checked_mul(scale)?;
    let value = value.checked_add(behind.checked_mul(10_i64.checked_pow(missing)?)?)?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_without_floating_point() {
        let check = |text: &str, digits, expect| assert_eq!(scaled(text, digits), expect, "{text}");
        check("0.01", 9, Some(10_000_000));
        check("-1.25", 9, Some(-1_250_000_000));
        check("3", 9, Some(3_000_000_000));
        check("0.99", 6, Some(990_000));
        check("0.1234567", 6, None);
        check("1e3", 9, None);
        check(".5", 9, None);
        check("", 9, None);
        check("9999999999999", 9, None);
    }
}
