//! The sending ends of plain lanes: [`wait`] makes its sender wait for room, [`refuse`] gives the
//! value back.
//!
//! In: values. Out: the same values in order of each sender, to one [`Receiver`]. A lane never
//! drops a value it took and never takes more than its capacity.

use crate::receiver::{Lane, Receiver};
use crossbeam_channel as channel;
use std::marker::PhantomData;
use thiserror::Error;

/// Overflow policy: the sender waits for room. For what must not be lost and may slow its source
/// down.
#[derive(Clone, Copy, Debug)]
pub enum Wait {}

/// Overflow policy: the sender gets the value back at once. For callers who can say "busy" to
/// somebody.
#[derive(Clone, Copy, Debug)]
pub enum Refuse {}

/// The receiver is gone; the value is given back.
#[derive(Debug, PartialEq, Eq, Error)]
#[error(
    "could not send into a lane: its receiver is gone, so its agent has stopped; stop sending or \
    start the agent again"
)]
pub struct Closed<T>(pub T);

/// Why a [`Refuse`] lane did not take a value; it is given back.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Refused<T> {
    /// No room.
    #[error(
        "could not send into a lane: it holds {capacity} values already and its policy is to \
        refuse; try again later"
    )]
    Full {
        /// The value that was not taken.
        value: T,
        /// How many values the lane can hold.
        capacity: usize,
    },
    /// The receiver is gone.
    #[error(
        "could not send into a lane: its receiver is gone, so its agent has stopped; stop sending \
        or start the agent again"
    )]
    Closed(T),
}

/// The sending end of a lane; clones share the lane. The policy `P` decides which verb it has.
#[derive(Debug)]
pub struct Sender<T, P> {
    inner: channel::Sender<T>,
    policy: PhantomData<fn() -> P>,
}

// Written by hand: a derived Clone would ask for `T: Clone`.
impl<T, P> Clone for Sender<T, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            policy: PhantomData,
        }
    }
}

impl<T, P> Sender<T, P> {
    /// How many values wait in the lane now.
    pub fn depth(&self) -> usize {
        self.inner.len()
    }

    /// How many values the lane can hold.
    pub fn capacity(&self) -> usize {
        self.inner.capacity().expect("every lane is made bounded")
    }
}

impl<T> Sender<T, Wait> {
    /// Puts a value into the lane, waiting while it is full.
    pub fn send(&self, value: T) -> Result<(), Closed<T>> {
        self.inner
            .send(value)
            .map_err(|channel::SendError(value)| Closed(value))
    }
}

impl<T> Sender<T, Refuse> {
    /// Puts a value into the lane if there is room; never waits.
    pub fn offer(&self, value: T) -> Result<(), Refused<T>> {
        self.inner.try_send(value).map_err(|error| match error {
            channel::TrySendError::Full(value) => Refused::Full {
                value,
                capacity: self.capacity(),
            },
            channel::TrySendError::Disconnected(value) => Refused::Closed(value),
        })
    }
}

/// A lane of at most `capacity` values whose senders wait for room.
pub fn wait<T>(capacity: usize) -> (Sender<T, Wait>, Receiver<T>) {
    plain(capacity)
}

/// A lane of at most `capacity` values that refuses more.
pub fn refuse<T>(capacity: usize) -> (Sender<T, Refuse>, Receiver<T>) {
    plain(capacity)
}

fn plain<T, P>(capacity: usize) -> (Sender<T, P>, Receiver<T>) {
    assert!(
        capacity > 0,
        "a lane without room would hand over only while both ends wait"
    );
    let (inner, outer) = channel::bounded(capacity);
    (
        Sender {
            inner,
            policy: PhantomData,
        },
        Receiver::single(Lane::Plain(outer)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_waiting_lane_loses_nothing_and_keeps_each_senders_order() {
        const SENDERS: u64 = 4;
        const EACH: u64 = 20_000;
        let (sender, mut receiver) = wait::<(u64, u64)>(7);
        let threads: Vec<_> = (0..SENDERS)
            .map(|who| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for n in 0..EACH {
                        sender.send((who, n)).expect("the receiver lives");
                    }
                })
            })
            .collect();
        drop(sender);
        let mut next = [0; SENDERS as usize];
        let mut batch = Vec::new();
        while let Ok(taken) = receiver.recv_batch(&mut batch, 16, None) {
            assert!((1..=16).contains(&taken), "a batch of {taken}");
            for (who, n) in batch.drain(..) {
                assert_eq!(n, next[who as usize], "sender {who}");
                next[who as usize] += 1;
            }
        }
        assert_eq!(next, [EACH; SENDERS as usize]);
        for thread in threads {
            thread.join().expect("senders end");
        }
    }

    #[test]
    fn a_refusing_lane_gives_the_value_back() {
        let (sender, mut receiver) = refuse(2);
        assert_eq!(sender.offer('a'), Ok(()));
        assert_eq!(sender.offer('b'), Ok(()));
        let full = sender.offer('c').expect_err("two is its capacity");
        assert_eq!(
            full,
            Refused::Full {
                value: 'c',
                capacity: 2
            }
        );
        assert!(full.to_string().contains("holds 2 values"), "{full}");
        assert_eq!(sender.depth(), 2);
        let mut out = Vec::new();
        assert_eq!(receiver.recv_batch(&mut out, 1, None), Ok(1));
        assert_eq!(sender.offer('d'), Ok(()));
        drop(receiver);
        assert_eq!(sender.offer('e'), Err(Refused::Closed('e')));
    }

    #[test]
    fn a_waiting_sender_learns_that_its_receiver_is_gone() {
        let (sender, receiver) = wait(1);
        sender.send(1).expect("room for one");
        let blocked = thread::spawn(move || sender.send(2));
        drop(receiver);
        assert_eq!(blocked.join().expect("no panic"), Err(Closed(2)));
    }
}
