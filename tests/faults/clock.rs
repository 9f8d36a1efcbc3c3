//! Clocks that are set, processes that are stopped, and an engine that does not come back.

use crate::rig::{
    Shim, as_undisturbed, copying, put_lumi, put_lumis, until_alarm, until_done, until_over,
};
use crate::support::text;
use rustix::process::{Signal, kill_process};
use std::os::unix::process::ExitStatusExt;

#[test]
fn f57_a_clock_that_is_set_is_told_and_shortens_nothing() {
    let mut house = copying("clock", "");
    let shim = Shim::before(&mut house, "/nothing");
    house.start();
    put_lumi(&house, 7, 1);
    until_done(&house, 1);
    // An hour ahead, an hour back, and right again; each lumi is a job.
    for (lumi, ahead, way) in [(2, "3600", "ahead of"), (4, "-3600", "behind")] {
        shim.set("clock-ahead-s", ahead);
        put_lumi(&house, 7, lumi);
        let parts = [way, "somebody set it", "Correct the machine's clock"];
        until_alarm(&house, "clock/jumped", &parts);
        until_done(&house, lumi as usize);
        shim.set("clock-ahead-s", "0");
        put_lumi(&house, 7, lumi + 1);
        until_over(&house, "clock/jumped");
        until_done(&house, lumi as usize + 1);
    }
    assert!(house.list(&["job", "ls", "--state", "failed"]).is_empty());
    house.stop();
}

/// A clock that is behind what is on record: time goes on from there, and people are told.
#[test]
fn f57_a_restart_on_a_clock_that_is_behind_goes_on_after_what_is_on_record() {
    let mut house = copying("behind", "");
    let shim = Shim::before(&mut house, "/nothing");
    shim.set("clock-ahead-s", "86400");
    house.start();
    put_lumi(&house, 7, 1);
    until_done(&house, 1);
    let before = text(&house.list(&["file", "ls"])[0], "seen_at").to_owned();
    house.stop();
    shim.set("clock-ahead-s", "0");
    house.start();
    put_lumi(&house, 7, 2);
    until_done(&house, 2);
    until_alarm(
        &house,
        "clock/jumped",
        &["behind the time of this instance"],
    );
    let files = house.list(&["file", "ls"]);
    let later = files.iter().map(|file| text(file, "seen_at")).max();
    assert!(
        later > Some(before.as_str()),
        "{later:?} is not after {before}"
    );
    as_undisturbed(&house, 2);
    house.stop();
}

/// Stopped for longer than any pause of its own, the instance goes on where it was; jobs that ended
/// meanwhile are heard of.
#[test]
fn f57_an_instance_that_is_stopped_for_a_while_goes_on() {
    let mut house = copying("stopped", "");
    house.start();
    put_lumis(&house, 7, 1..=3);
    kill_process(house.pid(), Signal::STOP).expect("it is our child");
    put_lumis(&house, 7, 4..=12);
    // Longer than the watchdog would wait for a loop that does not come back.
    std::thread::sleep(std::time::Duration::from_secs(12));
    kill_process(house.pid(), Signal::CONT).expect("it is our child");
    until_done(&house, 12);
    as_undisturbed(&house, 12);
    let alarms = house.list(&["alarm", "ls"]);
    assert!(alarms.is_empty(), "{alarms:?}");
    house.stop();
}

#[test]
fn f66_an_engine_that_does_not_come_back_ends_the_process_with_what_its_threads_did() {
    let mut house = copying("stuck", "");
    let shim = Shim::before(&mut house, "/nothing");
    house.starter = ["prlimit", "--core=0"].map(str::to_owned).to_vec();
    house.start();
    put_lumi(&house, 7, 1);
    until_done(&house, 1);
    shim.set("hang-in", "engine");
    put_lumi(&house, 7, 2);
    let status = house.wait();
    assert_eq!(
        status.signal(),
        Some(Signal::ABORT.as_raw()),
        "{}",
        house.log()
    );
    let log = house.log();
    for part in [
        "the engine's thread has not come back for 10 s",
        "a restart recovers",
        "  engine state ",
        "  writer state ",
    ] {
        assert!(log.contains(part), "lacks {part:?}: {log}");
    }
    shim.clear("hang-in");
    house.start();
    until_done(&house, 2);
    as_undisturbed(&house, 2);
    house.stop();
}
