//! Conditions that were made elsewhere, and tags that take nothing new: what runs have read stays,
//! whoever asks.

use crate::check;

#[test]
fn a_protected_tag_takes_nothing_new_from_anybody() {
    check(&[
        (
            "protect nobody",
            "refused: no tag is called nobody; `tier0 calib tags` lists them, and a first put that \
             says its synchronisation makes it",
        ),
        (
            "protect beamspot",
            "tag beamspot pcl; done: beamspot is protected: it takes nothing new",
        ),
        (
            "protect beamspot",
            "done: beamspot is protected: it takes nothing new already",
        ),
        ("restart", ""),
        (
            "bring beamspot 1 abc",
            "refused: beamspot is known with another protection: what a tag is does not change; \
             make a new tag",
        ),
        (
            "put beamspot 1 {\"x\":0}",
            "refused: beamspot is protected: it takes nothing new; put it into a tag of its own",
        ),
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with \
             100; start calibration#1 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot of run 1: veto; scale since 1; scale of run 1: update; HARVEST \
             closed with 100; start prompt#1 attempt 1 on 1 with scale since 1; calibration#1 \
             done",
        ),
        (
            "open beamspot",
            "tag beamspot pcl; done: beamspot takes new intervals",
        ),
        (
            "put beamspot 2 {\"x\":0}",
            "beamspot since 2; put: beamspot: {\"x\":0} holds since run 2 (not before the first \
             condition safe run, run 2)",
        ),
    ]);
}

#[test]
fn what_is_imported_never_changes_what_is_here() {
    check(&[
        (
            "bring survey 5 abc",
            "tag survey any; survey since 5; done: new here: 1 tags, 1 intervals, 1 payloads, 0 \
             global tags",
        ),
        (
            "bring survey 5 abc",
            "done: new here: 0 tags, 0 intervals, 0 payloads, 0 global tags; nothing was changed",
        ),
        (
            "bring survey 4 abc",
            "refused: survey has intervals of its own here, which stay as they are: import it \
             under another name, or put single constants with `tier0 calib put`",
        ),
        ("restart", ""),
        (
            "bring survey 5 abc",
            "done: new here: 0 tags, 0 intervals, 0 payloads, 0 global tags; nothing was changed",
        ),
        // Before the first run a tag that tasks measure may be filled, later it may not.
        (
            "bring beamspot 1 abc",
            "tag beamspot pcl; beamspot since 1; done: new here: 1 tags, 1 intervals, 0 payloads, \
             0 global tags",
        ),
        ("file 1 1 a 100", "file a; run 1 physics open"),
        (
            "bring scale 1 abc",
            "refused: scale is read or measured here, and runs were worked on with what it had: \
             import it before the first run, or under another name",
        ),
        (
            "bring sur/vey 1 abc",
            "refused: \"sur/vey\" is no name of a tag: letters, digits, - _ and ., at most 128, \
             with /SIM behind it for simulated runs",
        ),
    ]);
}
