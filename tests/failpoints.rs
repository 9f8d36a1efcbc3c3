//! The real program killed by itself at every failpoint, once more while it recovers, and started
//! again: it must come to the same as a life that nobody disturbed.
//!
//! In: the list of `ports::failpoint`; a small run of simulated data with express, prompt, a merge
//! that a plugin splits and that fails at first, calibration, a verdict, and a program that people
//! give up. The hit numbers come from a printed seed (`TIER0_KILLS_SEED`), so many of each point as
//! `TIER0_FAILPOINT_HITS` says. Out: the same published content, nothing left over, no program
//! started twice under one token, and no point that nobody passes.

mod support;

use ports::failpoint::Point;
use rustix::process::{Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use support::audit::{self, Outcome, Played};
use support::draw::{Draw, seed, setting};
use support::{House, PATIENCE, TIER0, command_line, descendants, files_below, number, say};
use support::{shipped_pipelines, text, tier0, until};

const PLAYED: Played = Played {
    runs: 2,
    lumis_per_run: 2,
    events_per_lumi: 200,
};
/// Datasets of the shipped pipelines, and the merged one.
const DATASETS: usize = 8;
/// Lives that go on at the same time: most of each is waiting for the disk.
const AT_A_TIME: usize = 4;
/// One life, with all its starts, takes no longer.
const LIFE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(10);
/// Files that are sent again are seen and looked up within this.
const LOOKED_UP: Duration = Duration::from_millis(500);
/// A job that never ends by itself is given up by people.
const GIVEN_UP: &str = "linger.linger";

/// Points of a start, which a second death is drawn from.
fn points_of_a_start() -> &'static [Point] {
    let last = Point::ALL.iter().position(|point| *point == Point::Scanned);
    &Point::ALL[..=last.expect("it is in the list")]
}

/// What a life begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scene {
    /// Nothing.
    Fresh,
    /// Nothing, and attempts run on another file system than the storage's.
    InMemory,
    /// What an instance has left that was killed while its spawner was frozen: processes that
    /// still run, outputs without a row, a copy cut short.
    LeftOver,
    /// Nothing, and runs become history as soon as they have finished.
    History,
}

/// A point to die at.
#[derive(Clone, Copy, Debug)]
struct Trial {
    point: Point,
    hit: u32,
    scene: Scene,
}

/// A house with the data acquisition's files beside it: half of them are in the spool.
struct Stage {
    house: House,
    /// What the data acquisition wrote.
    data: PathBuf,
    /// Files that come later, in order.
    later: Vec<(String, Vec<u8>)>,
    /// Jobs whose end was acknowledged.
    given_up: BTreeSet<u64>,
    scene: Scene,
    /// Sidecars, and when they were sent again to runs that are history.
    sidecars: Vec<(String, Vec<u8>)>,
    sent_again: Option<Instant>,
}

/// Programs note each start: one that is started twice under one token is seen.
fn write_programs(house: &House) {
    let starts = house.path("starts");
    let note = format!(
        "#!/bin/sh\necho \"$TIER0_TOKEN\" >> '{}'\n",
        starts.display()
    );
    house.program(
        "prompt.sh",
        &format!("{note}exec '{TIER0}' program prompt\n"),
    );
    house.program("linger.sh", &format!("{note}exec sleep 600\n"));
    let packer = include_str!("../docs/plugins/pack_by_size.py");
    house.program("packer.py", packer);
    // Its first attempt fails.
    let merge = "case \"$TIER0_TOKEN\" in *-1) exit 75;; esac\n\
                 grep -o '\"path\":\"[^\"]*/storage/[^\"]*\"' \"$TIER0_JOB\" \
                 | sed 's/\"path\":\"//; s/\"$//' | xargs cat > MERGED.bin\n";
    house.program("merge.sh", &format!("{note}{merge}"));
    // A worker is told of its jobs in lines: each is noted, with the worker's own number.
    let lines = house.path("lines");
    let express = format!(
        "#!/bin/sh\n\
         sed -u -e \"w {}.$$\" -e '/^{{\"quit\"/q' | '{TIER0}' program express \"$@\"\n",
        lines.display()
    );
    house.program("express.sh", &express);
}

fn write_pipelines(house: &House) {
    for (name, text) in shipped_pipelines() {
        let own = |text: String, program: &str| {
            let shipped = format!("[\"{{tier0}}\", \"program\", \"{program}\"]");
            assert!(text.contains(&shipped), "{name}");
            text.replace(&shipped, &format!("[\"{{program:{program}}}\"]"))
        };
        let text = match name.as_str() {
            "express.toml" => own(text, "express"),
            "prompt.toml" => own(text, "prompt").replace("mode    = \"warm\"\n", ""),
            _ => text,
        };
        house.write(&format!("pipelines/{name}"), text);
    }
    house.write(
        "pipelines/merge.toml",
        "[pipeline]\nname = \"merge\"\ntrigger = { output = \"express.reco.RECO\" }\n\
         processing = \"Merge-v1\"\n\n\
         [[task]]\nname = \"merge\"\n\
         split = { by = \"plugin\", name = \"packer\", program = [\"{program:packer}\"], \
         parameters = { max_bytes = 1000000000 } }\n\
         program = [\"{program:merge}\"]\noutputs = { MERGED = \"bin\" }\n\
         retry = { attempts = 3, policy = \"squared\", base = \"10ms\" }\n",
    );
    // Its end is there before its record is durable: the commit lets a start go first.
    house.write(
        "pipelines/quick.toml",
        "[pipeline]\nname = \"quick\"\ntrigger = { output = \"express.reco.DQM\" }\n\n\
         [[task]]\nname = \"quick\"\nsplit = { by = \"run\" }\nprogram = [\"true\"]\n",
    );
    house.write(
        "pipelines/linger.toml",
        "[pipeline]\nname = \"linger\"\ntrigger = { stream = \"Muons\" }\n\n\
         [[task]]\nname = \"linger\"\nsplit = { by = \"run\" }\n\
         program = [\"{program:linger}\"]\nneeds = { wall = \"20m\" }\n\
         early = false\n",
    );
}

/// Whether a name of the spool is that of data.
fn is_data(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|it| it == "dat")
}

impl Stage {
    fn new(name: &str, scene: Scene, data: &Path) -> Self {
        let config = "[pipelines]\nfolder = \"pipelines\"\n\n\
                      [executor.local]\ncores = 4\npool = 4\n\n\
                      [programs]\nexpress = \"express.sh\"\nprompt = \"prompt.sh\"\n\
                      merge = \"merge.sh\"\nlinger = \"linger.sh\"\npacker = \"packer.py\"\n\n\
                      [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"cms\"\n\
                      label = \"simulated\"\n";
        let release = "[release]\nenabled = true\ncopies = [\"one\", \"two\"]\nsoak = \"50ms\"\n\
                       one_failure_domain = true\n\n";
        let released = format!("{release}{config}");
        let house = match scene {
            Scene::InMemory => House::in_memory(name, &released),
            Scene::Fresh | Scene::LeftOver => House::new(name, &released),
            // What is sent again must find its source.
            Scene::History => {
                let soon = format!("[store]\narchive_after = \"50ms\"\n\n{config}");
                House::new(name, &soon)
            }
        };
        write_programs(&house);
        write_pipelines(&house);
        let all = files_below(data).into_iter().map(|name| {
            let bytes = fs::read(data.join(&name)).expect("what was played can be read");
            (name, bytes)
        });
        let mut later: Vec<(String, Vec<u8>)> = all.collect();
        let is_sidecar = |name: &str| name.contains("_stream") && name.contains(".jsn");
        let sidecars = later.iter().filter(|(name, _)| is_sidecar(name));
        let sidecars = sidecars.cloned().collect();
        let rest = later.split_off(later.len() / 2);
        // What an older life has left where a copy goes.
        let of_data = later.iter().find(|(name, _)| is_data(name));
        let (first, _) = of_data.expect("data are played");
        if scene != Scene::History {
            house.write(&format!("one/daq/{first}"), "of an older life");
            fs::create_dir_all(house.path("two")).expect("the folder is ours");
        }
        for (name, bytes) in later {
            house.put(&name, bytes);
        }
        Self {
            house,
            data: data.to_owned(),
            later: rest,
            given_up: BTreeSet::new(),
            scene,
            sidecars,
            sent_again: None,
        }
    }

    /// What goes on beside the instance: files come, people give jobs up.
    fn go_on(&mut self) {
        for (name, bytes) in std::mem::take(&mut self.later) {
            self.house.put(&name, bytes);
        }
        for job in self.house.rows("jobs").unwrap_or_default() {
            let (id, state) = (number(&job, "id"), text(&job, "state"));
            let task = format!("{}.{}", text(&job, "pipeline"), text(&job, "task"));
            if self.given_up.contains(&id) {
                assert_eq!(
                    state, "cancelled",
                    "what was acknowledged is forgotten: {job}"
                );
            } else if task == GIVEN_UP && ["sent", "running"].contains(&state) {
                let answer = self.house.http(
                    &format!("jobs/{id}:cancel?by=test&reason=endless"),
                    Some("{}"),
                );
                if let Some((status, answer)) = answer {
                    assert_ne!(status, 400, "nobody can be given up like this: {answer}");
                    if status == 200 {
                        self.given_up.insert(id);
                    }
                }
            }
        }
    }

    /// All runs have finished, and all sources are gone.
    fn is_finished(&self) -> bool {
        let runs = self.house.rows("runs").unwrap_or_default();
        let in_state = |state: &str| runs.iter().filter(|run| run["state"] == state).count();
        let (finished, archived) = (in_state("finished"), in_state("archived"));
        if runs.len() != PLAYED.runs || finished + archived != PLAYED.runs {
            return false;
        }
        if self.scene == Scene::History {
            // A run may have to stay: harvests of later ones would read what it has.
            return archived > 0;
        }
        let is_gone = |file: &serde_json::Value| {
            let shown = self
                .house
                .http(&format!("files/{}", number(file, "id")), None);
            shown.is_some_and(|(_, file)| file["source"]["state"] == "unlinked")
        };
        let files = self.house.rows("files").unwrap_or_default();
        !files.is_empty() && files.iter().all(is_gone)
    }

    /// Files are sent again when their runs are history; says whether all is over.
    fn is_over(&mut self) -> bool {
        if !self.is_finished() || self.scene != Scene::History {
            return self.is_finished();
        }
        let Some(at) = self.sent_again else {
            for (name, bytes) in &self.sidecars {
                self.house.put(name, bytes);
            }
            self.sent_again = Some(Instant::now());
            return false;
        };
        at.elapsed() > LOOKED_UP
    }

    /// Two copies of every file are what the data acquisition wrote, and nothing is beside them.
    fn check_copies(&self) {
        let mut names = files_below(&self.data);
        names.retain(|name| is_data(name));
        for place in ["one/daq", "two/daq"] {
            assert_eq!(files_below(&self.house.path(place)), names, "{place}");
            for name in &names {
                let copy = fs::read(self.house.path(place).join(name)).expect("it is listed");
                let written = fs::read(self.data.join(name)).expect("it is listed");
                assert!(copy == written, "{place}/{name} is not its source");
            }
        }
    }

    /// Lives until everything is finished, armed like this start by start; gives what the instances
    /// have said.
    fn live(&mut self, arms: &[String]) -> String {
        let (begin, mut said) = (Instant::now(), String::new());
        let mut arms = arms.iter();
        self.house.launch_with(arms.next().map(String::as_str));
        let mut is_checked = false;
        loop {
            if let Some(status) = self.house.has_ended() {
                said.push_str(&self.house.log());
                assert_eq!(status.signal(), Some(9), "it ended by itself: {said}");
                self.go_on();
                self.house.launch_with(arms.next().map(String::as_str));
                is_checked = false;
            }
            if !is_checked && self.house.log().contains("READY") {
                self.check_epochs();
                is_checked = true;
            }
            self.go_on();
            if self.is_over() {
                return said;
            }
            assert!(begin.elapsed() < LIFE, "{}", self.house.state_of_all());
            std::thread::sleep(LOOK);
        }
    }

    /// No process of an older epoch survives READY.
    fn check_epochs(&self) {
        let Some((200, system)) = self.house.http("system", None) else {
            return;
        };
        let epoch = number(&system, "epoch");
        let mut older = self.house.processes_by_epoch();
        older.retain(|(of, ..)| *of < epoch);
        assert!(older.is_empty(), "epoch {epoch} is ready beside {older:?}");
    }

    /// An instance that died after everything was finished is started again.
    fn revive(&mut self, point: Point) {
        let is_spawner = point.name().starts_with("spawner.");
        if !is_spawner && died_at(&self.house.log(), point) {
            until("the instance ends", PATIENCE, || self.house.has_ended());
            self.house.start();
        }
    }

    /// Ends in order, after a death on the way too; gives what was said.
    fn stop(&mut self) -> String {
        let mut said = String::new();
        loop {
            // It may have died since it was looked at.
            let _ = kill_process(self.house.pid(), Signal::TERM);
            let status = until("the instance ends", PATIENCE, || self.house.has_ended());
            said.push_str(&self.house.log());
            if status.success() {
                let left = self.house.processes();
                assert!(left.is_empty(), "left over: {left:?}");
                return said;
            }
            assert_eq!(status.signal(), Some(9), "{said}");
            self.house.start();
        }
    }

    /// Leaves what an instance leaves that is killed while its spawner is frozen.
    fn leave_over(&mut self) {
        self.house.start();
        let begin = Instant::now();
        let jobs = loop {
            for (name, bytes) in std::mem::take(&mut self.later) {
                self.house.put(&name, bytes);
            }
            let jobs = self.house.rows("jobs").unwrap_or_default();
            let lingers = self.house.processes().iter().any(|p| p.1.contains("sleep"));
            if lingers && !jobs.is_empty() {
                break jobs;
            }
            assert!(begin.elapsed() < LIFE, "{}", self.house.state_of_all());
            std::thread::sleep(LOOK);
        };
        let below = descendants(self.house.pid()).into_iter();
        for spawner in below.filter(|pid| command_line(*pid).contains(" spawner ")) {
            kill_process(spawner, Signal::STOP).expect("it is ours");
        }
        kill_process(self.house.pid(), Signal::KILL).expect("it is our child");
        until("the instance ends", PATIENCE, || self.house.has_ended());
        let (job, run) = (number(&jobs[0], "id"), number(&jobs[0], "run"));
        let storage = "state/storage";
        let name = format!("{storage}/Muons/Express-v1/RECO/SIM/{run}/RECO-{job}-9.parquet");
        self.house.write(&name, "of an attempt that never won");
        self.house.write(&format!("{storage}/.half/a"), "cut short");
    }

    /// No program was started twice under one token, no worker was given a job twice.
    fn check_starts(&self) {
        let mut seen = BTreeSet::new();
        let starts = fs::read_to_string(self.house.path("starts")).unwrap_or_default();
        for token in starts.lines() {
            assert!(seen.insert(token.to_owned()), "{token} was started twice");
        }
        for name in files_below(&self.house.path("")) {
            if !name.starts_with("lines.") {
                continue;
            }
            let lines = fs::read_to_string(self.house.path(&name)).unwrap_or_default();
            for line in lines.lines() {
                let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else {
                    continue; // The worker was killed while it was written.
                };
                let job = &line["job"];
                if job.is_object() {
                    let token = ["epoch", "job", "attempt"].map(|key| number(job, key));
                    let token = format!("express {token:?}");
                    assert!(seen.insert(token.clone()), "{token} was given twice");
                }
            }
        }
        assert!(seen.len() > PLAYED.runs * PLAYED.lumis_per_run);
    }

    fn check(&self, expect: &Outcome) {
        audit::jobs(&self.house, PLAYED, GIVEN_UP);
        if self.scene == Scene::History {
            audit::spool(&self.house, PLAYED, audit::Sources::Stay);
        } else {
            audit::spool(&self.house, PLAYED, audit::Sources::Go);
            self.check_copies();
        }
        Outcome::of(&self.house).is(expect);
        audit::storage(&self.house, PLAYED, DATASETS);
        audit::folders(&self.house);
        self.check_starts();
    }
}

/// How often each point was passed, as instances that only count have said.
fn counts(said: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["failpoint:", name, count] = words[..]
            && let Ok(count) = count.parse::<u32>()
        {
            *counts.entry(name.to_owned()).or_insert(0) += count;
        }
    }
    counts
}

/// Whether somebody has died at a point.
fn died_at(said: &str, point: Point) -> bool {
    let line = format!("failpoint: ended at {}", point.name());
    said.lines().any(|said| said == line)
}

/// Dies at the point, and again while recovering; tells whether the point was reached.
fn perform(trial: Trial, again: Point, data: &Path, expect: &Outcome) -> bool {
    let Trial { point, hit, scene } = trial;
    let mut stage = Stage::new(point.name(), scene, data);
    if scene == Scene::LeftOver {
        stage.leave_over();
    }
    let arms = [format!("{}:{hit}", point.name()), again.name().to_owned()];
    let mut said = stage.live(&arms);
    if !died_at(&said, point) {
        // The spawner may have died instead of the instance.
        said.push_str(&stage.house.log());
    }
    let is_reached = died_at(&said, point);
    if is_reached {
        stage.revive(point);
        stage.check(expect);
        stage.stop();
        return true;
    }
    // A point of an orderly end: then a last life must still have everything.
    let said = stage.stop();
    if died_at(&said, point) {
        stage.house.start();
        stage.check(expect);
        stage.stop();
        return true;
    }
    false
}

/// Names the life that a panic is about.
struct Named(Trial, Point);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!(
                "failpoints: {:?}, then {:?}, failed",
                self.0, self.1
            ));
        }
    }
}

/// A scene, and how often each point is passed in it.
type Passed = (Scene, BTreeMap<String, u32>);

/// Counts how often each point is passed in each scene; the fresh one says what is to come out.
fn survey(data: &Path) -> (Outcome, Vec<Passed>) {
    let (mut outcome, mut surveys) = (None, Vec::new());
    for scene in [
        Scene::Fresh,
        Scene::InMemory,
        Scene::LeftOver,
        Scene::History,
    ] {
        let mut stage = Stage::new("survey", scene, data);
        if scene == Scene::LeftOver {
            stage.leave_over();
        }
        let begin = Instant::now();
        stage.live(&["none".to_owned()]);
        let expect = outcome.get_or_insert_with(|| Outcome::of(&stage.house));
        stage.check(expect);
        let counted = counts(&stage.stop());
        say(&format!(
            "failpoints: {scene:?} passes {} points, {:.1} s",
            counted.len(),
            begin.elapsed().as_secs_f64()
        ));
        surveys.push((scene, counted));
    }
    (outcome.expect("there is a scene"), surveys)
}

/// What to die at: each point in the first scene that passes it, at hits drawn from all of them.
fn trials(surveys: &[(Scene, BTreeMap<String, u32>)], draw: &mut Draw, hits: usize) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut never = Vec::new();
    for point in Point::ALL.iter().copied() {
        let passed = surveys
            .iter()
            .find_map(|(scene, counts)| Some((*scene, *counts.get(point.name())?)));
        let Some((scene, count)) = passed else {
            never.push(point.name());
            continue;
        };
        let mut drawn: BTreeSet<u32> = BTreeSet::new();
        if hits >= count as usize {
            drawn.extend(1..=count);
        }
        while drawn.len() < hits.min(count as usize) {
            drawn.insert(draw.below(count as usize) as u32 + 1);
        }
        trials.extend(drawn.into_iter().map(|hit| Trial { point, hit, scene }));
    }
    assert!(never.is_empty(), "nobody passes these points: {never:?}");
    trials
}

fn play() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (data, truth, spool) = (path("sim.csv"), path("truth"), path("spool"));
    let slice = PLAYED.events_per_lumi.to_string();
    // The generator makes three runs at least.
    let runs = (PLAYED.runs + 1).to_string();
    let events = (PLAYED.lumis_per_run * PLAYED.events_per_lumi).to_string();
    let mut mc = vec!["program", "mc", "--out", &data, "--truth", &truth];
    mc.extend(["--seed", "11", "--runs", &runs, "--events-per-run", &events]);
    let mut inject = vec!["inject", "--data", &data, "--spool", &spool];
    inject.extend(["--slice-events", &slice, "--drop-run", "900003"]);
    for arguments in [mc, inject] {
        let said = tier0(&arguments);
        assert_eq!(said.code, 0, "{said:?}");
    }
    let spool = folder.path().join("spool");
    (folder, spool)
}

/// And the real part of F32 and F33.
#[test]
fn f01_f02_a_death_at_any_point_changes_nothing() {
    let (seed, hits) = (seed(), setting("TIER0_FAILPOINT_HITS", 1));
    say(&format!(
        "failpoints: seed {seed} (again with TIER0_KILLS_SEED={seed})"
    ));
    let begin = Instant::now();
    let mut draw = Draw(seed);
    let (_folder, data) = play();
    let (expect, surveys) = survey(&data);
    let trials = trials(&surveys, &mut draw, hits);
    let starts = points_of_a_start();
    let lives: Vec<(Trial, Point)> = trials
        .into_iter()
        .map(|trial| (trial, starts[draw.below(starts.len())]))
        .collect();
    let deaths = lives.len();
    let (lives, missed) = (Mutex::new(lives), Mutex::new(Vec::new()));
    let next = || lives.lock().expect("nobody panics with it").pop();
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((trial, again)) = next() {
                    let _named = Named(trial, again);
                    // One life may pass a point less often than another; the first time it does.
                    let first = Trial { hit: 1, ..trial };
                    let is_reached = perform(trial, again, &data, &expect)
                        || perform(first, again, &data, &expect);
                    if !is_reached {
                        let mut missed = missed.lock().expect("nobody panics with it");
                        missed.push(trial.point.name());
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().expect("nobody panicked with it");
    assert!(missed.is_empty(), "never reached: {missed:?}");
    say(&format!(
        "{} points, {deaths} deaths and as many while recovering: equal digest, 0 lost, \
         0 doubled, 0 orphans; {:.0} s",
        Point::ALL.len(),
        begin.elapsed().as_secs_f64()
    ));
}
