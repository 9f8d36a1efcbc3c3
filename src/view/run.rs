//! A run as strangers see it: short in lists, with its lumis, datasets and latencies when asked for
//! alone.
//!
//! In: `model::run`, `model::witness`, counted rows. Out: [`RunView`], [`RunDetailView`]. Must
//! never say that a run is complete when its state does not.

use crate::dataset::DatasetView;
use crate::latency::LatencyView;
use crate::units::RunUnitsView;
use crate::wait::WaitView;
use model::lumi::Expected;
use model::run::{Run, StartedBy};
use model::witness::{Says, Witness};
use serde::{Deserialize, Serialize};

/// One run, in lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// The detector's number.
    pub run: u32,
    /// `physics`, `cosmics`, `calibration` or `test`.
    pub run_type: String,
    /// `real` or `simulated`.
    pub label: String,
    /// `open`, `ending`, `closed` or `finished`.
    pub state: String,
    /// `first-file`, `record` or `command`.
    pub started_by: String,
    /// When it was first known.
    pub opened_at: String,
    /// When the last file of it was seen.
    pub last_file_seen_at: String,
    /// When its data were complete.
    pub closed_at: Option<String>,
    /// When the last task on it ended.
    pub finished_at: Option<String>,
    /// Its last lumi, once the end is announced.
    pub last_lumi: Option<u32>,
    /// The part at work: 1, and one more each time it was reopened.
    #[serde(default)]
    pub part: u32,
    /// Events over all streams, as the end record says.
    pub announced_events: Option<u64>,
    /// Pipelines that work on it.
    pub pipelines: Vec<String>,
    /// Hash of the definitions pinned when it opened.
    pub config_hash: String,
    /// How many rows of each kind it has.
    pub counts: RunCountsView,
}

/// How many rows of each kind a run has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCountsView {
    /// Accepted files, reports of empty lumis included.
    pub files: u64,
    /// Events in those files, as their sidecars say.
    pub events_in: u64,
    /// Jobs made.
    pub jobs: u64,
    /// Jobs done.
    pub jobs_done: u64,
    /// Jobs failed for good.
    pub jobs_failed: u64,
    /// Jobs that a person has given up.
    #[serde(default)]
    pub jobs_cancelled: u64,
}

/// One run, asked for alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunDetailView {
    /// What lists show of it.
    #[serde(flatten)]
    pub run: RunView,
    /// What was said of its lumis, and by whom.
    pub lumis: Vec<LumiView>,
    /// Who said when it ends.
    #[serde(default)]
    pub ends: Vec<EndView>,
    /// What keeps it from going on; empty when the engine cannot be asked.
    #[serde(default)]
    pub waits: Vec<WaitView>,
    /// What it has in each dataset.
    pub datasets: Vec<DatasetView>,
    /// Units inside its files, as programs have accounted for them: what is missing is said here.
    pub units: Vec<RunUnitsView>,
    /// From file seen to output published, for each pipeline, against its budget.
    pub latency: Vec<LatencyView>,
}

/// What one witness said of a lumi, or of a range of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LumiView {
    /// Its number; the first of a range.
    pub lumi: u32,
    /// The last of the range; the same number for one lumi.
    #[serde(default)]
    pub last_lumi: u32,
    /// The stream spoken of; absent for all of them.
    #[serde(default)]
    pub stream: Option<String>,
    /// What was said: `unknown`, `events`, `files`, `declared` complete as it is, `lost`, `empty`,
    /// `accepted` as it was, or `lost-file`.
    pub expected: String,
    /// Events that each stream must account for, if announced so.
    pub expected_events: Option<u64>,
    /// Files that each stream must bring, if announced so.
    pub expected_files: Option<u64>,
    /// The file that is lost.
    #[serde(default)]
    pub file: Option<String>,
    /// When it was said.
    pub ended_at: String,
    /// Through which channel: `record`, `message`, `program`, `operator` or `timeout`.
    #[serde(default)]
    pub source: String,
    /// Which data acquisition instance, and of how many: `1/2`; absent where there is one.
    #[serde(default)]
    pub instance: Option<String>,
    /// Who said it.
    #[serde(default)]
    pub by: String,
    /// Why, where a person declared it.
    #[serde(default)]
    pub reason: String,
    /// Whether it came after the run was closed, and does not count.
    #[serde(default)]
    pub late: bool,
}

/// What one witness said of a run's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndView {
    /// The last lumi.
    pub last_lumi: u32,
    /// Events read out.
    pub events: Option<u64>,
    /// When it was said.
    pub at: String,
    /// Through which channel.
    pub source: String,
    /// Which data acquisition instance, and of how many; absent where there is one.
    pub instance: Option<String>,
    /// Who said it.
    pub by: String,
    /// Why, where a person said it.
    #[serde(default)]
    pub reason: String,
    /// Whether it came after the run was closed, and does not count.
    pub late: bool,
}

impl RunView {
    /// From a run and its counted rows.
    pub fn of(run: &Run, counts: RunCountsView) -> Self {
        let (closed_at, finished_at) = (run.state.closed_at(), run.state.finished_at());
        Self {
            run: run.number.0,
            run_type: run.run_type.as_str().to_owned(),
            label: run.label.as_str().to_owned(),
            state: run.state.word().to_owned(),
            started_by: match run.started_by {
                StartedBy::FirstFile => "first-file",
                StartedBy::Record => "record",
                StartedBy::Command => "command",
            }
            .to_owned(),
            opened_at: run.opened_at.to_string(),
            last_file_seen_at: run.last_file_seen_at.to_string(),
            closed_at: closed_at.map(|at| at.to_string()),
            finished_at: finished_at.map(|at| at.to_string()),
            last_lumi: run.last_lumi,
            part: run.part,
            announced_events: run.announced_events,
            pipelines: run.pipelines.iter().map(ToString::to_string).collect(),
            config_hash: run.config_hash.clone(),
            counts,
        }
    }
}

impl LumiView {
    /// What a witness says of lumis; none when it speaks of the run's end.
    pub fn of(witness: &Witness) -> Option<Self> {
        let (first, last, stream, expected, name) = match &witness.says {
            Says::Lumis {
                first,
                last,
                stream,
                expected,
            } => (first.0, last.0, stream.as_ref(), Some(*expected), None),
            Says::LostFile {
                lumi, stream, name, ..
            } => (lumi.0, lumi.0, Some(stream), None, Some(name)),
            Says::End { .. } => return None,
        };
        let (word, events, files) = match expected {
            None => ("lost-file", None, None),
            Some(Expected::Unknown) => ("unknown", None, None),
            Some(Expected::Events(events)) => ("events", Some(events), None),
            Some(Expected::Files(files)) => ("files", None, Some(files)),
            Some(Expected::Declared) => ("declared", None, None),
            Some(Expected::Lost) => ("lost", None, None),
            Some(Expected::Empty) => ("empty", None, None),
            Some(Expected::Accepted { files, events }) => ("accepted", Some(events), Some(files)),
        };
        Some(Self {
            lumi: first,
            last_lumi: last,
            stream: stream.map(ToString::to_string),
            expected: word.to_owned(),
            expected_events: events,
            expected_files: files,
            file: name.map(ToString::to_string),
            ended_at: witness.at.to_string(),
            source: witness.source.as_str().to_owned(),
            instance: instance_of(witness),
            by: witness.by.clone(),
            reason: witness.reason.clone(),
            late: witness.late,
        })
    }
}

impl EndView {
    /// What a witness says of the run's end; none when it speaks of lumis.
    pub fn of(witness: &Witness) -> Option<Self> {
        let Says::End { last_lumi, events } = witness.says else {
            return None;
        };
        Some(Self {
            last_lumi,
            events,
            at: witness.at.to_string(),
            source: witness.source.as_str().to_owned(),
            instance: instance_of(witness),
            by: witness.by.clone(),
            reason: witness.reason.clone(),
            late: witness.late,
        })
    }
}

fn instance_of(witness: &Witness) -> Option<String> {
    let instance = witness.instance;
    (instance.of > 1).then(|| format!("{}/{}", instance.number, instance.of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::RunNumber;
    use model::names::DataLabel;
    use model::run::RunState;
    use model::run::RunType;
    use model::time::Moment;

    #[test]
    fn a_run_says_no_more_than_its_state() {
        let check = |state: RunState, closed: bool, finished: bool| {
            let run = Run {
                number: RunNumber(148_031),
                run_type: RunType::Physics,
                label: DataLabel::Real,
                started_by: StartedBy::Record,
                opened_at: Moment(0),
                pipelines: vec!["express".into()],
                config_hash: "0".repeat(16),
                last_lumi: None,
                announced_events: None,
                ended_at: None,
                announced: false,
                part: 1,
                resumed: 0,
                last_file_seen_at: Moment(0),
                sliced_from: None,
                quarantined: None,
                state,
            };
            let view = RunView::of(&run, RunCountsView::default());
            assert_eq!(view.state, state.word());
            assert_eq!(
                (view.closed_at.is_some(), view.finished_at.is_some()),
                (closed, finished)
            );
        };
        let at = Moment(1);
        check(RunState::Open, false, false);
        check(RunState::Ending, false, false);
        check(RunState::Closed { at }, true, false);
        check(RunState::Finished { closed_at: at, at }, true, true);
    }
}
