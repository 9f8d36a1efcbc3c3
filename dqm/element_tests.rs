//! Pieces of elements, merged in any order and from any split, are the same bits; what does not
//! belong together is refused.

use super::*;
use crate::histogram::Axis;
use crate::profile::{ErrorOption, ProfileBooking};
use crate::uhi;
use proptest::prelude::*;

const AXIS: Axis = Axis {
    bins: 5,
    low: -1.0,
    high: 3.0,
};

fn booked() -> Elements {
    let booking = ProfileBooking {
        unit: "cm".to_owned(),
        ordinate_unit: String::new(),
        axis: AXIS,
        ordinates: None,
        error: ErrorOption::Mean,
    };
    let map = Histogram2d::new("map", "", ["cm", "cm"], [AXIS, AXIS]).unwrap();
    Elements::from([
        (
            "T/h".to_owned(),
            Element::Histogram(Histogram::new("h", "", "cm", AXIS).unwrap()),
        ),
        ("T/map".to_owned(), Element::Histogram2d(map)),
        (
            "T/p".to_owned(),
            Element::Profile(Profile::new("p", "", booking).unwrap()),
        ),
        ("T/n".to_owned(), Element::Counter(0)),
        ("T/release".to_owned(), Element::Text(BTreeMap::new())),
    ])
}

/// One entry of everything.
type Entry = (f64, f64, f64);

fn fill(elements: &mut Elements, (x, y, weight): Entry) {
    for element in elements.values_mut() {
        match element {
            Element::Histogram(it) => it.fill_weighted(x, weight).unwrap(),
            Element::Histogram2d(it) => it.fill_weighted(x, y, weight).unwrap(),
            Element::Profile(it) => it.fill_weighted(x, y, weight).unwrap(),
            Element::Counter(it) => *it += 1,
            Element::Text(it) => *it.entry(format!("r{}", y > 0.0)).or_default() += 1,
        }
    }
}

fn of(entries: &[Entry]) -> Elements {
    let mut elements = booked();
    for entry in entries {
        fill(&mut elements, *entry);
    }
    elements
}

fn entry() -> impl Strategy<Value = Entry> {
    let weight = prop_oneof![Just(1.0), -1e3..1e3, Just(1e20), Just(1.0 / 3.0)];
    (-2.0..4.0, prop_oneof![-2.0..4.0, -1e12..1e12], weight)
}

proptest! {
    #[test]
    fn any_split_in_any_order_is_the_same_record(
        (entries, shuffled) in prop::collection::vec((entry(), 0_u32..6), 1..60)
            .prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
        weighted: bool,
    ) {
        let plain = |(x, y, weight): Entry| (x, y, if weighted { weight } else { 1.0 });
        let all: Vec<Entry> = entries.iter().map(|(it, _)| plain(*it)).collect();
        let mut collection = Collection::default();
        // Each piece is a lumi that comes as its own record, in the order of the shuffled list.
        let mut seen = Vec::new();
        for (_, lumi) in &shuffled {
            if seen.contains(lumi) {
                continue;
            }
            seen.push(*lumi);
            let piece: Vec<Entry> = shuffled.iter().filter(|(_, of)| of == lumi)
                .map(|(it, _)| plain(*it)).collect();
            let record = uhi::write_elements(&of(&piece));
            for (path, element) in uhi::read_elements(&record).unwrap() {
                collection.add(Scope { run: 1, lumi: Some(*lumi) }, &path, &element).unwrap();
            }
        }
        let mut merged = booked();
        for lumi in seen.iter().rev() {
            for (path, element) in &collection.scopes()[&Scope { run: 1, lumi: Some(*lumi) }] {
                merged.get_mut(path).unwrap().merge(path, element).unwrap();
            }
        }
        prop_assert_eq!(&merged, &of(&all));
        prop_assert_eq!(&collection.harvest(1).unwrap(), &merged);
        prop_assert_eq!(uhi::write_elements(&merged), uhi::write_elements(&of(&all)));
    }
}

#[test]
fn scopes_stay_apart_until_the_harvest() {
    let mut collection = Collection::default();
    for (run, lumi, count) in [
        (1, Some(1), 1),
        (1, Some(2), 10),
        (1, None, 100),
        (2, Some(1), 7),
    ] {
        let added = Element::Counter(count);
        collection.add(Scope { run, lumi }, "T/n", &added).unwrap();
    }
    let twice = {
        let mut twice = collection.clone();
        twice.merge(&collection).unwrap();
        twice
    };
    for (of, run, expect) in [(&collection, 1, 111), (&collection, 2, 7), (&twice, 1, 222)] {
        assert_eq!(of.harvest(run).unwrap()["T/n"], Element::Counter(expect));
    }
    assert_eq!(collection.scopes().len(), 4);
    assert!(collection.harvest(3).unwrap().is_empty());
}

#[test]
fn what_does_not_belong_together_is_refused_and_leaves_no_trace() {
    let finer = Axis { bins: 6, ..AXIS };
    let finer = Element::Histogram(Histogram::new("h", "", "cm", finer).unwrap());
    for (path, other) in [
        ("T/h", finer),
        ("T/h", Element::Counter(1)),
        ("T/n", Element::text("one")),
        ("T/release", booked()["T/p"].clone()),
        ("T/map", booked()["T/h"].clone()),
    ] {
        let mut element = booked()[path].clone();
        let refused = element.merge(path, &other);
        assert!(
            matches!(refused, Err(HistogramError::Mismatch { .. })),
            "{path}"
        );
        assert_eq!(element, booked()[path]);
    }
    let mut full = Element::Counter(i64::MAX);
    let mut texts = Element::Text((0..MAX_TEXTS).map(|n| (n.to_string(), 1)).collect());
    for (element, other) in [
        (&mut full, Element::Counter(1)),
        (&mut texts, Element::text("one more")),
    ] {
        let refused = element.merge("T/x", &other);
        assert!(matches!(refused, Err(HistogramError::Contents { .. })));
    }
}
