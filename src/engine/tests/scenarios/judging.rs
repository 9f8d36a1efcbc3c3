//! What constants are judged against: the loop's own, or what was put into force meanwhile.

use crate::play::Play;
use crate::{check, check_with};

/// An alignment that one task measures, by the chamber's table.
fn alignment() -> Play {
    Play::with_pipeline(
        "[pipeline]\nname = \"p\"\ntrigger = { stream = \"Muons\" }\n\
         [[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = { A = \"json\" }\n\
         split = { by = \"alca_harvest\" }\nneeds = { conditions = [\"alignment\"] }\n\
         gate = [{ tag = \"alignment\", table = \"chamber\" }]\n",
    )
}

#[test]
fn what_was_put_is_what_the_next_run_is_compared_with() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#1 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of run 1: update; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot since 1 and scale since 1; calibration#1 done",
        ),
        (
            "put beamspot 2 {\"x_cm\":0.5}",
            "beamspot since 2; put: beamspot: {\"x_cm\":0.5} holds since run 2 (not before the first condition safe run, run 2)",
        ),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#2 attempt 1 on 1 with beamspot since 2 and scale since 1; express#2 done",
        ),
        (
            "ok calibration#2 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 2; beamspot of run 2: update; scale of run 2: no-change; HARVEST closed with 100; start prompt#2 attempt 1 on 1 with beamspot since 2 and scale since 1; calibration#2 done",
        ),
        ("file 3 1 c 100", "file c; run 3 physics open"),
        ("lumi 3 1 100", "start express#3 attempt 1 on 1"),
        ("end 3 1", "run 3 physics closed"),
        (
            "ok express#3",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#3 attempt 1 on 1 with beamspot since 2 and scale since 1; express#3 done",
        ),
        (
            "ok calibration#3 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot of run 3: no-change; scale of run 3: no-change; HARVEST closed with 100; start prompt#3 attempt 1 on 1 with beamspot since 2 and scale since 1; calibration#3 done",
        ),
        (
            "put beamspot 4 {\"x_cm\":0.5}",
            "beamspot since 4; put: beamspot: {\"x_cm\":0.5} holds since run 4 (not before the first condition safe run, run 4)",
        ),
        ("file 4 1 d 100", "file d; run 4 physics open"),
        ("lumi 4 1 100", "start express#4 attempt 1 on 1"),
        ("end 4 1", "run 4 physics closed"),
        (
            "ok express#4",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#4 attempt 1 on 1 with beamspot since 4 and scale since 1; express#4 done",
        ),
        (
            "ok calibration#4 beamspot=500/100 scale=7/500",
            "+HARVEST; beamspot of run 4: no-change; scale of run 4: no-change; HARVEST closed with 100; start prompt#4 attempt 1 on 1 with beamspot since 4 and scale since 1; calibration#4 done",
        ),
        ("restart", ""),
        ("file 5 1 e 100", "file e; run 5 physics open"),
        ("lumi 5 1 100", "start express#5 attempt 1 on 1"),
        ("end 5 1", "run 5 physics closed"),
        (
            "ok express#5",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#5 attempt 1 on 1 with beamspot since 4 and scale since 1; express#5 done",
        ),
        (
            "ok calibration#5 beamspot=501/100 scale=7/500",
            "+HARVEST; beamspot of run 5: no-change; scale of run 5: no-change; HARVEST closed with 100; start prompt#5 attempt 1 on 1 with beamspot since 4 and scale since 1; calibration#5 done",
        ),
        ("file 6 1 f 100", "file f; run 6 physics open"),
        ("lumi 6 1 100", "start express#6 attempt 1 on 1"),
        ("end 6 1", "run 6 physics closed"),
        (
            "ok express#6",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#6 attempt 1 on 1 with beamspot since 4 and scale since 1; express#6 done",
        ),
        (
            "ok calibration#6 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 6; beamspot of run 6: update; scale of run 6: no-change; HARVEST closed with 100; start prompt#6 attempt 1 on 1 with beamspot since 6 and scale since 1; calibration#6 done",
        ),
    ]);
}

#[test]
fn a_solver_that_says_how_far_it_moved_is_believed() {
    check_with(
        alignment(),
        &[
            (
                "bring alignment 1 there",
                "tag alignment any; alignment since 1; done: new here: 1 tags, 1 intervals, 1 payloads, 0 global tags",
            ),
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("lumi 1 1 100", ""),
            (
                "end 1 1",
                "start p#1 attempt 1 on 1 lumis 1-1 with alignment since 1; run 1 physics closed",
            ),
            (
                "ok p#1 alignment=700~1/1000",
                "+A; alignment of run 1: no-change; A closed with 100; p#1 done; run 1 physics finished",
            ),
            ("file 2 1 b 100", "file b; run 2 physics open"),
            ("lumi 2 1 100", ""),
            (
                "end 2 1",
                "start p#2 attempt 1 on 1 lumis 1-1 with alignment since 1; run 2 physics closed",
            ),
            (
                "ok p#2 alignment=704~5/1000",
                "+A; alignment since 2; alignment of run 2: update; A closed with 100; p#2 done; run 2 physics finished",
            ),
            ("restart", ""),
            ("file 3 1 c 100", "file c; run 3 physics open"),
            ("lumi 3 1 100", ""),
            (
                "end 3 1",
                "start p#3 attempt 1 on 1 lumis 1-1 with alignment since 2; run 3 physics closed",
            ),
            (
                "ok p#3 alignment=705/1000",
                "+A; alignment of run 3: no-change; A closed with 100; p#3 done; run 3 physics finished",
            ),
        ],
    );
}

#[test]
fn moves_below_the_cut_do_not_add_up_unseen() {
    check_with(
        alignment(),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("lumi 1 1 100", ""),
            (
                "end 1 1",
                "start p#1 attempt 1 on 1 lumis 1-1; run 1 physics closed",
            ),
            (
                "ok p#1 alignment=50/1000",
                "+A; alignment since 1; alignment of run 1: update; A closed with 100; p#1 done; run 1 physics finished",
            ),
            ("file 2 1 b 100", "file b; run 2 physics open"),
            ("lumi 2 1 100", ""),
            (
                "end 2 1",
                "start p#2 attempt 1 on 1 lumis 1-1 with alignment since 1; run 2 physics closed",
            ),
            (
                "ok p#2 alignment=52/1000",
                "+A; alignment of run 2: no-change; A closed with 100; p#2 done; run 2 physics finished",
            ),
            ("file 3 1 c 100", "file c; run 3 physics open"),
            ("lumi 3 1 100", ""),
            (
                "end 3 1",
                "start p#3 attempt 1 on 1 lumis 1-1 with alignment since 1; run 3 physics closed",
            ),
            (
                "ok p#3 alignment=54/1000",
                "+A; alignment since 3; alignment of run 3: update; A closed with 100; p#3 done; run 3 physics finished",
            ),
        ],
    );
}

#[test]
fn a_late_first_constant_does_not_reach_what_was_released() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; express#2 done",
        ),
        ("wait 64801", "start calibration#1 attempt 1 on 1"),
        (
            "ok calibration#1 beamspot=5/100 scale=7/300",
            "+HARVEST; beamspot since 2; beamspot of run 2: update; scale of run 2: collecting; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot since 2; calibration#1 done",
        ),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#2 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#2 beamspot=50/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale of run 1: veto; HARVEST closed with 100; start prompt#2 attempt 1 on 1 with beamspot since 1; calibration#2 done",
        ),
        ("restart", ""),
    ]);
}

#[test]
fn what_a_held_proposal_was_measured_from_is_not_used_again() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#1 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/300",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale of run 1: collecting; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot since 1; calibration#1 done",
        ),
        (
            "hold scale",
            "tag scale pcl; alca did calib hold to tag/scale; done: scale is held: what gates would put into it waits for a person",
        ),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#2 attempt 1 on 2 with beamspot since 1; express#2 done",
        ),
        (
            "ok calibration#2 beamspot=5/100 scale=7/600",
            "+HARVEST; beamspot of run 2: no-change; scale of run 2: held; alarm constant-held/2/scale; HARVEST closed with 200; calibration#2 done",
        ),
        ("file 3 1 c 100", "file c; run 3 physics open"),
        ("lumi 3 1 100", "start express#3 attempt 1 on 1"),
        ("end 3 1", "run 3 physics closed"),
        (
            "ok express#3",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; express#3 done",
        ),
        (
            "wait 64801",
            "start calibration#3 attempt 1 on 1 with beamspot since 1",
        ),
        (
            "ok calibration#3 beamspot=5/100 scale=7/300",
            "+HARVEST; beamspot of run 3: no-change; scale of run 3: collecting; HARVEST closed with 100; start prompt#2 attempt 1 on 1 with beamspot since 1; calibration#3 done",
        ),
        (
            "accept scale 2",
            "scale since 2; scale of run 2: update; cleared constant-held/2/scale; done: scale is put since run 2; start prompt#3 attempt 1 on 1 with beamspot since 1 and scale since 2",
        ),
        ("restart", ""),
        ("file 4 1 d 100", "file d; run 4 physics open"),
        ("lumi 4 1 100", "start express#4 attempt 1 on 1"),
        ("end 4 1", "run 4 physics closed"),
        (
            "ok express#4",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#4 attempt 1 on 2 with beamspot since 1 and scale since 2; express#4 done",
        ),
        (
            "ok calibration#4 beamspot=5/100 scale=7/600",
            "+HARVEST; beamspot of run 4: no-change; scale of run 4: no-change; HARVEST closed with 200; start prompt#4 attempt 1 on 1 with beamspot since 1 and scale since 2; calibration#4 done",
        ),
    ]);
}

#[test]
fn a_move_from_another_constant_than_the_one_in_force_says_nothing() {
    check_with(
        alignment(),
        &[
            (
                "bring alignment 1 there",
                "tag alignment any; alignment since 1; done: new here: 1 tags, 1 intervals, 1 payloads, 0 global tags",
            ),
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("lumi 1 1 100", ""),
            (
                "end 1 1",
                "start p#1 attempt 1 on 1 lumis 1-1 with alignment since 1; run 1 physics closed",
            ),
            (
                "put alignment 1 {\"plane1_offset_cm\":0.7}",
                "alignment since 1; put: alignment: {\"plane1_off holds since run 1 (any begins anywhere)",
            ),
            (
                "ok p#1 alignment=51~1/1000",
                "+A; alignment since 1; alignment of run 1: update; A closed with 100; p#1 done; run 1 physics finished",
            ),
            ("restart", ""),
        ],
    );
}

#[test]
fn a_proposal_that_is_accepted_late_counts_in_its_place() {
    check_with(
        alignment(),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("lumi 1 1 100", ""),
            (
                "end 1 1",
                "start p#1 attempt 1 on 1 lumis 1-1; run 1 physics closed",
            ),
            (
                "hold alignment",
                "tag alignment pcl; alca did calib hold to tag/alignment; done: alignment is held: what gates would put into it waits for a person",
            ),
            (
                "ok p#1 alignment=50/1000",
                "+A; alignment of run 1: held; alarm constant-held/1/alignment; A closed with 100; p#1 done; run 1 physics finished",
            ),
            ("file 2 1 b 100", "file b; run 2 physics open"),
            ("lumi 2 1 100", ""),
            ("end 2 1", "run 2 physics closed"),
            ("wait 64801", "start p#2 attempt 1 on 1 lumis 1-1"),
            (
                "ok p#2 alignment=1/1000",
                "+A; alignment of run 2: no-change; A closed with 100; p#2 done; run 2 physics finished",
            ),
            (
                "accept alignment 1",
                "alignment since 1; alignment of run 1: update; cleared constant-held/1/alignment; done: alignment is put since run 1",
            ),
            ("restart", ""),
            ("file 3 1 c 100", "file c; run 3 physics open"),
            ("lumi 3 1 100", ""),
            (
                "end 3 1",
                "start p#3 attempt 1 on 1 lumis 1-1 with alignment since 1; run 3 physics closed",
            ),
            (
                "ok p#3 alignment=51/1000",
                "+A; alignment of run 3: no-change; A closed with 100; p#3 done; run 3 physics finished",
            ),
        ],
    );
}

#[test]
fn what_a_late_proposal_was_measured_from_is_its_own() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#1 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of run 1: update; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot since 1 and scale since 1; calibration#1 done",
        ),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#2 attempt 1 on 1 with beamspot since 1 and scale since 1; express#2 done",
        ),
        (
            "ok calibration#2 beamspot=5/100 scale=7/300",
            "+HARVEST; beamspot of run 2: no-change; scale of run 2: collecting; HARVEST closed with 100; start prompt#2 attempt 1 on 1 with beamspot since 1 and scale since 1; calibration#2 done",
        ),
        (
            "hold scale",
            "tag scale pcl; alca did calib hold to tag/scale; done: scale is held: what gates would put into it waits for a person",
        ),
        ("file 3 1 c 100", "file c; run 3 physics open"),
        ("lumi 3 1 100", "start express#3 attempt 1 on 1"),
        ("end 3 1", "run 3 physics closed"),
        (
            "ok express#3",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#3 attempt 1 on 2 with beamspot since 1 and scale since 1; express#3 done",
        ),
        (
            "ok calibration#3 beamspot=5/100 scale=70/600",
            "+HARVEST; beamspot of run 3: no-change; scale of run 3: held; alarm constant-held/3/scale; HARVEST closed with 200; calibration#3 done",
        ),
        ("file 4 1 d 100", "file d; run 4 physics open"),
        ("lumi 4 1 100", "start express#4 attempt 1 on 1"),
        ("end 4 1", "run 4 physics closed"),
        (
            "ok express#4",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; express#4 done",
        ),
        (
            "wait 64801",
            "start calibration#4 attempt 1 on 1 with beamspot since 1 and scale since 1",
        ),
        (
            "ok calibration#4 beamspot=5/100 scale=7/300",
            "+HARVEST; beamspot of run 4: no-change; scale of run 4: collecting; HARVEST closed with 100; start prompt#3 attempt 1 on 1 with beamspot since 1 and scale since 1; calibration#4 done",
        ),
        (
            "accept scale 3",
            "scale since 4; scale since 3; scale of run 3: update; cleared constant-held/3/scale; done: scale is put since run 3; start prompt#4 attempt 1 on 1 with beamspot since 1 and scale since 3",
        ),
        ("restart", ""),
        ("file 5 1 e 100", "file e; run 5 physics open"),
        ("lumi 5 1 100", "start express#5 attempt 1 on 1"),
        ("end 5 1", "run 5 physics closed"),
        (
            "ok express#5",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#5 attempt 1 on 2 with beamspot since 1 and scale since 4; express#5 done",
        ),
    ]);
}
