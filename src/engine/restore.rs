//! After a restart: everything that is not a row is derived from the rows (D4).
//!
//! The law, checked by the simulator at random steps: an engine restored from what it has recorded
//! has the same fingerprint as the engine that recorded it, and wants nothing recorded at its first
//! tick.

use crate::arrival::item_of;
use crate::bookkeeping::statement;
use crate::run_work::RunWork;
use crate::timers::Timer;
use crate::{Engine, Setup};
use model::conditions::{ConditionsPayload, ConditionsTag, GateOutcome, GlobalTag, Iov};
use model::dataset::{BlockState, Totals};
use model::fact::Consumed;
use model::ids::{JobId, RunNumber};
use model::job::{InputId, Job, JobState};
use model::names::{TagName, TaskPath};
use model::rows::Rows;
use model::run::RunState;
use model::time::Moment;
use model::usage::TaskUsage;
use model::witness::{End, Instance, Says, Source};
use std::collections::BTreeMap;

/// Inputs by the task that has consumed them, in order.
type ConsumedInputs<'r> = BTreeMap<&'r TaskPath, Vec<InputId>>;

/// Nothing is cloned and tasks are compared with their neighbours' first, because there are as many
/// rows as files; they come sorted by task.
fn consumed_inputs(rows: &[Consumed]) -> ConsumedInputs<'_> {
    let mut by_task: ConsumedInputs<'_> = BTreeMap::new();
    for rows in rows.chunk_by(|a, b| a.task == b.task) {
        let inputs = by_task.entry(&rows[0].task).or_default();
        inputs.extend(rows.iter().map(|row| row.input));
    }
    for inputs in by_task.values_mut() {
        inputs.sort();
    }
    by_task
}

impl Engine {
    /// An engine that knows what the rows say. Attempts under way are still under way: whoever
    /// restores says next which of them are lost ([`crate::Input::AttemptsLost`]).
    pub fn restore(setup: Setup, next_id: Option<i64>, rows: Rows, now: Moment) -> Self {
        let mut engine = Self::new(setup, next_id);
        let recorded = rows.configurations.into_iter();
        engine.configurations.recorded = recorded.map(|row| row.hash).collect();
        engine.restore_history(rows.archived, rows.usage);
        for run in rows.runs {
            let number = run.number;
            if run.state.is_history() {
                engine.archive.restore_leaving(run);
                continue;
            }
            let plans = &mut engine.plans;
            let plans = engine.configurations.plan(plans, &run.config_hash, number);
            engine.runs.insert(number, RunWork::new(run, plans));
            engine.plan_run(number);
        }
        for witness in rows.witnesses {
            if let Some(work) = engine.runs.get_mut(&witness.run) {
                work.heard.take(witness);
            }
        }
        engine.restore_ends_of_older_rows();
        engine.restore_lost_files();
        for file in rows.files {
            if let Some(work) = engine.runs.get_mut(&file.arrival.run) {
                if file.part <= work.run.part {
                    work.receive(&file);
                }
                if !file.late {
                    work.run.last_file_seen_at =
                        work.run.last_file_seen_at.max(file.arrival.seen_at);
                }
            }
            let key = (file.arrival.profile.clone(), file.arrival.name.clone());
            engine.file_names.insert(key, file.id);
            engine.files.insert(file.id, file);
        }
        for item in rows.set_aside {
            let key = (item.profile.clone(), item.name.clone(), item.refusal);
            engine.set_aside.insert(key, item);
        }
        engine.restore_sources(rows.sources);
        let outputs = rows.outputs.into_iter();
        outputs.for_each(|output| engine.keep_output(output));
        let blocks = rows.blocks.into_iter();
        engine.blocks = blocks.map(|block| (block.id, block)).collect();
        engine.datasets = rows
            .datasets
            .into_iter()
            .map(|dataset| (dataset.name.clone(), dataset))
            .collect();
        engine.contents = rows
            .contents
            .into_iter()
            .map(|content| ((content.run, content.dataset.clone()), content))
            .collect();
        engine.quality = rows
            .quality
            .into_iter()
            .map(|quality| (quality.run, quality))
            .collect();
        engine.alarms = rows
            .alarms
            .into_iter()
            .map(|alarm| (alarm.key.clone(), alarm))
            .collect();
        engine.rulings = rows
            .rulings
            .into_iter()
            .map(|ruling| ((ruling.task.clone(), ruling.run), ruling))
            .collect();
        engine.restore_conditions(rows.tags, rows.global_tags, rows.payloads, &rows.iovs);
        engine.restore_decisions(rows.decisions);
        engine.restore_accounts();
        engine.restore_blocks();
        engine.restore_totals();
        let declined = rows.consumed.iter().filter(|row| row.job == JobId::NOBODY);
        engine.declined = declined.map(|row| (row.task.clone(), row.input)).collect();
        engine.restore_windows(&rows.consumed);
        engine.restore_jobs(rows.jobs, now);
        engine.restore_published();
        for number in engine.runs.keys().copied().collect::<Vec<_>>() {
            engine.restore_lumi_work(number);
        }
        engine.restore_ends(now);
        engine.restore_redo();
        engine.stir(now);
        engine
    }

    /// Tags, global tags, payloads and intervals.
    fn restore_conditions(
        &mut self,
        tags: Vec<ConditionsTag>,
        global_tags: Vec<GlobalTag>,
        payloads: Vec<ConditionsPayload>,
        iovs: &[Iov],
    ) {
        let constants = &mut self.constants;
        let payloads = payloads.into_iter();
        constants.payloads = payloads.map(|one| (one.hash, one.text.into())).collect();
        let tags = tags.into_iter();
        constants.tags = tags.map(|one| (one.name.clone(), one)).collect();
        let global_tags = global_tags.into_iter();
        constants.global_tags = global_tags.map(|one| (one.name.clone(), one)).collect();
        for iov in iovs {
            constants.keep(iov);
        }
    }

    /// What is left of runs that are history: their numbers, and what their jobs have used.
    fn restore_history(&mut self, archived: Vec<RunNumber>, usage: Vec<TaskUsage>) {
        self.archive.gone = archived.into_iter().collect();
        for usage in usage {
            self.learn_usage(&usage);
            self.archive.usage.insert(usage.task.clone(), usage);
        }
    }

    /// Decisions in the order of runs, which is the order in which they were taken.
    fn restore_decisions(&mut self, mut decisions: Vec<model::conditions::GateDecision>) {
        decisions.sort_by_key(|decision| decision.run);
        for decision in decisions {
            let text = decision.tag.as_str();
            let tag = TagName::new(text.strip_suffix("/SIM").unwrap_or(text));
            let is_decided = decision.outcome != GateOutcome::Held;
            if let Some(work) = self.runs.get_mut(&decision.run).filter(|_| is_decided) {
                work.decided.insert(tag);
            }
            let decision = self.constants.with_what_it_put(decision);
            self.constants.take(decision);
        }
    }

    /// Runs that were recorded before ends had rows of their own say in their row how they end.
    fn restore_ends_of_older_rows(&mut self) {
        for (number, work) in &mut self.runs {
            if let (Some(last_lumi), End::Unknown) = (work.run.last_lumi, work.heard.end()) {
                let events = work.run.announced_events;
                let says = Says::End { last_lumi, events };
                let at = work.run.ended_at.unwrap_or(work.run.last_file_seen_at);
                let said = statement(at, *number, says, Source::Record, Instance::ONLY);
                work.heard.take(said);
            }
        }
    }

    /// Files that were declared lost count as if they were here, until they come.
    fn restore_lost_files(&mut self) {
        for work in self.runs.values_mut() {
            for ((stream, _), (lumi, events)) in work.heard.lost_files().clone() {
                work.receive_lost(&stream, lumi, events);
            }
        }
    }

    fn restore_accounts(&mut self) {
        for work in self.runs.values_mut() {
            for stream in work.heard.named_streams() {
                work.streams.entry(stream).or_default();
            }
            let streams: Vec<_> = work.streams.keys().cloned().collect();
            for stream in streams {
                let mut lumis = work.heard.lumis_of(&stream);
                lumis.extend(work.streams[&stream].lumis.keys().copied());
                for lumi in lumis {
                    work.account(&stream, lumi);
                }
            }
        }
    }

    fn restore_blocks(&mut self) {
        for block in self
            .blocks
            .values()
            .filter(|block| block.state == BlockState::Open)
        {
            if let Some(work) = self.runs.get_mut(&block.run) {
                work.blocks.insert(block.dataset.clone(), block.id);
            }
            self.timers.set(block.closes_at, Timer::BlockAge(block.id));
        }
        for output in self.outputs.values() {
            let block = output.block.and_then(|id| self.blocks.get_mut(&id));
            if let Some(block) = block.filter(|block| block.state == BlockState::Open) {
                block.add(output);
            }
        }
    }

    /// What datasets have besides the blocks that are here is of runs that are history.
    fn restore_totals(&mut self) {
        let mut here = self.totals_where(|_| true);
        let datasets = self.datasets.iter();
        let beside = datasets.map(|(name, dataset)| {
            let here = here.remove(name).unwrap_or_default();
            (name.clone(), dataset.closed.without(&here))
        });
        let beside = beside.filter(|(_, totals)| *totals != Totals::default());
        self.archive.totals = beside.collect();
    }

    /// What is published follows from the jobs behind the outputs that are.
    fn restore_published(&mut self) {
        let published = self
            .outputs
            .values()
            .filter(|output| output.block.is_some());
        for output in published {
            let pieces = self.pieces_of(output.job);
            if let Some(work) = self.runs.get_mut(&output.run) {
                let dataset = work.published.entry(output.dataset.clone()).or_default();
                dataset.extend(pieces);
            }
        }
    }

    /// Input that came and was not consumed.
    fn restore_windows(&mut self, consumed: &[Consumed]) {
        let consumed = consumed_inputs(consumed);
        let is_free = |path: &TaskPath, input: InputId| {
            let inputs = consumed.get(path);
            inputs.is_none_or(|inputs| inputs.binary_search(&input).is_err())
        };
        for file in self.files.values().filter(|file| !file.arrival.empty) {
            let work = self.runs.get_mut(&file.arrival.run);
            let Some(work) = work.filter(|work| file.part <= work.run.part) else {
                continue;
            };
            for (index, task) in &mut work.tasks {
                let plan = &self.plans[*index];
                if plan.reads_stream(&file.arrival.stream)
                    && is_free(&plan.path, InputId::File(file.id))
                {
                    task.feed(item_of(file));
                }
            }
        }
        // What stands in another's place is handed to those who have not read the other.
        for output in self.outputs.values().filter(|o| o.replaces.is_none()) {
            let Some(index) = self.plan_at(output.run, &output.task) else {
                continue;
            };
            let readers = self.readers_of(output, index);
            let item = self.item_standing_for(output);
            let Some(work) = self.runs.get_mut(&output.run) else {
                continue;
            };
            for reader in readers {
                let path = &self.plans[reader].path;
                if let Some(task) = work.tasks.get_mut(&reader)
                    && is_free(path, InputId::Output(output.id))
                {
                    task.feed(item.clone());
                }
            }
        }
        for work in self.runs.values_mut() {
            work.tasks
                .values_mut()
                .for_each(crate::run_work::TaskWork::sort);
        }
    }

    fn restore_jobs(&mut self, jobs: Vec<Job>, now: Moment) {
        for job in jobs {
            let (id, state) = (job.id, job.state);
            if let Some(index) = self.plan_of(&job) {
                if let Some(task) = self
                    .runs
                    .get_mut(&job.run)
                    .and_then(|work| work.tasks.get_mut(&index))
                {
                    task.made_jobs += 1;
                    if job.consumed == 0 {
                        task.readers.insert(id);
                    }
                    task.live_jobs += u32::from(!state.is_terminal());
                }
                if matches!(state, JobState::Sent { .. } | JobState::Running { .. }) {
                    self.cores_used += self.needs_of(&job, index).cores;
                    self.gone_out(now, id);
                }
            }
            self.learn_from(&job);
            self.keep_job(job);
            match state {
                JobState::Ready { not_before, .. } if not_before > now => {
                    self.timers.set(not_before, Timer::Backoff(id));
                }
                JobState::Ready { .. } => self.enqueue(id),
                _ => {}
            }
        }
    }

    /// Which tasks have ended follows from their feeders; which are worth a look is said by
    /// whatever is unfinished.
    fn restore_ends(&mut self, now: Moment) {
        let numbers: Vec<RunNumber> = self.runs.keys().copied().collect();
        for number in numbers {
            let closed = self.runs[&number].run.state.is_closed();
            for index in self.runs[&number].plans.clone() {
                // What nobody measured was decided when the task ended.
                let decided = self.has_decided(number, index);
                let Some(work) = self.runs.get_mut(&number) else {
                    continue;
                };
                let fed_out = match &self.plans[index].upstream {
                    None => closed,
                    Some((upstream, _)) => work.tasks.get(upstream).is_none_or(|task| task.ended),
                };
                let Some(task) = work.tasks.get_mut(&index) else {
                    continue;
                };
                task.input_closed = fed_out;
                task.ended = fed_out && task.items.is_empty() && task.live_jobs == 0 && decided;
            }
            let work = &self.runs[&number];
            if !matches!(work.run.state, RunState::Finished { .. }) {
                self.look_at
                    .extend(work.tasks.keys().map(|index| (number, *index)));
                self.conclude.insert(number);
                self.timers.set(now, Timer::Overdue(number));
            }
            self.soak(now, number);
            if self.quality.contains_key(&number) {
                self.timers.set(now, Timer::Verdict(number));
            }
        }
    }
}
