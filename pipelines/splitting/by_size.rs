//! About so many bytes a job.
//!
//! In come the window and the limit, out come jobs of neighbours, none larger than the limit unless
//! one file alone is, which is then a job by itself. The window's order is fixed, so the same files
//! always give the same jobs. While more may come the last job waits.

use super::{Cut, CutJob, Groups, Window, groups};
use model::units::Bytes;

/// How files become jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Bytes a job at most.
    pub size_per_job: Bytes,
}

/// Cuts jobs of at most so many bytes.
pub(super) fn split(parameters: Size, window: &Window<'_>, closed: bool) -> Cut {
    let limit = parameters.size_per_job.0;
    let Groups { together, nowhere } = groups(window, 0..window.settled_end(closed));
    let mut cut = Cut {
        quarantined: nowhere,
        ..Cut::default()
    };
    for group in together {
        let (mut items, mut bytes) = (Vec::new(), 0_u64);
        for at in group {
            let with_this = bytes.saturating_add(window.items[at].bytes.0);
            if with_this > limit && !items.is_empty() {
                cut.jobs.push(job(std::mem::take(&mut items)));
                bytes = window.items[at].bytes.0;
            } else {
                bytes = with_this;
            }
            items.push(at);
            // Nothing but a file without bytes could join, and that would make the job depend on
            // when we are asked.
            if bytes >= limit {
                cut.jobs.push(job(std::mem::take(&mut items)));
                bytes = 0;
            }
        }
        if closed && !items.is_empty() {
            cut.jobs.push(job(items));
        }
    }
    cut
}

fn job(items: Vec<usize>) -> CutJob {
    CutJob {
        items,
        ..CutJob::default()
    }
}
