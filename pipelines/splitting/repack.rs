//! Repack: whole lumis in order, up to so much a job; a lumi that is too large is split.
//!
//! In come the window and the limits, out come the jobs of what the walk of lumis releases. A job
//! that would need more cores than any place has is not made: its files are set aside.
//!
//! After dmwm/T0:src/python/T0/JobSplitting/Repack.py.

use super::estimates::{CORES_MAX, Load, repack};
use super::first_fit::{Limits, fill};
use super::walk::{Blocks, LumiData, walk};
use super::{Cut, CutJob, SplitLumi, Tail, Window};
use model::ids::LumiNumber;
use model::time::{Moment, Span};
use model::units::Bytes;

/// Parameters of `repack`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repack {
    /// A lumi above this is cut by itself, into several jobs if need be.
    pub max_size_single_lumi: Bytes,
    /// Several lumis together stay below this.
    pub max_size_multi_lumi: Bytes,
    /// Events a job.
    pub max_events: u64,
    /// Files a job of several lumis.
    pub max_files: u32,
    /// How old data behind a hole must be before the hole holds them back no longer.
    pub max_latency: Span,
    /// What releases a remainder that fills no job.
    pub tail: Tail,
}

impl Default for Repack {
    /// The production values of the Tier-0 (T0:etc/ProdOfflineConfiguration.py).
    fn default() -> Self {
        Self {
            max_size_single_lumi: Bytes(24 << 30),
            max_size_multi_lumi: Bytes(8 << 30),
            max_events: 3_000_000,
            max_files: 1_000,
            max_latency: Span::from_secs(3_600),
            tail: Tail::Either,
        }
    }
}

/// Cuts what may be repacked now.
pub(super) fn split(rule: &Repack, window: &Window<'_>, closed: bool, now: Moment) -> Cut {
    walk(&Cutter { rule, window }, window, closed, now)
}

struct Cutter<'w> {
    rule: &'w Repack,
    window: &'w Window<'w>,
}

impl Cutter<'_> {
    fn job(&self, positions: Vec<usize>, cut: &mut Cut) {
        let items = positions.iter().map(|at| &self.window.items[*at]);
        let estimate = repack(Load::of(items), &self.window.cost);
        take_job(positions, estimate, false, cut);
    }

    /// One job after the other within a lumi that is too large for one.
    fn lumi(&self, data: LumiData, cut: &mut Cut) {
        let files = data.items.len() as u32;
        let limits = Limits {
            bytes: self.rule.max_size_single_lumi.0,
            events: self.rule.max_events,
        };
        let jobs = fill(self.window.items, data.items.into_iter(), limits);
        if jobs.len() > 1 {
            cut.split_lumis.push(SplitLumi {
                lumi: LumiNumber(data.first),
                files,
            });
        }
        for job in jobs {
            self.job(job, cut);
        }
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
        let mut open = Gathered::default();
        for data in block {
            let too_large =
                data.bytes > rule.max_size_single_lumi.0 || data.events > rule.max_events;
            if too_large {
                // What is in front goes first, so that the order stays.
                open.flush(|job| self.job(job, cut));
                self.lumi(data, cut);
                continue;
            }
            let with_this = open.with(&data);
            let fits = with_this.bytes <= rule.max_size_multi_lumi.0
                && with_this.events <= rule.max_events
                && with_this.files <= rule.max_files as usize;
            if !open.lumis.is_empty() && !fits {
                open.flush(|job| self.job(job, cut));
            }
            open.add(data);
        }
        if whole {
            open.flush(|job| self.job(job, cut));
        }
        open.lumis
    }
}

/// Lumis gathered for one job.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) lumis: Vec<LumiData>,
    pub(super) bytes: u64,
    pub(super) events: u64,
    pub(super) files: usize,
}

impl Gathered {
    /// The sums with another lumi.
    pub(super) fn with(&self, data: &LumiData) -> Self {
        Self {
            lumis: Vec::new(),
            bytes: self.bytes.saturating_add(data.bytes),
            events: self.events.saturating_add(data.events),
            files: self.files + data.items.len(),
        }
    }

    pub(super) fn add(&mut self, data: LumiData) {
        let mut lumis = std::mem::take(&mut self.lumis);
        *self = self.with(&data);
        lumis.push(data);
        self.lumis = lumis;
    }

    /// Gives the items away as one job, if there are any.
    pub(super) fn flush(&mut self, job: impl FnOnce(Vec<usize>)) {
        let lumis = std::mem::take(self).lumis;
        if !lumis.is_empty() {
            job(lumis.into_iter().flat_map(|data| data.items).collect());
        }
    }
}

/// Makes a job, or sets its files aside where no place could run it.
pub(super) fn take_job(
    mut items: Vec<usize>,
    estimate: super::Estimate,
    to_error_dataset: bool,
    cut: &mut Cut,
) {
    if estimate.cores > CORES_MAX {
        let reason = format!(
            "a job of these {} file(s) would need {} of scratch space and {} cores, more than the \
             {CORES_MAX} of any place",
            items.len(),
            estimate.disk,
            estimate.cores,
        );
        cut.quarantined
            .extend(items.into_iter().map(|at| (at, reason.clone())));
        return;
    }
    items.sort_unstable();
    cut.jobs.push(CutJob {
        items,
        estimate: Some(estimate),
        to_error_dataset,
        ..CutJob::default()
    });
}
