//! What datasets lack, told from rows: each table is a run of one lumi a line.

use super::{Beside, compare};
use model::alarm::Alarm;
use model::arrival::SetAside;
use model::audit::Audit;
use model::conditions::{ConditionsPayload, ConditionsTag, GateDecision, GlobalTag, Iov};
use model::dataset::{Block, Dataset, LumiContent, Output, Parent, Route, Totals};
use model::fact::Consumed;
use model::file::File;
use model::ids::{
    AttemptNumber, BlockId, FileId, JobId, LumiNumber, OutputId, RunNumber, WitnessId,
};
use model::job::{Class, ExitClass, FailedAttempt, InputId, Job, JobState, Lineage, Stamps};
use model::lumi::Expected;
use model::names::{DataLabel, DatasetName, TaskPath};
use model::quality::RunQuality;
use model::run::Run;
use model::time::Moment;
use model::units::{Bytes, Events};
use model::witness::{Instance, Says, Source, Witness};
use ports::catalogue::{
    Catalogue, Holdings, LumiOfFiles, Page, RunCounts, WhichBlocks, WhichFiles, WhichOutputs,
};
use ports::store::StoreError;

const RUN: RunNumber = RunNumber(5);

/// Rows of one run: repacked, then merged.
#[derive(Default)]
struct Rows {
    /// Lumis with files.
    files: Vec<u32>,
    witnesses: Vec<Witness>,
    jobs: Vec<Job>,
    outputs: Vec<Output>,
}

type Found<T> = Result<Vec<T>, StoreError>;

fn name(primary: &str, tier: &str) -> DatasetName {
    DatasetName::of(primary, "v1", tier, DataLabel::Real)
}

/// The dataset of a tier: `RAWSMALL` of the repacker, `RAW` of the merge behind it.
fn dataset(tier: &str) -> Dataset {
    let (task, parent) = match tier {
        "RAW" => ("merge", Parent::Dataset(name("Muons", "RAWSMALL"))),
        _ => ("repack", Parent::Stream("Muons".into())),
    };
    Dataset {
        name: name("Muons", tier),
        primary: "Muons".into(),
        processed: "v1".into(),
        tier: tier.into(),
        label: DataLabel::Real,
        stream: "Muons".into(),
        task: TaskPath::new("repack", task),
        parents: vec![parent],
        created_at: Moment(0),
        closed: Totals::default(),
    }
}

fn job(id: i64, task: &str, lumi: u32, state: JobState) -> Job {
    Job {
        id: JobId(id),
        run: RUN,
        task: TaskPath::new("repack", task),
        class: Class::Live,
        inputs: vec![InputId::File(FileId(1))],
        consumed: 1,
        lumis: vec![(LumiNumber(lumi), LumiNumber(lumi))],
        deadline: None,
        failures: 0,
        last_error: Some("it broke".into()),
        failure: None,
        needs: None,
        lineage: Lineage::default(),
        stamps: Stamps::default(),
        provisional: false,
        slice: None,
        estimate: None,
        to_error_dataset: false,
        latest_start: None,
        used: None,
        units: Vec::new(),
        recipe: None,
        state,
    }
}

fn output(id: i64, task: &str, dataset: DatasetName, lumi: u32, route: Route) -> Output {
    Output {
        id: OutputId(id),
        job: JobId(id),
        attempt: AttemptNumber::FIRST,
        run: RUN,
        task: TaskPath::new("repack", task),
        label: "RAW".into(),
        dataset,
        name: "a".into(),
        bytes: Bytes(1),
        adler32: 1,
        events: Events(1),
        lumis: vec![(LumiNumber(lumi), LumiNumber(lumi))],
        seen_at: Moment(0),
        committed_at: Moment(0),
        block: Some(BlockId(1)),
        route,
        replaces: None,
        superseded_by: None,
    }
}

fn said(id: i64, lumi: u32, source: Source, expected: Expected) -> Witness {
    Witness {
        id: WitnessId(id),
        run: RUN,
        says: Says::Lumis {
            first: LumiNumber(lumi),
            last: LumiNumber(lumi),
            stream: None,
            expected,
        },
        source,
        instance: Instance::ONLY,
        at: Moment(0),
        by: "a shifter".into(),
        reason: "a disk died".into(),
        late: false,
    }
}

const FAILED: JobState = JobState::Failed {
    attempt: AttemptNumber::FIRST,
    class: ExitClass::Program,
};
const CANCELLED: JobState = JobState::Cancelled {
    attempt: AttemptNumber::FIRST,
};

/// Each reason with the first lumi it is told for; `part` where something of it is there.
fn told(rows: &Rows, tier: &str, here: &[u32]) -> Vec<String> {
    let here = here.iter().map(|l| (LumiNumber(*l), LumiNumber(*l)));
    let here = model::lumi::union(here);
    let Beside {
        missing, partial, ..
    } = compare(rows, &dataset(tier), RUN, &here).unwrap();
    let missing = missing.iter().map(|m| ("", m));
    let partial = partial.iter().map(|m| ("part ", m));
    missing
        .chain(partial)
        .map(|(how, m)| format!("{how}{} {}", m.lumis[0].0, m.reason))
        .collect()
}

#[test]
fn one_of_two_jobs_of_a_lumi_failed_so_the_lumi_is_there_in_part() {
    let rows = Rows {
        files: vec![3],
        jobs: vec![job(9, "repack", 3, FAILED)],
        ..Rows::default()
    };
    assert_eq!(told(&rows, "RAWSMALL", &[3]), ["part 3 failed"]);
    assert_eq!(told(&rows, "RAW", &[3]), ["part 3 failed"], "behind it too");
    assert_eq!(told(&rows, "RAW", &[]), ["3 failed"]);
}

#[test]
fn a_job_that_was_given_up_is_not_at_work() {
    let rows = Rows {
        files: vec![3],
        jobs: vec![job(9, "repack", 3, CANCELLED)],
        ..Rows::default()
    };
    assert_eq!(told(&rows, "RAWSMALL", &[]), ["3 cancelled"]);
}

#[test]
fn what_went_another_way_is_told_or_not_expected() {
    let apart = output(
        7,
        "repack",
        name("Muons-Error", "RAWSMALL"),
        1,
        Route::Error,
    );
    let past = Route::Merged(TaskPath::new("repack", "merge"), "RAW".into());
    let large = output(8, "repack", name("Muons", "RAW"), 2, past);
    let rows = Rows {
        files: vec![1, 2, 3],
        outputs: vec![apart, large],
        ..Rows::default()
    };
    assert_eq!(
        told(&rows, "RAWSMALL", &[]),
        ["1 error-dataset", "3 not-made"]
    );
    let beside = compare(&rows, &dataset("RAWSMALL"), RUN, &Vec::new()).unwrap();
    let lumi = |n| (LumiNumber(n), LumiNumber(n));
    assert_eq!(beside.expected, [lumi(1), lumi(3)]);
}

#[test]
fn the_last_word_says_whether_an_announced_lumi_is_expected() {
    let announced = |lumi| said(1, lumi, Source::Record, Expected::Events(100));
    let check = |last: Option<Expected>, expect: &[&str]| {
        let last = last.map(|expected| said(2, 4, Source::Operator, expected));
        let rows = Rows {
            witnesses: [announced(4)].into_iter().chain(last).collect(),
            ..Rows::default()
        };
        assert_eq!(told(&rows, "RAWSMALL", &[]), expect);
    };
    check(None, &["4 not-made"]);
    check(Some(Expected::Empty), &[]);
    check(Some(Expected::Declared), &[]);
    check(Some(Expected::Lost), &["4 lost"]);
    let rows = Rows {
        files: vec![4],
        witnesses: vec![announced(4), said(2, 4, Source::Operator, Expected::Lost)],
        ..Rows::default()
    };
    assert_eq!(told(&rows, "RAWSMALL", &[4]), ["part 4 lost"]);
}

impl Holdings for Rows {
    fn source(&self, _: FileId) -> Result<Option<model::source::Source>, StoreError> {
        Ok(None)
    }
    fn evidence(&self, _: FileId) -> Result<Vec<model::source::Evidence>, StoreError> {
        Ok(Vec::new())
    }
    fn datasets(&self, _: Option<&str>, _: u32) -> Found<Dataset> {
        Ok(Vec::new())
    }
    fn dataset(&self, asked: &str) -> Result<Option<Dataset>, StoreError> {
        let small = dataset("RAWSMALL");
        Ok(Some(small).filter(|dataset| dataset.name.as_str() == asked))
    }
    fn contents(&self, _: &str, _: Page) -> Found<LumiContent> {
        Ok(Vec::new())
    }
    fn contents_of_run(&self, _: RunNumber) -> Found<LumiContent> {
        Ok(Vec::new())
    }
    fn which_files(&self, _: &WhichFiles, _: Page) -> Found<File> {
        Ok(Vec::new())
    }
    fn which_outputs(&self, which: &WhichOutputs, _: Page) -> Found<Output> {
        let asked = |output: &&Output| {
            let of = which.dataset.as_deref();
            let published = output.block.is_some();
            of.is_none_or(|name| output.dataset.as_str() == name)
                && which.published.is_none_or(|yes| published == yes)
        };
        Ok(self.outputs.iter().filter(asked).cloned().collect())
    }
    fn which_blocks(&self, _: &WhichBlocks, _: Page) -> Found<Block> {
        Ok(Vec::new())
    }
    fn output(&self, _: OutputId) -> Result<Option<Output>, StoreError> {
        Ok(None)
    }
    fn consumers(&self, _: InputId) -> Found<Consumed> {
        Ok(Vec::new())
    }
    fn lumis_of_files(&self, _: RunNumber, _: Option<&str>) -> Found<LumiOfFiles> {
        let row = |lumi: &u32| LumiOfFiles {
            lumi: LumiNumber(*lumi),
            files: 1,
            events: 50,
        };
        Ok(self.files.iter().map(row).collect())
    }
    fn jobs_not_done(&self, _: RunNumber, task: &TaskPath) -> Found<Job> {
        let jobs = self.jobs.iter().filter(|job| job.task == *task);
        Ok(jobs.cloned().collect())
    }
    fn repeated_inputs(&self, _: &str, _: RunNumber) -> Result<u64, StoreError> {
        Ok(0)
    }
}

impl Catalogue for Rows {
    fn runs(&self, _: Page) -> Found<Run> {
        Ok(Vec::new())
    }
    fn run(&self, _: RunNumber) -> Result<Option<Run>, StoreError> {
        Ok(None)
    }
    fn run_counts(&self, _: RunNumber) -> Result<RunCounts, StoreError> {
        Ok(RunCounts::default())
    }
    fn witnesses(&self, _: RunNumber) -> Found<Witness> {
        Ok(self.witnesses.clone())
    }
    fn files(&self, _: Option<RunNumber>, _: Page) -> Found<File> {
        Ok(Vec::new())
    }
    fn file(&self, _: FileId) -> Result<Option<File>, StoreError> {
        Ok(None)
    }
    fn jobs(&self, _: Option<RunNumber>, _: Option<&str>, _: Page) -> Found<Job> {
        Ok(Vec::new())
    }
    fn job(&self, _: JobId) -> Result<Option<Job>, StoreError> {
        Ok(None)
    }
    fn failed_attempts(&self, _: JobId) -> Found<FailedAttempt> {
        Ok(Vec::new())
    }
    fn outputs(&self, _: Option<RunNumber>, _: Page) -> Found<Output> {
        Ok(Vec::new())
    }
    fn blocks(&self, _: Option<RunNumber>, _: Page) -> Found<Block> {
        Ok(Vec::new())
    }
    fn decisions(&self) -> Found<GateDecision> {
        Ok(Vec::new())
    }
    fn tags(&self) -> Found<ConditionsTag> {
        Ok(Vec::new())
    }
    fn global_tags(&self) -> Found<GlobalTag> {
        Ok(Vec::new())
    }
    fn iovs(&self) -> Found<Iov> {
        Ok(Vec::new())
    }
    fn payload(&self, _: &str) -> Result<Option<ConditionsPayload>, StoreError> {
        Ok(None)
    }
    fn quality(&self) -> Found<RunQuality> {
        Ok(Vec::new())
    }
    fn set_aside(&self) -> Found<SetAside> {
        Ok(Vec::new())
    }
    fn alarms(&self, _: bool) -> Found<Alarm> {
        Ok(Vec::new())
    }
    fn audits(&self, _: Page) -> Found<Audit> {
        Ok(Vec::new())
    }
}
