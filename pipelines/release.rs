//! When may the jobs of a task exist? One function, evaluated by the engine when something was
//! decided, somebody has ruled, or a wait ends (D17). Every wait has a name, a reason for people, a
//! bound where there is one, and a moment to ask again.
//!
//! From when a bound counts: for `run_known` from the run's opening; for everything else from the
//! moment its data were complete. A delay counts from the run's end. Comparisons with a delay are
//! strict, as the field's are (dmwm/T0:src/python/T0/WMBS/Oracle/RunConfig/FindRecoRelease.py).

use crate::definition::{Redo, Release, When};
use model::ids::RunNumber;
use model::names::TagName;
use model::time::{Moment, Span};
use model::wait::WaitKind;

/// What is known of a run when a release is asked for.
#[derive(Clone, Copy)]
pub struct RunFacts<'a> {
    /// When it was first heard of.
    pub opened_at: Moment,
    /// Whether somebody announced it and what it is for.
    pub announced: bool,
    /// When its end was said.
    pub ended_at: Option<Moment>,
    /// When its data were complete.
    pub closed_at: Option<Moment>,
    /// What its quality tests said: whether nothing was wrong.
    pub verdict_good: Option<bool>,
    /// Whether a tag has no decision for it yet.
    pub is_undecided: &'a dyn Fn(&TagName) -> bool,
}

/// The answer for one task of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// Its jobs may exist.
    Yes {
        /// Whether a constant or a verdict is still missing: the work is done with what is there,
        /// and marked.
        provisional: bool,
    },
    /// Not yet.
    Waits {
        /// The rule that holds it back.
        kind: WaitKind,
        /// For what, for people.
        reason: String,
        /// The first moment at which the wait is over by itself; none while nobody knows it.
        until: Option<Moment>,
    },
}

/// Evaluates a rule.
pub fn released(rule: &Release, run: &RunFacts<'_>, now: Moment) -> Released {
    if rule.delay > Span::ZERO {
        let over = run.ended_at.map(|at| first_after(at, rule.delay));
        if over.is_none_or(|over| now < over) {
            let reason = match over {
                Some(_) => "the delay after the run's end is not over".to_owned(),
                None => "the delay counts from the run's end, which was not said yet".to_owned(),
            };
            return waits(WaitKind::Delay, reason, over);
        }
    }
    let Some((kind, reason, from)) = missing(rule, run) else {
        return Released::Yes { provisional: false };
    };
    let until = from.zip(rule.at_most).map(|(from, most)| from + most);
    if until.is_some_and(|until| until <= now) {
        return Released::Yes { provisional: true };
    }
    waits(kind, reason, until)
}

/// What shall become of work that was done with other constants than those in force now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outdated {
    /// It stays as it is.
    Stays,
    /// The constants that it was to have are still to come: that is judged when they are here.
    Waits,
    /// It is made again.
    MadeAgain,
    /// A person is asked.
    Asked,
}

/// Evaluates a rule for outdated work: provisional work is made again once everything it was to
/// have is decided, better constants are a person's to accept (D17).
pub fn outdated(rule: &Release, is_provisional: bool, run: &RunFacts<'_>) -> Outdated {
    let owed = match &rule.when {
        When::Conditions(tags) => tags.iter().any(|tag| (run.is_undecided)(tag)),
        _ => false,
    };
    match (rule.redo, is_provisional) {
        (Redo::Never, _) => Outdated::Stays,
        (Redo::Auto | Redo::Ask, _) if owed => Outdated::Waits,
        (Redo::Auto, _) | (Redo::Ask, true) => Outdated::MadeAgain,
        (Redo::Ask, false) => Outdated::Asked,
    }
}

fn waits(kind: WaitKind, reason: String, until: Option<Moment>) -> Released {
    Released::Waits {
        kind,
        reason,
        until,
    }
}

/// What the rule still misses, and from when its bound counts.
fn missing(rule: &Release, run: &RunFacts<'_>) -> Option<(WaitKind, String, Option<Moment>)> {
    match &rule.when {
        When::Always => None,
        When::RunKnown => (!run.announced).then(|| {
            let reason = "nobody has announced the run and what it is for".to_owned();
            (WaitKind::RunKnown, reason, Some(run.opened_at))
        }),
        When::RunClosed => run.closed_at.is_none().then(|| {
            let reason = "the run's data are not complete".to_owned();
            (WaitKind::RunClosed, reason, None)
        }),
        When::Conditions(tags) => {
            let tags = tags.iter().filter(|tag| (run.is_undecided)(tag));
            let missing: Vec<&str> = tags.map(TagName::as_str).collect();
            (!missing.is_empty()).then(|| {
                let reason = format!("no decision yet on {}", missing.join(", "));
                (WaitKind::Conditions, reason, run.closed_at)
            })
        }
        When::Approved => {
            let reason = "a person has to accept the run".to_owned();
            Some((WaitKind::Approval, reason, run.closed_at))
        }
        When::Verdict => match run.verdict_good {
            Some(true) => None,
            Some(false) => {
                let reason = "quality tests found something wrong".to_owned();
                Some((WaitKind::Verdict, reason, run.closed_at))
            }
            None => {
                let reason = "the run's quality tests have not spoken yet".to_owned();
                Some((WaitKind::Verdict, reason, run.closed_at))
            }
        },
    }
}

/// The first moment strictly after `at + span`.
pub fn first_after(at: Moment, span: Span) -> Moment {
    at + span + Span(1)
}

/// When a run is locked for a task: from then on nothing new can be promised to reach it. None
/// while nobody knows when the task will be released by itself, or when the rule has no such
/// moment.
pub fn locked_from(rule: &Release, run: &RunFacts<'_>) -> Option<Moment> {
    let by_delay = (rule.delay > Span::ZERO)
        .then(|| run.ended_at.map(|at| at + rule.delay))
        .flatten();
    let by_bound = match rule.when {
        When::RunKnown => rule.at_most.map(|most| run.opened_at + most),
        When::Always => None,
        _ => run.closed_at.zip(rule.at_most).map(|(at, most)| at + most),
    };
    let release = by_delay.max(by_bound)?;
    Some(first_after(release, Span(-rule.lock.0)))
}

/// The first run that whoever makes constants can still influence: the smallest that is not locked
/// above the largest locked one; if all are locked, the one after the last
/// (dmwm/t0wmadatasvc:DataFirstConditionSafeRun.py).
pub fn first_condition_safe_run(
    runs: impl IntoIterator<Item = (RunNumber, bool)>,
) -> Option<RunNumber> {
    let mut safe = None;
    let mut last = None;
    // Runs come in any order; what counts is their number.
    let mut runs: Vec<(RunNumber, bool)> = runs.into_iter().collect();
    runs.sort_unstable();
    for (run, locked) in runs {
        last = Some(run);
        if locked {
            safe = None;
        } else if safe.is_none() {
            safe = Some(run);
        }
    }
    safe.or_else(|| last.map(|run| RunNumber(run.0.saturating_add(1))))
}

/// An earlier run without a decision, as a later one sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// The earlier run.
    pub run: RunNumber,
    /// When it ended, or last showed a sign of life.
    pub ended_at: Moment,
}

/// Whether constants of a run may be decided while earlier runs are undecided: an earlier run holds
/// it back until `upload_wait` after its end, no longer (dmwm/T0:ConditionUploadAPI.py, where the
/// bound is ConditionUploadTimeout). Says which run holds back and the first moment at which it no
/// longer does.
pub fn held_back(
    earlier: impl IntoIterator<Item = Undecided>,
    upload_wait: Span,
    now: Moment,
) -> Option<(RunNumber, Moment)> {
    earlier
        .into_iter()
        .map(|run| (run.run, run.ended_at + upload_wait))
        .find(|(_, until)| now < *until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment(seconds * 1_000_000_000)
    }

    fn rule(when: When) -> Release {
        Release {
            when,
            at_most: Some(Span::from_secs(10)),
            lock: Span::from_secs(3),
            ..Release::ALWAYS
        }
    }

    fn show(released: Released) -> String {
        match released {
            Released::Yes { provisional: true } => "provisional".to_owned(),
            Released::Yes { provisional: false } => "yes".to_owned(),
            Released::Waits { kind, until, .. } => {
                let until = until.map(|moment| moment.0 / 1_000_000_000);
                format!("{} until {until:?}", kind.as_str())
            }
        }
    }

    fn facts(undecided: &dyn Fn(&TagName) -> bool) -> RunFacts<'_> {
        RunFacts {
            opened_at: at(1),
            announced: false,
            ended_at: None,
            closed_at: None,
            verdict_good: None,
            is_undecided: undecided,
        }
    }

    #[test]
    fn prompt_waits_for_constants_but_not_for_ever() {
        let rule = rule(When::Conditions(vec!["beamspot".into(), "scale".into()]));
        let check = |missing: &[&str], closed: Option<i64>, now: i64, expect: &str| {
            let undecided = |tag: &TagName| missing.contains(&tag.as_str());
            let run = RunFacts {
                closed_at: closed.map(at),
                ..facts(&undecided)
            };
            assert_eq!(show(released(&rule, &run, at(now))), expect);
        };
        check(&[], None, 0, "yes");
        check(&["scale"], None, 99, "conditions until None");
        check(
            &["beamspot", "scale"],
            Some(5),
            14,
            "conditions until Some(15)",
        );
        check(&["scale"], Some(5), 15, "provisional");
    }

    #[test]
    fn every_rule_waits_for_its_own_thing() {
        let none = |_: &TagName| false;
        let check = |when: When, change: &dyn Fn(&mut RunFacts<'_>), now: i64, expect: &str| {
            let mut run = facts(&none);
            change(&mut run);
            assert_eq!(show(released(&rule(when), &run, at(now))), expect);
        };
        check(When::RunKnown, &|_| {}, 10, "run-known until Some(11)");
        check(When::RunKnown, &|_| {}, 11, "provisional");
        check(When::RunKnown, &|run| run.announced = true, 2, "yes");
        check(When::RunClosed, &|_| {}, 99, "run-closed until None");
        check(
            When::RunClosed,
            &|run| run.closed_at = Some(at(9)),
            9,
            "yes",
        );
        check(When::Approved, &|_| {}, 99, "approval until None");
        check(When::Verdict, &|_| {}, 99, "verdict until None");
        check(
            When::Verdict,
            &|run| run.verdict_good = Some(false),
            99,
            "verdict until None",
        );
        check(
            When::Verdict,
            &|run| run.verdict_good = Some(true),
            2,
            "yes",
        );
    }

    #[test]
    fn better_constants_are_asked_for_and_provisional_work_is_made_again() {
        let check = |redo, provisional, missing: &[&str], expect| {
            let undecided = |tag: &TagName| missing.contains(&tag.as_str());
            let rule = Release {
                redo,
                ..rule(When::Conditions(vec!["beamspot".into(), "scale".into()]))
            };
            let run = facts(&undecided);
            assert_eq!(outdated(&rule, provisional, &run), expect, "{redo:?}");
        };
        check(Redo::Ask, true, &[], Outdated::MadeAgain);
        check(Redo::Ask, true, &["scale"], Outdated::Waits);
        check(Redo::Ask, false, &[], Outdated::Asked);
        check(Redo::Auto, false, &[], Outdated::MadeAgain);
        check(Redo::Auto, false, &["scale"], Outdated::Waits);
        check(Redo::Never, true, &[], Outdated::Stays);
    }

    #[test]
    fn a_delay_is_over_strictly_after_it() {
        let none = |_: &TagName| false;
        let rule = Release {
            delay: Span::from_secs(10),
            lock: Span::from_secs(3),
            ..Release::ALWAYS
        };
        let check = |ended: Option<i64>, now: Moment, expect: &str| {
            let run = RunFacts {
                ended_at: ended.map(at),
                ..facts(&none)
            };
            assert_eq!(show(released(&rule, &run, now)), expect);
        };
        check(None, at(99), "delay until None");
        check(Some(5), at(15), "delay until Some(15)");
        check(Some(5), at(15) + Span(1), "yes");
        let run = RunFacts {
            ended_at: Some(at(5)),
            ..facts(&none)
        };
        assert_eq!(locked_from(&rule, &run), Some(at(12) + Span(1)));
    }

    #[test]
    fn the_first_safe_run_is_above_all_locked_ones() {
        let check = |runs: &[(u32, bool)], expect: Option<u32>| {
            let runs = runs.iter().map(|(run, locked)| (RunNumber(*run), *locked));
            assert_eq!(first_condition_safe_run(runs).map(|run| run.0), expect);
        };
        check(&[], None);
        check(&[(1, true), (2, false), (3, false)], Some(2));
        check(&[(1, false), (3, false), (2, true)], Some(3));
        check(&[(1, true), (7, true)], Some(8));
    }

    #[test]
    fn an_earlier_run_holds_back_for_so_long() {
        let earlier = [3, 5].map(|run| Undecided {
            run: RunNumber(run),
            ended_at: at(i64::from(run)),
        });
        let check = |now: Moment, expect: Option<u32>| {
            let held = held_back(earlier, Span::from_secs(10), now);
            assert_eq!(held.map(|(run, _)| run.0), expect);
        };
        let until = held_back(earlier, Span::from_secs(10), at(9));
        assert_eq!(until, Some((RunNumber(3), at(13))));
        check(at(13) - Span(1), Some(3));
        check(at(13), Some(5));
        check(at(15) - Span(1), Some(5));
        check(at(15), None);
    }
}
