//! Bounded corridors between threads. What comes in are values of any type, what goes out are
//! batches of them, and what happens when a corridor is full is part of its type: [`Wait`],
//! [`Refuse`] or [`Coalesce`].
//!
//! A [`Receiver`] may own several lanes behind one wake-up: [`Receiver::joined`] puts urgent lanes
//! before data lanes, so that commands overtake data. [`latest()`] hands on only the newest value.
//! Nothing here is ever unbounded, and nobody spins for long: waiting spins for about a
//! microsecond, yields a few times, then parks.
//!
//! There is no atomic, no fence and no sleep/wake handshake of our own in this room: queues and
//! parking are crossbeam-channel's (its `Select` is the shared wake-up), [`latest()`] and the
//! coalescing slots are plain mutexes. So there is nothing for loom to model (D25); stress tests
//! check the arrangement. Whoever adds an atomic here says who writes it, who reads it and why that
//! ordering, and adds its model.

mod coalesce;
mod lane;
mod latest;
mod receiver;

pub use coalesce::{Coalesce, CoalesceSender, coalesce};
pub use lane::{Closed, Refuse, Refused, Sender, Wait, refuse, wait};
pub use latest::{LatestReader, LatestSender, latest};
pub use receiver::{AllClosed, Receiver};
