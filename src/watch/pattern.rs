//! File names with named captures and widths, as in
//! `run{run:6}_ls{lumi:4}_stream{stream}_{part}.dat`.
//!
//! In: the text of a pattern, once; then the bytes of names. Out: run, lumi and stream, or what is
//! wrong with the name. Reading never panics, whatever the bytes, and never looks at a name twice:
//! a capture ends at the first occurrence of the literal behind it (the last literal is matched at
//! the end), so two captures need a literal between them. Only a text may follow a number at once:
//! it begins where the digits end, and is the one capture that may be empty, so that
//! `KM3NeT_{detector:8}_{run:8}{part}.root` takes names with and without something behind the run.
//!
//! `{run}` and `{lumi}` are numbers, `{stream}` is letters, digits, `-`, `_` and `.`; any other
//! word is a capture of the profile's own. A width makes a capture a number and is the least number
//! of digits, filled with zeros. A word that stands twice must mean the same both times. A pattern
//! with a `/` is matched against the whole name below the profile's folder, any other against the
//! last part of it.

use model::ids::{LumiNumber, RunNumber};
use model::names::StreamName;
use std::fmt;
use thiserror::Error;

/// A name pattern, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Number {
        word: String,
        digits_min: usize,
        strict: bool,
    },
    Text {
        word: String,
    },
}

/// What a name says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The run, where the pattern has one.
    pub run: Option<RunNumber>,
    /// The lumi, where the pattern has one.
    pub lumi: Option<LumiNumber>,
    /// The stream, where the pattern has one.
    pub stream: Option<StreamName>,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// A brace without its partner.
    #[error(
        "could not read the name pattern \"{0}\": a brace has no partner; write captures as \
        {{run:6}}"
    )]
    Brace(String),
    /// A capture that is no word, or whose width is no number from 1 to 20.
    #[error(
        "could not read the name pattern \"{text}\": \"{capture}\" is no capture; write a word of \
        lower-case letters and, \
         for numbers, a width from 1 to 20, as in {{run:6}}"
    )]
    Capture {
        /// The pattern.
        text: String,
        /// The offending part.
        capture: String,
    },
    /// Two captures touch.
    #[error(
        "could not read the name pattern \"{0}\": two captures touch, so nobody could say where \
        the first ends; put a \
         literal between them"
    )]
    Touching(String),
    /// There is no capture at all.
    #[error(
        "could not read the name pattern \"{0}\": it captures nothing; write at least {{name}}"
    )]
    Nothing(String),
}

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Its bytes are no printable text; they are shown escaped.
    #[error("its bytes are no printable text")]
    NotText {
        /// The bytes, escaped.
        shown: String,
    },
    /// It has another shape.
    #[error("{0}")]
    OtherShape(String),
    /// A number is too large for what it counts.
    #[error("{word} {digits} is not between {least} and {most}")]
    OutOfRange {
        /// The capture.
        word: String,
        /// What stands there.
        digits: String,
        /// The smallest legal value.
        least: u64,
        /// The largest legal value.
        most: u64,
    },
    /// A capture that stands twice has two values.
    #[error("{word} is \"{first}\" at first and \"{second}\" later")]
    Disagrees {
        /// The capture.
        word: String,
        /// Its first value.
        first: String,
        /// The other one.
        second: String,
    },
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A name as text without control characters, or its escaped form.
pub fn printable(name: &[u8]) -> Result<&str, String> {
    match std::str::from_utf8(name) {
        Ok(text) if !text.chars().any(is_unprintable) => Ok(text),
        Ok(text) => Err(text
            .chars()
            .flat_map(|c| {
                let escaped = is_unprintable(c).then(|| c.escape_unicode());
                let plain = if escaped.is_none() { Some(c) } else { None };
                escaped.into_iter().flatten().chain(plain)
            })
            .collect()),
        Err(_) => Err(name.escape_ascii().to_string()),
    }
}

/// Control characters, and the marks that turn the direction of text and so hide what a name really
/// is.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl NamePattern {
    /// Reads and checks a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let brace = rest.find(['{', '}']).unwrap_or(rest.len());
            if brace > 0 {
                parts.push(Part::Literal(rest[..brace].to_owned()));
                rest = &rest[brace..];
                continue;
            }
            let end = rest
                .find('}')
                .filter(|end| *end > 0 && rest.starts_with('{'));
            let end = end.ok_or_else(|| PatternError::Brace(text.to_owned()))?;
            let capture = Part::capture(&rest[1..end]).ok_or_else(|| PatternError::Capture {
                text: text.to_owned(),
                capture: rest[..=end].to_owned(),
            })?;
            let touches = parts.last().is_some_and(|before| match before {
                Part::Literal(_) => false,
                Part::Number { .. } => capture.word() == Some("stream") || !capture.is_text(),
                Part::Text { .. } => true,
            });
            if touches {
                return Err(PatternError::Touching(text.to_owned()));
            }
            parts.push(capture);
            rest = &rest[end + 1..];
        }
        if parts.iter().all(|part| matches!(part, Part::Literal(_))) {
            return Err(PatternError::Nothing(text.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// Whether the pattern has this capture.
    pub fn has(&self, capture: &str) -> bool {
        self.parts.iter().any(|part| part.word() == Some(capture))
    }

    /// Whether names are matched with the folders in them.
    pub fn spans_folders(&self) -> bool {
        self.text.contains('/')
    }

    /// The extension that every name of the pattern has, with its dot; empty if there is none.
    pub(crate) fn extension(&self) -> &str {
        match self.parts.last() {
            Some(Part::Literal(literal)) => literal.rfind('.').map_or("", |dot| &literal[dot..]),
            _ => "",
        }
    }

    /// The same pattern with another extension.
    pub(crate) fn with_extension(&self, extension: &str) -> Result<Self, PatternError> {
        let stem = &self.text[..self.text.len() - self.extension().len()];
        Self::parse(&format!("{stem}{extension}"))
    }

    /// Reads a name given relative to the profile's folder.
    pub fn read(&self, name: &[u8]) -> Result<Captured, NameError> {
        let name = printable(name).map_err(|shown| NameError::NotText { shown })?;
        let mut rest = match name.rfind('/') {
            Some(slash) if !self.spans_folders() => &name[slash + 1..],
            _ => name,
        };
        let mut captured = Captured::default();
        let mut values: Vec<(&str, &str)> = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let value;
            let before = index.checked_sub(1).map(|index| &self.parts[index]);
            (value, rest) = part.split(rest, before, &self.parts[index + 1..])?;
            let Some(word) = part.word() else { continue };
            let comparable = match part {
                Part::Number { .. } => value.trim_start_matches('0'),
                _ => value,
            };
            match values.iter().find(|(other, _)| *other == word) {
                Some((_, first)) if *first != comparable => {
                    return Err(NameError::Disagrees {
                        word: word.to_owned(),
                        first: (*first).to_owned(),
                        second: comparable.to_owned(),
                    });
                }
                Some(_) => {}
                None => {
                    values.push((word, comparable));
                    captured.keep(word, value)?;
                }
            }
        }
        if rest.is_empty() {
            Ok(captured)
        } else {
            Err(NameError::OtherShape(format!(
                "\"{rest}\" is left over at its end"
            )))
        }
    }
}

impl Captured {
    fn keep(&mut self, word: &str, value: &str) -> Result<(), NameError> {
        match word {
            "run" => self.run = Some(RunNumber(number(word, value, 1)?)),
            "lumi" => self.lumi = Some(LumiNumber(number(word, value, 0)?)),
            "stream" => {
                let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if !value.chars().all(legal) {
                    return Err(NameError::OtherShape(format!(
                        "the stream \"{value}\" holds more than letters, digits, -, _ and ."
                    )));
                }
                self.stream = Some(StreamName::new(value));
            }
            _ => {}
        }
        Ok(())
    }
}

fn number(word: &str, digits: &str, least: u32) -> Result<u32, NameError> {
    match digits.parse::<u32>() {
        Ok(value) if value >= least => Ok(value),
        _ => Err(NameError::OutOfRange {
            word: word.to_owned(),
            digits: digits.to_owned(),
            least: u64::from(least),
            most: u64::from(u32::MAX),
        }),
    }
}

impl Part {
    fn capture(inside: &str) -> Option<Self> {
        let (word, width) = match inside.split_once(':') {
            Some((word, width)) => (
                word,
                Some(width.parse().ok().filter(|w| (1..=20).contains(w))?),
            ),
            None => (inside, None),
        };
        let legal = |c: char| c.is_ascii_lowercase() || c == '_';
        if word.is_empty() || !word.chars().all(legal) {
            return None;
        }
        let numeric = matches!(word, "run" | "lumi") || (width.is_some() && word != "stream");
        if word == "stream" && width.is_some() {
            return None;
        }
        let word = word.to_owned();
        Some(if numeric {
            Self::Number {
                word,
                digits_min: width.unwrap_or(1),
                strict: width.is_some(),
            }
        } else {
            Self::Text { word }
        })
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. })
    }

    fn word(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Number { word, .. } | Self::Text { word } => Some(word),
        }
    }

    /// Takes this part off the front: its value and what remains.
    fn split<'n>(
        &self,
        rest: &'n str,
        before: Option<&Self>,
        after: &[Self],
    ) -> Result<(&'n str, &'n str), NameError> {
        let shape = |why: String| Err(NameError::OtherShape(why));
        match self {
            Self::Literal(literal) => match rest.strip_prefix(literal.as_str()) {
                Some(remains) => Ok(("", remains)),
                None if rest.is_empty() => shape(format!("it ends where \"{literal}\" should be")),
                None => shape(format!("\"{rest}\" stands where \"{literal}\" should be")),
            },
            Self::Number {
                word,
                digits_min,
                strict,
            } => {
                let end = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                let (digits, remains) = rest.split_at(end);
                if digits.len() < *digits_min {
                    let least = digits_min;
                    shape(format!(
                        "{word} \"{digits}\" should have at least {least} digits"
                    ))
                } else if *strict && digits.len() > *digits_min && digits.starts_with('0') {
                    shape(format!(
                        "{word} \"{digits}\" has more zeros in front than its width"
                    ))
                } else if digits.trim_start_matches('0').len() > 19 {
                    Err(NameError::OutOfRange {
                        word: word.clone(),
                        digits: digits.to_owned(),
                        least: 0,
                        most: if matches!(word.as_str(), "run" | "lumi") {
                            u64::from(u32::MAX)
                        } else {
                            9_999_999_999_999_999_999
                        },
                    })
                } else {
                    Ok((digits, remains))
                }
            }
            Self::Text { word } => {
                let end = match after {
                    [] => Some(rest.len()),
                    [Self::Literal(last)] => {
                        rest.strip_suffix(last.as_str()).map(|text| text.len())
                    }
                    [Self::Literal(next), ..] => rest.find(next.as_str()),
                    _ => None,
                };
                let least = usize::from(!matches!(before, Some(Self::Number { .. })));
                match end {
                    Some(end) if end >= least && !rest[..end].contains('/') => {
                        Ok(rest.split_at(end))
                    }
                    _ => shape(format!("no {word} can be made out at \"{rest}\"")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CMS: &str = "run{run:6}_ls{lumi:4}_stream{stream}_{part}.dat";

    fn shown(pattern: &str, name: &[u8]) -> String {
        let pattern = NamePattern::parse(pattern).expect("the tests' patterns are legal");
        match pattern.read(name) {
            Ok(c) => format!(
                "{} {} {}",
                c.run.map_or("-".into(), |run| run.to_string()),
                c.lumi.map_or("-".into(), |lumi| lumi.to_string()),
                c.stream.map_or("-".into(), |stream| stream.to_string()),
            ),
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn names_are_read_or_refused_with_a_reason() {
        let check = |pattern: &str, name: &str, expect: &str| {
            assert_eq!(
                shown(pattern, name.as_bytes()),
                expect,
                "{name} by {pattern}"
            );
        };
        check(
            CMS,
            "run381594_ls1000_streamDQM_pid1880554.dat",
            "381594 1000 DQM",
        );
        check(
            CMS,
            "any/where/run000007_ls0001_streamA_StorageManager.dat",
            "7 1 A",
        );
        check(
            CMS,
            "run1381594_ls10000_streamDQM_x.dat.dat",
            "1381594 10000 DQM",
        );
        check(
            CMS,
            "run7_ls0001_streamA_x.dat",
            "! run \"7\" should have at least 6 digits",
        );
        check(
            CMS,
            "run0000007_ls0001_streamA_x.dat",
            "! run \"0000007\" has more zeros in front than its width",
        );
        check(
            CMS,
            "run000000_ls0001_streamA_x.dat",
            "! run 000000 is not between 1 and 4294967295",
        );
        check(
            CMS,
            "run12345678901234567890_ls0001_streamA_x.dat",
            "! run 12345678901234567890 is not between 0 and 4294967295",
        );
        check(
            CMS,
            "run000001_ls4294967296_streamA_x.dat",
            "! lumi 4294967296 is not between 0 and 4294967295",
        );
        check(
            CMS,
            "run000001_ls0001_stream_x.dat",
            "! no stream can be made out at \"_x.dat\"",
        );
        check(
            CMS,
            "run000001_ls0001_streamA_.dat",
            "! no part can be made out at \".dat\"",
        );
        check(
            CMS,
            "run000001_ls0001",
            "! it ends where \"_stream\" should be",
        );
        check(
            CMS,
            "readme.txt",
            "! \"readme.txt\" stands where \"run\" should be",
        );
        check(
            CMS,
            "run000001_ls0001_stream;rm -rf_x.dat",
            "! the stream \";rm -rf\" holds more than letters, digits, -, _ and .",
        );
        check(
            "run{run:6}/run{run:6}.raw",
            "run000012/run000012.raw",
            "12 - -",
        );
        check(
            "run{run:6}/run{run:6}.raw",
            "run000012/run000013.raw",
            "! run is \"12\" at first and \"13\" later",
        );
        check(
            "KM3NeT_{detector:8}_{run:8}.root",
            "KM3NeT_00000267_00025291.root",
            "25291 - -",
        );
        check("{name}", "whatever it is", "- - -");
        check("{name}", "", "! no name can be made out at \"\"");
        check("run{run}_{seq}.raw", "run00012_1.raw", "12 - -");
        check("{name}.x", "a\nb.x", "! its bytes are no printable text");
        check("{run}.x", "12.xy", "! \"y\" is left over at its end");
    }

    #[test]
    fn a_text_behind_a_number_may_be_empty() {
        let real = "KM3NeT_{detector:8}_{run:8}{part}.root";
        let check = |name: &str, expect: &str| {
            assert_eq!(shown(real, name.as_bytes()), expect, "{name}");
        };
        check("KM3NeT_00000267_00025291.root", "25291 - -");
        check("KM3NeT_00000267_00025291_L1.root", "25291 - -");
        check(
            "KM3NeT_00000049_00008456.summaryslice-167941.root",
            "8456 - -",
        );
        check(
            "KM3NeT_00000133_JDAQEvent.root",
            "! run \"\" should have at least 8 digits",
        );
        check(
            "KM3NeT_00000049_00008456.summaryslice-167941.txt",
            "! no part can be made out at \".summaryslice-167941.txt\"",
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_escaped() {
        let check = |name: &[u8], expect: &str| {
            assert_eq!(printable(name), Err(expect.to_owned()));
        };
        check(b"run\xff\xfe.dat", "run\\xff\\xfe.dat");
        check(b"a\nb\x1b[31m", "a\\u{a}b\\u{1b}[31m");
        check("left\u{202e}tfel".as_bytes(), "left\\u{202e}tfel");
        assert_eq!(
            printable("plain, or ünïcode".as_bytes()),
            Ok("plain, or ünïcode")
        );
    }

    #[test]
    fn patterns_are_checked_when_they_are_made() {
        let check = |text: &str, expect: &str| {
            let message = NamePattern::parse(text).expect_err(text).to_string();
            assert!(message.contains(expect), "{text}: {message}");
        };
        check("run{run", "a brace has no partner");
        check("run}run{", "a brace has no partner");
        check("{run:0}", "is no capture");
        check("{run:x}", "is no capture");
        check("{Run}", "is no capture");
        check("{}", "is no capture");
        check("{stream:4}", "is no capture");
        check("{run}{lumi}", "two captures touch");
        check("{run:6}{stream}.dat", "two captures touch");
        check("{name}{run}", "two captures touch");
        check("{name}{part}", "two captures touch");
        check("fixed.dat", "captures nothing");
        check("", "captures nothing");
        let pattern = NamePattern::parse(CMS).expect("legal");
        assert_eq!(pattern.extension(), ".dat");
        let sidecar = pattern.with_extension(".jsn").expect("legal");
        assert_eq!(
            sidecar.to_string(),
            "run{run:6}_ls{lumi:4}_stream{stream}_{part}.jsn"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_by_a_pattern_is_read_back(
            run in 1_u32.., lumi: u32, stream in "[A-Za-z0-9.-]{1,12}", part in "[a-z_.]{1,9}",
        ) {
            let name = format!("run{run:06}_ls{lumi:04}_stream{stream}_{part}.dat");
            let captured = NamePattern::parse(CMS).unwrap().read(name.as_bytes()).unwrap();
            prop_assert_eq!(captured, Captured {
                run: Some(RunNumber(run)),
                lumi: Some(LumiNumber(lumi)),
                stream: Some(StreamName::new(&stream)),
            });
        }

        #[test]
        fn no_bytes_make_it_panic(
            name: Vec<u8>, digits in "[0-9]{0,40}", text in "\\PC{0,20}",
            pattern in "[a-z{}:/0-9_.]{0,24}",
        ) {
            let _ = printable(&name);
            let mixed = format!("run{digits}_ls{digits}_stream{text}_.dat");
            for pattern in [CMS, "{name}", "run{run}/{run:3}.x", &pattern] {
                if let Ok(pattern) = NamePattern::parse(pattern) {
                    let _ = pattern.read(&name);
                    let _ = pattern.read(mixed.as_bytes());
                }
            }
        }
    }
}
