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
    helps(
        &ask(&["calib", "hold", "copy"]),
        4,
        &["no tag is called copy", "PIPELINE.TASK"],
    );
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

/// A put of a file of this content.
fn put(house: &House, content: &str, rest: &[&str]) -> Said {
    let file = house.write("constant.json", content);
    let file = file.to_str().expect("temporary folders have plain names");
    house.tier0(&[&["calib", "put", rest[0], file], &rest[1..]].concat())
}

#[test]
fn a_constant_is_put_once_and_the_past_stays() {
    let mut house = house();
    let since = |run: &'static str| ["survey", "--since", run, "--by", "a"];
    let first = "{\"x_cm\": 1}";
    helps(
        &put(&house, first, &since("5")),
        4,
        &[
            "no tag is called survey",
            "synchronisation",
            "tier0 calib tags",
        ],
    );
    let make = ["--synchronisation", "prompt", "--description", "by hand"];
    let made = |run| [&since(run)[..], &make[..]].concat();
    helps(
        &put(&house, "{\"x_cm\": NaN}", &made("5")),
        4,
        &["survey", "NaN in line 1", "measure it again"],
    );
    // Run 7 has started, and no task says that it waits for the tag.
    let dry = [&made("5")[..], &["--dry-run"]].concat();
    let said = put(&house, first, &dry);
    assert!(
        said.out.contains("holds since run 8 (moved from run 5"),
        "{said:?}"
    );
    assert_eq!(house.list(&["calib", "tags"]).len(), 0, "it was only asked");
    let said = put(&house, first, &[&made("5")[..], &["--json"]].concat());
    let reply: serde_json::Value = serde_json::from_str(&said.out).expect("a document");
    assert_eq!(number(&reply, "since_given"), 5, "{reply}");
    assert_eq!(number(&reply, "since"), 8, "{reply}");
    assert_eq!(reply["is_new"], true, "{reply}");
    for run in ["5", "8"] {
        let said = put(&house, first, &since(run));
        assert!(
            said.out.contains("was already in force since run 8"),
            "{said:?}"
        );
    }
    let iovs = house.list(&["calib", "iovs", "survey"]);
    assert_eq!(iovs.len(), 1, "the same twice is one row: {iovs:?}");
    let then = text(&iovs[0], "inserted_at").to_owned();
    assert_eq!(text(&iovs[0], "hash"), text(&reply, "hash"));
    let got = house.tier0(&["calib", "get", text(&reply, "hash")]);
    assert_eq!(got.out, first, "as programs read it");
    // A correction is a row of its own, and what was in force stays known.
    helps(
        &put(&house, "{\"y_cm\": 2}", &since("8")),
        4,
        &["has no \"x_cm\"", "a tag of its own"],
    );
    assert_eq!(put(&house, "{\"x_cm\": 2}", &since("8")).code, 0);
    house.stop();
    house.start();
    let in_force = |more: &[&str]| {
        let line = [&["calib", "iovs", "survey", "--run", "9"], more].concat();
        let iovs = house.list(&line);
        text(&iovs[0], "hash").to_owned()
    };
    assert_ne!(in_force(&[]), text(&reply, "hash"));
    assert_eq!(in_force(&["--as-of", &then]), text(&reply, "hash"));
    helps(
        &house.tier0(&["calib", "iovs", "--as-of", "yesterday"]),
        2,
        &["\"yesterday\" is no moment", "2026-11-27T19:48:13Z"],
    );
    let tags = house.list(&["calib", "tags"]);
    assert_eq!(text(&tags[0], "synchronisation"), "prompt");
    let acts = house.list(&["audit", "ls"]);
    let puts: Vec<&str> = acts
        .iter()
        .filter(|act| text(act, "verb") == "calib put")
        .map(|act| text(act, "object"))
        .collect();
    assert_eq!(puts, ["tag/survey"; 2], "what changed nothing is no act");
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

/// An answer on stdout.
fn shows(said: &Said, code: i32, parts: &[&str]) {
    assert_eq!(said.code, code, "{said:?}");
    for part in parts {
        assert!(said.out.contains(part), "lacks {part:?}: {said:?}");
    }
}

/// What one instance has, another takes in as it is, once; and what is here is not changed by it.
#[test]
fn conditions_are_carried_to_another_instance() {
    let mut house = house();
    let payload = |text: &str| {
        house.write("constant.json", text);
        house.path("constant.json").display().to_string()
    };
    let put = |tag: &str, since: &str, text: &str| {
        let file = payload(text);
        let line = ["calib", "put", tag, &file, "--since", since];
        let made = ["--synchronisation", "any", "--by", "a", "--reason", "b"];
        house.tier0(&[&line[..], &made[..]].concat())
    };
    assert_eq!(put("survey", "5", "{\"x_cm\": 1}").code, 0);
    assert_eq!(put("survey", "9", "{\"x_cm\": 2}").code, 0);
    assert_eq!(put("survey_v2", "5", "{\"x_cm\": 1}").code, 0);
    let differ = house.tier0(&["calib", "diff", "survey", "survey_v2"]);
    shows(&differ, 1, &["survey", "survey_v2", "9"]);
    let same = ["calib", "diff", "survey", "survey_v2", "--to", "8"];
    shows(&house.tier0(&same), 0, &["no difference"]);
    let global = [
        "calib",
        "global",
        "G1",
        "Survey=survey",
        "Survey:second=survey_v2",
    ];
    assert_eq!(house.tier0(&global).code, 0);
    let other = ["calib", "global", "G1", "Survey=survey_v2"];
    helps(
        &house.tier0(&other),
        4,
        &["G1 is known with other contents"],
    );
    let nobody = ["calib", "global", "G2", "Survey=nobody"];
    helps(&house.tier0(&nobody), 4, &["no tag is called nobody"]);
    assert_eq!(house.list(&["calib", "tags", "--global"]).len(), 1);
    // A protected tag takes nothing new, also after a restart.
    assert_eq!(house.tier0(&["calib", "protect", "survey"]).code, 0);
    house.stop();
    house.start();
    let payload = |text: &str| {
        house.write("constant.json", text);
        house.path("constant.json").display().to_string()
    };
    let file = payload("{\"x_cm\": 3}");
    let line = ["calib", "put", "survey", &file, "--since", "12"];
    helps(&house.tier0(&line), 4, &["survey", "protected"]);
    let export = house.path("conditions.json").display().to_string();
    assert_eq!(house.tier0(&["calib", "export", &export]).code, 0);
    let exported = std::fs::read_to_string(&export).expect("it was written");
    let again = house.tier0(&["calib", "import", &export]);
    shows(&again, 0, &["0 tags, 0 intervals", "nothing was changed"]);

    let mut other = House::new("asking-other", FILES);
    other.write("pipelines/copy.toml", COPY);
    other.program("copy.sh", "#!/bin/sh\ncp \"$TIER0_JOB\" OUT.txt\n");
    other.start();
    let dry = other.tier0(&["calib", "import", &export, "--dry-run"]);
    shows(&dry, 0, &["2 tags, 3 intervals, 2 payloads, 1 global tags"]);
    assert_eq!(other.list(&["calib", "tags"]).len(), 0, "it was only asked");
    assert_eq!(other.tier0(&["calib", "import", &export]).code, 0);
    other.stop();
    other.start();
    assert_eq!(other.tier0(&["calib", "export"]).out, exported);
    let spoilt = exported.replace("x_cm", "y_cm");
    other.write("spoilt.json", &spoilt);
    let spoilt = other.path("spoilt.json").display().to_string();
    let refused = other.tier0(&["calib", "import", &spoilt]);
    helps(&refused, 2, &["changed on its way"]);
    let mut more: serde_json::Value = serde_json::from_str(&exported).expect("a document");
    more["iovs"][0]["since"] = 3.into();
    other.write("more.json", more.to_string());
    let more = other.path("more.json").display().to_string();
    let refused = other.tier0(&["calib", "import", &more]);
    helps(&refused, 4, &["survey has intervals of its own here"]);
    assert_eq!(other.tier0(&["calib", "export"]).out, exported);
}
