//! The alignment loop from simulated tracks to refitted ones, by the same entry that a worker uses:
//! express emits Mille records, harvest solves, the decision table decides, prompt refits with the
//! payload. In: chambers with planted shifts that change at one run. Out: decisions at the right
//! runs, pulls against the truth, residuals against a perfect chamber, and refusals in words.

use std::path::{Path, PathBuf};

use calibration::chamber::{PLANES, offset_label};
use calibration::millepede::{Form, Precision, Records};
use calibration::thresholds::{Coordinate, Outcome, Solved, Table, Thresholds, decide};
use serde_json::{Value, json};

use crate::chain_tests::Chain;
use crate::chamber_mc::{self, ChamberOptions, ChamberTruth};
use crate::monitor::{CHAMBER_RESIDUAL, Document};
use crate::{run, table};

/// A replayed sample of tracks with its truth.
pub(super) struct Sample {
    pub(super) chain: Chain,
    pub(super) truth: ChamberTruth,
    _folder: tempfile::TempDir,
}

pub(super) fn sample(seed: u64, change: impl FnOnce(&mut ChamberOptions)) -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let (path, truth) = (
        folder.path().join("tracks.csv"),
        folder.path().join("truth.json"),
    );
    let mut options = ChamberOptions::new(path.clone(), truth.clone(), seed);
    change(&mut options);
    chamber_mc::write(&options, &mut |_| ()).unwrap();
    Sample {
        chain: Chain::new(&path, |options| options.stream = "Chamber".into()),
        truth: serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap(),
        _folder: folder,
    }
}

/// The thresholds that `pipelines/tables/chamber.toml` ships.
fn thresholds() -> Thresholds {
    let coordinate = |name: &str, max_move_nano| Coordinate {
        name: name.to_owned(),
        cut_nano: 3_000_000,
        max_move_nano,
        max_error_nano: 20_000_000,
        significance_milli: 2500,
        share_permille: 50,
    };
    Thresholds {
        records_min: 1_000,
        coordinates: vec![
            coordinate("offset_cm", 1_000_000_000),
            coordinate("drift", 200_000_000),
        ],
    }
}

/// The part of a job that is the chamber's own.
pub(super) fn of_chamber(labels: &[&str], payload: Option<&Path>) -> Value {
    let outputs: Vec<Value> = labels
        .iter()
        .map(|label| json!({"label": label, "path": label}))
        .collect();
    let payload = payload.map(|path| json!({"since": 1, "hash": "hash-alignment", "path": path}));
    json!({
        "outputs": outputs,
        "parameters": {"detector": "chamber", "label": "simulated"},
        "conditions": {"tags": {"alignment": payload}},
    })
}

impl Sample {
    /// Mille files of a run, a job each lumi; and the residuals express saw.
    pub(super) fn express(&mut self, run: u32, files: &[PathBuf]) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let (mut mille, mut monitors) = (Vec::new(), Vec::new());
        for file in files {
            let asked = of_chamber(&["RECO", "MILLE", "DQM"], None);
            let file = std::slice::from_ref(file);
            let made = self.chain.products("express", run, file, asked);
            mille.push(made["MILLE"].path.clone());
            monitors.push(made["DQM"].path.clone());
        }
        (mille, monitors)
    }

    /// The candidate of a run, and what the table decides on it.
    pub(super) fn harvest(
        &mut self,
        run: u32,
        mille: &[PathBuf],
        payload: Option<&Path>,
    ) -> (Value, Table) {
        let asked = of_chamber(&["HARVEST"], payload);
        let made = self.chain.products("harvest", run, mille, asked);
        let candidate = made["HARVEST"].report["metrics"]["candidates"][0].clone();
        let solved: Solved = serde_json::from_value(candidate["solved"].clone())
            .unwrap_or_else(|_| panic!("{}", candidate["reason"]));
        assert_eq!(solved.records, candidate["n"]);
        (candidate, decide(&thresholds(), &solved))
    }

    /// Width of the residuals of a run refitted with `payload`, in um.
    fn prompt(&mut self, run: u32, files: &[PathBuf], payload: Option<&Path>) -> f64 {
        let asked = of_chamber(&["AOD", "DQM"], payload);
        let made = self.chain.products("prompt", run, files, asked);
        let rows = table::Table::read(&made["AOD"].path).unwrap().rows();
        assert_eq!(made["AOD"].report["events_read"], rows);
        width_um(std::slice::from_ref(&made["DQM"].path))
    }

    pub(super) fn save(&self, run: u32, candidate: &Value) -> PathBuf {
        let path = self
            .chain
            .folder
            .path()
            .join(format!("alignment{run}.json"));
        std::fs::write(&path, candidate["payload"].as_str().unwrap()).unwrap();
        path
    }

    /// Pulls of the offsets of all planes of a run against the truth.
    fn pulls(&self, run: u32, candidate: &Value) -> Vec<f64> {
        let truth = self.truth.runs.iter().find(|of| of.run == run).unwrap();
        let all = candidate["quantities"].as_array().unwrap();
        (0..PLANES)
            .map(|plane| {
                let name = format!("plane{}_offset_cm", plane + 1);
                let quantity = all
                    .iter()
                    .find(|quantity| quantity["name"] == name)
                    .unwrap();
                let number = |key: &str| quantity[key].as_f64().unwrap() * 1e-9;
                (number("value_nano") - truth.offsets_cm[plane]) / number("error_nano")
            })
            .collect()
    }
}

/// Standard deviation of the residuals in documents, from bins and with those outside the range
/// put at its edges: where they lie further out, the width is larger still.
fn width_um(documents: &[PathBuf]) -> f64 {
    let (mut sum, mut squares, mut entries) = (0.0, 0.0, 0.0);
    for path in documents {
        let (_, histograms) = Document::read(&std::fs::read(path).unwrap()).unwrap();
        let found = histograms.iter().find(|one| one.name() == CHAMBER_RESIDUAL);
        let histogram = found.unwrap();
        let axis = histogram.axis();
        let last = axis.bins + 1;
        for (bin, n) in histogram.contents().iter().enumerate() {
            let at = match bin {
                0 => axis.low,
                bin if bin == last => axis.high,
                bin => axis.low + (bin as f64 - 0.5) * axis.width(),
            };
            sum += n * at;
            squares += n * at * at;
            entries += n;
        }
    }
    let mean = sum / entries;
    (squares / entries - mean * mean).sqrt()
}

fn mean_and_width(pulls: &[f64]) -> (f64, f64) {
    let n = pulls.len() as f64;
    let mean = pulls.iter().sum::<f64>() / n;
    let variance = pulls.iter().map(|pull| (pull - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

#[test]
fn the_loop_follows_the_step_and_gives_the_residuals_of_a_perfect_chamber() {
    let mut perfect = sample(11, |options| {
        (
            options.offset_um,
            options.velocity_permille,
            options.step_um,
        ) = (0.0, 0.0, 0.0);
    });
    let mut sample = sample(11, |_| ());
    let (mut in_force, mut before): (Option<PathBuf>, _) = (None, None);
    let mut pulls = Vec::new();
    for (run, files) in sample.chain.files() {
        let unshifted = perfect.chain.files()[&run].clone();
        let best_um = perfect.prompt(run, &unshifted, None);
        let (mille, monitors) = sample.express(run, &files);
        let (candidate, table) = sample.harvest(run, &mille, in_force.as_deref());
        let first = in_force.is_none();
        let expect = if first || run == sample.truth.step_run {
            Outcome::Update
        } else {
            Outcome::None
        };
        println!("run {run}: {:?}, {}", table.outcome, table.reason);
        assert_eq!(table.outcome, expect, "run {run}: {}", table.reason);
        assert_eq!(table.rows.len(), 2 * PLANES);
        if table.outcome == Outcome::Update {
            before = in_force.replace(sample.save(run, &candidate));
        }
        let own = sample.pulls(run, &candidate);
        let (mean, width) = mean_and_width(&own);
        pulls.extend(own);
        let raw_um = width_um(&monitors);
        let after_um = sample.prompt(run, &files, in_force.as_deref());
        println!(
            "run {run}: pulls of 100 offsets {mean:.3} +- {width:.3}; residuals {raw_um:.2} um, \
             refitted {after_um:.2} um, unshifted {best_um:.2} um"
        );
        assert!((after_um / best_um - 1.0).abs() < 0.02, "run {run}");
        assert!(raw_um > 2.0 * best_um, "run {run}");
        if run == sample.truth.step_run {
            // Without the new payload the step is seen.
            let late_um = sample.prompt(run, &files, before.as_deref());
            println!("run {run}: {late_um:.2} um with the payload before");
            assert!(late_um > 1.1 * best_um, "run {run}");
        }
    }
    let (mean, width) = mean_and_width(&pulls);
    println!(
        "pulls of {} offsets: mean {mean:.3}, width {width:.3}",
        pulls.len()
    );
    assert_eq!(pulls.len(), 600);
    assert!(mean.abs() < 0.15 && (0.9..1.1).contains(&width));
}

#[test]
fn a_run_with_a_tenth_of_its_records_is_vetoed() {
    let mut sample = sample(12, |options| options.runs = 3);
    let (run, files) = sample.chain.files().into_iter().next().unwrap();
    let (mille, _) = sample.express(run, &files);
    assert_eq!(mille.len(), 10);
    let (_, whole) = sample.harvest(run, &mille, None);
    assert_eq!(whole.outcome, Outcome::Update, "{}", whole.reason);
    let (_, tenth) = sample.harvest(run, &mille[..1], None);
    println!("{}", tenth.reason);
    assert_eq!(tenth.outcome, Outcome::Veto);
    assert!(
        tenth.reason.starts_with("200 of 1000 records needed"),
        "{}",
        tenth.reason
    );
}

#[test]
fn any_split_into_jobs_gives_the_same_alignment_and_the_same_job_the_same_bytes() {
    let mut sample = sample(13, |options| {
        (options.runs, options.tracks_per_run) = (3, 600);
    });
    let (run, files) = sample.chain.files().into_iter().next().unwrap();
    let (apart, _) = sample.express(run, &files);
    let asked = || of_chamber(&["MILLE"], None);
    let together = sample.chain.products("express", run, &files, asked())["MILLE"]
        .path
        .clone();
    let again = sample.chain.products("express", run, &files, asked())["MILLE"]
        .path
        .clone();
    let bytes = |path: &PathBuf| std::fs::read(path).unwrap();
    assert_eq!(bytes(&together), bytes(&again));
    assert_eq!(
        bytes(&together),
        apart.iter().flat_map(bytes).collect::<Vec<u8>>()
    );
    let (one, _) = sample.harvest(run, &[together], None);
    let (three, _) = sample.harvest(run, &apart, None);
    assert_eq!(one["quantities"], three["quantities"]);
    assert_eq!(one["payload"], three["payload"]);
}

#[test]
fn damaged_and_strange_inputs_are_refused_with_a_reason() {
    let mut sample = sample(14, |options| {
        (options.runs, options.tracks_per_run) = (3, 200);
    });
    let mut runs = sample.chain.files().into_iter();
    let (run, files) = runs.next().unwrap();
    let (next, _) = runs.next().unwrap();
    let (mille, _) = sample.express(run, &files);
    let good = std::fs::read(&mille[0]).unwrap();
    let folder = sample.chain.folder.path().to_owned();
    let mut check = |program: &str, run: u32, bytes: &[u8], more: Value, expect: &str| {
        let path = folder.join("damaged");
        std::fs::write(&path, bytes).unwrap();
        let (report, _) = sample.chain.report(program, run, &[path], more);
        let (class, said) = (
            &report["exit"]["class"],
            report["exit"]["message"].to_string(),
        );
        assert_eq!(class, "input", "{said}");
        assert!(said.contains(expect), "{said:?} lacks {expect:?}");
        println!("{said}");
    };
    let harvest = || of_chamber(&["HARVEST"], None);
    let cut = &good[..good.len() - 100];
    check("harvest", run, cut, harvest(), "record 200 at byte");
    check(
        "harvest",
        run,
        b"PAR1 not Mille",
        harvest(),
        "reading Mille records of",
    );
    check(
        "harvest",
        next,
        &good,
        harvest(),
        &format!("is run {run}, this job works on run"),
    );
    // A record without run and lumi: one measurement, y = 1 +- 1, of parameter 12.
    let mut bare = (-8_i32).to_le_bytes().to_vec();
    bare.extend(
        [0.0_f64, 1.0, 1.0, 1.0]
            .iter()
            .flat_map(|number| number.to_le_bytes()),
    );
    bare.extend(
        [0_i32, 0, 0, 12]
            .iter()
            .flat_map(|index| index.to_le_bytes()),
    );
    check(
        "harvest",
        run,
        &bare,
        harvest(),
        "record 1 does not say its run and lumi",
    );
    let mut cut_between = harvest();
    let path = folder.join("damaged");
    cut_between["inputs"] = json!([{"path": path, "events": 199}]);
    check(
        "harvest",
        run,
        &good,
        cut_between,
        "of events 200, the job says 199",
    );
    let tracks = std::fs::read(&files[0]).unwrap();
    let muons = json!({"outputs": [{"label": "RECO", "path": "RECO"}]});
    check("express", run, &tracks, muons, "\\\"pt1\\\" is missing");
    let mut third = of_chamber(&["RECO"], None);
    third["parameters"]["detector"] = json!("bubbles");
    let (report, _) = sample.chain.report("express", run, &files, third);
    let said = report["exit"]["message"].to_string();
    assert!(
        said.contains("it must be \\\"muons\\\" or \\\"chamber\\\""),
        "{said}"
    );
}

#[test]
fn a_fit_that_cannot_be_done_is_a_candidate_with_a_reason_and_a_bad_payload_fails_the_job() {
    let mut sample = sample(15, |options| {
        (options.runs, options.tracks_per_run) = (3, 3);
    });
    let (run, files) = sample.chain.files().into_iter().next().unwrap();
    let (mille, _) = sample.express(run, &files);
    let made = sample
        .chain
        .products("harvest", run, &mille, of_chamber(&["HARVEST"], None));
    let candidate = &made["HARVEST"].report["metrics"]["candidates"][0];
    assert_eq!(candidate["quantities"], json!([]));
    let reason = candidate["reason"].as_str().unwrap();
    assert!(
        reason.contains("parameters is free: at least 10 entries are needed"),
        "{reason}"
    );
    let path = sample.chain.folder.path().join("payload.json");
    let payload = |offsets: Vec<f64>| json!({"offsets_cm": offsets, "drifts": offsets}).to_string();
    let mut far = vec![0.5; PLANES];
    far[3] = 1e304;
    for (text, why) in [
        (
            r#"{"offsets_cm": [1]}"#.to_owned(),
            "offsets_cm is not a list of 100 numbers",
        ),
        (
            payload(vec![0.5; 99]),
            "offsets_cm is not a list of 100 numbers",
        ),
        (
            payload(far),
            "offsets_cm of plane 4 is 1e304, it is at most 100",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let asked = of_chamber(&["AOD"], Some(&path));
        let (report, _) = sample.chain.report("prompt", run, &files, asked);
        assert_eq!(report["exit"]["class"], "program");
        let said = report["exit"]["message"].to_string();
        assert!(said.contains(why), "{said}");
    }
}

/// The first run of a chamber one of whose planes is dead: the others are aligned all the same, and
/// the dead one stays where it was drawn.
#[test]
fn a_dead_plane_in_a_first_run_does_not_stop_the_others() {
    const DEAD: usize = 40;
    let mut sample = sample(17, |options| options.runs = 3);
    let (run, files) = sample.chain.files().into_iter().next().unwrap();
    let (mille, _) = sample.express(run, &files);
    for (lumi, path) in (1..).zip(&mille) {
        let all = Records::read("all", &std::fs::read(path).unwrap(), Form::C).unwrap();
        let mut seen = Records::default();
        for record in 0..all.len() {
            seen.special(&[(1, f64::from(run)), (2, f64::from(lumi))]);
            for hit in all.measurements(record) {
                if hit.labels[0] == offset_label(DEAD) {
                    continue;
                }
                let local = [(1, hit.local[0]), (2, hit.local[1])];
                // A drift length of zero has no derivative.
                let global = hit.labels.iter().zip(hit.global);
                let global: Vec<(i32, f64)> = global.map(|(l, by)| (*l, *by)).collect();
                seen.measure(hit.value, hit.sigma, &local, &global).unwrap();
            }
            seen.end_record();
        }
        std::fs::write(path, seen.write(Form::C, Precision::Double)).unwrap();
    }
    let (candidate, table) = sample.harvest(run, &mille, None);
    assert_eq!(table.outcome, Outcome::Update, "{}", table.reason);
    assert_eq!(table.rows.len(), 2 * (PLANES - 1));
    let payload: Value = serde_json::from_str(candidate["payload"].as_str().unwrap()).unwrap();
    let truth = sample.truth.runs.iter().find(|of| of.run == run).unwrap();
    for (plane, truth_cm) in truth.offsets_cm.iter().enumerate() {
        let of = |name: &str| payload[name][plane].as_f64();
        if plane == DEAD {
            let dead = (of("offsets_cm"), of("drifts"));
            assert_eq!(dead, (Some(0.0), Some(0.0)));
            assert_eq!((of("offset_errs_cm"), of("drift_errs")), (None, None));
            continue;
        }
        assert!(of("offset_errs_cm").unwrap() > 0.0);
        // Where the dead plane is drawn shifts and tilts the others a little, by at most this.
        let off_cm = of("offsets_cm").unwrap() - truth_cm;
        let gauge_cm = 0.05 * truth.offsets_cm[DEAD].abs() + 0.01;
        assert!(off_cm.abs() < gauge_cm, "plane {plane} is {off_cm} cm off");
    }
}

#[test]
fn a_fit_that_does_not_end_normally_proposes_nothing() {
    let mut sample = sample(16, |options| {
        // Shifts that are small, or no record would be near enough to be used at all.
        (options.runs, options.tracks_per_run) = (3, 200);
        options.offset_um = 100.0;
    });
    let (run, files) = sample.chain.files().into_iter().next().unwrap();
    let (mille, _) = sample.express(run, &files);
    let good = Records::read("good", &std::fs::read(&mille[0]).unwrap(), Form::C).unwrap();
    // Errors that are claimed to be half of what they are.
    let mut claimed = Records::default();
    for record in 0..good.len() {
        claimed.special(&[(1, f64::from(run)), (2, 1.0)]);
        for hit in good.measurements(record) {
            let local = [(1, hit.local[0]), (2, hit.local[1])];
            let global = [
                (hit.labels[0], hit.global[0]),
                (hit.labels[1], hit.global[1]),
            ];
            claimed
                .measure(hit.value, 0.5 * hit.sigma, &local, &global)
                .unwrap();
        }
        claimed.end_record();
    }
    std::fs::write(&mille[0], claimed.write(Form::C, Precision::Double)).unwrap();
    let (candidate, table) = sample.harvest(run, &mille, None);
    assert_eq!(candidate["quantities"], json!([]));
    let reason = candidate["reason"].as_str().unwrap();
    assert!(
        reason.contains("1   Ended with warnings (bad measurements)"),
        "{reason}"
    );
    assert_eq!(table.outcome, Outcome::Veto);
    assert!(
        table.reason.contains("ended with code 1"),
        "{}",
        table.reason
    );
}

#[test]
fn the_flag_makes_tracks_and_options_of_dimuons_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let args = |more: &[&str]| -> Vec<String> {
        let out = [
            "--out".to_owned(),
            file("t.csv"),
            "--truth".to_owned(),
            file("t.json"),
        ];
        let more = more.iter().map(|text| (*text).to_owned());
        out.into_iter().chain(more).collect()
    };
    let small = ["--chamber", "--runs", "3", "--events-per-run", "2"];
    assert_eq!(run("mc", &args(&small)), 0);
    let csv = std::fs::read_to_string(file("t.csv")).unwrap();
    assert!(csv.starts_with("Run,Event,plane1,"), "{csv}");
    assert_eq!(csv.lines().count(), 7);
    assert_eq!(run("mc", &args(&["--chamber", "--drift-um", "1"])), 2);
    assert_eq!(run("mc", &args(&["--offset-um", "1"])), 2);
}
