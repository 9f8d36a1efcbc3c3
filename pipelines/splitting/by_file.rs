//! So many files a job.
//!
//! In come the window and the number of files, out come jobs of neighbours in the window's order. A
//! job of several files waits until its files stand in their final places; it must never leave a
//! file behind when the input is complete.

use super::{Cut, CutJob, Window};

/// Cuts runs of `files_per_job` neighbours.
pub(super) fn split(files_per_job: u32, wait: bool, window: &Window<'_>, closed: bool) -> Cut {
    let per_job = files_per_job.max(1) as usize;
    // A job of one file is the same job whatever came before it: it need not wait for its lumi.
    let at_once = closed || !wait || per_job == 1;
    let mut cut = Cut::default();
    let mut start = 0;
    while start < window.items.len() {
        let full = start + per_job;
        let end = full.min(window.items.len());
        let ready = if at_once {
            closed || !wait || end == full
        } else {
            end == full
                && window.items[start..end]
                    .iter()
                    .all(|i| window.is_settled(i, closed))
        };
        if !ready {
            break;
        }
        cut.jobs.push(CutJob {
            items: (start..end).collect(),
            ..CutJob::default()
        });
        start = end;
    }
    cut
}
