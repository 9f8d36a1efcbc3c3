//! Why an agent ended: values that say what was tried, and what to do before the next start.

use ports::store::StoreError;

/// Why an agent ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The store refuses for good.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A thread could not be started.
    #[error("starting thread {name}: {source}; raise the limit on threads or free memory")]
    Thread {
        /// Which.
        name: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The executor could not be made.
    #[error("{0}")]
    Executor(String),
    /// A performer's thread panicked: what is given to it would never be done.
    #[error(
        "a bug: the {0} thread panicked; the store is as of the last batch, a restart recovers from it"
    )]
    Performer(&'static str),
    /// The engine's thread panicked.
    #[error(
        "a bug: the engine's thread panicked; the store is as of the last batch, a restart recovers from it"
    )]
    Bug,
}
