//! The watcher on real folders: every way a file can arrive, in every order, with nothing missed
//! and nothing twice.

use crate::testbed::{Bed, cms, folder, line, lines, record, sidecar, sorted};
use crate::{FileCompletion, How, Profile};
use model::arrival::Seen;
use model::names::DataLabel;
use model::time::Span;
use std::collections::BTreeSet;
use std::fs;

const STEM: &str = "run000007_ls0001_streamA_p1";

fn file(name: &str, content: &str) -> String {
    format!(
        "file {name}.dat 7:1 A {} 5/4/1 adler32:0000004d",
        content.len()
    )
}

/// D13: very many names in one folder are told once, and when they are fewer.
#[test]
fn a_folder_with_very_many_names_is_told() {
    let folder = folder();
    let mut profile = cms(folder.path(), How::Inotify);
    profile.flat_entries_max = 3;
    let mut bed = Bed::on(folder, profile, 1_000);
    fs::create_dir(bed.path("run000007")).unwrap();
    for lumi in 1..=4 {
        bed.put(&format!("run000007/run000007_ls000{lumi}_BoLS.jsn"), "");
    }
    bed.until("advice", |got| {
        got.iter().any(|seen| matches!(seen, Seen::Trouble(_)))
    });
    bed.scans(2);
    let told = lines(&bed.got);
    assert_eq!(told, ["trouble spool-flat/spool/run000007"]);
    let Seen::Trouble(trouble) = &bed.got[0] else {
        panic!("{:?}", bed.got)
    };
    assert!(
        trouble.text.contains("4 names lie in the folder run000007"),
        "{}",
        trouble.text
    );
    fs::remove_file(bed.path("run000007/run000007_ls0001_BoLS.jsn")).unwrap();
    bed.until_count(2);
    assert_eq!(lines(&bed.end())[1], "over spool-flat/spool/run000007");
}

/// Everything a data acquisition writes for a small run, in an order of its own.
fn a_whole_run_is_told(how: How) {
    let mut bed = Bed::cms(how);
    fs::create_dir(bed.path("run000007")).unwrap();
    bed.put(
        "run000007/run000007_ls0000_BoR.jsn",
        &record(&["cosmics", "real"]),
    );
    bed.put(&format!("{STEM}.dat"), "content");
    bed.put(&format!("{STEM}.jsn"), &sidecar(&format!("{STEM}.dat"), 7));
    // The sidecar overtakes its file.
    let late = "run000007/run000007_ls0002_streamA_p1";
    bed.put(
        &format!("{late}.jsn"),
        &sidecar("run000007_ls0002_streamA_p1.dat", 4),
    );
    bed.put(&format!("{late}.dat"), "late");
    // A lumi with nothing to write still reports; companions do not.
    let empty = record(&["9", "0", "0", "0", "", "0", "", "-1", "", "DAT", "0"]);
    bed.put("run000007/run000007_ls0003_streamA_p1.jsn", &empty);
    bed.put(
        "run000007/run000007_ls0001_EoLS.jsn",
        &record(&["5", "1", "5", "0"]),
    );
    bed.put("run000007/run000007_ls0001_BoLS.jsn", "not even read");
    bed.put("run000007/run000007_ls0000_streamA_p1.ini", "a header");
    bed.put(
        "run000007/run000007_ls0000_EoR.jsn",
        &record(&["19", "3", "3", "3"]),
    );
    bed.until_count(6);
    bed.scans(3);
    assert_eq!(
        sorted(&bed.end()),
        [
            "begin 7 Some(Cosmics) real".to_owned(),
            "end 7 last 3 Some(19)".to_owned(),
            "file run000007/run000007_ls0002_streamA_p1.dat 7:2 A 4 5/4/1 adler32:0000004d"
                .to_owned(),
            "file run000007/run000007_ls0003_streamA_p1.jsn 7:3 A 0 9/0/0 - empty".to_owned(),
            file(STEM, "content"),
            "lumi 7:1 Events(5)".to_owned(),
        ]
    );
}

#[test]
fn a_whole_run_is_told_by_kernel_events() {
    a_whole_run_is_told(How::Inotify);
}

#[test]
fn a_whole_run_is_told_by_polling() {
    a_whole_run_is_told(How::Poll);
}

#[test]
fn what_lies_there_at_the_start_is_told_before_ready() {
    let folder = folder();
    for lumi in 1..=50 {
        let name = format!("run000007_ls{lumi:04}_streamA_p1");
        fs::create_dir_all(folder.path().join("deep/er")).unwrap();
        let path = folder.path().join("deep/er").join(&name);
        fs::write(path.with_extension("dat"), "x").unwrap();
        fs::write(
            path.with_extension("jsn"),
            sidecar(&format!("{name}.dat"), 1),
        )
        .unwrap();
    }
    let profile = cms(folder.path(), How::Auto);
    let mut bed = Bed::on(folder, profile, 1000);
    assert!(bed.handle().wait_ready(None));
    let counters = bed.counters();
    assert_eq!(
        (counters.seen_total, counters.folders, counters.waiting),
        (50, 3, 0)
    );
    bed.until_count(50);
    assert_eq!(bed.end().len(), 50);
}

#[test]
fn files_are_told_again_only_when_they_have_changed() {
    let mut bed = Bed::cms(How::Inotify);
    let (data, mark) = (format!("{STEM}.dat"), format!("{STEM}.jsn"));
    bed.put(&data, "content");
    bed.put(&mark, &sidecar(&data, 7));
    bed.until_count(1);
    // Opened for writing and closed without a change.
    drop(
        fs::OpenOptions::new()
            .append(true)
            .open(bed.path(&data))
            .unwrap(),
    );
    bed.scans(2);
    assert_eq!(lines(&bed.got), [file(STEM, "content")]);
    // Grown after its sidecar: told with its new size, for the engine to make a conflict of.
    fs::write(bed.path(&data), "content and more").unwrap();
    bed.until_count(2);
    assert_eq!(line(&bed.got[1]), file(STEM, "content and more"));
    // Sent again, other content and a sidecar that fits.
    bed.put(&data, "other");
    bed.until_count(3);
    bed.put(&mark, &sidecar(&data, 5));
    bed.until_count(4);
    bed.scans(2);
    let got = lines(&bed.end());
    assert_eq!(got[2..], [file(STEM, "other"), file(STEM, "other")]);
}

#[test]
fn a_file_of_another_size_is_set_aside_and_taken_once_it_fits() {
    let mut bed = Bed::cms(How::Inotify);
    let data = format!("{STEM}.dat");
    bed.put(&data, "cut");
    bed.put(&format!("{STEM}.jsn"), &sidecar(&data, 7));
    bed.until_count(1);
    bed.scans(2);
    bed.put(&data, "content");
    bed.until_count(2);
    bed.scans(2);
    assert_eq!(
        lines(&bed.end()),
        [format!("aside {data} size-differs"), file(STEM, "content")]
    );
}

#[test]
fn half_a_sidecar_is_waited_for_but_not_for_ever() {
    let mut bed = Bed::cms(How::Inotify);
    let whole = sidecar(&format!("{STEM}.dat"), 7);
    bed.put(&format!("{STEM}.dat"), "content");
    // Written in place, in two halves, by a foreign writer; closed in between.
    fs::write(bed.path(&format!("{STEM}.jsn")), &whole[..30]).unwrap();
    fs::write(bed.path("run000007_ls0009_streamA_p1.jsn"), &whole[..30]).unwrap();
    bed.scans(2);
    assert!(bed.got.is_empty(), "{:?}", bed.got);
    fs::write(bed.path(&format!("{STEM}.jsn")), &whole).unwrap();
    bed.until_count(2);
    bed.scans(2);
    assert_eq!(
        lines(&bed.end()),
        [
            file(STEM, "content"),
            "aside run000007_ls0009_streamA_p1.jsn record-unreadable".into()
        ]
    );
}

#[test]
fn a_sidecar_whose_file_is_absent_waits_and_is_counted() {
    let mut bed = Bed::cms(How::Inotify);
    bed.put(
        &format!("{STEM}.jsn"),
        &sidecar("run000007_ls0001_streamA_other.dat", 7),
    );
    bed.scans(2);
    assert_eq!(bed.counters().waiting, 1);
    assert!(bed.got.is_empty(), "{:?}", bed.got);
    // Its stem is another, but its name says the same run, lumi and stream.
    bed.put("run000007_ls0001_streamA_other.dat", "content");
    bed.until_count(1);
    assert_eq!(
        line(&bed.got[0]),
        file("run000007_ls0001_streamA_other", "content")
    );
    bed.scans(1);
    assert_eq!(bed.counters().waiting, 0);
    assert_eq!(bed.end().len(), 1);
}

#[test]
fn a_storm_that_overflows_the_kernels_queue_loses_nothing_and_doubles_nothing() {
    let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let count = 20_000.max(queue.trim().parse::<usize>().unwrap() + 4_000);
    let folder = folder();
    let mut profile = Profile::generic("spool", folder.path(), DataLabel::Real);
    profile.how = How::Inotify;
    // Nobody takes sightings while the storm lasts, so the watcher stands still after a hundred.
    let mut bed = Bed::on(folder, profile, 100);
    assert!(bed.handle().wait_ready(None));
    fs::create_dir(bed.path("open")).unwrap();
    for n in 0..count {
        let hidden = bed.path("open/file");
        fs::write(&hidden, b"x").unwrap();
        fs::rename(hidden, bed.path(&format!("f{n:06}"))).unwrap();
    }
    bed.until_count(count);
    assert!(bed.counters().overflow_total > 0, "{:?}", bed.counters());
    let got = bed.end();
    let names: BTreeSet<String> = got.iter().map(line).collect();
    assert_eq!((got.len(), names.len()), (count, count));
}

#[test]
fn folders_made_and_filled_at_once_lose_nothing() {
    const FOLDERS: usize = 500;
    let mut bed = Bed::cms(How::Inotify);
    for n in 0..FOLDERS {
        let name = format!("run{:06}_ls0001_streamA_p1", n + 1);
        let inner = bed.path(&format!("run{:06}/parts", n + 1));
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join(format!("{name}.dat")), "x").unwrap();
        // In one go: one that is written in place may be met half, and is then told as such.
        bed.put(
            &format!("run{:06}/parts/{name}.jsn", n + 1),
            &sidecar(&format!("{name}.dat"), 1),
        );
    }
    bed.until_count(FOLDERS);
    bed.scans(1);
    let got = bed.end();
    let names: BTreeSet<String> = got.iter().map(line).collect();
    assert_eq!((got.len(), names.len()), (FOLDERS, FOLDERS));
}

#[test]
fn folders_may_vanish_move_and_come_again() {
    let mut bed = Bed::cms(How::Inotify);
    let put = |bed: &Bed, folder: &str| {
        fs::create_dir_all(bed.path(folder)).unwrap();
        bed.put(&format!("{folder}/{STEM}.dat"), "content");
        bed.put(
            &format!("{folder}/{STEM}.jsn"),
            &sidecar(&format!("{STEM}.dat"), 7),
        );
    };
    put(&bed, "a/b");
    bed.until_count(1);
    fs::remove_dir_all(bed.path("a")).unwrap();
    put(&bed, "a/b");
    bed.until_count(2);
    fs::rename(bed.path("a"), bed.path("c")).unwrap();
    bed.until_count(3);
    bed.scans(2);
    assert_eq!(bed.counters().folders, 3, "the spool, c and c/b");
    // The moved folder is still watched, under its new name.
    put(&bed, "c/b/d");
    bed.until_count(4);
    let expect = ["a/b", "a/b", "c/b", "c/b/d"].map(|at| file(&format!("{at}/{STEM}"), "content"));
    assert_eq!(lines(&bed.end()), expect);
}

#[test]
fn f13_a_spool_that_goes_away_is_missed_once_and_watched_again_when_it_is_back() {
    let outer = folder();
    let spool = outer.path().join("spool");
    fs::create_dir(&spool).unwrap();
    let mut bed = Bed::on(outer, cms(&spool, How::Inotify), 1000);
    assert!(bed.handle().wait_ready(None));
    fs::remove_dir(&spool).unwrap();
    bed.until_count(1);
    bed.scans(2);
    fs::create_dir(&spool).unwrap();
    let put = |bed: &Bed, stem: &str| {
        bed.put(&format!("spool/{stem}.dat"), "content");
        bed.put(
            &format!("spool/{stem}.jsn"),
            &sidecar(&format!("{stem}.dat"), 7),
        );
    };
    put(&bed, STEM);
    bed.until_count(3);
    bed.scans(2);
    assert_eq!(
        bed.counters().folders_unwatched,
        0,
        "events tell of it again"
    );
    // Another folder in its place, without a moment of absence in between.
    fs::rename(&spool, bed.path("old")).unwrap();
    fs::create_dir(&spool).unwrap();
    bed.scans(1);
    put(&bed, "run000007_ls0001_streamA_p2");
    bed.until_count(4);
    let got = lines(&bed.end());
    let second = file("run000007_ls0001_streamA_p2", "content");
    let [lost, back] = ["trouble spool/spool/.", "over spool/spool/."].map(str::to_owned);
    assert_eq!(got, [lost, back, file(STEM, "content"), second]);
}

#[test]
fn other_ways_of_being_complete() {
    let check = |completion: FileCompletion, how: How, expect: &[&str]| {
        let folder = folder();
        let mut profile = Profile::generic("spool", folder.path(), DataLabel::Simulated);
        (profile.completion, profile.how) = (completion.clone(), how);
        profile.scan_interval_min = Span::from_millis(100);
        profile.poll_interval = Span::from_millis(100);
        let mut bed = Bed::on(folder, profile, 100);
        assert!(bed.handle().wait_ready(None));
        bed.put("renamed", "1");
        fs::write(bed.path("written"), "22").unwrap();
        fs::write(bed.path("written.ok"), "").unwrap();
        fs::write(bed.path("passed.tmp"), "over").unwrap();
        bed.until_count(expect.len());
        bed.scans(2);
        assert_eq!(sorted(&bed.end()), expect, "{completion:?} {how:?}");
    };
    let (renamed, written, mark) = (
        "file renamed 1:1 files 1 - -",
        "file written 1:1 files 2 - -",
        "file written.ok 1:1 files 0 - -",
    );
    let quiet = Span::from_millis(300);
    check(
        FileCompletion::Rename,
        How::Inotify,
        &[renamed, written, mark],
    );
    check(
        FileCompletion::CloseWrite,
        How::Inotify,
        &[renamed, written, mark],
    );
    check(
        FileCompletion::SizeStable { quiet },
        How::Inotify,
        &[renamed, written, mark],
    );
    check(
        FileCompletion::SizeStable { quiet },
        How::Poll,
        &[renamed, written, mark],
    );
    check(
        FileCompletion::Sidecar {
            suffix: ".ok".into(),
        },
        How::Inotify,
        &[written],
    );
}

#[test]
fn a_file_that_keeps_growing_is_not_stable() {
    let folder = folder();
    let mut profile = Profile::generic("spool", folder.path(), DataLabel::Real);
    profile.completion = FileCompletion::SizeStable {
        quiet: Span::from_millis(400),
    };
    profile.scan_interval_min = Span::from_millis(50);
    let mut bed = Bed::on(folder, profile, 100);
    assert!(bed.handle().wait_ready(None));
    let mut content = String::new();
    for _ in 0..5 {
        content.push_str("more");
        fs::write(bed.path("slow"), &content).unwrap();
        bed.scans(1);
    }
    bed.until("the whole file", |got| {
        got.iter().any(|seen| line(seen).contains(" 20 - -"))
    });
    let whole = |seen: &Seen| line(seen) == "file slow 1:1 files 20 - -";
    assert_eq!(bed.end().iter().filter(|seen| whole(seen)).count(), 1);
}

#[test]
fn a_watcher_that_cannot_start_says_why() {
    let outer = folder();
    let check = |change: fn(&mut Profile), expect: &str| {
        let mut profile = cms(&outer.path().join("absent"), How::Inotify);
        change(&mut profile);
        let sink = Box::new(Nowhere);
        let error = crate::start(profile, std::sync::Arc::new(Midnight), sink).expect_err(expect);
        assert!(error.to_string().contains(expect), "{error}");
    };
    check(|_| {}, "make the folder and let this user read it");
    check(|p| p.folder = "/proc/self/status".into(), "Not a directory");
    check(
        |p| p.completion = FileCompletion::Rename,
        "could not watch with profile spool: the CMS",
    );
}

struct Nowhere;
impl crate::SeenSink for Nowhere {
    fn seen(&self, _: Seen) {}
}
struct Midnight;
impl ports::clock::Clock for Midnight {
    fn now(&self) -> model::time::Moment {
        model::time::Moment(0)
    }
}

/// Breaks at one name, as a bug in reading it would.
struct Touchy(std::sync::Mutex<Vec<Seen>>);
impl crate::SeenSink for std::sync::Arc<Touchy> {
    fn seen(&self, seen: Seen) {
        let is_poison = matches!(&seen, Seen::File(file) if file.name.as_str().contains("ls0002"));
        assert!(!is_poison, "a bug that this name brings to light");
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(seen);
    }
}

#[test]
fn f65_a_name_that_brings_a_bug_to_light_is_set_aside_and_the_line_goes_on() {
    let outer = folder();
    for lumi in 1..=3 {
        let stem = format!("run000007_ls{lumi:04}_streamA_p1");
        fs::write(outer.path().join(format!("{stem}.dat")), "content").unwrap();
        let mark = sidecar(&format!("{stem}.dat"), 7);
        fs::write(outer.path().join(format!("{stem}.jsn")), mark).unwrap();
    }
    let sink = std::sync::Arc::new(Touchy(std::sync::Mutex::new(Vec::new())));
    let profile = cms(outer.path(), How::Inotify);
    let watcher = crate::start(
        profile,
        std::sync::Arc::new(Midnight),
        Box::new(sink.clone()),
    );
    let watcher = watcher.unwrap();
    assert!(watcher.wait_ready(None), "it goes on after the bug");
    watcher.stop_and_join().unwrap();
    let mut got = lines(&sink.0.lock().unwrap());
    got.sort();
    let aside = "aside run000007_ls0002_streamA_p1.jsn record-unreadable".to_owned();
    let good = ["run000007_ls0001_streamA_p1", "run000007_ls0003_streamA_p1"];
    let [one, three] = good.map(|stem| file(stem, "content"));
    assert_eq!(got, [aside, one, three.replace(" 7:1 ", " 7:3 ")]);
}
