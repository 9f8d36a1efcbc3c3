//! Where the drivers get the time from (D20).

use model::time::Moment;

/// A clock that never steps back while its process lives.
pub trait Clock: Send + Sync {
    /// Now, at least as late as every moment told before.
    fn now(&self) -> Moment;
}
