//! What the command line says when something is asked that is so already, cannot be done, or is
//! written wrongly: the exit code, and words that help at a command line.
//!
//! In: an instance with one run of one file. Out: what its verbs say. Must never find a hint that
//! only an HTTP client can follow.

mod support;

use support::{House, Said, number, text};

/// Files are called `run7_first.dat`; each becomes a job that fails unless `mended` exists.
const FILES: &str = "[pipelines]\nfolder = \"pipelines\"\n\n\
                     [programs]\ncopy = \"copy.sh\"\n\n\
                     [[stream]]\nname = \"drop\"\nfolder = \"spool\"\nlabel = \"simulated\"\n\
                     pattern = \"run{run}_{part}.dat\"\nstream = \"files\"\n";
const COPY: &str = "[pipeline]\nname = \"copy\"\ntrigger = { stream = \"files\" }\n\n\
                    [[task]]\nname = \"copy\"\nprogram = [\"{program:copy}\"]\n\
                    outputs = { OUT = \"txt\" }\n";

/// A house in which run 7 has ended with one failed job.
fn house() -> House {
    let mut house = House::new("asking", FILES);
    house.write("pipelines/copy.toml", COPY);
    let mended = house.path("mended").display().to_string();
    let program = format!("#!/bin/sh\n[ -e '{mended}' ] || exit 7\ncp \"$TIER0_JOB\" OUT.txt\n");
    house.program("copy.sh", &program);
    house.start();
    house.put("run7_first.dat", "data");
    house.until("the file is known", || {
        (house.list(&["file", "ls"]).len() == 1).then_some(())
    });
    let stop = [
        "run",
        "stop",
        "7",
        "--last-lumi",
        "1",
        "--by",
        "a",
        "--reason",
        "b",
    ];
    assert_eq!(house.tier0(&stop).code, 0);
    house.until("run 7 is finished with a failed job", || {
        let run = house.ask(&["run", "show", "7"]);
        let failed = number(&run["counts"], "jobs_failed") == 1;
        (failed && text(&run, "state") == "finished").then_some(())
    });
    house
}

/// Nothing that only an HTTP client can follow.
fn helps(said: &Said, code: i32, parts: &[&str]) {
    said.says(code, parts);
    for part in [
        "application/json",
        "send {",
        "nothing is served",
        "object's state",
    ] {
        assert!(
            !said.err.contains(part),
            "{part:?} helps nobody here: {said:?}"
        );
    }
}

#[test]
fn what_is_asked_is_answered_in_words_of_the_command_line() {
    let house = house();
    let ask = |arguments: &[&str]| house.tier0(arguments);
    // What is so already can be looked at and asked again.
    for verb in ["close", "stop"] {
        let mut line = vec!["run", verb, "7", "--dry-run"];
        if verb == "stop" {
            line.extend(["--last-lumi", "1"]);
        }
        let said = ask(&line);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("nothing: run 7 was already"), "{said:?}");
        assert!(!said.out.contains("expect-count"), "{said:?}");
    }
    helps(
        &ask(&["job", "retry", "--class", "foo"]),
        2,
        &["foo", "transient"],
    );
    helps(
        &ask(&["job", "retry", "--state", "lost"]),
        2,
        &["lost", "failed"],
    );
    helps(
        &ask(&["job", "split", "1", "--into", "thirds"]),
        2,
        &["thirds", "halves"],
    );
    helps(
        &ask(&["run", "close", "7", "--as", "gone"]),
        2,
        &["gone", "lost, empty or here"],
    );
    helps(&ask(&["calib", "hold", "copy"]), 2, &["PIPELINE.TASK"]);
    helps(
        &ask(&["file", "show", "3000"]),
        1,
        &["3000", "`tier0 file ls`"],
    );
    helps(
        &ask(&["job", "show", "3000"]),
        1,
        &["3000", "`tier0 job ls`"],
    );
    helps(
        &ask(&["run", "show", "3000"]),
        1,
        &["3000", "`tier0 run ls`"],
    );
    helps(
        &ask(&["why", "foo"]),
        2,
        &["\"foo\" names no object", "run/402144"],
    );
    helps(
        &ask(&["run", "reopen", "7"]),
        4,
        &["no late file", "tier0 why run/7"],
    );
    // Several jobs that are none.
    let none = ask(&["job", "retry", "--run", "7", "--state", "parked"]);
    assert_eq!(none.code, 0, "{none:?}");
    assert!(!none.err.contains("--expect-count"), "{none:?}");
}

#[test]
fn a_failed_job_of_a_finished_run_is_retried_as_the_messages_say() {
    let house = house();
    let failed = house.list(&["job", "ls", "--state", "failed"]);
    let job = number(&failed[0], "id").to_string();
    let why = house.ask(&["why", &format!("job/{job}")]);
    let remedy = text(&why["waits"][0], "remedy");
    assert!(remedy.contains("job retry"), "{why}");
    house.write("mended", "");
    let retried = house.tier0(&["job", "retry", &job]);
    assert_eq!(retried.code, 0, "what is advised can be done: {retried:?}");
    house.until("the run is finished with it", || {
        let run = house.ask(&["run", "show", "7"]);
        let done = number(&run["counts"], "jobs_done") == 1;
        (done && text(&run, "state") == "finished").then_some(())
    });
}

#[test]
fn tables_can_be_made_before_the_first_start() {
    let house = House::new("fresh", "");
    let checked = house.tier0(&["db", "check"]);
    let migrated = house.tier0(&["db", "migrate"]);
    assert_eq!(migrated.code, 0, "{checked:?} {migrated:?}");
    assert_eq!(house.tier0(&["db", "check"]).code, 0);
}
