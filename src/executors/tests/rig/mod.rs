//! A local executor in a folder of its own, and what the tests ask of it. In: scripts for
//! `/bin/sh`. Out: how their attempts ended. Nothing outlives a rig.

#![expect(
    clippy::unwrap_used,
    reason = "a rig that cannot be set up fails its test"
)]
#![allow(dead_code, reason = "each file of tests uses its part of it")]

use model::ids::{AttemptNumber, Epoch, JobId, LumiNumber, RunNumber, Token};
use model::names::{DataLabel, TaskPath};
use model::resource::{Mode, Needs};
use model::run::RunType;
use model::time::{Moment, Span};
use model::trouble::Trouble;
use model::units::Bytes;
use model::work::{AttemptNews, AttemptPlan, AttemptReport, AttemptSpec, WantedOutput};
use ports::clock::Clock;
use ports::executor::{Executor, NewsSink, Submitted};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tier0_executors::{LocalExecutor, LocalLimits, LocalOptions};

/// Longer than anything here takes, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Moment(now.tv_sec * 1_000_000_000 + now.tv_nsec)
    }
}

struct Told(Mutex<Sender<(Token, AttemptNews)>>);

impl NewsSink for Told {
    fn news(&self, token: Token, news: AttemptNews) {
        let _ = self.0.lock().unwrap().send((token, news));
    }

    fn trouble(&self, _: Trouble) {}

    fn trouble_over(&self, _: &str) {}
}

pub(crate) struct Rig {
    pub(crate) executor: LocalExecutor,
    pub(crate) work: PathBuf,
    news: Receiver<(Token, AttemptNews)>,
    next: i64,
    /// Removes the folder when the rig goes.
    folder: tempfile::TempDir,
}

/// The binary that plays the spawner, built by cargo beside the tests.
pub(crate) fn stage() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/stage")
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(LocalLimits {
            folders_ahead: 4,
            ..LocalLimits::default()
        })
    }

    pub(crate) fn with(limits: LocalLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        let (sender, news) = channel();
        let options = LocalOptions {
            work_dir: work.clone(),
            epoch: Epoch(5),
            cores: 2,
            spawner: stage(),
            spool: BTreeMap::from([("muons".into(), folder.path().join("spool"))]),
            copies: vec![folder.path().join("one"), folder.path().join("two")],
            storage: folder.path().join("storage"),
            conditions: folder.path().join("conditions"),
            environment: BTreeMap::from([("EXTRA".into(), "yes".into())]),
            limits,
            disk: Arc::new(ports::disk::Boundless),
            clock: Arc::new(SystemClock),
            sink: Arc::new(Told(Mutex::new(sender))),
        };
        let executor = LocalExecutor::new(options).unwrap();
        Self {
            executor,
            work,
            news,
            next: 0,
            folder,
        }
    }

    /// An attempt of a new job.
    pub(crate) fn spec(&mut self, plan: &Arc<AttemptPlan>) -> AttemptSpec {
        self.next += 1;
        AttemptSpec {
            token: Token {
                epoch: Epoch(5),
                job: JobId(self.next),
                attempt: AttemptNumber(1),
            },
            plan: Arc::clone(plan),
            run: RunNumber(381_594),
            run_type: RunType::Physics,
            label: DataLabel::Simulated,
            lumis: vec![(LumiNumber(3), LumiNumber(4))],
            inputs: Vec::new(),
            global_tag: None,
            constants: Vec::new(),
            deadline: Some(Moment(0)),
            needs: plan.needs,
        }
    }

    pub(crate) fn submit(&mut self, plan: &Arc<AttemptPlan>) -> Token {
        let spec = self.spec(plan);
        let answer = self.executor.submit(std::slice::from_ref(&spec));
        assert_eq!(answer, [Submitted::Accepted]);
        spec.token
    }

    pub(crate) fn wait_started(&self, token: Token) {
        loop {
            let (of, news) = self.news.recv_timeout(PATIENCE).expect("news of a start");
            if of == token && matches!(news, AttemptNews::Started { .. }) {
                return;
            }
        }
    }

    /// The next end, whosever it is.
    pub(crate) fn next_end(&self) -> (Token, AttemptReport) {
        loop {
            let (token, news) = self.news.recv_timeout(PATIENCE).expect("news of an end");
            if let AttemptNews::Ended(report) = news {
                return (token, *report);
            }
        }
    }

    pub(crate) fn wait_ended(&self, token: Token) -> AttemptReport {
        let (of, report) = self.next_end();
        assert_eq!(of, token);
        report
    }

    /// Whether anything was told that was not asked for yet.
    pub(crate) fn has_news(&self) -> bool {
        self.news.try_recv().is_ok()
    }

    pub(crate) fn run(&mut self, plan: &Arc<AttemptPlan>) -> AttemptReport {
        let token = self.submit(plan);
        self.wait_ended(token)
    }
}

pub(crate) fn plan(mode: Mode, program: &[&str], outputs: &[&str], wall: Span) -> Arc<AttemptPlan> {
    Arc::new(AttemptPlan {
        task: TaskPath::new("express", "reco"),
        program: program.iter().map(|word| (*word).to_owned()).collect(),
        mode,
        needs: Needs {
            cores: 1,
            memory: Bytes(1 << 30),
            wall,
        },
        outputs: outputs
            .iter()
            .map(|path| WantedOutput {
                label: (*path).into(),
                path: (*path).to_owned(),
            })
            .collect(),
        parameters: BTreeMap::from([("nbins".into(), "12".into()), ("name".into(), "x y".into())]),
        plugins: Vec::new(),
        early: true,
    })
}

pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "{what} never came true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes that live and have this text among their arguments.
pub(crate) fn living(text: &str) -> usize {
    let is_it = |path: &Path| {
        let arguments = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        let zombie = stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.starts_with(" Z"));
        !zombie
            && arguments
                .split(|byte| *byte == 0)
                .any(|word| word == text.as_bytes())
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| is_it(&entry.path()))
        .count()
}
