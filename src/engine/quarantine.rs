//! Quarantine: a run of which something is not as it must be stands still, loudly, and all others
//! go on.
//!
//! In come the facts of a batch; the cheap relations of what they touched are looked at, in
//! production too. Out comes, for a run with a broken one, its quarantine: no job is made or
//! started for it, nothing of it is published or certified. What runs may end, what comes is still
//! accounted for. Only a person ends it (`run reopen`), and what was withheld is then published,
//! except what would be twice. Nothing here fails or panics.

use crate::check::Broken;
use crate::publication::duplicate_keys;
use crate::timers::Timer;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::dataset::{BlockState, Closing};
use model::fact::Fact;
use model::ids::{BlockId, JobId, OutputId, RunNumber};
use model::job::JobState;
use model::time::Moment;
use model::wait::{Object, Wait, WaitKind};

/// The key of the alarm about a run in quarantine.
fn key(number: RunNumber) -> String {
    format!("quarantine/run-{number}")
}

impl Engine {
    pub(crate) fn is_quarantined(&self, number: RunNumber) -> bool {
        let work = self.runs.get(&number);
        work.is_some_and(|work| work.run.quarantined.is_some())
    }

    /// Looks at what a batch has touched; whose run is broken stands still from now on.
    pub(crate) fn guard(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let broken = self.broken_runs(effects);
        if broken.is_empty() {
            return;
        }
        for (number, broken) in broken {
            self.put_in_quarantine(now, number, &broken, effects);
        }
        self.record_changes(effects);
    }

    /// Relations that do not hold among the objects of these facts, each with its run. Only what is
    /// about to be published and what runs are: files and jobs are many, and looking at each again
    /// costs more than it is worth; the simulator does.
    fn broken_runs(&self, effects: &[Effect]) -> Vec<(RunNumber, Broken)> {
        let mut broken = Vec::new();
        for effect in effects {
            let Effect::Record(fact) = effect else {
                continue;
            };
            let number = match fact {
                Fact::RunIs(run) => run.number,
                Fact::OutputIs(output) => output.run,
                Fact::BlockIs(block) => block.run,
                Fact::SourceIs(source) => source.run,
                _ => continue,
            };
            self.check_object(fact, &mut |invariant, what| {
                broken.push((number, Broken { invariant, what }));
            });
        }
        broken
    }

    fn put_in_quarantine(
        &mut self,
        now: Moment,
        number: RunNumber,
        broken: &Broken,
        effects: &mut Vec<Effect>,
    ) {
        let Broken { invariant, what } = broken;
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        if work.run.quarantined.is_some() {
            return;
        }
        work.run.quarantined = Some(format!("{invariant}: {what}"));
        self.changed_runs.insert(number);
        let text = format!(
            "{invariant} does not hold in run {number}: {what}. This is a bug of tier0. The run \
             stands still: no job of it is started, nothing of it is published or certified; all \
             other runs go on. Keep the store and the log, and report this message. `tier0 run \
             reopen {number}` lets the run go on once somebody has understood it."
        );
        self.alarm(now, key(number), Severity::High, text, effects);
        self.stand_still(number);
    }

    /// Jobs of a run that are ready leave the queue.
    pub(crate) fn stand_still(&mut self, number: RunNumber) {
        for job in self.ready_jobs(number) {
            self.hold_back(job);
        }
    }

    fn ready_jobs(&self, number: RunNumber) -> Vec<JobId> {
        let ready = |job: &&model::job::Job| matches!(job.state, JobState::Ready { .. });
        let jobs = self.jobs_of(number);
        jobs.filter(ready).map(|job| job.id).collect()
    }

    /// A person ends a quarantine: the run goes on where it stood, and what was withheld is
    /// published, but for what its dataset has already.
    pub(crate) fn end_quarantine(
        &mut self,
        now: Moment,
        number: RunNumber,
        effects: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        work.run.quarantined = None;
        self.archive.look_again();
        self.changed_runs.insert(number);
        let about_lumis = duplicate_keys(number);
        let twice = self.alarms.range(about_lumis.clone()..);
        let twice = twice.map(|(key, _)| key.clone());
        let twice: Vec<String> = twice.take_while(|k| k.starts_with(&about_lumis)).collect();
        for key in twice.into_iter().chain([key(number)]) {
            self.clear_alarm(now, &key, effects);
        }
        self.publish_withheld(now, number, effects);
        self.take_blocks_up(now, number, effects);
        for id in self.ready_jobs(number) {
            match self.jobs[&id].state {
                JobState::Ready { not_before, .. } if not_before > now => {
                    self.timers.set(not_before, Timer::Backoff(id));
                }
                _ => self.enqueue(id),
            }
        }
        let tasks = self.runs[&number].tasks.keys();
        self.look_at.extend(tasks.map(|index| (number, *index)));
        self.conclude.insert(number);
        self.look_for_redo(number);
    }

    fn publish_withheld(&mut self, now: Moment, number: RunNumber, effects: &mut Vec<Effect>) {
        let of_run = self.outputs.values().filter(|o| o.run == number);
        let stands = of_run.filter(|output| output.superseded_by.is_none());
        let withheld = stands.filter(|output| output.block.is_none());
        let withheld: Vec<OutputId> = withheld.map(|output| output.id).collect();
        for id in withheld {
            let mut output = self.outputs[&id].clone();
            let pieces = self.pieces_of(output.job);
            let Some(index) = self.plan_at(number, &output.task) else {
                continue;
            };
            if !self.met_before(&output, &pieces).is_empty() {
                continue;
            }
            output.block = self.publish(now, &output, index, effects);
            if output.block.is_none() {
                continue;
            }
            effects.push(Effect::Record(Fact::OutputIs(output.clone())));
            let subject = format!("{} {}", output.dataset, output.name);
            self.announce(now, "output.published", number, subject, effects);
            self.outputs.insert(id, output);
        }
    }

    /// Blocks that stayed open: those of tasks that have ended close now, the others in their time.
    fn take_blocks_up(&mut self, now: Moment, number: RunNumber, effects: &mut Vec<Effect>) {
        let open: Vec<BlockId> = self.runs[&number].blocks.values().copied().collect();
        for id in open {
            let Some(block) = self.blocks.get(&id).filter(|b| b.state == BlockState::Open) else {
                continue;
            };
            self.timers.set(block.closes_at, Timer::BlockAge(id));
            let filler = block.task.as_ref();
            let filler = filler.and_then(|path| self.plan_at(number, path));
            let task = filler.and_then(|index| self.runs[&number].tasks.get(&index));
            if task.is_none_or(|task| task.ended) {
                self.close_block(now, id, Closing::Complete, effects);
            }
        }
    }

    /// What a run in quarantine waits for.
    pub(crate) fn wait_in_quarantine(&self, number: RunNumber) -> Option<Wait> {
        let work = self.runs.get(&number)?;
        let reason = work.run.quarantined.as_ref()?;
        let alarm = self.alarms.get(&key(number));
        Some(Wait {
            object: Object::Run(number),
            run: number,
            kind: WaitKind::Quarantine,
            reason: format!("it is in quarantine: {reason}"),
            since: alarm.map(|alarm| alarm.raised_at),
            until: None,
            remedy: format!("tier0 run reopen {number} lets it go on"),
        })
    }
}

#[cfg(test)]
#[path = "quarantine_tests.rs"]
mod tests;
