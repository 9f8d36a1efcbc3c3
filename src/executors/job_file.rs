//! `job.json`: what a program is told of its attempt (contracts, section 6).
//!
//! In: an attempt, and where things lie here. Out: the JSON. The same attempt always gives the same
//! text, but for its own number; the seed depends on the work alone, so that a second attempt makes
//! the same output.

use model::conditions::{Since, TimeType};
use model::ids::{LumiNumber, Token};
use model::names::ProfileName;
use model::plugin::{Asked, Plugin};
use model::work::{AttemptConstant, AttemptSpec, Location};
use ports::failpoint::{Point, pass};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where inputs and conditions lie here.
pub(crate) struct Places {
    pub(crate) spool: BTreeMap<ProfileName, PathBuf>,
    /// Folders of copies of sources, in order.
    pub(crate) copies: Vec<PathBuf>,
    pub(crate) storage: PathBuf,
    pub(crate) conditions: PathBuf,
    /// Payloads that are on disk for certain.
    pub(crate) written: Mutex<HashSet<String>>,
}

#[derive(Serialize)]
struct JobFile<'a> {
    schema: u32,
    job: i64,
    attempt: u32,
    epoch: i64,
    task: &'a str,
    pipeline: &'a str,
    request: String,
    run: u32,
    lumis: &'a [(LumiNumber, LumiNumber)],
    inputs: Vec<Input<'a>>,
    conditions: Conditions<'a>,
    parameters: BTreeMap<&'a str, Value>,
    seed: u64,
    cores: u32,
    memory_bytes: u64,
    wall_s: f64,
    deadline: Option<String>,
    outputs: Vec<Output<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<&'a Path>,
}

#[derive(Serialize)]
struct Input<'a> {
    lfn: &'a str,
    path: PathBuf,
    bytes: u64,
    adler32: Option<String>,
    events: Option<u64>,
    lumis: &'a [(LumiNumber, LumiNumber)],
    first_event: Option<u64>,
    last_event: Option<u64>,
}

#[derive(Serialize)]
struct Conditions<'a> {
    global_tag: Option<&'a str>,
    snapshot: Option<String>,
    /// By what the task names: a tag, or a record of its global tag.
    tags: BTreeMap<String, Tag<'a>>,
}

#[derive(Serialize)]
struct Tag<'a> {
    /// Where a record of a global tag stands in front of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    /// What it counts by, where that is not the run.
    #[serde(skip_serializing_if = "TimeType::is_run")]
    time_type: TimeType,
    /// Of several intervals, this and the two behind it are the first one's.
    since: Since,
    hash: &'a str,
    path: PathBuf,
    /// All of them, in the order in which they begin, where there is more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    intervals: Vec<Interval<'a>>,
}

#[derive(Serialize)]
struct Interval<'a> {
    since: Since,
    hash: &'a str,
    path: PathBuf,
}

#[derive(Serialize)]
struct Output<'a> {
    label: &'a str,
    path: &'a str,
}

impl Places {
    /// The text of `job.json`; payloads of constants are on disk when it returns.
    ///
    /// The error is a sentence: the place cannot take this attempt.
    pub(crate) fn job_json(
        &self,
        spec: &AttemptSpec,
        cwd: Option<&Path>,
    ) -> Result<Vec<u8>, String> {
        let Token {
            epoch,
            job,
            attempt,
        } = spec.token;
        let plan = &spec.plan;
        let mut inputs = Vec::with_capacity(spec.inputs.len());
        for input in &spec.inputs {
            let (lfn, path) = self.locate(&input.location)?;
            inputs.push(Input {
                lfn,
                path,
                bytes: input.bytes.0,
                adler32: input.adler32.map(|sum| format!("{sum:08x}")),
                events: input.events.map(|events| events.0),
                lumis: &input.lumis,
                first_event: input.first_event,
                last_event: input.last_event,
            });
        }
        let conditions = self.conditions(spec)?;
        let file = JobFile {
            schema: 1,
            job: job.0,
            attempt: attempt.0,
            epoch: epoch.0,
            task: plan.task.task.as_str(),
            pipeline: plan.task.pipeline.as_str(),
            request: format!("run-{}", spec.run),
            run: spec.run.0,
            lumis: &spec.lumis,
            inputs,
            conditions,
            parameters: parameters(spec),
            seed: seed(spec),
            cores: spec.needs.cores,
            memory_bytes: spec.needs.memory.0,
            wall_s: spec.needs.wall.as_secs_f64(),
            deadline: spec.deadline.map(|deadline| deadline.to_string()),
            outputs: plan
                .outputs
                .iter()
                .map(|output| Output {
                    label: output.label.as_str(),
                    path: &output.path,
                })
                .collect(),
            cwd,
        };
        serde_json::to_vec(&file).map_err(|error| format!("job.json cannot be written: {error}"))
    }

    fn conditions<'a>(&self, spec: &'a AttemptSpec) -> Result<Conditions<'a>, String> {
        let mut tags = BTreeMap::new();
        for constant in &spec.constants {
            let tag = constant.tag.as_str();
            let record = constant.record.as_ref();
            let name = record.map_or_else(|| tag.to_owned(), ToString::to_string);
            let (since, hash) = (constant.since, constant.hash.as_str());
            let path = self.payload(constant)?;
            let row: &mut Tag<'_> = match tags.entry(name) {
                Entry::Occupied(row) => row.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(Tag {
                        tag: record.map(|_| tag),
                        time_type: constant.time_type,
                        since,
                        hash,
                        path,
                        intervals: Vec::new(),
                    });
                    continue;
                }
            };
            if row.intervals.is_empty() {
                row.intervals.push(Interval {
                    since: row.since,
                    hash: row.hash,
                    path: row.path.clone(),
                });
            }
            row.intervals.push(Interval { since, hash, path });
        }
        let global = spec.global_tag.as_ref();
        Ok(Conditions {
            global_tag: global.map(|global| global.name.as_str()),
            snapshot: global
                .and_then(|global| global.snapshot_at)
                .map(|at| at.to_string()),
            tags,
        })
    }

    fn locate<'a>(&self, location: &'a Location) -> Result<(&'a str, PathBuf), String> {
        match location {
            Location::Spool { profile, name } => match self.spool.get(profile) {
                Some(folder) => Ok((name.as_str(), folder.join(name.as_str()))),
                None => Err(format!(
                    "an input lies in the folder of profile {profile}, which this executor does \
                     not know; it was probably removed from the configuration: restart the agent"
                )),
            },
            Location::Storage { name } => Ok((name.as_str(), self.storage.join(name.as_str()))),
            Location::Copy {
                place,
                profile,
                name,
            } => match self.copies.get(place.number() as usize - 1) {
                Some(folder) => {
                    let path = folder.join(profile.as_str()).join(name.as_str());
                    Ok((name.as_str(), path))
                }
                None => Err(format!(
                    "the source of {name} was released, and copy folder {place} is no longer \
                     configured: name it again in [release] and restart the agent"
                )),
            },
        }
    }

    /// Puts a payload on disk once; its name is its content's hash.
    fn payload(&self, constant: &AttemptConstant) -> Result<PathBuf, String> {
        let hash = &constant.hash;
        if hash.is_empty() || !hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(format!(
                "the payload of {} has the hash {hash:?}, not hex",
                constant.tag
            ));
        }
        let path = self.conditions.join(format!("{hash}.json"));
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if !written.contains(hash) {
            write_once(&path, constant.text.as_bytes()).map_err(|error| {
                format!("writing the payload {} failed: {error}", path.display())
            })?;
            written.insert(hash.clone());
        }
        Ok(path)
    }
}

fn write_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let half = path.with_extension("half");
    fs::File::create(&half)?.write_all(bytes)?;
    pass(Point::PayloadWritten);
    fs::rename(half, path)?;
    pass(Point::PayloadRenamed);
    Ok(())
}

/// The task's parameters, what the data are, and its plugins.
fn parameters(spec: &AttemptSpec) -> BTreeMap<&str, Value> {
    let mut parameters: BTreeMap<&str, Value> = spec
        .plan
        .parameters
        .iter()
        .map(|(name, text)| (name.as_str(), meant(text)))
        .collect();
    parameters.insert("label", Value::from(spec.label.as_str()));
    parameters.insert("run_type", Value::from(spec.run_type.as_str()));
    if !spec.plan.plugins.is_empty() {
        let plugins = spec.plan.plugins.iter().map(plugin);
        parameters.insert("plugins", Value::Array(plugins.collect()));
    }
    parameters
}

/// A plugin as the program finds it among its parameters.
fn plugin(plugin: &Plugin) -> Value {
    let (asked, of) = match &plugin.asked {
        Asked::Tests(elements) => ("tests", json!(elements)),
        Asked::Measures(tags) => ("measures", json!(tags)),
    };
    let parameters = plugin.parameters.iter();
    let parameters = parameters.map(|(name, text)| (name.clone(), meant(text)));
    json!({
        "name": plugin.name,
        "program": plugin.program,
        asked: of,
        "within_s": plugin.within.as_secs_f64(),
        "parameters": parameters.collect::<Map<String, Value>>(),
    })
}

/// Whoever wrote `"12"` meant the number.
fn meant(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::from(text),
    }
}

/// From what the work is, not from when it was done: the same work gives the same random numbers in
/// every attempt and on every machine. 53 bits, so that it survives JavaScript and Python's JSON
/// alike.
fn seed(spec: &AttemptSpec) -> u64 {
    let mut hash = Sha256::new();
    hash.update(spec.plan.task.to_string());
    hash.update(spec.run.0.to_le_bytes());
    for (first, last) in &spec.lumis {
        hash.update(first.0.to_le_bytes());
        hash.update(last.0.to_le_bytes());
    }
    for input in &spec.inputs {
        // Outputs carry numbers of jobs in their names; what they hold is told by size and sum.
        if let Location::Spool { name, .. } | Location::Copy { name, .. } = &input.location {
            hash.update(name.as_str());
        }
        // Parts of one input are different work.
        if let (Some(first), Some(last)) = (input.first_event, input.last_event) {
            hash.update(first.to_le_bytes());
            hash.update(last.to_le_bytes());
        }
        hash.update(input.bytes.0.to_le_bytes());
        hash.update(input.adler32.unwrap_or(0).to_le_bytes());
    }
    let digest = hash.finalize();
    let head = digest.first_chunk::<8>().expect("a sha256 has 32 bytes");
    u64::from_le_bytes(*head) >> 11
}
