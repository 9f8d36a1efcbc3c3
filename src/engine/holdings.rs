//! What splitters wait for, as waits that people can ask about: the rule, its bound, and what ends
//! it.

use crate::Engine;
use model::ids::RunNumber;
use model::wait::{Object, Wait, WaitKind};
use pipelines::splitting::{HoldingKind, Splitter};

impl Engine {
    /// Why a task's splitter leaves input in its window; none when it leaves none, or has not said.
    pub(crate) fn wait_of_splitter(&self, number: RunNumber, index: usize) -> Option<Wait> {
        let task = self.runs.get(&number)?.tasks.get(&index)?;
        let holding = task.holding.as_ref().filter(|_| !task.ended)?;
        let path = &self.plans[index].path;
        let accept = format!("tier0 calib accept {path} --run {number}");
        let (kind, remedy) = match holding.by {
            HoldingKind::LumiHole => (
                WaitKind::LumiHole,
                format!(
                    "tier0 why run/{number} says what is missing; a lumi that is declared empty or \
                     lost is no hole; {accept} goes on without it"
                ),
            ),
            HoldingKind::MoreInput => (
                WaitKind::Input,
                format!("tier0 why run/{number} says what the run waits for"),
            ),
            HoldingKind::FirstLumi => (
                WaitKind::FirstLumi,
                format!("{accept} merges what is here now; {path} sets the age with max_latency"),
            ),
            HoldingKind::SplitLumi => (
                WaitKind::SplitLumi,
                format!(
                    "tier0 job ls --run {number} shows which of its jobs have not ended; {accept} \
                     merges what is here without them, and the rest by itself"
                ),
            ),
            HoldingKind::Delay => (
                WaitKind::Delay,
                match self.plans[index].task.splitter {
                    Splitter::FixedDelay(_) => format!("{accept} takes what is here now"),
                    _ => format!("nothing to do: the delay in the definition of {path} ends it"),
                },
            ),
            HoldingKind::Plugin => (
                WaitKind::Splitter,
                format!("{accept} makes one job of what is here now"),
            ),
            HoldingKind::Siblings => (
                WaitKind::Siblings,
                format!("tier0 why run/{number} says how far the other tasks are"),
            ),
        };
        Some(Wait {
            object: Object::Task(number, path.clone()),
            run: number,
            kind,
            reason: holding.reason.clone(),
            since: Some(holding.since),
            until: holding.until,
            remedy,
        })
    }
}
