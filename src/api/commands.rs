//! Commands over HTTP: a run begins, ends, is closed or reopened, lumis and files are declared
//! lost.
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
use model::command::{Command, Declared, Intent, Order, Preview, Reply};
use model::ids::{LumiNumber, RunNumber};
use model::names::{DataLabel, FileName, StreamName};
use model::run::RunType;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use view::Answer;
use view::answer::{PreviewView, ReplyView};
use view::conditions::PutReplyView;
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

/// What closes a run, or a part of it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseBody {
    stream: Option<String>,
    first_lumi: Option<u32>,
    last_lumi: Option<u32>,
    #[serde(rename = "as")]
    declared: Option<String>,
}

/// What is lost.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LostBody {
    run: u32,
    stream: Option<String>,
    first_lumi: u32,
    last_lumi: Option<u32>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    events: u64,
}

const CLOSE_HINT: &str = "send {} for everything that is open, or {\"stream\": \"Muons\", \
                          \"first_lumi\": 5, \"last_lumi\": 9, \"as\": \"lost\"}; as may be lost, \
                          empty or here";
const LOST_HINT: &str = "send {\"run\": 148031, \"stream\": \"Muons\", \"first_lumi\": 5, \
                         \"last_lumi\": 9}, or with names of files of one lumi";
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
        Some((run, "close")) => {
            let run = run_number(number("run", run)?)?;
            let body: CloseBody = if body.is_empty() {
                CloseBody::default()
            } else {
                json(&body, CLOSE_HINT)?
            };
            ask(parts, manner.order(close(run, body)?)?).await
        }
        Some((run, "reopen")) => {
            let run = run_number(number("run", run)?)?;
            ask(parts, manner.order(Command::RunReopen { run })?).await
        }
        _ => Err(unknown_verb(
            "run",
            &segment,
            "POST /api/v1/runs/{run}:stop, :close or :reopen",
        )),
    }
}

fn close(run: RunNumber, body: CloseBody) -> Result<Command, Trouble> {
    let declared = match body.declared.as_deref() {
        None => Declared::Lost,
        Some(text) => Declared::parse(text).ok_or_else(|| {
            let detail = format!("\"{text}\" is nothing to declare");
            Trouble::bad_request(detail, "use lost, empty or here")
        })?,
    };
    let lumis = match (body.first_lumi, body.last_lumi) {
        (None, None) => None,
        (Some(first), last) => Some((LumiNumber(first), LumiNumber(last.unwrap_or(first)))),
        (None, Some(_)) => {
            let detail = "a range of lumis has a first one";
            return Err(Trouble::bad_request(detail, CLOSE_HINT));
        }
    };
    Ok(Command::RunClose {
        run,
        stream: body.stream.as_deref().map(StreamName::new),
        lumis,
        declared,
    })
}

/// `POST /api/v1/files:declare-lost`.
pub(crate) async fn declare_lost(
    State(parts): State<ApiParts>,
    Asked(manner): Asked<Manner>,
    body: axum::body::Bytes,
) -> Outcome {
    let body: LostBody = json(&body, LOST_HINT)?;
    let (first, last) = (body.first_lumi, body.last_lumi.unwrap_or(body.first_lumi));
    let command = Command::FileDeclareLost {
        run: run_number(body.run)?,
        stream: body.stream.as_deref().map(StreamName::new),
        lumis: (LumiNumber(first), LumiNumber(last)),
        names: body.names.iter().map(|name| FileName::new(name)).collect(),
        events: body.events,
    };
    ask(parts, manner.order(command)?).await
}

/// `POST /api/v1/config:reload`.
pub(crate) async fn reload(State(parts): State<ApiParts>, Asked(manner): Asked<Manner>) -> Outcome {
    ask(parts, manner.order(Command::ConfigReload)?).await
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
    let (intent, hint) = (order.intent, where_to_look(&order.command));
    let reply = tokio::task::spawn_blocking(move || door.ask(order))
        .await
        .map_err(|error| Trouble::bug(error.to_string()))??;
    match reply {
        // What is so already: an order would change nothing.
        Reply::Done(done) if intent == Intent::Preview => {
            let preview = PreviewView {
                would: format!("nothing: {done}"),
                count: 0,
                objects: Vec::new(),
            };
            Ok(Json(Answer::new(parts.status.now(), preview)).into_response())
        }
        Reply::Done(done) => {
            Ok(Json(Answer::new(parts.status.now(), ReplyView { done })).into_response())
        }
        Reply::Jobs(reply) => {
            let reply = JobsReplyView::from(&reply);
            Ok(Json(Answer::new(parts.status.now(), reply)).into_response())
        }
        Reply::Put(reply) if intent == Intent::Preview => {
            let preview = PreviewView {
                would: format!("nothing: {}", reply.done),
                count: 0,
                objects: Vec::new(),
            };
            Ok(Json(Answer::new(parts.status.now(), preview)).into_response())
        }
        Reply::Put(reply) => {
            let reply = PutReplyView::from(&reply);
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
        Reply::Refused(why) => Err(Trouble::refused(why, &hint)),
    }
}

/// What shows why an order was refused.
fn where_to_look(command: &Command) -> String {
    let run = match command {
        Command::RunStart { run, .. }
        | Command::RunStop { run, .. }
        | Command::RunClose { run, .. }
        | Command::RunReopen { run }
        | Command::FileDeclareLost { run, .. } => run,
        Command::Jobs(asked) => {
            return match asked.which.job {
                Some(job) => format!("`tier0 job show {job}` shows how the job stands"),
                None => "`tier0 job ls` shows how jobs stand".to_owned(),
            };
        }
        Command::Put(put) => {
            let tag = &put.tag;
            return format!(
                "`tier0 calib iovs {tag}` shows what it has, `tier0 calib tags` all tags"
            );
        }
        Command::Protect { .. } | Command::Import(_) => {
            return "`tier0 calib tags` shows all tags".to_owned();
        }
        Command::Hold { tag, .. } | Command::Accept { tag, .. } => {
            return format!(
                "`tier0 calib iovs {tag}` shows what it has, `tier0 calib tags` all tags"
            );
        }
        Command::Rule { .. } => return "`tier0 calib show` lists the gates".to_owned(),
        Command::ConfigReload => {
            return "mend the configuration and reload it; `tier0 check` tells the same, and the \
                    one before stays in force"
                .to_owned();
        }
    };
    format!("`tier0 why run/{run}` shows how the run stands")
}
