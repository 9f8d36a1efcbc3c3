//! Millepede: the simultaneous fit of many local and of common global parameters, for alignment.
//!
//! In come Mille records and the steering of `pede`; out come global parameters with errors, and
//! the texts `millepede.res` and `millepede.end`. Each record (a track) has parameters of its own
//! that nobody wants to know; they are eliminated exactly, so that all tracks together determine
//! hundreds of common ones. (V. Blobel, C. Kleinwort, Millepede II; V. Blobel, NIM A 566, 2006.)
//! Bytes and texts in, values and texts out: no file is opened and no thread started here.
//!
//! ```
//! use tier0_calibration::millepede::{Input, Records, Steering, fit};
//! // Two sensors, the second off by 0.2; tracks are points that both measure twice.
//! let mut records = Records::default();
//! for track in 0..20 {
//!     let at = f64::from(track) * 0.1;
//!     for (label, offset) in [(1, 0.0), (2, 0.2), (1, 0.0), (2, 0.2)] {
//!         records.measure(at + offset, 0.1, &[(1, 1.0)], &[(label, 1.0)])?;
//!     }
//!     records.end_record();
//! }
//! let steering = Steering::parse("steer.txt", "constraint 0\n 1 1.0\nmethod inversion 3 0.001")?;
//! let fit = fit(&steering, &[Input { records: &records, weight: 1.0 }])?;
//! assert!((fit.parameters[&2].value - 0.2).abs() < 1e-12);
//! # Ok::<(), tier0_calibration::millepede::MillepedeError>(())
//! ```

mod error;
mod cut;
mod fit;
mod local;
mod minres;
mod problem;
mod records;
mod results;
mod solver;
mod steering;
mod sums;

pub use cut::three_sigma_chi_square;
pub use error::MillepedeError;
pub use fit::{Input, Iteration, Next, fit};
pub use problem::{Entries, Problem};
pub use records::{
    DECOMPRESSED_BYTES_MAX, Form, LOCAL_INDEX_MAX, Measurement, Measurements, Precision, Records,
};
pub use results::{Ending, Fit, Parameter};
pub use steering::{
    ChiSquareCut, Condition, Constraining, DataFile, ENTRIES_MIN, ENTRIES_USED_MIN, Entry, Factors,
    HUGE_CUT, MINRES_TOLERANCE, Method, Start, Steering,
};
pub use sums::{Pass, Rejects, Sums};

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;

#[cfg(test)]
mod refusal_tests;
