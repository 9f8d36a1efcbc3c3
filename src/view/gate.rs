//! Gates as strangers see them: what each task's release says of the runs at work.
//!
//! In: `model::ruling`. Out: [`GateView`]. Must never call a run released that waits.

use crate::wait::WaitView;
use model::ruling::{GateRun, GateState, Ruling};
use serde::{Deserialize, Serialize};

/// A person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulingView {
    /// `held`, `accepted`, or `left to its rule`.
    pub kind: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: String,
}

impl From<&Ruling> for RulingView {
    fn from(ruling: &Ruling) -> Self {
        Self {
            kind: ruling.kind.as_str().to_owned(),
            by: ruling.by.clone(),
            reason: ruling.reason.clone(),
            at: ruling.at.to_string(),
        }
    }
}

/// One run at a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRunView {
    /// The run.
    pub run: u32,
    /// `released` or `waits`.
    pub state: String,
    /// What it waits for.
    pub wait: Option<WaitView>,
    /// Whether nothing new can be promised to reach it any more.
    pub locked: bool,
    /// What a person has ruled for this run.
    pub ruling: Option<RulingView>,
    /// Published outputs of the task that were made with other constants than those in force for
    /// the run.
    #[serde(default)]
    pub outdated_outputs: Vec<i64>,
    /// Published outputs, of whatever task, that were made from those.
    #[serde(default)]
    pub made_from_outdated_outputs: Vec<i64>,
}

impl From<&GateRun> for GateRunView {
    fn from(run: &GateRun) -> Self {
        let state = if run.wait.is_some() {
            "waits"
        } else {
            "released"
        };
        Self {
            run: run.run.0,
            state: state.to_owned(),
            wait: run.wait.as_ref().map(WaitView::from),
            locked: run.locked,
            ruling: run.ruling.as_ref().map(RulingView::from),
            outdated_outputs: run.outdated.iter().map(|id| id.0).collect(),
            made_from_outdated_outputs: run.made_from_outdated.iter().map(|id| id.0).collect(),
        }
    }
}

/// The gate of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateView {
    /// The task, e.g. `prompt.reco`.
    pub task: String,
    /// What a person has ruled for every run.
    pub ruling: Option<RulingView>,
    /// The first run that constants can still reach.
    pub first_condition_safe_run: Option<u32>,
    /// Its runs at work.
    pub runs: Vec<GateRunView>,
}

impl From<&GateState> for GateView {
    fn from(gate: &GateState) -> Self {
        Self {
            task: gate.task.to_string(),
            ruling: gate.ruling.as_ref().map(RulingView::from),
            first_condition_safe_run: gate.first_condition_safe_run.map(|run| run.0),
            runs: gate.runs.iter().map(GateRunView::from).collect(),
        }
    }
}
