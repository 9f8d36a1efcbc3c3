//! Warm workers: programs that stay and take one job after the other, as JSON lines (contracts,
//! section 6).
//!
//! In: attempts of tasks in warm mode. Out: their reports. Workers of the same program and
//! parameters form a pool; a worker has at most one job, further ones wait in the pool's queue, and
//! there are never more workers in a pool than cores. A worker that is silent too long, speaks
//! anything but the protocol, or dies, fails only the job it had.

use crate::judge::{Cause, Seen, ended_by_us, finish, signal_of};
use crate::local::Shared;
use crate::report::{REPORT_BYTES_MAX, Report, ReportFile};
use crate::state::{Blame, Ending, Gone, Place, PoolKey, State, Task, Worker};
use crate::wire::{End, Force, Request, Start};
use model::ids::Token;
use model::job::ExitClass;
use model::work::{AttemptPlan, AttemptReport, AttemptSpec};
use ports::executor::Submitted;
use ports::failpoint::{Point, pass};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A worker that does not read its line for so long is stuck.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const QUIT: &[u8] = b"{\"quit\":{}}\n";

/// What a worker may say.
#[derive(Deserialize)]
struct Line {
    hello: Option<IgnoredAny>,
    progress: Option<IgnoredAny>,
    report: Option<Box<ReportFile>>,
}

type Lines = Arc<Mutex<UnixStream>>;

impl Shared {
    pub(crate) fn submit_warm(self: &Arc<Self>, spec: &AttemptSpec) -> Submitted {
        let task = match self.task(spec) {
            Ok(task) => task,
            Err(reason) => return Submitted::Refused { reason },
        };
        let pool_key = PoolKey::of(&spec.plan, &spec.needs);
        let mut state = self.state();
        let pool = state.pools.entry(pool_key.clone()).or_default();
        if let Some(key) = pool.idle.pop() {
            let (lines, line) = state.assign(key, task).expect("idle workers are workers");
            drop(state);
            self.write(key, &lines, &line);
            return Submitted::Accepted;
        }
        if pool.workers < self.options.cores {
            pool.workers += 1;
            drop(state);
            self.start_worker(pool_key, &spec.plan, Some(task));
        } else {
            pool.waiting.push_back(task);
            state.places.insert(spec.token, Place::Queue);
        }
        Submitted::Accepted
    }

    /// The job as a line, and a folder for its outputs where there are any.
    fn task(&self, spec: &AttemptSpec) -> Result<Task, String> {
        let folder = if spec.plan.outputs.is_empty() {
            None
        } else {
            let folder = self
                .folders
                .take()
                .and_then(|folder| self.folders.name(&folder, spec.token))
                .map_err(|error| {
                    let work_dir = self.options.work_dir.display();
                    format!("making the attempt's folder under {work_dir} failed: {error}")
                })?;
            Some(folder)
        };
        let mut line = b"{\"job\":".to_vec();
        line.extend(self.places.job_json(spec, folder.as_deref())?);
        line.extend(b"}\n");
        Ok(Task {
            token: spec.token,
            plan: Arc::clone(&spec.plan),
            needs: spec.needs,
            lumis: spec.lumis.clone(),
            folder,
            line: line.into(),
            sent_at: self.now(),
            told: false,
            ending: None,
        })
    }

    pub(crate) fn prepare_workers(self: &Arc<Self>, plan: &Arc<AttemptPlan>, count: u32) {
        let key = PoolKey::of(plan, &plan.needs);
        loop {
            let mut state = self.state();
            let pool = state.pools.entry(key.clone()).or_default();
            if pool.workers >= count.min(self.options.cores) {
                return;
            }
            pool.workers += 1;
            drop(state);
            if !self.start_worker(key.clone(), plan, None) {
                return;
            }
        }
    }

    pub(crate) fn release_workers(&self) {
        let idle: Vec<u64> = self
            .state()
            .pools
            .values()
            .flat_map(|pool| pool.idle.iter().copied())
            .collect();
        for key in idle {
            self.retire(key);
        }
    }

    /// Starts a worker that was counted in its pool; tells whether the request went out.
    fn start_worker(
        self: &Arc<Self>,
        pool: PoolKey,
        plan: &Arc<AttemptPlan>,
        task: Option<Task>,
    ) -> bool {
        pass(Point::WorkerWanted);
        let key = self.state().take_key();
        let data_bytes_max = Self::data_bytes_max(pool.memory);
        let prepared = self
            .program(plan)
            .map_err(|reason| (ExitClass::Program, reason));
        let prepared = prepared.and_then(|program| {
            let site = |error: io::Error| {
                (
                    ExitClass::Site,
                    format!("preparing a worker failed: {error}"),
                )
            };
            let (ours, theirs) = UnixStream::pair().map_err(site)?;
            ours.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(site)?;
            let reader = ours.try_clone().map_err(site)?;
            let folder = self.folders.named(&format!("worker-{key}")).map_err(site)?;
            Ok((program, ours, reader, theirs, folder))
        });
        let (program, ours, reader, theirs, folder) = match prepared {
            Ok(prepared) => prepared,
            Err((class, reason)) => {
                self.state().pools.entry(pool).or_default().workers -= 1;
                if let Some(task) = task {
                    self.failed(&task, class, reason);
                }
                return false;
            }
        };
        let lines = Arc::new(Mutex::new(ours));
        let worker = Worker {
            pool,
            plan: Arc::clone(plan),
            folder: folder.clone(),
            lines: Arc::clone(&lines),
            task: None,
            greeted: false,
            done: 0,
            since: self.now(),
            leaving: false,
            killed: None,
            silent: false,
            gone: None,
        };
        let line = {
            let mut state = self.state();
            self.wake_keeper(&mut state);
            state.workers.insert(key, worker);
            match task {
                Some(task) => state.assign(key, task).map(|(_, line)| line),
                None => None,
            }
        };
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name(format!("worker-{key}"));
        if thread.spawn(move || shared.listen(key, reader)).is_err() {
            self.state()
                .workers
                .get_mut(&key)
                .expect("inserted above")
                .silent = true;
        }
        let mut arguments = plan.program[1..].to_vec();
        arguments.push("--tier0-worker".to_owned());
        let name = format!("worker-{key}");
        let start = Start {
            key,
            name,
            program,
            arguments,
            folder,
            data_bytes_max,
            channel: true,
        };
        let sent = self.request(&Request::Start(start), Some(theirs.as_fd()));
        drop(theirs);
        pass(Point::WorkerRequested);
        if let Err(reason) = &sent {
            // Nothing was started, so its socket closes by itself.
            self.worker_gone(key, Gone::NotStarted(ExitClass::Lost, reason.clone()));
        } else if let Some(line) = line {
            self.write(key, &lines, &line);
        }
        sent.is_ok()
    }

    /// Reads what a worker says until it is gone.
    fn listen(self: &Arc<Self>, key: u64, socket: UnixStream) {
        let mut reader = BufReader::with_capacity(64 << 10, socket);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader
                .by_ref()
                .take(REPORT_BYTES_MAX)
                .read_until(b'\n', &mut line);
            match read {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let heard = if line.ends_with(b"\n") {
                self.heard_line(key, &line)
            } else if line.len() as u64 >= REPORT_BYTES_MAX {
                Err("said a line without end".to_owned())
            } else {
                // Cut off by its death, which says more.
                Ok(())
            };
            if let Err(fault) = heard {
                self.kill_worker(key, Blame::Protocol(fault));
                break;
            }
        }
        // Nothing more is wanted from it; a worker that goes on writing gets SIGPIPE.
        drop(reader);
        let mut state = self.state();
        if let Some(worker) = state.workers.get_mut(&key) {
            worker.silent = true;
            let pool = worker.pool.clone();
            if let Some(pool) = state.pools.get_mut(&pool) {
                pool.idle.retain(|idle| *idle != key);
            }
        }
        drop(state);
        self.bury(key);
    }

    /// The error says what it did instead of speaking the protocol.
    fn heard_line(self: &Arc<Self>, key: u64, line: &[u8]) -> Result<(), String> {
        pass(Point::LineHeard);
        let said: Line = serde_json::from_slice(line).map_err(|error| {
            let start: String = String::from_utf8_lossy(line).chars().take(80).collect();
            format!(
                "said what is no line of the worker protocol ({error}): {:?}",
                start.trim()
            )
        })?;
        let now = self.now();
        let mut state = self.state();
        let Some(worker) = state.workers.get_mut(&key) else {
            return Ok(());
        };
        if said.hello.is_some() {
            let free = !worker.greeted && worker.task.is_none() && !worker.leaving;
            worker.greeted = true;
            if free {
                let next = state.free(key, now, self.options.limits.worker_jobs_max);
                drop(state);
                self.follow(key, next);
            }
            return Ok(());
        }
        if !worker.greeted {
            return Err("said something before its hello".to_owned());
        }
        let Some(report) = said.report else {
            return if said.progress.is_some() {
                Ok(())
            } else {
                Err("said neither hello nor progress nor report".to_owned())
            };
        };
        let right = worker.task.as_ref().is_some_and(|task| {
            report.job == Some(task.token.job.0) && report.attempt == Some(task.token.attempt.0)
        });
        if !right {
            return Err(format!(
                "reported on job {:?} attempt {:?}, which it does not have",
                report.job, report.attempt
            ));
        }
        let task = worker.task.take().expect("its token was just compared");
        worker.done += 1;
        let folder = task.folder.clone().unwrap_or_else(|| worker.folder.clone());
        let next = state.free(key, now, self.options.limits.worker_jobs_max);
        drop(state);
        self.follow(key, next);
        let mut code = None;
        let verdict = match task.ending {
            Some(ending) => Err(ended_by_us(
                ending.cause,
                task.needs.wall,
                now.since(task.sent_at),
            )),
            None => match Report::check(*report, task.token) {
                Ok(report) if report.class != ExitClass::Ok => {
                    code = report.code;
                    Err((report.class, report.message))
                }
                Ok(report) => Self::seen(&task, &folder, End::Code(0), now).checked(report),
                Err(message) => Err((ExitClass::Program, message)),
            },
        };
        let report = finish(verdict, task.sent_at, now, String::new);
        self.over(&task, AttemptReport { code, ..report });
        Ok(())
    }

    fn seen<'a>(
        task: &'a Task,
        folder: &'a std::path::Path,
        end: End,
        now: model::time::Moment,
    ) -> Seen<'a> {
        Seen {
            token: task.token,
            plan: &task.plan,
            needs: task.needs,
            lumis: &task.lumis,
            folder,
            end,
            cause: None,
            oom_killed: false,
            started_at: task.sent_at,
            ended_at: now,
        }
    }

    /// What comes after a worker has become free.
    fn follow(self: &Arc<Self>, key: u64, next: Next) {
        match next {
            Next::Idle => {}
            Next::Line(lines, line) => self.write(key, &lines, &line),
            Next::Leaves(pool, plan) => {
                self.retire(key);
                self.replace(pool, &plan);
            }
        }
    }

    /// Starts another worker where attempts wait for one.
    fn replace(self: &Arc<Self>, pool_key: PoolKey, plan: &Arc<AttemptPlan>) {
        let mut state = self.state();
        let Some(pool) = state.pools.get_mut(&pool_key) else {
            return;
        };
        if pool.workers >= self.options.cores {
            return;
        }
        let Some(task) = pool.waiting.pop_front() else {
            return;
        };
        pool.workers += 1;
        drop(state);
        self.start_worker(pool_key, plan, Some(task));
    }

    /// Tells a worker to quit; the keeper sees to it that it does.
    pub(crate) fn retire(&self, key: u64) {
        let now = self.now();
        let mut state = self.state();
        let Some(lines) = state.leave(key, now) else {
            return;
        };
        drop(state);
        let mut socket = lines.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is gone has quit.
        let _ = socket.write_all(QUIT);
        pass(Point::WorkerRetired);
    }

    pub(crate) fn kill_worker(&self, key: u64, blame: Blame) {
        let mut state = self.state();
        let Some(worker) = state.workers.get_mut(&key) else {
            return;
        };
        if worker.killed.is_some() {
            return;
        }
        worker.killed = Some(blame);
        drop(state);
        self.signal(key, Force::Kill);
    }

    fn write(self: &Arc<Self>, key: u64, lines: &Lines, line: &[u8]) {
        pass(Point::LineWanted);
        let wrote = lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(line);
        pass(Point::LineWritten);
        match wrote {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.kill_worker(key, Blame::Protocol("does not read its lines".into()));
            }
            // It died while idle: the job it never saw waits for another.
            Err(_) => {
                let mut state = self.state();
                let Some(worker) = state.workers.get_mut(&key) else {
                    return;
                };
                let pool = worker.pool.clone();
                if let Some(task) = worker.task.take() {
                    state.places.insert(task.token, Place::Queue);
                    state
                        .pools
                        .entry(pool)
                        .or_default()
                        .waiting
                        .push_front(task);
                }
            }
        }
    }

    pub(crate) fn cancel_warm(&self, token: Token, place: Place) {
        let now = self.now();
        let mut state = self.state();
        if place == Place::Queue {
            let found = state.pools.values_mut().find_map(|pool| {
                let index = pool.waiting.iter().position(|task| task.token == token)?;
                pool.waiting.remove(index)
            });
            drop(state);
            if let Some(task) = found {
                let (class, message) =
                    ended_by_us(Cause::Cancelled, task.needs.wall, model::time::Span::ZERO);
                self.failed(&task, class, message);
            }
            return;
        }
        let Place::Worker(key) = place else { return };
        let Some(worker) = state.workers.get_mut(&key) else {
            return;
        };
        let Some(task) = worker.task.as_mut().filter(|task| task.token == token) else {
            return;
        };
        if task.ending.is_some() {
            return;
        }
        task.ending = Some(Ending {
            cause: Cause::Cancelled,
            since: now,
            killed: false,
        });
        let lines = Arc::clone(&worker.lines);
        drop(state);
        let (job, attempt) = (token.job, token.attempt);
        let line = format!("{{\"cancel\":{{\"job\":{job},\"attempt\":{attempt}}}}}\n");
        let mut socket = lines.lock().unwrap_or_else(PoisonError::into_inner);
        // One that does not read is killed by the keeper.
        let _ = socket.write_all(line.as_bytes());
    }

    /// A worker's process is gone, or never was.
    pub(crate) fn worker_gone(self: &Arc<Self>, key: u64, gone: Gone) {
        let mut state = self.state();
        let Some(worker) = state.workers.get_mut(&key) else {
            return;
        };
        worker.gone.get_or_insert(gone);
        drop(state);
        self.bury(key);
    }

    /// Once its process is gone and all it said was heard: judge the job it had, start another if
    /// work waits.
    fn bury(self: &Arc<Self>, key: u64) {
        let now = self.now();
        let mut state = self.state();
        let over = |worker: &Worker| worker.silent && worker.gone.is_some();
        if !state.workers.get(&key).is_some_and(over) {
            return;
        }
        state.leave(key, now);
        let Some(worker) = state.workers.remove(&key) else {
            return;
        };
        drop(state);
        pass(Point::WorkerGone);
        if let (Some(task), Some(gone)) = (&worker.task, &worker.gone) {
            let (class, message) = self.cause_of_death(&worker, task, gone, now);
            let tail = || Self::seen(task, &worker.folder, End::Code(0), now).stderr_tail();
            let report = finish(Err((class, message)), task.sent_at, now, tail);
            self.over(task, report);
        }
        self.folders.cleaner().remove(worker.folder.clone(), None);
        self.replace(worker.pool, &worker.plan);
    }

    fn cause_of_death(
        &self,
        worker: &Worker,
        task: &Task,
        gone: &Gone,
        now: model::time::Moment,
    ) -> (ExitClass, String) {
        match (&worker.killed, gone) {
            (_, Gone::NotStarted(class, message)) => (*class, message.clone()),
            (_, Gone::Lost) => (
                ExitClass::Lost,
                "the spawner died, and its worker was ended with it".to_owned(),
            ),
            (Some(Blame::Cause(cause)), _) => {
                ended_by_us(*cause, task.needs.wall, now.since(task.sent_at))
            }
            (Some(Blame::Protocol(fault)), _) => (
                ExitClass::Program,
                format!("its worker {fault}, and was ended"),
            ),
            (None, Gone::Ended(end)) => match signal_of(*end) {
                Some(signal) => {
                    let mut seen = Self::seen(task, &worker.folder, *end, now);
                    seen.oom_killed = signal == 9 && self.oom_killed();
                    let (class, message) = seen.by_signal(signal);
                    (class, format!("its worker died: {message}"))
                }
                None => (
                    ExitClass::Program,
                    format!("its worker exited in the middle of the job ({end:?})"),
                ),
            },
        }
    }

    fn failed(&self, task: &Task, class: ExitClass, message: String) {
        self.over(
            task,
            AttemptReport::failed(class, message, task.sent_at, self.now()),
        );
    }

    fn over(&self, task: &Task, report: AttemptReport) {
        self.state().places.remove(&task.token);
        if let Some(folder) = &task.folder {
            if report.class != ExitClass::Ok {
                // What it was told, for people; it matters to nobody else.
                let _ = std::fs::write(folder.join("job.json"), &task.line);
            }
            // The worker stays, and may still have something of it open.
            self.put_away(task.token, folder, &report, false);
        }
        self.tell_end(task.token, report);
    }
}

/// What a free worker does.
enum Next {
    Idle,
    Line(Lines, Arc<[u8]>),
    /// It has done enough.
    Leaves(PoolKey, Arc<AttemptPlan>),
}

impl State {
    /// Gives a worker a job; returns what is to be written where.
    fn assign(&mut self, key: u64, task: Task) -> Option<(Lines, Arc<[u8]>)> {
        let worker = self.workers.get_mut(&key)?;
        let line = Arc::clone(&task.line);
        self.places.insert(task.token, Place::Worker(key));
        worker.task = Some(task);
        Some((Arc::clone(&worker.lines), line))
    }

    /// A worker has nothing to do: the next job that waits, or rest.
    fn free(&mut self, key: u64, now: model::time::Moment, jobs_max: u32) -> Next {
        let Some(worker) = self.workers.get_mut(&key) else {
            return Next::Idle;
        };
        worker.since = now;
        if worker.leaving || worker.killed.is_some() {
            return Next::Idle;
        }
        if worker.done >= jobs_max {
            return Next::Leaves(worker.pool.clone(), Arc::clone(&worker.plan));
        }
        let pool = self.pools.entry(worker.pool.clone()).or_default();
        match pool.waiting.pop_front() {
            Some(mut task) => {
                task.sent_at = now;
                self.assign(key, task)
                    .map_or(Next::Idle, |(lines, line)| Next::Line(lines, line))
            }
            None => {
                pool.idle.push(key);
                Next::Idle
            }
        }
    }

    /// A worker is to take no more jobs; returns where to tell it, the first time.
    fn leave(&mut self, key: u64, now: model::time::Moment) -> Option<Lines> {
        let worker = self.workers.get_mut(&key)?;
        if worker.leaving {
            return None;
        }
        worker.leaving = true;
        worker.since = now;
        let lines = Arc::clone(&worker.lines);
        if let Some(pool) = self.pools.get_mut(&worker.pool) {
            pool.workers -= 1;
            pool.idle.retain(|idle| *idle != key);
        }
        Some(lines)
    }
}
