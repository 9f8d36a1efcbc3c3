//! The words spoken outside: what the API answers, what the command line prints, what scripts may
//! rely on.
//!
//! In: plain values of the room `model`. Out: serialisable shapes with stable names, units in the
//! names (`_s`, `bytes`, `events`), moments as RFC 3339 text in UTC. Each shape is filled by hand,
//! field by field, so that a change inside the house never changes by accident what strangers read.
//! Shapes only grow within one [`SCHEMA`]. Reading is lenient: unknown fields are ignored, so an
//! older client understands a newer server.
//!
//! This room must never read a clock, a file or a store, and decides nothing.

pub mod answer;
pub mod conditions;
pub mod dataset;
pub mod file;
pub mod health;
pub mod job;
pub mod latency;
pub mod lineage;
pub mod units;
pub mod quality;
pub mod run;
pub mod gate;
pub mod wait;

pub use answer::{Answer, ListAnswer, Problem};

/// Version of all shapes of this room; raised only when a field is taken away or changes its
/// meaning.
pub const SCHEMA: u32 = 1;

/// Closed ranges of lumis as pairs of numbers, as in the CMS JSON format: `[[1, 20], [22, 22]]`.
pub type LumiRanges = Vec<(u32, u32)>;

fn lumi_ranges(ranges: &[(model::ids::LumiNumber, model::ids::LumiNumber)]) -> LumiRanges {
    ranges
        .iter()
        .map(|(first, last)| (first.0, last.0))
        .collect()
}
