//! Checksums of the data files, against zlib.

use crate::judging::{Comparison, Data, Item, count, members, needs_data, text};
use serde_json::Value;

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let mut empty = Comparison::default();
    empty.equal(
        "of nothing",
        u64::from(adler32::adler32(&[0u8; 0].as_slice())),
        count(&case["empty_input_dec"]),
    );
    let mut items = vec![empty.item("empty input")];
    for (file, expect) in members(&case["files"]) {
        let Some(bytes) = data.bytes(file) else {
            items.push(needs_data(file, file));
            continue;
        };
        let got = adler32::adler32(&bytes.as_slice());
        let mut comparison = Comparison::default();
        comparison.equal("size", bytes.len() as u64, count(&expect["size"]));
        comparison.equal("decimal", u64::from(got), count(&expect["adler32_dec"]));
        comparison.equal(
            "hex",
            format!("{got:08x}").as_str(),
            text(&expect["adler32"]),
        );
        items.push(comparison.item(file));
    }
    items
}
