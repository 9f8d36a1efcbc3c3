//! A failing seed made small: a story of a few dozen events instead of thousands.
//!
//! In comes a seed that breaks a promise, out comes as little of it as still breaks the same one:
//! the faults end earlier, whole classes of them do not happen, then single ones (delta debugging:
//! A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28,
//! 2002), then runs, lumis, streams and files are left out. It must never end with another promise
//! than it began with: that would be the story of another bug.

use crate::chance::Decision;
use crate::detector::{Cut, LUMI_FILES_MAX, RUN_LUMIS_MAX, RUNS_MAX};
use crate::tale;
use crate::world::Way;
use crate::{Course, Options, run_seed};
use pipelines::definition::Definition;
use std::collections::BTreeMap;

/// What is left of a seed: enough to see its promise broken again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// The seed.
    pub seed: u64,
    /// How long its faults last, in steps of 40 virtual milliseconds.
    pub steps: u64,
    /// What is left of its data.
    pub cut: Cut,
    /// What is left of its faults: nothing else goes wrong.
    pub decisions: Vec<Decision>,
    /// Whether everything is checked after each turn; otherwise it is now and then, at the moments
    /// of the seed.
    pub is_strict: bool,
    /// The id of the broken promise.
    pub promise: String,
}

/// How large a story is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Faults and orders that happened.
    pub decisions: usize,
    /// Events until the promise was seen broken.
    pub events: usize,
}

/// A failing seed made small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// What is left.
    pub small: Small,
    /// It in words: the broken promise, the world, what went wrong in it, what happened; at most
    /// [`tale::LINES_MAX`] lines.
    pub story: String,
    /// How large it was.
    pub before: Size,
    /// How large it is.
    pub after: Size,
    /// How often the seed was gone through for it.
    pub tries: u64,
}

/// Makes a seed small, as long as `goes_on`; none if it breaks no promise.
pub fn shrink(options: Options, goes_on: &mut dyn FnMut() -> bool) -> Option<Shrunk> {
    shrink_world(options, false, goes_on)
}

/// Goes through what is left of a seed: how many of its decisions happened, or the story of the
/// promise that is broken.
pub fn replay(small: &Small) -> Result<usize, String> {
    let definitions = crate::definitions::all();
    let course = run_seed(&way(small, &definitions, false), true, None);
    match &course.result {
        Ok(()) => Ok(course.happened.len()),
        Err(sentence) => Err(tale::tell(small, &course, sentence)),
    }
}

/// The id of a promise, as its sentence begins with it.
pub(crate) fn promise_of(sentence: &str) -> &str {
    sentence.split(':').next().unwrap_or(sentence)
}

fn way<'a>(small: &'a Small, definitions: &'a [Definition], is_broken: bool) -> Way<'a> {
    Way {
        seed: small.seed,
        steps: small.steps,
        definitions,
        cut: small.cut.clone(),
        only: Some(&small.decisions),
        is_strict: small.is_strict,
        is_broken,
    }
}

/// Looks for less.
struct Search<'a> {
    definitions: &'a [Definition],
    is_broken: bool,
    goes_on: &'a mut dyn FnMut() -> bool,
    tries: u64,
    small: Small,
}

fn shrink_world(
    options: Options,
    is_broken: bool,
    goes_on: &mut dyn FnMut() -> bool,
) -> Option<Shrunk> {
    let definitions = crate::definitions::all();
    let mut whole = options.way(options.first_seed, &definitions);
    whole.is_broken = is_broken;
    let course = run_seed(&whole, true, None);
    let promise = promise_of(course.result.as_ref().err()?).to_owned();
    let before = size(&course);
    let mut search = Search {
        definitions: &definitions,
        is_broken,
        goes_on,
        tries: 0,
        small: Small {
            seed: options.first_seed,
            steps: options.steps,
            cut: Cut::default(),
            decisions: course.happened,
            is_strict: false,
            promise,
        },
    };
    search.look();
    let small = search.small;
    let tries = search.tries;
    let course = run_seed(&way(&small, &definitions, is_broken), true, None);
    let sentence = course.result.as_ref().err().cloned().unwrap_or_default();
    Some(Shrunk {
        story: tale::tell(&small, &course, &sentence),
        before,
        after: size(&course),
        tries,
        small,
    })
}

fn size(course: &Course) -> Size {
    Size {
        decisions: course.happened.len(),
        events: course.lines.len(),
    }
}

impl Search<'_> {
    fn look(&mut self) {
        // Whoever looks after each turn sees what is wrong at once, if it is the same.
        self.take(Small {
            is_strict: true,
            ..self.small.clone()
        });
        loop {
            let before = self.small.clone();
            self.end_earlier();
            self.drop_classes();
            self.leave_out_data();
            self.drop_one_by_one();
            if self.small == before {
                return;
            }
        }
    }

    /// Goes through a smaller world; keeps it if the same promise is broken in it.
    fn take(&mut self, other: Small) -> bool {
        if !(self.goes_on)() {
            return false;
        }
        self.tries += 1;
        let course = run_seed(&way(&other, self.definitions, self.is_broken), true, None);
        let broken = course.result.as_ref().err();
        let same = broken.is_some_and(|sentence| promise_of(sentence) == self.small.promise);
        if same {
            // What did not come to pass before that need not be said.
            self.small = Small {
                decisions: course.happened,
                ..other
            };
        }
        same
    }

    fn with(&self, decisions: Vec<Decision>) -> Small {
        Small {
            decisions,
            ..self.small.clone()
        }
    }

    /// The fewest steps, by halves.
    fn end_earlier(&mut self) {
        let mut too_few = 0;
        while too_few + 1 < self.small.steps {
            let steps = too_few.midpoint(self.small.steps);
            let other = Small {
                steps,
                ..self.small.clone()
            };
            if !self.take(other) {
                too_few = steps;
            }
        }
    }

    /// Whole classes of faults, those that happened most first.
    fn drop_classes(&mut self) {
        let mut classes: BTreeMap<String, usize> = BTreeMap::new();
        for decision in &self.small.decisions {
            *classes.entry(decision.fault.clone()).or_default() += 1;
        }
        let mut classes: Vec<(usize, String)> =
            classes.into_iter().map(|(fault, n)| (n, fault)).collect();
        classes.sort_unstable_by(|a, b| b.cmp(a));
        for (_, class) in classes {
            let mut left = self.small.decisions.clone();
            left.retain(|decision| decision.fault != class);
            if left.len() < self.small.decisions.len() {
                self.take(self.with(left));
            }
        }
    }

    /// Halves of what is left, quarters, and so on, down to single decisions.
    fn drop_one_by_one(&mut self) {
        let mut chunk = self.small.decisions.len().div_ceil(2);
        while chunk > 0 {
            let mut at = 0;
            while at < self.small.decisions.len() {
                let mut left = self.small.decisions.clone();
                left.drain(at..(at + chunk).min(left.len()));
                if !self.take(self.with(left)) {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
    }

    fn leave_out_data(&mut self) {
        for run in 0..RUNS_MAX {
            if !self.small.cut.without_runs.contains(&run) {
                self.cut(|cut| cut.without_runs.push(run));
            }
        }
        for most in 0..RUN_LUMIS_MAX.min(self.small.cut.lumis_max) {
            if self.cut(|cut| cut.lumis_max = most) {
                break;
            }
        }
        for most in 1..self.small.cut.streams_max {
            if self.cut(|cut| cut.streams_max = most) {
                break;
            }
        }
        for most in 1..LUMI_FILES_MAX.min(self.small.cut.files_max) {
            if self.cut(|cut| cut.files_max = most) {
                break;
            }
        }
    }

    fn cut(&mut self, change: impl FnOnce(&mut Cut)) -> bool {
        let mut other = self.small.clone();
        change(&mut other.cut);
        self.take(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds that are looked through for one that the broken store shows in.
    const SEEDS: u64 = 60;
    /// A person reads so many faults.
    const DECISIONS_MAX: usize = 24;

    fn options(seed: u64) -> Options {
        Options {
            seeds: 1,
            first_seed: seed,
            steps: 200,
        }
    }

    #[test]
    fn a_world_that_loses_rows_shrinks_to_a_story_about_it() {
        let found = (0..SEEDS).filter_map(|seed| shrink_world(options(seed), true, &mut || true));
        let found: Vec<Shrunk> = found.take(5).collect();
        assert_eq!(found.len(), 5, "a store that loses rows is noticed");
        for shrunk in found {
            let (before, after, story) = (shrunk.before, shrunk.after, &shrunk.story);
            let seed = shrunk.small.seed;
            let left = &shrunk.small.decisions;
            assert!(
                left.iter().any(|decision| decision.fault == "row_lost"),
                "seed {seed}: the story is about something else:\n{story}"
            );
            assert!(
                left.len() <= DECISIONS_MAX && after.decisions <= before.decisions,
                "seed {seed}: {before:?} became {after:?}:\n{story}"
            );
            assert!(story.lines().count() <= tale::LINES_MAX, "{story}");
            let first = story.lines().next().unwrap_or_default();
            assert_eq!(promise_of(first), shrunk.small.promise);
            // The same world with a store that keeps what it takes breaks nothing.
            assert!(replay(&shrunk.small).is_ok(), "seed {seed}");
        }
    }

    #[test]
    fn a_seed_with_all_that_happened_in_it_is_the_same_seed() {
        let definitions = crate::definitions::all();
        for seed in 0..40 {
            let options = options(seed);
            let whole = run_seed(&options.way(seed, &definitions), true, None);
            let again = Way {
                only: Some(&whole.happened),
                ..options.way(seed, &definitions)
            };
            let again = run_seed(&again, true, None);
            assert_eq!(again.happened, whole.happened, "seed {seed}");
            assert_eq!(again.hash, whole.hash, "seed {seed}");
        }
    }

    #[test]
    fn a_seed_that_keeps_its_promises_has_no_story() {
        assert_eq!(shrink(options(3), &mut || true), None);
    }

    #[test]
    fn whoever_has_no_time_gets_the_whole_seed() {
        let mut seeds = 0..SEEDS;
        let shrunk = seeds.find_map(|seed| shrink_world(options(seed), true, &mut || false));
        let shrunk = shrunk.expect("a store that loses rows is noticed");
        assert_eq!((shrunk.tries, shrunk.before), (0, shrunk.after));
        assert_eq!(shrunk.small.cut, Cut::default());
    }
}
