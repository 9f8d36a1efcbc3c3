//! Upstream's quirks in splitting, as formulas: which jobs differ on purpose, and by exactly what.
//!
//! In come our jobs and the expected ones, out comes a difference or the names of the quirks that
//! explain all of it. Nothing is forgiven that a formula here does not give.

use crate::judging::{list, number, text};
use crate::tier0_splitting::case_name;
use pipelines::splitting::{CutJob, Item};
use serde_json::Value;
use std::collections::BTreeSet;

const ERROR_DATASET: &str =
    "upstream counts events as bytes in its estimates for the error dataset";
const OVER_MERGE: &str =
    "upstream's estimate for a job above the usual size leaves out its last lumi";
const TOO_MANY_CORES: &str = "upstream raises an error and makes no job at all; only files that need too many cores go aside";

/// Cores of the largest place, and bytes for each: as the cases' rules give them.
const CORES_MAX: u64 = 8;
const BYTES_A_CORE: u64 = 20_000_000_000;
/// Cases are rounded to three decimals.
const TOLERANCE: f64 = 6e-4;

/// A job as we made it.
pub(crate) struct Job<'i> {
    files: Vec<&'i str>,
    bytes: u64,
    events: u64,
    largest: u64,
    /// Bytes without those of its last lumi.
    without_last: u64,
    estimate: Figures,
    error_dataset: bool,
}

/// What an estimate says.
#[derive(Clone, Copy, Debug)]
struct Figures {
    time_s: f64,
    disk_kb: f64,
    memory_mb: f64,
    cores: u64,
}

/// A job as the case has it.
pub(crate) struct Expected<'c> {
    files: Vec<&'c str>,
    estimate: Figures,
    error_dataset: bool,
}

impl<'i> Job<'i> {
    pub(crate) fn of(job: &CutJob, items: &'i [Item]) -> Self {
        let own: Vec<&Item> = job.items.iter().map(|at| &items[*at]).collect();
        let estimate = job.estimate.unwrap_or_default();
        let estimate = Figures {
            time_s: estimate.wall.as_secs_f64(),
            disk_kb: estimate.disk.0 as f64 / 1_024.0,
            memory_mb: estimate.memory.0 as f64 / 1_048_576.0,
            cores: u64::from(estimate.cores),
        };
        Self {
            estimate,
            error_dataset: job.to_error_dataset,
            ..Self::over(&own)
        }
    }

    fn over(own: &[&'i Item]) -> Self {
        let last = own.iter().map(|item| item.lumi).max();
        let bytes = |items: &mut dyn Iterator<Item = &&Item>| items.map(|item| item.bytes.0).sum();
        Self {
            files: own.iter().map(|item| case_name(item)).collect(),
            bytes: bytes(&mut own.iter()),
            events: own.iter().map(|item| item.events.0).sum(),
            largest: own.iter().map(|item| item.bytes.0).max().unwrap_or(0),
            without_last: bytes(&mut own.iter().filter(|item| Some(item.lumi) != last)),
            estimate: Figures {
                time_s: 0.0,
                disk_kb: 0.0,
                memory_mb: 0.0,
                cores: 0,
            },
            error_dataset: false,
        }
    }

    /// What the merge's formula gives for so many bytes.
    fn merge_of(&self, bytes: u64) -> Figures {
        let disk = bytes + self.largest;
        Figures {
            time_s: 300.0 + bytes as f64 * 3.0 / 5e6,
            disk_kb: disk as f64 / 1_024.0,
            memory_mb: 1_000.0,
            cores: 1 + disk / BYTES_A_CORE,
        }
    }

    /// The quirk that gives these figures for this job.
    fn quirk(&self, expected: &Expected<'_>) -> Option<&'static str> {
        let quirks = [
            (expected.error_dataset, self.events, ERROR_DATASET),
            (!expected.error_dataset, self.without_last, OVER_MERGE),
        ];
        quirks
            .into_iter()
            .find(|(applies, bytes, _)| *applies && self.merge_of(*bytes).is(&expected.estimate))
            .map(|(.., name)| name)
    }
}

impl Figures {
    fn is(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= TOLERANCE;
        near(self.time_s, other.time_s)
            && near(self.disk_kb, other.disk_kb)
            && near(self.memory_mb, other.memory_mb)
            && self.cores == other.cores
    }
}

impl<'c> Expected<'c> {
    pub(crate) fn of(job: &'c Value) -> Self {
        Self {
            files: list(&job["files"]).iter().map(text).collect(),
            estimate: Figures {
                time_s: number(&job["est_time_s"]),
                disk_kb: number(&job["est_disk_kb"]),
                memory_mb: number(&job["est_mem_mb"]),
                cores: job["cores"].as_u64().unwrap_or(1),
            },
            error_dataset: job["error_dataset"].as_bool().unwrap_or(false),
        }
    }
}

/// Compares, and notes the quirks that explain a difference.
pub(crate) struct Quirks<'i, 'q> {
    pub(crate) items: &'i [Item],
    /// Whether the splitter is the one whose estimates upstream gets wrong.
    pub(crate) merges: bool,
    pub(crate) met: &'q mut BTreeSet<&'static str>,
}

impl<'i> Quirks<'i, '_> {
    /// The same jobs in the same order, and the same files set aside.
    pub(crate) fn same_jobs(
        self,
        jobs: &[Job<'_>],
        expected: &[Expected<'_>],
        aside: &BTreeSet<&str>,
        failed: &BTreeSet<&str>,
    ) -> Result<(), String> {
        let mut ours = jobs.iter();
        // Files that we set aside and upstream works on, with an estimate that is too low.
        let mut only_aside: BTreeSet<&str> = aside.difference(failed).copied().collect();
        for wanted in expected {
            if wanted.files.iter().all(|file| only_aside.contains(file)) {
                let own = self.job_of(&wanted.files);
                let honest = own.merge_of(own.bytes).cores > CORES_MAX;
                let quirk = own.quirk(wanted).filter(|_| honest && self.merges);
                let quirk = quirk.ok_or_else(|| format!("{:?} are set aside", wanted.files))?;
                self.met.insert(quirk);
                wanted.files.iter().for_each(|file| {
                    only_aside.remove(file);
                });
                continue;
            }
            let Some(job) = ours.next().filter(|job| job.files == wanted.files) else {
                return Err(told(jobs, expected));
            };
            if job.error_dataset != wanted.error_dataset {
                return Err(format!(
                    "{:?}: error dataset {}",
                    job.files, job.error_dataset
                ));
            }
            if job.estimate.is(&wanted.estimate) {
                continue;
            }
            let honest = !self.merges || job.merge_of(job.bytes).is(&job.estimate);
            let quirk = job.quirk(wanted).filter(|_| honest && self.merges);
            let quirk = quirk.ok_or_else(|| {
                let (want, got) = (wanted.estimate, job.estimate);
                format!("{:?}: expected {want:?}, got {got:?}", job.files)
            })?;
            self.met.insert(quirk);
        }
        if ours.next().is_some() {
            return Err(told(jobs, expected));
        }
        if !only_aside.is_empty() || !failed.is_subset(aside) {
            return Err(format!("set aside: expected {failed:?}, got {aside:?}"));
        }
        Ok(())
    }

    /// Upstream raised an error: exactly the files that need too many cores are set aside, and all
    /// other jobs are as the rules have them.
    pub(crate) fn instead_of_an_error(
        self,
        jobs: &[Job<'_>],
        aside: &BTreeSet<&str>,
        before: bool,
    ) -> Result<(), String> {
        if !self.merges {
            return Err("upstream raises an error that nobody here knows".to_owned());
        }
        // What was set aside in an earlier step does not come again; upstream raises again.
        if aside.is_empty() && !before {
            return Err("upstream raises an error, and nothing is set aside here".to_owned());
        }
        let too_large = |files: &[&str]| {
            let own = self.job_of(files);
            own.merge_of(own.bytes).cores > CORES_MAX
        };
        let files: Vec<&str> = aside.iter().copied().collect();
        if !files.is_empty() && !too_large(&files) {
            return Err(format!(
                "{aside:?} are set aside and need no more cores than there are"
            ));
        }
        for job in jobs {
            if !job.merge_of(job.bytes).is(&job.estimate) || too_large(&job.files) {
                return Err(format!(
                    "{:?} has the estimate {:?}",
                    job.files, job.estimate
                ));
            }
        }
        self.met.insert(TOO_MANY_CORES);
        Ok(())
    }

    fn job_of(&self, files: &[&str]) -> Job<'i> {
        let is_own = |item: &&Item| files.contains(&case_name(item));
        let own: Vec<&'i Item> = self.items.iter().filter(is_own).collect();
        Job::over(&own)
    }
}

fn told(jobs: &[Job<'_>], expected: &[Expected<'_>]) -> String {
    let got: Vec<&Vec<&str>> = jobs.iter().map(|job| &job.files).collect();
    let wanted: Vec<&Vec<&str>> = expected.iter().map(|job| &job.files).collect();
    format!("jobs: expected {wanted:?}, got {got:?}")
}
