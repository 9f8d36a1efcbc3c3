//! Figures and their summary: quantiles of latencies, rates, costs, and ratios to the raw limit.
//!
//! In: what each repetition measured of each target. Out: medians over the repetitions, as a table
//! for people and a document for scripts. A ratio is taken within a repetition, where both sides
//! met the same machine, and only then is the median taken.

use serde_json::{Map, Value, json};

/// What one repetition measured of one target.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    /// Rename to program start, at the paced rate, in seconds.
    pub(super) p50_s: f64,
    pub(super) p90_s: f64,
    pub(super) p99_s: f64,
    pub(super) p999_s: f64,
    pub(super) max_s: f64,
    /// Starts a second in a burst, from its first rename to its last start.
    pub(super) rate_per_s: f64,
    /// Processor time of the paced files, programs included.
    pub(super) cpu_s: f64,
    /// Processor time of the burst, programs included.
    pub(super) burst_cpu_s: f64,
    /// The most memory so far, all processes but the programs' own.
    pub(super) peak_rss_bytes: f64,
}

impl Figures {
    /// The latencies' quantiles. `latencies_ns` must hold one at least.
    pub(super) fn of_latencies(mut latencies_ns: Vec<i64>) -> Self {
        latencies_ns.sort_unstable();
        // Nearest rank: the smallest value that a share of `per_mille` does not exceed.
        let quantile = |per_mille: usize| {
            let rank = (latencies_ns.len() * per_mille).div_ceil(1_000).max(1);
            latencies_ns[rank - 1] as f64 / 1e9
        };
        Self {
            p50_s: quantile(500),
            p90_s: quantile(900),
            p99_s: quantile(990),
            p999_s: quantile(999),
            max_s: quantile(1_000),
            ..Self::default()
        }
    }

    fn named(&self) -> [(&'static str, f64); 9] {
        [
            ("p50_s", self.p50_s),
            ("p90_s", self.p90_s),
            ("p99_s", self.p99_s),
            ("p999_s", self.p999_s),
            ("max_s", self.max_s),
            ("rate_per_s", self.rate_per_s),
            ("cpu_s", self.cpu_s),
            ("burst_cpu_s", self.burst_cpu_s),
            ("peak_rss_bytes", self.peak_rss_bytes),
        ]
    }
}

/// One repetition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Repetition {
    pub(super) ours: Figures,
    pub(super) raw: Figures,
    pub(super) raw_folder: Figures,
}

/// Everything a bench measured.
#[derive(Clone, Debug)]
pub struct Summary {
    pub(super) rate_hz: f64,
    pub(super) files: u32,
    pub(super) burst: u32,
    pub(super) repetitions: Vec<Repetition>,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) idle_rss_bytes: u64,
}

/// A figure of a repetition.
type Pick = fn(&Repetition) -> f64;

const RATIOS: [(&str, Pick); 7] = [
    ("ratio_p50", |r| r.ours.p50_s / r.raw.p50_s),
    ("ratio_p99", |r| r.ours.p99_s / r.raw.p99_s),
    ("ratio_rate", |r| r.ours.rate_per_s / r.raw.rate_per_s),
    ("ratio_cpu", |r| r.ours.cpu_s / r.raw.cpu_s),
    ("ratio_burst_cpu", |r| {
        r.ours.burst_cpu_s / r.raw.burst_cpu_s
    }),
    ("ratio_folder_p50", |r| r.ours.p50_s / r.raw_folder.p50_s),
    ("ratio_folder_rate", |r| {
        r.ours.rate_per_s / r.raw_folder.rate_per_s
    }),
];

/// The figures of one target in a repetition.
type OfTarget = fn(&Repetition) -> &Figures;

/// Targets with the prefix of their fields.
const TARGETS: [(&str, OfTarget); 3] = [
    ("", |r| &r.ours),
    ("raw_", |r| &r.raw),
    ("raw_folder_", |r| &r.raw_folder),
];

impl Summary {
    /// Whether every file was accepted and done once.
    pub fn is_fine(&self) -> bool {
        self.lost == 0 && self.doubled == 0
    }

    /// The document for scripts.
    pub fn document(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("mode".to_owned(), json!("process"));
        fields.insert("rate_hz".to_owned(), json!(self.rate_hz));
        fields.insert("files".to_owned(), json!(self.files));
        fields.insert("burst".to_owned(), json!(self.burst));
        fields.insert("repetitions".to_owned(), json!(self.repetitions.len()));
        for (prefix, target) in TARGETS {
            for (index, (name, _)) in Figures::default().named().iter().enumerate() {
                let value = self.median(|r| target(r).named()[index].1);
                fields.insert(format!("{prefix}{name}"), json!(value));
            }
        }
        for (name, pick) in RATIOS {
            fields.insert(name.to_owned(), json!(self.median(pick)));
        }
        fields.insert("lost".to_owned(), json!(self.lost));
        fields.insert("doubled".to_owned(), json!(self.doubled));
        fields.insert("idle_rss_bytes".to_owned(), json!(self.idle_rss_bytes));
        Value::Object(fields)
    }

    /// The table for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} files at {} a second, bursts of {}; medians of {} repetitions\n\n",
            self.files,
            self.rate_hz,
            self.burst,
            self.repetitions.len()
        );
        text += &format!(
            "{:<22}{:>10}{:>10}{:>12}\n",
            "", "ours", "raw", "raw-folder"
        );
        let rows: [(&str, usize, f64); 9] = [
            ("start p50, ms", 0, 1e3),
            ("start p90, ms", 1, 1e3),
            ("start p99, ms", 2, 1e3),
            ("start p99.9, ms", 3, 1e3),
            ("start max, ms", 4, 1e3),
            ("burst, starts a second", 5, 1.0),
            ("cpu a paced file, ms", 6, 1e3 / f64::from(self.files)),
            ("cpu a burst file, ms", 7, 1e3 / f64::from(self.burst)),
            ("peak memory, MB", 8, 1e-6),
        ];
        for (name, index, factor) in rows {
            let [ours, raw, folder] =
                TARGETS.map(|(_, of)| self.median(|r| of(r).named()[index].1) * factor);
            text += &format!("{name:<22}{ours:>10.3}{raw:>10.3}{folder:>12.3}\n");
        }
        text += "\nratios, each within a repetition:\n";
        for (name, pick) in RATIOS {
            text += &format!("{name:<22}{:>10.2}\n", self.median(pick));
        }
        text += &format!(
            "\nidle memory {:.1} MB; after kills in bursts: lost {}, doubled {}\n",
            self.idle_rss_bytes as f64 / 1e6,
            self.lost,
            self.doubled
        );
        text
    }

    fn median(&self, pick: impl Fn(&Repetition) -> f64) -> f64 {
        let mut values: Vec<f64> = self.repetitions.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => 0.0,
            n if n % 2 == 1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let figures = Figures::of_latencies((1..=1_000).rev().map(|n| n * 1_000_000).collect());
        let all = [
            (figures.p50_s, 0.5),
            (figures.p90_s, 0.9),
            (figures.p99_s, 0.99),
            (figures.p999_s, 0.999),
            (figures.max_s, 1.0),
        ];
        for (got, expect) in all {
            assert!((got - expect).abs() < 1e-9, "{got} {expect}");
        }
        assert_eq!(Figures::of_latencies(vec![7]).p50_s, 7e-9);
    }

    #[test]
    fn ratios_are_taken_within_a_repetition() {
        let repetition = |ours, raw| Repetition {
            ours: Figures::of_latencies(vec![ours]),
            raw: Figures::of_latencies(vec![raw]),
            raw_folder: Figures::of_latencies(vec![raw]),
        };
        let summary = Summary {
            rate_hz: 50.0,
            files: 1,
            burst: 1,
            repetitions: vec![repetition(10, 10), repetition(300, 100), repetition(40, 20)],
            lost: 0,
            doubled: 1,
            idle_rss_bytes: 1,
        };
        let document = summary.document();
        assert_eq!(document["ratio_p50"], 2.0);
        assert_eq!(document["p50_s"], 40e-9);
        assert_eq!(document["raw_folder_p50_s"], 20e-9);
        assert_eq!(document["doubled"], 1);
        assert!(!summary.is_fine());
    }
}
