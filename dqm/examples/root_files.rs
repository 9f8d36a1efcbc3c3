//! Writes monitor elements into a folder, for tests/judge/root_files.py: of two pieces and of their
//! sum a ROOT file, the record (UHI JSON) and each element as ROOT JSON. What the quality tests say
//! of one piece against the other stands beside them.
//!
//! In: a folder. Out: `a.root`, `a.uhi.json`, `a.objects.json` and so on, `tests.json`.

use serde_json::{Value, json};
use std::path::Path;
use tier0_dqm::element::{Element, Elements};
use tier0_dqm::histogram::{Axis, Histogram};
use tier0_dqm::histogram2d::Histogram2d;
use tier0_dqm::profile::{ErrorOption, Profile, ProfileBooking};
use tier0_dqm::{quality, root, uhi};

const RUN: u32 = 165_548;

/// Numbers between 0 and 1, always the same (Numerical Recipes' quick generator).
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0) / 2.0_f64.powi(32)
    }

    /// About normal around 0 with width 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

fn axis(bins: usize, low: f64, high: f64) -> Axis {
    Axis { bins, low, high }
}

fn booked_profile(name: &str, error: ErrorOption, ordinates: Option<[f64; 2]>) -> Profile {
    let booking = ProfileBooking {
        unit: "cm".to_owned(),
        ordinate_unit: "GeV".to_owned(),
        axis: axis(20, -3.0, 3.0),
        ordinates,
        error,
    };
    Profile::new(name, "A profile", booking).expect("the axis is possible")
}

/// One piece of a run: `entries` entries around `centre`.
fn piece(seed: u32, entries: u32, centre: f64) -> Elements {
    const POSSIBLE: &str = "axes and values are possible";
    let mut numbers = Numbers(seed);
    let of_mass = axis(60, 60.0, 120.0);
    let mut mass = Histogram::new("mass", "Dimuon mass", "GeV", of_mass).expect(POSSIBLE);
    let mut weighted =
        Histogram::new("weighted", "With weights", "", axis(40, -4.0, 4.0)).expect(POSSIBLE);
    let mut counted =
        Histogram::new("counted", "Without weights", "", axis(40, -4.0, 4.0)).expect(POSSIBLE);
    let empty = Histogram::new("empty", "", "", axis(10, 0.0, 1.0)).expect(POSSIBLE);
    let axes = [axis(24, -3.0, 3.0), axis(12, -3.0, 3.0)];
    let mut map = Histogram2d::new("map", "A map", ["cm", "rad"], axes).expect(POSSIBLE);
    let mut heavy = Histogram2d::new("heavy", "A map", ["cm", "rad"], axes).expect(POSSIBLE);
    let mut profile = booked_profile("profile", ErrorOption::Mean, None);
    let mut spread = booked_profile("spread", ErrorOption::Spread, Some([-2.0, 20.0]));
    for _ in 0..entries {
        let (x, y) = (numbers.normal() + centre, numbers.normal());
        let weight = 0.5 + numbers.next() / 3.0;
        mass.fill(91.2 + 4.0 * x).expect(POSSIBLE);
        weighted.fill_weighted(x, weight).expect(POSSIBLE);
        counted.fill(y).expect(POSSIBLE);
        map.fill(x, y).expect(POSSIBLE);
        heavy.fill_weighted(x, y, weight).expect(POSSIBLE);
        profile.fill(x, 10.0 + x * x + y).expect(POSSIBLE);
        spread.fill_weighted(x, y * 3.0, weight).expect(POSSIBLE);
    }
    Elements::from([
        ("Muons/mass".to_owned(), Element::Histogram(mass)),
        (
            "Muons/Tracks/weighted".to_owned(),
            Element::Histogram(weighted),
        ),
        (
            "Muons/Tracks/counted".to_owned(),
            Element::Histogram(counted),
        ),
        ("Muons/Tracks/empty".to_owned(), Element::Histogram(empty)),
        ("Muons/Tracks/map".to_owned(), Element::Histogram2d(map)),
        ("Muons/Tracks/heavy".to_owned(), Element::Histogram2d(heavy)),
        ("Tracker/profile".to_owned(), Element::Profile(profile)),
        ("Tracker/Inner/spread".to_owned(), Element::Profile(spread)),
        (
            "Tracker/events".to_owned(),
            Element::Counter(i64::from(entries)),
        ),
        ("Tracker/release".to_owned(), Element::text("R_1_2")),
    ])
}

fn chi2_shown(chi2: &quality::Chi2) -> Value {
    json!({
        "chi2": chi2.chi2,
        "ndof": chi2.ndof,
        "p": chi2.probability(),
        "igood": u8::from(chi2.sparse) + 2 * u8::from(chi2.reference_sparse),
    })
}

/// Histograms of counts against histograms of weights.
fn mixed(a: &Elements) -> Value {
    const POSSIBLE: &str = "both are booked alike and hold entries";
    let mut found = serde_json::Map::new();
    for paths in [
        ["Muons/Tracks/counted", "Muons/Tracks/weighted"],
        ["Muons/Tracks/map", "Muons/Tracks/heavy"],
    ] {
        let chi2 = match paths.map(|path| &a[path]) {
            [Element::Histogram(a), Element::Histogram(b)] => quality::chi2_test(a, b),
            [Element::Histogram2d(a), Element::Histogram2d(b)] => quality::chi2_test_2d(a, b),
            _ => continue,
        };
        let mut values = chi2_shown(&chi2.expect(POSSIBLE));
        values["paths"] = json!(paths);
        found.insert(paths[0].to_owned(), values);
    }
    Value::Object(found)
}

/// Chi-square and Kolmogorov of the histograms, by path.
fn compared(a: &Elements, b: &Elements) -> Value {
    let mut found = serde_json::Map::new();
    for (path, element) in a {
        let values = match (element, &b[path]) {
            (Element::Histogram(a), Element::Histogram(b)) if a.entries() > 0 => {
                let chi2 = quality::chi2_test(a, b).expect("both hold entries");
                let distance =
                    quality::comp2ref_kolmogorov(a, b, false).expect("both hold entries");
                let mut values = chi2_shown(&chi2);
                values["ks"] = json!(distance.probability);
                values["ks_distance"] = json!(distance.distance);
                values
            }
            (Element::Histogram2d(a), Element::Histogram2d(b)) => {
                chi2_shown(&quality::chi2_test_2d(a, b).expect("both hold entries"))
            }
            _ => continue,
        };
        found.insert(path.clone(), values);
    }
    Value::Object(found)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the room is pure, its example has to leave files"
)]
fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).expect("the folder can be written to");
}

fn main() {
    let folder = std::env::args_os()
        .nth(1)
        .expect("usage: root_files FOLDER");
    let folder = Path::new(&folder);
    let (a, b) = (piece(1, 5_000, 0.0), piece(2, 3_000, 0.05));
    let mut sum = a.clone();
    for (path, element) in &mut sum {
        element
            .merge(path, &b[path])
            .expect("both are booked alike");
    }
    let plain: Elements = a
        .iter()
        .filter(|(path, _)| *path == "Muons/mass")
        .map(|(path, element)| (path.clone(), element.clone()))
        .collect();
    for (name, elements) in [("a", &a), ("b", &b), ("sum", &sum), ("plain", &plain)] {
        let file = root::file(&format!("{name}.root"), RUN, elements).expect("paths are possible");
        write(folder, &format!("{name}.root"), &file);
        write(
            folder,
            &format!("{name}.uhi.json"),
            uhi::write_elements(elements).as_bytes(),
        );
        let objects: serde_json::Map<String, Value> = elements
            .iter()
            .map(|(path, element)| (path.clone(), Value::String(root::json(path, element))))
            .collect();
        let objects = Value::Object(objects).to_string();
        write(folder, &format!("{name}.objects.json"), objects.as_bytes());
    }
    let tests = json!({"run": RUN, "a_with_b": compared(&a, &b), "mixed": mixed(&a)});
    write(folder, "tests.json", tests.to_string().as_bytes());
}
