//! What is measured: the instance, the raw limit, and the raw limit with attempt folders. Each is a
//! process of its own with a spool folder of its own.
//!
//! In: the bench's folder. Out: running processes that stamp starts. All of them are killed when
//! they are dropped; the instance's spawner ends whatever it started.

use super::rooms::Rooms;
use super::stamps::Stamps;
use super::{BenchError, machine, on};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long nothing may come before the rest is given up.
const SILENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(5);

/// A watched spool folder and whoever watches it.
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) spool: PathBuf,
    pub(super) stamps: Stamps,
    child: Child,
    /// How long its last start took.
    pub(super) started_in: Duration,
}

/// Which raw limit.
#[derive(Clone, Copy)]
pub(super) enum Raw {
    /// inotify and spawn.
    Plain,
    /// And an attempt folder with job file and capture files.
    Folder,
}

impl Target {
    /// The instance, started and looking at its folder.
    pub(super) fn ours(rooms: &Rooms) -> Result<Self, BenchError> {
        let spool = rooms.room("spool-ours")?;
        let stamps = Stamps::of(rooms.path("stamps-ours"));
        let (child, started_in) = serve(rooms)?;
        Ok(Self {
            name: "ours",
            spool,
            stamps,
            child,
            started_in,
        })
    }

    /// A raw limit, started and watching.
    pub(super) fn raw(rooms: &Rooms, raw: Raw) -> Result<Self, BenchError> {
        let (name, word) = match raw {
            Raw::Plain => ("raw", "plain"),
            Raw::Folder => ("raw-folder", "folder"),
        };
        let spool = rooms.room(&format!("spool-{name}"))?;
        let stamps = rooms.path(&format!("stamps-{name}"));
        let work = rooms.room(&format!("work-{name}"))?;
        let began = Instant::now();
        let mut child = Command::new(&rooms.raw)
            .args([
                spool.as_path(),
                &rooms.program,
                &stamps,
                Path::new(word),
                &work,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(on("starting", &rooms.raw))?;
        let mut line = String::new();
        let said = child.stdout.take().expect("its output was asked for");
        let heard = BufReader::new(said).read_line(&mut line);
        let target = Self {
            name,
            spool,
            stamps: Stamps::of(stamps),
            child,
            started_in: began.elapsed(),
        };
        match heard {
            Ok(_) if line == "ready\n" => Ok(target),
            _ => Err(BenchError::Start {
                what: name.to_owned(),
                detail: "it does not watch; is the limit on inotify instances reached?".to_owned(),
                folder: rooms.folder.clone(),
            }),
        }
    }

    pub(super) fn cpu_s(&self) -> f64 {
        machine::cpu_s(self.child.id())
    }

    /// Memory by a word of `/proc/PID/status`.
    pub(super) fn memory_bytes(&self, line: &str) -> u64 {
        machine::memory_bytes(self.child.id(), line)
    }

    /// Renames a file into the spool folder; gives the moment just before.
    pub(super) fn arrive(&self, from: &Path, name: &str) -> Result<i64, BenchError> {
        let to = self.spool.join(name);
        let at_ns = machine::now_ns();
        fs::rename(from, &to).map_err(on("renaming into", &to))?;
        Ok(at_ns)
    }

    /// Waits until so many files have been stamped since the start of the bench; false if nothing
    /// comes any more.
    pub(super) fn wait_for(&mut self, files: usize) -> Result<bool, BenchError> {
        let mut last = (self.stamps.files(), Instant::now());
        loop {
            self.stamps
                .look()
                .map_err(on("reading the stamps of", self.name))?;
            let have = self.stamps.files();
            if have >= files {
                return Ok(true);
            }
            if have > last.0 {
                last = (have, Instant::now());
            } else if last.1.elapsed() > SILENCE {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The same for all of these files, or an error.
    pub(super) fn wait_for_all(&mut self, names: &[String]) -> Result<(), BenchError> {
        let before = names.iter().filter(|n| self.stamps.count(n) == 0).count();
        if self.wait_for(self.stamps.files() + before)? {
            return Ok(());
        }
        Err(BenchError::Silent {
            what: self.name,
            stamped: names.iter().filter(|n| self.stamps.count(n) > 0).count(),
            files: names.len(),
            waited_s: SILENCE.as_secs(),
        })
    }

    /// Kills the instance with everything below it, at once, and starts it again.
    pub(super) fn crash_and_restart(&mut self, rooms: &Rooms) -> Result<(), BenchError> {
        let below = machine::children(self.child.id());
        end(&mut self.child);
        for pid in below {
            let pid = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                // It may have ended by itself, seeing us gone.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        (self.child, self.started_in) = serve(rooms)?;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // Whoever has ended already cannot be killed, which is as good.
    let _ = child.kill();
    let _ = child.wait();
}

/// Starts `tier0 serve` and waits until it has looked at its folder; says how long that took.
fn serve(rooms: &Rooms) -> Result<(Child, Duration), BenchError> {
    let program = std::env::current_exe().map_err(on("finding", "this program"))?;
    let log = rooms.path("serve.log");
    let talk = File::create(&log).map_err(on("making", &log))?;
    let mut command = Command::new(&program);
    // What is set for other instances is not meant for this one.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIER0_") {
            command.env_remove(name);
        }
    }
    let began = Instant::now();
    let mut child = command
        .arg("--config")
        .arg(rooms.path("site.toml"))
        .arg("serve")
        .current_dir(&rooms.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(talk)
        .spawn()
        .map_err(on("starting", &program))?;
    let until = began + PATIENCE;
    loop {
        let said = fs::read_to_string(&log).unwrap_or_default();
        if said.contains("READY") {
            return Ok((child, began.elapsed()));
        }
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || Instant::now() > until {
            end(&mut child);
            return Err(BenchError::Start {
                what: "tier0 serve".to_owned(),
                detail: said.trim().to_owned(),
                folder: rooms.folder.clone(),
            });
        }
        std::thread::sleep(LOOK);
    }
}
