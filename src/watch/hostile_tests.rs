//! Everything in a spool that cannot be taken: each is set aside with its sentence, and the line
//! goes on.

use crate::testbed::{Bed, line, record, sidecar};
use crate::trouble::Trouble;
use crate::{How, Profile};
use model::arrival::Seen;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

const STEM: &str = "run000007_ls0001_streamA_p1";

/// Lays every bad thing into the spool that a spool can hold.
fn spoil(bed: &Bed) {
    let at = |name: &str| bed.path(name);
    fs::write(
        at("x").with_file_name(OsStr::from_bytes(b"run\xff\xfe.dat")),
        "x",
    )
    .unwrap();
    fs::write(at("two\nlines.dat"), "x").unwrap();
    fs::create_dir(at("x").with_file_name(OsStr::from_bytes(b"dir\xff"))).unwrap();
    fs::write(at("readme.txt"), "x").unwrap();
    fs::write(at("run12345678901234567890_ls0001_streamA_p1.dat"), "x").unwrap();
    fs::write(at("run000007_ls0000_streamA_p1.dat"), "x").unwrap();
    fs::write(at("run_ls0001_EoLS.jsn"), record(&["1", "1", "1", "0"])).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("run000007_ls0002_streamA_p1.jsn")).unwrap();
    std::os::unix::fs::symlink("/tmp", at("linked-folder")).unwrap();
    let fifo = at("run000007_ls0003_streamA_p1.dat");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
    let vast = fs::File::create(at("run000007_ls0004_streamA_p1.jsn")).unwrap();
    vast.set_len(1 << 30).unwrap();
    let negative = record(&["-5", "4", "1", "0", "f", "7", "", "77", "", "DAT"]);
    fs::write(at("run000007_ls0005_streamA_p1.jsn"), negative).unwrap();
    let number = record(&[
        "5",
        "99999999999999999999",
        "1",
        "0",
        "f",
        "7",
        "",
        "77",
        "",
        "DAT",
    ]);
    fs::write(at("run000007_ls0006_streamA_p1.jsn"), number).unwrap();
    fs::write(
        at("run000007_ls0007_streamA_p1.jsn"),
        "{\"data\": {\"Processed\": 5}}",
    )
    .unwrap();
    let outside = sidecar("../../etc/passwd", 7);
    fs::write(at("run000007_ls0008_streamA_p1.jsn"), outside).unwrap();
    let foreign = sidecar("run000008_ls0001_streamA_p1.dat", 7);
    fs::write(at("run000007_ls0009_streamA_p1.jsn"), foreign).unwrap();
    fs::write(at("run000007_ls0010_streamA_p1.dat"), "longer than said").unwrap();
    let short = sidecar("run000007_ls0010_streamA_p1.dat", 7);
    fs::write(at("run000007_ls0010_streamA_p1.jsn"), short).unwrap();
    fs::write(
        at("run000007_ls0003_streamA_p1.jsn"),
        sidecar("run000007_ls0003_streamA_p1.dat", 0),
    )
    .unwrap();
    fs::write(
        at("run000007_ls0000_EoR.jsn"),
        record(&["1", "1", "1", "-3"]),
    )
    .unwrap();
}

const PATTERN: &str = "run{run:6}_ls{lumi:4}_stream{stream}_{part}.dat";

/// What is said of each: name, code, and the whole sentence.
fn expected() -> Vec<(&'static str, &'static str, String)> {
    let plain = |what: &str, name: &str| {
        format!(
            "did not open \"{name}\": it is a {what}, and only plain files are taken; put the \
            file itself there or \
             remove the entry"
        )
    };
    let text = |shown: &str| {
        format!(
            "could not read the name \"{shown}\" (shown escaped): its bytes are no printable \
            text; rename the entry or \
             remove it"
        )
    };
    let name = |name: &str, pattern: &str, why: &str| {
        format!(
            "could not read the name \"{name}\" by the pattern \"{pattern}\": {why}; rename the \
            file, or correct the \
             profile's pattern or its ignore list"
        )
    };
    let record = |name: &str, why: &str| {
        format!(
            "read the record \"{name}\", but {why}; write it anew and rename it into place, or \
            remove it"
        )
    };
    let jsn = |lumi: u32| format!("run000007_ls{lumi:04}_streamA_p1.jsn");
    vec![
        (
            "run\\xff\\xfe.dat",
            "name-unreadable",
            text("run\\xff\\xfe.dat"),
        ),
        (
            "two\\u{a}lines.dat",
            "name-unreadable",
            text("two\\u{a}lines.dat"),
        ),
        ("dir\\xff", "name-unreadable", text("dir\\xff")),
        (
            "readme.txt",
            "name-unreadable",
            name(
                "readme.txt",
                PATTERN,
                "\"readme.txt\" stands where \"run\" should be",
            ),
        ),
        (
            "run12345678901234567890_ls0001_streamA_p1.dat",
            "number-out-of-range",
            name(
                "run12345678901234567890_ls0001_streamA_p1.dat",
                PATTERN,
                "run 12345678901234567890 is not between 0 and 4294967295",
            ),
        ),
        (
            "run000007_ls0000_streamA_p1.dat",
            "number-out-of-range",
            name(
                "run000007_ls0000_streamA_p1.dat",
                PATTERN,
                "lumi 0 belongs to the run as a whole and holds no data",
            ),
        ),
        (
            "run_ls0001_EoLS.jsn",
            "name-unreadable",
            name(
                "run_ls0001_EoLS.jsn",
                "run{run:6}_ls{lumi:4}_EoLS.jsn",
                "run \"\" should have at least 6 digits",
            ),
        ),
        (
            "run000007_ls0002_streamA_p1.jsn",
            "not-a-plain-file",
            plain("symbolic link", "run000007_ls0002_streamA_p1.jsn"),
        ),
        (
            "linked-folder",
            "not-a-plain-file",
            plain("symbolic link", "linked-folder"),
        ),
        (
            "run000007_ls0003_streamA_p1.dat",
            "not-a-plain-file",
            plain("fifo", "run000007_ls0003_streamA_p1.dat"),
        ),
        ("socket", "not-a-plain-file", plain("socket", "socket")),
        (
            "run000007_ls0004_streamA_p1.jsn",
            "record-too-large",
            "did not read the record \"run000007_ls0004_streamA_p1.jsn\": it has 1.0 GiB, and at \
            most 1.0 MiB are \
             read; check what wrote it and write it anew, or raise the profile's bound for sidecars"
                .to_owned(),
        ),
        (
            "run000007_ls0005_streamA_p1.jsn",
            "record-unreadable",
            record(&jsn(5), "Processed is -5, and a count cannot be negative"),
        ),
        (
            "run000007_ls0006_streamA_p1.jsn",
            "number-out-of-range",
            record(
                &jsn(6),
                "Accepted is 99999999999999999999, more than the 9223372036854775807 that fit",
            ),
        ),
        (
            "run000007_ls0007_streamA_p1.jsn",
            "record-unreadable",
            record(
                &jsn(7),
                "it is no record of the form {\"data\": [\"..\", ..]} (invalid type: map, \
                expected a sequence at line \
                 1 column 9)",
            ),
        ),
        (
            "run000007_ls0008_streamA_p1.jsn",
            "record-unreadable",
            record(
                &jsn(8),
                "Filelist is \"../../etc/passwd\", which is not the plain name of one \
            file",
            ),
        ),
        (
            "run000007_ls0009_streamA_p1.jsn",
            "record-unreadable",
            record(
                &jsn(9),
                "Filelist is \"run000008_ls0001_streamA_p1.dat\", whose name does not say the \
                run, lumi and stream of \
                 its sidecar",
            ),
        ),
        (
            "run000007_ls0010_streamA_p1.dat",
            "size-differs",
            "compared \"run000007_ls0010_streamA_p1.dat\" with its sidecar \
            \"run000007_ls0010_streamA_p1.jsn\": the \
             file has 16 bytes, the sidecar says 7; send the file again, or write a sidecar that \
             fits it"
                .to_owned(),
        ),
        (
            "run000007_ls0000_EoR.jsn",
            "record-unreadable",
            record(
                "run000007_ls0000_EoR.jsn",
                "LastLumi is -3, and a count cannot be negative",
            ),
        ),
    ]
}

fn every_bad_thing_is_set_aside_once(how: How) {
    let mut bed = Bed::cms(how);
    spoil(&bed);
    // The line goes on.
    bed.put(&format!("{STEM}.dat"), "content");
    bed.put(&format!("{STEM}.jsn"), &sidecar(&format!("{STEM}.dat"), 7));
    let expect = expected();
    bed.until_count(expect.len() + 1);
    bed.scans(2);
    let mut said = BTreeMap::new();
    let mut files = Vec::new();
    for seen in bed.end() {
        match seen {
            Seen::SetAside(aside) => {
                let name = aside.name.to_string();
                let before = said.insert(name, (aside.refusal.code(), aside.detail));
                assert!(before.is_none(), "told twice: {before:?}");
            }
            other => files.push(line(&other)),
        }
    }
    assert_eq!(
        files,
        [format!("file {STEM}.dat 7:1 A 7 5/4/1 adler32:0000004d")]
    );
    for (name, code, detail) in expect {
        assert_eq!(said.remove(name), Some((code, detail)), "{name}");
    }
    assert!(said.is_empty(), "not expected: {said:?}");
}

#[test]
fn every_bad_thing_is_set_aside_once_by_kernel_events() {
    every_bad_thing_is_set_aside_once(How::Inotify);
}

#[test]
fn every_bad_thing_is_set_aside_once_by_polling() {
    every_bad_thing_is_set_aside_once(How::Poll);
}

#[test]
fn what_cannot_be_reached_says_what_the_system_says() {
    let trouble = Trouble::unreachable("open", "a/b.jsn", Errno::ACCESS);
    assert_eq!(
        trouble.to_string(),
        "could not open \"a/b.jsn\": Permission denied (os error 13); check its permissions and \
        the disk under it; it \
         is tried again at each scan"
    );
}

#[test]
fn a_plain_file_in_place_of_a_fifo_is_taken() {
    let mut bed = Bed::cms(How::Inotify);
    std::os::unix::fs::symlink("/dev/zero", bed.path(&format!("{STEM}.dat"))).unwrap();
    bed.put(&format!("{STEM}.jsn"), &sidecar(&format!("{STEM}.dat"), 7));
    bed.until_count(1);
    bed.scans(1);
    bed.put(&format!("{STEM}.dat"), "content");
    bed.until_count(2);
    let got: Vec<String> = bed.end().iter().map(line).collect();
    assert_eq!(
        got,
        [
            format!("aside {STEM}.dat not-a-plain-file"),
            format!("file {STEM}.dat 7:1 A 7 5/4/1 adler32:0000004d"),
        ]
    );
}

#[test]
fn shipped_profiles_are_sound() {
    for profile in [
        Profile::cms("a", "/spool", model::names::DataLabel::Real),
        Profile::generic("b", "/spool", model::names::DataLabel::Real),
    ] {
        assert_eq!(profile.check(), Ok(()));
    }
}
