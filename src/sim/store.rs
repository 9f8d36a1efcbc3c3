//! The model store: atomic batches behind one fence, as the real one promises (D1, D2), and no
//! faster than it.
//!
//! In come batches under an epoch, out comes what a client of a database hears. It must never take
//! half a batch.

use crate::tables::Tables;
use model::fact::Fact;
use model::ids::Epoch;

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
}

/// Durable content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pub(crate) tables: Tables,
    epoch: i64,
    pub(crate) last_batch: i64,
    pub(crate) next_id: Option<i64>,
}

impl Store {
    /// Raises the epoch: from now on no batch of an older one is taken.
    pub(crate) fn raise_epoch(&mut self) -> Epoch {
        self.epoch += 1;
        Epoch(self.epoch)
    }

    /// Commits a batch, or nothing of it; `Err` is a broken promise, not a fault.
    pub(crate) fn commit(&mut self, batch: &Batch) -> Result<Committed, String> {
        if batch.epoch.0 != self.epoch {
            return Ok(Committed::Fenced);
        }
        if batch.number == self.last_batch {
            return Ok(Committed::Known);
        }
        if batch.number != self.last_batch + 1 {
            let (number, last) = (batch.number, self.last_batch);
            return Err(format!("batch {number} follows batch {last}"));
        }
        if self.next_id.is_some_and(|known| batch.next_id < known) {
            return Err(format!("batch {}: ids went back", batch.number));
        }
        for fact in &batch.facts {
            self.tables.apply(fact)?;
        }
        self.last_batch = batch.number;
        self.next_id = Some(batch.next_id);
        Ok(Committed::Written)
    }
}
