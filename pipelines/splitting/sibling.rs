//! What all other tasks with the same input have worked on: cleanup.
//!
//! In come the window and what its sibling tasks have done, out come jobs of so many files with
//! which all of them are through; fewer at the end. A file that a sibling could not work on is
//! declined when the siblings have ended: it is kept, because somebody may want to try again.

use super::min_file::waits_for_more;
use super::{Cut, CutJob, Groups, Holding, HoldingKind, Window, groups};

/// How files become jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// Files a job.
    pub files_per_job: u32,
}

/// Cuts jobs of what the siblings have processed.
pub(super) fn split(parameters: Sibling, window: &Window<'_>, closed: bool) -> Cut {
    let Some(siblings) = window.siblings else {
        return Cut::default();
    };
    let per_job = parameters.files_per_job.max(1) as usize;
    let complete = closed && siblings.ended;
    let Groups { together, nowhere } = groups(window, 0..window.items.len());
    let mut cut = Cut {
        quarantined: nowhere,
        ..Cut::default()
    };
    let (mut unprocessed, mut too_few) = (Vec::new(), Vec::new());
    for group in together {
        let processed = |at: &usize| siblings.processed.contains(&window.items[*at].id);
        let (free, held): (Vec<usize>, Vec<usize>) = group.into_iter().partition(processed);
        unprocessed.extend(held);
        for items in free.chunks(per_job) {
            if items.len() < per_job && !complete {
                too_few.extend_from_slice(items);
                continue;
            }
            cut.jobs.push(CutJob {
                items: items.to_vec(),
                ..CutJob::default()
            });
        }
    }
    if complete {
        let reason = "another task with the same input could not work on it: it is kept";
        cut.declined
            .extend(unprocessed.into_iter().map(|at| (at, reason.to_owned())));
        return cut;
    }
    let oldest = unprocessed.iter().map(|at| window.items[*at].came_at).min();
    cut.holding = oldest.map(|since| Holding {
        by: HoldingKind::Siblings,
        reason: format!(
            "{} file(s) are still to be worked on by other tasks with the same input",
            unprocessed.len()
        ),
        since,
        until: None,
    });
    if cut.holding.is_none() {
        cut.holding = waits_for_more(window, &too_few, || {
            format!(
                "{} file(s) are free and a job takes {per_job} (files_per_job)",
                too_few.len()
            )
        });
    }
    cut
}
