//! Tests of the replay: names and records, repetition, choice of events, refusals. In: a small data
//! set. Out: the spool as a watcher would find it. Nothing outside its temporary folder is touched.

use super::*;
use std::collections::BTreeMap;

const HEADER: &str = "Run,Event,pt1,eta1,phi1,Q1,dxy1,iso1,pt2,eta2,phi2,Q2,dxy2,iso2";

/// A data set of 7 + 3 events in two runs, in an order of its own.
fn small() -> (tempfile::TempDir, InjectOptions) {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from(HEADER) + "\n";
    for (run, count) in [(12, 7), (9, 3)] {
        for event in (1..=count).rev() {
            text += &format!("{run},{event},50,0.1,0.2,1,0.01,0,40,-0.1,3.1,-1,0.02,0\n");
        }
    }
    let data = folder.path().join("small.csv");
    fs::write(&data, text).unwrap();
    let mut options = InjectOptions::new(folder.path().join("spool"), data);
    options.slice_events = 3;
    (folder, options)
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for run in fs::read_dir(folder).unwrap() {
        for file in fs::read_dir(run.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn play_quietly(options: &InjectOptions) -> Result<Played, InjectError> {
    play(options, &mut |_| ())
}

#[test]
fn a_run_is_records_files_and_sidecars_by_the_names_of_the_filter_farm() {
    let (_folder, options) = small();
    let played = play_quietly(&options).unwrap();
    let runs: Vec<_> = played
        .runs
        .iter()
        .map(|r| (r.run, r.files, r.events))
        .collect();
    assert_eq!(runs, [(9, 1, 3), (12, 3, 7)]);
    let found = files(&options.spool);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "run000009_ls0000_BoR.jsn",
            "run000009_ls0000_EoR.jsn",
            "run000009_ls0001_EoLS.jsn",
            "run000009_ls0001_streamMuons_pid00001.dat",
            "run000009_ls0001_streamMuons_pid00001.jsn",
            "run000012_ls0000_BoR.jsn",
            "run000012_ls0000_EoR.jsn",
            "run000012_ls0001_EoLS.jsn",
            "run000012_ls0001_streamMuons_pid00001.dat",
            "run000012_ls0001_streamMuons_pid00001.jsn",
            "run000012_ls0002_EoLS.jsn",
            "run000012_ls0002_streamMuons_pid00001.dat",
            "run000012_ls0002_streamMuons_pid00001.jsn",
            "run000012_ls0003_EoLS.jsn",
            "run000012_ls0003_streamMuons_pid00001.dat",
            "run000012_ls0003_streamMuons_pid00001.jsn",
        ]
    );
    let data = |name: &str| -> Vec<String> {
        let record: serde_json::Value = serde_json::from_slice(&found[name]).unwrap();
        serde_json::from_value(record["data"].clone()).unwrap()
    };
    let stem = "run000012_ls0003_streamMuons_pid00001";
    let bytes = &found[&format!("{stem}.dat")];
    let expect = [
        "1",
        "1",
        "0",
        "0",
        &format!("{stem}.dat"),
        &bytes.len().to_string(),
        "",
        &checksum(bytes).to_string(),
        "",
        "DAT",
        "0",
    ];
    assert_eq!(data(&format!("{stem}.jsn")), expect);
    assert_eq!(data("run000012_ls0000_BoR.jsn"), ["physics", "real"]);
    assert_eq!(data("run000012_ls0003_EoLS.jsn"), ["1", "1", "1", "0"]);
    assert_eq!(data("run000012_ls0000_EoR.jsn"), ["7", "3", "3", "3"]);
    let container = Container::from_bytes(bytes).unwrap();
    assert_eq!(container.events[0].event, 7);
}

#[test]
fn a_second_replay_changes_nothing_and_repairs_a_cut_one() {
    let (_folder, options) = small();
    play_quietly(&options).unwrap();
    let first = files(&options.spool);
    assert_eq!(play_quietly(&options).unwrap().files_present, 4);
    assert_eq!(files(&options.spool), first);
    let run = options.spool.join("run000012");
    fs::remove_file(run.join("run000012_ls0002_streamMuons_pid00001.jsn")).unwrap();
    fs::write(
        run.join("run000012_ls0002_streamMuons_pid00001.dat"),
        "half",
    )
    .unwrap();
    fs::remove_file(run.join("run000012_ls0000_EoR.jsn")).unwrap();
    play_quietly(&options).unwrap();
    assert_eq!(files(&options.spool), first);
}

#[test]
fn options_choose_events_and_bad_ones_are_refused_in_words() {
    let check = |change: fn(&mut InjectOptions), expect: &str| {
        let (_folder, mut options) = small();
        change(&mut options);
        let said = match play_quietly(&options) {
            Ok(played) => format!("{:?}", played.runs),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expect), "{said:?} lacks {expect:?}");
    };
    check(
        |o| o.drop_runs = vec![12],
        "[PlayedRun { run: 9, files: 1, events: 3 }]",
    );
    check(|o| o.drop_runs = vec![9, 12], "leave no events");
    check(
        |o| o.fraction = 0.0,
        "fraction is \"0\"; a fraction is above 0",
    );
    check(|o| o.fraction = f64::NAN, "fraction is \"NaN\"");
    check(|o| o.slice_events = 0, "at least one event");
    check(
        |o| o.stream = "A_B".into(),
        "a stream name is letters and digits",
    );
    check(
        |o| o.stream = "mystream".into(),
        "does not hold the word stream",
    );
    check(
        |o| o.run_type = "fun".into(),
        "physics, cosmics, calibration or test",
    );
    check(
        |o| o.label = Some(Label::Simulated),
        "the run numbers say otherwise",
    );
    check(
        |o| o.shift_vertex_cm = Some((f64::INFINITY, 0.0)),
        "two finite numbers",
    );
}

#[test]
fn a_fraction_keeps_the_same_events_whatever_else_is_dropped() {
    let kept = |seed: u64, drop_runs: Vec<u32>| {
        let (_folder, mut options) = small();
        (options.seed, options.fraction, options.drop_runs) = (seed, 0.5, drop_runs);
        options.slice_events = 100;
        play_quietly(&options).unwrap();
        let name = "run000012_ls0001_streamMuons_pid00001.dat";
        let container = Container::from_bytes(&files(&options.spool)[name]).unwrap();
        container
            .events
            .iter()
            .map(|event| event.event)
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(3, vec![]), kept(3, vec![9]));
    assert!((1..20).any(|seed| kept(seed, vec![9]) != kept(3, vec![9])));
}

#[test]
fn another_content_under_a_committed_name_is_a_conflict() {
    let (_folder, mut options) = small();
    play_quietly(&options).unwrap();
    options.shift_vertex_cm = Some((0.1, 0.0));
    let message = play_quietly(&options).unwrap_err().to_string();
    assert!(
        message.contains("is already committed with other content"),
        "{message}"
    );
}
