//! Beam spots, IOVs and residuals of real tracks, against numpy.

use crate::judging::{
    Comparison, Data, Item, Table, count, list, members, needs_data, number, raised, text,
};
use calibration::beamspot::{self, BeamSpot, Track};
use calibration::gate::{Candidate, OpenIov, Outcome, Quantity, Rule, judge as gate};
use serde_json::Value;
use std::collections::BTreeMap;

/// Tracks of each run; both muons of a row.
type Runs = BTreeMap<u32, Vec<Track>>;
/// Beam positions by run, cm.
type Positions = BTreeMap<u32, (f64, f64)>;

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let file = text(&case["data"]);
    let Some(table) = data.table(file) else {
        let mut ids = vec!["all runs".to_owned(), "IOVs".to_owned()];
        ids.extend(members(&case["per_run"]).map(|(run, _)| format!("run {run}")));
        let residuals = members(&case["residual_after_correction"]).filter(|(id, _)| *id != "note");
        ids.extend(residuals.map(|(id, _)| format!("residual {id}")));
        return ids.into_iter().map(|id| needs_data(id, file)).collect();
    };
    let runs = tracks_of(&table);
    let all: Vec<Track> = runs.values().flatten().copied().collect();
    let tolerance = &case["tolerance"];
    let mut items = vec![spot("all runs", &all, &case["all_runs"], tolerance)];
    for (run, expect) in members(&case["per_run"]) {
        let tracks = &runs[&run.parse().expect("keys are runs")];
        items.push(spot(&format!("run {run}"), tracks, expect, tolerance));
    }
    let spots: Result<BTreeMap<u32, BeamSpot>, _> = runs
        .iter()
        .map(|(run, tracks)| Ok((*run, beamspot::fit(tracks)?)))
        .collect();
    let (one, spots) = match (beamspot::fit(&all), spots) {
        (Ok(one), Ok(spots)) => (one, spots),
        (Err(error), _) | (_, Err(error)) => {
            let error: calibration::FitError = error;
            items.push(raised("IOVs", error));
            return items;
        }
    };
    let iovs = iovs_of(&spots);
    items.push(compare_iovs(&iovs, list(&case["iov_merge"]["iovs"])));
    let expect = &case["residual_after_correction"];
    let merged = iovs
        .iter()
        .flat_map(|iov| iov.runs.iter().map(|run| (*run, mean_cm(iov))));
    let per_run = spots
        .iter()
        .map(|(run, spot)| (*run, (spot.x0_cm, spot.y0_cm)));
    let same = runs.keys().map(|run| (*run, (one.x0_cm, one.y0_cm)));
    items.push(residuals("one_beam_spot", &runs, &same.collect(), expect));
    items.push(residuals("merged_iovs", &runs, &merged.collect(), expect));
    items.push(residuals("per_run", &runs, &per_run.collect(), expect));
    items
}

fn tracks_of(table: &Table) -> Runs {
    let mut runs = Runs::new();
    for muon in ["1", "2"] {
        let phi = table.numbers(&format!("phi{muon}"));
        let dxy = table.numbers(&format!("dxy{muon}"));
        for ((run, phi_rad), dxy_cm) in table.runs().into_iter().zip(phi).zip(dxy) {
            runs.entry(run).or_default().push(Track { phi_rad, dxy_cm });
        }
    }
    runs
}

fn spot(id: &str, tracks: &[Track], expect: &Value, tolerance: &Value) -> Item {
    let got = match beamspot::fit(tracks) {
        Ok(got) => got,
        Err(error) => return raised(id, error),
    };
    let position = number(&tolerance["x0_y0_abs_cm"]);
    let relative = number(&tolerance["err_rel"]);
    let mut comparison = Comparison::default();
    comparison.near("x0", got.x0_cm, number(&expect["x0_cm"]), position);
    comparison.near("y0", got.y0_cm, number(&expect["y0_cm"]), position);
    for (what, got, expect) in [
        ("x0_err", got.x0_err_cm, &expect["x0_err"]),
        ("y0_err", got.y0_err_cm, &expect["y0_err"]),
        ("resid_rms_cm", got.resid_rms_cm, &expect["resid_rms_cm"]),
    ] {
        comparison.near_relative(what, got, number(expect), relative);
    }
    comparison.near("corr", got.corr, number(&expect["corr"]), relative);
    comparison.equal("n_used", got.n_used, count(&expect["n_used"]));
    comparison.equal("n_tracks", got.n_tracks, count(&expect["n_tracks"]));
    comparison.item(id)
}

fn nano(value: f64) -> i64 {
    (value * 1e9).round() as i64
}

/// The gate's IOVs of all runs, in their order.
fn iovs_of(spots: &BTreeMap<u32, BeamSpot>) -> Vec<OpenIov> {
    let rule = Rule {
        n_min: 50,
        counted: "tracks".to_owned(),
        max_sigma: 3,
        max_move_nano: None,
        max_error_nano: None,
        limits: Vec::new(),
        accumulate: false,
    };
    let mut iovs: Vec<OpenIov> = Vec::new();
    for (run, spot) in spots {
        let quantity = |name: &str, value: f64, error: f64| Quantity {
            name: name.to_owned(),
            value_nano: nano(value),
            error_nano: nano(error),
        };
        let candidate = Candidate {
            tag: "beamspot".to_owned(),
            run: *run,
            n: spot.n_used,
            quantities: vec![
                quantity("x0_cm", spot.x0_cm, spot.x0_err_cm),
                quantity("y0_cm", spot.y0_cm, spot.y0_err_cm),
            ],
        };
        let (decision, after) = gate(&rule, iovs.last(), &candidate);
        if decision.outcome == Outcome::NoChange {
            iovs.pop();
        }
        iovs.extend(after);
    }
    iovs
}

fn mean_cm(iov: &OpenIov) -> (f64, f64) {
    let mean = |place: usize| iov.quantities[place].mean_nano() as f64 * 1e-9;
    (mean(0), mean(1))
}

fn compare_iovs(iovs: &[OpenIov], expect: &[Value]) -> Item {
    let mut comparison = Comparison::default();
    comparison.equal("number of IOVs", iovs.len(), expect.len());
    for (iov, expect) in iovs.iter().zip(expect) {
        let since = iov.since;
        comparison.equal("since", u64::from(since), count(&expect["since"]));
        let runs: Vec<u64> = list(&expect["runs"]).iter().map(count).collect();
        comparison.equal(
            "runs",
            iov.runs.iter().map(|run| u64::from(*run)).collect(),
            runs,
        );
        for (place, name) in ["x0", "y0"].into_iter().enumerate() {
            let got = &iov.quantities[place];
            let what = format!("{name} of {since}");
            let mean = number(&expect[format!("{name}_cm")]);
            comparison.near(&what, got.mean_nano() as f64 * 1e-9, mean, 1e-8);
            let error = number(&expect[format!("{name}_err")]);
            comparison.near_relative(&what, got.error_nano() as f64 * 1e-9, error, 1e-4);
        }
    }
    comparison.item("IOVs")
}

/// Residuals of all tracks after the beam positions are taken away.
fn residuals(id: &str, runs: &Runs, positions: &Positions, expect: &Value) -> Item {
    let mut all = Vec::new();
    for (run, tracks) in runs {
        let (x0, y0) = positions[run];
        let residual =
            |track: &Track| track.dxy_cm - beamspot::predicted_dxy_cm(x0, y0, track.phi_rad);
        all.extend(tracks.iter().map(residual));
    }
    let near: Vec<f64> = all
        .iter()
        .copied()
        .filter(|residual| residual.abs() < 0.025)
        .collect();
    let rms = (near.iter().map(|r| r * r).sum::<f64>() / near.len() as f64).sqrt();
    let expect = &expect[id];
    let mut comparison = Comparison::default();
    comparison.equal("n", near.len() as u64, count(&expect["n"]));
    comparison.near_relative(
        "rms_within_250um_cm",
        rms,
        number(&expect["rms_within_250um_cm"]),
        1e-4,
    );
    let half = beamspot::half_width_68_cm(&mut all);
    comparison.near_relative("half_68_cm", half, number(&expect["half_68_cm"]), 1e-5);
    comparison.item(format!("residual {id}"))
}
