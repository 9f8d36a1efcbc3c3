//! Express and prompt of the drift chamber: tracks found, residuals filled, alignment fed and used.
//!
//! In: event containers `.dat` of chamber tracks (and for prompt the payload of the tag
//! `alignment`, which may be absent: then nothing is corrected). Out, as the job asks: `RECO`
//! (express) or `AOD` (prompt), a Parquet table with the fitted line of every track exactly once;
//! `MILLE` (express), the Mille records of the job's tracks, each with its run and lumi as special
//! data; `DQM`, the residuals. Express uses no conditions. A job comes here by the parameter
//! `detector = "chamber"`.

use std::path::Path;

use calibration::chamber::sigma_cm;
use calibration::chamber_track::{Constants, Hit, Line, record};
use calibration::millepede::{Form, Precision, Records};
use serde_json::json;

use crate::chamber_payload::{self, TAG};
use crate::chamber_rows;
use crate::format::Container;
use crate::input::{Origin, each_container, refuse_twice};
use crate::job::{JobError, JobFile, JobInput, Made};
use crate::monitor::{CHAMBER_CHI2, CHAMBER_FAR, CHAMBER_HITS, CHAMBER_RESIDUAL, Monitor};
use crate::outputs::Outputs;
use crate::table::{Table, Values};

const UM_PER_CM: f64 = 1e4;
/// Indices of the special data in front of each Mille record.
pub(crate) const RUN_WORD: i32 = 1;
pub(crate) const LUMI_WORD: i32 = 2;
/// A hit further than this many of its errors from its track is far.
const FAR_SIGMA: f64 = 3.0;
/// What is fitted of a straight line: height and slope.
const LINE_PARAMETERS: usize = 2;
/// Word for a tag without a payload, in the file metadata.
const IDENTITY: &str = "identity";

/// One track as it was read out.
struct Track {
    run: u32,
    lumi: u32,
    event: u64,
    hits: Vec<Hit>,
}

/// All tracks of a job, sorted by run, lumi and event.
struct Tracks {
    all: Vec<Track>,
    origin: Origin,
}

/// Runs one job of express.
pub(crate) fn express(job: &JobFile, folder: &Path) -> Result<Made, JobError> {
    let mut outputs = Outputs::new(job, folder, &["RECO", "MILLE", "DQM"])?;
    let tracks = read(job)?;
    let nominal = Constants::nominal();
    let (count, lumis) = (tracks.all.len() as u64, tracks.origin.lumis());
    let records = tracks.records(job)?;
    outputs.write("MILLE", records.len() as u64, &lumis, || {
        records.write(Form::C, Precision::Double)
    })?;
    tracks.write_both(&mut outputs, "RECO", "express", &nominal, IDENTITY)?;
    Ok(Made {
        outputs: outputs.done(),
        events_read: count,
        events_written: count,
        metrics: json!({
            "label": tracks.origin.label.as_str(),
            "source": tracks.origin.source,
            "mille_records": records.len(),
        }),
    })
}

/// Runs one job of prompt.
pub(crate) fn prompt(job: &JobFile, folder: &Path) -> Result<Made, JobError> {
    let mut outputs = Outputs::new(job, folder, &["AOD", "DQM"])?;
    let (constants, hash) = match chamber_payload::of(job)? {
        Some((constants, hash)) => (constants, hash),
        None => (Constants::nominal(), IDENTITY.to_owned()),
    };
    let tracks = read(job)?;
    let count = tracks.all.len() as u64;
    tracks.write_both(&mut outputs, "AOD", "prompt", &constants, &hash)?;
    Ok(Made {
        outputs: outputs.done(),
        events_read: count,
        events_written: count,
        metrics: json!({
            "label": tracks.origin.label.as_str(),
            "source": tracks.origin.source,
            "payloads": {TAG: hash},
        }),
    })
}

fn read(job: &JobFile) -> Result<Tracks, JobError> {
    let mut all = Vec::new();
    let origin = each_container(job, |input, container| {
        read_container(input, container, &mut all)
    })?;
    all.sort_by_key(|track| (track.run, track.lumi, track.event));
    refuse_twice(job, all.iter().map(|track| (track.run, track.event)))?;
    Ok(Tracks { all, origin })
}

fn read_container(
    input: &JobInput,
    container: &Container,
    all: &mut Vec<Track>,
) -> Result<(), JobError> {
    let header = &container.header;
    let refuse = |reason: String| input.refuse(reason);
    chamber_rows::check_columns(&header.columns).map_err(|error| refuse(error.to_string()))?;
    for raw in &container.events {
        let [row] = raw.rows.as_slice() else {
            let (event, rows) = (raw.event, raw.rows.len());
            return Err(refuse(format!(
                "event {event} has {rows} rows, a track is one"
            )));
        };
        let at = |error| refuse(format!("event {}: {error}", raw.event));
        all.push(Track {
            run: header.run,
            lumi: header.lumi,
            event: raw.event,
            hits: chamber_rows::hits(row).map_err(at)?,
        });
    }
    Ok(())
}

/// What a fitted track adds to the monitor elements.
fn fill(monitor: &mut Monitor, track: &Track, line: &Line) {
    for (hit, residual_cm) in track.hits.iter().zip(&line.residuals_cm) {
        let plane = (hit.plane + 1) as f64;
        monitor.fill(CHAMBER_RESIDUAL, residual_cm * UM_PER_CM);
        monitor.fill(CHAMBER_HITS, plane);
        if residual_cm.abs() > FAR_SIGMA * sigma_cm(hit.plane) {
            monitor.fill(CHAMBER_FAR, plane);
        }
    }
    // Without a degree of freedom any line fits.
    let freedom = track.hits.len().saturating_sub(LINE_PARAMETERS);
    if freedom > 0 {
        monitor.fill(CHAMBER_CHI2, line.chi_square / freedom as f64);
    }
}

impl Tracks {
    /// The Mille records of all tracks with hits.
    fn records(&self, job: &JobFile) -> Result<Records, JobError> {
        let mut records = Records::default();
        for track in self.all.iter().filter(|track| !track.hits.is_empty()) {
            let special = [
                (RUN_WORD, f64::from(track.run)),
                (LUMI_WORD, f64::from(track.lumi)),
            ];
            record(&track.hits, &special, &mut records)
                .map_err(|error| job.inputs[0].refuse(error.to_string()))?;
        }
        Ok(records)
    }

    /// Writes the table of tracks under `label`, and the residuals.
    fn write_both(
        &self,
        outputs: &mut Outputs<'_>,
        label: &str,
        program: &str,
        constants: &Constants,
        hash: &str,
    ) -> Result<(), JobError> {
        let (count, lumis) = (self.all.len() as u64, self.origin.lumis());
        let mut monitor = Monitor::new();
        let mut lines: [Vec<Option<f64>>; 3] = Default::default();
        for track in &self.all {
            let line = constants.fit(&track.hits);
            if let Some(line) = &line {
                fill(&mut monitor, track, line);
            }
            lines[0].push(line.as_ref().map(|line| line.at_zero_cm));
            lines[1].push(line.as_ref().map(|line| line.slope));
            lines[2].push(line.as_ref().map(|line| line.chi_square));
        }
        outputs.write(label, count, &lumis, || {
            self.table(lines, hash).to_parquet()
        })?;
        if outputs.asks("DQM") {
            let document = self.origin.document(program, count, monitor)?;
            outputs.write("DQM", count, &lumis, || document)?;
        }
        Ok(())
    }

    /// Line and number of hits of each track; no line for one with too few hits.
    fn table(&self, lines: [Vec<Option<f64>>; 3], hash: &str) -> Table {
        let keys = self.all.iter();
        let keys = keys.map(|track| (track.run, track.lumi, track.event));
        let mut table = self.origin.key_table(keys);
        let hits = self.all.iter().map(|track| track.hits.len() as u32);
        table.push("n_hits", Values::U32(hits.collect()));
        for (name, values) in ["at_zero_cm", "slope", "chi_square"].into_iter().zip(lines) {
            table.push(name, Values::OptionF64(values));
        }
        table.note(&format!("tier0.conditions.{TAG}"), hash);
        table
    }
}
