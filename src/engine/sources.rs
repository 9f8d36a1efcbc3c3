//! Safe release of sources (P2): every file of the detector is copied to two places, each copy is
//! read back, left to soak and read once more; then, once its run has finished, the source may go.
//!
//! In come what copiers and readers have found, out go orders to copy, to read, to remove. The
//! decision to release is a fact like any other, and the order to remove waits until it is durable.
//! Without a policy nothing here ever asks for anything. Everything but the rows is derived: what
//! is under way is asked for again after a restart.

mod releasing;

use crate::timers::Timer;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::fact::Fact;
use model::file::{Content, File};
use model::ids::{AttemptNumber, FileId, RunNumber};
use model::names::FileName;
use model::source::{
    CopyPlace, Evidence, Found, How, Source, SourceEvent, SourceFailure, SourceNews, SourceState,
    SourceTrouble,
};
use model::time::{Moment, Span};
use model::units::Bytes;
use model::work::Location;
use std::collections::{BTreeMap, BTreeSet};

/// Orders that may be out at once: enough to keep the copier's thread busy, few enough that its
/// lane is never what others wait for.
const ORDERS_MAX: usize = 32;
/// Sources released in one step, at most: each is two rows, and others wait for the step.
const RELEASED_MAX: usize = 500;
/// What could not be done is tried again after this time: long enough for a mount to come back,
/// short beside any wait of people.
const AGAIN_AFTER: Span = Span::from_secs(10);
/// A source that is gone is looked for again after this time: it costs little, and people mount
/// spools again.
const LOOK_AFTER: Span = Span::from_secs(60);

/// When sources may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasePolicy {
    /// How long both copies must have been there before they are read once more.
    pub soak: Span,
}

/// What is asked of the world for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Copy(CopyPlace),
    Read(CopyPlace),
    Unlink,
}

/// What comes next for a file.
enum Next {
    Now(Order),
    At(Moment),
    Nothing,
}

/// Sources on their way to removal.
#[derive(Default)]
pub(crate) struct Sources {
    policy: Option<ReleasePolicy>,
    /// The rows; a file without one has landed.
    pub(crate) rows: BTreeMap<FileId, Source>,
    /// Files that something may be asked for now.
    wanting: BTreeSet<FileId>,
    under_way: BTreeMap<FileId, Order>,
    /// Soaked ones and lost ones, by run.
    soaked: BTreeSet<(RunNumber, FileId)>,
    lost: BTreeSet<(RunNumber, FileId)>,
    /// Runs whose soaked sources shall be looked at.
    look: BTreeSet<RunNumber>,
    /// Files whose source was not there when it was to be copied, and that have a good copy.
    gone: BTreeSet<FileId>,
    /// Places that take nothing before.
    held: BTreeMap<CopyPlace, Moment>,
    /// Files for which nothing is asked before.
    paused: BTreeMap<FileId, Moment>,
}

impl Sources {
    pub(crate) fn new(policy: Option<ReleasePolicy>) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// How far a file is.
    pub(crate) fn state(&self, id: FileId) -> SourceState {
        self.rows
            .get(&id)
            .map_or(SourceState::Landed, |row| row.state)
    }

    fn of_run(of: &BTreeSet<(RunNumber, FileId)>, run: RunNumber) -> impl Iterator<Item = FileId> {
        let all = (run, FileId(i64::MIN))..=(run, FileId(i64::MAX));
        of.range(all).map(|(_, id)| *id)
    }

    fn put(&mut self, row: Source) {
        let key = (row.run, row.file);
        self.soaked.remove(&key);
        self.lost.remove(&key);
        match row.state {
            SourceState::Soaked { .. } => {
                self.soaked.insert(key);
                self.look.insert(row.run);
            }
            SourceState::Lost { .. } => {
                self.lost.insert(key);
            }
            _ => {}
        }
        self.rows.insert(row.file, row);
    }

    /// A run is history: nothing of it is asked for any more, and its rows stay where they are.
    pub(crate) fn forget(&mut self, run: RunNumber) {
        let of_run = |row: &Source| row.run == run;
        let left = self.rows.values().filter(|row| of_run(row));
        let left: Vec<FileId> = left.map(|row| row.file).collect();
        for id in left {
            self.rows.remove(&id);
            self.wanting.remove(&id);
            self.under_way.remove(&id);
            self.gone.remove(&id);
            self.paused.remove(&id);
            self.soaked.remove(&(run, id));
            self.lost.remove(&(run, id));
        }
        self.look.remove(&run);
    }

    fn hold(&mut self, place: CopyPlace, until: Moment) {
        self.held.insert(place, until);
    }

    /// Until when a place takes nothing.
    fn held_until(&self, place: CopyPlace, now: Moment) -> Option<Moment> {
        self.held.get(&place).copied().filter(|until| *until > now)
    }
}

/// What a step rests on, but for who and when.
struct Learnt {
    how: How,
    copy: Option<CopyPlace>,
    found: Option<(Bytes, u32)>,
    by: Option<String>,
    detail: String,
}

impl Learnt {
    fn new(how: How) -> Self {
        Self {
            how,
            copy: None,
            found: None,
            by: None,
            detail: String::new(),
        }
    }

    fn of(how: How, copy: CopyPlace, found: Option<(Bytes, u32)>) -> Self {
        Self {
            copy: Some(copy),
            found,
            ..Self::new(how)
        }
    }

    fn with(self, detail: &str) -> Self {
        Self {
            detail: detail.to_owned(),
            ..self
        }
    }
}

impl Engine {
    /// Takes the rows of a restart in; whatever is not over is looked at again.
    pub(crate) fn restore_sources(&mut self, rows: Vec<Source>) {
        for row in rows {
            self.sources.put(row);
        }
        if self.sources.policy.is_some() {
            let files = self.files.values().filter(|file| !file.arrival.empty);
            let left = files.filter(|file| !self.sources.state(file.id).is_over());
            let left: BTreeSet<FileId> = left.map(|file| file.id).collect();
            self.sources.wanting = left;
        }
    }

    /// A file was accepted, or may have changed: something may have to be done for its source.
    pub(crate) fn look_at_source(&mut self, id: FileId) {
        let wanted = self.files.get(&id).filter(|file| !file.arrival.empty);
        if let Some(run) = wanted.map(|file| file.arrival.run)
            && self.sources.policy.is_some()
        {
            self.sources.wanting.insert(id);
            self.sources.look.insert(run);
        }
    }

    /// Whether sources of a run are still on their way to removal. One that differs from what its
    /// sender claims stays where it is.
    pub(crate) fn has_sources_at_work(&self, number: RunNumber) -> bool {
        let is_at_work = |file: &File| {
            file.arrival.run == number
                && !file.arrival.empty
                && !matches!(file.content, Content::Differs { .. })
                && !self.sources.state(file.id).is_over()
        };
        self.sources.policy.is_some() && self.files.values().any(is_at_work)
    }

    /// A run's soaked sources shall be looked at: there were more than one step takes.
    pub(crate) fn look_at_sources(&mut self, run: RunNumber) {
        self.sources.look.insert(run);
    }

    /// Where a file is read: at its source while that exists, and else from a copy, from the other
    /// one at every second attempt.
    pub(crate) fn location_of(&self, file: &File, attempt: AttemptNumber) -> Location {
        let arrival = &file.arrival;
        let (profile, name) = (arrival.profile.clone(), arrival.name.clone());
        let state = self.sources.state(file.id);
        let gone = self.sources.gone.contains(&file.id);
        let place = if state.is_released() && attempt.0.is_multiple_of(2) {
            Some(CopyPlace::Second)
        } else {
            state.good_copy().filter(|_| gone || state.is_released())
        };
        match place {
            Some(place) => Location::Copy {
                place,
                profile,
                name,
            },
            None => Location::Spool { profile, name },
        }
    }

    /// What came of an order.
    pub(crate) fn source_news(
        &mut self,
        now: Moment,
        id: FileId,
        news: SourceNews,
        effects: &mut Vec<Effect>,
    ) {
        let order = match &news {
            SourceNews::Copied(place, _) => Order::Copy(*place),
            SourceNews::Read(place, _) => Order::Read(*place),
            SourceNews::Unlinked(_) => Order::Unlink,
        };
        // Whoever answers what nobody asked of this life is not heard.
        if self.sources.under_way.get(&id) != Some(&order) || !self.files.contains_key(&id) {
            return;
        }
        self.sources.under_way.remove(&id);
        match news {
            SourceNews::Copied(place, found) => self.source_copied(now, id, place, found, effects),
            SourceNews::Read(place, found) => self.copy_read(now, id, place, found, effects),
            SourceNews::Unlinked(result) => self.source_unlinked(now, id, result, effects),
        }
        self.sources.wanting.insert(id);
    }

    fn source_copied(
        &mut self,
        now: Moment,
        id: FileId,
        place: CopyPlace,
        found: Found,
        effects: &mut Vec<Effect>,
    ) {
        let (bytes, adler32) = match found {
            Ok(found) => found,
            Err(failure) => return self.copy_failed(now, id, place, &failure, effects),
        };
        // Whoever copies reads: that is a verification like any other.
        self.content_found(now, id, bytes, adler32, effects);
        let file = &self.files[&id];
        if matches!(file.content, Content::Differs { .. }) {
            return; // Its alarm stands; once it was sent again it is looked at again.
        }
        let key = unread_key(file);
        let row = self.sources.rows.get(&id);
        // The first copy says what every copy must be; it must be what the sender claims.
        let good = self.sources.state(id).good_copy();
        let is_right = match row.filter(|_| good.is_some()) {
            Some(row) => (row.bytes, row.adler32) == (bytes, adler32),
            None => file.is_as_claimed(bytes, adler32),
        };
        if !is_right {
            let text = format!(
                "{} of run {} is not what was accepted: {} bytes were, {} bytes, \
                 adler32:{adler32:08x} are there. It stays where it is and is never released as it \
                 is; it is looked at again every {LOOK_AFTER}. Find out who wrote it anew and have \
                 the right one sent again under its name.",
                file.arrival.name, file.arrival.run, file.arrival.bytes.0, bytes.0
            );
            self.alarm(now, key, Severity::High, text, effects);
            return self.again(id, now + LOOK_AFTER);
        }
        self.clear_alarm(now, &key, effects);
        self.clear_alarm(now, &folder_key(place), effects);
        self.sources.held.remove(&place);
        let how = if good.is_some() && self.sources.gone.contains(&id) {
            How::ReadFromStorage
        } else {
            self.sources.gone.remove(&id);
            How::ReadWhileCopying
        };
        let learnt = Learnt::of(how, place, Some((bytes, adler32)));
        self.source_step(now, id, SourceEvent::Copied(place), learnt, effects);
    }

    fn copy_failed(
        &mut self,
        now: Moment,
        id: FileId,
        place: CopyPlace,
        failure: &SourceFailure,
        effects: &mut Vec<Effect>,
    ) {
        match (failure.trouble, self.sources.state(id).good_copy()) {
            (SourceTrouble::Place, _) => self.place_failed(now, id, place, failure, effects),
            // The source is gone: the good copy is copied, or found to be gone too.
            (SourceTrouble::Missing, Some(good)) => {
                if !self.sources.gone.insert(id) {
                    self.copy_is_bad(now, id, good, None, &failure.message, effects);
                }
            }
            (SourceTrouble::Missing, None) => {
                let learnt = Learnt::new(How::LookedFor).with(&failure.message);
                self.source_step(now, id, SourceEvent::Gone(now), learnt, effects);
                self.again(id, now + LOOK_AFTER);
            }
            (SourceTrouble::Differs | SourceTrouble::Unreachable, _) => {
                let key = unread_key(&self.files[&id]);
                let text = format!(
                    "{}. It is copied once it can be read, and not released before; it is tried \
                     again every {AGAIN_AFTER}.",
                    failure.message
                );
                self.alarm(now, key, Severity::High, text, effects);
                self.again(id, now + AGAIN_AFTER);
            }
        }
    }

    /// A folder of copies does not do what it is there for: nothing is asked of it for a while.
    fn place_failed(
        &mut self,
        now: Moment,
        id: FileId,
        place: CopyPlace,
        failure: &SourceFailure,
        effects: &mut Vec<Effect>,
    ) {
        let text = format!(
            "Copies cannot be kept in copy folder {place}: {}. Sources stay where they are \
             meanwhile, and copying goes on by itself; it is tried again every {AGAIN_AFTER}.",
            failure.message
        );
        self.alarm(now, folder_key(place), Severity::High, text, effects);
        self.sources.hold(place, now + AGAIN_AFTER);
        self.again(id, now + AGAIN_AFTER);
    }

    fn copy_read(
        &mut self,
        now: Moment,
        id: FileId,
        place: CopyPlace,
        found: Found,
        effects: &mut Vec<Effect>,
    ) {
        let row = &self.sources.rows[&id];
        match found {
            Ok(found) if found == (row.bytes, row.adler32) => {
                let key = bad_key(&self.files[&id], place);
                self.clear_alarm(now, &key, effects);
                self.clear_alarm(now, &folder_key(place), effects);
                self.sources.held.remove(&place);
                let learnt = Learnt::of(How::ReadFromStorage, place, Some(found));
                self.source_step(now, id, SourceEvent::Good(place, now), learnt, effects);
            }
            Ok(found) => {
                let what = format!("{} bytes, adler32:{:08x} are there", found.0.0, found.1);
                self.copy_is_bad(now, id, place, Some(found), &what, effects);
            }
            Err(failure) if failure.trouble == SourceTrouble::Missing => {
                self.copy_is_bad(now, id, place, None, &failure.message, effects);
            }
            Err(failure) => self.place_failed(now, id, place, &failure, effects),
        }
    }

    /// A copy is not there, or is something else: it is made again.
    fn copy_is_bad(
        &mut self,
        now: Moment,
        id: FileId,
        place: CopyPlace,
        found: Option<(Bytes, u32)>,
        what: &str,
        effects: &mut Vec<Effect>,
    ) {
        let (file, row) = (&self.files[&id], &self.sources.rows[&id]);
        let fresh = matches!(
            row.state,
            SourceState::Copied { .. } | SourceState::CopiedTwice { .. }
        );
        let text = format!(
            "The copy of {} of run {} in copy folder {place} is not what it must be ({} bytes, \
             adler32:{:08x}): {what}. Its source stays where it is, and the copy is made again. If \
             that happens to others, the storage loses what it has shown: look at its health \
             before anything is released.",
            file.arrival.name, file.arrival.run, row.bytes.0, row.adler32
        );
        let key = bad_key(file, place);
        self.alarm(now, key, Severity::High, text, effects);
        let how = match found {
            Some(_) => How::ReadFromStorage,
            None => How::LookedFor,
        };
        let learnt = Learnt::of(how, place, found).with(what);
        self.source_step(now, id, SourceEvent::Bad(place), learnt, effects);
        if fresh {
            // A storage that never keeps anything is not written to without a pause.
            self.again(id, now + AGAIN_AFTER);
        }
    }

    fn source_unlinked(
        &mut self,
        now: Moment,
        id: FileId,
        result: Result<(), SourceFailure>,
        effects: &mut Vec<Effect>,
    ) {
        let key = kept_key(&self.files[&id]);
        match result {
            Ok(()) => {
                self.clear_alarm(now, &key, effects);
                let learnt = Learnt::new(How::Removed);
                self.source_step(now, id, SourceEvent::Unlinked(now), learnt, effects);
            }
            Err(failure) => {
                let text = format!(
                    "A source that is released could not be removed: {}. Nothing is lost; it is \
                     tried again every {LOOK_AFTER}.",
                    failure.message
                );
                self.alarm(now, key, Severity::Medium, text, effects);
                self.again(id, now + LOOK_AFTER);
            }
        }
    }

    /// Nothing is asked for a file before that moment.
    fn again(&mut self, id: FileId, at: Moment) {
        self.timers.set(at, Timer::Source(id));
        self.sources.paused.insert(id, at);
    }

    /// A file's pause or soak is over.
    pub(crate) fn source_again(&mut self, now: Moment, id: FileId) {
        let over = |until: &Moment| *until <= now;
        if self.sources.paused.get(&id).is_none_or(over) {
            self.sources.paused.remove(&id);
            self.sources.wanting.insert(id);
        }
    }

    /// One step of a source, with its evidence; an illegal one changes nothing.
    fn source_step(
        &mut self,
        now: Moment,
        id: FileId,
        event: SourceEvent,
        learnt: Learnt,
        effects: &mut Vec<Effect>,
    ) {
        let run = self.files[&id].arrival.run;
        let landed = || Source {
            file: id,
            run,
            state: SourceState::Landed,
            bytes: Bytes(0),
            adler32: 0,
            steps: 0,
        };
        let mut row = self.sources.rows.get(&id).cloned().unwrap_or_else(landed);
        let Ok(state) = row.state.next(event) else {
            return;
        };
        let first = row.state.good_copy().is_none();
        if let (SourceEvent::Copied(_), Some((bytes, adler32))) = (event, learnt.found)
            && first
        {
            (row.bytes, row.adler32) = (bytes, adler32);
        }
        if state.is_over() {
            self.archive.look_again();
        }
        row.steps += 1;
        let evidence = Evidence {
            file: id,
            run,
            step: row.steps,
            from: row.state.word().to_owned(),
            to: state.word().to_owned(),
            at: now,
            agent: self.agent,
            epoch: self.epoch,
            by: learnt.by,
            copy: learnt.copy,
            bytes: learnt.found.map(|(bytes, _)| bytes),
            adler32: learnt.found.map(|(_, adler32)| adler32),
            how: learnt.how,
            detail: learnt.detail,
        };
        let was_lost = matches!(row.state, SourceState::Lost { .. });
        row.state = state;
        effects.push(Effect::Record(Fact::SourceIs(row.clone())));
        effects.push(Effect::Record(Fact::EvidenceIs(evidence)));
        self.sources.put(row);
        self.sources.wanting.insert(id);
        if was_lost || matches!(state, SourceState::Lost { .. }) {
            self.tell_lost(now, run, effects);
        }
    }

    /// One alarm a run tells of all its lost sources: a spool that went away is one cause.
    fn tell_lost(&mut self, now: Moment, run: RunNumber, effects: &mut Vec<Effect>) {
        let key = format!("source-lost/{run}");
        let lost = Sources::of_run(&self.sources.lost, run);
        let lost: Vec<&File> = lost.filter_map(|id| self.files.get(&id)).collect();
        let Some(first) = lost.first() else {
            return self.clear_alarm(now, &key, effects);
        };
        let (name, stream, lumi) = {
            let arrival = &first.arrival;
            (&arrival.name, &arrival.stream, arrival.lumi)
        };
        let more = match lost.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more files"),
        };
        let text = format!(
            "{name}{more} of run {run} went from the spool before there was a good copy. Mount \
             the spool again, or put the file back: it is looked for every {LOOK_AFTER} and then \
             copied (one with other content is not taken). If it is lost for good, say so: `tier0 \
             file declare-lost --run {run} --stream {stream} --lumis {lumi} --file {name} --by \
             NAME --reason TEXT`."
        );
        self.restate_alarm(now, key, Severity::High, text, effects);
    }

    /// Sources that are known to be lost, of the names that are given; none if one of them is not.
    pub(crate) fn lost_sources(&self, run: RunNumber, names: &[FileName]) -> Option<Vec<FileId>> {
        let lost = Sources::of_run(&self.sources.lost, run);
        let lost: Vec<&File> = lost.filter_map(|id| self.files.get(&id)).collect();
        let found = |name: &FileName| lost.iter().find(|file| file.arrival.name == *name);
        let ids = names.iter().map(|name| Some(found(name)?.id));
        ids.collect::<Option<Vec<FileId>>>()
            .filter(|ids| !ids.is_empty())
    }

    /// A person has said that a lost source will not come back.
    pub(crate) fn give_source_up(
        &mut self,
        now: Moment,
        id: FileId,
        by: &str,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) {
        let learnt = Learnt {
            by: Some(by.to_owned()),
            ..Learnt::new(How::Said).with(reason)
        };
        self.source_step(now, id, SourceEvent::GivenUp(now), learnt, effects);
        let file = &self.files[&id];
        let bad = CopyPlace::ALL.map(|place| bad_key(file, place));
        // Whatever still hinders others is said again by the next that meets it.
        let folders = CopyPlace::ALL.map(folder_key);
        for key in bad.into_iter().chain(folders).chain([unread_key(file)]) {
            self.clear_alarm(now, &key, effects);
        }
    }
}

fn folder_key(place: CopyPlace) -> String {
    format!("copy-folder/{place}")
}

fn bad_key(file: &File, place: CopyPlace) -> String {
    let arrival = &file.arrival;
    format!("copy-bad/{place}/{}/{}", arrival.profile, arrival.name)
}

fn unread_key(file: &File) -> String {
    let arrival = &file.arrival;
    format!("source-unread/{}/{}", arrival.profile, arrival.name)
}

fn kept_key(file: &File) -> String {
    let arrival = &file.arrival;
    format!("source-kept/{}/{}", arrival.profile, arrival.name)
}
