//! Constants that come after prompt ran, with the real programs: what was made without them is
//! judged bad, listed exactly, made again, superseded at once, and its lineage is kept. And a tag
//! that a person holds, until an expert accepts what was proposed.
//!
//! In: runs that a detector plays into a spool, and people's words on tasks and tags. Out: what the
//! instance then says of outputs, verdicts and good runs.

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use support::{House, number, shipped_pipelines, text, tier0};

/// The pipelines that come with the program, on data that say that they are real.
const DAQ: &str = "[pipelines]\nfolder = \"pipelines\"\n\n[executor.local]\ncores = 2\n\n\
                   [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"cms\"\n\
                   label = \"real\"\n";
/// The run that is played; only real ones are certified, and its number says that it is one.
const RUN: &str = "100001";

/// A house with the shipped pipelines, whose prompt waits so long for constants; one run in its
/// spool.
fn house(name: &str, prompt_waits: &str) -> House {
    let house = House::new(name, DAQ);
    for (name, text) in shipped_pipelines() {
        let text = text.replace(
            "at_most = \"48h\"",
            &format!("at_most = \"{prompt_waits}\""),
        );
        house.write(&format!("pipelines/{name}"), text);
    }
    let (made, truth) = (house.path("sim.csv"), house.path("truth.json"));
    let (made, truth) = (made.display().to_string(), truth.display().to_string());
    let mc = [
        "program", "mc", "--out", &made, "--truth", &truth, "--runs", "3",
    ];
    tier0(&mc).says(0, &[]);
    let simulated = fs::read_to_string(&made).expect("just made");
    house.write("real.csv", simulated.replace("90000", "10000"));
    house
}

fn play(house: &House) {
    let (data, spool) = (house.path("real.csv"), house.path("spool"));
    let (data, spool) = (data.display().to_string(), spool.display().to_string());
    let mut inject = vec!["inject", "--data", &data, "--spool", &spool];
    inject.extend(["--run-type", "physics"]);
    inject.extend(["--drop-run", "100002", "--drop-run", "100003"]);
    tier0(&inject).says(0, &[]);
}

fn by_hand(house: &House, verb: &str, what: &str, run: Option<&str>) {
    let mut words = vec!["calib", verb, what, "--by", "alca", "--reason", "a test"];
    words.extend(run.into_iter().flat_map(|run| ["--run", run]));
    house.tier0(&words).says(0, &[]);
}

/// The verdict on the run, once there is one that is meant.
fn verdict(house: &House, word: &str) -> Value {
    house.until("the verdict is what it must be", || {
        let verdicts = house.list(&["dqm", "show", RUN]);
        let verdict = verdicts.into_iter().next()?;
        (text(&verdict, "verdict") == word).then_some(verdict)
    })
}

/// What prompt and what stands behind it have published: ids by dataset.
fn published(house: &House) -> Vec<Value> {
    let datasets = house.list(&["dataset", "ls"]);
    let names = datasets.iter().map(|dataset| text(dataset, "dataset"));
    let names = names.filter(|name| name.contains("/Prompt-v1/") || name.contains("/DQM-v1/"));
    names
        .flat_map(|name| house.list(&["dataset", "files", name]))
        .collect()
}

fn ids(outputs: &[Value]) -> BTreeSet<u64> {
    outputs.iter().map(|output| number(output, "id")).collect()
}

/// Outputs that `calib show` lists for a task and the run.
fn concerned(house: &House, task: &str) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let gates = house.list(&["calib", "show"]);
    let gate = gates.into_iter().find(|gate| text(gate, "task") == task);
    let runs = gate.map_or(json!([]), |gate| gate["runs"].clone());
    let listed = |key: &str| -> BTreeSet<u64> {
        let runs = runs.as_array().into_iter().flatten();
        let ids = runs.flat_map(|run| run[key].as_array().into_iter().flatten());
        ids.filter_map(Value::as_u64).collect()
    };
    (
        listed("outdated_outputs"),
        listed("made_from_outdated_outputs"),
    )
}

#[test]
fn late_constants_make_again_what_was_made_without_them_and_nothing_else() {
    let mut house = house("late", "1s");
    house.start();
    by_hand(&house, "hold", "calibration.harvest", None);
    play(&house);
    // Without a beam spot the residuals are nowhere near 0, and that is seen.
    let flagged = verdict(&house, "bad");
    assert!(flagged.to_string().contains("residual"), "{flagged}");
    assert_eq!(golden(&house), json!(null), "a bad run is no good run");
    let before = published(&house);
    assert!(before.len() >= 3, "{before:?}");
    let lumis_before = lumis(&house);

    // Prompt is held, so that the list stands still while it is read.
    by_hand(&house, "hold", "prompt.reco", None);
    by_hand(&house, "accept", "calibration.harvest", None);
    let (outdated, behind) = house.until("the constants are in force", || {
        let (outdated, behind) = concerned(&house, "prompt.reco");
        (!outdated.is_empty()).then_some((outdated, behind))
    });
    let all: BTreeSet<u64> = outdated.union(&behind).copied().collect();
    assert_eq!(all, ids(&before), "exactly what is published");
    assert_eq!(behind.len(), 1, "the merged histograms");

    by_hand(&house, "accept", "prompt.reco", None);
    let good = verdict(&house, "good");
    assert_eq!(good["refused"], json!(null), "{good}");
    assert_eq!(golden(&house), json!([[1, 3]]), "the good-run list follows");
    let after = published(&house);
    assert_eq!(after.len(), before.len(), "each has one in its place");
    assert!(ids(&after).is_disjoint(&ids(&before)), "{after:?}");
    assert_eq!(
        lumis(&house),
        lumis_before,
        "no lumi is lost, none is twice"
    );
    assert_eq!(concerned(&house, "prompt.reco"), Default::default());
    lineage_is_kept(&house, &before, &after);
    house.until_finished(1, support::PATIENCE);
    house.stop();
}

fn golden(house: &House) -> Value {
    let golden = house.tier0(&["dqm", "golden", "--label", "real"]);
    let golden: Value = serde_json::from_str(&golden.out).expect("the list is JSON");
    golden.get(RUN).cloned().unwrap_or_default()
}

/// Lumis and events of prompt's datasets.
fn lumis(house: &House) -> Vec<(String, Value, Value, Value)> {
    let datasets = house.list(&["dataset", "ls"]);
    let names = datasets.iter().map(|dataset| text(dataset, "dataset"));
    let names = names.filter(|name| name.contains("/Prompt-v1/"));
    let rows = |name: &str| {
        let rows = house.list(&["dataset", "lumis", name]);
        let row = |row: &Value| {
            let (lumis, events) = (row["lumis"].clone(), row["events"].clone());
            (name.to_owned(), lumis, events, row["files"].clone())
        };
        rows.iter().map(row).collect::<Vec<_>>()
    };
    names.flat_map(rows).collect()
}

/// Old and new name each other, the old files are still there, and the detector's files lead to
/// both.
fn lineage_is_kept(house: &House, before: &[Value], after: &[Value]) {
    for output in before {
        let id = number(output, "id").to_string();
        let old = house.ask(&["file", "show", &id]);
        assert_eq!(old["block"], json!(null), "{old}");
        let new = number(&old, "superseded_by");
        assert!(ids(after).contains(&new), "{old}");
        let new = house.ask(&["file", "show", &new.to_string()]);
        assert_eq!(number(&new, "replaces").to_string(), id, "{new}");
        assert_eq!(new["dataset"], old["dataset"]);
        let stored = house.path("state/storage").join(text(&old, "name"));
        assert!(stored.exists(), "nothing is deleted: {old}");
    }
    let aod = after
        .iter()
        .find(|output| text(output, "label") == "AOD")
        .expect("prompt makes it");
    let made = house.ask(&["file", "lineage", &number(aod, "id").to_string()]);
    let constants = made["made_by"]["recipe"]["constants"].as_array();
    let constants = constants.map_or(0, Vec::len);
    assert!(constants > 0, "made with constants: {made}");
    let source = number(&made["parents"][0], "id").to_string();
    let from_source = house.ask(&["file", "lineage", &source]);
    let children = from_source["children"].as_array().expect("it has some");
    let children: BTreeSet<u64> = children.iter().map(|child| number(child, "id")).collect();
    assert!(children.contains(&number(aod, "id")), "{from_source}");
    let old = number(aod, "replaces");
    assert!(children.contains(&old), "{from_source}");
    let job = house.ask(&["job", "show", &number(aod, "job").to_string()]);
    let first = number(&job, "redoes").to_string();
    let first = house.ask(&["job", "show", &first]);
    assert_eq!(text(&first, "state"), "superseded", "{first}");
    assert_eq!(first["replaced_by"], json!([number(aod, "job")]), "{first}");
}

#[test]
fn what_a_gate_would_put_into_a_held_tag_waits_for_an_expert() {
    let mut house = house("held", "48h");
    house.start();
    house
        .tier0(&["calib", "hold", "beamspot", "--by", "alca"])
        .says(4, &["why"]);
    by_hand(&house, "hold", "beamspot", None);
    play(&house);
    let held = house.until("a constant is proposed", || {
        let decisions = house.list(&["calib", "show", "beamspot"]);
        decisions.into_iter().next()
    });
    assert_eq!(text(&held, "outcome"), "held", "{held}");
    assert!(text(&held, "reason").contains("alca: a test"), "{held}");
    let hash = text(&held, "proposed").to_owned();
    assert_eq!(house.list(&["calib", "iovs", "beamspot"]).len(), 0);
    assert!(text(&house.ask(&["calib", "get", &hash]), "text").contains("x0_cm"));
    let why = house.until("prompt waits for it", || {
        let why = house.ask(&["why", &format!("task/{RUN}/prompt.reco")]);
        why.to_string().contains("held by alca").then_some(why)
    });
    assert!(why.to_string().contains("beamspot"), "{why}");

    by_hand(&house, "accept", "beamspot", None);
    house.until_finished(1, support::PATIENCE);
    verdict(&house, "good");
    let iovs = house.list(&["calib", "iovs", "beamspot"]);
    assert_eq!(text(&iovs[0], "hash"), hash, "{iovs:?}");
    let acts = house.list(&["audit", "ls"]);
    let verbs: Vec<&str> = acts.iter().map(|act| text(act, "verb")).collect();
    for verb in ["calib hold", "calib accept"] {
        assert!(verbs.contains(&verb), "{verbs:?}");
    }
    let (outdated, behind) = concerned(&house, "prompt.reco");
    assert!(outdated.is_empty() && behind.is_empty());
    house.stop();
}
