//! Declarations: what a person says of a run's data when the detector does not (D18). A run is
//! stopped, lumis and files are given up, disputes are settled, a closed run is reopened for its
//! late files. Every order is worked out first, can be looked at without being done, is refused
//! when it concerns another number of things than its author believes, and is a statement with an
//! author like any other.

use crate::arrival::late_key;
use crate::bookkeeping::statement;
use crate::commands::LUMIS_MAX;
use crate::overdue::LUMIS_NAMED_MAX;
use crate::run_work::RunWork;
use crate::{Effect, Engine};
use model::command::{Command, Declared, Intent, NAMELESS, Order, Preview, Reply};
use model::file::File;
use model::ids::{FileId, LumiNumber, RunNumber};
use model::lumi::{Expected, LumiState};
use model::names::{FileName, StreamName};
use model::run::RunEvent;
use model::time::Moment;
use model::wait::Object;
use model::witness::{End, Instance, Says, Source};

/// What an order comes to.
#[derive(Default)]
pub(crate) struct Plan {
    /// In words.
    would: String,
    /// What is said.
    says: Vec<Says>,
    /// How many lumis or files are concerned.
    count: u64,
    /// Which.
    objects: Vec<String>,
    /// The run is reopened.
    reopens: bool,
    /// The run's quarantine ends.
    ends_quarantine: bool,
    /// Accepted files whose sources are given up.
    gives_up: Vec<FileId>,
}

/// Which lumis of a run an order is about.
struct Scope<'a> {
    number: RunNumber,
    stream: Option<&'a StreamName>,
    lumis: Option<(LumiNumber, LumiNumber)>,
}

/// A range of lumis and what is to be said of it.
type Statement = ((LumiNumber, LumiNumber), Expected);

impl Engine {
    /// Works out an order that declares something, and carries it out if that is meant.
    pub(crate) fn declare(
        &mut self,
        now: Moment,
        order: &Order,
        effects: &mut Vec<Effect>,
    ) -> Reply {
        let plan = match self.plan_order(order) {
            Ok(plan) => plan,
            Err(reply) => return reply,
        };
        if order.intent == Intent::Preview {
            return Reply::Would(Preview {
                would: plan.would,
                count: plan.count,
                objects: plan.objects,
            });
        }
        if let Some(expected) = order
            .expect_count
            .filter(|expected| *expected != plan.count)
        {
            return Reply::Refused(format!(
                "{} are concerned now, not {expected}; nothing was done: look again with --dry-run",
                plan.count
            ));
        }
        let stops = matches!(order.command, Command::RunStop { .. });
        if !stops && (order.by == NAMELESS || order.reason.is_empty()) {
            return Reply::Refused(
                "what is declared is kept with its author and reason; say both (--by NAME \
                 --reason TEXT, by= and reason= of the request)"
                    .to_owned(),
            );
        }
        let Some(Object::Run(number)) = order.command.object() else {
            return Reply::Refused("the order names no run".to_owned());
        };
        if plan.ends_quarantine {
            self.end_quarantine(now, number, effects);
        }
        let late = if plan.reopens {
            self.begin_part(number)
        } else {
            Vec::new()
        };
        for says in plan.says {
            let mut witness = statement(now, number, says, Source::Operator, Instance::ONLY);
            witness.by.clone_from(&order.by);
            witness.reason.clone_from(&order.reason);
            self.hear(now, witness, effects);
        }
        for id in plan.gives_up {
            self.give_source_up(now, id, &order.by, &order.reason, effects);
        }
        for file in &late {
            self.clear_alarm(now, &late_key(file), effects);
            self.take_in(now, file, effects);
        }
        if stops {
            return Reply::Done(plan.would);
        }
        let named: Vec<String> = plan.objects.into_iter().take(LUMIS_NAMED_MAX).collect();
        Reply::Done(format!("{}: {}", plan.would, named.join(", ")))
    }

    /// Works an order out: what it comes to, or why it is nothing or refused.
    fn plan_order(&self, order: &Order) -> Result<Plan, Reply> {
        match &order.command {
            Command::RunStop { run, last_lumi } => self.plan_stop(*run, *last_lumi),
            Command::RunClose {
                run,
                stream,
                lumis,
                declared,
            } => {
                let stream = stream.as_ref();
                let scope = Scope {
                    number: *run,
                    stream,
                    lumis: *lumis,
                };
                self.plan_close(&scope, *declared)
            }
            Command::RunReopen { run } => self.plan_reopen(*run),
            Command::FileDeclareLost {
                run,
                stream,
                lumis,
                names,
                events,
            } => {
                let scope = Scope {
                    number: *run,
                    stream: stream.as_ref(),
                    lumis: Some(*lumis),
                };
                if names.is_empty() {
                    self.plan_close(&scope, Declared::Lost)
                } else {
                    self.plan_lost_files(&scope, names, *events)
                }
            }
            // Whoever gives out orders sends only the above here (commands.rs).
            _ => Err(Reply::Refused("this order declares nothing".to_owned())),
        }
    }

    fn known_run(&self, number: RunNumber) -> Result<&RunWork, Reply> {
        self.runs.get(&number).ok_or_else(|| {
            Reply::Refused(if self.archive.knows(number) {
                crate::archive::refusal(number)
            } else {
                format!("run {number} is not known; `tier0 run ls` lists those that are")
            })
        })
    }

    /// Ends a run. Where the detector says nothing of lumis, those of which something came are
    /// declared to hold what is here; the others are waited for until somebody declares them.
    fn plan_stop(&self, number: RunNumber, last_lumi: u32) -> Result<Plan, Reply> {
        if last_lumi > LUMIS_MAX {
            return Err(Reply::Refused(format!(
                "a run has at most {LUMIS_MAX} lumis, not {last_lumi}; stop it with its last one"
            )));
        }
        let work = self.known_run(number)?;
        let closed = work.run.state.is_closed();
        if let Some(known) = work.run.last_lumi.filter(|_| closed || !work.end_is_open()) {
            if known == last_lumi {
                let word = work.run.state.word();
                return Err(Reply::Done(format!("run {number} was already {word}")));
            }
            if closed {
                return Err(Reply::Refused(format!(
                    "run {number} was announced to end with lumi {known}, and is closed"
                )));
            }
        }
        if let Some(beyond) = work.last_heard().filter(|lumi| lumi.0 > last_lumi) {
            return Err(Reply::Refused(format!(
                "run {number} has files or records of lumi {beyond}; stop it with --last-lumi \
                 {beyond} or more"
            )));
        }
        let mut plan = Plan {
            would: format!("run {number} ends with lumi {last_lumi}"),
            count: 1,
            objects: vec![format!("run/{number}")],
            ..Plan::default()
        };
        let is_spoken_of = |lumi: u32| work.heard.is_spoken_of(LumiNumber(lumi));
        if !(1..=last_lumi).any(is_spoken_of) {
            work.declare_what_came(last_lumi, &mut plan);
        }
        plan.says.push(Says::End {
            last_lumi,
            events: None,
        });
        Ok(plan)
    }

    /// Declares every lumi in scope that is not complete.
    fn plan_close(&self, scope: &Scope, declared: Declared) -> Result<Plan, Reply> {
        let number = scope.number;
        let work = self.known_run(number)?;
        if work.run.state.is_closed() {
            let word = work.run.state.word();
            return Err(Reply::Done(format!("run {number} was already {word}")));
        }
        let streams: Vec<&StreamName> = work.streams.keys().collect();
        if let Some(stream) = scope.stream.filter(|stream| !streams.contains(stream)) {
            let known: Vec<&str> = streams.iter().map(|stream| stream.as_str()).collect();
            return Err(Reply::Refused(format!(
                "run {number} has no stream {stream}; it has {}",
                known.join(", ")
            )));
        }
        let mut plan = Plan::default();
        let whole = scope.stream.is_none() && scope.lumis.is_none();
        let last = match work.heard.end() {
            End::Known { last_lumi, .. } if work.end_dispute().is_none() => last_lumi,
            _ => work.last_known_lumi(),
        };
        if whole && work.end_is_open() {
            plan.objects
                .push(format!("run/{number} ends with lumi {last}"));
            plan.count += 1;
            plan.says.push(Says::End {
                last_lumi: last,
                events: None,
            });
        }
        let (first, last) = scope
            .lumis
            .map_or((1, last), |(first, last)| (first.0, last.0));
        if first == 0 || last > LUMIS_MAX || (first > last && !whole) {
            return Err(Reply::Refused(format!(
                "lumis {first}-{last} are no lumis of a run: they are numbered from 1 to {LUMIS_MAX}"
            )));
        }
        if streams.is_empty() {
            let open = (first..=last).map(LumiNumber);
            let open = open.filter(|lumi| !work.heard.is_declared_for_all(*lumi));
            let ranges = crate::cutting::ranges(open.map(|lumi| (lumi, lumi)));
            let lines = ranges.into_iter().map(|range| (range, expected(declared)));
            plan.add(lines, number, None);
        }
        for stream in streams {
            if scope.stream.is_none_or(|only| only == stream) {
                let lines = work.open_lumis(stream, first..=last, declared)?;
                plan.add(lines.into_iter(), number, Some(stream));
            }
        }
        if plan.says.is_empty() {
            return Err(Reply::Done(format!(
                "nothing of this in run {number} is open"
            )));
        }
        let ends = plan
            .says
            .iter()
            .any(|says| matches!(says, Says::End { .. }));
        let lumis = plan.count - u64::from(ends);
        plan.would = close_in_words(number, ends.then_some(last), lumis, declared);
        Ok(plan)
    }

    /// Files that will never come: each counts as if it were here.
    fn plan_lost_files(
        &self,
        scope: &Scope,
        names: &[FileName],
        events: u64,
    ) -> Result<Plan, Reply> {
        let number = scope.number;
        let work = self.known_run(number)?;
        if let Some(gives_up) = self.lost_sources(number, names) {
            let count = gives_up.len();
            let whose = if count == 1 {
                "source is"
            } else {
                "sources are"
            };
            return Ok(Plan {
                would: format!("run {number}: {count} lost {whose} given up"),
                count: count as u64,
                objects: names.iter().map(ToString::to_string).collect(),
                gives_up,
                ..Plan::default()
            });
        }
        if work.run.state.is_closed() {
            let word = work.run.state.word();
            return Err(Reply::Refused(format!(
                "run {number} is {word}: all that was announced is here or was declared; \
                 `tier0 run show {number}` tells by whom"
            )));
        }
        let one_lumi = scope
            .lumis
            .filter(|(first, last)| first == last && first.0 > 0);
        let (Some((lumi, _)), Some(stream)) = (one_lumi, scope.stream) else {
            return Err(Reply::Refused(
                "a lost file is of one lumi and one stream; say both (--stream NAME --lumis N)"
                    .to_owned(),
            ));
        };
        let mut plan = Plan::default();
        for name in names {
            let here = self.file_names.keys().any(|(_, known)| known == name);
            if here {
                return Err(Reply::Refused(format!(
                    "{name} is here; `tier0 file ls --run {number}` shows it"
                )));
            }
            let says = Says::LostFile {
                lumi,
                stream: stream.clone(),
                name: name.clone(),
                events,
            };
            if !work.heard.is_lost(stream, name) {
                plan.objects
                    .push(format!("{name} of lumi {lumi} of {stream}"));
                plan.says.push(says);
                plan.count += 1;
            }
        }
        if plan.says.is_empty() {
            return Err(Reply::Done(
                "all of them were declared lost before".to_owned(),
            ));
        }
        plan.would = match plan.count {
            1 => format!("run {number}: 1 file is declared lost"),
            count => format!("run {number}: {count} files are declared lost"),
        };
        Ok(plan)
    }

    /// Late files become a new part; lumis that they dispute are accepted as they then are.
    fn plan_reopen(&self, number: RunNumber) -> Result<Plan, Reply> {
        let work = self.known_run(number)?;
        if let Some(reason) = &work.run.quarantined {
            return Ok(Plan {
                would: format!("run {number}: its quarantine ends and it goes on"),
                count: 1,
                objects: vec![reason.clone()],
                ends_quarantine: true,
                ..Plan::default()
            });
        }
        if !work.run.state.is_closed() {
            let word = work.run.state.word();
            return Err(Reply::Refused(format!(
                "run {number} is {word}: its files are worked on as they come"
            )));
        }
        let late = self.late_files(number);
        if late.is_empty() {
            return Err(Reply::Refused(format!(
                "no late file of run {number} waits; files that come now are kept until it is \
                 reopened"
            )));
        }
        let part = work.run.part + 1;
        Ok(Plan {
            would: format!("run {number}: {} late files become part {part}", late.len()),
            count: late.len() as u64,
            objects: late
                .iter()
                .map(|file| file.arrival.name.to_string())
                .collect(),
            reopens: true,
            ..Plan::default()
        }
        .with(work.accepted_with(&late)))
    }

    /// Files that wait for their run to be reopened.
    pub(crate) fn late_files(&self, number: RunNumber) -> Vec<&File> {
        let of_run = self
            .files
            .values()
            .filter(|file| file.arrival.run == number);
        of_run.filter(|file| !self.is_at_work(file)).collect()
    }

    /// Whether a file belongs to the part of its run that is at work, or to an earlier one.
    pub(crate) fn is_at_work(&self, file: &File) -> bool {
        let work = self.runs.get(&file.arrival.run);
        work.is_some_and(|work| file.part <= work.run.part)
    }

    /// The run goes on with its late files, which are returned. Everything that was released stays
    /// as it is.
    fn begin_part(&mut self, number: RunNumber) -> Vec<File> {
        let late: Vec<File> = self.late_files(number).into_iter().cloned().collect();
        let Some(work) = self.runs.get_mut(&number) else {
            return Vec::new();
        };
        let Ok(state) = work.run.state.next(RunEvent::Reopened) else {
            return Vec::new();
        };
        work.run.state = state;
        work.run.part += 1;
        for task in work.tasks.values_mut() {
            (task.input_closed, task.ended) = (false, false);
        }
        self.changed_runs.insert(number);
        self.conclude.insert(number);
        late
    }
}

impl Plan {
    fn with(mut self, says: Vec<Says>) -> Self {
        self.says = says;
        self
    }

    /// Adds declared ranges of one stream, or of all.
    fn add(
        &mut self,
        lines: impl Iterator<Item = ((LumiNumber, LumiNumber), Expected)>,
        number: RunNumber,
        stream: Option<&StreamName>,
    ) {
        for ((first, last), expected) in lines {
            self.count += u64::from(last.0 - first.0) + 1;
            let of = stream.map_or("every stream", StreamName::as_str);
            let range = if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            };
            self.objects.push(format!("lumi/{number}/{of}/{range}"));
            self.says.push(Says::Lumis {
                first,
                last,
                stream: stream.cloned(),
                expected,
            });
        }
    }
}

impl RunWork {
    /// Lumis of each stream of which something came hold what is here; the others are named.
    fn declare_what_came(&self, last_lumi: u32, plan: &mut Plan) {
        let mut absent = Vec::new();
        for (name, stream) in &self.streams {
            let came = |lumi: &LumiNumber| stream.lumis.contains_key(lumi);
            let (here, missing): (Vec<_>, Vec<_>) = (1..=last_lumi).map(LumiNumber).partition(came);
            for (first, last) in crate::cutting::ranges(here.into_iter().map(|lumi| (lumi, lumi))) {
                let what = span(first, last);
                plan.objects
                    .push(format!("{what} of {name}: holds what is here"));
                plan.says.push(Says::Lumis {
                    first,
                    last,
                    stream: Some(name.clone()),
                    expected: Expected::Declared,
                });
            }
            let ranges = crate::cutting::ranges(missing.into_iter().map(|lumi| (lumi, lumi)));
            absent.extend(
                ranges
                    .into_iter()
                    .map(|(first, last)| format!("{} of {name}", span(first, last))),
            );
        }
        if !absent.is_empty() {
            let named = absent
                .iter()
                .take(LUMIS_NAMED_MAX)
                .cloned()
                .collect::<Vec<_>>();
            plan.would.push_str(&format!(
                "; nothing of {} is here, which is waited for: `tier0 run close {} --as empty` or \
                 `--as lost` ends that",
                named.join(", "),
                self.run.number
            ));
        }
    }

    /// Whether the run's end is not known, or disputed.
    fn end_is_open(&self) -> bool {
        !matches!(self.heard.end(), End::Known { .. }) || self.end_dispute().is_some()
    }

    /// The last lumi that anything says exists.
    fn last_known_lumi(&self) -> u32 {
        let heard = self.last_heard().map_or(0, |lumi| lumi.0);
        heard.max(self.heard.last_lumi_said().unwrap_or(0))
    }

    /// Lumis of a stream that are not complete, in ranges, each with what is to be said of it. A
    /// disputed one is accepted exactly as it is.
    fn open_lumis(
        &self,
        name: &StreamName,
        lumis: std::ops::RangeInclusive<u32>,
        declared: Declared,
    ) -> Result<Vec<Statement>, Reply> {
        let Some(stream) = self.streams.get(name) else {
            return Ok(Vec::new());
        };
        let (mut open, mut disputed) = (Vec::new(), Vec::new());
        for lumi in lumis.map(LumiNumber) {
            if stream.frontier.is_closed(lumi) {
                continue;
            }
            let entry = stream.lumis.get(&lumi);
            let received = entry.map(|entry| entry.received).unwrap_or_default();
            if declared == Declared::Empty && received.files > received.reports {
                return Err(Reply::Refused(format!(
                    "lumi {lumi} of stream {name} is not empty: {} files of it are here",
                    received.files - received.reports
                )));
            }
            let is_disputed = entry.is_some_and(|entry| entry.state == LumiState::Disputed);
            if is_disputed && declared != Declared::Empty {
                let (files, events) = (received.files, received.events_accounted);
                disputed.push(((lumi, lumi), Expected::Accepted { files, events }));
            } else {
                open.push((lumi, lumi));
            }
        }
        let ranges = crate::cutting::ranges(open.into_iter());
        let ranges = ranges.into_iter().map(|range| (range, expected(declared)));
        let mut lines: Vec<_> = ranges.chain(disputed).collect();
        lines.sort_by_key(|(range, _)| *range);
        Ok(lines)
    }

    /// What must be said so that a reopened run is complete with its late files: lumis that they
    /// touch hold what is here, of a stream that is new all of them.
    fn accepted_with(&self, late: &[&File]) -> Vec<Says> {
        let last_late = late.iter().map(|file| file.arrival.lumi.0).max();
        let last = self.last_known_lumi().max(last_late.unwrap_or(0));
        let mut says = Vec::new();
        if self.heard.last_lumi_said().is_none_or(|said| said < last) {
            says.push(Says::End {
                last_lumi: last,
                events: None,
            });
        }
        let streams: std::collections::BTreeSet<&StreamName> =
            late.iter().map(|file| &file.arrival.stream).collect();
        let all: std::collections::BTreeSet<&StreamName> =
            self.streams.keys().chain(streams.iter().copied()).collect();
        for name in all {
            let touched = |lumi: LumiNumber| {
                let mut own = late.iter().map(|file| &file.arrival);
                own.any(|arrival| arrival.lumi == lumi && arrival.stream == *name)
            };
            let is_closed = |lumi: LumiNumber| {
                let stream = self.streams.get(name);
                stream.is_some_and(|stream| stream.frontier.is_closed(lumi))
            };
            let lumis = (1..=last).map(LumiNumber);
            let open = lumis.filter(|lumi| touched(*lumi) || !is_closed(*lumi));
            let ranges = crate::cutting::ranges(open.map(|lumi| (lumi, lumi)));
            says.extend(ranges.into_iter().map(|(first, last)| Says::Lumis {
                first,
                last,
                stream: Some(name.clone()),
                expected: Expected::Declared,
            }));
        }
        says
    }
}

/// What closing a run, or a part of it, comes to.
fn close_in_words(number: RunNumber, last: Option<u32>, lumis: u64, declared: Declared) -> String {
    let what = declared.as_str();
    let lumis = match lumis {
        0 => None,
        1 => Some(format!("1 lumi of a stream is declared {what}")),
        count => Some(format!("{count} lumis of streams are declared {what}")),
    };
    let end = last.map(|last| format!("it ends with lumi {last}"));
    let said: Vec<String> = end.into_iter().chain(lumis).collect();
    format!("run {number}: {}", said.join(", "))
}

fn expected(declared: Declared) -> Expected {
    match declared {
        Declared::Lost => Expected::Lost,
        Declared::Empty => Expected::Empty,
        Declared::Here => Expected::Declared,
    }
}

fn span(first: LumiNumber, last: LumiNumber) -> String {
    if first == last {
        format!("lumi {first}")
    } else {
        format!("lumis {first}-{last}")
    }
}
