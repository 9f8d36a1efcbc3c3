//! The reconciler: whatever is out with an executor is compared with what the executor has, so that
//! an attempt which vanished, or whose end nobody heard of, is found long before its wall time
//! (P6).
//!
//! In come lists of what there is, out go attempts that are lost. While nothing is out nobody is
//! asked and no timer is set. How often an attempt was absent is no row: a restart begins anew.
//! A list decides nothing alone: one that is short, late or empty may be a lie.

use crate::timers::Timer;
use crate::{Effect, Engine};
use model::ids::{JobId, Token};
use model::job::ExitClass;
use model::time::{Moment, Span};
use std::collections::{BTreeMap, BTreeSet};

/// How often the executor is asked for everything that it has.
const ASK_EVERY: Span = Span::from_secs(30);
/// An attempt that is absent from so many good lists in a row is lost: one list may be from before
/// it was entered, a second may be cut short.
const ABSENCES_MAX: u32 = 3;
/// Attempts that are given up in one step; the rest follows in the next ones (D15).
const LOST_AT_ONCE_MAX: usize = 1_000;

/// What is out, and what is known of it.
#[derive(Debug, Default)]
pub(crate) struct Reconciler {
    /// Jobs whose attempt an executor should have, and from how many good lists in a row it was
    /// absent.
    out: BTreeMap<JobId, u32>,
    /// When the executor was asked for a list that has not come yet.
    asked: Option<Moment>,
    /// When it is asked next: a timer is set.
    next: Option<Moment>,
}

impl Reconciler {
    /// Jobs whose attempt an executor should have.
    pub(crate) fn out(&self) -> impl Iterator<Item = JobId> {
        self.out.keys().copied()
    }
}

impl Engine {
    /// Whether an attempt will be missed: it is counted, and somebody asks for it or has asked.
    pub(crate) fn is_awaited(&self, id: JobId) -> bool {
        let next = self.reconciler.next;
        let asks = next.is_some_and(|at| self.timers.is_set(at, Timer::Reconcile));
        asks && self.reconciler.out.contains_key(&id)
    }

    /// An attempt of a job goes to the executor.
    pub(crate) fn gone_out(&mut self, now: Moment, id: JobId) {
        self.reconciler.out.insert(id, 0);
        if self.reconciler.next.is_none() {
            self.ask_next(now + ASK_EVERY);
        }
    }

    /// The executor has nothing of a job any more.
    pub(crate) fn come_back(&mut self, id: JobId) {
        self.reconciler.out.remove(&id);
        if self.reconciler.out.is_empty()
            && let Some(at) = self.reconciler.next.take()
        {
            self.timers.cancel(at, Timer::Reconcile);
        }
    }

    fn ask_next(&mut self, at: Moment) {
        self.reconciler.next = Some(at);
        self.timers.set(at, Timer::Reconcile);
    }

    /// Time has come to ask, or to give up more of what is lost.
    pub(crate) fn reconcile(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.give_up_absent(now, effects);
        if self.reconciler.next.is_none_or(|at| at > now) {
            return;
        }
        // One question at a time: several answers of one moment would be one look, not several.
        if self.reconciler.asked.is_none() {
            self.reconciler.asked = Some(now);
            effects.push(Effect::List(now));
        }
        self.ask_next(now + ASK_EVERY);
    }

    /// The executor says what it has; or that it cannot say, which changes nothing.
    pub(crate) fn listed(
        &mut self,
        now: Moment,
        asked_at: Moment,
        tokens: Option<Vec<Token>>,
        effects: &mut Vec<Effect>,
    ) {
        // Said twice, or asked by nobody.
        if self.reconciler.asked != Some(asked_at) {
            return;
        }
        self.reconciler.asked = None;
        let Some(tokens) = tokens else {
            return;
        };
        let here: BTreeSet<Token> = tokens.into_iter().collect();
        for (id, absences) in &mut self.reconciler.out {
            let Some(job) = self.jobs.get(id) else {
                continue;
            };
            let token = Token {
                epoch: self.epoch,
                job: *id,
                attempt: job.state.attempt(),
            };
            if here.contains(&token) {
                *absences = 0;
            } else if job.stamps.sent.is_some_and(|sent| sent < asked_at) {
                *absences += 1;
            }
        }
        self.give_up_absent(now, effects);
    }

    /// Attempts that were absent often enough are lost. Should one of them live all the same, it is
    /// ended, and what it still says is ignored as that of any old attempt.
    fn give_up_absent(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let out = self.reconciler.out.iter();
        let absent = out.filter(|(_, absences)| **absences >= ABSENCES_MAX);
        let lost: Vec<JobId> = absent
            .map(|(id, _)| *id)
            .take(LOST_AT_ONCE_MAX + 1)
            .collect();
        for id in lost.iter().take(LOST_AT_ONCE_MAX) {
            let Some(job) = self.jobs.get(id) else {
                continue;
            };
            effects.push(Effect::Cancel(self.token(job)));
            self.free_cores(*id);
            let message = format!(
                "the executor does not have it and has not said how it ended (it was absent from \
                 {ABSENCES_MAX} lists in a row); it is made again, and what the old attempt still \
                 says is ignored; `tier0 job show {id}` has its attempts"
            );
            self.attempt_failed(now, *id, ExitClass::Lost, &message, effects);
        }
        if lost.len() > LOST_AT_ONCE_MAX {
            self.timers.set(now + Span(1), Timer::Reconcile);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_found_before_people_would_look() {
        let found_within = ASK_EVERY.0 * i64::from(ABSENCES_MAX + 1);
        assert!(found_within <= Span::from_secs(120).0);
    }
}
