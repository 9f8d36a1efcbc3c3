//! Collects an act's summary from the instance's own catalogue and published files.

use super::summary::{ActSummary, ConstantSummary, RunSummary, TestSummary, Totals};
use super::{Play, export, figures, physics, telescope};
use crate::digest::digest;
use model::conditions::{ConditionsPayload, GateDecision, Iov};
use model::dataset::Output;
use model::file::File;
use model::job::Job;
use model::quality::RunQuality;
use model::run::Run;
use model::witness::{Says, Witness};
use ports::catalogue::{Catalogue, Page, RunCounts};
use ports::store::StoreError;
use programs::inject::Played;
use programs::product::CorrectedTrack;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use store::SqlCatalogue;
use view::dataset::OutputView;
use view::units::RunUnits;

/// Where an act's summary comes from.
pub(super) struct From<'a> {
    pub(super) catalogue: &'a SqlCatalogue,
    pub(super) storage: &'a Path,
    pub(super) played: &'a Played,
    pub(super) good_runs: &'a Path,
    pub(super) wall_s: f64,
}

/// The rows of one act.
struct Rows {
    runs: Vec<(Run, RunCounts)>,
    jobs: Vec<Job>,
    files: Vec<File>,
    outputs: Vec<Output>,
    decisions: Vec<GateDecision>,
    iovs: Vec<Iov>,
    payloads: Vec<ConditionsPayload>,
    quality: Vec<RunQuality>,
}

/// Everything of a kind, page by page.
fn all<T>(
    mut page: impl FnMut(Page) -> Result<Vec<T>, StoreError>,
    key: impl Fn(&T) -> i64,
) -> Result<Vec<T>, StoreError> {
    let mut found: Vec<T> = Vec::new();
    loop {
        let next = page(Page {
            after: found.last().map(&key),
            limit: 10_000,
        })?;
        if next.is_empty() {
            return Ok(found);
        }
        found.extend(next);
    }
}

fn rows(catalogue: &SqlCatalogue) -> Result<Rows, StoreError> {
    let runs = all(|page| catalogue.runs(page), |run| i64::from(run.number.0))?;
    let mut counted = Vec::new();
    for run in runs {
        let counts = catalogue.run_counts(run.number)?;
        counted.push((run, counts));
    }
    let iovs = catalogue.iovs()?;
    let mut payloads = Vec::new();
    for iov in &iovs {
        payloads.extend(catalogue.payload(&iov.hash)?);
    }
    Ok(Rows {
        runs: counted,
        files: all(|page| catalogue.files(None, page), |file| file.id.0)?,
        jobs: all(|page| catalogue.jobs(None, None, page), |job| job.id.0)?,
        outputs: all(|page| catalogue.outputs(None, page), |output| output.id.0)?,
        decisions: catalogue.decisions()?,
        iovs,
        payloads,
        quality: catalogue.quality()?,
    })
}

/// The summary of an act that was played.
pub(super) fn act(play: &Play, from: &From<'_>) -> Result<ActSummary, String> {
    let rows = rows(from.catalogue).map_err(|error| error.to_string())?;
    let runs: Vec<RunSummary> = rows
        .runs
        .iter()
        .map(|(run, counts)| run_summary(run, *counts, &rows, from))
        .collect::<Result<_, _>>()?;
    let totals = Totals {
        runs: from.played.runs.len() as u64,
        runs_closed: rows
            .runs
            .iter()
            .filter(|(run, _)| run.state.is_closed())
            .count() as u64,
        files: runs.iter().map(|run| run.files).sum(),
        events_in: from.played.runs.iter().map(|run| run.events).sum(),
        events_out: runs.iter().map(|run| run.events_out).sum(),
        jobs: rows.runs.iter().map(|(_, counts)| counts.jobs).sum(),
        jobs_failed: rows.runs.iter().map(|(_, counts)| counts.jobs_failed).sum(),
    };
    let mut summary = ActSummary {
        act: play.number,
        label: play.label.to_owned(),
        status: "done".to_owned(),
        source: Some(play.source.display().to_string()),
        totals: Some(totals),
        runs,
        good_runs_path: from
            .good_runs
            .exists()
            .then(|| from.good_runs.display().to_string()),
        report_path: play
            .folder
            .parent()
            .map(|p| p.join("report.html").display().to_string()),
        digest: Some(digest(
            &rows
                .outputs
                .iter()
                .map(OutputView::from)
                .collect::<Vec<_>>(),
        )),
        wall_s: Some(from.wall_s),
        ..ActSummary::default()
    };
    let tracks = physics::tracks(&rows.outputs, from.storage)?;
    add_physics(&mut summary, &rows, &tracks, play, from)?;
    add_figures(&mut summary, &rows, &tracks, play, from)?;
    export::write(
        &play.folder,
        from.storage,
        &rows.outputs,
        &rows.iovs,
        from.catalogue,
    )?;
    Ok(summary)
}

/// Pictures of what was found, and the histograms that other acts' are shown beside.
fn add_figures(
    summary: &mut ActSummary,
    rows: &Rows,
    tracks: &[CorrectedTrack],
    play: &Play,
    from: &From<'_>,
) -> Result<(), String> {
    let whole = play.folder.parent().unwrap_or(&play.folder);
    let documents = figures::Documents::read(&rows.outputs, from.storage, whole)?;
    let material = figures::Material {
        summary,
        documents: &documents,
        outputs: &rows.outputs,
        jobs: &rows.jobs,
        files: &rows.files,
        decisions: &rows.decisions,
        iovs: &rows.iovs,
        payloads: &rows.payloads,
        quality: &rows.quality,
        tracks,
    };
    let made = figures::of_act(&material);
    summary.figures = made;
    for name in figures::SHOWN_BESIDE {
        if let Some(sum) = documents.prompt(name) {
            summary.monitors.insert(name, sum);
        }
    }
    Ok(())
}

fn add_physics(
    summary: &mut ActSummary,
    rows: &Rows,
    tracks: &[CorrectedTrack],
    play: &Play,
    from: &From<'_>,
) -> Result<(), String> {
    let of_tag = |tag: &str| {
        let tag = tag.to_owned();
        rows.iovs
            .iter()
            .filter(move |iov| iov.tag.as_str().trim_end_matches("/SIM") == tag)
    };
    if let Some((spot, residual)) = physics::beamspot(tracks, of_tag("beamspot").count() as u64) {
        summary.beamspot = Some(spot);
        summary.residual = Some(residual);
    }
    if let Some(iov) = of_tag("scale").max_by_key(|iov| (iov.since, iov.sequence)) {
        let payload = from
            .catalogue
            .payload(&iov.hash)
            .map_err(|error| error.to_string())?;
        if let Some((peak, scale)) = payload.and_then(|payload| physics::scale(&payload.text)) {
            summary.z_peak = Some(peak);
            summary.scale = Some(scale);
        }
    }
    if let Some(truth) = &play.truth {
        let (table, pulls) = physics::against_truth(truth, &rows.decisions, &rows.iovs)?;
        summary.truth = table;
        summary.pulls = pulls;
    }
    Ok(())
}

fn run_summary(
    run: &Run,
    counts: RunCounts,
    rows: &Rows,
    from: &From<'_>,
) -> Result<RunSummary, String> {
    let number = run.number;
    let outputs: Vec<&Output> = rows.outputs.iter().filter(|o| o.run == number).collect();
    let mut events_by_dataset: BTreeMap<String, u64> = BTreeMap::new();
    for output in &outputs {
        if matches!(output.label.as_str(), "RECO" | "ALCA" | "AOD" | "ACCOUNT") {
            *events_by_dataset
                .entry(output.dataset.to_string())
                .or_default() += output.events.0;
        }
    }
    let mut datasets: Vec<String> = outputs.iter().map(|o| o.dataset.to_string()).collect();
    datasets.sort();
    datasets.dedup();
    let quality = rows.quality.iter().find(|quality| quality.run == number);
    let critical = quality.map(|q| q.at.since(q.last_file_seen_at).as_secs_f64());
    let programs = quality.map(|q| q.chain.as_secs_f64());
    let mut units = RunUnits::default();
    for job in rows.jobs.iter().filter(|job| job.run == number) {
        units.add(job);
    }
    // Files without sidecars announce no events: what was played stands.
    let played = from
        .played
        .runs
        .iter()
        .find(|played| played.run == number.0);
    let events_in = match played {
        Some(played) if counts.events_in == 0 => played.events,
        _ => counts.events_in,
    };
    let express = express(rows, run);
    let witnesses = from.catalogue.witnesses(number);
    let witnesses = witnesses.map_err(|error| error.to_string())?;
    Ok(RunSummary {
        run: number.0,
        files: counts.files,
        lumis: lumis_spoken_of(&witnesses),
        events_in,
        events_out: outputs
            .iter()
            .filter(|output| matches!(output.label.as_str(), "AOD" | "ACCOUNT"))
            .map(|output| output.events.0)
            .sum(),
        events_by_dataset,
        express_p50_s: quantile(&express.latencies_s, 0.5),
        express_p99_s: quantile(&express.latencies_s, 0.99),
        budget_s: express.budget_s,
        missed: express.missed,
        critical_path_s: critical,
        program_s: programs,
        overhead_s: critical
            .zip(programs)
            .map(|(critical, programs)| critical - programs),
        units: units.rows(),
        photomultipliers: telescope::photomultipliers(&outputs, from.storage)?,
        constants: constants(rows, run),
        verdict: quality
            .map_or("none", |quality| quality.verdict.as_str())
            .to_owned(),
        tests: quality.map_or_else(Vec::new, tests),
        refused: quality.and_then(|quality| quality.refused.clone()),
        datasets,
    })
}

fn tests(quality: &RunQuality) -> Vec<TestSummary> {
    let test = |answer: &model::quality::TestAnswer| TestSummary {
        name: answer.name.clone(),
        histogram: answer.histogram.clone(),
        status: answer.status,
        message: answer.message.clone(),
    };
    quality.tests.iter().map(test).collect()
}

struct Express {
    /// Sorted.
    latencies_s: Vec<f64>,
    budget_s: Option<f64>,
    missed: u64,
}

/// Express of a run: from the earliest file seen to the outputs recorded, job by job.
fn express(rows: &Rows, run: &Run) -> Express {
    let jobs: Vec<&Job> = rows
        .jobs
        .iter()
        .filter(|job| job.run == run.number && job.task.pipeline.as_str() == "express")
        .collect();
    let took = |job: &&Job| {
        job.stamps
            .done
            .map(|done| done.since(job.stamps.seen).as_secs_f64())
    };
    let mut latencies_s: Vec<f64> = jobs.iter().filter_map(took).collect();
    latencies_s.sort_by(f64::total_cmp);
    let budget = |job: &&Job| job.deadline.map(|d| d.since(job.stamps.seen).as_secs_f64());
    let missed =
        |job: &&&Job| matches!((job.deadline, job.stamps.done), (Some(d), Some(at)) if at > d);
    Express {
        latencies_s,
        budget_s: jobs.first().and_then(budget),
        missed: jobs.iter().filter(missed).count() as u64,
    }
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (q * last as f64).ceil() as usize;
    sorted.get(at.min(last)).copied().unwrap_or(0.0)
}

fn constants(rows: &Rows, run: &Run) -> Vec<ConstantSummary> {
    let of_run = rows
        .decisions
        .iter()
        .filter(|decision| decision.run == run.number);
    of_run
        .map(|decision| {
            let in_force = rows
                .iovs
                .iter()
                .filter(|iov| iov.tag == decision.tag && physics::first_run(iov) <= run.number.0)
                .max_by_key(|iov| (iov.since, iov.sequence));
            let numbers = |value: fn(&model::conditions::MeasuredQuantity) -> i64| {
                let number = |q: &model::conditions::MeasuredQuantity| {
                    (q.name.clone(), Value::from(value(q) as f64 * 1e-9))
                };
                decision
                    .quantities
                    .iter()
                    .map(number)
                    .collect::<Map<_, _>>()
            };
            ConstantSummary {
                tag: decision.tag.to_string(),
                since: in_force.map(physics::first_run),
                values: numbers(|quantity| quantity.value_nano),
                errors: numbers(|quantity| quantity.error_nano),
                gate: decision.outcome.as_str().to_owned(),
                reason: decision.reason.clone(),
            }
        })
        .collect()
}

/// How many lumis somebody spoke of.
fn lumis_spoken_of(witnesses: &[Witness]) -> u64 {
    let lumis = witnesses.iter().filter_map(|witness| match &witness.says {
        Says::Lumis { first, last, .. } => Some(first.0..=last.0),
        Says::LostFile { .. } | Says::End { .. } => None,
    });
    lumis.flatten().collect::<BTreeSet<u32>>().len() as u64
}
