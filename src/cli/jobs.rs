//! `tier0 job`: list, show, what failed attempts said, try again.
//!
//! In: the verb's arguments. Out: tables or documents. Must never make an attempt: it asks for one.

use super::Desk;
use super::client::{rows, shape};
use super::outcome::{Exit, Failure};
use super::table::{Table, facts, lumis, or_dash, seconds, to_second};
use clap::Subcommand;
use serde_json::json;
use view::job::{JobDetailView, JobView};

const EXAMPLES: &str = "\
Examples:
  tier0 job ls --run 148031 --state failed
  tier0 job show 42
  tier0 job log 42
  tier0 job retry 42";

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
        /// Only in this state: ready, sent, running, committing, done or failed
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
    /// Ask for another attempt of a failed job
    #[command(after_help = "Examples:\n  tier0 job retry 42")]
    Retry {
        /// Its identity, as lists show it
        id: i64,
    },
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
        JobVerb::Retry { id } => {
            let answer = client.post(&format!("jobs/{id}:retry"), &json!({}))?;
            return super::runs::done(&answer, desk);
        }
    };
    if desk.common.json {
        return desk.document(&answer);
    }
    match verb {
        JobVerb::Ls { .. } => list(&rows(answer)?, desk),
        JobVerb::Show { .. } => show(&shape(answer)?, desk),
        JobVerb::Log { .. } | JobVerb::Retry { .. } => log(&shape(answer)?, desk),
    }
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
    Ok(Exit::Fine)
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
            ("failures", job.failures.to_string()),
            ("waits until", or_dash(job.not_before.as_ref())),
            ("exit class", or_dash(job.exit_class.as_ref())),
            ("last error", or_dash(job.last_error.as_ref())),
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
    let failed = job.state == "failed";
    Ok(if failed { Exit::Problems } else { Exit::Fine })
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
