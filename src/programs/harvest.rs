//! `tier0 program harvest`: constants of a run from what express has collected.
//!
//! In: `ALCA` tables of the job's run, and of earlier runs that are still collecting for the scale.
//! Out: `HARVEST`, a JSON document of everything fitted, and the candidates in `metrics`: for each
//! tag whether it applies, how many entries it used, its quantities with errors as whole numbers of
//! 1e-9 of their unit, and the payload as canonical JSON. The beam spot is fitted from the tracks
//! of the job's run alone; the momentum scale from all inputs. Whether a candidate is good enough
//! is decided elsewhere: a fit that fails is a candidate without quantities and with a reason, not
//! a failed job. Plugins of the task measure their tags instead. The drift chamber has a harvest of
//! its own, `chamber_harvest`, which asks none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use calibration::beamspot::{self, BeamSpot, Sums, Track};
use calibration::scale::{self, Peak, PeakModel};
use serde_json::{Value, json};

use crate::chamber_harvest;
use crate::format::Label;
use crate::input::{check_label, mixed};
use crate::job::{Detector, JobError, JobFile, JobInput, Made};
use crate::outputs::{Outputs, ranges};
use crate::questions::{self, Asks, Wanted, plugins};
use crate::table::Table;

/// One model for every sample size: a change of model between two runs could look like a change of
/// the scale. A job's parameter `mass_background_per_gev` says how fast the background falls where
/// another slope is known; 0 is a flat one.
const MODEL: PeakModel = PeakModel::Z_SMALL_SAMPLE;
const BACKGROUND: &str = "mass_background_per_gev";

/// What the inputs hold.
#[derive(Default)]
struct Collected {
    label: Option<Label>,
    source: Option<String>,
    tracks: Vec<Track>,
    /// Of the job's run, for whoever fits sums.
    sums: BTreeMap<u32, Sums>,
    masses_gev: Vec<f64>,
    runs: BTreeSet<u32>,
    lumis: BTreeSet<u32>,
    /// Of all inputs.
    events: u64,
    /// Of the job's run alone: what its output stands for.
    own_events: u64,
}

/// Runs one job.
pub(crate) fn run(job: &JobFile, folder: &Path) -> Result<Made, JobError> {
    if job.detector()? == Detector::Chamber {
        return chamber_harvest::run(job, folder);
    }
    let run = job.run_needed()?;
    let mut outputs = Outputs::new(job, folder, &["HARVEST"])?;
    let mut all = Collected::default();
    for input in &job.inputs {
        collect(job, input, run, &mut all)?;
    }
    let Some(label) = all.label else {
        let what = "the job has no inputs, harvest reads ALCA tables".into();
        return Err(JobError::Definition { what });
    };
    if !all.runs.contains(&run) {
        let reason = format!("none of the inputs holds events of run {run}, the job's run");
        return Err(job.inputs[0].refuse(reason));
    }
    let mut candidates = vec![
        beamspot_candidate(run, &all),
        scale_candidate(&model_of(job)?, &all),
    ];
    for plugin in plugins(job, Asks::Constants)? {
        for candidate in questions::measure(&plugin, &question(run, &all), |tag| wanted(tag, &all))
        {
            // Whoever measures a tag by plugin wants that or nothing.
            candidates.retain(|own| own["tag"] != candidate["tag"]);
            candidates.push(candidate);
        }
    }
    let document = json!({
        "schema": 1,
        "label": label.as_str(),
        "source": all.source,
        "run": run,
        "runs": all.runs,
        "events": all.events,
        "candidates": candidates,
        "mass_histogram": {
            "range_gev": [MODEL.range_gev.0, MODEL.range_gev.1],
            "counts": MODEL.histogram(&all.masses_gev),
        },
    });
    let lumis = ranges(all.lumis.iter().copied());
    outputs.write("HARVEST", all.own_events, &lumis, || {
        document.to_string().into_bytes()
    })?;
    Ok(Made {
        outputs: outputs.done(),
        events_read: all.events,
        events_written: all.own_events,
        metrics: json!({ "label": label.as_str(), "candidates": candidates }),
    })
}

/// Reads one input into what is collected.
fn collect(job: &JobFile, input: &JobInput, run: u32, all: &mut Collected) -> Result<(), JobError> {
    // The checks of size and checksum are made on the bytes; the table is then read by its path.
    input.read()?;
    let refuse = |reason: String| input.refuse(reason);
    let table = Table::read(&input.path).map_err(refuse)?;
    let word = table.noted("tier0.label").unwrap_or("absent");
    let label = Label::from_word(word).ok_or_else(|| {
        refuse(format!(
            "its label is {word}, express writes real or simulated"
        ))
    })?;
    check_label(input, label, all.label.or(job.label()?))?;
    all.label = Some(label);
    let source = table.noted("tier0.source").unwrap_or_default();
    let first = all.source.get_or_insert_with(|| source.to_owned());
    if first != source {
        return Err(mixed(input, source, first));
    }
    input.check_events(table.rows() as u64)?;
    all.events += table.rows() as u64;
    all.masses_gev
        .extend_from_slice(table.f64s("mass_gev").map_err(refuse)?);
    let runs = table.u32s("run").map_err(refuse)?;
    all.runs.extend(runs);
    let of_run = |index: &usize| runs[*index] == run;
    all.own_events += (0..runs.len()).filter(of_run).count() as u64;
    let own_lumis = table.u32s("lumi").map_err(refuse)?;
    all.lumis
        .extend((0..runs.len()).filter(of_run).map(|index| own_lumis[index]));
    for n in [1, 2] {
        let phis = table.f64s(&format!("phi{n}")).map_err(refuse)?;
        let dxys = table.optional(&format!("dxy{n}")).map_err(refuse)?;
        for index in (0..runs.len()).filter(of_run) {
            if let Some(dxy_cm) = dxys[index] {
                let phi_rad = phis[index];
                let track = Track { phi_rad, dxy_cm };
                all.sums.entry(own_lumis[index]).or_default().add(&track);
                all.tracks.push(track);
            }
        }
    }
    Ok(())
}

/// What plugins are told of a run: sums of its tracks by lumi, masses of all runs that collect.
fn question(run: u32, all: &Collected) -> Value {
    let lumis = all.sums.iter().map(|(lumi, sums)| {
        let mut sums = json!(sums);
        sums["lumi"] = json!(lumi);
        sums
    });
    json!({
        "run": run,
        "tracks": lumis.collect::<Value>(),
        "masses": {
            "runs": all.runs,
            "range_gev": [MODEL.range_gev.0, MODEL.range_gev.1],
            "counts": MODEL.histogram(&all.masses_gev),
        },
    })
}

/// What is known of a tag that a plugin measures.
fn wanted(tag: &str, all: &Collected) -> Wanted<'static> {
    let masses: u64 = MODEL.histogram(&all.masses_gev).iter().sum();
    let tracks = all.sums.values().map(|sums| sums.n).sum();
    let (given, quantities): (u64, Option<&[&str]>) = match tag {
        "beamspot" => (tracks, Some(&["x0_cm", "y0_cm"])),
        "scale" => (masses, Some(&["k"])),
        _ => (tracks.max(masses), None),
    };
    Wanted { given, quantities }
}

/// A quantity in whole numbers of 1e-9 of its unit: what decisions are made on.
fn quantity(name: &str, value: f64, error: f64) -> Value {
    let nano = |number: f64| (number * 1e9).round() as i64;
    json!({"name": name, "value_nano": nano(value), "error_nano": nano(error)})
}

fn beamspot_candidate(run: u32, all: &Collected) -> Value {
    if all.tracks.is_empty() {
        let reason = "the data set carries no impact parameters";
        return json!({"tag": "beamspot", "applicable": false, "reason": reason});
    }
    match beamspot::fit(&all.tracks) {
        Ok(spot) => json!({
            "tag": "beamspot",
            "applicable": true,
            "n": spot.n_used,
            "quantities": [
                quantity("x0_cm", spot.x0_cm, spot.x0_err_cm),
                quantity("y0_cm", spot.y0_cm, spot.y0_err_cm),
            ],
            "payload": beamspot_payload(run, &spot).to_string(),
        }),
        Err(error) => refused("beamspot", all.tracks.len() as u64, &error.to_string()),
    }
}

/// The constant that prompt reads. Object keys are sorted by the JSON writer, so equal constants
/// are equal bytes.
fn beamspot_payload(run: u32, spot: &BeamSpot) -> Value {
    json!({
        "schema": 1,
        "kind": "beamspot",
        "method": "d0-phi, least squares, clipped at 5 robust sigma",
        "units": {"length": "cm"},
        "runs": [run, run],
        "x0_cm": spot.x0_cm,
        "y0_cm": spot.y0_cm,
        "x0_err_cm": spot.x0_err_cm,
        "y0_err_cm": spot.y0_err_cm,
        "corr": spot.corr,
        "n_used": spot.n_used,
        "n_tracks": spot.n_tracks,
        "resid_rms_cm": spot.resid_rms_cm,
    })
}

/// The peak to fit, as the job wants it.
fn model_of(job: &JobFile) -> Result<PeakModel, JobError> {
    match job.number(BACKGROUND)? {
        None => Ok(MODEL),
        Some(slope) if slope.abs() < 1.0 => Ok(MODEL.on_known_slope(slope)),
        Some(slope) => {
            let what =
                format!("{BACKGROUND} = {slope} is no slope of a background: below 1 per GeV");
            Err(JobError::Definition { what })
        }
    }
}

fn scale_candidate(model: &PeakModel, all: &Collected) -> Value {
    let counts = model.histogram(&all.masses_gev);
    let n = counts.iter().sum();
    match scale::fit(model, &counts) {
        Ok(peak) => {
            let scale = scale::scale_of(&peak);
            json!({
                "tag": "scale",
                "applicable": true,
                "n": n,
                "quantities": [quantity("k", scale.k, scale.k_err)],
                "chi2_milli": (peak.min2nll * 1e3).round() as i64,
                "ndf": peak.ndf,
                "payload": scale_payload(model, all, &peak, &scale).to_string(),
            })
        }
        Err(error) => refused("scale", n, &error.to_string()),
    }
}

fn scale_payload(model: &PeakModel, all: &Collected, peak: &Peak, scale: &scale::Scale) -> Value {
    let first = all.runs.first();
    json!({
        "schema": 1,
        "kind": "scale",
        "method": "Voigt peak of the Z on a background of known slope, Poisson likelihood ratio",
        "units": {"mass": "GeV", "k": "1"},
        "runs": [first, all.runs.last()],
        "k": scale.k,
        "k_err": scale.k_err,
        "mass_gev": peak.mass_gev,
        "mass_err_gev": peak.mass_err_gev,
        "sigma_gev": peak.sigma_gev,
        "n": peak.n_in_window,
        "min2nll": peak.min2nll,
        "ndf": peak.ndf,
        "pdg_mass_gev": peak.pdg_mass_gev,
        "range_gev": [model.range_gev.0, model.range_gev.1],
        "background_per_gev": model.known_slope_per_gev(),
    })
}

/// A candidate whose fit gave nothing.
fn refused(tag: &str, n: u64, reason: &str) -> Value {
    json!({"tag": tag, "applicable": true, "n": n, "quantities": [], "reason": reason})
}
