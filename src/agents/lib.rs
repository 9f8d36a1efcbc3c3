//! The drivers: the only room where waiting happens on behalf of the engine.
//!
//! An agent is one engine on a thread of its own, and around it the threads that do what it says:
//! the writer commits batches of facts, the performers start programs and put outputs in place.
//! Everything meets in lanes; the engine's thread takes what has happened, steps, hands over, and
//! never waits for anything but its lanes.
//!
//! The order is decide, record, act: a batch's effects are released when its facts are durable,
//! while the next batch is already being stepped (D1). The exceptions are early start (D3) and
//! putting outputs under their final, unique names (D9); neither makes anything visible.

pub mod message;
pub mod clock;
pub mod commands;
mod hands;
pub mod journal;
mod batch;
mod observing;
mod writer;
mod watchdog;
pub mod surroundings;
mod perform;
mod past;
mod sourcing;
mod threads;
mod ending;
pub mod runtime;

#[cfg(test)]
mod writer_tests;
