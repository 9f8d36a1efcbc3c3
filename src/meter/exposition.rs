//! The text of `/metrics`: OpenMetrics 1.0 (`application/openmetrics-text; version=1.0.0`).
//!
//! Counters carry `_total`, times are in seconds and say so in name and unit, families come in one
//! piece each, and the text ends with `# EOF`.

use crate::names::{Counter, Gauge};
use crate::series::{HopQuantiles, Meter};
use std::fmt::Write;

impl Meter {
    /// The media type of [`Meter::exposition`].
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Everything measured, as text.
    pub fn exposition(&self) -> String {
        let mut text = String::new();
        for counter in Counter::ALL {
            let name = counter.as_str();
            family(&mut text, name, "counter", "", counter.help());
            push(
                &mut text,
                format_args!("{name}_total {}\n", self.counter(*counter)),
            );
        }
        for gauge in Gauge::ALL {
            let name = gauge.as_str();
            family(&mut text, name, "gauge", "", gauge.help());
            push(&mut text, format_args!("{name} {}\n", self.gauge(*gauge)));
        }
        hops(&mut text, &self.quantiles());
        text.push_str("# EOF\n");
        text
    }
}

fn push(text: &mut String, line: std::fmt::Arguments) {
    text.write_fmt(line)
        .expect("writing into a string cannot fail");
}

fn family(text: &mut String, name: &str, kind: &str, unit: &str, help: &str) {
    push(text, format_args!("# TYPE {name} {kind}\n"));
    if !unit.is_empty() {
        push(text, format_args!("# UNIT {name} {unit}\n"));
    }
    push(text, format_args!("# HELP {name} {}\n", escape(help)));
}

fn hops(text: &mut String, hops: &[HopQuantiles]) {
    if hops.is_empty() {
        return;
    }
    let labels = |of: &HopQuantiles| {
        format!(
            "pipeline=\"{}\",hop=\"{}\"",
            escape(of.pipeline.as_str()),
            of.hop.as_str()
        )
    };
    let name = "tier0_hop_seconds";
    family(
        text,
        name,
        "summary",
        "seconds",
        "Time taken by a measured stretch of the flow.",
    );
    for of in hops {
        let labels = labels(of);
        for (quantile, span) in [
            (0.5, of.p50),
            (0.9, of.p90),
            (0.99, of.p99),
            (0.999, of.p999),
        ] {
            let value = span.as_secs_f64();
            push(
                text,
                format_args!("{name}{{{labels},quantile=\"{quantile}\"}} {value}\n"),
            );
        }
        push(
            text,
            format_args!("{name}_count{{{labels}}} {}\n", of.count),
        );
        push(
            text,
            format_args!("{name}_sum{{{labels}}} {}\n", of.sum.as_secs_f64()),
        );
    }
    let name = "tier0_hop_max_seconds";
    family(
        text,
        name,
        "gauge",
        "seconds",
        "The longest time taken by a stretch since the start.",
    );
    for of in hops {
        push(
            text,
            format_args!("{name}{{{}}} {}\n", labels(of), of.max.as_secs_f64()),
        );
    }
}

/// Label values and help: backslash, quote and line feed are escaped.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::budget::Hop;
    use model::names::PipelineName;
    use model::time::Span;

    #[test]
    fn the_text_is_what_scrapers_read() {
        let meter = Meter::new();
        meter.count(Counter::Inputs, 7);
        meter.set(Gauge::RunsOpen, 2);
        meter.record(
            &PipelineName::new("odd\"name"),
            Hop::ReadyToSent,
            Span::from_millis(2),
        );
        let text = meter.exposition();
        for expect in [
            "# TYPE tier0_inputs counter\n# HELP tier0_inputs Inputs stepped by the engine.\n\
             tier0_inputs_total 7\n",
            "tier0_runs_open 2\n",
            "# TYPE tier0_hop_seconds summary\n# UNIT tier0_hop_seconds seconds\n",
            "tier0_hop_seconds_count{pipeline=\"odd\\\"name\",hop=\"ready_to_sent\"} 1\n",
            "tier0_hop_seconds_sum{pipeline=\"odd\\\"name\",hop=\"ready_to_sent\"} 0.002\n",
        ] {
            assert!(text.contains(expect), "{expect} is not in\n{text}");
        }
        check_rules(&text);
    }

    /// The rules that `promtool check metrics` and the OpenMetrics parser insist on.
    fn check_rules(text: &str) {
        assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
        let mut families = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("name and type");
                assert!(
                    !families.iter().any(|(old, _)| *old == name),
                    "{name} comes twice"
                );
                families.push((name, kind));
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("name and help");
                assert_eq!(families.last().map(|(name, _)| *name), Some(name));
                assert!(help.ends_with('.'), "{help}");
            } else if !line.starts_with('#') {
                let (name, kind) = families.last().expect("a family comes first");
                let sample = line.split(['{', ' ']).next().expect("a name");
                let legal: &[&str] = match *kind {
                    "counter" => &["_total"],
                    "summary" => &["", "_count", "_sum"],
                    _ => &[""],
                };
                let tail = sample
                    .strip_prefix(name)
                    .expect("a sample stands under its family");
                assert!(legal.contains(&tail), "{line}");
                let value = line.rsplit(' ').next().expect("a value");
                assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            }
        }
        assert_eq!(families.len(), Counter::ALL.len() + Gauge::ALL.len() + 2);
    }

    #[test]
    fn nothing_measured_is_no_empty_family() {
        let text = Meter::new().exposition();
        assert!(!text.contains("tier0_hop"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
