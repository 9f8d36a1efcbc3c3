//! Where a new interval of a tag may begin: one rule, with the reason of each outcome.
//!
//! In come the tag, its last since, what was asked for and how far processing has come; out comes
//! the since that is kept, or why there is none. The limits are those of CMS (a later run than any
//! that has started at the trigger, a run that prompt has not taken yet); that what comes too early
//! is moved for `hlt`, `express` and `prompt` and refused for `pcl` is after its drop box.

use super::{Index, Refusal};
use model::conditions::{ConditionsTag, Protection, Since, Synchronisation, TimeType};
use model::ids::RunNumber;
use model::time::Moment;

/// The first run that something new can still reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frontier {
    /// The run.
    pub run: RunNumber,
    /// When it began, or now if it did not.
    pub begins_at: Moment,
}

impl Frontier {
    /// The first since that is not before it.
    fn since(self, time_type: TimeType) -> Since {
        match time_type {
            TimeType::Run => Since::run(self.run),
            TimeType::Lumi => Since::lumi(self.run, Since::FIRST_LUMI),
            TimeType::Time => Since::time(self.begins_at),
        }
    }

    /// Whether a since is before it: of tags by lumi, runs are compared.
    fn is_after(self, since: Since, time_type: TimeType) -> bool {
        match time_type {
            TimeType::Lumi => since.0 >> 32 < u64::from(self.run.0),
            TimeType::Run | TimeType::Time => since < self.since(time_type),
        }
    }
}

/// How far processing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The run after the last that has started.
    pub next_run: Frontier,
    /// The first condition safe run: the first that prompt has not taken its conditions for.
    pub first_safe: Frontier,
}

/// Where an interval begins, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Where it begins.
    pub since: Since,
    /// Why there.
    pub reason: String,
}

/// What a put comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Where the interval begins.
    pub since: Since,
    /// Why there.
    pub reason: String,
    /// Whether a row has to be kept: the same payload with the same since is one row.
    pub is_new: bool,
}

/// What putting a payload (its hash) into a tag comes to. What is in force with the same since and
/// the same payload is not put again, however far processing has come since.
pub fn put(
    tag: &ConditionsTag,
    index: &Index<String>,
    since: Since,
    hash: &str,
    limits: &Limits,
) -> Result<Put, Refusal> {
    let is_here = |since: Since| {
        let newest = index.with_since(since).last();
        newest.is_some_and(|known| known.payload == hash)
    };
    if is_here(since) {
        return Ok(Put {
            since,
            reason: "it is here already".to_owned(),
            is_new: false,
        });
    }
    let Placement { since, reason } = place(tag, index.last_since(), since, limits)?;
    Ok(Put {
        since,
        reason,
        is_new: !is_here(since),
    })
}

/// Where an interval of a tag may begin for which `since` was asked.
pub fn place(
    tag: &ConditionsTag,
    last_since: Option<Since>,
    since: Since,
    limits: &Limits,
) -> Result<Placement, Refusal> {
    let (name, by) = (&tag.name, tag.time_type);
    let synchronisation = tag.synchronisation;
    let shown = |since: Since| since.shown(by);
    is_since(tag, since)?;
    if tag.protection == Protection::Protected {
        return Err(Refusal::Protected { tag: name.clone() });
    }
    let as_given = |reason: String| Placement { since, reason };
    let placement = match synchronisation {
        Synchronisation::Any | Synchronisation::Validation => {
            as_given(format!("{} begins anywhere", synchronisation.as_str()))
        }
        Synchronisation::Mc | Synchronisation::RunMc => match last_since {
            None => as_given(format!("{} was empty", synchronisation.as_str())),
            Some(last) => {
                return Err(Refusal::NotEmpty {
                    tag: name.clone(),
                    synchronisation,
                    last: shown(last),
                });
            }
        },
        Synchronisation::Offline => match last_since {
            Some(last) if since <= last => {
                return Err(Refusal::NotBehind {
                    tag: name.clone(),
                    since: shown(since),
                    last: shown(last),
                });
            }
            _ => as_given("it comes behind the last one".to_owned()),
        },
        Synchronisation::Hlt | Synchronisation::Express | Synchronisation::Prompt => {
            let (frontier, what) = match synchronisation {
                Synchronisation::Prompt => (limits.first_safe, "the first condition safe run"),
                _ => (limits.next_run, "the first run that has not started"),
            };
            let limit = frontier.since(by);
            if frontier.is_after(since, by) {
                let given = shown(since);
                let reason = format!("moved from {given} to {what}, {}", shown(limit));
                Placement {
                    since: limit,
                    reason,
                }
            } else {
                as_given(format!("not before {what}, {}", shown(limit)))
            }
        }
        Synchronisation::Pcl => {
            let limit = limits.first_safe.since(by);
            if limits.first_safe.is_after(since, by) {
                return Err(Refusal::Released {
                    tag: name.clone(),
                    since: shown(since),
                    limit: shown(limit),
                });
            }
            let limit = shown(limit);
            as_given(format!("not before the first condition safe run, {limit}"))
        }
    };
    match tag.end_of_validity {
        Some(end) if placement.since > end => Err(Refusal::BehindTheEnd {
            tag: name.clone(),
            since: shown(placement.since),
            end: shown(end),
        }),
        _ => Ok(placement),
    }
}

/// Whether a number is a since of a tag at all.
pub(crate) fn is_since(tag: &ConditionsTag, since: Since) -> Result<(), Refusal> {
    let (run, name) = (since.0 >> 32, &tag.name);
    let why = match tag.time_type {
        TimeType::Run if since.0 == 0 => "runs are numbered from 1",
        TimeType::Run if run > 0 => "a run has 32 bits; this looks like (run << 32) | lumi",
        TimeType::Lumi if run == 0 => "it is (run << 32) | lumi, and runs are numbered from 1",
        TimeType::Lumi if i64::try_from(since.0).is_err() => {
            "(run << 32) | lumi has 63 bits, so runs are numbered up to 2147483647"
        }
        TimeType::Time if i64::try_from(since.0).is_err() => "it is microseconds since 1970",
        _ => return Ok(()),
    };
    Err(Refusal::NoSince {
        tag: name.clone(),
        since: since.0,
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(synchronisation: Synchronisation, time_type: TimeType) -> ConditionsTag {
        ConditionsTag {
            name: "beamspot".into(),
            time_type,
            object_type: String::new(),
            synchronisation,
            description: String::new(),
            protection: Protection::Open,
            end_of_validity: None,
            held: None,
            inserted_at: Moment(0),
        }
    }

    /// Run 50 is the first condition safe one, run 60 has not started.
    fn limits() -> Limits {
        let frontier = |run: u32| Frontier {
            run: RunNumber(run),
            begins_at: Moment::from_micros(i64::from(run) * 1_000_000),
        };
        Limits {
            next_run: frontier(60),
            first_safe: frontier(50),
        }
    }

    fn shown(placed: Result<Placement, Refusal>) -> Result<u64, String> {
        placed
            .map(|placed| placed.since.0)
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn every_synchronisation_has_its_limit() {
        use Synchronisation::{Any, Express, Hlt, Mc, Offline, Pcl, Prompt, RunMc, Validation};
        let check = |synchronisation, last: Option<u64>, since, expect: Result<u64, &str>| {
            let tag = tag(synchronisation, TimeType::Run);
            let placed = shown(place(&tag, last.map(Since), Since(since), &limits()));
            match (&placed, expect) {
                (Ok(kept), Ok(expect)) => assert_eq!(*kept, expect, "{synchronisation:?} {since}"),
                (Err(refusal), Err(part)) => assert!(refusal.contains(part), "{refusal}"),
                _ => panic!("{synchronisation:?} {since}: {placed:?}, expected {expect:?}"),
            }
        };
        for free in [Any, Validation] {
            check(free, Some(9), 1, Ok(1));
        }
        for (moved, limit) in [(Hlt, 60), (Express, 60), (Prompt, 50)] {
            check(moved, Some(9), limit - 1, Ok(limit));
            check(moved, Some(9), limit, Ok(limit));
            check(moved, Some(9), limit + 1, Ok(limit + 1));
        }
        check(
            Pcl,
            Some(9),
            49,
            Err("run 49 is before the first condition safe run, run 50"),
        );
        check(Pcl, Some(9), 50, Ok(50));
        check(Pcl, Some(70), 60, Ok(60));
        check(Offline, None, 1, Ok(1));
        check(Offline, Some(9), 9, Err("begin after run 9"));
        check(Offline, Some(9), 10, Ok(10));
        for once in [Mc, RunMc] {
            check(once, None, 1, Ok(1));
            check(once, Some(1), 2, Err("has an interval since run 1"));
        }
        check(Any, None, 0, Err("numbered from 1"));
        check(Any, None, 1 << 32, Err("32 bits"));
    }

    #[test]
    fn tags_by_lumi_and_by_time_have_the_same_limits() {
        let check = |synchronisation, time_type, since, expect: Result<u64, &str>| {
            let tag = tag(synchronisation, time_type);
            let placed = shown(place(&tag, None, since, &limits()));
            match (&placed, expect) {
                (Ok(kept), Ok(expect)) => assert_eq!(*kept, expect, "{since:?}"),
                (Err(refusal), Err(part)) => assert!(refusal.contains(part), "{refusal}"),
                _ => panic!("{synchronisation:?} {since:?}: {placed:?}, expected {expect:?}"),
            }
        };
        let lumi = |run: u32, lumi: u32| Since::lumi(RunNumber(run), lumi);
        let (by_lumi, by_time) = (TimeType::Lumi, TimeType::Time);
        let (prompt, pcl) = (Synchronisation::Prompt, Synchronisation::Pcl);
        check(prompt, by_lumi, lumi(49, 7), Ok((50 << 32) | 1));
        check(prompt, by_lumi, lumi(50, 0), Ok(50 << 32));
        check(prompt, by_lumi, lumi(50, 7), Ok((50 << 32) | 7));
        check(pcl, by_lumi, lumi(49, 7), Err("run 49 lumi 7 is before"));
        check(pcl, by_lumi, Since(7), Err("(run << 32) | lumi"));
        check(
            prompt,
            by_lumi,
            lumi(i32::MAX as u32, 7),
            Ok((0x7fff_ffff << 32) | 7),
        );
        check(prompt, by_lumi, lumi(1 << 31, 7), Err("up to 2147483647"));
        check(prompt, by_time, Since(49_000_000), Ok(50_000_000));
        check(
            pcl,
            by_time,
            Since(49_999_999),
            Err("1970-01-01T00:00:49.999999Z is before"),
        );
        check(pcl, by_time, Since(50_000_000), Ok(50_000_000));
        check(
            pcl,
            by_time,
            Since(u64::MAX),
            Err("microseconds since 1970"),
        );
    }

    #[test]
    fn a_protected_tag_and_the_end_of_one_are_kept() {
        let mut tag = tag(Synchronisation::Prompt, TimeType::Run);
        tag.end_of_validity = Some(Since(49));
        let refused = shown(place(&tag, None, Since(10), &limits())).unwrap_err();
        assert!(refused.contains("is valid up to run 49"), "{refused}");
        tag.protection = Protection::Protected;
        let refused = shown(place(&tag, None, Since(90), &limits())).unwrap_err();
        assert!(refused.contains("is protected"), "{refused}");
    }

    proptest! {
        /// Nothing is kept before what was asked for, and never where processing has been.
        #[test]
        fn nothing_reaches_what_has_been_processed(
            synchronisation in prop::sample::select(Synchronisation::ALL.to_vec()),
            last in prop::option::of(1_u64..100),
            since in 1_u64..100,
        ) {
            let tag = tag(synchronisation, TimeType::Run);
            let placed = place(&tag, last.map(Since), Since(since), &limits());
            let Ok(Placement { since: kept, .. }) = placed else { return Ok(()) };
            prop_assert!(kept.0 >= since);
            let (floor, is_moved) = match synchronisation {
                Synchronisation::Hlt | Synchronisation::Express => (60, true),
                Synchronisation::Prompt => (50, true),
                Synchronisation::Pcl => (50, false),
                Synchronisation::Offline => (last.map_or(1, |last| last + 1), false),
                _ => (1, false),
            };
            prop_assert!(kept.0 >= floor);
            prop_assert!(is_moved || kept.0 == since);
            prop_assert!(kept.0 == since || kept.0 == floor);
        }
    }
}
