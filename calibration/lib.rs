//! When conditions are good enough, and what they are.
//!
//! In come sufficient statistics of a run (tracks or their normal equations, vertices, Mille
//! records, mass histograms); out go constants with errors, and the decision whether they open a
//! new IOV. The fits are ordinary floating point and run inside job programs; the decisions
//! ([`gate`], [`thresholds`], [`conditions`]) are integer arithmetic only, so that every engine on
//! every machine decides the same. Nothing here reads a clock or a file, starts a thread or knows
//! who calls it.

pub mod beamspot;
pub mod chamber;
pub mod chamber_track;
pub mod conditions;
pub mod fit_error;
pub mod gate;
pub mod matrix;
pub mod millepede;
pub mod peak_model;
pub mod profile;
pub mod random;
pub mod scale;
pub mod thresholds;
pub mod vertex_likelihood;
pub mod vertex_moments;
pub mod voigt;

pub use fit_error::FitError;
