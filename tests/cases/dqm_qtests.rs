//! Quality tests of real histograms, against ROOT.

use crate::judging::{
    Comparison, Data, Item, Table, count, list, needs_data, number, raised, text,
};
use dqm::histogram::{Axis, Histogram};
use dqm::quality::{self, CannotRun};
use serde_json::Value;

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let file = text(&case["data"]);
    let table = data.table(file);
    let pairs = list(&case["histogram_cases"]);
    let mut items = Vec::new();
    for pair in pairs {
        let id = format!("{} of run {}", text(&pair["name"]), pair["run"]);
        items.push(compared(&id, pair, &case["tolerance"]).unwrap_or_else(|e| raised(&id, e)));
        // A histogram with made defects cannot be filled from the data again.
        if !pair["mean"].is_null() {
            let id = format!("{id}, filled");
            items.push(match &table {
                Some(table) => filled(&id, pair, table),
                None => needs_data(id, file),
            });
        }
    }
    let last = pairs.last().expect("the case holds histograms");
    items.push(simple(last, &case["simple"]));
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
    let chi2_rel = number(&tolerance["chi2_rel"]);
    let prob_abs = number(&tolerance["prob_abs"]);
    let ks_abs = number(&tolerance["ks_abs"]);
    let (test, reference) = (histogram(pair, "test")?, histogram(pair, "ref")?);
    let mut comparison = Comparison::default();
    let expect = &pair["comp2ref_chi2"];
    let got = quality::comp2ref_chi2(&test, &reference)?;
    comparison.near_relative("chi2", got.chi2, number(&expect["chi2"]), chi2_rel);
    comparison.equal("ndof", u64::from(got.ndof), count(&expect["ndof"]));
    comparison.near(
        "as coded",
        got.as_coded(),
        number(&expect["prob_as_coded"]),
        prob_abs,
    );
    comparison.near(
        "standard",
        got.probability(),
        number(&expect["prob_standard"]),
        prob_abs,
    );
    let expect = &pair["root_chi2test_UU"];
    if !expect.is_null() {
        let got = quality::chi2_test_unweighted(&test, &reference)?;
        comparison.near_relative("UU chi2", got.chi2, number(&expect["chi2"]), chi2_rel);
        comparison.equal("UU ndf", u64::from(got.ndof), count(&expect["ndf"]));
        comparison.near("UU p", got.probability(), number(&expect["p"]), prob_abs);
        let igood = u64::from(got.sparse) + 2 * u64::from(got.reference_sparse);
        comparison.equal("UU igood", igood, count(&expect["igood"]));
    }
    let expect = &pair["root_ks"];
    let got = quality::comp2ref_kolmogorov(&test, &reference, false)?;
    comparison.near(
        "KS distance",
        got.distance,
        number(&expect["maxdist"]),
        ks_abs,
    );
    comparison.near("KS", got.probability, number(&expect["prob"]), ks_abs);
    let expect = &pair["comp2ref_ks_as_coded"];
    let got = quality::comp2ref_kolmogorov(&test, &reference, true)?;
    comparison.near(
        "KS distance as coded",
        got.distance,
        number(&expect["dfmax"]),
        ks_abs,
    );
    comparison.near("KS z as coded", got.z, number(&expect["z"]), ks_abs);
    comparison.near(
        "KS as coded",
        got.probability,
        number(&expect["prob"]),
        ks_abs,
    );
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
    let entries: Vec<f64> = list(&pair["entries"]).iter().map(number).collect();
    let got = vec![test.entries() as f64, reference.entries() as f64];
    comparison.equal("entries", got, entries);
    for (what, got) in [
        ("test", test.mean()),
        ("test_err", test.mean_error()),
        ("test_rms", test.rms()),
        ("ref", reference.mean()),
    ] {
        let expect = number(&pair["mean"][what]);
        comparison.near_relative(what, got.unwrap_or(f64::NAN), expect, 1e-8);
    }
    comparison.item(id)
}

/// Dead and noisy channels and the x range, on the histogram with made defects.
fn simple(pair: &Value, expect: &Value) -> Item {
    const ID: &str = "dead, noisy, range";
    let histogram = match histogram(pair, "test") {
        Ok(histogram) => histogram,
        Err(error) => return raised(ID, error),
    };
    let bins = |of: &Value| -> Vec<usize> {
        list(&of["bad_bins"])
            .iter()
            .map(|bin| count(bin) as usize)
            .collect()
    };
    let mut comparison = Comparison::default();
    let dead = &expect["DeadChannel"];
    let got = quality::dead_channel(&histogram, number(&dead["threshold"]));
    comparison.equal("dead", got.bad_bins, bins(dead));
    comparison.near("alive", got.value, number(&dead["fraction_good"]), 1e-12);
    let noisy = &expect["NoisyChannel"];
    let neighbours = count(&noisy["neighbours"]) as usize;
    let got = quality::noisy_channel(&histogram, number(&noisy["tolerance"]), neighbours);
    comparison.equal("noisy", got.bad_bins, bins(noisy));
    let window: Vec<f64> = list(&expect["window"]).iter().map(number).collect();
    let got = quality::contents_x_range(&histogram, window[0], window[1]);
    comparison.near(
        "in range",
        got.value,
        number(&expect["ContentsXRange_frac_in"]),
        1e-9,
    );
    comparison.item(ID)
}
