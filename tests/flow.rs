//! A file in, a dataset out, with the real program: arrival, automatic start, types of runs,
//! workers ahead, idleness, ends and restarts.
//!
//! In: files in a spool, commands. Out: what the instance then says of runs, jobs and datasets.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use support::{House, PATIENCE, items, number, say, text, tier0};

/// One task for each file of stream `files`: it notes its start and copies what it was told.
const COPY: &str = "[pipeline]\nname = \"copy\"\ntrigger = { stream = \"files\" }\n\
                    processing = \"Copy-v1\"\n\n\
                    [[task]]\nname = \"copy\"\nprogram = [\"{program:copy}\"]\n\
                    outputs = { OUT = \"txt\" }\n";
/// Files are called `run7_first.dat` and renamed into the folder.
const FILES: &str = "[pipelines]\nfolder = \"pipelines\"\n\n\
                     [programs]\ncopy = \"copy.sh\"\n\n\
                     [[stream]]\nname = \"drop\"\nfolder = \"spool\"\nlabel = \"simulated\"\n\
                     pattern = \"run{run}_{part}.dat\"\nstream = \"files\"\n";
/// The pipelines that come with the program, on simulated data.
const DAQ: &str = "[executor.local]\ncores = 2\n\n\
                   [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"cms\"\n\
                   label = \"simulated\"\n";

/// A house of the one-task pipeline; its program waits so many seconds.
fn copy_house(name: &str, wait_s: u32) -> House {
    let house = House::new(name, FILES);
    house.write("pipelines/copy.toml", COPY);
    let starts = house.path("starts").display().to_string();
    let program = format!(
        "#!/bin/sh\n\
         name=$(sed 's/.*\"lfn\":\"\\([^\"]*\\)\".*/\\1/' \"$TIER0_JOB\")\n\
         echo \"$name\" >> '{starts}'\n\
         sleep {wait_s}\n\
         cp \"$TIER0_JOB\" OUT.txt\n"
    );
    house.program("copy.sh", &program);
    house
}

/// How often the program was started for each file.
fn starts(house: &House) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let text = fs::read_to_string(house.path("starts")).unwrap_or_default();
    for line in text.lines() {
        *counts.entry(line.to_owned()).or_insert(0) += 1;
    }
    counts
}

fn jobs_in(house: &House, state: &str) -> usize {
    house.list(&["job", "ls", "--state", state]).len()
}

fn until_done(house: &House, jobs: usize) {
    house.until("so many jobs are done", || {
        assert_eq!(jobs_in(house, "failed"), 0, "{}", house.state_of_all());
        (jobs_in(house, "done") == jobs).then_some(())
    });
}

/// Runs of the simulated data.
const RUNS: [u32; 3] = [900_001, 900_002, 900_003];

/// Simulated data of three runs.
fn simulate(house: &House) -> String {
    let data = house.path("sim.csv").display().to_string();
    let truth = house.path("truth.json").display().to_string();
    let mc = [
        "program", "mc", "--out", &data, "--truth", &truth, "--runs", "3",
    ];
    let made = tier0(&mc);
    assert_eq!(made.code, 0, "{made:?}");
    data
}

/// Plays one run of a data set of three.
fn play(house: &House, data: &str, runs: [u32; 3], run: u32, run_type: &str) {
    let spool = house.path("spool").display().to_string();
    let mut inject = vec!["inject", "--data", data, "--spool", &spool];
    inject.extend(["--run-type", run_type]);
    let others = runs.into_iter().filter(|other| *other != run);
    let others: Vec<String> = others.map(|other| other.to_string()).collect();
    for other in &others {
        inject.extend(["--drop-run", other]);
    }
    let said = tier0(&inject);
    assert_eq!(said.code, 0, "{said:?}");
}

fn is_sidecar(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|ending| ending == "jsn")
}

fn workers(house: &House) -> usize {
    let all = house.processes();
    all.iter()
        .filter(|(_, line)| line.contains(" program "))
        .count()
}

/// Sends a POST and gives the status and the document.
fn post(house: &House, path: &str, body: &Value) -> (u16, Value) {
    let address = fs::read_to_string(house.path("state/api.addr")).expect("it says where it is");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut answer = agent
        .post(format!("http://{}/api/v1/{path}", address.trim()))
        .header("content-type", "application/json")
        .send(body.to_string())
        .expect("the instance answers");
    let text = answer.body_mut().read_to_string().expect("a text");
    let document = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    (answer.status().as_u16(), document)
}

#[test]
fn each_renamed_file_starts_its_program_once_and_is_published() {
    let mut house = copy_house("files", 0);
    // Before the start, while it runs, and one that says nothing new.
    house.put("run7_early.dat", "early");
    house.start();
    for index in 0..20 {
        house.put(&format!("run7_{index}.dat"), format!("content {index}"));
    }
    until_done(&house, 21);
    house.put("run7_3.dat", "content 3");
    house.write("spool/run7_growing.dat.tmp", "not to be looked at");
    house
        .tier0(&["run", "stop", "7", "--last-lumi", "1"])
        .says(0, &[]);
    house.until_finished(1, PATIENCE);

    let counts = starts(&house);
    assert_eq!(counts.len(), 21, "{counts:?}");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    let run = house.ask(&["run", "show", "7"]);
    assert_eq!(text(&run, "started_by"), "first-file");
    assert_eq!(text(&run, "run_type"), "physics");
    let datasets = house.list(&["dataset", "ls"]);
    assert_eq!(datasets.len(), 1, "{datasets:?}");
    let name = text(&datasets[0], "dataset");
    assert_eq!(name, "/files/Copy-v1/OUT/SIM");
    assert_eq!(
        (
            number(&datasets[0], "files"),
            number(&datasets[0], "blocks_open")
        ),
        (21, 0)
    );
    for output in house.list(&["dataset", "files", name]) {
        let stored = house.path("state/storage").join(text(&output, "name"));
        let bytes = fs::metadata(&stored)
            .expect("a published file is there")
            .len();
        assert_eq!(bytes, number(&output, "bytes"), "{output}");
    }
    ledger_of(&house, name);
    house.stop();
}

/// What the ledger says of the dataset of one run with 21 files, and of one file on its whole way.
fn ledger_of(house: &House, name: &str) {
    let dataset = house.ask(&["dataset", "show", name]);
    assert_eq!(
        (
            text(&dataset, "primary"),
            text(&dataset, "tier"),
            text(&dataset, "label")
        ),
        ("files", "OUT", "simulated")
    );
    assert_eq!(
        (
            number(&dataset, "files"),
            number(&dataset, "duplicate_lumis")
        ),
        (21, 0)
    );
    assert_eq!(dataset["block_list"][0]["closing"], "complete", "{dataset}");
    let held = house.list(&["dataset", "lumis", name]);
    assert_eq!(held[0]["lumis"], held[0]["expected"], "{held:?}");
    assert_eq!(
        (&held[0]["missing"], &held[0]["repeated_inputs"]),
        (&json!([]), &json!(0))
    );
    assert_eq!(
        house
            .list(&["dataset", "lumis", name, "--per", "file"])
            .len(),
        21
    );
    let lineage = house.ask(&["dataset", "lineage", name, "--run", "7"]);
    assert_eq!(lineage["parents"][0]["name"], "files", "{lineage}");
    assert_eq!(lineage["made_with"][0]["program"], "copy.sh", "{lineage}");

    let detector = &house.list(&["file", "ls", "--stream", "files", "--state", "accepted"])[0];
    let id = number(detector, "id").to_string();
    let lineage = house.ask(&["file", "lineage", &id]);
    assert_eq!(lineage["children"][0]["kind"], "output", "{lineage}");
    let output = number(&lineage["children"][0], "id").to_string();
    let made = house.ask(&["file", "lineage", &output]);
    assert_eq!(number(&made["parents"][0], "id").to_string(), id, "{made}");
    assert_eq!(made["made_by"]["recipe"]["program"], "copy.sh", "{made}");
    let trace = house.ask(&["file", "trace", &id]);
    let hops: Vec<String> = items(json!({ "items": trace["hops"] }))
        .iter()
        .map(|hop| text(hop, "hop").to_owned())
        .collect();
    for hop in [
        "written",
        "seen",
        "made",
        "started",
        "done",
        "published",
        "block-closed",
    ] {
        assert!(hops.iter().any(|passed| passed == hop), "{hop}: {hops:?}");
    }

    // What was changed behind our back is noticed.
    for id in [&id, &output] {
        assert_eq!(house.tier0(&["file", "verify", id]).code, 0);
    }
    let shown = house.ask(&["file", "show", &output]);
    let stored = house.path("state/storage").join(text(&shown, "name"));
    let bytes = fs::read(&stored).expect("it is there");
    fs::write(&stored, vec![b'x'; bytes.len()]).expect("it can be rewritten");
    let seen = house.tier0(&["file", "verify", &output]);
    assert_eq!(seen.code, 1, "{seen:?}");
    assert!(seen.out.contains("checksum-differs"), "{seen:?}");
    fs::write(&stored, bytes).expect("it can be put back");

    let unknown = "tier0 dataset ls";
    house
        .tier0(&["dataset", "show", "/No/such/OUT"])
        .says(1, &["/No/such/OUT", unknown]);
    house
        .tier0(&["dataset", "files", "/No/such/OUT"])
        .says(1, &[unknown]);
    house.tier0(&["file", "show", "999"]).says(1, &["file 999"]);
    house
        .tier0(&["file", "ls", "--state", "late", "--dataset", name])
        .says(2, &["published"]);
}

#[test]
fn a_test_run_is_worked_on_but_never_published_or_certified() {
    let mut house = House::new("types", &DAQ.replace("simulated", "real"));
    // Only real runs are certified; the numbers of these say that they are.
    let simulated = fs::read_to_string(simulate(&house)).expect("just made");
    let data = house.write("real.csv", simulated.replace("90000", "10000"));
    let data = data.display().to_string();
    let runs = [100_001, 100_002, 100_003];
    house.start();
    play(&house, &data, runs, 100_001, "test");
    play(&house, &data, runs, 100_002, "physics");
    house.until_finished(2, PATIENCE);

    let run = house.ask(&["run", "show", "100001"]);
    assert_eq!(
        (text(&run, "run_type"), text(&run, "started_by")),
        ("test", "record")
    );
    let jobs = |run: &str| {
        house
            .list(&["job", "ls", "--run", run, "--state", "done"])
            .len()
    };
    assert_eq!((jobs("100001"), jobs("100002")), (6, 6));
    assert_eq!(run["datasets"], json!([]), "a test run is in no dataset");
    let datasets = house.list(&["dataset", "ls"]);
    assert_eq!(datasets.len(), 7, "{datasets:?}");
    assert!(datasets.iter().all(|dataset| number(dataset, "runs") == 1));
    let name = text(&datasets[0], "dataset");
    let mut of_run: BTreeMap<u64, usize> = BTreeMap::new();
    for output in house.list(&["dataset", "files", name]) {
        let published = !output["block"].is_null();
        let run = number(&output, "run");
        assert_eq!(published, run == 100_002, "{output}");
        let stored = house.path("state/storage").join(text(&output, "name"));
        assert!(stored.exists(), "its outputs are committed: {output}");
        *of_run.entry(run).or_insert(0) += 1;
    }
    assert!(of_run.len() == 2, "{of_run:?}");

    let golden = house.tier0(&["dqm", "golden", "--label", "real"]);
    let golden: Value = serde_json::from_str(&golden.out).expect("the list is JSON");
    assert!(golden.get("100001").is_none(), "{golden}");
    assert_eq!(golden["100002"], json!([[1, 3]]), "{golden}");
    let svg = house.path("pt.svg").display().to_string();
    house
        .tier0(&["dqm", "show", "100002", "muon_pt_gev", "--svg", &svg])
        .says(0, &[]);
    let svg = std::fs::read_to_string(svg).expect("the picture is there");
    assert!(
        svg.starts_with("<svg ") && svg.contains("run 100002"),
        "{svg}"
    );
    let element = house.ask(&["dqm", "show", "100002", "muon_pt_gev"]);
    assert_eq!(
        text(&element, "path"),
        "parts/prompt/histograms/muon_pt_gev"
    );
    assert_eq!(
        element["lumis"],
        json!([[1, 3]]),
        "the merged one, not a part"
    );
    // Nothing of a test run is published.
    let refused = house.tier0(&["dqm", "show", "100001", "muon_pt_gev"]);
    refused.says(1, &["run 100001 has no published histogram muon_pt_gev"]);
    let trend = house.tier0(&["calib", "show", "scale", "--svg", "-"]);
    trend.says(0, &[]);
    assert!(trend.out.starts_with("<svg "), "{}", trend.out);

    let verdicts = house.list(&["dqm", "show", "100001"]);
    let refused = text(&verdicts[0], "refused");
    assert!(refused.contains("test"), "{refused}");
    house.stop();
}

#[test]
fn runs_are_started_by_command_post_and_first_file_with_workers_ahead() {
    let mut house = House::new("starts", DAQ);
    let data = simulate(&house);
    house.start();
    assert_eq!(workers(&house), 0);
    let mut start = vec!["run", "start", "900001", "--run-type", "cosmics"];
    start.extend(["--label", "simulated"]);
    house.tier0(&start).says(0, &[]);
    house.until("workers were started ahead", || {
        (workers(&house) > 0).then_some(())
    });
    let body = json!({ "run": 900_002, "run_type": "physics", "label": "simulated" });
    let (status, answer) = post(&house, "runs", &body);
    assert!((200..300).contains(&status), "{status} {answer}");
    let (status, problem) = post(
        &house,
        "runs",
        &json!({ "run": 900_005, "run_type": "odd" }),
    );
    assert!((400..500).contains(&status), "{status} {problem}");

    let show = |run: &str| house.ask(&["run", "show", run]);
    for (run, run_type) in [("900001", "cosmics"), ("900002", "physics")] {
        let shown = show(run);
        assert_eq!(text(&shown, "started_by"), "command");
        assert_eq!(text(&shown, "run_type"), run_type);
        assert_eq!(text(&shown, "state"), "open");
        assert_eq!(text(&shown, "config_hash").len(), 16);
        let pinned = shown["pipelines"].as_array().expect("a list");
        assert_eq!(pinned.len(), 4, "{shown}");
    }
    // The third begins with what comes first; its record of the begin does not come at all.
    let other = house.path("elsewhere").display().to_string();
    let mut inject = vec!["inject", "--data", &data, "--spool", &other];
    inject.extend(["--drop-run", "900001", "--drop-run", "900002"]);
    assert_eq!(tier0(&inject).code, 0);
    let folder = house.path("elsewhere/run900003");
    let mut names = support::files_below(&folder);
    names.retain(|name| !name.contains("BoR"));
    names.sort_by_key(|name| (name.contains("Eo"), is_sidecar(name)));
    for name in names {
        let content = fs::read(folder.join(&name)).expect("it was listed");
        house.put(&format!("run900003/{name}"), content);
    }
    // Who said first what a run is for is not overruled.
    play(&house, &data, RUNS, 900_001, "cosmics");
    play(&house, &data, RUNS, 900_002, "physics");
    house.until_finished(3, PATIENCE);
    assert_eq!(text(&show("900003"), "started_by"), "first-file");
    assert_eq!(text(&show("900001"), "run_type"), "cosmics");
    house.until("the workers are gone", || {
        (workers(&house) == 0).then_some(())
    });
    house.stop();
}

/// Times that the threads of a process went to sleep or were put aside (proc(5), `status`).
fn switches(of: Pid) -> u64 {
    let tasks = format!("/proc/{}/task", of.as_raw_nonzero());
    let statuses = support::files_below(Path::new(&tasks));
    let statuses = statuses.iter().filter(|name| {
        let mut parts = name.split('/').skip(1);
        parts.next() == Some("status") && parts.next().is_none()
    });
    let mut sum = 0;
    for status in statuses {
        let text = fs::read_to_string(Path::new(&tasks).join(status)).unwrap_or_default();
        let lines = text.lines().filter(|line| line.contains("ctxt_switches"));
        let counts = lines.filter_map(|line| line.rsplit_once('\t')?.1.parse::<u64>().ok());
        sum += counts.sum::<u64>();
    }
    assert!(sum > 0, "{tasks} says nothing");
    sum
}

fn rss_kib(of: Pid) -> u64 {
    let path = format!("/proc/{}/status", of.as_raw_nonzero());
    let text = fs::read_to_string(path).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
    number.expect("the kernel tells it")
}

#[test]
fn an_idle_instance_is_small_and_sleeps_and_shares_its_folder_with_nobody() {
    let mut house = House::new("idle", DAQ);
    let data = simulate(&house);
    house.start();
    // Idle at first, and idle again after a run.
    for after_a_run in [false, true] {
        if after_a_run {
            play(&house, &data, RUNS, 900_001, "physics");
            house.until_finished(1, PATIENCE);
            house.until("the workers are gone", || {
                (workers(&house) == 0).then_some(())
            });
        }
        let all = || -> Vec<Pid> {
            let below = support::descendants(house.pid());
            std::iter::once(house.pid()).chain(below).collect()
        };
        let sum = || all().into_iter().map(switches).sum::<u64>();
        std::thread::sleep(Duration::from_secs(1));
        let before = sum();
        std::thread::sleep(Duration::from_secs(5));
        let woken = sum() - before;
        let rss = all().into_iter().map(rss_kib).sum::<u64>();
        say(&format!(
            "idle, after a run {after_a_run}: {woken} switches in 5 s, RSS {} KiB, spawner {} KiB",
            rss_kib(house.pid()),
            rss - rss_kib(house.pid())
        ));
        assert!(woken <= 25, "{woken} switches in 5 s");
        if !after_a_run {
            assert!(rss <= 40 * 1024, "{rss} KiB");
        }
    }
    let second = house.tier0(&["serve"]);
    let holder = house.pid().as_raw_nonzero().to_string();
    let parts = [
        "tier0.lock",
        "works with this state folder",
        "stop it first",
        &holder,
    ];
    second.says(4, &parts);
    assert!(
        house.ask(&["run", "ls"])["items"].is_array(),
        "the first is undisturbed"
    );
    house.stop();
}

#[test]
fn a_run_that_is_open_goes_on_after_an_end_in_order() {
    let mut house = copy_house("restarts", 1);
    house.start();
    house.put("run7_a.dat", "a");
    until_done(&house, 1);
    house.put("run7_b.dat", "b");
    house.until("the second program is started", || {
        (starts(&house).len() == 2).then_some(())
    });
    // In the middle of b; nothing of it is left running.
    house.stop();
    house.put("run7_c.dat", "c");
    house.start();
    house.put("run7_d.dat", "d");
    until_done(&house, 4);
    let shown = house.ask(&["run", "show", "7"]);
    assert_eq!(
        (text(&shown, "state"), number(&shown["counts"], "files")),
        ("open", 4)
    );
    house
        .tier0(&["run", "stop", "7", "--last-lumi", "1"])
        .says(0, &[]);
    house.until_finished(1, PATIENCE);
    let jobs = house.list(&["job", "ls"]);
    assert!(
        jobs.iter().all(|job| number(job, "failures") == 0),
        "{jobs:?}"
    );
    let counts = starts(&house);
    let expect = [("a", 1), ("b", 2), ("c", 1), ("d", 1)];
    let expect = expect.map(|(name, count)| (format!("run7_{name}.dat"), count));
    assert_eq!(counts, BTreeMap::from(expect), "only b is done again");
    house.stop();
    // And once more, with nothing to do.
    house.start();
    assert_eq!(items(house.ask(&["job", "ls"])).len(), 4);
    assert_eq!(house.list(&["file", "ls"]).len(), 4);
    kill_process(house.pid(), Signal::INT).expect("it is our child");
    assert!(house.wait().success());
}

#[test]
fn real_sidecars_are_read_when_their_files_are_there() {
    let Some(data) = std::env::var_os("TIER0_DATA") else {
        say("not run: TIER0_DATA does not say where the sidecars are");
        let required = std::env::var_os("TIER0_REQUIRE_DATA").is_some();
        assert!(!required, "TIER0_REQUIRE_DATA wants this test to run");
        return;
    };
    let folder = Path::new(&data).join("cms-daq-jsn");
    let mut house = House::new("sidecars", &DAQ.replace("simulated", "real"));
    let names = support::files_below(&folder);
    let mut expect = Vec::new();
    for name in names.iter().filter(|name| is_sidecar(name)) {
        let content = fs::read_to_string(folder.join(name)).expect("it was listed");
        let sidecar: Value = serde_json::from_str(&content).expect("a sidecar is JSON");
        let base = name.rsplit('/').next().expect("a name has a last part");
        let parts: Vec<&str> = base.split('_').collect();
        let digits = |part: &str| part.trim_start_matches(char::is_alphabetic).parse::<u64>();
        let stream = parts[2].trim_start_matches("stream").to_owned();
        let (run, lumi) = (
            digits(parts[0]).expect("a run"),
            digits(parts[1]).expect("a lumi"),
        );
        let value = |index: usize| sidecar["data"][index].as_str().expect("texts");
        let (bytes, events): (u64, u64) = (
            value(4).parse().expect("a size"),
            value(1).parse().expect("a count"),
        );
        house.write(&format!("spool/{base}"), content.as_bytes());
        expect.push((run, lumi, stream, bytes, events, value(3).to_owned()));
    }
    assert_eq!(expect.len(), 5, "{names:?}");
    house.start();
    assert_eq!(
        house.list(&["file", "ls"]),
        [] as [Value; 0],
        "their files are absent"
    );
    for (.., bytes, _, file) in &expect {
        let path = house.path("spool").join(file).with_extension("tmp");
        let sparse = fs::File::create(&path).expect("the folder is ours");
        sparse.set_len(*bytes).expect("a hole costs nothing");
        fs::rename(&path, house.path("spool").join(file)).expect("the folder is ours");
    }
    let files = house.until("all five are accepted", || {
        let files = house.list(&["file", "ls"]);
        (files.len() == 5).then_some(files)
    });
    let mut got: Vec<_> = files
        .iter()
        .map(|file| {
            let place = (number(file, "run"), number(file, "lumi"));
            let size = (number(file, "bytes"), number(file, "events"));
            let (stream, name) = (
                text(file, "stream").to_owned(),
                text(file, "name").to_owned(),
            );
            (place.0, place.1, stream, size.0, size.1, name)
        })
        .collect();
    got.sort();
    expect.sort();
    assert_eq!(got, expect);
    house.stop();
}
