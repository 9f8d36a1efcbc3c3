//! Protects: a failpoint that nobody has armed costs a load and a branch, about a nanosecond, so
//! that it may stand on the hot path.
//!
//! In: nothing. Out: criterion's line.

use criterion::{Criterion, criterion_group, criterion_main};
use ports::failpoint::{Point, pass};
use std::hint::black_box;

fn unarmed(c: &mut Criterion) {
    c.bench_function("failpoint/unarmed", |b| {
        b.iter(|| pass(black_box(Point::Stepped)));
    });
}

criterion_group!(benches, unarmed);
criterion_main!(benches);
