//! Protects: a failpoint that nobody has armed costs a load and a branch, about a nanosecond, so
//! that it may stand on the hot path.
//!
//! In: nothing. Out: criterion's lines, in processor time of the thread, so that a busy machine
//! tells the same; the second line is the loop without the point.

use criterion::{Criterion, criterion_group, criterion_main};
use ports::failpoint::{Point, pass};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::Duration;

fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).expect("no time is negative")
}

/// What so many calls cost.
fn cost(calls: u64, call: impl Fn(Point)) -> Duration {
    let began = processor_time();
    for _ in 0..calls {
        call(black_box(Point::Stepped));
    }
    processor_time().saturating_sub(began)
}

fn unarmed(c: &mut Criterion) {
    let mut group = c.benchmark_group("failpoint");
    group.bench_function("unarmed", |b| b.iter_custom(|calls| cost(calls, pass)));
    let nothing = |point| {
        black_box(point);
    };
    group.bench_function("loop", |b| b.iter_custom(|calls| cost(calls, nothing)));
    group.finish();
}

criterion_group!(benches, unarmed);
criterion_main!(benches);
