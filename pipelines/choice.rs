//! Values that depend on the run or the era: `{ default = .., from_run = { 402000 = .. },
//! era = { "2026A" = .. } }` may stand wherever a value of a pipeline does.
//!
//! In come a document and the eras, out come the runs at which something changes and, for each
//! stretch of runs between them, the document with every choice made. The value of the run's era
//! goes first, then that of the largest `from_run` that is not beyond the run, then the default.
//! What is chosen is not looked at: readers meet it as if it had been typed alone.

use crate::diagnosis::{Diagnosis, nearest};
use crate::document::{Document, Key, Node, Value};
use crate::reader::Reader;
use model::ids::RunNumber;
use std::collections::{BTreeMap, BTreeSet};

const CHOICE_KEYS: [&str; 3] = ["default", "from_run", "era"];

/// Stretches of runs with a name each, by first run; one lasts until the next begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Eras(BTreeMap<RunNumber, String>);

/// Runs in which nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// The first of them.
    pub first: RunNumber,
    /// The last of them, unless there is none.
    pub last: Option<RunNumber>,
}

impl std::fmt::Display for Stretch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.first.0, self.last) {
            (0, None) => f.write_str("all runs"),
            (0, Some(last)) => write!(f, "runs to {last}"),
            (first, None) => write!(f, "runs from {first}"),
            (first, Some(last)) => write!(f, "runs {first} to {last}"),
        }
    }
}

impl Eras {
    /// Reads `[[era]]`.
    pub fn read<'d>(reader: &Reader<'d>, node: &'d Node) -> Self {
        let mut eras = BTreeMap::new();
        for node in reader.list(node, "eras (written as [[era]])") {
            let Some(keys) = reader.table(node, "[[era]]", &["name", "from_run"]) else {
                continue;
            };
            let name_at = keys.required(reader, "name", "name = \"2026A\"");
            let from_at = keys.required(reader, "from_run", "from_run = 402000");
            let name = name_at.and_then(|node| reader.name(node, "."));
            let from = from_at.and_then(|node| reader.count_u32(node, 1..=u32::MAX));
            let (Some(name), Some(from)) = (name, from) else {
                continue;
            };
            let twice = eras.values().any(|other| other == name);
            if let Some(at) = name_at.filter(|_| twice) {
                let message = format!("era \"{name}\" is declared twice");
                reader.mistake(at, "P002", message, "give each era its own name");
            }
            let before = eras.insert(RunNumber(from), name.to_owned());
            if let Some((before, at)) = before.zip(from_at) {
                let message = format!("era \"{before}\" begins with run {from} too");
                reader.mistake(at, "P002", message, "let each era begin with its own run");
            }
        }
        Self(eras)
    }

    /// The era of a run; none before the first.
    pub fn at(&self, run: RunNumber) -> Option<&str> {
        let (_, name) = self.0.range(..=run).next_back()?;
        Some(name)
    }

    /// All of them, by first run.
    pub fn iter(&self) -> impl Iterator<Item = (RunNumber, &str)> {
        self.0.iter().map(|(first, name)| (*first, name.as_str()))
    }
}

/// The entries of a table that stands for several values.
pub(crate) fn is_choice(node: &Node) -> bool {
    let Value::Table(entries) = &node.value else {
        return false;
    };
    let is_table = |name: &str| {
        let node = node.get(name);
        node.is_some_and(|node| matches!(node.value, Value::Table(_)))
    };
    // One that was meant to be one, so that the misspelt key is named and not the table.
    let misspelt = |(key, _): &(Key, Node)| {
        let known = CHOICE_KEYS.contains(&key.text.as_str());
        !known && nearest(&key.text, ["from_run", "era"]).is_some()
    };
    let others = entries.iter().filter(|(key, _)| key.text != "default");
    let meant = node.get("default").is_some() && entries.len() > 1 && {
        let mut others = others;
        others.all(misspelt)
    };
    is_table("from_run") || is_table("era") || meant
}

/// The runs at which some value of a document changes.
pub(crate) fn changes(document: &Document, eras: &Eras) -> BTreeSet<RunNumber> {
    fn gather(node: &Node, eras: &Eras, runs: &mut BTreeSet<RunNumber>) {
        match &node.value {
            Value::Table(entries) => {
                if is_choice(node) {
                    let from = node.get("from_run").map(table).unwrap_or_default();
                    runs.extend(from.iter().filter_map(|(key, _)| run_of(key)));
                    if node.get("era").is_some() {
                        runs.extend(eras.iter().map(|(first, _)| first));
                    }
                }
                for (_, node) in entries {
                    gather(node, eras, runs);
                }
            }
            Value::List(list) => list.iter().for_each(|node| gather(node, eras, runs)),
            _ => {}
        }
    }
    let mut runs = BTreeSet::new();
    gather(&document.root, eras, &mut runs);
    runs
}

/// The document for a stretch of runs, every choice made; mistakes in choices are noted.
pub(crate) fn chosen(
    document: &Document,
    eras: &Eras,
    stretch: Stretch,
    found: &mut Vec<Diagnosis>,
) -> Document {
    let mut chooser = Chooser {
        document,
        eras,
        stretch,
        found,
    };
    let root = chooser.choose(&document.root);
    Document {
        sources: document.sources.clone(),
        root,
    }
}

struct Chooser<'a> {
    document: &'a Document,
    eras: &'a Eras,
    stretch: Stretch,
    found: &'a mut Vec<Diagnosis>,
}

impl Chooser<'_> {
    fn choose(&mut self, node: &Node) -> Node {
        if is_choice(node) {
            self.check(node);
            let made = self.made(node);
            if made.is_none() {
                let message = format!("it has no value for {}", self.stretch);
                let hint = "add default = .., or a from_run that is not beyond them";
                let mistake = self.document.diagnose(node, "T011", message, hint);
                self.found.push(mistake);
            }
            // Reading goes on with some value, so that one mistake is told once.
            return match made.or_else(|| any(node)) {
                Some(made) => self.choose(made),
                None => node.clone(),
            };
        }
        let value = match &node.value {
            Value::Table(entries) => {
                let entry = |(key, node): &(Key, Node)| (key.clone(), self.choose(node));
                Value::Table(entries.iter().map(entry).collect())
            }
            Value::List(list) => Value::List(list.iter().map(|node| self.choose(node)).collect()),
            other => other.clone(),
        };
        Node {
            source: node.source,
            at: node.at.clone(),
            value,
        }
    }

    /// The value for the stretch.
    fn made<'n>(&self, node: &'n Node) -> Option<&'n Node> {
        let first = self.stretch.first;
        let of_era = || node.get("era")?.get(self.eras.at(first)?);
        let of_run = || {
            let entries = table(node.get("from_run")?);
            let begun = entries
                .iter()
                .filter_map(|(key, node)| Some((run_of(key)?, node)))
                .filter(|(from, _)| *from <= first);
            begun.max_by_key(|(from, _)| *from).map(|(_, node)| node)
        };
        of_era().or_else(of_run).or_else(|| node.get("default"))
    }

    /// Keys, runs and eras must be what they look like.
    fn check(&mut self, node: &Node) {
        for (key, node) in table(node) {
            match key.text.as_str() {
                "from_run" => {
                    for (key, _) in table(node).iter().filter(|(key, _)| run_of(key).is_none()) {
                        let message = format!("\"{}\" is no run", key.text);
                        self.mistake(key, message, "write a run's number from 1: { 402000 = .. }");
                    }
                }
                "era" => {
                    for (key, _) in table(node) {
                        self.check_era(key);
                    }
                }
                "default" => {}
                other => {
                    let hint = match nearest(other, CHOICE_KEYS) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => format!("its keys are {}", CHOICE_KEYS.join(", ")),
                    };
                    let message = format!("a value by run or era has no key \"{other}\"");
                    let source = &self.document.sources[key.source];
                    self.found
                        .push(source.diagnose(&key.at, "T002", message, hint));
                }
            }
        }
    }

    fn check_era(&mut self, key: &Key) {
        let mut known = self.eras.iter().map(|(_, name)| name);
        if known.any(|name| name == key.text) {
            return;
        }
        let known: Vec<&str> = self.eras.iter().map(|(_, name)| name).collect();
        let hint = match nearest(&key.text, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() => {
                "declare it in the configuration: [[era]] with name and from_run".to_owned()
            }
            None => format!("declare it as [[era]]; declared are {}", known.join(", ")),
        };
        self.mistake(key, format!("no era is called \"{}\"", key.text), hint);
    }

    fn mistake(&mut self, key: &Key, message: String, hint: impl Into<String>) {
        let source = &self.document.sources[key.source];
        self.found
            .push(source.diagnose(&key.at, "T011", message, hint));
    }
}

fn table(node: &Node) -> &[(Key, Node)] {
    match &node.value {
        Value::Table(entries) => entries,
        _ => &[],
    }
}

fn run_of(key: &Key) -> Option<RunNumber> {
    let number: u32 = key.text.parse().ok()?;
    (number > 0).then_some(RunNumber(number))
}

/// Any of the values.
fn any(node: &Node) -> Option<&Node> {
    let first = |name: &str| table(node.get(name)?).first().map(|(_, node)| node);
    first("from_run").or_else(|| first("era"))
}
