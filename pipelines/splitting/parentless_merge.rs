//! Merging between a smallest and a largest size, in the order of run, lumi and first event.
//!
//! In come the window and the limits, out come merges: made when the next file would take one over
//! the largest size or number of events and it has the smallest size, when no more will come, or
//! when its oldest file has waited long enough. A file that is over a limit by itself is a merge of
//! its own.
//!
//! A file that would make a merge too large while that merge is still too small begins the next one
//! behind it; the small one is left as it is and waits. (Upstream leaves out such a file and lets
//! later, smaller ones overtake it; for a wait it looks at the newest file of the merge instead of
//! the oldest. Neither is copied: order is part of the result.)

use super::{
    Cut, CutJob, Groups, Holding, HoldingKind, Window, groups, just_after, merge_estimate,
};
use model::time::{Moment, Span};
use model::units::Bytes;

/// How files become merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParentlessMerge {
    /// A merge has more bytes than this, unless nothing more comes or it has waited too long.
    pub min_size: Bytes,
    /// A merge has at most so many bytes, unless one file alone has more.
    pub max_size: Bytes,
    /// A merge has at most so many events, unless one file alone has more.
    pub max_events: u64,
    /// A file waits at most so long for others.
    pub max_wait: Span,
    /// Whether files of different runs may be merged.
    pub merge_across_runs: bool,
}

/// Files that stand together so far.
#[derive(Default)]
struct InHand {
    items: Vec<usize>,
    bytes: u64,
    events: u64,
}

struct Merging<'a> {
    parameters: ParentlessMerge,
    window: &'a Window<'a>,
    closed: bool,
    now: Moment,
    cut: Cut,
    /// The oldest of what is left, and how many files that is.
    oldest: Option<Moment>,
    waiting: usize,
}

/// Cuts merges.
pub(super) fn split(
    parameters: ParentlessMerge,
    window: &Window<'_>,
    closed: bool,
    now: Moment,
) -> Cut {
    let Groups { together, nowhere } = groups(window, 0..window.available_end(closed));
    let mut merging = Merging {
        parameters,
        window,
        closed,
        now,
        cut: Cut {
            quarantined: nowhere,
            ..Cut::default()
        },
        oldest: None,
        waiting: 0,
    };
    for mut group in together {
        group.sort_by_key(|at| {
            let item = &window.items[*at];
            (item.first_run(window.run), item.lumi, item.first_event, *at)
        });
        if parameters.merge_across_runs {
            merging.group(&group);
        } else {
            let run_of = |at: &usize| window.items[*at].first_run(window.run);
            for of_run in group.chunk_by(|a, b| run_of(a) == run_of(b)) {
                merging.group(of_run);
            }
        }
    }
    merging.finish()
}

impl Merging<'_> {
    fn group(&mut self, group: &[usize]) {
        let mut in_hand = InHand::default();
        for at in group {
            let item = &self.window.items[*at];
            let too_much = |bytes: u64, events: u64| {
                bytes > self.parameters.max_size.0 || events > self.parameters.max_events
            };
            if too_much(item.bytes.0, item.events.0) {
                self.merge(vec![*at]);
                continue;
            }
            let bytes = in_hand.bytes.saturating_add(item.bytes.0);
            let events = in_hand.events.saturating_add(item.events.0);
            if too_much(bytes, events) {
                self.put_down(std::mem::take(&mut in_hand));
            }
            in_hand.items.push(*at);
            in_hand.bytes = in_hand.bytes.saturating_add(item.bytes.0);
            in_hand.events = in_hand.events.saturating_add(item.events.0);
        }
        self.put_down(in_hand);
    }

    /// Merges what is in hand if it is enough, over, or has waited; else leaves it.
    fn put_down(&mut self, in_hand: InHand) {
        let came = in_hand
            .items
            .iter()
            .map(|at| self.window.items[*at].came_at);
        let Some(oldest) = came.min() else {
            return;
        };
        let waited = self.now > oldest + self.parameters.max_wait;
        if self.closed || waited || in_hand.bytes > self.parameters.min_size.0 {
            self.merge(in_hand.items);
        } else {
            self.waiting += in_hand.items.len();
            self.oldest = Some(self.oldest.map_or(oldest, |other| other.min(oldest)));
        }
    }

    fn merge(&mut self, mut items: Vec<usize>) {
        let estimate = Some(merge_estimate(self.window, &items));
        items.sort_unstable();
        self.cut.jobs.push(CutJob {
            items,
            estimate,
            ..CutJob::default()
        });
    }

    fn finish(mut self) -> Cut {
        if let Some(since) = self.oldest {
            let until = just_after(since + self.parameters.max_wait);
            self.cut.wake = Some(until);
            self.cut.holding = Some(Holding {
                by: HoldingKind::MoreInput,
                reason: format!(
                    "{} file(s) are not more than {} (min_size); they are merged at the latest \
                     when the oldest has waited for max_wait",
                    self.waiting, self.parameters.min_size
                ),
                since,
                until: Some(until),
            });
        }
        self.cut
    }
}
