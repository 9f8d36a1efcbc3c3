//! One job for a run, when its input is complete; several where it has very many files.
//!
//! In come the window and the limit, out come jobs of neighbours. Nothing may be cut before the
//! input is complete.

use super::{Cut, CutJob, Window};

/// Cuts the whole window into as few jobs as `max_files` allows.
pub(super) fn split(max_files: u32, window: &Window<'_>, closed: bool) -> Cut {
    if !closed {
        return Cut::default();
    }
    let max_files = max_files.max(1) as usize;
    let starts = (0..window.items.len()).step_by(max_files);
    let jobs = starts
        .map(|start| CutJob {
            items: (start..window.items.len().min(start + max_files)).collect(),
            ..CutJob::default()
        })
        .collect();
    Cut {
        jobs,
        ..Cut::default()
    }
}
