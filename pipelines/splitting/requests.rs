//! Units of work for requests: one a block, or one for the whole dataset.
//!
//! In comes the window, out come jobs that stand for units: the inputs of each block together, or
//! all of them. How a unit becomes jobs is then up to the splitter of the task that works on it.

use super::{Cut, CutJob, Window, estimate};
use model::ids::BlockId;
use std::collections::BTreeMap;

/// A unit for each block, in the order of blocks; inputs without a block are one more, at the end.
pub(super) fn blocks(window: &Window<'_>, closed: bool) -> Cut {
    if !closed {
        return Cut::default();
    }
    let mut units: BTreeMap<(bool, Option<BlockId>), Vec<usize>> = BTreeMap::new();
    for (at, item) in window.items.iter().enumerate() {
        let block = window
            .blocks
            .and_then(|blocks| blocks.get(&item.id).copied());
        units.entry((block.is_none(), block)).or_default().push(at);
    }
    cut(window, units.into_values())
}

/// One unit of everything.
pub(super) fn dataset(window: &Window<'_>, closed: bool) -> Cut {
    if !closed || window.items.is_empty() {
        return Cut::default();
    }
    cut(window, std::iter::once((0..window.items.len()).collect()))
}

fn cut(window: &Window<'_>, units: impl Iterator<Item = Vec<usize>>) -> Cut {
    let unit = |items: Vec<usize>| {
        let events = items.iter().map(|at| window.items[*at].events.0).sum();
        CutJob {
            estimate: Some(estimate(&window.cost, events)),
            items,
            ..CutJob::default()
        }
    };
    Cut {
        jobs: units.map(unit).collect(),
        ..Cut::default()
    }
}
