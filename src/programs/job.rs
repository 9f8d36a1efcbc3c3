//! What a job is told and what it answers: `job.json` and `report.json`.
//!
//! In: the job file written by the executor. Out: typed inputs, conditions and parameters, and the
//! shape of the report with true counts, sizes and checksums. Unknown fields of a job are ignored,
//! so that the contract can grow. Nothing is written here.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::format::{FormatError, Label, checksum};

/// The part of `job.json` that the reference programs use.
#[derive(Clone, Debug, Deserialize)]
pub struct JobFile {
    /// Job identity, given back in the report as it came.
    pub job: Value,
    /// Attempt, given back in the report as it came.
    pub attempt: Value,
    /// Run the job belongs to, where there is one.
    #[serde(default)]
    pub run: Option<u32>,
    /// Input files in order.
    #[serde(default)]
    pub inputs: Vec<JobInput>,
    /// Conditions resolved for this job.
    #[serde(default)]
    pub conditions: Option<JobConditions>,
    /// The lumis of its run, as ranges with both ends.
    #[serde(default)]
    pub lumis: Vec<(u32, u32)>,
    /// Parameters of the task.
    #[serde(default)]
    pub parameters: Option<serde_json::Map<String, Value>>,
    /// Outputs asked for.
    #[serde(default)]
    pub outputs: Vec<JobOutput>,
}

/// What a job's data come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    /// Dimuons of a collider experiment.
    Muons,
    /// Tracks of the drift chamber.
    Chamber,
}

/// An input file.
#[derive(Clone, Debug, Deserialize)]
pub struct JobInput {
    /// Where it can be read.
    pub path: PathBuf,
    /// Its size in bytes, where known.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Its adler32 in eight hex digits, where known.
    #[serde(default)]
    pub adler32: Option<String>,
    /// Its events, where known.
    #[serde(default)]
    pub events: Option<u64>,
}

/// Conditions by tag, or by record of a global tag.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct JobConditions {
    /// The global tag that led to them.
    #[serde(default)]
    pub global_tag: Option<String>,
    /// Tags or records that have a payload for this job; an absent tag or `null` has none.
    #[serde(default)]
    pub tags: BTreeMap<String, Option<TagPayload>>,
}

/// The payload of a tag.
#[derive(Clone, Debug, Deserialize)]
pub struct TagPayload {
    /// Where its interval of validity begins: a run, of most tags.
    #[serde(default)]
    pub since: Value,
    /// What the tag counts by, where not by run.
    #[serde(default)]
    pub time_type: Option<String>,
    /// All intervals that lumis of the job are in, where there are several.
    #[serde(default)]
    pub intervals: Vec<Value>,
    /// Content hash.
    pub hash: String,
    /// Where the payload's JSON can be read.
    pub path: PathBuf,
}

/// An output asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct JobOutput {
    /// Label of the output, e.g. `RECO`.
    pub label: String,
    /// Path, relative to the attempt's folder.
    pub path: PathBuf,
}

/// What a program has made, before the exit is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Made {
    /// Outputs written.
    pub outputs: Vec<OutputReport>,
    /// Events read from the inputs.
    pub events_read: u64,
    /// Events written to the main output.
    pub events_written: u64,
    /// Figures of the program; see each program's head.
    pub metrics: Value,
}

/// One output written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputReport {
    /// Label as asked for.
    pub label: String,
    /// Path as asked for.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// Checksum in eight hex digits.
    pub adler32: String,
    /// Events in it.
    pub events: u64,
    /// Closed ranges of lumis in it.
    pub lumis: Vec<[u32; 2]>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// Exit code of the process.
    pub code: i32,
    /// Class by which a retry is decided.
    pub class: ExitClass,
    /// What happened, in words.
    pub message: String,
}

/// Classes of exits these programs give. Memory and time are seen by the executor, not by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitClass {
    /// Done.
    Ok,
    /// May pass when tried again.
    Transient,
    /// The inputs are at fault; the same inputs will fail again.
    Input,
    /// The program or its definition is at fault.
    Program,
    /// The machine is at fault: disk, rights.
    Site,
}

impl ExitClass {
    /// Exit code of the process, after BSD `sysexits.h`.
    pub fn code(self) -> i32 {
        match self {
            Self::Ok => 0,
            Self::Input => 65,
            Self::Program => 70,
            Self::Site => 74,
            Self::Transient => 75,
        }
    }
}

/// `report.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version, now 1.
    pub schema: u32,
    /// The job, as it came.
    pub job: Value,
    /// The attempt, as it came.
    pub attempt: Value,
    /// What was made; empty when the job failed.
    #[serde(flatten)]
    pub made: Made,
    /// How it ended.
    pub exit: Exit,
}

/// Why a job failed. Each has its class.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// An input is absent.
    #[error("input {} does not exist; publish it again or leave it out", path.display())]
    Absent {
        /// The input.
        path: PathBuf,
    },
    /// An input is not what the job says it is.
    #[error("input {} is {what} {found}, the job says {expected}; fetch it again", path.display())]
    Differs {
        /// The input.
        path: PathBuf,
        /// `of size`, `of adler32`, `of events`.
        what: &'static str,
        /// As found.
        found: String,
        /// As told.
        expected: String,
    },
    /// An input's container is damaged.
    #[error("input {}: {error}", path.display())]
    Container {
        /// The input.
        path: PathBuf,
        /// What is wrong with it.
        error: FormatError,
    },
    /// An input's content cannot be used.
    #[error("input {}: {reason}", path.display())]
    Content {
        /// The input.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Real and simulated, or two runs, where only one may be.
    #[error("input {} is {found}, this job works on {expected}; never mix them in one job",
            path.display())]
    Mixed {
        /// The input that does not fit.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What the job or its first input is.
        expected: String,
    },
    /// A payload of conditions cannot be used.
    #[error("payload of tag {tag} in {}: {reason}; check the tag's content", path.display())]
    Payload {
        /// The tag.
        tag: String,
        /// The payload's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The job asks for something this program does not offer.
    #[error("{what}; correct the pipeline definition")]
    Definition {
        /// What is asked and what is offered.
        what: String,
    },
    /// Reading or writing failed.
    #[error("{what} {} failed: {source}; check the machine's disk and rights", path.display())]
    Machine {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl JobError {
    /// The class of this failure.
    pub fn class(&self) -> ExitClass {
        match self {
            Self::Absent { .. }
            | Self::Differs { .. }
            | Self::Container { .. }
            | Self::Content { .. }
            | Self::Mixed { .. } => ExitClass::Input,
            Self::Payload { .. } | Self::Definition { .. } => ExitClass::Program,
            Self::Machine { .. } => ExitClass::Site,
        }
    }
}

impl JobInput {
    /// The bytes of the file, checked against size and checksum where the job states them.
    pub fn read(&self) -> Result<Vec<u8>, JobError> {
        let path = &self.path;
        let bytes = fs::read(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => JobError::Absent { path: path.clone() },
            _ => JobError::Machine {
                what: "reading",
                path: path.clone(),
                source,
            },
        })?;
        if let Some(expected) = self.bytes {
            self.compare("of size", bytes.len() as u64, expected)?;
        }
        if let Some(expected) = self.adler32.as_deref().filter(|text| !text.is_empty()) {
            self.compare(
                "of adler32",
                format!("{:08x}", checksum(&bytes)),
                expected.to_lowercase(),
            )?;
        }
        Ok(bytes)
    }

    /// Checks the number of events found against the job's.
    pub fn check_events(&self, found: u64) -> Result<(), JobError> {
        self.events.map_or(Ok(()), |expected| {
            self.compare("of events", found, expected)
        })
    }

    /// An error about the content of this input.
    pub fn refuse(&self, reason: String) -> JobError {
        JobError::Content {
            path: self.path.clone(),
            reason,
        }
    }

    fn compare<T: PartialEq + ToString>(
        &self,
        what: &'static str,
        found: T,
        expected: T,
    ) -> Result<(), JobError> {
        if found == expected {
            return Ok(());
        }
        let (found, expected) = (found.to_string(), expected.to_string());
        Err(JobError::Differs {
            path: self.path.clone(),
            what,
            found,
            expected,
        })
    }
}

impl JobFile {
    /// The label the job's parameters demand, if they do.
    pub fn label(&self) -> Result<Option<Label>, JobError> {
        let Some(value) = self.parameter("label") else {
            return Ok(None);
        };
        match value.as_str().and_then(Label::from_word) {
            Some(label) => Ok(Some(label)),
            None => Err(JobError::Definition {
                what: format!("parameter label is {value}, it must be \"real\" or \"simulated\""),
            }),
        }
    }

    /// The detector whose data the job is about: parameter `detector`, muons without it.
    pub fn detector(&self) -> Result<Detector, JobError> {
        let Some(value) = self.parameter("detector") else {
            return Ok(Detector::Muons);
        };
        match value.as_str() {
            Some("muons") => Ok(Detector::Muons),
            Some("chamber") => Ok(Detector::Chamber),
            _ => Err(JobError::Definition {
                what: format!("parameter detector is {value}, it must be \"muons\" or \"chamber\""),
            }),
        }
    }

    /// A parameter by name; `null` counts as absent.
    pub fn parameter(&self, name: &str) -> Option<&Value> {
        self.parameters
            .as_ref()?
            .get(name)
            .filter(|value| !value.is_null())
    }

    /// A number among the parameters.
    pub fn number(&self, name: &str) -> Result<Option<f64>, JobError> {
        let Some(value) = self.parameter(name) else {
            return Ok(None);
        };
        value
            .as_f64()
            .map(Some)
            .ok_or_else(|| JobError::Definition {
                what: format!("parameter {name} is {value}, it must be a number"),
            })
    }

    /// The run, for programs that work on one.
    pub fn run_needed(&self) -> Result<u32, JobError> {
        self.run.ok_or_else(|| JobError::Definition {
            what: "the job names no run, this program works on one run".into(),
        })
    }

    /// Whether a lumi of the job lies before an interval by lumi.
    fn begins_before(&self, since: &Value) -> bool {
        let first = self.lumis.iter().map(|(first, _)| *first).min();
        let place = self.run.zip(first);
        let place = place.map(|(run, lumi)| (u64::from(run) << 32) | u64::from(lumi));
        place
            .zip(since.as_u64())
            .is_some_and(|(place, since)| place < since)
    }

    /// The payload of a tag, where there is one.
    pub fn payload(&self, tag: &str) -> Result<Option<(TagPayload, Value)>, JobError> {
        let Some(Some(entry)) = self.conditions.as_ref().and_then(|all| all.tags.get(tag)) else {
            return Ok(None);
        };
        let refuse = |reason: String| JobError::Payload {
            tag: tag.to_owned(),
            path: entry.path.clone(),
            reason,
        };
        if entry.intervals.len() > 1 {
            return Err(JobError::Definition {
                what: format!(
                    "{tag} has {} intervals for lumis of this job, and this program takes one for \
                     all of them: let its task read a tag that counts by run, or cut jobs of \
                     single lumis",
                    entry.intervals.len()
                ),
            });
        }
        if entry.time_type.as_deref() == Some("Lumi") && self.begins_before(&entry.since) {
            return Err(JobError::Definition {
                what: format!(
                    "nothing of {tag} is in force for the first lumis of this job, and this program \
                     takes one payload for all of them: put one that begins with the run"
                ),
            });
        }
        let text = fs::read(&entry.path).map_err(|error| refuse(error.to_string()))?;
        let value = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        Ok(Some((entry.clone(), value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_takes_one_payload_for_all_its_lumis_or_none() {
        let text = r#"{"job": 1, "attempt": 1, "conditions": {"tags": {"scale": {
            "since": 30064771073, "time_type": "Lumi", "hash": "00", "path": "/none", "intervals": [
                {"since": 30064771073, "hash": "00", "path": "/none"},
                {"since": 30064771077, "hash": "01", "path": "/none"}]}}}}"#;
        let job: JobFile = serde_json::from_str(text).expect("it is a job");
        let error = job.payload("scale").expect_err("it has two");
        let what = error.to_string();
        assert!(what.contains("scale has 2 intervals"), "{what}");
        assert_eq!(error.class(), ExitClass::Program);
        assert!(job.payload("beamspot").is_ok_and(|found| found.is_none()));
    }

    #[test]
    fn a_payload_that_begins_inside_the_job_is_not_taken_for_its_first_lumis() {
        let text = r#"{"job": 1, "attempt": 1, "run": 7, "lumis": [[2, 4]], "conditions": {"tags": {
            "scale": {"since": 30064771075, "time_type": "Lumi", "hash": "00", "path": "/none"}}}}"#;
        let job: JobFile = serde_json::from_str(text).expect("it is a job");
        let what = job
            .payload("scale")
            .expect_err("lumi 2 has none")
            .to_string();
        assert!(what.contains("for the first lumis of this job"), "{what}");
        let later = text.replace("[[2, 4]]", "[[3, 4]]");
        let job: JobFile = serde_json::from_str(&later).expect("it is a job");
        let what = job
            .payload("scale")
            .expect_err("there is no file")
            .to_string();
        assert!(what.contains("/none"), "{what}");
    }
}
