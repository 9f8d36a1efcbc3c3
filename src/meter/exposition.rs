//! Measures as OpenMetrics text (OpenMetrics 1.0): a summary for the hops, gauges and counters for
//! the rest.

use crate::{Counter, Gauge, Series};
use std::collections::BTreeMap;
use std::fmt::Write;

impl Gauge {
    fn name_and_help(self) -> (&'static str, &'static str) {
        match self {
            Self::QueuedJobs => ("tier0_queued_jobs", "Ready jobs that wait for a core."),
            Self::UsedCores => ("tier0_used_cores", "Cores in use."),
            Self::LiveRuns => ("tier0_live_runs", "Runs that are not finished."),
            Self::LiveJobs => ("tier0_live_jobs", "Jobs that are neither done nor failed."),
        }
    }
}

impl Counter {
    fn name_and_help(self) -> (&'static str, &'static str) {
        match self {
            Self::EngineInputs => (
                "tier0_engine_inputs",
                "Inputs that the engine stepped through.",
            ),
            Self::StoreBatches => (
                "tier0_store_batches",
                "Batches of facts that became durable.",
            ),
            Self::BudgetsMissed => (
                "tier0_budgets_missed",
                "Jobs whose output was out too late.",
            ),
        }
    }
}

/// The whole text.
pub(crate) fn text(
    series: &[Series],
    gauges: &BTreeMap<Gauge, i64>,
    counters: &BTreeMap<Counter, u64>,
) -> String {
    let mut out = String::new();
    let written = write_all(&mut out, series, gauges, counters);
    assert!(written.is_ok(), "writing into a string cannot fail");
    out
}

fn write_all(
    out: &mut String,
    series: &[Series],
    gauges: &BTreeMap<Gauge, i64>,
    counters: &BTreeMap<Counter, u64>,
) -> std::fmt::Result {
    if !series.is_empty() {
        writeln!(out, "# TYPE tier0_hop_seconds summary")?;
        writeln!(out, "# UNIT tier0_hop_seconds seconds")?;
        writeln!(
            out,
            "# HELP tier0_hop_seconds Time that jobs took for each hop of the flow."
        )?;
    }
    for one in series {
        let labels = format!("pipeline=\"{}\",hop=\"{}\"", one.pipeline, one.hop.as_str());
        let q = &one.quantiles;
        for (quantile, span) in [
            ("0.5", q.p50),
            ("0.9", q.p90),
            ("0.99", q.p99),
            ("0.999", q.p999),
        ] {
            let seconds = span.as_secs_f64();
            writeln!(
                out,
                "tier0_hop_seconds{{{labels},quantile=\"{quantile}\"}} {seconds}"
            )?;
        }
        writeln!(
            out,
            "tier0_hop_seconds_sum{{{labels}}} {}",
            q.sum.as_secs_f64()
        )?;
        writeln!(out, "tier0_hop_seconds_count{{{labels}}} {}", q.count)?;
    }
    for (gauge, value) in gauges {
        let (name, help) = gauge.name_and_help();
        writeln!(
            out,
            "# TYPE {name} gauge\n# HELP {name} {help}\n{name} {value}"
        )?;
    }
    for (counter, value) in counters {
        let (name, help) = counter.name_and_help();
        writeln!(
            out,
            "# TYPE {name} counter\n# HELP {name} {help}\n{name}_total {value}"
        )?;
    }
    writeln!(out, "# EOF")
}
