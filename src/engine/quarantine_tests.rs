//! A broken invariant keeps its run from going on, and no other.

use super::*;
use crate::{Configuration, Input, Setup};
use model::arrival::{Arrival, Checksum, LumiEnd, RunEnd, Seen};
use model::command::{Command, Order, Reply};
use model::ids::{AgentNumber, Epoch, LumiNumber, Token};
use model::job::{ExitClass, Slice};
use model::lumi::Expected;
use model::names::DataLabel;
use model::run::{RunState, RunType};
use model::units::{Bytes, Events};
use model::wait::Object;
use model::witness::{Instance, Source};
use model::work::{AttemptNews, AttemptReport, AttemptSpec, ReportedOutput, StoredOutput};
use pipelines::variants::Definitions;
use std::collections::BTreeMap;

/// A job a file, and a merge that does not end before its run.
const LOOK: &str = r#"
[pipeline]
name = "p"
trigger = { stream = "Muons" }
[[task]]
name = "look"
program = ["x"]
split = { by = "file", files_per_job = 1 }
outputs = { LOOK = "json" }
"#;

struct World {
    engine: Engine,
    now: Moment,
    /// Programs under way.
    started: Vec<AttemptSpec>,
    said: Vec<String>,
}

impl World {
    fn new() -> Self {
        let definitions = pipelines::link::load(&[("p.toml", LOOK)]).expect("it is right");
        let setup = Setup {
            completions: BTreeMap::new(),
            agent: AgentNumber(0),
            epoch: Epoch(1),
            configuration: Configuration {
                definitions: Definitions::fixed(definitions),
                ..Configuration::fixed("birth", Vec::new())
            },
            earlier: Vec::new(),
            cores: 8,
            archive_after: None,
            default_run_type: RunType::Physics,
            release: None,
        };
        Self {
            engine: Engine::new(setup, None),
            now: Moment(1),
            started: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Takes inputs as one batch; `meddle` comes between them and its end.
    fn batch(&mut self, inputs: Vec<Input>, meddle: impl FnOnce(&mut Engine)) {
        let mut effects = Vec::new();
        for input in inputs {
            self.engine.step(self.now, input, &mut effects);
        }
        meddle(&mut self.engine);
        self.engine.step(self.now, Input::Tick, &mut effects);
        for effect in effects {
            match effect {
                Effect::Start(spec) => {
                    self.said.push(format!("start of {}", spec.run));
                    self.started.push(spec);
                }
                Effect::Record(Fact::AlarmIs(alarm)) if alarm.cleared_at.is_none() => {
                    self.said.push(format!("alarm {}", alarm.key));
                }
                Effect::Record(Fact::MessageIs(message)) => {
                    self.said
                        .push(format!("{} of {}", message.kind, message.run));
                }
                Effect::Reply { reply, .. } => match reply {
                    Reply::Done(text) | Reply::Refused(text) => self.said.push(text),
                    other => self.said.push(format!("{other:?}")),
                },
                _ => {}
            }
        }
    }

    /// Runs of which programs were started since the last question.
    fn starts(&mut self) -> Vec<String> {
        let mut told = self.told();
        told.retain(|said| said.starts_with("start of"));
        told
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    /// All programs under way end well; their outputs are in place, and no tick has come yet.
    fn all_end(&mut self) -> Vec<Input> {
        let mut inputs = Vec::new();
        for spec in std::mem::take(&mut self.started) {
            let (token, mut effects) = (spec.token, Vec::new());
            let news = AttemptNews::Ended(Box::new(self.report(&spec)));
            self.engine
                .step(self.now, Input::News { token, news }, &mut effects);
            inputs.extend(effects.into_iter().filter_map(|effect| match effect {
                Effect::Store(plan) => {
                    let outputs = plan.outputs.iter().map(|output| StoredOutput {
                        name: output.name.clone(),
                        bytes: Bytes(10),
                        adler32: 3,
                    });
                    let result = Ok(outputs.collect());
                    Some(Input::Stored { token, result })
                }
                _ => None,
            }));
        }
        inputs
    }

    fn report(&self, spec: &AttemptSpec) -> AttemptReport {
        let outputs = spec.plan.outputs.iter().map(|wanted| ReportedOutput {
            label: wanted.label.clone(),
            path: wanted.path.clone(),
            bytes: None,
            adler32: None,
            events: Events(10),
            lumis: Vec::new(),
        });
        AttemptReport {
            outputs: outputs.collect(),
            ..AttemptReport::failed(ExitClass::Ok, String::new(), self.now, self.now)
        }
    }

    fn state(&self, run: u32) -> &'static str {
        self.engine.runs[&RunNumber(run)].run.state.word()
    }
}

fn file(run: u32, lumi: u32) -> Input {
    Input::Seen(Seen::File(Arrival {
        profile: "spool".into(),
        name: format!("r{run}l{lumi}").as_str().into(),
        run: RunNumber(run),
        lumi: LumiNumber(lumi),
        stream: "Muons".into(),
        label: DataLabel::Real,
        bytes: Bytes(100),
        inode: 1,
        mtime: Moment(1),
        counts: None,
        checksum: None::<Checksum>,
        empty: false,
        seen_at: Moment(1),
    }))
}

fn ends(run: u32, last_lumi: u32) -> Vec<Input> {
    let (run, label) = (RunNumber(run), DataLabel::Real);
    let lumis = (1..=last_lumi).map(|lumi| {
        Input::Seen(Seen::LumiEnd(LumiEnd {
            run,
            lumi: LumiNumber(lumi),
            stream: None,
            expected: Expected::Files(1),
            source: Source::Record,
            instance: Instance::ONLY,
            label,
        }))
    });
    let end = Input::Seen(Seen::RunEnd(RunEnd {
        run,
        last_lumi,
        source: Source::Record,
        instance: Instance::ONLY,
        events: None,
        label,
    }));
    lumis.chain([end]).collect()
}

fn reopen(run: u32) -> Input {
    let run = RunNumber(run);
    let mut order = Order::new(Command::RunReopen { run }, "shifter");
    "it was understood".clone_into(&mut order.reason);
    Input::Asked { ticket: 1, order }
}

#[test]
fn a_broken_relation_stops_its_run_with_an_alarm_and_no_other() {
    let mut world = World::new();
    world.batch(vec![file(1, 1), file(2, 1)], |_| {});
    assert_eq!(world.starts(), ["start of 1", "start of 2"]);
    let of_first = |spec: &&AttemptSpec| spec.run == RunNumber(1);
    let Token { job, .. } = world.started.iter().find(of_first).expect("both run").token;

    // The winner of run 1 is forgotten behind the engine's back.
    let inputs = world.all_end();
    let mut was = None;
    world.batch(inputs, |engine| {
        let state = JobState::Parked {
            attempt: model::ids::AttemptNumber(1),
            reason: model::job::ParkReason::Person,
        };
        let job = engine.jobs.get_mut(&job).expect("it is known");
        was = Some(std::mem::replace(&mut job.state, state));
    });
    let told = world.told();
    assert!(
        told.contains(&"alarm quarantine/run-1".to_owned()),
        "{told:?}"
    );
    assert!(!told.iter().any(|said| said.contains("run-2")), "{told:?}");
    let alarm = &world.engine.alarms["quarantine/run-1"];
    for part in [
        "I3 does not hold in run 1: output",
        "is not of a winning attempt",
        "no job of it is started",
        "all other runs go on",
        "`tier0 run reopen 1`",
    ] {
        assert!(alarm.text.contains(part), "lacks {part:?}: {}", alarm.text);
    }
    let quarantined = &world.engine.runs[&RunNumber(1)].run.quarantined;
    assert!(
        quarantined
            .as_ref()
            .is_some_and(|why| why.starts_with("I3: "))
    );
    let job = world.engine.jobs.get_mut(&job).expect("it is known");
    job.state = was.expect("it was replaced");

    // What comes is taken in; only the other run works on it, and ends.
    let mut inputs = vec![file(1, 2), file(2, 2)];
    inputs.extend(ends(1, 2));
    inputs.extend(ends(2, 2));
    world.batch(inputs, |_| {});
    assert_eq!(world.starts(), ["start of 2"]);
    let why = world.engine.why(world.now, &Object::Run(RunNumber(1)));
    let waits = why.expect("it is known").waits;
    assert_eq!(waits[0].kind, WaitKind::Quarantine);
    assert_eq!(waits[0].remedy, "tier0 run reopen 1 lets it go on");
    let inputs = world.all_end();
    world.batch(inputs, |_| {});
    assert_eq!((world.state(1), world.state(2)), ("closed", "finished"));
    world.told();

    // A person lets it go on.
    world.batch(vec![reopen(1)], |_| {});
    let told = world.told();
    assert!(
        told.iter().any(|said| said.contains("its quarantine ends")),
        "{told:?}"
    );
    assert!(told.contains(&"start of 1".to_owned()), "{told:?}");
    assert!(!world.engine.alarms.contains_key("quarantine/run-1"));
    let inputs = world.all_end();
    world.batch(inputs, |_| {});
    assert_eq!(world.state(1), "finished");
    assert!(matches!(
        world.engine.runs[&RunNumber(1)].run.state,
        RunState::Finished { .. }
    ));
    assert_eq!(world.engine.check(), []);
}

#[test]
fn what_ends_in_quarantine_is_published_when_a_person_lets_the_run_go_on() {
    let mut world = World::new();
    world.batch(vec![file(1, 1), file(1, 2)], |_| {});
    let mut effects = Vec::new();
    let broken = Broken {
        invariant: "I3",
        what: "a planted mistake".to_owned(),
    };
    let number = RunNumber(1);
    world
        .engine
        .put_in_quarantine(world.now, number, &broken, &mut effects);
    world.told();
    let inputs = world.all_end();
    world.batch(inputs, |_| {});
    world.batch(ends(1, 2), |_| {});
    // The programs have ended, and so has the run; nothing was published or announced.
    assert_eq!(world.state(1), "finished");
    let told = world.told();
    let public = |said: &&String| said.contains("published") || said.contains("block");
    assert_eq!(told.iter().filter(public).count(), 0, "{told:?}");
    assert!(
        world
            .engine
            .outputs
            .values()
            .all(|output| output.block.is_none())
    );
    world.batch(vec![reopen(1)], |_| {});
    let told = world.told();
    let published = told.iter().filter(|said| *said == "output.published of 1");
    assert_eq!(published.count(), 2, "{told:?}");
    assert!(told.contains(&"block.closed of 1".to_owned()), "{told:?}");
    assert_eq!(world.engine.check(), []);
}

#[test]
fn a_look_at_everything_finds_what_stands_twice_nowhere_or_in_the_same_part() {
    let mut world = World::new();
    world.batch(vec![file(1, 1), file(1, 2)], |_| {});
    let inputs = world.all_end();
    world.batch(inputs, |_| {});
    assert_eq!(world.engine.check(), []);
    let jobs: Vec<JobId> = world.engine.jobs.keys().copied().collect();
    let [one, other] = jobs[..] else {
        panic!("a job a file: {jobs:?}");
    };
    // Behind the engine's back the second job gets the first one's file, as a whole or in parts.
    let first = world.engine.jobs[&one].inputs[0];
    let mut found = |slices: [Option<(u64, u64)>; 2]| -> Vec<String> {
        for (job, slice) in [one, other].into_iter().zip(slices) {
            let job = world.engine.jobs.get_mut(&job).expect("it is known");
            job.inputs = vec![first];
            job.slice = slice.map(|(first, last)| Slice::Events { first, last });
        }
        let broken = world.engine.check().into_iter();
        let of_inputs = broken.filter(|broken| broken.invariant == "I4");
        of_inputs.map(|broken| broken.what).collect()
    };
    let check = |found: &[String], several: Option<&str>, twice: bool| {
        let told = |words: &str| found.iter().filter(|what| what.contains(words)).count();
        assert_eq!(told("stands nowhere in the work of p.look"), 1, "{found:?}");
        assert_eq!(told("is twice in /Muons/"), usize::from(twice), "{found:?}");
        let taken = usize::from(several.is_some());
        assert_eq!(told("stands several times"), taken, "{found:?}");
        assert_eq!(told(several.unwrap_or("nowhere")), 1, "{found:?}");
    };
    check(&found([None, None]), Some("[Whole, Whole]"), true);
    check(&found([None, Some((1, 5))]), Some("[Whole, Part(1)]"), true);
    check(
        &found([Some((1, 5)), Some((1, 3))]),
        Some("[Part(1), Part(1)]"),
        true,
    );
    check(&found([Some((1, 5)), Some((5, 9))]), None, true);
    check(&found([Some((1, 5)), Some((6, 9))]), None, false);
}
