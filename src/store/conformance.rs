//! What every database behind the ports must do, as functions over a place that gives out handles.
//! In comes a place with an empty store, out goes a panic that says what was broken. The oracle is
//! a map kept in memory, written without any of the room's own keys.

use crate::blocking::Blocking;
use crate::connection::Connection;
use crate::database::{Database, Purpose};
use crate::history_conformance;
use crate::holdings_conformance;
use crate::samples::{self, KINDS, fact};
use crate::states::{self, JOB_WORDS};
use model::fact::Fact;
use model::ids::{Epoch, FileId, JobId, RunNumber};
use model::job::InputId;
use model::source::SourceState;
use model::time::Moment;
use ports::catalogue::{Catalogue, Page, RunCounts};
use ports::store::{Batch, Ledger, Rows, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A store that can be opened more than once, as two instances would that both believe to be the
/// one.
pub(crate) trait Place {
    /// A writing handle whose epoch is not raised yet, if the store can be opened.
    fn try_ledger(&self) -> Result<Box<dyn Ledger>, StoreError>;
    /// A writing handle whose epoch is not raised yet.
    fn ledger(&self) -> Box<dyn Ledger> {
        self.try_ledger().unwrap()
    }
    /// A reading handle.
    fn catalogue(&self) -> Box<dyn Catalogue>;
    /// Who is asked for files of runs that are history.
    fn recall(&self) -> Box<dyn ports::store::Recall> {
        Box::new(crate::reader::SqlCatalogue::open(&self.database()).unwrap())
    }
    /// The database itself.
    fn database(&self) -> Database;
    /// A connection past all of it, for somebody who writes into the tables by hand.
    fn questions(&self) -> (Blocking, Connection) {
        connected(&self.database())
    }
}

/// A connection to a database, and what drives it.
pub(crate) fn connected(database: &Database) -> (Blocking, Connection) {
    let blocking = Blocking::new("test").unwrap();
    let connection = blocking.wait(database.connect(Purpose::Write)).unwrap();
    (blocking, connection)
}

/// Everything below, each on a store of its own.
pub(crate) fn conforms<P: Place>(new: impl Fn() -> P) {
    every_kind_comes_back(&new());
    an_agent_stands_where_it_left_off(&new());
    only_the_next_batch_of_the_newest_epoch_passes(&new());
    the_last_value_wins(&new());
    a_contradiction_is_refused_with_its_whole_batch(&new());
    readers_see_what_is_committed(&new());
    lists_come_in_pages(&new());
    texts_are_told_apart_byte_by_byte(&new());
    long_values_come_back_whole(&new());
    the_database_names_states_as_the_model_does(&new());
    a_row_that_cannot_be_read_is_quoted(&new());
    a_store_of_a_newer_program_is_refused(&new());
    a_store_tells_how_it_is(&new());
    holdings_conformance::holdings_are_found_by_every_condition(&new());
    holdings_conformance::datasets_tell_what_they_hold(&new());
    holdings_conformance::repeated_inputs_are_counted(&new());
    history_conformance::conforms(&new);
}

const ALL: Page = Page {
    after: None,
    limit: 10_000,
};

fn batch(number: i64, facts: Vec<Fact>) -> Batch {
    Batch {
        number,
        next_id: number * 100,
        moment: Moment(number * 1_000_000 + 1),
        facts,
    }
}

pub(crate) fn begun(place: &impl Place) -> Box<dyn Ledger> {
    let mut ledger = place.ledger();
    ledger.raise_epoch().unwrap();
    ledger
}

/// The memory that a store is compared with: the last value of each object.
#[derive(Default)]
pub(crate) struct Oracle(BTreeMap<String, Fact>);

impl Oracle {
    pub(crate) fn take(&mut self, facts: &[Fact]) {
        for fact in facts {
            self.0.insert(identity(fact), fact.clone());
        }
    }

    /// What a restart must get.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        for fact in self.0.values() {
            if let Fact::RunIs(run) = fact {
                rows.runs.push(run.clone());
            }
        }
        let known: Vec<RunNumber> = rows.runs.iter().map(|run| run.number).collect();
        let own = |number: RunNumber| known.contains(&number);
        for fact in self.0.values().cloned() {
            match fact {
                Fact::WitnessIs(w) if own(w.run) => rows.witnesses.push(w),
                Fact::FileIs(f) if own(f.arrival.run) => rows.files.push(f),
                Fact::JobIs(j) if own(j.run) => rows.jobs.push(Arc::unwrap_or_clone(j)),
                Fact::ConsumedIs(c) if own(c.run) => rows.consumed.push(c),
                Fact::OutputIs(o) if own(o.run) => rows.outputs.push(o),
                Fact::BlockIs(b) if own(b.run) => rows.blocks.push(b),
                Fact::ConfigurationIs(c) => rows.configurations.push(c),
                Fact::DatasetIs(d) => rows.datasets.push(d),
                Fact::ContentIs(c) if own(c.run) => rows.contents.push(c),
                Fact::SetAsideIs(s) => rows.set_aside.push(s),
                Fact::DecisionIs(d) => rows.decisions.push(d),
                Fact::TagIs(t) => rows.tags.push(t),
                Fact::GlobalTagIs(g) => rows.global_tags.push(g),
                Fact::IovIs(i) => rows.iovs.push(i),
                Fact::PayloadIs(p) => rows.payloads.push(p),
                Fact::QualityIs(q) => rows.quality.push(q),
                Fact::AlarmIs(a) if a.cleared_at.is_none() => rows.alarms.push(a),
                Fact::RulingIs(r) => rows.rulings.push(r),
                Fact::SourceIs(s) if own(s.run) => rows.sources.push(s),
                Fact::UsageIs(u) => rows.usage.push(u),
                _ => {}
            }
        }
        rows.runs.sort_by_key(|r| r.number);
        rows.witnesses.sort_by_key(|w| w.id);
        rows.files.sort_by_key(|f| f.id);
        rows.jobs.sort_by_key(|j| j.id);
        rows.consumed
            .sort_by_key(|c| (c.task.clone(), c.input, c.first_event));
        rows.outputs.sort_by_key(|o| o.id);
        rows.blocks.sort_by_key(|b| b.id);
        rows.tags.sort_by_key(|t| t.name.clone());
        rows.global_tags.sort_by_key(|g| g.name.clone());
        rows.iovs
            .sort_by_key(|i| (i.tag.clone(), i.since, i.sequence));
        rows.decisions.sort_by_key(|d| (d.tag.clone(), d.run));
        rows.quality.sort_by_key(|q| q.run);
        rows.rulings.sort_by_key(|r| (r.task.clone(), r.run));
        rows.sources.sort_by_key(|s| s.file);
        rows.usage.sort_by(|a, b| a.task.cmp(&b.task));
        rows
    }
}

/// What a fact speaks of, in words; lists whose keys are texts are in the order of these words.
fn identity(fact: &Fact) -> String {
    match fact {
        Fact::ConfigurationIs(c) => format!("configuration {}", c.hash),
        Fact::RunIs(r) => format!("run {}", r.number),
        Fact::WitnessIs(w) => format!("witness {}", w.id),
        Fact::FileIs(f) => format!("file {}", f.id),
        Fact::SetAsideIs(s) => format!("set aside {} {}", s.profile, s.name),
        Fact::JobIs(j) => format!("job {}", j.id),
        Fact::ConsumedIs(c) => format!("consumed {} {:?}", c.task, c.input),
        Fact::AttemptFailedIs(f) => format!("failed {} {}", f.job, f.attempt),
        Fact::OutputIs(o) => format!("output {}", o.id),
        Fact::BlockIs(b) => format!("block {}", b.id),
        Fact::DatasetIs(d) => format!("dataset {}", d.name),
        Fact::ContentIs(c) => format!("content {} {}", c.dataset, c.run),
        Fact::DecisionIs(d) => format!("decision {} {}", d.tag, d.run),
        Fact::TagIs(t) => format!("tag {}", t.name),
        Fact::GlobalTagIs(g) => format!("global tag {}", g.name),
        Fact::IovIs(i) => format!("iov {} {} {}", i.tag, i.since.0, i.sequence),
        Fact::PayloadIs(p) => format!("payload {}", p.hash),
        Fact::QualityIs(q) => format!("quality {}", q.run),
        Fact::AlarmIs(a) => format!("alarm {}", a.key),
        Fact::MessageIs(m) => format!("message {}", m.id),
        Fact::AuditIs(a) => format!("audit {}", a.id),
        Fact::RulingIs(r) => format!("ruling {} {:?}", r.task, r.run),
        Fact::SourceIs(s) => format!("source {}", s.file),
        Fact::EvidenceIs(e) => format!("evidence {} {}", e.file, e.step),
        Fact::UsageIs(u) => format!("usage {}", u.task),
    }
}

/// Two facts of every kind, in runs that are open.
fn one_of_everything() -> Vec<Fact> {
    let mut facts = vec![fact(0, 0, 0), fact(0, 1, 4), fact(0, 2, 8)];
    for kind in 1..KINDS {
        facts.extend([fact(kind, 0, 30), fact(kind, 5, 36)]);
    }
    facts
}

/// Every kind of fact is there after a restart, finished runs included.
pub(crate) fn every_kind_comes_back(place: &impl Place) {
    let facts = one_of_everything();
    let mut oracle = Oracle::default();
    oracle.take(&facts);
    begun(place).commit(&batch(1, facts)).unwrap();
    let mut ledger = begun(place);
    assert_eq!(ledger.restore().unwrap(), oracle.rows());
    let finished = vec![fact(0, 0, 3), fact(0, 1, 7)];
    oracle.take(&finished);
    ledger.commit(&batch(2, finished)).unwrap();
    let rows = ledger.restore().unwrap();
    assert_eq!(rows, oracle.rows());
    assert_eq!(
        (rows.runs.len(), rows.files.len()),
        (3, 2),
        "finished runs stay, with their files"
    );
}

/// What stands after each step of an agent's life.
fn an_agent_stands_where_it_left_off(place: &impl Place) {
    let mut ledger = place.ledger();
    let first = ledger.raise_epoch().unwrap();
    assert_eq!(
        (first.epoch, first.last_batch, first.next_id),
        (Epoch(1), 0, None)
    );
    ledger.commit(&batch(1, vec![])).unwrap();
    ledger.commit(&batch(2, vec![])).unwrap();
    let second = place.ledger().raise_epoch().unwrap();
    assert_eq!(
        (second.epoch, second.last_batch, second.next_id),
        (Epoch(2), 2, Some(200))
    );
    let told = batch(2, vec![]).moment;
    assert!(second.moment >= told && second.moment.since(told).0 < 1_000);
}

/// The fence: an older epoch, a number twice, a number out of turn, no epoch at all.
fn only_the_next_batch_of_the_newest_epoch_passes(place: &impl Place) {
    let mut old = place.ledger();
    let refused = old.commit(&batch(1, vec![])).unwrap_err();
    assert!(matches!(refused, StoreError::Other { .. }), "{refused}");
    old.raise_epoch().unwrap();
    old.commit(&batch(1, vec![fact(4, 1, 0)])).unwrap();
    // The result of the first try is not known to the caller: the second writes nothing.
    old.commit(&batch(1, vec![fact(4, 2, 0)])).unwrap();
    assert_eq!(place.catalogue().jobs(None, None, ALL).unwrap().len(), 1);
    for number in [0, 3] {
        let refused = old.commit(&batch(number, vec![fact(4, 2, 0)])).unwrap_err();
        assert!(
            matches!(refused, StoreError::Corrupt { .. }),
            "{number}: {refused}"
        );
    }
    let mut new = begun(place);
    for number in [1, 2] {
        let refused = old.commit(&batch(number, vec![fact(4, 3, 0)])).unwrap_err();
        let expect = (Epoch(1), Epoch(2));
        assert!(
            matches!(refused, StoreError::Fenced { ours, theirs, .. } if (ours, theirs) == expect),
            "{refused}"
        );
    }
    new.commit(&batch(2, vec![fact(4, 4, 0)])).unwrap();
    let jobs = place.catalogue().jobs(None, None, ALL).unwrap();
    assert_eq!(jobs.iter().map(|job| job.id.0).collect::<Vec<_>>(), [2, 5]);
}

/// Within a batch and across batches the last value stands.
fn the_last_value_wins(place: &impl Place) {
    let mut ledger = begun(place);
    ledger
        .commit(&batch(
            1,
            vec![fact(4, 1, 10), fact(4, 2, 7), fact(4, 1, 11)],
        ))
        .unwrap();
    let reader = place.catalogue();
    assert_eq!(reader.job(JobId(2)).unwrap(), Some(samples::job(1, 11)));
    ledger.commit(&batch(2, vec![fact(4, 1, 12)])).unwrap();
    assert_eq!(reader.job(JobId(2)).unwrap(), Some(samples::job(1, 12)));
    assert_eq!(reader.jobs(None, None, ALL).unwrap().len(), 2);
}

/// One job for each input, one id for each name, one output for each label: a batch that says
/// otherwise leaves nothing.
fn a_contradiction_is_refused_with_its_whole_batch(place: &impl Place) {
    let mut ledger = begun(place);
    let first = vec![fact(5, 1, 0), fact(2, 1, 0), fact(7, 0, 0)];
    ledger.commit(&batch(1, first)).unwrap();
    // The same again is no contradiction, not even for another run.
    ledger.commit(&batch(2, vec![fact(5, 1, 1)])).unwrap();
    let mut consumed = samples::consumed(1, 0);
    consumed.job = JobId(99);
    // Another part of the same input may be another job's.
    let mut part = consumed.clone();
    part.first_event += 1;
    ledger
        .commit(&batch(3, vec![Fact::ConsumedIs(part)]))
        .unwrap();
    let mut file = samples::file(1, 0);
    file.id = FileId(77);
    let mut output = samples::output(4, 0);
    output.job = JobId(1);
    let twice = vec![fact(5, 2, 0), {
        let mut consumed = samples::consumed(2, 0);
        consumed.job = JobId(98);
        Fact::ConsumedIs(consumed)
    }];
    // Rows written before and after the bad one: neither may stay.
    let rows_with = |bad: Fact| vec![fact(4, 9, 0), bad, fact(12, 0, 0)];
    let check = |ledger: &mut dyn Ledger, facts: Vec<Fact>, part: &str| {
        let refused = ledger.commit(&batch(4, facts)).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
        assert!(refused.to_string().contains(part), "{refused}");
    };
    check(
        ledger.as_mut(),
        rows_with(Fact::ConsumedIs(consumed)),
        "\"job\":14",
    );
    check(ledger.as_mut(), rows_with(Fact::FileIs(file)), "file");
    check(ledger.as_mut(), rows_with(Fact::OutputIs(output)), "output");
    check(ledger.as_mut(), twice, "in one batch");
    let reader = place.catalogue();
    assert_eq!(reader.jobs(None, None, ALL).unwrap(), []);
    assert_eq!(reader.quality().unwrap(), []);
    ledger.commit(&batch(4, rows_with(fact(5, 2, 0)))).unwrap();
    assert_eq!(reader.jobs(None, None, ALL).unwrap().len(), 1);
}

/// Every question is answered with what was committed, in order, in pages.
fn readers_see_what_is_committed(place: &impl Place) {
    let mut ledger = begun(place);
    let reader = place.catalogue();
    assert_eq!(reader.runs(ALL).unwrap(), []);
    let mut oracle = Oracle::default();
    let facts = one_of_everything();
    oracle.take(&facts);
    ledger.commit(&batch(1, facts)).unwrap();
    let rows = oracle.rows();
    assert_eq!(reader.runs(ALL).unwrap(), rows.runs);
    assert_eq!(reader.run(RunNumber(2)).unwrap().as_ref(), rows.runs.get(1));
    assert_eq!(reader.run(RunNumber(9)).unwrap(), None);
    assert_eq!(reader.files(None, ALL).unwrap(), rows.files);
    assert_eq!(reader.files(Some(RunNumber(1)), ALL).unwrap(), rows.files);
    assert_eq!(reader.files(Some(RunNumber(2)), ALL).unwrap(), []);
    assert_eq!(reader.file(FileId(6)).unwrap().as_ref(), rows.files.last());
    assert_eq!(reader.jobs(None, None, ALL).unwrap(), rows.jobs);
    assert_eq!(reader.job(JobId(1)).unwrap().as_ref(), rows.jobs.first());
    let said = rows.witnesses.iter().filter(|w| w.run == RunNumber(1));
    let said: Vec<_> = said.cloned().collect();
    assert_eq!(reader.witnesses(RunNumber(1)).unwrap(), said);
    assert_eq!(
        reader.outputs(Some(RunNumber(1)), ALL).unwrap(),
        rows.outputs
    );
    assert_eq!(reader.blocks(None, ALL).unwrap(), rows.blocks);
    assert_eq!(reader.decisions().unwrap(), rows.decisions);
    assert_eq!(reader.tags().unwrap(), rows.tags);
    assert_eq!(reader.global_tags().unwrap(), rows.global_tags);
    assert_eq!(reader.iovs().unwrap(), rows.iovs);
    assert_eq!(
        reader.payload(&rows.payloads[1].hash).unwrap().as_ref(),
        rows.payloads.get(1)
    );
    assert_eq!(reader.quality().unwrap(), rows.quality);
    assert_eq!(reader.set_aside().unwrap(), rows.set_aside);
    assert_eq!(reader.alarms(true).unwrap(), rows.alarms);
    assert_eq!(reader.failed_attempts(JobId(1)).unwrap().len(), 2);
}

/// Lists by run, by state and by page, and the counts of a run.
fn lists_come_in_pages(place: &impl Place) {
    let mut ledger = begun(place);
    let jobs = (0..60_u8).map(|key| fact(4, key, u16::from(key)));
    let files = (0..9_u8).map(|key| fact(2, key, u16::from(key)));
    ledger
        .commit(&batch(1, jobs.chain(files).collect()))
        .unwrap();
    ledger
        .commit(&batch(2, vec![fact(13, 0, 1), fact(13, 1, 2)]))
        .unwrap();
    let reader = place.catalogue();
    let ids = |run: Option<u32>, state: Option<&str>, after: Option<i64>, limit: u32| {
        let page = Page { after, limit };
        let jobs = reader.jobs(run.map(RunNumber), state, page).unwrap();
        jobs.iter().map(|job| job.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, None, None, 3), [1, 2, 3]);
    assert_eq!(ids(None, None, Some(3), 2), [4, 5]);
    assert!(ids(None, None, Some(60), 2).is_empty());
    assert_eq!(
        ids(None, None, None, 0),
        [1],
        "a limit of none is the least there is"
    );
    assert_eq!(ids(Some(1), None, Some(1), 2), [4, 7]);
    assert_eq!(ids(None, Some("failed"), None, 2), [6, 15]);
    assert_eq!(ids(Some(2), Some("done"), Some(5), 2), [14, 23]);
    let refused = reader
        .jobs(None, Some("tired"), ALL)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("\"tired\"") && refused.contains("committing"),
        "{refused}"
    );
    let counts = reader.run_counts(RunNumber(2)).unwrap();
    assert_eq!((counts.files, counts.events_in), (3, 1 + 4 + 7));
    assert_eq!(
        (counts.jobs, counts.jobs_done, counts.jobs_failed),
        (20, 7, 0)
    );
    assert_eq!(
        reader.run_counts(RunNumber(7)).unwrap(),
        RunCounts::default()
    );
    let standing = |only| reader.alarms(only).unwrap().len();
    assert_eq!((standing(false), standing(true)), (2, 1));
}

/// What differs in case, accent, or blanks at the end differs; lists are in the order of bytes.
fn texts_are_told_apart_byte_by_byte(place: &impl Place) {
    let names = ["B", "a", "a ", "a\u{301}", "b", "\u{e1}", "\u{1f980}"];
    let file = |(id, name): (i64, &str)| {
        let mut file = samples::file(0, 0);
        file.id = FileId(id);
        file.arrival.name = name.into();
        Fact::FileIs(file)
    };
    let aside = |name: &str| {
        let mut thing = samples::set_aside(0, 0);
        thing.name = name.into();
        Fact::SetAsideIs(thing)
    };
    let files = (1..).zip(names).map(file);
    let facts = files.chain(names.into_iter().rev().map(aside)).collect();
    begun(place).commit(&batch(1, facts)).unwrap();
    let reader = place.catalogue();
    assert_eq!(reader.files(None, ALL).unwrap().len(), names.len());
    let aside = reader.set_aside().unwrap();
    let listed: Vec<&str> = aside.iter().map(|thing| thing.name.as_str()).collect();
    assert_eq!(listed, names);
}

/// Names longer than their columns, and bodies longer than what some databases take for a text.
fn long_values_come_back_whole(place: &impl Place) {
    let aside = |end: &str| {
        let mut thing = samples::set_aside(0, 0);
        thing.name = format!("{}{end}", "\u{1f980}".repeat(1_000))
            .as_str()
            .into();
        thing
    };
    let mut payload = samples::payload(0);
    payload.text = "\u{0}'\\\"\u{e1}".repeat(300_000);
    let mut facts = vec![Fact::PayloadIs(payload.clone())];
    // The same name again is the same thing; another one with the same beginning is not.
    facts.extend(["a", "b", "a"].map(|end| Fact::SetAsideIs(aside(end))));
    // Many large rows of one table: more than a server takes in one statement.
    let large = |key: u8| {
        let mut payload = samples::payload(key);
        payload.text = "x".repeat(600_000);
        Fact::PayloadIs(payload)
    };
    facts.extend((1..40).map(large));
    begun(place).commit(&batch(1, facts)).unwrap();
    let mut again = begun(place);
    again
        .commit(&batch(2, vec![Fact::SetAsideIs(aside("b"))]))
        .unwrap();
    let rows = again.restore().unwrap();
    assert_eq!(rows.payloads.len(), 40);
    assert!(rows.payloads.contains(&payload));
    assert_eq!(rows.set_aside, [aside("a"), aside("b")]);
}

/// The names of states, for whoever asks in SQL.
fn the_database_names_states_as_the_model_does(place: &impl Place) {
    let mut ledger = begun(place);
    let facts = vec![fact(0, 0, 1), fact(4, 0, 4), fact(8, 0, 0)];
    ledger.commit(&batch(1, facts)).unwrap();
    let (blocking, mut connection) = place.questions();
    let mut ask = |sql: &'static str| {
        let row = |row: &crate::connection::Fields| {
            Ok((
                row.text(0)?.to_owned(),
                row.number(1)?,
                row.text(2)?.to_owned(),
            ))
        };
        blocking.wait(connection.rows(sql, [], row)).unwrap()
    };
    let rows = ask("SELECT object, state, word FROM state_name");
    let word = |object: &str, state: i64| {
        let row = rows.iter().find(|row| row.0 == object && row.1 == state);
        row.map(|row| row.2.clone()).unwrap_or_default()
    };
    for value in 0..6 {
        let (run, job) = (samples::run(0, value), samples::job(0, value));
        assert_eq!(word("run", states::run(&run.state)), run.state.word());
        assert_eq!(word("job", states::job(&job.state)), job.state.word());
        let named = states::job_by_word(job.state.word());
        assert_eq!(named, Some(states::job(&job.state)));
    }
    let jobs = rows.iter().filter(|row| row.0 == "job").count();
    assert_eq!(jobs, JOB_WORDS.len());
    for (state, known) in (1..).zip(SourceState::WORDS) {
        assert_eq!(word("source", state), known);
    }
    let input = |input| word("input", states::input_kind(input));
    assert_eq!(input(InputId::File(FileId(1))), "file");
    let words = ask("SELECT state_word, state, 'run' FROM run_named UNION ALL \
         SELECT state_word, state, 'job' FROM job_named UNION ALL \
         SELECT state_word, state, 'block' FROM block_named ORDER BY 3 DESC");
    let words: Vec<&str> = words.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(words, ["ending", "done", "closed"]);
}

/// A state that this program does not know stops it, by name.
fn a_row_that_cannot_be_read_is_quoted(place: &impl Place) {
    let mut ledger = begun(place);
    ledger.commit(&batch(1, vec![fact(0, 0, 0)])).unwrap();
    let (blocking, mut connection) = place.questions();
    let sql = "UPDATE run SET body = replace(body, '\"Open\"', '\"Ajar\"')";
    assert_eq!(blocking.wait(connection.execute(sql, [])).unwrap(), 1);
    let error = ledger.restore().unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("Ajar"), "{error}");
}

/// A store tells how it is, by itself and after somebody's hand was in it.
fn a_store_tells_how_it_is(place: &impl Place) {
    let mut ledger = begun(place);
    ledger.commit(&batch(1, one_of_everything())).unwrap();
    let database = place.database();
    let condition = database.condition().unwrap();
    assert!(condition.problems.is_empty(), "{condition:?}");
    assert!(
        condition.migrations.iter().all(|(.., done)| *done),
        "{condition:?}"
    );
    assert!(condition.server.len() > 5, "{condition:?}");
    let (blocking, mut connection) = place.questions();
    let mut change = |sql: &'static str| {
        assert_ne!(
            blocking.wait(connection.execute(sql, [])).unwrap(),
            0,
            "{sql}"
        );
    };
    change("UPDATE job SET body = replace(body, '\"id\"', '\"di\"')");
    let told = database.condition().unwrap().problems.join(" ");
    assert!(
        told.contains("row of agent 3") && told.contains("\"di\""),
        "{told}"
    );
    change("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1");
    let condition = database.condition().unwrap();
    let told = condition.problems.join(" ");
    assert!(told.contains("migration 9999 is not known"), "{told}");
    assert_eq!(condition.migrations[0], (1, "ledger", false));
}

/// A migration that this program does not know, and one that is not as it was.
fn a_store_of_a_newer_program_is_refused(place: &impl Place) {
    drop(begun(place));
    let (blocking, mut connection) = place.questions();
    let mut change = |sql: &'static str| {
        assert_eq!(
            blocking.wait(connection.execute(sql, [])).unwrap(),
            1,
            "{sql}"
        );
    };
    change(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    );
    let message = place.try_ledger().map(|_| ()).unwrap_err().to_string();
    assert!(
        message.contains("migration 9999") && message.contains("newer program"),
        "{message}"
    );
    change("DELETE FROM _sqlx_migrations WHERE version = 9999");
    change("UPDATE _sqlx_migrations SET checksum = substr(checksum, 2) WHERE version = 1");
    let message = place.try_ledger().map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("migration 1 is not the one"), "{message}");
}

/// Random facts in random batches, restored: equal to the oracle's memory.
pub(crate) fn a_store_remembers_like_the_oracle(place: &impl Place, batches: &[Vec<Fact>]) {
    let mut ledger = begun(place);
    let mut oracle = Oracle::default();
    for (number, facts) in (1..).zip(batches) {
        ledger.commit(&batch(number, facts.clone())).unwrap();
        oracle.take(facts);
    }
    assert_eq!(ledger.restore().unwrap(), oracle.rows());
}
