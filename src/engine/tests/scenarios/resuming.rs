//! Work that is taken up again after its task has ended, waits that a person ends, and what is told
//! of lumis that a run does not have.

use crate::check_with;
use crate::play::Play;

/// A task that makes one output `A` of each file, and one that merges these outputs.
fn merged(split: &str, more: &str) -> Play {
    Play::with_pipeline(&format!(
        "[pipeline]\nname = \"p\"\ntrigger = {{ stream = \"Muons\" }}\n\
         [[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = {{ A = \"json\" }}\n\
         [[task]]\nname = \"b\"\ninput = \"a.A\"\nprogram = [\"x\"]\nsplit = {split}\n\
         outputs = {{ B = \"json\" }}\n{more}"
    ))
}

/// Two files of two lumis, one of which cannot be worked on; the run ends without it.
const ONE_FAILED: [(&str, &str); 8] = [
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
        "fail p#1 program",
        "alarm job-failed/p#1; p#1 failed: program",
    ),
    ("lumi 1 1 10", ""),
    ("lumi 1 2 10", ""),
    ("end 1 2", "run 1 physics closed"),
    (
        "ok p#2",
        "+A; A closed with 10; start p#3 attempt 1 on 1 lumis 2-2; p#2 done",
    ),
];

#[test]
fn a_failed_job_of_a_finished_run_is_retried_and_its_output_merged_by_itself() {
    let rows = [
        &ONE_FAILED[..],
        &[
            (
                "ok p#3",
                "+B; B closed with 10; p#3 done; run 1 physics finished",
            ),
            ("restart", ""),
            (
                "retry p#1",
                "cleared job-failed/p#1; done: job 3 is ready again; start p#1 attempt 2 on 1 \
                 lumis 1-1; run 1 physics closed",
            ),
            ("restart", ""),
            (
                "ok p#1",
                "+A; A closed with 10; start p#4 attempt 1 on 1 lumis 1-1; p#1 done",
            ),
            ("restart", ""),
            (
                "ok p#4",
                "+B; B closed with 10; p#4 done; run 1 physics finished",
            ),
            (
                "retry p#1",
                "refused: job 3 is done; only a failed, cancelled or parked job can be retried",
            ),
        ],
    ];
    check_with(merged("{ by = \"repack_merge\" }", ""), &rows.concat());
}

#[test]
fn constants_that_were_decided_without_a_job_stay_decided() {
    let harvest = "[[task]]\nname = \"c\"\ninput = \"b.B\"\nprogram = [\"x\"]\n\
                   split = { by = \"alca_harvest\" }\n\
                   gate = [{ tag = \"beamspot\", n_min = 50, max_sigma = 3 }]\n";
    let rows = [
        &ONE_FAILED[..],
        &[
            (
                "ok p#3",
                "+B; B closed with 10; start p#4 attempt 1 on 1 lumis 2-2; p#3 done",
            ),
            (
                "ok p#4 beamspot=5/100",
                "beamspot since 1; beamspot of run 1: update; p#4 done; run 1 physics finished",
            ),
            (
                "retry p#1",
                "cleared job-failed/p#1; done: job 3 is ready again; start p#1 attempt 2 on 1 \
                 lumis 1-1; run 1 physics closed",
            ),
            (
                "ok p#1",
                "+A; A closed with 10; start p#5 attempt 1 on 1 lumis 1-1; p#1 done",
            ),
            (
                "ok p#5",
                "+B; B closed with 10; start p#6 attempt 1 on 1 lumis 1-1; p#5 done",
            ),
            ("ok p#6 beamspot=9/100", "p#6 done; run 1 physics finished"),
        ],
    ];
    check_with(
        merged("{ by = \"merge_by_size\", merge_size = \"1GB\" }", harvest),
        &rows.concat(),
    );
}

#[test]
fn a_harvest_that_failed_is_not_made_again_once_the_run_was_decided_without_it() {
    let harvest = "[[task]]\nname = \"c\"\ninput = \"b.B\"\nprogram = [\"x\"]\n\
                   split = { by = \"alca_harvest\" }\n\
                   gate = [{ tag = \"beamspot\", n_min = 50, max_sigma = 3 }]\n";
    let rows = [
        &ONE_FAILED[..],
        &[
            (
                "ok p#3",
                "+B; B closed with 10; start p#4 attempt 1 on 1 lumis 2-2; p#3 done",
            ),
            (
                "fail p#4 program",
                "alarm job-failed/p#4; beamspot of run 1: abandoned; p#4 failed: program; run \
                 1 physics finished",
            ),
            (
                "retry p#4",
                "refused: job 20 of p.c measures constants, and those of run 1 were decided \
                 without it: later work rests on that, and it stays; `tier0 calib show \
                 beamspot --run 1` shows it",
            ),
        ],
    ];
    check_with(
        merged("{ by = \"merge_by_size\", merge_size = \"1GB\" }", harvest),
        &rows.concat(),
    );
}

#[test]
fn the_age_of_a_merge_and_its_split_lumis_are_waited_for_until_a_person_says_go() {
    check_with(
        merged("{ by = \"express_merge\", max_latency = \"600s\" }", ""),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            (
                "file 1 1 b 10",
                "file b; start p#2 attempt 1 on 1 lumis 1-1",
            ),
            ("lumi 1 1 20", ""),
            ("ok p#1", "+A; p#1 done"),
            (
                "holds",
                "task/1/p.b split-lumi: lumi 1 was split over several jobs and not all of \
                 them have ended",
            ),
            (
                "accept p.b 1",
                "done: p.b of run 1 is accepted; start p#3 attempt 1 on 1 lumis 1-1",
            ),
            ("ok p#2", "+A; start p#4 attempt 1 on 1 lumis 1-1; p#2 done"),
            ("lift p.b 1", "done: p.b of run 1 is left to its rule"),
            (
                "file 1 2 c 10",
                "file c; start p#5 attempt 1 on 1 lumis 2-2",
            ),
            ("lumi 1 2 10", ""),
            ("ok p#5", "+A; p#5 done"),
            (
                "holds",
                "task/1/p.b first-lumi: lumi 2 and what follows wait until its youngest file \
                 is 10.0 min old, 10.0 min at most",
            ),
            ("restart", ""),
            (
                "accept p.b 1",
                "done: p.b of run 1 is accepted; start p#6 attempt 1 on 1 lumis 2-2",
            ),
            ("holds", ""),
        ],
    );
}

#[test]
fn a_run_that_has_ended_waits_for_no_lumi_behind_its_end() {
    check_with(
        merged("{ by = \"merge_by_size\", merge_size = \"1GB\" }", ""),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 1 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            ("why lumi/1/Muons/9", "lumi/1/Muons/9 waits for lumi-record"),
            ("end 1 2", "run 1 physics ending"),
            ("why lumi/1/Muons/9", ""),
            ("why lumi/1/Muons/2", "lumi/1/Muons/2 waits for lumi-record"),
        ],
    );
}

#[test]
fn an_alarm_about_the_end_says_what_is_disputed_now() {
    check_with(
        merged("{ by = \"merge_by_size\", merge_size = \"1GB\" }", ""),
        &[
            ("begin 1 physics", "run 1 physics open"),
            (
                "file 1 3 a 10",
                "file a; start p#1 attempt 1 on 1 lumis 3-3",
            ),
            ("end 1 2", "alarm end-disputed/1; run 1 physics ending"),
            ("end 1 5", "alarm end-disputed/1; run 1 physics ending"),
            ("end 1 5", ""),
        ],
    );
}

#[test]
fn a_run_that_nobody_ends_is_told_of_until_something_comes() {
    check_with(
        merged("{ by = \"merge_by_size\", merge_size = \"1GB\" }", ""),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("wait 3599", ""),
            ("wait 1", "alarm run-silent/1"),
            ("restart", ""),
            ("wait 3600", ""),
            (
                "file 1 1 a 10",
                "file a; cleared run-silent/1; start p#1 attempt 1 on 1 lumis 1-1",
            ),
            ("wait 3600", "alarm run-silent/1"),
            ("lumi 1 1 10", "cleared run-silent/1"),
            ("wait 3600", "alarm run-silent/1"),
            ("end 1 2", "cleared run-silent/1; run 1 physics ending"),
            ("wait 7200", "alarm lumis-missing/1/Muons"),
        ],
    );
}
