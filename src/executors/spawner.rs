//! The spawner: a small process that starts programs, reaps them, and ends them all when its agent
//! is gone (D21).
//!
//! In: requests from the socket that is its standard input. Out: replies on the same socket; an
//! attempt is told as ended only when no process that it started is left. It must never use `fork`
//! or `pre_exec` (std's `Command` stays on `posix_spawn`), never decide anything, and never outlive
//! its agent: at the end of its socket it ends every group and every orphan, and exits.
//!
//! Two threads. *Dispatch* reads requests and starts programs, so these are children of that
//! thread. The *reaper* is the process's first thread. As we are child subreaper, orphans are given
//! to the first living thread of ours, which is the reaper (Linux, kernel/exit.c, `find_new_reaper`
//! and `find_alive_thread`): so one `wait4` with `__WNOTHREAD` tells whether there is any orphan at
//! all, and `/proc` is read only when there is one.

use crate::census::{self, EMPTY_LOOKS, EMPTY_PAUSE, Environment};
use crate::wire::{self, End, Force, Frames, Reply, Request, Start};
use ports::failpoint::{self, Point, is_lost, pass};
use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitOptions, getpgid, getpid,
    kill_process, kill_process_group, prlimit, set_child_subreaper, setrlimit, wait, waitid,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

/// Linux `__WNOTHREAD` (include/uapi/linux/wait.h): only children of the calling thread.
const ONLY_THIS_THREAD: u32 = 0x2000_0000;
/// How often what is left is killed again once the agent is gone.
const CLOSING_PAUSE: Duration = Duration::from_millis(1);

/// Runs the spawner until its agent is gone; to be called by the first thread of a process of its
/// own, whose standard input is the agent's socket. The first argument is the largest file in bytes
/// that a program may write, a second one the failpoint to arm.
///
/// Returns the exit code: 0, or 64 when it was not started by an agent.
pub fn spawner_main(args: &[String]) -> i32 {
    if let Some(Err(_)) = args.get(1).map(|armed| failpoint::arm(armed)) {
        return 64;
    }
    let file_bytes_max = args.first().and_then(|text| text.parse().ok());
    let socket = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from);
    let (Ok(requests), Some(file_bytes_max)) = (socket, file_bytes_max) else {
        return 64;
    };
    let Ok(replies) = requests.try_clone() else {
        return 64;
    };
    if requests.peer_addr().is_err() || prepare(file_bytes_max).is_err() {
        return 64;
    }
    let yard = Arc::new(Yard {
        table: Mutex::new(Table::default()),
        replies: Mutex::new(replies),
        reaper: thread::current(),
    });
    let dispatcher = Arc::clone(&yard);
    let dispatch = move || {
        dispatcher.dispatch(&mut Frames::new(requests));
        dispatcher.close();
    };
    if thread::Builder::new()
        .name("dispatch".into())
        .spawn(dispatch)
        .is_err()
    {
        return 71;
    }
    yard.reap();
    failpoint::tell();
    0
}

/// What every program inherits from us: no core files, no endless files; and orphans come to us.
fn prepare(file_bytes_max: u64) -> io::Result<()> {
    let at_most = |limit| Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Fsize, at_most(file_bytes_max))?;
    set_child_subreaper(Some(getpid()))?;
    Ok(())
}

/// What both threads share.
struct Yard {
    table: Mutex<Table>,
    replies: Mutex<UnixStream>,
    reaper: Thread,
}

/// Who is whose.
#[derive(Default)]
struct Table {
    /// Programs that run, by process id, which is also their group's.
    leaders: BTreeMap<i32, Leader>,
    pids: BTreeMap<u64, i32>,
    /// Programs that have ended, some of whose offspring may still be there.
    ending: Vec<Ending>,
    /// A start is under way: an unknown child may be the new program.
    starting: bool,
    /// Reaped during a start and unknown: perhaps the new program itself.
    unclaimed: BTreeMap<i32, End>,
    /// The agent is gone.
    closing: bool,
}

struct Leader {
    key: u64,
    name: String,
}

struct Ending {
    key: u64,
    name: String,
    group: i32,
    end: End,
    /// Killed and not reaped yet.
    hunted: BTreeSet<i32>,
}

/// Whose offspring an orphan is.
enum Owner {
    Running,
    Ending(usize),
    /// Its environment names nobody who is here.
    Nobody,
}

impl Yard {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, replies: &[Reply]) {
        let bytes: Vec<u8> = replies.iter().flat_map(wire::frame).collect();
        let socket = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        // An agent that is gone shows as the end of the requests.
        let _ = wire::send(&socket, &bytes, None);
    }

    fn dispatch(&self, requests: &mut Frames) {
        while let Ok(Some(request)) = requests.next::<Request>() {
            match request {
                Request::Start(start) => {
                    pass(Point::SpawnerAsked);
                    let socket = if start.channel {
                        requests.take_socket()
                    } else {
                        None
                    };
                    self.start(&start, socket);
                }
                Request::Signal { key, force } => {
                    let table = self.table();
                    // Under the lock nothing is reaped, so the number still names the program.
                    if let Some(pid) = table.pids.get(&key).copied().and_then(Pid::from_raw) {
                        end_group(pid, force);
                    }
                }
                Request::List { number } => {
                    let table = self.table();
                    let running = table.leaders.values().map(|leader| leader.key);
                    let ending = table.ending.iter().map(|ending| ending.key);
                    let keys = running.chain(ending).collect();
                    drop(table);
                    self.reply(&[Reply::Listed { number, keys }]);
                }
            }
        }
    }

    fn start(&self, start: &Start, socket: Option<OwnedFd>) {
        self.table().starting = true;
        let spawned = spawn(start, socket);
        pass(Point::SpawnerSpawned);
        match &spawned {
            Ok(_) => self.reply(&[Reply::Started { key: start.key }]),
            Err(error) => self.reply(&[Reply::Failed {
                key: start.key,
                errno: error.raw_os_error(),
                reason: error.to_string(),
            }]),
        }
        pass(Point::SpawnerTold);
        let mut table = self.table();
        table.starting = false;
        let unclaimed = std::mem::take(&mut table.unclaimed);
        let Ok(pid) = spawned else { return };
        table.leaders.insert(
            pid,
            Leader {
                key: start.key,
                name: start.name.clone(),
            },
        );
        table.pids.insert(start.key, pid);
        pass(Point::SpawnerNoted);
        let replies = match unclaimed.get(&pid) {
            Some(end) => {
                table.ended(pid, *end);
                table.settle(false)
            }
            None => Vec::new(),
        };
        drop(table);
        if !replies.is_empty() {
            self.reply(&replies);
        }
        self.reaper.unpark();
    }

    fn reap(&self) {
        loop {
            match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => pass(Point::SpawnerSawEnd),
                Err(Errno::INTR) => continue,
                // No child at all. A start unparks us; one that came before is remembered.
                Err(_) => {
                    if self.table().closing {
                        return;
                    }
                    thread::park();
                    continue;
                }
            }
            let mut table = self.table();
            table.collect(WaitOptions::NOHANG);
            let own = WaitOptions::from_bits_retain(ONLY_THIS_THREAD) | WaitOptions::NOHANG;
            let no_orphans = table.collect(own) == Errno::CHILD;
            let replies = table.settle(no_orphans);
            drop(table);
            if !replies.is_empty() {
                if is_lost(Point::SpawnerReaped) {
                    continue;
                }
                self.reply(&replies);
                pass(Point::SpawnerToldEnd);
            }
        }
    }

    /// Ends everything; the reaper returns once nothing is left.
    fn close(&self) {
        pass(Point::SpawnerAlone);
        loop {
            let mut table = self.table();
            table.closing = true;
            for pid in table.leaders.keys().copied().filter_map(Pid::from_raw) {
                end_group(pid, Force::Kill);
            }
            let children = census::children();
            for pid in &children {
                let _ = kill_process(*pid, Signal::KILL);
            }
            let nothing_left = table.leaders.is_empty() && children.is_empty();
            drop(table);
            self.reaper.unpark();
            if nothing_left {
                return;
            }
            thread::sleep(CLOSING_PAUSE);
        }
    }
}

impl Table {
    /// Reaps whatever can be reaped; returns why it stopped: no children, or none that has ended.
    fn collect(&mut self, options: WaitOptions) -> Errno {
        loop {
            match wait(options) {
                Ok(Some((pid, status))) => {
                    let end = match status.terminating_signal() {
                        Some(signal) => End::Signal(signal),
                        None => End::Code(status.exit_status().unwrap_or(0)),
                    };
                    self.ended(pid.as_raw_nonzero().get(), end);
                }
                Ok(None) => return Errno::AGAIN,
                Err(Errno::INTR) => {}
                Err(error) => return error,
            }
        }
    }

    fn ended(&mut self, pid: i32, end: End) {
        if let Some(Leader { key, name }) = self.leaders.remove(&pid) {
            self.pids.remove(&key);
            // Whoever it left in its group keeps the group's number from being used again.
            if let Some(group) = Pid::from_raw(pid) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            self.ending.push(Ending {
                key,
                name,
                group: pid,
                end,
                hunted: BTreeSet::new(),
            });
        } else if self.starting {
            self.unclaimed.insert(pid, end);
        }
        for ending in &mut self.ending {
            ending.hunted.remove(&pid);
        }
    }

    /// Hunts the offspring of programs that have ended; tells those that have none left.
    fn settle(&mut self, no_orphans: bool) -> Vec<Reply> {
        if self.ending.is_empty() {
            return Vec::new();
        }
        if no_orphans {
            self.ending
                .iter_mut()
                .for_each(|ending| ending.hunted.clear());
        } else {
            self.hunt();
        }
        let gone = self
            .ending
            .extract_if(.., |ending| ending.hunted.is_empty());
        gone.map(|ending| Reply::Ended {
            key: ending.key,
            end: ending.end,
        })
        .collect()
    }

    fn hunt(&mut self) {
        for pid in census::children() {
            let raw = pid.as_raw_nonzero().get();
            if self.leaders.contains_key(&raw) {
                continue;
            }
            let index = match self.owner(pid) {
                Owner::Running => continue,
                Owner::Ending(index) => index,
                // It may be the program that is being started just now; the next end looks again.
                Owner::Nobody if self.starting => continue,
                // Whoever made it is gone or it hides: somebody must wait for its end.
                Owner::Nobody => 0,
            };
            // What cannot be killed (another user's, by set-user-id) is not waited for.
            if kill_process(pid, Signal::KILL).is_ok() {
                self.ending[index].hunted.insert(raw);
            }
        }
    }

    fn owner(&self, pid: Pid) -> Owner {
        if let Ok(group) = getpgid(Some(pid)).map(|group| group.as_raw_nonzero().get()) {
            if self.leaders.contains_key(&group) {
                return Owner::Running;
            }
            if let Some(index) = self.ending.iter().position(|ending| ending.group == group) {
                return Owner::Ending(index);
            }
        }
        // In the middle of an `execve` an environment is empty for a moment.
        let mut environment = None;
        for _ in 0..EMPTY_LOOKS {
            environment = Environment::of(pid).filter(|environment| !environment.is_empty());
            if environment.is_some() {
                break;
            }
            thread::sleep(EMPTY_PAUSE);
        }
        let name = environment
            .as_ref()
            .and_then(|environment| environment.get("TIER0_TOKEN"));
        let Some(name) = name else {
            return Owner::Nobody;
        };
        match self.ending.iter().position(|ending| ending.name == name) {
            Some(index) => Owner::Ending(index),
            None if self.leaders.values().any(|leader| leader.name == name) => Owner::Running,
            None => Owner::Nobody,
        }
    }
}

/// Signals a program and its group; a program may have left its own group.
fn end_group(pid: Pid, force: Force) {
    let signal = match force {
        Force::Ask => Signal::TERM,
        Force::Kill => Signal::KILL,
    };
    let _ = kill_process_group(pid, signal);
    if force == Force::Kill {
        let _ = kill_process(pid, signal);
    }
}

/// Starts the program: in its folder, in a group of its own, output captured, memory limited right
/// after.
fn spawn(start: &Start, socket: Option<OwnedFd>) -> io::Result<i32> {
    let capture = |name: &str| -> io::Result<Stdio> {
        // Appending, so that cutting a file that grows too long leaves no hole.
        let path = start.folder.join(name);
        Ok(Stdio::from(
            OpenOptions::new().create(true).append(true).open(path)?,
        ))
    };
    let mut command = Command::new(&start.program);
    command
        .args(&start.arguments)
        .current_dir(&start.folder)
        .process_group(0);
    command
        .env("TIER0_TOKEN", &start.name)
        .stderr(capture("stderr")?);
    match socket {
        Some(socket) => {
            command
                .stdin(Stdio::from(socket.try_clone()?))
                .stdout(Stdio::from(socket));
        }
        None if start.channel => return Err(io::Error::other("no socket came with the request")),
        None => {
            let path = |name: &str| Path::new(&start.folder).join(name);
            command
                .env("TIER0_JOB", path("job.json"))
                .env("TIER0_REPORT", path("report.json"));
            command.stdin(Stdio::null()).stdout(capture("stdout")?);
        }
    }
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    if let Some(limit) = start.data_bytes_max {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        // A program that has ended already needs no limit.
        let _ = prlimit(Pid::from_raw(pid), Resource::Data, limit);
    }
    Ok(pid)
}
