//! How input becomes jobs: pure functions over a window of unconsumed input (D14).
//!
//! The window is in a defined order (run, lumi, name), so the same input gives the same jobs. A
//! splitter is asked once a batch and task whose window changed, and at the moment it asked to be
//! woken. Its cost is that of the new input and one job's files, never of all that ever came.
//!
//! One law holds for all of them: no input (or part of one) is in two jobs of one cut, nor both in
//! a job and set aside; what a cut leaves is seen again. And a second one for all that do not act
//! on time or on what happens to be there (`min_file`, the merges, harvests before the end, `file`
//! without `wait`): the jobs of a run do not depend on the order in which its files came or on how
//! often the splitter was asked, because only what lies at or before the frontier is cut, in front
//! of which nothing can come any more. Without a frontier that is nothing until the input is
//! complete.

mod alca_harvest;
mod by_event;
mod by_file;
mod by_lumi;
mod by_size;
mod dqm_harvest;
mod estimates;
mod event_aware_file;
mod event_aware_lumi;
mod event_range;
mod express;
mod express_merge;
mod first_fit;
mod fixed_delay;
mod groups;
mod lumi_jobs;
mod merge_by_size;
mod min_file;
mod parentless_merge;
pub mod plugin;
mod repack;
mod repack_merge;
mod requests;
mod run;
mod selection;
mod sibling;
mod walk;

pub use alca_harvest::AlcaHarvest;
pub use by_event::Event;
pub use by_file::File;
pub use by_lumi::Lumi;
pub use by_size::Size;
pub use dqm_harvest::{DqmHarvest, HarvestUnit};
pub use event_aware_file::EventAwareFile;
pub use event_aware_lumi::EventAwareLumi;
pub use event_range::EventRange;
pub use express_merge::ExpressMerge;
pub use fixed_delay::FixedDelay;
use groups::{Groups, groups};
pub use lumi_jobs::Boundaries;
pub use merge_by_size::MergeBySize;
pub use min_file::MinFile;
pub use parentless_merge::ParentlessMerge;
pub use plugin::Plugin;
pub use repack::Repack;
pub use repack_merge::RepackMerge;
pub use run::Run;
pub use selection::{Lumis, Selection};
pub use sibling::Sibling;

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
    /// Events of one file at a time.
    Event(Event),
    /// Events that are still to be made.
    EventRange(EventRange),
    /// Whole lumis, as many as come to about so many events.
    EventAwareLumi(EventAwareLumi),
    /// Whole files, as many as come to at most so many events.
    EventAwareFile(EventAwareFile),
    /// So many lumis.
    Lumi(Lumi),
    /// So many files, in order; the rest when the input is complete.
    File(File),
    /// So many files of whatever is there; the rest when no more will come.
    MinFile(MinFile),
    /// About so many bytes.
    Size(Size),
    /// The files of a run, when the input is complete.
    Run(Run),
    /// Everything, a fixed time after the run ended.
    FixedDelay(FixedDelay),
    /// What all other tasks with the same input have worked on.
    Sibling(Sibling),
    /// Merging by size alone.
    MergeBySize(MergeBySize),
    /// Merging between a smallest and a largest size, in order.
    ParentlessMerge(ParentlessMerge),
    /// Closed lumis only, never across lumis, greedy by events.
    Express {
        /// Events a job.
        max_events: u64,
        /// A lumi with more events than this is set aside whole.
        max_input_rate: u64,
    },
    /// Whole lumis in order, up to so much a job.
    Repack(Repack),
    /// Whole lumis in order, until a job is large enough.
    RepackMerge(RepackMerge),
    /// Lumis that follow each other, once the first of them is old enough.
    ExpressMerge(ExpressMerge),
    /// One harvest of constants a run; a run with no input is decided without one.
    AlcaHarvest(AlcaHarvest),
    /// Merges and tests of histograms.
    DqmHarvest(DqmHarvest),
    /// As somebody's program says, when the input is complete.
    Plugin(Plugin),
    /// A unit of work a block, for requests.
    Block,
    /// One unit of work for everything, for requests.
    Dataset,
}

impl Splitter {
    /// The name of the plugin that is asked; empty where none is.
    pub fn plugin_name(&self) -> &str {
        match self {
            Self::Plugin(by) => &by.name,
            _ => "",
        }
    }

    /// The program that is asked, where one is.
    pub fn program(&self) -> Option<&Vec<String>> {
        match self {
            Self::Plugin(by) => Some(&by.program),
            _ => None,
        }
    }
}

/// What releases input that fills no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The end of the input.
    Closed,
    /// Its age.
    Age,
    /// Whichever comes first.
    Either,
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
    /// In order of (run, lumi, name); the run of an item is the first in it.
    pub items: &'a [Item],
    /// Which lumis of the input's stream are accounted for; none for input made by other tasks,
    /// whose lumis are whole when the task is.
    pub frontier: Option<&'a Frontier>,
    /// Lumis that were worked on already or are declared empty: nothing more comes for them, so
    /// they are no hole, and what lies in front of one is complete.
    pub passed: &'a Frontier,
    /// Lumis that were split over several jobs of the task before, not all of them done: not to be
    /// merged yet.
    pub split_active: &'a BTreeSet<LumiNumber>,
    /// When the run's end was known, if it is: what the time-outs of harvests are counted from.
    pub run_ended_at: Option<Moment>,
    /// What a job of the task costs: measured, or the task's declared defaults.
    pub cost: Cost,
    /// A moment that no input came before; none where nobody has looked.
    pub oldest: Option<Moment>,
    /// Where jobs may run; none for anywhere.
    pub allowed_sites: Option<&'a BTreeSet<String>>,
    /// The latest job of this task and run that only read the window, if there was one: an early or
    /// periodic harvest.
    pub harvested: Option<Harvested>,
    /// What the other tasks that read the same input have done with it; none if nobody asked.
    pub siblings: Option<Siblings<'a>>,
    /// The block of each input that has one; none if nobody asked.
    pub blocks: Option<&'a BTreeMap<InputId, BlockId>>,
    /// A person has said that the task goes on now with what is here: nothing waits for its age,
    /// for a hole in front of it, or for the rest of a split lumi.
    pub at_once: bool,
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
    /// The part of its input that it works on, if not all of it: events of one input, or lumis of
    /// all of its inputs together. Several jobs of one cut may share an input when their slices do
    /// not overlap; all slices of an input are cut at once.
    pub slice: Option<Slice>,
    /// What it will probably use; none where the splitter has no rule, so the task's needs hold.
    pub estimate: Option<Estimate>,
    /// Whether its output goes to the error dataset of its primary, out of the way of analyses.
    pub to_error_dataset: bool,
    /// Whether it only reads its inputs, which stay in the window for a later job: an early
    /// harvest.
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
    /// A plugin has not said which inputs go together.
    Plugin,
}

/// What a splitter decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Jobs to make, in order.
    pub jobs: Vec<CutJob>,
    /// Inputs that cannot be worked on, with the reason for people.
    pub quarantined: Vec<(usize, String)>,
    /// Inputs that no job shall work on, with the rule that says so: they leave the window without
    /// a job, and nothing is wrong.
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

    /// The first run in it; `window_run` where it does not say.
    fn first_run(&self, window_run: RunNumber) -> RunNumber {
        self.content.first().map_or(window_run, |(run, ..)| *run)
    }
}

/// No lumi.
static NO_LUMIS: BTreeSet<LumiNumber> = BTreeSet::new();

/// No lumi, as a frontier.
static NOTHING_PASSED: Frontier = Frontier::new();

impl<'a> Window<'a> {
    /// A window of which nothing is known but its input and which lumis are accounted for.
    pub fn new(run: RunNumber, items: &'a [Item], frontier: Option<&'a Frontier>) -> Self {
        Self {
            run,
            items,
            frontier,
            passed: &NOTHING_PASSED,
            split_active: &NO_LUMIS,
            run_ended_at: None,
            cost: Cost::default(),
            oldest: None,
            allowed_sites: None,
            harvested: None,
            siblings: None,
            blocks: None,
            at_once: false,
        }
    }
}

impl Window<'_> {
    /// Whether an item's lumis are accounted for: nothing more can come for any of them.
    fn is_whole(&self, item: &Item, closed: bool) -> bool {
        closed
            || self.frontier.is_some_and(|frontier| {
                item.end() <= frontier.reached()
                    || (item.lumi.0..=item.end()).all(|lumi| frontier.is_closed(LumiNumber(lumi)))
            })
    }

    /// How many items, from the front, stand in their final places.
    fn settled_end(&self, closed: bool) -> usize {
        let Some(frontier) = self.frontier.filter(|_| !closed) else {
            return if closed { self.items.len() } else { 0 };
        };
        let reached = frontier.reached();
        let end = self.items.partition_point(|item| item.lumi.0 <= reached);
        let mut settled = self.items[..end].iter();
        settled.position(|item| item.end() > reached).unwrap_or(end)
    }

    /// How many items, from the front, may be taken by who does not insist on the final order:
    /// those that stand in it, or all where nobody ever says so.
    fn available_end(&self, closed: bool) -> usize {
        match self.frontier {
            Some(_) => self.settled_end(closed),
            None => self.items.len(),
        }
    }

    /// Whether nothing more can come for a lumi.
    fn is_closed(&self, lumi: LumiNumber, closed: bool) -> bool {
        closed
            || self
                .frontier
                .is_some_and(|frontier| frontier.is_closed(lumi))
    }

    /// Behind this position nothing is closed. With a hole in front that is the end of the window:
    /// then every lumi in it is looked at, which are those in the making, because closed ones are
    /// cut when they close.
    fn end_of_closed(&self, closed: bool) -> usize {
        match self.frontier {
            _ if closed => self.items.len(),
            None => 0,
            Some(frontier) if frontier.hole().is_some() => self.items.len(),
            Some(frontier) => self
                .items
                .partition_point(|item| item.lumi.0 <= frontier.reached()),
        }
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
/// `closed` says that no more input will ever come to this window. `now` is the moment of the
/// question, for splitters that wait a time; such a cut says when it wants to be asked again.
pub fn split(splitter: &Splitter, window: &Window<'_>, closed: bool, now: Moment) -> Cut {
    let order = |item: &Item| (item.first_run(window.run), item.lumi);
    debug_assert!(
        window
            .items
            .is_sorted_by(|a, b| (order(a), &a.name) <= (order(b), &b.name)),
        "a window is in order of (run, lumi, name)"
    );
    match splitter {
        Splitter::Event(by) => by_event::split(*by, window),
        Splitter::EventRange(by) => event_range::split(*by, window),
        Splitter::EventAwareLumi(by) => event_aware_lumi::split(by, window, closed),
        Splitter::EventAwareFile(by) => event_aware_file::split(*by, window, closed),
        Splitter::Lumi(by) => by_lumi::split(by, window, closed),
        Splitter::File(by) => by_file::split(by, window, closed),
        Splitter::MinFile(by) => min_file::split(*by, window, closed),
        Splitter::Size(by) => by_size::split(*by, window, closed),
        Splitter::Run(by) => run::split(*by, window, closed),
        Splitter::FixedDelay(by) => fixed_delay::split(*by, window, now),
        Splitter::Sibling(by) => sibling::split(*by, window, closed),
        Splitter::MergeBySize(by) => merge_by_size::split(*by, window, closed),
        Splitter::Repack(by) => repack::split(by, window, closed, now),
        Splitter::RepackMerge(by) => repack_merge::split(by, window, closed, now),
        Splitter::ExpressMerge(by) => express_merge::split(by, window, closed, now),
        Splitter::ParentlessMerge(by) => parentless_merge::split(*by, window, closed, now),
        Splitter::Express {
            max_events,
            max_input_rate,
        } => express::split(*max_events, *max_input_rate, window, closed),
        Splitter::AlcaHarvest(by) => alca_harvest::split(*by, window, closed, now),
        Splitter::DqmHarvest(by) => dqm_harvest::split(by, window, closed, now),
        // Whoever keeps the window asks the plugin; without its answer nothing is cut.
        Splitter::Plugin(_) => Cut::default(),
        Splitter::Block => requests::blocks(window, closed),
        Splitter::Dataset => requests::dataset(window, closed),
    }
}

/// What a job with so many events will probably use.
fn estimate(cost: &Cost, events: u64) -> Estimate {
    Estimate {
        wall: times(cost.time_per_event, events),
        disk: Bytes(cost.bytes_per_event.0.saturating_mul(events)),
        memory: cost.memory,
        cores: 1,
    }
}

/// What merging these inputs will probably use: 300 s to begin with, and reading, two checksums and
/// writing at 5 MB/s each; room for the output and the largest input.
fn merge_estimate(window: &Window<'_>, items: &[usize]) -> Estimate {
    const START: Span = Span::from_secs(300);
    const PASSES: u64 = 4;
    const A_BYTE: Span = Span(200);
    let sizes = || items.iter().map(|at| window.items[*at].bytes.0);
    let bytes = sizes().fold(0, u64::saturating_add);
    Estimate {
        wall: START + times(A_BYTE, bytes.saturating_mul(PASSES)),
        disk: Bytes(bytes.saturating_add(sizes().max().unwrap_or(0))),
        memory: window.cost.memory,
        cores: 1,
    }
}

/// A span so many times.
fn times(span: Span, factor: u64) -> Span {
    Span(
        span.0
            .saturating_mul(i64::try_from(factor).unwrap_or(i64::MAX)),
    )
}

/// The first moment behind this one: waits end when their time has passed, not when it is reached.
fn just_after(moment: Moment) -> Moment {
    Moment(moment.0.saturating_add(1))
}

/// How long a job of a task will probably run, until there is measured history.
pub const DEFAULT_PREDICTED_RUN: Span = Span::from_millis(500);

#[cfg(test)]
mod tests;
