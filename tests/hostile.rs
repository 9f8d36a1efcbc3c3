//! Bad input through the real program: what lies in a spool, what definitions say, what programs
//! do. Each gets a clear sentence that says what to do, the item is set aside or its job fails, and
//! everything else goes on. The sentences are part of the test.

mod support;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use support::{House, number, text};

/// A program that copies what it was told, on stream `A` of a detector and on files of any name.
const CONFIG: &str = "[pipelines]\nfolder = \"pipelines\"\n\n\
                      [programs]\ncopy = \"copy.sh\"\nbehave = \"behave.sh\"\n\
                      vanishing = \"vanishing.sh\"\n\n\
                      [executor.local]\ncores = 4\n\n\
                      [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"cms\"\n\
                      label = \"simulated\"\nscan_interval = \"1s\"\n\n\
                      [[stream]]\nname = \"drop\"\nfolder = \"drop\"\nlabel = \"simulated\"\n\
                      run = 900\npattern = \"{stream}-{part}.dat\"\n";
const COPY: &str = "#!/bin/sh\ncp \"$TIER0_JOB\" OUT.txt\n";
/// Does what the name of its input says.
const BEHAVE: &str = r#"#!/bin/sh
report() {
    numbers=$(sed 's/.*"job":\([0-9]*\),"attempt":\([0-9]*\).*/"job":\1,"attempt":\2/' "$TIER0_JOB")
    echo "{$numbers,\"outputs\":[{\"label\":\"OUT\",\"path\":\"$1\"}],\"exit\":{\"class\":\"ok\"}}" \
        > "$TIER0_REPORT"
}
case $(cat "$TIER0_JOB") in
*files-hang*) exec sleep 987651 ;;
*files-forks*) setsid sleep 987652 & echo out > OUT.txt ;;
*files-fills*) exec yes 'the disk is mine' ;;
*files-invents*) report OUT.txt ;;
*files-escapes*) report ../../../../etc/passwd ;;
*files-babbles*) echo out > OUT.txt; echo '{"outputs": 7' > "$TIER0_REPORT" ;;
*files-forgets*) ;;
*files-crashes*) echo 'I do not like this event' >&2; exit 7 ;;
*files-links*) ln -s /etc/passwd OUT.txt ;;
*) echo out > OUT.txt ;;
esac
"#;

/// One pipeline of one task, which has one attempt and two seconds.
fn pipeline(name: &str, stream: &str, program: &str) -> String {
    format!(
        "[pipeline]\nname = \"{name}\"\ntrigger = {{ stream = \"{stream}\" }}\n\n\
         [[task]]\nname = \"work\"\nprogram = [\"{{program:{program}}}\"]\n\
         outputs = {{ OUT = \"txt\" }}\nretry = {{ attempts = 1 }}\n\
         needs = {{ wall = \"2s\" }}\n"
    )
}

fn house(name: &str) -> House {
    let house = House::new(name, CONFIG);
    fs::create_dir(house.path("drop")).expect("the folder is ours");
    for (stream, program) in [("A", "copy"), ("files", "behave"), ("lost", "vanishing")] {
        let text = pipeline(program, stream, program);
        house.write(&format!("pipelines/{program}.toml"), text);
    }
    house.program("copy.sh", COPY);
    house.program("behave.sh", BEHAVE);
    house.program("vanishing.sh", COPY);
    house
}

fn record(values: &[&str]) -> String {
    json!({ "data": values }).to_string()
}

fn sidecar(file: &str, events: &str, bytes: &str) -> String {
    record(&[events, events, "0", "0", file, bytes, "", "-1", "", "DAT"])
}

fn stem(lumi: u32) -> String {
    format!("run000007_ls{lumi:04}_streamA_p1")
}

/// A data file with its sidecar, in the order of a data acquisition.
fn put(house: &House, lumi: u32, content: &str) {
    let (data, mark) = (format!("{}.dat", stem(lumi)), format!("{}.jsn", stem(lumi)));
    house.put(&data, content);
    house.put(&mark, sidecar(&data, "5", &content.len().to_string()));
}

/// What is said of what was set aside, by name and reason.
type Said = BTreeMap<(String, String), String>;

/// What was set aside.
fn set_aside(house: &House) -> Said {
    let rows = house.list(&["file", "set-aside"]);
    let said = rows.iter().map(|row| {
        let key = (
            text(row, "name").to_owned(),
            text(row, "refusal").to_owned(),
        );
        (key, text(row, "detail").to_owned())
    });
    said.collect()
}

/// Lays everything bad into the spool; what is said of each: name, reason, parts of the sentence.
fn spoil(house: &House) -> Vec<(String, &'static str, Vec<&'static str>)> {
    let spool = house.path("spool");
    let mut expect: Vec<(String, &'static str, Vec<&'static str>)> = Vec::new();
    let mut expects = |name: &str, reason: &'static str, parts: &[&'static str]| {
        expect.push((name.to_owned(), reason, parts.to_vec()));
    };
    fs::write(spool.join(OsStr::from_bytes(b"run\xff\xfe.dat")), "x").expect("ours");
    let escaped = "run\\xff\\xfe.dat";
    expects(
        escaped,
        "name-unreadable",
        &["no printable text", "rename the entry or remove it"],
    );

    let vast = format!("{}.jsn", stem(1));
    let file = fs::File::create(spool.join(&vast)).expect("ours");
    file.set_len(1 << 30).expect("a hole costs nothing");
    expects(
        &vast,
        "record-too-large",
        &["it has 1.0 GiB", "at most 1.0 MiB", "write it anew"],
    );

    let negative = format!("{}.jsn", stem(2));
    house.put(&negative, sidecar(&format!("{}.dat", stem(2)), "-5", "7"));
    let parts = [
        "Processed is -5, and a count cannot be negative",
        "write it anew",
    ];
    expects(&negative, "record-unreadable", &parts);

    let long = "run12345678901234567890_ls0001_streamA_p1.dat";
    house.put(long, "x");
    let parts = [
        "run 12345678901234567890 is not between 0 and 4294967295",
        "rename the file",
    ];
    expects(long, "number-out-of-range", &parts);
    let many = format!("{}.jsn", stem(3));
    let (file, events) = (format!("{}.dat", stem(3)), "99999999999999999999");
    house.put(&many, sidecar(&file, events, "7"));
    expects(
        &many,
        "number-out-of-range",
        &["99999999999999999999, more than the"],
    );

    let linked = format!("{}.dat", stem(4));
    std::os::unix::fs::symlink("/etc/passwd", spool.join(&linked)).expect("ours");
    house.put(&format!("{}.jsn", stem(4)), sidecar(&linked, "5", "7"));
    expects(
        &linked,
        "not-a-plain-file",
        &["symbolic link", "put the file itself there"],
    );

    let fifo = format!("{}.dat", stem(5));
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, spool.join(&fifo), FileType::Fifo, mode, 0).expect("ours");
    house.put(&format!("{}.jsn", stem(5)), sidecar(&fifo, "5", "7"));
    expects(
        &fifo,
        "not-a-plain-file",
        &["it is a fifo", "put the file itself there"],
    );

    let other = format!("{}.dat", stem(6));
    house.put(&other, "much longer than its sidecar says");
    house.put(&format!("{}.jsn", stem(6)), sidecar(&other, "5", "7"));
    let parts = [
        "the file has 33 bytes, the sidecar says 7",
        "send the file again",
    ];
    expects(&other, "size-differs", &parts);
    expect
}

#[test]
fn f06_f09_f11_whatever_lies_in_a_spool_is_set_aside_and_the_line_goes_on() {
    let mut house = house("spool");
    house.start();
    put(&house, 100, "a good file before");
    let mut expect = spoil(&house);
    put(&house, 101, "a good file between");
    house.until("good files are accepted", || {
        (house.list(&["file", "ls"]).len() == 2).then_some(())
    });

    // After it was accepted one file grows, and one comes again with other content.
    let (grown, again) = (format!("{}.dat", stem(100)), format!("{}.dat", stem(101)));
    house.write(&format!("spool/{grown}"), "a good file before, and more");
    put(&house, 101, "the same name, another content");
    for (name, found) in [(&grown, "(28 bytes"), (&again, "(30 bytes")] {
        let parts = [
            "was seen again with other content",
            found,
            "The first stays valid",
            "a corrected file needs a new name",
        ];
        expect.push((name.clone(), "name-conflict", parts.to_vec()));
    }
    put(&house, 102, "a good file after");

    let said = house.until("all of it is set aside", || {
        let said = set_aside(&house);
        let settled = expect
            .iter()
            .all(|(name, reason, _)| said.contains_key(&(name.clone(), (*reason).to_owned())));
        settled.then_some(said)
    });
    for (name, reason, parts) in &expect {
        let detail = &said[&(name.clone(), (*reason).to_owned())];
        for part in parts {
            assert!(detail.contains(part), "{name}: lacks {part:?}: {detail}");
        }
    }
    assert_eq!(said.len(), expect.len(), "not expected: {said:?}");

    let done = house.until("three good files are worked on", || {
        let done = house.list(&["job", "ls", "--state", "done"]);
        (done.len() == 3).then_some(done)
    });
    assert!(done.iter().all(|job| number(job, "run") == 7));
    let files = house.list(&["file", "ls"]);
    let mut names: Vec<&str> = files.iter().map(|file| text(file, "name")).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [100, 101, 102].map(|lumi| format!("{}.dat", stem(lumi)))
    );
    let first = files.iter().find(|file| text(file, "name") == again);
    assert_eq!(
        first.map(|file| number(file, "bytes")),
        Some(19),
        "the first stays valid"
    );
    let alarms = house.list(&["alarm", "ls"]);
    let conflict = format!("name-conflict/daq/{again}");
    assert!(
        alarms.iter().any(|alarm| text(alarm, "key") == conflict),
        "{alarms:?}"
    );

    // People see it, too; a script learns from the exit code.
    let table = house.tier0(&["file", "set-aside"]);
    assert!(
        table.code == 1 && table.out.contains("not-a-plain-file"),
        "{table:?}"
    );

    // Nothing is lost or added by another start, which sees everything for the first time: what has
    // grown is then compared with its sidecar, not with what was accepted.
    let names = |said: &Said| {
        said.keys()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    let (before, alarms_before) = (names(&set_aside(&house)), alarms.len());
    house.stop();
    house.start();
    put(&house, 103, "a good file after all");
    house.until("the last one is worked on", || {
        let done = house.list(&["job", "ls", "--state", "done"]);
        (done.len() == 4).then_some(())
    });
    assert_eq!(names(&set_aside(&house)), before);
    assert_eq!(house.list(&["alarm", "ls"]).len(), alarms_before);
    house.stop();
}

#[test]
fn f34_f37_f40_f42_programs_that_misbehave_fail_their_job_and_nothing_else() {
    let mut house = house("programs");
    house.start();
    fs::remove_file(house.path("vanishing.sh")).expect("it was there");
    // How it behaves, the class of its end, parts of what is said.
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "hang",
            "time",
            &["was ended", "the wall limit of its task is 2.00 s"],
        ),
        (
            "fills",
            "program",
            &["wrote more than 64.0 MiB", "make it write less"],
        ),
        (
            "invents",
            "program",
            &["its report names output OUT, which does not exist"],
        ),
        ("escapes", "program", &["outside the attempt's folder"]),
        (
            "babbles",
            "program",
            &["its report is not what the contract says"],
        ),
        (
            "forgets",
            "program",
            &["it exited with code 0 but output OUT does not exist"],
        ),
        (
            "crashes",
            "program",
            &["exited with code 7", "I do not like this event"],
        ),
        (
            "links",
            "program",
            &["a symbolic link; write it into the folder"],
        ),
        (
            "gone",
            "program",
            &["vanishing.sh", "does not exist", "install it there"],
        ),
    ];
    let put = |name: &str| {
        let path = house.path("drop").join(format!("{name}.tmp"));
        fs::write(&path, name).expect("ours");
        fs::rename(&path, path.with_extension("dat")).expect("ours");
    };
    for (name, ..) in cases {
        let stream = if *name == "gone" { "lost" } else { "files" };
        put(&format!("{stream}-{name}"));
    }
    put("files-forks");
    put("files-good");

    let failed = house.until("all of them have failed", || {
        let failed = house.list(&["job", "ls", "--state", "failed"]);
        (failed.len() == cases.len()).then_some(failed)
    });
    let files: BTreeMap<u64, String> = house
        .list(&["file", "ls"])
        .iter()
        .map(|file| (number(file, "id"), text(file, "name").to_owned()))
        .collect();
    let name_of = |job: &Value| -> String {
        let name = &files[&number(&job["inputs"][0], "id")];
        let (_, rest) = name.split_once('-').expect("as they were named");
        rest.trim_end_matches(".dat").to_owned()
    };
    let by_name: BTreeMap<String, &Value> = failed.iter().map(|j| (name_of(j), j)).collect();
    let alarms = house.list(&["alarm", "ls"]);
    for (name, class, parts) in cases {
        let job = by_name[*name];
        let said = text(job, "last_error");
        for part in *parts {
            assert!(said.contains(part), "{name}: lacks {part:?}: {said}");
        }
        assert_eq!(text(job, "exit_class"), *class, "{name}");
        let key = format!("job-failed/{}", number(job, "id"));
        let alarm = alarms.iter().find(|alarm| text(alarm, "key") == key);
        let alarm = text(alarm.unwrap_or_else(|| panic!("{name}: no alarm")), "text");
        assert!(
            alarm.contains(parts[0]) && alarm.contains("job retry"),
            "{alarm}"
        );
        let log = house.tier0(&["job", "log", &number(job, "id").to_string()]);
        assert!(log.out.contains(parts[0]), "{log:?}");
    }
    // The others are not touched, and the daemon did not outlive its attempt.
    let done = house.until("the others are done", || {
        let done = house.list(&["job", "ls", "--state", "done"]);
        (done.len() == 2).then_some(done)
    });
    let mut names: Vec<String> = done.iter().map(name_of).collect();
    names.sort();
    assert_eq!(names, ["forks", "good"]);
    let sleeping: Vec<_> = house
        .processes()
        .into_iter()
        .filter(|(_, line)| line.contains("sleep 98765"))
        .collect();
    assert!(sleeping.is_empty(), "{sleeping:?}");

    // Mended and asked for again, the job is done.
    house.program("vanishing.sh", COPY);
    let id = number(by_name["gone"], "id").to_string();
    house.tier0(&["job", "retry", &id]).says(0, &[]);
    house.until("the mended job is done", || {
        let job = house.ask(&["job", "show", &id]);
        (text(&job, "state") == "done").then_some(())
    });
    put("files-after");
    house.until("a good file still goes through", || {
        let done = house.list(&["job", "ls", "--state", "done"]);
        (done.len() == 4).then_some(())
    });
    let stored = support::files_below(&house.path("state/storage"));
    assert_eq!(stored.len(), 4, "only good outputs are stored: {stored:?}");
    house.stop();
}

#[test]
fn definitions_that_cannot_work_start_nothing() {
    let circle = "[pipeline]\nname = \"round\"\ntrigger = { stream = \"A\" }\n\n\
                  [[task]]\nname = \"one\"\ninput = \"two.OUT\"\nprogram = [\"{program:copy}\"]\n\
                  outputs = { IN = \"txt\" }\n\n\
                  [[task]]\nname = \"two\"\ninput = \"one.IN\"\nprogram = [\"{program:copy}\"]\n\
                  outputs = { OUT = \"txt\" }\n";
    let missing = pipeline("copy", "A", "copy").replace("{program:copy}", "/nowhere/reco");
    let unnamed = pipeline("copy", "A", "cpoy");
    let broken = "[pipeline\nname = \"copy\"\n";
    let check = |file: &str, content: &str, parts: &[&str]| {
        let house = house("definitions");
        house.write(&format!("pipelines/{file}"), content);
        for verb in ["check", "serve"] {
            let said = house.tier0(&[verb]);
            said.says(2, parts);
            assert!(said.err.contains("= hint: "), "{}", said.err);
        }
        assert!(!house.path("state").exists(), "nothing was made");
    };
    let parts = [
        "tasks wait for each other: one -> two -> one",
        "round.toml:7:9",
    ];
    let caret = [
        "7 | input = \"two.OUT\"",
        "|         ^^^^^^^^^",
        "read \"trigger\"",
    ];
    check("round.toml", circle, &[&parts[..], &caret[..]].concat());
    let parts = [
        "error[C006]",
        "copy.toml:7:",
        "/nowhere/reco",
        "^^^",
        "name an executable file",
    ];
    check("copy.toml", &missing, &parts);
    let parts = [
        "no program is called \"cpoy\"",
        "copy.toml:7:",
        "did you mean \"copy\"?",
    ];
    check("copy.toml", &unnamed, &parts);
    check(
        "copy.toml",
        broken,
        &["this is not TOML", "copy.toml:1:", "^"],
    );
}
