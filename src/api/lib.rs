//! HTTP windows on a running instance: read the catalogue, ask for commands, watch health and
//! metrics.
//!
//! In: requests of people and programs. Out: JSON in the shapes of the room `view`; every error is
//! a problem document (RFC 9457) with a code and a hint. Reads go to the
//! [`ports::catalogue::Catalogue`], commands through a [`CommandDoor`] to the engine, and neither
//! ever runs on the thread that serves the sockets.
//!
//! This room must never write to a store, never decide anything, and never serve beyond the host
//! unless it was told to in so many words ([`Reach`]). Pages of web sites are kept out: a request
//! must name a host that is ours.

mod commands;
mod conditions;
mod datasets;
mod elements;
mod files;
mod gates;
mod job_verbs;
mod guard;
mod missing;
mod patience;
mod problem;
mod query;
mod reads;
mod routes;
mod server;

pub use server::{Listen, Reach, ServeError, ServerHandle, serve};

use model::alarm::Alarm;
use model::command::{Order, Reply};
use model::names::FileName;
use model::time::Moment;
use model::wait::{Object, Why};
use ports::catalogue::Catalogue;
use ports::storage::ReadBack;
use std::sync::Arc;
use view::health::SystemView;
use view::latency::LatencyView;

/// What the windows look at.
#[derive(Clone)]
pub struct ApiParts {
    /// Answers questions.
    pub catalogue: Arc<dyn Catalogue>,
    /// Takes commands.
    pub commands: Arc<dyn CommandDoor>,
    /// Knows how the instance fares.
    pub status: Arc<dyn StatusSource>,
    /// Reads files back.
    pub files: Arc<dyn ReadBack>,
    /// Reads published documents.
    pub documents: Arc<dyn DocumentSource>,
}

/// Where published documents are read.
pub trait DocumentSource: Send + Sync {
    /// The text of an output that has at most so many bytes, or what was tried, why it failed and
    /// what to do. May take as long as reading does; never follows a link.
    fn document(&self, name: &FileName, bytes_max: u64) -> Result<String, String>;
}

/// Where commands are handed to the engine.
pub trait CommandDoor: Send + Sync {
    /// Asks, and waits until the answer is durable. Asking twice does no more than asking once.
    fn ask(&self, order: Order) -> Result<Reply, DoorError>;
    /// Why an object stands as it stands; none when the engine does not know it.
    fn why(&self, object: Object) -> Result<Option<Why>, DoorError>;

    /// What every task's release says now.
    fn gates(&self) -> Result<Vec<model::ruling::GateState>, DoorError>;
}

/// Why a command got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// The engine is not running yet, or no more.
    #[error(
        "{tried}: the engine takes no commands now ({detail}); ask again when /readyz says yes"
    )]
    Closed {
        /// What was tried.
        tried: String,
        /// Why.
        detail: String,
    },
    /// Nobody knows whether it was done; asking again is safe.
    #[error("{tried}: no answer in time ({detail}); ask again, it does no more than asking once")]
    Unknown {
        /// What was tried.
        tried: String,
        /// Why.
        detail: String,
    },
}

/// What the driver knows of itself. Called often; must answer at once and never wait for the
/// engine.
pub trait StatusSource: Send + Sync {
    /// The moment for `as_of`.
    fn now(&self) -> Moment;
    /// Whether the instance takes files and commands.
    fn ready(&self) -> bool;
    /// Alarms about what is wrong around the instance now; the store may not have them yet.
    fn troubles(&self) -> Vec<Alarm>;
    /// All measures as OpenMetrics text, `# EOF` included.
    fn metrics(&self) -> String;
    /// The hops of the instance as a whole.
    fn latency(&self) -> Vec<LatencyView>;
    /// The instance itself.
    fn system(&self) -> SystemView;
}
