//! A drift chamber that is aligned by a running instance, from its example pipelines and simulated
//! tracks: constants follow the truth, a held one leaves a run wrong and its verdict says so, the
//! accepted one has it made again, and a table that is written anew counts from the next run on.
//!
//! In: `program mc --chamber` and its truth. Out: decisions, verdicts, payloads and lineage, as the
//! command line gives them.

mod support;

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use support::{House, number, text, tier0};

const DAQ: &str = "[pipelines]\nfolder = \"pipelines\"\n\n[[stream]]\nname = \"daq\"\n\
                   folder = \"spool\"\nprofile = \"cms\"\nlabel = \"simulated\"\n";
const TAG: &str = "alignment/SIM";
const FIRST_RUN: u64 = 900_001;
const RUNS: u64 = 5;
const PLANES: usize = 100;

/// An instance with the example, and a sample that it has not seen.
struct Chamber {
    house: House,
    truth: Value,
    played: usize,
}

impl Chamber {
    fn new() -> Self {
        let mut house = House::new("chamber", DAQ);
        for name in ["express", "calibration", "prompt", "dqm"] {
            house.write(&format!("pipelines/{name}.toml"), shipped(name));
        }
        let (tracks, truth) = (house.path("tracks.csv"), house.path("truth.json"));
        let (tracks, truth) = (tracks.display().to_string(), truth.display().to_string());
        let runs = RUNS.to_string();
        let made = ["--out", &tracks, "--truth", &truth, "--runs", &runs];
        let chamber = ["program", "mc", "--chamber", "--seed", "11"];
        tier0(&[&chamber[..], &made].concat()).says(0, &[]);
        let truth = std::fs::read(truth).expect("the truth was written");
        house.start();
        Self {
            house,
            truth: serde_json::from_slice(&truth).expect("the truth is JSON"),
            played: 0,
        }
    }

    /// Plays one run and waits until it is in this state.
    fn play(&mut self, run: u64, state: &str) {
        let (tracks, spool) = (self.house.path("tracks.csv"), self.house.path("spool"));
        let (tracks, spool) = (tracks.display().to_string(), spool.display().to_string());
        let others = (FIRST_RUN..FIRST_RUN + RUNS).filter(|other| *other != run);
        let others: Vec<String> = others.map(|other| other.to_string()).collect();
        let mut line = vec!["inject", "--data", &tracks, "--spool", &spool];
        line.extend(["--stream", "Chamber"]);
        for other in &others {
            line.extend(["--drop-run", other]);
        }
        tier0(&line).says(0, &[]);
        self.played += 1;
        self.until_state(run, state);
    }

    fn until_state(&self, run: u64, state: &str) {
        let run = run.to_string();
        self.house.until("the run is as far as that", || {
            let known = self.house.try_ask(&["run", "show", &run]).ok()?;
            (text(&known, "state") == state).then_some(())
        });
    }

    /// What was decided on the alignment of a run.
    fn decision(&self, run: u64) -> Value {
        self.house.until("the gate has decided", || {
            let decisions = self.house.list(&["calib", "show", TAG]);
            decisions.into_iter().find(|one| number(one, "run") == run)
        })
    }

    /// The verdict on a run, once it is this one.
    fn until_verdict(&self, run: u64, verdict: &str) -> Value {
        let run = run.to_string();
        self.house.until("the verdict is that", || {
            let shown = self.house.try_ask(&["dqm", "show", &run]).ok()?;
            let shown = shown["items"].get(0)?.clone();
            (text(&shown, "verdict") == verdict).then_some(shown)
        })
    }

    fn calib(&self, line: &[&str]) {
        let calib = ["calib"];
        let why = ["--by", "a", "--reason", "a test"];
        self.house
            .tier0(&[&calib[..], line, &why].concat())
            .says(0, &[]);
    }

    /// Pulls of the offsets in force for a run against where its planes truly were.
    fn pulls(&self, run: u64) -> Vec<f64> {
        let iovs = self
            .house
            .list(&["calib", "iovs", TAG, "--run", &run.to_string()]);
        let payload = self.house.tier0(&["calib", "get", text(&iovs[0], "hash")]);
        let payload: Value = serde_json::from_str(&payload.out).expect("a payload is JSON");
        let of_run = self.truth["runs"].as_array().and_then(|runs| {
            let mut runs = runs.iter();
            runs.find(|one| number(one, "run") == run)
        });
        let truth = of_run.expect("the truth has every run");
        let numbers = |of: &Value, name: &str| -> Vec<f64> {
            let listed = of[name].as_array().expect("a list");
            listed.iter().filter_map(Value::as_f64).collect()
        };
        let found = numbers(&payload, "offsets_cm");
        let errors = numbers(&payload, "offset_errs_cm");
        let expected = numbers(truth, "offsets_cm");
        assert_eq!(
            (found.len(), errors.len(), expected.len()),
            (PLANES, PLANES, PLANES)
        );
        let each = found.iter().zip(&expected).zip(&errors);
        each.map(|((found, expected), error)| (found - expected) / error)
            .collect()
    }
}

fn shipped(name: &str) -> String {
    let path = format!(
        "{}/pipelines/examples/chamber/{name}.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).expect("the example is here")
}

/// The definition of the calibration with its table typed out, which needs so many records.
fn typed_out(n_min: u64) -> String {
    let table = format!(
        "{}/pipelines/tables/chamber.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let table = std::fs::read_to_string(table).expect("the table is here");
    let numbers = |line: &&str| !line.starts_with("n_min");
    let rest: Vec<&str> = table.lines().filter(numbers).collect();
    let rest = rest.join("\n");
    let rest = rest.replace("[[coordinate]]", "[[task.gate.table.coordinate]]");
    let named = "table = \"chamber\"";
    let shipped = shipped("calibration");
    assert!(shipped.contains(named), "the example names its table");
    shipped.replace(named, "") + &format!("\n[task.gate.table]\nn_min = {n_min}\n{rest}\n")
}

#[test]
fn a_chamber_is_aligned_held_found_wrong_and_made_again() {
    let mut chamber = Chamber::new();
    let step = number(&chamber.truth, "step_run");
    let last = FIRST_RUN + RUNS - 1;
    assert!(step > FIRST_RUN && step < last, "{step}");

    for run in FIRST_RUN..step {
        chamber.play(run, "finished");
        let first = run == FIRST_RUN;
        let expect = if first { "update" } else { "no-change" };
        assert_eq!(text(&chamber.decision(run), "outcome"), expect, "run {run}");
        chamber.until_verdict(run, "good");
        let pulls = chamber.pulls(run);
        let square = pulls.iter().map(|pull| pull * pull).sum::<f64>() / PLANES as f64;
        // 100 pulls of width 1: 0.56 is three errors of it.
        assert!((0.5..1.5).contains(&square), "run {run}: {square}");
    }

    // A person holds the tag, the planes move, and another person does not wait.
    chamber.calib(&["hold", TAG]);
    chamber.play(step, "closed");
    let held = chamber.decision(step);
    assert_eq!(text(&held, "outcome"), "held", "{held}");
    let step_run = step.to_string();
    chamber.calib(&["accept", "chamber_prompt.reco", "--run", &step_run]);
    let bad = chamber.until_verdict(step, "bad");
    let tests = bad["tests"].to_string();
    assert!(tests.contains("planes_in_place"), "{bad}");
    let outputs = |label: &str| -> Vec<u64> {
        let datasets = chamber.house.list(&["dataset", "ls"]);
        let names = datasets.iter().map(|dataset| text(dataset, "dataset"));
        let rows = names.flat_map(|name| chamber.house.list(&["dataset", "files", name]));
        let own = rows.filter(|row| number(row, "run") == step && text(row, "label") == label);
        own.map(|row| number(&row, "id")).collect()
    };
    let before = outputs("AOD");

    // What was held is right: prompt and its data quality are made again, nothing else.
    chamber.calib(&["accept", TAG, "--run", &step_run]);
    chamber.until_verdict(step, "good");
    chamber.until_state(step, "finished");
    let jobs = chamber.house.list(&["job", "ls", "--run", &step_run]);
    let superseded = jobs.iter().filter(|job| text(job, "state") == "superseded");
    let mut superseded: Vec<&str> = superseded.map(|job| text(job, "task")).collect();
    superseded.sort_unstable();
    assert_eq!(superseded, ["harvest", "reco"]);
    let after = outputs("AOD");
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after, "another output stands in its place");
    let made = chamber
        .house
        .ask(&["file", "lineage", &after[0].to_string()]);
    let iovs = chamber
        .house
        .list(&["calib", "iovs", TAG, "--run", &step_run]);
    let recipe = &made["made_by"]["recipe"]["constants"][0];
    assert_eq!(recipe["hash"], iovs[0]["hash"], "{made}");
    let square = chamber
        .pulls(step)
        .iter()
        .map(|pull| pull * pull)
        .sum::<f64>();
    assert!((50.0..150.0).contains(&square), "{square}");

    // A table that needs more records than a run has counts for runs that begin from then on.
    let text_of_it = typed_out(1_000_000);
    chamber
        .house
        .write("pipelines/calibration.toml", text_of_it);
    kill_process(chamber.house.pid(), Signal::HUP).expect("the instance runs");
    chamber.house.until("it was read", || {
        chamber
            .house
            .log()
            .contains("get configuration")
            .then_some(())
    });
    for run in step + 1..=last {
        chamber.play(run, "finished");
        let veto = chamber.decision(run);
        assert_eq!(text(&veto, "outcome"), "veto", "{veto}");
        let reason = text(&veto, "reason");
        assert!(reason.contains("2000 of 1000000 records needed"), "{veto}");
        chamber.until_verdict(run, "good");
    }
    assert_eq!(chamber.house.list(&["alarm", "ls"]).len(), 0);
    chamber.house.stop();
}
