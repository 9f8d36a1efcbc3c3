//! Waits and acts as strangers see them: what holds an object back, and who did what.
//!
//! In: `model::wait`, `model::audit`. Out: [`WhyView`], [`WaitView`], [`AuditView`]. Must never
//! leave out a wait or its way out.

use model::audit::Audit;
use model::wait::{Wait, Why};
use serde::{Deserialize, Serialize};

/// Something that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitView {
    /// What waits, e.g. `lumi/402144/Muons/137`.
    pub object: String,
    /// The run it belongs to.
    pub run: u32,
    /// The rule that holds it back, e.g. `lumi-record`.
    pub kind: String,
    /// For what it waits.
    pub reason: String,
    /// Since when, where that is known.
    pub since: Option<String>,
    /// When it ends by itself; absent when it has no bound.
    pub until: Option<String>,
    /// What ends it: the verb to use, or what to look at.
    pub remedy: String,
}

impl From<&Wait> for WaitView {
    fn from(wait: &Wait) -> Self {
        Self {
            object: wait.object.to_string(),
            run: wait.run.0,
            kind: wait.kind.as_str().to_owned(),
            reason: wait.reason.clone(),
            since: wait.since.map(|at| at.to_string()),
            until: wait.until.map(|at| at.to_string()),
            remedy: wait.remedy.clone(),
        }
    }
}

/// Why an object stands as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyView {
    /// What was asked about, e.g. `run/402144`.
    pub object: String,
    /// How it stands.
    pub state: String,
    /// What holds it back; empty when nothing does.
    pub waits: Vec<WaitView>,
}

impl From<&Why> for WhyView {
    fn from(why: &Why) -> Self {
        Self {
            object: why.object.to_string(),
            state: why.state.clone(),
            waits: why.waits.iter().map(WaitView::from).collect(),
        }
    }
}

/// One act that changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditView {
    /// Its identity; grows with time.
    pub id: i64,
    /// When.
    pub at: String,
    /// Who, as far as it is known.
    pub by: String,
    /// What was asked for, e.g. `run close`.
    pub verb: String,
    /// Of what, e.g. `run/402144`.
    pub object: String,
    /// How it stood before.
    pub before: String,
    /// How it stands since.
    pub after: String,
    /// Why, in the words of whoever asked.
    pub reason: String,
}

impl From<&Audit> for AuditView {
    fn from(audit: &Audit) -> Self {
        Self {
            id: audit.id.0,
            at: audit.at.to_string(),
            by: audit.by.clone(),
            verb: audit.verb.clone(),
            object: audit.object.clone(),
            before: audit.before.clone(),
            after: audit.after.clone(),
            reason: audit.reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::{JobId, RunNumber};
    use model::time::Moment;
    use model::wait::{Object, WaitKind};

    #[test]
    fn a_wait_is_told_whole() {
        let wait = Wait {
            object: Object::Job(JobId(17)),
            run: RunNumber(3),
            kind: WaitKind::Pause,
            reason: "it pauses".into(),
            since: None,
            until: Some(Moment(0)),
            remedy: "tier0 job show 17".into(),
        };
        let why = Why {
            object: Object::Job(JobId(17)),
            state: "ready".into(),
            waits: vec![wait],
        };
        let view = serde_json::to_value(WhyView::from(&why)).unwrap();
        assert_eq!(
            view.to_string(),
            r#"{"object":"job/17","state":"ready","waits":[{"kind":"pause","object":"job/17","reason":"it pauses","remedy":"tier0 job show 17","run":3,"since":null,"until":"1970-01-01T00:00:00.000000Z"}]}"#
        );
    }
}
