//! Resonance peaks of real dimuons, against iminuit.

use crate::judging::{
    Comparison, Data, Item, Table, count, list, members, needs_data, number, raised, text,
};
use calibration::profile::profile;
use calibration::scale::{self, Peak, PeakModel};
use serde_json::Value;

/// Names of the parameters in the case and here.
const NAMES: [(&str, &str); 7] = [
    ("N", "yield"),
    ("mu", "mass_gev"),
    ("sig", "sigma_gev"),
    ("B", "level"),
    ("a", "level"),
    ("lam", "slope"),
    ("b", "slope"),
];
/// Tolerances of the case: value within 0.05 of its error, error within 2 %.
const VALUE_IN_ERRORS: f64 = 0.05;
const ERROR_RELATIVE: f64 = 0.02;

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let models = [PeakModel::Z, PeakModel::UPSILON_1S, PeakModel::PSI_2S];
    let mut items = Vec::new();
    for fit in list(&case["fits"]) {
        let name = text(&fit["name"]);
        let Some(model) = models.iter().find(|model| model.name == name) else {
            items.push(raised(name, "no model of this name"));
            continue;
        };
        let counts: Vec<u64> = list(&fit["hist"]).iter().map(count).collect();
        items.push(peak(name, model, &counts, fit));
        let file = text(&fit["data"]);
        let table = data.table(file);
        match &table {
            Some(table) => {
                let mut comparison = Comparison::default();
                comparison.equal("histogram", model.histogram(&table.numbers("M")), counts);
                comparison.equal("PDG mass", model.pdg_mass_gev, number(&fit["pdg_mass"]));
                items.push(comparison.item(format!("{name} histogram")));
            }
            None => items.push(needs_data(format!("{name} histogram"), file)),
        }
        for part in ["in_eta", "per_run_voigt", "per_run_window_81_101"] {
            if fit[part].is_null() {
                continue;
            }
            for (key, expect) in members(&fit[part]) {
                let id = format!("{name} {part} {key}");
                let Some(table) = &table else {
                    items.push(needs_data(id, file));
                    continue;
                };
                items.push(selection(&id, model, part, key, table, expect));
            }
        }
    }
    items
}

/// A fit of the masses that `part` and `key` select.
fn selection(
    id: &str,
    model: &PeakModel,
    part: &str,
    key: &str,
    table: &Table,
    expect: &Value,
) -> Item {
    let (eta1, eta2) = (table.numbers("eta1"), table.numbers("eta2"));
    let runs = table.runs();
    let chosen = |row: usize| match key {
        "both|eta|<0.9" => eta1[row].abs() < 0.9 && eta2[row].abs() < 0.9,
        "any|eta|>1.4" => eta1[row].abs() > 1.4 || eta2[row].abs() > 1.4,
        run => runs[row].to_string() == run,
    };
    let masses: Vec<f64> = table
        .numbers("M")
        .into_iter()
        .enumerate()
        .filter_map(|(row, mass)| chosen(row).then_some(mass))
        .collect();
    let mut comparison = Comparison::default();
    comparison.equal("n", masses.len() as u64, count(&expect["n"]));
    if part == "per_run_window_81_101" {
        let points: Vec<(f64, f64)> = masses.iter().map(|mass| (*mass, *mass)).collect();
        let window = profile(&points, (81.0, 101.0), 1)[0];
        comparison.equal("n_win", window.n, count(&expect["n_win"]));
        comparison.near("mean_win", window.mean, number(&expect["mean_win"]), 1e-6);
        return comparison.item(id);
    }
    match scale::fit(model, &model.histogram(&masses)) {
        Err(error) => return raised(id, error),
        Ok(got) if part == "per_run_voigt" => parameters(&mut comparison, &got, expect),
        Ok(got) => goodness(&mut comparison, &got, expect),
    }
    comparison.item(id)
}

fn peak(id: &str, model: &PeakModel, counts: &[u64], expect: &Value) -> Item {
    let mut comparison = Comparison::default();
    match scale::fit(model, counts) {
        Ok(got) => goodness(&mut comparison, &got, expect),
        Err(error) => return raised(id, error),
    }
    comparison.item(id)
}

fn goodness(comparison: &mut Comparison, got: &Peak, expect: &Value) {
    comparison.near("min2nll", got.min2nll, number(&expect["min2nll"]), 0.01);
    comparison.equal("ndf", u64::from(got.ndf), count(&expect["ndf"]));
    parameters(comparison, got, &expect["fit"]);
}

fn parameters(comparison: &mut Comparison, got: &Peak, expect: &Value) {
    for (theirs, ours) in NAMES {
        if expect[theirs].is_null() {
            continue;
        }
        let (value, error) = (
            number(&expect[theirs]["value"]),
            number(&expect[theirs]["error"]),
        );
        let Some(found) = got
            .parameters
            .iter()
            .find(|parameter| parameter.name == ours)
        else {
            comparison.equal(theirs, "no such parameter", ours);
            continue;
        };
        comparison.near(theirs, found.value, value, VALUE_IN_ERRORS * error);
        comparison.near_relative(
            &format!("error of {theirs}"),
            found.error,
            error,
            ERROR_RELATIVE,
        );
    }
}
