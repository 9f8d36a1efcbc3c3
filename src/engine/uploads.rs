//! Constants that people and programs put into tags: looked at, given a place that touches nothing
//! which was processed, and recorded as one with the act itself.
//!
//! Where an interval may begin and what a payload may be is decided by the wing `calibration`; here
//! is known how far processing has come. Tags that tasks measure need no row: they are those of the
//! calibration loop. Putting the same constant twice is one row. Whether a constant is good is
//! judged by nobody but its author: the gate is for harvests.

use crate::{Effect, Engine};
use calibration::conditions::{Frontier, Limits, Put, Refusal, payload, rule};
use model::command::{ConstantPut, Intent, Order, Preview, PutReply, Reply};
use model::conditions::{ConditionsTag, Iov, Protection, Since, TimeType};
use model::fact::Fact;
use model::ids::RunNumber;
use model::names::{DataLabel, TagName};
use model::run::Run;
use model::time::{Moment, Span};
use pipelines::definition::When;
use pipelines::release::first_condition_safe_run;
use std::sync::Arc;

/// A name of a tag is at most so long: what its column holds.
const TAG_BYTES_MAX: usize = 128;

/// The grain of tags that count by time.
const MICROSECOND: Span = Span(1_000);

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
    until: Option<Since>,
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
        if let Some(last) = self.archive.largest().filter(|_| plan.put.is_new)
            && match plan.put.since.run_number(plan.tag.time_type) {
                Some(first) => last >= first,
                // Of what has left, only that it began before now is known.
                None => plan.put.since <= Since::time(now),
            }
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
        let since = plan.put.since;
        let iov = Iov {
            tag: asked.tag.clone(),
            since,
            hash: payload.hash.clone(),
            sequence: self.ids.take(),
            inserted_at: now,
        };
        self.constants.keep(&iov);
        self.look_for_redo_since(since, plan.tag.time_type);
        effects.push(Effect::Record(Fact::PayloadIs(payload)));
        effects.push(Effect::Record(Fact::IovIs(iov)));
        self.announce_interval(now, &asked.tag, since, effects);
    }

    /// Tells strangers of an interval that is here, beside the first run that it holds for.
    pub(crate) fn announce_interval(
        &mut self,
        now: Moment,
        tag: &TagName,
        since: Since,
        effects: &mut Vec<Effect>,
    ) {
        let by = self.constants.time_type(tag);
        let run = since.run_number(by).unwrap_or_else(|| {
            let (_, label) = parts(tag);
            let runs = self.runs.values().map(|work| &work.run);
            let own = runs.filter(|run| run.label == label && Since::time(run.opened_at) >= since);
            let first = own.min_by_key(|run| run.opened_at);
            first.map_or_else(|| self.next_run(), |run| run.number)
        });
        let subject = format!("{tag} since {}", since.listed(by));
        self.announce(now, "conditions.published", run, subject, effects);
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
        let until = behind.first().copied();
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
        let given = asked.time_type;
        if let Some(why) = given.and_then(|by| self.counts_by_run(name, by)) {
            return Err(why);
        }
        match (known, &asked.make) {
            (Some(known), _) if given.is_some_and(|by| by != known.time_type) => {
                let (tag, by) = (name.clone(), known.time_type);
                Err(Refusal::CountsBy { tag, by }.to_string())
            }
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
                    time_type: given.unwrap_or_default(),
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

    /// Why a tag cannot count so, if it cannot: what tasks measure holds from a run on. One that
    /// was made before its gate stays what it is.
    pub(crate) fn counts_by_run(&self, name: &TagName, given: TimeType) -> Option<String> {
        let is_so =
            self.constants.tags.contains_key(name) && self.constants.time_type(name) == given;
        (!given.is_run() && !is_so && self.is_decided_on(name)).then(|| {
            format!(
                "{name} is measured by tasks, and gates decide run by run: it counts by run, not \
                 by {}; make a tag of another name",
                given.as_str()
            )
        })
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
        self.constants.iovs.contains_key(name) || self.is_decided_on(name)
    }

    /// Whether a task of some configuration has a gate for a tag.
    fn is_decided_on(&self, name: &TagName) -> bool {
        let (base, _) = parts(name);
        (0..self.plans.len()).any(|index| self.calibrates(index, &base))
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

    /// The run after the last that has started.
    fn next_run(&self) -> RunNumber {
        let last = self.runs.keys().next_back().copied();
        run_after(self.archive.largest().max(last))
    }

    /// How far processing has come for a tag. Runs that are history have been processed; a tag that
    /// no task waits for may have been read by every run that has started.
    fn limits_of(&self, name: &TagName, now: Moment) -> Limits {
        let (base, label) = parts(name);
        let next_run = self.next_run();
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
            let gone = self.archive.largest();
            safe.unwrap_or(RunNumber(1)).max(run_after(gone))
        } else {
            next_run
        };
        let frontier = |run: RunNumber| Frontier {
            run,
            begins_at: self.frontier_moment(run, label, now),
        };
        Limits {
            next_run: frontier(next_run),
            first_safe: frontier(first_safe),
        }
    }

    /// The first moment that reaches no run before this one: when the first run from it on began,
    /// or now, where none has; in any case behind the beginning of every run before it, however
    /// runs are numbered. Where there was no run before it, any moment is.
    fn frontier_moment(&self, first: RunNumber, label: DataLabel, now: Moment) -> Moment {
        let own = self.runs.values().map(|work| &work.run);
        let own = own.filter(|run| run.label == label);
        let (from, before): (Vec<&Run>, Vec<&Run>) = own.partition(|run| run.number >= first);
        let behind = before.iter().map(|run| run.opened_at + MICROSECOND).max();
        if behind.is_none() && self.archive.largest().is_none() {
            return Moment(0);
        }
        let begins_at = from.iter().map(|run| run.opened_at).min().unwrap_or(now);
        behind.map_or(begins_at, |behind| behind.max(begins_at))
    }
}

/// The run behind another; the first, behind none.
fn run_after(run: Option<RunNumber>) -> RunNumber {
    RunNumber(run.map_or(1, |run| run.0.saturating_add(1)))
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
    let shown = |since: Since| since.shown(plan.tag.time_type);
    let since = shown(plan.put.since);
    if !plan.put.is_new {
        return format!("{tag}: {hash} was already in force since {since}; nothing was changed");
    }
    let until = plan.until.map(|next| format!(" up to {}", shown(next)));
    let until = until.unwrap_or_default();
    let reason = &plan.put.reason;
    format!("{tag}: {hash} holds since {since}{until} ({reason})")
}
