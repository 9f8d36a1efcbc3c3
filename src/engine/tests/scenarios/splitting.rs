//! Splitters at work: pipelines written as people write them, from files to the end of the run.

use crate::check_with;
use crate::play::Play;

/// A pipeline of the stream `Muons` with these tasks.
fn with(tasks: &str) -> Play {
    let head = "[pipeline]\nname = \"p\"\ntrigger = { stream = \"Muons\" }\n";
    Play::with_pipeline(&format!("{head}{tasks}"))
}

/// A task that makes one output `A` of each file, and one that reads these outputs.
fn behind(split: &str) -> Play {
    with(&format!(
        "[[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = {{ A = \"json\" }}\n\
         [[task]]\nname = \"b\"\ninput = \"a.A\"\nsplit = {split}\nprogram = [\"x\"]\n"
    ))
}

fn alone(split: &str) -> Play {
    with(&format!(
        "[[task]]\nname = \"a\"\nsplit = {split}\nprogram = [\"x\"]\n"
    ))
}

#[test]
fn a_large_file_becomes_several_jobs() {
    check_with(
        alone("{ by = \"event\", events_per_job = 40 }"),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 100",
                "file a; start p#1 attempt 1 on 1 lumis 1-1 events 0-39; \
                 start p#2 attempt 1 on 1 lumis 1-1 events 40-79; \
                 start p#3 attempt 1 on 1 lumis 1-1 events 80-99",
            ),
            ("lumi 1 1 100", ""),
            ("end 1 1", "run 1 physics closed"),
            ("ok p#1", "p#1 done"),
            ("ok p#3", "p#3 done"),
            ("ok p#2", "p#2 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn a_file_of_many_lumis_is_divided_between_them() {
    let tasks = "[[task]]\nname = \"a\"\nsplit = { by = \"run\" }\nprogram = [\"x\"]\n\
                 outputs = { A = \"json\" }\n\
                 [[task]]\nname = \"b\"\ninput = \"a.A\"\nprogram = [\"x\"]\n\
                 split = { by = \"lumi\", lumis_per_job = 2 }\n";
    check_with(
        with(tasks),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 10", "file a"),
            ("file 1 2 b 10", "file b"),
            ("file 1 4 c 10", "file c"),
            ("lumi 1 1 10", ""),
            ("lumi 1 2 10", ""),
            ("lumi 1 3 0", ""),
            ("lumi 1 4 10", ""),
            (
                "end 1 4",
                "start p#1 attempt 1 on 3 lumis 1-1 2-2 4-4; run 1 physics closed",
            ),
            (
                "ok p#1",
                "+A; A closed with 30; start p#2 attempt 1 on 1 lumis 1-2; \
                 start p#3 attempt 1 on 1 lumis 4-4; p#1 done",
            ),
            ("ok p#2", "p#2 done"),
            ("ok p#3", "p#3 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn jobs_of_a_size_are_cut_behind_the_frontier() {
    check_with(
        alone("{ by = \"size\", size_per_job = \"250B\" }"),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 2 b 10", "file b"),
            ("lumi 1 2 10", ""),
            ("file 1 1 a 10", "file a"),
            ("lumi 1 1 10", ""),
            ("file 1 3 c 10", "file c"),
            ("lumi 1 3 10", "start p#1 attempt 1 on 2 lumis 1-1 2-2"),
            (
                "end 1 3",
                "start p#2 attempt 1 on 1 lumis 3-3; run 1 physics closed",
            ),
            ("ok p#1", "p#1 done"),
            ("ok p#2", "p#2 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn a_full_set_does_not_wait_for_the_end_of_the_run() {
    check_with(
        behind("{ by = \"min_file\", files_per_job = 2 }"),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            (
                "file 1 2 b 10",
                "file b; start p#2 attempt 1 on 1 lumis 2-2",
            ),
            (
                "file 1 3 c 10",
                "file c; start p#3 attempt 1 on 1 lumis 3-3",
            ),
            ("ok p#2", "+A; p#2 done"),
            (
                "ok p#3",
                "+A; start p#4 attempt 1 on 2 lumis 2-2 3-3; p#3 done",
            ),
            ("lumi 1 1 10", ""),
            ("lumi 1 2 10", ""),
            ("lumi 1 3 10", ""),
            ("end 1 3", "run 1 physics closed"),
            ("ok p#4", "p#4 done"),
            (
                "ok p#1",
                "+A; A closed with 30; start p#5 attempt 1 on 1 lumis 1-1; p#1 done",
            ),
            ("ok p#5", "p#5 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn everything_is_taken_some_time_after_the_run() {
    check_with(
        alone("{ by = \"fixed_delay\", delay = \"60s\" }"),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 10", "file a"),
            ("lumi 1 1 10", ""),
            ("wait 600", ""),
            ("end 1 2", "run 1 physics ending"),
            ("wait 60", ""),
            ("wait 1", "start p#1 attempt 1 on 1 lumis 1-1"),
            (
                "file 1 2 b 10",
                "file b; start p#2 attempt 1 on 1 lumis 2-2",
            ),
            ("lumi 1 2 10", "run 1 physics closed"),
            ("ok p#1", "p#1 done"),
            ("ok p#2", "p#2 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn merges_are_made_by_size() {
    check_with(
        behind("{ by = \"merge_by_size\", merge_size = \"20B\" }"),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            (
                "file 1 2 b 10",
                "file b; start p#2 attempt 1 on 1 lumis 2-2",
            ),
            (
                "file 1 3 c 10",
                "file c; start p#3 attempt 1 on 1 lumis 3-3",
            ),
            ("ok p#1", "+A; p#1 done"),
            (
                "ok p#2",
                "+A; start p#4 attempt 1 on 2 lumis 1-1 2-2; p#2 done",
            ),
            ("ok p#3", "+A; p#3 done"),
            ("lumi 1 1 10", ""),
            ("lumi 1 2 10", ""),
            ("lumi 1 3 10", ""),
            (
                "end 1 3",
                "A closed with 30; start p#5 attempt 1 on 1 lumis 3-3; \
                 run 1 physics closed",
            ),
            ("ok p#4", "p#4 done"),
            ("ok p#5", "p#5 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn only_full_merges_leave_the_rest_and_the_run_still_ends() {
    check_with(
        behind("{ by = \"merge_by_size\", merge_size = \"20B\", all_files = false }"),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            ("ok p#1", "+A; p#1 done"),
            ("lumi 1 1 10", ""),
            ("end 1 1", "A closed with 10; run 1 physics finished"),
        ],
    );
}

#[test]
fn a_merge_waits_for_its_size_but_not_for_ever() {
    let split = "{ by = \"parentless_merge\", min_size = \"15B\", max_size = \"30B\", \
                 max_wait = \"60s\" }";
    check_with(
        behind(split),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            ("ok p#1", "+A; p#1 done"),
            ("wait 60", ""),
            ("wait 1", "start p#2 attempt 1 on 1 lumis 1-1"),
            (
                "file 1 2 b 10",
                "file b; start p#3 attempt 1 on 1 lumis 2-2",
            ),
            (
                "file 1 3 c 10",
                "file c; start p#4 attempt 1 on 1 lumis 3-3",
            ),
            ("ok p#3", "+A; p#3 done"),
            (
                "ok p#4",
                "+A; start p#5 attempt 1 on 2 lumis 2-2 3-3; p#4 done",
            ),
            ("lumi 1 1 10", ""),
            ("lumi 1 2 10", ""),
            ("lumi 1 3 10", ""),
            ("end 1 3", "A closed with 30; run 1 physics closed"),
            ("ok p#2", "p#2 done"),
            ("ok p#5", "p#5 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn histograms_are_harvested_while_the_run_is_taken() {
    let tasks = "[[task]]\nname = \"a\"\nprogram = [\"x\"]\n\
                 split = { by = \"dqm_harvest\", interval = \"60s\" }\ncertifies = true\n";
    check_with(
        with(tasks),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            ("file 1 2 b 10", "file b"),
            ("ok p#1 tests=50", "p#1 done"),
            ("wait 60", ""),
            ("wait 1", "start p#2 attempt 1 on 2 lumis 1-1 2-2"),
            ("lumi 1 1 10", ""),
            ("lumi 1 2 10", ""),
            ("end 1 2", "run 1 physics closed"),
            (
                "ok p#2 tests=50",
                "start p#3 attempt 1 on 2 lumis 1-1 2-2; p#2 done",
            ),
            (
                "ok p#3 tests=100",
                "run 1 good: [(1, 2)]; p#3 done; run 1 physics finished",
            ),
        ],
    );
}

/// Express keeps something for calibration; an early harvest after a minute.
fn early() -> Play {
    with(
        "[[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = { A = \"json\" }\n\
         [[task]]\nname = \"b\"\ninput = \"a.A\"\nprogram = [\"x\"]\n\
         split = { by = \"alca_harvest\", timeout = \"60s\" }\n\
         gate = [{ tag = \"beamspot\", n_min = 50, max_sigma = 3 }]\n",
    )
}

#[test]
fn constants_of_a_run_that_does_not_end_are_harvested_early_and_again() {
    check_with(
        early(),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            (
                "file 1 2 b 10",
                "file b; start p#2 attempt 1 on 1 lumis 2-2",
            ),
            ("ok p#1", "+A; p#1 done"),
            ("end 1 2", "run 1 physics ending"),
            ("wait 60", ""),
            ("wait 1", "start p#3 attempt 1 on 1 lumis 1-1"),
            (
                "ok p#3 beamspot=5/100",
                "beamspot since 1; beamspot of run 1: update; p#3 done",
            ),
            ("wait 600", "alarm lumis-missing/1/Muons"),
            ("lumi 1 1 10", ""),
            (
                "lumi 1 2 10",
                "cleared lumis-missing/1/Muons; run 1 physics closed",
            ),
            (
                "ok p#2",
                "+A; A closed with 20; start p#4 attempt 1 on 2 lumis 1-1 2-2; p#2 done",
            ),
            ("ok p#4 beamspot=9/200", "p#4 done; run 1 physics finished"),
        ],
    );
}

#[test]
fn nothing_new_after_an_early_harvest_is_nothing_to_harvest() {
    check_with(
        early(),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            ("ok p#1", "+A; p#1 done"),
            ("end 1 2", "run 1 physics ending"),
            ("wait 61", "start p#2 attempt 1 on 1 lumis 1-1"),
            ("lumi 1 1 10", ""),
            ("empty 1 2 b", "file b"),
            ("lumi 1 2 0", "A closed with 10; run 1 physics closed"),
            (
                "ok p#2 beamspot=5/100",
                "beamspot since 1; beamspot of run 1: update; p#2 done; \
                 run 1 physics finished",
            ),
        ],
    );
}

#[test]
fn an_early_harvest_that_decided_nothing_does_not_keep_the_last_one_from_trying() {
    check_with(
        early(),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            ("ok p#1", "+A; p#1 done"),
            ("end 1 1", "run 1 physics ending"),
            ("wait 61", "start p#2 attempt 1 on 1 lumis 1-1"),
            ("ok p#2 beamspot=5/10", "p#2 done"),
            (
                "lumi 1 1 10",
                "A closed with 10; start p#3 attempt 1 on 1 lumis 1-1; \
                 run 1 physics closed",
            ),
            (
                "ok p#3 beamspot=5/10",
                "beamspot of run 1: not-applicable; p#3 done; run 1 physics finished",
            ),
        ],
    );
}
