//! Whether the data are good.
//!
//! In come histograms of a run, references and rules; out come quality tests, a verdict, and the
//! list of lumis that may be analysed. The tests are ordinary floating point and run inside job
//! programs; verdicts and lumi lists are integers only, so that every engine decides the same.
//! Nothing here reads a clock or a file, starts a thread or knows who calls it.

mod bins;
pub mod certify;
pub mod chance;
pub mod element;
pub mod exact;
pub mod histogram;
pub mod histogram2d;
pub mod lumis;
pub mod occupancy;
pub mod profile;
pub mod quality;
pub mod root;
pub mod summary;
pub mod uhi;
pub mod verdict;
