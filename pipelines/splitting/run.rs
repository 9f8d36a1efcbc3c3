//! The files of a run together, when the input is complete; several jobs where it has very many.
//!
//! In come the window and the limit, out come jobs of neighbours of one run. Nothing may be cut
//! before the input is complete: that a run's files are all there is what this splitter is for
//! (upstream takes it for granted, and calls asking for it `require_run_closed`). A file over
//! several runs goes with its first.

use super::{Cut, CutJob, Groups, Window, groups};

/// How runs become jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Files a job; a run with more makes several.
    pub files_per_job: u32,
}

/// Cuts each run into as few jobs as the limit allows.
pub(super) fn split(parameters: Run, window: &Window<'_>, closed: bool) -> Cut {
    if !closed {
        return Cut::default();
    }
    let per_job = parameters.files_per_job.max(1) as usize;
    let Groups { together, nowhere } = groups(window, 0..window.items.len());
    let run_of = |at: &usize| window.items[*at].first_run(window.run);
    let mut cut = Cut {
        quarantined: nowhere,
        ..Cut::default()
    };
    for group in together {
        for of_run in group.chunk_by(|a, b| run_of(a) == run_of(b)) {
            for items in of_run.chunks(per_job) {
                cut.jobs.push(CutJob {
                    items: items.to_vec(),
                    ..CutJob::default()
                });
            }
        }
    }
    cut
}
