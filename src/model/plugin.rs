//! A plugin: somebody's program that a job asks, one question at a time, over lines of JSON on its
//! standard input and output (docs/plugins/README.md). It is named in a pipeline's definition and
//! travels with each attempt; what it answers is judged by whoever asks.

use crate::ids::{LumiNumber, RunNumber};
use crate::names::{FileName, TagName, TaskPath};
use crate::time::{Moment, Span};
use crate::units::{Bytes, Events};
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

/// A question to a splitter: its key, by which an answer is known. Asked again it has another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitKey {
    /// The run.
    pub run: RunNumber,
    /// The task whose input is split.
    pub task: TaskPath,
    /// When it was asked.
    pub asked_at: Moment,
}

/// One input that is to be split, in the order of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitInput {
    /// Its name.
    pub name: FileName,
    /// Its first lumi.
    pub first_lumi: LumiNumber,
    /// Its last lumi.
    pub last_lumi: LumiNumber,
    /// Its size.
    pub bytes: Bytes,
    /// Events in it.
    pub events: Events,
}

/// What a splitter is asked: which of these inputs go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitQuestion {
    /// By which the answer is known.
    pub key: SplitKey,
    /// The plugin's name.
    pub name: String,
    /// Program and arguments.
    pub program: Vec<String>,
    /// How long it may take.
    pub within: Span,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
    /// The inputs; an answer names them by their places here, from 0.
    pub inputs: Vec<SplitInput>,
}
