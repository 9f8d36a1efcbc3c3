//! The watchdog: an engine's thread that does not come back from what it does ends the process,
//! with what every thread was doing, so that whoever supervises it starts it again (F66).
//!
//! In: the turns of the engine's loop. Out: nothing, or the end. It counts its own looks and not
//! the time, so a process that was stopped and continued is not taken for one that is stuck; and it
//! sleeps while the loop waits, so an idle instance is not woken by it.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks that find the loop in the same turn before it is given up: ten seconds, and the longest
/// step ever measured is some thousandths of that.
const LOOKS_MAX: u32 = 20;

/// Turns of a loop, told by its thread.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Odd while the loop is at work. Written by the loop, read by the watchdog.
    turn: AtomicU64,
    /// The watchdog sleeps until the loop begins a turn. Written by both.
    asleep: AtomicBool,
    /// The loop has ended. Written by its thread once.
    ended: AtomicBool,
}

/// The loop's end: says when a turn begins and ends, and when there are no more.
pub(crate) struct Pulse {
    turns: Arc<Turns>,
    watchdog: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Starts the watchdog of one loop.
    pub(crate) fn start() -> std::io::Result<Self> {
        let turns = Arc::new(Turns::default());
        let watched = turns.clone();
        let watchdog = thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || watched.watch(LOOK_EVERY, &give_up))?;
        Ok(Self {
            turns,
            watchdog: Some(watchdog),
        })
    }

    /// The loop has something to do, or has done it.
    pub(crate) fn beat(&self) {
        let turn = self.turns.turn.fetch_add(1, Ordering::SeqCst) + 1;
        if turn % 2 == 1
            && self.turns.asleep.swap(false, Ordering::SeqCst)
            && let Some(watchdog) = &self.watchdog
        {
            watchdog.thread().unpark();
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.turns.ended.store(true, Ordering::SeqCst);
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.thread().unpark();
            // It cannot panic before it has ended everything.
            let _ = watchdog.join();
        }
    }
}

impl Turns {
    fn watch(&self, every: Duration, give_up: &dyn Fn()) {
        let (mut last, mut looks) = (0, 0);
        while !self.ended.load(Ordering::SeqCst) {
            thread::park_timeout(every);
            let turn = self.turn.load(Ordering::SeqCst);
            if turn != last {
                (last, looks) = (turn, 0);
                continue;
            }
            if turn % 2 == 1 {
                looks += 1;
                if looks >= LOOKS_MAX {
                    return give_up();
                }
                continue;
            }
            looks = 0;
            self.asleep.store(true, Ordering::SeqCst);
            // A turn that began before it could know of that is looked at.
            while self.asleep.load(Ordering::SeqCst)
                && self.turn.load(Ordering::SeqCst) == turn
                && !self.ended.load(Ordering::SeqCst)
            {
                thread::park();
            }
        }
    }
}

/// Says what every thread does and ends the process, so that a core file shows the rest.
fn give_up() {
    let mut text = format!(
        "a bug: the engine's thread has not come back for {} s; the process is ended, a restart \
         recovers from the last batch. Please report this with its threads:\n",
        (LOOK_EVERY * LOOKS_MAX).as_secs()
    );
    let tasks = std::fs::read_dir("/proc/self/task");
    for task in tasks.into_iter().flatten().flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let stat = read("stat");
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest.trim());
        let state = after.split(' ').next().unwrap_or("?");
        let (name, waits) = (read("comm"), read("wchan"));
        let waits = match waits.trim() {
            "" | "0" => "-",
            place => place,
        };
        let line = [
            "  ",
            name.trim(),
            " state ",
            state,
            ", in the kernel: ",
            waits,
            "\n",
        ];
        text.extend(line);
    }
    // Nobody listening is no reason to go on.
    let _ = std::io::stderr().write_all(text.as_bytes());
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_come_back_is_given_up_and_others_are_not() {
        let check = |beats: u64, expect: bool| {
            let (turns, gave_up) = (Turns::default(), AtomicBool::new(false));
            turns.turn.store(beats, Ordering::SeqCst);
            thread::scope(|scope| {
                let watching = scope.spawn(|| {
                    let give_up = || gave_up.store(true, Ordering::SeqCst);
                    turns.watch(Duration::from_millis(1), &give_up);
                });
                while !expect && !turns.asleep.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                while expect && !gave_up.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                turns.ended.store(true, Ordering::SeqCst);
                watching.thread().unpark();
            });
            assert_eq!(gave_up.load(Ordering::SeqCst), expect, "{beats} beats");
        };
        check(7, true);
        check(8, false);
    }

    #[test]
    fn a_loop_that_works_on_is_left_alone_and_ends_its_watchdog() {
        let pulse = Pulse::start().unwrap();
        for _ in 0..1_000 {
            pulse.beat();
        }
        drop(pulse);
    }
}
