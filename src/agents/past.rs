//! Runs that become history, around the engine's thread (D12): slices of their rows go to the
//! writer one at a time, and files that come for such runs are looked up by a thread that only
//! reads, so that no question makes a batch wait (D19).
//!
//! In come what the engine asks for, out come its inputs. What cannot be read now is asked again;
//! nothing here may be forgotten while the agent lives.

use crate::ending::AgentError;
use crate::message::Message;
use crate::surroundings::Surroundings;
use crate::threads::{Performer, performer};
use crate::writer::Writing;
use engine::Input;
use lanes::{Receiver, Refuse, Sender, Wait};
use model::alarm::Severity;
use model::arrival::Arrival;
use model::ids::RunNumber;
use model::trouble::Trouble;
use ports::failpoint::{Point, pass};
use ports::store::Recall;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Files looked up in one go.
const BUNCH_MAX: usize = 512;
/// Files that may wait to be looked up before intake stops: the folders are the buffer.
const CROWD: usize = 8_192;
/// How soon a store that could not be read is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// Its name among those who have troubles.
const WHO: &str = "recall";
/// The alarm that stands meanwhile.
const UNREAD: &str = "store/history";

/// What the engine's thread keeps about history.
pub(crate) struct Past {
    writer: Sender<Writing, Refuse>,
    recall: Sender<Vec<Arrival>, Refuse>,
    slices: VecDeque<RunNumber>,
    slice_is_out: bool,
    files: VecDeque<Arrival>,
    bunch_is_out: bool,
    lost: Option<&'static str>,
}

impl Past {
    pub(crate) fn new(
        writer: Sender<Writing, Refuse>,
        recall: Sender<Vec<Arrival>, Refuse>,
    ) -> Self {
        Self {
            writer,
            recall,
            slices: VecDeque::new(),
            slice_is_out: false,
            files: VecDeque::new(),
            bunch_is_out: false,
            lost: None,
        }
    }

    /// A slice of a run's rows is to be moved.
    pub(crate) fn archive(&mut self, run: RunNumber) {
        pass(Point::ReleaseArchive);
        self.slices.push_back(run);
        self.give();
    }

    /// A file is to be looked up.
    pub(crate) fn look_up(&mut self, file: Arrival) {
        self.files.push_back(file);
        self.give();
    }

    /// A slice was moved: the writer is free for the next.
    pub(crate) fn slice_done(&mut self) {
        self.slice_is_out = false;
        self.give();
    }

    /// Every file of a bunch was answered.
    pub(crate) fn bunch_done(&mut self) {
        self.bunch_is_out = false;
        self.give();
    }

    /// A performer whose lane is closed: nothing given to it is done any more.
    pub(crate) fn lost(&self) -> Option<&'static str> {
        self.lost
    }

    /// Whether so many files wait to be looked up that no more should be taken in.
    pub(crate) fn is_crowded(&self) -> bool {
        self.files.len() > CROWD
    }

    /// Each of the two has one thing at a time, and room for it.
    fn give(&mut self) {
        if !self.slice_is_out
            && let Some(run) = self.slices.pop_front()
        {
            self.slice_is_out = true;
            if self.writer.offer(Writing::Slice(run)).is_err() {
                self.lost = Some("writer");
            }
        }
        if !self.bunch_is_out && !self.files.is_empty() {
            self.bunch_is_out = true;
            let bunch = self
                .files
                .drain(..self.files.len().min(BUNCH_MAX))
                .collect();
            if self.recall.offer(bunch).is_err() {
                self.lost = Some(WHO);
            }
        }
    }
}

/// Starts the thread that looks files up; gives its lane.
pub(crate) fn start(
    store: Arc<dyn Recall>,
    engine: &Sender<Message, Wait>,
    surroundings: Surroundings,
) -> Result<Performer<Vec<Arrival>>, AgentError> {
    let (sender, lane) = lanes::refuse(1);
    let answers = engine.clone();
    let thread = performer(WHO, engine, move || {
        recaller(&store, lane, &answers, &surroundings);
    })?;
    Ok((sender, thread))
}

/// Looks files up until the lane closes.
fn recaller(
    store: &Arc<dyn Recall>,
    mut bunches: Receiver<Vec<Arrival>>,
    engine: &Sender<Message, Wait>,
    surroundings: &Surroundings,
) {
    while let Ok(Some(bunch)) = bunches.recv(None) {
        pass(Point::RecallTaken);
        let known = loop {
            match store.recall(bunch.clone()) {
                Ok(known) => break known,
                Err(error) => surroundings.raise(WHO, unread(&error.to_string())),
            }
            if surroundings.is_ending() {
                return;
            }
            std::thread::sleep(PAUSE);
        };
        surroundings.over(WHO, UNREAD);
        pass(Point::RecallTelling);
        for answer in known {
            let input = Input::Recalled(Box::new(answer));
            if engine.send(Message::Input(input)).is_err() {
                return;
            }
        }
        if engine.send(Message::LookedUp).is_err() {
            return;
        }
        pass(Point::RecallTold);
    }
}

fn unread(why: &str) -> Trouble {
    Trouble {
        key: UNREAD.to_owned(),
        severity: Severity::Medium,
        text: format!(
            "Files of archived runs could not be looked up: {why}. They stay in their folder and \
             are asked for again until the store answers; everything else goes on."
        ),
    }
}
