//! What people and programs may ask of a running engine, and what it answers.

use crate::ids::{JobId, RunNumber};
use crate::names::{DataLabel, TaskPath};
use crate::ruling::RulingKind;
use crate::run::RunType;
use crate::wait::Object;
use serde::{Deserialize, Serialize};

/// Something asked of the engine. Asking twice does no more than asking once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A run begins (or is known to have begun).
    RunStart {
        /// The run.
        run: RunNumber,
        /// What it is for.
        run_type: RunType,
        /// Real or simulated.
        label: DataLabel,
    },
    /// A run has ended with this lumi.
    RunStop {
        /// The run.
        run: RunNumber,
        /// Its last lumi.
        last_lumi: u32,
    },
    /// A person rules on the work of a task.
    Rule {
        /// The task.
        task: TaskPath,
        /// The run; none for every run without a ruling of its own.
        run: Option<RunNumber>,
        /// What is ruled.
        kind: RulingKind,
    },
    /// Another attempt at a failed job.
    JobRetry {
        /// The job.
        job: JobId,
    },
}

impl Command {
    /// As the audit names it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::RunStart { .. } => "run start",
            Self::RunStop { .. } => "run stop",
            Self::Rule { kind, .. } => kind.verb(),
            Self::JobRetry { .. } => "job retry",
        }
    }

    /// What it is about, where that is one object.
    pub fn object(&self) -> Option<Object> {
        Some(match self {
            Self::RunStart { run, .. } | Self::RunStop { run, .. } => Object::Run(*run),
            Self::Rule { task, run, .. } => match run {
                Some(run) => Object::Task(*run, task.clone()),
                None => Object::Gate(task.clone()),
            },
            Self::JobRetry { job } => Object::Job(*job),
        })
    }
}

/// Whether an order is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// Do it.
    Do,
    /// Only say what would be done, and to what.
    Preview,
}

/// A command with whoever gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub command: Command,
    /// Whether it is meant.
    pub intent: Intent,
    /// Who asks, as far as the window that took it knows.
    pub by: String,
    /// Why, in their words; may be empty where nothing is declared.
    pub reason: String,
    /// How many objects the asker believes to be concerned: another number refuses the order.
    pub expect_count: Option<u64>,
}

impl Order {
    /// An order that is meant, without a reason.
    pub fn new(command: Command, by: &str) -> Self {
        Self {
            command,
            intent: Intent::Do,
            by: by.to_owned(),
            reason: String::new(),
            expect_count: None,
        }
    }
}

/// What an order would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// In words.
    pub would: String,
    /// How many objects are concerned.
    pub count: u64,
    /// Which: one line an object, or a range of them.
    pub objects: Vec<String>,
}

/// What the engine answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done, in words; durable when it is heard.
    Done(String),
    /// Nothing was done: this is what would be.
    Would(Preview),
    /// Refused: the role or the state does not allow it; says why and what to do.
    Refused(String),
}
