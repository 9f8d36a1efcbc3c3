//! `tier0 program express`: the first look at the events, minutes after they were taken.
//!
//! In: event containers `.dat`. Out, as the job asks: `RECO` (every event of the input exactly
//! once, Parquet), `ALCA` (what the calibrations need: azimuth and impact parameter of each muon,
//! the mass; with the beam-spot sums of each lumi in the file metadata under `tier0.beamspot_sums`)
//! and `DQM` (histograms). `metrics`: events in each lumi and the muons with an impact parameter.
//! It uses no conditions and corrects nothing. Tracks of the drift chamber go to `chamber_jobs`.

use std::collections::BTreeMap;
use std::path::Path;

use calibration::beamspot::{Sums, Track};
use serde_json::json;

use crate::chamber_jobs;
use crate::input::{self, Events};
use crate::job::{Detector, JobError, JobFile, Made};
use crate::monitor::{self, Monitor};
use crate::outputs::Outputs;
use crate::table::Table;

/// File metadata that holds the sums, as JSON: a list of run, lumi and normal equations.
const SUMS_KEY: &str = "tier0.beamspot_sums";

/// Runs one job.
pub(crate) fn run(job: &JobFile, folder: &Path) -> Result<Made, JobError> {
    if job.detector()? == Detector::Chamber {
        return chamber_jobs::express(job, folder);
    }
    let mut outputs = Outputs::new(job, folder, &["RECO", "ALCA", "DQM"])?;
    let events = input::read(job)?;
    let (count, lumis) = (events.count(), events.origin.lumis());
    let sums = sums_by_lumi(&events);
    outputs.write("RECO", count, &lumis, || events.raw_table().to_parquet())?;
    outputs.write("ALCA", count, &lumis, || {
        calibration_table(&events, &sums).to_parquet()
    })?;
    if outputs.asks("DQM") {
        let document = events.document("express", monitor(&events))?;
        outputs.write("DQM", count, &lumis, || document)?;
    }
    let tracks: u64 = sums.values().map(|sums| sums.n).sum();
    Ok(Made {
        outputs: outputs.done(),
        events_read: count,
        events_written: count,
        metrics: json!({
            "label": events.origin.label.as_str(),
            "source": events.origin.source,
            "beamspot_tracks": tracks,
        }),
    })
}

/// Normal equations of the beam-spot fit by run and lumi: any split into jobs adds up to the same.
fn sums_by_lumi(events: &Events) -> BTreeMap<(u32, u32), Sums> {
    let mut sums: BTreeMap<(u32, u32), Sums> = BTreeMap::new();
    for event in &events.all {
        let of_lumi = sums.entry((event.run, event.lumi)).or_default();
        for muon in &event.dimuon.muons {
            if let Some(dxy_cm) = muon.dxy_cm {
                of_lumi.add(&Track {
                    phi_rad: muon.phi_rad,
                    dxy_cm,
                });
            }
        }
    }
    sums
}

fn calibration_table(events: &Events, sums: &BTreeMap<(u32, u32), Sums>) -> Table {
    let mut table = events.key_table();
    for (index, n) in [(0, 1), (1, 2)] {
        table.push(&format!("phi{n}"), events.phi(index));
        table.push(&format!("dxy{n}"), events.dxy(index));
    }
    table.push("mass_gev", events.masses());
    let listed: Vec<_> = sums
        .iter()
        .map(|((run, lumi), sums)| json!({"run": run, "lumi": lumi, "sums": sums}))
        .collect();
    table.note(SUMS_KEY, serde_json::Value::from(listed).to_string());
    table
}

fn monitor(events: &Events) -> Monitor {
    let mut monitor = Monitor::new();
    for event in &events.all {
        monitor.fill(monitor::MASS, event.dimuon.mass_gev);
        for muon in &event.dimuon.muons {
            monitor.fill(monitor::PT, muon.pt_gev);
            monitor.fill(monitor::ETA, muon.eta);
            monitor.fill(monitor::OCTANT, muon.phi_rad);
            if let Some(dxy_cm) = muon.dxy_cm {
                monitor.fill(monitor::DXY, dxy_cm);
            }
        }
    }
    monitor
}
