//! Histograms and sums behind their locks: one mutex a histogram, so that pipelines do not wait for
//! each other.
//!
//! Two significant digits from 1 microsecond to 1 hour, about 12 KiB a series (HdrHistogram, Tene
//! 2012); what is longer counts as an hour, what is negative as a microsecond.

use crate::names::{Counter, Gauge};
use hdrhistogram::Histogram;
use model::budget::Hop;
use model::names::PipelineName;
use model::time::Span;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;

const LEAST_US: u64 = 1;
const MOST_US: u64 = 3_600_000_000;
const DIGITS: u8 = 2;

#[derive(Debug)]
struct Series {
    histogram: Histogram<u32>,
    /// Kept beside the histogram, which knows values only to two digits.
    sum_us: u64,
}

impl Series {
    fn new() -> Self {
        let histogram = Histogram::new_with_bounds(LEAST_US, MOST_US, DIGITS);
        Self {
            histogram: histogram.expect("the bounds above are legal"),
            sum_us: 0,
        }
    }
}

/// Taken out of the map before it is locked, so that recording never holds up the map.
type Shared = Arc<Mutex<Series>>;

/// The quantiles of one hop of one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopQuantiles {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The hop.
    pub hop: Hop,
    /// How many were measured.
    pub count: u64,
    /// Their sum.
    pub sum: Span,
    /// Half of them took at most this; two digits, like the others.
    pub p50: Span,
    /// Nine in ten.
    pub p90: Span,
    /// Ninety-nine in a hundred.
    pub p99: Span,
    /// All but one in a thousand.
    pub p999: Span,
    /// The longest.
    pub max: Span,
}

/// All measurements of one agent; shared by reference.
#[derive(Debug, Default)]
pub struct Meter {
    series: RwLock<BTreeMap<(PipelineName, Hop), Shared>>,
    counters: Mutex<BTreeMap<Counter, u64>>,
    gauges: Mutex<BTreeMap<Gauge, i64>>,
}

impl Meter {
    /// One that has measured nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one measurement.
    pub fn record(&self, pipeline: &PipelineName, hop: Hop, took: Span) {
        let key = (pipeline.clone(), hop);
        let known = self.series.read().get(&key).cloned();
        let series = known.unwrap_or_else(|| {
            let fresh = || Arc::new(Mutex::new(Series::new()));
            self.series.write().entry(key).or_insert_with(fresh).clone()
        });
        let took_us = u64::try_from(took.0 / 1_000).unwrap_or(0);
        let mut series = series.lock();
        series
            .histogram
            .saturating_record(took_us.clamp(LEAST_US, MOST_US));
        series.sum_us = series.sum_us.saturating_add(took_us);
    }

    /// Every series that has measured something, in order of pipeline and hop.
    pub fn quantiles(&self) -> Vec<HopQuantiles> {
        let series: Vec<_> = self
            .series
            .read()
            .iter()
            .map(|(key, series)| (key.clone(), series.clone()))
            .collect();
        let span = |us: u64| Span(i64::try_from(us.saturating_mul(1_000)).unwrap_or(i64::MAX));
        series
            .into_iter()
            .map(|((pipeline, hop), series)| {
                let series = series.lock();
                let at = |quantile| span(series.histogram.value_at_quantile(quantile));
                HopQuantiles {
                    pipeline,
                    hop,
                    count: series.histogram.len(),
                    sum: span(series.sum_us),
                    p50: at(0.5),
                    p90: at(0.9),
                    p99: at(0.99),
                    p999: at(0.999),
                    max: span(series.histogram.max()),
                }
            })
            .collect()
    }

    /// Counts `more`.
    pub fn count(&self, counter: Counter, more: u64) {
        *self.counters.lock().entry(counter).or_default() += more;
    }

    /// Takes over a sum that is counted elsewhere; it never goes back.
    pub fn count_to(&self, counter: Counter, total: u64) {
        let mut counters = self.counters.lock();
        let held = counters.entry(counter).or_default();
        *held = total.max(*held);
    }

    /// How many were counted.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters.lock().get(&counter).copied().unwrap_or(0)
    }

    /// Says how things stand.
    pub fn set(&self, gauge: Gauge, value: i64) {
        self.gauges.lock().insert(gauge, value);
    }

    /// How things stand; zero until somebody has said.
    pub fn gauge(&self, gauge: Gauge) -> i64 {
        self.gauges.lock().get(&gauge).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn quantiles_are_right_to_two_digits() {
        let meter = Meter::new();
        let express = PipelineName::new("express");
        for ms in 1..=1_000 {
            meter.record(&express, Hop::ReadyToSent, Span::from_millis(ms));
        }
        meter.record(&express, Hop::SeenToPublished, Span::from_secs(1_000_000));
        meter.record(&express, Hop::SeenToPublished, Span(-5));
        let [taken, published] = &meter.quantiles()[..] else {
            panic!("two series")
        };
        assert_eq!((taken.hop, taken.count), (Hop::ReadyToSent, 1_000));
        assert_eq!(taken.sum, Span::from_millis(500_500));
        let check = |got: Span, expect_ms: i64| {
            let off = (got.as_secs_f64() * 1e3 / expect_ms as f64 - 1.0).abs();
            assert!(off < 0.01, "{got} is not {expect_ms} ms");
        };
        check(taken.p50, 500);
        check(taken.p90, 900);
        check(taken.p99, 990);
        check(taken.p999, 999);
        check(taken.max, 1_000);
        check(published.max, 3_600_000);
        check(published.sum, 1_000_000_000);
        assert_eq!(published.p50, Span(1_000));
    }

    #[test]
    fn counters_only_grow_and_nothing_is_lost_between_threads() {
        let meter = Arc::new(Meter::new());
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let meter = meter.clone();
                thread::spawn(move || {
                    let name = PipelineName::new(["a", "b"][n % 2]);
                    for _ in 0..5_000 {
                        meter.count(Counter::Inputs, 2);
                        meter.record(&name, Hop::ReadyToSent, Span::from_millis(1));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(meter.counter(Counter::Inputs), 40_000);
        assert_eq!(
            meter
                .quantiles()
                .iter()
                .map(|q| q.count)
                .collect::<Vec<_>>(),
            [10_000; 2]
        );
        meter.count_to(Counter::Batches, 5);
        meter.count_to(Counter::Batches, 3);
        assert_eq!(meter.counter(Counter::Batches), 5);
        meter.set(Gauge::JobsLive, 3);
        meter.set(Gauge::JobsLive, -1);
        assert_eq!(
            (meter.gauge(Gauge::JobsLive), meter.gauge(Gauge::Cores)),
            (-1, 0)
        );
    }
}
