//! SIGKILLs at moments drawn over the time that the work takes undisturbed: of the server, of a
//! warm worker, of the spawner, of everything at once. The data acquisition goes on meanwhile.
//!
//! In: simulated data, played into the spools of real instances; a seed from `TIER0_KILLS_SEED`, or
//! the clock; `TIER0_KILLS` for another number of kills than 200. Out: the same published content
//! as without any kill, and nothing left over: no process, no output that nobody knows, no file of
//! the spool unaccounted for.

mod support;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use support::audit::{self, Outcome, Played};
use support::draw::{Draw, seed, setting};
use support::{
    House, PATIENCE, command, descendants, files_below, items, number, say, shipped_pipelines,
    tier0, until,
};

const PLAYED: Played = Played {
    runs: 20,
    lumis_per_run: 3,
    events_per_lumi: 200,
};
/// Datasets that the shipped pipelines make.
const DATASETS: usize = 7;
/// Kills of one instance; as many instances as all kills need, so many at a time.
const KILLS_OF_ONE: usize = 20;
const AT_A_TIME: usize = 2;
/// Of each kind of victim at least one in so many kills.
const ONE_OF_A_KIND_IN: usize = 7;
/// Kills while a job is running, at least one in so many.
const ONE_IN_WORK_IN: usize = 4;
/// A job takes so long at least: the programs alone would be done between two kills.
const LINGER_MS: u32 = 200;
/// After each restart the most urgent job comes first, and may meet the next kill of a worker: each
/// costs it an attempt, and the shipped three would be used up.
const PATIENT_RETRIES: &str = "attempts = 100, policy = \"squared\", base = \"100ms\"";
/// Pause after each file: so short that jobs always wait for a core.
const PAUSE_MS: u32 = 180;
/// From the last kill until everything is finished.
const DEADLINE: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Server,
    Worker,
    Spawner,
    Everything,
}

/// Who is killed when: moments uniform over `whole`, victims in random order.
fn plan(draw: &mut Draw, whole: Duration) -> Vec<(Duration, Victim)> {
    let kinds = [
        Victim::Server,
        Victim::Worker,
        Victim::Spawner,
        Victim::Everything,
    ];
    let mut victims: Vec<Victim> = kinds.iter().copied().cycle().take(KILLS_OF_ONE).collect();
    for index in (1..victims.len()).rev() {
        victims.swap(index, draw.below(index + 1));
    }
    let mut moments: Vec<Duration> = (0..KILLS_OF_ONE).map(|_| draw.moment(whole)).collect();
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
    let slow = format!("[[task]]\nparameters = {{ linger_ms = {LINGER_MS} }}\n");
    for (name, text) in shipped_pipelines() {
        assert_eq!(text.matches("[[task]]\n").count(), 1, "{name}");
        let often = "attempts = 3, policy = \"squared\", base = \"1s\"";
        assert!(text.contains(often), "{name}");
        let text = text
            .replace("[[task]]\n", &slow)
            .replace(often, PATIENT_RETRIES);
        house.write(&format!("pipelines/{name}"), text);
    }
    house
}

/// Makes the data that all instances get.
fn simulate(house: &House) -> std::path::PathBuf {
    let data = house.path("sim.csv");
    let (file, truth) = (
        data.display().to_string(),
        format!("{}.truth", data.display()),
    );
    let events = PLAYED.lumis_per_run * PLAYED.events_per_lumi;
    let (runs, events) = (PLAYED.runs.to_string(), events.to_string());
    let mut mc = vec!["program", "mc", "--out", &file, "--truth", &truth];
    mc.extend(["--seed", "11", "--runs", &runs, "--events-per-run", &events]);
    let made = tier0(&mc);
    assert_eq!(made.code, 0, "{made:?}");
    data
}

/// Starts the data acquisition.
fn inject(house: &House, data: &Path) -> Child {
    let mut inject = command();
    inject.arg("inject").arg("--data").arg(data);
    inject.arg("--spool").arg(house.path("spool"));
    inject.args(["--slice-events", &PLAYED.events_per_lumi.to_string()]);
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

/// Whether a job is running just now; nobody who could say so counts as no. What a worker was given
/// less than a moment ago is still shown as sent: starts of short attempts are not told.
fn in_work(house: &House) -> bool {
    let given = |state: &str| {
        let jobs = house.try_ask(&["job", "ls", "--state", state]);
        jobs.is_ok_and(|jobs| !items(jobs).is_empty())
    };
    !processes(house, " program ").is_empty() && (given("running") || given("sent"))
}

/// Processes of the instance whose command line has a word in it.
fn processes(house: &House, word: &str) -> Vec<Pid> {
    let all = house.processes().into_iter();
    let found = all.filter(|(_, line)| line.contains(word));
    found.map(|(pid, _)| pid).collect()
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
    let mut one_of = |word: &str| {
        let found = house.until("there is such a process", || {
            let found = processes(house, word);
            (!found.is_empty()).then(|| found[draw.below(found.len())])
        });
        end(found);
    };
    match victim {
        Victim::Server => end(house.pid()),
        Victim::Worker => {
            one_of(" program ");
            return busy;
        }
        Victim::Spawner => {
            one_of(" spawner ");
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

/// What happened to one instance.
#[derive(Default)]
struct Tally {
    kills: BTreeMap<Victim, usize>,
    in_work: usize,
}

/// One instance's life with its kills; it must come to the same.
fn disturbed(name: &str, data: &Path, whole: Duration, expect: &Outcome, mut draw: Draw) -> Tally {
    let mut house = house(name);
    house.start();
    let start = Instant::now();
    let daq = inject(&house, data);
    let mut tally = Tally::default();
    for (moment, victim) in plan(&mut draw, whole) {
        std::thread::sleep((start + moment).saturating_duration_since(Instant::now()));
        tally.in_work += usize::from(kill(&mut house, victim, &mut draw));
        *tally.kills.entry(victim).or_default() += 1;
    }
    until_injected(&house, daq);
    house.until_finished(PLAYED.runs, DEADLINE);
    say(&format!(
        "kills: {name}: {:?}, {} with a job running; finished after {:.1} s",
        tally.kills,
        tally.in_work,
        start.elapsed().as_secs_f64()
    ));
    audit::jobs(&house, PLAYED, "");
    audit::spool(&house, PLAYED, audit::Sources::Stay);
    Outcome::of(&house).is(expect);
    audit::storage(&house, PLAYED, DATASETS);
    audit::folders(&house);
    house.stop();
    audit::ledger(&house);
    tally
}

/// 200 kills in ordinary runs of this test, more by `TIER0_KILLS`.
#[test]
fn kills_change_nothing_that_is_published() {
    let (seed, kills) = (seed(), setting("TIER0_KILLS", 200));
    say(&format!(
        "kills: seed {seed} (again with TIER0_KILLS_SEED={seed})"
    ));
    let mut draw = Draw(seed);
    let mut undisturbed = house("undisturbed");
    let data = simulate(&undisturbed);
    undisturbed.start();
    let start = Instant::now();
    let daq = inject(&undisturbed, &data);
    until_injected(&undisturbed, daq);
    undisturbed.until_finished(PLAYED.runs, DEADLINE);
    let whole = start.elapsed();
    let expect = Outcome::of(&undisturbed);
    undisturbed.stop();
    say(&format!("kills: undisturbed {:.1} s", whole.as_secs_f64()));

    let lives: Vec<(String, Draw)> = (0..kills.div_ceil(KILLS_OF_ONE))
        .map(|number| (format!("disturbed-{number}"), draw.fork()))
        .collect();
    let (lives, tally) = (Mutex::new(lives), Mutex::new(Tally::default()));
    let next = || lives.lock().expect("nobody panics with it").pop();
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((name, draw)) = next() {
                    let one = disturbed(&name, &data, whole, &expect, draw);
                    let mut tally = tally.lock().expect("nobody panics with it");
                    tally.in_work += one.in_work;
                    for (victim, count) in one.kills {
                        *tally.kills.entry(victim).or_default() += count;
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().expect("nobody panicked with it");
    let killed = tally.kills.values().sum::<usize>();
    say(&format!(
        "{killed} kills: equal digest, 0 lost, 0 doubled, 0 orphans ({:?}; {} with a job running)",
        tally.kills, tally.in_work
    ));
    assert!(killed >= kills);
    let least = killed / ONE_OF_A_KIND_IN;
    assert!(
        tally.kills.values().all(|count| *count >= least),
        "{:?}",
        tally.kills
    );
    assert!(
        tally.in_work >= killed / ONE_IN_WORK_IN,
        "only {} of {killed} kills with a job running",
        tally.in_work
    );
}

/// Everything below a folder with its size and its last change.
fn picture(folder: &Path) -> BTreeMap<String, (u64, std::time::SystemTime)> {
    let look = |name: String| {
        let found = fs::symlink_metadata(folder.join(&name)).expect("nobody removes it");
        let changed = found.modified().expect("Linux knows it");
        (name, (found.len(), changed))
    };
    files_below(folder).into_iter().map(look).collect()
}

#[test]
fn f55_a_second_instance_touches_nothing_and_takes_over_once_the_first_is_killed() {
    let mut house = house("twice");
    house.start();
    house.until("the good-run list is written", || {
        house.path("state/good-runs.json").exists().then_some(())
    });
    let before = picture(&house.path("state"));
    let holder = house.pid().as_raw_nonzero().to_string();
    let refused = house.tier0(&["serve"]);
    let parts = ["tier0.lock", &holder, "only one may", "stop it first"];
    refused.says(4, &parts);
    assert_eq!(
        picture(&house.path("state")),
        before,
        "it touched something"
    );
    let epoch = |house: &House| {
        let (_, system) = house.http("system", None).expect("the instance answers");
        number(&system, "epoch")
    };
    let first = epoch(&house);

    kill_process(house.pid(), Signal::KILL).expect("it is our child");
    house.wait();
    house.start();
    assert_eq!(epoch(&house), first + 1, "the second has raised the epoch");
    house.stop();
}
