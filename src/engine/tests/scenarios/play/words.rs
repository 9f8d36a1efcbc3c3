//! The words behind an input, each read into what it stands for.

use model::account::UnitAccount;
use model::arrival::{Arrival, Checksum, Counts, Seen};
use model::command::{Command, ConstantPut, Intent, JobVerb, NewTag, Order};
use model::conditions::{
    CandidateConstant, ConditionsPayload, ConditionsTag, GlobalTag, MeasuredQuantity, Protection,
    RecordName, RecordTag, Since, Synchronisation, TimeType,
};
use model::conditions_document::{ConditionsDocument, IovRow, PayloadRow};
use model::ids::{LumiNumber, RunNumber};
use model::names::{DataLabel, FileName, ProfileName, StreamName, TagName};
use model::quality::TestAnswer;
use model::source::{CopyPlace, SourceFailure, SourceNews, SourceTrouble};
use model::time::{Moment, Span};
use model::units::Bytes;
use model::witness::{Instance, Source};
use model::work::Location;

/// What stands behind a prefix among the words.
pub(super) fn word<'a>(words: &[&'a str], prefix: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(prefix))
}

pub(super) fn source(words: &[&str]) -> Source {
    if words.contains(&"message") {
        Source::Message
    } else {
        Source::Record
    }
}

pub(super) fn instance(words: &[&str]) -> Instance {
    word(words, "by=").map_or(Instance::ONLY, |text| {
        let (number, of) = text.split_once('/').expect("I/N");
        Instance {
            number: number.parse().expect("a number"),
            of: of.parse().expect("a number"),
        }
    })
}

pub(super) fn of_stream(seen: Seen, words: &[&str]) -> Seen {
    match (seen, word(words, "of=")) {
        (Seen::File(arrival), Some(stream)) => Seen::File(Arrival {
            stream: StreamName::new(stream),
            ..arrival
        }),
        (seen, _) => seen,
    }
}

pub(super) fn file(
    run: RunNumber,
    lumi: u32,
    name: &str,
    events: u32,
    label: DataLabel,
    at: Moment,
) -> Seen {
    let empty = events == 0;
    Seen::File(Arrival {
        profile: ProfileName::new("spool"),
        name: FileName::new(name),
        run,
        lumi: LumiNumber(lumi),
        stream: StreamName::new("Muons"),
        label,
        bytes: Bytes(u64::from(events) * 10),
        inode: 1,
        mtime: at,
        counts: Some(Counts {
            processed: u64::from(events),
            accepted: u64::from(events),
            errors: 0,
        }),
        checksum: Some(Checksum::Adler32(sum_of(name, events))),
        empty,
        seen_at: at,
    })
}

/// What a file of this name would sum up to: another name is other content.
fn sum_of(name: &str, events: u32) -> u32 {
    let letters = name.bytes().map(u32::from);
    letters.fold(events, |sum, letter| sum.wrapping_mul(31) ^ letter)
}

/// `like=NAME`: with the content of another file; `unsummed`: nobody claims what it is.
pub(super) fn of_content(seen: Seen, words: &[&str]) -> Seen {
    let Seen::File(mut arrival) = seen else {
        return seen;
    };
    if let (Some(other), Some(counts)) = (word(words, "like="), arrival.counts) {
        let events = u32::try_from(counts.accepted).expect("a small number");
        arrival.checksum = Some(Checksum::Adler32(sum_of(other, events)));
    }
    if words.contains(&"unsummed") {
        arrival.checksum = None;
    }
    Seen::File(arrival)
}

/// `beamspot=5/100`: five thousandths of its unit, measured from a hundred, with an error of one
/// thousandth. An alignment is that of one plane.
pub(super) fn candidate(word: &str) -> Option<CandidateConstant> {
    let (tag, measured) = word
        .split_once('=')
        .filter(|(tag, _)| !["tests", "slices", "bytes"].contains(tag))?;
    let (value, n) = measured.split_once('/')?;
    let (value, moved) = match value.split_once('~') {
        Some((value, moved)) => (value, Some(moved)),
        None => (value, None),
    };
    let nano = |text: &str| text.parse::<i64>().expect("a value") * 1_000_000;
    Some(CandidateConstant {
        tag: TagName::new(tag),
        n: n.parse().expect("a count"),
        quantities: vec![MeasuredQuantity {
            name: match tag {
                "alignment" => "plane1_offset_cm".to_owned(),
                _ => "x_cm".to_owned(),
            },
            value_nano: nano(value),
            error_nano: 1_000_000,
            moved_nano: moved.map(nano),
        }],
        not_applicable: None,
        payload: word.to_owned(),
        hash: format!("{word:0>64}"),
    })
}

/// `put TAG SINCE TEXT sync=WORD by=WORD`: makes the tag where a synchronisation is said.
pub(super) fn constant(words: &[&str]) -> Command {
    let make = word(words, "sync=").map(|text| NewTag {
        synchronisation: Synchronisation::parse(text).expect("a synchronisation"),
        object_type: String::new(),
        description: String::new(),
    });
    let (since, said) = Since::parse(words[2]).expect("a since");
    let by = word(words, "by=").map(|text| TimeType::parse(text).expect("what a tag counts by"));
    Command::Put(Box::new(ConstantPut {
        tag: TagName::new(words[1]),
        since,
        time_type: by.or(said),
        payload: ConditionsPayload {
            hash: words[3].to_owned(),
            text: words[3].to_owned(),
        },
        make,
    }))
}

/// `hold TAG`.
pub(super) fn hold(tag: &str) -> Order {
    let tag = tag.into();
    let mut order = Order::new(Command::Hold { tag, run: None }, "alca");
    "it is wanted".clone_into(&mut order.reason);
    order
}

/// Better constants are accepted: `accept TAG [RUN] [dry]`.
pub(super) fn accept(words: &[&str]) -> Order {
    let run = words.get(2).and_then(|run| run.parse().ok());
    let tag = words[1].into();
    let run = run.map(RunNumber);
    let mut order = Order::new(Command::Accept { tag, run }, "alca");
    if words.contains(&"dry") {
        order.intent = Intent::Preview;
    }
    order
}

/// `protect TAG`, `open TAG`.
pub(super) fn protect(tag: &str, protection: Protection) -> Command {
    let tag = TagName::new(tag);
    Command::Protect { tag, protection }
}

/// `bring TAG SINCE TEXT ..`: a tag with its intervals, made elsewhere one after the other from
/// moment 1 us on. A tag that tasks measure here is one there, too.
pub(super) fn bring(words: &[&str]) -> Command {
    let name = TagName::new(words[1]);
    let mut tag = ConditionsTag::measured(&name);
    if !["beamspot", "scale"].contains(&words[1]) {
        tag.synchronisation = Synchronisation::Any;
    }
    let since = |text: &str| Since::parse(text).expect("a since");
    let first = words.get(2).and_then(|text| since(text).1);
    tag.time_type = first.unwrap_or_default();
    let pairs = || words[2..].chunks(2).zip(1..);
    let iovs = pairs().map(|(pair, sequence)| IovRow {
        tag_name: name.to_string(),
        since: since(pair[0]).0.0,
        insertion_time_us: sequence,
        sequence,
        payload_hash: pair[1].to_owned(),
    });
    let payloads = pairs().map(|(pair, _)| PayloadRow {
        hash: pair[1].to_owned(),
        data: pair[1].to_owned(),
    });
    Command::Import(Box::new(ConditionsDocument::of([&tag], iovs, payloads, [])))
}

/// `global NAME RECORD[:LABEL]=TAG .. [after=SECONDS]`: as of now, or of a moment to come.
pub(super) fn global(words: &[&str], now: Moment) -> Command {
    let after = word(words, "after=").map_or(0, |text| text.parse().expect("seconds"));
    let maps = words[2..].iter().filter_map(|word| word.split_once('='));
    let tags = maps.filter(|(key, _)| *key != "after").map(|(key, tag)| {
        let RecordName { record, label } = RecordName::parse(key).expect("a record");
        let tag = TagName::new(tag);
        RecordTag { record, label, tag }
    });
    let global = GlobalTag {
        name: words[1].to_owned(),
        description: String::new(),
        release: String::new(),
        snapshot_at: now + Span::from_secs(after),
        inserted_at: now,
        tags: tags.collect(),
    };
    Command::Import(Box::new(ConditionsDocument::of([], [], [], [&global])))
}

/// `slices=9/12`: nine of twelve time slices are here.
pub(super) fn units(word: &str) -> Option<UnitAccount> {
    let (present, expected) = word.strip_prefix("slices=")?.split_once('/')?;
    let (present, expected): (u64, u64) = (
        present.parse().expect("a count"),
        expected.parse().expect("a count"),
    );
    Some(UnitAccount {
        units: "time slices".to_owned(),
        expected,
        present,
        absent: expected - present,
        partial: 0,
        repeated: 0,
        out_of_order: 0,
        absent_ranges: Vec::new(),
        partial_ranges: Vec::new(),
        note: String::new(),
    })
}

pub(super) fn test(status: &str) -> TestAnswer {
    TestAnswer {
        name: "contents".to_owned(),
        histogram: "mass".to_owned(),
        status: status.parse().expect("a status"),
        value_ppm: 1_000_000,
        message: String::new(),
    }
}

/// What copier, reader and remover say of a source.
pub(super) fn source_news(words: &[&str], truth: (Bytes, u32)) -> SourceNews {
    let place = match words.get(2) {
        Some(&"2") => CopyPlace::Second,
        _ => CopyPlace::First,
    };
    let failed = |trouble| SourceFailure {
        trouble,
        message: format!("it was {}", words[0]),
    };
    let (bytes, adler32) = truth;
    match words[0] {
        "copied" => SourceNews::Copied(place, Ok(truth)),
        "gone" => SourceNews::Copied(place, Err(failed(SourceTrouble::Missing))),
        "full" => SourceNews::Copied(place, Err(failed(SourceTrouble::Place))),
        "good" => SourceNews::Read(place, Ok(truth)),
        "bad" => SourceNews::Read(place, Ok((bytes, !adler32))),
        "missing" => SourceNews::Read(place, Err(failed(SourceTrouble::Missing))),
        "removed" => SourceNews::Unlinked(Ok(())),
        "kept" => SourceNews::Unlinked(Err(failed(SourceTrouble::Differs))),
        other => panic!("{other} is no word of sources"),
    }
}

/// `0,2/1`: inputs 0 and 2 together, 1 alone; `did WORDS`: what a splitter did instead.
pub(super) fn groups(words: &[&str]) -> Result<Vec<Vec<u32>>, String> {
    if words[0] == "did" {
        return Err(words[1..].join(" "));
    }
    let group = |text: &str| {
        let places = text.split(',').filter(|place| !place.is_empty());
        places
            .map(|place| place.parse().expect("a place"))
            .collect()
    };
    Ok(words[0].split('/').map(group).collect())
}

pub(super) fn is_at(location: &Location, file: &str) -> bool {
    matches!(location, Location::Spool { name, .. } if name.as_str() == file)
}

/// Data are given up only for a reason.
pub(super) fn with_reason(mut order: Order, verb: JobVerb) -> Order {
    if verb == JobVerb::Cancel {
        "it was seen".clone_into(&mut order.reason);
    }
    order
}
