//! Pictures of what the instance answered, and where they go.
//!
//! In: shapes of the HTTP interface. Out: SVG or PNG, on stdout or in a file. Must never draw real
//! and simulated data into one picture.

use super::Desk;
use super::outcome::Failure;
use crate::draw::{
    Band, HistogramPicture, Layer, Look, MapAxis, MapPicture, Picture, Point, ProfilePicture,
    TrendPicture,
};
use dqm::element::Element;
use dqm::histogram::{Axis, Histogram};
use dqm::histogram2d::Histogram2d;
use dqm::profile::Profile;
use model::conditions::TimeType;
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

/// What a published element is.
pub(super) fn content(element: &MonitorElementView) -> Result<Element, Failure> {
    let name = element.path.rsplit('/').next().unwrap_or(&element.path);
    let text = json!({ name: element.histogram }).to_string();
    let read = dqm::uhi::read_elements(&text).map_err(|error| error.to_string());
    let found = read.and_then(|all| {
        let first = all.into_values().next();
        first.ok_or_else(|| "it is empty".to_owned())
    });
    found.map_err(|why| cannot_draw(element, &why))
}

fn cannot_draw(element: &MonitorElementView, why: &str) -> Failure {
    Failure::Refused(format!(
        "{} in {} cannot be drawn: {why}",
        element.path, element.file
    ))
}

/// What the data are, as every picture says it.
fn label(label: &str) -> &'static str {
    if label == "real" { "REAL" } else { "SIMULATED" }
}

/// A published element; a histogram with the same of another run when there is one.
pub(super) fn element(
    element: &MonitorElementView,
    reference: Option<&MonitorElementView>,
) -> Result<Picture, Failure> {
    match content(element)? {
        Element::Histogram(ours) => one_coordinate(element, &ours, reference),
        _ if reference.is_some() => Err(Failure::Usage(
            "a reference is drawn behind histograms of one coordinate only; leave out --reference"
                .to_owned(),
        )),
        Element::Histogram2d(ours) => Ok(two_coordinates(element, &ours)),
        Element::Profile(ours) => Ok(profile(element, &ours)),
        Element::Counter(_) | Element::Text(_) => Err(cannot_draw(
            element,
            "it is a counter or a text; leave out --svg or --png and it is told",
        )),
    }
}

fn edges_of(axis: Axis) -> Vec<f64> {
    let edge = |n| axis.low + n as f64 * axis.width();
    (0..=axis.bins).map(edge).collect()
}

/// What every picture of an element says: title, label and sentence.
fn words(element: &MonitorElementView, title: &str, name: &str, entries: u64) -> [String; 3] {
    let title = if title.is_empty() { name } else { title };
    [
        format!("{title}, run {}", element.run),
        format!("{}, {}", label(&element.label), element.dataset),
        format!("{entries} entries; {} of {}", element.path, element.file),
    ]
}

fn two_coordinates(element: &MonitorElementView, ours: &Histogram2d) -> Picture {
    let axes = ours.axes();
    let named = |which: usize, quantity: &str| MapAxis {
        quantity: quantity.to_owned(),
        unit: ours.units()[which].to_owned(),
        edges: edges_of(axes[which]),
    };
    let row = |y| {
        let cells = (1..=axes[0].bins).map(move |x| ours.contents()[ours.cell(x, y)]);
        cells.collect()
    };
    let [title, label, description] = words(element, ours.title(), ours.name(), ours.entries());
    let picture = MapPicture {
        title,
        label,
        description,
        x: named(0, "x"),
        y: named(1, "y"),
        counted: "entries".to_owned(),
        rows: (1..=axes[1].bins).map(row).collect(),
    };
    picture.draw()
}

fn profile(element: &MonitorElementView, ours: &Profile) -> Picture {
    let booking = ours.booking();
    let [title, label, description] = words(element, ours.title(), ours.name(), ours.entries());
    let point = |bin| Some((ours.mean(bin)?, ours.error(bin).unwrap_or(0.0)));
    let picture = ProfilePicture {
        title,
        label,
        description,
        x: ("x".to_owned(), booking.unit.clone()),
        y: (
            format!("mean of {}", ours.name()),
            booking.ordinate_unit.clone(),
        ),
        edges: edges_of(booking.axis),
        points: (1..=booking.axis.bins).map(point).collect(),
    };
    picture.draw()
}

fn one_coordinate(
    element: &MonitorElementView,
    ours: &Histogram,
    reference: Option<&MonitorElementView>,
) -> Result<Picture, Failure> {
    let axis = ours.axis();
    let edges = edges_of(axis);
    let variances = &ours.variances()[1..=axis.bins];
    let mut layers = Vec::new();
    if let Some(reference) = reference {
        layers.push(scaled(element, ours, reference, &edges)?);
    }
    layers.push(Layer {
        name: format!("run {}", element.run),
        edges,
        contents: ours.inside().to_vec(),
        errors: variances.iter().map(|v| v.max(0.0).sqrt()).collect(),
        look: Look::Points,
    });
    let [title, label, description] = words(element, ours.title(), ours.name(), ours.entries());
    let picture = HistogramPicture {
        title,
        label,
        description,
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
    let Element::Histogram(theirs) = content(reference)? else {
        return Err(cannot_draw(
            reference,
            "it is no histogram of one coordinate",
        ));
    };
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
    if let Some(other) = iovs
        .iter()
        .find(|iov| iov.time_type != TimeType::Run.as_str())
    {
        return Err(Failure::Refused(format!(
            "{tag} counts by {}: no task measures it, so there is nothing to draw against runs; \
             `tier0 calib iovs {tag}` lists its intervals",
            other.time_type
        )));
    }
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
    let sinces: std::collections::BTreeSet<u32> = iovs.iter().map(|iov| iov.since as u32).collect();
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
            time_type: "run".to_owned(),
            since: 1,
            hash: String::new(),
            sequence: 1,
            inserted_at: String::new(),
        };
        let decisions = [decision(2, 0.2), decision(1, 0.1)];
        let svg = trend("beamspot/SIM", &decisions, std::slice::from_ref(&iov))
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
        let by_lumi = IovView {
            time_type: "lumi".to_owned(),
            ..iov
        };
        let why = trend("spot", &[], &[by_lumi]).unwrap_err().to_string();
        assert!(why.contains("spot counts by lumi"), "{why}");
    }

    fn of_kind(content: Element) -> MonitorElementView {
        let named = [("it".to_owned(), content)].into_iter().collect();
        let text = dqm::uhi::write_elements(&named);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        MonitorElementView {
            path: "parts/look/it".to_owned(),
            histogram: document["it"].clone(),
            ..published(7, "real", &[1])
        }
    }

    #[test]
    fn whatever_is_monitored_is_drawn_or_refused_in_words() {
        let axis = Axis {
            bins: 2,
            low: 0.0,
            high: 2.0,
        };
        let mut map = Histogram2d::new("vertex", "", ["cm", "cm"], [axis, axis]).unwrap();
        map.fill(0.5, 1.5).unwrap();
        let map = of_kind(Element::Histogram2d(map));
        let svg = element(&map, None).unwrap().standalone();
        assert!(
            svg.contains("1 entries; parts/look/it of DQM-1.json"),
            "{svg}"
        );
        assert!(svg.contains("fill-opacity=\"1.00\""), "{svg}");
        let why = element(&map, Some(&map)).unwrap_err().to_string();
        assert!(why.contains("leave out --reference"), "{why}");
        let booking = dqm::profile::ProfileBooking {
            unit: "cm".to_owned(),
            ordinate_unit: "GeV".to_owned(),
            axis,
            ordinates: None,
            error: dqm::profile::ErrorOption::Mean,
        };
        let mut mean = Profile::new("mass", "", booking).unwrap();
        mean.fill(0.5, 91.0).unwrap();
        mean.fill(0.5, 93.0).unwrap();
        let svg = element(&of_kind(Element::Profile(mean)), None).unwrap();
        let svg = svg.standalone();
        assert!(svg.contains("mean of mass [GeV]"), "{svg}");
        let why = element(&of_kind(Element::Counter(3)), None).unwrap_err();
        assert!(why.to_string().contains("it is a counter"), "{why}");
    }
}
