//! Bookkeeping: runs open, lumis are accounted for, runs close exactly when complete (D18).
//!
//! A run opens by whoever speaks of it first: its first file, a begin-of-run record, a command. It
//! closes when its end was announced and every announced lumi of every stream is here; never by a
//! time-out.

use crate::setup::pipelines_of;
use crate::{Effect, Engine, RunWork};
use model::alarm::Severity;
use model::arrival::{LumiEnd, RunBegin, RunEnd};
use model::fact::Fact;
use model::ids::{LumiNumber, RunNumber};
use model::lumi::{LumiRecord, LumiState};
use model::names::{DataLabel, StreamName};
use model::run::{Run, RunEvent, RunState, RunType, StartedBy};
use model::time::Moment;

/// Workers started ahead for each warm task when a run begins.
const WORKERS_AHEAD: u32 = 1;

impl Engine {
    /// Makes sure that a run is open; says whether it was opened now.
    pub(crate) fn open_run(
        &mut self,
        now: Moment,
        number: RunNumber,
        run_type: Option<RunType>,
        label: DataLabel,
        started_by: StartedBy,
        effects: &mut Vec<Effect>,
    ) -> bool {
        if self.runs.contains_key(&number) {
            return false;
        }
        let run_type = run_type.unwrap_or(self.default_run_type);
        self.record_configuration(now, effects);
        let hash = self.configurations.current.clone();
        let plans = self.configurations.plan(&mut self.plans, &hash, number);
        let run = Run {
            number,
            run_type,
            label,
            started_by,
            opened_at: now,
            pipelines: pipelines_of(&self.plans[plans.clone()], run_type),
            config_hash: hash,
            last_lumi: None,
            announced_events: None,
            ended_at: None,
            announced: started_by == StartedBy::Command,
            last_file_seen_at: now,
            state: RunState::Open,
        };
        self.runs.insert(number, RunWork::new(run, plans));
        self.plan_run(number);
        self.changed_runs.insert(number);
        self.announce(
            now,
            "run.started",
            number,
            format!("run {number} ({run_type})"),
            effects,
        );
        self.prepare_workers(number, effects);
        true
    }

    /// Gives a run the tasks of its pinned pipelines, empty.
    pub(crate) fn plan_run(&mut self, number: RunNumber) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        let plans = work.plans.clone().map(|index| (index, &self.plans[index]));
        work.tasks = plans
            .filter(|(_, plan)| work.run.pipelines.contains(&plan.path.pipeline))
            .map(|(index, _)| (index, crate::run_work::TaskWork::default()))
            .collect();
    }

    fn prepare_workers(&mut self, number: RunNumber, effects: &mut Vec<Effect>) {
        for index in self.runs[&number].tasks.keys() {
            let plan = &self.plans[*index].attempt;
            if plan.mode == model::resource::Mode::Warm {
                effects.push(Effect::Prepare(plan.clone(), WORKERS_AHEAD));
            }
        }
    }

    pub(crate) fn run_begins(&mut self, now: Moment, begin: &RunBegin, effects: &mut Vec<Effect>) {
        let number = begin.run;
        let opened = self.open_run(
            now,
            number,
            begin.run_type,
            begin.label,
            StartedBy::Record,
            effects,
        );
        let run_type = match begin.run_type {
            Some(run_type) if !opened => run_type,
            _ => return self.run_is_announced(number),
        };
        let known = &self.runs[&number].run;
        if known.label != begin.label || (known.run_type != run_type && self.is_settled(number)) {
            let text = format!(
                "The begin-of-run record calls run {number} {run_type} and {}; it is at work as {} \
                 and {}. It goes on as it is. Check the record; take the data again under another \
                 number if the run type matters.",
                begin.label, known.run_type, known.label
            );
            self.alarm(
                now,
                format!("run-type/{number}"),
                Severity::Medium,
                text,
                effects,
            );
            return;
        }
        if known.run_type != run_type {
            self.retype_run(number, run_type);
        }
        self.run_is_announced(number);
    }

    /// A record or a person has said what the run is for: work that waited for this may go on.
    pub(crate) fn run_is_announced(&mut self, number: RunNumber) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        if work.run.announced {
            return;
        }
        work.run.announced = true;
        self.changed_runs.insert(number);
        self.look_at
            .extend(work.tasks.keys().map(|index| (number, *index)));
    }

    /// Whether it is too late to say what a run is for: jobs were made, or its data are complete.
    fn is_settled(&self, number: RunNumber) -> bool {
        let work = &self.runs[&number];
        work.run.state.is_closed() || work.tasks.values().any(|task| task.made_jobs > 0)
    }

    /// A file came before the record that says what the run is for: nothing was cut yet, so pin
    /// again.
    fn retype_run(&mut self, number: RunNumber, run_type: RunType) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        work.run.run_type = run_type;
        work.run.pipelines = pipelines_of(&self.plans[work.plans.clone()], run_type);
        self.changed_runs.insert(number);
        self.plan_run(number);
        self.feed_from_rows(number);
        // Harvests of later runs may have waited for one that this run no longer has.
        self.look_at_later_harvests(number);
    }

    pub(crate) fn lumi_ends(&mut self, now: Moment, end: &LumiEnd, effects: &mut Vec<Effect>) {
        let (number, lumi) = (end.run, end.lumi);
        self.open_run(now, number, None, end.label, StartedBy::Record, effects);
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        if let Some(known) = work.lumis.get(&lumi) {
            if known.expected != end.expected {
                let text = format!(
                    "Lumi {lumi} of run {number} was announced with {:?} and now with {:?}. The \
                     first stays. Ask the detector's experts which is right.",
                    known.expected, end.expected
                );
                let key = format!("lumi-announced-twice/{number}/{lumi}");
                self.alarm(now, key, Severity::Medium, text, effects);
            }
            return;
        }
        let record = LumiRecord {
            run: number,
            lumi,
            expected: end.expected,
            ended_at: now,
        };
        work.lumis.insert(lumi, record.clone());
        effects.push(Effect::Record(Fact::LumiIs(record)));
        let streams: Vec<StreamName> = work.streams.keys().cloned().collect();
        for stream in streams {
            self.lumi_changed(now, number, &stream, lumi, effects);
        }
    }

    pub(crate) fn run_ends(&mut self, now: Moment, end: &RunEnd, effects: &mut Vec<Effect>) {
        let (number, last_lumi) = (end.run, end.last_lumi);
        if last_lumi > crate::commands::LUMIS_MAX {
            let text = format!(
                "Run {number} was announced to end with lumi {last_lumi}, more than any run has. The \
                 record is not believed: end the run with `tier0 run stop`."
            );
            self.alarm(
                now,
                format!("run-end/{number}"),
                Severity::High,
                text,
                effects,
            );
            return;
        }
        self.open_run(now, number, None, end.label, StartedBy::Record, effects);
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        match work.run.last_lumi {
            None => {
                work.run.last_lumi = Some(last_lumi);
                work.run.ended_at = Some(now);
                work.run.announced_events = end.events;
                if let Ok(state) = work.run.state.next(RunEvent::EndAnnounced) {
                    work.run.state = state;
                }
                self.changed_runs.insert(number);
                self.conclude.insert(number);
                // Some splitters count a time from the end.
                let tasks = work.tasks.keys();
                self.look_at.extend(tasks.map(|index| (number, *index)));
            }
            Some(known) if known != last_lumi => {
                let text = format!(
                    "Run {number} was announced to end with lumi {known} and now with lumi \
                     {last_lumi}. The first stays. Ask the detector's experts which is right."
                );
                let key = format!("run-ended-twice/{number}");
                self.alarm(now, key, Severity::Medium, text, effects);
            }
            Some(_) => {}
        }
    }

    /// Looks again at one lumi of one stream after a file or an announcement.
    pub(crate) fn lumi_changed(
        &mut self,
        now: Moment,
        number: RunNumber,
        stream: &StreamName,
        lumi: LumiNumber,
        effects: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        let (before, after) = work.account(stream, lumi);
        if before == after {
            return;
        }
        let key = format!("lumi-disputed/{number}/{stream}/{lumi}");
        match after {
            LumiState::Disputed => {
                let text = format!(
                    "More is here for lumi {lumi} of stream {stream} in run {number} than was \
                     announced. Its express work waits. Compare `tier0 file ls` with the \
                     end-of-lumi record."
                );
                self.alarm(now, key, Severity::High, text, effects);
            }
            LumiState::Closed => {
                self.clear_alarm(now, &key, effects);
                for index in self.runs[&number].tasks.keys() {
                    if self.plans[*index].reads_stream(stream) {
                        self.look_at.insert((number, *index));
                    }
                }
                self.conclude.insert(number);
            }
            LumiState::Open => {}
        }
    }

    /// Closes a run that is complete, ends tasks whose input is, and finishes the run when all of
    /// them have ended.
    pub(crate) fn conclude_run(
        &mut self,
        now: Moment,
        number: RunNumber,
        effects: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        if work.run.state == RunState::Ending && work.is_complete() {
            if let Ok(state) = work.run.state.next(RunEvent::Complete(now)) {
                work.run.state = state;
            }
            self.changed_runs.insert(number);
            self.announce(now, "run.closed", number, format!("run {number}"), effects);
        }
        self.close_inputs(number);
        self.end_tasks(now, number, effects);
        self.finish_run(now, number, effects);
    }

    /// Tells tasks that read the detector's files that no more will come.
    fn close_inputs(&mut self, number: RunNumber) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        if !work.run.state.is_closed() {
            return;
        }
        for (index, task) in &mut work.tasks {
            if self.plans[*index].upstream.is_none() && !task.input_closed {
                task.input_closed = true;
                self.look_at.insert((number, *index));
            }
        }
    }

    fn finish_run(&mut self, now: Moment, number: RunNumber, effects: &mut Vec<Effect>) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        let ended = work.tasks.values().all(|task| task.ended);
        if !matches!(work.run.state, RunState::Closed { .. }) || !ended {
            return;
        }
        if let Ok(state) = work.run.state.next(RunEvent::TasksEnded(now)) {
            work.run.state = state;
        }
        self.changed_runs.insert(number);
        self.announce(
            now,
            "run.finished",
            number,
            format!("run {number}"),
            effects,
        );
        if self
            .runs
            .values()
            .all(|work| matches!(work.run.state, RunState::Finished { .. }))
        {
            effects.push(Effect::Release);
        }
    }
}
