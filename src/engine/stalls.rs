//! What stands still for no reason that is known. Everything unfinished has a live reason: a timer,
//! an attempt or an answer under way, input that may come, a person who has to say something (I8).
//! What has none is a mistake of the program, and nothing will move it.
//!
//! In come objects, out comes what each of them lacks. Reads only. [`crate::stuck`] looks in
//! production, a piece at a time; [`Engine::check_live`] looks at everything.

use crate::run_work::RunWork;
use crate::timers::Timer;
use crate::{Broken, Engine};
use model::dataset::{Block, BlockState};
use model::ids::{BlockId, RunNumber};
use model::job::{Job, JobState};
use model::lumi::LumiState;
use model::run::RunState;
use model::time::{Moment, Span};
use model::wait::{Object, WaitKind};
use pipelines::release::Released;

/// An attempt whose wall time is over has ended, or is found missing, within this time: three lists
/// that come late.
const WALL_GRACE: Span = Span::from_secs(600);
/// Lumis of a stream that are looked at in one go; those behind them wait for the same.
pub(crate) const LUMIS_LOOKED_AT_MAX: usize = 100;
/// What helps against whatever is only derived: it is made anew from the rows.
const RESTART: &str = "stop the instance and start it again with `tier0 serve`: what it works with \
                       is made anew from its rows, and nothing is lost or done twice";

/// Something without a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    /// As `tier0 why` names it; a block by its number.
    pub(crate) object: String,
    /// What is missing, as a sentence without its object.
    pub(crate) cause: String,
    /// What to do.
    pub(crate) remedy: String,
}

impl Stall {
    fn of(object: &Object, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            object: object.to_string(),
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }
}

impl Engine {
    /// I8: everything that is not over has a live reason. To be asked after a tick.
    pub fn check_live(&self, now: Moment) -> Vec<Broken> {
        let runs = self.runs.keys();
        let mut stalls: Vec<Stall> = runs
            .flat_map(|number| self.stalls_of_run(*number, now))
            .collect();
        let jobs = self.jobs.values();
        stalls.extend(jobs.filter_map(|job| self.stall_of_job(job, now)));
        let blocks = self.blocks.values();
        stalls.extend(blocks.filter_map(|block| self.stall_of_block(block)));
        let broken = stalls.into_iter().map(|stall| Broken {
            invariant: "I8",
            what: format!("{}: {}", stall.object, stall.cause),
        });
        broken.collect()
    }

    /// Why nothing will come of a job, if nothing will.
    pub(crate) fn stall_of_job(&self, job: &Job, now: Moment) -> Option<Stall> {
        let id = job.id;
        if job.state.is_terminal() {
            return None;
        }
        let object = Object::Job(id);
        let task = self.plan_of(job).and_then(|index| {
            let work = self.runs.get(&job.run)?;
            work.tasks.get(&index)
        });
        if task.is_none_or(|task| task.ended) {
            let cause = format!("it is {}, and its task has ended", job.state.word());
            return Some(Stall::of(&object, cause, RESTART));
        }
        // Nothing is put into words that nobody will read.
        let release = || format!("`tier0 job release {id}` puts it into the queue");
        let again = || {
            format!(
                "`tier0 job park {id}` ends its attempt, then `tier0 job release {id}` makes \
                 another"
            )
        };
        match job.state {
            JobState::Ready { not_before, .. } if not_before > now => {
                let set = self.timers.is_set(not_before, Timer::Backoff(id));
                let cause = "it pauses after a failure, and no timer ends its pause";
                (!set).then(|| Stall::of(&object, cause, release()))
            }
            // A person has to look at its run.
            JobState::Ready { .. } if self.is_quarantined(job.run) => None,
            JobState::Ready { .. } if !self.is_queued(job) => {
                let cause = "it is ready and not in the queue of those that wait for a place";
                Some(Stall::of(&object, cause, release()))
            }
            JobState::Ready { .. } => {
                let waits = self.cores_used >= self.cores || self.held_by().is_some();
                let (used, cores) = (self.cores_used, self.cores);
                let cause = || format!("it is ready, and {used} of {cores} cores are used");
                (!waits).then(|| Stall::of(&object, cause(), RESTART))
            }
            JobState::Sent { .. } | JobState::Running { .. } if !self.is_awaited(id) => {
                let cause = "its attempt is with the executor, and nobody asks what became of it";
                Some(Stall::of(&object, cause, again()))
            }
            JobState::Running { since, .. } => {
                let wall = self.plan_of(job).map(|at| self.needs_of(job, at).wall);
                let over = since + wall?;
                let cause = || {
                    format!(
                        "its wall time was over at {over}; the executor has it and does not end it"
                    )
                };
                (over + WALL_GRACE < now).then(|| Stall::of(&object, cause(), again()))
            }
            JobState::Committing { .. } => {
                let cause = self.why_no_answer(job)?;
                Some(Stall::of(&object, cause, RESTART))
            }
            // Somebody sends for it, or a person is asked by an alarm.
            JobState::Sent { .. }
            | JobState::Parked { .. }
            | JobState::Done { .. }
            | JobState::Failed { .. }
            | JobState::Superseded { .. }
            | JobState::Cancelled { .. } => None,
        }
    }

    /// Why nothing will be heard of the outputs of a job, if nothing will.
    fn why_no_answer(&self, job: &Job) -> Option<&'static str> {
        if self.reports.contains_key(&job.id) {
            return None;
        }
        if !self.unproven.contains_key(&job.id) {
            return Some("its outputs were to be put in place, and nobody waits for the answer");
        }
        let unverified = self.unverified(job.id);
        if unverified.is_empty() {
            return Some("what it read is as claimed, and it is not done");
        }
        let read = unverified.iter().all(|file| self.reading.contains(file));
        (!read).then_some("it waits for a file to be read back, and nobody reads it")
    }

    /// Why nothing will come of a run, or of anything in it but its jobs, if nothing will.
    pub(crate) fn stalls_of_run(&self, number: RunNumber, now: Moment) -> Vec<Stall> {
        let work = &self.runs[&number];
        let finished = matches!(work.run.state, RunState::Finished { .. });
        // In quarantine it waits for a person, and everything of it with it.
        if finished || self.is_quarantined(number) {
            return Vec::new();
        }
        let mut stalls: Vec<Stall> = self.stall_of_run_itself(number).into_iter().collect();
        let tasks = work.tasks.keys();
        stalls.extend(tasks.filter_map(|index| self.stall_of_task(number, *index, now)));
        if !work.run.state.is_closed() {
            stalls.extend(self.stalls_of_lumis(number, work, now));
        }
        stalls
    }

    fn stall_of_run_itself(&self, number: RunNumber) -> Option<Stall> {
        let work = &self.runs[&number];
        let stall = |cause: &str| Some(Stall::of(&Object::Run(number), cause, RESTART));
        if work.run.state.is_closed() {
            let ended = work.tasks.values().all(|task| task.ended);
            return if ended {
                stall("it is closed and all its tasks have ended, and it is not finished")
            } else {
                None
            };
        }
        if work.is_complete() {
            return stall("everything that was announced is here, and it is not closed");
        }
        if self.waits_for_data(number).is_empty() {
            return stall("nothing of it is missing, and it is not complete");
        }
        match work.looks_at {
            Some(at) if !self.timers.is_set(at, Timer::Overdue(number)) => {
                stall("nobody looks any more whether something of it is overdue")
            }
            _ => None,
        }
    }

    /// Lumis whose time-out nobody serves. What is open otherwise waits for data, or for a person.
    fn stalls_of_lumis(&self, number: RunNumber, work: &RunWork, now: Moment) -> Vec<Stall> {
        let looked_at = self.timers.first(Timer::Overdue(number));
        let mut stalls = Vec::new();
        for (name, stream) in &work.streams {
            let open = stream.lumis.iter();
            let open = open.filter(|(_, entry)| entry.state == LumiState::Open);
            for (lumi, _) in open.take(LUMIS_LOOKED_AT_MAX) {
                let due = self.times_out_at(number, name, *lumi);
                let Some(due) = due.filter(|_| !work.heard.has_time_out(name, *lumi)) else {
                    continue;
                };
                let cause = if due <= now {
                    format!("its time-out was at {due}, and nobody has said so")
                } else if looked_at.is_none_or(|at| at > due) {
                    format!("its time-out is at {due}, and no timer is set")
                } else {
                    continue;
                };
                let remedy = format!(
                    "`tier0 run close {number} --stream {name} --lumis {lumi} --as here` completes \
                     it with what is here"
                );
                let object = Object::Lumi(number, name.clone(), *lumi);
                stalls.push(Stall::of(&object, cause, remedy));
            }
        }
        stalls
    }

    fn stall_of_task(&self, number: RunNumber, index: usize, now: Moment) -> Option<Stall> {
        let (work, plan) = (&self.runs[&number], &self.plans[index]);
        let task = &work.tasks[&index];
        if task.ended || task.live_jobs > 0 {
            return None;
        }
        let object = Object::Task(number, plan.path.clone());
        let stall = |cause: &str| Some(Stall::of(&object, cause, RESTART));
        if !task.input_closed {
            let fed_out = match &plan.upstream {
                None => work.run.state.is_closed(),
                Some((upstream, _)) => work.tasks.get(upstream).is_none_or(|task| task.ended),
            };
            if fed_out {
                return stall("no more input will come, and nobody has told it");
            }
            if task.items.is_empty() {
                return None;
            }
        }
        // What was said of a wait may have changed since: whoever looks then sets the right timer.
        let looked_at = self.timers.first(Timer::Look(number, index)).is_some();
        if task.items.is_empty() {
            return match self.waits_its_turn(number, index, now) {
                None => stall("it has nothing more to do, and has not ended"),
                Some(_) if !looked_at => stall("it waits for its turn, and no timer is set"),
                Some(_) => None,
            };
        }
        if task.input_closed && self.is_being_split(number, index) {
            return None;
        }
        let cut = task.sorted.then(|| self.would_cut(now, number, index));
        let makes = cut.as_ref().is_none_or(|cut| {
            !cut.jobs.is_empty() || !cut.quarantined.is_empty() || !cut.declined.is_empty()
        });
        let wakes = cut.is_some_and(|cut| cut.wake.is_some());
        if !task.input_closed && !makes && !wakes {
            // Input that may come is all that it needs.
            return None;
        }
        match self.release(number, index, now)? {
            Released::Waits {
                until: Some(at), ..
            } => {
                let cause = format!("it waits until {at} at most, and no timer is set");
                (!looked_at).then(|| Stall::of(&object, cause, RESTART))
            }
            Released::Waits { kind, .. } => {
                let cause = self.why_never_released(number, kind)?;
                let path = &plan.path;
                let remedy = format!("`tier0 calib accept {path} --run {number}` lets it go");
                Some(Stall::of(&object, cause, remedy))
            }
            Released::Yes { .. } => {
                // What is not in order was not looked at either since it came.
                if makes {
                    stall("its input can be worked on, and nobody looks at it")
                } else if wakes && !looked_at {
                    stall("its splitter wants to be asked again, and no timer is set")
                } else if wakes {
                    None
                } else {
                    stall("its input is complete, and its splitter takes nothing of it")
                }
            }
        }
    }

    /// Why a wait without a bound will not end, if it will not: nobody is left who could decide.
    fn why_never_released(&self, number: RunNumber, kind: WaitKind) -> Option<&'static str> {
        let work = &self.runs[&number];
        if !work.run.state.is_closed() {
            return None;
        }
        let at_work = |decides: &dyn Fn(usize) -> bool| {
            let mut tasks = work.tasks.iter();
            tasks.any(|(index, task)| !task.ended && decides(*index))
        };
        match kind {
            WaitKind::Conditions => {
                let decides = |index: usize| !self.plans[index].task.calibrates.is_empty();
                let cause = "it waits for a constant that no task at work decides on";
                (!at_work(&decides)).then_some(cause)
            }
            WaitKind::Verdict if !self.quality.contains_key(&number) => {
                let decides = |index: usize| self.plans[index].task.certifies;
                let cause = "it waits for a verdict that no task at work gives";
                (!at_work(&decides)).then_some(cause)
            }
            WaitKind::RunClosed => Some("it waits for the end of a run that is closed"),
            // A person is asked, or the moment was not said yet.
            _ => None,
        }
    }

    /// Why an open block will never close, if it will not.
    pub(crate) fn stall_of_block(&self, block: &Block) -> Option<Stall> {
        let BlockId(id) = block.id;
        let open = block.state == BlockState::Open && !self.is_quarantined(block.run);
        let served = || {
            self.timers
                .is_set(block.closes_at, Timer::BlockAge(block.id))
        };
        (open && !served()).then(|| Stall {
            object: format!("block/{id}"),
            cause: format!(
                "it is open for {} of run {} until {} at most, and no timer is set",
                block.dataset, block.run, block.closes_at
            ),
            remedy: RESTART.to_owned(),
        })
    }
}
