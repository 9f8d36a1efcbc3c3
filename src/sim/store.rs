//! The model store: atomic batches behind one fence, as the real one promises (D1, D2), kept in a
//! journal on a disk that may lose whatever was not synced.
//!
//! In come batches under an epoch, out comes what a client of a database hears. It must never take
//! half a batch, and never lose one that it called durable. A record of the journal names its batch
//! and has a checksum; its payload only stands for the facts, which are kept beside and found by
//! epoch and number.

use crate::disk::{Disk, DiskError, checksum};
use crate::random::{Random, mix};
use crate::tables::Tables;
use model::fact::Fact;
use model::ids::Epoch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The journal on the disk.
const JOURNAL: &str = "state/journal";
/// What the journal begins after: written anew when the journal is long.
const CHECKPOINT: &str = "state/checkpoint";
const NEW_CHECKPOINT: &str = "state/checkpoint.new";
/// Begins each record.
const MAGIC: u64 = 0x7469_6572_306a_6e6c;
/// Words of a record besides its payload: magic, epoch, number, next id, payload, checksum.
const HEAD_WORDS: usize = 6;
/// Bytes that stand for one fact.
const FACT_BYTES: usize = 56;
/// A longer journal is replaced by a checkpoint.
const JOURNAL_BYTES_MAX: usize = 24_000;

/// One transaction.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) epoch: Epoch,
    /// One more than the last batch.
    pub(crate) number: i64,
    /// The id that the engine will give next.
    pub(crate) next_id: i64,
    pub(crate) facts: Vec<Fact>,
}

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// It is durable now.
    Written,
    /// It was durable already: the answer to the first try was lost.
    Known,
    /// A newer epoch holds; nothing was written.
    Fenced,
    /// No space is left: nothing was written.
    Full,
    /// The disk lost what it should have kept: nobody knows, and the process must end (P10).
    Suspect,
}

/// What the disk does to a commit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// Bytes that are still free, if few are.
    pub(crate) space: Option<usize>,
    /// The sync fails.
    pub(crate) lost: bool,
}

/// What stands in front of a fence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    epoch: i64,
    last_batch: i64,
    next_id: Option<i64>,
}

/// Durable content, and the disk that it is on.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) tables: Tables,
    standing: Standing,
    disk: Disk,
    /// Bytes of the journal that hold whole records.
    end: usize,
    /// A record that is written and not synced.
    written: Option<(i64, i64)>,
    /// What the records' payloads stand for.
    batches: BTreeMap<(i64, i64), Arc<Batch>>,
    /// Batches that are content stay, so that all of them can be replayed in the end.
    keeps_all: bool,
}

impl Store {
    pub(crate) fn new(random: &mut Random, keeps_all: bool) -> Self {
        let mut disk = Disk::new(random);
        for name in [JOURNAL, CHECKPOINT] {
            disk.create(name);
        }
        let mut store = Self {
            tables: Tables::default(),
            standing: Standing::default(),
            disk,
            end: 0,
            written: None,
            batches: BTreeMap::new(),
            keeps_all,
        };
        store.write_checkpoint(CHECKPOINT);
        store.disk.sync_folder("state");
        store
    }

    pub(crate) fn last_batch(&self) -> i64 {
        self.standing.last_batch
    }

    pub(crate) fn next_id(&self) -> Option<i64> {
        self.standing.next_id
    }

    /// Raises the epoch durably: from now on no batch of an older one is taken.
    pub(crate) fn raise_epoch(&mut self) -> Epoch {
        self.standing.epoch += 1;
        self.drop_unsynced();
        let record = record(self.standing, 0);
        let written = self.disk.append(JOURNAL, &record, usize::MAX);
        assert_eq!(written, Ok(()), "a model disk has space for an epoch");
        self.end += record.len();
        let synced = self.disk.sync(JOURNAL, false);
        assert_eq!(synced, Ok(()), "a sync that is not to fail does not");
        Epoch(self.standing.epoch)
    }

    /// What was written of a batch that never was called durable makes room.
    fn drop_unsynced(&mut self) {
        if self.written.take().is_some() {
            let cut = self.disk.truncate(JOURNAL, self.end);
            assert_eq!(cut, Ok(()), "the journal is there");
        }
    }

    /// Writes a batch and does not sync it: a crash may leave it, or any part of it.
    pub(crate) fn write(
        &mut self,
        batch: &Arc<Batch>,
        space: Option<usize>,
    ) -> Result<(), DiskError> {
        let key = (batch.epoch.0, batch.number);
        if self.written == Some(key) {
            return Ok(());
        }
        let standing = Standing {
            epoch: batch.epoch.0,
            last_batch: batch.number,
            next_id: Some(batch.next_id),
        };
        let record = record(standing, batch.facts.len());
        let written = self
            .disk
            .append(JOURNAL, &record, space.unwrap_or(usize::MAX));
        if written.is_err() {
            self.disk.truncate(JOURNAL, self.end)?;
            return written;
        }
        self.written = Some(key);
        self.batches.insert(key, batch.clone());
        Ok(())
    }

    /// Commits a batch, or nothing of it; `Err` is a broken promise, not a fault.
    pub(crate) fn commit(
        &mut self,
        batch: &Arc<Batch>,
        trouble: Trouble,
    ) -> Result<Committed, String> {
        if batch.epoch.0 != self.standing.epoch {
            return Ok(Committed::Fenced);
        }
        if batch.number == self.standing.last_batch {
            return Ok(Committed::Known);
        }
        if batch.number != self.standing.last_batch + 1 {
            let (number, last) = (batch.number, self.standing.last_batch);
            return Err(format!("D2: batch {number} follows batch {last}"));
        }
        let next_id = self.standing.next_id;
        if next_id.is_some_and(|known| batch.next_id < known) {
            return Err(format!("D2: batch {}: ids went back", batch.number));
        }
        if self.write(batch, trouble.space).is_err() {
            return Ok(Committed::Full);
        }
        if self.disk.sync(JOURNAL, trouble.lost).is_err() {
            return Ok(Committed::Suspect);
        }
        self.take(batch.epoch.0, batch.number)?;
        self.end = self.disk.read(JOURNAL).map_or(0, <[u8]>::len);
        self.written = None;
        if self.end > JOURNAL_BYTES_MAX {
            self.checkpoint(4);
        }
        Ok(Committed::Written)
    }

    /// A record is durable: its facts are content.
    fn take(&mut self, epoch: i64, number: i64) -> Result<(), String> {
        let batch = self.batches.get(&(epoch, number)).cloned();
        let batch = batch.ok_or_else(|| format!("D2: nobody wrote batch {number} of {epoch}"))?;
        for fact in &batch.facts {
            self.tables.apply(fact)?;
        }
        self.standing.last_batch = number;
        self.standing.next_id = Some(batch.next_id);
        if !self.keeps_all {
            self.batches.retain(|(_, other), _| *other > number);
        }
        self.tables.check_places(&batch.facts)
    }

    fn write_checkpoint(&mut self, name: &str) {
        let record = record(self.standing, 0);
        let written = self.disk.append(name, &record, usize::MAX);
        assert_eq!(written, Ok(()), "a model disk has space for a checkpoint");
        let synced = self.disk.sync(name, false);
        assert_eq!(synced, Ok(()), "a sync that is not to fail does not");
    }

    /// Replaces the journal, as far as so many of its steps go: a crash may come between any two.
    fn checkpoint(&mut self, steps: u64) {
        self.disk.create(NEW_CHECKPOINT);
        self.write_checkpoint(NEW_CHECKPOINT);
        if steps > 1 {
            let renamed = self.disk.replace(NEW_CHECKPOINT, CHECKPOINT);
            assert_eq!(renamed, Ok(()), "the new one was made");
        }
        if steps > 2 {
            self.disk.sync_folder("state");
        }
        if steps > 3 {
            let cut = self.disk.truncate(JOURNAL, 0);
            assert_eq!(cut, Ok(()), "the journal is there");
            let synced = self.disk.sync(JOURNAL, false);
            assert_eq!(synced, Ok(()), "a sync that is not to fail does not");
            self.end = 0;
        }
    }

    /// The process is gone, perhaps the power too, perhaps in the middle of a checkpoint; then
    /// somebody reads what is there. `Err` is a broken promise.
    pub(crate) fn crash(&mut self, power_cut: bool, random: &mut Random) -> Result<(), String> {
        if random.per_mille(50) && self.written.is_none() {
            self.checkpoint(random.below(4));
        }
        if power_cut {
            self.disk.power_cut(random);
        }
        self.recover()
    }

    fn recover(&mut self) -> Result<(), String> {
        let promised = self.standing;
        let checkpoints = [CHECKPOINT, NEW_CHECKPOINT].into_iter();
        let mut standing = checkpoints
            .filter_map(|name| read_record(self.disk.read(name)?))
            .map(|(standing, _)| standing)
            .max_by_key(|standing| (standing.last_batch, standing.epoch))
            .ok_or("P1: no checkpoint is left")?;
        let journal = self.disk.read(JOURNAL).unwrap_or_default();
        let (mut end, mut replayed) = (0, Vec::new());
        while let Some((found, length)) = read_record(&journal[end..]) {
            end += length;
            if found.last_batch > standing.last_batch {
                replayed.push((found.epoch, found.last_batch));
            }
            if (found.last_batch, found.epoch) >= (standing.last_batch, standing.epoch) {
                standing = found;
            }
        }
        if standing.last_batch < promised.last_batch || standing.epoch < promised.epoch {
            return Err(format!(
                "D1: {promised:?} was durable, after the crash {standing:?} is left"
            ));
        }
        if standing.last_batch > promised.last_batch + 1 {
            return Err(format!("D1: {standing:?} is left of {promised:?}"));
        }
        for (epoch, number) in replayed {
            if number > promised.last_batch {
                self.take(epoch, number)?;
            }
        }
        (self.end, self.written) = (end, None);
        let last = self.standing.last_batch;
        self.batches.retain(|(_, number), _| *number <= last);
        // What is behind the last whole record is nobody's.
        let cut = self.disk.truncate(JOURNAL, end);
        assert_eq!(cut, Ok(()), "the journal is there");
        self.disk.remove(NEW_CHECKPOINT);
        self.disk.sync_folder("state");
        let synced = self.disk.sync(JOURNAL, false);
        assert_eq!(synced, Ok(()), "a sync that is not to fail does not");
        Ok(())
    }

    /// A bit of the journal turns over: whoever reads it must see that. It is then as a backup has
    /// it. Says whether there was one to turn.
    pub(crate) fn flip(&mut self, random: &mut Random) -> Result<bool, String> {
        if self.end == 0 {
            return Ok(false);
        }
        let bit = random.below(self.end as u64 * 8) as usize;
        self.disk.flip(JOURNAL, bit);
        let journal = self.disk.read(JOURNAL).unwrap_or_default();
        let mut whole = 0;
        while let Some((_, length)) = read_record(&journal[whole..]) {
            whole += length;
        }
        if whole > bit / 8 {
            return Err("F22: a turned bit was not seen".to_owned());
        }
        self.disk.flip(JOURNAL, bit);
        Ok(true)
    }

    /// Whether it can be told what all batches add up to.
    pub(crate) fn keeps_all(&self) -> bool {
        self.keeps_all
    }

    /// Whether the content is what the journal's batches add up to, from the first on.
    pub(crate) fn check_replay(&self) -> Result<(), String> {
        let mut tables = Tables::default();
        let mut last = 0;
        for ((_, number), batch) in &self.batches {
            if *number != last + 1 {
                return Err(format!("I13: batch {number} follows batch {last}"));
            }
            for fact in &batch.facts {
                tables.apply(fact)?;
            }
            last = *number;
        }
        // What has left is in no batch: slices are transactions of their own.
        tables.history.clone_from(&self.tables.history);
        if last == self.standing.last_batch && tables == self.tables {
            Ok(())
        } else {
            Err("I13: a replay of all batches gives other rows".to_owned())
        }
    }
}

/// A record: its payload stands for so many facts.
fn record(standing: Standing, facts: usize) -> Vec<u8> {
    let payload = facts * FACT_BYTES;
    let next_id = standing.next_id.unwrap_or(-1);
    let (epoch, number) = (standing.epoch as u64, standing.last_batch as u64);
    let mut bytes = Vec::with_capacity(HEAD_WORDS * 8 + payload);
    for word in [MAGIC, epoch, number, next_id as u64, payload as u64] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    for position in 0..payload / 8 {
        let word = mix(number ^ epoch << 40 ^ (position as u64) << 20);
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The record at the beginning of these bytes, and its length; none if it is not whole.
fn read_record(bytes: &[u8]) -> Option<(Standing, usize)> {
    let word = |at: usize| {
        let bytes = bytes.get(at * 8..at * 8 + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    if word(0)? != MAGIC {
        return None;
    }
    let payload = usize::try_from(word(4)?).ok()?;
    let length = payload.checked_add(HEAD_WORDS * 8)?;
    let sum = word(length / 8 - 1)?;
    if !length.is_multiple_of(8) || checksum(bytes.get(..length - 8)?) != sum {
        return None;
    }
    let next_id = word(3)? as i64;
    let standing = Standing {
        epoch: word(1)? as i64,
        last_batch: word(2)? as i64,
        next_id: (next_id >= 0).then_some(next_id),
    };
    Some((standing, length))
}
