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
        let mut takers: Vec<((usize, InputId), Taken)> = Vec::new();
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
                let taken = match &job.slice {
                    Some(slice) => Taken::Part(slice.first()),
                    None => Taken::Whole,
                };
                takers.push(((index, self.first_of(*input)), taken));
            }
        }
        for work in self.runs.values() {
            for (index, task) in &work.tasks {
                let waiting = task.items.iter();
                let firsts = waiting.map(|item| self.first_of(item.id));
                takers.extend(firsts.map(|first| ((*index, first), Taken::Whole)));
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
        takers.sort_unstable();
        for of_input in takers.chunk_by(|one, other| one.0 == other.0) {
            let [((index, input), first), others @ ..] = of_input else {
                continue;
            };
            let in_parts = *first != Taken::Whole;
            let once = others.is_empty()
                || (in_parts && of_input.windows(2).all(|two| two[0].1 != two[1].1));
            if !once {
                let taken: Vec<Taken> = of_input.iter().map(|(_, taken)| *taken).collect();
                say(*index, *input, &format!("several times: {taken:?}"));
            }
        }
        self.for_each_owed(|index, input| {
            let declined = || (self.plans[index].path.clone(), input);
            let is_taken = takers.binary_search_by_key(&(index, input), |taker| taker.0);
            if is_taken.is_err() && !self.declined.contains(&declined()) {
                say(index, input, "nowhere");
            }
        });
    }

    /// Every input that some task of its run reads.
    fn for_each_owed(&self, mut take: impl FnMut(usize, InputId)) {
        for file in self
            .files
            .values()
            .filter(|file| self.is_at_work(file) && !file.arrival.empty)
        {
            let tasks = self.runs.get(&file.arrival.run).map(|work| &work.tasks);
            for index in tasks.into_iter().flat_map(BTreeMap::keys) {
                if self.plans[*index].reads_stream(&file.arrival.stream) {
                    take(*index, InputId::File(file.id));
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
                    take(reader, InputId::Output(output.id));
                }
            }
        }
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

/// How much of an input somebody has: `Whole` stands in front of all parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Taken {
    Whole,
    /// By its first event or lumi.
    Part(u64),
}
