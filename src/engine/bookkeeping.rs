//! Bookkeeping: runs open, lumis are accounted for, runs close exactly when complete (D18).
//!
//! A run opens by whoever speaks of it first: its first file, a begin-of-run record, a command. It
//! closes when its witnesses agree on its end and every lumi of every stream is here or declared. A
//! time-out is a witness only where the profile of the stream names it.

use crate::lumi_work::LumiWork;
use crate::setup::pipelines_of;
use crate::timers::Timer;
use crate::witness::named_by;
use crate::{Effect, Engine, RunWork};
use model::alarm::Severity;
use model::arrival::{LumiEnd, RunBegin, RunEnd};
use model::fact::Fact;
use model::file::FIRST_PART;
use model::ids::{LumiNumber, RunNumber, WitnessId};
use model::lumi::LumiState;
use model::names::{DataLabel, StreamName};
use model::run::{Run, RunEvent, RunState, RunType, StartedBy};
use model::time::Moment;
use model::witness::{End, Instance, Says, Source, Witness};

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
            part: FIRST_PART,
            resumed: 0,
            last_file_seen_at: now,
            sliced_from: None,
            quarantined: None,
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
        self.look_for_overdue(now, number);
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
            .map(|(index, plan)| {
                let task = crate::run_work::TaskWork {
                    lumi_work: plan.tracks_lumis.then(LumiWork::default),
                    ..crate::run_work::TaskWork::default()
                };
                (index, task)
            })
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
        // Records of runs that are history are read again with every scan.
        if self.archive.knows(number) {
            return;
        }
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
        let number = end.run;
        if self.archive.knows(number) {
            return;
        }
        self.open_run(now, number, None, end.label, StartedBy::Record, effects);
        let says = Says::Lumis {
            first: end.lumi,
            last: end.lumi,
            stream: end.stream.clone(),
            expected: end.expected,
        };
        let witness = statement(now, number, says, end.source, end.instance);
        self.hear(now, witness, effects);
    }

    pub(crate) fn run_ends(&mut self, now: Moment, end: &RunEnd, effects: &mut Vec<Effect>) {
        let (number, last_lumi) = (end.run, end.last_lumi);
        if self.archive.knows(number) {
            return;
        }
        if last_lumi > crate::commands::LUMIS_MAX {
            let text = format!(
                "Run {number} was announced to end with lumi {last_lumi}, more than any run has. The \
                 record is not believed: end the run with `tier0 run stop`."
            );
            let key = format!("run-end/{number}");
            self.alarm(now, key, Severity::High, text, effects);
            return;
        }
        self.open_run(now, number, None, end.label, StartedBy::Record, effects);
        let events = end.events;
        let says = Says::End { last_lumi, events };
        let witness = statement(now, number, says, end.source, end.instance);
        self.hear(now, witness, effects);
    }

    /// Takes a statement about a known run in: recorded once, and merged with the others. One that
    /// comes after the run was closed is kept, and an alarm says when it contradicts what is.
    pub(crate) fn hear(&mut self, now: Moment, witness: Witness, effects: &mut Vec<Effect>) {
        let number = witness.run;
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        // A person may come back to what was said before: the last word stands.
        if witness.source != Source::Operator && work.heard.knows(&witness) {
            return;
        }
        let late = work.run.state.is_closed();
        let witness = Witness {
            id: WitnessId(self.ids.take()),
            late,
            ..witness
        };
        effects.push(Effect::Record(Fact::WitnessIs(witness.clone())));
        work.heard.take(witness.clone());
        if late {
            self.heard_late(now, &witness, effects);
            return;
        }
        let work = self.runs.get_mut(&number).expect("it was found above");
        let met = named_by(&witness).filter(|stream| !work.streams.contains_key(stream));
        if let Some(stream) = &met {
            work.meet_stream(stream);
        }
        if let Says::LostFile {
            lumi,
            stream,
            events,
            ..
        } = &witness.says
        {
            work.receive_lost(stream, *lumi, *events);
        }
        let concerned = work.concerned_by(&witness);
        // Lumis of which nothing is to come are complete with the first word of the stream.
        if let Some(stream) = &met {
            self.look_at_readers(number, stream);
        }
        for (stream, lumi) in concerned {
            self.lumi_changed(now, number, &stream, lumi, effects);
        }
        if let Some(stream) = &met {
            self.tell_disputes(now, number, stream, effects);
        }
        self.conclude.insert(number);
        self.look_for_overdue(now, number);
    }

    /// A statement came after its run was closed: kept; people hear of it when it is not what the
    /// run was closed with.
    fn heard_late(&mut self, now: Moment, witness: &Witness, effects: &mut Vec<Effect>) {
        let number = witness.run;
        let Some(what) = self.runs[&number].disagreement(witness) else {
            return;
        };
        let text = format!(
            "The {} says of run {number}, after it was closed, {what}. That is not what the run was \
             closed with; it stays as it is. Ask the detector's experts; files that are still to \
             come are kept, and `tier0 run reopen {number}` works on them.",
            witness.source.as_str()
        );
        self.alarm(
            now,
            late_record_key(number),
            Severity::Medium,
            text,
            effects,
        );
    }

    /// Brings the run's row up to what its witnesses say of its end.
    fn note_end(&mut self, now: Moment, number: RunNumber, effects: &mut Vec<Effect>) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        if work.run.state.is_closed() {
            return;
        }
        let (last_lumi, events) = match work.heard.end() {
            End::Unknown | End::Partly(_) => return,
            End::Known { last_lumi, events } => (Some(last_lumi), events),
            End::Contradiction(_) => (work.heard.last_lumi_said(), None),
        };
        let before = work.run.clone();
        work.run.last_lumi = last_lumi;
        work.run.announced_events = events;
        work.run.ended_at = work.run.ended_at.or(Some(now));
        if let Ok(state) = work.run.state.next(RunEvent::EndAnnounced) {
            work.run.state = state;
        }
        if work.run != before {
            self.changed_runs.insert(number);
            // Some splitters count a time from the end.
            let tasks = work.tasks.keys();
            self.look_at.extend(tasks.map(|index| (number, *index)));
            // A last lumi that was said anew may make others overdue, of an end that is long past.
            self.overdue(now, number, effects);
        }
        let key = format!("end-disputed/{number}");
        let dispute = self.runs[&number].end_dispute();
        match dispute {
            Some(what) => {
                let text = format!(
                    "The end of run {number} is disputed: {what}. The run stays open and its data \
                     are worked on. Ask the detector's experts; `tier0 run stop {number} \
                     --last-lumi N` settles it."
                );
                self.restate_alarm(now, key, Severity::High, text, effects);
            }
            None => self.clear_alarm(now, &key, effects),
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
        let key = dispute_key(number, stream, lumi);
        let missing = crate::overdue::key(number, stream);
        if self.alarms.contains_key(&missing) {
            self.timers.set(now, Timer::Overdue(number));
        }
        match after {
            LumiState::Disputed => {
                self.tell_dispute(now, number, stream, lumi, effects);
                self.look_at_readers(number, stream);
            }
            LumiState::Closed => {
                self.clear_alarm(now, &key, effects);
                self.look_at_readers(number, stream);
                self.conclude.insert(number);
            }
            LumiState::Open => self.clear_alarm(now, &key, effects),
        }
    }

    fn tell_dispute(
        &mut self,
        now: Moment,
        number: RunNumber,
        stream: &StreamName,
        lumi: LumiNumber,
        effects: &mut Vec<Effect>,
    ) {
        let what = self.runs[&number].dispute(stream, lumi);
        let text = format!(
            "Lumi {lumi} of stream {stream} in run {number} is disputed: {what}. Tasks that take \
             whole lumis wait for it, others have what is here. Compare `tier0 file ls --run \
             {number}` with what the detector says; `tier0 run close {number} --stream {stream} \
             --lumis {lumi} --as here` accepts what is here."
        );
        let key = dispute_key(number, stream, lumi);
        self.alarm(now, key, Severity::High, text, effects);
    }

    /// A stream has shown up: lumis of it may be in dispute since before it did.
    pub(crate) fn tell_disputes(
        &mut self,
        now: Moment,
        number: RunNumber,
        stream: &StreamName,
        effects: &mut Vec<Effect>,
    ) {
        let work = self.runs.get(&number);
        let lumis = work.and_then(|work| Some(&work.streams.get(stream)?.lumis));
        let lumis = lumis.into_iter().flatten();
        let disputed = lumis.filter(|(_, entry)| entry.state == LumiState::Disputed);
        for lumi in disputed.map(|(lumi, _)| *lumi).collect::<Vec<_>>() {
            self.tell_dispute(now, number, stream, lumi, effects);
        }
    }

    /// Looks again at the tasks that read a stream.
    pub(crate) fn look_at_readers(&mut self, number: RunNumber, stream: &StreamName) {
        for index in self.runs[&number].tasks.keys() {
            if self.plans[*index].reads_stream(stream) {
                self.look_at.insert((number, *index));
            }
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
        self.note_end(now, number, effects);
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        if work.run.state == RunState::Ending && work.is_complete() {
            if let Ok(state) = work.run.state.next(RunEvent::Complete(now)) {
                work.run.state = state;
            }
            self.changed_runs.insert(number);
            let subject = subject_of(&work.run);
            let settled = work.disagreements().next().is_none();
            self.announce(now, "run.closed", number, subject, effects);
            if settled {
                self.clear_alarm(now, &late_record_key(number), effects);
            }
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
        let subject = subject_of(&work.run);
        self.changed_runs.insert(number);
        self.announce(now, "run.finished", number, subject, effects);
        self.soak(now, number);
        self.archive.look_again();
        if self
            .runs
            .values()
            .all(|work| matches!(work.run.state, RunState::Finished { .. }))
        {
            effects.push(Effect::Release);
        }
    }
}

/// The key of the alarm about a lumi in dispute.
fn dispute_key(number: RunNumber, stream: &StreamName, lumi: LumiNumber) -> String {
    format!("lumi-disputed/{number}/{stream}/{lumi}")
}

/// How messages name a run: each part of it once, and once more when work is taken up again.
fn subject_of(run: &Run) -> String {
    let mut subject = format!("run {}", run.number);
    if run.part != FIRST_PART {
        subject.push_str(&format!(" part {}", run.part));
    }
    if run.resumed > 0 {
        subject.push_str(&format!(" resumed {}", run.resumed));
    }
    subject
}

/// The key of the alarm about what was said after a run was closed.
fn late_record_key(number: RunNumber) -> String {
    format!("late-record/{number}")
}

/// What a channel says; its identity is given when it is recorded.
pub(crate) fn statement(
    at: Moment,
    run: RunNumber,
    says: Says,
    source: Source,
    instance: Instance,
) -> Witness {
    Witness {
        id: WitnessId(0),
        run,
        says,
        source,
        instance,
        at,
        by: source.as_str().to_owned(),
        reason: String::new(),
        late: false,
    }
}
