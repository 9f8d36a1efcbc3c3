//! Published documents of an act, read once, and histograms added up over them.

use dqm::histogram::Histogram;
use model::dataset::Output;
use serde_json::{Value, json};
use std::path::Path;

/// The JSON documents that an act has published, by tier.
pub(in super::super) struct Documents(Vec<Published>);

/// One of them.
pub(super) struct Published {
    /// What its task calls it.
    pub(super) tier: String,
    pub(super) run: u32,
    /// Its path below the folder of the demo.
    pub(super) path: String,
    pub(super) document: Value,
}

/// One histogram over several files.
#[derive(Clone, Debug)]
pub(in super::super) struct Summed {
    pub(in super::super) histogram: Histogram,
    pub(in super::super) sources: Vec<String>,
}

/// Tiers whose files are small JSON documents.
const TIERS: [&str; 4] = ["DQM", "DQM_RUN", "HARVEST", "ACCOUNT"];

impl Documents {
    /// Reads what is in blocks; paths are told below `folder`.
    pub(in super::super) fn read(
        outputs: &[Output],
        storage: &Path,
        folder: &Path,
    ) -> Result<Self, String> {
        let mut documents = Vec::new();
        let published = outputs.iter().filter(|output| output.block.is_some());
        for output in published.filter(|output| TIERS.contains(&output.label.as_str())) {
            let path = storage.join(output.name.as_str());
            let wrong = |why: String| format!("reading {}: {why}", path.display());
            let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
            let document = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
            documents.push(Published {
                tier: output.label.to_string(),
                run: output.run.0,
                path: path
                    .strip_prefix(folder)
                    .unwrap_or(&path)
                    .display()
                    .to_string(),
                document,
            });
        }
        Ok(Self(documents))
    }

    pub(super) fn of_tier(&self, tier: &str) -> impl Iterator<Item = &Published> {
        self.0
            .iter()
            .filter(move |published| published.tier == tier)
    }

    /// A histogram of express as it was measured, over all runs.
    pub(super) fn express(&self, name: &str) -> Option<Summed> {
        let express = self
            .of_tier("DQM")
            .filter(|p| p.document["program"] == "express");
        sum(express.map(|p| (p, &p.document["histograms"][name])), name)
    }

    /// A histogram of prompt, with the constants of each run, over all runs.
    pub(in super::super) fn prompt(&self, name: &str) -> Option<Summed> {
        let merged = self.of_tier("DQM_RUN");
        sum(
            merged.map(|p| (p, &p.document["parts"]["prompt"]["histograms"][name])),
            name,
        )
    }

    /// A histogram of a program whose document is nothing but histograms, of one run.
    pub(super) fn plain(&self, run: u32, name: &str) -> Option<Summed> {
        let of_run = self.of_tier("DQM").filter(|published| published.run == run);
        sum(of_run.map(|p| (p, &p.document[name])), name)
    }
}

/// Adds up what can be read; a document without the histogram adds nothing.
fn sum<'a>(parts: impl Iterator<Item = (&'a Published, &'a Value)>, name: &str) -> Option<Summed> {
    let mut all: Option<Summed> = None;
    for (published, uhi) in parts {
        let text = json!({ name: uhi }).to_string();
        let Some(histogram) = dqm::uhi::read(&text).ok().and_then(|mut found| found.pop()) else {
            continue;
        };
        match &mut all {
            None => {
                let sources = vec![published.path.clone()];
                all = Some(Summed { histogram, sources });
            }
            // A sum that leaves something out is no sum.
            Some(sum) => {
                sum.histogram.merge(&histogram).ok()?;
                sum.sources.push(published.path.clone());
            }
        }
    }
    all
}

impl Summed {
    /// Edges of the bins inside.
    pub(super) fn edges(&self) -> Vec<f64> {
        let axis = self.histogram.axis();
        (0..=axis.bins)
            .map(|n| axis.low + n as f64 * axis.width())
            .collect()
    }

    /// What a judge compares with the files.
    pub(super) fn numbers(&self) -> Value {
        let histogram = &self.histogram;
        let contents = histogram.contents();
        json!({
            "name": histogram.name(),
            "low": histogram.axis().low,
            "high": histogram.axis().high,
            "contents": histogram.inside(),
            "underflow": contents.first(),
            "overflow": contents.last(),
            "entries": histogram.entries(),
            "sources": self.sources,
        })
    }
}
