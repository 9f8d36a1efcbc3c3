//! Figures of dimuons: the peak that the gate accepted, the mass before and after, the beam spot
//! against the runs, the residual before and after.

use super::super::physics::first_run;
use super::{Figure, Material, Summed, fitted, told};
use crate::draw::{Band, Curve, HistogramPicture, Layer, Line, Look, Point, TrendPicture};
use calibration::beamspot::predicted_dxy_cm;
use calibration::peak_model::PeakModel;
use calibration::scale::{Peak, fit};
use dqm::histogram::Histogram;
use model::conditions::{GateDecision, Iov};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Points of a drawn curve to a bin.
const CURVE_PER_BIN: usize = 4;
const UM_PER_CM: f64 = 1e4;
/// Prompt's histogram of the residual.
pub(super) const RESIDUAL: &str = "muon_dxy_residual_um";
/// The histogram of the dimuon mass.
pub(super) const MASS: &str = "dimuon_mass_gev";

fn of_tag(tag: &str, name: &str) -> bool {
    tag.trim_end_matches("/SIM") == name
}

/// The scale in force at the end, with the model it was fitted with and its payload.
fn accepted_scale<'m>(material: &'m Material<'_>) -> Option<(&'m Iov, PeakModel, Value)> {
    let scales = material
        .iovs
        .iter()
        .filter(|iov| of_tag(iov.tag.as_str(), "scale"));
    let iov = scales.max_by_key(|iov| (iov.since, iov.sequence))?;
    let payload = material.payload(&iov.hash)?;
    let slope = payload["background_per_gev"].as_f64()?;
    Some((
        iov,
        PeakModel::Z_SMALL_SAMPLE.on_known_slope(slope),
        payload,
    ))
}

/// The histogram of the harvest whose scale is in force, with the fit that the gate accepted.
pub(super) fn accepted_peak(material: &Material<'_>) -> Option<Figure> {
    let (iov, model, payload) = accepted_scale(material)?;
    let harvest = material
        .documents
        .of_tier("HARVEST")
        .find(|p| p.run == first_run(iov))?;
    let counts: Vec<u64> =
        serde_json::from_value(harvest.document["mass_histogram"]["counts"].clone()).ok()?;
    let number = |name: &str| payload[name].as_f64();
    let slope = number("background_per_gev")?;
    let (mass, mass_err) = (number("mass_gev")?, number("mass_err_gev")?);
    let (k, k_err) = (number("k")?, number("k_err")?);
    let peak = fit(&model, &counts).ok()?;
    // A curve that is not the accepted fit has no place here.
    let same = (peak.mass_gev - mass).abs() < 1e-9 * mass;
    let title = format!("Z peak of the accepted scale, run {}", first_run(iov));
    let caption = format!(
        "{} pairs from 75 to 105 GeV of runs {} (no other cut here); Voigt on a background that \
         falls by {slope} per GeV, Poisson likelihood: M = {mass:.2} +- {mass_err:.2} GeV, \
         sigma = {:.2} +- {:.2} GeV, \
         -2 ln L = {:.1} for {} degrees of freedom; table {:.3} GeV; k = {k:.4} +- {k_err:.4}; {}. \
         Histogram: {}; constant: {}/conditions.json, tag {}.{}",
        payload["n"],
        payload["runs"],
        peak.sigma_gev,
        peak.sigma_err_gev,
        number("min2nll")?,
        payload["ndf"],
        model.pdg_mass_gev,
        material.summary.honesty(),
        harvest.path,
        folder(material),
        // As the file has it: plain, whatever the label.
        iov.tag.as_str().trim_end_matches("/SIM"),
        if same {
            ""
        } else {
            " The curve is left out: it is not that fit."
        }
    );
    let width = model.bin_width_gev();
    let edges = (0..=model.bins)
        .map(|bin| model.range_gev.0 + bin as f64 * width)
        .collect();
    let picture = HistogramPicture {
        description: format!(
            "{} pairs in {} bins; the fitted peak is at {mass:.2} GeV, the table's at {:.2} GeV",
            peak.n_in_window, model.bins, model.pdg_mass_gev
        ),
        layers: vec![points(
            "express, as harvested",
            edges,
            &counts_of(&counts),
            None,
        )],
        curve: same.then(|| curve(&peak, &model)),
        lines: vec![table_mass(&model)],
        ..mass_picture(material, title)
    };
    let numbers = json!({
        "run": first_run(iov), "hash": iov.hash, "counts": counts,
        "range_gev": [model.range_gev.0, model.range_gev.1],
        "mass_gev": mass, "mass_err_gev": mass_err, "k": k, "k_err": k_err,
        "min2nll": payload["min2nll"], "ndf": payload["ndf"], "n": payload["n"],
    });
    Some(Figure {
        kind: "accepted_peak",
        picture: picture.draw(),
        caption,
        data: material.document(
            "accepted_peak",
            std::slice::from_ref(&harvest.path),
            numbers,
        ),
        is_wide: false,
    })
}

/// The mass of all runs as express measured it and as prompt corrected it.
pub(super) fn mass(material: &Material<'_>) -> Option<Figure> {
    let (before, after) = (
        material.documents.express(MASS)?,
        material.documents.prompt(MASS)?,
    );
    let small = accepted_scale(material).map_or(PeakModel::Z_SMALL_SAMPLE, |(_, model, _)| model);
    let fits = [&before, &after].map(|summed| fitted(&summed.histogram, &small));
    let said = |name: &str, summed: &Summed, found: &Option<(PeakModel, Peak)>| match found {
        Some((model, peak)) => format!(
            "{name}: {} pairs, {} of them from {:.0} to {:.0} GeV fitted: M = {:.3} +- {:.3} GeV, \
             -2 ln L = {:.1} for {} degrees of freedom",
            summed.histogram.entries(),
            peak.n_in_window,
            model.range_gev.0,
            model.range_gev.1,
            peak.mass_gev,
            peak.mass_err_gev,
            peak.min2nll,
            peak.ndf
        ),
        None => format!("{name}: {} pairs, not fitted", summed.histogram.entries()),
    };
    let caption = format!(
        "All runs. {}; {}. Fitted here over the published histograms, table {:.3} GeV. Masses of \
         runs before the first accepted scale are uncorrected; {}. Histograms: {} and {}.",
        said("Express, as measured", &before, &fits[0]),
        said("prompt, with the constants of each run", &after, &fits[1]),
        PeakModel::Z.pdg_mass_gev,
        material.summary.honesty(),
        told(&before.sources),
        told(&after.sources)
    );
    let picture = HistogramPicture {
        description: format!(
            "{} pairs of all runs; steps: as measured by express; points: corrected by prompt",
            after.histogram.entries()
        ),
        layers: vec![
            steps("express, as measured", &before, Look::Reference),
            points_of("prompt, corrected", &after),
        ],
        curve: fits[1].as_ref().map(|(model, peak)| curve(peak, model)),
        lines: vec![table_mass(&PeakModel::Z)],
        ..mass_picture(
            material,
            "Dimuon mass of all runs, before and after".to_owned(),
        )
    };
    let peak = |found: &Option<(PeakModel, Peak)>| {
        found.as_ref().map(|(_, peak)| {
            json!({
                "mass_gev": peak.mass_gev, "mass_err_gev": peak.mass_err_gev,
                "min2nll": peak.min2nll, "ndf": peak.ndf, "n": peak.n_in_window,
            })
        })
    };
    let sources = [before.sources.as_slice(), &after.sources].concat();
    let numbers = json!({
        "histograms": { "express": before.numbers(), "prompt": after.numbers() },
        "fits": { "express": peak(&fits[0]), "prompt": peak(&fits[1]) },
    });
    Some(Figure {
        kind: "mass",
        picture: picture.draw(),
        caption,
        data: material.document("mass", &sources, numbers),
        is_wide: false,
    })
}

/// x0 and y0 of each run, with the intervals of validity and, where it is known, the truth.
pub(super) fn beam_spot(material: &Material<'_>) -> Vec<Figure> {
    let decisions = material.decisions.iter();
    let mut decisions: Vec<&GateDecision> = decisions
        .filter(|d| of_tag(d.tag.as_str(), "beamspot") && !d.quantities.is_empty())
        .collect();
    decisions.sort_by_key(|decision| decision.run);
    if decisions.is_empty() {
        return Vec::new();
    }
    // Of several intervals that begin with one run the last inserted is in force.
    let spots = material
        .iovs
        .iter()
        .filter(|iov| of_tag(iov.tag.as_str(), "beamspot"));
    let mut iovs: BTreeMap<u32, &Iov> = BTreeMap::new();
    for iov in spots {
        let place = iovs.entry(first_run(iov)).or_insert(iov);
        if iov.sequence > place.sequence {
            *place = iov;
        }
    }
    [("x0", "x0_cm"), ("y0", "y0_cm")]
        .into_iter()
        .map(|(short, name)| one_coordinate(material, &decisions, &iovs, short, name))
        .collect()
}

fn one_coordinate(
    material: &Material<'_>,
    decisions: &[&GateDecision],
    iovs: &BTreeMap<u32, &Iov>,
    short: &str,
    name: &str,
) -> Figure {
    let measured = decisions.iter().filter_map(|decision| {
        let quantity = decision
            .quantities
            .iter()
            .find(|quantity| quantity.name == name)?;
        let um = |nano: i64| nano as f64 * 1e-9 * UM_PER_CM;
        Some(Point {
            run: decision.run.0,
            value: um(quantity.value_nano),
            error: um(quantity.error_nano),
        })
    });
    let points: Vec<Point> = measured.collect();
    let in_force = |iov: &Iov| {
        material.payload(&iov.hash)?[name]
            .as_f64()
            .map(|cm| cm * UM_PER_CM)
    };
    let bands: Vec<Band> = iovs
        .values()
        .map(|iov| Band {
            since: first_run(iov),
            value: in_force(iov),
        })
        .collect();
    let coordinate =
        |row: &super::super::summary::TruthRow| if short == "x0" { row.x0 } else { row.y0 };
    let truth: Vec<(u32, f64)> = material
        .summary
        .truth
        .iter()
        .map(|row| (row.run, coordinate(row)[0] * UM_PER_CM))
        .collect();
    let known = if truth.is_empty() {
        ""
    } else {
        " Diamonds: the truth, opened after the runs."
    };
    let picture = TrendPicture {
        title: format!("Beam spot {short} against run"),
        label: material.summary.label.clone(),
        description: format!(
            "{short} of {} runs with errors, and {} intervals of validity",
            points.len(),
            bands.len()
        ),
        quantity: short.to_owned(),
        unit: "um".to_owned(),
        points: points.clone(),
        bands: bands.clone(),
        truth: truth.clone(),
    };
    let caption = format!(
        "{} runs, {} intervals of validity (IOV; shaded in turns, each from a broken line on). Fit \
         of d0 against phi, least squares, clipped at 5 robust sigma; a new IOV where a coordinate \
         moved by more than 3 sigma, at least 50 tracks.{known} Points: rows of the act's \
         decisions, as the demo's document has them; lines: {}/conditions.json, tag beamspot.",
        points.len(),
        bands.len(),
        folder(material)
    );
    let numbers = json!({
        "coordinate": name, "unit": "um",
        "points": points.iter().map(|p| json!({"run": p.run, "value": p.value, "error": p.error}))
            .collect::<Vec<_>>(),
        "iovs": bands.iter().map(|b| json!({"since": b.since, "value": b.value})).collect::<Vec<_>>(),
        "truth": truth,
    });
    let sources = [format!("{}/conditions.json", folder(material))];
    Figure {
        kind: "beam_spot",
        picture: picture.draw(),
        caption,
        data: material.document("beam_spot", &sources, numbers),
        is_wide: points.len() > 13,
    }
}

/// The impact parameter against one beam spot for all runs, and against the loop's.
pub(super) fn residual(material: &Material<'_>) -> Option<Figure> {
    let (spot, widths) = (material.summary.beamspot?, material.summary.residual?);
    let after = material.documents.prompt(RESIDUAL)?;
    let axis = after.histogram.axis();
    let mut before = Histogram::new("before", "", "um", axis).ok()?;
    for track in material.tracks {
        let predicted = predicted_dxy_cm(spot.x0_cm, spot.y0_cm, track.phi_rad);
        before.fill((track.dxy_cm - predicted) * UM_PER_CM).ok()?;
    }
    let tables: Vec<String> = material
        .outputs
        .iter()
        .filter(|output| output.label.as_str() == "AOD")
        .map(|output| format!("{}/state/storage/{}", folder(material), output.name))
        .collect();
    let before = Summed {
        histogram: before,
        sources: tables,
    };
    let flow = |summed: &Summed| {
        let contents = summed.histogram.contents();
        contents[0] + contents[contents.len() - 1]
    };
    let caption = format!(
        "{} tracks. One beam spot for all runs (x0 = {:.1} um, y0 = {:.1} um): half width (68 %) \
         {:.1} um, {} tracks beyond the axis; the loop's beam spots: {:.1} um, {} beyond. The \
         half widths are of all tracks without binning. Before: filled here from {}; after: {}.",
        after.histogram.entries(),
        spot.x0_cm * UM_PER_CM,
        spot.y0_cm * UM_PER_CM,
        widths.before_um,
        flow(&before),
        widths.after_um,
        flow(&after),
        told(&before.sources),
        told(&after.sources)
    );
    let picture = HistogramPicture {
        title: "Residual before and after the loop".to_owned(),
        label: material.summary.label.clone(),
        description: format!(
            "{} tracks; the half width shrinks from {:.1} to {:.1} um",
            after.histogram.entries(),
            widths.before_um,
            widths.after_um
        ),
        quantity: "impact parameter less prediction".to_owned(),
        unit: "um".to_owned(),
        counted: format!("tracks / {:.0} um", axis.width()),
        layers: vec![
            steps("before: one beam spot", &before, Look::Reference),
            steps("after: the loop's", &after, Look::Steps),
        ],
        ..HistogramPicture::default()
    };
    let sources = [before.sources.as_slice(), &after.sources].concat();
    let numbers = json!({
        "histograms": { "before": before.numbers(), "after": after.numbers() },
        "before_um": widths.before_um, "after_um": widths.after_um,
        "x0_cm": spot.x0_cm, "y0_cm": spot.y0_cm,
    });
    Some(Figure {
        kind: "residual",
        picture: picture.draw(),
        caption,
        data: material.document("residual", &sources, numbers),
        is_wide: false,
    })
}

fn folder(material: &Material<'_>) -> String {
    format!("act{}", material.summary.act)
}

fn mass_picture(material: &Material<'_>, title: String) -> HistogramPicture {
    HistogramPicture {
        title,
        label: material.summary.label.clone(),
        quantity: "dimuon mass".to_owned(),
        unit: "GeV".to_owned(),
        counted: "pairs / 0.5 GeV".to_owned(),
        ..HistogramPicture::default()
    }
}

fn table_mass(model: &PeakModel) -> Line {
    Line {
        at: model.pdg_mass_gev,
        name: format!("table {:.2}", model.pdg_mass_gev),
        is_limit: false,
    }
}

fn curve(peak: &Peak, model: &PeakModel) -> Curve {
    Curve {
        name: format!("fit {:.2} +- {:.2} GeV", peak.mass_gev, peak.mass_err_gev),
        points: peak.curve(model, CURVE_PER_BIN),
    }
}

fn counts_of(counts: &[u64]) -> Vec<f64> {
    counts.iter().map(|count| *count as f64).collect()
}

/// Points with the square root of the variances, which are the contents where none are given.
fn points(name: &str, edges: Vec<f64>, contents: &[f64], variances: Option<&[f64]>) -> Layer {
    Layer {
        name: name.to_owned(),
        edges,
        contents: contents.to_vec(),
        errors: variances
            .unwrap_or(contents)
            .iter()
            .map(|v| v.max(0.0).sqrt())
            .collect(),
        look: Look::Points,
    }
}

pub(super) fn points_of(name: &str, summed: &Summed) -> Layer {
    let histogram = &summed.histogram;
    let variances = &histogram.variances()[1..=histogram.axis().bins];
    points(name, summed.edges(), histogram.inside(), Some(variances))
}

pub(super) fn steps(name: &str, summed: &Summed, look: Look) -> Layer {
    Layer {
        name: name.to_owned(),
        edges: summed.edges(),
        contents: summed.histogram.inside().to_vec(),
        errors: Vec::new(),
        look,
    }
}

/// A fit as a caption tells it; for figures elsewhere.
pub(super) fn fit_told(summed: &Summed) -> (Option<Curve>, Value, String) {
    match fitted(&summed.histogram, &PeakModel::Z_SMALL_SAMPLE) {
        Some((model, peak)) => (
            Some(curve(&peak, &model)),
            json!({"mass_gev": peak.mass_gev, "mass_err_gev": peak.mass_err_gev}),
            format!(
                "M = {:.3} +- {:.3} GeV, sigma = {:.2} +- {:.2} GeV, -2 ln L = {:.1} for {} \
                 degrees of freedom",
                peak.mass_gev,
                peak.mass_err_gev,
                peak.sigma_gev,
                peak.sigma_err_gev,
                peak.min2nll,
                peak.ndf
            ),
        ),
        None => (None, Value::Null, "not fitted".to_owned()),
    }
}
