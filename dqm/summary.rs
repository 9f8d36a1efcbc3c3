//! What quality tests say of folders. In come results by the paths of their elements, out comes a
//! tree in which every folder has the worst status of all in it, as in CMS. Integers only.

use crate::verdict::{Status, TestResult};
use serde::Serialize;
use std::collections::BTreeMap;

/// A folder of monitor elements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Folder {
    /// The worst status of all tests in it and below; none without a test.
    pub status: Option<Status>,
    /// Number of tests in it and below, by status.
    pub tests: BTreeMap<Status, u32>,
    /// Folders and elements in it, by name.
    pub below: BTreeMap<String, Folder>,
}

impl Folder {
    /// The tree of results, whose histograms are named by their paths.
    pub fn of(results: &[TestResult]) -> Self {
        let mut root = Self::default();
        for result in results {
            let mut folder = &mut root;
            folder.count(result.status);
            for part in result.histogram.split('/') {
                folder = folder.below.entry(part.to_owned()).or_default();
                folder.count(result.status);
            }
        }
        root
    }

    fn count(&mut self, status: Status) {
        self.status = self.status.max(Some(status));
        *self.tests.entry(status).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_as_bad_as_the_worst_in_it() {
        let result = |histogram: &str, status| TestResult {
            name: "test".to_owned(),
            histogram: histogram.to_owned(),
            status,
            value_ppm: 0,
            message: String::new(),
        };
        let root = Folder::of(&[
            result("Muons/Tracks/eta", Status::Ok),
            result("Muons/Tracks/eta", Status::Warning),
            result("Muons/mass", Status::InsufficientStatistics),
            result("Pixel/map", Status::Error),
            result("Clock/phase", Status::DidNotRun),
        ]);
        for (path, worst, tests) in [
            ("", Status::Error, 5),
            ("Muons", Status::Warning, 3),
            ("Muons/Tracks", Status::Warning, 2),
            ("Muons/mass", Status::InsufficientStatistics, 1),
            ("Pixel/map", Status::Error, 1),
            ("Clock", Status::DidNotRun, 1),
        ] {
            let parts = path.split('/').filter(|part| !part.is_empty());
            let folder = parts.fold(&root, |folder, part| &folder.below[part]);
            assert_eq!(folder.status, Some(worst), "{path}");
            assert_eq!(folder.tests.values().sum::<u32>(), tests, "{path}");
        }
        assert_eq!(Folder::of(&[]).status, None);
        let text = serde_json::to_string(&root.below["Clock"]).unwrap();
        assert!(
            text.starts_with(r#"{"status":"did_not_run","tests":{"did_not_run":1}"#),
            "{text}"
        );
    }
}
