//! The Z mass against the direction of the muons, against numpy.

use crate::judging::{Comparison, Data, Item, count, list, needs_data, number, raised, text};
use calibration::profile::{fit_harmonic, profile};
use serde_json::Value;

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    const ITEMS: [&str; 4] = [
        "profile_eta_mu_plus",
        "profile_phi_mu_plus",
        "fit_phi_plus",
        "fit_phi_minus",
    ];
    let file = text(&case["data"]);
    let Some(table) = data.table(file) else {
        return ITEMS.into_iter().map(|id| needs_data(id, file)).collect();
    };
    let column = |name: &str| table.numbers(name);
    let (mass, charge1, charge2) = (column("M"), column("Q1"), column("Q2"));
    let chosen: Vec<usize> = (0..mass.len())
        .filter(|row| {
            charge1[*row] * charge2[*row] < 0.0 && mass[*row] > 81.0 && mass[*row] < 101.0
        })
        .collect();
    // A direction of the muon with the wanted charge, with the mass of its pair.
    let points = |name: &str, charge: f64| -> Vec<(f64, f64)> {
        let (first, second) = (column(&format!("{name}1")), column(&format!("{name}2")));
        let of = |row: usize| {
            if charge1[row] == charge {
                first[row]
            } else {
                second[row]
            }
        };
        chosen.iter().map(|row| (of(*row), mass[*row])).collect()
    };
    let pi = std::f64::consts::PI;
    vec![
        bins(ITEMS[0], case, &points("eta", 1.0), (-2.4, 2.4)),
        bins(ITEMS[1], case, &points("phi", 1.0), (-pi, pi)),
        harmonic(ITEMS[2], case, &points("phi", 1.0)),
        harmonic(ITEMS[3], case, &points("phi", -1.0)),
    ]
}

fn bins(id: &str, case: &Value, points: &[(f64, f64)], range: (f64, f64)) -> Item {
    let expect = list(&case[id]);
    let mut comparison = Comparison::default();
    comparison.equal("n", points.len() as u64, count(&case["n"]));
    for (got, expect) in profile(points, range, expect.len()).iter().zip(expect) {
        comparison.near("low", got.low, number(&expect["lo"]), 1e-6);
        comparison.near("high", got.high, number(&expect["hi"]), 1e-6);
        comparison.equal("n of bin", got.n, count(&expect["n"]));
        comparison.near_relative("mean", got.mean, number(&expect["mean"]), 1e-6);
        comparison.near_relative("err", got.err, number(&expect["err"]), 1e-6);
    }
    comparison.item(id)
}

fn harmonic(id: &str, case: &Value, points: &[(f64, f64)]) -> Item {
    let got = match fit_harmonic(points) {
        Ok(got) => got,
        Err(error) => return raised(id, error),
    };
    let expect = &case[id];
    let mut comparison = Comparison::default();
    comparison.near_relative("c0", got.constant, number(&expect["c0"]), 1e-6);
    comparison.near_relative("c_sin", got.sin_term, number(&expect["c_sin"]), 1e-6);
    comparison.near_relative("c_cos", got.cos_term, number(&expect["c_cos"]), 1e-6);
    for (got, expect) in got.errors.iter().zip(list(&expect["err"])) {
        comparison.near_relative("err", *got, number(expect), 1e-6);
    }
    comparison.item(id)
}
