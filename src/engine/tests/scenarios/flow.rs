//! The flow as it should be: from a file to a finished run.

use crate::check;

#[test]
fn one_file_goes_through_express_calibration_prompt_and_dqm() {
    check(&[
        ("begin 1 physics", "run 1 physics open"),
        ("file 1 1 a 100", "file a"),
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
             run 1: update; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with \
             beamspot since 1 and scale since 1; calibration#1 done",
        ),
        (
            "ok prompt#1",
            "+AOD; +DQM; AOD closed with 100; DQM closed with 100; start dqm#1 attempt 1 on 1; \
             prompt#1 done",
        ),
        (
            "ok dqm#1 tests=100,100",
            "+DQM_RUN; run 1 good: [(1, 1)]; DQM_RUN closed with 100; dqm#1 done; run 1 \
             physics finished",
        ),
    ]);
}

#[test]
fn lumis_close_in_any_order_and_ends_may_come_first() {
    check(&[
        ("end 1 2", "run 1 physics ending"),
        ("lumi 1 2 60", ""),
        ("file 1 2 b 60", "file b; start express#1 attempt 1 on 1"),
        ("empty 1 1 a", "file a"),
        ("lumi 1 1 0", "run 1 physics closed"),
    ]);
}

#[test]
fn a_test_run_publishes_nothing() {
    check(&[
        ("begin 1 test", "run 1 test open"),
        ("file 1 1 a 100", "file a"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 test closed"),
        (
            "ok express#1",
            "unpublished ALCA; unpublished DQM; unpublished RECO; start calibration#1 attempt \
             1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "unpublished HARVEST; beamspot of run 1: veto; scale of run 1: veto; start \
             prompt#1 attempt 1 on 1; calibration#1 done",
        ),
        (
            "ok prompt#1",
            "unpublished AOD; unpublished DQM; start dqm#1 attempt 1 on 1; prompt#1 done",
        ),
        (
            "ok dqm#1 tests=100",
            "unpublished DQM_RUN; run 1 good, not certified; dqm#1 done; run 1 test finished",
        ),
    ]);
}

#[test]
fn simulated_data_are_never_certified() {
    check(&[
        ("begin 1 physics sim", "run 1 physics open"),
        ("file 1 1 a 100 sim", "file a"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok express#1",
            "+ALCA/SIM; +DQM/SIM; +RECO/SIM; ALCA/SIM closed with 100; DQM/SIM closed with \
             100; RECO/SIM closed with 100; start calibration#1 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST/SIM; beamspot/SIM since 1; beamspot/SIM of run 1: update; scale/SIM \
             since 1; scale/SIM of run 1: update; HARVEST/SIM closed with 100; start prompt#1 \
             attempt 1 on 1 with beamspot since 1 and scale since 1; calibration#1 done",
        ),
        (
            "ok prompt#1",
            "+AOD/SIM; +DQM/SIM; AOD/SIM closed with 100; DQM/SIM closed with 100; start dqm#1 \
             attempt 1 on 1; prompt#1 done",
        ),
        (
            "ok dqm#1 tests=100",
            "+DQM_RUN/SIM; run 1 good, not certified; DQM_RUN/SIM closed with 100; dqm#1 \
             done; run 1 physics finished",
        ),
    ]);
}

#[test]
fn a_run_of_nothing_ends() {
    check(&[
        ("begin 1 physics", "run 1 physics open"),
        (
            "end 1 0",
            "beamspot of run 1: abandoned; scale of run 1: abandoned; run 1 not-run, not \
             certified; run 1 physics finished",
        ),
    ]);
}
