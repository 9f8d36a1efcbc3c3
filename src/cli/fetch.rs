//! `tier0 data`: the demo's data sets, what of them is here, and getting the rest.
//!
//! In: the verb's arguments. Out: a table or document; paths of fetched files on stdout. Must never
//! download what nobody asked for: `ls` only looks.

use super::Desk;
use super::outcome::{Exit, Failure};
use super::table::Table;
use crate::data::{self, DataError, FetchOptions, Manifest};
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  tier0 data ls
  tier0 data fetch                      every set, into the cache
  tier0 data fetch cms-2010-dimuon --to data
  tier0 data fetch km3net               all files of a set that needs all of them
  TIER0_DATA=data tier0 data ls";

/// What can be done with data sets.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum DataVerb {
    /// List the data sets and what of them is here
    #[command(after_help = "Examples:\n  tier0 data ls\n  tier0 data ls --json")]
    Ls,
    /// Get data sets; what is here already is not fetched again
    #[command(
        after_help = "Examples:\n  tier0 data fetch\n  tier0 data fetch uproot-Zmumu.root --to ."
    )]
    Fetch {
        /// Names of sets or files; all sets if none
        names: Vec<String>,
        /// Folder that gets them [default: the cache]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

pub(super) fn run(verb: &DataVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let manifest = Manifest::embedded()?;
    match verb {
        DataVerb::Ls => list(&manifest, desk),
        DataVerb::Fetch { names, to } => {
            let all = || manifest.sets.iter().map(|set| set.name.clone()).collect();
            let names = if names.is_empty() {
                all()
            } else {
                names.clone()
            };
            fetch(&names, &FetchOptions { to: to.clone() }, desk)
        }
    }
}

/// What is known of one file on this machine.
fn state(member: &data::Member) -> (&'static str, Option<PathBuf>) {
    match data::find(&member.name, &[]) {
        None => ("absent", None),
        Some(path) if data::differs(member, &path).is_none() => ("here", Some(path)),
        Some(path) => ("differs", Some(path)),
    }
}

fn list(manifest: &Manifest, desk: &mut Desk) -> Result<Exit, Failure> {
    let all = manifest
        .sets
        .iter()
        .flat_map(|set| set.members.iter().map(move |m| (set, m)));
    if desk.common.json {
        let items: Vec<_> = all
            .map(|(set, member)| {
                let (state, path) = state(member);
                json!({
                    "set": set.name, "act": set.act, "title": set.title, "source": set.source,
                    "record": set.record, "licence": set.licence, "file": member.name,
                    "bytes": member.bytes, "events": member.events, "sha256": member.sha256,
                    "download_bytes": member.download_bytes(), "state": state, "path": path,
                })
            })
            .collect();
        return desk.document(&json!({ "schema": view::SCHEMA, "items": items }));
    }
    let mut table = Table::new(&[
        "SET",
        ">ACT",
        "FILE",
        ">EVENTS",
        ">DOWNLOAD",
        "STATE",
        "PATH",
    ]);
    for (set, member) in all {
        let (state, path) = state(member);
        table.row(vec![
            set.name.clone(),
            set.act.to_string(),
            member.name.clone(),
            member.events.to_string(),
            data::megabytes(member.download_bytes()),
            state.to_owned(),
            path.map_or_else(|| "-".to_owned(), |path| path.display().to_string()),
        ]);
    }
    table.write(desk.out, "no data sets")?;
    Ok(Exit::Fine)
}

/// Fetches each; one that cannot be had does not keep the others from being tried.
fn fetch(names: &[String], options: &FetchOptions, desk: &mut Desk) -> Result<Exit, Failure> {
    let mut items = Vec::new();
    let mut failed: Option<DataError> = None;
    for name in names {
        match data::fetch(name, options, &mut |line| desk.say(line)) {
            Ok(paths) => {
                for path in paths {
                    if !desk.common.json {
                        writeln!(desk.out, "{}", path.display())?;
                    }
                    items.push(json!({ "name": name, "state": "here", "path": path }));
                }
            }
            Err(error) => {
                let state = match error {
                    DataError::NotReachable { .. } => "not reachable",
                    _ => "failed",
                };
                items.push(json!({ "name": name, "state": state, "reason": error.to_string() }));
                if let Some(before) = failed.replace(error) {
                    desk.say(&format!("tier0: {before}"));
                }
            }
        }
    }
    if desk.common.json {
        desk.document(&json!({ "schema": view::SCHEMA, "items": items }))?;
    }
    failed.map_or(Ok(Exit::Fine), |error| Err(error.into()))
}
