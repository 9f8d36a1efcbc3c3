//! `tier0 file`: list, show, what was set aside, what will never come.
//!
//! In: the verb's arguments. Out: tables or documents. Must never open a file of the detector.

use super::Desk;
use super::client::{rows, shape};
use super::manner::{Lumis, Manner};
use super::outcome::{Exit, Failure};
use super::table::{Table, facts, or_dash, to_second};
use clap::Subcommand;
use serde_json::json;
use view::file::{FileView, SetAsideView};

/// What can be done with files.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  tier0 file ls --run 148031\n  tier0 file set-aside")]
pub enum FileVerb {
    /// List accepted files
    #[command(after_help = "Examples:\n  tier0 file ls\n  tier0 file ls --run 148031 --json")]
    Ls {
        /// Only of this run
        #[arg(long)]
        run: Option<u32>,
        /// At most so many rows
        #[arg(long, default_value_t = 1_000)]
        limit: u64,
    },
    /// Show one accepted file
    #[command(after_help = "Examples:\n  tier0 file show 17")]
    Show {
        /// Its identity, as lists show it
        id: i64,
    },
    /// Say that lumis, or named files, will never come
    #[command(after_help = "Examples:\n  \
                            tier0 file declare-lost --run 148031 --stream Muons --lumis 5-9 \
                            --dry-run\n  \
                            tier0 file declare-lost --run 148031 --stream Muons --lumis 5 \
                            --file run148031_ls0005_Muons_2.raw --events 120 --reason \"disk lost\"")]
    DeclareLost {
        /// Their run
        #[arg(long)]
        run: u32,
        /// Only of this stream
        #[arg(long)]
        stream: Option<String>,
        /// The lumi, or the range of them
        #[arg(long)]
        lumis: Lumis,
        /// A file of the one lumi and stream; may be given more than once
        #[arg(long = "file", value_name = "NAME")]
        files: Vec<String>,
        /// Events that each of the files held
        #[arg(long, default_value_t = 0)]
        events: u64,
        #[command(flatten)]
        manner: Manner,
    },
    /// List what could not be taken, and why
    #[command(after_help = "Examples:\n  tier0 file set-aside --json")]
    SetAside,
}

pub(super) fn run(verb: &FileVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    let answer = match verb {
        FileVerb::Ls { run, limit } => {
            client.list("files", &[("run", run.map(|run| run.to_string()))], *limit)?
        }
        FileVerb::Show { id } => client.get(&format!("files/{id}"), &[])?,
        FileVerb::SetAside => client.get("set-aside", &[])?,
        FileVerb::DeclareLost {
            run,
            stream,
            lumis,
            files,
            events,
            manner,
        } => {
            let body = json!({
                "run": run,
                "stream": stream,
                "first_lumi": lumis.first,
                "last_lumi": lumis.last,
                "names": files,
                "events": events,
            });
            let answer = client.post_with("files:declare-lost", &manner.parameters(), &body)?;
            return manner.answered(&answer, desk);
        }
    };
    if desk.common.json {
        return desk.document(&answer);
    }
    match verb {
        FileVerb::Ls { .. } => list(&rows(answer)?, desk),
        FileVerb::Show { .. } => show(&shape(answer)?, desk),
        FileVerb::SetAside | FileVerb::DeclareLost { .. } => set_aside(&rows(answer)?, desk),
    }
}

fn list(files: &[FileView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&[
        "ID", "RUN", ">LUMI", "STREAM", ">EVENTS", ">BYTES", "SEEN", "NAME",
    ]);
    for file in files {
        table.row(vec![
            file.id.to_string(),
            file.run.to_string(),
            file.lumi.to_string(),
            file.stream.clone(),
            or_dash(file.events),
            file.bytes.to_string(),
            to_second(&file.seen_at),
            file.name.clone(),
        ]);
    }
    table.write(desk.out, "no files")?;
    Ok(Exit::Fine)
}

fn show(file: &FileView, desk: &mut Desk) -> Result<Exit, Failure> {
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    facts(
        desk.out,
        &[
            ("file", file.id.to_string()),
            ("name", format!("{} in {}", file.name, file.profile)),
            (
                "run, lumi, stream",
                format!("{}, {}, {}", file.run, file.lumi, file.stream),
            ),
            ("label", file.label.clone()),
            ("bytes", file.bytes.to_string()),
            ("events", or_dash(file.events)),
            ("events processed", or_dash(file.events_processed)),
            ("events lost", or_dash(file.events_lost)),
            ("checksum", or_dash(file.checksum.as_ref())),
            ("only a report", yes(file.empty)),
            ("late", yes(file.late)),
            ("part of its run", file.part.to_string()),
            ("modified", file.modified_at.clone()),
            ("seen", file.seen_at.clone()),
        ],
    )?;
    Ok(Exit::Fine)
}

fn set_aside(things: &[SetAsideView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&["PROFILE", "REASON", "SINCE", "NAME", "DETAIL"]);
    for thing in things {
        table.row(vec![
            thing.profile.clone(),
            thing.refusal.clone(),
            to_second(&thing.at),
            thing.name.clone(),
            thing.detail.clone(),
        ]);
    }
    table.write(desk.out, "nothing was set aside")?;
    Ok(if things.is_empty() {
        Exit::Fine
    } else {
        Exit::Problems
    })
}
