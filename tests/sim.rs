//! Ten thousand seeds of trouble, and not one broken promise.
//!
//! In comes nothing, out comes the verdict of the simulator (the room `src/sim`): each seed is a
//! world of its own with faults around the engine and crashes of the engine itself. A failure
//! prints its seed and the last events in words; `tier0 simulate --first-seed N --seeds 1` tells it
//! again.

use sim::{Options, Summary, simulate, trace_hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const SEEDS: u64 = 10_000;
/// Seeds that a thread takes at a time.
const CHUNK: u64 = 100;
/// How long the faults of a seed last: 200 steps of 40 virtual milliseconds.
const STEPS: u64 = 200;

/// What a campaign must have met at least once; otherwise it has proved nothing about it.
const MUST_HAPPEN: &[&str] = &[
    // Faults around the engine.
    "crash",
    "crash after a commit",
    "store busy",
    "result unknown",
    "slow commit",
    "failed transient",
    "failed memory",
    "failed time",
    "failed site",
    "failed input",
    "failed program",
    "lost",
    "output missing",
    "output twice",
    "output mismatch",
    "said twice",
    "news before the record",
    "news of an old epoch",
    "start after the record",
    "storage failed",
    "garbage collected",
    "file read back",
    "file unreadable for a while",
    "file is not what was claimed",
    // What the detector does.
    "empty lumi",
    "file reported again",
    "held back until the end",
    "surplus file",
    "late file",
    "name-conflict",
    "label-conflict",
    "name-unreadable",
    // What people do.
    "asked to retry a failed job",
    "asked to retry some job",
    "asked to start a known run",
    "asked to stop an unknown run",
    "asked to stop a run early",
    "configuration reloaded",
    "configuration reloaded unchanged",
    "wrong configuration refused",
    // What became of it.
    "job done provisionally",
    "job failed",
    "merged without a piece",
    "output passed a merge by",
    "output set apart",
    "run finished",
    "update",
    "no-change",
    "collecting",
    "veto",
    "not-applicable",
    "abandoned",
    "good",
    "warning",
    "bad",
    "not-run",
    "block closed complete",
    "block closed full",
    "block closed aged",
    "alarm raised",
    "alarm cleared",
    // What was checked.
    "the law was asked",
    "compared with an undisturbed pass",
];

#[test]
fn ten_thousand_seeds_keep_every_promise() {
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let mut summary = Summary::default();
    thread::scope(|scope| {
        let work = || {
            let mut sum = Summary::default();
            loop {
                let first_seed = next.fetch_add(CHUNK, Ordering::Relaxed);
                if first_seed >= SEEDS {
                    return sum;
                }
                sum.add(simulate(Options {
                    seeds: CHUNK,
                    first_seed,
                    steps: STEPS,
                }));
            }
        };
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in started {
            summary.add(
                thread
                    .join()
                    .expect("a broken promise is counted, not thrown"),
            );
        }
    });
    if let Some(violation) = &summary.first_violation {
        panic!(
            "{} of {} seeds broke a promise; seed {}:\n{}",
            summary.violations, summary.seeds, violation.seed, violation.story
        );
    }
    assert_eq!(summary.seeds, SEEDS);
    let never: Vec<_> = MUST_HAPPEN
        .iter()
        .filter(|what| !summary.coverage.contains_key(**what))
        .collect();
    assert!(
        never.is_empty(),
        "never happened in {SEEDS} seeds: {never:?}"
    );
}

#[test]
fn the_same_seed_is_the_same_story() {
    let hashes: Vec<u64> = (0..SEEDS / 100)
        .map(|seed| trace_hash(seed, STEPS))
        .collect();
    for (seed, hash) in hashes.iter().enumerate() {
        assert_eq!(trace_hash(seed as u64, STEPS), *hash, "seed {seed}");
    }
    let mut distinct = hashes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), hashes.len(), "every seed is another world");
}
