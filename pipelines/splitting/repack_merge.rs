//! The merge of repacked data: whole lumis in order until a file is large enough; what cannot be
//! one file of the experiment's format goes to the error dataset.
//!
//! In come the window and the limits, out come the jobs of what the walk of lumis releases. A lumi
//! that was split and is not done is hidden from it.
//!
//! After dmwm/T0:src/python/T0/JobSplitting/RepackMerge.py, but for three things: estimates count
//! all that a job reads, also for the error dataset and for jobs above the usual size; and a job
//! that would need more cores than any place has sets only its own files aside.

use super::estimates::{Load, merge};
use super::first_fit::{Limits, fill};
use super::repack::{Gathered, take_job};
use super::walk::{Blocks, LumiData, walk};
use super::{Cut, Tail, Window};
use model::time::{Moment, Span};
use model::units::Bytes;

/// Parameters of `repack_merge`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepackMerge {
    /// Enough for a job: the next lumi that does not fit closes it.
    pub min_size: Bytes,
    /// The usual size of a job at most.
    pub max_size: Bytes,
    /// Events a job.
    pub max_events: u64,
    /// Files a job.
    pub max_files: u32,
    /// A lumi above this is no one file: it goes to the error dataset.
    pub max_edm_size: Bytes,
    /// A job that is too small takes one lumi too many up to here; never above `max_edm_size`.
    pub max_over_size: Bytes,
    /// How old data behind a hole must be before the hole holds them back no longer.
    pub max_latency: Span,
    /// What releases a remainder that fills no job.
    pub tail: Tail,
    /// An input of this size or more is published as it is, without a merge; none for never.
    pub direct_over: Option<Bytes>,
}

impl Default for RepackMerge {
    /// The production values of the Tier-0 (T0:etc/ProdOfflineConfiguration.py).
    fn default() -> Self {
        Self {
            min_size: Bytes(2_254_857_830), // 2.1 GiB
            max_size: Bytes(4 << 30),
            max_events: 3_000_000,
            max_files: 1_000,
            max_edm_size: Bytes(24 << 30),
            max_over_size: Bytes(8 << 30),
            max_latency: Span::from_secs(3_600),
            tail: Tail::Either,
            direct_over: None,
        }
    }
}

impl RepackMerge {
    /// Whether an input is published as it is.
    pub fn is_direct(&self, bytes: Bytes) -> bool {
        self.direct_over.is_some_and(|least| bytes >= least) && bytes <= self.max_edm_size
    }
}

/// Cuts what may be merged now.
pub(super) fn split(rule: &RepackMerge, window: &Window<'_>, closed: bool, now: Moment) -> Cut {
    walk(&Cutter { rule, window }, window, closed, now)
}

struct Cutter<'w> {
    rule: &'w RepackMerge,
    window: &'w Window<'w>,
}

impl Cutter<'_> {
    fn job(&self, positions: Vec<usize>, to_error_dataset: bool, cut: &mut Cut) {
        let items = positions.iter().map(|at| &self.window.items[*at]);
        let estimate = merge(Load::of(items));
        take_job(positions, estimate, to_error_dataset, cut);
    }
}

impl Blocks for Cutter<'_> {
    fn latency(&self) -> Span {
        self.rule.max_latency
    }

    fn tail(&self) -> Tail {
        self.rule.tail
    }

    fn cut(&self, block: Vec<LumiData>, whole: bool, cut: &mut Cut) -> Vec<LumiData> {
        let rule = self.rule;
        let over = rule.max_over_size.min(rule.max_edm_size).0;
        let fits = |sum: &Gathered| {
            sum.bytes <= rule.max_size.0
                && sum.events <= rule.max_events
                && sum.files <= rule.max_files as usize
        };
        let mut open = Gathered::default();
        for data in block {
            let alone = Gathered::default().with(&data);
            if data.bytes > rule.max_edm_size.0 {
                open.flush(|job| self.job(job, false, cut));
                let limits = Limits {
                    bytes: rule.max_edm_size.0,
                    events: u64::MAX,
                };
                for job in fill(self.window.items, data.items.into_iter(), limits) {
                    self.job(job, true, cut);
                }
                continue;
            }
            if !fits(&alone) {
                open.flush(|job| self.job(job, false, cut));
                self.job(data.items, false, cut);
                continue;
            }
            let with_this = open.with(&data);
            if fits(&with_this) {
                open.add(data);
            } else if open.bytes <= rule.min_size.0 && with_this.bytes <= over {
                // Too small without it, too large with it: rather too large.
                open.add(data);
                open.flush(|job| self.job(job, false, cut));
            } else {
                open.flush(|job| self.job(job, false, cut));
                open.add(data);
            }
        }
        if whole {
            open.flush(|job| self.job(job, false, cut));
        }
        open.lumis
    }
}
