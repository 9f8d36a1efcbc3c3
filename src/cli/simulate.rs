//! `tier0 simulate`: seeds of the simulated world, spread over the cores.
//!
//! In: which seeds. Out: how many broke a promise, what has happened in them, and the story of the
//! first that did, made small, with the file that keeps it. Must never call a campaign fine in
//! which a promise was broken.

use super::Desk;
use super::outcome::{Exit, Failure};
use crate::regression;
use clap::Args;
use serde_json::json;
use sim::{Options, Summary, shrink, simulate, trace, trace_hash};
use std::panic::{set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SIMULATE_EXAMPLES: &str = "\
Examples:
  tier0 simulate --seeds 10000
  tier0 simulate --seed 243                      one seed again, with its story if it fails
  tier0 simulate --seed 243 --trace              everything that happens in it
  tier0 simulate --seeds 100 --trace             each seed twice: their traces must be the same";

/// Seeds that a thread takes at a time.
const CHUNK: u64 = 50;

/// How long a failing seed is made smaller.
const SHRINK_PATIENCE: Duration = Duration::from_mins(1);

/// Runs the engine in a simulated world.
#[derive(Debug, Args)]
#[command(after_help = SIMULATE_EXAMPLES)]
pub struct SimulateArgs {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Only this one
    #[arg(long, conflicts_with_all = ["seeds", "first_seed"])]
    seed: Option<u64>,
    /// How long the faults of a seed last, in steps of 40 virtual milliseconds
    #[arg(long, default_value_t = 200)]
    steps: u64,
    /// Print each seed's trace hash, made twice, instead of checking promises; with --seed, tell
    /// everything that happens in it
    #[arg(long)]
    trace: bool,
}

pub(super) fn run(arguments: &SimulateArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    let mut options = Options {
        seeds: arguments.seeds,
        first_seed: arguments.first_seed,
        steps: arguments.steps,
    };
    if let Some(seed) = arguments.seed {
        (options.first_seed, options.seeds) = (seed, 1);
    }
    match (arguments.trace, arguments.seed) {
        (true, Some(_)) => return tell(options, desk),
        (true, None) => return traces(options, desk),
        (false, _) => {}
    }
    let started = Instant::now();
    let summary = campaign(options);
    let seeds_per_s = summary.seeds as f64 / started.elapsed().as_secs_f64();
    let first = first_violation(&summary, options, desk);
    if desk.common.json {
        let first = first
            .map(|(seed, story, file)| json!({ "seed": seed, "story": story, "regression": file }));
        desk.document(&json!({
            "seeds": summary.seeds,
            "violations": summary.violations,
            "seeds_per_s": seeds_per_s,
            "seeds_per_core_s": seeds_per_s / threads() as f64,
            "cores": threads(),
            "coverage": summary.coverage,
            "seeds_with": summary.seeds_with,
            "first_violation": first,
        }))?;
    } else {
        let (seeds, violations) = (summary.seeds, summary.violations);
        writeln!(
            desk.out,
            "{seeds} seeds, {violations} violations, {seeds_per_s:.0} seeds/s; what happened:"
        )?;
        for (what, times) in &summary.coverage {
            let met = summary.seeds_with.get(what).copied().unwrap_or(0);
            let percent = 100.0 * met as f64 / seeds.max(1) as f64;
            writeln!(
                desk.out,
                "  {times:>9}  in {percent:>5.1}% of seeds  {what}"
            )?;
        }
        if let Some((seed, story, file)) = first {
            writeln!(desk.out, "seed {seed} broke a promise:\n{story}")?;
            if let Some(file) = file {
                let file: Vec<&str> = file.lines().filter(|line| !line.starts_with('#')).collect();
                let file = file.join("\n");
                writeln!(desk.out, "\nas a file in tests/regressions:\n{file}")?;
            }
        }
    }
    Ok(if summary.violations == 0 {
        Exit::Fine
    } else {
        Exit::Problems
    })
}

/// The first seed that broke a promise, made small: its story, and the file that keeps it. One that
/// does not show it again alone is told as it was.
fn first_violation(
    summary: &Summary,
    options: Options,
    desk: &mut Desk,
) -> Option<(u64, String, Option<String>)> {
    let violation = summary.first_violation.as_ref()?;
    let seed = violation.seed;
    desk.say(&format!(
        "seed {seed} broke a promise; looking for the shortest way there"
    ));
    let alone = Options {
        seeds: 1,
        first_seed: seed,
        ..options
    };
    let started = Instant::now();
    // A panic of the engine is looked for a hundred times: said once is enough.
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let shrunk = shrink(alone, &mut || started.elapsed() < SHRINK_PATIENCE);
    set_hook(hook);
    let Some(shrunk) = shrunk else {
        return Some((seed, violation.story.clone(), None));
    };
    let (before, after, tries) = (shrunk.before, shrunk.after, shrunk.tries);
    desk.say(&format!(
        "{} faults and {} events became {} and {} in {tries} tries, {:.1} s",
        before.decisions,
        before.events,
        after.decisions,
        after.events,
        started.elapsed().as_secs_f64()
    ));
    let file = regression::to_text(&shrunk.small, &shrunk.story);
    Some((seed, shrunk.story, Some(file)))
}

/// Threads that work on seeds: one a core.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// All seeds, on all cores.
fn campaign(options: Options) -> Summary {
    let next = AtomicU64::new(0);
    let work = || {
        let mut mine = Summary::default();
        loop {
            // Which thread takes which chunk does not matter: sums are the same in any order.
            let begin = next.fetch_add(CHUNK, Ordering::Relaxed);
            if begin >= options.seeds {
                return mine;
            }
            mine.add(simulate(Options {
                seeds: CHUNK.min(options.seeds - begin),
                first_seed: options.first_seed + begin,
                steps: options.steps,
            }));
        }
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads()).map(|_| scope.spawn(work)).collect();
        let mut all = Summary::default();
        for handle in handles {
            // A panic in the engine is a violation of the worst kind: it must not be lost.
            match handle.join() {
                Ok(summary) => all.add(summary),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    })
}

/// Everything that happens in one seed.
fn tell(options: Options, desk: &mut Desk) -> Result<Exit, Failure> {
    let trace = trace(options);
    for line in &trace.lines {
        writeln!(desk.out, "{line}")?;
    }
    writeln!(desk.out, "trace {:016x}", trace.hash)?;
    match trace.result {
        Ok(()) => Ok(Exit::Fine),
        Err(promise) => {
            writeln!(desk.out, "{promise}")?;
            Ok(Exit::Problems)
        }
    }
}

fn traces(options: Options, desk: &mut Desk) -> Result<Exit, Failure> {
    let mut differ = 0;
    for seed in options.first_seed..options.first_seed.saturating_add(options.seeds) {
        let (once, again) = (
            trace_hash(seed, options.steps),
            trace_hash(seed, options.steps),
        );
        differ += u64::from(once != again);
        let verdict = if once == again {
            "twice the same"
        } else {
            "DIFFERENT the second time"
        };
        writeln!(desk.out, "seed {seed}: {once:016x} {verdict}")?;
    }
    Ok(if differ == 0 {
        Exit::Fine
    } else {
        Exit::Problems
    })
}
