//! What a run of the drift chamber is worth: good with the alignment of its own run, bad with that
//! of another or with a plane that sees nothing. In: simulated tracks, refitted by prompt. Out: the
//! verdict, and the test that says why.

use std::path::{Path, PathBuf};

use dqm::verdict::{Status, TestResult, Verdict, verdict};
use serde_json::{Value, json};

use crate::alignment_tests::{Sample, of_chamber, sample};
use crate::format::Container;

impl Sample {
    /// The verdict on a run refitted with `payload`, and its tests.
    fn judged(&mut self, run: u32, files: &[PathBuf], payload: Option<&Path>) -> Judged {
        let asked = of_chamber(&["AOD", "DQM"], payload);
        let made = self.chain.products("prompt", run, files, asked);
        let document = [made["DQM"].path.clone()];
        let mut asked = of_chamber(&["DQM_RUN"], None);
        // One plane of this chamber sees a tenth of what the others do, on purpose.
        asked["parameters"]["known_bad_planes"] = json!(7);
        let made = self.chain.products("dqm", run, &document, asked);
        let tests = made["DQM_RUN"].report["metrics"]["quality_tests"].clone();
        let of = |test: &Value| TestResult {
            name: test["name"].as_str().unwrap().to_owned(),
            histogram: test["histogram"].as_str().unwrap().to_owned(),
            status: [
                Status::Disabled,
                Status::InsufficientStatistics,
                Status::Ok,
                Status::Warning,
                Status::Error,
            ]
            .into_iter()
            .find(|status| status.code() == test["status"])
            .unwrap(),
            value_ppm: test["value_ppm"].as_u64().unwrap() as u32,
            message: test["message"].as_str().unwrap().to_owned(),
        };
        Judged(tests.as_array().unwrap().iter().map(of).collect())
    }
}

/// The tests of a run.
#[derive(Debug)]
struct Judged(Vec<TestResult>);

impl Judged {
    fn verdict(&self) -> Verdict {
        verdict(&self.0)
    }

    fn test(&self, name: &str) -> &TestResult {
        self.0.iter().find(|test| test.name == name).unwrap()
    }
}

/// Copies of raw files without the hits of one plane, 0 being the first.
fn without_plane(files: &[PathBuf], plane: usize, folder: &Path) -> Vec<PathBuf> {
    let copy = |file: &PathBuf| {
        let mut container = Container::from_bytes(&std::fs::read(file).unwrap()).unwrap();
        let run = container.header.run;
        for event in &mut container.events {
            let hits = crate::chamber_rows::hits(&event.rows[0]).unwrap();
            let kept: Vec<_> = hits.into_iter().filter(|hit| hit.plane != plane).collect();
            event.rows = vec![crate::chamber_rows::row(run, event.event, &kept)];
        }
        let copy = folder.join(file.file_name().unwrap());
        std::fs::write(&copy, container.to_bytes()).unwrap();
        copy
    };
    files.iter().map(copy).collect()
}

#[test]
fn a_run_is_good_with_its_own_alignment_and_bad_with_another_or_with_a_dead_plane() {
    let mut sample = sample(11, |options| options.runs = 3);
    let step = sample.truth.step_run;
    let (mut before, mut judged): (Option<PathBuf>, Vec<(String, Judged)>) = (None, Vec::new());
    for (run, files) in sample.chain.files() {
        let (mille, _) = sample.express(run, &files);
        let (candidate, _) = sample.harvest(run, &mille, before.as_deref());
        let own = sample.save(run, &candidate);
        let good = sample.judged(run, &files, Some(&own));
        assert_eq!(good.verdict(), Verdict::Good, "run {run}: {good:?}");
        if run == step {
            let late = sample.judged(run, &files, before.as_deref());
            judged.push((
                format!("run {run} with the alignment before the step"),
                late,
            ));
            let folder = tempfile::tempdir().unwrap();
            let copies = without_plane(&files, 41, folder.path());
            let dead = sample.judged(run, &copies, Some(&own));
            let told = &dead.test("planes_see").message;
            assert!(told.starts_with("plane 42 is dead: 0 hits"), "{told}");
            assert_eq!(dead.test("planes_in_place").status, Status::Ok, "{dead:?}");
            judged.push((format!("run {run} without plane 42"), dead));
        }
        before = Some(own);
    }
    let (_, late) = &judged[0];
    assert_eq!(
        late.test("planes_in_place").status,
        Status::Error,
        "{late:?}"
    );
    assert_eq!(late.test("planes_see").status, Status::Ok, "{late:?}");
    for (what, tests) in &judged {
        println!("{what}: {:?}, {:?}", tests.verdict(), tests.0);
        assert_eq!(tests.verdict(), Verdict::Bad, "{what}: {tests:?}");
    }
}

#[test]
fn a_chamber_that_nobody_has_aligned_is_bad_and_few_tracks_are_not_judged() {
    let mut sample = sample(12, |options| {
        (options.runs, options.tracks_per_run) = (3, 200);
    });
    let (run, files) = sample.chain.files().into_iter().next().unwrap();
    let raw = sample.judged(run, &files, None);
    assert_eq!(raw.verdict(), Verdict::Bad, "{raw:?}");
    assert_eq!(raw.test("tracks_fit").status, Status::Error, "{raw:?}");
    let folder = tempfile::tempdir().unwrap();
    let mut container = Container::from_bytes(&std::fs::read(&files[0]).unwrap()).unwrap();
    container.events.truncate(5);
    container.header.events = 5;
    let few = folder.path().join(files[0].file_name().unwrap());
    std::fs::write(&few, container.to_bytes()).unwrap();
    let few = sample.judged(run, &[few], None);
    for name in ["planes_see", "planes_in_place"] {
        assert_eq!(
            few.test(name).status,
            Status::InsufficientStatistics,
            "{few:?}"
        );
    }
}
