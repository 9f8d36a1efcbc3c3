//! Forty thousand seeds of trouble, and not one broken promise; and the trouble was not mild.
//!
//! In comes nothing, out comes the verdict of the simulator (the room `src/sim`): each seed is a
//! world of its own with faults around the engine and crashes of the engine itself. A failure
//! prints its seed and the last events in words; `tier0 simulate --first-seed N --seeds 1` tells it
//! again. `TIER0_SIM_SEEDS` asks for another number of seeds (a release: 1,000,000).

use agents::journal::{Restored, Told};
use engine::{Configuration, Input};
use model::configuration::ConfigurationText;
use sim::{Life, Options, Summary, TOGETHER, lives, simulate, trace_hash};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const SEEDS: u64 = 40_000;
/// Seeds whose engines are told everything once more.
const REPLAYED: u64 = 200;
/// Names another number.
const SEEDS_VARIABLE: &str = "TIER0_SIM_SEEDS";
/// Seeds that a thread takes at a time.
const CHUNK: u64 = 100;
/// How long the faults of a seed last: 200 steps of 40 virtual milliseconds.
const STEPS: u64 = 200;
/// Each kind of fault happens in at least so many of a hundred seeds.
const FAULT_PERCENT_MIN: u64 = 5;
/// Overlapping runs, a restart and a lost completion happen together in so many.
const TOGETHER_PERCENT_MIN: u64 = 30;
/// Each legal step of a state machine happens so often in a campaign of [`SEEDS`].
const STEP_TIMES_MIN: u64 = 100;
/// The premise of each invariant is true so often.
const PREMISE_TIMES_MIN: u64 = 1_000;

/// Faults, and what people do.
const FAULTS: &[&str] = &[
    "crash",
    "power cut",
    "crash after a commit",
    "crash while it restarts",
    "a batch that was not synced is there",
    "a dead epoch was fenced",
    "a bit of the journal turned",
    "a bit of an output turned",
    "restarted with another configuration",
    "store busy",
    "result unknown",
    "slow commit",
    "store full",
    "store suspect",
    "places are fast",
    "places are slow",
    "places are fast or slow",
    "places have a heavy tail",
    "refused",
    "fell into a black hole",
    "a ghost was ended",
    "lost",
    "an attempt vanished",
    "a completion was not heard",
    "a completion came minutes late",
    "a silent attempt's wall time was over",
    "a list was had",
    "a list could not be had",
    "found by the reconciler",
    "failed transient",
    "failed memory",
    "failed time",
    "failed site",
    "failed input",
    "failed program",
    "output missing",
    "output twice",
    "output mismatch",
    "said twice",
    "completion lost",
    "news before the record",
    "news of an old epoch",
    "start after the record",
    "storage full",
    "storage lost a sync",
    "garbage collected",
    "runs overlap",
    "empty lumi",
    "file reported again",
    "held back until the end",
    "surplus file",
    "file read back",
    "file unreadable for a while",
    "file is not what was claimed",
    "attempt cancelled",
    "asked to retry jobs",
    "asked to park jobs",
    "asked to release jobs",
    "asked to halve jobs",
    "asked to split jobs",
    "asked to cancel jobs",
    "asked to hold a task",
    "asked to let a task go",
    "asked to accept a task",
    "asked to put a constant",
    "asked to put a constant by lumi",
    "asked to accept better constants",
    "asked to hold a tag",
    "asked to accept what is held",
    "accepted better constants",
    "asked to stop a run early",
    "asked to close a run",
    "asked to reopen a run",
    "declared a file lost",
    "asked to start a known run",
    "asked to stop an unknown run",
    "asked to reopen an unknown run",
    "asked the engine to read a configuration",
    "asked only what would be",
    "asked with a count",
    "asked without a reason",
    "configuration reloaded",
    "configuration reloaded unchanged",
    "wrong configuration refused",
    "a person ended a wait",
    "wanted a job after all",
    "copy folder full",
    "copy folder unreadable for a while",
    "copy is not what was written",
    "copy vanished",
    "source was taken away",
    "a lost source was given up",
    "source removed",
    "attempt reads a copy",
    "file reported again after its source was removed",
    "slice moved",
    "file looked up in the history",
    "known file of an archived run",
    "unknown file of an archived run",
];

/// What must have come of it at least once in a thousand seeds.
const MUST_HAPPEN: &[&str] = &[
    "a list was empty",
    "looked at a verdict",
    "splitter never answered",
    "splitter crashed",
    "splitter lied",
    "splitter answered too late",
    "splitter answered twice",
    "a list was short",
    "a list had what is gone",
    "a list came late",
    "job done provisionally",
    "job made again",
    "accepted a proposal",
    "refused a proposal",
    "merged without a piece",
    "output passed a merge by",
    "output set apart",
    "late file",
    "another file of an archived run",
    "usage counted",
    "name-conflict",
    "label-conflict",
    "name-unreadable",
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
    "held",
    "accepted",
    "left to its rule",
    "alarm raised",
    "alarm cleared",
    "answered: done",
    "answered: would",
    "answered: jobs",
    "answered: put",
    "answered: refused",
    "witness: new -> record",
    "witness: new -> message",
    "witness: new -> operator",
    "witness: new -> timeout",
    "the law was asked",
    "everything was checked",
    "all batches were replayed",
    "compared with an undisturbed pass",
];

/// Every step that the tables of the machines allow, but for those from a state to itself that no
/// row shows.
const STEPS_OF_MACHINES: &[&str] = &[
    "run: new -> open",
    "run: open -> ending",
    "run: ending -> closed",
    "run: closed -> finished",
    "run: closed -> ending",
    "run: finished -> ending",
    "run: finished -> closed",
    "run: finished -> archiving",
    "run: archiving -> archived",
    "run: archived -> archiving",
    "job: new -> ready",
    "job: ready -> sent",
    "job: sent -> running",
    "job: sent -> committing",
    "job: running -> committing",
    "job: committing -> done",
    "job: done -> superseded",
    "job: sent -> ready",
    "job: running -> ready",
    "job: committing -> ready",
    "job: sent -> failed",
    "job: running -> failed",
    "job: committing -> failed",
    "job: sent -> parked",
    "job: running -> parked",
    "job: committing -> parked",
    "job: failed -> ready",
    "job: cancelled -> ready",
    "job: parked -> ready",
    "job: ready -> ready",
    "job: ready -> parked",
    "job: parked -> parked",
    "job: ready -> cancelled",
    "job: sent -> cancelled",
    "job: running -> cancelled",
    "job: failed -> cancelled",
    "job: parked -> cancelled",
    "job: ready -> superseded",
    "job: sent -> superseded",
    "job: running -> superseded",
    "job: committing -> superseded",
    "job: failed -> superseded",
    "job: parked -> superseded",
    "job: cancelled -> superseded",
    "block: new -> open",
    "block: open -> closed complete",
    "block: open -> closed full",
    "block: open -> closed aged",
    "lumi: new -> open",
    "lumi: new -> closed",
    "lumi: open -> closed",
    "lumi: open -> disputed",
    "lumi: disputed -> closed",
    "lumi: closed -> disputed",
    "verdict: given -> verdict-hold",
    "verdict: given -> verdict-calibrate",
    "verdict: given -> verdict-page",
    "verdict: given -> verdict-unheeded",
    "verdict: verdict-hold -> over",
    "verdict: verdict-calibrate -> over",
    "verdict: verdict-page -> over",
    "verdict: verdict-unheeded -> over",
    "source: landed -> copied",
    "source: copied -> verified",
    "source: copied -> landed",
    "source: verified -> copied-twice",
    "source: verified -> landed",
    "source: copied-twice -> verified-twice",
    "source: copied-twice -> verified",
    "source: verified-twice -> verified-twice",
    "source: verified-twice -> soaked",
    "source: verified-twice -> verified",
    "source: soaked -> released",
    "source: soaked -> verified-twice",
    "source: released -> unlinked",
    "source: landed -> lost",
    "source: lost -> copied",
    "source: lost -> given-up",
];

/// What each invariant is about.
const PREMISES: &[&str] = &[
    "premise I1: accepted files",
    "premise I2: sources released",
    "premise I2: sources removed",
    "premise I3: winners",
    "premise I4: inputs of jobs",
    "premise I4: published outputs",
    "premise I14: closed runs",
    "premise I14: runs at work",
    "premise I8: jobs that are not over",
    "premise blocks: closed blocks",
    "premise cores: attempts out",
    "premise queue: jobs that wait",
];

fn campaign(seeds: u64) -> Summary {
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let mut summary = Summary::default();
    thread::scope(|scope| {
        let work = || {
            let mut sum = Summary::default();
            loop {
                let first_seed = next.fetch_add(CHUNK, Ordering::Relaxed);
                if first_seed >= seeds {
                    return sum;
                }
                sum.add(simulate(Options {
                    seeds: CHUNK.min(seeds - first_seed),
                    first_seed,
                    steps: STEPS,
                }));
            }
        };
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in started {
            let sum = thread.join();
            summary.add(sum.expect("a broken promise is counted, not thrown"));
        }
    });
    summary
}

#[test]
fn forty_thousand_seeds_keep_every_promise() {
    let asked = std::env::var(SEEDS_VARIABLE).ok();
    let seeds = asked.map_or(SEEDS, |seeds| seeds.parse().expect("a number of seeds"));
    let summary = campaign(seeds);
    if let Some(violation) = &summary.first_violation {
        panic!(
            "{} of {} seeds broke a promise; seed {}:\n{}",
            summary.violations, summary.seeds, violation.seed, violation.story
        );
    }
    assert_eq!(summary.seeds, seeds);
    let times = |what: &str| summary.coverage.get(what).copied().unwrap_or(0);
    let met_by = |what: &str| summary.seeds_with.get(what).copied().unwrap_or(0);
    let percent = |what: &str| met_by(what) * 100 / seeds;
    let scaled = |times: u64| (times * seeds).div_ceil(SEEDS);
    let mut mild = Vec::new();
    for what in FAULTS {
        if percent(what) < FAULT_PERCENT_MIN {
            mild.push(format!("{what}: in {} of {seeds} seeds", met_by(what)));
        }
    }
    if percent(TOGETHER) < TOGETHER_PERCENT_MIN {
        mild.push(format!("{TOGETHER}: in {} of {seeds}", met_by(TOGETHER)));
    }
    let wanted = [
        (MUST_HAPPEN, seeds.div_ceil(1_000)),
        (STEPS_OF_MACHINES, scaled(STEP_TIMES_MIN)),
        (PREMISES, scaled(PREMISE_TIMES_MIN)),
    ];
    for (list, least) in wanted {
        for what in list {
            if times(what) < least {
                mild.push(format!("{what}: {} times, not {least}", times(what)));
            }
        }
    }
    assert!(mild.is_empty(), "the world was too mild: {mild:#?}");
}

#[test]
fn the_same_seed_is_the_same_story() {
    let hashes: Vec<u64> = (0..SEEDS / 300)
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

/// What was written, read again.
fn through_json<T>(value: &T) -> T
where
    T: serde::Serialize + for<'d> serde::Deserialize<'d> + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(value).expect("it can be written");
    let read = serde_json::from_str(&text).expect("it can be read");
    assert_eq!(*value, read, "{text}");
    read
}

/// All configurations that the engines of a seed were given.
fn configurations(lives: &[Life]) -> BTreeMap<String, Configuration> {
    let born = lives.iter().flat_map(|life| {
        let earlier = life.setup.earlier.iter();
        earlier.chain([&life.setup.configuration])
    });
    let mut known: BTreeMap<String, Configuration> = born
        .map(|configuration| (configuration.hash.clone(), configuration.clone()))
        .collect();
    for step in lives.iter().flat_map(|life| &life.steps) {
        if let Input::Reconfigured {
            configuration: Ok(configuration),
            ..
        } = &step.input
        {
            known.insert(configuration.hash.clone(), (**configuration).clone());
        }
    }
    known
}

/// Tells an engine all that another was told, in the words of the journal; how many inputs.
fn replay(seed: u64) -> u64 {
    let (lives, result) = lives(Options {
        seeds: 1,
        first_seed: seed,
        steps: STEPS,
    });
    assert_eq!(result, Ok(()), "seed {seed}");
    let known = configurations(&lives);
    let resolve = |text: &ConfigurationText| {
        let configuration = known.get(&text.hash).cloned();
        configuration.ok_or_else(|| format!("nobody knows {}", text.hash))
    };
    let mut inputs = 0;
    for (number, life) in lives.into_iter().enumerate() {
        let restored = Restored::new(&life.setup, life.next_id, life.rows, life.began_at);
        let engine = through_json(&restored).engine(&resolve);
        let mut engine = engine.expect("its configurations are known");
        let mut effects = Vec::new();
        for (place, step) in life.steps.into_iter().enumerate() {
            let told = through_json(&Told::of(step.input, step.at)).input(&resolve);
            effects.clear();
            engine.step(step.at, told.expect("as above"), &mut effects);
            let place = format!("seed {seed}, life {number}, input {place}");
            assert_eq!(effects, step.effects, "{place}");
            assert_eq!(engine.fingerprint(), step.fingerprint, "{place}");
            inputs += 1;
        }
    }
    inputs
}

#[test]
fn i13_a_replay_gives_the_same_effects_and_the_same_state_behind_every_input() {
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let inputs: u64 = thread::scope(|scope| {
        let work = || {
            let seeds = std::iter::from_fn(|| {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                (seed < REPLAYED).then_some(seed)
            });
            seeds.map(replay).sum::<u64>()
        };
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let told = started.into_iter().map(|thread| thread.join());
        told.map(|told| told.expect("a departure names its place"))
            .sum()
    });
    println!("{inputs} inputs of {REPLAYED} seeds were told again");
    assert!(inputs > REPLAYED * 100, "{inputs} inputs are too few");
}
