//! The writer: commits one batch after the other. A batch that cannot be written now is tried again
//! unchanged; nothing of it is released meanwhile. What cannot be mended by waiting ends the agent.

use crate::message::Message;
use lanes::{Receiver, Sender, Wait};
use ports::failpoint::{Point, pass};
use ports::store::{Batch, Ledger, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The pause after a busy or full store: grows from the first to the last.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Commits what comes until the lane closes or the store refuses for good.
pub(crate) fn run(
    mut ledger: Box<dyn Ledger>,
    mut batches: Receiver<Batch>,
    engine: &Sender<Message, Wait>,
    stalled: &Arc<AtomicBool>,
) {
    while let Ok(Some(batch)) = batches.recv(None) {
        pass(Point::BatchTaken);
        let message = match commit(ledger.as_mut(), &batch, stalled) {
            Ok(()) => Message::Durable(batch.number),
            Err(error) => Message::StoreLost(error),
        };
        let over = matches!(message, Message::StoreLost(_));
        if engine.send(message).is_err() || over {
            return;
        }
        pass(Point::DurableTold);
    }
}

fn commit(
    ledger: &mut dyn Ledger,
    batch: &Batch,
    stalled: &Arc<AtomicBool>,
) -> Result<(), StoreError> {
    let mut pause = PAUSE_MIN;
    loop {
        match ledger.commit(batch) {
            Ok(()) => {
                // Written here, read by the engine's thread before an early start and by status
                // questions; it carries no other data, so no ordering is needed.
                stalled.store(false, Ordering::Relaxed);
                return Ok(());
            }
            Err(error) if error.retry() => {
                stalled.store(true, Ordering::Relaxed);
                std::thread::sleep(pause);
                pause = (pause * 2).min(PAUSE_MAX);
            }
            Err(error) => return Err(error),
        }
    }
}
