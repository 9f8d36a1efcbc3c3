//! What a watcher knows of its folders: names it has spoken about, with the attributes they had
//! then.
//!
//! Memory follows the folders: a name that is no longer listed is forgotten at the next listing, a
//! folder that no longer exists with everything in it.

use crate::disk::Stamp;
use model::arrival::Refusal;
use model::time::Moment;
use std::collections::{BTreeMap, BTreeSet};

/// A watched folder's number within its watcher; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FolderId(u32);

/// The profile's own folder.
pub(crate) const ROOT: FolderId = FolderId(0);

/// What was said about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing: a sidecar whose file is not there yet.
    Waiting,
    /// Nothing: it may still be written.
    Settling,
    /// That it is complete (or, for a record, what it says).
    Taken,
    /// That it cannot be taken.
    Aside(Refusal),
}

/// A name that was looked at. For a pair of file and sidecar there is one entry, under the
/// sidecar's name.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The attributes of what lies under the name itself.
    pub(crate) mark: Stamp,
    /// The attributes of the file that a sidecar names.
    pub(crate) data: Stamp,
    /// The file's name where it is not the sidecar's with the other extension.
    pub(crate) file: Option<Box<str>>,
    pub(crate) said: Said,
    /// Since when it has been like that.
    pub(crate) since: Moment,
}

/// What a folder looked like when it was listed last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing {
    pub(crate) stamp: Stamp,
    pub(crate) links: u64,
    pub(crate) began: Moment,
}

#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// Relative to the profile's folder, without slash at either end; empty for the root.
    pub(crate) path: String,
    /// Whether its source tells of changes in it.
    pub(crate) watched: bool,
    pub(crate) known: BTreeMap<Box<[u8]>, Known>,
    /// Sidecars by their file's name, where the two names do not belong together by rule.
    pub(crate) other_sidecars: BTreeMap<Box<str>, Box<[u8]>>,
    /// Names to be looked at again at every scan, listed or not.
    pub(crate) open: BTreeSet<Box<[u8]>>,
    pub(crate) listing: Option<Listing>,
    /// Whether it was said that the folder cannot be read.
    pub(crate) outage_told: bool,
    /// Whether it was said that too much lies in it.
    pub(crate) flat_told: bool,
}

impl Folder {
    pub(crate) fn relative(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.path)
        }
    }

    /// Remembers an entry, and whether it must be looked at again.
    pub(crate) fn remember(&mut self, name: &[u8], known: Known) {
        match known.said {
            Said::Waiting | Said::Aside(Refusal::Unreachable) => {
                self.open.insert(name.into());
            }
            Said::Settling | Said::Taken | Said::Aside(_) => {
                self.open.remove(name);
            }
        }
        if let Some(file) = &known.file {
            self.other_sidecars.insert(file.clone(), name.into());
        }
        self.known.insert(name.into(), known);
    }

    pub(crate) fn forget(&mut self, name: &[u8]) {
        self.open.remove(name);
        if let Some(Known {
            file: Some(file), ..
        }) = self.known.remove(name)
        {
            self.other_sidecars.remove(&file);
        }
    }

    /// Forgets every name that is not in `listed`, which is in order: one merge of two sorted rows.
    pub(crate) fn keep_only<'n>(&mut self, listed: impl Iterator<Item = &'n [u8]>) {
        let mut listed = listed.peekable();
        let mut gone = Vec::new();
        for name in self.known.keys() {
            while listed.next_if(|next| *next < &name[..]).is_some() {}
            if listed.peek().is_none_or(|next| *next != &name[..]) {
                gone.push(name.clone());
            }
        }
        for name in gone {
            self.forget(&name);
        }
    }
}

/// All folders of one watcher.
#[derive(Debug)]
pub(crate) struct Tree {
    folders: BTreeMap<FolderId, Folder>,
    by_path: BTreeMap<String, FolderId>,
    next: u32,
    sums: Sums,
}

/// Sums over all folders, kept as they change: counters are shown after every event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) folders: u64,
    pub(crate) watched: u64,
    pub(crate) open: u64,
}

impl Sums {
    fn of(folder: &Folder) -> Self {
        let (watched, open) = (u64::from(folder.watched), folder.open.len() as u64);
        Self {
            folders: 1,
            watched,
            open,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            folders: self.folders + other.folders,
            watched: self.watched + other.watched,
            open: self.open + other.open,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            folders: self.folders - other.folders,
            watched: self.watched - other.watched,
            open: self.open - other.open,
        }
    }
}

impl Tree {
    /// Only the root.
    pub(crate) fn new() -> Self {
        Self {
            folders: BTreeMap::from([(ROOT, Folder::default())]),
            by_path: BTreeMap::from([(String::new(), ROOT)]),
            next: 1,
            sums: Sums::of(&Folder::default()),
        }
    }

    pub(crate) fn sums(&self) -> Sums {
        self.sums
    }

    pub(crate) fn get(&self, id: FolderId) -> Option<&Folder> {
        self.folders.get(&id)
    }

    /// Changes a folder, if it is still known.
    pub(crate) fn change<R>(
        &mut self,
        id: FolderId,
        change: impl FnOnce(&mut Folder) -> R,
    ) -> Option<R> {
        let folder = self.folders.get_mut(&id)?;
        let before = Sums::of(folder);
        let result = change(folder);
        self.sums = self.sums.plus(Sums::of(folder)).minus(before);
        Some(result)
    }

    /// The folder of that path, registered now if it is new; says whether it is.
    pub(crate) fn ensure(&mut self, path: String) -> (FolderId, bool) {
        if let Some(id) = self.by_path.get(&path) {
            return (*id, false);
        }
        let id = FolderId(self.next);
        self.next += 1;
        self.by_path.insert(path.clone(), id);
        let folder = Folder {
            path,
            ..Folder::default()
        };
        self.sums = self.sums.plus(Sums::of(&folder));
        self.folders.insert(id, folder);
        (id, true)
    }

    /// Forgets a folder and those below it; says which. The root stays, empty.
    pub(crate) fn remove(&mut self, id: FolderId) -> Vec<FolderId> {
        let Some(folder) = self.folders.get(&id) else {
            return Vec::new();
        };
        let gone: Vec<(String, FolderId)> = if id == ROOT {
            self.by_path
                .iter()
                .map(|(path, id)| (path.clone(), *id))
                .collect()
        } else {
            let (path, below) = (folder.path.clone(), format!("{}/", folder.path));
            let after = self.by_path.range(below.clone()..);
            let after = after.take_while(|(path, _)| path.starts_with(&below));
            let after = after.map(|(path, id)| (path.clone(), *id));
            std::iter::once((path, id)).chain(after).collect()
        };
        for (path, id) in &gone {
            if *id == ROOT {
                self.change(ROOT, |root| {
                    *root = Folder {
                        outage_told: root.outage_told,
                        ..Folder::default()
                    };
                });
            } else {
                self.by_path.remove(path);
                let folder = self.folders.remove(id).expect("every path has its folder");
                self.sums = self.sums.minus(Sums::of(&folder));
            }
        }
        gone.into_iter().map(|(_, id)| id).collect()
    }

    /// All folders, parents before their children.
    pub(crate) fn in_order(&self) -> Vec<FolderId> {
        self.by_path.values().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let stamp = Stamp::default();
        let said = Said::Waiting;
        Known {
            mark: stamp,
            data: stamp,
            file: None,
            said,
            since: Moment(0),
        }
    }

    #[test]
    fn names_that_are_no_longer_listed_are_forgotten() {
        let check = |have: &[&str], listed: &[&str], expect: &[&str]| {
            let mut folder = Folder::default();
            for name in have {
                folder.remember(name.as_bytes(), known());
            }
            folder.keep_only(listed.iter().map(|name| name.as_bytes()));
            let names = |names: Vec<&[u8]>| -> Vec<String> {
                names
                    .iter()
                    .map(|name| String::from_utf8_lossy(name).into_owned())
                    .collect()
            };
            assert_eq!(
                names(folder.known.keys().map(|name| &name[..]).collect()),
                expect
            );
            assert_eq!(
                names(folder.open.iter().map(|name| &name[..]).collect()),
                expect
            );
        };
        check(&["a", "b", "d"], &["a", "b", "c", "d"], &["a", "b", "d"]);
        check(&["a", "b", "d"], &["b", "c"], &["b"]);
        check(&["a", "b"], &[], &[]);
        check(&[], &["a"], &[]);
    }

    #[test]
    fn a_folder_goes_with_everything_below_it_and_nothing_beside_it() {
        let mut tree = Tree::new();
        let paths = ["r", "r/a", "r/a/x", "r/ab", "r.b", "r0"];
        let ids: Vec<FolderId> = paths.map(|path| tree.ensure(path.to_owned()).0).into();
        assert_eq!(tree.ensure("r/a".to_owned()), (ids[1], false));
        assert_eq!(tree.remove(ids[1]), [ids[1], ids[2]]);
        assert_eq!(tree.remove(ids[0]), [ids[0], ids[3]]);
        let path = |id| tree.get(id).map(|folder| folder.path.as_str());
        let left: Vec<&str> = tree.in_order().into_iter().filter_map(path).collect();
        assert_eq!(left, ["", "r.b", "r0"]);
        let last = *ids.last().expect("six folders");
        tree.change(last, |folder| folder.remember(b"x", known()));
        tree.change(last, |folder| folder.watched = true);
        assert_eq!(
            tree.sums(),
            Sums {
                folders: 3,
                watched: 1,
                open: 1
            }
        );
        assert_eq!(tree.remove(ROOT).len(), 3);
        assert_eq!(tree.in_order(), [ROOT]);
        assert_eq!(
            tree.sums(),
            Sums {
                folders: 1,
                watched: 0,
                open: 0
            }
        );
    }
}
