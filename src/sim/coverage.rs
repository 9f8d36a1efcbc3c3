//! What a seed has met, besides the events that its story counts: steps of the state machines, and
//! how often each invariant was about something.
//!
//! In come facts before they are applied and the engine after each batch of inputs, out come
//! counts. A campaign that never met a fault or a step has proved nothing about it.

use crate::Met;
use crate::tables::Tables;
use engine::Engine;
use model::dataset::{BlockState, Closing};
use model::fact::Fact;
use model::ids::{LumiNumber, RunNumber};
use model::lumi::LumiState;
use model::names::StreamName;
use model::source::SourceState;
use std::collections::{BTreeMap, BTreeSet};

/// A machine, from, to.
pub(crate) type Step = (&'static str, &'static str, &'static str);
/// A state before there is one.
const NEW: &str = "new";

/// Alarms by which verdicts act.
const VERDICT_ALARMS: [&str; 4] = [
    "verdict-hold",
    "verdict-calibrate",
    "verdict-page",
    "verdict-unheeded",
];

/// Counts of one seed.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) steps: BTreeMap<Step, u64>,
    pub(crate) premises: BTreeMap<&'static str, u64>,
    lumis: BTreeMap<(RunNumber, StreamName, LumiNumber), LumiState>,
    touched: BTreeSet<RunNumber>,
}

impl Coverage {
    fn step(&mut self, machine: &'static str, from: &'static str, to: &'static str) {
        *self.steps.entry((machine, from, to)).or_default() += 1;
    }

    /// A row shows where a run stands after a batch; between it stood everywhere on the way.
    fn run_steps(&mut self, from: &'static str, to: &'static str) {
        if (from, to) == ("archived", "archiving") {
            return self.step("run", from, to);
        }
        let way = [
            NEW,
            "open",
            "ending",
            "closed",
            "finished",
            "archiving",
            "archived",
        ];
        let steps = way.windows(2).skip_while(|step| step[0] != from);
        for step in steps.take_while(|step| step[0] != to) {
            self.step("run", step[0], step[1]);
        }
    }

    /// The same for a job: it is sent only when ready, and done only when its outputs are in place.
    fn job_steps(&mut self, from: &'static str, to: &'static str) {
        let on_the_way = match to {
            "sent" => "ready",
            "done" => "committing",
            _ => return self.step("job", from, to),
        };
        if from != on_the_way {
            self.step("job", from, on_the_way);
        }
        self.step("job", on_the_way, to);
    }

    /// A fact is about to be applied.
    pub(crate) fn fact(&mut self, before: &Tables, fact: &Fact) {
        match fact {
            Fact::RunIs(run) => {
                self.touched.insert(run.number);
                let known = before.runs.get(&run.number);
                let mut from = known.map_or(NEW, |known| known.state.word());
                if known.is_some_and(|known| known.part < run.part) {
                    self.step("run", from, "ending");
                    from = "ending";
                }
                if known.is_some_and(|known| known.resumed < run.resumed) {
                    self.step("run", from, "closed");
                    from = "closed";
                }
                self.run_steps(from, run.state.word());
            }
            Fact::JobIs(job) => {
                let known = before.jobs.get(&job.id);
                if known.is_none_or(|known| known.state != job.state) {
                    let from = known.map_or(NEW, |known| known.state.word());
                    self.job_steps(from, job.state.word());
                }
            }
            Fact::BlockIs(block) => {
                let word = |state: BlockState| match state {
                    BlockState::Open => "open",
                    BlockState::Closed { closing, .. } => match closing {
                        Closing::Complete => "closed complete",
                        Closing::Full => "closed full",
                        Closing::Aged => "closed aged",
                    },
                };
                let from = before.blocks.get(&block.id).map_or(NEW, |b| word(b.state));
                self.step("block", from, word(block.state));
            }
            Fact::SourceIs(source) => {
                let known = before.sources.get(&source.file);
                let from = known.map_or(SourceState::Landed, |known| known.state);
                self.step("source", from.word(), source.state.word());
            }
            Fact::AlarmIs(alarm) => {
                let kind = VERDICT_ALARMS
                    .iter()
                    .find(|kind| alarm.key.split('/').next() == Some(**kind));
                let known = before.alarms.get(&alarm.key);
                let stands = known.is_some_and(|known| known.cleared_at.is_none());
                match (kind, stands, alarm.cleared_at.is_some()) {
                    (Some(kind), false, false) => self.step("verdict", "given", kind),
                    (Some(kind), true, true) => self.step("verdict", kind, "over"),
                    _ => {}
                }
            }
            Fact::FileIs(file) => {
                self.touched.insert(file.arrival.run);
            }
            Fact::WitnessIs(witness) => {
                self.touched.insert(witness.run);
                self.step("witness", NEW, witness.source.as_str());
            }
            _ => {}
        }
    }

    /// A batch of inputs is done: which lumis have changed.
    pub(crate) fn turn(&mut self, engine: &Engine) {
        while let Some(run) = self.touched.pop_first() {
            for (stream, lumi, state) in engine.lumi_states(run) {
                let key = (run, stream.clone(), lumi);
                let before = self.lumis.insert(key, state);
                if before != Some(state) {
                    let from = before.map_or(NEW, LumiState::word);
                    self.step("lumi", from, state.word());
                }
            }
        }
    }

    /// The process has died: a new one may know less.
    pub(crate) fn restarted(&mut self, engine: &Engine) {
        let all = self.lumis.keys().map(|(run, ..)| *run);
        self.touched = all.collect();
        self.lumis.clear();
        let counted = std::mem::take(&mut self.steps);
        self.turn(engine);
        self.steps = counted;
    }

    /// Everything is about to be checked.
    pub(crate) fn checked(&mut self, engine: &Engine) {
        for (premise, times) in engine.premises() {
            *self.premises.entry(premise).or_default() += times;
        }
    }

    /// As one list, with the story's counts.
    pub(crate) fn into_counts(self, counts: &mut BTreeMap<Met, u64>) {
        let steps = self.steps.into_iter();
        counts.extend(steps.map(|(step, times)| (Met::Step(step), times)));
        let premises = self.premises.into_iter();
        counts.extend(premises.map(|(premise, times)| (Met::Premise(premise), times)));
    }
}
