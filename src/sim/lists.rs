//! What the modelled executor says when it is asked for everything that it has: the truth, late, in
//! part, with more than there is, or that it does not know.
//!
//! In comes the engine's question, out comes an answer, and what was given up because of answers is
//! judged: an attempt is lost only after three good lists in a row that should have had it.

use crate::chance::Chance;
use crate::executor::Executor;
use crate::faults::Faults;
use crate::random::mix;
use crate::world::{Event, World};
use engine::Input;
use model::fact::Fact;
use model::ids::Token;
use model::job::{ExitClass, FailedAttempt, JobState};
use model::time::{Moment, Span};

/// An attempt may be given up after so many.
const ABSENCES_MIN: u32 = 3;

impl Executor {
    /// What it says that it has. `should` are attempts that every good list must have.
    fn lists(
        &mut self,
        now: Moment,
        should: &[Token],
        faults: &Faults,
        chance: &mut Chance,
    ) -> (Option<Vec<Token>>, &'static str) {
        let key = mix(now.0 as u64);
        if chance.at("no_list", now, key, faults.no_list).is_some() {
            return (None, "a list could not be had");
        }
        let mut listed: Vec<Token> = self.held(now).collect();
        let mut what = "a list was had";
        if let Some(key) = chance.at("short_list", now, key, faults.short_list) {
            let mut random = chance.random("short list", key);
            let all = random.per_mille(300);
            what = if all {
                "a list was empty"
            } else {
                "a list was short"
            };
            // Never three times in a row, unless what is then made again may change results.
            let may_lie = |token: &Token| {
                faults.harsh
                    || self
                        .absences
                        .get(token)
                        .is_none_or(|absences| *absences < 2)
            };
            listed.retain(|token| !may_lie(token) || !(all || random.per_mille(500)));
        }
        if let Some(key) = chance.at("stale_list", now, key, faults.stale_list) {
            let mut random = chance.random("stale list", key);
            let gone = should.iter().filter(|token| !listed.contains(token));
            let stale: Vec<Token> = gone.filter(|_| random.per_mille(500)).copied().collect();
            if !stale.is_empty() {
                what = "a list had what is gone";
            }
            listed.extend(stale);
        }
        for token in should {
            let absences = self.absences.entry(*token).or_default();
            *absences = if listed.contains(token) {
                0
            } else {
                *absences + 1
            };
        }
        (Some(listed), what)
    }
}

impl World {
    /// The engine asks what there is.
    pub(crate) fn list(&mut self, asked_at: Moment) {
        let epoch = self.setup.epoch;
        let jobs = self.shadow.jobs.values();
        let out = jobs.filter(|job| {
            let with_executor =
                matches!(job.state, JobState::Sent { .. } | JobState::Running { .. });
            with_executor && job.stamps.sent.is_some_and(|sent| sent < asked_at)
        });
        let should: Vec<Token> = out
            .map(|job| Token {
                epoch,
                job: job.id,
                attempt: job.state.attempt(),
            })
            .collect();
        let (tokens, what) = self
            .executor
            .lists(self.now, &should, &self.faults, &mut self.chance);
        self.story.count(what);
        let key = mix(self.now.0 as u64);
        let mut random = self.chance.random("list", key);
        let mut after = Span::from_millis(random.between(1, 3_000) as i64);
        let late = self.faults.late_list;
        if self.chance.at("late_list", self.now, key, late).is_some() {
            self.story.count("a list came late");
            after += Span::from_secs(random.between(20, 120) as i64);
        }
        self.at(self.now + after, Event::Listed(asked_at, tokens));
    }

    /// An answer comes, and perhaps a second time.
    pub(crate) fn listed(
        &mut self,
        asked_at: Moment,
        tokens: Option<Vec<Token>>,
    ) -> Result<(), String> {
        let (key, rate) = (mix(self.now.0 as u64), self.faults.duplicate_news);
        let again = self
            .chance
            .at("listed_twice", self.now, key, rate)
            .is_some();
        let from = self.forming.facts.len();
        if again {
            let tokens = tokens.clone();
            self.step(Input::Listed { asked_at, tokens })?;
        }
        self.step(Input::Listed { asked_at, tokens })?;
        let facts = self.forming.facts[from..].iter();
        let lost: Vec<FailedAttempt> = facts
            .filter_map(|fact| match fact {
                Fact::AttemptFailedIs(failed) => Some(failed.clone()),
                _ => None,
            })
            .collect();
        lost.iter()
            .try_for_each(|failed| self.check_given_up(failed))
    }

    /// P4: an attempt is given up only for a reason.
    fn check_given_up(&mut self, failed: &FailedAttempt) -> Result<(), String> {
        let token = Token {
            epoch: self.setup.epoch,
            job: failed.job,
            attempt: failed.attempt,
        };
        let absences = self.executor.absences.remove(&token).unwrap_or(0);
        if failed.class != ExitClass::Lost || absences < ABSENCES_MIN {
            return Err(format!(
                "P4: attempt {token} was given up as {} after {absences} lists without it",
                failed.class.as_str()
            ));
        }
        let goes_on = self.executor.held(self.now).any(|held| held == token);
        self.story.count(if goes_on {
            "a living attempt was given up"
        } else if self.executor.silent.contains_key(&token) {
            "found by the reconciler"
        } else {
            "given up while its end was on its way"
        });
        Ok(())
    }
}
