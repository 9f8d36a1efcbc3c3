//! Tests of the fit: against pede and numpy, against one large fit of everything, of all methods
//! against each other, and of cuts and weights.

use super::steering::{Condition, ENTRIES_MIN, Entry, Start};
use super::*;
use crate::chamber::{self, Truth};
use nalgebra::{DMatrix, DVector};
use serde_json::Value;

const TRACKS: &[u8] = include_bytes!("../../tests/cases/millepede/mp2small.bin");
const STEERING: &str = include_str!("../../tests/cases/millepede/steer.txt");
const CONSTRAINTS: &str = include_str!("../../tests/cases/millepede/mp2con.txt");
const PEDE: &str = include_str!("../../tests/cases/millepede/millepede.res");
const CASE: &str = include_str!("../../tests/cases/millepede.json");

fn case() -> (Steering, Records) {
    let mut steering = Steering::parse("steer.txt", STEERING).unwrap();
    assert_eq!(steering.texts, ["mp2con.txt"]);
    steering.add_text("mp2con.txt", CONSTRAINTS).unwrap();
    let file = &steering.data[0];
    let records = Records::read(&file.name, TRACKS, file.form).unwrap();
    (steering, records)
}

pub(super) fn fit_one(steering: &Steering, records: &Records) -> Result<Fit, MillepedeError> {
    fit(
        steering,
        &[Input {
            records,
            weight: 1.0,
        }],
    )
}

#[test]
fn the_test_chamber_of_pede_gives_its_values_and_errors() {
    let (steering, records) = case();
    let fit = fit_one(&steering, &records).unwrap();
    let case: Value = serde_json::from_str(CASE).unwrap();
    let numpy = case["numpy"].as_object().unwrap();
    assert_eq!(fit.parameters.len(), numpy.len());
    for (label, expect) in numpy {
        let got = &fit.parameters[&label.parse().unwrap()];
        let (value, error) = (expect[0].as_f64().unwrap(), expect[1].as_f64().unwrap());
        assert!((got.value - value).abs() < 1e-9, "{label}: {got:?} {value}");
        assert!(
            (got.error.unwrap() / error - 1.0).abs() < 2e-5,
            "{label}: {got:?} {error}"
        );
    }
    assert_eq!((fit.records, fit.measurements), (300, 26_679));
    assert_eq!((fit.ndf, fit.rejects.total()), (25_881, 0));
    assert!(
        (fit.chi_square - case["chi2"].as_f64().unwrap()).abs() < 1e-6,
        "{}",
        fit.chi_square
    );
    let start = case["chi2_start"].as_f64().unwrap();
    assert!(
        (fit.chi_square_start / start - 1.0).abs() < 1e-12,
        "{}",
        fit.chi_square_start
    );
    assert_eq!(fit.end_text(), "    0   Ended normally\n");
}

#[test]
fn the_text_of_the_result_is_that_of_pede_to_its_last_digit() {
    let (steering, records) = case();
    let fit = fit_one(&steering, &records).unwrap();
    let text = fit.res_text();
    assert_eq!(text.lines().count(), PEDE.lines().count());
    let mut differing = 0;
    for (ours, theirs) in text.lines().zip(PEDE.lines()) {
        let theirs = theirs.trim_end();
        if ours == theirs {
            continue;
        }
        // pede rounds 32-bit numbers: the last of five digits may differ by one.
        differing += 1;
        assert_eq!(ours.len(), theirs.len(), "{ours}");
        let words = ours.split_whitespace().zip(theirs.split_whitespace());
        for (our, their) in words {
            let (our, their): (f64, f64) = (our.parse().unwrap(), their.parse().unwrap());
            assert!(
                (our - their).abs() <= 1.01e-4 * their.abs(),
                "{ours} {theirs}"
            );
        }
    }
    println!(
        "{differing} of {} lines differ in a last digit",
        PEDE.lines().count()
    );
    assert!(differing < 20, "{differing} lines");
    // As the start of another fit it moves nothing.
    let mut again = steering.clone();
    again.add_text("millepede.res", &text).unwrap();
    let second = fit_one(&again, &records).unwrap();
    for parameter in second.parameters.values() {
        assert!(parameter.difference.unwrap().abs() < 1e-5, "{parameter:?}");
    }
}

#[test]
fn all_methods_find_the_same() {
    let (steering, records) = case();
    let reference = fit_one(&steering, &records).unwrap();
    let methods = [
        Method::Inversion,
        Method::Diagonalization,
        Method::Cholesky,
        Method::Minres,
    ];
    for method in methods {
        for constraining in [Constraining::Elimination, Constraining::Multipliers] {
            let steering = Steering {
                method,
                constraining,
                ..steering.clone()
            };
            let fit = fit_one(&steering, &records).unwrap();
            let name = format!("{} {constraining:?}", method.name());
            let mut off: f64 = 0.0;
            for (label, expect) in &reference.parameters {
                let got = &fit.parameters[label];
                off = off.max((got.value - expect.value).abs());
                match got.error {
                    Some(error) => {
                        let ratio = error / expect.error.unwrap();
                        assert!((ratio - 1.0).abs() < 1e-9, "{name} {label}: {ratio}");
                    }
                    None => assert_eq!(method, Method::Minres),
                }
            }
            println!("{name}: largest difference {off:.2e}");
            assert!(off < 1e-10, "{name}: {off}");
            assert!(
                (fit.chi_square / reference.chi_square - 1.0).abs() < 1e-12,
                "{name}"
            );
        }
    }
}

/// A deterministic set of tracks with three local parameters (two of them the track's, one that
/// only some measurements have) and six global ones.
pub(super) fn small(tracks: usize) -> Records {
    let mut random = crate::random::Random::new(11);
    let mut records = Records::default();
    for _ in 0..tracks {
        let (at, slope) = (random.normal(), random.normal());
        for plane in 0..6 {
            let x = f64::from(plane);
            let sigma = 0.1 + 0.02 * x;
            let value = at + slope * x + 0.3 * x.sin() + sigma * random.normal();
            let mut local = vec![(1, 1.0), (2, x)];
            if plane > 2 {
                local.push((3, x - 2.0));
            }
            let by = random.normal();
            let global = [(10 + plane, 1.0), (10 + (plane + 1) % 6, 0.1 * by)];
            records.measure(value, sigma, &local, &global).unwrap();
        }
        records.measure(0.0, 0.05, &[(3, 1.0)], &[]).unwrap();
        records.end_record();
    }
    records
}

/// One large least-squares fit of all local and global parameters, with multipliers.
fn everything_at_once(records: &Records, constraints: &[(f64, Vec<f64>)]) -> (DVector<f64>, f64) {
    let size = 6 + 3 * records.len();
    let all = size + constraints.len();
    let (mut matrix, mut right) = (DMatrix::zeros(all, all), DVector::zeros(all));
    type Equation = (Vec<(usize, f64)>, f64, f64);
    let rows: Vec<Equation> = (0..records.len())
        .flat_map(|record| {
            records.measurements(record).map(move |m| {
                let local = m.local_indices.iter().zip(m.local);
                let local = local.map(move |(i, d)| (6 + 3 * record + *i as usize - 1, *d));
                let global = m
                    .labels
                    .iter()
                    .zip(m.global)
                    .map(|(l, d)| (*l as usize - 10, *d));
                (local.chain(global).collect(), m.value, m.sigma)
            })
        })
        .collect();
    for (terms, value, sigma) in &rows {
        for (i, a) in terms {
            right[*i] += a * value / sigma.powi(2);
            for (j, b) in terms {
                matrix[(*i, *j)] += a * b / sigma.powi(2);
            }
        }
    }
    for (k, (value, factors)) in constraints.iter().enumerate() {
        right[size + k] = *value;
        for (j, factor) in factors.iter().enumerate() {
            matrix[(size + k, j)] = *factor;
            matrix[(j, size + k)] = *factor;
        }
    }
    let inverse = matrix.try_inverse().unwrap();
    let solution = &inverse * right;
    let residual =
        |terms: &[(usize, f64)]| terms.iter().map(|(i, a)| a * solution[*i]).sum::<f64>();
    let chi_square = rows
        .iter()
        .map(|(terms, value, sigma)| ((value - residual(terms)) / sigma).powi(2))
        .sum();
    let values = DVector::from_fn(12, |k, _| {
        if k < 6 {
            solution[k]
        } else {
            inverse[(k - 6, k - 6)].sqrt()
        }
    });
    (values, chi_square)
}

pub(super) fn small_steering() -> (Steering, Vec<(f64, Vec<f64>)>) {
    let constraints = vec![
        (0.25, vec![1.0; 6]),
        (
            -0.5,
            (0..6).map(|k| f64::from(k) - 2.5).collect::<Vec<f64>>(),
        ),
    ];
    let condition = |(value, factors): &(f64, Vec<f64>)| Condition {
        value: *value,
        sigma: 0.0,
        terms: factors
            .iter()
            .enumerate()
            .map(|(k, f)| (10 + k as i32, *f))
            .collect(),
        by_entries: false,
    };
    let steering = Steering {
        constraints: constraints.iter().map(condition).collect(),
        iterations: 3,
        ..Steering::default()
    };
    (steering, constraints)
}

#[test]
fn it_is_the_fit_of_all_parameters_at_once() {
    let records = small(25);
    let (steering, constraints) = small_steering();
    let (expect, chi_square) = everything_at_once(&records, &constraints);
    for constraining in [Constraining::Elimination, Constraining::Multipliers] {
        let fit = fit_one(
            &Steering {
                constraining,
                ..steering.clone()
            },
            &records,
        )
        .unwrap();
        for (k, parameter) in fit.parameters.values().enumerate() {
            assert!(
                (parameter.value - expect[k]).abs() < 1e-9,
                "{k} {parameter:?} {expect}"
            );
            assert!(
                (parameter.error.unwrap() / expect[6 + k] - 1.0).abs() < 1e-8,
                "{k}"
            );
        }
        assert!(
            (fit.chi_square / chi_square - 1.0).abs() < 1e-9,
            "{} {chi_square}",
            fit.chi_square
        );
        assert_eq!(fit.ndf, 25 * (7 - 3) - 6 + 2);
        assert_eq!(
            fit.iterations, 2,
            "one step, and one that finds nothing left"
        );
        let sum: f64 = fit
            .parameters
            .values()
            .map(|parameter| parameter.value)
            .sum();
        assert!((sum - 0.25).abs() < 1e-12, "{sum}");
    }
}

#[test]
fn any_split_gives_the_same_sums() {
    let truth = Truth::draw(4);
    let parts: Vec<Records> = (0..5).map(|seed| truth.tracks(seed, 40)).collect();
    let steering = chamber::steering();
    let mut entries = Entries::default();
    let mut by_parts = Entries::default();
    for part in &parts {
        entries.add(part);
        let mut own = Entries::default();
        own.add(part);
        by_parts.merge(&own);
    }
    assert_eq!(entries, by_parts);
    let problem = Problem::new(&steering, &entries).unwrap();
    let (_, pass) = Iteration::start(&problem);
    let mut whole = Sums::new(&problem, &pass);
    let mut merged = Sums::new(&problem, &pass);
    for part in &parts {
        whole.add(&problem, &pass, part, 1.0);
    }
    for part in parts.iter().rev() {
        let mut own = Sums::new(&problem, &pass);
        own.add(&problem, &pass, part, 1.0);
        merged.merge(&own);
    }
    assert_eq!((whole.ndf, whole.records), (merged.ndf, merged.records));
    assert_eq!(
        (whole.rejects, &whole.entries),
        (merged.rejects, &merged.entries)
    );
    assert_eq!(whole.fingerprint, merged.fingerprint);
    assert!((whole.chi_square / merged.chi_square - 1.0).abs() < 1e-12);
    let (one, other) = (
        whole.matrix.as_ref().unwrap(),
        merged.matrix.as_ref().unwrap(),
    );
    let largest = one
        .iter()
        .fold(0.0, |most: f64, element| most.max(element.abs()));
    let off = one
        .iter()
        .zip(other)
        .fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
    assert!(off < 1e-12 * largest, "{off} of {largest}");
    // Step by step, part by part, the fit is that of one call.
    let inputs: Vec<Input> = parts
        .iter()
        .map(|records| Input {
            records,
            weight: 1.0,
        })
        .collect();
    let expect = fit(&steering, &inputs).unwrap();
    let (mut iteration, mut pass) = Iteration::start(&problem);
    let got = loop {
        let mut sums = Sums::new(&problem, &pass);
        for part in &parts {
            let mut own = Sums::new(&problem, &pass);
            own.add(&problem, &pass, part, 1.0);
            sums.merge(&own);
        }
        match iteration.take(sums).unwrap() {
            Next::Pass(next) => pass = next,
            Next::Done(fit) => break fit,
        }
    };
    for (label, parameter) in &expect.parameters {
        assert!((got.parameters[label].value - parameter.value).abs() < 1e-12);
    }
}

#[test]
fn a_weight_of_two_is_every_record_twice() {
    let records = small(30);
    let (steering, _) = small_steering();
    let twice = [
        Input {
            records: &records,
            weight: 1.0,
        },
        Input {
            records: &records,
            weight: 1.0,
        },
    ];
    let expect = fit(&steering, &twice).unwrap();
    let got = fit(
        &steering,
        &[Input {
            records: &records,
            weight: 2.0,
        }],
    )
    .unwrap();
    for (label, parameter) in &expect.parameters {
        let other = &got.parameters[label];
        assert!((other.value - parameter.value).abs() < 1e-12);
        assert!((other.error.unwrap() / parameter.error.unwrap() - 1.0).abs() < 1e-9);
    }
    let scaled = Steering {
        error_scales: (2.0, 2.0),
        ..steering
    };
    let wide = fit_one(&scaled, &records).unwrap();
    assert!((wide.chi_square * 4.0 * 2.0 / expect.chi_square - 1.0).abs() < 1e-9);
}

/// Tracks of a chamber with every twentieth turned into noise and one hit in fifty far off.
fn spoiled(truth: &Truth) -> Records {
    let good = truth.tracks(77, 400);
    let mut random = crate::random::Random::new(5);
    let mut records = Records::default();
    for record in 0..good.len() {
        for measurement in good.measurements(record) {
            let mut value = measurement.value;
            if record % 20 == 19 {
                value += 0.2 * random.normal();
            } else if random.chance(0.02) {
                value += 0.3;
            }
            let local: Vec<(i32, f64)> = measurement
                .local_indices
                .iter()
                .copied()
                .zip(measurement.local.to_vec())
                .collect();
            let global: Vec<(i32, f64)> = measurement
                .labels
                .iter()
                .copied()
                .zip(measurement.global.to_vec())
                .collect();
            records
                .measure(value, measurement.sigma, &local, &global)
                .unwrap();
        }
        records.end_record();
    }
    records
}

fn pulls(fit: &Fit, truth: &Truth) -> f64 {
    let pulls = fit.parameters.iter().map(|(label, parameter)| {
        ((parameter.value - truth.value(*label).unwrap()) / parameter.error.unwrap()).powi(2)
    });
    (pulls.sum::<f64>() / fit.parameters.len() as f64).sqrt()
}

#[test]
fn outliers_are_cut_and_weighted_down() {
    let truth = Truth::draw(8);
    let records = spoiled(&truth);
    let plain = fit_one(&chamber::steering(), &records).unwrap();
    let mut steering = chamber::steering();
    steering.downweighting = 4;
    let weighted = fit_one(&steering, &records).unwrap();
    let huber = fit_one(
        &Steering {
            downweighting: 3,
            ..steering.clone()
        },
        &records,
    )
    .unwrap();
    assert!(
        pulls(&huber, &truth) < 0.6 * pulls(&plain, &truth),
        "{}",
        pulls(&huber, &truth)
    );
    steering.downweight_fraction_max = 0.3;
    let share_cut = fit_one(&steering, &records).unwrap();
    assert!(
        (18..=22).contains(&share_cut.rejects.large),
        "{:?}",
        share_cut.rejects
    );
    println!(
        "width of pulls: {:.2} plain, {:.2} weighted down, {:.2} and cut by share",
        pulls(&plain, &truth),
        pulls(&weighted, &truth),
        pulls(&share_cut, &truth)
    );
    assert!(pulls(&plain, &truth) > 3.0 && plain.chi_square_per_ndf() > 3.0);
    assert!(pulls(&weighted, &truth) < 0.6 * pulls(&plain, &truth));
    assert!(pulls(&share_cut, &truth) < 1.3);
    // Whole tracks that are noise fall to the cut on the chi-square.
    let mut noise = truth.tracks(78, 400);
    let bad = Truth::draw(9).tracks(79, 15);
    let bytes = [
        noise.write(Form::C, Precision::Double),
        bad.write(Form::C, Precision::Double),
    ];
    noise = Records::read("both", &bytes.concat(), Form::C).unwrap();
    let mut steering = chamber::steering();
    steering.chi_square_cut = Some(ChiSquareCut {
        first: 50.0,
        second: 4.5,
    });
    let cut = fit_one(&steering, &noise).unwrap();
    let rejects = cut.rejects;
    assert!(
        (15..=19).contains(&(rejects.large + rejects.huge)),
        "{rejects:?}"
    );
    assert!(pulls(&cut, &truth) < 1.2, "{}", pulls(&cut, &truth));
    assert_eq!(cut.ending(), Ending::BadMeasurements, "3.6 % were rejected");
}

#[test]
fn presigmas_fix_hold_and_regularise() {
    let records = small(30);
    let (steering, _) = small_steering();
    let free = fit_one(&steering, &records).unwrap();
    let with = |text: &str| {
        let mut steering = steering.clone();
        steering.add_text("more.txt", text).unwrap();
        fit_one(&steering, &records).unwrap()
    };
    let fixed = with("parameter\n 12 0.7 -1\n");
    assert_eq!(
        (
            fixed.parameters[&12].value,
            fixed.parameters[&12].difference
        ),
        (0.7, None)
    );
    assert_eq!((fixed.free, fixed.ndf), (5, free.ndf + 1));
    let sum: f64 = fixed
        .parameters
        .values()
        .map(|parameter| parameter.value)
        .sum();
    assert!(
        (sum - 0.25).abs() < 1e-12,
        "the constraint holds with the fixed value in it"
    );
    assert!(
        fixed
            .res_text()
            .contains("\n        12     0.70000       -1.0000\n")
    );
    // Without regularisation a presigma shortens steps but moves nothing in the end.
    let held = with("presigma 0.1\nmethod inversion 200 1e-12");
    let pulled = with("regularisation 1.0 0.001");
    for (label, parameter) in &free.parameters {
        assert!(
            (held.parameters[label].value - parameter.value).abs() < 1e-5,
            "{label}"
        );
        assert!(held.parameters[label].error < parameter.error);
    }
    let size = |fit: &Fit| {
        fit.parameters
            .values()
            .map(|p| p.value.powi(2))
            .sum::<f64>()
    };
    assert!(
        size(&pulled) < 0.5 * size(&free),
        "{} {}",
        size(&pulled),
        size(&free)
    );
    let measured = with("measurement 0.9 1e-7\n 13 1.0\n");
    assert!((measured.parameters[&13].value - 0.9).abs() < 1e-5);
    assert!((measured.parameters[&13].error.unwrap() / 1e-7 - 1.0).abs() < 1e-4);
}

#[test]
fn the_first_records_are_those_of_a_shorter_file() {
    let (whole, half) = (small(30), small(20));
    let (mut steering, _) = small_steering();
    let expect = fit_one(&steering, &half).unwrap();
    steering.records_max = Some(20);
    assert_eq!(fit_one(&steering, &whole).unwrap(), expect);
    let inputs = [
        Input {
            records: &half,
            weight: 1.0,
        },
        Input {
            records: &whole,
            weight: 1.0,
        },
    ];
    assert_eq!(fit(&steering, &inputs).unwrap(), expect);
}

#[test]
fn parameters_with_few_entries_stay_fixed() {
    let records = small(30);
    let (mut steering, _) = small_steering();
    let mut rare = Records::default();
    for track in 0..9 {
        let x = f64::from(track);
        rare.measure(x, 0.1, &[(1, 1.0)], &[(99, 1.0)]).unwrap();
        rare.measure(x, 0.1, &[(1, 1.0)], &[(10, 1.0)]).unwrap();
        rare.end_record();
    }
    let inputs = [
        Input {
            records: &records,
            weight: 1.0,
        },
        Input {
            records: &rare,
            weight: 1.0,
        },
    ];
    let fixed = fit(&steering, &inputs).unwrap();
    assert_eq!(steering.entries_min, ENTRIES_MIN);
    assert_eq!(
        (
            fixed.parameters[&99].difference,
            fixed.parameters[&99].entries
        ),
        (None, 9)
    );
    steering.entries_min = 9;
    let fitted = fit(&steering, &inputs).unwrap();
    assert!(fitted.parameters[&99].error.is_some());
    assert_eq!(fitted.ending(), Ending::InsufficientMeasurements);
    steering.entries_used_min = 9;
    let enough = fit(&steering, &inputs).unwrap();
    assert_ne!(enough.ending(), Ending::InsufficientMeasurements);
}

#[test]
fn entries_may_be_counted_by_record() {
    // Labels 10 to 15 stand in two measurements of each of 30 tracks.
    let records = small(30);
    let (mut steering, _) = small_steering();
    assert_eq!(
        fit_one(&steering, &records).unwrap().parameters[&12].entries,
        60
    );
    steering.entry = Entry::Record;
    let fit = fit_one(&steering, &records).unwrap();
    assert_eq!((fit.parameters[&12].entries, fit.measurements), (30, 210));
    steering.entries_min = 31;
    let error = fit_one(&steering, &records).map(|_| ()).unwrap_err();
    assert!(
        matches!(error, MillepedeError::TooFewEntries { most: 30, .. }),
        "{error}"
    );
}

/// A first run with a dead plane: pede's text files make its label a parameter with no entries.
#[test]
fn what_only_the_texts_name_is_a_fixed_parameter_and_the_rest_is_fitted() {
    let (steering, _) = small_steering();
    let records = small(30);
    let expect = fit_one(&steering, &records).unwrap();
    let mut named = steering.clone();
    named.constraints[1].terms.push((77, 1.0));
    named.measurements.push(Condition {
        value: 1.0,
        sigma: 0.1,
        terms: vec![(78, 1.0)],
        by_entries: false,
    });
    let fit = fit_one(&named, &records).unwrap();
    assert_eq!(fit.parameters.len(), expect.parameters.len() + 2);
    assert_eq!((fit.free, fit.ndf), (expect.free, expect.ndf));
    for label in [77, 78] {
        let dead = fit.parameters[&label];
        assert_eq!((dead.value, dead.difference, dead.error), (0.0, None, None));
        assert_eq!((dead.entries, dead.entries_used), (0, 0));
        let line = fit.res_text().lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(&label.to_string())).then(|| words.count())
        });
        assert_eq!(
            line,
            Some(2),
            "a value and a presigma, as pede prints what is fixed"
        );
    }
    for (label, parameter) in &expect.parameters {
        let got = fit.parameters[label];
        assert!((got.value - parameter.value).abs() < 1e-12, "{label}");
    }
    // Where it stays counts in the constraints.
    let start = Start {
        value: 0.5,
        presigma: 0.0,
    };
    named.starts.insert(77, start);
    let shifted = fit_one(&named, &records).unwrap();
    let sum: f64 = named.constraints[1]
        .terms
        .iter()
        .map(|(label, factor)| factor * shifted.parameters[label].value)
        .sum();
    assert!((sum - named.constraints[1].value).abs() < 1e-9, "{sum}");
    assert_eq!(shifted.parameters[&77].value, 0.5);
}
