//! Links: the jobs of a run, what a job left, and who reads that; so that what is made again looks
//! only at what it concerns, however much else is at work.
//!
//! Derived from jobs and outputs, which come in here and leave with their run; out goes who belongs
//! to whom.

use crate::Engine;
use model::dataset::Output;
use model::ids::{JobId, OutputId, RunNumber};
use model::job::{InputId, Job};
use std::collections::{BTreeMap, BTreeSet};

/// Who belongs to whom.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    of_run: BTreeMap<RunNumber, BTreeSet<JobId>>,
    left_by: BTreeMap<JobId, Vec<OutputId>>,
    readers: BTreeMap<OutputId, BTreeSet<JobId>>,
}

impl Links {
    /// A job reads these no more.
    fn unread(&mut self, id: JobId, inputs: &[InputId]) {
        for output in outputs_of(inputs) {
            if let Some(readers) = self.readers.get_mut(&output) {
                readers.remove(&id);
                if readers.is_empty() {
                    self.readers.remove(&output);
                }
            }
        }
    }
}

impl Engine {
    /// Takes a new job in.
    pub(crate) fn keep_job(&mut self, job: Job) {
        self.links.of_run.entry(job.run).or_default().insert(job.id);
        self.link_inputs(job.id, &job.inputs);
        self.jobs.insert(job.id, job);
    }

    /// Takes a new output in.
    pub(crate) fn keep_output(&mut self, output: Output) {
        self.links
            .left_by
            .entry(output.job)
            .or_default()
            .push(output.id);
        self.outputs.insert(output.id, output);
    }

    /// Gives a job other inputs.
    pub(crate) fn give_inputs(&mut self, id: JobId, inputs: Vec<InputId>) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut job.inputs, inputs.clone());
        self.links.unread(id, &before);
        self.link_inputs(id, &inputs);
    }

    fn link_inputs(&mut self, id: JobId, inputs: &[InputId]) {
        for output in outputs_of(inputs) {
            self.links.readers.entry(output).or_default().insert(id);
        }
    }

    /// A run leaves, with its jobs and outputs.
    pub(crate) fn forget_links(&mut self, number: RunNumber) {
        for job in self.links.of_run.remove(&number).unwrap_or_default() {
            if let Some(job) = self.jobs.get(&job) {
                self.links.unread(job.id, &job.inputs);
            }
            for output in self.links.left_by.remove(&job).unwrap_or_default() {
                self.links.readers.remove(&output);
            }
        }
    }

    /// The jobs of a run, in the order of their ids.
    pub(crate) fn jobs_of(&self, number: RunNumber) -> impl Iterator<Item = &Job> {
        let ids = self.links.of_run.get(&number).into_iter().flatten();
        ids.filter_map(|id| self.jobs.get(id))
    }

    /// What a job left, in the order in which it did.
    pub(crate) fn left_by(&self, job: JobId) -> impl Iterator<Item = &Output> {
        let ids = self.links.left_by.get(&job).into_iter().flatten();
        ids.filter_map(|id| self.outputs.get(id))
    }

    /// The jobs that read an output, in the order of their ids.
    pub(crate) fn readers(&self, output: OutputId) -> impl Iterator<Item = &Job> {
        let ids = self.links.readers.get(&output).into_iter().flatten();
        ids.filter_map(|id| self.jobs.get(id))
    }
}

fn outputs_of(inputs: &[InputId]) -> impl Iterator<Item = OutputId> {
    inputs.iter().filter_map(|input| match input {
        InputId::Output(id) => Some(*id),
        InputId::File(_) => None,
    })
}
