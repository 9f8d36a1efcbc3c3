//! A wait: something that does not go on, why, until when at most, and what a person can do about
//! it. Whoever asks why an object stands still is answered with a list of these.
//!
//! Every rule that can hold work back says so with one of the kinds below; a rule without a bound
//! says that too.

use crate::ids::{FileId, JobId, LumiNumber, RunNumber};
use crate::names::{StreamName, TaskName, TaskPath};
use crate::time::Moment;
use std::fmt;

/// What somebody may ask about: `run/402144`, `stream/402144/Muons`, `lumi/402144/Muons/137`,
/// `task/402144/express.reco`, `gate/prompt.reco`, `job/17`, `file/3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A run.
    Run(RunNumber),
    /// One stream of a run.
    Stream(RunNumber, StreamName),
    /// One lumi of one stream of a run.
    Lumi(RunNumber, StreamName, LumiNumber),
    /// A task of a run.
    Task(RunNumber, TaskPath),
    /// A task, whatever the run: what people hold and accept.
    Gate(TaskPath),
    /// A job.
    Job(JobId),
    /// A file of the detector.
    File(FileId),
}

impl Object {
    /// How objects are written, for messages about text that names none.
    pub const FORMS: &str = "run/402144, stream/402144/Muons, lumi/402144/Muons/137, \
                             task/402144/express.reco, gate/prompt.reco, job/17 or file/3";

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        let in_run = || {
            let (run, rest) = rest.split_once('/')?;
            Some((RunNumber(run.parse().ok()?), rest))
        };
        Some(match kind {
            "run" => Self::Run(RunNumber(rest.parse().ok()?)),
            "stream" => in_run().map(|(run, name)| Self::Stream(run, StreamName::new(name)))?,
            "lumi" => {
                let (run, rest) = in_run()?;
                let (stream, lumi) = rest.rsplit_once('/')?;
                Self::Lumi(run, StreamName::new(stream), LumiNumber(lumi.parse().ok()?))
            }
            "task" => {
                let (run, path) = in_run()?;
                Self::Task(run, task_path(path)?)
            }
            "gate" => Self::Gate(task_path(rest)?),
            "job" => Self::Job(JobId(rest.parse().ok()?)),
            "file" => Self::File(FileId(rest.parse().ok()?)),
            _ => return None,
        })
    }
}

fn task_path(text: &str) -> Option<TaskPath> {
    let (pipeline, task) = text.split_once('.')?;
    let (pipeline, task) = (pipeline.into(), TaskName::new(task));
    Some(TaskPath { pipeline, task })
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(f, "run/{run}"),
            Self::Stream(run, stream) => write!(f, "stream/{run}/{stream}"),
            Self::Lumi(run, stream, lumi) => write!(f, "lumi/{run}/{stream}/{lumi}"),
            Self::Task(run, task) => write!(f, "task/{run}/{task}"),
            Self::Gate(task) => write!(f, "gate/{task}"),
            Self::Job(job) => write!(f, "job/{job}"),
            Self::File(file) => write!(f, "file/{file}"),
        }
    }
}

/// The rule that holds something back: a closed list, so that scripts can tell waits apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitKind {
    /// A run whose end was not announced.
    EndOfRun,
    /// A run whose witnesses contradict each other about its end.
    EndDisputed,
    /// A run of which no file of any stream has come.
    FirstFile,
    /// A lumi whose end nobody has announced.
    LumiRecord,
    /// A lumi of which some data acquisition instances have not reported.
    DaqInstance,
    /// A lumi with less here than was announced.
    LumiFiles,
    /// A lumi with more here than was announced, or with contradicting announcements.
    LumiDisputed,
    /// Work that stands behind an incomplete lumi.
    LumiHole,
    /// A merge whose first lumi is younger than its latency.
    FirstLumi,
    /// A merge behind a lumi that was split and is not done.
    SplitLumi,
    /// Input that other tasks have not worked on yet.
    Siblings,
    /// Input that a plugin has not split yet.
    Splitter,
    /// Files that came after their run was closed.
    LateFiles,
    /// Records that came after their run was closed and say something else.
    LateRecord,
    /// A task whose input may still grow.
    Input,
    /// A person holds the work.
    Held,
    /// Something of the run is not as it must be.
    Quarantine,
    /// Nobody has announced the run.
    RunKnown,
    /// Work that begins when the run's data are complete.
    RunClosed,
    /// The delay after the run's end.
    Delay,
    /// A person has to accept the run.
    Approval,
    /// Quality tests have not spoken, or found something wrong.
    Verdict,
    /// Constants are decided in the order of runs.
    EarlierRun,
    /// A constant is not decided yet.
    Conditions,
    /// A global tag, or what it leads to, is not here.
    GlobalTag,
    /// A job's pause after a failure.
    Pause,
    /// A job that is ready and has no place yet.
    Place,
    /// A job whose program is under way.
    Program,
    /// A job whose outputs are being put in place.
    Outputs,
    /// A job that failed for good.
    Failed,
    /// A job that waits for a person.
    Parked,
    /// A source that has not two copies that were read back.
    SourceCopies,
    /// A source whose copies soak.
    SourceSoak,
    /// A source whose run may still need it.
    SourceRun,
    /// A source that is not what it should be, or not the only one.
    SourceHeld,
    /// A source that is gone and has no good copy.
    SourceLost,
    /// A source that is released and still there.
    SourceRemoval,
}

impl WaitKind {
    /// As scripts and screens name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EndOfRun => "end-of-run",
            Self::EndDisputed => "end-disputed",
            Self::FirstFile => "first-file",
            Self::LumiRecord => "lumi-record",
            Self::DaqInstance => "daq-instance",
            Self::LumiFiles => "lumi-files",
            Self::LumiDisputed => "lumi-disputed",
            Self::LumiHole => "lumi-hole",
            Self::FirstLumi => "first-lumi",
            Self::SplitLumi => "split-lumi",
            Self::Siblings => "siblings",
            Self::Splitter => "splitter",
            Self::LateFiles => "late-files",
            Self::LateRecord => "late-record",
            Self::Input => "input",
            Self::Held => "held",
            Self::Quarantine => "quarantine",
            Self::RunKnown => "run-known",
            Self::RunClosed => "run-closed",
            Self::Delay => "delay",
            Self::Approval => "approval",
            Self::Verdict => "verdict",
            Self::EarlierRun => "earlier-run",
            Self::Conditions => "conditions",
            Self::GlobalTag => "global-tag",
            Self::Pause => "pause",
            Self::Place => "place",
            Self::Program => "program",
            Self::Outputs => "outputs",
            Self::Failed => "failed",
            Self::Parked => "parked",
            Self::SourceCopies => "source-copies",
            Self::SourceSoak => "source-soak",
            Self::SourceRun => "source-run",
            Self::SourceHeld => "source-held",
            Self::SourceLost => "source-lost",
            Self::SourceRemoval => "source-removal",
        }
    }
}

/// Something that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What waits.
    pub object: Object,
    /// The run it belongs to.
    pub run: RunNumber,
    /// The rule that holds it back.
    pub kind: WaitKind,
    /// For what it waits, as a sentence without its object.
    pub reason: String,
    /// Since when, where that is known.
    pub since: Option<Moment>,
    /// When the wait ends by itself; none when it has no bound.
    pub until: Option<Moment>,
    /// What ends it: the verb to use, or what to look at.
    pub remedy: String,
}

/// The answer to why an object stands as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// What was asked about.
    pub object: Object,
    /// How it stands, in a few words.
    pub state: String,
    /// What holds it back; empty when nothing does.
    pub waits: Vec<Wait>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_as_they_are_written() {
        for text in [
            "run/402144",
            "stream/402144/Muons",
            "lumi/402144/Muons/137",
            "task/402144/express.reco",
            "gate/prompt.reco",
            "job/17",
            "file/3",
        ] {
            let read = Object::parse(text).map(|object| object.to_string());
            assert_eq!(read.as_deref(), Some(text));
            assert!(Object::FORMS.contains(text));
        }
        for text in [
            "",
            "run",
            "run/",
            "run/x",
            "lumi/1/2",
            "task/1/reco",
            "site/1",
        ] {
            assert_eq!(Object::parse(text), None, "{text}");
        }
    }
}
