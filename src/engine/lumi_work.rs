//! Lumis of a task: which have input or jobs under way, which were worked on, and for which nothing
//! more will come. Merges and repacking go by it: what is spread over jobs that have not ended is
//! hidden from a merge, and a lumi for which nothing more comes is no hole.
//!
//! Kept only for tasks that ask for it and those in front of them. Everything here is derived from
//! windows, jobs and frontiers, step by step while the engine works and at once after a restart;
//! the two must agree.

use crate::commands::LUMIS_MAX;
use crate::{Engine, RunWork};
use model::dataset::Route;
use model::frontier::Frontier;
use model::ids::{JobId, LumiNumber, RunNumber};
use model::job::{Job, JobState};
use pipelines::splitting::{Item, Splitter};
use std::collections::{BTreeMap, BTreeSet};

/// How far a task is with each lumi of its run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LumiWork {
    /// Inputs in the window, by lumi.
    waiting: BTreeMap<LumiNumber, u32>,
    /// Jobs under way, by lumi.
    working: BTreeMap<LumiNumber, u32>,
    /// Which jobs those are.
    jobs: BTreeSet<JobId>,
    /// Jobs that failed for good.
    failed: BTreeSet<JobId>,
    /// Lumis that jobs of the task have covered, whatever became of them.
    used: Frontier,
    /// Lumis that are complete in front of the task, as it last looked.
    fed: Frontier,
    /// Lumis that are no hole in its input: used, or nothing of them is here or will come.
    passed: Frontier,
    /// Lumis that the task is through with: nothing comes, nothing waits, nothing runs.
    settled: Frontier,
    /// Lumis whose input has changed since the task was looked at.
    touched: BTreeSet<LumiNumber>,
}

impl LumiWork {
    /// Lumis for which nothing more will come from the task.
    pub(crate) fn settled(&self) -> &Frontier {
        &self.settled
    }

    /// Lumis that are no hole in the task's input.
    pub(crate) fn passed(&self) -> &Frontier {
        &self.passed
    }

    /// Jobs that failed for good.
    pub(crate) fn failed(&self) -> &BTreeSet<JobId> {
        &self.failed
    }

    /// Lumis from `first` to `last` that the task has not ended with.
    pub(crate) fn under_way(&self, first: LumiNumber, last: LumiNumber) -> BTreeSet<LumiNumber> {
        let waiting = self.waiting.range(first..=last);
        let working = self.working.range(first..=last);
        waiting.chain(working).map(|(lumi, _)| *lumi).collect()
    }

    /// Input came into the window.
    pub(crate) fn came(&mut self, item: &Item) {
        for lumi in lumis(lumis_of_item(item)) {
            *self.waiting.entry(lumi).or_default() += 1;
            self.touched.insert(lumi);
        }
    }

    /// Input left the window.
    pub(crate) fn left(&mut self, item: &Item) {
        for lumi in lumis(lumis_of_item(item)) {
            less(&mut self.waiting, lumi);
            self.touched.insert(lumi);
        }
    }

    /// An output passed the task by as if it were one of its own.
    fn skipped(&mut self, ranges: &[(LumiNumber, LumiNumber)]) {
        for lumi in ranges.iter().copied().flat_map(lumis) {
            self.used.close(lumi);
            self.touched.insert(lumi);
        }
    }

    /// A job, as it is now.
    fn take_job(&mut self, job: &Job) {
        if matches!(job.state, JobState::Failed { .. }) {
            self.failed.insert(job.id);
        } else {
            self.failed.remove(&job.id);
        }
        let live = !job.state.is_terminal();
        let known = self.jobs.contains(&job.id);
        for lumi in job.lumis.iter().copied().flat_map(lumis) {
            if job.consumed > 0 {
                self.used.close(lumi);
            }
            match (known, live) {
                (false, true) => *self.working.entry(lumi).or_default() += 1,
                (true, false) => less(&mut self.working, lumi),
                (true, true) | (false, false) => {}
            }
            self.touched.insert(lumi);
        }
        if live {
            self.jobs.insert(job.id);
        } else {
            self.jobs.remove(&job.id);
        }
    }

    /// Moves the touched lumis over the frontiers; says which of the two has moved.
    fn settle(&mut self) -> Moved {
        let mut moved = Moved::default();
        for lumi in std::mem::take(&mut self.touched) {
            let waits = self.waiting.contains_key(&lumi);
            let fed = self.fed.is_closed(lumi);
            let passed = self.used.is_closed(lumi) || (fed && !waits);
            moved.passed |= move_over(&mut self.passed, lumi, passed);
            let settled = fed && !waits && !self.working.contains_key(&lumi);
            moved.settled |= move_over(&mut self.settled, lumi, settled);
        }
        moved
    }

    /// Takes over what is complete in front of the task.
    fn feed(&mut self, moved: BTreeSet<LumiNumber>) {
        for lumi in &moved {
            let closed = !self.fed.is_closed(*lumi);
            move_over(&mut self.fed, *lumi, closed);
        }
        self.touched.extend(moved);
    }
}

/// Which frontiers have moved.
#[derive(Clone, Copy, Default)]
struct Moved {
    passed: bool,
    settled: bool,
}

fn less(count: &mut BTreeMap<LumiNumber, u32>, lumi: LumiNumber) {
    let left = count.get(&lumi).copied().unwrap_or(0);
    assert!(left > 0, "what leaves a lumi was in it");
    match left {
        1 => count.remove(&lumi),
        _ => count.insert(lumi, left - 1),
    };
}

fn move_over(frontier: &mut Frontier, lumi: LumiNumber, closed: bool) -> bool {
    if frontier.is_closed(lumi) == closed {
        return false;
    }
    if closed {
        frontier.close(lumi);
    } else {
        frontier.reopen(lumi);
    }
    true
}

/// The lumis of a closed range. A program may report any range: no more than a run can have are
/// looked at.
fn lumis((first, last): (LumiNumber, LumiNumber)) -> impl Iterator<Item = LumiNumber> {
    let first = first.0.max(1);
    let last = last.0.min(first.saturating_add(LUMIS_MAX));
    (first..=last).map(LumiNumber)
}

/// The lumis that an input covers: an output occupies its whole range.
fn lumis_of_item(item: &Item) -> (LumiNumber, LumiNumber) {
    (item.lumi, item.last_lumi.max(item.lumi))
}

fn lumi_work_of(work: &mut RunWork, index: usize) -> Option<&mut LumiWork> {
    work.tasks.get_mut(&index)?.lumi_work.as_mut()
}

/// Whether a splitter goes by lumis that others are done with.
pub(crate) fn goes_by_lumis(splitter: &Splitter) -> bool {
    matches!(
        splitter,
        Splitter::Repack(_) | Splitter::RepackMerge(_) | Splitter::ExpressMerge(_)
    )
}

impl Engine {
    /// Takes over, once a batch, which jobs have begun or ended since.
    pub(crate) fn follow_jobs(&mut self) {
        let mut concerned = BTreeSet::new();
        for id in &self.changed_jobs {
            let Some(job) = self.jobs.get(id) else {
                continue;
            };
            if job.lineage.redoes.is_some() {
                // What is made again was through with its lumis before. Whether it has failed, or
                // is tried again, says whether a person is asked about it.
                if !job.state.is_out() {
                    self.redo.look.insert(job.run);
                }
                continue;
            }
            let index = self.plan_of(job).filter(|i| self.plans[*i].tracks_lumis);
            let Some(index) = index else { continue };
            let work = self.runs.get_mut(&job.run);
            if let Some(lumi_work) = work.and_then(|work| lumi_work_of(work, index)) {
                lumi_work.take_job(job);
                concerned.insert((job.run, index));
            }
        }
        for (number, index) in concerned {
            self.settle_lumis(number, index);
        }
    }

    /// A job was just made.
    pub(crate) fn follow_job(&mut self, id: JobId, index: usize) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let work = self.runs.get_mut(&job.run);
        if let Some(lumi_work) = work.and_then(|work| lumi_work_of(work, index)) {
            lumi_work.take_job(job);
        }
    }

    /// An output passes a merge by.
    pub(crate) fn skip_merge(
        &mut self,
        number: RunNumber,
        merge: usize,
        ranges: &[(LumiNumber, LumiNumber)],
    ) {
        let work = self.runs.get_mut(&number);
        if let Some(lumi_work) = work.and_then(|work| lumi_work_of(work, merge)) {
            lumi_work.skipped(ranges);
            self.look_at.insert((number, merge));
        }
    }

    /// Brings a task's lumis up to date, and tells those behind it what has changed for them.
    pub(crate) fn settle_lumis(&mut self, number: RunNumber, index: usize) {
        let plan = &self.plans[index];
        let Some(work) = self.runs.get_mut(&number).filter(|_| plan.tracks_lumis) else {
            return;
        };
        let of_task = |index: &usize| work.tasks.get(index)?.lumi_work.as_ref();
        let in_front = match &plan.upstream {
            None => work
                .streams
                .get(&plan.stream)
                .map(|stream| &stream.frontier),
            Some((upstream, _)) => of_task(upstream).map(LumiWork::settled),
        };
        let Some(own) = of_task(&index) else {
            return;
        };
        let nothing = Frontier::new();
        let fed = in_front.unwrap_or(&nothing).moved_since(&own.fed);
        let Some(own) = lumi_work_of(work, index) else {
            return;
        };
        own.feed(fed);
        let moved = own.settle();
        if moved.passed {
            self.look_at.insert((number, index));
        }
        if moved.settled {
            let behind: Vec<usize> = plan.consumers.iter().map(|(_, next)| *next).collect();
            for next in behind {
                if self.plans[next].tracks_lumis {
                    self.look_at.insert((number, next));
                    self.settle_lumis(number, next);
                }
            }
        }
    }

    /// Works everything out anew for a run, from its windows, jobs and frontiers.
    pub(crate) fn restore_lumi_work(&mut self, number: RunNumber) {
        let jobs: Vec<JobId> = self.jobs_of(number).map(|job| job.id).collect();
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        for (index, task) in &mut work.tasks {
            let Some(lumi_work) = &mut task.lumi_work else {
                continue;
            };
            let path = &self.plans[*index].path;
            *lumi_work = LumiWork::default();
            for item in &task.items {
                lumi_work.came(item);
            }
            for id in &jobs {
                let job = &self.jobs[id];
                if job.lineage.redoes.is_none() && job.task == *path {
                    lumi_work.take_job(job);
                }
            }
            let firsts = self.outputs.values().filter(|o| o.replaces.is_none());
            for output in firsts.filter(|output| output.run == number) {
                if matches!(&output.route, Route::Merged(merge, _) if merge == path) {
                    lumi_work.skipped(&output.lumis);
                }
            }
        }
        // Tasks stand behind those that feed them.
        let indices: Vec<usize> = self.runs[&number].tasks.keys().copied().collect();
        for index in indices {
            self.settle_lumis(number, index);
        }
    }
}
