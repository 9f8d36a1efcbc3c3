//! A disk that we write to, for whoever has to tell a full one from a broken one.

use model::trouble::Hindrance;

/// What a disk lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindered {
    /// In one word.
    pub hindrance: Hindrance,
    /// How much of what is there and how much is wanted, as the end of a sentence.
    pub short: String,
}

/// A disk, seen from one folder on it.
pub trait Disk: Send + Sync {
    /// Where it is, for people.
    fn place(&self) -> String;

    /// Whether a file can be written there and enough room is left to go on for a while.
    fn look(&self) -> Result<(), Hindered>;

    /// Whether there is so little room that somebody should look; costs one system call.
    fn is_low(&self) -> bool;

    /// The bytes that must be free before work goes on.
    fn room_wanted(&self) -> u64;

    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Sets aside some room for the moment when there is no other; `false` if there is none.
    fn take_reserve(&self) -> bool;

    /// Gives that room back, so that what must be written still can be.
    fn release_reserve(&self);
}

/// A disk without bounds, for tests of what writes to one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Boundless;

impl Disk for Boundless {
    fn place(&self) -> String {
        "nowhere".to_owned()
    }

    fn look(&self) -> Result<(), Hindered> {
        Ok(())
    }

    fn is_low(&self) -> bool {
        false
    }

    fn room_wanted(&self) -> u64 {
        0
    }

    fn size(&self) -> u64 {
        u64::MAX
    }

    fn take_reserve(&self) -> bool {
        true
    }

    fn release_reserve(&self) {}
}
