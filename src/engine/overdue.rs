//! What should have come by now: records and files that are missing while later lumis go on raise
//! an alarm that clears itself; and where a stream's profile names a time-out, the time-out speaks
//! as a witness. Nothing else ever closes by itself (D18).

use crate::bookkeeping::statement;
use crate::run_work::{RunWork, StreamWork, in_words};
use crate::timers::Timer;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::arrival::{AbsentLumi, Completion};
use model::ids::{LumiNumber, RunNumber};
use model::lumi::{Expected, LumiState};
use model::names::StreamName;
use model::time::{Moment, Span};
use model::witness::{End, Instance, Says, Source};

/// A lumi that is not complete while later ones are, or the run has ended, is called missing after
/// this time: five lumis of 23 s.
pub(crate) const MISSING_ALARM_AFTER: Span = Span::from_secs(120);
/// A run whose end was not announced is called silent when nothing of it has come for this time: a
/// hundred and fifty lumis of 23 s, longer than any pause in which a detector keeps its run.
const SILENT_ALARM_AFTER: Span = Span::from_secs(3_600);
/// Lumis that one alarm or answer names one by one; of the rest it gives the number.
pub(crate) const LUMIS_NAMED_MAX: usize = 10;

/// The key of the alarm about a stream's missing lumis.
pub(crate) fn key(number: RunNumber, stream: &StreamName) -> String {
    format!("lumis-missing/{number}/{stream}")
}

/// The key of the alarm about a run that is silent and has no end.
fn silent_key(number: RunNumber) -> String {
    format!("run-silent/{number}")
}

impl Engine {
    /// Something of a run has come: what then is still missing will be overdue later, and no sooner
    /// than the shortest of the times that say so.
    pub(crate) fn look_for_overdue(&mut self, now: Moment, number: RunNumber) {
        let shortest = self.completions.values().flat_map(|completion| {
            [completion.lumi_timeout, completion.run_timeout]
                .into_iter()
                .flatten()
        });
        let wait = shortest.min().unwrap_or(MISSING_ALARM_AFTER);
        // What an alarm says may be over now: once a batch somebody looks at once.
        let is_looked_at = || {
            let next = self.timers.first(Timer::Overdue(number));
            next.is_some_and(|at| at <= now)
        };
        // Of a stream that shows up after the run's end something may be overdue already.
        let run = self.runs.get(&number).map(|work| &work.run);
        let has_ended = run.is_some_and(|run| run.ended_at.is_some() && !run.state.is_closed());
        if (has_ended || self.is_told_overdue(number)) && !is_looked_at() {
            self.timers.set(now, Timer::Overdue(number));
        }
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        // The next look may be far away, for a run of which nothing had come for long.
        let at = now + wait.min(MISSING_ALARM_AFTER);
        if work.looks_at.is_none_or(|known| at < known) {
            work.looks_at = Some(at);
            self.timers.set(at, Timer::Overdue(number));
        }
    }

    /// Whether an alarm says that something of a run has not come in time.
    fn is_told_overdue(&self, number: RunNumber) -> bool {
        let missing = format!("lumis-missing/{number}/");
        let mut from = self.alarms.range(missing.clone()..);
        let is_missing = from
            .next()
            .is_some_and(|(key, _)| key.starts_with(&missing));
        is_missing || self.alarms.contains_key(&silent_key(number))
    }

    /// Says what is overdue in a run, lets time-outs speak, and looks again when the next is due.
    pub(crate) fn overdue(&mut self, now: Moment, number: RunNumber, effects: &mut Vec<Effect>) {
        let Some(work) = self.runs.get_mut(&number) else {
            return;
        };
        if work.looks_at.is_some_and(|at| at <= now) {
            work.looks_at = None;
        }
        let mut next = self.time_out(now, number, effects);
        let work = &self.runs[&number];
        let streams: Vec<StreamName> = work.streams.keys().cloned().collect();
        for stream in streams {
            let work = &self.runs[&number];
            let mut missing = Vec::new();
            for (lumi, since) in work.missing(&stream) {
                let due = since + MISSING_ALARM_AFTER;
                if due <= now {
                    missing.push(lumi);
                } else {
                    next = Some(earlier(next, due));
                }
            }
            let key = key(number, &stream);
            if missing.is_empty() {
                self.clear_alarm(now, &key, effects);
            } else {
                let text = self.missing_in_words(number, &stream, &missing);
                self.alarm(now, key, Severity::High, text, effects);
            }
        }
        if let Some(due) = self.tell_of_silence(now, number, effects) {
            next = Some(earlier(next, due));
        }
        let work = self.runs.get_mut(&number).expect("it was found above");
        if let Some(next) = next.filter(|next| work.looks_at.is_none_or(|at| *next < at)) {
            work.looks_at = Some(next);
            self.timers.set(next, Timer::Overdue(number));
        }
    }

    /// Says that nothing has come for long of a run whose end nobody has announced; when that will
    /// be so, if it is not yet.
    fn tell_of_silence(
        &mut self,
        now: Moment,
        number: RunNumber,
        effects: &mut Vec<Effect>,
    ) -> Option<Moment> {
        let work = &self.runs[&number];
        let key = silent_key(number);
        let ends = matches!(work.heard.end(), End::Unknown | End::Partly(_));
        if work.run.state.is_closed() || !ends {
            self.clear_alarm(now, &key, effects);
            return None;
        }
        let last = work.last_sign();
        let due = last + SILENT_ALARM_AFTER;
        if due > now {
            self.clear_alarm(now, &key, effects);
            return Some(due);
        }
        let text = format!(
            "Nothing of run {number} has come since {last}, and its end was not announced: it \
             stays open, and what waits for its end waits. Ask the detector's experts whether it \
             has ended; `tier0 run stop {number} --last-lumi {}` ends it with what is here.",
            work.last_heard().map_or(0, |lumi| lumi.0)
        );
        self.alarm(now, key, Severity::Medium, text, effects);
        None
    }

    fn missing_in_words(
        &self,
        number: RunNumber,
        stream: &StreamName,
        missing: &[LumiNumber],
    ) -> String {
        let work = &self.runs[&number];
        let each = missing.iter().take(LUMIS_NAMED_MAX);
        let each: Vec<String> = each
            .map(|lumi| format!("lumi {lumi}: {}", work.short_of(stream, *lumi)))
            .collect();
        let rest = missing.len().saturating_sub(LUMIS_NAMED_MAX);
        let rest = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        format!(
            "Stream {stream} of run {number} waits while later lumis are here or the run has \
             ended: {}{rest}. Ask the detector's experts where it is. `tier0 why \
             stream/{number}/{stream}` shows what is missing now; `tier0 file declare-lost \
             --run {number} --stream {stream} --lumis {}` gives it up.",
            each.join("; "),
            missing.first().map_or(0, |lumi| lumi.0)
        )
    }

    /// Lets the time-outs that the streams' profiles name speak; when the next one may.
    fn time_out(
        &mut self,
        now: Moment,
        number: RunNumber,
        effects: &mut Vec<Effect>,
    ) -> Option<Moment> {
        let work = &self.runs[&number];
        if work.run.state.is_closed() {
            return None;
        }
        let (mut over, mut next) = (Vec::new(), None);
        for (name, stream) in &work.streams {
            let Some(span) = self.completion_of(stream).lumi_timeout else {
                continue;
            };
            let open = stream
                .lumis
                .iter()
                .filter(|(_, entry)| entry.state == LumiState::Open);
            for (lumi, entry) in open {
                let Some(due) = entry.last_seen.map(|seen| seen + span) else {
                    continue;
                };
                if due > now {
                    next = Some(earlier(next, due));
                } else if !work.heard.has_time_out(name, *lumi) {
                    over.push(here(*lumi, *lumi, name));
                }
            }
        }
        if let Some(due) = self
            .run_timeout(work)
            .filter(|_| work.heard.end() == End::Unknown)
        {
            if due <= now {
                over.extend(self.end_by_time_out(work));
            } else {
                next = Some(earlier(next, due));
            }
        }
        for says in over {
            let witness = statement(now, number, says, Source::Timeout, Instance::ONLY);
            self.hear(now, witness, effects);
        }
        next
    }

    /// When the profile's time-out completes a lumi that is open, if it names one.
    pub(crate) fn times_out_at(
        &self,
        number: RunNumber,
        stream: &StreamName,
        lumi: LumiNumber,
    ) -> Option<Moment> {
        let work = self.runs.get(&number)?.streams.get(stream)?;
        let entry = work.lumis.get(&lumi)?;
        let span = self.completion_of(work).lumi_timeout?;
        (entry.state == LumiState::Open).then_some(entry.last_seen? + span)
    }

    /// What the profile of a stream's files says of completeness.
    fn completion_of(&self, stream: &StreamWork) -> Completion {
        let profile = stream.profile.as_ref();
        let known = profile.and_then(|profile| self.completions.get(profile));
        known.copied().unwrap_or_default()
    }

    /// When a run has been quiet for so long that it has ended, if every profile of its streams
    /// says so.
    fn run_timeout(&self, work: &RunWork) -> Option<Moment> {
        let spans = work.streams.values();
        let spans: Option<Vec<Span>> = spans
            .map(|stream| self.completion_of(stream).run_timeout)
            .collect();
        let longest = spans?.into_iter().max()?;
        Some(work.run.last_file_seen_at + longest)
    }

    /// The end of a run that has been quiet for long enough, and what then becomes of lumis of
    /// which nothing came.
    fn end_by_time_out(&self, work: &RunWork) -> Vec<Says> {
        let Some(last) = work.last_heard() else {
            return Vec::new();
        };
        let (last_lumi, events) = (last.0, None);
        let mut says = vec![Says::End { last_lumi, events }];
        for (name, stream) in &work.streams {
            if self.completion_of(stream).absent_lumi == AbsentLumi::Missing {
                continue;
            }
            let absent = (1..=last_lumi).map(LumiNumber);
            let absent = absent.filter(|lumi| !stream.lumis.contains_key(lumi));
            let ranges = crate::cutting::ranges(absent.map(|lumi| (lumi, lumi)));
            says.extend(
                ranges
                    .into_iter()
                    .map(|(first, last)| here(first, last, name)),
            );
        }
        says
    }
}

fn here(first: LumiNumber, last: LumiNumber, stream: &StreamName) -> Says {
    Says::Lumis {
        first,
        last,
        stream: Some(stream.clone()),
        expected: Expected::Declared,
    }
}

fn earlier(one: Option<Moment>, other: Moment) -> Moment {
    one.map_or(other, |one| one.min(other))
}

impl RunWork {
    /// When something of the run was last heard: that it exists, a file, a statement.
    fn last_sign(&self) -> Moment {
        let said = self.heard.in_order().into_iter().map(|witness| witness.at);
        let seen = self.run.last_file_seen_at.max(self.run.opened_at);
        said.fold(seen, Moment::max)
    }

    /// Lumis of a stream that are not complete although something later is known, each with since
    /// when that is so. Disputed ones have an alarm of their own.
    fn missing(&self, stream: &StreamName) -> Vec<(LumiNumber, Moment)> {
        let Some(work) = self
            .streams
            .get(stream)
            .filter(|_| !self.run.state.is_closed())
        else {
            return Vec::new();
        };
        let ended = self.run.ended_at.filter(|_| self.run.last_lumi.is_some());
        let last = match (ended, self.run.last_lumi) {
            (Some(_), Some(last)) => last,
            _ => self.heard.last_spoken_of().map_or(0, |lumi| lumi.0),
        };
        let mut later = ended;
        let mut missing = Vec::new();
        for lumi in (work.frontier.reached() + 1..=last).rev().map(LumiNumber) {
            let entry = work.lumis.get(&lumi);
            let is_open = entry.is_none_or(|entry| entry.state == LumiState::Open);
            let spoken_at = self.heard.spoken_at(lumi);
            if let Some(evidence) = later.filter(|_| is_open) {
                let seen = entry.and_then(|entry| entry.last_seen);
                let own = seen.into_iter().chain(spoken_at).max();
                missing.push((lumi, own.map_or(evidence, |own| own.max(evidence))));
            }
            later = later.into_iter().chain(spoken_at).min();
        }
        missing.reverse();
        missing
    }

    /// What a lumi that is not complete lacks, in words.
    pub(crate) fn short_of(&self, stream: &StreamName, lumi: LumiNumber) -> String {
        let entry = self
            .streams
            .get(stream)
            .and_then(|work| work.lumis.get(&lumi));
        let files = entry.map_or(0, |entry| entry.received.files);
        let events = entry.map_or(0, |entry| entry.received.events_accounted);
        let here = format!("{files} files with {events} events are here");
        if self.heard.has_record(stream, lumi) {
            format!("{here}, {}", in_words(&self.heard.merged(stream, lumi)))
        } else {
            format!("{here}, its end-of-lumi record is missing")
        }
    }
}
