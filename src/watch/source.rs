//! What both ways of watching look like to the line: wait, then say what happened where.

use crate::known::FolderId;
use crate::sight::Witness;
use model::time::Span;
use rustix::fd::OwnedFd;
use std::sync::Arc;

/// What happened in a watched folder. The name is as the file system has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// To a name that is no folder.
    Entry {
        folder: FolderId,
        name: Box<[u8]>,
        witness: Witness,
    },
    /// A folder came to be below another.
    FolderMade { parent: FolderId, name: Box<[u8]> },
    /// A folder is no longer.
    FolderGone(FolderId),
    /// Something in a folder, nobody says what.
    FolderChanged(FolderId),
    /// Some happenings were not told: everything must be looked at.
    Overflow,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Something happened, or the time is over.
    Look,
    /// The watcher is to end.
    Stop,
}

/// A way of watching.
pub(crate) trait Source: Send {
    /// Begins to tell of changes in a folder; `false` if it cannot (then scans see them).
    fn add_folder(&mut self, folder: FolderId, path: &[u8]) -> bool;

    /// Tells no more of that folder.
    fn remove_folder(&mut self, folder: FolderId);

    /// Waits until something happens or `span` is over, and appends it to `out`.
    fn wait(&mut self, span: Span, out: &mut Vec<Happening>) -> Woken;
}

/// Ends a source's wait for good, from another thread.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// The event counter beside the kernel's queue.
    Counter(Arc<OwnedFd>),
    /// The poller's urgent lane.
    Lane(lanes::Sender<crate::poll::Polled, lanes::Refuse>),
}

impl Stop {
    /// Asks the watcher to end; asking twice is as good as once.
    pub(crate) fn ask(&self) {
        match self {
            // Fails only when the counter is full, and then it has been asked for long ago.
            Self::Counter(counter) => {
                let _ = rustix::io::write(counter, &1_u64.to_ne_bytes());
            }
            // Full: asked already. Closed: ended already.
            Self::Lane(lane) => drop(lane.offer(crate::poll::Polled::Stop)),
        }
    }
}
