//! What may go one way or the other in a seed, decision by decision.
//!
//! In comes what is asked (which fault, of which object or at which moment), out comes whether it
//! happens. Each answer follows from the seed and the question alone, never from what was asked
//! before, so that one of them can be forced off while the others stay: that is what makes a
//! failing seed small ([`crate::shrink`]). It must give the same answer to the same question.

use crate::random::{Random, mix, mix_text};
use model::time::{Moment, Span};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A fault that happened, or something that a person did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which fault: its name in the room's list of faults.
    pub fault: String,
    /// Of which object, or the number that its details follow from.
    pub key: u64,
    /// Where it belongs to a moment and not to an object: how long after the beginning of the
    /// seed. It then happens at that occasion or, if there is none, at the next.
    pub after: Option<Span>,
    /// The object in words, where it has any; they decide nothing.
    pub words: String,
}

/// The only decisions that may be answered with yes.
#[derive(Debug, Default)]
struct Script {
    of_objects: BTreeSet<u64>,
    of_moments: BTreeMap<u64, VecDeque<(Moment, u64)>>,
}

/// Whoever is asked.
#[derive(Debug)]
pub(crate) struct Chance {
    seed: u64,
    begins_at: Moment,
    script: Option<Script>,
    /// What was answered with yes, and what its objects are called, if anybody wants to know.
    happened: Option<Vec<Decision>>,
    names: BTreeMap<u64, String>,
}

/// One number for a question.
fn question(fault: &str, key: u64) -> u64 {
    mix(mix_text(fault) ^ key)
}

impl Chance {
    pub(crate) fn new(seed: u64, begins_at: Moment) -> Self {
        Self {
            seed: mix(seed ^ 0x7469_6572_3000_0000),
            begins_at,
            script: None,
            happened: None,
            names: BTreeMap::new(),
        }
    }

    /// From now on only these happen.
    pub(crate) fn only(&mut self, decisions: &[Decision]) {
        let mut script = Script::default();
        for decision in decisions {
            match decision.after {
                None => {
                    let question = question(&decision.fault, decision.key);
                    script.of_objects.insert(question);
                }
                Some(after) => {
                    let of = script.of_moments.entry(mix_text(&decision.fault));
                    let at = (self.begins_at + after, decision.key);
                    of.or_default().push_back(at);
                }
            }
        }
        for queue in script.of_moments.values_mut() {
            queue.make_contiguous().sort_unstable();
        }
        self.script = Some(script);
    }

    /// From now on what happens is written down.
    pub(crate) fn write_down(&mut self) {
        self.happened = Some(Vec::new());
    }

    /// What has happened, each object's fault once.
    pub(crate) fn happened(&mut self) -> Vec<Decision> {
        let mut known = BTreeSet::new();
        let mut happened = self.happened.take().unwrap_or_default();
        happened.retain(|decision| {
            decision.after.is_some() || known.insert((decision.fault.clone(), decision.key))
        });
        happened
    }

    /// What an object is called, for those who read the story.
    pub(crate) fn name(&mut self, key: u64, words: impl FnOnce() -> String) {
        if self.happened.is_some() {
            self.names.entry(key).or_insert_with(words);
        }
    }

    /// What an object is called that is a part of another.
    pub(crate) fn name_after(&mut self, key: u64, whole: u64, part: &str) {
        if let Some(name) = self.names.get(&whole) {
            let name = format!("the {part} of {name}");
            self.names.insert(key, name);
        }
    }

    /// A number that follows from the question alone.
    pub(crate) fn draw(&self, what: &str, key: u64) -> u64 {
        mix(self.seed ^ question(what, key))
    }

    /// Numbers for the details of something.
    pub(crate) fn random(&self, what: &str, key: u64) -> Random {
        Random::new(self.draw(what, key))
    }

    /// Whether this fault happens to this object: so many times in a thousand.
    pub(crate) fn of(&mut self, fault: &'static str, key: u64, per_mille: u64) -> bool {
        if per_mille == 0 {
            return false;
        }
        let question = question(fault, key);
        let happens = match &self.script {
            None => mix(self.seed ^ question) % 1_000 < per_mille,
            Some(script) => script.of_objects.contains(&question),
        };
        if happens {
            self.note(fault, key, None);
        }
        happens
    }

    /// Whether this fault happens at this occasion, and the number that its details follow from.
    pub(crate) fn at(
        &mut self,
        fault: &'static str,
        now: Moment,
        occasion: u64,
        per_mille: u64,
    ) -> Option<u64> {
        if per_mille == 0 {
            return None;
        }
        let (meant_at, key) = match &mut self.script {
            None => {
                let happens = mix(self.seed ^ question(fault, occasion)) % 1_000 < per_mille;
                happens.then_some((now, occasion))
            }
            Some(script) => {
                let queue = script.of_moments.get_mut(&mix_text(fault))?;
                // Several occasions may share a moment.
                let same = |(at, key): &(Moment, u64)| *at == now && *key == occasion;
                let due = queue.iter().position(same);
                let due = due.or_else(|| queue.iter().position(|(at, _)| *at < now));
                due.and_then(|at| queue.remove(at))
            }
        }?;
        // What happens later than it was meant to is still the same decision.
        self.note(fault, key, Some(meant_at.since(self.begins_at)));
        Some(key)
    }

    fn note(&mut self, fault: &str, key: u64, after: Option<Span>) {
        if let Some(happened) = &mut self.happened {
            happened.push(Decision {
                fault: fault.to_owned(),
                key,
                after,
                words: self.names.get(&key).cloned().unwrap_or_default(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: Moment = Moment(1_000);

    fn chance() -> Chance {
        let mut chance = Chance::new(7, BEGIN);
        chance.write_down();
        chance
    }

    #[test]
    fn an_answer_does_not_depend_on_what_was_asked_before() {
        let answers = |chance: &mut Chance| -> Vec<bool> {
            (0..200).map(|key| chance.of("lost", key, 300)).collect()
        };
        let plain = answers(&mut chance());
        let mut other = chance();
        for key in 0..50 {
            other.of("refused", key, 500);
        }
        assert_eq!(answers(&mut other), plain);
        let yes = plain.iter().filter(|yes| **yes).count();
        assert!((30..90).contains(&yes), "{yes} of 200 at 300 in a thousand");
    }

    #[test]
    fn what_is_left_out_does_not_happen_and_the_rest_does() {
        let mut first = chance();
        for key in 0..100 {
            first.of("lost", key, 200);
            first.at("crash", BEGIN + Span(key as i64), key, 100);
        }
        let mut left = first.happened();
        let gone = left.remove(left.len() / 2);
        let mut again = chance();
        again.only(&left);
        for key in 0..100 {
            again.of("lost", key, 200);
            again.at("crash", BEGIN + Span(key as i64), key, 100);
        }
        let happened = again.happened();
        assert_eq!(happened, left);
        assert!(!happened.contains(&gone));
    }

    #[test]
    fn what_belongs_to_a_moment_happens_then_or_at_the_next_occasion() {
        let mut chance = chance();
        chance.only(&[Decision {
            fault: "crash".to_owned(),
            key: 5,
            after: Some(Span(10)),
            words: String::new(),
        }]);
        let mut asked = |at: i64| chance.at("crash", BEGIN + Span(at), 99, 1);
        let answers = [asked(9), asked(10), asked(12), asked(13)];
        assert_eq!(answers, [None, None, Some(5), None]);
    }
}
