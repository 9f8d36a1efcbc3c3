//! Conditions: which payload is in force, where a new one may begin, and what a job is given.
//!
//! In come tags, payloads and moments; out come intervals, refusals with a reason, and documents.
//! An IOV has no end: it lasts until the next since, and inserting the same since again is a newer
//! row that wins, so what was in force at any earlier moment can always be found again (after
//! CondDB, cms-sw/cmssw:CondCore/Utilities/python/conddblib.py). Nothing is ever removed. The
//! parts: [`index`] finds, [`rule`] says where something may begin, [`payload`] what may go in,
//! [`register`] keeps tags, payloads and global tags together, [`difference`] compares and
//! [`document`] carries all of it elsewhere.

pub mod difference;
pub mod document;
pub mod index;
pub mod payload;
mod refusal;
pub mod register;
pub mod rule;

#[cfg(test)]
mod register_tests;

pub use index::{Index, Insertion};
pub use refusal::Refusal;
pub use register::Register;
pub use rule::{Frontier, Limits, Placement, Put};
