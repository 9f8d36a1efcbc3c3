//! How a program is run: once in a process of its own, or many times as a warm worker.
//!
//! In, as a process: the path of `job.json` in `TIER0_JOB`, that of the report in `TIER0_REPORT`,
//! the attempt's folder as working directory. In, as a worker: JSON lines on stdin, `{"job":{..}}`
//! with the content of `job.json` and its folder in `cwd`, `{"cancel":{..}}`, `{"quit":{}}`. Out:
//! the report, as a file renamed into place or as a line `{"report":{..}}`; first of all a worker
//! says `{"hello":{..}}`. A worker does one job at a time and reads no line meanwhile, so a cancel
//! finds nothing left to cancel: whoever wants to stop a running job ends the worker. A panic
//! becomes a report of class `program`. Nothing but protocol lines ever goes to stdout.

use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::job::{Exit, ExitClass, JobError, JobFile, Made, Report};
use crate::questions::{Asks, plugins};

/// Exit code of a command line that cannot be followed.
pub(crate) const USAGE: i32 = 2;
/// Argument that makes a program a warm worker.
pub(crate) const WORKER: &str = "--tier0-worker";
/// Version of the line protocol.
pub(crate) const PROTOCOL: u32 = 1;

/// A program of this crate.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it asks plugins for.
    pub(crate) asks: Asks,
    /// What it does with a job in an attempt's folder.
    pub(crate) run: fn(&JobFile, &Path) -> Result<Made, JobError>,
}

impl Program {
    /// Does one job; whatever happens, there is a report.
    pub(crate) fn perform(self, job: Value, folder: &Path) -> Report {
        let identity = |name: &str| job.get(name).cloned().unwrap_or(Value::Null);
        let (id, attempt) = (identity("job"), identity("attempt"));
        let (made, class, message) = match serde_json::from_value::<JobFile>(job) {
            Ok(job) => self.perform_parsed(&job, folder),
            Err(error) => {
                let message = format!("the job cannot be read: {error}; check the executor");
                (Made::default(), ExitClass::Program, message)
            }
        };
        let exit = Exit {
            code: class.code(),
            class,
            message,
        };
        Report {
            schema: 1,
            job: id,
            attempt,
            made,
            exit,
        }
    }

    fn perform_parsed(self, job: &JobFile, folder: &Path) -> (Made, ExitClass, String) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            linger(job)?;
            plugins(job, self.asks)?;
            (self.run)(job, folder)
        }));
        match result {
            Ok(Ok(made)) => (made, ExitClass::Ok, String::new()),
            Ok(Err(error)) => (Made::default(), error.class(), error.to_string()),
            Err(panic) => {
                let said = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                let message = format!("{} has a bug, it panicked: {said}", self.name);
                (Made::default(), ExitClass::Program, message)
            }
        }
    }

    /// Runs as a process of its own; gives the exit code.
    pub(crate) fn process(self) -> i32 {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let (Some(job), Some(report)) = (variable("TIER0_JOB"), variable("TIER0_REPORT")) else {
            say(&format!(
                "{} is started by an executor: set TIER0_JOB to the job file and TIER0_REPORT to \
                 the report to write, or give {WORKER}",
                self.name
            ));
            return USAGE;
        };
        let done = match read_job(&job) {
            Ok((job, folder)) => self.perform(job, &folder),
            Err(message) => {
                let class = ExitClass::Program;
                let exit = Exit {
                    code: class.code(),
                    class,
                    message,
                };
                let (job, attempt) = (Value::Null, Value::Null);
                Report {
                    schema: 1,
                    job,
                    attempt,
                    made: Made::default(),
                    exit,
                }
            }
        };
        if done.exit.class != ExitClass::Ok {
            say(&format!("{}: {}", self.name, done.exit.message));
        }
        match write_report(&done, report) {
            Ok(()) => done.exit.code,
            Err(message) => {
                say(&format!("{}: {message}", self.name));
                ExitClass::Site.code()
            }
        }
    }

    /// Serves jobs from stdin until quit or the end of input; gives the exit code.
    pub(crate) fn worker(self, input: impl BufRead, output: impl Write) -> i32 {
        match self.serve(input, output) {
            Ok(()) => 0,
            Err(message) => {
                say(&format!("{}: {message}", self.name));
                ExitClass::Program.code()
            }
        }
    }

    fn serve(self, input: impl BufRead, mut output: impl Write) -> Result<(), String> {
        let hello = json!({"hello": {
            "program": self.name, "protocol": PROTOCOL, "conditions": "any",
        }});
        send(&mut output, &hello)?;
        for line in input.lines() {
            let line = line.map_err(|error| format!("reading stdin failed: {error}"))?;
            if line.trim().is_empty() {
                continue;
            }
            let message: Value = serde_json::from_str(&line)
                .map_err(|error| format!("a line on stdin is not JSON: {error}"))?;
            if let Some(job) = message.get("job") {
                let folder = job.get("cwd").and_then(Value::as_str).map(PathBuf::from);
                let folder = folder.ok_or("a job on stdin names no cwd")?;
                let report = self.perform(job.clone(), &folder);
                send(&mut output, &json!({ "report": report }))?;
            } else if message.get("quit").is_some() {
                return Ok(());
            } else if message.get("cancel").is_none() {
                return Err("a line on stdin is neither job, cancel nor quit".into());
            }
        }
        Ok(())
    }
}

/// Waits for the `linger_ms` of the job's parameters: it stands in for the time that a real
/// reconstruction takes, so that a demonstration or a test has jobs that are running.
fn linger(job: &JobFile) -> Result<(), JobError> {
    /// Longest stand-in, in milliseconds: an hour.
    const LINGER_MS_MAX: f64 = 3_600_000.0;
    if let Some(wait_ms) = job.number("linger_ms")? {
        std::thread::sleep(Duration::from_millis(
            wait_ms.clamp(0.0, LINGER_MS_MAX) as u64
        ));
    }
    Ok(())
}

fn read_job(path: &Path) -> Result<(Value, PathBuf), String> {
    let at = |error: &dyn std::fmt::Display| {
        format!("job file {}: {error}; check the executor", path.display())
    };
    let bytes = std::fs::read(path).map_err(|error| at(&error))?;
    let job = serde_json::from_slice(&bytes).map_err(|error| at(&error))?;
    let folder = std::env::current_dir().map_err(|error| at(&error))?;
    Ok((job, folder))
}

/// Writes the report beside its final name and renames it: nobody reads half a report.
fn write_report(report: &Report, path: PathBuf) -> Result<(), String> {
    let mut open = path.clone().into_os_string();
    open.push(".tmp");
    let text = serde_json::to_vec(report).expect("a report is numbers, words and lists");
    std::fs::write(&open, text)
        .and_then(|()| std::fs::rename(&open, &path))
        .map_err(|error| format!("writing report {} failed: {error}", path.display()))
}

fn send(output: &mut impl Write, message: &Value) -> Result<(), String> {
    writeln!(output, "{message}")
        .and_then(|()| output.flush())
        .map_err(|error| format!("writing stdout failed: {error}"))
}

/// Talk goes to stderr; if even that is closed, there is nobody to tell.
pub(crate) fn say(message: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{message}");
}
