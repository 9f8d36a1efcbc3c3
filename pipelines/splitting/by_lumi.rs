//! So many lumis a job.
//!
//! In come the window and the number, out come jobs of exactly so many lumis, fewer only where a
//! boundary ends them; see `lumi_jobs.rs` for what they share with splitting by events a lumi.

use super::lumi_jobs::{self, Boundaries, Filling, Total};
use super::{Cut, Window};

/// How lumis become jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lumi {
    /// Lumis a job.
    pub lumis_per_job: u64,
    /// Lumis in all; 0 for no limit.
    pub total_lumis: u64,
    /// What jobs respect.
    pub boundaries: Boundaries,
}

/// Cuts jobs of so many lumis.
pub(super) fn split(parameters: &Lumi, window: &Window<'_>, closed: bool) -> Cut {
    let total = match parameters.total_lumis {
        0 => Total::Everything,
        lumis => Total::Lumis(lumis),
    };
    let per_job = parameters.lumis_per_job.max(1);
    lumi_jobs::split(&parameters.boundaries, total, window, closed, &|_, _| {
        Filling::Joins {
            in_hand: per_job,
            fresh: per_job,
        }
    })
}
