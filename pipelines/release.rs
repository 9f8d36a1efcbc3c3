//! When may the jobs of a task exist? One function, evaluated by the engine when something was
//! decided or a wait ends (D17). Every wait has a reason for people, a bound, and a moment to ask
//! again.

use crate::definition::Release;
use model::names::TagName;
use model::time::Moment;

/// The answer for one task of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// Its jobs may exist.
    Yes {
        /// Whether a constant is still missing: the work is done with what is in force, and marked.
        provisional: bool,
    },
    /// Not yet.
    Waits {
        /// For what, for people.
        reason: String,
        /// When the wait ends by itself; none while nobody knows when the run will be closed.
        until: Option<Moment>,
    },
}

/// Evaluates a rule. `undecided` says which of the rule's tags have no decision for the run yet;
/// `closed_at` is when the run's data were complete.
pub fn released(
    rule: &Release,
    undecided: impl Fn(&TagName) -> bool,
    closed_at: Option<Moment>,
    now: Moment,
) -> Released {
    let Release::Conditions { of, at_most } = rule else {
        return Released::Yes { provisional: false };
    };
    let missing: Vec<&str> = of
        .iter()
        .filter(|tag| undecided(tag))
        .map(|t| t.as_str())
        .collect();
    if missing.is_empty() {
        return Released::Yes { provisional: false };
    }
    let until = closed_at.map(|at| at + *at_most);
    if until.is_some_and(|until| until <= now) {
        return Released::Yes { provisional: true };
    }
    Released::Waits {
        reason: format!("no decision yet on {}", missing.join(", ")),
        until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::Span;

    #[test]
    fn prompt_waits_for_constants_but_not_for_ever() {
        let rule = Release::Conditions {
            of: vec!["beamspot".into(), "scale".into()],
            at_most: Span::from_secs(10),
        };
        let check = |missing: &[&str], closed: Option<i64>, now: i64, expect: &str| {
            let at = |s: i64| Moment(s * 1_000_000_000);
            let undecided = |tag: &TagName| missing.contains(&tag.as_str());
            let got = match released(&rule, undecided, closed.map(at), at(now)) {
                Released::Yes { provisional: true } => "provisional".to_owned(),
                Released::Yes { provisional: false } => "yes".to_owned(),
                Released::Waits { reason, until } => {
                    format!("{reason} until {:?}", until.map(|m| m.0 / 1_000_000_000))
                }
            };
            assert_eq!(got, expect);
        };
        check(&[], None, 0, "yes");
        check(&["scale"], None, 99, "no decision yet on scale until None");
        check(
            &["beamspot", "scale"],
            Some(5),
            14,
            "no decision yet on beamspot, scale until Some(15)",
        );
        check(&["scale"], Some(5), 15, "provisional");
    }
}
