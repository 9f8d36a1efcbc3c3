//! The ledger of datasets in memory: one file of the detector, the output made of it in a closed
//! block of run 1, another in an open block of run 2, and what is derived from them.

use super::{Memory, at, cut, job};
use model::arrival::{Arrival, Checksum, Counts};
use model::dataset::{
    Block, BlockState, Closing, Dataset, LumiContent, Output, Parent, Route, Totals,
};
use model::fact::Consumed;
use model::file::{Content, File};
use model::ids::{AttemptNumber, BlockId, FileId, JobId, LumiNumber, OutputId, RunNumber};
use model::job::{InputId, Job};
use model::names::{DataLabel, DatasetName, TaskPath};
use model::source::{Evidence, Source};
use model::units::{Bytes, Events};
use ports::catalogue::{Holdings, LumiOfFiles, Page, WhichBlocks, WhichFiles, WhichOutputs};
use ports::store::StoreError;

fn name(tier: &str) -> DatasetName {
    DatasetName::of("Muons", "express-reco", tier, DataLabel::Real)
}

fn lumis(first: u32, last: u32) -> Vec<(LumiNumber, LumiNumber)> {
    vec![(LumiNumber(first), LumiNumber(last))]
}

/// The detector's file: id 100, lumi 1 of run 1.
pub(crate) fn file() -> File {
    File {
        id: FileId(100),
        arrival: Arrival {
            profile: "hlt".into(),
            name: "run1_ls1.dat".into(),
            run: RunNumber(1),
            lumi: LumiNumber(1),
            stream: "Muons".into(),
            label: DataLabel::Real,
            bytes: Bytes(9),
            inode: 1,
            mtime: at(0),
            counts: Some(Counts {
                processed: 200,
                accepted: 200,
                errors: 0,
            }),
            checksum: Some(Checksum::Adler32(0x11e6_0398)),
            empty: false,
            seen_at: at(1),
        },
        late: false,
        part: 1,
        content: Content::Claimed,
    }
}

/// Blocks 7 (closed, run 1) and 8 (open, run 2: empty in its row).
pub(super) fn blocks() -> Vec<Block> {
    let block = |id: i64, run: u32| Block {
        id: BlockId(id),
        dataset: name("RECO"),
        run: RunNumber(run),
        task: Some(TaskPath::new("express", "reco")),
        files: 1,
        bytes: Bytes(100),
        events: Events(200),
        lumis: lumis(1, 1),
        opened_at: at(50),
        closes_at: at(5_000),
        state: BlockState::Closed {
            at: at(99),
            closing: Closing::Complete,
        },
    };
    let open = Block {
        files: 0,
        bytes: Bytes(0),
        events: Events(0),
        lumis: vec![],
        state: BlockState::Open,
        ..block(8, 2)
    };
    vec![block(7, 1), open]
}

/// Outputs 201 (run 1) and 202 (run 2), one in each block.
fn outputs() -> Vec<Output> {
    let output = |id: i64, run: u32, block: i64| Output {
        id: OutputId(id),
        job: JobId(id - 200),
        attempt: AttemptNumber::FIRST,
        run: RunNumber(run),
        task: TaskPath::new("express", "reco"),
        label: "RECO".into(),
        dataset: name("RECO"),
        name: format!("Muons/RECO-{id}.parquet").as_str().into(),
        bytes: Bytes(100),
        adler32: 3,
        events: Events(200),
        lumis: lumis(1, 1),
        seen_at: at(1),
        committed_at: at(60),
        block: Some(BlockId(block)),
        route: Route::Onward,
        replaces: None,
        superseded_by: None,
    };
    vec![output(201, 1, 7), output(202, 2, 8)]
}

fn content() -> LumiContent {
    let mut totals = Totals::default();
    let mut content = LumiContent::new(name("RECO"), RunNumber(1));
    content.add(&blocks()[0], &mut totals);
    content
}

fn all_datasets() -> Vec<Dataset> {
    let mut closed = Totals::default();
    LumiContent::new(name("RECO"), RunNumber(1)).add(&blocks()[0], &mut closed);
    let dataset = |tier: &str, parent: Parent, closed: Totals| Dataset {
        name: name(tier),
        primary: "Muons".into(),
        processed: "express-reco".into(),
        tier: tier.into(),
        label: DataLabel::Real,
        stream: "Muons".into(),
        task: TaskPath::new("express", if tier == "RECO" { "reco" } else { "skim" }),
        parents: vec![parent],
        created_at: at(50),
        closed,
    };
    vec![
        dataset("RECO", Parent::Stream("Muons".into()), closed),
        dataset("SKIM", Parent::Dataset(name("RECO")), Totals::default()),
    ]
}

impl Holdings for Memory {
    fn datasets(&self, after: Option<&str>, limit: u32) -> Result<Vec<Dataset>, StoreError> {
        let behind = |dataset: &Dataset| after.is_none_or(|after| dataset.name.as_str() > after);
        let all = all_datasets().into_iter().filter(behind);
        Ok(all.take(limit as usize).collect())
    }
    fn dataset(&self, name: &str) -> Result<Option<Dataset>, StoreError> {
        let named = |dataset: &Dataset| dataset.name.as_str() == name;
        Ok(all_datasets().into_iter().find(named))
    }
    fn contents(&self, dataset: &str, page: Page) -> Result<Vec<LumiContent>, StoreError> {
        let of = if dataset == name("RECO").as_str() {
            vec![content()]
        } else {
            vec![]
        };
        Ok(cut(of, page, |content| i64::from(content.run.0)))
    }
    fn contents_of_run(&self, run: RunNumber) -> Result<Vec<LumiContent>, StoreError> {
        Ok(vec![content()]
            .into_iter()
            .filter(|c| c.run == run)
            .collect())
    }
    fn which_files(&self, which: &WhichFiles, page: Page) -> Result<Vec<File>, StoreError> {
        let asked = |file: &File| {
            which.run.is_none_or(|run| file.arrival.run == run)
                && which
                    .stream
                    .as_deref()
                    .is_none_or(|s| file.arrival.stream.as_str() == s)
                && which.late.is_none_or(|late| file.late == late)
        };
        let all = vec![file()].into_iter().filter(asked).collect();
        Ok(cut(all, page, |file| file.id.0))
    }
    fn which_outputs(&self, which: &WhichOutputs, page: Page) -> Result<Vec<Output>, StoreError> {
        let asked = |output: &Output| {
            which.run.is_none_or(|run| output.run == run)
                && which
                    .dataset
                    .as_deref()
                    .is_none_or(|d| output.dataset.as_str() == d)
                && which.block.is_none_or(|block| output.block == Some(block))
                && which.job.is_none_or(|job| output.job == job)
                && which
                    .published
                    .is_none_or(|yes| output.block.is_some() == yes)
        };
        let all = outputs().into_iter().filter(asked).collect();
        Ok(cut(all, page, |output| output.id.0))
    }
    fn which_blocks(&self, which: &WhichBlocks, page: Page) -> Result<Vec<Block>, StoreError> {
        let asked = |block: &Block| {
            which.run.is_none_or(|run| block.run == run)
                && which
                    .dataset
                    .as_deref()
                    .is_none_or(|d| block.dataset.as_str() == d)
                && which
                    .open
                    .is_none_or(|open| (block.state == BlockState::Open) == open)
        };
        let all = blocks().into_iter().filter(asked).collect();
        Ok(cut(all, page, |block| block.id.0))
    }
    fn output(&self, id: OutputId) -> Result<Option<Output>, StoreError> {
        Ok(outputs().into_iter().find(|output| output.id == id))
    }
    fn source(&self, file: FileId) -> Result<Option<Source>, StoreError> {
        Ok(super::sources::source(file))
    }
    fn evidence(&self, file: FileId) -> Result<Vec<Evidence>, StoreError> {
        Ok(super::sources::evidence(file))
    }
    fn consumers(&self, input: InputId) -> Result<Vec<Consumed>, StoreError> {
        let consumed = Consumed {
            task: TaskPath::new("express", "reco"),
            input,
            first_event: 0,
            run: RunNumber(1),
            job: JobId(1),
        };
        Ok(Some(consumed)
            .filter(|_| input == InputId::File(FileId(100)))
            .into_iter()
            .collect())
    }
    fn lumis_of_files(
        &self,
        run: RunNumber,
        _: Option<&str>,
    ) -> Result<Vec<LumiOfFiles>, StoreError> {
        // Run 1 has two more lumis than are published.
        let lumis = if run.0 == 1 { 1..=3 } else { 1..=1 };
        let row = |lumi| LumiOfFiles {
            lumi: LumiNumber(lumi),
            files: 1,
            events: 200,
        };
        Ok(lumis.map(row).collect())
    }
    fn jobs_not_done(&self, run: RunNumber, _: &TaskPath) -> Result<Vec<Job>, StoreError> {
        let failed = Job {
            lumis: lumis(2, 2),
            ..job(5)
        };
        Ok(if run.0 == 1 { vec![failed] } else { vec![] })
    }
    fn repeated_inputs(&self, _: &str, _: RunNumber) -> Result<u64, StoreError> {
        Ok(0)
    }
}
