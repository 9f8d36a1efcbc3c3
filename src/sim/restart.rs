//! The end of a process and the beginning of the next, and the end of all faults.
//!
//! In comes a world, out comes one in which everything that was not durable is lost, a newer epoch
//! holds, and watchers report again what lies in the spool. Nothing durable may be touched.

use crate::detector::{Kind, scan_order};
use crate::random::{mix, mix_text};
use crate::store::{Batch, Committed, Trouble};
use crate::told::Life;
use crate::world::{Event, Forming, World};
use engine::{Engine, Input};
use model::arrival::Seen;
use model::ids::Epoch;
use model::rows::Rows;
use model::time::{Moment, Span};
use model::work::AttemptNews;
use std::sync::Arc;

/// How long it takes to report what lies in the spool.
const SCAN_LASTS: Span = Span::from_millis(100);

impl World {
    /// The process dies, and perhaps the power goes: whatever was not durable is lost. Another one
    /// begins under a new epoch, and may die while it does.
    pub(crate) fn crash(&mut self, power_cut: bool, key: u64) -> Result<(), String> {
        let mut key = key;
        self.die(power_cut, key)?;
        while self.chance.of("again", key, self.faults.again) {
            key = mix(key);
            self.story.count("crash while it restarts");
            self.begin_again()?;
            let power_cut = self.chance.of("power_cut", key, self.faults.power_cut);
            self.die(power_cut, key)?;
        }
        if self.chance.of("upgrade", key, self.faults.upgrade) {
            self.upgrade(key);
        }
        self.begin_again()?;
        self.scan(key);
        Ok(())
    }

    fn die(&mut self, power_cut: bool, key: u64) -> Result<(), String> {
        let random = &mut self.chance.random("death", key);
        self.story.count("crash");
        if power_cut {
            self.story.count("power cut");
        }
        self.story.tell(self.now, || {
            let power = if power_cut {
                ", and the power is gone"
            } else {
                ""
            };
            format!("the process dies{power}")
        });
        let committing = self.committing.take().map(|(batch, _)| batch);
        if let Some(batch) = &committing
            && random.per_mille(400)
        {
            self.story.count("crash after a commit");
            self.commit(batch, Trouble::default())?;
        }
        let before = self.store.last_batch();
        self.store.crash(power_cut, random)?;
        if let Some(batch) = committing.filter(|_| self.store.last_batch() > before) {
            self.story.count("a batch that was not synced is there");
            self.commit(&batch, Trouble::default())?;
        }
        if self.store.last_batch() < self.durable {
            let (durable, last) = (self.durable, self.store.last_batch());
            return Err(format!(
                "D1: batch {durable} was durable, {last} is the last"
            ));
        }
        self.storage.crash(power_cut, random)?;
        self.storage.check(&self.store.tables)?;
        self.sources.crash(power_cut, random);
        self.sources.check(self.store.tables.files.values())?;
        self.flip_bits(key)?;
        self.setup.epoch = self.store.raise_epoch();
        self.check_fence()?;
        self.durable = self.store.last_batch();
        self.forming = Forming::default();
        self.early_news.clear();
        self.attempts.clear();
        self.forget_proofs();
        self.executor.end_all();
        self.wakes_at = None;
        self.now = self.now + Span::from_millis(random.below(4_000) as i64);
        self.forget_old_events(key);
        Ok(())
    }

    /// A new process: garbage is collected, the engine restored, attempts of before are lost.
    fn begin_again(&mut self) -> Result<(), String> {
        if self.storage.collect_garbage(&self.store.tables) > 0 {
            self.story.count("garbage collected");
        }
        self.shadow = self.store.tables.clone();
        let rows = self.rows_after_restart()?;
        let next_id = self.store.next_id();
        if let Some(lives) = &mut self.told {
            lives.push(Life::begin(&self.setup, next_id, &rows, self.now));
        }
        self.engine = Engine::restore(self.setup.clone(), next_id, rows, self.now);
        self.coverage.restarted(&self.engine);
        let out = self.engine.jobs_out();
        self.step(Input::AttemptsLost(out))?;
        self.tick()
    }

    /// The rows of the real store, where there is one: they must be those of the model.
    pub(crate) fn real_rows(&mut self) -> Result<Option<Rows>, String> {
        let Some(backing) = &mut self.backing else {
            return Ok(None);
        };
        let real = backing.reopen()?;
        self.story.count("the real store was read");
        match crate::tables::difference(&self.store.tables.rows(), &real) {
            Some(table) => Err(format!("I13: the real store has other {table}")),
            None => Ok(Some(real)),
        }
    }

    /// The rows that a restart reads: of the real store, where there is one.
    fn rows_after_restart(&mut self) -> Result<Rows, String> {
        let Some(real) = self.real_rows()? else {
            return Ok(self.shadow.rows());
        };
        let Some(backing) = &mut self.backing else {
            return Ok(real);
        };
        let epoch = backing.raise_epoch()?;
        if epoch == self.setup.epoch {
            Ok(real)
        } else {
            let model = self.setup.epoch;
            Err(format!(
                "I5: the real store's epoch is {epoch}, not {model}"
            ))
        }
    }

    /// Bits turn over on both disks; whoever reads them must see it.
    fn flip_bits(&mut self, key: u64) -> Result<(), String> {
        if !self.chance.of("flip", key, self.faults.flip) {
            return Ok(());
        }
        let random = &mut self.chance.random("bit", key);
        if self.store.flip(random)? {
            self.story.count("a bit of the journal turned");
        }
        if self.storage.flip(&self.store.tables, random)? {
            self.story.count("a bit of an output turned");
        }
        Ok(())
    }

    /// The next process has another configuration; runs keep theirs.
    fn upgrade(&mut self, key: u64) {
        let earlier = self.setup.earlier.len() as u64;
        let at = self.chance.random("upgrade", key).below(earlier) as usize;
        if let Some(other) = self.setup.earlier.get_mut(at) {
            std::mem::swap(other, &mut self.setup.configuration);
            self.story.count("restarted with another configuration");
        }
    }

    /// A process that does not know yet that it is dead tries to write: nothing may come of it.
    fn check_fence(&mut self) -> Result<(), String> {
        let dead = Arc::new(Batch {
            epoch: Epoch(self.setup.epoch.0 - 1),
            number: self.store.last_batch() + 1,
            next_id: i64::MAX,
            facts: std::mem::take(&mut self.forming.facts),
        });
        match self.store.commit(&dead, Trouble::default())? {
            Committed::Fenced => {
                self.story.count("a dead epoch was fenced");
                Ok(())
            }
            other => Err(format!("I5: a dead epoch's batch was {other:?}")),
        }
    }

    /// What the dead process would have heard is lost, mostly. What the detector wrote meanwhile
    /// lies in the spool; the rest is still to come.
    fn forget_old_events(&mut self, key: u64) {
        let events = std::mem::take(&mut self.events);
        for (number, (at, event)) in events {
            let stays = match &event {
                Event::Seen(seen, Kind::True | Kind::First) if at <= self.now => {
                    self.spool.push(seen.clone());
                    false
                }
                // A scan that was cut short is made again as a whole, in its order.
                Event::Seen(seen, Kind::Again) => {
                    self.spool.push(seen.clone());
                    false
                }
                Event::Seen(..) | Event::Heal | Event::Round | Event::Vanish(..) => true,
                Event::News(..) | Event::Stored(..) => {
                    let of = mix(key ^ mix(at.0 as u64));
                    let old = self.chance.of("old_news", of, self.faults.old_news);
                    if old {
                        self.story.count("news of an old epoch");
                    } else if let Event::News(_, AttemptNews::Ended(_), _) = event {
                        self.story.count("completion lost");
                    }
                    old
                }
                Event::Committed(..)
                | Event::Read(..)
                | Event::Split(..)
                | Event::Source(..)
                | Event::Listed(..)
                | Event::Wake => false,
                Event::Slice(..) | Event::Sliced(..) => false,
                Event::Recall(..) | Event::Recalled(..) => false,
            };
            if stays {
                self.events.insert(number, (at, event));
            }
        }
    }

    /// Watchers report everything that lies in the spool.
    fn scan(&mut self, key: u64) {
        let mut spool = std::mem::take(&mut self.spool);
        self.sources.bring_back(self.now);
        spool.retain(|seen| match seen {
            Seen::File(arrival) => self.sources.is_there(arrival),
            _ => true,
        });
        self.chance.random("scan", key).shuffle(&mut spool);
        if !self.faults.any_order {
            spool.sort_by_key(scan_order);
        }
        if !self.faults.any_order {
            self.hold_back_until(self.now + SCAN_LASTS);
        }
        let within = SCAN_LASTS.0 / (spool.len() as i64 + 1);
        for (position, seen) in spool.into_iter().enumerate() {
            let at = self.now + Span(within * position as i64);
            self.at(at, Event::Seen(seen, Kind::Again));
        }
    }

    /// A watcher visits a folder as a whole before it looks at anything new in it, so nothing new
    /// overtakes what lay there.
    fn hold_back_until(&mut self, end: Moment) {
        let is_early =
            |(at, event): &(Moment, Event)| *at < end && matches!(event, Event::Seen(..));
        let mut early: Vec<(Moment, Event)> = self
            .events
            .extract_if(.., |_, e| is_early(e))
            .map(|(_, e)| e)
            .collect();
        early.sort_by_key(|(at, _)| *at);
        for (position, (_, event)) in early.into_iter().enumerate() {
            self.at(end + Span(position as i64), event);
        }
    }

    /// The faults end, and the detector sends what is missing.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        self.healed_at = self.now;
        let any_order = self.faults.any_order;
        self.faults = self.faults.ended();
        self.at(self.now + Span::from_secs(1), Event::Round);
        let mut held = std::mem::take(&mut self.held_back);
        if !any_order {
            held.sort_by_key(scan_order);
        }
        for (position, seen) in held.into_iter().enumerate() {
            self.story.count("held back until the end");
            let mut at = self.now + Span::from_millis(200 + position as i64);
            // Some come so late that sources of their run are gone (F53).
            if let Seen::File(arrival) = &seen
                && any_order
                && self.setup.release.is_some()
            {
                let key = mix_text(arrival.name.as_str());
                if self.chance.of("very_late", key, 300) {
                    let mut random = self.chance.random("very late", key);
                    at = at + Span::from_millis(random.below(600_000) as i64);
                }
            }
            self.at(at, Event::Seen(seen, Kind::True));
        }
    }
}
