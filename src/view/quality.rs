//! Verdicts as strangers see them, and the good-run list in the CMS JSON format.
//!
//! In: `model::quality`. Out: [`QualityView`], [`good_runs`]. Must never put a run that was
//! refused, or whose label is another one, into a list.

use crate::LumiRanges;
use model::ids::RunNumber;
use model::quality::{RunQuality, TestAnswer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The verdict on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityView {
    /// The run.
    pub run: u32,
    /// `good`, `warning`, `bad` or `not-run`.
    pub verdict: String,
    /// The tests behind it.
    pub tests: Vec<TestView>,
    /// Certified lumis.
    pub certified: LumiRanges,
    /// Why the run is not in the good-run list, when it is not.
    pub refused: Option<String>,
    /// When the last file of the run was seen.
    pub last_file_seen_at: String,
    /// When the verdict was recorded.
    pub at: String,
    /// From the last file seen to the verdict recorded.
    pub critical_path_s: f64,
    /// Programs' own time on the longest chain of jobs that led here.
    pub chain_s: f64,
}

/// One quality test's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestView {
    /// The test.
    pub name: String,
    /// What it looked at.
    pub histogram: String,
    /// Status number, as in cms-sw/cmssw:DQMServices/Core/interface/DQMDefinitions.h.
    pub status: u32,
    /// The answer, 0 to 1.
    pub value: f64,
    /// The sentence for people.
    pub message: String,
}

impl From<&TestAnswer> for TestView {
    fn from(test: &TestAnswer) -> Self {
        Self {
            name: test.name.clone(),
            histogram: test.histogram.clone(),
            status: test.status,
            value: f64::from(test.value_ppm) / 1e6,
            message: test.message.clone(),
        }
    }
}

impl From<&RunQuality> for QualityView {
    fn from(quality: &RunQuality) -> Self {
        Self {
            run: quality.run.0,
            verdict: quality.verdict.as_str().to_owned(),
            tests: quality.tests.iter().map(TestView::from).collect(),
            certified: quality.certified.clone(),
            refused: quality.refused.clone(),
            last_file_seen_at: quality.last_file_seen_at.to_string(),
            at: quality.at.to_string(),
            critical_path_s: quality.at.since(quality.last_file_seen_at).as_secs_f64(),
            chain_s: quality.chain.as_secs_f64(),
        }
    }
}

/// A histogram as a published document holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonitorElementView {
    /// The run.
    pub run: u32,
    /// `real` or `simulated`.
    pub label: String,
    /// The dataset that the document belongs to.
    pub dataset: String,
    /// The document's name relative to the storage.
    pub file: String,
    /// The lumis in it.
    pub lumis: LumiRanges,
    /// Where the histogram stands in the document, by names.
    pub path: String,
    /// The histogram as UHI JSON, as it stands there.
    pub histogram: serde_json::Value,
}

/// A good-run list in the CMS JSON format: run number as text, closed ranges of certified lumis.
pub type GoodRuns = BTreeMap<String, LumiRanges>;

/// The certified lumis of those runs that `belongs` lets in (one label at a time).
pub fn good_runs(qualities: &[RunQuality], belongs: impl Fn(RunNumber) -> bool) -> GoodRuns {
    qualities
        .iter()
        .filter(|q| q.refused.is_none() && !q.certified.is_empty() && belongs(q.run))
        .map(|q| (q.run.to_string(), q.certified.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::quality::RunVerdict;
    use model::time::{Moment, Span};

    #[test]
    fn the_list_has_certified_runs_of_one_label() {
        let quality = |run: u32, certified: &[(u32, u32)], refused: Option<&str>| RunQuality {
            run: RunNumber(run),
            verdict: RunVerdict::Good,
            tests: vec![],
            tested_by: vec![],
            certified: certified.to_vec(),
            refused: refused.map(str::to_owned),
            last_file_seen_at: Moment(0),
            at: Moment(0),
            chain: Span::ZERO,
        };
        let all = [
            quality(1, &[(1, 20), (22, 22)], None),
            quality(2, &[(1, 2)], Some("a test run")),
            quality(3, &[], None),
            quality(4, &[(1, 9)], None),
        ];
        let list = good_runs(&all, |run| run.0 != 4);
        assert_eq!(
            serde_json::to_string(&list).unwrap(),
            r#"{"1":[[1,20],[22,22]]}"#
        );
    }
}
