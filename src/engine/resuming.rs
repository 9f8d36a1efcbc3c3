//! Work that is taken up again: a job that was given up, or failed for good, shall be made after
//! all, although its task has ended, or its run has finished.
//!
//! The task and those behind it are at work again, as if they had not ended; what the job makes
//! goes on to them as any output does. What was released or decided without it stays as it is. That
//! a task is at work follows from its jobs, so a restart finds the same.

use crate::Engine;
use model::ids::RunNumber;
use model::job::Job;
use model::run::RunEvent;

impl Engine {
    /// Why a job that has ended cannot be made again, if it cannot.
    pub(crate) fn why_not_resumed(&self, job: &Job, index: usize) -> Option<String> {
        let (id, number) = (job.id, job.run);
        let work = self.runs.get(&number)?;
        if work.tasks.get(&index).is_some_and(|task| !task.ended) {
            return None;
        }
        let path = &self.plans[index].path;
        if let Some(rule) = self.plans[index].task.calibrates.first() {
            return Some(format!(
                "job {id} of {path} measures constants, and those of run {number} were decided \
                 without it: later work rests on that, and it stays; `tier0 calib show {} --run \
                 {number}` shows it",
                rule.tag
            ));
        }
        let hash = &work.run.config_hash;
        if !self.configurations.knows(hash) {
            return Some(format!(
                "job {id} is of run {number}, which was opened with configuration {hash}: this \
                 version cannot read that any more, and no other may take its place"
            ));
        }
        None
    }

    /// A task of a run has work again: it has not ended, and neither have those behind it.
    pub(crate) fn resume_task(&mut self, number: RunNumber, index: usize) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        let Some(task) = work.tasks.get_mut(&index).filter(|task| task.ended) else {
            return;
        };
        task.ended = false;
        let mut resumed = vec![index];
        while let Some(index) = resumed.pop() {
            for (_, consumer) in &self.plans[index].consumers {
                let next = work.tasks.get_mut(consumer);
                let Some(next) = next.filter(|next| next.input_closed) else {
                    continue;
                };
                next.input_closed = false;
                self.look_at.insert((number, *consumer));
                if std::mem::take(&mut next.ended) {
                    resumed.push(*consumer);
                }
            }
        }
        if let Ok(state) = work.run.state.next(RunEvent::Resumed)
            && state != work.run.state
        {
            work.run.state = state;
            work.run.resumed += 1;
            self.changed_runs.insert(number);
        }
        self.conclude.insert(number);
    }
}
