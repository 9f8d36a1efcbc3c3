//! What people ask of jobs, one or many: retry, split, park, release, cancel.
//!
//! In comes a verb with a filter, out comes which jobs it is for, which it is not for and why, and
//! (unless it is only a preview) the jobs changed. A job that is split hands its inputs on: other
//! jobs have them from then on, and its row says which.

use crate::cutting::ranges;
use crate::execution::common;
use crate::{Effect, Engine};
use model::command::{
    Intent, JobFilter, JobVerb, JobsAsked, JobsReply, NAMELESS, Order, Preview, Reply, SkippedJob,
    SplitInto,
};
use model::ids::{AttemptNumber, JobId, LumiNumber, RunNumber};
use model::job::{InputId, Job, JobEvent, JobState, LastFailure, Lineage, Stamps};
use model::time::Moment;
use std::collections::BTreeMap;

/// Jobs that one command may change: more are asked for run by run or task by task, so that no step
/// is long.
const JOBS_AT_ONCE_MAX: usize = 10_000;
/// Jobs of one answer that are named with why they are left as they are.
const SKIPPED_NAMED_MAX: usize = 100;

impl Engine {
    /// Says which jobs are meant and, unless it is only a preview, changes them and writes it down.
    pub(crate) fn jobs_asked(
        &mut self,
        now: Moment,
        order: &Order,
        asked: &JobsAsked,
        effects: &mut Vec<Effect>,
    ) -> Reply {
        let (jobs, skipped) = match self.jobs_meant(asked) {
            Ok(meant) => meant,
            Err(why) => return Reply::Refused(why),
        };
        let other = |count: &u64| *count != jobs.len() as u64;
        if let Some(expected) = order.expect_count.filter(other) {
            return Reply::Refused(format!(
                "jobs expected: {expected}, meant: {}; nothing was changed. Look again with \
                 --dry-run and ask with the count that it shows",
                jobs.len()
            ));
        }
        if order.intent == Intent::Preview {
            return self.would(asked, &jobs, &skipped);
        }
        let gives_up = asked.verb == JobVerb::Cancel && !jobs.is_empty();
        if gives_up && (order.by == NAMELESS || order.reason.is_empty()) {
            return Reply::Refused(
                "a job that is cancelled is data given up: that is kept with its author and \
                 reason; say both (--by NAME --reason TEXT, by= and reason= of the request)"
                    .to_owned(),
            );
        }
        let before = self.standing_of_jobs(&jobs);
        let mut made = Vec::new();
        for id in &jobs {
            made.extend(self.change_job(now, *id, asked.verb, effects));
        }
        let done = in_words(asked.verb, &jobs, &skipped, &made);
        if !jobs.is_empty() {
            let object = which_in_words(&asked.which);
            self.audit(now, order, object, before, done.clone(), effects);
        }
        Reply::Jobs(JobsReply {
            done,
            jobs,
            skipped_count: skipped.len() as u64,
            skipped: skipped.into_iter().take(SKIPPED_NAMED_MAX).collect(),
            made,
        })
    }

    fn would(&self, asked: &JobsAsked, jobs: &[JobId], skipped: &[SkippedJob]) -> Reply {
        let mut would = format!("{} {}", verb_in_words(asked.verb).0, counted(jobs));
        for skipped in skipped.iter().take(SKIPPED_NAMED_MAX) {
            would.push_str("; left as it is: ");
            would.push_str(&skipped.why);
        }
        let named = |id: &JobId| {
            let job = &self.jobs[id];
            let (path, run, word) = (&job.task, job.run, job.state.word());
            format!("job/{id} of {path}, run {run}: {word}")
        };
        Reply::Would(Preview {
            would,
            count: jobs.len() as u64,
            objects: jobs.iter().map(named).collect(),
        })
    }

    /// How jobs stand: so many in each state.
    fn standing_of_jobs(&self, jobs: &[JobId]) -> String {
        let mut states: BTreeMap<&str, u64> = BTreeMap::new();
        for id in jobs {
            *states.entry(self.jobs[id].state.word()).or_default() += 1;
        }
        let counts: Vec<String> = states
            .into_iter()
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        counts.join(", ")
    }

    /// The jobs that are meant, and those that would be but cannot be changed.
    fn jobs_meant(&self, asked: &JobsAsked) -> Result<(Vec<JobId>, Vec<SkippedJob>), String> {
        let filter = &asked.which;
        if let Some(id) = filter.job {
            return match self.why_not(id, asked.verb) {
                None => Ok((vec![id], Vec::new())),
                Some(why) => Err(why),
            };
        }
        if *filter == JobFilter::default() {
            return Err(format!(
                "which jobs shall be meant? name one by its id, or several by run, task, state, \
                 exit class or fingerprint; `tier0 job ls --state {}` lists some",
                default_states(asked.verb)[0]
            ));
        }
        let (mut jobs, mut skipped) = (Vec::new(), Vec::new());
        for job in self.jobs.values().filter(|job| meets(job, asked)) {
            match self.why_not(job.id, asked.verb) {
                None => jobs.push(job.id),
                Some(why) => skipped.push(SkippedJob { job: job.id, why }),
            }
        }
        if jobs.len() > JOBS_AT_ONCE_MAX {
            return Err(format!(
                "{} jobs are meant, at most {JOBS_AT_ONCE_MAX} are changed at once; ask run by run \
                 or task by task",
                jobs.len()
            ));
        }
        Ok((jobs, skipped))
    }

    /// Why a verb cannot be carried out on a job, if it cannot.
    fn why_not(&self, id: JobId, verb: JobVerb) -> Option<String> {
        let job = self.jobs.get(&id);
        let Some((job, index)) = job.and_then(|job| Some((job, self.plan_of(job)?))) else {
            return Some(format!(
                "job {id} is not known here, or its run is archived; `tier0 job ls --state failed` \
                 lists what can be retried"
            ));
        };
        let is_known = |input: &InputId| match input {
            InputId::File(file) => self.files.contains_key(file),
            InputId::Output(output) => self.outputs.contains_key(output),
        };
        let makes = matches!(verb, JobVerb::Retry | JobVerb::Release | JobVerb::Split(_));
        if makes && !job.inputs.iter().all(is_known) {
            return Some(format!(
                "job {id} reads what an earlier run left that is archived; nothing can be made of \
                 that any more"
            ));
        }
        let word = job.state.word();
        if let JobVerb::Split(_) = verb {
            let first = match job.state {
                JobState::Ready { .. }
                | JobState::Failed { .. }
                | JobState::Parked { .. }
                | JobState::Cancelled { .. } => None,
                JobState::Sent { .. } | JobState::Running { .. } => {
                    Some(format!("end its attempt first with `tier0 job park {id}`"))
                }
                JobState::Committing { .. } | JobState::Done { .. } => {
                    Some("its work is done".to_owned())
                }
                JobState::Superseded { .. } => Some("other jobs have its inputs".to_owned()),
            };
            if let Some(first) = first {
                return Some(format!("job {id} is {word} and cannot be split; {first}"));
            }
            if let Some(why) = self.why_not_split(id) {
                return Some(why);
            }
        } else if job.state.next(event_of(verb, Moment(0))).is_err() {
            let only = match verb {
                JobVerb::Retry => "only a failed, cancelled or parked job can be retried",
                JobVerb::Release => "only a parked job, or one that pauses, can be released",
                JobVerb::Park => "only a job that is ready, sent or running can be parked",
                JobVerb::Cancel | JobVerb::Split(_) => {
                    "its work is done, or its outputs are being put in place"
                }
            };
            return Some(format!("job {id} is {word}; {only}"));
        }
        let begins_again = matches!(verb, JobVerb::Retry | JobVerb::Split(_));
        if begins_again && job.state.is_terminal() {
            return self.why_not_resumed(job, index);
        }
        None
    }

    /// Why a job cannot be replaced by smaller ones, if it cannot.
    pub(crate) fn why_not_split(&self, id: JobId) -> Option<String> {
        let job = self.jobs.get(&id)?;
        let plan = &self.plans[self.plan_of(job)?];
        if let Some(first) = job.lineage.redoes {
            return Some(format!(
                "job {id} does the work of job {first} again and takes its place as a whole: it \
                 cannot be split; retry it, or cancel it"
            ));
        }
        if job.consumed < 2 {
            return Some(format!(
                "job {id} has no two inputs to share out and cannot be split; retry it, or cancel it"
            ));
        }
        if plan.task.certifies || !plan.task.calibrates.is_empty() {
            return Some(format!(
                "job {id} of {} decides on a whole run and cannot be split; retry it, or cancel it",
                plan.path
            ));
        }
        None
    }

    /// Carries a verb out; the jobs that were made instead of a split one.
    pub(crate) fn change_job(
        &mut self,
        now: Moment,
        id: JobId,
        verb: JobVerb,
        effects: &mut Vec<Effect>,
    ) -> Vec<JobId> {
        let Some(index) = self.jobs.get(&id).and_then(|job| self.plan_of(job)) else {
            return Vec::new();
        };
        self.hold_back(id);
        let job = &self.jobs[&id];
        let (before, number, token) = (job.state, job.run, self.token(job));
        if matches!(before, JobState::Sent { .. } | JobState::Running { .. }) {
            effects.push(Effect::Cancel(token));
            self.free_cores(id);
        }
        let Some(job) = self.jobs.get_mut(&id) else {
            return Vec::new();
        };
        let Ok(after) = job.state.next(event_of(verb, now)) else {
            return Vec::new();
        };
        job.state = after;
        if verb == JobVerb::Retry {
            job.failures = 0;
            job.failure = job.failure.map(|last| LastFailure { same: 0, ..last });
        }
        self.changed_jobs.insert(id);
        self.clear_alarm(now, &format!("job-failed/{id}"), effects);
        self.clear_alarm(now, &format!("job-parked/{id}"), effects);
        self.clear_alarm(now, &format!("quarantined/{id}"), effects);
        if before.is_terminal() {
            self.resume_task(number, index);
        }
        self.count_live(number, index, before, after);
        match after {
            JobState::Ready { .. } => self.enqueue(id),
            JobState::Parked { reason, .. } => self.job_parked(now, id, reason, effects),
            JobState::Superseded { .. } => {
                let into = match verb {
                    JobVerb::Split(into) => into,
                    _ => SplitInto::Halves,
                };
                return self.replace_job(now, id, index, into);
            }
            _ => {}
        }
        Vec::new()
    }

    /// Counts a job in or out of its task's live ones.
    pub(crate) fn count_live(
        &mut self,
        number: RunNumber,
        index: usize,
        before: JobState,
        after: JobState,
    ) {
        match (before.is_terminal(), after.is_terminal()) {
            (false, true) => self.job_ended(number, index),
            (true, false) => {
                let task = self
                    .runs
                    .get_mut(&number)
                    .and_then(|work| work.tasks.get_mut(&index));
                if let Some(task) = task {
                    task.live_jobs += 1;
                }
            }
            (false, false) | (true, true) => {}
        }
    }

    /// Makes the jobs that have a split job's inputs from now on.
    pub(crate) fn replace_job(
        &mut self,
        now: Moment,
        id: JobId,
        index: usize,
        into: SplitInto,
    ) -> Vec<JobId> {
        let parent = self.jobs[&id].clone();
        let (own, also_read) = parent.inputs.split_at(parent.consumed as usize);
        let size = match into {
            SplitInto::Halves => own.len().div_ceil(2),
            SplitInto::Singles => 1,
        };
        let parts = own.chunks(size.max(1));
        let made: Vec<JobId> = parts
            .map(|part| self.part_of(now, &parent, part, also_read))
            .collect();
        let task = self
            .runs
            .get_mut(&parent.run)
            .and_then(|work| work.tasks.get_mut(&index));
        if let Some(task) = task {
            task.live_jobs += made.len() as u32;
            task.made_jobs += made.len() as u32;
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.lineage.replaced_by.clone_from(&made);
        }
        for job in &made {
            self.enqueue(*job);
        }
        made
    }

    /// A job for some of the inputs of a split one; also reads what that one only read.
    fn part_of(
        &mut self,
        now: Moment,
        parent: &Job,
        part: &[InputId],
        also_read: &[InputId],
    ) -> JobId {
        let id = JobId(self.ids.take());
        let (mut lumis, mut seen) = (Vec::new(), None::<Moment>);
        for input in part {
            let (input_lumis, input_seen) = self.extent_of(*input);
            lumis.extend(input_lumis);
            seen = Some(seen.map_or(input_seen, |seen| seen.min(input_seen)));
        }
        let job = Job {
            id,
            inputs: part.iter().chain(also_read).copied().collect(),
            consumed: part.len() as u32,
            // Of a part of its inputs' lumis it has only the part.
            lumis: common(&ranges(lumis.into_iter()), &parent.lumis),
            failures: 0,
            last_error: None,
            failure: None,
            stamps: Stamps {
                seen: seen.unwrap_or(parent.stamps.seen),
                made: now,
                ..Stamps::default()
            },
            lineage: Lineage {
                split_from: Some(parent.id),
                ..Lineage::default()
            },
            state: JobState::Ready {
                attempt: AttemptNumber::FIRST,
                not_before: now,
            },
            ..parent.clone()
        };
        self.keep_job(job);
        self.changed_jobs.insert(id);
        id
    }

    /// The lumis of an input, and when it was seen.
    fn extent_of(&self, input: InputId) -> (Vec<(LumiNumber, LumiNumber)>, Moment) {
        match input {
            InputId::File(id) => {
                let arrival = &self.files[&id].arrival;
                (vec![(arrival.lumi, arrival.lumi)], arrival.seen_at)
            }
            InputId::Output(id) => {
                let output = &self.outputs[&id];
                (output.lumis.clone(), output.seen_at)
            }
        }
    }
}

/// What a verb is to a job.
fn event_of(verb: JobVerb, now: Moment) -> JobEvent {
    match verb {
        JobVerb::Retry => JobEvent::RetryAsked(now),
        JobVerb::Release => JobEvent::ReleaseAsked(now),
        JobVerb::Park => JobEvent::ParkAsked,
        JobVerb::Cancel => JobEvent::CancelAsked,
        JobVerb::Split(_) => JobEvent::Replaced,
    }
}

/// The states that are meant where several jobs are and nobody says in which state.
fn default_states(verb: JobVerb) -> &'static [&'static str] {
    match verb {
        JobVerb::Retry => &["failed"],
        JobVerb::Split(_) => &["failed", "parked"],
        JobVerb::Release => &["parked"],
        JobVerb::Park => &["ready", "sent", "running"],
        JobVerb::Cancel => &["ready", "sent", "running", "parked"],
    }
}

/// Whether a job is one of several that are meant.
fn meets(job: &Job, asked: &JobsAsked) -> bool {
    let filter = &asked.which;
    let word = job.state.word();
    let in_state = match &filter.state {
        Some(state) => state == word,
        None => default_states(asked.verb).contains(&word),
    };
    let of_task =
        |task: &String| *task == job.task.to_string() || *task == job.task.pipeline.as_str();
    in_state
        && filter.run.is_none_or(|run| run == job.run)
        && filter.task.as_ref().is_none_or(of_task)
        && filter
            .class
            .is_none_or(|class| job.failure.is_some_and(|last| last.class == class))
        && filter
            .fingerprint
            .is_none_or(|mark| job.failure.is_some_and(|last| last.fingerprint == mark))
}

/// A verb as it is asked for, and what it has made of a job.
fn verb_in_words(verb: JobVerb) -> (&'static str, &'static str) {
    match verb {
        JobVerb::Retry => ("retry", "ready again"),
        JobVerb::Release => ("release", "released"),
        JobVerb::Park => ("park", "parked"),
        JobVerb::Cancel => ("cancel", "cancelled"),
        JobVerb::Split(_) => ("split", "split"),
    }
}

fn counted(jobs: &[JobId]) -> String {
    match jobs {
        [job] => format!("job {job}"),
        _ => format!("{} jobs", jobs.len()),
    }
}

/// What was done, as a sentence.
fn in_words(verb: JobVerb, jobs: &[JobId], skipped: &[SkippedJob], made: &[JobId]) -> String {
    let is = if jobs.len() == 1 { "is" } else { "are" };
    let mut done = format!("{} {is} {}", counted(jobs), verb_in_words(verb).1);
    if !made.is_empty() {
        let names: Vec<String> = made.iter().map(ToString::to_string).collect();
        done.push_str(&format!(" into {}", names.join(", ")));
    }
    if !skipped.is_empty() {
        let left = format!("; {} cannot be and are left as they are", skipped.len());
        done.push_str(&left);
    }
    done
}

/// A filter as the audit names it.
fn which_in_words(which: &JobFilter) -> String {
    if let Some(job) = which.job {
        return format!("job/{job}");
    }
    let said = [
        which.run.map(|run| format!("run={run}")),
        which.task.as_ref().map(|task| format!("task={task}")),
        which.state.as_ref().map(|state| format!("state={state}")),
        which.class.map(|class| format!("class={}", class.as_str())),
        which.fingerprint.map(|mark| format!("fingerprint={mark}")),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    format!("jobs/{}", said.join(","))
}
