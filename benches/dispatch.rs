//! Protects: a ready job is queued and taken again in less than 2 us with a million waiting, and
//! 100,000 waiting jobs are re-prioritised in less than 1 ms, because priorities stand on groups
//! and not on jobs.
//!
//! In: nothing. Out: criterion's lines.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::dispatch::{GroupKey, Queue};
use model::ids::{JobId, RunNumber};
use model::job::Class;
use model::time::Moment;
use std::hint::black_box;

/// Groups that the jobs are spread over: runs at work.
const GROUPS: i64 = 100;
/// Multiplicative hashing (Knuth, TAOCP 3, 6.4): deadlines in no order, the same each time.
const SCATTER: i64 = 2_654_435_761;

fn key(job: i64) -> GroupKey {
    GroupKey {
        class: Class::Live,
        run: RunNumber((job % GROUPS) as u32),
    }
}

fn latest_start(job: i64) -> Moment {
    Moment(1 + (job.wrapping_mul(SCATTER)) % 1_000_000_007)
}

fn filled(jobs: i64) -> Queue {
    let mut queue = Queue::default();
    for job in 0..jobs {
        queue.push(key(job), latest_start(job), JobId(job));
    }
    queue
}

/// One in, one out, at a steady length.
fn push_and_pop(c: &mut Criterion) {
    let mut group = c.benchmark_group("dispatch/push_and_pop");
    group.throughput(Throughput::Elements(1));
    for jobs in [1_000, 100_000, 1_000_000] {
        let mut queue = filled(jobs);
        let mut next = jobs;
        group.bench_function(BenchmarkId::from_parameter(jobs), |b| {
            b.iter(|| {
                queue.push(key(next), latest_start(next), JobId(next));
                next += 1;
                black_box(queue.pop(Moment(0)))
            });
        });
    }
    group.finish();
}

/// Every group of 100,000 jobs gets another priority.
fn prioritise(c: &mut Criterion) {
    let mut queue = filled(100_000);
    let mut priority = 0;
    c.bench_function("dispatch/prioritise_100000_jobs", |b| {
        b.iter(|| {
            priority += 1;
            for group in 0..GROUPS {
                queue.prioritise(key(group), priority + group as i32);
            }
            black_box(queue.len())
        });
    });
}

/// The moment comes when all are late: each moves once to the late lane.
fn all_late(c: &mut Criterion) {
    let mut group = c.benchmark_group("dispatch/all_late");
    group.sample_size(10);
    let queue = filled(100_000);
    group.bench_function("first_pop_of_100000", |b| {
        b.iter_batched(
            || queue.clone(),
            |mut queue| black_box(queue.pop(Moment::END_OF_TIME)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, push_and_pop, prioritise, all_late);
criterion_main!(benches);
