//! The journal of a real instance that is killed in its middle: the program that wrote it does all
//! of it again and makes the same of it, and what somebody changed in it is seen.
//!
//! In: simulated data in the spool of an instance whose configuration is read again on the way, a
//! SIGKILL, a restart. Out: what `tier0 replay` says of each epoch's journal, whole, cut, changed
//! and sealed again.

mod support;

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::{House, PATIENCE, Said, files_below, number, say, text, tier0};

const DAQ: &str = "[executor.local]\ncores = 2\n\n\
                   [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"cms\"\n\
                   label = \"simulated\"\n";
/// Runs of the simulated data; the last of them comes after the kill.
const RUNS: [&str; 3] = ["900001", "900002", "900003"];

/// A house with data of so many runs, and room for a journal.
fn house(name: &str, runs: &str, room: &str) -> House {
    let mut house = House::new(name, DAQ);
    let setting = ("TIER0_CFG__instance__journal", room);
    house
        .environment
        .push((setting.0.to_owned(), setting.1.to_owned()));
    let (data, truth) = (house.path("sim.csv"), house.path("truth.json"));
    let (data, truth) = (data.display().to_string(), truth.display().to_string());
    let mc = [
        "program", "mc", "--out", &data, "--truth", &truth, "--runs", runs,
    ];
    let made = tier0(&mc);
    assert_eq!(made.code, 0, "{made:?}");
    house
}

/// Plays all runs but these.
fn play_without(house: &House, others: &[&str]) {
    let (data, spool) = (house.path("sim.csv"), house.path("spool"));
    let (data, spool) = (data.display().to_string(), spool.display().to_string());
    let mut inject = vec!["inject", "--data", &data, "--spool", &spool];
    for run in others {
        inject.extend(["--drop-run", run]);
    }
    let said = tier0(&inject);
    assert_eq!(said.code, 0, "{said:?}");
}

/// The first part of an epoch's journal.
fn journal(house: &House, epoch: u32) -> PathBuf {
    house.path(&format!("state/journal/epoch{epoch:06}.part0001.journal"))
}

fn replay(path: &Path) -> (Said, Value) {
    let path = path.to_str().expect("temporary folders have plain names");
    let said = tier0(&["replay", "--journal", path, "--json"]);
    let document = serde_json::from_str(&said.out).unwrap_or_default();
    (said, document)
}

/// Replays a journal that is equal; gives what was said.
fn equal(path: &Path, ending: &str) -> Value {
    let (said, document) = replay(path);
    assert_eq!(
        (said.code, &document["equal"]),
        (0, &Value::Bool(true)),
        "{said:?}"
    );
    assert_eq!(text(&document, "ending"), ending, "{said:?}");
    document
}

/// Lines with checksums that fit them: FNV-1a of the checksum before and the text.
fn sealed<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let (mut sealed, mut before) = (String::new(), 0_u64);
    for text in texts {
        let all = before.to_le_bytes().into_iter().chain(text.bytes());
        before = all.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        sealed.push_str(&format!("{before:016x} {text}\n"));
    }
    sealed
}

/// The records of a journal's lines.
fn texts(journal: &str) -> Vec<&str> {
    let texts = journal.lines().map(|line| line.split_once(' '));
    texts
        .map(|parts| parts.expect("a checksum and a record").1)
        .collect()
}

#[test]
fn each_life_of_a_killed_instance_is_told_again_and_gives_the_same() {
    let mut house = house("killed", "3", "64MiB");
    house.start();
    play_without(&house, &RUNS[1..]);
    house.until("work is under way", || {
        let done = house.try_ask(&["job", "ls", "--state", "done"]).ok()?;
        (done["items"].as_array()?.len() > 2).then_some(())
    });
    // What the engine is told then is written as the text that it was read from.
    let config = fs::read_to_string(house.path("tier0.toml")).expect("it is text");
    house.write(
        "tier0.toml",
        format!("{config}\n[programs]\nnone = \"/bin/true\"\n"),
    );
    kill_process(house.pid(), Signal::HUP).expect("it is our child");
    house.until("the configuration was read again", || {
        let taken = "runs that open from now on get configuration";
        house.log().contains(taken).then_some(())
    });
    play_without(&house, &[RUNS[0], RUNS[2]]);
    house.until("the second run is open", || {
        let run = house.try_ask(&["run", "show", RUNS[1]]).ok()?;
        (number(&run["counts"], "files") > 0).then_some(())
    });
    kill_process(house.pid(), Signal::KILL).expect("it is our child");
    house.wait();
    house.start();
    play_without(&house, &RUNS[..2]);
    house.until_finished(RUNS.len(), PATIENCE);
    house.stop();

    let first = equal(&journal(&house, 1), "open");
    let second = equal(&journal(&house, 2), "ordered");
    for (epoch, document) in [(1, &first), (2, &second)] {
        assert_eq!(number(document, "epoch"), epoch);
        let inputs = number(document, "inputs");
        assert!(
            inputs > 30 && number(document, "batches") > 10,
            "{document:#}"
        );
        assert!(number(document, "effects_compared") > 100, "{document:#}");
        assert!(
            number(document, "fingerprints_compared") >= 2,
            "{document:#}"
        );
    }
    let journals = files_below(&house.path("state/journal"));
    assert_eq!(journals.len(), 2, "{journals:?}");
    for epoch in [1, 2] {
        let bytes = fs::metadata(journal(&house, epoch))
            .expect("it is there")
            .len();
        say(&format!("epoch {epoch}: {bytes} bytes"));
    }
    say(&format!("{first}\n{second}"));
    what_was_changed_is_seen(&journal(&house, 2), number(&second, "inputs"));
}

/// A journal that is cut, changed, and changed and sealed again.
fn what_was_changed_is_seen(path: &Path, inputs: u64) {
    let whole = fs::read_to_string(path).expect("a journal is text");
    // Cut in the middle of its last line but one.
    let lines: Vec<&str> = whole.lines().collect();
    let kept = lines[..lines.len() - 2].join("\n").len() + 10;
    fs::write(path, &whole[..kept]).expect("the folder is ours");
    let document = equal(path, "torn");
    assert_eq!(number(&document, "torn_bytes"), 9, "{document:#}");
    // The last line is the end, the one before an input.
    assert_eq!(number(&document, "inputs"), inputs - 1);
    // A letter in its middle.
    let (middle, _) = whole
        .rmatch_indices("\"seen_at\":1")
        .nth(2)
        .expect("files were seen");
    let mut changed = whole.clone();
    changed.replace_range(middle + 10..middle + 11, "2");
    fs::write(path, &changed).expect("the folder is ours");
    let (said, document) = replay(path);
    assert_eq!(
        (said.code, text(&document, "ending")),
        (1, "damaged"),
        "{said:?}"
    );
    // An input that never was, in lines that fit each other.
    let records = texts(&whole);
    let new = format!("\"run\":{}", RUNS[2]);
    let mut seen = records.iter();
    let gone =
        seen.position(|record| record.contains("{\"Seen\":{\"File\":") && record.contains(&new));
    let gone = gone.expect("files of the last run were seen");
    let mut without = records.clone();
    without.remove(gone);
    fs::write(path, sealed(without)).expect("the folder is ours");
    let (said, document) = replay(path);
    assert_eq!(
        (said.code, text(&document, "ending")),
        (1, "departed"),
        "{said:?}"
    );
    let departure = &document["departure"];
    // Two lines stand before the first input; what departs is what comes next, or the end of the
    // batch.
    let place = number(departure, "input") as usize;
    assert!(
        place + 2 > gone && place < gone + 20,
        "line {gone}: {departure:#}"
    );
    let said = tier0(&["replay", "--journal", path.to_str().expect("plain")]);
    assert!(
        said.out.contains(&format!("departed at input {place}")),
        "{said:?}"
    );
    // The same of another program.
    let build = text(&document, "build");
    let other = sealed(texts(&whole.replacen(build, "0123456789abcdef", 1)));
    fs::write(path, other).expect("the folder is ours");
    let (said, _) = replay(path);
    said.says(
        2,
        &[
            "was written by another program",
            build,
            "replay it with that one",
        ],
    );
    // No journal at all.
    let (said, _) = replay(Path::new(support::TIER0));
    said.says(
        2,
        &["is no journal that can be replayed", "name the first part"],
    );
    fs::write(path, sealed(records)).expect("the folder is ours");
    equal(path, "ordered");
}

#[test]
fn a_full_journal_ends_with_an_alarm_and_the_line_goes_on() {
    let mut house = house("full", "8", "64KiB");
    house.start();
    play_without(&house, &[]);
    house.until_finished(8, PATIENCE);
    let alarms = house.list(&["alarm", "ls"]);
    let alarm = alarms
        .iter()
        .find(|alarm| text(alarm, "key") == "journal/off");
    let alarm = alarm.unwrap_or_else(|| panic!("{alarms:?}: {}", house.state_of_all()));
    let said = text(alarm, "text");
    assert!(
        said.contains("filled the 65536 bytes of instance.journal"),
        "{said}"
    );
    let path = journal(&house, 1);
    assert!(fs::metadata(&path).expect("it is there").len() <= 64 << 10);
    equal(&path, "open");
    // The next one begins anew; what it begins with are the rows of all runs.
    house.stop();
    house.environment[0].1 = "1MiB".to_owned();
    house.start();
    let alarms = house.list(&["alarm", "ls"]);
    assert!(
        alarms
            .iter()
            .all(|alarm| text(alarm, "key") != "journal/off"),
        "{alarms:?}"
    );
    house.stop();
    equal(&journal(&house, 2), "ordered");
}
