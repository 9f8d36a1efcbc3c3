//! An executor: whatever runs programs for us, from processes beside us to a batch system far away.
//!
//! Its final shape: submit in batches with tokens, status with three values, cancel, adopt,
//! capabilities. What happens to an attempt comes back through the [`NewsSink`] given at
//! construction, in any order, possibly twice; the engine sorts it out by token. Adapters repeat
//! reads, never submissions (D16).

use model::ids::Token;
use model::trouble::Trouble;
use model::work::{AttemptNews, AttemptSpec};

/// What an executor can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Its name in rows and screens, e.g. `local`.
    pub name: String,
    /// Cores it offers at once.
    pub cores: u32,
    /// Attempts it takes in one call at best.
    pub bulk: u32,
    /// Whether an attempt ends for certain when its agent's epoch is over, so that it may start
    /// before its record is durable (D3).
    pub contained: bool,
    /// Whether attempts survive a restart of the agent and can be adopted.
    pub survives_restart: bool,
}

/// What became of one submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It has the attempt.
    Accepted,
    /// It has not, and never will: costs no attempt, counts against the place.
    Refused {
        /// Why, for people.
        reason: String,
    },
    /// Nobody knows; ask by token.
    Unknown {
        /// Why, for people.
        reason: String,
    },
}

/// What is known of an attempt now. `Unknown` never changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits or runs there.
    Alive,
    /// It is certain that it is not there (any more).
    Absent,
    /// The question could not be answered.
    Unknown,
}

/// Where news of attempts goes. Blocks when its corridor is full.
pub trait NewsSink: Send + Sync {
    /// Something happened to an attempt.
    fn news(&self, token: Token, news: AttemptNews);

    /// The executor's own place is in trouble. Said again it is the same trouble.
    fn trouble(&self, trouble: Trouble);

    /// The trouble of that key is over.
    fn trouble_over(&self, key: &str);
}

/// Runs programs.
pub trait Executor: Send {
    /// What it can do; the same answer for its whole life.
    fn capabilities(&self) -> Capabilities;

    /// Takes attempts. The answer has one entry for each, in order. An attempt whose token it
    /// already has is `Accepted` and not started again.
    fn submit(&mut self, attempts: &[AttemptSpec]) -> Vec<Submitted>;

    /// Asks after attempts; one answer for each, in order.
    fn status(&mut self, tokens: &[Token]) -> Vec<Status>;

    /// Everything that it has: the attempts that wait or run there, as it finds them there and not
    /// as it was told. Says again how those have ended that it knows of and that are not forgotten.
    /// None if that cannot be said now: that changes nothing.
    fn list(&mut self) -> Option<Vec<Token>>;

    /// Ends attempts with everything they started. The end is reported as news like any other.
    fn cancel(&mut self, tokens: &[Token]);

    /// Takes over attempts that an earlier process of this agent submitted; one answer for each, in
    /// order.
    fn adopt(&mut self, tokens: &[Token]) -> Vec<Status>;

    /// The outputs of these attempts are recorded, or they have failed and that is recorded: their
    /// folders may go.
    fn forget(&mut self, tokens: &[Token]);

    /// Starts what a task will need soon (workers, at run start); a hint.
    fn prepare(&mut self, plan: &std::sync::Arc<model::work::AttemptPlan>, count: u32);

    /// Ends what is kept for tasks that are needed no more (no run is open); a hint.
    fn release(&mut self);
}
