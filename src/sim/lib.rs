//! A virtual world around the same engine: years of trouble in minutes, each of them told by one
//! number.
//!
//! In comes a range of seeds, out comes which promises held. A seed makes up runs and files, faults
//! of everything around the engine and crashes of the engine itself, drives it exactly as the real
//! driver does, and checks the promises of RELIABILITY.md as it goes. Then the faults end, and
//! everything must come to its end too. There is no clock, no thread and no adapter in here; the
//! same seed is the same story on any machine.

mod backing;
mod chance;
mod coverage;
mod definitions;
mod detector;
mod disk;
mod driver;
mod executor;
mod facts;
mod lists;
mod faults;
mod history;
mod operators;
mod orders;
mod programs;
mod promises;
mod puts;
mod random;
mod redone;
mod restart;
mod settled;
mod shrink;
mod sources;
mod splitters;
mod storage;
mod store;
mod story;
mod tables;
mod tale;
mod told;
mod world;

pub use backing::Backing;

pub use chance::Decision;
pub use detector::Cut;
pub use shrink::{Shrunk, Size, Small, replay, shrink};
pub use told::{Life, Step, lives};

use faults::Faults;
use pipelines::definition::Definition;
use promises::ConstantsOf;
use random::{Random, mix};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::panic::{AssertUnwindSafe, catch_unwind};
use story::Line;
use world::{Way, World};

/// What to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many seeds.
    pub seeds: u64,
    /// The first of them.
    pub first_seed: u64,
    /// How long the faults last, in steps of 40 virtual milliseconds.
    pub steps: u64,
}

impl Options {
    /// The whole of a seed.
    fn way<'a>(&self, seed: u64, definitions: &'a [Definition]) -> Way<'a> {
        Way {
            seed,
            steps: self.steps,
            definitions,
            cut: Cut::default(),
            only: None,
            is_strict: false,
            is_broken: false,
        }
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The seed that shows it.
    pub seed: u64,
    /// The promise, and the last events before it was seen broken, in words.
    pub story: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Seeds simulated.
    pub seeds: u64,
    /// Seeds that broke a promise.
    pub violations: u64,
    /// What happened, and how often: a campaign that never met a fault has proved nothing about it.
    pub coverage: BTreeMap<String, u64>,
    /// In how many seeds each of them happened.
    pub seeds_with: BTreeMap<String, u64>,
    /// The first broken promise.
    pub first_violation: Option<Violation>,
}

impl Summary {
    /// Adds the summary of other seeds; the lower seed's violation stays.
    pub fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.violations += other.violations;
        for (what, count) in other.coverage {
            *self.coverage.entry(what).or_default() += count;
        }
        for (what, seeds) in other.seeds_with {
            *self.seeds_with.entry(what).or_default() += seeds;
        }
        let both = self
            .first_violation
            .take()
            .into_iter()
            .chain(other.first_violation);
        self.first_violation = both.min_by_key(|violation| violation.seed);
    }
}

/// What the numbers are drawn from that say which faults a seed has.
const FAULTS_KEY: u64 = 0x6661_756c_7473;
/// Events of a seed that is told as it is: the last of them.
const LAST_LINES: usize = 60;

/// How one seed went.
struct Course {
    result: Result<(), String>,
    hash: u64,
    coverage: BTreeMap<Met, u64>,
    lines: Vec<Line>,
    /// What went wrong, if it is told in words.
    happened: Vec<Decision>,
    world: Vec<String>,
}

/// Something that a seed has met; in words only once all seeds are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    Said(&'static str),
    Step(coverage::Step),
    Premise(&'static str),
}

impl Display for Met {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(what) => f.write_str(what),
            Self::Step((machine, from, to)) => write!(f, "{machine}: {from} -> {to}"),
            Self::Premise(premise) => write!(f, "premise {premise}"),
        }
    }
}

/// Makes a real store for a seed.
pub type MakeBacking<'m> = &'m mut dyn FnMut(u64) -> Box<dyn Backing>;

/// Simulates seeds, one after the other.
pub fn simulate(options: Options) -> Summary {
    let definitions = definitions::all();
    simulate_with(options, |seed, in_words| {
        run_seed(&options.way(seed, &definitions), in_words, None)
    })
}

/// Simulates seeds with a real store behind each: batches are committed to both, restarts read the
/// real one, and its rows must be those of the model.
pub fn simulate_backed(options: Options, make: MakeBacking<'_>) -> Summary {
    let definitions = definitions::all();
    simulate_with(options, |seed, in_words| {
        let backing = Some(make(seed));
        run_seed(&options.way(seed, &definitions), in_words, backing)
    })
}

fn simulate_with(options: Options, mut run: impl FnMut(u64, bool) -> Course) -> Summary {
    let mut summary = Summary::default();
    let mut met: BTreeMap<Met, (u64, u64)> = BTreeMap::new();
    for seed in options.first_seed..options.first_seed.saturating_add(options.seeds) {
        let course = run(seed, false);
        summary.seeds += 1;
        for (what, count) in course.coverage {
            let (times, seeds) = met.entry(what).or_default();
            *times += count;
            *seeds += 1;
        }
        if let Err(promise) = course.result {
            summary.violations += 1;
            if summary.first_violation.is_none() {
                let told = run(seed, true);
                let lines = told.lines.iter().map(|line| line.words.as_str());
                let last: Vec<&str> = lines
                    .skip(told.lines.len().saturating_sub(LAST_LINES))
                    .collect();
                let story = format!("{promise}\n{}", last.join("\n"));
                summary.first_violation = Some(Violation { seed, story });
            }
        }
    }
    for (what, (times, seeds)) in met {
        *summary.coverage.entry(what.to_string()).or_default() += times;
        *summary.seeds_with.entry(what.to_string()).or_default() += seeds;
    }
    summary
}

/// A hash of everything that happens in a seed: the same seed gives the same hash.
pub fn trace_hash(seed: u64, steps: u64) -> u64 {
    let options = Options {
        seeds: 1,
        first_seed: seed,
        steps,
    };
    let definitions = definitions::all();
    run_seed(&options.way(seed, &definitions), false, None).hash
}

/// All that happens in a seed, in words, and its hash.
pub struct Trace {
    /// Events in their order.
    pub lines: Vec<String>,
    /// As [`trace_hash`] gives it.
    pub hash: u64,
    /// The promise that was broken, if one was.
    pub result: Result<(), String>,
}

/// Tells a seed.
pub fn trace(options: Options) -> Trace {
    let definitions = definitions::all();
    let course = run_seed(&options.way(options.first_seed, &definitions), true, None);
    let mut lines = course.world;
    lines.extend(course.lines.into_iter().map(|line| line.words));
    Trace {
        lines,
        hash: course.hash,
        result: course.result,
    }
}

/// One seed. A panic of the engine is a broken promise as well.
fn run_seed(way: &Way<'_>, in_words: bool, backing: Option<Box<dyn Backing>>) -> Course {
    let faults = Faults::draw(&mut Random::new(mix(way.seed ^ FAULTS_KEY)));
    let mut world = World::new(way, &faults, in_words);
    world.backing = backing;
    let result = catch_unwind(AssertUnwindSafe(|| {
        world.begin()?;
        world.run()?;
        world.check_end()?;
        if !faults.harsh && way.seed.is_multiple_of(COMPARED_EVERY) {
            compare_undisturbed(way, &mut world)?;
        }
        Ok(())
    }));
    let result = result.unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        let text = text.or_else(|| cause.downcast_ref::<&str>().map(|t| (*t).to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    });
    world.story.mix(world.engine.next_id() as u64);
    let hash = world.story.hash();
    let happened = world.chance.happened();
    let in_words = if in_words {
        world.in_words()
    } else {
        Vec::new()
    };
    let (counts, lines) = world.story.into_parts();
    let own = counts.into_iter().map(|(what, n)| (Met::Said(what), n));
    let mut coverage: BTreeMap<Met, u64> = own.collect();
    coverage.insert(Met::Said("turns"), world.turns);
    coverage.insert(Met::Said("steps of the engine"), world.steps);
    world.coverage.into_counts(&mut coverage);
    let met = ["runs overlap", "crash", "completion lost"];
    if met
        .iter()
        .all(|what| coverage.contains_key(&Met::Said(what)))
    {
        coverage.insert(Met::Said(TOGETHER), 1);
    }
    Course {
        result,
        hash,
        coverage,
        lines,
        happened,
        world: in_words,
    }
}

/// Seeds that met the three of them.
pub const TOGETHER: &str = "overlapping runs, a restart and a lost completion together";

/// One gentle seed in so many is compared with an undisturbed pass. A pass costs a third of a seed
/// with all its checks, and what it shows - that no order of events changes a constant - was never
/// shown by fewer than many seeds: half of them tell as much as all, in less time.
const COMPARED_EVERY: u64 = 2;

/// Whatever went wrong, the constants are those of a pass in which nothing did.
fn compare_undisturbed(way: &Way<'_>, world: &mut World) -> Result<(), String> {
    let quiet = Faults::default();
    let whole = Way {
        is_broken: false,
        ..way.clone()
    };
    let mut undisturbed = World::new(&whole, &quiet, false);
    undisturbed.quiet = true;
    undisturbed.run()?;
    undisturbed.check_end()?;
    let expected = ConstantsOf::of(undisturbed.kept());
    let got = ConstantsOf::of(world.kept());
    world.story.count("compared with an undisturbed pass");
    got.differ(&expected).map_or(Ok(()), Err)
}
