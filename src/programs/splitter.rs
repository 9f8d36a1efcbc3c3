//! Splitters that are plugins, asked on behalf of whoever cuts a task's input into jobs.
//!
//! In: a command that starts the plugin, and the question. Out: groups of inputs by their places,
//! or what the plugin did instead, as the rest of a sentence. Whether the groups can be is judged
//! by whoever asked. The plugin is started for one question and ended after it.

use std::process::Command;
use std::time::Duration;

use model::plugin::{SplitInput, SplitQuestion};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::plugin::Plugin;

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Vec<u32>>,
}

/// Asks one question; returns within its time.
pub fn ask(command: Command, question: &SplitQuestion) -> Result<Vec<Vec<u32>>, String> {
    let within = Duration::from_secs_f64(question.within.as_secs_f64().max(0.0));
    let mut plugin = Plugin::start(command, within).map_err(|fault| fault.to_string())?;
    let answer = plugin.ask(in_json(question));
    let answer = answer.map_err(|fault| fault.to_string())?;
    plugin.quit();
    let read: Result<Groups, _> = serde_json::from_value(answer);
    read.map(|read| read.groups)
        .map_err(|error| format!("answered what cannot be: {error}"))
}

fn in_json(question: &SplitQuestion) -> Value {
    let input = |input: &SplitInput| {
        json!({
            "lfn": input.name.as_str(),
            "first_lumi": input.first_lumi.0,
            "last_lumi": input.last_lumi.0,
            "bytes": input.bytes.0,
            "events": input.events.0,
        })
    };
    let parameters = question.parameters.iter();
    let parameters = parameters.map(|(name, text)| (name.clone(), meant(text)));
    json!({
        "split": question.name,
        "run": question.key.run.0,
        "task": question.key.task.to_string(),
        "inputs": question.inputs.iter().map(input).collect::<Vec<_>>(),
        "parameters": parameters.collect::<Map<String, Value>>(),
    })
}

/// Whoever wrote `"12"` meant the number, as in a job's parameters.
fn meant(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::from(text),
    }
}
