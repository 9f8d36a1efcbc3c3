//! Programs that behave as badly as they can: each is judged rightly, with the right words, nothing
//! of it survives, and its neighbours are not touched.

use crate::rig::until_alarm;
use crate::support::{House, files_below, number, text, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Does what the name of its input says.
const BEHAVE: &str = r#"#!/bin/sh
job=$(cat "$TIER0_JOB")
path=$(grep -o '"path":"[^"]*"' "$TIER0_JOB" | head -1 | cut -d'"' -f4)
numbers=$(sed 's/.*"job":\([0-9]*\),"attempt":\([0-9]*\).*/"job":\1,"attempt":\2/' "$TIER0_JOB")
report() { echo "{$numbers,$1,\"exit\":{\"class\":\"ok\"}}" > "$TIER0_REPORT"; }
case $job in
*files-bombs*)
    n=0
    while [ $n -lt 60 ]; do
        n=$((n + 1)); (setsid sh -c 'sleep 987601 & exec sleep 987602' &) &
    done
    exec sleep 987603 ;;
*files-opens*)
    echo out > OUT.txt
    exec python3 -c '
import os
held = []
try:
    while True: held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    raise SystemExit("no more descriptors: %s" % error)' ;;
*files-fills*) exec yes 'the disk is mine' ;;
*files-doubles*) (setsid sh -c 'sleep 987604' &) ; echo out > OUT.txt ;;
*files-ignores*) trap '' TERM INT HUP; while :; do sleep 987605; done ;;
*files-peeks*) cat SECRET && echo "I have it" >&2; exit 9 ;;
*files-scribbles*) echo changed >> "$path"; echo out > OUT.txt ;;
*files-races*) echo out > OUT.txt; (while :; do ln -sf /etc/passwd OUT.txt; done) & report '"outputs":[{"label":"OUT","path":"OUT.txt"}]' ; sleep 0.2 ;;
*files-dumps*) ulimit -c unlimited 2>/dev/null; head -c 4096 /dev/zero > ballast
    kill -ABRT $$; sleep 987606 ;;
*files-bides*) (setsid sh -c 'sleep 2; echo boom > BOOM' > /dev/null 2>&1 &) ; echo out > OUT.txt ;;
*files-swaps*) echo out > OUT.txt; report '"outputs":[{"label":"OUT","path":"OUT.txt"}]'; (setsid sh -c 'sleep 0.5; echo swapped > OUT.txt' &) ;;
*files-forgets*) ;;
*files-empties*) : > OUT.txt ;;
*files-daemons*) setsid sleep 987607 > /dev/null 2>&1 & echo out > OUT.txt ;;
*files-signals*) kill -SEGV $$ ;;
*files-shells*) exit 139 ;;
*files-hangs*) exec sleep 987608 ;;
*files-eats*) exec python3 -c 'bytearray(1 << 33)' ;;
*files-vasts*) echo out > OUT.txt; head -c 20000000 /dev/zero > "$TIER0_REPORT" ;;
*files-babbles*) echo out > OUT.txt; echo '{"outputs": 7' > "$TIER0_REPORT" ;;
*files-lacks*) report '"outputs":[]' ;;
*files-adds*) echo out > OUT.txt; report '"outputs":[{"label":"OUT","path":"OUT.txt"},{"label":"MORE","path":"OUT.txt"}]' ;;
*files-sizes*) echo out > OUT.txt; report '"outputs":[{"label":"OUT","path":"OUT.txt","bytes":5}]' ;;
*files-sums*) echo out > OUT.txt; report '"outputs":[{"label":"OUT","path":"OUT.txt","adler32":"00000001"}]' ;;
*) echo out > OUT.txt ;;
esac
"#;
const PIPELINE: &str = "[pipeline]\nname = \"behave\"\ntrigger = { stream = \"files\" }\n\n\
                        [[task]]\nname = \"work\"\nprogram = [\"{program:behave}\"]\n\
                        outputs = { OUT = \"txt\" }\nretry = { attempts = 1 }\n\
                        needs = { wall = \"4s\", memory = \"100MiB\" }\n";
const CONFIG: &str = "[pipelines]\nfolder = \"pipelines\"\n\n[programs]\nbehave = \"behave.sh\"\n\n\
                      [executor.local]\ncores = 4\n\n\
                      [[stream]]\nname = \"drop\"\nfolder = \"spool\"\nlabel = \"simulated\"\n\
                      run = 900\npattern = \"{stream}-{part}.dat\"\nscan_interval = \"1s\"\n";

/// How it behaves, the class of its end, parts of what is said. Without parts it is done.
type Case = (&'static str, &'static str, &'static [&'static str]);

/// Faults of the table, and the payloads that no system should be hurt by.
const CASES: &[Case] = &[
    (
        "bombs",
        "time",
        &["was ended", "the wall limit of its task is 4.00 s"],
    ),
    (
        "opens",
        "program",
        &["exited with code 1", "Too many open files"],
    ),
    (
        "fills",
        "program",
        &["wrote more than 64.0 MiB", "make it write less"],
    ),
    ("doubles", "ok", &[]),
    (
        "ignores",
        "time",
        &["was ended", "the wall limit of its task is 4.00 s"],
    ),
    ("peeks", "program", &["exited with code 9"]),
    ("scribbles", "ok", &[]),
    ("races", "program", &["names output OUT, which"]),
    ("dumps", "program", &["ended by SIGABRT (signal 6)"]),
    ("bides", "ok", &[]),
    ("swaps", "ok", &[]),
    (
        "forgets",
        "program",
        &["exited with code 0 but output OUT does not exist"],
    ),
    (
        "empties",
        "program",
        &["exited with code 0 but output OUT is empty"],
    ),
    ("daemons", "ok", &[]),
    ("signals", "program", &["ended by SIGSEGV (signal 11)"]),
    ("shells", "program", &["ended by SIGSEGV (signal 11)"]),
    (
        "hangs",
        "time",
        &["was ended", "the wall limit of its task is 4.00 s"],
    ),
    ("eats", "memory", &["ran out of memory", "100.0 MiB"]),
    (
        "vasts",
        "program",
        &["its report cannot be used", "longer than 16.0 MiB"],
    ),
    (
        "babbles",
        "program",
        &["its report is not what the contract says"],
    ),
    ("lacks", "program", &["lacks the output OUT of its task"]),
    (
        "adds",
        "program",
        &["names output MORE, which its task has not"],
    ),
    ("sizes", "program", &["has 4 bytes, its report says 5"]),
    ("sums", "program", &["its report says 00000001"]),
];

/// Jobs by how they behave.
fn by_behaviour(house: &House) -> BTreeMap<String, Value> {
    let files = house.list(&["file", "ls", "--limit", "1000"]);
    let name = |file: &Value| (number(file, "id"), text(file, "name").to_owned());
    let names: BTreeMap<u64, String> = files.iter().map(name).collect();
    let jobs = house.list(&["job", "ls", "--limit", "1000"]);
    let behaviour = |job: &Value| {
        let name = &names[&number(&job["inputs"][0], "id")];
        name.trim_start_matches("files-")
            .trim_end_matches(".dat")
            .to_owned()
    };
    jobs.into_iter().map(|job| (behaviour(&job), job)).collect()
}

/// Plays cases beside good neighbours; hands over the house when all have ended.
fn play(name: &str, cases: &[&str]) -> House {
    let mut house = House::new(name, CONFIG);
    house.write("pipelines/behave.toml", PIPELINE);
    let secret = house.write("secret", "open sesame");
    let secret = secret.display().to_string();
    let boom = house.path("boom").display().to_string();
    let program = BEHAVE.replace("SECRET", &secret).replace("BOOM", &boom);
    house.program("behave.sh", &program);
    house.start();
    for (n, case) in cases.iter().enumerate() {
        house.put(&format!("files-{case}.dat"), *case);
        house.put(&format!("files-good{n}.dat"), "good");
    }
    let all = 2 * cases.len();
    house.until("all have ended", || {
        let jobs = house.list(&["job", "ls", "--limit", "1000"]);
        let ended = |job: &&Value| matches!(text(job, "state"), "done" | "failed");
        (jobs.iter().filter(ended).count() == all).then_some(())
    });
    house
}

/// Checks what became of cases and of their neighbours, and that nothing of them is left.
fn check(house: &House, cases: &[&str]) {
    let by_case = by_behaviour(house);
    let alarms = house.list(&["alarm", "ls"]);
    for case in cases {
        let (_, class, parts) = CASES
            .iter()
            .find(|(name, ..)| name == case)
            .expect("it is listed");
        let job = &by_case[*case];
        if parts.is_empty() {
            assert_eq!(text(job, "state"), "done", "{case}: {job}");
            continue;
        }
        assert_eq!(text(job, "exit_class"), *class, "{case}: {job}");
        let said = text(job, "last_error");
        for part in *parts {
            assert!(said.contains(part), "{case}: lacks {part:?}: {said}");
        }
        let key = format!("job-failed/{}", number(job, "id"));
        let told = alarms.iter().any(|alarm| text(alarm, "key") == key);
        assert!(told, "{case}: no alarm {key}: {alarms:?}");
    }
    for n in 0..cases.len() {
        let job = &by_case[&format!("good{n}")];
        assert_eq!(text(job, "state"), "done", "a neighbour was hurt: {job}");
    }
    let left = house.processes();
    let left: Vec<_> = left
        .iter()
        .filter(|(_, line)| line.contains("sleep 9876"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let stored = files_below(&house.path("state/storage"));
    let stored = stored
        .iter()
        .map(|name| house.path("state/storage").join(name));
    for path in stored {
        let content = fs::read_to_string(&path).expect("outputs are text");
        assert_eq!(content, "out\n", "{}", path.display());
    }
}

fn all_of(name: &str, cases: &[&str]) {
    let mut house = play(name, cases);
    check(&house, cases);
    house.stop();
}

#[test]
fn f34_reports_that_are_wrong_fail_their_attempt_with_the_reason() {
    all_of(
        "reports",
        &["vasts", "babbles", "lacks", "adds", "sizes", "sums"],
    );
}

#[test]
fn f37_f38_programs_that_hang_or_eat_memory_are_ended_and_told_apart() {
    all_of("hangs", &["hangs", "eats"]);
}

#[test]
fn f39_daemons_double_forks_and_bombs_are_gone_with_their_program() {
    let cases = ["bombs", "doubles", "daemons", "bides"];
    let mut house = play("forks", &cases);
    check(&house, &cases);
    // What would have gone off two seconds later does not.
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert!(!house.path("boom").exists());
    house.stop();
}

#[test]
fn f40_programs_that_write_or_open_without_end_are_bounded() {
    all_of("fills", &["fills", "opens"]);
}

/// Nothing keeps a program of the same user from its input: what it does to it is found and told.
#[test]
fn f41_what_a_program_does_to_its_input_is_told_and_no_secret_is_in_its_environment() {
    let mut house = play("outside", &["scribbles", "peeks"]);
    let key = "name-conflict/drop/files-scribbles.dat";
    until_alarm(
        &house,
        key,
        &["was seen again with other content", "The first stays valid"],
    );
    let job = house.list(&["job", "ls", "--state", "failed"]);
    let kept = house.path("state/work/failed");
    for file in files_below(&kept)
        .iter()
        .filter(|file| file.ends_with("job.json"))
    {
        let told = fs::read_to_string(kept.join(file)).expect("it is text");
        assert!(!told.contains("sesame"), "{told}");
    }
    assert_eq!(job.len(), 1);
    house.stop();
}

#[test]
fn f42_success_without_output_or_with_another_than_reported_is_none() {
    all_of("outputs", &["forgets", "empties", "races", "swaps"]);
}

#[test]
fn f43_ends_by_signal_are_named_and_no_core_is_written() {
    let cases = ["ignores", "signals", "shells", "dumps"];
    let mut house = play("signals", &cases);
    check(&house, &cases);
    let work = house.path("state/work");
    until(
        "folders of failed attempts are put away",
        crate::support::PATIENCE,
        || (fs::read_dir(work.join("failed")).ok()?.count() >= cases.len()).then_some(()),
    );
    let is_core = |name: &String| {
        Path::new(name)
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("core"))
    };
    let cores: Vec<String> = files_below(&work).into_iter().filter(is_core).collect();
    assert!(cores.is_empty(), "{cores:?}");
    house.stop();
}
