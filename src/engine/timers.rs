//! What shall happen by itself: one ordered set, from which the next wake-up is read.

use model::ids::{BlockId, FileId, JobId, RunNumber};
use model::time::Moment;
use std::collections::BTreeSet;

/// Something to look at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A job's pause after a failure is over.
    Backoff(JobId),
    /// A splitter asked to be called again, or a release rule's wait is over: the task at this
    /// position of the list.
    Look(RunNumber, usize),
    /// Something of a run may be overdue.
    Overdue(RunNumber),
    /// A finished run may have soaked.
    Archive(RunNumber),
    /// A file that could not be read back may be readable now.
    ReadBack(FileId),
    /// A block has been open for as long as a block may be.
    BlockAge(BlockId),
}

/// All timers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Moment, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Moment, timer: Timer) {
        self.due.insert((at, timer));
    }

    /// Forgets one; says whether it was set.
    pub(crate) fn cancel(&mut self, at: Moment, timer: Timer) -> bool {
        self.due.remove(&(at, timer))
    }

    pub(crate) fn next(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes one that is due.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<Timer> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        self.due.pop_first().map(|(_, timer)| timer)
    }
}
