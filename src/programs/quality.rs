//! `tier0 program dqm`: the quality of a run from the histograms of its jobs.
//!
//! In: `DQM` documents of one run. Out: `DQM_RUN`, the merged histograms of each program that made
//! some (express and prompt are kept apart: they saw the same events) and the quality tests; the
//! tests again in `metrics.quality_tests`, the number of events tested in `metrics.entries`. Tests
//! are made on prompt's histograms where there are any, else on express'. Thresholds are the
//! constants below; a job's parameters of the same names in small letters replace them. A chamber
//! has tests of its own (`chamber_quality`). Plugins of
//! the task are asked for tests of their own. Documents of two runs, or real and simulated ones,
//! are refused. The verdict is made elsewhere, from the tests.

use std::collections::BTreeMap;
use std::path::Path;

use dqm::histogram::Histogram;
use dqm::occupancy::{BadChannel, Kind, Rule, bad_channels};
use dqm::quality::{Expectation, Measured, QualityTest};
use dqm::verdict::{Status, TestResult, Thresholds};
use serde_json::{Value, json};

use crate::chamber_quality;
use crate::format::Label;
use crate::input::{check_label, mixed};
use crate::job::{Detector, JobError, JobFile, JobInput, Made};
use crate::mass_peak::{MASS_PEAK_GEV, mass_peak};
use crate::monitor::{BEAMSPOT_X, BEAMSPOT_Y, Document, MASS, OCTANT, RESIDUAL, to_value};
use crate::outputs::{Outputs, joined};
use crate::questions::{self, Asks, plugins};

/// Most pairs of a clean sample lie around the Z, between these masses in GeV: 96 % of the recorded
/// pairs of 2011, and no run of them less than 94 %.
const MASS_LOW_GEV: f64 = 65.0;
const MASS_HIGH_GEV: f64 = 115.0;
/// The mean of the residual is within this many um of 0: the resolution is 30 um, and a run of a
/// hundred tracks fixes its mean to 3 um.
const RESIDUAL_MEAN_UM: f64 = 20.0;
/// Residuals within five times the resolution, in um, are the core; a wrong beam spot empties it.
const RESIDUAL_CORE_UM: f64 = 150.0;
/// The beam spot that was used is within this many um of the muons' own, in x and in y: two thirds
/// of the resolution; a run of a hundred tracks fixes it to 4 um.
const BEAMSPOT_OFF_UM: f64 = 20.0;
/// With fewer tracks a mean says nothing.
const RESIDUAL_ENTRIES: u64 = 50;

/// The program whose masses are corrected: those of express lie where the detector puts them.
const CORRECTED: &str = "prompt";
/// Name of the test of the mass of the Z.
const MASS_PEAK: &str = "mass_peak";

/// Merged histograms of one program.
#[derive(Default)]
struct Part {
    events: u64,
    histograms: BTreeMap<String, Histogram>,
}

/// Everything read.
#[derive(Default)]
struct Merged {
    label: Option<Label>,
    /// Ranges as they stand in the documents.
    lumis: Vec<[u32; 2]>,
    documents: u64,
    parts: BTreeMap<String, Part>,
}

/// Runs one job.
pub(crate) fn run(job: &JobFile, folder: &Path) -> Result<Made, JobError> {
    let run = job.run_needed()?;
    let mut outputs = Outputs::new(job, folder, &["DQM_RUN"])?;
    let mut merged = Merged::default();
    for input in &job.inputs {
        merge(job, input, run, &mut merged)?;
    }
    let Some(label) = merged.label else {
        let what = "the job has no inputs, dqm reads DQM documents".into();
        return Err(JobError::Definition { what });
    };
    let tested = [CORRECTED, "express"]
        .into_iter()
        .find(|name| merged.parts.contains_key(*name));
    let tested = tested.ok_or_else(|| JobError::Definition {
        what: "none of the inputs is of prompt or express, nothing can be tested".into(),
    })?;
    let part = &merged.parts[tested];
    let tests: Vec<Value> = test_all(job, tested, part)?.iter().map(listed).collect();
    let lumis = joined(merged.lumis);
    let document = json!({
        "schema": 1,
        "label": label.as_str(),
        "run": run,
        "lumis": lumis,
        "tested": tested,
        "quality_tests": tests,
        "parts": merged.parts.iter().map(|(name, part)| (name.clone(), shown(part)))
            .collect::<serde_json::Map<_, _>>(),
    });
    let events = part.events;
    outputs.write("DQM_RUN", events, &lumis, || {
        document.to_string().into_bytes()
    })?;
    Ok(Made {
        outputs: outputs.done(),
        events_read: events,
        events_written: events,
        metrics: json!({
            "label": label.as_str(),
            "tested": tested,
            "entries": events,
            "documents": merged.documents,
            "quality_tests": tests,
        }),
    })
}

fn merge(job: &JobFile, input: &JobInput, run: u32, merged: &mut Merged) -> Result<(), JobError> {
    let (document, histograms) =
        Document::read(&input.read()?).map_err(|reason| input.refuse(reason))?;
    check_label(input, document.label, merged.label.or(job.label()?))?;
    merged.label = Some(document.label);
    if document.run != run {
        return Err(mixed(
            input,
            &format!("run {}", document.run),
            &format!("run {run}"),
        ));
    }
    input.check_events(document.events)?;
    merged.documents += 1;
    if let Some([first, last]) = document.lumis.iter().find(|[first, last]| first > last) {
        return Err(input.refuse(format!("its lumis {first} to {last} end before they begin")));
    }
    merged.lumis.extend(&document.lumis);
    let part = merged.parts.entry(document.program).or_default();
    part.events += document.events;
    for histogram in histograms {
        match part.histograms.get_mut(histogram.name()) {
            Some(sum) => {
                sum.merge(&histogram)
                    .map_err(|error| input.refuse(error.to_string()))?;
            }
            None => {
                part.histograms
                    .insert(histogram.name().to_owned(), histogram);
            }
        }
    }
    Ok(())
}

/// The tests with the thresholds of this job.
fn test_all(job: &JobFile, tested: &str, part: &Part) -> Result<Vec<TestResult>, JobError> {
    let (run, find) = (job.run_needed()?, |name: &str| part.histograms.get(name));
    let mut results = match job.detector()? {
        Detector::Chamber => chamber_quality::tests(job, find, absent)?,
        Detector::Muons => dimuon_tests(job, tested, part)?,
    };
    for plugin in plugins(job, Asks::Tests)? {
        results.extend(questions::test(&plugin, run, find, absent));
    }
    Ok(results)
}

/// The tests of dimuons.
fn dimuon_tests(job: &JobFile, tested: &str, part: &Part) -> Result<Vec<TestResult>, JobError> {
    let number = |name: &str, usual: f64| job.number(name).map(|given| given.unwrap_or(usual));
    let (low, high) = (
        number("mass_low_gev", MASS_LOW_GEV)?,
        number("mass_high_gev", MASS_HIGH_GEV)?,
    );
    let mean_um = number("residual_mean_um", RESIDUAL_MEAN_UM)?;
    let core_um = number("residual_core_um", RESIDUAL_CORE_UM)?;
    let off_um = number("beamspot_off_um", BEAMSPOT_OFF_UM)?;
    let peak_gev = number("mass_peak_gev", MASS_PEAK_GEV)?;
    let around_zero = |um: f64| Expectation::Range { low: -um, high: um };
    let (expected, beamspot) = (around_zero(mean_um), around_zero(off_um));
    let tests = [
        (
            "mass_in_window",
            MASS,
            QualityTest::ContentsXRange { low, high },
        ),
        (
            "residual_mean",
            RESIDUAL,
            QualityTest::MeanWithinExpected {
                expected,
                min_entries: RESIDUAL_ENTRIES,
            },
        ),
        (
            "beamspot_x",
            BEAMSPOT_X,
            QualityTest::MeanWithinExpected {
                expected: beamspot,
                min_entries: RESIDUAL_ENTRIES,
            },
        ),
        (
            "beamspot_y",
            BEAMSPOT_Y,
            QualityTest::MeanWithinExpected {
                expected: beamspot,
                min_entries: RESIDUAL_ENTRIES,
            },
        ),
        (
            "residual_core",
            RESIDUAL,
            QualityTest::ContentsXRange {
                low: -core_um,
                high: core_um,
            },
        ),
    ];
    let tests = tests
        .iter()
        .map(|(name, histogram, test)| test_one(part, name, histogram, test));
    let peak = match part.histograms.get(MASS).filter(|_| tested == CORRECTED) {
        Some(masses) => {
            let measured = mass_peak(masses, peak_gev);
            TestResult::of(MASS_PEAK, MASS, &measured, Thresholds::USUAL)
        }
        None => absent(MASS_PEAK, MASS),
    };
    Ok(tests.chain([peak, test_octants(part)]).collect())
}

/// Whether each octant sees about what the others do: one that does not spoils the run.
fn test_octants(part: &Part) -> TestResult {
    /// Anything but all of them is an error.
    const ALL: Thresholds = Thresholds {
        error_ppm: 1_000_000,
        warning_ppm: 1_000_000,
    };
    let Some(found) = part.histograms.get(OCTANT) else {
        return absent("octants", OCTANT);
    };
    let measured = bad_channels(found, Rule::USUAL).map(|bad| Measured {
        value: 1.0 - bad.len() as f64 / found.axis().bins as f64,
        detail: in_words(&bad),
        bad_bins: bad.iter().map(|channel| channel.bin).collect(),
    });
    TestResult::of("octants", OCTANT, &measured, ALL)
}

fn in_words(bad: &[BadChannel]) -> String {
    let named = bad.iter().map(|channel| {
        let kind = match channel.kind {
            Kind::Dead => "dead",
            Kind::Hot => "hot",
        };
        let (bin, counts, median) = (channel.bin, channel.counts, channel.median);
        format!("octant {bin} is {kind}: {counts} muons where the median is {median}")
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() {
        return "all octants see about the same".to_owned();
    }
    named.join("; ")
}

fn test_one(part: &Part, name: &str, histogram: &str, test: &QualityTest) -> TestResult {
    match part.histograms.get(histogram) {
        Some(found) => TestResult::of(name, histogram, &test.run(found, None), Thresholds::USUAL),
        None => absent(name, histogram),
    }
}

/// Not an error of the data: express corrects nothing, some data sets lack the quantity.
fn absent(name: &str, histogram: &str) -> TestResult {
    TestResult {
        name: name.to_owned(),
        histogram: histogram.to_owned(),
        status: Status::Disabled,
        value_ppm: 0,
        message: format!("{name} of {histogram}: the data have no such histogram"),
    }
}

/// A test as the report carries it.
fn listed(test: &TestResult) -> Value {
    json!({
        "name": test.name,
        "histogram": test.histogram,
        "status": test.status.code(),
        "value_ppm": test.value_ppm,
        "message": test.message,
    })
}

fn shown(part: &Part) -> Value {
    let histograms: Vec<Histogram> = part.histograms.values().cloned().collect();
    json!({"events": part.events, "histograms": to_value(&histograms)})
}
