//! From typed texts to definitions: what pipelines inherit, what a configuration says over them,
//! and every stretch of runs in which that means something else.
//!
//! In come the documents of all pipelines, what the configuration says over them, and the eras; out
//! come linked definitions by run, or every mistake at once, each told with the runs that have it.
//! A pipeline is assembled in this order, later over earlier: the one it inherits from, its own
//! file, the options of its dataset (`default`, then by name), what the configuration says of it by
//! name; what all its tasks have in common goes under each of them last.

use crate::choice::{Eras, Stretch, changes, chosen, is_choice};
use crate::definition::Definition;
use crate::diagnosis::{Diagnosis, nearest};
use crate::document::{Document, Key, Node, Value};
use crate::draft::{Draft, read_document};
use crate::link::link;
use crate::overlay::{lay, map_key, name_of, without};
use crate::variants::Definitions;
use model::ids::RunNumber;
use model::names::PipelineName;
use std::collections::{BTreeMap, BTreeSet};

/// Stretches of runs at most: each one is a whole set of definitions to check and to keep.
const STRETCHES_MAX: usize = 1_000;
/// What a pipeline never inherits: what it is called, and what only one of them may decide.
const OWN_KEYS: [&str; 3] = ["name", "processing", "inherits"];
const OWN_TASK_KEYS: [&str; 2] = ["gate", "certifies"];
/// What a configuration does not say over a definition.
const DEFINITION_ONLY: [&str; 2] = ["name", "inherits"];
/// Options of a dataset; the last is never taken from `default`, because two datasets of one name
/// would come of it.
const DATASET_KEYS: [&str; 4] = ["budget", "blocks", "task", "processing"];

/// What a configuration says over the definitions.
#[derive(Clone, Copy, Debug)]
pub struct Over<'d> {
    /// Where it was typed.
    pub document: &'d Document,
    /// Tables by pipeline; what is no table means something else.
    pub pipelines: Option<&'d Node>,
    /// Options by dataset, and those of `default`.
    pub datasets: Option<&'d Node>,
}

/// What somebody who knows the machine finds in the drafts of a stretch.
pub type Look<'f> = &'f mut dyn FnMut(&[Draft]) -> Vec<Diagnosis>;

/// All pipelines laid together, and what they mean.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// Linked, by run.
    pub definitions: Definitions,
    /// One for each pipeline.
    documents: Vec<Document>,
    eras: Eras,
}

/// What was typed, by the way to it from the pipeline: `task.key` or `key`.
pub type Typed = BTreeMap<String, String>;

impl Assembled {
    /// The first runs of all stretches in which something is typed differently.
    pub fn firsts(&self) -> impl Iterator<Item = RunNumber> {
        let stretches = stretches(&self.documents, &self.eras);
        stretches.into_iter().map(|stretch| stretch.first)
    }

    /// What is typed of each pipeline for a run, wherever it was typed.
    pub fn typed(&self, run: RunNumber) -> BTreeMap<String, Typed> {
        let stretch = Stretch {
            first: run,
            last: None,
        };
        let typed_of = |document: &Document| {
            let document = chosen(document, &self.eras, stretch, &mut Vec::new());
            let mut typed = Typed::new();
            if let Some(pipeline) = document.root.get("pipeline") {
                flatten("", pipeline, &mut typed);
            }
            for task in tasks_of(&document.root) {
                let name = name_of(task).unwrap_or_default();
                flatten(&format!("task {name}: "), task, &mut typed);
            }
            Some((document.pipeline()?.to_owned(), typed))
        };
        self.documents.iter().filter_map(typed_of).collect()
    }
}

/// What is typed in a table, by the way to it; members of a list by their names.
pub fn typed_in(table: &Node) -> Typed {
    let mut typed = Typed::new();
    match &table.value {
        Value::List(tables) => {
            for table in tables {
                let name = name_of(table).unwrap_or_default();
                flatten(&format!("{name}: "), table, &mut typed);
            }
        }
        _ => flatten("", table, &mut typed),
    }
    typed
}

fn flatten(way: &str, node: &Node, typed: &mut Typed) {
    match &node.value {
        Value::Table(entries) => {
            for (key, node) in entries {
                let dot = if way.is_empty() || way.ends_with(": ") {
                    ""
                } else {
                    "."
                };
                flatten(&format!("{way}{dot}{}", key.text), node, typed);
            }
        }
        value => {
            typed.insert(way.to_owned(), shown(value));
        }
    }
}

/// A value as it was typed, near enough.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(text) | Value::Decimal(text) | Value::Untyped(text) => text.clone(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(list) => {
            let list: Vec<String> = list.iter().map(|node| shown(&node.value)).collect();
            format!("[{}]", list.join(", "))
        }
        Value::Table(entries) => {
            let entry =
                |(key, node): &(Key, Node)| format!("{} = {}", key.text, shown(&node.value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Date => "a date".to_owned(),
    }
}

/// Definitions by run. `used` are the pipelines to link, all if none are named.
pub fn assemble(
    files: Vec<Document>,
    over: Option<Over<'_>>,
    eras: &Eras,
    used: Option<&[PipelineName]>,
    look: Look<'_>,
) -> Result<Assembled, Vec<Diagnosis>> {
    let mut builder = Builder {
        files,
        over,
        built: BTreeMap::new(),
        found: Vec::new(),
    };
    let documents = builder.build_all();
    let mut always = builder.found;
    // What a pipeline lacks that could not inherit is not known to be lacking.
    let orphans = always.iter().filter(|mistake| mistake.code == "P020");
    let orphans: BTreeSet<String> = orphans.map(|mistake| mistake.file.clone()).collect();
    let follows = |mistake: &Diagnosis| mistake.code == "T003" && orphans.contains(&mistake.file);
    let stretches = stretches(&documents, eras);
    if stretches.len() > STRETCHES_MAX {
        let message = format!(
            "values change at {} runs, more than {STRETCHES_MAX}",
            stretches.len() - 1
        );
        let hint = "let values change by era, or fewer at a time";
        always.push(documents[0].diagnose(&documents[0].root, "T011", message, hint));
        return Err(always);
    }
    let mut found: BTreeMap<Diagnosis, BTreeSet<Stretch>> = BTreeMap::new();
    let mut sets = Vec::new();
    for stretch in &stretches {
        let (set, mistakes) = definitions(&documents, eras, *stretch, used, look, &mut always);
        for mistake in mistakes.into_iter().filter(|mistake| !follows(mistake)) {
            found.entry(mistake).or_default().insert(*stretch);
        }
        sets.push((stretch.first, set));
    }
    always.extend(
        found
            .into_iter()
            .map(|(mistake, of)| told(mistake, &of, &stretches)),
    );
    if always.is_empty() {
        let definitions = Definitions::by_first_run(sets);
        return Ok(Assembled {
            definitions: definitions.expect("the first stretch begins with run 0"),
            documents,
            eras: eras.clone(),
        });
    }
    always.sort();
    always.dedup();
    Err(always)
}

/// The definitions of one stretch, and what is wrong with them.
fn definitions(
    documents: &[Document],
    eras: &Eras,
    stretch: Stretch,
    used: Option<&[PipelineName]>,
    look: Look<'_>,
    always: &mut Vec<Diagnosis>,
) -> (Vec<Definition>, Vec<Diagnosis>) {
    let (mut drafts, mut found) = (Vec::new(), Vec::new());
    for document in documents {
        let document = chosen(document, eras, stretch, always);
        match read_document(&document) {
            Ok(draft) => drafts.push(draft),
            Err(mistakes) => found.extend(mistakes),
        }
    }
    // What a broken file would have offered is unknown, so the others are judged when it is mended.
    if !found.is_empty() {
        return (Vec::new(), found);
    }
    found.extend(look(&drafts));
    let in_use = |draft: &Draft| used.is_none_or(|used| used.contains(&draft.definition.name));
    let (drafts, not_in_use): (Vec<Draft>, Vec<Draft>) = drafts.into_iter().partition(in_use);
    match link(drafts, &not_in_use) {
        Ok(definitions) => (definitions, found),
        Err(mistakes) => {
            found.extend(mistakes);
            (Vec::new(), found)
        }
    }
}

/// A mistake with the runs that have it, unless all do.
fn told(mut mistake: Diagnosis, of: &BTreeSet<Stretch>, all: &[Stretch]) -> Diagnosis {
    if of.len() < all.len()
        && let Some(first) = of.first()
    {
        let from = all.iter().skip_while(|stretch| *stretch != first);
        let last = from.take_while(|stretch| of.contains(stretch)).last();
        let stretch = Stretch {
            first: first.first,
            last: last.and_then(|last| last.last),
        };
        mistake.message = format!("{} ({stretch})", mistake.message);
    }
    mistake
}

/// The runs in which nothing changes, in order; the first begins with run 0.
fn stretches(documents: &[Document], eras: &Eras) -> Vec<Stretch> {
    let mut firsts: BTreeSet<RunNumber> = documents
        .iter()
        .flat_map(|document| changes(document, eras))
        .collect();
    firsts.insert(RunNumber(0));
    let firsts: Vec<RunNumber> = firsts.into_iter().collect();
    let ends = firsts[1..].iter().map(|next| Some(RunNumber(next.0 - 1)));
    let ends = ends.chain([None]);
    let stretch = |(first, last): (&RunNumber, Option<RunNumber>)| Stretch {
        first: *first,
        last,
    };
    firsts.iter().zip(ends).map(stretch).collect()
}

struct Builder<'d> {
    files: Vec<Document>,
    over: Option<Over<'d>>,
    /// Pipelines that are assembled, by their place among the files; none while it is done.
    built: BTreeMap<usize, Option<Document>>,
    found: Vec<Diagnosis>,
}

impl Builder<'_> {
    fn build_all(&mut self) -> Vec<Document> {
        for at in 0..self.files.len() {
            self.build(at);
        }
        self.check_datasets();
        let built = self.built.values().flatten();
        built.cloned().map(finished).collect()
    }

    /// Assembles one pipeline and those it inherits from.
    fn build(&mut self, at: usize) -> Option<&Document> {
        if !self.built.contains_key(&at) {
            self.built.insert(at, None);
            let mut document = self.files[at].clone();
            self.check_names(&document);
            self.inherit(&mut document);
            for layer in self.dataset_layers(&document) {
                self.lay_over(&mut document, &layer);
            }
            self.lay_pipeline(&mut document);
            self.built.insert(at, Some(document));
        }
        self.built[&at].as_ref()
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        self.files
            .iter()
            .position(|file| name_in(file) == Some(name))
    }

    /// Who is called what must be known before anything is chosen.
    fn check_names(&mut self, document: &Document) {
        let pipeline = document.root.get("pipeline");
        let named = ["name", "inherits"].into_iter();
        let own = named.filter_map(|key| pipeline?.get(key));
        let tasks = tasks_of(&document.root).iter();
        for node in own.chain(tasks.filter_map(|task| task.get("name"))) {
            if is_choice(node) {
                let message = "a name cannot depend on the run";
                let hint = "write one name; switch a task off with enabled = { .. }";
                self.found
                    .push(document.diagnose(node, "T011", message, hint));
            }
        }
    }

    fn inherit(&mut self, document: &mut Document) {
        let node = document
            .root
            .get("pipeline")
            .and_then(|p| p.get("inherits"));
        let Some((node, name)) = node.and_then(|node| Some((node, text_of(node)?))) else {
            return;
        };
        let (node, name) = (node.clone(), name.to_owned());
        let Some(at) = self.place_of(&name) else {
            let known = self.files.iter().filter_map(name_in);
            let hint = match nearest(&name, known) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "name a pipeline whose definition is here too".to_owned(),
            };
            let message = format!("it inherits from \"{name}\", and no pipeline is called so");
            self.found
                .push(document.diagnose(&node, "P020", message, hint));
            return;
        };
        let Some(parent) = self.build(at).cloned() else {
            let message = format!("it inherits from \"{name}\", and that from it");
            let hint = "let one of them stand alone";
            self.found
                .push(document.diagnose(&node, "P020", message, hint));
            return;
        };
        let mut root = parent.root.clone();
        map_key(&mut root, "pipeline", |node| without(node, &OWN_KEYS));
        map_key(&mut root, "task", |node| {
            let stripped = tasks_in(node).iter().map(|t| without(t, &OWN_TASK_KEYS));
            Node {
                value: Value::List(stripped.collect()),
                ..node.clone()
            }
        });
        let root = document.adopt(&parent, &root);
        document.root = lay(&root, &document.root, "");
    }

    /// What the configuration says of datasets, as far as it is about this pipeline.
    fn dataset_layers(&mut self, document: &Document) -> Vec<Node> {
        let Some(datasets) = self.over.and_then(|over| over.datasets) else {
            return Vec::new();
        };
        let primary = self.primary(document, 0);
        let legal = |node: &Node| {
            let keys = entries(node).iter().map(|(key, _)| key.text.as_str());
            let foreign: Vec<&str> = keys.filter(|key| !DATASET_KEYS.contains(key)).collect();
            without(node, &foreign)
        };
        let mut layers = Vec::new();
        if let Some(common) = datasets.get("default") {
            // Mistakes in either are told by name, and once.
            layers.push(as_definition(
                &without(&legal(common), &["processing"]),
                document,
            ));
        }
        if let Some(own) = primary.and_then(|primary| datasets.get(&primary)) {
            layers.push(as_definition(&legal(own), document));
        }
        layers
    }

    /// The first part of the names of a pipeline's datasets, where it is one text.
    fn primary(&self, document: &Document, depth: usize) -> Option<String> {
        let pipeline = document.root.get("pipeline")?;
        if let Some(primary) = pipeline.get("primary") {
            return text_of(primary).map(str::to_owned);
        }
        let Some(trigger) = pipeline.get("trigger") else {
            let parent = self.place_of(text_of(pipeline.get("inherits")?)?)?;
            return (depth < self.files.len())
                .then(|| self.primary(&self.files[parent], depth + 1))
                .flatten();
        };
        if let Some(stream) = trigger.get("stream") {
            return text_of(stream).map(str::to_owned);
        }
        let (feeder, _) = text_of(trigger.get("output")?)?.split_once('.')?;
        let feeder = self.place_of(feeder).filter(|_| depth < self.files.len())?;
        self.primary(&self.files[feeder], depth + 1)
    }

    /// Options are for datasets that exist, and of keys that have a meaning.
    fn check_datasets(&mut self) {
        let Some((over, datasets)) = self.over.and_then(|over| Some((over, over.datasets?))) else {
            return;
        };
        let of = |at: usize| self.primary(&self.files[at], 0);
        let known: BTreeSet<String> = (0..self.files.len()).filter_map(of).collect();
        let mut found = Vec::new();
        for (key, node) in entries(datasets) {
            let mut mistake = |key: &Key, message: String, hint: String| {
                let source = &over.document.sources[key.source];
                found.push(source.diagnose(&key.at, "C010", message, hint));
            };
            if key.text != "default" && !known.contains(&key.text) {
                let names = known.iter().map(String::as_str);
                let hint = match nearest(&key.text, names) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => {
                        let known: Vec<&str> = known.iter().map(String::as_str).collect();
                        format!("pipelines make datasets of {}", known.join(", "))
                    }
                };
                let message = format!("no pipeline makes a dataset \"{}\"", key.text);
                mistake(key, message, hint);
            }
            for (option, _) in entries(node) {
                let legal = DATASET_KEYS.contains(&option.text.as_str());
                if !legal {
                    let hint = match nearest(&option.text, DATASET_KEYS) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => format!("its keys are {}", DATASET_KEYS.join(", ")),
                    };
                    let message = format!("a dataset has no option \"{}\"", option.text);
                    mistake(option, message, hint);
                } else if key.text == "default" && option.text == "processing" {
                    let message = "datasets do not inherit \"processing\" from default".to_owned();
                    let hint = "say it of each dataset: the name of one would be that of all";
                    mistake(option, message, hint.to_owned());
                }
            }
        }
        self.found.extend(found);
    }

    /// What the configuration says of this pipeline by name.
    fn lay_pipeline(&mut self, document: &mut Document) {
        let over = self.over.and_then(|over| Some((over, over.pipelines?)));
        let own = over.and_then(|(over, all)| {
            let node = all.get(name_in(document)?)?;
            matches!(node.value, Value::Table(_)).then_some((over, node))
        });
        let Some((over, node)) = own else {
            return;
        };
        let names: Vec<&str> = tasks_of(&document.root)
            .iter()
            .filter_map(name_of)
            .collect();
        let tasks = node.get("task").map(entries).unwrap_or_default();
        let mut found = Vec::new();
        for (key, _) in tasks
            .iter()
            .filter(|(key, _)| !names.contains(&key.text.as_str()))
        {
            let hint = match nearest(&key.text, names.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("its tasks are {}", names.join(", ")),
            };
            let message = format!("the pipeline has no task \"{}\"", key.text);
            let source = &over.document.sources[key.source];
            found.push(source.diagnose(&key.at, "C007", message, hint));
        }
        for (key, _) in entries(node) {
            if DEFINITION_ONLY.contains(&key.text.as_str()) {
                let message = format!("\"{}\" belongs into the pipeline's own file", key.text);
                let hint = "write a definition that inherits from this one".to_owned();
                let source = &over.document.sources[key.source];
                found.push(source.diagnose(&key.at, "C010", message, hint));
            }
        }
        self.found.extend(found);
        let layer = as_definition(&without(node, &DEFINITION_ONLY), document);
        self.lay_over(document, &layer);
    }

    fn lay_over(&self, document: &mut Document, layer: &Node) {
        if let Some(over) = self.over {
            let layer = document.adopt(over.document, layer);
            document.root = lay(&document.root, &layer, "");
        }
    }
}

/// What is said of a pipeline or dataset in the shape of a definition's file; of tasks only those
/// that the definition has.
fn as_definition(node: &Node, of: &Document) -> Node {
    let key = |text: &str| Key {
        source: node.source,
        at: node.at.clone(),
        text: text.to_owned(),
    };
    let known: Vec<&str> = tasks_of(&of.root).iter().filter_map(name_of).collect();
    let mut tasks = Vec::new();
    for (name, task) in node.get("task").map(entries).unwrap_or_default() {
        let Value::Table(entries) = &task.value else {
            continue;
        };
        if known.contains(&name.text.as_str()) {
            let mut entries = entries.clone();
            let called = Node {
                source: name.source,
                at: name.at.clone(),
                value: Value::Text(name.text.clone()),
            };
            entries.push((key("name"), called));
            tasks.push(Node {
                value: Value::Table(entries),
                ..task.clone()
            });
        }
    }
    let mut root = vec![(key("pipeline"), without(node, &["task"]))];
    if !tasks.is_empty() {
        let list = Node {
            value: Value::List(tasks),
            ..node.clone()
        };
        root.push((key("task"), list));
    }
    Node {
        value: Value::Table(root),
        ..node.clone()
    }
}

/// What all tasks have in common goes under each of them.
fn finished(mut document: Document) -> Document {
    if let Some(common) = document.root.get("task_default").cloned() {
        document.root = without(&document.root, &["task_default"]);
        map_key(&mut document.root, "task", |node| match &node.value {
            Value::List(tasks) => Node {
                value: Value::List(tasks.iter().map(|task| lay(&common, task, "")).collect()),
                ..node.clone()
            },
            _ => node.clone(),
        });
    }
    document
}

fn entries(node: &Node) -> &[(Key, Node)] {
    match &node.value {
        Value::Table(entries) => entries,
        _ => &[],
    }
}

fn tasks_of(root: &Node) -> &[Node] {
    root.get("task").map(tasks_in).unwrap_or_default()
}

fn tasks_in(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(tasks) => tasks,
        _ => &[],
    }
}

fn name_in(document: &Document) -> Option<&str> {
    name_of(document.root.get("pipeline")?)
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) | Value::Untyped(text) => Some(text),
        _ => None,
    }
}
