//! Pictures of an act, each with the numbers that it shows.
//!
//! In: the act's rows and published files. Out: figures: a picture, a caption, and one document
//! with the label of the data, the files the numbers come from and the numbers themselves, so that
//! whoever doubts a picture can hold it against the files. Must never put real and simulated data
//! into one picture, and never show a number that no file or row of the act has, but for what is
//! fitted or added up here from those, which the caption then says.

mod beside;
mod operation;
mod physics;
mod published;
mod telescope;

pub(super) use beside::{SHOWN_BESIDE, beside};
pub(super) use published::{Documents, Summed};

use super::summary::ActSummary;
use crate::draw::Picture;
use calibration::peak_model::PeakModel;
use calibration::scale::{Peak, fit};
use model::conditions::{ConditionsPayload, GateDecision, Iov};
use model::dataset::Output;
use model::file::File;
use model::job::Job;
use model::quality::RunQuality;
use programs::product::CorrectedTrack;
use serde_json::{Value, json};

/// What must stand beside every mass of recorded dimuons (contracts, section 9).
pub(super) const NO_MEASUREMENT: &str =
    "includes final-state radiation and trigger bias: shows the loop, is no measurement";

/// One picture with what belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// What kind of picture it is, for who reads the numbers.
    pub(super) kind: &'static str,
    /// The picture.
    pub(super) picture: Picture,
    /// What is seen: entries, fitted values, cuts, and the files.
    pub(super) caption: String,
    /// The numbers, with their label and sources.
    pub(super) data: Value,
    /// Whether it needs the width of two.
    pub(super) is_wide: bool,
}

/// What the figures of an act are made from.
pub(super) struct Material<'a> {
    pub(super) summary: &'a ActSummary,
    pub(super) documents: &'a Documents,
    pub(super) outputs: &'a [Output],
    pub(super) jobs: &'a [Job],
    pub(super) files: &'a [File],
    pub(super) decisions: &'a [GateDecision],
    pub(super) iovs: &'a [Iov],
    pub(super) payloads: &'a [ConditionsPayload],
    pub(super) quality: &'a [RunQuality],
    pub(super) tracks: &'a [CorrectedTrack],
}

/// All figures of an act, in the order of the flow: what was found, what it does, how long it took.
pub(super) fn of_act(material: &Material<'_>) -> Vec<Figure> {
    let mut figures = Vec::new();
    figures.extend(physics::accepted_peak(material));
    figures.extend(physics::mass(material));
    figures.extend(physics::beam_spot(material));
    figures.extend(physics::residual(material));
    figures.extend(telescope::slices(material));
    figures.extend(telescope::rates(material));
    figures.extend(operation::latency(material));
    figures.extend(operation::timeline(material));
    figures
}

impl Material<'_> {
    /// The beginning of every figure's document.
    fn document(&self, kind: &str, sources: &[String], numbers: Value) -> Value {
        document(self.summary, kind, sources, numbers)
    }

    fn payload(&self, hash: &str) -> Option<Value> {
        let found = self.payloads.iter().find(|payload| payload.hash == hash)?;
        serde_json::from_str(&found.text).ok()
    }
}

fn document(act: &ActSummary, kind: &str, sources: &[String], numbers: Value) -> Value {
    let mut document = json!({
        "picture": kind, "act": act.act, "label": act.label, "sources": sources,
    });
    if let (Some(whole), Value::Object(numbers)) = (document.as_object_mut(), numbers) {
        whole.extend(numbers);
    }
    document
}

/// "12 files such as a/b.json": a caption names one, the document all.
fn told(sources: &[String]) -> String {
    match sources {
        [] => "no file".to_owned(),
        [one] => one.clone(),
        [first, ..] => format!("{} files such as {first}", sources.len()),
    }
}

/// A histogram of masses from 60 to 120 GeV, fitted in the window of the model that is meant for so
/// many pairs, `small` being that of few. None if its bins are not the model's, or nothing can be
/// fitted.
fn fitted(histogram: &dqm::histogram::Histogram, small: &PeakModel) -> Option<(PeakModel, Peak)> {
    /// Below this a slope of the background cannot be told (`PeakModel::Z`).
    const SLOPE_FROM_PAIRS: u64 = 2_000;
    let model = if histogram.entries() < SLOPE_FROM_PAIRS {
        *small
    } else {
        PeakModel::Z
    };
    let axis = histogram.axis();
    let first = ((model.range_gev.0 - axis.low) / axis.width()).round();
    let same = (axis.width() - model.bin_width_gev()).abs() < 1e-9
        && (axis.low + first * axis.width() - model.range_gev.0).abs() < 1e-9;
    if !same || first < 0.0 {
        return None;
    }
    let window = histogram
        .inside()
        .get(first as usize..first as usize + model.bins)?;
    let counts: Vec<u64> = window.iter().map(|content| *content as u64).collect();
    Some((model, fit(&model, &counts).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dqm::histogram::{Axis, Histogram};

    fn masses(bins: usize, pairs: u32) -> Histogram {
        let axis = Axis {
            bins,
            low: 60.0,
            high: 120.0,
        };
        let mut histogram = Histogram::new("dimuon_mass_gev", "", "GeV", axis).unwrap();
        for pair in 0..pairs {
            // Quantiles of a Lorentzian around 90.8 GeV.
            let at = (f64::from(pair) + 0.5) / f64::from(pairs) - 0.5;
            histogram
                .fill(90.8 + 1.8 * (std::f64::consts::PI * at).tan())
                .unwrap();
        }
        histogram
    }

    const SMALL: PeakModel = PeakModel::Z_SMALL_SAMPLE;

    #[test]
    fn a_mass_is_fitted_in_the_window_of_its_model() {
        let check = |pairs: u32, model: PeakModel| {
            let histogram = masses(120, pairs);
            let (used, peak) = fitted(&histogram, &SMALL).expect("a peak");
            assert_eq!(used, model);
            assert!((peak.mass_gev - 90.8).abs() < 0.05, "{peak:?}");
            let inside = |bin: usize| {
                let (low, high) = model.range_gev;
                (low..high).contains(&histogram.axis().centre(bin))
            };
            let window = (1..=120).filter(|bin| inside(*bin));
            let n: f64 = window.map(|bin| histogram.contents()[bin]).sum();
            assert_eq!(peak.n_in_window, n as u64);
        };
        check(500, SMALL);
        check(5_000, PeakModel::Z);
        assert!(fitted(&masses(100, 500), &SMALL).is_none(), "other bins");
        assert!(fitted(&masses(120, 0), &SMALL).is_none(), "nothing in it");
    }

    #[test]
    fn real_and_simulated_stand_beside_each_other_and_never_in_one() {
        let act = |number: u8, label: &str, pairs: u32| {
            let sum = Summed {
                histogram: masses(120, pairs),
                sources: vec![format!("act{number}/a.json")],
            };
            ActSummary {
                act: number,
                label: label.to_owned(),
                monitors: [(SHOWN_BESIDE[0], sum)].into(),
                ..ActSummary::default()
            }
        };
        let acts = [
            act(1, "REAL, CMS 2010", 400),
            act(2, "SIMULATED, truth known", 700),
            act(4, "REAL, CMS 2011", 900),
        ];
        let pairs = beside(&acts);
        assert_eq!(pairs.len(), 1, "nobody has residuals");
        let entries = pairs[0].each_ref().map(|figure| {
            let prompt = &figure.data["histograms"]["prompt"];
            (figure.data["act"].clone(), prompt["entries"].clone())
        });
        assert_eq!(entries, [(4.into(), 900.into()), (2.into(), 700.into())]);
        assert!(pairs[0][0].caption.contains(NO_MEASUREMENT));
        assert!(!pairs[0][1].caption.contains(NO_MEASUREMENT));
        assert!(beside(&acts[..1]).is_empty(), "nothing to stand beside");
    }
}
