//! Execution: jobs get a place, attempts are made, and what executors say of them is sorted out.
//!
//! Only the engine makes attempts (D16). News of an attempt that is not the current one is ignored:
//! its outputs are the garbage of a losing attempt.

use crate::dispatch::GroupKey;
use crate::in_force::Place;
use crate::timers::Timer;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::command::SplitInto;
use model::fact::Fact;
use model::failure::Fingerprint;
use model::ids::{AttemptNumber, JobId, LumiNumber, RunNumber, Token};
use model::job::{
    ExitClass, FailedAttempt, InputId, Job, JobEvent, JobState, LastFailure, ParkReason, Recipe,
    Slice, UsedConstant,
};
use model::resource::{Estimate, Needs};
use model::time::{Moment, Span};
use model::units::Events;
use model::work::{
    AttemptConstant, AttemptInput, AttemptNews, AttemptReport, AttemptSpec, Location,
};
use pipelines::definition::Task;
use pipelines::retry::{Consequence, Failure, ready_at};

/// A message of a program longer than this is cut: rows stay small whatever a program says.
const MESSAGE_BYTES_MAX: usize = 2_000;
/// The shortest pause after an attempt that a place did not take or lost.
const LOST_PAUSE_MIN: Span = Span::from_secs(1);

/// How a failed attempt ended.
#[derive(Clone, Copy)]
pub(crate) struct Ended<'m> {
    pub(crate) class: ExitClass,
    pub(crate) code: Option<i32>,
    pub(crate) message: &'m str,
}

impl Engine {
    /// Puts a ready job into the queue.
    pub(crate) fn enqueue(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let JobState::Ready { .. } = job.state else {
            return;
        };
        if self.is_quarantined(job.run) {
            return;
        }
        let (group, latest_start) = self.turn_of(job);
        self.queue.push(group, latest_start, id);
    }

    /// A ready job shall not be placed: takes it out of the queue, or ends its pause.
    pub(crate) fn hold_back(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let JobState::Ready { not_before, .. } = job.state else {
            return;
        };
        let (group, latest_start) = self.turn_of(job);
        if !self.timers.cancel(not_before, Timer::Backoff(id)) {
            self.queue.remove(group, latest_start, id);
        }
    }

    /// Whether a job waits for its turn.
    pub(crate) fn is_queued(&self, job: &Job) -> bool {
        let (group, latest_start) = self.turn_of(job);
        self.queue.has(group, latest_start, job.id)
    }

    /// Where a job stands in the queue: a constant of the job.
    fn turn_of(&self, job: &Job) -> (GroupKey, Moment) {
        // Rows of older versions do not say it.
        let of_task = || {
            let index = self.plan_of(job)?;
            job.deadline.map(|deadline| deadline - self.rest_of(index))
        };
        let latest_start = job.latest_start.or_else(of_task);
        let group = GroupKey {
            class: job.class,
            run: job.run,
        };
        (group, latest_start.unwrap_or(Moment::END_OF_TIME))
    }

    /// What an attempt of a job may use: what it is given after it ran out of something, or what is
    /// asked for it.
    pub(crate) fn needs_of(&self, job: &Job, index: usize) -> Needs {
        job.needs.unwrap_or_else(|| self.asked_for(job, index))
    }

    /// What its task asks for, or what its splitter expects where that is more.
    fn asked_for(&self, job: &Job, index: usize) -> Needs {
        let asked = self.plans[index].task.needs;
        job.estimate.map_or(asked, |estimate| {
            let cores = estimate.cores.min(self.cores);
            asked.at_least(&Estimate { cores, ..estimate })
        })
    }

    /// Gives free cores to ready jobs, unless a disk can take nothing of what they would write.
    pub(crate) fn place(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.held_by().is_some() {
            return;
        }
        while self.cores_used < self.cores {
            let Some(id) = self.queue.pop(now) else {
                return;
            };
            self.send(now, id, effects);
        }
    }

    fn send(&mut self, now: Moment, id: JobId, effects: &mut Vec<Effect>) {
        let Some(index) = self.jobs.get(&id).and_then(|job| self.plan_of(job)) else {
            return;
        };
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        match job.state.next(JobEvent::Sent(now)) {
            Ok(state) => job.state = state,
            Err(_) => return,
        }
        job.stamps.sent = Some(now);
        job.stamps.started = None;
        job.stamps.reported = None;
        self.cores_used += self.needs_of(&self.jobs[&id], index).cores;
        self.changed_jobs.insert(id);
        self.gone_out(now, id);
        self.read_what_stands(id);
        let spec = self.attempt_spec(&self.jobs[&id], index);
        let recipe = self.recipe_of(&spec);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.recipe = Some(recipe);
        }
        effects.push(Effect::Start(spec));
        self.verify_inputs(id, effects);
    }

    fn attempt_spec(&self, job: &Job, index: usize) -> AttemptSpec {
        let plan = &self.plans[index];
        let run = &self.runs[&job.run].run;
        AttemptSpec {
            token: self.token(job),
            plan: plan.attempt.clone(),
            run: job.run,
            run_type: run.run_type,
            label: run.label,
            lumis: job.lumis.clone(),
            inputs: self.attempt_inputs(job),
            global_tag: self.attempt_global_tag(&plan.task),
            constants: self.constants_for(job, &plan.task),
            deadline: job.deadline,
            needs: self.needs_of(job, index),
        }
    }

    /// What an attempt is made with, as its row keeps it.
    fn recipe_of(&self, spec: &AttemptSpec) -> Recipe {
        let program = spec.plan.program.iter().enumerate().map(|(at, word)| {
            let name = word.rsplit('/').next().unwrap_or_default();
            if at == 0 { name } else { word }
        });
        let used = |constant: &AttemptConstant| UsedConstant {
            tag: constant.tag.clone(),
            time_type: constant.time_type,
            since: constant.since,
            hash: constant.hash.clone(),
        };
        Recipe {
            program: program.collect::<Vec<_>>().join(" "),
            config_hash: self.runs[&spec.run].run.config_hash.clone(),
            global_tag: spec.global_tag.as_ref().map(|global| global.name.clone()),
            constants: spec.constants.iter().map(used).collect(),
        }
    }

    pub(crate) fn token(&self, job: &Job) -> Token {
        Token {
            epoch: self.epoch,
            job: job.id,
            attempt: job.state.attempt(),
        }
    }

    /// What a job reads; only its part, if it has one.
    fn attempt_inputs(&self, job: &Job) -> Vec<AttemptInput> {
        let (inputs, attempt) = (job.inputs.iter(), job.state.attempt());
        let mut inputs: Vec<AttemptInput> = inputs
            .filter_map(|id| self.attempt_input(*id, attempt))
            .collect();
        match &job.slice {
            None => {}
            Some(Slice::Events { first, last } | Slice::Generated { first, last, .. }) => {
                for input in inputs.iter_mut().take(1) {
                    input.first_event = Some(*first);
                    input.last_event = Some(*last);
                }
            }
            Some(Slice::Lumis(_)) => {
                for input in inputs.iter_mut().take(job.consumed as usize) {
                    input.lumis = common(&input.lumis, &job.lumis);
                }
            }
        }
        inputs
    }

    fn attempt_input(&self, input: InputId, attempt: AttemptNumber) -> Option<AttemptInput> {
        match input {
            InputId::File(id) => self.files.get(&id).map(|file| {
                let arrival = &file.arrival;
                let model::arrival::Checksum::Adler32(adler32) = arrival
                    .checksum
                    .unwrap_or(model::arrival::Checksum::Adler32(0));
                AttemptInput {
                    location: self.location_of(file, attempt),
                    bytes: arrival.bytes,
                    adler32: arrival.checksum.map(|_| adler32),
                    events: arrival.counts.map(|counts| Events(counts.accepted)),
                    lumis: vec![(arrival.lumi, arrival.lumi)],
                    first_event: None,
                    last_event: None,
                }
            }),
            InputId::Output(id) => self.outputs.get(&id).map(|output| AttemptInput {
                location: Location::Storage {
                    name: output.name.clone(),
                },
                bytes: output.bytes,
                adler32: Some(output.adler32),
                events: Some(output.events),
                lumis: output.lumis.clone(),
                first_event: None,
                last_event: None,
            }),
        }
    }

    /// What is in force for a job of what its task reads.
    fn constants_for(&self, job: &Job, task: &Task) -> Vec<AttemptConstant> {
        let run = &self.runs[&job.run].run;
        let place = Place::of(run, &job.lumis);
        let mut given = Vec::new();
        for read in self.constants.read_by(task, run) {
            let time_type = self.constants.time_type(&read.stored);
            let in_force = self.constants.in_force(&read.stored, place, read.by);
            given.extend(in_force.into_iter().map(|one| AttemptConstant {
                record: read.record.cloned(),
                tag: read.tag.clone(),
                time_type,
                since: one.since,
                hash: one.hash.to_owned(),
                text: one.text.clone(),
            }));
        }
        given
    }

    /// The job whose current attempt this token names; none if the token is of another attempt or
    /// epoch.
    fn current(&mut self, token: Token) -> Option<&mut Job> {
        let epoch = self.epoch;
        self.jobs.get_mut(&token.job).filter(|job| {
            token.epoch == epoch && job.state.attempt() == token.attempt && job.state.is_out()
        })
    }

    pub(crate) fn news(
        &mut self,
        now: Moment,
        token: Token,
        news: AttemptNews,
        effects: &mut Vec<Effect>,
    ) {
        let Some(job) = self.current(token) else {
            return;
        };
        match news {
            AttemptNews::Started { at } => {
                if let Ok(state) = job.state.next(JobEvent::Started(at)) {
                    job.state = state;
                    job.stamps.started = Some(at);
                    self.changed_jobs.insert(token.job);
                }
            }
            AttemptNews::Ended(report) => self.ended(now, token, report, effects),
        }
    }

    fn ended(
        &mut self,
        now: Moment,
        token: Token,
        report: Box<AttemptReport>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(job) = self.current(token) else {
            return;
        };
        if matches!(job.state, JobState::Committing { .. }) {
            return; // said twice
        }
        job.stamps.started = Some(report.started_at);
        job.stamps.reported = Some(report.ended_at);
        let id = job.id;
        self.changed_jobs.insert(id);
        self.free_cores(id);
        if report.class != ExitClass::Ok {
            let ended = Ended {
                class: report.class,
                code: report.code,
                message: &report.message,
            };
            self.attempt_ended(now, id, ended, effects);
            return;
        }
        if let Some(message) = self.broken_contract(id, &report) {
            self.attempt_failed(now, id, ExitClass::Program, &message, effects);
            return;
        }
        self.store_outputs(now, token, report, effects);
    }

    /// What a report of success lacks or has twice: every declared output is reported once.
    fn broken_contract(&self, id: JobId, report: &AttemptReport) -> Option<String> {
        let index = self.plan_of(self.jobs.get(&id)?)?;
        self.plans[index].attempt.outputs.iter().find_map(|wanted| {
            let label = &wanted.label;
            let reported = report
                .outputs
                .iter()
                .filter(|output| output.label == *label);
            match reported.count() {
                1 => None,
                0 => Some(format!(
                    "the program reported success without its output {label}; make it write and \
                     report every output that the task declares"
                )),
                times => Some(format!(
                    "the program reported its output {label} {times} times; make it report each \
                     output that the task declares once"
                )),
            }
        })
    }

    /// The executor has nothing of a job any more, and its cores are free.
    pub(crate) fn free_cores(&mut self, id: JobId) {
        self.come_back(id);
        let job = self.jobs.get(&id);
        if let Some((job, index)) = job.and_then(|job| Some((job, self.plan_of(job)?))) {
            let cores = self.needs_of(job, index).cores;
            self.cores_used = self.cores_used.saturating_sub(cores);
        }
    }

    /// An attempt failed after its program ended well: its outputs are not what they should be.
    pub(crate) fn attempt_failed(
        &mut self,
        now: Moment,
        id: JobId,
        class: ExitClass,
        message: &str,
        effects: &mut Vec<Effect>,
    ) {
        let code = None;
        let ended = Ended {
            class,
            code,
            message,
        };
        self.attempt_ended(now, id, ended, effects);
    }

    /// What follows from a failed attempt is in the task's retry policy (R21).
    fn attempt_ended(
        &mut self,
        now: Moment,
        id: JobId,
        ended: Ended<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let Some(index) = self.plan_of(job) else {
            return;
        };
        if ended.class == ExitClass::Lost {
            // A place that did not take an attempt, or lost it, costs nothing, but the cause may
            // last: a full disk, a place that is down.
            let pause = self.plans[index].task.retry.rule.base.max(LOST_PAUSE_MIN);
            let path = job.task.clone();
            let text = format!(
                "Attempts of {path} are not taken or get lost: {}. They are made again every \
                 {pause}, and cost nothing. Look at free space and the executor.",
                ended.message
            );
            self.alarm(
                now,
                format!("attempts-lost/{path}"),
                Severity::High,
                text,
                effects,
            );
            self.fail_attempt(now, id, ended, JobEvent::FailedRetry(now + pause), effects);
            return;
        }
        let event = self.follow(now, id, index, ended);
        self.fail_attempt(now, id, ended, event, effects);
    }

    /// Counts a failure and asks the policy.
    fn follow(&mut self, now: Moment, id: JobId, index: usize, ended: Ended<'_>) -> JobEvent {
        let splits = self.why_not_split(id).is_none();
        let Some(job) = self.jobs.get(&id) else {
            return JobEvent::FailedForGood(ended.class);
        };
        let asked = self.asked_for(job, index);
        let policy = &self.plans[index].task.retry;
        let Some(job) = self.jobs.get_mut(&id) else {
            return JobEvent::FailedForGood(ended.class);
        };
        let fingerprint = Fingerprint::of(ended.class, ended.code, ended.message);
        let before = job.failure.filter(|last| last.fingerprint == fingerprint);
        let same = before.map_or(0, |last| last.same) + 1;
        job.failure = Some(LastFailure {
            class: ended.class,
            code: ended.code,
            fingerprint,
            same,
        });
        job.failures += 1;
        let ran = job.stamps.started.zip(job.stamps.reported);
        let failure = Failure {
            class: ended.class,
            code: ended.code,
            ran: ran.map_or(Span::ZERO, |(from, to)| to.since(from)),
            failures: job.failures,
            same,
            had: job.needs.unwrap_or(asked),
            asked,
        };
        match policy.follow(&failure) {
            Consequence::Again {
                failures,
                pause,
                needs,
            } => {
                job.failures = failures;
                job.needs = (needs != asked).then_some(needs);
                JobEvent::FailedRetry(ready_at(now, pause))
            }
            Consequence::Park(reason) => JobEvent::FailedParked(reason),
            Consequence::Split if splits => JobEvent::Replaced,
            Consequence::Split | Consequence::Fail => JobEvent::FailedForGood(ended.class),
        }
    }

    /// Ends an attempt with what follows from it.
    pub(crate) fn fail_attempt(
        &mut self,
        now: Moment,
        id: JobId,
        ended: Ended<'_>,
        event: JobEvent,
        effects: &mut Vec<Effect>,
    ) {
        let Some(index) = self.jobs.get(&id).and_then(|job| self.plan_of(job)) else {
            return;
        };
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let Ok(state) = job.state.next(event) else {
            return;
        };
        let mut message = ended.message.to_owned();
        if message.len() > MESSAGE_BYTES_MAX {
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        }
        let failed = FailedAttempt {
            job: id,
            attempt: job.state.attempt(),
            class: ended.class,
            code: ended.code,
            fingerprint: Some(Fingerprint::of(ended.class, ended.code, ended.message)),
            message,
            at: now,
        };
        job.last_error = Some(failed.message.clone());
        job.state = state;
        self.changed_jobs.insert(id);
        effects.push(Effect::Record(Fact::AttemptFailedIs(failed)));
        match state {
            JobState::Ready { not_before, .. } if not_before > now => {
                self.timers.set(not_before, Timer::Backoff(id));
            }
            JobState::Ready { .. } => self.enqueue(id),
            JobState::Parked { reason, .. } => self.job_parked(now, id, reason, effects),
            JobState::Superseded { .. } => {
                let number = self.jobs[&id].run;
                self.job_ended(number, index);
                self.replace_job(now, id, index, SplitInto::Halves);
            }
            _ => self.job_failed(now, id, index, effects),
        }
    }

    /// A job waits for a person, and its run with it.
    pub(crate) fn job_parked(
        &mut self,
        now: Moment,
        id: JobId,
        reason: ParkReason,
        effects: &mut Vec<Effect>,
    ) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let (path, number) = (&job.task, job.run);
        let said = job.last_error.as_deref();
        let said = said.map_or(String::new(), |said| format!(" It said: {said}"));
        let text = format!(
            "Job {id} of {path} on run {number} is parked: {}. The run waits for it. `tier0 job \
             release {id}` goes on, `tier0 job split {id}` makes smaller jobs of it, `tier0 job \
             cancel {id}` gives it up.{said}",
            reason.sentence()
        );
        self.alarm(
            now,
            format!("job-parked/{id}"),
            Severity::Medium,
            text,
            effects,
        );
    }

    fn job_failed(&mut self, now: Moment, id: JobId, index: usize, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let (number, path) = (job.run, job.task.clone());
        let error = job.last_error.clone().unwrap_or_default();
        let until = if self.plans[index].task.calibrates.is_empty() {
            ", also after the run has finished"
        } else {
            " as long as the run's constants are not decided without it"
        };
        let text = format!(
            "{path} failed for good on run {number}: {error}. The run goes on without it. Its \
             input is kept: `tier0 job retry {id}` makes another attempt{until}."
        );
        self.announce(
            now,
            "job.failed",
            number,
            format!("job {id} ({path})"),
            effects,
        );
        self.alarm(
            now,
            format!("job-failed/{id}"),
            Severity::High,
            text,
            effects,
        );
        self.job_ended(number, index);
    }

    /// One job less under way in its task.
    pub(crate) fn job_ended(&mut self, number: RunNumber, index: usize) {
        if let Some(task) = self
            .runs
            .get_mut(&number)
            .and_then(|work| work.tasks.get_mut(&index))
        {
            assert!(task.live_jobs > 0, "a job ends once");
            task.live_jobs -= 1;
            // The next harvest may have waited for the one before it.
            if !task.readers.is_empty() {
                self.look_at.insert((number, index));
            }
        }
        self.conclude.insert(number);
    }

    /// After a restart: attempts of an older epoch are over, and cost nothing.
    pub(crate) fn attempts_lost(&mut self, now: Moment, jobs: &[JobId], effects: &mut Vec<Effect>) {
        for id in jobs {
            let Some(job) = self.jobs.get(id) else {
                continue;
            };
            if !job.state.is_out() {
                continue;
            }
            if !matches!(job.state, JobState::Committing { .. }) {
                self.free_cores(*id);
            }
            self.reports.remove(id);
            self.unproven.remove(id);
            let ended = Ended {
                class: ExitClass::Lost,
                code: None,
                message: "the attempt ended with the instance that made it; it is made again",
            };
            self.fail_attempt(now, *id, ended, JobEvent::FailedRetry(now), effects);
        }
    }
}

/// Lumis that two lists of closed ranges have in common.
pub(crate) fn common(
    one: &[(LumiNumber, LumiNumber)],
    other: &[(LumiNumber, LumiNumber)],
) -> Vec<(LumiNumber, LumiNumber)> {
    let pairs = one
        .iter()
        .flat_map(|a| other.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
    pairs.filter(|(first, last)| first <= last).collect()
}
