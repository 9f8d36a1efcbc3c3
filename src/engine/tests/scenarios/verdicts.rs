//! Verdicts that act: what they hold and whom they call, until somebody has looked or the time is
//! over.

use crate::check_with;
use crate::play::Play;

/// A run is reconstructed, judged, and then something is made of the judged data.
const JUDGED: &str = r#"
[pipeline]
name = "p"
trigger = { stream = "Muons" }

[[task]]
name = "reco"
split = { by = "file" }
program = ["x"]
outputs = { AOD = "x" }

[[task]]
name = "judge"
input = "reco.AOD"
split = { by = "dqm_harvest" }
program = ["x"]
outputs = { RUN = "x" }
certifies = true

[[task.on_verdict]]
when = ["bad", "warning"]
do = "hold"
of = "p.skim"
at_most = "1h"
then = "provisional"

[[task.on_verdict]]
when = "bad"
do = "page"
at_most = "10m"

[[task.on_verdict]]
when = "not_run"
do = "calibrate"
at_most = "2h"
then = "note"

[[task]]
name = "skim"
input = "judge.RUN"
split = { by = "file" }
program = ["x"]
outputs = { SKIM = "x" }
"#;

fn check(rows: &[(&str, &str)]) {
    check_with(Play::of(&[("p.toml", JUDGED)], 8), rows);
}

#[test]
fn a_bad_verdict_holds_and_pages_until_its_time_is_over() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", ""),
        ("end 1 1", "start p#1 attempt 1 on 1; run 1 physics closed"),
        (
            "ok p#1",
            "+AOD; AOD closed with 100; start p#2 attempt 1 on 1; p#1 done",
        ),
        (
            "ok p#2 tests=300",
            "+RUN; run 1 bad, not certified; alarm verdict-hold/1; alarm verdict-page/1; RUN closed with 100; p#2 done",
        ),
        (
            "holds",
            "task/1/p.skim verdict: the verdict of p.judge is bad: contents of mass, 1.0 h at most",
        ),
        (
            "because task/1/p.skim",
            "task/1/p.skim: the verdict of p.judge is bad: contents of mass (tier0 calib accept p.judge --run 1 says that somebody has looked; tier0 calib accept p.skim --run 1 lets it go now)",
        ),
        (
            "because run/1",
            "task/1/p.skim: the verdict of p.judge is bad: contents of mass (tier0 calib accept p.judge --run 1 says that somebody has looked; tier0 calib accept p.skim --run 1 lets it go now); run/1: the verdict of p.judge is bad: contents of mass; whoever is on call is asked to look (tier0 calib accept p.judge --run 1 says that somebody has looked)",
        ),
        (
            "alarm verdict-hold/1",
            "Run 1: the verdict of p.judge is bad: contents of mass. No more jobs of p.skim are made for it until 2027-01-01T01:00:00.000000Z; then they are, provisionally. `tier0 dqm show 1` has the tests; `tier0 calib accept p.judge --run 1` says that somebody has looked.",
        ),
        (
            "alarm verdict-page/1",
            "Run 1: the verdict of p.judge is bad: contents of mass. Whoever is on call is asked to look until 2027-01-01T00:10:00.000000Z. `tier0 dqm show 1` has the tests; `tier0 calib accept p.judge --run 1` says that somebody has looked.",
        ),
        ("restart", ""),
        ("wait 599", ""),
        ("wait 1", "cleared verdict-page/1; alarm verdict-unheeded/1"),
        ("restart", ""),
        ("wait 2999", ""),
        (
            "wait 1",
            "cleared verdict-hold/1; alarm verdict-unheeded/1; start p#3 attempt 1 on 1",
        ),
        (
            "alarm verdict-unheeded/1",
            "Run 1: the verdict of p.judge is bad: contents of mass, and nobody has looked in time: p.skim goes on provisionally since 2027-01-01T01:00:00.000000Z; nobody is called any more since 2027-01-01T00:10:00.000000Z. `tier0 calib accept p.judge --run 1` says that somebody has looked.",
        ),
        ("restart", ""),
        (
            "ok p#3",
            "+SKIM; SKIM closed with 100; p#3 done provisionally; run 1 physics finished",
        ),
        (
            "accept p.judge 1",
            "cleared verdict-unheeded/1; done: p.judge of run 1 is looked at",
        ),
        ("restart", ""),
    ]);
}

#[test]
fn whoever_has_looked_ends_it() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", ""),
        ("end 1 1", "start p#1 attempt 1 on 1; run 1 physics closed"),
        (
            "ok p#1",
            "+AOD; AOD closed with 100; start p#2 attempt 1 on 1; p#1 done",
        ),
        (
            "ok p#2 tests=300",
            "+RUN; run 1 bad, not certified; alarm verdict-hold/1; alarm verdict-page/1; RUN closed with 100; p#2 done",
        ),
        (
            "accept p.judge 1",
            "cleared verdict-hold/1; cleared verdict-page/1; done: p.judge of run 1 is looked at; start p#3 attempt 1 on 1",
        ),
        (
            "accept p.judge 1",
            "done: p.judge of run 1 was already looked at",
        ),
        ("restart", ""),
        (
            "ok p#3",
            "+SKIM; SKIM closed with 100; p#3 done; run 1 physics finished",
        ),
        ("wait 7200", ""),
        ("file 1 2 b 100", "late b; alarm late-file/1/b"),
        ("lumi 1 2 100", "alarm late-record/1"),
        (
            "reopen 1",
            "cleared late-file/1/b; shifter did run reopen to run/1; done: run 1: 1 late files become part 2: b; cleared late-record/1; start p#4 attempt 1 on 1; run 1 physics closed part 2",
        ),
        (
            "ok p#4",
            "+AOD; AOD closed with 100; start p#5 attempt 1 on 1; p#4 done",
        ),
        (
            "ok p#5 tests=100",
            "+RUN; run 1 bad, not certified; alarm verdict-hold/1; alarm verdict-page/1; RUN closed with 100; p#5 done",
        ),
        (
            "holds",
            "task/1/p.skim verdict: the verdict of p.judge is bad: contents of mass, 1.0 h at most",
        ),
        ("wait 60", ""),
        (
            "accept p.skim 1",
            "done: p.skim of run 1 is accepted; start p#6 attempt 1 on 1",
        ),
        (
            "ok p#6",
            "+SKIM; SKIM closed with 100; p#6 done provisionally; run 1 physics finished part 2",
        ),
        (
            "because run/1",
            "run/1: the verdict of p.judge is bad: contents of mass; whoever is on call is asked to look (tier0 calib accept p.judge --run 1 says that somebody has looked)",
        ),
        (
            "accept p.judge 1",
            "cleared verdict-hold/1; cleared verdict-page/1; done: p.judge of run 1 is looked at",
        ),
    ]);
}

#[test]
fn each_verdict_has_its_own_actions() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", ""),
        ("end 1 1", "start p#1 attempt 1 on 1; run 1 physics closed"),
        (
            "ok p#1",
            "+AOD; AOD closed with 100; start p#2 attempt 1 on 1; p#1 done",
        ),
        (
            "ok p#2 tests=100",
            "+RUN; run 1 good: [(1, 1)]; RUN closed with 100; start p#3 attempt 1 on 1; p#2 done",
        ),
    ]);
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", ""),
        ("end 1 1", "start p#1 attempt 1 on 1; run 1 physics closed"),
        (
            "ok p#1",
            "+AOD; AOD closed with 100; start p#2 attempt 1 on 1; p#1 done",
        ),
        (
            "ok p#2",
            "+RUN; run 1 not-run, not certified; alarm verdict-calibrate/1; RUN closed with 100; start p#3 attempt 1 on 1; p#2 done",
        ),
        (
            "because run/1",
            "run/1: the verdict of p.judge is that nothing was tested; whoever calibrates is asked to look (tier0 calib accept p.judge --run 1 says that somebody has looked)",
        ),
        (
            "alarm verdict-calibrate/1",
            "Run 1: the verdict of p.judge is that nothing was tested. Its constants are in doubt: whoever calibrates is asked to look at `tier0 calib show` until 2027-01-01T02:00:00.000000Z. `tier0 dqm show 1` has the tests; `tier0 calib accept p.judge --run 1` says that somebody has looked.",
        ),
        (
            "wait 7200",
            "cleared verdict-calibrate/1; alarm verdict-unheeded/1",
        ),
    ]);
}

#[test]
fn accepting_a_certifying_task_that_is_held_for_all_runs_lets_it_go_for_one() {
    check(&[
        ("hold p.judge", "done: p.judge of every run is held"),
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", ""),
        ("end 1 1", "start p#1 attempt 1 on 1; run 1 physics closed"),
        ("ok p#1", "+AOD; AOD closed with 100; p#1 done"),
        (
            "accept p.judge 1",
            "done: p.judge of run 1 is accepted; start p#2 attempt 1 on 1",
        ),
        ("wait 60", ""),
        (
            "ok p#2 tests=300",
            "+RUN; run 1 bad, not certified; alarm verdict-hold/1; alarm verdict-page/1; RUN closed with 100; p#2 done",
        ),
        // It was accepted before there was a verdict to look at.
        (
            "holds",
            "task/1/p.skim verdict: the verdict of p.judge is bad: contents of mass, 1.0 h at most",
        ),
        (
            "accept p.judge 1",
            "cleared verdict-hold/1; cleared verdict-page/1; done: p.judge of run 1 is accepted; start p#3 attempt 1 on 1",
        ),
        (
            "accept p.judge 1",
            "done: p.judge of run 1 was already accepted",
        ),
        ("restart", ""),
        ("holds", ""),
    ]);
}
