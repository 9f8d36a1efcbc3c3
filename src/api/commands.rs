//! Commands over HTTP: a run begins, a run ends.
//!
//! In: POST requests. Out: the engine's answer, durable once it is heard. `Idempotency-Key` is
//! accepted and needs no store of its own: every command does no more when it is asked twice. Must
//! never answer before the engine has.

use crate::ApiParts;
use crate::problem::{Outcome, Trouble};
use crate::query::{Asked, Manner, number};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use model::command::{Command, Order, Preview, Reply};
use model::ids::RunNumber;
use model::names::DataLabel;
use model::run::RunType;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use view::Answer;
use view::answer::{PreviewView, ReplyView};
use view::job::JobsReplyView;

/// What begins a run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartBody {
    run: u32,
    run_type: Option<String>,
    label: Option<String>,
}

/// What ends one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StopBody {
    last_lumi: u32,
}

const START_HINT: &str = "send {\"run\": 148031, \"run_type\": \"physics\", \"label\": \"real\"} \
                          as application/json; run_type and label may be left out";
const STOP_HINT: &str = "send {\"last_lumi\": 20} as application/json";

/// `POST /api/v1/runs`.
pub(crate) async fn start_run(
    State(parts): State<ApiParts>,
    Asked(manner): Asked<Manner>,
    body: Result<Json<StartBody>, JsonRejection>,
) -> Outcome {
    let Json(body) = body.map_err(|rejection| {
        Trouble::bad_body(rejection.status(), rejection.body_text(), START_HINT)
    })?;
    let run_type = match body.run_type.as_deref() {
        None => RunType::Physics,
        Some(text) => RunType::parse(text).ok_or_else(|| {
            let detail = format!("\"{text}\" is no type of run");
            Trouble::bad_request(detail, "use physics, cosmics, calibration or test")
        })?,
    };
    let label = match body.label.as_deref() {
        None => DataLabel::Real,
        Some(text) => DataLabel::parse(text).ok_or_else(|| {
            let detail = format!("\"{text}\" is no label");
            Trouble::bad_request(detail, "use real or simulated")
        })?,
    };
    let run = run_number(body.run)?;
    let command = Command::RunStart {
        run,
        run_type,
        label,
    };
    ask(parts, manner.order(command)?).await
}

/// `POST /api/v1/runs/{run}:stop`.
pub(crate) async fn run_verb(
    State(parts): State<ApiParts>,
    Path(segment): Path<String>,
    Asked(manner): Asked<Manner>,
    body: axum::body::Bytes,
) -> Outcome {
    match segment.split_once(':') {
        Some((run, "stop")) => {
            let run = run_number(number("run", run)?)?;
            let StopBody { last_lumi } = json(&body, STOP_HINT)?;
            let command = Command::RunStop { run, last_lumi };
            ask(parts, manner.order(command)?).await
        }
        _ => Err(unknown_verb(
            "run",
            &segment,
            "POST /api/v1/runs/{run}:stop",
        )),
    }
}

pub(crate) fn unknown_verb(kind: &str, segment: &str, known: &str) -> Trouble {
    Trouble::bad_request(format!("\"{segment}\" names no verb of a {kind}"), known)
}

pub(crate) fn run_number(run: u32) -> Result<RunNumber, Trouble> {
    if run == 0 {
        return Err(Trouble::bad_request(
            "run 0 does not exist",
            "runs are numbered from 1",
        ));
    }
    Ok(RunNumber(run))
}

pub(crate) fn json<T: DeserializeOwned>(body: &[u8], hint: &str) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| {
        Trouble::bad_body(axum::http::StatusCode::BAD_REQUEST, error.to_string(), hint)
    })
}

/// Hands a command over and waits for the answer, on a thread where waiting is allowed.
pub(crate) async fn ask(parts: ApiParts, order: Order) -> Outcome {
    let door = parts.commands.clone();
    let reply = tokio::task::spawn_blocking(move || door.ask(order))
        .await
        .map_err(|error| Trouble::bug(error.to_string()))??;
    match reply {
        Reply::Done(done) => {
            Ok(Json(Answer::new(parts.status.now(), ReplyView { done })).into_response())
        }
        Reply::Jobs(reply) => {
            let reply = JobsReplyView::from(&reply);
            Ok(Json(Answer::new(parts.status.now(), reply)).into_response())
        }
        Reply::Would(Preview {
            would,
            count,
            objects,
        }) => {
            let preview = PreviewView {
                would,
                count,
                objects,
            };
            Ok(Json(Answer::new(parts.status.now(), preview)).into_response())
        }
        Reply::Refused(why) => Err(Trouble::refused(why)),
    }
}
