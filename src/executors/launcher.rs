//! The agent's end of the spawner: starts it, sends requests, hands out its replies.
//!
//! In: requests. Out: bytes on its socket. It knows nothing of attempts. Dropping it closes the
//! socket, which ends the spawner and all that it started, and waits for that; one that does not
//! end is killed, and what it started is then its caller's to end.

use crate::ExecutorError;
use crate::wire::{self, Frames, Request};
use ports::failpoint::{self, Point, pass};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So long a spawner may take to end all that it started. One that is stopped never would.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// Between looks whether it has ended, doubled from the first to the last.
const END_LOOK: Duration = Duration::from_micros(200);
const END_LOOK_MAX: Duration = Duration::from_millis(20);

/// What programs see of our environment: where to find programs and libraries, and how to speak to
/// people.
const ENVIRONMENT_ALLOWED: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
];

/// A running spawner.
pub(crate) struct Launcher {
    child: Child,
    // Whole frames only: the lock is held for one.
    socket: Mutex<UnixStream>,
}

impl Launcher {
    /// Starts `exe spawner`, which must call [`crate::spawner_main`].
    pub(crate) fn start(
        exe: &Path,
        environment: &BTreeMap<String, String>,
        file_bytes_max: u64,
    ) -> Result<(Self, Frames), ExecutorError> {
        let failed = |source| ExecutorError::Spawner {
            exe: exe.to_path_buf(),
            source,
        };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let replies = ours.try_clone().map_err(failed)?;
        let allowed = ENVIRONMENT_ALLOWED
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        pass(Point::SpawnerWanted);
        let child = Command::new(exe)
            .args(["spawner", &file_bytes_max.to_string()])
            .args(failpoint::for_spawner())
            .env_clear()
            .envs(allowed)
            .envs(environment)
            .current_dir("/")
            // An interrupt from the terminal is for us: we end the spawner in order.
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        pass(Point::SpawnerLaunched);
        Ok((
            Self {
                child,
                socket: Mutex::new(ours),
            },
            Frames::new(replies),
        ))
    }

    /// Sends one request, with a socket beside it where it needs one.
    pub(crate) fn send(&self, request: &Request, beside: Option<BorrowedFd>) -> io::Result<()> {
        let bytes = wire::frame(request);
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        wire::send(&socket, &bytes, beside)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        // A spawner that is gone already is as good.
        let _ = socket.shutdown(Shutdown::Both);
        drop(socket);
        let begin = Instant::now();
        let mut pause = END_LOOK;
        while matches!(self.child.try_wait(), Ok(None)) {
            if begin.elapsed() > END_PATIENCE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(pause);
            pause = END_LOOK_MAX.min(pause * 2);
        }
    }
}

/// Finds the file of a program, as a shell would; `tier0` alone means this very binary, installed
/// or not.
pub(crate) fn resolve(program: &str, own_exe: &Path) -> Result<PathBuf, String> {
    if program == "tier0" {
        return Ok(own_exe.to_path_buf());
    }
    if program.contains('/') {
        let path = std::path::absolute(program).map_err(|error| error.to_string())?;
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!(
                "program {} does not exist; install it there or correct `program` in the \
                 pipeline's definition",
                path.display()
            ))
        };
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search)
        .map(|folder| folder.join(program))
        .find(|path| path.is_absolute() && path.is_file())
        .ok_or_else(|| {
            format!(
                "program {program} is in no folder of PATH; install it or write its whole path \
                 into the pipeline's definition"
            )
        })
}
