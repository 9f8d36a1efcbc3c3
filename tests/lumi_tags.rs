//! Tags that count by lumi and by time, with a real program: each job reads for every lumi of its
//! own what is in force there, and for its run what was in force when it began; a better interval
//! has exactly the work of its lumis made again; and all of it goes elsewhere and back unchanged.
//!
//! In: runs of several lumis in a spool, constants that people put. Out: what programs found for
//! each lumi, against what the exported document says, worked out here from its rows alone.

mod support;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use support::{House, number, text};

const FILES: &str = "[pipelines]\nfolder = \"pipelines\"\n\n[programs]\ntell = \"tell.py\"\n\n\
                     [[stream]]\nname = \"drop\"\nfolder = \"spool\"\nlabel = \"real\"\n\
                     pattern = \"run{run}_ls{lumi}.dat\"\nstream = \"files\"\n";
const TELL: &str = "[pipeline]\nname = \"tell\"\ntrigger = { stream = \"files\" }\n\n\
                    [[task]]\nname = \"tell\"\nprogram = [\"{program:tell}\"]\n\
                    split = { by = \"lumi\", lumis_per_job = 2 }\n\
                    needs = { conditions = [\"spot\", \"map\"] }\n\
                    release = { when = \"run_closed\", redo = \"auto\" }\n\
                    outputs = { TOLD = \"json\" }\n";
/// Writes for each of its lumis the constant of `spot` that its job names for it, and that of
/// `map`.
const PROGRAM: &str = r#"#!/usr/bin/env python3
import json, os

def constant(interval):
    with open(interval["path"]) as payload:
        return json.load(payload)

with open(os.environ["TIER0_JOB"]) as text:
    job = json.load(text)
told = {}
for first, last in job["lumis"]:
    for lumi in range(first, last + 1):
        lumi_tag = job["conditions"]["tags"].get("spot")
        intervals = lumi_tag.get("intervals", [lumi_tag]) if lumi_tag else []
        at = job["run"] * 2**32 + lumi
        begun = [interval for interval in intervals if interval["since"] <= at]
        told[lumi] = constant(begun[-1]) if begun else None
tags = job["conditions"]["tags"]
with open("TOLD.json", "w") as out:
    json.dump({"spot": told, "map": constant(tags["map"]), "tags": tags}, out)
"#;

fn put(house: &House, tag: &str, since: &str, constant: &Value) {
    let file = house.write("constant.json", constant.to_string());
    let file = file.display().to_string();
    let line = ["calib", "put", tag, &file, "--since", since, "--by", "a"];
    let made = ["--synchronisation", "any", "--reason", "a test"];
    house.tier0(&[&line[..], &made[..]].concat()).says(0, &[]);
}

/// A run with a file for each lumi, all of which are here.
fn play(house: &House, run: u64, lumis: u32) {
    for lumi in 1..=lumis {
        house.put(&format!("run{run}_ls{lumi}.dat"), format!("lumi {lumi}"));
    }
    let run = run.to_string();
    house.until("every file is here", || {
        let files = house.list(&["file", "ls", "--run", &run]);
        (files.len() == lumis as usize).then_some(())
    });
    let last = lumis.to_string();
    let stop = ["run", "stop", &run, "--last-lumi", &last, "--by", "a"];
    let stop = [&stop[..], &["--reason", "a test"]].concat();
    house.tier0(&stop).says(0, &[]);
    finished(house, &run);
}

fn finished(house: &House, run: &str) {
    house.until("the run is finished", || {
        let run = house.ask(&["run", "show", run]);
        (text(&run, "state") == "finished").then_some(())
    });
}

/// What stands published of a run: what its programs told, by the jobs that did.
fn told(house: &House, run: u64) -> BTreeMap<u64, Value> {
    let datasets = house.list(&["dataset", "ls"]);
    let names = datasets.iter().map(|dataset| text(dataset, "dataset"));
    let rows = names.flat_map(|name| house.list(&["dataset", "files", name]));
    let own = rows.filter(|row| number(row, "run") == run);
    own.map(|row| {
        let path = house.path("state/storage").join(text(&row, "name"));
        let content = fs::read(path).expect("what is published is there");
        let content = serde_json::from_slice(&content).expect("it is JSON");
        (number(&row, "job"), content)
    })
    .collect()
}

fn export(house: &House) -> Value {
    let file = house.path("conditions.json").display().to_string();
    house.tier0(&["calib", "export", &file]).says(0, &[]);
    let content = fs::read(&file).expect("it was written");
    serde_json::from_slice(&content).expect("it is JSON")
}

/// The constant of a tag in force at a point, by looking at every row of the document.
fn in_force(document: &Value, tag: &str, point: u64) -> Value {
    let rows = document["iovs"].as_array().expect("rows").iter();
    let own = rows.filter(|row| text(row, "tag_name") == tag && number(row, "since") <= point);
    let best = own.max_by_key(|row| {
        let inserted = number(row, "insertion_time_us");
        (number(row, "since"), inserted, number(row, "sequence"))
    });
    let Some(best) = best else { return Value::Null };
    let payloads = document["payloads"].as_array().expect("rows").iter();
    let mut own = payloads.filter(|row| row["hash"] == best["payload_hash"]);
    let data = text(own.next().expect("it is in the document"), "data");
    serde_json::from_str(data).expect("it is JSON")
}

/// When a run began, in microseconds.
fn began_us(house: &House, run: u64) -> u64 {
    let run = house.ask(&["run", "show", &run.to_string()]);
    let at = model::time::Moment::parse(text(&run, "opened_at")).expect("a moment");
    u64::try_from(at.as_micros()).expect("after 1970")
}

/// Compares every lumi of a run with the document; gives the jobs whose work stands.
fn judge(house: &House, run: u64, lumis: u64) -> BTreeSet<u64> {
    let document = export(house);
    let told = told(house, run);
    let mut seen = BTreeSet::new();
    for (job, told) in &told {
        for (lumi, constant) in told["spot"].as_object().expect("lumis") {
            let lumi: u64 = lumi.parse().expect("a number");
            let expect = in_force(&document, "spot", (run << 32) | lumi);
            assert_eq!(*constant, expect, "lumi {lumi} of run {run}, job {job}");
            assert!(seen.insert(lumi), "lumi {lumi} is there once");
        }
        let expect = in_force(&document, "map", began_us(house, run));
        assert_eq!(told["map"], expect, "run {run}, job {job}");
    }
    assert!(seen.into_iter().eq(1..=lumis), "every lumi is there");
    told.into_keys().collect()
}

#[test]
fn each_lumi_gets_its_constant_and_a_better_one_is_for_its_lumis_alone() {
    let mut house = House::new("lumi-tags", FILES);
    house.write("pipelines/tell.toml", TELL);
    house.program("tell.py", PROGRAM);
    house.start();
    put(&house, "spot", "7:2", &json!({"x_cm": 1}));
    put(&house, "spot", "7:4", &json!({"x_cm": 2}));
    put(&house, "spot", "7:5", &json!({"x_cm": 3}));
    put(&house, "map", "2020-01-01T00:00:00Z", &json!({"b_t": 1}));
    play(&house, 7, 6);
    let first = judge(&house, 7, 6);
    assert_eq!(first.len(), 3);

    // Two intervals are read in lumis 3 and 4, one in 5 and 6; job.json has always had the first.
    let of_lumi = |lumi: &str| {
        let told = told(&house, 7).into_values();
        let mut own = told.filter(|told| told["spot"].get(lumi).is_some());
        own.next().expect("somebody had it")["tags"].clone()
    };
    let (two, one) = (of_lumi("4"), of_lumi("6"));
    let lumi = |lumi: u64| (7_u64 << 32) | lumi;
    assert_eq!(two["spot"]["time_type"], "Lumi");
    assert_eq!(two["map"]["time_type"], "Time");
    assert_eq!(two["spot"]["since"], lumi(2));
    assert_eq!(two["spot"]["intervals"][0]["hash"], two["spot"]["hash"]);
    assert_eq!(two["spot"]["intervals"][1]["since"], lumi(4));
    assert_eq!(one["spot"]["since"], lumi(5));
    assert_eq!(one["spot"].get("intervals"), None);

    // The run is over: what begins behind its beginning by time is for later runs.
    let behind = (began_us(&house, 7) + 1).to_string();
    put(&house, "map", &behind, &json!({"b_t": 2}));
    house.stop();
    house.start();
    put(&house, "spot", "7:6", &json!({"x_cm": 4}));
    house.until("the work of its lumis is made again", || {
        let jobs = house.list(&["job", "ls", "--run", "7"]);
        let done = |job: &&Value| text(job, "state") == "done";
        (jobs.len() == 4 && jobs.iter().filter(done).count() == 3).then_some(())
    });
    finished(&house, "7");
    let second = judge(&house, 7, 6);
    assert_eq!(
        first.intersection(&second).count(),
        2,
        "{first:?} {second:?}"
    );
    play(&house, 9, 2);
    judge(&house, 9, 2);
    assert_eq!(house.list(&["job", "ls"]).len(), 5, "nothing else was made");

    // What is in force for the run is what its lumis are in, shown as people write it.
    let in_run = house.list(&["calib", "iovs", "spot", "--run", "7"]);
    let sinces = in_run.iter().map(|iov| number(iov, "since"));
    assert!(sinces.eq([2, 4, 5, 6].map(lumi)), "{in_run:?}");
    let table = house.tier0(&["calib", "iovs", "spot"]).out;
    assert!(table.contains("run 7 lumi 5"), "{table}");
    let map = house.list(&["calib", "iovs", "map", "--run", "7"]);
    assert_eq!(map.len(), 1, "{map:?}");
    assert_eq!(text(&map[0], "time_type"), "time");
    let unknown = house.list(&["calib", "iovs", "map", "--run", "8"]);
    assert_eq!(unknown, [] as [Value; 0], "it has not begun");

    let document = export(&house);
    house.stop();
    goes_elsewhere(&document);
}

/// Taken in elsewhere, it is given again as it came.
fn goes_elsewhere(document: &Value) {
    let mut elsewhere = House::new("lumi-tags-elsewhere", FILES);
    elsewhere.write("pipelines/tell.toml", TELL);
    elsewhere.program("tell.py", PROGRAM);
    elsewhere.start();
    let file = elsewhere.write("brought.json", document.to_string());
    let file = file.display().to_string();
    elsewhere.tier0(&["calib", "import", &file]).says(0, &[]);
    assert_eq!(export(&elsewhere), *document);
    elsewhere.stop();
    elsewhere.start();
    assert_eq!(export(&elsewhere), *document);
    elsewhere.stop();
}

#[test]
fn what_is_typed_for_a_tag_of_another_count_is_refused() {
    let mut house = House::new("lumi-tags-typed", FILES);
    house.write("pipelines/tell.toml", TELL);
    house.program("tell.py", PROGRAM);
    house.start();
    put(&house, "spot", "7:2", &json!({"x_cm": 1}));
    let file = house.path("constant.json").display().to_string();
    let typed = |since: &str, more: &[&str]| {
        let line = ["calib", "put", "spot", &file, "--since", since, "--by", "a"];
        house.tier0(&[&line[..], more].concat())
    };
    let counts = "spot counts by lumi, and a since of it is a lumi of a run";
    typed("2026-11-27T19:48:13Z", &[]).says(4, &[counts]);
    typed("8", &["--time-type", "run"]).says(4, &[counts]);
    typed("8", &[]).says(4, &["8 is no since of spot", "(run << 32) | lumi"]);
    typed("2147483648:1", &[]).says(4, &["runs are numbered up to 2147483647"]);
    typed("8:1", &["--time-type", "time"]).says(2, &["run 8 lumi 1 is by lumi"]);
    typed("8:one", &[]).says(2, &["RUN:LUMI"]);
    typed("8:1", &["--time-type", "week"]).says(2, &["run, lumi or time"]);
    assert_eq!(house.list(&["calib", "iovs"]).len(), 1, "nothing was put");
    let drawn = house.path("spot.svg").display().to_string();
    let drawn = ["calib", "show", "spot", "--svg", &drawn];
    house.tier0(&drawn).says(4, &["spot counts by lumi"]);
    house.stop();
}
