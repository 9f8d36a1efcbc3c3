//! Files and JSON are what outside tools have read: parts of them are repeated here byte for byte
//! as ROOT 6.40 wrote them for the same entries, and what cannot be written is refused.

use super::*;
use crate::element::{Element, Elements};
use crate::histogram::{Axis, Histogram};

/// `TH1D h("h", "title", 3, 0, 3); h.Fill(0.5); h.Fill(1.5, 2)`.
fn filled() -> Histogram {
    let axis = Axis {
        bins: 3,
        low: 0.0,
        high: 3.0,
    };
    let mut histogram = Histogram::new("h", "title", "", axis).unwrap();
    histogram.fill(0.5).unwrap();
    histogram.fill_weighted(1.5, 2.0).unwrap();
    histogram
}

fn elements(paths: &[&str]) -> Elements {
    paths
        .iter()
        .map(|path| ((*path).to_owned(), Element::Histogram(filled())))
        .collect()
}

fn word(bytes: &[u8], place: usize) -> usize {
    u32::from_be_bytes(bytes[place..place + 4].try_into().unwrap()) as usize
}

#[test]
fn an_object_is_the_bytes_that_root_writes() {
    let bytes = file("x.root", 1, &elements(&["T/h"])).unwrap();
    // From the name of the axis on: 510 divisions, colours, font, offsets, three bins from 0 to 3.
    let axis = concat!(
        "0578617869730040000024000400",
        "0001fe00010001002a3ba3d70a3d0f5c293cf5c28f3f8000003d0f5c290001002a00000003",
        "00000000000000004008000000000000",
    );
    // From the sums on: maximum, minimum, norm, contours, sums of squared weights, the empty list.
    let sums = concat!(
        "4000000000000000",
        "4008000000000000",
        "4014000000000000",
        "400c000000000000",
        "4013000000000000",
        "c0915c0000000000",
        "c0915c0000000000",
        "0000000000000000",
        "00000000",
        "00000005",
        "0000000000000000",
        "3ff0000000000000",
        "4010000000000000",
        "0000000000000000",
        "0000000000000000",
        "00",
        "40000011000500010000000000010000",
        "0000000000",
        "00000000",
        "00",
        "00000000",
        "00000002",
        "00000005",
        "0000000000000000",
        "3ff0000000000000",
        "4000000000000000",
        "0000000000000000",
        "0000000000000000",
    );
    for expect in [axis, sums] {
        let expect: Vec<u8> = (0..expect.len() / 2)
            .map(|n| u8::from_str_radix(&expect[2 * n..2 * n + 2], 16).unwrap())
            .collect();
        let found = bytes
            .windows(expect.len())
            .filter(|window| *window == expect)
            .count();
        assert_eq!(found, 1);
    }
}

/// Every byte belongs to a key, and every list and place that is told of is one.
#[test]
fn a_file_is_keys_from_its_beginning_to_its_end() {
    let paths = ["T/h", "T/inner/h", "U/deep/deeper/h"];
    let bytes = file("x.root", 1, &elements(&paths)).unwrap();
    assert_eq!(
        (&bytes[..4], word(&bytes, 4), word(&bytes, 8)),
        (&b"root"[..], 64_000, 100)
    );
    let (end, free, infos) = (word(&bytes, 12), word(&bytes, 16), word(&bytes, 37));
    assert_eq!((end, bytes.len()), (end, end));
    let (mut place, mut keys) = (100, Vec::new());
    while place < end {
        assert_eq!(word(&bytes, place + 18), place, "a key tells where it is");
        keys.push(place);
        place += word(&bytes, place);
    }
    assert_eq!((place, keys.last()), (end, Some(&free)));
    assert!(keys.contains(&infos));
    // Each folder tells how long its list is and where: 26 bytes into its record, 10 into it.
    let folders = keys
        .iter()
        .filter(|key| bytes[**key + 26..].starts_with(b"\x0aTDirectory"));
    let records = folders.filter(|key| word(&bytes, **key + 6) == 60);
    let lists = records.map(|key| {
        let record = key + usize::from(u16::from_be_bytes([bytes[key + 14], bytes[key + 15]]));
        (word(&bytes, record + 26), word(&bytes, record + 10))
    });
    let lists: Vec<(usize, usize)> = lists.collect();
    assert_eq!(lists.len(), 9);
    for (list, length) in lists {
        assert!(
            keys.contains(&list) && word(&bytes, list) == length,
            "{list}"
        );
    }
    // Ten folders, each with its list: the root, five for T, four more for U. Three objects, the
    // descriptions, the free list.
    assert_eq!(keys.len(), 2 * 10 + 3 + 2);
    assert_eq!(bytes, file("x.root", 1, &elements(&paths)).unwrap());
    let other = file("x.root", 1, &elements(&paths[..2])).unwrap();
    assert_ne!(
        bytes[47..63],
        other[47..63],
        "identifiers are of the content"
    );
}

#[test]
fn json_is_what_root_writes() {
    let text = json("T/h", &Element::Histogram(filled()));
    let start = r#"{"_typename":"TH1D","fUniqueID":0,"fBits":8,"fName":"h","fTitle":"title","fLineColor":602,"#;
    assert!(text.starts_with(start), "{text}");
    for part in [
        r#","fXaxis":{"_typename":"TAxis","fUniqueID":0,"fBits":0,"fName":"xaxis","fTitle":"","fNdivisions":510,"#,
        r#","fLabelOffset":0.005,"fLabelSize":0.035,"#,
        r#","fNbins":3,"fXmin":0,"fXmax":3,"fXbins":[],"fFirst":0,"fLast":0,"fBits2":0,"fTimeDisplay":false,"#,
        r#","fEntries":2,"fTsumw":3,"fTsumw2":5,"fTsumwx":3.5,"fTsumwx2":4.75,"fMaximum":-1111,"#,
        r#","fSumw2":[0,1,4,0,0],"fOption":"","fFunctions":{"_typename":"TList","name":"TList","arr":[],"opt":[]},"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        text.ends_with(r#""fStatOverflows":2,"fArray":[0,1,2,0,0]}"#),
        "{text}"
    );
    let text = json("T/c", &Element::Counter(5));
    let expect = r#"{"_typename":"TObjString","fUniqueID":0,"fBits":0,"fString":"<c>i=5</c>"}"#;
    assert_eq!(text, expect);
}

#[test]
fn what_is_no_place_in_a_file_is_refused() {
    let long = format!("T/{}", "x".repeat(9_000));
    for paths in [
        &["h"][..],
        &["T//h"],
        &["/h"],
        &["T/h;1"],
        &["T/h", "T/h/h"],
        &[&long],
    ] {
        let refused = file("x.root", 1, &elements(paths));
        assert!(matches!(refused, Err(RootError::Path { .. })), "{paths:?}");
    }
    // Longer than one byte can say.
    let long = format!("T/{}", "x".repeat(300));
    assert!(file("x.root", 1, &elements(&[&long])).is_ok());
}
