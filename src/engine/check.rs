//! What must be true after every batch, across all structures, in one room: used by the simulator,
//! by property tests and wherever it is cheap.

mod published;
mod received;
mod sources;
mod state;
mod touched;

use crate::Engine;
use model::dataset::Output;
use model::ids::{JobId, OutputId, RunNumber};
use model::job::{InputId, Job, JobState};
use model::names::OutputLabel;
use std::collections::{BTreeMap, BTreeSet};

/// A relation that does not hold, in words; names the promise it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The invariant, as numbered in RELIABILITY.md.
    pub invariant: &'static str,
    /// What was found.
    pub what: String,
}

impl Engine {
    /// Walks all relations; empty when all is well.
    pub fn check(&self) -> Vec<Broken> {
        let mut broken = Vec::new();
        self.check_files(&mut broken);
        self.check_winners(&mut broken);
        self.check_consumption(&mut broken);
        self.check_counts(&mut broken);
        self.check_runs(&mut broken);
        self.check_received(&mut broken);
        self.check_published(&mut broken);
        self.check_totals(&mut broken);
        self.check_sources(&mut broken);
        broken
    }

    /// I1: what was accepted is in the catalogue under its name.
    fn check_files(&self, broken: &mut Vec<Broken>) {
        if self.files.len() != self.file_names.len() {
            let what = format!(
                "{} files, {} names",
                self.files.len(),
                self.file_names.len()
            );
            broken.push(Broken {
                invariant: "I1",
                what,
            });
        }
    }

    /// I3: one winner a job, and only of jobs that are done.
    fn check_winners(&self, broken: &mut Vec<Broken>) {
        let mut seen: BTreeMap<(JobId, &OutputLabel), OutputId> = BTreeMap::new();
        for output in self.outputs.values() {
            if !self.is_of_winner(output) {
                let what = format!("output {} is not of a winning attempt", output.name);
                broken.push(Broken {
                    invariant: "I3",
                    what,
                });
            }
            if let Some(other) = seen.insert((output.job, &output.label), output.id) {
                let what = format!(
                    "job {} has {} twice: {other}, {}",
                    output.job, output.label, output.id
                );
                broken.push(Broken {
                    invariant: "I3",
                    what,
                });
            }
        }
    }

    /// Whether an output is of the attempt that won its job; superseded are both or neither.
    fn is_of_winner(&self, output: &Output) -> bool {
        let attempt = output.attempt;
        let state = match output.superseded_by {
            None => JobState::Done { attempt },
            Some(_) => JobState::Superseded { attempt },
        };
        let job = self.jobs.get(&output.job);
        job.is_some_and(|job| job.state == state && job.run == output.run)
    }

    /// I4: every input is in one window or consumed by one job, or part by part by several, for
    /// every task that reads it.
    fn check_consumption(&self, broken: &mut Vec<Broken>) {
        let mut takers: BTreeMap<(usize, InputId), Takers> = BTreeMap::new();
        // A job that was split or made again has handed its inputs on; until it is done, whoever
        // makes it again has none.
        let has_inputs = |job: &&Job| {
            !matches!(job.state, JobState::Superseded { .. }) && !self.is_only_second(job)
        };
        for job in self.jobs.values().filter(has_inputs) {
            let Some(index) = self.plan_of(job) else {
                continue;
            };
            for input in job.inputs.iter().take(job.consumed as usize) {
                let takers = takers.entry((index, self.first_of(*input))).or_default();
                match &job.slice {
                    Some(slice) => takers.parts.push(slice.first()),
                    None => takers.whole += 1,
                }
            }
        }
        for work in self.runs.values() {
            for (index, task) in &work.tasks {
                for item in &task.items {
                    let first = self.first_of(item.id);
                    takers.entry((*index, first)).or_default().whole += 1;
                }
            }
        }
        let mut say = |index: usize, input: InputId, how: &str| {
            let path = &self.plans[index].path;
            let what = format!("{input:?} stands {how} in the work of {path}");
            broken.push(Broken {
                invariant: "I4",
                what,
            });
        };
        for ((index, input), takers) in &takers {
            let mut parts = takers.parts.clone();
            parts.sort_unstable();
            parts.dedup();
            let once = match takers.whole {
                0 => parts.len() == takers.parts.len(),
                whole => whole == 1 && parts.is_empty(),
            };
            if !once {
                let (whole, parts) = (takers.whole, &takers.parts);
                say(
                    *index,
                    *input,
                    &format!("{whole} times and in parts {parts:?}"),
                );
            }
        }
        for (index, input) in self.inputs_owed() {
            let declined = || (self.plans[index].path.clone(), input);
            if !takers.contains_key(&(index, input)) && !self.declined.contains(&declined()) {
                say(index, input, "nowhere");
            }
        }
    }

    /// Every input that some task of its run reads.
    fn inputs_owed(&self) -> BTreeSet<(usize, InputId)> {
        let mut owed = BTreeSet::new();
        for file in self
            .files
            .values()
            .filter(|file| self.is_at_work(file) && !file.arrival.empty)
        {
            let tasks = self.runs.get(&file.arrival.run).map(|work| &work.tasks);
            for index in tasks.into_iter().flat_map(BTreeMap::keys) {
                if self.plans[*index].reads_stream(&file.arrival.stream) {
                    owed.insert((*index, InputId::File(file.id)));
                }
            }
        }
        // One that stands in another's place is owed to those who had the other.
        for output in self.outputs.values().filter(|o| o.replaces.is_none()) {
            let Some(maker) = self.plan_at(output.run, &output.task) else {
                continue;
            };
            let work = self.runs.get(&output.run);
            for reader in self.readers_of(output, maker) {
                if work.is_some_and(|work| work.tasks.contains_key(&reader)) {
                    owed.insert((reader, InputId::Output(output.id)));
                }
            }
        }
        owed
    }

    /// Counters agree with what they count.
    fn check_counts(&self, broken: &mut Vec<Broken>) {
        let mut live: BTreeMap<(RunNumber, usize), u32> = BTreeMap::new();
        let (mut cores, mut ready, mut out) = (0, BTreeSet::new(), BTreeSet::new());
        for job in self.jobs.values() {
            let Some(index) = self.plan_of(job) else {
                continue;
            };
            if !job.state.is_terminal() {
                *live.entry((job.run, index)).or_default() += 1;
            }
            match job.state {
                JobState::Sent { .. } | JobState::Running { .. } => {
                    cores += self.needs_of(job, index).cores;
                    out.insert(job.id);
                }
                JobState::Ready { .. } => {
                    ready.insert(job.id);
                }
                _ => {}
            }
        }
        if cores != self.cores_used {
            let what = format!("{cores} cores are used, {} are counted", self.cores_used);
            broken.push(Broken {
                invariant: "cores",
                what,
            });
        }
        let awaited: BTreeSet<JobId> = self.reconciler.out().collect();
        if out != awaited {
            let what = format!("{} attempts are out, {} awaited", out.len(), awaited.len());
            broken.push(Broken {
                invariant: "out",
                what,
            });
        }
        let queued = self.queue.jobs();
        if queued.len() != self.queue.len() || !queued.is_subset(&ready) {
            let what = format!("{} queued, {} counted", queued.len(), self.queue.len());
            broken.push(Broken {
                invariant: "queue",
                what,
            });
        }
        for (number, work) in &self.runs {
            for (index, task) in &work.tasks {
                let counted = live.get(&(*number, *index)).copied().unwrap_or(0);
                if counted != task.live_jobs {
                    let path = &self.plans[*index].path;
                    let what = format!(
                        "{path} of run {number}: {counted} live jobs, {} counted",
                        task.live_jobs
                    );
                    broken.push(Broken {
                        invariant: "live-jobs",
                        what,
                    });
                }
            }
        }
    }

    /// I14: a run is closed exactly when complete, and finished exactly when its tasks have ended.
    fn check_runs(&self, broken: &mut Vec<Broken>) {
        let mut say = |invariant, what| broken.push(Broken { invariant, what });
        for number in self.runs.keys() {
            self.check_run(*number, &mut say);
        }
    }
}

/// Who has an input of a task.
#[derive(Default)]
struct Takers {
    whole: u32,
    parts: Vec<u64>,
}
