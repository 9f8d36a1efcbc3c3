//! Measures: latency histograms and counters.
