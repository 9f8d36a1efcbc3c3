//! Outputs, blocks and datasets as strangers see them.
//!
//! In: `model::dataset`. Out: [`OutputView`], [`BlockView`], [`DatasetView`], [`LumiContentView`].
//! Must never add up blocks of simulated and real data: their dataset names differ, and sums are
//! kept by name.

use crate::LumiRanges;
use model::dataset::{Block, BlockState, Dataset, LumiContent, Output, Totals};
use model::lumi;
use serde::{Deserialize, Serialize};

/// One committed output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputView {
    /// Our identity for it.
    pub id: i64,
    /// The dataset it belongs to.
    pub dataset: String,
    /// The block it is published in; absent for a run that does not publish, and when another
    /// stands in its place.
    pub block: Option<i64>,
    /// The output in whose place it stands: of the same input, made again.
    #[serde(default)]
    pub replaces: Option<i64>,
    /// The output that stands in its place.
    #[serde(default)]
    pub superseded_by: Option<i64>,
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
            replaces: output.replaces.map(|id| id.0),
            superseded_by: output.superseded_by.map(|id| id.0),
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

/// One block: outputs of one dataset and run.
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
    /// When its first output came.
    pub opened_at: String,
    /// For an open block: when it closes at the latest.
    pub closes_at: Option<String>,
    /// When it was closed.
    pub closed_at: Option<String>,
    /// Why it was closed: `complete`, `full` or `aged`.
    pub closing: Option<String>,
    /// Outputs in it.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
    /// Their events together.
    pub events: u64,
    /// Their lumis together.
    pub lumis: LumiRanges,
}

impl From<&Block> for BlockView {
    fn from(block: &Block) -> Self {
        let (state, closes_at, closed) = match block.state {
            BlockState::Open => ("open", Some(block.closes_at.to_string()), None),
            BlockState::Closed { at, closing } => ("closed", None, Some((at, closing))),
        };
        Self {
            id: block.id.0,
            dataset: block.dataset.to_string(),
            run: block.run.0,
            state: state.to_owned(),
            opened_at: block.opened_at.to_string(),
            closes_at,
            closed_at: closed.map(|(at, _)| at.to_string()),
            closing: closed.map(|(_, closing)| closing.as_str().to_owned()),
            files: block.files,
            bytes: block.bytes.0,
            events: block.events.0,
            lumis: crate::lumi_ranges(&block.lumis),
        }
    }
}

/// One dataset: its closed blocks as recorded, and what is in the open ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetView {
    /// Its whole name; ends in `/SIM` for simulated data.
    pub dataset: String,
    /// Its first part: which data.
    pub primary: String,
    /// Its second part: what was done to them.
    pub processed: String,
    /// Its third part: what is kept of them.
    pub tier: String,
    /// `real` or `simulated`.
    pub label: String,
    /// The pipeline that fills it.
    pub pipeline: String,
    /// The task that fills it.
    pub task: String,
    /// When its first block was opened.
    pub created_at: String,
    /// Runs in it.
    pub runs: u64,
    /// Lumis of runs in it, each counted once.
    pub lumis: u64,
    /// Lumis of runs of which a second copy came; none of those was published.
    pub duplicate_lumis: u64,
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

impl DatasetView {
    /// A dataset of which `closed` is in closed blocks. Open ones come with [`Self::add_open`].
    pub fn of(dataset: &Dataset, closed: &Totals) -> Self {
        Self {
            dataset: dataset.name.to_string(),
            primary: dataset.primary.clone(),
            processed: dataset.processed.clone(),
            tier: dataset.tier.clone(),
            label: dataset.label.to_string(),
            pipeline: dataset.task.pipeline.to_string(),
            task: dataset.task.task.to_string(),
            created_at: dataset.created_at.to_string(),
            runs: closed.runs,
            lumis: closed.lumis,
            duplicate_lumis: closed.duplicate_lumis,
            blocks: closed.blocks,
            blocks_open: 0,
            files: closed.files,
            bytes: closed.bytes.0,
            events: closed.events.0,
        }
    }

    /// Adds the open blocks of one run; `closed` is what closed blocks have of that run.
    pub fn add_open(&mut self, open: &[Block], closed: Option<&LumiContent>) {
        let nothing = Vec::new();
        let known = closed.map_or(&nothing, |content| &content.lumis);
        let here = lumi::union(open.iter().flat_map(|block| &block.lumis).copied());
        self.lumis += lumi::count(&lumi::difference(&here, known));
        self.runs += u64::from(!open.is_empty() && closed.is_none_or(|c| c.blocks == 0));
        for block in open {
            self.blocks += 1;
            self.blocks_open += 1;
            self.files += block.files;
            self.bytes += block.bytes.0;
            self.events += block.events.0;
        }
    }
}

/// Lumis that a dataset should have of a run and has not, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingLumisView {
    /// Which.
    pub lumis: LumiRanges,
    /// `failed`: its job failed for good; `cancelled`: its job was given up; `at-work`: its job is
    /// not done; `withheld`: done, and not published; `error-dataset`: too large, so set apart;
    /// `lost`: announced, and declared lost; `not-made`: no job of the task has them.
    pub reason: String,
    /// The job, where there is one.
    pub job: Option<i64>,
    /// The sentence for people.
    pub detail: String,
}

/// What a dataset holds of one run, beside what the run has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LumiContentView {
    /// The run.
    pub run: u32,
    /// The lumis that are published.
    pub lumis: LumiRanges,
    /// Their events.
    pub events: u64,
    /// Outputs.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
    /// Blocks, closed ones and open ones.
    pub blocks: u64,
    /// The run's lumis with files of the stream behind the dataset.
    pub expected: LumiRanges,
    /// What is expected and not published, with the reason.
    pub missing: Vec<MissingLumisView>,
    /// Lumis of which something is published and something is not, with the reason.
    #[serde(default)]
    pub partial: Vec<MissingLumisView>,
    /// Lumis of which a second copy came; none of those was published.
    pub duplicate_lumis: LumiRanges,
    /// Inputs behind more than one published output, counted again from the rows.
    pub repeated_inputs: u64,
}

/// The lumis of one block or one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LumisOfView {
    /// The run.
    pub run: u32,
    /// Its lumis.
    pub lumis: LumiRanges,
    /// Its events.
    pub events: u64,
    /// The block.
    pub block: Option<i64>,
    /// The output, when asked file by file.
    pub file: Option<i64>,
    /// Its name, when asked file by file.
    pub name: Option<String>,
}

impl From<&Block> for LumisOfView {
    fn from(block: &Block) -> Self {
        Self {
            run: block.run.0,
            lumis: crate::lumi_ranges(&block.lumis),
            events: block.events.0,
            block: Some(block.id.0),
            file: None,
            name: None,
        }
    }
}

impl From<&Output> for LumisOfView {
    fn from(output: &Output) -> Self {
        Self {
            run: output.run.0,
            lumis: crate::lumi_ranges(&output.lumis),
            events: output.events.0,
            block: output.block.map(|block| block.0),
            file: Some(output.id.0),
            name: Some(output.name.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::{BlockId, LumiNumber, RunNumber};
    use model::names::{DataLabel, TaskPath};
    use model::time::Moment;
    use model::units::{Bytes, Events};

    #[test]
    fn open_blocks_add_what_closed_ones_do_not_have() {
        let name = || model::names::DatasetName::of("Muons", "P-v1", "RECO", DataLabel::Simulated);
        let lumis = |first, last| vec![(LumiNumber(first), LumiNumber(last))];
        let block = |run, lumis| Block {
            id: BlockId(1),
            dataset: name(),
            run: RunNumber(run),
            task: None,
            files: 2,
            bytes: Bytes(10),
            events: Events(7),
            lumis,
            opened_at: Moment(0),
            closes_at: Moment(60_000_000_000),
            state: BlockState::Open,
        };
        let mut totals = Totals::default();
        let mut content = LumiContent::new(name(), RunNumber(1));
        content.add(&block(1, lumis(1, 3)), &mut totals);
        let dataset = Dataset {
            name: name(),
            primary: "Muons".to_owned(),
            processed: "P-v1".to_owned(),
            tier: "RECO".to_owned(),
            label: DataLabel::Simulated,
            stream: "Muons".into(),
            task: TaskPath::new("p", "reco"),
            parents: vec![],
            created_at: Moment(0),
            closed: totals,
        };
        let mut view = DatasetView::of(&dataset, &dataset.closed);
        view.add_open(&[block(1, lumis(3, 4))], Some(&content));
        view.add_open(&[block(2, lumis(1, 1))], None);
        assert_eq!((view.runs, view.lumis), (2, 5));
        assert_eq!((view.blocks, view.blocks_open), (3, 2));
        assert_eq!((view.files, view.bytes, view.events), (6, 30, 21));
        assert_eq!(view.label, "simulated");
        let shown = BlockView::from(&block(1, lumis(1, 2)));
        assert_eq!(
            (shown.state.as_str(), shown.closes_at.as_deref()),
            ("open", Some("1970-01-01T00:01:00.000000Z"))
        );
    }
}
