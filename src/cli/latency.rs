//! `tier0 latency`: hops of the instance, or of one run, against budgets.
//!
//! In: the verb's arguments. Out: a table or document. Must never measure anything itself.

use super::Desk;
use super::client::rows;
use super::outcome::{Exit, Failure};
use super::table::{Table, or_dash, seconds};
use clap::Subcommand;
use view::latency::LatencyView;

/// What can be done with latencies.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  tier0 latency ls\n  tier0 latency show 148031 --strict")]
pub enum LatencyVerb {
    /// Hops of the instance since it started
    #[command(after_help = "Examples:\n  tier0 latency ls --json")]
    Ls,
    /// Hops of one run, from the stamps of its jobs
    #[command(after_help = "Examples:\n  tier0 latency show 148031\n  \
                            tier0 latency show 148031 --strict && echo kept")]
    Show {
        /// Number of the run
        run: u32,
        /// Exit with 1 if a budget was missed
        #[arg(long)]
        strict: bool,
    },
}

pub(super) fn run(verb: &LatencyVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    let (run, strict) = match verb {
        LatencyVerb::Ls => (None, false),
        LatencyVerb::Show { run, strict } => (Some(run.to_string()), *strict),
    };
    let answer = client.get("latency", &[("run", run)])?;
    let hops: Vec<LatencyView> = rows(answer.clone())?;
    if desk.common.json {
        desk.document(&answer)?;
    } else {
        list(&hops, desk)?;
    }
    let missed = hops
        .iter()
        .any(|hop| hop.missed.is_some_and(|missed| missed > 0));
    Ok(if strict && missed {
        Exit::Problems
    } else {
        Exit::Fine
    })
}

fn list(hops: &[LatencyView], desk: &mut Desk) -> Result<(), Failure> {
    let titles = [
        "PIPELINE", "TASK", "HOP", ">N", ">P50", ">P90", ">P99", ">MAX", ">BUDGET", ">MISSED",
    ];
    let mut table = Table::new(&titles);
    for hop in hops {
        table.row(vec![
            or_dash(hop.pipeline.as_ref()),
            or_dash(hop.task.as_ref()),
            hop.hop.clone(),
            hop.n.to_string(),
            seconds(hop.p50_s),
            seconds(hop.p90_s),
            seconds(hop.p99_s),
            seconds(hop.max_s),
            or_dash(hop.budget_s.map(seconds)),
            or_dash(hop.missed),
        ]);
    }
    table.write(desk.out, "nothing was measured yet")?;
    Ok(())
}
