//! `tier0 calib`: tags, intervals, decisions, constants.
//!
//! In: the verb's arguments. Out: tables or documents. Must never round a constant: what programs
//! read is printed as it is.

use super::client::{rows, shape};
use super::outcome::{Exit, Failure};
use super::table::{Table, or_dash, to_second};
use super::{Desk, pictures};
use clap::Subcommand;
use std::path::PathBuf;
use view::conditions::{DecisionView, IovView, PayloadView, TagView};
use view::gate::GateView;

const EXAMPLES: &str = "\
Examples:
  tier0 calib tags
  tier0 calib iovs beamspot
  tier0 calib show beamspot
  tier0 calib show beamspot --svg beamspot.svg
  tier0 calib get 8c1f...
  tier0 calib hold prompt.reco --reason \"pixel swap\"
  tier0 calib accept prompt.reco --run 165617";

/// What can be done with conditions.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum CalibVerb {
    /// List tags
    #[command(after_help = "Examples:\n  tier0 calib tags --json")]
    Tags,
    /// List intervals of validity
    #[command(
        after_help = "Examples:\n  tier0 calib iovs\n  tier0 calib iovs beamspot --run 165617"
    )]
    Iovs {
        /// Only of this tag
        tag: Option<String>,
        /// Only the one in force for this run
        #[arg(long)]
        run: Option<u32>,
    },
    /// Show what was decided on a tag, run by run, with what was measured; without a tag, what
    /// every task's release waits for
    #[command(
        after_help = "Examples:\n  tier0 calib show beamspot --json\n  tier0 calib show\n  \
                            tier0 calib show beamspot --svg beamspot.svg"
    )]
    Show {
        /// The tag
        tag: Option<String>,
        /// Only on this run
        #[arg(long)]
        run: Option<u32>,
        /// Draw what was measured against the runs, with the intervals of validity, as SVG into
        /// this file; - is stdout
        #[arg(long, value_name = "FILE", requires = "tag", conflicts_with = "run")]
        svg: Option<PathBuf>,
    },
    /// Print a constant as programs read it
    #[command(
        after_help = "Examples:\n  tier0 calib get $(tier0 calib iovs beamspot --json | \
                            jq -r .items[0].hash)"
    )]
    Get {
        /// sha256 of the payload, as `calib iovs` shows it
        hash: String,
    },
    /// Let no more jobs of a task be made, for one run or for every run
    #[command(after_help = "Examples:\n  tier0 calib hold prompt.reco --reason \"pixel swap\"")]
    Hold(Ruling),
    /// Let a task of a run go now, whatever it waits for; without a run, leave it to its rule again
    #[command(after_help = "Examples:\n  tier0 calib accept prompt.reco --run 165617")]
    Accept(Ruling),
}

/// A person's word on a task.
#[derive(Debug, clap::Args)]
pub struct Ruling {
    /// The task, as PIPELINE.TASK
    task: String,
    /// Only for this run
    #[arg(long)]
    run: Option<u32>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    /// Who says so
    #[arg(long)]
    by: Option<String>,
}

pub(super) fn run(verb: &CalibVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    let of = |run: &Option<u32>| run.map(|run| run.to_string());
    if let CalibVerb::Show {
        tag: Some(tag),
        svg: Some(svg),
        ..
    } = verb
    {
        if desk.common.json {
            return Err(Failure::Usage(pictures::NO_JSON.to_owned()));
        }
        let of_tag = [("tag", Some(tag.clone()))];
        let decisions: Vec<DecisionView> = rows(client.get("calibrations", &of_tag)?)?;
        let iovs: Vec<IovView> = rows(client.get("iovs", &of_tag)?)?;
        pictures::put(&pictures::trend(tag, &decisions, &iovs)?, svg, desk)?;
        return Ok(Exit::Fine);
    }
    let answer = match verb {
        CalibVerb::Tags => client.get("tags", &[])?,
        CalibVerb::Iovs { tag, run } => {
            client.get("iovs", &[("tag", tag.clone()), ("run", of(run))])?
        }
        CalibVerb::Show { tag: None, .. } => client.get("gates", &[])?,
        CalibVerb::Show { tag, run, .. } => {
            client.get("calibrations", &[("tag", tag.clone()), ("run", of(run))])?
        }
        CalibVerb::Hold(ruling) => return rule("hold", ruling, desk),
        CalibVerb::Accept(ruling) => return rule("accept", ruling, desk),
        CalibVerb::Get { hash } => client.get(&format!("payloads/{}", plain(hash)?), &[])?,
    };
    if desk.common.json {
        return desk.document(&answer);
    }
    match verb {
        CalibVerb::Tags => tags(&rows(answer)?, desk),
        CalibVerb::Iovs { .. } => iovs(&rows(answer)?, desk),
        CalibVerb::Show { tag: None, .. } => gates(&rows(answer)?, desk),
        CalibVerb::Hold(_) | CalibVerb::Accept(_) => Ok(Exit::Fine),
        CalibVerb::Show { .. } => decisions(&rows(answer)?, desk),
        CalibVerb::Get { .. } => {
            let payload: PayloadView = shape(answer)?;
            desk.out.write_all(payload.text.as_bytes())?;
            Ok(Exit::Fine)
        }
    }
}

fn rule(verb: &str, ruling: &Ruling, desk: &mut Desk) -> Result<Exit, Failure> {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !ruling.task.bytes().all(name) || !ruling.task.contains('.') {
        return Err(Failure::Usage(format!(
            "\"{}\" is no PIPELINE.TASK; `tier0 calib show` lists the gates",
            ruling.task
        )));
    }
    let manner = [("by", ruling.by.clone()), ("reason", ruling.reason.clone())];
    let body = match ruling.run {
        Some(run) => serde_json::json!({ "run": run }),
        None => serde_json::json!({}),
    };
    let client = desk.client()?;
    let answer = client.order(&format!("gates/{}:{verb}", ruling.task), &manner, &body)?;
    super::runs::done(&answer, desk)
}

fn gates(gates: &[GateView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&["TASK", "RUN", "STATE", "LOCKED", "UNTIL", "WHY"]);
    for gate in gates {
        let safe = or_dash(gate.first_condition_safe_run);
        let ruled = gate.ruling.as_ref().map_or_else(
            || format!("first run that constants can reach: {safe}"),
            |ruling| format!("{} by {}: {}", ruling.kind, ruling.by, ruling.reason),
        );
        let dash = || "-".to_owned();
        table.row(vec![
            gate.task.clone(),
            "all".to_owned(),
            dash(),
            dash(),
            dash(),
            ruled,
        ]);
        for run in &gate.runs {
            let wait = run.wait.as_ref();
            let until = wait.and_then(|wait| wait.until.as_deref()).map(to_second);
            table.row(vec![
                gate.task.clone(),
                run.run.to_string(),
                run.state.clone(),
                if run.locked { "yes" } else { "no" }.to_owned(),
                or_dash(until),
                wait.map_or_else(dash, |wait| wait.reason.clone()),
            ]);
        }
    }
    table.write(desk.out, "no task waits for anything")?;
    Ok(Exit::Fine)
}

/// A hash may go into a path; anything else may not.
fn plain(hash: &str) -> Result<&str, Failure> {
    if !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(hash);
    }
    Err(Failure::Usage(format!(
        "\"{hash}\" is no sha256 in hex; `tier0 calib iovs` shows them"
    )))
}

fn tags(tags: &[TagView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&["TAG", ">IOVS", "FIRST SINCE", "LAST SINCE", ">DECISIONS"]);
    for tag in tags {
        table.row(vec![
            tag.tag.clone(),
            tag.iovs.to_string(),
            or_dash(tag.first_since),
            or_dash(tag.last_since),
            tag.decisions.to_string(),
        ]);
    }
    table.write(desk.out, "no tags yet")?;
    Ok(Exit::Fine)
}

fn iovs(iovs: &[IovView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&["TAG", "SINCE", "INSERTED", "HASH"]);
    for iov in iovs {
        table.row(vec![
            iov.tag.clone(),
            iov.since.to_string(),
            to_second(&iov.inserted_at),
            iov.hash.clone(),
        ]);
    }
    table.write(desk.out, "no intervals")?;
    Ok(Exit::Fine)
}

fn decisions(decisions: &[DecisionView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&["RUN", "OUTCOME", ">N", "MEASURED", "REASON"]);
    for decision in decisions {
        let measured: Vec<String> = decision
            .values
            .iter()
            .map(|(name, value)| {
                let error = decision.errors.get(name).copied().unwrap_or(0.0);
                format!("{name} {value} +- {error}")
            })
            .collect();
        table.row(vec![
            decision.run.to_string(),
            decision.outcome.clone(),
            decision.n.to_string(),
            if measured.is_empty() {
                "-".to_owned()
            } else {
                measured.join(", ")
            },
            decision.reason.clone(),
        ]);
    }
    table.write(
        desk.out,
        "no decisions on that tag; `tier0 calib tags` lists the tags",
    )?;
    Ok(Exit::Fine)
}
