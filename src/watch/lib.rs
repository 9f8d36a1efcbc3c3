//! Sees files arrive. In: stream profiles ([`Profile`]) and folders that others write into. Out:
//! typed sightings ([`model::arrival::Seen`]) in a sink of the caller, each told once: complete
//! files with what their sidecars claim, ends of lumis, begins and ends of runs, and what had to be
//! set aside, with a sentence that says why.
//!
//! Kernel events and scans meet in one idempotent step (`sight`), so nothing is missed when events
//! are lost and nothing is told twice when both see it. This room believes nothing, changes nothing
//! in a spool, follows no link, opens nothing but plain files and reads nothing but records of
//! bounded size. One bad item never stops the line. `notify` is used here and nowhere else, for
//! polling; local folders are watched by raw inotify.

mod cms;
mod crashes;
mod disk;
mod inotify;
mod known;
mod line;
mod naming;
mod pattern;
mod poll;
mod profile;
mod records;
mod scan;
mod sight;
mod source;
mod trouble;

pub use line::{WatchHandle, start, start_remembering};
pub use naming::Sidecars;
pub use pattern::{Captured, NameError, NamePattern, PatternError, printable};
pub use profile::{FileCompletion, How, Ignore, Kind, Profile};
pub use sight::{Counters, SeenSink};
pub use trouble::WatchError;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod spool_tests;
#[cfg(test)]
mod testbed;
