//! What must hold, whatever happens: checked while the world runs, and once it is quiet.
//!
//! In comes a world, out comes the sentence that says which promise is broken. It changes nothing
//! in the world.

use crate::tables::Tables;
use crate::world::World;
use engine::{Effect, Input};
use model::conditions::Since;
use model::dataset::Route;
use model::file::Content;
use model::ids::{JobId, LumiNumber, RunNumber};
use model::job::{InputId, JobState};
use model::names::{DataLabel, FileName, ProfileName, TagName};
use model::run::{Run, RunType};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Everything is looked over once in so many turns; what a turn has touched is looked at after it.
const CHECK_EVERY: u64 = 64;
/// The law of D4 is asked once in so many turns, at random.
const LAW_EVERY: u64 = 128;

/// Decisions and intervals as they must be, whatever the faults: (tag, run) to outcome and count,
/// (tag, since) to hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConstantsOf {
    decisions: BTreeMap<(TagName, RunNumber), (&'static str, u64)>,
    iovs: BTreeMap<(TagName, Since), String>,
    /// From where on people have put constants that harvests are compared with.
    put_since: BTreeMap<TagName, Since>,
}

impl ConstantsOf {
    pub(crate) fn of(tables: &Tables) -> Self {
        let decision = |d: &model::conditions::GateDecision| (d.outcome.as_str(), d.n);
        let decisions = tables.decisions.iter();
        // What people put in between, and a harvest may agree with.
        let by_hand = tables.iovs.values().filter(|iov| {
            let payload = tables.payloads.get(&iov.hash);
            payload.is_some_and(|payload| payload.text.starts_with('{'))
        });
        let mut put_since = BTreeMap::new();
        for iov in by_hand {
            let first = put_since.entry(iov.tag.clone()).or_insert(iov.since);
            *first = iov.since.min(*first);
        }
        let iovs = tables.in_force.iter().filter(|((_, since), iov)| {
            let decided = tables.decisions.keys();
            let mut of_tag = decided.filter(|(tag, _)| *tag == iov.tag);
            of_tag.any(|(_, run)| Since::run(*run) == *since)
        });
        Self {
            decisions: decisions
                .map(|(key, d)| (key.clone(), decision(d)))
                .collect(),
            iovs: iovs
                .map(|(key, iov)| (key.clone(), iov.hash.clone()))
                .collect(),
            put_since,
        }
    }
}

impl ConstantsOf {
    /// Where two passes differ, in words; none if nowhere.
    pub(crate) fn differ(&self, undisturbed: &Self) -> Option<String> {
        let as_measured = |tag: &TagName, since: Since| {
            let put = self.put_since.get(tag);
            put.is_none_or(|put| since < *put)
        };
        let decisions = first_difference(
            &self.decisions,
            &undisturbed.decisions,
            |(tag, run): &(TagName, RunNumber)| as_measured(tag, Since::run(*run)),
        );
        decisions.or_else(|| {
            first_difference(&self.iovs, &undisturbed.iovs, |(tag, since)| {
                as_measured(tag, *since)
            })
        })
    }
}

fn first_difference<K: Ord + Debug, V: PartialEq + Debug>(
    got: &BTreeMap<K, V>,
    undisturbed: &BTreeMap<K, V>,
    is_compared: impl Fn(&K) -> bool,
) -> Option<String> {
    let keys: BTreeSet<&K> = got.keys().chain(undisturbed.keys()).collect();
    let key = keys
        .into_iter()
        .find(|key| is_compared(key) && got.get(key) != undisturbed.get(key))?;
    let (got, expected) = (got.get(key), undisturbed.get(key));
    Some(format!(
        "D17: the faults made {key:?} {got:?}, undisturbed it is {expected:?}"
    ))
}

impl World {
    /// After a turn.
    pub(crate) fn check_turn(&mut self) -> Result<(), String> {
        self.check_announced()?;
        self.check_cores()?;
        let touched = &self.forming.facts[self.forming.looked_at..];
        if let Some(broken) = self.engine.check_touched(touched).first() {
            return Err(format!("{}: {}", broken.invariant, broken.what));
        }
        if self.strict || self.turns.is_multiple_of(CHECK_EVERY) {
            self.check_everything()?;
        }
        let asked = self
            .chance
            .draw("law", self.turns)
            .is_multiple_of(LAW_EVERY);
        if self.strict || asked {
            self.check_law()?;
        }
        Ok(())
    }

    /// All relations, inside the engine and seen from outside.
    pub(crate) fn check_everything(&mut self) -> Result<(), String> {
        if self.quiet {
            return Ok(());
        }
        self.story.count("everything was checked");
        self.coverage.checked(&self.engine);
        self.check_engine()?;
        self.check_reasons()?;
        self.check_closed_runs()?;
        self.check_block_ages()?;
        self.check_verified()?;
        self.check_concerned()?;
        self.sources.check(self.store.tables.files.values())?;
        self.check_attempts()
    }

    /// D16: no attempt goes on for which nobody waits.
    fn check_attempts(&self) -> Result<(), String> {
        let mut held = self.executor.held(self.now);
        let forgotten =
            held.find(|token| !self.engine.is_out(*token) && !self.is_being_cancelled(*token));
        match forgotten {
            Some(token) => Err(format!(
                "D16: attempt {token} goes on, and nobody waits for it"
            )),
            None => Ok(()),
        }
    }

    /// I8: everything that is not over has a reason, and what has none is told.
    fn check_reasons(&self) -> Result<(), String> {
        match self.engine.check_live(self.now).first() {
            None => Ok(()),
            Some(broken) => Err(format!("{}: {}", broken.invariant, broken.what)),
        }
    }

    fn check_engine(&self) -> Result<(), String> {
        match self.engine.check().first() {
            None => Ok(()),
            Some(broken) => Err(format!("{}: {}", broken.invariant, broken.what)),
        }
    }

    /// D4: what a restart makes of what was recorded is what the engine is, and it has nothing to
    /// add.
    fn check_law(&mut self) -> Result<(), String> {
        self.story.count("the law was asked");
        let mut restored = self.restored();
        if !restored.agrees_with(&self.engine) {
            let (at_work, restored) = self.engine.difference(&restored).unwrap_or_default();
            return Err(format!(
                "D4: an engine restored from what was recorded is another one\n\
                 at work:  {at_work}\nrestored: {restored}"
            ));
        }
        let mut effects = Vec::new();
        restored.step(self.now, Input::Tick, &mut effects);
        let new = |effect: &&Effect| matches!(effect, Effect::Record(_) | Effect::Start(_));
        match effects.iter().find(new) {
            Some(effect) => Err(format!(
                "D4: a restored engine wants more at once: {effect:?}"
            )),
            None => Ok(()),
        }
    }

    /// I14, seen from outside: a run that closes has every file that the detector wrote for it,
    /// unless somebody has said that it will not come.
    fn check_closed_runs(&self) -> Result<(), String> {
        for plan in &self.detector.runs {
            let run = self.shadow.runs.get(&plan.number);
            let closed = run.is_some_and(|run| run.state.is_closed());
            if !closed || self.declared.contains(&plan.number) {
                continue;
            }
            let profile = &plan.profile;
            let is_here = |name: &FileName| {
                let key = (profile.clone(), name.clone());
                self.shadow.file_names.contains_key(&key)
            };
            // A stream of which nothing came in time is one that nobody knew of.
            fn stream(name: &FileName) -> Option<&str> {
                name.as_str().split('_').nth(2)
            }
            let files = plan.files.iter();
            let known: BTreeSet<Option<&str>> = files
                .clone()
                .filter(|(name, _)| self.is_in_time(profile, name))
                .map(|(name, _)| stream(name))
                .collect();
            let mut owed = files.filter(|(name, events)| {
                *events > 0 && (!self.faults.harsh || known.contains(&stream(name)))
            });
            let missing = owed.find(|(name, _)| !is_here(name));
            if self.has_surplus(plan.number) {
                if plan
                    .files
                    .iter()
                    .all(|(name, _)| self.is_in_time(profile, name))
                {
                    let number = plan.number;
                    return Err(format!("I14: run {number} closed with a file too many"));
                }
                // Nobody can tell it from the one that is missing.
                continue;
            }
            if let Some((name, _)) = missing {
                return Err(format!("I14: run {} closed without {name}", plan.number));
            }
        }
        Ok(())
    }

    /// Whether a file was counted before its run was closed.
    fn is_in_time(&self, profile: &ProfileName, name: &FileName) -> bool {
        let id = self.shadow.file_names.get(&(profile.clone(), name.clone()));
        let file = id.and_then(|id| self.shadow.files.get(id));
        file.is_some_and(|file| !file.late)
    }

    /// Whether a file too many has come for a run before it was closed.
    fn has_surplus(&self, run: RunNumber) -> bool {
        let of_run = self
            .shadow
            .files
            .values()
            .filter(|file| file.arrival.run == run);
        let mut in_time = of_run.filter(|file| !file.late);
        in_time.any(|file| file.arrival.name.as_str().ends_with("_surplus.raw"))
    }

    /// When nothing more will happen.
    pub(crate) fn check_end(&mut self) -> Result<(), String> {
        self.check_everything()?;
        if !self.quiet {
            self.check_law()?;
        }
        if !self.quiet && self.store.keeps_all() {
            self.store.check_replay()?;
            self.story.count("all batches were replayed");
        }
        self.real_rows()?;
        self.storage.check(self.kept())?;
        self.check_files()?;
        self.check_labels()?;
        self.check_live()?;
        self.check_settled()?;
        self.check_history()?;
        if !self.faults.harsh {
            self.check_coverage()?;
        }
        Ok(())
    }

    /// I1: whatever the detector wrote is in the store, under its name.
    fn check_files(&self) -> Result<(), String> {
        let here: BTreeSet<_> = self.kept().file_names.keys().map(|(_, n)| n).collect();
        for plan in &self.detector.runs {
            let names = plan.files.iter().map(|(name, _)| name);
            if let Some(name) = names.into_iter().find(|name| !here.contains(*name)) {
                return Err(format!("I1: {name} is not in the store"));
            }
        }
        Ok(())
    }

    /// Real and simulated never mix; test runs and simulated ones reach no good-run list; test runs
    /// publish nothing.
    fn check_labels(&self) -> Result<(), String> {
        let tables = self.kept();
        for file in tables.files.values() {
            let (arrival, run) = (&file.arrival, tables.runs.get(&file.arrival.run));
            if run.is_none_or(|run| run.label != arrival.label) {
                let (name, label) = (&arrival.name, arrival.label);
                return Err(format!("{name} is {label} and is of another run's data"));
            }
        }
        for output in tables.outputs.values() {
            let run = &tables.runs[&output.run];
            let simulated = run.label == DataLabel::Simulated;
            if output.dataset.is_simulated() != simulated {
                return Err(format!(
                    "labels: {} is {} and in {}",
                    output.name, run.label, output.dataset
                ));
            }
            if run.run_type == RunType::Test && output.block.is_some() {
                return Err(format!(
                    "labels: {} of a test run is published",
                    output.name
                ));
            }
        }
        for quality in tables.quality.values().filter(|q| !q.certified.is_empty()) {
            let run = &tables.runs[&quality.run];
            if run.label == DataLabel::Simulated || run.run_type == RunType::Test {
                return Err(format!("labels: run {} is certified", run.number));
            }
        }
        Ok(())
    }

    /// I8: everything has ended, or waits for a reason that is told.
    fn check_live(&self) -> Result<(), String> {
        let engine = &self.engine;
        let (queued, cores, out) = (
            engine.queue_length(),
            engine.cores_used(),
            engine.jobs_out().len(),
        );
        if (queued, cores, out) != (0, 0, 0) {
            return Err(format!(
                "liveness: {queued} jobs wait, {cores} cores are used, {out} attempts are out"
            ));
        }
        let waits = engine.waits(self.now);
        for plan in &self.detector.runs {
            let run = self.kept().runs.get(&plan.number);
            if run.is_some_and(|run| run.state.is_finished()) {
                continue;
            }
            let told = waits.iter().find(|wait| wait.run == plan.number);
            match told {
                Some(wait) => {
                    let word = run.map_or("unknown", |run| run.state.word());
                    let reason = &wait.reason;
                    return Err(format!("liveness: run {} is {word}: {reason}", plan.number));
                }
                None => return Err(format!("liveness: run {} waits for nothing", plan.number)),
            }
        }
        Ok(())
    }

    /// D10: what is published rests on files that are what their senders claim.
    fn check_verified(&self) -> Result<(), String> {
        let tables = self.kept();
        for output in tables.outputs.values() {
            let inputs = &tables.jobs[&output.job].inputs;
            let unsure = inputs.iter().find(|input| match input {
                InputId::File(id) => !matches!(
                    tables.files[id].content,
                    Content::Verified | Content::Unclaimed
                ),
                InputId::Output(_) => false,
            });
            if let Some(input) = unsure {
                return Err(format!(
                    "D10: {} rests on {input:?}, which nobody found to be right",
                    output.name
                ));
            }
        }
        Ok(())
    }

    /// I4: every file was taken once by every task that reads it, and each dataset has all events
    /// and all lumis.
    fn check_coverage(&self) -> Result<(), String> {
        let tables = self.kept();
        let mut rows = tables.consumed.values();
        if let Some(row) = rows.find(|row| !self.is_done(row.job)) {
            return Err(format!("I4: {:?} of {} has no winner", row.input, row.task));
        }
        for run in tables.runs.values() {
            self.check_run_coverage(run)?;
        }
        Ok(())
    }

    /// Whether a job has a winner, or all that took its place.
    fn is_done(&self, job: JobId) -> bool {
        let job = self.kept().jobs.get(&job).filter(|_| job != JobId::NOBODY);
        job.is_none_or(|job| match job.state {
            JobState::Done { .. } => true,
            JobState::Superseded { .. } => {
                let mut others = job.lineage.replaced_by.iter();
                others.all(|other| self.is_done(*other))
            }
            _ => false,
        })
    }

    fn check_run_coverage(&self, run: &Run) -> Result<(), String> {
        let tables = self.kept();
        for (pipeline, stream) in crate::definitions::READERS {
            if !run.pipelines.iter().any(|p| p.as_str() == pipeline) {
                continue;
            }
            let files = tables.files.values().filter(|file| {
                let arrival = &file.arrival;
                let read = arrival.run == run.number && arrival.stream.as_str() == stream;
                read && file.part <= run.part && !arrival.empty
            });
            let (mut events, mut lumis) = (0, BTreeSet::new());
            for file in files {
                events += file.arrival.counts.map_or(0, |counts| counts.accepted);
                lumis.insert(file.arrival.lumi);
                let takers = tables.consumed.values().filter(|row| {
                    row.input == InputId::File(file.id) && row.task.pipeline.as_str() == pipeline
                });
                let takers = takers.count();
                if takers != 1 {
                    let name = &file.arrival.name;
                    return Err(format!("I4: {pipeline} took {name} {takers} times"));
                }
            }
            self.check_datasets(run, pipeline, events, &lumis)?;
        }
        Ok(())
    }

    fn check_datasets(
        &self,
        run: &Run,
        pipeline: &str,
        events: u64,
        lumis: &BTreeSet<LumiNumber>,
    ) -> Result<(), String> {
        let mut made: BTreeMap<String, (u64, BTreeSet<LumiNumber>)> = BTreeMap::new();
        let outputs = self.kept().outputs.values();
        for output in outputs.filter(|output| output.superseded_by.is_none()) {
            if output.run == run.number && output.task.pipeline.as_str() == pipeline {
                // What passes a merge by is an output of both; what is set apart is still one of
                // its task.
                let mut of = vec![format!("{}.{}", output.task, output.label)];
                if let Route::Merged(merge, label) = &output.route {
                    of.push(format!("{merge}.{label}"));
                }
                for made_by in of {
                    let entry = made.entry(made_by).or_default();
                    entry.0 += output.events.0;
                    let lumis = output.lumis.iter().flat_map(|(a, b)| a.0..=b.0);
                    entry.1.extend(lumis.map(LumiNumber));
                }
            }
        }
        for (dataset, (out, covered)) in &made {
            if *out != events || covered != lumis {
                let number = run.number;
                return Err(format!(
                    "I4: run {number} has {events} events in {lumis:?}, \
                     {dataset} has {out} in {covered:?}"
                ));
            }
        }
        if made.is_empty() && !lumis.is_empty() {
            return Err(format!("I4: {pipeline} made nothing of run {}", run.number));
        }
        Ok(())
    }
}
