//! The outputs of a job: what was asked for is written into the attempt's folder and accounted.
//!
//! In: the outputs a job asks for and the bytes a program makes. Out: files and their entries in
//! the report, with size, checksum, events and lumis. It must never write outside the attempt's
//! folder, nor an output nobody asked for.

use std::fs;
use std::path::{Component, Path};

use crate::format::checksum;
use crate::job::{JobError, JobFile, JobOutput, OutputReport};

/// Writes the outputs a job asks for.
pub(crate) struct Outputs<'a> {
    asked: &'a [JobOutput],
    folder: &'a Path,
    written: Vec<OutputReport>,
}

impl<'a> Outputs<'a> {
    /// Outputs of this job; each label must be one the program offers.
    pub(crate) fn new(
        job: &'a JobFile,
        folder: &'a Path,
        offered: &[&str],
    ) -> Result<Self, JobError> {
        for output in &job.outputs {
            let (label, path) = (&output.label, &output.path);
            if !offered.contains(&label.as_str()) {
                let offered = offered.join(", ");
                let what = format!("output {label} is asked for, this program makes {offered}");
                return Err(JobError::Definition { what });
            }
            let climbs = path.components().any(|part| part == Component::ParentDir);
            if climbs || !folder.join(path).starts_with(folder) {
                let path = path.display();
                let what = format!("output {label} at {path} is outside the attempt's folder");
                return Err(JobError::Definition { what });
            }
        }
        Ok(Self {
            asked: &job.outputs,
            folder,
            written: Vec::new(),
        })
    }

    /// Whether the job asks for this label: for outputs that may be impossible to make.
    pub(crate) fn asks(&self, label: &str) -> bool {
        self.asked.iter().any(|output| output.label == label)
    }

    /// Writes an output under every path that asks for this label; nothing when none does.
    pub(crate) fn write(
        &mut self,
        label: &str,
        events: u64,
        lumis: &[[u32; 2]],
        make: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), JobError> {
        let wanted: Vec<_> = self
            .asked
            .iter()
            .filter(|output| output.label == label)
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let bytes = make();
        for output in wanted {
            let path = self.folder.join(&output.path);
            let failed = |source| JobError::Machine {
                what: "writing",
                path: path.clone(),
                source,
            };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            fs::write(&path, &bytes).map_err(failed)?;
            self.written.push(OutputReport {
                label: label.to_owned(),
                path: output.path.clone(),
                bytes: bytes.len() as u64,
                adler32: format!("{:08x}", checksum(&bytes)),
                events,
                lumis: lumis.to_vec(),
            });
        }
        Ok(())
    }

    /// What was written.
    pub(crate) fn done(self) -> Vec<OutputReport> {
        self.written
    }
}

/// Closed ranges of a set of lumis.
pub(crate) fn ranges(lumis: impl IntoIterator<Item = u32>) -> Vec<[u32; 2]> {
    joined(lumis.into_iter().map(|lumi| [lumi, lumi]).collect())
}

/// Closed ranges in any order, overlapping or touching, as few as possible and ascending.
pub(crate) fn joined(mut all: Vec<[u32; 2]>) -> Vec<[u32; 2]> {
    all.sort_unstable();
    let mut ranges: Vec<[u32; 2]> = Vec::new();
    for [first, last] in all {
        match ranges.last_mut() {
            Some(before) if first <= before[1].saturating_add(1) => before[1] = before[1].max(last),
            _ => ranges.push([first, last]),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lumis_become_closed_ranges() {
        let check = |lumis: &[u32], expect: &[[u32; 2]]| {
            assert_eq!(ranges(lumis.iter().copied()), expect);
        };
        check(&[], &[]);
        check(&[3], &[[3, 3]]);
        check(&[4, 2, 3, 3, 9], &[[2, 4], [9, 9]]);
        check(&[u32::MAX, u32::MAX - 1], &[[u32::MAX - 1, u32::MAX]]);
        let all = vec![[7, 9], [1, u32::MAX], [3, 4], [u32::MAX, u32::MAX]];
        assert_eq!(joined(all), [[1, u32::MAX]]);
        assert_eq!(joined(vec![[5, 6], [1, 2], [3, 3]]), [[1, 3], [5, 6]]);
    }

    #[test]
    fn outputs_stay_in_the_folder_and_are_known() {
        let check = |label: &str, path: &str, expect: &str| {
            let job = serde_json::json!({"job": 1, "attempt": 1,
                "outputs": [{"label": label, "path": path}]});
            let job: JobFile = serde_json::from_value(job).unwrap();
            let said = Outputs::new(&job, Path::new("/attempt"), &["RECO", "DQM"])
                .err()
                .map_or_else(String::new, |error| error.to_string());
            assert!(said.contains(expect), "{said:?} lacks {expect:?}");
            assert_eq!(said.is_empty(), expect.is_empty());
        };
        check("RECO", "reco.parquet", "");
        check("RECO", "/attempt/out/reco.parquet", "");
        check("RAW", "raw", "this program makes RECO, DQM");
        check("RECO", "../reco.parquet", "outside the attempt's folder");
        check("RECO", "/etc/reco.parquet", "outside the attempt's folder");
    }
}
