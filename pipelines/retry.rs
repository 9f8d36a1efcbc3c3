//! What follows from a failed attempt: another one after a pause, with more memory or time, none,
//! or a person's decision.
//!
//! In come a task's policy and a failure, out comes what to do. Pure functions: the engine keeps
//! the counts, and a pause ends when somebody with a clock says so. The pauses are those of the
//! field (constant, linear, squared, exponential in the number of failures), so that rules written
//! for it keep their meaning. One thing is not copied: there a job that shall be parked still waits
//! out its pause first, even where an exit code asks for it at once; here it is parked when it
//! fails, because waiting would only hide it from whoever must look.

use model::job::{ExitClass, ParkReason};
use model::resource::Needs;
use model::time::{Moment, Span};
use model::units::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Where a task says nothing: memory and time grow to so many times what it asks for, at most.
pub const GROWS_TO_TIMES: u32 = 4;
/// One whole of a factor in hundredths.
const HUNDREDTHS: u32 = 100;
/// The same failure so often in a row is taken for one that will always come.
const SAME_FAILURES_MAX: u32 = 2;

/// What follows from a failed attempt of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts, how the pause between them grows, and when a person must look.
    pub rule: RetryRule,
    /// Rules for single exit codes and classes; a code stands above its class. A cause with a rule
    /// of its own is tried again whatever its class says.
    pub own_rules: BTreeMap<Cause, RetryRule>,
    /// No pause is longer.
    pub max_pause: Span,
    /// Causes after which no other attempt is made.
    pub never: BTreeSet<Cause>,
    /// Failures after which only one more attempt is made.
    pub once_more: OnceMore,
    /// When memory ran out.
    pub on_memory: Reaction,
    /// When time ran out.
    pub on_time: Reaction,
    /// When the same failure came twice in a row.
    pub on_same_failure: Reaction,
    /// How memory and time grow.
    pub growth: NeedsGrowth,
}

/// Attempts and pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRule {
    /// Attempts at most.
    pub attempts: u32,
    /// How the pause grows.
    pub growth: Growth,
    /// The pause's base.
    pub base: Span,
    /// After each so many failures the job is parked instead of tried again; 0 parks it at the
    /// first one.
    pub pause_every: Option<u32>,
}

/// How the pause between attempts grows with the number n of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// base
    Constant,
    /// base * n
    Linear,
    /// base * n^2
    Squared,
    /// base^n, counted in seconds
    Exponential,
}

/// What a rule of its own may be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The program's exit code.
    Code(i32),
    /// How the attempt ended.
    Class(ExitClass),
}

/// Failures that are worth one more attempt and no further one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnceMore {
    /// Attempts that ran longer than this.
    pub longer_than: Option<Span>,
    /// These causes.
    pub causes: BTreeSet<Cause>,
}

/// What to do where doing the same again is doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Another attempt all the same.
    Retry,
    /// Another attempt with more; parked when there is no more.
    Grow,
    /// No further attempt.
    Fail,
    /// A person decides.
    Park,
    /// Smaller jobs instead; no further attempt where the job has one input.
    Split,
}

/// How memory and time grow after they ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsGrowth {
    /// Each time to so many hundredths of what the last attempt had.
    pub factor_hundredths: u32,
    /// Memory grows no further.
    pub memory_max: Option<Bytes>,
    /// Wall time grows no further.
    pub wall_max: Option<Span>,
}

/// Three attempts, pausing 10 s, then 40 s; memory and time double.
pub const DEFAULT_RETRY: RetryPolicy = RetryPolicy {
    rule: RetryRule {
        attempts: 3,
        growth: Growth::Squared,
        base: Span::from_secs(10),
        pause_every: None,
    },
    own_rules: BTreeMap::new(),
    // A day: whatever needs longer to heal needs a person.
    max_pause: Span::from_secs(86_400),
    never: BTreeSet::new(),
    once_more: OnceMore {
        longer_than: None,
        causes: BTreeSet::new(),
    },
    on_memory: Reaction::Grow,
    on_time: Reaction::Grow,
    on_same_failure: Reaction::Retry,
    growth: NeedsGrowth {
        factor_hundredths: 2 * HUNDREDTHS,
        memory_max: None,
        wall_max: None,
    },
};

/// A failed attempt, as far as a policy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How it ended.
    pub class: ExitClass,
    /// The program's exit code, where it had one.
    pub code: Option<i32>,
    /// How long it ran.
    pub ran: Span,
    /// Failures of the job that count, this one among them.
    pub failures: u32,
    /// How often in a row it failed like this, this time among them.
    pub same: u32,
    /// What it had.
    pub had: Needs,
    /// What its task asks for.
    pub asked: Needs,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Another attempt.
    Again {
        /// Failures that count from now on: more than there were where only one more attempt is
        /// worth it.
        failures: u32,
        /// After this pause.
        pause: Span,
        /// With this.
        needs: Needs,
    },
    /// No further attempt.
    Fail,
    /// A person decides.
    Park(ParkReason),
    /// Smaller jobs instead.
    Split,
}

impl RetryPolicy {
    /// What follows from a failed attempt that counts.
    pub fn follow(&self, failure: &Failure) -> Consequence {
        let causes = failure.causes();
        if causes.iter().any(|cause| self.never.contains(cause)) {
            return Consequence::Fail;
        }
        if self.own_rule(failure).is_none() && !failure.class.may_retry() {
            return Consequence::Fail;
        }
        let needs = match self.after_exhaustion(failure) {
            Ok(needs) => needs,
            Err(other) => return other,
        };
        let rule = self.rule_for(failure);
        if failure.failures >= rule.attempts && rule.pause_every != Some(0) {
            return Consequence::Fail;
        }
        // With more memory or time it is not the same attempt again.
        if needs == failure.had && failure.same >= SAME_FAILURES_MAX {
            match self.on_same_failure {
                Reaction::Retry | Reaction::Grow => {}
                Reaction::Fail => return Consequence::Fail,
                Reaction::Park => return Consequence::Park(ParkReason::SameFailure),
                Reaction::Split => return Consequence::Split,
            }
        }
        if rule
            .pause_every
            .is_some_and(|every| parks(failure.failures, every))
        {
            return Consequence::Park(ParkReason::Policy);
        }
        let pause = cool_off(rule.growth, rule.base, failure.failures);
        Consequence::Again {
            failures: self.counted(failure),
            pause: pause.min(self.max_pause),
            needs,
        }
    }

    /// The failures that count from now on: all but one attempt where only one more is worth it.
    pub fn counted(&self, failure: &Failure) -> u32 {
        if self.once_more.applies(failure) {
            let attempts = self.rule_for(failure).attempts;
            failure.failures.max(attempts.saturating_sub(1))
        } else {
            failure.failures
        }
    }

    /// The rule for a failure: its cause's own, or that for all.
    fn rule_for(&self, failure: &Failure) -> &RetryRule {
        self.own_rule(failure).unwrap_or(&self.rule)
    }

    fn own_rule(&self, failure: &Failure) -> Option<&RetryRule> {
        let mut causes = failure.causes().into_iter();
        causes.find_map(|cause| self.own_rules.get(&cause))
    }

    /// What the next attempt gets, or what follows instead, where memory or time ran out.
    fn after_exhaustion(&self, failure: &Failure) -> Result<Needs, Consequence> {
        let (reaction, limit) = match failure.class {
            ExitClass::Memory => (self.on_memory, ParkReason::MemoryLimit),
            ExitClass::Time => (self.on_time, ParkReason::TimeLimit),
            _ => return Ok(failure.had),
        };
        match reaction {
            Reaction::Retry => Ok(failure.had),
            Reaction::Fail => Err(Consequence::Fail),
            Reaction::Park => Err(Consequence::Park(limit)),
            Reaction::Split => Err(Consequence::Split),
            Reaction::Grow => {
                let grown = self.growth.grown(failure.class, failure.had, failure.asked);
                grown.ok_or(Consequence::Park(limit))
            }
        }
    }
}

impl Failure {
    /// What rules may be for, the narrowest first.
    fn causes(&self) -> Vec<Cause> {
        let code = self.code.map(Cause::Code);
        code.into_iter().chain([Cause::Class(self.class)]).collect()
    }
}

impl OnceMore {
    fn applies(&self, failure: &Failure) -> bool {
        self.longer_than
            .is_some_and(|longest| failure.ran > longest)
            || failure
                .causes()
                .iter()
                .any(|cause| self.causes.contains(cause))
    }
}

impl NeedsGrowth {
    /// More of what ran out; none when the limit is reached.
    pub fn grown(&self, class: ExitClass, had: Needs, asked: Needs) -> Option<Needs> {
        let more = |had: u64, limit: u64| {
            let grown = u128::from(had) * u128::from(self.factor_hundredths);
            let grown = u64::try_from(grown / u128::from(HUNDREDTHS)).unwrap_or(u64::MAX);
            (had < limit).then(|| grown.clamp(had + 1, limit))
        };
        let times = u64::from(GROWS_TO_TIMES);
        match class {
            ExitClass::Memory => {
                let limit = self
                    .memory_max
                    .unwrap_or(Bytes(asked.memory.0.saturating_mul(times)));
                let memory = Bytes(more(had.memory.0, limit.0)?);
                Some(Needs { memory, ..had })
            }
            ExitClass::Time => {
                let positive = |span: Span| u64::try_from(span.0).unwrap_or(0);
                let limit = self
                    .wall_max
                    .map_or(positive(asked.wall).saturating_mul(times), positive);
                let wall = more(positive(had.wall), limit)?;
                let wall = Span(i64::try_from(wall).unwrap_or(i64::MAX));
                Some(Needs { wall, ..had })
            }
            _ => Some(had),
        }
    }
}

/// The pause after so many failures.
pub fn cool_off(growth: Growth, base: Span, failures: u32) -> Span {
    let n = i64::from(failures);
    match growth {
        Growth::Constant => base,
        Growth::Linear => Span(base.0.saturating_mul(n)),
        Growth::Squared => Span(base.0.saturating_mul(n.saturating_mul(n))),
        Growth::Exponential => power(base, failures),
    }
}

/// base^n in seconds, in whole nanoseconds.
fn power(base: Span, n: u32) -> Span {
    let second = i128::from(Span::from_secs(1).0);
    let mut value = second;
    for _ in 0..n {
        value = value * i128::from(base.0) / second;
        if value <= 0 || value > i128::from(i64::MAX) {
            break;
        }
    }
    Span(i64::try_from(value).unwrap_or(i64::MAX))
}

/// When an attempt may be made that waits for a pause to end: the first moment at which the failure
/// is older than the pause.
pub fn ready_at(failed_at: Moment, pause: Span) -> Moment {
    failed_at + pause + Span(1)
}

/// Whether so many failures are a reason to park a job that is parked after each `every`.
pub fn parks(failures: u32, every: u32) -> bool {
    every == 0 || (failures > 0 && failures.is_multiple_of(every))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Needs = Needs {
        cores: 1,
        memory: Bytes(1 << 30),
        wall: Span::from_secs(600),
    };

    fn failure(class: ExitClass, failures: u32) -> Failure {
        Failure {
            class,
            code: None,
            ran: Span::from_secs(5),
            failures,
            same: 1,
            had: ASKED,
            asked: ASKED,
        }
    }

    fn again(failures: u32, pause_s: i64) -> Consequence {
        Consequence::Again {
            failures,
            pause: Span::from_secs(pause_s),
            needs: ASKED,
        }
    }

    #[test]
    fn pauses_grow_as_the_field_knows_them_and_no_further_than_allowed() {
        let seconds = |growth, base_s, n| {
            let pause = cool_off(growth, Span::from_secs(base_s), n);
            pause.0 / Span::from_secs(1).0
        };
        let row = |growth| [0, 1, 2, 3, 5].map(|n| seconds(growth, 10, n));
        assert_eq!(row(Growth::Constant), [10, 10, 10, 10, 10]);
        assert_eq!(row(Growth::Linear), [0, 10, 20, 30, 50]);
        assert_eq!(row(Growth::Squared), [0, 10, 40, 90, 250]);
        assert_eq!(row(Growth::Exponential), [1, 10, 100, 1_000, 100_000]);
        for growth in [Growth::Linear, Growth::Squared, Growth::Exponential] {
            let pause = cool_off(growth, Span::from_secs(5_000), u32::MAX);
            assert!(pause > Span::from_secs(1 << 30), "{growth:?} {pause}");
        }
        let mut policy = DEFAULT_RETRY;
        policy.rule.attempts = 100;
        policy.max_pause = Span::from_secs(60);
        let follows = policy.follow(&failure(ExitClass::Transient, 9));
        assert_eq!(follows, again(9, 60));
    }

    #[test]
    fn a_class_says_whether_another_attempt_may_help_and_a_rule_of_its_own_stands_above() {
        let mut policy = DEFAULT_RETRY;
        let site = failure(ExitClass::Site, 1);
        let program = Failure {
            code: Some(70),
            ..failure(ExitClass::Program, 1)
        };
        assert_eq!(policy.follow(&site), again(1, 10));
        assert_eq!(policy.follow(&program), Consequence::Fail);
        assert_eq!(
            policy.follow(&failure(ExitClass::Site, 3)),
            Consequence::Fail
        );
        let own = |pause_every| RetryRule {
            growth: Growth::Constant,
            pause_every,
            ..policy.rule
        };
        let rules = [
            (Cause::Class(ExitClass::Program), own(None)),
            (Cause::Code(70), own(Some(0))),
        ];
        policy.own_rules = rules.into();
        let parked = Consequence::Park(ParkReason::Policy);
        assert_eq!(policy.follow(&program), parked, "a code before its class");
        let other = Failure {
            code: Some(71),
            ..program
        };
        assert_eq!(policy.follow(&other), again(1, 10));
        policy.never = [Cause::Code(70)].into();
        assert_eq!(policy.follow(&program), Consequence::Fail, "never is never");
    }

    #[test]
    fn a_job_is_parked_after_every_so_many_failures() {
        let mut policy = DEFAULT_RETRY;
        policy.rule.attempts = 30;
        policy.rule.pause_every = Some(3);
        let parked: Vec<u32> = (1..=9)
            .filter(|n| {
                let follows = policy.follow(&failure(ExitClass::Transient, *n));
                follows == Consequence::Park(ParkReason::Policy)
            })
            .collect();
        assert_eq!(parked, [3, 6, 9]);
    }

    #[test]
    fn memory_and_time_grow_to_their_limit_and_then_somebody_must_look() {
        let mut policy = DEFAULT_RETRY;
        policy.rule.attempts = 10;
        policy.growth.wall_max = Some(Span::from_secs(900));
        let grown = |class, had: Needs| {
            let failed = Failure {
                had,
                same: 7,
                ..failure(class, 1)
            };
            match policy.follow(&failed) {
                Consequence::Again { needs, .. } => Ok((needs.memory.0 >> 20, needs.wall)),
                other => Err(other),
            }
        };
        let gib = |n: u64| Needs {
            memory: Bytes(n << 30),
            ..ASKED
        };
        let wall = |s| Needs {
            wall: Span::from_secs(s),
            ..ASKED
        };
        let s = Span::from_secs;
        assert_eq!(grown(ExitClass::Memory, gib(1)), Ok((2_048, s(600))));
        assert_eq!(grown(ExitClass::Memory, gib(3)), Ok((4_096, s(600))));
        let full = Consequence::Park(ParkReason::MemoryLimit);
        assert_eq!(grown(ExitClass::Memory, gib(4)), Err(full));
        assert_eq!(grown(ExitClass::Time, wall(600)), Ok((1_024, s(900))));
        let full = Consequence::Park(ParkReason::TimeLimit);
        assert_eq!(grown(ExitClass::Time, wall(900)), Err(full));
    }

    #[test]
    fn the_same_failure_twice_is_taken_for_one_that_will_always_come() {
        let mut policy = DEFAULT_RETRY;
        policy.rule.attempts = 10;
        let failed = |same| Failure {
            same,
            ..failure(ExitClass::Transient, 2)
        };
        assert_eq!(policy.follow(&failed(2)), again(2, 40));
        policy.on_same_failure = Reaction::Split;
        assert_eq!(policy.follow(&failed(1)), again(2, 40));
        assert_eq!(policy.follow(&failed(2)), Consequence::Split);
        policy.on_same_failure = Reaction::Park;
        let parked = Consequence::Park(ParkReason::SameFailure);
        assert_eq!(policy.follow(&failed(3)), parked);
    }

    #[test]
    fn some_failures_are_worth_one_more_attempt() {
        let mut policy = DEFAULT_RETRY;
        policy.rule.attempts = 5;
        policy.once_more.longer_than = Some(Span::from_secs(60));
        policy.once_more.causes = [Cause::Code(8_001)].into();
        let long = |ran_s| Failure {
            ran: Span::from_secs(ran_s),
            ..failure(ExitClass::Transient, 1)
        };
        assert_eq!(policy.follow(&long(60)), again(1, 10));
        assert_eq!(policy.follow(&long(61)), again(4, 10));
        let coded = Failure {
            code: Some(8_001),
            ..long(1)
        };
        assert_eq!(policy.follow(&coded), again(4, 10));
    }
}
