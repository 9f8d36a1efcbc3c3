//! The local executor: programs beside us, started by the spawner.
//!
//! In: attempts, through the port `Executor`. Out: news of each, through the sink: one start, one
//! end. On the hot path a folder made ahead is renamed, `job.json` is written and one request goes
//! to the spawner; everything else happens in threads of its own: `tier0-replies` hears the spawner
//! and judges, `tier0-keeper` watches limits, `tier0-folders` makes and removes folders, and each
//! worker has a reader.
//!
//! When the spawner dies, everything it started is ended, every attempt is told as lost, and a new
//! spawner is started.

use crate::ExecutorError;
use crate::census::{end_epochs, end_older_epochs};
use crate::folders::{Cleaner, Folders, Stock};
use crate::job_file::Places;
use crate::judge::{Cause, Seen, oom_kills, refusal, signal_of};
use crate::launcher::{Launcher, resolve};
use crate::limits::LocalLimits;
use crate::listing::Listings;
use crate::state::{Ending, Gone, Place, Process, State};
use crate::wire::{End, Force, Frames, Reply, Request, Start};
use model::ids::{Epoch, Token};
use model::job::ExitClass;
use model::names::ProfileName;
use model::resource::Mode;
use model::time::Moment;
use model::units::Bytes;
use model::work::{AttemptNews, AttemptPlan, AttemptReport, AttemptSpec};
use ports::clock::Clock;
use ports::disk::Disk;
use ports::executor::{Capabilities, Executor, NewsSink, Status, Submitted};
use ports::failpoint::{Point, is_lost, pass};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

/// Attempts taken in one call at best: more only delay the first.
const BULK: u32 = 256;
/// Pause between tries to start a new spawner, doubled up to the second.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);

/// What local execution needs to know.
pub struct LocalOptions {
    /// Folder of attempts; ours alone. May be in memory.
    pub work_dir: PathBuf,
    /// The agent's epoch.
    pub epoch: Epoch,
    /// Cores offered; also how many workers of one kind there may be.
    pub cores: u32,
    /// Our own binary: `<spawner> spawner N` must call [`crate::spawner_main`] with `["N"]`.
    pub spawner: PathBuf,
    /// Folders of the stream profiles.
    pub spool: BTreeMap<ProfileName, PathBuf>,
    /// Folders of copies of sources, in order; none where sources are never released.
    pub copies: Vec<PathBuf>,
    /// Root of the storage of outputs.
    pub storage: PathBuf,
    /// Where payloads of conditions are written for programs to read.
    pub conditions: PathBuf,
    /// Further environment of programs.
    pub environment: BTreeMap<String, String>,
    /// Bounds.
    pub limits: LocalLimits,
    /// The disk under the work folder.
    pub disk: Arc<dyn Disk>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where news go.
    pub sink: Arc<dyn NewsSink>,
}

/// Runs programs beside us.
pub struct LocalExecutor {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What all threads share.
pub(crate) struct Shared {
    pub(crate) options: LocalOptions,
    pub(crate) places: Places,
    pub(crate) folders: Folders,
    state: Mutex<State>,
    launcher: Mutex<Option<Arc<Launcher>>>,
    programs: Mutex<HashMap<String, PathBuf>>,
    /// Processes that the kernel had ended for want of memory when last looked.
    oom_seen: AtomicU64,
    pub(crate) listings: Listings,
    /// Somebody could not write to the work disk.
    pub(crate) disk_doubted: AtomicBool,
    /// The keeper, which sleeps while nothing runs; set by itself when it begins.
    pub(crate) keeper: OnceLock<Thread>,
    /// The executor is being dropped. Written once by its owner, read by all threads.
    closing: AtomicBool,
}

impl LocalExecutor {
    /// Ends what older epochs left, makes the folders and starts the spawner.
    pub fn new(mut options: LocalOptions) -> Result<Self, ExecutorError> {
        let paths = [
            &mut options.work_dir,
            &mut options.storage,
            &mut options.conditions,
        ];
        // Programs and the spawner work elsewhere: a relative path would mean another place to
        // them.
        let named = options.spool.values_mut().chain(&mut options.copies);
        for path in paths.into_iter().chain(named) {
            *path = absolute(path)?;
        }
        end_older_epochs(&options.work_dir, options.epoch)?;
        std::fs::create_dir_all(&options.conditions).map_err(|source| ExecutorError::Folder {
            what: "making the folder",
            path: options.conditions.clone(),
            source,
        })?;
        let stock = Stock {
            ahead: options.limits.folders_ahead,
            failed: options.limits.failed_kept,
            capture_bytes_max: options.limits.capture_bytes_max,
        };
        let folders = Folders::open(&options.work_dir, options.epoch, stock)?;
        let places = Places {
            spool: options.spool.clone(),
            copies: options.copies.clone(),
            storage: options.storage.clone(),
            conditions: options.conditions.clone(),
            written: Mutex::new(HashSet::new()),
        };
        let shared = Arc::new(Shared {
            options,
            places,
            folders,
            state: Mutex::new(State::default()),
            launcher: Mutex::new(None),
            programs: Mutex::new(HashMap::new()),
            oom_seen: AtomicU64::new(oom_kills()),
            listings: Listings::default(),
            disk_doubted: AtomicBool::new(false),
            keeper: OnceLock::new(),
            closing: AtomicBool::new(false),
        });
        let frames = shared.launch()?;
        let mut this = Self {
            shared,
            threads: Vec::new(),
        };
        this.thread("tier0-replies", move |shared| shared.hear(frames))?;
        this.thread("tier0-keeper", |shared| shared.keep())?;
        Ok(this)
    }

    /// Removes folders of attempts that are over; for whoever learns of commits.
    pub fn cleaner(&self) -> Cleaner {
        self.shared.folders.cleaner().clone()
    }

    /// Process id of the spawner, for `doctor` and tests; none while a new one is being started.
    pub fn spawner_pid(&self) -> Option<u32> {
        self.shared
            .launcher()
            .as_ref()
            .map(|launcher| launcher.pid())
    }

    fn thread(
        &mut self,
        name: &'static str,
        body: impl FnOnce(&Arc<Shared>) + Send + 'static,
    ) -> Result<(), ExecutorError> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || body(&shared))
            .map_err(|source| ExecutorError::Thread { name, source })?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for LocalExecutor {
    /// Ends everything it started, and waits for that. Nothing more is told.
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        let launcher = self.shared.launcher().take();
        drop(launcher);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
        // A spawner that was killed instead of ending what it started leaves it to us.
        let own = self.shared.options.epoch;
        let _ = end_epochs(&self.shared.options.work_dir, |epoch| epoch == own);
    }
}

impl Executor for LocalExecutor {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "local".to_owned(),
            cores: self.shared.options.cores,
            bulk: BULK,
            contained: true,
            survives_restart: false,
        }
    }

    fn submit(&mut self, attempts: &[AttemptSpec]) -> Vec<Submitted> {
        attempts
            .iter()
            .map(|spec| {
                if self.shared.state().places.contains_key(&spec.token) {
                    return Submitted::Accepted;
                }
                match spec.plan.mode {
                    Mode::Process => self.shared.submit_process(spec),
                    Mode::Warm => self.shared.submit_warm(spec),
                }
            })
            .collect()
    }

    fn status(&mut self, tokens: &[Token]) -> Vec<Status> {
        let state = self.shared.state();
        let alive = |token| state.places.contains_key(token);
        tokens
            .iter()
            .map(|token| {
                if alive(token) {
                    Status::Alive
                } else {
                    Status::Absent
                }
            })
            .collect()
    }

    fn list(&mut self) -> Option<Vec<Token>> {
        self.shared.list()
    }

    fn cancel(&mut self, tokens: &[Token]) {
        for token in tokens {
            self.shared.cancel(*token);
        }
    }

    /// What older epochs started was ended before this executor existed, so nothing is ever
    /// adopted.
    fn adopt(&mut self, tokens: &[Token]) -> Vec<Status> {
        self.status(tokens)
    }

    fn forget(&mut self, tokens: &[Token]) {
        for token in tokens {
            // What failed was put away when it ended, as was what made no outputs.
            let mut state = self.shared.state();
            state.told.remove(token);
            let left = state.left.remove(token);
            drop(state);
            if let Some((folder, again)) = left {
                self.shared.clear(folder, again);
            }
        }
    }

    fn prepare(&mut self, plan: &Arc<AttemptPlan>, count: u32) {
        if plan.mode == Mode::Warm {
            self.shared.prepare_workers(plan, count);
        }
    }

    fn release(&mut self) {
        self.shared.release_workers();
    }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn launcher(&self) -> MutexGuard<'_, Option<Arc<Launcher>>> {
        self.launcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Moment {
        self.options.clock.now()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(crate) fn tell(&self, token: Token, news: AttemptNews) {
        if !self.is_closing() && !is_lost(Point::NewsTelling) {
            self.options.sink.news(token, news);
            pass(Point::NewsTold);
        }
    }

    /// Sends a request; the error is a sentence.
    pub(crate) fn request(
        &self,
        request: &Request,
        beside: Option<std::os::fd::BorrowedFd>,
    ) -> Result<(), String> {
        let launcher = self.launcher().clone();
        let Some(launcher) = launcher else {
            return Err("the spawner has died and a new one is being started".to_owned());
        };
        launcher
            .send(request, beside)
            .map_err(|error| format!("the spawner is gone: {error}"))
    }

    pub(crate) fn signal(&self, key: u64, force: Force) {
        // A spawner that is gone has taken everything with it.
        let _ = self.request(&Request::Signal { key, force }, None);
    }

    /// The file of a program, looked up once.
    pub(crate) fn program(&self, plan: &AttemptPlan) -> Result<PathBuf, String> {
        let Some(program) = plan.program.first() else {
            return Err(format!("task {} names no program", plan.task));
        };
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = programs.get(program) {
            return Ok(path.clone());
        }
        let path = resolve(program, &self.options.spawner)?;
        programs.insert(program.clone(), path.clone());
        Ok(path)
    }

    /// Twice what is asked for, because mapped is more than used, and never less than 1 GiB.
    pub(crate) fn data_bytes_max(memory: Bytes) -> Option<u64> {
        let asked = memory.0;
        (asked > 0).then(|| asked.saturating_mul(2).max(1 << 30))
    }

    fn submit_process(&self, spec: &AttemptSpec) -> Submitted {
        let sent_at = self.now();
        let program = match self.program(&spec.plan) {
            Ok(program) => program,
            Err(reason) => {
                let report = AttemptReport::failed(ExitClass::Program, reason, sent_at, sent_at);
                self.tell_end(spec.token, report);
                return Submitted::Accepted;
            }
        };
        let folder = match self.furnish(spec) {
            Ok(folder) => folder,
            Err(reason) => return Submitted::Refused { reason },
        };
        let process = Process {
            token: spec.token,
            plan: Arc::clone(&spec.plan),
            needs: spec.needs,
            lumis: spec.lumis.clone(),
            folder: folder.clone(),
            sent_at,
            started_at: None,
            told: false,
            ending: None,
        };
        let key = {
            let mut state = self.state();
            let key = state.take_key();
            self.wake_keeper(&mut state);
            state.processes.insert(key, process);
            state.places.insert(spec.token, Place::Process(key));
            key
        };
        let start = Start {
            key,
            name: spec.token.to_string(),
            program,
            arguments: spec.plan.program[1..].to_vec(),
            folder: folder.clone(),
            data_bytes_max: Self::data_bytes_max(spec.needs.memory),
            channel: false,
        };
        match self.request(&Request::Start(start), None) {
            Ok(()) => {
                pass(Point::StartRequested);
                Submitted::Accepted
            }
            Err(reason) => {
                let mut state = self.state();
                state.places.remove(&spec.token);
                if state.processes.remove(&key).is_none() {
                    // It was told as lost meanwhile.
                    return Submitted::Accepted;
                }
                drop(state);
                self.folders.cleaner().remove(folder, None);
                Submitted::Refused { reason }
            }
        }
    }

    /// The attempt's folder with its `job.json`; the error is a sentence.
    fn furnish(&self, spec: &AttemptSpec) -> Result<PathBuf, String> {
        let json = self.places.job_json(spec, None)?;
        let folder = self.folders.take().map_err(|error| {
            self.doubt_disk(&error);
            let work_dir = self.options.work_dir.display();
            format!("making the attempt's folder under {work_dir} failed: {error}")
        })?;
        pass(Point::JobFileWanted);
        let path = folder.join("job.json");
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new().write(true).open(&path)?;
            file.write_all(&json)?;
            // Cut only where a longer one stood before: on ext4 a file that is emptied and written
            // again is put on the disk when it is closed.
            let length = json.len() as u64;
            if file.metadata()?.len() > length {
                file.set_len(length)?;
            }
            Ok(())
        };
        let written = write();
        written.map_err(|error| {
            self.doubt_disk(&error);
            format!("writing {} failed: {error}", path.display())
        })?;
        pass(Point::JobFileWritten);
        Ok(folder)
    }

    fn cancel(&self, token: Token) {
        let now = self.now();
        let mut state = self.state();
        let Some(place) = state.places.get(&token).copied() else {
            return;
        };
        let Place::Process(key) = place else {
            drop(state);
            return self.cancel_warm(token, place);
        };
        let Some(process) = state.processes.get_mut(&key) else {
            return;
        };
        if process.ending.is_none() {
            process.ending = Some(Ending {
                cause: Cause::Cancelled,
                since: now,
                killed: false,
            });
            drop(state);
            self.signal(key, Force::Ask);
        }
    }

    /// Starts a spawner.
    fn launch(&self) -> Result<Frames, ExecutorError> {
        let mut environment = self.options.environment.clone();
        let work_dir = self
            .options
            .work_dir
            .to_str()
            .expect("checked when the executor was made");
        environment.insert("TIER0_INSTANCE".into(), work_dir.to_owned());
        environment.insert("TIER0_EPOCH".into(), self.options.epoch.to_string());
        let limit = self.options.limits.file_bytes_max;
        let (launcher, frames) = Launcher::start(&self.options.spawner, &environment, limit)?;
        *self.launcher() = Some(Arc::new(launcher));
        Ok(frames)
    }

    /// Hears one spawner after the other, until the executor is dropped.
    fn hear(self: &Arc<Self>, mut frames: Frames) {
        loop {
            while let Ok(Some(reply)) = frames.next::<Reply>() {
                self.heard(reply);
            }
            if self.is_closing() {
                return;
            }
            self.lost();
            let mut pause = RESTART_PAUSE;
            frames = loop {
                if self.is_closing() {
                    return;
                }
                match self.launch() {
                    Ok(frames) => break frames,
                    // Refusals tell the engine meanwhile.
                    Err(_) => std::thread::park_timeout(pause),
                }
                pause = (pause * 2).min(RESTART_PAUSE_MAX);
            };
            // Dropped meanwhile: nobody else would end the new one.
            if self.is_closing() {
                drop(self.launcher().take());
                return;
            }
        }
    }

    fn heard(self: &Arc<Self>, reply: Reply) {
        let now = self.now();
        match reply {
            Reply::Started { key } => {
                let mut state = self.state();
                if let Some(process) = state.processes.get_mut(&key) {
                    // Told by the keeper, or by its report if that comes sooner: whoever hears of
                    // it now would only take the processor from the program.
                    process.started_at = Some(now);
                } else if !state.workers.contains_key(&key) {
                    drop(state);
                    self.signal(key, Force::Kill);
                }
            }
            Reply::Listed { number, keys } => self.listings.answered(number, keys),
            Reply::Failed { key, errno, reason } => self.not_started(key, errno, &reason, now),
            Reply::Ended { key, end } => {
                pass(Point::EndHeard);
                let process = self.state().processes.remove(&key);
                match process {
                    Some(process) => self.process_ended(&process, end, now),
                    None => self.worker_gone(key, Gone::Ended(end)),
                }
            }
        }
    }

    fn not_started(self: &Arc<Self>, key: u64, errno: Option<i32>, reason: &str, now: Moment) {
        let process = self.state().processes.remove(&key);
        let Some(process) = process else {
            let program = self
                .state()
                .workers
                .get(&key)
                .map(|worker| worker.plan.program.clone());
            let (class, message) = refusal(&program.unwrap_or_default(), errno, reason);
            return self.worker_gone(key, Gone::NotStarted(class, message));
        };
        self.programs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        if let Some(errno) = errno {
            self.doubt_disk(&std::io::Error::from_raw_os_error(errno));
        }
        let (class, message) = refusal(&process.plan.program, errno, reason);
        let report = AttemptReport::failed(class, message, process.sent_at, now);
        self.process_over(&process, report);
    }

    fn process_ended(&self, process: &Process, end: End, now: Moment) {
        let seen = Seen {
            token: process.token,
            plan: &process.plan,
            needs: process.needs,
            lumis: &process.lumis,
            folder: &process.folder,
            end,
            cause: process.ending.map(|ending| ending.cause),
            oom_killed: signal_of(end) == Some(9) && self.oom_killed(),
            started_at: process.started_at.unwrap_or(process.sent_at),
            ended_at: now,
        };
        let mut report = seen.judge();
        if process.ending.is_none() {
            self.excuse(&process.folder, &mut report);
        }
        pass(Point::ReportJudged);
        self.process_over(process, report);
    }

    pub(crate) fn process_over(&self, process: &Process, mut report: AttemptReport) {
        self.state().places.remove(&process.token);
        let mut folder = process.folder.clone();
        if !report.outputs.is_empty() {
            match self.folders.name(&folder, process.token) {
                Ok(named) => {
                    folder = named;
                    pass(Point::FolderNamed);
                }
                Err(error) => {
                    let message = format!(
                        "naming the folder {} after its attempt failed: {error}; see to the work \
                         folder's disk and rights",
                        folder.display()
                    );
                    let (from, to) = (report.started_at, report.ended_at);
                    report = AttemptReport::failed(ExitClass::Site, message, from, to);
                }
            }
        }
        self.put_away(process.token, &folder, &report, true);
        self.tell_end(process.token, report);
    }

    /// Folders without outputs to commit are needed no more; others when they are forgotten.
    /// `again`: no process that ever saw the folder is left.
    pub(crate) fn put_away(
        &self,
        token: Token,
        folder: &Path,
        report: &AttemptReport,
        again: bool,
    ) {
        let folder = folder.to_path_buf();
        let again = again && report.class == ExitClass::Ok;
        if !report.outputs.is_empty() {
            self.state().left.insert(token, (folder, again));
        } else if report.class == ExitClass::Ok || report.class == ExitClass::Lost {
            self.clear(folder, again);
        } else {
            let keep_as = Some(crate::kept_folder(&self.options.work_dir, token));
            self.folders.cleaner().remove(folder, keep_as);
        }
    }

    fn clear(&self, folder: PathBuf, again: bool) {
        if again {
            self.folders.cleaner().use_again(folder);
        } else {
            self.folders.cleaner().remove(folder, None);
        }
    }

    /// Whether the kernel has ended a process for want of memory since the last look.
    pub(crate) fn oom_killed(&self) -> bool {
        let now = oom_kills();
        self.oom_seen.swap(now, Ordering::Relaxed) < now
    }

    /// The spawner is gone: end what it left, tell what is lost.
    fn lost(self: &Arc<Self>) {
        drop(self.launcher().take());
        let epoch = self.options.epoch;
        // Survivors are looked for again at the next start; they cannot commit anything.
        let _ = end_epochs(&self.options.work_dir, |other| other == epoch);
        let now = self.now();
        let (processes, workers) = {
            let mut state = self.state();
            let processes: Vec<Process> = state.processes.drain().map(|(_, gone)| gone).collect();
            (processes, state.workers.keys().copied().collect::<Vec<_>>())
        };
        for process in &processes {
            let message = "its spawner died, and the attempt was ended with it".to_owned();
            let started_at = process.started_at.unwrap_or(process.sent_at);
            let report = AttemptReport::failed(ExitClass::Lost, message, started_at, now);
            self.process_over(process, report);
        }
        for key in workers {
            self.worker_gone(key, Gone::Lost);
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, ExecutorError> {
    let absolute = std::path::absolute(path).map_err(|source| ExecutorError::Folder {
        what: "finding the folder",
        path: path.to_path_buf(),
        source,
    })?;
    match absolute.to_str() {
        Some(_) => Ok(absolute),
        None => Err(ExecutorError::NotText { path: absolute }),
    }
}
