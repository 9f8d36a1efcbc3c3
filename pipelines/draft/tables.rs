//! Decision tables of gates: thresholds by coordinate, as people typed them.
//!
//! In comes the name of a table that is shipped (`pipelines/tables/`), or a table typed out where
//! it is used, with the same keys; out come its thresholds, in whole numbers. Being part of a
//! definition, they are of the version that a run has pinned, and change when definitions are read
//! again.

use crate::definition::{CoordinateRule, DecisionTable};
use crate::document::{Document, Node, Value};
use crate::reader::Reader;

/// The tables that are shipped, by name.
const SHIPPED: [(&str, &str); 3] = [
    ("chamber", include_str!("../tables/chamber.toml")),
    ("si_pixel_ali", include_str!("../tables/si_pixel_ali.toml")),
    (
        "si_pixel_ali_hg",
        include_str!("../tables/si_pixel_ali_hg.toml"),
    ),
];

/// More standard errors than this are no longer told from any other.
const SIGMA_MILLI_MAX: i64 = 1_000_000;

/// A decision table, by its name or typed out.
pub(super) fn read_decision_table<'d>(
    reader: &Reader<'d>,
    node: &'d Node,
) -> Option<DecisionTable> {
    if matches!(node.value, Value::Table(_)) {
        return read_thresholds(reader, node);
    }
    let text = reader.word(node, "decision table", &SHIPPED)?;
    let document = Document::parse("tables", text).expect("a test reads what is shipped");
    let shipped = Reader::new(&document);
    let thresholds = read_thresholds(&shipped, &document.root);
    let thresholds = shipped.finish(thresholds);
    Some(thresholds.expect("a test reads what is shipped"))
}

fn read_thresholds<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<DecisionTable> {
    let keys = reader.table(node, "a decision table", &["n_min", "coordinate"])?;
    let n_min = keys
        .required(reader, "n_min", "n_min = 25000")
        .and_then(|node| reader.count(node, 1..=u64::MAX));
    let list = keys.required(
        reader,
        "coordinate",
        "coordinate = [{ name = \"x_um\", .. }]",
    )?;
    let mut coordinates: Vec<CoordinateRule> = Vec::new();
    let nodes = reader.list(
        list,
        "coordinates (written as [[task.gate.table.coordinate]])",
    );
    if nodes.is_empty() {
        let message = "without a coordinate nothing is judged";
        reader.mistake(list, "T008", message, "add a coordinate");
    }
    for node in nodes {
        let Some(rule) = read_coordinate(reader, node) else {
            continue;
        };
        if coordinates.iter().any(|other| other.name == rule.name) {
            let message = format!("coordinate \"{}\" has two rows", rule.name);
            reader.mistake(node, "P002", message, "keep one");
        } else {
            coordinates.push(rule);
        }
    }
    Some(DecisionTable {
        n_min: n_min?,
        coordinates,
    })
}

fn read_coordinate<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<CoordinateRule> {
    const NUMBERS: [(&str, &str); 5] = [
        ("cut", "cut = \"5\""),
        ("max_move", "max_move = \"200\""),
        ("max_error", "max_error = \"10\""),
        ("min_sigma", "min_sigma = \"2.5\""),
        ("min_share", "min_share = \"0.25\""),
    ];
    let mut legal = vec!["name"];
    legal.extend(NUMBERS.iter().map(|(key, _)| *key));
    let keys = reader.table(node, "a coordinate", &legal)?;
    let name = keys
        .required(reader, "name", "name = \"x_um\"")
        .and_then(|node| reader.name(node, ""));
    let [cut, max_move, max_error, min_sigma, min_share] = NUMBERS.map(|(key, example)| {
        let (digits, high) = match key {
            "min_sigma" => (3, SIGMA_MILLI_MAX),
            "min_share" => (3, 1_000),
            _ => (9, i64::MAX),
        };
        let node = keys.required(reader, key, example)?;
        let number = reader.decimal(node, digits)?;
        if !(0..=high).contains(&number) {
            let message = format!("no move can be judged with this {key}");
            let hint = match key {
                "min_sigma" => "write 0 to 1000",
                "min_share" => "write a share from 0 to 1",
                _ => "write 0 or more, in the coordinate's own unit",
            };
            reader.mistake(node, "T008", message, hint);
        }
        Some(number)
    });
    let small = |number: i64| u32::try_from(number).unwrap_or(0);
    let rule = CoordinateRule {
        name: name?.to_owned(),
        cut_nano: cut?,
        max_move_nano: max_move?,
        max_error_nano: max_error?,
        min_sigma_milli: small(min_sigma?),
        min_share_permille: small(min_share?),
    };
    if rule.max_move_nano < rule.cut_nano {
        let message = "a move that counts would never be believed: max_move is below cut";
        reader.mistake(node, "T008", message, "write a max_move of at least cut");
    }
    Some(rule)
}
