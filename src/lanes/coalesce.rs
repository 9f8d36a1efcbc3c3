//! A lane that keeps at most one value a key: a newer value replaces the one that still waits.
//!
//! In: keyed values. Out: for each key the newest value, in the order in which the keys began to
//! wait. The last value sent for a key always arrives; older ones may not. For progress, gauges and
//! board updates, never for facts.

use crate::lane::Refused;
use crate::receiver::{Lane, Receiver};
use crossbeam_channel as channel;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Overflow policy: a newer value replaces an older one of the same key.
#[derive(Clone, Copy, Debug)]
pub enum Coalesce {}

/// Where one key's value waits; `None` once it has been taken.
pub(crate) type Slot<T> = Arc<Mutex<Option<T>>>;

/// The sending end of a coalescing lane.
#[derive(Debug)]
pub struct CoalesceSender<K, T> {
    waiting: Arc<Mutex<BTreeMap<K, Slot<T>>>>,
    inner: channel::Sender<Slot<T>>,
}

impl<K, T> Clone for CoalesceSender<K, T> {
    fn clone(&self) -> Self {
        Self {
            waiting: self.waiting.clone(),
            inner: self.inner.clone(),
        }
    }
}

impl<K: Ord, T> CoalesceSender<K, T> {
    /// Puts a value into the lane, in place of one of the same key that still waits; never waits
    /// itself. Refuses only when as many *other* keys wait as the lane holds.
    pub fn put(&self, key: K, value: T) -> Result<(), Refused<T>> {
        let mut waiting = self.waiting.lock();
        if let Some(slot) = waiting.get(&key) {
            let mut held = slot.lock();
            if held.is_some() {
                *held = Some(value);
                return Ok(());
            }
        }
        let capacity = self.inner.capacity().expect("every lane is made bounded");
        if waiting.len() > 2 * capacity {
            // Keys whose value was taken leave their empty slot behind; this keeps them from piling
            // up.
            waiting.retain(|_, slot| slot.lock().is_some());
        }
        let slot = Arc::new(Mutex::new(Some(value)));
        match self.inner.try_send(slot.clone()) {
            Ok(()) => {
                waiting.insert(key, slot);
                Ok(())
            }
            Err(error) => {
                let value = slot
                    .lock()
                    .take()
                    .expect("nobody else has seen this slot yet");
                Err(match error {
                    channel::TrySendError::Full(_) => Refused::Full { value, capacity },
                    channel::TrySendError::Disconnected(_) => Refused::Closed(value),
                })
            }
        }
    }
}

/// A lane that holds the newest value of at most `capacity` keys.
pub fn coalesce<K: Ord, T>(capacity: usize) -> (CoalesceSender<K, T>, Receiver<T>) {
    assert!(
        capacity > 0,
        "a lane without room would never take anything"
    );
    let (inner, outer) = channel::bounded(capacity);
    let sender = CoalesceSender {
        waiting: Arc::new(Mutex::new(BTreeMap::new())),
        inner,
    };
    (sender, Receiver::single(Lane::Coalesced(outer)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_newer_value_takes_the_place_of_the_one_that_waits() {
        let (sender, mut receiver) = coalesce(2);
        let mut out = Vec::new();
        for (key, value) in [("run 1", 1), ("run 2", 2), ("run 1", 3)] {
            sender.put(key, value).expect("two keys fit");
        }
        let third = sender.put("run 3", 4);
        assert_eq!(
            third,
            Err(Refused::Full {
                value: 4,
                capacity: 2
            })
        );
        assert_eq!(receiver.recv_batch(&mut out, 10, None), Ok(2));
        assert_eq!(out, [3, 2], "run 1 began to wait first");
        sender.put("run 1", 5).expect("the lane is empty again");
        assert_eq!(receiver.recv_batch(&mut out, 10, None), Ok(1));
        assert_eq!(out, [3, 2, 5]);
    }

    #[test]
    fn the_last_value_of_every_key_arrives_and_no_key_goes_back() {
        const KEYS: usize = 40;
        const LAST: u64 = 5_000;
        let (sender, mut receiver) = coalesce::<usize, (usize, u64)>(KEYS);
        let producer = thread::spawn(move || {
            for n in 1..=LAST {
                for key in 0..KEYS {
                    sender.put(key, (key, n)).expect("one place a key");
                }
            }
        });
        let mut newest = [0; KEYS];
        let mut batch = Vec::new();
        while receiver.recv_batch(&mut batch, 64, None).is_ok() {
            for (key, n) in batch.drain(..) {
                assert!(
                    n > newest[key],
                    "key {key} went from {} to {n}",
                    newest[key]
                );
                newest[key] = n;
            }
        }
        producer.join().expect("the producer ends");
        assert_eq!(newest, [LAST; KEYS]);
    }
}
