//! The story of a broken promise, short enough to be read at one sight.
//!
//! In comes what is left of a seed and how it went, out come the promise, the world, what went
//! wrong in it and the last events before the promise was seen broken. It must not leave out a
//! fault that happened without saying so.

use crate::Course;
use crate::chance::Decision;
use crate::shrink::Small;

/// Lines of a story.
pub(crate) const LINES_MAX: usize = 40;
/// Lines of it that tell which faults happened; if there are more, the first and the last.
const FAULTS_MAX: usize = 14;
/// A line longer than this is cut: some promises show whole rows.
const COLUMNS_MAX: usize = 240;

/// The story.
pub(crate) fn tell(small: &Small, course: &Course, sentence: &str) -> String {
    let mut lines: Vec<String> = sentence.lines().take(4).map(short).collect();
    let (seed, steps) = (small.seed, small.steps);
    lines.push(format!(
        "in seed {seed}, with faults for {steps} steps of 40 ms; the world:"
    ));
    lines.extend(course.world.iter().map(|line| format!("  {line}")));
    lines.push(match course.happened.len() {
        0 => "nothing goes wrong around the engine; what happens:".to_owned(),
        _ => "what goes wrong, and what people do:".to_owned(),
    });
    if !course.happened.is_empty() {
        let faults: Vec<String> = course.happened.iter().map(fault).collect();
        lines.extend(shortened(faults, FAULTS_MAX));
        lines.push("what happens:".to_owned());
    }
    let events = course.lines.iter().filter(|line| !line.is_routine);
    let events: Vec<String> = events.map(|line| short(&line.words)).collect();
    let room = LINES_MAX.saturating_sub(lines.len());
    lines.extend(shortened(events, room));
    lines.join("\n")
}

fn fault(decision: &Decision) -> String {
    let Decision { fault, words, .. } = decision;
    let what = WORDS.iter().find(|(name, _)| name == fault);
    let what = what.map_or(fault.as_str(), |(_, words)| *words);
    let line = match decision.after {
        Some(after) => format!("{:9.3} s  {what}", after.as_secs_f64()),
        None if words.is_empty() => format!("             {what}"),
        None => format!("             {what}: {words}"),
    };
    short(&line)
}

/// Faults in words; the others are called as in the list of faults.
const WORDS: &[(&str, &str)] = &[
    ("crash", "the process dies"),
    ("power_cut", "the power is gone with it"),
    ("again", "it dies again while it starts"),
    ("upgrade", "it starts with another configuration"),
    ("flip", "a bit turns over on the disks"),
    ("busy", "the store is busy"),
    ("unknown", "the result of a commit is not known"),
    ("slow_commit", "a commit takes seconds"),
    ("full", "the store's disk is full"),
    ("suspect", "the store's disk loses what it should sync"),
    ("row_lost", "the store loses a row that it took"),
    (
        "any_order",
        "after a restart everything is seen again in any order",
    ),
    ("refused", "no place takes the attempt"),
    ("ghost", "the attempt's node goes and nobody says so"),
    (
        "black_hole",
        "the attempt falls into a place that fails all",
    ),
    ("transient", "the attempt fails so that another may help"),
    ("lost", "the attempt is lost with its executor"),
    ("permanent", "the attempt fails for good"),
    ("missing_output", "the report lacks an output"),
    ("output_twice", "the report names an output twice"),
    ("mismatch", "what is stored is not what was reported"),
    ("duplicate_news", "said twice"),
    ("late_news", "said late"),
    ("old_news", "news of an ended epoch reach the next one"),
    ("storage", "no space for the outputs, for a moment"),
    (
        "storage_lost",
        "the storage's disk loses what it should sync",
    ),
    ("burst", "everything of it comes at once"),
    ("disorder", "seen late"),
    ("begin_late", "seen late"),
    ("held", "held back until the faults end"),
    ("late_for_history", "a file comes for a run that is history"),
    (
        "very_late",
        "seen only when other sources of its run are gone",
    ),
    ("resent", "reported again"),
    ("conflict", "reported again with another content"),
    (
        "name_unreadable",
        "besides it something whose name cannot be read",
    ),
    ("unreadable", "cannot be read back for a while"),
    ("splitter_silent", "its splitter never answers"),
    ("splitter_crashes", "its splitter crashes"),
    ("splitter_lies", "its splitter answers what cannot be"),
    ("splitter_late", "its splitter answers too late"),
    ("splitter_twice", "its splitter answers twice"),
    ("corrupt", "is not what its sender claims"),
    ("source_gone", "somebody takes the source away"),
    ("copy_full", "the folder of copies is full"),
    ("copy_lies", "the copy is not what was written"),
    ("copy_vanishes", "the copy is gone after it was verified"),
    ("sent_again", "it is sent again after it was removed"),
    ("surplus", "a file too many comes for it"),
    ("wrong_label", "a file of the other label comes for it"),
    ("postponed", "seen as a whole only after later ones"),
    ("command", "somebody asks for something"),
    ("wanted", "somebody wants a job after all that was given up"),
];

/// The beginning and the end of what is too long; more of the end, where the promise breaks.
fn shortened(lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() <= most {
        return lines;
    }
    let kept = most.saturating_sub(1);
    let (first, last) = (kept / 4, kept - kept / 4);
    let left_out = lines.len() - kept;
    let mut short: Vec<String> = lines[..first].to_vec();
    short.push(format!("             ... {left_out} more ..."));
    short.extend_from_slice(&lines[lines.len() - last..]);
    short
}

fn short(line: &str) -> String {
    match line.char_indices().nth(COLUMNS_MAX) {
        None => line.to_owned(),
        Some((at, _)) => format!("{} ...", &line[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted_and_the_end_is_there() {
        let lines: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let short = shortened(lines.clone(), 9);
        let expect = [
            "0",
            "1",
            "             ... 92 more ...",
            "94",
            "95",
            "96",
            "97",
            "98",
            "99",
        ];
        assert_eq!(short, expect);
        assert_eq!(shortened(lines.clone(), 100), lines);
    }
}
