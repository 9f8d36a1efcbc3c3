//! The physics of an act's summary: fits over what was published, and the comparison with the truth
//! where there is one. The truth is opened here and nowhere else, after the runs.

use super::summary::{
    BeamSpotSummary, PeakSummary, PullSummary, ResidualSummary, ScaleSummary, TruthRow,
};
use calibration::beamspot::{self, Track, half_width_68_cm, predicted_dxy_cm};
use model::conditions::{GateDecision, GateOutcome, Iov};
use model::dataset::Output;
use programs::mc::Truth;
use programs::product::{CorrectedTrack, corrected_tracks};
use serde_json::Value;
use std::path::Path;

/// All tracks that prompt has published.
pub(super) fn tracks(outputs: &[Output], storage: &Path) -> Result<Vec<CorrectedTrack>, String> {
    let mut tracks = Vec::new();
    for output in outputs
        .iter()
        .filter(|output| output.label.as_str() == "AOD")
    {
        let path = storage.join(output.name.as_str());
        let read = corrected_tracks(&path)
            .map_err(|error| format!("reading {}: {error}", path.display()))?;
        tracks.extend(read);
    }
    Ok(tracks)
}

/// One beam spot for all runs, and what the loop's own do to the residual.
pub(super) fn beamspot(
    tracks: &[CorrectedTrack],
    iovs: u64,
) -> Option<(BeamSpotSummary, ResidualSummary)> {
    let raw: Vec<Track> = tracks
        .iter()
        .map(|track| Track {
            phi_rad: track.phi_rad,
            dxy_cm: track.dxy_cm,
        })
        .collect();
    let spot = beamspot::fit(&raw).ok()?;
    let mut before: Vec<f64> = raw
        .iter()
        .map(|track| track.dxy_cm - predicted_dxy_cm(spot.x0_cm, spot.y0_cm, track.phi_rad))
        .collect();
    let mut after: Vec<f64> = tracks.iter().map(|track| track.corrected_cm).collect();
    let summary = BeamSpotSummary {
        x0_cm: spot.x0_cm,
        y0_cm: spot.y0_cm,
        x0_err_cm: spot.x0_err_cm,
        y0_err_cm: spot.y0_err_cm,
        iovs,
    };
    let residual = ResidualSummary {
        before_um: half_width_68_cm(&mut before) * 1e4,
        after_um: half_width_68_cm(&mut after) * 1e4,
    };
    Some((summary, residual))
}

/// The last scale that the gate accepted, from its payload.
pub(super) fn scale(payload: &str) -> Option<(PeakSummary, ScaleSummary)> {
    let payload: Value = serde_json::from_str(payload).ok()?;
    let number = |name: &str| payload.get(name).and_then(Value::as_f64);
    let peak = PeakSummary {
        gev: number("mass_gev")?,
        err_gev: number("mass_err_gev")?,
    };
    let gate = GateOutcome::Update.as_str().to_owned();
    Some((
        peak,
        ScaleSummary {
            k: number("k")?,
            err: number("k_err")?,
            gate,
        },
    ))
}

/// The first run that a constant holds for: what an act measures counts by run.
pub(super) fn first_run(iov: &Iov) -> u32 {
    iov.since.0 as u32
}

/// Truth against what was measured, run by run.
pub(super) fn against_truth(
    truth: &Path,
    decisions: &[GateDecision],
    iovs: &[Iov],
) -> Result<(Vec<TruthRow>, Option<PullSummary>), String> {
    let text = std::fs::read_to_string(truth)
        .map_err(|error| format!("reading {}: {error}", truth.display()))?;
    let truth: Truth = serde_json::from_str(&text)
        .map_err(|error| format!("reading {}: {error}", truth.display()))?;
    let is_spot = |tag: &str| tag.trim_end_matches("/SIM") == "beamspot";
    let mut rows = Vec::new();
    for run in &truth.runs {
        let decision = decisions
            .iter()
            .find(|d| d.run.0 == run.run && is_spot(d.tag.as_str()));
        let measured = |name: &str, true_cm: f64| {
            let quantity = decision?.quantities.iter().find(|q| q.name == name)?;
            let (fit, error) = (
                quantity.value_nano as f64 * 1e-9,
                quantity.error_nano as f64 * 1e-9,
            );
            Some([true_cm, fit, error, (fit - true_cm) / error])
        };
        if let (Some(x0), Some(y0)) = (measured("x0_cm", run.x0_cm), measured("y0_cm", run.y0_cm)) {
            let opens = |iov: &Iov| first_run(iov) == run.run && is_spot(iov.tag.as_str());
            rows.push(TruthRow {
                run: run.run,
                x0,
                y0,
                new_iov: iovs.iter().any(opens),
            });
        }
    }
    let pulls: Vec<f64> = rows.iter().flat_map(|row| [row.x0[3], row.y0[3]]).collect();
    Ok((rows, summary_of(&pulls)))
}

fn summary_of(pulls: &[f64]) -> Option<PullSummary> {
    let n = pulls.len() as f64;
    if pulls.len() < 2 {
        return None;
    }
    let mean = pulls.iter().sum::<f64>() / n;
    let variance = pulls.iter().map(|pull| (pull - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Some(PullSummary {
        mean,
        width: variance.sqrt(),
        n: pulls.len() as u64,
    })
}
