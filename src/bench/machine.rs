//! What processes have cost: processor time and memory, as the kernel counts them.
//!
//! In: process ids. Out: seconds and bytes. A process that is gone has no figures left; whoever
//! wants them asks before it ends.

use rustix::time::{ClockId, clock_gettime};
use std::fs;

/// Ticks a second in `/proc/PID/stat`: fixed for programs on Linux (proc_pid_stat(5), `USER_HZ`).
const TICKS_PER_S: f64 = 100.0;

/// Nanoseconds of the clock that stamps are made with.
pub(super) fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Processor time of a process, of its children that it has waited for, and of all below it.
pub(super) fn cpu_s(pid: u32) -> f64 {
    own_cpu_s(pid) + children(pid).into_iter().map(cpu_s).sum::<f64>()
}

/// Processor time of a process and of its children that it has waited for.
pub(super) fn own_cpu_s(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(0.0, |text| ticks(&text)) / TICKS_PER_S
}

/// Fields 14 to 17: user and system time, own and of children waited for. The name, field 2, may
/// hold anything, and ends with the last parenthesis.
fn ticks(stat: &str) -> f64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = after_name.split_whitespace().skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}

/// Memory in use (`VmRSS`) or the most there ever was (`VmHWM`), of a process and all below it.
pub(super) fn memory_bytes(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let below: u64 = children(pid)
        .into_iter()
        .map(|pid| memory_bytes(pid, line))
        .sum();
    kilobytes(&status, line) * 1024 + below
}

fn kilobytes(status: &str, line: &str) -> u64 {
    let value = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    value
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Children of all threads of a process.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let lists = threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let pids: Vec<u32> = list
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect();
            pids
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 9 0 100 5 6";
        assert_eq!(ticks(stat), 100.0);
        assert_eq!(ticks(""), 0.0);
        let status = "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!(kilobytes(status, "VmRSS"), 1_024);
        assert_eq!(kilobytes(status, "VmHWM"), 2_048);
        assert_eq!(kilobytes(status, "VmNone"), 0);
        assert!(memory_bytes(std::process::id(), "VmRSS") > 100_000);
    }
}
