//! Workers that stay: what becomes of jobs given to good, lazy, dying and babbling ones.

mod rig;

use model::job::ExitClass;
use model::resource::Mode;
use model::time::Span;
use model::work::AttemptPlan;
use ports::executor::{Executor, Status};
use rig::{Rig, eventually, living, plan};
use std::collections::BTreeSet;
use std::sync::Arc;
use tier0_executors::{LocalLimits, attempt_folder};

/// A worker in Python: `react` is run for each line as `line` with `job`, and may call `report(job,
/// more)`.
fn worker(react: &str, outputs: &[&str], wall: Span) -> Arc<AttemptPlan> {
    let script = format!(
        r#"
import json, os, signal, sys, time
assert sys.argv[-1] == "--tier0-worker"
def say(value):
    print(json.dumps(value), flush=True)
def report(job, **more):
    say({{"report": {{"job": job["job"], "attempt": job["attempt"], **more}}}})
say({{"hello": {{"pid": os.getpid()}}}})
for line in sys.stdin:
    line = json.loads(line)
    if "quit" in line: break
    job = line.get("job")
{}
"#,
        react
            .lines()
            .map(|line| format!("    {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    );
    plan(Mode::Warm, &["python3", "-c", &script], outputs, wall)
}

const LONG: Span = Span::from_secs(300);

#[test]
fn a_worker_takes_one_job_after_the_other() {
    let mut rig = Rig::new();
    let react = "open(job['cwd'] + '/a', 'w').write('x')\n\
                 report(job, outputs=[{'label': 'a', 'path': 'a', 'events': 3}], events_read=os.getpid())";
    let plan = worker(react, &["a"], LONG);
    let mut pids = BTreeSet::new();
    for _ in 0..10 {
        let token = rig.submit(&plan);
        let report = rig.wait_ended(token);
        assert_eq!(report.class, ExitClass::Ok, "{}", report.message);
        assert_eq!(report.outputs[0].events.0, 3);
        assert!(attempt_folder(&rig.work, token).join("a").exists());
        pids.insert(report.events_read.0);
        assert_eq!(rig.executor.status(&[token]), [Status::Absent]);
    }
    assert_eq!(pids.len(), 1, "one worker did all");
}

#[test]
fn many_jobs_share_as_many_workers_as_there_are_cores() {
    let mut rig = Rig::new();
    let plan = worker("report(job, events_read=os.getpid())", &[], LONG);
    let tokens: BTreeSet<_> = (0..200).map(|_| rig.submit(&plan)).collect();
    let (mut ended, mut pids) = (BTreeSet::new(), BTreeSet::new());
    while ended.len() < tokens.len() {
        let (token, report) = rig.next_end();
        assert_eq!(report.class, ExitClass::Ok, "{}", report.message);
        assert!(ended.insert(token), "told once");
        pids.insert(report.events_read.0);
    }
    assert_eq!(ended, tokens);
    assert!((1..=2).contains(&pids.len()), "{pids:?}");
}

#[test]
fn a_worker_fails_only_the_job_it_had() {
    let mut rig = Rig::new();
    let mut check = |react: &str, class: ExitClass, part: &str| {
        let react = format!("if job['job'] % 2 == 0:\n    report(job)\n    continue\n{react}");
        let plan = worker(&react, &[], Span::from_secs(3));
        for good in [false, true] {
            let token = rig.submit(&plan);
            let report = rig.wait_ended(token);
            if good {
                assert_eq!(report.class, ExitClass::Ok, "{react}: {}", report.message);
            } else {
                assert_eq!(report.class, class, "{react}: {}", report.message);
                assert!(report.message.contains(part), "{react}: {}", report.message);
            }
        }
    };
    use ExitClass::{Input, Program, Time, Transient};
    check(
        "report(job, exit={'class': 'input', 'message': 'no'})",
        Input,
        "no",
    );
    check("sys.exit(0)", Program, "exited in the middle");
    check("1 / 0", Program, "ZeroDivisionError");
    check("os.kill(os.getpid(), signal.SIGSEGV)", Program, "SIGSEGV");
    check(
        "os.kill(os.getpid(), signal.SIGKILL)",
        Transient,
        "somebody outside",
    );
    check("time.sleep(1010)", Time, "wall limit");
    check(
        "signal.signal(15, signal.SIG_IGN)\ntime.sleep(1010)",
        Time,
        "wall limit",
    );
    check(
        "print('processing', flush=True)",
        Program,
        "no line of the worker protocol",
    );
    check(
        "say({'what': 1})",
        Program,
        "neither hello nor progress nor report",
    );
    check(
        "say({'report': {'job': 99, 'attempt': 1}})",
        Program,
        "job Some(99)",
    );
    check(
        "say({'report': {'job': 'x'}})",
        Program,
        "no line of the worker protocol",
    );
    check(
        "report(job, exit={'class': 'fine'})",
        Program,
        "the class \"fine\"",
    );
    check(
        "report(job, outputs=[{'label': 'a', 'path': 'a'}])",
        Program,
        "which its task has not",
    );
    let endless = "b = 'x' * 1000000\nwhile True: sys.stdout.write(b)";
    check(endless, Program, "a line without end");
}

#[test]
fn a_program_that_is_no_worker_fails_its_job() {
    let mut rig = Rig::new();
    let mut check = |program: &[&str], part: &str| {
        let report = rig.run(&plan(Mode::Warm, program, &[], Span::from_secs(9)));
        assert_eq!(report.class, ExitClass::Program, "{}", report.message);
        assert!(report.message.contains(part), "{}", report.message);
    };
    check(&["no-such-program"], "install it");
    check(&["false"], "exited in the middle of the job");
    check(&["sh", "-c", "cat"], "said something before its hello");
}

#[test]
fn workers_are_started_ahead_and_let_go() {
    let mut rig = Rig::new();
    let plan = worker("report(job) # 1011", &[], LONG);
    let script = plan.program[2].clone();
    rig.executor.prepare(&plan, 2);
    eventually("two workers", || living(&script) == 2);
    // Let go only when they have said hello and are idle.
    let mut tries = 0;
    eventually("they quit", || {
        tries += 1;
        rig.executor.release();
        living(&script) == 0
    });
    let token = rig.submit(&plan);
    assert_eq!(rig.wait_ended(token).class, ExitClass::Ok);
}

#[test]
fn a_worker_is_replaced_after_enough_jobs() {
    let mut rig = Rig::with(LocalLimits {
        worker_jobs_max: 5,
        ..LocalLimits::default()
    });
    let plan = worker("report(job, events_read=os.getpid())", &[], LONG);
    let count = 40;
    for _ in 0..count {
        rig.submit(&plan);
    }
    let mut pids = std::collections::BTreeMap::<u64, u32>::new();
    for _ in 0..count {
        let (_, report) = rig.next_end();
        assert_eq!(report.class, ExitClass::Ok, "{}", report.message);
        *pids.entry(report.events_read.0).or_default() += 1;
    }
    assert!(pids.values().all(|jobs| *jobs <= 5), "{pids:?}");
}

#[test]
fn jobs_are_cancelled_wherever_they_are() {
    let mut rig = Rig::new();
    let plan = worker("if job: time.sleep(1012)", &[], LONG);
    let tokens: Vec<_> = (0..3).map(|_| rig.submit(&plan)).collect();
    assert_eq!(rig.executor.status(&tokens), [Status::Alive; 3]);
    rig.wait_started(tokens[0]);
    rig.executor.cancel(&tokens);
    let mut ended: Vec<_> = (0..3).map(|_| rig.next_end()).collect();
    ended.sort_by_key(|(token, _)| *token);
    for ((token, report), expect) in ended.iter().zip(&tokens) {
        assert_eq!(
            (token, report.class),
            (expect, ExitClass::Lost),
            "{}",
            report.message
        );
    }
}

#[test]
fn when_the_spawner_dies_workers_die_with_it_and_new_ones_come() {
    let mut rig = Rig::new();
    let slow = worker("time.sleep(1013)", &[], LONG);
    let quick = worker("report(job)", &[], LONG);
    assert_eq!(rig.run(&quick).class, ExitClass::Ok);
    let token = rig.submit(&slow);
    rig.wait_started(token);
    let pid = rig.executor.spawner_pid().unwrap();
    std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()
        .unwrap();
    assert_eq!(rig.wait_ended(token).class, ExitClass::Lost);
    eventually("workers are gone", || {
        living(&slow.program[2]) + living(&quick.program[2]) == 0
    });
    eventually("a new spawner", || {
        rig.executor.spawner_pid().is_some_and(|new| new != pid)
    });
    assert_eq!(rig.run(&quick).class, ExitClass::Ok);
}
