//! The end of a process and the beginning of the next, and the end of all faults.
//!
//! In comes a world, out comes one in which everything that was not durable is lost, a newer epoch
//! holds, and watchers report again what lies in the spool. Nothing durable may be touched.

use crate::detector::{Kind, scan_order};
use crate::faults::Faults;
use crate::store::{Batch, Committed};
use crate::world::{Event, Forming, World};
use engine::{Engine, Input};
use model::ids::Epoch;
use model::time::Span;

impl World {
    /// The process dies: whatever was not durable is lost. Another one begins under a new epoch.
    pub(crate) fn crash(&mut self) -> Result<(), String> {
        self.story.count("crash");
        self.story.tell(self.now, || "CRASH".to_owned());
        if let Some((batch, _)) = self.committing.take()
            && self.random.per_mille(500)
        {
            self.story.count("crash after a commit");
            self.store.commit(&batch)?;
        }
        self.setup.epoch = self.store.raise_epoch();
        self.durable = self.store.last_batch;
        self.check_fence()?;
        self.forming = Forming::default();
        self.early_news.clear();
        self.attempts.clear();
        self.wakes_at = None;
        self.now = self.now + Span::from_millis(self.random.below(4_000) as i64);
        self.forget_old_events();
        let garbage = self.storage.collect_garbage(&self.store.tables);
        if garbage > 0 {
            self.story.count("garbage collected");
        }
        self.shadow = self.store.tables.clone();
        let (setup, rows) = (self.setup.clone(), self.shadow.rows());
        self.engine = Engine::restore(setup, self.store.next_id, rows, self.now);
        let out = self.engine.jobs_out();
        self.step(Input::AttemptsLost(out))?;
        self.tick()?;
        self.scan();
        Ok(())
    }

    /// A process that does not know yet that it is dead tries to write: nothing may come of it.
    fn check_fence(&mut self) -> Result<(), String> {
        let dead = Batch {
            epoch: Epoch(self.setup.epoch.0 - 1),
            number: self.store.last_batch + 1,
            next_id: i64::MAX,
            facts: std::mem::take(&mut self.forming.facts),
        };
        match self.store.commit(&dead)? {
            Committed::Fenced => Ok(()),
            other => Err(format!("I5: a dead epoch's batch was {other:?}")),
        }
    }

    /// What the dead process would have heard is lost, mostly. What the detector wrote meanwhile
    /// lies in the spool; the rest is still to come.
    fn forget_old_events(&mut self) {
        let events = std::mem::take(&mut self.events);
        for (number, (at, event)) in events {
            let stays = match &event {
                Event::Seen(seen, Kind::True | Kind::First) if at <= self.now => {
                    self.spool.push(seen.clone());
                    false
                }
                Event::Seen(..) | Event::Heal => true,
                Event::News(..) | Event::Stored(..) => {
                    let old = self.random.per_mille(self.faults.old_news);
                    if old {
                        self.story.count("news of an old epoch");
                    }
                    old
                }
                Event::Committed(..) | Event::Read(..) | Event::Wake => false,
            };
            if stays {
                self.events.insert(number, (at, event));
            }
        }
    }

    /// Watchers report everything that lies in the spool.
    fn scan(&mut self) {
        let mut spool = std::mem::take(&mut self.spool);
        self.random.shuffle(&mut spool);
        if !self.faults.any_order {
            spool.sort_by_key(scan_order);
        }
        let within = 100_000_000 / (spool.len() as i64 + 1);
        for (position, seen) in spool.into_iter().enumerate() {
            let at = self.now + Span(within * position as i64);
            self.at(at, Event::Seen(seen, Kind::True));
        }
    }

    /// The faults end, and the detector sends what is missing.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        self.healed_at = self.now;
        let Faults {
            harsh,
            any_order,
            corrupt,
            ..
        } = self.faults;
        self.faults = Faults {
            harsh,
            any_order,
            corrupt,
            ..Faults::default()
        };
        let mut held = std::mem::take(&mut self.held_back);
        if !any_order {
            held.sort_by_key(scan_order);
        }
        for (position, seen) in held.into_iter().enumerate() {
            self.story.count("held back until the end");
            let at = self.now + Span::from_millis(200 + position as i64);
            self.at(at, Event::Seen(seen, Kind::True));
        }
    }
}
