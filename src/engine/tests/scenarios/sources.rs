//! Sources: copied twice, read back, soaked, read again, released when nobody needs them, removed;
//! and what keeps them from it.

use crate::check_with;
use crate::play::Play;
use model::time::Span;

const PIPELINE: &str = r#"
[pipeline]
name = "copy"
trigger = { stream = "Muons" }
[[task]]
name = "copy"
program = ["cat"]
outputs = { OUT = "txt" }
retry = { attempts = 2, base = "1s" }
"#;

fn check(rows: &[(&str, &str)]) {
    check_with(Play::with_release(PIPELINE, Span::from_secs(100)), rows);
}

#[test]
fn a_source_goes_when_its_run_has_finished_and_its_copies_were_read_after_the_soak() {
    check(&[
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open",
        ),
        (
            "why file/2",
            "lumi/1/Muons/1 waits for lumi-record; job/3 waits for program; file/2 waits for source-copies",
        ),
        ("copied a 1", "a is copied; read copy 1 of a"),
        ("good a 1", "a is verified; copy a to 2"),
        ("copied a 2", "a is copied-twice; read copy 2 of a"),
        ("good a 2", "a is verified-twice"),
        (
            "why file/2",
            "lumi/1/Muons/1 waits for lumi-record; job/3 waits for program; file/2 waits for source-soak",
        ),
        ("lumi 1 1 100", ""),
        ("wait 100", "read copy 1 of a"),
        ("good a 1", "a is verified-twice; read copy 2 of a"),
        ("good a 2", "a is soaked"),
        (
            "why file/2",
            "job/3 waits for program; file/2 waits for source-run",
        ),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok copy#1",
            "+OUT; OUT closed with 100; a is released; remove a; copy#1 done; run 1 physics finished",
        ),
        ("why file/2", "file/2 waits for source-removal"),
        ("removed a", "a is unlinked"),
        ("why file/2", ""),
        ("file 1 1 a 100", ""),
        ("restart", ""),
    ]);
}

#[test]
fn copies_are_read_once_more_when_the_soak_was_long_ago() {
    check(&[
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open",
        ),
        ("copied a 1", "a is copied; read copy 1 of a"),
        ("good a 1", "a is verified; copy a to 2"),
        ("copied a 2", "a is copied-twice; read copy 2 of a"),
        ("good a 2", "a is verified-twice"),
        ("wait 100", "read copy 1 of a"),
        ("good a 1", "a is verified-twice; read copy 2 of a"),
        ("good a 2", "a is soaked"),
        ("wait 101", ""),
        ("lumi 1 1 100", ""),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok copy#1",
            "+OUT; OUT closed with 100; a is verified-twice; read copy 1 of a; copy#1 done; run 1 physics finished",
        ),
        ("good a 1", "a is verified-twice; read copy 2 of a"),
        ("good a 2", "a is soaked; a is released; remove a"),
        ("removed a", "a is unlinked"),
    ]);
}

#[test]
fn a_copy_that_vanished_in_the_soak_is_made_again_and_soaks_again() {
    check(&[
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open",
        ),
        ("copied a 1", "a is copied; read copy 1 of a"),
        ("good a 1", "a is verified; copy a to 2"),
        ("copied a 2", "a is copied-twice; read copy 2 of a"),
        ("good a 2", "a is verified-twice"),
        ("lumi 1 1 100", ""),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok copy#1",
            "+OUT; OUT closed with 100; copy#1 done; run 1 physics finished",
        ),
        ("wait 100", "read copy 1 of a"),
        (
            "missing a 1",
            "alarm copy-bad/1/spool/a; a is verified; copy a to 1",
        ),
        ("copied a 1", "a is copied-twice; read copy 1 of a"),
        (
            "good a 1",
            "cleared copy-bad/1/spool/a; a is verified-twice",
        ),
        ("wait 99", ""),
        ("wait 1", "read copy 1 of a"),
        ("bad a 2", ""),
        (
            "bad a 1",
            "alarm copy-bad/1/spool/a; a is verified; copy a to 1",
        ),
        ("restart", "copy a to 1"),
    ]);
}

#[test]
fn a_fresh_copy_that_is_bad_is_made_again_after_a_pause() {
    check(&[
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open",
        ),
        ("copied a 1", "a is copied; read copy 1 of a"),
        ("bad a 1", "alarm copy-bad/1/spool/a; a is landed"),
        ("wait 9", ""),
        ("wait 1", "copy a to 1"),
        ("copied a 1", "a is copied; read copy 1 of a"),
        (
            "good a 1",
            "cleared copy-bad/1/spool/a; a is verified; copy a to 2",
        ),
    ]);
}

#[test]
fn a_full_folder_of_copies_is_told_once_and_tried_again() {
    check(&[
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open",
        ),
        (
            "file 1 1 b 100",
            "file b; start copy#2 attempt 1 on 1; copy b to 1",
        ),
        ("full a 1", "alarm copy-folder/1"),
        ("full b 1", ""),
        ("wait 10", "copy a to 1; copy b to 1"),
        (
            "copied a 1",
            "cleared copy-folder/1; a is copied; read copy 1 of a",
        ),
        ("restart", "read copy 1 of a; copy b to 1"),
        ("wait 1", ""),
    ]);
}

#[test]
fn a_source_that_differs_from_its_claim_is_never_copied_on() {
    check(&[
        ("corrupt a", ""),
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open; corrupt a; alarm file-corrupt/spool/a",
        ),
        ("copied a 1", ""),
        ("wait 1000", ""),
        ("mend a", ""),
        (
            "file 1 1 a 100",
            "file a; cleared file-corrupt/spool/a; copy a to 1",
        ),
        ("copied a 1", "a is copied; read copy 1 of a"),
        (
            "why file/2",
            "lumi/1/Muons/1 waits for lumi-record; job/3 waits for program; file/2 waits for source-copies",
        ),
    ]);
}

#[test]
fn a_lost_source_waits_for_its_spool_or_for_a_person() {
    check(&[
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open",
        ),
        (
            "file 1 2 b 100",
            "file b; start copy#2 attempt 1 on 1; copy b to 1",
        ),
        ("gone a 1", "a is lost; alarm source-lost/1"),
        ("gone b 1", "b is lost; alarm source-lost/1"),
        (
            "why file/2",
            "lumi/1/Muons/1 waits for lumi-record; job/3 waits for program; file/2 waits for source-lost",
        ),
        ("wait 60", "copy a to 1; copy b to 1"),
        (
            "copied a 1",
            "a is copied; alarm source-lost/1; read copy 1 of a",
        ),
        ("restart", "read copy 1 of a; copy b to 1"),
        (
            "lost 1 2 b dry",
            "would run 1: 1 lost source is given up: b",
        ),
        (
            "lost 1 2 b",
            "b is given-up; cleared source-lost/1; shifter did file declare-lost to run/1; done: run 1: 1 lost source is given up: b",
        ),
        ("wait 60", ""),
        (
            "why file/2",
            "lumi/1/Muons/1 waits for lumi-record; job/3 waits for program; file/2 waits for source-copies",
        ),
    ]);
}

#[test]
fn with_one_good_copy_the_other_is_made_of_it() {
    check(&[
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open",
        ),
        ("copied a 1", "a is copied; read copy 1 of a"),
        ("good a 1", "a is verified; copy a to 2"),
        ("gone a 2", "copy a to 2 from copy 1"),
        ("copied a 2", "a is copied-twice; read copy 2 of a"),
        ("good a 2", "a is verified-twice"),
        ("gone a 2", ""),
    ]);
}

#[test]
fn late_and_disputed_files_stay() {
    check(&[
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open",
        ),
        ("lumi 1 1 100", ""),
        ("end 1 1", "run 1 physics closed"),
        ("file 1 1 b 7", "late b; alarm late-file/1/b; copy b to 1"),
        (
            "ok copy#1",
            "+OUT; OUT closed with 100; copy#1 done; run 1 physics finished",
        ),
        ("copied a 1", "a is copied; read copy 1 of a"),
        ("good a 1", "a is verified; copy a to 2"),
        ("copied a 2", "a is copied-twice; read copy 2 of a"),
        ("good a 2", "a is verified-twice"),
        ("copied b 1", "b is copied; read copy 1 of b"),
        ("good b 1", "b is verified; copy b to 2"),
        ("copied b 2", "b is copied-twice; read copy 2 of b"),
        ("good b 2", "b is verified-twice"),
        (
            "file 1 1 a 101",
            "alarm name-conflict/spool/a; set aside a: name-conflict",
        ),
        ("wait 100", "read copy 1 of a; read copy 1 of b"),
        ("good a 1", "a is verified-twice; read copy 2 of a"),
        ("good a 2", "a is soaked"),
        ("good b 1", "b is verified-twice; read copy 2 of b"),
        ("good b 2", "b is soaked"),
        ("why file/2", "file/2 waits for source-held"),
        (
            "reopen 1",
            "cleared late-file/1/b; shifter did run reopen to run/1; done: run 1: 1 late files become part 2: b; start copy#2 attempt 1 on 1; run 1 physics closed part 2",
        ),
        (
            "ok copy#2",
            "+OUT; OUT closed with 7; b is released; remove b; copy#2 done; run 1 physics finished part 2",
        ),
    ]);
}

#[test]
fn a_retry_after_the_release_reads_a_copy() {
    check(&[
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open",
        ),
        ("lumi 1 1 100", ""),
        ("end 1 1", "run 1 physics closed"),
        (
            "fail copy#1 program",
            "alarm job-failed/copy#1; copy#1 failed: program; run 1 physics finished",
        ),
        ("copied a 1", "a is copied; read copy 1 of a"),
        ("good a 1", "a is verified; copy a to 2"),
        ("copied a 2", "a is copied-twice; read copy 2 of a"),
        ("good a 2", "a is verified-twice"),
        ("wait 100", "read copy 1 of a"),
        ("good a 1", "a is verified-twice; read copy 2 of a"),
        ("good a 2", "a is soaked; a is released; remove a"),
        (
            "retry copy#1",
            "cleared job-failed/copy#1; done: job 3 is ready again; start copy#1 attempt 2 on 1 at copy 2; run 1 physics closed",
        ),
        (
            "ok copy#1",
            "+OUT; OUT closed with 100; copy#1 done; run 1 physics finished",
        ),
        ("removed a", "a is unlinked"),
    ]);
}

#[test]
fn what_cannot_be_removed_is_told_and_tried_again() {
    check(&[
        (
            "file 1 1 a 100",
            "file a; start copy#1 attempt 1 on 1; copy a to 1; run 1 physics open",
        ),
        ("lumi 1 1 100", ""),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok copy#1",
            "+OUT; OUT closed with 100; copy#1 done; run 1 physics finished",
        ),
        ("copied a 1", "a is copied; read copy 1 of a"),
        ("good a 1", "a is verified; copy a to 2"),
        ("copied a 2", "a is copied-twice; read copy 2 of a"),
        ("good a 2", "a is verified-twice"),
        ("wait 100", "read copy 1 of a"),
        ("good a 1", "a is verified-twice; read copy 2 of a"),
        ("good a 2", "a is soaked; a is released; remove a"),
        ("kept a", "alarm source-kept/spool/a"),
        ("wait 60", "remove a"),
        ("removed a", "cleared source-kept/spool/a; a is unlinked"),
    ]);
}

#[test]
fn nothing_is_asked_for_the_report_of_an_empty_lumi() {
    check(&[
        ("empty 1 1 a", "file a; run 1 physics open"),
        ("why file/2", "lumi/1/Muons/1 waits for lumi-record"),
    ]);
}
