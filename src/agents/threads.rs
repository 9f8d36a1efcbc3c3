//! The threads of an agent: each has a name, and somebody hears of it when one of them panics. In
//! comes what a thread does, out comes the handle that its owner joins.

use crate::ending::AgentError;
use crate::message::Message;
use lanes::{Refuse, Sender, Wait};
use std::thread::JoinHandle;

/// Work that may wait in a performer's lane; what does not fit waits in the loop, which tries again
/// every millisecond. Room is taken in advance: 0.3 MB for so many attempts.
pub(crate) const WORK_LANE: usize = 1_024;

/// The lane of a performer, and what joins its thread.
pub(crate) type Performer<T> = (Sender<T, Refuse>, JoinHandle<()>);

pub(crate) fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, AgentError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|source| AgentError::Thread { name, source })
}

/// Starts a performer's thread; the engine hears of it if the thread panics, because nothing that
/// is given to it would be done any more.
pub(crate) fn performer(
    name: &'static str,
    engine: &Sender<Message, Wait>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, AgentError> {
    let engine = engine.clone();
    spawn(name, move || {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err() {
            // A closed lane means that the engine has ended already.
            let _ = engine.send(Message::PerformerLost(name));
        }
    })
}
