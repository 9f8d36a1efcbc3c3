//! Constants that people put into tags: never where runs have taken theirs, one row however often,
//! and here after a restart.

use crate::check;

#[test]
fn a_put_never_reaches_what_was_processed() {
    check(&[
        (
            "put beamspot 1 {\"x\":0}",
            "beamspot since 1; put: beamspot: {\"x\":0} holds since run 1 (not before the first \
             condition safe run, run 1)",
        ),
        ("file 1 1 a 100", "file a; run 1 physics open"),
        (
            "put beamspot 1 {\"x\":0}",
            "put: beamspot: {\"x\":0} was already in force since run 1; nothing was changed",
        ),
        (
            "put beamspot 0 {\"x\":1}",
            "refused: 0 is no since of beamspot: runs are numbered from 1; give it as the tag \
             counts",
        ),
        (
            "put beamspot 1 {\"y\":1}",
            "refused: beamspot: the payload has no \"x\", which the one in force has; add it, or \
             put this into a tag of its own",
        ),
        (
            "put beamspot 1 {\"x\":NaN}",
            "refused: beamspot: the payload holds NaN in line 1, which is no number; measure it \
             again",
        ),
        (
            "put beamspot 1 {\"x\":1}",
            "beamspot since 1; put: beamspot: {\"x\":1} holds since run 1 (not before the first \
             condition safe run, run 1)",
        ),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        (
            "accept prompt.reco 1",
            "done: prompt.reco of run 1 is accepted; start prompt#1 attempt 1 on 1 with beamspot \
             since 1",
        ),
        (
            "put beamspot 1 {\"x\":2}",
            "refused: run 1 is before the first condition safe run, run 2: earlier runs have \
             taken their conditions of beamspot; begin with run 2 or later, or put it into a tag \
             of its own for a reprocessing",
        ),
        (
            "put beamspot 2 {\"x\":2}",
            "beamspot since 2; put: beamspot: {\"x\":2} holds since run 2 (not before the first \
             condition safe run, run 2)",
        ),
        (
            "put beamspot/SIM 1 {\"x\":2}",
            "beamspot/SIM since 1; put: beamspot/SIM: {\"x\":2} holds since run 1 (not before the \
             first condition safe run, run 1)",
        ),
        ("restart", ""),
        (
            "put beamspot 2 {\"x\":2}",
            "put: beamspot: {\"x\":2} was already in force since run 2; nothing was changed",
        ),
    ]);
}

#[test]
fn every_tag_has_the_limit_of_its_synchronisation() {
    check(&[
        (
            "put survey 1 {}",
            "refused: no tag is called survey; `tier0 calib tags` lists them, and a first put \
             that says its synchronisation makes it",
        ),
        (
            "put sur/vey 1 {} sync=offline",
            "refused: \"sur/vey\" is no name of a tag: letters, digits, - _ and ., at most 128, \
             with /SIM behind it for simulated runs",
        ),
        (
            "put survey 5 {} sync=offline",
            "tag survey offline; survey since 5; put: survey: {} holds since run 5 (it comes \
             behind the last one)",
        ),
        (
            "put survey 5 {\"a\":1} sync=offline",
            "refused: survey only grows at its end: begin after run 5, not with run 5, or make a \
             new tag",
        ),
        (
            "put survey 6 {\"a\":1} sync=any",
            "refused: survey is known with another synchronisation: what a tag is does not \
             change; make a new tag",
        ),
        (
            "put survey 6 {\"a\":1}",
            "survey since 6; put: survey: {\"a\":1} holds since run 6 (it comes behind the last \
             one)",
        ),
        (
            "put menu 3 {} sync=hlt",
            "tag menu hlt; menu since 3; put: menu: {} holds since run 3 (not before the first \
             run that has not started, run 1)",
        ),
        ("file 7 1 a 100", "file a; run 7 physics open"),
        (
            "put menu 3 {\"a\":1}",
            "menu since 8; put: menu: {\"a\":1} holds since run 8 (moved from run 3 to the first \
             run that has not started, run 8)",
        ),
        (
            "put menu 3 {}",
            "put: menu: {} was already in force since run 3; nothing was changed",
        ),
        (
            "put menu 4 {\"a\":1}",
            "put: menu: {\"a\":1} was already in force since run 8; nothing was changed",
        ),
        (
            "put mc 1 {} sync=mc",
            "tag mc mc; mc since 1; put: mc: {} holds since run 1 (mc was empty)",
        ),
        (
            "put mc 2 {}",
            "refused: mc is mc and has an interval since run 1: it is filled once; make a new \
             tag",
        ),
        (
            "put free 9 {} sync=any",
            "tag free any; free since 9; put: free: {} holds since run 9 (any begins anywhere)",
        ),
        (
            "put free 2 {\"a\":1}",
            "free since 2; put: free: {\"a\":1} holds since run 2 up to run 9 (any begins \
             anywhere)",
        ),
        ("restart", ""),
        (
            "put menu 8 {\"a\":1} sync=prompt",
            "refused: menu is known with another synchronisation: what a tag is does not change; \
             make a new tag",
        ),
    ]);
}

#[test]
fn runs_behind_a_put_get_it_and_the_loop_goes_on_from_its_own() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
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
            "put beamspot 2 text",
            "beamspot since 2; put: beamspot: text holds since run 2 (not before the first \
             condition safe run, run 2)",
        ),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#2",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; \
             start calibration#2 attempt 1 on 1 with beamspot since 2 and scale since 1; \
             express#2 done",
        ),
        (
            "ok calibration#2 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot of run 2: no-change; scale of run 2: no-change; HARVEST closed \
             with 100; start prompt#2 attempt 1 on 1 with beamspot since 2 and scale since 1; \
             calibration#2 done",
        ),
        ("restart", ""),
    ]);
}
