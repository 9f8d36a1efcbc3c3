//! Protects: one of 100,000 intervals is found in less than 1 ms for all tags of a global tag, also
//! as of a moment before most of them were inserted.
//!
//! In: nothing. Out: criterion's lines; `raw` is a plain binary search over the same sinces, the
//! limit of what can be done.

use calibration::conditions::register::{Point, Register};
use calibration::conditions::{Frontier, Index, Insertion, Limits};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use model::conditions::{ConditionsTag, GlobalTag, RecordTag, Since, Synchronisation};
use model::ids::{LumiNumber, RunNumber};
use model::names::TagName;
use model::time::Moment;
use std::hint::black_box;

/// Intervals of all tags together.
const IOVS: u64 = 100_000;
/// Multiplicative hashing (Knuth, TAOCP 3, 6.4): points in no order, the same each time.
const SCATTER: u64 = 2_654_435_761;

/// Every second run begins an interval; each was inserted a microsecond after the one before.
fn index(iovs: u64) -> Index<String> {
    let mut index = Index::default();
    for number in 0..iovs {
        let row = Insertion {
            inserted_us: number as i64,
            sequence: number as i64,
            payload: format!("{number:064x}"),
        };
        index.insert(Since(2 * number + 1), row);
    }
    index
}

/// One tag with all of the intervals.
fn one_tag(c: &mut Criterion) {
    let index = index(IOVS);
    let sinces: Vec<u64> = (0..IOVS).map(|number| 2 * number + 1).collect();
    let mut group = c.benchmark_group("conditions/one_of_100000");
    let mut point = 0_u64;
    let mut next = || {
        point = point.wrapping_add(SCATTER);
        1 + point % (2 * IOVS)
    };
    group.bench_function("raw", |b| {
        b.iter(|| {
            let point = next();
            black_box(sinces.partition_point(|since| *since <= point))
        });
    });
    group.bench_function("now", |b| b.iter(|| black_box(index.at(Since(next())))));
    group.bench_function("as_of_the_last", |b| {
        b.iter(|| black_box(index.as_of(Since(next()), i64::MAX)));
    });
    group.bench_function("as_of_the_first", |b| {
        b.iter(|| black_box(index.as_of(Since(2 * IOVS), 0)));
    });
    group.finish();
}

/// All tags of a global tag, as a job is given them.
fn global_tag(c: &mut Criterion) {
    let mut group = c.benchmark_group("conditions/snapshot_of_100000");
    for tags in [1_u64, 100, 1_000] {
        let (register, last) = register(tags);
        for (name, global) in [("now", "now"), ("as_of_the_first", "first")] {
            group.bench_function(BenchmarkId::new(name, tags), |b| {
                b.iter(|| black_box(register.snapshot(global, last).expect("all are in force")));
            });
        }
    }
    group.finish();
}

fn register(tags: u64) -> (Register, Point) {
    let frontier = Frontier {
        run: RunNumber(1),
        begins_at: Moment(0),
    };
    let limits = Limits {
        next_run: frontier,
        first_safe: frontier,
    };
    let mut register = Register::default();
    let names: Vec<TagName> = (0..tags)
        .map(|number| TagName::new(&format!("tag_{number}")))
        .collect();
    for name in &names {
        let made = register.make(ConditionsTag {
            synchronisation: Synchronisation::Any,
            ..ConditionsTag::measured(name)
        });
        made.expect("it is new");
        for number in 0..IOVS / tags {
            let (since, hash) = (Since(2 * number + 1), format!("{number:064x}"));
            let now = (Moment::from_micros(number as i64), number as i64);
            let put = register.put(name, since, (&hash, ""), now, &limits);
            put.expect("any tag takes it");
        }
    }
    for (name, snapshot_us) in [("now", i64::from(u32::MAX)), ("first", 0)] {
        let tags = names.iter().map(|tag| RecordTag {
            record: tag.to_string(),
            label: String::new(),
            tag: tag.clone(),
        });
        let made = register.make_global(GlobalTag {
            name: name.to_owned(),
            description: String::new(),
            release: String::new(),
            snapshot_at: Moment::from_micros(snapshot_us),
            inserted_at: Moment(0),
            tags: tags.collect(),
        });
        made.expect("its tags are here");
    }
    let last = Point {
        run: RunNumber(2 * IOVS as u32),
        lumi: LumiNumber(1),
        at: Moment(0),
    };
    (register, last)
}

criterion_group!(benches, one_tag, global_tag);
criterion_main!(benches);
