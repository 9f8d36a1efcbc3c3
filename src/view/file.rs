//! An accepted file as strangers see it, how far its source is on its way to removal, and what was
//! set aside instead of being accepted.
//!
//! In: `model::{file, source, arrival}`. Out: [`FileView`], [`SetAsideView`]. Must never show a
//! folder of the machine: names are relative to their profile.

use model::arrival::SetAside;
use model::file::File;
use model::source::{CopyPlace, Evidence, Source};
use serde::{Deserialize, Serialize};

/// One accepted file, or the accepted report of an empty one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    /// Our identity for it.
    pub id: i64,
    /// `accepted`, or `late`: it came after its run was closed and waits for a person.
    pub state: String,
    /// Whose folder it lies in.
    pub profile: String,
    /// Its name relative to that folder.
    pub name: String,
    /// The run.
    pub run: u32,
    /// The lumi.
    pub lumi: u32,
    /// The stream.
    pub stream: String,
    /// `real` or `simulated`.
    pub label: String,
    /// Its size.
    pub bytes: u64,
    /// Events looked at, as its sidecar says.
    pub events_processed: Option<u64>,
    /// Events in it, as its sidecar says.
    pub events: Option<u64>,
    /// Events lost before it was written, as its sidecar says.
    pub events_lost: Option<u64>,
    /// Kind and value, e.g. `adler32:e48c1a2f`.
    pub checksum: Option<String>,
    /// Whether it only reports that the lumi had nothing to write.
    pub empty: bool,
    /// Whether it came after its run was closed: accounted for, not worked on.
    pub late: bool,
    /// The part of its run that it belongs to.
    #[serde(default)]
    pub part: u32,
    /// When it was last written.
    pub modified_at: String,
    /// When the watcher learnt that it is complete.
    pub seen_at: String,
    /// How far its source is on its way to removal; absent in lists, and where it has only landed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceView>,
}

/// How far a source is on its way to removal, with what that rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceView {
    /// `landed`, `copied`, `verified`, `copied-twice`, `verified-twice`, `soaked`, `released`,
    /// `unlinked`; `lost` (gone before there was a good copy), `given-up`.
    pub state: String,
    /// Its size as it was read for the first copy: what every copy must be.
    pub bytes: u64,
    /// Its adler32 as it was read then, eight hex digits.
    pub adler32: String,
    /// Its steps so far, oldest first.
    pub steps: Vec<EvidenceView>,
}

/// One step of a source, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceView {
    /// Which step, from 1.
    pub step: u32,
    /// The state before.
    pub from: String,
    /// The state after.
    pub to: String,
    /// When.
    pub at: String,
    /// Which agent found or decided it.
    pub agent: u16,
    /// In which epoch of it.
    pub epoch: i64,
    /// The person who said so, where one did.
    pub by: Option<String>,
    /// The copy that it is about, 1 or 2.
    pub copy: Option<u32>,
    /// The size that was found.
    pub bytes: Option<u64>,
    /// The adler32 that was found, eight hex digits.
    pub adler32: Option<String>,
    /// How it was learnt: `read while it was copied`, `read back from its storage`, `looked for`,
    /// `decided`, `removed`, `said by a person`.
    pub how: String,
    /// What else was found; empty where nothing.
    pub detail: String,
}

impl SourceView {
    /// A source with its evidence.
    pub fn of(source: &Source, evidence: &[Evidence]) -> Self {
        Self {
            state: source.state.word().to_owned(),
            bytes: source.bytes.0,
            adler32: format!("{:08x}", source.adler32),
            steps: evidence.iter().map(EvidenceView::from).collect(),
        }
    }
}

impl From<&Evidence> for EvidenceView {
    fn from(evidence: &Evidence) -> Self {
        Self {
            step: evidence.step,
            from: evidence.from.clone(),
            to: evidence.to.clone(),
            at: evidence.at.to_string(),
            agent: evidence.agent.0,
            epoch: evidence.epoch.0,
            by: evidence.by.clone(),
            copy: evidence.copy.map(CopyPlace::number),
            bytes: evidence.bytes.map(|bytes| bytes.0),
            adler32: evidence.adler32.map(|sum| format!("{sum:08x}")),
            how: evidence.how.as_str().to_owned(),
            detail: evidence.detail.clone(),
        }
    }
}

impl From<&File> for FileView {
    fn from(file: &File) -> Self {
        let arrival = &file.arrival;
        Self {
            id: file.id.0,
            state: if file.late { "late" } else { "accepted" }.to_owned(),
            profile: arrival.profile.to_string(),
            name: arrival.name.to_string(),
            run: arrival.run.0,
            lumi: arrival.lumi.0,
            stream: arrival.stream.to_string(),
            label: arrival.label.to_string(),
            bytes: arrival.bytes.0,
            events_processed: arrival.counts.map(|counts| counts.processed),
            events: arrival.counts.map(|counts| counts.accepted),
            events_lost: arrival.counts.map(|counts| counts.errors),
            checksum: arrival.checksum.map(|checksum| checksum.to_string()),
            empty: arrival.empty,
            late: file.late,
            part: file.part,
            modified_at: arrival.mtime.to_string(),
            seen_at: arrival.seen_at.to_string(),
            source: None,
        }
    }
}

/// Something in a spool that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAsideView {
    /// Whose folder it lies in.
    pub profile: String,
    /// Its name; bytes that are no text are shown escaped.
    pub name: String,
    /// Why, as a stable code, e.g. `size-differs`.
    pub refusal: String,
    /// What was tried, on what, why it failed, what to do.
    pub detail: String,
    /// When it was noticed first.
    pub at: String,
}

impl From<&SetAside> for SetAsideView {
    fn from(aside: &SetAside) -> Self {
        Self {
            profile: aside.profile.to_string(),
            name: aside.name.to_string(),
            refusal: aside.refusal.code().to_owned(),
            detail: aside.detail.clone(),
            at: aside.at.to_string(),
        }
    }
}
