//! `tier0 run`: list, show, start, stop, close, reopen.
//!
//! In: the verb's arguments. Out: tables or documents of the instance's answers. Must never wait
//! for a run: it shows what is, and asks.

use super::Desk;
use super::client::{rows, shape};
use super::manner::{Lumis, Manner};
use super::outcome::{Exit, Failure};
use super::table::{Table, facts, lumis, or_dash, seconds, to_second};
use clap::Subcommand;
use serde_json::json;
use view::answer::ReplyView;
use view::run::{RunDetailView, RunView};
use view::units::RunUnitsView;

const EXAMPLES: &str = "\
Examples:
  tier0 run ls
  tier0 run show 148031 --json
  tier0 run start 148031 --run-type physics
  tier0 run stop 148031 --last-lumi 20
  tier0 run close 148031 --dry-run
  tier0 run reopen 148031 --reason \"found on the spare disk\"";

/// What can be done with runs.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum RunVerb {
    /// List runs
    #[command(after_help = "Examples:\n  tier0 run ls\n  tier0 run ls --json --limit 10")]
    Ls {
        /// At most so many rows
        #[arg(long, default_value_t = 1_000)]
        limit: u64,
    },
    /// Show one run with its datasets and latencies
    #[command(after_help = "Examples:\n  tier0 run show 148031")]
    Show {
        /// Number of the run
        run: u32,
    },
    /// Say that a run begins
    #[command(after_help = "Examples:\n  tier0 run start 148031\n  \
                            tier0 run start 900001 --run-type test --label simulated")]
    Start {
        /// Number of the run
        run: u32,
        /// physics, cosmics, calibration or test
        #[arg(long, default_value = "physics")]
        run_type: String,
        /// real or simulated
        #[arg(long, default_value = "real")]
        label: String,
    },
    /// Say that a run has ended
    #[command(after_help = "Examples:\n  tier0 run stop 148031 --last-lumi 20")]
    Stop {
        /// Number of the run
        run: u32,
        /// Its last lumi
        #[arg(long)]
        last_lumi: u32,
        #[command(flatten)]
        manner: Manner,
    },
    /// Declare what is open of a run, by default lost, so that it closes with what is here
    #[command(after_help = "Examples:\n  tier0 run close 148031 --dry-run\n  \
                            tier0 run close 148031 --reason \"disk lost\" --expect-count 3\n  \
                            tier0 run close 148031 --stream Muons --lumis 5-9 --as empty \
                            --reason \"beam dump\"\n  \
                            tier0 run close 148031 --lumis 7 --as here --reason \"checked\"")]
    Close {
        /// Number of the run
        run: u32,
        /// Only lumis of this stream
        #[arg(long)]
        stream: Option<String>,
        /// Only this lumi, or this range of them
        #[arg(long)]
        lumis: Option<Lumis>,
        /// What they are declared to be: lost, empty, or here (settles a dispute)
        #[arg(long = "as", default_value = "lost")]
        declared: String,
        #[command(flatten)]
        manner: Manner,
    },
    /// Work on the late files of a closed run, as a new part of it; or end a run's quarantine
    #[command(after_help = "Examples:\n  tier0 run reopen 148031 --dry-run\n  \
                            tier0 run reopen 148031 --reason \"found on the spare disk\"")]
    Reopen {
        /// Number of the run
        run: u32,
        #[command(flatten)]
        manner: Manner,
    },
}

pub(super) fn run(verb: &RunVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    match verb {
        RunVerb::Ls { limit } => {
            let answer = client.list("runs", &[], *limit)?;
            if desk.common.json {
                return desk.document(&answer);
            }
            list(&rows(answer)?, desk)
        }
        RunVerb::Show { run } => {
            let answer = client.get(&format!("runs/{run}"), &[])?;
            if desk.common.json {
                return desk.document(&answer);
            }
            show(&shape(answer)?, desk)
        }
        RunVerb::Start {
            run,
            run_type,
            label,
        } => {
            let body = json!({ "run": run, "run_type": run_type, "label": label });
            done(&client.post("runs", &body)?, desk)
        }
        RunVerb::Stop {
            run,
            last_lumi,
            manner,
        } => {
            let (path, body) = (
                format!("runs/{run}:stop"),
                json!({ "last_lumi": last_lumi }),
            );
            let answer = client.post_with(&path, &manner.parameters(), &body)?;
            manner.answered(&answer, desk)
        }
        RunVerb::Close {
            run,
            stream,
            lumis,
            declared,
            manner,
        } => {
            let body = json!({
                "stream": stream,
                "first_lumi": lumis.map(|lumis| lumis.first),
                "last_lumi": lumis.map(|lumis| lumis.last),
                "as": declared,
            });
            let path = format!("runs/{run}:close");
            let answer = client.post_with(&path, &manner.parameters(), &body)?;
            manner.answered(&answer, desk)
        }
        RunVerb::Reopen { run, manner } => {
            let path = format!("runs/{run}:reopen");
            let answer = client.post_with(&path, &manner.parameters(), &json!({}))?;
            manner.answered(&answer, desk)
        }
    }
}

/// What the engine said to a command.
pub(super) fn done(answer: &serde_json::Value, desk: &mut Desk) -> Result<Exit, Failure> {
    if desk.common.json {
        return desk.document(answer);
    }
    let reply: ReplyView = shape(answer.clone())?;
    writeln!(desk.out, "{}", reply.done)?;
    Ok(Exit::Fine)
}

fn list(runs: &[RunView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&[
        "RUN",
        "TYPE",
        "LABEL",
        "STATE",
        ">FILES",
        ">EVENTS",
        ">JOBS",
        ">DONE",
        ">FAILED",
        ">CANCELLED",
        "OPENED",
    ]);
    for run in runs {
        table.row(vec![
            run.run.to_string(),
            run.run_type.clone(),
            run.label.clone(),
            run.state.clone(),
            run.counts.files.to_string(),
            run.counts.events_in.to_string(),
            run.counts.jobs.to_string(),
            run.counts.jobs_done.to_string(),
            run.counts.jobs_failed.to_string(),
            run.counts.jobs_cancelled.to_string(),
            to_second(&run.opened_at),
        ]);
    }
    table.write(desk.out, "no runs")?;
    Ok(Exit::Fine)
}

fn show(detail: &RunDetailView, desk: &mut Desk) -> Result<Exit, Failure> {
    let run = &detail.run;
    let mut announced: Vec<(u32, u32)> = detail
        .lumis
        .iter()
        .map(|said| (said.lumi, said.last_lumi.max(said.lumi)))
        .collect();
    announced.sort_unstable();
    announced.dedup();
    facts(
        desk.out,
        &[
            ("run", run.run.to_string()),
            ("type", format!("{}, {}", run.run_type, run.label)),
            ("state", state(detail)),
            ("opened", format!("{} by {}", run.opened_at, run.started_by)),
            ("last file seen", run.last_file_seen_at.clone()),
            ("closed", or_dash(run.closed_at.as_ref())),
            ("finished", or_dash(run.finished_at.as_ref())),
            ("last lumi", or_dash(run.last_lumi)),
            ("part", run.part.to_string()),
            ("lumis ended", lumis(&joined(&announced))),
            (
                "pipelines",
                format!("{} ({})", run.pipelines.join(", "), run.config_hash),
            ),
            (
                "files",
                format!("{}, {} events", run.counts.files, run.counts.events_in),
            ),
            (
                "jobs",
                format!(
                    "{}, {} done, {} failed, {} cancelled",
                    run.counts.jobs,
                    run.counts.jobs_done,
                    run.counts.jobs_failed,
                    run.counts.jobs_cancelled
                ),
            ),
        ],
    )?;
    writeln!(desk.out)?;
    declared(detail, desk)?;
    super::datasets::table(&detail.datasets).write(desk.out, "no datasets yet")?;
    writeln!(desk.out)?;
    units(&detail.units, desk)?;
    let mut table = Table::new(&[
        "PIPELINE", ">JOBS", ">P50", ">P99", ">MAX", ">BUDGET", ">MISSED",
    ]);
    for row in &detail.latency {
        table.row(vec![
            or_dash(row.pipeline.as_ref()),
            row.n.to_string(),
            seconds(row.p50_s),
            seconds(row.p99_s),
            seconds(row.max_s),
            or_dash(row.budget_s.map(seconds)),
            or_dash(row.missed),
        ]);
    }
    table.write(desk.out, "no job is done yet")?;
    if !detail.waits.is_empty() {
        writeln!(desk.out)?;
        super::why::waits(&detail.waits, desk.out)?;
    }
    let failed = run.counts.jobs_failed > 0;
    Ok(if failed { Exit::Problems } else { Exit::Fine })
}

/// What people have declared of the run, with who and why; nothing where nobody has.
fn declared(detail: &RunDetailView, desk: &mut Desk) -> Result<(), Failure> {
    const OPERATOR: &str = "operator";
    let mut table = Table::new(&["LUMIS", "STREAM", "DECLARED", "BY", "AT", "REASON"]);
    let mut any = false;
    for said in detail.lumis.iter().filter(|said| said.source == OPERATOR) {
        any = true;
        let what = match &said.file {
            Some(file) => format!("{} {file}", said.expected),
            None => said.expected.clone(),
        };
        table.row(vec![
            lumis(&[(said.lumi, said.last_lumi.max(said.lumi))]),
            or_dash(said.stream.as_ref()),
            what,
            said.by.clone(),
            to_second(&said.ended_at),
            said.reason.clone(),
        ]);
    }
    for end in detail.ends.iter().filter(|end| end.source == OPERATOR) {
        any = true;
        table.row(vec![
            end.last_lumi.to_string(),
            or_dash(None::<String>),
            "last of the run".to_owned(),
            end.by.clone(),
            to_second(&end.at),
            end.reason.clone(),
        ]);
    }
    if any {
        table.write(desk.out, "")?;
        writeln!(desk.out)?;
    }
    Ok(())
}

/// The run's state, and whether its files lack anything that a program has missed.
fn state(detail: &RunDetailView) -> String {
    let state = &detail.run.state;
    if detail.units.iter().all(|row| row.complete) {
        return state.clone();
    }
    format!("{state}, incomplete: see below")
}

/// What programs have counted inside the run's files; nothing where none has.
fn units(rows: &[RunUnitsView], desk: &mut Desk) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        "TASK",
        "UNITS",
        ">EXPECTED",
        ">PRESENT",
        ">ABSENT",
        ">PARTIAL",
        ">REPEATED",
        ">OUT OF ORDER",
    ]);
    for row in rows {
        table.row(vec![
            format!("{}.{}", row.pipeline, row.task),
            row.units.clone(),
            row.expected.to_string(),
            row.present.to_string(),
            row.absent.to_string(),
            row.partial.to_string(),
            row.repeated.to_string(),
            row.out_of_order.to_string(),
        ]);
    }
    table.write(desk.out, "")?;
    for account in rows.iter().flat_map(|row| &row.lacking) {
        writeln!(desk.out, "job {}: {}", account.job, account.summary)?;
        if !account.note.is_empty() {
            writeln!(desk.out, "  {}", account.note)?;
        }
    }
    writeln!(desk.out)?;
    Ok(())
}

/// Neighbouring ranges as one: 1, 2, 3 become 1-3.
fn joined(ranges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut joined: Vec<(u32, u32)> = Vec::new();
    for &(first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}
