//! A typed text as a tree in which every value knows where it was typed, and layers of it over each
//! other.
//!
//! In comes TOML text (and single settings from the environment or flags), out comes one
//! [`Document`]. Numbers stay as they were written, so that no decision goes through floating
//! point. It never says what a key means; readers do.

use crate::diagnosis::{Diagnosis, Place, Source, nearest};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Which of the document's sources.
    pub source: usize,
    /// Where in it, in bytes.
    pub at: Range<usize>,
    /// What it is.
    pub value: Value,
}

/// A key and where it stands.
#[derive(Clone, Debug)]
pub struct Key {
    /// Which of the document's sources.
    pub source: usize,
    /// Where in it, in bytes.
    pub at: Range<usize>,
    /// The key itself.
    pub text: String,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text in quotes.
    Text(String),
    /// A whole number, as written.
    Integer(String),
    /// A decimal number, as written.
    Decimal(String),
    /// True or false.
    Flag(bool),
    /// Several values.
    List(Vec<Node>),
    /// Values by key.
    Table(Vec<(Key, Node)>),
    /// From the environment or a flag: what is meant follows from what is asked for.
    Untyped(String),
    /// A date or time; nothing of ours is one.
    Date,
}

/// One or more sources, laid over each other.
#[derive(Clone, Debug)]
pub struct Document {
    /// The texts.
    pub sources: Vec<Source>,
    /// The tree of the first, with what later ones changed.
    pub root: Node,
}

impl Value {
    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Decimal(_) => "a decimal number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Untyped(_) => "a setting",
            Self::Date => "a date",
        }
    }
}

impl Document {
    /// Reads TOML; all mistakes of its grammar at once.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Diagnosis>> {
        let source = Source::new(file, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let root = Node {
                source: 0,
                at: 0..0,
                value: Value::Table(entries(table.get_ref())),
            };
            return Ok(Self {
                sources: vec![source],
                root,
            });
        }
        let mut found: Vec<(usize, bool, Diagnosis)> = errors
            .iter()
            .map(|error| {
                let at = error.span().unwrap_or(0..0);
                let (endless, diagnosis) = ungrammatical(&source, &at, error.message());
                (at.start, endless, diagnosis)
            })
            .collect();
        found.sort_by_key(|(at, ..)| *at);
        // What follows from a bracket that is never closed, or from the first mistake of a line,
        // helps nobody.
        if let Some(endless) = found.iter().position(|(_, endless, _)| *endless) {
            found.truncate(endless + 1);
        }
        found.dedup_by_key(|(.., diagnosis)| diagnosis.line);
        Err(found.into_iter().map(|(.., diagnosis)| diagnosis).collect())
    }

    /// A document without a setting, to lay others over.
    pub fn empty() -> Self {
        let root = Node {
            source: 0,
            at: 0..0,
            value: Value::Table(Vec::new()),
        };
        Self {
            sources: vec![Source::new("defaults", "")],
            root,
        }
    }

    /// Lays one setting over the tree: `path` from the outermost table, `shown` the text it came
    /// in, whose end is `value`. In a list of tables a step of the path is the `name` of the table
    /// meant.
    pub fn lay_over(
        &mut self,
        origin: &str,
        shown: &str,
        path: &[&str],
        value: &str,
    ) -> Result<(), Box<Diagnosis>> {
        let source = self.sources.len();
        self.sources.push(Source::new(origin, shown));
        let at = shown.len().saturating_sub(value.len())..shown.len();
        let new = Node {
            source,
            at: at.clone(),
            value: Value::Untyped(value.to_owned()),
        };
        let key_at = 0..at.start.saturating_sub(1);
        set(&mut self.root, path, new, &key_at).map_err(|astray| {
            let diagnose = |code, message, hint: String| {
                Box::new(self.sources[source].diagnose(&key_at, code, message, hint))
            };
            match astray {
                Astray::NoSuchName { step, names } => {
                    let hint = match nearest(&step, names.iter().map(String::as_str)) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => format!("the names there are {}", names.join(", ")),
                    };
                    let message = format!("{} names no {}: \"{step}\"", path.join("."), path[0]);
                    diagnose("T002", message, hint)
                }
                Astray::NoTable => {
                    let message = format!("{} leads to no setting", path.join("."));
                    let hint = "name the whole path of one setting, e.g. api.listen";
                    diagnose("T004", message, hint.to_owned())
                }
            }
        })
    }

    /// The name of the pipeline that it defines, if it says one.
    pub fn pipeline(&self) -> Option<&str> {
        match &self.root.get("pipeline")?.get("name")?.value {
            Value::Text(name) => Some(name),
            _ => None,
        }
    }

    /// A mistake at a node.
    pub fn diagnose(
        &self,
        node: &Node,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnosis {
        self.sources[node.source].diagnose(&node.at, code, message, hint)
    }
}

/// A mistake of the grammar, and whether all behind it was read as its inside.
fn ungrammatical(source: &Source, at: &Range<usize>, said: &str) -> (bool, Diagnosis) {
    if let Some((open, close)) = unclosed(&source.text, at.start) {
        let message = "this is not TOML: what begins here never ends";
        let hint = format!("close it with {close}");
        return (
            true,
            source.diagnose(&(open..open + 1), "T001", message, hint),
        );
    }
    let hint = if said.contains("duplicate key") {
        "remove or rename one: a key stands once in its table, a [section] once in a file"
    } else if said.contains("must be quoted") {
        "write texts, durations and sizes in straight quotes, as in \"real\" or \"60s\""
    } else if said.contains("basic string") {
        "end the text with a \" on the same line"
    } else {
        "write one `key = value` a line, each key once"
    };
    let message = format!("this is not TOML: {said}");
    (false, source.diagnose(at, "T001", message, hint))
}

/// Where the list or inline table began that a mistake stands in and that does not end before the
/// next section: the parser meets only what comes after it.
fn unclosed(text: &str, at: usize) -> Option<(usize, char)> {
    let before = text.get(..at)?;
    let never_ends = |(open, bracket): (usize, &str)| {
        let line = before[..open].rsplit('\n').next().unwrap_or_default();
        let begins = line.trim_end().ends_with(['=', ',', '[', '{']) && !line.contains('#');
        let close = if bracket == "{" { '}' } else { ']' };
        let inside = &text[open + 1..];
        let inside = &inside[..inside.find("\n[").unwrap_or(inside.len())];
        let is_it = begins && before[open..].contains('\n') && !inside.contains(close);
        is_it.then_some((open, close))
    };
    before.rmatch_indices(['{', '[']).find_map(never_ends)
}

/// Why a way leads nowhere.
enum Astray {
    /// Behind something that is no table.
    NoTable,
    /// In a list of tables, none of which has this name.
    NoSuchName { step: String, names: Vec<String> },
}

fn set(node: &mut Node, path: &[&str], new: Node, key_at: &Range<usize>) -> Result<(), Astray> {
    let Some((step, rest)) = path.split_first() else {
        *node = new;
        return Ok(());
    };
    let source = new.source;
    let branch = || Node {
        source,
        at: key_at.clone(),
        value: Value::Table(Vec::new()),
    };
    let key = |text: &str| Key {
        source,
        at: key_at.clone(),
        text: text.to_owned(),
    };
    match &mut node.value {
        Value::Table(entries) => {
            let at = entries
                .iter()
                .position(|(key, _)| key.text == *step)
                .unwrap_or_else(|| {
                    entries.push((key(step), branch()));
                    entries.len() - 1
                });
            set(&mut entries[at].1, rest, new, key_at)
        }
        Value::List(tables) => {
            let named = |table: &Node| table.get("name").is_some_and(|name| name.is_text(step));
            let Some(at) = tables.iter().position(named) else {
                let names = tables.iter().filter_map(|table| table.get("name"));
                let names = names.filter_map(|name| match &name.value {
                    Value::Text(name) => Some(name.clone()),
                    _ => None,
                });
                return Err(Astray::NoSuchName {
                    step: (*step).to_owned(),
                    names: names.collect(),
                });
            };
            set(&mut tables[at], rest, new, key_at)
        }
        _ => Err(Astray::NoTable),
    }
}

impl Node {
    /// Where it stands.
    pub fn place(&self) -> Place {
        Place {
            source: self.source,
            at: self.at.clone(),
        }
    }

    /// The value of a key, if this is a table and has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(entries) => entries
                .iter()
                .find(|(found, _)| found.text == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    fn is_text(&self, text: &str) -> bool {
        matches!(&self.value, Value::Text(found) if found == text)
    }
}

fn entries(table: &DeTable<'_>) -> Vec<(Key, Node)> {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let text = std::borrow::Cow::to_string(key.get_ref());
        (
            Key {
                source: 0,
                at: key.span(),
                text,
            },
            node(value),
        )
    };
    table.iter().map(entry).collect()
}

fn node(value: &toml::Spanned<DeValue<'_>>) -> Node {
    let read = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Integer(number.to_string()),
        DeValue::Float(number) => Value::Decimal(number.to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(list) => Value::List(list.iter().map(node).collect()),
        DeValue::Table(table) => Value::Table(entries(table)),
    };
    Node {
        source: 0,
        at: value.span(),
        value: read,
    }
}
