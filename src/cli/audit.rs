//! `tier0 audit`: who did what, when and why.
//!
//! In: the verb's arguments. Out: a table or document. Must never change a row.

use super::Desk;
use super::client::rows;
use super::outcome::{Exit, Failure};
use super::table::{Table, to_second};
use clap::Subcommand;
use view::wait::AuditView;

/// What can be done with the audit.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  tier0 audit ls\n  tier0 audit ls --limit 20 --json")]
pub enum AuditVerb {
    /// List what was done, oldest first
    #[command(after_help = "Examples:\n  tier0 audit ls --json")]
    Ls {
        /// At most so many rows
        #[arg(long, default_value_t = 1_000)]
        limit: u64,
    },
}

pub(super) fn run(verb: &AuditVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let AuditVerb::Ls { limit } = verb;
    let client = desk.client()?;
    let answer = client.list("audit", &[], *limit)?;
    if desk.common.json {
        return desk.document(&answer);
    }
    let acts: Vec<AuditView> = rows(answer)?;
    let mut table = Table::new(&[
        "ID", "AT", "BY", "VERB", "OBJECT", "BEFORE", "AFTER", "REASON",
    ]);
    for act in acts {
        table.row(vec![
            act.id.to_string(),
            to_second(&act.at),
            act.by,
            act.verb,
            act.object,
            act.before,
            act.after,
            act.reason,
        ]);
    }
    table.write(desk.out, "nobody did anything")?;
    Ok(Exit::Fine)
}
