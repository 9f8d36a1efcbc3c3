//! Batches: facts that become durable together, and the effects that wait for them (D1).
//!
//! One batch is being committed, one is forming. The forming one takes everything that is stepped
//! meanwhile, so a slow disk makes larger batches, never more waiting.

use engine::Effect;
use model::fact::Fact;
use model::ids::Token;
use model::time::{Moment, Span};
use ports::store::Batch;
use std::collections::BTreeMap;

/// Facts that may wait to become durable before intake stops.
const UNDURABLE_FACTS_MAX: usize = 64_000;
/// Early attempts whose record may be under way at once (D3).
const EARLY_ATTEMPTS_MAX: usize = 256;

/// How long a commit lets a process go first that was started early: about what a start takes. On a
/// machine of few processors the commit would take one from the program.
const START_FIRST: Span = Span::from_millis(2);

/// What the engine's thread keeps about batches.
pub(crate) struct Batches {
    forming: Vec<Fact>,
    deferred: Vec<Effect>,
    /// Effects of the batch that is being committed.
    held: Vec<Effect>,
    committing: Option<(i64, usize)>,
    next_number: i64,
    /// Attempts that were started early, with the batch that records them.
    early: BTreeMap<Token, i64>,
    /// The forming batch may not be committed before, unless somebody is about to stop.
    not_before: Option<Moment>,
}

impl Batches {
    /// Goes on after the last batch on record.
    pub(crate) fn after(last_batch: i64) -> Self {
        Self {
            forming: Vec::new(),
            deferred: Vec::new(),
            held: Vec::new(),
            committing: None,
            next_number: last_batch + 1,
            early: BTreeMap::new(),
            not_before: None,
        }
    }

    pub(crate) fn record(&mut self, fact: Fact) {
        self.forming.push(fact);
    }

    /// An effect that waits for the forming batch.
    pub(crate) fn defer(&mut self, effect: Effect) {
        self.deferred.push(effect);
    }

    /// Whether one more attempt may start before its record is durable; remembers it if so.
    pub(crate) fn start_early(&mut self, token: Token) -> bool {
        if self.early.len() >= EARLY_ATTEMPTS_MAX {
            return false;
        }
        self.early.insert(token, self.next_number);
        true
    }

    /// A process was started early: the forming batch lets it go first. Further ones in the same
    /// batch do not make it wait longer.
    pub(crate) fn let_go_first(&mut self, now: Moment) {
        self.not_before.get_or_insert(now + START_FIRST);
    }

    /// When the forming batch may be committed, if that is all it waits for.
    pub(crate) fn due(&self) -> Option<Moment> {
        self.not_before.filter(|_| self.committing.is_none())
    }

    /// Whether the record of an attempt is still under way: its news must wait.
    pub(crate) fn is_undurable(&self, token: Token) -> bool {
        self.early.contains_key(&token)
    }

    /// Whether so much waits for the disk that no more files should be taken in.
    pub(crate) fn is_crowded(&self) -> bool {
        self.forming.len() + self.committing.map_or(0, |(_, facts)| facts) > UNDURABLE_FACTS_MAX
    }

    /// Whether nothing waits to become durable.
    pub(crate) fn is_settled(&self) -> bool {
        self.committing.is_none() && self.forming.is_empty() && self.deferred.is_empty()
    }

    /// The forming batch, if there is one, the writer is free and no start goes first.
    pub(crate) fn hand_over(&mut self, next_id: i64, moment: Moment) -> Option<Batch> {
        if self.committing.is_some() || (self.forming.is_empty() && self.deferred.is_empty()) {
            return None;
        }
        if self.not_before.is_some_and(|at| moment < at) {
            return None;
        }
        self.not_before = None;
        let facts = std::mem::take(&mut self.forming);
        self.held = std::mem::take(&mut self.deferred);
        let number = self.next_number;
        self.next_number += 1;
        self.committing = Some((number, facts.len()));
        Some(Batch {
            number,
            next_id,
            moment,
            facts,
        })
    }

    /// The number that the forming batch will have.
    pub(crate) fn forming_number(&self) -> i64 {
        self.next_number
    }

    /// The forming batch waits for nobody.
    pub(crate) fn hurry(&mut self) {
        self.not_before = None;
    }

    /// The batch is durable: its effects may be released.
    pub(crate) fn durable(&mut self, number: i64) -> Vec<Effect> {
        let committed = self.committing.take();
        assert_eq!(
            committed.map(|(n, _)| n),
            Some(number),
            "the writer commits what it was given"
        );
        self.early.retain(|_, batch| *batch > number);
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::{AttemptNumber, Epoch, JobId};

    #[test]
    fn effects_wait_for_their_own_batch_and_no_longer() {
        let mut batches = Batches::after(7);
        let token = Token {
            epoch: Epoch(1),
            job: JobId(1),
            attempt: AttemptNumber::FIRST,
        };
        assert!(
            batches.hand_over(1, Moment(0)).is_none(),
            "nothing to commit"
        );
        assert!(batches.start_early(token));
        batches.defer(Effect::Release);
        let first = batches.hand_over(1, Moment(0)).expect("an effect waits");
        assert_eq!(first.number, 8);
        batches.defer(Effect::Cancel(token));
        assert!(
            batches.hand_over(1, Moment(0)).is_none(),
            "one commit at a time"
        );
        assert!(batches.is_undurable(token));
        assert_eq!(batches.durable(8), [Effect::Release]);
        assert!(!batches.is_undurable(token));
        assert_eq!(
            batches.hand_over(1, Moment(0)).map(|batch| batch.number),
            Some(9)
        );
        assert_eq!(batches.durable(9), [Effect::Cancel(token)]);
        assert!(batches.is_settled());
    }

    #[test]
    fn a_start_goes_first_for_a_while_and_no_longer() {
        let mut batches = Batches::after(0);
        let at = |nanoseconds| Moment(nanoseconds);
        let due = at(10) + START_FIRST;
        batches.defer(Effect::Release);
        batches.let_go_first(at(10));
        batches.let_go_first(at(500));
        assert_eq!(batches.due(), Some(due));
        assert!(
            batches.hand_over(1, at(900)).is_none(),
            "the start goes first"
        );
        assert!(batches.hand_over(1, due).is_some());
        batches.defer(Effect::Release);
        batches.let_go_first(at(20));
        assert_eq!(batches.due(), None, "the writer is what it waits for");
        assert_eq!(batches.durable(1), [Effect::Release]);
        assert!(batches.due().is_some());
    }
}
