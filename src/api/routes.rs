//! The table of paths. What is not in it is answered with a problem that says where the table is.

use crate::guard::{Guarded, guard};
use crate::problem::{Outcome, Trouble};
use crate::{ApiParts, commands, conditions, datasets, elements, files, gates, job_verbs, reads};
use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};

/// A body holds one small object.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What `GET /api/v1` answers.
const INDEX: &[&str] = &[
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /api/v1/runs?after&limit",
    "GET /api/v1/runs/{run}",
    "POST /api/v1/runs {run, run_type, label}",
    "POST /api/v1/runs/{run}:stop {last_lumi}",
    "POST /api/v1/runs/{run}:close {stream, first_lumi, last_lumi, as}",
    "POST /api/v1/runs/{run}:reopen",
    "GET /api/v1/files?run&stream&state&after&limit",
    "POST /api/v1/files:declare-lost {run, stream, first_lumi, last_lumi, names, events}",
    "GET /api/v1/files/{id}",
    "GET /api/v1/files/{id}/trace",
    "GET /api/v1/files/{id}/lineage",
    "GET /api/v1/files/{id}/verification",
    "GET /api/v1/jobs?run&state&after&limit",
    "GET /api/v1/jobs/{id}",
    "POST /api/v1/jobs/{id}:retry|split|park|release|cancel?dry_run",
    "POST /api/v1/jobs:retry|split|park|release|cancel?dry_run&expect_count \
     {run, task, state, class, fingerprint}",
    "GET /api/v1/latency?run",
    "GET /api/v1/tags",
    "GET /api/v1/tags:export",
    "POST /api/v1/tags:import?dry_run&expect_count",
    "POST /api/v1/tags:protect?dry_run {tag, protected}",
    "GET /api/v1/global-tags",
    "GET /api/v1/iovs?tag&run&as_of",
    "POST /api/v1/iovs {tag, since, payload, time_type, synchronisation, object_type, description}",
    "GET /api/v1/payloads/{hash}",
    "GET /api/v1/calibrations?tag&run",
    "GET /api/v1/dqm?run",
    "GET /api/v1/dqm/objects?run&name",
    "GET /api/v1/good-runs?label",
    "GET /api/v1/datasets?run&after&limit",
    "GET /api/v1/datasets/{dataset}",
    "GET /api/v1/datasets/{dataset}/lumis?run&per&after&limit",
    "GET /api/v1/datasets/{dataset}/lineage?run",
    "GET /api/v1/blocks?run&dataset&state&after&limit",
    "GET /api/v1/outputs?run&dataset&block&job&state&after&limit",
    "GET /api/v1/set-aside",
    "GET /api/v1/alarms?cleared",
    "GET /api/v1/why/{kind}/{id}",
    "GET /api/v1/audit?after&limit",
    "GET /api/v1/gates",
    "POST /api/v1/gates/{pipeline}.{task}:hold|accept {run}",
    "POST /api/v1/config:reload",
    "GET /api/v1/system",
];

/// All paths.
pub(crate) fn router(parts: ApiParts, guarded: Guarded) -> Router {
    let put_iov = post(conditions::put);
    let put_iov = put_iov.layer(DefaultBodyLimit::max(conditions::PUT_BYTES_MAX));
    let import = post(conditions::import);
    let import = import.layer(DefaultBodyLimit::max(conditions::IMPORT_BYTES_MAX));
    let v1 = Router::new()
        .route("/runs", get(reads::runs).post(commands::start_run))
        .route("/runs/{run}", get(reads::run).post(commands::run_verb))
        .route("/files", get(files::files))
        .route("/files/{id}", get(files::file))
        .route("/files/{id}/trace", get(files::trace))
        .route("/files/{id}/lineage", get(files::file_lineage))
        .route("/files/{id}/verification", get(files::verification))
        .route("/files:declare-lost", post(commands::declare_lost))
        .route("/jobs", get(reads::jobs))
        .route("/jobs/{id}", get(reads::job).post(job_verbs::one))
        .route("/jobs:retry", post(job_verbs::retry))
        .route("/jobs:split", post(job_verbs::split))
        .route("/jobs:park", post(job_verbs::park))
        .route("/jobs:release", post(job_verbs::release))
        .route("/jobs:cancel", post(job_verbs::cancel))
        .route("/latency", get(reads::latency))
        .route("/tags", get(conditions::tags))
        .route("/tags:export", get(conditions::export))
        .route("/tags:import", import)
        .route("/tags:protect", post(conditions::protect))
        .route("/global-tags", get(conditions::global_tags))
        .route("/iovs", get(conditions::iovs).merge(put_iov))
        .route("/payloads/{hash}", get(conditions::payload))
        .route("/calibrations", get(reads::calibrations))
        .route("/dqm", get(reads::dqm))
        .route("/dqm/objects", get(elements::object))
        .route("/good-runs", get(reads::good_runs))
        .route("/datasets", get(datasets::datasets))
        .route("/datasets/{dataset}", get(datasets::dataset))
        .route("/datasets/{dataset}/lumis", get(datasets::lumis))
        .route("/datasets/{dataset}/lineage", get(files::dataset_lineage))
        .route("/blocks", get(datasets::blocks))
        .route("/outputs", get(files::outputs))
        .route("/set-aside", get(reads::set_aside))
        .route("/alarms", get(reads::alarms))
        .route("/why/{kind}/{*id}", get(reads::why))
        .route("/audit", get(reads::audit))
        .route("/gates", get(gates::gates))
        .route("/gates/{task}", axum::routing::post(gates::gate_verb))
        .route("/config:reload", axum::routing::post(commands::reload))
        .route("/system", get(reads::system));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1", get(index))
        .nest("/api/v1", v1)
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(guarded, guard))
        .with_state(parts)
}

/// The process answers; nothing else is promised.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Files and commands are taken.
async fn readyz(State(parts): State<ApiParts>) -> Outcome {
    if parts.status.ready() {
        Ok("ready\n".into_response())
    } else {
        Err(Trouble::not_ready())
    }
}

async fn metrics(State(parts): State<ApiParts>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], parts.status.metrics())
}

async fn index() -> impl IntoResponse {
    Json(serde_json::json!({ "schema": view::SCHEMA, "served": INDEX }))
}

async fn unknown_path(uri: Uri) -> Trouble {
    Trouble::unknown_path(uri.path())
}

async fn unknown_method(method: Method, uri: Uri) -> Trouble {
    Trouble::method(method.as_str(), uri.path())
}
