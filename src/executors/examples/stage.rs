//! A stage for the tests of this room: one binary that plays the parts the tests need as processes
//! of their own.
//!
//! `stage spawner N` is the spawner. `stage agent WORK` is an agent with one endless attempt, to be
//! killed. `stage measure WORK PROGRAM N` starts a program that prints its own start and tells what
//! starting costs.

use model::ids::{AttemptNumber, Epoch, JobId, RunNumber, Token};
use model::names::{DataLabel, TaskPath};
use model::resource::{Mode, Needs};
use model::run::RunType;
use model::time::Moment;
use model::trouble::Trouble;
use model::work::{AttemptNews, AttemptPlan, AttemptSpec, WantedOutput};
use ports::clock::Clock;
use ports::executor::{Executor, NewsSink};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use tier0_executors::{LocalExecutor, LocalLimits, LocalOptions, attempt_folder};

const PACE: std::time::Duration = std::time::Duration::from_millis(5);

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Moment(now.tv_sec * 1_000_000_000 + now.tv_nsec)
    }
}

struct Ends(Mutex<Sender<(Token, AttemptNews)>>);

impl NewsSink for Ends {
    fn news(&self, token: Token, news: AttemptNews) {
        if let Ok(sender) = self.0.lock() {
            let _ = sender.send((token, news));
        }
    }

    fn trouble(&self, _: Trouble) {}

    fn trouble_over(&self, _: &str) {}
}

fn executor(work: &Path, sink: Arc<dyn NewsSink>) -> LocalExecutor {
    let options = LocalOptions {
        work_dir: work.to_path_buf(),
        epoch: Epoch(1),
        cores: 2,
        spawner: std::env::current_exe().expect("the stage knows its own file"),
        spool: BTreeMap::new(),
        copies: Vec::new(),
        storage: work.join("storage"),
        conditions: work.join("conditions"),
        environment: BTreeMap::new(),
        disk: Arc::new(ports::disk::Boundless),
        limits: LocalLimits::default(),
        clock: Arc::new(SystemClock),
        sink,
    };
    LocalExecutor::new(options).expect("local execution begins")
}

fn spec(job: i64, program: &[&str], outputs: &[&str]) -> AttemptSpec {
    AttemptSpec {
        token: Token {
            epoch: Epoch(1),
            job: JobId(job),
            attempt: AttemptNumber::FIRST,
        },
        plan: Arc::new(AttemptPlan {
            task: TaskPath::new("stage", "play"),
            program: program.iter().map(|word| (*word).to_owned()).collect(),
            mode: Mode::Process,
            needs: Needs::default(),
            outputs: outputs
                .iter()
                .map(|path| WantedOutput {
                    label: (*path).into(),
                    path: (*path).to_owned(),
                })
                .collect(),
            parameters: BTreeMap::new(),
            plugins: Vec::new(),
            early: true,
        }),
        run: RunNumber(1),
        run_type: RunType::Test,
        label: DataLabel::Simulated,
        lumis: Vec::new(),
        inputs: Vec::new(),
        global_tag: None,
        constants: Vec::new(),
        deadline: None,
        needs: Needs::default(),
    }
}

/// An agent that never ends by itself; its attempt makes a child in a session of its own.
fn agent(work: &Path) {
    let (sender, receiver) = channel();
    let mut executor = executor(work, Arc::new(Ends(Mutex::new(sender))));
    let script = "setsid sleep 1000 & sleep 1000";
    executor.submit(&[spec(1, &["sh", "-c", script], &[])]);
    while receiver.recv().is_ok() {}
}

/// Sequential starts of a program that prints its own start in nanoseconds of the monotonic clock.
#[expect(clippy::print_stdout, reason = "a measurement is for whoever runs it")]
fn measure(work: &Path, program: &str, count: i64) {
    let (sender, receiver) = channel();
    let mut executor = executor(work, Arc::new(Ends(Mutex::new(sender))));
    let (mut starts, mut submits, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    for job in 1..=count {
        let spec = spec(job, &[program], &["stdout"]);
        let before = SystemClock.now();
        executor.submit(std::slice::from_ref(&spec));
        let submitted = SystemClock.now();
        while let Ok((_, news)) = receiver.recv() {
            if matches!(news, AttemptNews::Ended(_)) {
                break;
            }
        }
        rounds.push(SystemClock.now().since(before).0);
        submits.push(submitted.since(before).0);
        let stdout = attempt_folder(work, spec.token).join("stdout");
        if let Some(at) = std::fs::read_to_string(stdout)
            .ok()
            .and_then(|t| t.trim().parse().ok())
        {
            starts.push(Moment(at).since(before).0);
        }
        // Paced like arrivals, so that removing the last folder is not part of the next start.
        std::thread::sleep(PACE);
    }
    for (what, mut values) in [
        ("submit", submits),
        ("start", starts),
        ("start+end", rounds),
    ] {
        values.sort_unstable();
        let at = |part: usize| values.get(values.len() * part / 100).copied().unwrap_or(0) / 1_000;
        println!(
            "{what}: n {} p50 {} us p90 {} us p99 {} us",
            values.len(),
            at(50),
            at(90),
            at(99)
        );
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["spawner", ..] => {
            let code = tier0_executors::spawner_main(&arguments[1..]);
            return ExitCode::from(u8::try_from(code).unwrap_or(1));
        }
        ["agent", work] => agent(Path::new(work)),
        ["measure", work, program, count] => {
            measure(Path::new(work), program, count.parse().unwrap_or(1_000));
        }
        _ => return ExitCode::from(64),
    }
    ExitCode::SUCCESS
}
