//! Dimuons of a NanoAOD file, as text rows.
//!
//! In: the tree `Events` with `run`, `event` and the muons as lists (`Muon_pt`, `Muon_eta`,
//! `Muon_phi`, `Muon_charge`), sorted by falling momentum as NanoAOD has them. Out: one row for
//! each event with a pair of opposite charge: its first muon and the first one of the other charge.
//! Events without such a pair are counted. `Muon_dxy` is not taken over: it is the distance from
//! the event's own vertex, not from the origin of the detector, and says nothing about the beam
//! spot.

use oxyroot::{ReaderTree, Slice, UnmarshalerInto};

use crate::root_file::Rows;

/// Name of the tree.
pub(crate) const TREE: &str = "Events";
const COLUMNS: &str = "Run,Event,pt1,eta1,phi1,Q1,pt2,eta2,phi2,Q2";

/// Reads the tree; the error is the reason in words.
pub(crate) fn rows(tree: &ReaderTree) -> Result<Rows, String> {
    let (runs, events) = (column::<u32>(tree, "run")?, column::<u64>(tree, "event")?);
    let lists = |name: &str| -> Result<Vec<Vec<f32>>, String> {
        let lists = column::<Slice<f32>>(tree, name)?;
        Ok(lists.into_iter().map(Slice::into_vec).collect())
    };
    let kinematics = [lists("Muon_pt")?, lists("Muon_eta")?, lists("Muon_phi")?];
    let charges = column::<Slice<i32>>(tree, "Muon_charge")?;
    let mut all = Rows {
        columns: COLUMNS.split(',').map(str::to_owned).collect(),
        rows: Vec::new(),
        without_pair: 0,
    };
    for (entry, charges) in charges.into_iter().map(Slice::into_vec).enumerate() {
        let Some((run, event)) = runs.get(entry).zip(events.get(entry)) else {
            return Err(format!("entry {entry} has no run and event"));
        };
        let Some(other) = charges.iter().position(|charge| *charge == -charges[0]) else {
            all.without_pair += 1;
            continue;
        };
        let mut row = format!("{run},{event}");
        for muon in [0, other] {
            for list in &kinematics {
                let value = list.get(entry).and_then(|list| list.get(muon));
                let value =
                    value.ok_or_else(|| format!("entry {entry} lacks values of muon {muon}"))?;
                row = format!("{row},{value}");
            }
            row = format!("{row},{}", charges[muon]);
        }
        all.rows.push(row);
    }
    Ok(all)
}

/// All values of a branch.
fn column<T: UnmarshalerInto<Item = T>>(tree: &ReaderTree, name: &str) -> Result<Vec<T>, String> {
    let branch = tree.branch(name).ok_or_else(|| {
        format!("the tree {TREE} has no branch {name}; NanoAOD with muons is needed")
    })?;
    let values = branch
        .as_iter::<T>()
        .map_err(|error| format!("branch {name}: {error}"))?;
    Ok(values.collect())
}
