//! The register, against looking at every row: what jobs are given, what differs, and that a
//! document loses nothing.

use super::document::Brought;
use super::register::{Point, Register};
use super::rule::{Frontier, Limits};
use model::conditions::{
    ConditionsTag, GlobalTag, Protection, RecordTag, Since, Synchronisation, TimeType,
};
use model::conditions_document::ConditionsDocument as Document;
use model::ids::{LumiNumber, RunNumber};
use model::names::TagName;
use model::time::Moment;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Nothing has been processed yet.
const UNTOUCHED: Limits = {
    let frontier = Frontier {
        run: RunNumber(1),
        begins_at: Moment(0),
    };
    Limits {
        next_run: frontier,
        first_safe: frontier,
    }
};

fn tag(name: &str, time_type: TimeType) -> ConditionsTag {
    ConditionsTag {
        name: name.into(),
        time_type,
        object_type: "BeamSpotObjects".to_owned(),
        synchronisation: Synchronisation::Any,
        description: String::new(),
        protection: Protection::Open,
        end_of_validity: None,
        held: None,
        inserted_at: Moment::from_micros(1),
    }
}

fn run(run: u32) -> Point {
    Point {
        run: RunNumber(run),
        lumi: LumiNumber(1),
        at: Moment(0),
    }
}

/// Stands for a hash: the text itself, told apart from it.
fn hash(text: &str) -> String {
    format!("<{text}>")
}

/// A put at a moment in microseconds.
fn put(register: &mut Register, name: &str, since: u64, text: &str, at_us: i64) -> (u64, bool) {
    let now = (Moment::from_micros(at_us), at_us);
    let payload = (hash(text), text);
    let payload = (payload.0.as_str(), payload.1);
    let put = register.put(&name.into(), Since(since), payload, now, &UNTOUCHED);
    let put = put.expect("any tag takes it");
    (put.since.0, put.is_new)
}

fn global(name: &str, snapshot_us: i64, tags: &[(&str, &str)]) -> GlobalTag {
    let of = |(record, tag): &(&str, &str)| RecordTag {
        record: (*record).to_owned(),
        label: String::new(),
        tag: (*tag).into(),
    };
    GlobalTag {
        name: name.to_owned(),
        description: "for prompt".to_owned(),
        release: "2026.1".to_owned(),
        snapshot_at: Moment::from_micros(snapshot_us),
        inserted_at: Moment::from_micros(7),
        tags: tags.iter().map(of).collect(),
    }
}

#[test]
fn the_same_twice_is_one_row_and_a_correction_is_two() {
    let mut register = Register::default();
    assert_eq!(register.make(tag("spot", TimeType::Run)), Ok(true));
    assert_eq!(register.make(tag("spot", TimeType::Run)), Ok(false));
    assert_eq!(put(&mut register, "spot", 5, "a", 10), (5, true));
    assert_eq!(put(&mut register, "spot", 5, "a", 20), (5, false));
    assert_eq!(put(&mut register, "spot", 5, "b", 30), (5, true));
    // Back to what it was before: that is not in force any more, so it is a row.
    assert_eq!(put(&mut register, "spot", 5, "a", 40), (5, true));
    let history = register.history(&"spot".into()).unwrap();
    let history: Vec<_> = history
        .iter()
        .map(|(since, row)| (since.0, row.inserted_us, row.payload.as_str()))
        .collect();
    assert_eq!(history, [(5, 10, "<a>"), (5, 30, "<b>"), (5, 40, "<a>")]);
    assert_eq!(register.payload("<b>"), Some("b"));
}

#[test]
fn what_was_moved_once_is_moved_to_the_same_row_again() {
    let mut register = Register::default();
    let prompt = ConditionsTag {
        synchronisation: Synchronisation::Prompt,
        ..tag("spot", TimeType::Run)
    };
    register.make(prompt).unwrap();
    let safe = |run: u32| Limits {
        first_safe: Frontier {
            run: RunNumber(run),
            ..UNTOUCHED.first_safe
        },
        ..UNTOUCHED
    };
    let mut put = |since: u64, text: &str, first_safe: u32| {
        let (now, limits) = ((Moment(0), i64::from(first_safe)), safe(first_safe));
        let put = register.put(
            &"spot".into(),
            Since(since),
            (&hash(text), text),
            now,
            &limits,
        );
        let put = put.expect("prompt tags move it");
        (put.since.0, put.is_new)
    };
    assert_eq!(put(3, "a", 5), (5, true));
    assert_eq!(put(3, "a", 5), (5, false));
    assert_eq!(put(4, "a", 5), (5, false));
    // Processing has gone on: what is there stays so, another constant comes behind.
    assert_eq!(put(5, "a", 9), (5, false));
    assert_eq!(put(5, "b", 9), (9, true));
}

#[test]
fn a_tag_does_not_become_another_one() {
    let mut register = Register::default();
    register.make(tag("spot", TimeType::Run)).unwrap();
    let refused = register.make(tag("spot", TimeType::Lumi)).unwrap_err();
    let expect = "spot is known with another time type: what a tag is does not change; make a new \
                  tag";
    assert_eq!(refused.to_string(), expect);
    let now = (Moment(0), 1);
    let unknown = register.put(&"scale".into(), Since(1), ("", ""), now, &UNTOUCHED);
    let unknown = unknown.unwrap_err().to_string();
    assert!(unknown.contains("no tag is called scale"), "{unknown}");
}

#[test]
fn a_job_is_given_what_its_global_tag_says_and_nothing_later() {
    let mut register = Register::default();
    for (name, by) in [
        ("spot", TimeType::Run),
        ("pixels", TimeType::Lumi),
        ("late", TimeType::Run),
    ] {
        register.make(tag(name, by)).unwrap();
    }
    put(&mut register, "spot", 1, "a", 10);
    put(&mut register, "spot", 5, "b", 30);
    put(&mut register, "pixels", (5 << 32) | 1, "c", 10);
    put(&mut register, "pixels", (5 << 32) | 9, "d", 10);
    put(&mut register, "late", 9, "e", 10);
    let made = register.make_global(global("G1", 20, &[("Spot", "spot"), ("Pixels", "pixels")]));
    assert_eq!(made, Ok(true));
    let at = Point {
        lumi: LumiNumber(9),
        ..run(5)
    };
    let snapshot = serde_json::to_value(register.snapshot("G1", at).unwrap()).unwrap();
    let expect = serde_json::json!({
        "global_tag": "G1",
        "snapshot": "1970-01-01T00:00:00.000020Z",
        "tags": {
            "pixels": { "since": (5_u64 << 32) | 9, "hash": "<d>" },
            "spot": { "since": 1, "hash": "<a>" },
        },
    });
    assert_eq!(snapshot, expect);
    let refused = |register: &mut Register, tags: &[(&str, &str)], at| {
        let name = format!("G{}", tags.len() + 5);
        register.make_global(global(&name, 20, tags)).unwrap();
        register.snapshot(&name, at).unwrap_err().to_string()
    };
    let late = refused(&mut register, &[("Late", "late")], run(8));
    assert!(
        late.contains("late has nothing in force at run 8: it is filled only later"),
        "{late}"
    );
    register.make(tag("empty", TimeType::Run)).unwrap();
    let empty = refused(&mut register, &[("A", "spot"), ("B", "empty")], run(8));
    assert!(
        empty.contains("empty has nothing in force at run 8: it is empty"),
        "{empty}"
    );
    let other = register
        .make_global(global("G1", 21, &[]))
        .unwrap_err()
        .to_string();
    assert!(other.contains("G1 is known with other contents"), "{other}");
    let unknown = register
        .make_global(global("G2", 21, &[("A", "nobody")]))
        .unwrap_err();
    assert!(unknown.to_string().contains("no tag is called nobody"));
    let twice = register.make_global(global("G3", 21, &[("A", "spot"), ("A", "empty")]));
    let twice = twice.unwrap_err().to_string();
    assert!(twice.contains("G3 names two tags for A"), "{twice}");
    let again = GlobalTag {
        inserted_at: Moment::from_micros(8),
        ..global("G1", 20, &[("Spot", "spot"), ("Pixels", "pixels")])
    };
    let before = register.clone();
    let again = register.make_global(again);
    assert_eq!(again, Ok(false), "when it was made does not count");
    assert_eq!(register, before);
}

#[test]
fn global_tags_differ_by_record_and_by_stretch() {
    let mut register = Register::default();
    for name in ["spot", "spot_v2", "scale"] {
        register.make(tag(name, TimeType::Run)).unwrap();
    }
    put(&mut register, "spot", 1, "a", 10);
    put(&mut register, "spot", 5, "b", 10);
    put(&mut register, "spot_v2", 1, "a", 10);
    put(&mut register, "spot_v2", 3, "a", 10);
    put(&mut register, "spot_v2", 7, "c", 10);
    register
        .make_global(global("old", 20, &[("Spot", "spot")]))
        .unwrap();
    let tags = [("Scale", "scale"), ("Spot", "spot_v2")];
    register.make_global(global("new", 20, &tags)).unwrap();
    let found = register
        .global_difference("old", "new", (run(1), run(100)))
        .unwrap();
    let shown: Vec<String> = found
        .iter()
        .map(|record| {
            let name = |tag: &Option<TagName>| tag.as_ref().map_or("-".into(), TagName::to_string);
            let stretches = record.differences.iter().map(|one| {
                let (left, right) = (one.left.as_deref(), one.right.as_deref());
                let until = one.until.map_or(0, |until| until.0);
                format!(" {}..{until} {left:?} {right:?}", one.from.0)
            });
            let (left, right) = (name(&record.left), name(&record.right));
            let stretches: String = stretches.collect();
            format!("{} {left} {right}{stretches}", record.record)
        })
        .collect();
    let expect = [
        "Scale - scale",
        "Spot spot spot_v2 5..7 Some(\"<b>\") Some(\"<a>\") 7..0 Some(\"<b>\") Some(\"<c>\")",
    ];
    assert_eq!(shown, expect);
    register.make(tag("pixels", TimeType::Lumi)).unwrap();
    let both = ((&"spot".into(), 20), (&"pixels".into(), 20));
    let refused = register
        .difference(both.0, both.1, (run(1), run(2)))
        .unwrap_err();
    let expect = "spot counts by Run and pixels by Lumi: compare tags that count alike";
    assert_eq!(refused.to_string(), expect);
}

#[test]
fn a_document_that_contradicts_changes_nothing() {
    let mut register = Register::default();
    register.make(tag("spot", TimeType::Run)).unwrap();
    put(&mut register, "spot", 5, "a", 10);
    let whole = register.export();
    let check = |spoil: &dyn Fn(&mut Document), part: &str| {
        let mut document = whole.clone();
        spoil(&mut document);
        let mut elsewhere = register.clone();
        let refused = elsewhere.import(&document).unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
        assert_eq!(elsewhere, register, "{part}: nothing has changed");
    };
    let mut changed = whole.clone();
    assert_eq!(changed.changed_payload(hash), None);
    changed.payloads[0].data.push('!');
    let found = (whole.payloads[0].hash.as_str(), hash("a!"));
    assert_eq!(changed.changed_payload(hash), Some(found));
    check(&|d| d.iovs[0].payload_hash.push('!'), "which is not here");
    check(&|d| d.iovs[0].tag_name.push('!'), "no tag is called spot!");
    check(&|d| d.iovs[0].since = 0, "numbered from 1");
    check(&|d| d.tags[0].protection_code = 1, "another protection");
    let other = |d: &mut Document| {
        d.payloads[0].data = "b".to_owned();
        d.payloads[0].hash = hash("b");
        d.iovs[0].payload_hash = hash("b");
    };
    check(
        &other,
        "spot since run 5 was inserted at 10 us with another payload",
    );
    let mut again = register.clone();
    assert_eq!(again.import(&whole), Ok(Brought::default()));
    assert_eq!(again, register, "what is here already is not kept twice");
}

/// A register of up to three tags with puts in any order, and a global tag.
fn registers() -> impl Strategy<Value = Register> {
    let tags = prop::collection::vec(
        (
            prop::sample::select(Synchronisation::ALL.to_vec()),
            any::<bool>(),
            prop::option::of(0_u64..50),
            "[ -~\\n\u{e1}]{0,8}",
        ),
        1..4,
    );
    let puts = prop::collection::vec((0_usize..3, 1_u64..20, "[ -~\"\\n]{1,4}", 0_i64..20), 0..30);
    (tags, puts, 0_i64..20).prop_map(|(tags, puts, snapshot_us)| {
        let mut register = Register::default();
        let mut names: Vec<String> = Vec::new();
        for (number, (synchronisation, is_protected, end, description)) in (0..).zip(tags) {
            let name = format!("t{number}");
            let open = ConditionsTag {
                synchronisation,
                description,
                protection: if is_protected {
                    Protection::Protected
                } else {
                    Protection::Open
                },
                end_of_validity: end.map(Since),
                ..tag(&name, [TimeType::Run, TimeType::Time][number % 2])
            };
            register.make(open).unwrap();
            names.push(name);
        }
        for (sequence, (tag, since, text, at_us)) in (0..).zip(puts) {
            let name: TagName = names[tag % names.len()].as_str().into();
            let now = (Moment::from_micros(at_us), sequence);
            // Where the tag's rule refuses it, there is nothing to carry.
            let _ = register.put(&name, Since(since), (&hash(&text), &text), now, &UNTOUCHED);
        }
        let all: Vec<(&str, &str)> = names
            .iter()
            .map(|name| (name.as_str(), name.as_str()))
            .collect();
        register
            .make_global(global("G", snapshot_us, &all))
            .unwrap();
        register
    })
}

proptest! {
    /// Export and import are inverse, through the text.
    #[test]
    fn a_document_loses_nothing(register in registers()) {
        let text = serde_json::to_string(&register.export()).unwrap();
        let document: Document = serde_json::from_str(&text).unwrap();
        let mut back = Register::default();
        let brought = back.import(&document).unwrap();
        prop_assert_eq!(brought.iovs, document.iovs.len());
        prop_assert_eq!(brought.payloads, document.payloads.len());
        prop_assert_eq!(&back, &register);
        prop_assert_eq!(serde_json::to_string(&back.export()).unwrap(), text);
    }

    /// Stretches say exactly where two tags have different payloads.
    #[test]
    fn differences_are_those_of_every_run(
        puts in prop::collection::vec((any::<bool>(), 1_u64..20, 0_u8..3), 0..30),
        from in 1_u32..20,
        length in 0_u32..20,
    ) {
        let mut register = Register::default();
        for name in ["left", "right"] {
            register.make(tag(name, TimeType::Run)).unwrap();
        }
        let mut naive: [BTreeMap<u64, String>; 2] = Default::default();
        for (at_us, (is_right, since, payload)) in (0..).zip(puts) {
            let text = payload.to_string();
            put(&mut register, if is_right { "right" } else { "left" }, since, &text, at_us);
            naive[usize::from(is_right)].insert(since, hash(&text));
        }
        let of = |side: usize, run: u64| {
            let before = naive[side].range(..=run).next_back();
            before.map(|(_, payload)| payload.clone())
        };
        let range = (run(from), run(from + length));
        let both = ((&"left".into(), i64::MAX), (&"right".into(), i64::MAX));
        let found = register.difference(both.0, both.1, range).unwrap();
        for run in u64::from(from)..=u64::from(from + length) {
            let mut on = found.iter().filter(|one| {
                one.from.0 <= run && one.until.is_none_or(|until| run < until.0)
            });
            let (left, right) = (of(0, run), of(1, run));
            match on.next() {
                None => prop_assert_eq!(left, right),
                Some(one) => {
                    prop_assert_ne!(&left, &right);
                    prop_assert_eq!((&one.left, &one.right), (&left, &right));
                }
            }
            prop_assert!(on.next().is_none());
        }
        for pair in found.windows(2) {
            let touch = pair[0].until == Some(pair[1].from);
            let is_same = (&pair[0].left, &pair[0].right) == (&pair[1].left, &pair[1].right);
            prop_assert!(!(touch && is_same), "two stretches that are one");
        }
    }
}
