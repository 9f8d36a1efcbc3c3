//! Which lumis of a run may be analysed. In come the run's label, its closed lumis and the
//! verdicts; out comes the list of good lumis with the reason for every one left out, or a refusal
//! of the whole run. Simulated data and test runs are never certified: a good-run list is of real
//! data. Integers only; it stores nothing.

use crate::lumis::LumiList;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where data come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// A detector.
    Real,
    /// A program.
    Simulated,
}

/// What a run was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Physics.
    Physics,
    /// A test of detector or data acquisition.
    Test,
}

/// What is known of a run when it is to be certified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunQuality {
    /// The run.
    pub run: u32,
    /// Where its data come from.
    pub label: Label,
    /// What it was taken for.
    pub purpose: Purpose,
    /// Its lumis that are complete and accounted for.
    pub closed: LumiList,
    /// The verdict of the whole run.
    pub verdict: Verdict,
    /// Verdicts of single lumis; one without its own has the run's.
    pub lumi_verdicts: BTreeMap<u32, Verdict>,
}

/// The good lumis of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certified {
    /// Lumis that may be analysed.
    pub good: LumiList,
    /// Closed lumis that may not, each with the reason.
    pub left_out: Vec<(u32, String)>,
}

/// Why a run is not certified at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Simulated data.
    #[error("run {run} is simulated: good-run lists are of real data only")]
    Simulated {
        /// The run.
        run: u32,
    },
    /// A test run.
    #[error("run {run} is a test run: only physics runs are certified")]
    TestRun {
        /// The run.
        run: u32,
    },
    /// Nothing has been judged.
    #[error("run {run} has no verdict: no quality test ran; check the harvest and the references")]
    NotJudged {
        /// The run.
        run: u32,
    },
    /// Judged and not good.
    #[error("run {run} is bad: a quality test failed; a person may overrule it with a flag")]
    Bad {
        /// The run.
        run: u32,
    },
    /// No lumi is closed.
    #[error("run {run} has no closed lumi: certify it when its lumis are complete")]
    NothingClosed {
        /// The run.
        run: u32,
    },
}

/// Certifies a run. A warning does not exclude: it asks a person to look.
pub fn certify(quality: &RunQuality) -> Result<Certified, Refusal> {
    let run = quality.run;
    match (quality.label, quality.purpose, quality.verdict) {
        (Label::Simulated, _, _) => return Err(Refusal::Simulated { run }),
        (Label::Real, Purpose::Test, _) => return Err(Refusal::TestRun { run }),
        (Label::Real, Purpose::Physics, Verdict::NotRun) => return Err(Refusal::NotJudged { run }),
        (Label::Real, Purpose::Physics, Verdict::Bad) => return Err(Refusal::Bad { run }),
        (Label::Real, Purpose::Physics, Verdict::Good | Verdict::Warning) => {}
    }
    let bad = quality.lumi_verdicts.iter().filter_map(|(lumi, verdict)| {
        let reason = match verdict {
            Verdict::Bad => "a quality test of the lumi failed",
            Verdict::NotRun => "no quality test of the lumi ran",
            Verdict::Good | Verdict::Warning => return None,
        };
        quality
            .closed
            .contains(run, *lumi)
            .then(|| (*lumi, reason.to_owned()))
    });
    let left_out: Vec<(u32, String)> = bad.collect();
    let of_run = quality.closed.runs().find(|(closed, _)| *closed == run);
    let Some((_, ranges)) = of_run else {
        return Err(Refusal::NothingClosed { run });
    };
    let closed = LumiList::try_from(BTreeMap::from([(run, ranges.to_vec())]))
        .expect("ranges of a lumi list are not empty");
    let excluded = LumiList::from_lumis(left_out.iter().map(|(lumi, _)| (run, *lumi)));
    Ok(Certified {
        good: closed.difference(&excluded),
        left_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(label: Label, purpose: Purpose, verdict: Verdict) -> RunQuality {
        let closed = LumiList::parse(r#"{"7": [[1, 4], [6, 6]], "8": [[1, 9]]}"#).unwrap();
        RunQuality {
            run: 7,
            label,
            purpose,
            closed,
            verdict,
            lumi_verdicts: BTreeMap::new(),
        }
    }

    #[test]
    fn every_kind_of_run_meets_every_verdict() {
        let verdicts = [
            Verdict::Good,
            Verdict::Warning,
            Verdict::Bad,
            Verdict::NotRun,
        ];
        for verdict in verdicts {
            for (label, purpose) in [
                (Label::Real, Purpose::Physics),
                (Label::Real, Purpose::Test),
                (Label::Simulated, Purpose::Physics),
                (Label::Simulated, Purpose::Test),
            ] {
                let got = certify(&quality(label, purpose, verdict));
                let expect = match (label, purpose, verdict) {
                    (Label::Simulated, _, _) => Err(Refusal::Simulated { run: 7 }),
                    (_, Purpose::Test, _) => Err(Refusal::TestRun { run: 7 }),
                    (_, _, Verdict::Bad) => Err(Refusal::Bad { run: 7 }),
                    (_, _, Verdict::NotRun) => Err(Refusal::NotJudged { run: 7 }),
                    (_, _, Verdict::Good | Verdict::Warning) => {
                        let good = LumiList::parse(r#"{"7": [[1, 4], [6, 6]]}"#).unwrap();
                        Ok(Certified {
                            good,
                            left_out: Vec::new(),
                        })
                    }
                };
                assert_eq!(got, expect, "{label:?} {purpose:?} {verdict:?}");
            }
        }
    }

    #[test]
    fn lumis_are_left_out_with_a_reason() {
        let mut run = quality(Label::Real, Purpose::Physics, Verdict::Good);
        run.lumi_verdicts = BTreeMap::from([
            (1, Verdict::Good),
            (2, Verdict::Bad),
            (3, Verdict::Warning),
            (5, Verdict::Bad),
            (6, Verdict::NotRun),
        ]);
        let certified = certify(&run).unwrap();
        assert_eq!(certified.good.to_string(), r#"{"7": [[1, 1], [3, 4]]}"#);
        let expect = [
            (2, "a quality test of the lumi failed".to_owned()),
            (6, "no quality test of the lumi ran".to_owned()),
        ];
        assert_eq!(certified.left_out, expect);
    }

    #[test]
    fn a_run_without_closed_lumis_waits() {
        let mut run = quality(Label::Real, Purpose::Physics, Verdict::Good);
        run.run = 9;
        assert_eq!(certify(&run), Err(Refusal::NothingClosed { run: 9 }));
    }
}
