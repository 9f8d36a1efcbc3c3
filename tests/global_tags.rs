//! Tasks that read their constants by a global tag, with the real programs: they wait until it is
//! here and say what to do, go on by themselves, and get what was in force at its moment although
//! newer intervals were put later.
//!
//! In: runs in a spool, constants that people put, global tags that they make or import. Out: what
//! programs found in `job.json`, and what the instance says of it.

mod support;

use serde_json::{Value, json};
use std::fs;
use support::{House, number, text, tier0};

/// Each file becomes a job whose outputs are its own `job.json` and the payload that it found.
const FILES: &str = "[pipelines]\nfolder = \"pipelines\"\n\n[programs]\ntell = \"tell.sh\"\n\n\
                     [[stream]]\nname = \"drop\"\nfolder = \"spool\"\nlabel = \"real\"\n\
                     pattern = \"run{run}_{part}.dat\"\nstream = \"files\"\n";
const TELL: &str = "[pipeline]\nname = \"tell\"\ntrigger = { stream = \"files\" }\n\n\
                    [[task]]\nname = \"tell\"\nprogram = [\"{program:tell}\"]\n\
                    needs = { global_tag = \"SUMMER\", conditions = [\"Survey\", \"Survey:fine\"] }\n\
                    release = { when = \"run_closed\", redo = \"auto\" }\n\
                    outputs = { JOB = \"json\", SURVEY = \"json\" }\n";
const PROGRAM: &str = "#!/bin/sh\ncp \"$TIER0_JOB\" JOB.json\n\
                       found=$(sed -n 's/.*\"Survey\":{[^}]*\"path\":\"\\([^\"]*\\)\".*/\\1/p' JOB.json)\n\
                       cp \"$found\" SURVEY.json\n";

fn telling(name: &str) -> House {
    let house = House::new(name, FILES);
    house.write("pipelines/tell.toml", TELL);
    house.program("tell.sh", PROGRAM);
    house
}

fn put(house: &House, tag: &str, since: &str, constant: &Value) {
    let file = house.write("constant.json", constant.to_string());
    let file = file.display().to_string();
    let line = ["calib", "put", tag, &file, "--since", since, "--by", "a"];
    let made = ["--synchronisation", "any", "--reason", "a test"];
    house.tier0(&[&line[..], &made[..]].concat()).says(0, &[]);
}

fn global(house: &House, name: &str, records: &[&str]) {
    let line = [&["calib", "global", name, "--by", "a"], records].concat();
    house.tier0(&line).says(0, &[]);
}

/// A run with one file, which has ended.
fn play(house: &House, run: &str) {
    house.put(&format!("run{run}_first.dat"), "data");
    house.until("the run is known", || {
        house.try_ask(&["run", "show", run]).ok()
    });
    let stop = ["run", "stop", run, "--last-lumi", "1", "--by", "a"];
    let stop = [&stop[..], &["--reason", "a test"]].concat();
    house.tier0(&stop).says(0, &[]);
}

fn finished(house: &House, run: &str) {
    house.until("the run is finished", || {
        let run = house.ask(&["run", "show", run]);
        (text(&run, "state") == "finished").then_some(())
    });
}

/// Why the task of a run waits.
fn waits(house: &House, task: &str) -> Value {
    house.until("it waits for its global tag", || {
        let why = house.ask(&["why", task]);
        let wait = why["waits"].get(0)?.clone();
        (text(&wait, "kind") == "global-tag").then_some(wait)
    })
}

/// What stands published of a run and label: the rows.
fn published(house: &House, run: u64, label: &str) -> Vec<Value> {
    let datasets = house.list(&["dataset", "ls"]);
    let names = datasets.iter().map(|dataset| text(dataset, "dataset"));
    let rows = names.flat_map(|name| house.list(&["dataset", "files", name]));
    let own = rows.filter(|row| number(row, "run") == run && text(row, "label") == label);
    own.collect()
}

fn content(house: &House, output: &Value) -> Vec<u8> {
    let path = house.path("state/storage").join(text(output, "name"));
    fs::read(&path).expect("what is published is there")
}

/// The one output of a run and label, as JSON.
fn document(house: &House, run: u64, label: &str) -> Value {
    let outputs = published(house, run, label);
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    serde_json::from_slice(&content(house, &outputs[0])).expect("it is JSON")
}

#[test]
fn a_task_gets_what_its_global_tag_says_whatever_is_put_later() {
    let mut house = telling("global-tag");
    house.start();
    play(&house, "7");
    let wait = waits(&house, "task/7/tell.tell");
    let reason = text(&wait, "reason");
    assert!(reason.contains("SUMMER is not known here"), "{wait}");
    assert!(text(&wait, "remedy").contains("calib import"), "{wait}");
    let alarms = house.list(&["alarm", "ls"]);
    assert!(
        alarms
            .iter()
            .any(|a| text(a, "key") == "global-tag/7/tell.tell"),
        "somebody is asked: {alarms:?}"
    );
    put(&house, "survey_v2", "5", &json!({"x_cm": 1}));
    put(&house, "survey_fine", "6", &json!({"x_cm": 10}));
    global(
        &house,
        "SUMMER",
        &["Survey=survey_v2", "Survey:fine=survey_fine"],
    );
    finished(&house, "7");
    // For every run, and for those that are still to come.
    put(&house, "survey_v2", "6", &json!({"x_cm": 2}));
    put(&house, "survey_v2", "8", &json!({"x_cm": 3}));
    house.stop();
    house.start();
    play(&house, "9");
    finished(&house, "9");

    let iovs = house.list(&["calib", "iovs", "survey_v2", "--run", "9"]);
    let newest = text(&iovs[0], "hash").to_owned();
    let globals = house.list(&["calib", "tags", "--global"]);
    for run in [7, 9] {
        assert_eq!(document(&house, run, "SURVEY"), json!({"x_cm": 1}));
        let job = document(&house, run, "JOB");
        let conditions = &job["conditions"];
        assert_eq!(conditions["global_tag"], "SUMMER", "{job}");
        assert_eq!(conditions["snapshot"], globals[0]["snapshot_at"], "{job}");
        let (survey, fine) = (
            &conditions["tags"]["Survey"],
            &conditions["tags"]["Survey:fine"],
        );
        assert_eq!(
            (text(survey, "tag"), number(survey, "since")),
            ("survey_v2", 5)
        );
        assert_eq!(
            (text(fine, "tag"), number(fine, "since")),
            ("survey_fine", 6)
        );
        assert_ne!(text(survey, "hash"), newest, "{job}");
        // What it was made with is kept, and nothing of it is outdated.
        let output = number(&published(&house, run, "JOB")[0], "id").to_string();
        let made = house.ask(&["file", "lineage", &output]);
        let recipe = &made["made_by"]["recipe"];
        assert_eq!(recipe["global_tag"], "SUMMER", "{made}");
        assert_eq!(recipe["constants"][0]["hash"], survey["hash"], "{made}");
    }
    let jobs = house.list(&["job", "ls"]);
    assert_eq!(jobs.len(), 2, "nothing was made again: {jobs:?}");
    assert_eq!(
        house.list(&["alarm", "ls"]).len(),
        0,
        "nobody is asked any more"
    );
    house.stop();
}

#[test]
fn the_example_goes_on_once_its_global_tag_is_imported() {
    let again = include_str!("../pipelines/examples/global_tag/again.toml");
    let daq = "[pipelines]\nfolder = \"pipelines\"\n\n[[stream]]\nname = \"daq\"\n\
               folder = \"spool\"\nprofile = \"cms\"\nlabel = \"simulated\"\n";
    // Elsewhere the constants are made, and a newer one after the global tag.
    let mut elsewhere = House::new("global-tag-made", daq);
    elsewhere.write("pipelines/again.toml", again);
    elsewhere.start();
    let beamspot = |x0_cm: f64| json!({"x0_cm": x0_cm, "y0_cm": 0.04});
    put(&elsewhere, "beamspot_v2/SIM", "1", &beamspot(0.07));
    put(&elsewhere, "scale_v2/SIM", "1", &json!({"k": 1.5}));
    let records = ["beamspot=beamspot_v2/SIM", "scale=scale_v2/SIM"];
    global(&elsewhere, "SUMMER", &records);
    put(&elsewhere, "beamspot_v2/SIM", "1", &beamspot(0.08));
    let export = elsewhere.path("conditions.json").display().to_string();
    elsewhere.tier0(&["calib", "export", &export]).says(0, &[]);
    let iovs = elsewhere.list(&["calib", "iovs", "beamspot_v2/SIM"]);
    let hash = |at: usize| text(&iovs[at], "hash").to_owned();
    let in_force = elsewhere.list(&["calib", "iovs", "beamspot_v2/SIM", "--run", "900001"]);
    let newest = text(&in_force[0], "hash").to_owned();
    let first = (0..2).map(hash).find(|hash| *hash != newest);
    let first = first.expect("two constants were put");

    let mut house = House::new("global-tag-example", daq);
    house.write("pipelines/again.toml", again);
    house.start();
    let (made, truth) = (house.path("sim.csv"), house.path("truth.json"));
    let (made, truth) = (made.display().to_string(), truth.display().to_string());
    let mc = [
        "program", "mc", "--out", &made, "--truth", &truth, "--runs", "3",
    ];
    tier0(&mc).says(0, &[]);
    let spool = house.path("spool").display().to_string();
    let inject = [
        "inject",
        "--data",
        &made,
        "--spool",
        &spool,
        "--run-type",
        "physics",
    ];
    tier0(&inject).says(0, &[]);
    let runs = house.until("the run is known", || {
        let runs = house.list(&["run", "ls"]);
        (!runs.is_empty()).then_some(runs)
    });
    let run = number(&runs[0], "run");
    waits(&house, &format!("task/{run}/again.reco"));
    house.tier0(&["calib", "import", &export]).says(0, &[]);
    house.until_finished(3, support::PATIENCE);
    let outputs = published(&house, run, "AOD");
    assert!(!outputs.is_empty());
    for output in &outputs {
        let table = content(&house, output);
        let notes = |what: &str| {
            table
                .windows(what.len())
                .any(|part| part == what.as_bytes())
        };
        assert!(notes("tier0.global_tag") && notes("SUMMER"), "{output}");
        assert!(notes(&first) && !notes(&newest), "{output}");
    }
    house.stop();
}
