//! The modelled operators: valid and invalid questions at any moment, answered or refused, never
//! harmful.

use crate::world::World;
use engine::{Configuration, Input};
use model::command::{Command, JobVerb, JobsAsked, Order};
use model::ids::{JobId, RunNumber};
use model::run::RunType;

impl World {
    /// Now and then somebody asks for something.
    pub(crate) fn ask_something(&mut self) -> Result<(), String> {
        if self.healed || !self.random.per_mille(self.faults.command) {
            return Ok(());
        }
        if self.random.below(6) == 0 {
            return self.reload();
        }
        let Some(command) = self.command() else {
            return Ok(());
        };
        self.story.tell(self.now, || format!("asked {command:?}"));
        let ticket = self.turns;
        let order = Order::new(command, "an operator");
        self.step(Input::Asked { ticket, order })
    }

    /// Another configuration is taken, perhaps one of before; all stay known, as a restart would
    /// read those that runs have from their rows.
    fn reload(&mut self) -> Result<(), String> {
        if self.random.below(4) == 0 {
            self.story.count("wrong configuration refused");
            return self.hand_over(Err("no key is called \"nmae\"".to_owned()));
        }
        let at = self.random.below(self.setup.earlier.len() as u64 + 1) as usize;
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

    fn command(&mut self) -> Option<Command> {
        let known: Vec<_> = self.store.tables.runs.values().collect();
        let run = self
            .random
            .pick(&known)
            .map(|run| (run.number, run.run_type, run.label));
        match self.random.below(5) {
            0 => {
                let failed = self.store.tables.failed_jobs();
                let job = *self.random.pick(&failed)?;
                self.story.count("asked to retry a failed job");
                Some(Command::Jobs(JobsAsked::one(JobVerb::Retry, job)))
            }
            1 => {
                self.story.count("asked to retry some job");
                let jobs: Vec<JobId> = self.store.tables.jobs.keys().copied().collect();
                let job = self.random.pick(&jobs).copied().unwrap_or(JobId(7));
                Some(Command::Jobs(JobsAsked::one(JobVerb::Retry, job)))
            }
            2 => {
                self.story.count("asked to start a known run");
                let (run, run_type, label) = run?;
                let run_type = if self.random.per_mille(500) {
                    run_type
                } else {
                    RunType::Test
                };
                Some(Command::RunStart {
                    run,
                    run_type,
                    label,
                })
            }
            3 => {
                self.story.count("asked to stop an unknown run");
                let (run, last_lumi) = (RunNumber(u32::MAX), 3);
                Some(Command::RunStop { run, last_lumi })
            }
            _ => {
                let (run, ..) = run?;
                let early = self.faults.early_stop;
                if !self.random.per_mille(early) {
                    return None;
                }
                self.story.count("asked to stop a run early");
                let last_lumi = self.random.below(6) as u32;
                let mut plans = self.detector.runs.iter();
                if plans.any(|plan| plan.number == run && plan.last_lumi < last_lumi) {
                    self.stopped_long.insert(run);
                }
                Some(Command::RunStop { run, last_lumi })
            }
        }
    }
}
