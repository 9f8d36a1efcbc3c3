//! The modelled sources and their copies: a spool that files leave, by our hand or by another, and
//! two disks of copies that are full, lose what they have shown, and say that all is well when it
//! is not.
//!
//! In come orders, out come answers that take their time. I2 is looked at from outside: a source
//! that we removed has two good copies, whatever anybody believes.

use crate::detector::Kind;
use crate::disk::{Disk, folder_of};
use crate::random::{Random, mix, mix_text};
use crate::storage::{content, read};
use crate::world::{Event, World};
use model::arrival::{Arrival, Checksum, Seen};
use model::file::{Content, File};
use model::ids::FileId;
use model::names::{FileName, ProfileName};
use model::source::{
    CopyOrder, CopyPlace, Found, SourceFailure, SourceNews, SourceState, SourceTrouble, UnlinkOrder,
};
use model::time::{Moment, Span};
use model::units::Bytes;
use model::wait::{Object, WaitKind};
use model::work::Location;
use std::collections::BTreeMap;

/// Sources that their sender sends again once they are gone, in thousandths.
const SENT_AGAIN: u64 = 60;

type Name = (ProfileName, FileName);

/// Why a source is not in its spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absent {
    /// We removed it.
    Ours,
    /// Somebody else did, for a while or for good.
    Theirs { until: Option<Moment> },
}

/// What an order does to a disk; a crash may come after any part of it.
#[derive(Clone, Debug)]
enum Doing {
    /// Put these bytes under that name; a bit of them may turn over unseen.
    Copy(CopyPlace, String, Vec<u8>, Option<usize>),
    /// Half of them, and no more.
    Half(CopyPlace, String, Vec<u8>),
    Unlink(Name),
}

/// The spool's sources and the disks of copies.
#[derive(Debug)]
pub(crate) struct Sources {
    copies: [Disk; 2],
    absent: BTreeMap<Name, Absent>,
    under_way: BTreeMap<FileId, Doing>,
    /// Copies that vanish, and when: also while no process is there to see it.
    vanishing: Vec<(Moment, CopyPlace, String)>,
    /// How often something was done about a source.
    times: BTreeMap<FileId, u64>,
    /// How long copies soak: what vanishes does so within it.
    pub(crate) soak: Span,
}

fn at(place: CopyPlace) -> usize {
    match place {
        CopyPlace::First => 0,
        CopyPlace::Second => 1,
    }
}

fn path(profile: &ProfileName, name: &FileName) -> String {
    format!("{profile}/{name}")
}

fn failure(trouble: SourceTrouble, message: &str) -> SourceFailure {
    SourceFailure {
        trouble,
        message: message.to_owned(),
    }
}

impl Sources {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            copies: [Disk::new(random), Disk::new(random)],
            absent: BTreeMap::new(),
            under_way: BTreeMap::new(),
            vanishing: Vec::new(),
            times: BTreeMap::new(),
            soak: Span::from_millis(random.between(50, 4_000) as i64),
        }
    }

    /// Whether a watcher finds the file where it was.
    pub(crate) fn is_there(&self, arrival: &Arrival) -> bool {
        let key = (arrival.profile.clone(), arrival.name.clone());
        !self.absent.contains_key(&key)
    }

    /// Whether we removed it.
    pub(crate) fn is_removed(&self, profile: &ProfileName, name: &FileName) -> bool {
        self.absent.get(&(profile.clone(), name.clone())) == Some(&Absent::Ours)
    }

    fn copy(&self, place: CopyPlace, profile: &ProfileName, name: &FileName) -> Option<&[u8]> {
        self.copies[at(place)].read(&path(profile, name))
    }

    /// Whether a copy is there and is what its source was.
    pub(crate) fn is_good(&self, place: CopyPlace, arrival: &Arrival) -> bool {
        let found = self.copy(place, &arrival.profile, &arrival.name);
        found.and_then(read) == Some(truth(arrival))
    }

    /// One step after the other, as far as `left` goes.
    fn go(&mut self, doing: Doing, mut left: u64) {
        let mut may = || {
            let may = left > 0;
            left = left.saturating_sub(1);
            may
        };
        match doing {
            Doing::Half(place, name, bytes) => {
                let half = format!("{name}.half");
                let disk = &mut self.copies[at(place)];
                disk.create(&half);
                // What fitted is there; whoever copies again begins anew.
                let _ = disk.append(&half, &bytes, bytes.len() / 2);
            }
            Doing::Copy(place, name, bytes, turned) => {
                let half = format!("{name}.half");
                let disk = &mut self.copies[at(place)];
                if !may() {
                    return;
                }
                disk.create(&half);
                let _ = disk.append(&half, &bytes, usize::MAX);
                if !may() {
                    return;
                }
                let _ = disk.sync(&half, false);
                if let Some(bit) = turned {
                    disk.flip(&half, bit % (bytes.len() * 8));
                }
                if !may() {
                    return;
                }
                disk.remove(&name);
                if !may() {
                    return;
                }
                let _ = disk.rename(&half, &name);
                if may() {
                    disk.sync_folder(folder_of(&name));
                }
            }
            Doing::Unlink(name) => {
                if may() {
                    self.absent.insert(name, Absent::Ours);
                }
            }
        }
    }

    /// The answer to an order is there: it was carried out.
    pub(crate) fn finish(&mut self, file: FileId) {
        if let Some(doing) = self.under_way.remove(&file) {
            self.go(doing, u64::MAX);
        }
    }

    /// The process is gone in the middle of whatever it did, and perhaps the power.
    pub(crate) fn crash(&mut self, power_cut: bool, random: &mut Random) {
        for doing in std::mem::take(&mut self.under_way).into_values() {
            self.go(doing, random.below(6));
        }
        if power_cut {
            self.copies
                .iter_mut()
                .for_each(|disk| disk.power_cut(random));
        }
    }

    /// A copy that was there is not any more.
    pub(crate) fn vanish(&mut self, place: CopyPlace, name: &str) -> bool {
        let disk = &mut self.copies[at(place)];
        let there = disk.read(name).is_some();
        disk.remove(name);
        disk.sync_folder(folder_of(name));
        there
    }

    /// Whoever took sources away for a while brings them back.
    pub(crate) fn bring_back(&mut self, now: Moment) {
        self.absent.retain(|_, absent| match absent {
            Absent::Ours | Absent::Theirs { until: None } => true,
            Absent::Theirs { until: Some(until) } => *until > now,
        });
    }

    fn take_away(&mut self, name: Name, until: Option<Moment>) {
        self.absent.entry(name).or_insert(Absent::Theirs { until });
    }

    /// I2: what we removed has two good copies.
    pub(crate) fn check<'f>(&self, files: impl Iterator<Item = &'f File>) -> Result<(), String> {
        for file in files {
            let arrival = &file.arrival;
            if !self.is_removed(&arrival.profile, &arrival.name) {
                continue;
            }
            let bad = |place: &CopyPlace| !self.is_good(*place, arrival);
            if let Some(place) = CopyPlace::ALL.into_iter().find(bad) {
                let name = &arrival.name;
                return Err(format!(
                    "I2: {name} was removed, and copy {place} is not good"
                ));
            }
        }
        Ok(())
    }
}

/// Size and checksum of a source as it lies there.
fn truth(arrival: &Arrival) -> (u64, u32) {
    let Some(Checksum::Adler32(claimed)) = arrival.checksum else {
        return (arrival.bytes.0, 1);
    };
    (arrival.bytes.0, claimed)
}

impl World {
    /// A number for the next thing that is done about a source.
    fn source_key(&mut self, file: FileId, name: &FileName) -> u64 {
        let times = self.sources.times.entry(file).or_default();
        *times += 1;
        let key = mix(mix_text(name.as_str()) ^ mix(*times));
        self.chance.name(key, || name.to_string());
        key
    }

    /// A file of the spool: what a reader finds in it.
    fn source_of(&mut self, order: &CopyOrder) -> Found {
        let arrival = self.shadow.files[&order.file].arrival.clone();
        match &order.from {
            Location::Copy { place, .. } => {
                let there = self.sources.copy(*place, &order.profile, &order.name);
                let missing = failure(SourceTrouble::Missing, "the copy is not there");
                let (bytes, adler32) = there
                    .map(|bytes| read(bytes).unwrap_or((0, 0)))
                    .ok_or(missing)?;
                Ok((Bytes(bytes), adler32))
            }
            Location::Spool { .. } | Location::Storage { .. }
                if self.sources.is_there(&arrival) =>
            {
                let (bytes, adler32) = truth(&arrival);
                Ok((Bytes(bytes), adler32 ^ u32::from(self.is_corrupt(&arrival))))
            }
            Location::Spool { .. } | Location::Storage { .. } => {
                Err(failure(SourceTrouble::Missing, "the source is not there"))
            }
        }
    }

    /// A copy is to be made; the answer takes its time.
    pub(crate) fn copy_source(&mut self, order: CopyOrder) -> Result<(), String> {
        let file = &self.shadow.files[&order.file];
        let name = (order.profile.clone(), order.name.clone());
        if self.sources.is_removed(&name.0, &name.1) {
            return Err(format!("P2: {} is copied after it was removed", order.name));
        }
        if !self.store.tables.files.contains_key(&file.id) {
            return Err(format!("R2: {} is copied before it is durable", order.name));
        }
        self.copies_vanish();
        let key = self.source_key(order.file, &order.name);
        let mut random = self.chance.random("copy", key);
        let after = Span::from_millis(random.between(1, 200) as i64);
        self.sources.bring_back(self.now);
        if self.chance.of("source_gone", key, self.faults.source_gone) {
            self.story.count("source was taken away");
            let back = self.now + Span::from_millis(random.between(1, 3_000) as i64);
            let until = random.per_mille(500).then_some(back);
            self.sources.take_away(name, until);
        }
        let mut found = self.source_of(&order);
        let target = path(&order.profile, &order.name);
        if let Ok((bytes, adler32)) = found {
            let bytes = content(bytes.0, adler32);
            let doing = if self.chance.of("copy_full", key, self.faults.copy_full) {
                self.story.count("copy folder full");
                found = Err(failure(SourceTrouble::Place, "no space is left"));
                Doing::Half(order.to, target, bytes)
            } else {
                let lies = self.chance.of("copy_lies", key, self.faults.copy_lies);
                let turned = lies.then(|| random.below(1 << 20) as usize);
                if lies {
                    self.story.count("copy is not what was written");
                }
                let vanishes = self.faults.copy_vanishes;
                if self.chance.of("copy_vanishes", key, vanishes) {
                    let within = self.sources.soak.0.max(1) as u64;
                    let gone = self.now + after + Span(random.below(within) as i64);
                    let vanishing = (gone, order.to, target.clone());
                    self.sources.vanishing.push(vanishing);
                    self.at(gone, Event::Vanish(order.to, target.clone()));
                }
                Doing::Copy(order.to, target, bytes, turned)
            };
            self.sources.under_way.insert(order.file, doing);
        }
        let news = SourceNews::Copied(order.to, found);
        self.at(self.now + after, Event::Source(order.file, news));
        Ok(())
    }

    /// A copy is to be read back: what is there when the answer comes.
    pub(crate) fn read_copy(&mut self, file: FileId, place: CopyPlace) {
        self.copies_vanish();
        let arrival = self.shadow.files[&file].arrival.clone();
        let key = self.source_key(file, &arrival.name);
        let after =
            Span::from_millis(self.chance.random("read a copy", key).between(1, 100) as i64);
        let found = if self.chance.of("unreadable", key, self.faults.unreadable) {
            self.story.count("copy folder unreadable for a while");
            Err(failure(SourceTrouble::Place, "the folder is not there"))
        } else {
            match self.sources.copy(place, &arrival.profile, &arrival.name) {
                Some(bytes) => {
                    let (bytes, adler32) = read(bytes).unwrap_or((0, 0));
                    Ok((Bytes(bytes), adler32))
                }
                None => Err(failure(SourceTrouble::Missing, "the copy is not there")),
            }
        };
        let news = SourceNews::Read(place, found);
        self.at(self.now + after, Event::Source(file, news));
    }

    /// A source is to be removed: only what is released on record, with two good copies.
    pub(crate) fn unlink(&mut self, order: &UnlinkOrder) -> Result<(), String> {
        let row = self.store.tables.sources.get(&order.file);
        let released = row.is_some_and(|row| matches!(row.state, SourceState::Released { .. }));
        if !released {
            let (name, state) = (&order.name, row.map(|row| row.state));
            return Err(format!(
                "P2: {name} is removed, and on record it is {state:?}"
            ));
        }
        self.story.count("source removed");
        let name = (order.profile.clone(), order.name.clone());
        self.sources.absent.remove(&name);
        self.sources
            .under_way
            .insert(order.file, Doing::Unlink(name));
        let key = self.source_key(order.file, &order.name);
        let mut random = self.chance.random("unlink", key);
        let after = Span::from_millis(random.between(1, 50) as i64);
        let news = SourceNews::Unlinked(Ok(()));
        self.at(self.now + after, Event::Source(order.file, news));
        if self.chance.of("sent_again", key, SENT_AGAIN) {
            let arrival = self.shadow.files[&order.file].arrival.clone();
            let later = after + Span::from_millis(random.between(1, 2_000) as i64);
            let again = Event::Seen(Seen::File(arrival), Kind::Extra);
            self.at(self.now + later, again);
        }
        Ok(())
    }

    /// Copies go that nobody has released a source for, each when its time has come.
    pub(crate) fn copies_vanish(&mut self) {
        let now = self.now;
        let vanishing = std::mem::take(&mut self.sources.vanishing);
        let (due, later): (Vec<_>, Vec<_>) = vanishing.into_iter().partition(|it| it.0 <= now);
        self.sources.vanishing = later;
        for (_, place, name) in due {
            if self.sources.vanish(place, &name) {
                self.story.count("copy vanished");
            }
        }
    }

    /// An attempt reads a source that is there, or a copy that is good.
    pub(crate) fn check_source(&self, location: &Location) -> Result<(), String> {
        match location {
            Location::Spool { profile, name } if self.sources.is_removed(profile, name) => {
                Err(format!("P2: {name} is read where it was removed"))
            }
            Location::Copy {
                place,
                profile,
                name,
            } => {
                // While its source is not released a copy may vanish; then the attempt fails.
                let there = self.sources.copy(*place, profile, name).and_then(read);
                if there.is_some() || !self.sources.is_removed(profile, name) {
                    return Ok(());
                }
                Err(format!("P2: copy {place} of {name} is read and not good"))
            }
            Location::Spool { .. } | Location::Storage { .. } => Ok(()),
        }
    }

    /// All runs have finished: whatever is not removed waits for a reason that is told, and every
    /// step has its evidence.
    pub(crate) fn check_sources_settled(&self) -> Result<(), String> {
        let tables = self.kept();
        self.sources.check(tables.files.values())?;
        for source in tables.sources.values() {
            let rows = tables
                .evidence
                .range((source.file, 0)..=(source.file, u32::MAX));
            let mut word = SourceState::Landed.word().to_owned();
            let mut steps = 0;
            for ((_, step), row) in rows {
                steps += 1;
                if *step != steps || row.from != word {
                    return Err(format!(
                        "P2: step {step} of source {} has no cause",
                        row.file
                    ));
                }
                word.clone_from(&row.to);
            }
            if steps != source.steps || word != source.state.word() {
                return Err(format!(
                    "P2: source {} has steps without evidence",
                    source.file
                ));
            }
        }
        if self.setup.release.is_none() {
            return Ok(());
        }
        for file in tables.files.values().filter(|file| !file.arrival.empty) {
            let state = tables.sources.get(&file.id).map(|row| row.state);
            // A file that came when its run was history stays where it is.
            let is_history = !tables.is_at_work(file.arrival.run);
            if is_history || state.is_some_and(|state| state.is_over()) {
                continue;
            }
            let held = self.wait_of_source(file.id);
            let by_rule = matches!(held, Some(WaitKind::SourceHeld | WaitKind::SourceRun));
            if !by_rule && !matches!(file.content, Content::Differs { .. }) {
                let name = &file.arrival.name;
                return Err(format!(
                    "I8: the source {name} is {state:?} and nothing holds it"
                ));
            }
        }
        Ok(())
    }

    fn wait_of_source(&self, file: FileId) -> Option<WaitKind> {
        let why = self.engine.why(self.now, &Object::File(file))?;
        let mut kinds = why.waits.iter().map(|wait| wait.kind);
        kinds.find(|kind| kind.as_str().starts_with("source-"))
    }

    /// Sources that are lost, for whoever looks what waits for a person; and whether any is still
    /// on its way by itself.
    pub(crate) fn sources_left(&self) -> (Vec<FileId>, bool) {
        if self.setup.release.is_none() {
            return (Vec::new(), false);
        }
        let rows = self.shadow.sources.values();
        let lost = rows.filter(|row| matches!(row.state, SourceState::Lost { .. }));
        let files = self.shadow.files.values();
        let mut real = files.filter(|file| !file.arrival.empty);
        let goes_on = real.any(|file| {
            let kind = self.wait_of_source(file.id);
            kind.is_some_and(|kind| !matches!(kind, WaitKind::SourceHeld | WaitKind::SourceRun))
        });
        (lost.map(|row| row.file).collect(), goes_on)
    }
}
