//! Conditions as strangers see them: tags, intervals of validity, payloads, and what was decided on
//! each run.
//!
//! In: `model::conditions`. Out: [`TagView`], [`IovView`], [`PayloadView`], [`DecisionView`].
//! Values leave the house as decimal numbers in the unit that their name says; the engine's own
//! decisions never rest on these.

use model::command::PutReply;
use model::conditions::{
    ConditionsPayload, ConditionsTag, GateDecision, GateOutcome, GlobalTag, Iov, Protection, Since,
    Synchronisation, TimeType,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagView {
    /// Its name.
    pub tag: String,
    /// Where a new interval of it may begin: `pcl` for tags that tasks measure, else what it was
    /// made with (`any`, `validation`, `mc`, `runmc`, `hlt`, `express`, `prompt`, `pcl`,
    /// `offline`).
    pub synchronisation: String,
    /// What its payloads are; empty where nobody said.
    pub object_type: String,
    /// In words; empty where nobody said.
    pub description: String,
    /// Whether it takes no new intervals.
    pub protected: bool,
    /// What it counts by: `run`, `lumi` or `time`.
    #[serde(default = "by_run")]
    pub time_type: String,
    /// Intervals in force.
    pub iovs: u64,
    /// Where its first interval begins: a run; of a tag by lumi, (run << 32) | lumi; by time,
    /// microseconds UTC since 1970.
    pub first_since: Option<u64>,
    /// Where its last interval begins.
    pub last_since: Option<u64>,
    /// Runs decided on.
    pub decisions: u64,
    /// Who holds it, with why: what gates would put into it waits for a person.
    #[serde(default)]
    pub held: Option<String>,
}

/// One global tag: a tag for each record, as of a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalTagView {
    /// Its name.
    pub global_tag: String,
    /// In words; empty where nobody said.
    pub description: String,
    /// The release of the software it is for; empty where nobody said.
    pub release: String,
    /// Nothing inserted later counts.
    pub snapshot_at: String,
    /// When it was made.
    pub inserted_at: String,
    /// The tag of each record.
    pub tags: Vec<RecordTagView>,
}

/// One record of a global tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordTagView {
    /// The record.
    pub record: String,
    /// Its label; often empty.
    pub label: String,
    /// The tag.
    pub tag: String,
}

impl From<&GlobalTag> for GlobalTagView {
    fn from(global: &GlobalTag) -> Self {
        let tags = global.tags.iter().map(|one| RecordTagView {
            record: one.record.clone(),
            label: one.label.clone(),
            tag: one.tag.to_string(),
        });
        Self {
            global_tag: global.name.clone(),
            description: global.description.clone(),
            release: global.release.clone(),
            snapshot_at: global.snapshot_at.to_string(),
            inserted_at: global.inserted_at.to_string(),
            tags: tags.collect(),
        }
    }
}

/// One interval of validity. It ends where the next one of its tag begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IovView {
    /// The tag.
    pub tag: String,
    /// What its tag counts by: `run`, `lumi` or `time`.
    #[serde(default = "by_run")]
    pub time_type: String,
    /// Where it begins: a run; of a tag by lumi, (run << 32) | lumi; by time, microseconds UTC
    /// since 1970.
    pub since: u64,
    /// The payload's sha256 in hex.
    pub hash: String,
    /// Orders insertions.
    pub sequence: i64,
    /// When it was inserted.
    pub inserted_at: String,
}

/// What became of a constant that was put into a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutReplyView {
    /// In words; durable when it is heard.
    pub done: String,
    /// The tag.
    pub tag: String,
    /// Where it should begin, in the count of the tag.
    pub since_given: u64,
    /// Where it begins.
    pub since: u64,
    /// The payload's sha256 in hex.
    pub hash: String,
    /// Whether there was no such interval before.
    pub is_new: bool,
}

impl From<&PutReply> for PutReplyView {
    fn from(reply: &PutReply) -> Self {
        Self {
            done: reply.done.clone(),
            tag: reply.tag.to_string(),
            since_given: reply.since_given.0,
            since: reply.since.0,
            hash: reply.hash.clone(),
            is_new: reply.is_new,
        }
    }
}

/// One constant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadView {
    /// sha256 of the text in hex.
    pub hash: String,
    /// Length of the text.
    pub bytes: u64,
    /// The constant as programs read it.
    pub text: String,
}

/// The decision on one tag and run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionView {
    /// The tag.
    pub tag: String,
    /// The run.
    pub run: u32,
    /// `update`, `no-change`, `collecting`, `veto`, `not-applicable`, `abandoned` or `held`.
    pub outcome: String,
    /// Why.
    pub reason: String,
    /// What it was measured from, counted.
    pub n: u64,
    /// What was measured, by name; the unit is in the name, e.g. `x0_cm`.
    pub values: BTreeMap<String, f64>,
    /// The standard errors, by the same names.
    pub errors: BTreeMap<String, f64>,
    /// The sha256 of the constant that is held.
    #[serde(default)]
    pub proposed: Option<String>,
    /// When it was decided.
    pub at: String,
}

/// From whole nano-units to the unit.
fn from_nano(nano: i64) -> f64 {
    nano as f64 / 1e9
}

impl From<&GateDecision> for DecisionView {
    fn from(decision: &GateDecision) -> Self {
        let by_name = |pick: fn(&model::conditions::MeasuredQuantity) -> i64| {
            decision
                .quantities
                .iter()
                .map(|q| (q.name.clone(), from_nano(pick(q))))
                .collect()
        };
        Self {
            tag: decision.tag.to_string(),
            run: decision.run.0,
            outcome: decision.outcome.as_str().to_owned(),
            reason: decision.reason.clone(),
            n: decision.n,
            values: by_name(|quantity| quantity.value_nano),
            errors: by_name(|quantity| quantity.error_nano),
            proposed: decision.proposed.clone(),
            at: decision.at.to_string(),
        }
    }
}

/// A since as people write it, in the count that its view says.
pub fn shown(since: u64, time_type: &str) -> String {
    Since(since).shown(TimeType::parse(time_type).unwrap_or_default())
}

/// The same as it stands in lists: of a tag that counts by run the number alone.
pub fn listed(since: u64, time_type: &str) -> String {
    Since(since).listed(TimeType::parse(time_type).unwrap_or_default())
}

/// What a tag counts by, of instances that do not say it.
pub(crate) fn by_run() -> String {
    TimeType::Run.as_str().to_owned()
}

impl IovView {
    /// An interval of a tag that counts so.
    pub fn of(iov: &Iov, time_type: TimeType) -> Self {
        Self {
            tag: iov.tag.to_string(),
            time_type: time_type.as_str().to_owned(),
            since: iov.since.0,
            hash: iov.hash.clone(),
            sequence: iov.sequence,
            inserted_at: iov.inserted_at.to_string(),
        }
    }
}

impl From<&ConditionsPayload> for PayloadView {
    fn from(payload: &ConditionsPayload) -> Self {
        Self {
            hash: payload.hash.clone(),
            bytes: payload.text.len() as u64,
            text: payload.text.clone(),
        }
    }
}

/// Every tag that was made, has an interval or a decision, by name. Of several rows with one
/// `since`, the last inserted is in force, so they count once.
pub fn tags_of(tags: &[ConditionsTag], iovs: &[Iov], decisions: &[GateDecision]) -> Vec<TagView> {
    let made: BTreeMap<&str, &ConditionsTag> =
        tags.iter().map(|tag| (tag.name.as_str(), tag)).collect();
    let mut sinces: BTreeMap<&str, std::collections::BTreeSet<u64>> = BTreeMap::new();
    for iov in iovs {
        sinces
            .entry(iov.tag.as_str())
            .or_default()
            .insert(iov.since.0);
    }
    for name in made.keys() {
        sinces.entry(name).or_default();
    }
    let mut decided: BTreeMap<&str, u64> = BTreeMap::new();
    for decision in decisions
        .iter()
        .filter(|d| d.outcome != GateOutcome::NotApplicable)
    {
        sinces.entry(decision.tag.as_str()).or_default();
        *decided.entry(decision.tag.as_str()).or_default() += 1;
    }
    sinces
        .into_iter()
        .map(|(tag, sinces)| TagView {
            tag: tag.to_owned(),
            synchronisation: made
                .get(tag)
                .map_or(Synchronisation::Pcl, |made| made.synchronisation)
                .as_str()
                .to_owned(),
            object_type: made
                .get(tag)
                .map_or_else(String::new, |made| made.object_type.clone()),
            description: made
                .get(tag)
                .map_or_else(String::new, |made| made.description.clone()),
            protected: made
                .get(tag)
                .is_some_and(|made| made.protection == Protection::Protected),
            time_type: made
                .get(tag)
                .map_or(TimeType::Run, |made| made.time_type)
                .as_str()
                .to_owned(),
            iovs: sinces.len() as u64,
            first_since: sinces.first().copied(),
            last_since: sinces.last().copied(),
            decisions: decided.get(tag).copied().unwrap_or(0),
            held: made.get(tag).and_then(|made| {
                let hold = made.held.as_ref()?;
                Some(format!("{} since {}: {}", hold.by, hold.at, hold.reason))
            }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::conditions::MeasuredQuantity;
    use model::ids::RunNumber;
    use model::time::Moment;

    #[test]
    fn tags_count_the_intervals_in_force() {
        let iov = |tag: &str, since: u32, sequence: i64| Iov {
            tag: tag.into(),
            since: Since::run(RunNumber(since)),
            hash: "0".repeat(64),
            sequence,
            inserted_at: Moment(0),
        };
        let decision = GateDecision {
            tag: "scale".into(),
            run: RunNumber(5),
            outcome: GateOutcome::Collecting,
            reason: "140 events, 400 needed".into(),
            n: 140,
            quantities: vec![MeasuredQuantity {
                name: "z_gev".into(),
                value_nano: 90_770_000_000,
                error_nano: 140_000_000,
                moved_nano: None,
            }],
            late: false,
            proposed: None,
            against: None,
            put: None,
            at: Moment(0),
        };
        let iovs = [
            iov("beamspot", 1, 1),
            iov("beamspot", 9, 2),
            iov("beamspot", 9, 3),
        ];
        let made = ConditionsTag {
            name: "alignment".into(),
            time_type: TimeType::Run,
            object_type: String::new(),
            synchronisation: Synchronisation::Offline,
            description: String::new(),
            protection: Protection::Open,
            end_of_validity: None,
            held: None,
            inserted_at: Moment(0),
        };
        let decisions = std::slice::from_ref(&decision);
        let rows: Vec<_> = tags_of(std::slice::from_ref(&made), &iovs, decisions)
            .into_iter()
            .map(|tag| {
                (
                    tag.tag,
                    tag.synchronisation,
                    tag.iovs,
                    tag.first_since,
                    tag.last_since,
                    tag.decisions,
                )
            })
            .collect();
        let row = |tag: &str, synchronisation: &str, (iovs, first, last, decisions)| {
            let names = (tag.to_owned(), synchronisation.to_owned());
            (names.0, names.1, iovs, first, last, decisions)
        };
        assert_eq!(
            rows,
            [
                row("alignment", "offline", (0, None, None, 0)),
                row("beamspot", "pcl", (2, Some(1), Some(9), 0)),
                row("scale", "pcl", (0, None, None, 1)),
            ]
        );
        let view = DecisionView::from(&decision);
        assert_eq!((view.values["z_gev"], view.errors["z_gev"]), (90.77, 0.14));
    }
}
