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
    /// A source's pause or soak is over.
    Source(FileId),
    /// An action on the verdict of a run is over.
    Verdict(RunNumber),
    /// More sources of a run may be released than one step takes.
    Release(RunNumber),
    /// The executor is to be asked what it has, or more of what is lost is to be given up.
    Reconcile,
    /// Somebody looks whether anything stands still for no reason.
    Stuck,
    /// A block has been open for as long as a block may be.
    BlockAge(BlockId),
}

/// All timers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Moment, Timer)>,
    /// The same, by what they are for.
    by_kind: BTreeSet<(Timer, Moment)>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Moment, timer: Timer) {
        self.due.insert((at, timer));
        self.by_kind.insert((timer, at));
    }

    /// Forgets one; says whether it was set.
    pub(crate) fn cancel(&mut self, at: Moment, timer: Timer) -> bool {
        self.by_kind.remove(&(timer, at));
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
        let (at, timer) = self.due.pop_first()?;
        self.by_kind.remove(&(timer, at));
        Some(timer)
    }

    /// Whether one is set for that moment.
    pub(crate) fn is_set(&self, at: Moment, timer: Timer) -> bool {
        self.due.contains(&(at, timer))
    }

    /// When one of this kind comes next.
    pub(crate) fn first(&self, timer: Timer) -> Option<Moment> {
        let of_kind = self.by_kind.range((timer, Moment(i64::MIN))..);
        let mut of_kind = of_kind.take_while(|(of, _)| *of == timer);
        of_kind.next().map(|(_, at)| *at)
    }
}
