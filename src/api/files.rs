//! Files of the detector and outputs over HTTP: lists, what one is, where it comes from, what was
//! made of it, when it passed each hop, and whether it still is what was recorded.
//!
//! In: GET requests. Out: JSON. Ids of files and of outputs never meet, so one path serves both.
//! Lineages are walked breadth first and end at a limit, which the answer says.

use crate::ApiParts;
use crate::datasets::dataset_named;
use crate::problem::{Outcome, Trouble};
use crate::query::{
    Asked, LIMIT_MAX, Nothing, OfFiles, OfOutputs, OneRun, next_after, number, page, word,
};
use crate::reads::{ask, each_row, list, one};
use axum::extract::{Path, State};
use model::arrival::Checksum;
use model::dataset::{Dataset, Output, Parent};
use model::file::File;
use model::ids::{FileId, JobId, OutputId, RunNumber};
use model::job::{InputId, Job};
use model::source::CopyPlace;
use model::time::Moment;
use model::work::Location;
use ports::catalogue::{Catalogue, Page, WhichFiles, WhichOutputs};
use ports::store::StoreError;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use view::dataset::OutputView;
use view::file::{FileView, SourceView};
use view::lineage::{
    DatasetLineageView, DatasetRelativeView, FileLineageView, HopView, MadeWithView, MakerView,
    RecipeView, RelativeView, TraceView, VerificationView,
};

/// Relatives of a file that an answer shows in each direction.
const RELATIVES_MAX: usize = 1_000;
/// Jobs whose hops an answer shows.
const TRACED_JOBS_MAX: usize = 100;
/// Datasets that are looked through for relatives of one.
const DATASETS_MAX: u32 = LIMIT_MAX;

/// A file of the detector or an output.
enum Known {
    File(Box<File>),
    Output(Box<Output>),
}

/// A file or an output as lists show it.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum KnownView {
    File(FileView),
    Output(OutputView),
}

impl Known {
    fn input(&self) -> InputId {
        match self {
            Self::File(file) => InputId::File(file.id),
            Self::Output(output) => InputId::Output(output.id),
        }
    }

    fn relative(&self, depth: u32, job: Option<JobId>) -> RelativeView {
        let job = job.map(|job| job.0);
        match self {
            Self::File(file) => RelativeView::of_file(file, depth, job),
            Self::Output(output) => RelativeView::of_output(output, depth, job),
        }
    }
}

/// `GET /api/v1/files`.
pub(crate) async fn files(State(parts): State<ApiParts>, Asked(asked): Asked<OfFiles>) -> Outcome {
    let page = page(asked.after, asked.limit)?;
    let states = [("accepted", false), ("late", true)];
    let which = WhichFiles {
        run: asked.run.map(RunNumber),
        stream: asked.stream,
        late: word("state", asked.state.as_deref(), &states)?,
    };
    let rows = ask(&parts, move |catalogue| {
        Ok(catalogue.which_files(&which, page)?)
    })
    .await?;
    let next = next_after(&rows, page, |file| file.id.0);
    let views: Vec<_> = rows.iter().map(FileView::from).collect();
    Ok(list(&parts, views, next))
}

/// `GET /api/v1/outputs`.
pub(crate) async fn outputs(
    State(parts): State<ApiParts>,
    Asked(asked): Asked<OfOutputs>,
) -> Outcome {
    let page = page(asked.after, asked.limit)?;
    let states = [("published", true), ("unpublished", false)];
    let which = WhichOutputs {
        run: asked.run.map(RunNumber),
        dataset: asked.dataset,
        block: asked.block.map(model::ids::BlockId),
        job: asked.job.map(JobId),
        published: word("state", asked.state.as_deref(), &states)?,
    };
    // What another stands for is no part of a dataset any more; asked for by its state it is shown.
    let stands_only = which.dataset.is_some() && which.published.is_none();
    let rows = ask(&parts, move |catalogue| {
        Ok(catalogue.which_outputs(&which, page)?)
    })
    .await?;
    let next = next_after(&rows, page, |output| output.id.0);
    let shown = rows
        .iter()
        .filter(|output| !stands_only || output.superseded_by.is_none());
    let views: Vec<_> = shown.map(OutputView::from).collect();
    Ok(list(&parts, views, next))
}

fn known(catalogue: &dyn Catalogue, id: i64) -> Result<Known, Trouble> {
    if let Some(file) = catalogue.file(FileId(id))? {
        return Ok(Known::File(Box::new(file)));
    }
    match catalogue.output(OutputId(id))? {
        Some(output) => Ok(Known::Output(Box::new(output))),
        None => Err(Trouble::not_found(
            format!("file {id} is not known here, neither as one of the detector nor as an output"),
            "`tier0 file ls` lists the detector's, `tier0 file ls --state published` outputs; over \
             HTTP GET /api/v1/files and /outputs",
        )),
    }
}

/// `GET /api/v1/files/{id}`.
pub(crate) async fn file(
    State(parts): State<ApiParts>,
    Path(text): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let id = number("file", &text)?;
    let view = ask(&parts, move |catalogue| {
        Ok(match known(catalogue, id)? {
            Known::File(file) => {
                let source = catalogue.source(file.id)?;
                let evidence = catalogue.evidence(file.id)?;
                KnownView::File(FileView {
                    source: source.map(|source| SourceView::of(&source, &evidence)),
                    ..FileView::from(&*file)
                })
            }
            Known::Output(output) => KnownView::Output(OutputView::from(&*output)),
        })
    })
    .await?;
    Ok(one(&parts, view))
}

/// `GET /api/v1/files/{id}/lineage`.
pub(crate) async fn file_lineage(
    State(parts): State<ApiParts>,
    Path(text): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let id = number("file", &text)?;
    let view = ask(&parts, move |catalogue| {
        let known = known(catalogue, id)?;
        let (parents, more) = relatives(catalogue, known.input(), parents_of)?;
        let (children, further) = relatives(catalogue, known.input(), children_of)?;
        let maker = maker_of(catalogue, &known)?;
        Ok(FileLineageView {
            file: known.relative(0, None),
            made_by: maker.as_ref().map(MakerView::from),
            parents,
            children,
            truncated: more || further,
        })
    })
    .await?;
    Ok(one(&parts, view))
}

fn maker_of(catalogue: &dyn Catalogue, known: &Known) -> Result<Option<Job>, StoreError> {
    match known {
        Known::File(_) => Ok(None),
        Known::Output(output) => catalogue.job(output.job),
    }
}

type Neighbours = Vec<(Known, JobId)>;

/// What an input was made from, with the job between.
fn parents_of(catalogue: &dyn Catalogue, of: InputId) -> Result<Neighbours, StoreError> {
    let InputId::Output(id) = of else {
        return Ok(Vec::new());
    };
    let maker = match catalogue.output(id)? {
        Some(output) => catalogue.job(output.job)?,
        None => None,
    };
    let mut found = Vec::new();
    if let Some(job) = maker {
        for input in job.inputs.iter().take(RELATIVES_MAX + 1) {
            let known = match input {
                InputId::File(id) => catalogue.file(*id)?.map(|f| Known::File(Box::new(f))),
                InputId::Output(id) => {
                    let output = catalogue.output(*id)?;
                    output.map(|output| Known::Output(Box::new(output)))
                }
            };
            found.extend(known.map(|known| (known, job.id)));
        }
    }
    Ok(found)
}

/// What was made from an input, with the job between.
fn children_of(catalogue: &dyn Catalogue, of: InputId) -> Result<Neighbours, StoreError> {
    let mut found = Vec::new();
    for job in takers(catalogue, of)?.iter().take(RELATIVES_MAX + 1) {
        for output in outputs_of(catalogue, job.id)? {
            found.push((Known::Output(Box::new(output)), job.id));
        }
    }
    Ok(found)
}

/// Jobs that have taken an input: those that consumed it, and whoever was made in their place. Only
/// the first of several outputs that stood in one place was ever consumed; the others were read by
/// the jobs that were made again.
fn takers(catalogue: &dyn Catalogue, of: InputId) -> Result<Vec<Job>, StoreError> {
    let mut first = of;
    while let InputId::Output(id) = first {
        match catalogue.output(id)?.and_then(|output| output.replaces) {
            Some(before) => first = InputId::Output(before),
            None => break,
        }
    }
    let rows = catalogue.consumers(first)?;
    let mut todo: VecDeque<JobId> = rows.iter().map(|row| row.job).collect();
    let mut met: BTreeSet<JobId> = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(id) = todo.pop_front() {
        let Some(job) = catalogue.job(id)?.filter(|_| met.insert(id)) else {
            continue;
        };
        todo.extend(&job.lineage.replaced_by);
        if job.inputs.contains(&of) {
            found.push(job);
        }
    }
    Ok(found)
}

fn outputs_of(catalogue: &dyn Catalogue, job: JobId) -> Result<Vec<Output>, StoreError> {
    let which = WhichOutputs {
        job: Some(job),
        ..WhichOutputs::default()
    };
    let page = Page {
        after: None,
        limit: LIMIT_MAX,
    };
    catalogue.which_outputs(&which, page)
}

/// Walks breadth first in one direction; says whether it stopped at the limit.
fn relatives(
    catalogue: &dyn Catalogue,
    from: InputId,
    next: impl Fn(&dyn Catalogue, InputId) -> Result<Neighbours, StoreError>,
) -> Result<(Vec<RelativeView>, bool), StoreError> {
    let mut met = BTreeSet::from([from]);
    let mut queue = VecDeque::from([(from, 0)]);
    let mut found = Vec::new();
    while let Some((at, depth)) = queue.pop_front() {
        for (known, job) in next(catalogue, at)? {
            if !met.insert(known.input()) {
                continue;
            }
            if found.len() == RELATIVES_MAX {
                return Ok((found, true));
            }
            found.push(known.relative(depth + 1, Some(job)));
            queue.push_back((known.input(), depth + 1));
        }
    }
    Ok((found, false))
}

/// `GET /api/v1/files/{id}/trace`.
pub(crate) async fn trace(
    State(parts): State<ApiParts>,
    Path(text): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let id = number("file", &text)?;
    let view = ask(&parts, move |catalogue| {
        let known = known(catalogue, id)?;
        let mut hops = Hops::default();
        if let Known::File(file) = &known {
            hops.add(Some(file.arrival.mtime), "written", None);
            hops.add(Some(file.arrival.seen_at), "seen", None);
            for step in catalogue.evidence(file.id)? {
                let copy = step
                    .copy
                    .map_or(String::new(), |copy| format!(", copy {copy}"));
                let hop = format!("source {}{copy}", step.to);
                hops.0.push((step.at, hop.into(), None));
            }
        }
        if let Some(job) = maker_of(catalogue, &known)? {
            hops.add(Some(job.stamps.seen), "seen", None);
            hops.add_job(catalogue, &job)?;
        }
        let consumers = takers(catalogue, known.input())?;
        for job in consumers.iter().take(TRACED_JOBS_MAX) {
            hops.add_job(catalogue, job)?;
        }
        Ok(TraceView {
            file: known.relative(0, None),
            hops: hops.in_order(),
            truncated: consumers.len() > TRACED_JOBS_MAX,
        })
    })
    .await?;
    Ok(one(&parts, view))
}

/// A moment, what happened then, and the task and job that it happened to.
type Passed = (Moment, Cow<'static, str>, Option<(String, i64)>);

/// Moments as they are found.
#[derive(Default)]
struct Hops(Vec<Passed>);

impl Hops {
    fn add(&mut self, at: Option<Moment>, hop: &'static str, job: Option<&Job>) {
        let job = job.map(|job| (job.task.to_string(), job.id.0));
        self.0.extend(at.map(|at| (at, Cow::Borrowed(hop), job)));
    }

    /// The hops of a job, of its outputs and of their blocks.
    fn add_job(&mut self, catalogue: &dyn Catalogue, job: &Job) -> Result<(), StoreError> {
        let stamps = &job.stamps;
        self.add(Some(stamps.made), "made", Some(job));
        self.add(stamps.sent, "sent", Some(job));
        self.add(stamps.started, "started", Some(job));
        self.add(stamps.reported, "reported", Some(job));
        self.add(stamps.done, "done", Some(job));
        let outputs = outputs_of(catalogue, job.id)?;
        let published = outputs.iter().filter(|output| output.block.is_some());
        let published = published.map(|output| output.committed_at).max();
        self.add(published, "published", Some(job));
        let blocks: BTreeSet<_> = outputs.iter().filter_map(|output| output.block).collect();
        for id in blocks {
            let page = Page {
                after: Some(id.0 - 1),
                limit: 1,
            };
            for block in catalogue.blocks(None, page)?.iter().filter(|b| b.id == id) {
                if let model::dataset::BlockState::Closed { at, .. } = block.state {
                    self.add(Some(at), "block-closed", Some(job));
                }
            }
        }
        Ok(())
    }

    fn in_order(mut self) -> Vec<HopView> {
        self.0.sort_by_key(|(at, ..)| *at);
        let first = self.0.first().map_or(Moment(0), |(at, ..)| *at);
        let view = |(at, hop, job): Passed| HopView {
            at: at.to_string(),
            after_s: at.since(first).as_secs_f64(),
            hop: hop.into_owned(),
            task: job.as_ref().map(|(task, _)| task.clone()),
            job: job.map(|(_, id)| id),
        };
        self.0.into_iter().map(view).collect()
    }
}

/// `GET /api/v1/files/{id}/verification`: reads the file back.
pub(crate) async fn verification(
    State(parts): State<ApiParts>,
    Path(text): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let id = number("file", &text)?;
    let files = parts.files.clone();
    let view = ask(&parts, move |catalogue| {
        let known = known(catalogue, id)?;
        let (location, bytes, adler32) = match &known {
            Known::File(file) if file.arrival.empty => {
                let detail = format!("{} only reports an empty lumi", file.arrival.name);
                return Err(Trouble::bad_request(
                    detail,
                    "there is nothing to read back",
                ));
            }
            Known::File(file) => {
                let arrival = &file.arrival;
                let (profile, name) = (arrival.profile.clone(), arrival.name.clone());
                let source = catalogue.source(file.id)?;
                let released = source.is_some_and(|source| source.state.is_released());
                let location = if released {
                    let place = CopyPlace::First;
                    Location::Copy {
                        place,
                        profile,
                        name,
                    }
                } else {
                    Location::Spool { profile, name }
                };
                let claimed = arrival.checksum.map(|Checksum::Adler32(sum)| sum);
                (location, arrival.bytes.0, claimed)
            }
            Known::Output(output) => {
                let name = output.name.clone();
                let location = Location::Storage { name };
                (location, output.bytes.0, Some(output.adler32))
            }
        };
        let read = files.read_back(&location);
        Ok(compare(known.relative(0, None), bytes, adler32, read))
    })
    .await?;
    Ok(one(&parts, view))
}

fn compare(
    file: RelativeView,
    bytes: u64,
    adler32: Option<u32>,
    read: Result<(u64, u32), String>,
) -> VerificationView {
    let (result, detail) = match (&read, adler32) {
        (Err(why), _) => ("unreadable", why.clone()),
        (Ok((size, _)), _) if *size != bytes => {
            let detail = format!("{size} bytes were read, {bytes} are recorded");
            ("size-differs", detail)
        }
        (Ok((_, sum)), Some(claimed)) if *sum != claimed => {
            let detail = format!("adler32 {sum:08x} was read, {claimed:08x} is recorded");
            ("checksum-differs", detail)
        }
        (Ok(_), Some(_)) => ("intact", "size and adler32 are as recorded".to_owned()),
        (Ok(_), None) => {
            let detail = "its size is as recorded; nobody claimed a checksum".to_owned();
            ("only-size", detail)
        }
    };
    let hex = |sum: u32| format!("{sum:08x}");
    VerificationView {
        id: file.id,
        name: file.name,
        result: result.to_owned(),
        bytes,
        read_bytes: read.as_ref().ok().map(|(size, _)| *size),
        adler32: adler32.map(hex),
        read_adler32: read.as_ref().ok().map(|(_, sum)| hex(*sum)),
        detail,
    }
}

/// `GET /api/v1/datasets/{dataset}/lineage`.
pub(crate) async fn dataset_lineage(
    State(parts): State<ApiParts>,
    Path(name): Path<String>,
    Asked(asked): Asked<OneRun>,
) -> Outcome {
    let run = asked.run.map(RunNumber);
    let view = ask(&parts, move |catalogue| {
        let dataset = dataset_named(catalogue, &name)?;
        let all = catalogue.datasets(None, DATASETS_MAX)?;
        Ok(DatasetLineageView {
            dataset: dataset.name.to_string(),
            task: dataset.task.to_string(),
            parents: dataset_parents(&dataset, &all),
            children: dataset_children(&dataset, &all),
            made_with: match run {
                Some(run) => made_with(catalogue, &dataset, run)?,
                None => Vec::new(),
            },
            truncated: all.len() >= DATASETS_MAX as usize,
        })
    })
    .await?;
    Ok(one(&parts, view))
}

fn dataset_parents(of: &Dataset, all: &[Dataset]) -> Vec<DatasetRelativeView> {
    let mut met = BTreeSet::new();
    let mut queue = VecDeque::from([(of, 0)]);
    let mut found = Vec::new();
    while let Some((dataset, depth)) = queue.pop_front() {
        for parent in &dataset.parents {
            let next = match parent {
                Parent::Dataset(name) => all.iter().find(|other| other.name == *name),
                Parent::Stream(_) => None,
            };
            if met.insert(parent) {
                let task = next.map(|next| next.task.to_string());
                found.push(DatasetRelativeView::of_parent(parent, depth + 1, task));
                queue.extend(next.map(|next| (next, depth + 1)));
            }
        }
    }
    found
}

fn dataset_children(of: &Dataset, all: &[Dataset]) -> Vec<DatasetRelativeView> {
    let mut met = BTreeSet::from([&of.name]);
    let mut queue = VecDeque::from([(of, 0)]);
    let mut found = Vec::new();
    while let Some((dataset, depth)) = queue.pop_front() {
        let parent = Parent::Dataset(dataset.name.clone());
        for child in all.iter().filter(|child| child.parents.contains(&parent)) {
            if met.insert(&child.name) {
                let itself = Parent::Dataset(child.name.clone());
                let task = Some(child.task.to_string());
                found.push(DatasetRelativeView::of_parent(&itself, depth + 1, task));
                queue.push_back((child, depth + 1));
            }
        }
    }
    found
}

/// With what the outputs of a dataset in a run were made, each recipe once.
fn made_with(
    catalogue: &dyn Catalogue,
    dataset: &Dataset,
    run: RunNumber,
) -> Result<Vec<MadeWithView>, StoreError> {
    let which = WhichOutputs {
        run: Some(run),
        dataset: Some(dataset.name.to_string()),
        ..WhichOutputs::default()
    };
    let mut makers: BTreeSet<JobId> = BTreeSet::new();
    each_row(
        |output: &Output| output.id.0,
        |page| catalogue.which_outputs(&which, page),
        |output| {
            // What another stands for is no part of the dataset any more.
            if output.superseded_by.is_none() {
                makers.insert(output.job);
            }
        },
    )?;
    let mut recipes: BTreeMap<model::job::Recipe, u64> = BTreeMap::new();
    for job in makers {
        if let Some(recipe) = catalogue.job(job)?.and_then(|job| job.recipe) {
            *recipes.entry(recipe).or_default() += 1;
        }
    }
    let view = |(recipe, files): (&model::job::Recipe, &u64)| MadeWithView {
        run: run.0,
        recipe: RecipeView::from(recipe),
        files: *files,
    };
    Ok(recipes.iter().map(view).collect())
}
