//! Looking at whole folders: at the start, after an overflow, in new folders, and from time to time
//! (D13).
//!
//! A folder is listed only if it has changed since a listing that began at least two seconds after
//! that change, or if nobody would tell of changes inside it. Watch first, then list: what comes in
//! between is seen twice and told once. In: a folder and why. Out: looks at names, and the folders
//! found below.

use crate::disk::{self, Entry, Listed, Stamp};
use crate::known::{FolderId, Listing, ROOT};
use crate::pattern::printable;
use crate::sight::{Spool, Witness};
use crate::source::Source;
use crate::trouble::Trouble;
use model::alarm::Severity;
use model::arrival::Seen;
use model::time::{Moment, Span};
use rustix::fs::FileType;
use rustix::io::Errno;

/// Clocks of file systems tick coarsely: a listing says nothing of changes within this span before
/// it began.
const MTIME_GRAIN: Span = Span::from_secs(2);
/// A folder without events of its own is listed at every scan for so long after it changed: files
/// may still grow.
const RESTLESS: Span = Span::from_secs(600);
/// Every folder is listed at least so often, whatever its time says.
const LISTING_AGE_MAX: Span = Span::from_secs(86_400);

/// Begin records first, then files, then ends of lumis, then ends of runs: as they were written.
/// Told in any other order, a run could be complete before its last stream is met.
fn in_order_of_the_flow(entries: &[Listed]) -> Vec<&Listed> {
    let rank = |name: &[u8]| match name {
        name if name.ends_with(b"_BoR.jsn") => 0,
        name if name.ends_with(b"_EoLS.jsn") => 2,
        name if name.ends_with(b"_EoR.jsn") => 3,
        _ => 1,
    };
    let mut ordered: Vec<&Listed> = entries.iter().collect();
    // Stable: within a rank the names stay sorted.
    ordered.sort_by_key(|(name, _)| rank(name));
    ordered
}

impl Spool {
    /// Visits a folder, lists it if need be (`force`: in any case), and returns the folders found
    /// new in it.
    pub(crate) fn visit(
        &mut self,
        source: &mut dyn Source,
        folder: FolderId,
        force: bool,
    ) -> Vec<FolderId> {
        let began = self.clock.now();
        let (stamp, links) = match disk::look(self.path_of(folder, b"")) {
            Ok(Some(Entry::Folder(stamp, links))) => (stamp, links),
            Ok(_) => {
                self.folder_gone(source, folder);
                return Vec::new();
            }
            Err(errno) => {
                self.outage(folder, "ask about the folder", errno);
                return Vec::new();
            }
        };
        let Some(known) = self.tree.get(folder) else {
            return Vec::new();
        };
        let listing = known.listing;
        let replaced = listing.is_some_and(|listing| listing.stamp.inode != stamp.inode);
        if replaced || !known.watched {
            let watched = source.add_folder(folder, self.path_of(folder, b""));
            self.tree.change(folder, |known| known.watched = watched);
        }
        let watched = self.tree.get(folder).is_some_and(|known| known.watched);
        if !force && listing.is_some_and(|last| !needs_listing(last, stamp, links, watched, began))
        {
            self.look_at_open(folder);
            return Vec::new();
        }
        match disk::list(self.path_of(folder, b"")) {
            Ok(entries) => {
                self.counters.listings_total += 1;
                self.outage_over(folder);
                self.tree.change(folder, |known| {
                    known.listing = Some(Listing {
                        stamp,
                        links,
                        began,
                    });
                    known.keep_only(entries.iter().map(|(name, _)| &name[..]));
                });
                self.advise(folder, entries.len());
                self.look_at_listed(folder, &entries)
            }
            Err(errno) => {
                self.outage(folder, "list the folder", errno);
                Vec::new()
            }
        }
    }

    /// A folder with very many names costs each scan a listing of all of them, because any new one
    /// changes it (D13). People are told once, and again when that is over.
    fn advise(&mut self, folder: FolderId, entries: usize) {
        let most = self.profile.flat_entries_max;
        let is_flat = entries > most;
        let told = self.tree.change(folder, |known| {
            let told = std::mem::replace(&mut known.flat_told, is_flat);
            (told != is_flat).then(|| known.path.clone())
        });
        let Some(Some(path)) = told else { return };
        let shown = if folder == ROOT { "." } else { &path };
        let key = format!("spool-flat/{}/{shown}", self.profile.name);
        if !is_flat {
            self.tell(Seen::TroubleOver(key));
            return;
        }
        let text = format!(
            "{entries} names lie in the folder {shown} of stream profile {}: each scan lists all of \
             them, because a single new one changes it. Nothing is missed. Have a folder made for \
             each run, or what is no longer needed removed; up to {most} are no trouble.",
            self.profile.name
        );
        self.tell(Seen::Trouble(model::trouble::Trouble {
            key,
            severity: Severity::Low,
            text,
        }));
    }

    fn look_at_listed(&mut self, folder: FolderId, entries: &[Listed]) -> Vec<FolderId> {
        let mut below = Vec::new();
        for (name, kind) in in_order_of_the_flow(entries) {
            let kind = match kind {
                // Some file systems do not say.
                FileType::Unknown => match disk::look(self.path_of(folder, name)) {
                    Ok(Some(Entry::Folder(..))) => FileType::Directory,
                    _ => FileType::RegularFile,
                },
                known => *known,
            };
            let now = self.clock.now();
            if kind == FileType::Directory {
                below.extend(
                    self.enter(folder, name, now)
                        .filter(|(_, new)| *new)
                        .map(|(id, _)| id),
                );
            } else if disk::odd_word(kind).is_some() {
                self.look(folder, name, Witness::Created, now);
            } else {
                self.look(folder, name, Witness::Looked, now);
            }
        }
        below
    }

    /// Registers a folder below another; none if it is passed over. Says whether it is new.
    pub(crate) fn enter(
        &mut self,
        parent: FolderId,
        name: &[u8],
        now: Moment,
    ) -> Option<(FolderId, bool)> {
        if !self.profile.recursive || self.profile.ignore.folder(name) {
            return None;
        }
        let holder = self.tree.get(parent)?;
        match printable(name) {
            Ok(text) => {
                let path = holder.relative(text);
                Some(self.tree.ensure(path))
            }
            Err(shown) => {
                let shown = holder.relative(&shown);
                let stamp = match disk::look(self.path_of(parent, name)) {
                    // Its time changes with every file in it; the name stays as bad as it was.
                    Ok(Some(entry)) => Stamp {
                        inode: entry.stamp().inode,
                        ..Stamp::default()
                    },
                    _ => return None,
                };
                let trouble = Trouble::NotText {
                    shown: shown.clone(),
                };
                self.set_aside(parent, name, &shown, stamp, Stamp::default(), trouble, now);
                None
            }
        }
    }

    /// Looks again at what is waited for in a folder that need not be listed.
    fn look_at_open(&mut self, folder: FolderId) {
        let open = self
            .tree
            .get(folder)
            .map(|known| known.open.clone())
            .unwrap_or_default();
        for name in open {
            let now = self.clock.now();
            self.look(folder, &name, Witness::Looked, now);
        }
    }

    /// Forgets a folder that is no longer there. The profile's own folder is missed aloud.
    pub(crate) fn folder_gone(&mut self, source: &mut dyn Source, folder: FolderId) {
        if folder != ROOT {
            self.outage_over(folder);
        }
        self.advise(folder, 0);
        for gone in self.tree.remove(folder) {
            source.remove_folder(gone);
        }
        if folder == ROOT {
            self.outage(ROOT, "find the folder", Errno::NOENT);
        }
    }

    /// Says once an outage that a folder cannot be read.
    fn outage(&mut self, folder: FolderId, verb: &'static str, errno: Errno) {
        let told = self.tree.change(folder, |known| {
            known.listing = None;
            let shown = if folder == ROOT {
                ".".to_owned()
            } else {
                known.path.clone()
            };
            (std::mem::replace(&mut known.outage_told, true), shown)
        });
        let Some((false, shown)) = told else { return };
        let named = match folder {
            ROOT => self.profile.folder.display().to_string(),
            _ => format!("{}/{shown}", self.profile.folder.display()),
        };
        let text = format!(
            "Could not {verb} {named} of stream profile {}: {}. What is written there meanwhile \
             is taken when it can be read again; it is tried at each scan. {}.",
            self.profile.name,
            std::io::Error::from(errno),
            remedy(errno)
        );
        self.tell(Seen::Trouble(model::trouble::Trouble {
            key: self.outage_key(&shown),
            severity: Severity::High,
            text,
        }));
    }

    fn outage_key(&self, shown: &str) -> String {
        format!("spool/{}/{shown}", self.profile.name)
    }

    /// The folder can be read, or is gone and not missed.
    fn outage_over(&mut self, folder: FolderId) {
        let told = self.tree.change(folder, |known| {
            let shown = if folder == ROOT {
                ".".to_owned()
            } else {
                known.path.clone()
            };
            (std::mem::replace(&mut known.outage_told, false), shown)
        });
        if let Some((true, shown)) = told {
            self.tell(Seen::TroubleOver(self.outage_key(&shown)));
        }
    }
}

/// What to do about a folder that cannot be read.
fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::MFILE | Errno::NFILE => {
            "Raise the limit of open files (ulimit -n, LimitNOFILE of the service), or find out \
             what holds so many"
        }
        Errno::NOENT | Errno::NOTDIR => "Mount it again, or make the folder",
        _ => "Check its permissions, its mount and the disk under it",
    }
}

fn needs_listing(last: Listing, now: Stamp, links: u64, watched: bool, began: Moment) -> bool {
    last.stamp != now
        || last.links != links
        || last.began.since(now.mtime) < MTIME_GRAIN
        || (!watched && began.since(now.mtime) < RESTLESS)
        || began.since(last.began) > LISTING_AGE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_when_something_may_have_changed() {
        let at = |seconds: i64| Moment(seconds * 1_000_000_000);
        let stamp = |mtime: i64| Stamp {
            inode: 1,
            bytes: 4096,
            mtime: at(mtime),
        };
        let check = |mtime_then, listed, mtime_now, links, watched, now, expect: bool| {
            let last = Listing {
                stamp: stamp(mtime_then),
                links: 2,
                began: at(listed),
            };
            let got = needs_listing(last, stamp(mtime_now), links, watched, at(now));
            assert_eq!(
                got, expect,
                "changed {mtime_now}, listed {listed}, watched {watched}"
            );
        };
        check(100, 102, 100, 2, true, 132, false);
        check(100, 101, 100, 2, true, 132, true);
        check(100, 102, 103, 2, true, 132, true);
        check(100, 102, 100, 3, true, 132, true);
        check(100, 102, 100, 2, false, 132, true);
        check(100, 102, 100, 2, false, 701, false);
        check(100, 102, 100, 2, true, 102 + 86_401, true);
    }
}
