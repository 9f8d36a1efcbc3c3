//! Polling, for file systems whose changes this kernel does not see, through the library `notify`.
//!
//! Its poller looks at the folder again and again on a thread of its own and tells of paths; what a
//! path means is found out by the same looks as everywhere. It knows times only to the second, so
//! scans back it like anything else.

use crate::known::{FolderId, ROOT};
use crate::sight::Witness;
use crate::source::{Happening, Source, Stop, Woken};
use model::time::Span;
use notify::{Config, PollWatcher, RecursiveMode, Watcher};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What comes from the poller, and from whoever stops it.
#[derive(Debug)]
pub(crate) enum Polled {
    Told(notify::Result<notify::Event>),
    Stop,
}

/// Events on their way to the line; when it is full, the poller waits.
const POLLED_MAX: usize = 4096;
/// Taken at once.
const BATCH_MAX: usize = 1024;

/// The library's poller on the profile's folder.
pub(crate) struct PollSource {
    /// Kept alive: dropping it ends the poller's thread.
    _poller: PollWatcher,
    polled: lanes::Receiver<Polled>,
    batch: Vec<Polled>,
    folders: BTreeMap<PathBuf, FolderId>,
    stop: lanes::Sender<Polled, lanes::Refuse>,
}

impl PollSource {
    pub(crate) fn new(root: &Path, recursive: bool, interval: Span) -> notify::Result<Self> {
        let (stop, stops) = lanes::refuse(1);
        let (teller, told) = lanes::wait(POLLED_MAX);
        let config = Config::default()
            .with_poll_interval(interval.to_duration())
            .with_follow_symlinks(false);
        // A closed lane means that the watcher has ended; the poller is about to be dropped, too.
        let mut poller =
            PollWatcher::new(move |event| drop(teller.send(Polled::Told(event))), config)?;
        let mode = if recursive {
            RecursiveMode::Recursive
        } else {
            RecursiveMode::NonRecursive
        };
        poller.watch(root, mode)?;
        let polled = lanes::Receiver::joined(vec![stops], vec![told]);
        let (batch, folders) = (Vec::new(), BTreeMap::new());
        Ok(Self {
            _poller: poller,
            polled,
            batch,
            folders,
            stop,
        })
    }

    pub(crate) fn stop(&self) -> Stop {
        Stop::Lane(self.stop.clone())
    }

    /// Says what a path that changed means for the folders known.
    fn happening(&self, path: &Path) -> Happening {
        if let Some(folder) = self.folders.get(path) {
            return Happening::FolderChanged(*folder);
        }
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name())
            && let Some(folder) = self.folders.get(parent)
        {
            // It may be a folder; a look at it as a file would only pass it over.
            if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) {
                return Happening::FolderMade {
                    parent: *folder,
                    name: name.as_bytes().into(),
                };
            }
            let (folder, name) = (*folder, name.as_bytes().into());
            return Happening::Entry {
                folder,
                name,
                witness: Witness::Looked,
            };
        }
        let nearest = path.ancestors().find_map(|above| self.folders.get(above));
        Happening::FolderChanged(nearest.copied().unwrap_or(ROOT))
    }
}

impl Source for PollSource {
    fn add_folder(&mut self, folder: FolderId, path: &[u8]) -> bool {
        self.folders
            .insert(PathBuf::from(OsStr::from_bytes(path)), folder);
        // The poller tells of names, but a file that grows within a second escapes it: scans must
        // look, too.
        false
    }

    fn remove_folder(&mut self, folder: FolderId) {
        self.folders.retain(|_, known| *known != folder);
    }

    fn wait(&mut self, span: Span, out: &mut Vec<Happening>) -> Woken {
        let deadline = Instant::now() + span.to_duration();
        let mut batch = std::mem::take(&mut self.batch);
        let taken = self
            .polled
            .recv_batch(&mut batch, BATCH_MAX, Some(deadline));
        let mut woken = if taken.is_ok() {
            Woken::Look
        } else {
            Woken::Stop
        };
        for polled in batch.drain(..) {
            match polled {
                Polled::Stop => woken = Woken::Stop,
                Polled::Told(Ok(event)) if event.need_rescan() => out.push(Happening::Overflow),
                Polled::Told(Ok(event)) => {
                    out.extend(event.paths.iter().map(|path| self.happening(path)));
                }
                // A path it could not read; a look at the folder finds out which and says so.
                Polled::Told(Err(error)) => {
                    out.extend(error.paths.iter().map(|path| self.happening(path)));
                }
            }
        }
        self.batch = batch;
        woken
    }
}
