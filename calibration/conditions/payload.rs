//! What may become a payload: looked at before anything of it is kept.
//!
//! In comes the text and the payload that is in force now; out comes nothing, or what is wrong with
//! it. A payload is like the one it follows: the same names with values of the same kind. So the
//! constants of another tag, a number that became `null` on its way or a file cut short do not get
//! in. A tag's first payload is a JSON object; where the one in force is another text, the content
//! is its programs' matter. Must never judge whether a value is good: that is the gate's.

use serde_json::{Map, Value};
use thiserror::Error;

/// A payload at most: it rests in the engine's memory, a row and a request.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 10;

/// Numbers up to this many units fit into whole numbers of 10^-9 of them.
const UNITS_MAX: f64 = 9e9;

/// What is wrong with a payload.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// There is nothing in it.
    #[error("the payload is empty; give the file that the constants are in")]
    Empty,
    /// There is too much in it.
    #[error(
        "the payload has {bytes} bytes, {PAYLOAD_BYTES_MAX} at most; keep large tables in a file \
         and put its name and checksum"
    )]
    TooLarge {
        /// What it has.
        bytes: usize,
    },
    /// It cannot be read.
    #[error("the payload is no JSON document: {why}; write it again, whole")]
    NoJson {
        /// What the reader says, with line and column.
        why: String,
    },
    /// It is a list or a single value.
    #[error("the payload is no JSON object; name each constant, as in {{\"x0_cm\": 0.0796}}")]
    NoObject,
    /// A word stands where a number must.
    #[error("the payload holds {word} in line {line}, which is no number; measure it again")]
    NotANumber {
        /// The word.
        word: String,
        /// Its line.
        line: usize,
    },
    /// A constant is missing.
    #[error(
        "the payload has no \"{name}\", which the one in force has; add it, or put this into a tag \
         of its own"
    )]
    Missing {
        /// The constant.
        name: String,
    },
    /// A constant is something else.
    #[error(
        "\"{name}\" is {is} in the payload and {was} in the one in force; a constant keeps its kind"
    )]
    OtherKind {
        /// The constant.
        name: String,
        /// What it is.
        is: &'static str,
        /// What it must be.
        was: &'static str,
    },
}

/// Whether a text may follow the payload in force, if there is one.
pub fn check(text: &str, in_force: Option<&str>) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(Fault::Empty);
    }
    if text.len() > PAYLOAD_BYTES_MAX {
        return Err(Fault::TooLarge { bytes: text.len() });
    }
    let before = match in_force.map(serde_json::from_str) {
        None => Map::new(),
        Some(Ok(Value::Object(before))) => before,
        Some(_) => return Ok(()),
    };
    no_word_for_a_number(text)?;
    let why = |error: serde_json::Error| Fault::NoJson {
        why: error.to_string(),
    };
    let Value::Object(object) = serde_json::from_str(text).map_err(why)? else {
        return Err(Fault::NoObject);
    };
    for (name, was) in &before {
        let Some(is) = object.get(name) else {
            return Err(Fault::Missing { name: name.clone() });
        };
        let (is, was) = (kind(is), kind(was));
        if is != was {
            let name = name.clone();
            return Err(Fault::OtherKind { name, is, was });
        }
    }
    Ok(())
}

/// The numbers of these names at the top of a payload, in 10^-9 of their units; none unless each of
/// them is there and fits.
pub fn numbers_nano<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<Vec<i64>> {
    let Ok(Value::Object(object)) = serde_json::from_str(text) else {
        return None;
    };
    let number = |name: &str| object.get(name).and_then(Value::as_f64);
    let nano = |name: &str| {
        let number = number(name).filter(|number| number.abs() < UNITS_MAX)?;
        Some((number * 1e9).round() as i64)
    };
    names.into_iter().map(nano).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Words outside quotes that some writers use for what is no number.
fn no_word_for_a_number(text: &str) -> Result<(), Fault> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let (mut line, mut word) = (1, String::new());
    for letter in text.chars().chain([' ']) {
        if !is_quoted && letter.is_ascii_alphabetic() {
            word.push(letter);
            continue;
        }
        let is_no_number = ["nan", "inf", "infinity"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known));
        if is_no_number {
            return Err(Fault::NotANumber { word, line });
        }
        word.clear();
        line += usize::from(letter == '\n');
        is_quoted ^= letter == '"' && !is_escaped;
        is_escaped = is_quoted && letter == '\\' && !is_escaped;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_payload_is_said() {
        let good = "{\"x0_cm\": 0.0796, \"n_used\": 790, \"note\": \"NaN \\\" inf\"}";
        let check = |text: &str, in_force: Option<&str>, expect: Option<&str>| {
            let fault = check(text, in_force).err().map(|fault| fault.to_string());
            let is_as_expected = match (&fault, expect) {
                (None, None) => true,
                (Some(fault), Some(part)) => fault.contains(part),
                _ => false,
            };
            assert!(is_as_expected, "{text}: {fault:?}, expected {expect:?}");
        };
        check(good, None, None);
        check(good, Some(good), None);
        check(" \n", None, Some("is empty"));
        check(
            &"1".repeat(PAYLOAD_BYTES_MAX + 1),
            None,
            Some("262145 bytes"),
        );
        check(
            "{\"x0_cm\": 0.07",
            None,
            Some("no JSON document: EOF while parsing"),
        );
        check("[1, 2]", None, Some("no JSON object"));
        check("{\n\"x0_cm\": NaN}", None, Some("NaN in line 2"));
        check("{\"x0_cm\": -Infinity}", None, Some("Infinity in line 1"));
        check("{\"x0_cm\": 1e999}", None, Some("number out of range"));
        check("{\"z_gev\": 91.2}", Some(good), Some("no \"n_used\""));
        let cut = "{\"x0_cm\": null, \"n_used\": 790, \"note\": \"\"}";
        check(
            cut,
            Some(good),
            Some("\"x0_cm\" is null in the payload and a number"),
        );
        let more = "{\"x0_cm\": 1, \"n_used\": 790, \"note\": \"\", \"y0_cm\": 0}";
        check(more, Some(good), None);
        check("any text", Some("# a table"), None);
        check("", Some("# a table"), Some("is empty"));
    }

    #[test]
    fn numbers_are_read_by_name_or_not_at_all() {
        let text = r#"{"x0_cm": 0.0796, "y0_cm": -1e-9, "far": 1e300, "word": "1", "list": [1]}"#;
        let read = |names: &[&str]| numbers_nano(text, names.iter().copied());
        assert_eq!(read(&["y0_cm", "x0_cm"]), Some(vec![-1, 79_600_000]));
        for name in ["far", "word", "list", "absent"] {
            assert_eq!(read(&["x0_cm", name]), None, "{name}");
        }
        assert_eq!(numbers_nano("no JSON", ["x0_cm"]), None);
    }
}
