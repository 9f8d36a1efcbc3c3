//! Definitions that depend on the run: one linked set for each stretch of runs in which nothing
//! changes.
//!
//! In come the sets with the first run each holds for, out comes the one for a run. The answer
//! never changes, so whoever knows the configuration and the run knows the settings: nothing else
//! needs to be kept to freeze them. It never reads what people typed; `check` of the configuration
//! does.

use crate::definition::Definition;
use model::ids::RunNumber;
use std::sync::Arc;

/// Linked definitions by the first run that they hold for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definitions {
    /// By first run; the first is run 0, and neighbours differ.
    /// Shared: whoever is handed a configuration gets them.
    variants: Vec<(RunNumber, Arc<Vec<Definition>>)>,
}

impl Definitions {
    /// The same definitions for all runs.
    pub fn fixed(definitions: Vec<Definition>) -> Self {
        Self {
            variants: vec![(RunNumber(0), Arc::new(definitions))],
        }
    }

    /// Definitions by the first run that they hold for; a stretch that changes nothing joins the
    /// one before. None without a set for run 0.
    pub fn by_first_run(mut stretches: Vec<(RunNumber, Vec<Definition>)>) -> Option<Self> {
        stretches.sort_by_key(|(first, _)| *first);
        stretches.dedup_by(|later, kept| later.1 == kept.1);
        let begins = stretches.first().is_some_and(|(first, _)| first.0 == 0);
        let variants = stretches.into_iter();
        begins.then_some(Self {
            variants: variants
                .map(|(first, definitions)| (first, Arc::new(definitions)))
                .collect(),
        })
    }

    /// The first run of the stretch that a run belongs to: the name of its variant.
    pub fn variant(&self, run: RunNumber) -> RunNumber {
        self.variants[self.position(run)].0
    }

    /// The definitions for a run.
    pub fn resolve(&self, run: RunNumber) -> &[Definition] {
        &self.variants[self.position(run)].1
    }

    /// All of them, by first run.
    pub fn variants(&self) -> impl Iterator<Item = (RunNumber, &[Definition])> {
        let variants = self.variants.iter();
        variants.map(|(first, definitions)| (*first, definitions.as_slice()))
    }

    /// Changes every definition of every stretch.
    pub fn for_each_mut(&mut self, mut change: impl FnMut(&mut Definition)) {
        for (_, definitions) in &mut self.variants {
            Arc::make_mut(definitions).iter_mut().for_each(&mut change);
        }
    }

    fn position(&self, run: RunNumber) -> usize {
        let after = self.variants.partition_point(|(first, _)| *first <= run);
        after
            .checked_sub(1)
            .expect("the first stretch begins with run 0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EMBEDDED;
    use crate::link::load;

    #[test]
    fn a_run_belongs_to_the_last_stretch_that_began() {
        let all = load(EMBEDDED).expect("what comes with the program is right");
        let one = vec![all[0].clone()];
        let run = RunNumber;
        let stretches = vec![
            (run(300), all.clone()),
            (run(0), all.clone()),
            (run(100), one.clone()),
            (run(200), one.clone()),
        ];
        let definitions = Definitions::by_first_run(stretches).expect("run 0 is there");
        for (number, first, count) in [
            (0, 0, all.len()),
            (99, 0, all.len()),
            (100, 100, 1),
            (250, 100, 1),
            (300, 300, all.len()),
            (u32::MAX, 300, all.len()),
        ] {
            assert_eq!(definitions.variant(run(number)), run(first), "{number}");
            assert_eq!(definitions.resolve(run(number)).len(), count, "{number}");
        }
        assert_eq!(definitions.variants().count(), 3, "200 changes nothing");
        assert_eq!(Definitions::by_first_run(vec![(run(5), one)]), None);
    }
}
