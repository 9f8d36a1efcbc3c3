//! The store as its one writer sees it: batches of facts under one fence, and the rows a restart
//! needs.

use model::arrival::Arrival;
use model::fact::Fact;
use model::ids::{Epoch, RunNumber};
use model::time::Moment;

pub use model::recall::Recalled;
pub use model::rows::Rows;

/// One transaction: all facts of a batch, or none (D1, D2).
#[derive(Clone, Debug)]
pub struct Batch {
    /// One more than the last batch of this agent.
    pub number: i64,
    /// The id that the engine will give next.
    pub next_id: i64,
    /// The largest moment the engine was told; no restart may begin before it (D20).
    pub moment: Moment,
    /// New whole values; of several values of one object only the last need be written.
    pub facts: Vec<Fact>,
}

/// What an agent knows once its epoch is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The epoch that now holds.
    pub epoch: Epoch,
    /// The last batch committed under any epoch.
    pub last_batch: i64,
    /// The id to give next; none if this agent has never run.
    pub next_id: Option<i64>,
    /// The largest moment on record.
    pub moment: Moment,
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else holds it for a moment; nothing was written.
    #[error("{tried}: the store is busy ({detail}); the same batch is tried again")]
    Busy {
        /// What was tried.
        tried: String,
        /// What the store said.
        detail: String,
    },
    /// The server of the store does not answer, or went away in the middle: whether the batch was
    /// written is told by the next try.
    #[error(
        "{tried}: the database does not answer ({detail}); see that it runs and can be reached"
    )]
    Away {
        /// What was tried.
        tried: String,
        /// What the driver said.
        detail: String,
    },
    /// No space left; nothing was written.
    #[error("{tried}: no space left for the store ({detail}); free some, work goes on by itself")]
    Full {
        /// What was tried.
        tried: String,
        /// What the store said.
        detail: String,
    },
    /// Another instance raised the epoch: this one must drop what it holds.
    #[error("{tried}: epoch {ours} was replaced by {theirs}; another instance took over")]
    Fenced {
        /// What was tried.
        tried: String,
        /// The epoch of the caller.
        ours: Epoch,
        /// The epoch on record.
        theirs: Epoch,
    },
    /// A write was refused and nothing of it counts. Whoever knows the disk can tell whether
    /// waiting mends that (a quota, a mount that became read-only) or not.
    #[error(
        "{tried}: the store cannot be written ({detail}); stopping, check its disk, owner, \
             permissions and mount before a restart"
    )]
    Unwritten {
        /// What was tried.
        tried: String,
        /// What the store said.
        detail: String,
    },
    /// The storage under it can no longer be trusted: end the process with exit code 74 and recover
    /// (P10).
    #[error(
        "{tried}: the disk under the store failed ({detail}); stopping, check it before a restart"
    )]
    Suspect {
        /// What was tried.
        tried: String,
        /// What the store said.
        detail: String,
    },
    /// A row cannot be what it says it is.
    #[error("{tried}: {detail}; restore the store from a backup or ask for help with this message")]
    Corrupt {
        /// What was tried.
        tried: String,
        /// Which row, and what is wrong.
        detail: String,
    },
    /// Another process works with the state folder: nothing was touched.
    #[error("{tried}: {detail}")]
    Held {
        /// What was tried.
        tried: String,
        /// Who holds it, and what to do.
        detail: String,
    },
    /// Anything else.
    #[error("{tried}: {detail}")]
    Other {
        /// What was tried.
        tried: String,
        /// What the store said.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same batch, unchanged, shall be tried again.
    pub fn retry(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. } | Self::Away { .. } | Self::Full { .. }
        )
    }
}

/// The writing end: one per agent, behind one fence.
pub trait Ledger: Send {
    /// Raises this agent's epoch durably. Once it has returned, no batch of an older epoch can be
    /// committed.
    fn raise_epoch(&mut self) -> Result<Standing, StoreError>;

    /// Commits a batch durably, or nothing of it. A batch that was committed before (result unknown
    /// to the caller) returns `Ok` without writing again.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Moves rows of a run that is on its way to the history, at most so many, in a transaction of
    /// its own (D12). Doing it again moves what is left.
    fn archive(&mut self, run: RunNumber, rows_max: usize) -> Result<Moved, StoreError>;

    /// Reads what a restart needs: the rows of runs that are not history.
    fn restore(&mut self) -> Result<Rows, StoreError>;
}

/// What one slice of a run's rows came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Rows that are history now.
    pub rows: u64,
    /// Whether none of the run's is left.
    pub is_all: bool,
}

/// Whether files of runs that are history are known. Calls block; they may come from any thread.
pub trait Recall: Send + Sync {
    /// What is known of each file, at the cost of an indexed look-up. Of a run that has no row
    /// there is no answer.
    fn recall(&self, seen: Vec<Arrival>) -> Result<Vec<Recalled>, StoreError>;
}
