//! What there really is: asked of the spawner, which alone knows its children, and not of what was
//! submitted.
//!
//! In: the question. Out: the attempts that are there; and, said again, the ends of those whose
//! news nobody has taken up. A program that the spawner has twice not had is gone, although its end
//! was never told: its attempt is lost, and its worker's place is free for another. Must never wait
//! long: attempts are submitted by the thread that asks.

use crate::local::Shared;
use crate::state::{Gone, Process};
use crate::wire::Request;
use model::ids::Token;
use model::job::ExitClass;
use model::time::Span;
use model::work::{AttemptNews, AttemptReport};
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The spawner answers within a millisecond, if it answers at all.
const PATIENCE: Duration = Duration::from_secs(1);
/// A program is gone that so many lists in a row lack: of the first its end may be on its way.
const ABSENCES_MAX: u32 = 2;
/// What was told and not forgotten for so long is said again: its record is durable long before.
const SAY_AGAIN_AFTER: Span = Span::from_secs(10);

/// Questions to the spawner and their answers.
#[derive(Default)]
pub(crate) struct Listings {
    state: Mutex<Listing>,
    heard: Condvar,
}

#[derive(Default)]
struct Listing {
    asked: u64,
    /// The answer to a question.
    answer: Option<(u64, BTreeSet<u64>)>,
}

impl Listings {
    /// The spawner has said what there is.
    pub(crate) fn answered(&self, number: u64, keys: Vec<u64>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.answer = Some((number, keys.into_iter().collect()));
        self.heard.notify_all();
    }

    fn next(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked += 1;
        state.asked
    }

    /// Waits for the answer; none if it does not come.
    fn wait(&self, number: u64) -> Option<BTreeSet<u64>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_missing =
            |state: &mut Listing| state.answer.as_ref().is_none_or(|(of, _)| *of != number);
        let waited = self
            .heard
            .wait_timeout_while(state, PATIENCE, is_missing)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = waited;
        state.answer.take_if(|(of, _)| *of == number).map(|it| it.1)
    }
}

impl Shared {
    /// The attempts that are there; none if the spawner does not say.
    pub(crate) fn list(self: &Arc<Self>) -> Option<Vec<Token>> {
        self.say_again();
        let known: BTreeSet<u64> = {
            let state = self.state();
            let processes = state.processes.keys();
            processes.chain(state.workers.keys()).copied().collect()
        };
        let number = self.listings.next();
        self.request(&Request::List { number }, None).ok()?;
        let there = self.listings.wait(number)?;
        // What was started since the question need not be in the answer.
        let is_there = |key: &u64| there.contains(key) || !known.contains(key);
        let mut state = self.state();
        let processes = state.processes.iter().filter(|(key, _)| is_there(key));
        let mut tokens: Vec<Token> = processes.map(|(_, process)| process.token).collect();
        let workers = state.workers.iter().filter(|(key, _)| is_there(key));
        let tasks = workers.filter_map(|(_, worker)| worker.task.as_ref());
        let waiting = state.pools.values().flat_map(|pool| &pool.waiting);
        tokens.extend(tasks.chain(waiting).map(|task| task.token));
        let absent = known.into_iter().filter(|key| {
            let here = state.processes.contains_key(key) || state.workers.contains_key(key);
            here && !there.contains(key)
        });
        let absent: Vec<u64> = absent.collect();
        state.absences.retain(|key, _| absent.contains(key));
        let mut gone = Vec::new();
        for key in absent {
            let absences = state.absences.entry(key).or_default();
            *absences += 1;
            if *absences >= ABSENCES_MAX {
                gone.push((key, state.processes.remove(&key)));
            }
        }
        drop(state);
        for (key, process) in gone {
            match process {
                Some(process) => self.process_vanished(&process),
                None => self.worker_gone(key, Gone::Lost),
            }
        }
        Some(tokens)
    }

    fn process_vanished(&self, process: &Process) {
        let message = "its process is gone and the spawner never said how it ended".to_owned();
        let started_at = process.started_at.unwrap_or(process.sent_at);
        let report = AttemptReport::failed(ExitClass::Lost, message, started_at, self.now());
        self.process_over(process, report);
    }

    /// Tells how an attempt ended, and remembers that until it is forgotten.
    pub(crate) fn tell_end(&self, token: Token, report: AttemptReport) {
        let told = (self.now(), report.clone());
        self.state().told.insert(token, told);
        self.tell(token, AttemptNews::Ended(Box::new(report)));
    }

    /// Ends that nobody has taken up are told once more.
    fn say_again(&self) {
        let now = self.now();
        let state = self.state();
        let told = state.told.iter();
        let unheard = told.filter(|(_, (at, _))| now.since(*at) > SAY_AGAIN_AFTER);
        let unheard: Vec<(Token, AttemptReport)> = unheard
            .map(|(token, (_, report))| (*token, report.clone()))
            .collect();
        drop(state);
        for (token, report) in unheard {
            self.tell(token, AttemptNews::Ended(Box::new(report)));
        }
    }
}
