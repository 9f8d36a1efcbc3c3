//! What is asked for sources, when they are released, and what the release of one waits for.
//!
//! In comes what is known of a file, out go orders, decisions, and waits in words. A source is
//! released only when all of this holds: its run has finished and is not quarantined, so no job
//! needs the file; nobody has said since that there is more; the file is not late, not something
//! else than was claimed, and its name was not seen with other content; and both copies were read
//! again after their soak, no longer ago than a soak takes.

use super::{Learnt, Next, ORDERS_MAX, Order, RELEASED_MAX, Sources};
use crate::timers::Timer;
use crate::{Effect, Engine};
use model::arrival::Refusal;
use model::file::{Content, File};
use model::ids::{AttemptNumber, FileId, RunNumber};
use model::run::RunState;
use model::source::{CopyOrder, CopyPlace, How, SourceEvent, SourceState, UnlinkOrder};
use model::time::Moment;
use model::wait::{Object, Wait, WaitKind};
use model::work::Location;
use std::collections::BTreeSet;

/// Why a source is not released: the rule, what it is, what ends it.
type Held = (WaitKind, String, String);

impl Engine {
    /// Asks for whatever is next for the files that something may be asked for.
    pub(crate) fn order_sources(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while self.sources.policy.is_some() && self.sources.under_way.len() < ORDERS_MAX {
            let Some(id) = self.sources.wanting.pop_first() else {
                return;
            };
            if self.sources.under_way.contains_key(&id) {
                continue;
            }
            match self.next_for(now, id) {
                Next::Now(order) => {
                    self.sources.under_way.insert(id, order);
                    effects.push(self.ordered(id, order));
                }
                Next::At(at) => self.timers.set(at, Timer::Source(id)),
                Next::Nothing => {}
            }
        }
    }

    fn next_for(&self, now: Moment, id: FileId) -> Next {
        let (Some(policy), Some(file)) = (self.sources.policy, self.files.get(&id)) else {
            return Next::Nothing;
        };
        if self
            .sources
            .paused
            .get(&id)
            .is_some_and(|until| *until > now)
        {
            return Next::Nothing; // Its timer is set.
        }
        let state = self.sources.state(id);
        if matches!(file.content, Content::Differs { .. }) && !state.is_released() {
            return Next::Nothing;
        }
        let order = match state {
            SourceState::Landed | SourceState::Lost { .. } => {
                let held = |place: &CopyPlace| self.sources.held_until(*place, now).is_some();
                let free = CopyPlace::ALL.into_iter().find(|place| !held(place));
                Order::Copy(free.unwrap_or(CopyPlace::First))
            }
            SourceState::Copied { copy } => Order::Read(copy),
            SourceState::Verified { copy } => Order::Copy(copy.other()),
            SourceState::CopiedTwice { verified } => Order::Read(verified.other()),
            SourceState::VerifiedTwice { since, .. } if now < since + policy.soak => {
                return Next::At(since + policy.soak);
            }
            SourceState::VerifiedTwice { again, .. } => {
                Order::Read(again.map_or(CopyPlace::First, CopyPlace::other))
            }
            SourceState::Released { .. } => Order::Unlink,
            SourceState::Soaked { .. }
            | SourceState::Unlinked { .. }
            | SourceState::GivenUp { .. } => return Next::Nothing,
        };
        match order {
            Order::Copy(place) | Order::Read(place) => match self.sources.held_until(place, now) {
                Some(until) => Next::At(until),
                None => Next::Now(order),
            },
            Order::Unlink => Next::Now(order),
        }
    }

    fn ordered(&self, id: FileId, order: Order) -> Effect {
        let arrival = &self.files[&id].arrival;
        let (profile, name) = (arrival.profile.clone(), arrival.name.clone());
        match order {
            Order::Copy(to) => Effect::CopySource(CopyOrder {
                file: id,
                profile,
                name,
                from: self.location_of(&self.files[&id], AttemptNumber::FIRST),
                to,
            }),
            Order::Read(place) => Effect::ReadBack(
                id,
                Location::Copy {
                    place,
                    profile,
                    name,
                },
            ),
            Order::Unlink => Effect::Unlink(UnlinkOrder {
                file: id,
                profile,
                name,
                bytes: arrival.bytes,
                mtime: arrival.mtime,
                adler32: self.sources.rows[&id].adler32,
            }),
        }
    }

    /// Releases the soaked sources of runs of which something has changed.
    pub(crate) fn release_sources(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let Some(policy) = self.sources.policy else {
            return;
        };
        let mut look = std::mem::take(&mut self.sources.look);
        look.extend(&self.changed_runs);
        let mut left = RELEASED_MAX;
        for run in look {
            let mut soaked = Sources::of_run(&self.sources.soaked, run).peekable();
            if soaked.peek().is_none() || self.run_holds_sources(run).is_some() {
                continue;
            }
            let files = soaked.filter_map(|id| self.files.get(&id));
            let free = files.filter(|file| self.file_holds_source(file).is_none());
            let free: BTreeSet<FileId> = free.map(|file| file.id).take(left + 1).collect();
            if free.len() > left {
                // The others of it have their turn.
                self.timers.set(now, Timer::Release(run));
            }
            for id in free.into_iter().take(left) {
                left -= 1;
                let SourceState::Soaked { at } = self.sources.state(id) else {
                    continue;
                };
                let event = if now.since(at) <= policy.soak {
                    SourceEvent::Released(now)
                } else {
                    SourceEvent::Aged(at)
                };
                self.source_step(now, id, event, Learnt::new(How::Decided), effects);
            }
        }
    }

    /// What of its run keeps a source from being released.
    fn run_holds_sources(&self, number: RunNumber) -> Option<Held> {
        let Some(work) = self.runs.get(&number) else {
            let reason = format!("run {number} is not known any more");
            let remedy = format!("tier0 run show {number} says what became of it");
            return Some((WaitKind::SourceRun, reason, remedy));
        };
        if let Some(why) = &work.run.quarantined {
            let reason = format!("run {number} is quarantined: {why}");
            let remedy = "ask the experts of the data; what is quarantined keeps its sources";
            return Some((WaitKind::SourceRun, reason, remedy.to_owned()));
        }
        if !matches!(work.run.state, RunState::Finished { .. }) {
            let reason = format!("run {number} is {}, not finished", work.run.state.word());
            let remedy = format!("tier0 why run/{number} says what the run waits for");
            return Some((WaitKind::SourceRun, reason, remedy));
        }
        let (witness, what) = work.disagreements().next()?;
        let reason = format!(
            "the {} said after run {number} was closed {what}",
            witness.source.as_str()
        );
        let remedy = format!("tier0 why run/{number} says who, and what to do");
        Some((WaitKind::SourceRun, reason, remedy))
    }

    /// What of the file itself keeps its source from being released.
    fn file_holds_source(&self, file: &File) -> Option<Held> {
        let (arrival, number) = (&file.arrival, file.arrival.run);
        if !self.is_at_work(file) {
            let reason = format!("it came after run {number} was closed");
            let remedy = format!("tier0 run reopen {number} works on it as a new part of the run");
            return Some((WaitKind::SourceHeld, reason, remedy));
        }
        if matches!(file.content, Content::Differs { .. }) {
            let reason = "it is not what its sender claims".to_owned();
            let remedy = "have it sent again under its name".to_owned();
            return Some((WaitKind::SourceHeld, reason, remedy));
        }
        let (profile, name) = (arrival.profile.clone(), arrival.name.clone());
        let key = (profile, name, Refusal::NameConflict);
        self.set_aside.contains_key(&key).then(|| {
            let reason = "its name was seen again with other content".to_owned();
            let remedy = format!(
                "find out which of the two is right (tier0 file show {}); nothing removes either",
                file.id
            );
            (WaitKind::SourceHeld, reason, remedy)
        })
    }

    /// What the release of a file's source waits for; none without a policy, and for one that is
    /// gone.
    pub(crate) fn wait_of_source(&self, file: &File) -> Option<Wait> {
        let policy = self.sources.policy.filter(|_| !file.arrival.empty)?;
        let state = self.sources.state(file.id);
        let mut until = None;
        let copies = |what: &str| {
            let remedy = "nothing to do; tier0 alarm ls shows what hinders copying, if anything";
            (WaitKind::SourceCopies, what.to_owned(), remedy.to_owned())
        };
        let held = self.file_holds_source(file);
        let (kind, reason, remedy) = match state {
            SourceState::Unlinked { .. } | SourceState::GivenUp { .. } => return None,
            SourceState::Lost { .. } => (
                WaitKind::SourceLost,
                "its source went before there was a good copy".to_owned(),
                format!(
                    "mount its spool again, or tier0 file declare-lost --run {} --stream {} --lumis {} --file {}",
                    file.arrival.run, file.arrival.stream, file.arrival.lumi, file.arrival.name
                ),
            ),
            _ if held.is_some() => held?,
            SourceState::Landed => copies("its first copy is not written"),
            SourceState::Copied { .. } => copies("its first copy is not read back"),
            SourceState::Verified { .. } => copies("its second copy is not written"),
            SourceState::CopiedTwice { .. } => copies("its second copy is not read back"),
            SourceState::VerifiedTwice { since, .. } => {
                until = Some(since + policy.soak);
                let reason = "both copies soak, and are read again after it".to_owned();
                let remedy = "nothing to do; soak in [release] sets how long".to_owned();
                (WaitKind::SourceSoak, reason, remedy)
            }
            SourceState::Soaked { .. } => self.run_holds_sources(file.arrival.run)?,
            SourceState::Released { .. } => (
                WaitKind::SourceRemoval,
                "it is released and about to be removed".to_owned(),
                "nothing to do; tier0 alarm ls shows what hinders it, if anything".to_owned(),
            ),
        };
        Some(Wait {
            object: Object::File(file.id),
            run: file.arrival.run,
            kind,
            reason,
            since: None,
            until,
            remedy,
        })
    }
}
