//! What people typed about one pipeline, and how it becomes a definition.
//!
//! In comes the text of one file, out comes a [`Draft`]: the pipeline with every key read, every
//! limit positive and every name of its own resolved, which `link.rs` still has to compare with the
//! other pipelines; or every mistake at once. It never guesses: a key that nobody reads is a
//! mistake.

mod plugin;
mod release;
mod retry;
mod rules;
mod split;
mod tables;
mod task;
mod verdict;

use crate::definition::{BlockLimits, Definition, Task, TaskInput, Trigger};
use crate::diagnosis::{Diagnosis, Place, Source, nearest};
use crate::document::{Document, Node, Value};
use crate::reader::{Keys, Reader};
use model::budget::Budget;
use model::job::Class;
use model::names::{OutputLabel, PipelineName, StreamName, TaskName, TaskPath};
use model::run::RunType;
use model::units::Events;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One file's pipeline, not yet compared with the others.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The pipeline, as far as one file can say.
    pub definition: Definition,
    /// The texts that it was read from; its own file is the first.
    sources: Vec<Source>,
    pub(crate) places: Places,
}

/// Where things stand in the file, for mistakes that show only among pipelines.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) name: Place,
    pub(crate) trigger: Place,
    pub(crate) tasks: BTreeMap<TaskName, TaskPlaces>,
}

/// Where things of one task stand.
#[derive(Clone, Debug)]
pub(crate) struct TaskPlaces {
    pub(crate) input: Place,
    pub(crate) release: Place,
    pub(crate) outputs: Place,
    pub(crate) gates: Place,
    pub(crate) program: Place,
    pub(crate) plugins: Place,
    pub(crate) on_verdict: Place,
    pub(crate) conditions: Place,
}

/// A trigger or an input as typed: a pipeline's trigger, or `task.LABEL`.
enum TypedInput {
    Trigger,
    Output(TaskName, OutputLabel),
}

/// A task before its input is resolved.
struct DraftTask<'d> {
    task: Task,
    input: TypedInput,
    node: &'d Node,
    input_at: &'d Node,
    places: TaskPlaces,
}

const PIPELINE_KEYS: &[&str] = &[
    "name",
    "inherits",
    "class",
    "trigger",
    "budget",
    "run_types",
    "processing",
    "primary",
    "blocks",
    "share",
];

/// Outputs of a block at most, whatever a definition says: questions read an open block whole.
const BLOCK_FILES_MAX: u64 = 10_000;

/// Reads one file. `file` is the name that messages show.
pub fn parse(text: &str, file: &str) -> Result<Draft, Vec<Diagnosis>> {
    read_document(&Document::parse(file, text)?)
}

/// Reads one pipeline's document, whatever texts it was laid together from.
pub fn read_document(document: &Document) -> Result<Draft, Vec<Diagnosis>> {
    let reader = Reader::new(document);
    let draft = read(&reader, document);
    reader.finish(draft)
}

impl Draft {
    /// Its own file.
    pub(crate) fn file(&self) -> &str {
        &self.sources[0].file
    }

    /// A mistake that shows only among pipelines.
    pub(crate) fn diagnose(
        &self,
        place: &Place,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnosis {
        self.sources[place.source].diagnose(&place.at, code, message, hint)
    }

    /// Programs that its tasks name as `{program:NAME}` or by path, in the order of the tasks: the
    /// task, and the first word of its argv.
    pub fn programs(&self) -> impl Iterator<Item = (&TaskName, &str)> {
        self.definition
            .tasks
            .iter()
            .map(|task| (&task.name, task.program[0].as_str()))
    }

    /// The other arguments of its tasks that are placeholders of programs, in the same form.
    pub fn other_programs(&self) -> impl Iterator<Item = (&TaskName, &str)> {
        let tasks = self.definition.tasks.iter();
        tasks.flat_map(|task| {
            let others = task.program[1..].iter().map(String::as_str);
            let named = others.filter(|word| word.starts_with("{program:"));
            named.map(move |word| (&task.name, word))
        })
    }

    /// What its tasks name for their plugins and splitters, in the same form: the first word of
    /// each argv, and the placeholders of programs behind it.
    pub fn plugin_programs(&self) -> impl Iterator<Item = (&TaskName, &str)> {
        let tasks = self.definition.tasks.iter();
        tasks.flat_map(|task| {
            let argvs = task.plugins.iter().map(|plugin| &plugin.program);
            let argvs = argvs.chain(task.splitter.program());
            let words = argvs.flat_map(|argv| argv.iter().map(String::as_str).enumerate());
            let named = words.filter(|(at, word)| *at == 0 || word.starts_with("{program:"));
            named.map(move |(_, word)| (&task.name, word))
        })
    }

    /// A mistake at the plugins of a task, found by somebody who knows the machine.
    pub fn diagnose_plugin(
        &self,
        task: &TaskName,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnosis {
        let at = self.place_of(task, |places| &places.plugins);
        self.diagnose(&at, code, message, hint)
    }

    /// A mistake at the trigger, found by somebody who knows the streams.
    pub fn diagnose_trigger(
        &self,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnosis {
        self.diagnose(&self.places.trigger, code, message, hint)
    }

    /// A mistake at the program of a task, found by somebody who knows the machine.
    pub fn diagnose_program(
        &self,
        task: &TaskName,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnosis {
        let at = self.place_of(task, |places| &places.program);
        self.diagnose(&at, code, message, hint)
    }

    /// What is doubtful about the constants that a task reads, found by somebody who knows who
    /// decides on them.
    pub fn diagnose_conditions(
        &self,
        task: &TaskName,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnosis {
        let at = self.place_of(task, |places| &places.conditions);
        self.diagnose(&at, code, message, hint)
    }

    /// Where something of a task is written; the beginning of the file, if the task is nowhere.
    fn place_of(&self, task: &TaskName, pick: impl Fn(&TaskPlaces) -> &Place) -> Place {
        let places = self.places.tasks.get(task);
        places
            .map(|places| pick(places).clone())
            .unwrap_or_default()
    }
}

fn read<'d>(reader: &Reader<'d>, document: &'d Document) -> Option<Draft> {
    let root = reader.table(&document.root, "a pipeline's file", &["pipeline", "task"])?;
    let pipeline = root
        .required(reader, "pipeline", "[pipeline] with name and trigger")
        .and_then(|node| reader.table(node, "[pipeline]", PIPELINE_KEYS));
    let tasks = root.required(reader, "task", "[[task]] with name and program");
    let tasks: Vec<Option<DraftTask<'_>>> = tasks
        .map(|node| reader.list(node, "tasks (written as [[task]])"))
        .unwrap_or_default()
        .iter()
        .filter(|node| is_enabled(reader, node))
        .map(|node| task::read(reader, node))
        .collect();
    // Tasks that could not be read at all are noted; names among the others are still compared.
    let complete = tasks.iter().all(Option::is_some);
    let tasks: Vec<DraftTask<'_>> = tasks.into_iter().flatten().collect();
    check_names(reader, &tasks);
    let (mut definition, trigger_at, name_at) = read_pipeline(reader, &pipeline?)?;
    let resolved = resolve(reader, &definition, tasks, complete)?;
    let mut places = Places {
        name: name_at,
        trigger: trigger_at,
        tasks: BTreeMap::new(),
    };
    for (task, task_places) in resolved {
        places.tasks.insert(task.name.clone(), task_places);
        definition.tasks.push(Arc::new(task));
    }
    let sources = document.sources.clone();
    complete.then_some(Draft {
        definition,
        sources,
        places,
    })
}

/// Whether a task is used; one that is switched off is as if it was not there.
fn is_enabled<'d>(reader: &Reader<'d>, task: &'d Node) -> bool {
    let flag = task.get("enabled").and_then(|node| reader.flag(node));
    flag.unwrap_or(true)
}

/// The pipeline's own section, with where its trigger and name stand.
fn read_pipeline<'d>(reader: &Reader<'d>, keys: &Keys<'d>) -> Option<(Definition, Place, Place)> {
    let name_at = keys.required(reader, "name", "name = \"express\"");
    let name = name_at.and_then(|node| reader.name(node, ""));
    let trigger_at = keys.required(reader, "trigger", "trigger = { stream = \"Muons\" }");
    let trigger = trigger_at.and_then(|node| read_trigger(reader, node));
    let classes = [("live", Class::Live), ("offline", Class::Offline)];
    let class = keys
        .get("class")
        .and_then(|node| reader.word(node, "class", &classes));
    let budget = keys
        .get("budget")
        .and_then(|node| read_budget(reader, node));
    let run_types = keys
        .get("run_types")
        .map(|node| read_run_types(reader, node));
    let processing = keys
        .get("processing")
        .and_then(|node| reader.name(node, "."));
    let primary = keys.get("primary").and_then(|node| reader.name(node, "."));
    let blocks = keys
        .get("blocks")
        .and_then(|node| read_blocks(reader, node));
    if let Some(node) = keys.get("share") {
        let hint = "remove it; pipelines of a class share by deadline";
        reader.mistake(
            node,
            "P007",
            "a share inside the class is not built yet",
            hint,
        );
    }
    let name = name?;
    let definition = Definition {
        name: PipelineName::new(name),
        class: class.unwrap_or(Class::Live),
        trigger: trigger?,
        run_types: run_types.unwrap_or_else(|| RunType::ALL.to_vec()),
        budget,
        processing: processing.map_or_else(|| default_processing(name), str::to_owned),
        primary: primary.map(str::to_owned),
        blocks: blocks.unwrap_or(BlockLimits::DEFAULT),
        tasks: Vec::new(),
    };
    Some((definition, trigger_at?.place(), name_at?.place()))
}

/// `express` makes `Express-v1`.
fn default_processing(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    format!(
        "{}-v1",
        first.into_iter().chain(letters).collect::<String>()
    )
}

fn read_trigger<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<Trigger> {
    let legal = ["stream", "output", "dataset", "request", "events"];
    if let Value::Text(text) = &node.value {
        let key = if text.contains('.') {
            "output"
        } else {
            "stream"
        };
        let hint = format!("write trigger = {{ {key} = {text:?} }}");
        reader.mistake(node, "T004", "a trigger is a table, this is a text", hint);
        return None;
    }
    let keys = reader.table(node, "a trigger", &legal)?;
    for key in ["dataset", "request", "events"] {
        if let Some(node) = keys.get(key) {
            let message = format!("a trigger by {key} is not built yet");
            reader.mistake(
                node,
                "P007",
                message,
                "use { stream = .. } or { output = .. }",
            );
            return None;
        }
    }
    match (keys.get("stream"), keys.get("output")) {
        (Some(stream), None) => reader
            .name(stream, "*")
            .map(|name| Trigger::Stream(StreamName::new(name))),
        (None, Some(output)) => {
            let text = reader.text(output)?;
            let parts: Vec<&str> = text.split('.').collect();
            if let [pipeline, task, label] = parts[..]
                && parts.iter().all(|part| !part.is_empty())
            {
                let path = TaskPath::new(pipeline, task);
                return Some(Trigger::Output(path, OutputLabel::new(label)));
            }
            let message = format!("{text:?} names no output");
            reader.mistake(output, "P003", message, "write pipeline.task.LABEL");
            None
        }
        (stream, _) => {
            let count = if stream.is_some() { "two" } else { "none" };
            let message = format!("a trigger names one thing, this names {count}");
            let hint = "write { stream = \"Muons\" } or { output = \"express.reco.ALCA\" }";
            reader.mistake(node, "T003", message, hint);
            None
        }
    }
}

/// Reads a budget, also where a configuration overrides one.
pub fn read_budget<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<Budget> {
    let keys = reader.table(node, "a budget", &["seen_to_published", "target"])?;
    let span = keys
        .required(reader, "seen_to_published", "seen_to_published = \"60s\"")
        .and_then(|node| reader.span(node));
    let mut target_ppm = 990_000;
    if let Some(node) = keys.get("target")
        && let Some(ppm) = reader.decimal(node, 6)
    {
        if (1..1_000_000).contains(&ppm) {
            target_ppm = u32::try_from(ppm).expect("below a million");
        } else {
            let message = "a target is the share of files that keep the budget";
            reader.mistake(
                node,
                "P005",
                message,
                "write more than 0 and less than 1, e.g. 0.99",
            );
        }
    }
    Some(Budget {
        seen_to_published: span?,
        target_ppm,
    })
}

/// When blocks close; what is not said is as in [`BlockLimits::DEFAULT`].
fn read_blocks<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<BlockLimits> {
    const KEYS: [&str; 4] = ["max_files", "max_events", "max_bytes", "close_after"];
    let keys = reader.table(node, "limits of blocks", &KEYS)?;
    let mut limits = BlockLimits::DEFAULT;
    if let Some(files) = keys
        .get("max_files")
        .and_then(|node| reader.count(node, 1..=BLOCK_FILES_MAX))
    {
        limits.max_files = files;
    }
    if let Some(events) = keys
        .get("max_events")
        .and_then(|node| reader.count(node, 1..=i64::MAX as u64))
    {
        limits.max_events = Events(events);
    }
    if let Some(bytes) = keys.get("max_bytes").and_then(|node| reader.bytes(node)) {
        limits.max_bytes = bytes;
    }
    if let Some(span) = keys.get("close_after").and_then(|node| reader.span(node)) {
        limits.close_after = span;
    }
    Some(limits)
}

fn read_run_types<'d>(reader: &Reader<'d>, node: &'d Node) -> Vec<RunType> {
    let words = RunType::ALL.map(|kind| (kind.as_str(), kind));
    let list = reader.list(node, "run types");
    if list.is_empty() && matches!(node.value, Value::List(_)) {
        let message = "a pipeline for no type of run would never do anything";
        reader.mistake(node, "T008", message, "leave run_types out to work on all");
    }
    let types = list
        .iter()
        .filter_map(|node| reader.word(node, "type of run", &words));
    types.collect::<BTreeSet<RunType>>().into_iter().collect()
}

/// Names that must differ: tasks, and the labels of all their outputs, because a label names a
/// dataset's tier.
fn check_names(reader: &Reader<'_>, tasks: &[DraftTask<'_>]) {
    let mut names: BTreeSet<&TaskName> = BTreeSet::new();
    let mut labels: BTreeMap<&OutputLabel, &TaskName> = BTreeMap::new();
    for DraftTask { task, node, .. } in tasks {
        if !names.insert(&task.name) {
            let at = node.get("name").unwrap_or(node);
            let message = format!("a second task is called \"{}\"", task.name);
            reader.mistake(
                at,
                "P002",
                message,
                "give each task of a pipeline its own name",
            );
            continue;
        }
        for label in task.outputs.keys() {
            if let Some(other) = labels.insert(label, &task.name) {
                let at = node.get("outputs").unwrap_or(node);
                let message = format!(
                    "output \"{label}\" of \"{}\" is one of \"{other}\" too",
                    task.name
                );
                let hint = "a label names a dataset: use each once in a pipeline";
                reader.mistake(at, "P002", message, hint);
            }
        }
    }
}

/// Resolves inputs and puts the tasks in an order in which each stands behind the one it reads
/// from.
fn resolve(
    reader: &Reader<'_>,
    definition: &Definition,
    mut tasks: Vec<DraftTask<'_>>,
    complete: bool,
) -> Option<Vec<(Task, TaskPlaces)>> {
    let outputs: Vec<String> = tasks
        .iter()
        .flat_map(|t| {
            t.task
                .outputs
                .keys()
                .map(|label| format!("{}.{label}", t.task.name))
        })
        .collect();
    let mut resolved = true;
    let read: BTreeSet<TaskName> = tasks.iter().map(|draft| draft.task.name.clone()).collect();
    for draft in &mut tasks {
        split::check_trigger(reader, draft);
        match &draft.input {
            TypedInput::Trigger => draft.task.input = trigger_input(&definition.trigger),
            TypedInput::Output(from, label) => {
                let typed = format!("{from}.{label}");
                // What a task that could not be read would have made is unknown.
                if (complete || read.contains(from)) && !outputs.contains(&typed) {
                    unknown_input(reader, draft.input_at, &typed, &outputs);
                    resolved = false;
                }
                let path = TaskPath {
                    pipeline: definition.name.clone(),
                    task: from.clone(),
                };
                draft.task.input = TaskInput::Output(path, label.clone());
            }
        }
    }
    if !resolved || !complete {
        return None;
    }
    in_order(reader, tasks)
}

fn trigger_input(trigger: &Trigger) -> TaskInput {
    match trigger {
        Trigger::Stream(stream) => TaskInput::Stream(stream.clone()),
        Trigger::Output(path, label) => TaskInput::Output(path.clone(), label.clone()),
    }
}

fn unknown_input(reader: &Reader<'_>, at: &Node, typed: &str, outputs: &[String]) {
    let known = outputs.iter().map(String::as_str);
    let hint = match nearest(typed, known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if outputs.is_empty() => "write \"trigger\": no task here has an output".to_owned(),
        None => format!("write \"trigger\" or one of {}", outputs.join(", ")),
    };
    reader.mistake(
        at,
        "P003",
        format!("no task has the output \"{typed}\""),
        hint,
    );
}

/// Tasks behind those they read from; each has one input, so a circle is found by walking from task
/// to task.
fn in_order(reader: &Reader<'_>, tasks: Vec<DraftTask<'_>>) -> Option<Vec<(Task, TaskPlaces)>> {
    let from: BTreeMap<TaskName, Option<TaskName>> = tasks
        .iter()
        .map(|draft| match &draft.input {
            TypedInput::Trigger => (draft.task.name.clone(), None),
            TypedInput::Output(from, _) => (draft.task.name.clone(), Some(from.clone())),
        })
        .collect();
    let mut in_circle: BTreeSet<TaskName> = BTreeSet::new();
    for draft in &tasks {
        let mut walked = vec![&draft.task.name];
        while let Some(Some(next)) = walked.last().and_then(|name| from.get(*name)) {
            if walked.len() > from.len() || *next == draft.task.name {
                break;
            }
            walked.push(next);
        }
        let closes = walked.last().and_then(|name| from.get(*name)?.as_ref());
        if closes == Some(&draft.task.name) && !in_circle.contains(&draft.task.name) {
            // Walked against the flow; told with it.
            let mut circle: Vec<&str> = walked.iter().rev().map(|name| name.as_str()).collect();
            circle.insert(0, draft.task.name.as_str());
            in_circle.extend(walked.iter().map(|name| (*name).clone()));
            let message = format!("tasks wait for each other: {}", circle.join(" -> "));
            reader.mistake(
                draft.input_at,
                "P004",
                message,
                "let one of them read \"trigger\"",
            );
        }
    }
    if !in_circle.is_empty() {
        return None;
    }
    let depth = |name: &TaskName| {
        let step = |at: &&TaskName| from.get(*at).and_then(Option::as_ref);
        std::iter::successors(Some(name), step)
            .take(from.len())
            .count()
    };
    let mut tasks: Vec<(usize, DraftTask<'_>)> = tasks
        .into_iter()
        .map(|draft| (depth(&draft.task.name), draft))
        .collect();
    tasks.sort_by_key(|(depth, _)| *depth);
    Some(
        tasks
            .into_iter()
            .map(|(_, draft)| (draft.task, draft.places))
            .collect(),
    )
}
