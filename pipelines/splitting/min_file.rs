//! A full set of files a job, of whatever is there.
//!
//! In come the window and the number of files, out come jobs of exactly so many; the rest when no
//! more will come. Input with a frontier is taken in its final order, as by `file`; input that
//! other tasks make is taken as it comes, so that its jobs need not wait for the end of the run.

use super::{Cut, CutJob, Groups, Holding, HoldingKind, Window, estimate, groups};

/// How files become jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinFile {
    /// Files a job.
    pub files_per_job: u32,
}

/// Cuts full jobs, and at the end the rest.
pub(super) fn split(parameters: MinFile, window: &Window<'_>, closed: bool) -> Cut {
    let per_job = parameters.files_per_job.max(1) as usize;
    let Groups { together, nowhere } = groups(window, 0..window.available_end(closed));
    let mut cut = Cut {
        quarantined: nowhere,
        ..Cut::default()
    };
    let mut waiting = Vec::new();
    for group in together {
        for items in group.chunks(per_job) {
            if items.len() < per_job && !closed {
                waiting.extend_from_slice(items);
                continue;
            }
            let events = items.iter().map(|at| window.items[*at].events.0).sum();
            cut.jobs.push(CutJob {
                items: items.to_vec(),
                estimate: Some(estimate(&window.cost, events)),
                ..CutJob::default()
            });
        }
    }
    cut.holding = waits_for_more(window, &waiting, || {
        format!(
            "{} file(s) are here and a job takes {per_job} (files_per_job); the rest is taken when \
             no more will come",
            waiting.len()
        )
    });
    cut
}

/// The wait for more input, if anything waits.
pub(super) fn waits_for_more(
    window: &Window<'_>,
    waiting: &[usize],
    reason: impl FnOnce() -> String,
) -> Option<Holding> {
    let since = waiting.iter().map(|at| window.items[*at].came_at).min()?;
    Some(Holding {
        by: HoldingKind::MoreInput,
        reason: reason(),
        since,
        until: None,
    })
}
