//! The one idempotent step where events and scans meet: look at a name, decide, say it once.
//!
//! In: a folder, a name, and who drew attention to it. Out: at most one word into the sink, and a
//! note of what was said about which attributes. Looking again at unchanged attributes says
//! nothing. A file that was reported and has changed since is reported again with its new
//! attributes: the engine makes a conflict of it. One bad name is set aside with a sentence and
//! never stops the line.

use crate::crashes::Crashes;
use crate::disk::{self, Entry, Stamp};
use crate::known::{FolderId, Known, Said, Tree};
use crate::naming::{Naming, Role};
use crate::pattern::{PatternError, printable};
use crate::profile::{FileCompletion, Profile};
use crate::records::Claim;
use crate::trouble::Trouble;
use model::arrival::{Arrival, Refusal, Seen, SetAside};
use model::names::FileName;
use model::time::{Moment, Span};
use model::units::Bytes;
use ports::clock::Clock;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// Where a watcher puts what it has seen.
pub trait SeenSink: Send {
    /// Takes one sighting; blocks while there is no room. Whoever closes the other end keeps taking
    /// (and dropping) until the watcher has been joined.
    fn seen(&self, seen: Seen);
}

/// A file nobody was seen to rename in is complete when untouched for so long.
const RENAME_QUIET: Span = Span::from_secs(2);
/// A file nobody was seen to close is complete when untouched for so long: writers pause.
const CLOSE_QUIET: Span = Span::from_secs(10);

/// Who draws attention to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Witness {
    /// The kernel: it was made.
    Created,
    /// The kernel: its writer closed it.
    Closed,
    /// The kernel: it was renamed to this.
    Moved,
    /// A listing, or a look that was due.
    Looked,
}

/// Sums since the start, and how things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sightings told, those set aside included.
    pub seen_total: u64,
    /// Things set aside.
    pub set_aside_total: u64,
    /// Times the kernel's event queue overflowed; each is followed by a scan.
    pub overflow_total: u64,
    /// Scans finished.
    pub scans_total: u64,
    /// Folders listed.
    pub listings_total: u64,
    /// Sidecars whose file is not there, and what could not be reached.
    pub waiting: u64,
    /// Folders known.
    pub folders: u64,
    /// Of them, those without kernel events (limit of watches, polling): seen by scans.
    pub folders_unwatched: u64,
    /// The first scan is done: everything that lay there at the start has been told.
    pub ready: bool,
    /// The watcher's thread has ended.
    pub ended: bool,
}

/// One name in one folder, while it is looked at.
pub(crate) struct Place<'n> {
    pub(crate) folder: FolderId,
    pub(crate) name: &'n str,
    /// Relative to the profile's folder.
    pub(crate) relative: String,
    pub(crate) now: Moment,
}

/// The spool of one profile: what is known of it, and where sightings go.
pub(crate) struct Spool {
    pub(crate) profile: Profile,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tree: Tree,
    pub(crate) counters: Counters,
    /// Looks that are due: when, where, at what.
    pub(crate) due: BTreeSet<(Moment, FolderId, Box<[u8]>)>,
    pub(crate) naming: Naming,
    /// Names at which the process ended without notice.
    crashes: Crashes,
    sink: Box<dyn SeenSink>,
    /// Kept between looks: a path is made for every one.
    path: Vec<u8>,
}

impl Spool {
    pub(crate) fn new(
        profile: Profile,
        clock: Arc<dyn Clock>,
        sink: Box<dyn SeenSink>,
        crashes: Crashes,
    ) -> Result<Self, PatternError> {
        let naming = Naming::of(&profile)?;
        let (tree, due) = (Tree::new(), BTreeSet::new());
        let counters = Counters::default();
        Ok(Self {
            profile,
            clock,
            tree,
            counters,
            due,
            naming,
            crashes,
            sink,
            path: Vec::new(),
        })
    }

    /// Puts together the path of a name below a folder (or of the folder itself, for an empty
    /// name).
    pub(crate) fn path_of(&mut self, folder: FolderId, name: &[u8]) -> &[u8] {
        self.path.clear();
        self.path
            .extend_from_slice(self.profile.folder.as_os_str().as_bytes());
        let below = self
            .tree
            .get(folder)
            .map_or("", |folder| folder.path.as_str());
        for part in [below.as_bytes(), name] {
            if !part.is_empty() {
                self.path.push(b'/');
                self.path.extend_from_slice(part);
            }
        }
        &self.path
    }

    /// Looks at a name. `now` becomes the `seen_at` of what is told. A bug that one name brings to
    /// light stays with that name: it is set aside, and the line goes on (P18).
    pub(crate) fn look(&mut self, folder: FolderId, name: &[u8], witness: Witness, now: Moment) {
        let look = std::panic::AssertUnwindSafe(|| self.look_at(folder, name, witness, now));
        if std::panic::catch_unwind(look).is_err() {
            let shown = String::from_utf8_lossy(name).into_owned();
            let trouble = Trouble::Bug {
                name: shown.clone(),
            };
            // As it is now: until it changes it is not looked at again.
            let mark = match disk::look(self.path_of(folder, name)) {
                Ok(Some(entry)) => entry.stamp(),
                _ => Stamp::default(),
            };
            self.set_aside(folder, name, &shown, mark, Stamp::default(), trouble, now);
        }
    }

    fn look_at(&mut self, folder: FolderId, name: &[u8], witness: Witness, now: Moment) {
        let Some(known_folder) = self.tree.get(folder) else {
            return;
        };
        if self.profile.ignore.file(name) {
            return;
        }
        let text = match printable(name) {
            Ok(text) => text,
            Err(shown) => {
                let shown = known_folder.relative(&shown);
                return self.look_at_no_text(folder, name, shown, now);
            }
        };
        let place = Place {
            folder,
            name: text,
            relative: known_folder.relative(text),
            now,
        };
        match self.naming.role(text) {
            Role::Companion => {}
            _ if witness == Witness::Created => self.look_if_odd(&place),
            Role::Record(record) => self.look_at_record(&place, record),
            Role::Sidecar => self.look_at_sidecar(&place),
            Role::Data if self.naming.has_sidecars() => self.look_beside_sidecar(&place, witness),
            Role::Data => self.look_at_file(&place, witness),
        }
    }

    /// A name whose bytes are no text can only be set aside, whatever it is.
    fn look_at_no_text(&mut self, folder: FolderId, name: &[u8], shown: String, now: Moment) {
        let path = self.path_of(folder, name);
        let Ok(Some(entry)) = disk::look(path) else {
            return;
        };
        let trouble = Trouble::NotText {
            shown: shown.clone(),
        };
        self.set_aside(
            folder,
            name,
            &shown,
            entry.stamp(),
            Stamp::default(),
            trouble,
            now,
        );
    }

    /// Something was just made: worth a word only if it is no plain file; folders are not looked at
    /// here.
    fn look_if_odd(&mut self, place: &Place) {
        let path = self.path_of(place.folder, place.name.as_bytes());
        if let Ok(Some(Entry::Odd(stamp, what))) = disk::look(path) {
            let trouble = Trouble::NotAPlainFile {
                name: place.relative.clone(),
                what,
            };
            self.refuse(place, stamp, trouble);
        }
    }

    /// A plain file's attributes; anything else is dealt with here.
    pub(crate) fn plain(&mut self, place: &Place) -> Option<Stamp> {
        match disk::look(self.path_of(place.folder, place.name.as_bytes())) {
            Ok(Some(Entry::Plain(stamp))) => Some(stamp),
            Ok(Some(Entry::Folder(..))) => None,
            Ok(Some(Entry::Odd(stamp, what))) => {
                let name = place.relative.clone();
                self.refuse(place, stamp, Trouble::NotAPlainFile { name, what });
                None
            }
            Ok(None) => {
                self.tree
                    .change(place.folder, |folder| folder.forget(place.name.as_bytes()));
                None
            }
            Err(errno) => {
                let trouble = Trouble::unreachable("ask about", &place.relative, errno);
                self.refuse(place, Stamp::default(), trouble);
                None
            }
        }
    }

    pub(crate) fn known(&self, place: &Place) -> Option<&Known> {
        self.tree
            .get(place.folder)?
            .known
            .get(place.name.as_bytes())
    }

    /// A data file in a profile with sidecars: nothing of its own, but it may be what a sidecar
    /// waits for, or have changed after its sidecar. Without a sidecar it is in progress.
    fn look_beside_sidecar(&mut self, place: &Place, witness: Witness) {
        let Some(folder) = self.tree.get(place.folder) else {
            return;
        };
        let sidecar = match folder.other_sidecars.get(place.name) {
            Some(other) => std::str::from_utf8(other).ok().map(str::to_owned),
            None => self.naming.sidecar_of(place.name),
        };
        if let Some(sidecar) = sidecar.filter(|name| folder.known.contains_key(name.as_bytes())) {
            // A listing looks at every sidecar anyway.
            if witness != Witness::Looked {
                let relative = folder.relative(&sidecar);
                let Place { folder, now, .. } = *place;
                self.look_at_sidecar(&Place {
                    folder,
                    name: &sidecar,
                    relative,
                    now,
                });
            }
            return;
        }
        if let Err(trouble) = self.naming.check_beside_sidecar(&place.relative)
            && let Some(stamp) = self.plain(place)
        {
            self.refuse(place, stamp, trouble);
        }
    }

    /// A data file in a profile without sidecars.
    fn look_at_file(&mut self, place: &Place, witness: Witness) {
        let Some(stamp) = self.plain(place) else {
            return;
        };
        let known = self.known(place).filter(|known| known.mark == stamp);
        let since = match known {
            Some(Known {
                said: Said::Taken, ..
            }) => return,
            Some(Known {
                said: Said::Aside(refusal),
                ..
            }) if *refusal != Refusal::Unreachable => return,
            Some(known) => known.since,
            None => place.now,
        };
        let captured = match self.naming.read_data(&place.relative) {
            Ok(captured) => captured,
            Err(trouble) => return self.refuse(place, stamp, trouble),
        };
        let (quiet, believes_mtime) = match (&self.profile.completion, witness) {
            (FileCompletion::Rename | FileCompletion::CloseWrite, Witness::Moved)
            | (FileCompletion::CloseWrite, Witness::Closed) => (Span::ZERO, true),
            (FileCompletion::CloseWrite, _) => (CLOSE_QUIET, true),
            (FileCompletion::SizeStable { quiet }, _) => (*quiet, false),
            (FileCompletion::Rename | FileCompletion::Sidecar { .. }, _) => (RENAME_QUIET, true),
        };
        let rest_since = if believes_mtime {
            since.min(stamp.mtime)
        } else {
            since
        };
        if place.now.since(rest_since) < quiet {
            self.due.insert((
                rest_since + quiet,
                place.folder,
                place.name.as_bytes().into(),
            ));
            return self.note(place, stamp, Stamp::default(), None, Said::Settling, since);
        }
        let claim = Claim {
            captured,
            file: None,
            bytes: None,
            counts: None,
            checksum: None,
        };
        self.tell_file(place, &place.relative, stamp, &claim, false);
        self.note(place, stamp, Stamp::default(), None, Said::Taken, since);
    }

    fn look_at_sidecar(&mut self, place: &Place) {
        let Some(mark) = self.plain(place) else {
            return;
        };
        let known = self
            .known(place)
            .filter(|known| known.mark == mark)
            .cloned();
        let mut reported = false;
        if let Some(known) = &known {
            match known.said {
                Said::Settling | Said::Aside(Refusal::Unreachable) => {}
                // What is wrong lies in the sidecar itself, and it has not changed.
                Said::Aside(refusal) if refusal != Refusal::SizeDiffers => return,
                Said::Taken | Said::Waiting | Said::Aside(_) => {
                    reported = known.said == Said::Taken;
                    if self.data_is_as_known(place, known) {
                        return;
                    }
                }
            }
        }
        let since = known.map_or(place.now, |known| known.since);
        self.read_noted(place, mark, |spool| {
            spool.look_into_sidecar(place, mark, since, reported);
        });
    }

    /// Reads a record or sidecar; should the process end meanwhile, the next one knows at which
    /// name.
    pub(crate) fn read_noted(&mut self, place: &Place, mark: Stamp, read: impl FnOnce(&mut Self)) {
        if self.crashes.gives_up(&place.relative, mark) {
            let name = place.relative.clone();
            return self.refuse(place, mark, Trouble::Poison { name });
        }
        self.crashes.begin(&place.relative, mark);
        read(self);
        self.crashes.end(&place.relative);
    }

    fn look_into_sidecar(&mut self, place: &Place, mark: Stamp, since: Moment, reported: bool) {
        let claim = match self.claim(place, mark, since) {
            Ok(claim) => claim,
            Err(Some(trouble)) => return self.refuse(place, mark, trouble),
            Err(None) => return,
        };
        let Some(file) = claim.file.clone() else {
            // An empty lumi still reports, under the sidecar's own name.
            self.tell_file(place, &place.relative, mark, &claim, true);
            return self.note(place, mark, Stamp::default(), None, Said::Taken, since);
        };
        self.look_at_claimed(place, mark, since, &claim, &file, reported);
    }

    /// The file that a sidecar speaks of. `reported`: it was told already, so its size was right
    /// once.
    fn look_at_claimed(
        &mut self,
        place: &Place,
        mark: Stamp,
        since: Moment,
        claim: &Claim,
        file: &str,
        reported: bool,
    ) {
        let by_rule = self.naming.file_of(place.name) == file;
        let other: Option<Box<str>> = if by_rule { None } else { Some(file.into()) };
        let folder = self
            .tree
            .get(place.folder)
            .expect("its sidecar was found in it");
        let relative = folder.relative(file);
        let data = match disk::look(self.path_of(place.folder, file.as_bytes())) {
            Ok(Some(Entry::Plain(data))) => data,
            Ok(Some(Entry::Folder(..)) | None) => {
                return self.note(place, mark, Stamp::default(), other, Said::Waiting, since);
            }
            Ok(Some(Entry::Odd(..))) => {
                // Set aside under its own name; the sidecar waits for a plain file to take its
                // place.
                let Place { folder, now, .. } = *place;
                self.look_if_odd(&Place {
                    folder,
                    name: file,
                    relative,
                    now,
                });
                return self.note(place, mark, Stamp::default(), other, Said::Waiting, since);
            }
            Err(errno) => {
                return self.refuse(
                    place,
                    mark,
                    Trouble::unreachable("ask about", &relative, errno),
                );
            }
        };
        if let Some(said) = claim.bytes.filter(|said| *said != data.bytes && !reported) {
            let (sidecar, found) = (place.relative.clone(), data.bytes);
            let trouble = Trouble::SizeDiffers {
                file: relative.clone(),
                sidecar,
                found,
                said,
            };
            let (name, refusal) = (place.name.as_bytes(), trouble.refusal());
            self.set_aside(
                place.folder,
                name,
                &relative,
                mark,
                data,
                trouble,
                place.now,
            );
            return self.note(place, mark, data, other, Said::Aside(refusal), since);
        }
        self.tell_file(place, &relative, data, claim, false);
        self.note(place, mark, data, other, Said::Taken, since);
    }

    /// Whether the file beside an unchanged sidecar is as it was when something was said about it.
    fn data_is_as_known(&mut self, place: &Place, known: &Known) -> bool {
        if known.said == Said::Taken && known.data == Stamp::default() {
            return true;
        }
        let by_rule = self.naming.file_of(place.name);
        let file = known.file.as_deref().unwrap_or(&by_rule);
        match disk::look(self.path_of(place.folder, file.as_bytes())) {
            Ok(Some(Entry::Plain(data))) => data == known.data,
            // Gone after it was taken: released, or another pass will find it. Absent as before:
            // still awaited.
            Ok(_) => true,
            Err(_) => false,
        }
    }

    pub(crate) fn note(
        &mut self,
        place: &Place,
        mark: Stamp,
        data: Stamp,
        file: Option<Box<str>>,
        said: Said,
        since: Moment,
    ) {
        let known = Known {
            mark,
            data,
            file,
            said,
            since,
        };
        self.tree.change(place.folder, |folder| {
            folder.remember(place.name.as_bytes(), known);
        });
    }

    pub(crate) fn tell(&mut self, seen: Seen) {
        self.counters.seen_total += 1;
        self.sink.seen(seen);
    }

    /// Tells of a complete file, or of an empty lumi.
    fn tell_file(&mut self, place: &Place, name: &str, stamp: Stamp, claim: &Claim, empty: bool) {
        let (profile, captured) = (&self.profile, &claim.captured);
        let run = captured
            .run
            .or(profile.run)
            .expect("the profile was checked");
        let lumi = captured.lumi.unwrap_or(profile.lumi);
        let stream = captured.stream.clone().or_else(|| profile.stream.clone());
        let arrival = Arrival {
            profile: profile.name.clone(),
            name: FileName::new(name),
            run,
            lumi,
            stream: stream.expect("the profile was checked"),
            label: profile.label,
            bytes: if empty { Bytes(0) } else { Bytes(stamp.bytes) },
            inode: stamp.inode,
            mtime: stamp.mtime,
            counts: claim.counts,
            checksum: claim.checksum,
            empty,
            seen_at: place.now,
        };
        self.tell(Seen::File(arrival));
    }

    pub(crate) fn refuse(&mut self, place: &Place, mark: Stamp, trouble: Trouble) {
        let (name, none) = (place.name.as_bytes(), Stamp::default());
        self.set_aside(
            place.folder,
            name,
            &place.relative,
            mark,
            none,
            trouble,
            place.now,
        );
    }

    /// Says once that something cannot be taken; again only when it has changed.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a different thing and all are needed"
    )]
    pub(crate) fn set_aside(
        &mut self,
        folder: FolderId,
        name: &[u8],
        shown: &str,
        mark: Stamp,
        data: Stamp,
        trouble: Trouble,
        at: Moment,
    ) {
        let refusal = trouble.refusal();
        let Some(holder) = self.tree.get(folder) else {
            return;
        };
        let said = Said::Aside(refusal);
        let same = |old: &Known| {
            old.said == said
                && match trouble {
                    // Writing into it makes neither a better name nor a plain file.
                    Trouble::NotText { .. } | Trouble::Name { .. } | Trouble::Bug { .. } => true,
                    Trouble::NotAPlainFile { .. } => old.mark.inode == mark.inode,
                    _ => old.mark == mark && old.data == data,
                }
        };
        if holder.known.get(name).is_some_and(same) {
            return;
        }
        let known = Known {
            mark,
            data,
            file: None,
            said,
            since: at,
        };
        self.tree
            .change(folder, |folder| folder.remember(name, known));
        self.tell_aside(shown, &trouble, at);
    }

    /// Says that something cannot be taken, whatever was said before.
    pub(crate) fn tell_aside(&mut self, shown: &str, trouble: &Trouble, at: Moment) {
        self.counters.set_aside_total += 1;
        self.tell(Seen::SetAside(SetAside {
            profile: self.profile.name.clone(),
            name: FileName::new(shown),
            refusal: trouble.refusal(),
            detail: trouble.to_string(),
            at,
        }));
    }
}
