//! What goes wrong in the field, replayed: each trigger of `docs/pathologies.md` that no other
//! table plays, with what follows from it here.
//!
//! In come the same words as everywhere, out comes what the engine says. What must never be: that
//! the trouble of one run stops another, or that a wait has no name.

use crate::play::Play;
use crate::{check, check_with};
use pipelines::assembly::assemble;
use pipelines::choice::Eras;
use pipelines::document::Document;
use pipelines::draft::Draft;
use pipelines::reader::Reader;
use std::collections::{BTreeMap, BTreeSet};

/// Repack of one stream, a job as soon as lumis follow each other for a kilobyte.
const REPACK: &str = r#"
[pipeline]
name = "p"
trigger = { stream = "Muons" }
[[task]]
name = "pack"
program = ["x"]
split = { by = "repack", max_size_multi_lumi = "1kB", max_latency = "60s" }
"#;

/// Repack and its merge in the sizes of real files.
const LARGE: &str = r#"
[pipeline]
name = "p"
trigger = { stream = "Muons" }
[[task]]
name = "pack"
program = ["x"]
outputs = { RAW = "root" }
split = { by = "repack", max_size_multi_lumi = "1B" }
[[task]]
name = "merge"
input = "pack.RAW"
program = ["x"]
outputs = { MERGED = "root" }
[task.split]
by = "repack_merge"
min_size = "2GB"
max_size = "3GB"
max_over_size = "5GB"
max_edm_size = "100GB"
max_latency = "60s"
"#;

/// A job a file.
const LOOK: &str = r#"
[pipeline]
name = "p"
trigger = { stream = "Muons" }
[[task]]
name = "look"
program = ["x"]
split = { by = "file", files_per_job = 1 }
outputs = { LOOK = "json" }
retry = { attempts = 3, policy = "constant", base = "1s" }
"#;

#[test]
fn a_stream_that_nobody_knows_and_a_wrong_configuration_stop_nobody() {
    check(&[
        ("file 1 1 a 100 of=Unheard", "file a; run 1 physics open"),
        ("take wrong", "alarm config-reload; refused: a mistake"),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 2 1 100", "start express#1 attempt 1 on 1"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; express#1 done",
        ),
        (
            "holds",
            "task/1/prompt.reco conditions: no decision yet on beamspot, scale; task/2/calibration.harvest earlier-run: constants of run 1 are decided first, 18.0 h at most; task/2/prompt.reco conditions: no decision yet on beamspot, scale, 48.0 h at most",
        ),
        (
            "accept calibration.harvest 2",
            "done: calibration.harvest of run 2 is accepted; start calibration#1 attempt 1 on 1",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 2; beamspot of run 2: update; scale since 2; scale of run 2: update; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot since 2 and scale since 2; calibration#1 done",
        ),
        ("files 1 1 1 of=Unheard", ""),
        (
            "end 1 1",
            "beamspot of run 1: abandoned; scale of run 1: abandoned; run 1 not-run, not certified; run 1 physics finished",
        ),
        ("why run/1", ""),
    ]);
}

#[test]
fn a_trickle_behind_a_hole_waits_no_longer_than_twice_its_time() {
    check_with(
        Play::with_pipeline(REPACK),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 2 b 10", "file b"),
            ("lumi 1 2 10", ""),
            ("wait 50", ""),
            ("file 1 3 c 10", "file c"),
            ("lumi 1 3 10", ""),
            (
                "holds",
                "task/1/p.pack lumi-hole: lumi 1 has neither data here nor is it declared \
                 empty: lumi 2 and what follows wait for it, 10.00 s at most",
            ),
            ("wait 50", ""),
            ("file 1 4 d 10", "file d"),
            ("lumi 1 4 10", ""),
            (
                "holds",
                "task/1/p.pack lumi-hole: lumi 1 has neither data here nor is it declared \
                 empty: lumi 2 and what follows wait for it, 20.00 s at most",
            ),
            ("restart", ""),
            (
                "wait 21",
                "alarm lumis-missing/1/Muons; start p#1 attempt 1 on 3 lumis 2-2 3-3 4-4",
            ),
            ("file 1 5 e 10", "file e"),
            ("lumi 1 5 10", ""),
            ("wait 60", ""),
            ("wait 1", "start p#2 attempt 1 on 1 lumis 5-5"),
            ("file 1 1 a 10", "file a; cleared lumis-missing/1/Muons"),
            ("lumi 1 1 10", "start p#3 attempt 1 on 1 lumis 1-1"),
            ("file 1 7 g 10", "file g"),
            ("lumi 1 7 10", ""),
            (
                "accept p.pack 1",
                "done: p.pack of run 1 is accepted; start p#4 attempt 1 on 1 lumis 7-7",
            ),
        ],
    );
}

#[test]
fn missing_records_surplus_files_and_silent_ends_have_names_and_are_settled() {
    check(&[
        // Of lumi 2 no record comes.
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("file 1 2 b 100", "file b"),
        ("end 1 2", "run 1 physics ending"),
        // One file more than was written.
        ("file 2 1 c 100", "file c; run 2 physics open"),
        ("file 2 1 d 100", "file d"),
        ("files 2 1 1", "alarm lumi-disputed/2/Muons/1"),
        ("end 2 1", "run 2 physics ending"),
        // Nobody says when it ended.
        ("file 3 1 e 100", "file e; run 3 physics open"),
        ("lumi 3 1 100", "start express#2 attempt 1 on 1"),
        // All is well.
        ("file 4 1 f 100", "file f; run 4 physics open"),
        ("lumi 4 1 100", "start express#3 attempt 1 on 1"),
        ("end 4 1", "run 4 physics closed"),
        ("wait 121", "alarm lumis-missing/1/Muons"),
        (
            "why run/1",
            "lumi/1/Muons/2 waits for lumi-record; task/1/prompt.reco waits for conditions",
        ),
        (
            "why run/2",
            "lumi/2/Muons/1 waits for lumi-disputed; task/2/calibration.harvest waits for earlier-run; task/2/prompt.reco waits for conditions",
        ),
        (
            "why run/3",
            "run/3 waits for end-of-run; task/3/calibration.harvest waits for earlier-run; task/3/prompt.reco waits for conditions",
        ),
        (
            "ok express#3",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; express#3 done",
        ),
        (
            "why run/4",
            "task/4/calibration.harvest waits for earlier-run; task/4/prompt.reco waits for conditions",
        ),
        ("wait 3600", "alarm run-silent/3"),
        ("restart", ""),
        (
            "close 1 dry",
            "would run 1: 1 lumi of a stream is declared lost: lumi/1/Muons/2",
        ),
        (
            "close 1",
            "shifter did run close to run/1; done: run 1: 1 lumi of a stream is declared lost: lumi/1/Muons/2; cleared lumis-missing/1/Muons; start express#4 attempt 1 on 1; run 1 physics closed",
        ),
        (
            "close 2 ls=1 as=here",
            "cleared lumi-disputed/2/Muons/1; shifter did run close to run/2; done: run 2: 1 lumi of a stream is declared here: lumi/2/Muons/1; start express#5 attempt 1 on 2; run 2 physics closed",
        ),
        (
            "stop 3 1",
            "done: run 3 ends with lumi 1; cleared run-silent/3; run 3 physics closed",
        ),
        (
            "why run/3",
            "task/3/calibration.harvest waits for earlier-run; task/3/prompt.reco waits for conditions",
        ),
    ]);
}

#[test]
fn a_run_without_an_end_keeps_no_later_run_from_prompt() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("file 3 1 c 100", "file c; run 3 physics open"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("lumi 3 1 100", "start express#3 attempt 1 on 1"),
        ("end 2 1", "run 2 physics closed"),
        ("end 3 1", "run 3 physics closed"),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with \
             100; express#2 done",
        ),
        (
            "ok express#3",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with \
             100; express#3 done",
        ),
        (
            "holds",
            "task/1/prompt.reco conditions: no decision yet on beamspot, scale; \
             task/2/calibration.harvest earlier-run: constants of run 1 are decided first, 18.0 \
             h at most; task/2/prompt.reco conditions: no decision yet on beamspot, scale, 48.0 \
             h at most; task/3/calibration.harvest earlier-run: constants of run 1 are decided \
             first, 18.0 h at most; task/3/prompt.reco conditions: no decision yet on beamspot, \
             scale, 48.0 h at most",
        ),
        ("wait 64799", "alarm run-silent/1"),
        (
            "wait 1",
            "start calibration#1 attempt 1 on 1; start calibration#2 attempt 1 on 1",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 2; beamspot of run 2: update; scale since 2; scale of run \
             2: update; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot \
             since 2 and scale since 2; calibration#1 done",
        ),
        (
            "ok calibration#2 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot of run 3: no-change; scale of run 3: no-change; HARVEST closed \
             with 100; start prompt#2 attempt 1 on 1 with beamspot since 2 and scale since 2; \
             calibration#2 done",
        ),
    ]);
}

#[test]
fn all_runs_whose_delay_is_over_are_released_at_once() {
    let prompt = "[pipeline]\nname = \"prompt\"\ntrigger = { stream = \"Muons\" }\n\
                  [[task]]\nname = \"reco\"\nprogram = [\"x\"]\n\
                  release = { when = \"run_closed\", delay = \"60s\", lock = \"30s\" }\n";
    check_with(
        Play::of(&[("p.toml", prompt)], 8),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("lumi 1 1 100", ""),
            ("file 2 1 b 100", "file b; run 2 physics open"),
            ("lumi 2 1 100", ""),
            ("file 3 1 c 100", "file c; run 3 physics open"),
            ("lumi 3 1 100", ""),
            ("end 2 1", "run 2 physics closed"),
            ("end 3 1", "run 3 physics closed"),
            (
                "holds",
                "task/1/prompt.reco delay: the delay counts from the run's end, which was not said yet; task/2/prompt.reco delay: the delay after the run's end is not over, 1.0 min at most; task/3/prompt.reco delay: the delay after the run's end is not over, 1.0 min at most",
            ),
            ("wait 60", ""),
            (
                "wait 1",
                "start prompt#1 attempt 1 on 1; start prompt#2 attempt 1 on 1",
            ),
            (
                "holds",
                "task/1/prompt.reco delay: the delay counts from the run's end, which was not said yet",
            ),
            (
                "stop 1 1",
                "done: run 1 ends with lumi 1; run 1 physics closed",
            ),
            ("wait 61", "start prompt#3 attempt 1 on 1"),
        ],
    );
}

#[test]
fn a_merge_that_no_place_could_run_fails_alone() {
    check_with(
        Play::with_pipeline(LARGE),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 100", "file a"),
            ("lumi 1 1 100", ""),
            ("file 1 2 b 100", "file b"),
            ("lumi 1 2 100", "start p#1 attempt 1 on 1 lumis 1-1"),
            ("file 1 3 c 100", "file c"),
            ("lumi 1 3 100", "start p#2 attempt 1 on 1 lumis 2-2"),
            (
                "end 1 3",
                "start p#3 attempt 1 on 1 lumis 3-3; run 1 physics closed",
            ),
            ("ok p#1 bytes=2900000000", "+RAW; p#1 done"),
            (
                "ok p#2 bytes=90000000000",
                "+RAW; alarm quarantined/19; start p#4 \
                 attempt 1 on 1 lumis 1-1; p#2 done; p#5 failed: input",
            ),
            (
                "ok p#3 bytes=2900000000",
                "+RAW; RAW closed with 300; start p#6 attempt 1 on 1 lumis 3-3; p#3 done",
            ),
            ("restart", ""),
            ("wait 600", ""),
            ("ok p#4", "+MERGED; p#4 done"),
            (
                "retry p#5",
                "cleared quarantined/p#5; done: job 19 is ready again; start p#5 attempt 2 on 1 \
                 lumis 2-2",
            ),
            ("ok p#5", "+MERGED; p#5 done"),
            (
                "ok p#6",
                "+MERGED; MERGED closed with 300; p#6 done; run 1 physics finished",
            ),
        ],
    );
}

#[test]
fn estimates_count_all_that_a_job_reads() {
    check_with(
        Play::with_pipeline(&LARGE.replace("100GB", "4GB")),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 100", "file a"),
            ("lumi 1 1 100", ""),
            ("file 1 2 b 100", "file b"),
            ("lumi 1 2 100", "start p#1 attempt 1 on 1 lumis 1-1"),
            ("file 1 3 c 100", "file c"),
            ("lumi 1 3 100", "start p#2 attempt 1 on 1 lumis 2-2"),
            (
                "end 1 3",
                "start p#3 attempt 1 on 1 lumis 3-3; run 1 physics closed",
            ),
            // Too small alone, above the usual size together with the last lumi.
            ("ok p#1 bytes=1000000000", "+RAW; p#1 done"),
            (
                "ok p#2 bytes=2900000000",
                "+RAW; start p#4 attempt 1 on 2 lumis 1-1 2-2; p#2 done",
            ),
            // One lumi above what a file may have: to the error dataset.
            (
                "ok p#3 bytes=4500000000",
                "+RAW; alarm error-dataset/21; RAW closed with 300; start p#5 attempt 1 on 1 lumis 3-3; p#3 done",
            ),
            ("estimate p#4", "2640 s, 6800000000 bytes of disk, 1 cores"),
            ("estimate p#5", "3000 s, 9000000000 bytes of disk, 1 cores"),
        ],
    );
}

#[test]
fn a_young_first_lumi_holds_old_ones_for_its_own_age() {
    let express = r#"
[pipeline]
name = "p"
trigger = { stream = "Muons" }
[[task]]
name = "reco"
program = ["x"]
split = { by = "express", max_events = 100 }
outputs = { RECO = "root" }
[[task]]
name = "merge"
input = "reco.RECO"
program = ["x"]
split = { by = "express_merge", max_size = "1kB", max_files = 10, max_latency = "30s" }
"#;
    check_with(
        Play::with_pipeline(express),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 40", "file a"),
            ("lumi 1 1 40", "start p#1 attempt 1 on 1 lumis 1-1"),
            ("file 1 2 b 40", "file b"),
            ("lumi 1 2 40", "start p#2 attempt 1 on 1 lumis 2-2"),
            ("ok p#2", "+RECO; p#2 done"),
            ("wait 29", ""),
            ("ok p#1", "+RECO; p#1 done"),
            ("wait 2", ""),
            (
                "holds",
                "task/1/p.merge first-lumi: lumi 1 and what follows wait until its youngest file is 30.00 s old, 28.00 s at most",
            ),
            ("wait 28", ""),
            ("wait 1", "start p#3 attempt 1 on 2 lumis 1-1 2-2"),
        ],
    );
}

#[test]
fn nothing_is_announced_before_it_is_so() {
    check_with(
        Play::of(&[("p.toml", LOOK)], 8),
        &[
            (
                "file 1 1 a 100",
                "file a; start p#1 attempt 1 on 1; run 1 physics open",
            ),
            ("lumi 1 1 100", ""),
            ("end 1 1", "run 1 physics closed"),
            ("messages", "run.started; run.closed"),
            ("unstored p#1", "p#1 pauses 1.00 s"),
            ("messages", ""),
            ("why run/1", "job/3 waits for pause"),
            ("wait 2", "start p#1 attempt 2 on 1"),
            ("restart", ""),
            (
                "ok p#1",
                "+LOOK; LOOK closed with 100; p#1 done; run 1 physics finished",
            ),
            ("messages", "output.published; block.closed; run.finished"),
            ("ok p#1", ""),
            ("messages", ""),
        ],
    );
}

#[test]
fn constants_that_cannot_be_stored_are_the_trouble_of_their_run() {
    let one: &[(&str, &str)] = &[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#1 attempt 1 on 1; express#1 done",
        ),
        ("unstored calibration#1", "calibration#1 pauses 1.00 s"),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; express#2 done",
        ),
        (
            "why run/2",
            "task/2/calibration.harvest waits for earlier-run; task/2/prompt.reco waits for conditions",
        ),
        ("wait 2", "start calibration#1 attempt 2 on 1"),
    ];
    let mended: &[(&str, &str)] = &[
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of run 1: update; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot since 1 and scale since 1; start calibration#2 attempt 1 on 1 with beamspot since 1 and scale since 1; calibration#1 done",
        ),
        ("ok calibration#1 beamspot=9/100 scale=9/500", ""),
    ];
    let given_up: &[(&str, &str)] = &[
        ("unstored calibration#1", "calibration#1 pauses 4.00 s"),
        ("wait 5", "start calibration#1 attempt 3 on 1"),
        (
            "unstored calibration#1",
            "alarm job-failed/calibration#1; beamspot of run 1: abandoned; scale of run 1: abandoned; start prompt#1 attempt 1 on 1; start calibration#2 attempt 1 on 1; calibration#1 failed: transient",
        ),
        (
            "ok calibration#2 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 2; beamspot of run 2: update; scale since 2; scale of run 2: update; HARVEST closed with 100; start prompt#2 attempt 1 on 1 with beamspot since 2 and scale since 2; calibration#2 done",
        ),
    ];
    check(&[one, mended].concat());
    check(&[one, given_up].concat());
}

#[test]
fn every_threshold_counts() {
    let text = LOOK.replace(
        "trigger",
        "processing = { default = \"First-v1\", era = { B = \"B-v1\", C = \"C-v1\" }, \
         from_run = { 50 = \"Fifty-v1\", 150 = \"Hundredfifty-v1\", 300 = \"Late-v1\" } }\ntrigger",
    );
    let eras = "era = [{ name = \"A\", from_run = 10 }, { name = \"B\", from_run = 100 }, \
                { name = \"C\", from_run = 200 }, { name = \"D\", from_run = 250 }]\n";
    let document = |file, text| Document::parse(file, text).expect("the text is TOML");
    let configuration = document("tier0.toml", eras);
    let reader = Reader::new(&configuration);
    let eras = Eras::read(&reader, configuration.root.get("era").expect("eras"));
    let files = vec![document("p.toml", &text)];
    let nobody_looks = &mut |_: &[Draft]| Vec::new();
    let all = assemble(files, None, &eras, None, nobody_looks).expect("the definition is right");
    let mut play = Play::by_run(all.definitions, 8, BTreeMap::new());
    // In no order: what a run gets does not depend on which came first.
    let rows = [
        (260, "Hundredfifty-v1"),
        (9, "First-v1"),
        (100, "B-v1"),
        (49, "First-v1"),
        (50, "Fifty-v1"),
        (99, "Fifty-v1"),
        (5_000, "Late-v1"),
        (199, "B-v1"),
        (200, "C-v1"),
        (249, "C-v1"),
        (299, "Hundredfifty-v1"),
        (300, "Late-v1"),
    ];
    for (number, (run, processing)) in (1..).zip(rows) {
        play.row(&format!("file {run} 1 f{run} 1"));
        play.row(&format!("ok p#{number}"));
        let datasets = play.row(&format!("datasets {run}"));
        assert_eq!(datasets, format!("/Muons/{processing}/LOOK"), "run {run}");
    }
}

#[test]
fn a_setting_where_nobody_reads_it_is_refused() {
    let misplaced = REPACK.replace("\nprogram", "\nmax_latency = \"30s\"\nprogram");
    let found = pipelines::link::load(&[("p.toml", &misplaced)]);
    let found = found.expect_err("nobody reads it there");
    let said = found.iter().map(ToString::to_string).collect::<String>();
    assert!(
        said.starts_with("error[T002]: [[task]] has no key \"max_latency\""),
        "{said}"
    );
    assert!(said.contains("p.toml:7:1"), "{said}");
    assert_eq!(found.len(), 1, "{said}");
}

#[test]
fn whatever_becomes_of_a_file_its_run_ends() {
    check_with(
        Play::of(&[("p.toml", LOOK)], 8),
        &[
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1; run 1 physics open",
            ),
            ("file 1 1 b 10", "file b; start p#2 attempt 1 on 1"),
            ("file 1 1 c 10", "file c; start p#3 attempt 1 on 1"),
            ("file 1 1 d 10", "file d; start p#4 attempt 1 on 1"),
            ("empty 1 1 e", "file e"),
            (
                "fail p#1 program",
                "alarm job-failed/p#1; p#1 failed: program",
            ),
            (
                "cancel p#2",
                "end p#2; shifter did job cancel to job/5; done: job 5 is cancelled; p#2 \
                 cancelled",
            ),
            (
                "fail p#3 lost",
                "alarm attempts-lost/p.look; p#3 pauses 1.00 s",
            ),
            ("restart", ""),
            ("lumi 1 1 40", ""),
            ("end 1 1", "run 1 physics closed"),
            ("file 1 1 f 10", "late f; alarm late-file/1/f"),
            (
                "park p#4",
                "end p#4; alarm job-parked/p#4; done: job 9 is parked; p#4 parked: person",
            ),
            ("wait 2", "start p#3 attempt 2 on 1"),
            ("ok p#3", "+LOOK; cleared attempts-lost/p.look; p#3 done"),
            (
                "why run/1",
                "run/1 waits for late-files; job/9 waits for parked",
            ),
            (
                "cancel p#4",
                "cleared job-parked/p#4; shifter did job cancel to job/9; done: job 9 is \
                 cancelled; LOOK closed with 10; p#4 cancelled; run 1 physics finished",
            ),
            ("restart", ""),
            ("why run/1", "run/1 waits for late-files"),
        ],
    );
}

#[test]
fn a_file_that_is_told_again_after_a_restart_is_the_same_file() {
    check_with(
        Play::of(&[("p.toml", LOOK)], 8),
        &[
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1; run 1 physics open",
            ),
            ("restart", ""),
            ("file 1 1 a 10", ""),
            ("ok p#1", "+LOOK; p#1 done"),
            ("lumi 1 1 10", ""),
            ("end 1 1", "LOOK closed with 10; run 1 physics finished"),
            ("restart", ""),
            ("file 1 1 a 10", ""),
            ("lumi 1 1 10", ""),
            ("end 1 1", ""),
            (
                "file 1 1 a 11",
                "alarm name-conflict/spool/a; set aside a: name-conflict",
            ),
            ("why run/1", ""),
        ],
    );
}

/// What a source file or document says.
#[expect(
    clippy::disallowed_methods,
    reason = "the table in the documents is compared with the tests, which are no part of the engine"
)]
fn read(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let read = std::fs::read_to_string(format!("{root}/{path}"));
    read.unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_table_of_pathologies_names_tests_that_exist() {
    let table = read("docs/pathologies.md");
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut named = BTreeSet::new();
    let mut count = 0;
    for row in rows {
        count += 1;
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 3, "{row}");
        // What stands between backquotes.
        let tests: Vec<&str> = cells[2].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test replays {}", cells[0]);
        for test in tests {
            let (path, function) = test.split_once("::").expect("path::function");
            let source = read(path);
            let head = source.split(&format!("fn {function}(")).next();
            let head = head.filter(|head| head.len() < source.len());
            let is_test = head.is_some_and(|head| head.trim_end().ends_with("#[test]"));
            assert!(is_test, "{path} has no test {function}");
            named.insert(test.to_owned());
        }
    }
    assert_eq!(count, 14, "every pathology has one row");
    let path = "src/engine/tests/scenarios/pathologies.rs";
    let own = read(path);
    for test in own.split("#[test]\nfn ").skip(1) {
        let function = test.split('(').next().unwrap_or_default();
        let is_named = named.contains(&format!("{path}::{function}"));
        assert!(
            is_named || function.starts_with("the_table_of"),
            "{function} is in no row"
        );
    }
}
