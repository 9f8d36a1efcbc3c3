//! Lumis in order: repack and its merge, express and its merge, from files to the end of the run,
//! with a restart in the middle of each.

use crate::check_with;
use crate::play::Play;

/// Repack and its merge, with limits of a few bytes: a file has ten bytes an event, an output ten
/// bytes unless it is said.
fn repack() -> Play {
    Play::with_pipeline(
        r#"
[pipeline]
name = "p"
trigger = { stream = "Muons" }
[[task]]
name = "pack"
program = ["x"]
outputs = { RAW = "root" }
[task.split]
by = "repack"
max_size_single_lumi = "1500B"
max_size_multi_lumi = "1kB"
max_latency = "60s"
[[task]]
name = "merge"
input = "pack.RAW"
program = ["x"]
outputs = { MERGED = "root" }
[task.split]
by = "repack_merge"
min_size = "15B"
max_size = "25B"
max_over_size = "40B"
max_edm_size = "60B"
max_latency = "60s"
direct_over = "50B"
[[task]]
name = "count"
input = "merge.MERGED"
program = ["x"]
"#,
    )
}

/// Express and its merge.
fn express() -> Play {
    Play::with_pipeline(
        r#"
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
outputs = { MERGED = "root" }
"#,
    )
}

#[test]
fn a_hole_holds_back_until_the_lumi_is_empty() {
    check_with(
        repack(),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 40", "file a"),
            ("lumi 1 1 40", ""),
            ("file 1 3 c 40", "file c"),
            ("lumi 1 3 40", ""),
            (
                "holds",
                "task/1/p.pack lumi-hole: lumi 2 has neither data here nor is it declared empty: \
                 lumi 3 and what follows wait for it, 1.0 min at most",
            ),
            ("restart", ""),
            (
                "holds",
                "task/1/p.pack lumi-hole: lumi 2 has neither data here nor is it declared empty: \
                 lumi 3 and what follows wait for it, 1.0 min at most",
            ),
            ("lumi 1 2 0", "start p#1 attempt 1 on 1 lumis 1-1"),
            ("holds", ""),
            ("wait 61", "start p#2 attempt 1 on 1 lumis 3-3"),
            ("holds", ""),
            ("end 1 3", "run 1 physics closed"),
            (
                "ok p#1",
                "+RAW; start p#3 attempt 1 on 1 lumis 1-1; p#1 done",
            ),
            ("restart", ""),
            (
                "ok p#2",
                "+RAW; RAW closed with 80; start p#4 attempt 1 on 1 lumis 3-3; p#2 done",
            ),
            (
                "ok p#3",
                "+MERGED; start p#5 attempt 1 on 1 lumis 1-1; p#3 done",
            ),
            (
                "ok p#4",
                "+MERGED; MERGED closed with 80; start p#6 attempt 1 on 1 lumis 3-3; p#4 done",
            ),
        ],
    );
}

#[test]
fn a_hole_is_overtaken_after_its_time_and_filled_later() {
    check_with(
        repack(),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 2 b 40", "file b"),
            ("lumi 1 2 40", ""),
            ("wait 30", ""),
            ("file 1 3 c 40", "file c"),
            ("lumi 1 3 40", ""),
            (
                "holds",
                "task/1/p.pack lumi-hole: lumi 1 has neither data here nor is it declared empty: \
                 lumi 2 and what follows wait for it, 30.00 s at most",
            ),
            ("wait 59", ""),
            ("wait 2", "start p#1 attempt 1 on 2 lumis 2-2 3-3"),
            ("restart", ""),
            ("file 1 1 a 40", "file a"),
            ("lumi 1 1 40", "start p#2 attempt 1 on 1 lumis 1-1"),
            ("end 1 3", "run 1 physics closed"),
            ("ok p#1", "+RAW; p#1 done"),
            (
                "ok p#2",
                "+RAW; RAW closed with 120; start p#3 attempt 1 on 2 lumis 1-1 2-3; p#2 done",
            ),
            (
                "ok p#3",
                "+MERGED; MERGED closed with 120; start p#4 attempt 1 on 1 lumis 1-3; p#3 done",
            ),
            ("ok p#4", "p#4 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn a_split_lumi_is_merged_when_all_its_pieces_have_ended() {
    check_with(
        repack(),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 100", "file a"),
            ("file 1 1 b 100", "file b"),
            ("file 1 1 c 100", "file c"),
            (
                "lumi 1 1 300",
                "start p#1 attempt 1 on 1 lumis 1-1; start p#2 attempt 1 on 1 lumis 1-1; start \
                 p#3 attempt 1 on 1 lumis 1-1",
            ),
            ("file 1 2 d 10", "file d"),
            ("lumi 1 2 10", ""),
            ("ok p#1", "+RAW; p#1 done"),
            (
                "holds",
                "task/1/p.merge split-lumi: lumi 1 was split over several jobs and not all of \
                 them have ended",
            ),
            ("restart", ""),
            ("ok p#3", "+RAW; p#3 done"),
            (
                "fail p#2 program",
                "alarm job-failed/p#2; p#2 failed: program",
            ),
            ("restart", ""),
            (
                "wait 61",
                "alarm merged-without/p#2; start p#4 attempt 1 on 1 lumis 2-2; start p#5 attempt \
                 1 on 2 lumis 1-1 1-1",
            ),
            ("restart", ""),
            (
                "retry p#2",
                "cleared job-failed/p#2; done: job 7 is ready again; start p#2 attempt 2 on 1 \
                 lumis 1-1",
            ),
            ("holds", ""),
            ("ok p#2", "cleared merged-without/p#2; +RAW; p#2 done"),
            ("restart", ""),
            ("end 1 2", "run 1 physics closed"),
            (
                "ok p#4",
                "+RAW; RAW closed with 310; start p#6 attempt 1 on 2 lumis 1-1 2-2; p#4 done",
            ),
            (
                "ok p#5",
                "+MERGED; start p#7 attempt 1 on 1 lumis 1-1; p#5 done",
            ),
            (
                "ok p#6",
                "+MERGED; MERGED closed with 310; start p#8 attempt 1 on 1 lumis 1-2; p#6 done",
            ),
            ("ok p#7", "p#7 done"),
            ("ok p#8", "p#8 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn a_lumi_larger_than_a_file_goes_to_the_error_dataset() {
    check_with(
        repack(),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 100", "file a"),
            ("file 1 1 b 100", "file b"),
            (
                "lumi 1 1 200",
                "start p#1 attempt 1 on 1 lumis 1-1; start p#2 attempt 1 on 1 lumis 1-1",
            ),
            ("end 1 1", "run 1 physics closed"),
            ("ok p#1 bytes=45", "+RAW; p#1 done"),
            ("restart", ""),
            (
                "ok p#2 bytes=45",
                "+RAW; alarm error-dataset/14; alarm error-dataset/15; RAW closed with 200; \
                 start p#3 attempt 1 on 1 lumis 1-1; start p#4 attempt 1 on 1 lumis 1-1; p#2 \
                 done",
            ),
            ("ok p#3", "+MERGED; p#3 done"),
            ("restart", ""),
            (
                "ok p#4",
                "+MERGED; MERGED closed with 200; p#4 done; run 1 physics finished",
            ),
        ],
    );
}

#[test]
fn an_output_that_is_large_enough_passes_the_merge_by() {
    check_with(
        repack(),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 100", "file a"),
            ("file 1 2 b 100", "file b"),
            ("lumi 1 1 100", ""),
            ("lumi 1 2 100", "start p#1 attempt 1 on 1 lumis 1-1"),
            (
                "end 1 2",
                "start p#2 attempt 1 on 1 lumis 2-2; run 1 physics closed",
            ),
            (
                "ok p#1 bytes=55",
                "+MERGED; start p#3 attempt 1 on 1 lumis 1-1; p#1 done",
            ),
            ("restart", ""),
            (
                "ok p#2",
                "+RAW; RAW closed with 100; start p#4 attempt 1 on 1 lumis 2-2; p#2 done",
            ),
            ("ok p#3", "p#3 done"),
            (
                "ok p#4",
                "+MERGED; MERGED closed with 200; start p#5 attempt 1 on 1 lumis 2-2; p#4 done",
            ),
            ("ok p#5", "p#5 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn the_tail_of_an_express_merge_does_not_outwait_its_run() {
    check_with(
        express(),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 40", "file a"),
            ("lumi 1 1 40", "start p#1 attempt 1 on 1 lumis 1-1"),
            ("ok p#1", "+RECO; p#1 done"),
            (
                "holds",
                "task/1/p.merge first-lumi: lumi 1 and what follows wait until its youngest file \
                 is 30.00 s old, 30.00 s at most",
            ),
            ("file 1 2 b 40", "file b"),
            ("lumi 1 2 40", "start p#2 attempt 1 on 1 lumis 2-2"),
            ("ok p#2", "+RECO; p#2 done"),
            ("restart", ""),
            ("wait 31", "start p#3 attempt 1 on 2 lumis 1-1 2-2"),
            ("file 1 3 c 40", "file c"),
            ("lumi 1 3 40", "start p#4 attempt 1 on 1 lumis 3-3"),
            ("ok p#4", "+RECO; p#4 done"),
            (
                "holds",
                "task/1/p.merge first-lumi: lumi 3 and what follows wait until its youngest file \
                 is 30.00 s old, 30.00 s at most",
            ),
            (
                "end 1 3",
                "RECO closed with 120; start p#5 attempt 1 on 1 lumis 3-3; run 1 physics closed",
            ),
            ("ok p#3", "+MERGED; p#3 done"),
            (
                "ok p#5",
                "+MERGED; MERGED closed with 120; p#5 done; run 1 physics finished",
            ),
        ],
    );
}
