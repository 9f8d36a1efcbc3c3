//! A tiny language for the tables. In come words, out come words; times are virtual seconds.
//!
//! Inputs: `begin RUN TYPE [sim]`, `file RUN LUMI NAME EVENTS [sim]`, `empty RUN LUMI NAME`, `lumi
//! RUN LUMI EVENTS`, `end RUN LAST_LUMI`, `ok JOB [TAG=VALUE[~MOVED]/COUNT ..] [tests=STATUS,..]
//! [slices=PRESENT/EXPECTED]`, `report JOB -LABEL` (success without that output), `reported JOB`
//! (its outputs are not in place yet), `twice JOB`,
//! `fail JOB CLASS`, `unstored JOB`, `old JOB` (success of an older attempt), `wait SECONDS`,
//! `start RUN TYPE`, `stop RUN LAST_LUMI`, `files RUN LUMI COUNT` (a record that counts files),
//! `hold TAG`, `protect TAG`, `open TAG`, `bring TAG SINCE TEXT ..` (a document of intervals),
//! `global NAME RECORD=TAG ..` (a document with one global tag),
//! `close RUN`, `reopen RUN`, `lost RUN LUMI NAME`, `why OBJECT`,
//! `retry|halve|single|park|release|cancel JOB`, `jobs VERB FILTER ..`, `take CONFIGURATION`. A job
//! is `pipeline#n`, numbered as they are made.
//!
//! Words behind them: `sim`; `of=STREAM` (a file's, or the one that a record or order names);
//! `by=I/N` (data acquisition instance I of N); `message` (not a record); `ls=A-B`, `as=WORD`,
//! `count=N`, `dry` for orders; `bytes=SIZE` behind `ok` is the size of the outputs.
//!
//! `corrupt FILE` makes a file's content other than its sender claims, `mend FILE` what it claims;
//! Behind `file`: `like=NAME` has the content of another file, `unsummed` no claimed checksum.
//! `alarm KEY` gives the text of an alarm that stands, `because OBJECT` the reasons it waits for,
//! `details` the sentences about what was set aside.
//!
//! `restart` makes another engine of what was recorded, `holds` tells what tasks wait for,
//! `lists JOB,JOB` answers the question what the executor has (`-`: nothing), `lists ?` says that
//! nobody knows, `asked` tells whether that question stands;
//! `split 0,2/1` is a splitter's answer to its last question, `split did WORDS` what it did else;
//! `estimate JOB` what it will probably use, `messages` what was announced since the last question,
//! `datasets RUN` which hold something of it.
//!
//! `accept TAG [RUN] [dry]` accepts better constants, `concerned RUN` names the published outputs
//! that others than those in force are in, and those made from them.
//!
//! `copied|gone|full FILE COPY` answer for a copy to make (`gone`: there is nothing to copy),
//! `good|bad|missing FILE COPY` for one to read, `removed|kept FILE` for a source to remove.
//!
//! Every input is followed by a tick; files are of the stream `Muons` unless they say another.

mod telling;
mod words;

use crate::shelf::Shelf;
use model::arrival::{AbsentLumi, Completion, LumiEnd, RunBegin, RunEnd, Seen};
use model::command::{Command, Declared, Intent, JobFilter, JobVerb, JobsAsked, Order, SplitInto};
use model::conditions::Protection;
use model::ids::{AgentNumber, AttemptNumber, Epoch, JobId, LumiNumber, RunNumber, Token};
use model::job::ExitClass;
use model::lumi::Expected;
use model::names::{DataLabel, FileName, ProfileName, StreamName, TaskPath};
use model::plugin::SplitKey;
use model::resource::Needs;
use model::ruling::RulingKind;
use model::run::RunType;
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use model::wait::Object;
use model::work::{
    AttemptNews, AttemptReport, AttemptSpec, CommitFailure, Location, ReportedOutput, StoredOutput,
};
use pipelines::definition::Definition;
use pipelines::variants::Definitions;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tier0_engine::{Broken, Configuration, Effect, Engine, Input, ReleasePolicy, Setup};
use words::{
    accept, bring, candidate, constant, file, global, groups, hold, instance, is_at, of_content,
    of_stream, protect, source, source_news, test, units, with_reason, word,
};

/// The configuration that the engine is born with.
const BIRTH: &str = "birth";

/// The engine, and names for what it makes.
pub(crate) struct Play {
    engine: Engine,
    setup: Setup,
    /// What was recorded.
    shelf: Shelf,
    now: Moment,
    specs: BTreeMap<String, AttemptSpec>,
    jobs: BTreeMap<String, JobId>,
    names: BTreeMap<JobId, String>,
    needs: BTreeMap<JobId, Needs>,
    said: Vec<String>,
    /// Kinds of what was announced and not asked for yet.
    messages: Vec<String>,
    /// When the executor was asked what it has, while that is not answered.
    asked: Option<Moment>,
    /// The last question to a splitter.
    question: Option<SplitKey>,
    /// Files whose content is not what their sender claims.
    corrupt: BTreeSet<String>,
    /// Whether starts say which lumis and events a job is for.
    shows_parts: bool,
}

impl Play {
    pub(crate) fn new() -> Self {
        Self::with_cores(8)
    }

    /// Plays a pipeline of its own, and releases sources whose copies have soaked for so long.
    pub(crate) fn with_release(text: &str, soak: Span) -> Self {
        let mut play = Self::of(&[("p.toml", text)], 8);
        play.setup.release = Some(ReleasePolicy { soak });
        play.engine = Engine::new(play.setup.clone(), None);
        play
    }

    /// Files come from a profile whose lumis and runs are completed by time-outs.
    pub(crate) fn with_time_outs(absent_lumi: AbsentLumi) -> Self {
        let completion = Completion {
            lumi_timeout: Some(Span::from_secs(10)),
            run_timeout: Some(Span::from_secs(60)),
            absent_lumi,
            ..Completion::default()
        };
        let completions = BTreeMap::from([(ProfileName::new("spool"), completion)]);
        Self::with(pipelines::EMBEDDED, 8, completions)
    }

    pub(crate) fn with_cores(cores: u32) -> Self {
        Self::of(pipelines::EMBEDDED, cores)
    }

    /// Plays a pipeline of its own.
    pub(crate) fn with_pipeline(text: &str) -> Self {
        let mut play = Self::of(&[("p.toml", text)], 8);
        play.shows_parts = true;
        play
    }

    /// Plays against these pipelines.
    pub(crate) fn of(files: &[(&str, &str)], cores: u32) -> Self {
        Self::with(files, cores, BTreeMap::new())
    }

    fn with(
        files: &[(&str, &str)],
        cores: u32,
        completions: BTreeMap<ProfileName, Completion>,
    ) -> Self {
        let definitions = pipelines::link::load(files).expect("the definitions are right");
        Self::with_definitions(definitions, cores, completions)
    }

    /// With definitions that nobody has compared with each other.
    pub(crate) fn with_definitions(
        definitions: Vec<Definition>,
        cores: u32,
        completions: BTreeMap<ProfileName, Completion>,
    ) -> Self {
        Self::by_run(Definitions::fixed(definitions), cores, completions)
    }

    /// With definitions that depend on the run.
    pub(crate) fn by_run(
        definitions: Definitions,
        cores: u32,
        completions: BTreeMap<ProfileName, Completion>,
    ) -> Self {
        let setup = Setup {
            completions,
            agent: AgentNumber(0),
            epoch: Epoch(2),
            configuration: Configuration {
                definitions,
                ..Configuration::fixed(BIRTH, Vec::new())
            },
            earlier: Vec::new(),
            cores,
            archive_after: None,
            default_run_type: RunType::Physics,
            release: None,
        };
        Self {
            engine: Engine::new(setup.clone(), None),
            setup,
            shelf: Shelf::default(),
            now: Moment(1_798_761_600_000_000_000),
            specs: BTreeMap::new(),
            jobs: BTreeMap::new(),
            names: BTreeMap::new(),
            needs: BTreeMap::new(),
            said: Vec::new(),
            messages: Vec::new(),
            asked: None,
            question: None,
            corrupt: BTreeSet::new(),
            shows_parts: false,
        }
    }

    /// The engine is gone; another one is made of what was recorded, and is the same.
    fn restart(&mut self) {
        let (next_id, rows) = (Some(self.engine.next_id()), self.shelf.rows());
        let restored = Engine::restore(self.setup.clone(), next_id, rows, self.now);
        assert_eq!(
            self.engine.difference(&restored),
            None,
            "a restored engine is the engine that recorded"
        );
        self.engine = restored;
        // Whoever was asked answers nobody.
        self.asked = None;
    }

    /// A splitter answers its last question, perhaps once more.
    fn split(&mut self, words: &[&str]) {
        let (key, groups) = (self.question.clone().expect("it was asked"), groups(words));
        self.step(Input::Split { key, groups });
    }

    /// What tasks wait for.
    fn holds(&mut self) {
        let waits = self.engine.waits(self.now).into_iter();
        let of_tasks = waits.filter(|wait| matches!(wait.object, Object::Task(..)));
        self.said.extend(of_tasks.map(|wait| {
            let until = wait.until.map(|until| until.since(self.now));
            let until = until.map_or(String::new(), |until| format!(", {until} at most"));
            format!(
                "{} {}: {}{until}",
                wait.object,
                wait.kind.as_str(),
                wait.reason
            )
        }));
    }

    /// What a job will probably use.
    fn estimate(&mut self, name: &str) {
        let rows = self.shelf.rows();
        let job = rows.jobs.iter().find(|job| job.id == self.jobs[name]);
        let words = job.and_then(|job| job.estimate).map_or_else(
            || "nobody knows".to_owned(),
            |e| {
                let (wall, disk) = (e.wall.as_secs_f64(), e.disk.0);
                format!("{wall} s, {disk} bytes of disk, {} cores", e.cores)
            },
        );
        self.said.push(words);
    }

    /// Datasets that hold outputs of a run.
    fn datasets(&mut self, run: RunNumber) {
        let outputs = self.shelf.rows().outputs.into_iter();
        let of_run = outputs.filter(|output| output.run == run);
        let names: BTreeSet<String> = of_run.map(|output| output.dataset.to_string()).collect();
        self.said.extend(names);
    }

    pub(crate) fn broken(&self) -> Vec<Broken> {
        self.engine.check()
    }

    /// Plays one row; what the engine says of it, in words.
    pub(crate) fn row(&mut self, row: &str) -> String {
        let words: Vec<&str> = row.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<u32>().expect("a number");
        let run = || RunNumber(number(1));
        let label = if words.contains(&"sim") {
            DataLabel::Simulated
        } else {
            DataLabel::Real
        };
        match words[0] {
            "begin" => self.seen(Seen::RunBegin(RunBegin {
                run: run(),
                run_type: RunType::parse(words[2]),
                label,
            })),
            "file" => {
                let seen = file(run(), number(2), words[3], number(4), label, self.now);
                self.seen(of_content(of_stream(seen, &words), &words));
            }
            "empty" => {
                let seen = file(run(), number(2), words[3], 0, label, self.now);
                self.seen(of_stream(seen, &words));
            }
            "close" | "reopen" | "lost" => self.order(&words),
            "why" => self.why(words[1]),
            "because" => self.because(words[1]),
            "alarm" => self.alarm(words[1]),
            "details" => self.details(),
            "lumi" | "files" => self.seen(Seen::LumiEnd(LumiEnd {
                run: run(),
                lumi: LumiNumber(number(2)),
                stream: word(&words, "of=").map(StreamName::new),
                expected: match words[0] {
                    "files" => Expected::Files(u64::from(number(3))),
                    _ => Expected::Events(u64::from(number(3))),
                },
                source: source(&words),
                instance: instance(&words),
                label,
            })),
            "end" => self.seen(Seen::RunEnd(RunEnd {
                run: run(),
                last_lumi: number(2),
                events: None,
                source: source(&words),
                instance: instance(&words),
                label,
            })),
            "copied" | "good" | "bad" | "gone" | "missing" | "full" | "removed" | "kept" => {
                let files = self.shelf.rows().files.into_iter();
                let mut named = files.filter(|file| file.arrival.name.as_str() == words[1]);
                let file = named.next().expect("it was accepted").id;
                let (bytes, claimed) = self.shelf.claimed(file);
                let corrupt = u32::from(self.corrupt.contains(words[1]));
                let news = source_news(&words, (bytes, claimed ^ corrupt));
                self.step(Input::Source { file, news });
            }
            "corrupt" => {
                self.corrupt.insert(words[1].to_owned());
            }
            "mend" => {
                self.corrupt.remove(words[1]);
            }
            "restart" => self.restart(),
            "holds" => self.holds(),
            "lists" => self.lists(words[1]),
            "split" => self.split(&words[1..]),
            "asked" => self.said.push(self.asked.is_some().to_string()),
            "estimate" => self.estimate(words[1]),
            "messages" => self.said.append(&mut self.messages),
            "datasets" => self.datasets(run()),
            "wait" => self.now = self.now + Span::from_secs(i64::from(number(1))),
            "start" => self.ask(Command::RunStart {
                run: run(),
                run_type: RunType::parse(words[2]).expect("a run type"),
                label,
            }),
            "stop" => self.ask(Command::RunStop {
                run: run(),
                last_lumi: number(2),
            }),
            "take" => self.take(words[1]),
            "retry" => self.ask_job(JobVerb::Retry, words[1]),
            "halve" => self.ask_job(JobVerb::Split(SplitInto::Halves), words[1]),
            "single" => self.ask_job(JobVerb::Split(SplitInto::Singles), words[1]),
            "park" => self.ask_job(JobVerb::Park, words[1]),
            "release" => self.ask_job(JobVerb::Release, words[1]),
            "cancel" => self.ask_job(JobVerb::Cancel, words[1]),
            "jobs" => self.ask_jobs(&words[1..]),
            "hold" if !words[1].contains('.') => self.give(hold(words[1])),
            "hold" => self.rule(&words, RulingKind::Held),
            "accept" if !words[1].contains('.') => self.give(accept(&words)),
            "concerned" => self.concerned(run()),
            "accept" => self.rule(&words, RulingKind::Accepted),
            "put" => self.ask(constant(&words)),
            "protect" => self.ask(protect(words[1], Protection::Protected)),
            "open" => self.ask(protect(words[1], Protection::Open)),
            "bring" => self.ask(bring(&words)),
            "global" => self.ask(global(&words, self.now)),
            "lift" => self.rule(&words, RulingKind::Lifted),
            _ => self.attempt(&words),
        }
        self.step(Input::Tick);
        std::mem::take(&mut self.said).join("; ")
    }

    /// Takes another configuration: the one it was born with, or express alone, its task renamed
    /// and never tried again; or refuses one that is `wrong`.
    fn take(&mut self, hash: &str) {
        let mut definitions = pipelines::link::load(pipelines::EMBEDDED)
            .expect("what comes with the program is right");
        if ![BIRTH, "full"].contains(&hash) {
            definitions.truncate(1);
            let task = Arc::make_mut(&mut definitions[0].tasks[0]);
            task.name = "again".into();
            task.retry.rule.attempts = 1;
        }
        let configuration = match hash {
            "wrong" => Err("a mistake".to_owned()),
            _ => Ok(Box::new(Configuration::fixed(hash, definitions))),
        };
        self.step(Input::Reconfigured {
            ticket: 0,
            order: Order::new(Command::ConfigReload, "somebody"),
            configuration,
        });
    }

    /// An order with an author and a reason.
    fn order(&mut self, words: &[&str]) {
        let number = |at: usize| words[at].parse::<u32>().expect("a number");
        let (run, stream) = (
            RunNumber(number(1)),
            word(words, "of=").map(StreamName::new),
        );
        let range = word(words, "ls=").map(|text| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let lumi = |text: &str| LumiNumber(text.parse().expect("a lumi"));
            (lumi(first), lumi(last))
        });
        let command = match words[0] {
            "close" => Command::RunClose {
                run,
                stream,
                lumis: range,
                declared: word(words, "as=").map_or(Declared::Lost, |text| {
                    Declared::parse(text).expect("lost, empty or here")
                }),
            },
            "reopen" => Command::RunReopen { run },
            _ => Command::FileDeclareLost {
                run,
                stream: Some("Muons".into()),
                lumis: (LumiNumber(number(2)), LumiNumber(number(2))),
                names: vec![words[3].into()],
                events: word(words, "events=").map_or(0, |n| n.parse().expect("a number")),
            },
        };
        let mut order = Order::new(command, "shifter");
        "it was seen".clone_into(&mut order.reason);
        order.expect_count = word(words, "count=").map(|n| n.parse().expect("a number"));
        if words.contains(&"dry") {
            order.intent = Intent::Preview;
        }
        self.step(Input::Asked { ticket: 1, order });
    }

    /// What an object waits for, by kind.
    fn why(&mut self, object: &str) {
        let object = match self.jobs.get(object) {
            Some(job) => Object::Job(*job),
            None => Object::parse(object).expect("an object"),
        };
        let why = self.engine.why(self.now, &object);
        let waits = why.map_or_else(
            || vec!["unknown".to_owned()],
            |why| {
                let told = why.waits.iter();
                let told = told.map(|w| format!("{} waits for {}", w.object, w.kind.as_str()));
                told.collect()
            },
        );
        self.said.push(waits.join("; "));
    }

    /// What an object waits for, in the words that people read.
    fn because(&mut self, object: &str) {
        let object = Object::parse(object).expect("an object");
        let why = self.engine.why(self.now, &object).expect("it is known");
        let waits = why.waits.into_iter();
        let told = waits.map(|wait| format!("{}: {} ({})", wait.object, wait.reason, wait.remedy));
        self.said.extend(told);
    }

    /// The text of an alarm that stands.
    fn alarm(&mut self, key: &str) {
        let alarms = self.shelf.rows().alarms.into_iter();
        let mut text = alarms
            .filter(|alarm| alarm.key == key)
            .map(|alarm| alarm.text);
        self.said
            .push(text.next_back().unwrap_or_else(|| "none".to_owned()));
    }

    /// What people read of what was set aside.
    fn details(&mut self) {
        let rows = self.shelf.rows().set_aside.into_iter();
        self.said.extend(rows.map(|item| item.detail));
    }

    fn seen(&mut self, seen: Seen) {
        self.step(Input::Seen(seen));
    }

    fn ask_job(&mut self, verb: JobVerb, name: &str) {
        let job = self.jobs.get(name).copied().unwrap_or(JobId(999));
        let order = Order::new(Command::Jobs(JobsAsked::one(verb, job)), "shifter");
        self.step(Input::Asked {
            ticket: 1,
            order: with_reason(order, verb),
        });
    }

    /// `VERB [run=N] [state=WORD] [class=CLASS] [task=NAME] [expect=N] [dry] [unasked]`; the last:
    /// without a reason.
    fn ask_jobs(&mut self, words: &[&str]) {
        let value = |key: &str| {
            let values = words.iter().filter_map(|word| word.split_once('='));
            values.into_iter().find(|(k, _)| *k == key).map(|(_, v)| v)
        };
        let count = |key| value(key).map(|text| text.parse::<u64>().expect("a number"));
        let verb = match words[0] {
            "retry" => JobVerb::Retry,
            "split" => JobVerb::Split(SplitInto::Halves),
            "park" => JobVerb::Park,
            "release" => JobVerb::Release,
            "cancel" => JobVerb::Cancel,
            other => panic!("{other} is no verb of jobs"),
        };
        let which = JobFilter {
            job: None,
            run: count("run").map(|run| RunNumber(run as u32)),
            task: value("task").map(str::to_owned),
            state: value("state").map(str::to_owned),
            class: value("class").and_then(ExitClass::parse),
            fingerprint: None,
        };
        let order = Order {
            intent: if words.contains(&"dry") {
                Intent::Preview
            } else {
                Intent::Do
            },
            expect_count: count("expect"),
            ..Order::new(Command::Jobs(JobsAsked { verb, which }), "shifter")
        };
        let order = if words.contains(&"unasked") {
            order
        } else {
            with_reason(order, verb)
        };
        self.step(Input::Asked { ticket: 1, order });
    }

    fn give(&mut self, order: Order) {
        self.step(Input::Asked { ticket: 1, order });
    }

    fn ask(&mut self, command: Command) {
        let order = Order::new(command, "shifter");
        self.step(Input::Asked { ticket: 1, order });
    }

    /// `hold TASK [RUN]`.
    fn rule(&mut self, words: &[&str], kind: RulingKind) {
        let (pipeline, task) = words[1].split_once('.').expect("PIPELINE.TASK");
        let run = words
            .get(2)
            .map(|run| RunNumber(run.parse().expect("a run")));
        self.ask(Command::Rule {
            task: TaskPath::new(pipeline, task),
            run,
            kind,
        });
    }

    /// What an executor or the storage says of a job's attempt.
    fn attempt(&mut self, words: &[&str]) {
        let spec = self.specs.get(words[1]).expect("the job was sent").clone();
        let token = spec.token;
        match words[0] {
            "fail" => {
                let class = ExitClass::parse(words[2]).expect("a class");
                let message = format!("it was {}", words[2]);
                self.ended(
                    token,
                    AttemptReport::failed(class, message, self.now, self.now),
                );
            }
            "report" => {
                let mut report = self.report(&spec, &[]);
                report
                    .outputs
                    .retain(|o| words[2] != format!("-{}", o.label));
                self.ended(token, report);
            }
            "twice" => {
                let mut report = self.report(&spec, &[]);
                report.outputs.extend(report.outputs.clone());
                self.ended(token, report);
            }
            "old" => {
                let attempt = AttemptNumber(token.attempt.0 - 1);
                let report = self.report(&spec, &[]);
                self.ended(Token { attempt, ..token }, report);
            }
            "reported" => {
                let report = self.report(&spec, &[]);
                self.ended(token, report);
            }
            "unstored" => {
                let report = self.report(&spec, &[]);
                self.ended(token, report);
                let failure = CommitFailure {
                    class: ExitClass::Transient,
                    message: "no space left".to_owned(),
                    hindrance: None,
                };
                self.step(Input::Stored {
                    token,
                    result: Err(failure),
                });
            }
            "ok" => {
                let report = self.report(&spec, &words[2..]);
                let outputs: Vec<_> = report.outputs.clone();
                let plans = self.ended(token, report);
                for (plan, output) in plans.iter().zip(&outputs) {
                    assert_eq!(
                        plan.1,
                        output.label.as_str(),
                        "the plan keeps the report's order"
                    );
                }
                let size = words.iter().find_map(|word| word.strip_prefix("bytes="));
                let size = size.map_or(10, |size| size.parse().expect("a size"));
                let stored = plans.into_iter().map(|(name, _)| StoredOutput {
                    name,
                    bytes: Bytes(size),
                    adler32: 3,
                });
                let result = Ok(stored.collect());
                self.step(Input::Stored { token, result });
            }
            other => panic!("{other} is no word of the tables"),
        }
    }

    /// Tells that an attempt has ended; the outputs that shall be put in place, by final name and
    /// label.
    fn ended(&mut self, token: Token, report: AttemptReport) -> Vec<(FileName, String)> {
        let news = AttemptNews::Ended(Box::new(report));
        let mut plans = Vec::new();
        for effect in self.effects(Input::News { token, news }) {
            if let Effect::Store(plan) = &effect {
                let outputs = plan.outputs.iter();
                plans.extend(outputs.map(|o| (o.name.clone(), o.reported.label.to_string())));
            }
            self.tell(effect);
        }
        plans
    }

    fn report(&self, spec: &AttemptSpec, words: &[&str]) -> AttemptReport {
        let events = Events(
            spec.inputs
                .iter()
                .filter_map(|i| i.events)
                .map(|e| e.0)
                .sum(),
        );
        let outputs = spec.plan.outputs.iter().map(|wanted| ReportedOutput {
            label: wanted.label.clone(),
            path: wanted.path.clone(),
            bytes: None,
            adler32: None,
            events,
            lumis: Vec::new(),
        });
        let tests = words.iter().find_map(|word| word.strip_prefix("tests="));
        let tests = tests.into_iter().flat_map(|list| list.split(','));
        AttemptReport {
            outputs: outputs.collect(),
            events_read: events,
            events_written: events,
            candidates: words.iter().filter_map(|word| candidate(word)).collect(),
            tests: tests.map(test).collect(),
            units: words.iter().filter_map(|word| units(word)).collect(),
            ..AttemptReport::failed(ExitClass::Ok, String::new(), self.now, self.now)
        }
    }

    /// What follows from an input. Files are read back at once, and are what was claimed unless the
    /// table says otherwise.
    fn effects(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.engine.step(self.now, input, &mut effects);
        let read: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                // Copies are answered for by the table.
                Effect::ReadBack(_, Location::Copy { .. }) => None,
                Effect::ReadBack(file, location) => Some((*file, location.clone())),
                _ => None,
            })
            .collect();
        for (file, location) in read {
            let (bytes, claimed) = self.shelf.claimed(file);
            let corrupt = self.corrupt.iter().any(|name| is_at(&location, name));
            let result = Ok((bytes, claimed ^ u32::from(corrupt)));
            effects.extend(self.effects(Input::ReadBack { file, result }));
        }
        effects
    }

    fn step(&mut self, input: Input) {
        for effect in self.effects(input) {
            self.tell(effect);
        }
    }
}
