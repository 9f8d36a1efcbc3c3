//! `tier0 alarm`: what somebody should know.
//!
//! In: the verb's arguments. Out: a table or document; exit code 1 while an alarm stands. Must
//! never clear one.

use super::Desk;
use super::client::rows;
use super::outcome::{Exit, Failure};
use super::table::{Table, or_dash, to_second};
use clap::Subcommand;
use view::health::AlarmView;

/// What can be done with alarms.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  tier0 alarm ls\n  tier0 alarm ls --cleared --json")]
pub enum AlarmVerb {
    /// List alarms that stand
    #[command(after_help = "Examples:\n  tier0 alarm ls || echo somebody should look")]
    Ls {
        /// Those that are over, too
        #[arg(long)]
        cleared: bool,
    },
}

pub(super) fn run(verb: &AlarmVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let AlarmVerb::Ls { cleared } = verb;
    let client = desk.client()?;
    let answer = client.get("alarms", &[("cleared", Some(cleared.to_string()))])?;
    let alarms: Vec<AlarmView> = rows(answer.clone())?;
    if desk.common.json {
        desk.document(&answer)?;
    } else {
        let mut table = Table::new(&["SEVERITY", "SINCE", "CLEARED", "ALARM", "TEXT"]);
        for alarm in &alarms {
            table.row(vec![
                alarm.severity.clone(),
                to_second(&alarm.raised_at),
                or_dash(alarm.cleared_at.as_deref().map(to_second)),
                alarm.key.clone(),
                alarm.text.clone(),
            ]);
        }
        table.write(desk.out, "no alarms")?;
    }
    let stands = alarms.iter().any(|alarm| alarm.cleared_at.is_none());
    Ok(if stands { Exit::Problems } else { Exit::Fine })
}
