//! The constants of the drift chamber as they travel: payloads of the tag `alignment`.
//!
//! In: a fit, or the payload a job is given. Out: the payload's JSON, or the constants of all
//! planes. A payload with a plane too few or a number that is none is refused, never repaired.

use calibration::chamber::{HEIGHT_CM, PLANES, drift_label, offset_label};
use calibration::chamber_track::Constants;
use calibration::millepede::Fit;
use serde_json::{Value, json};

use crate::job::{JobError, JobFile};

/// Tag of the payloads.
pub(crate) const TAG: &str = "alignment";

/// The payload that a fit over run `run` gives. Object keys are sorted by the JSON writer, so equal
/// constants are equal bytes.
pub(crate) fn of_fit(run: u32, fit: &Fit) -> Value {
    let each = |label: fn(usize) -> i32, error: bool| -> Vec<Option<f64>> {
        let parameters = (0..PLANES).map(|plane| fit.parameters.get(&label(plane)));
        let number = |found: Option<&calibration::millepede::Parameter>| match found {
            Some(parameter) if error => parameter.error,
            Some(parameter) => Some(parameter.value),
            // Nothing measured this plane and nothing names it: it stays where it was drawn.
            None if error => None,
            None => Some(0.0),
        };
        parameters.map(number).collect()
    };
    json!({
        "schema": 1,
        "kind": "alignment",
        "method": "Millepede, inversion, no common shift and tilt",
        "units": {"offset": "cm", "drift": "1"},
        "runs": [run, run],
        "records": fit.records,
        "chi2": fit.chi_square,
        "ndf": fit.ndf,
        "offsets_cm": each(offset_label, false),
        "offset_errs_cm": each(offset_label, true),
        "drifts": each(drift_label, false),
        "drift_errs": each(drift_label, true),
    })
}

/// The constants in a job's payload and its hash; none without a payload.
pub(crate) fn of(job: &JobFile) -> Result<Option<(Constants, String)>, JobError> {
    let Some((entry, payload)) = job.payload(TAG)? else {
        return Ok(None);
    };
    let numbers = |name: &str, most: f64| {
        let refuse = |reason: String| JobError::Payload {
            tag: TAG.to_owned(),
            path: entry.path.clone(),
            reason,
        };
        let listed = payload.get(name).and_then(Value::as_array);
        let numbers: Vec<f64> = listed
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect();
        if numbers.len() != PLANES || listed.is_none_or(|listed| listed.len() != PLANES) {
            let reason = format!("{name} is not a list of {PLANES} numbers");
            return Err(refuse(reason));
        }
        match numbers.iter().position(|number| number.abs() > most) {
            Some(plane) => {
                let (plane, number) = (plane + 1, numbers[plane]);
                let reason = format!("{name} of plane {plane} is {number:?}, it is at most {most}");
                Err(refuse(reason))
            }
            None => Ok(numbers),
        }
    };
    let constants = Constants {
        offsets_cm: numbers("offsets_cm", HEIGHT_CM)?,
        // With more of the drift length taken off, it would point to the other side of the wire.
        drifts: numbers("drifts", 1.0)?,
    };
    Ok(Some((constants, entry.hash.clone())))
}
