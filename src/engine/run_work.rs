//! A run at work: its row, what has come for it, and how far each task is. Everything here but the
//! row is derived, and `restore.rs` derives it again from the rows.

use crate::lumi_work::LumiWork;
use crate::publication::Pieces;
use crate::witness::Heard;
use model::arrival::{Arrival, Checksum};
use model::file::File;
use model::frontier::{Frontier, Gap, StreamStanding};
use model::ids::{BlockId, FileId, JobId, LumiNumber};
use model::job::InputId;
use model::lumi::{Expected, LumiState, Received};
use model::names::{DatasetName, ProfileName, StreamName, TagName};
use model::run::Run;
use model::time::Moment;
use model::witness::{Counted, End, Ended, Merged, Says, Witness, merge};
use pipelines::splitting::{Holding, Item};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// One run and the work on it.
#[derive(Clone, Debug)]
pub(crate) struct RunWork {
    pub(crate) run: Run,
    /// Where the tasks of its configuration stand in the engine's list.
    pub(crate) plans: Range<usize>,
    /// What was said of its lumis and its end.
    pub(crate) heard: Heard,
    /// What has come, by stream.
    pub(crate) streams: BTreeMap<StreamName, StreamWork>,
    /// Tasks of the pinned pipelines, by position in the engine's list.
    pub(crate) tasks: BTreeMap<usize, TaskWork>,
    /// Open blocks, by dataset.
    pub(crate) blocks: BTreeMap<DatasetName, BlockId>,
    /// What is published, by dataset: the detector's files behind its outputs.
    pub(crate) published: BTreeMap<DatasetName, Pieces>,
    /// Tags with a decision for this run.
    pub(crate) decided: BTreeSet<TagName>,
    /// When somebody looks next for what is overdue: a timer is set.
    pub(crate) looks_at: Option<Moment>,
}

/// What has come of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamWork {
    pub(crate) lumis: BTreeMap<LumiNumber, StreamLumi>,
    pub(crate) frontier: Frontier,
    /// Whose folder its files lie in; the first by name, should there be several.
    pub(crate) profile: Option<ProfileName>,
    /// The first file of each content that its sender has claimed.
    pub(crate) contents: BTreeMap<Claim, FileId>,
}

/// What a sender claims a file's content is: its size, its checksum, its events.
pub(crate) type Claim = (u64, u32, u64);

/// The claim on a file's content; none where there is no checksum or nothing in it, so that nobody
/// can tell it from another.
pub(crate) fn claim_of(arrival: &Arrival) -> Option<Claim> {
    let Checksum::Adler32(sum) = arrival.checksum.filter(|_| !arrival.empty)?;
    let events = arrival.counts.map_or(0, |counts| counts.accepted);
    Some((arrival.bytes.0, sum, events))
}

/// What has come of one lumi of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamLumi {
    pub(crate) received: Received,
    pub(crate) state: LumiState,
    /// When the last file of it was seen.
    pub(crate) last_seen: Option<Moment>,
}

impl StreamLumi {
    /// Nothing has come.
    const NOTHING: Self = Self {
        received: Received {
            files: 0,
            reports: 0,
            events_accounted: 0,
        },
        state: LumiState::Open,
        last_seen: None,
    };
}

/// How far one task of a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskWork {
    /// Unconsumed input, in order of (lumi, name) once `sorted`.
    pub(crate) items: Vec<Item>,
    pub(crate) sorted: bool,
    /// No more input will come.
    pub(crate) input_closed: bool,
    /// Jobs that are neither done nor failed.
    pub(crate) live_jobs: u32,
    /// Jobs that were made at all.
    pub(crate) made_jobs: u32,
    /// Jobs that only read the window: harvests before the end.
    pub(crate) readers: BTreeSet<JobId>,
    /// Everything has come, everything was cut, nothing is under way.
    pub(crate) ended: bool,
    /// How far it is with each lumi, where anybody goes by that.
    pub(crate) lumi_work: Option<LumiWork>,
    /// A moment that no input in the window came before.
    pub(crate) oldest: Option<Moment>,
    /// When its splitter is asked again, if nothing comes before.
    pub(crate) wake: Option<Moment>,
    /// What its splitter said that it waits for.
    pub(crate) holding: Option<Holding>,
}

impl TaskWork {
    /// Adds input; order is restored when somebody looks.
    pub(crate) fn feed(&mut self, item: Item) {
        let in_order = self
            .items
            .last()
            .is_none_or(|last| (last.lumi, &last.name) <= (item.lumi, &item.name));
        self.sorted = (self.items.is_empty() || self.sorted) && in_order;
        if let Some(lumi_work) = &mut self.lumi_work {
            lumi_work.came(&item);
        }
        let oldest = self.oldest.unwrap_or(item.came_at);
        self.oldest = Some(oldest.min(item.came_at));
        self.items.push(item);
    }

    /// Other input takes the place of some that is in the window, and has waited as long; whether
    /// it was there.
    pub(crate) fn replace(&mut self, before: InputId, item: Item) -> bool {
        let Some(held) = self.items.iter_mut().find(|held| held.id == before) else {
            return false;
        };
        let came_at = held.came_at;
        let item = Item { came_at, ..item };
        if let Some(lumi_work) = &mut self.lumi_work {
            lumi_work.left(held);
            lumi_work.came(&item);
        }
        *held = item;
        self.sorted = false;
        true
    }

    /// Takes input out of the window.
    pub(crate) fn take_out(&mut self, taken: &BTreeSet<usize>) {
        if taken.is_empty() {
            return;
        }
        let items = std::mem::take(&mut self.items);
        self.oldest = None;
        for (at, item) in items.into_iter().enumerate() {
            if !taken.contains(&at) {
                let oldest = self.oldest.unwrap_or(item.came_at);
                self.oldest = Some(oldest.min(item.came_at));
                self.items.push(item);
            } else if let Some(lumi_work) = &mut self.lumi_work {
                lumi_work.left(&item);
            }
        }
    }

    pub(crate) fn sort(&mut self) {
        if !self.sorted {
            self.items
                .sort_by(|a, b| (a.lumi, &a.name).cmp(&(b.lumi, &b.name)));
            self.sorted = true;
        }
    }
}

impl RunWork {
    pub(crate) fn new(run: Run, plans: Range<usize>) -> Self {
        Self {
            run,
            plans,
            heard: Heard::default(),
            streams: BTreeMap::new(),
            tasks: BTreeMap::new(),
            blocks: BTreeMap::new(),
            published: BTreeMap::new(),
            decided: BTreeSet::new(),
            looks_at: None,
        }
    }

    /// Compares what has come with what was said of one lumi of one stream, and moves the frontier.
    ///
    /// Returns the lumi's state before and after.
    pub(crate) fn account(
        &mut self,
        stream: &StreamName,
        lumi: LumiNumber,
    ) -> (LumiState, LumiState) {
        let merged = self.heard.merged(stream, lumi);
        let work = self.streams.entry(stream.clone()).or_default();
        let entry = work.lumis.entry(lumi).or_insert(StreamLumi::NOTHING);
        let before = entry.state;
        entry.state = LumiState::of(&merged, entry.received);
        let after = entry.state;
        match (before, after) {
            (LumiState::Open | LumiState::Disputed, LumiState::Closed) => work.frontier.close(lumi),
            (LumiState::Closed, LumiState::Open | LumiState::Disputed) => {
                work.frontier.reopen(lumi);
            }
            (LumiState::Open | LumiState::Disputed, LumiState::Open | LumiState::Disputed)
            | (LumiState::Closed, LumiState::Closed) => {}
        }
        (before, after)
    }

    /// A stream shows up: every lumi spoken of so far is one of its own.
    pub(crate) fn meet_stream(&mut self, stream: &StreamName) {
        self.streams.entry(stream.clone()).or_default();
        for lumi in self.heard.lumis_of(stream) {
            self.account(stream, lumi);
        }
    }

    /// Adds a file (or the report of an empty lumi) to what has come. One that had been declared
    /// lost no longer counts as lost.
    pub(crate) fn receive(&mut self, file: &File) {
        let arrival: &Arrival = &file.arrival;
        if let Some((lumi, events)) = self.heard.found(file) {
            let received = self.received(&arrival.stream, lumi);
            received.files -= 1;
            received.events_accounted -= events;
        }
        let work = self.streams.entry(arrival.stream.clone()).or_default();
        let earlier = work.profile.take();
        let profile = arrival.profile.clone();
        work.profile = Some(earlier.map_or(profile.clone(), |earlier| earlier.min(profile)));
        if let Some(claim) = claim_of(arrival) {
            let first = work.contents.entry(claim).or_insert(file.id);
            *first = (*first).min(file.id);
        }
        let entry = work.lumis.entry(arrival.lumi);
        let entry = entry.or_insert(StreamLumi::NOTHING);
        entry.last_seen = entry.last_seen.max(Some(arrival.seen_at));
        entry.received.files += 1;
        entry.received.reports += u64::from(arrival.empty);
        if let Some(counts) = arrival.counts {
            entry.received.events_accounted += counts.processed + counts.errors;
        }
    }

    /// Counts a file that was declared lost as if it were here.
    pub(crate) fn receive_lost(&mut self, stream: &StreamName, lumi: LumiNumber, events: u64) {
        let received = self.received(stream, lumi);
        received.files += 1;
        received.events_accounted += events;
    }

    fn received(&mut self, stream: &StreamName, lumi: LumiNumber) -> &mut Received {
        let work = self.streams.entry(stream.clone()).or_default();
        let entry = work.lumis.entry(lumi).or_insert(StreamLumi::NOTHING);
        &mut entry.received
    }

    /// What is disputed about a lumi, in words.
    pub(crate) fn dispute(&self, stream: &StreamName, lumi: LumiNumber) -> String {
        let merged = self.heard.merged(stream, lumi);
        if let Merged::Contradiction(what) = merged {
            return what;
        }
        let entry = self
            .streams
            .get(stream)
            .and_then(|work| work.lumis.get(&lumi));
        let received = entry.map_or_else(Received::default, |entry| entry.received);
        format!(
            "{} files with {} events are here, {}",
            received.files,
            received.events_accounted,
            in_words(&merged)
        )
    }

    /// What is disputed about the run's end, in words.
    pub(crate) fn end_dispute(&self) -> Option<String> {
        match self.heard.end() {
            End::Contradiction(what) => Some(what),
            End::Unknown | End::Partly(_) => None,
            End::Known { last_lumi, .. } => {
                let heard = self.last_heard().filter(|lumi| lumi.0 > last_lumi)?;
                Some(format!(
                    "its last lumi is {last_lumi} and lumi {heard} exists"
                ))
            }
        }
    }

    /// The lumis, by stream, that a statement may have changed.
    pub(crate) fn concerned_by(&self, witness: &Witness) -> Vec<(StreamName, LumiNumber)> {
        let mut concerned = Vec::new();
        for (name, stream) in &self.streams {
            let mut add = |lumi: LumiNumber| concerned.push((name.clone(), lumi));
            match &witness.says {
                // A lumi that is spoken of for one stream exists for all of them.
                Says::Lumis { first, last, .. } if first == last => add(*first),
                Says::Lumis {
                    first,
                    last,
                    stream,
                    ..
                } if stream.as_ref().is_none_or(|named| named == name) => {
                    (first.0..=last.0).map(LumiNumber).for_each(add);
                }
                Says::LostFile { lumi, stream, .. } if stream == name => add(*lumi),
                // Other instances' counts are enough for lumis after this one's end.
                Says::End { last_lumi, .. } if witness.instance.of > 1 => {
                    let after = LumiNumber(last_lumi.saturating_add(1));
                    stream.lumis.range(after..).for_each(|(lumi, _)| add(*lumi));
                }
                Says::Lumis { .. } | Says::LostFile { .. } | Says::End { .. } => {}
            }
        }
        concerned
    }

    /// What was said after the run was closed and is not what it was closed with.
    pub(crate) fn disagreements(&self) -> impl Iterator<Item = (&Witness, String)> {
        let late = self.heard.late().iter();
        late.filter_map(|witness| Some((witness, self.disagreement(witness)?)))
    }

    /// How a statement differs from what the run was closed with, in words.
    pub(crate) fn disagreement(&self, witness: &Witness) -> Option<String> {
        match &witness.says {
            // One of several instances says only a part, unless nobody else knew of the stream.
            _ if witness.instance.of > 1 && !self.is_first_word_of(witness) => None,
            Says::End { last_lumi, .. } => (Some(*last_lumi) != self.run.last_lumi)
                .then(|| format!("that it ends with lumi {last_lumi}")),
            Says::Lumis {
                first, expected, ..
            } => (!self.agrees(witness)).then(|| format!("that lumi {first} holds {expected:?}")),
            Says::LostFile { .. } => None,
        }
    }

    /// Whether a statement announces something of a stream that is not known.
    fn is_first_word_of(&self, witness: &Witness) -> bool {
        match &witness.says {
            Says::Lumis {
                stream: Some(named),
                expected: Expected::Files(count) | Expected::Events(count),
                ..
            } => *count > 0 && !self.streams.contains_key(named),
            Says::Lumis { .. } | Says::LostFile { .. } | Says::End { .. } => false,
        }
    }

    /// Whether a statement about a lumi says what has come, for every stream it speaks for.
    fn agrees(&self, witness: &Witness) -> bool {
        let Says::Lumis { first, stream, .. } = &witness.says else {
            return false;
        };
        let merged = merge(&[witness], *first, &Ended::new());
        // Of a stream that it is the first to name, nothing is here.
        if stream
            .as_ref()
            .is_some_and(|named| !self.streams.contains_key(named))
        {
            return LumiState::of(&merged, Received::default()) == LumiState::Closed;
        }
        let mut concerned = self
            .streams
            .iter()
            .filter(|(name, _)| stream.as_ref().is_none_or(|named| named == *name));
        concerned.all(|(_, work)| {
            let entry = work.lumis.get(first);
            let received = entry.map_or_else(Received::default, |entry| entry.received);
            merged == Merged::Unknown || LumiState::of(&merged, received) == LumiState::Closed
        })
    }

    /// Whether a lumi may be one of the run's: its end is not known, or not before it. What is here
    /// beyond it is disputed.
    pub(crate) fn may_have(&self, lumi: LumiNumber) -> bool {
        let End::Known { last_lumi, .. } = self.heard.end() else {
            return true;
        };
        let streams = self.streams.values();
        let mut here = streams.map(|stream| stream.lumis.contains_key(&lumi));
        (1..=last_lumi).contains(&lumi.0) || here.any(|here| here)
    }

    /// The last lumi that anything is known of.
    pub(crate) fn last_heard(&self) -> Option<LumiNumber> {
        let streams = self.streams.values();
        let of_streams = streams.filter_map(|stream| stream.lumis.keys().next_back());
        of_streams.copied().chain(self.heard.last_spoken_of()).max()
    }

    /// Whether everything that was announced for the run is here: of every stream that was ever
    /// seen or named, and of at least one unless nothing was announced or somebody declared that no
    /// more will come.
    pub(crate) fn is_complete(&self) -> bool {
        let End::Known { last_lumi, .. } = self.heard.end() else {
            return false;
        };
        if self.streams.is_empty() {
            let mut lumis = (1..=last_lumi).map(LumiNumber);
            return lumis.all(|lumi| self.heard.is_declared_for_all(lumi));
        }
        let mut streams = self.streams.values();
        streams.all(|stream| stream.gap(Some(last_lumi)).is_none())
    }
}

impl StreamWork {
    /// What keeps the stream from being complete, given the run's last lumi.
    pub(crate) fn gap(&self, last_lumi: Option<u32>) -> Option<Gap> {
        let standing = StreamStanding {
            frontier: &self.frontier,
            heard: self.lumis.keys().next_back().copied(),
            last_lumi,
            unfed: 0,
        };
        standing.gap()
    }
}

/// What the witnesses of a lumi add up to, for people.
pub(crate) fn in_words(merged: &Merged) -> String {
    let counts = |counted: &Counted| {
        let files = counted.files.map(|files| format!("{files} files"));
        let events = counted.events.map(|events| format!("{events} events"));
        let known: Vec<String> = files.into_iter().chain(events).collect();
        if known.is_empty() {
            "an unknown number of files".to_owned()
        } else {
            known.join(" and ")
        }
    };
    match merged {
        Merged::Unknown => "nobody has said how many there are".to_owned(),
        Merged::Partly(missing) => {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            format!("instance {} has not reported", missing.join(", "))
        }
        Merged::Counted(counted) => format!("{} were announced", counts(counted)),
        Merged::Lost(counted) => format!("of {} the rest is declared lost", counts(counted)),
        Merged::Here(source) => format!("the {} says that this is all", source.as_str()),
        Merged::Empty => "it was declared empty".to_owned(),
        Merged::Accepted { files, events } => {
            format!("{files} files with {events} events were accepted")
        }
        Merged::Contradiction(what) => what.clone(),
    }
}
