//! The storage of outputs: files that go, change, or were never ours.

use crate::rig::{copying, end_run, put_lumi, put_lumis, until_alarm, until_done, until_over};
use crate::support::{PATIENCE, number, text};
use std::fs;

#[test]
fn outputs_that_are_gone_or_cut_and_files_of_strangers_are_told_by_name_until_all_is_right() {
    let mut house = copying("stock", "");
    house.start();
    put_lumis(&house, 7, 1..=3);
    end_run(&house, 7, 3);
    house.until_finished(1, PATIENCE);
    let outputs = house.list(&["file", "ls", "--state", "published"]);
    assert_eq!(outputs.len(), 3, "{outputs:?}");
    house.stop();
    let storage = house.path("state/storage");
    let [gone, cut] = [0, 1].map(|at| text(&outputs[at], "name").to_owned());
    let read = |name: &String| fs::read(storage.join(name)).expect("it is in place");
    let was = [read(&gone), read(&cut)];
    fs::remove_file(storage.join(&gone)).expect("the folder is ours");
    fs::write(storage.join(&cut), "cut").expect("the folder is ours");
    let beside = storage.join(&gone).with_file_name("notes.txt");
    fs::write(&beside, "somebody's").expect("the folder is ours");
    fs::create_dir(storage.join("holiday")).expect("the folder is ours");
    fs::write(storage.join("holiday/photo-7.jpg"), "somebody's").expect("the folder is ours");

    house.start();
    let dataset = text(&outputs[0], "dataset");
    let bytes = number(&outputs[1], "bytes");
    let lost = format!(
        "{gone} of run 7 in {dataset} (output {}) is missing",
        outputs[0]["id"]
    );
    let short = format!("has 3 bytes, {bytes} were recorded");
    let parts = [
        "2 of 3 outputs",
        &lost,
        &cut,
        &short,
        "put it back (`tier0 file verify ID`",
    ];
    until_alarm(&house, "storage/files", &parts);
    let parts = [
        "2 files",
        "/7/notes.txt",
        "holiday/photo-7.jpg",
        "left alone",
        "move them away",
    ];
    until_alarm(&house, "storage/strangers", &parts);
    // Work goes on meanwhile, and nothing of theirs is touched.
    put_lumi(&house, 8, 1);
    until_done(&house, 4);
    assert!(beside.exists() && storage.join("holiday/photo-7.jpg").exists());

    fs::write(storage.join(&gone), &was[0]).expect("the folder is ours");
    fs::write(storage.join(&cut), &was[1]).expect("the folder is ours");
    until_over(&house, "storage/files");
    fs::remove_file(&beside).expect("the folder is ours");
    fs::remove_dir_all(storage.join("holiday")).expect("the folder is ours");
    until_over(&house, "storage/strangers");
    let id = outputs[0]["id"].to_string();
    house.tier0(&["file", "verify", &id]).says(0, &[]);
    house.stop();
}
