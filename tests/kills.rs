//! Twenty SIGKILLs at moments drawn over the time that the work takes undisturbed: of the server,
//! of a warm worker, of everything at once. The data acquisition goes on meanwhile.
//!
//! In: simulated data, played into the spool of a real instance; a seed from `TIER0_KILLS_SEED`, or
//! the clock. Out: the same published content as without any kill, and nothing left over: no
//! process, no output that nobody knows, no file of the spool unaccounted for.

mod support;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use support::{
    House, PATIENCE, command, descendants, files_below, items, number, say, text, tier0, until,
};

const RUNS: usize = 20;
const EVENTS_PER_RUN: usize = 600;
const SLICE_EVENTS: usize = 200;
const KILLS: usize = 20;
/// Of each kind of victim at least so many.
const KILLS_OF_A_KIND: usize = 3;
/// Kills while a job is running, at least.
const KILLS_IN_WORK: usize = 7;
/// A job takes so long at least: the programs alone would be done between two kills.
const LINGER_MS: u32 = 200;
/// Pause after each file: so short that jobs always wait for a core.
const PAUSE_MS: u32 = 180;
/// From the last kill until everything is finished.
const DEADLINE: Duration = Duration::from_secs(90);

/// SplitMix64 (S. Vigna): the same seed gives the same kills.
struct Draw(u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// Uniform from 0 to `whole`.
    fn moment(&mut self, whole: Duration) -> Duration {
        whole.mul_f64((self.bits() >> 11) as f64 / (1u64 << 53) as f64)
    }
}

fn seed() -> u64 {
    if let Ok(text) = std::env::var("TIER0_KILLS_SEED") {
        return text.parse().expect("TIER0_KILLS_SEED is a whole number");
    }
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    u64::from(since.expect("the clock is past 1970").subsec_nanos())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Server,
    Worker,
    Everything,
}

/// Who is killed when: moments uniform over `whole`, victims in random order.
fn plan(draw: &mut Draw, whole: Duration) -> Vec<(Duration, Victim)> {
    let kinds = [Victim::Server, Victim::Worker, Victim::Everything];
    let mut victims: Vec<Victim> = kinds.iter().copied().cycle().take(KILLS).collect();
    for index in (1..victims.len()).rev() {
        victims.swap(index, draw.below(index + 1));
    }
    let mut moments: Vec<Duration> = (0..KILLS).map(|_| draw.moment(whole)).collect();
    moments.sort();
    moments.into_iter().zip(victims).collect()
}

/// An instance whose pipelines are those that come with the program, made slow.
fn house(name: &str) -> House {
    let config = "[pipelines]\nfolder = \"pipelines\"\n\n\
                  [executor.local]\ncores = 2\n\n\
                  [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"cms\"\n\
                  label = \"simulated\"\n";
    let house = House::new(name, config);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/definitions");
    let slow = format!("[[task]]\nparameters = {{ linger_ms = {LINGER_MS} }}\n");
    for name in files_below(&shipped) {
        let text = fs::read_to_string(shipped.join(&name)).expect("definitions are text");
        assert_eq!(text.matches("[[task]]\n").count(), 1, "{name}");
        house.write(
            &format!("pipelines/{name}"),
            text.replace("[[task]]\n", &slow),
        );
    }
    house
}

/// Starts the data acquisition.
fn inject(house: &House, data: &Path) -> Child {
    let mut inject = command();
    inject.arg("inject").arg("--data").arg(data);
    inject.arg("--spool").arg(house.path("spool"));
    inject.args(["--slice-events", &SLICE_EVENTS.to_string()]);
    inject.args(["--pause-ms", &PAUSE_MS.to_string()]);
    let log = fs::File::create(house.path("inject.log")).expect("the folder is ours");
    let quiet = inject.stdout(Stdio::null()).stderr(log);
    quiet.spawn().expect("tier0 starts")
}

fn until_injected(house: &House, mut inject: Child) {
    let status = until("the data are played", PATIENCE, || {
        inject.try_wait().expect("it is our child")
    });
    let log = fs::read_to_string(house.path("inject.log")).unwrap_or_default();
    assert!(status.success(), "{log}");
}

/// The digest of what is published.
fn digest(house: &House) -> Value {
    house.ask(&["dataset", "digest"])
}

/// Whether a job is running just now; nobody who could say so counts as no. What a worker was given
/// less than a moment ago is still shown as sent: starts of short attempts are not told.
fn in_work(house: &House) -> bool {
    let given = |state: &str| {
        let jobs = house.try_ask(&["job", "ls", "--state", state]);
        jobs.is_ok_and(|jobs| !items(jobs).is_empty())
    };
    !workers(house).is_empty() && (given("running") || given("sent"))
}

fn workers(house: &House) -> Vec<Pid> {
    let all = house.processes().into_iter();
    let workers = all.filter(|(_, line)| line.contains(" program "));
    workers.map(|(pid, _)| pid).collect()
}

/// The first run that the generator makes.
const FIRST_RUN: &str = "900001";

/// Kills; starts the instance again where it was a victim. Says whether a job was running.
fn kill(house: &mut House, victim: Victim, draw: &mut Draw) -> bool {
    let busy = in_work(house);
    let jobs = house
        .try_ask(&["job", "ls", "--run", FIRST_RUN])
        .map_or_else(|_| Vec::new(), items);
    let job = jobs.first().map(|job| number(job, "id"));
    let end = |pid: Pid| {
        // Whoever ended a moment before is as dead.
        let _ = kill_process(pid, Signal::KILL);
    };
    match victim {
        Victim::Server => end(house.pid()),
        Victim::Worker => {
            let worker = house.until("there is a warm worker", || {
                let workers = workers(house);
                (!workers.is_empty()).then(|| workers[draw.below(workers.len())])
            });
            end(worker);
            return busy;
        }
        Victim::Everything => {
            let below = descendants(house.pid());
            // The group of the server; the spawner and each program have groups of their own.
            let _ = kill_process_group(house.pid(), Signal::KILL);
            below.into_iter().for_each(end);
        }
    }
    house.wait();
    // As if the moment had been between an output put in place and its row: that moment is short.
    if let Some(job) = job {
        let orphan =
            format!("state/storage/Muons/Express-v1/RECO/SIM/{FIRST_RUN}/RECO-{job}-9.parquet");
        house.write(&orphan, "of an attempt that never won");
    }
    house.launch();
    busy
}

/// Everything in the spool is an accepted file with its sidecar, or a record that is known.
fn check_spool(house: &House) {
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
        assert_eq!((begin, end), ("record", 3), "{run}");
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
    let lumis = RUNS * EVENTS_PER_RUN / SLICE_EVENTS;
    let expect = [("data or sidecar", 2 * lumis), ("record", lumis + 2 * RUNS)];
    assert_eq!(counts, BTreeMap::from(expect));
    let aside = house.list(&["file", "set-aside"]);
    assert!(aside.is_empty(), "{aside:?}");
}

/// Every job is done; each input was consumed once by each task that reads its kind.
fn check_jobs(house: &House) {
    let mut consumed = BTreeSet::new();
    let mut files = BTreeMap::new();
    for job in house.list(&["job", "ls", "--limit", "100000"]) {
        assert_eq!(text(&job, "state"), "done", "{job}");
        let task = format!("{}.{}", text(&job, "pipeline"), text(&job, "task"));
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
    let lumis = RUNS * EVENTS_PER_RUN / SLICE_EVENTS;
    let tasks = ["express.reco", "prompt.reco"].map(|task| (task.to_owned(), lumis));
    assert_eq!(files, BTreeMap::from(tasks));
}

/// Every file in the storage has a row, every row a file of its size and sum.
fn check_storage(house: &House) {
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
    assert_eq!(datasets.len(), 7, "{datasets:?}");
    for dataset in &datasets {
        let events = number(dataset, "events");
        assert_eq!(events, (RUNS * EVENTS_PER_RUN) as u64, "{dataset}");
    }
}

/// Folders of attempts of older epochs are gone. A start that was killed early has not raised the
/// epoch, so the number of kills does not tell the last one.
fn check_work(house: &House) {
    let work = fs::read_dir(house.path("state/work")).expect("the work folder is there");
    let epochs: Vec<u64> = work
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u64>().ok())
        .collect();
    assert_eq!(
        epochs.len(),
        1,
        "folders of one epoch are there: {epochs:?}"
    );
}

#[test]
fn twenty_kills_change_nothing_that_is_published() {
    let seed = seed();
    say(&format!(
        "kills: seed {seed} (again with TIER0_KILLS_SEED={seed})"
    ));
    let mut draw = Draw(seed);
    let mut undisturbed = house("undisturbed");
    let data = undisturbed.path("sim.csv");
    let (file, truth) = (
        data.display().to_string(),
        format!("{}.truth", data.display()),
    );
    let (runs, events) = (RUNS.to_string(), EVENTS_PER_RUN.to_string());
    let mut mc = vec!["program", "mc", "--out", &file, "--truth", &truth];
    mc.extend(["--seed", "11", "--runs", &runs, "--events-per-run", &events]);
    let made = tier0(&mc);
    assert_eq!(made.code, 0, "{made:?}");

    undisturbed.start();
    let start = Instant::now();
    let daq = inject(&undisturbed, &data);
    until_injected(&undisturbed, daq);
    undisturbed.until_finished(RUNS, DEADLINE);
    let whole = start.elapsed();
    let expect = digest(&undisturbed);
    undisturbed.stop();
    say(&format!("kills: undisturbed {:.1} s", whole.as_secs_f64()));

    let mut house = house("disturbed");
    house.start();
    let start = Instant::now();
    let daq = inject(&house, &data);
    let mut counts: BTreeMap<Victim, usize> = BTreeMap::new();
    let mut busy = 0;
    for (moment, victim) in plan(&mut draw, whole) {
        std::thread::sleep((start + moment).saturating_duration_since(Instant::now()));
        let at = start.elapsed().as_secs_f64();
        let was_busy = kill(&mut house, victim, &mut draw);
        say(&format!(
            "kills: {at:6.2} s (drawn {:.2}) {victim:?}, a job running: {was_busy}",
            moment.as_secs_f64()
        ));
        *counts.entry(victim).or_insert(0) += 1;
        busy += usize::from(was_busy);
    }
    until_injected(&house, daq);
    house.until_finished(RUNS, DEADLINE);
    say(&format!(
        "kills: {counts:?}, {busy} with a job running; finished after {:.1} s",
        start.elapsed().as_secs_f64()
    ));
    assert_eq!(counts.values().sum::<usize>(), KILLS);
    assert!(
        counts.values().all(|count| *count >= KILLS_OF_A_KIND),
        "{counts:?}"
    );
    assert!(
        busy >= KILLS_IN_WORK,
        "only {busy} kills with a job running"
    );

    assert_eq!(digest(&house), expect, "the published content differs");
    check_spool(&house);
    check_jobs(&house);
    check_storage(&house);
    check_work(&house);
    house.stop();
}
