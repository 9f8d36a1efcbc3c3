//! What stands in a journal, line by line: a checksum, a blank, and a record as JSON.
//!
//! The first line of a file is its heading; in the first file of an epoch the state that the engine
//! was restored from follows; then come steps in their order. A checksum goes on from the one of
//! the line before, so that a line which is changed, missing or out of place is seen. In come
//! records, out come lines, and back; whatever is not a line that was written here is refused, and
//! nothing in a file may make a reader panic.

use engine::{Configuration, Effect, Input, ReleasePolicy, Setup};
use model::arrival::Completion;
use model::command::Order;
use model::configuration::ConfigurationText;
use model::ids::{AgentNumber, Epoch};
use model::names::ProfileName;
use model::rows::Rows;
use model::run::RunType;
use model::time::{Moment, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The first word of a journal, with the version of what follows.
pub(super) const SCHEMA: &str = "tier0-journal-1";
/// Digits of a checksum.
const DIGITS: usize = 16;

/// Reads a configuration again from what was typed then, or says why not.
pub type Resolve<'r> = &'r dyn Fn(&ConfigurationText) -> Result<Configuration, String>;

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// What the file is.
    Heading(Heading),
    /// What the engine began with.
    Restored(Box<Restored>),
    /// The engine was told something.
    Stepped(Box<Stepped>),
    /// The agent ended, with this fingerprint of its engine.
    Ended(u64),
}

/// What a file is, and who can replay it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// [`SCHEMA`].
    pub schema: String,
    /// Which agent wrote it.
    pub agent: AgentNumber,
    /// In which of its epochs.
    pub epoch: Epoch,
    /// Which file of that epoch, from 1 on.
    pub part: u32,
    /// The last checksum of the part before; 0 in the first.
    pub follows: u64,
    /// The program that wrote it.
    pub build: Build,
    /// Hash of the configuration that was in force at the start.
    pub configuration: String,
}

/// A program by its content: the same build replays a journal byte for byte, another may decide
/// otherwise and be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Its version, for people.
    pub version: String,
    /// A hash of the program's file.
    pub hash: String,
    /// Its path: definitions name it.
    pub program: String,
}

/// What an engine was restored from: its certificate of birth with configurations as texts, and the
/// rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    agent: AgentNumber,
    epoch: Epoch,
    configuration: ConfigurationText,
    earlier: Vec<ConfigurationText>,
    cores: u32,
    completions: BTreeMap<ProfileName, Completion>,
    default_run_type: RunType,
    release_soak: Option<Span>,
    archive_after: Option<Span>,
    next_id: Option<i64>,
    now: Moment,
    rows: Rows,
}

impl Restored {
    /// What [`engine::Engine::restore`] is about to get.
    pub fn new(setup: &Setup, next_id: Option<i64>, rows: Rows, now: Moment) -> Self {
        let text = |configuration: &Configuration| written(configuration, now);
        Self {
            agent: setup.agent,
            epoch: setup.epoch,
            configuration: text(&setup.configuration),
            earlier: setup.earlier.iter().map(text).collect(),
            cores: setup.cores,
            completions: setup.completions.clone(),
            default_run_type: setup.default_run_type,
            release_soak: setup.release.map(|policy| policy.soak),
            archive_after: setup.archive_after,
            next_id,
            now,
            rows,
        }
    }

    /// The same engine as then.
    pub fn engine(self, resolve: Resolve<'_>) -> Result<engine::Engine, String> {
        let setup = Setup {
            agent: self.agent,
            epoch: self.epoch,
            configuration: read_again(self.configuration, resolve)?,
            earlier: self
                .earlier
                .into_iter()
                .map(|text| read_again(text, resolve))
                .collect::<Result<_, _>>()?,
            cores: self.cores,
            completions: self.completions,
            default_run_type: self.default_run_type,
            release: self.release_soak.map(|soak| ReleasePolicy { soak }),
            archive_after: self.archive_after,
        };
        let (next_id, rows, now) = (self.next_id, self.rows, self.now);
        Ok(engine::Engine::restore(setup, next_id, rows, now))
    }
}

fn written(configuration: &Configuration, now: Moment) -> ConfigurationText {
    ConfigurationText {
        hash: configuration.hash.clone(),
        text: configuration.text.clone(),
        taken_at: now,
    }
}

fn read_again(text: ConfigurationText, resolve: Resolve<'_>) -> Result<Configuration, String> {
    resolve(&text).map_err(|why| {
        let hash = &text.hash;
        format!("configuration {hash} cannot be read again: {why}")
    })
}

/// One thing that the engine was told, and what it made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stepped {
    /// What time it was told.
    pub at: Moment,
    /// What.
    pub told: Told,
    /// A digest of each effect, in their order; none if the step did not come to its end.
    pub effects: Option<Vec<u32>>,
    /// The fingerprint of the engine after it, where it was taken.
    pub state: Option<u64>,
}

/// An input as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// As it is.
    Input(Input),
    /// A configuration: as the text that it was read from.
    Reconfigured {
        /// Whom to answer.
        ticket: u64,
        /// Who asked, and why.
        order: Order,
        /// What new runs get, or every mistake because of which it is not taken.
        configuration: Result<ConfigurationText, String>,
    },
}

impl Told {
    /// As it is written.
    pub fn of(input: Input, now: Moment) -> Self {
        match input {
            Input::Reconfigured {
                ticket,
                order,
                configuration,
            } => Self::Reconfigured {
                ticket,
                order,
                configuration: configuration.map(|configuration| written(&configuration, now)),
            },
            input => Self::Input(input),
        }
    }

    /// As the engine is told.
    pub fn input(self, resolve: Resolve<'_>) -> Result<Input, String> {
        Ok(match self {
            Self::Input(input) => input,
            Self::Reconfigured {
                ticket,
                order,
                configuration,
            } => Input::Reconfigured {
                ticket,
                order,
                configuration: match configuration {
                    Ok(text) => Ok(Box::new(read_again(text, resolve)?)),
                    Err(mistakes) => Err(mistakes),
                },
            },
        })
    }
}

/// A digest of an effect: the same effect of the same build has the same.
pub fn digest(effect: &Effect) -> u32 {
    let mut hash = Fnv::START;
    // Writing into a hash cannot fail.
    let _ = write!(hash, "{effect:?}");
    (hash.0 ^ (hash.0 >> 32)) as u32
}

/// A record as the line that follows one with checksum `before`, and its own checksum.
pub(crate) fn line_of(record: &Record, before: u64) -> Result<(String, u64), serde_json::Error> {
    let text = serde_json::to_string(record)?;
    let checksum = checksum(text.as_bytes(), before);
    Ok((format!("{checksum:016x} {text}\n"), checksum))
}

/// The record of a line without its end, and its checksum; or what is wrong with it.
pub(crate) fn record_of(line: &[u8], before: u64) -> Result<(Record, u64), &'static str> {
    let (digits, rest) = line.split_at_checked(DIGITS).ok_or("it is too short")?;
    let text = rest
        .strip_prefix(b" ")
        .ok_or("it is no line of a journal")?;
    let checksum = checksum(text, before);
    if digits != format!("{checksum:016x}").as_bytes() {
        return Err("its checksum is that of another line");
    }
    let record = serde_json::from_slice(text).map_err(|_| "it holds no record")?;
    Ok((record, checksum))
}

fn checksum(text: &[u8], before: u64) -> u64 {
    let mut hash = Fnv::START;
    hash.take(&before.to_le_bytes());
    hash.take(text);
    hash.0
}

/// FNV-1a, 64 bits (draft-eastlake-fnv).
struct Fnv(u64);

impl Fnv {
    const START: Self = Self(0xcbf2_9ce4_8422_2325);

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.take(text.as_bytes());
        Ok(())
    }
}
