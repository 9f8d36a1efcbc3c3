//! `tier0 simulate`: seeds of the simulated world, spread over the cores.
//!
//! In: which seeds. Out: how many broke a promise, what has happened in them, and the story of the
//! first that did. Must never call a campaign fine in which a promise was broken.

use super::Desk;
use super::outcome::{Exit, Failure};
use clap::Args;
use serde_json::json;
use sim::{Options, Summary, simulate, trace_hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const SIMULATE_EXAMPLES: &str = "\
Examples:
  tier0 simulate --seeds 10000
  tier0 simulate --first-seed 243 --seeds 1      one seed again, with its story if it fails
  tier0 simulate --seeds 100 --trace             each seed twice: their traces must be the same";

/// Seeds that a thread takes at a time.
const CHUNK: u64 = 50;

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
    /// How long the faults of a seed last, in steps of 40 virtual milliseconds
    #[arg(long, default_value_t = 200)]
    steps: u64,
    /// Print each seed's trace hash, made twice, instead of checking promises
    #[arg(long)]
    trace: bool,
}

pub(super) fn run(arguments: &SimulateArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    if arguments.trace {
        return traces(arguments, desk);
    }
    let started = Instant::now();
    let summary = campaign(arguments);
    let seeds_per_s = summary.seeds as f64 / started.elapsed().as_secs_f64();
    if desk.common.json {
        let first = summary
            .first_violation
            .as_ref()
            .map(|violation| json!({ "seed": violation.seed, "story": violation.story }));
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
        if let Some(violation) = &summary.first_violation {
            writeln!(
                desk.out,
                "seed {} broke a promise:\n{}",
                violation.seed, violation.story
            )?;
        }
    }
    Ok(if summary.violations == 0 {
        Exit::Fine
    } else {
        Exit::Problems
    })
}

/// Threads that work on seeds: one a core.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// All seeds, on all cores.
fn campaign(arguments: &SimulateArgs) -> Summary {
    let next = AtomicU64::new(0);
    let work = || {
        let mut mine = Summary::default();
        loop {
            // Which thread takes which chunk does not matter: sums are the same in any order.
            let begin = next.fetch_add(CHUNK, Ordering::Relaxed);
            if begin >= arguments.seeds {
                return mine;
            }
            mine.add(simulate(Options {
                seeds: CHUNK.min(arguments.seeds - begin),
                first_seed: arguments.first_seed + begin,
                steps: arguments.steps,
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

fn traces(arguments: &SimulateArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    let mut differ = 0;
    for seed in arguments.first_seed..arguments.first_seed + arguments.seeds {
        let (once, again) = (
            trace_hash(seed, arguments.steps),
            trace_hash(seed, arguments.steps),
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
