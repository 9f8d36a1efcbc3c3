//! Beam spots, IOVs and residuals of real tracks, against numpy.

use crate::judging::{
    Comparison, Data, Item, Table, caught, count, list, members_asked, needs_data, number,
    number_after, raised, text,
};
use calibration::beamspot::{self, BeamSpot, Clipping, Track};
use calibration::gate::{Candidate, OpenIov, Outcome, Quantity, Rule, judge as gate};
use serde_json::Value;
use std::collections::BTreeMap;

/// Tracks of each run; both muons of a row.
type Runs = BTreeMap<u32, Vec<Track>>;
/// Beam positions by run, cm.
type Positions = BTreeMap<u32, (f64, f64)>;

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let file = text(&case["data"]);
    let table = data.table(file);
    let runs = table.as_ref().map(tracks_of);
    let clipping = clipping(&case["selection"]);
    let item = |id: &str, of: &dyn Fn(&Runs) -> Item| match &runs {
        Some(runs) => caught(id, || of(runs), |item| item),
        None => needs_data(id, file),
    };
    let tolerance = &case["tolerance"];
    let mut items = Vec::new();
    if !case["all_runs"].is_null() {
        items.push(item("all runs", &|runs| {
            spot(
                "all runs",
                &all_of(runs),
                &clipping,
                &case["all_runs"],
                tolerance,
            )
        }));
    }
    for (run, expect) in members_asked(&case["per_run"]) {
        let id = format!("run {run}");
        items.push(item(&id, &|runs| {
            let number: u32 = run.parse().expect("keys are runs");
            let tracks = runs.get(&number).map_or(&[][..], Vec::as_slice);
            spot(&id, tracks, &clipping, expect, tolerance)
        }));
    }
    if !case["iov_merge"].is_null() {
        items.push(item("IOVs", &|runs| match spots_of(runs, &clipping) {
            Ok(spots) => compare_iovs(&iovs_of(&spots), &case["iov_merge"]),
            Err(error) => raised("IOVs", error),
        }));
    }
    let expected = &case["residual_after_correction"];
    for (which, expect) in members_asked(expected).filter(|(which, _)| *which != "note") {
        let id = format!("residual {which}");
        items.push(item(&id, &|runs| match positions(which, runs, &clipping) {
            Ok(positions) => residuals(&id, runs, &positions, expect),
            Err(why) => raised(&id, why),
        }));
    }
    items
}

/// The clipping that the case's words tell; what they do not tell is usual.
fn clipping(words: &Value) -> Clipping {
    let usual = Clipping::USUAL;
    let passes = number_after(words, "at most ").map(|passes| passes as u32);
    Clipping {
        max_dxy_cm: number_after(words, "|dxy|<").unwrap_or(usual.max_dxy_cm),
        sigmas: number_after(words, "|r|<").unwrap_or(usual.sigmas),
        max_passes: passes.unwrap_or(usual.max_passes),
    }
}

fn all_of(runs: &Runs) -> Vec<Track> {
    runs.values().flatten().copied().collect()
}

fn spots_of(
    runs: &Runs,
    clipping: &Clipping,
) -> Result<BTreeMap<u32, BeamSpot>, calibration::FitError> {
    let fit =
        |(run, tracks): (&u32, &Vec<Track>)| Ok((*run, beamspot::fit_clipped(tracks, clipping)?));
    runs.iter().map(fit).collect()
}

/// The beam positions by the name that the case gives to a correction.
fn positions(which: &str, runs: &Runs, clipping: &Clipping) -> Result<Positions, String> {
    let words = |error: calibration::FitError| error.to_string();
    let spots = || spots_of(runs, clipping).map_err(words);
    let at = |spot: &BeamSpot| (spot.x0_cm, spot.y0_cm);
    Ok(match which {
        "one_beam_spot" => {
            let one = beamspot::fit_clipped(&all_of(runs), clipping).map_err(words)?;
            runs.keys().map(|run| (*run, at(&one))).collect()
        }
        "merged_iovs" => iovs_of(&spots()?)
            .iter()
            .flat_map(|iov| iov.runs.iter().map(|run| (*run, mean_cm(iov))))
            .collect(),
        "per_run" => spots()?
            .iter()
            .map(|(run, spot)| (*run, at(spot)))
            .collect(),
        other => {
            return Err(format!(
                "a correction that this runner does not know: {other}"
            ));
        }
    })
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

fn spot(
    id: &str,
    tracks: &[Track],
    clipping: &Clipping,
    expect: &Value,
    tolerance: &Value,
) -> Item {
    let got = match beamspot::fit_clipped(tracks, clipping) {
        Ok(got) => got,
        Err(error) => return raised(id, error),
    };
    // What a case does not say is what the first one asked for.
    let allowed = |name: &str, usual: f64| tolerance[name].as_f64().unwrap_or(usual);
    let (position, relative) = (allowed("x0_y0_abs_cm", 1e-6), allowed("err_rel", 1e-4));
    let mut comparison = Comparison::default();
    comparison.near_asked("x0", got.x0_cm, &expect["x0_cm"], position);
    comparison.near_asked("y0", got.y0_cm, &expect["y0_cm"], position);
    for (what, got) in [
        ("x0_err", got.x0_err_cm),
        ("y0_err", got.y0_err_cm),
        ("resid_rms_cm", got.resid_rms_cm),
    ] {
        comparison.near_asked_relative(what, got, &expect[what], relative);
    }
    comparison.near_asked("corr", got.corr, &expect["corr"], relative);
    let used = got.n_used as f64;
    comparison.near_asked("n_used", used, &expect["n_used"], allowed("n_used", 0.0));
    comparison.count_asked("n_tracks", got.n_tracks, &expect["n_tracks"]);
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

fn compare_iovs(iovs: &[OpenIov], expect: &Value) -> Item {
    let mut comparison = Comparison::default();
    comparison.count_asked("n_iov", iovs.len() as u64, &expect["n_iov"]);
    if expect["iovs"].is_null() {
        return comparison.item("IOVs");
    }
    let expect = list(&expect["iovs"]);
    comparison.equal("number of IOVs", iovs.len(), expect.len());
    for (iov, expect) in iovs.iter().zip(expect) {
        let since = iov.since;
        comparison.count_asked("since", u64::from(since), &expect["since"]);
        if !expect["runs"].is_null() {
            let got: Vec<u64> = iov.runs.iter().map(|run| u64::from(*run)).collect();
            let runs: Vec<u64> = list(&expect["runs"]).iter().map(count).collect();
            comparison.equal("runs", got, runs);
        }
        for (place, name) in ["x0", "y0"].into_iter().enumerate() {
            let got = &iov.quantities[place];
            let what = format!("{name} of {since}");
            let mean = &expect[format!("{name}_cm")];
            comparison.near_asked(&what, got.mean_nano() as f64 * 1e-9, mean, 1e-8);
            let error = &expect[format!("{name}_err")];
            comparison.near_asked_relative(&what, got.error_nano() as f64 * 1e-9, error, 1e-4);
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
    let mut comparison = Comparison::default();
    let n = &expect["n"];
    for (name, expect) in members_asked(expect) {
        let Some(within_cm) = name
            .strip_prefix("rms_within_")
            .and_then(|name| name.strip_suffix("um_cm")?.parse::<f64>().ok())
            .map(|um| um * 1e-4)
        else {
            continue;
        };
        let near: Vec<f64> = all
            .iter()
            .copied()
            .filter(|residual| residual.abs() < within_cm)
            .collect();
        let rms = (near.iter().map(|r| r * r).sum::<f64>() / near.len() as f64).sqrt();
        comparison.near_relative(name, rms, number(expect), 1e-4);
        comparison.count_asked("n", near.len() as u64, n);
    }
    let half = beamspot::half_width_68_cm(&mut all);
    comparison.near_asked_relative("half_68_cm", half, &expect["half_68_cm"], 1e-5);
    comparison.item(id)
}
