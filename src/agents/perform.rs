//! Performers: threads that do what the engine says. Each owns one port, takes from one lane, and
//! answers with inputs.

use crate::ending::AgentError;
use crate::message::Message;
use crate::surroundings::Surroundings;
use crate::threads::{Performer, WORK_LANE, performer};
use engine::Input;
use lanes::{Receiver, Refuse, Refused, Sender, Wait};
use model::alarm::Severity;
use model::ids::{FileId, Token};
use model::job::ExitClass;
use model::plugin::SplitQuestion;
use model::time::Moment;
use model::trouble::{DiskRole, Trouble};
use model::units::Bytes;
use model::work::{
    AttemptNews, AttemptPlan, AttemptReport, AttemptSpec, CommitFailure, CommitPlan, Location,
    StoredOutput,
};
use ports::clock::Clock;
use ports::disk::Disk;
use ports::executor::{Executor, NewsSink, Submitted};
use ports::failpoint::{Point, pass};
use ports::splitter::AskSplitter;
use ports::storage::{ReadBack, Storage};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// Attempts given to an executor in one call at most.
const SUBMIT_MAX: usize = 256;
/// Splitters that are asked at the same time; each is a program, most of whose time is its start.
const SPLITTERS_AT_ONCE: usize = 16;

/// What the executor's thread is asked to do.
pub(crate) enum ExecutorWork {
    Submit(AttemptSpec),
    Cancel(Token),
    /// What there is, as asked for at that moment.
    List(Moment),
    Forget(Token),
    Prepare(Arc<AttemptPlan>, u32),
    Release,
}

/// What the storage's threads are asked to do.
pub(crate) enum StorageWork {
    Store(CommitPlan),
    GoodRuns(String),
}

/// What the reader's thread is asked to do.
pub(crate) struct Reading {
    pub(crate) file: FileId,
    pub(crate) location: Location,
}

/// News of attempts become inputs of the engine.
pub(crate) struct EngineNews {
    pub(crate) engine: Sender<Message, Wait>,
    pub(crate) surroundings: Surroundings,
}

/// The executor's name among those who have troubles.
const EXECUTOR: &str = "executor";

impl NewsSink for EngineNews {
    fn news(&self, token: Token, news: AttemptNews) {
        // A closed lane means that the agent stops: news of this epoch will never count again.
        let _ = self
            .engine
            .send(Message::Input(Input::News { token, news }));
    }

    fn trouble(&self, trouble: Trouble) {
        self.surroundings.raise(EXECUTOR, trouble);
    }

    fn trouble_over(&self, key: &str) {
        self.surroundings.over(EXECUTOR, key);
    }
}

/// Drives the executor until the lane closes; then drops it, which ends everything it runs.
pub(crate) fn executor(
    mut executor: Box<dyn Executor>,
    mut work: Receiver<ExecutorWork>,
    engine: &Sender<Message, Wait>,
    clock: &Arc<dyn Clock>,
) {
    let mut taken = Vec::new();
    while work.recv_batch(&mut taken, SUBMIT_MAX, None).is_ok() {
        let mut attempts = Vec::new();
        for item in taken.drain(..) {
            // Whatever else is asked comes after what was submitted before it.
            if !matches!(item, ExecutorWork::Submit(_)) {
                submit(&mut *executor, &mut attempts, engine, clock);
            }
            match item {
                ExecutorWork::Submit(spec) => attempts.push(spec),
                ExecutorWork::Cancel(token) => executor.cancel(&[token]),
                ExecutorWork::List(asked_at) => {
                    let tokens = executor.list();
                    // A closed lane means that the agent stops.
                    let _ = engine.send(Message::Input(Input::Listed { asked_at, tokens }));
                }
                ExecutorWork::Forget(token) => executor.forget(&[token]),
                ExecutorWork::Prepare(plan, count) => executor.prepare(&plan, count),
                ExecutorWork::Release => executor.release(),
            }
        }
        submit(&mut *executor, &mut attempts, engine, clock);
    }
}

/// Gives attempts to the executor, and says which of them it does not take.
fn submit(
    executor: &mut dyn Executor,
    attempts: &mut Vec<AttemptSpec>,
    engine: &Sender<Message, Wait>,
    clock: &Arc<dyn Clock>,
) {
    if attempts.is_empty() {
        return;
    }
    pass(Point::SubmitTaken);
    let answers = executor.submit(attempts);
    pass(Point::Submitted);
    for (spec, answer) in attempts.drain(..).zip(answers) {
        // Unknown: its own news, or the reconciler, will say.
        if let Submitted::Refused { reason } = answer {
            let now = clock.now();
            let report = AttemptReport::failed(ExitClass::Lost, reason, now, now);
            let news = AttemptNews::Ended(Box::new(report));
            let _ = engine.send(Message::Input(Input::News {
                token: spec.token,
                news,
            }));
        }
    }
}

/// How soon something is tried again that a full disk refused.
const HINDERED_PAUSE: Duration = Duration::from_millis(500);
/// The key of the alarm about the good-run list.
const GOOD_RUNS: &str = "good-runs/file";

/// What a storage thread works with.
pub(crate) struct Shelf {
    /// Its name among those who have troubles.
    pub(crate) who: &'static str,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) engine: Sender<Message, Wait>,
    pub(crate) good_runs: PathBuf,
    pub(crate) surroundings: Surroundings,
    pub(crate) disk: (DiskRole, Arc<dyn Disk>),
}

impl Shelf {
    /// Puts outputs in place until the lane closes.
    pub(crate) fn run(&self, mut work: Receiver<StorageWork>) {
        while let Ok(Some(item)) = work.recv(None) {
            match item {
                StorageWork::Store(plan) => {
                    pass(Point::StoreTaken);
                    let Some(result) = self.store(&plan) else {
                        return;
                    };
                    let input = Input::Stored {
                        token: plan.token,
                        result,
                    };
                    pass(Point::StoredTelling);
                    if self.engine.send(Message::Input(input)).is_err() {
                        return;
                    }
                    pass(Point::StoredTold);
                }
                StorageWork::GoodRuns(text) => self.good_runs(&text),
            }
        }
    }

    /// Puts outputs in place, however long a full disk makes that take: the attempt went well, and
    /// would not go better another time. None if the agent ends before.
    fn store(&self, plan: &CommitPlan) -> Option<Result<Vec<StoredOutput>, CommitFailure>> {
        loop {
            let result = self.storage.commit(plan);
            let hindered = result.as_ref().err();
            let hindered = hindered.and_then(|why| Some((why.hindrance?, &why.message)));
            let Some((hindrance, tried)) = hindered else {
                self.surroundings.over(self.who, &self.disk.0.key());
                return Some(result);
            };
            self.surroundings
                .hindered(self.who, &self.disk, hindrance, tried);
            std::thread::sleep(HINDERED_PAUSE);
            if self.surroundings.is_ending() {
                return None;
            }
        }
    }

    fn good_runs(&self, text: &str) {
        let path = &self.good_runs;
        let Err(error) = replace_file(path, text) else {
            return self.surroundings.over(self.who, GOOD_RUNS);
        };
        let text = format!(
            "Writing the good-run list {} failed: {error}. The one before is still there. Free \
             space or mend the folder; the next verdict or restart writes it again.",
            path.display()
        );
        let trouble = Trouble {
            key: GOOD_RUNS.to_owned(),
            severity: Severity::Medium,
            text,
        };
        self.surroundings.raise(self.who, trouble);
    }
}

/// Reads files back until the lane closes: one at a time, because the disk is the detector's first.
pub(crate) fn reader(
    files: &Arc<dyn ReadBack>,
    mut work: Receiver<Reading>,
    engine: &Sender<Message, Wait>,
) {
    while let Ok(Some(Reading { file, location })) = work.recv(None) {
        pass(Point::ReadBackTaken);
        let read = files.read_back(&location);
        let result = read.map(|(bytes, adler32)| (Bytes(bytes), adler32));
        pass(Point::ReadBackTelling);
        if engine
            .send(Message::Input(Input::ReadBack { file, result }))
            .is_err()
        {
            return;
        }
        pass(Point::ReadBackTold);
    }
}

/// Starts the thread that asks splitters.
pub(crate) fn start_splitters(
    plugins: Arc<dyn AskSplitter>,
    engine: &Sender<Message, Wait>,
) -> Result<Performer<SplitQuestion>, AgentError> {
    let (sender, lane) = lanes::refuse(WORK_LANE);
    let answers = engine.clone();
    let thread = performer("splitter", engine, move || {
        splitters(&plugins, lane, &answers);
    })?;
    Ok((sender, thread))
}

/// Asks splitters until the lane closes or the engine is gone: several at a time, or one that hangs
/// would hold up all.
fn splitters(
    plugins: &Arc<dyn AskSplitter>,
    mut work: Receiver<SplitQuestion>,
    engine: &Sender<Message, Wait>,
) {
    let is_wanted = &AtomicBool::new(true);
    std::thread::scope(|threads| {
        let mut asked: Vec<ScopedJoinHandle<'_, ()>> = Vec::new();
        while let Ok(Some(question)) = work.recv(None) {
            pass(Point::SplitTaken);
            for over in asked.extract_if(.., |thread| thread.is_finished()) {
                passed_on(over);
            }
            if asked.len() >= SPLITTERS_AT_ONCE {
                // A plugin is ended in its time, so the oldest is over first, or soon.
                passed_on(asked.remove(0));
            }
            if !is_wanted.load(Ordering::Relaxed) {
                return;
            }
            asked.push(threads.spawn(move || {
                if !ask_splitter(plugins, question, engine) {
                    is_wanted.store(false, Ordering::Relaxed);
                }
            }));
        }
    });
}

/// A panic of whoever asked is one of the performer, which is told.
fn passed_on(thread: ScopedJoinHandle<'_, ()>) {
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Asks one; whether anybody wants to know.
fn ask_splitter(
    plugins: &Arc<dyn AskSplitter>,
    question: SplitQuestion,
    engine: &Sender<Message, Wait>,
) -> bool {
    let groups = plugins.ask(&question);
    let key = question.key;
    pass(Point::SplitTelling);
    let answer = Message::Input(Input::Split { key, groups });
    let is_told = engine.send(answer).is_ok();
    if is_told {
        pass(Point::SplitTold);
    }
    is_told
}

/// Replaces a file as a whole: readers see the old text or the new one.
pub(crate) fn replace_file(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    {
        let mut file = std::fs::File::create(&partial)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        pass(Point::GoodRunsWritten);
        file.sync_all()?;
    }
    pass(Point::GoodRunsSynced);
    std::fs::rename(&partial, path)?;
    pass(Point::GoodRunsRenamed);
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    pass(Point::GoodRunsDurable);
    Ok(())
}

/// Offers work to a performer; gives back what does not fit, and notes a performer that is gone.
pub(crate) fn offer<T>(
    lane: &Sender<T, Refuse>,
    work: T,
    lost: &mut Option<&'static str>,
    name: &'static str,
) -> Option<T> {
    match lane.offer(work) {
        Ok(()) => None,
        Err(Refused::Full { value, .. }) => Some(value),
        Err(Refused::Closed(_)) => {
            *lost = Some(name);
            None
        }
    }
}
