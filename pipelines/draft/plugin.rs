//! Plugins of a task as people typed them: who is asked what, and for how long.
//!
//! In come the tables, out come the plugins with every limit checked. Whether their programs exist
//! is found by whoever knows the machine.

use super::task::{read_parameters, read_program, read_tags};
use crate::definition::GateRule;
use crate::document::Node;
use crate::reader::{Keys, Reader};
use crate::splitting;
use model::names::TagName;
use model::plugin::{Asked, Plugin};
use model::time::Span;

/// An interpreter starts in a tenth of a second; a fit of a run's sums takes a few.
const DEFAULT_WITHIN: Span = Span::from_secs(10);

/// Splitters are asked one after the other.
const SPLITS_WITHIN_MAX: Span = Span::from_secs(60);

const PLUGIN_KEYS: &[&str] = &[
    "name",
    "program",
    "tests",
    "measures",
    "within",
    "parameters",
];

/// Reads the plugins of a task whose attempts may take `wall`.
pub(super) fn read_plugins<'d>(
    reader: &Reader<'d>,
    keys: &Keys<'d>,
    gates: &[GateRule],
    wall: Span,
) -> Vec<Plugin> {
    let Some(node) = keys.get("plugin") else {
        return Vec::new();
    };
    let mut plugins: Vec<Plugin> = Vec::new();
    for node in reader.list(node, "plugins (written as [[task.plugin]])") {
        let Some(plugin) = read_plugin(reader, node, gates) else {
            continue;
        };
        if plugins.iter().any(|other| other.name == plugin.name) {
            let message = format!("two plugins are called \"{}\"", plugin.name);
            reader.mistake(node, "P002", message, "give each its own name");
        }
        for tag in measured(&plugin) {
            if plugins.iter().any(|other| measured(other).contains(tag)) {
                let message = format!("two plugins measure \"{tag}\"");
                reader.mistake(node, "P002", message, "let one of them do it");
            }
        }
        plugins.push(plugin);
    }
    let together = plugins.iter().fold(Span::ZERO, |sum, p| sum + p.within);
    if together >= wall && !plugins.is_empty() {
        let message = format!("the plugins may take {together} together, the job only {wall}");
        let hint = "give them less time, or the job more with needs = { wall = \"..\" }";
        reader.mistake(node, "T008", message, hint);
    }
    plugins
}

fn measured(plugin: &Plugin) -> &[TagName] {
    match &plugin.asked {
        Asked::Measures(tags) => tags,
        Asked::Tests(_) => &[],
    }
}

fn read_plugin<'d>(reader: &Reader<'d>, node: &'d Node, gates: &[GateRule]) -> Option<Plugin> {
    let keys = reader.table(node, "a plugin", PLUGIN_KEYS)?;
    let name = keys
        .required(reader, "name", "name = \"peak_width\"")
        .and_then(|n| reader.name(n, ""));
    let program = keys
        .required(reader, "program", "program = [\"{program:peak_width}\"]")
        .and_then(|n| read_program(reader, n));
    let within = keys.get("within").and_then(|n| reader.span(n));
    let parameters = keys.get("parameters").map(|n| read_parameters(reader, n));
    let asked = match (keys.get("tests"), keys.get("measures")) {
        (Some(tests), None) => Some(Asked::Tests(read_elements(reader, tests))),
        (None, Some(tags)) => Some(Asked::Measures(read_measured(reader, tags, gates))),
        (tests, _) => {
            let message = match tests {
                Some(_) => "a plugin tests or measures, this one shall do both",
                None => "it is not said what the plugin is asked",
            };
            let hint =
                "write tests = [\"ELEMENT\"] or measures = [\"TAG\"]; split it in two for both";
            reader.mistake(node, "T003", message, hint);
            None
        }
    };
    Some(Plugin {
        name: name?.to_owned(),
        program: program?,
        asked: asked?,
        within: within.unwrap_or(DEFAULT_WITHIN),
        parameters: parameters.unwrap_or_default(),
    })
}

/// A plugin that splits: what stands beside `by = "plugin"`.
pub(super) fn read_splitter<'d>(reader: &Reader<'d>, keys: &Keys<'d>) -> Option<splitting::Plugin> {
    let name = keys
        .required(reader, "name", "name = \"packer\"")
        .and_then(|n| reader.name(n, ""));
    let program = keys
        .required(reader, "program", "program = [\"{program:packer}\"]")
        .and_then(|n| read_program(reader, n));
    let within = keys.get("within");
    let span = within
        .and_then(|n| reader.span(n))
        .unwrap_or(DEFAULT_WITHIN);
    if let Some(node) = within.filter(|_| span > SPLITS_WITHIN_MAX) {
        let message = format!("one splitter would keep all others waiting for {span}");
        let hint = format!("give it at most {SPLITS_WITHIN_MAX}");
        reader.mistake(node, "T008", message, hint);
    }
    let parameters = keys.get("parameters").map(|n| read_parameters(reader, n));
    Some(splitting::Plugin {
        name: name?.to_owned(),
        program: program?,
        within: span,
        parameters: parameters.unwrap_or_default(),
    })
}

fn read_elements<'d>(reader: &Reader<'d>, node: &'d Node) -> Vec<String> {
    let mut elements: Vec<String> = Vec::new();
    for node in reader.one_or_more(node) {
        let Some(element) = reader.name(node, "/.") else {
            continue;
        };
        if elements.iter().any(|known| known == element) {
            let message = format!("element \"{element}\" stands twice");
            reader.mistake(node, "P002", message, "name it once");
        } else {
            elements.push(element.to_owned());
        }
    }
    if elements.is_empty() {
        reader.mistake(node, "T008", "it is asked nothing", "name an element");
    }
    elements
}

/// Only what a gate of the task judges is worth measuring.
fn read_measured<'d>(reader: &Reader<'d>, node: &'d Node, gates: &[GateRule]) -> Vec<TagName> {
    let tags = read_tags(reader, node);
    for tag in &tags {
        if !gates.iter().any(|gate| gate.tag == *tag) {
            let message = format!("nothing judges what it measures of \"{tag}\"");
            let hint = format!("add a [[task.gate]] with tag = \"{tag}\"");
            reader.mistake(node, "T008", message, hint);
        }
    }
    if tags.is_empty() {
        reader.mistake(node, "T008", "it is asked nothing", "name a tag");
    }
    tags
}
