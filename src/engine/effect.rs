//! Everything the engine can ask of the world. Each carries stable ids, so doing it twice is
//! harmless.

use model::arrival::Arrival;
use model::command::Reply;
use model::fact::Fact;
use model::ids::{FileId, RunNumber, Token};
use model::job::Stamps;
use model::names::TaskPath;
use model::plugin::SplitQuestion;
use model::source::{CopyOrder, UnlinkOrder};
use model::time::{Moment, Span};
use model::work::{AttemptPlan, AttemptSpec, CommitPlan, Location};
use std::sync::Arc;

/// One thing to do. Unless said otherwise it waits until the facts of its batch are durable (D1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this down, with the other facts of the batch, all or nothing.
    Record(Fact),
    /// Start an attempt. With `plan.early` it need not wait for the batch (D3).
    Start(AttemptSpec),
    /// End an attempt with everything it started.
    Cancel(Token),
    /// Put outputs in place. Need not wait: the names are unique, and only a row makes them visible
    /// (D9).
    Store(CommitPlan),
    /// Read a file back: its size and adler32 as they are. Need not wait: it changes nothing. A
    /// copy of a source is answered with [`crate::Input::Source`].
    ReadBack(FileId, Location),
    /// Ask a plugin which inputs go together. Need not wait: it changes nothing. Answered with
    /// [`crate::Input::Split`].
    AskSplitter(SplitQuestion),
    /// Copy a source.
    CopySource(CopyOrder),
    /// Remove a source, and its sidecar with it. That it is released is durable by then.
    Unlink(UnlinkOrder),
    /// Ask the executor for everything that it has. Named by when it was asked for, because what is
    /// sent later need not be in it. Waits as a start does, so that it comes after those before it.
    List(Moment),
    /// Move the next slice of a run's rows to the history.
    Archive(RunNumber),
    /// Look up what is known of a file whose run is history. One at a time for each name, so that
    /// what is kept of one sighting is there for the next.
    Recall(Arrival),
    /// A run has begun: start so many workers of this task ahead.
    Prepare(Arc<AttemptPlan>, u32),
    /// No run is open any more: nothing needs to be kept ready.
    Release,
    /// A job has passed all its hops.
    Observe(Observation),
    /// The answer to a command.
    Reply {
        /// To whom.
        ticket: u64,
        /// What.
        reply: Reply,
    },
    /// The good-run list as it is now, whole: replaces the file that people read.
    GoodRuns(String),
}

/// What a finished job tells the meters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The run.
    pub run: RunNumber,
    /// The task.
    pub task: TaskPath,
    /// When it passed each hop.
    pub stamps: Stamps,
    /// The budget from seen to published, if its pipeline declares one.
    pub budget: Option<Span>,
}
