//! Rows of the table of faults (RELIABILITY.md) that the engine alone answers for: the id begins
//! the test's name. Each says what becomes of the work, and the very words that people read.

use crate::check;
use crate::play::Play;

/// A job a file, tried again after a second.
const LOOK: &str = r#"
[pipeline]
name = "p"
trigger = { stream = "Muons" }
[[task]]
name = "look"
program = ["x"]
split = { by = "file", files_per_job = 1 }
outputs = { LOOK = "json" }
retry = { attempts = 3, policy = "constant", base = "1s" }
"#;

#[test]
fn f08_f09_the_same_name_is_nothing_new_or_a_conflict_that_names_both() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 1 1 a 100", ""),
        (
            "file 1 1 a 101",
            "alarm name-conflict/spool/a; set aside a: name-conflict",
        ),
        (
            "alarm name-conflict/spool/a",
            "a was seen again with other content (1010 bytes, adler32:00000c5a; the accepted file 2 has 1000 bytes, adler32:00000c7d). The first stays valid. Find out who rewrote or sent it again; a corrected file needs a new name.",
        ),
        (
            "details",
            "a was seen again with other content (1010 bytes, adler32:00000c5a; the accepted file 2 has 1000 bytes, adler32:00000c7d). The first stays valid. Find out who rewrote or sent it again; a corrected file needs a new name.",
        ),
        ("restart", ""),
        ("file 1 1 a 101", ""),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
    ]);
}

#[test]
fn f10_the_same_content_under_two_names_is_worked_on_once() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        (
            "file 1 1 b 100 like=a",
            "alarm set-aside/spool/duplicate-content; set aside b: duplicate-content",
        ),
        (
            "details",
            "b has the content of a under another name (1000 bytes, adler32:00000c7d; both of stream Muons of run 1): it is not worked on a second time. Find out who sent it twice; where both are wanted, send it again without a checksum.",
        ),
        ("file 1 1 b 100 like=a", ""),
        ("restart", ""),
        ("file 1 1 b 100 like=a", ""),
        // Of another stream, of another run, or with other events, it is another file.
        (
            "file 3 1 t 100 like=a of=Tracks",
            "file t; run 3 physics open",
        ),
        ("file 2 1 c 100 like=a", "file c; run 2 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        // In another lumi it is worked on, and told.
        (
            "file 1 2 d 100 like=a",
            "alarm duplicate-content/1/Muons; file d",
        ),
        (
            "alarm duplicate-content/1/Muons",
            "d has the content of a under another name (1000 bytes, adler32:00000c7d; both of stream Muons of run 1), one in lumi 1, the other in lumi 2. Both are worked on: a checksum alone is no proof. Ask the detector's experts whether lumi 2 was written twice; other files of the stream like that are not named one by one.",
        ),
        ("file 1 2 e 100 like=d unsummed", "file e"),
        ("lumi 1 2 200", "start express#2 attempt 1 on 2"),
        ("end 1 2", "run 1 physics closed"),
        (
            "because run/1",
            "task/1/prompt.reco: no decision yet on beamspot, scale (tier0 calib accept prompt.reco --run 1 lets it go now)",
        ),
    ]);
}

#[test]
fn f49_a_thousand_retries_that_are_due_at_once_start_no_more_than_there_is_room_for() {
    const JOBS: usize = 1_000;
    let mut play = Play::with_pipeline(LOOK);
    let begun = |said: &str| said.matches("start p#").count();
    for file in 0..JOBS {
        play.row(&format!("file 1 1 f{file:04} 10"));
    }
    // Eight cores: each attempt that fails makes room for the next job.
    let mut failed = 0;
    while failed < JOBS {
        let said = play.row(&format!("fail p#{} transient", failed + 1));
        failed += 1;
        assert!(begun(&said) <= 1, "{said}");
    }
    // Everything is due, and as much is started as fits.
    let said = play.row("wait 10");
    assert_eq!(begun(&said), 8, "{said}");
    let why = play.row("because job/19");
    assert_eq!(
        why,
        "job/19: 992 jobs are ready, 8 of 8 cores are used (tier0 job ls --state running shows who has the cores)"
    );
    // It goes on one for one.
    for job in 1..=8 {
        let said = play.row(&format!("ok p#{job}"));
        assert_eq!(begun(&said), 1, "{said}");
    }
    assert_eq!(play.broken(), []);
}

#[test]
fn f50_a_run_without_an_end_stays_open_is_told_and_is_ended_by_a_person() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("wait 3599", ""),
        ("wait 1", "alarm run-silent/1"),
        (
            "alarm run-silent/1",
            "Nothing of run 1 has come since 2027-01-01T00:00:00.000000Z, and its end was not announced: it stays open, and what waits for its end waits. Ask the detector's experts whether it has ended; `tier0 run stop 1 --last-lumi 1` ends it with what is here.",
        ),
        (
            "because run/1",
            "run/1: its end was not announced yet (tier0 run stop 1 --last-lumi N says with which lumi it ended); task/1/prompt.reco: no decision yet on beamspot, scale (tier0 calib accept prompt.reco --run 1 lets it go now)",
        ),
        (
            "close 1",
            "shifter did run close to run/1; done: run 1: it ends with lumi 1: run/1 ends with lumi 1; cleared run-silent/1; run 1 physics closed",
        ),
    ]);
}

#[test]
fn f51_ends_and_lumis_in_any_order_close_a_run_once_and_counts_that_differ_are_told() {
    check(&[
        ("end 1 3", "run 1 physics ending"),
        ("lumi 1 3 30", ""),
        ("lumi 1 3 30", ""),
        ("file 1 3 c 30", "file c; start express#1 attempt 1 on 1"),
        ("file 1 1 a 100", "file a"),
        ("lumi 1 1 100", "start express#2 attempt 1 on 1"),
        ("file 1 2 b 50", "file b"),
        (
            "lumi 1 2 50 message",
            "start express#3 attempt 1 on 1; run 1 physics closed",
        ),
        ("lumi 1 2 60", "alarm late-record/1"),
        ("lumi 1 2 70 of=Muons message", ""),
        // Of one lumi two counts.
        ("lumi 2 1 100", "run 2 physics open"),
        ("lumi 2 1 90 message", ""),
        ("file 2 1 d 100", "file d; alarm lumi-disputed/2/Muons/1"),
        (
            "alarm lumi-disputed/2/Muons/1",
            "Lumi 1 of stream Muons in run 2 is disputed: the message says 90 events, the record 100. Tasks that take whole lumis wait for it, others have what is here. Compare `tier0 file ls --run 2` with what the detector says; `tier0 run close 2 --stream Muons --lumis 1 --as here` accepts what is here.",
        ),
        // Of one run two ends.
        ("end 2 1", "run 2 physics ending"),
        ("end 2 2", "alarm end-disputed/2; run 2 physics ending"),
        (
            "alarm end-disputed/2",
            "The end of run 2 is disputed: the record says lumi 1 and lumi 2. The run stays open and its data are worked on. Ask the detector's experts; `tier0 run stop 2 --last-lumi N` settles it.",
        ),
        (
            "because run/2",
            "run/2: its end is disputed: the record says lumi 1 and lumi 2 (tier0 run stop 2 --last-lumi N says with which lumi it ended); lumi/2/Muons/1: disputed: the message says 90 events, the record 100 (tier0 run close 2 --stream Muons --lumis 1 --as here accepts what is here); lumi/2/Muons/2: 0 files with 0 events are here, its end-of-lumi record is missing (tier0 run close 2 --stream Muons --lumis 2 gives up what is missing; --as here or --as empty says more); task/2/calibration.harvest: constants of run 1 are decided first (tier0 calib accept calibration.harvest --run 2 lets it go now); task/2/prompt.reco: no decision yet on beamspot, scale (tier0 calib accept prompt.reco --run 2 lets it go now)",
        ),
    ]);
}

#[test]
fn f52_a_lumi_that_never_comes_is_missed_by_name_and_given_up_by_a_person() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("file 1 3 c 100", "file c"),
        ("lumi 1 3 100", "start express#2 attempt 1 on 1"),
        ("lumi 1 2 50", ""),
        ("end 1 3", "run 1 physics ending"),
        ("wait 120", "alarm lumis-missing/1/Muons"),
        (
            "alarm lumis-missing/1/Muons",
            "Stream Muons of run 1 waits while later lumis are here or the run has ended: lumi 2: 0 files with 0 events are here, 50 events were announced. Ask the detector's experts where it is. `tier0 why stream/1/Muons` shows what is missing now; `tier0 file declare-lost --run 1 --stream Muons --lumis 2` gives it up.",
        ),
        (
            "because run/1",
            "lumi/1/Muons/2: 0 files with 0 events are here, 50 events were announced (tier0 run close 1 --stream Muons --lumis 2 gives up what is missing; --as here or --as empty says more); task/1/prompt.reco: no decision yet on beamspot, scale (tier0 calib accept prompt.reco --run 1 lets it go now)",
        ),
        (
            "close 1 dry",
            "would run 1: 1 lumi of a stream is declared lost: lumi/1/Muons/2",
        ),
        (
            "close 1",
            "shifter did run close to run/1; done: run 1: 1 lumi of a stream is declared lost: lumi/1/Muons/2; cleared lumis-missing/1/Muons; run 1 physics closed",
        ),
        ("because lumi/1/Muons/2", ""),
    ]);
}

#[test]
fn f53_a_file_that_comes_after_the_close_is_kept_told_and_becomes_a_part() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        ("file 1 1 b 7", "late b; alarm late-file/1/b"),
        (
            "alarm late-file/1/b",
            "b came after run 1 was closed. It is accepted and kept, and no job was made for it. Look at what sent it; `tier0 run reopen 1` works on it as a new part of the run.",
        ),
        (
            "because run/1",
            "run/1: 1 files came after it was closed (tier0 run reopen 1 works on them as a new part of the run); task/1/prompt.reco: no decision yet on beamspot, scale (tier0 calib accept prompt.reco --run 1 lets it go now)",
        ),
        ("restart", ""),
        ("file 1 1 b 7", ""),
        (
            "reopen 1",
            "cleared late-file/1/b; shifter did run reopen to run/1; done: run 1: 1 late files become part 2: b; start express#2 attempt 1 on 1; run 1 physics closed part 2",
        ),
        ("alarm late-file/1/b", "none"),
    ]);
}

#[test]
fn f54_overlapping_empty_aborted_and_reused_runs_have_defined_states() {
    check(&[
        // Two at once, the later number first.
        ("file 5 1 a 100", "file a; run 5 physics open"),
        ("file 3 1 b 100", "file b; run 3 physics open"),
        ("lumi 5 1 100", "start express#1 attempt 1 on 1"),
        ("lumi 3 1 100", "start express#2 attempt 1 on 1"),
        ("end 5 1", "run 5 physics closed"),
        ("end 3 1", "run 3 physics closed"),
        // Aborted in its first second: nothing was written.
        ("begin 4 physics", "run 4 physics open"),
        (
            "end 4 0",
            "run 4 not-run, not certified; run 4 physics closed",
        ),
        // A lumi, and nothing in it.
        ("begin 6 physics", "run 6 physics open"),
        ("lumi 6 1 0", ""),
        ("end 6 1", "run 6 physics ending"),
        (
            "because run/6",
            "run/6: no file of any stream has come (tier0 run close 6 gives up what was announced); task/6/calibration.harvest: constants of run 3 are decided first (tier0 calib accept calibration.harvest --run 6 lets it go now); task/6/prompt.reco: no decision yet on beamspot, scale (tier0 calib accept prompt.reco --run 6 lets it go now)",
        ),
        // The number of a run that is over, again.
        ("begin 4 cosmics", "alarm run-type/4"),
        (
            "alarm run-type/4",
            "The begin-of-run record calls run 4 cosmics and real; it is at work as physics and real. It goes on as it is. Check the record; take the data again under another number if the run type matters.",
        ),
        ("file 4 1 c 10", "late c; alarm late-file/4/c"),
        (
            "alarm late-file/4/c",
            "c came after run 4 was closed. It is accepted and kept, and no job was made for it. Look at what sent it; `tier0 run reopen 4` works on it as a new part of the run.",
        ),
        ("begin 4 physics", ""),
    ]);
}
