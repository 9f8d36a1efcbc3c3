//! What every database must answer about what datasets hold: a few rows with known neighbours, and
//! every condition that a question may carry.

use crate::conformance::{Place, begun};
use crate::samples;
use model::dataset::{Block, BlockState, Closing, Dataset, LumiContent, Output};
use model::fact::{Consumed, Fact};
use model::file::File;
use model::ids::{BlockId, FileId, JobId, LumiNumber, OutputId, RunNumber};
use model::job::{InputId, JobState};
use model::names::TaskPath;
use ports::catalogue::{Catalogue, LumiOfFiles, Page, WhichBlocks, WhichFiles, WhichOutputs};
use ports::store::Batch;
use std::sync::Arc;

const ALL: Page = Page {
    after: None,
    limit: 10_000,
};

fn file(id: i64, lumi: u32, stream: &str, late: bool) -> Fact {
    let mut file = samples::file(id as u8, 100);
    file.id = FileId(id);
    file.arrival.run = RunNumber(1);
    file.arrival.lumi = LumiNumber(lumi);
    file.arrival.stream = stream.into();
    Fact::FileIs(File { late, ..file })
}

fn output(id: i64, job: i64, block: Option<i64>, dataset: &str) -> Fact {
    Fact::OutputIs(Output {
        id: OutputId(id),
        job: JobId(job),
        run: RunNumber(1),
        task: TaskPath::new("express", "reco"),
        label: dataset.into(),
        dataset: dataset.into(),
        block: block.map(BlockId),
        ..samples::output(id as u8, 0)
    })
}

fn block(id: i64, state: BlockState) -> Fact {
    Fact::BlockIs(Block {
        id: BlockId(id),
        run: RunNumber(1),
        dataset: "A".into(),
        state,
        ..samples::block(id as u8, 0)
    })
}

fn consumed(input: i64, job: i64) -> Fact {
    Fact::ConsumedIs(Consumed {
        task: TaskPath::new("express", "reco"),
        input: InputId::File(FileId(input)),
        run: RunNumber(1),
        job: JobId(job),
        ..samples::consumed(input as u8, 0)
    })
}

fn dataset(name: &str) -> Fact {
    Fact::DatasetIs(Dataset {
        name: name.into(),
        ..samples::dataset(1, 7)
    })
}

/// Two jobs of one task, each with one file; their outputs in a closed block, an open one, and
/// none.
fn facts() -> Vec<Fact> {
    let closed = BlockState::Closed {
        at: model::time::Moment(1),
        closing: Closing::Aged,
    };
    let mut failed = samples::job(1, 5);
    failed.run = RunNumber(1);
    failed.task = TaskPath::new("express", "reco");
    vec![
        file(1, 1, "Muons", false),
        file(2, 1, "Muons", false),
        file(3, 2, "Muons", true),
        file(4, 3, "Electrons", false),
        consumed(1, 11),
        consumed(2, 12),
        output(21, 11, Some(31), "A"),
        output(22, 12, Some(32), "A"),
        output(23, 12, None, "B"),
        block(31, closed),
        block(32, BlockState::Open),
        dataset("A"),
        dataset("B"),
        dataset("C"),
        Fact::ContentIs(LumiContent::new("A".into(), RunNumber(1))),
        Fact::ContentIs(LumiContent::new("A".into(), RunNumber(2))),
        Fact::JobIs(Arc::new(failed)),
    ]
}

fn written(place: &impl Place) -> Box<dyn Catalogue> {
    let batch = Batch {
        number: 1,
        next_id: 100,
        moment: model::time::Moment(1_000_000),
        facts: facts(),
    };
    begun(place).commit(&batch).unwrap();
    place.catalogue()
}

pub(crate) fn holdings_are_found_by_every_condition(place: &impl Place) {
    let catalogue = written(place);
    let files = |which: WhichFiles| -> Vec<i64> {
        let rows = catalogue.which_files(&which, ALL).unwrap();
        rows.iter().map(|file| file.id.0).collect()
    };
    let of = WhichFiles::default;
    let (late, muons) = (Some(true), Some("Muons".to_owned()));
    assert_eq!(files(of()), [1, 2, 3, 4]);
    assert_eq!(files(WhichFiles { late, ..of() }), [3]);
    assert_eq!(
        files(WhichFiles {
            stream: muons,
            late: Some(false),
            ..of()
        }),
        [1, 2]
    );
    assert_eq!(
        files(WhichFiles {
            run: Some(RunNumber(2)),
            ..of()
        }),
        [0_i64; 0]
    );
    let outputs = |which: WhichOutputs| -> Vec<i64> {
        let rows = catalogue.which_outputs(&which, ALL).unwrap();
        rows.iter().map(|output| output.id.0).collect()
    };
    let of = WhichOutputs::default;
    let a = || Some("A".to_owned());
    assert_eq!(
        outputs(WhichOutputs {
            dataset: a(),
            ..of()
        }),
        [21, 22]
    );
    assert_eq!(
        outputs(WhichOutputs {
            block: Some(BlockId(32)),
            ..of()
        }),
        [22]
    );
    assert_eq!(
        outputs(WhichOutputs {
            job: Some(JobId(12)),
            ..of()
        }),
        [22, 23]
    );
    assert_eq!(
        outputs(WhichOutputs {
            published: Some(false),
            ..of()
        }),
        [23]
    );
    assert_eq!(
        outputs(WhichOutputs {
            published: Some(true),
            dataset: a(),
            ..of()
        }),
        [21, 22]
    );
    let blocks = |open: Option<bool>| -> Vec<i64> {
        let which = WhichBlocks {
            run: Some(RunNumber(1)),
            dataset: a(),
            open,
        };
        let rows = catalogue.which_blocks(&which, ALL).unwrap();
        rows.iter().map(|block| block.id.0).collect()
    };
    assert_eq!(blocks(None), [31, 32]);
    assert_eq!(blocks(Some(true)), [32]);
    assert_eq!(blocks(Some(false)), [31]);
    assert_eq!(
        catalogue
            .output(OutputId(23))
            .unwrap()
            .unwrap()
            .dataset
            .as_str(),
        "B"
    );
    assert!(catalogue.output(OutputId(24)).unwrap().is_none());
}

pub(crate) fn datasets_tell_what_they_hold(place: &impl Place) {
    let catalogue = written(place);
    let names = |after: Option<&str>, limit| -> Vec<String> {
        let rows = catalogue.datasets(after, limit).unwrap();
        rows.iter()
            .map(|dataset| dataset.name.to_string())
            .collect()
    };
    assert_eq!(names(None, 2), ["A", "B"]);
    assert_eq!(names(Some("B"), 2), ["C"]);
    let found = catalogue.dataset("B").unwrap().unwrap();
    assert_eq!(found.closed.files, 7);
    assert!(
        catalogue.dataset("b").unwrap().is_none(),
        "names compare byte by byte"
    );
    let runs = |page| -> Vec<u32> {
        let rows = catalogue.contents("A", page).unwrap();
        rows.iter().map(|content| content.run.0).collect()
    };
    assert_eq!(runs(ALL), [1, 2]);
    let after = Some(1);
    assert_eq!(runs(Page { after, limit: 5 }), [2]);
    assert_eq!(catalogue.contents_of_run(RunNumber(2)).unwrap().len(), 1);
    let muons = catalogue
        .lumis_of_files(RunNumber(1), Some("Muons"))
        .unwrap();
    let lumi = |number, files| LumiOfFiles {
        lumi: LumiNumber(number),
        files,
        events: 100 * files,
    };
    assert_eq!(muons, [lumi(1, 2)], "a late file is nobody's input");
    let all = catalogue.lumis_of_files(RunNumber(1), None).unwrap();
    assert_eq!(all, [lumi(1, 2), lumi(3, 1)]);
    let consumers = catalogue.consumers(InputId::File(FileId(2))).unwrap();
    let jobs: Vec<JobId> = consumers.iter().map(|consumed| consumed.job).collect();
    assert_eq!(jobs, [JobId(12)]);
    assert_eq!(
        catalogue.consumers(InputId::Output(OutputId(2))).unwrap(),
        []
    );
    let task = TaskPath::new("express", "reco");
    let undone = catalogue.jobs_not_done(RunNumber(1), &task).unwrap();
    assert!(matches!(undone[..], [ref job] if matches!(job.state, JobState::Failed { .. })));
    assert_eq!(catalogue.repeated_inputs("A", RunNumber(1)).unwrap(), 0);
}

/// An input whose data are in a dataset by two outputs is counted.
pub(crate) fn repeated_inputs_are_counted(place: &impl Place) {
    let mut facts = facts();
    // A second task of the same pipeline has consumed file 1 too and fills the same dataset.
    let second = TaskPath::new("express", "again");
    for fact in [consumed(1, 13), output(24, 13, Some(31), "A")] {
        facts.push(match fact {
            Fact::ConsumedIs(row) => Fact::ConsumedIs(Consumed {
                task: second.clone(),
                ..row
            }),
            Fact::OutputIs(row) => Fact::OutputIs(Output {
                task: second.clone(),
                ..row
            }),
            other => other,
        });
    }
    let batch = Batch {
        number: 1,
        next_id: 100,
        moment: model::time::Moment(1_000_000),
        facts,
    };
    begun(place).commit(&batch).unwrap();
    let catalogue = place.catalogue();
    assert_eq!(catalogue.repeated_inputs("A", RunNumber(1)).unwrap(), 1);
    assert_eq!(catalogue.repeated_inputs("B", RunNumber(1)).unwrap(), 0);
}
