//! What is published: outputs, the blocks they are published in, the datasets blocks belong to.

use crate::ids::{AttemptNumber, BlockId, JobId, LumiNumber, OutputId, RunNumber};
use crate::names::{DatasetName, FileName, OutputLabel, TaskPath};
use crate::step::IllegalStep;
use crate::time::Moment;
use crate::units::{Bytes, Events};
use serde::{Deserialize, Serialize};

/// A committed output of a job's winning attempt: a row here is what makes a file visible (D9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Our identity for it.
    pub id: OutputId,
    /// The job that made it.
    pub job: JobId,
    /// The winning attempt.
    pub attempt: AttemptNumber,
    /// The run it belongs to.
    pub run: RunNumber,
    /// The task that made it.
    pub task: TaskPath,
    /// What the task calls it.
    pub label: OutputLabel,
    /// The dataset it belongs to.
    pub dataset: DatasetName,
    /// Its name relative to the storage; holds job and attempt, so it is unique for ever.
    pub name: FileName,
    /// Its size.
    pub bytes: Bytes,
    /// Its adler32, computed when it was committed.
    pub adler32: u32,
    /// Events in it.
    pub events: Events,
    /// Lumis in it, as closed ranges.
    pub lumis: Vec<(LumiNumber, LumiNumber)>,
    /// When the earliest of the detector's files behind it was seen.
    pub seen_at: Moment,
    /// When it was recorded.
    pub committed_at: Moment,
    /// The block it is published in; none for a run that does not publish.
    pub block: Option<BlockId>,
    /// Which way it goes.
    #[serde(default)]
    pub route: Route,
}

/// Which way an output goes from the task that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Route {
    /// To its own dataset, and to the tasks that read it.
    #[default]
    Onward,
    /// Large enough as it is: published as an output of this merge, under this label, and handed to
    /// the tasks behind the merge. Tasks beside the merge read it all the same.
    Merged(TaskPath, OutputLabel),
    /// To the error dataset; nobody reads it.
    Error,
}

/// How far a block has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlockState {
    /// Takes outputs.
    Open,
    /// Complete; announced by the outbox of the same transaction.
    Closed {
        /// When.
        at: Moment,
    },
}

/// What can happen to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockEvent {
    /// An output was added.
    Added,
    /// The task that fills it has ended for its run.
    Completed(Moment),
}

impl BlockState {
    /// The only place where a block changes state.
    pub fn next(&self, event: BlockEvent) -> Result<Self, IllegalStep> {
        use {BlockEvent as E, BlockState as S};
        match (self, event) {
            (S::Open, E::Added) => Ok(S::Open),
            (S::Open, E::Completed(at)) => Ok(S::Closed { at }),
            (S::Closed { .. }, E::Added | E::Completed(_)) => {
                Err(IllegalStep::new("block", self, &event))
            }
        }
    }
}

/// A unit of publication: outputs of one task and label for one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Our identity for it.
    pub id: BlockId,
    /// The dataset it belongs to.
    pub dataset: DatasetName,
    /// The run its outputs come from.
    pub run: RunNumber,
    /// Outputs in it.
    pub files: u64,
    /// Their size together.
    pub bytes: Bytes,
    /// Their events together.
    pub events: Events,
    /// How far it has come.
    pub state: BlockState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_meets_every_event() {
        let (t, closed) = (Moment(1), BlockState::Closed { at: Moment(1) });
        assert_eq!(
            BlockState::Open.next(BlockEvent::Added),
            Ok(BlockState::Open)
        );
        assert_eq!(BlockState::Open.next(BlockEvent::Completed(t)), Ok(closed));
        assert!(closed.next(BlockEvent::Added).is_err());
        assert!(closed.next(BlockEvent::Completed(t)).is_err());
    }
}
