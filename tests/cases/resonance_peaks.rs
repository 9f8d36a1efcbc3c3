//! Resonance peaks of real dimuons, against iminuit.

use crate::judging::{
    Comparison, Data, Item, Table, caught, count, list, members_asked, needs_data, number,
    number_after, number_before, raised, text,
};
use calibration::profile::profile;
use calibration::scale::{self, Background, Peak, PeakModel};
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
/// Models of the project; where their fits start no case says.
static OWN: [PeakModel; 3] = [PeakModel::Z, PeakModel::UPSILON_1S, PeakModel::PSI_2S];
/// Where any other fit starts: a resolution of this share of the window.
const START_SIGMA: f64 = 0.05;

/// What a case says about one resonance.
struct Asked<'c> {
    model: PeakModel,
    /// The column of masses.
    column: &'c str,
    /// How far a value may be off, in errors, and an error, relative.
    tolerance: (f64, f64),
}

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let mut items = Vec::new();
    for fit in list(&case["fits"]) {
        let name = fit["name"].as_str().unwrap_or("(no name)");
        items.extend(caught(
            name,
            || judge_fit(name, fit, data),
            |item| vec![item],
        ));
    }
    items
}

fn judge_fit(name: &str, fit: &Value, data: &Data) -> Vec<Item> {
    let asked = match Asked::of(name, fit) {
        Ok(asked) => asked,
        Err(why) => return vec![raised(name, why)],
    };
    let file = fit["data"].as_str().unwrap_or("(no data)");
    let table = data.table(file);
    let item = |id: &str, of: &dyn Fn(&Table) -> Item| match &table {
        Some(table) => caught(id, || of(table), |item| item),
        None => needs_data(id, file),
    };
    let mut items = Vec::new();
    let filled = |table: &Table| asked.model.histogram(&table.numbers(asked.column));
    if fit["hist"].is_null() {
        items.push(item(name, &|table| peak(name, &asked, &filled(table), fit)));
    } else {
        let counts: Vec<u64> = list(&fit["hist"]).iter().map(count).collect();
        items.push(peak(name, &asked, &counts, fit));
        let id = format!("{name} histogram");
        items.push(item(&id, &|table| {
            let mut comparison = Comparison::default();
            comparison.equal("histogram", filled(table), counts.clone());
            known(&mut comparison, &asked.model);
            comparison.item(&id)
        }));
    }
    for (part, cases) in members_asked(fit) {
        let window = part.strip_prefix("per_run_window_");
        if window.is_none() && part != "in_eta" && part != "per_run_voigt" {
            continue;
        }
        for (key, expect) in members_asked(cases) {
            let id = format!("{name} {part} {key}");
            items.push(item(&id, &|table| {
                let masses = chosen(table, asked.column, part, key);
                let mut comparison = Comparison::default();
                comparison.count_asked("n", masses.len() as u64, &expect["n"]);
                match window {
                    Some(window) => in_window(&mut comparison, window, &masses, expect),
                    None => {
                        let counts = asked.model.histogram(&masses);
                        match scale::fit(&asked.model, &counts) {
                            Ok(got) => asked.goodness(&mut comparison, &got, expect),
                            Err(error) => return raised(&id, error),
                        }
                    }
                }
                comparison.item(&id)
            }));
        }
    }
    items
}

impl<'c> Asked<'c> {
    /// Reads the model from the words of the case: "N*Voigt(M-mu; sigma=sig, gamma=HWHM=1.2476)"
    /// or "N*Gauss(M;mu,sig)", on "B*exp(-lam*(M-90))" or "a+b*(M-9.45)".
    fn of(name: &str, fit: &'c Value) -> Result<Self, String> {
        let words = &fit["model"];
        let said = text(words);
        let gamma_hwhm_gev = if said.contains("Voigt(") {
            number_after(words, "HWHM=").ok_or("a Voigt line without its HWHM")?
        } else if said.contains("Gauss(") {
            0.0
        } else {
            return Err(format!(
                "a line shape that this runner does not know: {said}"
            ));
        };
        let background = if let Some(reference_gev) = number_after(words, "exp(-lam*(M-") {
            Background::Exponential { reference_gev }
        } else if let Some(reference_gev) = number_after(words, "a+b*(M-") {
            Background::Linear { reference_gev }
        } else {
            return Err(format!(
                "a background that this runner does not know: {said}"
            ));
        };
        let range: Vec<f64> = list(&fit["range"]).iter().map(number).collect();
        let [low, high] = range[..] else {
            return Err("a range that is no pair".to_owned());
        };
        let tolerance = &fit["tolerance"];
        let own = OWN.iter().find(|own| own.name == name);
        Ok(Self {
            model: PeakModel {
                // The model keeps names of resonances for the life of the program.
                name: Box::leak(name.to_owned().into_boxed_str()),
                pdg_mass_gev: fit["pdg_mass"].as_f64().unwrap_or(f64::midpoint(low, high)),
                gamma_hwhm_gev,
                range_gev: (low, high),
                bins: count(&fit["nbins"]) as usize,
                background,
                start_sigma_gev: own.map_or(START_SIGMA * (high - low), |own| own.start_sigma_gev),
            },
            column: fit["column"].as_str().unwrap_or("M"),
            tolerance: (
                number_before(tolerance, "*error").unwrap_or(0.05),
                number_before(tolerance, "%").unwrap_or(2.0) / 100.0,
            ),
        })
    }

    fn goodness(&self, comparison: &mut Comparison, got: &Peak, expect: &Value) {
        comparison.near_asked("min2nll", got.min2nll, &expect["min2nll"], 0.01);
        comparison.count_asked("ndf", u64::from(got.ndf), &expect["ndf"]);
        // The parameters stand under their own name or beside the rest.
        let expect = if expect["fit"].is_null() {
            expect
        } else {
            &expect["fit"]
        };
        let (in_errors, relative) = self.tolerance;
        for (theirs, ours) in NAMES {
            if expect[theirs].is_null() {
                continue;
            }
            let (value, error) = (&expect[theirs]["value"], number(&expect[theirs]["error"]));
            let found = got.parameters.iter().find(|found| found.name == ours);
            let Some(found) = found else {
                comparison.equal(theirs, "no such parameter", ours);
                continue;
            };
            comparison.near(theirs, found.value, number(value), in_errors * error);
            let what = format!("error of {theirs}");
            comparison.near_relative(&what, found.error, error, relative);
        }
    }
}

/// Of a resonance that the project has a model of, the case's is the same over the same bins.
fn known(comparison: &mut Comparison, model: &PeakModel) {
    if let Some(own) = OWN.iter().find(|own| own.name == model.name) {
        comparison.equal("PDG mass", own.pdg_mass_gev, model.pdg_mass_gev);
        if own.range_gev == model.range_gev && own.bins == model.bins {
            comparison.equal("own model", own, model);
        }
    }
}

/// The masses that `part` and `key` select: of muons in a range of eta, or of a run.
fn chosen(table: &Table, column: &str, part: &str, key: &str) -> Vec<f64> {
    let masses = table.numbers(column).into_iter();
    if part != "in_eta" {
        let run: u32 = key.parse().expect("keys are runs");
        let pairs = masses.zip(table.runs());
        return pairs
            .filter_map(|(mass, of)| (of == run).then_some(mass))
            .collect();
    }
    // "both|eta|<0.9", "any|eta|>1.4".
    let (who, limit) = key.split_once("|eta|").expect("a selection names |eta|");
    let limit_of = |mark: char| {
        limit
            .strip_prefix(mark)
            .and_then(|limit| limit.parse().ok())
    };
    let passes = |eta: f64| match (limit_of('<'), limit_of('>')) {
        (Some(below), _) => eta.abs() < below,
        (None, Some(above)) => eta.abs() > above,
        (None, None) => panic!("a limit that this runner does not know: {limit}"),
    };
    let (eta1, eta2) = (table.numbers("eta1"), table.numbers("eta2"));
    let is_chosen = |row: usize| match who {
        "both" => passes(eta1[row]) && passes(eta2[row]),
        "any" => passes(eta1[row]) || passes(eta2[row]),
        other => panic!("muons that this runner does not know: {other}"),
    };
    let rows = masses.enumerate();
    rows.filter_map(|(row, mass)| is_chosen(row).then_some(mass))
        .collect()
}

/// Number, mean and median of the masses in a window, "81_101".
fn in_window(comparison: &mut Comparison, window: &str, masses: &[f64], expect: &Value) {
    let edges = window.split_once('_');
    let edges = edges.and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    let (low, high): (f64, f64) = edges.expect("a window is two numbers");
    let points: Vec<(f64, f64)> = masses.iter().map(|mass| (*mass, *mass)).collect();
    let window = profile(&points, (low, high), 1)[0];
    comparison.count_asked("n_win", window.n, &expect["n_win"]);
    comparison.near_asked("mean_win", window.mean, &expect["mean_win"], 1e-6);
    let inside = masses.iter().filter(|mass| **mass >= low && **mass < high);
    let mut inside: Vec<f64> = inside.copied().collect();
    inside.sort_by(f64::total_cmp);
    let middle = |place: usize| inside.get(place).copied().unwrap_or(f64::NAN);
    let (below, above) = (inside.len().saturating_sub(1) / 2, inside.len() / 2);
    let median = f64::midpoint(middle(below), middle(above));
    comparison.near_asked("median_win", median, &expect["median_win"], 1e-6);
}

fn peak(id: &str, asked: &Asked<'_>, counts: &[u64], expect: &Value) -> Item {
    let mut comparison = Comparison::default();
    match scale::fit(&asked.model, counts) {
        Ok(got) => asked.goodness(&mut comparison, &got, expect),
        Err(error) => return raised(id, error),
    }
    comparison.item(id)
}
