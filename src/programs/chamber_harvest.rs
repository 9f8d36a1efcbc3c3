//! Harvest of the drift chamber: the alignment of a run from the Mille records express has kept.
//!
//! In: `MILLE` files of the job's run, and the payload of the tag `alignment` in force, if there is
//! one: the solver starts from it, so that what it moves is what has changed. Out: `HARVEST`, a
//! JSON document with the solver's own texts, and the candidate in `metrics`: quantities with
//! errors as whole numbers of 1e-9 of their unit, the payload, and under `solved` what the decision
//! table judges (exit code, records used, every move). Whether it is good enough is decided
//! elsewhere: a fit that fails, or does not end normally, is a candidate without quantities and
//! with a reason. A damaged file, or one of another run, fails the job. A job comes here by the
//! parameter `detector = "chamber"`.

use std::collections::BTreeSet;
use std::path::Path;

use calibration::chamber::{self, PLANES, drift_label, offset_label};
use calibration::millepede::{Ending, Fit, Form, Input, Records, Start, Steering, fit};
use calibration::thresholds::{Movement, Solved};
use serde_json::{Value, json};

use crate::chamber_jobs::{LUMI_WORD, RUN_WORD};
use crate::chamber_payload::{self, TAG};
use crate::format::Label;
use crate::input::{check_label, mixed};
use crate::job::{JobError, JobFile, JobInput, Made};
use crate::outputs::{Outputs, ranges};
use crate::questions::{Asks, plugins};
use crate::source::SIMULATED_RUN_MIN;

/// Numbers up to this many units fit into whole numbers of 1e-9 of them.
const UNITS_MAX: f64 = 9e9;

/// Runs one job.
pub(crate) fn run(job: &JobFile, folder: &Path) -> Result<Made, JobError> {
    plugins(job, Asks::Nothing)?;
    let run = job.run_needed()?;
    let mut outputs = Outputs::new(job, folder, &["HARVEST"])?;
    // Run numbers tell simulated from real, as everywhere.
    let label = if run < SIMULATED_RUN_MIN {
        Label::Real
    } else {
        Label::Simulated
    };
    let (mut files, mut lumis) = (Vec::new(), BTreeSet::new());
    for input in &job.inputs {
        check_label(input, label, job.label()?)?;
        files.push(read(input, run, &mut lumis)?);
    }
    if files.is_empty() {
        let what = "the job has no inputs, harvest of a chamber reads MILLE files".into();
        return Err(JobError::Definition { what });
    }
    let records: u64 = files.iter().map(|records| records.len() as u64).sum();
    let (candidate, solver) = candidate(run, &steering(job)?, &files, records);
    let document = json!({
        "schema": 1,
        "label": label.as_str(),
        "run": run,
        "records": records,
        "candidates": [candidate],
        "solver": solver,
    });
    outputs.write("HARVEST", records, &ranges(lumis), || {
        document.to_string().into_bytes()
    })?;
    Ok(Made {
        outputs: outputs.done(),
        events_read: records,
        events_written: records,
        metrics: json!({ "label": label.as_str(), "candidates": [candidate] }),
    })
}

/// The records of one input; all of them must be of the job's run.
fn read(input: &JobInput, run: u32, lumis: &mut BTreeSet<u32>) -> Result<Records, JobError> {
    let name = input.path.display().to_string();
    let records = Records::read(&name, &input.read()?, Form::C)
        .map_err(|error| input.refuse(error.to_string()))?;
    input.check_events(records.len() as u64)?;
    for record in 0..records.len() {
        let (indices, numbers) = records.special_of(record);
        let ([RUN_WORD, LUMI_WORD], [of_run, lumi]) = (indices, numbers) else {
            let reason = format!("record {} does not say its run and lumi", record + 1);
            return Err(input.refuse(reason));
        };
        if *of_run != f64::from(run) {
            let found = format!("run {of_run}");
            return Err(mixed(input, &found, &format!("run {run}")));
        }
        lumis.insert(*lumi as u32);
    }
    Ok(records)
}

/// The chamber's steering, from the constants in force on.
fn steering(job: &JobFile) -> Result<Steering, JobError> {
    let mut steering = chamber::steering();
    let Some((constants, _)) = chamber_payload::of(job)? else {
        return Ok(steering);
    };
    let free_from = |value: &f64| Start {
        value: *value,
        presigma: 0.0,
    };
    for plane in 0..PLANES {
        let offset = free_from(&constants.offsets_cm[plane]);
        steering.starts.insert(offset_label(plane), offset);
        let drift = free_from(&constants.drifts[plane]);
        steering.starts.insert(drift_label(plane), drift);
    }
    Ok(steering)
}

/// The candidate and the solver's own texts.
fn candidate(run: u32, steering: &Steering, files: &[Records], n: u64) -> (Value, Value) {
    let inputs: Vec<Input<'_>> = files
        .iter()
        .map(|records| Input {
            records,
            weight: 1.0,
        })
        .collect();
    let refused = |reason: &str| {
        let candidate = json!({"tag": TAG, "applicable": true, "n": n, "quantities": [],
            "reason": reason});
        (candidate, Value::Null)
    };
    let fitted = match fit(steering, &inputs) {
        Ok(fitted) => fitted,
        Err(error) => return refused(&error.to_string()),
    };
    let (quantities, movements) = match numbers(&fitted) {
        Ok(numbers) => numbers,
        Err(reason) => return refused(&reason),
    };
    let used = fitted.records - fitted.rejects.total();
    let solved = Solved {
        end_code: fitted.ending().code(),
        records: used,
        movements,
    };
    let mut candidate = json!({
        "tag": TAG,
        "applicable": true,
        "n": used,
        "quantities": quantities,
        "solved": solved,
        "payload": chamber_payload::of_fit(run, &fitted).to_string(),
    });
    if fitted.ending() != Ending::Normal {
        let said = fitted.end_text();
        candidate["reason"] = Value::from(format!("the solver said {:?}", said.trim()));
        candidate["quantities"] = Value::Array(Vec::new());
    }
    let solver = json!({"end": fitted.end_text(), "res": fitted.res_text()});
    (candidate, solver)
}

/// Quantities and moves of all fitted parameters, plane by plane; the reason if one is no number.
fn numbers(fitted: &Fit) -> Result<(Vec<Value>, Vec<Movement>), String> {
    let (mut quantities, mut movements) = (Vec::new(), Vec::new());
    for plane in 0..PLANES {
        let structure = format!("plane{}", plane + 1);
        for (coordinate, label) in [
            ("offset_cm", offset_label(plane)),
            ("drift", drift_label(plane)),
        ] {
            let parameter = fitted.parameters.get(&label);
            let Some((value, moved, error)) = parameter.and_then(|parameter| {
                Some((parameter.value, parameter.difference?, parameter.error?))
            }) else {
                continue;
            };
            let name = format!("{structure}_{coordinate}");
            let refuse = || format!("{name} is {value} +- {error}, moved by {moved}: no numbers");
            let error_nano = nano(error).ok_or_else(refuse)?;
            let value_nano = nano(value).ok_or_else(refuse)?;
            let moved_nano = nano(moved).ok_or_else(refuse)?;
            quantities.push(json!({"name": name, "value_nano": value_nano,
                "error_nano": error_nano, "moved_nano": moved_nano}));
            movements.push(Movement {
                structure: structure.clone(),
                coordinate: coordinate.to_owned(),
                moved_nano,
                error_nano,
            });
        }
    }
    Ok((quantities, movements))
}

/// Whole numbers of 1e-9; none for what is not finite or does not fit.
fn nano(number: f64) -> Option<i64> {
    (number.abs() < UNITS_MAX).then(|| (number * 1e9).round() as i64)
}
