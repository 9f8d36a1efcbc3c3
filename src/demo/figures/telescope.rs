//! Figures of the neutrino telescope: which time slices are here, and how fast photomultipliers
//! count.

use super::physics::steps;
use super::published::Published;
use super::{Figure, Material, told};
use crate::demo::summary::RunSummary;
use crate::draw::{HistogramPicture, Lane, Look, Segment, Shade, TimelinePicture};
use serde_json::json;

/// Histogram of the rates, as the program calls it.
const RATES: &str = "rates/photomultiplier";

type Range = (u64, u64);

/// Time slices of the runs from which some are absent: those that are here, in part or not at all.
pub(super) fn slices(material: &Material<'_>) -> Vec<Figure> {
    let accounts = material.documents.of_tier("ACCOUNT");
    accounts
        .filter_map(|account| slices_of(material, account))
        .collect()
}

fn slices_of(material: &Material<'_>, account: &Published) -> Option<Figure> {
    let of = &account.document["slices"];
    let ranges = |name: &str| serde_json::from_value::<Vec<Range>>(of[name].clone()).ok();
    let (first, last) = (of["first"].as_u64()?, of["last"].as_u64()?);
    let (absent, partial) = (ranges("absent_ranges")?, ranges("cut_short_ranges")?);
    if absent.is_empty() {
        return None;
    }
    let whole = others(first, last, [absent.as_slice(), &partial].concat());
    let caption = format!(
        "Run {}: {} of {} time slices are here, {} of them in part; {} absent, {} out of order. \
         Counted from slice {first} to {last} of the file: the sample is a cut of a longer run. \
         From {}.",
        account.run,
        of["present"],
        of["expected"],
        of["cut_short"],
        of["absent"],
        of["steps_back"],
        account.path
    );
    let picture = TimelinePicture {
        title: format!("Time slices of run {}", account.run),
        label: material.summary.label.clone(),
        description: format!(
            "{} of {} slices, {} absent",
            of["present"], of["expected"], of["absent"]
        ),
        quantity: "number of the time slice".to_owned(),
        unit: String::new(),
        range: Some((first as f64, last as f64 + 1.0)),
        shades: vec![
            (Shade::Working, "whole".to_owned()),
            (Shade::Storing, "in part".to_owned()),
            (Shade::Absent, "absent".to_owned()),
        ],
        lanes: vec![
            bars("whole", Shade::Working, &whole),
            bars("in part", Shade::Storing, &partial),
            bars("absent", Shade::Absent, &absent),
        ],
        marks: Vec::new(),
    };
    let numbers = json!({
        "run": account.run, "first": first, "last": last, "absent": absent, "partial": partial,
    });
    let source = std::slice::from_ref(&account.path);
    Some(Figure {
        kind: "slices",
        picture: picture.draw(),
        caption,
        data: material.document("slices", source, numbers),
        is_wide: true,
    })
}

/// A lane with a bar for each range; both ends are in it.
fn bars(name: &str, shade: Shade, ranges: &[Range]) -> Lane {
    let segment = |&(from, to): &Range| Segment {
        from: from as f64,
        to: to as f64 + 1.0,
        shade,
    };
    Lane {
        name: name.to_owned(),
        segments: ranges.iter().map(segment).collect(),
    }
}

/// What is left of a range when these are taken away.
fn others(first: u64, last: u64, mut taken: Vec<Range>) -> Vec<Range> {
    taken.sort_unstable();
    let (mut left, mut next) = (Vec::new(), first);
    for (from, to) in taken {
        if from > next {
            left.push((next, from - 1));
        }
        next = next.max(to + 1);
    }
    if next <= last {
        left.push((next, last));
    }
    left
}

/// Mean rates of the photomultipliers of each run.
pub(super) fn rates(material: &Material<'_>) -> Vec<Figure> {
    let runs = material.summary.runs.iter();
    runs.filter_map(|run| rates_of(material, run)).collect()
}

fn rates_of(material: &Material<'_>, run: &RunSummary) -> Option<Figure> {
    let rates = material.documents.plain(run.run, RATES)?;
    let counted = run.photomultipliers?;
    let histogram = &rates.histogram;
    let (width, unit) = (histogram.axis().width(), histogram.unit());
    let caption = format!(
        "Run {}: {} photomultipliers, {} of them silent, {} of those vetoed by the data \
         acquisition; {} beyond the axis. From {}.",
        run.run,
        counted.photomultipliers,
        counted.silent,
        counted.silent_and_vetoed,
        histogram.contents()[histogram.axis().bins + 1],
        told(&rates.sources)
    );
    let picture = HistogramPicture {
        title: format!("Rates of photomultipliers, run {}", run.run),
        label: material.summary.label.clone(),
        description: format!(
            "{} photomultipliers by their mean rate",
            histogram.entries()
        ),
        quantity: "mean rate".to_owned(),
        unit: unit.to_owned(),
        counted: format!("photomultipliers / {width} {unit}"),
        layers: vec![steps("photomultipliers", &rates, Look::Steps)],
        ..HistogramPicture::default()
    };
    let numbers = json!({
        "run": run.run, "histograms": { "rates": rates.numbers() }, "silent": counted.silent,
    });
    Some(Figure {
        kind: "rates",
        picture: picture.draw(),
        caption,
        data: material.document("rates", &rates.sources, numbers),
        is_wide: false,
    })
}

#[cfg(test)]
mod tests {
    use super::others;

    #[test]
    fn what_is_neither_absent_nor_partial_is_whole() {
        assert_eq!(
            others(30, 69, vec![(61, 69), (31, 39), (30, 30)]),
            [(40, 60)]
        );
        assert_eq!(others(1, 5, vec![]), [(1, 5)]);
        assert_eq!(others(1, 5, vec![(1, 5)]), []);
        assert_eq!(others(1, 5, vec![(3, 3)]), [(1, 2), (4, 5)]);
    }
}
