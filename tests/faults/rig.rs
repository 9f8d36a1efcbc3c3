//! What the tests of faults have in common: a house whose runs are accounted for to the end, small
//! disks, the library between the program and the system, and other people's locks.

use crate::support::{House, items, say, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// One stream as a data acquisition writes it; its files are copied by one program each.
pub(crate) const DAQ: &str = "[pipelines]\nfolder = \"pipelines\"\n\n\
                              [programs]\ncopy = \"copy.sh\"\n\n\
                              [executor.local]\ncores = 2\n\n\
                              [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"cms\"\n\
                              label = \"simulated\"\nscan_interval = \"1s\"\n";
/// Copies its input: what comes out depends on what went in and on nothing else.
const COPY: &str = "#!/bin/sh\n\
                    path=$(grep -o '\"path\":\"[^\"]*\"' \"$TIER0_JOB\" | head -1 | cut -d'\"' -f4)\n\
                    cat \"$path\" > OUT.txt\n";
const PIPELINE: &str = "[pipeline]\nname = \"copy\"\ntrigger = { stream = \"A\" }\n\
                        processing = \"Copy-v1\"\n\n\
                        [[task]]\nname = \"copy\"\nprogram = [\"{program:copy}\"]\n\
                        outputs = { OUT = \"txt\" }\n\
                        retry = { attempts = 2, base = \"1s\" }\n";

/// A house of one task that copies; `instance` are further keys of `[instance]`.
pub(crate) fn copying(name: &str, instance: &str) -> House {
    let house = House::new(name, DAQ);
    let config = fs::read_to_string(house.path("tier0.toml")).expect("it was written");
    let state = "state = \"state\"\n";
    let config = config.replacen(state, &format!("{state}{instance}\n"), 1);
    house.write("tier0.toml", config);
    house.write("pipelines/copy.toml", PIPELINE);
    house.program("copy.sh", COPY);
    house
}

fn record(values: &[String]) -> String {
    json!({ "data": values }).to_string()
}

pub(crate) fn stem(run: u32, lumi: u32) -> String {
    format!("run{run:06}_ls{lumi:04}_streamA_p1")
}

fn content(run: u32, lumi: u32) -> String {
    format!("events of lumi {lumi} of run {run}\n").repeat(20)
}

/// The sidecar of a file with so many bytes.
pub(crate) fn sidecar(file: &str, bytes: usize) -> String {
    let bytes = bytes.to_string();
    let values = ["5", "5", "0", "0", file, &bytes, "", "-1", "", "DAT"];
    record(&values.map(str::to_owned))
}

/// One lumi: its file, its sidecar, its end.
pub(crate) fn put_lumi(house: &House, run: u32, lumi: u32) {
    let (data, stem) = (content(run, lumi), stem(run, lumi));
    house.put(&format!("{stem}.dat"), &data);
    house.put(
        &format!("{stem}.jsn"),
        sidecar(&format!("{stem}.dat"), data.len()),
    );
    let end = ["5", "1", "5", "0"].map(str::to_owned);
    house.put(&format!("run{run:06}_ls{lumi:04}_EoLS.jsn"), record(&end));
}

/// Lumis of a run, first to last.
pub(crate) fn put_lumis(house: &House, run: u32, lumis: std::ops::RangeInclusive<u32>) {
    lumis.for_each(|lumi| put_lumi(house, run, lumi));
}

/// The end of a run of so many lumis.
pub(crate) fn end_run(house: &House, run: u32, lumis: u32) {
    let end = [5 * lumis, lumis, lumis, lumis].map(|count| count.to_string());
    house.put(&format!("run{run:06}_ls0000_EoR.jsn"), record(&end));
}

/// What an undisturbed instance publishes of run 7 with so many lumis; found out once.
pub(crate) fn undisturbed(lumis: u32) -> Value {
    static KNOWN: Mutex<BTreeMap<u32, Value>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known
        .entry(lumis)
        .or_insert_with(|| find_undisturbed(lumis))
        .clone()
}

fn find_undisturbed(lumis: u32) -> Value {
    let mut house = copying("undisturbed", "");
    house.start();
    put_lumis(&house, 7, 1..=lumis);
    end_run(&house, 7, lumis);
    house.until_finished(1, crate::support::PATIENCE);
    let digest = digest(&house);
    house.stop();
    digest
}

/// The digest of what is published; not that of nothing.
pub(crate) fn digest(house: &House) -> Value {
    let digest = house.ask(&["dataset", "digest"]);
    let stored = items(house.ask(&["dataset", "ls"]));
    assert!(!stored.is_empty(), "nothing is published");
    digest["digest"].clone()
}

pub(crate) fn done(house: &House) -> usize {
    house
        .list(&["job", "ls", "--state", "done", "--limit", "1000"])
        .len()
}

pub(crate) fn until_done(house: &House, jobs: usize) {
    house.until("so many jobs are done", || {
        (done(house) == jobs).then_some(())
    });
}

/// The text of an alarm that stands, with all these parts.
pub(crate) fn until_alarm(house: &House, key: &str, parts: &[&str]) -> String {
    house.until(&format!("alarm {key} stands with {parts:?}"), || {
        let alarms = house.try_ask(&["alarm", "ls"]).map(items).ok()?;
        let alarm = alarms.iter().find(|alarm| text(alarm, "key") == key)?;
        let said = text(alarm, "text").to_owned();
        parts.iter().all(|part| said.contains(part)).then_some(said)
    })
}

/// Waits until an alarm is over, and is on record as one that was.
pub(crate) fn until_over(house: &House, key: &str) {
    house.until(&format!("alarm {key} is over"), || {
        let stands = items(house.try_ask(&["alarm", "ls"]).ok()?);
        let all = items(house.try_ask(&["alarm", "ls", "--cleared"]).ok()?);
        let is_it = |alarm: &Value| text(alarm, "key") == key;
        (!stands.iter().any(is_it) && all.iter().any(is_it)).then_some(())
    });
}

/// Everything that was put into run 7 went through once, as if nothing had happened.
pub(crate) fn as_undisturbed(house: &House, lumis: u32) {
    end_run(house, 7, lumis);
    house.until_finished(1, crate::support::PATIENCE);
    let failed = house.list(&["job", "ls", "--state", "failed"]);
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(
        house.list(&["file", "ls", "--limit", "1000"]).len(),
        lumis as usize
    );
    assert_eq!(done(house), lumis as usize);
    assert_eq!(digest(house), undisturbed(lumis));
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// A small disk in memory; unmounted when it goes, so it must go before its house.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Mounts one in a folder of the house. None, loudly, where nobody may mount.
    pub(crate) fn mount(house: &House, name: &str, options: &str) -> Option<Self> {
        let path = house.path(name);
        fs::create_dir_all(&path).expect("the folder is ours");
        let shown = path.display().to_string();
        match run(
            "mount",
            &["-t", "tmpfs", "-o", options, "tier0-test", &shown],
        ) {
            Ok(()) => Some(Self(path)),
            Err(why) => {
                say(&format!(
                    "not run: needs root to mount a small disk ({why})"
                ));
                None
            }
        }
    }

    /// Mounts a file or folder over another.
    pub(crate) fn bind(from: &Path, over: &Path) -> Option<Self> {
        let shown = [from, over].map(|path| path.display().to_string());
        match run("mount", &["--bind", &shown[0], &shown[1]]) {
            Ok(()) => Some(Self(over.to_path_buf())),
            Err(why) => {
                say(&format!("not run: needs root to mount ({why})"));
                None
            }
        }
    }

    pub(crate) fn remount(&self, options: &str) {
        let shown = self.0.display().to_string();
        let remounted = run("mount", &["-o", &format!("remount,{options}"), &shown]);
        remounted.expect("whoever mounted it may mount it again");
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.0.join("ballast")).expect("there is room for a name");
        for size in [1 << 20, 4_096, 1] {
            while file.write(&vec![7; size]).is_ok_and(|written| written > 0) {}
        }
    }

    /// Makes files until it takes no more of them.
    pub(crate) fn fill_with_names(&self) {
        let names = self.0.join("names");
        fs::create_dir(&names).expect("there is room for a folder");
        let made = (0..).take_while(|n: &u32| fs::File::create(names.join(n.to_string())).is_ok());
        assert!(made.count() > 0);
    }

    /// Takes away what filled it.
    pub(crate) fn free(&self) {
        let _ = fs::remove_file(self.0.join("ballast"));
        let _ = fs::remove_dir_all(self.0.join("names"));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has it open keeps it until the end of the house.
        let _ = run("umount", &["-l", &self.0.display().to_string()]);
    }
}

/// The library of faults, built once.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim/faults.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tier0-faults.so");
        let (source, built) = (source.display().to_string(), library.display().to_string());
        let flags = ["-shared", "-fPIC", "-O2", "-o", &built, &source, "-ldl"];
        run("cc", &flags).expect("a C compiler is there: the program itself needs one");
        library
    })
}

/// Faults of the operating system for the next instance of a house.
pub(crate) struct Shim(PathBuf);

impl Shim {
    /// Between a house's instance and the system; calls on files whose path contains `part` can be
    /// made to fail.
    pub(crate) fn before(house: &mut House, part: &str) -> Self {
        let control = house.path("shim");
        fs::create_dir_all(&control).expect("the folder is ours");
        house.environment = vec![
            ("LD_PRELOAD".to_owned(), library().display().to_string()),
            ("SHIM_CONTROL".to_owned(), control.display().to_string()),
            ("SHIM_MATCH".to_owned(), part.to_owned()),
        ];
        Self(control)
    }

    pub(crate) fn set(&self, name: &str, value: &str) {
        // As a whole: it is looked at at any moment.
        let half = self.0.join("half");
        fs::write(&half, value).expect("the folder is ours");
        fs::rename(half, self.0.join(name)).expect("the folder is ours");
    }

    pub(crate) fn clear(&self, name: &str) {
        fs::remove_file(self.0.join(name)).expect("it was set");
    }
}

/// A number that the database itself gives.
pub(crate) fn count(house: &House, sql: &str) -> usize {
    let script = "import sqlite3, sys\n\
                  store = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True)\n\
                  print(store.execute(sys.argv[2]).fetchone()[0])\n";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(house.path("state/tier0.db"))
        .arg(sql)
        .output()
        .expect("python3 is there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.trim().parse().unwrap_or(0)
}

/// Somebody else's program that holds the store for writing, until it is dropped.
pub(crate) struct Holder(Child);

impl Holder {
    pub(crate) fn of(database: &Path) -> Self {
        let script = "import sqlite3, sys\n\
                      store = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)\n\
                      store.execute('BEGIN IMMEDIATE')\n\
                      print('held', flush=True)\n\
                      sys.stdin.read()\n";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there: the demo's data come through it");
        let mut line = String::new();
        let out = child.stdout.take().expect("it was piped");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("it says a line");
        assert_eq!(line, "held\n");
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
