//! Everything that a restart must bring back, as one value that borrows from the engine: compared
//! when the law of D4 is asked, hashed for traces, written out where two engines differ.
//!
//! What is not in here is not kept by the law: timers, who is looked at next, reports under way.

use crate::constants::Constants;
use crate::history::History;
use crate::lumi_work::LumiWork;
use crate::publication::Pieces;
use crate::run_work::StreamWork;
use crate::{Engine, RunWork};
use model::alarm::Alarm;
use model::arrival::{Refusal, SetAside};
use model::dataset::{Block, Dataset, LumiContent, Output, Totals};
use model::file::File;
use model::ids::{BlockId, FileId, JobId, LumiNumber, OutputId, RunNumber};
use model::job::{InputId, Job};
use model::names::{DatasetName, FileName, ProfileName, StreamName, TagName, TaskPath};
use model::quality::RunQuality;
use model::ruling::Ruling;
use model::run::Run;
use model::source::Source;
use model::usage::TaskUsage;
use model::witness::Witness;
use pipelines::splitting::Item;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};

#[derive(Debug, PartialEq)]
struct State<'e> {
    configuration: &'e str,
    recorded: &'e BTreeSet<String>,
    runs: Vec<RunState<'e>>,
    files: &'e BTreeMap<FileId, File>,
    set_aside: &'e BTreeMap<(ProfileName, FileName, Refusal), SetAside>,
    jobs: &'e BTreeMap<JobId, Job>,
    outputs: &'e BTreeMap<OutputId, Output>,
    blocks: &'e BTreeMap<BlockId, Block>,
    quality: &'e BTreeMap<RunNumber, RunQuality>,
    datasets: &'e BTreeMap<DatasetName, Dataset>,
    contents: &'e BTreeMap<(RunNumber, DatasetName), LumiContent>,
    constants: &'e Constants,
    alarms: &'e BTreeMap<String, Alarm>,
    declined: &'e BTreeSet<(TaskPath, InputId)>,
    history: &'e BTreeMap<TaskPath, History>,
    rulings: &'e BTreeMap<(TaskPath, Option<RunNumber>), Ruling>,
    sources: &'e BTreeMap<FileId, Source>,
    leaving: Vec<&'e Run>,
    gone: &'e BTreeSet<RunNumber>,
    usage: &'e BTreeMap<TaskPath, TaskUsage>,
    totals: &'e BTreeMap<DatasetName, Totals>,
    queued: BTreeSet<JobId>,
    cores_used: u32,
}

#[derive(Debug, PartialEq)]
struct RunState<'e> {
    run: &'e Run,
    heard: Vec<&'e Witness>,
    lost_files: &'e BTreeMap<(StreamName, FileName), (LumiNumber, u64)>,
    streams: &'e BTreeMap<StreamName, StreamWork>,
    blocks: &'e BTreeMap<DatasetName, BlockId>,
    published: &'e BTreeMap<DatasetName, Pieces>,
    decided: &'e BTreeSet<TagName>,
    tasks: Vec<TaskState<'e>>,
}

#[derive(Debug, PartialEq)]
struct TaskState<'e> {
    /// Where it stands in the list depends on which run came first; its path does not.
    path: &'e TaskPath,
    items: Vec<&'e Item>,
    readers: &'e BTreeSet<JobId>,
    input_closed: bool,
    live_jobs: u32,
    made_jobs: u32,
    ended: bool,
    lumi_work: &'e Option<LumiWork>,
}

impl Engine {
    fn state(&self) -> State<'_> {
        State {
            configuration: &self.configurations.current,
            recorded: &self.configurations.recorded,
            runs: self
                .runs
                .values()
                .map(|work| self.run_state(work))
                .collect(),
            files: &self.files,
            set_aside: &self.set_aside,
            jobs: &self.jobs,
            outputs: &self.outputs,
            blocks: &self.blocks,
            quality: &self.quality,
            datasets: &self.datasets,
            contents: &self.contents,
            constants: &self.constants,
            alarms: &self.alarms,
            declined: &self.declined,
            history: &self.history,
            rulings: &self.rulings,
            sources: &self.sources.rows,
            leaving: self.archive.leaving.values().map(|it| &it.run).collect(),
            gone: &self.archive.gone,
            usage: &self.archive.usage,
            totals: &self.archive.totals,
            queued: self.queue.jobs(),
            cores_used: self.cores_used,
        }
    }

    fn run_state<'e>(&'e self, work: &'e RunWork) -> RunState<'e> {
        let tasks = work.tasks.iter().map(|(index, task)| {
            let mut items: Vec<&Item> = task.items.iter().collect();
            items.sort_by(|a, b| (a.lumi, &a.name).cmp(&(b.lumi, &b.name)));
            TaskState {
                path: &self.plans[*index].path,
                items,
                readers: &task.readers,
                input_closed: task.input_closed,
                live_jobs: task.live_jobs,
                made_jobs: task.made_jobs,
                ended: task.ended,
                lumi_work: &task.lumi_work,
            }
        });
        RunState {
            run: &work.run,
            heard: work.heard.in_order(),
            lost_files: work.heard.lost_files(),
            streams: &work.streams,
            blocks: &work.blocks,
            published: &work.published,
            decided: &work.decided,
            tasks: tasks.collect(),
        }
    }

    /// Whether another engine is the same in everything that a restart must bring back.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.state() == other.state()
    }

    /// A hash of everything that a restart must bring back; the same state gives the same hash, on
    /// any machine.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        let written = write!(hash, "{:?}", self.state());
        assert!(written.is_ok(), "writing into a hash cannot fail");
        hash.0
    }

    /// Where this engine and another first differ in what a restart must bring back, with what
    /// stands around it in either; none where they agree.
    pub fn difference(&self, other: &Self) -> Option<(String, String)> {
        let (own, others) = (
            format!("{:?}", self.state()),
            format!("{:?}", other.state()),
        );
        let mut both = own.bytes().zip(others.bytes());
        let at = both
            .position(|(a, b)| a != b)
            .or_else(|| (own.len() != others.len()).then(|| own.len().min(others.len())))?;
        let around = |text: &str| -> String {
            let skipped = text.char_indices().filter(|(place, _)| *place + 400 >= at);
            skipped.map(|(_, letter)| letter).take(800).collect()
        };
        Some((around(&own), around(&others)))
    }
}

/// FNV-1a, 64 bits (draft-eastlake-fnv): no secret, the same everywhere.
struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
