//! Which job is served next (D15). Never awaits, never looks at a clock of its own.
//!
//! Two levels: groups (a run's work in one class) and below them jobs, by latest start = deadline -
//! predicted rest of the chain. The order is a constant of the job, so nothing is re-sorted as time
//! passes, and re-prioritising touches groups only. A job whose latest start has passed moves to
//! its class's late lane, where the oldest is first; that lane is served from a kept share and
//! whenever nothing feasible waits, because plain least slack collapses under overload: it would
//! always prefer the job that cannot be saved any more.

mod queue;

pub use queue::{GroupKey, Queue};
