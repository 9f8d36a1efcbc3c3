//! Protects: handing one value from the watcher to the engine costs below 1 us while the engine is
//! awake, and a batch moves at 100 ns a value or less, with urgent and data lanes behind one
//! wake-up.
//!
//! In: nothing. Out: criterion's lines. The sleeping case (park, wake) is dominated by the
//! scheduler and is measured end to end by `tier0 bench arrival`, not here.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

/// About the size of a boxed input with its tag.
type Value = [u64; 4];

/// One thread puts and takes: what the lanes cost without any scheduling.
fn same_thread(c: &mut Criterion) {
    let mut group = c.benchmark_group("lanes/same_thread");
    const BATCH: u64 = 256;
    group.throughput(Throughput::Elements(BATCH));
    let (data, data_lane) = lanes::wait::<Value>(4096);
    let (report, report_lane) = lanes::wait::<Value>(4096);
    let (command, command_lane) = lanes::refuse::<Value>(64);
    let mut receiver = lanes::Receiver::joined(vec![command_lane], vec![data_lane, report_lane]);
    let mut batch = Vec::with_capacity(BATCH as usize);
    group.bench_function("batch_of_256_over_three_lanes", |b| {
        b.iter(|| {
            for n in 0..BATCH / 2 {
                data.send([n; 4]).expect("the receiver lives");
                report.send([n; 4]).expect("the receiver lives");
            }
            batch.clear();
            receiver
                .recv_batch(&mut batch, BATCH as usize, None)
                .expect("values wait");
            black_box(batch.len())
        });
    });
    drop(command);
    group.finish();
}

/// Four senders, one receiver: the shape of the engine's inbox.
fn four_senders(c: &mut Criterion) {
    const SENDERS: u64 = 4;
    let mut group = c.benchmark_group("lanes/four_senders");
    group.throughput(Throughput::Elements(1));
    group.bench_function("batched", |b| {
        b.iter_custom(|n| pump(n.max(SENDERS), SENDERS));
    });
    group.finish();
}

fn pump(values: u64, senders: u64) -> Duration {
    let (sender, mut receiver) = lanes::wait::<Value>(4096);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..senders {
            let sender = sender.clone();
            scope.spawn(move || {
                for n in 0..values / senders {
                    sender.send([n; 4]).expect("the receiver lives");
                }
            });
        }
        drop(sender);
        let mut batch = Vec::with_capacity(1024);
        while receiver.recv_batch(&mut batch, 1024, None).is_ok() {
            black_box(batch.drain(..).map(|value| value[0]).sum::<u64>());
        }
    });
    began.elapsed()
}

/// A question and its answer between two threads: twice the hand-over.
fn round_trip(c: &mut Criterion) {
    let (question, mut questions) = lanes::wait::<Value>(16);
    let (answer, mut answers) = lanes::wait::<Value>(16);
    let answering = thread::spawn(move || {
        while let Ok(Some(value)) = questions.recv(None) {
            if answer.send(value).is_err() {
                break;
            }
        }
    });
    c.bench_function("lanes/round_trip", |b| {
        b.iter(|| {
            question.send([7; 4]).expect("the other thread lives");
            black_box(answers.recv(None).expect("the other thread lives"))
        });
    });
    drop(question);
    answering
        .join()
        .expect("the other thread ends with its lane");
}

/// Replacing and reading the newest value.
fn newest(c: &mut Criterion) {
    let (sender, reader) = lanes::latest([0_u64; 4]);
    c.bench_function("lanes/latest_set_and_get", |b| {
        b.iter(|| {
            sender.set([1; 4]);
            black_box(reader.get())
        });
    });
}

criterion_group!(benches, same_thread, four_senders, round_trip, newest);
criterion_main!(benches);
