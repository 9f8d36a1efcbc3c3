//! Conditions over HTTP: what of a tag is in force for a run, whatever the tag counts by, and that
//! a put reaches the engine as it was said.
//!
//! In: requests against a catalogue in memory. Out: what is answered, and what the engine heard.

use super::{listen_on_loopback, world};
use model::command::Command;
use model::conditions::TimeType;

#[test]
fn a_put_reaches_the_engine_with_its_sha256() {
    let world = world(&listen_on_loopback(), true, false);
    let put = |body: &str| world.ask("POST", "/api/v1/iovs?by=expert", Some(body)).0;
    assert_eq!(put(r#"{"tag":"spot","since":7,"payload":"abc"}"#), 200);
    let made = r#"{"tag":"survey","since":1,"payload":"","synchronisation":"offline",
                   "description":"of Monday"}"#;
    assert_eq!(put(made), 200);
    let by_lumi = r#"{"tag":"spot","since":30064771074,"payload":"","time_type":"lumi"}"#;
    assert_eq!(put(by_lumi), 200);
    let long = "x".repeat(200_000);
    let large = format!(r#"{{"tag":"spot","since":7,"payload":"{long}"}}"#);
    assert_eq!(put(&large), 200, "a payload is larger than other bodies");
    let larger = large.replace(&long, &"x".repeat(1 << 20));
    assert_eq!(put(&larger), 413);
    for wrong in [
        r#"{"tag":"spot","since":-1,"payload":"abc"}"#,
        r#"{"tag":"spot","payload":"abc"}"#,
        r#"{"tag":"spot","since":7,"payload":"abc","synchronisation":"sometimes"}"#,
        r#"{"tag":"spot","since":7,"payload":"abc","description":"of nobody"}"#,
        r#"{"tag":"spot","since":7,"payload":"abc","sync":"any"}"#,
        r#"{"tag":"spot","since":7,"payload":"abc","time_type":"Lumi"}"#,
        r#"{"tag":"spot","since":18446744073709551616,"payload":"abc"}"#,
    ] {
        assert_eq!(put(wrong), 400, "{wrong}");
    }
    let asked = world.door.0.lock().unwrap();
    let told: Vec<String> = asked
        .iter()
        .map(|order| match &order.command {
            Command::Put(put) => {
                let make = put.make.as_ref().map(|make| make.synchronisation.as_str());
                let hash = &put.payload.hash[..8];
                let counts = put.time_type.map(TimeType::as_str);
                format!(
                    "{} {} {hash} {make:?} {counts:?} by {}",
                    put.tag, put.since.0, order.by
                )
            }
            other => panic!("{other:?}"),
        })
        .collect();
    // sha256 of "abc" is in FIPS 180-4's examples, that of nothing in RFC 6234's.
    assert_eq!(told[0], "spot 7 ba7816bf None None by expert");
    assert_eq!(
        told[1],
        "survey 1 e3b0c442 Some(\"offline\") None by expert"
    );
    assert_eq!(
        told[2],
        "spot 30064771074 e3b0c442 None Some(\"lumi\") by expert"
    );
    assert_eq!(told.len(), 4);
}

#[test]
fn in_force_for_a_run_is_what_it_is_in_by_the_count_of_the_tag() {
    let world = world(&listen_on_loopback(), true, false);
    let check = |asked: &str, expect: &[i64]| {
        let answer = world.json(&format!("/api/v1/iovs?{asked}"));
        let items = answer["items"].as_array().unwrap().iter();
        let sequences: Vec<i64> = items
            .map(|item| item["sequence"].as_i64().unwrap())
            .collect();
        assert_eq!(sequences, expect, "{asked}: {answer}");
    };
    check("tag=beamspot&run=4", &[1]);
    check("tag=beamspot&run=5", &[3]);
    // By lumi: what its first lumi is in, and whatever begins in it; the last inserted counts.
    check("tag=spot&run=5", &[]);
    check("tag=spot&run=6", &[7]);
    check("tag=spot&run=7", &[7, 9, 10]);
    check("tag=spot&run=8", &[11]);
    check("tag=spot&run=9", &[11]);
    let as_of = |second| format!("tag=spot&run=7&as_of=1970-01-01T00:00:0{second}Z");
    check(&as_of(9), &[7, 9]);
    check(&as_of(8), &[7, 8]);
    check(&as_of(6), &[]);
    // By time: when the run began, which nobody knows of a run that is not known.
    check("tag=wires&run=1", &[5]);
    check("tag=wires&run=7", &[]);
    check("run=1", &[1, 4, 5]);
    let counts = world.json("/api/v1/iovs?tag=spot");
    assert_eq!(counts["items"][0]["time_type"], "lumi");
    let since = serde_json::json!((6_u64 << 32) | 3);
    assert_eq!(counts["items"][0]["since"], since);
    let tags = world.json("/api/v1/tags");
    assert_eq!(tags["items"][3]["tag"], "spot");
    assert_eq!(tags["items"][3]["first_since"], since);
    assert_eq!(tags["items"][3]["iovs"], 4);
}
