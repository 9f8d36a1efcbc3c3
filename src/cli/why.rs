//! `tier0 why`: what holds an object back, and what ends it.
//!
//! In: the object's name. Out: its state and named waits; exit code 1 when something waits. Must
//! never guess: the engine is asked.

use super::Desk;
use super::client::shape;
use super::outcome::{Exit, Failure};
use super::table::to_second;
use clap::Args;
use model::wait::Object;
use std::io::Write;
use view::wait::{WaitView, WhyView};

/// What to ask about.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tier0 why run/148031\n  tier0 why lumi/148031/Muons/17\n  \
                        tier0 why task/148031/prompt.reco\n  tier0 why job/42 --json"
)]
pub struct WhyArgs {
    /// run/N, stream/N/STREAM, lumi/N/STREAM/L, task/N/PIPELINE.TASK, job/ID or file/ID
    object: String,
}

pub(super) fn run(arguments: &WhyArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    if Object::parse(&arguments.object).is_none() {
        return Err(Failure::Usage(format!(
            "\"{}\" names no object; ask about {}",
            arguments.object,
            Object::FORMS
        )));
    }
    let client = desk.client()?;
    let answer = client.get(&format!("why/{}", arguments.object), &[])?;
    let why: WhyView = shape(answer.clone())?;
    if desk.common.json {
        desk.document(&answer)?;
    } else {
        writeln!(desk.out, "{}: {}", why.object, why.state)?;
        waits(&why.waits, desk.out)?;
    }
    Ok(if why.waits.is_empty() {
        Exit::Fine
    } else {
        Exit::Problems
    })
}

/// Waits as people read them, each with its bound and its way out.
pub(super) fn waits(waits: &[WaitView], out: &mut dyn Write) -> std::io::Result<()> {
    if waits.is_empty() {
        return writeln!(out, "nothing holds it back");
    }
    for wait in waits {
        let since = wait.since.as_deref().map(to_second);
        let since = since.map_or_else(String::new, |since| format!(" since {since}"));
        let bound = match &wait.until {
            Some(until) => format!("until {} at most", to_second(until)),
            None => "no bound".to_owned(),
        };
        writeln!(
            out,
            "waits{since}, {bound}: {} [{}]",
            wait.reason, wait.kind
        )?;
        writeln!(out, "  {}", wait.object)?;
        writeln!(out, "  to do: {}", wait.remedy)?;
    }
    Ok(())
}
