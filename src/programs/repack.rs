//! `tier0 program repack`: what the detector wrote, as a table.
//!
//! In: event containers `.dat` of dimuons. Out: `RAW`, every event of the input exactly once,
//! sorted by run, lumi and event, one row group each lumi, Parquet; nothing computed but the mass.
//! It uses no conditions, and what it leaves out is nothing.

use std::path::Path;

use serde_json::json;

use crate::input;
use crate::job::{Detector, JobError, JobFile, Made};
use crate::outputs::Outputs;

/// Runs one job.
pub(crate) fn run(job: &JobFile, folder: &Path) -> Result<Made, JobError> {
    if job.detector()? != Detector::Muons {
        let what = "repack knows dimuons only; express of the chamber writes its tracks".into();
        return Err(JobError::Definition { what });
    }
    let mut outputs = Outputs::new(job, folder, &["RAW"])?;
    let events = input::read(job)?;
    let count = events.count();
    outputs.write("RAW", count, &events.origin.lumis(), || {
        events.raw_table().to_parquet()
    })?;
    Ok(Made {
        outputs: outputs.done(),
        events_read: count,
        events_written: count,
        metrics: json!({
            "label": events.origin.label.as_str(),
            "source": events.origin.source,
        }),
    })
}
