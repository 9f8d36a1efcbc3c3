//! A run that was processed with wrong constants is called bad, and why; with its own it is good.
//! In: simulated runs with known truth. Out: verdicts, as the job program that tests a run gives
//! them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::chain_tests::{Chain, simulated};

/// A payload in a file, as an entry of a job's conditions.
fn payload(folder: &Path, tag: &str, content: &Value) -> Value {
    let path = folder.join(format!("{tag}.json"));
    std::fs::write(&path, content.to_string()).unwrap();
    json!({"since": 1, "hash": tag, "path": path})
}

/// The quality tests of a run that prompt has corrected with this beam spot and this scale.
fn tests_with(
    chain: &mut Chain,
    run: u32,
    files: &[PathBuf],
    beamspot_cm: (f64, f64),
    k: f64,
) -> Vec<Value> {
    let folder = chain.folder.path().to_owned();
    let (x0_cm, y0_cm) = beamspot_cm;
    let spot = json!({"x0_cm": x0_cm, "y0_cm": y0_cm});
    let tags = json!({
        "beamspot": payload(&folder, "beamspot", &spot),
        "scale": payload(&folder, "scale", &json!({ "k": k })),
    });
    let made = chain.products("prompt", run, files, json!({"conditions": {"tags": tags}}));
    let document = made["DQM"].path.clone();
    let made = chain.products("dqm", run, &[document], json!({}));
    let tests = &made["DQM_RUN"].report["metrics"]["quality_tests"];
    tests.as_array().unwrap().clone()
}

/// The tests that say bad, by name, with what they say.
fn bad(tests: &[Value]) -> Vec<(&str, &str)> {
    tests
        .iter()
        .filter(|test| test["status"] == 300)
        .map(|test| {
            (
                test["name"].as_str().unwrap(),
                test["message"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_run_with_wrong_constants_is_bad_and_says_why() {
    let (_folder, path, truth) = simulated(8);
    let mut chain = Chain::new(&path, |_| ());
    let files = chain.files();
    for spot in &truth.runs {
        let (run, k) = (spot.run, truth.scale_k);
        let own = (spot.x0_cm, spot.y0_cm);
        let mut with = |spot_cm, k| tests_with(&mut chain, run, &files[&run], spot_cm, k);

        let tests = with(own, k);
        assert_eq!(tests.len(), 7);
        for test in &tests {
            assert_eq!(test["status"], 100, "run {run}: {test}");
        }

        // The step of the generator, 60 um, in one coordinate and in both.
        for (off_cm, expect) in [
            ((0.006, 0.0), vec!["beamspot_x"]),
            ((0.0, -0.006), vec!["beamspot_y"]),
            ((-0.004, 0.004), vec!["beamspot_x", "beamspot_y"]),
        ] {
            let tests = with((own.0 + off_cm.0, own.1 + off_cm.1), k);
            let bad = bad(&tests);
            println!("run {run}, beam spot off by {off_cm:?} cm: {bad:?}");
            let names: Vec<&str> = bad.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, expect, "run {run}: {tests:?}");
            for (_, message) in bad {
                assert!(message.contains("expected -20 to 20"), "{message}");
            }
        }

        // A hundred GeV and more: hardly a pair is left where masses are looked at.
        for (factor, expect) in [
            (1.015, "mass_peak"),
            (0.985, "mass_peak"),
            (1.5, "mass_in_window"),
        ] {
            let tests = with(own, k * factor);
            let bad = bad(&tests);
            println!("run {run}, k wrong by {factor}: {bad:?}");
            let names: Vec<&str> = bad.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [expect], "run {run}: {tests:?}");
        }
    }
}

#[test]
fn constants_of_the_run_before_the_step_spoil_the_run_behind_it() {
    let (_folder, path, truth) = simulated(8);
    let mut chain = Chain::new(&path, |_| ());
    let files = chain.files();
    for pair in truth.runs.windows(2) {
        let (before, run) = (&pair[0], pair[1].run);
        let tests = tests_with(
            &mut chain,
            run,
            &files[&run],
            (before.x0_cm, before.y0_cm),
            truth.scale_k,
        );
        assert_eq!(
            !bad(&tests).is_empty(),
            run == truth.step_run,
            "run {run}: {tests:?}"
        );
    }
}
