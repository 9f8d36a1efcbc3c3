//! What the engine says, in words: effects and facts; and the names that jobs have in the tables.

use super::{BIRTH, Play};
use model::command::Reply;
use model::conditions::{Since, TimeType};
use model::dataset::{BlockState, Closing};
use model::fact::Fact;
use model::file::Content;
use model::ids::{JobId, OutputId, RunNumber};
use model::job::{InputId, Job, JobState};
use model::names::{DatasetName, TagName};
use model::rows::Rows;
use model::work::{AttemptSpec, Location};
use std::collections::BTreeSet;
use tier0_engine::{Effect, Input};

impl Play {
    pub(super) fn tell(&mut self, effect: Effect) {
        let words = match effect {
            Effect::Record(fact) => {
                self.shelf.take(&fact);
                self.fact(&fact)
            }
            Effect::Start(spec) => {
                let name = self.names.get(&spec.token.job).cloned();
                let name = name
                    .unwrap_or_else(|| self.name(spec.token.job, spec.plan.task.pipeline.as_str()));
                let constants: Vec<String> = spec
                    .constants
                    .iter()
                    .map(|c| format!("{} since {}", c.tag, c.since.listed(c.time_type)))
                    .collect();
                let with = if constants.is_empty() {
                    String::new()
                } else {
                    format!(" with {}", constants.join(" and "))
                };
                let attempt = spec.token.attempt;
                let files = spec.inputs.len();
                let copies = spec.inputs.iter().filter_map(|input| match input.location {
                    Location::Copy { place, .. } => Some(format!(" at copy {place}")),
                    _ => None,
                });
                let copies: String = copies.collect();
                let more = match self.needs.insert(spec.token.job, spec.needs) {
                    Some(before) if before != spec.needs => {
                        let needs = spec.needs;
                        format!(", {} and {}", needs.memory, needs.wall)
                    }
                    _ => String::new(),
                };
                let parts = if self.shows_parts {
                    parts(&spec)
                } else {
                    String::new()
                };
                self.specs.insert(name.clone(), spec);
                Some(format!(
                    "start {name} attempt {attempt} on {files}{copies}{parts}{with}{more}"
                ))
            }
            Effect::Reply {
                reply: Reply::Done(text),
                ..
            } => Some(format!("done: {text}")),
            Effect::Reply {
                reply: Reply::Put(reply),
                ..
            } => Some(format!("put: {}", reply.done)),
            Effect::Reply {
                reply: Reply::Jobs(reply),
                ..
            } => {
                let why = reply.skipped.iter().map(|skipped| &*skipped.why);
                let words: Vec<&str> = [&*reply.done].into_iter().chain(why).collect();
                Some(format!("done: {}", words.join("; ")))
            }
            Effect::AskSplitter(question) => {
                let names = question.inputs.iter().map(|input| input.name.as_str());
                let names: Vec<&str> = names.collect();
                let words = format!("ask {}: {}", question.name, names.join(", "));
                self.question = Some(question.key);
                Some(words)
            }
            Effect::CopySource(order) => {
                let from = match order.from {
                    Location::Copy { place, .. } => format!(" from copy {place}"),
                    _ => String::new(),
                };
                Some(format!("copy {} to {}{from}", order.name, order.to))
            }
            Effect::ReadBack(_, Location::Copy { place, name, .. }) => {
                Some(format!("read copy {place} of {name}"))
            }
            Effect::Unlink(order) => Some(format!("remove {}", order.name)),
            Effect::List(at) => {
                assert_eq!(self.asked.replace(at), None, "one question at a time");
                None
            }
            Effect::Cancel(token) => Some(format!("end {}", self.names[&token.job])),
            Effect::Reply {
                reply: Reply::Refused(text),
                ..
            } => Some(format!("refused: {text}")),
            Effect::Reply {
                reply: Reply::Would(preview),
                ..
            } => Some(format!(
                "would {}: {}",
                preview.would,
                preview.objects.join(", ")
            )),
            _ => None,
        };
        self.said.extend(words);
    }

    /// The executor answers what it has: the attempts of these jobs that were sent last.
    pub(super) fn lists(&mut self, jobs: &str) {
        let named = jobs.split(',').filter_map(|name| self.specs.get(name));
        let tokens = named.map(|spec| spec.token).collect();
        let asked_at = self.asked.take().expect("the engine has asked");
        let tokens = (jobs != "?").then_some(tokens);
        self.step(Input::Listed { asked_at, tokens });
    }

    /// Outputs that other constants concern: as the engine says, and as going back from each of
    /// them to the detector says.
    pub(super) fn concerned(&mut self, run: RunNumber) {
        let concerned = self.engine.concerned(run, None);
        let rows = self.shelf.rows();
        let (mut outputs, mut behind) = (BTreeSet::new(), BTreeSet::new());
        for output in rows.outputs.iter().filter(|it| it.block.is_some()) {
            match self.is_concerned(&rows, run, output.job) {
                Some(0) => outputs.insert(output.id),
                Some(_) => behind.insert(output.id),
                None => false,
            };
        }
        assert_eq!((&concerned.outputs, &concerned.behind), (&outputs, &behind));
        let names = |ids: &BTreeSet<OutputId>| {
            let own = rows
                .outputs
                .iter()
                .filter(|output| ids.contains(&output.id));
            let named = own.map(|it| format!("{} of {}", it.label, self.names[&it.job]));
            named.collect::<Vec<_>>().join(", ")
        };
        self.said
            .push(format!("{}; behind: {}", names(&outputs), names(&behind)));
    }

    /// How many jobs away the nearest is that was given other constants for a run; none if no job
    /// on any way back was.
    fn is_concerned(&self, rows: &Rows, run: RunNumber, job: JobId) -> Option<u32> {
        let job = rows.jobs.iter().find(|row| row.id == job)?;
        if !matches!(job.state, JobState::Done { .. }) {
            return None;
        }
        if job.run == run && self.has_other_constants(rows, job) {
            return Some(0);
        }
        let feeders = job.inputs.iter().filter_map(|input| match input {
            InputId::Output(id) => rows.outputs.iter().find(|output| output.id == *id),
            InputId::File(_) => None,
        });
        let nearest = feeders
            .filter_map(|feeder| self.is_concerned(rows, run, feeder.job))
            .min();
        nearest.map(|away| away + 1)
    }

    /// Whether a job was given of a tag that its task names, and does not measure, another payload
    /// than is in force for its run, the beginning of that, or some lumi of the job: point by
    /// point.
    fn has_other_constants(&self, rows: &Rows, job: &Job) -> bool {
        let definitions = self.setup.configuration.definitions.resolve(job.run);
        let mut own = definitions.iter().filter(|it| it.name == job.task.pipeline);
        let mut tasks = own.next().expect("it is defined").tasks.iter();
        let task = tasks.find(|task| task.name == job.task.task);
        let task = task.expect("it is defined");
        let mut runs = rows.runs.iter();
        let row = runs.find(|row| row.number == job.run).expect("a run");
        let recipe = job.recipe.as_ref().expect("it was sent");
        let measures = |tag: &TagName| task.calibrates.iter().any(|rule| rule.tag == *tag);
        let read = task.conditions.iter().filter(|tag| !measures(tag));
        read.into_iter().any(|tag| {
            let lumis = job.lumis.iter().flat_map(|(first, last)| first.0..=last.0);
            let points: Vec<Since> = match time_type(rows, tag) {
                TimeType::Run => vec![Since::run(job.run)],
                TimeType::Lumi => lumis.map(|lumi| Since::lumi(job.run, lumi)).collect(),
                TimeType::Time => vec![Since::time(row.opened_at)],
            };
            points.into_iter().any(|point| {
                let iovs = rows.iovs.iter().filter(|iov| iov.tag == *tag);
                let now = iovs.filter(|iov| iov.since <= point);
                let now = now.max_by_key(|iov| (iov.since, iov.inserted_at, iov.sequence));
                let given = recipe.constants.iter().filter(|used| used.tag == *tag);
                let given = given.filter(|used| used.since <= point);
                let given = given.max_by_key(|used| used.since);
                given.map(|used| &used.hash) != now.map(|iov| &iov.hash)
            })
        })
    }

    fn name(&mut self, job: JobId, pipeline: &str) -> String {
        let before = self
            .jobs
            .keys()
            .filter(|name| name.starts_with(&format!("{pipeline}#")))
            .count();
        let name = format!("{pipeline}#{}", before + 1);
        self.jobs.insert(name.clone(), job);
        self.names.insert(job, name.clone());
        name
    }

    /// A fact in words; none for those that say nothing to people.
    fn fact(&mut self, fact: &Fact) -> Option<String> {
        Some(match fact {
            Fact::FileIs(file) if file.content == Content::Verified => return None,
            Fact::FileIs(file) if matches!(file.content, Content::Differs { .. }) => {
                format!("corrupt {}", file.arrival.name)
            }
            Fact::FileIs(file) if file.late => format!("late {}", file.arrival.name),
            Fact::FileIs(file) => format!("file {}", file.arrival.name),
            Fact::SetAsideIs(item) => format!("set aside {}: {}", item.name, item.refusal.code()),
            Fact::ConfigurationIs(row) if row.hash == BIRTH => return None,
            Fact::ConfigurationIs(row) => format!("configuration {}", row.hash),
            Fact::RunIs(run) if run.quarantined.is_some() => {
                format!("run {} {} quarantined", run.number, run.state.word())
            }
            Fact::RunIs(run) if run.part > 1 => {
                let word = run.state.word();
                format!(
                    "run {} {} {word} part {}",
                    run.number, run.run_type, run.part
                )
            }
            Fact::RunIs(run) => format!("run {} {} {}", run.number, run.run_type, run.state.word()),
            Fact::AuditIs(audit) if !audit.reason.is_empty() => {
                format!("{} did {} to {}", audit.by, audit.verb, audit.object)
            }
            Fact::JobIs(job) => return self.job(job),
            Fact::OutputIs(output) if output.superseded_by.is_some() => {
                format!("-{}", tier(&output.dataset))
            }
            Fact::OutputIs(output) if output.block.is_none() => {
                format!("unpublished {}", tier(&output.dataset))
            }
            Fact::OutputIs(output) => format!("+{}", tier(&output.dataset)),
            Fact::BlockIs(block) => {
                let BlockState::Closed { closing, .. } = block.state else {
                    return None;
                };
                let why = match closing {
                    Closing::Complete => String::new(),
                    Closing::Full | Closing::Aged => format!(" {}", closing.as_str()),
                };
                format!("{} closed{why} with {}", tier(&block.dataset), block.events)
            }
            Fact::DecisionIs(d) => format!("{} of run {}: {}", d.tag, d.run, d.outcome.as_str()),
            Fact::TagIs(tag) if !tag.time_type.is_run() => {
                let (synchronisation, by) = (tag.synchronisation.as_str(), tag.time_type.as_str());
                format!("tag {} {synchronisation} by {by}", tag.name)
            }
            Fact::TagIs(tag) => format!("tag {} {}", tag.name, tag.synchronisation.as_str()),
            Fact::IovIs(iov) => {
                let by = time_type(&self.shelf.rows(), &iov.tag);
                format!("{} since {}", iov.tag, iov.since.listed(by))
            }
            Fact::QualityIs(quality) => {
                let (run, verdict) = (quality.run, quality.verdict.as_str());
                match &quality.refused {
                    None => format!("run {run} {verdict}: {:?}", quality.certified),
                    Some(_) => format!("run {run} {verdict}, not certified"),
                }
            }
            Fact::SourceIs(row) => {
                let files = self.shelf.rows().files.into_iter();
                let mut own = files.filter(|file| file.id == row.file);
                let name = own.next().expect("it was accepted").arrival.name;
                format!("{name} is {}", row.state.word())
            }
            Fact::AlarmIs(alarm) if alarm.cleared_at.is_some() => {
                format!("cleared {}", self.key(&alarm.key))
            }
            Fact::AlarmIs(alarm) => format!("alarm {}", self.key(&alarm.key)),
            Fact::MessageIs(message) => {
                self.messages.push(message.kind.clone());
                return None;
            }
            _ => return None,
        })
    }

    /// An alarm's key with the job's name for its number.
    fn key(&self, key: &str) -> String {
        let (front, last) = key.rsplit_once('/').unwrap_or(("", key));
        let job = last.parse().ok().and_then(|id| self.names.get(&JobId(id)));
        job.map_or_else(|| key.to_owned(), |name| format!("{front}/{name}"))
    }

    fn job(&mut self, job: &Job) -> Option<String> {
        let name = match self.names.get(&job.id) {
            Some(name) => name.clone(),
            None => self.name(job.id, job.task.pipeline.as_str()),
        };
        Some(match job.state {
            JobState::Failed { class, .. } => format!("{name} failed: {}", class.as_str()),
            JobState::Ready { not_before, .. } if not_before > self.now => {
                format!("{name} pauses {}", not_before.since(self.now))
            }
            JobState::Ready { .. } => format!("{name} ready"),
            JobState::Done { .. } if job.provisional => format!("{name} done provisionally"),
            JobState::Done { .. } => format!("{name} done"),
            JobState::Parked { reason, .. } => format!("{name} parked: {}", reason.as_str()),
            JobState::Superseded { .. } if job.stamps.done.is_some() => {
                format!("{name} made again")
            }
            JobState::Superseded { .. } => format!("{name} split"),
            JobState::Cancelled { .. } => format!("{name} cancelled"),
            JobState::Sent { .. } | JobState::Running { .. } | JobState::Committing { .. } => {
                return None;
            }
        })
    }
}

/// Which lumis, and of one input which events, a job is for.
fn parts(spec: &AttemptSpec) -> String {
    let lumis = spec.inputs.iter().flat_map(|input| &input.lumis);
    let lumis: Vec<String> = lumis
        .map(|(first, last)| format!("{first}-{last}"))
        .collect();
    let events = spec
        .inputs
        .iter()
        .find_map(|i| Some((i.first_event?, i.last_event?)));
    let events = events.map_or(String::new(), |(a, b)| format!(" events {a}-{b}"));
    format!(" lumis {}{events}", lumis.join(" "))
}

/// The end of a dataset's name: what it holds, and whether it is simulated.
fn tier(dataset: &DatasetName) -> String {
    let parts: Vec<&str> = dataset.as_str().split('/').skip(3).collect();
    parts.join("/")
}

/// What a tag counts by.
fn time_type(rows: &Rows, tag: &TagName) -> TimeType {
    let mut tags = rows.tags.iter();
    tags.find(|row| row.name == *tag)
        .map_or(TimeType::Run, |row| row.time_type)
}
