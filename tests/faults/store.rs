//! The store: held by others, on a disk that fails, damaged, made by another version, or half made.

use crate::rig::{
    Holder, Shim, as_undisturbed, copying, done, put_lumi, put_lumis, until_alarm, until_done,
    until_over,
};
use crate::support::{House, items, number, say};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn f23_a_store_that_somebody_holds_is_told_after_five_seconds_and_nothing_is_lost() {
    let mut house = copying("held", "");
    house.start();
    put_lumis(&house, 7, 1..=3);
    until_done(&house, 3);
    let holder = Holder::of(&house.path("state/tier0.db"));
    put_lumis(&house, 7, 4..=8);
    // Readers are not held up: what is on record is shown all the time.
    assert_eq!(done(&house), 3);
    let parts = [
        "Nothing could be recorded for 5 s",
        "the store is busy",
        "Find out which program has the database open",
        "work goes on by itself",
    ];
    until_alarm(&house, "store/busy", &parts);
    assert_eq!(done(&house), 3, "nothing is done that is not on record");
    drop(holder);
    until_done(&house, 8);
    until_over(&house, "store/busy");
    as_undisturbed(&house, 8);
    house.stop();
}

#[test]
fn f21_a_failed_sync_of_the_store_ends_the_instance_and_a_restart_recovers() {
    let mut house = copying("sync", "");
    let shim = Shim::before(&mut house, "/tier0.db");
    house.start();
    put_lumis(&house, 7, 1..=3);
    until_done(&house, 3);
    shim.set("sync-errno", "5");
    put_lumis(&house, 7, 4..=6);
    let status = house.wait();
    assert_eq!(status.code(), Some(74), "{}", house.log());
    let log = house.log();
    for part in [
        "commit batch",
        "the disk under the store failed",
        "check it before a restart",
    ] {
        assert!(log.contains(part), "lacks {part:?}: {log}");
    }
    assert!(house.processes().is_empty(), "{:?}", house.processes());
    shim.clear("sync-errno");
    house.start();
    until_done(&house, 6);
    as_undisturbed(&house, 6);
    house.stop();
}

#[test]
fn f21_a_failed_write_of_the_store_that_its_disk_does_not_explain_ends_the_instance() {
    let mut house = copying("write", "");
    let shim = Shim::before(&mut house, "/tier0.db");
    house.start();
    shim.set("write-errno", "5");
    put_lumi(&house, 7, 1);
    let status = house.wait();
    assert_eq!(status.code(), Some(74), "{}", house.log());
    let log = house.log();
    for part in [
        "commit batch",
        "the store cannot be written",
        "check its disk",
    ] {
        assert!(log.contains(part), "lacks {part:?}: {log}");
    }
    shim.clear("write-errno");
    house.start();
    as_undisturbed(&house, 1);
    house.stop();
}

/// Flips one bit of a file wherever these bytes stand.
fn flip(file: &Path, before: &[u8]) {
    let mut bytes = fs::read(file).expect("the file is there");
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(before))
        .collect();
    assert!(!starts.is_empty(), "the bytes stand in it");
    for at in starts {
        bytes[at] ^= 1;
    }
    fs::write(file, bytes).expect("the file is ours");
}

/// Damage that shows is never worked with: the instance says what is damaged and does not start.
#[test]
fn f22_a_damaged_store_is_not_worked_with() {
    // Bytes of which one bit is flipped: of a row's value, and of the file's first page.
    for (bytes, parts) in [
        (
            &b"{\"id\":"[..],
            &["restore agent", "restore the store from a backup"][..],
        ),
        (&b"SQLite format 3"[..], &["open the store", "tier0.db"][..]),
    ] {
        let mut house = copying("damaged", "");
        house.start();
        put_lumi(&house, 7, 1);
        until_done(&house, 1);
        house.stop();
        let database = house.path("state/tier0.db");
        sql(&database, "PRAGMA wal_checkpoint(TRUNCATE);");
        flip(&database, bytes);
        house.launch();
        let status = house.wait();
        assert!(!status.success(), "{}", house.log());
        for part in parts {
            assert!(
                house.log().contains(part),
                "lacks {part:?}: {}",
                house.log()
            );
        }
        assert!(house.processes().is_empty());
    }
}

fn sql(database: &Path, text: &str) {
    let script = "import sqlite3, sys\n\
                  with sqlite3.connect(sys.argv[1]) as store:\n    store.executescript(sys.argv[2])\n";
    let python = Command::new("python3")
        .args(["-c", script])
        .arg(database)
        .arg(text)
        .output();
    let output = python.expect("python3 is there");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn f58_a_store_of_a_newer_program_is_refused_untouched() {
    let mut house = copying("newer", "");
    house.start();
    house.stop();
    let database = house.path("state/tier0.db");
    sql(
        &database,
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, \
         execution_time) VALUES (9999, 'later', '2030-01-01', 1, x'00', 0);",
    );
    house.launch();
    assert!(!house.wait().success());
    for part in ["migration 9999", "a newer program made it; use that one"] {
        assert!(
            house.log().contains(part),
            "lacks {part:?}: {}",
            house.log()
        );
    }
    sql(
        &database,
        "DELETE FROM _sqlx_migrations WHERE version = 9999;",
    );
    house.start();
    put_lumi(&house, 7, 1);
    as_undisturbed(&house, 1);
    house.stop();
}

/// The power goes at one sync after the other, and takes what was not synced: every other piece of
/// it, and half of the last one.
#[test]
fn f03_power_cuts_lose_what_was_not_synced_and_nothing_that_was_told() {
    let mut house = copying("power", "");
    let shim = Shim::before(&mut house, "/tier0.db");
    let (mut lumis, mut cuts) = (0, 0);
    for last in [4, 9, 14, 20, 27] {
        let (before, mut told) = (lumis, Vec::new());
        shim.set("cut-at-sync", &last.to_string());
        house.launch();
        house.until("the power is gone", || {
            if lumis < before + 12 && house.log().contains("READY") {
                lumis += 1;
                put_lumi(&house, 7, lumis);
            }
            if let Ok(answer) = house.try_ask(&["job", "ls", "--state", "done"]) {
                told = items(answer);
            }
            has_ended(&house)
        });
        house.wait();
        cuts += 1;
        // What somebody was told is still so, and the one who starts it is told of no damage.
        shim.clear("cut-at-sync");
        house.start();
        let now = house.list(&["job", "ls", "--state", "done", "--limit", "1000"]);
        for job in told {
            let is_it = |row: &Value| number(row, "id") == number(&job, "id");
            assert!(now.iter().any(is_it), "{job} was done: {now:?}");
        }
        let log = house.log();
        assert!(log.contains("READY") && !log.contains("backup"), "{log}");
        house.stop();
    }
    say(&format!(
        "F03: the power went {cuts} times, with {lumis} lumis"
    ));
    house.start();
    as_undisturbed(&house, lumis);
    house.stop();
}

/// Killed at one sync after the other while the tables are made; then left alone.
#[test]
fn f58_making_the_tables_is_all_or_nothing_wherever_it_is_interrupted() {
    let mut house = copying("half", "");
    let shim = Shim::before(&mut house, "/tier0.db");
    let mut killed = 0;
    for last in [1, 2, 3, 5, 8, 13, 21, 34] {
        shim.set("kill-at-sync", &last.to_string());
        house.launch();
        let ended = house.until("it is killed or ready", || {
            if house.log().contains("READY") {
                Some(false)
            } else {
                has_ended(&house)
            }
        });
        if !ended {
            kill_process(house.pid(), Signal::KILL).expect("it is our child");
        }
        house.wait();
        killed += u32::from(ended);
    }
    say(&format!("F58: {killed} starts were killed in the middle"));
    assert!(killed >= 2);
    shim.clear("kill-at-sync");
    house.start();
    put_lumi(&house, 7, 1);
    as_undisturbed(&house, 1);
    house.stop();
}

fn has_ended(house: &House) -> Option<bool> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", house.pid().as_raw_nonzero())).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.trim().starts_with('Z').then_some(true)
}
