//! Protects: 10,000 tracks of the test chamber (890,000 measurements, 200 parameters, 2
//! constraints) are aligned no slower than `pede` aligns its own, and time grows with the tracks
//! and no faster.
//!
//! In: nothing. Out: criterion's lines, from the content of a Mille file to parameters with errors,
//! in one thread: throughput of the two sizes is to be the same.

use calibration::chamber::{self, Truth};
use calibration::millepede::{Form, Input, Precision, Records, fit};
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use std::hint::black_box;
use std::time::Duration;

const TRACKS: [usize; 2] = [10_000, 100_000];

fn from_file_to_result(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("millepede");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(10));
    for tracks in TRACKS {
        let content = Truth::draw(1)
            .tracks(2, tracks)
            .write(Form::C, Precision::Single);
        group.throughput(Throughput::Elements(tracks as u64));
        group.bench_function(BenchmarkId::new("tracks", tracks), |bencher| {
            bencher.iter(|| {
                let records =
                    Records::read("chamber.bin", &content, Form::C).expect("our own file");
                let input = Input {
                    records: &records,
                    weight: 1.0,
                };
                black_box(fit(&chamber::steering(), &[input]).expect("the chamber can be fitted"))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, from_file_to_result);
criterion_main!(benches);
