//! `tier0 dataset`: list, show, files, and a digest of what was published.
//!
//! In: the verb's arguments. Out: tables or documents. The digest is over content only, so two
//! instances that published the same have the same digest, whatever happened on the way. Must never
//! let an identity, an attempt or a moment of ours into it.

use super::Desk;
use super::client::rows;
use super::outcome::{Exit, Failure};
use super::table::{Table, lumis, or_dash, to_second};
use crate::digest::digest;
use clap::Subcommand;
use serde_json::json;
use std::collections::BTreeMap;
use view::dataset::{BlockView, DatasetView, OutputView};

/// No list of outputs is longer.
const OUTPUTS_MAX: u64 = 10_000_000;

const EXAMPLES: &str = "\
Examples:
  tier0 dataset ls
  tier0 dataset show /Muons/express-reco/RECO
  tier0 dataset files /Muons/express-reco/RECO
  tier0 dataset digest";

/// What can be done with datasets.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum DatasetVerb {
    /// List datasets
    #[command(after_help = "Examples:\n  tier0 dataset ls\n  tier0 dataset ls --run 148031")]
    Ls {
        /// Only what this run has in them
        #[arg(long)]
        run: Option<u32>,
    },
    /// Show the blocks of one dataset
    #[command(after_help = "Examples:\n  tier0 dataset show /Muons/express-reco/RECO")]
    Show {
        /// Its whole name
        dataset: String,
    },
    /// List the files of one dataset
    #[command(after_help = "Examples:\n  tier0 dataset files /Muons/express-reco/RECO --json")]
    Files {
        /// Its whole name
        dataset: String,
        /// At most so many rows
        #[arg(long, default_value_t = 10_000)]
        limit: u64,
    },
    /// Digest of what was published: equal for equal content, whatever happened on the way
    #[command(after_help = "Examples:\n  tier0 dataset digest\n  tier0 dataset digest --json")]
    Digest,
}

pub(super) fn run(verb: &DatasetVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    match verb {
        DatasetVerb::Ls { run } => {
            let answer = client.get("datasets", &[("run", run.map(|run| run.to_string()))])?;
            if desk.common.json {
                return desk.document(&answer);
            }
            table(&rows::<DatasetView>(answer)?).write(desk.out, "no datasets")?;
            Ok(Exit::Fine)
        }
        DatasetVerb::Show { dataset } => {
            let mut answer = client.list("blocks", &[], OUTPUTS_MAX)?;
            if let Some(blocks) = answer["items"].as_array_mut() {
                blocks.retain(|block| block["dataset"] == dataset.as_str());
            }
            if desk.common.json {
                return desk.document(&answer);
            }
            blocks(&rows(answer)?, desk)
        }
        DatasetVerb::Files { dataset, limit } => {
            let answer = client.list("outputs", &[("dataset", Some(dataset.clone()))], *limit)?;
            if desk.common.json {
                return desk.document(&answer);
            }
            files(&rows(answer)?, desk)
        }
        DatasetVerb::Digest => {
            let outputs: Vec<OutputView> = rows(client.list("outputs", &[], OUTPUTS_MAX)?)?;
            show_digest(&outputs, desk)
        }
    }
}

/// Datasets, one a line.
pub(super) fn table(datasets: &[DatasetView]) -> Table {
    let mut table = Table::new(&[
        "DATASET", ">RUNS", ">BLOCKS", ">OPEN", ">FILES", ">EVENTS", ">BYTES",
    ]);
    for dataset in datasets {
        table.row(vec![
            dataset.dataset.clone(),
            dataset.runs.to_string(),
            dataset.blocks.to_string(),
            dataset.blocks_open.to_string(),
            dataset.files.to_string(),
            dataset.events.to_string(),
            dataset.bytes.to_string(),
        ]);
    }
    table
}

fn blocks(blocks: &[BlockView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&[
        "BLOCK", "RUN", "STATE", ">FILES", ">EVENTS", ">BYTES", "CLOSED",
    ]);
    for block in blocks {
        table.row(vec![
            block.id.to_string(),
            block.run.to_string(),
            block.state.clone(),
            block.files.to_string(),
            block.events.to_string(),
            block.bytes.to_string(),
            or_dash(block.closed_at.as_deref().map(to_second)),
        ]);
    }
    table.write(
        desk.out,
        "no blocks of that name; `tier0 dataset ls` lists the names",
    )?;
    Ok(Exit::Fine)
}

fn files(outputs: &[OutputView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&["RUN", "LUMIS", ">EVENTS", ">BYTES", "ADLER32", "NAME"]);
    for output in outputs {
        table.row(vec![
            output.run.to_string(),
            lumis(&output.lumis),
            output.events.to_string(),
            output.bytes.to_string(),
            output.adler32.clone(),
            output.name.clone(),
        ]);
    }
    table.write(
        desk.out,
        "no files of that name; `tier0 dataset ls` lists the names",
    )?;
    Ok(Exit::Fine)
}

fn show_digest(outputs: &[OutputView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut by_dataset: BTreeMap<&str, Vec<&OutputView>> = BTreeMap::new();
    for output in outputs.iter().filter(|output| output.block.is_some()) {
        by_dataset.entry(&output.dataset).or_default().push(output);
    }
    let whole = digest(outputs);
    if desk.common.json {
        let datasets: BTreeMap<&str, String> = by_dataset
            .iter()
            .map(|(name, outputs)| (*name, digest(outputs.iter().copied())))
            .collect();
        let schema = view::SCHEMA;
        let document = json!({ "schema": schema, "digest": whole, "datasets": datasets });
        return desk.document(&document);
    }
    let mut table = Table::new(&["DATASET", ">FILES", ">EVENTS", "SHA256"]);
    for (name, outputs) in &by_dataset {
        table.row(vec![
            (*name).to_owned(),
            outputs.len().to_string(),
            outputs
                .iter()
                .map(|output| output.events)
                .sum::<u64>()
                .to_string(),
            digest(outputs.iter().copied()),
        ]);
    }
    table.write(desk.out, "nothing is published")?;
    writeln!(desk.out, "{whole}")?;
    Ok(Exit::Fine)
}
