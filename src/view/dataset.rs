//! Outputs, blocks and datasets as strangers see them.
//!
//! In: `model::dataset`. Out: [`OutputView`], [`BlockView`], [`DatasetView`]. Must never add up
//! blocks of simulated and real data: their dataset names differ, and sums are kept by name.

use crate::LumiRanges;
use model::dataset::{Block, BlockState, Output};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One committed output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputView {
    /// Our identity for it.
    pub id: i64,
    /// The dataset it belongs to.
    pub dataset: String,
    /// The block it is published in; absent for a run that does not publish.
    pub block: Option<i64>,
    /// Its name relative to the storage.
    pub name: String,
    /// The run.
    pub run: u32,
    /// The lumis in it.
    pub lumis: LumiRanges,
    /// The pipeline that made it.
    pub pipeline: String,
    /// The task that made it.
    pub task: String,
    /// What the task calls it.
    pub label: String,
    /// The job that made it.
    pub job: i64,
    /// The winning attempt.
    pub attempt: u32,
    /// Its size.
    pub bytes: u64,
    /// Events in it.
    pub events: u64,
    /// Its adler32, eight hex digits.
    pub adler32: String,
    /// When the earliest of the detector's files behind it was seen.
    pub seen_at: String,
    /// When it was recorded.
    pub committed_at: String,
    /// From the one to the other.
    pub seen_to_published_s: f64,
}

impl From<&Output> for OutputView {
    fn from(output: &Output) -> Self {
        Self {
            id: output.id.0,
            dataset: output.dataset.to_string(),
            block: output.block.map(|id| id.0),
            name: output.name.to_string(),
            run: output.run.0,
            lumis: crate::lumi_ranges(&output.lumis),
            pipeline: output.task.pipeline.to_string(),
            task: output.task.task.to_string(),
            label: output.label.to_string(),
            job: output.job.0,
            attempt: output.attempt.0,
            bytes: output.bytes.0,
            events: output.events.0,
            adler32: format!("{:08x}", output.adler32),
            seen_at: output.seen_at.to_string(),
            committed_at: output.committed_at.to_string(),
            seen_to_published_s: output.committed_at.since(output.seen_at).as_secs_f64(),
        }
    }
}

/// One block: what is published of one run in one dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockView {
    /// Our identity for it.
    pub id: i64,
    /// The dataset it belongs to.
    pub dataset: String,
    /// The run.
    pub run: u32,
    /// `open` or `closed`.
    pub state: String,
    /// When it was closed.
    pub closed_at: Option<String>,
    /// Outputs in it.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
    /// Their events together.
    pub events: u64,
}

impl From<&Block> for BlockView {
    fn from(block: &Block) -> Self {
        let (state, closed_at) = match block.state {
            BlockState::Open => ("open", None),
            BlockState::Closed { at } => ("closed", Some(at.to_string())),
        };
        Self {
            id: block.id.0,
            dataset: block.dataset.to_string(),
            run: block.run.0,
            state: state.to_owned(),
            closed_at,
            files: block.files,
            bytes: block.bytes.0,
            events: block.events.0,
        }
    }
}

/// One dataset: its blocks added up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetView {
    /// Its whole name; ends in `/SIM` for simulated data.
    pub dataset: String,
    /// Runs in it.
    pub runs: u64,
    /// Blocks in it.
    pub blocks: u64,
    /// Blocks that still take outputs.
    pub blocks_open: u64,
    /// Outputs in it.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
    /// Their events together.
    pub events: u64,
}

/// Adds blocks up to datasets, in the order of their names.
pub fn datasets_of<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Vec<DatasetView> {
    let mut sums: BTreeMap<&str, (DatasetView, BTreeSet<u32>)> = BTreeMap::new();
    for block in blocks {
        let name = block.dataset.as_str();
        let (sum, runs) = sums.entry(name).or_insert_with(|| {
            let nothing = DatasetView {
                dataset: name.to_owned(),
                runs: 0,
                blocks: 0,
                blocks_open: 0,
                files: 0,
                bytes: 0,
                events: 0,
            };
            (nothing, BTreeSet::new())
        });
        runs.insert(block.run.0);
        sum.blocks += 1;
        sum.blocks_open += u64::from(block.state == BlockState::Open);
        sum.files += block.files;
        sum.bytes += block.bytes.0;
        sum.events += block.events.0;
    }
    sums.into_values()
        .map(|(sum, runs)| DatasetView {
            runs: runs.len() as u64,
            ..sum
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::{BlockId, RunNumber};
    use model::time::Moment;
    use model::units::{Bytes, Events};

    #[test]
    fn blocks_add_up_by_the_name_of_their_dataset() {
        let block = |dataset: &str, run: u32, events: u64, state: BlockState| Block {
            id: BlockId(1),
            dataset: dataset.into(),
            run: RunNumber(run),
            files: 2,
            bytes: Bytes(10),
            events: Events(events),
            state,
        };
        let closed = BlockState::Closed { at: Moment(0) };
        let blocks = [
            block("/M/reco/RECO/SIM", 3, 7, closed),
            block("/M/reco/RECO", 1, 5, closed),
            block("/M/reco/RECO", 2, 6, BlockState::Open),
            block("/M/reco/RECO", 2, 1, closed),
        ];
        let rows: Vec<_> = datasets_of(&blocks)
            .into_iter()
            .map(|d| {
                (
                    d.dataset,
                    d.runs,
                    d.blocks,
                    d.blocks_open,
                    d.files,
                    d.bytes,
                    d.events,
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("/M/reco/RECO".to_owned(), 2, 3, 1, 6, 30, 12),
                ("/M/reco/RECO/SIM".to_owned(), 1, 1, 0, 2, 10, 7),
            ]
        );
    }
}
