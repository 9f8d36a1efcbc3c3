//! What is published: outputs, the blocks they are published in, the datasets blocks belong to.
//!
//! Totals stand in rows (D12). While a block is open its own follow from its outputs; when it
//! closes, they are recorded once and added to its dataset and to the dataset's content of the run,
//! so that no question ever adds up everything.

use crate::ids::{AttemptNumber, BlockId, JobId, LumiNumber, OutputId, RunNumber};
use crate::lumi;
use crate::names::{DataLabel, DatasetName, FileName, OutputLabel, StreamName, TaskPath};
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
    /// The block it is published in; none for a run that does not publish, or when another stands
    /// in its place.
    pub block: Option<BlockId>,
    /// Which way it goes.
    #[serde(default)]
    pub route: Route,
    /// The output in whose place it stands: of the same input, made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<OutputId>,
    /// The output that stands in its place. It is published no more, and kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<OutputId>,
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

/// Why a block takes no more outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Closing {
    /// The task that fills it has ended for its run.
    #[default]
    Complete,
    /// One of its limits is reached.
    Full,
    /// It was open for as long as a block may be.
    Aged,
}

impl Closing {
    /// A stable word for rows and screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Full => "full",
            Self::Aged => "aged",
        }
    }
}

/// How far a block has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlockState {
    /// Takes outputs.
    Open,
    /// Takes no more outputs; announced by the outbox of the same transaction. An output in whose
    /// place another stands leaves it.
    Closed {
        /// When.
        at: Moment,
        /// Why.
        #[serde(default)]
        closing: Closing,
    },
}

/// What can happen to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockEvent {
    /// An output was added.
    Added,
    /// It shall take no more.
    Ended(Moment, Closing),
}

impl BlockState {
    /// The only place where a block changes state.
    pub fn next(&self, event: BlockEvent) -> Result<Self, IllegalStep> {
        use {BlockEvent as E, BlockState as S};
        match (self, event) {
            (S::Open, E::Added) => Ok(S::Open),
            (S::Open, E::Ended(at, closing)) => Ok(S::Closed { at, closing }),
            (S::Closed { .. }, E::Added | E::Ended(..)) => {
                Err(IllegalStep::new("block", self, &event))
            }
        }
    }
}

/// A unit of publication: outputs of one dataset and run, of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Our identity for it; its agent is in it.
    pub id: BlockId,
    /// The dataset it belongs to.
    pub dataset: DatasetName,
    /// The run its outputs come from.
    pub run: RunNumber,
    /// The task that opened it, and at whose end it closes.
    #[serde(default)]
    pub task: Option<TaskPath>,
    /// Outputs in it.
    pub files: u64,
    /// Their size together.
    pub bytes: Bytes,
    /// Their events together.
    pub events: Events,
    /// Their lumis together, as closed ranges.
    #[serde(default)]
    pub lumis: Vec<(LumiNumber, LumiNumber)>,
    /// When its first output came.
    #[serde(default)]
    pub opened_at: Moment,
    /// When it closes at the latest. Older rows have none and close when they are met.
    #[serde(default)]
    pub closes_at: Moment,
    /// How far it has come.
    pub state: BlockState,
}

impl Block {
    /// Counts an output in.
    pub fn add(&mut self, output: &Output) {
        self.files += 1;
        self.bytes.0 += output.bytes.0;
        self.events.0 += output.events.0;
        self.lumis = lumi::union(self.lumis.iter().chain(&output.lumis).copied());
    }

    /// Counts an output out; `lumis` are those of the outputs that stay.
    pub fn remove(&mut self, output: &Output, lumis: Vec<(LumiNumber, LumiNumber)>) {
        self.files = self.files.saturating_sub(1);
        self.bytes.0 = self.bytes.0.saturating_sub(output.bytes.0);
        self.events.0 = self.events.0.saturating_sub(output.events.0);
        self.lumis = lumis;
    }
}

/// What a dataset is made from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Parent {
    /// Files of a stream of the detector; `*` is any.
    Stream(StreamName),
    /// Outputs of another dataset.
    Dataset(DatasetName),
}

/// What closed blocks add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Runs with a closed block.
    pub runs: u64,
    /// Closed blocks.
    pub blocks: u64,
    /// Outputs in them.
    pub files: u64,
    /// Their size together.
    pub bytes: Bytes,
    /// Their events together.
    pub events: Events,
    /// Lumis of runs in them, each counted once.
    pub lumis: u64,
    /// Lumis of runs of which a second copy came and was withheld.
    pub duplicate_lumis: u64,
}

impl Totals {
    /// Adds what another agent has of the same dataset.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.blocks += other.blocks;
        self.files += other.files;
        self.bytes.0 += other.bytes.0;
        self.events.0 += other.events.0;
        self.lumis += other.lumis;
        self.duplicate_lumis += other.duplicate_lumis;
    }

    /// What is left without a part of it.
    #[must_use]
    pub fn without(&self, part: &Self) -> Self {
        Self {
            runs: self.runs.saturating_sub(part.runs),
            blocks: self.blocks.saturating_sub(part.blocks),
            files: self.files.saturating_sub(part.files),
            bytes: Bytes(self.bytes.0.saturating_sub(part.bytes.0)),
            events: Events(self.events.0.saturating_sub(part.events.0)),
            lumis: self.lumis.saturating_sub(part.lumis),
            duplicate_lumis: self.duplicate_lumis.saturating_sub(part.duplicate_lumis),
        }
    }
}

/// A dataset: who fills it, from what, and what its closed blocks add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its whole name.
    pub name: DatasetName,
    /// The primary dataset: which data.
    pub primary: String,
    /// The processing: what was done to them.
    pub processed: String,
    /// The tier: what is kept of them, as the task labels its output.
    pub tier: String,
    /// Real or simulated.
    pub label: DataLabel,
    /// The stream at the root of what it is made from; `*` is any.
    pub stream: StreamName,
    /// The task that fills it.
    pub task: TaskPath,
    /// What that task reads.
    pub parents: Vec<Parent>,
    /// When its first block was opened.
    pub created_at: Moment,
    /// What its closed blocks add up to.
    pub closed: Totals,
}

/// What a dataset's closed blocks hold of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LumiContent {
    /// The dataset.
    pub dataset: DatasetName,
    /// The run.
    pub run: RunNumber,
    /// Closed blocks.
    pub blocks: u64,
    /// Outputs in them.
    pub files: u64,
    /// Their size together.
    pub bytes: Bytes,
    /// Their events together.
    pub events: Events,
    /// Their lumis, as closed ranges.
    pub lumis: Vec<(LumiNumber, LumiNumber)>,
    /// Lumis of which a second copy came and was withheld, as closed ranges.
    pub duplicate_lumis: Vec<(LumiNumber, LumiNumber)>,
}

impl LumiContent {
    /// Nothing yet.
    pub fn new(dataset: DatasetName, run: RunNumber) -> Self {
        Self {
            dataset,
            run,
            blocks: 0,
            files: 0,
            bytes: Bytes(0),
            events: Events(0),
            lumis: Vec::new(),
            duplicate_lumis: Vec::new(),
        }
    }

    /// Counts a closed block in, and in its dataset's totals with it.
    pub fn add(&mut self, block: &Block, totals: &mut Totals) {
        let before = lumi::count(&self.lumis);
        self.lumis = lumi::union(self.lumis.iter().chain(&block.lumis).copied());
        totals.lumis += lumi::count(&self.lumis) - before;
        totals.runs += u64::from(self.blocks == 0);
        self.blocks += 1;
        totals.blocks += 1;
        self.files += block.files;
        totals.files += block.files;
        self.bytes.0 += block.bytes.0;
        totals.bytes.0 += block.bytes.0;
        self.events.0 += block.events.0;
        totals.events.0 += block.events.0;
    }

    /// An output has left one of the closed blocks, here and in its dataset's totals; `lumis` are
    /// those that stay.
    pub fn remove(
        &mut self,
        output: &Output,
        lumis: Vec<(LumiNumber, LumiNumber)>,
        totals: &mut Totals,
    ) {
        totals.lumis += lumi::count(&lumis);
        totals.lumis = totals.lumis.saturating_sub(lumi::count(&self.lumis));
        self.lumis = lumis;
        for (files, bytes, events) in [
            (&mut self.files, &mut self.bytes, &mut self.events),
            (&mut totals.files, &mut totals.bytes, &mut totals.events),
        ] {
            *files = files.saturating_sub(1);
            bytes.0 = bytes.0.saturating_sub(output.bytes.0);
            events.0 = events.0.saturating_sub(output.events.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_meets_every_event() {
        let t = Moment(1);
        for closing in [Closing::Complete, Closing::Full, Closing::Aged] {
            let closed = BlockState::Closed { at: t, closing };
            let ended = BlockEvent::Ended(t, closing);
            assert_eq!(
                BlockState::Open.next(BlockEvent::Added),
                Ok(BlockState::Open)
            );
            assert_eq!(BlockState::Open.next(ended), Ok(closed));
            assert!(closed.next(BlockEvent::Added).is_err());
            assert!(closed.next(ended).is_err());
        }
    }

    #[test]
    fn a_lumi_in_two_blocks_is_counted_once() {
        let lumis = |first, last| vec![(LumiNumber(first), LumiNumber(last))];
        let block = |lumis| Block {
            id: BlockId(1),
            dataset: "/M/reco/RECO".into(),
            run: RunNumber(1),
            task: None,
            files: 2,
            bytes: Bytes(10),
            events: Events(5),
            lumis,
            opened_at: Moment(0),
            closes_at: Moment(0),
            state: BlockState::Open,
        };
        let mut content = LumiContent::new("/M/reco/RECO".into(), RunNumber(1));
        let mut totals = Totals::default();
        content.add(&block(lumis(1, 3)), &mut totals);
        content.add(&block(lumis(3, 4)), &mut totals);
        assert_eq!(content.lumis, lumis(1, 4));
        assert_eq!((totals.runs, totals.blocks, totals.lumis), (1, 2, 4));
        assert_eq!((totals.files, totals.bytes.0, totals.events.0), (4, 20, 10));
    }
}
