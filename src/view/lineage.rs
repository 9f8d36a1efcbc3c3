//! Where a file comes from, what was made of it, and when: as strangers see it.
//!
//! In: rows of files, outputs, jobs and datasets. Out: [`FileLineageView`], [`TraceView`],
//! [`DatasetLineageView`], [`VerificationView`]. Must never show a folder of the machine.

use crate::LumiRanges;
use model::dataset::{Output, Parent};
use model::file::File;
use model::job::{Job, Recipe};
use serde::{Deserialize, Serialize};

/// A constant that a job was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UsedConstantView {
    /// The tag.
    pub tag: String,
    /// What the tag counts by: `run`, `lumi` or `time`.
    #[serde(default = "crate::conditions::by_run")]
    pub time_type: String,
    /// Where it begins, in that count.
    pub since: u64,
    /// The payload's sha256 in hex.
    pub hash: String,
}

/// What jobs were made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeView {
    /// Program and arguments; of the program's path only the last part.
    pub program: String,
    /// Hash of the definitions in force for the run.
    pub config_hash: String,
    /// The global tag that led to the constants, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global_tag: Option<String>,
    /// Constants, by tag; of a tag that counts by lumi each interval that a lumi of a job is in.
    pub constants: Vec<UsedConstantView>,
}

impl From<&Recipe> for RecipeView {
    fn from(recipe: &Recipe) -> Self {
        let constants = recipe.constants.iter().map(|constant| UsedConstantView {
            tag: constant.tag.to_string(),
            time_type: constant.time_type.as_str().to_owned(),
            since: constant.since.0,
            hash: constant.hash.clone(),
        });
        Self {
            program: recipe.program.clone(),
            config_hash: recipe.config_hash.clone(),
            global_tag: recipe.global_tag.clone(),
            constants: constants.collect(),
        }
    }
}

/// The job that made an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakerView {
    /// The job.
    pub job: i64,
    /// Its winning attempt.
    pub attempt: u32,
    /// The pipeline.
    pub pipeline: String,
    /// The task.
    pub task: String,
    /// With what; absent for jobs of older versions.
    pub recipe: Option<RecipeView>,
    /// When its program started.
    pub started_at: Option<String>,
    /// When its program ended.
    pub ended_at: Option<String>,
}

impl From<&Job> for MakerView {
    fn from(job: &Job) -> Self {
        Self {
            job: job.id.0,
            attempt: job.state.attempt().0,
            pipeline: job.task.pipeline.to_string(),
            task: job.task.task.to_string(),
            recipe: job.recipe.as_ref().map(RecipeView::from),
            started_at: job.stamps.started.map(|at| at.to_string()),
            ended_at: job.stamps.reported.map(|at| at.to_string()),
        }
    }
}

/// A file of the detector or an output, somewhere in a lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelativeView {
    /// How many jobs away: 0 is the file that was asked for.
    pub depth: u32,
    /// Its identity.
    pub id: i64,
    /// `file` (of the detector) or `output`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The dataset of an output, the stream of a detector's file.
    pub of: String,
    /// The run.
    pub run: u32,
    /// Its lumis.
    pub lumis: LumiRanges,
    /// Its events, where somebody said so.
    pub events: Option<u64>,
    /// Whether it is published; a detector's file is not.
    pub published: bool,
    /// The output that stands in its place, where it was made again.
    #[serde(default)]
    pub superseded_by: Option<i64>,
    /// The job between it and its neighbour on the way to the file that was asked for.
    pub job: Option<i64>,
}

impl RelativeView {
    /// An output, so many jobs away.
    pub fn of_output(output: &Output, depth: u32, job: Option<i64>) -> Self {
        Self {
            depth,
            id: output.id.0,
            kind: "output".to_owned(),
            name: output.name.to_string(),
            of: output.dataset.to_string(),
            run: output.run.0,
            lumis: crate::lumi_ranges(&output.lumis),
            events: Some(output.events.0),
            published: output.block.is_some(),
            superseded_by: output.superseded_by.map(|id| id.0),
            job,
        }
    }

    /// A file of the detector, so many jobs away.
    pub fn of_file(file: &File, depth: u32, job: Option<i64>) -> Self {
        let arrival = &file.arrival;
        Self {
            depth,
            id: file.id.0,
            kind: "file".to_owned(),
            name: arrival.name.to_string(),
            of: arrival.stream.to_string(),
            run: arrival.run.0,
            lumis: vec![(arrival.lumi.0, arrival.lumi.0)],
            events: arrival.counts.map(|counts| counts.accepted),
            published: false,
            superseded_by: None,
            job,
        }
    }
}

/// A file with everything before and after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLineageView {
    /// The file itself.
    pub file: RelativeView,
    /// The job that made it; none for a detector's file.
    pub made_by: Option<MakerView>,
    /// What it was made from, nearest first, to the detector's files.
    pub parents: Vec<RelativeView>,
    /// What was made from it, nearest first.
    pub children: Vec<RelativeView>,
    /// Whether there is more than is shown.
    pub truncated: bool,
}

/// A moment in the life of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HopView {
    /// When.
    pub at: String,
    /// Since the first of them.
    pub after_s: f64,
    /// `written`, `seen`, `made`, `sent`, `started`, `reported`, `done`, `published`,
    /// `block-closed`; steps of its source, as `source unlinked`.
    pub hop: String,
    /// The task, where a job passed it.
    pub task: Option<String>,
    /// The job, where a job passed it.
    pub job: Option<i64>,
}

/// When a file, the jobs that worked on it, and what they made passed each hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceView {
    /// The file.
    pub file: RelativeView,
    /// Its hops, in order.
    pub hops: Vec<HopView>,
    /// Whether there is more than is shown.
    pub truncated: bool,
}

/// A dataset or stream, somewhere in a lineage of datasets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRelativeView {
    /// How many tasks away.
    pub depth: u32,
    /// `stream` or `dataset`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The task that fills it: `pipeline.task`; none for a stream.
    pub task: Option<String>,
}

impl DatasetRelativeView {
    /// A parent, so many tasks away.
    pub fn of_parent(parent: &Parent, depth: u32, task: Option<String>) -> Self {
        let (kind, name) = match parent {
            Parent::Stream(stream) => ("stream", stream.to_string()),
            Parent::Dataset(dataset) => ("dataset", dataset.to_string()),
        };
        Self {
            depth,
            kind: kind.to_owned(),
            name,
            task,
        }
    }
}

/// With what the jobs of a run filled a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeWithView {
    /// The run.
    pub run: u32,
    /// Program, configuration, constants.
    #[serde(flatten)]
    pub recipe: RecipeView,
    /// How many outputs of the dataset were made with it.
    pub files: u64,
}

/// A dataset with everything before and after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetLineageView {
    /// The dataset.
    pub dataset: String,
    /// The task that fills it: `pipeline.task`.
    pub task: String,
    /// What it is made from, nearest first, to the stream.
    pub parents: Vec<DatasetRelativeView>,
    /// What is made from it, nearest first.
    pub children: Vec<DatasetRelativeView>,
    /// With what the jobs of the run that was asked for made it.
    pub made_with: Vec<MadeWithView>,
    /// Whether there is more than is shown.
    pub truncated: bool,
}

/// A file read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationView {
    /// Its identity.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// `intact`, `size-differs`, `checksum-differs`, `unreadable`, or `only-size` when nobody
    /// claimed a checksum.
    pub result: String,
    /// Its size as recorded.
    pub bytes: u64,
    /// Its size as read.
    pub read_bytes: Option<u64>,
    /// Its adler32 as recorded, eight hex digits.
    pub adler32: Option<String>,
    /// Its adler32 as read, eight hex digits.
    pub read_adler32: Option<String>,
    /// The sentence for people.
    pub detail: String,
}
