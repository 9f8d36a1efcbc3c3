//! A new configuration is for new runs; what is open keeps what it was opened with.

use crate::check;

#[test]
fn open_runs_keep_the_configuration_they_were_opened_with() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        (
            "take other",
            "configuration other; done: runs that open from now on get configuration \
             other; 1 run at work keeps its own",
        ),
        (
            "take other",
            "done: configuration other is in force already; nothing of it has changed",
        ),
        ("file 2 1 b 100", "file b; run 2 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("lumi 2 1 100", "start express#2 attempt 1 on 1"),
        ("fail express#1 transient", "express#1 pauses 1.00 s"),
        (
            "fail express#2 transient",
            "alarm job-failed/express#2; express#2 failed: transient",
        ),
        ("wait 30", "start express#1 attempt 2 on 1"),
        ("end 2 1", "run 2 physics finished"),
        ("ok express#1", "+ALCA; +DQM; +RECO; express#1 done"),
        (
            "end 1 1",
            "ALCA closed with 100; DQM closed with 100; RECO closed with 100; start \
             calibration#1 attempt 1 on 1; run 1 physics closed",
        ),
    ]);
}

#[test]
fn one_that_is_wrong_changes_nothing_and_is_not_forgotten() {
    check(&[
        ("take wrong", "alarm config-reload; refused: a mistake"),
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        (
            "take birth",
            "cleared config-reload; done: configuration birth is in force already; nothing of it \
             has changed",
        ),
    ]);
}

#[test]
fn a_configuration_may_come_back() {
    check(&[
        (
            "take other",
            "configuration other; done: runs that open from now on get configuration \
             other; no run is at work with another one",
        ),
        (
            "take birth",
            "done: runs that open from now on get configuration birth; no run is at \
             work with another one",
        ),
        ("begin 1 physics", "run 1 physics open"),
        (
            "take other",
            "done: runs that open from now on get configuration other; 1 run at work \
             keeps its own",
        ),
        ("begin 2 physics", "run 2 physics open"),
    ]);
}
