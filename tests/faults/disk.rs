//! Disks that take nothing: full, out of names, over quota, read-only; each of those that an
//! instance writes to. It pauses, says which and what to do, and goes on by itself.

use crate::rig::{
    Disk, Shim, as_undisturbed, copying, done, put_lumi, put_lumis, until_alarm, until_done,
    until_over,
};
use crate::support::House;
use rustix::process::{Signal, kill_process};
use std::fs;

/// Lumis before the disk is full, and in all.
const BEFORE: u32 = 3;
const LUMIS: u32 = 40;

/// Fills a disk in the middle of a run; `hinder` and `mend` are what happens to it.
fn pauses_and_resumes(
    mut house: House,
    key: &str,
    parts: &[&str],
    hinder: impl FnOnce(),
    mend: impl FnOnce(),
) {
    house.start();
    put_lumis(&house, 7, 1..=BEFORE);
    until_done(&house, BEFORE as usize);
    hinder();
    put_lumis(&house, 7, BEFORE + 1..=LUMIS);
    let said = until_alarm(&house, key, parts);
    assert!(said.contains("nothing that was accepted is lost"), "{said}");
    assert!(said.contains("work goes on by itself"), "{said}");
    assert!(done(&house) < LUMIS as usize, "it pauses");
    let stands = house.tier0(&["alarm", "ls"]);
    assert_eq!(stands.code, 1, "a script learns of it: {stands:?}");
    mend();
    until_done(&house, LUMIS as usize);
    until_over(&house, key);
    as_undisturbed(&house, LUMIS);
    house.stop();
}

#[test]
fn f16_a_full_state_disk_pauses_and_resumes() {
    let house = copying("state", "work = \"work\"\nstorage = \"outputs\"");
    let Some(disk) = Disk::mount(&house, "state", "size=24m") else {
        return;
    };
    let parts = [
        "The state disk (",
        "is full",
        "are free",
        "Free space there",
    ];
    pauses_and_resumes(house, "disk/state", &parts, || disk.fill(), || disk.free());
}

#[test]
fn f16_a_full_work_disk_pauses_and_resumes() {
    let house = copying("work", "work = \"work\"\nstorage = \"outputs\"");
    let Some(disk) = Disk::mount(&house, "work", "size=16m") else {
        return;
    };
    let parts = ["The work disk (", "is full", "are free", "Free space there"];
    pauses_and_resumes(house, "disk/work", &parts, || disk.fill(), || disk.free());
}

#[test]
fn f16_a_full_output_disk_pauses_and_resumes() {
    let house = copying("outputs", "work = \"work\"\nstorage = \"outputs\"");
    let Some(disk) = Disk::mount(&house, "outputs", "size=16m") else {
        return;
    };
    let parts = [
        "The output disk (",
        "is full",
        "copying to",
        "Free space there",
    ];
    pauses_and_resumes(house, "disk/output", &parts, || disk.fill(), || disk.free());
}

/// With the state disk full from before the start, what was kept back lets it start and say so.
#[test]
fn f16_an_instance_starts_on_a_full_state_disk() {
    let mut house = copying("full", "work = \"work\"\nstorage = \"outputs\"");
    let Some(disk) = Disk::mount(&house, "state", "size=24m") else {
        return;
    };
    house.start();
    put_lumi(&house, 7, 1);
    until_done(&house, 1);
    kill_process(house.pid(), Signal::KILL).expect("it is our child");
    house.wait();
    disk.fill();
    house.start();
    put_lumis(&house, 7, 2..=4);
    until_alarm(&house, "disk/state", &["The state disk (", "is full"]);
    disk.free();
    until_done(&house, 4);
    until_over(&house, "disk/state");
    as_undisturbed(&house, 4);
    house.stop();
    drop(disk);
}

/// Whatever takes its messages is full: nobody hears them, and nothing waits for that.
#[test]
fn f16_f64_a_full_log_disk_holds_nothing_up() {
    let mut house = copying("log", "");
    house.starter = ["sh", "-c", "exec \"$0\" \"$@\" 2>/dev/full"]
        .map(str::to_owned)
        .to_vec();
    house.launch();
    put_lumis(&house, 7, 1..=3);
    house.until("it answers", || house.try_ask(&["job", "ls"]).ok());
    until_done(&house, 3);
    kill_process(house.pid(), Signal::HUP).expect("it is our child");
    put_lumi(&house, 7, 4);
    until_done(&house, 4);
    as_undisturbed(&house, 4);
    house.stop();
}

#[test]
fn f17_a_disk_without_free_names_pauses_and_resumes() {
    let house = copying("names", "work = \"work\"\nstorage = \"outputs\"");
    let config = fs::read_to_string(house.path("tier0.toml")).expect("it was written");
    house.write(
        "tier0.toml",
        config.replace("cores = 2", "cores = 2\npool = 4"),
    );
    let Some(disk) = Disk::mount(&house, "work", "size=16m,nr_inodes=400") else {
        return;
    };
    let parts = ["The work disk (", "is full", "more files can be made on it"];
    let names = || disk.fill_with_names();
    pauses_and_resumes(house, "disk/work", &parts, names, || disk.free());
}

#[test]
fn f17_a_read_only_output_disk_pauses_and_resumes() {
    let house = copying("read-only", "work = \"work\"\nstorage = \"outputs\"");
    let Some(disk) = Disk::mount(&house, "outputs", "size=16m") else {
        return;
    };
    let parts = [
        "The output disk (",
        "is read-only",
        "mount it to be written",
    ];
    let (lock, unlock) = (|| disk.remount("ro"), || disk.remount("rw"));
    pauses_and_resumes(house, "disk/output", &parts, lock, unlock);
}

/// EDQUOT (errno 122) looks like any other error to SQLite; the disk itself says what it is.
#[test]
fn f17_a_used_up_quota_pauses_and_resumes() {
    for (part, key, word) in [
        ("/outputs/", "disk/output", "The output disk ("),
        ("/state/", "disk/state", "The state disk ("),
    ] {
        let mut house = copying("quota", "work = \"work\"\nstorage = \"outputs\"");
        // Outputs are copied only from another disk.
        let Some(disk) = Disk::mount(&house, "work", "size=16m") else {
            return;
        };
        let shim = Shim::before(&mut house, part);
        let parts = [word, "is full", "quota", "Free space there"];
        let (hinder, mend) = (
            || shim.set("write-errno", "122"),
            || shim.clear("write-errno"),
        );
        pauses_and_resumes(house, key, &parts, hinder, mend);
        drop(disk);
    }
}

#[test]
fn f40_a_program_that_fills_the_work_disk_is_ended_and_others_are_not_blamed() {
    let mut house = copying("filler", "work = \"work\"\nstorage = \"outputs\"");
    house.program(
        "copy.sh",
        "#!/bin/sh\n\
         path=$(grep -o '\"path\":\"[^\"]*\"' \"$TIER0_JOB\" | head -1 | cut -d'\"' -f4)\n\
         case $path in\n\
         *ls0002*) cat /dev/zero > filling; exec sleep 98764 ;;\n\
         esac\n\
         cat \"$path\" > OUT.txt\n",
    );
    let Some(disk) = Disk::mount(&house, "work", "size=32m") else {
        return;
    };
    house.start();
    put_lumis(&house, 7, 1..=12);
    let failed = house.until("the filler has failed for good", || {
        let failed = house.list(&["job", "ls", "--state", "failed"]);
        (failed.len() == 1).then_some(failed)
    });
    let said = crate::support::text(&failed[0], "last_error");
    for part in [
        "of a work disk that had no room left and was ended",
        "make it write less",
    ] {
        assert!(said.contains(part), "{said}");
    }
    until_done(&house, 11);
    until_over(&house, "disk/work");
    house.stop();
    drop(disk);
}
