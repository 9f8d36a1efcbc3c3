//! Gates over HTTP: what each task's release says of the runs at work, and people's word on it.
//!
//! In: requests below `/api/v1/gates`. Out: the engine's own picture, never a copy that lags. Must
//! never answer a ruling before it is durable.

use crate::ApiParts;
use crate::commands::{ask, json, run_number, unknown_verb};
use crate::problem::{Outcome, Trouble};
use crate::query::{Asked, Manner, Nothing};
use crate::reads::list;
use axum::extract::{Path, State};
use model::command::Command;
use model::names::{TagName, TaskPath};
use model::ruling::RulingKind;
use serde::Deserialize;
use view::gate::GateView;

/// What a ruling is on.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleBody {
    run: Option<u32>,
}

const RULE_HINT: &str = "send {\"run\": 148031} as application/json, or {} for every run";
const RULE_PATHS: &str = "POST /api/v1/gates/{pipeline}.{task}:hold or :accept, or of a tag";

/// `GET /api/v1/gates`.
pub(crate) async fn gates(
    State(parts): State<ApiParts>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let door = parts.commands.clone();
    let gates = tokio::task::spawn_blocking(move || door.gates())
        .await
        .map_err(|error| Trouble::bug(error.to_string()))??;
    Ok(list(
        &parts,
        gates.iter().map(GateView::from).collect(),
        None::<i64>,
    ))
}

/// `POST /api/v1/gates/{task}:hold|accept`, and the same of a tag: what gates would put into it is
/// held, or refused for a run; or put, and where nothing is held, what was made with other
/// constants than those in force is made again. Accepting a task for every run leaves it to its
/// rule; accepting it for one run lets that run go now.
pub(crate) async fn gate_verb(
    State(parts): State<ApiParts>,
    Path(segment): Path<String>,
    Asked(manner): Asked<Manner>,
    body: axum::body::Bytes,
) -> Outcome {
    let unknown = || unknown_verb("gate", &segment, RULE_PATHS);
    let (name, verb) = segment.split_once(':').ok_or_else(unknown)?;
    let RuleBody { run } = if body.is_empty() {
        RuleBody::default()
    } else {
        json(&body, RULE_HINT)?
    };
    let run = run.map(run_number).transpose()?;
    let Some((pipeline, task)) = name.split_once('.') else {
        // What is no task is a tag.
        let tag = TagName::new(name);
        let command = match verb {
            "accept" => Command::Accept { tag, run },
            "hold" => Command::Hold { tag, run },
            _ => return Err(unknown()),
        };
        return ask(parts, manner.order(command)?).await;
    };
    let kind = match (verb, run) {
        ("hold", _) => RulingKind::Held,
        ("accept", Some(_)) => RulingKind::Accepted,
        ("accept", None) => RulingKind::Lifted,
        _ => return Err(unknown()),
    };
    let task = TaskPath::new(pipeline, task);
    ask(parts, manner.order(Command::Rule { task, run, kind })?).await
}
