//! Global tags: a task that names one reads each of its records from the tag that the global tag
//! gives for it, as of the global tag's moment.
//!
//! In come tasks and runs, out comes what is in force for them, or what is lacking and who can
//! bring it. A global tag never changes and no interval is ever removed, so what was found once is
//! found again; with a moment that is still to come, later insertions count until then, as they do
//! for a tag that a task names itself. Simulated runs read the simulated tags, real runs never do.

use crate::constants::{Constants, stored_tag};
use crate::in_force::Place;
use crate::uploads::parts;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::conditions::{GlobalTag, RecordName, Since, TimeType};
use model::ids::RunNumber;
use model::names::{DataLabel, TagName};
use model::run::Run;
use model::time::Moment;
use model::wait::WaitKind;
use model::work::AttemptGlobalTag;
use pipelines::definition::{ByGlobalTag, Task};
use pipelines::release::Released;

/// How the keys of alarms begin that ask for what a global tag leads to.
pub(crate) const ALARM: &str = "global-tag";

/// A tag that a task reads in a run.
pub(crate) struct Read<'c> {
    /// The record that leads to the tag, by a global tag.
    pub(crate) record: Option<&'c RecordName>,
    /// The tag, without what says that its runs are simulated.
    pub(crate) tag: TagName,
    /// The tag as stored.
    pub(crate) stored: TagName,
    /// The global tag whose moment counts, if by one.
    pub(crate) by: Option<&'c GlobalTag>,
}

/// Why a record leads to no constant.
struct Lack {
    /// As a sentence without its object.
    reason: String,
    /// What ends it.
    remedy: String,
}

impl Constants {
    /// What a task reads in a run. What its global tag does not lead to is left out.
    pub(crate) fn read_by<'c>(&'c self, task: &'c Task, run: &Run) -> Vec<Read<'c>> {
        let Some(by) = &task.global_tag else {
            let read = |tag: &TagName| Read {
                record: None,
                tag: tag.clone(),
                stored: stored_tag(tag, run.label),
                by: None,
            };
            return task.conditions.iter().map(read).collect();
        };
        let Some(global) = self.global_tags.get(&by.name) else {
            return Vec::new();
        };
        let read = |record| {
            let stored = leads_to(global, record, run).ok()?;
            let (tag, _) = parts(&stored);
            Some(Read {
                record: Some(record),
                tag,
                stored,
                by: Some(global),
            })
        };
        by.records.iter().filter_map(read).collect()
    }

    /// What of a global tag is not here for a run.
    fn lacks(&self, by: &ByGlobalTag, run: &Run) -> Vec<Lack> {
        let name = &by.name;
        let Some(global) = self.global_tags.get(name) else {
            return vec![Lack {
                reason: format!("the global tag {name} is not known here"),
                remedy: format!(
                    "tier0 calib import FILE brings it from where it was made, tier0 calib global \
                     {name} makes it"
                ),
            }];
        };
        let records = by.records.iter();
        // A tag by lumi that is filled from a later lumi of the run on is for a person to look at.
        let first_lumi = Place::of(run, &[]);
        let lack = |record| match leads_to(global, record, run) {
            Err(lack) => Some(lack),
            Ok(tag) if self.in_force(&tag, first_lumi, Some(global)).is_empty() => {
                Some(self.nothing_in_force(&tag, record, run, global))
            }
            Ok(_) => None,
        };
        records.filter_map(lack).collect()
    }

    fn nothing_in_force(
        &self,
        tag: &TagName,
        record: &RecordName,
        run: &Run,
        global: &GlobalTag,
    ) -> Lack {
        let (name, at) = (&global.name, global.snapshot_at);
        let is_empty = !self.iovs.contains_key(tag);
        let number = run.number;
        let place = match self.time_type(tag) {
            TimeType::Run => format!("run {number}"),
            by @ TimeType::Lumi => Since::lumi(number, Since::FIRST_LUMI).shown(by),
            TimeType::Time => format!("run {number}, which began at {}", run.opened_at),
        };
        Lack {
            reason: format!(
                "the global tag {name} reads {record} from {tag}, of which nothing was in force \
                 for {place} at {at}"
            ),
            remedy: if is_empty {
                format!(
                    "tier0 calib import FILE brings intervals of {tag} from where it was filled"
                )
            } else {
                another(name)
            },
        }
    }
}

/// The tag as stored from which a run reads a record.
fn leads_to(global: &GlobalTag, record: &RecordName, run: &Run) -> Result<TagName, Lack> {
    let name = &global.name;
    let Some(tag) = global.tag_of(&record.record, &record.label) else {
        return Err(Lack {
            reason: format!("the global tag {name} has no tag for the record {record}"),
            remedy: another(name),
        });
    };
    match (parts(tag), run.label) {
        ((_, DataLabel::Simulated), DataLabel::Real) => Err(Lack {
            reason: format!(
                "the global tag {name} reads {record} from {tag}, which is for simulated runs, and \
                 run {} is real",
                run.number
            ),
            remedy: another(name),
        }),
        ((base, _), label) => Ok(stored_tag(&base, label)),
    }
}

/// What helps where only another global tag does.
fn another(name: &str) -> String {
    format!(
        "{name} does not change: make another one with tier0 calib global and name it in the task, \
         for runs that begin after that"
    )
}

impl Engine {
    /// The global tag that an attempt is told of.
    pub(crate) fn attempt_global_tag(&self, task: &Task) -> Option<AttemptGlobalTag> {
        let name = task.global_tag.as_ref()?.name.clone();
        let known = self.constants.global_tags.get(&name);
        let snapshot_at = known.map(|global| global.snapshot_at);
        Some(AttemptGlobalTag { name, snapshot_at })
    }

    /// Whether a task must wait for what its global tag leads to: a person has to bring it.
    pub(crate) fn waits_for_global_tag(&self, number: RunNumber, index: usize) -> Option<Released> {
        let lacks = self.lacks_of(number, index);
        let reasons: Vec<String> = lacks.into_iter().map(|lack| lack.reason).collect();
        (!reasons.is_empty()).then(|| Released::Waits {
            kind: WaitKind::GlobalTag,
            reason: reasons.join("; "),
            until: None,
        })
    }

    /// What ends that wait, each once.
    pub(crate) fn remedy_for_global_tag(&self, number: RunNumber, index: usize) -> String {
        let lacks = self.lacks_of(number, index);
        let mut remedies: Vec<String> = lacks.into_iter().map(|lack| lack.remedy).collect();
        remedies.dedup();
        remedies.join("; ")
    }

    fn lacks_of(&self, number: RunNumber, index: usize) -> Vec<Lack> {
        let (work, plan) = (&self.runs[&number], &self.plans[index]);
        let by = plan.task.global_tag.as_ref();
        by.map_or_else(Vec::new, |by| self.constants.lacks(by, &work.run))
    }

    /// Somebody is asked to bring what a task with input waits for, until it goes on.
    pub(crate) fn tell_global_tag(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        released: Option<&Released>,
        effects: &mut Vec<Effect>,
    ) {
        let plan = &self.plans[index];
        if plan.task.global_tag.is_none() {
            return;
        }
        let path = &plan.path;
        let key = format!("{ALARM}/{number}/{path}");
        let work = self.runs.get(&number);
        let task = work.and_then(|work| work.tasks.get(&index));
        let has_input = task.is_some_and(|task| !task.items.is_empty());
        match released {
            Some(Released::Waits {
                kind: WaitKind::GlobalTag,
                reason,
                ..
            }) if has_input => {
                let remedy = self.remedy_for_global_tag(number, index);
                let text = format!(
                    "{path} of run {number} waits, and no bound ends that: {reason}. What helps: \
                     {remedy}; or tier0 calib accept {path} --run {number} lets it go without."
                );
                self.restate_alarm(now, key, Severity::Medium, text, effects);
            }
            _ => self.clear_alarm(now, &key, effects),
        }
    }

    /// Something has come that a global tag may lead to: whoever reads by one looks again. Runs in
    /// front of it do too, for what they are told helps depends on whether a tag is empty.
    pub(crate) fn look_at_readers_by_global_tag(&mut self) {
        for (number, work) in &self.runs {
            let reads = |index: &&usize| self.plans[**index].task.global_tag.is_some();
            let readers = work.tasks.keys().filter(reads);
            self.look_at.extend(readers.map(|index| (*number, *index)));
        }
    }
}
