//! What can be asked of jobs over HTTP: retry, split, park, release, cancel, one by its id or many
//! by a filter.
//!
//! In: POST requests. Out: which jobs are meant, which are left as they are and why, and what was
//! done. `dry_run=true` only looks; `expect_count=N` does nothing if another number of jobs is
//! meant. Must never mean all jobs by an empty filter: the engine refuses it.

use crate::ApiParts;
use crate::commands::{ask, json, unknown_verb};
use crate::problem::{Outcome, Trouble};
use crate::query::{Asked, Manner, number};
use axum::extract::{Path, State};
use model::command::{Command, JobFilter, JobVerb, JobsAsked, SplitInto};
use model::failure::Fingerprint;
use model::ids::{JobId, RunNumber};
use model::job::{ExitClass, JobState};
use serde::Deserialize;

/// Which jobs, and for a split how small.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    run: Option<u32>,
    task: Option<String>,
    state: Option<String>,
    class: Option<String>,
    fingerprint: Option<String>,
    into: Option<String>,
}

const VERBS: &str = "POST /api/v1/jobs/{id}:VERB or /api/v1/jobs:VERB with VERB out of retry, \
                     split, park, release, cancel";
const HINT: &str = "send {\"run\": 148031, \"task\": \"express.reco\", \"state\": \"failed\", \
                    \"class\": \"memory\", \"fingerprint\": \"16 hex digits\"} as \
                    application/json; leave out what does not matter; a split takes \"into\": \
                    \"halves\" or \"singles\"";

/// `POST /api/v1/jobs/{id}:VERB`.
pub(crate) async fn one(
    State(parts): State<ApiParts>,
    Path(segment): Path<String>,
    Asked(manner): Asked<Manner>,
    body: axum::body::Bytes,
) -> Outcome {
    let Some((id, verb)) = segment.split_once(':') else {
        return Err(unknown_verb("job", &segment, VERBS));
    };
    let job = JobId(number("job", id)?);
    let (verb, mut which) = read(verb, &segment, &body)?;
    if which != JobFilter::default() {
        return Err(Trouble::bad_request(
            "a filter and the id of a job are given",
            "name one job by its id, or several by a filter at /api/v1/jobs:VERB",
        ));
    }
    which.job = Some(job);
    let command = Command::Jobs(JobsAsked { verb, which });
    ask(parts, manner.order(command)?).await
}

/// `POST /api/v1/jobs:VERB`, one handler for each verb.
macro_rules! many {
    ($($name:ident)+) => {$(
        pub(crate) async fn $name(
            State(parts): State<ApiParts>,
            Asked(manner): Asked<Manner>,
            body: axum::body::Bytes,
        ) -> Outcome {
            let verb = stringify!($name);
            let (verb, which) = read(verb, verb, &body)?;
            let command = Command::Jobs(JobsAsked { verb, which });
    ask(parts, manner.order(command)?).await
        }
    )+};
}
many! { retry split park release cancel }

/// The verb and the filter.
fn read(verb: &str, segment: &str, body: &[u8]) -> Result<(JobVerb, JobFilter), Trouble> {
    let which: Which = match body {
        [] => Which::default(),
        _ => json(body, HINT)?,
    };
    let wrong = |what: String, use_one: &str| Trouble::bad_request(what, use_one);
    let into = match which.into.as_deref() {
        None | Some("halves") => SplitInto::Halves,
        Some("singles") => SplitInto::Singles,
        Some(other) => {
            return Err(wrong(
                format!("\"{other}\" is no size of a split"),
                "use halves or singles",
            ));
        }
    };
    let verb = match verb {
        "retry" => JobVerb::Retry,
        "split" => JobVerb::Split(into),
        "park" => JobVerb::Park,
        "release" => JobVerb::Release,
        "cancel" => JobVerb::Cancel,
        _ => return Err(unknown_verb("job", segment, VERBS)),
    };
    if let Some(state) = which
        .state
        .as_deref()
        .filter(|s| !JobState::WORDS.contains(s))
    {
        let use_one = format!("use one of {}", JobState::WORDS.join(", "));
        return Err(wrong(format!("\"{state}\" is no state of a job"), &use_one));
    }
    let class = which.class.map(|text| {
        let use_one = "use one of transient, input, memory, time, program, site, lost";
        ExitClass::parse(&text)
            .ok_or_else(|| wrong(format!("\"{text}\" is no exit class"), use_one))
    });
    let fingerprint = which.fingerprint.map(|text| {
        let shown = "`tier0 job show ID` shows those of jobs that failed: 16 hex digits";
        Fingerprint::parse(&text)
            .ok_or_else(|| wrong(format!("\"{text}\" is no fingerprint"), shown))
    });
    let filter = JobFilter {
        job: None,
        run: which.run.map(RunNumber),
        task: which.task,
        state: which.state,
        class: class.transpose()?,
        fingerprint: fingerprint.transpose()?,
    };
    Ok((verb, filter))
}
