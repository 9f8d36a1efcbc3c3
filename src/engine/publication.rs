//! Publication: outputs are gathered in blocks, a block closes when the task that fills it has
//! ended for its run, and the news of it is written in the same batch. A test run publishes
//! nothing.

use crate::{Effect, Engine};
use model::dataset::{Block, BlockEvent, BlockState, Output};
use model::fact::Fact;
use model::ids::{BlockId, RunNumber};
use model::names::DatasetName;
use model::time::Moment;
use model::units::{Bytes, Events};

impl Engine {
    /// The block an output belongs to, opened if need be; none for a run that does not publish.
    pub(crate) fn add_to_block(
        &mut self,
        output: &Output,
        effects: &mut Vec<Effect>,
    ) -> Option<BlockId> {
        let work = self.runs.get_mut(&output.run)?;
        if !work.run.run_type.publishes() {
            return None;
        }
        let id = match work.blocks.get(&output.dataset) {
            Some(id) => *id,
            None => {
                let id = BlockId(self.ids.take());
                let block = Block {
                    id,
                    dataset: output.dataset.clone(),
                    run: output.run,
                    files: 0,
                    bytes: Bytes(0),
                    events: Events(0),
                    state: BlockState::Open,
                };
                work.blocks.insert(output.dataset.clone(), id);
                // Recorded empty: while it is open its totals follow from its outputs.
                effects.push(Effect::Record(Fact::BlockIs(block.clone())));
                self.blocks.insert(id, block);
                id
            }
        };
        let block = self.blocks.get_mut(&id)?;
        debug_assert!(
            block.state.next(BlockEvent::Added).is_ok(),
            "a closed block has left its run"
        );
        add(block, output);
        Some(id)
    }

    /// Closes the blocks that a task of a run has filled.
    pub(crate) fn close_blocks(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        effects: &mut Vec<Effect>,
    ) {
        let plan = &self.plans[index];
        let stream = if plan.stream.as_str() == "*" {
            "All"
        } else {
            plan.stream.as_str()
        };
        let Some(label) = self.runs.get(&number).map(|work| work.run.label) else {
            return;
        };
        let datasets: Vec<DatasetName> = plan
            .attempt
            .outputs
            .iter()
            .map(|output| DatasetName::of(stream, &plan.processing, output.label.as_str(), label))
            .collect();
        for dataset in datasets {
            let Some(work) = self.runs.get_mut(&number) else {
                return;
            };
            let Some(id) = work.blocks.remove(&dataset) else {
                continue;
            };
            let Some(block) = self.blocks.get_mut(&id) else {
                continue;
            };
            if let Ok(state) = block.state.next(BlockEvent::Completed(now)) {
                block.state = state;
            }
            effects.push(Effect::Record(Fact::BlockIs(block.clone())));
            self.announce(
                now,
                "block.closed",
                number,
                format!("{dataset}#{id}"),
                effects,
            );
        }
    }
}

/// Counts an output into its block.
pub(crate) fn add(block: &mut Block, output: &Output) {
    block.files += 1;
    block.bytes.0 += output.bytes.0;
    block.events.0 += output.events.0;
}
