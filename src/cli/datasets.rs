//! `tier0 dataset`: list, show, files, lumis, lineage, and a digest of what was published.
//!
//! In: the verb's arguments. Out: tables or documents. The digest is over content only, so two
//! instances that published the same have the same digest, whatever happened on the way. Must never
//! let an identity, an attempt or a moment of ours into it.

use super::Desk;
use super::client::{Client, part, rows, shape};
use super::outcome::{Exit, Failure};
use super::table::{Table, facts, lumis, or_dash, to_second};
use crate::digest::digest;
use clap::Subcommand;
use model::ids::LumiNumber;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use view::dataset::{
    BlockView, DatasetView, LumiContentView, LumisOfView, MissingLumisView, OutputView,
};
use view::lineage::DatasetLineageView;

/// No list of outputs is longer.
const OUTPUTS_MAX: u64 = 10_000_000;

const EXAMPLES: &str = "\
Examples:
  tier0 dataset ls
  tier0 dataset show /Muons/Express-v1/RECO
  tier0 dataset files /Muons/Express-v1/RECO
  tier0 dataset lumis /Muons/Express-v1/RECO --run 148031
  tier0 dataset lineage /Muons/Express-v1/RECO --run 148031
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
        /// At most so many rows
        #[arg(long, default_value_t = 10_000)]
        limit: u64,
    },
    /// Show one dataset and its blocks
    #[command(after_help = "Examples:\n  tier0 dataset show /Muons/Express-v1/RECO")]
    Show {
        /// Its whole name
        dataset: String,
        /// At most so many blocks, the oldest first
        #[arg(long, default_value_t = 100)]
        blocks: u64,
    },
    /// List the files of one dataset
    #[command(after_help = "Examples:\n  tier0 dataset files /Muons/Express-v1/RECO --json")]
    Files {
        /// Its whole name
        dataset: String,
        /// Only of this run
        #[arg(long)]
        run: Option<u32>,
        /// At most so many rows
        #[arg(long, default_value_t = 10_000)]
        limit: u64,
    },
    /// Which lumis are in one dataset, which should be, and why some are not
    #[command(after_help = LUMIS_EXAMPLES)]
    Lumis {
        /// Its whole name
        dataset: String,
        /// Only of this run
        #[arg(long)]
        run: Option<u32>,
        /// Of what lumis are told
        #[arg(long, value_parser = ["run", "block", "file"], default_value = "run")]
        per: String,
        /// At most so many rows
        #[arg(long, default_value_t = 10_000)]
        limit: u64,
    },
    /// What a dataset is made from, and what is made from it
    #[command(after_help = LINEAGE_EXAMPLES)]
    Lineage {
        /// Its whole name
        dataset: String,
        /// Also with which program, configuration and constants it was made of this run
        #[arg(long)]
        run: Option<u32>,
    },
    /// Digest of what was published: equal for equal content, whatever happened on the way
    #[command(after_help = "Examples:\n  tier0 dataset digest\n  tier0 dataset digest --json")]
    Digest,
}

const LUMIS_EXAMPLES: &str = "\
Examples:
  tier0 dataset lumis /Muons/Express-v1/RECO
  tier0 dataset lumis /Muons/Express-v1/RECO --run 148031 --per file --json

Exits with 1 when lumis are missing, partly missing, or were found twice.";

const LINEAGE_EXAMPLES: &str = "\
Examples:
  tier0 dataset lineage /Muons/Prompt-v1/AOD
  tier0 dataset lineage /Muons/Prompt-v1/AOD --run 148031 --json";

pub(super) fn run(verb: &DatasetVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    let text = |run: &Option<u32>| run.map(|run| run.to_string());
    match verb {
        DatasetVerb::Ls { run, limit } => {
            let answer = client.list("datasets", &[("run", text(run))], *limit)?;
            if desk.common.json {
                return desk.document(&answer);
            }
            table(&rows::<DatasetView>(answer)?).write(desk.out, "no datasets")?;
            Ok(Exit::Fine)
        }
        DatasetVerb::Show { dataset, blocks } => show(&client, dataset, *blocks, desk),
        DatasetVerb::Files {
            dataset,
            run,
            limit,
        } => {
            client.get(&path(dataset, ""), &[])?;
            let of = [("dataset", Some(dataset.clone())), ("run", text(run))];
            let answer = client.list("outputs", &of, *limit)?;
            if desk.common.json {
                return desk.document(&answer);
            }
            files(&rows(answer)?, desk)
        }
        DatasetVerb::Lumis {
            dataset,
            run,
            per,
            limit,
        } => {
            let of = [("run", text(run)), ("per", Some(per.clone()))];
            let answer = client.list(&path(dataset, "/lumis"), &of, *limit)?;
            lumis_of(answer, per, desk)
        }
        DatasetVerb::Lineage { dataset, run } => {
            let answer = client.get(&path(dataset, "/lineage"), &[("run", text(run))])?;
            if desk.common.json {
                return desk.document(&answer);
            }
            lineage(&shape(answer)?, desk)
        }
        DatasetVerb::Digest => {
            let outputs: Vec<OutputView> = rows(client.list("outputs", &[], OUTPUTS_MAX)?)?;
            show_digest(&outputs, desk)
        }
    }
}

fn path(dataset: &str, below: &str) -> String {
    format!("datasets/{}{below}", part(dataset))
}

/// Datasets, one a line.
pub(super) fn table(datasets: &[DatasetView]) -> Table {
    let mut table = Table::new(&[
        "DATASET", ">RUNS", ">LUMIS", ">BLOCKS", ">OPEN", ">FILES", ">EVENTS", ">BYTES",
    ]);
    for dataset in datasets {
        table.row(vec![
            dataset.dataset.clone(),
            dataset.runs.to_string(),
            dataset.lumis.to_string(),
            dataset.blocks.to_string(),
            dataset.blocks_open.to_string(),
            dataset.files.to_string(),
            dataset.events.to_string(),
            dataset.bytes.to_string(),
        ]);
    }
    table
}

/// A dataset, and its blocks below it.
fn show(client: &Client, name: &str, limit: u64, desk: &mut Desk) -> Result<Exit, Failure> {
    let mut answer = client.get(&path(name, ""), &[])?;
    let listed = client.list("blocks", &[("dataset", Some(name.to_owned()))], limit)?;
    if desk.common.json {
        answer["block_list"] = listed["items"].clone();
        return desk.document(&answer);
    }
    let dataset: DatasetView = shape(answer)?;
    facts(
        desk.out,
        &[
            ("dataset", dataset.dataset),
            ("label", dataset.label),
            ("made by", format!("{}.{}", dataset.pipeline, dataset.task)),
            ("since", to_second(&dataset.created_at)),
            ("runs", dataset.runs.to_string()),
            ("lumis", dataset.lumis.to_string()),
            ("duplicate lumis", dataset.duplicate_lumis.to_string()),
            ("files", dataset.files.to_string()),
            ("events", dataset.events.to_string()),
            ("bytes", dataset.bytes.to_string()),
            (
                "blocks",
                format!("{}, {} open", dataset.blocks, dataset.blocks_open),
            ),
        ],
    )?;
    writeln!(desk.out)?;
    blocks(&rows(listed)?, desk)?;
    Ok(if dataset.duplicate_lumis == 0 {
        Exit::Fine
    } else {
        Exit::Problems
    })
}

fn blocks(blocks: &[BlockView], desk: &mut Desk) -> Result<(), Failure> {
    let mut table = Table::new(&[
        "BLOCK", "RUN", "STATE", ">FILES", ">EVENTS", ">BYTES", "CLOSED", "WHY", "LUMIS",
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
            or_dash(block.closing.as_ref()),
            lumis(&block.lumis),
        ]);
    }
    table.write(desk.out, "no blocks yet")?;
    Ok(())
}

fn files(outputs: &[OutputView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&["ID", "RUN", "LUMIS", ">EVENTS", ">BYTES", "ADLER32", "NAME"]);
    for output in outputs {
        table.row(vec![
            output.id.to_string(),
            output.run.to_string(),
            lumis(&output.lumis),
            output.events.to_string(),
            output.bytes.to_string(),
            output.adler32.clone(),
            output.name.clone(),
        ]);
    }
    table.write(desk.out, "no files")?;
    Ok(Exit::Fine)
}

fn lumis_of(answer: Value, per: &str, desk: &mut Desk) -> Result<Exit, Failure> {
    if per != "run" {
        if desk.common.json {
            return desk.document(&answer);
        }
        return pieces(&rows(answer)?, desk);
    }
    let runs: Vec<LumiContentView> = rows(answer.clone())?;
    let sound = |run: &LumiContentView| {
        let whole = run.missing.is_empty() && run.partial.is_empty();
        whole && run.duplicate_lumis.is_empty() && run.repeated_inputs == 0
    };
    let exit = if runs.iter().all(sound) {
        Exit::Fine
    } else {
        Exit::Problems
    };
    if desk.common.json {
        desk.document(&answer)?;
        return Ok(exit);
    }
    let mut table = Table::new(&[
        "RUN", "LUMIS", "EXPECTED", "MISSING", "PARTIAL", "TWICE", ">FILES", ">EVENTS",
    ]);
    for run in &runs {
        table.row(vec![
            run.run.to_string(),
            lumis(&run.lumis),
            lumis(&run.expected),
            lumis(&all_of(&run.missing)),
            lumis(&all_of(&run.partial)),
            lumis(&run.duplicate_lumis),
            run.files.to_string(),
            run.events.to_string(),
        ]);
    }
    table.write(desk.out, "nothing is published")?;
    for run in &runs {
        let missing = run.missing.iter().map(|missing| ("", missing));
        let partial = run.partial.iter().map(|partial| ("partly ", partial));
        for (how, missing) in missing.chain(partial) {
            let (number, which) = (run.run, lumis(&missing.lumis));
            let (reason, detail) = (&missing.reason, &missing.detail);
            writeln!(
                desk.out,
                "run {number} lumis {which}: {how}{reason}: {detail}"
            )?;
        }
    }
    Ok(exit)
}

/// Lumis for which different reasons are told, in order and each once.
fn all_of(missing: &[MissingLumisView]) -> Vec<(u32, u32)> {
    let lumis = missing.iter().flat_map(|missing| &missing.lumis);
    let lumis = model::lumi::union(lumis.map(|(a, b)| (LumiNumber(*a), LumiNumber(*b))));
    lumis.into_iter().map(|(a, b)| (a.0, b.0)).collect()
}

/// Lumis of blocks or files.
fn pieces(pieces: &[LumisOfView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&["RUN", "BLOCK", "FILE", ">EVENTS", "LUMIS", "NAME"]);
    for piece in pieces {
        table.row(vec![
            piece.run.to_string(),
            or_dash(piece.block),
            or_dash(piece.file),
            piece.events.to_string(),
            lumis(&piece.lumis),
            or_dash(piece.name.as_ref()),
        ]);
    }
    table.write(desk.out, "nothing is published")?;
    Ok(Exit::Fine)
}

fn lineage(lineage: &DatasetLineageView, desk: &mut Desk) -> Result<Exit, Failure> {
    writeln!(desk.out, "{} by {}", lineage.dataset, lineage.task)?;
    for (relation, relatives) in [("from", &lineage.parents), ("to", &lineage.children)] {
        for relative in relatives {
            let indent = "  ".repeat(relative.depth as usize);
            let by = relative.task.as_ref();
            let by = by.map_or_else(String::new, |task| format!(" by {task}"));
            let (kind, name) = (&relative.kind, &relative.name);
            writeln!(desk.out, "{indent}{relation} {kind} {name}{by}")?;
        }
    }
    for made in &lineage.made_with {
        writeln!(
            desk.out,
            "run {}: {} files with `{}`, configuration {}",
            made.run, made.files, made.recipe.program, made.recipe.config_hash
        )?;
        if let Some(global) = &made.recipe.global_tag {
            writeln!(desk.out, "  constants of the global tag {global}")?;
        }
        for constant in &made.recipe.constants {
            let (tag, hash) = (&constant.tag, &constant.hash);
            let since = view::conditions::shown(constant.since, &constant.time_type);
            writeln!(desk.out, "  {tag} since {since}, {hash}")?;
        }
    }
    if lineage.truncated {
        desk.say("there is more than is shown");
    }
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
