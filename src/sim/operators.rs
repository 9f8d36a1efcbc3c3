//! The modelled operators: valid and invalid questions at any moment, answered or refused, never
//! harmful; and, once the faults have ended, somebody who looks what waits for a person.
//!
//! In comes a world, out come orders. In a gentle seed only those are given that must not change
//! any result.

use crate::random::Random;
use crate::world::{Event, World};
use engine::{Configuration, Input};
use model::command::{Command, Declared, Intent, JobFilter, JobVerb, JobsAsked, Order, SplitInto};
use model::ids::{FileId, JobId, LumiNumber, RunNumber};
use model::job::{Job, JobState};
use model::names::{FileName, PipelineName, StreamName, TaskName, TaskPath};
use model::ruling::RulingKind;
use model::run::{Run, RunState, RunType};
use model::time::Span;
use model::wait::{Object, Wait, WaitKind};

/// How long somebody waits before they look again.
pub(crate) const ROUND: Span = Span::from_secs(30);
/// And no seldomer than so: who finds nothing to do goes round less and less often.
const ROUND_MAX: Span = Span::from_secs(600);
/// How likely it is, in thousandths, that somebody wants a job after all that was given up.
const WANTED: u64 = 700;
/// Jobs that are wanted after all, at most.
const WANTED_MAX: u32 = 4;

impl World {
    /// Now and then somebody asks for something.
    pub(crate) fn ask_something(&mut self) -> Result<(), String> {
        let (now, turn, rate) = (self.now, self.turns, self.faults.command);
        if self.healed {
            return Ok(());
        }
        let Some(key) = self.chance.at("command", now, turn, rate) else {
            return Ok(());
        };
        let random = &mut self.chance.random("command", key);
        if random.below(8) == 0 {
            return self.reload(random);
        }
        let command = match random.below(4) {
            0 => Some(self.about_jobs(random)),
            1 => self.about_a_task(random),
            2 => self.about_constants(random),
            _ => self.about_a_run(random),
        };
        let Some(command) = command else {
            return Ok(());
        };
        let mut order = Order::new(command, "an operator");
        match random.below(10) {
            0 => {
                order.intent = Intent::Preview;
                self.story.count("asked only what would be");
            }
            1 => {
                order.expect_count = Some(random.below(4));
                self.story.count("asked with a count");
            }
            2 => self.story.count("asked without a reason"),
            _ => "it looks right".clone_into(&mut order.reason),
        }
        self.ask(order)
    }

    /// Another configuration is taken, perhaps one of before; all stay known, as a restart would
    /// read those that runs have from their rows.
    fn reload(&mut self, random: &mut Random) -> Result<(), String> {
        if random.below(4) == 0 {
            self.story.count("wrong configuration refused");
            return self.hand_over(Err("no key is called \"nmae\"".to_owned()));
        }
        let at = random.below(self.setup.earlier.len() as u64 + 1) as usize;
        self.story.count("configuration reloaded");
        let earlier = &mut self.setup.earlier;
        match earlier.get_mut(at) {
            Some(other) => std::mem::swap(other, &mut self.setup.configuration),
            None => self.story.count("configuration reloaded unchanged"),
        }
        let configuration = self.setup.configuration.clone();
        self.story
            .tell(self.now, || format!("configuration {}", configuration.hash));
        self.hand_over(Ok(Box::new(configuration)))
    }

    fn hand_over(
        &mut self,
        configuration: Result<Box<Configuration>, String>,
    ) -> Result<(), String> {
        let ticket = self.turns;
        self.step(Input::Reconfigured {
            ticket,
            order: Order::new(Command::ConfigReload, "somebody"),
            configuration,
        })
    }

    fn some_run(&self, random: &mut Random) -> Option<Run> {
        let known: Vec<&Run> = self.store.tables.runs.values().collect();
        random.pick(&known).map(|run| (*run).clone())
    }

    /// Something is to happen to one job, or to all that meet a filter; perhaps to none.
    fn about_jobs(&mut self, random: &mut Random) -> Command {
        let harsh = self.faults.harsh;
        let (verb, what) = match random.below(if harsh { 12 } else { 7 }) {
            0 | 10 | 11 => (JobVerb::Retry, "asked to retry jobs"),
            1 | 2 => (JobVerb::Park, "asked to park jobs"),
            3 => (JobVerb::Release, "asked to release jobs"),
            4 | 5 => (JobVerb::Split(SplitInto::Halves), "asked to halve jobs"),
            6 => (JobVerb::Split(SplitInto::Singles), "asked to split jobs"),
            _ => (JobVerb::Cancel, "asked to cancel jobs"),
        };
        self.story.count(what);
        if random.below(3) == 0 {
            let run = self.some_run(random).map(|run| run.number);
            let states = [
                None,
                Some("failed"),
                Some("ready"),
                Some("running"),
                Some("no such"),
            ];
            let state = states[random.below(5) as usize].map(str::to_owned);
            let tasks = [
                None,
                Some("packs"),
                Some("express.express"),
                Some("no such"),
            ];
            let task = tasks[random.below(4) as usize].map(str::to_owned);
            let which = JobFilter {
                run,
                state,
                task,
                ..JobFilter::default()
            };
            return Command::Jobs(JobsAsked { verb, which });
        }
        let mut jobs = self.jobs_that(|job| fits(verb, job));
        let stopped = self.jobs_that(|job| fits(verb, job) && is_stopped(&job.state));
        match random.below(4) {
            0 => jobs = self.jobs_that(|_| true),
            1 | 2 if !stopped.is_empty() => jobs = stopped,
            // What is tried again after everything has ended is rare by chance.
            3 if verb == JobVerb::Retry => jobs.retain(|job| self.has_finished(*job)),
            _ => {}
        }
        let job = random.pick(&jobs).copied().unwrap_or(JobId(7));
        Command::Jobs(JobsAsked::one(verb, job))
    }

    fn has_finished(&self, job: JobId) -> bool {
        let tables = &self.store.tables;
        let run = tables
            .jobs
            .get(&job)
            .and_then(|job| tables.runs.get(&job.run));
        run.is_some_and(|run| matches!(run.state, RunState::Finished { .. }))
    }

    fn jobs_that(&self, is_meant: impl Fn(&Job) -> bool) -> Vec<JobId> {
        let jobs = self.store.tables.jobs.values();
        jobs.filter(|job| is_meant(job)).map(|job| job.id).collect()
    }

    /// A ruling on the work of a task.
    fn about_a_task(&mut self, random: &mut Random) -> Option<Command> {
        if let Some(run) = self.verdict_to_look_at()
            && random.per_mille(500)
        {
            self.story.count("looked at a verdict");
            return Some(Command::Rule {
                task: TaskPath::new("dqm", "harvest"),
                run: Some(run),
                kind: RulingKind::Accepted,
            });
        }
        let tasks = [
            ("prompt", "reco"),
            ("calibration", "harvest"),
            ("express", "reco"),
            ("monitor", "look"),
            ("no", "such"),
        ];
        let (pipeline, task) = tasks[random.below(5) as usize];
        let run = match random.below(3) {
            0 => None,
            _ => Some(self.some_run(random)?.number),
        };
        let kind = match random.below(if self.faults.harsh { 3 } else { 2 }) {
            0 => RulingKind::Held,
            1 => RulingKind::Lifted,
            _ => RulingKind::Accepted,
        };
        self.story.count(match kind {
            RulingKind::Held => "asked to hold a task",
            RulingKind::Lifted => "asked to let a task go",
            RulingKind::Accepted | RulingKind::Seen => "asked to accept a task",
        });
        let task = TaskPath {
            pipeline: PipelineName::new(pipeline),
            task: TaskName::new(task),
        };
        Some(Command::Rule { task, run, kind })
    }

    /// A run whose verdict asks somebody to look.
    fn verdict_to_look_at(&self) -> Option<RunNumber> {
        let alarms = self.store.tables.alarms.values();
        let mut standing = alarms.filter(|alarm| alarm.cleared_at.is_none());
        standing.find_map(|alarm| {
            let (kind, run) = alarm.key.split_once('/')?;
            let asks = kind.starts_with("verdict-");
            run.parse().ok().filter(|_| asks).map(RunNumber)
        })
    }

    fn about_a_run(&mut self, random: &mut Random) -> Option<Command> {
        if !self.faults.harsh || !random.per_mille(self.faults.early_stop) {
            return self.about_a_run_without_harm(random);
        }
        let run = self.some_run(random)?;
        let number = run.number;
        let last_lumi = random.below(6) as u32;
        let stream = ["Muons", "Tracks", "no such"][random.below(3) as usize];
        let stream = StreamName::new(stream);
        let lumi = LumiNumber(random.below(5) as u32);
        Some(match random.below(5) {
            0 => {
                self.story.count("asked to stop a run early");
                Command::RunStop {
                    run: number,
                    last_lumi,
                }
            }
            1 | 2 => {
                self.story.count("asked to close a run");
                let declared = Declared::ALL[random.below(3) as usize];
                let whole = random.per_mille(500);
                Command::RunClose {
                    run: number,
                    stream: (!whole).then_some(stream),
                    lumis: (!whole).then_some((lumi, LumiNumber(lumi.0 + 1))),
                    declared,
                }
            }
            3 => {
                self.story.count("asked to reopen a run");
                Command::RunReopen { run: number }
            }
            _ => {
                self.story.count("declared a file lost");
                let plan = self
                    .detector
                    .runs
                    .iter()
                    .find(|plan| plan.number == number)?;
                let own: Vec<FileName> = plan.files.iter().map(|(name, _)| name.clone()).collect();
                let name = random.pick(&own)?.clone();
                Command::FileDeclareLost {
                    run: number,
                    stream: Some(stream),
                    lumis: (lumi, lumi),
                    names: vec![name],
                    events: random.below(50),
                }
            }
        })
    }

    /// What is true already, or of nothing that is known.
    fn about_a_run_without_harm(&mut self, random: &mut Random) -> Option<Command> {
        Some(match random.below(4) {
            0 => {
                self.story.count("asked to stop an unknown run");
                let (run, last_lumi) = (RunNumber(u32::MAX), 3);
                Command::RunStop { run, last_lumi }
            }
            1 => {
                self.story.count("asked to reopen an unknown run");
                Command::RunReopen {
                    run: RunNumber(u32::MAX),
                }
            }
            2 => {
                self.story.count("asked the engine to read a configuration");
                Command::ConfigReload
            }
            _ => {
                self.story.count("asked to start a known run");
                let run = self.some_run(random)?;
                let run_type = if random.per_mille(500) {
                    run.run_type
                } else {
                    RunType::Test
                };
                Command::RunStart {
                    run: run.number,
                    run_type,
                    label: run.label,
                }
            }
        })
    }

    /// A source that nobody brings back is declared lost.
    fn give_up(&mut self, file: FileId) -> Result<(), String> {
        let arrival = &self.shadow.files[&file].arrival;
        let command = Command::FileDeclareLost {
            run: arrival.run,
            stream: Some(arrival.stream.clone()),
            lumis: (arrival.lumi, arrival.lumi),
            names: vec![arrival.name.clone()],
            events: 0,
        };
        let mut order = Order::new(command, "an operator");
        "nobody has it any more".clone_into(&mut order.reason);
        self.story.count("a lost source was given up");
        let ticket = self.turns;
        self.step(Input::Asked { ticket, order })
    }

    /// Somebody ends what only a person ends, until there is nothing left of it.
    pub(crate) fn go_round(&mut self) -> Result<(), String> {
        let waits = self.engine.waits(self.now);
        let remedies: Vec<Command> = waits.iter().filter_map(|wait| remedy(self, wait)).collect();
        for command in &remedies {
            self.story.count("a person ended a wait");
            let mut order = Order::new(command.clone(), "an operator");
            "the faults are over".clone_into(&mut order.reason);
            self.ask(order)?;
        }
        let settles = self.settle_what_is_held()?;
        let accepts = self.accept_what_is_asked()? || settles;
        let (lost, goes_on) = self.sources_left();
        for file in lost {
            self.give_up(file)?;
        }
        let unfinished = self
            .kept()
            .runs
            .values()
            .any(|run| !run.state.is_finished());
        let mut to_come = self.events.values();
        let comes = to_come.any(|(_, event)| matches!(event, Event::Seen(..)));
        let goes_on = unfinished || comes || goes_on || accepts || !remedies.is_empty();
        if accepts || comes || !remedies.is_empty() {
            self.round = ROUND;
        }
        if goes_on || self.want_after_all()? {
            self.at(self.now + self.round, Event::Round);
            self.round = Span(2 * self.round.0).min(ROUND_MAX);
        }
        Ok(())
    }

    /// Everything is done, and somebody wants a job after all that was given up: its run, which has
    /// finished, is taken up again.
    fn want_after_all(&mut self) -> Result<bool, String> {
        let jobs = self.kept().jobs.values();
        let given_up = jobs.filter(|job| fits(JobVerb::Retry, job));
        let given_up: Vec<JobId> = given_up.map(|job| job.id).collect();
        if self.wanted == WANTED_MAX || given_up.is_empty() {
            return Ok(false);
        }
        let Some(key) = self.chance.at("wanted", self.now, self.turns, WANTED) else {
            return Ok(false);
        };
        self.wanted += 1;
        self.story.count("wanted a job after all");
        let mut random = self.chance.random("wanted", key);
        let job = random.pick(&given_up).copied().unwrap_or(JobId(7));
        let asked = JobsAsked::one(JobVerb::Retry, job);
        // What follows has as much time as what came before.
        self.healed_at = self.now;
        self.ask(Order::new(Command::Jobs(asked), "an operator"))?;
        Ok(true)
    }
}

/// Whether a verb is for jobs like this one.
fn fits(verb: JobVerb, job: &Job) -> bool {
    let state = &job.state;
    match verb {
        JobVerb::Retry => matches!(state, JobState::Failed { .. } | JobState::Cancelled { .. }),
        JobVerb::Release => matches!(state, JobState::Ready { .. } | JobState::Parked { .. }),
        JobVerb::Split(_) => {
            let waits = matches!(state, JobState::Ready { .. } | JobState::Sent { .. });
            job.consumed > 1 && (waits || is_stopped(state))
        }
        JobVerb::Park => !state.is_terminal(),
        JobVerb::Cancel => !matches!(state, JobState::Done { .. }),
    }
}

/// Whether nothing comes of a job by itself, although it is not done.
fn is_stopped(state: &JobState) -> bool {
    matches!(
        state,
        JobState::Failed { .. } | JobState::Parked { .. } | JobState::Cancelled { .. }
    )
}

/// What a person does about a wait that ends in no other way.
fn remedy(world: &World, wait: &Wait) -> Option<Command> {
    let run = wait.run;
    match (&wait.object, wait.kind) {
        (Object::Job(job), WaitKind::Parked) => {
            Some(Command::Jobs(JobsAsked::one(JobVerb::Release, *job)))
        }
        (Object::Task(_, task), WaitKind::Held | WaitKind::Approval) => {
            let known = world.kept().rulings.get(&(task.clone(), Some(run)));
            let kind = match (wait.kind, known) {
                (WaitKind::Held, Some(_)) => RulingKind::Lifted,
                (WaitKind::Held, None) => {
                    return Some(Command::Rule {
                        task: task.clone(),
                        run: None,
                        kind: RulingKind::Lifted,
                    });
                }
                _ => RulingKind::Accepted,
            };
            Some(Command::Rule {
                task: task.clone(),
                run: Some(run),
                kind,
            })
        }
        (_, WaitKind::LateFiles) if world.kept().is_at_work(run) => {
            Some(Command::RunReopen { run })
        }
        (Object::Lumi(_, stream, lumi), WaitKind::LumiDisputed) => Some(Command::RunClose {
            run,
            stream: Some(stream.clone()),
            lumis: Some((*lumi, *lumi)),
            declared: Declared::Here,
        }),
        (
            _,
            WaitKind::EndDisputed
            | WaitKind::EndOfRun
            | WaitKind::LumiFiles
            | WaitKind::LumiRecord
            | WaitKind::DaqInstance
            | WaitKind::FirstFile,
        ) if world.declared.contains(&run) || wait.kind == WaitKind::EndDisputed => {
            Some(Command::RunClose {
                run,
                stream: None,
                lumis: None,
                declared: Declared::Lost,
            })
        }
        _ => None,
    }
}
