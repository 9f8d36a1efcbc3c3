//! A virtual world around the same engine: years of trouble in minutes, each of them told by one
//! number.
//!
//! In comes a range of seeds, out comes which promises held. A seed makes up runs and files, faults
//! of everything around the engine and crashes of the engine itself, drives it exactly as the real
//! driver does, and checks the promises of RELIABILITY.md as it goes. Then the faults end, and
//! everything must come to its end too. There is no clock, no thread and no adapter in here; the
//! same seed is the same story on any machine.

mod backing;
mod coverage;
mod definitions;
mod detector;
mod disk;
mod driver;
mod executor;
mod faults;
mod history;
mod operators;
mod programs;
mod promises;
mod random;
mod restart;
mod settled;
mod storage;
mod store;
mod story;
mod tables;
mod world;

pub use backing::Backing;

use faults::Faults;
use pipelines::definition::Definition;
use promises::ConstantsOf;
use random::{Random, mix};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use story::Story;
use world::World;

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

/// How one seed went.
struct Course {
    result: Result<(), String>,
    hash: u64,
    coverage: BTreeMap<String, u64>,
    lines: Vec<String>,
}

/// Makes a real store for a seed.
pub type MakeBacking<'m> = &'m mut dyn FnMut(u64) -> Box<dyn Backing>;

/// Simulates seeds, one after the other.
pub fn simulate(options: Options) -> Summary {
    let definitions = definitions::all();
    simulate_with(options, |seed, in_words| {
        run_seed(seed, options.steps, &definitions, in_words, None)
    })
}

/// Simulates seeds with a real store behind each: batches are committed to both, restarts read the
/// real one, and its rows must be those of the model.
pub fn simulate_backed(options: Options, make: MakeBacking<'_>) -> Summary {
    let definitions = definitions::all();
    simulate_with(options, |seed, in_words| {
        let backing = Some(make(seed));
        run_seed(seed, options.steps, &definitions, in_words, backing)
    })
}

fn simulate_with(options: Options, mut run: impl FnMut(u64, bool) -> Course) -> Summary {
    let mut summary = Summary::default();
    for seed in options.first_seed..options.first_seed.saturating_add(options.seeds) {
        let course = run(seed, false);
        summary.seeds += 1;
        for (what, count) in course.coverage {
            *summary.seeds_with.entry(what.clone()).or_default() += 1;
            *summary.coverage.entry(what).or_default() += count;
        }
        if let Err(promise) = course.result {
            summary.violations += 1;
            if summary.first_violation.is_none() {
                let told = run(seed, true);
                let story = format!("{promise}\n{}", told.lines.join("\n"));
                summary.first_violation = Some(Violation { seed, story });
            }
        }
    }
    summary
}

/// A hash of everything that happens in a seed: the same seed gives the same hash.
pub fn trace_hash(seed: u64, steps: u64) -> u64 {
    run_seed(seed, steps, &definitions::all(), false, None).hash
}

/// One seed. A panic of the engine is a broken promise as well.
fn run_seed(
    seed: u64,
    steps: u64,
    definitions: &[Definition],
    in_words: bool,
    backing: Option<Box<dyn Backing>>,
) -> Course {
    let faults = Faults::draw(&mut Random::new(mix(seed ^ 0x6661_756c_7473)));
    let mut world = World::new(seed, definitions, &faults, steps, Story::new(in_words));
    world.backing = backing;
    let result = catch_unwind(AssertUnwindSafe(|| {
        world.begin()?;
        world.run()?;
        world.check_end()?;
        if !faults.harsh {
            compare_undisturbed(seed, steps, definitions, &mut world)?;
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
    let (counts, lines) = world.story.into_parts();
    let own = counts.into_iter().map(|(what, n)| (what.to_owned(), n));
    let mut coverage: BTreeMap<String, u64> = own.collect();
    coverage.insert("turns".to_owned(), world.turns);
    coverage.insert("steps of the engine".to_owned(), world.steps);
    world.coverage.into_counts(&mut coverage);
    let met = ["runs overlap", "crash", "completion lost"];
    if met.iter().all(|what| coverage.contains_key(*what)) {
        coverage.insert(TOGETHER.to_owned(), 1);
    }
    Course {
        result,
        hash,
        coverage,
        lines,
    }
}

/// Seeds that met the three of them.
pub const TOGETHER: &str = "overlapping runs, a restart and a lost completion together";

/// Whatever went wrong, the constants are those of a pass in which nothing did.
fn compare_undisturbed(
    seed: u64,
    steps: u64,
    definitions: &[Definition],
    world: &mut World,
) -> Result<(), String> {
    let quiet = Faults::default();
    let mut undisturbed = World::new(seed, definitions, &quiet, steps, Story::new(false));
    undisturbed.quiet = true;
    undisturbed.run()?;
    undisturbed.check_end()?;
    let expected = ConstantsOf::of(&undisturbed.store.tables);
    let got = ConstantsOf::of(&world.store.tables);
    world.story.count("compared with an undisturbed pass");
    got.differ(&expected).map_or(Ok(()), Err)
}
