//! Constants that people and programs put into tags: looked at, given a place that touches nothing
//! which was processed, and recorded as one with the act itself.
//!
//! Where an interval may begin and what a payload may be is decided by the wing `calibration`; here
//! is known how far processing has come. Tags that tasks measure need no row: they are those of the
//! calibration loop. Putting the same constant twice is one row. Whether a constant is good is
//! judged by nobody but its author: the gate is for harvests.

use crate::constants::run_of;
use crate::{Effect, Engine};
use calibration::conditions::{Frontier, Limits, Put, Refusal, payload, rule};
use model::command::{ConstantPut, Intent, Order, Preview, PutReply, Reply};
use model::conditions::{ConditionsTag, Iov, Protection, Since, TimeType};
use model::fact::Fact;
use model::ids::RunNumber;
use model::names::{DataLabel, TagName};
use model::time::Moment;
use pipelines::definition::When;
use pipelines::release::first_condition_safe_run;
use std::sync::Arc;

/// A name of a tag is at most so long: what its column holds.
const TAG_BYTES_MAX: usize = 128;

/// What the tag of simulated runs has behind its name.
const SIMULATED: &str = "/SIM";

/// A put that may be done.
struct Plan {
    tag: ConditionsTag,
    /// Whether there is no row for the tag yet.
    makes: bool,
    put: Put,
    /// What was in force where it begins.
    before: Option<String>,
    /// Where the next interval begins, if there is one.
    until: Option<RunNumber>,
}

impl Engine {
    /// Puts a constant into a tag, or says why not.
    pub(crate) fn put_constant(
        &mut self,
        now: Moment,
        order: &Order,
        asked: &ConstantPut,
        effects: &mut Vec<Effect>,
    ) -> Reply {
        let plan = match self.plan_put(now, asked) {
            Ok(plan) => plan,
            Err(why) => return Reply::Refused(why),
        };
        if let Some(expected) = order.expect_count.filter(|count| *count != 1) {
            return Reply::Refused(format!(
                "constants expected: {expected}, given: 1; nothing was changed"
            ));
        }
        let mut done = in_words(asked, &plan);
        let since = run_of(plan.put.since);
        if let Some(last) = self.archive.largest().filter(|_| plan.put.is_new)
            && last >= since
        {
            done.push_str(&format!(
                "; what was made of runs that are archived (up to run {last}) is not made again"
            ));
        }
        let reply = PutReply {
            done,
            tag: asked.tag.clone(),
            since_given: asked.since,
            since: plan.put.since,
            hash: asked.payload.hash.clone(),
            is_new: plan.put.is_new,
        };
        if !plan.put.is_new {
            return Reply::Put(reply);
        }
        if order.intent == Intent::Preview {
            return Reply::Would(Preview {
                would: reply.done,
                count: 1,
                objects: vec![format!("tag/{}", asked.tag)],
            });
        }
        self.keep_put(now, asked, &plan, effects);
        let object = format!("tag/{}", asked.tag);
        let before = match &plan.before {
            Some(hash) => format!("{} in force", hash.get(..12).unwrap_or(hash)),
            None => "nothing in force".to_owned(),
        };
        let done = reply.done.clone();
        self.audit(now, order, object, before, done, effects);
        Reply::Put(reply)
    }

    fn keep_put(
        &mut self,
        now: Moment,
        asked: &ConstantPut,
        plan: &Plan,
        effects: &mut Vec<Effect>,
    ) {
        if plan.makes {
            let tag = plan.tag.clone();
            effects.push(Effect::Record(Fact::TagIs(tag.clone())));
            self.constants.tags.insert(tag.name.clone(), tag);
        }
        let payload = asked.payload.clone();
        let text: Arc<str> = Arc::from(payload.text.as_str());
        self.constants.payloads.insert(payload.hash.clone(), text);
        let since = run_of(plan.put.since);
        let iov = Iov {
            tag: asked.tag.clone(),
            since,
            hash: payload.hash.clone(),
            sequence: self.ids.take(),
            inserted_at: now,
        };
        self.constants.keep(&iov);
        self.look_for_redo_since(since);
        effects.push(Effect::Record(Fact::PayloadIs(payload)));
        effects.push(Effect::Record(Fact::IovIs(iov)));
        let subject = format!("{} since {since}", asked.tag);
        self.announce(now, "conditions.published", since, subject, effects);
    }

    /// What a put comes to; changes nothing.
    fn plan_put(&self, now: Moment, asked: &ConstantPut) -> Result<Plan, String> {
        let (tag, makes) = self.tag_of(now, asked)?;
        let nothing = calibration::conditions::Index::default();
        let index = self.constants.iovs.get(&tag.name).unwrap_or(&nothing);
        let limits = self.limits_of(&tag.name, now);
        let hash = &asked.payload.hash;
        let put = rule::put(&tag, index, asked.since, hash, &limits);
        let put = put.map_err(|refusal| refusal.to_string())?;
        let in_force = index.at(put.since).map(|(_, row)| row.payload.clone());
        if put.is_new {
            let text = in_force.as_ref();
            let text = text.and_then(|hash| self.constants.payloads.get(hash));
            payload::check(&asked.payload.text, text.map(|text| &**text))
                .map_err(|fault| format!("{}: {fault}", tag.name))?;
        }
        let behind = index.sinces_within(put.since, Since(u64::MAX));
        let until = behind.first().map(|since| run_of(*since));
        Ok(Plan {
            tag,
            makes,
            put,
            before: in_force,
            until,
        })
    }

    /// The tag that is meant, and whether it is made now.
    fn tag_of(&self, now: Moment, asked: &ConstantPut) -> Result<(ConditionsTag, bool), String> {
        let name = &asked.tag;
        let known = self.known_tag(name);
        let other = |what| {
            let tag = name.clone();
            Err(Refusal::OtherTag { tag, what }.to_string())
        };
        match (known, &asked.make) {
            (Some(known), Some(make)) if known.synchronisation != make.synchronisation => {
                other("synchronisation")
            }
            (Some(known), Some(make))
                if !make.object_type.is_empty() && known.object_type != make.object_type =>
            {
                other("object type")
            }
            (Some(known), _) => Ok((known, false)),
            (None, None) => Err(Refusal::NoTag { tag: name.clone() }.to_string()),
            (None, Some(make)) if is_name(name) => {
                let tag = ConditionsTag {
                    name: name.clone(),
                    time_type: TimeType::Run,
                    object_type: make.object_type.clone(),
                    synchronisation: make.synchronisation,
                    description: make.description.clone(),
                    protection: Protection::Open,
                    end_of_validity: None,
                    held: None,
                    inserted_at: now,
                };
                Ok((tag, true))
            }
            (None, Some(_)) => Err(no_name(name)),
        }
    }

    /// A tag that somebody made or tasks measure.
    pub(crate) fn known_tag(&self, name: &TagName) -> Option<ConditionsTag> {
        let made = self.constants.tags.get(name).cloned();
        made.or_else(|| {
            self.is_measured_tag(name)
                .then(|| ConditionsTag::measured(name))
        })
    }

    /// Whether tasks measure a tag, or did.
    pub(crate) fn is_measured_tag(&self, name: &TagName) -> bool {
        let (base, _) = parts(name);
        self.constants.iovs.contains_key(name)
            || self.plans.iter().any(|plan| {
                let mut rules = plan.task.calibrates.iter();
                rules.any(|rule| rule.tag == base)
            })
    }

    /// Whether some task reads a tag or waits for it.
    pub(crate) fn is_read_by_tasks(&self, name: &TagName) -> bool {
        let (base, _) = parts(name);
        self.plans.iter().any(|plan| {
            let waits = match &plan.task.release.when {
                When::Conditions(of) => of.contains(&base),
                _ => false,
            };
            waits || plan.task.conditions.contains(&base)
        })
    }

    /// How far processing has come for a tag. Runs that are history have been processed; a tag that
    /// no task waits for may have been read by every run that has started.
    fn limits_of(&self, name: &TagName, now: Moment) -> Limits {
        let (base, label) = parts(name);
        let after = |run: Option<RunNumber>| RunNumber(run.map_or(1, |r| r.0.saturating_add(1)));
        let gone = self.archive.largest();
        let last = self.runs.keys().next_back().copied();
        let next_run = after(gone.max(last));
        let waits = |index: usize| {
            let task = &self.plans[index].task;
            let reads = task.conditions.contains(&base);
            matches!(&task.release.when, When::Conditions(of) if reads || of.contains(&base))
        };
        let mut locks = Vec::new();
        for (run, work) in &self.runs {
            if work.run.label != label {
                continue;
            }
            let mut indexes = work.tasks.keys().filter(|index| waits(**index)).peekable();
            if indexes.peek().is_some() {
                let is_locked = indexes.any(|index| self.is_locked(*run, *index, now));
                locks.push((*run, is_locked));
            }
        }
        let is_waited_for = (0..self.plans.len()).any(waits);
        let first_safe = if is_waited_for {
            let safe = first_condition_safe_run(locks);
            safe.unwrap_or(RunNumber(1)).max(after(gone))
        } else {
            next_run
        };
        let frontier = |run: RunNumber| Frontier {
            run,
            begins_at: self.runs.get(&run).map_or(now, |work| work.run.opened_at),
        };
        Limits {
            next_run: frontier(next_run),
            first_safe: frontier(first_safe),
        }
    }
}

/// The tag without what says that its runs are simulated, and whether they are.
pub(crate) fn parts(name: &TagName) -> (TagName, DataLabel) {
    match name.as_str().strip_suffix(SIMULATED) {
        Some(base) => (TagName::new(base), DataLabel::Simulated),
        None => (name.clone(), DataLabel::Real),
    }
}

/// Why a text is no name of a tag.
pub(crate) fn no_name(name: &TagName) -> String {
    format!(
        "\"{name}\" is no name of a tag: letters, digits, - _ and ., at most {TAG_BYTES_MAX}, with \
         {SIMULATED} behind it for simulated runs"
    )
}

pub(crate) fn is_name(name: &TagName) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let (base, _) = parts(name);
    let base = base.as_str();
    !base.is_empty() && name.as_str().len() <= TAG_BYTES_MAX && base.bytes().all(legal)
}

fn in_words(asked: &ConstantPut, plan: &Plan) -> String {
    let (tag, hash) = (&asked.tag, &asked.payload.hash);
    let hash = hash.get(..12).unwrap_or(hash);
    let since = run_of(plan.put.since);
    if !plan.put.is_new {
        return format!(
            "{tag}: {hash} was already in force since run {since}; nothing was changed"
        );
    }
    let until = plan
        .until
        .map_or_else(String::new, |next| format!(" up to run {next}"));
    let reason = &plan.put.reason;
    format!("{tag}: {hash} holds since run {since}{until} ({reason})")
}
