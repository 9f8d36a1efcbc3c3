//! Questions over HTTP: each handler asks the catalogue and fills shapes.
//!
//! In: GET requests. Out: JSON. The catalogue blocks, so it is asked on threads where waiting is
//! allowed; the number of those is bounded by the server. Must never hold more than a page of rows,
//! except where rows are added up.

use crate::ApiParts;
use crate::datasets::datasets_of_run;
use crate::problem::{Outcome, Trouble};
use crate::query::{
    Asked, LIMIT_MAX, Nothing, OfAlarms, OfJobs, OfLabel, OfTag, OneRun, Paged, next_after, number,
    page,
};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use model::alarm::Alarm;
use model::ids::{JobId, RunNumber};
use model::job::{Job, JobState};
use model::names::DataLabel;
use model::wait::Object;
use ports::catalogue::{Catalogue, Page};
use ports::store::StoreError;
use serde::Serialize;
use std::collections::BTreeSet;
use view::conditions::DecisionView;
use view::file::SetAsideView;
use view::health::AlarmView;
use view::job::{AttemptView, EstimateView, JobDetailView, JobView, UsedView};
use view::latency::JobLatencies;
use view::quality::{QualityView, good_runs as list_good_runs};
use view::run::{EndView, LumiView, RunCountsView, RunDetailView, RunView};
use view::units::{RunUnits, UnitAccountView};
use view::wait::{AuditView, WaitView, WhyView};
use view::{Answer, ListAnswer};

/// Asks the catalogue where waiting is allowed.
pub(crate) async fn ask<T: Send + 'static>(
    parts: &ApiParts,
    question: impl FnOnce(&dyn Catalogue) -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let catalogue = parts.catalogue.clone();
    tokio::task::spawn_blocking(move || question(catalogue.as_ref()))
        .await
        .map_err(|error| Trouble::bug(error.to_string()))?
}

/// Reads every page of a list and hands each row over.
pub(crate) fn each_row<T>(
    key: impl Fn(&T) -> i64,
    read: impl Fn(Page) -> Result<Vec<T>, StoreError>,
    mut take: impl FnMut(&T),
) -> Result<(), StoreError> {
    let mut wanted = Page {
        after: None,
        limit: LIMIT_MAX,
    };
    loop {
        let rows = read(wanted)?;
        rows.iter().for_each(&mut take);
        wanted.after = next_after(&rows, wanted, &key);
        if wanted.after.is_none() {
            return Ok(());
        }
    }
}

pub(crate) fn one<T: Serialize>(parts: &ApiParts, item: T) -> Response {
    Json(Answer::new(parts.status.now(), item)).into_response()
}

pub(crate) fn list<T: Serialize, K: Serialize>(
    parts: &ApiParts,
    items: Vec<T>,
    next: Option<K>,
) -> Response {
    Json(ListAnswer::new(parts.status.now(), items, next)).into_response()
}

fn run_view(catalogue: &dyn Catalogue, run: &model::run::Run) -> Result<RunView, StoreError> {
    let counts = catalogue.run_counts(run.number)?;
    let counts = RunCountsView {
        files: counts.files,
        events_in: counts.events_in,
        jobs: counts.jobs,
        jobs_done: counts.jobs_done,
        jobs_failed: counts.jobs_failed,
        jobs_cancelled: counts.jobs_cancelled,
    };
    Ok(RunView::of(run, counts))
}

/// `GET /api/v1/runs`.
pub(crate) async fn runs(State(parts): State<ApiParts>, Asked(asked): Asked<Paged>) -> Outcome {
    let page = page(asked.after, asked.limit)?;
    let (items, next) = ask(&parts, move |catalogue| {
        let runs = catalogue.runs(page)?;
        let next = next_after(&runs, page, |run| i64::from(run.number.0));
        let items: Result<Vec<_>, _> = runs.iter().map(|run| run_view(catalogue, run)).collect();
        Ok((items?, next))
    })
    .await?;
    Ok(list(&parts, items, next))
}

/// `GET /api/v1/runs/{run}`.
pub(crate) async fn run(
    State(parts): State<ApiParts>,
    Path(text): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let number = RunNumber(number("run", &text)?);
    let door = parts.commands.clone();
    let detail = ask(&parts, move |catalogue| {
        let run = catalogue.run(number)?.ok_or_else(|| no_run(number))?;
        let said = catalogue.witnesses(number)?;
        // An engine that starts or stops cannot be asked; the rows can.
        let why = door.why(Object::Run(number)).ok().flatten();
        let waits = why.map_or_else(Vec::new, |why| why.waits);
        let (mut units, mut latencies) = (RunUnits::default(), JobLatencies::default());
        each_done(catalogue, number, |job| {
            units.add(job);
            latencies.add(job);
        })?;
        Ok(RunDetailView {
            run: run_view(catalogue, &run)?,
            lumis: said.iter().filter_map(LumiView::of).collect(),
            ends: said.iter().filter_map(EndView::of).collect(),
            waits: waits.iter().map(WaitView::from).collect(),
            datasets: datasets_of_run(catalogue, number)?,
            units: units.rows(),
            latency: latencies.pipelines(number.0),
        })
    })
    .await?;
    Ok(one(&parts, detail))
}

pub(crate) fn no_run(run: RunNumber) -> Trouble {
    Trouble::not_found(
        format!("run {run} is not known here"),
        "`tier0 run ls`, or GET /api/v1/runs, lists the runs",
    )
}

fn latencies(catalogue: &dyn Catalogue, run: RunNumber) -> Result<JobLatencies, StoreError> {
    let mut latencies = JobLatencies::default();
    each_done(catalogue, run, |job| latencies.add(job))?;
    Ok(latencies)
}

/// Every job of a run that is done.
fn each_done(
    catalogue: &dyn Catalogue,
    run: RunNumber,
    take: impl FnMut(&Job),
) -> Result<(), StoreError> {
    each_row(
        |job: &Job| job.id.0,
        |page| catalogue.jobs(Some(run), Some("done"), page),
        take,
    )
}

/// `GET /api/v1/jobs`.
pub(crate) async fn jobs(State(parts): State<ApiParts>, Asked(asked): Asked<OfJobs>) -> Outcome {
    let page = page(asked.after, asked.limit)?;
    let run = asked.run.map(RunNumber);
    if let Some(state) = asked
        .state
        .as_deref()
        .filter(|state| !JobState::WORDS.contains(state))
    {
        let detail = format!("\"{state}\" is no state of a job");
        let hint = format!("use one of {}", JobState::WORDS.join(", "));
        return Err(Trouble::bad_request(detail, &hint));
    }
    let rows = ask(&parts, move |catalogue| {
        Ok(catalogue.jobs(run, asked.state.as_deref(), page)?)
    })
    .await?;
    let next = next_after(&rows, page, |job| job.id.0);
    Ok(list(&parts, rows.iter().map(JobView::from).collect(), next))
}

/// `GET /api/v1/jobs/{id}`.
pub(crate) async fn job(
    State(parts): State<ApiParts>,
    Path(text): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let id = JobId(number("job", &text)?);
    let detail = ask(&parts, move |catalogue| {
        let job = catalogue.job(id)?.ok_or_else(|| {
            let hint = "`tier0 job ls`, or GET /api/v1/jobs, lists the jobs";
            Trouble::not_found(format!("job {id} is not known here"), hint)
        })?;
        let failed = catalogue.failed_attempts(id)?;
        Ok(JobDetailView {
            job: JobView::from(&job),
            estimate: job.estimate.as_ref().map(EstimateView::from),
            used: job.used.as_ref().map(UsedView::from),
            units: units_of(&job),
            failed_attempts: failed.iter().map(AttemptView::from).collect(),
        })
    })
    .await?;
    Ok(one(&parts, detail))
}

fn units_of(job: &Job) -> Vec<UnitAccountView> {
    let view = |account| UnitAccountView::of(job, account);
    job.units.iter().map(view).collect()
}

/// `GET /api/v1/latency`: of the instance, or of one run from the stamps of its jobs.
pub(crate) async fn latency(State(parts): State<ApiParts>, Asked(asked): Asked<OneRun>) -> Outcome {
    let Some(run) = asked.run.map(RunNumber) else {
        let rows = parts.status.latency();
        return Ok(list(&parts, rows, None::<i64>));
    };
    let rows = ask(&parts, move |catalogue| {
        catalogue.run(run)?.ok_or_else(|| no_run(run))?;
        Ok(latencies(catalogue, run)?.rows(run.0))
    })
    .await?;
    Ok(list(&parts, rows, None::<i64>))
}

/// `GET /api/v1/calibrations`: what was decided, by run and tag.
pub(crate) async fn calibrations(
    State(parts): State<ApiParts>,
    Asked(asked): Asked<OfTag>,
) -> Outcome {
    let mut rows = ask(&parts, |catalogue| Ok(catalogue.decisions()?)).await?;
    rows.retain(|decision| {
        asked
            .tag
            .as_deref()
            .is_none_or(|tag| decision.tag.as_str() == tag)
            && asked.run.is_none_or(|run| decision.run.0 == run)
    });
    Ok(list(
        &parts,
        rows.iter().map(DecisionView::from).collect(),
        None::<i64>,
    ))
}

/// `GET /api/v1/dqm`: verdicts.
pub(crate) async fn dqm(State(parts): State<ApiParts>, Asked(asked): Asked<OneRun>) -> Outcome {
    let mut rows = ask(&parts, |catalogue| Ok(catalogue.quality()?)).await?;
    rows.retain(|quality| asked.run.is_none_or(|run| quality.run.0 == run));
    Ok(list(
        &parts,
        rows.iter().map(QualityView::from).collect(),
        None::<i64>,
    ))
}

/// `GET /api/v1/good-runs`: exactly the CMS JSON format, so that other programs read it as it is.
/// One label at a time.
pub(crate) async fn good_runs(
    State(parts): State<ApiParts>,
    Asked(asked): Asked<OfLabel>,
) -> Outcome {
    let label = match asked.label.as_deref() {
        None => DataLabel::Real,
        Some(text) => DataLabel::parse(text).ok_or_else(|| {
            let detail = format!("\"{text}\" is no label");
            Trouble::bad_request(detail, "use real or simulated")
        })?,
    };
    let answer = ask(&parts, move |catalogue| {
        let mut of_label = BTreeSet::new();
        each_row(
            |run: &model::run::Run| i64::from(run.number.0),
            |page| catalogue.runs(page),
            |run| {
                if run.label == label {
                    of_label.insert(run.number);
                }
            },
        )?;
        Ok(list_good_runs(&catalogue.quality()?, |run| {
            of_label.contains(&run)
        }))
    })
    .await?;
    Ok(Json(answer).into_response())
}

/// `GET /api/v1/set-aside`.
pub(crate) async fn set_aside(
    State(parts): State<ApiParts>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let rows = ask(&parts, |catalogue| Ok(catalogue.set_aside()?)).await?;
    Ok(list(
        &parts,
        rows.iter().map(SetAsideView::from).collect(),
        None::<i64>,
    ))
}

/// `GET /api/v1/alarms`: those that stand, also where the store cannot take them just now; with
/// `cleared=true` the others too.
pub(crate) async fn alarms(
    State(parts): State<ApiParts>,
    Asked(asked): Asked<OfAlarms>,
) -> Outcome {
    let on_record = ask(&parts, move |catalogue| {
        Ok(catalogue.alarms(!asked.cleared)?)
    })
    .await;
    // A store that is full or held by others is just what some of them are about.
    let mut rows = parts.status.troubles();
    let on_record = match on_record {
        Err(problem) if rows.is_empty() => return Err(problem),
        on_record => on_record.unwrap_or_default(),
    };
    let keys: BTreeSet<String> = rows.iter().map(|alarm| alarm.key.clone()).collect();
    let others = |alarm: &Alarm| alarm.cleared_at.is_some() || !keys.contains(&alarm.key);
    rows.extend(on_record.into_iter().filter(others));
    rows.sort_by(|a, b| (&a.key, a.raised_at).cmp(&(&b.key, b.raised_at)));
    Ok(list(
        &parts,
        rows.iter().map(AlarmView::from).collect(),
        None::<i64>,
    ))
}

/// `GET /api/v1/system`.
pub(crate) async fn system(
    State(parts): State<ApiParts>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let system = parts.status.system();
    Ok(one(&parts, system))
}

/// `GET /api/v1/audit`: what people and programs did, oldest first.
pub(crate) async fn audit(State(parts): State<ApiParts>, Asked(asked): Asked<Paged>) -> Outcome {
    let page = page(asked.after, asked.limit)?;
    let rows = ask(&parts, move |catalogue| Ok(catalogue.audits(page)?)).await?;
    let next = next_after(&rows, page, |audit| audit.id.0);
    Ok(list(
        &parts,
        rows.iter().map(AuditView::from).collect(),
        next,
    ))
}

/// `GET /api/v1/why/{kind}/{id}`: what holds an object back, asked of the engine itself.
pub(crate) async fn why(
    State(parts): State<ApiParts>,
    Path((kind, id)): Path<(String, String)>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let text = format!("{kind}/{id}");
    let object = Object::parse(&text).ok_or_else(|| {
        let detail = format!("\"{text}\" names no object");
        Trouble::bad_request(detail, &format!("ask about {}", Object::FORMS))
    })?;
    let door = parts.commands.clone();
    let why = tokio::task::spawn_blocking(move || door.why(object))
        .await
        .map_err(|error| Trouble::bug(error.to_string()))??
        .ok_or_else(|| {
            let hint = "`tier0 run ls`, `job ls` and `file ls`, or GET /api/v1/runs, /jobs and \
                        /files, list what is";
            Trouble::not_found(format!("{text} is not known here"), hint)
        })?;
    Ok(one(&parts, WhyView::from(&why)))
}
