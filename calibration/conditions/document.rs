//! A register as one document, to be carried elsewhere and back without loss.
//!
//! In: a register, or a document. Out: the other. Reading a document twice does no more than
//! reading it once, and one that contradicts what is here, or itself, changes nothing.

use super::register::Register;
use super::{Insertion, Refusal, rule};
use model::conditions::{ConditionsTag, GlobalTag, Protection, RecordTag, Since};
use model::conditions_document::{
    ConditionsDocument as Document, IovRow, MapRow, PayloadRow, TagRow,
};
use model::time::Moment;
use std::collections::BTreeMap;

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
        Document::of(
            self.tags.values().map(|kept| &kept.tag),
            iovs,
            self.payloads.iter().map(payload),
            self.global_tags.values(),
        )
    }

    /// Takes a document in, all of it or nothing. What was inserted elsewhere keeps its time: since
    /// rules were kept there. Whoever calls has seen that payloads are what their hashes say.
    pub fn import(&mut self, document: &Document) -> Result<Brought, Refusal> {
        let mut after = self.clone();
        let mut brought = Brought::default();
        for payload in &document.payloads {
            let hash = payload.hash.clone();
            let known = after.payloads.insert(hash, payload.data.clone());
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
            let tags = map.into_iter().map(|row| RecordTag {
                record: row.record.clone(),
                label: row.label.clone(),
                tag: row.tag_name.as_str().into(),
            });
            let mut tags: Vec<RecordTag> = tags.collect();
            tags.sort_unstable();
            brought.global_tags += usize::from(after.make_global(GlobalTag {
                name: row.name.clone(),
                description: row.description.clone(),
                release: row.release.clone(),
                snapshot_at: Moment::from_micros(row.snapshot_time_us),
                inserted_at: Moment::from_micros(row.insertion_time_us),
                tags,
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
