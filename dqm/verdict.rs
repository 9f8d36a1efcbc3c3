//! From test values to statuses, and from statuses to one verdict. In come measured values and
//! thresholds; out come integers only, so that the same tests give the same verdict everywhere.
//! Numbers of the statuses as in CMS `DQMServices/Core/interface/DQMDefinitions.h`: the worst of a
//! folder is the folder's. It never looks into a histogram.

use crate::quality::{CannotRun, Measured};
use serde::{Deserialize, Serialize};

/// What a quality test says; the greater, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Something else happened.
    Other = 30,
    /// The test is switched off.
    Disabled = 50,
    /// The test makes no sense here.
    Invalid = 60,
    /// Too little data.
    InsufficientStatistics = 70,
    /// The test did not run.
    DidNotRun = 90,
    /// Good.
    Ok = 100,
    /// Worth a look.
    Warning = 200,
    /// Bad.
    Error = 300,
}

impl Status {
    /// Its number.
    pub fn code(self) -> u32 {
        self as u32
    }
}

/// Below which value a test warns or fails, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// A smaller value is an error.
    pub error_ppm: u32,
    /// A smaller value is a warning.
    pub warning_ppm: u32,
}

impl Thresholds {
    /// Those of CMS: error below 0.50, warning below 0.90.
    pub const USUAL: Self = Self {
        error_ppm: 500_000,
        warning_ppm: 900_000,
    };

    /// The status of a value in millionths.
    pub fn status(self, value_ppm: u32) -> Status {
        if value_ppm < self.error_ppm {
            Status::Error
        } else if value_ppm < self.warning_ppm {
            Status::Warning
        } else {
            Status::Ok
        }
    }
}

/// One quality test of one histogram, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// Name of the test.
    pub name: String,
    /// Name of the histogram.
    pub histogram: String,
    /// What it says.
    pub status: Status,
    /// Its value in millionths, 0 to 1,000,000; 0 when it did not run.
    pub value_ppm: u32,
    /// The statistic behind it, or why it did not run.
    pub message: String,
}

impl TestResult {
    /// The result of test `name` on `histogram`. This is the one place where a measured value
    /// becomes an integer: rounded to the nearest millionth.
    pub fn of(
        name: &str,
        histogram: &str,
        measured: &Result<Measured, CannotRun>,
        thresholds: Thresholds,
    ) -> Self {
        let (status, value_ppm, message) = match measured {
            Ok(found) => {
                // A value that is not a number becomes 0 by the cast: an error, not a pass.
                let value_ppm = (found.value.clamp(0.0, 1.0) * 1e6).round() as u32;
                (thresholds.status(value_ppm), value_ppm, message_of(found))
            }
            Err(cause @ CannotRun::TooFewEntries { .. }) => {
                (Status::InsufficientStatistics, 0, cause.to_string())
            }
            Err(cause @ CannotRun::NoReference { .. }) => (Status::DidNotRun, 0, cause.to_string()),
            Err(
                cause @ (CannotRun::Mismatch(_)
                | CannotRun::NoError { .. }
                | CannotRun::Unsuited { .. }
                | CannotRun::Parameters { .. }),
            ) => (Status::Invalid, 0, cause.to_string()),
        };
        let (name, histogram) = (name.to_owned(), histogram.to_owned());
        Self {
            name,
            histogram,
            status,
            value_ppm,
            message,
        }
    }
}

fn message_of(found: &Measured) -> String {
    /// More bins than this are not listed.
    const LISTED: usize = 10;
    let bins: Vec<String> = found
        .bad_bins
        .iter()
        .take(LISTED)
        .map(ToString::to_string)
        .collect();
    let more = if found.bad_bins.len() > LISTED {
        ", ..."
    } else {
        ""
    };
    if bins.is_empty() {
        return found.detail.clone();
    }
    format!("{} (bins {}{more})", found.detail, bins.join(", "))
}

/// Whether data may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All tests that ran are fine.
    Good,
    /// Usable; a person should look.
    Warning,
    /// Not usable.
    Bad,
    /// No test ran, so nothing is known.
    NotRun,
}

/// The verdict of a set of tests: that of the worst status.
pub fn verdict(results: &[TestResult]) -> Verdict {
    match results.iter().map(|result| result.status).max() {
        Some(Status::Error) => Verdict::Bad,
        Some(Status::Warning) => Verdict::Warning,
        Some(Status::Ok) => Verdict::Good,
        Some(
            Status::Other
            | Status::Disabled
            | Status::Invalid
            | Status::InsufficientStatistics
            | Status::DidNotRun,
        )
        | None => Verdict::NotRun,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result_of(value: f64) -> TestResult {
        let found = Measured {
            value,
            bad_bins: vec![3, 4],
            detail: "2 of 9 bins bad".to_owned(),
        };
        TestResult::of("dead_channel", "eta", &Ok(found), Thresholds::USUAL)
    }

    #[test]
    fn values_become_statuses() {
        for (value, value_ppm, status) in [
            (0.0, 0, Status::Error),
            (0.499_999_4, 499_999, Status::Error),
            (0.5, 500_000, Status::Warning),
            (0.899_999, 899_999, Status::Warning),
            (0.9, 900_000, Status::Ok),
            (1.0, 1_000_000, Status::Ok),
            (7.0, 1_000_000, Status::Ok),
            (f64::NAN, 0, Status::Error),
        ] {
            let result = result_of(value);
            assert_eq!(
                (result.value_ppm, result.status),
                (value_ppm, status),
                "{value}"
            );
            assert_eq!(result.message, "2 of 9 bins bad (bins 3, 4)");
        }
    }

    #[test]
    fn a_test_that_cannot_run_says_why() {
        let few = CannotRun::TooFewEntries {
            test: "comp2ref_chi2",
            histogram: "eta".to_owned(),
            entries: 3,
            needed: 10,
        };
        let result = TestResult::of("comp2ref_chi2", "eta", &Err(few), Thresholds::USUAL);
        assert_eq!(result.status, Status::InsufficientStatistics);
        let expect = "comp2ref_chi2 of eta: 3 entries, 10 needed; add more runs or lumis";
        assert_eq!(result.message, expect);
    }

    #[test]
    fn the_worst_status_is_the_verdict() {
        use Status::{
            DidNotRun, Disabled, Error, InsufficientStatistics, Invalid, Ok, Other, Warning,
        };
        let rows: [(&[Status], Verdict); 7] = [
            (&[], Verdict::NotRun),
            (
                &[DidNotRun, Disabled, Invalid, InsufficientStatistics, Other],
                Verdict::NotRun,
            ),
            (&[Ok], Verdict::Good),
            (&[DidNotRun, Ok], Verdict::Good),
            (&[Ok, Warning, DidNotRun], Verdict::Warning),
            (&[Warning, Error, Ok], Verdict::Bad),
            (&[Error], Verdict::Bad),
        ];
        for (statuses, expect) in rows {
            let results: Vec<TestResult> = statuses
                .iter()
                .map(|status| TestResult {
                    status: *status,
                    ..result_of(1.0)
                })
                .collect();
            assert_eq!(verdict(&results), expect, "{statuses:?}");
        }
        assert_eq!([Other.code(), Ok.code(), Error.code()], [30, 100, 300]);
    }
}
