//! Datasets, their blocks and the lumis in them over HTTP.
//!
//! In: GET requests. Out: JSON. Closed blocks are never added up here: their totals stand in rows,
//! and only what is in open blocks is added. Must never show a lumi as missing without a reason.

use crate::ApiParts;
use crate::missing;
use crate::problem::{Outcome, Trouble};
use crate::query::{Asked, OfBlocks, OfDatasets, OfLumis, Per, next_after, page, word};
use crate::reads::{ask, each_row, list, one};
use axum::extract::{Path, State};
use model::dataset::{Block, Dataset, LumiContent, Output, Totals};
use model::ids::{LumiNumber, RunNumber};
use model::lumi;
use ports::catalogue::{Catalogue, Page, WhichBlocks, WhichOutputs};
use ports::store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use view::LumiRanges;
use view::dataset::{BlockView, DatasetView, LumiContentView, LumisOfView};

/// The dataset that a path names, or a problem that says where the names are.
pub(crate) fn dataset_named(catalogue: &dyn Catalogue, name: &str) -> Result<Dataset, Trouble> {
    catalogue.dataset(name)?.ok_or_else(|| {
        Trouble::not_found(
            format!("dataset {name} is not known here"),
            "`tier0 dataset ls`, or GET /api/v1/datasets, lists the names",
        )
    })
}

/// Open blocks with what is in them, by dataset and run. Their rows are empty while they are open.
fn open_blocks(
    catalogue: &dyn Catalogue,
    which: &WhichBlocks,
) -> Result<BTreeMap<(String, RunNumber), Vec<Block>>, StoreError> {
    let open = Some(true);
    let which = WhichBlocks {
        open,
        ..which.clone()
    };
    let mut found: BTreeMap<(String, RunNumber), Vec<Block>> = BTreeMap::new();
    let mut rows = Vec::new();
    each_row(
        |block: &Block| block.id.0,
        |page| catalogue.which_blocks(&which, page),
        |block| rows.push(block.clone()),
    )?;
    for mut block in rows {
        fill(catalogue, &mut block)?;
        let key = (block.dataset.to_string(), block.run);
        found.entry(key).or_default().push(block);
    }
    Ok(found)
}

/// What is in an open block follows from its outputs.
fn fill(catalogue: &dyn Catalogue, block: &mut Block) -> Result<(), StoreError> {
    let which = WhichOutputs {
        block: Some(block.id),
        ..WhichOutputs::default()
    };
    each_row(
        |output: &Output| output.id.0,
        |page| catalogue.which_outputs(&which, page),
        |output| block.add(output),
    )
}

fn content_of(
    catalogue: &dyn Catalogue,
    dataset: &str,
    run: RunNumber,
) -> Result<Option<LumiContent>, StoreError> {
    let page = Page {
        after: Some(i64::from(run.0) - 1),
        limit: 1,
    };
    let found = catalogue.contents(dataset, page)?.pop();
    Ok(found.filter(|content| content.run == run))
}

/// A dataset as a whole: what is recorded, and what is in its open blocks.
fn whole(catalogue: &dyn Catalogue, dataset: &Dataset) -> Result<DatasetView, StoreError> {
    let mut view = DatasetView::of(dataset, &dataset.closed);
    let which = WhichBlocks {
        dataset: Some(dataset.name.to_string()),
        ..WhichBlocks::default()
    };
    for ((name, run), open) in open_blocks(catalogue, &which)? {
        view.add_open(&open, content_of(catalogue, &name, run)?.as_ref());
    }
    Ok(view)
}

/// What every dataset has of one run, in the order of names.
pub(crate) fn datasets_of_run(
    catalogue: &dyn Catalogue,
    run: RunNumber,
) -> Result<Vec<DatasetView>, StoreError> {
    let which = WhichBlocks {
        run: Some(run),
        ..WhichBlocks::default()
    };
    let mut open = open_blocks(catalogue, &which)?;
    let mut closed: BTreeMap<String, LumiContent> = BTreeMap::new();
    for content in catalogue.contents_of_run(run)? {
        closed.insert(content.dataset.to_string(), content);
    }
    let mut names: BTreeSet<String> = closed.keys().cloned().collect();
    names.extend(open.keys().map(|(name, _)| name.clone()));
    let mut views = Vec::new();
    for name in names {
        let Some(dataset) = catalogue.dataset(&name)? else {
            continue;
        };
        let content = closed.get(&name);
        let totals = content.map_or_else(Totals::default, |content| Totals {
            runs: u64::from(content.blocks > 0),
            blocks: content.blocks,
            files: content.files,
            bytes: content.bytes,
            events: content.events,
            lumis: lumi::count(&content.lumis),
            duplicate_lumis: lumi::count(&content.duplicate_lumis),
        });
        let mut view = DatasetView::of(&dataset, &totals);
        if let Some(open) = open.remove(&(name, run)) {
            view.add_open(&open, content);
        }
        views.push(view);
    }
    Ok(views)
}

/// `GET /api/v1/datasets`: all, a page in the order of names, or those that hold a run.
pub(crate) async fn datasets(
    State(parts): State<ApiParts>,
    Asked(asked): Asked<OfDatasets>,
) -> Outcome {
    let limit = page(None, asked.limit)?.limit;
    let (views, next) = ask(&parts, move |catalogue| {
        if let Some(run) = asked.run {
            return Ok((datasets_of_run(catalogue, RunNumber(run))?, None));
        }
        let rows = catalogue.datasets(asked.after.as_deref(), limit)?;
        let views: Result<Vec<_>, _> = rows.iter().map(|row| whole(catalogue, row)).collect();
        let full = rows.len() >= limit as usize;
        let next = rows.last().filter(|_| full);
        Ok((views?, next.map(|dataset| dataset.name.to_string())))
    })
    .await?;
    Ok(list(&parts, views, next))
}

/// `GET /api/v1/datasets/{dataset}`.
pub(crate) async fn dataset(
    State(parts): State<ApiParts>,
    Path(name): Path<String>,
    Asked(crate::query::Nothing {}): Asked<crate::query::Nothing>,
) -> Outcome {
    let view = ask(&parts, move |catalogue| {
        let dataset = dataset_named(catalogue, &name)?;
        Ok(whole(catalogue, &dataset)?)
    })
    .await?;
    Ok(one(&parts, view))
}

/// `GET /api/v1/blocks`.
pub(crate) async fn blocks(
    State(parts): State<ApiParts>,
    Asked(asked): Asked<OfBlocks>,
) -> Outcome {
    let page = page(asked.after, asked.limit)?;
    let states = [("open", true), ("closed", false)];
    let which = WhichBlocks {
        run: asked.run.map(RunNumber),
        dataset: asked.dataset,
        open: word("state", asked.state.as_deref(), &states)?,
    };
    let rows = ask(&parts, move |catalogue| {
        let mut rows = catalogue.which_blocks(&which, page)?;
        for block in &mut rows {
            if block.state == model::dataset::BlockState::Open {
                fill(catalogue, block)?;
            }
        }
        Ok(rows)
    })
    .await?;
    let next = next_after(&rows, page, |block| block.id.0);
    let views: Vec<_> = rows.iter().map(BlockView::from).collect();
    Ok(list(&parts, views, next))
}

/// `GET /api/v1/datasets/{dataset}/lumis`: by run, or by block or file of one run.
pub(crate) async fn lumis(
    State(parts): State<ApiParts>,
    Path(name): Path<String>,
    Asked(asked): Asked<OfLumis>,
) -> Outcome {
    let wanted = page(asked.after, asked.limit)?;
    let pers = [
        ("run", Per::Run),
        ("block", Per::Block),
        ("file", Per::File),
    ];
    let per = word("per", asked.per.as_deref(), &pers)?.unwrap_or(Per::Run);
    let run = asked.run.map(RunNumber);
    match per {
        Per::Run => {
            let (views, next) = ask(&parts, move |catalogue| {
                let dataset = dataset_named(catalogue, &name)?;
                by_run(catalogue, &dataset, run, wanted)
            })
            .await?;
            Ok(list(&parts, views, next))
        }
        Per::Block | Per::File => {
            let (views, next) = ask(&parts, move |catalogue| {
                let dataset = dataset_named(catalogue, &name)?;
                by_piece(catalogue, &dataset, per, run, wanted)
            })
            .await?;
            Ok(list(&parts, views, next))
        }
    }
}

/// The lumis of each block or file.
fn by_piece(
    catalogue: &dyn Catalogue,
    dataset: &Dataset,
    per: Per,
    run: Option<RunNumber>,
    wanted: Page,
) -> Result<(Vec<LumisOfView>, Option<i64>), Trouble> {
    let name = Some(dataset.name.to_string());
    if per == Per::Block {
        let which = WhichBlocks {
            run,
            dataset: name,
            open: None,
        };
        let mut rows = catalogue.which_blocks(&which, wanted)?;
        for block in &mut rows {
            if block.state == model::dataset::BlockState::Open {
                fill(catalogue, block)?;
            }
        }
        let next = next_after(&rows, wanted, |block| block.id.0);
        return Ok((rows.iter().map(LumisOfView::from).collect(), next));
    }
    let which = WhichOutputs {
        run,
        dataset: name,
        published: Some(true),
        ..WhichOutputs::default()
    };
    let rows = catalogue.which_outputs(&which, wanted)?;
    let next = next_after(&rows, wanted, |output| output.id.0);
    Ok((rows.iter().map(LumisOfView::from).collect(), next))
}

/// What a dataset holds of each run, a page in the order of runs.
fn by_run(
    catalogue: &dyn Catalogue,
    dataset: &Dataset,
    run: Option<RunNumber>,
    wanted: Page,
) -> Result<(Vec<LumiContentView>, Option<i64>), Trouble> {
    let name = dataset.name.to_string();
    let which = WhichBlocks {
        run,
        dataset: Some(name.clone()),
        open: None,
    };
    let mut runs: BTreeMap<RunNumber, (Option<LumiContent>, Vec<Block>)> = BTreeMap::new();
    let after = wanted.after.unwrap_or(-1);
    for ((_, run), open) in open_blocks(catalogue, &which)? {
        if i64::from(run.0) > after {
            runs.entry(run).or_default().1 = open;
        }
    }
    let closed = match run {
        None => catalogue.contents(&name, wanted)?,
        Some(run) => content_of(catalogue, &name, run)?.into_iter().collect(),
    };
    for content in closed {
        let run = content.run;
        runs.entry(run).or_default().0 = Some(content);
    }
    // Closed content fills a page in order; open blocks may stand behind its end.
    let rows = runs.into_iter().take(wanted.limit as usize);
    let views: Result<Vec<_>, StoreError> = rows
        .map(|(run, (closed, open))| run_content(catalogue, dataset, run, closed, &open))
        .collect();
    let views = views?;
    let next = next_after(&views, wanted, |view| i64::from(view.run));
    Ok((views, next))
}

fn run_content(
    catalogue: &dyn Catalogue,
    dataset: &Dataset,
    run: RunNumber,
    closed: Option<LumiContent>,
    open: &[Block],
) -> Result<LumiContentView, StoreError> {
    let mut content = closed.unwrap_or_else(|| LumiContent::new(dataset.name.clone(), run));
    let mut totals = Totals::default();
    for block in open {
        content.add(block, &mut totals);
    }
    let beside = missing::compare(catalogue, dataset, run, &content.lumis)?;
    Ok(LumiContentView {
        run: run.0,
        lumis: pairs(&content.lumis),
        events: content.events.0,
        files: content.files,
        bytes: content.bytes.0,
        blocks: content.blocks,
        expected: pairs(&beside.expected),
        missing: beside.missing,
        partial: beside.partial,
        duplicate_lumis: pairs(&content.duplicate_lumis),
        repeated_inputs: catalogue.repeated_inputs(dataset.name.as_str(), run)?,
    })
}

pub(crate) fn pairs(ranges: &[(LumiNumber, LumiNumber)]) -> LumiRanges {
    ranges.iter().map(|(a, b)| (a.0, b.0)).collect()
}
