//! Plugins for real: the examples of docs/plugins on a run's data, and ones that hang, crash, lie
//! or drown us. In: processes. Out: results and candidates with reasons, a job that goes on, and
//! nothing left running.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use model::ids::{LumiNumber, RunNumber};
use model::names::{FileName, TaskPath};
use model::plugin::{SplitInput, SplitKey, SplitQuestion};
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use serde_json::{Value, json};

use crate::chain_tests::{Chain, simulated};
use crate::splitter;

/// A run with what quality tests and constants are made of.
struct Bench {
    _data: tempfile::TempDir,
    chain: Chain,
    run: u32,
    truth: [f64; 2],
    collected: Vec<PathBuf>,
    monitored: Vec<PathBuf>,
    /// How long a plugin may take.
    within_s: f64,
}

/// Whoever answers at all does it within this, on any machine.
const PATIENT_S: u32 = 60;

/// How long a plugin may take of which this is said: one that hangs is not waited for.
fn within_s(expect: &str) -> u32 {
    if expect.starts_with("did not answer within 1 s") {
        1
    } else {
        PATIENT_S
    }
}

impl Bench {
    fn new() -> Self {
        let (data, path, truth) = simulated(8);
        let mut chain = Chain::new(&path, |_| ());
        let (run, files) = chain.files().into_iter().next().unwrap();
        let (mut collected, mut monitored) = (Vec::new(), Vec::new());
        for file in &files {
            let made = chain.products("express", run, std::slice::from_ref(file), json!({}));
            collected.push(made["ALCA"].path.clone());
            monitored.push(made["DQM"].path.clone());
        }
        let spot = truth.runs.iter().find(|spot| spot.run == run).unwrap();
        Self {
            _data: data,
            chain,
            run,
            truth: [spot.x0_cm, spot.y0_cm],
            collected,
            monitored,
            within_s: f64::from(PATIENT_S),
        }
    }

    /// The quality tests of a job with one plugin; the job itself must end well.
    fn tests(&mut self, program: &Path, parameters: Value, elements: Value) -> Vec<Value> {
        let plugin = json!({"name": "mine", "program": [program], "tests": elements,
            "within_s": self.within_s, "parameters": parameters});
        let inputs = self.monitored.clone();
        let more = json!({"parameters": {"plugins": [plugin]}});
        let made = self.chain.products("dqm", self.run, &inputs, more);
        let tests = &made["DQM_RUN"].report["metrics"]["quality_tests"];
        let own = |test: &&Value| test["name"] != "mine";
        assert_eq!(tests.as_array().unwrap().iter().filter(own).count(), 7);
        let mine = tests.as_array().unwrap().iter();
        mine.filter(|test| test["name"] == "mine")
            .cloned()
            .collect()
    }

    /// The candidates of a job with one plugin for the beam spot.
    fn candidates(&mut self, program: &Path) -> Vec<Value> {
        let plugin = json!({"name": "mine", "program": [program], "measures": ["beamspot"],
            "within_s": self.within_s});
        let inputs = self.collected.clone();
        let more = json!({"parameters": {"plugins": [plugin]}});
        let made = self.chain.products("harvest", self.run, &inputs, more);
        let metrics = &made["HARVEST"].report["metrics"];
        metrics["candidates"].as_array().unwrap().clone()
    }

    /// A plugin of these lines.
    fn written(&self, name: &str, lines: &str) -> PathBuf {
        plugin_of(self.chain.folder.path(), name, lines)
    }
}

/// A plugin of these lines of Python; `ask()` reads a question, `say` writes a line.
fn plugin_of(folder: &Path, name: &str, lines: &str) -> PathBuf {
    let path = folder.join(name);
    let head = "#!/usr/bin/env python3\nimport json, os, subprocess, sys, time\n\
        def say(**line):\n    print(json.dumps(line), flush=True)\n\
        def ask():\n    return json.loads(sys.stdin.readline())['ask']\n\
        def hello():\n    say(hello={'protocol': 1})\n";
    std::fs::write(&path, format!("{head}{lines}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/plugins")
        .join(name)
}

#[test]
fn the_examples_fit_a_screen_and_do_what_they_say() {
    let mut bench = Bench::new();
    for name in ["peak_width.py", "beam_centre.py", "pack_by_size.py"] {
        let text = std::fs::read_to_string(example(name)).unwrap();
        assert!(text.lines().count() <= 40, "{name} is longer than 40 lines");
    }
    let width = example("peak_width.py");
    let elements = json!(["dimuon_mass_gev", "muon_pt_gev", "not_there"]);
    let found = bench.tests(&width, json!({"rms_max": 8.5}), elements);
    let statuses: Vec<u64> = found
        .iter()
        .map(|t| t["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [100, 300, 50], "{found:?}");
    assert_eq!(found[0]["value_ppm"], 1_000_000);
    let message = found[1]["message"].as_str().unwrap();
    assert!(message.contains("at most 8.5 expected"), "{message}");

    let plain = bench
        .chain
        .products("harvest", bench.run, &bench.collected.clone(), json!({}));
    let plain = &plain["HARVEST"].report["metrics"]["candidates"];
    let candidates = bench.candidates(&example("beam_centre.py"));
    assert_eq!(candidates.len(), 2);
    let spot = candidates.iter().find(|c| c["tag"] == "beamspot").unwrap();
    assert_eq!(
        candidates.iter().find(|c| c["tag"] == "scale"),
        Some(&plain[1])
    );
    for (index, truth) in bench.truth.iter().enumerate() {
        let quantity = &spot["quantities"][index];
        let nano = |name: &str| quantity[name].as_f64().unwrap();
        let pull = (nano("value_nano") - truth * 1e9) / nano("error_nano");
        assert!(pull.abs() < 4.0, "{quantity} is {pull} errors off {truth}");
    }
    let payload: Value = serde_json::from_str(spot["payload"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&payload["plugin"], &payload["kind"]),
        (&json!("mine"), &json!("beamspot"))
    );
}

#[test]
fn a_test_that_hangs_lies_or_crashes_is_not_judged_and_the_others_are() {
    let mut bench = Bench::new();
    let child = bench.chain.folder.path().join("child");
    let answered = |answer: &str| format!("hello(); a = ask(); say(answer={answer})\nask()");
    let ok = "'status': 'ok', 'value': 1, 'message': ''";
    let rows = [
        (
            "never a word",
            "time.sleep(60)".to_owned(),
            "did not answer within 1 s",
        ),
        (
            "hangs",
            "hello(); ask(); time.sleep(60)".into(),
            "did not answer within 1 s",
        ),
        (
            "hangs by a child",
            format!(
                "child = subprocess.Popen(['sleep', '61']).pid\n\
                 open('{}', 'w').write(str(child))\nhello(); ask(); os._exit(3)",
                child.display()
            ),
            "did not answer within 1 s",
        ),
        (
            "crashes",
            "hello(); ask(); raise ValueError('a bug')".into(),
            "code 1 before it answered, \
            its last words: \"ValueError: a bug\"",
        ),
        (
            "is killed",
            "hello(); ask(); os.kill(os.getpid(), 11)".into(),
            "ended by signal 11",
        ),
        (
            "closes",
            "hello(); ask(); sys.stdout.close(); os.close(1); time.sleep(60)".into(),
            "closed its output or was killed",
        ),
        (
            "deaf",
            "os.close(0); hello(); time.sleep(60)".into(),
            "closed its output or was killed",
        ),
        (
            "babbles",
            "hello(); ask(); print('ready'); sys.stdout.flush(); ask()".into(),
            "said \"ready\", which is not a line of JSON",
        ),
        (
            "drowns us",
            "hello(); ask()\nwhile True: sys.stdout.write('x' * 65536)".into(),
            "a line longer than 1048576 bytes",
        ),
        (
            "talks",
            "hello(); ask()\nwhile True: sys.stderr.write('x' * 65536)".into(),
            "did not answer within 1 s",
        ),
        (
            "no hello",
            "say(answer={})".into(),
            "where its hello was awaited",
        ),
        (
            "too new",
            "say(hello={'protocol': 2})".into(),
            "which is protocol 2, not 1",
        ),
        (
            "not asked",
            answered(&format!("{{'request_id': 7, {ok}}}")),
            "request_id 7 where 1 was",
        ),
        (
            "no schema",
            answered("{'request_id': 1, 'verdict': 'ok'}"),
            "missing field `status`",
        ),
        (
            "no status",
            answered("{'request_id': 1, 'status': 'fine', 'value': 1, 'message': ''}"),
            "cannot be: status \"fine\", none of ok,",
        ),
        (
            "too good",
            answered("{'request_id': 1, 'status': 'ok', 'value': 1.5, 'message': ''}"),
            "cannot be: value 1.5, not from 0 to 1",
        ),
        (
            "no number",
            answered("{'request_id': 1, 'status': 'ok', 'value': float('nan'), 'message': ''}"),
            "which is not a line of JSON",
        ),
        (
            "long",
            answered("{'request_id': 1, 'status': 'ok', 'value': 1, 'message': 'x' * 1001}"),
            "cannot be: a message of 1001 characters",
        ),
    ];
    for (name, lines, expect) in rows {
        let program = bench.written(&name.replace(' ', "_"), &lines);
        let begin = Instant::now();
        bench.within_s = f64::from(within_s(expect));
        let tests = bench.tests(&program, json!({}), json!(["dimuon_mass_gev", "muon_eta"]));
        assert!(
            begin.elapsed() < Duration::from_secs(50),
            "{name} kept the job"
        );
        assert_eq!(tests.len(), 2, "{name}");
        for test in &tests {
            assert_eq!(test["status"], 90, "{name}: {test}");
            let message = test["message"].as_str().unwrap();
            assert!(
                message.starts_with("not judged: test of "),
                "{name}: {message}"
            );
            assert!(
                message.contains(expect),
                "{name}: {message:?} lacks {expect:?}"
            );
        }
        let again = tests[1]["message"].as_str().unwrap();
        assert!(
            again.contains("plugin mine is not asked again"),
            "{name}: {again}"
        );
    }
    let absent = bench.tests(Path::new("/not/there"), json!({}), json!(["muon_eta"]));
    let message = absent[0]["message"].as_str().unwrap();
    assert!(message.contains("could not be started"), "{message}");
    // Of one that has ended and nobody has waited for, the command line is empty.
    let child = std::fs::read_to_string(child).unwrap();
    let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
    assert_eq!(line, b"", "a child of a plugin lives");
}

#[test]
fn no_constant_comes_from_a_plugin_that_lies() {
    let mut bench = Bench::new();
    let x0 = |value: &str, error: &str| {
        format!("{{'name': 'x0_cm', 'value': {value}, 'error': {error}}}")
    };
    let y0 = "{'name': 'y0_cm', 'value': 0.5, 'error': 0.1}";
    let payload = "'payload': {'x0_cm': 0.25, 'y0_cm': 0.5}";
    let fine = x0("0.25", "0.1");
    let rows = [
        (
            "other payload",
            format!(
                "'n': 9, 'quantities': [{}, {y0}], {payload}",
                x0("0.3", "0.1")
            ),
            "x0_cm = 0.3, and 0.25 in its payload",
        ),
        (
            "no payload",
            format!("'n': 9, 'quantities': [{fine}, {y0}]"),
            "and null in its payload",
        ),
        (
            "no error",
            format!(
                "'n': 9, 'quantities': [{}, {y0}], {payload}",
                x0("0.25", "0")
            ),
            "an error that is none",
        ),
        (
            "negative error",
            format!(
                "'n': 9, 'quantities': [{}, {y0}], {payload}",
                x0("0.25", "-0.1")
            ),
            "an error that is none",
        ),
        (
            "far away",
            format!(
                "'n': 9, 'quantities': [{}, {y0}], {payload}",
                x0("1e12", "0.1")
            ),
            "out of all range",
        ),
        (
            "too many",
            format!("'n': 10**9, 'quantities': [{fine}, {y0}], {payload}"),
            "1000000000 measurements out of",
        ),
        (
            "another",
            format!("'n': 9, 'quantities': [{y0}], {payload}"),
            "quantities [\"y0_cm\"], beamspot has [\"x0_cm\", \"y0_cm\"]",
        ),
        ("nothing", "'n': 9".to_owned(), "0 quantities"),
        (
            "both",
            format!("'n': 9, 'reason': 'none', 'quantities': [{fine}, {y0}], {payload}"),
            "and a reason why there are none",
        ),
    ];
    for (name, answer, expect) in rows {
        let lines = format!("hello(); ask(); say(answer={{'request_id': 1, {answer}}})\nask()");
        let program = bench.written(&name.replace(' ', "_"), &lines);
        let candidates = bench.candidates(&program);
        let spot = candidates.iter().find(|c| c["tag"] == "beamspot").unwrap();
        assert_eq!(spot["applicable"], false, "{name}: {spot}");
        assert!(
            spot["payload"].is_null() && spot["quantities"].is_null(),
            "{name}: {spot}"
        );
        let reason = spot["reason"].as_str().unwrap();
        assert!(
            reason.contains(expect),
            "{name}: {reason:?} lacks {expect:?}"
        );
        let scale = candidates.iter().find(|c| c["tag"] == "scale").unwrap();
        assert_eq!(scale["applicable"], true);
    }
    let lines = "hello(); ask(); say(answer={'request_id': 1, 'n': 3, 'reason': 'dull'})\nask()";
    let honest = bench.candidates(&bench.written("honest", lines));
    let spot = honest.iter().find(|c| c["tag"] == "beamspot").unwrap();
    let expect = json!({"tag": "beamspot", "applicable": true, "n": 3, "quantities": [],
        "reason": "plugin mine: dull"});
    assert_eq!(*spot, expect);
}

#[test]
fn a_plugin_that_the_program_does_not_ask_is_a_mistake_of_the_definition() {
    let mut bench = Bench::new();
    let plugin = |what: &str| {
        json!({"name": "p", "program": ["/bin/true"], what: ["x"],
        "within_s": 1.0})
    };
    let inputs = bench.collected.clone();
    for (program, plugins, expect) in [
        (
            "express",
            json!([plugin("tests")]),
            "this program asks no plugins, plugin p is none",
        ),
        (
            "harvest",
            json!([plugin("tests")]),
            "asks plugins for constants only",
        ),
        (
            "dqm",
            json!([plugin("measures")]),
            "asks plugins for quality tests only",
        ),
        ("dqm", json!("p"), "parameter plugins cannot be read"),
        (
            "dqm",
            json!([{"name": "p", "program": ["x"], "within_s": 0.0}]),
            "it must have some time",
        ),
    ] {
        let more = json!({"parameters": {"plugins": plugins}});
        let (report, _) = bench.chain.report(program, bench.run, &inputs, more);
        assert_eq!(report["exit"]["class"], "program", "{report}");
        let message = report["exit"]["message"].as_str().unwrap();
        assert!(message.contains(expect), "{message}");
    }
}

/// Asks a splitter about inputs of these lumis and sizes.
fn split(program: &Path, inputs: &[(u32, u64)], within_s: u32) -> Result<Vec<Vec<u32>>, String> {
    let input = |(place, (lumi, bytes)): (usize, &(u32, u64))| SplitInput {
        name: FileName::new(&format!("f{place}")),
        first_lumi: LumiNumber(*lumi),
        last_lumi: LumiNumber(*lumi),
        bytes: Bytes(*bytes),
        events: Events(1),
    };
    let question = SplitQuestion {
        key: SplitKey {
            run: RunNumber(7),
            task: TaskPath::new("packs", "pack"),
            asked_at: Moment(0),
        },
        name: "mine".to_owned(),
        program: Vec::new(),
        within: Span::from_secs(i64::from(within_s)),
        parameters: BTreeMap::from([("max_bytes".to_owned(), "100".to_owned())]),
        inputs: inputs.iter().enumerate().map(input).collect(),
    };
    splitter::ask(Command::new(program), &question)
}

#[test]
fn a_splitter_answers_with_groups_or_with_a_reason() {
    let packed = split(
        &example("pack_by_size.py"),
        &[(1, 40), (1, 30), (2, 60), (3, 30), (4, 200)],
        PATIENT_S,
    );
    let expect = vec![vec![4], vec![0, 1, 3], vec![2]];
    assert_eq!(packed, Ok(expect));
    // Its question is longer than any pipe holds.
    let many: Vec<(u32, u64)> = (0..5_000).map(|lumi| (lumi, 60)).collect();
    assert_eq!(
        split(&example("pack_by_size.py"), &many, PATIENT_S).map(|groups| groups.len()),
        Ok(5_000)
    );
    let folder = tempfile::tempdir().unwrap();
    for (name, lines, expect) in [
        (
            "hangs",
            "hello(); ask(); time.sleep(60)",
            "did not answer within 1 s and was ended",
        ),
        (
            "crashes",
            "hello(); ask(); sys.exit(3)",
            "ended with exit code 3 before it answered",
        ),
        (
            "lies",
            "hello(); ask(); say(answer={'request_id': 1, 'groups': [[-1]]}); ask()",
            "answered what cannot be: invalid value: integer `-1`",
        ),
    ] {
        let program = plugin_of(folder.path(), name, lines);
        let did = split(&program, &[(1, 10)], within_s(expect)).expect_err("it has not answered");
        assert!(did.contains(expect), "{name}: {did}");
    }
}
