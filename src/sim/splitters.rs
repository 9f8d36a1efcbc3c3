//! The modelled plugin that splits: what it answers, and when, if at all.
//!
//! In comes a question, out come answers to hear later. A good one is a pure function of the run
//! and of how many inputs there are. Where chance says so it crashes, lies, answers twice, not at
//! all, or so late that the question was given up.

use crate::random::{mix, mix_text};
use crate::world::{Event, World};
use model::plugin::SplitQuestion;
use model::time::Span;

/// Inputs of a group at most.
const GROUP_MAX: u64 = 3;
/// Later than any question stands.
const TOO_LATE: Span = Span::from_secs(700);

impl World {
    /// Somebody asks a splitter.
    pub(crate) fn ask_splitter(&mut self, question: &SplitQuestion) {
        let (key, rate) = (&question.key, self.faults.splitter);
        let task = mix_text(&key.task.to_string()) ^ u64::from(key.run.0);
        let asked = mix(task ^ key.asked_at.0 as u64);
        self.chance
            .name(asked, || format!("{} of run {}", key.task, key.run));
        self.story.count("splitter asked");
        if self.chance.of("splitter_silent", asked, rate) {
            self.story.count("splitter never answered");
            return;
        }
        let random = &mut self.chance.random("splitter", asked);
        let mut after = Span::from_millis(random.between(1, 400) as i64);
        let lie = random.below(4);
        let inputs = question.inputs.len();
        let mut groups = Ok(groups(inputs, mix(task)));
        if self.chance.of("splitter_crashes", asked, rate) {
            self.story.count("splitter crashed");
            groups = Err("ended with exit code 3 before it answered".to_owned());
        } else if self.chance.of("splitter_lies", asked, rate) {
            self.story.count("splitter lied");
            groups = groups.map(|groups| lied(groups, lie, inputs));
        }
        if self.chance.of("splitter_late", asked, rate) {
            self.story.count("splitter answered too late");
            after += TOO_LATE;
        }
        let answer =
            |groups: &Result<Vec<Vec<u32>>, String>| Event::Split(key.clone(), groups.clone());
        if self.chance.of("splitter_twice", asked, rate) {
            self.story.count("splitter answered twice");
            let again = self.now + after + after;
            self.at(again, answer(&groups));
        }
        self.at(self.now + after, answer(&groups));
    }
}

/// Every input in one group.
fn groups(inputs: usize, key: u64) -> Vec<Vec<u32>> {
    let places: Vec<u32> = (0..inputs as u32).collect();
    let size = 1 + key % GROUP_MAX;
    places.chunks(size as usize).map(<[u32]>::to_vec).collect()
}

/// What cannot be: an input twice, one that is not there, a group of nothing, one left out.
fn lied(mut groups: Vec<Vec<u32>>, lie: u64, inputs: usize) -> Vec<Vec<u32>> {
    match lie {
        0 => groups.push(vec![0]),
        1 => groups.push(vec![inputs as u32]),
        2 => groups.push(Vec::new()),
        _ => drop(groups.pop()),
    }
    groups
}
