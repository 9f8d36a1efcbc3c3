//! Plays seeds of the simulated world, one after the other, and stops at the first broken promise.
//!
//! In: how many seeds, the first of them, and how many steps of 40 virtual milliseconds the faults
//! of each last (200, as in `tests/sim.rs`). Out: one line, `survived N seeds, ...` with what was
//! played, or `caught SEED PROMISE`. It is an example of the room `src/sim`, so that a planted bug
//! costs the building of the pure rooms only; a panic, a hang or an overflow of a planted bug is
//! seen by `run.py` outside.

use std::error::Error;
use tier0_sim::{Options, Summary, simulate};

/// Seeds between two looks at what came of them.
const CHUNK: u64 = 50;

#[expect(clippy::print_stdout, reason = "the answer of a program")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise: u64| match arguments.next() {
        Some(text) => text.parse::<u64>(),
        None => Ok(otherwise),
    };
    let (seeds, begin, steps) = (number(2_000)?, number(0)?, number(200)?);
    let mut played = Summary::default();
    for first_seed in (begin..begin + seeds).step_by(CHUNK as usize) {
        let summary = simulate(Options {
            seeds: CHUNK.min(begin + seeds - first_seed),
            first_seed,
            steps,
        });
        if let Some(violation) = &summary.first_violation {
            let promise = violation.story.lines().next().unwrap_or_default();
            println!("caught {} {promise}", violation.seed);
            return Ok(());
        }
        played.add(summary);
    }
    let count = |what: &str| played.coverage.get(what).copied().unwrap_or(0);
    let (turns, inputs) = (count("turns"), count("steps of the engine"));
    println!("survived {seeds} seeds, {turns} turns, {inputs} inputs of the engine");
    Ok(())
}
