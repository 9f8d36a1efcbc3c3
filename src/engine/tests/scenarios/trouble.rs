//! What should not happen and does: too much, too late, twice, or other than before.

use crate::play::Play;
use crate::{check, check_with};

#[test]
fn a_file_too_many_disputes_its_lumi() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 1 1 b 100", "file b"),
        ("lumi 1 1 100", "alarm lumi-disputed/1/Muons/1"),
        ("end 1 1", "run 1 physics ending"),
    ]);
}

#[test]
fn a_late_file_is_kept_and_not_worked_on() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        ("file 1 1 b 7", "late b; alarm late-file/1/b"),
    ]);
}

#[test]
fn a_name_with_other_content_is_set_aside() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 1 1 a 100", ""),
        (
            "file 1 1 a 101",
            "alarm name-conflict/spool/a; set aside a: name-conflict",
        ),
        ("file 1 1 a 101", ""),
        (
            "file 1 1 b 100 sim",
            "alarm set-aside/spool/label-conflict; set aside b: label-conflict",
        ),
        ("file 1 1 c 100 sim", "set aside c: label-conflict"),
    ]);
}

#[test]
fn nothing_is_published_of_a_file_that_is_not_what_its_sender_claims() {
    check(&[
        ("corrupt a", ""),
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 1 2 b 100", "file b"),
        (
            "lumi 1 1 100",
            "start express#1 attempt 1 on 1; corrupt a; alarm file-corrupt/spool/a",
        ),
        ("lumi 1 2 100", "start express#2 attempt 1 on 1"),
        (
            "ok express#1",
            "alarm job-failed/express#1; express#1 failed: input",
        ),
        ("ok express#2", "+ALCA; +DQM; +RECO; express#2 done"),
        ("mend a", ""),
        (
            "retry express#1",
            "cleared job-failed/express#1; done: job 5 is ready again; start express#1 attempt \
             2 on 1",
        ),
        (
            "ok express#1",
            "alarm job-failed/express#1; express#1 failed: input",
        ),
        ("wait 1", ""),
        ("file 1 1 a 100", "file a; cleared file-corrupt/spool/a"),
        (
            "retry express#1",
            "cleared job-failed/express#1; done: job 5 is ready again; start express#1 attempt \
             3 on 1",
        ),
        ("ok express#1", "+ALCA; +DQM; +RECO; express#1 done"),
    ]);
}

#[test]
fn announcements_are_not_replaced() {
    check(&[
        ("lumi 1 1 100", "run 1 physics open"),
        ("lumi 1 1 100", ""),
        ("lumi 1 1 90", ""),
        ("end 1 1", "run 1 physics ending"),
        ("end 1 2", "alarm end-disputed/1; run 1 physics ending"),
    ]);
}

#[test]
fn what_a_run_is_for_is_settled_with_its_first_job() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("begin 1 test", "run 1 test open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("begin 1 physics", "alarm run-type/1"),
        (
            "start 1 physics",
            "refused: run 1 is known as test and real; what a run is cannot be changed by \
             starting it again",
        ),
        ("start 1 test", "done: run 1 was already open"),
    ]);
    check(&[
        (
            "end 1 0",
            "beamspot of run 1: abandoned; scale of run 1: abandoned; run 1 not-run, not \
             certified; run 1 physics finished",
        ),
        ("begin 1 test", "alarm run-type/1"),
    ]);
}

#[test]
fn a_run_is_stopped_with_what_is_here() {
    check(&[
        (
            "stop 1 3",
            "refused: run 1 is not known; `tier0 run ls` lists those that are",
        ),
        ("file 1 2 a 100", "file a; run 1 physics open"),
        (
            "stop 1 1",
            "refused: run 1 has files or records of lumi 2; stop it with --last-lumi 2 or more",
        ),
        (
            "stop 1 3",
            "done: run 1 ends with lumi 3; nothing of lumi 1 of Muons, lumi 3 of Muons is here, \
             which is waited for: `tier0 run close 1 --as empty` or `--as lost` ends that; \
             start express#1 attempt 1 on 1; run 1 physics ending",
        ),
        ("stop 1 3", "done: run 1 was already ending"),
        ("file 1 3 b 100", "file b"),
        (
            "close 1 as=here",
            "shifter did run close to run/1; done: run 1: 2 lumis of streams are declared here: \
             lumi/1/Muons/1, lumi/1/Muons/3; start express#2 attempt 1 on 1; run 1 physics \
             closed",
        ),
        ("stop 1 3", "done: run 1 was already closed"),
        (
            "stop 1 4",
            "refused: run 1 was announced to end with lumi 3, and is closed",
        ),
    ]);
    check(&[
        (
            "start 1 cosmics",
            "done: run 1 (cosmics, real) is open; run 1 cosmics open",
        ),
        (
            "stop 1 0",
            "done: run 1 ends with lumi 0; beamspot of run 1: abandoned; scale of run 1: \
             abandoned; run 1 not-run, not certified; run 1 cosmics finished",
        ),
    ]);
}

#[test]
fn jobs_beyond_the_cores_wait_and_the_earliest_deadline_is_first() {
    check_with(
        Play::with_cores(1),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
            ("wait 1", ""),
            ("file 1 2 b 100", "file b"),
            ("lumi 1 2 100", "express#2 ready"),
            (
                "ok express#1",
                "+ALCA; +DQM; +RECO; start express#2 attempt 1 on 1; express#1 done",
            ),
        ],
    );
}

#[test]
fn a_run_with_holes_ends_and_says_so_once() {
    check(&[
        ("begin 1 physics", "run 1 physics open"),
        ("file 1 1 a 100", "file a"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("file 1 2 b 100", "file b"),
        ("lumi 1 2 100", "start express#2 attempt 1 on 1"),
        (
            "ok express#1 slices=9/12",
            "+ALCA; +DQM; +RECO; alarm run-incomplete/1; express#1 done",
        ),
        (
            "ok express#2 slices=11/12",
            "+ALCA; +DQM; +RECO; express#2 done",
        ),
        (
            "end 1 2",
            "ALCA closed with 200; DQM closed with 200; RECO closed with 200; start \
             calibration#1 attempt 1 on 2; run 1 physics closed",
        ),
    ]);
}
