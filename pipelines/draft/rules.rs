//! A task's rules as people typed them: how the constants it proposes are judged.
//!
//! In come their tables, out come the rules with every limit checked. Whether the tags they name
//! exist shows only among all pipelines.

use super::tables::read_decision_table;
use crate::definition::{DepartureRule, GateBy, GateRule};
use crate::document::Node;
use crate::reader::{Keys, Reader};
use model::names::TagName;
use model::time::Span;

/// A standard error more than this off is no longer told from any other.
const SIGMA_MAX: u32 = 1_000;

/// How long after its end an earlier run may hold back the constants of later ones: the field's
/// ConditionUploadTimeout (dmwm/T0:etc/ProdOfflineConfiguration.py).
const DEFAULT_UPLOAD_WAIT: Span = Span::from_secs(18 * 3_600);

pub(super) fn read_upload_wait<'d>(reader: &Reader<'d>, keys: &Keys<'d>, calibrates: bool) -> Span {
    let Some(node) = keys.get("upload_wait") else {
        return DEFAULT_UPLOAD_WAIT;
    };
    if !calibrates {
        let message = "only a task with gates waits for the constants of earlier runs".to_owned();
        reader.mistake(node, "T008", message, "remove it, or add a [[task.gate]]");
    }
    reader.span(node).unwrap_or(DEFAULT_UPLOAD_WAIT)
}

/// Keys of a gate that judges by departures.
const OF_DEPARTURES: [&str; 5] = ["n_min", "max_sigma", "max_move", "max_error", "accumulate"];

pub(super) fn read_gates<'d>(reader: &Reader<'d>, node: &'d Node) -> Vec<GateRule> {
    let mut gates: Vec<GateRule> = Vec::new();
    for node in reader.list(node, "gates (written as [[task.gate]])") {
        let Some(gate) = read_gate(reader, node) else {
            continue;
        };
        if gates.iter().any(|other| other.tag == gate.tag) {
            let message = format!("tag \"{}\" has two gates", gate.tag);
            reader.mistake(node, "P002", message, "keep one");
        } else {
            gates.push(gate);
        }
    }
    gates
}

fn read_gate<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<GateRule> {
    let mut legal = vec!["tag", "table"];
    legal.extend(OF_DEPARTURES);
    let keys = reader.table(node, "a gate", &legal)?;
    let tag = keys
        .required(reader, "tag", "tag = \"beamspot\"")
        .and_then(|n| reader.name(n, ""));
    let by = match keys.get("table") {
        Some(node) => {
            for key in OF_DEPARTURES {
                if let Some(node) = keys.get(key) {
                    let message =
                        format!("{key} has no meaning here: a table brings its own thresholds");
                    reader.mistake(node, "T008", message, "remove it, or the table");
                }
            }
            read_decision_table(reader, node).map(GateBy::Table)
        }
        None => read_departures(reader, &keys).map(GateBy::Departure),
    };
    Some(GateRule {
        tag: TagName::new(tag?),
        by: by?,
    })
}

fn read_departures<'d>(reader: &Reader<'d>, keys: &Keys<'d>) -> Option<DepartureRule> {
    let n_min = keys
        .required(reader, "n_min", "n_min = 50")
        .and_then(|node| reader.count(node, 1..=u64::MAX));
    let max_sigma = keys
        .required(reader, "max_sigma", "max_sigma = 3")
        .and_then(|node| reader.count_u32(node, 1..=SIGMA_MAX));
    let limit = |key: &str| {
        let node = keys.get(key)?;
        let nano = reader.decimal(node, 9)?;
        if nano <= 0 {
            let hint = "write more than 0, in the quantity's own unit";
            reader.mistake(
                node,
                "T008",
                format!("with this {key} nothing would pass"),
                hint,
            );
        }
        Some(nano)
    };
    Some(DepartureRule {
        n_min: n_min?,
        max_sigma: max_sigma?,
        max_move_nano: limit("max_move"),
        max_error_nano: limit("max_error"),
        accumulate: keys
            .get("accumulate")
            .and_then(|n| reader.flag(n))
            .unwrap_or(false),
    })
}
