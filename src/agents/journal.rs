//! The journal of an agent (D5): everything that its engine was told, in order, with what the
//! engine began with, so that the same program can do it all again and say where it departs.
//!
//! Off unless somebody asks for it. In come what the engine's thread steps; out come lines in a
//! folder, written by a thread of its own. It is never synced and nothing needs it: whatever
//! hinders it switches it off with an alarm, and the engine's thread never waits for it. Must never
//! change what the engine is told.

mod place;
mod reading;
mod record;
mod replay;
#[cfg(test)]
mod tests;

pub use record::{Build, Heading, Record, Resolve, Restored, Stepped, Told, digest};
pub use replay::{Again, Departure, Ending, Refused, Replayed, replay};

use crate::ending::AgentError;
use crate::surroundings::Surroundings;
use crate::threads::spawn;
use engine::{Effect, Engine, Input, Setup};
use lanes::{Receiver, Refuse, Sender};
use model::alarm::Severity;
use model::ids::{AgentNumber, Epoch};
use model::rows::Rows;
use model::time::Moment;
use model::trouble::Trouble;
use place::{Full, Parts};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Batches that may wait to be written. A disk that is further behind ends the journal: memory is
/// bounded, and the line does not wait.
const LANE: usize = 1_024;
/// A fingerprint costs as much as the whole state is large: one is taken at most so often, ...
const FINGERPRINT_EVERY: Duration = Duration::from_millis(100);
/// ... and never for more than one part in so many of the engine's time.
const FINGERPRINT_SHARE: u32 = 200;
/// Its name among those who have troubles.
const WHO: &str = "journal";
/// The key of the alarm about one that goes on no more.
const OFF: &str = "journal/off";

/// Finds out which program this is.
pub type WhichBuild = Box<dyn FnOnce() -> std::io::Result<Build> + Send>;

/// Where a journal shall be written.
pub struct JournalPlace {
    /// The folder of its files.
    pub folder: PathBuf,
    /// How much all of them may take together, in bytes.
    pub bytes_max: u64,
    /// The program that writes it: found out by the thread that writes, because that takes a while.
    pub build: WhichBuild,
}

/// What the journal's thread is given.
enum Page {
    /// What was stepped in a batch of inputs.
    Steps(Vec<Step>),
    /// The agent ends, with this fingerprint.
    Ended(u64),
}

/// An input, and what the engine made of it.
struct Step {
    at: Moment,
    input: Input,
    /// None while the step is under way.
    effects: Option<Vec<Effect>>,
    state: Option<u64>,
}

/// An engine whose steps are written down, if somebody asked for that.
pub(crate) struct Journaled {
    engine: Engine,
    pen: Option<Pen>,
}

/// The engine's end of a journal.
struct Pen {
    lane: Sender<Page, Refuse>,
    page: Vec<Step>,
    next_fingerprint: Instant,
    /// The lane was full once: written by the engine's thread before it closes the lane, read by
    /// the journal's after that.
    overrun: Arc<AtomicBool>,
}

impl Journaled {
    /// Restores an engine; its journal, if there shall be one, begins with what it gets.
    pub(crate) fn restore(
        place: Option<JournalPlace>,
        (setup, next_id, rows): (Setup, Option<i64>, Rows),
        now: Moment,
        surroundings: &Surroundings,
    ) -> Result<(Self, Option<JoinHandle<()>>), AgentError> {
        let (pen, thread) = match place {
            Some(place) => {
                let restored = Restored::new(&setup, next_id, rows.clone(), now);
                let (pen, thread) = begin(place, &setup, restored, surroundings.clone())?;
                (Some(pen), Some(thread))
            }
            None => (None, None),
        };
        let engine = Engine::restore(setup, next_id, rows, now);
        Ok((Self { engine, pen }, thread))
    }

    /// As [`Engine::step`].
    pub(crate) fn step(&mut self, now: Moment, input: Input, effects: &mut Vec<Effect>) {
        let Some(pen) = &mut self.pen else {
            self.engine.step(now, input, effects);
            return;
        };
        let (before, is_tick) = (effects.len(), matches!(input, Input::Tick));
        pen.page.push(Step {
            at: now,
            input: input.clone(),
            effects: None,
            state: None,
        });
        self.engine.step(now, input, effects);
        let step = pen.page.last_mut().expect("it was pushed above");
        step.effects = Some(effects[before..].to_vec());
        if is_tick {
            pen.take_fingerprint(&self.engine);
            if !pen.turn() {
                self.pen = None;
            }
        }
    }
}

impl std::ops::Deref for Journaled {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

/// What is left is written, whatever was the end: of a panic the input that it came from.
impl Drop for Journaled {
    fn drop(&mut self) {
        if let Some(mut pen) = self.pen.take()
            && pen.turn()
            && !std::thread::panicking()
        {
            // A journal that cannot take it is one without an end.
            let _ = pen.lane.offer(Page::Ended(self.engine.fingerprint()));
        }
    }
}

impl Pen {
    /// Takes the engine's fingerprint, if that is not too much work.
    fn take_fingerprint(&mut self, engine: &Engine) {
        let began = Instant::now();
        if began < self.next_fingerprint {
            return;
        }
        if let Some(step) = self.page.last_mut() {
            step.state = Some(engine.fingerprint());
        }
        let pause = began.elapsed().saturating_mul(FINGERPRINT_SHARE);
        self.next_fingerprint = Instant::now() + pause.max(FINGERPRINT_EVERY);
    }

    /// Gives a page to the thread that writes; whether it took it.
    fn turn(&mut self) -> bool {
        let page = std::mem::take(&mut self.page);
        match self.lane.offer(Page::Steps(page)) {
            Ok(()) => true,
            Err(lanes::Refused::Full { .. }) => {
                self.overrun.store(true, Ordering::Relaxed);
                false
            }
            Err(lanes::Refused::Closed(_)) => false,
        }
    }
}

/// Starts the thread that writes.
fn begin(
    place: JournalPlace,
    setup: &Setup,
    restored: Restored,
    surroundings: Surroundings,
) -> Result<(Pen, JoinHandle<()>), AgentError> {
    let (sender, lane) = lanes::refuse(LANE);
    let overrun = Arc::new(AtomicBool::new(false));
    let pen = Pen {
        lane: sender,
        page: Vec::new(),
        next_fingerprint: Instant::now(),
        overrun: overrun.clone(),
    };
    let of = (setup.agent, setup.epoch);
    let configuration = setup.configuration.hash.clone();
    let thread = spawn(WHO, move || {
        let folder = place.folder.clone();
        let write = || write(place, of, &configuration, restored, lane);
        // Nothing depends on a journal: not even a bug in it stops the line.
        let why = match catch_unwind(AssertUnwindSafe(write)) {
            Ok(Err(full)) => full.to_string(),
            Err(_) => "a bug: its thread panicked".to_owned(),
            Ok(Ok(())) if overrun.load(Ordering::Relaxed) => {
                format!("its disk is more than {LANE} batches behind")
            }
            Ok(Ok(())) => return,
        };
        surroundings.raise(WHO, off(of.1, &folder, &why));
    })?;
    Ok((pen, thread))
}

/// Writes what comes until the lane closes.
fn write(
    place: JournalPlace,
    of: (AgentNumber, Epoch),
    configuration: &str,
    restored: Restored,
    mut lane: Receiver<Page>,
) -> Result<(), Full> {
    let build = (place.build)().map_err(Full::Build)?;
    let (folder, bytes_max) = (&place.folder, place.bytes_max);
    let mut parts = Parts::begin(folder, bytes_max, of, configuration, build)?;
    parts.write(&Record::Restored(Box::new(restored)))?;
    parts.flush()?;
    while let Ok(page) = lane.recv(None) {
        match page {
            Some(Page::Steps(steps)) => {
                for step in steps {
                    parts.write(&Record::Stepped(Box::new(written(step))))?;
                }
            }
            Some(Page::Ended(state)) => parts.write(&Record::Ended(state))?,
            None => {}
        }
        parts.flush()?;
    }
    Ok(())
}

fn written(step: Step) -> Stepped {
    Stepped {
        at: step.at,
        told: Told::of(step.input, step.at),
        effects: step.effects.map(|all| all.iter().map(digest).collect()),
        state: step.state,
    }
}

fn off(epoch: Epoch, folder: &Path, why: &str) -> Trouble {
    Trouble {
        key: OFF.to_owned(),
        severity: Severity::Low,
        text: format!(
            "The journal of epoch {epoch} in {} ended: {why}. Work goes on without it and nothing \
             depends on it; what is written can be replayed. A restart begins another one; for a \
             longer one give instance.journal more room.",
            folder.display()
        ),
    }
}
