//! Conditions that were made elsewhere, and tags that take nothing new.
//!
//! In come a document or a word on a tag; out come rows, all of them or none. What processing has
//! read never changes by it: intervals come only into tags that have none here, and into tags that
//! tasks read or measure only before the first run.

use crate::{Effect, Engine};
use calibration::conditions::document::Brought;
use calibration::conditions::{Refusal, Register};
use model::command::{Intent, Order, Preview, Reply};
use model::conditions::{ConditionsPayload, ConditionsTag, Iov, Protection, Since, TimeType};
use model::conditions_document::ConditionsDocument;
use model::fact::Fact;
use model::names::TagName;
use model::time::Moment;
use std::sync::Arc;

impl Engine {
    /// Lets a tag take new intervals, or none.
    pub(crate) fn protect_tag(
        &mut self,
        now: Moment,
        order: &Order,
        (name, protection): (&TagName, Protection),
        effects: &mut Vec<Effect>,
    ) -> Reply {
        let Some(known) = self.known_tag(name) else {
            return Reply::Refused(Refusal::NoTag { tag: name.clone() }.to_string());
        };
        let is = |protection: Protection| match protection {
            Protection::Open => "takes new intervals",
            Protection::Protected => "is protected: it takes nothing new",
        };
        if known.protection == protection {
            return Reply::Done(format!("{name} {} already", is(protection)));
        }
        let done = format!("{name} {}", is(protection));
        let object = format!("tag/{name}");
        if order.intent == Intent::Preview {
            return Reply::Would(Preview {
                would: done,
                count: 1,
                objects: vec![object],
            });
        }
        let before = is(known.protection).to_owned();
        let tag = ConditionsTag {
            protection,
            ..known
        };
        effects.push(Effect::Record(Fact::TagIs(tag.clone())));
        self.constants.tags.insert(name.clone(), tag);
        self.audit(now, order, object, before, done.clone(), effects);
        Reply::Done(done)
    }

    /// Why a tag takes no new interval, if it does not.
    pub(crate) fn protection_of(&self, name: &TagName) -> Option<String> {
        let tag = self.constants.tags.get(name)?;
        (tag.protection == Protection::Protected).then(|| {
            format!("the tag is protected; `tier0 calib protect {name} --open` lets it change")
        })
    }

    /// Why a gate puts nothing into a tag, if it does not.
    pub(crate) fn closed_to_gates(&self, name: &TagName) -> Option<String> {
        let by = self.constants.time_type(name);
        self.protection_of(name).or_else(|| {
            (!by.is_run()).then(|| {
                format!(
                    "the tag counts by {}, and what a gate decides holds from a run on; let the \
                     task measure a tag of another name",
                    by.as_str()
                )
            })
        })
    }

    /// Takes in what was made elsewhere, or says why not.
    pub(crate) fn import_conditions(
        &mut self,
        now: Moment,
        order: &Order,
        document: &ConditionsDocument,
        effects: &mut Vec<Effect>,
    ) -> Reply {
        let before = self.register();
        let mut after = before.clone();
        let brought = match after.import(document) {
            Ok(brought) => brought,
            Err(refusal) => return Reply::Refused(refusal.to_string()),
        };
        if let Err(why) = self.check_import(now, document, (&before, &after)) {
            return Reply::Refused(why);
        }
        let count = brought.tags + brought.iovs + brought.payloads + brought.global_tags;
        let done = in_words(&brought);
        if let Some(expected) = order
            .expect_count
            .filter(|expected| *expected != count as u64)
        {
            return Reply::Refused(format!(
                "new rows expected: {expected}, given: {count}; nothing was changed"
            ));
        }
        if count == 0 {
            return Reply::Done(format!("{done}; nothing was changed"));
        }
        if order.intent == Intent::Preview {
            let tags = document.tags.iter().map(|row| format!("tag/{}", row.name));
            return Reply::Would(Preview {
                would: done,
                count: count as u64,
                objects: tags.collect(),
            });
        }
        self.keep_import(now, &before, &after, effects);
        let object = "conditions".to_owned();
        self.audit(now, order, object, String::new(), done.clone(), effects);
        Reply::Done(done)
    }

    /// What this instance has, as one register.
    fn register(&self) -> Register {
        let constants = &self.constants;
        let measured = constants.iovs.keys();
        let measured = measured.filter(|name| !constants.tags.contains_key(*name));
        let tags = constants.tags.values().cloned();
        let tags = tags
            .chain(measured.map(ConditionsTag::measured))
            .map(|tag| {
                let index = constants.iovs.get(&tag.name).cloned().unwrap_or_default();
                (tag, index)
            });
        let payloads = constants.payloads.iter();
        let payloads = payloads.map(|(hash, text)| (hash.clone(), text.to_string()));
        Register::of(tags, payloads, constants.global_tags.values().cloned())
    }

    /// Whether a document changes nothing that processing has read or may be reading.
    fn check_import(
        &self,
        now: Moment,
        document: &ConditionsDocument,
        (before, after): (&Register, &Register),
    ) -> Result<(), String> {
        for row in &document.tags {
            let name = TagName::new(&row.name);
            if let Some(why) = self.counts_by_run(&name, row.time_type) {
                return Err(why);
            }
            let end = row
                .end_of_validity
                .filter(|_| row.time_type == TimeType::Lumi);
            if let Some(end) = end.filter(|end| *end as u32 != u32::MAX) {
                return Err(format!(
                    "{name} ends with {}, inside a run: a job of the lumis behind it would read \
                     nothing; let it end with a run, as (run << 32) | 4294967295",
                    Since(end).shown(TimeType::Lumi)
                ));
            }
            if !crate::uploads::is_name(&name) {
                return Err(crate::uploads::no_name(&name));
            }
        }
        let has_worked = !self.runs.is_empty() || self.archive.largest().is_some();
        for row in &document.iovs {
            let name = TagName::new(&row.tag_name);
            let history = before.history(&name).unwrap_or_default();
            let is_here = history.iter().any(|(since, known)| {
                let place = (since.0, known.inserted_us, known.sequence);
                place == (row.since, row.insertion_time_us, row.sequence)
            });
            if is_here {
                continue;
            }
            if row.insertion_time_us > now.as_micros() {
                let at = Moment::from_micros(row.insertion_time_us);
                return Err(format!(
                    "{name} since {} was inserted at {at}, which is still to come: look at the \
                     clocks of both hosts",
                    Since(row.since).shown(after.time_type(&name))
                ));
            }
            if !history.is_empty() {
                return Err(format!(
                    "{name} has intervals of its own here, which stay as they are: import it \
                     under another name, or put single constants with `tier0 calib put`"
                ));
            }
            if let Some(why) = self.protection_of(&name) {
                return Err(format!("{name}: {why}"));
            }
            if has_worked && (self.is_measured_tag(&name) || self.is_read_by_tasks(&name)) {
                return Err(format!(
                    "{name} is read or measured here, and runs were worked on with what it had: import it \
                     before the first run, or under another name"
                ));
            }
        }
        Ok(())
    }

    fn keep_import(
        &mut self,
        now: Moment,
        before: &Register,
        after: &Register,
        effects: &mut Vec<Effect>,
    ) {
        // First, because what is in force is asked for as soon as an interval is here.
        for (hash, text) in after.payloads() {
            if before.payload(hash).is_none() {
                let text_here: Arc<str> = Arc::from(text);
                self.constants.payloads.insert(hash.to_owned(), text_here);
                effects.push(Effect::Record(Fact::PayloadIs(ConditionsPayload {
                    hash: hash.to_owned(),
                    text: text.to_owned(),
                })));
            }
        }
        for (tag, history) in after.tags_with_history() {
            let known = before.history(&tag.name);
            if known.is_err() {
                effects.push(Effect::Record(Fact::TagIs(tag.clone())));
                self.constants.tags.insert(tag.name.clone(), tag.clone());
            }
            // What had intervals keeps them as they are.
            if !known.unwrap_or_default().is_empty() {
                continue;
            }
            for (since, row) in &history {
                let iov = Iov {
                    tag: tag.name.clone(),
                    since: *since,
                    hash: row.payload.clone(),
                    sequence: row.sequence,
                    inserted_at: Moment::from_micros(row.inserted_us),
                };
                self.constants.keep(&iov);
                effects.push(Effect::Record(Fact::IovIs(iov)));
            }
            // The first to be inserted need not be the first to begin.
            if let Some(since) = history.iter().map(|(since, _)| *since).min() {
                self.look_for_redo_since(since, tag.time_type);
                self.announce_interval(now, &tag.name, since, effects);
            }
        }
        let known = &mut self.constants.global_tags;
        let count = known.len();
        for global in after.global_tags() {
            if known.insert(global.name.clone(), global.clone()).is_none() {
                effects.push(Effect::Record(Fact::GlobalTagIs(global.clone())));
            }
        }
        if known.len() > count {
            // Any run may read by them.
            self.look_for_redo_since(Since(0), TimeType::Run);
        }
    }
}

fn in_words(brought: &Brought) -> String {
    let Brought {
        tags,
        iovs,
        payloads,
        global_tags,
    } = brought;
    format!(
        "new here: {tags} tags, {iovs} intervals, {payloads} payloads, {global_tags} global tags"
    )
}
