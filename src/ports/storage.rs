//! Where outputs live: put in place once, under names that are never used again (D9).

use model::names::FileName;
use model::work::{CommitFailure, CommitPlan, StoredOutput};
use std::path::PathBuf;

/// A storage of outputs.
pub trait Storage: Send + Sync {
    /// Verifies, syncs and renames outputs, then syncs their folders. Once it has returned `Ok`,
    /// they survive a power cut under their final names. Doing it again after a crash half-way
    /// gives the same answer.
    fn commit(&self, plan: &CommitPlan) -> Result<Vec<StoredOutput>, CommitFailure>;

    /// The path of an output that is in place.
    fn path(&self, name: &FileName) -> PathBuf;

    /// Removes files that no row knows: the garbage of losing attempts. Returns what was removed.
    fn collect_garbage(
        &self,
        is_known: &dyn Fn(&FileName) -> bool,
    ) -> Result<Vec<FileName>, CommitFailure>;
}
