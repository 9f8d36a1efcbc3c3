//! The doors: what the drivers of the engine ask of a store, an executor, a storage and a clock.
//!
//! Each trait says what holds once a method has returned. Calls block: whoever waits owns a thread
//! with a name, and the engine's thread never calls any of these. An adapter implements one trait
//! and knows no other adapter.

pub mod clock;
pub mod failpoint;
pub mod store;
pub mod catalogue;
pub mod executor;
pub mod storage;
pub mod splitter;
pub mod disk;
