//! Arrival: what a watcher saw becomes an accepted file, a duplicate that changes nothing, or
//! something set aside with a reason. Events and scans meet here in one idempotent step (D10).

use crate::commands::LUMIS_MAX;
use crate::run_work::claim_of;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::arrival::{Arrival, Refusal, Seen, SetAside};
use model::fact::Fact;
use model::file::{Content, File};
use model::ids::{FileId, LumiNumber};
use model::job::InputId;
use model::names::DataLabel;
use model::run::StartedBy;
use model::time::{Moment, Span};
use model::units::Events;
use pipelines::splitting::Item;

impl Engine {
    pub(crate) fn seen(&mut self, now: Moment, seen: Seen, effects: &mut Vec<Effect>) {
        match seen {
            Seen::File(arrival) => self.file_seen(now, arrival, effects),
            Seen::RunBegin(begin) => self.run_begins(now, &begin, effects),
            Seen::LumiEnd(end) => self.lumi_ends(now, &end, effects),
            Seen::RunEnd(end) => self.run_ends(now, &end, effects),
            Seen::SetAside(item) => self.put_aside(now, item, effects),
            Seen::Trouble(trouble) => self.trouble(now, trouble, effects),
            Seen::TroubleOver(key) => self.clear_alarm(now, &key, effects),
        }
    }

    fn file_seen(&mut self, now: Moment, arrival: Arrival, effects: &mut Vec<Effect>) {
        let key = (arrival.profile.clone(), arrival.name.clone());
        if let Some(id) = self.file_names.get(&key).copied() {
            if !self.files[&id].same_content(&arrival) {
                let first = self.files[&id].clone();
                self.refuse_conflict(now, &arrival, &first, effects);
            } else if self.files[&id].is_mended_by(&arrival) {
                self.sent_again(now, id, &arrival, effects);
            }
            return;
        }
        if self.archive.knows(arrival.run) {
            self.recall(arrival, effects);
            return;
        }
        let says = self.completions.get(&arrival.profile).copied();
        let says = says.unwrap_or_default();
        self.open_run(
            now,
            arrival.run,
            says.run_type,
            arrival.label,
            StartedBy::FirstFile,
            effects,
        );
        let label = self.runs[&arrival.run].run.label;
        if label != arrival.label {
            self.refuse_label(now, &arrival, label, effects);
            return;
        }
        let arrival = match says.lumi_slice {
            Some(slice) => self.in_its_slice(arrival, slice),
            None => arrival,
        };
        if arrival.lumi.0 > LUMIS_MAX {
            let item = set_aside_lumi(now, &arrival);
            self.put_aside(now, item, effects);
            return;
        }
        if let Some(first) = self.same_content_as(&arrival)
            && self.refuse_duplicate(now, &arrival, first, effects)
        {
            return;
        }
        let id = FileId(self.ids.take());
        let run = &self.runs[&arrival.run].run;
        let late = run.state.is_closed();
        let part = run.part + u32::from(late);
        let content = Content::of(&arrival);
        let file = File {
            id,
            arrival,
            late,
            part,
            content,
        };
        self.file_names.insert(key, id);
        effects.push(Effect::Record(Fact::FileIs(file.clone())));
        self.account_file(now, &file, effects);
        self.files.insert(id, file);
        self.look_at_source(id);
    }

    /// The file in the slice of its run's time in which it was last written. What is older than the
    /// first file belongs to the first slice.
    fn in_its_slice(&mut self, mut arrival: Arrival, slice: Span) -> Arrival {
        let work = self
            .runs
            .get_mut(&arrival.run)
            .expect("it was opened above");
        if work.run.sliced_from.is_none() {
            work.run.sliced_from = Some(arrival.mtime);
            self.changed_runs.insert(arrival.run);
        }
        let from = work.run.sliced_from.unwrap_or(arrival.mtime);
        arrival.lumi = slice_of(from, arrival.mtime, slice);
        arrival
    }

    /// Counts an accepted file to its lumi and hands it to the tasks that read its stream. A late
    /// one is kept for the run's next part.
    fn account_file(&mut self, now: Moment, file: &File, effects: &mut Vec<Effect>) {
        let number = file.arrival.run;
        if file.late {
            let text = format!(
                "{} came after run {number} was closed. It is accepted and kept, and no job was \
                 made for it. Look at what sent it; `tier0 run reopen {number}` works on it as a \
                 new part of the run.",
                file.arrival.name
            );
            let key = late_key(file);
            self.alarm(now, key, Severity::Medium, text, effects);
            return;
        }
        if let Some(work) = self.runs.get_mut(&number) {
            work.run.last_file_seen_at = work.run.last_file_seen_at.max(file.arrival.seen_at);
        }
        self.take_in(now, file, effects);
    }

    /// A file of the part at work: counted, fed, and its lumi looked at.
    pub(crate) fn take_in(&mut self, now: Moment, file: &File, effects: &mut Vec<Effect>) {
        let arrival = &file.arrival;
        let (number, lumi, stream) = (arrival.run, arrival.lumi, arrival.stream.clone());
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        let lost = work.heard.lost_lumi(file).filter(|lost| *lost != lumi);
        let is_new = !work.streams.contains_key(&stream);
        if is_new {
            work.meet_stream(&stream);
        }
        work.receive(file);
        // All that was announced may be here at once: lumis without events need no file. And a
        // lumi after the last one disputes the end.
        if is_new || work.run.last_lumi.is_some_and(|last| last < lumi.0) {
            self.conclude.insert(number);
        }
        if is_new {
            self.look_at_readers(number, &stream);
            self.tell_disputes(now, number, &stream, effects);
        }
        if !arrival.empty {
            let item = item_of(file);
            self.feed_stream(number, &stream, &item);
        }
        for lumi in lost.into_iter().chain([lumi]) {
            self.lumi_changed(now, number, &stream, lumi, effects);
        }
        self.look_for_overdue(now, number);
    }

    /// Hands an input to every task of its run that reads the stream.
    fn feed_stream(
        &mut self,
        number: model::ids::RunNumber,
        stream: &model::names::StreamName,
        item: &Item,
    ) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        for (index, task) in &mut work.tasks {
            if self.plans[*index].reads_stream(stream) {
                task.feed(item.clone());
                self.look_at.insert((number, *index));
            }
        }
    }

    /// Sets an item aside. The first of its kind in a spool raises an alarm: a thousand of them are
    /// one cause.
    pub(crate) fn put_aside(&mut self, now: Moment, item: SetAside, effects: &mut Vec<Effect>) {
        let key = (item.profile.clone(), item.name.clone(), item.refusal);
        if self.set_aside.contains_key(&key) {
            return;
        }
        // A name with other content has an alarm of its own, for each.
        if item.refusal != Refusal::NameConflict {
            self.tell_set_aside(now, &item, effects);
        }
        effects.push(Effect::Record(Fact::SetAsideIs(item.clone())));
        self.set_aside.insert(key, item);
    }

    fn tell_set_aside(&mut self, now: Moment, item: &SetAside, effects: &mut Vec<Effect>) {
        let alarm = format!("set-aside/{}/{}", item.profile, item.refusal.code());
        let text = format!(
            "{} A run or lumi may wait for what it says; `tier0 file set-aside` lists all that was \
             set aside.",
            item.detail
        );
        self.alarm(now, alarm, Severity::Medium, text, effects);
    }

    pub(crate) fn refuse_conflict(
        &mut self,
        now: Moment,
        arrival: &Arrival,
        first: &File,
        effects: &mut Vec<Effect>,
    ) {
        let (known, first) = (&first.arrival, first.id);
        let shown = |a: &Arrival| {
            let checksum = a
                .checksum
                .map_or_else(|| "no checksum".to_owned(), |c| c.to_string());
            format!("{} bytes, {checksum}", a.bytes.0)
        };
        let detail = format!(
            "{} was seen again with other content ({}; the accepted file {first} has {}). The \
             first stays valid. Find out who rewrote or sent it again; a corrected file needs a \
             new name.",
            arrival.name,
            shown(arrival),
            shown(known)
        );
        let key = format!("name-conflict/{}/{}", arrival.profile, arrival.name);
        self.alarm(now, key, Severity::High, detail.clone(), effects);
        self.put_aside(
            now,
            set_aside(arrival, Refusal::NameConflict, detail, now),
            effects,
        );
    }

    /// The first file of its run and stream with the content that a new file's sender claims.
    /// Files without a claimed checksum cannot be told apart, and late ones wait for a person.
    fn same_content_as(&self, arrival: &Arrival) -> Option<FileId> {
        let work = self.runs.get(&arrival.run)?;
        let stream = work.streams.get(&arrival.stream)?;
        let first = stream.contents.get(&claim_of(arrival)?)?;
        (!work.run.state.is_closed()).then_some(*first)
    }

    /// The same content under two names. In one lumi it is one file that was sent twice: the second
    /// is set aside, and every event is worked on once. In different lumis 32 bits of checksum are
    /// too little to leave data out for: both are worked on, and a person is told. Whether it was
    /// set aside.
    fn refuse_duplicate(
        &mut self,
        now: Moment,
        arrival: &Arrival,
        first: FileId,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let known = &self.files[&first].arrival;
        let same = format!(
            "{} has the content of {} under another name ({} bytes, {}; both of stream {} of run \
             {})",
            arrival.name,
            known.name,
            arrival.bytes.0,
            arrival
                .checksum
                .map_or_else(String::new, |sum| sum.to_string()),
            arrival.stream,
            arrival.run
        );
        if known.lumi == arrival.lumi {
            let detail = format!(
                "{same}: it is not worked on a second time. Find out who sent it twice; where both \
                 are wanted, send it again without a checksum."
            );
            let item = set_aside(arrival, Refusal::DuplicateContent, detail, now);
            self.put_aside(now, item, effects);
            return true;
        }
        let text = format!(
            "{same}, one in lumi {}, the other in lumi {}. Both are worked on: a checksum alone is \
             no proof. Ask the detector's experts whether lumi {} was written twice; other \
             files of the stream like that are not named one by one.",
            known.lumi, arrival.lumi, arrival.lumi
        );
        let key = format!("duplicate-content/{}/{}", arrival.run, arrival.stream);
        self.alarm(now, key, Severity::Medium, text, effects);
        false
    }

    pub(crate) fn refuse_label(
        &mut self,
        now: Moment,
        arrival: &Arrival,
        label: DataLabel,
        effects: &mut Vec<Effect>,
    ) {
        let detail = format!(
            "{} is {} but run {} is {label}: real and simulated data are never mixed. Give the \
             stream profile {} the right label, or the data another run number.",
            arrival.name, arrival.label, arrival.run, arrival.profile
        );
        self.put_aside(
            now,
            set_aside(arrival, Refusal::LabelConflict, detail, now),
            effects,
        );
    }
}

/// In which slice of a run's time something was written.
pub(crate) fn slice_of(from: Moment, at: Moment, slice: Span) -> LumiNumber {
    let slices = (at.0 - from.0).max(0) / slice.0.max(1);
    LumiNumber(u32::try_from(slices + 1).unwrap_or(u32::MAX))
}

/// A lumi so far out would make every lumi before it one that is missing.
pub(crate) fn set_aside_lumi(now: Moment, arrival: &Arrival) -> SetAside {
    let detail = format!(
        "{} belongs to lumi {}, and a run has at most {LUMIS_MAX}. Look at its name and, where \
         lumis are slices of time, at when it was written; write it again under a right name.",
        arrival.name, arrival.lumi
    );
    set_aside(arrival, Refusal::NumberOutOfRange, detail, now)
}

fn set_aside(arrival: &Arrival, refusal: Refusal, detail: String, at: Moment) -> SetAside {
    SetAside {
        profile: arrival.profile.clone(),
        name: arrival.name.clone(),
        refusal,
        detail,
        at,
    }
}

/// The key of a late file's alarm.
pub(crate) fn late_key(file: &File) -> String {
    format!("late-file/{}/{}", file.arrival.run, file.arrival.name)
}

/// A file as a splitter sees it.
pub(crate) fn item_of(file: &File) -> Item {
    let arrival = &file.arrival;
    Item {
        id: InputId::File(file.id),
        name: arrival.name.clone(),
        lumi: arrival.lumi,
        last_lumi: arrival.lumi,
        bytes: arrival.bytes,
        events: Events(arrival.counts.map_or(0, |counts| counts.accepted)),
        seen_at: arrival.seen_at,
        came_at: arrival.seen_at,
        content: Vec::new(),
        first_event: 0,
        sites: Vec::new(),
    }
}
