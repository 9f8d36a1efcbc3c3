//! The writer: commits one batch after the other. A batch that cannot be written now is tried again
//! unchanged; nothing of it is released meanwhile. What cannot be mended by waiting ends the agent.
//!
//! A full disk is told at once and given the room that was kept back for this moment, so that what
//! is under way can be recorded; a store that others hold, or that does not answer, is told after a
//! while.

use crate::message::Message;
use crate::surroundings::Surroundings;
use engine::Input;
use lanes::{Receiver, Sender, Wait};
use model::alarm::Severity;
use model::ids::RunNumber;
use model::trouble::{DiskRole, Hindrance, Trouble};
use ports::disk::Disk;
use ports::failpoint::{Point, pass};
use ports::store::{Batch, Ledger, Moved, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The pause after a busy or full store: grows from the first to the last.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A store that is busy for so long is somebody's business.
const BUSY_ALARM_AFTER: Duration = Duration::from_secs(5);
/// How soon a disk that was full is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Its name among those who have troubles.
const WHO: &str = "writer";

/// Rows of a slice at most (D12 allows 5,000): a batch that comes meanwhile waits for about as long
/// as a flush of the disk takes.
const SLICE_ROWS: usize = 1_000;

/// What the writer is given.
pub(crate) enum Writing {
    /// A batch to commit.
    Batch(Batch),
    /// A run of whose rows the next slice is to be moved to the history.
    Slice(RunNumber),
}

/// What the writer works with.
pub(crate) struct Writer {
    pub(crate) ledger: Box<dyn Ledger>,
    pub(crate) engine: Sender<Message, Wait>,
    pub(crate) stalled: Arc<AtomicBool>,
    pub(crate) surroundings: Surroundings,
    pub(crate) disk: (DiskRole, Arc<dyn Disk>),
    /// The disk was full, and the room kept back is not there again.
    pub(crate) was_full: bool,
}

impl Writer {
    /// Commits what comes until the lane closes or the store refuses for good.
    pub(crate) fn run(mut self, mut work: Receiver<Writing>) {
        if self.disk.1.look().is_err() || !self.disk.1.take_reserve() {
            self.full("starting");
        }
        loop {
            let deadline = self.was_full.then(|| Instant::now() + LOOK_AGAIN);
            let done = match work.recv(deadline) {
                Ok(Some(Writing::Batch(batch))) => {
                    pass(Point::BatchTaken);
                    let done = self.persist(|ledger| ledger.commit(&batch));
                    done.map(|done| done.map(|()| Message::Durable(batch.number)))
                }
                Ok(Some(Writing::Slice(run))) => {
                    pass(Point::SliceTaken);
                    let moved = self.persist(|ledger| ledger.archive(run, SLICE_ROWS));
                    moved.map(|moved| {
                        moved.map(|Moved { is_all, .. }| {
                            Message::Input(Input::Archived { run, is_all })
                        })
                    })
                }
                Ok(None) => {
                    self.look_again();
                    continue;
                }
                Err(_) => return,
            };
            let message = match done {
                None => return,
                Some(Ok(message)) => message,
                Some(Err(error)) => Message::StoreLost(error),
            };
            let over = matches!(message, Message::StoreLost(_));
            let told = match message {
                Message::Input(_) => Point::SliceTold,
                _ => Point::DurableTold,
            };
            if self.engine.send(message).is_err() || over {
                return;
            }
            pass(told);
            self.look_again();
        }
    }

    /// Makes something durable, however long that takes; none if the agent ends before.
    fn persist<T>(
        &mut self,
        mut attempt: impl FnMut(&mut dyn Ledger) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let (mut pause, began) = (PAUSE_MIN, Instant::now());
        loop {
            match attempt(&mut *self.ledger) {
                Ok(done) => {
                    // Written here, read by the engine's thread before an early start and by status
                    // questions; it carries no other data, so no ordering is needed.
                    self.stalled.store(false, Ordering::Relaxed);
                    self.surroundings.over(WHO, BUSY);
                    self.surroundings.over(WHO, AWAY);
                    return Some(Ok(done));
                }
                Err(error) if error.retry() || self.waits_for_disk(&error) => {
                    self.stalled.store(true, Ordering::Relaxed);
                    match error {
                        StoreError::Full { .. } | StoreError::Unwritten { .. } => {
                            self.full(&error.to_string());
                        }
                        _ if began.elapsed() < BUSY_ALARM_AFTER => {}
                        _ => self.surroundings.raise(WHO, held_up(&error)),
                    }
                    if self.surroundings.is_ending() {
                        return None;
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Whether the disk itself says why a write was refused, so that waiting may mend it.
    fn waits_for_disk(&self, error: &StoreError) -> bool {
        matches!(error, StoreError::Unwritten { .. }) && self.disk.1.look().is_err()
    }

    fn full(&mut self, tried: &str) {
        let hindered = self.disk.1.look().err();
        self.disk.1.release_reserve();
        self.was_full = true;
        let hindrance = hindered.map_or(Hindrance::Full, |hindered| hindered.hindrance);
        self.surroundings
            .hindered(WHO, &self.disk, hindrance, tried);
    }

    /// Ends the trouble with the disk once there is room again, and some can be kept back.
    fn look_again(&mut self) {
        if self.was_full && self.disk.1.look().is_ok() && self.disk.1.take_reserve() {
            self.was_full = false;
            self.surroundings.over(WHO, &self.disk.0.key());
        }
    }
}

const BUSY: &str = "store/busy";
const AWAY: &str = "store/away";

/// The alarm about a store that has not answered for a while.
fn held_up(error: &StoreError) -> Trouble {
    let away = matches!(error, StoreError::Away { .. });
    let next = if away {
        "See that the server runs and can be reached"
    } else {
        "Find out which program has the database open (`fuser -v` on its file, the server's list of \
         connections) and end what it does: a backup, somebody's shell"
    };
    Trouble {
        key: if away { AWAY } else { BUSY }.to_owned(),
        severity: Severity::High,
        text: format!(
            "Nothing could be recorded for {} s: {error}. Files are still taken in as long as \
             there is room for them in memory, nothing that rests on a record is done \
             meanwhile, and work goes on by itself. {next}.",
            BUSY_ALARM_AFTER.as_secs()
        ),
    }
}
