//! Sources that are removed once two copies are safe: what happens to copies and sources on the
//! way, by hand and by a kill, on disks of their own.

use crate::rig::{DAQ, Disk, as_undisturbed, end_run, put_lumi, put_lumis, stem, until_alarm};
use crate::rig::{copying, until_done, until_over};
use crate::support::{House, files_below, number, text};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use std::fs;

const LUMIS: u32 = 4;

/// A house of one task that copies, which releases its sources; the folders of copies are on disks
/// of their own where that can be had.
struct Releasing {
    disks: Vec<Disk>,
    house: House,
}

fn releasing(name: &str, soak: &str, size: &str) -> Releasing {
    let house = copying(name, "");
    let disks: Vec<Disk> = ["one", "two"]
        .iter()
        .filter_map(|folder| {
            fs::create_dir_all(house.path(folder)).expect("the folder is ours");
            Disk::mount(&house, folder, size)
        })
        .collect();
    let accepted = disks.len() < 2;
    let config = fs::read_to_string(house.path("tier0.toml")).expect("it was written");
    assert!(config.contains(DAQ));
    let release = format!(
        "\n[release]\nenabled = true\ncopies = [\"one\", \"two\"]\nsoak = \"{soak}\"\n\
         one_failure_domain = {accepted}\n"
    );
    house.write("tier0.toml", config + &release);
    Releasing { disks, house }
}

fn content(lumi: u32) -> String {
    format!("events of lumi {lumi} of run 7\n").repeat(20)
}

/// One lumi whose sidecar claims a checksum: sent again it is known to be the same.
fn put_claimed(house: &House, lumi: u32) {
    let record = |values: &[&str]| serde_json::json!({ "data": values }).to_string();
    let (data, stem) = (content(lumi), stem(7, lumi));
    let mut sum = adler32::Adler32::new();
    sum.write(data.as_bytes());
    let (bytes, sum) = (data.len().to_string(), sum.finish().to_string());
    let name = format!("{stem}.dat");
    let values = ["5", "5", "0", "0", &name, &bytes, "", &sum, "", "DAT"];
    house.put(&name, data);
    house.put(&format!("{stem}.jsn"), record(&values));
    let end = record(&["5", "1", "5", "0"]);
    house.put(&format!("run000007_ls{lumi:04}_EoLS.jsn"), end);
}

/// The source's state of every file of run 7, by name.
fn sources(house: &House) -> Vec<(String, Value)> {
    let files = house.list(&["file", "ls"]).into_iter();
    let shown = |file: Value| {
        let shown = house.ask(&["file", "show", &number(&file, "id").to_string()]);
        (text(&file, "name").to_owned(), shown["source"].clone())
    };
    files.map(shown).collect()
}

fn until_all(house: &House, state: &str, count: usize) {
    house.until(&format!("{count} sources are {state}"), || {
        let all = sources(house);
        let right = all.iter().filter(|(_, source)| source["state"] == state);
        (right.count() == count).then_some(())
    });
}

/// Names of data files and their sidecars that are left in the spool.
fn left(house: &House) -> Vec<String> {
    let mut names = files_below(&house.path("spool"));
    names.retain(|name| name.contains("_stream"));
    names
}

/// Both copies of all lumis are what the data acquisition wrote.
fn copies_are_good(house: &House, lumis: u32) {
    for lumi in 1..=lumis {
        let name = format!("daq/{}.dat", stem(7, lumi));
        let expect = content(lumi);
        for place in ["one", "two"] {
            let copy = fs::read_to_string(house.path(place).join(&name)).expect("a copy is there");
            assert_eq!(copy, expect, "{place}/{name}");
        }
    }
}

/// P2: everything is released, each step with its evidence; a scan takes nothing for new, a file
/// that is sent again is the one that is known, and a retry reads a copy.
#[test]
fn p2_sources_go_once_two_copies_were_read_back_and_a_retry_reads_one() {
    let Releasing { mut house, disks } = releasing("release", "1s", "size=8m");
    house.start();
    (1..=LUMIS).for_each(|lumi| put_claimed(&house, lumi));
    until_done(&house, LUMIS as usize);
    // Its first attempts fail, so that somebody can retry it when its source is gone.
    house.program("copy.sh", "#!/bin/sh\nexit 3\n");
    put_lumi(&house, 7, LUMIS + 1);
    house.until("one job has failed", || {
        let failed = house.list(&["job", "ls", "--state", "failed"]);
        (failed.len() == 1).then_some(())
    });
    end_run(&house, 7, LUMIS + 1);
    house.until_finished(1, crate::support::PATIENCE);
    let lumis = LUMIS + 1;
    until_all(&house, "unlinked", lumis as usize);
    assert_eq!(left(&house), Vec::<String>::new());
    copies_are_good(&house, lumis);
    for (name, source) in sources(&house) {
        let steps = source["steps"].as_array().expect("steps are a list");
        let to: Vec<&str> = steps.iter().map(|step| text(step, "to")).collect();
        for state in ["copied", "verified-twice", "soaked", "released", "unlinked"] {
            assert!(to.contains(&state), "{name}: {to:?}");
        }
        let read = |step: &&Value| step["how"] == "read back from its storage";
        let read = steps.iter().filter(read);
        assert!(read.count() >= 4, "{name} was read back: {steps:?}");
        let soaked = to.iter().position(|state| *state == "soaked");
        assert!(soaked < to.iter().position(|state| *state == "released"));
    }
    // A scan passes, a file comes again: nothing is new.
    put_claimed(&house, 1);
    house.stop();
    house.start();
    assert_eq!(house.list(&["file", "ls"]).len(), lumis as usize);
    assert!(house.list(&["file", "set-aside"]).is_empty());
    let mended = "#!/bin/sh\n\
                  path=$(grep -o '\"path\":\"[^\"]*\"' \"$TIER0_JOB\" | head -1 | cut -d'\"' -f4)\n\
                  case \"$path\" in */one/daq/*|*/two/daq/*) cat \"$path\" > OUT.txt;; \
                  *) exit 4;; esac\n";
    house.program("copy.sh", mended);
    let failed = house.list(&["job", "ls", "--state", "failed"]);
    let id = number(&failed[0], "id").to_string();
    let said = house.tier0(&["job", "retry", &id, "--by", "test", "--reason", "mended"]);
    assert_eq!(said.code, 0, "{said:?}");
    until_done(&house, lumis as usize);
    as_undisturbed(&house, lumis);
    house.stop();
    drop(disks);
}

/// F67: a copy that vanishes, and one that is changed, after they were verified: found after the
/// soak, made again, and released only then.
#[test]
fn f67_a_copy_that_vanishes_in_the_soak_is_found_and_made_again() {
    let Releasing { mut house, disks } = releasing("vanish", "8s", "size=8m");
    house.start();
    put_lumis(&house, 7, 1..=LUMIS);
    end_run(&house, 7, LUMIS);
    until_all(&house, "verified-twice", LUMIS as usize);
    fs::remove_file(house.path(&format!("one/daq/{}.dat", stem(7, 1)))).expect("it was copied");
    fs::write(
        house.path(&format!("two/daq/{}.dat", stem(7, 2))),
        "changed",
    )
    .expect("ours");
    // They stand no longer than it takes to make a copy again.
    for (copy, lumi, part) in [(1, 1, "is not there"), (2, 2, "7 bytes")] {
        let key = format!("copy-bad/{copy}/daq/{}.dat", stem(7, lumi));
        until_over(&house, &key);
        let all = house.list(&["alarm", "ls", "--cleared"]);
        let alarm = all.iter().find(|alarm| text(alarm, "key") == key);
        let said = text(alarm.expect("it was there"), "text");
        assert!(said.contains(part) && said.contains("made again"), "{said}");
    }
    until_all(&house, "unlinked", LUMIS as usize);
    copies_are_good(&house, LUMIS);
    assert_eq!(left(&house), Vec::<String>::new());
    let bad = sources(&house).into_iter().filter(|(_, source)| {
        let steps = source["steps"].as_array().expect("a list").iter();
        steps
            .clone()
            .any(|step| step["from"] == "verified-twice" && step["to"] == "verified")
    });
    assert_eq!(bad.count(), 2);
    house.stop();
    drop(disks);
}

/// A full folder of copies waits and goes on by itself; nothing is removed meanwhile.
#[test]
fn f16_a_full_folder_of_copies_pauses_the_release_and_resumes() {
    let Releasing { mut house, disks } = releasing("copies", "1s", "size=1m");
    let Some(disk) = disks.first() else {
        return;
    };
    disk.fill();
    house.start();
    put_lumis(&house, 7, 1..=LUMIS);
    end_run(&house, 7, LUMIS);
    house.until_finished(1, crate::support::PATIENCE);
    until_alarm(
        &house,
        "copy-folder/1",
        &["copy folder 1", "free some room"],
    );
    assert_eq!(left(&house).len(), 2 * LUMIS as usize);
    disk.free();
    until_all(&house, "unlinked", LUMIS as usize);
    until_over(&house, "copy-folder/1");
    copies_are_good(&house, LUMIS);
    as_undisturbed(&house, LUMIS);
    house.stop();
    drop(disks);
}

/// Killed again and again on the way: everything is released once, and copies are whole.
#[test]
fn p2_kills_on_the_way_lose_no_source() {
    let Releasing { mut house, disks } = releasing("killed", "300ms", "size=8m");
    house.start();
    put_lumis(&house, 7, 1..=LUMIS);
    end_run(&house, 7, LUMIS);
    for round in 0..12_u64 {
        std::thread::sleep(std::time::Duration::from_millis(40 + 70 * round));
        kill_process(house.pid(), Signal::KILL).expect("it is our child");
        house.wait();
        for lumi in 1..=LUMIS {
            let name = format!("{}.dat", stem(7, lumi));
            if !house.path("spool").join(&name).exists() {
                let copy = |place: &str| fs::read(house.path(place).join("daq").join(&name));
                let (one, two) = (copy("one").expect("it is there"), copy("two").expect("too"));
                assert_eq!(one, two, "{name} is gone");
            }
        }
        house.start();
    }
    until_all(&house, "unlinked", LUMIS as usize);
    assert_eq!(left(&house), Vec::<String>::new());
    copies_are_good(&house, LUMIS);
    as_undisturbed(&house, LUMIS);
    house.stop();
    drop(disks);
}

/// A source that goes before there is a good copy: said, and declared lost by a person.
#[test]
fn p2_a_source_that_is_lost_is_told_and_declared() {
    let Releasing { mut house, disks } = releasing("lost", "1s", "size=1m");
    let Some(disk) = disks.first() else {
        return;
    };
    disk.fill();
    disks[1].fill();
    house.start();
    put_lumi(&house, 7, 1);
    until_alarm(&house, "copy-folder/1", &["free some room"]);
    let name = format!("{}.dat", stem(7, 1));
    until_done(&house, 1);
    fs::remove_file(house.path("spool").join(&name)).expect("it is there");
    disk.free();
    disks[1].free();
    until_alarm(&house, "source-lost/7", &["declare-lost --run 7", &name]);
    let file = number(&house.list(&["file", "ls"])[0], "id");
    let why = house.tier0(&["why", &format!("file/{file}")]);
    assert!(why.out.contains("before there was a good copy"), "{why:?}");
    let said = house.tier0(&[
        "file",
        "declare-lost",
        "--run",
        "7",
        "--stream",
        "A",
        "--lumis",
        "1",
        "--file",
        &name,
        "--by",
        "test",
        "--reason",
        "gone",
    ]);
    assert_eq!(said.code, 0, "{said:?}");
    until_over(&house, "source-lost/7");
    until_all(&house, "given-up", 1);
    house.stop();
    drop(disks);
}
