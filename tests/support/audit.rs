//! What must hold of an instance that has finished, whatever happened on the way: every file of
//! the spool accounted for, every input consumed once, nothing in the storage that no row knows,
//! every message about it written once.
//!
//! In: a running instance that has finished all its runs. Out: panics that name what is wrong.

use super::{House, files_below, number, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// What the data acquisition played.
#[derive(Clone, Copy)]
pub(crate) struct Played {
    pub(crate) runs: usize,
    pub(crate) lumis_per_run: usize,
    pub(crate) events_per_lumi: usize,
}

impl Played {
    fn lumis(self) -> usize {
        self.runs * self.lumis_per_run
    }

    fn events(self) -> usize {
        self.lumis() * self.events_per_lumi
    }
}

/// Everything that must be the same as without a kill.
pub(crate) struct Outcome {
    digest: Value,
    /// What the digest is over, to see a difference.
    outputs: BTreeSet<String>,
    intervals: BTreeSet<(String, u64, String)>,
    outbox: BTreeMap<(String, i64), usize>,
}

impl Outcome {
    /// What a running instance has come to.
    pub(crate) fn of(house: &House) -> Self {
        let intervals = house.list(&["calib", "iovs"]);
        let interval = |row: &Value| {
            let (tag, hash) = (text(row, "tag").to_owned(), text(row, "hash").to_owned());
            (tag, number(row, "since"), hash)
        };
        let mut outputs = BTreeSet::new();
        for dataset in house.list(&["dataset", "ls"]) {
            let name = text(&dataset, "dataset");
            for output in house.list(&["dataset", "files", name, "--limit", "100000"]) {
                let content = ["run", "lumis", "events", "bytes", "adler32"];
                let content = content.map(|key| output[key].to_string());
                outputs.insert(format!("{name} {}", content.join(" ")));
            }
        }
        Self {
            digest: house.ask(&["dataset", "digest"]),
            outputs,
            intervals: intervals.iter().map(interval).collect(),
            outbox: outbox(house),
        }
    }

    /// Panics unless this is what was expected; names what differs.
    pub(crate) fn is(&self, expect: &Self) {
        fn only<T: Ord + Clone>(one: &BTreeSet<T>, other: &BTreeSet<T>) -> Vec<T> {
            one.difference(other).cloned().collect()
        }
        let differ = [
            only(&self.outputs, &expect.outputs),
            only(&expect.outputs, &self.outputs),
        ];
        assert_eq!(
            differ,
            [const { Vec::<String>::new() }; 2],
            "published only here, only there"
        );
        assert_eq!(self.digest, expect.digest, "the digest differs");
        assert_eq!(self.intervals, expect.intervals, "the constants differ");
        assert_eq!(self.outbox, expect.outbox, "the outbox differs");
    }
}

/// Whether sources are in the spool once everything has finished.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sources {
    /// They are never removed.
    Stay,
    /// They are released.
    Go,
}

/// Everything in the spool is an accepted file with its sidecar, or a record that is known.
pub(crate) fn spool(house: &House, played: Played, sources: Sources) {
    let files = house.list(&["file", "ls"]);
    let accepted: BTreeSet<&str> = files.iter().map(|file| text(file, "name")).collect();
    assert_eq!(accepted.len(), files.len(), "a file was accepted twice");
    let mut ended = BTreeSet::new();
    for run in house.list(&["run", "ls"]) {
        let run_number = number(&run, "run");
        let shown = house.ask(&["run", "show", &run_number.to_string()]);
        for lumi in shown["lumis"].as_array().expect("a run has lumis") {
            ended.insert((run_number, number(lumi, "lumi")));
        }
        let (begin, end) = (text(&run, "started_by"), number(&run, "last_lumi"));
        let expect = ("record", played.lumis_per_run as u64);
        assert_eq!((begin, end), expect, "{run}");
    }
    let mut counts = BTreeMap::new();
    for name in files_below(&house.path("spool")) {
        let base = name.rsplit('/').next().expect("a name has a last part");
        let words: Vec<&str> = base.split(['_', '.']).collect();
        let digits = |word: &str| word.trim_start_matches(char::is_alphabetic).parse::<u64>();
        let (run, lumi) = (digits(words[0]), digits(words[1]));
        let at = (run.expect("a run"), lumi.expect("a lumi"));
        let kind = match words[2] {
            "EoLS" => {
                assert!(ended.contains(&at), "{name} is not known");
                "record"
            }
            "BoR" | "EoR" => "record",
            _ => {
                let data = name.replace(".jsn", ".dat");
                assert!(accepted.contains(data.as_str()), "{name} is not known");
                "data or sidecar"
            }
        };
        *counts.entry(kind).or_insert(0) += 1;
    }
    let lumis = played.lumis();
    assert_eq!(files.len(), lumis, "each lumi is one file");
    let mut expect = BTreeMap::from([("record", lumis + 2 * played.runs)]);
    if sources == Sources::Stay {
        expect.insert("data or sidecar", 2 * lumis);
    }
    assert_eq!(counts, expect);
    let aside = house.list(&["file", "set-aside"]);
    assert!(aside.is_empty(), "{aside:?}");
}

/// Every job is done, or cancelled where it is of a task that people gave up; each input was
/// consumed once by each task that reads its kind.
pub(crate) fn jobs(house: &House, played: Played, given_up: &str) {
    let mut consumed = BTreeSet::new();
    let mut files = BTreeMap::new();
    for job in house.list(&["job", "ls", "--limit", "100000"]) {
        let task = format!("{}.{}", text(&job, "pipeline"), text(&job, "task"));
        let expect = if task == given_up {
            "cancelled"
        } else {
            "done"
        };
        if text(&job, "state") != expect {
            let log = house.tier0(&["job", "log", &number(&job, "id").to_string()]);
            panic!("not {expect}: {job}\n{}", log.out);
        }
        for input in job["inputs"].as_array().expect("a job has inputs") {
            if input["consumed"] == false {
                continue;
            }
            let (kind, id) = (text(input, "kind").to_owned(), number(input, "id"));
            if kind == "file" {
                *files.entry(task.clone()).or_insert(0) += 1;
            }
            let first = consumed.insert((task.clone(), kind, id));
            assert!(first, "{task} has consumed input {id} twice: {job}");
        }
    }
    files.remove(given_up);
    let tasks = ["express.reco", "prompt.reco"];
    let tasks = tasks.map(|task| (task.to_owned(), played.lumis()));
    assert_eq!(files, BTreeMap::from(tasks));
}

/// Every file in the storage has a row, every row a file of its size and sum; datasets of events
/// hold all of them.
pub(crate) fn storage(house: &House, played: Played, datasets_expected: usize) {
    let mut known = BTreeMap::new();
    let datasets = house.list(&["dataset", "ls"]);
    for dataset in &datasets {
        let name = text(dataset, "dataset");
        for output in house.list(&["dataset", "files", name, "--limit", "100000"]) {
            let facts = (
                number(&output, "bytes"),
                text(&output, "adler32").to_owned(),
            );
            known.insert(text(&output, "name").to_owned(), facts);
        }
    }
    let storage = house.path("state/storage");
    let found: BTreeMap<String, (u64, String)> = files_below(&storage)
        .into_iter()
        .map(|name| {
            let bytes = fs::read(storage.join(&name)).expect("a stored file can be read");
            let mut sum = adler32::Adler32::new();
            sum.write(&bytes);
            let sum = format!("{:08x}", sum.finish());
            (name, (bytes.len() as u64, sum))
        })
        .collect();
    let unknown: Vec<_> = found
        .iter()
        .filter(|(name, _)| !known.contains_key(*name))
        .collect();
    assert!(unknown.is_empty(), "no row knows these: {unknown:?}");
    let wrong: Vec<_> = known
        .iter()
        .filter(|(name, facts)| found.get(*name) != Some(*facts))
        .collect();
    assert!(
        wrong.is_empty(),
        "absent, or other than their rows say: {wrong:?}"
    );
    assert_eq!(datasets.len(), datasets_expected, "{datasets:?}");
    for dataset in &datasets {
        // A program without a report does not count events.
        let events = number(dataset, "events") as usize;
        let is_counted = !text(dataset, "dataset").contains("MERGED");
        assert!(!is_counted || events == played.events(), "{dataset}");
    }
}

/// Folders of attempts of older epochs are gone, and beside the folders that are always there the
/// state folder holds nothing but what is named here. A start that was killed early has not raised
/// the epoch, so the number of kills does not tell the last one.
pub(crate) fn folders(house: &House) {
    let names = |folder: std::path::PathBuf| -> Vec<String> {
        let entries = fs::read_dir(folder).expect("the folder is there");
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.collect()
    };
    let epochs: Vec<String> = names(house.work());
    let epochs: Vec<_> = epochs.iter().filter(|name| *name != "failed").collect();
    assert_eq!(
        epochs.len(),
        1,
        "folders of one epoch are there: {epochs:?}"
    );
    let known = [
        "api.addr",
        "conditions",
        "good-runs.json",
        "reserve",
        "spools",
        "storage",
        "tier0.db",
        "tier0.db-shm",
        "tier0.db-wal",
        "tier0.lock",
        "tier0.sock",
        "work",
    ];
    let unknown: Vec<_> = names(house.path("state"))
        .into_iter()
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "left in the state folder: {unknown:?}");
    let half: Vec<_> = names(house.path("state/conditions"))
        .into_iter()
        .filter(|name| !name.to_ascii_lowercase().ends_with(".json"))
        .collect();
    assert!(half.is_empty(), "left among the conditions: {half:?}");
}

/// How many messages of each kind about each run are in the outbox; each says something of its
/// own. Missed budgets depend on the time that was lost.
fn outbox(house: &House) -> BTreeMap<(String, i64), usize> {
    use sqlx::{ConnectOptions, Connection};
    let path = house.path("state/tier0.db");
    let read = async {
        let options = sqlx::sqlite::SqliteConnectOptions::new();
        let mut connection = options.filename(path).read_only(true).connect().await?;
        let sql = "SELECT kind, run, subject FROM message WHERE kind <> 'budget.missed'";
        let rows: Vec<(String, i64, String)> =
            sqlx::query_as(sql).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(rows)
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime starts");
    let rows = runtime.block_on(read).expect("the store can be read");
    let mut said = BTreeSet::new();
    let mut counts = BTreeMap::new();
    for (kind, run, subject) in rows {
        let first = said.insert((kind.clone(), subject.clone()));
        assert!(first, "{kind} was said twice of {subject}");
        *counts.entry((kind, run)).or_insert(0) += 1;
    }
    counts
}

/// A program that shares no code with this one agrees with the rows and files of an instance that
/// has stopped.
pub(crate) fn ledger(house: &House) {
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/ledger.py");
    let looked = std::process::Command::new("python3")
        .arg(judge)
        .arg(house.path("state"))
        .output()
        .expect("python3 is there: the demo's data come through it");
    let said = String::from_utf8_lossy(&looked.stdout);
    assert!(looked.status.success(), "{said}");
}
