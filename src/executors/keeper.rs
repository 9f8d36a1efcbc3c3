//! The keeper: looks at everything that runs, ten times a second, and ends what runs too long or
//! writes too much.
//!
//! In: the time and the sizes of capture files. Out: signals: first SIGTERM, two seconds later
//! SIGKILL. A look costs microseconds for each running attempt, and there are never more of them
//! than slots, so no timer is kept for each. While nothing runs it sleeps, so that an instance
//! without a run wakes nobody.

use crate::judge::Cause;
use crate::local::Shared;
use crate::room::Room;
use crate::state::{Blame, Ending, State};
use crate::wire::Force;
use model::time::{Moment, Span};
use model::work::AttemptNews;
use std::fs::{File, symlink_metadata};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between asking and killing.
const GRACE: Span = Span::from_secs(2);
/// A worker that has not said hello by then never will.
const HELLO: Span = Span::from_secs(60);
/// Starts of short attempts are told by their reports.
const TELL_START_AFTER: Span = Span::from_millis(100);

impl Shared {
    /// Runs until the executor is dropped.
    pub(crate) fn keep(&self) {
        self.keeper.get_or_init(std::thread::current);
        let mut room = Room::default();
        while !self.is_closing() {
            let sleeps = {
                let mut state = self.state();
                let doubted = self.disk_doubted.load(Ordering::Relaxed);
                state.keeper_sleeps = state.is_still() && !doubted && !room.is_lacking();
                state.keeper_sleeps
            };
            if sleeps {
                std::thread::park();
                continue;
            }
            std::thread::park_timeout(LOOK_EVERY);
            let now = self.now();
            self.look_at_disk(&mut room, now);
            self.look_at_processes(now);
            self.look_at_workers(now);
        }
    }

    /// Called under the lock before something is added: wakes the keeper if it sleeps. It says so
    /// under the same lock, so it misses nothing; being woken without need costs a look.
    pub(crate) fn wake_keeper(&self, state: &mut State) {
        if std::mem::take(&mut state.keeper_sleeps)
            && let Some(keeper) = self.keeper.get()
        {
            keeper.unpark();
        }
    }

    fn look_at_processes(&self, now: Moment) {
        let full = self.full_processes();
        let (mut signals, mut started) = (Vec::new(), Vec::new());
        for (key, process) in &mut self.state().processes {
            if let Some(at) = process.started_at
                && !process.told
                && now.since(at) > TELL_START_AFTER
            {
                process.told = true;
                started.push((process.token, at));
            }
            let cause = match process.started_at {
                _ if full.contains(key) => Some(Cause::Capture {
                    bytes_max: self.options.limits.capture_bytes_max,
                }),
                Some(at) if now.since(at) > process.needs.wall => Some(Cause::Wall),
                _ => None,
            };
            match (&mut process.ending, cause) {
                (None, None) => {}
                (None, Some(cause)) => {
                    // Whoever fills the disk is not asked first.
                    let killed = matches!(cause, Cause::Capture { .. });
                    process.ending = Some(Ending {
                        cause,
                        since: now,
                        killed,
                    });
                    signals.push((*key, if killed { Force::Kill } else { Force::Ask }));
                }
                (Some(ending), _) => {
                    if !ending.killed && now.since(ending.since) > GRACE {
                        ending.killed = true;
                        signals.push((*key, Force::Kill));
                    }
                }
            }
        }
        for (token, at) in started {
            self.tell(token, AttemptNews::Started { at });
        }
        for (key, force) in signals {
            self.signal(key, force);
        }
    }

    /// Processes whose capture files have grown too long; the files are cut at once.
    fn full_processes(&self) -> Vec<u64> {
        let folders: Vec<(u64, PathBuf)> = {
            let state = self.state();
            state
                .processes
                .iter()
                .map(|(key, process)| (*key, process.folder.clone()))
                .collect()
        };
        let limit = self.options.limits.capture_bytes_max;
        folders
            .into_iter()
            .filter(|(_, folder)| cut(folder, limit))
            .map(|(key, _)| key)
            .collect()
    }

    fn look_at_workers(&self, now: Moment) {
        let limit = self.options.limits.capture_bytes_max;
        let folders: Vec<(u64, PathBuf)> = {
            let state = self.state();
            state
                .workers
                .iter()
                .map(|(key, worker)| (*key, worker.folder.clone()))
                .collect()
        };
        let full: Vec<u64> = folders
            .into_iter()
            .filter(|(_, folder)| cut(folder, limit))
            .map(|(key, _)| key)
            .collect();
        let (mut kill, mut quit, mut started) = (Vec::new(), Vec::new(), Vec::new());
        for (key, worker) in &mut self.state().workers {
            if worker.killed.is_some() {
                continue;
            }
            let since = now.since(worker.since);
            if full.contains(key) {
                kill.push((*key, Blame::Cause(Cause::Capture { bytes_max: limit })));
            } else if worker.leaving {
                if since > GRACE {
                    kill.push((*key, Blame::Protocol("did not quit".into())));
                }
            } else if let Some(task) = &mut worker.task {
                match task.ending {
                    Some(ending) if now.since(ending.since) > GRACE => {
                        kill.push((*key, Blame::Cause(ending.cause)));
                    }
                    _ if now.since(task.sent_at) > task.needs.wall => {
                        kill.push((*key, Blame::Cause(Cause::Wall)));
                    }
                    _ => {}
                }
                if !task.told && now.since(task.sent_at) > TELL_START_AFTER {
                    task.told = true;
                    started.push((task.token, task.sent_at));
                }
            } else if !worker.greeted && since > HELLO {
                kill.push((
                    *key,
                    Blame::Protocol(format!("said no hello within {HELLO}")),
                ));
            } else if since > self.options.limits.worker_idle_max {
                quit.push(*key);
            }
        }
        for (token, at) in started {
            self.tell(token, AttemptNews::Started { at });
        }
        for key in quit {
            self.retire(key);
        }
        for (key, blame) in kill {
            self.kill_worker(key, blame);
        }
    }
}

/// Cuts capture files that are longer than may be; tells whether one was.
fn cut(folder: &Path, bytes_max: u64) -> bool {
    let mut found = false;
    for name in ["stdout", "stderr"] {
        let path = folder.join(name);
        if symlink_metadata(&path).is_ok_and(|file| file.is_file() && file.len() > bytes_max) {
            found = true;
            if let Ok(file) = File::options().write(true).open(&path) {
                // It appends, so what comes after goes on at the new end.
                let _ = file.set_len(bytes_max);
            }
        }
    }
    found
}
