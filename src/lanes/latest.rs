//! A place for the newest value only: writers replace it, readers see it or wait for the next one.
//!
//! For snapshots (counters, a board, a configuration): a slow reader misses values and never delays
//! the writer. Plain mutex and condition variable: the writer holds the lock for the swap of one
//! pointer.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Instant;

#[derive(Debug)]
struct Place<T> {
    newest: Mutex<Newest<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Newest<T> {
    version: u64,
    value: Arc<T>,
}

/// The writing end.
#[derive(Clone, Debug)]
pub struct LatestSender<T>(Arc<Place<T>>);

/// A reading end; each remembers which value it saw last.
#[derive(Debug)]
pub struct LatestReader<T> {
    place: Arc<Place<T>>,
    seen: u64,
}

// Written by hand: a derived Clone would ask for `T: Clone`.
impl<T> Clone for LatestReader<T> {
    fn clone(&self) -> Self {
        Self {
            place: self.place.clone(),
            seen: self.seen,
        }
    }
}

impl<T> LatestSender<T> {
    /// Replaces the value and wakes who waits for a new one.
    pub fn set(&self, value: T) {
        let value = Arc::new(value);
        let mut newest = self.0.newest.lock();
        newest.version += 1;
        let old = std::mem::replace(&mut newest.value, value);
        drop(newest);
        self.0.changed.notify_all();
        // Dropped last: it may be large, and no reader should wait for that.
        drop(old);
    }
}

impl<T> LatestReader<T> {
    /// The newest value.
    pub fn get(&self) -> Arc<T> {
        self.place.newest.lock().value.clone()
    }

    /// Waits for a value this reader has not had from here yet; none when `deadline` comes first.
    pub fn changed(&mut self, deadline: Option<Instant>) -> Option<Arc<T>> {
        let mut newest = self.place.newest.lock();
        while newest.version == self.seen {
            match deadline {
                None => self.place.changed.wait(&mut newest),
                Some(deadline) => {
                    let waited = self.place.changed.wait_until(&mut newest, deadline);
                    if waited.timed_out() && newest.version == self.seen {
                        return None;
                    }
                }
            }
        }
        self.seen = newest.version;
        Some(newest.value.clone())
    }
}

/// A place that holds `first` until something newer is set.
pub fn latest<T>(first: T) -> (LatestSender<T>, LatestReader<T>) {
    let newest = Mutex::new(Newest {
        version: 0,
        value: Arc::new(first),
    });
    let place = Arc::new(Place {
        newest,
        changed: Condvar::new(),
    });
    (LatestSender(place.clone()), LatestReader { place, seen: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn readers_see_the_newest_and_wait_for_the_next() {
        let (sender, mut reader) = latest(0);
        assert_eq!(*reader.get(), 0);
        assert!(
            reader.changed(Some(Instant::now())).is_none(),
            "nothing was set yet"
        );
        sender.set(1);
        sender.set(2);
        assert_eq!(reader.changed(None).as_deref(), Some(&2));
        assert!(
            reader.changed(Some(Instant::now())).is_none(),
            "2 was had already"
        );
        assert_eq!(*reader.get(), 2);
    }

    #[test]
    fn under_load_values_only_grow_and_the_last_is_never_missed() {
        const LAST: u64 = 100_000;
        let (sender, reader) = latest(0_u64);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let mut reader = reader.clone();
                thread::spawn(move || {
                    let mut had = 0;
                    while had < LAST {
                        let value = *reader.changed(None).expect("no deadline, so a value");
                        assert!(value > had, "{value} after {had}");
                        had = value;
                    }
                })
            })
            .collect();
        for n in 1..=LAST {
            sender.set(n);
        }
        for reader in readers {
            reader.join().expect("readers reach the last value");
        }
    }
}
