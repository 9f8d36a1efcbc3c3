//! Spools as they really are: sidecars that are half written or come too early, files that grow or
//! come twice, names of every kind, folders that go away and come back, files that cannot be read.

use crate::rig::{
    Disk, as_undisturbed, copying, done, put_lumi, put_lumis, sidecar, stem, until_alarm,
    until_done, until_over,
};
use crate::support::{House, number, text};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What is said of a name that was set aside for that reason.
fn until_aside(house: &House, name: &str, reason: &str) -> String {
    house.until(&format!("{name} is set aside: {reason}"), || {
        let rows = house.list(&["file", "set-aside"]);
        let row = rows
            .iter()
            .find(|row| text(row, "name") == name && text(row, "refusal") == reason)?;
        Some(text(row, "detail").to_owned())
    })
}

#[test]
fn f04_a_torn_sidecar_is_not_taken_is_told_and_is_taken_once_it_is_whole() {
    let mut house = copying("torn", "");
    house.start();
    let (data, mark) = (format!("{}.dat", stem(7, 1)), format!("{}.jsn", stem(7, 1)));
    let content = "five events";
    house.put(&data, content);
    let whole = sidecar(&data, content.len());
    house.put(&mark, &whole[..whole.len() / 2]);
    put_lumi(&house, 7, 2);
    let said = until_aside(&house, &mark, "record-unreadable");
    for part in ["EOF", "write it anew and rename it into place"] {
        assert!(said.contains(part), "{said}");
    }
    until_done(&house, 1);
    house.put(&mark, whole);
    until_done(&house, 2);
    house.stop();
}

#[test]
fn f05_whichever_of_data_and_sidecar_comes_first_waits_for_the_other() {
    let mut house = copying("pairs", "");
    house.start();
    for (lumi, first, second) in [(1, "jsn", "dat"), (2, "dat", "jsn")] {
        let file = format!("{}.dat", stem(7, lumi));
        let put = |ending: &str| {
            let content = match ending {
                "dat" => "five events".to_owned(),
                _ => sidecar(&file, "five events".len()),
            };
            house.put(&format!("{}.{ending}", stem(7, lumi)), content);
        };
        put(first);
        put_lumi(&house, 7, 10 + lumi);
        until_done(&house, 2 * lumi as usize - 1);
        let files = house.list(&["file", "ls"]);
        let taken = files.iter().any(|row| text(row, "name") == file);
        assert!(!taken, "{file} is not complete: {files:?}");
        put(second);
        until_done(&house, 2 * lumi as usize);
    }
    let aside = house.list(&["file", "set-aside"]);
    assert!(aside.is_empty(), "{aside:?}");
    house.stop();
}

#[test]
fn f06_a_file_that_is_cut_after_its_sidecar_was_written_is_set_aside_until_it_comes_again() {
    let mut house = copying("cut", "");
    house.start();
    let (data, mark) = (format!("{}.dat", stem(7, 1)), format!("{}.jsn", stem(7, 1)));
    house.put(&data, "five ev");
    house.put(&mark, sidecar(&data, "five events".len()));
    let said = until_aside(&house, &data, "size-differs");
    for part in ["has 7 bytes, the sidecar says 11", "send the file again"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(done(&house), 0);
    house.put(&data, "five events");
    until_done(&house, 1);
    house.stop();
}

#[test]
fn f07_a_file_that_grows_is_not_taken_before_it_is_whole() {
    let mut house = copying("grows", "");
    house.start();
    let (data, mark) = (format!("{}.dat", stem(7, 1)), format!("{}.jsn", stem(7, 1)));
    for part in ["five", "five ev", "five events"] {
        house.write(&format!("spool/{data}"), part);
        assert_eq!(done(&house), 0);
    }
    house.put(&mark, sidecar(&data, "five events".len()));
    until_done(&house, 1);
    assert_eq!(number(&house.list(&["file", "ls"])[0], "bytes"), 11);
    house.stop();
}

/// A program that ends, without a panic that anybody could catch, at one name: started again by
/// whoever supervises it, it would end there for ever.
#[test]
fn f65_a_name_at_which_the_process_ends_is_passed_over_until_it_changes() {
    let mut house = copying("poison", "");
    let data = format!("{}.dat", stem(7, 1));
    let mark = format!("{}.jsn", stem(7, 1));
    house.put(&data, "five events");
    house.put(&mark, sidecar(&data, "five events".len()));
    // The end is planted where the file is told.
    for _ in 0..3 {
        house.launch_with(Some("seen:1"));
        assert!(!house.wait().success());
        assert!(!house.log().contains("READY"), "{}", house.log());
    }
    // The fourth lives, says which name it leaves alone, and takes the others.
    house.start();
    put_lumi(&house, 7, 2);
    until_done(&house, 1);
    let said = until_aside(&house, &mark, "record-unreadable");
    for part in [
        "this program ended three times while it did",
        "passed over until it changes",
        "write the data again",
    ] {
        assert!(said.contains(part), "lacks {part:?}: {said}");
    }
    house.stop();
    house.start();
    put_lumi(&house, 7, 3);
    until_done(&house, 2);
    house.put(&mark, format!("{}\n", sidecar(&data, "five events".len())));
    until_done(&house, 3);
    house.stop();
}

#[test]
fn f08_f09_a_name_that_comes_again_is_the_same_file_or_a_conflict() {
    let mut house = copying("again", "");
    house.start();
    put_lumi(&house, 7, 1);
    until_done(&house, 1);
    // The same once more: nothing happens.
    put_lumi(&house, 7, 1);
    put_lumi(&house, 7, 2);
    until_done(&house, 2);
    assert_eq!(house.list(&["file", "ls"]).len(), 2);
    // The same name, other content: the first stays.
    let (data, mark) = (format!("{}.dat", stem(7, 1)), format!("{}.jsn", stem(7, 1)));
    house.put(&data, "something else");
    house.put(&mark, sidecar(&data, "something else".len()));
    let key = format!("name-conflict/daq/{data}");
    let parts = [
        "was seen again with other content",
        "The first stays valid",
        "needs a new name",
    ];
    until_alarm(&house, &key, &parts);
    assert_eq!(done(&house), 2);
    house.stop();
}

#[test]
fn f11_names_of_every_kind_are_told_and_opened_by_nobody() {
    let mut house = copying("names", "");
    let spool = house.path("spool");
    house.start();
    let long = "x".repeat(255);
    let names: [(&[u8], &str); 6] = [
        (b"run\nnew.dat", "run\\u{a}new.dat"),
        (b"-rf.dat", "-rf.dat"),
        (b"run\xff.dat", "run\\xff.dat"),
        ("run\u{202e}tad.dat".as_bytes(), "run\\u{202e}tad.dat"),
        (b"; rm -rf $HOME.dat", "; rm -rf $HOME.dat"),
        (long.as_bytes(), &long),
    ];
    for (bytes, _) in &names {
        fs::write(spool.join(OsStr::from_bytes(bytes)), "x").expect("the folder is ours");
    }
    put_lumi(&house, 7, 1);
    for (_, shown) in &names {
        let said = until_aside(&house, shown, "name-unreadable");
        assert!(said.contains("rename"), "{said}");
    }
    // A sidecar that names a file outside is believed in nothing.
    let outside = format!("{}.jsn", stem(7, 2));
    house.put(&outside, sidecar("../../../etc/passwd", 7));
    let rows = house.until("it is set aside", || {
        let rows = house.list(&["file", "set-aside"]);
        let told = rows.iter().any(|row| text(row, "name") == outside);
        told.then_some(rows)
    });
    assert_eq!(rows.len(), names.len() + 1, "{rows:?}");
    until_done(&house, 1);
    assert_eq!(house.list(&["file", "ls"]).len(), 1);
    house.stop();
}

/// A bind mount of a process's memory is a plain file whose first byte cannot be read (EIO).
#[test]
fn f20_a_file_that_cannot_be_read_is_set_aside_and_the_others_are_taken() {
    let mut house = copying("unreadable", "");
    let (data, mark) = (format!("{}.dat", stem(7, 2)), format!("{}.jsn", stem(7, 2)));
    put_lumi(&house, 7, 2);
    let memory = format!("/proc/{}/mem", std::process::id());
    let Some(mount) = Disk::bind(Path::new(&memory), &house.path("spool").join(&mark)) else {
        return;
    };
    house.start();
    put_lumis(&house, 7, 1..=1);
    put_lumis(&house, 7, 3..=4);
    let said = until_aside(&house, &mark, "unreachable");
    for part in [
        "Input/output error",
        "check its permissions and the disk under it",
        "each scan",
    ] {
        assert!(said.contains(part), "{said}");
    }
    until_done(&house, 3);
    let files = house.list(&["file", "ls"]);
    assert!(
        files.iter().all(|file| text(file, "name") != data),
        "{files:?}"
    );
    drop(mount);
    until_done(&house, 4);
    as_undisturbed(&house, 4);
    house.stop();
}

#[test]
fn f13_a_spool_that_goes_away_is_told_and_looked_at_when_it_is_back() {
    let mut house = copying("away", "");
    let Some(disk) = Disk::mount(&house, "spool", "size=4m") else {
        return;
    };
    house.start();
    put_lumis(&house, 7, 1..=2);
    until_done(&house, 2);
    // Unmounted: an empty folder stands in its place. Then that one goes, too.
    drop(disk);
    let spool = house.path("spool");
    fs::remove_dir(&spool).expect("it is empty");
    let parts = [
        "find the folder",
        "Mount it again, or make the folder",
        "it is tried at each scan",
    ];
    until_alarm(&house, "spool/daq/.", &parts);
    fs::create_dir(&spool).expect("it was removed");
    let Some(disk) = Disk::mount(&house, "spool", "size=4m") else {
        return;
    };
    put_lumis(&house, 7, 3..=5);
    until_done(&house, 5);
    until_over(&house, "spool/daq/.");
    as_undisturbed(&house, 5);
    house.stop();
    drop(disk);
}

/// Another folder is mounted over the spool while it is watched, without a moment of absence.
#[test]
fn f13_another_disk_mounted_over_the_spool_is_watched() {
    let mut house = copying("over", "");
    house.start();
    put_lumi(&house, 7, 1);
    until_done(&house, 1);
    let Some(disk) = Disk::mount(&house, "spool", "size=4m") else {
        return;
    };
    put_lumis(&house, 7, 2..=4);
    until_done(&house, 4);
    drop(disk);
    put_lumi(&house, 7, 5);
    until_done(&house, 5);
    as_undisturbed(&house, 5);
    house.stop();
}
