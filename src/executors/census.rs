//! Who lives on this machine: processes by parent and by what their environment says, read from
//! `/proc`.
//!
//! In: a work folder and an epoch. Out: nothing of an older epoch lives any more, and its folders
//! are gone. Only processes whose environment carries our work folder in `TIER0_INSTANCE` are ever
//! ended.

use crate::ExecutorError;
use model::ids::Epoch;
use ports::failpoint::{Point, pass};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Rounds of looking and killing before survivors are reported; 20 ms apart, so ten seconds.
const ROUNDS: u32 = 500;
const ROUND_PAUSE: Duration = Duration::from_millis(20);
/// How often, and after which pause, an empty environment is looked at again.
pub(crate) const EMPTY_LOOKS: u32 = 3;
pub(crate) const EMPTY_PAUSE: Duration = Duration::from_micros(300);
/// An environment longer than this is read in part; ours stands first in none, so the part must be
/// large.
const ENVIRONMENT_BYTES_MAX: u64 = 2 << 20;

/// What [`end_older_epochs`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedProcesses {
    /// Processes that had to be ended.
    pub processes: usize,
    /// Folders of older epochs that were removed.
    pub folders: usize,
}

/// Ends every process that an older epoch of this work folder started, waits until they are gone,
/// and removes the folders of those epochs. To be called before anything of `epoch` starts.
pub fn end_older_epochs(work_dir: &Path, epoch: Epoch) -> Result<EndedProcesses, ExecutorError> {
    let absolute = std::path::absolute(work_dir).unwrap_or_else(|_| work_dir.to_path_buf());
    let processes = end_epochs(&absolute, |other| other < epoch)?;
    pass(Point::ProcessesEnded);
    let mut folders = 0;
    let failed = |what, path: &Path| {
        let path = path.to_path_buf();
        move |source| ExecutorError::Folder { what, path, source }
    };
    if !work_dir.exists() {
        return Ok(EndedProcesses { processes, folders });
    }
    for entry in fs::read_dir(work_dir).map_err(failed("listing", work_dir))? {
        let entry = entry.map_err(failed("listing", work_dir))?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i64>().ok());
        if number.is_some_and(|number| Epoch(number) < epoch) {
            pass(Point::EpochFolderFound);
            fs::remove_dir_all(entry.path()).map_err(failed("removing", &entry.path()))?;
            pass(Point::EpochFolderRemoved);
            folders += 1;
        }
    }
    Ok(EndedProcesses { processes, folders })
}

/// Ends the processes of this work folder whose epoch is chosen; returns how many there were.
pub(crate) fn end_epochs(
    work_dir: &Path,
    chosen: impl Fn(Epoch) -> bool,
) -> Result<usize, ExecutorError> {
    let is_chosen = |environment: &Environment| {
        environment.get("TIER0_INSTANCE") == work_dir.to_str()
            && environment
                .get("TIER0_EPOCH")
                .and_then(|text| text.parse().ok())
                .is_some_and(|number| chosen(Epoch(number)))
    };
    let mut ended = std::collections::BTreeSet::new();
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        left = matching(&is_chosen);
        if left.is_empty() {
            return Ok(ended.len());
        }
        for pid in &left {
            pass(Point::ProcessFound);
            ended.insert(pid.as_raw_nonzero());
            // Already gone is as good.
            let _ = kill_process(*pid, Signal::KILL);
            pass(Point::ProcessKilled);
        }
        std::thread::sleep(ROUND_PAUSE);
    }
    Err(ExecutorError::Survivors {
        work_dir: work_dir.to_path_buf(),
        left: left.len(),
        pids: left.iter().map(|pid| pid.as_raw_nonzero().get()).collect(),
    })
}

/// Processes with such an environment. One that is in the middle of an `execve` has none for a
/// moment, so those without any are looked at again.
fn matching(is_chosen: &dyn Fn(&Environment) -> bool) -> Vec<Pid> {
    let mut unread: Vec<Pid> = processes().collect();
    let mut found = Vec::new();
    for look in 0..=EMPTY_LOOKS {
        if look > 0 && !unread.is_empty() {
            std::thread::sleep(EMPTY_PAUSE);
        }
        unread.retain(|pid| match Environment::of(*pid) {
            Some(environment) if environment.is_empty() => true,
            Some(environment) if is_chosen(&environment) => {
                found.push(*pid);
                false
            }
            _ => false,
        });
    }
    found
}

/// All processes but our own.
fn processes() -> impl Iterator<Item = Pid> {
    let own = std::process::id();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(move |entry| {
            let number: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            (i64::from(number) != i64::from(own)).then_some(number)
        })
        .filter_map(Pid::from_raw)
}

/// Living children of ours, zombies left out: they only wait to be reaped.
pub(crate) fn children() -> Vec<Pid> {
    let own = std::process::id();
    processes()
        .filter(|pid| {
            let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
            fs::read_to_string(path).is_ok_and(|stat| is_living_child(&stat, own))
        })
        .collect()
}

/// Reads `pid (name) state ppid ...`; the name may hold anything, brackets included (proc(5)).
fn is_living_child(stat: &str, own: u32) -> bool {
    let Some((_, rest)) = stat.rsplit_once(')') else {
        return false;
    };
    let mut words = rest.split_ascii_whitespace();
    let state = words.next();
    let parent = words.next().and_then(|word| word.parse::<u32>().ok());
    parent == Some(own) && !matches!(state, Some("Z" | "X"))
}

/// The environment that a process was started with.
pub(crate) struct Environment(Vec<u8>);

impl Environment {
    /// Of this process; none when it is gone or not ours to look at.
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        let file = fs::File::open(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
        let mut bytes = Vec::new();
        file.take(ENVIRONMENT_BYTES_MAX)
            .read_to_end(&mut bytes)
            .ok()?;
        Some(Self(bytes))
    }

    /// Whether there is nothing in it: emptied by the program, or not there for a moment.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.split(|byte| *byte == 0).find_map(|entry| {
            let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            std::str::from_utf8(value).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_told_by_its_parent_whatever_it_is_called() {
        let check =
            |stat: &str, expect: bool| assert_eq!(is_living_child(stat, 7), expect, "{stat}");
        check("12 (sh) S 7 12 12 0", true);
        check("12 (a ) R 3) R 7 12", true);
        check("12 (sh) Z 7 12 12 0", false);
        check("12 (sh) S 71 12 12 0", false);
        check("12 (sh", false);
    }

    #[test]
    fn environments_are_read_entry_by_entry() {
        let environment = Environment(b"A=1\0TIER0_TOKEN=3-4-1\0TIER0=x\0B=".to_vec());
        let check = |name: &str, expect: Option<&str>| assert_eq!(environment.get(name), expect);
        check("TIER0_TOKEN", Some("3-4-1"));
        check("A", Some("1"));
        check("B", Some(""));
        check("TIER0_TOKE", None);
        check("C", None);
    }
}
