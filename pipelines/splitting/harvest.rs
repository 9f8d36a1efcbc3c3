//! One harvest a run: everything that was made for it, in one job, when nothing more will come.
//!
//! In comes the window, out comes one job or none. It must never harvest a part of a run: a
//! constant from half a run would be judged as if it were the run's. A run without input has no
//! harvest; the engine then decides its tags.

use super::{Cut, CutJob, Window};

/// Cuts the whole window into one job, once the input is complete.
pub(super) fn split(window: &Window<'_>, closed: bool) -> Cut {
    if !closed || window.items.is_empty() {
        return Cut::default();
    }
    Cut {
        jobs: vec![CutJob {
            items: (0..window.items.len()).collect(),
            ..CutJob::default()
        }],
        ..Cut::default()
    }
}
