//! The register: tags with their intervals, payloads by content, and global tags that name one tag
//! for each record.
//!
//! In come tags, puts and global tags; out come what is in force, what a job is given, and what
//! was inserted when. Every change says whether it was one: what is here already is not kept
//! twice. Must never change or remove what is here.

use super::rule::{self, Limits, Put};
use super::{Index, Insertion, Refusal};
use model::conditions::{ConditionsTag, GlobalTag, Since, TimeType};
use model::ids::{LumiNumber, RunNumber};
use model::names::TagName;
use model::time::Moment;
use serde::Serialize;
use std::collections::BTreeMap;

/// A tag and its intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) tag: ConditionsTag,
    /// Intervals by payload hash.
    pub(crate) index: Index<String>,
}

/// Where a job looks: each tag takes what it counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The run.
    pub run: RunNumber,
    /// The lumi.
    pub lumi: LumiNumber,
    /// The time, of tags that count by it.
    pub at: Moment,
}

impl Point {
    /// In the count of a tag.
    pub fn since(self, time_type: TimeType) -> Since {
        match time_type {
            TimeType::Run => Since::run(self.run),
            TimeType::Lumi => Since::lumi(self.run, self.lumi.0),
            TimeType::Time => Since::time(self.at),
        }
    }
}

/// Conditions as a job is given them, by tag: the document `conditions` of `job.json` without the
/// places on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The global tag.
    pub global_tag: String,
    /// The moment that counts, UTC.
    pub snapshot: String,
    /// What is in force for the job.
    pub tags: BTreeMap<TagName, InForce>,
}

/// One interval in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InForce {
    /// Where it begins.
    pub since: Since,
    /// The payload's sha256 in hex.
    pub hash: String,
}

/// Tags, payloads and global tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    pub(crate) tags: BTreeMap<TagName, Kept>,
    /// Texts by sha256 in hex.
    pub(crate) payloads: BTreeMap<String, String>,
    pub(crate) global_tags: BTreeMap<String, GlobalTag>,
}

impl Register {
    /// What was kept elsewhere as rows: tags with their intervals, payloads by hash, global tags.
    pub fn of(
        tags: impl IntoIterator<Item = (ConditionsTag, Index<String>)>,
        payloads: impl IntoIterator<Item = (String, String)>,
        global_tags: impl IntoIterator<Item = GlobalTag>,
    ) -> Self {
        let kept =
            |(tag, index): (ConditionsTag, Index<String>)| (tag.name.clone(), Kept { tag, index });
        let global = |global: GlobalTag| (global.name.clone(), global);
        Self {
            tags: tags.into_iter().map(kept).collect(),
            payloads: payloads.into_iter().collect(),
            global_tags: global_tags.into_iter().map(global).collect(),
        }
    }

    /// Makes a tag; false when it is here already.
    pub fn make(&mut self, tag: ConditionsTag) -> Result<bool, Refusal> {
        if let Some(known) = self.tags.get(&tag.name) {
            return match other(&known.tag, &tag) {
                Some(what) => Err(Refusal::OtherTag {
                    tag: tag.name,
                    what,
                }),
                None => Ok(false),
            };
        }
        let index = Index::default();
        self.tags.insert(tag.name.clone(), Kept { tag, index });
        Ok(true)
    }

    /// Puts a payload (its sha256 in hex and its text) into a tag, where the tag's rule allows it;
    /// `now` is the moment with what orders insertions of it.
    pub fn put(
        &mut self,
        name: &TagName,
        since: Since,
        (hash, text): (&str, &str),
        now: (Moment, i64),
        limits: &Limits,
    ) -> Result<Put, Refusal> {
        let no_tag = || Refusal::NoTag { tag: name.clone() };
        let kept = self.tags.get_mut(name).ok_or_else(no_tag)?;
        let put = rule::put(&kept.tag, &kept.index, since, hash, limits)?;
        if put.is_new {
            let insertion = Insertion {
                inserted_us: now.0.as_micros(),
                sequence: now.1,
                payload: hash.to_owned(),
            };
            kept.index.insert(put.since, insertion);
            self.payloads.insert(hash.to_owned(), text.to_owned());
        }
        Ok(put)
    }

    /// Makes a global tag of tags that are here; false when it is here already.
    pub fn make_global(&mut self, global: GlobalTag) -> Result<bool, Refusal> {
        if let Some(known) = self.global_tags.get(&global.name) {
            let name = global.name.clone();
            let inserted_at = known.inserted_at;
            let is_same = *known
                == GlobalTag {
                    inserted_at,
                    ..global
                };
            return if is_same {
                Ok(false)
            } else {
                Err(Refusal::OtherGlobalTag { name })
            };
        }
        let keys = global.tags.windows(2);
        let mut twice =
            keys.filter(|two| (&two[0].record, &two[0].label) == (&two[1].record, &two[1].label));
        if let Some(two) = twice.next() {
            return Err(Refusal::RecordTwice {
                name: global.name,
                record: two[0].record.clone(),
            });
        }
        for one in &global.tags {
            self.tag(&one.tag)?;
        }
        self.global_tags.insert(global.name.clone(), global);
        Ok(true)
    }

    /// What a job at a point is given: the interval of every tag of a global tag.
    pub fn snapshot(&self, global: &str, point: Point) -> Result<Snapshot, Refusal> {
        let global = self.global_tag(global)?;
        let snapshot_us = global.snapshot_at.as_micros();
        let mut tags = BTreeMap::new();
        for one in &global.tags {
            let name = &one.tag;
            let kept = self.tag(name)?;
            let at = point.since(kept.tag.time_type);
            let is_over = kept.tag.end_of_validity.is_some_and(|end| at > end);
            let found = kept.index.as_of(at, snapshot_us).filter(|_| !is_over);
            let (since, row) = found.ok_or_else(|| Refusal::NothingInForce {
                tag: name.clone(),
                point: at.shown(kept.tag.time_type),
                is_empty: kept.index.last_since().is_none(),
            })?;
            let hash = row.payload.clone();
            tags.insert(name.clone(), InForce { since, hash });
        }
        Ok(Snapshot {
            global_tag: global.name.clone(),
            snapshot: global.snapshot_at.to_string(),
            tags,
        })
    }

    /// Everything that was ever inserted into a tag, the oldest first: since and row.
    pub fn history(&self, name: &TagName) -> Result<Vec<(Since, &Insertion<String>)>, Refusal> {
        Ok(self.tag(name)?.index.history())
    }

    /// Every tag, by name, with everything that was ever inserted into it, the oldest first.
    pub fn tags_with_history(
        &self,
    ) -> impl Iterator<Item = (&ConditionsTag, Vec<(Since, &Insertion<String>)>)> {
        let kept = self.tags.values();
        kept.map(|kept| (&kept.tag, kept.index.history()))
    }

    /// Every payload: its sha256 in hex and its text.
    pub fn payloads(&self) -> impl Iterator<Item = (&str, &str)> {
        let payloads = self.payloads.iter();
        payloads.map(|(hash, text)| (hash.as_str(), text.as_str()))
    }

    /// Every global tag, by name.
    pub fn global_tags(&self) -> impl Iterator<Item = &GlobalTag> {
        self.global_tags.values()
    }

    /// What a tag counts by; of one that is not here, by run.
    pub fn time_type(&self, name: &TagName) -> TimeType {
        let kept = self.tags.get(name);
        kept.map_or(TimeType::Run, |kept| kept.tag.time_type)
    }

    /// The text of a payload.
    pub fn payload(&self, hash: &str) -> Option<&str> {
        self.payloads.get(hash).map(String::as_str)
    }

    pub(crate) fn tag(&self, name: &TagName) -> Result<&Kept, Refusal> {
        let no_tag = || Refusal::NoTag { tag: name.clone() };
        self.tags.get(name).ok_or_else(no_tag)
    }

    pub(crate) fn global_tag(&self, name: &str) -> Result<&GlobalTag, Refusal> {
        let no_global_tag = || Refusal::NoGlobalTag {
            name: name.to_owned(),
        };
        self.global_tags.get(name).ok_or_else(no_global_tag)
    }
}

/// What two tags of one name differ in; when they were made does not count.
fn other(known: &ConditionsTag, tag: &ConditionsTag) -> Option<&'static str> {
    let same = [
        ("time type", known.time_type == tag.time_type),
        ("object type", known.object_type == tag.object_type),
        (
            "synchronisation",
            known.synchronisation == tag.synchronisation,
        ),
        ("description", known.description == tag.description),
        ("protection", known.protection == tag.protection),
        (
            "end of validity",
            known.end_of_validity == tag.end_of_validity,
        ),
    ];
    same.iter().find(|(_, same)| !same).map(|(what, _)| *what)
}
