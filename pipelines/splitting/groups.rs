//! Which inputs may be worked on together: those that are at the same sites.
//!
//! In come positions of a window, out come groups, one for each distinct set of sites, each in the
//! window's order, and what is nowhere where jobs may run. Inputs that do not say where they are
//! can be read anywhere and form a group of their own. One input that is nowhere never takes others
//! with it (upstream fails such a job with code 71101).

use super::Window;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Inputs told apart by where they are.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Positions in the window, in its order.
    pub(super) together: Vec<Vec<usize>>,
    /// Positions of what no job can reach, with the reason.
    pub(super) nowhere: Vec<(usize, String)>,
}

/// Groups the inputs at these positions.
pub(super) fn groups(window: &Window<'_>, positions: Range<usize>) -> Groups {
    let mut nowhere = Vec::new();
    let mut by_sites: BTreeMap<BTreeSet<&str>, Vec<usize>> = BTreeMap::new();
    for at in positions {
        let sites: BTreeSet<&str> = window.items[at].sites.iter().map(String::as_str).collect();
        match window.allowed_sites {
            Some(allowed) if !sites.is_empty() && !sites.iter().any(|s| allowed.contains(*s)) => {
                let list =
                    |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
                let reason = format!(
                    "it is only at {}, and jobs may run only at {}: copy it to one of those, or \
                     allow a site that has it",
                    list(&mut sites.iter().copied()),
                    list(&mut allowed.iter().map(String::as_str)),
                );
                nowhere.push((at, reason));
            }
            _ => by_sites.entry(sites).or_default().push(at),
        }
    }
    Groups {
        together: by_sites.into_values().collect(),
        nowhere,
    }
}
