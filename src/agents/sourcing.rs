//! The thread that copies sources, reads copies back and removes what is released: one thing at a
//! time and never on anybody's way, because all of it can wait and detectors cannot.
//!
//! In: orders of the engine; those that change anything come only when what they rest on is
//! durable. Out: what came of each, as news. When the agent ends it stops in the middle of a copy
//! and leaves nothing of it.

use crate::ending::AgentError;
use crate::message::Message;
use crate::surroundings::Surroundings;
use crate::threads::{Performer, WORK_LANE, performer};
use engine::Input;
use lanes::{Receiver, Sender, Wait};
use model::ids::FileId;
use model::names::{FileName, ProfileName};
use model::source::{CopyOrder, CopyPlace, SourceNews, UnlinkOrder};
use ports::failpoint::{Point, pass};
use ports::storage::SourceKeeper;
use std::sync::Arc;

/// What the thread is asked to do.
pub(crate) enum SourceWork {
    Copy(CopyOrder),
    Read(FileId, CopyPlace, ProfileName, FileName),
    Unlink(UnlinkOrder),
}

/// What it works with.
struct Sourcing {
    keeper: Arc<dyn SourceKeeper>,
    engine: Sender<Message, Wait>,
    surroundings: Surroundings,
}

/// Starts the thread; gives its lane and who joins it.
pub(crate) fn start(
    keeper: Arc<dyn SourceKeeper>,
    engine: &Sender<Message, Wait>,
    surroundings: &Surroundings,
) -> Result<Performer<SourceWork>, AgentError> {
    let (sender, lane) = lanes::refuse(WORK_LANE);
    let sourcing = Sourcing {
        keeper,
        engine: engine.clone(),
        surroundings: surroundings.clone(),
    };
    let thread = performer("sources", engine, move || sourcing.run(lane))?;
    Ok((sender, thread))
}

impl Sourcing {
    /// Does what comes until the lane closes or the agent ends.
    fn run(&self, mut work: Receiver<SourceWork>) {
        while let Ok(Some(work)) = work.recv(None) {
            if self.surroundings.is_ending() || self.work(work).is_none() {
                return;
            }
        }
    }

    /// Does one thing; none if the agent ends before.
    fn work(&self, work: SourceWork) -> Option<()> {
        let stop = || self.surroundings.is_ending();
        match work {
            SourceWork::Copy(order) => {
                pass(Point::SourceCopyTaken);
                let found = self.keeper.copy(&order, &stop)?;
                pass(Point::SourceCopyTelling);
                self.tell(order.file, SourceNews::Copied(order.to, found))?;
                pass(Point::SourceCopyTold);
            }
            SourceWork::Read(file, place, profile, name) => {
                pass(Point::CopyReadTaken);
                let found = self.keeper.read_copy(place, &profile, &name, &stop)?;
                pass(Point::CopyReadTelling);
                self.tell(file, SourceNews::Read(place, found))?;
                pass(Point::CopyReadTold);
            }
            SourceWork::Unlink(order) => {
                pass(Point::UnlinkTaken);
                let result = self.keeper.unlink(&order);
                pass(Point::UnlinkTelling);
                self.tell(order.file, SourceNews::Unlinked(result))?;
                pass(Point::UnlinkTold);
            }
        }
        Some(())
    }

    fn tell(&self, file: FileId, news: SourceNews) -> Option<()> {
        let input = Input::Source { file, news };
        self.engine.send(Message::Input(input)).ok()
    }
}
