//! The pipelines that are simulated: those that come with the program, some that cut by files, and
//! one that is made of what was judged.

use crate::random::Random;
use engine::Configuration;
use model::ids::RunNumber;
use model::names::{TagName, TaskName, TaskPath};
use model::quality::RunVerdict;
use model::time::Span;
use pipelines::definition::{Act, BlockLimits, Definition, Redo, VerdictAction};
use pipelines::link::load;
use pipelines::retry::Reaction;
use pipelines::splitting::Splitter;
use pipelines::variants::Definitions;
use std::sync::Arc;

/// One job a file at once, over any order of arrival; packs of three, with less hurry; and what
/// waits for a verdict.
const BY_FILE: [(&str, &str); 4] = [
    ("digest.toml", include_str!("digest.toml")),
    ("fast.toml", include_str!("fast.toml")),
    ("monitor.toml", include_str!("monitor.toml")),
    ("packs.toml", include_str!("packs.toml")),
];

/// Pipelines that read a stream, and which: everything in it must be in their datasets.
pub(crate) const READERS: [(&str, &str); 5] = [
    ("fast", "Tracks"),
    ("express", "Muons"),
    ("prompt", "Muons"),
    ("monitor", "Tracks"),
    ("packs", "Tracks"),
];

/// How long an upload waits for those of earlier runs: longer than anything else waits here, so
/// that no run is passed over that would have had its turn in an undisturbed world.
const UPLOAD_WAIT: Span = Span::from_secs(3 * 86_400);

/// Tasks that a verdict holds which is bad or a warning.
pub(crate) const HELD: [(&str, &str); 5] = [
    ("digest", "sum"),
    ("fast", "reco"),
    ("fast", "merge"),
    ("monitor", "look"),
    ("packs", "pack"),
];

/// What a verdict does, for at most so long: the same in every configuration of a seed, so that
/// somebody outside the engine can tell.
fn verdict_actions(at_most: Span) -> Vec<VerdictAction> {
    let held = HELD.map(|(pipeline, task)| TaskPath::new(pipeline, task));
    let action = |when: &[RunVerdict], act| VerdictAction {
        when: when.to_vec(),
        act,
        at_most,
    };
    vec![
        action(
            &[RunVerdict::Bad, RunVerdict::Warning],
            Act::Hold(held.to_vec()),
        ),
        action(&[RunVerdict::Bad], Act::Page),
        action(&[RunVerdict::NotRun], Act::Calibrate),
    ]
}
/// Tags that only people put constants into, one by run and one by lumi, and the names of tasks
/// that read them.
pub(crate) const BY_HAND: &str = "survey";
pub(crate) const BY_LUMI: &str = "spots";
const READ_BY_HAND: [&str; 3] = ["reco", "merge", "look"];

/// Reads them.
pub(crate) fn all() -> Vec<Definition> {
    let files: Vec<(&str, &str)> = pipelines::EMBEDDED
        .iter()
        .chain(&BY_FILE)
        .copied()
        .collect();
    match load(&files) {
        Ok(definitions) => definitions,
        Err(found) => panic!("definitions that come with the program are right: {found:?}"),
    }
}

/// The configurations of a seed, with its waits and ways to start: the first is in force at the
/// beginning, the others are taken while it runs. What a run's constants and datasets must be is
/// the same under each. Also how long prompt work waits for its constants, and a verdict for
/// somebody who looks.
pub(crate) fn configurations(
    definitions: &[Definition],
    later_run: RunNumber,
    harsh: bool,
    random: &mut Random,
) -> (Vec<Configuration>, Span) {
    let wait = match random.below(3) {
        0 => Span::from_millis(random.between(1, 5_000) as i64),
        1 => Span::from_secs(60),
        _ => Span::from_secs(172_800),
    };
    let configuration = |name: char| {
        let first = varied(definitions, wait, harsh, random);
        let later = changed(varied(definitions, wait, harsh, random), random);
        let stretches = match name {
            'a' => vec![(RunNumber(0), first), (later_run, later)],
            _ => vec![(RunNumber(0), later), (later_run, first)],
        };
        let definitions = Definitions::by_first_run(stretches);
        Configuration {
            hash: name.to_string().repeat(16),
            text: format!("configuration {name}"),
            definitions: definitions.expect("a stretch begins with run 0"),
        }
    };
    ("abc".chars().map(configuration).collect(), wait)
}

/// The longest wait of any: for constants, then for somebody who looks at a verdict, or for the end
/// of a block.
pub(crate) fn longest_wait(prompt_waits: Span) -> Span {
    prompt_waits.max(UPLOAD_WAIT) + prompt_waits + BlockLimits::DEFAULT.close_after
}

/// What follows from a failure where doing the same again is doubtful: mostly the usual. What a
/// person has to end is ended after the faults. A job of one input that shall be split fails.
fn reaction(usual: Reaction, harsh: bool, random: &mut Random) -> Reaction {
    match random.below(8) {
        0 => Reaction::Park,
        1 => Reaction::Retry,
        2..=6 if harsh => Reaction::Split,
        _ => usual,
    }
}

/// Other ways to start, other cores, other limits of blocks.
fn varied(
    definitions: &[Definition],
    wait: Span,
    harsh: bool,
    random: &mut Random,
) -> Vec<Definition> {
    let mut definitions = definitions.to_vec();
    for task in definitions.iter_mut().flat_map(|d| d.tasks.iter_mut()) {
        let task = Arc::make_mut(task);
        task.early = random.per_mille(700);
        task.needs.cores = random.between(1, 2) as u32;
        // Shorter and longer than it takes to miss an attempt.
        task.needs.wall = Span::from_secs(random.between(40, 1_200) as i64);
        task.upload_wait = UPLOAD_WAIT;
        task.retry.on_same_failure = reaction(Reaction::Retry, harsh, random);
        if harsh && random.per_mille(200) {
            task.retry.rule.pause_every = Some(random.between(1, 2) as u32);
        }
        task.retry.on_memory = reaction(Reaction::Grow, harsh, random);
        if let Some(at_most) = &mut task.release.at_most {
            *at_most = wait;
        }
        if task.certifies {
            task.on_verdict = verdict_actions(wait);
        }
        if READ_BY_HAND.contains(&task.name.as_str()) && task.calibrates.is_empty() {
            task.conditions.push(TagName::new(BY_HAND));
            task.conditions.push(TagName::new(BY_LUMI));
            task.release.redo = match random.below(5) {
                0 => Redo::Never,
                1 | 2 => Redo::Auto,
                _ => Redo::Ask,
            };
        }
    }
    for definition in &mut definitions {
        let blocks = &mut definition.blocks;
        if random.per_mille(500) {
            blocks.max_files = random.between(1, 4);
        }
        match random.below(3) {
            0 => blocks.close_after = Span::from_millis(random.between(1, 2_000) as i64),
            1 => blocks.close_after = Span::from_secs(60),
            _ => {}
        }
    }
    definitions
}

/// Another packing, another name of a task, a task less: what a new configuration may bring.
fn changed(mut definitions: Vec<Definition>, random: &mut Random) -> Vec<Definition> {
    for definition in &mut definitions {
        match definition.name.as_str() {
            "monitor" => Arc::make_mut(&mut definition.tasks[0]).name = TaskName::new("watch"),
            "packs" => {
                let task = Arc::make_mut(&mut definition.tasks[0]);
                if let Splitter::File(by) = &mut task.splitter {
                    by.files_per_job = random.between(1, 5) as u32;
                }
                definition.tasks.truncate(random.between(1, 2) as usize);
            }
            _ => {}
        }
    }
    definitions
}
