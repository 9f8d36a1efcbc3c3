//! The Z mass against the direction of the muons, against numpy.

use crate::judging::{
    Comparison, Data, Item, Table, caught, leading_number, list, members, needs_data, number,
    number_after, number_before, raised, text,
};
use calibration::profile::{ProfileBin, fit_harmonic, profile};
use serde_json::Value;
use std::f64::consts::PI;

/// A direction of a muon, with the mass of its pair.
type Point = (f64, f64);

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let file = text(&case["data"]);
    let table = data.table(file);
    let mut items = Vec::new();
    for (id, expect) in members(case) {
        let (part, what) = id.split_once('_').unwrap_or((id, ""));
        let of_muon = match part {
            "profile" => what.rsplit_once("_mu_"),
            "fit" => what.rsplit_once('_'),
            _ => continue,
        };
        let judged = |table: &Table| match of_muon {
            Some((quantity, sign)) => {
                let points = points(table, case, quantity, sign);
                match part {
                    "profile" => bins(id, case, &points, expect),
                    _ => harmonic(id, case, &points, expect),
                }
            }
            None => raised(id, "a part that this runner does not know"),
        };
        items.push(match &table {
            Some(table) => caught(id, || judged(table), |item| item),
            None => needs_data(id, file),
        });
    }
    items
}

/// The muons of this charge, of pairs of opposite charge in the window of the case.
fn points(table: &Table, case: &Value, quantity: &str, sign: &str) -> Vec<Point> {
    let charge = match sign {
        "plus" => 1.0,
        "minus" => -1.0,
        other => panic!("a muon is plus or minus, not {other}"),
    };
    // "81<M<101", among other words.
    let low = number_before(&case["case"], "<M<").unwrap_or(81.0);
    let high = number_after(&case["case"], "<M<").unwrap_or(101.0);
    let column = |name: &str| table.numbers(name);
    let (mass, charge1, charge2) = (column("M"), column("Q1"), column("Q2"));
    let (first, second) = (
        column(&format!("{quantity}1")),
        column(&format!("{quantity}2")),
    );
    (0..mass.len())
        .filter(|row| charge1[*row] * charge2[*row] < 0.0 && mass[*row] > low && mass[*row] < high)
        .map(|row| {
            let of = if charge1[row] == charge {
                &first
            } else {
                &second
            };
            (of[row], mass[row])
        })
        .collect()
}

/// The profile in the bins of the case.
fn profile_like(points: &[Point], expect: &[Value]) -> Vec<ProfileBin> {
    /// How far printed edges are from the true ones at most.
    const PRINTED: f64 = 1e-6;
    // Printed digits of pi stand for pi itself.
    let edge = |value: &Value| {
        let printed = number(value);
        let exact = printed.signum() * PI;
        if (printed - exact).abs() < PRINTED {
            exact
        } else {
            printed
        }
    };
    let edges: Vec<(f64, f64)> = expect
        .iter()
        .map(|bin| (edge(&bin["lo"]), edge(&bin["hi"])))
        .collect();
    let (Some((low, _)), Some((_, high))) = (edges.first(), edges.last()) else {
        return Vec::new();
    };
    let equal = profile(points, (*low, *high), edges.len());
    let are_equal = equal.iter().zip(&edges).all(|(bin, (low, high))| {
        (bin.low - low).abs() < PRINTED && (bin.high - high).abs() < PRINTED
    });
    if are_equal {
        return equal;
    }
    // Bins of any width.
    let one = |edges: &(f64, f64)| profile(points, *edges, 1)[0];
    edges.iter().map(one).collect()
}

/// The tolerance of the case: "1e-6 relative", or what the first case said.
fn tolerance(case: &Value) -> f64 {
    let said = &case["tolerance"];
    if said.is_null() {
        1e-6
    } else {
        leading_number(said)
    }
}

fn bins(id: &str, case: &Value, points: &[Point], expect: &Value) -> Item {
    let expect = list(expect);
    let mut comparison = Comparison::default();
    comparison.count_asked("n", points.len() as u64, &case["n"]);
    for (got, expect) in profile_like(points, expect).iter().zip(expect) {
        comparison.near("low", got.low, number(&expect["lo"]), 1e-6);
        comparison.near("high", got.high, number(&expect["hi"]), 1e-6);
        comparison.count_asked("n of bin", got.n, &expect["n"]);
        for (what, got) in [("mean", got.mean), ("err", got.err)] {
            match expect.get(what) {
                // One point has no spread, and none has no mean.
                Some(Value::Null) => comparison.equal(what, got.is_finite(), false),
                Some(expect) => {
                    comparison.near_relative(what, got, number(expect), tolerance(case));
                }
                None => {}
            }
        }
    }
    comparison.item(id)
}

fn harmonic(id: &str, case: &Value, points: &[Point], expect: &Value) -> Item {
    let got = match fit_harmonic(points) {
        Ok(got) => got,
        Err(error) => return raised(id, error),
    };
    let relative = tolerance(case);
    let mut comparison = Comparison::default();
    for (what, got) in [
        ("c0", got.constant),
        ("c_sin", got.sin_term),
        ("c_cos", got.cos_term),
    ] {
        comparison.near_asked_relative(what, got, &expect[what], relative);
    }
    if !expect["err"].is_null() {
        let errors = list(&expect["err"]);
        comparison.equal("errors", got.errors.len(), errors.len());
        for (got, expect) in got.errors.iter().zip(errors) {
            comparison.near_relative("err", *got, number(expect), relative);
        }
    }
    comparison.item(id)
}
