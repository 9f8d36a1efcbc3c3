//! So many files a job.
//!
//! In come the window and the number of files, out come jobs of neighbours in the window's order. A
//! job of several files waits until its files stand in their final places; it must never leave a
//! file behind when the input is complete. Where only some lumis are wanted, files without any are
//! declined and the others say which of their lumis are meant.

use super::selection::{Lumis, Selection, count, events_a_lumi, lumis_of, merged};
use super::{Cut, CutJob, Groups, Window, estimate, groups};
use model::job::Slice;

/// How files become jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Files a job.
    pub files_per_job: u32,
    /// Whether an incomplete job waits for more. If not, whatever is there is cut at once, so jobs
    /// may be smaller and depend on what came together.
    pub wait: bool,
    /// A job ends where its run ends; the run of a file is its first.
    pub respect_run_boundaries: bool,
    /// Files in all, the first of the input in order; 0 for no limit. With a limit nothing is cut
    /// before the input is complete.
    pub total_files: u64,
    /// The runs and lumis that are wanted.
    pub selection: Selection,
}

impl Default for File {
    /// Upstream's: ten files of any runs.
    fn default() -> Self {
        Self {
            files_per_job: 10,
            wait: true,
            respect_run_boundaries: false,
            total_files: 0,
            selection: Selection::default(),
        }
    }
}

/// Cuts runs of neighbours.
pub(super) fn split(parameters: &File, window: &Window<'_>, closed: bool) -> Cut {
    // A job of one file is the same job whatever came before it: it need not wait for its lumi.
    let at_once = !parameters.wait || parameters.files_per_job <= 1;
    let end = match (closed, parameters.total_files > 0) {
        (true, _) => window.items.len(),
        (false, true) => return Cut::default(),
        (false, false) if at_once => window.items.len(),
        (false, false) => window.settled_end(closed),
    };
    let Groups { together, nowhere } = groups(window, 0..end);
    let mut cut = Cut {
        quarantined: nowhere,
        ..Cut::default()
    };
    let mut wanted: Vec<Vec<usize>> = Vec::new();
    for group in together {
        wanted.push(decline_unwanted(parameters, window, group, &mut cut));
    }
    if parameters.total_files > 0 {
        decline_beyond(parameters.total_files, &mut wanted, &mut cut);
    }
    let complete = closed || !parameters.wait;
    for group in wanted {
        cut_group(parameters, window, &group, complete, &mut cut);
    }
    cut
}

/// Declines files of which nothing is wanted; returns the others.
fn decline_unwanted(
    parameters: &File,
    window: &Window<'_>,
    group: Vec<usize>,
    cut: &mut Cut,
) -> Vec<usize> {
    if parameters.selection.is_everything() {
        return group;
    }
    let (wanted, unwanted) = group.into_iter().partition(|at| {
        let lumis = lumis_of(&window.items[*at], window);
        !parameters.selection.of(&lumis).is_empty()
    });
    let reason = "none of its lumis is among the runs and lumis that are wanted";
    let unwanted: Vec<usize> = unwanted;
    cut.declined
        .extend(unwanted.into_iter().map(|at| (at, reason.to_owned())));
    wanted
}

/// Declines what lies behind the first so many files of all groups together.
fn decline_beyond(total_files: u64, groups: &mut [Vec<usize>], cut: &mut Cut) {
    let mut order: Vec<usize> = groups.iter().flatten().copied().collect();
    order.sort_unstable();
    let total = usize::try_from(total_files).unwrap_or(usize::MAX);
    let Some(first_beyond) = order.get(total).copied() else {
        return;
    };
    let reason = format!("it comes after the first {total_files} file(s) (total_files)");
    cut.declined
        .extend(order[total..].iter().map(|at| (*at, reason.clone())));
    for group in groups {
        group.retain(|at| *at < first_beyond);
    }
}

fn cut_group(
    parameters: &File,
    window: &Window<'_>,
    group: &[usize],
    complete: bool,
    cut: &mut Cut,
) {
    let per_job = parameters.files_per_job.max(1) as usize;
    let mut start = 0;
    while start < group.len() {
        let rest = &group[start..];
        let same_run = if parameters.respect_run_boundaries {
            let run = window.items[rest[0]].first_run(window.run);
            rest.iter()
                .take(per_job)
                .take_while(|at| window.items[**at].first_run(window.run) == run)
                .count()
        } else {
            rest.len().min(per_job)
        };
        // Fewer than a full job, and nothing that ends it here.
        if same_run < per_job && start + same_run == group.len() && !complete {
            break;
        }
        cut.jobs.push(job_of(parameters, window, &rest[..same_run]));
        start += same_run;
    }
}

fn job_of(parameters: &File, window: &Window<'_>, items: &[usize]) -> CutJob {
    let mut events = 0_u64;
    let (mut mask, mut all) = (Lumis::new(), 0);
    for at in items {
        let item = &window.items[*at];
        if parameters.selection.is_everything() {
            events = events.saturating_add(item.events.0);
            continue;
        }
        let lumis = lumis_of(item, window);
        let wanted = parameters.selection.of(&lumis);
        let a_lumi = events_a_lumi(item.events.0, count(&lumis));
        events = events.saturating_add(a_lumi.saturating_mul(count(&wanted)));
        all += count(&lumis);
        mask.extend(wanted);
    }
    let whole = all == count(&mask);
    CutJob {
        items: items.to_vec(),
        slice: (!whole).then(|| Slice::Lumis(merged(mask))),
        estimate: Some(estimate(&window.cost, events)),
        ..CutJob::default()
    }
}
