//! The life of one calibration: one tag, one run. In come events, out comes the next state or the
//! refusal of an illegal step. It ends in a decision of the gate or without one; what follows from
//! either (a payload, a released task) is the engine's business.

use crate::gate::Outcome;
use serde::{Deserialize, Serialize};

/// Where the calibration of a tag for a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum CalibrationState {
    /// The harvest of the run has not delivered yet.
    Waiting,
    /// The gate has spoken.
    Decided {
        /// What it said.
        outcome: Outcome,
    },
    /// There will be no decision; the run goes on with the constants in force.
    Abandoned {
        /// Why.
        cause: Cause,
    },
}

/// Why a calibration ended without a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The harvesting job failed for good.
    HarvestFailed,
    /// The run itself was lost or closed without data.
    RunLost,
}

/// What can happen to a calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalibrationEvent {
    /// The gate judged the harvest of this run.
    Judged(Outcome),
    /// The calibration ended without a harvest.
    Ended(Cause),
}

/// A step that the machine does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a calibration that is {state:?} cannot take {event:?}: a decision is made once for each run; \
     a better constant is a new payload with its own since"
)]
pub struct IllegalStep {
    /// The state it was in.
    pub state: CalibrationState,
    /// What was asked of it.
    pub event: CalibrationEvent,
}

impl CalibrationState {
    /// The state after `event`.
    pub fn next(&self, event: CalibrationEvent) -> Result<Self, IllegalStep> {
        match (self, event) {
            (Self::Waiting, CalibrationEvent::Judged(outcome)) => Ok(Self::Decided { outcome }),
            (Self::Waiting, CalibrationEvent::Ended(cause)) => Ok(Self::Abandoned { cause }),
            (Self::Decided { .. } | Self::Abandoned { .. }, _) => Err(IllegalStep {
                state: *self,
                event,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_meets_every_event() {
        let outcomes = [
            Outcome::Update,
            Outcome::NoChange,
            Outcome::Collecting,
            Outcome::Veto,
            Outcome::NotApplicable,
        ];
        let causes = [Cause::HarvestFailed, Cause::RunLost];
        let decided = outcomes.map(|outcome| CalibrationState::Decided { outcome });
        let abandoned = causes.map(|cause| CalibrationState::Abandoned { cause });
        let judged = outcomes.map(CalibrationEvent::Judged);
        let ended = causes.map(CalibrationEvent::Ended);
        let ends: Vec<_> = decided.into_iter().chain(abandoned).collect();
        let events: Vec<_> = judged.into_iter().chain(ended).collect();
        for (event, expect) in events.iter().zip(&ends) {
            assert_eq!(CalibrationState::Waiting.next(*event), Ok(*expect));
            for state in &ends {
                let refused = IllegalStep {
                    state: *state,
                    event: *event,
                };
                assert_eq!(state.next(*event), Err(refused));
            }
        }
    }

    #[test]
    fn a_state_survives_writing_and_reading() {
        let state = CalibrationState::Decided {
            outcome: Outcome::NoChange,
        };
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(text, r#"{"state":"decided","outcome":"no_change"}"#);
        assert_eq!(
            serde_json::from_str::<CalibrationState>(&text).unwrap(),
            state
        );
    }
}
