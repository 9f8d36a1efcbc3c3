//! Measures: latency histograms a pipeline and hop, counters and gauges by fixed names, and their
//! text for scrapers.
//!
//! In: spans and counts from any thread. Out: quantiles for screens, and the OpenMetrics text of
//! `/metrics`. It never blocks for more than one histogram's bookkeeping, and what it holds is
//! bounded by the pipelines defined.

mod exposition;
mod names;
mod series;

pub use names::{Counter, Gauge};
pub use series::{HopQuantiles, Meter};
