//! Stalls planted in an engine's own structures, each with a label: the detector finds every one of
//! them within 30 s, names what is missing and what to do, and says so when it is over.
//!
//! In come an engine brought to a certain point and something taken away from it, out come the
//! alarms that are raised.

use crate::arrival::item_of;
use crate::dispatch::Queue;
use crate::timers::Timer;
use crate::{Configuration, Effect, Engine, Input, Setup};
use model::alarm::Alarm;
use model::arrival::{Arrival, Checksum, Completion, Counts, LumiEnd, RunEnd, Seen};
use model::command::{Command, JobVerb, JobsAsked, Order};
use model::fact::Fact;
use model::ids::{AgentNumber, BlockId, Epoch, JobId, LumiNumber, RunNumber};
use model::job::{ExitClass, JobState};
use model::lumi::Expected;
use model::names::{DataLabel, FileName, ProfileName, StreamName, TaskPath};
use model::run::{RunState, RunType};
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use model::witness::{Instance, Source};
use model::work::{AttemptNews, AttemptReport, AttemptSpec, ReportedOutput, StoredOutput};
use std::collections::BTreeMap;

const RUN: RunNumber = RunNumber(1);
/// A stall is told within this time.
const TOLD_WITHIN: Span = Span::from_secs(30);

/// An engine and what it has said.
struct House {
    engine: Engine,
    now: Moment,
    sent: Vec<AttemptSpec>,
    alarms: BTreeMap<String, Alarm>,
    /// Files that are asked for are read back.
    reads: bool,
    /// Outputs are put in place.
    stores: bool,
}

impl House {
    fn new() -> Self {
        Self::with(1, Completion::default())
    }

    fn with(cores: u32, completion: Completion) -> Self {
        let definitions = pipelines::link::load(pipelines::EMBEDDED).expect("they are right");
        let setup = Setup {
            completions: BTreeMap::from([(ProfileName::new("spool"), completion)]),
            agent: AgentNumber(0),
            epoch: Epoch(2),
            configuration: Configuration::fixed("birth", definitions),
            earlier: Vec::new(),
            cores,
            default_run_type: RunType::Physics,
            release: None,
            archive_after: None,
        };
        Self {
            engine: Engine::new(setup, None),
            now: Moment(1_798_761_600_000_000_000),
            sent: Vec::new(),
            alarms: BTreeMap::new(),
            reads: true,
            stores: true,
        }
    }

    fn step(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.engine.step(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Start(spec) => self.sent.push(spec),
                Effect::Record(Fact::AlarmIs(alarm)) if alarm.cleared_at.is_some() => {
                    self.alarms.remove(&alarm.key);
                }
                Effect::Record(Fact::AlarmIs(alarm)) => {
                    self.alarms.insert(alarm.key.clone(), alarm);
                }
                Effect::ReadBack(file, _) if self.reads => {
                    let arrival = &self.engine.files[&file].arrival;
                    let Some(Checksum::Adler32(claimed)) = arrival.checksum else {
                        panic!("everything is claimed here");
                    };
                    let result = Ok((arrival.bytes, claimed));
                    self.step(Input::ReadBack { file, result });
                }
                Effect::Store(plan) if self.stores => {
                    let stored = plan.outputs.iter().map(|output| StoredOutput {
                        name: output.name.clone(),
                        bytes: Bytes(10),
                        adler32: 3,
                    });
                    let result = Ok(stored.collect());
                    let token = plan.token;
                    self.step(Input::Stored { token, result });
                }
                Effect::List(asked_at) => {
                    let tokens = self.sent.iter().map(|spec| spec.token);
                    let tokens = Some(tokens.collect());
                    self.step(Input::Listed { asked_at, tokens });
                }
                _ => {}
            }
        }
    }

    fn happens(&mut self, input: Input) {
        self.step(input);
        self.step(Input::Tick);
    }

    /// A file of a lumi, and the lumi's end.
    fn lumi(&mut self, lumi: u32) {
        self.file(lumi);
        self.happens(Input::Seen(Seen::LumiEnd(LumiEnd {
            run: RUN,
            lumi: LumiNumber(lumi),
            stream: None,
            expected: Expected::Events(100),
            source: Source::Record,
            instance: Instance::ONLY,
            label: DataLabel::Real,
        })));
    }

    fn file(&mut self, lumi: u32) {
        self.happens(Input::Seen(Seen::File(Arrival {
            profile: ProfileName::new("spool"),
            name: FileName::new(&format!("file{lumi}")),
            run: RUN,
            lumi: LumiNumber(lumi),
            stream: StreamName::new("Muons"),
            label: DataLabel::Real,
            bytes: Bytes(1_000),
            inode: 1,
            mtime: self.now,
            counts: Some(Counts {
                processed: 100,
                accepted: 100,
                errors: 0,
            }),
            checksum: Some(Checksum::Adler32(100)),
            empty: false,
            seen_at: self.now,
        })));
    }

    fn end(&mut self, last_lumi: u32) {
        self.happens(Input::Seen(Seen::RunEnd(RunEnd {
            run: RUN,
            last_lumi,
            events: None,
            source: Source::Record,
            instance: Instance::ONLY,
            label: DataLabel::Real,
        })));
    }

    /// The attempt that was sent first and has not ended ends well.
    fn ends_well(&mut self) {
        let spec = self.sent.remove(0);
        let outputs = spec.plan.outputs.iter().map(|wanted| ReportedOutput {
            label: wanted.label.clone(),
            path: wanted.path.clone(),
            bytes: None,
            adler32: None,
            events: Events(100),
            lumis: Vec::new(),
        });
        let report = AttemptReport {
            outputs: outputs.collect(),
            ..AttemptReport::failed(ExitClass::Ok, String::new(), self.now, self.now)
        };
        let token = spec.token;
        let news = AttemptNews::Ended(Box::new(report));
        self.happens(Input::News { token, news });
    }

    /// Time passes; the engine is heard whenever it wants to be.
    fn wait(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(at) = self.engine.next_wakeup().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.step(Input::Tick);
        }
        self.now = until;
    }

    fn stuck(&self) -> Vec<&Alarm> {
        let alarms = self.alarms.values();
        alarms
            .filter(|alarm| alarm.key.starts_with("stuck/"))
            .collect()
    }

    fn ask(&mut self, verb: JobVerb, job: JobId) {
        let order = Order::new(Command::Jobs(JobsAsked::one(verb, job)), "shifter");
        self.happens(Input::Asked { ticket: 1, order });
    }

    fn job(&self, word: &str) -> JobId {
        let mut jobs = self.engine.jobs.values();
        let job = jobs.find(|job| job.state.word() == word);
        job.map(|job| job.id).expect("there is such a job")
    }

    fn index(&self, pipeline: &str, task: &str) -> usize {
        let path = TaskPath::new(pipeline, task);
        self.engine.plan_at(RUN, &path).expect("it is a task")
    }

    fn cancel(&mut self, timer: Timer) {
        while let Some(at) = self.engine.timers.first(timer) {
            self.engine.timers.cancel(at, timer);
        }
    }

    /// What was planted is told in time, alone, with its cause and what to do.
    fn finds(&mut self, label: &str, key: &str, cause: &str, remedy: &str) {
        let planted_at = self.now;
        self.wait(TOLD_WITHIN);
        let stuck = self.stuck();
        let keys: Vec<&str> = stuck.iter().map(|alarm| alarm.key.as_str()).collect();
        assert_eq!(keys, [key], "{label}");
        let Alarm {
            text, raised_at, ..
        } = stuck[0];
        assert!(raised_at.since(planted_at) <= TOLD_WITHIN, "{label}");
        for part in [cause, remedy] {
            assert!(text.contains(part), "{label}: lacks {part:?}: {text}");
        }
    }

    /// Everything has a reason again, and that is told too.
    fn is_over(&mut self, label: &str) {
        self.wait(TOLD_WITHIN);
        assert!(self.stuck().is_empty(), "{label}: {:?}", self.stuck());
        assert_eq!(self.engine.check_live(self.now), [], "{label}");
    }
}

/// One job of express under way, one that waits for its core.
fn two_jobs() -> House {
    let mut house = House::new();
    house.lumi(1);
    house.lumi(2);
    house
}

/// A run that is closed; express is done, and what follows from it is under way.
fn closed() -> House {
    let mut house = House::with(8, Completion::default());
    house.lumi(1);
    house.ends_well();
    house.end(1);
    assert!(house.engine.runs[&RUN].run.state.is_closed());
    assert!(!house.sent.is_empty(), "the run's constants are measured");
    house
}

#[test]
fn what_has_a_reason_is_not_called_stuck() {
    for mut house in [two_jobs(), closed()] {
        house.wait(Span::from_secs(300));
        assert!(house.stuck().is_empty(), "{:?}", house.stuck());
        assert_eq!(house.engine.check_live(house.now), []);
    }
}

#[test]
fn nobody_looks_while_nothing_happens() {
    let mut house = closed();
    while !house.sent.is_empty() {
        house.ends_well();
    }
    house.wait(Span::from_secs(3_600 * 24 * 30));
    assert_eq!(house.engine.next_wakeup(), None);
}

#[test]
fn a_job_that_fell_out_of_the_queue() {
    let mut house = two_jobs();
    let job = house.job("ready");
    house.engine.queue = Queue::default();
    let remedy = format!("`tier0 job release {job}`");
    let key = format!("stuck/job/{job}");
    house.finds("queue", &key, "not in the queue", &remedy);
    house.ask(JobVerb::Release, job);
    house.is_over("queue");
    house.ends_well();
    assert_eq!(house.sent[0].token.job, job, "it goes on");
}

#[test]
fn a_pause_that_nothing_ends() {
    let mut house = two_jobs();
    let job = house.job("sent");
    house.engine.free_cores(job);
    let attempt = house.engine.jobs[&job].state.attempt();
    let not_before = house.now + Span::from_secs(3_600);
    let state = JobState::Ready {
        attempt,
        not_before,
    };
    house.engine.jobs.get_mut(&job).expect("it is there").state = state;
    let remedy = format!("`tier0 job release {job}`");
    let key = format!("stuck/job/{job}");
    house.finds("pause", &key, "no timer ends its pause", &remedy);
    house.ask(JobVerb::Release, job);
    house.is_over("pause");
}

#[test]
fn an_attempt_that_nobody_asks_for() {
    for label in ["not counted", "no timer"] {
        let mut house = two_jobs();
        let job = house.job("sent");
        if label == "no timer" {
            house.cancel(Timer::Reconcile);
        } else {
            house.engine.come_back(job);
        }
        let remedy = format!("`tier0 job park {job}` ends its attempt, then `tier0 job release");
        let key = format!("stuck/job/{job}");
        house.finds(label, &key, "nobody asks what became of it", &remedy);
        house.ask(JobVerb::Park, job);
        house.ask(JobVerb::Release, job);
        house.is_over(label);
    }
}

#[test]
fn an_attempt_that_nobody_ends() {
    let mut house = two_jobs();
    let job = house.job("sent");
    let attempt = house.engine.jobs[&job].state.attempt();
    let since = house.now - Span::from_secs(2 * 3_600);
    let state = JobState::Running { attempt, since };
    house.engine.jobs.get_mut(&job).expect("it is there").state = state;
    let key = format!("stuck/job/{job}");
    let remedy = format!("`tier0 job park {job}`");
    house.finds(
        "wall",
        &key,
        "the executor has it and does not end it",
        &remedy,
    );
}

#[test]
fn outputs_whose_answer_nobody_waits_for() {
    let mut house = two_jobs();
    house.stores = false;
    house.ends_well();
    let job = house.job("committing");
    house.engine.reports.clear();
    let key = format!("stuck/job/{job}");
    house.finds(
        "answer",
        &key,
        "nobody waits for the answer",
        "`tier0 serve`",
    );
}

#[test]
fn a_winner_whose_input_nobody_reads() {
    let mut house = House::new();
    house.reads = false;
    house.lumi(1);
    house.ends_well();
    let job = house.job("committing");
    house.engine.reading.clear();
    let key = format!("stuck/job/{job}");
    house.finds("reading", &key, "nobody reads it", "`tier0 serve`");
}

#[test]
fn a_task_that_was_not_ended_or_not_told_that_no_more_will_come() {
    for label in ["not ended", "not told"] {
        let mut house = closed();
        let express = house.index("express", "reco");
        let work = house.engine.runs.get_mut(&RUN).expect("it is there");
        let task = work.tasks.get_mut(&express).expect("it is there");
        assert!(task.ended);
        task.ended = false;
        let cause = if label == "not told" {
            task.input_closed = false;
            "no more input will come, and nobody has told it"
        } else {
            "it has nothing more to do, and has not ended"
        };
        house.finds(label, "stuck/task/1/express.reco", cause, "`tier0 serve`");
    }
}

#[test]
fn input_that_nobody_looks_at() {
    let mut house = House::new();
    house.lumi(1);
    house.ends_well();
    let express = house.index("express", "reco");
    let file = house.engine.files.values().next().expect("it came");
    let item = item_of(file);
    let work = house.engine.runs.get_mut(&RUN).expect("it is there");
    work.tasks
        .get_mut(&express)
        .expect("it is there")
        .feed(item);
    let work = house.engine.runs.get_mut(&RUN).expect("it is there");
    work.tasks.get_mut(&express).expect("it is there").sort();
    let cause = "can be worked on, and nobody looks at it";
    house.finds(
        "window",
        "stuck/task/1/express.reco",
        cause,
        "`tier0 serve`",
    );
}

#[test]
fn a_release_whose_bound_has_no_timer() {
    let mut house = closed();
    let prompt = house.index("prompt", "reco");
    assert!(
        house
            .engine
            .timers
            .first(Timer::Look(RUN, prompt))
            .is_some()
    );
    house.cancel(Timer::Look(RUN, prompt));
    let cause = "at most, and no timer is set";
    house.finds(
        "release",
        "stuck/task/1/prompt.reco",
        cause,
        "`tier0 serve`",
    );
}

#[test]
fn runs_that_are_complete_or_over_and_do_not_say_so() {
    let mut house = closed();
    let work = house.engine.runs.get_mut(&RUN).expect("it is there");
    work.run.state = RunState::Ending;
    let cause = "everything that was announced is here, and it is not closed";
    house.finds("closed", "stuck/run/1", cause, "`tier0 serve`");

    let mut house = House::new();
    house.end(0);
    let work = house.engine.runs.get_mut(&RUN).expect("it is there");
    assert!(matches!(work.run.state, RunState::Finished { .. }));
    work.run.state = RunState::Closed { at: house.now };
    let cause = "all its tasks have ended, and it is not finished";
    house.finds("finished", "stuck/run/1", cause, "`tier0 serve`");
}

#[test]
fn a_block_that_nothing_closes() {
    let mut house = House::new();
    house.lumi(1);
    house.ends_well();
    let block = house
        .engine
        .blocks
        .values()
        .next()
        .expect("it is published");
    let (BlockId(id), closes_at) = (block.id, block.closes_at);
    let timer = Timer::BlockAge(BlockId(id));
    house.cancel(timer);
    let key = format!("stuck/block/{id}");
    house.finds(
        "block",
        &key,
        "at most, and no timer is set",
        "`tier0 serve`",
    );
    house.engine.timers.set(closes_at, timer);
    house.lumi(2);
    house.is_over("block");
}

#[test]
fn what_is_overdue_and_nobody_looks() {
    let mut house = House::new();
    house.file(1);
    assert!(house.engine.runs[&RUN].looks_at.is_some());
    house.cancel(Timer::Overdue(RUN));
    let cause = "nobody looks any more whether something of it is overdue";
    house.finds("overdue", "stuck/run/1", cause, "`tier0 serve`");
}

#[test]
fn a_time_out_that_nobody_serves() {
    for (label, seconds, cause) in [
        ("to come", 100, "and no timer is set"),
        ("over", 12, "and nobody has said so"),
    ] {
        let completion = Completion {
            lumi_timeout: Some(Span::from_secs(seconds)),
            ..Completion::default()
        };
        let mut house = House::with(1, completion);
        house.file(1);
        house.cancel(Timer::Overdue(RUN));
        house
            .engine
            .runs
            .get_mut(&RUN)
            .expect("it is there")
            .looks_at = None;
        let remedy = "`tier0 run close 1 --stream Muons --lumis 1 --as here`";
        house.finds(label, "stuck/lumi/1/Muons/1", cause, remedy);
    }
}

#[test]
fn a_look_over_many_objects_is_made_in_slices() {
    let mut house = two_jobs();
    let job = house.engine.jobs[&house.job("sent")].clone();
    for id in 1_000_000..1_002_500 {
        let attempt = job.state.attempt();
        let mut done = job.clone();
        (done.id, done.state) = (JobId(id), JobState::Done { attempt });
        house.engine.jobs.insert(done.id, done);
    }
    // The last of all is ready and in no queue.
    let last = JobId(2_000_000);
    let mut ready = job.clone();
    ready.id = last;
    ready.state = JobState::Ready {
        attempt: job.state.attempt(),
        not_before: house.now,
    };
    house.engine.jobs.insert(last, ready);
    house.now = house.engine.timers.first(Timer::Stuck).expect("it is set");
    let mut slices = 0;
    while house
        .engine
        .timers
        .first(Timer::Stuck)
        .is_some_and(|at| at <= house.now)
    {
        house.step(Input::Tick);
        house.now = house.now + Span(1);
        slices += 1;
    }
    assert!((3..=4).contains(&slices), "{slices} slices");
    let key = format!("stuck/job/{last}");
    assert!(house.alarms.contains_key(&key), "{:?}", house.stuck());
}
