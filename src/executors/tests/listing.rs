//! What the executor says that it has: what is there, found there; and ends that nobody has taken
//! up are said again.

mod rig;

use model::job::ExitClass;
use model::resource::Mode;
use model::time::Span;
use model::work::AttemptPlan;
use ports::executor::Executor;
use rig::{Rig, eventually, living, plan};
use std::sync::Arc;
use std::time::Duration;

fn script(script: &str) -> Arc<AttemptPlan> {
    let wall = Span::from_secs(300);
    plan(Mode::Process, &["sh", "-c", script], &[], wall)
}

#[test]
fn a_list_has_what_runs_what_workers_have_and_what_waits_for_one() {
    let mut rig = Rig::new();
    assert_eq!(rig.executor.list(), Some(Vec::new()), "nothing is there");
    let hangs = "import time; print('{\"hello\":{}}', flush=True); time.sleep(1013)";
    let warm = plan(
        Mode::Warm,
        &["python3", "-c", hangs],
        &[],
        Span::from_secs(300),
    );
    let mut there = vec![rig.submit(&script("sleep 1010"))];
    // Two workers at most: the third attempt waits.
    there.extend((0..3).map(|_| rig.submit(&warm)));
    let ended = rig.submit(&script("true"));
    rig.wait_ended(ended);
    let mut listed = rig.executor.list().expect("the spawner answers");
    listed.sort();
    assert_eq!(listed, there);
    rig.executor.cancel(&there);
    let mut ends: Vec<_> = there.iter().map(|_| rig.next_end().0).collect();
    ends.sort();
    assert_eq!(ends, there);
    assert_eq!(rig.executor.list(), Some(Vec::new()));
}

#[test]
fn a_spawner_that_does_not_answer_is_no_empty_list() {
    let mut rig = Rig::new();
    let token = rig.submit(&script("sleep 1011"));
    eventually("it runs", || living("1011") == 1);
    stop_spawner(&rig);
    assert_eq!(rig.executor.list(), None);
    signal(&rig, "-CONT");
    eventually("it answers", || rig.executor.list() == Some(vec![token]));
}

#[test]
fn a_spawner_that_is_stopped_does_not_hold_up_the_end() {
    let mut rig = Rig::new();
    rig.submit(&script("sleep 1014"));
    eventually("it runs", || living("1014") == 1);
    stop_spawner(&rig);
    drop(rig);
    assert_eq!(living("1014"), 0, "what it started is ended all the same");
}

fn signal(rig: &Rig, signal: &str) {
    let pid = rig.executor.spawner_pid().expect("there is a spawner");
    let sent = std::process::Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(sent.expect("kill is there").success());
}

/// Stops the spawner, and waits for each of its threads: one may run on for a moment.
fn stop_spawner(rig: &Rig) {
    signal(rig, "-STOP");
    let pid = rig.executor.spawner_pid().expect("there is a spawner");
    let is_stopped = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.starts_with(" T"))
    };
    eventually("it is stopped", || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
        tasks.flatten().all(is_stopped)
    });
}

#[test]
fn an_end_that_is_not_taken_up_is_said_again_until_it_is_forgotten() {
    let mut rig = Rig::new();
    let token = rig.submit(&script("true"));
    let report = rig.wait_ended(token);
    assert_eq!(rig.executor.list(), Some(Vec::new()));
    assert!(!rig.has_news(), "its record may be under way");
    std::thread::sleep(Duration::from_millis(10_500));
    assert_eq!(rig.executor.list(), Some(Vec::new()));
    let again = rig.wait_ended(token);
    assert_eq!((again.class, again), (ExitClass::Ok, report));
    rig.executor.forget(&[token]);
    assert_eq!(rig.executor.list(), Some(Vec::new()));
    assert!(!rig.has_news(), "it is forgotten");
}
