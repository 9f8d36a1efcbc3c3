//! Why something stands still: every rule that can hold work back, asked about one object or about
//! all that is at work. Reads only; nothing is decided here.

use crate::Engine;
use model::ids::{FileId, JobId, LumiNumber, RunNumber};
use model::job::{InputId, Job, JobState};
use model::names::{StreamName, TaskPath};
use model::time::Moment;
use model::wait::{Object, Wait, WaitKind, Why};
use pipelines::release::Released;

impl Engine {
    /// What waits, and for what: runs for their data, tasks for their release.
    pub fn waits(&self, now: Moment) -> Vec<Wait> {
        let numbers = self.runs.keys();
        let mut waits: Vec<Wait> = numbers
            .flat_map(|number| self.waits_of_run_itself(*number, now))
            .collect();
        for job in self.jobs.values() {
            waits.extend(self.wait_that_holds_run(job, now));
        }
        waits
    }

    /// Why an object stands as it stands; none when it is not known.
    pub fn why(&self, now: Moment, object: &Object) -> Option<Why> {
        let waits = match object {
            Object::Run(number) => {
                self.runs.get(number)?;
                self.waits_of_run(*number, now)
            }
            Object::Stream(number, stream) => {
                self.runs.get(number)?.streams.get(stream)?;
                self.waits_for_data(*number)
                    .into_iter()
                    .filter(|wait| is_of_stream(wait, stream))
                    .collect()
            }
            Object::Lumi(number, stream, lumi) => {
                self.runs.get(number)?.streams.get(stream)?;
                self.wait_of_lumi(*number, stream, *lumi)
                    .into_iter()
                    .collect()
            }
            Object::Task(number, path) => {
                let index = self.plan_at(*number, path)?;
                self.runs.get(number)?.tasks.get(&index)?;
                self.waits_of_task(*number, index, now)
            }
            Object::Gate(path) => self.waits_at_gate(path, now)?,
            Object::Job(id) => self.waits_of_job(self.jobs.get(id)?, now),
            Object::File(id) => self.waits_of_file(*id, now)?,
        };
        Some(Why {
            state: self.standing_of(object),
            object: object.clone(),
            waits,
        })
    }

    /// How an object stands, in a few words.
    pub(crate) fn standing_of(&self, object: &Object) -> String {
        let unknown = || "not known".to_owned();
        match object {
            Object::Run(number) => self.runs.get(number).map_or_else(unknown, |work| {
                format!("{}, {}", work.run.run_type, work.run.state.word())
            }),
            Object::Stream(number, name) => {
                let work = self.runs.get(number);
                let stream = work.and_then(|work| work.streams.get(name));
                stream.map_or_else(unknown, |stream| {
                    format!("complete up to lumi {}", stream.frontier.reached())
                })
            }
            Object::Lumi(number, stream, lumi) => self.standing_of_lumi(*number, stream, *lumi),
            Object::Task(number, path) => {
                let index = self.plan_at(*number, path);
                let work = self.runs.get(number);
                let task = index.and_then(|index| work.and_then(|work| work.tasks.get(&index)));
                task.map_or_else(unknown, |task| {
                    if task.ended {
                        return "ended".to_owned();
                    }
                    let (waiting, live) = (task.items.len(), task.live_jobs);
                    let made = task.made_jobs;
                    let ruled = self.ruled(path, Some(*number));
                    format!("{waiting} inputs wait, {live} jobs under way, {made} made{ruled}")
                })
            }
            Object::Gate(path) => format!("open{}", self.ruled(path, None)),
            Object::Job(id) => self.jobs.get(id).map_or_else(unknown, |job| {
                format!("{}, attempt {}", job.state.word(), job.state.attempt())
            }),
            Object::File(id) => self.files.get(id).map_or_else(unknown, |file| {
                if file.late { "late" } else { "accepted" }.to_owned()
            }),
        }
    }

    fn standing_of_lumi(&self, number: RunNumber, stream: &StreamName, lumi: LumiNumber) -> String {
        let work = self.runs.get(&number);
        let entry = work
            .and_then(|work| work.streams.get(stream))
            .and_then(|stream| stream.lumis.get(&lumi));
        let Some(entry) = entry else {
            return "nothing has come".to_owned();
        };
        let (state, received) = (format!("{:?}", entry.state).to_lowercase(), entry.received);
        format!(
            "{state}: {} files, {} events accounted for",
            received.files, received.events_accounted
        )
    }

    fn waits_of_run(&self, number: RunNumber, now: Moment) -> Vec<Wait> {
        let mut waits = self.waits_of_run_itself(number, now);
        for job in self.jobs.values().filter(|job| job.run == number) {
            waits.extend(self.wait_that_holds_run(job, now));
        }
        waits
    }

    /// A job that is parked, or pauses, and its run with it.
    fn wait_that_holds_run(&self, job: &Job, now: Moment) -> Option<Wait> {
        let holds = match job.state {
            JobState::Ready { not_before, .. } => not_before > now,
            JobState::Parked { .. } => true,
            _ => false,
        };
        let waits = holds.then(|| self.waits_of_job(job, now));
        waits.and_then(|mut waits| waits.pop())
    }

    /// What a run waits for, but for its jobs.
    fn waits_of_run_itself(&self, number: RunNumber, now: Moment) -> Vec<Wait> {
        let mut waits = self.waits_for_data(number);
        for index in self.runs[&number].tasks.keys() {
            waits.extend(self.wait_for_release(number, *index, now));
        }
        waits
    }

    /// Why a run is not closed.
    fn waits_for_data(&self, number: RunNumber) -> Vec<Wait> {
        let work = &self.runs[&number];
        if work.run.state.is_closed() {
            return Vec::new();
        }
        let of_run = |kind, reason: &str, remedy: String| Wait {
            object: Object::Run(number),
            run: number,
            kind,
            reason: reason.to_owned(),
            since: Some(work.run.opened_at),
            until: None,
            remedy,
        };
        let stop = format!("tier0 run stop {number} --last-lumi N says that it has ended");
        let Some(last) = work.run.last_lumi else {
            return vec![of_run(
                WaitKind::EndOfRun,
                "its end was not announced yet",
                stop,
            )];
        };
        if work.streams.is_empty() {
            let reason = "no file of any stream has come";
            return vec![of_run(WaitKind::FirstFile, reason, stop)];
        }
        let holes = work.streams.iter().filter_map(|(name, stream)| {
            let reached = stream.frontier.reached();
            (reached < last).then(|| self.wait_of_lumi(number, name, LumiNumber(reached + 1)))?
        });
        holes.collect()
    }

    /// Why a lumi of a stream is not complete; none when it is.
    fn wait_of_lumi(&self, number: RunNumber, name: &StreamName, lumi: LumiNumber) -> Option<Wait> {
        let work = &self.runs[&number];
        let stream = work.streams.get(name)?;
        (!stream.frontier.is_closed(lumi)).then(|| Wait {
            object: Object::Lumi(number, name.clone(), lumi),
            run: number,
            kind: WaitKind::LumiFiles,
            reason: format!("lumi {lumi} of stream {name} is not complete"),
            since: None,
            until: None,
            remedy: format!("tier0 file ls --run {number} shows what is here"),
        })
    }

    fn waits_of_task(&self, number: RunNumber, index: usize, now: Moment) -> Vec<Wait> {
        let release = self.wait_for_release(number, index, now);
        if release.is_some() {
            return release.into_iter().collect();
        }
        let (work, plan) = (&self.runs[&number], &self.plans[index]);
        let task = &work.tasks[&index];
        if task.ended {
            return Vec::new();
        }
        let mut waits: Vec<Wait> = work
            .streams
            .iter()
            .filter(|(name, _)| plan.reads_stream(name))
            .filter_map(|(name, stream)| self.wait_of_lumi(number, name, stream.frontier.hole()?))
            .map(|hole| Wait {
                object: Object::Task(number, plan.path.clone()),
                kind: WaitKind::LumiHole,
                reason: format!("behind a hole: {}", hole.reason),
                ..hole
            })
            .collect();
        let own = |job: &&Job| job.run == number && job.task == plan.path;
        for job in self.jobs.values().filter(own) {
            waits.extend(self.wait_that_holds_run(job, now));
        }
        if waits.is_empty() && !task.input_closed && task.live_jobs == 0 {
            waits.push(Wait {
                object: Object::Task(number, plan.path.clone()),
                run: number,
                kind: WaitKind::Input,
                reason: "more input may come".to_owned(),
                since: None,
                until: None,
                remedy: format!("tier0 why run/{number} says what the run waits for"),
            });
        }
        waits
    }

    /// What waits at a task, in all runs; none when there is no such task.
    fn waits_at_gate(&self, path: &TaskPath, now: Moment) -> Option<Vec<Wait>> {
        let index = self.plans.iter().position(|plan| plan.path == *path)?;
        let runs = self.runs.keys();
        Some(
            runs.filter_map(|run| self.wait_for_release(*run, index, now))
                .collect(),
        )
    }

    /// What a person has ruled on a task, for the end of a sentence.
    fn ruled(&self, path: &TaskPath, run: Option<RunNumber>) -> String {
        let ruling = self.rulings.get(&(path.clone(), run));
        ruling.map_or_else(String::new, |ruling| {
            format!(", {} by {}", ruling.kind.as_str(), ruling.by)
        })
    }

    pub(crate) fn wait_for_release(
        &self,
        number: RunNumber,
        index: usize,
        now: Moment,
    ) -> Option<Wait> {
        let Some(Released::Waits {
            kind,
            reason,
            until,
        }) = self.release(number, index, now)
        else {
            return None;
        };
        let remedy = format!(
            "tier0 calib accept {} --run {number} lets it go now",
            self.plans[index].path
        );
        Some(Wait {
            object: Object::Task(number, self.plans[index].path.clone()),
            run: number,
            kind,
            reason,
            since: None,
            until,
            remedy,
        })
    }

    /// Why a job is not done.
    fn waits_of_job(&self, job: &Job, now: Moment) -> Vec<Wait> {
        let id = job.id;
        let (kind, reason, since, until) = match job.state {
            JobState::Ready { not_before, .. } if not_before > now => {
                let said = job.last_error.as_deref().unwrap_or("nothing was said");
                let reason = format!(
                    "it pauses before attempt {} after a failure: {said}",
                    job.state.attempt()
                );
                (WaitKind::Pause, reason, None, Some(not_before))
            }
            JobState::Ready { .. } => {
                let (ready, used) = (self.queue.len(), self.cores_used);
                let reason = format!(
                    "{ready} jobs are ready, {used} of {} cores are used",
                    self.cores
                );
                (WaitKind::Place, reason, Some(job.stamps.made), None)
            }
            JobState::Sent { at, .. } => {
                let reason = "its program is being started".to_owned();
                (WaitKind::Program, reason, Some(at), None)
            }
            JobState::Running { since, .. } => {
                let reason = "its program runs".to_owned();
                (WaitKind::Program, reason, Some(since), None)
            }
            JobState::Committing { since, .. } => {
                let reason = "its outputs are being put in place".to_owned();
                (WaitKind::Outputs, reason, Some(since), None)
            }
            JobState::Failed { class, .. } => {
                let said = job.last_error.as_deref().unwrap_or("nothing was said");
                let reason = format!("it failed for good ({}): {said}", class.as_str());
                (WaitKind::Failed, reason, job.stamps.reported, None)
            }
            JobState::Parked { reason, .. } => {
                let said = job.last_error.as_deref();
                let said = said.map_or(String::new(), |said| format!("; it said: {said}"));
                let reason = format!("it is parked: {}{said}", reason.sentence());
                (WaitKind::Parked, reason, None, None)
            }
            JobState::Done { .. } | JobState::Superseded { .. } | JobState::Cancelled { .. } => {
                return Vec::new();
            }
        };
        let remedy = match kind {
            WaitKind::Failed => format!("tier0 job retry {id}"),
            WaitKind::Pause => format!("tier0 job release {id} ends the pause"),
            WaitKind::Parked => format!(
                "tier0 job release {id} goes on, tier0 job split {id} makes smaller jobs of it, \
                 tier0 job cancel {id} gives it up"
            ),
            WaitKind::Place => "tier0 job ls --state running shows who has the cores".to_owned(),
            _ => format!("tier0 job show {id} has the details"),
        };
        vec![Wait {
            object: Object::Job(id),
            run: job.run,
            kind,
            reason,
            since,
            until,
            remedy,
        }]
    }

    /// Why a file has not been worked on to the end: its lumi, the tasks that read it, the jobs
    /// that have it.
    fn waits_of_file(&self, id: FileId, now: Moment) -> Option<Vec<Wait>> {
        let file = self.files.get(&id)?;
        let (number, arrival) = (file.arrival.run, &file.arrival);
        let mut waits: Vec<Wait> = self
            .wait_of_lumi(number, &arrival.stream, arrival.lumi)
            .into_iter()
            .collect();
        let jobs = self
            .jobs
            .values()
            .filter(|job| job.run == number && job.inputs.contains(&InputId::File(id)));
        let takers: Vec<JobId> = jobs.map(|job| job.id).collect();
        for taker in &takers {
            waits.extend(self.waits_of_job(&self.jobs[taker], now));
        }
        let holds = |task: &crate::run_work::TaskWork| {
            task.items.iter().any(|item| item.id == InputId::File(id))
        };
        for (index, task) in &self.runs.get(&number)?.tasks {
            if holds(task) {
                waits.extend(self.waits_of_task(number, *index, now));
            }
        }
        Some(waits)
    }
}

/// Whether a wait is of this stream.
fn is_of_stream(wait: &Wait, stream: &StreamName) -> bool {
    match &wait.object {
        Object::Stream(_, name) | Object::Lumi(_, name, _) => name == stream,
        Object::Run(_) | Object::Task(..) | Object::Gate(_) | Object::Job(_) | Object::File(_) => {
            false
        }
    }
}
