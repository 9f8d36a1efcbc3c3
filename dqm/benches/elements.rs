//! Protects: what monitoring costs a job and a harvest. Filling and merging are timed beside a
//! plain loop over arrays that does the same (contents, sum of weights, of values, of squares), in
//! one run; the harvest of 10,000 histograms over 1,000 lumis has a second on one core.
//!
//! In: nothing. Out: criterion's lines; `fill/plain` is to be compared with `fill/histogram`,
//! `merge/plain` with `merge/histogram`. The harvest merges 10,000,000 pieces of 50 bins, taken in
//! turn from 20,000 different ones (about 14 MB): all 10,000,000 would not fit into memory.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tier0_dqm::histogram::{Axis, Histogram};
use tier0_dqm::histogram2d::Histogram2d;
use tier0_dqm::profile::{ErrorOption, Profile, ProfileBooking};

const ENTRIES: usize = 100_000;
const AXIS: Axis = Axis {
    bins: 100,
    low: 60.0,
    high: 120.0,
};
const POSSIBLE: &str = "axes and values are possible";

/// Values mostly between the edges, always the same.
fn values(seed: u32) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state) / 2.0_f64.powi(32)
    };
    (0..ENTRIES)
        .map(|_| 55.0 + 70.0 * (next() + next()) / 2.0)
        .collect()
}

/// What anybody would write.
#[derive(Clone)]
struct Plain {
    contents: Vec<f64>,
    entries: u64,
    sums: [f64; 3],
}

impl Plain {
    fn new() -> Self {
        Self {
            contents: vec![0.0; AXIS.bins + 2],
            entries: 0,
            sums: [0.0; 3],
        }
    }

    fn fill(&mut self, value: f64) {
        let place = (value - AXIS.low) / (AXIS.high - AXIS.low) * AXIS.bins as f64;
        let bin = if value < AXIS.low {
            0
        } else if value >= AXIS.high {
            AXIS.bins + 1
        } else {
            place as usize + 1
        };
        self.contents[bin] += 1.0;
        self.entries += 1;
        if bin > 0 && bin <= AXIS.bins {
            self.sums[0] += 1.0;
            self.sums[1] += value;
            self.sums[2] += value * value;
        }
    }

    fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.contents.iter_mut().zip(&other.contents) {
            *ours += theirs;
        }
        self.entries += other.entries;
        for (ours, theirs) in self.sums.iter_mut().zip(&other.sums) {
            *ours += theirs;
        }
    }
}

fn histogram(axis: Axis) -> Histogram {
    Histogram::new("mass", "Dimuon mass", "GeV", axis).expect(POSSIBLE)
}

fn fill(criterion: &mut Criterion) {
    let (x, y) = (values(1), values(2));
    let mut group = criterion.benchmark_group("fill");
    group.throughput(Throughput::Elements(ENTRIES as u64));
    group.bench_function("plain", |bencher| {
        let mut plain = Plain::new();
        bencher.iter(|| {
            for value in &x {
                plain.fill(black_box(*value));
            }
        });
        black_box(plain.sums);
    });
    group.bench_function("histogram", |bencher| {
        let mut histogram = histogram(AXIS);
        bencher.iter(|| {
            for value in &x {
                histogram.fill(black_box(*value)).expect(POSSIBLE);
            }
        });
    });
    group.bench_function("weighted", |bencher| {
        let mut histogram = histogram(AXIS);
        bencher.iter(|| {
            for (value, weight) in x.iter().zip(&y) {
                histogram.fill_weighted(*value, *weight).expect(POSSIBLE);
            }
        });
    });
    group.bench_function("2d", |bencher| {
        let axis = Axis { bins: 50, ..AXIS };
        let mut map = Histogram2d::new("map", "", ["", ""], [axis, axis]).expect(POSSIBLE);
        bencher.iter(|| {
            for (x, y) in x.iter().zip(&y) {
                map.fill(*x, *y).expect(POSSIBLE);
            }
        });
    });
    group.bench_function("profile", |bencher| {
        let booking = ProfileBooking {
            unit: String::new(),
            ordinate_unit: String::new(),
            axis: AXIS,
            ordinates: None,
            error: ErrorOption::Mean,
        };
        let mut profile = Profile::new("p", "", booking).expect(POSSIBLE);
        bencher.iter(|| {
            for (x, y) in x.iter().zip(&y) {
                profile.fill(*x, *y).expect(POSSIBLE);
            }
        });
    });
    group.finish();
}

fn merge(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("merge");
    group.throughput(Throughput::Elements(AXIS.bins as u64));
    let (mut plain, mut filled) = (Plain::new(), histogram(AXIS));
    for value in values(3) {
        plain.fill(value);
        filled.fill(value).expect(POSSIBLE);
    }
    group.bench_function("plain", |bencher| {
        let mut sum = Plain::new();
        bencher.iter(|| sum.merge(black_box(&plain)));
        black_box(sum.entries);
    });
    group.bench_function("histogram", |bencher| {
        let mut sum = histogram(AXIS);
        // So many pieces that entries never reach the limit are merged again and again.
        let mut pieces = 0_u32;
        bencher.iter(|| {
            pieces += 1;
            if pieces == 1 << 24 {
                (sum, pieces) = (histogram(AXIS), 0);
            }
            sum.merge(black_box(&filled)).expect(POSSIBLE);
        });
    });
    group.finish();
}

fn harvest(criterion: &mut Criterion) {
    const HISTOGRAMS: usize = 10_000;
    const LUMIS: usize = 1_000;
    const KINDS: usize = 20;
    let axis = Axis { bins: 50, ..AXIS };
    let values = values(4);
    let piece = |n: usize| {
        let mut piece = histogram(axis);
        for value in values.iter().cycle().skip(n * 7).take(50) {
            piece.fill(*value).expect(POSSIBLE);
        }
        piece
    };
    let pieces: Vec<Histogram> = (0..KINDS * LUMIS).map(piece).collect();
    let mut group = criterion.benchmark_group("harvest");
    group.sample_size(10);
    group.throughput(Throughput::Elements((HISTOGRAMS * LUMIS) as u64));
    group.bench_function("10000_histograms_of_50_bins_1000_lumis", |bencher| {
        bencher.iter(|| {
            for kind in 0..HISTOGRAMS {
                let mut sum = histogram(axis);
                for piece in &pieces[kind % KINDS * LUMIS..][..LUMIS] {
                    sum.merge(piece).expect(POSSIBLE);
                }
                assert_eq!(sum.entries(), 50 * LUMIS as u64);
                black_box(&sum);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, fill, merge, harvest);
criterion_main!(benches);
