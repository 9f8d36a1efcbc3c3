//! Outputs: put in place, then recorded as the winner's in one transaction with everything that
//! follows from them (D9).

use crate::arrival::item_of;
use crate::cutting::ranges;
use crate::execution::Ended;
use crate::input::final_name;
use crate::routes::merged_without;
use crate::timers::Timer;
use crate::{Effect, Engine, Observation};
use model::dataset::Output;
use model::fact::Fact;
use model::ids::{JobId, OutputId, RunNumber, Token};
use model::job::{ExitClass, InputId, Job, JobEvent, JobState};
use model::names::StreamName;
use model::resource::Used;
use model::time::Moment;
use model::units::Bytes;
use model::work::{
    AttemptReport, CommitFailure, CommitPlan, PlannedOutput, ReportedOutput, StoredOutput,
};
use pipelines::splitting::{Item, Lumis};

impl Engine {
    /// An attempt reported success: have its outputs put in place, or go on at once when there are
    /// none.
    pub(crate) fn store_outputs(
        &mut self,
        now: Moment,
        token: Token,
        report: Box<AttemptReport>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(job) = self.jobs.get_mut(&token.job) else {
            return;
        };
        let Ok(state) = job.state.next(JobEvent::Reported(now)) else {
            return;
        };
        job.state = state;
        let job = &self.jobs[&token.job];
        let outputs = self
            .plan_of(job)
            .map_or_else(Vec::new, |index| self.planned(job, index, token, &report));
        let plan = CommitPlan { token, outputs };
        self.reports.insert(token.job, report);
        if plan.outputs.is_empty() {
            self.stored(now, token, Ok(Vec::new()), effects);
        } else {
            effects.push(Effect::Store(plan));
        }
    }

    /// Where the declared outputs of a report shall go.
    fn planned(
        &self,
        job: &Job,
        index: usize,
        token: Token,
        report: &AttemptReport,
    ) -> Vec<PlannedOutput> {
        let wanted = &self.plans[index].attempt.outputs;
        let declared = report.outputs.iter();
        let declared = declared.filter(|o| wanted.iter().any(|w| w.label == o.label));
        let planned = declared.map(|reported| {
            let label = &reported.label;
            let route = self.route_of(job, index, label, reported.bytes);
            let dataset = self.dataset_of(job.run, index, label, &route);
            let extension = reported.path.rsplit('.').next().unwrap_or("dat");
            let name = final_name(dataset.as_str(), job.run, token, label.as_str(), extension);
            PlannedOutput {
                reported: reported.clone(),
                name,
            }
        });
        planned.collect()
    }

    pub(crate) fn stored(
        &mut self,
        now: Moment,
        token: Token,
        result: Result<Vec<StoredOutput>, CommitFailure>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(job) = self.jobs.get(&token.job) else {
            return;
        };
        let current = token == self.token(job) && matches!(job.state, JobState::Committing { .. });
        let Some(report) = current.then(|| self.reports.remove(&token.job)).flatten() else {
            return;
        };
        match result {
            Ok(stored) => self.win_verified(now, token, report, stored, effects),
            Err(failure) => {
                self.attempt_failed(now, token.job, failure.class, &failure.message, effects);
            }
        }
    }

    /// The attempt wins: outputs, job and all that follows become facts of one batch.
    pub(crate) fn win(
        &mut self,
        now: Moment,
        id: JobId,
        report: &AttemptReport,
        stored: &[StoredOutput],
        effects: &mut Vec<Effect>,
    ) {
        let Some(index) = self.plan_of(&self.jobs[&id]) else {
            return;
        };
        if let Some(message) = mismatch(report, stored) {
            self.attempt_failed(now, id, ExitClass::Program, &message, effects);
            return;
        }
        let is_second = self.jobs[&id].lineage.redoes.is_some();
        if let Some(message) = self.cannot_win(id, index) {
            let ended = Ended {
                class: ExitClass::Lost,
                code: None,
                message,
            };
            self.fail_attempt(now, id, ended, JobEvent::FailedRetry(now), effects);
            return;
        }
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let Ok(state) = job.state.next(JobEvent::Committed) else {
            return;
        };
        job.state = state;
        job.stamps.done = Some(now);
        job.used = Some(Used {
            events: report.events_read,
            wall: report.ended_at.since(report.started_at),
            output: Bytes(stored.iter().map(|output| output.bytes.0).sum()),
        });
        job.units.clone_from(&report.units);
        let (number, done) = (job.run, job.clone());
        self.changed_jobs.insert(id);
        self.learn_from(&done);
        self.clear_alarm(now, &merged_without(id), effects);
        for output in stored {
            self.record_output(now, id, index, report, output, effects);
        }
        self.supersede_first(id);
        // What is made again is in nobody's budget.
        if !is_second {
            self.observe(now, id, index, effects);
        }
        let path = &self.plans[index].path;
        self.clear_alarm(now, &format!("attempts-lost/{path}"), effects);
        self.judge_candidates(now, id, index, report, effects);
        self.judge_quality(now, id, index, report, effects);
        self.tell_missing_units(now, id, effects);
        self.job_ended(number, index);
        if self.may_be_made_again(&done) {
            self.look_for_redo(number);
        }
    }

    /// Why what an attempt made without a fault is not wanted all the same; it is made again.
    fn cannot_win(&self, id: JobId, index: usize) -> Option<&'static str> {
        let job = &self.jobs[&id];
        // Nothing may take the place of what is published while nothing is published.
        if job.lineage.redoes.is_some() && self.is_quarantined(job.run) {
            return Some("its run stands still, so what it made can take nobody's place");
        }
        self.has_measured_before(job, index)
            .then_some("what it measured from was made again meanwhile")
    }

    fn record_output(
        &mut self,
        now: Moment,
        id: JobId,
        index: usize,
        report: &AttemptReport,
        stored: &StoredOutput,
        effects: &mut Vec<Effect>,
    ) {
        let (number, attempt, seen_at, job_lumis) = {
            let job = &self.jobs[&id];
            (
                job.run,
                job.state.attempt(),
                job.stamps.seen,
                job.lumis.clone(),
            )
        };
        // The storage answers in the order of the plan and repeats the final name, which holds the
        // label.
        let Some(reported) = report
            .outputs
            .iter()
            .find(|output| names_label(stored, output))
        else {
            return;
        };
        let path = self.plans[index].path.clone();
        let route = self.route_of(&self.jobs[&id], index, &reported.label, Some(stored.bytes));
        let dataset = self.dataset_of(number, index, &reported.label, &route);
        let output_id = OutputId(self.ids.take());
        let first = self.outputs_of_first(id).remove(&reported.label);
        let first = first.and_then(|first| self.outputs.get(&first).cloned());
        let mut output = Output {
            id: output_id,
            job: id,
            attempt,
            run: number,
            task: path,
            label: reported.label.clone(),
            dataset,
            name: stored.name.clone(),
            bytes: stored.bytes,
            adler32: stored.adler32,
            events: reported.events,
            lumis: if reported.lumis.is_empty() {
                job_lumis
            } else {
                ranges(reported.lumis.iter().copied())
            },
            seen_at,
            committed_at: now,
            block: None,
            route,
            replaces: first.as_ref().map(|first| first.id),
            superseded_by: None,
        };
        if let Some(first) = &first {
            self.withdraw(first.id, output_id);
        }
        // What was withheld stays so.
        if first.as_ref().is_none_or(|first| first.block.is_some()) {
            output.block = self.publish(now, &output, index, effects);
        }
        effects.push(Effect::Record(Fact::OutputIs(output.clone())));
        if let Some(first) = &first {
            self.record_withdrawn(first, effects);
        }
        if output.block.is_some() {
            let subject = match &first {
                Some(first) => {
                    let (dataset, name) = (&output.dataset, &output.name);
                    format!("{dataset} {name} instead of {}", first.name)
                }
                None => format!("{} {}", output.dataset, output.name),
            };
            self.announce(now, "output.published", number, subject, effects);
        }
        match &first {
            // Whoever read the first is made again with this one when its time has come.
            Some(first) => {
                self.stand_in_windows(&output, first.id);
                self.tell_measured_before(now, first.id, effects);
            }
            None => self.feed_consumers(number, index, &output),
        }
        self.keep_output(output);
    }

    /// Hands an output to the tasks that read it.
    fn feed_consumers(&mut self, number: RunNumber, index: usize, output: &Output) {
        let item = item_of_output(output);
        let readers = self.readers_of(output, index);
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        for reader in readers {
            if let Some(task) = work.tasks.get_mut(&reader) {
                task.feed(item.clone());
                self.look_at.insert((number, reader));
            }
        }
        if let Some(merge) = self.merge_passed_by(output, index) {
            self.skip_merge(number, merge, &output.lumis);
        }
    }

    fn observe(&mut self, now: Moment, id: JobId, index: usize, effects: &mut Vec<Effect>) {
        let job = &self.jobs[&id];
        let budget = self.plans[index]
            .budget
            .map(|budget| budget.seen_to_published);
        let (number, path, stamps) = (job.run, job.task.clone(), job.stamps);
        if job.deadline.is_some_and(|deadline| now > deadline) {
            let subject = format!("job {id} ({path})");
            self.announce(now, "budget.missed", number, subject, effects);
        }
        effects.push(Effect::Observe(Observation {
            run: number,
            task: path,
            stamps,
            budget,
        }));
    }

    /// Ends tasks that have nothing left to do, tells those that read from them, and closes their
    /// blocks.
    pub(crate) fn end_tasks(&mut self, now: Moment, number: RunNumber, effects: &mut Vec<Effect>) {
        let plans = self.runs.get(&number).map(|work| work.plans.clone());
        for index in plans.unwrap_or_default() {
            let Some(work) = self.runs.get_mut(&number) else {
                return;
            };
            let Some(task) = work.tasks.get_mut(&index) else {
                continue;
            };
            let over = task.input_closed && task.items.is_empty() && task.live_jobs == 0;
            if task.ended || !over {
                continue;
            }
            if let Some(until) = self.waits_its_turn(number, index, now) {
                self.timers.set(until, Timer::Look(number, index));
                continue;
            }
            let Some(work) = self.runs.get_mut(&number) else {
                return;
            };
            let Some(task) = work.tasks.get_mut(&index) else {
                continue;
            };
            task.ended = true;
            self.archive.look_again();
            for (_, consumer) in &self.plans[index].consumers {
                if let Some(next) = work.tasks.get_mut(consumer)
                    && !next.input_closed
                {
                    next.input_closed = true;
                    self.look_at.insert((number, *consumer));
                }
            }
            self.abandon_undecided(now, number, index, effects);
            self.close_blocks(now, number, index, effects);
            self.conclude_untested(now, number, index, effects);
        }
    }

    /// Feeds every task of a run from rows: what its streams and feeders made and it has not
    /// consumed.
    pub(crate) fn feed_from_rows(&mut self, number: RunNumber) {
        let files: Vec<(StreamName, Item)> = self
            .files
            .values()
            .filter(|file| file.arrival.run == number && self.is_at_work(file))
            .filter(|file| !file.arrival.empty)
            .map(|file| (file.arrival.stream.clone(), item_of(file)))
            .collect();
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        for (index, task) in &mut work.tasks {
            for (stream, item) in &files {
                if self.plans[*index].reads_stream(stream) {
                    task.feed(item.clone());
                    self.look_at.insert((number, *index));
                }
            }
        }
        self.restore_lumi_work(number);
    }
}

/// An output as a splitter sees it.
pub(crate) fn item_of_output(output: &Output) -> Item {
    let first = output
        .lumis
        .first()
        .map_or(model::ids::LumiNumber(0), |range| range.0);
    let last = output.lumis.last().map_or(first, |range| range.1);
    Item {
        id: InputId::Output(output.id),
        name: output.name.clone(),
        lumi: first,
        last_lumi: last,
        bytes: output.bytes,
        events: output.events,
        seen_at: output.seen_at,
        came_at: output.committed_at,
        content: content_of(output),
        first_event: 0,
        sites: Vec::new(),
    }
}

/// The lumis of an output that do not all follow each other.
fn content_of(output: &Output) -> Lumis {
    match output.lumis[..] {
        [] | [_] => Lumis::new(),
        _ => {
            let ranges = output.lumis.iter();
            ranges
                .map(|(first, last)| (output.run, *first, *last))
                .collect()
        }
    }
}

fn names_label(stored: &StoredOutput, output: &ReportedOutput) -> bool {
    let file = stored.name.as_str().rsplit('/').next().unwrap_or_default();
    // The label, job and attempt: a label that begins another one is told apart by what follows.
    let rest = file
        .strip_prefix(output.label.as_str())
        .and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| {
        let stem = rest.split('.').next().unwrap_or_default();
        stem.split('-').count() == 2 && stem.chars().all(|c| c.is_ascii_digit() || c == '-')
    })
}

/// What the storage measured must be what the program reported.
fn mismatch(report: &AttemptReport, stored: &[StoredOutput]) -> Option<String> {
    stored.iter().find_map(|stored| {
        let reported = report
            .outputs
            .iter()
            .find(|output| names_label(stored, output))?;
        let bytes_differ = reported.bytes.is_some_and(|bytes| bytes != stored.bytes);
        let sums_differ = reported
            .adler32
            .is_some_and(|adler32| adler32 != stored.adler32);
        (bytes_differ || sums_differ).then(|| {
            format!(
                "output {} is not what the program reported: {} bytes with adler32 {:08x} are \
                 there; the report must be written after the file is complete",
                reported.label, stored.bytes.0, stored.adler32
            )
        })
    })
}
