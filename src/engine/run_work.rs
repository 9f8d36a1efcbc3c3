//! A run at work: its row, what has come for it, and how far each task is. Everything here but the
//! row is derived, and `restore.rs` derives it again from the rows.

use model::frontier::Frontier;
use model::ids::{BlockId, JobId, LumiNumber};
use model::lumi::{Expected, LumiEvent, LumiRecord, LumiState, Received};
use model::names::{DatasetName, StreamName, TagName};
use model::run::Run;
use pipelines::splitting::Item;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// One run and the work on it.
#[derive(Clone, Debug)]
pub(crate) struct RunWork {
    pub(crate) run: Run,
    /// Where the tasks of its configuration stand in the engine's list.
    pub(crate) plans: Range<usize>,
    /// Announcements, by lumi.
    pub(crate) lumis: BTreeMap<LumiNumber, LumiRecord>,
    /// What has come, by stream.
    pub(crate) streams: BTreeMap<StreamName, StreamWork>,
    /// Tasks of the pinned pipelines, by position in the engine's list.
    pub(crate) tasks: BTreeMap<usize, TaskWork>,
    /// Open blocks, by dataset.
    pub(crate) blocks: BTreeMap<DatasetName, BlockId>,
    /// Tags with a decision for this run.
    pub(crate) decided: BTreeSet<TagName>,
}

/// What has come of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamWork {
    pub(crate) lumis: BTreeMap<LumiNumber, StreamLumi>,
    pub(crate) frontier: Frontier,
}

/// What has come of one lumi of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamLumi {
    pub(crate) received: Received,
    pub(crate) state: LumiState,
}

/// How far one task of a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskWork {
    /// Unconsumed input, in order of (lumi, name) once `sorted`.
    pub(crate) items: Vec<Item>,
    pub(crate) sorted: bool,
    /// No more input will come.
    pub(crate) input_closed: bool,
    /// Jobs that are neither done nor failed.
    pub(crate) live_jobs: u32,
    /// Jobs that were made at all.
    pub(crate) made_jobs: u32,
    /// Jobs that only read the window: harvests before the end.
    pub(crate) readers: BTreeSet<JobId>,
    /// Everything has come, everything was cut, nothing is under way.
    pub(crate) ended: bool,
}

impl TaskWork {
    /// Adds input; order is restored when somebody looks.
    pub(crate) fn feed(&mut self, item: Item) {
        let in_order = self
            .items
            .last()
            .is_none_or(|last| (last.lumi, &last.name) <= (item.lumi, &item.name));
        self.sorted = (self.items.is_empty() || self.sorted) && in_order;
        self.items.push(item);
    }

    pub(crate) fn sort(&mut self) {
        if !self.sorted {
            self.items
                .sort_by(|a, b| (a.lumi, &a.name).cmp(&(b.lumi, &b.name)));
            self.sorted = true;
        }
    }
}

impl RunWork {
    pub(crate) fn new(run: Run, plans: Range<usize>) -> Self {
        Self {
            run,
            plans,
            lumis: BTreeMap::new(),
            streams: BTreeMap::new(),
            tasks: BTreeMap::new(),
            blocks: BTreeMap::new(),
            decided: BTreeSet::new(),
        }
    }

    /// Compares what has come with what was announced for one lumi of one stream, and moves the
    /// frontier.
    ///
    /// Returns the lumi's state before and after.
    pub(crate) fn account(
        &mut self,
        stream: &StreamName,
        lumi: LumiNumber,
    ) -> (LumiState, LumiState) {
        let expected = self
            .lumis
            .get(&lumi)
            .map_or(Expected::Unknown, |record| record.expected);
        let work = self.streams.entry(stream.clone()).or_default();
        let entry = work.lumis.entry(lumi).or_insert(StreamLumi {
            received: Received::default(),
            state: LumiState::Open,
        });
        let before = entry.state;
        let event = expected.compare(entry.received);
        // A lumi that was complete cannot become short: announcements are not replaced
        // (bookkeeping.rs).
        if let Ok(after) = before.next(event) {
            entry.state = after;
        }
        let after = entry.state;
        debug_assert!(
            before != LumiState::Closed || event != LumiEvent::Short,
            "announcements are not replaced, so a closed lumi is never short"
        );
        if before != after {
            match after {
                LumiState::Closed => work.frontier.close(lumi),
                LumiState::Disputed if before == LumiState::Closed => work.frontier.reopen(lumi),
                LumiState::Open | LumiState::Disputed => {}
            }
        }
        (before, after)
    }

    /// Whether everything that was announced for the run is here: of every stream that was ever
    /// seen, and of at least one unless nothing was announced or somebody declared that no more
    /// will come.
    pub(crate) fn is_complete(&self) -> bool {
        let Some(last) = self.run.last_lumi else {
            return false;
        };
        if self.streams.is_empty() {
            return (1..=last).all(|lumi| self.is_declared(LumiNumber(lumi)));
        }
        let mut streams = self.streams.values();
        streams.all(|work| work.frontier.reached() >= last)
    }

    fn is_declared(&self, lumi: LumiNumber) -> bool {
        let record = self.lumis.get(&lumi);
        record.is_some_and(|record| record.expected == Expected::Declared)
    }
}
