//! The walk of lumis in order that repacking and its merge share: what may be cut now, and what
//! waits behind a hole.
//!
//! Lumis are walked from the first to the last that has data or is passed. Data that follow each
//! other without a gap are a block. A *barrier* (a lumi that was worked on already or is declared
//! empty) behind a block completes it; a *hole* (a lumi with neither data nor barrier) holds back
//! what lies behind it, until that block's youngest file is older than the latency. Which jobs a
//! block makes is the business of the splitter that walks.
//!
//! After dmwm/T0:src/python/T0/JobSplitting/Repack.py. Data behind a hole can therefore overtake
//! data in front of it. There a trickle of young files keeps a block behind a hole waiting for as
//! long as it lasts; here its oldest file waits twice the latency and no longer. The wait is told
//! by [`Holding`], with the remedy of declaring the lumi.

use super::{Cut, Holding, HoldingKind, Item, Tail, Window};
use model::ids::LumiNumber;
use model::time::{Moment, Span};

/// The smallest step of time: ages are compared strictly.
const TICK: Span = Span(1);

/// A lumi with data: the files that begin in it.
#[derive(Clone, Debug)]
pub(super) struct LumiData {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) items: Vec<usize>,
    pub(super) bytes: u64,
    pub(super) events: u64,
    pub(super) youngest: Moment,
    pub(super) oldest: Moment,
}

/// Lumis whose data may be worked on, in order. Some may be hidden: not all of a lumi is here, or
/// it was split and is not done.
pub(super) struct DataInOrder<'w> {
    window: &'w Window<'w>,
    closed: bool,
    at: usize,
    end: usize,
    /// The first lumi that is here and hidden because it was split.
    hidden_split: Option<u32>,
}

impl<'w> DataInOrder<'w> {
    pub(super) fn of(window: &'w Window<'w>, closed: bool) -> Self {
        Self {
            window,
            closed,
            at: 0,
            end: if window.at_once {
                window.items.len()
            } else {
                window.end_of_closed(closed)
            },
            hidden_split: None,
        }
    }

    fn is_visible(&mut self, item: &Item) -> bool {
        if self.window.at_once {
            return true;
        }
        if !self.window.is_whole(item, self.closed) {
            return false;
        }
        let own = item.lumi..=LumiNumber(item.end());
        let split = self.window.split_active.range(own).next();
        if let Some(lumi) = split {
            self.note_split(*lumi);
        }
        split.is_none()
    }

    fn note_split(&mut self, lumi: LumiNumber) {
        if self.window.split_active.contains(&lumi) {
            self.hidden_split = self.hidden_split.or(Some(lumi.0));
        }
    }

    /// The lumi that is here in part and waits for the rest, if one does.
    pub(super) fn waits_for_split(&self) -> Option<u32> {
        let behind = self.window.items.get(self.end).map(|item| item.lumi);
        let behind = behind.filter(|lumi| self.window.split_active.contains(lumi));
        self.hidden_split.or(behind.map(|lumi| lumi.0))
    }
}

impl Iterator for DataInOrder<'_> {
    type Item = LumiData;

    fn next(&mut self) -> Option<LumiData> {
        let items = &self.window.items[..self.end];
        while let Some(head) = items.get(self.at) {
            let lumi = head.lumi;
            // The first file speaks for a lumi that is not closed: its other files need no look.
            let asked = self.window.at_once && self.window.split_active.contains(&lumi);
            if !asked && !self.window.is_closed(lumi, self.closed) {
                self.note_split(lumi);
                self.at += items[self.at..].partition_point(|item| item.lumi == lumi);
                continue;
            }
            let mut found: Option<LumiData> = None;
            while let Some(item) = items.get(self.at).filter(|item| item.lumi == lumi) {
                let at = self.at;
                self.at += 1;
                if !self.is_visible(item) {
                    continue;
                }
                let data = found.get_or_insert_with(|| LumiData {
                    first: lumi.0,
                    last: lumi.0,
                    items: Vec::new(),
                    bytes: 0,
                    events: 0,
                    youngest: item.came_at,
                    oldest: item.came_at,
                });
                data.last = data.last.max(item.end());
                data.items.push(at);
                data.bytes = data.bytes.saturating_add(item.bytes.0);
                data.events = data.events.saturating_add(item.events.0);
                data.youngest = data.youngest.max(item.came_at);
                data.oldest = data.oldest.min(item.came_at);
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// A splitter that cuts blocks of lumis.
pub(super) trait Blocks {
    /// How old a block's youngest file must be before a hole holds it back no longer.
    fn latency(&self) -> Span;
    /// What releases the remainder at the end of what is here.
    fn tail(&self) -> Tail;
    /// Makes the jobs of a block. With `whole` of all of it; otherwise the last lumis, which do not
    /// fill a job, are given back.
    fn cut(&self, block: Vec<LumiData>, whole: bool, cut: &mut Cut) -> Vec<LumiData>;
}

/// Where the walk is.
struct Walk<'w, B> {
    splitter: &'w B,
    window: &'w Window<'w>,
    closed: bool,
    now: Moment,
    block: Vec<LumiData>,
    /// Whether the lumi in front of the block is a hole, and which.
    hole: Option<u32>,
    cut: Cut,
}

/// Walks the lumis and lets the splitter cut what may be cut.
pub(super) fn walk<B: Blocks>(splitter: &B, window: &Window<'_>, closed: bool, now: Moment) -> Cut {
    let mut lumis = DataInOrder::of(window, closed);
    let mut walk = Walk {
        splitter,
        window,
        closed,
        now,
        block: Vec::new(),
        hole: None,
        cut: Cut::default(),
    };
    let passed_to = window.passed.last().map_or(0, |lumi| lumi.0);
    let mut reached = 0;
    for data in lumis.by_ref() {
        if data.first > reached + 1 {
            walk.gap(reached + 1, data.first - 1);
            if walk.nothing_is_old(passed_to, &data) {
                break;
            }
        }
        reached = reached.max(data.last);
        walk.block.push(data);
    }
    if walk.block.is_empty() {
        // Whatever is behind was seen to be too young, or there is nothing.
    } else if passed_to > reached {
        walk.gap(reached + 1, passed_to);
    } else {
        walk.end();
    }
    let mut cut = walk.cut;
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

impl<B: Blocks> Walk<'_, B> {
    /// Lumis without data, both ends included, follow the block.
    fn gap(&mut self, first: u32, last: u32) {
        if !self.block.is_empty() {
            let barrier = self.is_passed(first);
            if (barrier && self.hole.is_none()) || self.is_old() {
                self.release(true, true);
            } else if self.hole.is_none() {
                // What is left stands in front of a hole: its age releases it.
                self.release(false, true);
            } else {
                self.hold();
            }
        }
        let hole = if self.is_passed(first) { last } else { first };
        self.hole = (!self.is_passed(last)).then_some(hole);
    }

    /// The block is the last.
    fn end(&mut self) {
        let aged = self.is_old();
        match self.hole {
            Some(_) if aged => self.release(true, true),
            Some(_) => self.hold(),
            None => {
                let ages = self.splitter.tail() != Tail::Closed;
                self.release(self.closed || (aged && ages), ages);
            }
        }
    }

    fn is_passed(&self, lumi: u32) -> bool {
        self.window.passed.is_closed(LumiNumber(lumi))
    }

    /// Whether nothing that is here can be released by its age yet, and no barrier comes any more:
    /// then nothing behind the hole needs a look, however much it is.
    fn nothing_is_old(&mut self, passed_to: u32, behind: &LumiData) -> bool {
        let Some(hole) = self.hole.filter(|_| passed_to < behind.first) else {
            return false;
        };
        let Some(oldest) = self.window.oldest else {
            return false;
        };
        let until = oldest + self.splitter.latency() + TICK;
        let young = until > self.now && !self.window.at_once;
        if young {
            self.wait_for_hole(hole, behind.first, behind.oldest, until);
        }
        young
    }

    fn youngest(&self) -> Moment {
        let youngest = self.block.iter().map(|data| data.youngest).max();
        youngest.unwrap_or(self.now)
    }

    /// When the block's age releases it. Behind a hole its oldest file waits twice the latency at
    /// most: young files that keep coming would renew the wait for as long as the run is taken.
    fn old_at(&self) -> Moment {
        let latency = self.splitter.latency();
        let young = self.youngest() + latency + TICK;
        let oldest = self.block.iter().map(|data| data.oldest).min();
        match oldest.filter(|_| self.hole.is_some()) {
            Some(oldest) => young.min(oldest + latency + latency + TICK),
            None => young,
        }
    }

    fn is_old(&self) -> bool {
        self.window.at_once || self.old_at() <= self.now
    }

    fn hold(&mut self) {
        let until = self.old_at();
        if let (Some(hole), Some(data)) = (self.hole, self.block.first()) {
            self.wait_for_hole(hole, data.first, data.oldest, until);
        }
        self.block.clear();
    }

    fn wait_for_hole(&mut self, hole: u32, behind: u32, since: Moment, until: Moment) {
        self.cut.wake = Some(self.cut.wake.map_or(until, |wake| wake.min(until)));
        let better = self.cut.holding.as_ref();
        if better.is_none_or(|holding| holding.by != HoldingKind::LumiHole) {
            self.cut.holding = Some(Holding {
                by: HoldingKind::LumiHole,
                reason: format!(
                    "lumi {hole} has neither data here nor is it declared empty: lumi {behind} \
                     and what follows wait for it"
                ),
                since,
                until: Some(until),
            });
        }
    }

    /// Has the block cut, and tells until when what is left of it waits.
    fn release(&mut self, whole: bool, ages: bool) {
        let block = std::mem::take(&mut self.block);
        let left = self.splitter.cut(block, whole, &mut self.cut);
        let Some(first) = left.first() else {
            return;
        };
        let youngest = left.iter().map(|data| data.youngest).max();
        let until = youngest.unwrap_or(self.now) + self.splitter.latency() + TICK;
        let until = ages.then_some(until);
        if let Some(until) = until {
            self.cut.wake = Some(self.cut.wake.map_or(until, |wake| wake.min(until)));
        }
        if self.cut.holding.is_none() {
            self.cut.holding = Some(Holding {
                by: HoldingKind::MoreInput,
                reason: format!(
                    "lumis {} to {} do not fill a job and more may come",
                    first.first,
                    left.last().map_or(first.last, |data| data.last)
                ),
                since: left
                    .iter()
                    .map(|data| data.oldest)
                    .min()
                    .unwrap_or(self.now),
                until,
            });
        }
    }
}
