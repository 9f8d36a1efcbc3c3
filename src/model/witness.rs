//! Witnesses: everybody who says how much a lumi holds or when a run ends, and what they add up to
//! (D18).
//!
//! Each statement is a row. What is made of them depends on the set of statements only, never on
//! the order in which they came: counts of several data acquisition instances are summed once all
//! have spoken (or ended before), different channels must agree, what contradicts itself is a
//! dispute that a person settles, and what a person says last stands above all records.

use crate::ids::{LumiNumber, RunNumber, WitnessId};
use crate::lumi::{Expected, LumiRecord};
use crate::names::{FileName, StreamName};
use crate::time::Moment;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Through which channel something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A record in the spool.
    Record,
    /// A message on the bus.
    Message,
    /// A program, through the API.
    Program,
    /// A person, through the command line or the API.
    Operator,
    /// A time-out that the stream's profile names as its policy.
    Timeout,
}

impl Source {
    /// As rows and screens name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Message => "message",
            Self::Program => "program",
            Self::Operator => "operator",
            Self::Timeout => "timeout",
        }
    }
}

/// One of the data acquisition instances that share a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// Which, from 0.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Instance {
    /// The only one.
    pub const ONLY: Self = Self { number: 0, of: 1 };
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Says {
    /// How much each lumi of a range holds.
    Lumis {
        /// The first.
        first: LumiNumber,
        /// The last.
        last: LumiNumber,
        /// Of this stream; of every stream when none is named.
        stream: Option<StreamName>,
        /// How much.
        expected: Expected,
    },
    /// A file that was to come is lost: it counts as if it were here.
    LostFile {
        /// Its lumi.
        lumi: LumiNumber,
        /// Its stream.
        stream: StreamName,
        /// Its name.
        name: FileName,
        /// Events it held, counted as lost.
        events: u64,
    },
    /// The run has ended.
    End {
        /// Its last lumi.
        last_lumi: u32,
        /// Events read out, if anybody knows.
        events: Option<u64>,
    },
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Our identity for it; grows in the order in which statements came.
    pub id: WitnessId,
    /// The run.
    pub run: RunNumber,
    /// What is said.
    pub says: Says,
    /// Through which channel.
    pub source: Source,
    /// By which data acquisition instance.
    pub instance: Instance,
    /// When we heard it.
    pub at: Moment,
    /// By whom: a person's name, or the channel.
    pub by: String,
    /// Why, where a person declares something.
    #[serde(default)]
    pub reason: String,
    /// Whether it came after its run was closed: kept, and not counted.
    #[serde(default)]
    pub late: bool,
}

impl Witness {
    /// Whether this says the same as another, through the same channel.
    pub fn repeats(&self, other: &Self) -> bool {
        (self.source, self.instance) == (other.source, other.instance) && self.says == other.says
    }
}

impl From<LumiRecord> for Witness {
    /// Announcements of the first version had a table of their own and one witness each.
    fn from(record: LumiRecord) -> Self {
        const LUMIS: i64 = 1 << 20;
        Self {
            id: WitnessId(-(i64::from(record.run.0) * LUMIS + i64::from(record.lumi.0))),
            run: record.run,
            says: Says::Lumis {
                first: record.lumi,
                last: record.lumi,
                stream: None,
                expected: record.expected,
            },
            source: Source::Record,
            instance: Instance::ONLY,
            at: record.ended_at,
            by: Source::Record.as_str().to_owned(),
            reason: String::new(),
            late: false,
        }
    }
}

/// What the witnesses of one lumi of one stream add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// Nobody has said how much it holds.
    Unknown,
    /// Some data acquisition instances have spoken; these have not, and have not ended before.
    Partly(Vec<u32>),
    /// So many files, or events, or both.
    Counted(Counted),
    /// What is here is all there is: a marker without counts, a person, a time-out.
    Here(Source),
    /// What is missing was declared lost; never more than was counted.
    Lost(Counted),
    /// Declared to hold nothing.
    Empty,
    /// A person has accepted exactly this.
    Accepted {
        /// Files.
        files: u64,
        /// Events.
        events: u64,
    },
    /// Witnesses contradict each other, in words.
    Contradiction(String),
}

/// Counts, each where somebody gave one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Files.
    pub files: Option<u64>,
    /// Events.
    pub events: Option<u64>,
}

/// When the witnesses say that a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody has said.
    Unknown,
    /// Some data acquisition instances have ended; these have not.
    Partly(Vec<u32>),
    /// With this lumi.
    Known {
        /// The last lumi: the largest over all instances.
        last_lumi: u32,
        /// Events read out, if every instance said.
        events: Option<u64>,
    },
    /// Witnesses contradict each other, in words.
    Contradiction(String),
}

/// Data acquisition instances that have ended, each with its last lumi.
pub type Ended = BTreeMap<u32, u32>;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Files,
    Events,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Events => "events",
        })
    }
}

/// What one channel says, or all of them, in one unit.
enum Sum {
    Nothing,
    Partly(Vec<u32>),
    Total(u64),
    Contradiction(String),
}

/// Merges the statements about one lumi of one stream: those that name the stream and those that
/// speak for every stream.
pub fn merge(said: &[&Witness], lumi: LumiNumber, ended: &Ended) -> Merged {
    let said: Vec<Statement> = said.iter().filter_map(|w| Statement::of(w)).collect();
    let files = sum_of(&said, Unit::Files, lumi, ended);
    let events = sum_of(&said, Unit::Events, lumi, ended);
    let counted = Counted {
        files: files.total(),
        events: events.total(),
    };
    let person = said.iter().filter(|s| s.source == Source::Operator);
    if let Some(person) = person.max_by_key(|s| s.id) {
        return match person.expected {
            Expected::Lost => Merged::Lost(counted),
            Expected::Empty => Merged::Empty,
            Expected::Accepted { files, events } => Merged::Accepted { files, events },
            Expected::Files(_) | Expected::Events(_) => Merged::Counted(Counted {
                files: person.counts(Unit::Files),
                events: person.counts(Unit::Events),
            }),
            Expected::Declared | Expected::Unknown => Merged::Here(Source::Operator),
        };
    }
    if let Sum::Contradiction(what) = files {
        return Merged::Contradiction(what);
    }
    if let Sum::Contradiction(what) = events {
        return Merged::Contradiction(what);
    }
    if counted != Counted::default() {
        return Merged::Counted(counted);
    }
    if let Sum::Partly(missing) = files {
        return Merged::Partly(missing);
    }
    if let Sum::Partly(missing) = events {
        return Merged::Partly(missing);
    }
    let mut markers = said.iter().filter(|s| s.expected == Expected::Declared);
    markers
        .next()
        .map_or(Merged::Unknown, |marker| Merged::Here(marker.source))
}

/// Merges what is said about the end of a run.
pub fn merge_end(said: &[&Witness]) -> End {
    let ends: Vec<(&Witness, u32, Option<u64>)> = said
        .iter()
        .filter_map(|w| match w.says {
            Says::End { last_lumi, events } => Some((*w, last_lumi, events)),
            Says::Lumis { .. } | Says::LostFile { .. } => None,
        })
        .collect();
    let person = ends.iter().filter(|(w, ..)| w.source == Source::Operator);
    if let Some((_, last_lumi, events)) = person.max_by_key(|(w, ..)| w.id) {
        let (last_lumi, events) = (*last_lumi, *events);
        return End::Known { last_lumi, events };
    }
    let sources: BTreeSet<Source> = ends.iter().map(|(w, ..)| w.source).collect();
    let mut known: BTreeMap<u32, (Source, Option<u64>)> = BTreeMap::new();
    let mut missing = Vec::new();
    for source in sources {
        let own: Vec<_> = ends.iter().filter(|(w, ..)| w.source == source).collect();
        let of = own.iter().map(|(w, ..)| w.instance.of).max().unwrap_or(1);
        let mut last: BTreeMap<u32, (u32, Option<u64>)> = BTreeMap::new();
        for (w, lumi, events) in &own {
            let number = w.instance.number;
            let before = last.insert(number, (*lumi, *events));
            if let Some((other, _)) = before.filter(|(other, _)| other != lumi) {
                let (a, b) = (other.min(*lumi), other.max(*lumi));
                return End::Contradiction(format!(
                    "{} says lumi {a} and lumi {b}",
                    speaker(source, number, of)
                ));
            }
        }
        let silent: Vec<u32> = (0..of).filter(|i| !last.contains_key(i)).collect();
        if silent.is_empty() {
            let lumis = last.values().map(|(lumi, _)| *lumi);
            let events: Option<u64> = last.values().map(|(_, events)| *events).sum();
            known.insert(lumis.max().unwrap_or(0), (source, events));
        } else {
            missing = silent;
        }
    }
    let mut said = known.iter();
    match (said.next(), said.next()) {
        (None, _) if missing.is_empty() => End::Unknown,
        (None, _) => End::Partly(missing),
        (Some((last_lumi, (_, events))), None) => End::Known {
            last_lumi: *last_lumi,
            events: *events,
        },
        (Some((a, (first, _))), Some((b, (second, _)))) => End::Contradiction(format!(
            "the {} says lumi {a}, the {} lumi {b}",
            first.as_str(),
            second.as_str()
        )),
    }
}

/// Which instances have ended, whatever told of it: the largest lumi of those that told twice.
pub fn ended(said: &[&Witness]) -> Ended {
    let mut ended = Ended::new();
    for witness in said {
        if let Says::End { last_lumi, .. } = witness.says
            && witness.source != Source::Operator
        {
            let last = ended.entry(witness.instance.number).or_default();
            *last = last_lumi.max(*last);
        }
    }
    ended
}

/// A statement about a lumi, taken apart.
struct Statement {
    id: WitnessId,
    source: Source,
    instance: Instance,
    expected: Expected,
}

impl Statement {
    fn of(witness: &Witness) -> Option<Self> {
        match &witness.says {
            Says::Lumis { expected, .. } => Some(Self {
                id: witness.id,
                source: witness.source,
                instance: witness.instance,
                expected: *expected,
            }),
            Says::LostFile { .. } | Says::End { .. } => None,
        }
    }

    fn counts(&self, unit: Unit) -> Option<u64> {
        match (self.expected, unit) {
            (Expected::Files(files), Unit::Files) => Some(files),
            (Expected::Events(events), Unit::Events) => Some(events),
            _ => None,
        }
    }
}

impl Sum {
    fn total(&self) -> Option<u64> {
        match self {
            Self::Total(total) => Some(*total),
            Self::Nothing | Self::Partly(_) | Self::Contradiction(_) => None,
        }
    }
}

/// What all channels but persons say in one unit: they must agree.
fn sum_of(said: &[Statement], unit: Unit, lumi: LumiNumber, ended: &Ended) -> Sum {
    let counting = said
        .iter()
        .filter(|s| s.source != Source::Operator && s.counts(unit).is_some());
    let sources: BTreeSet<Source> = counting.map(|s| s.source).collect();
    let mut totals: BTreeMap<u64, Source> = BTreeMap::new();
    let mut partly = Vec::new();
    for source in sources {
        match sum_of_source(said, source, unit, lumi, ended) {
            Sum::Total(total) => {
                totals.insert(total, source);
            }
            Sum::Partly(missing) => partly = missing,
            Sum::Contradiction(what) => return Sum::Contradiction(what),
            Sum::Nothing => {}
        }
    }
    let mut said = totals.iter();
    match (said.next(), said.next()) {
        (None, _) if partly.is_empty() => Sum::Nothing,
        (None, _) => Sum::Partly(partly),
        (Some((total, _)), None) => Sum::Total(*total),
        (Some((a, first)), Some((b, second))) => Sum::Contradiction(format!(
            "the {} says {a} {unit}, the {} {b}",
            first.as_str(),
            second.as_str()
        )),
    }
}

/// What one channel says: the sum over its instances.
fn sum_of_source(
    said: &[Statement],
    source: Source,
    unit: Unit,
    lumi: LumiNumber,
    ended: &Ended,
) -> Sum {
    let own = said.iter().filter(|s| s.source == source);
    let of = own.clone().map(|s| s.instance.of).max().unwrap_or(1);
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for statement in own {
        let (Some(count), number) = (statement.counts(unit), statement.instance.number) else {
            continue;
        };
        let before = counts.insert(number, count);
        if let Some(other) = before.filter(|other| *other != count) {
            let (a, b) = (other.min(count), other.max(count));
            let who = speaker(source, number, of);
            return Sum::Contradiction(format!("{who} says {a} {unit} and {b}"));
        }
    }
    let silent = |number: &u32| {
        !counts.contains_key(number) && ended.get(number).is_none_or(|last| *last >= lumi.0)
    };
    let missing: Vec<u32> = (0..of).filter(silent).collect();
    if missing.is_empty() {
        Sum::Total(counts.values().sum())
    } else {
        Sum::Partly(missing)
    }
}

fn speaker(source: Source, number: u32, of: u32) -> String {
    if of > 1 {
        format!("the {} of instance {number}", source.as_str())
    } else {
        format!("the {}", source.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `record 0/2 events 3`, `operator lost`, `message files 4`, `end 1/2 5`.
    fn witness(id: i64, text: &str) -> Witness {
        let words: Vec<&str> = text.split(' ').collect();
        let source = match words[0] {
            "message" => Source::Message,
            "operator" | "stop" => Source::Operator,
            "timeout" => Source::Timeout,
            _ => Source::Record,
        };
        let instance = words.iter().find_map(|word| word.split_once('/'));
        let instance = instance.map_or(Instance::ONLY, |(number, of)| Instance {
            number: number.parse().unwrap(),
            of: of.parse().unwrap(),
        });
        let count = words.last().and_then(|word| word.parse().ok());
        let of_lumi = |expected| Says::Lumis {
            first: LumiNumber(5),
            last: LumiNumber(5),
            stream: None,
            expected,
        };
        let says = match count {
            Some(last) if words[0] == "end" || words[0] == "stop" => Says::End {
                last_lumi: last as u32,
                events: Some(last),
            },
            Some(count) if words.contains(&"files") => of_lumi(Expected::Files(count)),
            Some(count) => of_lumi(Expected::Events(count)),
            None if words.contains(&"lost") => of_lumi(Expected::Lost),
            None if words.contains(&"empty") => of_lumi(Expected::Empty),
            None => of_lumi(Expected::Declared),
        };
        Witness {
            id: WitnessId(id),
            run: RunNumber(1),
            says,
            source,
            instance,
            at: Moment(0),
            by: String::new(),
            reason: String::new(),
            late: false,
        }
    }

    /// The same in any order.
    fn every_order(said: &str) -> Vec<Vec<Witness>> {
        let texts = said.split(", ").filter(|text| !text.is_empty());
        let all: Vec<Witness> = (1..)
            .zip(texts)
            .map(|(id, text)| witness(id, text))
            .collect();
        let (mut turned, mut back) = (all.clone(), all.clone());
        back.reverse();
        turned.rotate_left(usize::from(all.len() > 1));
        vec![all, back, turned]
    }

    #[test]
    fn statements_add_up_whatever_their_order() {
        let check = |said: &str, expect: &str| {
            for order in every_order(said) {
                let said_here: Vec<&Witness> = order.iter().collect();
                let merged = merge(&said_here, LumiNumber(5), &ended(&said_here));
                let got = match merged {
                    Merged::Counted(c) => format!("{:?} files, {:?} events", c.files, c.events),
                    Merged::Lost(c) => format!("lost of {:?}, {:?}", c.files, c.events),
                    other => format!("{other:?}"),
                };
                assert_eq!(got, expect, "{said}");
            }
        };
        check("", "Unknown");
        check("record events 3", "None files, Some(3) events");
        check(
            "record events 3, record events 3",
            "None files, Some(3) events",
        );
        check(
            "record events 3, message files 2",
            "Some(2) files, Some(3) events",
        );
        check("record 0/2 events 3", "Partly([1])");
        check(
            "record 0/2 events 3, record 1/2 events 4",
            "None files, Some(7) events",
        );
        // An instance that ended before this lumi has nothing to say; one that ended with it has.
        check(
            "record 0/2 events 3, end 1/2 4",
            "None files, Some(3) events",
        );
        check("record 0/2 events 3, end 1/2 5", "Partly([1])");
        check(
            "record events 3, record events 4",
            "Contradiction(\"the record says 3 events and 4\")",
        );
        check(
            "record events 3, message events 4",
            "Contradiction(\"the record says 3 events, the message 4\")",
        );
        // A time-out or a marker gives way to counts, everything to a person.
        check("timeout", "Here(Timeout)");
        check("timeout, record events 3", "None files, Some(3) events");
        check(
            "record events 3, record events 4, operator lost",
            "lost of None, None",
        );
        check("record events 3, operator lost", "lost of None, Some(3)");
        check("operator empty", "Empty");
    }

    #[test]
    fn the_end_of_a_run_is_the_largest_over_its_instances() {
        let check = |said: &str, expect: &str| {
            for order in every_order(said) {
                let said_here: Vec<&Witness> = order.iter().collect();
                let got = match merge_end(&said_here) {
                    End::Known { last_lumi, events } => format!("{last_lumi} {events:?}"),
                    other => format!("{other:?}"),
                };
                assert_eq!(got, expect, "{said}");
            }
        };
        check("", "Unknown");
        check("end 5", "5 Some(5)");
        check("end 0/2 5", "Partly([1])");
        check("end 0/2 5, end 1/2 3", "5 Some(8)");
        check(
            "end 5, end 6",
            "Contradiction(\"the record says lumi 5 and lumi 6\")",
        );
        check("end 5, end 6, stop 7", "7 Some(7)");
    }

    #[test]
    fn the_last_word_of_a_person_stands() {
        let said = [witness(1, "operator lost"), witness(2, "operator files 4")];
        let said: Vec<&Witness> = said.iter().collect();
        let files = Some(4);
        let expect = Merged::Counted(Counted {
            files,
            events: None,
        });
        assert_eq!(merge(&said, LumiNumber(5), &Ended::new()), expect);
    }
}
