//! Everything that can happen to the engine. A reviewer reads this file and `effect.rs` to know all
//! of its dealings.

use crate::setup::Configuration;
use model::arrival::Seen;
use model::command::Order;
use model::ids::{FileId, JobId, RunNumber, Token};
use model::names::FileName;
use model::plugin::SplitKey;
use model::recall::Recalled;
use model::source::SourceNews;
use model::time::Moment;
use model::trouble::Trouble;
use model::units::Bytes;
use model::work::{AttemptNews, CommitFailure, StoredOutput};
use serde::{Deserialize, Serialize};

/// One thing that has happened. Written down only in the optional journal of an agent (D5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A watcher saw something.
    Seen(Seen),
    /// An executor says something of an attempt. Told only once the attempt's own record is durable
    /// (D3).
    News {
        /// Which attempt.
        token: Token,
        /// What.
        news: AttemptNews,
    },
    /// The storage has put the outputs of an attempt in place, or could not.
    Stored {
        /// Which attempt.
        token: Token,
        /// The outputs in the order of the plan.
        result: Result<Vec<StoredOutput>, CommitFailure>,
    },
    /// A file was read back.
    ReadBack {
        /// Which.
        file: FileId,
        /// Its size and adler32 as they are, or why they cannot be known now.
        result: Result<(Bytes, u32), String>,
    },
    /// What came of an order about a source or a copy of it.
    Source {
        /// Which file.
        file: FileId,
        /// What.
        news: SourceNews,
    },
    /// A plugin has said which inputs of a task go together.
    Split {
        /// To which question.
        key: SplitKey,
        /// Places of inputs in the question; or what the plugin did instead, which reads on from
        /// its name.
        groups: Result<Vec<Vec<u32>>, String>,
    },
    /// The executor was asked for everything that it has.
    Listed {
        /// When it was asked for, as [`crate::Effect::List`] says.
        asked_at: Moment,
        /// The attempts that wait or run there; none if it cannot say.
        tokens: Option<Vec<Token>>,
    },
    /// A slice of the rows of a run on its way to the history was moved.
    Archived {
        /// Which run.
        run: RunNumber,
        /// Whether none of its rows was left.
        is_all: bool,
    },
    /// The store has said what it knows of a file of a run that is history. Boxed, because it is
    /// large and rare beside the others.
    Recalled(Box<Recalled>),
    /// After a restart: these jobs' attempts ended with the older epoch.
    AttemptsLost(Vec<JobId>),
    /// Somebody asked for the configuration to be read again. What is linked cannot be written: the
    /// journal writes the text that it was read from.
    #[serde(skip)]
    Reconfigured {
        /// Whom to answer.
        ticket: u64,
        /// Who asked, and why.
        order: Order,
        /// What new runs get, or every mistake because of which it is not taken. Boxed, because it
        /// is large and rare beside the others.
        configuration: Result<Box<Configuration>, String>,
    },
    /// Somebody asks.
    Asked {
        /// To whom the answer goes.
        ticket: u64,
        /// What is asked, and by whom.
        order: Order,
    },
    /// Something about the instance's own surroundings is wrong.
    Trouble(Trouble),
    /// The trouble of that key is over.
    TroubleOver(String),
    /// The batch of inputs is complete, or a moment of [`crate::Engine::next_wakeup`] has come:
    /// cut, place, conclude.
    Tick,
}

/// The final name of an output of an attempt: never used again, because it holds run, job and
/// attempt.
pub(crate) fn final_name(
    dataset: &str,
    run: model::ids::RunNumber,
    token: Token,
    label: &str,
    extension: &str,
) -> FileName {
    let (job, attempt) = (token.job, token.attempt);
    let folder = dataset.trim_start_matches('/');
    FileName::new(&format!(
        "{folder}/{run}/{label}-{job}-{attempt}.{extension}"
    ))
}
