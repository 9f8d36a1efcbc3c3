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
use model::ids::{LumiNumber, RunNumber};
use model::job::InputId;
use model::names::FileName;
use model::time::{Moment, Span};
use model::units::{Bytes, Events};

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
}

/// A job to make: positions in the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutJob {
    /// Positions of its inputs, ascending.
    pub items: Vec<usize>,
}

/// What a splitter decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Jobs to make, in order.
    pub jobs: Vec<CutJob>,
    /// Inputs that cannot be worked on, with the reason for people.
    pub quarantined: Vec<(usize, String)>,
    /// When to be asked again even if nothing comes.
    pub wake: Option<Moment>,
}

impl Item {
    /// Its last lumi, never before its first.
    fn end(&self) -> u32 {
        self.last_lumi.max(self.lumi).0
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
