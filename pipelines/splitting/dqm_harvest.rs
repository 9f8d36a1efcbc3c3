//! Harvests of histograms: one of the whole run when its input is complete, and before that every
//! so often one of what is there, so that shifters see a run while it is taken.
//!
//! In comes the window, out come jobs: one for each run and set of sites, or one for all runs
//! together. A periodic harvest only reads; it is made when there was none yet or the last one
//! ended longer ago than the interval, and there is something it did not read. The last harvest
//! takes everything; it waits until a periodic one at work has ended, so that the last word on a
//! run is always the last harvest's. (Upstream has two sibling tasks for the two; here one task
//! does both.)

use super::alca_harvest::held;
use super::selection::{Lumis, Selection, lumis_of, merged};
use super::{Cut, CutJob, Groups, HarvestState, Window, groups, just_after};
use model::ids::RunNumber;
use model::job::Slice;
use model::time::{Moment, Span};
use std::collections::BTreeMap;

/// What is harvested together, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DqmHarvest {
    /// One harvest a run, or one of all runs.
    pub unit: HarvestUnit,
    /// How long after a periodic harvest ended the next one is made; none for only one at the end.
    pub interval: Option<Span>,
    /// The runs and lumis that are wanted.
    pub selection: Selection,
}

/// What is harvested together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HarvestUnit {
    /// Each run by itself.
    #[default]
    Run,
    /// All runs that are there.
    MultiRun,
}

/// Cuts harvests.
pub(super) fn split(
    parameters: &DqmHarvest,
    window: &Window<'_>,
    closed: bool,
    now: Moment,
) -> Cut {
    if window.items.is_empty() {
        return Cut::default();
    }
    let running = window
        .harvested
        .is_some_and(|harvest| harvest.state == HarvestState::Running);
    if closed && running {
        let holding = held(window, "a periodic harvest is still at work", None);
        return Cut {
            holding: Some(holding),
            ..Cut::default()
        };
    }
    if closed {
        return harvest(parameters, window, false);
    }
    let Some(interval) = parameters.interval.filter(|_| !running) else {
        return Cut::default();
    };
    let due = match window
        .harvested
        .map(|harvest| (harvest.state, harvest.inputs))
    {
        Some((_, inputs)) if inputs >= window.items.len() => return Cut::default(),
        Some((HarvestState::Done(at) | HarvestState::Failed(at), _)) => Some(at + interval),
        Some((HarvestState::Running, _)) | None => None,
    };
    match due.filter(|due| now <= *due) {
        None => harvest(parameters, window, true),
        Some(due) => {
            let reason = "the last periodic harvest ended less than the interval ago";
            let wake = Some(just_after(due));
            Cut {
                wake,
                holding: Some(held(window, reason, wake)),
                ..Cut::default()
            }
        }
    }
}

/// One job for each unit and set of sites.
fn harvest(parameters: &DqmHarvest, window: &Window<'_>, reads_only: bool) -> Cut {
    let Groups { together, nowhere } = groups(window, 0..window.items.len());
    let mut cut = Cut::default();
    if !reads_only {
        cut.quarantined = nowhere;
    }
    for group in together {
        let mut units: BTreeMap<Option<RunNumber>, (Vec<usize>, Lumis)> = BTreeMap::new();
        for at in group {
            let wanted = parameters
                .selection
                .of(&lumis_of(&window.items[at], window));
            if wanted.is_empty() && !reads_only {
                let reason = "none of its lumis is among the runs and lumis that are wanted";
                cut.declined.push((at, reason.to_owned()));
            }
            for range in wanted {
                let unit = (parameters.unit == HarvestUnit::Run).then_some(range.0);
                let (items, lumis) = units.entry(unit).or_default();
                if items.last() != Some(&at) {
                    items.push(at);
                }
                lumis.push(range);
            }
        }
        for (items, lumis) in units.into_values() {
            let lumis = merged(lumis);
            let all = items
                .iter()
                .flat_map(|at| lumis_of(&window.items[*at], window));
            let whole = lumis == merged(all.collect());
            cut.jobs.push(CutJob {
                items,
                slice: (!whole).then_some(Slice::Lumis(lumis)),
                reads_only,
                ..CutJob::default()
            });
        }
    }
    cut
}
