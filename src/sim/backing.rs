//! A real store behind the model store: it gets the same batches, and restarts read it.

use model::arrival::Arrival;
use model::fact::Fact;
use model::ids::{Epoch, RunNumber};
use model::recall::Recalled;
use model::rows::Rows;
use model::time::Moment;

/// What the simulator asks of it; a message of an `Err` is a broken promise.
pub trait Backing {
    /// Raises the epoch: no batch of an older one is taken from now on.
    fn raise_epoch(&mut self) -> Result<Epoch, String>;

    /// Commits a batch, perhaps for the second time.
    fn commit(
        &mut self,
        number: i64,
        next_id: i64,
        moment: Moment,
        facts: &[Fact],
    ) -> Result<(), String>;

    /// Moves rows of a run to the history; says whether none was left.
    fn archive(&mut self, run: RunNumber, rows_max: usize) -> Result<bool, String>;

    /// What is known of a file of a run that is history.
    fn recall(&mut self, seen: Arrival) -> Result<Option<Recalled>, String>;

    /// The process that used it is gone; another one reads every row.
    fn reopen(&mut self) -> Result<Rows, String>;
}
