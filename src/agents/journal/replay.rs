//! A journal done again: a new engine is told the same, at the same times, and must make the same
//! of it.
//!
//! In comes the path of a journal's first part, out comes how far it is equal, and the first step
//! at which it is not. Effects are compared by their digests, after every input; the engine's
//! fingerprint wherever the journal has it. Nothing is performed.

use super::reading::{Next, Reader};
use super::record::{Build, Heading, Record, Resolve, Stepped, digest};
use engine::{Configuration, Effect, Engine, Input};
use model::configuration::ConfigurationText;
use model::time::Moment;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Reads a configuration again, as the program of that path did.
pub type Again<'a> = &'a dyn Fn(&Path, &ConfigurationText) -> Result<Configuration, String>;

/// Letters of an input or effect that are shown.
const SHOWN: usize = 600;

/// Why a file is not replayed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It cannot be read.
    #[error("reading the journal {path}: {source}; name the first part of an epoch's journal")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is something else.
    #[error(
        "{path} is no journal that can be replayed: {why}; name the first part of an epoch's \
         journal (instance.journal says where they are)"
    )]
    NoJournal {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another program wrote it.
    #[error(
        "{path} was written by another program: tier0 {} with hash {} ({}), this is tier0 {} with \
         hash {}; only the program that wrote a journal decides the same, so replay it with that one",
        theirs.version, theirs.hash, theirs.program, ours.version, ours.hash
    )]
    OtherBuild {
        /// Which.
        path: PathBuf,
        /// Who wrote it.
        theirs: Box<Build>,
        /// Who reads it.
        ours: Box<Build>,
    },
    /// Not the first part.
    #[error(
        "{path} is part {part} of its epoch, and what the engine began with stands in the first \
         one; replay {first}, the parts behind it follow by themselves"
    )]
    LaterPart {
        /// Which.
        path: PathBuf,
        /// Its number.
        part: u32,
        /// Where to begin.
        first: PathBuf,
    },
    /// What it begins with cannot be had again.
    #[error("{path}: {why}; nothing was replayed")]
    State {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// How a journal ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the end of the agent.
    Ordered,
    /// Behind its last whole line there is nothing: the process was ended, still runs, or its
    /// journal was switched off.
    Open,
    /// So many bytes of a line that was cut are passed over.
    Torn(u64),
    /// Something else stands in its place: nothing from there on is replayed.
    Damaged(String),
    /// A departure: what follows says nothing more.
    Departed,
}

/// The first step at which the engine made something else of what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Which input, from 1 on; ends of batches count.
    pub input: u64,
    /// In which batch, from 1 on.
    pub batch: u64,
    /// When it was told.
    pub at: Moment,
    /// What it was told.
    pub told: String,
    /// What differs.
    pub differs: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// What the file says of itself.
    pub heading: Heading,
    /// Files read.
    pub parts: u32,
    /// Inputs told, ends of batches among them.
    pub inputs: u64,
    /// Batches of inputs.
    pub batches: u64,
    /// Effects compared.
    pub effects: u64,
    /// Fingerprints compared.
    pub fingerprints: u64,
    /// How the journal ends.
    pub ending: Ending,
    /// Where it departs.
    pub departure: Option<Departure>,
}

impl Replayed {
    /// Whether all of an undamaged journal gave the same.
    pub fn is_equal(&self) -> bool {
        self.departure.is_none() && !matches!(self.ending, Ending::Damaged(_))
    }
}

/// Replays a journal that `build` wrote, from its first part on. `again` reads a configuration as
/// the program of that path did.
pub fn replay(path: &Path, build: &Build, again: Again<'_>) -> Result<Replayed, Refused> {
    let unreadable = |source| Refused::Unreadable {
        path: path.to_owned(),
        source,
    };
    let refused = |why: String| Refused::State {
        path: path.to_owned(),
        why,
    };
    let mut reader = Reader::open(path, build)?;
    let program = PathBuf::from(&reader.heading.build.program);
    let resolve: Resolve<'_> = &|text| again(&program, text);
    let mut player = match reader.next().map_err(unreadable)? {
        Next::Record(Record::Restored(restored)) => {
            let engine = catch_unwind(AssertUnwindSafe(|| restored.engine(resolve)));
            let engine = engine.unwrap_or_else(|_| Err("restoring it panics: a bug".to_owned()));
            Player::new(engine.map_err(refused)?)
        }
        Next::Damaged(why) => return Err(refused(why)),
        Next::Record(_) => return Err(refused("its second line is no restored state".to_owned())),
        Next::End | Next::Torn(_) => {
            let why = "its process ended before the restored state was written";
            return Err(refused(why.to_owned()));
        }
    };
    let ending = loop {
        let record = match reader.next().map_err(unreadable)? {
            Next::Record(record) => record,
            Next::End => break Ending::Open,
            Next::Torn(bytes) => break Ending::Torn(bytes),
            Next::Damaged(why) => break Ending::Damaged(why),
        };
        match record {
            Record::Stepped(step) => player.play(*step, resolve).map_err(refused)?,
            Record::Ended(state) => player.compare_end(state),
            Record::Heading(_) | Record::Restored(_) => {
                break Ending::Damaged("it begins again in its middle".to_owned());
            }
        }
        if player.departure.is_some() {
            break Ending::Departed;
        }
        if player.has_ended {
            break Ending::Ordered;
        }
    };
    Ok(Replayed {
        heading: reader.heading,
        parts: reader.parts,
        inputs: player.inputs,
        batches: player.batches,
        effects: player.compared,
        fingerprints: player.fingerprints,
        ending,
        departure: player.departure,
    })
}

/// An engine that is told everything once more.
struct Player {
    engine: Engine,
    effects: Vec<Effect>,
    inputs: u64,
    batches: u64,
    compared: u64,
    fingerprints: u64,
    has_ended: bool,
    departure: Option<Departure>,
}

impl Player {
    fn new(engine: Engine) -> Self {
        Self {
            engine,
            effects: Vec::new(),
            inputs: 0,
            batches: 0,
            compared: 0,
            fingerprints: 0,
            has_ended: false,
            departure: None,
        }
    }

    /// Tells the engine once more, and compares what it makes of it.
    fn play(&mut self, step: Stepped, resolve: Resolve<'_>) -> Result<(), String> {
        let input = step.told.input(resolve)?;
        let (at, batch) = (step.at, self.batches + 1);
        self.inputs += 1;
        self.batches += u64::from(input == Input::Tick);
        let told = shown(&input);
        self.effects.clear();
        let again = AssertUnwindSafe(|| self.engine.step(at, input, &mut self.effects));
        let panicked = catch_unwind(again).is_err();
        let differs = match (panicked, step.effects) {
            (true, _) => Some("the engine panics: a bug".to_owned()),
            (false, None) => Some("the step did not come to its end then, and does now".to_owned()),
            (false, Some(then)) => self.compare_effects(&then),
        };
        let differs = differs.or_else(|| self.compare_state(step.state));
        self.departure = differs.map(|differs| Departure {
            input: self.inputs,
            batch,
            at,
            told,
            differs,
        });
        Ok(())
    }

    /// What is different of the effects, if anything is.
    fn compare_effects(&mut self, then: &[u32]) -> Option<String> {
        self.compared += then.len() as u64;
        let now: Vec<u32> = self.effects.iter().map(digest).collect();
        if now == then {
            return None;
        }
        let mut both = now.iter().zip(then);
        let place = both.position(|(now, then)| now != then);
        let place = place.unwrap_or_else(|| now.len().min(then.len()));
        let (count, of) = (now.len(), then.len());
        let effect = match self.effects.get(place) {
            Some(effect) => format!("now it is {}", shown(effect)),
            None => "now there is none".to_owned(),
        };
        let number = place + 1;
        Some(format!(
            "{of} effects followed then, {count} do now; number {number} is the first that \
             differs, and {effect}"
        ))
    }

    fn compare_state(&mut self, then: Option<u64>) -> Option<String> {
        let then = then?;
        self.fingerprints += 1;
        let now = self.engine.fingerprint();
        (now != then).then(|| {
            format!("the engine's fingerprint behind it was {then:016x}, and is {now:016x} now")
        })
    }

    /// The agent ended, with this fingerprint.
    fn compare_end(&mut self, then: u64) {
        self.has_ended = true;
        self.departure = self.compare_state(Some(then)).map(|differs| Departure {
            input: self.inputs,
            batch: self.batches,
            at: Moment::default(),
            told: "the end".to_owned(),
            differs,
        });
    }
}

fn shown(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}
