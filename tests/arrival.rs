//! What a stream's profile says of lumis and runs whose files say nothing: the real program on
//! files that only have a time, closed by the time-outs that the profile names, and by nothing
//! else.
//!
//! In: files with chosen times of writing. Out: the lumis they were accounted to, and who closed
//! what.

mod support;

use serde_json::Value;
use std::fs;
use std::time::{Duration, SystemTime};
use support::{House, number, text};

const WORK: &str = "[pipeline]\nname = \"look\"\ntrigger = { stream = \"files\" }\n\n\
                    [[task]]\nname = \"look\"\nprogram = [\"/bin/true\"]\n";

fn house(name: &str, profile: &str) -> House {
    let config = format!(
        "[pipelines]\nfolder = \"pipelines\"\n\n[[stream]]\nname = \"drop\"\nfolder = \"spool\"\n\
         label = \"simulated\"\npattern = \"run{{run}}_{{part}}.dat\"\nstream = \"files\"\n\
         {profile}"
    );
    let house = House::new(name, &config);
    house.write("pipelines/look.toml", WORK);
    house
}

/// Renames a file into the spool that was last written so many seconds after the first moment.
fn put(house: &House, name: &str, after_s: u64) {
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + after_s);
    let half = house.write(&format!("{name}.half"), name);
    let file = fs::File::options().write(true).open(&half);
    let file = file.expect("it was written above");
    file.set_modified(written).expect("its time is ours");
    fs::rename(&half, house.path("spool").join(name)).expect("a file is renamed");
}

fn until_state(house: &House, run: &str, state: &str) -> Value {
    house.until(&format!("run {run} is {state}"), || {
        let shown = house.try_ask(&["run", "show", run]).ok()?;
        (text(&shown, "state") == state).then_some(shown)
    })
}

/// Who said what: `(first lumi, last lumi, source)` of lumis, and `(last lumi, source)` of ends.
fn said(shown: &Value, of: &str, source: &str) -> Vec<u64> {
    let rows = shown[of].as_array().expect("a list");
    let rows = rows.iter().filter(|row| text(row, "source") == source);
    rows.map(|row| number(row, "last_lumi")).collect()
}

#[test]
fn slices_of_a_run_are_closed_by_the_time_outs_that_the_profile_names() {
    let mut house = house(
        "slices",
        "lumi = \"time:23s\"\nlumi_timeout = \"1s\"\nrun_timeout = \"2s\"\n\
         absent_lumi = \"empty\"\nrun_type = \"cosmics\"\n",
    );
    house.start();
    // Lumis 1, 1, 2 and 5; of lumis 3 and 4 nothing was written.
    for (name, after_s) in [("a", 0), ("b", 22), ("c", 23), ("d", 23 * 4 + 1)] {
        put(&house, &format!("run7_{name}.dat"), after_s);
    }
    let shown = until_state(&house, "7", "finished");
    let files = house.list(&["file", "ls", "--run", "7"]);
    let mut lumis: Vec<u64> = files.iter().map(|file| number(file, "lumi")).collect();
    lumis.sort_unstable();
    assert_eq!(lumis, [1, 1, 2, 5]);
    assert_eq!(text(&shown, "run_type"), "cosmics");
    assert_eq!(said(&shown, "ends", "timeout"), [5], "{shown:#}");
    let mut closed = said(&shown, "lumis", "timeout");
    closed.sort_unstable();
    assert_eq!(closed, [1, 2, 4, 5], "{shown:#}");
    assert_eq!(number(&shown["counts"], "jobs_done"), 4, "{shown:#}");
}

#[test]
fn without_a_time_out_nothing_closes_by_itself() {
    let mut house = house("patient", "lumi = 3\n");
    house.start();
    put(&house, "run8_a.dat", 0);
    house.until("its job is done", || {
        let shown = house.try_ask(&["run", "show", "8"]).ok()?;
        (number(&shown["counts"], "jobs_done") == 1).then_some(())
    });
    let files = house.list(&["file", "ls", "--run", "8"]);
    assert_eq!(number(&files[0], "lumi"), 3);
    // A restart changes neither.
    house.stop();
    house.start();
    let shown = house.ask(&["run", "show", "8"]);
    assert_eq!(text(&shown, "state"), "open", "{shown:#}");
    assert!(said(&shown, "ends", "timeout").is_empty());
}

#[test]
fn what_does_not_fit_together_is_said() {
    let house = house("wrong", "lumi = \"time:no\"\nabsent_lumi = \"empty\"\n");
    let said = house.tier0(&["check"]);
    said.says(
        2,
        &["these are no slices of time", "write lumi = \"time:23s\""],
    );
}
