//! The modelled programs: what an attempt reports, as a pure function of what it was given to read.
//!
//! In comes an attempt, out comes its report. Constants are whole numbers made from the seed and
//! the runs read, so that whoever reads the same data proposes the same constants, however often
//! and whenever.

use crate::random::{mix, mix_text};
use model::account::UnitAccount;
use model::conditions::{CandidateConstant, MeasuredQuantity};
use model::ids::RunNumber;
use model::job::ExitClass;
use model::names::TagName;
use model::quality::TestAnswer;
use model::time::Moment;
use model::units::{Bytes, Events};
use model::work::{AttemptInput, AttemptReport, AttemptSpec, Location, ReportedOutput};
use std::collections::BTreeSet;

/// What a program says that did all it should.
pub(crate) fn report(
    data_seed: u64,
    spec: &AttemptSpec,
    started_at: Moment,
    ended_at: Moment,
) -> AttemptReport {
    let events = Events(
        spec.inputs
            .iter()
            .filter_map(|i| i.events)
            .map(|e| e.0)
            .sum(),
    );
    let outputs = spec.plan.outputs.iter().map(|wanted| ReportedOutput {
        label: wanted.label.clone(),
        path: wanted.path.clone(),
        bytes: Some(size_of(spec, wanted.label.as_str())),
        adler32: Some(adler_of(spec, wanted.label.as_str())),
        events,
        lumis: spec.lumis.clone(),
    });
    AttemptReport {
        class: ExitClass::Ok,
        code: None,
        message: String::new(),
        outputs: outputs.collect(),
        events_read: events,
        events_written: events,
        candidates: candidates(data_seed, spec),
        tests: tests(data_seed, spec),
        units: units(data_seed, spec),
        started_at,
        ended_at,
    }
}

/// Some programs account for the units inside their input; some of them find holes.
fn units(data_seed: u64, spec: &AttemptSpec) -> Vec<UnitAccount> {
    let draw = mix(data_seed ^ mix(u64::from(spec.run.0)) ^ spec.inputs.len() as u64);
    if !draw.is_multiple_of(4) {
        return Vec::new();
    }
    let absent = draw / 4 % 3;
    vec![UnitAccount {
        units: "time slices".to_owned(),
        expected: 100,
        present: 100 - absent,
        absent,
        partial: 0,
        repeated: 0,
        out_of_order: 0,
        absent_ranges: Vec::new(),
        partial_ranges: Vec::new(),
        note: String::new(),
    }]
}

fn content(spec: &AttemptSpec, label: &str) -> u64 {
    let token = spec.token;
    mix(mix_text(label) ^ mix(token.job.0 as u64) ^ u64::from(token.attempt.0))
}

/// The size of an output.
pub(crate) fn size_of(spec: &AttemptSpec, label: &str) -> Bytes {
    Bytes(content(spec, label) % 1_000_000)
}

/// The checksum of an output.
pub(crate) fn adler_of(spec: &AttemptSpec, label: &str) -> u32 {
    (content(spec, label) >> 32) as u32
}

/// The run that an input is of: a folder of each output's name.
fn run_of(spec: &AttemptSpec, location: &Location) -> Option<RunNumber> {
    match location {
        Location::Spool { .. } | Location::Copy { .. } => Some(spec.run),
        Location::Storage { name } => {
            let mut parts = name.as_str().rsplit('/').skip(1);
            parts.next().and_then(|run| run.parse().ok()).map(RunNumber)
        }
    }
}

/// Runs whose data an attempt reads.
fn runs_read(spec: &AttemptSpec) -> BTreeSet<RunNumber> {
    spec.inputs
        .iter()
        .filter_map(|input| run_of(spec, &input.location))
        .collect()
}

/// Constants that a harvest proposes: a level that steps now and then, and measurements around it.
fn candidates(data_seed: u64, spec: &AttemptSpec) -> Vec<CandidateConstant> {
    if spec.plan.task.pipeline.as_str() != "calibration" {
        return Vec::new();
    }
    let own = |input: &&AttemptInput| run_of(spec, &input.location) == Some(spec.run);
    let mut events = spec
        .inputs
        .iter()
        .filter(own)
        .filter_map(|input| input.events);
    if events.all(|events| events.0 == 0) {
        // Whether a file without events comes before its run is closed changes no constant.
        return Vec::new();
    }
    let runs = runs_read(spec);
    let of = |tag: &str| candidate(data_seed, tag, &runs, spec.run);
    ["beamspot", "scale"].into_iter().filter_map(of).collect()
}

fn candidate(
    data_seed: u64,
    tag: &str,
    runs: &BTreeSet<RunNumber>,
    run: RunNumber,
) -> Option<CandidateConstant> {
    let chance =
        |run: RunNumber, what: u64| mix(data_seed ^ mix_text(tag) ^ u64::from(run.0) << 8 ^ what);
    if chance(run, 1).is_multiple_of(12) {
        return None;
    }
    let n: u64 = runs.iter().map(|run| chance(*run, 2) % 500).sum();
    let not_applicable = chance(run, 3)
        .is_multiple_of(15)
        .then(|| "no beam".to_owned());
    let level = (chance(RunNumber(run.0 / 6), 4) % 3) as i64 * 4_000_000;
    let noise: i64 = runs
        .iter()
        .map(|run| (chance(*run, 5) % 900_000) as i64)
        .sum();
    let error_nano = 200_000 + (chance(run, 6) % 20_000_000) as i64 / (1 + n as i64 / 20);
    let value_nano = level + noise / runs.len().max(1) as i64;
    let quantities = match chance(run, 7) % 20 {
        0 => Vec::new(),
        _ => vec![MeasuredQuantity {
            name: format!("{tag}_cm"),
            value_nano,
            error_nano,
            moved_nano: None,
        }],
    };
    let payload = format!("{tag} {value_nano} {error_nano} {n}");
    Some(CandidateConstant {
        tag: TagName::new(tag),
        n,
        quantities,
        not_applicable,
        hash: format!("{:064x}", mix_text(&payload)),
        payload,
    })
}

fn tests(data_seed: u64, spec: &AttemptSpec) -> Vec<TestAnswer> {
    if spec.plan.task.pipeline.as_str() != "dqm" {
        return Vec::new();
    }
    let chance = mix(data_seed ^ u64::from(spec.run.0));
    let answer = |position: u64| TestAnswer {
        name: format!("test_{position}"),
        histogram: "mass".to_owned(),
        status: [100, 100, 100, 200, 300, 50][(chance >> (8 * position)) as usize % 6],
        value_ppm: 1_000_000,
        message: String::new(),
    };
    (0..chance % 3).map(answer).collect()
}
