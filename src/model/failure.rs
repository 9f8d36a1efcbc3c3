//! What a failure looks like, whoever had it: two failures with one fingerprint are one cause for
//! people, and the same failure for a retry policy.
//!
//! In come a class, an exit code and a message, out comes a fingerprint. Whatever differs from one
//! attempt to the next without saying more (numbers, addresses, paths) is masked first; so is the
//! middle of a long error output, whose beginning is cut at a different place each time.

use crate::job::ExitClass;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Stands between what is said of an attempt and the end of what it wrote.
pub const OUTPUT_ENDS: &str = "; its error output ends: ";
/// Words of a line that count: enough to tell causes apart, few enough not to see how long the line
/// was.
const WORDS_MAX: usize = 24;
/// Shorter ones are words that happen to be made of a to f.
const HEX_DIGITS_MIN: usize = 8;

/// The mark of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a failure.
    pub fn of(class: ExitClass, code: Option<i32>, message: &str) -> Self {
        let code = code.map_or(String::new(), |code| code.to_string());
        let text = format!("{}\n{code}\n{}", class.as_str(), normalised(message));
        // FNV-1a, 64 bits (draft-eastlake-fnv): no secret, the same everywhere.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash)
    }

    /// Reads the written form: 16 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = hex.then(|| u64::from_str_radix(text, 16));
        number?.ok().map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a fingerprint has 16 hex digits"))
    }
}

/// A message without what differs from one attempt to the next: its first and its last line, with
/// numbers, addresses and paths masked.
pub fn normalised(message: &str) -> String {
    fn lines(text: &str) -> impl DoubleEndedIterator<Item = &str> {
        let lines = text.lines().map(str::trim);
        lines.filter(|line| !line.is_empty())
    }
    let (said, output) = message.split_once(OUTPUT_ENDS).unwrap_or((message, ""));
    let first = lines(said).next();
    let last = lines(output).next_back();
    let last = last.or_else(|| lines(said).skip(1).last());
    let mut normalised = String::new();
    if let Some(line) = first {
        add_masked(&mut normalised, line.split_whitespace().take(WORDS_MAX));
    }
    if let Some(line) = last {
        if first.is_some() {
            normalised.push('\n');
        }
        let words = line.split_whitespace();
        let left_out = words.clone().count().saturating_sub(WORDS_MAX);
        add_masked(&mut normalised, words.skip(left_out));
    }
    normalised
}

/// Adds words with a space between them.
fn add_masked<'m>(text: &mut String, words: impl Iterator<Item = &'m str>) {
    for (position, word) in words.enumerate() {
        if position > 0 {
            text.push(' ');
        }
        add_word(text, word);
    }
}

/// Adds a word with its varying parts replaced by signs.
fn add_word(text: &mut String, word: &str) {
    if word.contains('/') && word.len() > 1 {
        text.push_str("<path>");
        return;
    }
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let digits = bare.strip_prefix("0x").unwrap_or(bare);
    let hex = |c: char| c.is_ascii_hexdigit() || c == '-';
    let is_hex = !digits.is_empty() && digits.chars().all(hex);
    let has_digit = digits.chars().any(|c| c.is_ascii_digit());
    if is_hex && has_digit && (digits.len() >= HEX_DIGITS_MIN || digits.len() < bare.len()) {
        text.push('#');
        return;
    }
    let mut in_number = false;
    let mut letters = word.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_digit = letters.peek().is_some_and(char::is_ascii_digit);
        let joins = in_number && matches!(letter, '.' | ':' | ',' | '-' | '_') && next_is_digit;
        if letter.is_ascii_digit() || joins {
            if !in_number {
                text.push('#');
            }
            in_number = true;
        } else {
            text.extend(letter.to_lowercase());
            in_number = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_one_attempt_to_the_next_is_masked() {
        let check = |message: &str, expect: &str| assert_eq!(normalised(message), expect);
        check("it ran for 10.03 s at 12:01:07", "it ran for # s at #");
        check("cannot read /tmp/a/7.root: gone", "cannot read <path> gone");
        check("at 0x7ffe01, id 550e8400-e29b-41d4", "at # id #");
        check("Dead beef in Run2026A", "dead beef in run#a");
        check("\n\n  first 1 \n second 2\n third 3 \n", "first #\nthird #");
        check("", "");
    }

    #[test]
    fn the_end_of_an_output_counts_and_not_where_it_was_cut() {
        let message = |cut: &str| {
            format!("it exited with code 1{OUTPUT_ENDS}{cut}\nValueError: lumi 7 is bad\n")
        };
        let of = |text: &str| Fingerprint::of(ExitClass::Program, Some(1), text);
        assert_eq!(
            of(&message("ne 12 in main")),
            of(&message("line 9 in main"))
        );
        assert_ne!(of(&message("")), of("it exited with code 1"));
        assert_ne!(
            of("gone"),
            Fingerprint::of(ExitClass::Program, Some(2), "gone")
        );
        assert_ne!(
            of("gone"),
            Fingerprint::of(ExitClass::Input, Some(1), "gone")
        );
    }

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let mark = Fingerprint::of(ExitClass::Memory, None, "too much");
        assert_eq!(Fingerprint::parse(&mark.to_string()), Some(mark));
        for wrong in ["", "12", "+123456789abcdef", "0123456789abcdeg"] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
