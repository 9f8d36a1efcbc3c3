//! Conditions over HTTP: tags, intervals of validity as they are or were, constants, and constants
//! that are put into tags.
//!
//! In: requests below `/api/v1/tags`, `/global-tags`, `/iovs` and `/payloads`. Out: rows of the
//! catalogue, or the engine's answer. Must never answer a put before it is durable.

use crate::ApiParts;
use crate::commands::{ask as ask_engine, json};
use crate::problem::{Outcome, Trouble};
use crate::query::{Asked, Manner, Nothing, OfIovs};
use crate::reads::{ask, list, one};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use model::command::{Command, ConstantPut, NewTag};
use model::conditions::{
    ConditionsPayload, ConditionsTag, Iov, Protection, Since, Synchronisation, TimeType,
};
use model::conditions_document::{ConditionsDocument, IovRow, PayloadRow};
use model::ids::RunNumber;
use model::names::TagName;
use model::run::Run;
use model::time::Moment;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use view::conditions::{GlobalTagView, IovView, PayloadView, tags_of};

/// A constant as text and what goes with it: escapes may make a text twice as long, seldom more.
pub(crate) const PUT_BYTES_MAX: usize = 1 << 20;

/// A document of conditions: a hundred thousand intervals are some twenty of these.
pub(crate) const IMPORT_BYTES_MAX: usize = 256 << 20;

/// A tag that takes no new intervals, or does again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProtectBody {
    tag: String,
    protected: bool,
}

/// A constant for a tag.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBody {
    tag: String,
    since: u64,
    payload: String,
    time_type: Option<String>,
    synchronisation: Option<String>,
    object_type: Option<String>,
    description: Option<String>,
}

const PUT_HINT: &str = "send {\"tag\": \"beamspot\", \"since\": 402144, \"payload\": \"the text that \
                        programs read\"} as application/json, and \"synchronisation\" to make a tag, \
                        \"time_type\" where it counts by lumi or time";

/// Longest text beside a payload.
const WORDS_BYTES_MAX: usize = 500;

/// `GET /api/v1/tags`.
pub(crate) async fn tags(
    State(parts): State<ApiParts>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let rows = ask(&parts, |catalogue| {
        let (tags, iovs) = (catalogue.tags()?, catalogue.iovs()?);
        Ok(tags_of(&tags, &iovs, &catalogue.decisions()?))
    })
    .await?;
    Ok(list(&parts, rows, None::<i64>))
}

/// `GET /api/v1/global-tags`.
pub(crate) async fn global_tags(
    State(parts): State<ApiParts>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let rows = ask(&parts, |catalogue| Ok(catalogue.global_tags()?)).await?;
    let rows = rows.iter().map(GlobalTagView::from).collect();
    Ok(list(&parts, rows, None::<i64>))
}

/// `GET /api/v1/tags:export`: everything, as one document of its own.
pub(crate) async fn export(
    State(parts): State<ApiParts>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    let document = ask(&parts, |catalogue| {
        let (tags, iovs) = (catalogue.tags()?, catalogue.iovs()?);
        let hashes: BTreeSet<&str> = iovs.iter().map(|iov| iov.hash.as_str()).collect();
        let mut payloads = Vec::new();
        for hash in hashes {
            payloads.extend(catalogue.payload(hash)?.map(|payload| PayloadRow {
                hash: payload.hash,
                data: payload.text,
            }));
        }
        let row = |iov: &Iov| IovRow {
            tag_name: iov.tag.to_string(),
            since: iov.since.0,
            insertion_time_us: iov.inserted_at.as_micros(),
            sequence: iov.sequence,
            payload_hash: iov.hash.clone(),
        };
        // Tags that tasks measure have no row of their own here; elsewhere they need one.
        let made: BTreeSet<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
        let mut measured: Vec<_> = iovs.iter().map(|iov| iov.tag.clone()).collect();
        measured.dedup();
        measured.retain(|name| !made.contains(name.as_str()));
        let measured: Vec<ConditionsTag> = measured.iter().map(ConditionsTag::measured).collect();
        let mut all: Vec<&ConditionsTag> = tags.iter().chain(&measured).collect();
        all.sort_by_key(|tag| &tag.name);
        let global_tags = catalogue.global_tags()?;
        let iovs = iovs.iter().map(row);
        Ok(ConditionsDocument::of(all, iovs, payloads, &global_tags))
    })
    .await?;
    Ok(Json(document).into_response())
}

/// `POST /api/v1/tags:import`.
pub(crate) async fn import(
    State(parts): State<ApiParts>,
    Asked(manner): Asked<Manner>,
    body: axum::body::Bytes,
) -> Outcome {
    let hint = "send what GET /api/v1/tags:export, or `tier0 calib export`, has given";
    let document: ConditionsDocument = json(&body, hint)?;
    if document.schema != model::conditions_document::SCHEMA {
        let detail = format!(
            "a document of version {} is not known here",
            document.schema
        );
        return Err(Trouble::bad_request(detail, hint));
    }
    let sha256 = |text: &str| format!("{:x}", Sha256::digest(text.as_bytes()));
    if let Some((hash, is)) = document.changed_payload(sha256) {
        let detail = format!(
            "the payload {hash} is not the one of this sha256, that is {is}; it was changed on its \
             way"
        );
        return Err(Trouble::bad_request(detail, "export it again"));
    }
    ask_engine(parts, manner.order(Command::Import(Box::new(document)))?).await
}

/// `POST /api/v1/tags:protect`.
pub(crate) async fn protect(
    State(parts): State<ApiParts>,
    Asked(manner): Asked<Manner>,
    body: axum::body::Bytes,
) -> Outcome {
    let hint = "send {\"tag\": \"beamspot\", \"protected\": true} as application/json";
    let body: ProtectBody = json(&body, hint)?;
    let protect = Command::Protect {
        tag: body.tag.as_str().into(),
        protection: if body.protected {
            Protection::Protected
        } else {
            Protection::Open
        },
    };
    ask_engine(parts, manner.order(protect)?).await
}

/// `GET /api/v1/iovs`: all intervals of one tag or of all, replaced ones too; with a run, only what
/// is in force for it; with a moment, only what was there by then.
pub(crate) async fn iovs(State(parts): State<ApiParts>, Asked(asked): Asked<OfIovs>) -> Outcome {
    let as_of = asked.as_of.as_deref().map(moment).transpose()?;
    let number = asked.run.map(RunNumber);
    let (tags, mut rows, run) = ask(&parts, move |catalogue| {
        let run = number.map(|number| catalogue.run(number)).transpose()?;
        Ok((catalogue.tags()?, catalogue.iovs()?, run.flatten()))
    })
    .await?;
    if let Some(as_of) = as_of {
        // Insertions are shown with microseconds: one that is shown with this moment was there.
        rows.retain(|iov| iov.inserted_at.as_micros() <= as_of.as_micros());
    }
    if let Some(tag) = asked.tag.as_deref() {
        rows.retain(|iov| iov.tag.as_str() == tag);
    }
    let counts = tags.iter().map(|tag| (&tag.name, tag.time_type));
    let counts: BTreeMap<&TagName, TimeType> = counts.collect();
    let by = |tag: &TagName| counts.get(tag).copied().unwrap_or_default();
    if let Some(number) = number {
        rows = in_force(rows, |tag| stretch(by(tag), number, run.as_ref()));
    }
    Ok(list(
        &parts,
        rows.iter()
            .map(|iov| IovView::of(iov, by(&iov.tag)))
            .collect(),
        None::<i64>,
    ))
}

/// From where to where a run is, in the count of a tag: by lumi, all lumis that it may have; by
/// time, the moment when it began, which only of a known run is one.
fn stretch(by: TimeType, number: RunNumber, run: Option<&Run>) -> Option<(Since, Since)> {
    match by {
        TimeType::Run => Some((Since::run(number), Since::run(number))),
        TimeType::Lumi => {
            let lumi = |lumi| Since::lumi(number, lumi);
            Some((lumi(Since::FIRST_LUMI), lumi(u32::MAX)))
        }
        TimeType::Time => run.map(|run| {
            let began = Since::time(run.opened_at);
            (began, began)
        }),
    }
}

/// The intervals in force somewhere in a stretch of their tag's count: the greatest since at or
/// before its beginning, and every later one in it; of equal ones, the last inserted.
fn in_force(rows: Vec<Iov>, stretch: impl Fn(&TagName) -> Option<(Since, Since)>) -> Vec<Iov> {
    let mut newest: BTreeMap<TagName, BTreeMap<Since, Iov>> = BTreeMap::new();
    for iov in rows {
        let of_tag = newest.entry(iov.tag.clone()).or_default();
        let place = |iov: &Iov| (iov.inserted_at.as_micros(), iov.sequence);
        let known = of_tag.get(&iov.since);
        if known.is_none_or(|known| place(known) < place(&iov)) {
            of_tag.insert(iov.since, iov);
        }
    }
    let mut found = Vec::new();
    for (tag, of_tag) in newest {
        let Some((from, to)) = stretch(&tag) else {
            continue;
        };
        let begins = of_tag.range(..=from).next_back();
        let begins = begins.map_or(from, |(since, _)| *since);
        let of_stretch = of_tag
            .into_iter()
            .filter(|(since, _)| (begins..=to).contains(since));
        found.extend(of_stretch.map(|(_, iov)| iov));
    }
    found
}

/// `GET /api/v1/payloads/{hash}`.
pub(crate) async fn payload(
    State(parts): State<ApiParts>,
    Path(hash): Path<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Outcome {
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let detail = format!("\"{hash}\" is no sha256 in hex");
        return Err(Trouble::bad_request(
            detail,
            "`tier0 calib iovs`, or GET /api/v1/iovs, shows the hashes",
        ));
    }
    let asked = hash.to_ascii_lowercase();
    let payload = ask(&parts, move |catalogue| Ok(catalogue.payload(&asked)?))
        .await?
        .ok_or_else(|| {
            let hint = "`tier0 calib iovs`, or GET /api/v1/iovs, shows the hashes";
            Trouble::not_found(format!("payload {hash} is not known here"), hint)
        })?;
    Ok(one(&parts, PayloadView::from(&payload)))
}

/// `POST /api/v1/iovs`.
pub(crate) async fn put(
    State(parts): State<ApiParts>,
    Asked(manner): Asked<Manner>,
    body: axum::body::Bytes,
) -> Outcome {
    let body: PutBody = json(&body, PUT_HINT)?;
    let words = |what: &str, text: Option<String>| {
        let text = text.unwrap_or_default();
        if text.len() > WORDS_BYTES_MAX || text.chars().any(char::is_control) {
            let detail = format!("{what} is longer than {WORDS_BYTES_MAX} bytes or no plain text");
            return Err(Trouble::bad_request(detail, "say it in one line"));
        }
        Ok(text)
    };
    let object_type = words("object_type", body.object_type)?;
    let description = words("description", body.description)?;
    let make = match body.synchronisation.as_deref() {
        None if object_type.is_empty() && description.is_empty() => None,
        None => {
            let detail = "a tag is made with its synchronisation";
            return Err(Trouble::bad_request(detail, &synchronisations()));
        }
        Some(text) => Some(NewTag {
            synchronisation: Synchronisation::parse(text).ok_or_else(|| {
                let detail = format!("\"{text}\" is no synchronisation");
                Trouble::bad_request(detail, &synchronisations())
            })?,
            object_type,
            description,
        }),
    };
    let time_type = body.time_type.as_deref().map(|text| {
        TimeType::parse(text).ok_or_else(|| {
            let detail = format!("\"{text}\" is nothing that a tag counts by");
            let words = TimeType::ALL.map(TimeType::as_str);
            Trouble::bad_request(detail, &format!("use {}", words.join(", ")))
        })
    });
    let hash = format!("{:x}", Sha256::digest(body.payload.as_bytes()));
    let put = ConstantPut {
        tag: body.tag.as_str().into(),
        since: Since(body.since),
        time_type: time_type.transpose()?,
        payload: ConditionsPayload {
            hash,
            text: body.payload,
        },
        make,
    };
    ask_engine(parts, manner.order(Command::Put(Box::new(put)))?).await
}

fn synchronisations() -> String {
    let words = Synchronisation::ALL.map(Synchronisation::as_str);
    format!("use {}", words.join(", "))
}

fn moment(text: &str) -> Result<Moment, Trouble> {
    Moment::parse(text).ok_or_else(|| {
        let detail = format!("\"{text}\" is no moment");
        Trouble::bad_request(detail, "write it in UTC, as 2026-11-27T19:48:13Z")
    })
}
