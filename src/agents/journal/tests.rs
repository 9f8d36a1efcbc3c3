//! A journal against what happens to files: cut anywhere, changed anywhere, filled, refused; and
//! against an engine that makes something else of what it is told.

use super::place::{Full, Parts, name_of};
use super::record::{line_of, record_of};
use super::*;
use engine::Configuration;
use model::arrival::{Arrival, RunEnd, Seen};
use model::command::{Command, Order};
use model::configuration::ConfigurationText;
use model::names::{FileName, ProfileName, StreamName};
use model::run::RunType;
use model::units::Bytes;
use model::witness::{Instance, Source};
use ports::clock::Clock;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

const EPOCH: Epoch = Epoch(7);

struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment(1)
    }
}

fn build(hash: &str) -> Build {
    Build {
        version: "0.0.0".to_owned(),
        hash: hash.to_owned(),
        program: "/bin/tier0".to_owned(),
    }
}

fn place(folder: &Path) -> JournalPlace {
    JournalPlace {
        folder: folder.join("journal"),
        bytes_max: 1 << 20,
        build: Box::new(|| Ok(build("mine"))),
    }
}

fn setup() -> Setup {
    Setup {
        agent: AgentNumber(3),
        epoch: EPOCH,
        configuration: Configuration::fixed("first", Vec::new()),
        earlier: vec![Configuration::fixed("older", Vec::new())],
        cores: 2,
        completions: BTreeMap::new(),
        default_run_type: RunType::Physics,
        release: None,
        archive_after: Some(model::time::Span::from_secs(60)),
    }
}

fn file(number: u32) -> Input {
    Input::Seen(Seen::File(Arrival {
        profile: ProfileName::new("daq"),
        name: FileName::new(&format!("run{}/f{number}.dat", number / 4)),
        run: model::ids::RunNumber(number / 4 + 1),
        lumi: model::ids::LumiNumber(1),
        stream: StreamName::new("Muons"),
        label: model::names::DataLabel::Simulated,
        bytes: Bytes(10),
        inode: u64::from(number),
        mtime: Moment(5),
        counts: None,
        checksum: None,
        empty: false,
        seen_at: Moment(1_000 + i64::from(number)),
    }))
}

/// All that the engine of these tests is told: batches of two inputs.
fn inputs() -> Vec<Input> {
    let configuration = Box::new(Configuration::fixed("second", Vec::new()));
    let order = || Order::new(Command::ConfigReload, "somebody");
    let mut inputs: Vec<Input> = (0..12).map(file).collect();
    inputs.push(Input::Seen(Seen::RunEnd(RunEnd {
        run: model::ids::RunNumber(1),
        last_lumi: 1,
        source: Source::Record,
        instance: Instance { number: 0, of: 1 },
        events: None,
        label: model::names::DataLabel::Simulated,
    })));
    inputs.push(Input::Reconfigured {
        ticket: 1,
        order: order(),
        configuration: Ok(configuration),
    });
    inputs.push(Input::Reconfigured {
        ticket: 2,
        order: order(),
        configuration: Err("a mistake".to_owned()),
    });
    inputs.push(file(3));
    let batches = inputs.chunks(2);
    batches
        .flat_map(|two| [two, &[Input::Tick]].concat())
        .collect()
}

/// A folder in memory: these tests write one file thousands of times.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").expect("there is a file system in memory")
}

/// An engine with a journal is told everything; gives what was said of the journal.
fn told(place: JournalPlace, ends: impl FnOnce(Journaled)) -> Vec<String> {
    let (sender, mut heard) = lanes::wait(64);
    let surroundings = Surroundings::new(sender, Arc::new(Still));
    let (journaled, thread) = Journaled::restore(
        Some(place),
        (setup(), Some(1_000), Rows::default()),
        Moment(1_000),
        &surroundings,
    )
    .expect("a thread can be started");
    ends(journaled);
    thread.expect("it has one").join().expect("it ends");
    drop(surroundings);
    let mut said = Vec::new();
    while let Ok(Some(message)) = heard.recv(None) {
        match message {
            crate::message::Message::Input(Input::Trouble(trouble)) => said.push(trouble.text),
            other => panic!("{other:?}"),
        }
    }
    said
}

fn tell_all(journaled: &mut Journaled) {
    let mut effects = Vec::new();
    for (number, input) in inputs().into_iter().enumerate() {
        journaled.step(Moment(2_000 + number as i64), input, &mut effects);
    }
}

/// A whole journal in a folder; its path.
fn whole(folder: &Path) -> PathBuf {
    let said = told(place(folder), |mut journaled| tell_all(&mut journaled));
    assert!(said.is_empty(), "{said:?}");
    folder.join("journal").join(name_of(EPOCH, 1))
}

fn again(path: &Path) -> Result<Replayed, Refused> {
    replay(path, &build("mine"), &|_, text: &ConfigurationText| {
        Ok(Configuration::fixed(&text.hash, Vec::new()))
    })
}

fn records(path: &Path) -> Vec<Record> {
    let bytes = fs::read(path).expect("it was written");
    let mut last = 0;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| {
            let line = line.strip_suffix(b"\n").expect("every line ends");
            let (record, checksum) = record_of(line, last).expect("it is whole");
            last = checksum;
            record
        })
        .collect()
}

/// Writes records as if they had been written so from the beginning.
fn write_again(path: &Path, records: &[Record]) {
    let (mut text, mut last) = (String::new(), 0);
    for record in records {
        let (line, checksum) = line_of(record, last).expect("it is JSON");
        text.push_str(&line);
        last = checksum;
    }
    fs::write(path, text).expect("the folder is ours");
}

#[test]
fn what_was_told_is_told_again_and_is_equal() {
    let folder = folder();
    let path = whole(folder.path());
    let replayed = again(&path).expect("it is a journal");
    assert!(replayed.is_equal(), "{replayed:?}");
    assert_eq!(replayed.ending, Ending::Ordered);
    assert_eq!((replayed.inputs, replayed.batches), (24, 8));
    assert!(replayed.effects > 20, "{replayed:?}");
    assert!(
        replayed.fingerprints >= 2,
        "the first batch and the end: {replayed:?}"
    );
    assert_eq!(replayed.heading.epoch, EPOCH);
}

#[test]
fn a_journal_cut_anywhere_is_replayed_as_far_as_it_goes() {
    let folder = folder();
    let path = whole(folder.path());
    let bytes = fs::read(&path).expect("it was written");
    let lines: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).expect("the folder is ours");
        let whole_lines = lines.iter().filter(|end| **end < length).count();
        match (again(&path), whole_lines) {
            (Err(Refused::NoJournal { .. }), 0) | (Err(Refused::State { .. }), 1) => {}
            (Ok(replayed), 2..) => {
                assert!(replayed.is_equal(), "{length}: {replayed:?}");
                assert_eq!(replayed.inputs as usize, whole_lines - 2, "{length}");
                let behind = length - lines[whole_lines - 1] - 1;
                let ending = match behind {
                    0 => Ending::Open,
                    bytes => Ending::Torn(bytes as u64),
                };
                assert_eq!(replayed.ending, ending, "{length}");
            }
            (other, _) => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn a_journal_changed_anywhere_is_never_taken_for_whole() {
    let folder = folder();
    let path = whole(folder.path());
    let bytes = fs::read(&path).expect("it was written");
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= [1, 0x20, 0x80][at % 3];
        fs::write(&path, &changed).expect("the folder is ours");
        if let Ok(replayed) = again(&path) {
            let torn_at_its_end = matches!(replayed.ending, Ending::Torn(_));
            let is_damage = matches!(replayed.ending, Ending::Damaged(_));
            assert!(is_damage || torn_at_its_end, "byte {at}: {replayed:?}");
            assert!(replayed.departure.is_none(), "byte {at}: {replayed:?}");
        }
    }
}

#[test]
fn garbage_is_refused() {
    let folder = folder();
    let path = folder.path().join("garbage");
    let mut state: u64 = 11;
    for length in 0..600 {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                // Letters and ends of lines more often than chance has them.
                match state >> 60 {
                    0 => b'\n',
                    1..4 => b'a' + (state >> 40) as u8 % 6,
                    _ => (state >> 33) as u8,
                }
            })
            .collect();
        fs::write(&path, bytes).expect("the folder is ours");
        let refused = again(&path).expect_err("it is no journal");
        assert!(
            refused.to_string().contains("name the first part"),
            "{refused}"
        );
    }
    let refused = again(&folder.path().join("none")).expect_err("nothing is there");
    assert!(matches!(refused, Refused::Unreadable { .. }), "{refused}");
}

#[test]
fn an_input_that_is_missing_or_another_is_a_departure() {
    let folder = folder();
    let path = whole(folder.path());
    let all = records(&path);
    // Line 4 is the second input: the second file. Without it the batch ends as input 2.
    let mut skipped = all.clone();
    skipped.remove(3);
    write_again(&path, &skipped);
    let replayed = again(&path).expect("its lines are whole");
    let departure = replayed.departure.expect("a file is missing");
    assert_eq!((departure.input, departure.batch), (2, 1), "{departure:?}");
    // Another file in its place.
    let mut other = all.clone();
    let Record::Stepped(step) = &mut other[3] else {
        panic!("line 4 is a step");
    };
    step.told = Told::of(file(9), step.at);
    write_again(&path, &other);
    let replayed = again(&path).expect("its lines are whole");
    let departure = replayed.departure.expect("it is another file");
    assert_eq!((departure.input, departure.batch), (2, 1));
    assert!(
        departure
            .differs
            .contains("number 1 is the first that differs"),
        "{departure:?}"
    );
    // The same effects and another state.
    let mut state = all.clone();
    let taken = state.iter_mut().find_map(|record| match record {
        Record::Stepped(step) => step.state.as_mut(),
        _ => None,
    });
    *taken.expect("the first batch has one") ^= 1;
    write_again(&path, &state);
    let departure = again(&path).expect("its lines are whole").departure;
    let differs = departure.expect("the state is another").differs;
    assert!(differs.contains("fingerprint"), "{differs}");
    // A step that did not come to its end then.
    let mut cut = all[..5].to_vec();
    let Some(Record::Stepped(step)) = cut.last_mut() else {
        panic!("line 5 is a step");
    };
    step.effects = None;
    write_again(&path, &cut);
    let departure = again(&path).expect("its lines are whole").departure;
    let differs = departure.expect("it comes to its end now").differs;
    assert!(
        differs.contains("did not come to its end then"),
        "{differs}"
    );
}

#[test]
fn another_program_or_a_later_part_is_told_where_to_go() {
    let folder = folder();
    let path = whole(folder.path());
    let resolve: Again<'_> = &|_, _| Err("nobody reads it".to_owned());
    let refused = replay(&path, &build("other"), resolve).expect_err("another program");
    let text = refused.to_string();
    assert!(matches!(refused, Refused::OtherBuild { .. }), "{text}");
    assert!(
        text.contains("mine") && text.contains("replay it with that one"),
        "{text}"
    );
    let refused = replay(&path, &build("mine"), resolve).expect_err("no configuration");
    assert!(refused.to_string().contains("nobody reads it"), "{refused}");
    let mut later = records(&path);
    let Record::Heading(heading) = &mut later[0] else {
        panic!("line 1 is the heading");
    };
    heading.part = 2;
    write_again(&path, &later);
    let refused = again(&path).expect_err("a later part").to_string();
    assert!(
        refused.contains("replay") && refused.contains(&name_of(EPOCH, 1)),
        "{refused}"
    );
}

/// A journal in small parts, as far as there is room.
fn in_parts(folder: &Path, epoch: i64, bytes_max: u64, source: &[Record]) -> Result<(), Full> {
    let of = (AgentNumber(3), Epoch(epoch));
    let mut parts = Parts::begin(folder, bytes_max, of, "first", build("mine"))?;
    parts.part_bytes_max = 2_000;
    for record in &source[1..] {
        parts.write(record)?;
    }
    parts.flush()
}

fn bytes_in(folder: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let named = entries.map(|entry| {
        let bytes = entry.metadata().expect("it is there").len();
        (entry.file_name().to_string_lossy().into_owned(), bytes)
    });
    named.collect()
}

#[test]
fn parts_follow_each_other_and_a_missing_one_is_damage() {
    let folder = folder();
    let all = records(&whole(folder.path()));
    let parts = folder.path().join("parts");
    in_parts(&parts, 7, 1 << 20, &all).expect("there is room");
    let first = parts.join(name_of(EPOCH, 1));
    let replayed = again(&first).expect("it is a journal");
    assert!(replayed.is_equal() && replayed.parts > 3, "{replayed:?}");
    assert_eq!((replayed.inputs, &replayed.ending), (24, &Ending::Ordered));
    fs::rename(parts.join(name_of(EPOCH, 3)), parts.join(name_of(EPOCH, 2))).expect("ours");
    let replayed = again(&first).expect("it is a journal");
    assert!(!replayed.is_equal(), "{replayed:?}");
    let Ending::Damaged(why) = &replayed.ending else {
        panic!("{replayed:?}");
    };
    assert!(why.contains("does not follow"), "{why}");
}

#[test]
fn the_oldest_epochs_make_room_and_no_more_is_kept_than_there_is_room_for() {
    let folder = folder();
    let all = records(&whole(folder.path()));
    let parts = folder.path().join("parts");
    in_parts(&parts, 5, 1 << 20, &all).expect("there is room");
    let one: u64 = bytes_in(&parts).values().sum();
    fs::write(parts.join("notes.txt"), "somebody's").expect("the folder is ours");
    // Room for two and a half.
    let room = one * 5 / 2;
    for epoch in [6, 7, 8] {
        in_parts(&parts, epoch, room, &all).expect("older ones make room");
        let kept = bytes_in(&parts);
        let journals = kept.iter().filter(|(name, _)| name.starts_with("epoch"));
        let bytes: u64 = journals.map(|(_, bytes)| bytes).sum();
        assert!(bytes <= room, "{bytes} of {room}");
        assert!(kept.contains_key("notes.txt"), "only journals are removed");
    }
    let kept = bytes_in(&parts);
    let has = |epoch| kept.contains_key(&name_of(Epoch(epoch), 1));
    assert_eq!([5, 6, 7, 8].map(has), [false, false, true, true]);
    // One that fills all of it alone ends, and is whole as far as it goes.
    let full = in_parts(&parts, 9, one / 2, &all).expect_err("there is no room for all of it");
    assert!(matches!(full, Full::Room(_)), "{full}");
    let replayed = again(&parts.join(name_of(Epoch(9), 1))).expect("it is a journal");
    assert!(
        replayed.is_equal() && replayed.inputs > 3 && replayed.inputs < 24,
        "{replayed:?}"
    );
    let kept: u64 = bytes_in(&parts).values().sum();
    assert!(kept <= one / 2 + "somebody's".len() as u64, "{kept}");
    // A store from a backup begins an epoch again.
    in_parts(&parts, 9, 1 << 20, &all).expect("the older one of that number goes");
    let replayed = again(&parts.join(name_of(Epoch(9), 1))).expect("it is a journal");
    assert_eq!((replayed.inputs, replayed.is_equal()), (24, true));
}

#[test]
fn a_journal_that_cannot_be_written_is_told_and_the_engine_goes_on() {
    let folder = folder();
    fs::write(folder.path().join("journal"), "a file").expect("the folder is ours");
    let said = told(place(folder.path()), |mut journaled| {
        // The thread may be slow to find out: it is told until it has.
        while journaled.pen.is_some() {
            tell_all(&mut journaled);
            std::thread::yield_now();
        }
        tell_all(&mut journaled);
        assert_eq!(journaled.live().0, 3, "three runs are at work");
    });
    assert_eq!(said.len(), 1, "{said:?}");
    for part in [
        "making the folder",
        "Work goes on without it",
        "A restart begins another",
    ] {
        assert!(said[0].contains(part), "lacks {part:?}: {}", said[0]);
    }
}

#[test]
fn a_panic_leaves_the_inputs_that_led_to_it() {
    let folder = folder();
    let said = told(place(folder.path()), |mut journaled| {
        let ends = move || {
            let mut effects = Vec::new();
            journaled.step(Moment(2_000), file(1), &mut effects);
            panic!("on purpose, within a batch");
        };
        assert!(catch_unwind(AssertUnwindSafe(ends)).is_err());
    });
    assert!(said.is_empty(), "{said:?}");
    let replayed = again(&folder.path().join("journal").join(name_of(EPOCH, 1)));
    let replayed = replayed.expect("it is a journal");
    assert_eq!((replayed.inputs, replayed.batches), (1, 0));
    assert_eq!(replayed.ending, Ending::Open, "no end in order");
}
