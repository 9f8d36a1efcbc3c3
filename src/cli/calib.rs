//! `tier0 calib`: tags, intervals, decisions, constants.
//!
//! In: the verb's arguments, and the file of a constant that is put. Out: tables or documents. Must
//! never round a constant: what programs read is printed as it is.

use super::client::{rows, shape};
use super::manner::Manner;
use super::outcome::{Exit, Failure};
use super::pictures::Sheet;
use super::table::{Table, or_dash, to_second};
use super::{Desk, conditions, pictures, trend};
use clap::Subcommand;
use model::conditions::{Since, TimeType};
use std::io::IsTerminal;
use std::path::PathBuf;
use view::conditions::{DecisionView, IovView, PayloadView, TagView, listed};
use view::gate::{GateRunView, GateView};

/// So many measured numbers of a decision are shown in a table.
const MEASURED_MAX: usize = 6;

const EXAMPLES: &str = "\
Examples:
  tier0 calib tags
  tier0 calib iovs beamspot
  tier0 calib show beamspot
  tier0 calib show beamspot --svg beamspot.svg
  tier0 calib get 8c1f...
  tier0 calib put beamspot spot.json --since 402144 --reason \"survey of Monday\"
  tier0 calib hold prompt.reco --reason \"pixel swap\"
  tier0 calib hold beamspot --reason \"beam moved by hand\"
  tier0 calib accept prompt.reco --run 165617
  tier0 calib accept beamspot --dry-run";

/// What can be done with conditions.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum CalibVerb {
    /// List tags
    #[command(after_help = "Examples:\n  tier0 calib tags --json")]
    Tags {
        /// List global tags instead: a tag for each record, as of a moment
        #[arg(long)]
        global: bool,
    },
    /// List intervals of validity
    #[command(
        after_help = "Examples:\n  tier0 calib iovs\n  tier0 calib iovs beamspot --run 165617\n  \
                      tier0 calib iovs beamspot --run 165617 --as-of 2026-11-27T19:48:13Z"
    )]
    Iovs {
        /// Only of this tag
        tag: Option<String>,
        /// Only what is in force for this run: of a tag by lumi what each of its lumis is in, by
        /// time what was in force when it began
        #[arg(long)]
        run: Option<u32>,
        /// Only what was there at this moment, UTC, e.g. 2026-11-27T19:48:13Z
        #[arg(long, value_name = "TIME")]
        as_of: Option<String>,
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
        #[arg(long, value_name = "FILE", requires = "tag", conflicts_with_all = ["run", "png"])]
        svg: Option<PathBuf>,
        /// The same as PNG
        #[arg(long, value_name = "FILE", requires = "tag", conflicts_with = "run")]
        png: Option<PathBuf>,
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
    /// Put a constant into a tag, from a run, a lumi or a moment on; it is looked at first, and
    /// never changes what runs have already taken
    #[command(after_help = PUT_EXAMPLES)]
    Put(Put),
    /// Let no more jobs of a task be made, for one run or for every run. With a tag: keep what
    /// gates would put into it as proposals; with a run, refuse what is proposed for that run
    #[command(
        after_help = "Examples:\n  tier0 calib hold prompt.reco --reason \"pixel swap\"\n  tier0 calib \
                      hold beamspot --reason \"beam moved by hand\"\n  tier0 calib hold beamspot --run \
                      165617 --reason \"bad fit\""
    )]
    Hold(Ruling),
    /// Let a task of a run go now, whatever it waits for; without a run, leave it to its rule
    /// again. With a tag: put what is held of it, for one run or for all, which are then held no
    /// longer; where nothing is held, have made again what was made with other constants than
    /// those in force
    #[command(
        after_help = "Examples:\n  tier0 calib accept prompt.reco --run 165617\n  tier0 calib accept \
                      beamspot --dry-run\n  tier0 calib accept beamspot --run 165617"
    )]
    Accept(Ruling),
    /// Write all tags, intervals, constants and global tags as one document
    #[command(after_help = "Examples:\n  tier0 calib export conditions.json")]
    Export(conditions::Export),
    /// Take in what was made elsewhere, all of it or nothing; what is here stays as it is
    #[command(after_help = "Examples:\n  tier0 calib import conditions.json --dry-run")]
    Import(conditions::Import),
    /// Let a tag take no new intervals, whoever puts or measures them
    #[command(
        after_help = "Examples:\n  tier0 calib protect survey --reason \"published\"\n  \
                            tier0 calib protect survey --open"
    )]
    Protect(conditions::Protect),
    /// Make a global tag: a tag for each record, as of a moment; it never changes
    #[command(
        after_help = "Examples:\n  tier0 calib global 2026_reprocessing_v1 BeamSpot=beamspot \
                      Scale:muons=scale --as-of 2026-11-27T19:48:13Z"
    )]
    Global(conditions::Global),
    /// Compare two tags, or two global tags, run by run; 1 when they differ
    #[command(
        after_help = "Examples:\n  tier0 calib diff beamspot beamspot_v2 --from 402000\n  \
                      tier0 calib diff 2026_v1 2026_v2 --global --json"
    )]
    Diff(conditions::Diff),
}

const PUT_EXAMPLES: &str = "\
Examples:
  tier0 calib put beamspot spot.json --since 402144 --dry-run
  tier0 calib put beamspot spot.json --since 402144 --reason \"survey of Monday\"
  tier0 calib put alignment first.json --since 1 --synchronisation offline
  tier0 calib put spot_by_lumi spot.json --since 402144:37 --synchronisation any
  tier0 calib put field_map map.json --since 2026-11-27T19:48:13Z --synchronisation any";

/// A constant for a tag.
#[derive(Debug, clap::Args)]
pub struct Put {
    /// The tag; that of simulated runs ends in /SIM
    tag: String,
    /// The file of the constant, as programs shall read it
    file: PathBuf,
    /// The first run it shall hold for; of a tag that counts by lumi RUN:LUMI, by time a moment,
    /// UTC, e.g. 2026-11-27T19:48:13Z. It begins later where the tag's synchronisation wants it
    #[arg(long, value_parser = since)]
    since: (Since, Option<TimeType>),
    /// What the tag counts by: run, lumi or time; a new one by run where --since does not say it
    #[arg(long, value_parser = time_type)]
    time_type: Option<TimeType>,
    /// Make the tag: any, validation, mc, runmc, hlt, express, prompt, pcl or offline
    #[arg(long)]
    synchronisation: Option<String>,
    /// What constants of the new tag are
    #[arg(long, requires = "synchronisation")]
    object_type: Option<String>,
    /// What the new tag is for
    #[arg(long, requires = "synchronisation")]
    description: Option<String>,
    #[command(flatten)]
    manner: Manner,
}

/// A person's word on a task.
#[derive(Debug, clap::Args)]
pub struct Ruling {
    /// The task, as PIPELINE.TASK, or the tag; that of simulated runs ends in /SIM
    #[arg(value_name = "TASK|TAG")]
    name: String,
    /// Only for this run
    #[arg(long)]
    run: Option<u32>,
    #[command(flatten)]
    manner: Manner,
}

pub(super) fn run(verb: &CalibVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    let of = |run: &Option<u32>| run.map(|run| run.to_string());
    if let CalibVerb::Show {
        tag: Some(tag),
        svg,
        png,
        ..
    } = verb
        && let Some(sheet) = Sheet::asked(svg.as_deref(), png.as_deref())
    {
        if desk.common.json {
            return Err(Failure::Usage(pictures::NO_JSON.to_owned()));
        }
        let of_tag = [("tag", Some(tag.clone()))];
        let decisions: Vec<DecisionView> = rows(client.get("calibrations", &of_tag)?)?;
        let iovs: Vec<IovView> = rows(client.get("iovs", &of_tag)?)?;
        pictures::put(&pictures::trend(tag, &decisions, &iovs)?, sheet, desk)?;
        return Ok(Exit::Fine);
    }
    let answer = match verb {
        CalibVerb::Tags { global: true } => return conditions::globals(desk),
        CalibVerb::Tags { .. } => client.get("tags", &[])?,
        CalibVerb::Iovs { tag, run, as_of } => {
            let of = [
                ("tag", tag.clone()),
                ("run", of(run)),
                ("as_of", as_of.clone()),
            ];
            client.get("iovs", &of)?
        }
        CalibVerb::Show { tag: None, .. } => client.get("gates", &[])?,
        CalibVerb::Show { tag, run, .. } => {
            client.get("calibrations", &[("tag", tag.clone()), ("run", of(run))])?
        }
        CalibVerb::Put(put) => return upload(put, desk),
        CalibVerb::Hold(ruling) => return rule("hold", ruling, desk),
        CalibVerb::Accept(ruling) => return rule("accept", ruling, desk),
        CalibVerb::Export(asked) => return conditions::export(asked, desk),
        CalibVerb::Import(asked) => return conditions::import(asked, desk),
        CalibVerb::Protect(asked) => return conditions::protect(asked, desk),
        CalibVerb::Global(asked) => return conditions::global(asked, desk),
        CalibVerb::Diff(asked) => return conditions::diff(asked, desk),
        CalibVerb::Get { hash } => client.get(&format!("payloads/{}", plain(hash)?), &[])?,
    };
    if desk.common.json {
        return desk.document(&answer);
    }
    match verb {
        CalibVerb::Tags { .. } => tags(&rows(answer)?, desk),
        CalibVerb::Iovs { .. } => iovs(&rows(answer)?, desk),
        CalibVerb::Show { tag: None, .. } => gates(&rows(answer)?, desk),
        CalibVerb::Show { .. } => decisions(&rows(answer)?, desk),
        _ => {
            let payload: PayloadView = shape(answer)?;
            desk.out.write_all(payload.text.as_bytes())?;
            Ok(Exit::Fine)
        }
    }
}

fn since(text: &str) -> Result<(Since, Option<TimeType>), String> {
    Since::parse(text).ok_or_else(|| {
        "write the number of a run, RUN:LUMI, or a moment in UTC as 2026-11-27T19:48:13Z".to_owned()
    })
}

fn time_type(text: &str) -> Result<TimeType, String> {
    TimeType::parse(text).ok_or_else(|| "write run, lumi or time".to_owned())
}

fn upload(put: &Put, desk: &mut Desk) -> Result<Exit, Failure> {
    let (since, said) = put.since;
    let by = put.time_type.or(said);
    if let (Some(by), Some(said)) = (by, said)
        && by != said
    {
        return Err(Failure::Usage(format!(
            "--since {} is by {}, and --time-type says {}; leave out one of them",
            since.shown(said),
            said.as_str(),
            by.as_str()
        )));
    }
    let payload = std::fs::read_to_string(&put.file).map_err(|error| {
        Failure::Usage(format!(
            "{} cannot be read as text ({error}); give the file of the constant",
            put.file.display()
        ))
    })?;
    let body = serde_json::json!({
        "tag": put.tag,
        "since": since.0,
        "time_type": by.map(TimeType::as_str),
        "payload": payload,
        "synchronisation": put.synchronisation,
        "object_type": put.object_type,
        "description": put.description,
    });
    let client = desk.client()?;
    let answer = client.post_with("iovs", &put.manner.parameters(), &body)?;
    put.manner.answered(&answer, desk)
}

fn rule(verb: &str, ruling: &Ruling, desk: &mut Desk) -> Result<Exit, Failure> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let name = &ruling.name;
    let is_task = name.bytes().all(is_plain) && name.contains('.');
    let tag = name.strip_suffix("/SIM").unwrap_or(name);
    let is_tag = !tag.is_empty() && tag.bytes().all(is_plain);
    if !is_task && !is_tag {
        return Err(Failure::Usage(format!(
            "\"{name}\" is no PIPELINE.TASK and no tag; `tier0 calib show` lists the gates, `tier0 \
             calib tags` the tags"
        )));
    }
    let body = match ruling.run {
        Some(run) => serde_json::json!({ "run": run }),
        None => serde_json::json!({}),
    };
    let client = desk.client()?;
    let path = format!("gates/{}:{verb}", name.replace('/', "%2F"));
    let answer = client.order(&path, &ruling.manner.parameters(), &body)?;
    ruling.manner.answered(&answer, desk)
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
                why(run).unwrap_or_else(dash),
            ]);
        }
    }
    table.write(desk.out, "no task waits for anything")?;
    Ok(Exit::Fine)
}

/// What a run waits for at a gate, or what of it other constants concern.
fn why(run: &GateRunView) -> Option<String> {
    let (outdated, behind) = (&run.outdated_outputs, &run.made_from_outdated_outputs);
    let concerned = (!outdated.is_empty()).then(|| {
        format!(
            "{} outputs were made with other constants than those in force, {} from those",
            outdated.len(),
            behind.len()
        )
    });
    let wait = run.wait.as_ref().map(|wait| wait.reason.clone());
    let both: Vec<String> = wait.into_iter().chain(concerned).collect();
    (!both.is_empty()).then(|| both.join("; "))
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
    let mut table = Table::new(&[
        "TAG",
        "SYNC",
        "BY",
        "PROTECTED",
        ">IOVS",
        "FIRST SINCE",
        "LAST SINCE",
        ">DECISIONS",
        "DESCRIPTION",
    ]);
    for tag in tags {
        let since = |since: Option<u64>| since.map(|since| listed(since, &tag.time_type));
        table.row(vec![
            tag.tag.clone(),
            tag.synchronisation.clone(),
            tag.time_type.clone(),
            if tag.protected { "yes" } else { "no" }.to_owned(),
            tag.iovs.to_string(),
            or_dash(since(tag.first_since)),
            or_dash(since(tag.last_since)),
            tag.decisions.to_string(),
            match &tag.held {
                Some(held) => format!("held by {held}"),
                None => or_dash(Some(tag.description.clone()).filter(|words| !words.is_empty())),
            },
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
            listed(iov.since, &iov.time_type),
            to_second(&iov.inserted_at),
            iov.hash.clone(),
        ]);
    }
    table.write(desk.out, "no intervals")?;
    Ok(Exit::Fine)
}

/// What was measured, as far as it fits a row: an alignment has hundreds of numbers.
fn measured(decision: &DecisionView) -> impl Iterator<Item = String> {
    let shown = decision.values.iter().take(MEASURED_MAX);
    let shown = shown.map(|(name, value)| {
        let error = decision.errors.get(name).copied().unwrap_or(0.0);
        format!("{name} {value} +- {error}")
    });
    let more = decision.values.len().saturating_sub(MEASURED_MAX);
    shown.chain((more > 0).then(|| format!("{more} more with --json")))
}

fn decisions(decisions: &[DecisionView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&["RUN", "OUTCOME", ">N", "MEASURED", "REASON"]);
    for decision in decisions {
        let measured: Vec<String> = measured(decision).collect();
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
    // For people alone: what reads a table must find nothing else.
    let trend = trend::lines(decisions);
    if std::io::stdout().is_terminal() && !trend.is_empty() {
        writeln!(desk.out, "\n{}", trend.join("\n"))?;
    }
    Ok(Exit::Fine)
}
