//! `tier0 job`: list, show, what failed attempts said, retry, split, park, release, cancel.
//!
//! In: the verb's arguments. Out: tables or documents. Must never make an attempt: it asks for one.

use super::Desk;
use super::client::{rows, shape};
use super::outcome::{Exit, Failure};
use super::table::{Table, facts, lumis, or_dash, seconds, to_second};
use clap::{Args, Subcommand};
use model::units::Bytes;
use serde_json::json;
use view::answer::PreviewView;
use view::job::{JobDetailView, JobView, JobsReplyView};

const EXAMPLES: &str = "\
Examples:
  tier0 job ls --run 148031 --state failed
  tier0 job show 42
  tier0 job log 42
  tier0 job retry 42
  tier0 job retry --run 148031 --class memory --dry-run";

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum JobVerb {
    /// List jobs
    #[command(after_help = "Examples:\n  tier0 job ls --state failed\n  tier0 job ls --run 148031")]
    Ls {
        /// Only of this run
        #[arg(long)]
        run: Option<u32>,
        /// Only in this state: ready, sent, running, committing, done, failed, parked, superseded
        /// or cancelled
        #[arg(long)]
        state: Option<String>,
        /// At most so many rows
        #[arg(long, default_value_t = 1_000)]
        limit: u64,
    },
    /// Show one job with its hops and attempts
    #[command(after_help = "Examples:\n  tier0 job show 42 --json")]
    Show {
        /// Its identity, as lists show it
        id: i64,
    },
    /// What the failed attempts of a job said
    #[command(after_help = "Examples:\n  tier0 job log 42")]
    Log {
        /// Its identity, as lists show it
        id: i64,
    },
    /// Ask for another attempt of failed jobs, their failures forgotten
    #[command(after_help = "Examples:\n  tier0 job retry 42\n  \
                            tier0 job retry --run 148031 --dry-run\n  \
                            tier0 job retry --run 148031 --expect-count 12")]
    Retry(Which),
    /// Replace failed or parked jobs by smaller ones
    #[command(after_help = "Examples:\n  tier0 job split 42\n  tier0 job split 42 --into singles")]
    Split {
        #[command(flatten)]
        which: Which,
        /// halves, or singles: a job for each input
        #[arg(long, default_value = "halves")]
        into: String,
    },
    /// Make no attempt of jobs for now; one under way is ended
    #[command(after_help = "Examples:\n  tier0 job park 42\n  \
                            tier0 job park --task express.reco --dry-run")]
    Park(Which),
    /// End the pause of jobs, whoever began it
    #[command(after_help = "Examples:\n  tier0 job release 42\n  \
                            tier0 job release --fingerprint 6b1f0c33a1d2e4f5 --dry-run")]
    Release(Which),
    /// Give jobs up; one attempt under way is ended, and their runs go on without them
    #[command(
        after_help = "Examples:\n  tier0 job cancel 42 --reason \"input is broken\"\n  \
                            tier0 job cancel --run 148031 --state parked --dry-run"
    )]
    Cancel(Which),
}

/// Which jobs: one by its identity, or all that meet everything said.
#[derive(Debug, Args)]
pub struct Which {
    /// Its identity, as lists show it
    #[arg(conflicts_with_all = ["run", "task", "state", "class", "fingerprint"])]
    id: Option<i64>,
    /// Those of this run
    #[arg(long)]
    run: Option<u32>,
    /// Those of this task (express.reco) or pipeline (express)
    #[arg(long)]
    task: Option<String>,
    /// Those in this state, instead of those that the verb is usually for
    #[arg(long)]
    state: Option<String>,
    /// Those that failed like this last: transient, input, memory, time, program, site
    #[arg(long)]
    class: Option<String>,
    /// Those that failed for this cause last
    #[arg(long)]
    fingerprint: Option<String>,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do nothing unless exactly so many jobs are meant; needed to change several
    #[arg(long, value_name = "N")]
    expect_count: Option<u64>,
    /// Who asks; kept in the audit
    #[arg(long, value_name = "NAME", env = "USER")]
    by: Option<String>,
    /// Why; kept in the audit, and needed to cancel
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) fn run(verb: &JobVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    let answer = match verb {
        JobVerb::Ls { run, state, limit } => {
            let parameters = [
                ("run", run.map(|run| run.to_string())),
                ("state", state.clone()),
            ];
            client.list("jobs", &parameters, *limit)?
        }
        JobVerb::Show { id } | JobVerb::Log { id } => client.get(&format!("jobs/{id}"), &[])?,
        JobVerb::Retry(which) => return ask("retry", which, None, desk),
        JobVerb::Split { which, into } => return ask("split", which, Some(into), desk),
        JobVerb::Park(which) => return ask("park", which, None, desk),
        JobVerb::Release(which) => return ask("release", which, None, desk),
        JobVerb::Cancel(which) => return ask("cancel", which, None, desk),
    };
    if desk.common.json {
        desk.document(&answer)?;
        return match verb {
            JobVerb::Ls { .. } => Ok(exit_of(&rows(answer)?)),
            _ => Ok(Exit::Fine),
        };
    }
    match verb {
        JobVerb::Ls { .. } => list(&rows(answer)?, desk),
        JobVerb::Show { .. } => show(&shape(answer)?, desk),
        _ => log(&shape(answer)?, desk),
    }
}

/// Asks for something to be done to jobs. Several jobs are changed only by whoever says how many:
/// without that it is a look, and ends as refused.
fn ask(verb: &str, which: &Which, into: Option<&String>, desk: &mut Desk) -> Result<Exit, Failure> {
    let unsure = which.id.is_none() && which.expect_count.is_none() && !which.dry_run;
    let mut body = serde_json::Map::new();
    let said = [
        ("run", which.run.map(|run| json!(run))),
        ("task", which.task.as_ref().map(|task| json!(task))),
        ("state", which.state.as_ref().map(|state| json!(state))),
        ("class", which.class.as_ref().map(|class| json!(class))),
        (
            "fingerprint",
            which.fingerprint.as_ref().map(|mark| json!(mark)),
        ),
        ("into", into.map(|into| json!(into))),
    ];
    body.extend(
        said.into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?))),
    );
    let path = match which.id {
        Some(id) => format!("jobs/{id}:{verb}"),
        None => format!("jobs:{verb}"),
    };
    let how = [
        ("by", which.by.clone()),
        ("reason", which.reason.clone()),
        (
            "dry_run",
            (which.dry_run || unsure).then(|| "true".to_owned()),
        ),
        (
            "expect_count",
            which.expect_count.map(|count| count.to_string()),
        ),
    ];
    let answer = desk.client()?.order(&path, &how, &json!(body))?;
    if desk.common.json {
        desk.document(&answer)?;
    }
    if unsure || which.dry_run {
        let preview: PreviewView = shape(answer)?;
        if !desk.common.json {
            writeln!(desk.out, "would {}", preview.would)?;
            for object in &preview.objects {
                writeln!(desk.out, "  {object}")?;
            }
        }
        if unsure {
            let count = preview.count;
            if count == 0 {
                writeln!(desk.talk, "nothing was changed: no job is meant")?;
                return Ok(Exit::Fine);
            }
            let again = format!("nothing was changed: ask again with --expect-count {count}");
            writeln!(desk.talk, "{again}")?;
            return Ok(Exit::Refused);
        }
    } else if !desk.common.json {
        let reply: JobsReplyView = shape(answer)?;
        writeln!(desk.out, "{}", reply.done)?;
        for skipped in &reply.skipped {
            writeln!(desk.out, "left as it is: {}", skipped.why)?;
        }
    }
    Ok(Exit::Fine)
}

fn list(jobs: &[JobView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&[
        "ID",
        "RUN",
        "TASK",
        "STATE",
        ">ATTEMPT",
        "LUMIS",
        ">PROGRAM",
        ">SEEN-TO-OUT",
        "MADE",
    ]);
    for job in jobs {
        table.row(vec![
            job.id.to_string(),
            job.run.to_string(),
            format!("{}.{}", job.pipeline, job.task),
            job.state.clone(),
            job.attempt.to_string(),
            lumis(&job.lumis),
            or_dash(job.hops.started_to_reported_s.map(seconds)),
            or_dash(job.hops.seen_to_published_s.map(seconds)),
            to_second(&job.stamps.made_at),
        ]);
    }
    table.write(desk.out, "no jobs")?;
    Ok(exit_of(jobs))
}

fn show(detail: &JobDetailView, desk: &mut Desk) -> Result<Exit, Failure> {
    let job = &detail.job;
    let inputs: Vec<String> = job
        .inputs
        .iter()
        .map(|input| format!("{} {}", input.kind, input.id))
        .collect();
    let late = match job.missed {
        Some(true) => " (missed)",
        Some(false) => " (kept)",
        None => "",
    };
    facts(
        desk.out,
        &[
            ("job", job.id.to_string()),
            ("run", job.run.to_string()),
            (
                "task",
                format!("{}.{}, {}", job.pipeline, job.task, job.class),
            ),
            ("state", format!("{}, attempt {}", job.state, job.attempt)),
            ("in WMCore", or_dash(job.field_state.as_ref())),
            ("failures", job.failures.to_string()),
            ("waits until", or_dash(job.not_before.as_ref())),
            ("parked", or_dash(job.park_reason.as_ref())),
            ("exit class", or_dash(job.exit_class.as_ref())),
            ("exit code", or_dash(job.exit_code)),
            ("fingerprint", marked(job)),
            ("last error", or_dash(job.last_error.as_ref())),
            ("memory", or_dash(job.memory_bytes.map(Bytes))),
            ("wall time", or_dash(job.wall_s.map(seconds))),
            ("expected", expected(detail)),
            ("used", used(detail)),
            ("split from", or_dash(job.split_from)),
            ("makes again", or_dash(job.redoes)),
            ("replaced by", numbers(&job.replaced_by)),
            ("lumis", lumis(&job.lumis)),
            ("inputs", inputs.join("\n")),
            (
                "deadline",
                format!("{}{late}", or_dash(job.deadline.as_ref())),
            ),
            ("seen", job.stamps.seen_at.clone()),
        ],
    )?;
    let hops = job
        .hops
        .named()
        .map(|(name, value)| (name, or_dash(value.map(seconds))));
    facts(desk.out, &hops)?;
    Ok(exit_of(std::slice::from_ref(job)))
}

/// What the job's splitter expects of it.
fn expected(detail: &JobDetailView) -> String {
    or_dash(detail.estimate.map(|estimate| {
        let (memory, disk) = (Bytes(estimate.memory_bytes), Bytes(estimate.disk_bytes));
        let (wall, cores) = (seconds(estimate.wall_s), estimate.cores);
        format!("{wall}, {memory} of memory, {disk} of disk, {cores} cores")
    }))
}

/// What it has used.
fn used(detail: &JobDetailView) -> String {
    or_dash(detail.used.map(|used| {
        let (wall, output) = (seconds(used.wall_s), Bytes(used.output_bytes));
        format!("{wall}, {} events read, {output} written", used.events)
    }))
}

/// Failed and parked jobs are problems.
fn exit_of(jobs: &[JobView]) -> Exit {
    let is_problem = |job: &JobView| matches!(job.state.as_str(), "failed" | "parked");
    if jobs.iter().any(is_problem) {
        Exit::Problems
    } else {
        Exit::Fine
    }
}

fn marked(job: &JobView) -> String {
    match (&job.fingerprint, job.same_failures) {
        (Some(mark), 2..) => format!("{mark}, {} times in a row", job.same_failures),
        (mark, _) => or_dash(mark.as_ref()),
    }
}

fn numbers(jobs: &[i64]) -> String {
    let names: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    or_dash((!names.is_empty()).then(|| names.join(", ")))
}

fn log(detail: &JobDetailView, desk: &mut Desk) -> Result<Exit, Failure> {
    if detail.failed_attempts.is_empty() {
        writeln!(desk.out, "job {}: no attempt has failed", detail.job.id)?;
    }
    for attempt in &detail.failed_attempts {
        writeln!(
            desk.out,
            "attempt {} at {}: {}",
            attempt.attempt, attempt.at, attempt.exit_class
        )?;
        for line in attempt.message.lines() {
            writeln!(desk.out, "  {line}")?;
        }
    }
    Ok(Exit::Fine)
}
