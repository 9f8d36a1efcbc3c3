//! The door for commands: whoever asks waits here until the answer is durable.

use crate::message::Message;
use engine::{Configuration, Input};
use lanes::{Refuse, Sender};
use model::command::{Order, Reply};
use model::wait::{Object, Wait, Why};
use parking_lot::Mutex;
use ports::failpoint::{Point, pass};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// Why a command got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// Too many commands wait already.
    #[error("asking the engine: too many commands are waiting; try again in a moment")]
    Crowded,
    /// The engine is stopping or has stopped.
    #[error("asking the engine: it is stopping; ask the instance that takes over")]
    Stopping,
    /// No answer came; it may still be carried out. Asking the same again is harmless.
    #[error(
        "asking the engine: no answer within {waited_s} s, so it may or may not have been \
         recorded; asking the same again is harmless"
    )]
    NoAnswer {
        /// How long was waited.
        waited_s: u64,
    },
}

/// How soon to ask a crowded lane again.
const CROWDED_PAUSE: Duration = Duration::from_millis(10);
/// An answer later than this is given up on (the store may be busy for a while).
const ANSWER_WAIT: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Waiting {
    next_ticket: u64,
    tickets: BTreeMap<u64, mpsc::SyncSender<Reply>>,
}

/// The asking end; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    lane: Sender<Message, Refuse>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Commands {
    pub(crate) fn new(lane: Sender<Message, Refuse>) -> Self {
        Self {
            lane,
            waiting: Arc::default(),
        }
    }

    /// Asks and waits until the answer is durable. Blocks: not for async code.
    pub fn ask(&self, order: Order) -> Result<Reply, DoorError> {
        self.put(|ticket| Input::Asked { ticket, order })
    }

    /// Hands a configuration over that was read again, or why it cannot be taken; waits until the
    /// answer is durable. Blocks: not for async code.
    pub fn reconfigure(
        &self,
        order: Order,
        configuration: Result<Box<Configuration>, String>,
    ) -> Result<Reply, DoorError> {
        self.put(|ticket| Input::Reconfigured {
            ticket,
            order,
            configuration,
        })
    }

    fn put(&self, input: impl FnOnce(u64) -> Input) -> Result<Reply, DoorError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let ticket = {
            let mut waiting = self.waiting.lock();
            waiting.next_ticket += 1;
            let ticket = waiting.next_ticket;
            waiting.tickets.insert(ticket, answer);
            ticket
        };
        pass(Point::CommandAsked);
        let sent = self.lane.offer(Message::Input(input(ticket)));
        let result = match sent {
            Ok(()) => answered
                .recv_timeout(ANSWER_WAIT)
                .map_err(|_| DoorError::NoAnswer {
                    waited_s: ANSWER_WAIT.as_secs(),
                }),
            Err(lanes::Refused::Full { .. }) => Err(DoorError::Crowded),
            Err(lanes::Refused::Closed(_)) => Err(DoorError::Stopping),
        };
        self.waiting.lock().tickets.remove(&ticket);
        result
    }

    /// What waits, and for what. Blocks: not for async code.
    pub fn waits(&self) -> Result<Vec<Wait>, DoorError> {
        self.look(Message::AskWaits)
    }

    /// Why an object stands as it stands; none when it is not known. Blocks: not for async code.
    pub fn why(&self, object: Object) -> Result<Option<Why>, DoorError> {
        self.look(|answer| Message::AskWhy(object, answer))
    }

    /// What every task's release says now. Blocks: not for async code.
    pub fn gates(&self) -> Result<Vec<model::ruling::GateState>, DoorError> {
        self.look(Message::AskGates)
    }

    /// Asks for a picture of what is.
    fn look<T>(
        &self,
        message: impl FnOnce(mpsc::SyncSender<T>) -> Message,
    ) -> Result<T, DoorError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.lane
            .offer(message(answer))
            .map_err(|_| DoorError::Stopping)?;
        answered
            .recv_timeout(ANSWER_WAIT)
            .map_err(|_| DoorError::NoAnswer {
                waited_s: ANSWER_WAIT.as_secs(),
            })
    }

    /// Asks the agent to stop: what is decided is recorded, what is under way is ended.
    pub fn stop(&self) -> Result<(), DoorError> {
        // A crowded lane empties at the engine's next step.
        loop {
            match self.lane.offer(Message::Stop) {
                Ok(()) => return Ok(()),
                Err(lanes::Refused::Closed(_)) => return Err(DoorError::Stopping),
                Err(lanes::Refused::Full { .. }) => std::thread::sleep(CROWDED_PAUSE),
            }
        }
    }

    pub(crate) fn answer(&self, ticket: u64, reply: Reply) {
        if let Some(answer) = self.waiting.lock().tickets.remove(&ticket) {
            // Whoever asked may have given up: then nobody needs the answer.
            let _ = answer.try_send(reply);
        }
    }
}
