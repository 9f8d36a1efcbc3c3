//! Why something stands still: every rule that can hold work back, asked about one object or about
//! all that is at work. Reads only; nothing is decided here.

use crate::Engine;
use crate::overdue::LUMIS_NAMED_MAX;
use crate::verdict_actions::looked;
use model::ids::{FileId, JobId, LumiNumber, RunNumber};
use model::job::{InputId, Job, JobState};
use model::lumi::LumiState;
use model::names::{StreamName, TaskPath};
use model::time::Moment;
use model::wait::{Object, Wait, WaitKind, Why};
use model::witness::{End, Merged};
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
        waits.extend(self.waits_of_history(None));
        waits
    }

    /// Why an object stands as it stands; none when it is not known.
    pub fn why(&self, now: Moment, object: &Object) -> Option<Why> {
        let waits = match object {
            Object::Run(number) if self.archive.knows(*number) => {
                self.waits_of_history(Some(*number))
            }
            Object::Run(number) => {
                self.runs.get(number)?;
                self.waits_of_run(*number, now)
            }
            Object::Stream(number, stream) => {
                self.runs.get(number)?.streams.get(stream)?;
                self.waits_of_stream(*number, stream)
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
        let history = |number| {
            let word = self.archive.word(number).map(str::to_owned);
            word.unwrap_or_else(unknown)
        };
        match object {
            Object::Run(number) => self.runs.get(number).map_or_else(
                || history(*number),
                |work| {
                    let run = &work.run;
                    let (word, part) = (run.state.word(), run.part);
                    if part == model::file::FIRST_PART {
                        format!("{}, {word}", run.run_type)
                    } else {
                        format!("{}, {word}, part {part}", run.run_type)
                    }
                },
            ),
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
                if self.is_at_work(file) {
                    format!("accepted for part {}", file.part)
                } else {
                    "late: kept for the next part of its run".to_owned()
                }
            }),
        }
    }

    fn standing_of_lumi(&self, number: RunNumber, stream: &StreamName, lumi: LumiNumber) -> String {
        let work = self.runs.get(&number);
        let entry = work
            .and_then(|work| work.streams.get(stream))
            .and_then(|stream| stream.lumis.get(&lumi));
        let Some(entry) = entry else {
            let ended = work.filter(|work| !work.may_have(lumi));
            return ended.and_then(|work| work.run.last_lumi).map_or_else(
                || "nothing has come".to_owned(),
                |last| format!("no lumi of the run, which ended with lumi {last}"),
            );
        };
        let (state, received) = (entry.state.word(), entry.received);
        format!(
            "{state}: {} files, {} events accounted for",
            received.files, received.events_accounted
        )
    }

    fn waits_of_run(&self, number: RunNumber, now: Moment) -> Vec<Wait> {
        let mut waits = self.waits_of_run_itself(number, now);
        waits.extend(self.waits_for_lookers(number, now));
        for job in self.jobs_of(number) {
            waits.extend(self.wait_that_holds_run(job, now));
        }
        waits
    }

    /// A job that is parked, or pauses, or whose outputs are on their way, and its run with it.
    fn wait_that_holds_run(&self, job: &Job, now: Moment) -> Option<Wait> {
        let holds = match job.state {
            JobState::Ready { not_before, .. } => not_before > now,
            JobState::Parked { .. } | JobState::Committing { .. } => true,
            _ => false,
        };
        let waits = holds.then(|| self.waits_of_job(job, now));
        waits.and_then(|mut waits| waits.pop())
    }

    /// What a run waits for, but for its jobs.
    fn waits_of_run_itself(&self, number: RunNumber, now: Moment) -> Vec<Wait> {
        let mut waits: Vec<Wait> = self.wait_in_quarantine(number).into_iter().collect();
        waits.extend(self.waits_for_data(number));
        waits.extend(self.wait_for_reopening(number));
        waits.extend(self.waits_for_belated(number));
        for index in self.runs[&number].tasks.keys() {
            waits.extend(self.wait_for_release(number, *index, now));
            let held = self.wait_of_splitter(number, *index);
            waits.extend(held.filter(|wait| wait.kind != WaitKind::Input));
        }
        waits
    }

    /// Files that came after their run was closed wait for a person.
    fn wait_for_reopening(&self, number: RunNumber) -> Option<Wait> {
        let late = self.late_files(number);
        let since = late.iter().map(|file| file.arrival.seen_at).min()?;
        Some(Wait {
            object: Object::Run(number),
            run: number,
            kind: WaitKind::LateFiles,
            reason: format!("{} files came after it was closed", late.len()),
            since: Some(since),
            until: None,
            remedy: format!("tier0 run reopen {number} works on them as a new part of the run"),
        })
    }

    /// Who said after a run was closed that there is more, or less, than it was closed with.
    fn waits_for_belated(&self, number: RunNumber) -> Vec<Wait> {
        let disagreements = self.runs[&number].disagreements();
        disagreements
            .map(|(witness, what)| Wait {
                object: Object::Run(number),
                run: number,
                kind: WaitKind::LateRecord,
                reason: format!(
                    "the {} said after it was closed {what}",
                    witness.source.as_str()
                ),
                since: Some(witness.at),
                until: None,
                remedy: format!(
                    "ask the detector's experts; tier0 run reopen {number} works on files that \
                     still come"
                ),
            })
            .collect()
    }

    /// Why a run is not closed.
    pub(crate) fn waits_for_data(&self, number: RunNumber) -> Vec<Wait> {
        let work = &self.runs[&number];
        if work.run.state.is_closed() {
            return Vec::new();
        }
        let mut waits: Vec<Wait> = self.wait_for_end(number).into_iter().collect();
        for name in work.streams.keys() {
            waits.extend(self.waits_of_stream(number, name));
        }
        if waits.is_empty() && work.streams.is_empty() {
            waits.push(Wait {
                object: Object::Run(number),
                run: number,
                kind: WaitKind::FirstFile,
                reason: "no file of any stream has come".to_owned(),
                since: work.run.ended_at,
                until: None,
                remedy: format!("tier0 run close {number} gives up what was announced"),
            });
        }
        waits
    }

    /// Why a run's end is not known.
    fn wait_for_end(&self, number: RunNumber) -> Option<Wait> {
        let work = &self.runs[&number];
        let stop = format!("tier0 run stop {number} --last-lumi N says with which lumi it ended");
        let (kind, reason, remedy) = match (work.end_dispute(), work.heard.end()) {
            (Some(what), _) => {
                let reason = format!("its end is disputed: {what}");
                (WaitKind::EndDisputed, reason, stop)
            }
            (None, End::Unknown) => {
                let reason = "its end was not announced yet".to_owned();
                (WaitKind::EndOfRun, reason, stop)
            }
            (None, End::Partly(missing)) => {
                let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
                let missing = missing.join(", ");
                let reason = format!("data acquisition instance {missing} has not ended");
                (WaitKind::DaqInstance, reason, stop)
            }
            (None, End::Known { .. } | End::Contradiction(_)) => return None,
        };
        Some(Wait {
            object: Object::Run(number),
            run: number,
            kind,
            reason,
            since: Some(work.run.opened_at),
            until: None,
            remedy,
        })
    }

    /// Lumis of a stream that keep what comes after them, or the run, from going on. The first few
    /// are told one by one.
    fn waits_of_stream(&self, number: RunNumber, name: &StreamName) -> Vec<Wait> {
        let work = &self.runs[&number];
        let Some(stream) = work.streams.get(name) else {
            return Vec::new();
        };
        let reached = stream.frontier.reached();
        let known = stream.lumis.keys().next_back().map_or(0, |lumi| lumi.0);
        let last = work.run.last_lumi.unwrap_or(known);
        let open = (reached + 1..=last).map(LumiNumber);
        let mut open = open.filter(|lumi| !stream.frontier.is_closed(*lumi));
        let mut waits: Vec<Wait> = open
            .by_ref()
            .take(LUMIS_NAMED_MAX)
            .filter_map(|lumi| self.wait_of_lumi(number, name, lumi))
            .collect();
        let rest = open.count();
        if let Some(wait) = waits.last_mut().filter(|_| rest > 0) {
            wait.reason = format!("{} (and {rest} more lumis after it)", wait.reason);
        }
        waits
    }

    /// Why a lumi of a stream is not complete; none when it is.
    fn wait_of_lumi(&self, number: RunNumber, name: &StreamName, lumi: LumiNumber) -> Option<Wait> {
        let work = &self.runs[&number];
        let stream = work.streams.get(name)?;
        if stream.frontier.is_closed(lumi) || !work.may_have(lumi) {
            return None;
        }
        let entry = stream.lumis.get(&lumi);
        let of_lumi = format!("tier0 run close {number} --stream {name} --lumis {lumi}");
        let lost = format!("{of_lumi} gives up what is missing; --as here or --as empty says more");
        let disputed = entry.is_some_and(|entry| entry.state == LumiState::Disputed);
        let (kind, reason, remedy) = match work.heard.merged(name, lumi) {
            _ if disputed => {
                let reason = format!("disputed: {}", work.dispute(name, lumi));
                let remedy = format!("{of_lumi} --as here accepts what is here");
                (WaitKind::LumiDisputed, reason, remedy)
            }
            Merged::Partly(_) => (WaitKind::DaqInstance, work.short_of(name, lumi), lost),
            Merged::Unknown => (WaitKind::LumiRecord, work.short_of(name, lumi), lost),
            _ => (WaitKind::LumiFiles, work.short_of(name, lumi), lost),
        };
        let spoken = work.heard.spoken_at(lumi);
        let seen = entry.and_then(|entry| entry.last_seen);
        Some(Wait {
            object: Object::Lumi(number, name.clone(), lumi),
            run: number,
            kind,
            reason,
            since: spoken.into_iter().chain(seen).min(),
            until: self.times_out_at(number, name, lumi),
            remedy,
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
        if let Some(wait) = self.wait_of_splitter(number, index) {
            return vec![wait];
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
        for job in self.jobs_of(number).filter(|job| job.task == plan.path) {
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
        let path = &self.plans[index].path;
        let mut remedy = format!("tier0 calib accept {path} --run {number} lets it go now");
        if kind == WaitKind::GlobalTag {
            remedy = format!("{}; {remedy}", self.remedy_for_global_tag(number, index));
        }
        let of_run = self.rulings.contains_key(&(path.clone(), Some(number)));
        if kind == WaitKind::Held && !of_run {
            remedy.push_str(&format!(
                "; tier0 calib accept {path} lets all runs go again"
            ));
        }
        if let Some(hold) = self.held_by_verdict(number, index)
            && kind == WaitKind::Verdict
        {
            remedy = format!("{}; {remedy}", looked(hold.by, number));
        }
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
            JobState::Ready { .. } if self.is_quarantined(job.run) => {
                let wait = self.wait_in_quarantine(job.run);
                let reason = wait.map_or_else(String::new, |wait| {
                    format!("no job of run {} is started: {}", job.run, wait.reason)
                });
                (WaitKind::Quarantine, reason, Some(job.stamps.made), None)
            }
            JobState::Ready { .. } if self.held_by().is_some() => {
                let held_by = self.held_by().map_or("", |alarm| &alarm.key);
                let reason = format!("no job is started while the alarm {held_by} stands");
                (WaitKind::Place, reason, Some(job.stamps.made), None)
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
                let reason = if self.unproven.contains_key(&job.id) {
                    "what it read is being compared with what its sender claims"
                } else {
                    "its outputs are being put in place"
                };
                (WaitKind::Outputs, reason.to_owned(), Some(since), None)
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
            WaitKind::Failed => self
                .plan_of(job)
                .and_then(|at| self.why_not_resumed(job, at))
                .unwrap_or_else(|| format!("tier0 job retry {id} makes another attempt")),
            WaitKind::Pause => format!("tier0 job release {id} ends the pause"),
            WaitKind::Parked => format!(
                "tier0 job release {id} goes on, tier0 job split {id} makes smaller jobs of it, \
                 tier0 job cancel {id} gives it up"
            ),
            WaitKind::Quarantine => format!("tier0 run reopen {} lets the run go on", job.run),
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
        if !self.is_at_work(file) {
            let late = self.wait_for_reopening(number);
            return Some(late.into_iter().chain(self.wait_of_source(file)).collect());
        }
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
        waits.extend(self.wait_of_source(file));
        Some(waits)
    }
}
