//! `tier0 replay`: everything that an engine was told, once more.
//!
//! In: the journal of an epoch. Out: how far the engine made the same of it, and the first input of
//! which it did not. Must never touch an instance or a store.

use super::Desk;
use super::outcome::{Exit, Failure};
use crate::serve;
use agents::journal::{Departure, Ending, Replayed};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  tier0 replay --journal state/journal/epoch000007.part0001.journal
  tier0 replay --journal state/journal/epoch000007.part0001.journal --json

Exit codes: 0 all of it gave the same; 1 it departed, or the file is damaged; 2 no journal, or the
one of another program.";

/// Tells a new engine everything that another was told.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// The first part of an epoch's journal (instance.journal); further parts beside it follow
    #[arg(long, value_name = "FILE")]
    journal: PathBuf,
}

pub(super) fn run(arguments: &ReplayArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    let began = Instant::now();
    let replayed = serve::replay(&arguments.journal);
    let replayed = replayed.map_err(|refused| Failure::Usage(refused.to_string()))?;
    let inputs_per_s = replayed.inputs as f64 / began.elapsed().as_secs_f64();
    if desk.common.json {
        desk.document(&document(&replayed, inputs_per_s))?;
    } else {
        tell(&replayed, inputs_per_s, desk)?;
    }
    Ok(if replayed.is_equal() {
        Exit::Fine
    } else {
        Exit::Problems
    })
}

fn tell(replayed: &Replayed, inputs_per_s: f64, desk: &mut Desk) -> Result<(), Failure> {
    let heading = &replayed.heading;
    let parts = match replayed.parts {
        1 => "1 part".to_owned(),
        more => format!("{more} parts"),
    };
    writeln!(
        desk.out,
        "agent {}, epoch {}, configuration {}, {parts}",
        heading.agent.0, heading.epoch, heading.configuration
    )?;
    writeln!(
        desk.out,
        "{} inputs in {} batches, {} effects and {} fingerprints compared, {inputs_per_s:.0} \
         inputs/s",
        replayed.inputs, replayed.batches, replayed.effects, replayed.fingerprints
    )?;
    writeln!(desk.out, "{}", ending(&replayed.ending))?;
    match &replayed.departure {
        None if replayed.is_equal() => writeln!(desk.out, "equal")?,
        None => writeln!(desk.out, "equal up to there")?,
        Some(Departure {
            input,
            batch,
            at,
            told,
            differs,
        }) => writeln!(
            desk.out,
            "departed at input {input}, in batch {batch}, at {at}\n  told: {told}\n  {differs}"
        )?,
    }
    Ok(())
}

/// How a journal ends, for people.
fn ending(ending: &Ending) -> String {
    match ending {
        Ending::Ordered => "its last line is the end of the agent".to_owned(),
        Ending::Open => "the journal has no end: its agent was ended, still runs, or wrote no \
                         further"
            .to_owned(),
        Ending::Torn(bytes) => format!("the last line is cut: {bytes} bytes were passed over"),
        Ending::Damaged(why) => format!("damaged: {why}; nothing from there on was replayed"),
        Ending::Departed => "nothing behind the departure was replayed".to_owned(),
    }
}

fn document(replayed: &Replayed, inputs_per_s: f64) -> Value {
    let heading = &replayed.heading;
    let (word, torn_bytes) = match &replayed.ending {
        Ending::Ordered => ("ordered", 0),
        Ending::Open => ("open", 0),
        Ending::Torn(bytes) => ("torn", *bytes),
        Ending::Damaged(_) => ("damaged", 0),
        Ending::Departed => ("departed", 0),
    };
    let departure = replayed.departure.as_ref().map(|departure| {
        json!({
            "input": departure.input,
            "batch": departure.batch,
            "at": departure.at.to_string(),
            "told": departure.told,
            "differs": departure.differs,
        })
    });
    json!({
        "equal": replayed.is_equal(),
        "agent": heading.agent.0,
        "epoch": heading.epoch.0,
        "configuration": heading.configuration,
        "version": heading.build.version,
        "build": heading.build.hash,
        "parts": replayed.parts,
        "inputs": replayed.inputs,
        "batches": replayed.batches,
        "effects_compared": replayed.effects,
        "fingerprints_compared": replayed.fingerprints,
        "inputs_per_s": inputs_per_s,
        "ending": word,
        "torn_bytes": torn_bytes,
        "ending_text": ending(&replayed.ending),
        "departure": departure,
    })
}
