//! What an engine is born with: the pipelines as one list of tasks that know who feeds them and
//! whom they feed.

use crate::lumi_work::goes_by_lumis;
use crate::sources::ReleasePolicy;
use model::arrival::Completion;
use model::budget::Budget;
use model::ids::{AgentNumber, Epoch};
use model::job::Class;
use model::names::{OutputLabel, PipelineName, ProfileName, StreamName, TaskPath};
use model::run::RunType;
use model::time::Span;
use model::work::{AttemptPlan, WantedOutput};
use pipelines::definition::{BlockLimits, Definition, Task, TaskInput};
use pipelines::variants::Definitions;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an engine is born with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which agent this is.
    pub agent: AgentNumber,
    /// Its epoch, raised durably before the engine exists (D2).
    pub epoch: Epoch,
    /// What new runs are opened with.
    pub configuration: Configuration,
    /// What runs of the store were opened with, where it is another.
    pub earlier: Vec<Configuration>,
    /// Cores that attempts may use at once.
    pub cores: u32,
    /// Which stream profiles let a time-out complete lumis or runs; the others wait for witnesses.
    pub completions: BTreeMap<ProfileName, Completion>,
    /// What a run is for when nobody says.
    pub default_run_type: RunType,
    /// When sources may be removed; none for never.
    pub release: Option<ReleasePolicy>,
    /// How long a run must have been finished before it leaves; none for never.
    pub archive_after: Option<Span>,
}

/// A configuration as the engine uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Hash of what it means, pinned into each run.
    pub hash: String,
    /// What to read it from again after a restart.
    pub text: String,
    /// Definitions, linked and checked; placeholders of programs filled.
    pub definitions: Definitions,
}

impl Configuration {
    /// The same definitions for all runs, e.g. in tests.
    pub fn fixed(hash: &str, definitions: Vec<Definition>) -> Self {
        Self {
            hash: hash.to_owned(),
            text: String::new(),
            definitions: Definitions::fixed(definitions),
        }
    }
}

/// A task in the engine's list. Tasks stand behind those that feed them.
#[derive(Clone, Debug)]
pub(crate) struct TaskPlan {
    pub(crate) path: TaskPath,
    pub(crate) task: Arc<Task>,
    pub(crate) class: Class,
    pub(crate) budget: Option<Budget>,
    pub(crate) processing: String,
    /// The stream at the root of what it reads.
    pub(crate) stream: StreamName,
    /// First part of its datasets' names.
    pub(crate) primary: String,
    /// When blocks of its datasets close.
    pub(crate) blocks: BlockLimits,
    pub(crate) run_types: Vec<RunType>,
    /// Who feeds it; none for files of the detector.
    pub(crate) upstream: Option<(usize, OutputLabel)>,
    /// Whom it feeds.
    pub(crate) consumers: Vec<(OutputLabel, usize)>,
    /// Whether it, or a task behind it, goes by lumis that those in front are done with.
    pub(crate) tracks_lumis: bool,
    pub(crate) attempt: Arc<AttemptPlan>,
}

/// Lists all tasks of all definitions so that each stands behind the one that feeds it. The list
/// will stand behind `first` others.
///
/// Definitions were checked for cycles and missing inputs when they were linked.
pub(crate) fn plan_tasks(definitions: &[Definition], first: usize) -> Vec<TaskPlan> {
    let mut waiting: Vec<(&Definition, &Arc<Task>)> = definitions
        .iter()
        .flat_map(|d| d.tasks.iter().map(move |t| (d, t)))
        .collect();
    let mut plans: Vec<TaskPlan> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|(definition, task)| match place(&plans, definition, task) {
            Some(plan) => {
                let index = plans.len();
                if let Some((upstream, label)) = plan.upstream.clone() {
                    plans[upstream].consumers.push((label, index));
                }
                plans.push(plan);
                false
            }
            None => true,
        });
        assert!(
            waiting.len() < before,
            "linked definitions have no cycle and no missing input"
        );
    }
    for index in (0..plans.len()).rev() {
        let mut behind = plans[index].consumers.iter();
        plans[index].tracks_lumis |= behind.any(|(_, next)| plans[*next].tracks_lumis);
    }
    for plan in &mut plans {
        let feeder = plan.upstream.iter_mut().map(|(index, _)| index);
        let fed = plan.consumers.iter_mut().map(|(_, index)| index);
        feeder.chain(fed).for_each(|index| *index += first);
    }
    plans
}

/// The plan of a task whose feeder is placed already.
fn place(plans: &[TaskPlan], definition: &Definition, task: &Arc<Task>) -> Option<TaskPlan> {
    let (upstream, stream, primary) = match &task.input {
        TaskInput::Stream(stream) => (None, stream.clone(), primary_of(stream)),
        TaskInput::Output(path, label) => {
            let index = plans.iter().position(|plan| plan.path == *path)?;
            let feeder = &plans[index];
            let (stream, primary) = (feeder.stream.clone(), feeder.primary.clone());
            (Some((index, label.clone())), stream, primary)
        }
    };
    let path = TaskPath {
        pipeline: definition.name.clone(),
        task: task.name.clone(),
    };
    let outputs = task.outputs.iter().map(|(label, kind)| WantedOutput {
        label: label.clone(),
        path: [label.as_str(), ".", kind].concat(),
    });
    Some(TaskPlan {
        attempt: Arc::new(AttemptPlan {
            task: path.clone(),
            program: task.program.clone(),
            mode: task.mode,
            needs: task.needs,
            outputs: outputs.collect(),
            parameters: task.parameters.clone(),
            plugins: task.plugins.clone(),
            early: task.early,
        }),
        path,
        task: task.clone(),
        class: definition.class,
        budget: definition.budget,
        processing: definition.processing.clone(),
        stream,
        primary: definition.primary.clone().unwrap_or(primary),
        blocks: definition.blocks,
        run_types: definition.run_types.clone(),
        upstream,
        consumers: Vec::new(),
        tracks_lumis: goes_by_lumis(&task.splitter),
    })
}

/// The primary dataset of a stream's data, where no definition names one.
fn primary_of(stream: &StreamName) -> String {
    match stream.as_str() {
        "*" => "All".to_owned(),
        name => name.to_owned(),
    }
}

impl TaskPlan {
    /// Whether files of this stream are its input.
    pub(crate) fn reads_stream(&self, stream: &StreamName) -> bool {
        matches!(&self.task.input, TaskInput::Stream(s) if s == stream || s.as_str() == "*")
    }
}

/// Pipelines that work on runs of this type, in order.
pub(crate) fn pipelines_of(plans: &[TaskPlan], run_type: RunType) -> Vec<PipelineName> {
    let mut names: Vec<PipelineName> = plans
        .iter()
        .filter(|plan| plan.run_types.contains(&run_type))
        .map(|plan| plan.path.pipeline.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}
