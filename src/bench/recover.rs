//! From the start of `tier0 serve` to READY, with many files on record.
//!
//! In: how many files, how many of them with a job that waits. Out: the summary. A store is made
//! first, then an instance is started on it several times and killed each time; before each start
//! the rows that it will read are read by a plain loop, which is the raw limit. The order in which
//! jobs are served is compared in full with an engine that is restored here, and for the first
//! starts with what the instance's programs stamp.

use super::catalogue::{self, BUDGET, ReadBack, Wanted};
use super::rooms::Rooms;
use super::targets::Target;
use super::{BenchError, machine};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Starts that are measured.
const REPETITIONS: usize = 3;
/// Starts of programs that are compared with the order before.
const STARTS_COMPARED: usize = 100;
/// One program at a time, so that their order can be seen.
const CORES: u32 = 1;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct RecoverOptions {
    /// Files on record.
    pub files: u32,
    /// Of them, files whose jobs wait; the others are of runs that are over.
    pub jobs: u32,
    /// Whether runs that are over have not become history yet.
    pub finished: bool,
    /// Where the bench's folder is made.
    pub parent: PathBuf,
}

/// One start, and the raw limit just before it.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// From the start of the program to READY.
    ready: Duration,
    /// Processor time until then.
    cpu_s: f64,
    raw: Duration,
    raw_cpu_s: f64,
}

/// Everything that was measured.
#[derive(Clone, Debug)]
pub struct Recovery {
    options: RecoverOptions,
    starts: Vec<Start>,
    rows: u64,
    raw_rows: u64,
    raw_bytes: u64,
    /// Parts of a start, measured beside it.
    reading: Duration,
    restoring: Duration,
    peak_rss_bytes: u64,
    /// Jobs that are served in another place than before: all of them, and those first started.
    displaced: usize,
    displaced_starts: usize,
    store_bytes: u64,
    made_in: Duration,
}

/// Runs the bench; `happens` hears what happens as it happens.
pub fn recover(
    options: &RecoverOptions,
    happens: &mut dyn FnMut(&str),
) -> Result<Recovery, BenchError> {
    let rooms = Rooms::make(&options.parent, None)?;
    rooms.configure(CORES, BUDGET)?;
    rooms.room("spool-ours")?;
    let wanted = Wanted {
        past: options.files - options.jobs,
        waiting: options.jobs,
        archived: !options.finished,
    };
    happens(&format!(
        "making a store of {} files, {} of them with a job that waits",
        options.files, options.jobs
    ));
    let began = Instant::now();
    let before = catalogue::make(&rooms, wanted)?;
    let made_in = began.elapsed();
    let ReadBack {
        rows,
        reading,
        restoring,
        order,
        ..
    } = catalogue::look(&rooms)?;
    let mut recovery = Recovery {
        options: options.clone(),
        starts: Vec::new(),
        rows,
        raw_rows: 0,
        raw_bytes: 0,
        reading,
        restoring,
        peak_rss_bytes: 0,
        displaced: displaced(&before, &order),
        displaced_starts: 0,
        store_bytes: rooms.bytes("state/tier0.db"),
        made_in,
    };
    drop(order);
    let mut ours: Option<Target> = None;
    for number in 0..REPETITIONS {
        happens(&format!("start {} of {REPETITIONS}", number + 1));
        let myself = std::process::id();
        let (began, cpu_before) = (Instant::now(), machine::own_cpu_s(myself));
        let (raw_rows, raw_bytes) = store::raw_limit::read_back(&rooms.path("state"))?;
        let (raw, raw_cpu_s) = (began.elapsed(), machine::own_cpu_s(myself) - cpu_before);
        (recovery.raw_rows, recovery.raw_bytes) = (raw_rows, raw_bytes);
        let ours = match &mut ours {
            None => ours.insert(Target::ours(&rooms)?),
            Some(ours) => {
                ours.crash_and_restart(&rooms)?;
                ours
            }
        };
        recovery.starts.push(Start {
            ready: ours.started_in,
            cpu_s: ours.cpu_s(),
            raw,
            raw_cpu_s,
        });
        let peak = ours.memory_bytes("VmHWM");
        recovery.peak_rss_bytes = recovery.peak_rss_bytes.max(peak);
        if number == 0 {
            recovery.displaced_starts = displaced_starts(ours, &before)?;
        }
    }
    drop(ours);
    if recovery.is_fine() {
        rooms.clear();
    } else {
        happens(&format!("kept for a look: {}", rooms.folder.display()));
    }
    Ok(recovery)
}

/// How many places hold another name than before; one that is missing counts.
fn displaced(before: &[String], after: &[String]) -> usize {
    let same = before.iter().zip(after).filter(|(a, b)| a == b).count();
    before.len().max(after.len()) - same
}

/// Compares the first programs that an instance starts with the order before.
fn displaced_starts(ours: &mut Target, before: &[String]) -> Result<usize, BenchError> {
    let wanted = before.len().min(STARTS_COMPARED);
    ours.wait_for(wanted)?;
    let started = ours.stamps.in_order();
    let started = &started[..started.len().min(wanted)];
    Ok(displaced(&before[..wanted], started))
}

impl Recovery {
    /// Whether the jobs are served in the order in which they would have been.
    pub fn is_fine(&self) -> bool {
        self.displaced == 0 && self.displaced_starts == 0
    }

    fn median(&self, pick: impl Fn(&Start) -> f64) -> f64 {
        let mut values: Vec<f64> = self.starts.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    }

    fn figures(&self) -> Vec<(&'static str, &'static str, f64)> {
        let ratio = |start: &Start| start.ready.as_secs_f64() / start.raw.as_secs_f64();
        let ratio_cpu = |start: &Start| start.cpu_s / start.raw_cpu_s;
        let mut figures = vec![
            (
                "ready_s",
                "start to READY",
                self.median(|s| s.ready.as_secs_f64()),
            ),
            (
                "raw_s",
                "rows read by a plain loop",
                self.median(|s| s.raw.as_secs_f64()),
            ),
            (
                "ratio_ready",
                "ratio, within a repetition",
                self.median(ratio),
            ),
            ("cpu_s", "processor time to READY", self.median(|s| s.cpu_s)),
            (
                "raw_cpu_s",
                "processor time of the plain loop",
                self.median(|s| s.raw_cpu_s),
            ),
            (
                "ratio_cpu",
                "ratio, within a repetition",
                self.median(ratio_cpu),
            ),
            (
                "read_s",
                "of a start: rows read",
                self.reading.as_secs_f64(),
            ),
            (
                "restore_s",
                "of a start: engine restored",
                self.restoring.as_secs_f64(),
            ),
        ];
        // A plain loop that was shorter than a tick of the clock has no ratio.
        if self.starts.iter().any(|start| start.raw_cpu_s <= 0.0) {
            figures.retain(|(name, ..)| *name != "ratio_cpu");
        }
        figures
    }

    /// The document for scripts.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "files": self.options.files,
            "jobs": self.options.jobs,
            "archived": !self.options.finished,
            "repetitions": self.starts.len(),
            "rows": self.rows,
            "raw_rows": self.raw_rows,
            "raw_bytes": self.raw_bytes,
            "peak_rss_bytes": self.peak_rss_bytes,
            "displaced": self.displaced,
            "displaced_starts": self.displaced_starts,
            "store_bytes": self.store_bytes,
        });
        for (field, _, value) in self.figures() {
            document[field] = json!(value);
        }
        document
    }

    /// The lines for people.
    pub fn text(&self) -> String {
        let past = self.options.files - self.options.jobs;
        let word = if self.options.finished {
            "finished"
        } else {
            "archived"
        };
        let mut text = format!(
            "{} files on record: {past} of {word} runs, {} with a job that waits; store of {:.0} \
             MB, made in {:.0} s\nmedians of {} starts, each after a kill, all pages in memory\n\n",
            self.options.files,
            self.options.jobs,
            self.store_bytes as f64 / 1e6,
            self.made_in.as_secs_f64(),
            self.starts.len(),
        );
        for (field, name, value) in self.figures() {
            let unit = if field.starts_with("ratio") { "" } else { " s" };
            let _ = writeln!(text, "{name:<34}{value:>10.3}{unit}");
        }
        let peak = self.peak_rss_bytes as f64 / 1e6;
        let _ = writeln!(text, "{:<34}{peak:>10.1} MB", "peak memory");
        let _ = writeln!(
            text,
            "\n{} rows of {:.0} MB by the plain loop, {} by the restart; jobs in another place of \
             the queue than before: {} of {}, {} of the first {} started",
            self.raw_rows,
            self.raw_bytes as f64 / 1e6,
            self.rows,
            self.displaced,
            self.options.jobs,
            self.displaced_starts,
            STARTS_COMPARED.min(self.options.jobs as usize),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_compared_one_by_one() {
        let names = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let check = |before: &str, after: &str, expect: usize| {
            let found = displaced(&names(before), &names(after));
            assert_eq!(found, expect, "{before} {after}");
        };
        check("abc", "abc", 0);
        check("abc", "acb", 2);
        check("abc", "ab", 1);
        check("", "a", 1);
    }
}
