//! What is wrong with a text that people typed, as they need to hear it: where, what, and what to
//! do.
//!
//! In come a source and a place in it, out comes a [`Diagnosis`] that prints like a compiler's. It
//! never decides what is wrong; readers do.

use std::fmt;
use std::ops::Range;

/// Lines longer than this are shown in part, so that a file of one endless line stays readable.
const EXCERPT_CHARS_MAX: usize = 160;

/// A text with the name it is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// A file's name, or what else the text came from.
    pub file: String,
    /// The whole text.
    pub text: String,
}

/// A place in one of several texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Which text.
    pub source: usize,
    /// Where in it, in bytes.
    pub at: Range<usize>,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnosis {
    /// The file, or what else the text came from.
    pub file: String,
    /// Its line, from 1; 0 where the mistake has no place in the text.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// A stable code, e.g. `P012`; [`EXPLANATIONS`] says more.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// The line, and a caret line under it.
    pub excerpt: Option<(String, String)>,
}

/// What each code means, for `tier0 explain`.
pub const EXPLANATIONS: &[(&str, &str)] = &[
    (
        "T001",
        "The text is not TOML: a bracket, quote or equals sign is missing, or a key stands twice.",
    ),
    (
        "T002",
        "A key that nobody reads. Unknown keys are refused so that a misspelt one cannot be lost.",
    ),
    (
        "T003",
        "A key without which the section means nothing is missing.",
    ),
    (
        "T004",
        "A value of the wrong kind, e.g. a number where a text belongs.",
    ),
    (
        "T005",
        "A name with characters that names may not have, or an empty one.",
    ),
    (
        "T006",
        "A duration without a unit, or one that cannot be read. Write \"60s\" or \"48h\".",
    ),
    (
        "T007",
        "A size that cannot be read. Write \"512MiB\", \"4GiB\".",
    ),
    (
        "T008",
        "A number outside its limits; zero and negative limits would stop all work.",
    ),
    ("T009", "A word that is not among the legal ones."),
    (
        "T010",
        "A decimal number that cannot be held exactly in whole nano-units.",
    ),
    (
        "T011",
        "A value by run or era that names no run or no declared era, or that some runs lack.",
    ),
    (
        "P001",
        "A task without a program, or a placeholder in it that nobody fills.",
    ),
    (
        "P002",
        "Two tasks, outputs, gates or pipelines of the same name.",
    ),
    (
        "P003",
        "An input or trigger that names no output of any task, or one that not all its runs have.",
    ),
    (
        "P004",
        "Tasks that wait for each other in a circle: none of them could ever begin.",
    ),
    ("P005", "A budget that nobody can keep or miss."),
    (
        "P006",
        "A tag that no task, or more than one task, calibrates.",
    ),
    ("P007", "Part of the design, but not built yet."),
    (
        "P008",
        "A decision on a whole run (a constant, a verdict) from a task with several jobs a run.",
    ),
    ("P009", "Two pipelines that would write into one dataset."),
    (
        "P010",
        "Parameters of a splitter that contradict each other.",
    ),
    (
        "P011",
        "A splitter for input that the pipeline's trigger never brings.",
    ),
    (
        "P012",
        "A verdict that holds a task that is not there, or the one that gives it.",
    ),
    (
        "P020",
        "A pipeline that inherits from one that is not there, or from itself by way of others.",
    ),
];

impl Source {
    /// A text and its name.
    pub fn new(file: &str, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
        }
    }

    /// A mistake at a place in bytes.
    pub fn diagnose(
        &self,
        at: &Range<usize>,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnosis {
        let start = floor_char_boundary(&self.text, at.start);
        let end = floor_char_boundary(&self.text, at.end.max(start));
        let line_start = self.text[..start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next().unwrap_or("");
        let column = self.text[line_start..start].chars().count();
        let width = self.text[start..end]
            .lines()
            .next()
            .unwrap_or("")
            .chars()
            .count()
            .max(1);
        Diagnosis {
            file: self.file.clone(),
            line: self.text[..start].matches('\n').count() + 1,
            column: column + 1,
            code,
            message: message.into(),
            hint: hint.into(),
            excerpt: Some(excerpt(line, column, width)),
        }
    }
}

/// The line as it is shown and the caret line under it.
fn excerpt(line: &str, column: usize, width: usize) -> (String, String) {
    let skipped = column.saturating_sub(EXCERPT_CHARS_MAX / 2);
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = line
        .chars()
        .skip(skipped)
        .take(EXCERPT_CHARS_MAX)
        .map(clean)
        .collect();
    let room = EXCERPT_CHARS_MAX.saturating_sub(column - skipped).max(1);
    let caret = format!(
        "{}{}",
        " ".repeat(column - skipped),
        "^".repeat(width.min(room))
    );
    (shown.trim_end().to_owned(), caret)
}

/// The last boundary of characters at or before a byte; places from foreign parsers are not
/// trusted.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl Diagnosis {
    /// A mistake that has no place in a text, e.g. a file that cannot be read.
    pub fn without_place(file: &str, code: &'static str, message: String, hint: String) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            code,
            message,
            hint,
            excerpt: None,
        }
    }

    /// The same where a secret stands at the place: the line is shown up to it. What is printed
    /// goes into logs and over shoulders.
    pub fn hiding_the_value(mut self) -> Self {
        if let Some((line, caret)) = &mut self.excerpt {
            let before = caret.chars().take_while(|c| *c == ' ').count();
            *line = line.chars().take(before).chain("***".chars()).collect();
            *caret = format!("{}^^^", " ".repeat(before));
        }
        self
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error[{}]: {}", self.code, self.message)?;
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        match &self.excerpt {
            Some((line, caret)) => {
                writeln!(f, "{margin}--> {}:{}:{}", self.file, self.line, self.column)?;
                writeln!(f, "{margin} |")?;
                writeln!(f, "{number} | {line}")?;
                writeln!(f, "{margin} | {caret}")?;
            }
            None => writeln!(f, "{margin}--> {}", self.file)?,
        }
        write!(f, "{margin} = hint: {}", self.hint)
    }
}

/// The nearest of some words, if one is near enough to have been meant.
///
/// Distance: optimal string alignment (F. Damerau, CACM 7 (1964) 171): letters replaced, added,
/// dropped, or two neighbours swapped. Near enough: a third of the letters, one at least; capitals
/// count as their small letters.
pub fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |candidate: &str| (candidate.len().max(word.len()) / 3).max(1);
    let comparable = |candidate: &&str| candidate.len().abs_diff(word.len()) <= near(candidate);
    words
        .into_iter()
        .filter(comparable)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= near(candidate))
        .min()
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let small = |word: &str| word.chars().flat_map(char::to_lowercase).collect();
    let (a, b): (Vec<char>, Vec<char>) = (small(a), small(b));
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(x != y);
            let mut least = replaced.min(row[j] + 1).min(rows[i][j + 1] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnosis_prints_like_a_compilers() {
        let source = Source::new("a.toml", "x = 1\n\u{e4}\tkey = \"v\"\n");
        let at = source.text.find("key").unwrap();
        let text = source
            .diagnose(&(at..at + 3), "T002", "no such key", "remove it")
            .to_string();
        assert_eq!(
            text,
            "error[T002]: no such key\n --> a.toml:2:3\n  |\n\
             2 | \u{e4} key = \"v\"\n  |   ^^^\n  = hint: \
             remove it"
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        let source = Source::new("a.toml", "url = \"a:word@b\" # word\n");
        let found = source.diagnose(&(6..16), "C009", "a password", "move it");
        let text = found.hiding_the_value().to_string();
        assert!(text.contains("1 | url = ***\n  |       ^^^\n"), "{text}");
        assert!(!text.replace("password", "").contains("word"), "{text}");
    }

    #[test]
    fn places_outside_the_text_do_no_harm() {
        for text in ["", "\n", "\u{1f980}", &"x".repeat(10_000)] {
            let source = Source::new("f", text);
            for (start, end) in [(0, 0), (1, 2), (9_999, 20_000), (50, 3)] {
                let shown = source.diagnose(&(start..end), "T001", "m", "h").to_string();
                assert!(shown.len() < 1_000, "{shown}");
            }
        }
    }

    #[test]
    fn the_nearest_word_is_one_that_may_have_been_meant() {
        let words = ["max_events", "max_files", "wait"];
        assert_eq!(nearest("max_event", words), Some("max_events"));
        assert_eq!(nearest("wiat", words), Some("wait"));
        assert_eq!(nearest("wat", words), Some("wait"));
        assert_eq!(nearest("MAX_FILES", words), Some("max_files"));
        assert_eq!(nearest("zebra", words), None);
    }
}
