//! How input becomes jobs: pure functions over a window of unconsumed input (D14).
//!
//! The window is in a defined order (lumi, then name), so the same input gives the same jobs. A
//! splitter is asked once a batch and task whose window changed, and at the moment it asked to be
//! woken. Its cost is that of the new input and one job's files, never of all that ever came.
//!
//! Two laws hold for all of them. No input is in two jobs of one cut, nor both in a job and set
//! aside; what a cut leaves is seen again. And, `File` without `wait` excepted, the jobs of a run
//! do not depend on the order in which its files came or on how often the splitter was asked: only
//! what lies at or before the frontier is cut, because nothing can come in front of it any more.
//! Without a frontier that is nothing until the input is complete.

mod by_event;
mod by_file;
mod express;
mod harvest;
mod run;

use model::frontier::Frontier;
use model::ids::{BlockId, LumiNumber, RunNumber};
use model::job::{InputId, Slice};
use model::names::FileName;
pub use model::resource::Estimate;
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use std::collections::{BTreeMap, BTreeSet};

/// A splitter with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Splitter {
    /// So many files a job, in order; the rest when the input is complete. With `wait` false
    /// whatever is there is cut at once, so jobs may be smaller and depend on what came together.
    File {
        /// Files a job.
        files_per_job: u32,
        /// Whether an incomplete job waits for more.
        wait: bool,
    },
    /// Closed lumis only, never across lumis, greedy by events.
    Express {
        /// Events a job.
        max_events: u64,
        /// A lumi with more events than this is set aside whole.
        max_input_rate: u64,
    },
    /// One job for a run, when its input is complete.
    Run {
        /// Files a job; a run with more makes several.
        max_files: u32,
    },
    /// Lumis in order, a job whenever the next file would take it over so many events, the rest at
    /// the end of the run.
    Event {
        /// Events a job.
        max_events: u64,
    },
    /// One harvest a run, when its input is complete; a run with no input is decided without one.
    AlcaHarvest,
    /// One merge and test of histograms a run, when its input is complete.
    DqmHarvest,
}

/// One unconsumed input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub id: InputId,
    /// Its name, second in the order.
    pub name: FileName,
    /// Its first lumi, first in the order.
    pub lumi: LumiNumber,
    /// Its last lumi.
    pub last_lumi: LumiNumber,
    /// Its size.
    pub bytes: Bytes,
    /// Events in it.
    pub events: Events,
    /// When the earliest of the detector's files behind it was seen.
    pub seen_at: Moment,
    /// When it came into this window: what ages are counted from.
    pub came_at: Moment,
    /// The lumis in it as closed ranges by run, in order; empty for all of `lumi` to `last_lumi` of
    /// the window's run.
    pub content: Vec<(RunNumber, LumiNumber, LumiNumber)>,
    /// Its first event: 0 for files, the number of the first event for events still to be made.
    pub first_event: u64,
    /// Where it is; empty for anywhere.
    pub sites: Vec<String>,
}

/// What a splitter sees: unconsumed input of one task in one run.
#[derive(Clone, Debug)]
pub struct Window<'a> {
    /// The run.
    pub run: RunNumber,
    /// In order of (lumi, name).
    pub items: &'a [Item],
    /// Which lumis of the input's stream are accounted for; none for input made by other tasks,
    /// whose lumis are whole when the task is.
    pub frontier: Option<&'a Frontier>,
    /// Lumis that were worked on already or are declared empty: nothing more comes for them, so
    /// they are no hole, and what lies in front of one is complete.
    pub passed: &'a BTreeSet<LumiNumber>,
    /// Lumis that were split over several jobs of the task before, not all of them done: not to be
    /// merged yet.
    pub split_active: &'a BTreeSet<LumiNumber>,
    /// When the run's end was known, if it is: what the time-outs of harvests are counted from.
    pub run_ended_at: Option<Moment>,
    /// What a job of the task costs: measured, or the task's declared defaults.
    pub cost: Cost,
    /// Where jobs may run; none for anywhere.
    pub allowed_sites: Option<&'a BTreeSet<String>>,
    /// The latest job of this task and run that only read the window, if there was one: an early or
    /// periodic harvest.
    pub harvested: Option<Harvested>,
    /// What the other tasks that read the same input have done with it; none if nobody asked.
    pub siblings: Option<Siblings<'a>>,
    /// The block of each input that has one; none if nobody asked.
    pub blocks: Option<&'a BTreeMap<InputId, BlockId>>,
}

/// A job that only read the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Harvested {
    /// Inputs it read.
    pub inputs: usize,
    /// How far it is.
    pub state: HarvestState,
}

/// How far a job that only reads is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HarvestState {
    /// At work.
    Running,
    /// Done since then.
    Done(Moment),
    /// Failed since then.
    Failed(Moment),
}

/// What the other tasks with the same input have done with it.
#[derive(Clone, Copy, Debug)]
pub struct Siblings<'a> {
    /// Inputs that all of them have worked on.
    pub processed: &'a BTreeSet<InputId>,
    /// Whether all of them have ended, so that what is not processed now never will be.
    pub ended: bool,
}

/// What a task's jobs cost, for estimates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Wall time an event.
    pub time_per_event: Span,
    /// Output size an event.
    pub bytes_per_event: Bytes,
    /// Memory of a job.
    pub memory: Bytes,
}

impl Default for Cost {
    /// The field's defaults for a task nobody has measured: 12 s and 512 KiB an event, 2300 MiB
    /// (WMCore's request defaults).
    fn default() -> Self {
        Self {
            time_per_event: Span::from_secs(12),
            bytes_per_event: Bytes(512 << 10),
            memory: Bytes(2300 << 20),
        }
    }
}

/// A job to make: positions in the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CutJob {
    /// Positions of its inputs, ascending.
    pub items: Vec<usize>,
    /// The part of its input that it works on, if not all of it: events of one input, or lumis of all
    /// of its inputs together. Several jobs of one cut may share an input when their slices do not
    /// overlap; all slices of an input are cut at once.
    pub slice: Option<Slice>,
    /// What it will probably use; none where the splitter has no rule, so the task's needs hold.
    pub estimate: Option<Estimate>,
    /// Whether its output goes to the error dataset of its primary, out of the way of analyses.
    pub to_error_dataset: bool,
    /// Whether it only reads its inputs, which stay in the window for a later job: an early harvest.
    pub reads_only: bool,
}

/// A lumi that a cut spread over several jobs: not merged before all of them are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitLumi {
    /// The lumi.
    pub lumi: LumiNumber,
    /// Its files.
    pub files: u32,
}

/// Why a splitter leaves input in the window although something is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// What it waits for.
    pub by: HoldingKind,
    /// The sentence for people.
    pub reason: String,
    /// Since when the oldest of the held input waits.
    pub since: Moment,
    /// When the wait ends by itself; none if only what is missing ends it.
    pub until: Option<Moment>,
}

/// The named waits of splitters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldingKind {
    /// A lumi in front has neither data nor is it declared empty.
    LumiHole,
    /// Not enough for a job yet, and more may come.
    MoreInput,
    /// The first lumi of a block is younger than the merge's latency.
    FirstLumi,
    /// A lumi was split and not all its jobs are done.
    SplitLumi,
    /// The time after which everything is worked on has not come.
    Delay,
    /// Siblings have not worked on the input yet.
    Siblings,
}

/// What a splitter decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Jobs to make, in order.
    pub jobs: Vec<CutJob>,
    /// Inputs that cannot be worked on, with the reason for people.
    pub quarantined: Vec<(usize, String)>,
    /// Inputs that no job shall work on, with the rule that says so: they leave the window without a
    /// job, and nothing is wrong.
    pub declined: Vec<(usize, String)>,
    /// Lumis of which this cut made several jobs.
    pub split_lumis: Vec<SplitLumi>,
    /// Why what is left was left, if it waits for something that has a name.
    pub holding: Option<Holding>,
    /// When to be asked again even if nothing comes.
    pub wake: Option<Moment>,
}

impl Item {
    /// Its last lumi, never before its first.
    fn end(&self) -> u32 {
        self.last_lumi.max(self.lumi).0
    }
}

/// No lumi.
static NO_LUMIS: BTreeSet<LumiNumber> = BTreeSet::new();

impl<'a> Window<'a> {
    /// A window of which nothing is known but its input and which lumis are accounted for.
    pub fn new(run: RunNumber, items: &'a [Item], frontier: Option<&'a Frontier>) -> Self {
        Self {
            run,
            items,
            frontier,
            passed: &NO_LUMIS,
            split_active: &NO_LUMIS,
            run_ended_at: None,
            cost: Cost::default(),
            allowed_sites: None,
            harvested: None,
            siblings: None,
            blocks: None,
        }
    }
}

impl Window<'_> {
    /// Whether an item's lumis are accounted for: nothing more can come for any of them.
    fn is_whole(&self, item: &Item, closed: bool) -> bool {
        closed
            || self.frontier.is_some_and(|frontier| {
                (item.lumi.0..=item.end()).all(|lumi| frontier.is_closed(LumiNumber(lumi)))
            })
    }

    /// Whether an item stands in its final place: nothing can come in front of it any more.
    fn is_settled(&self, item: &Item, closed: bool) -> bool {
        closed
            || self
                .frontier
                .is_some_and(|frontier| item.end() <= frontier.reached())
    }
}

/// Cuts jobs from a window.
///
/// `closed` says that no more input will ever come to this window. `_now` is the moment of the
/// question, for splitters that wait a time; none of today's does, so none of their cuts asks to be
/// woken.
pub fn split(splitter: &Splitter, window: &Window<'_>, closed: bool, _now: Moment) -> Cut {
    debug_assert!(
        window
            .items
            .is_sorted_by(|a, b| (a.lumi, &a.name) <= (b.lumi, &b.name)),
        "a window is in order of (lumi, name)"
    );
    match *splitter {
        Splitter::File {
            files_per_job,
            wait,
        } => by_file::split(files_per_job, wait, window, closed),
        Splitter::Express {
            max_events,
            max_input_rate,
        } => express::split(max_events, max_input_rate, window, closed),
        Splitter::Run { max_files } => run::split(max_files, window, closed),
        Splitter::Event { max_events } => by_event::split(max_events, window, closed),
        Splitter::AlcaHarvest | Splitter::DqmHarvest => harvest::split(window, closed),
    }
}

/// How long a job of a task will probably run, until there is measured history.
pub const DEFAULT_PREDICTED_RUN: Span = Span::from_millis(500);

#[cfg(test)]
mod tests;
