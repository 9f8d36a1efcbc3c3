//! Pictures of what the instance answered, and where they go.
//!
//! In: shapes of the HTTP interface. Out: SVG or PNG, on stdout or in a file. Must never draw real
//! and simulated data into one picture.

use super::Desk;
use super::outcome::Failure;
use crate::draw::{Band, HistogramPicture, Layer, Look, Picture, Point, TrendPicture};
use dqm::histogram::Histogram;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use view::conditions::{DecisionView, IovView};
use view::quality::MonitorElementView;

/// Stands for stdout.
const STDOUT: &str = "-";

/// What is wrong with asking for both.
pub(super) const NO_JSON: &str =
    "a picture is no JSON document; leave out --json, or --svg or --png";

/// Where a picture goes, and as what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sheet<'a> {
    Svg(&'a Path),
    Png(&'a Path),
}

impl<'a> Sheet<'a> {
    /// What was asked for, if anything; nobody can ask for both.
    pub(super) fn asked(svg: Option<&'a Path>, png: Option<&'a Path>) -> Option<Self> {
        svg.map(Self::Svg).or(png.map(Self::Png))
    }
}

/// Writes a picture to a file, or to stdout.
pub(super) fn put(picture: &Picture, sheet: Sheet<'_>, desk: &mut Desk) -> Result<(), Failure> {
    let (to, bytes) = match sheet {
        Sheet::Svg(to) => (to, picture.standalone().into_bytes()),
        Sheet::Png(to) => {
            let drawn = picture.png().map_err(|error| error.to_string());
            (to, drawn.map_err(Failure::Refused)?)
        }
    };
    if to.as_os_str() == STDOUT {
        desk.out.write_all(&bytes)?;
        return Ok(());
    }
    std::fs::write(to, bytes).map_err(|error| {
        Failure::Usage(format!(
            "writing {}: {error}; name a file in a folder that is there, or - for stdout",
            to.display()
        ))
    })?;
    desk.say(&format!("wrote {}", to.display()));
    Ok(())
}

/// The histogram of a published element.
pub(super) fn histogram(element: &MonitorElementView) -> Result<Histogram, Failure> {
    let name = element.path.rsplit('/').next().unwrap_or(&element.path);
    let text = json!({ name: element.histogram }).to_string();
    let read = dqm::uhi::read(&text).map_err(|error| error.to_string());
    let found = read.and_then(|mut all| all.pop().ok_or_else(|| "it is empty".to_owned()));
    found.map_err(|why| {
        Failure::Refused(format!(
            "{} in {} cannot be drawn: {why}",
            element.path, element.file
        ))
    })
}

/// What the data are, as every picture says it.
fn label(label: &str) -> &'static str {
    if label == "real" { "REAL" } else { "SIMULATED" }
}

/// A published histogram, with the same of another run when there is one.
pub(super) fn element(
    element: &MonitorElementView,
    reference: Option<&MonitorElementView>,
) -> Result<Picture, Failure> {
    let ours = histogram(element)?;
    let axis = ours.axis();
    let edges: Vec<f64> = (0..=axis.bins)
        .map(|n| axis.low + n as f64 * axis.width())
        .collect();
    let variances = &ours.variances()[1..=axis.bins];
    let mut layers = Vec::new();
    if let Some(reference) = reference {
        layers.push(scaled(element, &ours, reference, &edges)?);
    }
    layers.push(Layer {
        name: format!("run {}", element.run),
        edges,
        contents: ours.inside().to_vec(),
        errors: variances.iter().map(|v| v.max(0.0).sqrt()).collect(),
        look: Look::Points,
    });
    let title = match ours.title() {
        "" => ours.name(),
        title => title,
    };
    let picture = HistogramPicture {
        title: format!("{title}, run {}", element.run),
        label: format!("{}, {}", label(&element.label), element.dataset),
        description: format!(
            "{} entries; {} of {}",
            ours.entries(),
            element.path,
            element.file
        ),
        quantity: ours.name().to_owned(),
        unit: ours.unit().to_owned(),
        counted: format!("entries / {} {}", axis.width(), ours.unit())
            .trim_end()
            .to_owned(),
        layers,
        ..HistogramPicture::default()
    };
    Ok(picture.draw())
}

/// The reference with as much content as ours.
fn scaled(
    element: &MonitorElementView,
    ours: &Histogram,
    reference: &MonitorElementView,
    edges: &[f64],
) -> Result<Layer, Failure> {
    if element.label != reference.label {
        return Err(Failure::Refused(format!(
            "run {} is {} and run {} is {}: real and simulated data are never in one picture",
            element.run, element.label, reference.run, reference.label
        )));
    }
    let theirs = histogram(reference)?;
    ours.must_be_like(&theirs)
        .map_err(|error| Failure::Refused(error.to_string()))?;
    let sum = |histogram: &Histogram| histogram.inside().iter().sum::<f64>();
    let factor = if sum(&theirs) > 0.0 {
        sum(ours) / sum(&theirs)
    } else {
        0.0
    };
    Ok(Layer {
        name: format!("reference: run {}, scaled by {factor:.4}", reference.run),
        edges: edges.to_vec(),
        contents: theirs.inside().iter().map(|n| n * factor).collect(),
        errors: Vec::new(),
        look: Look::Reference,
    })
}

/// What was measured for a tag, run by run, one picture a quantity, with the intervals in force.
pub(super) fn trend(
    tag: &str,
    decisions: &[DecisionView],
    iovs: &[IovView],
) -> Result<Picture, Failure> {
    let mut quantities: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    for decision in decisions {
        for (name, value) in &decision.values {
            quantities.entry(name).or_default().push(Point {
                run: decision.run,
                value: *value,
                error: decision.errors.get(name).copied().unwrap_or(0.0),
            });
        }
    }
    // What is in force was measured on the run that opened the interval.
    let in_force = |name: &str, since: u32| {
        let opened = decisions.iter().find(|decision| decision.run == since)?;
        opened.values.get(name).copied()
    };
    let sinces: std::collections::BTreeSet<u32> = iovs.iter().map(|iov| iov.since).collect();
    let simulated = tag.ends_with("/SIM");
    let pictures: Vec<Picture> = quantities
        .into_iter()
        .map(|(name, mut points)| {
            points.sort_by_key(|point| point.run);
            let band = |since: &u32| Band {
                since: *since,
                value: in_force(name, *since),
            };
            let bands: Vec<Band> = sinces.iter().map(band).collect();
            let picture = TrendPicture {
                title: format!("{tag}: {name} against run"),
                label: label(if simulated { "simulated" } else { "real" }).to_owned(),
                description: format!(
                    "{name} of {} runs with errors, and {} intervals of validity",
                    points.len(),
                    bands.len()
                ),
                quantity: name.to_owned(),
                points,
                bands,
                ..TrendPicture::default()
            };
            picture.draw()
        })
        .collect();
    Picture::below_each_other(pictures).ok_or_else(|| {
        Failure::Refused(format!(
            "nothing was measured for {tag} yet; `tier0 calib tags` lists the tags"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(run: u32, label: &str, values: &[i64]) -> MonitorElementView {
        let mut uhi = Histogram::new(
            "mass",
            "Mass",
            "GeV",
            dqm::histogram::Axis {
                bins: values.len(),
                low: 0.0,
                high: values.len() as f64,
            },
        )
        .unwrap();
        for (bin, n) in values.iter().enumerate() {
            for _ in 0..*n {
                uhi.fill(bin as f64 + 0.5).unwrap();
            }
        }
        let text = dqm::uhi::write(&[uhi]);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        MonitorElementView {
            run,
            label: label.to_owned(),
            dataset: "/<script>/v1/DQM".to_owned(),
            file: "DQM-1.json".to_owned(),
            lumis: vec![(1, 2)],
            path: "parts/prompt/histograms/mass".to_owned(),
            histogram: document["mass"].clone(),
        }
    }

    #[test]
    fn a_reference_is_scaled_and_of_the_same_kind_of_data() {
        let (ours, theirs) = (published(7, "real", &[2, 2]), published(6, "real", &[6, 2]));
        let svg = element(&ours, Some(&theirs)).unwrap().standalone();
        assert!(svg.contains("reference: run 6, scaled by 0.5000"), "{svg}");
        assert!(svg.contains("REAL, /&lt;script&gt;/v1/DQM"), "{svg}");
        let simulated = published(900_001, "simulated", &[6, 2]);
        let refused = element(&ours, Some(&simulated)).unwrap_err();
        assert!(refused.to_string().contains("never in one picture"));
        assert_eq!(refused.exit().code(), 4);
        let other = published(6, "real", &[6, 2, 1]);
        assert!(element(&ours, Some(&other)).is_err(), "other bins");
        let mut broken = published(7, "real", &[1]);
        broken.histogram = json!({ "uhi_schema": 99 });
        assert!(
            element(&broken, None)
                .unwrap_err()
                .to_string()
                .contains("cannot be drawn")
        );
    }

    #[test]
    fn a_trend_has_a_picture_for_each_quantity() {
        let decision = |run: u32, x: f64| DecisionView {
            tag: "beamspot/SIM".to_owned(),
            run,
            outcome: "update".to_owned(),
            reason: String::new(),
            n: 60,
            values: BTreeMap::from([("x0_cm".to_owned(), x), ("y0_cm".to_owned(), x)]),
            errors: BTreeMap::from([("x0_cm".to_owned(), 0.1)]),
            proposed: None,
            at: String::new(),
        };
        let iov = IovView {
            tag: "beamspot/SIM".to_owned(),
            since: 1,
            hash: String::new(),
            sequence: 1,
            inserted_at: String::new(),
        };
        let decisions = [decision(2, 0.2), decision(1, 0.1)];
        let svg = trend("beamspot/SIM", &decisions, &[iov])
            .unwrap()
            .standalone();
        for part in [
            "x0_cm against run",
            "y0_cm against run",
            "SIMULATED",
            "IOV since 1",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert_eq!(
            svg.matches("class=\"in\"").count(),
            4,
            "legend and line, twice"
        );
        assert!(trend("scale", &[], &[]).is_err());
    }
}
