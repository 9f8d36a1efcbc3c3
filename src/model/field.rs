//! The state machines of the field as tables: what WMCore calls the states of jobs and requests,
//! and which steps it knows (dmwm/WMCore:src/python/WMCore/JobStateMachine/Transitions.py and
//! WMCore/ReqMgr/DataStructs/RequestStatus.py).
//!
//! Jobs: ours are another machine ([`crate::job::JobState`]); its states are translated for people
//! who know the field's words, and a test walks every step of ours through the field's table and
//! names the steps that only ours has. Requests: this is the table alone; whoever manages requests
//! moves them by it.

use crate::job::{Job, JobState};
use crate::step::IllegalStep;

macro_rules! machine {
    (
        $(#[$doc:meta])* $name:ident, $machine:literal:
        $($state:ident $word:literal => [$($to:ident)*],)+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = $word] $state,)+
        }

        impl $name {
            /// All states.
            pub const ALL: &[Self] = &[$(Self::$state,)+];

            /// The state's name in the field.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$state => $word,)+
                }
            }

            /// Reads the field's name.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|state| state.as_str() == text)
            }

            /// The states that may follow.
            pub fn successors(self) -> &'static [Self] {
                match self {
                    $(Self::$state => &[$(Self::$to,)*],)+
                }
            }

            /// Goes to another state, if that is a legal step.
            pub fn next(self, to: Self) -> Result<Self, IllegalStep> {
                if self.successors().contains(&to) {
                    Ok(to)
                } else {
                    Err(IllegalStep::new($machine, &self.as_str(), &to.as_str()))
                }
            }
        }
    };
}

machine! {
    /// A job's state in WMBS.
    FieldJob, "job of the field":
    New "new" => [Created CreateFailed Killed],
    Created "created" => [Executing SubmitFailed CreateFailed Killed],
    Executing "executing" => [Complete JobFailed Killed],
    Complete "complete" => [JobFailed Success],
    CreateFailed "createfailed" => [CreateCoolOff RetryDone Killed],
    SubmitFailed "submitfailed" => [SubmitCoolOff RetryDone Killed],
    JobFailed "jobfailed" => [JobCoolOff RetryDone Killed],
    CreateCoolOff "createcooloff" => [Created CreatePaused RetryDone Killed],
    SubmitCoolOff "submitcooloff" => [Created SubmitPaused RetryDone Killed],
    JobCoolOff "jobcooloff" => [Created JobPaused RetryDone Killed],
    CreatePaused "createpaused" => [Created RetryDone Killed],
    SubmitPaused "submitpaused" => [Created RetryDone Killed],
    JobPaused "jobpaused" => [Created RetryDone Killed],
    Success "success" => [CleanOut],
    RetryDone "retrydone" => [Exhausted Killed],
    Exhausted "exhausted" => [CleanOut],
    Killed "killed" => [CleanOut Killed],
    CleanOut "cleanout" => [],
}

impl FieldJob {
    /// What the field calls a job of ours; none for one whose inputs other jobs have, which it does
    /// not know.
    pub fn of(job: &Job) -> Option<Self> {
        Some(match job.state {
            JobState::Ready { .. } if job.failures > 0 => Self::JobCoolOff,
            JobState::Ready { .. } => Self::Created,
            JobState::Sent { .. } | JobState::Running { .. } => Self::Executing,
            JobState::Committing { .. } => Self::Complete,
            JobState::Done { .. } => Self::Success,
            JobState::Failed { .. } => Self::Exhausted,
            JobState::Parked { .. } => Self::JobPaused,
            JobState::Cancelled { .. } => Self::Killed,
            JobState::Superseded { .. } => return None,
        })
    }
}

machine! {
    /// A request's state in ReqMgr2.
    RequestState, "request":
    New "new" => [New AssignmentApproved Rejected],
    AssignmentApproved "assignment-approved" => [Assigned Rejected],
    Assigned "assigned" => [Staging Aborted],
    Staging "staging" => [Staged Aborted],
    Staged "staged" => [Acquired Aborted Failed],
    Acquired "acquired" => [RunningOpen Aborted Failed],
    RunningOpen "running-open" => [RunningClosed ForceComplete Aborted],
    RunningClosed "running-closed" => [ForceComplete Completed Aborted],
    ForceComplete "force-complete" => [Completed],
    Failed "failed" => [Rejected Assigned],
    Completed "completed" => [ClosedOut Rejected],
    ClosedOut "closed-out" => [Announced Rejected],
    Announced "announced" => [Rejected NormalArchived],
    Aborted "aborted" => [AbortedCompleted],
    AbortedCompleted "aborted-completed" => [AbortedArchived],
    Rejected "rejected" => [RejectedArchived],
    NormalArchived "normal-archived" => [RejectedArchived],
    AbortedArchived "aborted-archived" => [],
    RejectedArchived "rejected-archived" => [],
}

impl RequestState {
    /// The states that a request passes by itself as its work goes on.
    const WORK: [Self; 5] = [
        Self::Staged,
        Self::Acquired,
        Self::RunningOpen,
        Self::RunningClosed,
        Self::Completed,
    ];

    /// Whether a person may bring a request here.
    pub fn is_set_by_people(self) -> bool {
        matches!(
            self,
            Self::AssignmentApproved
                | Self::Assigned
                | Self::ForceComplete
                | Self::ClosedOut
                | Self::Announced
                | Self::Rejected
                | Self::Aborted
        )
    }

    /// Where a request may come by itself from here as its work goes on, step by step.
    pub fn comes_by_itself_to(self) -> &'static [Self] {
        const WORK: &[RequestState] = &RequestState::WORK;
        let at = WORK.iter().position(|state| *state == self);
        at.map_or(&[], |at| &WORK[at + 1..])
    }

    /// Where a request comes when what is cancelled has ended.
    pub fn after_cancel(self) -> Option<Self> {
        match self {
            Self::Aborted => Some(Self::AbortedCompleted),
            Self::ForceComplete => Some(Self::Completed),
            _ => None,
        }
    }

    /// What may still be changed of a request, in the field's names.
    pub fn editable_fields(self) -> &'static [&'static str] {
        match self {
            Self::AssignmentApproved => &[
                "RequestPriority",
                "Team",
                "SiteWhitelist",
                "SiteBlacklist",
                "AcquisitionEra",
                "ProcessingString",
                "ProcessingVersion",
                "Dashboard",
                "MergedLFNBase",
                "TrustSitelists",
                "UnmergedLFNBase",
                "MinMergeSize",
                "MaxMergeSize",
                "MaxMergeEvents",
                "BlockCloseMaxWaitTime",
                "BlockCloseMaxFiles",
                "BlockCloseMaxEvents",
                "BlockCloseMaxSize",
                "SoftTimeout",
                "GracePeriod",
                "TrustPUSitelists",
                "CustodialSites",
                "NonCustodialSites",
                "Override",
                "SubscriptionPriority",
            ],
            Self::Staging | Self::Acquired | Self::RunningOpen => {
                &["RequestPriority", "SiteWhitelist", "SiteBlacklist"]
            }
            Self::New | Self::Assigned | Self::Staged | Self::RunningClosed => &["RequestPriority"],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AttemptNumber;
    use crate::job::{ExitClass, JobEvent, ParkReason};
    use crate::time::Moment;
    use std::collections::BTreeSet;

    /// Our states without a job around them.
    fn in_the_field(state: &JobState) -> Option<FieldJob> {
        Some(match state {
            JobState::Ready { attempt, .. } if *attempt > AttemptNumber::FIRST => {
                FieldJob::JobCoolOff
            }
            JobState::Ready { .. } => FieldJob::Created,
            JobState::Sent { .. } | JobState::Running { .. } => FieldJob::Executing,
            JobState::Committing { .. } => FieldJob::Complete,
            JobState::Done { .. } => FieldJob::Success,
            JobState::Failed { .. } => FieldJob::Exhausted,
            JobState::Parked { .. } => FieldJob::JobPaused,
            JobState::Cancelled { .. } => FieldJob::Killed,
            JobState::Superseded { .. } => return None,
        })
    }

    /// Every state that can be reached, with the step that led to it.
    fn reachable(from: FieldJob) -> BTreeSet<FieldJob> {
        let mut reached = BTreeSet::from([from]);
        let mut ahead = vec![from];
        while let Some(state) = ahead.pop() {
            for next in state.successors() {
                if reached.insert(*next) {
                    ahead.push(*next);
                }
            }
        }
        reached
    }

    #[test]
    fn steps_of_ours_are_walks_of_the_field_but_for_those_named() {
        let (attempt, t) = (AttemptNumber::FIRST, Moment(0));
        let later = attempt.next();
        let ours = [
            JobState::Ready {
                attempt,
                not_before: t,
            },
            JobState::Ready {
                attempt: later,
                not_before: t,
            },
            JobState::Running { attempt, since: t },
            JobState::Committing { attempt, since: t },
            JobState::Failed {
                attempt,
                class: ExitClass::Program,
            },
            JobState::Parked {
                attempt: later,
                reason: ParkReason::Policy,
            },
            JobState::Cancelled { attempt },
        ];
        let events = [
            JobEvent::Sent(t),
            JobEvent::Reported(t),
            JobEvent::Committed,
            JobEvent::FailedRetry(t),
            JobEvent::FailedForGood(ExitClass::Input),
            JobEvent::FailedParked(ParkReason::Policy),
            JobEvent::RetryAsked(t),
            JobEvent::ReleaseAsked(t),
            JobEvent::ParkAsked,
            JobEvent::CancelAsked,
        ];
        let mut only_ours = BTreeSet::new();
        for state in ours {
            let from = in_the_field(&state).expect("a state that the field knows");
            for next in events.iter().filter_map(|event| state.next(*event).ok()) {
                let to = in_the_field(&next).expect("a state that the field knows");
                if !reachable(from).contains(&to) {
                    only_ours.insert((from.as_str(), to.as_str()));
                }
            }
        }
        // Failed and cancelled jobs can be tried again; a job can be parked before its first try,
        // and a failed one given up for good.
        assert_eq!(
            only_ours.into_iter().collect::<Vec<_>>(),
            [
                ("exhausted", "jobcooloff"),
                ("exhausted", "killed"),
                ("killed", "jobcooloff"),
            ]
        );
    }

    #[test]
    fn tables_lead_everywhere_and_end() {
        assert_eq!(reachable(FieldJob::New).len(), FieldJob::ALL.len());
        let ends = |state: &&RequestState| state.successors().is_empty();
        let ends: Vec<&str> = RequestState::ALL
            .iter()
            .filter(ends)
            .map(|state| state.as_str())
            .collect();
        assert_eq!(ends, ["aborted-archived", "rejected-archived"]);
        for state in RequestState::ALL {
            assert_eq!(RequestState::parse(state.as_str()), Some(*state));
        }
    }
}
