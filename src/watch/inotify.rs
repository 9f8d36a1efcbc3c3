//! Kernel events of hot folders, raw: one descriptor, a mask of what matters, nothing parsed.
//!
//! The mask asks for a third of what a general library asks for, so the kernel's queue (16,384
//! events by default) overflows three times later (D22). An overflow has no folder: everything is
//! scanned. Events carry a watch number, not a path; the table here gives it a folder. A moved
//! folder keeps its watch number and gets a new path.

use crate::known::FolderId;
use crate::sight::Witness;
use crate::source::{Happening, Source, Stop, Woken};
use model::time::Span;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// One read takes at most so many bytes: about 1,000 events of CMS names.
const BUFFER_BYTES: usize = 64 * 1024;

/// The kernel's events of this watcher's folders.
pub(crate) struct InotifySource {
    events: OwnedFd,
    stop: Arc<OwnedFd>,
    folder_of: BTreeMap<i32, FolderId>,
    watch_of: BTreeMap<FolderId, i32>,
    buffer: Vec<MaybeUninit<u8>>,
}

impl InotifySource {
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self {
            events: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            stop: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
            folder_of: BTreeMap::new(),
            watch_of: BTreeMap::new(),
            buffer: vec![MaybeUninit::uninit(); BUFFER_BYTES],
        })
    }

    pub(crate) fn stop(&self) -> Stop {
        Stop::Counter(self.stop.clone())
    }

    /// Watches a folder, with the reason if it cannot.
    pub(crate) fn watch(&mut self, folder: FolderId, path: &[u8]) -> Result<(), Errno> {
        let mask = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW
            | WatchFlags::EXCL_UNLINK;
        let watch = inotify::add_watch(&self.events, path, mask)?;
        if let Some(old) = self.watch_of.insert(folder, watch)
            && old != watch
            && self.folder_of.get(&old) == Some(&folder)
        {
            // Another folder stands at the path now; what the old one says no longer concerns
            // anybody.
            self.folder_of.remove(&old);
            let _ = inotify::remove_watch(&self.events, old);
        }
        self.folder_of.insert(watch, folder);
        Ok(())
    }

    fn read(&mut self, out: &mut Vec<Happening>) {
        let Self {
            events,
            folder_of,
            watch_of,
            buffer,
            ..
        } = self;
        let mut reader = inotify::Reader::new(events, buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return,
                // Not seen in practice; what was missed is found by a scan.
                Err(_) => return out.push(Happening::Overflow),
            };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                out.push(Happening::Overflow);
            } else if let Some(folder) = folder_of.get(&event.wd()).copied() {
                if flags
                    .intersects(ReadFlags::DELETE_SELF | ReadFlags::IGNORED | ReadFlags::UNMOUNT)
                {
                    folder_of.remove(&event.wd());
                    if watch_of.get(&folder) == Some(&event.wd()) {
                        watch_of.remove(&folder);
                        out.push(Happening::FolderGone(folder));
                    }
                } else if let Some(name) = event.file_name() {
                    out.extend(happening(folder, name.to_bytes(), flags));
                }
            }
            if reader.is_buffer_empty() {
                return;
            }
        }
    }
}

fn happening(folder: FolderId, name: &[u8], flags: ReadFlags) -> Option<Happening> {
    let name = Box::from(name);
    if flags.contains(ReadFlags::ISDIR) {
        let made = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        return made.then_some(Happening::FolderMade {
            parent: folder,
            name,
        });
    }
    let witness = if flags.contains(ReadFlags::MOVED_TO) {
        Witness::Moved
    } else if flags.contains(ReadFlags::CLOSE_WRITE) {
        Witness::Closed
    } else if flags.contains(ReadFlags::CREATE) {
        Witness::Created
    } else {
        return None;
    };
    Some(Happening::Entry {
        folder,
        name,
        witness,
    })
}

impl Source for InotifySource {
    fn add_folder(&mut self, folder: FolderId, path: &[u8]) -> bool {
        self.watch(folder, path).is_ok()
    }

    fn remove_folder(&mut self, folder: FolderId) {
        if let Some(watch) = self.watch_of.remove(&folder)
            && self.folder_of.get(&watch) == Some(&folder)
        {
            self.folder_of.remove(&watch);
            // Fails when the kernel has dropped it already, which is as good.
            let _ = inotify::remove_watch(&self.events, watch);
        }
    }

    fn wait(&mut self, span: Span, out: &mut Vec<Happening>) -> Woken {
        let (seconds, nanoseconds) = (span.0.max(0) / 1_000_000_000, span.0.max(0) % 1_000_000_000);
        let timeout = Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        };
        let mut waited = [
            PollFd::new(&self.events, PollFlags::IN),
            PollFd::new(&self.stop, PollFlags::IN),
        ];
        match poll(&mut waited, Some(&timeout)) {
            Ok(0) | Err(_) => return Woken::Look,
            Ok(_) => {}
        }
        if !waited[1].revents().is_empty() {
            return Woken::Stop;
        }
        self.read(out);
        Woken::Look
    }
}
