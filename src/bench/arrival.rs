//! From a renamed file to a started program: paced, in bursts, and through a kill.
//!
//! In: rate, numbers of files, what to start. Out: the summary. In every repetition the targets
//! take turns file by file, so that whatever else the machine does meets all of them; a burst then
//! goes to each, and at last one to the instance alone, which is killed half-way and started again.

use super::crash::{Account, Rows};
use super::figures::{Figures, Repetition, Summary};
use super::rooms::Rooms;
use super::targets::{Raw, Target};
use super::{BenchError, machine, on};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Repetitions: medians of fewer say little.
const REPETITIONS: usize = 3;
/// Pause before the memory of an idle instance is read: threads have finished their first work.
const SETTLE: Duration = Duration::from_secs(1);
/// Orders in which the three targets take turns, so that none always follows the same other.
const TURNS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [2, 0, 1],
    [1, 2, 0],
    [0, 2, 1],
    [1, 0, 2],
    [2, 1, 0],
];
const PAYLOAD: &[u8] = b"one event\n";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct ArrivalOptions {
    /// Files a second for each target.
    pub rate_hz: f64,
    /// Paced files for each target in a repetition.
    pub files: u32,
    /// Files in a burst.
    pub burst: u32,
    /// Started instead of our own stamp.
    pub program: Option<PathBuf>,
    /// Where the bench's folder is made.
    pub parent: PathBuf,
}

/// Runs the bench; `happens` hears what happens as it happens.
pub fn arrival(
    options: &ArrivalOptions,
    happens: &mut dyn FnMut(&str),
) -> Result<Summary, BenchError> {
    let rooms = Rooms::make(&options.parent, options.program.as_deref())?;
    let targets = [
        Target::ours(&rooms)?,
        Target::raw(&rooms, Raw::Plain)?,
        Target::raw(&rooms, Raw::Folder)?,
    ];
    std::thread::sleep(SETTLE);
    let rows = Rows::open(&rooms.path("state"))?;
    let mut bench = Bench {
        idle_rss_bytes: targets[0].memory_bytes("VmRSS"),
        options,
        targets,
        rows,
        rooms: &rooms,
        given: Vec::new(),
        account: Account::default(),
    };
    let mut repetitions = Vec::new();
    for number in 0..REPETITIONS {
        happens(&format!("repetition {} of {REPETITIONS}", number + 1));
        repetitions.push(bench.repetition(number)?);
    }
    let summary = Summary {
        rate_hz: options.rate_hz,
        files: options.files,
        burst: options.burst,
        repetitions,
        lost: bench.account.lost,
        doubled: bench.account.doubled,
        idle_rss_bytes: bench.idle_rss_bytes,
    };
    drop(bench);
    if summary.is_fine() {
        rooms.clear();
    } else {
        happens(&format!("kept for a look: {}", rooms.folder.display()));
    }
    Ok(summary)
}

struct Bench<'b> {
    options: &'b ArrivalOptions,
    rooms: &'b Rooms,
    /// Ours, raw, raw with folders.
    targets: [Target; 3],
    rows: Rows,
    /// Every file renamed into ours so far.
    given: Vec<String>,
    account: Account,
    idle_rss_bytes: u64,
}

impl Bench<'_> {
    fn repetition(&mut self, number: usize) -> Result<Repetition, BenchError> {
        let before = self.given.len();
        let mut figures = self.paced(number)?;
        for place in TURNS[number % TURNS.len()] {
            self.burst(number, place, &mut figures[place])?;
        }
        for (target, figures) in self.targets.iter().zip(&mut figures) {
            figures.peak_rss_bytes = target.memory_bytes("VmHWM") as f64;
        }
        // Nothing was killed meanwhile: whatever was started twice was doubled.
        let ours = &self.targets[0].stamps;
        let alive = &self.given[before..];
        let twice = alive.iter().filter(|name| ours.count(name) > 1);
        self.account.doubled += twice.count() as u64;
        self.crash(number)?;
        let [ours, raw, raw_folder] = figures;
        Ok(Repetition {
            ours,
            raw,
            raw_folder,
        })
    }

    /// Makes files beside the spool folders, to be renamed later.
    fn make(&self, prefix: &str, files: u32) -> Result<Vec<String>, BenchError> {
        let folder = self.rooms.room("made")?;
        let names: Vec<String> = (1..=files).map(|n| format!("{prefix}-{n:06}")).collect();
        for name in &names {
            let path = folder.join(name);
            std::fs::write(&path, PAYLOAD).map_err(on("making", path))?;
        }
        Ok(names)
    }

    fn made(&self, name: &str) -> PathBuf {
        self.rooms.path("made").join(name)
    }

    /// The targets in turn, file by file, each at the paced rate.
    fn paced(&mut self, number: usize) -> Result<[Figures; 3], BenchError> {
        let mut names = Vec::new();
        for place in 0..self.targets.len() {
            names.push(self.make(&format!("paced{number}{place}"), self.options.files)?);
        }
        let cpu_before = self.cpu_s();
        let pace = Duration::from_secs_f64(1.0 / self.options.rate_hz / 3.0);
        let began = Instant::now();
        let mut renamed_ns = [const { Vec::new() }; 3];
        let mut turn = 0;
        for file in 0..self.options.files as usize {
            for place in TURNS[file % TURNS.len()] {
                let due = pace * turn;
                turn += 1;
                if let Some(rest) = due.checked_sub(began.elapsed()) {
                    std::thread::sleep(rest);
                }
                let name = &names[place][file];
                let at_ns = self.targets[place].arrive(&self.made(name), name)?;
                renamed_ns[place].push(at_ns);
            }
        }
        for (target, names) in self.targets.iter_mut().zip(&names) {
            target.wait_for_all(names)?;
        }
        self.given.extend(names[0].iter().cloned());
        self.rows.wait_for_done(self.given.len() as u64)?;
        let cpu_after = self.cpu_s();
        let mut figures = [Figures::default(); 3];
        for place in 0..3 {
            let stamps = &self.targets[place].stamps;
            let latencies_ns = names[place]
                .iter()
                .zip(&renamed_ns[place])
                .filter_map(|(name, at_ns)| Some(stamps.first(name)? - at_ns));
            figures[place] = Figures::of_latencies(latencies_ns.collect());
            figures[place].cpu_s = cpu_after[place] - cpu_before[place];
        }
        Ok(figures)
    }

    fn cpu_s(&self) -> [f64; 3] {
        [0, 1, 2].map(|place| self.targets[place].cpu_s())
    }

    /// Files back to back into one target.
    fn burst(
        &mut self,
        number: usize,
        place: usize,
        figures: &mut Figures,
    ) -> Result<(), BenchError> {
        let names = self.make(&format!("burst{number}{place}"), self.options.burst)?;
        let cpu_before = self.targets[place].cpu_s();
        let began_ns = machine::now_ns();
        for name in &names {
            self.targets[place].arrive(&self.made(name), name)?;
        }
        self.targets[place].wait_for_all(&names)?;
        if place == 0 {
            self.given.extend(names.iter().cloned());
            self.rows.wait_for_done(self.given.len() as u64)?;
        }
        let stamps = &self.targets[place].stamps;
        let last_ns = names.iter().filter_map(|name| stamps.first(name)).max();
        let took_s = (last_ns.unwrap_or(began_ns) - began_ns) as f64 / 1e9;
        figures.rate_per_s = f64::from(self.options.burst) / took_s;
        figures.burst_cpu_s = self.targets[place].cpu_s() - cpu_before;
        Ok(())
    }

    /// A burst into the instance, killed with half of it started, and what is left of it.
    fn crash(&mut self, number: usize) -> Result<(), BenchError> {
        let names = self.make(&format!("crash{number}"), self.options.burst)?;
        for name in &names {
            self.targets[0].arrive(&self.made(name), name)?;
        }
        let half = self.targets[0].stamps.files() + names.len() / 2;
        self.targets[0].wait_for(half)?;
        self.targets[0].crash_and_restart(self.rooms)?;
        self.given.extend(names);
        self.rows.wait_for_done(self.given.len() as u64)?;
        let account = self.rows.account(&self.given)?;
        self.account.lost += account.lost;
        self.account.doubled += account.doubled;
        Ok(())
    }
}
