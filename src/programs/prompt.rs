//! `tier0 program prompt`: the events again, corrected with the constants of their run.
//!
//! In: event containers `.dat` and the payloads of the tags, or of the records of a global tag,
//! `beamspot` and `scale`, each of which may be absent (then nothing is corrected by it). Out, as
//! the job asks: `AOD` (what was read, unchanged, beside it the corrected quantities; the hashes
//! of the payloads in the file metadata) and `DQM`. The corrections: dxy less the beam spot's
//! prediction at the muon's azimuth; transverse momenta and mass times k. Every event of the input
//! is in the output exactly once.
//! Tracks of the drift chamber go to `chamber_jobs`.

use std::path::Path;

use calibration::beamspot::predicted_dxy_cm;
use serde_json::{Value, json};

use crate::chamber_jobs;
use crate::event::{DISTANCE_CM_MAX, Muon};
use crate::input::{self, Events};
use crate::job::{Detector, JobError, JobFile, Made, TagPayload};
use crate::monitor::{self, Monitor};
use crate::outputs::Outputs;
use crate::table::{Table, Values};

const UM_PER_CM: f64 = 1e4;
/// The largest factor of momenta: a detector that is off by more measures something else.
const K_MAX: f64 = 1e3;
/// Word for a tag without a payload, in the file metadata.
const IDENTITY: &str = "identity";

/// The constants of a job.
struct Constants {
    /// x0 and y0 in cm.
    beamspot_cm: Option<(f64, f64)>,
    /// Factor of momenta and masses, 1 without a payload.
    k: f64,
    /// Hashes by tag, for the file metadata.
    hashes: [(&'static str, String); 2],
    /// The global tag that led to them.
    global_tag: Option<String>,
}

/// Runs one job.
pub(crate) fn run(job: &JobFile, folder: &Path) -> Result<Made, JobError> {
    if job.detector()? == Detector::Chamber {
        return chamber_jobs::prompt(job, folder);
    }
    let mut outputs = Outputs::new(job, folder, &["AOD", "DQM"])?;
    let constants = Constants::of(job)?;
    let events = input::read(job)?;
    let (count, lumis) = (events.count(), events.origin.lumis());
    outputs.write("AOD", count, &lumis, || {
        corrected_table(&events, &constants).to_parquet()
    })?;
    if outputs.asks("DQM") {
        let document = events.document("prompt", monitor(&events, &constants))?;
        outputs.write("DQM", count, &lumis, || document)?;
    }
    let hash = |at: usize| constants.hashes[at].1.as_str();
    Ok(Made {
        outputs: outputs.done(),
        events_read: count,
        events_written: count,
        metrics: json!({
            "label": events.origin.label.as_str(),
            "source": events.origin.source,
            "payloads": {"beamspot": hash(0), "scale": hash(1)},
        }),
    })
}

impl Constants {
    fn of(job: &JobFile) -> Result<Self, JobError> {
        let mut beamspot_cm = None;
        let mut k = 1.0;
        let mut hashes = [
            ("beamspot", IDENTITY.to_owned()),
            ("scale", IDENTITY.to_owned()),
        ];
        if let Some((entry, payload)) = job.payload("beamspot")? {
            let number = |name: &str| number(&entry, &payload, "beamspot", name);
            let (x0_cm, y0_cm) = (number("x0_cm")?, number("y0_cm")?);
            if x0_cm.abs().max(y0_cm.abs()) > DISTANCE_CM_MAX {
                let reason =
                    format!("({x0_cm:?}, {y0_cm:?}) cm is further than {DISTANCE_CM_MAX} cm");
                return Err(refuse(&entry, "beamspot", reason));
            }
            beamspot_cm = Some((x0_cm, y0_cm));
            hashes[0].1 = entry.hash;
        }
        if let Some((entry, payload)) = job.payload("scale")? {
            k = number(&entry, &payload, "scale", "k")?;
            if k <= 0.0 || k > K_MAX {
                let reason = format!("k is {k:?}, it must be above 0 and at most {K_MAX}");
                return Err(refuse(&entry, "scale", reason));
            }
            hashes[1].1 = entry.hash;
        }
        Ok(Self {
            beamspot_cm,
            k,
            hashes,
            global_tag: job
                .conditions
                .as_ref()
                .and_then(|all| all.global_tag.clone()),
        })
    }

    /// The impact parameter in cm less what the beam spot predicts.
    fn dxy_cm(&self, muon: &Muon) -> Option<f64> {
        let (x0_cm, y0_cm) = self.beamspot_cm.unwrap_or((0.0, 0.0));
        muon.dxy_cm
            .map(|dxy_cm| dxy_cm - predicted_dxy_cm(x0_cm, y0_cm, muon.phi_rad))
    }
}

fn refuse(entry: &TagPayload, tag: &str, reason: String) -> JobError {
    JobError::Payload {
        tag: tag.to_owned(),
        path: entry.path.clone(),
        reason,
    }
}

fn number(entry: &TagPayload, payload: &Value, tag: &str, name: &str) -> Result<f64, JobError> {
    let found = payload
        .get(name)
        .and_then(Value::as_f64)
        .filter(|value| value.is_finite());
    found.ok_or_else(|| refuse(entry, tag, format!("it has no number {name}")))
}

fn corrected_table(events: &Events, constants: &Constants) -> Table {
    let mut table = events.raw_table();
    let all = &events.all;
    for (index, n) in [(0, 1), (1, 2)] {
        let muons = || all.iter().map(move |event| &event.dimuon.muons[index]);
        let dxy = muons().map(|muon| constants.dxy_cm(muon)).collect();
        table.push(&format!("dxy{n}_corrected_cm"), Values::OptionF64(dxy));
        let pt = muons().map(|muon| muon.pt_gev * constants.k).collect();
        table.push(&format!("pt{n}_corrected_gev"), Values::F64(pt));
    }
    let mass = all
        .iter()
        .map(|event| event.dimuon.mass_gev * constants.k)
        .collect();
    table.push("mass_corrected_gev", Values::F64(mass));
    for (tag, hash) in &constants.hashes {
        table.note(&format!("tier0.conditions.{tag}"), hash.as_str());
    }
    if let Some(global) = &constants.global_tag {
        table.note("tier0.global_tag", global.as_str());
    }
    table
}

fn monitor(events: &Events, constants: &Constants) -> Monitor {
    let mut monitor = Monitor::new();
    for event in &events.all {
        monitor.fill(monitor::MASS, event.dimuon.mass_gev * constants.k);
        for muon in &event.dimuon.muons {
            monitor.fill(monitor::PT, muon.pt_gev * constants.k);
            monitor.fill(monitor::ETA, muon.eta);
            monitor.fill(monitor::OCTANT, muon.phi_rad);
            if let Some(dxy_cm) = muon.dxy_cm {
                monitor.fill(monitor::DXY, dxy_cm);
            }
            if let Some(dxy_cm) = constants.dxy_cm(muon) {
                let residual_um = dxy_cm * UM_PER_CM;
                monitor.fill(monitor::RESIDUAL, residual_um);
                let (sine, cosine) = muon.phi_rad.sin_cos();
                monitor.fill(monitor::BEAMSPOT_X, -2.0 * residual_um * sine);
                monitor.fill(monitor::BEAMSPOT_Y, 2.0 * residual_um * cosine);
            }
        }
    }
    monitor
}
