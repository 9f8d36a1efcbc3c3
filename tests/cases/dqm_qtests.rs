//! Quality tests of real histograms, against ROOT.

use crate::judging::{
    Comparison, Data, Item, Table, caught, count, list, list_asked, needs_data, number, raised,
    text,
};
use dqm::histogram::{Axis, Histogram};
use dqm::quality::{self, CannotRun};
use serde_json::Value;

/// Tolerances where the case says none.
const USUAL_TOLERANCE: f64 = 1e-9;

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let file = case["data"].as_str().unwrap_or("(no data)");
    let table = data.table(file);
    let pairs = list_asked(&case["histogram_cases"]);
    let mut items = Vec::new();
    for pair in pairs {
        let id = format!("{} of run {}", text(&pair["name"]), pair["run"]);
        let judged = || compared(&id, pair, &case["tolerance"]).unwrap_or_else(|e| raised(&id, e));
        items.push(caught(&id, judged, |item| item));
        // A histogram with made defects has no mean, and cannot be filled from the data again.
        if !pair["mean"].is_null() {
            let id = format!("{id}, filled");
            items.push(match &table {
                Some(table) => caught(&id, || filled(&id, pair, table), |item| item),
                None => needs_data(id, file),
            });
        }
    }
    let simple = &case["simple"];
    if !simple.is_null() {
        items.push(caught(
            SIMPLE,
            || of_last(pairs.last(), simple),
            |item| item,
        ));
    }
    items
}

fn axis(pair: &Value) -> Axis {
    Axis {
        bins: count(&pair["nbins"]) as usize,
        low: number(&pair["lo"]),
        high: number(&pair["hi"]),
    }
}

fn booked(pair: &Value) -> Histogram {
    Histogram::new(text(&pair["name"]), "", "", axis(pair)).expect("the axis is possible")
}

fn histogram(pair: &Value, which: &str) -> Result<Histogram, CannotRun> {
    let contents = list(&pair[which]).iter().map(number).collect();
    Ok(booked(pair).with_contents(contents, None, None, None)?)
}

fn compared(id: &str, pair: &Value, tolerance: &Value) -> Result<Item, CannotRun> {
    let allowed = |name: &str| tolerance[name].as_f64().unwrap_or(USUAL_TOLERANCE);
    let (chi2_rel, prob_abs, ks_abs) =
        (allowed("chi2_rel"), allowed("prob_abs"), allowed("ks_abs"));
    let (test, reference) = (histogram(pair, "test")?, histogram(pair, "ref")?);
    let mut comparison = Comparison::default();
    let expect = &pair["comp2ref_chi2"];
    if !expect.is_null() {
        let got = quality::comp2ref_chi2(&test, &reference)?;
        comparison.near_asked_relative("chi2", got.chi2, &expect["chi2"], chi2_rel);
        comparison.count_asked("ndof", u64::from(got.ndof), &expect["ndof"]);
        let as_coded = &expect["prob_as_coded"];
        comparison.near_asked("as coded", got.as_coded(), as_coded, prob_abs);
        let standard = &expect["prob_standard"];
        comparison.near_asked("standard", got.probability(), standard, prob_abs);
    }
    let expect = &pair["root_chi2test_UU"];
    if !expect.is_null() {
        let got = quality::chi2_test_unweighted(&test, &reference)?;
        comparison.near_asked_relative("UU chi2", got.chi2, &expect["chi2"], chi2_rel);
        comparison.count_asked("UU ndf", u64::from(got.ndof), &expect["ndf"]);
        comparison.near_asked("UU p", got.probability(), &expect["p"], prob_abs);
        let igood = u64::from(got.sparse) + 2 * u64::from(got.reference_sparse);
        comparison.count_asked("UU igood", igood, &expect["igood"]);
    }
    for (name, as_coded) in [("root_ks", false), ("comp2ref_ks_as_coded", true)] {
        let expect = &pair[name];
        if expect.is_null() {
            continue;
        }
        let got = quality::comp2ref_kolmogorov(&test, &reference, as_coded)?;
        let what = |of: &str| format!("{of} of {name}");
        for (of, got) in [
            ("maxdist", got.distance),
            ("dfmax", got.distance),
            ("z", got.z),
            ("prob", got.probability),
        ] {
            comparison.near_asked(&what(of), got, &expect[of], ks_abs);
        }
    }
    Ok(comparison.item(id))
}

/// The histograms filled from the data: contents, entries, mean and width.
fn filled(id: &str, pair: &Value, table: &Table) -> Item {
    let column = if text(&pair["name"]) == "mass" {
        "M"
    } else {
        text(&pair["name"])
    };
    let rows: Vec<(u32, f64)> = table
        .runs()
        .into_iter()
        .zip(table.numbers(column))
        .collect();
    let fill = |runs: &[u64]| {
        let mut histogram = booked(pair);
        for (_, value) in rows
            .iter()
            .filter(|(run, _)| runs.contains(&u64::from(*run)))
        {
            histogram.fill(*value).expect("the data are numbers");
        }
        histogram
    };
    let test = fill(&[count(&pair["run"])]);
    let reference = fill(
        &list(&pair["ref_runs"])
            .iter()
            .map(count)
            .collect::<Vec<_>>(),
    );
    let mut comparison = Comparison::default();
    for (which, got) in [("test", &test), ("ref", &reference)] {
        let expect = list(&pair[which]).iter().map(number).collect();
        comparison.equal(which, got.contents().to_vec(), expect);
    }
    let entries: Vec<f64> = list_asked(&pair["entries"]).iter().map(number).collect();
    if !entries.is_empty() {
        let got = vec![test.entries() as f64, reference.entries() as f64];
        comparison.equal("entries", got, entries);
    }
    for (what, got) in [
        ("test", test.mean()),
        ("test_err", test.mean_error()),
        ("test_rms", test.rms()),
        ("ref", reference.mean()),
        ("ref_err", reference.mean_error()),
        ("ref_rms", reference.rms()),
    ] {
        let got = got.unwrap_or(f64::NAN);
        comparison.near_asked_relative(what, got, &pair["mean"][what], 1e-8);
    }
    comparison.item(id)
}

const SIMPLE: &str = "dead, noisy, range";

/// Dead and noisy channels and the x range, on the last histogram.
fn of_last(pair: Option<&Value>, expect: &Value) -> Item {
    let pair = pair.expect("the case should hold the histogram that is asked about");
    let histogram = match histogram(pair, "test") {
        Ok(histogram) => histogram,
        Err(error) => return raised(SIMPLE, error),
    };
    let mut comparison = Comparison::default();
    let mut channels = |what: &str, got: &quality::Measured, expect: &Value| {
        if !expect["bad_bins"].is_null() {
            let bins = list(&expect["bad_bins"]).iter();
            let bins: Vec<usize> = bins.map(|bin| count(bin) as usize).collect();
            comparison.equal(what, got.bad_bins.clone(), bins);
        }
        comparison.near_asked(what, got.value, &expect["fraction_good"], 1e-12);
    };
    let dead = &expect["DeadChannel"];
    if !dead.is_null() {
        let got = quality::dead_channel(&histogram, number(&dead["threshold"]));
        channels("dead", &got, dead);
    }
    let noisy = &expect["NoisyChannel"];
    if !noisy.is_null() {
        let neighbours = count(&noisy["neighbours"]) as usize;
        let got = quality::noisy_channel(&histogram, number(&noisy["tolerance"]), neighbours);
        channels("noisy", &got, noisy);
    }
    let inside = &expect["ContentsXRange_frac_in"];
    if !inside.is_null() {
        let window: Vec<f64> = list(&expect["window"]).iter().map(number).collect();
        let got = quality::contents_x_range(&histogram, window[0], window[1]);
        comparison.near_asked("in range", got.value, inside, 1e-9);
    }
    comparison.item(SIMPLE)
}
