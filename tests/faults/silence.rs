//! Ends of attempts that nobody hears of: the instance asks what there is, finds them out, and does
//! not wait for the wall time.

use crate::rig::{as_undisturbed, copying, done, put_lumis, until_done};
use crate::support::{House, PATIENCE, number, text, until};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The wall time of the copying task is longer than this by far.
const LONG_BEFORE_WALL_TIME: Duration = Duration::from_secs(150);

/// One lumi goes through, while what is said at a point is lost once; how long that took.
fn lose(name: &str, point: &str) -> (House, Duration) {
    let mut house = copying(name, "");
    house.launch_with(Some(&format!("{point}:1:lost")));
    until("the instance is ready", PATIENCE, || {
        house.log().contains("READY").then_some(())
    });
    let begin = Instant::now();
    put_lumis(&house, 7, 1..=1);
    until("the job is done", LONG_BEFORE_WALL_TIME, || {
        (done(&house) == 1).then_some(())
    });
    (house, begin.elapsed())
}

#[test]
fn f33_a_completion_that_the_engine_did_not_hear_is_asked_for() {
    let (mut house, took) = lose("unheard", "news.telling");
    assert!(took > Duration::from_secs(20), "it was lost: {took:?}");
    let jobs = house.list(&["job", "ls", "--state", "done"]);
    assert_eq!(
        number(&jobs[0], "attempt"),
        1,
        "it was not made again: {jobs:?}"
    );
    as_undisturbed(&house, 1);
    house.stop();
}

#[test]
fn f33_f31_an_attempt_whose_program_is_gone_without_a_word_is_made_again() {
    let (mut house, took) = lose("untold", "spawner.reaped");
    assert!(took > Duration::from_secs(45), "it was lost: {took:?}");
    let alarms = house.list(&["alarm", "ls", "--cleared"]);
    let told = alarms
        .iter()
        .find(|alarm| text(alarm, "key").starts_with("attempts-lost/"));
    let told = told.map_or("", |alarm: &Value| text(alarm, "text"));
    for part in [
        "Attempts of copy.copy are not taken or get lost",
        "its process is gone and the spawner never said how it ended",
        "cost nothing",
    ] {
        assert!(told.contains(part), "lacks {part:?}: {told}");
    }
    until_done(&house, 1);
    let jobs = house.list(&["job", "ls", "--state", "done"]);
    assert_eq!(number(&jobs[0], "attempt"), 2, "{jobs:?}");
    as_undisturbed(&house, 1);
    house.stop();
}
