//! Conditions as rows: payloads by hash, intervals of validity without an end, and what was decided
//! on each run.
//!
//! An IOV ends where the next one begins; a later row with the same `since` replaces the earlier
//! one, so a snapshot taken by insertion order reproduces the past (`CondDB`,
//! cms-sw/cmssw:CondCore/Utilities/python/conddblib.py).

use crate::ids::RunNumber;
use crate::names::TagName;
use crate::time::Moment;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A measured quantity in whole nano-units (1e-9 of its unit), so that decisions need no floating
/// point (D4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredQuantity {
    /// Its name with its unit, e.g. `x0_cm`.
    pub name: String,
    /// Its value.
    pub value_nano: i64,
    /// Its standard error.
    pub error_nano: i64,
    /// How far it moved from the constant that its harvest was given, where the program says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_nano: Option<i64>,
}

/// A constant that a harvest proposes for one tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateConstant {
    /// The tag it is for.
    pub tag: TagName,
    /// What it was measured from, counted.
    pub n: u64,
    /// The measured quantities; empty when the measurement failed or does not apply.
    pub quantities: Vec<MeasuredQuantity>,
    /// Why there is nothing to measure, when there is not.
    pub not_applicable: Option<String>,
    /// The constant as text, as programs will read it.
    pub payload: String,
    /// Its sha256 in hex.
    pub hash: String,
}

/// What was decided for one (tag, run).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GateOutcome {
    /// A new interval begins with this run.
    Update,
    /// What is in force stays.
    NoChange,
    /// Not enough yet; later runs add to it.
    Collecting,
    /// Refused.
    Veto,
    /// The data have nothing to measure it from.
    NotApplicable,
    /// The harvest failed or the run was lost; what is in force stays.
    Abandoned,
    /// It would begin a new interval, and a person holds the tag: kept until somebody accepts or
    /// refuses it.
    Held,
}

impl GateOutcome {
    /// A stable word for rows and screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::NoChange => "no-change",
            Self::Collecting => "collecting",
            Self::Veto => "veto",
            Self::NotApplicable => "not-applicable",
            Self::Abandoned => "abandoned",
            Self::Held => "held",
        }
    }
}

/// The decision on one (tag, run), with what it was taken on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateDecision {
    /// The tag.
    pub tag: TagName,
    /// The run.
    pub run: RunNumber,
    /// What was decided.
    pub outcome: GateOutcome,
    /// The sentence for people.
    pub reason: String,
    /// What it was measured from, counted.
    pub n: u64,
    /// What was measured.
    pub quantities: Vec<MeasuredQuantity>,
    /// Whether it came after a later run was decided: then it says nothing of later runs.
    #[serde(default)]
    pub late: bool,
    /// The sha256 of the constant that is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<String>,
    /// The constant in force for the run when it was judged; none where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// The sha256 of the constant that came into force by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<String>,
    /// When.
    pub at: Moment,
}

/// What a run is judged against: a constant, and where its interval begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// The first run of its interval.
    pub since: RunNumber,
    /// The payload's sha256 in hex.
    pub hash: String,
}

/// A person holds a tag: what gates would put into it is kept as a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Moment,
}

/// Where an interval begins, in the count of its tag: a run; a run and a lumi as
/// `(run << 32) | lumi`; or microseconds UTC since 1970 (`CondDB`'s Run, Lumi and Time).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Since(pub u64);

impl Since {
    /// The first lumi of a run, as lumis are numbered.
    pub const FIRST_LUMI: u32 = 1;

    /// Of a tag that counts by run.
    pub fn run(run: RunNumber) -> Self {
        Self(u64::from(run.0))
    }

    /// Of a tag that counts by lumi.
    pub fn lumi(run: RunNumber, lumi: u32) -> Self {
        Self((u64::from(run.0) << 32) | u64::from(lumi))
    }

    /// Of a tag that counts by time; nothing begins before 1970.
    pub fn time(at: Moment) -> Self {
        Self(u64::try_from(at.as_micros()).unwrap_or(0))
    }

    /// The run it begins in; none of a tag that counts by time.
    pub fn run_number(self, time_type: TimeType) -> Option<RunNumber> {
        match time_type {
            TimeType::Run => Some(RunNumber(self.0 as u32)),
            TimeType::Lumi => Some(RunNumber((self.0 >> 32) as u32)),
            TimeType::Time => None,
        }
    }

    /// Reads what people type: a number in whatever its tag counts by; `RUN:LUMI`; or a moment.
    /// The two last say themselves what they count by.
    pub fn parse(text: &str) -> Option<(Self, Option<TimeType>)> {
        if let Ok(number) = text.parse() {
            return Some((Self(number), None));
        }
        if let Some(at) = Moment::parse(text) {
            return Some((Self::time(at), Some(TimeType::Time)));
        }
        let (run, lumi) = text.split_once(':')?;
        let (run, lumi) = (run.parse().ok()?, lumi.parse().ok()?);
        Some((Self::lumi(RunNumber(run), lumi), Some(TimeType::Lumi)))
    }

    /// As it stands in lists: of a tag that counts by run the number alone.
    pub fn listed(self, time_type: TimeType) -> String {
        match time_type {
            TimeType::Run => self.0.to_string(),
            TimeType::Lumi | TimeType::Time => self.shown(time_type),
        }
    }

    /// As people write it.
    pub fn shown(self, time_type: TimeType) -> String {
        match time_type {
            TimeType::Run => format!("run {}", self.0),
            TimeType::Lumi => format!("run {} lumi {}", self.0 >> 32, self.0 as u32),
            TimeType::Time => i64::try_from(self.0).map_or_else(
                |_| format!("{} us", self.0),
                |micros| Moment::from_micros(micros).to_string(),
            ),
        }
    }
}

/// What a tag counts by.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum TimeType {
    /// By run.
    #[default]
    Run,
    /// By lumi of a run.
    Lumi,
    /// By time.
    Time,
}

impl TimeType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Run, Self::Lumi, Self::Time];

    /// As people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Lumi => "lumi",
            Self::Time => "time",
        }
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// Whether it is by run, as of most tags: rows leave it out then.
    pub fn is_run(&self) -> bool {
        *self == Self::Run
    }
}

/// What a tag is for, and so where a new interval of it may begin (cms-sw/cmssw:conddblib.py).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronisation {
    /// For anything: begins anywhere.
    Any,
    /// For validation: begins anywhere.
    Validation,
    /// For simulation: one interval.
    Mc,
    /// For simulation of single runs: filled once.
    RunMc,
    /// For the trigger: begins with the next run at the earliest.
    Hlt,
    /// For express: begins with the next run at the earliest.
    Express,
    /// For prompt: begins with the first condition safe run at the earliest.
    Prompt,
    /// For the prompt calibration loop: as prompt, and what comes too late is refused.
    Pcl,
    /// For work of later: only grows at its end.
    Offline,
}

impl Synchronisation {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Any,
        Self::Validation,
        Self::Mc,
        Self::RunMc,
        Self::Hlt,
        Self::Express,
        Self::Prompt,
        Self::Pcl,
        Self::Offline,
    ];

    /// As written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Validation => "validation",
            Self::Mc => "mc",
            Self::RunMc => "runmc",
            Self::Hlt => "hlt",
            Self::Express => "express",
            Self::Prompt => "prompt",
            Self::Pcl => "pcl",
            Self::Offline => "offline",
        }
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// Whether a tag takes new intervals at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protection {
    /// It does, where its synchronisation allows it.
    #[default]
    Open,
    /// It does not.
    Protected,
}

/// What a tag is. Its intervals and payloads are rows of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionsTag {
    /// Its name.
    pub name: TagName,
    /// What it counts by.
    #[serde(default)]
    pub time_type: TimeType,
    /// What its payloads are, e.g. `BeamSpotObjects`; may be empty.
    pub object_type: String,
    /// What it is for.
    pub synchronisation: Synchronisation,
    /// In words.
    pub description: String,
    /// Whether it takes new intervals.
    #[serde(default)]
    pub protection: Protection,
    /// Its last interval ends with this; none for never.
    #[serde(default)]
    pub end_of_validity: Option<Since>,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Hold>,
    /// When it was made.
    pub inserted_at: Moment,
}

impl ConditionsTag {
    /// What a tag is that tasks measure and nobody made.
    pub fn measured(name: &TagName) -> Self {
        Self {
            name: name.clone(),
            time_type: TimeType::Run,
            object_type: String::new(),
            synchronisation: Synchronisation::Pcl,
            description: String::new(),
            protection: Protection::Open,
            end_of_validity: None,
            held: None,
            inserted_at: Moment(0),
        }
    }
}

/// An interval of validity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Iov {
    /// The tag it belongs to.
    pub tag: TagName,
    /// Where it begins, in the count of its tag.
    pub since: Since,
    /// The payload's sha256 in hex.
    pub hash: String,
    /// Orders insertions.
    pub sequence: i64,
    /// When it was inserted.
    pub inserted_at: Moment,
}

/// A constant, addressed by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionsPayload {
    /// sha256 of `text` in hex.
    pub hash: String,
    /// The constant as programs read it.
    pub text: String,
}

/// A set of tags, one for each record and label, as of a moment: the name that a job's conditions
/// have. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalTag {
    /// Its name.
    pub name: String,
    /// In words.
    pub description: String,
    /// The release of the software it is for; may be empty.
    pub release: String,
    /// Nothing inserted later counts.
    pub snapshot_at: Moment,
    /// When it was made.
    pub inserted_at: Moment,
    /// The tag of each record and label, by record and label.
    pub tags: Vec<RecordTag>,
}

impl GlobalTag {
    /// The tag of a record and label.
    pub fn tag_of(&self, record: &str, label: &str) -> Option<&TagName> {
        let mut tags = self.tags.iter();
        let found = tags.find(|one| one.record == record && one.label == label);
        found.map(|one| &one.tag)
    }
}

/// A record as a task names it: what it reads by a global tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordName {
    /// The record.
    pub record: String,
    /// Its label; may be empty.
    pub label: String,
}

impl RecordName {
    /// Reads `RECORD` or `RECORD:LABEL`; none without a record.
    pub fn parse(text: &str) -> Option<Self> {
        let (record, label) = text.split_once(':').unwrap_or((text, ""));
        let (record, label) = (record.to_owned(), label.to_owned());
        (!record.is_empty()).then_some(Self { record, label })
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label.as_str() {
            "" => f.write_str(&self.record),
            label => write!(f, "{}:{label}", self.record),
        }
    }
}

/// One record of a global tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordTag {
    /// The record.
    pub record: String,
    /// Its label; may be empty.
    pub label: String,
    /// The tag.
    pub tag: TagName,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_since_is_read_as_people_type_it() {
        let lumi = |run: u32, lumi| (Since::lumi(RunNumber(run), lumi), Some(TimeType::Lumi));
        for (text, expect) in [
            ("402144", Some((Since(402_144), None))),
            ("402144:7", Some(lumi(402_144, 7))),
            ("4294967295:4294967295", Some(lumi(u32::MAX, u32::MAX))),
            (
                "1970-01-01T00:00:02.5Z",
                Some((Since(2_500_000), Some(TimeType::Time))),
            ),
            ("4294967296:1", None),
            ("7:", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(Since::parse(text), expect, "{text}");
        }
    }

    #[test]
    fn what_is_listed_is_read_again() {
        let run = RunNumber(402_144);
        let at = Moment::from_micros(1_798_761_600_000_001);
        for (since, by, text) in [
            (Since::run(run), TimeType::Run, "402144"),
            (Since::lumi(run, 7), TimeType::Lumi, "run 402144 lumi 7"),
            (
                Since::time(at),
                TimeType::Time,
                "2027-01-01T00:00:00.000001Z",
            ),
        ] {
            assert_eq!(since.listed(by), text);
            assert_eq!(since.run_number(by), (!text.contains('T')).then_some(run));
            assert_eq!(TimeType::parse(by.as_str()), Some(by));
        }
    }
}
