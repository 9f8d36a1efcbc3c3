//! Room on the work disk: noticing that there is none, ending whoever took it, and not blaming
//! those who only met it.
//!
//! In: looks of the keeper, and doubts of whoever could not write. Out: a trouble while there is no
//! room, the end of an attempt that holds much of the disk, and for attempts that failed meanwhile
//! whose fault that was.

use crate::judge::Cause;
use crate::local::Shared;
use crate::state::Ending;
use crate::wire::Force;
use model::job::ExitClass;
use model::time::{Moment, Span};
use model::trouble::{DiskRole, Trouble};
use model::units::Bytes;
use model::work::AttemptReport;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// An attempt that holds this part of a disk without room is ended.
const FILLER_PART: u64 = 4;
/// Files of an attempt that are counted; one with more holds much anyway.
const FILES_COUNTED_MAX: usize = 10_000;
/// How often a disk without room is looked at.
const LOOK_EVERY: Span = Span::from_millis(500);
/// What the kernel says when a disk takes no more: ENOSPC, EROFS, EDQUOT (errno(3)).
const NO_ROOM: [i32; 3] = [28, 30, 122];

/// What the keeper remembers of the work disk.
#[derive(Default)]
pub(crate) struct Room {
    /// Since when there is none, and when that was looked at.
    lacking: Option<Moment>,
}

impl Room {
    /// Whether the keeper must stay awake for it.
    pub(crate) fn is_lacking(&self) -> bool {
        self.lacking.is_some()
    }
}

impl Shared {
    /// Somebody could not write: the keeper shall look.
    pub(crate) fn doubt_disk(&self, error: &std::io::Error) {
        if error
            .raw_os_error()
            .is_some_and(|errno| NO_ROOM.contains(&errno))
        {
            // Written by whoever failed, taken by the keeper; it carries no other data.
            self.disk_doubted.store(true, Ordering::Relaxed);
            let mut state = self.state();
            self.wake_keeper(&mut state);
        }
    }

    /// Looks at the work disk; says when it takes nothing, and when it does again.
    pub(crate) fn look_at_disk(&self, room: &mut Room, now: Moment) {
        let disk = &self.options.disk;
        let doubted = self.disk_doubted.swap(false, Ordering::Relaxed);
        match room.lacking {
            None if doubted || disk.is_low() => {
                let Err(hindered) = disk.look() else { return };
                room.lacking = Some(now);
                let tried = "attempts write there";
                let trouble = Trouble::disk(
                    DiskRole::Work,
                    hindered.hindrance,
                    &disk.place(),
                    tried,
                    &hindered.short,
                );
                self.options.sink.trouble(trouble);
            }
            Some(looked) if now.since(looked) > LOOK_EVERY => {
                room.lacking = Some(now);
                if disk.look().is_ok() {
                    room.lacking = None;
                    self.options.sink.trouble_over(&DiskRole::Work.key());
                }
            }
            None | Some(_) => {}
        }
        if room.is_lacking() {
            self.end_filler(now);
        }
    }

    /// Ends the attempt that holds most, if that is much of the disk.
    fn end_filler(&self, now: Moment) {
        let folders: Vec<(u64, PathBuf)> = {
            let state = self.state();
            let running = state.processes.iter();
            let running = running.filter(|(_, process)| process.ending.is_none());
            running
                .map(|(key, process)| (*key, process.folder.clone()))
                .collect()
        };
        let sizes = folders
            .into_iter()
            .map(|(key, folder)| (bytes_below(&folder), key));
        let Some((bytes, key)) = sizes.max() else {
            return;
        };
        if bytes < self.options.disk.size() / FILLER_PART {
            return;
        }
        {
            let mut state = self.state();
            let Some(process) = state.processes.get_mut(&key) else {
                return;
            };
            process.ending = Some(Ending {
                cause: Cause::Disk { bytes },
                since: now,
                killed: true,
            });
        }
        self.signal(key, Force::Kill);
    }

    /// An attempt that failed while the disk had no room: if it holds little itself, it only met
    /// that, and is made again at no cost.
    pub(crate) fn excuse(&self, folder: &Path, report: &mut AttemptReport) {
        let failed = !matches!(report.class, ExitClass::Ok | ExitClass::Lost);
        if !failed || !self.options.disk.is_low() {
            return;
        }
        let bytes = bytes_below(folder);
        let said = &report.message;
        if bytes < self.options.disk.room_wanted() {
            report.class = ExitClass::Lost;
            report.message = format!("the work disk was full while it ran: {said}");
        } else {
            let bytes = Bytes(bytes);
            report.class = ExitClass::Site;
            report.message =
                format!("the work disk was full while it ran, {bytes} of that its own: {said}");
        }
    }
}

/// Bytes of the files below a folder; links are not followed.
fn bytes_below(folder: &Path) -> u64 {
    let (mut folders, mut bytes, mut counted) = (vec![folder.to_path_buf()], 0_u64, 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            counted += 1;
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                folders.push(entry.path());
            } else {
                bytes = bytes.saturating_add(found.len());
            }
            if counted >= FILES_COUNTED_MAX {
                return bytes;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_below_a_folder_and_not_beyond_links() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("a"), [0; 300]).unwrap();
        fs::write(folder.path().join("sub/b"), [0; 700]).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("link")).unwrap();
        let bytes = bytes_below(folder.path());
        assert!((1_000..1_100).contains(&bytes), "{bytes}");
        assert_eq!(bytes_below(&folder.path().join("none")), 0);
    }
}
