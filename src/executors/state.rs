//! What the executor knows of its attempts and workers, and the one lock around it.
//!
//! In: what was submitted, started, ended. Out: the same, asked for. The lock is never held while
//! anything is written to a socket or told to the sink, so that no peer that is slow can stop
//! another.

use crate::judge::Cause;
use model::ids::{LumiNumber, Token};
use model::resource::Needs;
use model::time::Moment;
use model::units::Bytes;
use model::work::{AttemptPlan, AttemptReport};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Everything that changes.
#[derive(Default)]
pub(crate) struct State {
    /// Every attempt that has not been told as ended.
    pub(crate) places: HashMap<Token, Place>,
    /// Programs that run for one attempt.
    pub(crate) processes: HashMap<u64, Process>,
    /// Workers, busy or not.
    pub(crate) workers: BTreeMap<u64, Worker>,
    /// What workers of one kind are to do.
    pub(crate) pools: HashMap<PoolKey, Pool>,
    /// Folders of attempts that are over and whose outputs may still lie in them, and whether
    /// another attempt may have the folder.
    pub(crate) left: HashMap<Token, (PathBuf, bool)>,
    /// How attempts have ended that are not forgotten, and when that was told: should nobody have
    /// heard it, it is said again.
    pub(crate) told: BTreeMap<Token, (Moment, AttemptReport)>,
    /// From how many of the spawner's lists in a row a program was absent that should be there.
    pub(crate) absences: BTreeMap<u64, u32>,
    /// The keeper sleeps until something runs.
    pub(crate) keeper_sleeps: bool,
    /// The key that the next program gets.
    pub(crate) next_key: u64,
}

impl State {
    /// Whether there is nothing to keep an eye on.
    pub(crate) fn is_still(&self) -> bool {
        self.processes.is_empty() && self.workers.is_empty()
    }

    pub(crate) fn take_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a process of its own.
    Process(u64),
    /// With a worker.
    Worker(u64),
    /// Waiting for a worker.
    Queue,
}

/// An attempt in a process of its own.
pub(crate) struct Process {
    pub(crate) token: Token,
    pub(crate) plan: Arc<AttemptPlan>,
    pub(crate) needs: Needs,
    pub(crate) lumis: Vec<(LumiNumber, LumiNumber)>,
    pub(crate) folder: PathBuf,
    pub(crate) sent_at: Moment,
    pub(crate) started_at: Option<Moment>,
    /// Its start was told.
    pub(crate) told: bool,
    pub(crate) ending: Option<Ending>,
}

/// We are ending something.
#[derive(Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) cause: Cause,
    pub(crate) since: Moment,
    /// It was asked; now it was killed.
    pub(crate) killed: bool,
}

/// Workers are interchangeable when program and parameters are the same (D17), and the memory that
/// they were started with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PoolKey {
    pub(crate) program: Vec<String>,
    pub(crate) parameters: BTreeMap<String, String>,
    /// A worker's limit is set when it starts: an attempt that gets more memory needs another one.
    pub(crate) memory: Bytes,
}

impl PoolKey {
    pub(crate) fn of(plan: &AttemptPlan, needs: &Needs) -> Self {
        Self {
            program: plan.program.clone(),
            parameters: plan.parameters.clone(),
            memory: needs.memory,
        }
    }
}

/// Workers of one kind.
#[derive(Default)]
pub(crate) struct Pool {
    /// Free workers; the one that was busy last is taken first.
    pub(crate) idle: Vec<u64>,
    /// How many there are, busy ones included.
    pub(crate) workers: u32,
    /// Attempts that wait for one.
    pub(crate) waiting: VecDeque<Task>,
}

/// An attempt for a worker.
pub(crate) struct Task {
    pub(crate) token: Token,
    pub(crate) plan: Arc<AttemptPlan>,
    pub(crate) needs: Needs,
    pub(crate) lumis: Vec<(LumiNumber, LumiNumber)>,
    /// Its own folder; none where its task has no outputs.
    pub(crate) folder: Option<PathBuf>,
    /// The line that is sent.
    pub(crate) line: Arc<[u8]>,
    pub(crate) sent_at: Moment,
    /// Its start was told.
    pub(crate) told: bool,
    pub(crate) ending: Option<Ending>,
}

/// A program that takes one attempt after the other.
pub(crate) struct Worker {
    pub(crate) pool: PoolKey,
    pub(crate) plan: Arc<AttemptPlan>,
    pub(crate) folder: PathBuf,
    /// Where lines are written; a lock of its own, because writing may take time.
    pub(crate) lines: Arc<Mutex<UnixStream>>,
    pub(crate) task: Option<Task>,
    /// It has said hello.
    pub(crate) greeted: bool,
    /// Attempts it has done.
    pub(crate) done: u32,
    /// Since when it is in its present state.
    pub(crate) since: Moment,
    /// It was told to quit, or is being ended.
    pub(crate) leaving: bool,
    /// It was killed by us; why, for people.
    pub(crate) killed: Option<Blame>,
    /// Its end of the socket is closed.
    pub(crate) silent: bool,
    /// Its process is gone.
    pub(crate) gone: Option<Gone>,
}

/// Why we killed a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// As with any attempt.
    Cause(Cause),
    /// It does not keep to the protocol.
    Protocol(String),
}

/// How a worker's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Seen by the spawner.
    Ended(crate::wire::End),
    /// It never ran.
    NotStarted(model::job::ExitClass, String),
    /// It went with the spawner.
    Lost,
}
