//! How an attempt ended: from its exit, its report, its files and why we ended it, to one class and
//! one sentence.
//!
//! In: what was seen. Out: the report for the engine. The order of belief: our own reason for
//! ending it, then the way it exited, then what it says of itself, and its outputs must exist
//! inside its own folder. No output is read here.

use crate::report::{REPORT_BYTES_MAX, Report, bounded};
use crate::wire::End;
use model::failure::OUTPUT_ENDS;
use model::ids::{LumiNumber, Token};
use model::job::ExitClass;
use model::resource::Needs;
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use model::work::{AttemptPlan, AttemptReport, ReportedOutput};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path};

/// What people need of an error output is at its end.
const TAIL_BYTES: u64 = 4_096;
const TAIL_CHARS: usize = 400;
/// Words by which programs say that memory ran out: C++, Python, Rust, the C library, Java.
const OUT_OF_MEMORY: [&str; 5] = [
    "std::bad_alloc",
    "MemoryError",
    "memory allocation of",
    "Cannot allocate memory",
    "OutOfMemoryError",
];

/// Why we ended it ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It ran longer than it may.
    Wall,
    /// Somebody asked.
    Cancelled,
    /// It wrote more to its standard output or error than is kept.
    Capture {
        /// The limit.
        bytes_max: u64,
    },
    /// It held much of a work disk that had no room left.
    Disk {
        /// How much.
        bytes: u64,
    },
}

/// Everything that was seen of an attempt that has ended.
pub(crate) struct Seen<'a> {
    pub(crate) token: Token,
    pub(crate) plan: &'a AttemptPlan,
    pub(crate) needs: Needs,
    pub(crate) lumis: &'a [(LumiNumber, LumiNumber)],
    pub(crate) folder: &'a Path,
    pub(crate) end: End,
    pub(crate) cause: Option<Cause>,
    /// The kernel ended some process for want of memory meanwhile.
    pub(crate) oom_killed: bool,
    pub(crate) started_at: Moment,
    pub(crate) ended_at: Moment,
}

pub(crate) type Verdict = Result<Report, (ExitClass, String)>;

impl Seen<'_> {
    /// The report for the engine.
    pub(crate) fn judge(&self) -> AttemptReport {
        let (verdict, code) = match self.cause {
            Some(cause) => (Err(self.ended_by_us(cause)), None),
            None => self.by_exit(),
        };
        let report = finish(verdict, self.started_at, self.ended_at, || {
            self.stderr_tail()
        });
        AttemptReport { code, ..report }
    }

    fn ended_by_us(&self, cause: Cause) -> (ExitClass, String) {
        ended_by_us(cause, self.needs.wall, self.ended_at.since(self.started_at))
    }

    /// The verdict, and the exit code: the program's own word before the system's, 128 and the
    /// signal's number as shells say it.
    fn by_exit(&self) -> (Verdict, Option<i32>) {
        if let Some(signal) = signal_of(self.end) {
            return (Err(self.by_signal(signal)), Some(128 + signal));
        }
        let report = match read_bounded(&self.folder.join("report.json")) {
            Ok(bytes) => Some(Report::parse(&bytes, self.token)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Err(format!("its report cannot be used: {error}"))),
        };
        let said = report.as_ref().and_then(|report| report.as_ref().ok());
        let code = said.and_then(|report| report.code).or(match self.end {
            End::Code(code) if code != 0 => Some(code),
            End::Code(_) | End::Signal(_) => None,
        });
        (self.by_code_and_report(report), code)
    }

    fn by_code_and_report(&self, report: Option<Result<Report, String>>) -> Verdict {
        let program = |message| (ExitClass::Program, message);
        match (self.end, report) {
            (_, Some(Ok(report))) if report.class != ExitClass::Ok => {
                Err((report.class, report.message))
            }
            (End::Code(0), Some(Ok(report))) => self.checked(report),
            (End::Code(code), Some(Ok(_))) => Err(program(format!(
                "its report says ok, yet it exited with code {code}"
            ))),
            (End::Code(0), Some(Err(message))) => Err(program(message)),
            (End::Code(code), Some(Err(message))) => {
                Err(program(format!("it exited with code {code} and {message}")))
            }
            (End::Code(0), None) => self.by_files(),
            (End::Code(code), None) => Err(self.by_code(code)),
            (End::Signal(_), _) => unreachable!("signals were judged above"),
        }
    }

    pub(crate) fn by_signal(&self, signal: i32) -> (ExitClass, String) {
        let from_outside = matches!(signal, 1 | 2 | 9 | 15);
        if (signal == 9 && self.oom_killed) || self.says_out_of_memory() {
            let memory = self.needs.memory;
            return (
                ExitClass::Memory,
                format!("it ran out of memory; its task asks for {memory}"),
            );
        }
        let name = signal_name(signal);
        if signal == 25 {
            let message = format!("it wrote a file longer than may be and was ended ({name})");
            return (ExitClass::Program, message);
        }
        if from_outside {
            return (
                ExitClass::Transient,
                format!("somebody outside ended it with {name}"),
            );
        }
        (ExitClass::Program, format!("it was ended by {name}"))
    }

    /// Exit codes as in BSD sysexits.h; 126 and 127 as shells use them.
    fn by_code(&self, code: i32) -> (ExitClass, String) {
        if self.says_out_of_memory() {
            let memory = self.needs.memory;
            return (
                ExitClass::Memory,
                format!("it ran out of memory; its task asks for {memory}"),
            );
        }
        let (class, meaning) = match code {
            65 => (ExitClass::Input, ": its input is wrong"),
            66 => (ExitClass::Input, ": its input cannot be read"),
            74 => (ExitClass::Site, ": reading or writing failed"),
            75 => (ExitClass::Transient, ": try again"),
            126 => (
                ExitClass::Program,
                ": a program it calls cannot be executed",
            ),
            127 => (ExitClass::Program, ": a program it calls was not found"),
            _ => (ExitClass::Program, ""),
        };
        (
            class,
            format!("it exited with code {code}{meaning}, without a report"),
        )
    }

    /// Without a report, success is an exit code of 0 and every declared output there, with
    /// something in it.
    fn by_files(&self) -> Verdict {
        let mut outputs = Vec::new();
        for wanted in &self.plan.outputs {
            let bytes = self.find(&wanted.path).map_err(|reason| {
                let message = format!("it exited with code 0 but output {} {reason}", wanted.label);
                (ExitClass::Program, message)
            })?;
            if bytes == 0 {
                let message = format!("it exited with code 0 but output {} is empty", wanted.label);
                return Err((ExitClass::Program, message));
            }
            outputs.push(ReportedOutput {
                label: wanted.label.clone(),
                path: wanted.path.clone(),
                bytes: Some(Bytes(bytes)),
                adler32: None,
                events: Events(0),
                lumis: self.lumis.to_vec(),
            });
        }
        Ok(Report {
            class: ExitClass::Ok,
            code: None,
            message: String::new(),
            outputs,
            events_read: Events(0),
            events_written: Events(0),
            candidates: Vec::new(),
            tests: Vec::new(),
            units: Vec::new(),
        })
    }

    /// A report of success, checked against the folder.
    pub(crate) fn checked(&self, report: Report) -> Verdict {
        for output in &report.outputs {
            if !self
                .plan
                .outputs
                .iter()
                .any(|wanted| wanted.label == output.label)
            {
                let message = format!(
                    "its report names output {}, which its task has not",
                    output.label
                );
                return Err((ExitClass::Program, message));
            }
            self.find(&output.path).map_err(|reason| {
                let message = format!("its report names output {}, which {reason}", output.label);
                (ExitClass::Program, message)
            })?;
        }
        let missing = self.plan.outputs.iter().find(|wanted| {
            !report
                .outputs
                .iter()
                .any(|output| output.label == wanted.label)
        });
        match missing {
            None => Ok(report),
            Some(wanted) => Err((
                ExitClass::Program,
                format!(
                    "its report says ok but lacks the output {} of its task",
                    wanted.label
                ),
            )),
        }
    }

    /// Size of a regular file inside the folder, reached without any symbolic link; the error ends
    /// a sentence.
    fn find(&self, path: &str) -> Result<u64, String> {
        let inside = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !inside || path.is_empty() {
            return Err(format!(
                "is to lie at {path:?}, outside the attempt's folder"
            ));
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let look = || {
            let folder = open(self.folder, flags | OFlags::DIRECTORY, Mode::empty())?;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let file = openat2(
                folder,
                path,
                flags | OFlags::NOFOLLOW,
                Mode::empty(),
                resolve,
            )?;
            fstat(file)
        };
        match look() {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile => {
                Ok(u64::try_from(found.st_size).unwrap_or(0))
            }
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Symlink => Err(
                format!("is at {path:?} a symbolic link; write it into the folder"),
            ),
            Ok(_) => Err(format!("is at {path:?} no regular file")),
            Err(rustix::io::Errno::NOENT) => Err(format!("does not exist at {path:?}")),
            Err(rustix::io::Errno::LOOP) => Err(format!(
                "is reached at {path:?} by a symbolic link; write it into the folder"
            )),
            Err(error) => Err(format!("cannot be looked at, at {path:?}: {error}")),
        }
    }

    fn says_out_of_memory(&self) -> bool {
        let tail = self.stderr_tail();
        OUT_OF_MEMORY.iter().any(|sign| tail.contains(sign))
    }

    pub(crate) fn stderr_tail(&self) -> String {
        tail(&self.folder.join("stderr")).unwrap_or_default()
    }
}

/// The report of an attempt that we ended.
pub(crate) fn ended_by_us(cause: Cause, wall: Span, ran: Span) -> (ExitClass, String) {
    match cause {
        Cause::Wall => (
            ExitClass::Time,
            format!("it ran for {ran} and was ended; the wall limit of its task is {wall}"),
        ),
        // Costs no attempt: it is no fault of the job.
        Cause::Cancelled => (ExitClass::Lost, "it was ended on request".to_owned()),
        Cause::Capture { bytes_max } => (
            ExitClass::Program,
            format!(
                "it wrote more than {} to its standard output or error and was ended; \
                 make it write less, or into a file of its own",
                Bytes(bytes_max)
            ),
        ),
        Cause::Disk { bytes } => (
            ExitClass::Site,
            format!(
                "it held {} of a work disk that had no room left and was ended; make it write \
                 less, or give the work folder more room",
                Bytes(bytes)
            ),
        ),
    }
}

/// Puts a verdict into the engine's form; failures get the end of the error output.
pub(crate) fn finish(
    verdict: Verdict,
    started_at: Moment,
    ended_at: Moment,
    tail: impl FnOnce() -> String,
) -> AttemptReport {
    match verdict {
        Ok(report) => AttemptReport {
            class: ExitClass::Ok,
            code: None,
            message: report.message,
            outputs: report.outputs,
            events_read: report.events_read,
            events_written: report.events_written,
            candidates: report.candidates,
            tests: report.tests,
            units: report.units,
            started_at,
            ended_at,
        },
        Err((class, mut message)) => {
            // What was ended on request has nothing to explain.
            let tail = if class == ExitClass::Lost {
                String::new()
            } else {
                tail()
            };
            let tail = tail.trim();
            if !tail.is_empty() {
                let skip = tail.chars().count().saturating_sub(TAIL_CHARS);
                let end: String = tail.chars().skip(skip).collect();
                message.push_str(OUTPUT_ENDS);
                message.push_str(&end);
            }
            AttemptReport::failed(class, bounded(&message), started_at, ended_at)
        }
    }
}

/// Why a program could not be started, and whose fault that is (errno(3)).
pub(crate) fn refusal(program: &[String], errno: Option<i32>, reason: &str) -> (ExitClass, String) {
    let program = program.first().map_or("", String::as_str);
    let (class, next) = match errno {
        // ENOENT, EACCES, ENOTDIR
        Some(2 | 13 | 20) => (
            ExitClass::Program,
            "; check that it and the interpreter in its first line exist and may be executed",
        ),
        // ENOEXEC
        Some(8) => (
            ExitClass::Program,
            "; a script needs a first line such as #!/bin/sh",
        ),
        // E2BIG
        Some(7) => (ExitClass::Program, "; its arguments are too long"),
        // EAGAIN, ENOMEM, ENFILE, EMFILE, ENOSPC, EROFS, EDQUOT: it never began, so that costs no
        // attempt (D16).
        Some(11 | 12 | 23 | 24 | 28 | 30 | 122) => {
            (ExitClass::Lost, "; this machine has run out of something")
        }
        _ => (ExitClass::Site, ""),
    };
    (
        class,
        format!("program {program} could not be started: {reason}{next}"),
    )
}

/// Processes that the kernel has ended for want of memory since it started (proc(5),
/// `/proc/vmstat`).
pub(crate) fn oom_kills() -> u64 {
    let text = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The signal behind an end; shells report one as 128 and its number.
pub(crate) fn signal_of(end: End) -> Option<i32> {
    match end {
        End::Signal(signal) => Some(signal),
        End::Code(code) if (129..=128 + 64).contains(&code) => Some(code - 128),
        End::Code(_) => None,
    }
}

/// Names of signals on Linux (signal(7)).
pub(crate) fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return format!("signal {signal}"),
    };
    format!("{name} (signal {signal})")
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::with_capacity(found.len().min(REPORT_BYTES_MAX) as usize);
    file.take(REPORT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > REPORT_BYTES_MAX {
        return Err(io::Error::other(format!(
            "it is longer than {}",
            Bytes(REPORT_BYTES_MAX)
        )));
    }
    Ok(bytes)
}

fn tail(path: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
