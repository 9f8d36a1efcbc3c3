//! Checksums of the data files, against zlib.

use crate::judging::{Comparison, Data, Item, members_asked, needs_data, text};
use serde_json::Value;

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let mut items = Vec::new();
    if !case["empty_input_dec"].is_null() {
        let mut empty = Comparison::default();
        let got = u64::from(adler32::adler32(&[0u8; 0].as_slice()));
        empty.count_asked("of nothing", got, &case["empty_input_dec"]);
        items.push(empty.item("empty input"));
    }
    for (file, expect) in members_asked(&case["files"]) {
        let Some(bytes) = data.bytes(file) else {
            items.push(needs_data(file, file));
            continue;
        };
        let got = adler32::adler32(&bytes.as_slice());
        let mut comparison = Comparison::default();
        comparison.count_asked("size", bytes.len() as u64, &expect["size"]);
        comparison.count_asked("decimal", u64::from(got), &expect["adler32_dec"]);
        if !expect["adler32"].is_null() {
            let hex = format!("{got:08x}");
            comparison.equal("hex", hex.as_str(), text(&expect["adler32"]));
        }
        items.push(comparison.item(file));
    }
    items
}
