//! Attempts that fail: what follows is in the class, never in the text.

use crate::check;

/// One job of express under way.
const SENT: [(&str, &str); 2] = [
    ("file 1 1 a 100", "file a; run 1 physics open"),
    ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
];

fn check_after_sent(rows: &[(&str, &str)]) {
    let sent = SENT.map(|(row, follows)| (row, follows));
    check(&[&sent, rows].concat());
}

#[test]
fn what_may_help_is_tried_again_after_a_growing_pause() {
    check_after_sent(&[
        ("fail express#1 transient", "express#1 pauses 1.00 s"),
        ("wait 1", ""),
        ("wait 1", "start express#1 attempt 2 on 1"),
        ("fail express#1 site", "express#1 pauses 4.00 s"),
        ("wait 4", ""),
        ("wait 1", "start express#1 attempt 3 on 1"),
        (
            "fail express#1 time",
            "alarm job-failed/express#1; express#1 failed: time",
        ),
    ]);
}

#[test]
fn what_cannot_help_is_not_tried_again() {
    check_after_sent(&[(
        "fail express#1 input",
        "alarm job-failed/express#1; express#1 failed: input",
    )]);
    check_after_sent(&[(
        "fail express#1 program",
        "alarm job-failed/express#1; express#1 failed: program",
    )]);
}

#[test]
fn a_lost_attempt_costs_nothing() {
    check_after_sent(&[
        (
            "fail express#1 lost",
            "alarm attempts-lost/express.reco; express#1 pauses 1.00 s",
        ),
        ("wait 1", "start express#1 attempt 2 on 1"),
        ("fail express#1 lost", "express#1 pauses 1.00 s"),
        ("wait 1", "start express#1 attempt 3 on 1"),
        ("fail express#1 lost", "express#1 pauses 1.00 s"),
        ("wait 1", "start express#1 attempt 4 on 1"),
        ("fail express#1 lost", "express#1 pauses 1.00 s"),
        ("wait 1", "start express#1 attempt 5 on 1"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; cleared attempts-lost/express.reco; express#1 done",
        ),
    ]);
}

#[test]
fn every_declared_output_is_reported_once() {
    check_after_sent(&[(
        "report express#1 -ALCA",
        "alarm job-failed/express#1; express#1 failed: program",
    )]);
    check_after_sent(&[(
        "twice express#1",
        "alarm job-failed/express#1; express#1 failed: program",
    )]);
}

#[test]
fn outputs_that_cannot_be_put_in_place_are_made_again() {
    check_after_sent(&[
        ("unstored express#1", "express#1 pauses 1.00 s"),
        ("wait 2", "start express#1 attempt 2 on 1"),
        ("ok express#1", "+ALCA; +DQM; +RECO; express#1 done"),
    ]);
}

#[test]
fn news_of_an_older_attempt_is_ignored() {
    check_after_sent(&[
        (
            "fail express#1 lost",
            "alarm attempts-lost/express.reco; express#1 pauses 1.00 s",
        ),
        ("wait 1", "start express#1 attempt 2 on 1"),
        ("old express#1", ""),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; cleared attempts-lost/express.reco; express#1 done",
        ),
        ("ok express#1", ""),
    ]);
}

#[test]
fn only_a_failed_job_of_a_task_at_work_is_retried() {
    check_after_sent(&[
        (
            "retry express#1",
            "refused: job 4 is sent; only a failed, cancelled or parked job can be retried",
        ),
        (
            "retry nobody#1",
            "refused: job 999 is not known here, or its run is archived; `tier0 job ls --state failed` lists what can be retried",
        ),
        (
            "fail express#1 program",
            "alarm job-failed/express#1; express#1 failed: program",
        ),
        (
            "retry express#1",
            "cleared job-failed/express#1; done: job 4 is ready again; start express#1 attempt 2 on 1",
        ),
        (
            "fail express#1 program",
            "alarm job-failed/express#1; express#1 failed: program",
        ),
        (
            "end 1 1",
            "beamspot of run 1: abandoned; scale of run 1: abandoned; start prompt#1 attempt 1 on 1; run 1 physics closed",
        ),
        (
            "retry express#1",
            "cleared job-failed/express#1; done: job 4 is ready again; start express#1 \
                 attempt 3 on 1",
        ),
    ]);
}
