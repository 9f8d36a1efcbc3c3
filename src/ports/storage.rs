//! Where outputs live: put in place once, under names that are never used again (D9).

use model::names::FileName;
use model::work::{CommitFailure, CommitPlan, Location, StoredOutput};
use std::path::PathBuf;

/// Files read back for whoever asks whether they still are what was recorded.
pub trait ReadBack: Send + Sync {
    /// Size in bytes and adler32 of a file as they are now, or what was tried, why it failed and
    /// what to do. May take as long as reading does; how many are read at once is bounded here.
    /// Never follows a link.
    fn read_back(&self, location: &Location) -> Result<(u64, u32), String>;
}

/// A storage of outputs.
pub trait Storage: Send + Sync {
    /// Verifies, syncs and renames outputs, then syncs their folders. Once it has returned `Ok`,
    /// they survive a power cut under their final names. Doing it again after a crash half-way
    /// gives the same answer.
    fn commit(&self, plan: &CommitPlan) -> Result<Vec<StoredOutput>, CommitFailure>;

    /// The path of an output that is in place.
    fn path(&self, name: &FileName) -> PathBuf;

    /// Removes files that no row knows: the garbage of losing attempts. Only folders that are to be
    /// looked into are (by their names below the storage), so that the cost does not grow with what
    /// was published long ago. Returns what was removed.
    fn collect_garbage(
        &self,
        looks_into: &dyn Fn(&str) -> bool,
        is_known: &dyn Fn(&FileName) -> bool,
    ) -> Result<Vec<FileName>, CommitFailure>;
}
