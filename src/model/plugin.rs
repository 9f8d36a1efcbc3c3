//! A plugin: somebody's program that a job asks, one question at a time, over lines of JSON on its
//! standard input and output (docs/plugins/README.md). It is named in a pipeline's definition and
//! travels with each attempt; what it answers is judged by whoever asks.

use crate::names::TagName;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A plugin of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Its name in results, reasons and messages.
    pub name: String,
    /// Program and arguments; `{program:NAME}` and `{tier0}` fill whole arguments.
    pub program: Vec<String>,
    /// What it is asked.
    pub asked: Asked,
    /// For all answers of one job together, from its start on; then it is ended.
    pub within: Span,
    /// Free parameters handed on with each question.
    pub parameters: BTreeMap<String, String>,
}

/// What a plugin is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// A quality test of each of these monitor elements.
    Tests(Vec<String>),
    /// The constant of each of these tags, instead of the algorithm that comes with the program.
    Measures(Vec<TagName>),
}
