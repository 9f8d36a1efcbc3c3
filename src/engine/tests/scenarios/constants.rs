//! Constants: in the order of runs, once each, and nobody waits for ever.

use crate::play::Play;
use crate::{check, check_with};

#[test]
fn harvests_are_judged_in_the_order_of_runs() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with \
             100; express#2 done",
        ),
        ("ok express#1", "+ALCA; +DQM; +RECO; express#1 done"),
        (
            "end 1 1",
            "ALCA closed with 100; DQM closed with 100; RECO closed with 100; start \
             calibration#1 attempt 1 on 1; run 1 physics closed",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of \
             run 1: update; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with \
             beamspot since 1 and scale since 1; start calibration#2 attempt 1 on 1 with \
             beamspot since 1 and scale since 1; calibration#1 done",
        ),
        (
            "ok calibration#2 beamspot=50/100 scale=7/500",
            "+HARVEST; beamspot since 2; beamspot of run 2: update; scale of run 2: no-change; \
             HARVEST closed with 100; start prompt#2 attempt 1 on 1 with beamspot since 2 and \
             scale since 1; calibration#2 done",
        ),
    ]);
}

#[test]
fn constants_that_nobody_proposes_are_abandoned() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with \
             100; start calibration#1 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale of run 1: abandoned; \
             HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot since 1; \
             calibration#1 done",
        ),
    ]);
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        (
            "fail express#1 program",
            "alarm job-failed/express#1; beamspot of run 1: abandoned; scale of run 1: \
             abandoned; start prompt#1 attempt 1 on 1; express#1 failed: program",
        ),
    ]);
}

#[test]
fn a_run_without_data_decides_in_its_turn() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("begin 2 physics", "run 2 physics open"),
        (
            "end 2 0",
            "run 2 not-run, not certified; run 2 physics closed",
        ),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("ok express#1", "+ALCA; +DQM; +RECO; express#1 done"),
        (
            "end 1 1",
            "ALCA closed with 100; DQM closed with 100; RECO closed with 100; start \
             calibration#1 attempt 1 on 1; run 1 physics closed",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of \
             run 1: update; HARVEST closed with 100; beamspot of run 2: abandoned; scale of run \
             2: abandoned; start prompt#1 attempt 1 on 1 with beamspot since 1 and scale since \
             1; calibration#1 done; run 2 physics finished",
        ),
    ]);
}

#[test]
fn runs_too_small_to_decide_are_added_up() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with \
             100; start calibration#1 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/300",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale of run 1: \
             collecting; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot \
             since 1; calibration#1 done",
        ),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with \
             100; start calibration#2 attempt 1 on 2 with beamspot since 1; express#2 done",
        ),
        (
            "ok calibration#2 beamspot=5/100 scale=7/600",
            "+HARVEST; beamspot of run 2: no-change; scale since 2; scale of run 2: update; \
             HARVEST closed with 200; start prompt#2 attempt 1 on 1 with beamspot since 1 and \
             scale since 2; calibration#2 done",
        ),
    ]);
}

#[test]
fn prompt_does_not_wait_for_ever() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        ("wait 172799", ""),
        ("wait 1", "start prompt#1 attempt 1 on 1"),
        (
            "ok prompt#1",
            "+AOD; +DQM; AOD closed with 100; DQM closed with 100; start dqm#1 attempt 1 on 1; \
             prompt#1 done provisionally",
        ),
    ]);
}

#[test]
fn an_earlier_run_holds_constants_back_for_so_long() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; \
             express#2 done",
        ),
        ("wait 64799", ""),
        ("wait 1", "start calibration#1 attempt 1 on 1"),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 2; beamspot of run 2: update; scale since 2; scale of run \
             2: update; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot \
             since 2 and scale since 2; calibration#1 done",
        ),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; \
             start calibration#2 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#2 beamspot=50/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of run \
             1: update; HARVEST closed with 100; start prompt#2 attempt 1 on 1 with beamspot \
             since 1 and scale since 1; calibration#2 done",
        ),
    ]);
}

#[test]
fn a_late_constant_ends_where_later_runs_begin() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("file 3 1 c 100", "file c; run 3 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("lumi 3 1 100", "start express#3 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        ("end 2 1", "run 2 physics closed"),
        ("end 3 1", "run 3 physics closed"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; \
             start calibration#1 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of run \
             1: update; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot \
             since 1 and scale since 1; calibration#1 done",
        ),
        (
            "ok express#3",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; \
             express#3 done",
        ),
        (
            "wait 64801",
            "start calibration#2 attempt 1 on 1 with beamspot since 1 and scale since 1",
        ),
        (
            "ok calibration#2 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot of run 3: no-change; scale of run 3: no-change; HARVEST closed \
             with 100; start prompt#2 attempt 1 on 1 with beamspot since 1 and scale since 1; \
             calibration#2 done",
        ),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; \
             start calibration#3 attempt 1 on 1 with beamspot since 1 and scale since 1; \
             express#2 done",
        ),
        (
            "ok calibration#3 beamspot=50/100 scale=7/500",
            "+HARVEST; beamspot since 3; beamspot since 2; beamspot of run 2: update; scale since \
             3; scale since 2; scale of run 2: update; HARVEST closed with 100; start prompt#3 \
             attempt 1 on 1 with beamspot since 2 and scale since 2; calibration#3 done",
        ),
    ]);
}

#[test]
fn a_person_holds_a_task_and_lets_it_go() {
    check(&[
        (
            "hold prompt.nothing",
            "refused: no task is called prompt.nothing; `tier0 calib show` lists the gates",
        ),
        (
            "hold express.reco",
            "done: express.reco of every run is held",
        ),
        (
            "hold express.reco",
            "done: express.reco of every run was already held",
        ),
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", ""),
        (
            "hold prompt.reco 9",
            "refused: run 9 is not known; `tier0 run ls` lists those that are",
        ),
        (
            "accept prompt.reco 1",
            "done: prompt.reco of run 1 is accepted",
        ),
        (
            "end 1 1",
            "start prompt#1 attempt 1 on 1; run 1 physics closed",
        ),
        (
            "accept express.reco 1",
            "done: express.reco of run 1 is accepted; start express#1 attempt 1 on 1",
        ),
        (
            "lift express.reco",
            "done: express.reco of every run is left to its rule",
        ),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
    ]);
}

#[test]
fn an_alignment_is_judged_by_its_decision_table() {
    let text = "[pipeline]\nname = \"p\"\ntrigger = { stream = \"Muons\" }\n\
                [[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = { A = \"json\" }\n\
                split = { by = \"alca_harvest\" }\n\
                gate = [{ tag = \"alignment\", table = \"chamber\" }]\n";
    check_with(
        Play::with_pipeline(text),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("lumi 1 1 100", ""),
            (
                "end 1 1",
                "start p#1 attempt 1 on 1 lumis 1-1; run 1 physics closed",
            ),
            (
                "ok p#1 alignment=50/100",
                "+A; alignment of run 1: veto; A closed with 100; p#1 done; run 1 physics \
                 finished",
            ),
            ("file 2 1 b 100", "file b; run 2 physics open"),
            ("lumi 2 1 100", ""),
            (
                "end 2 1",
                "start p#2 attempt 1 on 1 lumis 1-1; run 2 physics closed",
            ),
            (
                "ok p#2 alignment=50/1000",
                "+A; alignment since 2; alignment of run 2: update; A closed with 100; p#2 \
                 done; run 2 physics finished",
            ),
            ("file 3 1 c 100", "file c; run 3 physics open"),
            ("lumi 3 1 100", ""),
            (
                "end 3 1",
                "start p#3 attempt 1 on 1 lumis 1-1; run 3 physics closed",
            ),
            (
                "ok p#3 alignment=53/1000",
                "+A; alignment of run 3: no-change; A closed with 100; p#3 done; run 3 \
                 physics finished",
            ),
            ("file 4 1 d 100", "file d; run 4 physics open"),
            ("lumi 4 1 100", ""),
            (
                "end 4 1",
                "start p#4 attempt 1 on 1 lumis 1-1; run 4 physics closed",
            ),
            (
                "ok p#4 alignment=54/1000",
                "+A; alignment since 4; alignment of run 4: update; A closed with 100; p#4 \
                 done; run 4 physics finished",
            ),
            ("file 5 1 e 100", "file e; run 5 physics open"),
            ("lumi 5 1 100", ""),
            (
                "end 5 1",
                "start p#5 attempt 1 on 1 lumis 1-1; run 5 physics closed",
            ),
            (
                "ok p#5 alignment=2000/1000",
                "+A; alignment of run 5: veto; A closed with 100; p#5 done; run 5 physics \
                 finished",
            ),
        ],
    );
}
