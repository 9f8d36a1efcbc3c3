//! Attempts as processes of their own: what is told of programs that do well, badly, and worst.

mod rig;

use model::conditions::{Since, TimeType};
use model::job::ExitClass;
use model::names::TagName;
use model::resource::Mode;
use model::time::Span;
use model::work::{AttemptConstant, AttemptInput, AttemptPlan, Location};
use ports::executor::{Executor, Status, Submitted};
use rig::{Rig, eventually, living, plan, stage};
use std::sync::Arc;
use tier0_executors::{LocalLimits, attempt_folder, end_older_epochs, kept_folder};

fn script(script: &str, outputs: &[&str]) -> Arc<AttemptPlan> {
    plan(
        Mode::Process,
        &["sh", "-c", script],
        outputs,
        Span::from_secs(300),
    )
}

#[test]
fn ends_are_classed_with_a_sentence() {
    let mut rig = Rig::new();
    let mut check = |text: &str, outputs: &[&str], class: ExitClass, part: &str| {
        let report = rig.run(&script(text, outputs));
        assert_eq!(report.class, class, "{text}: {}", report.message);
        assert!(report.message.contains(part), "{text}: {}", report.message);
    };
    use ExitClass::{Input, Memory, Ok, Program, Site, Transient};
    check("true", &[], Ok, "");
    check("echo a > a.dat", &["a.dat"], Ok, "");
    check(
        "echo why >&2; exit 3",
        &[],
        Program,
        "exited with code 3, without a report",
    );
    check("echo why >&2; exit 3", &[], Program, "why");
    check("exit 66", &[], Input, "its input cannot be read");
    check("exit 74", &[], Site, "reading or writing failed");
    check("exit 75", &[], Transient, "try again");
    check("no-such-program-here", &[], Program, "not found");
    check("kill -SEGV $$", &[], Program, "SIGSEGV");
    check("sh -c 'kill -SEGV $$'; exit 139", &[], Program, "SIGSEGV");
    check("kill -KILL $$", &[], Transient, "somebody outside");
    check(
        "echo 'std::bad_alloc' >&2; kill -ABRT $$",
        &[],
        Memory,
        "ran out of memory",
    );
    check("true", &["a.dat"], Program, "output a.dat does not exist");
    check(": > a.dat", &["a.dat"], Program, "output a.dat is empty");
    check(
        "ln -s /etc/passwd a.dat",
        &["a.dat"],
        Program,
        "a symbolic link",
    );
    check("mkdir a.dat", &["a.dat"], Program, "no regular file");
    let head = r#"{"exit":{"class":"ok"},"outputs":[{"label":"a.dat","#;
    let says = |path: &str| format!(r#"echo '{head}"path":"{path}"}}]}}' > report.json"#);
    check(&format!("echo a > b; {}", says("b")), &["a.dat"], Ok, "");
    check(&says("b"), &["a.dat"], Program, "does not exist at \"b\"");
    check(
        &says("../b"),
        &["a.dat"],
        Program,
        "outside the attempt's folder",
    );
    check(
        &says("/etc/passwd"),
        &["a.dat"],
        Program,
        "outside the attempt's folder",
    );
    check(
        &format!("ln -s /etc e; {}", says("e/passwd")),
        &["a.dat"],
        Program,
        "symbolic link",
    );
    check(
        &format!("echo a > b; {}", says("b")),
        &[],
        Program,
        "which its task has not",
    );
    check(
        "echo '{}' > report.json",
        &["a.dat"],
        Program,
        "lacks the output a.dat",
    );
    check(
        "echo '{}' > report.json; exit 3",
        &[],
        Program,
        "says ok, yet it exited with code 3",
    );
    let transient = r#"echo '{"exit":{"class":"transient","message":"again"}}' > report.json"#;
    check(&format!("{transient}; exit 75"), &[], Transient, "again");
    check(
        "echo '{\"exit\":' > report.json",
        &[],
        Program,
        "not what the contract says",
    );
    check("mkfifo report.json", &[], Program, "no regular file");
    check(
        "ln -s /etc/passwd report.json",
        &[],
        Program,
        "cannot be used",
    );
    check(
        "truncate -s 1G report.json",
        &[],
        Program,
        "longer than 16.0 MiB",
    );
}

#[test]
fn a_missing_program_says_what_to_do() {
    let mut rig = Rig::new();
    let script = rig.work.join("no-interpreter");
    std::fs::write(&script, "#!/no/such/shell\n").unwrap();
    let script = script.to_str().unwrap().to_owned();
    let mut check = |program: &str, part: &str| {
        let report = rig.run(&plan(Mode::Process, &[program], &[], Span::from_secs(9)));
        assert_eq!(report.class, ExitClass::Program, "{}", report.message);
        assert!(report.message.contains(part), "{}", report.message);
    };
    check("no-such-program", "is in no folder of PATH; install it");
    check("/no/such/program", "does not exist; install it there");
    check(&script, "could not be started");
}

#[test]
fn a_program_finds_its_job_and_a_small_environment() {
    let mut rig = Rig::new();
    let mut spec = rig.spec(&script(
        "cp $TIER0_JOB a; env | sort > b; pwd > c",
        &["a", "b", "c"],
    ));
    spec.inputs.push(AttemptInput {
        location: Location::Spool {
            profile: "muons".into(),
            name: "f.dat".into(),
        },
        bytes: model::units::Bytes(4),
        adler32: Some(0x1a),
        events: None,
        lumis: Vec::new(),
        first_event: None,
        last_event: None,
    });
    spec.constants.push(AttemptConstant {
        record: None,
        tag: TagName::new("beamspot"),
        time_type: TimeType::Run,
        since: Since(7),
        hash: "00ab".into(),
        text: "{\"x\":1}".into(),
    });
    for (since, hash) in [(Since(7 << 32), "00cd"), (Since((7 << 32) | 4), "00ef")] {
        spec.constants.push(AttemptConstant {
            record: None,
            tag: TagName::new("spot"),
            time_type: TimeType::Lumi,
            since,
            hash: hash.into(),
            text: format!("{{\"by\":\"{hash}\"}}").into(),
        });
    }
    assert_eq!(
        rig.executor.submit(std::slice::from_ref(&spec)),
        [Submitted::Accepted]
    );
    assert_eq!(
        rig.executor.submit(std::slice::from_ref(&spec)),
        [Submitted::Accepted]
    );
    let report = rig.wait_ended(spec.token);
    assert_eq!(report.class, ExitClass::Ok, "{}", report.message);
    let folder = attempt_folder(&rig.work, spec.token);
    assert_eq!(folder, rig.work.join("5/1-1"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let job: serde_json::Value = serde_json::from_str(&read("a")).unwrap();
    let at = |pointer: &str| job.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(at("/task"), "reco");
    assert_eq!(at("/pipeline"), "express");
    assert_eq!(at("/lumis"), serde_json::json!([[3, 4]]));
    assert_eq!(at("/parameters/nbins"), 12);
    assert_eq!(at("/parameters/name"), "x y");
    assert_eq!(at("/parameters/label"), "simulated");
    assert_eq!(at("/deadline"), "1970-01-01T00:00:00.000000Z");
    assert_eq!(at("/inputs/0/adler32"), "0000001a");
    assert!(
        at("/inputs/0/path")
            .as_str()
            .unwrap()
            .ends_with("/spool/f.dat")
    );
    let payload = at("/conditions/tags/beamspot/path");
    assert_eq!(
        std::fs::read_to_string(payload.as_str().unwrap()).unwrap(),
        "{\"x\":1}"
    );
    // Of a tag by run nothing else is said; of several intervals the first stands in front.
    let row = at("/conditions/tags/beamspot");
    let fields: Vec<&String> = row.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["hash", "path", "since"]);
    let spot = at("/conditions/tags/spot");
    assert_eq!(spot["time_type"], "Lumi");
    assert_eq!(spot["intervals"].as_array().unwrap().len(), 2);
    for field in ["since", "hash", "path"] {
        assert_eq!(spot["intervals"][0][field], spot[field]);
    }
    assert_eq!(spot["intervals"][1]["since"], (7_u64 << 32) | 4);
    let payload = spot["intervals"][1]["path"].as_str().unwrap();
    assert_eq!(
        std::fs::read_to_string(payload).unwrap(),
        "{\"by\":\"00ef\"}"
    );
    let environment = read("b");
    let has = |line: &str| environment.lines().any(|other| other == line);
    assert!(has("TIER0_EPOCH=5") && has("TIER0_TOKEN=5-1-1") && has("EXTRA=yes"));
    // It ran where it was told to report; the folder got the attempt's name when it had ended.
    let ran_in = read("c").trim().to_owned();
    let epoch_dir = rig.work.join("5");
    assert!(ran_in.starts_with(epoch_dir.to_str().unwrap()), "{ran_in}");
    assert!(has(&format!("TIER0_REPORT={ran_in}/report.json")));
    assert!(has(&format!("TIER0_JOB={ran_in}/job.json")));
    assert!(!environment.contains("CARGO"), "{environment}");
    // Its end was told once, and it was started once.
    assert_eq!(rig.executor.status(&[spec.token]), [Status::Absent]);
    rig.executor.forget(&[spec.token]);
    eventually("the folder is removed", || !folder.exists());
}

#[test]
fn an_input_from_an_unknown_profile_is_refused() {
    let mut rig = Rig::new();
    let mut spec = rig.spec(&script("true", &[]));
    spec.inputs.push(AttemptInput {
        location: Location::Spool {
            profile: "gone".into(),
            name: "f.dat".into(),
        },
        bytes: model::units::Bytes(4),
        adler32: None,
        events: None,
        lumis: Vec::new(),
        first_event: None,
        last_event: None,
    });
    let [Submitted::Refused { reason }] = &rig.executor.submit(&[spec])[..] else {
        panic!()
    };
    assert!(reason.contains("profile gone"), "{reason}");
}

#[test]
fn what_runs_too_long_is_ended_even_if_it_ignores_that() {
    let mut rig = Rig::new();
    let wall = Span::from_millis(300);
    let mut check = |script: &str| {
        let report = rig.run(&plan(Mode::Process, &["sh", "-c", script], &[], wall));
        assert_eq!(report.class, ExitClass::Time, "{}", report.message);
        assert!(
            report
                .message
                .contains("wall limit of its task is 300.00 ms"),
            "{}",
            report.message
        );
    };
    check("sleep 1001");
    check("trap '' TERM; while :; do sleep 1001; done");
    eventually("sleepers are gone", || living("1001") == 0);
}

#[test]
fn nothing_that_a_program_started_outlives_it() {
    let mut rig = Rig::new();
    let mut check = |text: &str| {
        let report = rig.run(&script(text, &[]));
        assert_eq!(report.class, ExitClass::Ok, "{}", report.message);
        // No waiting: it is so when the end is told.
        assert_eq!(living("1002"), 0, "{text}");
    };
    check("sleep 1002 &");
    check("setsid sleep 1002 &");
    check("setsid sh -c 'sleep 1002 & sleep 1002' & sleep 0.1");
    check("(setsid setsid sleep 1002 &) & sleep 0.1");
    // No environment by which it could be found, no group, no parent.
    check("setsid env -i sleep 1002 & sleep 0.1; true");
}

#[test]
fn offspring_of_a_running_program_is_left_alone() {
    let mut rig = Rig::new();
    let keeps = script(
        "setsid sleep 1003 & trap 'exit 0' TERM; while :; do sleep 0.05; done",
        &[],
    );
    let running = rig.submit(&keeps);
    rig.wait_started(running);
    eventually("its daemon runs", || living("1003") == 1);
    for _ in 0..20 {
        let token = rig.submit(&script("setsid sleep 1004 & true", &[]));
        let report = rig.wait_ended(token);
        assert_eq!(report.class, ExitClass::Ok);
        assert_eq!((living("1003"), living("1004")), (1, 0));
    }
    rig.executor.cancel(&[running]);
    let report = rig.wait_ended(running);
    assert_eq!(
        (report.class, report.message.as_str()),
        (ExitClass::Lost, "it was ended on request")
    );
    assert_eq!(living("1003"), 0);
}

#[test]
fn whoever_fills_its_output_is_ended_and_the_file_is_cut() {
    let limits = LocalLimits {
        capture_bytes_max: 1 << 20,
        ..LocalLimits::default()
    };
    let mut rig = Rig::with(limits);
    let token = rig.submit(&script("yes tier0-filler", &[]));
    let report = rig.wait_ended(token);
    assert_eq!(report.class, ExitClass::Program);
    assert!(
        report.message.contains("more than 1.0 MiB"),
        "{}",
        report.message
    );
    let kept = kept_folder(&rig.work, token).join("stdout");
    eventually("its output is kept", || kept.exists());
    assert!(kept.metadata().unwrap().len() <= 1 << 20);
    eventually("its folder is removed", || {
        !attempt_folder(&rig.work, token).exists()
    });
}

#[test]
fn a_file_without_end_is_stopped() {
    let limits = LocalLimits {
        file_bytes_max: 1 << 20,
        ..LocalLimits::default()
    };
    let mut rig = Rig::with(limits);
    let report = rig.run(&script("exec head -c 4000000 /dev/zero > a", &["a"]));
    assert_eq!(report.class, ExitClass::Program, "{}", report.message);
    assert!(report.message.contains("SIGXFSZ"), "{}", report.message);
}

#[test]
fn only_the_last_failures_are_kept() {
    let mut rig = Rig::with(LocalLimits {
        failed_kept: 2,
        ..LocalLimits::default()
    });
    let tokens: Vec<_> = (0..4)
        .map(|_| {
            let token = rig.submit(&script("echo said; exit 1", &[]));
            rig.wait_ended(token);
            token
        })
        .collect();
    rig.executor.cleaner().flush();
    let kept: Vec<bool> = tokens
        .iter()
        .map(|token| kept_folder(&rig.work, *token).exists())
        .collect();
    assert_eq!(kept, [false, false, true, true]);
    let stdout = kept_folder(&rig.work, tokens[3]).join("stdout");
    assert_eq!(std::fs::read_to_string(stdout).unwrap(), "said\n");
}

#[test]
fn when_the_spawner_dies_all_is_ended_and_told_and_work_goes_on() {
    let mut rig = Rig::new();
    let text = "setsid sleep 1005 & (setsid sleep 1005 &) ; sleep 1005";
    let tokens = [
        rig.submit(&script(text, &[])),
        rig.submit(&script(text, &[])),
    ];
    eventually("all run", || living("1005") == 6);
    let pid = rig.executor.spawner_pid().unwrap();
    let status = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
    let mut lost = [rig.next_end(), rig.next_end()];
    lost.sort_by_key(|(token, _)| *token);
    for (token, (of, report)) in tokens.iter().zip(&lost) {
        assert_eq!(
            (token, report.class),
            (of, ExitClass::Lost),
            "{}",
            report.message
        );
    }
    assert_eq!(living("1005"), 0);
    eventually("a new spawner", || {
        rig.executor.spawner_pid().is_some_and(|new| new != pid)
    });
    assert_eq!(rig.run(&script("true", &[])).class, ExitClass::Ok);
}

#[test]
fn an_orderly_end_leaves_nothing() {
    let mut rig = Rig::new();
    let token = rig.submit(&script("setsid sleep 1006 & sleep 1006", &[]));
    rig.wait_started(token);
    eventually("it runs", || living("1006") == 2);
    drop(rig);
    assert_eq!(living("1006"), 0);
}

#[test]
fn when_the_agent_is_killed_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    let mut agent = std::process::Command::new(stage())
        .args(["agent", work.to_str().unwrap()])
        .spawn()
        .unwrap();
    eventually("its attempt runs", || living("1000") >= 2);
    agent.kill().unwrap();
    agent.wait().unwrap();
    eventually("its attempt is gone", || living("1000") == 0);
    eventually("its spawner is gone", || {
        living("spawner") == 0 || living(work.to_str().unwrap()) == 0
    });
}

#[test]
fn what_an_older_epoch_left_is_ended_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().to_str().unwrap().to_owned();
    std::fs::create_dir_all(folder.path().join("3/17-1")).unwrap();
    std::fs::create_dir_all(folder.path().join("failed/3-17-1")).unwrap();
    let left = |instance: &str, epoch: &str, seconds: &str| {
        std::process::Command::new("sleep")
            .arg(seconds)
            .env("TIER0_INSTANCE", instance)
            .env("TIER0_EPOCH", epoch)
            .spawn()
            .unwrap()
    };
    let mut old = left(&work, "3", "1007");
    let mut same = left(&work, "4", "1008");
    let mut other = left("/another", "3", "1009");
    let reaper = std::thread::spawn(move || old.wait());
    let ended = end_older_epochs(folder.path(), model::ids::Epoch(4)).unwrap();
    assert_eq!((ended.processes, ended.folders), (1, 1));
    reaper.join().unwrap().unwrap();
    assert_eq!((living("1008"), living("1009")), (1, 1));
    assert!(folder.path().join("failed/3-17-1").exists());
    for child in [&mut same, &mut other] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
