//! One `[[task]]` as people typed it.
//!
//! In comes its table, out comes the task with every key read, its input still as typed. It never
//! compares tasks with each other; the draft of the whole pipeline does.

use super::{DraftTask, TaskPlaces, TypedInput, plugin, release, retry, rules, split, verdict};
use crate::definition::{ByGlobalTag, Release, Task, TaskInput};
use crate::document::{Node, Value};
use crate::reader::{Keys, Reader};
use crate::retry::DEFAULT_RETRY;
use crate::splitting::Splitter;
use model::conditions::RecordName;
use model::names::{OutputLabel, StreamName, TagName, TaskName};
use model::resource::{Mode, Needs};
use std::collections::BTreeMap;

const TASK_KEYS: &[&str] = &[
    "name",
    "enabled",
    "input",
    "split",
    "program",
    "mode",
    "needs",
    "outputs",
    "retry",
    "release",
    "gate",
    "upload_wait",
    "certifies",
    "on_verdict",
    "parameters",
    "plugin",
    "early",
];
/// Cores of the largest machine we have heard of, with room.
const CORES_MAX: u32 = 4_096;

/// What `needs` says: what an attempt may use, and the constants that it reads.
#[derive(Default)]
struct TypedNeeds {
    needs: Needs,
    conditions: Vec<TagName>,
    global_tag: Option<ByGlobalTag>,
}

/// Reads one task; nothing when it could not be read, which is noted.
pub(super) fn read<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<DraftTask<'d>> {
    let keys = reader.table(node, "[[task]]", TASK_KEYS)?;
    let name = keys
        .required(reader, "name", "name = \"reco\"")
        .and_then(|n| reader.name(n, ""));
    let input = match keys.get("input") {
        Some(node) => read_input(reader, node),
        None => Some(TypedInput::Trigger),
    };
    let splitter = match keys.get("split") {
        Some(node) => split::read(reader, node),
        None => Some(split::default()),
    };
    let program = keys
        .required(
            reader,
            "program",
            "program = [\"{program:NAME}\", \"argument\"]",
        )
        .and_then(|node| read_program(reader, node));
    let modes = [("process", Mode::Process), ("warm", Mode::Warm)];
    let mode = keys
        .get("mode")
        .and_then(|node| reader.word(node, "mode", &modes));
    let typed = keys.get("needs").map(|n| read_needs(reader, n));
    let TypedNeeds {
        needs,
        conditions,
        global_tag,
    } = typed.unwrap_or_default();
    let outputs = keys
        .get("outputs")
        .map(|n| read_outputs(reader, n))
        .unwrap_or_default();
    let policy = keys
        .get("retry")
        .and_then(|node| retry::read_retry(reader, node));
    let release = keys
        .get("release")
        .and_then(|node| release::read_release(reader, node));
    let calibrates = keys
        .get("gate")
        .map(|n| rules::read_gates(reader, n))
        .unwrap_or_default();
    let upload_wait = rules::read_upload_wait(reader, &keys, !calibrates.is_empty());
    let certifies = keys
        .get("certifies")
        .and_then(|n| reader.flag(n))
        .unwrap_or(false);
    let on_verdict = verdict::read_actions(reader, &keys, certifies);
    let parameters = keys
        .get("parameters")
        .map(|n| read_parameters(reader, n))
        .unwrap_or_default();
    let plugins = plugin::read_plugins(reader, &keys, &calibrates, needs.wall);
    let early = keys
        .get("early")
        .and_then(|node| reader.flag(node))
        .unwrap_or(true);
    if let (Some(policy), Some(node)) = (&policy, keys.get("retry")) {
        retry::check_growth(reader, node, policy, &needs);
    }
    let splitter = splitter?;
    check_one_job_a_run(reader, &keys, &splitter, !calibrates.is_empty(), certifies);
    let at = |key: &str| keys.get(key).unwrap_or(node).place();
    let places = TaskPlaces {
        input: at("input"),
        release: at("release"),
        outputs: at("outputs"),
        gates: at("gate"),
        program: at("program"),
        plugins: at("plugin"),
        on_verdict: at("on_verdict"),
        conditions: keys
            .get("needs")
            .map_or(node, |needs| needs.get("conditions").unwrap_or(needs))
            .place(),
    };
    let task = Task {
        name: TaskName::new(name?),
        // Replaced when all tasks are known; the typed form stands beside it until then.
        input: TaskInput::Stream(StreamName::new("*")),
        splitter,
        program: program?,
        mode: mode.unwrap_or(Mode::Process),
        needs,
        conditions,
        global_tag,
        outputs,
        retry: policy.unwrap_or(DEFAULT_RETRY),
        release: release.unwrap_or(Release::ALWAYS),
        calibrates,
        upload_wait,
        certifies,
        on_verdict,
        parameters,
        plugins,
        early,
    };
    let input_at = keys.get("input").unwrap_or(node);
    Some(DraftTask {
        task,
        input: input?,
        node,
        input_at,
        places,
    })
}

fn read_input<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<TypedInput> {
    let text = reader.text(node)?;
    if text == "trigger" {
        return Some(TypedInput::Trigger);
    }
    match text.split_once('.') {
        Some((task, label)) if !task.is_empty() && !label.is_empty() && !label.contains('.') => {
            Some(TypedInput::Output(
                TaskName::new(task),
                OutputLabel::new(label),
            ))
        }
        _ => {
            let hint = "write \"trigger\" or task.LABEL; what another pipeline makes is a trigger";
            reader.mistake(node, "P003", format!("{text:?} names no input"), hint);
            None
        }
    }
}

pub(super) fn read_program<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<Vec<String>> {
    if let Value::Text(text) = &node.value {
        let words: Vec<String> = text.split_whitespace().map(|w| format!("{w:?}")).collect();
        let message = "a program is a list, itself and its arguments; this is a text";
        let hint = format!("write program = [{}]", words.join(", "));
        reader.mistake(node, "T004", message, hint);
        return None;
    }
    let list = reader.list(node, "texts, the program and its arguments,");
    if list.is_empty() {
        if matches!(node.value, Value::List(_)) {
            let hint = "write program = [\"{program:NAME}\", \"argument\"]";
            reader.mistake(node, "P001", "a task without a program does nothing", hint);
        }
        return None;
    }
    let mut arguments = Vec::new();
    for (position, node) in list.iter().enumerate() {
        let text = reader.text(node)?;
        if position == 0 && text.is_empty() {
            reader.mistake(
                node,
                "P001",
                "the program's name is empty",
                "name a program",
            );
        }
        if let Some(why) = placeholder_mistake(text) {
            let hint = "a placeholder is a whole argument: \"{tier0}\" or \"{program:NAME}\"";
            reader.mistake(node, "P001", why, hint);
        }
        arguments.push(text.to_owned());
    }
    Some(arguments)
}

/// Braces that look like a placeholder and are none.
fn placeholder_mistake(argument: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let inside = argument
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    match inside {
        Some("tier0") => None,
        Some(word)
            if word
                .strip_prefix("program:")
                .is_some_and(|name| !name.is_empty() && name.chars().all(legal)) =>
        {
            None
        }
        Some(word) if word.chars().all(|c| legal(c) || c == ':') => {
            Some(format!("nobody fills the placeholder \"{argument}\""))
        }
        _ if argument.contains("{tier0}") || argument.contains("{program:") => Some(format!(
            "\"{argument}\" holds a placeholder among other text"
        )),
        _ => None,
    }
}

fn read_needs<'d>(reader: &Reader<'d>, node: &'d Node) -> TypedNeeds {
    let mut typed = TypedNeeds::default();
    let needs = &mut typed.needs;
    let legal = ["cores", "memory", "wall", "conditions", "global_tag"];
    let Some(keys) = reader.table(node, "needs", &legal) else {
        return typed;
    };
    if let Some(cores) = keys
        .get("cores")
        .and_then(|n| reader.count_u32(n, 1..=CORES_MAX))
    {
        needs.cores = cores;
    }
    if let Some(memory) = keys.get("memory").and_then(|n| reader.bytes(n)) {
        needs.memory = memory;
    }
    if let Some(wall) = keys.get("wall").and_then(|n| reader.span(n)) {
        needs.wall = wall;
    }
    match keys.get("global_tag") {
        Some(node) => typed.global_tag = read_global_tag(reader, &keys, node),
        None => {
            let tags = keys.get("conditions").map(|n| read_tags(reader, n));
            typed.conditions = tags.unwrap_or_default();
        }
    }
    typed
}

/// With a global tag, `conditions` are the records that are read by it.
fn read_global_tag<'d>(
    reader: &Reader<'d>,
    keys: &Keys<'d>,
    node: &'d Node,
) -> Option<ByGlobalTag> {
    let name = reader.text(node)?.to_owned();
    if name.is_empty() {
        let hint = "write its name as `tier0 calib tags --global` shows it";
        reader.mistake(node, "T005", "the global tag's name is empty", hint);
    }
    let example = "conditions = [\"RECORD\"], the records that are read by the global tag";
    let list = keys.required(reader, "conditions", example)?;
    let mut records: Vec<RecordName> = Vec::new();
    for node in reader.one_or_more(list) {
        let Some(text) = reader.name(node, ":.") else {
            continue;
        };
        match RecordName::parse(text) {
            None => {
                let message = format!("{text:?} names no record");
                let hint = "write RECORD or RECORD:LABEL, as the global tag names it";
                reader.mistake(node, "T005", message, hint);
            }
            Some(record) if records.contains(&record) => {
                let message = format!("record \"{record}\" stands twice");
                reader.mistake(node, "P002", message, "name it once");
            }
            Some(record) => records.push(record),
        }
    }
    if reader.one_or_more(list).is_empty() {
        let message = "a global tag without records leads to no constant";
        reader.mistake(list, "T003", message, format!("add {example}"));
    }
    Some(ByGlobalTag { name, records })
}

pub(super) fn read_tags<'d>(reader: &Reader<'d>, node: &'d Node) -> Vec<TagName> {
    let mut tags = Vec::new();
    for node in reader.one_or_more(node) {
        let Some(tag) = reader.name(node, "").map(TagName::new) else {
            continue;
        };
        if tags.contains(&tag) {
            reader.mistake(
                node,
                "P002",
                format!("tag \"{tag}\" stands twice"),
                "name it once",
            );
        } else {
            tags.push(tag);
        }
    }
    tags
}

fn read_outputs<'d>(reader: &Reader<'d>, node: &'d Node) -> BTreeMap<OutputLabel, String> {
    let mut outputs = BTreeMap::new();
    for (key, kind) in reader.entries(node, "outputs (labels with kinds)") {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if key.text.is_empty() || !key.text.chars().all(legal) {
            let message = format!("{:?} cannot be a label", key.text);
            let hint = "use letters, digits, \"_\" and \"-\", as in RECO";
            reader.mistake_at(key, "T005", message, hint);
            continue;
        }
        let Some(text) = reader.text(kind) else {
            continue;
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if text.is_empty() || text.len() > 16 || !text.chars().all(plain) {
            let message = format!("{text:?} is no kind of file");
            let hint = "the kind is the file's extension: parquet, uhi, json, root";
            reader.mistake(kind, "T005", message, hint);
            continue;
        }
        outputs.insert(OutputLabel::new(&key.text), text.to_owned());
    }
    outputs
}

pub(super) fn read_parameters<'d>(reader: &Reader<'d>, node: &'d Node) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    for (key, node) in reader.entries(node, "parameters") {
        let text = match &node.value {
            Value::Text(text)
            | Value::Integer(text)
            | Value::Decimal(text)
            | Value::Untyped(text) => text.clone(),
            Value::Flag(flag) => flag.to_string(),
            Value::List(_) | Value::Table(_) | Value::Date => {
                let message = format!("a parameter is one value, this is {}", node.value.kind());
                reader.mistake(
                    node,
                    "T004",
                    message,
                    "write a text and let the program read it",
                );
                continue;
            }
        };
        parameters.insert(key.text.clone(), text);
    }
    parameters
}

/// What is decided once a run must come from one job a run.
fn check_one_job_a_run(
    reader: &Reader<'_>,
    keys: &Keys<'_>,
    splitter: &Splitter,
    calibrates: bool,
    certifies: bool,
) {
    if matches!(splitter, Splitter::AlcaHarvest(_) | Splitter::DqmHarvest(_)) {
        return;
    }
    let hint = "split = { by = \"alca_harvest\" } or { by = \"dqm_harvest\" } gives one job a run";
    for (key, is_set, what) in [
        ("gate", calibrates, "constants"),
        ("certifies", certifies, "a verdict"),
    ] {
        if is_set && let Some(node) = keys.get(key) {
            let message = format!("{what} of a run cannot come from several jobs");
            reader.mistake(node, "P008", message, hint);
        }
    }
}
