//! Publication: outputs are gathered in blocks; a block closes when one of its limits is reached,
//! when it has been open long enough, or when the task that fills it has ended for its run; the
//! news of it is written in the same batch. A test run publishes nothing.
//!
//! Nothing is published twice: what an output was made from is traced back to the detector's files,
//! and a second output of the same piece of data is withheld from its dataset, together with
//! everything that its run would still publish. A person has to look; other runs go on.

use crate::setup::TaskPlan;
use crate::timers::Timer;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::dataset::{
    Block, BlockEvent, BlockState, Closing, Dataset, LumiContent, Output, Parent, Totals,
};
use model::fact::Fact;
use model::ids::{BlockId, JobId, LumiNumber, RunNumber};
use model::job::{InputId, Slice};
use model::lumi;
use model::names::{DataLabel, DatasetName};
use model::time::Moment;
use model::units::{Bytes, Events};
use pipelines::definition::BlockLimits;
use std::collections::BTreeMap;

/// Pieces of data: an input and the first event of it (or the first lumi, where it is cut by
/// lumis), with the last one. A whole input is 0 to [`ALL_EVENTS`].
pub(crate) type Pieces = BTreeMap<(InputId, u64), u64>;

/// The last event of an input that is taken whole.
pub(crate) const ALL_EVENTS: u64 = u64::MAX;

impl Engine {
    /// The block an output is published in; none for a run that does not publish, or for an output
    /// that must not be published.
    pub(crate) fn publish(
        &mut self,
        now: Moment,
        output: &Output,
        index: usize,
        effects: &mut Vec<Effect>,
    ) -> Option<BlockId> {
        let run = &self.runs.get(&output.run)?.run;
        if !run.run_type.publishes() || run.quarantined.is_some() {
            return None;
        }
        let pieces = self.pieces_of(output.job);
        let twice = self.met_before(output, &pieces);
        self.meet_dataset(now, output, index, effects);
        if !twice.is_empty() {
            self.withhold(now, output, &twice, effects);
            return None;
        }
        let work = self.runs.get_mut(&output.run)?;
        let published = work.published.entry(output.dataset.clone()).or_default();
        published.extend(pieces);
        let filler = self.filler_of(output, index);
        self.add_to_block(now, output, filler, effects)
    }

    /// The task that fills an output's dataset: a merge's, for what passes it by.
    fn filler_of(&self, output: &Output, index: usize) -> usize {
        self.merge_passed_by(output, index).unwrap_or(index)
    }

    fn add_to_block(
        &mut self,
        now: Moment,
        output: &Output,
        index: usize,
        effects: &mut Vec<Effect>,
    ) -> Option<BlockId> {
        let limits = self.plans[index].blocks;
        let open = self.runs.get(&output.run)?.blocks.get(&output.dataset);
        let id = match open.copied() {
            Some(id) if fits(&self.blocks[&id], output, &limits) => id,
            Some(full) => {
                self.close_block(now, full, Closing::Full, effects);
                self.open_block(now, output, index, effects)
            }
            None => self.open_block(now, output, index, effects),
        };
        let block = self.blocks.get_mut(&id)?;
        debug_assert!(
            block.state.next(BlockEvent::Added).is_ok(),
            "a closed block has left its run"
        );
        block.add(output);
        if is_full(block, &limits) {
            self.close_block(now, id, Closing::Full, effects);
        }
        Some(id)
    }

    fn open_block(
        &mut self,
        now: Moment,
        output: &Output,
        index: usize,
        effects: &mut Vec<Effect>,
    ) -> BlockId {
        let plan = &self.plans[index];
        let (path, close_after) = (plan.path.clone(), plan.blocks.close_after);
        let id = BlockId(self.ids.take());
        let block = Block {
            id,
            dataset: output.dataset.clone(),
            run: output.run,
            task: Some(path),
            files: 0,
            bytes: Bytes(0),
            events: Events(0),
            lumis: Vec::new(),
            opened_at: now,
            closes_at: now + close_after,
            state: BlockState::Open,
        };
        self.timers.set(block.closes_at, Timer::BlockAge(id));
        if let Some(work) = self.runs.get_mut(&output.run) {
            work.blocks.insert(output.dataset.clone(), id);
        }
        // Recorded empty: while it is open its totals follow from its outputs.
        effects.push(Effect::Record(Fact::BlockIs(block.clone())));
        self.blocks.insert(id, block);
        id
    }

    /// Closes a block for good, adds it to its dataset's totals and announces it.
    pub(crate) fn close_block(
        &mut self,
        now: Moment,
        id: BlockId,
        closing: Closing,
        effects: &mut Vec<Effect>,
    ) {
        let Some(block) = self.blocks.get_mut(&id) else {
            return;
        };
        // A closed block is published for good; this one stays open until a person has looked.
        let work = self.runs.get(&block.run);
        if work.is_some_and(|work| work.run.quarantined.is_some()) {
            return;
        }
        let Ok(state) = block.state.next(BlockEvent::Ended(now, closing)) else {
            return;
        };
        block.state = state;
        let block = block.clone();
        let (number, name) = (block.run, block.dataset.clone());
        self.timers.cancel(block.closes_at, Timer::BlockAge(id));
        if let Some(work) = self.runs.get_mut(&number)
            && work.blocks.get(&name) == Some(&id)
        {
            work.blocks.remove(&name);
        }
        effects.push(Effect::Record(Fact::BlockIs(block.clone())));
        if let Some(dataset) = self.datasets.get_mut(&name) {
            let content = self.contents.entry((number, name.clone()));
            let content = content.or_insert_with(|| LumiContent::new(name.clone(), number));
            content.add(&block, &mut dataset.closed);
            effects.push(Effect::Record(Fact::ContentIs(content.clone())));
            effects.push(Effect::Record(Fact::DatasetIs(dataset.clone())));
        }
        self.announce(now, "block.closed", number, format!("{name}#{id}"), effects);
        self.archive.look_again();
    }

    /// Closes the blocks that a task of a run has filled.
    pub(crate) fn close_blocks(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        effects: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get(&number) else {
            return;
        };
        let path = &self.plans[index].path;
        let filled: Vec<BlockId> = work
            .blocks
            .values()
            .filter(|id| self.blocks[id].task.as_ref() == Some(path))
            .copied()
            .collect();
        for id in filled {
            self.close_block(now, id, Closing::Complete, effects);
        }
    }

    /// Makes sure that the output's dataset has a row that names whatever it is made from.
    fn meet_dataset(
        &mut self,
        now: Moment,
        output: &Output,
        index: usize,
        effects: &mut Vec<Effect>,
    ) {
        let label = self.runs[&output.run].run.label;
        let parent = self.parent_of(&self.plans[index], label);
        let plan = &self.plans[self.filler_of(output, index)];
        let known = self.datasets.get(&output.dataset);
        if known.is_some_and(|dataset| dataset.parents.contains(&parent)) {
            return;
        }
        let made = || {
            let mut parts = output
                .dataset
                .as_str()
                .split('/')
                .skip(1)
                .map(str::to_owned);
            let mut part = || parts.next().unwrap_or_default();
            Dataset {
                name: output.dataset.clone(),
                primary: part(),
                processed: part(),
                tier: part(),
                label,
                stream: plan.stream.clone(),
                task: plan.path.clone(),
                parents: Vec::new(),
                created_at: now,
                closed: Totals::default(),
            }
        };
        let dataset = self.datasets.entry(output.dataset.clone());
        let dataset = dataset.or_insert_with(made);
        dataset.parents.push(parent);
        dataset.parents.sort();
        effects.push(Effect::Record(Fact::DatasetIs(dataset.clone())));
    }

    fn parent_of(&self, plan: &TaskPlan, label: DataLabel) -> Parent {
        match &plan.upstream {
            None => Parent::Stream(plan.stream.clone()),
            Some((upstream, output)) => {
                Parent::Dataset(self.plans[*upstream].dataset(output, label))
            }
        }
    }

    /// What a job was made from: the detector's files behind its input. An output of which a job
    /// takes only a slice stands for itself.
    pub(crate) fn pieces_of(&self, job: JobId) -> Pieces {
        let mut pieces = Pieces::new();
        let mut jobs = vec![job];
        while let Some(job) = jobs.pop().and_then(|id| self.jobs.get(&id)) {
            for input in job.inputs.iter().take(job.consumed as usize) {
                match (input, &job.slice) {
                    (_, Some(slice)) => add_slice(&mut pieces, *input, slice),
                    (InputId::File(_), None) => {
                        pieces.insert((*input, 0), ALL_EVENTS);
                    }
                    (InputId::Output(id), None) => {
                        jobs.extend(self.outputs.get(id).map(|output| output.job));
                    }
                }
            }
        }
        pieces
    }

    /// Lumis of an output of which its dataset has the same data already.
    pub(crate) fn met_before(
        &self,
        output: &Output,
        pieces: &Pieces,
    ) -> Vec<(LumiNumber, LumiNumber)> {
        let work = self.runs.get(&output.run);
        let Some(published) = work.and_then(|work| work.published.get(&output.dataset)) else {
            return Vec::new();
        };
        let met = pieces
            .iter()
            .filter(|((input, first), last)| overlaps(published, *input, *first, **last));
        lumi::union(met.flat_map(|((input, _), _)| {
            match input {
                InputId::File(id) => {
                    let lumi = self.files.get(id).map(|file| file.arrival.lumi);
                    lumi.map(|lumi| (lumi, lumi)).into_iter().collect()
                }
                InputId::Output(id) => self
                    .outputs
                    .get(id)
                    .map_or_else(Vec::new, |output| output.lumis.clone()),
            }
        }))
    }

    /// I4 would break: the output stays unpublished, and so does what its run still makes, until
    /// somebody has looked.
    fn withhold(
        &mut self,
        now: Moment,
        output: &Output,
        twice: &[(LumiNumber, LumiNumber)],
        effects: &mut Vec<Effect>,
    ) {
        let (number, name) = (output.run, output.dataset.clone());
        if let Some(dataset) = self.datasets.get_mut(&name) {
            let content = self.contents.entry((number, name.clone()));
            let content = content.or_insert_with(|| LumiContent::new(name.clone(), number));
            let before = lumi::count(&content.duplicate_lumis);
            content.duplicate_lumis =
                lumi::union(content.duplicate_lumis.iter().chain(twice).copied());
            dataset.closed.duplicate_lumis += lumi::count(&content.duplicate_lumis) - before;
            effects.push(Effect::Record(Fact::ContentIs(content.clone())));
            effects.push(Effect::Record(Fact::DatasetIs(dataset.clone())));
        }
        let lumis: Vec<String> = twice.iter().map(|(a, b)| format!("{a}-{b}")).collect();
        let reason = format!(
            "lumis {} would be twice in {name}: {} holds them again",
            lumis.join(", "),
            output.name
        );
        let text = format!(
            "I4, run {number}: {reason}. The output is kept and not published; no job of the run is \
             started, and nothing more of it is published or certified. Compare the two jobs with \
             `tier0 file lineage {}` and report what made the second. `tier0 run reopen {number}` \
             goes on without it; or process the run again under a new processing.",
            output.id
        );
        if let Some(work) = self.runs.get_mut(&number) {
            work.run.quarantined = Some(reason);
            self.changed_runs.insert(number);
        }
        self.stand_still(number);
        let key = format!("{}{name}", duplicate_keys(number));
        self.alarm(now, key, Severity::High, text, effects);
    }
}

/// How the keys of alarms about data that would be twice in a dataset of a run begin.
pub(crate) fn duplicate_keys(number: RunNumber) -> String {
    format!("duplicate-lumi/{number}/")
}

/// Adds the part of an input that a slice names. A task cuts an input by events or by lumis, never
/// by both, so that the numbers of either may stand in the same place.
fn add_slice(pieces: &mut Pieces, input: InputId, slice: &Slice) {
    match slice {
        Slice::Events { first, last } | Slice::Generated { first, last, .. } => {
            pieces.insert((input, *first), *last);
        }
        Slice::Lumis(lumis) => {
            for (_, first, last) in lumis {
                pieces.insert((input, u64::from(first.0)), u64::from(last.0));
            }
        }
    }
}

/// Whether a piece has events in common with what is published.
fn overlaps(published: &Pieces, input: InputId, first: u64, last: u64) -> bool {
    let before = published.range((input, 0)..=(input, last)).next_back();
    before.is_some_and(|(_, published_last)| *published_last >= first)
}

/// Whether an output still goes into an open block.
fn fits(block: &Block, output: &Output, limits: &BlockLimits) -> bool {
    let events = block.events.0.saturating_add(output.events.0);
    let bytes = block.bytes.0.saturating_add(output.bytes.0);
    let small = events <= limits.max_events.0 && bytes <= limits.max_bytes.0;
    block.files == 0 || (block.files < limits.max_files && small)
}

/// Whether no further output would go in.
fn is_full(block: &Block, limits: &BlockLimits) -> bool {
    block.files >= limits.max_files
        || block.events >= limits.max_events
        || block.bytes >= limits.max_bytes
}

impl TaskPlan {
    /// `/primary/processing/label`: express and prompt of the same stream are different datasets.
    pub(crate) fn dataset(
        &self,
        label: &model::names::OutputLabel,
        data_label: DataLabel,
    ) -> DatasetName {
        DatasetName::of(&self.primary, &self.processing, label.as_str(), data_label)
    }
}
