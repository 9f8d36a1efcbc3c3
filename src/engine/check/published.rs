//! What must be true of what is published: nothing twice, and every total is the sum of its
//! outputs.
//!
//! Worked out from outputs and jobs alone, without anything that publication keeps for itself, so
//! that the one can be wrong without the other.

use super::Broken;
use crate::Engine;
use model::dataset::{Block, BlockState, LumiContent, Output, Totals};
use model::ids::{BlockId, JobId, LumiNumber, RunNumber};
use model::job::{InputId, Slice};
use model::lumi;
use model::names::DatasetName;
use model::units::{Bytes, Events};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The first and last event or lumi.
type Part = (u64, u64);
/// What is behind the outputs of a job, in order.
type Parts = Rc<[(InputId, Part)]>;

impl Engine {
    fn published(&self) -> impl Iterator<Item = (&Output, BlockId)> {
        let outputs = self.outputs.values();
        outputs.filter_map(|output| output.block.map(|block| (output, block)))
    }

    /// I4: no file of the detector, nor any part of an input, is behind two outputs of a dataset.
    pub(super) fn check_published(&self, broken: &mut Vec<Broken>) {
        let mut behind: BTreeMap<&DatasetName, Vec<(InputId, Part, &Output)>> = BTreeMap::new();
        let mut known = BTreeMap::new();
        for (output, _) in self.published() {
            let own = self.parts_behind(output, &mut known);
            let parts = behind.entry(&output.dataset).or_default();
            parts.extend(own.iter().map(|(input, part)| (*input, *part, output)));
        }
        for (dataset, mut parts) in behind {
            parts.sort_unstable_by_key(|(input, part, output)| (*input, *part, output.id));
            let meet = |two: &&[(InputId, Part, &Output)]| {
                two[0].0 == two[1].0 && two[0].1.1 >= two[1].1.0
            };
            if let Some([(input, _, one), (_, _, other)]) = parts.windows(2).find(meet) {
                let (one, other) = (&one.name, &other.name);
                broken.push(Broken {
                    invariant: "I4",
                    what: format!("{input:?} is twice in {dataset}: in {one} and {other}"),
                });
            }
        }
    }

    /// The detector's files behind an output, and the parts of inputs that were taken in parts,
    /// each once; the same for all outputs of a job.
    fn parts_behind(&self, output: &Output, known: &mut BTreeMap<JobId, Parts>) -> Parts {
        if let Some(parts) = known.get(&output.job) {
            return parts.clone();
        }
        let mut parts = Vec::new();
        if let Some(job) = self.jobs.get(&output.job) {
            for input in &job.inputs[..job.consumed as usize] {
                self.add_parts(&mut parts, job.slice.as_ref(), *input, known);
            }
        }
        parts.sort_unstable();
        parts.dedup();
        let parts = Parts::from(parts);
        known.insert(output.job, parts.clone());
        parts
    }

    fn add_parts(
        &self,
        parts: &mut Vec<(InputId, Part)>,
        slice: Option<&Slice>,
        input: InputId,
        known: &mut BTreeMap<JobId, Parts>,
    ) {
        match (slice, input) {
            (Some(Slice::Events { first, last } | Slice::Generated { first, last, .. }), _) => {
                parts.push((input, (*first, *last)));
            }
            (Some(Slice::Lumis(lumis)), _) => {
                let part = |(_, a, b): &(RunNumber, LumiNumber, LumiNumber)| {
                    (input, (u64::from(a.0), u64::from(b.0)))
                };
                parts.extend(lumis.iter().map(part));
            }
            (None, InputId::File(_)) => parts.push((input, (0, u64::MAX))),
            (None, InputId::Output(id)) => {
                if let Some(output) = self.outputs.get(&id) {
                    parts.extend(self.parts_behind(output, known).iter());
                }
            }
        }
    }

    /// Blocks are what is in them, datasets are their closed blocks, and only open blocks are at
    /// work.
    pub(super) fn check_totals(&self, broken: &mut Vec<Broken>) {
        let mut say = |what: String| {
            let invariant = "blocks";
            broken.push(Broken { invariant, what });
        };
        let mut blocks: BTreeMap<BlockId, Block> = BTreeMap::new();
        for (id, block) in &self.blocks {
            let empty = Block {
                files: 0,
                bytes: Bytes(0),
                events: Events(0),
                lumis: Vec::new(),
                ..block.clone()
            };
            blocks.insert(*id, empty);
            let at_work = self.runs.get(&block.run).map(|work| &work.blocks);
            let at_work = at_work.and_then(|open| open.get(&block.dataset)) == Some(id);
            if at_work != (block.state == BlockState::Open) {
                say(format!(
                    "block {id} is {:?}, at work {at_work}",
                    block.state
                ));
            }
        }
        for (output, id) in self.published() {
            match blocks.get_mut(&id).filter(|b| b.dataset == output.dataset) {
                Some(block) => block.add(output),
                None => say(format!("{} is in no block of its dataset", output.name)),
            }
        }
        let mut totals: BTreeMap<&DatasetName, Totals> = BTreeMap::new();
        let mut contents: BTreeMap<(RunNumber, &DatasetName), LumiContent> = BTreeMap::new();
        for block in blocks.values() {
            if self.blocks.get(&block.id) != Some(block) {
                say(format!("block {} is not what is in it", block.id));
            }
            if block.state != BlockState::Open {
                let empty = || LumiContent::new(block.dataset.clone(), block.run);
                let content = contents.entry((block.run, &block.dataset));
                let totals = totals.entry(&block.dataset).or_default();
                content.or_insert_with(empty).add(block, totals);
            }
        }
        self.compare_totals(&totals, &contents, &mut say);
    }

    /// What the closed blocks of some runs add to their datasets.
    pub(crate) fn totals_where(
        &self,
        wanted: impl Fn(RunNumber) -> bool,
    ) -> BTreeMap<DatasetName, Totals> {
        let mut totals: BTreeMap<DatasetName, Totals> = BTreeMap::new();
        let mut contents: BTreeMap<(RunNumber, &DatasetName), LumiContent> = BTreeMap::new();
        let blocks = self.blocks.values().filter(|block| wanted(block.run));
        for block in blocks.filter(|block| block.state != BlockState::Open) {
            let content = contents.entry((block.run, &block.dataset));
            let content =
                content.or_insert_with(|| LumiContent::new(block.dataset.clone(), block.run));
            content.add(block, totals.entry(block.dataset.clone()).or_default());
        }
        for ((_, name), content) in self.contents.iter().filter(|((run, _), _)| wanted(*run)) {
            let twice = lumi::count(&content.duplicate_lumis);
            if twice > 0 {
                totals.entry(name.clone()).or_default().duplicate_lumis += twice;
            }
        }
        totals
    }

    fn compare_totals(
        &self,
        totals: &BTreeMap<&DatasetName, Totals>,
        contents: &BTreeMap<(RunNumber, &DatasetName), LumiContent>,
        say: &mut impl FnMut(String),
    ) {
        let mut duplicates: BTreeMap<&DatasetName, u64> = BTreeMap::new();
        for ((run, name), content) in &self.contents {
            *duplicates.entry(name).or_default() += lumi::count(&content.duplicate_lumis);
            let counted = contents.get(&(*run, name));
            let nothing = LumiContent::new(name.clone(), *run);
            let expect = LumiContent {
                duplicate_lumis: content.duplicate_lumis.clone(),
                ..counted.unwrap_or(&nothing).clone()
            };
            if *content != expect {
                say(format!("{name} of run {run} is not its closed blocks"));
            }
        }
        for (name, dataset) in &self.datasets {
            let mut expect = Totals {
                duplicate_lumis: duplicates.get(name).copied().unwrap_or(0),
                ..totals.get(name).copied().unwrap_or_default()
            };
            expect.add(&self.archive.totals.get(name).copied().unwrap_or_default());
            if dataset.closed != expect {
                say(format!("{name} is not its closed blocks"));
            }
        }
        if let Some(name) = totals
            .keys()
            .find(|name| !self.datasets.contains_key(**name))
        {
            say(format!("{name} has blocks and no row"));
        }
    }
}
