//! Millepede fits of Mille records and steering files, against pede and numpy.

use crate::judging::{Comparison, Data, Item, leading_number, members, number, text};
use crate::judging::{list_asked, needs_data, raised};
use calibration::millepede::{Fit, Input, MillepedeError, Records, Steering, fit};
use serde_json::Value;
use std::collections::BTreeMap;

/// The content of files by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Whether a file's name ends so.
fn is_a(name: &str, ending: &str) -> bool {
    let own = std::path::Path::new(name).extension();
    own.is_some_and(|own| own == ending)
}

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    const WHOLE: &str = "fit";
    let mut files = Files::new();
    for file in list_asked(&case["files"]).iter().map(text) {
        // Beside the case, or among the data.
        let Some(content) = data.beside(file).or_else(|| data.bytes(file)) else {
            return vec![needs_data(WHOLE, file)];
        };
        let name = file.rsplit('/').next().unwrap_or(file);
        files.insert(name.to_owned(), content);
    }
    let fit = match fit_files(&files) {
        Ok(fit) => fit,
        Err(error) => return vec![raised(WHOLE, error)],
    };
    let tolerance = &case["tolerance"];
    let mut items: Vec<Item> = sums(&fit, case).into_iter().collect();
    if case["numpy"].is_object() {
        items.push(values(&fit, &case["numpy"], tolerance));
    }
    for (name, content) in files.iter().filter(|(name, _)| is_a(name, "res")) {
        items.push(result_file(
            name,
            &fit,
            &String::from_utf8_lossy(content),
            tolerance,
        ));
    }
    for (name, content) in files.iter().filter(|(name, _)| is_a(name, "end")) {
        let mut comparison = Comparison::default();
        let expect = String::from_utf8_lossy(content).trim().to_owned();
        comparison.equal("ending", fit.end_text().trim().to_owned(), expect);
        items.push(comparison.item(name));
    }
    if case["truth"].is_object() {
        items.push(truth(&fit, &case["truth"]));
    }
    items
}

/// The fit that the steering file among these asks for: the text that names others.
fn fit_files(files: &Files) -> Result<Fit, MillepedeError> {
    let texts: BTreeMap<&str, String> = files
        .iter()
        .filter(|(name, _)| name.ends_with("xt"))
        .map(|(name, content)| (name.as_str(), String::from_utf8_lossy(content).into_owned()))
        .collect();
    let names_another = |text: &str| {
        text.lines().any(|line| {
            let word = line.split_whitespace().next().unwrap_or_default();
            files.contains_key(word.rsplit('/').next().unwrap_or(word))
        })
    };
    let steering = texts.iter().find(|(_, text)| names_another(text));
    let (name, text) = steering.expect("one of the case's texts names its data files");
    let mut steering = Steering::parse(name, text)?;
    let own = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    for name in steering.texts.clone() {
        let text = texts
            .get(own(&name).as_str())
            .expect("the case has the texts it names");
        steering.add_text(&name, text)?;
    }
    let mut inputs = Vec::new();
    for file in &steering.data {
        let content = files
            .get(&own(&file.name))
            .expect("the case has the data it names");
        inputs.push((Records::read(&file.name, content, file.form)?, file.weight));
    }
    let inputs: Vec<Input> = inputs
        .iter()
        .map(|(records, weight)| Input {
            records,
            weight: *weight,
        })
        .collect();
    fit(&steering, &inputs)
}

/// A tolerance of the case, or what the first case asked for.
fn tolerance_of(tolerance: &Value, name: &str, otherwise: f64) -> f64 {
    tolerance.get(name).map_or(otherwise, leading_number)
}

/// A value with or without its error.
fn pair(expect: &Value) -> (f64, Option<f64>) {
    match expect.as_array().map(Vec::as_slice) {
        Some([value, error, ..]) => (number(value), error.as_f64()),
        Some([value]) => (number(value), None),
        _ => (number(expect), None),
    }
}

/// Counts and the objective, as far as the case asks for any.
fn sums(got: &Fit, case: &Value) -> Option<Item> {
    let mut comparison = Comparison::default();
    let mut is_asked = false;
    for (name, got) in [
        ("records", got.records),
        ("measurements", got.measurements),
        ("globals", got.parameters.len() as u64),
        ("constraints", got.constraints as u64),
        ("ndf", got.ndf.unsigned_abs()),
    ] {
        is_asked |= !case[name].is_null();
        comparison.count_asked(name, got, &case[name]);
    }
    // Both are sums of many squares; where nothing is said, eight digits are asked for.
    let relative = tolerance_of(&case["tolerance"], "chi2_rel", 1e-8);
    for (name, got) in [
        ("chi2", got.chi_square),
        ("chi2_start", got.chi_square_start),
    ] {
        is_asked |= !case[name].is_null();
        comparison.near_asked_relative(name, got, &case[name], relative);
    }
    is_asked.then(|| comparison.item("sums"))
}

/// Values and errors of an independent solution.
fn values(got: &Fit, expect: &Value, tolerance: &Value) -> Item {
    let absolute = tolerance_of(tolerance, "value_abs_vs_numpy", 1e-7);
    let relative = tolerance_of(tolerance, "error_rel", 1e-3);
    let mut comparison = Comparison::default();
    for (label, expect) in members(expect) {
        let Some(got) = label
            .parse()
            .ok()
            .and_then(|label: i32| got.parameters.get(&label))
        else {
            comparison.equal(&format!("label {label}"), "absent", "fitted");
            continue;
        };
        let (value, error) = pair(expect);
        comparison.near(&format!("value of {label}"), got.value, value, absolute);
        if let (Some(error), Some(expect)) = (got.error, error) {
            comparison.near_relative(&format!("error of {label}"), error, expect, relative);
        }
    }
    comparison.item("values")
}

/// What pede printed: label, value, presigma and, of fitted parameters, difference and error.
fn result_file(name: &str, got: &Fit, printed: &str, tolerance: &Value) -> Item {
    let absolute = tolerance_of(tolerance, "value_abs_vs_pede_res", 6e-6);
    let relative = tolerance_of(tolerance, "error_rel", 1e-3);
    let mut comparison = Comparison::default();
    let mut lines = 0;
    for line in printed.lines().skip(1) {
        let numbers: Vec<f64> = line
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        let [label, value, _, fitted @ ..] = &numbers[..] else {
            continue;
        };
        lines += 1;
        let Some(got) = got.parameters.get(&(*label as i32)) else {
            comparison.equal(&format!("label {label}"), "absent", "printed");
            continue;
        };
        comparison.near(&format!("value of {label}"), got.value, *value, absolute);
        comparison.equal(
            &format!("whether {label} was fitted"),
            got.difference.is_some(),
            !fitted.is_empty(),
        );
        if let (Some(error), Some(expect)) = (got.error, fitted.get(1)) {
            comparison.near_relative(&format!("error of {label}"), error, *expect, relative);
        }
    }
    comparison.equal("labels", got.parameters.len(), lines);
    comparison.item(name)
}

/// The planted values: two of a plane, its offset (label 10 + 2 i) and drift velocity (label
/// 500 + i), or one of a label. They are to be found within their errors: at most five errors off
/// each, one error off on the whole.
fn truth(got: &Fit, expect: &Value) -> Item {
    let mut comparison = Comparison::default();
    let (mut squares, mut n) = (0.0, 0.0);
    for (place, expect) in members(expect) {
        let place: i32 = place.parse().expect("the truth is by plane or by label");
        let planted = match pair(expect) {
            (offset, Some(drift)) => vec![(10 + 2 * place, offset), (500 + place, drift)],
            (value, None) => vec![(place, value)],
        };
        for (label, expect) in planted {
            let Some(parameter) = got.parameters.get(&label) else {
                comparison.equal(&format!("label {label}"), "absent", "fitted");
                continue;
            };
            if let Some(error) = parameter.error {
                let pull = (parameter.value - expect) / error;
                comparison.near(&format!("pull of {label}"), pull, 0.0, 5.0);
                squares += pull * pull;
                n += 1.0;
            }
        }
    }
    if n > 0.0 {
        comparison.near("width of pulls", f64::sqrt(squares / n), 1.0, 0.25);
    }
    comparison.item("truth")
}
