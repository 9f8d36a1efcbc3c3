//! A job as strangers see it: its state, its attempts, when it passed each hop and how long each
//! took.
//!
//! In: `model::job`. Out: [`JobView`], [`JobDetailView`]. Must never show a hop as passed whose
//! stamp is missing.

use crate::LumiRanges;
use crate::units::UnitAccountView;
use model::command::JobsReply;
use model::field::FieldJob;
use model::ids::JobId;
use model::job::{Class, FailedAttempt, InputId, Job, JobState, Stamps};
use model::resource::{Estimate, Used};
use model::time::Moment;
use serde::{Deserialize, Serialize};

/// One job, in lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Our identity for it.
    pub id: i64,
    /// The run it works on.
    pub run: u32,
    /// The pipeline, e.g. `express`.
    pub pipeline: String,
    /// The task in it, e.g. `reco`.
    pub task: String,
    /// `live` or `offline`.
    pub class: String,
    /// `ready`, `sent`, `running`, `committing`, `done`, `failed`, `parked`, `superseded` or
    /// `cancelled`.
    pub state: String,
    /// What WMCore calls the state; none for a job that was split, which it does not know.
    #[serde(default)]
    pub field_state: Option<String>,
    /// The attempt that the state speaks of.
    pub attempt: u32,
    /// Attempts that failed and count.
    pub failures: u32,
    /// For a ready job that waits after a failure: until when.
    pub not_before: Option<String>,
    /// For a parked job: why (`policy`, `same-failure`, `memory-limit`, `time-limit` or `person`).
    #[serde(default)]
    pub park_reason: Option<String>,
    /// For a job that failed: how its last failed attempt ended.
    pub exit_class: Option<String>,
    /// The exit code of that attempt, where it had one.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The mark of its cause; the same for all failures of one cause.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// How often in a row it failed like this.
    #[serde(default)]
    pub same_failures: u32,
    /// Memory of the next attempt, where it is more than the task asks for.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Wall time of the next attempt, where it is more than the task asks for.
    #[serde(default)]
    pub wall_s: Option<f64>,
    /// The job whose inputs it has, if that was split.
    #[serde(default)]
    pub split_from: Option<i64>,
    /// The jobs that have its inputs, if it was split or made again.
    #[serde(default)]
    pub replaced_by: Vec<i64>,
    /// The job whose work it does again, with better constants or on input that was made again.
    #[serde(default)]
    pub redoes: Option<i64>,
    /// What the last failed attempt said.
    pub last_error: Option<String>,
    /// What it reads, in order.
    pub inputs: Vec<InputView>,
    /// The lumis it covers.
    pub lumis: LumiRanges,
    /// When its output must be out.
    pub deadline: Option<String>,
    /// For a done job with a deadline: whether it was late.
    pub missed: Option<bool>,
    /// When it passed each hop.
    pub stamps: StampsView,
    /// How long each hop took.
    pub hops: HopsView,
    /// Whether it was released without a constant, because the wait for it ended.
    pub provisional: bool,
}

/// One input of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputView {
    /// `file` (of the detector) or `output` (of another job).
    pub kind: String,
    /// Its identity.
    pub id: i64,
    /// Whether the job consumes it, or only reads it.
    pub consumed: bool,
}

/// When a job passed each hop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StampsView {
    /// Its earliest input was seen.
    pub seen_at: String,
    /// It was made.
    pub made_at: String,
    /// The winning attempt was sent.
    pub sent_at: Option<String>,
    /// Its program started.
    pub started_at: Option<String>,
    /// Its program ended.
    pub reported_at: Option<String>,
    /// Its outputs were recorded.
    pub done_at: Option<String>,
}

/// How long each hop took; absent where it is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HopsView {
    /// Earliest input seen, job made.
    pub seen_to_ready_s: f64,
    /// Made, given to its place.
    pub ready_to_sent_s: Option<f64>,
    /// Given to its place, running there.
    pub sent_to_started_s: Option<f64>,
    /// The program's own time.
    pub started_to_reported_s: Option<f64>,
    /// Ended, outputs committed and recorded.
    pub reported_to_done_s: Option<f64>,
    /// The whole: earliest input seen, output published.
    pub seen_to_published_s: Option<f64>,
}

/// One job, asked for alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobDetailView {
    /// What lists show of it.
    #[serde(flatten)]
    pub job: JobView,
    /// What it will probably use, as its splitter works out from measured history or defaults;
    /// absent where the splitter expects nothing.
    #[serde(default)]
    pub estimate: Option<EstimateView>,
    /// What it has used; absent until it is done.
    #[serde(default)]
    pub used: Option<UsedView>,
    /// What its program found of the units inside its input.
    pub units: Vec<UnitAccountView>,
    /// Its failed attempts with what they said.
    pub failed_attempts: Vec<AttemptView>,
}

/// What a job will probably use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EstimateView {
    /// Wall time.
    pub wall_s: f64,
    /// Memory.
    pub memory_bytes: u64,
    /// Scratch space.
    pub disk_bytes: u64,
    /// Cores.
    pub cores: u32,
}

/// What a job has used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsedView {
    /// Wall time of the winning attempt.
    pub wall_s: f64,
    /// Bytes of its outputs.
    pub output_bytes: u64,
    /// Events that its program read.
    pub events: u64,
}

impl From<&Estimate> for EstimateView {
    fn from(estimate: &Estimate) -> Self {
        Self {
            wall_s: estimate.wall.as_secs_f64(),
            memory_bytes: estimate.memory.0,
            disk_bytes: estimate.disk.0,
            cores: estimate.cores,
        }
    }
}

impl From<&Used> for UsedView {
    fn from(used: &Used) -> Self {
        Self {
            wall_s: used.wall.as_secs_f64(),
            output_bytes: used.output.0,
            events: used.events.0,
        }
    }
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Which try.
    pub attempt: u32,
    /// How it ended: `transient`, `input`, `memory`, `time`, `program`, `site` or `lost`.
    pub exit_class: String,
    /// The program's exit code, where it had one.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The mark of its cause.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// What it said, bounded.
    pub message: String,
    /// When.
    pub at: String,
}

/// What became of something that was asked of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobsReplyView {
    /// What was done, in words; durable when it is heard.
    pub done: String,
    /// How many jobs were changed.
    pub count: u64,
    /// The jobs changed.
    pub jobs: Vec<i64>,
    /// How many jobs meet the filter and are left as they are.
    pub skipped_count: u64,
    /// The first of them.
    pub skipped: Vec<SkippedJobView>,
    /// Jobs that were made instead of split ones.
    pub made: Vec<i64>,
}

/// A job that is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedJobView {
    /// The job.
    pub job: i64,
    /// Why.
    pub why: String,
}

impl From<&JobsReply> for JobsReplyView {
    fn from(reply: &JobsReply) -> Self {
        let numbers = |jobs: &[JobId]| jobs.iter().map(|job| job.0).collect();
        let skipped = reply.skipped.iter().map(|skipped| SkippedJobView {
            job: skipped.job.0,
            why: skipped.why.clone(),
        });
        Self {
            done: reply.done.clone(),
            count: reply.jobs.len() as u64,
            jobs: numbers(&reply.jobs),
            skipped_count: reply.skipped_count,
            skipped: skipped.collect(),
            made: numbers(&reply.made),
        }
    }
}

/// Seconds from one stamp to the next, if both are there.
fn seconds(from: Option<Moment>, to: Option<Moment>) -> Option<f64> {
    Some(to?.since(from?).as_secs_f64())
}

impl From<&Stamps> for HopsView {
    fn from(stamps: &Stamps) -> Self {
        Self {
            seen_to_ready_s: stamps.made.since(stamps.seen).as_secs_f64(),
            ready_to_sent_s: seconds(Some(stamps.made), stamps.sent),
            sent_to_started_s: seconds(stamps.sent, stamps.started),
            started_to_reported_s: seconds(stamps.started, stamps.reported),
            reported_to_done_s: seconds(stamps.reported, stamps.done),
            seen_to_published_s: seconds(Some(stamps.seen), stamps.done),
        }
    }
}

impl HopsView {
    /// The hops with their names, in the order of the flow.
    pub fn named(&self) -> [(&'static str, Option<f64>); 6] {
        [
            ("seen_to_ready", Some(self.seen_to_ready_s)),
            ("ready_to_sent", self.ready_to_sent_s),
            ("sent_to_started", self.sent_to_started_s),
            ("started_to_reported", self.started_to_reported_s),
            ("reported_to_done", self.reported_to_done_s),
            ("seen_to_published", self.seen_to_published_s),
        ]
    }
}

impl From<&Stamps> for StampsView {
    fn from(stamps: &Stamps) -> Self {
        let text = |moment: Option<Moment>| moment.map(|at| at.to_string());
        Self {
            seen_at: stamps.seen.to_string(),
            made_at: stamps.made.to_string(),
            sent_at: text(stamps.sent),
            started_at: text(stamps.started),
            reported_at: text(stamps.reported),
            done_at: text(stamps.done),
        }
    }
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> Self {
        let last = job.failure.as_ref();
        let (mut not_before, mut park_reason) = (None, None);
        let mut class = last.map(|last| last.class);
        match job.state {
            JobState::Ready {
                not_before: from, ..
            } => not_before = (from > job.stamps.made).then(|| from.to_string()),
            JobState::Failed { class: how, .. } => class = Some(how),
            JobState::Parked { reason, .. } => park_reason = Some(reason.as_str().to_owned()),
            JobState::Sent { .. }
            | JobState::Running { .. }
            | JobState::Committing { .. }
            | JobState::Done { .. }
            | JobState::Superseded { .. }
            | JobState::Cancelled { .. } => {}
        }
        let input = |(position, id): (usize, &InputId)| InputView {
            kind: match id {
                InputId::File(_) => "file",
                InputId::Output(_) => "output",
            }
            .to_owned(),
            id: id.number(),
            consumed: position < job.consumed as usize,
        };
        Self {
            id: job.id.0,
            run: job.run.0,
            pipeline: job.task.pipeline.to_string(),
            task: job.task.task.to_string(),
            class: match job.class {
                Class::Live => "live",
                Class::Offline => "offline",
            }
            .to_owned(),
            state: job.state.word().to_owned(),
            field_state: FieldJob::of(job).map(|state| state.as_str().to_owned()),
            attempt: job.state.attempt().0,
            failures: job.failures,
            not_before,
            park_reason,
            exit_class: class.map(|class| class.as_str().to_owned()),
            exit_code: last.and_then(|last| last.code),
            fingerprint: last.map(|last| last.fingerprint.to_string()),
            same_failures: last.map_or(0, |last| last.same),
            memory_bytes: job.needs.map(|needs| needs.memory.0),
            wall_s: job.needs.map(|needs| needs.wall.as_secs_f64()),
            split_from: job.lineage.split_from.map(|job| job.0),
            redoes: job.lineage.redoes.map(|job| job.0),
            replaced_by: job.lineage.replaced_by.iter().map(|job| job.0).collect(),
            last_error: job.last_error.clone(),
            inputs: job.inputs.iter().enumerate().map(input).collect(),
            lumis: crate::lumi_ranges(&job.lumis),
            deadline: job.deadline.map(|at| at.to_string()),
            missed: job
                .stamps
                .done
                .zip(job.deadline)
                .map(|(done, deadline)| done > deadline),
            stamps: StampsView::from(&job.stamps),
            hops: HopsView::from(&job.stamps),
            provisional: job.provisional,
        }
    }
}

impl From<&FailedAttempt> for AttemptView {
    fn from(attempt: &FailedAttempt) -> Self {
        Self {
            attempt: attempt.attempt.0,
            exit_class: attempt.class.as_str().to_owned(),
            exit_code: attempt.code,
            fingerprint: attempt.fingerprint.map(|mark| mark.to_string()),
            message: attempt.message.clone(),
            at: attempt.at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passed_hops_have_a_length() {
        let moment = |s: i64| Moment(s * 1_000_000_000);
        let check = |stamps: &Stamps, expect: [Option<f64>; 6]| {
            assert_eq!(
                HopsView::from(stamps).named().map(|(_, seconds)| seconds),
                expect
            );
        };
        let mut stamps = Stamps {
            seen: moment(10),
            made: moment(11),
            ..Stamps::default()
        };
        check(&stamps, [Some(1.0), None, None, None, None, None]);
        stamps.sent = Some(moment(13));
        stamps.reported = Some(moment(20));
        // The report overtook the news of the start: neither hop around the start is known.
        check(&stamps, [Some(1.0), Some(2.0), None, None, None, None]);
        stamps.started = Some(moment(14));
        stamps.done = Some(moment(21));
        check(
            &stamps,
            [
                Some(1.0),
                Some(2.0),
                Some(1.0),
                Some(6.0),
                Some(1.0),
                Some(11.0),
            ],
        );
    }
}
