//! Runs become history (D12): their rows leave the tables that a restart reads, in the middle of
//! which the real program is killed; whoever asks is answered as before; whoever sends a file late
//! is heard.
//!
//! In: a few runs of small files, each copied by a program that sometimes fails at first, and
//! merged. Out: the same answers of every read verb before and after, tables without a row of an
//! archived run, the same digest.

mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use support::{House, PATIENCE, items, number, say, text, until};

/// Runs that were taken, and lumis of each.
const RUNS: [u32; 3] = [7, 8, 9];
const LUMIS: u32 = 5;
/// Longer than any test.
const NEVER: &str = "24h";
/// As good as at once.
const SOON: &str = "100ms";

fn config(archive_after: &str) -> String {
    format!(
        "[store]\narchive_after = \"{archive_after}\"\n\n\
         [pipelines]\nfolder = \"pipelines\"\n\n\
         [programs]\ncopy = \"copy.sh\"\nmerge = \"merge.sh\"\n\n\
         [executor.local]\ncores = 2\n\n\
         [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"cms\"\n\
         label = \"simulated\"\nscan_interval = \"1s\"\n"
    )
}

fn house() -> House {
    let house = House::new("archive", &config(NEVER));
    house.write(
        "pipelines/copy.toml",
        "[pipeline]\nname = \"copy\"\ntrigger = { stream = \"A\" }\nprocessing = \"Copy-v1\"\n\n\
         [[task]]\nname = \"copy\"\nprogram = [\"{program:copy}\"]\noutputs = { OUT = \"txt\" }\n\
         retry = { attempts = 3, policy = \"squared\", base = \"10ms\" }\n\n\
         [[task]]\nname = \"merge\"\ninput = \"copy.OUT\"\nsplit = { by = \"run\" }\n\
         program = [\"{program:merge}\"]\noutputs = { ALL = \"txt\" }\n",
    );
    let inputs = "grep -o '\"path\":\"[^\"]*\"' \"$TIER0_JOB\" | cut -d'\"' -f4";
    // The third lumi of each run fails at first.
    house.program(
        "copy.sh",
        &format!(
            "#!/bin/sh\npath=$({inputs} | head -1)\n\
             case \"$path-$TIER0_TOKEN\" in *ls0003*-1) exit 75;; esac\n\
             cat \"$path\" > OUT.txt\n"
        ),
    );
    house.program(
        "merge.sh",
        &format!("#!/bin/sh\n{inputs} | grep -v ALL.txt | sort | xargs cat > ALL.txt\n"),
    );
    house
}

/// The same house with runs that leave sooner or later.
fn configure(house: &House, archive_after: &str) {
    let path = house.path("tier0.toml");
    let before = std::fs::read_to_string(&path).expect("it was written");
    let (head, _) = before.split_once("[store]").expect("it was configured");
    house.write("tier0.toml", format!("{head}{}", config(archive_after)));
}

fn record(values: &[String]) -> String {
    json!({ "data": values }).to_string()
}

fn stem(run: u32, lumi: u32) -> String {
    format!("run{run:06}_ls{lumi:04}_streamA_p1")
}

fn put_file(house: &House, stem: &str, data: &str) {
    let bytes = data.len().to_string();
    let file = format!("{stem}.dat");
    let values = ["5", "5", "0", "0", &file, &bytes, "", "-1", "", "DAT"];
    house.put(&file, data);
    house.put(&format!("{stem}.jsn"), record(&values.map(str::to_owned)));
}

fn put_run(house: &House, run: u32) {
    for lumi in 1..=LUMIS {
        let data = format!("events of lumi {lumi} of run {run}\n").repeat(20);
        put_file(house, &stem(run, lumi), &data);
        let end = ["5", "1", "5", "0"].map(str::to_owned);
        house.put(&format!("run{run:06}_ls{lumi:04}_EoLS.jsn"), record(&end));
    }
    let end = [5 * LUMIS, LUMIS, LUMIS, LUMIS].map(|count| count.to_string());
    house.put(&format!("run{run:06}_ls0000_EoR.jsn"), record(&end));
}

/// An answer without what may differ: when it was given, and how far a run has come.
fn settled(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(fields) => {
            fields.remove("as_of");
            if fields.contains_key("run_type") {
                fields.remove("state");
            }
            for value in fields.values_mut() {
                *value = settled(value.take());
            }
        }
        Value::Array(values) => {
            for value in values {
                *value = settled(value.take());
            }
        }
        _ => {}
    }
    answer
}

/// What every read verb answers, by its words.
fn answers(house: &House) -> BTreeMap<String, Value> {
    let mut questions: Vec<Vec<String>> = Vec::new();
    let mut ask = |words: &str| questions.push(words.split(' ').map(str::to_owned).collect());
    for words in [
        "run ls",
        "file ls --limit 1000",
        "job ls --limit 1000",
        "job ls --state done --limit 7",
        "dataset ls",
        "dataset digest",
    ] {
        ask(words);
    }
    for run in RUNS {
        ask(&format!("run show {run}"));
        ask(&format!("file ls --run {run} --limit 3"));
        ask(&format!("file ls --run {run} --stream A"));
        ask(&format!("job ls --run {run}"));
        ask(&format!("dataset ls --run {run}"));
    }
    for dataset in house.list(&["dataset", "ls"]) {
        let name = text(&dataset, "dataset").to_owned();
        ask(&format!("dataset show {name}"));
        ask(&format!("dataset files {name}"));
        ask(&format!("dataset lumis {name}"));
        ask(&format!("dataset lumis {name} --per run"));
        ask(&format!("dataset lineage {name}"));
        for output in house.list(&["dataset", "files", &name]) {
            let id = number(&output, "id");
            ask(&format!("file show {id}"));
            ask(&format!("file trace {id}"));
            ask(&format!("file lineage {id}"));
        }
    }
    for job in house.list(&["job", "ls", "--limit", "1000"]) {
        let id = number(&job, "id");
        ask(&format!("job show {id}"));
        ask(&format!("job log {id}"));
    }
    for file in house.list(&["file", "ls", "--limit", "1000"]) {
        let id = number(&file, "id");
        ask(&format!("file show {id}"));
        ask(&format!("file trace {id}"));
        ask(&format!("file lineage {id}"));
    }
    let answer = |words: Vec<String>| {
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = match house.try_ask(&arguments) {
            Ok(answer) => settled(answer),
            // A verb that does not exist, or not for such an object, says the same again.
            Err(said) => json!([said.code, said.err]),
        };
        (words.join(" "), answer)
    };
    questions.into_iter().map(answer).collect()
}

fn states(house: &House) -> BTreeMap<u64, String> {
    let runs = house
        .try_ask(&["run", "ls"])
        .map_or_else(|_| Vec::new(), items);
    let runs = runs.iter();
    runs.map(|run| (number(run, "run"), text(run, "state").to_owned()))
        .collect()
}

fn until_archived(house: &House, runs: usize) {
    house.until("the runs are archived", || {
        let states = states(house);
        let archived = states.values().filter(|state| *state == "archived").count();
        (archived == runs).then_some(())
    });
}

/// Rows of each table that has rows of runs, and of its history.
fn rows(house: &House) -> BTreeMap<&'static str, [i64; 2]> {
    use sqlx::{ConnectOptions, Connection};
    let path = house.path("state/tier0.db");
    let read = async {
        let options = sqlx::sqlite::SqliteConnectOptions::new();
        let mut connection = options.filename(path).read_only(true).connect().await?;
        let mut rows = BTreeMap::new();
        for table in [
            "file",
            "job",
            "consumed",
            "output",
            "witness",
            "failed_attempt",
        ] {
            let mut counts = [0; 2];
            for (count, suffix) in counts.iter_mut().zip(["", "_history"]) {
                let sql = format!("SELECT COUNT(*) FROM {table}{suffix}");
                let sql = sqlx::AssertSqlSafe(sql);
                *count = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
            }
            rows.insert(table, counts);
        }
        connection.close().await?;
        Ok::<_, sqlx::Error>(rows)
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime starts");
    runtime.block_on(read).expect("the store can be read")
}

/// Starts the instance, which kills itself at a point.
fn die_at(house: &mut House, point: &str) {
    house.launch_with(Some(point));
    let status = until("it has died", PATIENCE, || house.has_ended());
    assert_eq!(status.signal(), Some(9), "{point}: {}", house.log());
    let died = format!("failpoint: ended at {point}");
    assert!(house.log().contains(&died), "{point}: {}", house.log());
}

#[test]
fn a_run_that_became_history_is_told_as_before_and_weighs_nothing() {
    let mut house = house();
    house.start();
    for run in RUNS {
        put_run(&house, run);
    }
    house.until_finished(RUNS.len(), PATIENCE);
    let before = answers(&house);
    let failed = before.keys().filter(|words| before[*words].is_array());
    say(&format!(
        "archive: {} questions, {} of them refused",
        before.len(),
        failed.count()
    ));
    let at_work = rows(&house);
    let expect = |table: &str| at_work[table][0];
    assert!(expect("failed_attempt") >= RUNS.len() as i64, "{at_work:?}");
    assert!(
        at_work
            .values()
            .all(|[here, history]| *here > 0 && *history == 0)
    );
    house.stop();

    configure(&house, SOON);
    for point in [
        "slice.taken",
        "slice.begun",
        "slice.moved",
        "slice.durable",
        "slice.told",
        "release.archive",
    ] {
        die_at(&mut house, point);
    }
    house.start();
    until_archived(&house, RUNS.len());
    for (table, [here, history]) in rows(&house) {
        assert_eq!([here, history], [0, expect(table)], "{table}");
    }
    let after = answers(&house);
    for (words, answer) in &before {
        assert_eq!(after.get(words), Some(answer), "{words}");
    }
    assert_eq!(before.len(), after.len());
    let standing = house.list(&["alarm", "ls"]);
    assert!(standing.is_empty(), "{standing:?}");

    // What lies in the spool still is looked up at each start, and is what it was.
    house.stop();
    house.start();
    put_run(&house, 10);
    until_archived(&house, RUNS.len() + 1);
    assert_eq!(house.list(&["file", "ls", "--limit", "1000"]).len(), 20);
    house.stop();
}

#[test]
fn f53_a_file_that_comes_when_its_run_is_history_is_kept_and_told() {
    let mut house = house();
    configure(&house, SOON);
    house.start();
    put_run(&house, 7);
    until_archived(&house, 1);
    let known = house.list(&["file", "ls", "--run", "7"]);

    // The same once more is nothing.
    put_file(
        &house,
        &stem(7, 2),
        &"events of lumi 2 of run 7\n".repeat(20),
    );
    // Another under its name is a conflict.
    put_file(&house, &stem(7, 1), "other events of lumi 1 of run 7\n");
    let key = format!("name-conflict/daq/{}.dat", stem(7, 1));
    house.until("the conflict is told", || {
        let alarms = items(house.try_ask(&["alarm", "ls"]).ok()?);
        alarms
            .iter()
            .any(|alarm| text(alarm, "key") == key)
            .then_some(())
    });
    assert_eq!(house.list(&["file", "ls", "--run", "7"]), known);

    // A new one is kept, and dying on the way loses nothing.
    house.stop();
    for point in ["recall.taken", "recall.telling", "recall.told"] {
        die_at(&mut house, point);
    }
    put_file(&house, &stem(7, 6), "too late\n");
    for point in ["recall.telling", "slice.moved", "slice.told"] {
        die_at(&mut house, point);
    }
    house.start();
    let late = house.until("the late file is kept", || {
        let late = ["file", "ls", "--run", "7", "--state", "late"];
        items(house.try_ask(&late).ok()?).pop()
    });
    assert_eq!(text(&late, "name"), format!("{}.dat", stem(7, 6)));
    until_archived(&house, 1);
    let alarms = house.list(&["alarm", "ls"]);
    let alarm = alarms
        .iter()
        .find(|alarm| text(alarm, "key").starts_with("late-file/7/"));
    let alarm = alarm.unwrap_or_else(|| panic!("{alarms:?}"));
    assert!(
        text(alarm, "text").contains("after run 7 was archived"),
        "{alarm}"
    );
    let why = house.ask(&["why", "run/7"]).to_string();
    assert!(why.contains("1 files came after it was archived"), "{why}");
    assert!(why.contains("late-files"), "{why}");

    let refused = house.tier0(&["run", "reopen", "7", "--by", "test", "--reason", "late"]);
    refused.says(
        4,
        &["run 7 is archived", "another run number", "archive_after"],
    );
    let refused = house.tier0(&["run", "start", "7"]);
    refused.says(4, &["run 7 is archived"]);

    let moved = rows(&house);
    assert!(moved.values().all(|[here, _]| *here == 0), "{moved:?}");
    assert_eq!(moved["file"][1], i64::from(LUMIS) + 1);
    // A restart looks it up like the others.
    house.stop();
    house.start();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(rows(&house)["file"], [0, i64::from(LUMIS) + 1]);
    house.stop();
}
