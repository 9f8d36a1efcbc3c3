//! What a state machine says when asked for a step that its table does not have.

use std::fmt;

/// An illegal step: a value naming the state and the event, never a panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{machine} in state {from} cannot take {event}")]
pub struct IllegalStep {
    /// Which machine, e.g. `job`.
    pub machine: &'static str,
    /// The state it was in.
    pub from: String,
    /// The event that was offered.
    pub event: String,
}

impl IllegalStep {
    /// Names the pair.
    pub fn new(machine: &'static str, from: &impl fmt::Debug, event: &impl fmt::Debug) -> Self {
        Self {
            machine,
            from: format!("{from:?}"),
            event: format!("{event:?}"),
        }
    }
}
