//! What every database must do when the rows of a run become history: nothing changes for whoever
//! reads, nothing is left for whoever restarts, and whoever is cut short goes on.

use crate::conformance::{Place, begun};
use crate::samples;
use model::arrival::Arrival;
use model::fact::Fact;
use model::file::File;
use model::ids::{AttemptNumber, FileId, JobId, OutputId, RunNumber};
use model::job::{FailedAttempt, InputId, JobState};
use model::run::{Run, RunState};
use model::time::Moment;
use ports::catalogue::{Catalogue, Page, WhichFiles, WhichOutputs};
use ports::store::{Batch, Ledger, Moved, Rows, StoreError};
use std::sync::Arc;

/// Each of them, on a store of its own.
pub(crate) fn conforms<P: Place>(new: &impl Fn() -> P) {
    a_run_moves_slice_by_slice_and_readers_see_no_difference(&new());
    a_slice_takes_no_more_than_it_may(&new());
    only_the_epoch_that_holds_moves_rows_of_a_run_on_its_way(&new());
    a_late_file_is_found_by_its_run_and_name(&new());
    a_late_file_follows_its_run(&new());
}

/// The run that becomes history, and one beside it that stays.
const GOES: RunNumber = RunNumber(1);
const STAYS: RunNumber = RunNumber(2);
/// Objects of each kind in each of the two.
const EACH: u8 = 7;

fn batch(number: i64, facts: Vec<Fact>) -> Batch {
    Batch {
        number,
        next_id: number * 100,
        moment: Moment(number * 1_000_000 + 1),
        facts,
    }
}

fn state(number: RunNumber, state: RunState) -> Run {
    Run {
        number,
        state,
        ..samples::run(0, 0)
    }
}

fn archiving() -> Fact {
    let (closed_at, finished_at) = (Moment(1_000), Moment(2_000));
    Fact::RunIs(state(
        GOES,
        RunState::Archiving {
            closed_at,
            finished_at,
        },
    ))
}

/// A run with some of everything.
fn rows_of(number: RunNumber) -> Vec<Fact> {
    // Samples take their run from the value, and their identity from the key.
    let value = 29 + number.0 as u16;
    let keys = 10 * number.0 as u8..10 * number.0 as u8 + EACH;
    let finished = RunState::Finished {
        closed_at: Moment(1_000),
        at: Moment(2_000),
    };
    let mut facts = vec![Fact::RunIs(state(number, finished))];
    for key in keys {
        facts.push(Fact::FileIs(samples::file(key, value)));
        facts.push(Fact::JobIs(Arc::new(samples::job(key, value + 3))));
        facts.push(Fact::ConsumedIs(samples::consumed(key, value)));
        facts.push(Fact::OutputIs(samples::output(key, value)));
        facts.push(Fact::BlockIs(samples::block(key, value)));
        for attempt in 1..4 {
            facts.push(Fact::AttemptFailedIs(FailedAttempt {
                job: JobId(i64::from(key) + 1),
                attempt: AttemptNumber(attempt),
                ..samples::failed_attempt(key, value)
            }));
        }
    }
    for key in 0..EACH {
        let mut witness = samples::witness(key, value);
        witness.id.0 += 1_000 * i64::from(number.0);
        witness.run = number;
        facts.push(Fact::WitnessIs(witness));
    }
    facts
}

/// Rows of the run that goes, but for its own and its blocks: five tables, and three failed
/// attempts a job.
const ROWS: u64 = 8 * EACH as u64;

fn filled(place: &impl Place) -> Box<dyn Ledger> {
    let mut ledger = begun(place);
    let facts = [rows_of(GOES), rows_of(STAYS)].concat();
    ledger.commit(&batch(1, facts)).unwrap();
    ledger
}

/// Everything that readers can ask about either run, in words.
fn told(catalogue: &dyn Catalogue) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |answer: String| told.push(answer);
    let all = Page {
        after: None,
        limit: 10_000,
    };
    let few = Page {
        after: Some(13),
        limit: 5,
    };
    for page in [all, few] {
        for run in [None, Some(GOES), Some(STAYS)] {
            tell(format!("{:?}", catalogue.files(run, page).unwrap()));
            tell(format!("{:?}", catalogue.jobs(run, None, page).unwrap()));
            let failed = catalogue.jobs(run, Some("failed"), page);
            tell(format!("{:?}", failed.unwrap()));
            tell(format!("{:?}", catalogue.outputs(run, page).unwrap()));
            tell(format!("{:?}", catalogue.blocks(run, page).unwrap()));
            let which = WhichFiles {
                run,
                stream: Some("Muons".into()),
                late: Some(false),
            };
            tell(format!(
                "{:?}",
                catalogue.which_files(&which, page).unwrap()
            ));
            let which = WhichOutputs {
                run,
                dataset: Some(samples::output(0, 0).dataset.to_string()),
                ..WhichOutputs::default()
            };
            let outputs = catalogue.which_outputs(&which, page);
            tell(format!("{:?}", outputs.unwrap()));
        }
    }
    for run in [GOES, STAYS] {
        tell(format!("{:?}", catalogue.run_counts(run).unwrap()));
        tell(format!("{:?}", catalogue.witnesses(run).unwrap()));
        tell(format!(
            "{:?}",
            catalogue.lumis_of_files(run, None).unwrap()
        ));
        let muons = catalogue.lumis_of_files(run, Some("Muons"));
        tell(format!("{:?}", muons.unwrap()));
        let task = samples::job(0, 0).task;
        tell(format!(
            "{:?}",
            catalogue.jobs_not_done(run, &task).unwrap()
        ));
        let dataset = samples::output(0, 0).dataset;
        let repeated = catalogue.repeated_inputs(dataset.as_str(), run);
        tell(format!("{:?}", repeated.unwrap()));
    }
    for id in 1..40 {
        tell(format!("{:?}", catalogue.file(FileId(id)).unwrap()));
        tell(format!("{:?}", catalogue.job(JobId(id)).unwrap()));
        tell(format!("{:?}", catalogue.output(OutputId(id)).unwrap()));
        let attempts = catalogue.failed_attempts(JobId(id));
        tell(format!("{:?}", attempts.unwrap()));
        for input in [InputId::File(FileId(id)), InputId::Output(OutputId(id))] {
            tell(format!("{:?}", catalogue.consumers(input).unwrap()));
        }
        let which = WhichOutputs {
            job: Some(JobId(id)),
            ..WhichOutputs::default()
        };
        let made = catalogue.which_outputs(&which, all);
        tell(format!("{:?}", made.unwrap()));
    }
    told
}

/// Rows of a run in the tables that a restart reads, and in those of the history.
fn counted(place: &impl Place, run: RunNumber) -> [i64; 2] {
    let (blocking, mut connection) = place.questions();
    let mut count = |suffix: &str| {
        let tables = ["file", "job", "consumed", "output", "witness", "lumi"];
        let of =
            |table: &&str| format!("SELECT COUNT(*) AS n FROM {table}{suffix} WHERE run = {run}");
        let mut parts: Vec<String> = tables.iter().map(of).collect();
        parts.push(if suffix.is_empty() {
            let first = 10 * run.0;
            let last = first + 9;
            format!("SELECT COUNT(*) FROM failed_attempt WHERE job BETWEEN {first} AND {last}")
        } else {
            format!("SELECT COUNT(*) FROM failed_attempt_history WHERE run = {run}")
        });
        let sql = format!(
            "SELECT CAST(SUM(n) AS BIGINT) FROM ({}) counts",
            parts.join(" UNION ALL ")
        );
        let counted = connection.rows(sql, [], |row| row.number(0));
        blocking.wait(counted).unwrap()[0]
    };
    [count(""), count("_history")]
}

fn a_run_moves_slice_by_slice_and_readers_see_no_difference(place: &impl Place) {
    let mut ledger = filled(place);
    let before = told(&*place.catalogue());
    assert_eq!(counted(place, GOES), [ROWS as i64, 0]);
    let beside = ledger.restore().unwrap();
    ledger.commit(&batch(2, vec![archiving()])).unwrap();
    let on_its_way = ledger.restore().unwrap();
    assert_eq!((on_its_way.runs.len(), on_its_way.archived.len()), (2, 0));
    assert!(
        on_its_way
            .files
            .iter()
            .all(|file| file.arrival.run == STAYS),
        "nobody works with what is on its way"
    );
    let mut moved = 0;
    for slice in 1.. {
        let now = ledger.archive(GOES, 10).unwrap();
        moved += now.rows;
        assert_eq!(counted(place, GOES), [(ROWS - moved) as i64, moved as i64]);
        assert_eq!(told(&*place.catalogue()), before, "after slice {slice}");
        if now.is_all {
            break;
        }
        // Somebody else goes on between two slices: a restart, then a batch.
        ledger = if slice % 2 == 0 { begun(place) } else { ledger };
        let batch = batch(2 + slice, vec![Fact::FileIs(samples::file(20, 31))]);
        ledger.commit(&batch).unwrap();
    }
    assert_eq!(moved, ROWS);
    let again = ledger.archive(GOES, 10).unwrap();
    assert_eq!(
        again,
        Moved {
            rows: 0,
            is_all: true
        }
    );
    assert_eq!(counted(place, STAYS), [ROWS as i64, 0]);
    let archived = RunState::Archived {
        closed_at: Moment(1_000),
        finished_at: Moment(2_000),
        at: Moment(3_000),
    };
    drop(ledger);
    let rows = rows_after(place, vec![Fact::RunIs(state(GOES, archived))]);
    assert_eq!(rows.archived, [GOES]);
    assert_eq!(rows.runs.len(), 1);
    let stays = |run: RunNumber| run == STAYS;
    assert_eq!(rows.jobs.len(), usize::from(EACH));
    assert!(rows.blocks.iter().all(|block| stays(block.run)));
    let of_stays = beside.outputs.into_iter().filter(|o| stays(o.run));
    assert_eq!(rows.outputs, of_stays.collect::<Vec<_>>());
}

/// The rows that a new instance reads after one more batch.
fn rows_after(place: &impl Place, facts: Vec<Fact>) -> Rows {
    let mut ledger = place.ledger();
    let standing = ledger.raise_epoch().unwrap();
    let next = Batch {
        next_id: standing.next_id.unwrap_or(1),
        ..batch(standing.last_batch + 1, facts)
    };
    ledger.commit(&next).unwrap();
    ledger.restore().unwrap()
}

fn a_slice_takes_no_more_than_it_may(place: &impl Place) {
    let mut ledger = filled(place);
    ledger.commit(&batch(2, vec![archiving()])).unwrap();
    let mut slices = Vec::new();
    loop {
        let moved = ledger.archive(GOES, 4).unwrap();
        slices.push(moved.rows);
        if moved.is_all {
            break;
        }
    }
    assert!(slices.iter().all(|rows| *rows <= 4), "{slices:?}");
    assert_eq!(slices.iter().sum::<u64>(), ROWS, "{slices:?}");
}

fn only_the_epoch_that_holds_moves_rows_of_a_run_on_its_way(place: &impl Place) {
    let mut old = filled(place);
    let at_work = old.archive(GOES, 10);
    assert!(
        matches!(at_work, Err(StoreError::Corrupt { .. })),
        "{at_work:?}"
    );
    old.commit(&batch(2, vec![archiving()])).unwrap();
    let mut new = begun(place);
    let fenced = old.archive(GOES, 10);
    assert!(
        matches!(fenced, Err(StoreError::Fenced { .. })),
        "{fenced:?}"
    );
    assert_eq!(counted(place, GOES), [ROWS as i64, 0]);
    assert_eq!(new.archive(GOES, 10).unwrap().rows, 10);
}

fn a_late_file_is_found_by_its_run_and_name(place: &impl Place) {
    let mut ledger = filled(place);
    ledger.commit(&batch(2, vec![archiving()])).unwrap();
    let recall = place.recall();
    let known = samples::file(12, 30);
    let seen = |name: &str, profile: &str, run: RunNumber| Arrival {
        name: name.into(),
        profile: profile.into(),
        run,
        ..known.arrival.clone()
    };
    let name = known.arrival.name.as_str();
    let asked = vec![
        seen(name, "hlt", GOES),
        seen("never seen", "hlt", GOES),
        seen(name, "other", GOES),
        seen(name, "hlt", RunNumber(77)),
    ];
    let check = |when: &str| {
        let recalled = recall.recall(asked.clone()).unwrap();
        let found: Vec<Option<File>> = recalled.iter().map(|it| it.file.clone()).collect();
        assert_eq!(found, [Some(known.clone()), None, None], "{when}");
        assert!(recalled.iter().all(|it| it.run.number == GOES));
    };
    check("before a slice");
    while !ledger.archive(GOES, 9).unwrap().is_all {
        check("between slices");
    }
    check("as history");
}

/// A file that comes when its run is history is moved like the others, and found before and after.
fn a_late_file_follows_its_run(place: &impl Place) {
    let mut ledger = filled(place);
    ledger.commit(&batch(2, vec![archiving()])).unwrap();
    while !ledger.archive(GOES, 100).unwrap().is_all {}
    let late = File {
        late: true,
        part: 2,
        ..samples::file(90, 30)
    };
    let facts = vec![archiving(), Fact::FileIs(late.clone())];
    ledger.commit(&batch(3, facts)).unwrap();
    let recall = place.recall();
    let found = || {
        recall.recall(vec![late.arrival.clone()]).unwrap()[0]
            .file
            .clone()
    };
    assert_eq!(found(), Some(late.clone()));
    let moved = ledger.archive(GOES, 100).unwrap();
    assert_eq!((moved.rows, moved.is_all), (1, true));
    assert_eq!(found(), Some(late.clone()));
    assert_eq!(counted(place, GOES), [0, ROWS as i64 + 1]);
    let which = WhichFiles {
        run: Some(GOES),
        late: Some(true),
        ..WhichFiles::default()
    };
    let page = Page {
        after: None,
        limit: 10,
    };
    let listed = place.catalogue().which_files(&which, page).unwrap();
    assert_eq!(listed, [late]);
    let done = place.catalogue().job(JobId(11)).unwrap().unwrap();
    assert!(!matches!(done.state, JobState::Ready { .. }), "{done:?}");
}
