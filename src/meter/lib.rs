//! Measures: how long each hop takes, and a few counts. In come spans and numbers from any thread,
//! out come quantiles and OpenMetrics text. Must never make whoever measures wait for long: one
//! short lock a series.
//!
//! Histograms are hdrhistogram's, two digits, 1 us to 1 h: 6 ns a record, 34 KiB a series.

mod exposition;

use hdrhistogram::Histogram;
use model::budget::Hop;
use model::time::Span;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest span told apart, in microseconds: an hour. Longer ones count as an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// Two significant digits: finer than any clock or budget here.
const DIGITS: u8 = 2;

/// A number that goes up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gauge {
    /// Ready jobs that wait for a core.
    QueuedJobs,
    /// Cores in use.
    UsedCores,
    /// Runs that are not finished.
    LiveRuns,
    /// Jobs that are neither done nor failed.
    LiveJobs,
}

/// A number that only grows while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Inputs that the engine stepped through.
    EngineInputs,
    /// Batches of facts that became durable.
    StoreBatches,
    /// Jobs whose output was out after its deadline.
    BudgetsMissed,
}

/// Quantiles of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// All of them added up.
    pub sum: Span,
    /// Half took no longer.
    pub p50: Span,
    /// 90% took no longer.
    pub p90: Span,
    /// 99% took no longer.
    pub p99: Span,
    /// 99.9% took no longer.
    pub p999: Span,
    /// The longest.
    pub max: Span,
}

/// One hop of one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The pipeline.
    pub pipeline: String,
    /// The hop.
    pub hop: Hop,
    /// What was measured.
    pub quantiles: Quantiles,
}

struct Measured {
    histogram: Histogram<u64>,
    sum: Span,
}

type Shared = Arc<Mutex<Measured>>;

/// All measures of an instance.
#[derive(Default)]
pub struct Meter {
    hops: Mutex<BTreeMap<(String, Hop), Shared>>,
    gauges: Mutex<BTreeMap<Gauge, i64>>,
    counters: Mutex<BTreeMap<Counter, u64>>,
}

impl Meter {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One job of a pipeline took so long for a hop; a negative span counts as none.
    pub fn record(&self, pipeline: &str, hop: Hop, span: Span) {
        let series = self.series(pipeline, hop);
        let mut measured = series.lock();
        let span = span.max(Span::ZERO);
        let us = u64::try_from(span.0 / 1_000).unwrap_or(0).max(1);
        measured.histogram.saturating_record(us);
        measured.sum += span;
    }

    fn series(&self, pipeline: &str, hop: Hop) -> Shared {
        let key = (pipeline.to_owned(), hop);
        let mut hops = self.hops.lock();
        let made = hops.entry(key).or_insert_with(|| {
            let histogram = Histogram::new_with_bounds(1, LONGEST_US, DIGITS)
                .expect("the bounds above are legal for two digits");
            Arc::new(Mutex::new(Measured {
                histogram,
                sum: Span::ZERO,
            }))
        });
        made.clone()
    }

    /// Sets a gauge.
    pub fn set(&self, gauge: Gauge, value: i64) {
        self.gauges.lock().insert(gauge, value);
    }

    /// Sets a counter to what its owner has counted so far; it never goes back.
    pub fn count_to(&self, counter: Counter, total: u64) {
        let mut counters = self.counters.lock();
        let value = counters.entry(counter).or_default();
        *value = total.max(*value);
    }

    /// Adds to a counter.
    pub fn add(&self, counter: Counter, more: u64) {
        *self.counters.lock().entry(counter).or_default() += more;
    }

    /// Every series, by pipeline and hop in the order of the flow.
    pub fn snapshot(&self) -> Vec<Series> {
        let hops = self.hops.lock();
        hops.iter()
            .map(|((pipeline, hop), shared)| {
                let measured = shared.lock();
                let histogram = &measured.histogram;
                let at = |q: f64| Span(histogram.value_at_quantile(q) as i64 * 1_000);
                let quantiles = Quantiles {
                    count: histogram.len(),
                    sum: measured.sum,
                    p50: at(0.5),
                    p90: at(0.9),
                    p99: at(0.99),
                    p999: at(0.999),
                    max: Span(histogram.max() as i64 * 1_000),
                };
                Series {
                    pipeline: pipeline.clone(),
                    hop: *hop,
                    quantiles,
                }
            })
            .collect()
    }

    /// Everything as OpenMetrics text, `# EOF` included.
    pub fn exposition(&self) -> String {
        let gauges = self.gauges.lock().clone();
        let counters = self.counters.lock().clone();
        exposition::text(&self.snapshot(), &gauges, &counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_two_digits() {
        let meter = Meter::new();
        for ms in 1..=1_000 {
            meter.record("express", Hop::SeenToPublished, Span::from_millis(ms));
        }
        let series = meter.snapshot();
        let quantiles = series[0].quantiles;
        let close = |got: Span, ms: f64| (got.as_secs_f64() * 1e3 / ms - 1.0).abs() < 0.01;
        assert_eq!((series.len(), quantiles.count), (1, 1_000));
        assert!(
            close(quantiles.p50, 500.0) && close(quantiles.p99, 990.0),
            "{quantiles:?}"
        );
        assert_eq!(quantiles.sum, Span::from_millis(500_500));
    }

    #[test]
    fn the_text_is_open_metrics() {
        let meter = Meter::new();
        meter.record("express", Hop::ReadyToSent, Span::from_millis(2));
        meter.set(Gauge::QueuedJobs, 3);
        meter.add(Counter::BudgetsMissed, 1);
        meter.count_to(Counter::BudgetsMissed, 1);
        let text = meter.exposition();
        for line in [
            "# TYPE tier0_hop_seconds summary",
            "tier0_hop_seconds_count{pipeline=\"express\",hop=\"ready_to_sent\"} 1",
            "# TYPE tier0_queued_jobs gauge",
            "tier0_queued_jobs 3",
            "# TYPE tier0_budgets_missed counter",
            "tier0_budgets_missed_total 1",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|got| got == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
