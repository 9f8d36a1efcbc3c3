//! Conditions as one JSON document, to be carried elsewhere and back without loss.
//!
//! Names are CondDB's where it has them (cms-sw/cmssw:CondCore/Utilities/python/conddblib.py);
//! times are microseconds UTC since 1970.

use crate::conditions::{ConditionsTag, GlobalTag, Protection, Synchronisation, TimeType};
use serde::{Deserialize, Serialize};

/// The version of the document.
pub const SCHEMA: u32 = 1;

/// Tags with all their intervals and payloads, and global tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionsDocument {
    /// Its version, [`SCHEMA`].
    pub schema: u32,
    /// CondDB's TAG.
    pub tags: Vec<TagRow>,
    /// CondDB's IOV.
    pub iovs: Vec<IovRow>,
    /// CondDB's PAYLOAD.
    pub payloads: Vec<PayloadRow>,
    /// CondDB's GLOBAL_TAG.
    pub global_tags: Vec<GlobalTagRow>,
    /// CondDB's GLOBAL_TAG_MAP.
    pub global_tag_map: Vec<MapRow>,
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRow {
    /// Its name.
    pub name: String,
    /// What it counts by.
    pub time_type: TimeType,
    /// What its payloads are.
    pub object_type: String,
    /// What it is for.
    pub synchronization: Synchronisation,
    /// In words.
    pub description: String,
    /// Its last since; none for never.
    pub end_of_validity: Option<u64>,
    /// When it was made.
    pub insertion_time_us: i64,
    /// 1 when it takes nothing new.
    pub protection_code: u8,
}

/// An interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IovRow {
    /// Its tag.
    pub tag_name: String,
    /// Where it begins.
    pub since: u64,
    /// When it was inserted.
    pub insertion_time_us: i64,
    /// Orders insertions of one moment.
    pub sequence: i64,
    /// Its payload's sha256 in hex.
    pub payload_hash: String,
}

/// A payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadRow {
    /// sha256 in hex.
    pub hash: String,
    /// The text.
    pub data: String,
}

/// A global tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalTagRow {
    /// Its name.
    pub name: String,
    /// In words.
    pub description: String,
    /// The release it is for.
    pub release: String,
    /// Nothing inserted later counts.
    pub snapshot_time_us: i64,
    /// When it was made.
    pub insertion_time_us: i64,
}

/// A tag of a global tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapRow {
    /// The global tag.
    pub global_tag_name: String,
    /// The record.
    pub record: String,
    /// Its label.
    pub label: String,
    /// The tag.
    pub tag_name: String,
}

impl ConditionsDocument {
    /// Of rows in their order.
    pub fn of<'a>(
        tags: impl IntoIterator<Item = &'a ConditionsTag>,
        iovs: impl IntoIterator<Item = IovRow>,
        payloads: impl IntoIterator<Item = PayloadRow>,
        global_tags: impl IntoIterator<Item = &'a GlobalTag> + Clone,
    ) -> Self {
        let global = |global: &GlobalTag| GlobalTagRow {
            name: global.name.clone(),
            description: global.description.clone(),
            release: global.release.clone(),
            snapshot_time_us: global.snapshot_at.as_micros(),
            insertion_time_us: global.inserted_at.as_micros(),
        };
        let map = |global: &'a GlobalTag| {
            global.tags.iter().map(|one| MapRow {
                global_tag_name: global.name.clone(),
                record: one.record.clone(),
                label: one.label.clone(),
                tag_name: one.tag.to_string(),
            })
        };
        Self {
            schema: SCHEMA,
            tags: tags.into_iter().map(TagRow::from).collect(),
            iovs: iovs.into_iter().collect(),
            payloads: payloads.into_iter().collect(),
            global_tags: global_tags.clone().into_iter().map(global).collect(),
            global_tag_map: global_tags.into_iter().flat_map(map).collect(),
        }
    }

    /// The first payload that is not what its hash says, with what it is; `sha256` hashes in hex.
    pub fn changed_payload(&self, sha256: impl Fn(&str) -> String) -> Option<(&str, String)> {
        let both = self
            .payloads
            .iter()
            .map(|row| (&row.hash, sha256(&row.data)));
        let mut changed = both.filter(|(hash, is)| *hash != is);
        changed.next().map(|(hash, is)| (hash.as_str(), is))
    }
}

impl From<&ConditionsTag> for TagRow {
    fn from(tag: &ConditionsTag) -> Self {
        Self {
            name: tag.name.to_string(),
            time_type: tag.time_type,
            object_type: tag.object_type.clone(),
            synchronization: tag.synchronisation,
            description: tag.description.clone(),
            end_of_validity: tag.end_of_validity.map(|end| end.0),
            insertion_time_us: tag.inserted_at.as_micros(),
            protection_code: u8::from(tag.protection == Protection::Protected),
        }
    }
}
