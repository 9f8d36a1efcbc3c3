//! Which settings a run works with: those in force when it opened, for as long as it lives.
//!
//! In come configurations, the one that the engine was born with and whatever replaces it; out
//! come stretches of the engine's list of tasks. The list only grows: a run's tasks keep their
//! places, so nothing that runs is touched when a new configuration is taken. Which stretch a run
//! has follows from its row (the hash) and its number (the variant), so a restart finds it again.

use crate::setup::{Configuration, TaskPlan, plan_tasks};
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::command::{Order, Reply};
use model::configuration::ConfigurationText;
use model::fact::Fact;
use model::ids::RunNumber;
use model::job::Job;
use model::names::TaskPath;
use model::run::RunState;
use model::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The alarm that stands while the text last read was wrong.
const REFUSED_ALARM: &str = "config-reload";
/// Mistakes beyond this are in the answer, not in the alarm: rows stay small.
const MISTAKES_BYTES_MAX: usize = 2_000;

/// All configurations that somebody works with, by hash.
#[derive(Debug)]
pub(crate) struct Configurations {
    known: BTreeMap<String, Configuration>,
    /// The one that new runs get.
    pub(crate) current: String,
    /// Those that are on record.
    pub(crate) recorded: BTreeSet<String>,
    /// Where the tasks of its newest variant stand in the list.
    in_force: Range<usize>,
    /// Where the tasks of a variant stand in the list.
    sets: BTreeMap<(String, RunNumber), Range<usize>>,
}

impl Configurations {
    pub(crate) fn new(current: Configuration, earlier: Vec<Configuration>) -> Self {
        let hash = current.hash.clone();
        let all = earlier.into_iter().chain([current]);
        Self {
            known: all.map(|one| (one.hash.clone(), one)).collect(),
            current: hash,
            recorded: BTreeSet::new(),
            in_force: 0..0,
            sets: BTreeMap::new(),
        }
    }

    /// The one a run was opened with. A store from before configurations were kept knows no more
    /// than the hash: its runs go on with what is in force.
    fn of_run(&self, hash: &str) -> &Configuration {
        let own = self.known.get(hash);
        own.or_else(|| self.known.get(&self.current))
            .expect("the one in force is known")
    }

    /// Whether the one with this hash can still be worked with.
    pub(crate) fn knows(&self, hash: &str) -> bool {
        self.known.contains_key(hash)
    }

    /// The tasks of a run, put on the list if no run had them before.
    pub(crate) fn plan(
        &mut self,
        plans: &mut Vec<TaskPlan>,
        hash: &str,
        run: RunNumber,
    ) -> Range<usize> {
        let configuration = self.of_run(hash);
        let definitions = &configuration.definitions;
        let key = (configuration.hash.clone(), definitions.variant(run));
        if let Some(range) = self.sets.get(&key) {
            return range.clone();
        }
        let first = plans.len();
        plans.extend(plan_tasks(definitions.resolve(run), first));
        let range = first..plans.len();
        self.sets.insert(key, range.clone());
        range
    }

    /// Puts another one in force.
    fn replace(&mut self, configuration: Configuration) {
        self.current.clone_from(&configuration.hash);
        let known = self.known.entry(configuration.hash.clone());
        known.or_insert(configuration);
    }
}

impl Engine {
    /// Puts the tasks that new runs get on the list.
    pub(crate) fn plan_in_force(&mut self) {
        let configurations = &mut self.configurations;
        let hash = configurations.current.clone();
        let newest = RunNumber(u32::MAX);
        configurations.in_force = configurations.plan(&mut self.plans, &hash, newest);
    }

    /// The tasks that new runs get, where that depends on the run the newest get.
    pub(crate) fn plans_in_force(&self) -> &[TaskPlan] {
        &self.plans[self.configurations.in_force.clone()]
    }

    /// Takes a configuration as a whole or not at all: new runs get it, those that are open keep
    /// theirs. One that is wrong leaves an alarm until a right one comes.
    pub(crate) fn reconfigure(
        &mut self,
        now: Moment,
        ticket: u64,
        order: &Order,
        configuration: Result<Box<Configuration>, String>,
        effects: &mut Vec<Effect>,
    ) {
        let reply = match configuration {
            Ok(configuration) => {
                self.clear_alarm(now, REFUSED_ALARM, effects);
                Reply::Done(self.take_configuration(now, order, *configuration, effects))
            }
            Err(mistakes) => {
                let shown = mistakes.floor_char_boundary(MISTAKES_BYTES_MAX);
                let text = format!(
                    "The configuration was not taken; the one before stays in force. Mend it and \
                     reload it again; `tier0 check` tells the same.\n{}",
                    &mistakes[..shown]
                );
                let severity = Severity::Medium;
                self.clear_alarm(now, REFUSED_ALARM, effects);
                self.alarm(now, REFUSED_ALARM.to_owned(), severity, text, effects);
                Reply::Refused(mistakes)
            }
        };
        effects.push(Effect::Reply { ticket, reply });
    }

    /// Puts a configuration in force; says what follows.
    fn take_configuration(
        &mut self,
        now: Moment,
        order: &Order,
        configuration: Configuration,
        effects: &mut Vec<Effect>,
    ) -> String {
        let hash = configuration.hash.clone();
        let before = self.configurations.current.clone();
        if hash == before {
            return format!("configuration {hash} is in force already; nothing of it has changed");
        }
        self.configurations.replace(configuration);
        self.plan_in_force();
        self.record_configuration(now, effects);
        let object = "configuration".to_owned();
        self.audit(now, order, object, before, hash.clone(), effects);
        let others = self.runs.values().filter(|work| {
            let finished = matches!(work.run.state, RunState::Finished { .. });
            !finished && work.run.config_hash != hash
        });
        let kept = match others.count() {
            0 => "no run is at work with another one".to_owned(),
            1 => "1 run at work keeps its own".to_owned(),
            more => format!("{more} runs at work keep their own"),
        };
        format!("runs that open from now on get configuration {hash}; {kept}")
    }

    /// Writes the configuration in force down, unless that was done.
    pub(crate) fn record_configuration(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let configurations = &mut self.configurations;
        let hash = configurations.current.clone();
        if !configurations.recorded.insert(hash.clone()) {
            return;
        }
        let row = ConfigurationText {
            text: configurations.of_run(&hash).text.clone(),
            hash,
            taken_at: now,
        };
        effects.push(Effect::Record(Fact::ConfigurationIs(row)));
    }

    /// The configuration that new runs get.
    pub fn configuration(&self) -> &str {
        &self.configurations.current
    }

    /// Where a task of a run stands in the list; none if the run has no such task.
    pub(crate) fn plan_at(&self, run: RunNumber, path: &TaskPath) -> Option<usize> {
        let mut range = self.runs.get(&run)?.plans.clone();
        // Names of tasks differ sooner than those of pipelines, which several tasks have.
        range.find(|index| {
            let own = &self.plans[*index].path;
            own.task == path.task && own.pipeline == path.pipeline
        })
    }

    /// Where a job's task stands in the list; none if its run has no such task.
    pub(crate) fn plan_of(&self, job: &Job) -> Option<usize> {
        self.plan_at(job.run, &job.task)
    }
}
