//! What performers are given: a lane each, and a queue each for what does not fit.
//!
//! In comes work, out it goes in its order, as soon as its performer has room. Never blocks: a
//! performer that answers into a full lane must not meet a loop that waits for the performer. One
//! that is slow holds up nobody else: attempts start although files are still read back.

use crate::perform::{ExecutorWork, Reading, StorageWork, offer};
use crate::sourcing::SourceWork;
use lanes::{Refuse, Sender};
use model::plugin::SplitQuestion;
use std::collections::VecDeque;

/// Work for a performer.
pub(crate) enum Work {
    Executor(ExecutorWork),
    Storage(StorageWork),
    Reading(Reading),
    Split(SplitQuestion),
    Source(SourceWork),
}

/// The lane of one performer, and what waits for room in it.
struct Hand<T> {
    name: &'static str,
    lane: Sender<T, Refuse>,
    waiting: VecDeque<T>,
}

/// All of them.
pub(crate) struct Hands {
    executor: Hand<ExecutorWork>,
    storage: Vec<Hand<StorageWork>>,
    reader: Hand<Reading>,
    splitter: Hand<SplitQuestion>,
    sources: Hand<SourceWork>,
    next_storage: usize,
    /// A performer whose lane is closed: nothing given to it is done any more.
    lost: Option<&'static str>,
}

/// The lanes of all performers.
pub(crate) struct Lanes {
    pub(crate) executor: Sender<ExecutorWork, Refuse>,
    pub(crate) storage: Vec<Sender<StorageWork, Refuse>>,
    pub(crate) reader: Sender<Reading, Refuse>,
    pub(crate) splitter: Sender<SplitQuestion, Refuse>,
    pub(crate) sources: Sender<SourceWork, Refuse>,
}

impl<T> Hand<T> {
    fn new(name: &'static str, lane: Sender<T, Refuse>) -> Self {
        Self {
            name,
            lane,
            waiting: VecDeque::new(),
        }
    }

    fn give(&mut self, work: T, lost: &mut Option<&'static str>) {
        self.waiting.push_back(work);
        self.retry(lost);
    }

    fn retry(&mut self, lost: &mut Option<&'static str>) {
        while let Some(work) = self.waiting.pop_front() {
            if let Some(back) = offer(&self.lane, work, lost, self.name) {
                self.waiting.push_front(back);
                return;
            }
        }
    }
}

impl Hands {
    pub(crate) fn new(lanes: Lanes) -> Self {
        let storage = lanes.storage.into_iter();
        Self {
            executor: Hand::new("executor", lanes.executor),
            storage: storage.map(|lane| Hand::new("storage", lane)).collect(),
            reader: Hand::new("reader", lanes.reader),
            splitter: Hand::new("splitter", lanes.splitter),
            sources: Hand::new("sources", lanes.sources),
            next_storage: 0,
            lost: None,
        }
    }

    pub(crate) fn give(&mut self, work: Work) {
        let lost = &mut self.lost;
        match work {
            Work::Executor(work) => self.executor.give(work, lost),
            Work::Reading(work) => self.reader.give(work, lost),
            Work::Split(work) => self.splitter.give(work, lost),
            Work::Source(work) => self.sources.give(work, lost),
            Work::Storage(work) => {
                // The good-run list goes one way, so that an older one never replaces a newer one.
                let lane = match work {
                    StorageWork::GoodRuns(_) => 0,
                    StorageWork::Store(_) => {
                        self.next_storage = (self.next_storage + 1) % self.storage.len();
                        self.next_storage
                    }
                };
                self.storage[lane].give(work, lost);
            }
        }
    }

    /// Tries again what did not fit.
    pub(crate) fn retry(&mut self) {
        let lost = &mut self.lost;
        self.executor.retry(lost);
        for hand in &mut self.storage {
            hand.retry(lost);
        }
        self.reader.retry(lost);
        self.splitter.retry(lost);
        self.sources.retry(lost);
    }

    /// Whether anything waits for room.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.executor.waiting.is_empty()
            || self.storage.iter().any(|hand| !hand.waiting.is_empty())
            || !self.reader.waiting.is_empty()
            || !self.splitter.waiting.is_empty()
            || !self.sources.waiting.is_empty()
    }

    /// The performer that is gone, if one is.
    pub(crate) fn lost(&self) -> Option<&'static str> {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::FileId;
    use model::names::FileName;
    use model::work::Location;
    use std::time::Instant;

    fn reading(file: i64) -> Work {
        let name = FileName::new("a");
        let location = Location::Storage { name };
        Work::Reading(Reading {
            file: FileId(file),
            location,
        })
    }

    #[test]
    fn a_full_lane_holds_up_nobody_else_and_keeps_its_order() {
        let (executor, mut at_executor) = lanes::refuse(4);
        let (reader, mut at_reader) = lanes::refuse(1);
        let (storage, _at_storage) = lanes::refuse(1);
        let (splitter, _at_splitter) = lanes::refuse(1);
        let (sources, _at_sources) = lanes::refuse(1);
        let mut hands = Hands::new(Lanes {
            executor,
            storage: vec![storage],
            reader,
            splitter,
            sources,
        });
        for file in 1..=3 {
            hands.give(reading(file));
        }
        assert!(hands.is_waiting());
        hands.give(Work::Executor(ExecutorWork::Release));
        let mut given = Vec::new();
        let now = Some(Instant::now());
        at_executor.recv_batch(&mut given, 10, now).unwrap();
        assert_eq!(given.len(), 1, "it does not wait for the reader");
        let mut read = Vec::new();
        for _ in 1..=3 {
            let now = Some(Instant::now());
            at_reader.recv_batch(&mut read, 10, now).unwrap();
            hands.retry();
        }
        let files: Vec<i64> = read
            .iter()
            .map(|reading: &Reading| reading.file.0)
            .collect();
        assert_eq!(files, [1, 2, 3]);
        assert!(!hands.is_waiting() && hands.lost().is_none());
        drop(at_reader);
        hands.give(reading(4));
        assert_eq!(hands.lost(), Some("reader"));
    }
}
