//! Merging by size alone.
//!
//! In come the window and a size, out come jobs of neighbours as soon as they come to this size.
//! The rest is merged when no more will come, or declined if only full merges are wanted (which is
//! what upstream does with it, without a word: `all_files`).

use super::min_file::waits_for_more;
use super::{Cut, CutJob, Groups, Window, groups, merge_estimate};
use model::units::Bytes;

/// How files become merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeBySize {
    /// A merge is made when its files come to so many bytes.
    pub merge_size: Bytes,
    /// Whether the rest is merged at the end, however small.
    pub all_files: bool,
}

/// Cuts a merge whenever the size is reached.
pub(super) fn split(parameters: MergeBySize, window: &Window<'_>, closed: bool) -> Cut {
    let Groups { together, nowhere } = groups(window, 0..window.available_end(closed));
    let mut cut = Cut {
        quarantined: nowhere,
        ..Cut::default()
    };
    let mut waiting = Vec::new();
    for group in together {
        let (mut items, mut bytes) = (Vec::new(), 0_u64);
        for at in group {
            items.push(at);
            bytes = bytes.saturating_add(window.items[at].bytes.0);
            if bytes >= parameters.merge_size.0 {
                cut.jobs.push(job(window, std::mem::take(&mut items)));
                bytes = 0;
            }
        }
        match (closed, parameters.all_files) {
            (true, true) if !items.is_empty() => cut.jobs.push(job(window, items)),
            (true, false) => {
                let reason = "it is less than a full merge, and only those are made (all_files)";
                let rest = items.into_iter().map(|at| (at, reason.to_owned()));
                cut.declined.extend(rest);
            }
            (true | false, _) => waiting.extend(items),
        }
    }
    cut.holding = waits_for_more(window, &waiting, || {
        format!(
            "{} file(s) are less than a merge of {} (merge_size)",
            waiting.len(),
            parameters.merge_size
        )
    });
    cut
}

fn job(window: &Window<'_>, items: Vec<usize>) -> CutJob {
    CutJob {
        estimate: Some(merge_estimate(window, &items)),
        items,
        ..CutJob::default()
    }
}
