//! A register as one JSON document, to be carried elsewhere and back without loss.
//!
//! In: a register, or a document with a way to hash. Out: the other. Names are CondDB's where it
//! has them (cms-sw/cmssw:CondCore/Utilities/python/conddblib.py); times are microseconds UTC
//! since 1970. Reading a document twice does no more than reading it once, and one that contradicts
//! what is here, or itself, changes nothing.

use super::register::{GlobalTag, Register};
use super::{Insertion, Refusal, rule};
use model::conditions::{ConditionsTag, Protection, Since, Synchronisation, TimeType};
use model::time::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the document.
pub const SCHEMA: u32 = 1;

/// All of a register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
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

/// How many rows a document brought that were not here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// Tags.
    pub tags: usize,
    /// Intervals.
    pub iovs: usize,
    /// Payloads.
    pub payloads: usize,
    /// Global tags.
    pub global_tags: usize,
}

impl Register {
    /// All of it.
    pub fn export(&self) -> Document {
        let tag = |tag: &ConditionsTag| TagRow {
            name: tag.name.to_string(),
            time_type: tag.time_type,
            object_type: tag.object_type.clone(),
            synchronization: tag.synchronisation,
            description: tag.description.clone(),
            end_of_validity: tag.end_of_validity.map(|end| end.0),
            insertion_time_us: tag.inserted_at.as_micros(),
            protection_code: u8::from(tag.protection == Protection::Protected),
        };
        let iovs = self.tags.iter().flat_map(|(name, kept)| {
            let history = kept.index.history().into_iter();
            history.map(|(since, row)| IovRow {
                tag_name: name.to_string(),
                since: since.0,
                insertion_time_us: row.inserted_us,
                sequence: row.sequence,
                payload_hash: row.payload.clone(),
            })
        });
        let payload = |(hash, data): (&String, &String)| PayloadRow {
            hash: hash.clone(),
            data: data.clone(),
        };
        let global = |global: &GlobalTag| GlobalTagRow {
            name: global.name.clone(),
            description: global.description.clone(),
            release: global.release.clone(),
            snapshot_time_us: global.snapshot_at.as_micros(),
            insertion_time_us: global.inserted_at.as_micros(),
        };
        let map = self.global_tags.values().flat_map(|global| {
            global.tags.iter().map(|((record, label), tag)| MapRow {
                global_tag_name: global.name.clone(),
                record: record.clone(),
                label: label.clone(),
                tag_name: tag.to_string(),
            })
        });
        Document {
            schema: SCHEMA,
            tags: self.tags.values().map(|kept| tag(&kept.tag)).collect(),
            iovs: iovs.collect(),
            payloads: self.payloads.iter().map(payload).collect(),
            global_tags: self.global_tags.values().map(global).collect(),
            global_tag_map: map.collect(),
        }
    }

    /// Takes a document in, all of it or nothing; `sha256` hashes a payload, in hex. What was
    /// inserted elsewhere keeps its time: since rules were kept there.
    pub fn import(
        &mut self,
        document: &Document,
        sha256: impl Fn(&str) -> String,
    ) -> Result<Brought, Refusal> {
        let mut after = self.clone();
        let mut brought = Brought::default();
        for payload in &document.payloads {
            let is = sha256(&payload.data);
            if is != payload.hash {
                let hash = payload.hash.clone();
                return Err(Refusal::OtherPayload { hash, is });
            }
            let known = after.payloads.insert(is, payload.data.clone());
            brought.payloads += usize::from(known.is_none());
        }
        for row in &document.tags {
            brought.tags += usize::from(after.make(tag_of(row))?);
        }
        for row in &document.iovs {
            brought.iovs += usize::from(after.take(row)?);
        }
        let mut maps: BTreeMap<&str, Vec<&MapRow>> = BTreeMap::new();
        for row in &document.global_tag_map {
            maps.entry(&row.global_tag_name).or_default().push(row);
        }
        for row in &document.global_tags {
            let map = maps.remove(row.name.as_str()).unwrap_or_default();
            let tags = map.into_iter().map(|row| {
                let key = (row.record.clone(), row.label.clone());
                (key, row.tag_name.as_str().into())
            });
            brought.global_tags += usize::from(after.make_global(GlobalTag {
                name: row.name.clone(),
                description: row.description.clone(),
                release: row.release.clone(),
                snapshot_at: Moment::from_micros(row.snapshot_time_us),
                inserted_at: Moment::from_micros(row.insertion_time_us),
                tags: tags.collect(),
            })?);
        }
        if let Some(name) = maps.into_keys().next() {
            let name = name.to_owned();
            return Err(Refusal::NoGlobalTag { name });
        }
        *self = after;
        Ok(brought)
    }

    /// Keeps an interval of elsewhere; false when it is here already.
    fn take(&mut self, row: &IovRow) -> Result<bool, Refusal> {
        let name = row.tag_name.as_str().into();
        let Some(kept) = self.tags.get_mut(&name) else {
            return Err(Refusal::NoTag { tag: name });
        };
        let since = Since(row.since);
        rule::is_since(&kept.tag, since)?;
        let shown = || since.shown(kept.tag.time_type);
        if !self.payloads.contains_key(&row.payload_hash) {
            return Err(Refusal::NoPayload {
                tag: name,
                since: shown(),
                hash: row.payload_hash.clone(),
            });
        }
        let place = (row.insertion_time_us, row.sequence);
        let mut known = kept.index.with_since(since).iter();
        let known = known.find(|known| (known.inserted_us, known.sequence) == place);
        if let Some(known) = known {
            return if known.payload == row.payload_hash {
                Ok(false)
            } else {
                Err(Refusal::OtherInsertion {
                    tag: name,
                    since: shown(),
                    inserted_us: row.insertion_time_us,
                })
            };
        }
        let insertion = Insertion {
            inserted_us: row.insertion_time_us,
            sequence: row.sequence,
            payload: row.payload_hash.clone(),
        };
        kept.index.insert(since, insertion);
        Ok(true)
    }
}

fn tag_of(row: &TagRow) -> ConditionsTag {
    ConditionsTag {
        name: row.name.as_str().into(),
        time_type: row.time_type,
        object_type: row.object_type.clone(),
        synchronisation: row.synchronization,
        description: row.description.clone(),
        protection: match row.protection_code {
            0 => Protection::Open,
            _ => Protection::Protected,
        },
        end_of_validity: row.end_of_validity.map(Since),
        held: None,
        inserted_at: Moment::from_micros(row.insertion_time_us),
    }
}
