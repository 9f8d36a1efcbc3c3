//! The rows a restart needs: state rows of objects, nothing that can be derived (D4).

use crate::alarm::Alarm;
use crate::arrival::SetAside;
use crate::conditions::{ConditionsPayload, ConditionsTag, GateDecision, GlobalTag, Iov};
use crate::configuration::ConfigurationText;
use crate::dataset::{Block, Dataset, LumiContent, Output};
use crate::fact::Consumed;
use crate::file::File;
use crate::ids::RunNumber;
use crate::job::Job;
use crate::quality::RunQuality;
use crate::ruling::Ruling;
use crate::run::Run;
use crate::source::Source;
use crate::usage::TaskUsage;
use crate::witness::Witness;
use serde::{Deserialize, Serialize};

/// All rows of an agent that its engine works with. Each list is sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Configurations that runs were opened with, by hash.
    pub configurations: Vec<ConfigurationText>,
    /// Runs that are not wholly history, by number. Of one whose rows are on their way there, only
    /// this row counts.
    pub runs: Vec<Run>,
    /// Runs that are history, by number: of them, only decisions and verdicts are below.
    pub archived: Vec<RunNumber>,
    /// What was said of lumis and ends of runs, by id.
    pub witnesses: Vec<Witness>,
    /// Accepted files, by id.
    pub files: Vec<File>,
    /// Things set aside, by profile, name and refusal.
    pub set_aside: Vec<SetAside>,
    /// Jobs, by id.
    pub jobs: Vec<Job>,
    /// Consumed inputs, by task, input and where the part begins.
    pub consumed: Vec<Consumed>,
    /// Outputs, by id.
    pub outputs: Vec<Output>,
    /// Blocks, by id.
    pub blocks: Vec<Block>,
    /// Datasets, by name.
    pub datasets: Vec<Dataset>,
    /// What they hold of each run, by dataset and run.
    pub contents: Vec<LumiContent>,
    /// Decisions on constants, by tag and run: later runs are judged against them.
    pub decisions: Vec<GateDecision>,
    /// Tags that somebody made, by name.
    pub tags: Vec<ConditionsTag>,
    /// Global tags, by name.
    pub global_tags: Vec<GlobalTag>,
    /// Intervals of validity, by tag, since and sequence.
    pub iovs: Vec<Iov>,
    /// Payloads of those intervals, by hash.
    pub payloads: Vec<ConditionsPayload>,
    /// Verdicts, by run: the good-run list is made from them.
    pub quality: Vec<RunQuality>,
    /// Alarms that still stand, by key.
    pub alarms: Vec<Alarm>,
    /// Rulings of people, by task and run.
    pub rulings: Vec<Ruling>,
    /// Sources on their way to removal, by file.
    pub sources: Vec<Source>,
    /// What jobs of runs that are history have used, by task.
    pub usage: Vec<TaskUsage>,
}
