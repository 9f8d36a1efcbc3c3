//! History: a run that has been finished for long enough leaves (D12).
//!
//! The engine forgets everything of it but its number in the step that says so; a store's writer
//! then moves its rows, slice by slice, and tells when the last one is moved. Decisions on
//! constants, verdicts and the totals of datasets stay. A file that comes for such a run later is
//! looked up by the store, kept as a late one, and follows the others. Nothing here may forget what
//! somebody at work still reads.

use crate::arrival::{late_key, set_aside_lumi, slice_of};
use crate::commands::LUMIS_MAX;
use crate::run_work::RunWork;
use crate::timers::Timer;
use crate::{Effect, Engine};
use crate::{global_tags, split_plugins, verdict_actions};
use model::alarm::Severity;
use model::arrival::Arrival;
use model::dataset::Totals;
use model::fact::Fact;
use model::file::{Content, File};
use model::ids::{FileId, JobId, RunNumber};
use model::job::{InputId, JobState};
use model::names::{DatasetName, FileName, ProfileName, TaskPath};
use model::recall::Recalled;
use model::run::{Run, RunEvent, RunState};
use model::time::Moment;
use model::usage::TaskUsage;
use model::wait::{Object, Wait, WaitKind};
use std::collections::{BTreeMap, BTreeSet};

/// Runs whose rows are moved at once: each slice is a transaction, and live batches go between.
const LEAVING_MAX: usize = 1;

/// What is known of runs that are history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Archive {
    /// Runs whose rows are being moved.
    pub(crate) leaving: BTreeMap<RunNumber, Leaving>,
    /// Runs whose rows are all history.
    pub(crate) gone: BTreeSet<RunNumber>,
    /// What the jobs of all of them have used.
    pub(crate) usage: BTreeMap<TaskPath, TaskUsage>,
    /// What the closed blocks of all of them add to their datasets.
    pub(crate) totals: BTreeMap<DatasetName, Totals>,
    /// Runs that have soaked. Not kept by the law, like timers.
    due: BTreeSet<RunNumber>,
    /// Runs that have soaked and may not leave yet; looked at when something has changed.
    held: BTreeSet<RunNumber>,
    look_again: bool,
    /// After a restart: runs whose next slice was not asked for.
    unasked: BTreeSet<RunNumber>,
    /// Files that the store is asked about, with another sighting of the same name meanwhile.
    asked: BTreeMap<(ProfileName, FileName), Option<Arrival>>,
}

/// A run whose rows are being moved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaving {
    pub(crate) run: Run,
    /// A row has come since the slice under way was asked for.
    again: bool,
}

impl Archive {
    /// Whether a run is history, or on its way there.
    pub(crate) fn knows(&self, run: RunNumber) -> bool {
        self.leaving.contains_key(&run) || self.gone.contains(&run)
    }

    /// The last run that is history, or on its way there.
    pub(crate) fn largest(&self) -> Option<RunNumber> {
        let leaving = self.leaving.keys().next_back();
        leaving.max(self.gone.last()).copied()
    }

    /// The word for a run that is history.
    pub(crate) fn word(&self, run: RunNumber) -> Option<&'static str> {
        if let Some(leaving) = self.leaving.get(&run) {
            return Some(leaving.run.state.word());
        }
        self.gone.contains(&run).then_some("archived")
    }

    /// After a restart: a run that was on its way is still.
    pub(crate) fn restore_leaving(&mut self, run: Run) {
        self.unasked.insert(run.number);
        let again = false;
        self.leaving.insert(run.number, Leaving { run, again });
    }

    /// Something has changed for which a run may have been held back.
    pub(crate) fn look_again(&mut self) {
        self.look_again = true;
    }
}

/// Why nothing can be asked of a run that is history.
pub(crate) fn refusal(number: RunNumber) -> String {
    format!(
        "run {number} is archived: its rows are history, and no more work is made of it. All \
         questions about it are answered as before; give data that shall be worked on another run \
         number, and raise [store] archive_after if runs leave too soon"
    )
}

impl Engine {
    /// When a finished run has soaked, if runs leave at all.
    fn soaked_at(&self, work: &RunWork) -> Option<Moment> {
        let RunState::Finished { at, .. } = work.run.state else {
            return None;
        };
        Some(at + self.archive_after?)
    }

    /// A run is finished: in its time somebody looks whether it may leave.
    pub(crate) fn soak(&mut self, now: Moment, number: RunNumber) {
        match self.runs.get(&number).and_then(|work| self.soaked_at(work)) {
            Some(at) if at > now => self.timers.set(at, Timer::Archive(number)),
            Some(_) => {
                self.archive.due.insert(number);
            }
            None => {}
        }
    }

    /// A run has soaked, unless work on it was taken up meanwhile.
    pub(crate) fn soaked(&mut self, now: Moment, number: RunNumber) {
        let soaked = self.runs.get(&number).and_then(|work| self.soaked_at(work));
        if soaked.is_some_and(|at| at <= now) {
            self.archive.due.insert(number);
        }
    }

    /// Lets runs leave that may: at the end of a batch, when all else of it is said.
    pub(crate) fn archive_due(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while let Some(number) = self.archive.unasked.pop_first() {
            effects.push(Effect::Archive(number));
        }
        if std::mem::take(&mut self.archive.look_again) {
            let held = std::mem::take(&mut self.archive.held);
            self.archive.due.extend(held);
        }
        while self.archive.leaving.len() < LEAVING_MAX {
            let Some(number) = self.archive.due.pop_first() else {
                return;
            };
            let soaked = self.runs.get(&number).and_then(|work| self.soaked_at(work));
            if soaked.is_none_or(|at| at > now) {
                continue;
            }
            if self.is_in_use(number) {
                self.archive.held.insert(number);
            } else if self.late_files(number).is_empty() {
                // Whoever takes late files up makes the run finish anew.
                self.leave(now, number, effects);
            }
        }
    }

    /// Whether a run is still worked with: a block of it is open, it is quarantined, its verdict
    /// waits for somebody, its sources are on their way, or harvests of other runs read, or will
    /// read, what it has.
    fn is_in_use(&self, number: RunNumber) -> bool {
        let Some(work) = self.runs.get(&number) else {
            return false;
        };
        let mut collecting = self.constants.collecting.values().flatten();
        !work.blocks.is_empty()
            || work.run.quarantined.is_some()
            || self.waits_for_a_look(number)
            || self.has_sources_at_work(number)
            || collecting.any(|run| *run == number)
            || self.is_harvested_with_others(number, work)
            || self.holds_redo(number, None)
            || self.has_proposals(number)
    }

    /// Whether a harvest of a later run is at work that adds up what earlier runs left.
    fn is_harvested_with_others(&self, number: RunNumber, work: &RunWork) -> bool {
        let later = self.runs.range(number..).filter(|(run, _)| **run != number);
        let mut later = later.filter(|(_, later)| later.run.label == work.run.label);
        later.any(|(_, later)| {
            later.tasks.iter().any(|(index, task)| {
                let rules = &self.plans[*index].task.calibrates;
                let reads = task.made_jobs > 0 && !task.ended;
                reads && rules.iter().any(|rule| rule.accumulates())
            })
        })
    }

    /// Forgets a run; its rows are moved from now on.
    fn leave(&mut self, now: Moment, number: RunNumber, effects: &mut Vec<Effect>) {
        let Some(work) = self.runs.get(&number) else {
            return;
        };
        let Ok(state) = work.run.state.next(RunEvent::Soaked) else {
            return;
        };
        let run = Run {
            state,
            ..work.run.clone()
        };
        self.count_totals(number);
        self.count_usage(number, effects);
        self.clear_alarms_of(now, number, effects);
        self.forget(number);
        effects.push(Effect::Record(Fact::RunIs(run.clone())));
        effects.push(Effect::Archive(number));
        let again = false;
        self.archive.leaving.insert(number, Leaving { run, again });
    }

    /// What the closed blocks of a run add to their datasets stays counted.
    fn count_totals(&mut self, number: RunNumber) {
        let totals = self.totals_where(|run| run == number);
        for (name, totals) in totals {
            self.archive.totals.entry(name).or_default().add(&totals);
        }
    }

    /// What the jobs of a run have used stays counted.
    fn count_usage(&mut self, number: RunNumber, effects: &mut Vec<Effect>) {
        let mut changed: BTreeMap<TaskPath, TaskUsage> = BTreeMap::new();
        for job in self.jobs_of(number) {
            let (JobState::Done { .. } | JobState::Superseded { .. }, Some(used)) =
                (&job.state, job.used)
            else {
                continue;
            };
            let known = || {
                let known = self.archive.usage.get(&job.task).cloned();
                known.unwrap_or_else(|| TaskUsage {
                    task: job.task.clone(),
                    jobs: 0,
                    events: 0,
                    wall_ns: 0,
                    output_bytes: 0,
                })
            };
            let usage = changed.entry(job.task.clone()).or_insert_with(known);
            usage.jobs += 1;
            usage.events = usage.events.saturating_add(used.events.0);
            usage.wall_ns = usage.wall_ns.saturating_add(used.wall.0.max(0));
            usage.output_bytes = usage.output_bytes.saturating_add(used.output.0);
        }
        for (task, usage) in changed {
            effects.push(Effect::Record(Fact::UsageIs(usage.clone())));
            self.archive.usage.insert(task, usage);
        }
    }

    /// Alarms about a run that nobody can act upon any more. What failed is told by its rows.
    fn clear_alarms_of(&mut self, now: Moment, number: RunNumber, effects: &mut Vec<Effect>) {
        let is_job = |text: &str| {
            let job = text.parse().ok().map(JobId);
            let job = job.and_then(|id| self.jobs.get(&id));
            job.is_some_and(|job| job.run == number)
        };
        let is_file = |text: &str| {
            let parts = text.split_once('/');
            let key = parts.map(|(p, n)| (ProfileName::new(p), FileName::new(n)));
            let id = key.and_then(|key| self.file_names.get(&key));
            id.is_some_and(|id| self.files[id].arrival.run == number)
        };
        let is_run = |text: &str| {
            let of = text.split('/').next().unwrap_or_default();
            of.parse() == Ok(number.0)
        };
        let over = self.alarms.keys().filter(|key| {
            let Some((kind, of)) = key.split_once('/') else {
                return false;
            };
            match kind {
                "job-failed"
                | "quarantined"
                | "merged-without"
                | "error-dataset"
                | "redo-cut"
                | crate::standing::MEASURED_BEFORE => is_job(of),
                "file-corrupt" | "file-unreadable" | "source-unread" | "source-kept" => is_file(of),
                "copy-bad" => of.split_once('/').is_some_and(|(_, file)| is_file(file)),
                "late-record" | "run-type" | "run-end" | "end-disputed" | "lumi-disputed"
                | "lumis-missing" | "run-silent" | "source-lost" => is_run(of),
                split_plugins::ALARM | global_tags::ALARM => is_run(of),
                other => verdict_actions::ALARMS.contains(&other) && is_run(of),
            }
        });
        for key in over.cloned().collect::<Vec<_>>() {
            self.clear_alarm(now, &key, effects);
        }
    }

    fn forget(&mut self, number: RunNumber) {
        self.runs.remove(&number);
        self.forget_links(number);
        self.jobs.retain(|_, job| job.run != number);
        self.blocks.retain(|_, block| block.run != number);
        self.contents.retain(|(run, _), _| *run != number);
        let mut inputs = BTreeSet::new();
        let names = &mut self.file_names;
        self.files.retain(|id, file| {
            let stays = file.arrival.run != number;
            if !stays {
                inputs.insert(InputId::File(*id));
                names.remove(&(file.arrival.profile.clone(), file.arrival.name.clone()));
            }
            stays
        });
        self.outputs.retain(|id, output| {
            let stays = output.run != number;
            if !stays {
                inputs.insert(InputId::Output(*id));
            }
            stays
        });
        self.declined.retain(|(_, input)| !inputs.contains(input));
        self.reading
            .retain(|file| !inputs.contains(&InputId::File(*file)));
        self.sources.forget(number);
        self.forget_redo(number);
    }

    /// A slice of a run's rows is history.
    pub(crate) fn slice_moved(
        &mut self,
        now: Moment,
        number: RunNumber,
        is_all: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(leaving) = self.archive.leaving.get_mut(&number) else {
            return;
        };
        let again = std::mem::take(&mut leaving.again);
        if !is_all || again {
            effects.push(Effect::Archive(number));
            return;
        }
        if let Ok(state) = leaving.run.state.next(RunEvent::Moved(now)) {
            leaving.run.state = state;
        }
        effects.push(Effect::Record(Fact::RunIs(leaving.run.clone())));
        self.archive.leaving.remove(&number);
        self.archive.gone.insert(number);
    }

    /// A file of a run that is history: the store is asked whether it is known.
    pub(crate) fn recall(&mut self, arrival: Arrival, effects: &mut Vec<Effect>) {
        let key = (arrival.profile.clone(), arrival.name.clone());
        match self.archive.asked.get_mut(&key) {
            Some(next) => *next = Some(arrival),
            None => {
                self.archive.asked.insert(key, None);
                effects.push(Effect::Recall(arrival));
            }
        }
    }

    /// The store has said whether a file of a run that is history is known: the same again is
    /// nothing, another is a conflict, a new one is kept as a late file.
    pub(crate) fn recalled(&mut self, now: Moment, answer: Recalled, effects: &mut Vec<Effect>) {
        let Recalled { arrival, run, file } = answer;
        let key = (arrival.profile.clone(), arrival.name.clone());
        let Some(next) = self.archive.asked.remove(&key) else {
            return;
        };
        match file {
            Some(first) if first.same_content(&arrival) => {}
            Some(first) => self.refuse_conflict(now, &arrival, &first, effects),
            None => self.keep_late(now, arrival, run, effects),
        }
        if let Some(next) = next {
            self.recall(next, effects);
        }
    }

    /// Keeps a late file of a run that is history; its row follows the others.
    fn keep_late(
        &mut self,
        now: Moment,
        mut arrival: Arrival,
        on_record: Run,
        effects: &mut Vec<Effect>,
    ) {
        let number = arrival.run;
        let leaving = self.archive.leaving.get(&number);
        let mut run = leaving.map_or(on_record, |leaving| leaving.run.clone());
        if run.label != arrival.label {
            self.refuse_label(now, &arrival, run.label, effects);
            return;
        }
        let says = self.completions.get(&arrival.profile).copied();
        if let Some(slice) = says.unwrap_or_default().lumi_slice {
            let from = run.sliced_from.unwrap_or(arrival.mtime);
            arrival.lumi = slice_of(from, arrival.mtime, slice);
        }
        if arrival.lumi.0 > LUMIS_MAX {
            let item = set_aside_lumi(now, &arrival);
            self.put_aside(now, item, effects);
            return;
        }
        let Ok(state) = run.state.next(RunEvent::LateFileKept) else {
            return;
        };
        run.state = state;
        let content = Content::of(&arrival);
        let file = File {
            id: FileId(self.ids.take()),
            arrival,
            late: true,
            part: run.part + 1,
            content,
        };
        let text = format!(
            "{} came after run {number} was archived. It is accepted and kept, and no job was made \
             for it. Look at what sent it; give it another run number if it shall be worked on.",
            file.arrival.name
        );
        self.alarm(now, late_key(&file), Severity::Medium, text, effects);
        effects.push(Effect::Record(Fact::FileIs(file)));
        effects.push(Effect::Record(Fact::RunIs(run.clone())));
        self.archive.gone.remove(&number);
        let again = true;
        if let Some(leaving) = self.archive.leaving.get_mut(&number) {
            leaving.again = again;
        } else {
            self.archive
                .leaving
                .insert(number, Leaving { run, again: false });
            effects.push(Effect::Archive(number));
        }
    }

    /// Late files of runs that are history, as far as their alarms tell.
    pub(crate) fn waits_of_history(&self, number: Option<RunNumber>) -> Vec<Wait> {
        let mut late: BTreeMap<RunNumber, (u64, Moment)> = BTreeMap::new();
        let prefix = number.map_or("late-file/".to_owned(), |run| format!("late-file/{run}/"));
        let standing = self.alarms.range(prefix.clone()..);
        for (key, alarm) in standing.take_while(|(key, _)| key.starts_with(&prefix)) {
            let run = key.split('/').nth(1).and_then(|run| run.parse().ok());
            let Some(run) = run.map(RunNumber).filter(|run| self.archive.knows(*run)) else {
                continue;
            };
            let (files, since) = late.entry(run).or_insert((0, alarm.raised_at));
            *files += 1;
            *since = (*since).min(alarm.raised_at);
        }
        let wait = |(run, (files, since))| Wait {
            object: Object::Run(run),
            run,
            kind: WaitKind::LateFiles,
            reason: format!("{files} files came after it was archived"),
            since: Some(since),
            until: None,
            remedy: format!(
                "tier0 file ls --run {run} shows them; give their data another run number if they \
                 shall be worked on"
            ),
        };
        late.into_iter().map(wait).collect()
    }
}
