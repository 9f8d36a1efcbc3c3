//! An instance as its users have it: the real program on a folder of its own, asked and told
//! through the command line.
//!
//! In: configuration, definitions, signals. Out: what the program says. Everything that was started
//! is ended when a [`House`] is dropped. Must never reach into the program: what these tests know,
//! anybody outside can know.
#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod audit;
pub(crate) mod draw;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The program under test.
pub(crate) const TIER0: &str = env!("CARGO_BIN_EXE_tier0");
/// Nothing that is waited for takes so long unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(20);

/// Says a line whether or not the test harness keeps output to itself.
pub(crate) fn say(line: &str) {
    // Nobody listening is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The pipelines that come with the program: the names of their files and what stands in them.
pub(crate) fn shipped_pipelines() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/definitions");
    let names = files_below(&folder).into_iter();
    let pipelines = names.filter(|name| Path::new(name).extension().is_some_and(|e| e == "toml"));
    pipelines
        .map(|name| {
            let text = fs::read_to_string(folder.join(&name)).expect("definitions are text");
            (name, text)
        })
        .collect()
}

/// What a command line said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Panics unless every part is said on the error output.
    pub(crate) fn says(&self, code: i32, parts: &[&str]) {
        for part in parts {
            assert!(self.err.contains(part), "lacks {part:?}: {self:?}");
        }
        assert_eq!(self.code, code, "{self:?}");
    }
}

/// The program with no setting of ours in its environment.
pub(crate) fn command() -> Command {
    let mut command = Command::new(TIER0);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIER0_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command line to its end.
pub(crate) fn tier0(arguments: &[&str]) -> Said {
    let output = command().args(arguments).output().expect("tier0 starts");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A folder with a configuration, a spool, and sometimes a running instance.
pub(crate) struct House {
    folder: tempfile::TempDir,
    /// The work folder, where it is in memory.
    memory: Option<tempfile::TempDir>,
    serve: Option<Child>,
    starts: u32,
    /// Further environment of the instance.
    pub(crate) environment: Vec<(String, String)>,
    /// A program, with its arguments, that starts the instance; it must become it.
    pub(crate) starter: Vec<String>,
}

/// An address of this machine that no other house has: what an instance that was killed has left
/// in its folder must not lead to another one.
fn own_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, _, a, b] = std::process::id().to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(number < 250, "so many houses are not needed");
    format!("127.{}.{}.{number}", a % 250 + 1, b % 250 + 1)
}

impl House {
    /// A folder with this configuration; `[instance]` and `[api]` are put in front.
    pub(crate) fn new(name: &str, config: &str) -> Self {
        Self::made(name, config, None)
    }

    /// As `new`, with a work folder on another file system, in memory.
    pub(crate) fn in_memory(name: &str, config: &str) -> Self {
        let memory = tempfile::tempdir_in("/dev/shm").expect("there is a file system in memory");
        Self::made(name, config, Some(memory))
    }

    fn made(name: &str, config: &str, memory: Option<tempfile::TempDir>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let work = memory.as_ref().map_or(String::new(), |memory| {
            format!("work = \"{}\"\n", memory.path().display())
        });
        let text = format!(
            "[instance]\nname = \"{name}\"\nstate = \"state\"\n{work}\n\
             [api]\nlisten = \"{}:0\"\n\n{config}",
            own_address()
        );
        fs::create_dir(folder.path().join("spool")).expect("the folder is empty");
        fs::write(folder.path().join("tier0.toml"), text).expect("the folder is ours");
        Self {
            folder,
            memory,
            serve: None,
            starts: 0,
            environment: Vec::new(),
            starter: Vec::new(),
        }
    }

    /// The work folder.
    pub(crate) fn work(&self) -> PathBuf {
        match &self.memory {
            Some(memory) => memory.path().to_owned(),
            None => self.path("state/work"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file below the folder, with the folders above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder is made");
        fs::write(&path, content).expect("a file is written");
        path
    }

    /// Puts a file into the spool as a careful writer does: under another name, then renamed.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path("spool").join(name);
        let mut half = path.clone().into_os_string();
        half.push(".tmp");
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder is made");
        fs::write(&half, content).expect("a file is written");
        fs::rename(&half, path).expect("a file is renamed");
    }

    /// Writes a program and makes it executable.
    pub(crate) fn program(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    /// Starts the instance, in a process group of its own, without waiting for it.
    pub(crate) fn launch(&mut self) {
        self.launch_with(None);
    }

    /// As `launch`, with a failpoint armed.
    pub(crate) fn launch_with(&mut self, failpoint: Option<&str>) {
        assert!(self.serve.is_none(), "one instance at a time");
        self.starts += 1;
        let log = fs::File::create(self.log_path()).expect("the folder is ours");
        let mut program = match self.starter.split_first() {
            Some((starter, arguments)) => {
                let mut program = Command::new(starter);
                program.args(arguments).arg(TIER0);
                program
            }
            None => command(),
        };
        let variables = self.environment.iter().map(|(name, value)| (name, value));
        let child = program
            .envs(variables)
            .arg("--config")
            .arg(self.path("tier0.toml"))
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .envs(failpoint.map(|armed| ("TIER0_FAILPOINT", armed)))
            .spawn()
            .expect("tier0 starts");
        self.serve = Some(child);
    }

    /// How the instance has ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        let child = self.serve.as_mut().expect("an instance runs");
        let ended = child.try_wait().expect("it is our child")?;
        self.serve = None;
        Some(ended)
    }

    /// The answer to a question over HTTP, if the instance answers; nothing with `body` none, an
    /// order otherwise.
    pub(crate) fn http(&self, path: &str, body: Option<&str>) -> Option<(u16, Value)> {
        let address = fs::read_to_string(self.path("state/api.addr")).ok()?;
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let url = format!("http://{}/api/v1/{path}", address.trim());
        let answer = match body {
            None => agent.get(url).call(),
            Some(body) => agent
                .post(url)
                .header("content-type", "application/json")
                .send(body),
        };
        let mut answer = answer.ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        let document = serde_json::from_str(&text).ok()?;
        Some((answer.status().as_u16(), document))
    }

    /// The rows of a list over HTTP, if the instance answers.
    pub(crate) fn rows(&self, path: &str) -> Option<Vec<Value>> {
        let (status, document) = self.http(path, None)?;
        (status == 200).then(|| items(document))
    }

    /// Starts the instance and waits until it takes files.
    pub(crate) fn start(&mut self) {
        self.launch();
        until("the instance is ready", PATIENCE, || {
            let child = self.serve.as_mut().expect("launched above");
            let ended = child.try_wait().expect("it is our child");
            let log = self.log();
            assert!(ended.is_none(), "the instance ended ({ended:?}): {log}");
            log.contains("READY").then_some(())
        });
    }

    fn log_path(&self) -> PathBuf {
        self.path(&format!("serve-{}.log", self.starts))
    }

    /// What the instance has said since it was started.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The running instance's process.
    pub(crate) fn pid(&self) -> Pid {
        pid(self.serve.as_ref().expect("an instance runs").id())
    }

    /// A command line about this instance.
    pub(crate) fn tier0(&self, arguments: &[&str]) -> Said {
        let config = self.path("tier0.toml");
        let config = config.to_str().expect("temporary folders have plain names");
        tier0(&[&["--config", config], arguments].concat())
    }

    /// The JSON document that a command line gives, if the instance answers.
    pub(crate) fn try_ask(&self, arguments: &[&str]) -> Result<Value, Said> {
        let said = self.tier0(&[arguments, &["--json"]].concat());
        serde_json::from_str(&said.out).map_err(|_| said)
    }

    /// The JSON document that a command line gives.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Value {
        self.try_ask(arguments)
            .unwrap_or_else(|said| panic!("{arguments:?}: {said:?}; {}", self.log()))
    }

    /// The rows of a list.
    pub(crate) fn list(&self, arguments: &[&str]) -> Vec<Value> {
        items(self.ask(arguments))
    }

    /// Looks again and again until there is something to see; says how everything is if there never
    /// is.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            let waited = start.elapsed();
            assert!(
                waited < PATIENCE,
                "waited in vain until {what}: {}",
                self.state_of_all()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until all runs are finished, so many of them.
    pub(crate) fn until_finished(&self, runs: usize, patience: Duration) {
        let what = format!("{runs} runs are finished");
        let start = Instant::now();
        loop {
            let listed = self.try_ask(&["run", "ls"]).map(items);
            let finished = listed.as_ref().is_ok_and(|all| {
                all.len() == runs && all.iter().all(|run| run["state"] == "finished")
            });
            if finished {
                return;
            }
            assert!(
                start.elapsed() < patience,
                "{what}: {}",
                self.state_of_all()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Everything that may say why something has not happened.
    pub(crate) fn state_of_all(&self) -> String {
        let mut text = String::new();
        for arguments in [
            ["run", "ls"],
            ["job", "ls"],
            ["alarm", "ls"],
            ["file", "set-aside"],
        ] {
            let said = self.tier0(&arguments);
            let lines = said.out.lines().filter(|line| !line.contains(" done "));
            let lines: Vec<&str> = lines.collect();
            let _ = write!(
                text,
                "\n--- {}\n{}{}",
                arguments.join(" "),
                lines.join("\n"),
                said.err
            );
        }
        let _ = write!(text, "\n--- the instance said\n{}", self.log());
        text
    }

    /// Waits for the end of the instance.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut child = self.serve.take().expect("an instance runs");
        until("the instance ends", PATIENCE, || {
            child.try_wait().expect("it is our child")
        })
    }

    /// Asks the instance to end; it must do so in order, and leave no process.
    pub(crate) fn stop(&mut self) {
        kill_process(self.pid(), Signal::TERM).expect("it is our child");
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.log());
        let left = self.processes();
        assert!(left.is_empty(), "left over: {left:?}");
    }

    /// Processes that this instance, or an earlier one on its folder, has started.
    pub(crate) fn processes(&self) -> Vec<(Pid, String)> {
        let all = self.processes_by_epoch().into_iter();
        all.map(|(_, pid, line)| (pid, line)).collect()
    }

    /// The same with the epoch that each belongs to.
    pub(crate) fn processes_by_epoch(&self) -> Vec<(u64, Pid, String)> {
        // Wherever its work is.
        let work = format!("TIER0_INSTANCE={}", self.work().display());
        let inside = format!("TIER0_INSTANCE={}/", self.folder.path().display());
        let is_mark =
            |entry: &&[u8]| *entry == work.as_bytes() || entry.starts_with(inside.as_bytes());
        let epoch = |pid: Pid| {
            let environ = fs::read(proc_path(pid, "environ")).unwrap_or_default();
            let entries: Vec<&[u8]> = environ.split(|byte| *byte == 0).collect();
            entries.iter().any(is_mark).then(|| {
                let mut values = entries
                    .iter()
                    .filter_map(|e| e.strip_prefix(b"TIER0_EPOCH="));
                let text = values
                    .next()
                    .and_then(|value| std::str::from_utf8(value).ok());
                text.and_then(|text| text.parse().ok())
                    .expect("who has the one mark has the other")
            })
        };
        let all = all_processes().into_iter();
        all.filter_map(|pid| Some((epoch(pid)?, pid, command_line(pid))))
            .collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut child) = self.serve.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for (pid, _) in self.processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn pid(number: u32) -> Pid {
    let number = i32::try_from(number).expect("process numbers are small");
    Pid::from_raw(number).expect("no child has number 0")
}

fn proc_path(pid: Pid, what: &str) -> PathBuf {
    Path::new("/proc")
        .join(pid.as_raw_nonzero().to_string())
        .join(what)
}

fn all_processes() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(Pid::from_raw).collect()
}

/// Arguments of a process, with spaces between.
pub(crate) fn command_line(pid: Pid) -> String {
    let bytes = fs::read(proc_path(pid, "cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// All processes below this one, by the parents they have now.
pub(crate) fn descendants(of: Pid) -> Vec<Pid> {
    let parent = |pid: &Pid| {
        let stat = fs::read_to_string(proc_path(*pid, "stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let parent: i32 = rest.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Pid::from_raw(parent)
    };
    let all: Vec<(Pid, Option<Pid>)> = all_processes()
        .into_iter()
        .map(|pid| (pid, parent(&pid)))
        .collect();
    let mut known = BTreeSet::from([of.as_raw_nonzero()]);
    let mut found = Vec::new();
    loop {
        let before = found.len();
        for (pid, parent) in &all {
            let below = parent.is_some_and(|parent| known.contains(&parent.as_raw_nonzero()));
            if below && known.insert(pid.as_raw_nonzero()) {
                found.push(*pid);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// The rows of a list's document.
pub(crate) fn items(mut document: Value) -> Vec<Value> {
    match document["items"].take() {
        Value::Array(rows) => rows,
        other => panic!("a list has items, not {other}"),
    }
}

/// A text of a row.
pub(crate) fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} is a text in {row}"))
}

/// A whole number of a row.
pub(crate) fn number(row: &Value, key: &str) -> u64 {
    row[key]
        .as_u64()
        .unwrap_or_else(|| panic!("{key} is a number in {row}"))
}

/// Looks again and again until there is something to see.
pub(crate) fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < patience, "waited in vain until {what}");
        std::thread::sleep(LOOK);
    }
}

/// Plain files below a folder, relative to it, in order.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(root, &path, found);
            } else {
                let name = path.strip_prefix(root).expect("found below it");
                found.push(name.display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}
