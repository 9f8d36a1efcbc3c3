//! The merge of express: lumis that follow each other, as soon as the first of them is old enough.
//!
//! In come the window and the limits, out come jobs of neighbours. A gap closes a job and asks for
//! the age of what follows again; a lumi that was split and is not done is a gap. Size and number
//! of files only tell jobs apart, they never release one.
//!
//! After dmwm/T0:src/python/T0/JobSplitting/ExpressMerge.py, but for one thing: when the input is
//! complete nothing waits for its age any more, unless `tail` says so.

use super::estimates::{Load, merge};
use super::repack::Gathered;
use super::walk::{DataInOrder, LumiData};
use super::{Cut, CutJob, Estimate, Holding, HoldingKind, Tail, Window};
use model::time::{Moment, Span};
use model::units::Bytes;

/// Parameters of `express_merge`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressMerge {
    /// Size of a job of several lumis.
    pub max_size: Bytes,
    /// Files of a job of several lumis.
    pub max_files: u32,
    /// How old a block's first lumi must be; none merges lumi by lumi.
    pub max_latency: Span,
    /// What releases the last lumis of a run.
    pub tail: Tail,
}

impl Default for ExpressMerge {
    /// The production values of the Tier-0 (T0:etc/ProdOfflineConfiguration.py): 15 lumis of 23 s.
    fn default() -> Self {
        Self {
            max_size: Bytes(2 << 30),
            max_files: 15,
            max_latency: Span::from_secs(345),
            tail: Tail::Either,
        }
    }
}

/// Cuts what may be merged now.
pub(super) fn split(rule: &ExpressMerge, window: &Window<'_>, closed: bool, now: Moment) -> Cut {
    let mut cut = Cut::default();
    let at_end = window.at_once || (closed && rule.tail != Tail::Age);
    let is_old = |data: &LumiData| at_end || now.since(data.youngest) > rule.max_latency;
    let mut lumis = DataInOrder::of(window, closed);
    let mut open = Gathered::default();
    let mut last = 0;
    for data in lumis.by_ref() {
        let with_this = open.with(&data);
        let fits = with_this.files <= rule.max_files as usize && with_this.bytes <= rule.max_size.0;
        let lumi_by_lumi = rule.max_latency == Span::ZERO;
        let first = open.lumis.is_empty();
        let follows = !first && data.first <= last + 1;
        if !follows || !fits || lumi_by_lumi {
            open.flush(|job| take_job(job, window, &mut cut));
        }
        let begins = first || (!follows && !lumi_by_lumi);
        if begins && !is_old(&data) {
            wait_for(&data, rule, &mut cut);
            break;
        }
        last = last.max(data.last);
        open.add(data);
    }
    open.flush(|job| take_job(job, window, &mut cut));
    if let Some(lumi) = lumis.waits_for_split().filter(|_| cut.holding.is_none()) {
        cut.holding = Some(Holding {
            by: HoldingKind::SplitLumi,
            reason: format!(
                "lumi {lumi} was split over several jobs and not all of them have ended"
            ),
            since: window.oldest.unwrap_or(now),
            until: None,
        });
    }
    cut
}

fn take_job(items: Vec<usize>, window: &Window<'_>, cut: &mut Cut) {
    let load = Load::of(items.iter().map(|at| &window.items[*at]));
    cut.jobs.push(CutJob {
        items,
        // It copies: one core, whatever the size.
        estimate: Some(Estimate {
            cores: 1,
            ..merge(load)
        }),
        ..CutJob::default()
    });
}

fn wait_for(data: &LumiData, rule: &ExpressMerge, cut: &mut Cut) {
    let until = data.youngest + rule.max_latency + Span(1);
    cut.wake = Some(until);
    cut.holding = Some(Holding {
        by: HoldingKind::FirstLumi,
        reason: format!(
            "lumi {} and what follows wait until its youngest file is {} old",
            data.first, rule.max_latency
        ),
        since: data.oldest,
        until: Some(until),
    });
}
