//! One document laid over another: what a pipeline inherits, what a configuration says over it,
//! what all tasks of a pipeline have in common.
//!
//! In come documents as typed, out comes one in which every value still knows where it was typed.
//! Tables are laid over each other key by key and tasks by their names; anything else is replaced,
//! and so is what only means something as a whole: a trigger, a release rule, another splitter, a
//! value by run or era. It never says what a key means.

use crate::choice::is_choice;
use crate::document::{Document, Key, Node, Value};

/// Tables that mean something only as a whole.
const WHOLE: [&str; 2] = ["trigger", "release"];

/// Lists whose members are laid over each other by their names.
const BY_NAME: [&str; 3] = ["task", "stream", "era"];

impl Document {
    /// Lays this document over another one: what it does not say, the other does. Its own sources
    /// keep their numbers; says which number the other's first one has now.
    pub fn lay_upon(&mut self, below: &Self) -> usize {
        let first = self.sources.len();
        let root = self.adopt(below, &below.root);
        self.root = lay(&root, &self.root, "");
        first
    }

    /// Takes a tree of another document in: its sources come along.
    pub(crate) fn adopt(&mut self, other: &Self, node: &Node) -> Node {
        let by = self.sources.len();
        self.sources.extend(other.sources.iter().cloned());
        moved(node, by)
    }
}

fn moved(node: &Node, by: usize) -> Node {
    let value = match &node.value {
        Value::Table(entries) => {
            let entry = |(key, node): &(Key, Node)| {
                let key = Key {
                    source: key.source + by,
                    ..key.clone()
                };
                (key, moved(node, by))
            };
            Value::Table(entries.iter().map(entry).collect())
        }
        Value::List(list) => Value::List(list.iter().map(|node| moved(node, by)).collect()),
        other => other.clone(),
    };
    Node {
        source: node.source + by,
        at: node.at.clone(),
        value,
    }
}

/// Lays `over` over `base`; `key` is what they are called.
pub(crate) fn lay(base: &Node, over: &Node, key: &str) -> Node {
    let other_splitter = key == "split" && over.get("by").is_some();
    let whole = WHOLE.contains(&key) || other_splitter || is_choice(base) || is_choice(over);
    let value = match (&base.value, &over.value) {
        _ if whole => over.value.clone(),
        (Value::Table(below), Value::Table(above)) => {
            let mut entries = below.clone();
            for (key, node) in above {
                let place = entries.iter().position(|(known, _)| known.text == key.text);
                match place {
                    Some(at) => {
                        let laid = lay(&entries[at].1, node, &key.text);
                        entries[at] = (key.clone(), laid);
                    }
                    None => entries.push((key.clone(), node.clone())),
                }
            }
            Value::Table(entries)
        }
        (Value::List(below), Value::List(above)) if BY_NAME.contains(&key) => {
            let mut tasks = below.clone();
            for task in above {
                let name = name_of(task);
                let place = tasks
                    .iter()
                    .position(|t| name.is_some() && name_of(t) == name);
                match place {
                    Some(at) => tasks[at] = lay(&tasks[at], task, ""),
                    None => tasks.push(task.clone()),
                }
            }
            Value::List(tasks)
        }
        _ => over.value.clone(),
    };
    Node {
        source: over.source,
        at: over.at.clone(),
        value,
    }
}

/// What a task or pipeline is called, where it says so in a text.
pub(crate) fn name_of(node: &Node) -> Option<&str> {
    match &node.get("name")?.value {
        Value::Text(name) | Value::Untyped(name) => Some(name),
        _ => None,
    }
}

/// The tree without some keys of the table at its top.
pub(crate) fn without(node: &Node, keys: &[&str]) -> Node {
    let value = match &node.value {
        Value::Table(entries) => {
            let stays = |(key, _): &&(Key, Node)| !keys.contains(&key.text.as_str());
            Value::Table(entries.iter().filter(stays).cloned().collect())
        }
        other => other.clone(),
    };
    Node {
        value,
        ..node.clone()
    }
}

/// Replaces what a key of a table holds, if it has it.
pub(crate) fn map_key(node: &mut Node, name: &str, change: impl FnOnce(&Node) -> Node) {
    if let Value::Table(entries) = &mut node.value
        && let Some((_, node)) = entries.iter_mut().find(|(key, _)| key.text == name)
    {
        *node = change(node);
    }
}
