//! Where outputs live: put in place once, under names that are never used again (D9).

use model::names::{FileName, ProfileName};
use model::source::{CopyOrder, CopyPlace, Found, SourceFailure, UnlinkOrder};
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

/// Sources in their spools, and their copies (P2). Everything may be done again.
pub trait SourceKeeper: Send + Sync {
    /// Copies a source: under another name first, synced, then under its name, its folder synced.
    /// Gives size and adler32 of what was read of the original; none if `stop` said so on the way,
    /// and then nothing is left of it.
    fn copy(&self, order: &CopyOrder, stop: &dyn Fn() -> bool) -> Option<Found>;

    /// Size and adler32 of a copy as its storage has it now, never as it was written; none if
    /// `stop` said so on the way.
    fn read_copy(
        &self,
        place: CopyPlace,
        profile: &ProfileName,
        name: &FileName,
        stop: &dyn Fn() -> bool,
    ) -> Option<Found>;

    /// Removes a source and its sidecar, if it is the file that was copied. One that is gone
    /// already is as it should be.
    fn unlink(&self, order: &UnlinkOrder) -> Result<(), SourceFailure>;
}
