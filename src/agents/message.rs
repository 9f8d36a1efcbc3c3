//! What travels to the engine's thread: one type for all lanes, so that it has one place to wait.

use engine::Input;
use model::wait::{Object, Why};
use ports::store::StoreError;

/// Everything that can come through the engine's lanes.
#[derive(Debug)]
pub enum Message {
    /// Something for the engine.
    Input(Input),
    /// The writer has committed this batch.
    Durable(i64),
    /// Every file of a bunch was looked up in the history.
    LookedUp,
    /// The store refuses for good: fenced, suspect or corrupt.
    StoreLost(StoreError),
    /// Somebody wants to know what waits, and for what.
    AskWaits(std::sync::mpsc::SyncSender<Vec<model::wait::Wait>>),
    /// Somebody wants to know why an object stands as it stands.
    AskWhy(Object, std::sync::mpsc::SyncSender<Option<Why>>),
    /// Somebody wants to know what every task's release says.
    AskGates(std::sync::mpsc::SyncSender<Vec<model::ruling::GateState>>),
    /// A performer's thread panicked.
    PerformerLost(&'static str),
    /// Stop, after what is decided is recorded.
    Stop,
}
